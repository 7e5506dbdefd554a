//! Tensors from Python data: numbers, nested sequences, arrays, buffers.

use crate::args::scalar;
use crate::error::Raise;
use crate::sharing::{share_buffer, Shared};
use crate::tensor::{fresh, PyTensor};
use crate::types::{optional_device, optional_dtype, type_name};
use pyo3::exceptions::{PyMemoryError, PyOverflowError, PyRuntimeError, PyTypeError, PyValueError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyFloat, PyInt, PyList, PyString, PyTuple};
use smallvec::SmallVec;
use wengert::infer::check_number;
use wengert::{Device, Layout, Scalar, Tensor};
use wengert_ops::{Category, DType};

/// Values of a nested sequence, flattened, and the dtype they ask for.
struct Flat {
    shape: SmallVec<[usize; 4]>,
    values: SmallVec<[Scalar; 16]>,
    category: Option<Category>,
    /// Of numpy scalars and tensors, which bring a dtype of their own.
    own: Option<DType>,
    /// The dtype that was given, so that nothing is inferred.
    given: Option<DType>,
    /// An integer beyond 64 bits is among them, which only floats and truth values can stand for.
    huge: bool,
    /// A tensor of several elements, or of none, is among them.
    arrays: bool,
    /// A tensor of floats is.
    floats: bool,
}

const MAX_NESTING: usize = 64;

impl Flat {
    fn leaf(&mut self, value: Scalar, own: Option<DType>) {
        match own {
            Some(d) => self.own = Some(self.own.map_or(d, |o| o.promote(d))),
            None => {
                let c = value.category();
                self.category = Some(self.category.map_or(c, |k| k.max(c)));
            }
        }
        self.values.push(value);
    }

    fn dtype(&self) -> DType {
        let plain = self.category.map(|c| match c {
            Category::Bool => DType::Bool,
            Category::Int => DType::I64,
            Category::Float => wengert::default_float(),
        });
        match (plain, self.own) {
            (Some(a), Some(b)) => a.promote(b),
            (a, b) => a.or(b).unwrap_or(wengert::default_float()),
        }
    }

    fn enter(&mut self, depth: usize, len: usize, first: bool) -> PyResult<()> {
        if depth >= MAX_NESTING {
            return Err(PyValueError::new_err(
                "too many dimensions: the data is nested deeper than 64 levels (or contains itself)",
            ));
        }
        if first && self.shape.len() == depth {
            self.shape.push(len);
        } else if self.shape.len() <= depth {
            return Err(PyTypeError::new_err(format!(
                "not a sequence: a number was expected at dim {depth}, got a sequence of length {len}"
            )));
        } else if self.shape[depth] != len {
            return Err(PyValueError::new_err(format!(
                "expected sequence of length {} at dim {depth} (got {len})",
                self.shape[depth]
            )));
        }
        // One list may stand in many places, and a range takes no memory: growing must not end the process.
        self.values.try_reserve(len).map_err(|_| {
            PyMemoryError::new_err(format!("not enough memory: the data holds more than {} values", self.values.len()))
        })
    }

    fn walk(&mut self, obj: &Bound<'_, PyAny>, depth: usize, first: bool) -> PyResult<()> {
        if obj.is_exact_instance_of::<PyFloat>()
            || obj.is_exact_instance_of::<PyInt>()
            || obj.is_exact_instance_of::<PyBool>()
        {
            self.check_depth(depth, obj)?;
            return self.number(obj);
        }
        if let Ok(list) = obj.cast::<PyList>() {
            self.enter(depth, list.len(), first)?;
            for (i, item) in list.iter().enumerate() {
                self.walk(&item, depth + 1, first && i == 0)?;
            }
            return Ok(());
        }
        if let Ok(tuple) = obj.cast::<PyTuple>() {
            self.enter(depth, tuple.len(), first)?;
            for (i, item) in tuple.iter().enumerate() {
                self.walk(&item, depth + 1, first && i == 0)?;
            }
            return Ok(());
        }
        self.other(obj, depth, first)
    }

    #[inline]
    fn number(&mut self, obj: &Bound<'_, PyAny>) -> PyResult<()> {
        match scalar(obj) {
            Ok(Some(s)) => self.leaf(s, None),
            Ok(None) => {}
            Err(e) if e.is_instance_of::<PyOverflowError>(obj.py()) => {
                self.huge = true;
                self.category = self.category.max(Some(Category::Int));
                self.values.push(Scalar::Float(obj.extract()?));
            }
            Err(e) => return Err(e),
        }
        Ok(())
    }

