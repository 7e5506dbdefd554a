//! Allocation: fresh tensors by size, and what a copy on write costs.

use criterion::{criterion_group, criterion_main, BatchSize, BenchmarkId, Criterion, Throughput};
use wengert::{DType, Device, Row, Tensor};

fn allocation(c: &mut Criterion) {
    let mut group = c.benchmark_group("allocation");
    for n in [4, 256, 1 << 14, 1 << 20] {
        group.throughput(Throughput::Bytes(4 * n as u64));
        group.bench_with_input(BenchmarkId::new("empty", n), &n, |b, &n| {
            b.iter(|| Tensor::empty(&[n], DType::F32, Device::Cpu).unwrap())
        });
        group.bench_with_input(BenchmarkId::new("zeros", n), &n, |b, &n| {
            b.iter(|| Tensor::zeros(&[n], DType::F32, Device::Cpu).unwrap())
        });
    }
    group.finish();
}

fn writes(c: &mut Criterion) {
    let mut group = c.benchmark_group("write");
    for n in [4, 1 << 16] {
        group.throughput(Throughput::Bytes(4 * n as u64));
        let x = Tensor::zeros(&[n], DType::F32, Device::Cpu).unwrap();
        group.bench_with_input(BenchmarkId::new("in place", n), &n, |b, _| {
            b.iter(|| x.row_(Row::Add, &[1.0.into()]).unwrap())
        });
        group.bench_with_input(BenchmarkId::new("after a save", n), &n, |b, _| {
            let leaf = Tensor::zeros(&[n], DType::F32, Device::Cpu).unwrap().requiring_grad().unwrap();
            // The tape holds the result of exp, so the write copies it first.
            b.iter_batched(|| leaf.exp().unwrap(), |y| y.row_(Row::Add, &[1.0.into()]).unwrap(), BatchSize::SmallInput)
        });
    }
    group.finish();
}

criterion_group!(benches, allocation, writes);
criterion_main!(benches);
