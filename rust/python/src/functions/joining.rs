//! Functions over several tensors: joins, choices, padding.

use super::{dim_or, run, write_out, Object};
use crate::args::{need_operand, need_tensor, tensors, Operand};
use crate::error::Raise;
use crate::tensor::{done, fresh, PyTensor};
use crate::types::type_name;
use pyo3::exceptions::{PyRuntimeError, PyTypeError};
use pyo3::prelude::*;
use wengert::{row, Arg, Row, Tensor};

pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_function(wrap_pyfunction!(cat, m)?)?;
    m.add_function(wrap_pyfunction!(stack, m)?)?;
    m.add_function(wrap_pyfunction!(r#where, m)?)?;
    m.add_function(wrap_pyfunction!(_pad, m)?)
}

fn join(
    py: Python<'_>,
    name: &str,
    given: Object<'_, '_>,
    dim: isize,
    out: Option<Object<'_, '_>>,
    join: fn(&[&Tensor], isize) -> wengert::Result<Tensor>,
) -> PyResult<Py<PyAny>> {
    let parts = tensors(name, "tensors", given)?;
    let work = parts.iter().map(Tensor::numel).sum();
    let result = run(py, work, || join(&parts.iter().collect::<Vec<_>>(), dim))?;
    let Some(out) = out else { return fresh(py, result) };
    let target = need_tensor(name, "out", out)?;
    if result.dtype().category() > target.dtype().category() {
        return Err(PyTypeError::new_err(format!(
            "{name}(): input types can't be cast to the desired output type {}",
            target.dtype().scalar_name()
        )));
    }
    write_out(name, out, fresh(py, result)?.bind(py), true)
}

/// Joins tensors along a dim in which alone their sizes may differ; dtypes are promoted.
///
/// Example:
///     >>> wg.cat([wg.tensor([1, 2]), wg.tensor([3])])
///     tensor([1, 2, 3])
#[pyfunction]
#[pyo3(signature = (tensors, dim=None, *, out=None, axis=None))]
fn cat(
    py: Python<'_>,
    tensors: Object<'_, '_>,
    dim: Option<Object<'_, '_>>,
    out: Option<Object<'_, '_>>,
    axis: Option<Object<'_, '_>>,
) -> PyResult<Py<PyAny>> {
    join(py, "cat", tensors, dim_or("cat", dim, axis, 0)?, out, Tensor::cat)
}

/// Joins tensors of one shape along a new dim.
///
/// Example:
///     >>> wg.stack([wg.tensor([1, 2]), wg.tensor([3, 4])])
///     tensor([[1, 2],
///             [3, 4]])
#[pyfunction]
#[pyo3(signature = (tensors, dim=None, *, out=None, axis=None))]
fn stack(
    py: Python<'_>,
    tensors: Object<'_, '_>,
    dim: Option<Object<'_, '_>>,
    out: Option<Object<'_, '_>>,
    axis: Option<Object<'_, '_>>,
) -> PyResult<Py<PyAny>> {
    join(py, "stack", tensors, dim_or("stack", dim, axis, 0)?, out, Tensor::stack)
}

/// `input` where a boolean condition holds, else `other`, broadcast; with the condition alone, where it holds.
///
/// Example:
///     >>> wg.where(wg.tensor([True, False]), wg.tensor([1., 2.]), 0.)
///     tensor([1., 0.])
#[pyfunction]
#[pyo3(signature = (condition, input=None, other=None, *, out=None, x=None, y=None))]
fn r#where(
    py: Python<'_>,
    condition: Object<'_, '_>,
    input: Option<Object<'_, '_>>,
    other: Option<Object<'_, '_>>,
    out: Option<Object<'_, '_>>,
    x: Option<Object<'_, '_>>,
    y: Option<Object<'_, '_>>,
) -> PyResult<Py<PyAny>> {
    let Ok(mask) = condition.cast::<PyTensor>() else {
        return Err(PyTypeError::new_err(format!(
            "where(): argument 'condition' (position 1) must be Tensor, not {}",
            type_name(condition)
        )));
    };
    let mask = &mask.get().inner;
    match (input.or(x), other.or(y)) {
        (Some(a), Some(b)) => {
            let (a, b) = (need_operand("where", "input", a)?, need_operand("where", "other", b)?);
            let result = || fresh(py, choose(py, mask, &a, &b)?);
            let Some(out) = out else { return result() };
            if crate::rows::written(py, Row::Where, out, &[Arg::Tensor(mask), a.arg(), b.arg()])? {
                return Ok(out.clone().unbind());
            }
            write_out("where", out, result()?.bind(py), false)
        }
        (None, None) => super::indexing::nonzero_columns(py, mask),
        _ => Err(PyTypeError::new_err(
            "where() takes a condition alone, or a condition, an input and another; give both or none",
        )),
    }
}

fn choose(py: Python<'_>, mask: &Tensor, a: &Operand, b: &Operand) -> PyResult<Tensor> {
    run(py, mask.numel(), || row(Row::Where, &[Arg::Tensor(mask), a.arg(), b.arg()]))
}

#[pymethods]
impl PyTensor {
    /// The elements where a boolean condition holds, else those of `other`, broadcast.
    ///
    /// Example:
    ///     >>> wg.tensor([1., 2.]).where(wg.tensor([True, False]), 0.)
    ///     tensor([1., 0.])
    #[pyo3(name = "where")]
    fn choose(&self, py: Python<'_>, condition: Object<'_, '_>, other: Object<'_, '_>) -> PyResult<Py<PyAny>> {
        let mask = need_tensor("where", "condition", condition)?;
        let other = need_operand("where", "other", other)?;
        fresh(py, choose(py, mask, &Operand::Tensor(self.inner.clone()), &other)?)
    }
}

/// Pads each dim by (before, after) elements of `value`.
///
/// Example:
///     >>> wg._core._pad(wg.ones(2), [(1, 0)], 5.)
///     tensor([5., 1., 1.])
#[pyfunction]
#[pyo3(signature = (x, pairs, value=None))]
fn _pad(
    py: Python<'_>,
    x: &Bound<'_, PyTensor>,
    pairs: Vec<(isize, isize)>,
    value: Option<Object<'_, '_>>,
) -> PyResult<Py<PyAny>> {
    let x = &x.get().inner;
    let amounts = pairs
        .iter()
        .map(|&(a, b)| Some((usize::try_from(a).ok()?, usize::try_from(b).ok()?)))
        .collect::<Option<Vec<_>>>()
        .ok_or_else(|| {
            PyRuntimeError::new_err(format!(
                "pad: amounts must not be negative, got {pairs:?}; narrow the tensor instead"
            ))
        })?;
    let value = match value {
        Some(v) => match need_operand("pad", "value", v)? {
            Operand::Scalar(s) => s.as_f64(),
            Operand::Tensor(t) => t.item().raise()?.as_f64(),
        },
        None => 0.0,
    };
    if value == 0.0 && !value.is_sign_negative() {
        return done(py, x.pad(&amounts));
    }
    // The kernel pads with zeros: other values are put where a padded mask has its zeros.
    let padded = x.pad(&amounts).raise()?;
    let inside = Tensor::ones(&x.shape(), wengert::DType::Bool, x.device()).and_then(|m| m.pad(&amounts)).raise()?;
    let value = Tensor::full(&[], value, x.dtype(), x.device()).raise()?;
    let out = row(Row::Where, &[Arg::Tensor(&inside), Arg::Tensor(&padded), Arg::Tensor(&value)]).raise()?;
    out.relabel("ConstantPadNd");
    fresh(py, out)
}
