//! Convolutions in all roles and max pooling, against the CPU.

mod support;

use smallvec::SmallVec;
use std::time::Instant;
use support::{agree, bytes, dtypes, gpu, Both, Draw, WAYS};
use wengert_cpu::Cpu;
use wengert_gpu::{Gpu, Way};
use wengert_ops::{Backend, Category, ConvRole, ConvSpec, DType, Layout, PoolSpec};

const ROLES: [ConvRole; 3] = [ConvRole::Forward, ConvRole::Input, ConvRole::Weight];

fn spec(x: &[usize], w: &[usize], groups: usize, [stride, padding, dilation]: [&[usize]; 3]) -> ConvSpec {
    let [stride, padding, dilation] = [stride, padding, dilation].map(SmallVec::from_slice);
    ConvSpec { stride, padding, dilation, groups, x_shape: SmallVec::from_slice(x), w_shape: SmallVec::from_slice(w) }
}

fn y_shape(spec: &ConvSpec) -> Vec<usize> {
    let mut shape = vec![spec.x_shape[0], spec.w_shape[0]];
    for i in 0..spec.stride.len() {
        let reach = spec.dilation[i] * (spec.w_shape[i + 2] - 1) + 1;
        shape.push((spec.x_shape[i + 2] + 2 * spec.padding[i] - reach) / spec.stride[i] + 1);
    }
    shape
}

/// Numbers of a dtype; with `turned` in an array whose first two dims are exchanged.
fn array(gpu: Gpu, draw: &mut Draw, dtype: DType, shape: &[usize], turned: bool) -> Both {
    let count: usize = shape.iter().product();
    let values: Vec<f64> = (0..count + 1)
        .map(|_| match dtype.category() {
            Category::Float => draw.within(-1.0, 1.0),
            _ => draw.below(if dtype == DType::Bool { 2 } else { 100 }) as f64,
        })
        .collect();
    let mut strides: Vec<isize> = Layout::contiguous(shape).strides().to_vec();
    if turned {
        let rest: usize = shape[2..].iter().product();
        (strides[0], strides[1]) = (rest as isize, (rest * shape[0]) as isize);
    }
    let layout = Layout::strided(SmallVec::from_slice(shape), SmallVec::from_slice(&strides), 1);
    Both::new(gpu, &bytes(&values, dtype), layout, dtype)
}

fn check(gpu: Gpu, draw: &mut Draw, way: Option<Way>, spec: &ConvSpec, dtype: DType, turned: bool) {
    for role in ROLES {
        let y = y_shape(spec);
        let (a, b, out): (&[usize], &[usize], &[usize]) = match role {
            ConvRole::Forward => (&spec.x_shape, &spec.w_shape, &y),
            ConvRole::Input => (&y, &spec.w_shape, &spec.x_shape),
            ConvRole::Weight => (&y, &spec.x_shape, &spec.w_shape),
        };
        let (a, b) = (array(gpu, draw, dtype, a, turned), array(gpu, draw, dtype, b, turned));
        let out = array(gpu, draw, dtype, out, false);
        let what = format!("{way:?} {role:?} {dtype} {spec:?}");
        let on_gpu = match way {
            Some(way) => gpu.conv_by(way, role, spec, a.on_gpu(), b.on_gpu(), out.out_gpu()),
            None => gpu.conv(role, spec, a.on_gpu(), b.on_gpu(), out.out_gpu()),
        };
        agree(&what, Cpu.conv(role, spec, a.on_cpu(), b.on_cpu(), out.out_cpu()), on_gpu);
        let absolute = if dtype == DType::F64 { 1e-13 } else { 1e-4 };
        match dtype.category() {
            Category::Float => out.assert_close(1.0, absolute, &what),
            _ => out.assert_same(&what),
        }
    }
}

#[test]
fn every_dtype_by_every_kernel() {
    let Some(gpu) = gpu() else { return };
    let mut draw = Draw(1);
    let plain = spec(&[2, 6, 7, 8], &[4, 3, 3, 2], 2, [&[1, 1], &[1, 0], &[1, 1]]);
    let odd = spec(&[2, 6, 7, 8], &[4, 3, 3, 2], 2, [&[2, 3], &[1, 2], &[2, 1]]);
    for dtype in dtypes(gpu) {
        check(gpu, &mut draw, None, &plain, dtype, true);
        check(gpu, &mut draw, None, &odd, dtype, false);
    }
    for way in WAYS {
        for dtype in [DType::F32, DType::I32] {
            check(gpu, &mut draw, way, &plain, dtype, false);
            check(gpu, &mut draw, way, &odd, dtype, true);
        }
    }
}

