//! dtype and device objects, sizes.

use pyo3::exceptions::{PyRuntimeError, PyTypeError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyString, PyTuple, PyType};
use std::hash::{Hash, Hasher};
use wengert::{Device, Dims};
use wengert_ops::DType;

/// The element type of a tensor.
///
/// >>> import wengert as wg
/// >>> wg.tensor([1, 2]).dtype
/// torch.int64
#[pyclass(frozen, name = "dtype", module = "wengert")]
pub struct PyDType(pub DType);

static DTYPES: PyOnceLock<Vec<Py<PyDType>>> = PyOnceLock::new();

/// The one object of a dtype.
pub fn dtype_object(py: Python<'_>, dtype: DType) -> PyResult<Py<PyDType>> {
    let all = DTYPES
        .get_or_try_init(py, || DType::ALL.iter().map(|d| Py::new(py, PyDType(*d))).collect::<PyResult<Vec<_>>>())?;
    Ok(all[dtype as usize].clone_ref(py))
}

#[pymethods]
impl PyDType {
    fn __repr__(&self) -> String {
        self.0.to_string()
    }
    fn __reduce__(&self) -> String {
        self.0.name().to_owned()
    }
    #[getter]
    fn is_floating_point(&self) -> bool {
        self.0.is_float()
    }
    #[getter]
    fn is_complex(&self) -> bool {
        false
    }
    #[getter]
    fn is_signed(&self) -> bool {
        self.0.is_signed()
    }
    #[getter]
    fn itemsize(&self) -> usize {
        self.0.size()
    }
    #[getter]
    fn _name(&self) -> &'static str {
        self.0.name()
    }
    /// The floating-point type of the same rank (itself).
    fn to_real(slf: Py<Self>) -> Py<Self> {
        slf
    }
}

/// A dtype argument: a dtype object, or one of Python's `float` (of 64 bits, as they are), `int`, `bool`.
pub fn extract_dtype(obj: &Bound<'_, PyAny>) -> PyResult<DType> {
    if let Ok(d) = obj.cast::<PyDType>() {
        return Ok(d.get().0);
    }
    if let Ok(t) = obj.cast::<PyType>() {
        let py = obj.py();
        if t.is(py.get_type::<pyo3::types::PyFloat>()) {
            return Ok(DType::F64);
        }
        if t.is(py.get_type::<pyo3::types::PyInt>()) {
            return Ok(DType::I64);
        }
        if t.is(py.get_type::<pyo3::types::PyBool>()) {
            return Ok(DType::Bool);
        }
    }
    Err(PyTypeError::new_err(format!("dtype must be a wengert dtype (wengert.float32 …), not {}", type_name(obj))))
}

pub fn optional_dtype(obj: Option<&Bound<'_, PyAny>>) -> PyResult<Option<DType>> {
    match obj {
        Some(o) if !o.is_none() => extract_dtype(o).map(Some),
        _ => Ok(None),
    }
}

/// How elements lie in memory: strided, always.
///
/// >>> import wengert as wg
/// >>> wg.ones(2).layout is wg.strided
/// True
#[pyclass(frozen, name = "layout", module = "wengert")]
pub struct PyLayout;

#[pymethods]
impl PyLayout {
    fn __repr__(&self) -> &'static str {
        "torch.strided"
    }
    fn __reduce__(&self) -> &'static str {
        "strided"
    }
}

static STRIDED: PyOnceLock<Py<PyLayout>> = PyOnceLock::new();

/// The one object of the only layout.
pub fn strided(py: Python<'_>) -> PyResult<Py<PyLayout>> {
    STRIDED.get_or_try_init(py, || Py::new(py, PyLayout)).map(|l| l.clone_ref(py))
}

/// The order of dims that a copy is asked for.
#[pyclass(frozen, name = "memory_format", module = "wengert")]
pub struct PyMemoryFormat(&'static str);

#[pymethods]
impl PyMemoryFormat {
    fn __repr__(&self) -> String {
        format!("torch.{}", self.0)
    }
    fn __reduce__(&self) -> &'static str {
        self.0
    }
}

pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_class::<PyDType>()?;
    m.add_class::<PyDevice>()?;
    m.add_class::<PyLayout>()?;
    m.add_class::<PyMemoryFormat>()?;
    m.add("strided", strided(m.py())?)?;
    for name in ["contiguous_format", "preserve_format"] {
        m.add(name, Py::new(m.py(), PyMemoryFormat(name))?)?;
    }
    m.add_function(wrap_pyfunction!(_register_size, m)?)
}

/// Where a tensor lives.
///
/// >>> import wengert as wg
/// >>> wg.device("cpu")
/// device(type='cpu')
#[pyclass(frozen, name = "device", module = "wengert")]
pub struct PyDevice(pub Device, Option<u32>);

