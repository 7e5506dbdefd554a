//! Arrays larger than what one binding shows: every family of kernels on a device that shows 2 KiB at once.

mod support;

use smallvec::SmallVec;
use support::{agree, dtypes, has, int, products_agree, Both, Draw};
use wengert_cpu::Cpu;
use wengert_gpu::Gpu;
use wengert_ops::{
    Backend, Compute, ConvRole, ConvSpec, DType, ErrorKind, Extremum, Layout, LossReduction, Op, Operand, PoolSpec,
    Random, Reduction, Row, ScanKind, ScatterMode, View, ViewMut,
};

/// Bytes that a binding shows here.
const SHOWN: usize = 2048;

/// The device, opened with small bindings: this binary's first call opens it for all.
fn gpu() -> Option<Gpu> {
    std::env::set_var(wengert_gpu::LESS, format!("binding={SHOWN}"));
    support::gpu()
}

/// Whole numbers that every dtype holds, some zero.
fn numbers(draw: &mut Draw, n: usize, dtype: DType) -> Vec<f64> {
    let span = if dtype == DType::Bool { 2 } else { 5 };
    (0..n).map(|_| draw.below(span) as f64).collect()
}

/// An array of about this many bytes, and so of several windows where there are more than [`SHOWN`].
fn array(gpu: Gpu, draw: &mut Draw, shape: &[usize], dtype: DType) -> Both {
    Both::of(gpu, &numbers(draw, shape.iter().product(), dtype), shape, dtype)
}

fn transposed(rows: usize, cols: usize) -> Layout {
    Layout::strided(SmallVec::from_slice(&[cols, rows]), SmallVec::from_slice(&[1, cols as isize]), 0)
}

/// Rows and columns of a matrix of three windows, the last one in part.
fn sides(dtype: DType) -> (usize, usize) {
    (SHOWN / 64 - 1, 150 / dtype.size() + 3)
}

#[test]
fn copies_and_fills() {
    let Some(gpu) = gpu() else { return };
    let mut draw = Draw(1);
    for from in dtypes(gpu) {
        let (m, n) = sides(from);
        let x = array(gpu, &mut draw, &[m, n], from);
        assert!(x.gpu.len() > 2 * SHOWN);
        for to in [from, DType::F32, DType::U8] {
            let what = format!("{from} to {to}");
            let y = Both::zeros(gpu, &[m, n], to);
            agree(&what, Cpu.copy(x.on_cpu(), y.out_cpu()), gpu.copy(x.on_gpu(), y.out_gpu()));
            y.assert_same(&what);
            let y = Both::zeros(gpu, &[m, n], to).seen(transposed(n, m));
            agree(&what, Cpu.copy(x.on_cpu(), y.out_cpu()), gpu.copy(x.on_gpu(), y.out_gpu()));
            y.assert_same(&format!("{what} transposed"));
        }
        let y = Both::zeros(gpu, &[m, n], from);
        agree("fill", Cpu.fill(int(1), y.out_cpu()), gpu.fill(int(1), y.out_gpu()));
        y.assert_same("fill");
        // In its own place: one block, read and written through the same windows.
        agree(
            "in place",
            Cpu.elementwise(Row::Mul, from.compute(), &[Operand::Array(x.on_cpu()); 2], x.out_cpu()),
            gpu.elementwise(Row::Mul, from.compute(), &[Operand::Array(x.on_gpu()); 2], x.out_gpu()),
        );
        x.assert_same(&format!("{from} in place"));
    }
}

#[test]
fn rows_over_small_and_large_operands() {
    let Some(gpu) = gpu() else { return };
    let mut draw = Draw(2);
    for dtype in dtypes(gpu) {
        let (m, n) = sides(dtype);
        let (a, b) = (array(gpu, &mut draw, &[m, n], dtype), array(gpu, &mut draw, &[n, m], dtype));
        let b = b.seen(transposed(n, m));
        let line = array(gpu, &mut draw, &[n], dtype);
        let line = line.seen(Layout::strided(SmallVec::from_slice(&[m, n]), SmallVec::from_slice(&[0, 1]), 0));
        let out = Both::zeros(gpu, &[m, n], dtype);
        for (x, y) in [(&a, &b), (&a, &line), (&line, &b)] {
            for row in [Row::Add, Row::Maximum] {
                let what = format!("{} of {dtype}", row.name());
                let cpu = [Operand::Array(x.on_cpu()), Operand::Array(y.on_cpu())];
                let there = [Operand::Array(x.on_gpu()), Operand::Array(y.on_gpu())];
                agree(
                    &what,
                    Cpu.elementwise(row, dtype.compute(), &cpu, out.out_cpu()),
                    gpu.elementwise(row, dtype.compute(), &there, out.out_gpu()),
                );
                out.assert_same(&what);
            }
        }
        if dtype.compute() == Compute::F32 {
            let g = array(gpu, &mut draw, &[m, n], dtype);
            let cpu = [Operand::Array(a.on_cpu()), Operand::Array(b.on_cpu())];
            let there = [Operand::Array(a.on_gpu()), Operand::Array(b.on_gpu())];
            let (y, z) = (Operand::Array(a.on_cpu()), Operand::Array(a.on_gpu()));
            agree(
                "mul's gradient",
                Cpu.elementwise_vjp(Row::Mul, 0, Compute::F32, &cpu, y, Operand::Array(g.on_cpu()), out.out_cpu()),
                gpu.elementwise_vjp(Row::Mul, 0, Compute::F32, &there, z, Operand::Array(g.on_gpu()), out.out_gpu()),
            );
            out.assert_same("mul's gradient");
        }
    }
}