#[test]
fn every_geometry() {
    let Some(gpu) = gpu() else { return };
    let mut draw = Draw(2);
    let shapes: [(&[usize], &[usize], usize); 9] = [
        (&[2, 3, 11], &[4, 3, 3], 1),
        (&[1, 4, 5], &[6, 2, 1], 2),
        (&[3, 4, 9, 7], &[4, 1, 3, 3], 4),
        (&[2, 3, 5, 6], &[5, 3, 1, 1], 1),
        (&[1, 1, 5, 5], &[1, 1, 5, 5], 1),
        (&[2, 8, 12, 12], &[16, 8, 3, 3], 1),
        (&[1, 2, 4, 5, 6], &[3, 2, 2, 3, 2], 1),
        (&[2, 4, 5, 4, 6], &[4, 2, 3, 2, 2], 2),
        (&[4, 3, 40], &[2, 3, 4], 1),
    ];
    for (x, w, groups) in shapes {
        for (stride, padding, dilation) in [(1, 0, 1), (1, 1, 1), (2, 0, 1), (2, 1, 1), (1, 2, 2), (3, 2, 2)] {
            let d = x.len() - 2;
            let reach = |i: usize| dilation * (w[i] - 1) + 1;
            if (2..x.len()).any(|i| x[i] + 2 * padding < reach(i)) {
                continue;
            }
            let all = [vec![stride; d], vec![padding; d], vec![dilation; d]];
            let spec = spec(x, w, groups, [&all[0], &all[1], &all[2]]);
            check(gpu, &mut draw, None, &spec, DType::F32, false);
            check(gpu, &mut draw, Some(Way::Tiles), &spec, DType::F32, false);
        }
    }
}

#[test]
fn nothing_and_errors() {
    let Some(gpu) = gpu() else { return };
    let mut draw = Draw(3);
    let ones: [&[usize]; 3] = [&[1, 1], &[1, 1], &[1, 1]];
    for (x, w) in [([0, 3, 4, 4], [2, 3, 3, 3]), ([2, 0, 4, 4], [2, 0, 3, 3]), ([2, 3, 4, 4], [0, 3, 3, 3])] {
        check(gpu, &mut draw, None, &spec(&x, &w, 1, ones), DType::F32, false);
    }
    let wrong = [
        spec(&[1, 3, 4, 4], &[2, 2, 3, 3], 1, ones),
        spec(&[1, 3, 4, 4], &[2, 3, 3, 3], 0, ones),
        spec(&[1, 3, 4, 4], &[2, 3, 9, 3], 1, ones),
        spec(&[1, 3, 4, 4], &[2, 3, 3, 3], 1, [&[0, 1], &[1, 1], &[1, 1]]),
    ];
    let x = Both::zeros(gpu, &[1, 3, 4, 4], DType::F32);
    let w = Both::zeros(gpu, &[2, 3, 3, 3], DType::F32);
    for spec in wrong.iter().chain([&spec(&[1, 3, 4, 4], &[2, 3, 3, 3], 1, ones)]) {
        let cpu = Cpu.conv(ConvRole::Forward, spec, x.on_cpu(), w.on_cpu(), x.out_cpu());
        agree(&format!("{spec:?}"), cpu, gpu.conv(ConvRole::Forward, spec, x.on_gpu(), w.on_gpu(), x.out_gpu()));
    }
}

#[test]
fn what_is_not_finite_stays_where_it_is() {
    let Some(gpu) = gpu() else { return };
    let spec = spec(&[1, 1, 9], &[1, 1, 3], 1, [&[1], &[1], &[1]]);
    let x = Both::of(gpu, &[1.0, 2.0, f64::NAN, 3.0, 4.0, 5.0, 6.0, f64::INFINITY, 1.0], &[1, 1, 9], DType::F32);
    let w = Both::of(gpu, &[1.0, 2.0, 1.0], &[1, 1, 3], DType::F32);
    let y = Both::zeros(gpu, &[1, 1, 9], DType::F32);
    Cpu.conv(ConvRole::Forward, &spec, x.on_cpu(), w.on_cpu(), y.out_cpu()).unwrap();
    for way in WAYS.into_iter().flatten() {
        gpu.conv_by(way, ConvRole::Forward, &spec, x.on_gpu(), w.on_gpu(), y.out_gpu()).unwrap();
        y.assert_close(1.0, 1e-6, &format!("{way:?}"));
    }
}

/// Pools on both; the outputs' shape follows from the windows.
fn pool(gpu: Gpu, x: &Both, spec: &PoolSpec) {
    let (shape, d) = (x.layout.shape(), spec.kernel.len());
    let mut out = shape.to_vec();
    for i in 0..d {
        let at = shape.len() - d + i;
        let room = shape[at] + 2 * spec.padding[i] - spec.dilation[i] * (spec.kernel[i] - 1) - 1;
        out[at] = if spec.ceil_mode { room.div_ceil(spec.stride[i]) } else { room / spec.stride[i] } + 1;
    }
    let (values, indices) = (Both::zeros(gpu, &out, x.dtype), Both::zeros(gpu, &out, DType::I64));
    let what = format!("{} {:?} {spec:?}", x.dtype, x.layout);
    agree(
        &what,
        Cpu.max_pool(spec, x.on_cpu(), values.out_cpu(), indices.out_cpu()),
        gpu.max_pool(spec, x.on_gpu(), values.out_gpu(), indices.out_gpu()),
    );
    values.assert_same(&what);
    indices.assert_same(&what);
}

