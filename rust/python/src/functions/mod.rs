//! Functions that are no rows of the table, as methods of Tensor and as functions of the module.

mod host;
mod indexing;
mod joining;
mod linalg;
mod nn;
mod reduce;
mod shaping;

use crate::args::Ints;
use crate::class::{answer, tensor_of};
use crate::error::Raise;
use crate::tensor::{fresh, wrap, PyTensor};
use crate::types::type_name;
use pyo3::exceptions::{PyRuntimeError, PyTypeError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyCFunction, PyDict, PyTuple};
use pyo3::{ffi, Borrowed};
use std::ffi::{CStr, CString};
use wengert::Tensor;

pub type Object<'a, 'py> = &'a Bound<'py, PyAny>;

/// From this much work on (elements, or multiplications) other Python threads may run meanwhile.
const LONG: usize = 100_000;

/// These compute in the dtype of `out=`.
const FOLDS: &[&str] = &["sum", "prod", "cumsum", "cumprod"];

/// These convert a result for `out=` within its category or to a higher one; the others want its very dtype.
const CASTING: &[&str] = &["mean", "max", "min"];

pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_function(wrap_pyfunction!(_write_out, m)?)?;
    m.add_function(wrap_pyfunction!(shaping::_check_parts, m)?)?;
    joining::register(m)?;
    linalg::register(m)?;
    nn::register(m)?;
    host::register(m)?;
    let class = m.py().get_type::<PyTensor>();
    for names in [reduce::FUNCTIONS, shaping::FUNCTIONS, indexing::FUNCTIONS, linalg::FUNCTIONS, nn::FUNCTIONS] {
        for (name, out) in names {
            m.add(*name, function(m, name, class.getattr(*name)?, *out)?)?;
        }
    }
    Ok(())
}

/// A method as a function that also takes `input=`, numpy's names of arguments and, if `out`, `out=`.
fn function<'py>(
    m: &Bound<'py, PyModule>,
    name: &'static str,
    method: Bound<'py, PyAny>,
    out: bool,
) -> PyResult<Bound<'py, PyCFunction>> {
    let signature = method.getattr("__text_signature__")?.extract::<Option<String>>()?.unwrap_or_default();
    let mut signature = signature.replace("$self, /", "input").replace("$self", "input");
    if out && signature.ends_with(')') {
        signature.pop();
        signature.push_str(if signature.contains('*') { ", out=None)" } else { ", *, out=None)" });
    }
    let text = method.getattr("__doc__")?.extract::<Option<String>>()?.unwrap_or_default();
    let name_c = leak(name.to_owned())?;
    let doc = leak(format!("{name}{signature}\n--\n\n{text}"))?;
    let through = Bound::new(m.py(), Through { name, method: method.unbind(), out })?;
    let definition = Box::leak(Box::new(ffi::PyMethodDef {
        ml_name: name_c.as_ptr(),
        ml_meth: ffi::PyMethodDefPointer { PyCFunctionFastWithKeywords: enter },
        ml_flags: ffi::METH_FASTCALL | ffi::METH_KEYWORDS,
        ml_doc: doc.as_ptr(),
    }));
    // SAFETY: the definition is leaked, as functions keep pointers to it; `enter` gets what it expects as `self`.
    unsafe {
        let made = ffi::PyCFunction_NewEx(definition, through.as_ptr(), std::ptr::null_mut());
        Ok(Bound::from_owned_ptr_or_err(m.py(), made)?.cast_into_unchecked())
    }
}

/// What a function hands its arguments to.
#[pyclass(frozen, module = "wengert")]
struct Through {
    name: &'static str,
    method: Py<PyAny>,
    out: bool,
}

#[pymethods]
impl Through {
    /// Functions are pickled as attributes of what they are bound to: for these that is the module.
    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, (&'static str,))> {
        Ok((py.import("importlib")?.getattr("import_module")?, ("wengert._core",)))
    }
}

/// A function that goes through to a method.
///
/// # Safety
/// Called by Python with the GIL, a [`Through`], `n` live arguments and one more per name.
unsafe extern "C" fn enter(
    slf: *mut ffi::PyObject,
    args: *const *mut ffi::PyObject,
    n: ffi::Py_ssize_t,
    names: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    let py = Python::assume_attached();
    let slf = Borrowed::from_ptr(py, slf).cast_unchecked::<Through>();
    let Through { name, method, out } = slf.get();
    answer(py, name, || {
        let n = n as usize;
        // The everyday call goes on without a tuple.
        if names.is_null() && (1..=3).contains(&n) && tensor_of(&Borrowed::from_ptr(py, *args)).is_some() {
            let arg = |i: usize| if i < n { *args.add(i) } else { std::ptr::null_mut() };
            let end = std::ptr::null_mut::<ffi::PyObject>();
            let result = ffi::PyObject_CallFunctionObjArgs(method.as_ptr(), arg(0), arg(1), arg(2), end);
            return Ok(Bound::from_owned_ptr_or_err(py, result)?.unbind());
        }
        let given = |i: usize| Bound::from_borrowed_ptr(py, *args.add(i));
        let positional = PyTuple::new(py, (0..n).map(given))?;
        let mut named = None;
        if !names.is_null() {
            let dict = PyDict::new(py);
            let names = Borrowed::from_ptr(py, names).cast_unchecked::<PyTuple>();
            for (i, name) in names.iter().enumerate() {
                dict.set_item(name, given(n + i))?;
            }
            named = Some(dict);
        }
        call(name, method, *out, &positional, named.as_ref())
    })
}

