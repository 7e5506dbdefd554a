//! Matrix factorizations and solves over batches in the last two dims.

use super::{batch_shape, exactly, one};
use crate::dtype::DType;
use crate::error::Result;
use crate::fail;
use crate::layout::Dims;
use crate::op::{Linalg, Meta};
use smallvec::{smallvec, SmallVec};

/// A batch of matrices of float32 or float64: (batch dims, rows, columns). `which` is the argument's name, `"A"`.
pub fn check_matrix<'a>(op: &str, which: &str, x: &'a Meta) -> Result<(&'a [usize], usize, usize)> {
    let [batch @ .., rows, cols] = &x.shape[..] else {
        fail!(runtime, "{op}: The input tensor {which} must have at least 2 dimensions, but got shape {:?}.", x.shape);
    };
    if !x.dtype.is_float() {
        fail!(
            not_implemented,
            "{op}: Expected a floating point or complex tensor as input. Got {}; cast it first, as in x.float()",
            x.dtype.scalar_name()
        );
    }
    if !matches!(x.dtype, DType::F32 | DType::F64) {
        fail!(
            not_implemented,
            "{op}: Low precision dtypes not supported. Got {}; cast it first, as in x.float()",
            x.dtype.scalar_name()
        );
    }
    Ok((batch, *rows, *cols))
}

/// [`check_matrix`], and square: (batch dims, rows).
pub fn check_square<'a>(op: &str, which: &str, x: &'a Meta) -> Result<(&'a [usize], usize)> {
    if let [.., rows, cols] = x.shape[..] {
        if rows != cols {
            fail!(runtime, "{op}: {which} must be batches of square matrices, but they are {rows} by {cols} matrices");
        }
    }
    let (batch, rows, _) = check_matrix(op, which, x)?;
    Ok((batch, rows))
}

fn shaped(batch: &[usize], tail: &[usize], dtype: DType) -> Meta {
    let mut shape = Dims::from_slice(batch);
    shape.extend_from_slice(tail);
    Meta { shape, dtype }
}

pub(super) fn linalg(kind: Linalg, inputs: &[Meta]) -> Result<SmallVec<[Meta; 2]>> {
    let op = super::linalg_name(&kind);
    if let Linalg::Solve | Linalg::SolveTriangular { .. } = kind {
        let [a, b] = exactly(op, inputs)?;
        return solve(op, a, b);
    }
    let [a] = exactly(op, inputs)?;
    let of = |batch: &[usize], tail: &[usize]| shaped(batch, tail, a.dtype);
    Ok(match kind {
        Linalg::Qr { complete } => {
            let (batch, m, n) = check_matrix(op, "A", a)?;
            let k = if complete { m } else { m.min(n) };
            smallvec![of(batch, &[m, k]), of(batch, &[k, n])]
        }
        Linalg::Svd { full } => {
            let (batch, m, n) = check_matrix(op, "A", a)?;
            let k = m.min(n);
            let (u, vt) = if full { (m, n) } else { (k, k) };
            smallvec![of(batch, &[m, u]), of(batch, &[k]), of(batch, &[vt, n])]
        }
        Linalg::Eigh { .. } => {
            let (batch, n) = check_square(op, "A", a)?;
            smallvec![of(batch, &[n]), of(batch, &[n, n])]
        }
        Linalg::SlogDet => {
            let (batch, _) = check_square(op, "A", a)?;
            smallvec![of(batch, &[]), of(batch, &[])]
        }
        Linalg::Det => smallvec![of(check_square(op, "A", a)?.0, &[])],
        Linalg::Cholesky { .. } | Linalg::Inverse | Linalg::Solve | Linalg::SolveTriangular { .. } => {
            check_square(op, "A", a)?;
            smallvec![a.clone()]
        }
    })
}

