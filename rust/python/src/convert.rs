//! Tensors to Python data: numbers, lists, numpy arrays, DLPack capsules, bytes.

use crate::error::Raise;
use crate::tensor::{fresh, PyTensor};
use pyo3::exceptions::{PyBufferError, PyRuntimeError, PyTypeError, PyValueError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyTuple};
use std::ffi::{c_char, c_void};
use wengert::{Export, Layout, Scalar, Strides, Tensor};
use wengert_ops::{DType, Dims};

/// A Python number. pyo3's own conversions panic where there is no memory for one, which a long list may meet.
pub fn number(py: Python<'_>, s: Scalar) -> PyResult<Py<PyAny>> {
    // SAFETY: these give an owned object, or null with an exception set.
    let made = unsafe {
        let made = match s {
            Scalar::Bool(b) => ffi::PyBool_FromLong(b.into()),
            Scalar::Int(i) => ffi::PyLong_FromLongLong(i),
            Scalar::Float(f) => ffi::PyFloat_FromDouble(f),
        };
        Bound::from_owned_ptr_or_err(py, made)?
    };
    Ok(made.unbind())
}

/// The element at a byte position of packed elements.
fn element(bytes: &[u8], i: usize, dtype: DType) -> Scalar {
    macro_rules! at {
        ($t:ty) => {{
            const N: usize = std::mem::size_of::<$t>();
            let mut raw = [0u8; N];
            raw.copy_from_slice(&bytes[i * N..(i + 1) * N]);
            <$t>::from_ne_bytes(raw)
        }};
    }
    match dtype {
        DType::Bool => Scalar::Bool(bytes[i] != 0),
        DType::U8 => Scalar::Int(bytes[i] as i64),
        DType::I8 => Scalar::Int(bytes[i] as i8 as i64),
        DType::I16 => Scalar::Int(at!(i16) as i64),
        DType::I32 => Scalar::Int(at!(i32) as i64),
        DType::I64 => Scalar::Int(at!(i64)),
        DType::F16 => Scalar::Float(half::f16::from_bits(at!(u16)).to_f64()),
        DType::BF16 => Scalar::Float(half::bf16::from_bits(at!(u16)).to_f64()),
        DType::F32 => Scalar::Float(at!(f32) as f64),
        DType::F64 => Scalar::Float(at!(f64)),
    }
}

fn nested(py: Python<'_>, bytes: &[u8], dtype: DType, shape: &[usize], at: &mut usize) -> PyResult<Py<PyAny>> {
    let Some((&n, rest)) = shape.split_first() else {
        let s = element(bytes, *at, dtype);
        *at += 1;
        return number(py, s);
    };
    // SAFETY: gives an owned list, or null with an exception set.
    let list = unsafe { Bound::from_owned_ptr_or_err(py, ffi::PyList_New(0))?.cast_into_unchecked::<PyList>() };
    for _ in 0..n {
        list.append(nested(py, bytes, dtype, rest, at)?)?;
    }
    Ok(list.into_any().unbind())
}

/// numpy's code of a dtype in the array interface.
fn typestr(dtype: DType) -> Option<&'static str> {
    Some(match dtype {
        DType::Bool => "|b1",
        DType::U8 => "|u1",
        DType::I8 => "|i1",
        DType::I16 => "<i2",
        DType::I32 => "<i4",
        DType::I64 => "<i8",
        DType::F16 => "<f2",
        DType::F32 => "<f4",
        DType::F64 => "<f8",
        DType::BF16 => return None,
    })
}

/// What an exported numpy array keeps alive, and where it reads its shape from.
#[pyclass(frozen, name = "_Export", module = "wengert")]
struct Exported {
    address: usize,
    layout: Layout,
    dtype: DType,
    _export: Export,
}

#[pymethods]
impl Exported {
    #[getter]
    fn __array_interface__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let d = PyDict::new(py);
        let size = self.dtype.size() as isize;
        d.set_item("shape", PyTuple::new(py, self.layout.shape())?)?;
        d.set_item("typestr", typestr(self.dtype))?;
        d.set_item("data", (self.address, false))?;
        d.set_item("strides", PyTuple::new(py, self.layout.strides().iter().map(|s| s.wrapping_mul(size)))?)?;
        d.set_item("version", 3)?;
        Ok(d)
    }
}

