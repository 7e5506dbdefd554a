//! The public class `Tensor`: [`PyTensor`] with the slots that every small operation passes through as plain C functions.
//!
//! PyO3's own creation, operators and deallocation take about half of a small addition's time: they call
//! `object.__new__`, count attachments in thread-locals and look slots up. The class made here inherits everything
//! else from PyO3's.

use crate::args::plain_number;
use crate::convert::number;
use crate::error::{InternalError, Raise};
use crate::tensor::{binary, done, PyTensor};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyType};
use pyo3::Borrowed;
use std::ffi::{c_void, CStr};
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};
use wengert::{Row, Tensor};

/// What is needed to make and free objects of the class.
struct Class {
    object: Py<PyType>,
    alloc: ffi::allocfunc,
    free: ffi::freefunc,
    /// Where in an object its [`PyTensor`] stands, and the pointers to its `__dict__` and its weak references.
    value: usize,
    dict: usize,
    weak: usize,
}

static CLASS: PyOnceLock<Class> = PyOnceLock::new();

/// Freed objects of this very class for the next tensors, as CPython keeps tuples and floats: a third of what an
/// object costs is finding and clearing its memory. Pointers and count change only under the GIL.
struct Spare {
    objects: [AtomicPtr<ffi::PyObject>; SPARE],
    count: AtomicUsize,
}

const SPARE: usize = 64;
static SPARES: Spare =
    Spare { objects: [const { AtomicPtr::new(std::ptr::null_mut()) }; SPARE], count: AtomicUsize::new(0) };

impl Spare {
    /// Memory of an object that the garbage collector does not know and whose words but type and count are all zero.
    #[inline]
    fn take(&self) -> Option<*mut ffi::PyObject> {
        let last = self.count.load(Ordering::Relaxed).checked_sub(1)?;
        self.count.store(last, Ordering::Relaxed);
        Some(self.objects[last % SPARE].load(Ordering::Relaxed))
    }

    /// Whether there was room for it.
    #[inline]
    fn keep(&self, object: *mut ffi::PyObject) -> bool {
        let count = self.count.load(Ordering::Relaxed);
        if count >= SPARE {
            return false;
        }
        self.objects[count].store(object, Ordering::Relaxed);
        self.count.store(count + 1, Ordering::Relaxed);
        true
    }
}

