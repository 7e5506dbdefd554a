//! Products and factorizations of matrices.

use crate::dispatch::{apply, apply1};
use crate::tensor::Tensor;
use wengert_ops::infer;
use wengert_ops::{fail, DType, Linalg, Op, Result};

impl Tensor {
    /// `torch.matmul`: vectors, matrices and broadcast batches of them.
    pub fn matmul(&self, other: &Tensor) -> Result<Tensor> {
        let (a, b) = (self.shape(), other.shape());
        if self.dtype() != other.dtype() {
            fail!(
                runtime,
                "expected m1 and m2 to have the same dtype, but got: {} != {}",
                self.dtype().scalar_name().to_lowercase(),
                other.dtype().scalar_name().to_lowercase()
            );
        }
        if a.len() == 2 && b.len() == 2 {
            return apply1(Op::Matmul, &[self, other]);
        }
        let plan = infer::matmul_shapes("matmul", &a, &b)?;
        if a.len() == 1 && b.len() == 1 && self.dtype() == DType::Bool {
            fail!(not_implemented, "\"dot\" not implemented for 'Bool'; cast the operands first, as in x.long()");
        }
        let x = if plan.a_is_vector { self.unsqueeze(0)? } else { self.clone() };
        let y = if plan.b_is_vector { other.unsqueeze(1)? } else { other.clone() };
        // A batch of matrices against one matrix is one tall product.
        let out = if a.len() > 2 && b.len() <= 2 && self.layout().is_contiguous() && self.numel() > 0 {
            let tall = x.reshape(&[-1, plan.k as isize])?;
            apply1(Op::Matmul, &[&tall, &y])?
        } else {
            apply1(Op::Matmul, &[&x, &y])?
        };
        let out = if out.shape() == plan.out { out } else { out.reshape_to(&plan.out)? };
        if a.len() == 1 && b.len() == 1 {
            out.relabel("Dot");
        } else if a.len() == 2 && b.len() == 1 {
            out.relabel("Mv");
        } else if a.len() > 2 || b.len() > 2 {
            out.relabel("UnsafeView");
        }
        Ok(out)
    }

    fn linalg1(&self, op: Linalg) -> Result<Tensor> {
        apply1(Op::Linalg(op), &[self])
    }

    /// Lower (or upper) Cholesky factor.
    pub fn cholesky(&self, upper: bool) -> Result<Tensor> {
        self.linalg1(Linalg::Cholesky { upper })
    }

    /// Inverse of square matrices.
    pub fn inverse(&self) -> Result<Tensor> {
        self.linalg1(Linalg::Inverse)
    }

    /// Determinant.
    pub fn det(&self) -> Result<Tensor> {
        self.linalg1(Linalg::Det)
    }

    /// Sign and logarithm of the determinant's absolute value.
    pub fn slogdet(&self) -> Result<(Tensor, Tensor)> {
        super::reduce::pair(apply(Op::Linalg(Linalg::SlogDet), &[self])?)
    }

    /// Orthogonal and triangular factors.
    pub fn qr(&self, complete: bool) -> Result<(Tensor, Tensor)> {
        super::reduce::pair(apply(Op::Linalg(Linalg::Qr { complete }), &[self])?)
    }

    /// Eigenvalues and eigenvectors of symmetric matrices.
    pub fn eigh(&self, upper: bool) -> Result<(Tensor, Tensor)> {
        super::reduce::pair(apply(Op::Linalg(Linalg::Eigh { upper }), &[self])?)
    }

    /// Left vectors, singular values, right vectors transposed.
    pub fn svd(&self, full: bool) -> Result<(Tensor, Tensor, Tensor)> {
        let mut out = apply(Op::Linalg(Linalg::Svd { full }), &[self])?;
        match (out.pop(), out.pop(), out.pop()) {
            (Some(vh), Some(s), Some(u)) => Ok((u, s, vh)),
            _ => fail!(internal, "svd gave fewer than three outputs"),
        }
    }

    /// x with `self @ x = b`.
    pub fn solve(&self, b: &Tensor) -> Result<Tensor> {
        apply1(Op::Linalg(Linalg::Solve), &[self, b])
    }

    /// x with `self @ x = b` for triangular `self`.
    pub fn solve_triangular(&self, b: &Tensor, upper: bool, unit: bool) -> Result<Tensor> {
        apply1(Op::Linalg(Linalg::SolveTriangular { upper, unit }), &[self, b])
    }
}
