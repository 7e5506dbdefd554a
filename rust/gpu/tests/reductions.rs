//! Reductions, extremes and scans against the CPU.

mod support;

use smallvec::SmallVec;
use support::{agree, bytes, dtypes, gpu, has, Both, Draw};
use wengert_cpu::Cpu;
use wengert_gpu::{as_on_hardware, Gpu};
use wengert_ops::{Backend, DType, Extremum, Layout, Reduction, ScanKind};

const KINDS: [Reduction; 6] =
    [Reduction::Sum, Reduction::Prod, Reduction::Max, Reduction::Min, Reduction::Any, Reduction::All];

/// Small whole numbers: all orders of adding them agree.
fn whole(draw: &mut Draw, count: usize, dtype: DType) -> Vec<f64> {
    let low = if dtype.is_signed() { -3.0 } else { 0.0 };
    (0..count).map(|_| draw.within(low, 4.0).floor()).collect()
}

fn reduced(x: &Layout, dims: u64, keep: bool) -> SmallVec<[usize; 4]> {
    let sizes = x.shape().iter().enumerate();
    sizes.filter_map(|(d, &n)| if dims >> d & 1 == 0 { Some(n) } else { keep.then_some(1) }).collect()
}

/// Both ways in which threads share work, on a software device.
fn each_way(mut check: impl FnMut()) {
    for hardware in [false, true] {
        as_on_hardware(hardware);
        check();
    }
}

fn check(gpu: Gpu, kind: Reduction, x: &Both, dims: u64, keep: bool, to: DType, ulps: f64) {
    each_way(|| check_as_is(gpu, kind, x, dims, keep, to, ulps));
}

fn check_as_is(gpu: Gpu, kind: Reduction, x: &Both, dims: u64, keep: bool, to: DType, ulps: f64) {
    let y = Both::zeros(gpu, &reduced(&x.layout, dims, keep), to);
    let what = format!("{kind:?} of {} {:?} over {dims:b} to {to}", x.dtype, x.layout);
    agree(&what, Cpu.reduce(kind, x.on_cpu(), dims, y.out_cpu()), gpu.reduce(kind, x.on_gpu(), dims, y.out_gpu()));
    y.assert_close(ulps, 0.0, &what);
}

#[test]
fn every_kind_of_every_dtype() {
    let Some(gpu) = gpu() else { return };
    let mut draw = Draw(5);
    for dtype in dtypes(gpu) {
        for kind in KINDS {
            let to = match kind {
                Reduction::Any | Reduction::All => DType::Bool,
                Reduction::Sum | Reduction::Prod if !dtype.is_float() => DType::I64,
                _ => dtype,
            };
            for (shape, dims) in [(&[3, 40, 5][..], 0b010), (&[4, 7], 0b11), (&[6, 20], 1), (&[], 0), (&[0, 3], 1)] {
                let count: usize = shape.iter().product();
                let x = Both::of(gpu, &whole(&mut draw, count, dtype), shape, dtype);
                let ulps = if kind == Reduction::Prod { 2.0 } else { 0.0 };
                check(gpu, kind, &x, dims, false, to, ulps);
            }
        }
    }
}

/// A layout of `shape` inside a buffer: dims in any order, some backwards, some expanded, with gaps.
fn scattered(draw: &mut Draw, shape: &[usize]) -> (Layout, usize) {
    let mut order: Vec<usize> = (0..shape.len()).collect();
    for i in (1..order.len()).rev() {
        order.swap(i, draw.below(i + 1));
    }
    let mut strides = vec![0isize; shape.len()];
    let mut step = 1 + draw.below(2);
    let mut offset = draw.below(5);
    for &d in &order {
        match draw.below(8) {
            0 => continue,
            1 => {
                strides[d] = -(step as isize);
                offset += step * (shape[d] - 1);
            }
            _ => strides[d] = step as isize,
        }
        step = step * shape[d] + draw.below(3);
    }
    let layout = Layout::strided(SmallVec::from_slice(shape), SmallVec::from_slice(&strides), offset);
    let end = layout.span().1;
    (layout, end)
}