fn to_numpy<'py>(py: Python<'py>, t: &Tensor) -> PyResult<Bound<'py, PyAny>> {
    let numpy = py.import("numpy").map_err(|e| {
        pyo3::exceptions::PyImportError::new_err(format!(
            "Tensor.numpy() needs numpy, which could not be imported ({e}); install numpy"
        ))
    })?;
    if typestr(t.dtype()).is_none() {
        return Err(PyTypeError::new_err(
            "Got unsupported ScalarType BFloat16: numpy has no bfloat16; use .float().numpy()",
        ));
    }
    let (ptr, layout, export) = t.export().raise()?;
    let exported = Exported { address: ptr as usize, layout, dtype: t.dtype(), _export: export };
    numpy.call_method1("asarray", (Bound::new(py, exported)?,))
}

/// A numpy array over a tensor's memory; what requires grad is given only by force.
pub fn numpy<'py>(py: Python<'py>, t: &Tensor, force: bool) -> PyResult<Bound<'py, PyAny>> {
    if t.requires_grad() && !force {
        return Err(PyRuntimeError::new_err(
            "Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead.",
        ));
    }
    to_numpy(py, t)
}

fn one(t: &Tensor, what: &str) -> PyResult<Scalar> {
    if t.numel() != 1 {
        return Err(match what {
            "index" => PyTypeError::new_err("only integer tensors of a single element can be converted to an index"),
            _ => PyValueError::new_err(format!(
                "only one element tensors can be converted to Python scalars, but {what}() got one of {} elements",
                t.numel()
            )),
        });
    }
    t.item().raise()
}

#[pymethods]
impl PyTensor {
    /// Nested lists of Python numbers (a number for a 0-d tensor).
    fn tolist(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let shape = self.inner.shape();
        // Lists are made up to the first dimension without elements, however many those are.
        if let Some(empty) = shape.iter().position(|&n| n == 0) {
            wengert::check_parts("tolist", wengert::layout::numel(&shape[..empty])).raise()?;
        }
        let bytes = self.inner.to_bytes().raise()?;
        nested(py, &bytes, self.inner.dtype(), &self.inner.shape(), &mut 0)
    }

    fn __float__(&self) -> PyResult<f64> {
        Ok(one(&self.inner, "float")?.as_f64())
    }
    fn __int__(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        match one(&self.inner, "int")? {
            Scalar::Float(f) => {
                let f = f.into_pyobject(py)?;
                Ok(f.call_method0("__int__")?.unbind())
            }
            s => Ok(s.as_i64().into_pyobject(py)?.into_any().unbind()),
        }
    }
    fn __index__(&self) -> PyResult<i64> {
        if self.inner.dtype().is_float() || self.inner.numel() != 1 {
            return Err(PyTypeError::new_err("only integer tensors of a single element can be converted to an index"));
        }
        Ok(one(&self.inner, "index")?.as_i64())
    }
    fn __complex__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, pyo3::types::PyComplex>> {
        Ok(pyo3::types::PyComplex::from_doubles(py, one(&self.inner, "complex")?.as_f64(), 0.0))
    }

    /// A numpy array over the same memory; writes show on both sides.
    #[pyo3(signature = (*, force=false))]
    fn numpy<'py>(&self, py: Python<'py>, force: bool) -> PyResult<Bound<'py, PyAny>> {
        numpy(py, &self.inner, force)
    }

    #[pyo3(signature = (dtype=None, copy=None))]
    fn __array__<'py>(
        &self,
        py: Python<'py>,
        dtype: Option<&Bound<'py, PyAny>>,
        copy: Option<bool>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let array = numpy(py, &self.inner, false)?;
        match dtype {
            Some(d) if !d.is_none() => array.call_method1("astype", (d, "K", "unsafe", true, copy.unwrap_or(false))),
            _ if copy == Some(true) => array.call_method0("copy"),
            _ => Ok(array),
        }
    }

    #[pyo3(signature = (*, stream=None, max_version=None, dl_device=None, copy=None))]
    fn __dlpack__<'py>(
        &self,
        py: Python<'py>,
        stream: Option<&Bound<'py, PyAny>>,
        max_version: Option<&Bound<'py, PyAny>>,
        dl_device: Option<&Bound<'py, PyAny>>,
        copy: Option<bool>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let _ = (stream, max_version, dl_device);
        if self.inner.requires_grad() {
            return Err(PyBufferError::new_err("Can't export tensors that require gradient, use tensor.detach()"));
        }
        let t = if copy == Some(true) { self.inner.clone_().raise()? } else { self.inner.clone() };
        export_capsule(py, &t)
    }

    fn __dlpack_device__(&self) -> (i32, i32) {
        (DL_CPU, 0)
    }

    /// The whole storage as a flat tensor, if other tensors share it.
    fn _shared_storage(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        self.inner.shared_storage().raise()?.map(|t| fresh(py, t)).transpose()
    }

    /// What tells storages apart, on any device.
    fn _storage_id(&self) -> usize {
        self.inner.storage_id()
    }

    /// The elements, row-major, as bytes.
    fn _to_bytes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        Ok(PyBytes::new(py, &self.inner.to_bytes().raise()?))
    }
}

