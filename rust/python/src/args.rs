//! Reading Python arguments: operands, shapes, dims.

use crate::construct::is_array;
use crate::tensor::{tensor_of, PyTensor};
use crate::types::type_name;
use pyo3::exceptions::{PyOverflowError, PyTypeError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyFloat, PyInt, PyList, PyTuple};
use smallvec::SmallVec;
use wengert::{Arg, Scalar, Tensor};

/// A tensor or a number.
pub enum Operand {
    Tensor(Tensor),
    Scalar(Scalar),
}

impl Operand {
    pub fn arg(&self) -> Arg<'_> {
        match self {
            Operand::Tensor(t) => Arg::Tensor(t),
            Operand::Scalar(s) => Arg::Scalar(*s),
        }
    }
}

/// A `float` or an `int` of 64 bits and of no subclass: most numbers, told by a compare or two.
#[inline]
pub fn plain_number(obj: &Bound<'_, PyAny>) -> Option<Scalar> {
    // PyO3's own way to ask counts a holder of the type in and out, each a call.
    // SAFETY: a live object, looked at with the GIL; `PyFloat_AsDouble` of a float does not fail.
    unsafe {
        if ffi::PyFloat_CheckExact(obj.as_ptr()) != 0 {
            return Some(Scalar::Float(ffi::PyFloat_AsDouble(obj.as_ptr())));
        }
        if ffi::PyLong_CheckExact(obj.as_ptr()) == 0 {
            return None;
        }
    }
    obj.extract().ok().map(Scalar::Int)
}

/// A Python number, numpy's scalars included.
#[inline]
pub fn scalar(obj: &Bound<'_, PyAny>) -> PyResult<Option<Scalar>> {
    if let Ok(f) = obj.cast::<PyFloat>() {
        return Ok(Some(Scalar::Float(f.value())));
    }
    if let Ok(b) = obj.cast::<PyBool>() {
        return Ok(Some(Scalar::Bool(b.is_true())));
    }
    if obj.cast::<PyInt>().is_ok() {
        return int(obj).map(|i| Some(Scalar::Int(i)));
    }
    foreign_scalar(obj)
}

fn int(obj: &Bound<'_, PyAny>) -> PyResult<i64> {
    obj.extract::<i64>()
        .map_err(|_| PyOverflowError::new_err("Overflow when unpacking long: an integer does not fit in 64 bits"))
}

/// numpy scalars and other numbers that know themselves; arrays and tensors are none.
#[cold]
fn foreign_scalar(obj: &Bound<'_, PyAny>) -> PyResult<Option<Scalar>> {
    if obj.is_instance_of::<PyTensor>() {
        return Ok(None);
    }
    if let Ok(dtype) = obj.getattr("dtype") {
        let zero_dim = obj.getattr("ndim").and_then(|n| n.extract::<usize>()).is_ok_and(|n| n == 0);
        if !zero_dim || !obj.hasattr("item")? || is_array(obj)? {
            return Ok(None);
        }
        let _ = dtype;
        let item = obj.call_method0("item")?;
        if item.is_instance_of::<PyFloat>() || item.is_instance_of::<PyInt>() {
            return scalar(&item);
        }
        return Ok(None);
    }
    // Integers of other libraries say so by __index__.
    if obj.hasattr("__index__")? {
        let index = obj.call_method0("__index__")?;
        return int(&index).map(|i| Some(Scalar::Int(i)));
    }
    Ok(None)
}

/// An operand of an operator: `None` makes Python try the other side.
#[inline]
pub fn operand(obj: &Bound<'_, PyAny>) -> PyResult<Option<Operand>> {
    if let Some(t) = tensor_of(obj) {
        return Ok(Some(Operand::Tensor(t.clone())));
    }
    Ok(scalar(obj)?.map(Operand::Scalar))
}

/// An operand of a function, or TypeError.
pub fn need_operand(op: &str, name: &str, obj: &Bound<'_, PyAny>) -> PyResult<Operand> {
    operand(obj)?.ok_or_else(|| {
        PyTypeError::new_err(format!("{op}(): argument '{name}' must be Tensor or Number, not {}", type_name(obj)))
    })
}

/// A tensor argument, or TypeError.
pub fn need_tensor<'a>(op: &str, name: &str, obj: &'a Bound<'_, PyAny>) -> PyResult<&'a Tensor> {
    tensor_of(obj).ok_or_else(|| {
        PyTypeError::new_err(format!("{op}(): argument '{name}' must be Tensor, not {}", type_name(obj)))
    })
}

pub type Ints = SmallVec<[isize; 4]>;

