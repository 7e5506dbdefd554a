//! gather, scatter, index, index_put and nonzero: every dtype, every kind of layout, equal indices, and their errors.

mod support;

use smallvec::SmallVec;
use support::{agree, bytes, dtypes, gpu, has, Both, Draw};
use wengert_cpu::Cpu;
use wengert_gpu::Gpu;
use wengert_ops::layout::expand_to;
use wengert_ops::{Backend, DType, Layout, ScatterMode};

fn strided(shape: &[usize], strides: &[isize], offset: usize) -> Layout {
    Layout::strided(SmallVec::from_slice(shape), SmallVec::from_slice(strides), offset)
}

/// Small whole numbers that every dtype holds, and of which sums are exact.
fn draw(draw: &mut Draw, n: usize, dtype: DType) -> Vec<f64> {
    let (low, span) = match dtype {
        DType::Bool => (0, 2),
        DType::U8 => (0, 5),
        _ => (-3, 7),
    };
    (0..n).map(|_| (draw.below(span) as i64 + low) as f64).collect()
}

/// A layout of `shape` in a buffer: row-major, transposed with gaps, or row-major not from the start.
fn layout(kind: usize, shape: &[usize]) -> (Layout, usize) {
    let numel: usize = shape.iter().product();
    match kind {
        0 => (Layout::contiguous(shape), numel),
        1 => {
            let (mut step, mut strides) = (1isize, SmallVec::<[isize; 4]>::new());
            for &n in shape {
                strides.push(step);
                step = step * n as isize + 1;
            }
            (strided(shape, &strides, 3), step as usize + 5)
        }
        _ => {
            let c = Layout::contiguous(shape);
            (strided(shape, c.strides(), 1), numel + 3)
        }
    }
}

fn array(gpu: Gpu, d: &mut Draw, kind: usize, shape: &[usize], dtype: DType) -> Both {
    let (layout, n) = layout(kind, shape);
    Both::new(gpu, &bytes(&draw(d, n, dtype), dtype), layout, dtype)
}

fn picks(gpu: Gpu, d: &mut Draw, kind: usize, shape: &[usize], low: i64, high: usize) -> Both {
    let (layout, n) = layout(kind, shape);
    let span = (high as i64 - low) as usize;
    let values: Vec<f64> = (0..n).map(|_| (d.below(span) as i64 + low) as f64).collect();
    Both::new(gpu, &bytes(&values, DType::I64), layout, DType::I64)
}

#[test]
fn gather_and_scatter_of_every_dtype() {
    let Some(gpu) = gpu() else { return };
    let mut d = Draw(1);
    for dtype in dtypes(gpu) {
        for kind in 0..3 {
            for (shape, dim, index) in [
                (&[5, 7][..], 0, &[3, 7][..]),
                (&[5, 7], 1, &[4, 11]),
                (&[4, 3, 6], 1, &[4, 9, 5]),
                (&[9], 0, &[20]),
                (&[], 0, &[]),
                (&[], 0, &[3]),
                (&[4, 3], 1, &[4, 0]),
            ] {
                let what = format!("{dtype} {kind} {shape:?} {dim} {index:?}");
                let x = array(gpu, &mut d, kind, shape, dtype);
                let size = shape.get(dim).copied().unwrap_or(1);
                let i = picks(gpu, &mut d, (kind + dim) % 3, index, 0, size);
                let y = array(gpu, &mut d, kind, index, dtype);
                agree(
                    &format!("gather {what}"),
                    Cpu.gather(x.on_cpu(), dim, i.on_cpu(), y.out_cpu()),
                    gpu.gather(x.on_gpu(), dim, i.on_gpu(), y.out_gpu()),
                );
                y.assert_same(&format!("gather {what}"));
                for mode in [ScatterMode::Set, ScatterMode::Add] {
                    let what = format!("scatter {mode:?} {what}");
                    let src = array(gpu, &mut d, (kind + 1) % 3, index, dtype);
                    agree(
                        &what,
                        Cpu.scatter(mode, dim, i.on_cpu(), src.on_cpu(), x.out_cpu()),
                        gpu.scatter(mode, dim, i.on_gpu(), src.on_gpu(), x.out_gpu()),
                    );
                    x.assert_same(&what);
                }
            }
        }
    }
}