/// Names and docs of built-in functions live as long as the process.
fn leak(text: String) -> PyResult<&'static CStr> {
    let text = CString::new(text).map_err(|_| PyRuntimeError::new_err("a docstring holds a zero byte"))?;
    Ok(Box::leak(text.into_boxed_c_str()))
}

fn call(
    name: &str,
    method: &Py<PyAny>,
    out: bool,
    args: &Bound<'_, PyTuple>,
    kwargs: Option<&Bound<'_, PyDict>>,
) -> PyResult<Py<PyAny>> {
    let py = args.py();
    let method = method.bind(py);
    let (mut first, mut target, mut named) = (None, None, None);
    if let Some(kwargs) = kwargs {
        let rest = kwargs.copy()?;
        if args.is_empty() {
            for alias in ["input", "x", "self"] {
                if let Some(value) = rest.get_item(alias)? {
                    rest.del_item(alias)?;
                    first = Some(value);
                    break;
                }
            }
        }
        if out {
            target = rest.get_item("out")?.filter(|o| !o.is_none());
            if rest.contains("out")? {
                rest.del_item("out")?;
            }
            if let Some(out) = target.as_ref().filter(|_| FOLDS.contains(&name)) {
                if !rest.contains("dtype")? {
                    rest.set_item("dtype", out.getattr("dtype")?)?;
                }
            }
        }
        named = Some(rest);
    }
    let input = match &first {
        Some(input) => input.clone(),
        None if args.is_empty() => {
            return Err(PyTypeError::new_err(format!("{name}() missing 1 required positional arguments: \"input\"")));
        }
        None => args.get_item(0)?,
    };
    if !input.is_instance_of::<PyTensor>() {
        return Err(PyTypeError::new_err(format!(
            "{name}(): argument 'input' (position 1) must be Tensor, not {}",
            type_name(&input)
        )));
    }
    let result = match first {
        Some(input) => method.call((input,), named.as_ref())?,
        None => method.call(args, named.as_ref())?,
    };
    match target {
        Some(target) => {
            let cast = CASTING.contains(&name) && !result.is_instance_of::<PyTuple>();
            write_out(name, &target, &result, cast)
        }
        None => Ok(result.unbind()),
    }
}

/// Puts a result into `out=`: a tensor, or a tuple of them for several results. What has another shape is resized.
/// `cast`: results are converted, unless floats would become integers, or numbers truth values.
pub fn write_out(name: &str, out: Object<'_, '_>, result: Object<'_, '_>, cast: bool) -> PyResult<Py<PyAny>> {
    let py = out.py();
    if let Ok(results) = result.cast::<PyTuple>() {
        let outs: Vec<Bound<'_, PyAny>> = out.try_iter().and_then(|i| i.collect()).map_err(|_| {
            PyTypeError::new_err(format!("{name}(): argument 'out' must be tuple of Tensors, not {}", type_name(out)))
        })?;
        if outs.len() != results.len() {
            return Err(PyTypeError::new_err(format!(
                "{name}(): argument 'out' must hold {} tensors, but got {}",
                results.len(),
                outs.len()
            )));
        }
        for (o, r) in outs.iter().zip(results.iter()) {
            write_out(name, o, &r, cast)?;
        }
        let class = result.get_type();
        return if class.is(py.get_type::<PyTuple>()) {
            Ok(PyTuple::new(py, outs)?.into_any().unbind())
        } else {
            Ok(class.call1(PyTuple::new(py, outs)?)?.unbind())
        };
    }
    let target = crate::args::need_tensor(name, "out", out)?;
    let result = crate::args::need_tensor(name, "result", result)?;
    if !cast && target.dtype() != result.dtype() {
        return Err(PyRuntimeError::new_err(format!(
            "{name}(): Expected out tensor to have dtype {}, but got {} instead",
            result.dtype(),
            target.dtype()
        )));
    }
    crate::rows::write_out(name, out, result)
}

