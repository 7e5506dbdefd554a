//! Products of matrices: every kernel and dtype, over layouts of all kinds, against the CPU.

mod support;

use smallvec::SmallVec;
use std::time::Instant;
use support::{agree, bytes, dtypes, gpu, Both, Draw, WAYS};
use wengert_cpu::Cpu;
use wengert_gpu::{Gpu, Way};
use wengert_ops::{Backend, Category, DType, Layout, View, ViewMut};

/// A layout of `shape` with the dims of `order` from the innermost, gaps between them, and no steps in `repeated` dims.
fn layout(shape: &[usize], order: &[usize], gap: usize, repeated: &[usize]) -> (Layout, usize) {
    let mut strides = vec![0isize; shape.len()];
    let mut step = 1;
    for &d in order.iter().filter(|d| !repeated.contains(d)) {
        strides[d] = step as isize;
        step = step * shape[d].max(1) + gap;
    }
    let offset = 3 * gap;
    (Layout::strided(SmallVec::from_slice(shape), SmallVec::from_slice(&strides), offset), offset + step + gap)
}

fn numbers(draw: &mut Draw, count: usize, dtype: DType) -> Vec<f64> {
    let float = dtype.category() == Category::Float;
    (0..count)
        .map(|_| match float {
            true => draw.within(-1.0, 1.0),
            false if dtype == DType::Bool => draw.below(2) as f64,
            false => draw.below(200) as f64 - if dtype == DType::U8 { 0.0 } else { 100.0 },
        })
        .collect()
}

fn array(gpu: Gpu, draw: &mut Draw, dtype: DType, at: (Layout, usize)) -> Both {
    let values = numbers(draw, at.1, dtype);
    Both::new(gpu, &bytes(&values, dtype), at.0, dtype)
}

/// Multiplies on both; `out` begins with other numbers.
fn check(gpu: Gpu, way: Option<Way>, a: &Both, b: &Both, accumulate: bool, what: &str) {
    let r = a.layout.rank();
    let mut shape = a.layout.shape().to_vec();
    shape[r - 1] = b.layout.shape()[r - 1];
    let count: usize = shape.iter().product();
    let out = Both::new(
        gpu,
        &bytes(&numbers(&mut Draw(5), count + 2, a.dtype), a.dtype),
        Layout::strided(SmallVec::from_slice(&shape), Layout::contiguous(&shape).strides().into(), 1),
        a.dtype,
    );
    let (strides, dtype) = ((a.layout.strides(), b.layout.strides()), a.dtype);
    let what = format!("{what}: {way:?} {dtype} {:?} @ {:?}, {strides:?}", a.layout.shape(), b.layout.shape());
    let on_gpu = match way {
        Some(way) => gpu.matmul_by(way, a.on_gpu(), b.on_gpu(), accumulate, out.out_gpu()),
        None => gpu.matmul(a.on_gpu(), b.on_gpu(), accumulate, out.out_gpu()),
    };
    agree(&what, Cpu.matmul(a.on_cpu(), b.on_cpu(), accumulate, out.out_cpu()), on_gpu);
    let k = a.layout.shape()[r - 1] as f64;
    let eps = if dtype == DType::F64 { 1e-16 } else { 1e-7 };
    match dtype.category() {
        Category::Float => out.assert_close(if dtype.size() < 4 { 1.0 } else { 8.0 }, eps * (k + 4.0), &what),
        _ => out.assert_same(&what),
    }
}

fn plain(gpu: Gpu, draw: &mut Draw, dtype: DType, shape: &[usize]) -> Both {
    let order: Vec<usize> = (0..shape.len()).rev().collect();
    array(gpu, draw, dtype, layout(shape, &order, 0, &[]))
}

#[test]
fn every_dtype_by_every_kernel() {
    let Some(gpu) = gpu() else { return };
    let mut draw = Draw(1);
    for dtype in dtypes(gpu) {
        for way in WAYS {
            let a = plain(gpu, &mut draw, dtype, &[2, 37, 19]);
            let b = plain(gpu, &mut draw, dtype, &[2, 19, 45]);
            check(gpu, way, &a, &b, false, "plain");
            check(gpu, way, &a, &b, true, "added");
        }
    }
}

