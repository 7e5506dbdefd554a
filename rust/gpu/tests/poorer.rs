//! A device without 64-bit floats and integers, without subgroups, with WebGPU's eight bindings.

mod support;

use smallvec::SmallVec;
use support::{agree, Both};
use wengert_cpu::Cpu;
use wengert_gpu::{Gpu, LESS};
use wengert_ops::{Backend, Compute, DType, ErrorKind, Layout, Operand, Reduction, Row, Scalar, ScatterMode};

fn gpu() -> Option<Gpu> {
    std::env::set_var(LESS, "f64,int64,subgroup,bindings=8");
    support::gpu()
}

/// Numbers of which single precision would lose something.
fn values(n: usize) -> Vec<f64> {
    (0..n).map(|k| (k as f64 * 0.37 - 3.0) * 1.000000000001 + if k % 7 == 0 { f64::NAN } else { 0.0 }).collect()
}

#[test]
fn f64_is_stored_and_moved_but_not_computed_with() {
    let Some(gpu) = gpu() else { return };
    assert!(!gpu.has_f64());
    let x = Both::of(gpu, &values(30), &[5, 6], DType::F64);
    let turned = Layout::strided(SmallVec::from_slice(&[6, 5]), SmallVec::from_slice(&[1, 6]), 0);
    let y = Both::zeros(gpu, &[6, 5], DType::F64);
    let x = x.seen(turned);
    agree("copy", Cpu.copy(x.on_cpu(), y.out_cpu()), gpu.copy(x.on_gpu(), y.out_gpu()));
    assert_eq!(y.contents().0, y.contents().1);
    let index = Both::of(gpu, &[5.0, 0.0, 5.0, 3.0], &[4, 1], DType::I64);
    let z = Both::zeros(gpu, &[4, 1], DType::F64);
    agree(
        "gather",
        Cpu.gather(y.on_cpu(), 0, index.on_cpu(), z.out_cpu()),
        gpu.gather(y.on_gpu(), 0, index.on_gpu(), z.out_gpu()),
    );
    assert_eq!(z.contents().0, z.contents().1);
    agree(
        "scatter",
        Cpu.scatter(ScatterMode::Set, 0, index.on_cpu(), z.on_cpu(), y.out_cpu()),
        gpu.scatter(ScatterMode::Set, 0, index.on_gpu(), z.on_gpu(), y.out_gpu()),
    );
    assert_eq!(y.contents().0, y.contents().1);
    let fill = Scalar::Float(0.1);
    agree("fill", Cpu.fill(fill, z.out_cpu()), gpu.fill(fill, z.out_gpu()));
    assert_eq!(z.contents().0, z.contents().1);

    let before = y.contents().1;
    let (f32s, one) = (Both::zeros(gpu, &[6, 5], DType::F32), Both::zeros(gpu, &[], DType::F64));
    for result in [
        gpu.elementwise(Row::Add, Compute::F64, &[Operand::Array(y.on_gpu()); 2], y.out_gpu()),
        gpu.copy(y.on_gpu(), f32s.out_gpu()),
        gpu.copy(f32s.on_gpu(), y.out_gpu()),
        gpu.reduce(Reduction::Sum, y.on_gpu(), 3, one.out_gpu()),
        gpu.scatter(ScatterMode::Add, 0, index.on_gpu(), z.on_gpu(), y.out_gpu()),
    ] {
        let error = result.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Runtime);
        for part in ["gpu:0 ('", "no 64-bit floats", "float32", "device 'cpu'"] {
            assert!(error.message().contains(part), "{error}");
        }
    }
    assert_eq!(y.contents().1, before);
}

#[test]
fn int64_needs_nothing() {
    let Some(gpu) = gpu() else { return };
    let x = Both::of(gpu, &[1e15, -3.0, 4294967297.0, 7.0], &[4], DType::I64);
    let y = Both::zeros(gpu, &[4], DType::I64);
    for row in [Row::Add, Row::Mul, Row::FloorDivide, Row::Maximum] {
        agree(
            row.name(),
            Cpu.elementwise(row, Compute::I64, &[Operand::Array(x.on_cpu()); 2], y.out_cpu()),
            gpu.elementwise(row, Compute::I64, &[Operand::Array(x.on_gpu()); 2], y.out_gpu()),
        );
        y.assert_same(row.name());
    }
}
