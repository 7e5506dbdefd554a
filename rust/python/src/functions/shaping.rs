//! Views and reshapes.

use super::{dim_or, either, named, need_dim, spread, tuple, Object};
use crate::args::{index, ints, need_tensor, Ints};
use crate::error::Raise;
use crate::tensor::{done, fresh, wrap, PyTensor};
use crate::types::{extract_dtype, PyDType};
use pyo3::exceptions::{PyRuntimeError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyInt, PyTuple, PyType};
use wengert::layout::{dim_mask, wrap_dim};
use wengert::{Tensor, ViewOp};

/// Names, and whether the function takes `out=`.
pub const FUNCTIONS: &[(&str, bool)] = &[
    ("permute", false),
    ("transpose", false),
    ("t", false),
    ("reshape", false),
    ("select", false),
    ("narrow", false),
    ("diagonal", false),
    ("unsqueeze", false),
    ("squeeze", false),
    ("as_strided", false),
    ("flatten", false),
    ("unflatten", false),
    ("movedim", false),
    ("unbind", false),
    ("split", false),
    ("split_with_sizes", false),
    ("chunk", false),
];

/// The sizes that a dim is split into, one of them perhaps −1.
fn unflattened(x: &Tensor, dim: isize, sizes: &Ints) -> PyResult<Ints> {
    let shape = x.shape();
    let dim = wrap_dim("unflatten", dim, shape.len()).raise()?;
    if sizes.is_empty() {
        return Err(PyRuntimeError::new_err("unflatten: sizes must be non-empty"));
    }
    let Some(&size) = shape.get(dim) else {
        return Err(PyRuntimeError::new_err("unflatten: the tensor has no dimension to split"));
    };
    let mut parts = sizes.clone();
    let known =
        parts.iter().filter(|n| **n != -1).try_fold(1isize, |a, &n| if n < 0 { None } else { a.checked_mul(n) });
    let unknown: Vec<usize> = (0..parts.len()).filter(|&i| parts[i] == -1).collect();
    let fits = match (known, &unknown[..]) {
        (Some(known), []) => known == size as isize,
        (Some(known), &[at]) if known > 0 && size as isize % known == 0 => {
            parts[at] = size as isize / known;
            true
        }
        (_, [_, _, ..]) => {
            return Err(PyRuntimeError::new_err(format!(
                "unflatten: only one dimension can be inferred, got {:?}",
                &sizes[..]
            )))
        }
        _ => false,
    };
    if !fits {
        return Err(PyRuntimeError::new_err(format!(
            "unflatten: Provided sizes {:?} don't multiply up to the size of dim {dim} ({size}) in the input tensor",
            &sizes[..]
        )));
    }
    let mut target: Ints = shape[..dim].iter().map(|&n| n as isize).collect();
    target.extend_from_slice(&parts);
    target.extend(shape[dim + 1..].iter().map(|&n| n as isize));
    Ok(target)
}

/// Several views of one tensor, under PyTorch's name of their node.
fn parts(py: Python<'_>, views: wengert::Result<Vec<Tensor>>, node: &str) -> PyResult<Py<PyAny>> {
    let views = views.raise()?;
    for view in &views {
        view.relabel(node);
    }
    tuple(py, views)
}

/// A view in place, under PyTorch's name of its node; an error leaves the tensor as it was.
fn reshaped(slf: &Bound<'_, PyTensor>, op: ViewOp, node: &str) -> PyResult<Py<PyAny>> {
    let x = &slf.get().inner;
    x.view_(op).raise()?;
    if wengert::is_grad_enabled() && x.requires_grad() {
        x.relabel(node);
    }
    Ok(slf.clone().into_any().unbind())
}

#[pymethods]
impl PyTensor {
    /// A view with its dims in another order.
    ///
    /// Example:
    ///     >>> wg.zeros(2, 3, 4).permute(2, 0, 1).shape
    ///     torch.Size([4, 2, 3])
    #[pyo3(signature = (*args, dims=None))]
    fn permute(&self, py: Python<'_>, args: &Bound<'_, PyTuple>, dims: Option<Object<'_, '_>>) -> PyResult<Py<PyAny>> {
        done(py, self.inner.permute(&spread("permute", "dims", args, dims)?))
    }

    /// A matrix transposed; vectors and scalars stay.
    ///
    /// Example:
    ///     >>> wg.zeros(2, 3).t().shape
    ///     torch.Size([3, 2])
    fn t(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        named(py, self.inner.t().raise()?, "T")
    }

