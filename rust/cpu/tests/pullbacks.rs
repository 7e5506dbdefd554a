//! Gradients of rows where they are added to what is there, and where they are summed over broadcast dims: against the
//! products by themselves.

mod arrays;

use arrays::{close, Array};
use wengert_cpu::elementwise::Pullback;
use wengert_cpu::Buffer;
use wengert_ops::{layout, DType, Dims, Layout, Operand, Row, View};

/// Every row with partials, and which of them.
fn partials() -> impl Iterator<Item = (Row, usize)> {
    let differentiable = Row::ALL.iter().filter(|row| row.info().differentiable && row.arity() <= 4);
    differentiable.flat_map(|&row| (0..row.arity()).filter(move |&i| row.needs(i).defined).map(move |i| (row, i)))
}

/// Arguments within a row's domain, its value's stand-in, and a gradient.
fn arguments(row: Row, dtype: DType, shape: &[usize]) -> Vec<Array> {
    let within = |k: usize| {
        let (low, high) = row.info().domain[k];
        let unit = Array::noise(DType::F64, shape, k as u64 + 1).f64s();
        let values: Vec<f64> = unit.iter().map(|u| low + (0.5 + 0.45 * u) * (high - low)).collect();
        Array::of(dtype, shape, &values)
    };
    let mut all: Vec<Array> = (0..row.arity()).map(within).collect();
    all.extend([Array::noise(dtype, shape, 8), Array::noise(dtype, shape, 9)]);
    all
}

fn operands(arrays: &[Array]) -> Vec<Operand<'_, Buffer>> {
    arrays.iter().map(|a| Operand::Array(a.view())).collect()
}