/// Refuses an `out=` that overlaps an operand partly; being an operand is allowed.
pub fn check_overlap<'a>(out: &Tensor, operands: impl Iterator<Item = &'a Tensor>) -> PyResult<()> {
    // Where elements do not lie densely, ranges tell nothing, and PyTorch allows it.
    let dense = |t: &Tensor| {
        let (layout, size) = (t.layout(), t.dtype().size());
        let (low, high) = layout.span();
        (layout.numel() > 0 && high - low == layout.numel() && !layout.self_overlaps())
            .then_some((low * size..high * size, layout))
    };
    for x in operands.filter(|x| out.shares_storage(x)) {
        let (Some((to, written)), Some((from, read))) = (dense(out), dense(x)) else { continue };
        let same = to == from && written.strides() == read.strides();
        if !same && to.start < from.end && from.start < to.end {
            return Err(PyRuntimeError::new_err(
                "unsupported operation: some elements of the input tensor and the written-to tensor refer to a single \
                 memory location. Please clone() the tensor before performing the operation.",
            ));
        }
    }
    Ok(())
}

/// [`write_out`] for composed functions.
///
/// Example:
///     >>> wg._core._write_out("f", wg.empty(0), wg.ones(2), False)
///     tensor([1., 1.])
#[pyfunction]
fn _write_out(name: &str, out: Object<'_, '_>, result: Object<'_, '_>, cast: bool) -> PyResult<Py<PyAny>> {
    write_out(name, out, result, cast)
}

/// An argument that may be left out, but not be None.
pub enum Maybe<'a, 'py> {
    Missing,
    Given(Borrowed<'a, 'py, PyAny>),
}

impl<'a, 'py> FromPyObject<'a, 'py> for Maybe<'a, 'py> {
    type Error = PyErr;
    fn extract(obj: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        Ok(Maybe::Given(obj))
    }
}

impl<'a, 'py> Maybe<'a, 'py> {
    pub fn given(&self) -> Option<&Bound<'py, PyAny>> {
        match self {
            Maybe::Missing => None,
            Maybe::Given(obj) => Some(obj),
        }
    }
}

/// A dim under PyTorch's or numpy's name.
pub fn either<'a, 'py>(dim: Option<Object<'a, 'py>>, axis: Option<Object<'a, 'py>>) -> Option<Object<'a, 'py>> {
    dim.or(axis)
}

/// A dim that must be given.
pub fn need_dim(op: &str, dim: Option<Object<'_, '_>>, axis: Option<Object<'_, '_>>) -> PyResult<isize> {
    match either(dim, axis) {
        Some(dim) => crate::args::index(op, "dim", dim),
        None => Err(PyTypeError::new_err(format!("{op}() missing 1 required positional arguments: \"dim\""))),
    }
}

/// A dim with a default.
pub fn dim_or(op: &str, dim: Option<Object<'_, '_>>, axis: Option<Object<'_, '_>>, default: isize) -> PyResult<isize> {
    either(dim, axis).map_or(Ok(default), |d| crate::args::index(op, "dim", d))
}

/// `f(2, 3)`, `f((2, 3))` and `f(name=(2, 3))` alike.
pub fn spread(op: &str, name: &str, args: &Bound<'_, PyTuple>, named: Option<Object<'_, '_>>) -> PyResult<Ints> {
    match named {
        Some(named) if args.is_empty() => crate::args::ints(op, name, named),
        Some(_) => Err(PyTypeError::new_err(format!("{op}() got multiple values for argument '{name}'"))),
        None if args.is_empty() => {
            Err(PyTypeError::new_err(format!("{op}() missing 1 required positional arguments: \"{name}\"")))
        }
        None => crate::args::varargs(op, name, args),
    }
}

/// Runs a kernel; a long one lets other Python threads run.
#[inline]
pub fn run<T: Send>(py: Python<'_>, work: usize, kernel: impl FnOnce() -> wengert::Result<T> + Send) -> PyResult<T> {
    if work >= LONG {
        crate::owned::detached(py, kernel).raise()
    } else {
        kernel().raise()
    }
}

/// A new tensor under the name that PyTorch gives its node.
#[inline]
pub fn named(py: Python<'_>, t: Tensor, name: &str) -> PyResult<Py<PyAny>> {
    t.relabel(name);
    fresh(py, t)
}

/// A tuple of new tensors.
pub fn tuple(py: Python<'_>, tensors: Vec<Tensor>) -> PyResult<Py<PyAny>> {
    let objects = tensors.into_iter().map(|t| wrap(py, t)).collect::<PyResult<Vec<_>>>()?;
    Ok(PyTuple::new(py, objects)?.into_any().unbind())
}

static RETURN_TYPES: PyOnceLock<Py<PyDict>> = PyOnceLock::new();

/// A pair (values, indices) of the class `torch.return_types.NAME`, which Python makes on first use.
pub fn values_indices(py: Python<'_>, name: &'static str, pair: (Tensor, Tensor)) -> PyResult<Py<PyAny>> {
    let types = RETURN_TYPES.get_or_init(py, || PyDict::new(py).unbind()).bind(py);
    let class = match types.get_item(name)? {
        Some(class) => class,
        None => {
            let make = py.import("wengert._functions._compose")?.getattr("results")?;
            let class = make.call1((name, "values", "indices"))?;
            types.set_item(name, &class)?;
            class
        }
    };
    Ok(class.call1((fresh(py, pair.0)?, fresh(py, pair.1)?))?.unbind())
}
