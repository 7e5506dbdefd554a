//! Matrix products, square, thin and batched, and their gradients.

// `&[y.clone()]` is plainer than `std::slice::from_ref(&y)`, and a handle is cheap.
#![allow(clippy::cloned_ref_to_slice_refs)]

use criterion::{criterion_group, criterion_main, BenchmarkId, Criterion, Throughput};
use wengert::{grad, DType, Device, Generator, Random, SweepOptions, Tensor};

fn normal(shape: &[usize], generator: &mut Generator) -> Tensor {
    let x = Tensor::empty(shape, DType::F32, Device::Cpu).unwrap();
    x.random_(generator, Random::Normal { mean: 0.0, std: 1.0 }).unwrap();
    x
}

fn products(c: &mut Criterion) {
    let mut generator = Generator::new(0);
    let mut group = c.benchmark_group("matmul");
    group.sample_size(20);
    let cases: [(&str, &[usize], &[usize]); 7] = [
        ("4", &[4, 4], &[4, 4]),
        ("64", &[64, 64], &[64, 64]),
        ("256", &[256, 256], &[256, 256]),
        ("1024", &[1024, 1024], &[1024, 1024]),
        ("16x784 784x128", &[16, 784], &[784, 128]),
        ("1024x1024 vector", &[1024, 1024], &[1024]),
        ("32 of 64", &[32, 64, 64], &[32, 64, 64]),
    ];
    for (name, left, right) in cases {
        let columns = if right.len() > 1 { right[right.len() - 1] } else { 1 };
        let operations = 2 * left.iter().product::<usize>() * columns;
        group.throughput(Throughput::Elements(operations as u64));
        let (a, b) = (normal(left, &mut generator), normal(right, &mut generator));
        group.bench_function(BenchmarkId::new("forward", name), |bench| bench.iter(|| a.matmul(&b).unwrap()));
        let inputs = [a.requiring_grad().unwrap(), b.requiring_grad().unwrap()];
        let y = inputs[0].matmul(&inputs[1]).unwrap();
        let g = Tensor::ones(&y.shape(), DType::F32, Device::Cpu).unwrap();
        let options = SweepOptions { retain_graph: true, create_graph: false };
        group.throughput(Throughput::Elements(2 * operations as u64));
        group.bench_function(BenchmarkId::new("backward", name), |bench| {
            bench.iter(|| grad(&[y.clone()], &inputs, &[Some(g.clone())], options, false).unwrap())
        });
    }
    group.finish();
}

criterion_group!(benches, products);
criterion_main!(benches);
