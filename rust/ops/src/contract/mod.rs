//! What the methods of a [`Backend`](crate::Backend) accept: checked and worded once, for every device.
//!
//! Only values that must be read on the device (divisors, indices) are checked there.

mod conv;
mod indexing;

pub use conv::ConvGeometry;
pub use indexing::{int64, out_of_bounds, reach, same_dtypes, Indexed};

use crate::backend::{Operand, Random, View, ViewMut};
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::fail;
use crate::layout::Layout;
use crate::op::{Extremum, PoolSpec};
use crate::rows::Row;

/// Zero divisors and negative powers, which integers refuse, in PyTorch's words; `any_zero` looks through an array.
pub fn integers<B>(
    row: Row,
    inputs: &[Operand<'_, B>],
    any_zero: impl FnOnce(View<'_, B>) -> Result<bool>,
) -> Result<()> {
    match (row, inputs.get(1)) {
        (Row::Remainder | Row::Fmod | Row::FloorDivide | Row::TruncDivide, Some(divisor)) => {
            let zero = match divisor {
                Operand::Scalar(scalar) => scalar.as_i64() == 0,
                Operand::Array(view) => any_zero(*view)?,
            };
            if zero {
                fail!(runtime, "ZeroDivisionError: {} of integers by zero; check the divisor", row.name());
            }
        }
        (Row::Pow, Some(Operand::Scalar(exponent))) if exponent.as_i64() < 0 => {
            fail!(runtime, "Integers to negative integer powers are not allowed.");
        }
        _ => {}
    }
    Ok(())
}

/// The error of a row without a partial for one of its inputs.
#[cold]
pub fn no_derivative(row: Row) -> Error {
    Error::runtime(format!(
        "the derivative for '{}' is not implemented; compute it from differentiable functions, or detach its inputs",
        row.name()
    ))
}

/// Operands of [`Backend::matmul`](crate::Backend::matmul).
pub fn matmul<B>(a: &View<'_, B>, b: &View<'_, B>, out: &ViewMut<'_, B>) -> Result<()> {
    let (x, y, z) = (a.layout, b.layout, out.layout());
    let rank = z.rank();
    let fits = rank >= 2
        && x.rank() == rank
        && y.rank() == rank
        && x.shape()[..rank - 2] == z.shape()[..rank - 2]
        && y.shape()[..rank - 2] == z.shape()[..rank - 2]
        && x.shape()[rank - 2] == z.shape()[rank - 2]
        && y.shape()[rank - 1] == z.shape()[rank - 1]
        && x.shape()[rank - 1] == y.shape()[rank - 2];
    if !fits || a.dtype != out.dtype() || b.dtype != out.dtype() || !z.is_contiguous() {
        fail!(
            internal,
            "matmul: kernel called with {} {:?} @ {} {:?} into {} {:?}",
            a.dtype,
            x.shape(),
            b.dtype,
            y.shape(),
            out.dtype(),
            z
        );
    }
    Ok(())
}

/// A fold of elements that has no value over none of them.
pub fn nonempty(name: &str, layout: &Layout, dims: u64) -> Result<()> {
    let sizes = layout.shape().iter().enumerate();
    let outputs: usize = sizes.filter(|&(d, _)| dims >> d & 1 == 0).map(|(_, &n)| n).product();
    if layout.numel() > 0 || outputs == 0 {
        return Ok(());
    }
    let shape = layout.shape();
    Err(Error::index(format!(
        "{name}(): Expected reduction dim to have non-zero size (the input has shape {shape:?}); \
         reduce over dims that are not empty"
    )))
}

/// Operands of [`Backend::extreme`](crate::Backend::extreme).
pub fn extreme<B>(
    kind: Extremum,
    x: &View<'_, B>,
    dim: usize,
    values: Option<&ViewMut<'_, B>>,
    indices: Option<&ViewMut<'_, B>>,
) -> Result<()> {
    let name = match (kind, values.is_some()) {
        (Extremum::Max, true) => "max",
        (Extremum::Max, false) => "argmax",
        (Extremum::Min, true) => "min",
        (Extremum::Min, false) => "argmin",
    };
    if let Some(v) = values.filter(|v| v.dtype() != x.dtype) {
        fail!(internal, "{name}: values of dtype {} from an input of {}", v.dtype(), x.dtype);
    }
    if let Some(i) = indices.filter(|i| i.dtype() != DType::I64) {
        fail!(internal, "{name}: positions are int64, not {}", i.dtype());
    }
    let shape = x.layout.shape();
    if shape.get(dim) == Some(&0) && shape.iter().enumerate().all(|(d, &n)| d == dim || n > 0) {
        fail!(index, "{name}(): Expected reduction dim {dim} to have non-zero size (the input has shape {shape:?})");
    }
    Ok(())
}

/// Operands of [`Backend::scan`](crate::Backend::scan).
pub fn scan<B>(x: &View<'_, B>, out: &ViewMut<'_, B>) -> Result<()> {
    let (given, wanted) = (out.layout().shape(), x.layout.shape());
    if given != wanted {
        fail!(internal, "cumsum: the output has shape {given:?}, the input {wanted:?}");
    }
    Ok(())
}

/// Operands of [`Backend::sort`](crate::Backend::sort).
pub fn sort<B>(x: &View<'_, B>, dim: usize, values: &ViewMut<'_, B>, indices: &ViewMut<'_, B>) -> Result<()> {
    if values.dtype() != x.dtype || indices.dtype() != DType::I64 {
        let (v, i) = (values.dtype(), indices.dtype());
        fail!(internal, "sort: outputs of dtype {v} and {i} for an input of {}", x.dtype);
    }
    let (shape, first) = (x.layout.shape(), values.layout().shape());
    let fits = first.len() == shape.len()
        && indices.layout().shape() == first
        && (0..shape.len()).all(|d| if d == dim { first[d] <= shape[d] } else { first[d] == shape[d] });
    if !fits {
        fail!(internal, "sort: outputs of shape {first:?} for an input of {shape:?}");
    }
    let len = shape.get(dim).copied().unwrap_or(1);
    if x.dtype.size() < 8 && len > u32::MAX as usize {
        fail!(not_implemented, "sort: dim {dim} has {len} elements, at most 2^32 − 1 are supported");
    }
    Ok(())
}

/// Operands of [`Backend::max_pool`](crate::Backend::max_pool).
pub fn max_pool<B>(spec: &PoolSpec, x: &View<'_, B>, values: &ViewMut<'_, B>, indices: &ViewMut<'_, B>) -> Result<()> {
    let (shape, out, d) = (x.layout.shape(), values.layout().shape(), spec.kernel.len());
    let fits = (1..=3).contains(&d)
        && shape.len() >= d
        && out.len() == shape.len()
        && [&spec.stride, &spec.padding, &spec.dilation].iter().all(|s| s.len() == d)
        && out[..shape.len() - d] == shape[..shape.len() - d]
        && indices.layout().shape() == out
        && indices.dtype() == DType::I64
        && x.dtype == values.dtype();
    if !fits {
        fail!(internal, "max_pool: kernel called with {shape:?} into {out:?} for {spec:?}");
    }
    Ok(())
}

/// The first input position of window `o` along window dim `i`, and how many taps lie inside the input of size `n`.
pub fn taps(spec: &PoolSpec, i: usize, o: usize, n: usize) -> (usize, usize) {
    let step = spec.dilation[i].max(1);
    let start = (o * spec.stride[i]) as isize - spec.padding[i] as isize;
    let skipped = if start < 0 { start.unsigned_abs().div_ceil(step) } else { 0 };
    let first = (start + (skipped * step) as isize) as usize;
    let inside = n.saturating_sub(first).div_ceil(step);
    (first, inside.min(spec.kernel[i].saturating_sub(skipped)))
}

/// The error of a window without a single element, which has no largest.
#[cold]
pub fn empty_window(spec: &PoolSpec, input: &[usize], output: &[usize]) -> Error {
    Error::runtime(format!(
        "max_pool: a window lies wholly in the padding (input {input:?}, output {output:?}, {spec:?}); \
         padding should be at most half of the kernel size"
    ))
}

/// Logits of `shape` and their targets: the numbers of rows and of classes.
pub fn targets<B>(shape: &[usize], targets: &View<'_, B>) -> Result<(usize, usize)> {
    let &[n, classes] = shape else { fail!(internal, "cross_entropy: kernel expects [n, c] logits, got {shape:?}") };
    if targets.dtype != DType::I64 || targets.layout.numel() != n {
        fail!(
            runtime,
            "cross_entropy: expected {n} class indices of dtype torch.int64, got {} {:?}",
            targets.dtype,
            targets.layout.shape()
        );
    }
    Ok((n, classes))
}

/// A law of random numbers over a dtype.
pub fn law(law: Random, dtype: DType) -> Result<()> {
    if !dtype.is_float() && !matches!(law, Random::Integers { .. } | Random::Bernoulli { .. }) {
        fail!(runtime, "random: {law:?} is a law over floats, but the tensor is {dtype}; make it floating point");
    }
    // NaN fails every one of these.
    match law {
        Random::Uniform { from, to } if !(from <= to) => {
            fail!(runtime, "uniform_ expects to return a [from, to) range, but found from={from} > to={to}")
        }
        Random::Normal { std, .. } if !(std >= 0.0) => {
            fail!(runtime, "normal expects std >= 0.0, but found std {std}")
        }
        Random::Integers { low, high } if low >= high && (high.wrapping_sub(low) as u64) < 1 << 63 => {
            fail!(runtime, "random_ expects 'from' to be less than 'to', but got from={low} >= to={high}")
        }
        Random::Bernoulli { p } if !(0.0..=1.0).contains(&p) => {
            fail!(runtime, "bernoulli_ expects p to be in [0, 1], but got p={p}")
        }
        Random::Exponential { lambda } if !(lambda > 0.0) => {
            fail!(runtime, "exponential_ expects lambda > 0.0, but found lambda={lambda}")
        }
        _ => Ok(()),
    }
}

/// The output of [`Backend::permutation`](crate::Backend::permutation).
pub fn permutation<B>(out: &ViewMut<'_, B>) -> Result<()> {
    let n = out.layout().numel();
    if out.layout().rank() != 1 {
        fail!(runtime, "randperm: the output has {} dimensions; it must have one", out.layout().rank());
    }
    if out.dtype().finfo().is_some_and(|f| n as f64 - 1.0 > 2.0 / f.eps)
        || out.dtype().iinfo().is_some_and(|(_, top)| n > 0 && n as u64 - 1 > top as u64)
    {
        fail!(runtime, "randperm: n={n} does not fit in {}; ask for a wider dtype", out.dtype());
    }
    Ok(())
}

/// A part of a buffer of `have` bytes to be downloaded.
pub fn download(offset: usize, len: usize, have: usize) -> Result<()> {
    match offset.checked_add(len) {
        Some(end) if end <= have => Ok(()),
        _ => Err(Error::internal(format!(
            "download: bytes {offset}..{} of a buffer of {have}",
            offset.wrapping_add(len)
        ))),
    }
}