#[test]
fn any_layout_and_any_dims() {
    let Some(gpu) = gpu() else { return };
    let mut draw = Draw(17);
    let shapes: [&[usize]; 7] = [
        &[5],
        &[3, 40],
        &[2, 3, 30],
        &[4, 1, 3, 20],
        &[2, 3, 2, 2, 3],
        &[2, 2, 2, 2, 2, 2, 2, 2],
        &[2, 1, 2, 2, 2, 1, 2, 2, 2, 2, 2, 2, 2],
    ];
    let dtypes = [DType::F32, DType::I64, DType::U8, DType::F16];
    for round in 0..70 {
        let shape = shapes[round % shapes.len()];
        let dtype = dtypes[draw.below(4)];
        let (layout, end) = scattered(&mut draw, shape);
        let x = Both::new(gpu, &bytes(&whole(&mut draw, end, dtype), dtype), layout, dtype);
        let dims = draw.below(1 << shape.len()) as u64;
        let kind = [Reduction::Sum, Reduction::Max][draw.below(2)];
        check(gpu, kind, &x, dims, round % 2 == 0, dtype, 0.0);
    }
}

#[test]
fn sums_convert_their_elements_first() {
    let Some(gpu) = gpu() else { return };
    let mut draw = Draw(23);
    for from in [DType::F32, DType::I64, DType::BF16, DType::U8] {
        for to in dtypes(gpu) {
            let low = if from.is_signed() { -9.0 } else { 0.0 };
            let values: Vec<f64> = (0..60).map(|_| (draw.within(low, 9.0) * 8.0).floor() / 8.0).collect();
            let x = Both::of(gpu, &values, &[12, 5], from);
            check(gpu, Reduction::Sum, &x, 0b10, false, to, 1.0);
        }
    }
    let x = Both::of(gpu, &[200.0, 100.0, -3.0, 1e18, 1e18, 1e18, 7e18], &[7], DType::I64);
    for to in [DType::I64, DType::I32, DType::U8, DType::I8, DType::Bool] {
        for kind in [Reduction::Sum, Reduction::Prod] {
            check(gpu, kind, &x, 1, false, to, 0.0);
        }
    }
}

#[test]
fn nan_and_infinities() {
    let Some(gpu) = gpu() else { return };
    let (nan, inf) = (f64::NAN, f64::INFINITY);
    let rows: Vec<f64> = vec![
        1.0, nan, 3.0, nan, 1.0, 2.0, 1.0, 2.0, nan, -inf, -inf, -inf, inf, -inf, 1.0, inf, inf, 2.0, -0.0, 0.0, -0.0,
        0.0, -0.0, -0.0, -inf, nan, inf,
    ];
    for dtype in [DType::F32, DType::F64, DType::F16, DType::BF16].into_iter().filter(|d| has(gpu, *d)) {
        for kind in KINDS {
            for dims in [0b01, 0b10, 0b11] {
                let x = Both::of(gpu, &rows, &[9, 3], dtype);
                let to = if matches!(kind, Reduction::Any | Reduction::All) { DType::Bool } else { dtype };
                check(gpu, kind, &x, dims, false, to, 0.0);
            }
        }
    }
}

#[test]
fn the_largest_and_smallest_integers() {
    let Some(gpu) = gpu() else { return };
    let ends: Vec<u8> = [i64::MIN, i64::MAX, -1, 0, 1 << 32, -(1 << 32), 0xffff_ffff, i64::MIN + 1, i64::MAX - 1]
        .iter()
        .flat_map(|v| v.to_ne_bytes())
        .collect();
    let x = Both::new(gpu, &ends, Layout::contiguous(&[3, 3]), DType::I64);
    for kind in KINDS {
        for dims in [0b01, 0b10, 0b11] {
            let y = Both::zeros(gpu, &reduced(&x.layout, dims, false), DType::I64);
            agree(
                "ends",
                Cpu.reduce(kind, x.on_cpu(), dims, y.out_cpu()),
                gpu.reduce(kind, x.on_gpu(), dims, y.out_gpu()),
            );
            let (a, b) = y.contents();
            assert_eq!(a, b, "{kind:?} over {dims:b}");
        }
    }
}

