//! Reductions, extremes and scans against naive loops, over random layouts and every dtype.

mod common;
use common::*;
use wengert_cpu::extreme::extreme;
use wengert_cpu::reduce::reduce;
use wengert_cpu::scan::scan;
use wengert_ops::{DType, ErrorKind, Extremum, Reduction, ScanKind};

const KINDS: [Reduction; 6] =
    [Reduction::Sum, Reduction::Prod, Reduction::Max, Reduction::Min, Reduction::Any, Reduction::All];

/// Values whose sums and products are exact in every type: zeros and ones for products, small integers else.
fn input(rng: &mut Rng, shape: &[usize], dtype: DType, kind: Reduction) -> Tensor {
    let (low, high) = match kind {
        Reduction::Prod => (0, 2),
        Reduction::All => (0, 40),
        Reduction::Any => (0, 2),
        _ if dtype.is_signed() => (-1, 2),
        _ => (0, 2),
    };
    let nan = dtype.is_float() && matches!(kind, Reduction::Max | Reduction::Min) && rng.flip();
    Tensor::random(rng, shape, dtype, low, high, nan, false)
}

fn join(kind: Reduction, a: f64, b: f64) -> f64 {
    match kind {
        Reduction::Sum => a + b,
        Reduction::Prod => a * b,
        Reduction::Max if a.is_nan() || b.is_nan() => f64::NAN,
        Reduction::Min if a.is_nan() || b.is_nan() => f64::NAN,
        Reduction::Max => a.max(b),
        Reduction::Min => a.min(b),
        Reduction::Any => ((a != 0.0) | (b != 0.0)) as u8 as f64,
        Reduction::All => ((a != 0.0) & (b != 0.0)) as u8 as f64,
    }
}

fn identity(kind: Reduction) -> f64 {
    match kind {
        Reduction::Sum | Reduction::Any => 0.0,
        Reduction::Prod | Reduction::All => 1.0,
        Reduction::Max => f64::NEG_INFINITY,
        Reduction::Min => f64::INFINITY,
    }
}

fn out_dtype(kind: Reduction, dtype: DType) -> DType {
    match kind {
        Reduction::Sum | Reduction::Prod if !dtype.is_float() => DType::I64,
        Reduction::Any | Reduction::All => DType::Bool,
        _ => dtype,
    }
}

fn without(shape: &[usize], mask: u64, keepdim: bool) -> Vec<usize> {
    let dims = shape.iter().enumerate();
    dims.filter(|(d, _)| keepdim || mask >> d & 1 == 0).map(|(d, &n)| if mask >> d & 1 == 1 { 1 } else { n }).collect()
}

fn check_reduce(rng: &mut Rng, shape: &[usize], dtype: DType, kind: Reduction, mask: u64) {
    let x = input(rng, shape, dtype, kind);
    let kept = without(shape, mask, true);
    let out = Tensor::of(&vec![7.0; kept.iter().product()], &without(shape, mask, rng.flip()), out_dtype(kind, dtype));
    let what = format!("{kind:?} of {dtype} {:?} over {mask:b}", x.layout);
    let result = reduce(kind, x.view(), mask, out.out());
    let extremum = matches!(kind, Reduction::Max | Reduction::Min);
    if extremum && x.layout.numel() == 0 && out.layout.numel() > 0 {
        let error = result.unwrap_err();
        assert!(error.message().contains("(): Expected reduction dim to have non-zero size"), "{error}");
        return;
    }
    result.unwrap();
    let mut wanted = vec![identity(kind); out.layout.numel()];
    for (i, v) in x.values().into_iter().enumerate() {
        let mut at = coordinates(i, shape);
        for (d, c) in at.iter_mut().enumerate() {
            *c *= (mask >> d & 1 == 0) as usize;
        }
        let slot = &mut wanted[linear(&at, &kept)];
        *slot = join(kind, *slot, v);
    }
    assert_same(&out.values(), &wanted, &what);
}

#[test]
fn reductions_agree_with_naive_loops() {
    let rng = &mut Rng(1);
    for round in 0..4000 {
        let shape = rng.shape(5);
        let mask = rng.next() & ((1 << shape.len()) - 1);
        let mask = if round % 5 == 0 { (1 << shape.len()) - 1 } else { mask };
        let kind = KINDS[rng.below(6)];
        check_reduce(rng, &shape, DType::ALL[round % 10], kind, mask);
    }
}

#[test]
fn large_reductions_are_shared_out_and_still_exact() {
    let rng = &mut Rng(2);
    for (shape, mask) in [
        (vec![300_000], 0b1),
        (vec![500, 601], 0b01),
        (vec![500, 601], 0b10),
        (vec![500, 601], 0b11),
        (vec![60_000, 3], 0b01),
        (vec![3, 60_000], 0b01),
        (vec![3, 60_000], 0b10),
        (vec![40, 70, 60], 0b101),
        (vec![40, 70, 60], 0b010),
        (vec![2, 2, 1500, 40], 0b1001),
        (vec![64, 50, 100], 0b010),
        (vec![64, 100, 50], 0b101),
        (vec![9, 7, 33, 70], 0b1011),
    ] {
        for kind in [Reduction::Sum, Reduction::Max, Reduction::All] {
            for dtype in [DType::Bool, DType::U8, DType::I8, DType::I16, DType::I64, DType::F32, DType::F64] {
                check_reduce(rng, &shape, dtype, kind, mask);
            }
        }
    }
}

