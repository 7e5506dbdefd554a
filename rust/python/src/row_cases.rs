//! Rows that are chosen by the numbers they are given: powers and clamps.

use crate::args::Operand;
use crate::error::Raise;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use smallvec::SmallVec;
use wengert::infer::check_number;
use wengert::{Arg, DType, Row, Scalar, Tensor};

/// Rows that [`clamp`] chooses between.
pub fn by_bounds(op: Row) -> bool {
    matches!(op, Row::Clamp | Row::ClampMin | Row::ClampMax)
}

/// The operands of a row.
pub type Args<'a> = SmallVec<[Arg<'a>; 4]>;

/// A power by a number, in the row that serves best, with its operands.
pub fn power(x: &Tensor, exponent: Scalar) -> PyResult<(Row, Args<'_>)> {
    let dtype = x.dtype();
    let x = Arg::Tensor(x);
    Ok(match exponent {
        // Of truth values: x¹ is x, and x⁰ is true.
        Scalar::Bool(e) if dtype == DType::Bool => {
            (Row::LogicalOr, Args::from_slice(&[x, Arg::Scalar(Scalar::Bool(!e))]))
        }
        // A square is one multiplication, and exact.
        Scalar::Int(2) => (Row::Square, Args::from_slice(&[x])),
        Scalar::Float(2.0) if dtype.is_float() => (Row::Square, Args::from_slice(&[x])),
        e => {
            if dtype.is_int() && matches!(e, Scalar::Int(_)) {
                check_number("pow", e, dtype).raise()?;
            }
            (Row::Pow, Args::from_slice(&[x, Arg::Scalar(e)]))
        }
    })
}

/// As [`power`], of the operands of [`Row::Pow`]; others than a tensor and a number stay.
pub fn numeric_power(args: Args<'_>) -> PyResult<(Row, Args<'_>)> {
    match args[..] {
        [Arg::Tensor(x), Arg::Scalar(e)] => power(x, e),
        _ => Ok((Row::Pow, args)),
    }
}

/// A clamp by the bounds that are given: of one bound or two, numbers or tensors. Also PyTorch's name of its node.
pub fn clamp(
    op: Row,
    operands: &mut SmallVec<[Operand; 4]>,
    missing: [bool; 2],
) -> PyResult<(Row, Option<&'static str>)> {
    if op == Row::Clamp && missing == [true, true] {
        return Err(PyRuntimeError::new_err("torch.clamp: At least one of 'min' or 'max' must not be None"));
    }
    for (i, missing) in missing.into_iter().enumerate().rev() {
        if op == Row::Clamp && missing {
            operands.remove(i + 1);
        }
    }
    let lower = if op == Row::Clamp { !missing[0] } else { op == Row::ClampMin };
    let tensors = operands.iter().skip(1).any(|o| matches!(o, Operand::Tensor(_)));
    if !tensors {
        within(operands, lower)?;
    }
    Ok(match (op, operands.len() > 2, tensors) {
        (Row::Clamp, true, true) => (Row::ClampTensor, None),
        (Row::Clamp, true, false) => (Row::Clamp, None),
        (Row::Clamp, false, true) => (if lower { Row::Maximum } else { Row::Minimum }, Some("ClampBackward0")),
        (Row::Clamp, false, false) => (if lower { Row::ClampMin } else { Row::ClampMax }, Some("ClampBackward1")),
        (_, _, true) if lower => (Row::Maximum, Some("ClampMinBackward1")),
        (_, _, true) => (Row::Minimum, Some("ClampMaxBackward1")),
        (op, ..) => (op, None),
    })
}

/// Integer bounds of integers: one beyond the dtype is no bound, or a mistake if no element could keep it.
fn within(operands: &mut [Operand], lower: bool) -> PyResult<()> {
    let [Operand::Tensor(x), bounds @ ..] = operands else { return Ok(()) };
    let dtype = x.dtype();
    let Some((low, high)) = dtype.iinfo().filter(|_| dtype.is_int()) else { return Ok(()) };
    if bounds.iter().any(|b| matches!(b, Operand::Scalar(Scalar::Float(_)))) {
        return Ok(());
    }
    for (i, bound) in bounds.iter_mut().enumerate() {
        let Operand::Scalar(Scalar::Int(n)) = bound else { continue };
        let is_min = lower && i == 0;
        if if is_min { *n > high } else { *n < low } {
            return Err(PyRuntimeError::new_err(format!(
                "Clamp {} value {n} is outside the representable range of {}: {low} to {high}",
                if is_min { "min" } else { "max" },
                dtype.scalar_name()
            )));
        }
        *n = (*n).clamp(low, high);
    }
    Ok(())
}
