//! What `wengert.cpu` asks of the host's backend.

use pyo3::prelude::*;
use wengert_cpu::{buffer, elementwise::Isa};

/// Bytes of live tensors, the most there were, and those kept for the next.
#[pyfunction]
fn _cpu_usage() -> (usize, usize, usize) {
    (buffer::live_bytes(), buffer::most_bytes(), buffer::idle_bytes())
}

#[pyfunction]
fn _cpu_reset_most_allocated() {
    buffer::forget_most();
}

#[pyfunction]
fn _cpu_empty_cache(py: Python<'_>) {
    py.detach(buffer::trim);
}

/// The instruction set of the kernels, by PyTorch's name.
#[pyfunction]
fn _cpu_capability() -> &'static str {
    match Isa::current() {
        Isa::Base => "DEFAULT",
        Isa::Avx2 => "AVX2",
        Isa::Avx512 => "AVX512",
    }
}

pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_function(wrap_pyfunction!(_cpu_usage, m)?)?;
    m.add_function(wrap_pyfunction!(_cpu_reset_most_allocated, m)?)?;
    m.add_function(wrap_pyfunction!(_cpu_empty_cache, m)?)?;
    m.add_function(wrap_pyfunction!(_cpu_capability, m)?)
}