#[test]
fn float_sums_are_accurate() {
    let n = 20_000_000;
    let ones = Tensor::of(&vec![1.0; n], &[n], DType::F32);
    let out = Tensor::of(&[0.0], &[], DType::F32);
    reduce(Reduction::Sum, ones.view(), 1, out.out()).unwrap();
    assert_eq!(out.values(), [n as f64]);
    // 2^24 + 1 is not an f32, so running f32 sums of a column would stop there.
    let column = Tensor::of(&vec![1.0; 2 * 17_000_000], &[17_000_000, 2], DType::F32);
    let out = Tensor::of(&[0.0; 2], &[2], DType::F32);
    reduce(Reduction::Sum, column.view(), 1, out.out()).unwrap();
    assert_eq!(out.values(), [17e6; 2]);
    let tenth = Tensor::of(&vec![0.1; 1_000_000], &[1_000_000], DType::F32);
    let out = Tensor::of(&[0.0], &[], DType::F32);
    reduce(Reduction::Sum, tenth.view(), 1, out.out()).unwrap();
    let relative = (out.values()[0] / (0.1f32 as f64 * 1e6) - 1.0).abs();
    assert!(relative < 2e-7, "{relative}");
    let half = Tensor::of(&vec![1.0; 5000], &[5000], DType::F16);
    let out = Tensor::of(&[0.0], &[], DType::F16);
    reduce(Reduction::Sum, half.view(), 1, out.out()).unwrap();
    assert_eq!(out.values(), [5000.0]);
}

#[test]
fn sums_convert_their_input_first() {
    let x = Tensor::of(&[1.9, -1.9, 3.5], &[3], DType::F32);
    for (dtype, wanted) in [(DType::I64, 3.0), (DType::I32, 3.0), (DType::F64, 1.9f32 as f64 - 1.9f32 as f64 + 3.5)] {
        let out = Tensor::of(&[0.0], &[], dtype);
        reduce(Reduction::Sum, x.view(), 1, out.out()).unwrap();
        assert_eq!(out.values(), [wanted]);
    }
    let x = Tensor::of(&[200.0, 100.0], &[2], DType::U8);
    let out = Tensor::of(&[0.0], &[1], DType::U8);
    reduce(Reduction::Sum, x.view(), 1, out.out()).unwrap();
    assert_eq!(out.values(), [44.0]);
    let out = Tensor::of(&[0.0], &[1], DType::F16);
    reduce(Reduction::Sum, x.view(), 1, out.out()).unwrap();
    assert_eq!(out.values(), [300.0]);
}

fn check_extreme(rng: &mut Rng, shape: &[usize], dtype: DType) {
    let kind = if rng.flip() { Extremum::Max } else { Extremum::Min };
    let dim = rng.below(shape.len());
    let (low, nan) = (if dtype.is_signed() { -3 } else { 0 }, dtype.is_float() && rng.flip());
    let x = Tensor::random(rng, shape, dtype, low, 4, nan, false);
    let mask = 1u64 << dim;
    let kept = without(shape, mask, true);
    let out_shape = without(shape, mask, rng.flip());
    let values = Tensor::new(rng, &out_shape, dtype, true);
    let indices = Tensor::new(rng, &out_shape, DType::I64, true);
    let which = rng.below(3);
    let what = format!("{kind:?} of {dtype} {:?} along {dim}", x.layout);
    let result = extreme(kind, x.view(), dim, (which != 0).then(|| values.out()), (which != 1).then(|| indices.out()));
    let n = shape.get(dim).copied().unwrap_or(1);
    if n == 0 && values.layout.numel() > 0 {
        assert_eq!(result.unwrap_err().kind(), ErrorKind::Index);
        return;
    }
    result.unwrap();
    let data = x.values();
    let (mut best, mut place) = (vec![], vec![]);
    for i in 0..values.layout.numel() {
        let mut at = coordinates(i, &kept);
        let mut line = (0..n).map(|k| {
            if let Some(c) = at.get_mut(dim) {
                *c = k;
            }
            data[linear(&at, shape)]
        });
        let (mut b, mut p) = (line.next().unwrap(), 0);
        for (k, v) in line.enumerate() {
            let better = if kind == Extremum::Max { v > b } else { v < b };
            if !b.is_nan() && (better || v.is_nan()) {
                (b, p) = (v, k + 1);
            }
        }
        best.push(b);
        place.push(p as f64);
    }
    if which != 0 {
        assert_same(&values.values(), &best, &what);
    }
    if which != 1 {
        assert_same(&indices.values(), &place, &what);
    }
}

