//! Python objects that the Rust core keeps: owners of foreign memory, hooks, Functions, and what is left of a tensor's
//! object while only the core holds the tensor.

use crate::class::renewed;
use pyo3::ffi;
use pyo3::marker::Ungil;
use pyo3::prelude::*;
use pyo3::pyclass::{PyTraverseError, PyVisit};
use pyo3::types::{PyDict, PyTuple, PyType};
use std::any::Any;
use std::ops::Deref;
use std::sync::atomic::{AtomicUsize, Ordering};
use wengert::{Part, Tensor};

/// How many there are now. While there is none, dropping a tensor runs no Python code.
static COUNT: AtomicUsize = AtomicUsize::new(0);

/// Threads that run operations without the GIL now.
static DETACHED: AtomicUsize = AtomicUsize::new(0);

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

/// Runs operations without the GIL. All that do must come through here: see [`visit`].
pub fn detached<T: Ungil>(py: Python<'_>, f: impl FnOnce() -> T + Ungil) -> T {
    struct Away;
    impl Drop for Away {
        fn drop(&mut self) {
            DETACHED.fetch_sub(1, Ordering::SeqCst);
        }
    }
    DETACHED.fetch_add(1, Ordering::SeqCst);
    let _away = Away;
    py.detach(f)
}

/// Shows the collector of cycles the objects that a tensor's object alone keeps alive through the core.
///
/// The collector looks twice and must not see less the second time. It holds the GIL; who works without it might take
/// a handle on one of these tensors between the looks, so while there is such a thread nothing is shown.
pub fn visit(t: &Tensor, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
    if !any() || DETACHED.load(Ordering::SeqCst) != 0 {
        return Ok(());
    }
    let mut outcome = Ok(());
    t.visit_sole(|part| {
        if outcome.is_err() {
            return;
        }
        outcome = match part {
            // SAFETY: an odd slot holds what `leave` has put there.
            Part::Object(left) if is_left(left) => visit.call(&**unsafe { &*left_at(left) }),
            Part::Object(_) => Ok(()),
            Part::Payload(payload) => {
                let payload: &(dyn Any + Send + Sync) = &**payload;
                payload.downcast_ref::<Owned>().map_or(Ok(()), |object| visit.call(&**object))
            }
            Part::Function(function) => crate::function::visit(function, visit),
        };
    });
    outcome
}

/// Whether a tensor's slot holds what is left of an object, not an object: such addresses are odd.
#[inline]
pub fn is_left(slot: *mut ()) -> bool {
    slot as usize & 1 == 1
}

fn left_at(slot: *mut ()) -> *mut Owned {
    slot.wrapping_byte_sub(1).cast()
}

/// An object of a tensor goes while the core keeps the tensor: its class and attributes wait for the next one.
///
/// # Safety
/// `object` is one of the class `Tensor` or of a subclass whose deallocation has begun, with the GIL, and `dict` is the
/// place of its `__dict__`.
#[cold]
pub unsafe fn leave(py: Python<'_>, t: &Tensor, object: *mut ffi::PyObject, dict: *mut *mut ffi::PyObject) {
    let slot = t.object_slot();
    if t.handles() < 2 || slot.load(Ordering::Relaxed) != object.cast() {
        return;
    }
    let class = PyType::from_borrowed_type_ptr(py, ffi::Py_TYPE(object));
    let attributes = (!(*dict).is_null()).then(|| Bound::<PyAny>::from_borrowed_ptr(py, *dict));
    let pair = match (class, attributes).into_pyobject(py) {
        Ok(pair) => pair,
        Err(e) => return e.write_unraisable(py, None),
    };
    // Making the pair may have run a collection, and that anything.
    if slot.load(Ordering::Relaxed) == object.cast() {
        let left = Box::into_raw(Box::new(Owned::new(pair.into_any().unbind())));
        slot.store(left.wrapping_byte_add(1).cast(), Ordering::Relaxed);
    }
}

/// The next object of a tensor whose slot holds what is left of one.
#[cold]
pub fn revive(py: Python<'_>, t: Tensor) -> PyResult<Py<PyAny>> {
    let slot = t.object_slot().load(Ordering::Relaxed);
    // SAFETY: an odd slot holds what `leave` has put there, until the GIL's holder or the tensor's end takes it out.
    let pair = unsafe { &*left_at(slot) }.bind(py).clone().cast_into::<PyTuple>()?;
    let class = pair.get_item(0)?.cast_into::<PyType>()?;
    let attributes = pair.get_item(1)?.cast_into::<PyDict>().ok();
    let object = renewed(py, &class, t.clone(), attributes)?;
    let place = t.object_slot();
    let exchanged = place.compare_exchange(slot, object.as_ptr().cast(), Ordering::Relaxed, Ordering::Relaxed);
    if let Err(now) = exchanged {
        // Making the object has run a collection, and that has revived another: ours goes, which may empty the slot.
        drop(object);
        place.store(now, Ordering::Relaxed);
        return crate::tensor::wrap(py, t);
    }
    release(slot);
    Ok(object)
}

/// Lets go of what [`leave`] has left.
fn release(slot: *mut ()) {
    if is_left(slot) {
        // SAFETY: it came from `Box::into_raw`, and whoever takes it out of the slot calls this once.
        drop(unsafe { Box::from_raw(left_at(slot)) });
    }
}

pub fn register() {
    wengert::set_object_release(release);
}