/// A tensor from row-major bytes.
#[pyfunction]
fn _from_bytes(py: Python<'_>, data: &[u8], shape: Vec<usize>, dtype: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
    fresh(py, Tensor::from_bytes(data, &shape, crate::types::extract_dtype(dtype)?).raise()?)
}

/// The elements of a tensor, row-major, as bytes.
#[pyfunction]
fn _to_bytes<'py>(py: Python<'py>, t: &Bound<'py, PyTensor>) -> PyResult<Bound<'py, PyBytes>> {
    t.get()._to_bytes(py)
}

/// A tensor over the memory of any object with `__dlpack__`.
#[pyfunction]
fn from_dlpack(py: Python<'_>, ext_tensor: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
    fresh(py, from_dlpack_object(ext_tensor)?)
}

const DL_CPU: i32 = 1;
const CAPSULE: &std::ffi::CStr = c"dltensor";
const USED: &std::ffi::CStr = c"used_dltensor";

/// DLPack's structures, version 0 (dlpack.h).
#[repr(C)]
struct DlTensor {
    data: *mut c_void,
    device_type: i32,
    device_id: i32,
    ndim: i32,
    code: u8,
    bits: u8,
    lanes: u16,
    shape: *mut i64,
    strides: *mut i64,
    byte_offset: u64,
}

#[repr(C)]
struct DlManaged {
    tensor: DlTensor,
    manager: *mut c_void,
    deleter: Option<unsafe extern "C" fn(*mut DlManaged)>,
}

struct Manager {
    shape: Vec<i64>,
    strides: Vec<i64>,
    _export: Export,
}

unsafe extern "C" fn delete(managed: *mut DlManaged) {
    // SAFETY: both were made by `export_capsule` with Box::into_raw, and DLPack calls this once.
    drop(Box::from_raw((*managed).manager.cast::<Manager>()));
    drop(Box::from_raw(managed));
}

unsafe extern "C" fn drop_capsule(capsule: *mut ffi::PyObject) {
    if ffi::PyCapsule_IsValid(capsule, CAPSULE.as_ptr()) != 0 {
        let managed = ffi::PyCapsule_GetPointer(capsule, CAPSULE.as_ptr()).cast::<DlManaged>();
        if let Some(deleter) = (*managed).deleter {
            deleter(managed);
        }
    }
}

fn dl_code(dtype: DType) -> u8 {
    match dtype {
        DType::Bool => 6,
        DType::U8 => 1,
        DType::BF16 => 4,
        d if d.is_float() => 2,
        _ => 0,
    }
}

fn export_capsule<'py>(py: Python<'py>, t: &Tensor) -> PyResult<Bound<'py, PyAny>> {
    let (ptr, layout, export) = t.export().raise()?;
    let mut manager = Box::new(Manager {
        shape: layout.shape().iter().map(|&n| n as i64).collect(),
        strides: layout.strides().iter().map(|&s| s as i64).collect(),
        _export: export,
    });
    let dtype = t.dtype();
    let managed = Box::new(DlManaged {
        tensor: DlTensor {
            data: ptr.cast(),
            device_type: DL_CPU,
            device_id: 0,
            ndim: layout.rank() as i32,
            code: dl_code(dtype),
            bits: 8 * dtype.size() as u8,
            lanes: 1,
            shape: manager.shape.as_mut_ptr(),
            strides: manager.strides.as_mut_ptr(),
            byte_offset: 0,
        },
        manager: Box::into_raw(manager).cast(),
        deleter: Some(delete),
    });
    let name: *const c_char = CAPSULE.as_ptr();
    // SAFETY: the capsule owns `managed` until somebody renames it; `drop_capsule` frees it otherwise.
    unsafe {
        Bound::from_owned_ptr_or_err(py, ffi::PyCapsule_New(Box::into_raw(managed).cast(), name, Some(drop_capsule)))
    }
}