    /// A view with all dims reversed.
    #[getter(T)]
    fn reversed_dims(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let order: Vec<isize> = (0..self.inner.rank() as isize).rev().collect();
        done(py, self.inner.permute(&order))
    }

    /// Matrices (the last two dims) transposed.
    #[getter(mT)]
    fn matrices_transposed(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        named(py, self.inner.mt().raise()?, "Transpose")
    }

    /// A matrix transposed (and conjugated, were it complex).
    #[getter(H)]
    fn adjoint_matrix(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        match self.inner.rank() {
            0 => done(py, self.inner.view_op(ViewOp::Alias)),
            2 => named(py, self.inner.transpose(0, 1).raise()?, "Transpose"),
            n => Err(PyRuntimeError::new_err(format!(
                "tensor.H is only supported on matrices (2-D tensors). Got {n}-D tensor. For batches of matrices, consider using tensor.mH"
            ))),
        }
    }

    /// Matrices (the last two dims) transposed (and conjugated, were they complex).
    #[getter(mH)]
    fn adjoint_matrices(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        named(py, self.inner.mt().raise()?, "Transpose")
    }

    /// A view in which dims of size 1 repeat; −1 keeps a size, new dims come first.
    ///
    /// Example:
    ///     >>> wg.tensor([[1], [2]]).expand(-1, 3)
    ///     tensor([[1, 1, 1],
    ///             [2, 2, 2]])
    #[pyo3(signature = (*args, size=None, implicit=false))]
    fn expand(
        &self,
        py: Python<'_>,
        args: &Bound<'_, PyTuple>,
        size: Option<Object<'_, '_>>,
        implicit: bool,
    ) -> PyResult<Py<PyAny>> {
        let _ = implicit;
        done(py, self.inner.expand(&spread("expand", "size", args, size)?))
    }

    /// Another shape over the same elements; an error where strides do not allow it. `view(dtype)` reads the bytes as
    /// elements of another dtype, off the tape.
    ///
    /// Example:
    ///     >>> wg.zeros(2, 3).view(3, -1).shape
    ///     torch.Size([3, 2])
    #[pyo3(signature = (*args, size=None, dtype=None))]
    fn view(
        &self,
        py: Python<'_>,
        args: &Bound<'_, PyTuple>,
        size: Option<Object<'_, '_>>,
        dtype: Option<Object<'_, '_>>,
    ) -> PyResult<Py<PyAny>> {
        let first = if args.len() == 1 { Some(args.get_item(0)?) } else { None };
        let is_dtype = |d: &&Bound<'_, PyAny>| d.is_instance_of::<PyDType>() || d.is_instance_of::<PyType>();
        if let Some(dtype) = dtype.or(first.as_ref().filter(is_dtype)) {
            return done(py, self.inner.view_dtype(extract_dtype(dtype)?));
        }
        if args.is_empty() && size.is_none() {
            return Err(PyTypeError::new_err("view() missing 1 required positional arguments: \"size\" (or a dtype)"));
        }
        done(py, self.inner.view(&spread("view", "size", args, size)?))
    }

    /// Another shape: a view where strides allow it, else a copy. One size may be −1.
    ///
    /// Example:
    ///     >>> wg.zeros(2, 3).reshape(-1).shape
    ///     torch.Size([6])
    #[pyo3(signature = (*args, shape=None))]
    fn reshape(&self, py: Python<'_>, args: &Bound<'_, PyTuple>, shape: Option<Object<'_, '_>>) -> PyResult<Py<PyAny>> {
        let out = self.inner.reshape(&spread("reshape", "shape", args, shape)?).raise()?;
        self.mark_copy(&out);
        fresh(py, out)
    }

    /// One index of a dim, which goes away.
    ///
    /// Example:
    ///     >>> wg.tensor([[1, 2], [3, 4]]).select(1, 0)
    ///     tensor([1, 3])
    fn select(&self, py: Python<'_>, dim: Object<'_, '_>, index: Object<'_, '_>) -> PyResult<Py<PyAny>> {
        let (dim, at) = (crate::args::index("select", "dim", dim)?, crate::args::index("select", "index", index)?);
        done(py, self.inner.select(dim, at))
    }

    /// `length` indices of a dim from `start` on.
    ///
    /// Example:
    ///     >>> wg.arange(5).narrow(0, 1, 3)
    ///     tensor([1, 2, 3])
    fn narrow(
        &self,
        py: Python<'_>,
        dim: Object<'_, '_>,
        start: Object<'_, '_>,
        length: Object<'_, '_>,
    ) -> PyResult<Py<PyAny>> {
        let dim = index("narrow", "dim", dim)?;
        let (start, length) = (index("narrow", "start", start)?, index("narrow", "length", length)?);
        done(py, self.inner.narrow(dim, start, length))
    }

