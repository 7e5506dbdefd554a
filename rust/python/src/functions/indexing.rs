//! Reading and writing by index tensors and masks.

use super::{named, need_dim, run, tuple, Object};
use crate::args::{index, need_tensor, operand, Operand};
use crate::error::Raise;
use crate::tensor::{fresh, PyTensor};
use crate::types::type_name;
use pyo3::exceptions::{PyIndexError, PyRuntimeError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::PyString;
use wengert::infer::check_number;
use wengert::layout::{broadcast_shapes, wrap_dim};
use wengert::{row, Arg, DType, Device, Row, Scalar, ScatterMode, Tensor};

/// Names, and whether the function takes `out=`.
pub const FUNCTIONS: &[(&str, bool)] = &[
    ("gather", true),
    ("scatter", true),
    ("scatter_add", true),
    ("index_select", true),
    ("index_put", false),
    ("index_put_", false),
    ("masked_fill", false),
    ("masked_select", true),
    ("nonzero", true),
];

/// An index as int64; int32 is let through as PyTorch does, other dtypes are the kernel's to refuse.
fn long(index: &Tensor) -> PyResult<Tensor> {
    if index.dtype() == DType::I32 {
        index.to_dtype(DType::I64).raise()
    } else {
        Ok(index.clone())
    }
}

/// PyTorch calls a position out of bounds a RuntimeError in gather and scatter, an IndexError elsewhere.
fn bounds<T>(result: PyResult<T>, py: Python<'_>) -> PyResult<T> {
    result.map_err(|e| {
        let text = e.value(py).to_string();
        if e.is_instance_of::<PyIndexError>(py) && text.contains("out of bounds") {
            PyRuntimeError::new_err(text)
        } else {
            e
        }
    })
}

/// Refuses negative positions, which the kernel would count from the end.
fn check_positions(op: &str, at: &Tensor) -> PyResult<()> {
    if at.numel() > 0 && at.device() == Device::Cpu && at.dtype() == DType::I64 {
        // A repeated position is looked at once.
        let mut once = at.clone();
        for d in (0..at.rank()).filter(|&d| at.layout().strides()[d] == 0) {
            once = once.narrow(d as isize, 0, 1).raise()?;
        }
        let least = once.amin(&[], false).and_then(|t| t.item()).raise()?.as_i64();
        if least < 0 {
            return Err(PyIndexError::new_err(format!(
                "{op}(): index out of range in self: positions must not be negative, got {least}"
            )));
        }
    }
    Ok(())
}

/// Coordinates of the nonzero elements, one vector a dim.
pub fn nonzero_columns(py: Python<'_>, x: &Tensor) -> PyResult<Py<PyAny>> {
    let x = if x.rank() == 0 { x.reshape_to(&[1]).raise()? } else { x.clone() };
    let places = run(py, x.numel(), || x.nonzero())?;
    tuple(py, places.unbind(1).raise()?)
}

/// What a scatter does with elements that meet.
enum Meeting {
    Mode(ScatterMode),
    Multiply,
}

/// The arguments of `scatter` and `scatter_`.
struct Scatter {
    dim: isize,
    index: Tensor,
    src: Tensor,
    meeting: Meeting,
    /// PyTorch's number for the node: 0 for a tensor, 1 for a number.
    node: &'static str,
}

impl Scatter {
    fn read(
        x: &Tensor,
        dim: Object<'_, '_>,
        at: Object<'_, '_>,
        src: Option<Object<'_, '_>>,
        value: Option<Object<'_, '_>>,
        reduce: Option<&Bound<'_, PyString>>,
    ) -> PyResult<Scatter> {
        let dim = index("scatter", "dim", dim)?;
        let at = long(need_tensor("scatter", "index", at)?)?;
        let given = src.or(value).ok_or_else(|| PyTypeError::new_err("scatter() needs a 'src' tensor or a 'value'"))?;
        let (src, node) = match operand(given)? {
            Some(Operand::Tensor(t)) => (t, "ScatterBackward0"),
            Some(Operand::Scalar(s)) => {
                (Tensor::full(&at.shape(), s, x.dtype(), x.device()).raise()?, "ScatterBackward1")
            }
            None => {
                return Err(PyTypeError::new_err(format!(
                    "scatter(): argument 'src' must be Tensor or Number, not {}",
                    type_name(given)
                )))
            }
        };
        let meeting = match reduce.map(|r| r.to_str()).transpose()? {
            None => Meeting::Mode(ScatterMode::Set),
            Some("add") => Meeting::Mode(ScatterMode::Add),
            Some("multiply") => Meeting::Multiply,
            Some(other) => {
                return Err(PyRuntimeError::new_err(format!(
                    "scatter(): reduce argument must be either add or multiply, got '{other}'"
                )))
            }
        };
        Ok(Scatter { dim, index: at, src, meeting, node })
    }

    fn apply(&self, py: Python<'_>, x: &Tensor) -> PyResult<Tensor> {
        match self.meeting {
            Meeting::Mode(mode) => bounds(run(py, x.numel(), || x.scatter(mode, self.dim, &self.index, &self.src)), py),
            Meeting::Multiply => multiplied(x, self),
        }
    }
}

/// `scatter(reduce="multiply")`, element by element: rare, and PyTorch does not differentiate it.
fn multiplied(x: &Tensor, s: &Scatter) -> PyResult<Tensor> {
    if wengert::is_grad_enabled() && (x.requires_grad() || s.src.requires_grad()) {
        return Err(PyRuntimeError::new_err(
            "scatter(): reduce='multiply' is not differentiable; call it under no_grad() or on detached tensors",
        ));
    }
    // A scatter of the same arguments checks them, shapes and bounds.
    x.scatter(ScatterMode::Set, s.dim, &s.index, &s.src).raise()?;
    if s.index.numel() == 0 {
        return x.clone_().raise();
    }
    let shape = x.shape();
    let dim = wrap_dim("scatter", s.dim, shape.len()).raise()?;
    let at = s.index.to_vec_i64().raise()?;
    let places = s.index.shape();
    let narrow = |t: &Tensor| -> PyResult<Tensor> {
        let mut t = t.clone();
        for (d, &n) in places.iter().enumerate() {
            t = t.narrow(d as isize, 0, n as isize).raise()?;
        }
        Ok(t)
    };
    let target = |mut flat: usize, to: i64| {
        let (mut place, mut stride) = (0, 1);
        for d in (0..shape.len()).rev() {
            let i = flat % places[d];
            flat /= places[d];
            place += stride * if d == dim { to as usize } else { i };
            stride *= shape[d];
        }
        place
    };
    let src = if places.is_empty() { s.src.clone() } else { narrow(&s.src)? };
    if x.dtype().is_float() {
        let (mut out, by) = (x.to_vec_f64().raise()?, src.to_vec_f64().raise()?);
        // A product of two narrower floats is exact in f64: one rounding, as in the dtype itself.
        let round = |v: f64| -> f64 {
            match x.dtype() {
                DType::F32 => v as f32 as f64,
                DType::F16 => half::f16::from_f64(v).to_f64(),
                DType::BF16 => half::bf16::from_f64(v).to_f64(),
                _ => v,
            }
        };
        for (i, &to) in at.iter().enumerate() {
            let place = target(i, to);
            out[place] = round(out[place] * by[i]);
        }
        return Tensor::from_f64(&out, &shape).and_then(|t| t.to_dtype(x.dtype())?.to_device(x.device())).raise();
    }
    let (mut out, by) = (x.to_vec_i64().raise()?, src.to_vec_i64().raise()?);
    for (i, &to) in at.iter().enumerate() {
        let place = target(i, to);
        out[place] = out[place].wrapping_mul(by[i]);
    }
    Tensor::from_i64(&out, &shape).and_then(|t| t.to_dtype(x.dtype())?.to_device(x.device())).raise()
}

/// The dims and int64 tensors of a tuple of indices; None leaves a dim whole, a mask stands for its places.
fn indices(op: &str, x: &Tensor, given: Object<'_, '_>) -> PyResult<(u64, Vec<Tensor>)> {
    if given.is_instance_of::<PyTensor>() {
        return Err(PyTypeError::new_err(format!(
            "{op}(): argument 'indices' (position 1) must be tuple of Tensors, not Tensor"
        )));
    }
    let shape = x.shape();
    let (mut dims, mut out, mut dim) = (0u64, Vec::new(), 0usize);
    for item in given.try_iter()? {
        let item = item?;
        if item.is_none() {
            dim += 1;
            continue;
        }
        let t = need_tensor(op, "indices", &item)?;
        let spans = if matches!(t.dtype(), DType::Bool | DType::U8) { t.rank() } else { 1 };
        if dim + spans > shape.len() {
            return Err(PyIndexError::new_err(format!("too many indices for tensor of dimension {}", shape.len())));
        }
        match t.dtype() {
            DType::Bool | DType::U8 => {
                let mask = t.shape();
                if let Some(k) = (0..mask.len()).find(|&k| shape[dim + k] != mask[k]) {
                    return Err(PyIndexError::new_err(format!(
                        "The shape of the mask {:?} at index {k} does not match the shape of the indexed tensor {:?} at index {}",
                        &mask[..],
                        &shape[..],
                        dim + k
                    )));
                }
                let places = t.nonzero().raise()?;
                for k in 0..mask.len() {
                    dims |= 1 << (dim + k);
                    out.push(places.select(1, k as isize).raise()?);
                }
            }
            d if d.is_int() => {
                dims |= 1 << dim;
                out.push(t.to_dtype(DType::I64).raise()?);
            }
            d => {
                return Err(PyIndexError::new_err(format!(
                    "tensors used as indices must be long, int, byte or bool tensors, got {d}"
                )))
            }
        }
        dim += spans;
    }
    if out.is_empty() {
        return Err(PyIndexError::new_err(format!(
            "{op}(): at least one index must be a tensor of dimension 1 or more, or an integer one"
        )));
    }
    Ok((dims, out))
}

fn masked(op: &str, x: &Tensor, mask: Object<'_, '_>, value: Object<'_, '_>) -> PyResult<(Tensor, &'static str)> {
    let mask = need_tensor(op, "mask", mask)?;
    if mask.dtype() != DType::Bool {
        return Err(PyRuntimeError::new_err(format!(
            "{op} only supports boolean masks, but got mask with dtype {}; convert it with .bool()",
            mask.dtype()
        )));
    }
    let (value, node) = match operand(value)? {
        Some(Operand::Tensor(t)) if t.rank() == 0 => {
            // Of the same dtype it fits: nothing is read, for which a GPU would have to wait.
            if t.dtype() != x.dtype() && t.device().has_memory() {
                t.item().and_then(|n| check_number(op, n, x.dtype())).raise()?;
            }
            (t.to_dtype(x.dtype()).raise()?, "MaskedFillBackward1")
        }
        Some(Operand::Tensor(t)) => {
            return Err(PyRuntimeError::new_err(format!(
                "{op} only supports a 0-dimensional value tensor, but got tensor with {} dimension(s).",
                t.rank()
            )))
        }
        Some(Operand::Scalar(s)) => (number(x, s)?, "MaskedFillBackward0"),
        None => {
            return Err(PyTypeError::new_err(format!(
                "{op}(): argument 'value' must be Tensor or Number, not {}",
                type_name(value)
            )))
        }
    };
    let out = row(Row::Where, &[Arg::Tensor(mask), Arg::Tensor(&value), Arg::Tensor(x)]).raise()?;
    Ok((out, node))
}

/// A number as a 0-d tensor of the dtype of `x`.
fn number(x: &Tensor, s: Scalar) -> PyResult<Tensor> {
    Tensor::full(&[], s, x.dtype(), x.device()).raise()
}

/// Writes a result of a composition into `x`, under PyTorch's name of its node.
pub fn assign(x: &Tensor, result: &Tensor, node: &str) -> PyResult<()> {
    x.assign_(result).raise()?;
    // A view's own node is made anew when it is asked for.
    if result.requires_grad() && !x.is_view() {
        x.relabel(node);
    }
    Ok(())
}

#[pymethods]
impl PyTensor {
    /// `out[i][j] = self[index[i][j]][j]` for dim 0, and so on: int64 `index` of the same rank.
    ///
    /// Example:
    ///     >>> wg.tensor([[1, 2], [3, 4]]).gather(1, wg.tensor([[0], [1]]))
    ///     tensor([[1],
    ///             [4]])
    #[pyo3(signature = (dim, index, *, sparse_grad=false))]
    fn gather(
        &self,
        py: Python<'_>,
        dim: Object<'_, '_>,
        index: Object<'_, '_>,
        sparse_grad: bool,
    ) -> PyResult<Py<PyAny>> {
        let _ = sparse_grad;
        let dim = crate::args::index("gather", "dim", dim)?;
        let (x, at) = (&self.inner, long(need_tensor("gather", "index", index)?)?);
        fresh(py, bounds(run(py, at.numel(), || x.gather(dim, &at)), py)?)
    }

    /// A copy with `src` (a tensor or a number) at the places that `gather` would read.
    ///
    /// Example:
    ///     >>> wg.zeros(3).scatter(0, wg.tensor([2, 0]), wg.tensor([1., 5.]))
    ///     tensor([5., 0., 1.])
    #[pyo3(signature = (dim, index, src=None, *, value=None, reduce=None))]
    fn scatter(
        &self,
        py: Python<'_>,
        dim: Object<'_, '_>,
        index: Object<'_, '_>,
        src: Option<Object<'_, '_>>,
        value: Option<Object<'_, '_>>,
        reduce: Option<&Bound<'_, PyString>>,
    ) -> PyResult<Py<PyAny>> {
        let s = Scatter::read(&self.inner, dim, index, src, value, reduce)?;
        named(py, s.apply(py, &self.inner)?, s.node)
    }

    /// In-place version of `scatter`.
    #[pyo3(signature = (dim, index, src=None, *, value=None, reduce=None))]
    fn scatter_<'py>(
        slf: Bound<'py, Self>,
        dim: Object<'_, 'py>,
        index: Object<'_, 'py>,
        src: Option<Object<'_, 'py>>,
        value: Option<Object<'_, 'py>>,
        reduce: Option<&Bound<'py, PyString>>,
    ) -> PyResult<Bound<'py, Self>> {
        let x = &slf.get().inner;
        let s = Scatter::read(x, dim, index, src, value, reduce)?;
        match s.meeting {
            Meeting::Mode(mode) => {
                let dim = wrap_dim("scatter_", s.dim, x.rank()).raise()?;
                bounds(run(slf.py(), x.numel(), || x.scatter_(mode, dim, &s.index, &s.src)), slf.py())?;
            }
            Meeting::Multiply => x.assign_(&multiplied(x, &s)?).raise()?,
        }
        if s.node == "ScatterBackward1" && wengert::is_grad_enabled() && x.requires_grad() && !x.is_view() {
            x.relabel(s.node);
        }
        Ok(slf)
    }

    /// A copy with `src` added at the places that `gather` would read.
    ///
    /// Example:
    ///     >>> wg.zeros(2).scatter_add(0, wg.tensor([1, 1]), wg.tensor([1., 5.]))
    ///     tensor([0., 6.])
    fn scatter_add(
        &self,
        py: Python<'_>,
        dim: Object<'_, '_>,
        index: Object<'_, '_>,
        src: Object<'_, '_>,
    ) -> PyResult<Py<PyAny>> {
        let dim = crate::args::index("scatter_add", "dim", dim)?;
        let (x, at) = (&self.inner, long(need_tensor("scatter_add", "index", index)?)?);
        let src = need_tensor("scatter_add", "src", src)?;
        named(py, bounds(run(py, x.numel(), || x.scatter(ScatterMode::Add, dim, &at, src)), py)?, "ScatterAdd")
    }

    /// In-place version of `scatter_add`.
    fn scatter_add_<'py>(
        slf: Bound<'py, Self>,
        dim: Object<'_, 'py>,
        index: Object<'_, 'py>,
        src: Object<'_, 'py>,
    ) -> PyResult<Bound<'py, Self>> {
        let x = &slf.get().inner;
        let dim = wrap_dim("scatter_add_", crate::args::index("scatter_add_", "dim", dim)?, x.rank()).raise()?;
        let at = long(need_tensor("scatter_add_", "index", index)?)?;
        let src = need_tensor("scatter_add_", "src", src)?;
        bounds(run(slf.py(), x.numel(), || x.scatter_(ScatterMode::Add, dim, &at, src)), slf.py())?;
        Ok(slf)
    }

    /// Whole slices of a dim, at the positions of a vector.
    ///
    /// Example:
    ///     >>> wg.tensor([[1, 2], [3, 4]]).index_select(0, wg.tensor([1, 1]))
    ///     tensor([[3, 4],
    ///             [3, 4]])
    #[pyo3(signature = (dim, index))]
    fn index_select(&self, py: Python<'_>, dim: Object<'_, '_>, index: Object<'_, '_>) -> PyResult<Py<PyAny>> {
        let dim = need_dim("index_select", Some(dim), None)?;
        let (x, at) = (&self.inner, long(need_tensor("index_select", "index", index)?)?);
        check_positions("index_select", &at)?;
        fresh(py, run(py, x.numel(), || x.index_select(dim, &at))?)
    }

    /// A copy with `values` put (or added) at a tuple of index tensors; None leaves a dim whole.
    ///
    /// Example:
    ///     >>> wg.zeros(3).index_put((wg.tensor([0, 2]),), wg.tensor([1., 2.]))
    ///     tensor([1., 0., 2.])
    #[pyo3(signature = (indices, values, accumulate=false))]
    fn index_put(
        &self,
        py: Python<'_>,
        indices: Object<'_, '_>,
        values: Object<'_, '_>,
        accumulate: bool,
    ) -> PyResult<Py<PyAny>> {
        let x = &self.inner;
        let values = need_tensor("index_put", "values", values)?;
        let (dims, at) = self::indices("index_put", x, indices)?;
        let at: Vec<&Tensor> = at.iter().collect();
        fresh(py, run(py, x.numel(), || x.index_put(dims, &at, values, accumulate))?)
    }

    /// In-place version of `index_put`.
    #[pyo3(signature = (indices, values, accumulate=false))]
    fn index_put_<'py>(
        slf: Bound<'py, Self>,
        indices: Object<'_, 'py>,
        values: Object<'_, 'py>,
        accumulate: bool,
    ) -> PyResult<Bound<'py, Self>> {
        let x = &slf.get().inner;
        let values = need_tensor("index_put_", "values", values)?;
        let (dims, at) = self::indices("index_put_", x, indices)?;
        let at: Vec<&Tensor> = at.iter().collect();
        run(slf.py(), x.numel(), || x.index_put_(dims, &at, values, accumulate))?;
        Ok(slf)
    }

    /// A copy with `value` (a number or a 0-d tensor) where a boolean mask holds.
    ///
    /// Example:
    ///     >>> wg.tensor([1., 2.]).masked_fill(wg.tensor([True, False]), 0.)
    ///     tensor([0., 2.])
    fn masked_fill(&self, py: Python<'_>, mask: Object<'_, '_>, value: Object<'_, '_>) -> PyResult<Py<PyAny>> {
        let (out, node) = masked("masked_fill", &self.inner, mask, value)?;
        named(py, out, node)
    }

    /// In-place version of `masked_fill`.
    fn masked_fill_<'py>(
        slf: Bound<'py, Self>,
        mask: Object<'_, 'py>,
        value: Object<'_, 'py>,
    ) -> PyResult<Bound<'py, Self>> {
        let x = &slf.get().inner;
        let (out, node) = masked("masked_fill_", x, mask, value)?;
        assign(x, &out, node)?;
        Ok(slf)
    }

    /// The elements where a boolean mask holds, as a vector.
    ///
    /// Example:
    ///     >>> wg.tensor([1., 2.]).masked_select(wg.tensor([False, True]))
    ///     tensor([2.])
    fn masked_select(&self, py: Python<'_>, mask: Object<'_, '_>) -> PyResult<Py<PyAny>> {
        let (x, mask) = (&self.inner, need_tensor("masked_select", "mask", mask)?);
        if mask.dtype() != DType::Bool {
            return Err(PyRuntimeError::new_err(format!(
                "masked_select: expected BoolTensor for mask, but got mask with dtype {}; convert it with .bool()",
                mask.dtype()
            )));
        }
        let shape = broadcast_shapes("masked_select", &[&x.shape(), &mask.shape()]).raise()?;
        let out = run(py, x.numel(), || {
            let mask = mask.expand_to(&shape)?.reshape(&[-1])?;
            crate::index::chosen(&x.expand_to(&shape)?.reshape(&[-1])?, &mask)
        })?;
        named(py, out, "MaskedSelect")
    }

    /// Coordinates of the nonzero elements, `(count, ndim)`; `as_tuple` gives one vector a dim.
    ///
    /// Example:
    ///     >>> wg.tensor([0, 5, 7]).nonzero(as_tuple=True)
    ///     (tensor([1, 2]),)
    #[pyo3(signature = (*, as_tuple=false))]
    fn nonzero(&self, py: Python<'_>, as_tuple: bool) -> PyResult<Py<PyAny>> {
        if as_tuple {
            return nonzero_columns(py, &self.inner);
        }
        let x = &self.inner;
        fresh(py, run(py, x.numel(), || x.nonzero())?)
    }
}
