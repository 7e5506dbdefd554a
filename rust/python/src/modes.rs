//! Modes of the process and its threads: recording, default dtype, promotion, threads, forks, interrupts.

use crate::args::scalar;
use crate::error::{from_py, Raise};
use crate::tensor::PyTensor;
use crate::types::{dtype_object, extract_dtype, optional_dtype, type_name, PyDType};
use pyo3::exceptions::{PyRuntimeError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use wengert::{default_float, DType};
use wengert_ops::Promotion;

/// Whether operations are recorded now.
#[pyfunction]
fn is_grad_enabled() -> bool {
    wengert::is_grad_enabled()
}

/// Turns recording on or off for this thread; returns how it was.
#[pyfunction]
fn _set_grad_enabled(on: bool) -> bool {
    wengert::set_grad_enabled(on)
}

/// Turns inference mode on or off for this thread; returns how it was.
#[pyfunction]
fn _inference(on: bool) -> bool {
    wengert::set_inference(on)
}

/// Whether inference mode is on.
#[pyfunction]
fn is_inference_mode_enabled() -> bool {
    wengert::inference()
}

/// The dtype of Python floats and of factories.
#[pyfunction]
fn get_default_dtype(py: Python<'_>) -> PyResult<Py<PyDType>> {
    dtype_object(py, default_float())
}

/// Sets the dtype of Python floats and of factories.
#[pyfunction]
fn set_default_dtype(d: &Bound<'_, PyAny>) -> PyResult<()> {
    if !d.is_instance_of::<PyDType>() {
        return Err(PyTypeError::new_err(format!(
            "invalid dtype object: only floating-point types are supported as the default type, got {}",
            crate::types::type_name(d)
        )));
    }
    wengert::set_default_float(extract_dtype(d)?).raise()
}

/// The smallest dtype that both fit in.
#[pyfunction]
fn promote_types(py: Python<'_>, type1: &Bound<'_, PyAny>, type2: &Bound<'_, PyAny>) -> PyResult<Py<PyDType>> {
    dtype_object(py, extract_dtype(type1)?.promote(extract_dtype(type2)?))
}

/// The dtype that an operation of two tensors or numbers computes in.
#[pyfunction]
fn result_type(py: Python<'_>, tensor1: &Bound<'_, PyAny>, tensor2: &Bound<'_, PyAny>) -> PyResult<Py<PyDType>> {
    let mut promotion = Promotion::default();
    for (name, operand) in [("tensor1", tensor1), ("tensor2", tensor2)] {
        if let Ok(t) = operand.cast::<PyTensor>() {
            promotion.tensor(t.get().inner.dtype(), t.get().inner.rank());
        } else if let Some(s) = scalar(operand)? {
            promotion.scalar(s, default_float());
        } else {
            return Err(PyTypeError::new_err(format!(
                "result_type(): argument '{name}' must be Tensor or Number, not {}",
                type_name(operand)
            )));
        }
    }
    dtype_object(py, promotion.result().unwrap_or_else(default_float))
}

/// Whether a conversion keeps the kind: bool to integer to float.
#[pyfunction]
#[pyo3(signature = (from_, to))]
fn can_cast(from_: &Bound<'_, PyAny>, to: &Bound<'_, PyAny>) -> PyResult<bool> {
    Ok(extract_dtype(from_)?.category() <= extract_dtype(to)?.category())
}

/// Limits of a floating-point dtype.
///
/// >>> import wengert as wg
/// >>> wg.finfo(wg.float16).max
/// 65504.0
#[pyclass(frozen, name = "finfo", module = "wengert")]
struct PyFInfo(DType, wengert_ops::dtype::FInfo);

#[pymethods]
impl PyFInfo {
    #[new]
    #[pyo3(signature = (r#type=None))]
    fn new(r#type: Option<&Bound<'_, PyAny>>) -> PyResult<Self> {
        let dtype = optional_dtype(r#type)?.unwrap_or_else(default_float);
        match dtype.finfo() {
            Some(info) => Ok(PyFInfo(dtype, info)),
            None => Err(PyTypeError::new_err(format!(
                "torch.finfo() requires a floating point input type. Use torch.iinfo to handle '{dtype}'"
            ))),
        }
    }
    #[getter]
    fn bits(&self) -> u32 {
        self.1.bits
    }
    #[getter]
    fn eps(&self) -> f64 {
        self.1.eps
    }
    #[getter]
    fn max(&self) -> f64 {
        self.1.max
    }
    #[getter]
    fn min(&self) -> f64 {
        -self.1.max
    }
    #[getter]
    fn tiny(&self) -> f64 {
        self.1.tiny
    }
    #[getter]
    fn smallest_normal(&self) -> f64 {
        self.1.tiny
    }
    #[getter]
    fn resolution(&self) -> f64 {
        // The decimal digits that always survive.
        match self.0 {
            DType::F64 => 1e-15,
            DType::F16 => 1e-3,
            DType::BF16 => 1e-2,
            _ => 1e-6,
        }
    }
    #[getter]
    fn dtype(&self) -> &'static str {
        self.0.name()
    }
    fn __eq__(&self, other: &Bound<'_, PyAny>) -> bool {
        other.cast::<PyFInfo>().is_ok_and(|o| o.get().0 == self.0)
    }
    fn __hash__(&self) -> u64 {
        self.0 as u64
    }
    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let short = |v: f64| -> PyResult<String> {
            Ok(py.get_type::<pyo3::types::PyFloat>().call1((v,))?.call_method1("__format__", ("g",))?.to_string())
        };
        Ok(format!(
            "finfo(resolution={}, min={}, max={}, eps={}, smallest_normal={}, tiny={}, dtype={})",
            short(self.resolution())?,
            short(-self.1.max)?,
            short(self.1.max)?,
            short(self.1.eps)?,
            short(self.1.tiny)?,
            short(self.1.tiny)?,
            self.0.name()
        ))
    }
}

