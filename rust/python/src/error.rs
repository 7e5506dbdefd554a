//! Errors and panics at the boundary: each kind becomes the exception that PyTorch users expect.

use pyo3::create_exception;
use pyo3::exceptions::{PyIndexError, PyMemoryError, PyNotImplementedError, PyRuntimeError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use std::sync::Arc;
use wengert::{Error, ErrorKind};

create_exception!(wengert, LinAlgError, PyRuntimeError, "A matrix factorization or solve has no result.");
create_exception!(wengert, InternalError, PyRuntimeError, "A mistake inside wengert: please report it.");

/// The Python exception for an error of the core.
pub fn to_py(e: Error) -> PyErr {
    let message = e.message().to_owned();
    match e.kind() {
        ErrorKind::Runtime => PyRuntimeError::new_err(message),
        ErrorKind::Value => PyValueError::new_err(message),
        ErrorKind::Type => PyTypeError::new_err(message),
        ErrorKind::Index => PyIndexError::new_err(message),
        ErrorKind::NotImplemented => PyNotImplementedError::new_err(message),
        ErrorKind::Memory => PyMemoryError::new_err(message),
        ErrorKind::LinAlg => LinAlgError::new_err(message),
        ErrorKind::Internal => {
            InternalError::new_err(format!("{message}. This is a mistake inside wengert: please report it."))
        }
        ErrorKind::Foreign => match e.payload().and_then(|p| p.downcast_ref::<Raised>()) {
            Some(raised) => Python::attach(|py| raised.0.clone_ref(py)),
            None => PyRuntimeError::new_err(message),
        },
    }
}

struct Raised(PyErr);

/// An exception of Python code, to travel through the core and come out unchanged.
pub fn from_py(e: PyErr) -> Error {
    let message = Python::attach(|py| e.value(py).to_string());
    Error::foreign(message, Arc::new(Raised(e)))
}

/// `?` for core results in Python functions.
pub trait Raise<T> {
    fn raise(self) -> PyResult<T>;
}

impl<T> Raise<T> for wengert::Result<T> {
    #[inline]
    fn raise(self) -> PyResult<T> {
        self.map_err(to_py)
    }
}