#[test]
fn every_shape_of_tile() {
    let Some(gpu) = gpu() else { return };
    let mut draw = Draw(2);
    // Of each size class, with and without rests, and what is larger than one pass over the inner dimension.
    let shapes = [
        (1, 1, 1, 1),
        (1, 1, 300, 70),
        (1, 70, 300, 1),
        (3, 2, 5, 2),
        (2, 3, 17, 9),
        (1, 33, 16, 33),
        (1, 64, 64, 64),
        (64, 65, 7, 66),
        (1, 129, 33, 131),
        (32, 129, 5, 130),
        (1, 8, 5000, 8),
        (1, 40, 2500, 40),
    ];
    for (batch, m, k, n) in shapes {
        for way in WAYS {
            if (batch * m * n * k > 1 << 21) && way == Some(Way::Dots) {
                continue;
            }
            let a = plain(gpu, &mut draw, DType::F32, &[batch, m, k]);
            let b = plain(gpu, &mut draw, DType::F32, &[batch, k, n]);
            check(gpu, way, &a, &b, false, "plain");
            check(gpu, way, &a, &b, true, "added");
        }
    }
}

#[test]
fn matrices_that_are_read_by_fours() {
    let Some(gpu) = gpu() else { return };
    let mut draw = Draw(11);
    let orders: [&[usize]; 3] = [&[2, 1, 0], &[1, 2, 0], &[2, 0, 1]];
    // Offsets and sizes that four divides, and some that it does not.
    for (m, k, n) in [(4, 4, 4), (36, 20, 132), (132, 52, 36), (36, 18, 130), (33, 20, 35)] {
        for (turn, (a, b)) in orders.into_iter().flat_map(|a| orders.into_iter().map(move |b| (a, b))).enumerate() {
            let a = array(gpu, &mut draw, DType::F32, layout(&[3, m, k], a, 4 * (turn % 3), &[]));
            let b = array(gpu, &mut draw, DType::F32, layout(&[3, k, n], b, turn % 5, &[]));
            for way in [Way::Tiles, Way::Ahead] {
                check(gpu, Some(way), &a, &b, turn % 2 == 1, "by fours");
            }
        }
    }
    // Both matrices are one buffer.
    let x = array(gpu, &mut draw, DType::F32, layout(&[36, 36], &[1, 0], 0, &[]));
    check(gpu, Some(Way::Ahead), &x, &x, false, "a square");
}

#[test]
fn halves_by_cooperative_matrices() {
    let Some(gpu) = gpu() else { return };
    let mut draw = Draw(12);
    // Whole squares and blocks, and rests; inner dimensions that are split into parts.
    let shapes =
        [(1, 16, 16, 16), (1, 64, 64, 64), (3, 65, 33, 70), (1, 130, 100, 97), (2, 17, 300, 17), (1, 40, 2500, 40)];
    let orders: [&[usize]; 3] = [&[2, 1, 0], &[1, 2, 0], &[2, 0, 1]];
    for (turn, (batch, m, k, n)) in shapes.into_iter().enumerate() {
        for (a, b) in orders.into_iter().flat_map(|a| orders.into_iter().map(move |b| (a, b))) {
            let a = array(gpu, &mut draw, DType::F16, layout(&[batch, m, k], a, turn % 3, &[]));
            let b = array(gpu, &mut draw, DType::F16, layout(&[batch, k, n], b, turn % 2, &[]));
            for way in [None, Some(Way::Cooperative)] {
                check(gpu, way, &a, &b, turn % 2 == 1, "halves");
            }
        }
    }
    // What is not finite stays in its line, and what lies beyond the ends is not counted.
    let odd = |size: usize| -> Vec<f64> {
        let odd = [f64::INFINITY, f64::NEG_INFINITY, f64::NAN, 60000.0];
        (0..size).map(|n| if n % 97 == 5 { odd[n % 4] } else { 1.0 }).collect()
    };
    let (a, b) =
        (Both::of(gpu, &odd(40 * 21), &[40, 21], DType::F16), Both::of(gpu, &odd(21 * 35), &[21, 35], DType::F16));
    check(gpu, Some(Way::Cooperative), &a, &b, false, "not finite");
}

