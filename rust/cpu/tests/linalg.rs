//! Factorizations give back their input, with the signs and errors of PyTorch.

mod arrays;

use arrays::{close, Array};
use wengert_cpu::linalg::linalg;
use wengert_ops::{DType, ErrorKind, Linalg, Result};

fn run(op: Linalg, inputs: &[&Array], shapes: &[&[usize]]) -> Result<Vec<Vec<f64>>> {
    let dtype = inputs[0].dtype;
    let outputs: Vec<Array> = shapes.iter().map(|s| Array::zeros(dtype, s)).collect();
    let views: Vec<_> = inputs.iter().map(|x| x.view()).collect();
    let outs: Vec<_> = outputs.iter().map(|x| x.out()).collect();
    linalg(op, &views, &outs)?;
    Ok(outputs.iter().map(Array::f64s).collect())
}

/// `a @ b` of dense batches.
fn mul(a: &[f64], b: &[f64], m: usize, k: usize, n: usize) -> Vec<f64> {
    let batch = a.len().checked_div(m * k).unwrap_or(b.len() / (k * n).max(1));
    let mut out = vec![0.0; batch * m * n];
    for (p, y) in out.iter_mut().enumerate() {
        let (e, i, j) = (p / (m * n), p / n % m, p % n);
        *y = (0..k).map(|q| a[(e * m + i) * k + q] * b[(e * k + q) * n + j]).sum();
    }
    out
}

fn transpose(a: &[f64], m: usize, n: usize) -> Vec<f64> {
    (0..a.len()).map(|p| a[p / (m * n) * m * n + p % m * n + p / m % n]).collect()
}

fn identity(batch: usize, n: usize) -> Vec<f64> {
    (0..batch * n * n).map(|p| (p / n % n == p % n) as u8 as f64).collect()
}

const FLOATS: [(DType, f64); 2] = [(DType::F32, 3e-5), (DType::F64, 1e-12)];
/// One size on each side of every switch between algorithms.
const SIZES: [usize; 5] = [1, 2, 5, 17, 60];

/// A batch of two well-conditioned matrices, stored transposed.
fn regular(dtype: DType, n: usize) -> Array {
    let noise = Array::noise(dtype, &[2, n, n], n as u64).f64s();
    let values: Vec<f64> = noise.iter().zip(identity(2, n)).map(|(x, i)| x + i * (n as f64).sqrt() * 1.5).collect();
    Array::of(dtype, &[2, n, n], &values).restride(&[0, 2, 1], 1)
}

#[test]
fn cholesky_reads_one_triangle() {
    for (dtype, tolerance) in FLOATS {
        for n in SIZES {
            let x = regular(dtype, n).f64s();
            let mut a = mul(&x, &transpose(&x, n, n), n, n, n);
            let whole = Array::of(dtype, &[2, n, n], &a).f64s();
            for upper in [false, true] {
                for (p, v) in a.iter_mut().enumerate() {
                    let (i, j) = (p / n % n, p % n);
                    *v = if i != j && (j > i) != upper { f64::NAN } else { whole[p] };
                }
                let out = run(Linalg::Cholesky { upper }, &[&Array::of(dtype, &[2, n, n], &a)], &[&[2, n, n]]).unwrap();
                let t = transpose(&out[0], n, n);
                let (l, u) = if upper { (&t, &out[0]) } else { (&out[0], &t) };
                close(&mul(l, u, n, n, n), &whole, tolerance);
                assert!((0..n * n).all(|p| p % n <= p / n || l[p] == 0.0));
            }
        }
    }
}

