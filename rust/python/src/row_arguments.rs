//! What each argument of a row is: its name, its default, and what may stand for it.

use crate::args::{operand, plain_number, Operand};
use crate::error::Raise;
use crate::row_cases::Args;
use crate::tensor::tensor_of;
use crate::types::type_name;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::Borrowed;
use smallvec::SmallVec;
use wengert::{Arg, Row, Scalar};

/// How a row is called.
#[derive(Clone, Copy, PartialEq)]
pub enum Form {
    Method,
    InPlace,
    Function,
}

/// PyTorch's names of a row's parameters, where they are not the table's.
pub fn parameter(op: Row, i: usize) -> &'static str {
    match (op, i) {
        (Row::Where, 0) => "condition",
        (Row::Where, 1) => "input",
        (Row::Pow, 1) => "exponent",
        (Row::Lerp, 1) => "end",
        (Row::Lerp, 2) => "weight",
        (Row::Addcmul | Row::Addcdiv, 1) => "tensor1",
        (Row::Addcmul | Row::Addcdiv, 2) => "tensor2",
        (Row::LeakyRelu, 1) => "negative_slope",
        (Row::Polygamma, 0) => "n",
        (Row::Polygamma, 1) => "input",
        (_, 0) => "input",
        _ => match op.info().args.get(i) {
            Some(&"b") => "other",
            Some(name) => name,
            None => "",
        },
    }
}

/// What a missing parameter is taken to be.
pub fn default_of(op: Row, i: usize) -> Option<Scalar> {
    Some(Scalar::Float(match (op, i) {
        (Row::LeakyRelu, 1) => 0.01,
        (Row::Hardtanh, 1) => -1.0,
        (Row::Hardtanh, 2) => 1.0,
        (Row::Elu | Row::Celu, 1) | (Row::Softplus, 1) => 1.0,
        (Row::Softplus, 2) => 20.0,
        (Row::Hardshrink | Row::Softshrink, 1) => 0.5,
        (Row::Addcmul | Row::Addcdiv, 3) => return Some(Scalar::Int(1)),
        (Row::NanToNum, 1) => 0.0,
        (Row::NanToNum, 2) => f64::INFINITY,
        (Row::NanToNum, 3) => f64::NEG_INFINITY,
        // Taken out again, as no bounds are not infinite ones.
        (Row::Clamp, 1) => f64::NEG_INFINITY,
        (Row::Clamp, 2) => f64::INFINITY,
        _ => return None,
    }))
}

/// Positional arguments that need no second look: tensors and plain numbers where the row takes them.
#[inline]
pub fn everyday<'a>(op: Row, form: Form, given: &'a [Borrowed<'_, '_, PyAny>]) -> Option<Args<'a>> {
    let info = op.info();
    if op == Row::Polygamma || (op == Row::Where && form != Form::Function) {
        return None;
    }
    let mut args = SmallVec::new();
    for (i, obj) in given.iter().enumerate() {
        let number = info.numbers >> i & 1 == 1;
        args.push(if let Some(t) = tensor_of(obj) {
            if number {
                return None;
            }
            Arg::Tensor(t)
        } else if tensor_at(op, i) {
            return None;
        } else {
            Arg::Scalar(plain_number(obj)?)
        });
    }
    Some(args)
}

/// Whether input `i` must be a tensor.
#[inline]
pub fn tensor_at(op: Row, i: usize) -> bool {
    i == 0 || op.info().tensors_only || op == Row::Lerp && i == 1
}

/// `polygamma(n, x)` is `x.polygamma(n)`: which argument a method takes for input `i`.
pub fn swapped(op: Row, form: Form, i: usize) -> usize {
    match (op, form) {
        (Row::Polygamma, Form::Method | Form::InPlace) => 1 - i,
        _ => i,
    }
}

pub fn need(op: Row, i: usize, obj: &Bound<'_, PyAny>) -> PyResult<Operand> {
    let info = op.info();
    let number = info.numbers >> i & 1 == 1;
    let wrong = |kind: &str| {
        Err(PyTypeError::new_err(format!(
            "{}(): argument '{}' (position {}) must be {kind}, not {}",
            op.name(),
            parameter(op, i),
            i + 1,
            type_name(obj)
        )))
    };
    match operand(obj)? {
        Some(Operand::Scalar(Scalar::Float(_))) if op == Row::Polygamma && number => wrong("int"),
        Some(Operand::Tensor(t)) if number => {
            // PyTorch reads a number out of a 0-d tensor that needs no gradient.
            if t.shape().is_empty() && !t.requires_grad() && op != Row::Polygamma {
                return Ok(Operand::Scalar(t.item().raise()?));
            }
            wrong(if op == Row::Polygamma { "int" } else { "Number" })
        }
        Some(Operand::Scalar(_)) if info.tensors_only || i > 0 && tensor_at(op, i) => wrong("Tensor"),
        Some(given) => Ok(given),
        None => wrong(if tensor_at(op, i) { "Tensor" } else { "Tensor or Number" }),
    }
}