#[test]
fn every_layout() {
    let Some(gpu) = gpu() else { return };
    let mut draw = Draw(3);
    let orders: [&[usize]; 6] = [&[2, 1, 0], &[1, 2, 0], &[2, 0, 1], &[0, 1, 2], &[1, 0, 2], &[0, 2, 1]];
    let repeated: [&[usize]; 5] = [&[], &[0], &[1], &[2], &[0, 1, 2]];
    for (round, order) in orders.into_iter().enumerate() {
        for (turn, repeated_a) in repeated.into_iter().enumerate() {
            let repeated_b = repeated[(turn + round) % 5];
            let other = orders[(round + turn) % 6];
            for dtype in [DType::F32, DType::I16] {
                let a = array(gpu, &mut draw, dtype, layout(&[3, 21, 18], order, round % 3, repeated_a));
                let b = array(gpu, &mut draw, dtype, layout(&[3, 18, 23], other, turn % 3, repeated_b));
                for way in WAYS {
                    check(gpu, way, &a, &b, turn % 2 == 1, "layout");
                }
            }
        }
    }
    // Vectors: a dim of 1, whatever its stride says.
    for way in WAYS {
        for (m, k, n) in [(1, 130, 20), (20, 130, 1), (1, 130, 1), (20, 1, 20)] {
            let a = array(gpu, &mut draw, DType::F32, layout(&[m, k], &[0, 1], 2, &[]));
            let b = array(gpu, &mut draw, DType::F32, layout(&[k, n], &[0, 1], 1, &[]));
            check(gpu, way, &a, &b, false, "vector");
        }
    }
}

#[test]
fn batches_of_many_dims() {
    let Some(gpu) = gpu() else { return };
    let mut draw = Draw(4);
    let shape = [2, 3, 2, 2, 2, 3, 2];
    for rank in 0..=shape.len() {
        for dtype in [DType::F32, DType::I64] {
            let lead = &shape[..rank];
            let (a, b) = ([lead, &[3, 4]].concat(), [lead, &[4, 5]].concat());
            // Batch dims in the opposite order, so that they do not merge; every second one repeated in b.
            let order: Vec<usize> = [rank + 1, rank].into_iter().chain(0..rank).collect();
            let twice: Vec<usize> = (0..rank).step_by(2).collect();
            let a = array(gpu, &mut draw, dtype, layout(&a, &order, 1, &[]));
            let b = array(gpu, &mut draw, dtype, layout(&b, &order, 0, &twice));
            check(gpu, None, &a, &b, false, "batch");
        }
    }
}

#[test]
fn nothing_to_multiply() {
    let Some(gpu) = gpu() else { return };
    let mut draw = Draw(5);
    for (batch, m, k, n) in [(2, 3, 0, 4), (0, 3, 2, 4), (2, 0, 2, 4), (2, 3, 2, 0), (2, 0, 0, 0)] {
        for dtype in dtypes(gpu) {
            let a = plain(gpu, &mut draw, dtype, &[batch, m, k]);
            let b = plain(gpu, &mut draw, dtype, &[batch, k, n]);
            for accumulate in [false, true] {
                check(gpu, None, &a, &b, accumulate, "empty");
            }
        }
    }
}

#[test]
fn integers_wrap_and_nan_and_infinity_stay() {
    let Some(gpu) = gpu() else { return };
    let big = [i64::MAX as f64, -1e18, 4294967297.0, 65537.0, 1e15, -7.0, 2147483648.0, 3.0, -1.0];
    for dtype in [DType::I64, DType::I32, DType::I16] {
        let (a, b) = (Both::of(gpu, &big, &[3, 3], dtype), Both::of(gpu, &big, &[3, 3], dtype));
        check(gpu, None, &a, &b, true, "wrapping");
    }
    let odd = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.0, 1.0, 2.0, 3.0, -0.0, f64::INFINITY];
    for way in WAYS {
        // More lines than values, so that what is beyond the end of a tile must not be counted.
        let a = Both::of(gpu, &odd, &[9, 1], DType::F32);
        let b = Both::of(gpu, &[odd[1], 1.0, 0.0, 2.0], &[1, 4], DType::F32);
        check(gpu, way, &a, &b, false, "not numbers");
        let a = Both::of(gpu, &odd, &[1, 9], DType::F32);
        let b = Both::of(gpu, &[1.0; 9], &[9, 1], DType::F32);
        check(gpu, way, &a, &b, false, "not numbers");
    }
}