/// Shape, indexed dims, the tuples' shape, the result's.
type Case<'a> = (&'a [usize], u64, &'a [usize], &'a [usize]);

#[test]
fn index_and_index_put_of_every_dtype() {
    let Some(gpu) = gpu() else { return };
    let mut d = Draw(2);
    let cases: [Case; 9] = [
        (&[6, 5], 1, &[9], &[9, 5]),
        (&[6, 5], 2, &[3, 4], &[6, 3, 4]),
        (&[6, 5], 3, &[8], &[8]),
        (&[4, 5, 6], 0b101, &[7], &[7, 5]),
        (&[4, 5, 6], 0b110, &[7], &[4, 7]),
        (&[3, 4, 2, 5], 0b0110, &[2, 3], &[3, 2, 3, 5]),
        (&[4, 5], 1, &[], &[5]),
        (&[4, 5], 1, &[0], &[0, 5]),
        (&[4, 0], 1, &[3], &[3, 0]),
    ];
    for dtype in dtypes(gpu) {
        for kind in 0..3 {
            for (shape, dims, tuples, result) in cases {
                let what = format!("{dtype} {kind} {shape:?} {dims:b} {tuples:?}");
                let x = array(gpu, &mut d, kind, shape, dtype);
                let named: Vec<Both> = (0..shape.len())
                    .filter(|k| dims >> k & 1 == 1)
                    .map(|k| picks(gpu, &mut d, (kind + k) % 3, tuples, -(shape[k] as i64), shape[k]))
                    .collect();
                let on_cpu: Vec<_> = named.iter().map(Both::on_cpu).collect();
                let on_gpu: Vec<_> = named.iter().map(Both::on_gpu).collect();
                let y = array(gpu, &mut d, kind, result, dtype);
                agree(
                    &format!("index {what}"),
                    Cpu.index(x.on_cpu(), dims, &on_cpu, y.out_cpu()),
                    gpu.index(x.on_gpu(), dims, &on_gpu, y.out_gpu()),
                );
                y.assert_same(&format!("index {what}"));
                for accumulate in [false, true] {
                    let values = array(gpu, &mut d, (kind + 2) % 3, result, dtype);
                    let what = format!("index_put {accumulate} {what}");
                    agree(
                        &what,
                        Cpu.index_put(dims, &on_cpu, values.on_cpu(), accumulate, x.out_cpu()),
                        gpu.index_put(dims, &on_gpu, values.on_gpu(), accumulate, x.out_gpu()),
                    );
                    x.assert_same(&what);
                }
            }
        }
    }
}

#[test]
fn expanded_operands_and_many_dims() {
    let Some(gpu) = gpu() else { return };
    let mut d = Draw(3);
    let index =
        Both::of(gpu, &[1.0, -1.0, 0.0], &[3, 1], DType::I64).seen(expand_to(&Layout::contiguous(&[3, 1]), &[3, 4]));
    let other =
        Both::of(gpu, &[0.0, 1.0, 1.0, -2.0], &[4], DType::I64).seen(expand_to(&Layout::contiguous(&[4]), &[3, 4]));
    let x = array(gpu, &mut d, 0, &[3, 2], DType::F32);
    let one = Both::of(gpu, &[2.0], &[1], DType::F32).seen(expand_to(&Layout::contiguous(&[1]), &[3, 4]));
    for accumulate in [true, false] {
        Cpu.index_put(3, &[index.on_cpu(), other.on_cpu()], one.on_cpu(), accumulate, x.out_cpu()).unwrap();
        gpu.index_put(3, &[index.on_gpu(), other.on_gpu()], one.on_gpu(), accumulate, x.out_gpu()).unwrap();
        x.assert_same("expanded");
    }
    // Eight dims that do not merge: more than one dispatch walks through.
    let shape = [2usize, 3, 2, 2, 3, 2, 2, 2];
    for dim in [0, 4, 7] {
        let x = array(gpu, &mut d, 1, &shape, DType::I16);
        let i = picks(gpu, &mut d, 1, &shape, 0, shape[dim]);
        let y = array(gpu, &mut d, 2, &shape, DType::I16);
        Cpu.gather(x.on_cpu(), dim, i.on_cpu(), y.out_cpu()).unwrap();
        gpu.gather(x.on_gpu(), dim, i.on_gpu(), y.out_gpu()).unwrap();
        y.assert_same("eight dims");
        for mode in [ScatterMode::Set, ScatterMode::Add] {
            Cpu.scatter(mode, dim, i.on_cpu(), x.on_cpu(), y.out_cpu()).unwrap();
            gpu.scatter(mode, dim, i.on_gpu(), x.on_gpu(), y.out_gpu()).unwrap();
            y.assert_same("eight dims");
        }
        let i = picks(gpu, &mut d, 0, &[3], 0, 2);
        let result: Vec<usize> = (0..8).map(|k| if k == dim { 3 } else { shape[k] }).collect();
        let y = array(gpu, &mut d, 1, &result, DType::I16);
        Cpu.index(x.on_cpu(), 1 << dim, &[i.on_cpu()], y.out_cpu()).unwrap();
        gpu.index(x.on_gpu(), 1 << dim, &[i.on_gpu()], y.out_gpu()).unwrap();
        y.assert_same("eight dims");
    }
}