#[test]
fn qr_has_lapacks_signs() {
    for (dtype, tolerance) in FLOATS {
        for (m, n) in [(1, 1), (3, 2), (2, 5), (40, 30), (30, 40), (4, 4)] {
            let x = Array::noise(dtype, &[2, m, n], 5);
            for complete in [false, true] {
                let k = if complete { m } else { m.min(n) };
                let out = run(Linalg::Qr { complete }, &[&x], &[&[2, m, k], &[2, k, n]]).unwrap();
                close(&mul(&out[0], &out[1], m, k, n), &x.f64s(), tolerance);
                close(&mul(&transpose(&out[0], m, k), &out[0], k, m, k), &identity(2, k), tolerance);
                assert!((0..2 * k * n).all(|p| p % n >= p / n % k || out[1][p] == 0.0));
            }
        }
    }
    let qr = |shape: &[usize], values: &[f64]| {
        let k = shape[0].min(shape[1]);
        run(Linalg::Qr { complete: false }, &[&Array::f64(shape, values)], &[&[shape[0], k], &[k, shape[1]]]).unwrap()
    };
    // Printed by PyTorch.
    let out = qr(&[3, 2], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    close(&out[1], &[-5.916079783, -7.437357441, 0.0, 0.8280786712], 1e-8);
    let out = qr(&[2, 3], &[-1.0, 2.0, 0.0, 3.0, -4.0, 1.0]);
    close(&out[1], &[3.16227766, -4.427188724, 0.9486832981, 0.0, 0.632455532, 0.316227766], 1e-8);
    assert_eq!(qr(&[1, 1], &[-3.0]), [[1.0], [-3.0]]);
    assert_eq!(qr(&[2, 2], &[0.0, 1.0, 1.0, 0.0])[1], [-1.0, 0.0, 0.0, -1.0]);
    assert_eq!(qr(&[2, 2], &[0.0; 4]), [vec![1.0, 0.0, 0.0, 1.0], vec![0.0; 4]]);
}

#[test]
fn eigh_reads_one_triangle_and_sorts() {
    for (dtype, tolerance) in FLOATS {
        for n in SIZES {
            let x = Array::noise(dtype, &[2, n, n], 8).f64s();
            for upper in [false, true] {
                let input = Array::of(dtype, &[2, n, n], &x);
                let out = run(Linalg::Eigh { upper }, &[&input], &[&[2, n], &[2, n, n]]).unwrap();
                let symmetric: Vec<f64> = (0..x.len())
                    .map(|p| {
                        let (e, i, j) = (p / (n * n), p / n % n, p % n);
                        let (low, high) = (i.min(j), i.max(j));
                        x[e * n * n + if upper { low * n + high } else { high * n + low }]
                    })
                    .collect();
                let scaled: Vec<f64> = (0..x.len()).map(|p| out[1][p] * out[0][p / (n * n) * n + p % n]).collect();
                close(&mul(&scaled, &transpose(&out[1], n, n), n, n, n), &symmetric, tolerance);
                assert!(out[0].chunks(n).all(|s| s.windows(2).all(|w| w[0] <= w[1])));
            }
        }
    }
}

#[test]
fn svd_gives_back_its_input() {
    for (dtype, tolerance) in FLOATS {
        for (m, n) in [(1, 1), (3, 2), (2, 5), (40, 30), (30, 40), (4, 4)] {
            let x = Array::noise(dtype, &[2, m, n], 5);
            let r = m.min(n);
            for full in [false, true] {
                let (p, q) = if full { (m, n) } else { (r, r) };
                let out = run(Linalg::Svd { full }, &[&x], &[&[2, m, p], &[2, r], &[2, q, n]]).unwrap();
                let mut middle = vec![0.0; 2 * p * q];
                for i in 0..2 * r {
                    middle[i / r * p * q + i % r * (q + 1)] = out[1][i];
                }
                close(&mul(&mul(&out[0], &middle, m, p, q), &out[2], m, q, n), &x.f64s(), tolerance);
                close(&mul(&transpose(&out[0], m, p), &out[0], p, m, p), &identity(2, p), tolerance);
                close(&mul(&out[2], &transpose(&out[2], q, n), q, n, q), &identity(2, q), tolerance);
                assert!(out[1].chunks(r).all(|s| s.windows(2).all(|w| w[0] >= w[1]) && s[r - 1] >= 0.0));
            }
        }
    }
}

#[test]
fn solves_and_inverses() {
    for (dtype, tolerance) in FLOATS {
        for n in SIZES {
            let (a, b) = (regular(dtype, n), Array::noise(dtype, &[2, n, 3], 4).restride(&[2, 1, 0], 2));
            let x = run(Linalg::Solve, &[&a, &b], &[&[2, n, 3]]).unwrap();
            close(&mul(&a.f64s(), &x[0], n, n, 3), &b.f64s(), tolerance);
            let inverse = run(Linalg::Inverse, &[&a], &[&[2, n, n]]).unwrap();
            close(&mul(&a.f64s(), &inverse[0], n, n, n), &identity(2, n), tolerance);
            for (upper, unit) in [(false, false), (false, true), (true, false), (true, true)] {
                let x = run(Linalg::SolveTriangular { upper, unit }, &[&a, &b], &[&[2, n, 3]]).unwrap();
                let mut used = a.f64s();
                for (p, v) in used.iter_mut().enumerate() {
                    let (i, j) = (p / n % n, p % n);
                    *v = if i == j && unit {
                        1.0
                    } else if i == j || (j > i) == upper {
                        *v
                    } else {
                        0.0
                    };
                }
                // Unit triangles of noise grow the solution, and the residual with it.
                let size = x[0].iter().fold(1.0f64, |s, v| s.max(v.abs()));
                close(&mul(&used, &x[0], n, n, 3), &b.f64s(), tolerance * size);
            }
        }
    }
}

#[test]
fn determinants_of_products_permutations_and_singular_matrices() {
    for (dtype, tolerance) in FLOATS {
        for n in SIZES {
            let a = regular(dtype, n);
            let det = run(Linalg::Det, &[&a], &[&[2]]).unwrap();
            let parts = run(Linalg::SlogDet, &[&a], &[&[2], &[2]]).unwrap();
            for e in 0..2 {
                // Sixty rows are too many for the range of f32.
                let size =
                    if parts[1][e] > dtype.finfo().unwrap().max.ln() { f64::INFINITY } else { parts[1][e].exp() };
                close(&[det[0][e]], &[parts[0][e] * size], tolerance * 10.0);
            }
        }
    }
    let det = |n: usize, values: &[f64]| run(Linalg::Det, &[&Array::f64(&[n, n], values)], &[&[]]).unwrap()[0][0];
    let slog = |n: usize, values: &[f64]| run(Linalg::SlogDet, &[&Array::f64(&[n, n], values)], &[&[], &[]]).unwrap();
    close(&[det(2, &[1.0, 2.0, 3.0, 4.0])], &[-2.0], 1e-15);
    assert_eq!(det(3, &[0.0, 1.0, 0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0]), 1.0);
    assert_eq!(det(3, &[0.0, 1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0]), -1.0);
    assert_eq!(det(2, &[1.0, 2.0, 2.0, 4.0]), 0.0);
    assert_eq!(det(3, &[0.0; 9]), 0.0);
    assert_eq!(det(60, &[0.0; 3600]), 0.0);
    assert_eq!(slog(2, &[0.0, 1.0, 1.0, 0.0]), [[-1.0], [0.0]]);
    let singular = slog(2, &[1.0, 2.0, 2.0, 4.0]);
    assert!(singular[0][0] == 0.0 && singular[1][0] == f64::NEG_INFINITY);
    assert!(det(2, &[f64::NAN, 1.0, 1.0, 1.0]).is_nan());
}

#[test]
fn nothing_in_nothing_out() {
    assert_eq!(run(Linalg::Det, &[&Array::f64(&[0, 0], &[])], &[&[]]).unwrap(), [[1.0]]);
    assert_eq!(run(Linalg::SlogDet, &[&Array::f64(&[0, 0], &[])], &[&[], &[]]).unwrap(), [[1.0], [0.0]]);
    let none = Array::f64(&[3, 0], &[]);
    let qr = run(Linalg::Qr { complete: true }, &[&none], &[&[3, 3], &[3, 0]]).unwrap();
    assert_eq!(qr, [identity(1, 3), vec![]]);
    let svd = run(Linalg::Svd { full: true }, &[&none], &[&[3, 3], &[0], &[0, 0]]).unwrap();
    assert_eq!(svd, [identity(1, 3), vec![], vec![]]);
    for op in [Linalg::Inverse, Linalg::Cholesky { upper: false }] {
        assert!(run(op, &[&Array::f64(&[0, 0], &[])], &[&[0, 0]]).unwrap()[0].is_empty());
        assert!(run(op, &[&Array::f64(&[0, 2, 2], &[])], &[&[0, 2, 2]]).unwrap()[0].is_empty());
    }
    assert!(run(Linalg::Eigh { upper: false }, &[&Array::f64(&[0, 0], &[])], &[&[0], &[0, 0]]).is_ok());
    assert!(run(Linalg::Solve, &[&Array::f64(&[2, 2], &[1.0; 4]), &Array::f64(&[2, 0], &[])], &[&[2, 0]]).is_err());
}

#[test]
fn errors_say_what_pytorch_says() {
    let message = |op, inputs: &[&Array], shapes: &[&[usize]]| {
        let error = run(op, inputs, shapes).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::LinAlg);
        error.message().to_string()
    };
    let singular = Array::f64(&[2, 2], &[1.0, 2.0, 2.0, 4.0]);
    let batch = Array::f64(&[2, 2, 2], &[1.0, 0.0, 0.0, 1.0, 1.0, 2.0, 2.0, 4.0]);
    let inversion =
        "The diagonal element 2 is zero, the inversion could not be completed because the input matrix is singular.";
    assert_eq!(message(Linalg::Inverse, &[&singular], &[&[2, 2]]), format!("linalg.inv: {inversion}"));
    let text = message(Linalg::Inverse, &[&batch], &[&[2, 2, 2]]);
    assert_eq!(text, format!("linalg.inv: (Batch element 1): {inversion}"));
    let b = Array::f64(&[2, 1], &[1.0, 1.0]);
    let text = message(Linalg::Solve, &[&singular, &b], &[&[2, 1]]);
    assert_eq!(text, "torch.linalg.solve: The solver failed because the input matrix is singular.");
    let zeros = Array::f64(&[60, 60], &[0.0; 3600]);
    assert!(message(Linalg::Inverse, &[&zeros], &[&[60, 60]]).contains("The diagonal element 1 is zero"));
    let minor = |order: usize| {
        format!(
            "linalg.cholesky: The factorization could not be completed because the input is not positive-definite \
             (the leading minor of order {order} is not positive-definite)."
        )
    };
    let cholesky = Linalg::Cholesky { upper: false };
    let indefinite = Array::f64(&[3, 3], &[1.0, 0.0, 0.0, 2.0, 1.0, 0.0, 0.0, 0.0, 1.0]);
    assert_eq!(message(cholesky, &[&indefinite], &[&[3, 3]]), minor(2));
    let nan = Array::f64(&[2, 2], &[1.0, 0.0, f64::NAN, 4.0]);
    assert_eq!(message(cholesky, &[&nan], &[&[2, 2]]), minor(2));
    let svd = Linalg::Svd { full: false };
    assert_eq!(
        message(svd, &[&nan], &[&[2, 2], &[2], &[2, 2]]),
        "linalg.svd: The algorithm failed to converge because the input matrix contained non-finite values."
    );
}

#[test]
fn nan_comes_out_as_nan_where_pytorch_raises_nothing() {
    for n in [2, 60] {
        let mut values = identity(1, n);
        values[n] = f64::NAN;
        let nan = Array::f64(&[n, n], &values);
        assert!(run(Linalg::Inverse, &[&nan], &[&[n, n]]).unwrap()[0].iter().any(|v| v.is_nan()));
        let out = run(Linalg::Eigh { upper: false }, &[&nan], &[&[n], &[n, n]]).unwrap();
        assert!(out[0].iter().all(|v| v.is_nan()));
        let out = run(Linalg::Qr { complete: false }, &[&nan], &[&[n, n], &[n, n]]).unwrap();
        assert!(out[1].iter().any(|v| v.is_nan()));
    }
}

#[test]
fn wrong_dtypes_and_shapes_are_refused() {
    let ints = Array::zeros(DType::I64, &[2, 2]);
    let error = run(Linalg::Det, &[&ints], &[&[]]).unwrap_err();
    assert!(error.message().contains("int64"));
    let error = run(Linalg::Det, &[&Array::zeros(DType::F32, &[2, 3])], &[&[]]).unwrap_err();
    assert!(error.message().contains("square"));
}