    fn check_depth(&self, depth: usize, obj: &Bound<'_, PyAny>) -> PyResult<()> {
        if self.shape.len() > depth {
            return Err(PyTypeError::new_err(format!(
                "expected a sequence of length {} at dim {depth}, got {} (ragged data)",
                self.shape[depth],
                type_name(obj)
            )));
        }
        Ok(())
    }

    #[cold]
    fn other(&mut self, obj: &Bound<'_, PyAny>, depth: usize, first: bool) -> PyResult<()> {
        if let Ok(t) = obj.cast::<PyTensor>() {
            // Inside of a list a tensor is a number.
            let t = &t.get().inner;
            self.check_depth(depth, obj)?;
            self.arrays |= t.numel() != 1;
            self.floats |= t.dtype().is_float();
            let value = if t.numel() == 1 { t.item().raise()? } else { Scalar::Int(0) };
            self.leaf(value, Some(t.dtype()));
            return Ok(());
        }
        if obj.is_instance_of::<PyString>() || obj.is_instance_of::<PyBytes>() {
            let kind = type_name(obj);
            return Err(match (depth, first) {
                (1.., true) => PyValueError::new_err(format!("too many dimensions '{kind}'")),
                _ if self.given.is_some() => PyTypeError::new_err(format!("must be real number, not {kind}")),
                _ => PyTypeError::new_err(format!("new(): invalid data type '{kind}'")),
            });
        }
        let own = numpy_dtype(obj);
        if let Some((dtype, true)) = own {
            self.check_depth(depth, obj)?;
            self.leaf(numpy_value(obj, dtype)?, Some(dtype));
            return Ok(());
        }
        let own = own.map(|o| o.0);
        if let Some(s) = scalar(obj).map_err(|e| if own.is_some() { PyTypeError::new_err(e.to_string()) } else { e })? {
            self.check_depth(depth, obj)?;
            self.leaf(s, own);
            return Ok(());
        }
        let is_sequence = obj.hasattr("__len__")? && obj.hasattr("__getitem__")? && !obj.hasattr("keys")?;
        if !is_sequence {
            return Err(match obj.is_none() && self.given.is_some() {
                true => PyTypeError::new_err("must be real number, not NoneType"),
                false => PyRuntimeError::new_err(format!("Could not infer dtype of {}", type_name(obj))),
            });
        }
        let len = obj.len()?;
        self.enter(depth, len, first)?;
        for i in 0..len {
            self.walk(&obj.get_item(i)?, depth + 1, first && i == 0)?;
        }
        Ok(())
    }
}

/// The dtype of a numpy object, and whether it is a scalar. Asking numpy is slow, and there are few classes of them: they are remembered.
fn numpy_dtype(obj: &Bound<'_, PyAny>) -> Option<(DType, bool)> {
    static KNOWN: std::sync::Mutex<Vec<(usize, DType)>> = std::sync::Mutex::new(Vec::new());
    let class = obj.get_type_ptr() as usize;
    let mut known = KNOWN.lock().unwrap_or_else(|e| e.into_inner());
    if let Some((_, dtype)) = known.iter().find(|(c, _)| *c == class) {
        return Some((*dtype, true));
    }
    drop(known);
    let name = obj.getattr("dtype").ok()?.getattr("name").ok()?.extract::<String>().ok()?;
    let dtype = DType::ALL.into_iter().find(|d| d.name() == name)?;
    // Only numpy's own classes live as long as the process.
    let module = obj.get_type().module().ok()?.to_string();
    let scalar = module == "numpy" && !obj.hasattr("__setitem__").ok()?;
    if scalar {
        known = KNOWN.lock().unwrap_or_else(|e| e.into_inner());
        known.push((class, dtype));
    }
    Some((dtype, scalar))
}

/// The value of a numpy scalar of a known dtype.
fn numpy_value(obj: &Bound<'_, PyAny>, dtype: DType) -> PyResult<Scalar> {
    Ok(match dtype {
        DType::Bool => Scalar::Bool(obj.is_truthy()?),
        d if d.is_float() => Scalar::Float(obj.extract()?),
        _ => Scalar::Int(obj.extract()?),
    })
}