    /// The diagonal of two dims, as a last dim.
    ///
    /// Example:
    ///     >>> wg.tensor([[1, 2], [3, 4]]).diagonal()
    ///     tensor([1, 4])
    #[pyo3(signature = (offset=0, dim1=0, dim2=1))]
    fn diagonal(&self, py: Python<'_>, offset: isize, dim1: isize, dim2: isize) -> PyResult<Py<PyAny>> {
        done(py, self.inner.diagonal(offset, dim1, dim2))
    }

    /// Shape, strides and offset outright, over the storage.
    ///
    /// Example:
    ///     >>> wg.arange(6).as_strided((2, 2), (1, 2), 1)
    ///     tensor([[1, 3],
    ///             [2, 4]])
    #[pyo3(signature = (size, stride, storage_offset=None))]
    fn as_strided(
        &self,
        py: Python<'_>,
        size: Object<'_, '_>,
        stride: Object<'_, '_>,
        storage_offset: Option<isize>,
    ) -> PyResult<Py<PyAny>> {
        let (size, stride) = (ints("as_strided", "size", size)?, ints("as_strided", "stride", stride)?);
        done(py, self.inner.as_strided(&size, &stride, storage_offset))
    }

    /// Windows of a dim, as a last dim.
    ///
    /// Example:
    ///     >>> wg.arange(4).unfold(0, 2, 1)
    ///     tensor([[0, 1],
    ///             [1, 2],
    ///             [2, 3]])
    fn unfold(
        &self,
        py: Python<'_>,
        dimension: Object<'_, '_>,
        size: Object<'_, '_>,
        step: Object<'_, '_>,
    ) -> PyResult<Py<PyAny>> {
        let dim = index("unfold", "dimension", dimension)?;
        let (size, step) = (index("unfold", "size", size)?, index("unfold", "step", step)?);
        named(py, self.inner.unfold(dim, size, step).raise()?, "Unfold")
    }

    /// Joins the dims `start_dim..=end_dim` into one.
    ///
    /// Example:
    ///     >>> wg.zeros(2, 3, 4).flatten(1).shape
    ///     torch.Size([2, 12])
    #[pyo3(signature = (start_dim=0, end_dim=-1))]
    fn flatten(&self, py: Python<'_>, start_dim: isize, end_dim: isize) -> PyResult<Py<PyAny>> {
        // One dim flattened is the tensor itself.
        let out = self.inner.flatten(start_dim, end_dim).raise()?;
        self.mark_copy(&out);
        wrap(py, out)
    }

    /// Splits a dim into several; one size may be −1.
    ///
    /// Example:
    ///     >>> wg.zeros(6).unflatten(0, (2, 3)).shape
    ///     torch.Size([2, 3])
    fn unflatten(&self, py: Python<'_>, dim: Object<'_, '_>, sizes: Object<'_, '_>) -> PyResult<Py<PyAny>> {
        let (dim, sizes) = (index("unflatten", "dim", dim)?, ints("unflatten", "sizes", sizes)?);
        done(py, self.inner.view(&unflattened(&self.inner, dim, &sizes)?))
    }

    /// Moves dims to other places.
    ///
    /// Example:
    ///     >>> wg.zeros(2, 3, 4).movedim(0, -1).shape
    ///     torch.Size([3, 4, 2])
    fn movedim(&self, py: Python<'_>, source: Object<'_, '_>, destination: Object<'_, '_>) -> PyResult<Py<PyAny>> {
        let (from, to) = (ints("movedim", "source", source)?, ints("movedim", "destination", destination)?);
        done(py, self.inner.movedim(&from, &to))
    }

    /// In-place version of `t`.
    fn t_(slf: &Bound<'_, Self>) -> PyResult<Py<PyAny>> {
        let x = &slf.get().inner;
        let order = match x.rank() {
            n @ (0 | 1) => (0..n).collect(),
            2 => x.swap_order("t_", 0, 1).raise()?,
            n => {
                return Err(PyRuntimeError::new_err(format!(
                    "t_() expects a tensor with <= 2 dimensions, but self is {n}D"
                )))
            }
        };
        reshaped(slf, ViewOp::Permute(order), "TBackward1")
    }
}

