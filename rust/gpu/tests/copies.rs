//! Copies, conversions and fills: every pair of dtypes, contiguous and strided, to the bit.

mod support;

use smallvec::SmallVec;
use support::{agree, bytes, dtypes, gpu, Both, Draw};
use wengert_cpu::Cpu;
use wengert_ops::{Backend, DType, Layout, Scalar};

const VALUES: [f64; 23] = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    2.5,
    -2.5,
    3.7,
    100.0,
    127.0,
    128.0,
    255.0,
    300.0,
    -129.0,
    40000.0,
    65504.0,
    70000.0,
    1e-7,
    6e-8,
    1e10,
    -1e10,
    f64::NAN,
    f64::INFINITY,
    f64::NEG_INFINITY,
];

#[test]
fn every_pair_of_dtypes() {
    let Some(gpu) = gpu() else { return };
    for from in dtypes(gpu) {
        for to in dtypes(gpu) {
            let x = Both::of(gpu, &VALUES, &[VALUES.len()], from);
            let y = Both::zeros(gpu, &[VALUES.len()], to);
            let what = format!("{from} to {to}");
            agree(&what, Cpu.copy(x.on_cpu(), y.out_cpu()), gpu.copy(x.on_gpu(), y.out_gpu()));
            y.assert_same(&what);
        }
    }
}

#[test]
fn every_half_survives() {
    let Some(gpu) = gpu() else { return };
    for dtype in [DType::F16, DType::BF16] {
        let all: Vec<u8> = (0..=u16::MAX).flat_map(|b| b.to_ne_bytes()).collect();
        let x = Both::new(gpu, &all, Layout::contiguous(&[1 << 16]), dtype);
        let y = Both::zeros(gpu, &[1 << 16], DType::F32);
        Cpu.copy(x.on_cpu(), y.out_cpu()).unwrap();
        gpu.copy(x.on_gpu(), y.out_gpu()).unwrap();
        y.assert_same(&format!("{dtype}"));
        // And back, with what lies between.
        let mut draw = Draw(3);
        let floats: Vec<f64> =
            (0..1 << 14).map(|_| f64::from(f32::from_bits((draw.unit() * 4294967296.0) as u32))).collect();
        let x = Both::of(gpu, &floats, &[1 << 14], DType::F32);
        let y = Both::zeros(gpu, &[1 << 14], dtype);
        Cpu.copy(x.on_cpu(), y.out_cpu()).unwrap();
        gpu.copy(x.on_gpu(), y.out_gpu()).unwrap();
        y.assert_same(&format!("float32 to {dtype}"));
    }
}

/// A layout of `shape` inside a buffer, its dims in any order, with gaps.
fn scattered(draw: &mut Draw, shape: &[usize]) -> (Layout, usize) {
    let mut order: Vec<usize> = (0..shape.len()).collect();
    for i in (1..order.len()).rev() {
        order.swap(i, draw.below(i + 1));
    }
    let mut strides = vec![0isize; shape.len()];
    let mut step = 1 + draw.below(2);
    for &d in &order {
        strides[d] = step as isize;
        step = step * shape[d] + draw.below(3);
    }
    let offset = draw.below(5);
    let layout = Layout::strided(SmallVec::from_slice(shape), SmallVec::from_slice(&strides), offset);
    (layout, offset + step + 3)
}

#[test]
fn strided_copies_keep_what_lies_between() {
    let Some(gpu) = gpu() else { return };
    let mut draw = Draw(11);
    let shapes: [&[usize]; 7] =
        [&[], &[5], &[3, 4], &[2, 3, 4], &[2, 1, 3, 2], &[2, 3, 2, 2, 3], &[2, 2, 2, 2, 2, 2, 2, 2]];
    for round in 0..60 {
        let shape = shapes[round % shapes.len()];
        let all = dtypes(gpu);
        let (from, to) = (all[draw.below(all.len())], all[draw.below(all.len())]);
        let (a, n) = scattered(&mut draw, shape);
        let (b, m) = scattered(&mut draw, shape);
        let values: Vec<f64> = (0..n).map(|_| draw.below(100) as f64).collect();
        let x = Both::new(gpu, &bytes(&values, from), a, from);
        let marks: Vec<f64> = (0..m).map(|k| (k % 2) as f64).collect();
        let y = Both::new(gpu, &bytes(&marks, to), b, to);
        let what = format!("{shape:?} {from} {:?} to {to} {:?}", x.layout.strides(), y.layout.strides());
        agree(&what, Cpu.copy(x.on_cpu(), y.out_cpu()), gpu.copy(x.on_gpu(), y.out_gpu()));
        y.assert_same(&what);
        let fractions: &[f64] = if to == DType::Bool { &[1.5, 0.5, 0.0, f64::NEG_INFINITY, f64::NAN] } else { &[1.5] };
        for &v in fractions {
            agree(&what, Cpu.fill(Scalar::Float(v), y.out_cpu()), gpu.fill(Scalar::Float(v), y.out_gpu()));
            y.assert_same(&format!("fill {v} {what}"));
        }
    }
}