#[test]
fn sums_of_many_equal_indices() {
    let Some(gpu) = gpu() else { return };
    let mut d = Draw(4);
    for (n, places, width) in [(5000, 3, 1), (3000, 700, 5), (2100, 1, 3), (64, 2, 2), (130_000, 4, 1)] {
        let i = picks(gpu, &mut d, 0, &[n], 0, places);
        for dtype in [DType::F32, DType::F64, DType::F16, DType::I64, DType::I8].into_iter().filter(|d| has(gpu, *d)) {
            if n > 100_000 && dtype == DType::F16 {
                continue;
            }
            // Sums of many are exact only of whole numbers.
            let values: Vec<f64> = match dtype.is_float() && n < 100_000 {
                true => (0..n * width).map(|_| d.within(-1.0, 1.0)).collect(),
                false => draw(&mut d, n * width, dtype),
            };
            let v = Both::of(gpu, &values, &[n, width], dtype);
            let x = Both::zeros(gpu, &[places, width], dtype);
            Cpu.index_put(1, &[i.on_cpu()], v.on_cpu(), true, x.out_cpu()).unwrap();
            gpu.index_put(1, &[i.on_gpu()], v.on_gpu(), true, x.out_gpu()).unwrap();
            // The CPU rounds halves at each step.
            let absolute = if dtype == DType::F16 { 2.0 } else { 1e-4 };
            x.assert_close(
                8.0,
                if dtype.is_float() { absolute } else { 0.0 },
                &format!("{dtype} {n} {places} {width}"),
            );
            // The last one wins, however many there are.
            Cpu.index_put(1, &[i.on_cpu()], v.on_cpu(), false, x.out_cpu()).unwrap();
            gpu.index_put(1, &[i.on_gpu()], v.on_gpu(), false, x.out_gpu()).unwrap();
            x.assert_same(&format!("last {dtype} {n} {places} {width}"));
        }
    }
    // Few writes into a large array.
    let i = Both::of(gpu, &[7.0, 90000.0, 7.0], &[3], DType::I64);
    let v = Both::of(gpu, &[1.0, 2.0, 3.0], &[3], DType::F32);
    let x = Both::zeros(gpu, &[100_000], DType::F32);
    Cpu.index_put(1, &[i.on_cpu()], v.on_cpu(), false, x.out_cpu()).unwrap();
    gpu.index_put(1, &[i.on_gpu()], v.on_gpu(), false, x.out_gpu()).unwrap();
    x.assert_same("few");
}

#[test]
fn large_integers_keep_their_bits() {
    let Some(gpu) = gpu() else { return };
    let raw: Vec<u8> =
        [i64::MAX, i64::MIN, -1, 1 << 40, u32::MAX as i64, 5].iter().flat_map(|v| v.to_ne_bytes()).collect();
    let v = Both::new(gpu, &raw, Layout::contiguous(&[6]), DType::I64);
    let x = Both::new(gpu, &raw, Layout::contiguous(&[6]), DType::I64);
    let i = Both::of(gpu, &[0.0, 0.0, 2.0, 2.0, 4.0, 4.0], &[6], DType::I64);
    Cpu.index_put(1, &[i.on_cpu()], v.on_cpu(), true, x.out_cpu()).unwrap();
    gpu.index_put(1, &[i.on_gpu()], v.on_gpu(), true, x.out_gpu()).unwrap();
    let (a, b) = x.contents();
    assert_eq!(a, b);
}

