//! Anomaly mode: Python's stack at each node, and warnings that show it.

use crate::error::from_py;
use crate::owned::Owned;
use pyo3::exceptions::PyUserWarning;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyString;
use std::sync::Arc;
use wengert::{Maker, Note, Payload, Watch};

/// Turns anomaly mode on or off for all threads, with or without a look for NaN in what backward computes.
#[pyfunction]
#[pyo3(signature = (enabled, check_nan=true))]
fn set_anomaly_enabled(enabled: bool, check_nan: bool) {
    wengert::set_anomaly(enabled, check_nan);
}

/// Whether anomaly mode is on.
#[pyfunction]
fn is_anomaly_enabled() -> bool {
    wengert::anomaly().0
}

/// Whether anomaly mode, when it is on, looks for NaN.
#[pyfunction]
fn is_anomaly_check_nan_enabled() -> bool {
    wengert::anomaly().1
}

fn stack() -> Option<Payload> {
    Python::attach(|py| {
        let lines = py.import("traceback")?.call_method0("format_stack")?;
        PyResult::Ok(Arc::new(Owned::new(lines.unbind())) as Payload)
    })
    .ok()
}

/// The lines of the stack where a node was made.
pub fn lines<'py>(py: Python<'py>, note: &Note) -> Option<Bound<'py, PyAny>> {
    (*note.stack).downcast_ref::<Owned>().map(|lines| lines.bind(py).clone())
}

fn joined(py: Python<'_>, note: &Note) -> PyResult<String> {
    match lines(py, note) {
        Some(lines) => PyString::new(py, "").call_method1(intern!(py, "join"), (lines,))?.extract(),
        None => Ok(String::new()),
    }
}

fn report((name, note): &Maker) -> wengert::Result<()> {
    let told = Python::attach(|py| -> PyResult<()> {
        let warn = |text: String| {
            py.import("warnings")?.call_method1("warn", (text, py.get_type::<PyUserWarning>())).map(|_| ())
        };
        let Some(note) = note else {
            return warn(format!(
                "Error detected in {name}. No forward pass information available. Enable detect anomaly during forward pass for \
                 more information."
            ));
        };
        let text = joined(py, note)?;
        warn(format!("Error detected in {name}. Traceback of forward call that caused the error:\n{text}"))?;
        let mut parent = &note.parent;
        while let Some((name, Some(note))) = parent {
            let text = joined(py, note)?;
            warn(format!(
                "\n\nPrevious calculation was induced by {name}. Traceback of forward call that induced the previous \
                 calculation:\n{text}"
            ))?;
            parent = &note.parent;
        }
        Ok(())
    });
    told.map_err(from_py)
}

pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    wengert::set_anomaly_watch(Watch { stack, report });
    m.add_function(wrap_pyfunction!(set_anomaly_enabled, m)?)?;
    m.add_function(wrap_pyfunction!(is_anomaly_enabled, m)?)?;
    m.add_function(wrap_pyfunction!(is_anomaly_check_nan_enabled, m)?)?;
    Ok(())
}