#[test]
fn folds() {
    let Some(gpu) = gpu() else { return };
    let mut draw = Draw(3);
    for dtype in [DType::F32, DType::I64, DType::U8] {
        let (m, n) = sides(dtype);
        let x = array(gpu, &mut draw, &[m, n], dtype);
        for hardware in [false, true] {
            wengert_gpu::as_on_hardware(hardware);
            for (dims, shape) in [(1u64, vec![n]), (2, vec![m]), (3, vec![])] {
                for kind in [Reduction::Sum, Reduction::Max, Reduction::Any] {
                    let to = if kind == Reduction::Any { DType::Bool } else { dtype };
                    let y = Both::zeros(gpu, &shape, to);
                    let what = format!("{kind:?} of {dtype} over {dims:b}, hardware {hardware}");
                    agree(
                        &what,
                        Cpu.reduce(kind, x.on_cpu(), dims, y.out_cpu()),
                        gpu.reduce(kind, x.on_gpu(), dims, y.out_gpu()),
                    );
                    y.assert_same(&what);
                }
            }
            for dim in [0, 1] {
                let what = format!("{dtype} along {dim}, hardware {hardware}");
                let kept = [if dim == 0 { n } else { m }];
                let (v, i) = (Both::zeros(gpu, &kept, dtype), Both::zeros(gpu, &kept, DType::I64));
                agree(
                    &what,
                    Cpu.extreme(Extremum::Max, x.on_cpu(), dim, Some(v.out_cpu()), Some(i.out_cpu())),
                    gpu.extreme(Extremum::Max, x.on_gpu(), dim, Some(v.out_gpu()), Some(i.out_gpu())),
                );
                v.assert_same(&what);
                i.assert_same(&what);
                let y = Both::zeros(gpu, &[m, n], dtype);
                for reverse in [false, true] {
                    agree(
                        &what,
                        Cpu.scan(ScanKind::Sum, x.on_cpu(), dim, reverse, y.out_cpu()),
                        gpu.scan(ScanKind::Sum, x.on_gpu(), dim, reverse, y.out_gpu()),
                    );
                    y.assert_same(&format!("running sums of {what}"));
                }
            }
        }
    }
    wengert_gpu::as_on_hardware(false);
}

#[test]
fn products() {
    let Some(gpu) = gpu() else { return };
    let mut draw = Draw(4);
    for dtype in [DType::F32, DType::F16, DType::I64] {
        let (m, k, n) = (37, 33, 41);
        let (a, b) = (array(gpu, &mut draw, &[m, k], dtype), array(gpu, &mut draw, &[k, n], dtype));
        products_agree(gpu, &a, &b, &[m, n]);
    }
}

#[test]
fn windows_of_images() {
    let Some(gpu) = gpu() else { return };
    let mut draw = Draw(5);
    let spec = ConvSpec {
        stride: SmallVec::from_slice(&[2, 1]),
        padding: SmallVec::from_slice(&[1, 1]),
        dilation: SmallVec::from_slice(&[1, 1]),
        groups: 2,
        x_shape: SmallVec::from_slice(&[2, 8, 9, 8]),
        w_shape: SmallVec::from_slice(&[16, 4, 3, 3]),
    };
    let x = array(gpu, &mut draw, &spec.x_shape, DType::F32);
    let w = array(gpu, &mut draw, &spec.w_shape, DType::F32);
    let y = Both::zeros(gpu, &[2, 16, 5, 8], DType::F32);
    let g = array(gpu, &mut draw, &[2, 16, 5, 8], DType::F32);
    let (gx, gw) = (Both::zeros(gpu, &spec.x_shape, DType::F32), Both::zeros(gpu, &spec.w_shape, DType::F32));
    for (role, a, b, out) in
        [(ConvRole::Forward, &x, &w, &y), (ConvRole::Input, &g, &w, &gx), (ConvRole::Weight, &g, &x, &gw)]
    {
        let what = format!("{role:?}");
        agree(
            &what,
            Cpu.conv(role, &spec, a.on_cpu(), b.on_cpu(), out.out_cpu()),
            gpu.conv(role, &spec, a.on_gpu(), b.on_gpu(), out.out_gpu()),
        );
        out.assert_same(&what);
    }
    let spec = PoolSpec {
        kernel: SmallVec::from_slice(&[2, 2]),
        stride: SmallVec::from_slice(&[1, 1]),
        padding: SmallVec::from_slice(&[0, 0]),
        dilation: SmallVec::from_slice(&[1, 1]),
        ceil_mode: false,
    };
    let (v, i) = (Both::zeros(gpu, &[2, 8, 8, 7], DType::F32), Both::zeros(gpu, &[2, 8, 8, 7], DType::I64));
    agree(
        "max_pool",
        Cpu.max_pool(&spec, x.on_cpu(), v.out_cpu(), i.out_cpu()),
        gpu.max_pool(&spec, x.on_gpu(), v.out_gpu(), i.out_gpu()),
    );
    v.assert_same("max_pool");
    i.assert_same("max_pool");
}

