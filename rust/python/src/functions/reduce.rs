//! Reductions, scans and orders.

use super::{either, need_dim, run, values_indices, Maybe, Object};
use crate::args::{dims, index, Ints};
use crate::tensor::{done, fresh, PyTensor};
use crate::types::optional_dtype;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use wengert::{row, Arg, DType, Extremum, Reduction, Row, Tensor};

/// Names, and whether the function takes `out=`.
pub const FUNCTIONS: &[(&str, bool)] = &[
    ("sum", true),
    ("prod", true),
    ("mean", true),
    ("amax", true),
    ("amin", true),
    ("any", true),
    ("all", true),
    ("max", true),
    ("min", true),
    ("argmax", true),
    ("argmin", true),
    ("cumsum", true),
    ("cumprod", true),
    ("sort", true),
    ("argsort", false),
    ("topk", true),
];

/// Folds in `dtype`, if one is asked for.
fn fold(
    py: Python<'_>,
    x: &Tensor,
    dtype: Option<DType>,
    fold: impl FnOnce(&Tensor) -> wengert::Result<Tensor> + Send,
) -> PyResult<Tensor> {
    run(py, x.numel(), || match dtype {
        Some(dtype) => fold(&x.to_dtype(dtype)?)?.to_dtype(dtype),
        None => fold(x),
    })
}

/// The node's name: `Sum0` over everything, `Sum1` over given dims.
fn numbered(py: Python<'_>, t: Tensor, names: [&str; 2], given: bool) -> PyResult<Py<PyAny>> {
    t.relabel(names[given as usize]);
    fresh(py, t)
}

/// `max` and `min`, which fold, fold along a dim or compare.
fn extreme(
    py: Python<'_>,
    x: &Tensor,
    kind: Extremum,
    dim: Option<Object<'_, '_>>,
    keepdim: bool,
    other: Option<Object<'_, '_>>,
) -> PyResult<Py<PyAny>> {
    let (name, all, pairwise, node) = match kind {
        Extremum::Max => ("max", Reduction::Max, Row::Maximum, "MaxBackward1"),
        Extremum::Min => ("min", Reduction::Min, Row::Minimum, "MinBackward1"),
    };
    let other = other.or_else(|| dim.filter(|d| d.is_instance_of::<PyTensor>()));
    if let Some(other) = other {
        let other = crate::args::need_tensor(name, "other", other)?;
        return done(py, row(pairwise, &[Arg::Tensor(x), Arg::Tensor(other)]));
    }
    if let Some(dim) = dim {
        let dim = index(name, "dim", dim)?;
        let pair = run(py, x.numel(), || x.extreme_dim(kind, dim, keepdim))?;
        return values_indices(py, name, pair);
    }
    if x.numel() == 0 {
        return Err(PyRuntimeError::new_err(format!(
            "{name}(): Expected reduction dim to be specified for input.numel() == 0. Specify the reduction dim with the 'dim' argument."
        )));
    }
    let out = run(py, x.numel(), || x.reduce(all, &[], false))?;
    out.relabel(node);
    fresh(py, out)
}

/// Arguments that most reductions share.
struct Over {
    dims: Ints,
    given: bool,
    keepdim: bool,
}

/// `read` makes dims of the argument: [`dims`] of one or several, [`one`] of one.
fn over(
    op: &str,
    read: impl FnOnce(&str, Option<Object<'_, '_>>) -> PyResult<Ints>,
    dim: Option<Object<'_, '_>>,
    keepdim: bool,
    axis: Option<Object<'_, '_>>,
    keepdims: Option<bool>,
) -> PyResult<Over> {
    let dim = either(dim, axis);
    Ok(Over { dims: read(op, dim)?, given: dim.is_some(), keepdim: keepdims.unwrap_or(keepdim) })
}

fn one(op: &str, dim: Option<Object<'_, '_>>) -> PyResult<Ints> {
    dim.into_iter().map(|d| index(op, "dim", d)).collect()
}