fn class(py: Python<'_>) -> PyResult<&'static Class> {
    CLASS.get_or_try_init(py, || make(py))
}

/// The class `Tensor`.
pub fn tensor_class(py: Python<'_>) -> PyResult<Bound<'_, PyType>> {
    Ok(class(py)?.object.bind(py).clone())
}

fn internal(text: &'static str) -> PyErr {
    InternalError::new_err(text)
}

/// # Safety
/// `F` is the type of function that the slot holds.
unsafe fn slot<F>(class: *mut ffi::PyTypeObject, slot: i32) -> PyResult<F> {
    assert_eq!(std::mem::size_of::<F>(), std::mem::size_of::<*mut c_void>());
    let found = ffi::PyType_GetSlot(class, slot);
    if found.is_null() {
        return Err(internal("the class Tensor lacks a slot"));
    }
    Ok(std::mem::transmute_copy(&found))
}

fn make(py: Python<'_>) -> PyResult<Class> {
    let base = py.get_type::<PyTensor>();
    let sample = Bound::new(py, PyTensor::from(Tensor::scalar(0.0, wengert_ops::DType::F32).raise()?))?;
    let value = std::ptr::from_ref(sample.get()) as usize - sample.as_ptr() as usize;
    let number = |name: &str| base.getattr(name)?.extract::<usize>();
    let (size, dict, weak) = (number("__basicsize__")?, number("__dictoffset__")?, number("__weakrefoffset__")?);
    if dict == 0 || weak == 0 {
        return Err(internal("objects of Tensor have no place for a __dict__ or for weak references"));
    }
    // Everything but the value must be zero in a new object, for that is how the allocator leaves it.
    let word = std::mem::size_of::<usize>();
    let range = value..value + std::mem::size_of::<PyTensor>();
    for at in (std::mem::size_of::<ffi::PyObject>()..size).step_by(word) {
        // SAFETY: an aligned word inside the sample object.
        let zero = || unsafe { *sample.as_ptr().byte_add(at).cast::<usize>() } == 0;
        if !range.contains(&at) && at != dict && !zero() {
            return Err(internal("objects of Tensor are not laid out as expected"));
        }
    }
    let mut slots = [
        ffi::PyType_Slot { slot: ffi::Py_tp_dealloc, pfunc: dealloc as *mut c_void },
        ffi::PyType_Slot { slot: ffi::Py_nb_add, pfunc: operator::<{ Row::Add as usize }> as *mut c_void },
        ffi::PyType_Slot { slot: ffi::Py_nb_subtract, pfunc: operator::<{ Row::Sub as usize }> as *mut c_void },
        ffi::PyType_Slot { slot: ffi::Py_nb_multiply, pfunc: operator::<{ Row::Mul as usize }> as *mut c_void },
        ffi::PyType_Slot { slot: ffi::Py_nb_true_divide, pfunc: operator::<{ Row::Div as usize }> as *mut c_void },
        ffi::PyType_Slot { slot: ffi::Py_mp_subscript, pfunc: subscript as *mut c_void },
        ffi::PyType_Slot { slot: ffi::Py_tp_methods, pfunc: Box::leak(Box::new(methods())).as_mut_ptr().cast() },
        ffi::PyType_Slot { slot: 0, pfunc: std::ptr::null_mut() },
    ];
    // SAFETY: the functions are static, the slots end with a 0 and hold functions of their slots' types.
    let object = unsafe { of_slots(py, c"wengert.Tensor", &mut slots, base.as_any())? };
    object.setattr("__doc__", base.getattr("__doc__")?)?;
    let raw = object.as_type_ptr();
    // SAFETY: these are the types of these slots.
    let (alloc, free) = unsafe { (slot(raw, ffi::Py_tp_alloc)?, slot(raw, ffi::Py_tp_free)?) };
    Ok(Class { object: object.unbind(), alloc, free, value, dict, weak })
}

/// A class over another, from which it has its size, garbage collection and all that is not in its slots. It may be
/// inherited from.
///
/// # Safety
/// The slots end with a 0 and hold what their kinds ask for, which lives as long as the process.
pub unsafe fn of_slots<'py>(
    py: Python<'py>,
    name: &'static CStr,
    slots: &mut [ffi::PyType_Slot],
    base: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyType>> {
    let mut spec = ffi::PyType_Spec {
        name: name.as_ptr(),
        basicsize: 0,
        itemsize: 0,
        flags: (ffi::Py_TPFLAGS_DEFAULT | ffi::Py_TPFLAGS_BASETYPE) as u32,
        slots: slots.as_mut_ptr(),
    };
    let made = ffi::PyType_FromSpecWithBases(&mut spec, base.as_ptr());
    Ok(Bound::from_owned_ptr_or_err(py, made)?.cast_into::<PyType>()?)
}

/// Methods that cost less than PyO3's way to them.
fn methods() -> [ffi::PyMethodDef; 2] {
    let item = ffi::PyMethodDef {
        ml_name: c"item".as_ptr(),
        ml_meth: ffi::PyMethodDefPointer { PyCFunction: item },
        ml_flags: ffi::METH_NOARGS,
        ml_doc: ITEM.as_ptr(),
    };
    [item, ffi::PyMethodDef::zeroed()]
}

const ITEM: &CStr = c"item($self, /)\n--\n
The only element as a Python number.

Raises:
    RuntimeError: for a tensor of none or of several elements.

Example:
    >>> import wengert as wg
    >>> wg.tensor([2.5]).item()
    2.5
";

/// `x.item()`.
///
/// # Safety
/// Called by Python with the GIL and an object of the class.
unsafe extern "C" fn item(object: *mut ffi::PyObject, _: *mut ffi::PyObject) -> *mut ffi::PyObject {
    let py = Python::assume_attached();
    answer(py, "item", || match tensor_of(&Borrowed::from_ptr(py, object)) {
        Some(x) => number(py, x.item().raise()?),
        None => Err(internal("item() of an object that is no Tensor")),
    })
}

/// The Python object of a tensor that was just made.
#[inline]
pub fn fresh(py: Python<'_>, t: Tensor) -> PyResult<Py<PyAny>> {
    let class = match CLASS.get(py) {
        Some(class) => class,
        None => class(py)?,
    };
    // SAFETY: the allocator of this very class gives a new object whose contents are all zero, as they are in a spare
    // one; this is right for all but the value (checked in `make`), which is written before anybody sees the object.
    unsafe {
        let spare = SPARES.take();
        let object = match spare {
            Some(spare) => ffi::PyObject_Init(spare, class.object.as_ptr().cast()),
            None => (class.alloc)(class.object.as_ptr().cast(), 0),
        };
        if object.is_null() {
            return Err(PyErr::fetch(py));
        }
        t.object_slot().store(object.cast(), Ordering::Relaxed);
        object.byte_add(class.value).cast::<PyTensor>().write(PyTensor::from(t));
        if spare.is_some() {
            ffi::PyObject_GC_Track(object.cast());
        }
        Ok(Bound::from_owned_ptr(py, object).unbind())
    }
}

/// A new object of the class or a subclass for a tensor, with these attributes.
pub fn renewed(
    py: Python<'_>,
    kind: &Bound<'_, PyType>,
    t: Tensor,
    attributes: Option<Bound<'_, PyDict>>,
) -> PyResult<Py<PyAny>> {
    let class = class(py)?;
    let kind = kind.as_type_ptr();
    // SAFETY: as in `fresh`; objects of subclasses begin like those of the class.
    unsafe {
        let alloc: ffi::allocfunc = slot(kind, ffi::Py_tp_alloc)?;
        let object = alloc(kind, 0);
        if object.is_null() {
            return Err(PyErr::fetch(py));
        }
        object.byte_add(class.value).cast::<PyTensor>().write(PyTensor::from(t));
        if let Some(attributes) = attributes {
            object.byte_add(class.dict).cast::<*mut ffi::PyObject>().write(attributes.into_ptr());
        }
        Ok(Bound::from_owned_ptr(py, object).unbind())
    }
}

/// # Safety
/// Called by Python with the GIL, once for an object of the class or of a subclass that nobody holds any more.
unsafe extern "C" fn dealloc(object: *mut ffi::PyObject) {
    let py = Python::assume_attached();
    // Objects are made only after the class.
    let Some(class) = CLASS.get(py) else { return };
    ffi::PyObject_GC_UnTrack(object.cast());
    if !(*object.byte_add(class.weak).cast::<*mut c_void>()).is_null() {
        ffi::PyObject_ClearWeakRefs(object);
    }
    let value = object.byte_add(class.value).cast::<PyTensor>();
    let dict = object.byte_add(class.dict).cast::<*mut ffi::PyObject>();
    let exact = ffi::Py_TYPE(object);
    if exact.cast() != class.object.as_ptr() || !(*dict).is_null() {
        crate::owned::leave(py, &(*value).inner, object, dict);
    }
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        // PyO3 must know that this thread holds the GIL, or what goes now would go later; while the interpreter
        // ends it does not want to know, and there is no later.
        if !crate::owned::any() || Python::try_attach(|_| value.drop_in_place()).is_none() {
            value.drop_in_place();
        }
    }));
    if outcome.is_err() {
        InternalError::new_err("a panic while a tensor was freed; please report it").write_unraisable(py, None);
    }
    if !(*dict).is_null() {
        ffi::Py_DECREF(std::ptr::replace(dict, std::ptr::null_mut()));
    }
    if exact.cast() == class.object.as_ptr() {
        if !SPARES.keep(object) {
            (class.free)(object.cast());
        }
    } else if let Ok(free) = slot::<ffi::freefunc>(exact, ffi::Py_tp_free) {
        free(object.cast());
    }
    // Objects of heap types hold their type.
    ffi::Py_DECREF(exact.cast());
}