#[test]
fn nothing_has_no_extremum() {
    let Some(gpu) = gpu() else { return };
    for kind in KINDS {
        for (shape, dims) in [(&[0usize][..], 1), (&[3, 0], 2), (&[3, 0], 1), (&[0, 3], 3), (&[0, 3], 2)] {
            let x = Both::of(gpu, &[], shape, DType::F32);
            check(gpu, kind, &x, dims, false, DType::F32, 0.0);
        }
    }
}

/// Long and wide ones, in parts where they are few.
#[test]
fn many_elements() {
    let Some(gpu) = gpu() else { return };
    let mut draw = Draw(29);
    for (shape, dims) in [
        (&[70_001usize][..], 1),
        (&[3, 20_011], 2),
        (&[20_011, 3], 1),
        (&[5003, 40], 1),
        (&[2000, 40], 2),
        (&[7, 33, 601], 0b101),
        (&[300_000, 2], 2),
    ] {
        for (kind, dtype) in [
            (Reduction::Sum, DType::F32),
            (Reduction::Max, DType::F32),
            (Reduction::Sum, DType::I64),
            (Reduction::Any, DType::U8),
        ] {
            let count: usize = shape.iter().product();
            let x = Both::of(gpu, &whole(&mut draw, count, dtype), shape, dtype);
            let to = if kind == Reduction::Any { DType::Bool } else { dtype };
            check(gpu, kind, &x, dims, false, to, 0.0);
        }
    }
}

/// More groups than one dimension of a dispatch holds.
#[test]
fn many_results() {
    let Some(gpu) = gpu() else { return };
    let layout = Layout::strided(SmallVec::from_slice(&[16_800_000, 2]), SmallVec::from_slice(&[0, 1]), 0);
    let x = Both::new(gpu, &[3, 4], layout, DType::U8);
    check_as_is(gpu, Reduction::Sum, &x, 2, false, DType::U8, 0.0);
}

#[test]
fn sums_lose_little() {
    let Some(gpu) = gpu() else { return };
    let ones = Both::of(gpu, &vec![1.0; 10_000_000], &[10_000_000], DType::F32);
    let total = Both::zeros(gpu, &[], DType::F32);
    gpu.reduce(Reduction::Sum, ones.on_gpu(), 1, total.out_gpu()).unwrap();
    Cpu.reduce(Reduction::Sum, ones.on_cpu(), 1, total.out_cpu()).unwrap();
    total.assert_same("ten million ones");
    let mut draw = Draw(31);
    let values: Vec<f64> = (0..1 << 20).map(|_| f64::from(draw.unit() as f32)).collect();
    for shape in [&[1 << 20][..], &[1 << 10, 1 << 10], &[16, 1 << 16]] {
        for dims in 1..1 << shape.len() {
            let x = Both::of(gpu, &values, shape, DType::F32);
            check(gpu, Reduction::Sum, &x, dims, false, DType::F32, 4.0);
        }
    }
}

fn check_extreme(gpu: Gpu, kind: Extremum, x: &Both, dim: usize, outputs: u32, keep: bool) {
    each_way(|| check_extreme_as_is(gpu, kind, x, dim, outputs, keep));
}

fn check_extreme_as_is(gpu: Gpu, kind: Extremum, x: &Both, dim: usize, outputs: u32, keep: bool) {
    let shape = reduced(&x.layout, 1 << dim, keep);
    let (v, i) = (Both::zeros(gpu, &shape, x.dtype), Both::zeros(gpu, &shape, DType::I64));
    let what = format!("{kind:?} of {} {:?} along {dim}, outputs {outputs:b}", x.dtype, x.layout);
    let cpu = Cpu.extreme(
        kind,
        x.on_cpu(),
        dim,
        (outputs & 1 != 0).then(|| v.out_cpu()),
        (outputs & 2 != 0).then(|| i.out_cpu()),
    );
    let there = gpu.extreme(
        kind,
        x.on_gpu(),
        dim,
        (outputs & 1 != 0).then(|| v.out_gpu()),
        (outputs & 2 != 0).then(|| i.out_gpu()),
    );
    agree(&what, cpu, there);
    v.assert_same(&what);
    i.assert_same(&what);
}