/// One integer: Python's, numpy's or an integer tensor of one element; bool is refused where PyTorch does.
pub fn index(op: &str, name: &str, obj: &Bound<'_, PyAny>) -> PyResult<isize> {
    if obj.is_instance_of::<PyFloat>() || obj.is_instance_of::<PyBool>() {
        return Err(PyTypeError::new_err(format!("{op}(): argument '{name}' must be int, not {}", type_name(obj))));
    }
    if obj.is_instance_of::<PyInt>() || obj.hasattr("__index__")? {
        return obj.extract::<isize>().map_err(|e| {
            if e.is_instance_of::<PyTypeError>(obj.py()) {
                e
            } else {
                PyTypeError::new_err(format!("{op}(): argument '{name}' must fit in 64 bits"))
            }
        });
    }
    Err(PyTypeError::new_err(format!("{op}(): argument '{name}' must be int, not {}", type_name(obj))))
}

/// One integer or a sequence of them.
pub fn ints(op: &str, name: &str, obj: &Bound<'_, PyAny>) -> PyResult<Ints> {
    if let Ok(t) = obj.cast::<PyTuple>() {
        return t.iter().map(|o| index(op, name, &o)).collect();
    }
    if let Ok(l) = obj.cast::<PyList>() {
        return l.iter().map(|o| index(op, name, &o)).collect();
    }
    if obj.is_instance_of::<PyTensor>() || obj.is_instance_of::<PyInt>() || obj.hasattr("__index__")? {
        return Ok(SmallVec::from_iter([index(op, name, obj)?]));
    }
    match obj.try_iter() {
        Ok(iter) => iter.map(|o| index(op, name, &o?)).collect(),
        Err(_) => Err(PyTypeError::new_err(format!(
            "{op}(): argument '{name}' must be tuple of ints, not {}",
            type_name(obj)
        ))),
    }
}

/// A sequence of integers where one alone is a TypeError.
pub fn sequence(op: &str, name: &str, obj: &Bound<'_, PyAny>) -> PyResult<Ints> {
    if obj.is_instance_of::<PyInt>() {
        return Err(PyTypeError::new_err(format!("{op}(): argument '{name}' must be tuple of ints, not int")));
    }
    ints(op, name, obj)
}

/// `f(2, 3)` and `f((2, 3))` alike.
pub fn varargs(op: &str, name: &str, args: &Bound<'_, PyTuple>) -> PyResult<Ints> {
    if args.len() == 1 {
        return ints(op, name, &args.get_item(0)?);
    }
    ints(op, name, args.as_any())
}

/// Optional dims: `None` and an empty list both mean all.
pub fn dims(op: &str, obj: Option<&Bound<'_, PyAny>>) -> PyResult<Ints> {
    match obj {
        Some(o) if !o.is_none() => ints(op, "dim", o),
        _ => Ok(SmallVec::new()),
    }
}

/// A list or tuple of tensors.
pub fn tensors(op: &str, name: &str, obj: &Bound<'_, PyAny>) -> PyResult<Vec<Tensor>> {
    let wrong = |i: usize, o: &Bound<'_, PyAny>| {
        PyTypeError::new_err(format!(
            "expected Tensor as element {i} in argument 0, but got {} ({op}(), '{name}')",
            type_name(o)
        ))
    };
    if obj.is_instance_of::<PyTensor>() {
        return Err(PyTypeError::new_err(format!(
            "{op}(): argument '{name}' (position 1) must be tuple of Tensors, not Tensor"
        )));
    }
    let one = |i, o: Bound<'_, PyAny>| match tensor_of(&o) {
        Some(t) => Ok(t.clone()),
        None => Err(wrong(i, &o)),
    };
    if let Ok(list) = obj.cast_exact::<PyList>() {
        let mut all = Vec::with_capacity(list.len());
        for (i, o) in list.iter().enumerate() {
            all.push(one(i, o)?);
        }
        return Ok(all);
    }
    let iter = obj.try_iter().map_err(|_| {
        PyTypeError::new_err(format!(
            "{op}(): argument '{name}' (position 1) must be tuple of Tensors, not {}",
            type_name(obj)
        ))
    })?;
    iter.enumerate().map(|(i, o)| one(i, o?)).collect()
}

/// Sizes of a new tensor: non-negative.
pub fn sizes(op: &str, given: &Ints) -> PyResult<Vec<usize>> {
    given
        .iter()
        .map(|&n| {
            usize::try_from(n).map_err(|_| {
                pyo3::exceptions::PyRuntimeError::new_err(format!(
                    "{op}(): Trying to create tensor with negative dimension {n}: {:?}",
                    &given[..]
                ))
            })
        })
        .collect()
}