#[test]
fn errors_come_before_anything_is_written() {
    let Some(gpu) = gpu() else { return };
    let x = Both::of(gpu, &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], &[2, 3], DType::F32);
    let y = Both::zeros(gpu, &[2, 2], DType::F32);
    let index = |v: &[f64], shape: &[usize]| Both::of(gpu, v, shape, DType::I64);
    for bad in [[0.0, 3.0, -1.0, 0.0], [0.0, 0.0, 0.0, -1.0], [5e9, 0.0, 0.0, 0.0], [0.0, -5e9, 9.0, 1.0], [1.0; 4]] {
        let i = index(&bad, &[2, 2]);
        let on_cpu = Cpu.gather(x.on_cpu(), 1, i.on_cpu(), y.out_cpu());
        let gathered = on_cpu.is_ok();
        agree("gather", on_cpu, gpu.gather(x.on_gpu(), 1, i.on_gpu(), y.out_gpu()));
        if gathered {
            y.assert_same("gather");
        }
        for mode in [ScatterMode::Set, ScatterMode::Add] {
            agree(
                "scatter",
                Cpu.scatter(mode, 1, i.on_cpu(), y.on_cpu(), x.out_cpu()),
                gpu.scatter(mode, 1, i.on_gpu(), y.on_gpu(), x.out_gpu()),
            );
        }
        x.assert_same("scatter");
    }
    for bad in [[0.0, 2.0], [-3.0, 7.0], [1.0, -2.0], [1e12, 0.0], [0.0, -9e15]] {
        let (i, good) = (index(&bad, &[2]), index(&[0.0, 1.0], &[2]));
        let y = Both::zeros(gpu, &[2], DType::F32);
        for (a, b) in [(&i, &good), (&good, &i), (&i, &i)] {
            let (on_cpu, on_gpu) = ([a.on_cpu(), b.on_cpu()], [a.on_gpu(), b.on_gpu()]);
            agree(
                "index",
                Cpu.index(x.on_cpu(), 3, &on_cpu, y.out_cpu()),
                gpu.index(x.on_gpu(), 3, &on_gpu, y.out_gpu()),
            );
            for accumulate in [true, false] {
                agree(
                    "index_put",
                    Cpu.index_put(3, &on_cpu, y.on_cpu(), accumulate, x.out_cpu()),
                    gpu.index_put(3, &on_gpu, y.on_gpu(), accumulate, x.out_gpu()),
                );
                x.assert_same("index_put");
            }
        }
    }
    // No place to index at all.
    let (none, i, y) =
        (Both::zeros(gpu, &[0, 3], DType::F32), index(&[0.0], &[1]), Both::zeros(gpu, &[1, 3], DType::F32));
    agree(
        "index",
        Cpu.index(none.on_cpu(), 1, &[i.on_cpu()], y.out_cpu()),
        gpu.index(none.on_gpu(), 1, &[i.on_gpu()], y.out_gpu()),
    );
    // Shapes and dtypes.
    let (i, wrong) = (index(&[0.0; 6], &[3, 2]), Both::zeros(gpu, &[2, 2], DType::I32));
    let y = Both::zeros(gpu, &[3, 2], DType::F32);
    agree(
        "reach",
        Cpu.gather(x.on_cpu(), 1, i.on_cpu(), y.out_cpu()),
        gpu.gather(x.on_gpu(), 1, i.on_gpu(), y.out_gpu()),
    );
    agree(
        "dtype",
        Cpu.gather(x.on_cpu(), 1, wrong.on_cpu(), y.out_cpu()),
        gpu.gather(x.on_gpu(), 1, wrong.on_gpu(), y.out_gpu()),
    );
    agree(
        "src",
        Cpu.scatter(ScatterMode::Add, 1, i.on_cpu(), wrong.on_cpu(), x.out_cpu()),
        gpu.scatter(ScatterMode::Add, 1, i.on_gpu(), wrong.on_gpu(), x.out_gpu()),
    );
    agree(
        "values",
        Cpu.index_put(1, &[i.on_cpu()], wrong.on_cpu(), true, x.out_cpu()),
        gpu.index_put(1, &[i.on_gpu()], wrong.on_gpu(), true, x.out_gpu()),
    );
    agree(
        "shape",
        Cpu.index(x.on_cpu(), 1, &[i.on_cpu()], y.out_cpu()),
        gpu.index(x.on_gpu(), 1, &[i.on_gpu()], y.out_gpu()),
    );
}