/// A foreign DLPack tensor, given back when ours goes.
struct Imported(*mut DlManaged);

// SAFETY: DLPack deleters may be called from any thread that holds the GIL.
unsafe impl Send for Imported {}
// SAFETY: as above.
unsafe impl Sync for Imported {}

impl Drop for Imported {
    fn drop(&mut self) {
        Python::try_attach(|_| {
            // SAFETY: we took the capsule over, so we call its deleter, once.
            unsafe {
                if let Some(deleter) = (*self.0).deleter {
                    deleter(self.0);
                }
            }
        });
    }
}

pub fn from_dlpack_object(obj: &Bound<'_, PyAny>) -> PyResult<Tensor> {
    let py = obj.py();
    if let Ok(t) = obj.cast::<PyTensor>() {
        return Ok(t.get().inner.detach());
    }
    let capsule = if obj.hasattr("__dlpack__")? { obj.call_method0("__dlpack__")? } else { obj.clone() };
    // SAFETY: validity of the capsule is tested before its pointer is read; shape has `ndim` entries by DLPack's contract.
    unsafe {
        if ffi::PyCapsule_IsValid(capsule.as_ptr(), CAPSULE.as_ptr()) == 0 {
            return Err(PyTypeError::new_err(format!(
                "from_dlpack(): expected an object with __dlpack__ or an unused capsule, got {}",
                crate::types::type_name(obj)
            )));
        }
        let managed = ffi::PyCapsule_GetPointer(capsule.as_ptr(), CAPSULE.as_ptr()).cast::<DlManaged>();
        let d = &(*managed).tensor;
        let dtype =
            DType::ALL.into_iter().find(|t| dl_code(*t) == d.code && 8 * t.size() == d.bits as usize && d.lanes == 1);
        let Some(dtype) = dtype else {
            return Err(PyBufferError::new_err(format!(
                "from_dlpack(): unsupported element type (code {}, {} bits)",
                d.code, d.bits
            )));
        };
        if d.device_type != DL_CPU {
            return Err(PyBufferError::new_err(format!(
                "from_dlpack(): only CPU memory is supported, got device type {}",
                d.device_type
            )));
        }
        let rank = d.ndim as usize;
        let shape: Dims = (0..rank).map(|i| *d.shape.add(i) as usize).collect();
        wengert::layout::checked_numel("from_dlpack", &shape).raise()?;
        let strides: Strides = if d.strides.is_null() {
            wengert::layout::contiguous_strides(&shape)
        } else {
            (0..rank).map(|i| *d.strides.add(i) as isize).collect()
        };
        if strides.iter().any(|s| *s < 0) {
            return Err(PyValueError::new_err("from_dlpack(): negative strides are not supported; make a copy first"));
        }
        let layout = Layout::strided(shape, strides, 0);
        let bytes = if layout.numel() == 0 { 0 } else { layout.span().1 * dtype.size() };
        let start = d.data.cast::<u8>().wrapping_add(d.byte_offset as usize);
        if ffi::PyCapsule_SetName(capsule.as_ptr(), USED.as_ptr()) != 0 {
            return Err(PyErr::fetch(py));
        }
        let owner = Imported(managed);
        match std::ptr::NonNull::new(start).filter(|_| bytes > 0) {
            // The kernels need elements on their boundaries; DLPack lets the consumer copy where it cannot share.
            Some(ptr) if !(ptr.as_ptr() as usize).is_multiple_of(dtype.size()) => {
                let copy = std::slice::from_raw_parts(ptr.as_ptr(), bytes);
                let flat = Tensor::from_bytes(copy, &[bytes / dtype.size()], dtype).raise()?;
                let offset = layout.offset();
                let (shape, strides) = (layout.shape().into(), layout.strides().into());
                flat.view_op(wengert::ViewOp::AsStrided { shape, strides, offset }).raise()
            }
            Some(ptr) => Tensor::from_foreign(ptr, bytes, layout, dtype, Box::new(owner)).raise(),
            None => Tensor::empty(layout.shape(), dtype, wengert::Device::Cpu).raise(),
        }
    }
}

pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_function(wrap_pyfunction!(_from_bytes, m)?)?;
    m.add_function(wrap_pyfunction!(_to_bytes, m)?)?;
    m.add_function(wrap_pyfunction!(from_dlpack, m)?)?;
    m.add_class::<Exported>()?;
    Ok(())
}