/// Folds that may take another dtype; their nodes bear numbers.
macro_rules! folds {
    ($($(#[$doc:meta])* $name:ident($read:ident) $all:literal $some:literal;)*) => {
        #[pymethods]
        impl PyTensor {$(
            $(#[$doc])*
            #[pyo3(signature = (dim=None, keepdim=false, *, dtype=None, axis=None, keepdims=None))]
            fn $name(
                &self,
                py: Python<'_>,
                dim: Option<Object<'_, '_>>,
                keepdim: bool,
                dtype: Option<Object<'_, '_>>,
                axis: Option<Object<'_, '_>>,
                keepdims: Option<bool>,
            ) -> PyResult<Py<PyAny>> {
                let o = over(stringify!($name), $read, dim, keepdim, axis, keepdims)?;
                let t = fold(py, &self.inner, optional_dtype(dtype)?, |x| x.$name(&o.dims, o.keepdim))?;
                numbered(py, t, [$all, $some], o.given)
            }
        )*}
    };
}

folds! {
    /// Sum of the elements, or over dims. Integers add up in int64 unless `dtype` says otherwise.
    ///
    /// Example:
    ///     >>> wg.ones(2, 3).sum(0)
    ///     tensor([2., 2., 2.])
    sum(dims) "SumBackward0" "SumBackward1";

    /// Product of the elements, or along one dim.
    ///
    /// Example:
    ///     >>> wg.tensor([2., 3.]).prod()
    ///     tensor(6.)
    prod(one) "ProdBackward0" "ProdBackward1";

    /// Mean of floating-point elements, or over dims.
    ///
    /// Example:
    ///     >>> wg.tensor([1., 2.]).mean()
    ///     tensor(1.5000)
    mean(dims) "MeanBackward0" "MeanBackward1";
}

/// Reductions in the dtype that they have.
macro_rules! reductions {
    ($($(#[$doc:meta])* $name:ident($read:ident) $call:expr;)*) => {
        #[pymethods]
        impl PyTensor {$(
            $(#[$doc])*
            #[pyo3(signature = (dim=None, keepdim=false, *, axis=None, keepdims=None))]
            fn $name(
                &self,
                py: Python<'_>,
                dim: Option<Object<'_, '_>>,
                keepdim: bool,
                axis: Option<Object<'_, '_>>,
                keepdims: Option<bool>,
            ) -> PyResult<Py<PyAny>> {
                let o = over(stringify!($name), $read, dim, keepdim, axis, keepdims)?;
                let call: fn(&Tensor, &[isize], bool) -> wengert::Result<Tensor> = $call;
                fresh(py, fold(py, &self.inner, None, |x| call(x, &o.dims, o.keepdim))?)
            }
        )*}
    };
}

reductions! {
    /// Largest value, over dims if given; equal ones share the gradient.
    ///
    /// Example:
    ///     >>> wg.tensor([[1., 3.], [2., 0.]]).amax(1)
    ///     tensor([3., 2.])
    amax(dims) Tensor::amax;

    /// Smallest value, over dims if given; equal ones share the gradient.
    ///
    /// Example:
    ///     >>> wg.tensor([[1., 3.], [2., 0.]]).amin(1)
    ///     tensor([1., 0.])
    amin(dims) Tensor::amin;

    /// Whether any element is nonzero, over dims if given.
    ///
    /// Example:
    ///     >>> wg.tensor([0, 2]).any()
    ///     tensor(True)
    any(dims) Tensor::any;

    /// Whether all elements are nonzero, over dims if given.
    ///
    /// Example:
    ///     >>> wg.tensor([0, 2]).all()
    ///     tensor(False)
    all(dims) Tensor::all;

    /// Position of the first largest element, in the flattened tensor or along a dim: int64.
    ///
    /// Example:
    ///     >>> wg.tensor([1., 3., 2.]).argmax()
    ///     tensor(1)
    argmax(one) |x, dim, keepdim| x.argmax(dim.first().copied(), keepdim);

    /// Position of the first smallest element, in the flattened tensor or along a dim: int64.
    ///
    /// Example:
    ///     >>> wg.tensor([1., 3., 2.]).argmin()
    ///     tensor(0)
    argmin(one) |x, dim, keepdim| x.argmin(dim.first().copied(), keepdim);
}

macro_rules! extremes {
    ($($(#[$doc:meta])* $name:ident $kind:expr;)*) => {
        #[pymethods]
        impl PyTensor {$(
            $(#[$doc])*
            #[pyo3(signature = (dim=Maybe::Missing, keepdim=false, *, other=None, axis=None, keepdims=None))]
            fn $name(
                &self,
                py: Python<'_>,
                dim: Maybe<'_, '_>,
                keepdim: bool,
                other: Option<Object<'_, '_>>,
                axis: Option<Object<'_, '_>>,
                keepdims: Option<bool>,
            ) -> PyResult<Py<PyAny>> {
                extreme(py, &self.inner, $kind, either(dim.given(), axis), keepdims.unwrap_or(keepdim), other)
            }
        )*}
    };
}

extremes! {
    /// Largest value; (values, indices) along a dim; or the larger of two tensors, elementwise.
    ///
    /// Example:
    ///     >>> wg.tensor([[1., 3.], [2., 0.]]).max(1).indices
    ///     tensor([1, 0])
    max Extremum::Max;

    /// Smallest value; (values, indices) along a dim; or the smaller of two tensors, elementwise.
    ///
    /// Example:
    ///     >>> wg.tensor([[1., 3.], [2., 0.]]).min(1).values
    ///     tensor([1., 0.])
    min Extremum::Min;
}

/// Each scan, and its in-place form with the name of its node.
macro_rules! scans {
    ($($(#[$doc:meta])* $name:ident; $(#[$doc_:meta])* $name_:ident $node:literal;)*) => {
        #[pymethods]
        impl PyTensor {$(
            $(#[$doc])*
            #[pyo3(signature = (dim=None, *, dtype=None, axis=None))]
            fn $name(
                &self,
                py: Python<'_>,
                dim: Option<Object<'_, '_>>,
                dtype: Option<Object<'_, '_>>,
                axis: Option<Object<'_, '_>>,
            ) -> PyResult<Py<PyAny>> {
                let dim = need_dim(stringify!($name), dim, axis)?;
                fresh(py, fold(py, &self.inner, optional_dtype(dtype)?, |x| x.$name(dim))?)
            }

            $(#[$doc_])*
            #[pyo3(signature = (dim=None, *, axis=None))]
            fn $name_<'py>(
                slf: Bound<'py, Self>,
                dim: Option<Object<'_, 'py>>,
                axis: Option<Object<'_, 'py>>,
            ) -> PyResult<Bound<'py, Self>> {
                let dim = need_dim(stringify!($name_), dim, axis)?;
                let x = &slf.get().inner;
                let out = fold(slf.py(), x, Some(x.dtype()), |x| x.$name(dim))?;
                super::indexing::assign(x, &out, $node)?;
                Ok(slf)
            }
        )*}
    };
}

scans! {
    /// Running sum along a dim.
    ///
    /// Example:
    ///     >>> wg.tensor([1, 2, 3]).cumsum(0)
    ///     tensor([1, 3, 6])
    cumsum;
    /// Running sum along a dim, in place.
    cumsum_ "Cumsum";

    /// Running product along a dim.
    ///
    /// Example:
    ///     >>> wg.tensor([1, 2, 3]).cumprod(0)
    ///     tensor([1, 2, 6])
    cumprod;
    /// Running product along a dim, in place.
    cumprod_ "Cumprod";
}

/// `$take` makes the result of (values, positions).
macro_rules! sorts {
    ($($(#[$doc:meta])* $name:ident $take:expr;)*) => {
        #[pymethods]
        impl PyTensor {$(
            $(#[$doc])*
            #[pyo3(signature = (dim=None, descending=false, *, stable=None, axis=None))]
            fn $name(
                &self,
                py: Python<'_>,
                dim: Option<Object<'_, '_>>,
                descending: bool,
                stable: Option<bool>,
                axis: Option<Object<'_, '_>>,
            ) -> PyResult<Py<PyAny>> {
                let _ = stable;
                let dim = super::dim_or(stringify!($name), dim, axis, -1)?;
                let x = &self.inner;
                let take: fn(Python<'_>, (Tensor, Tensor)) -> PyResult<Py<PyAny>> = $take;
                take(py, run(py, x.numel(), || x.sort(dim, descending))?)
            }
        )*}
    };
}

sorts! {
    /// (values, indices), sorted along a dim; always stable.
    ///
    /// Example:
    ///     >>> wg.tensor([3., 1., 2.]).sort().values
    ///     tensor([1., 2., 3.])
    sort |py, pair| values_indices(py, "sort", pair);

    /// Positions that sort along a dim; always stable.
    ///
    /// Example:
    ///     >>> wg.tensor([3., 1., 2.]).argsort()
    ///     tensor([1, 2, 0])
    argsort |py, pair| fresh(py, pair.1);
}

#[pymethods]
impl PyTensor {
    /// (values, indices) of the `k` largest (or smallest) along a dim.
    ///
    /// Example:
    ///     >>> wg.tensor([3., 1., 2.]).topk(2).values
    ///     tensor([3., 2.])
    #[pyo3(signature = (k, dim=None, largest=true, sorted=true, *, axis=None))]
    fn topk(
        &self,
        py: Python<'_>,
        k: Object<'_, '_>,
        dim: Option<Object<'_, '_>>,
        largest: bool,
        sorted: bool,
        axis: Option<Object<'_, '_>>,
    ) -> PyResult<Py<PyAny>> {
        let k = index("topk", "k", k)?;
        let k = usize::try_from(k).map_err(|_| {
            PyRuntimeError::new_err(format!("topk(): selected index k out of range: k is {k}, must be non-negative"))
        })?;
        let dim = super::dim_or("topk", dim, axis, -1)?;
        let x = &self.inner;
        let pair = run(py, x.numel(), || x.topk(k, dim, largest, sorted))?;
        values_indices(py, "topk", pair)
    }
}
