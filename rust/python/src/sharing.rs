//! Memory of other objects under a tensor: numpy arrays and whatever else has the buffer protocol.

use crate::error::Raise;
use crate::types::type_name;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::ffi;
use pyo3::prelude::*;
use std::ffi::CStr;
use wengert::{Device, Layout, Strides, Tensor};
use wengert_ops::{DType, Dims};

/// A buffer of another object, released with the tensor that shares it.
pub struct Shared(pub Box<ffi::Py_buffer>);

// SAFETY: the view is only released, under the GIL.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

impl Drop for Shared {
    fn drop(&mut self) {
        // At interpreter exit there is nobody left to release it to.
        Python::try_attach(|_| {
            // SAFETY: got from PyObject_GetBuffer and released once.
            unsafe { ffi::PyBuffer_Release(&mut *self.0) }
        });
    }
}

fn format_dtype(format: &str, size: usize) -> Option<DType> {
    let code = format.trim_start_matches(['@', '=', '<', '|']);
    Some(match (code, size) {
        ("?", 1) => DType::Bool,
        ("B", 1) => DType::U8,
        ("b", 1) => DType::I8,
        ("h", 2) => DType::I16,
        ("i" | "l", 4) => DType::I32,
        ("q" | "l", 8) => DType::I64,
        ("e", 2) => DType::F16,
        ("f", 4) => DType::F32,
        ("d", 8) => DType::F64,
        _ => return None,
    })
}

/// A tensor over the memory of an object with the buffer protocol; `None` if it has none.
pub fn share_buffer(obj: &Bound<'_, PyAny>) -> PyResult<Option<(Tensor, bool)>> {
    // SAFETY: plain capability test.
    if unsafe { ffi::PyObject_CheckBuffer(obj.as_ptr()) } == 0 {
        return Ok(None);
    }
    let mut view = Box::new(ffi::Py_buffer::new());
    // SAFETY: `view` is valid for writing; flags ask for read access with strides and format.
    let code = unsafe { ffi::PyObject_GetBuffer(obj.as_ptr(), &mut *view, ffi::PyBUF_RECORDS_RO) };
    if code != 0 {
        let error = PyErr::fetch(obj.py());
        return Err(PyTypeError::new_err(format!("can't convert {}: {error}", type_name(obj))));
    }
    let shared = Shared(view);
    let v = &shared.0;
    let (rank, size) = (v.ndim as usize, v.itemsize.max(1) as usize);
    // SAFETY: shape and strides have `ndim` entries, as the flags asked; format is a C string or null.
    let (shape, strides, format) = unsafe {
        let shape: Vec<isize> = if rank == 0 { Vec::new() } else { std::slice::from_raw_parts(v.shape, rank).to_vec() };
        let strides: Vec<isize> =
            if rank == 0 { Vec::new() } else { std::slice::from_raw_parts(v.strides, rank).to_vec() };
        let format =
            if v.format.is_null() { "B".to_owned() } else { CStr::from_ptr(v.format).to_string_lossy().into_owned() };
        (shape, strides, format)
    };
    let Some(dtype) = format_dtype(&format, size) else {
        if size > 1 && format.starts_with(['>', '!']) {
            return Err(PyValueError::new_err(
                "given numpy array has byte order different from the native byte order. Conversion between byte orders is \
                 not supported; give array.astype(array.dtype.newbyteorder('='))",
            ));
        }
        let what = obj.getattr("dtype").map_or_else(|_| format!("format '{format}'"), |d| format!("numpy.{d}"));
        return Err(PyTypeError::new_err(format!(
            "can't convert np.ndarray of type {what}. The only supported types are: float64, float32, float16, int64, int32, int16, \
             int8, uint8, and bool."
        )));
    };
    if strides.iter().zip(&shape).any(|(s, n)| *s < 0 && *n > 1) {
        return Err(PyValueError::new_err(
            "At least one stride in the given numpy array is negative, and tensors with negative strides are not currently supported. \
             (You can probably work around this by making a copy of your array with array.copy().)",
        ));
    }
    if strides.iter().zip(&shape).any(|(s, n)| s % size as isize != 0 && *n > 1) {
        return Err(PyValueError::new_err(format!(
            "given numpy array strides {strides:?} not a multiple of the element byte size {size}. Copy the numpy array to reallocate the memory."
        )));
    }
    let dims: Dims = shape.iter().map(|&n| n as usize).collect();
    let steps: Strides =
        strides.iter().zip(&shape).map(|(s, n)| if *n <= 1 { size as isize } else { *s } / size as isize).collect();
    let layout = Layout::strided(dims, steps, 0);
    let span = if layout.numel() == 0 { 0 } else { layout.span().1 * size };
    let readonly = v.readonly != 0;
    let Some(ptr) = std::ptr::NonNull::new(v.buf.cast::<u8>()).filter(|_| span > 0) else {
        return Ok(Some((Tensor::empty(layout.shape(), dtype, Device::Cpu).raise()?, readonly)));
    };
    if !(ptr.as_ptr() as usize).is_multiple_of(size) {
        return Err(PyValueError::new_err("the array's memory is not aligned to its element size, and sharing it is not supported; copy it first, with \
             array.copy()"));
    }
    // SAFETY: the buffer stays valid while `shared` lives. Writing to a read-only array is the user's doing, as in PyTorch.
    let t = unsafe { Tensor::from_foreign(ptr, span, layout, dtype, Box::new(shared)) }.raise()?;
    Ok(Some((t, readonly)))
}