fn window(d: usize, kernel: usize, [stride, padding, dilation]: [usize; 3], ceil_mode: bool) -> PoolSpec {
    let all = |n: usize| SmallVec::from_elem(n, d);
    PoolSpec { kernel: all(kernel), stride: all(stride), padding: all(padding), dilation: all(dilation), ceil_mode }
}

#[test]
fn max_pool_of_every_dtype_and_window() {
    let Some(gpu) = gpu() else { return };
    let mut draw = Draw(4);
    for dtype in dtypes(gpu) {
        for d in 1..=3 {
            let shape = &[2, 3, 9, 8, 10][..2 + d];
            for (round, numbers) in [[2, 0, 1], [1, 1, 1], [3, 1, 2], [2, 1, 3]].into_iter().enumerate() {
                let x = array(gpu, &mut draw, dtype, shape, round % 2 == 1);
                for ceil_mode in [false, true] {
                    pool(gpu, &x, &window(d, 3, numbers, ceil_mode));
                }
            }
        }
    }
}

#[test]
fn max_pool_of_nan_infinity_and_large_numbers() {
    let Some(gpu) = gpu() else { return };
    let (nan, inf) = (f64::NAN, f64::INFINITY);
    let values =
        [1.0, nan, 2.0, nan, -inf, -inf, inf, 3.0, -0.0, 0.0, 5e9, -5e9, 4294967297.0, 1.0, -1.0, 4294967296.0];
    for dtype in dtypes(gpu) {
        let x = Both::of(gpu, &values, &[4, 4], dtype);
        pool(gpu, &x, &window(2, 2, [1, 1, 1], false));
        let x = Both::of(gpu, &values, &[16], dtype);
        pool(gpu, &x, &window(1, 3, [1, 0, 1], false));
        pool(gpu, &x, &window(1, 2, [2, 0, 1], false));
    }
    let x = Both::zeros(gpu, &[0, 4, 4], DType::F32);
    pool(gpu, &x, &window(2, 2, [1, 0, 1], false));
}

#[test]
fn max_pool_refuses_windows_of_padding() {
    let Some(gpu) = gpu() else { return };
    let x = Both::zeros(gpu, &[1, 1, 4], DType::F32);
    pool(gpu, &x, &window(1, 2, [1, 2, 1], false));
    let (values, indices) = (Both::zeros(gpu, &[1, 1, 9], DType::F32), Both::zeros(gpu, &[1, 1, 9], DType::I64));
    let spec = window(1, 2, [1, 0, 1], false);
    agree(
        "too many windows",
        Cpu.max_pool(&spec, x.on_cpu(), values.out_cpu(), indices.out_cpu()),
        gpu.max_pool(&spec, x.on_gpu(), values.out_gpu(), indices.out_gpu()),
    );
    agree(
        "dtypes",
        Cpu.max_pool(&spec, x.on_cpu(), indices.out_cpu(), indices.out_cpu()),
        gpu.max_pool(&spec, x.on_gpu(), indices.out_gpu(), indices.out_gpu()),
    );
}

#[test]
#[ignore = "a measurement"]
fn speed() {
    let Some(gpu) = gpu() else { return };
    let mut draw = Draw(5);
    let spec = spec(&[8, 32, 28, 28], &[32, 32, 3, 3], 1, [&[1, 1], &[1, 1], &[1, 1]]);
    let x = array(gpu, &mut draw, DType::F32, &spec.x_shape, false);
    let w = array(gpu, &mut draw, DType::F32, &spec.w_shape, false);
    let y = array(gpu, &mut draw, DType::F32, &y_shape(&spec), false);
    for role in ROLES {
        let (a, b, out) = match role {
            ConvRole::Forward => (&x, &w, &y),
            ConvRole::Input => (&y, &w, &x),
            ConvRole::Weight => (&y, &x, &w),
        };
        for way in WAYS.into_iter().filter(|w| *w != Some(Way::Dots)) {
            let run = || {
                let start = Instant::now();
                match way {
                    Some(way) => gpu.conv_by(way, role, &spec, a.on_gpu(), b.on_gpu(), out.out_gpu()).unwrap(),
                    None => gpu.conv(role, &spec, a.on_gpu(), b.on_gpu(), out.out_gpu()).unwrap(),
                }
                gpu.synchronize().unwrap();
                start.elapsed().as_secs_f64()
            };
            run();
            let best = (0..3).map(|_| run()).fold(f64::MAX, f64::min);
            let flops = 2.0 * (8 * 32 * 28 * 28 * 32 * 9) as f64 / 1e9;
            println!("{role:?} {way:?}: {:.1} ms, {:.2} GFLOP/s", best * 1e3, flops / best);
        }
    }
}
