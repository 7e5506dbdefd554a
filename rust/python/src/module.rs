//! What `nn.Module` inherits for its calls: `module(x)` goes to `forward` without a Python function in between, which
//! would take as long as a small operation.

use crate::class::of_slots;
use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;
use std::ffi::c_void;

const DOC: &std::ffi::CStr = c"Calls `forward`, or `_call_with_hooks(args, kwargs)` where `_hooked` is not False.";

/// `module(*args, **kwargs)`.
///
/// # Safety
/// Called by Python with the GIL, an object of the class, a tuple, and a dict or null.
unsafe extern "C" fn call(
    module: *mut ffi::PyObject,
    args: *mut ffi::PyObject,
    kwargs: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    let py = Python::assume_attached();
    let (end, forward) = (std::ptr::null_mut::<ffi::PyObject>(), intern!(py, "forward").as_ptr());
    let hooked = ffi::PyObject_GetAttr(module, intern!(py, "_hooked").as_ptr());
    if hooked.is_null() {
        return hooked;
    }
    ffi::Py_DECREF(hooked);
    if hooked != ffi::Py_False() {
        let named = if kwargs.is_null() { ffi::PyDict_New() } else { ffi::Py_NewRef(kwargs) };
        if named.is_null() {
            return named;
        }
        let name = intern!(py, "_call_with_hooks").as_ptr();
        let result = ffi::PyObject_CallMethodObjArgs(module, name, args, named, end);
        ffi::Py_DECREF(named);
        return result;
    }
    let arg = |i| ffi::PyTuple_GetItem(args, i);
    match if kwargs.is_null() { ffi::PyTuple_Size(args) } else { 0 } {
        1 => ffi::PyObject_CallMethodObjArgs(module, forward, arg(0), end),
        2 => ffi::PyObject_CallMethodObjArgs(module, forward, arg(0), arg(1), end),
        _ => {
            let forward = ffi::PyObject_GetAttr(module, forward);
            if forward.is_null() {
                return forward;
            }
            let result = ffi::PyObject_Call(forward, args, kwargs);
            ffi::Py_DECREF(forward);
            result
        }
    }
}

pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    let mut slots = [
        ffi::PyType_Slot { slot: ffi::Py_tp_call, pfunc: call as *mut c_void },
        ffi::PyType_Slot { slot: ffi::Py_tp_doc, pfunc: DOC.as_ptr().cast_mut().cast() },
        ffi::PyType_Slot { slot: 0, pfunc: std::ptr::null_mut() },
    ];
    // Without fields of its own, so that modules may inherit from other built-in classes as well.
    let base = m.py().get_type::<PyAny>();
    // SAFETY: text and function are static, and the slots end with a 0.
    m.add("_Forwards", unsafe { of_slots(m.py(), c"wengert._core._Forwards", &mut slots, base.as_any())? })
}