#[test]
fn extremes() {
    let Some(gpu) = gpu() else { return };
    let mut draw = Draw(37);
    for dtype in dtypes(gpu) {
        for kind in [Extremum::Max, Extremum::Min] {
            for (shape, dim) in [(&[3, 20, 20][..], 1), (&[5, 7], 1), (&[], 0), (&[0, 3], 0), (&[0, 3], 1)] {
                let count: usize = shape.iter().product();
                let x = Both::of(gpu, &whole(&mut draw, count, dtype), shape, dtype);
                check_extreme(gpu, kind, &x, dim, 3, false);
            }
        }
    }
    for outputs in [1, 2] {
        for shape in [&[70_001][..], &[3, 20_011], &[600, 30], &[2, 700]] {
            let count: usize = shape.iter().product();
            let x = Both::of(gpu, &whole(&mut draw, count, DType::F32), shape, DType::F32);
            check_extreme(gpu, Extremum::Max, &x, shape.len() - 1, outputs, true);
            check_extreme(gpu, Extremum::Max, &x, 0, outputs, true);
        }
    }
    for (at, value) in [(30_000, f64::NAN), (69_999, f64::INFINITY), (12, 9.0)] {
        let mut values = whole(&mut draw, 70_001, DType::F32);
        values[at] = value;
        values[69_999] = value;
        check_extreme(gpu, Extremum::Max, &Both::of(gpu, &values, &[70_001], DType::F32), 0, 3, false);
        check_extreme(gpu, Extremum::Min, &Both::of(gpu, &values, &[10_000, 7], DType::F32), 0, 3, false);
    }
    for round in 0..30 {
        let shape: &[usize] = [&[3, 40][..], &[2, 3, 30], &[4, 1, 3, 20], &[2, 3, 2, 2, 3]][round % 4];
        let dtype = [DType::F32, DType::I64, DType::U8][draw.below(3)];
        let (layout, end) = scattered(&mut draw, shape);
        let x = Both::new(gpu, &bytes(&whole(&mut draw, end, dtype), dtype), layout, dtype);
        check_extreme(gpu, Extremum::Max, &x, draw.below(shape.len()), 3, round % 2 == 0);
    }
}

#[test]
fn extremes_to_strided_outputs() {
    let Some(gpu) = gpu() else { return };
    let mut draw = Draw(41);
    let x = Both::of(gpu, &whole(&mut draw, 60, DType::I16), &[3, 4, 5], DType::I16);
    let across = || Layout::strided(SmallVec::from_slice(&[3, 4]), SmallVec::from_slice(&[1, 3]), 2);
    let v = Both::zeros(gpu, &[20], DType::I16).seen(across());
    let i = Both::zeros(gpu, &[20], DType::I64).seen(across());
    Cpu.extreme(Extremum::Max, x.on_cpu(), 2, Some(v.out_cpu()), Some(i.out_cpu())).unwrap();
    gpu.extreme(Extremum::Max, x.on_gpu(), 2, Some(v.out_gpu()), Some(i.out_gpu())).unwrap();
    v.assert_same("values");
    i.assert_same("positions");
}

fn check_scan(gpu: Gpu, kind: ScanKind, x: &Both, dim: usize, reverse: bool, to: DType, ulps: f64) {
    each_way(|| check_scan_as_is(gpu, kind, x, dim, reverse, to, ulps));
}

fn check_scan_as_is(gpu: Gpu, kind: ScanKind, x: &Both, dim: usize, reverse: bool, to: DType, ulps: f64) {
    let y = Both::zeros(gpu, x.layout.shape(), to);
    let what = format!("{kind:?} of {} {:?} along {dim} to {to}, reverse {reverse}", x.dtype, x.layout);
    let (cpu, there) =
        (Cpu.scan(kind, x.on_cpu(), dim, reverse, y.out_cpu()), gpu.scan(kind, x.on_gpu(), dim, reverse, y.out_gpu()));
    agree(&what, cpu, there);
    y.assert_close(ulps, 0.0, &what);
}

