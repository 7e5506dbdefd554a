//! The class `Tensor`: its object, attributes and operators.

use crate::args::operand;
use crate::construct::{from_array_like, is_array};
use crate::convert::numpy;
use crate::error::Raise;
use crate::owned::{is_left, revive};
use crate::types::{device_object, dtype_object, size_of, PyDType, PyDevice};
use pyo3::basic::CompareOp;
use pyo3::prelude::*;
use pyo3::pyclass::{PyTraverseError, PyVisit};
use pyo3::{ffi, IntoPyObjectExt};
use std::sync::atomic::Ordering;
use wengert::{row, Arg, Row, Scalar, Tensor};

/// A multi-dimensional array of one element type that remembers how it was computed.
///
/// >>> import wengert as wg
/// >>> x = wg.tensor([1., 2., 3.], requires_grad=True)
/// >>> (x * x).sum().backward()
/// >>> x.grad
/// tensor([2., 4., 6.])
// A `dict`, not `__getattr__`: the interpreter calls methods without binding them only where attributes are looked
// up its own way.
#[pyclass(frozen, subclass, weakref, dict, name = "TensorBase", module = "wengert")]
pub struct PyTensor {
    pub inner: Tensor,
}

impl From<Tensor> for PyTensor {
    #[inline]
    fn from(inner: Tensor) -> Self {
        PyTensor { inner }
    }
}

impl Drop for PyTensor {
    #[inline]
    fn drop(&mut self) {
        let slot = self.inner.object_slot();
        // What the object has left stays there.
        if !is_left(slot.load(Ordering::Relaxed)) {
            slot.store(std::ptr::null_mut(), Ordering::Relaxed);
        }
    }
}

pub use crate::class::{fresh, tensor_of};

/// Notes the object on its tensor, so that [`wrap`] finds it.
pub fn remember(object: &Bound<'_, PyTensor>) {
    object.get().inner.object_slot().store(object.as_ptr().cast(), Ordering::Relaxed);
}

/// The Python object of a tensor: the one it has, or a new one.
pub fn wrap(py: Python<'_>, t: Tensor) -> PyResult<Py<PyAny>> {
    let slot = t.object_slot().load(Ordering::Relaxed);
    if is_left(slot) {
        return revive(py, t);
    }
    let object: *mut ffi::PyObject = slot.cast();
    if !object.is_null() {
        // SAFETY: the slot is cleared when the object is dropped, under the GIL, which we hold; a count of 0
        // means that its deallocation has begun, and then a new object is made.
        unsafe {
            if ffi::Py_REFCNT(object) > 0 {
                return Ok(Bound::from_borrowed_ptr(py, object).unbind());
            }
        }
    }
    fresh(py, t)
}

/// A result, as fast as possible.
#[inline]
pub fn done(py: Python<'_>, result: wengert::Result<Tensor>) -> PyResult<Py<PyAny>> {
    match result {
        Ok(t) => fresh(py, t),
        Err(e) => Err(crate::error::to_py(e)),
    }
}

/// An operator with the tensor on the left, or on the right if swapped.
#[inline]
pub fn binary(py: Python<'_>, op: Row, a: &Tensor, b: &Bound<'_, PyAny>, swap: bool) -> PyResult<Py<PyAny>> {
    if let Some(t) = tensor_of(b) {
        let (x, y) = (Arg::Tensor(a), Arg::Tensor(t));
        return done(py, if swap { row(op, &[y, x]) } else { row(op, &[x, y]) });
    }
    let Some(operand) = operand(b)? else { return foreign(py, op, a, b, swap) };
    let (x, y) = (Arg::Tensor(a), operand.arg());
    done(py, if swap { row(op, &[y, x]) } else { row(op, &[x, y]) })
}

