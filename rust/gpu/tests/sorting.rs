//! Stable sorting of every dtype along every dim, and the first k of a line.

mod support;

use smallvec::SmallVec;
use support::{agree, bytes, gpu, Both, Draw};
use wengert_cpu::Cpu;
use wengert_gpu::Gpu;
use wengert_ops::{Backend, DType, Layout};

/// Sorts on both backends, the first `k` of each line, and compares values and positions.
fn check(gpu: Gpu, x: &Both, dim: usize, k: usize, what: &str) {
    let mut shape: Vec<usize> = x.layout.shape().to_vec();
    if let Some(n) = shape.get_mut(dim) {
        *n = k;
    }
    for descending in [false, true] {
        let what = format!("{what} {} dim {dim} k {k} descending {descending}", x.dtype);
        let (values, places) = (Both::zeros(gpu, &shape, x.dtype), Both::zeros(gpu, &shape, DType::I64));
        agree(
            &what,
            Cpu.sort(x.on_cpu(), dim, descending, values.out_cpu(), places.out_cpu()),
            gpu.sort(x.on_gpu(), dim, descending, values.out_gpu(), places.out_gpu()),
        );
        places.assert_same(&what);
        let (a, b) = values.contents();
        assert_eq!(a, b, "{what}");
    }
}

fn values(d: &mut Draw, n: usize, dtype: DType) -> Vec<u8> {
    if matches!(dtype, DType::I64) {
        return (0..n).flat_map(|_| ((d.unit() - 0.5) * 1e19).to_ne_bytes().map(|b| b & 0xf3)).collect();
    }
    let special = [f64::NAN, 0.0, -0.0, f64::INFINITY, f64::NEG_INFINITY, 1.0, -1.0];
    let numbers: Vec<f64> = (0..n)
        .map(|_| match d.below(3) {
            0 if dtype.is_float() => special[d.below(7)],
            1 => d.below(9) as f64 - 4.0,
            _ => d.within(-120.0, 120.0),
        })
        .collect();
    bytes(&numbers, dtype)
}

#[test]
fn every_dtype_and_dim() {
    let Some(gpu) = gpu() else { return };
    let mut d = Draw(1);
    for dtype in DType::ALL {
        for shape in [&[][..], &[1], &[37], &[300, 3], &[5, 2, 7], &[0, 4], &[3, 0]] {
            let n: usize = shape.iter().product();
            let x = Both::new(gpu, &values(&mut d, n, dtype), Layout::contiguous(shape), dtype);
            for dim in 0..shape.len().max(1) {
                let len = shape.get(dim).copied().unwrap_or(1);
                check(gpu, &x, dim, len, &format!("{shape:?}"));
                check(gpu, &x, dim, len.div_ceil(2), &format!("{shape:?}"));
            }
        }
    }
}

#[test]
fn long_lines() {
    let Some(gpu) = gpu() else { return };
    let mut d = Draw(2);
    for (dtype, shape, dim) in [
        (DType::F32, &[1024][..], 0),
        (DType::F32, &[1025], 0),
        (DType::I64, &[5000], 0),
        (DType::U8, &[9001], 0),
        (DType::F64, &[2, 3000], 1),
        (DType::F16, &[2500, 3], 0),
        (DType::F32, &[100_003], 0),
    ] {
        let n: usize = shape.iter().product();
        let x = Both::new(gpu, &values(&mut d, n, dtype), Layout::contiguous(shape), dtype);
        let ks: &[usize] = if n > 50_000 { &[n, 17] } else { &[shape[dim], shape[dim] / 3, 256, 17, 1, 0] };
        for &k in ks {
            check(gpu, &x, dim, k, &format!("{shape:?}"));
        }
    }
}

#[test]
fn strided_inputs_and_outputs() {
    let Some(gpu) = gpu() else { return };
    let mut d = Draw(3);
    let strided = |shape: &[usize], strides: &[isize], offset| {
        Layout::strided(SmallVec::from_slice(shape), SmallVec::from_slice(strides), offset)
    };
    for dtype in [DType::F32, DType::U8, DType::F64, DType::BF16] {
        let raw = values(&mut d, 200, dtype);
        for (layout, dim) in [
            (strided(&[6, 5], &[1, 7], 3), 0),
            (strided(&[6, 5], &[1, 7], 3), 1),
            (strided(&[4, 5, 3], &[0, 2, 11], 1), 2),
            (strided(&[9], &[-3], 40), 0),
        ] {
            let x = Both::new(gpu, &raw, layout, dtype);
            check(gpu, &x, dim, x.layout.shape()[dim], "strided");
            // Outputs with gaps; what lies between stays.
            let shape = x.layout.shape().to_vec();
            let (mut step, mut strides) = (2isize, Vec::new());
            for &n in &shape {
                strides.push(step);
                step = step * n as isize + 1;
            }
            let gaps = strided(&shape, &strides, 1);
            let v = Both::new(gpu, &vec![0; step as usize * dtype.size() + 16], gaps.clone(), dtype);
            let i = Both::new(gpu, &vec![0; step as usize * 8 + 16], gaps, DType::I64);
            Cpu.sort(x.on_cpu(), dim, true, v.out_cpu(), i.out_cpu()).unwrap();
            gpu.sort(x.on_gpu(), dim, true, v.out_gpu(), i.out_gpu()).unwrap();
            i.assert_same("gaps");
            v.assert_same("gaps");
        }
    }
}

#[test]
fn in_place() {
    let Some(gpu) = gpu() else { return };
    let x = Both::of(gpu, &[3.0, 1.0, 2.0, 0.0, 5.0], &[5], DType::I16);
    let i = Both::zeros(gpu, &[5], DType::I64);
    Cpu.sort(x.on_cpu(), 0, false, x.out_cpu(), i.out_cpu()).unwrap();
    gpu.sort(x.on_gpu(), 0, false, x.out_gpu(), i.out_gpu()).unwrap();
    x.assert_same("values");
    i.assert_same("positions");
}

#[test]
fn errors() {
    let Some(gpu) = gpu() else { return };
    let x = Both::zeros(gpu, &[3, 4], DType::F32);
    let (v, i) = (Both::zeros(gpu, &[3, 5], DType::F32), Both::zeros(gpu, &[3, 5], DType::I64));
    agree(
        "shape",
        Cpu.sort(x.on_cpu(), 1, false, v.out_cpu(), i.out_cpu()),
        gpu.sort(x.on_gpu(), 1, false, v.out_gpu(), i.out_gpu()),
    );
    agree(
        "dtype",
        Cpu.sort(x.on_cpu(), 1, false, i.out_cpu(), i.out_cpu()),
        gpu.sort(x.on_gpu(), 1, false, i.out_gpu(), i.out_gpu()),
    );
}