fn encode(values: &[Scalar], dtype: DType) -> PyResult<Vec<u8>> {
    let mut out = Vec::new();
    out.try_reserve_exact(values.len() * dtype.size())
        .map_err(|_| PyMemoryError::new_err(format!("not enough memory for {} values of {dtype}", values.len())))?;
    for &v in values {
        match dtype {
            DType::Bool => out.push(v.as_bool() as u8),
            DType::U8 => out.push(v.as_i64() as u8),
            DType::I8 => out.push(v.as_i64() as i8 as u8),
            DType::I16 => out.extend_from_slice(&(v.as_i64() as i16).to_ne_bytes()),
            DType::I32 => out.extend_from_slice(&(v.as_i64() as i32).to_ne_bytes()),
            DType::I64 => out.extend_from_slice(&v.as_i64().to_ne_bytes()),
            DType::F16 => out.extend_from_slice(&half::f16::from_f64(v.as_f64()).to_ne_bytes()),
            DType::BF16 => out.extend_from_slice(&half::bf16::from_f64(v.as_f64()).to_ne_bytes()),
            DType::F32 => out.extend_from_slice(&(v.as_f64() as f32).to_ne_bytes()),
            DType::F64 => out.extend_from_slice(&v.as_f64().to_ne_bytes()),
        }
    }
    Ok(out)
}

/// A new tensor from any data, copied.
pub fn from_data(obj: &Bound<'_, PyAny>, dtype: Option<DType>, device: Device) -> PyResult<Tensor> {
    if let Ok(t) = obj.cast::<PyTensor>() {
        let t = t.get().inner.detach();
        let converted = t.to_dtype(dtype.unwrap_or(t.dtype())).raise()?;
        let copy = if converted.is(&t) { t.clone_().raise()? } else { converted };
        return copy.to_device(device).raise();
    }
    let plain = obj.is_exact_instance_of::<PyList>()
        || obj.is_exact_instance_of::<PyFloat>()
        || obj.is_exact_instance_of::<PyInt>();
    if !plain {
        if let Some(t) = from_array_like(obj)? {
            let converted = t.to_dtype(dtype.unwrap_or(t.dtype())).raise()?;
            let copy = if converted.is(&t) { t.clone_().raise()? } else { converted };
            return copy.to_device(device).raise();
        }
    }
    let mut flat = Flat {
        shape: SmallVec::new(),
        values: SmallVec::new(),
        category: None,
        own: None,
        given: dtype,
        huge: false,
        arrays: false,
        floats: false,
    };
    flat.walk(obj, 0, true)?;
    let dtype = dtype.unwrap_or_else(|| flat.dtype());
    if !dtype.is_float() && (flat.arrays || flat.floats) {
        return Err(PyTypeError::new_err("only integer tensors of a single element can be converted to an index"));
    }
    if flat.arrays {
        return Err(PyValueError::new_err("only one element tensors can be converted to Python scalars"));
    }
    if flat.huge && dtype.is_int() {
        return Err(PyValueError::new_err(
            "tensor: Overflow when unpacking long long: the data holds an integer that does not fit in 64 bits; \
             give dtype=torch.float64",
        ));
    }
    // Floats round to infinity; in integers nothing may get lost.
    if dtype.is_int() {
        flat.values.iter().try_for_each(|&v| check_number("tensor", v, dtype)).raise()?;
    }
    let numel = wengert::layout::numel(&flat.shape);
    if numel != flat.values.len() {
        return Err(PyValueError::new_err(format!(
            "ragged data: {} values do not fill shape {:?}",
            flat.values.len(),
            &flat.shape[..]
        )));
    }
    let t = Tensor::from_bytes(&encode(&flat.values, dtype)?, &flat.shape, dtype).raise()?;
    if device == Device::Cpu {
        Ok(t)
    } else {
        t.to_device(device).raise()
    }
}

/// Whether it is an array of numpy's or its like; numpy's scalars are numbers.
pub fn is_array(obj: &Bound<'_, PyAny>) -> PyResult<bool> {
    Ok(obj.hasattr("__array_interface__")? && obj.hasattr("__setitem__")?)
}

