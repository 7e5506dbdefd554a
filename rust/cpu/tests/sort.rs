//! Sorting against the standard library's stable sort, over random layouts and every dtype.

mod common;
use common::*;
use std::cmp::Ordering;
use wengert_cpu::sort::sort;
use wengert_ops::DType;

/// NaN equals itself and is greater than everything; zeros are equal.
fn compare(a: f64, b: f64) -> Ordering {
    a.partial_cmp(&b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
}

fn check(rng: &mut Rng, shape: &[usize], dtype: DType, k: Option<usize>) {
    let (dim, descending) = (rng.below(shape.len()), rng.flip());
    let (low, nan) = (if dtype.is_signed() { -5 } else { 0 }, dtype.is_float() && rng.flip());
    let x = Tensor::random(rng, shape, dtype, low, 6, nan, false);
    let n = shape.get(dim).copied().unwrap_or(1);
    let k = k.unwrap_or(if rng.flip() { n } else { rng.below(n + 1) });
    let mut first = shape.to_vec();
    if let Some(size) = first.get_mut(dim) {
        *size = k;
    }
    let count: usize = first.iter().product();
    let (values, indices) = (Tensor::new(rng, &first, dtype, true), Tensor::new(rng, &first, DType::I64, true));
    sort(x.view(), dim, descending, values.out(), indices.out()).unwrap();
    let data = x.values();
    let (mut wanted, mut places) = (vec![0.0; count], vec![0.0; count]);
    for i in 0..count {
        let mut at = coordinates(i, &first);
        if at.get(dim).is_some_and(|&c| c > 0) {
            continue;
        }
        let mut line: Vec<(f64, usize)> = (0..n)
            .map(|c| {
                if let Some(slot) = at.get_mut(dim) {
                    *slot = c;
                }
                (data[linear(&at, shape)], c)
            })
            .collect();
        line.sort_by(|a, b| if descending { compare(b.0, a.0) } else { compare(a.0, b.0) });
        for (c, (v, place)) in line.into_iter().take(if shape.is_empty() { 1 } else { k }).enumerate() {
            if let Some(slot) = at.get_mut(dim) {
                *slot = c;
            }
            wanted[linear(&at, &first)] = v;
            places[linear(&at, &first)] = place as f64;
        }
    }
    let what = format!("{dtype} {:?} along {dim}, descending {descending}, first {k}", x.layout);
    assert_same(&values.values(), &wanted, &what);
    assert_same(&indices.values(), &places, &what);
}

#[test]
fn sorts_agree_with_the_standard_library() {
    let rng = &mut Rng(5);
    for round in 0..3000 {
        let shape = rng.shape(4);
        check(rng, &shape, DType::ALL[round % 10], None);
    }
}

#[test]
fn long_lines_and_few_of_many() {
    let rng = &mut Rng(6);
    for dtype in [DType::Bool, DType::I64, DType::F32, DType::F64] {
        check(rng, &[300_000], dtype, Some(300_000));
        check(rng, &[300_000], dtype, Some(10));
        check(rng, &[200, 900], dtype, Some(3));
    }
}

#[test]
fn the_whole_range_is_in_order() {
    let inf = f64::INFINITY;
    let ordered = [-inf, -1e30, -1.0, -1e-40, 0.0, 1e-40, 1.0, 1e30, inf, f64::NAN];
    for dtype in [DType::F32, DType::F64] {
        let mut mixed = ordered;
        mixed.reverse();
        let x = Tensor::of(&mixed, &[10], dtype);
        let (v, i) = (Tensor::of(&mixed, &[10], dtype), Tensor::of(&mixed, &[10], DType::I64));
        sort(x.view(), 0, false, v.out(), i.out()).unwrap();
        assert_eq!(i.values(), [9., 8., 7., 6., 5., 4., 3., 2., 1., 0.]);
    }
    let ends = [i64::MAX, i64::MIN, 0, -1];
    let x = Tensor::of(&[0.0; 4], &[4], DType::I64);
    wengert_cpu::strided::store(&ends, &x.out());
    let (v, i) = (Tensor::of(&[0.0; 4], &[4], DType::I64), Tensor::of(&[0.0; 4], &[4], DType::I64));
    sort(x.view(), 0, true, v.out(), i.out()).unwrap();
    assert_eq!(wengert_cpu::strided::load::<i64>(v.view()).unwrap(), [i64::MAX, 0, -1, i64::MIN]);
    assert_eq!(i.values(), [0., 2., 3., 1.]);
}

#[test]
fn negative_zero_keeps_its_place_and_its_sign() {
    let x = Tensor::of(&[0.0, -0.0, 0.0, -0.0], &[4], DType::F32);
    let (v, i) = (Tensor::of(&[1.0; 4], &[4], DType::F32), Tensor::of(&[1.0; 4], &[4], DType::I64));
    for descending in [false, true] {
        sort(x.view(), 0, descending, v.out(), i.out()).unwrap();
        assert_eq!(i.values(), [0., 1., 2., 3.]);
        assert_eq!(v.values().iter().map(|v| v.is_sign_negative()).collect::<Vec<_>>(), [false, true, false, true]);
    }
}