#[test]
fn places_that_are_data() {
    let Some(gpu) = gpu() else { return };
    let mut draw = Draw(6);
    for dtype in [DType::F32, DType::F64, DType::I64, DType::I16, DType::Bool].into_iter().filter(|d| has(gpu, *d)) {
        let (m, n) = sides(dtype);
        let x = array(gpu, &mut draw, &[m, n], dtype);
        let picks: Vec<f64> = (0..300).map(|_| draw.below(m) as f64).collect();
        let index = Both::of(gpu, &picks, &[300, 1], DType::I64);
        let wide = Layout::strided(SmallVec::from_slice(&[300, 2]), SmallVec::from_slice(&[1, 0]), 0);
        let index = index.seen(wide);
        let y = Both::zeros(gpu, &[300, 2], dtype);
        let what = format!("{dtype}");
        agree(
            &what,
            Cpu.gather(x.on_cpu(), 0, index.on_cpu(), y.out_cpu()),
            gpu.gather(x.on_gpu(), 0, index.on_gpu(), y.out_gpu()),
        );
        y.assert_same(&format!("gather of {what}"));
        for mode in [ScatterMode::Set, ScatterMode::Add] {
            agree(
                &what,
                Cpu.scatter(mode, 0, index.on_cpu(), y.on_cpu(), x.out_cpu()),
                gpu.scatter(mode, 0, index.on_gpu(), y.on_gpu(), x.out_gpu()),
            );
            x.assert_same(&format!("scatter of {what}"));
        }
        let index = Both::of(gpu, &picks[..m - 1], &[m - 1], DType::I64);
        let taken = Both::zeros(gpu, &[m - 1, n], dtype);
        agree(
            &what,
            Cpu.index(x.on_cpu(), 1, &[index.on_cpu()], taken.out_cpu()),
            gpu.index(x.on_gpu(), 1, &[index.on_gpu()], taken.out_gpu()),
        );
        taken.assert_same(&format!("index of {what}"));
        for accumulate in [false, true] {
            agree(
                &what,
                Cpu.index_put(1, &[index.on_cpu()], taken.on_cpu(), accumulate, x.out_cpu()),
                gpu.index_put(1, &[index.on_gpu()], taken.on_gpu(), accumulate, x.out_gpu()),
            );
            x.assert_same(&format!("index_put of {what}"));
        }
        let few: Vec<f64> = (0..2100).map(|k| f64::from(k % 3 == 0)).collect();
        let x = Both::of(gpu, &few, &[2100], dtype);
        let ((a, count), (b, found)) = (Cpu.nonzero(x.on_cpu()).unwrap(), gpu.nonzero(x.on_gpu()).unwrap());
        assert_eq!((count, found), (700, 700));
        Both { cpu: a, gpu: b, layout: Layout::contiguous(&[700, 1]), dtype: DType::I64 }.assert_same("nonzero");
    }
}

#[test]
fn sorting() {
    let Some(gpu) = gpu() else { return };
    let mut draw = Draw(7);
    // Lines in a group's memory, and longer ones.
    for (shape, dtype) in [([3, 290], DType::F32), ([1, 1100], DType::I64), ([2, 1030], DType::U8)] {
        let values: Vec<f64> = (0..shape[0] * shape[1]).map(|_| draw.below(250) as f64).collect();
        let x = Both::of(gpu, &values, &shape, dtype);
        let (v, i) = (Both::zeros(gpu, &shape, dtype), Both::zeros(gpu, &shape, DType::I64));
        agree(
            "sort",
            Cpu.sort(x.on_cpu(), 1, false, v.out_cpu(), i.out_cpu()),
            gpu.sort(x.on_gpu(), 1, false, v.out_gpu(), i.out_gpu()),
        );
        v.assert_same(&format!("{dtype} {shape:?}"));
        i.assert_same(&format!("{dtype} {shape:?}"));
    }
}

