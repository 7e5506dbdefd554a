//! Matrix products against plain loops, over sizes that take each of the kernels' ways.

mod arrays;

use arrays::{close, tolerance, Array};
use wengert_cpu::matmul::matmul;
use wengert_ops::layout::expand_to;
use wengert_ops::{DType, Layout};

/// `a @ b + start` for dense batches.
fn naive(batch: usize, m: usize, k: usize, n: usize, a: &[f64], b: &[f64], start: Option<&[f64]>) -> Vec<f64> {
    let mut out = start.map_or(vec![0.0; batch * m * n], <[f64]>::to_vec);
    for e in 0..batch {
        for i in 0..m {
            for j in 0..n {
                let sum: f64 = (0..k).map(|p| a[(e * m + i) * k + p] * b[(e * k + p) * n + j]).sum();
                out[(e * m + i) * n + j] += sum;
            }
        }
    }
    out
}

fn check(dtype: DType, batch: &[usize], m: usize, k: usize, n: usize) {
    let count = batch.iter().product();
    let shape = |x: usize, y: usize| [batch, &[x, y]].concat();
    let (a, b) = (Array::noise(dtype, &shape(m, k), 1), Array::noise(dtype, &shape(k, n), 2));
    let rank = batch.len() + 2;
    let mut turned: Vec<usize> = (0..rank).collect();
    turned.swap(rank - 1, rank - 2);
    let start = Array::noise(dtype, &shape(m, n), 3);
    let (fresh, added) = (
        naive(count, m, k, n, &a.f64s(), &b.f64s(), None),
        naive(count, m, k, n, &a.f64s(), &b.f64s(), Some(&start.f64s())),
    );
    let (a2, b2) = (a.restride(&turned, 1), b.restride(&turned, 2));
    for (x, y) in [(&a, &b), (&a2, &b), (&a, &b2), (&a2, &b2)] {
        let out = Array::zeros(dtype, &shape(m, n));
        matmul(x.view(), y.view(), false, out.out()).unwrap();
        close(&out.f64s(), &fresh, tolerance(dtype));
        let out = Array::of(dtype, &shape(m, n), &start.f64s());
        matmul(x.view(), y.view(), true, out.out()).unwrap();
        close(&out.f64s(), &added, tolerance(dtype));
    }
}

#[test]
fn every_dtype_size_and_stride_agrees_with_plain_loops() {
    for dtype in [DType::F32, DType::F64] {
        for (m, k, n) in
            [(1, 1, 1), (16, 2, 3), (3, 5, 17), (7, 33, 8), (31, 29, 37), (1, 70, 90), (90, 70, 1), (65, 40, 9)]
        {
            check(dtype, &[], m, k, n);
            check(dtype, &[2, 3], m, k, n);
        }
    }
    for dtype in [DType::F16, DType::BF16, DType::I64, DType::I32, DType::I16] {
        check(dtype, &[], 5, 7, 3);
        check(dtype, &[3], 20, 17, 19);
    }
}

#[test]
fn threads_do_not_change_the_result() {
    check(DType::F32, &[], 130, 120, 110);
    check(DType::F32, &[9], 50, 64, 60);
    check(DType::F64, &[], 3000, 513, 1);
    check(DType::F64, &[], 1, 513, 3000);
}

#[test]
fn empty_sums_are_zero_and_empty_products_stay_empty() {
    for dtype in DType::ALL {
        let (a, b) = (Array::zeros(dtype, &[2, 0]), Array::zeros(dtype, &[0, 3]));
        let out = Array::of(dtype, &[2, 3], &[1i64; 6]);
        matmul(a.view(), b.view(), true, out.out()).unwrap();
        assert_eq!(out.i64s(), [1; 6]);
        matmul(a.view(), b.view(), false, out.out()).unwrap();
        assert_eq!(out.i64s(), [0; 6]);
        let none = Array::zeros(dtype, &[0, 0]);
        matmul(b.view(), Array::zeros(dtype, &[3, 0]).view(), false, none.out()).unwrap();
    }
}

#[test]
fn a_shared_matrix_broadcasts_over_the_batch() {
    for (m, k, n) in [(2, 3, 4), (40, 30, 20), (1, 50, 40)] {
        let (a, b) = (Array::noise(DType::F64, &[5, m, k], 4), Array::noise(DType::F64, &[k, n], 5));
        let wide = expand_to(&b.layout, &[5, k, n]);
        let out = Array::zeros(DType::F64, &[5, m, n]);
        matmul(a.view(), b.under(&wide), false, out.out()).unwrap();
        close(&out.f64s(), &naive(5, m, k, n, &a.f64s(), &b.f64s().repeat(5), None), 1e-14);
        let (c, row) =
            (Array::noise(DType::F64, &[1, m, k], 6), expand_to(&Layout::contiguous(&[1, m, k]), &[5, m, k]));
        matmul(c.under(&row), b.under(&wide), false, out.out()).unwrap();
        close(&out.f64s(), &naive(1, m, k, n, &c.f64s(), &b.f64s(), None).repeat(5), 1e-14);
    }
}

#[test]
fn integers_wrap_and_bools_mean_any() {
    let x = Array::of(DType::U8, &[1, 2], &[200i64, 100]);
    let y = Array::of(DType::U8, &[2, 1], &[2i64, 3]);
    let out = Array::zeros(DType::U8, &[1, 1]);
    matmul(x.view(), y.view(), false, out.out()).unwrap();
    assert_eq!(out.i64s(), [(200 * 2 + 100 * 3) % 256]);
    let x = Array::of(DType::Bool, &[2, 2], &[1i64, 1, 0, 0]);
    let out = Array::zeros(DType::Bool, &[2, 2]);
    matmul(x.view(), x.view(), false, out.out()).unwrap();
    assert_eq!(out.i64s(), [1, 1, 0, 0]);
}

#[test]
fn wrong_shapes_are_errors() {
    let (a, out) = (Array::zeros(DType::F32, &[2, 3]), Array::zeros(DType::F32, &[2, 2]));
    assert!(matmul(a.view(), a.view(), false, out.out()).is_err());
}
