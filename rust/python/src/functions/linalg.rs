//! Products of matrices, and factorizations as Python composes them further.

use super::{named, run, Object};
use crate::args::need_tensor;
use crate::tensor::{fresh, PyTensor};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use wengert::Tensor;

/// Names, and whether the function takes `out=`.
pub const FUNCTIONS: &[(&str, bool)] = &[("matmul", true), ("mm", true), ("bmm", true), ("mv", true), ("dot", true)];

pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_function(wrap_pyfunction!(_cholesky, m)?)?;
    m.add_function(wrap_pyfunction!(_qr, m)?)?;
    m.add_function(wrap_pyfunction!(_eigh, m)?)?;
    m.add_function(wrap_pyfunction!(_svd, m)?)?;
    m.add_function(wrap_pyfunction!(_solve, m)?)?;
    m.add_function(wrap_pyfunction!(_solve_triangular, m)?)?;
    m.add_function(wrap_pyfunction!(_slogdet, m)?)?;
    m.add_function(wrap_pyfunction!(_det, m)?)?;
    m.add_function(wrap_pyfunction!(_inverse, m)?)
}

/// About as many multiplications as the product takes.
fn work(a: &Tensor, b: &Tensor) -> usize {
    a.numel().saturating_mul(b.shape().last().copied().unwrap_or(1))
}

fn product(py: Python<'_>, a: &Tensor, b: &Tensor) -> PyResult<Tensor> {
    run(py, work(a, b), || a.matmul(b))
}

fn refuse<T>(message: String) -> PyResult<T> {
    Err(PyRuntimeError::new_err(message))
}

#[pymethods]
impl PyTensor {
    /// Product of vectors, matrices or broadcast batches of matrices of one dtype.
    ///
    /// Example:
    ///     >>> wg.tensor([[1., 2.]]).matmul(wg.tensor([3., 4.]))
    ///     tensor([11.])
    fn matmul(&self, py: Python<'_>, other: Object<'_, '_>) -> PyResult<Py<PyAny>> {
        fresh(py, product(py, &self.inner, need_tensor("matmul", "other", other)?)?)
    }

    /// Product of two matrices.
    ///
    /// Example:
    ///     >>> wg.tensor([[1., 2.]]).mm(wg.tensor([[3.], [4.]]))
    ///     tensor([[11.]])
    fn mm(&self, py: Python<'_>, mat2: Object<'_, '_>) -> PyResult<Py<PyAny>> {
        let (a, b) = (&self.inner, need_tensor("mm", "mat2", mat2)?);
        for (name, t) in [("self", a), ("mat2", b)] {
            if t.rank() != 2 {
                return refuse(format!("mm(): {name} must be a matrix, got a tensor of shape {:?}", &t.shape()[..]));
            }
        }
        fresh(py, product(py, a, b)?)
    }

    /// Products of two batches of matrices, one by one.
    ///
    /// Example:
    ///     >>> wg.ones(2, 1, 3).bmm(wg.ones(2, 3, 1)).shape
    ///     torch.Size([2, 1, 1])
    fn bmm(&self, py: Python<'_>, mat2: Object<'_, '_>) -> PyResult<Py<PyAny>> {
        let (a, b) = (&self.inner, need_tensor("bmm", "mat2", mat2)?);
        let (s, t) = (a.shape(), b.shape());
        for (name, shape) in [("batch1", &s), ("batch2", &t)] {
            if shape.len() != 3 {
                return refuse(format!("bmm(): {name} must be a 3D tensor, got shape {:?}", &shape[..]));
            }
        }
        if s[0] != t[0] || s[2] != t[1] {
            return refuse(format!(
                "bmm(): Expected size for first two dimensions of batch2 tensor to be: [{}, {}] but got: [{}, {}].",
                s[0], s[2], t[0], t[1]
            ));
        }
        named(py, product(py, a, b)?, "Bmm")
    }

    /// Product of a matrix and a vector.
    ///
    /// Example:
    ///     >>> wg.tensor([[1., 2.]]).mv(wg.tensor([3., 4.]))
    ///     tensor([11.])
    fn mv(&self, py: Python<'_>, vec: Object<'_, '_>) -> PyResult<Py<PyAny>> {
        let (a, b) = (&self.inner, need_tensor("mv", "vec", vec)?);
        let (s, t) = (a.shape(), b.shape());
        if s.len() != 2 || t.len() != 1 {
            return refuse(format!("vector + matrix @ vector expected, got 1, {}, {}", s.len(), t.len()));
        }
        if s[1] != t[0] {
            return refuse(format!("size mismatch, got input ({}), mat ({}x{}), vec ({})", s[0], s[0], s[1], t[0]));
        }
        named(py, product(py, a, b)?, "Mv")
    }