/// An operator over something that is neither tensor nor number. As in PyTorch arithmetic is numpy's, which Python
/// asks next, but for `array / tensor`, which numpy leaves to us; comparisons are elementwise from both sides.
#[cold]
fn foreign(py: Python<'_>, op: Row, a: &Tensor, b: &Bound<'_, PyAny>, swap: bool) -> PyResult<Py<PyAny>> {
    if !is_array(b)? {
        return Ok(py.NotImplemented());
    }
    let compared = match op {
        Row::Eq => CompareOp::Eq,
        Row::Ne => CompareOp::Ne,
        Row::Lt => CompareOp::Lt,
        Row::Le => CompareOp::Le,
        Row::Gt => CompareOp::Gt,
        Row::Ge => CompareOp::Ge,
        Row::Div if swap => return from_array(py, &b.div(numpy(py, a, false)?)?),
        _ => return Ok(py.NotImplemented()),
    };
    match from_array_like(b) {
        Ok(Some(t)) => done(py, row(op, &[Arg::Tensor(a), Arg::Tensor(&t)])),
        // numpy knows more dtypes than we do.
        _ => from_array(py, &numpy(py, a, true)?.rich_compare(b, compared)?),
    }
}

fn from_array(py: Python<'_>, array: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
    fresh(py, crate::construct::from_data(array, None, wengert::Device::Cpu)?)
}

/// The right side of an in-place operator. For anything else Python tries the plain operator, as PyTorch does.
enum Right<'a, 'py> {
    Tensor(Borrowed<'a, 'py, PyTensor>),
    Scalar(Scalar),
}

impl<'a, 'py> FromPyObject<'a, 'py> for Right<'a, 'py> {
    type Error = PyErr;
    fn extract(obj: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        if let Ok(t) = obj.cast::<PyTensor>() {
            return Ok(Right::Tensor(t));
        }
        crate::args::scalar(&obj)?
            .map(Right::Scalar)
            .ok_or_else(|| pyo3::exceptions::PyTypeError::new_err("neither a tensor nor a number"))
    }
}

fn inplace(slf: &Bound<'_, PyTensor>, op: Row, other: &Right<'_, '_>) -> PyResult<()> {
    let other = match other {
        Right::Tensor(t) => Arg::Tensor(&t.get().inner),
        Right::Scalar(s) => Arg::Scalar(*s),
    };
    slf.get().inner.row_(op, &[other]).raise()
}

macro_rules! operators {
    ($($name:ident $swapped:ident $op:ident;)*) => {
        #[pymethods]
        impl PyTensor {
            $(
                fn $name(&self, py: Python<'_>, other: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
                    binary(py, Row::$op, &self.inner, other, false)
                }
                fn $swapped(&self, py: Python<'_>, other: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
                    binary(py, Row::$op, &self.inner, other, true)
                }
            )*
        }
    };
}

operators! {
    __add__ __radd__ Add;
    __mul__ __rmul__ Mul;
    __truediv__ __rtruediv__ Div;
    __floordiv__ __rfloordiv__ FloorDivide;
    __mod__ __rmod__ Remainder;
    __and__ __rand__ BitwiseAnd;
    __or__ __ror__ BitwiseOr;
    __xor__ __rxor__ BitwiseXor;
    __lshift__ __rlshift__ BitwiseLeftShift;
    __rshift__ __rrshift__ BitwiseRightShift;
}

macro_rules! inplace_operators {
    ($($name:ident $op:ident;)*) => {
        #[pymethods]
        impl PyTensor {
            $(fn $name(slf: &Bound<'_, PyTensor>, other: Right<'_, '_>) -> PyResult<()> {
                inplace(slf, Row::$op, &other)
            })*
        }
    };
}

inplace_operators! {
    __iadd__ Add;
    __isub__ Sub;
    __imul__ Mul;
    __itruediv__ Div;
    __ifloordiv__ FloorDivide;
    __imod__ Remainder;
    __iand__ BitwiseAnd;
    __ior__ BitwiseOr;
    __ixor__ BitwiseXor;
    __ilshift__ BitwiseLeftShift;
    __irshift__ BitwiseRightShift;
}