fn solve(op: &str, a: &Meta, b: &Meta) -> Result<SmallVec<[Meta; 2]>> {
    let (a_batch, n) = check_square(op, "A", a)?;
    let (b_batch, rows, cols) = check_matrix(op, "B", b)?;
    if a.dtype != b.dtype {
        fail!(
            runtime,
            "{op}: Expected A and B to have the same dtype, but found A of type {} and B of type {} instead",
            a.dtype.scalar_name(),
            b.dtype.scalar_name()
        );
    }
    if n != rows {
        fail!(runtime, "{op}: Incompatible shapes of A and B for the equation AX = B ({n}x{n} and {rows}x{cols})");
    }
    let mut shape = batch_shape(op, a_batch, b_batch)?;
    shape.extend([rows, cols]);
    one(shape, a.dtype)
}

#[cfg(test)]
mod tests {
    use super::super::infer;
    use super::super::testing::*;
    use super::*;
    use crate::error::ErrorKind::*;
    use crate::op::Op;

    fn of(kind: Linalg, inputs: &[Meta]) -> Vec<Vec<usize>> {
        shapes(&Op::Linalg(kind), inputs)
    }

    #[test]
    fn factor_shapes() {
        assert_eq!(of(Linalg::Qr { complete: false }, &[f32s(&[2, 5, 3])]), [[2, 5, 3], [2, 3, 3]]);
        assert_eq!(of(Linalg::Qr { complete: true }, &[f32s(&[5, 3])]), [[5, 5], [5, 3]]);
        assert_eq!(of(Linalg::Qr { complete: false }, &[f32s(&[3, 5])]), [[3, 3], [3, 5]]);
        assert_eq!(of(Linalg::Svd { full: false }, &[f32s(&[5, 3])]), [&[5, 3][..], &[3], &[3, 3]]);
        assert_eq!(of(Linalg::Svd { full: true }, &[f32s(&[5, 3])]), [&[5, 5][..], &[3], &[3, 3]]);
        assert_eq!(of(Linalg::Svd { full: true }, &[f32s(&[0, 3])]), [&[0, 0][..], &[0], &[3, 3]]);
        assert_eq!(of(Linalg::Eigh { upper: false }, &[f32s(&[2, 3, 3])]), [&[2, 3][..], &[2, 3, 3]]);
        assert_eq!(of(Linalg::SlogDet, &[f32s(&[2, 3, 3])]), [[2], [2]]);
        assert_eq!(of(Linalg::Det, &[f32s(&[3, 3])]), [[0usize; 0]]);
        assert_eq!(of(Linalg::Solve, &[f32s(&[3, 2, 2]), f32s(&[2, 5])]), [[3, 2, 5]]);
        assert_eq!(of(Linalg::Cholesky { upper: true }, &[f32s(&[2, 2])]), [[2, 2]]);
    }

    #[test]
    fn refusals() {
        let inv = |x| infer(&Op::Linalg(Linalg::Inverse), &[x]);
        let words = "linalg.inv: A must be batches of square matrices, but they are 2 by 3 matrices";
        refuses(inv(f32s(&[2, 3])), Runtime, words);
        refuses(inv(f32s(&[2])), Runtime, "linalg.inv: The input tensor A must have at least 2 dimensions");
        refuses(inv(i64s(&[2, 2])), NotImplemented, "Expected a floating point or complex tensor as input. Got Long");
        refuses(inv(Meta::new(&[2, 2], DType::F16)), NotImplemented, "Low precision dtypes not supported. Got Half");
        let solve = |a, b| infer(&Op::Linalg(Linalg::Solve), &[a, b]);
        let words = "linalg.solve: Incompatible shapes of A and B for the equation AX = B (2x2 and 3x1)";
        refuses(solve(f32s(&[2, 2]), f32s(&[3, 1])), Runtime, words);
        let b = Meta::new(&[2, 1], DType::F64);
        refuses(solve(f32s(&[2, 2]), b), Runtime, "found A of type Float and B of type Double instead");
        refuses(solve(f32s(&[3, 2, 2]), f32s(&[2, 2, 1])), Runtime, "non-singleton dimension 0");
        let triangular = Op::Linalg(Linalg::SolveTriangular { upper: true, unit: false });
        refuses(infer(&triangular, &[f32s(&[2, 2]), f32s(&[2])]), Runtime, "input tensor B must have at least 2");
    }
}
