//! Every row of the elementwise table, forward and backward, at a size where the kernel is what counts.

// `&[y.clone()]` is plainer than `std::slice::from_ref(&y)`, and a handle is cheap.
#![allow(clippy::cloned_ref_to_slice_refs)]

use criterion::{criterion_group, criterion_main, Criterion, Throughput};
use std::hint::black_box;
use std::time::Duration;
use wengert::rows::Class;
use wengert::{grad, row, Arg, DType, Device, Generator, Random, Row, SweepOptions, Tensor};

const N: usize = 1 << 16;

/// An operand drawn from where the table says that the row may be tried.
fn operand(row: Row, i: usize, generator: &mut Generator) -> Tensor {
    let info = row.info();
    let (low, high) = info.domain[i];
    let law = Random::Uniform { from: low, to: high };
    let dtype = match info.class {
        Class::Bit => DType::I64,
        _ => DType::F32,
    };
    let x = Tensor::empty(&[N], DType::F32, Device::Cpu).unwrap();
    x.random_(generator, law).unwrap();
    match info.class {
        Class::Select if i == 0 => x.gt(0.75).unwrap(),
        _ => x.to_dtype(dtype).unwrap(),
    }
}

fn rows(c: &mut Criterion) {
    let mut generator = Generator::new(0);
    let (mut forward, mut backward) = (Vec::new(), Vec::new());
    for &r in Row::ALL {
        let operands: Vec<Tensor> = (0..r.info().args.len()).map(|i| operand(r, i, &mut generator)).collect();
        if r.info().differentiable {
            let leaves: Vec<Tensor> = operands
                .iter()
                .map(|x| if x.dtype().is_float() { x.detach().requiring_grad().unwrap() } else { x.clone() })
                .collect();
            backward.push((r, leaves));
        }
        forward.push((r, operands));
    }
    let mut group = c.benchmark_group("row");
    group.throughput(Throughput::Elements(N as u64)).sample_size(20).warm_up_time(Duration::from_millis(200));
    group.measurement_time(Duration::from_millis(800));
    for (r, operands) in &forward {
        let args: Vec<Arg<'_>> = operands.iter().map(Arg::from).collect();
        group.bench_function(r.name(), |b| b.iter(|| row(*r, black_box(&args)).unwrap()));
    }
    group.finish();

    let mut group = c.benchmark_group("row gradient");
    group.throughput(Throughput::Elements(N as u64)).sample_size(20).warm_up_time(Duration::from_millis(200));
    group.measurement_time(Duration::from_millis(800));
    let options = SweepOptions { retain_graph: true, create_graph: false };
    for (r, leaves) in &backward {
        let args: Vec<Arg<'_>> = leaves.iter().map(Arg::from).collect();
        let y = row(*r, &args).unwrap();
        let g = Tensor::ones(&[N], y.dtype(), Device::Cpu).unwrap();
        let inputs: Vec<Tensor> = leaves.iter().filter(|x| x.requires_grad()).cloned().collect();
        group.bench_function(r.name(), |b| {
            b.iter(|| grad(&[y.clone()], &inputs, &[Some(g.clone())], options, true).unwrap())
        });
    }
    group.finish();
}

criterion_group!(benches, rows);
criterion_main!(benches);