/// The tensor of an object of this very class.
#[inline]
fn plain_tensor<'a>(object: &'a Bound<'_, PyAny>) -> Option<&'a Tensor> {
    let class = CLASS.get(object.py())?;
    if object.get_type_ptr().cast() != class.object.as_ptr() {
        return None;
    }
    // SAFETY: an object of this class holds its value at this place for as long as it lives.
    Some(unsafe { &(*object.as_ptr().byte_add(class.value).cast::<PyTensor>()).inner })
}

/// The tensor of an object, if it is one: most are of this very class, which one compare tells.
#[inline]
pub fn tensor_of<'a>(object: &'a Bound<'_, PyAny>) -> Option<&'a Tensor> {
    plain_tensor(object).or_else(|| tensor_of_subclass(object))
}

#[inline(never)]
fn tensor_of_subclass<'a>(object: &'a Bound<'_, PyAny>) -> Option<&'a Tensor> {
    object.cast::<PyTensor>().ok().map(|t| &t.get().inner)
}

/// What a slot gives back to Python; a panic becomes an InternalError.
pub fn answer(py: Python<'_>, name: &str, f: impl FnOnce() -> PyResult<Py<PyAny>>) -> *mut ffi::PyObject {
    // A pointer comes out: a whole result is eight words to be moved.
    let outcome = catch_unwind(AssertUnwindSafe(|| match f() {
        Ok(object) => object.into_ptr(),
        Err(e) => raised(py, e),
    }));
    match outcome {
        Ok(object) => object,
        Err(_) => raised(py, InternalError::new_err(format!("{name}(): a panic inside wengert; please report it"))),
    }
}

