//! The machine's GPUs: which there are, and what they hold.

use crate::error::{from_py, Raise};
use crate::types::extract_device;
use pyo3::exceptions::{PyUserWarning, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyInt, PyList};
use wengert::gpu::{self, Gpu};
use wengert::Device;

/// The devices that may be used, a dict each; opens none.
#[pyfunction]
fn _gpu_devices(py: Python<'_>) -> PyResult<Bound<'_, PyList>> {
    let devices = py.detach(gpu::devices).raise()?;
    let list = PyList::empty(py);
    for d in devices {
        let entry = PyDict::new(py);
        entry.set_item("name", d.name)?;
        entry.set_item("vendor", d.vendor)?;
        entry.set_item("backend", d.backend)?;
        entry.set_item("driver", d.driver)?;
        entry.set_item("max_buffer", d.max_buffer)?;
        entry.set_item("max_binding", d.max_binding)?;
        entry.set_item("cooperative_matrices", d.cooperative)?;
        entry.set_item("software", d.software)?;
        list.append(entry)?;
    }
    Ok(list)
}

/// The GPU that an argument names: None is the first, a number or a device that one.
fn opened(py: Python<'_>, device: Option<&Bound<'_, PyAny>>) -> PyResult<Gpu> {
    let index = match device.filter(|d| !d.is_none()) {
        None => 0,
        Some(number) if number.is_instance_of::<PyInt>() => number.extract::<usize>()?,
        Some(device) => match extract_device(device)? {
            Device::Gpu(n) => n as usize,
            other => return Err(PyValueError::new_err(format!("Expected a GPU, but got device '{other}'"))),
        },
    };
    py.detach(|| Gpu::open(index)).raise()
}

/// Waits until all work of the GPU is done.
#[pyfunction]
#[pyo3(signature = (device=None))]
fn _gpu_synchronize(py: Python<'_>, device: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
    let gpu = opened(py, device)?;
    py.detach(|| gpu.finish()).raise()
}

/// Bytes allocated, the most that were, and bytes kept for the next.
#[pyfunction]
#[pyo3(signature = (device=None))]
fn _gpu_usage(py: Python<'_>, device: Option<&Bound<'_, PyAny>>) -> PyResult<(u64, u64, u64)> {
    let usage = opened(py, device)?.usage();
    Ok((usage.allocated, usage.most_allocated, usage.cached))
}

#[pyfunction]
#[pyo3(signature = (device=None))]
fn _gpu_reset_most_allocated(py: Python<'_>, device: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
    opened(py, device)?.reset_most_allocated();
    Ok(())
}

#[pyfunction]
#[pyo3(signature = (device=None))]
fn _gpu_empty_cache(py: Python<'_>, device: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
    let gpu = opened(py, device)?;
    py.detach(|| gpu.empty_cache()).raise()
}

/// Destroys a device under its tensors: for tests of what happens then.
#[pyfunction]
#[pyo3(signature = (device=None))]
fn _gpu_lose(py: Python<'_>, device: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
    opened(py, device)?.lose();
    Ok(())
}

/// Elementwise calls, chains of them that ran as one kernel, the calls in those, kernels of every kind, submissions,
/// kernels compiled, and products whose form was measured.
#[pyfunction]
#[pyo3(signature = (device=None))]
fn _gpu_work(py: Python<'_>, device: Option<&Bound<'_, PyAny>>) -> PyResult<(u64, u64, u64, u64, u64, usize, usize)> {
    let gpu = opened(py, device)?;
    let work = py.detach(|| gpu.work());
    Ok((work.steps, work.chains, work.chained, work.dispatches, work.submissions, gpu.compiled(), gpu.measured()))
}

/// Waits until chains that are being compiled are so.
#[pyfunction]
#[pyo3(signature = (device=None))]
fn _gpu_settle(py: Python<'_>, device: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
    let gpu = opened(py, device)?;
    py.detach(|| gpu.settle()).raise()
}

/// Sets where this thread's factories make tensors.
#[pyfunction]
fn _set_default_device(device: &Bound<'_, PyAny>) -> PyResult<()> {
    wengert::set_default_device(extract_device(device)?);
    Ok(())
}

/// Where this thread's factories make tensors.
#[pyfunction]
fn _default_device() -> crate::types::PyDevice {
    crate::types::device_object(wengert::default_device())
}

/// Whether what a GPU cannot do runs on the host.
#[pyfunction]
fn _gpu_fallback() -> bool {
    wengert::gpu_fallback()
}

#[pyfunction]
fn _set_gpu_fallback(allowed: bool) {
    wengert::set_gpu_fallback_warning(|text| {
        Python::attach(|py| {
            let text = std::ffi::CString::new(text).unwrap_or_default();
            PyErr::warn(py, &py.get_type::<PyUserWarning>(), &text, 1).map_err(from_py)
        })
    });
    wengert::set_gpu_fallback(allowed);
}

/// Whether products that come often are measured to find their fastest form.
#[pyfunction]
fn _gpu_autotune() -> bool {
    gpu::autotune()
}

#[pyfunction]
fn _set_gpu_autotune(on: bool) {
    gpu::set_autotune(on);
}

/// Whether float16 products use cooperative matrices where a device has them.
#[pyfunction]
fn _gpu_cooperative_matrices() -> bool {
    gpu::cooperative_matrices()
}

#[pyfunction]
fn _set_gpu_cooperative_matrices(on: bool) -> PyResult<()> {
    gpu::set_cooperative_matrices(on).raise()
}

/// Writes what the next process can use.
#[pyfunction]
fn _gpu_keep(py: Python<'_>) {
    py.detach(gpu::keep);
}

pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_function(wrap_pyfunction!(_gpu_devices, m)?)?;
    m.add_function(wrap_pyfunction!(_gpu_synchronize, m)?)?;
    m.add_function(wrap_pyfunction!(_gpu_usage, m)?)?;
    m.add_function(wrap_pyfunction!(_gpu_reset_most_allocated, m)?)?;
    m.add_function(wrap_pyfunction!(_gpu_empty_cache, m)?)?;
    m.add_function(wrap_pyfunction!(_gpu_lose, m)?)?;
    m.add_function(wrap_pyfunction!(_gpu_work, m)?)?;
    m.add_function(wrap_pyfunction!(_gpu_settle, m)?)?;
    m.add_function(wrap_pyfunction!(_set_default_device, m)?)?;
    m.add_function(wrap_pyfunction!(_default_device, m)?)?;
    m.add_function(wrap_pyfunction!(_gpu_fallback, m)?)?;
    m.add_function(wrap_pyfunction!(_set_gpu_fallback, m)?)?;
    m.add_function(wrap_pyfunction!(_gpu_autotune, m)?)?;
    m.add_function(wrap_pyfunction!(_set_gpu_autotune, m)?)?;
    m.add_function(wrap_pyfunction!(_gpu_cooperative_matrices, m)?)?;
    m.add_function(wrap_pyfunction!(_set_gpu_cooperative_matrices, m)?)?;
    m.add_function(wrap_pyfunction!(_gpu_keep, m)?)
}