#[test]
fn extremes_agree_with_naive_loops() {
    let rng = &mut Rng(3);
    for round in 0..3000 {
        let shape = rng.shape(4);
        check_extreme(rng, &shape, DType::ALL[round % 10]);
    }
    for dtype in [DType::Bool, DType::I32, DType::F32, DType::BF16] {
        check_extreme(rng, &[400_000], dtype);
        check_extreme(rng, &[400, 700], dtype);
    }
}

#[test]
fn infinities_are_found() {
    let x = Tensor::of(&[f64::NEG_INFINITY; 40], &[40], DType::F32);
    let (v, i) = (Tensor::of(&[0.0], &[], DType::F32), Tensor::of(&[5.0], &[], DType::I64));
    extreme(Extremum::Max, x.view(), 0, Some(v.out()), Some(i.out())).unwrap();
    assert_eq!((v.values()[0], i.values()[0]), (f64::NEG_INFINITY, 0.0));
}

#[test]
fn scans_agree_with_naive_loops() {
    let rng = &mut Rng(4);
    for round in 0..3000 {
        let shape = rng.shape(4);
        let dtype = DType::ALL[round % 10];
        let kind = if rng.flip() { ScanKind::Sum } else { ScanKind::Prod };
        let (low, high) = if kind == ScanKind::Prod { (1, 2) } else { (0, 2) };
        let x = Tensor::random(rng, &shape, dtype, low, high, false, false);
        let out_dtype = match rng.below(3) {
            0 => DType::F32,
            _ if dtype.is_float() => dtype,
            1 => DType::I64,
            _ => DType::I32,
        };
        let out = Tensor::new(rng, &shape, out_dtype, true);
        let (dim, reverse) = (rng.below(shape.len()), rng.flip());
        scan(kind, x.view(), dim, reverse, out.out()).unwrap();
        let mut wanted = x.values();
        let n = shape.get(dim).copied().unwrap_or(1);
        for i in 0..wanted.len() {
            let i = if reverse { wanted.len() - 1 - i } else { i };
            let mut at = coordinates(i, &shape);
            let c = at.get(dim).copied().unwrap_or(0);
            if if reverse { c + 1 == n } else { c == 0 } {
                continue;
            }
            at[dim] = if reverse { c + 1 } else { c - 1 };
            let before = wanted[linear(&at, &shape)];
            wanted[i] = if kind == ScanKind::Sum { wanted[i] + before } else { wanted[i] * before };
        }
        // Sums up to a few hundred are exact in every type but the narrowest floats.
        if out_dtype == DType::BF16 {
            wanted.iter_mut().for_each(|v| *v = half::bf16::from_f64(*v).to_f64());
        }
        assert_same(&out.values(), &wanted, &format!("{kind:?} of {dtype} {:?} along {dim}", x.layout));
    }
}

#[test]
fn long_scans_keep_their_digits() {
    let n = 1_000_000;
    let x = Tensor::of(&vec![0.1; n], &[n], DType::F32);
    let out = Tensor::of(&vec![0.0; n], &[n], DType::F32);
    scan(ScanKind::Sum, x.view(), 0, false, out.out()).unwrap();
    assert!((out.values()[n - 1] / (0.1f32 as f64 * n as f64) - 1.0).abs() < 1e-7);
}

#[test]
fn narrow_sums_do_not_overflow() {
    for (dtype, value) in [(DType::U8, 255.0), (DType::I8, -128.0), (DType::I16, -32768.0), (DType::Bool, 1.0)] {
        let x = Tensor::of(&vec![value; 200_003], &[200_003], dtype);
        let out = Tensor::of(&[0.0], &[], DType::I64);
        reduce(Reduction::Sum, x.view(), 1, out.out()).unwrap();
        assert_eq!(out.values(), [value * 200_003.0], "{dtype}");
    }
}

#[test]
fn sums_of_squares_are_those_of_the_squares() {
    let rng = &mut Rng(3);
    for round in 0..300 {
        let shape = if round < 3 { vec![301, 700] } else { rng.shape(4) };
        let mask = rng.next() & ((1 << shape.len()) - 1);
        let dtype = if rng.flip() { DType::F32 } else { DType::F64 };
        let x = Tensor::random(rng, &shape, dtype, -9, 9, round % 4 == 0, false);
        let squares = Tensor::of(&x.values().iter().map(|v| v * v).collect::<Vec<_>>(), &shape, dtype);
        let kept = without(&shape, mask, rng.flip());
        let (a, b) =
            (Tensor::new(rng, &kept, dtype, true), Tensor::of(&vec![0.0; kept.iter().product()], &kept, dtype));
        wengert_cpu::reduce::square_sums(x.view(), mask, a.out()).unwrap();
        reduce(Reduction::Sum, squares.view(), mask, b.out()).unwrap();
        assert_same(&a.values(), &b.values(), &format!("{dtype} {:?} over {mask:b}", x.layout));
    }
}
