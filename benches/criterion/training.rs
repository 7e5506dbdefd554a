//! Whole training steps without Python: zero_grad, forward, cross-entropy, backward, Adam.

use criterion::{criterion_group, criterion_main, BenchmarkId, Criterion};
use wengert::optim::{adam_step, zero_grad, Adam, AdamState};
use wengert::{backward, DType, Device, Generator, LossReduction, Random, Result, SweepOptions, Tensor};

const ADAM: Adam = Adam {
    lr: 0.001,
    beta1: 0.9,
    beta2: 0.999,
    eps: 1e-8,
    weight_decay: 0.0,
    decoupled: false,
    amsgrad: false,
    maximize: false,
};

fn normal(shape: &[usize], std: f64, generator: &mut Generator) -> Result<Tensor> {
    let x = Tensor::empty(shape, DType::F32, Device::Cpu)?;
    x.random_(generator, Random::Normal { mean: 0.0, std })?;
    Ok(x)
}

struct Trainer {
    parameters: Vec<Tensor>,
    states: Vec<AdamState>,
    x: Tensor,
    labels: Tensor,
}

impl Trainer {
    fn new(sizes: &[usize], batch: usize) -> Result<Trainer> {
        let mut generator = Generator::new(0);
        let (mut parameters, mut states) = (Vec::new(), Vec::new());
        for pair in sizes.windows(2) {
            for shape in [&[pair[1], pair[0]][..], &[pair[1]]] {
                let p = normal(shape, 1.0 / (pair[0] as f64).sqrt(), &mut generator)?.requiring_grad()?;
                let zeros = || Tensor::zeros(shape, DType::F32, Device::Cpu);
                states.push(AdamState {
                    exp_avg: zeros()?,
                    exp_avg_sq: zeros()?,
                    max_exp_avg_sq: None,
                    step: Tensor::scalar(0.0, DType::F32)?,
                });
                parameters.push(p);
            }
        }
        let classes = sizes[sizes.len() - 1] as i64;
        let labels: Vec<i64> = (0..batch as i64).map(|i| i % classes).collect();
        let x = normal(&[batch, sizes[0]], 1.0, &mut generator)?;
        Ok(Trainer { parameters, states, x, labels: Tensor::from_i64(&labels, &[batch])? })
    }

    fn step(&mut self) -> Result<()> {
        zero_grad(&self.parameters, true)?;
        let mut y = self.x.clone();
        for (i, layer) in self.parameters.chunks(2).enumerate() {
            if i > 0 {
                y = y.relu()?;
            }
            y = y.linear(&layer[0], Some(&layer[1]))?;
        }
        let loss = y.cross_entropy(&self.labels, LossReduction::Mean, -100)?;
        backward(&[loss], &[None], SweepOptions::default(), None)?;
        adam_step(&self.parameters, &self.states, &ADAM)
    }
}

fn steps(c: &mut Criterion) {
    let mut group = c.benchmark_group("training step");
    let cases: [(&str, &[usize], usize); 3] =
        [("make_moons", &[2, 3, 2, 2], 16), ("digits", &[784, 128, 10], 64), ("wide", &[256, 1024, 256], 128)];
    for (name, sizes, batch) in cases {
        let mut trainer = Trainer::new(sizes, batch).unwrap();
        group.bench_function(BenchmarkId::from_parameter(name), |b| b.iter(|| trainer.step().unwrap()));
    }
    group.finish();
}

criterion_group!(benches, steps);
criterion_main!(benches);
