//! Kernels behind functions that Python composes where the device has none: on the CPU alone, without history.

use super::{run, tuple, Object};
use crate::args::{ints, need_tensor};
use crate::tensor::{fresh, PyTensor};
use pyo3::prelude::*;
use wengert::{Extremum, Rank, Tensor};

pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    crate::creation::add_functions!(m, _running, _rank, _search, _flip, _triangle, _counts, _square_sums, _blend)
}

/// (values, places) of the running maximum along a dim, or of the minimum.
#[pyfunction]
#[pyo3(signature = (x, dim, greatest))]
fn _running(py: Python<'_>, x: &Bound<'_, PyTensor>, dim: isize, greatest: bool) -> PyResult<Py<PyAny>> {
    let x = &x.get().inner;
    let kind = if greatest { Extremum::Max } else { Extremum::Min };
    let (values, places) = run(py, x.numel(), || x.running(kind, dim))?;
    tuple(py, vec![values, places])
}

/// Where the element with `rank` others before it stands along a dim that is kept, or the lower median.
#[pyfunction]
#[pyo3(signature = (x, dim, rank=None, skip_nan=false))]
fn _rank(
    py: Python<'_>,
    x: &Bound<'_, PyTensor>,
    dim: isize,
    rank: Option<usize>,
    skip_nan: bool,
) -> PyResult<Py<PyAny>> {
    let x = &x.get().inner;
    let median = if skip_nan { Rank::NanMedian } else { Rank::Median };
    fresh(py, run(py, x.numel(), || x.place_of_rank(rank.map_or(median, Rank::At), dim))?)
}

/// Where values would go in sequences of their dtype, sorted along the last dim.
#[pyfunction]
#[pyo3(signature = (sequences, values, right))]
fn _search(
    py: Python<'_>,
    sequences: &Bound<'_, PyTensor>,
    values: &Bound<'_, PyTensor>,
    right: bool,
) -> PyResult<Py<PyAny>> {
    let (sequences, values) = (&sequences.get().inner, &values.get().inner);
    fresh(py, run(py, values.numel(), || sequences.search_sorted(values, right))?)
}

/// Turned round along dims.
#[pyfunction]
#[pyo3(signature = (input, dims))]
fn _flip(py: Python<'_>, input: Object<'_, '_>, dims: Object<'_, '_>) -> PyResult<Py<PyAny>> {
    let (x, dims) = (need_tensor("flip", "input", input)?, ints("flip", "dims", dims)?);
    fresh(py, run(py, x.numel(), || x.flip(&dims))?)
}

/// The lower or the upper triangle, and zeros.
#[pyfunction]
#[pyo3(signature = (input, diagonal, lower))]
fn _triangle(py: Python<'_>, input: Object<'_, '_>, diagonal: isize, lower: bool) -> PyResult<Py<PyAny>> {
    let x = need_tensor(if lower { "tril" } else { "triu" }, "input", input)?;
    fresh(py, run(py, x.numel(), || if lower { x.tril(diagonal) } else { x.triu(diagonal) })?)
}

/// How often each number 0, 1, … occurs, `least` of them or more; None where a number is below 0.
#[pyfunction]
#[pyo3(signature = (x, least))]
fn _counts(py: Python<'_>, x: &Bound<'_, PyTensor>, least: usize) -> PyResult<Option<Py<PyAny>>> {
    let x = &x.get().inner;
    run(py, x.numel(), || x.counts(least))?.map(|counts| fresh(py, counts)).transpose()
}

/// The sums of squares over dims.
#[pyfunction]
#[pyo3(signature = (x, dims, keepdim))]
fn _square_sums(py: Python<'_>, x: &Bound<'_, PyTensor>, dims: Object<'_, '_>, keepdim: bool) -> PyResult<Py<PyAny>> {
    let (x, dims) = (&x.get().inner, ints("sum", "dim", dims)?);
    fresh(py, run(py, x.numel(), || x.square_sums(&dims, keepdim))?)
}

/// Weighted sums along a dim of elements at places.
#[pyfunction]
#[pyo3(signature = (x, dim, places, weights))]
fn _blend(
    py: Python<'_>,
    x: &Bound<'_, PyTensor>,
    dim: isize,
    places: Vec<Bound<'_, PyTensor>>,
    weights: Vec<Bound<'_, PyTensor>>,
) -> PyResult<Py<PyAny>> {
    let x = &x.get().inner;
    let places: Vec<&Tensor> = places.iter().map(|p| &p.get().inner).collect();
    let weights: Vec<&Tensor> = weights.iter().map(|w| &w.get().inner).collect();
    fresh(py, run(py, x.numel(), || x.blend(dim, &places, &weights))?)
}