#[pymethods]
impl PyDevice {
    #[new]
    #[pyo3(signature = (r#type, index=None))]
    fn new(r#type: &Bound<'_, PyAny>, index: Option<u32>) -> PyResult<Self> {
        let (device, parsed) = parse_device(r#type)?;
        let index = parsed.or(index);
        Ok(PyDevice(numbered(device, index)?, index))
    }
    /// As a context: factories make tensors here.
    fn __enter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        let before = wengert::set_default_device(slf.get().0);
        ENTERED.with_borrow_mut(|stack| stack.push(before));
        slf
    }
    fn __exit__(&self, _kind: &Bound<'_, PyAny>, _value: &Bound<'_, PyAny>, _trace: &Bound<'_, PyAny>) {
        if let Some(before) = ENTERED.with_borrow_mut(|stack| stack.pop()) {
            wengert::set_default_device(before);
        }
    }
    #[getter]
    fn r#type(&self) -> &'static str {
        kind(self.0)
    }
    #[getter]
    fn index(&self) -> Option<u32> {
        self.1
    }
    fn __repr__(&self) -> String {
        match self.1 {
            Some(i) => format!("device(type='{}', index={i})", kind(self.0)),
            None => format!("device(type='{}')", kind(self.0)),
        }
    }
    fn __str__(&self) -> String {
        match self.1 {
            Some(i) => format!("{}:{i}", kind(self.0)),
            None => kind(self.0).to_owned(),
        }
    }
    fn __eq__(&self, other: &Bound<'_, PyAny>) -> bool {
        other.cast::<PyDevice>().is_ok_and(|d| d.get().0 == self.0 && d.get().1 == self.1)
    }
    fn __hash__(&self) -> u64 {
        let mut h = std::collections::hash_map::DefaultHasher::new();
        (self.0, self.1).hash(&mut h);
        h.finish()
    }
    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyType>, (String,))> {
        Ok((py.get_type::<PyDevice>(), (self.__str__(),)))
    }
}

thread_local! {
    /// The default devices that open `with` blocks go back to.
    static ENTERED: std::cell::RefCell<Vec<Device>> = const { std::cell::RefCell::new(Vec::new()) };
}

fn kind(device: Device) -> &'static str {
    match device {
        Device::Cpu => "cpu",
        Device::Gpu(_) => "gpu",
        Device::Meta => "meta",
    }
}

fn numbered(device: Device, index: Option<u32>) -> PyResult<Device> {
    match (device, index) {
        (Device::Gpu(_), Some(n)) => u8::try_from(n)
            .map(Device::Gpu)
            .map_err(|_| PyRuntimeError::new_err(format!("device 'gpu:{n}': numbers of devices end at {}", u8::MAX))),
        _ => Ok(device),
    }
}

fn parse_device(obj: &Bound<'_, PyAny>) -> PyResult<(Device, Option<u32>)> {
    if let Ok(d) = obj.cast::<PyDevice>() {
        return Ok((d.get().0, d.get().1));
    }
    let Ok(text) = obj.cast::<PyString>() else {
        return Err(PyTypeError::new_err(format!("device must be a string or a device, not {}", type_name(obj))));
    };
    let text = text.to_str()?;
    let (kind, index) = match text.split_once(':') {
        Some((kind, index)) => (kind, index.parse::<u32>().map(Some)),
        None => (text, Ok(None)),
    };
    let bad = || PyRuntimeError::new_err(format!("Invalid device string: '{text}'"));
    let index = index.map_err(|_| bad())?;
    match kind {
        "cpu" => Ok((Device::Cpu, index)),
        "meta" => Ok((Device::Meta, index)),
        "gpu" => Ok((numbered(Device::Gpu(0), index)?, index)),
        "cuda" | "mps" | "xpu" => Err(PyRuntimeError::new_err(format!(
            "device '{text}': wengert reaches the GPUs of every vendor as device 'gpu'; use device='gpu', or 'cpu'"
        ))),
        _ => Err(PyRuntimeError::new_err(format!(
            "Expected one of cpu, gpu, meta device type at start of device string: {text}"
        ))),
    }
}

pub fn extract_device(obj: &Bound<'_, PyAny>) -> PyResult<Device> {
    parse_device(obj).map(|d| d.0)
}

pub fn optional_device(obj: Option<&Bound<'_, PyAny>>) -> PyResult<Device> {
    match obj {
        Some(o) if !o.is_none() => extract_device(o),
        _ => Ok(wengert::default_device()),
    }
}

pub fn device_object(device: Device) -> PyDevice {
    let index = match device {
        Device::Gpu(n) => Some(u32::from(n)),
        Device::Cpu | Device::Meta => None,
    };
    PyDevice(device, index)
}

static SIZE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

/// Tells the core the class of shapes (a Python subclass of tuple).
#[pyfunction]
pub fn _register_size(py: Python<'_>, class: Py<PyAny>) {
    let _ = SIZE.set(py, class);
}

/// A shape as a `Size`.
pub fn size_object<'py>(py: Python<'py>, shape: &[usize]) -> PyResult<Bound<'py, PyAny>> {
    let tuple = PyTuple::new(py, shape)?;
    match SIZE.get(py) {
        Some(class) => class.bind(py).call1((tuple,)),
        None => Ok(tuple.into_any()),
    }
}

pub fn size_of<'py>(py: Python<'py>, shape: &Dims) -> PyResult<Bound<'py, PyAny>> {
    size_object(py, shape)
}

pub fn type_name(obj: &Bound<'_, PyAny>) -> String {
    obj.get_type().name().map_or_else(|_| "object".to_owned(), |n| n.to_string())
}
