//! Factorizations: results and errors of the host, over matrices of the GPU.

mod support;

use smallvec::SmallVec;
use support::{agree, gpu, Both, Draw};
use wengert_cpu::Cpu;
use wengert_gpu::Gpu;
use wengert_ops::{Backend, DType, Layout, Linalg};

/// Runs one routine on both; its outputs have these shapes.
fn check(gpu: Gpu, op: Linalg, inputs: &[&Both], outputs: &[&[usize]]) {
    let dtype = inputs[0].dtype;
    let outs: Vec<Both> = outputs.iter().map(|shape| Both::zeros(gpu, shape, dtype)).collect();
    let what = format!("{op:?} {dtype} {:?}", inputs[0].layout);
    agree(
        &what,
        Cpu.linalg(
            op,
            &inputs.iter().map(|x| x.on_cpu()).collect::<Vec<_>>(),
            &outs.iter().map(|x| x.out_cpu()).collect::<Vec<_>>(),
        ),
        gpu.linalg(
            op,
            &inputs.iter().map(|x| x.on_gpu()).collect::<Vec<_>>(),
            &outs.iter().map(|x| x.out_gpu()).collect::<Vec<_>>(),
        ),
    );
    outs.iter().for_each(|out| out.assert_same(&what));
}

/// Matrices, positive definite if square, some of them seen transposed or from the second on.
fn matrices(gpu: Gpu, draw: &mut Draw, batch: usize, m: usize, n: usize, dtype: DType, turned: bool) -> Both {
    let count = (batch + 1) * m * n;
    let mut values: Vec<f64> = (0..count).map(|_| draw.within(-1.0, 1.0)).collect();
    for (i, v) in values.iter_mut().enumerate() {
        if m == n && (i % (n * n)).is_multiple_of(n + 1) {
            *v += 2.0 * n as f64;
        }
    }
    let (size, m_, n_) = ((m * n) as isize, m as isize, n as isize);
    let layout = match turned {
        true => Layout::strided(SmallVec::from_slice(&[batch, m, n]), SmallVec::from_slice(&[size, 1, m_]), 0),
        false => Layout::strided(SmallVec::from_slice(&[batch, m, n]), SmallVec::from_slice(&[size, n_, 1]), m * n),
    };
    Both::of(gpu, &values, &[count], dtype).seen(layout)
}

#[test]
fn every_routine() {
    let Some(gpu) = gpu() else { return };
    let mut draw = Draw(1);
    for dtype in [DType::F32, DType::F64] {
        for turned in [false, true] {
            for batch in [0, 1, 3] {
                let a = matrices(gpu, &mut draw, batch, 4, 4, dtype, turned);
                let b = matrices(gpu, &mut draw, batch, 4, 2, dtype, turned);
                let (square, vector, one): (&[usize], &[usize], &[usize]) = (&[batch, 4, 4], &[batch, 4], &[batch]);
                for upper in [false, true] {
                    check(gpu, Linalg::Cholesky { upper }, &[&a], &[square]);
                    check(gpu, Linalg::Eigh { upper }, &[&a], &[vector, square]);
                    check(gpu, Linalg::SolveTriangular { upper, unit: turned }, &[&a, &b], &[&[batch, 4, 2]]);
                }
                check(gpu, Linalg::Solve, &[&a, &b], &[&[batch, 4, 2]]);
                check(gpu, Linalg::SlogDet, &[&a], &[one, one]);
                check(gpu, Linalg::Det, &[&a], &[one]);
                check(gpu, Linalg::Inverse, &[&a], &[square]);
                check(gpu, Linalg::Qr { complete: false }, &[&b], &[&[batch, 4, 2], &[batch, 2, 2]]);
                check(gpu, Linalg::Qr { complete: true }, &[&b], &[square, &[batch, 4, 2]]);
                check(gpu, Linalg::Svd { full: false }, &[&b], &[&[batch, 4, 2], &[batch, 2], &[batch, 2, 2]]);
                check(gpu, Linalg::Svd { full: true }, &[&b], &[square, &[batch, 2], &[batch, 2, 2]]);
            }
        }
    }
}

#[test]
fn errors_are_the_hosts() {
    let Some(gpu) = gpu() else { return };
    let zeros = Both::zeros(gpu, &[2, 3, 3], DType::F32);
    check(gpu, Linalg::Inverse, &[&zeros], &[&[2, 3, 3]]);
    check(gpu, Linalg::Cholesky { upper: false }, &[&zeros], &[&[2, 3, 3]]);
    check(gpu, Linalg::Solve, &[&zeros, &zeros], &[&[2, 3, 3]]);
    check(gpu, Linalg::Det, &[&Both::zeros(gpu, &[3, 3], DType::I32)], &[&[]]);
    check(gpu, Linalg::Det, &[&Both::zeros(gpu, &[3, 2], DType::F32)], &[&[]]);
    check(gpu, Linalg::Det, &[&Both::zeros(gpu, &[0, 0], DType::F32)], &[&[]]);
}

#[test]
fn outputs_may_lie_within_a_buffer() {
    let Some(gpu) = gpu() else { return };
    let a = matrices(gpu, &mut Draw(2), 1, 3, 3, DType::F32, false);
    let within = Layout::strided(SmallVec::from_slice(&[1, 3, 3]), SmallVec::from_slice(&[9, 3, 1]), 2);
    let out = Both::zeros(gpu, &[13], DType::F32).seen(within);
    Cpu.linalg(Linalg::Inverse, &[a.on_cpu()], &[out.out_cpu()]).unwrap();
    gpu.linalg(Linalg::Inverse, &[a.on_gpu()], &[out.out_gpu()]).unwrap();
    out.assert_same("inverse");
}