/// Two dims swapped: the view, and its in-place form.
macro_rules! swaps {
    ($($(#[$doc:meta])* $name:ident $(#[$doc_:meta])* $name_:ident($a:ident, $b:ident);)*) => {
        #[pymethods]
        impl PyTensor {$(
            $(#[$doc])*
            fn $name(&self, py: Python<'_>, $a: Object<'_, '_>, $b: Object<'_, '_>) -> PyResult<Py<PyAny>> {
                let (a, b) = (index("transpose", "dim0", $a)?, index("transpose", "dim1", $b)?);
                named(py, self.inner.transpose(a, b).raise()?, "Transpose")
            }

            $(#[$doc_])*
            fn $name_(slf: &Bound<'_, Self>, $a: Object<'_, '_>, $b: Object<'_, '_>) -> PyResult<Py<PyAny>> {
                let (a, b) = (index("transpose_", "dim0", $a)?, index("transpose_", "dim1", $b)?);
                let order = slf.get().inner.swap_order("transpose_", a, b).raise()?;
                reshaped(slf, ViewOp::Permute(order), "TransposeBackward1")
            }
        )*}
    };
}

swaps! {
    /// A view with two dims swapped.
    ///
    /// Example:
    ///     >>> wg.tensor([[1, 2], [3, 4]]).transpose(0, 1)
    ///     tensor([[1, 3],
    ///             [2, 4]])
    transpose
    /// In-place version of `transpose`.
    transpose_(dim0, dim1);

    /// `transpose` under numpy's name.
    ///
    /// Example:
    ///     >>> wg.zeros(2, 3).swapaxes(0, 1).shape
    ///     torch.Size([3, 2])
    swapaxes
    /// In-place version of `swapaxes`.
    swapaxes_(axis0, axis1);

    /// `transpose` by another name.
    ///
    /// Example:
    ///     >>> wg.zeros(2, 3).swapdims(0, 1).shape
    ///     torch.Size([3, 2])
    swapdims
    /// In-place version of `swapdims`.
    swapdims_(dim0, dim1);
}

/// Views in the shape of another tensor.
macro_rules! shaped_as {
    ($($(#[$doc:meta])* $name:ident $view:ident;)*) => {
        #[pymethods]
        impl PyTensor {$(
            $(#[$doc])*
            fn $name(&self, py: Python<'_>, other: Object<'_, '_>) -> PyResult<Py<PyAny>> {
                let other = need_tensor(stringify!($name), "other", other)?;
                let shape: Ints = other.shape().iter().map(|&n| n as isize).collect();
                done(py, self.inner.$view(&shape))
            }
        )*}
    };
}

shaped_as! {
    /// A view expanded to the shape of another tensor.
    ///
    /// Example:
    ///     >>> wg.ones(1, 3).expand_as(wg.zeros(2, 3)).shape
    ///     torch.Size([2, 3])
    expand_as expand;

    /// A view with the shape of another tensor.
    ///
    /// Example:
    ///     >>> wg.zeros(6).view_as(wg.zeros(2, 3)).shape
    ///     torch.Size([2, 3])
    view_as view;
}

/// Views by a dim that may be left out.
macro_rules! by_dim {
    ($($(#[$doc:meta])* $name:ident $view:expr;)*) => {
        #[pymethods]
        impl PyTensor {$(
            $(#[$doc])*
            #[pyo3(signature = (dim=None, *, axis=None))]
            fn $name(
                slf: &Bound<'_, Self>,
                dim: Option<Object<'_, '_>>,
                axis: Option<Object<'_, '_>>,
            ) -> PyResult<Py<PyAny>> {
                let view: fn(&str, &Bound<'_, Self>, Option<Object<'_, '_>>) -> PyResult<Py<PyAny>> = $view;
                view(stringify!($name), slf, either(dim, axis))
            }
        )*}
    };
}

by_dim! {
    /// A new dim of size 1.
    ///
    /// Example:
    ///     >>> wg.zeros(2, 3).unsqueeze(1).shape
    ///     torch.Size([2, 1, 3])
    unsqueeze |name, x, dim| done(x.py(), x.get().inner.unsqueeze(need_dim(name, dim, None)?));

    /// In-place version of `unsqueeze`.
    unsqueeze_ |name, x, dim| {
        let dim = wrap_dim(name, need_dim(name, dim, None)?, x.get().inner.rank() + 1).raise()?;
        reshaped(x, ViewOp::Unsqueeze(dim), "UnsqueezeBackward1")
    };

    /// Drops dims of size 1: all of them, or those of `dim` (one or several).
    ///
    /// Example:
    ///     >>> wg.zeros(1, 3, 1).squeeze().shape
    ///     torch.Size([3])
    squeeze |name, x, dim| {
        let (op, [node, _]) = x.get().squeezed(name, dim)?;
        named(x.py(), x.get().inner.view_op(op).raise()?, node)
    };

    /// In-place version of `squeeze`.
    squeeze_ |name, x, dim| {
        let (op, [_, node]) = x.get().squeezed(name, dim)?;
        reshaped(x, op, node)
    };

    /// One view per index of a dim.
    ///
    /// Example:
    ///     >>> wg.tensor([[1, 2], [3, 4]]).unbind()
    ///     (tensor([1, 2]), tensor([3, 4]))
    unbind |name, x, dim| parts(x.py(), x.get().inner.unbind(dim_or(name, dim, None, 0)?), "Unbind");
}

/// Views of the parts of a dim, the first by default, which an argument describes.
macro_rules! splits {
    ($($(#[$doc:meta])* $name:ident($how:ident) $split:expr;)*) => {
        #[pymethods]
        impl PyTensor {$(
            $(#[$doc])*
            #[pyo3(signature = ($how, dim=None, *, axis=None))]
            fn $name(
                &self,
                py: Python<'_>,
                $how: Object<'_, '_>,
                dim: Option<Object<'_, '_>>,
                axis: Option<Object<'_, '_>>,
            ) -> PyResult<Py<PyAny>> {
                let split: Split = $split;
                let dim = dim_or(stringify!($name), dim, axis, 0)?;
                let (views, node) = split(&self.inner, $how, dim)?;
                parts(py, views, node)
            }
        )*}
    };
}

/// Views and the name of their nodes.
type Split = fn(&Tensor, Object<'_, '_>, isize) -> PyResult<(wengert::Result<Vec<Tensor>>, &'static str)>;

splits! {
    /// Parts of a dim of size `split_size` (the last may be smaller), or of the sizes of a list.
    ///
    /// Example:
    ///     >>> wg.arange(5).split(2)
    ///     (tensor([0, 1]), tensor([2, 3]), tensor([4]))
    split(split_size) |x, size, dim| {
        if size.is_instance_of::<PyInt>() || size.is_instance_of::<PyTensor>() {
            return Ok((x.split(index("split", "split_size", size)?, dim), "Split"));
        }
        Ok((x.split_sizes(&ints("split", "split_size", size)?, dim), "SplitWithSizes"))
    };

    /// Parts of a dim of given sizes, which add up to the dim's.
    ///
    /// Example:
    ///     >>> wg.arange(3).split_with_sizes([1, 2])
    ///     (tensor([0]), tensor([1, 2]))
    split_with_sizes(split_sizes) |x, sizes, dim| {
        Ok((x.split_sizes(&ints("split_with_sizes", "split_sizes", sizes)?, dim), "SplitWithSizes"))
    };

    /// At most `chunks` parts of equal size (the last may be smaller).
    ///
    /// Example:
    ///     >>> wg.arange(5).chunk(2)
    ///     (tensor([0, 1, 2]), tensor([3, 4]))
    chunk(chunks) |x, chunks, dim| Ok((x.chunk(index("chunk", "chunks", chunks)?, dim), "Split"));
}

impl PyTensor {
    /// PyTorch names a reshape that had to copy otherwise than a view.
    fn mark_copy(&self, out: &Tensor) {
        if !self.inner.shares_storage(out) {
            out.relabel("UnsafeView");
        }
    }

    /// What `squeeze` does for its argument, and its node's name, out of place and in place.
    fn squeezed(&self, op: &str, dim: Option<Object<'_, '_>>) -> PyResult<(ViewOp, [&'static str; 2])> {
        let rank = self.inner.rank();
        let (dims, nodes) = match dim {
            None => {
                let all = ViewOp::Squeeze(dim_mask(op, &[], rank).raise()?);
                return Ok((all, ["SqueezeBackward0", "SqueezeBackward3"]));
            }
            Some(d) if d.is_instance_of::<PyInt>() => {
                (Ints::from_iter([index(op, "dim", d)?]), ["SqueezeBackward1", "SqueezeBackward4"])
            }
            Some(d) => (ints(op, "dim", d)?, ["SqueezeBackward2", "SqueezeBackward5"]),
        };
        // An empty list names no dim.
        let mask = if dims.is_empty() { 0 } else { dim_mask(op, &dims, rank).raise()? };
        Ok((ViewOp::Squeeze(mask), nodes))
    }
}

/// Refuses more parts at once than there is memory for: for composed functions, before they count them out.
///
/// Example:
///     >>> wg._core._check_parts("split", 3)
#[pyfunction]
pub fn _check_parts(op: &str, count: usize) -> PyResult<()> {
    wengert::check_parts(op, count).raise()
}