#[test]
fn scans() {
    let Some(gpu) = gpu() else { return };
    let mut draw = Draw(43);
    for dtype in dtypes(gpu) {
        let to = if dtype.is_float() { dtype } else { DType::I64 };
        for kind in [ScanKind::Sum, ScanKind::Prod] {
            for (shape, dim) in [(&[3, 8, 20][..], 1), (&[5, 7], 1), (&[], 0), (&[0, 3], 0), (&[3, 0], 0)] {
                let count: usize = shape.iter().product();
                let x = Both::of(gpu, &whole(&mut draw, count, dtype), shape, dtype);
                check_scan(gpu, kind, &x, dim, false, to, 1.0);
                if shape.len() == 2 {
                    check_scan(gpu, kind, &x, dim, true, to, 1.0);
                }
            }
        }
    }
    let x = Both::of(gpu, &[3.7, -1.2, 200.5, -7.0, 0.25, 9.0], &[2, 3], DType::F32);
    for to in [DType::I64, DType::I32, DType::U8, DType::Bool, DType::F16] {
        check_scan(gpu, ScanKind::Sum, &x, 1, false, to, 1.0);
    }
    for (kind, dtype) in [(ScanKind::Sum, DType::F32), (ScanKind::Sum, DType::I64), (ScanKind::Prod, DType::I32)] {
        for (shape, dim) in [(&[70_001][..], 0), (&[3, 20_011], 1), (&[20_011, 3], 0), (&[900, 40], 0)] {
            let count: usize = shape.iter().product();
            let x = Both::of(gpu, &whole(&mut draw, count, dtype), shape, dtype);
            check_scan(gpu, kind, &x, dim, false, dtype, 0.0);
            check_scan(gpu, kind, &x, dim, true, dtype, 0.0);
        }
    }
    for round in 0..24 {
        let shape: &[usize] = [&[3, 40][..], &[2, 3, 30], &[4, 1, 3, 20], &[2, 3, 2, 2, 3]][round % 4];
        let dtype = [DType::F32, DType::I64, DType::U8][draw.below(3)];
        let (layout, end) = scattered(&mut draw, shape);
        let x = Both::new(gpu, &bytes(&whole(&mut draw, end, dtype), dtype), layout, dtype);
        check_scan(gpu, ScanKind::Sum, &x, draw.below(shape.len()), round % 3 == 0, dtype, 0.0);
    }
}

#[test]
fn scans_in_place_and_to_strided_outputs() {
    let Some(gpu) = gpu() else { return };
    let mut draw = Draw(47);
    for dtype in [DType::F32, DType::F16, DType::I64] {
        let x = Both::of(gpu, &whole(&mut draw, 500, dtype), &[5, 100], dtype);
        Cpu.scan(ScanKind::Sum, x.on_cpu(), 1, false, x.out_cpu()).unwrap();
        gpu.scan(ScanKind::Sum, x.on_gpu(), 1, false, x.out_gpu()).unwrap();
        x.assert_same("in place");
        let x = Both::of(gpu, &whole(&mut draw, 12, dtype), &[3, 4], dtype);
        let across = Layout::strided(SmallVec::from_slice(&[3, 4]), SmallVec::from_slice(&[1, 3]), 2);
        let y = Both::zeros(gpu, &[20], dtype).seen(across);
        Cpu.scan(ScanKind::Sum, x.on_cpu(), 1, true, y.out_cpu()).unwrap();
        gpu.scan(ScanKind::Sum, x.on_gpu(), 1, true, y.out_gpu()).unwrap();
        y.assert_same("across");
    }
}

#[test]
fn running_sums_lose_little() {
    let Some(gpu) = gpu() else { return };
    let mut draw = Draw(53);
    let values: Vec<f64> = (0..1 << 20).map(|_| f64::from(draw.unit() as f32)).collect();
    for shape in [&[1 << 20][..], &[1 << 10, 1 << 10]] {
        let x = Both::of(gpu, &values, shape, DType::F32);
        check_scan(gpu, ScanKind::Sum, &x, 0, false, DType::F32, 4.0);
    }
}