/// A sharing tensor of an array, buffer, DLPack object or anything with `__array__`; `None` for others.
pub fn from_array_like(obj: &Bound<'_, PyAny>) -> PyResult<Option<Tensor>> {
    if obj.is_instance_of::<PyBytes>() || obj.is_instance_of::<PyString>() {
        return Ok(None);
    }
    if obj.hasattr("__array__")? {
        let has_buffer = obj.hasattr("__array_interface__")? && obj.hasattr("flags")?;
        let array = if has_buffer { obj.clone() } else { obj.call_method0("__array__")? };
        // numpy's own scalars are numbers here, not arrays of rank 0.
        if array.hasattr("item")?
            && !obj.hasattr("__setitem__")?
            && array.getattr("ndim").and_then(|n| n.extract::<usize>())? == 0
        {
            return Ok(None);
        }
        // Negative strides and unaligned memory are refused when sharing; a copy is wanted here, so make one.
        return match share_buffer(&array) {
            Ok(found) => Ok(found.map(|f| f.0)),
            Err(e) if ["stride", "aligned"].iter().any(|word| e.to_string().contains(word)) => {
                Ok(share_buffer(&array.call_method0("copy")?)?.map(|f| f.0))
            }
            Err(e) => Err(e),
        };
    }
    if obj.is_instance_of::<PyTuple>() || obj.is_instance_of::<PyBool>() {
        return Ok(None);
    }
    if let Some((t, _)) = share_buffer(obj)? {
        return Ok(Some(t));
    }
    if obj.hasattr("__dlpack__")? {
        return crate::convert::from_dlpack_object(obj).map(Some);
    }
    Ok(None)
}

fn finish(py: Python<'_>, t: Tensor, requires_grad: bool) -> PyResult<Py<PyAny>> {
    if requires_grad {
        if !t.dtype().is_float() {
            return Err(PyRuntimeError::new_err(
                "Only Tensors of floating point and complex dtype can require gradients",
            ));
        }
        t.set_requires_grad(true).raise()?;
    }
    fresh(py, t)
}

/// A tensor with a copy of the data: a number, nested lists or tuples, an array, anything with `__array__`,
/// the buffer protocol or DLPack.
///
/// >>> import wengert as wg
/// >>> wg.tensor([[1, 2], [3, 4]])
/// tensor([[1, 2],
///         [3, 4]])
#[pyfunction]
#[pyo3(signature = (data, *, dtype=None, device=None, requires_grad=false, pin_memory=false))]
fn tensor(
    py: Python<'_>,
    data: &Bound<'_, PyAny>,
    dtype: Option<&Bound<'_, PyAny>>,
    device: Option<&Bound<'_, PyAny>>,
    requires_grad: bool,
    pin_memory: bool,
) -> PyResult<Py<PyAny>> {
    let _ = pin_memory;
    if data.is_instance_of::<PyTensor>() {
        let warnings = py.import("warnings")?;
        let text = "To copy construct from a tensor, it is recommended to use sourceTensor.detach().clone() or \
                    sourceTensor.detach().clone().requires_grad_(True), rather than tensor(sourceTensor).";
        warnings.call_method1("warn", (text, py.get_type::<pyo3::exceptions::PyUserWarning>(), 2))?;
    }
    let t = from_data(data, optional_dtype(dtype)?, optional_device(device)?)?;
    finish(py, t, requires_grad)
}

/// The data as a tensor, shared where that is possible.
#[pyfunction]
#[pyo3(signature = (data, dtype=None, device=None))]
fn as_tensor(
    py: Python<'_>,
    data: &Bound<'_, PyAny>,
    dtype: Option<&Bound<'_, PyAny>>,
    device: Option<&Bound<'_, PyAny>>,
) -> PyResult<Py<PyAny>> {
    let (dtype, device_given) = (optional_dtype(dtype)?, device.is_some_and(|d| !d.is_none()));
    let device = optional_device(device)?;
    if let Ok(t) = data.cast::<PyTensor>() {
        let inner = &t.get().inner;
        let device = if device_given { device } else { inner.device() };
        if dtype.is_none_or(|d| d == inner.dtype()) && device == inner.device() {
            return Ok(data.clone().unbind());
        }
        let moved = inner.to_dtype(dtype.unwrap_or(inner.dtype())).and_then(|t| t.to_device(device)).raise()?;
        return fresh(py, moved);
    }
    if is_array(data)? {
        if let Some((t, _)) = share_buffer(data)? {
            return fresh(py, t.to_dtype(dtype.unwrap_or(t.dtype())).and_then(|t| t.to_device(device)).raise()?);
        }
    }
    fresh(py, from_data(data, dtype, device)?)
}

/// A tensor over a numpy array's memory: writes show on both sides.
#[pyfunction]
fn from_numpy(py: Python<'_>, ndarray: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
    if !is_array(ndarray)? {
        return Err(PyTypeError::new_err(format!("expected np.ndarray (got {})", type_name(ndarray))));
    }
    match share_buffer(ndarray)? {
        Some((t, readonly)) => {
            if readonly {
                let text = "The given NumPy array is not writable, and wengert does not support non-writable tensors. Writing to \
                            this tensor writes to the read-only array. You may want to copy the array first.";
                py.import("warnings")?
                    .call_method1("warn", (text, py.get_type::<pyo3::exceptions::PyUserWarning>(), 2))?;
            }
            fresh(py, t)
        }
        None => Err(PyTypeError::new_err(format!("expected np.ndarray (got {})", type_name(ndarray)))),
    }
}