/// Random numbers do not depend on how an array is seen: an array of one window has the same.
#[test]
fn random_numbers() {
    let Some(gpu) = gpu() else { return };
    for (law, dtype) in [
        (Random::Normal { mean: 0.0, std: 1.0 }, DType::F32),
        (Random::Uniform { from: 0.0, to: 1.0 }, DType::F16),
        (Random::Integers { low: 0, high: 200 }, DType::U8),
        (Random::Integers { low: -5, high: 1 << 40 }, DType::I64),
    ] {
        let drawn = |bytes: usize| {
            let count = bytes / dtype.size();
            let (buffer, layout) = (gpu.allocate(bytes).unwrap(), Layout::contiguous(&[count]));
            let mut generator = wengert_gpu::Generator { seed: 3, offset: 7 };
            // SAFETY: fresh.
            gpu.random(&mut generator, law, unsafe { ViewMut::new(&buffer, &layout, dtype) }).unwrap();
            let mut raw = vec![0; bytes];
            gpu.download(&buffer, 0, &mut raw).unwrap();
            raw
        };
        let (small, large) = (drawn(SHOWN), drawn(3 * SHOWN - 8));
        assert_eq!(small[..], large[..SHOWN], "{law:?}");
        assert_ne!(large[SHOWN..2 * SHOWN - 8], large[2 * SHOWN..], "{law:?}");
    }
}

#[test]
fn kernels_of_whole_ops() {
    let Some(gpu) = gpu() else { return };
    let mut draw = Draw(8);
    let (rows, classes) = (70, 19);
    let x = array(gpu, &mut draw, &[rows, classes], DType::F32);
    let y = Both::zeros(gpu, &[rows, classes], DType::F32);
    for hardware in [false, true] {
        wengert_gpu::as_on_hardware(hardware);
        let op = Op::Softmax { dim: 1, log: false };
        assert!(Cpu.fused(&op, &[x.on_cpu()], &[y.out_cpu()]).unwrap());
        assert!(gpu.fused(&op, &[x.on_gpu()], &[y.out_gpu()]).unwrap());
        y.assert_close(8.0, 1e-7, "softmax");
        let op = Op::CrossEntropy { reduction: LossReduction::Mean, ignore_index: -100 };
        let labels: Vec<f64> = (0..300).map(|k| (k % classes) as f64).collect();
        let x = array(gpu, &mut draw, &[300, classes], DType::F32);
        let t = Both::of(gpu, &labels, &[300], DType::I64);
        let (loss, saved) = (Both::zeros(gpu, &[], DType::F32), Both::zeros(gpu, &[300, classes], DType::F32));
        assert!(Cpu.fused(&op, &[x.on_cpu(), t.on_cpu()], &[loss.out_cpu(), saved.out_cpu()]).unwrap());
        assert!(gpu.fused(&op, &[x.on_gpu(), t.on_gpu()], &[loss.out_gpu(), saved.out_gpu()]).unwrap());
        loss.assert_close(8.0, 1e-6, "cross_entropy");
        saved.assert_close(8.0, 1e-6, "cross_entropy");
    }
    wengert_gpu::as_on_hardware(false);
}

#[test]
fn more_windows_than_bindings_are_an_error() {
    let Some(gpu) = gpu() else { return };
    let bytes = 2000 * SHOWN;
    let (x, y) = (gpu.allocate(bytes).unwrap(), gpu.allocate(bytes).unwrap());
    let layout = Layout::contiguous(&[bytes / 4]);
    let view = View { buffer: &x, layout: &layout, dtype: DType::F32 };
    // SAFETY: fresh.
    let out = unsafe { ViewMut::new(&y, &layout, DType::I32) };
    let error = gpu.copy(view, out).unwrap_err();
    let text = error.message();
    assert_eq!(error.kind(), ErrorKind::Runtime);
    for part in ["copy", &format!("{bytes}, {bytes} bytes"), "4000 bindings", "at most 2048 bytes", "gpu:0", "split"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    // What needs no kernel has no windows.
    let mut raw = vec![1; 8];
    let numbers: Vec<u8> = bytes_of(bytes / 4);
    let z = gpu.upload(&numbers).unwrap();
    gpu.copy(View { buffer: &z, layout: &layout, dtype: DType::I32 }, unsafe { ViewMut::new(&y, &layout, DType::I32) })
        .unwrap();
    gpu.download(&y, bytes - 8, &mut raw).unwrap();
    assert_eq!(raw, numbers[bytes - 8..]);
}

fn bytes_of(count: usize) -> Vec<u8> {
    (0..count as u32).flat_map(|k| k.to_ne_bytes()).collect()
}