    /// Product of two vectors of one length.
    ///
    /// Example:
    ///     >>> wg.tensor([1., 2.]).dot(wg.tensor([3., 4.]))
    ///     tensor(11.)
    fn dot(&self, py: Python<'_>, tensor: Object<'_, '_>) -> PyResult<Py<PyAny>> {
        let (a, b) = (&self.inner, need_tensor("dot", "tensor", tensor)?);
        let (s, t) = (a.shape(), b.shape());
        if s.len() != 1 || t.len() != 1 {
            return refuse(format!("1D tensors expected, but got {}D and {}D tensors", s.len(), t.len()));
        }
        if a.dtype() != b.dtype() {
            return refuse(format!(
                "dot : expected both vectors to have same dtype, but found {} and {}",
                a.dtype().scalar_name(),
                b.dtype().scalar_name()
            ));
        }
        if s[0] != t[0] {
            return refuse(format!(
                "inconsistent tensor size, expected tensor [{0}] and src [{1}] to have the same number of elements, but got {0} and {1} \
                 elements respectively",
                s[0], t[0]
            ));
        }
        named(py, product(py, a, b)?, "Dot")
    }
}

/// Work of a factorization: the cube of the larger side, per matrix.
fn cubed(a: &Tensor) -> usize {
    a.numel().saturating_mul(a.shape().iter().rev().take(2).copied().max().unwrap_or(1))
}

fn both(py: Python<'_>, pair: (Tensor, Tensor)) -> PyResult<(Py<PyAny>, Py<PyAny>)> {
    Ok((fresh(py, pair.0)?, fresh(py, pair.1)?))
}

type Matrix<'a, 'py> = &'a Bound<'py, PyTensor>;

/// Cholesky factor of positive definite matrices: lower, or `upper`.
#[pyfunction]
#[pyo3(signature = (a, upper=false))]
fn _cholesky(py: Python<'_>, a: Matrix<'_, '_>, upper: bool) -> PyResult<Py<PyAny>> {
    let a = &a.get().inner;
    fresh(py, run(py, cubed(a), || a.cholesky(upper))?)
}

/// Orthogonal and upper triangular factors; `complete` gives the square q.
#[pyfunction]
#[pyo3(signature = (a, complete=false))]
fn _qr(py: Python<'_>, a: Matrix<'_, '_>, complete: bool) -> PyResult<(Py<PyAny>, Py<PyAny>)> {
    let a = &a.get().inner;
    both(py, run(py, cubed(a), || a.qr(complete))?)
}

/// Eigenvalues (ascending) and eigenvectors of symmetric matrices, of which one triangle is read.
#[pyfunction]
#[pyo3(signature = (a, upper=false))]
fn _eigh(py: Python<'_>, a: Matrix<'_, '_>, upper: bool) -> PyResult<(Py<PyAny>, Py<PyAny>)> {
    let a = &a.get().inner;
    both(py, run(py, cubed(a), || a.eigh(upper))?)
}

/// u, s (descending) and vᵀ; `full` gives square u and v.
#[pyfunction]
#[pyo3(signature = (a, full=false))]
fn _svd(py: Python<'_>, a: Matrix<'_, '_>, full: bool) -> PyResult<(Py<PyAny>, Py<PyAny>, Py<PyAny>)> {
    let a = &a.get().inner;
    let (u, s, vh) = run(py, cubed(a), || a.svd(full))?;
    Ok((fresh(py, u)?, fresh(py, s)?, fresh(py, vh)?))
}

/// x with a @ x = b.
#[pyfunction]
fn _solve(py: Python<'_>, a: Matrix<'_, '_>, b: Matrix<'_, '_>) -> PyResult<Py<PyAny>> {
    let (a, b) = (&a.get().inner, &b.get().inner);
    fresh(py, run(py, cubed(a), || a.solve(b))?)
}

/// x with a @ x = b for triangular a; `unitriangular` takes its diagonal as ones.
#[pyfunction]
#[pyo3(signature = (a, b, upper, unitriangular=false))]
fn _solve_triangular(
    py: Python<'_>,
    a: Matrix<'_, '_>,
    b: Matrix<'_, '_>,
    upper: bool,
    unitriangular: bool,
) -> PyResult<Py<PyAny>> {
    let (a, b) = (&a.get().inner, &b.get().inner);
    fresh(py, run(py, cubed(a), || a.solve_triangular(b, upper, unitriangular))?)
}

/// Sign and logarithm of the determinant's absolute value.
#[pyfunction]
fn _slogdet(py: Python<'_>, a: Matrix<'_, '_>) -> PyResult<(Py<PyAny>, Py<PyAny>)> {
    let a = &a.get().inner;
    both(py, run(py, cubed(a), || a.slogdet())?)
}

/// Determinants of square matrices.
#[pyfunction]
fn _det(py: Python<'_>, a: Matrix<'_, '_>) -> PyResult<Py<PyAny>> {
    let a = &a.get().inner;
    fresh(py, run(py, cubed(a), || a.det())?)
}

/// Inverses of square matrices.
#[pyfunction]
fn _inverse(py: Python<'_>, a: Matrix<'_, '_>) -> PyResult<Py<PyAny>> {
    let a = &a.get().inner;
    fresh(py, run(py, cubed(a), || a.inverse())?)
}