#[test]
fn an_array_may_be_its_own_source() {
    let Some(gpu) = gpu() else { return };
    let mut d = Draw(5);
    for dtype in [DType::F32, DType::I8, DType::F64].into_iter().filter(|d| has(gpu, *d)) {
        let x = array(gpu, &mut d, 0, &[6], dtype);
        let i = Both::of(gpu, &[5.0, 0.0, 1.0, 1.0, 2.0, 3.0], &[6], DType::I64);
        gpu.gather(x.on_gpu(), 0, i.on_gpu(), x.out_gpu()).unwrap();
        let y = Both::new(gpu, &x.contents().0, Layout::contiguous(&[6]), dtype);
        let z = Both::zeros(gpu, &[6], dtype);
        Cpu.gather(y.on_cpu(), 0, i.on_cpu(), z.out_cpu()).unwrap();
        assert_eq!(x.contents().1, z.contents().0);
        let w = Both::new(gpu, &z.contents().0, Layout::contiguous(&[6]), dtype);
        gpu.scatter(ScatterMode::Add, 0, i.on_gpu(), x.on_gpu(), x.out_gpu()).unwrap();
        Cpu.scatter(ScatterMode::Add, 0, i.on_cpu(), z.on_cpu(), w.out_cpu()).unwrap();
        assert_eq!(x.contents().1, w.contents().0);
    }
}

#[test]
fn nonzero_of_every_dtype() {
    let Some(gpu) = gpu() else { return };
    let mut d = Draw(6);
    for dtype in dtypes(gpu) {
        for kind in 0..3 {
            for shape in [&[][..], &[5], &[3, 4], &[2, 3, 5], &[0, 3], &[1500], &[3, 1000, 2], &[2; 8]] {
                if shape.iter().product::<usize>() > 1000 && (kind == 2 || dtype.size() == 2) {
                    continue;
                }
                let (layout, n) = layout(kind, shape);
                let values: Vec<f64> = (0..n).map(|_| [0.0, 1.0, -0.0, 0.0, f64::NAN, 0.25][d.below(6)]).collect();
                let x = Both::new(gpu, &bytes(&values, dtype), layout, dtype);
                let (a, count) = Cpu.nonzero(x.on_cpu()).unwrap();
                let (b, found) = gpu.nonzero(x.on_gpu()).unwrap();
                assert_eq!(count, found, "{dtype} {shape:?}");
                let (mut left, mut right) = (vec![0; count * shape.len() * 8], vec![0; count * shape.len() * 8]);
                Cpu.download(&a, 0, &mut left).unwrap();
                gpu.download(&b, 0, &mut right).unwrap();
                assert!(left == right, "{dtype} {kind} {shape:?}");
            }
        }
    }
    // More than one level of sums, nothing, everything.
    for (n, every) in [(1_200_000, 3), (5000, 0), (4096, 1)] {
        let values: Vec<f64> = (0..n).map(|i| if every > 0 && i % every == 0 { 1.0 } else { 0.0 }).collect();
        let x = Both::of(gpu, &values, &[n], DType::U8);
        let (b, found) = gpu.nonzero(x.on_gpu()).unwrap();
        assert_eq!(found, values.iter().filter(|v| **v != 0.0).count());
        let mut raw = vec![0; found * 8];
        gpu.download(&b, 0, &mut raw).unwrap();
        let right = raw
            .chunks_exact(8)
            .enumerate()
            .all(|(i, c)| i64::from_ne_bytes(c.try_into().unwrap()) == (i * every) as i64);
        assert!(right, "{n} {every}");
    }
}
