//! Recording on the tape and sweeping it: the cost of an operation on four numbers.

// `&[y.clone()]` is plainer than `std::slice::from_ref(&y)`, and a handle is cheap.
#![allow(clippy::cloned_ref_to_slice_refs)]

use criterion::{criterion_group, criterion_main, BatchSize, Criterion, Throughput};
use std::hint::black_box;
use wengert::{backward, grad, GradMode, SweepOptions, Tensor};

const CHAIN: u64 = 200;

fn leaf() -> Tensor {
    Tensor::from_f32(&[1.0, 2.0, 3.0, 4.0], &[4]).unwrap().requiring_grad().unwrap()
}

fn chain(x: &Tensor, n: u64) -> Tensor {
    let mut y = x.clone();
    for _ in 0..n {
        y = y.mul(1.0).unwrap();
    }
    y.sum(&[], false).unwrap()
}

fn record(c: &mut Criterion) {
    let mut group = c.benchmark_group("record");
    let (x, plain) = (leaf(), leaf().detach());
    group.bench_function("add without grad", |b| b.iter(|| black_box(&plain).add(&plain).unwrap()));
    group.bench_function("add with grad", |b| b.iter(|| black_box(&x).add(&plain).unwrap()));
    group.bench_function("mul by a number", |b| b.iter(|| black_box(&x).mul(2.0).unwrap()));
    group.bench_function("select", |b| b.iter(|| black_box(&x).select(0, 1).unwrap()));
    group.bench_function("add in place", |b| {
        b.iter(|| black_box(&plain).row_(wengert::Row::Add, &[0.0.into()]).unwrap())
    });
    group.throughput(Throughput::Elements(CHAIN));
    group.bench_function("chain", |b| b.iter(|| chain(&x, CHAIN)));
    group.bench_function("chain, untaped", |b| {
        let _off = GradMode::set(false);
        b.iter(|| chain(&x, CHAIN));
    });
    group.finish();
}

fn sweep(c: &mut Criterion) {
    let mut group = c.benchmark_group("sweep");
    group.throughput(Throughput::Elements(CHAIN));
    let x = leaf();
    group.bench_function("chain", |b| {
        b.iter_batched(
            || chain(&x, CHAIN),
            |y| backward(&[y], &[None], SweepOptions::default(), None).unwrap(),
            BatchSize::SmallInput,
        )
    });
    let options = SweepOptions { retain_graph: true, create_graph: true };
    group.bench_function("chain, create_graph", |b| {
        b.iter_batched(
            || chain(&x, CHAIN),
            |y| grad(&[y], &[x.clone()], &[None], options, false).unwrap(),
            BatchSize::SmallInput,
        )
    });
    const ROWS: u64 = 1000;
    group.throughput(Throughput::Elements(ROWS));
    group.bench_function("recurrence over rows of one tensor", |b| {
        let w = Tensor::from_f32(&[0.9; 16], &[16]).unwrap().requiring_grad().unwrap();
        b.iter(|| {
            let h = Tensor::zeros(&[ROWS as usize + 1, 16], wengert::DType::F32, wengert::Device::Cpu).unwrap();
            for t in 1..=ROWS as isize {
                let next = h.select(0, t - 1).unwrap().mul(&w).unwrap().add(0.1).unwrap();
                h.select(0, t).unwrap().copy_(&next).unwrap();
            }
            backward(&[h.sum(&[], false).unwrap()], &[None], SweepOptions::default(), None).unwrap();
        })
    });
    group.finish();
}

criterion_group!(benches, record, sweep);
criterion_main!(benches);