/// A 1-D tensor over the bytes of a buffer.
#[pyfunction]
#[pyo3(signature = (buffer, *, dtype, count=-1, offset=0, requires_grad=false))]
fn frombuffer(
    py: Python<'_>,
    buffer: &Bound<'_, PyAny>,
    dtype: &Bound<'_, PyAny>,
    count: isize,
    offset: usize,
    requires_grad: bool,
) -> PyResult<Py<PyAny>> {
    let dtype = crate::types::extract_dtype(dtype)?;
    let bytes = py.get_type::<pyo3::types::PyMemoryView>().call1((buffer,))?.call_method1("cast", ("B",))?;
    let len = bytes.len()?;
    let size = dtype.size();
    if len == 0 || count == 0 {
        return Err(PyValueError::new_err(format!("both buffer length ({len}) and count ({count}) must not be 0")));
    }
    if offset >= len {
        return Err(PyValueError::new_err(format!(
            "offset ({offset} bytes) must be non-negative and no greater than buffer length ({len} bytes) minus 1"
        )));
    }
    if count < 0 && !(len - offset).is_multiple_of(size) {
        return Err(PyValueError::new_err(format!(
            "buffer length ({} bytes) after offset ({offset} bytes) must be a multiple of element size ({size})",
            len
        )));
    }
    let n = if count < 0 { (len - offset) / size } else { count as usize };
    if n.checked_mul(size).is_none_or(|b| b > len - offset) {
        return Err(PyValueError::new_err(format!(
            "requested buffer length ({n} * {size} bytes) after offset ({offset} bytes) must not be greater than actual buffer length ({len} bytes)"
        )));
    }
    let mut view = Box::new(ffi::Py_buffer::new());
    // SAFETY: `view` is valid for writing.
    if unsafe { ffi::PyObject_GetBuffer(bytes.as_ptr(), &mut *view, ffi::PyBUF_SIMPLE) } != 0 {
        return Err(PyErr::fetch(py));
    }
    let shared = Shared(view);
    let start = shared.0.buf.cast::<u8>().wrapping_add(offset);
    let Some(ptr) = std::ptr::NonNull::new(start) else {
        return Err(PyValueError::new_err("the buffer has no memory"));
    };
    if !(start as usize).is_multiple_of(size.min(8)) {
        return Err(PyValueError::new_err("the buffer's memory is not aligned to the element size; copy it first"));
    }
    // SAFETY: the range was checked against the buffer's length; `shared` keeps it alive.
    let t =
        unsafe { Tensor::from_foreign(ptr, n * size, Layout::contiguous(&[n]), dtype, Box::new(shared)) }.raise()?;
    finish(py, t, requires_grad)
}

#[pymethods]
impl PyTensor {
    /// `Tensor(data)`, `Tensor(2, 3)`: of the default dtype, as the legacy constructor of PyTorch.
    #[new]
    #[pyo3(signature = (*args, **kwargs))]
    fn new(args: &Bound<'_, PyTuple>, kwargs: Option<&Bound<'_, pyo3::types::PyDict>>) -> PyResult<PyTensor> {
        Ok(crate::creation::legacy(args, kwargs, None)?.into())
    }

    /// A tensor of this one's dtype and device from data.
    #[pyo3(signature = (data, *, dtype=None, device=None, requires_grad=false))]
    fn new_tensor(
        &self,
        py: Python<'_>,
        data: &Bound<'_, PyAny>,
        dtype: Option<&Bound<'_, PyAny>>,
        device: Option<&Bound<'_, PyAny>>,
        requires_grad: bool,
    ) -> PyResult<Py<PyAny>> {
        let dtype = optional_dtype(dtype)?.unwrap_or(self.inner.dtype());
        let device = if device.is_some() { optional_device(device)? } else { self.inner.device() };
        finish(py, from_data(data, Some(dtype), device)?, requires_grad)
    }
}

pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_function(wrap_pyfunction!(tensor, m)?)?;
    m.add_function(wrap_pyfunction!(as_tensor, m)?)?;
    m.add_function(wrap_pyfunction!(from_numpy, m)?)?;
    m.add_function(wrap_pyfunction!(frombuffer, m)?)?;
    m.add("asarray", m.getattr("as_tensor")?)?;
    Ok(())
}