#[test]
fn one_buffer_holds_all_three() {
    let Some(gpu) = gpu() else { return };
    for dtype in dtypes(gpu) {
        let values = numbers(&mut Draw(6), 3 * 64, dtype);
        let part = |n: usize| Layout::strided(SmallVec::from_slice(&[8, 8]), SmallVec::from_slice(&[8, 1]), 64 * n);
        let all = Both::new(gpu, &bytes(&values, dtype), part(0), dtype);
        let [a, b, c] = [0, 1, 2].map(part);
        let (cpu, on) = (&all.cpu, &all.gpu);
        // SAFETY: the three parts lie apart.
        let (x, y) = unsafe { (ViewMut::new(cpu, &c, dtype), ViewMut::new(on, &c, dtype)) };
        let view = |layout| View { buffer: cpu, layout, dtype };
        Cpu.matmul(view(&a), view(&b), true, x).unwrap();
        let view = |layout| View { buffer: on, layout, dtype };
        gpu.matmul(view(&a), view(&b), true, y).unwrap();
        match dtype.category() {
            Category::Float => all.assert_close(1.0, 1e-6, &format!("{dtype}")),
            _ => all.assert_same(&format!("{dtype}")),
        }
    }
}

#[test]
fn errors_are_the_cpus() {
    let Some(gpu) = gpu() else { return };
    let a = Both::zeros(gpu, &[2, 3], DType::F32);
    let b = Both::zeros(gpu, &[4, 5], DType::F32);
    let out = Both::zeros(gpu, &[2, 5], DType::F32);
    agree(
        "sizes",
        Cpu.matmul(a.on_cpu(), b.on_cpu(), false, out.out_cpu()),
        gpu.matmul(a.on_gpu(), b.on_gpu(), false, out.out_gpu()),
    );
    let b = Both::zeros(gpu, &[3, 5], DType::F64);
    agree(
        "dtypes",
        Cpu.matmul(a.on_cpu(), b.on_cpu(), false, out.out_cpu()),
        gpu.matmul(a.on_gpu(), b.on_gpu(), false, out.out_gpu()),
    );
}

/// Seconds of all processors that this process has used: what other processes do does not count.
fn processor_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<f64> =
        stat.rsplit(')').next().unwrap_or_default().split_whitespace().filter_map(|f| f.parse().ok()).collect();
    // Without the state's letter, user and system time are fields 10 and 11, in hundredths.
    fields.get(10..12).map_or(0.0, |f| (f[0] + f[1]) / 100.0)
}

#[test]
#[ignore = "a measurement"]
fn speed() {
    let Some(gpu) = gpu() else { return };
    let n = std::env::var("N").ok().and_then(|n| n.parse().ok()).unwrap_or(512);
    let mut draw = Draw(7);
    for dtype in [DType::F32, DType::F16] {
        let a = plain(gpu, &mut draw, dtype, &[n, n]);
        let b = plain(gpu, &mut draw, dtype, &[n, n]);
        let out = Both::zeros(gpu, &[n, n], dtype);
        for way in WAYS.into_iter().filter(|w| *w != Some(Way::Dots)) {
            let run = || {
                let start = Instant::now();
                match way {
                    Some(way) => gpu.matmul_by(way, a.on_gpu(), b.on_gpu(), false, out.out_gpu()).unwrap(),
                    None => gpu.matmul(a.on_gpu(), b.on_gpu(), false, out.out_gpu()).unwrap(),
                }
                gpu.synchronize().unwrap();
                start.elapsed().as_secs_f64()
            };
            run();
            let before = processor_seconds();
            let best = (0..3).map(|_| run()).fold(f64::MAX, f64::min);
            let used = (processor_seconds() - before) / 3.0;
            let flops = 2.0 * (n as f64).powi(3) / 1e9;
            println!(
                "{n}³ {dtype} {way:?}: {:.1} ms, {:.2} GFLOP/s; {:.1} ms of processors, {:.2} GFLOP/s of one",
                best * 1e3,
                flops / best,
                used * 1e3,
                flops / used
            );
        }
    }
}