#[pymethods]
impl PyTensor {
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        crate::owned::visit(&self.inner, &visit)
    }
    fn __clear__(&self) {
        self.inner.clear_hooks();
    }
    fn __sub__(&self, py: Python<'_>, other: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        binary(py, Row::Sub, &self.inner, other, false)
    }
    fn __rsub__(&self, py: Python<'_>, other: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        binary(py, Row::Rsub, &self.inner, other, false)
    }
    fn __pow__(
        &self,
        py: Python<'_>,
        other: &Bound<'_, PyAny>,
        modulo: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Py<PyAny>> {
        if modulo.is_some() {
            return Ok(py.NotImplemented());
        }
        if let Ok(Some(exponent)) = crate::args::scalar(other) {
            let (op, args) = crate::row_cases::power(&self.inner, exponent)?;
            return done(py, row(op, &args));
        }
        binary(py, Row::Pow, &self.inner, other, false)
    }
    fn __rpow__(
        &self,
        py: Python<'_>,
        other: &Bound<'_, PyAny>,
        modulo: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Py<PyAny>> {
        if modulo.is_some() {
            return Ok(py.NotImplemented());
        }
        binary(py, Row::Pow, &self.inner, other, true)
    }
    fn __ipow__(slf: &Bound<'_, PyTensor>, other: Right<'_, '_>, _modulo: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        let x = &slf.get().inner;
        match other {
            Right::Tensor(t) => x.row_(Row::Pow, &[Arg::Tensor(&t.get().inner)]).raise(),
            Right::Scalar(exponent) => {
                let (op, args) = crate::row_cases::power(x, exponent)?;
                x.row_(op, &args[1..]).raise()
            }
        }
    }
    fn __matmul__(&self, py: Python<'_>, other: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        match other.cast::<PyTensor>() {
            Ok(t) => done(py, self.inner.matmul(&t.get().inner)),
            Err(_) => Ok(py.NotImplemented()),
        }
    }
    fn __rmatmul__(&self, py: Python<'_>, _other: &Bound<'_, PyAny>) -> Py<PyAny> {
        py.NotImplemented()
    }
    fn __neg__(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        done(py, row(Row::Neg, &[Arg::Tensor(&self.inner)]))
    }
    fn __pos__(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        done(py, row(Row::Positive, &[Arg::Tensor(&self.inner)]))
    }
    fn __abs__(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        done(py, row(Row::Abs, &[Arg::Tensor(&self.inner)]))
    }
    fn __invert__(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        if self.inner.dtype().is_float() {
            return Err(pyo3::exceptions::PyTypeError::new_err(format!(
                "~ (operator.invert) is only implemented on integer and Boolean-type tensors, got {}",
                self.inner.dtype()
            )));
        }
        done(py, row(Row::BitwiseNot, &[Arg::Tensor(&self.inner)]))
    }
    fn __richcmp__(&self, py: Python<'_>, other: &Bound<'_, PyAny>, op: CompareOp) -> PyResult<Py<PyAny>> {
        let row = match op {
            CompareOp::Eq => Row::Eq,
            CompareOp::Ne => Row::Ne,
            CompareOp::Lt => Row::Lt,
            CompareOp::Le => Row::Le,
            CompareOp::Gt => Row::Gt,
            CompareOp::Ge => Row::Ge,
        };
        binary(py, row, &self.inner, other, false)
    }
    /// Identity: equal tensors are different keys.
    fn __hash__(slf: &Bound<'_, Self>) -> usize {
        slf.as_ptr() as usize >> 4
    }
    fn __bool__(&self) -> PyResult<bool> {
        match self.inner.numel() {
            0 => Err(pyo3::exceptions::PyRuntimeError::new_err("Boolean value of Tensor with no values is ambiguous")),
            1 => Ok(self.inner.item().raise()?.as_bool()),
            _ => Err(pyo3::exceptions::PyRuntimeError::new_err(
                "Boolean value of Tensor with more than one value is ambiguous",
            )),
        }
    }
    fn __len__(&self) -> PyResult<usize> {
        let shape = self.inner.shape();
        match shape.first() {
            Some(n) => Ok(*n),
            None => Err(pyo3::exceptions::PyTypeError::new_err("len() of a 0-d tensor")),
        }
    }

    #[getter]
    fn shape<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        size_of(py, &self.inner.shape())
    }
    #[getter]
    fn dtype(&self, py: Python<'_>) -> PyResult<Py<PyDType>> {
        dtype_object(py, self.inner.dtype())
    }
    #[getter(device)]
    fn place(&self) -> PyDevice {
        device_object(self.inner.device())
    }
    #[getter]
    fn ndim(&self) -> usize {
        self.inner.rank()
    }
    #[getter]
    fn is_leaf(&self) -> bool {
        self.inner.is_leaf()
    }
    #[getter]
    fn _version(&self) -> u32 {
        self.inner.version()
    }
    #[getter]
    fn requires_grad(&self) -> bool {
        self.inner.requires_grad()
    }
    #[setter]
    fn set_requires_grad(&self, on: &Bound<'_, PyAny>) -> PyResult<()> {
        let on = on.extract::<bool>().map_err(|_| {
            let given = crate::types::type_name(on);
            pyo3::exceptions::PyRuntimeError::new_err(format!("requires_grad must be a bool, not {given}"))
        })?;
        self.inner.set_requires_grad(on).raise()
    }
    #[getter]
    fn grad(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        match self.inner.grad() {
            Some(g) => wrap(py, g).map(Some),
            None => {
                if !self.inner.is_leaf() && !self.inner.retains_grad() {
                    let text = "The .grad attribute of a Tensor that is not a leaf Tensor is being accessed. Its .grad attribute won't be \
                                populated during autograd.backward(). If you indeed want the .grad field to be populated for a non-leaf \
                                Tensor, use .retain_grad() on the non-leaf Tensor.";
                    py.import("warnings")?
                        .call_method1("warn", (text, py.get_type::<pyo3::exceptions::PyUserWarning>(), 2))?;
                }
                Ok(None)
            }
        }
    }
    #[setter]
    fn set_grad(&self, grad: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        let grad = match grad {
            None => None,
            Some(g) => match g.cast::<PyTensor>() {
                Ok(t) => Some(t.get().inner.clone()),
                Err(_) => {
                    return Err(pyo3::exceptions::PyTypeError::new_err(format!(
                        "assigned grad expected to be a Tensor or None but got grad of type {}",
                        crate::types::type_name(g)
                    )))
                }
            },
        };
        self.inner.set_grad(grad).raise()
    }
    #[deleter]
    fn delete_grad(&self) -> PyResult<()> {
        self.inner.set_grad(None).raise()
    }
    #[getter]
    fn data(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        fresh(py, self.inner.detach())
    }
    #[setter]
    fn set_data(&self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let value = crate::args::need_tensor("data", "value", value)?;
        self.inner.set_data(value).raise()
    }

    /// A tensor of class `cls` over the elements of `data`.
    #[staticmethod]
    #[pyo3(signature = (cls, data, require_grad=false))]
    fn _make_subclass<'py>(
        cls: &Bound<'py, PyAny>,
        data: &Bound<'py, PyTensor>,
        require_grad: bool,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = cls.py();
        let detached = data.get().inner.detach();
        if require_grad {
            detached.set_requires_grad(true).raise()?;
        }
        let plain = PyTensor::from(detached);
        let object = crate::class::tensor_class(py)?.getattr("__new__")?.call1((cls, plain.into_bound_py_any(py)?))?;
        remember(object.cast::<PyTensor>()?);
        Ok(object)
    }
}