fn pullback<'a>(row: Row, which: usize, dtype: DType, operands: &'a [Operand<'a, Buffer>]) -> Pullback<'a> {
    let count = row.arity();
    let (y, g) = (operands[count], operands[count + 1]);
    Pullback { row, which, compute: dtype.compute(), inputs: &operands[..count], y, g }
}

fn products(row: Row, which: usize, dtype: DType, operands: &[Operand<'_, Buffer>], shape: &[usize]) -> Vec<f64> {
    let out = Array::zeros(dtype, shape);
    pullback(row, which, dtype, operands).write_to(out.out()).unwrap();
    out.f64s()
}

#[test]
fn added_to_what_is_there() {
    for dtype in [DType::F32, DType::F64] {
        for (row, which) in partials() {
            for shape in [&[7][..], &[33], &[3, 700], &[2049]] {
                let arrays = arguments(row, dtype, shape);
                let given = operands(&arrays);
                let before = Array::noise(dtype, shape, 5);
                let wanted: Vec<f64> =
                    products(row, which, dtype, &given, shape).iter().zip(before.f64s()).map(|(p, b)| b + p).collect();
                pullback(row, which, dtype, &given).add_to(before.out()).unwrap();
                close(&before.f64s(), &wanted, dtype.finfo().unwrap().eps);
            }
        }
    }
}

#[test]
fn added_from_any_layout_and_by_threads() {
    for shape in [&[60, 50][..], &[300, 700], &[5, 40_000]] {
        let [x, y, g] = [1, 2, 3].map(|seed| Array::noise(DType::F32, shape, seed));
        let across = x.restride(&[1, 0], 1);
        let row_layout = layout::expand_to(&Layout::contiguous(&[1, shape[1]]), shape);
        let row = Array::noise(DType::F16, &[1, shape[1]], 4);
        for b in [x.view(), across.view(), row.under(&row_layout)] {
            let given =
                [Operand::Array(y.view()), Operand::Array(b), Operand::Array(y.view()), Operand::Array(g.view())];
            let before = Array::noise(DType::F32, shape, 5);
            let wanted: Vec<f64> = products(Row::Mul, 0, DType::F32, &given, shape)
                .iter()
                .zip(before.f64s())
                .map(|(p, b)| f64::from((b + p) as f32))
                .collect();
            pullback(Row::Mul, 0, DType::F32, &given).add_to(before.out()).unwrap();
            assert_eq!(before.f64s(), wanted);
        }
    }
}

/// The sum over dims, in f64, with these dims of size 1.
fn summed(values: &[f64], shape: &[usize], dims: u64) -> (Vec<f64>, Dims) {
    let kept: Dims = shape.iter().enumerate().map(|(d, &n)| if dims >> d & 1 == 1 { 1 } else { n }).collect();
    let mut sums = vec![0.0; kept.iter().product()];
    for (i, v) in values.iter().enumerate() {
        let (mut rest, mut at, mut step) = (i, 0, 1);
        for d in (0..shape.len()).rev() {
            at += if kept[d] == 1 { 0 } else { rest % shape[d] * step };
            (rest, step) = (rest / shape[d], step * kept[d]);
        }
        sums[at] += v;
    }
    (sums, kept)
}

#[test]
fn summed_over_any_dims() {
    for shape in [&[1, 7][..], &[5, 3, 4], &[70, 63], &[700, 65], &[3, 20_000], &[1, 9, 1, 1000], &[100_000]] {
        for dims in 1..1u64 << shape.len() {
            for dtype in [DType::F32, DType::F64] {
                let arrays = arguments(Row::Div, dtype, shape);
                let given = operands(&arrays);
                let (wanted, kept) = summed(&products(Row::Div, 1, dtype, &given, shape), shape, dims);
                let out = Array::zeros(dtype, &kept);
                assert!(pullback(Row::Div, 1, dtype, &given).sum_to(shape, dims, out.out()).unwrap());
                // Sums of numbers of either sign.
                let scale = (shape.iter().product::<usize>() as f64).sqrt();
                close(&out.f64s(), &wanted, scale * dtype.finfo().unwrap().eps);
            }
        }
    }
}

#[test]
fn summed_from_any_layout_for_every_row() {
    let shape = [130, 257];
    for (row, which) in partials() {
        let arrays = arguments(row, DType::F64, &shape);
        let across: Vec<Array> = arrays.iter().map(|a| a.restride(&[1, 0], 2)).collect();
        let given = operands(&across);
        for dims in [1, 2, 3] {
            let (wanted, kept) = summed(&products(row, which, DType::F64, &given, &shape), &shape, dims);
            let out = Array::zeros(DType::F64, &kept);
            assert!(pullback(row, which, DType::F64, &given).sum_to(&shape, dims, out.out()).unwrap());
            close(&out.f64s(), &wanted, 1e-12);
        }
    }
}

#[test]
fn what_is_not_done() {
    let (one, shape) = (Array::noise(DType::F32, &[1, 1], 1), [2, 1 << 16]);
    let wide = layout::expand_to(&one.layout, &shape);
    let given = [Operand::Array(View { layout: &wide, ..one.view() }); 4];
    let (p, out) = (pullback(Row::Mul, 0, DType::F32, &given), Array::zeros(DType::F32, &[1, 1]));
    // Rows too long, one element, nothing, halves.
    assert!(!p.sum_to(&shape, 3, out.out()).unwrap());
    assert!(!p.sum_to(&[1, 1], 3, out.out()).unwrap());
    assert!(!p.sum_to(&[2, 0], 3, out.out()).unwrap());
    assert!(!p.sum_to(&[2, 3], 3, Array::zeros(DType::F16, &[1, 1]).out()).unwrap());
    assert_eq!(out.f64s(), [0.0]);
    let refused = |out: &Array| p.add_to(out.out()).unwrap_err().message().to_owned();
    assert!(refused(&Array::zeros(DType::F16, &[4])).contains("mul: a gradient is added to a dense one alone"));
    assert!(refused(&Array::zeros(DType::F32, &[3, 4]).restride(&[1, 0], 1)).contains("dense one alone"));
    assert!(Pullback { inputs: &given[..1], ..p }.add_to(out.out()).is_err());
    assert!(Pullback { row: Row::Lt, ..p }.add_to(out.out()).is_err());
}
