//! Python objects that the Rust core keeps: owners of foreign memory, hooks, Functions.

use pyo3::prelude::*;
use std::ops::Deref;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How many there are now. While there is none, dropping a tensor runs no Python code.
static COUNT: AtomicUsize = AtomicUsize::new(0);

/// A Python object kept inside the Rust core.
pub struct Owned(Py<PyAny>);

impl Owned {
    pub fn new(object: Py<PyAny>) -> Owned {
        COUNT.fetch_add(1, Ordering::Relaxed);
        Owned(object)
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        COUNT.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Deref for Owned {
    type Target = Py<PyAny>;
    fn deref(&self) -> &Py<PyAny> {
        &self.0
    }
}

/// Whether the core keeps any Python object.
#[inline]
pub fn any() -> bool {
    COUNT.load(Ordering::Relaxed) != 0
}