#[cold]
fn raised(py: Python<'_>, e: PyErr) -> *mut ffi::PyObject {
    e.restore(py);
    std::ptr::null_mut()
}

/// A binary operator: either operand may be the tensor.
///
/// # Safety
/// Called by Python with the GIL and two live objects.
unsafe extern "C" fn operator<const ROW: usize>(a: *mut ffi::PyObject, b: *mut ffi::PyObject) -> *mut ffi::PyObject {
    let py = Python::assume_attached();
    let op = Row::ALL[ROW];
    answer(py, op.name(), || {
        let (a, b) = (Borrowed::from_ptr(py, a), Borrowed::from_ptr(py, b));
        // Most operands are of this very class or plain numbers, and told by a compare each.
        if let Some(x) = plain_tensor(&a) {
            if let Some(y) = plain_tensor(&b) {
                return done(py, wengert::row(op, &[x.into(), y.into()]));
            }
            if let Some(number) = plain_number(&b) {
                return done(py, wengert::row(op, &[x.into(), number.into()]));
            }
        }
        match (tensor_of(&a), tensor_of(&b)) {
            (Some(x), _) => binary(py, op, x, &b, false),
            (None, Some(y)) if op == Row::Sub => binary(py, Row::Rsub, y, &a, false),
            (None, Some(y)) => binary(py, op, y, &a, true),
            (None, None) => Ok(py.NotImplemented()),
        }
    })
}

/// `x[key]`.
///
/// # Safety
/// Called by Python with the GIL, an object of the class and a live key.
unsafe extern "C" fn subscript(object: *mut ffi::PyObject, key: *mut ffi::PyObject) -> *mut ffi::PyObject {
    let py = Python::assume_attached();
    answer(py, "__getitem__", || {
        let (object, key) = (Borrowed::from_ptr(py, object), Borrowed::from_ptr(py, key));
        match tensor_of(&object) {
            Some(x) => crate::index::read(py, x, &key),
            None => Ok(py.NotImplemented()),
        }
    })
}