/// Limits of an integer dtype.
///
/// >>> import wengert as wg
/// >>> wg.iinfo(wg.int8).max
/// 127
#[pyclass(frozen, name = "iinfo", module = "wengert")]
struct PyIInfo(DType, (i64, i64));

#[pymethods]
impl PyIInfo {
    #[new]
    fn new(r#type: &Bound<'_, PyAny>) -> PyResult<Self> {
        let dtype = extract_dtype(r#type)?;
        match dtype.iinfo() {
            Some(range) if dtype != DType::Bool => Ok(PyIInfo(dtype, range)),
            Some(_) => Err(PyTypeError::new_err("torch.bool is not supported by torch.iinfo")),
            None => Err(PyTypeError::new_err(format!(
                "torch.iinfo() requires an integer input type. Use torch.finfo to handle '{dtype}'"
            ))),
        }
    }
    #[getter]
    fn bits(&self) -> usize {
        8 * self.0.size()
    }
    #[getter]
    fn max(&self) -> i64 {
        self.1 .1
    }
    #[getter]
    fn min(&self) -> i64 {
        self.1 .0
    }
    #[getter]
    fn dtype(&self) -> &'static str {
        self.0.name()
    }
    fn __eq__(&self, other: &Bound<'_, PyAny>) -> bool {
        other.cast::<PyIInfo>().is_ok_and(|o| o.get().0 == self.0)
    }
    fn __hash__(&self) -> u64 {
        self.0 as u64
    }
    fn __repr__(&self) -> String {
        format!("iinfo(min={}, max={}, dtype={})", self.1 .0, self.1 .1, self.0.name())
    }
}

/// What is alive now: nodes of the tape, its bytes, bytes of values, and bytes kept for reuse.
#[pyfunction]
fn _live(py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
    let live = wengert::live();
    let counts = PyDict::new(py);
    counts.set_item("nodes", live.nodes)?;
    counts.set_item("tape_bytes", live.tape_bytes)?;
    counts.set_item("value_bytes", live.value_bytes)?;
    counts.set_item("idle_bytes", live.idle_bytes)?;
    Ok(counts)
}

/// Buffers copied on write, and partial saves moved out, since the process began.
#[pyfunction]
fn _write_counters() -> (usize, usize) {
    wengert::write_counters()
}

/// How many threads large kernels use.
#[pyfunction]
fn get_num_threads() -> usize {
    wengert_cpu::threads::count()
}

/// Sets how many threads large kernels use.
#[pyfunction]
fn set_num_threads(int: &Bound<'_, PyAny>) -> PyResult<()> {
    let n = crate::args::index("set_num_threads", "int", int)?;
    match usize::try_from(n) {
        Ok(n) if n > 0 => wengert_cpu::threads::set_count(n).raise(),
        _ => Err(PyRuntimeError::new_err("set_num_threads expects a positive integer")),
    }
}

fn interrupted() -> wengert::Result<()> {
    Python::attach(|py| py.check_signals()).map_err(from_py)
}

pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_class::<PyFInfo>()?;
    m.add_class::<PyIInfo>()?;
    m.add_function(wrap_pyfunction!(is_grad_enabled, m)?)?;
    m.add_function(wrap_pyfunction!(_set_grad_enabled, m)?)?;
    m.add_function(wrap_pyfunction!(_inference, m)?)?;
    m.add_function(wrap_pyfunction!(is_inference_mode_enabled, m)?)?;
    m.add_function(wrap_pyfunction!(get_default_dtype, m)?)?;
    m.add_function(wrap_pyfunction!(set_default_dtype, m)?)?;
    m.add_function(wrap_pyfunction!(promote_types, m)?)?;
    m.add_function(wrap_pyfunction!(result_type, m)?)?;
    m.add_function(wrap_pyfunction!(can_cast, m)?)?;
    m.add_function(wrap_pyfunction!(_live, m)?)?;
    m.add_function(wrap_pyfunction!(_write_counters, m)?)?;
    m.add_function(wrap_pyfunction!(get_num_threads, m)?)?;
    m.add_function(wrap_pyfunction!(set_num_threads, m)?)?;
    wengert::set_interrupt_check(interrupted);
    wengert::follow_forks();
    Ok(())
}
