//! Fused primitives of neural networks.

use super::{need_dim, run, tuple, Object};
use crate::args::{index, ints, need_tensor, Ints};
use crate::error::Raise;
use crate::random::with;
use crate::tensor::{fresh, PyTensor};
use crate::types::optional_dtype;
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyString;
use wengert::{AttentionDropout, LossReduction, Row, Tensor};

/// Names, and whether the function takes `out=`.
pub const FUNCTIONS: &[(&str, bool)] = &[("softmax", true), ("log_softmax", true)];

pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    crate::creation::add_functions!(
        m,
        linear,
        conv1d,
        conv2d,
        conv3d,
        _conv_transpose,
        max_pool1d,
        max_pool2d,
        max_pool3d,
        _cross_entropy,
        _layer_norm,
        _rms_norm,
        _channel_norm,
        _lstm,
        _lstm_cell,
        _var_mean,
        _attention
    )
}

/// Softmax and its logarithm.
macro_rules! softmaxes {
    ($($(#[$doc:meta])* $name:ident;)*) => {
        #[pymethods]
        impl PyTensor {$(
            $(#[$doc])*
            #[pyo3(signature = (dim=None, dtype=None, *, axis=None))]
            fn $name(
                &self,
                py: Python<'_>,
                dim: Option<Object<'_, '_>>,
                dtype: Option<Object<'_, '_>>,
                axis: Option<Object<'_, '_>>,
            ) -> PyResult<Py<PyAny>> {
                let (dim, x) = (need_dim(stringify!($name), dim, axis)?, self.converted(dtype)?);
                fresh(py, run(py, x.numel(), || x.$name(dim))?)
            }
        )*}
    };
}

softmaxes! {
    /// Softmax along a dim, of floating-point elements (or converted to `dtype` first).
    ///
    /// Example:
    ///     >>> wg.zeros(2).softmax(0)
    ///     tensor([0.5000, 0.5000])
    softmax;

    /// Logarithm of softmax along a dim, of floating-point elements (or converted to `dtype` first).
    ///
    /// Example:
    ///     >>> wg.zeros(2).log_softmax(0)
    ///     tensor([-0.6931, -0.6931])
    log_softmax;
}

impl PyTensor {
    fn converted(&self, dtype: Option<Object<'_, '_>>) -> PyResult<Tensor> {
        match optional_dtype(dtype)? {
            Some(dtype) => self.inner.to_dtype(dtype).raise(),
            None => Ok(self.inner.clone()),
        }
    }
}

fn optional<'a>(op: &str, name: &str, t: Option<Object<'a, '_>>) -> PyResult<Option<&'a Tensor>> {
    t.map(|t| need_tensor(op, name, t)).transpose()
}

/// `input @ weightᵀ + bias`: (…, k), (n, k) and (n) → (…, n).
///
/// `activation` (not in PyTorch) names an elementwise function of one input, "relu" or "gelu", that is taken of the result in
/// the same call.
///
/// Example:
///     >>> wg._core.linear(wg.ones(1, 2), wg.ones(3, 2))
///     tensor([[2., 2., 2.]])
///     >>> wg._core.linear(wg.ones(1, 2), -wg.ones(3, 2), activation="relu")
///     tensor([[0., 0., 0.]])
#[pyfunction]
#[pyo3(signature = (input, weight, bias=None, *, activation=None))]
fn linear(
    py: Python<'_>,
    input: Object<'_, '_>,
    weight: Object<'_, '_>,
    bias: Option<Object<'_, '_>>,
    activation: Option<&str>,
) -> PyResult<Py<PyAny>> {
    let (x, w) = (need_tensor("linear", "input", input)?, need_tensor("linear", "weight", weight)?);
    let b = optional("linear", "bias", bias)?;
    let (from, by) = (x.layout(), w.layout());
    let work = from.numel().saturating_mul(by.shape().first().copied().unwrap_or(1));
    if let Some(name) = activation {
        let row = Row::from_name(name).filter(|row| row.maps_numbers()).ok_or_else(|| {
            PyValueError::new_err(format!(
                "linear: activation must name an elementwise function of one input, such as \"relu\", but got \"{name}\""
            ))
        })?;
        return fresh(py, run(py, work, || x.linear_then(w, b, row))?);
    }
    let out = run(py, work, || x.linear(w, b))?;
    match from.rank() {
        2 if b.is_none() && by.rank() == 2 => out.relabel("Mm"),
        0..=2 => {}
        _ => out.relabel("UnsafeView"),
    }
    fresh(py, out)
}

/// One convolution's arguments after the tensors.
struct Geometry<'a, 'py> {
    stride: Option<Object<'a, 'py>>,
    padding: Option<Object<'a, 'py>>,
    dilation: Option<Object<'a, 'py>>,
    groups: Object<'a, 'py>,
}

fn or_one(op: &str, name: &str, given: Option<Object<'_, '_>>, default: isize) -> PyResult<Ints> {
    given.map_or_else(|| Ok(Ints::from_iter([default])), |g| ints(op, name, g))
}

fn each(values: &Ints, dims: usize, i: usize) -> isize {
    if values.len() == dims {
        values[i]
    } else {
        values.first().copied().unwrap_or(1)
    }
}

fn conv(
    py: Python<'_>,
    (op, dims): (&str, usize),
    input: Object<'_, '_>,
    weight: Object<'_, '_>,
    bias: Option<Object<'_, '_>>,
    g: Geometry<'_, '_>,
) -> PyResult<Py<PyAny>> {
    let (x, w) = (need_tensor(op, "input", input)?, need_tensor(op, "weight", weight)?);
    let b = optional(op, "bias", bias)?;
    let (shape, kernel) = (x.shape(), w.shape());
    if kernel.len() != dims + 2 || !(shape.len() == dims + 1 || shape.len() == dims + 2) {
        return Err(PyRuntimeError::new_err(format!(
            "Expected {}D (unbatched) or {}D (batched) input to {op} and a {}D weight, but got input of size: {:?} and weight of size: {:?}",
            dims + 1,
            dims + 2,
            dims + 2,
            &shape[..],
            &kernel[..]
        )));
    }
    let (stride, dilation) = (or_one(op, "stride", g.stride, 1)?, or_one(op, "dilation", g.dilation, 1)?);
    let groups = index(op, "groups", g.groups)?;
    let (mut x, mut padding) = (x.clone(), Ints::from_iter([0]));
    match g.padding {
        Some(p) if p.is_instance_of::<PyString>() => match p.cast::<PyString>()?.to_str()? {
            "valid" => {}
            "same" => {
                if stride.iter().any(|&s| s != 1) {
                    return Err(PyRuntimeError::new_err(format!(
                        "{op}(): padding='same' is not supported for strided convolutions"
                    )));
                }
                let total: Vec<usize> = (0..dims)
                    .map(|i| each(&dilation, dims, i).max(0) as usize * kernel[i + 2].saturating_sub(1))
                    .collect();
                padding = total.iter().map(|&t| (t / 2) as isize).collect();
                if total.iter().any(|t| t % 2 == 1) {
                    // An odd total has its extra zero at the end.
                    let mut amounts = vec![(0, 0); shape.len() - dims];
                    amounts.extend(total.iter().map(|t| (0, t % 2)));
                    x = x.pad(&amounts).raise()?;
                }
            }
            other => {
                return Err(PyRuntimeError::new_err(format!(
                    "{op}(): Invalid padding string: '{other}'; use 'valid' or 'same'"
                )));
            }
        },
        p => padding = or_one(op, "padding", p, 0)?,
    }
    let unbatched = shape.len() == dims + 1;
    if unbatched {
        x = x.unsqueeze(0).raise()?;
    }
    let work = x.numel().saturating_mul(kernel[0]);
    let out = run(py, work, || x.conv(op, w, b, &stride, &padding, &dilation, groups))?;
    fresh(py, if unbatched { out.squeeze_dim(0).raise()? } else { out })
}

/// The transpose of a convolution, as its input's gradient: `input` is batched, the result's trailing dims have `sizes`.
#[pyfunction]
#[pyo3(signature = (input, weight, sizes, stride, padding, dilation, groups))]
#[allow(clippy::too_many_arguments)]
fn _conv_transpose(
    py: Python<'_>,
    input: Object<'_, '_>,
    weight: Object<'_, '_>,
    sizes: Vec<usize>,
    stride: Vec<isize>,
    padding: Vec<isize>,
    dilation: Vec<isize>,
    groups: isize,
) -> PyResult<Py<PyAny>> {
    let op = match sizes.len() {
        1 => "conv_transpose1d",
        2 => "conv_transpose2d",
        _ => "conv_transpose3d",
    };
    let (x, w) = (need_tensor(op, "input", input)?, need_tensor(op, "weight", weight)?);
    let work = x.numel().saturating_mul(w.shape().get(1).copied().unwrap_or(1));
    fresh(py, run(py, work, || x.conv_transpose(op, w, &sizes, &stride, &padding, &dilation, groups))?)
}

macro_rules! convolutions {
    ($($name:ident $dims:literal, $doc:expr;)*) => {$(
        #[doc = $doc]
        #[pyfunction]
        #[pyo3(signature = (input, weight, bias=None, stride=None, padding=None, dilation=None, groups=None))]
        #[allow(clippy::too_many_arguments)]
        fn $name(
            py: Python<'_>,
            input: Object<'_, '_>,
            weight: Object<'_, '_>,
            bias: Option<Object<'_, '_>>,
            stride: Option<Object<'_, '_>>,
            padding: Option<Object<'_, '_>>,
            dilation: Option<Object<'_, '_>>,
            groups: Option<Object<'_, '_>>,
        ) -> PyResult<Py<PyAny>> {
            let one = 1i64.into_pyobject(py)?.into_any();
            let g = Geometry { stride, padding, dilation, groups: groups.unwrap_or(&one) };
            conv(py, (stringify!($name), $dims), input, weight, bias, g)
        }
    )*};
}

convolutions! {
    conv1d 1, "Cross-correlation of (N, C, L) or (C, L) with weights (O, C/groups, k);\n\
        `padding` (an int, one for each dim, 'valid' or 'same') adds zeros on both sides.\n\n\
        Example:\n    >>> wg.conv1d(wg.ones(1, 1, 3), wg.ones(1, 1, 2))\n    tensor([[[2., 2.]]])";
    conv2d 2, "Cross-correlation of (N, C, H, W) or (C, H, W) with weights (O, C/groups, kH, kW);\n\
        `padding` (an int, one for each dim, 'valid' or 'same') adds zeros on both sides.\n\n\
        Example:\n    >>> wg.conv2d(wg.ones(1, 1, 2, 2), wg.ones(1, 1, 2, 2))\n    tensor([[[[4.]]]])";
    conv3d 3, "Cross-correlation of (N, C, D, H, W) or (C, D, H, W) with weights (O, C/groups, kD, kH, kW);\n\
        `padding` (an int, one for each dim, 'valid' or 'same') adds zeros on both sides.\n\n\
        Example:\n    >>> wg.conv3d(wg.ones(1, 1, 2, 2, 2), wg.ones(1, 1, 2, 2, 2))\n    tensor([[[[[8.]]]]])";
}

/// The windows of a pool, as given.
struct Windows<'a, 'py> {
    kernel: Object<'a, 'py>,
    stride: Option<Object<'a, 'py>>,
    padding: Option<Object<'a, 'py>>,
    dilation: Option<Object<'a, 'py>>,
    ceil_mode: bool,
    return_indices: bool,
}

fn max_pool(
    py: Python<'_>,
    (op, dims): (&str, usize),
    input: Object<'_, '_>,
    w: Windows<'_, '_>,
) -> PyResult<Py<PyAny>> {
    let x = need_tensor(op, "input", input)?;
    if x.rank() != dims + 1 && x.rank() != dims + 2 {
        return Err(PyRuntimeError::new_err(format!(
            "{op}(): Expected {}D or {}D (batch mode) tensor for input, but got shape {:?}",
            dims + 1,
            dims + 2,
            &x.shape()[..]
        )));
    }
    let kernel = ints(op, "kernel_size", w.kernel)?;
    let stride = w.stride.map_or_else(|| Ok(Ints::new()), |s| ints(op, "stride", s))?;
    let (padding, dilation) = (or_one(op, "padding", w.padding, 0)?, or_one(op, "dilation", w.dilation, 1)?);
    let (values, places) =
        run(py, x.numel(), || x.max_pool(op, dims, &kernel, &stride, &padding, &dilation, w.ceil_mode))?;
    if w.return_indices {
        tuple(py, vec![values, places])
    } else {
        fresh(py, values)
    }
}

macro_rules! pools {
    ($($name:ident $dims:literal, $doc:expr;)*) => {$(
        #[doc = $doc]
        #[pyfunction]
        #[pyo3(signature = (input, kernel_size, stride=None, padding=None, dilation=None, ceil_mode=false, return_indices=false))]
        #[allow(clippy::too_many_arguments)]
        fn $name(
            py: Python<'_>,
            input: Object<'_, '_>,
            kernel_size: Object<'_, '_>,
            stride: Option<Object<'_, '_>>,
            padding: Option<Object<'_, '_>>,
            dilation: Option<Object<'_, '_>>,
            ceil_mode: bool,
            return_indices: bool,
        ) -> PyResult<Py<PyAny>> {
            let w = Windows { kernel: kernel_size, stride, padding, dilation, ceil_mode, return_indices };
            max_pool(py, (stringify!($name), $dims), input, w)
        }
    )*};
}

pools! {
    max_pool1d 1, "Largest value of each window of (N, C, L) or (C, L), and its position if asked.\n\n\
        Example:\n    >>> wg.max_pool1d(wg.tensor([[1., 3., 2., 0.]]), 2)\n    tensor([[3., 2.]])";
    max_pool2d 2, "Largest value of each window of (N, C, H, W) or (C, H, W), and its position if asked.\n\n\
        Example:\n    >>> wg.max_pool2d(wg.tensor([[[1., 3.], [2., 0.]]]), 2)\n    tensor([[[3.]]])";
    max_pool3d 3, "Largest value of each window of (N, C, D, H, W) or (C, D, H, W), and its position if asked.\n\n\
        Example:\n    >>> wg.max_pool3d(wg.ones(1, 2, 2, 2), 2).shape\n    torch.Size([1, 1, 1, 1])";
}

/// Cross-entropy of logits (n, c) against int64 class numbers (n): 'none', 'mean' or 'sum'.
#[pyfunction]
#[pyo3(signature = (logits, target, reduction, ignore_index))]
fn _cross_entropy(
    py: Python<'_>,
    logits: Object<'_, '_>,
    target: Object<'_, '_>,
    reduction: &str,
    ignore_index: i64,
) -> PyResult<Py<PyAny>> {
    let (x, y) = (need_tensor("cross_entropy", "input", logits)?, need_tensor("cross_entropy", "target", target)?);
    let reduction = match reduction {
        "none" => LossReduction::None,
        "mean" => LossReduction::Mean,
        "sum" => LossReduction::Sum,
        other => return Err(PyValueError::new_err(format!("{other} is not a valid value for reduction"))),
    };
    fresh(py, run(py, x.numel(), || x.cross_entropy(y, reduction, ignore_index))?)
}

/// An LSTM's h and c after a step, from the sums that go into its gates and c before.
#[pyfunction]
fn _lstm_cell(py: Python<'_>, gates: Object<'_, '_>, c: Object<'_, '_>) -> PyResult<(Py<PyAny>, Py<PyAny>)> {
    let (gates, c) = (need_tensor("lstm_cell", "gates", gates)?, need_tensor("lstm_cell", "c", c)?);
    let (h, next) = run(py, gates.numel(), || gates.lstm_cell(c))?;
    Ok((fresh(py, h)?, fresh(py, next)?))
}

/// h and c after each step of an LSTM, from what the sequence gives to the gates, the states before, and the weights of h.
#[pyfunction]
fn _lstm(
    py: Python<'_>,
    gates: Object<'_, '_>,
    h: Object<'_, '_>,
    c: Object<'_, '_>,
    w: Object<'_, '_>,
    reverse: bool,
) -> PyResult<(Py<PyAny>, Py<PyAny>)> {
    let need = |name, x| need_tensor("lstm", name, x);
    let (gates, h, c, w) = (need("gates", gates)?, need("h", h)?, need("c", c)?, need("w", w)?);
    let (hs, cs) = run(py, gates.numel().max(w.numel()), || gates.lstm(h, c, w, reverse))?;
    Ok((fresh(py, hs)?, fresh(py, cs)?))
}

/// Normalised over the trailing `ndims` dims, times a weight plus a bias where they are given.
#[pyfunction]
#[pyo3(signature = (x, ndims, eps, weight=None, bias=None))]
fn _layer_norm(
    py: Python<'_>,
    x: Object<'_, '_>,
    ndims: usize,
    eps: f64,
    weight: Option<Object<'_, '_>>,
    bias: Option<Object<'_, '_>>,
) -> PyResult<Py<PyAny>> {
    let x = need_tensor("layer_norm", "input", x)?;
    let weight = optional("layer_norm", "weight", weight)?;
    let bias = optional("layer_norm", "bias", bias)?;
    fresh(py, run(py, x.numel(), || x.layer_norm(ndims, weight, bias, eps))?)
}

/// Divided by the root of the mean square over the trailing `ndims` dims, times a weight where it is given.
#[pyfunction]
#[pyo3(signature = (x, ndims, eps, weight=None))]
fn _rms_norm(
    py: Python<'_>,
    x: Object<'_, '_>,
    ndims: u8,
    eps: f64,
    weight: Option<Object<'_, '_>>,
) -> PyResult<Py<PyAny>> {
    let x = need_tensor("rms_norm", "input", x)?;
    let weight = optional("rms_norm", "weight", weight)?;
    fresh(py, run(py, x.numel(), || x.rms_norm(ndims.into(), weight, eps))?)
}

/// Normalised by channels (dim 1): over all other dims if `groups` is 0, else in so many groups of channels of each
/// example; times a weight plus a bias where they are given. Also means and variances.
#[pyfunction]
#[pyo3(signature = (x, groups, eps, weight=None, bias=None))]
fn _channel_norm(
    py: Python<'_>,
    x: Object<'_, '_>,
    groups: u32,
    eps: f64,
    weight: Option<Object<'_, '_>>,
    bias: Option<Object<'_, '_>>,
) -> PyResult<Py<PyAny>> {
    let name = if groups == 0 { "batch_norm" } else { "group_norm" };
    let x = need_tensor(name, "input", x)?;
    let weight = optional(name, "weight", weight)?;
    let bias = optional(name, "bias", bias)?;
    let (y, mean, variance) = run(py, x.numel(), || x.channel_norm(groups, weight.zip(bias), eps))?;
    tuple(py, vec![y, mean, variance])
}

/// Variance over dims, with n − correction, and mean.
#[pyfunction]
#[pyo3(signature = (x, dims, correction, keepdim))]
fn _var_mean(
    py: Python<'_>,
    x: Object<'_, '_>,
    dims: Object<'_, '_>,
    correction: f64,
    keepdim: bool,
) -> PyResult<Py<PyAny>> {
    let (x, dims) = (need_tensor("var_mean", "input", x)?, ints("var_mean", "dim", dims)?);
    let (variance, mean) = run(py, x.numel(), || x.var_mean(&dims, correction, keepdim))?;
    tuple(py, vec![variance, mean])
}

/// softmax(q kᵀ · scale + mask) v; the mask holds numbers to add, and a weight is dropped with a probability. Leading dims
/// broadcast.
#[pyfunction]
#[pyo3(signature = (query, key, value, mask, causal, scale, dropout))]
#[allow(clippy::too_many_arguments)]
fn _attention(
    py: Python<'_>,
    query: Object<'_, '_>,
    key: Object<'_, '_>,
    value: Object<'_, '_>,
    mask: Option<Object<'_, '_>>,
    causal: bool,
    scale: f64,
    dropout: f64,
) -> PyResult<Py<PyAny>> {
    let need = |name, x| need_tensor("scaled_dot_product_attention", name, x);
    let (q, k, v) = (need("query", query)?, need("key", key)?, need("value", value)?);
    let mask = mask.map(|m| need("attn_mask", m)).transpose()?;
    let dropout = match dropout {
        0.0 => None,
        p => with(py, None, |generator| AttentionDropout::draw(q, k, v, mask, p, generator))?,
    };
    fresh(py, run(py, q.numel().max(k.numel()), || q.attention(k, v, mask, causal, scale, dropout.as_ref()))?)
}
