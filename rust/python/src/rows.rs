//! Every elementwise row as a method, an in-place method and a function, made from the registry.
//!
//! They are plain C functions with positional vectors (METH_FASTCALL), one instance per row, all going
//! through [`call`].

use crate::args::Operand;
use crate::class::{answer, tensor_class};
use crate::error::{to_py, Raise};
use crate::row_arguments::{default_of, everyday, need, parameter, swapped, Form};
use crate::row_cases::{by_bounds, clamp, numeric_power, Args};
use crate::tensor::{fresh, tensor_of};
use crate::types::dtype_object;
use pyo3::exceptions::{PyRuntimeError, PyTypeError, PyUserWarning};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString, PyTuple};
use pyo3::Borrowed;
use smallvec::SmallVec;
use std::ffi::CString;
use std::os::raw::c_int;
use wengert::rows::Class;
use wengert::{row, Arg, Row, Scalar, Tensor};

type Fast = ffi::PyCFunctionFastWithKeywords;

unsafe extern "C" fn method<const ROW: usize>(
    slf: *mut ffi::PyObject,
    args: *const *mut ffi::PyObject,
    n: ffi::Py_ssize_t,
    names: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    enter(Row::ALL[ROW], Form::Method, slf, args, n, names)
}

unsafe extern "C" fn in_place<const ROW: usize>(
    slf: *mut ffi::PyObject,
    args: *const *mut ffi::PyObject,
    n: ffi::Py_ssize_t,
    names: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    enter(Row::ALL[ROW], Form::InPlace, slf, args, n, names)
}

unsafe extern "C" fn function<const ROW: usize>(
    _module: *mut ffi::PyObject,
    args: *const *mut ffi::PyObject,
    n: ffi::Py_ssize_t,
    names: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    enter(Row::ALL[ROW], Form::Function, std::ptr::null_mut(), args, n, names)
}

macro_rules! entries {
    ($(
        $class:ident $V:ident $name:ident ($($arg:ident),*) -> $y:ident = $value:expr, [$($partial:expr),*],
        $(($lo:expr, $hi:expr))* $(! $kink:expr)?, $doc:literal;
    )*) => {
        static ENTRIES: &[(Row, [Fast; 3])] =
            &[$((Row::$V, [method::<{ Row::$V as usize }>, in_place::<{ Row::$V as usize }>, function::<{ Row::$V as usize }>])),*];
    };
}

wengert_ops::elementwise_table! { entries }

/// # Safety
/// Called by Python with the GIL, with `n` live arguments and one more per name.
unsafe fn enter(
    op: Row,
    form: Form,
    slf: *mut ffi::PyObject,
    args: *const *mut ffi::PyObject,
    n: ffi::Py_ssize_t,
    names: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    let py = Python::assume_attached();
    answer(py, op.name(), || {
        // Python holds the arguments during the call.
        let mut given: SmallVec<[Borrowed<'_, '_, PyAny>; 4]> = SmallVec::new();
        if !slf.is_null() {
            given.push(Borrowed::from_ptr(py, slf));
        }
        for i in 0..n as usize {
            given.push(Borrowed::from_ptr(py, *args.add(i)));
        }
        let named = if names.is_null() {
            None
        } else {
            let names = Bound::from_borrowed_ptr(py, names).cast_into_unchecked::<PyTuple>();
            let mut pairs: SmallVec<[(Bound<'_, PyAny>, Bound<'_, PyAny>); 2]> = SmallVec::new();
            for (i, name) in names.iter().enumerate() {
                pairs.push((name, Bound::from_borrowed_ptr(py, *args.add(n as usize + i))));
            }
            Some(pairs)
        };
        call(py, op, form, &given, named.as_deref())
    })
}

fn call(
    py: Python<'_>,
    op: Row,
    form: Form,
    given: &[Borrowed<'_, '_, PyAny>],
    named: Option<&[(Bound<'_, PyAny>, Bound<'_, PyAny>)]>,
) -> PyResult<Py<PyAny>> {
    let arity = op.arity();
    // The common case: as many positional arguments as the row has inputs.
    if named.is_none() && given.len() == arity && !by_bounds(op) && op != Row::NanToNum {
        if arity == 1 {
            if let Some(x) = tensor_of(&given[0]) {
                if form == Form::InPlace {
                    x.row_(op, &[]).raise()?;
                    return Ok(given[0].to_owned().unbind());
                }
                return crate::tensor::done(py, row(op, &[Arg::Tensor(x)]));
            }
        }
        if let Some(args) = everyday(op, form, given) {
            let (mut op, mut args) = (op, args);
            if op == Row::Pow {
                (op, args) = numeric_power(args)?;
            }
            if form == Form::InPlace {
                if let Arg::Tensor(x) = args[0] {
                    x.row_(op, &args[1..]).raise()?;
                    return Ok(given[0].to_owned().unbind());
                }
            }
            let large = args.iter().any(|a| matches!(a, Arg::Tensor(t) if t.numel() > DETACH));
            return crate::tensor::done(
                py,
                if large { crate::owned::detached(py, || row(op, &args)) } else { row(op, &args) },
            );
        }
        let mut operands: SmallVec<[Operand; 4]> = SmallVec::new();
        for i in 0..arity {
            operands.push(need(op, i, &given[swapped(op, form, i)])?);
        }
        return run(py, op, form, given.first().map(|g| &**g), operands, None);
    }
    general(py, op, form, given, named.unwrap_or(&[]))
}

/// From this many elements on, others may run Python meanwhile.
const DETACH: usize = 200_000;

fn general(
    py: Python<'_>,
    op: Row,
    form: Form,
    given: &[Borrowed<'_, '_, PyAny>],
    named: &[(Bound<'_, PyAny>, Bound<'_, PyAny>)],
) -> PyResult<Py<PyAny>> {
    let arity = op.arity();
    let name = op.name();
    if given.len() > arity {
        return Err(PyTypeError::new_err(format!(
            "{name}() takes {arity} positional argument{} but {} were given",
            if arity == 1 { "" } else { "s" },
            given.len()
        )));
    }
    let mut slots: SmallVec<[Option<Bound<'_, PyAny>>; 4]> = SmallVec::from_elem(None, arity);
    for (i, obj) in given.iter().enumerate() {
        slots[swapped(op, form, i)] = Some((**obj).clone());
    }
    let (mut out, mut alpha, mut rounding) = (None, None, None);
    for (key, value) in named {
        let key: &str = key.cast::<PyString>()?.to_str()?;
        match key {
            "out" if form != Form::InPlace => {
                out = if value.is_none() { None } else { Some(value.clone()) };
                continue;
            }
            "inplace" => continue,
            "alpha" if matches!(op, Row::Add | Row::Sub) => {
                alpha = Some(need(op, 1, value)?);
                continue;
            }
            "rounding_mode" if op == Row::Div => {
                rounding = if value.is_none() { None } else { Some(value.extract::<String>()?) };
                continue;
            }
            _ => {}
        }
        let place = (0..arity)
            .find(|&i| parameter(op, i) == key || op.info().args[i] == key || (i == 0 && matches!(key, "self" | "x")));
        match place {
            Some(i) if slots[i].is_none() => slots[i] = Some(value.clone()),
            Some(_) => return Err(PyTypeError::new_err(format!("{name}() got multiple values for argument '{key}'"))),
            None => return Err(PyTypeError::new_err(format!("{name}() got an unexpected keyword argument '{key}'"))),
        }
    }
    let mut operands: SmallVec<[Operand; 4]> = SmallVec::new();
    let first = slots[swapped(op, form, 0)].clone();
    for (i, slot) in slots.iter().enumerate() {
        operands.push(match slot {
            Some(obj) if !obj.is_none() => need(op, i, obj)?,
            _ => match default_of(op, i) {
                Some(s) => Operand::Scalar(s),
                None => {
                    return Err(PyTypeError::new_err(format!(
                        "{name}() missing 1 required positional arguments: \"{}\"",
                        parameter(op, i)
                    )))
                }
            },
        });
    }
    let (mut op, mut node) = (op, None);
    if by_bounds(op) {
        let missing = |i: usize| slots.get(i).is_none_or(|s| s.as_ref().is_none_or(|o| o.is_none()));
        (op, node) = clamp(op, &mut operands, [missing(1), missing(2)])?;
    }
    if op == Row::NanToNum {
        if let Operand::Tensor(t) = &operands[0] {
            match t.dtype().finfo() {
                Some(info) => {
                    for (i, v) in [(2, info.max), (3, -info.max)] {
                        if slots[i].as_ref().is_none_or(|o| o.is_none()) {
                            operands[i] = Operand::Scalar(Scalar::Float(v));
                        }
                    }
                }
                None => operands.iter_mut().skip(1).for_each(|o| *o = Operand::Scalar(Scalar::Int(0))),
            }
        }
    }
    if let Some(alpha) = alpha {
        let (is_float, integral) = match (&operands[0], &operands[1]) {
            (Operand::Tensor(a), Operand::Tensor(b)) => (a.dtype().is_float() || b.dtype().is_float(), true),
            (Operand::Tensor(a), Operand::Scalar(s)) => (a.dtype().is_float() || matches!(s, Scalar::Float(_)), true),
            _ => (true, true),
        };
        if let (Operand::Scalar(Scalar::Float(_)), false, true) = (&alpha, is_float, integral) {
            return Err(PyRuntimeError::new_err(
                "For integral input tensors, argument alpha must not be a floating point number.",
            ));
        }
        let factor = match (op, alpha) {
            (Row::Sub, Operand::Scalar(Scalar::Int(i))) => Operand::Scalar(Scalar::Int(i.wrapping_neg())),
            (Row::Sub, Operand::Scalar(s)) => Operand::Scalar(Scalar::Float(-s.as_f64())),
            (_, a) => a,
        };
        operands.push(factor);
        op = Row::AddScaled;
    }
    match rounding.as_deref() {
        None => {}
        Some("floor") => op = Row::FloorDivide,
        Some("trunc") => op = Row::TruncDivide,
        Some(other) => {
            return Err(PyRuntimeError::new_err(format!(
                "div expected rounding_mode to be one of None, 'trunc', or 'floor' but found '{other}'"
            )))
        }
    }
    let result = run(py, op, form, first.as_ref(), operands, out)?;
    if let Some(node) = node {
        if let Some(t) = tensor_of(result.bind(py)) {
            t.relabel(node);
        }
    }
    Ok(result)
}

fn run(
    py: Python<'_>,
    op: Row,
    form: Form,
    first: Option<&Bound<'_, PyAny>>,
    operands: SmallVec<[Operand; 4]>,
    out: Option<Bound<'_, PyAny>>,
) -> PyResult<Py<PyAny>> {
    let (mut op, mut args): (Row, Args<'_>) = (op, operands.iter().map(|o| o.arg()).collect());
    if op == Row::Pow {
        (op, args) = numeric_power(args)?;
    }
    if form == Form::InPlace {
        let (Arg::Tensor(x), Some(first)) = (args[swapped(op, form, 0)], first) else {
            return Err(PyTypeError::new_err(format!("{}_(): the first argument must be a Tensor", op.name())));
        };
        if op == Row::Polygamma {
            // Its array is not the first input, which is the one that a row writes.
            let result = row(op, &args).raise()?;
            castable(&result, x)?;
            x.copy_(&result).raise()?;
        } else {
            x.row_(op, &args[1..]).raise()?;
        }
        return Ok(first.clone().unbind());
    }
    if !args.iter().any(|a| matches!(a, Arg::Tensor(_))) {
        return scalars_only(py, op, &args);
    }
    if let Some(out) = &out {
        if written(py, op, out, &args)? {
            return Ok(out.clone().unbind());
        }
    }
    let large = args.iter().any(|a| matches!(a, Arg::Tensor(t) if t.numel() > DETACH));
    let result = if large { crate::owned::detached(py, || row(op, &args)) } else { row(op, &args) };
    let result = result.map_err(to_py)?;
    match out {
        None => fresh(py, result),
        Some(out) => {
            check_exact(op, crate::args::need_tensor(op.name(), "out", &out)?, &result)?;
            write_out(op.name(), &out, &result)
        }
    }
}

/// Whether the result went to where `out` stands: else it must be computed apart and be converted or refused.
pub fn written(py: Python<'_>, op: Row, out: &Bound<'_, PyAny>, args: &[Arg<'_>]) -> PyResult<bool> {
    let Some(target) = tensor_of(out) else { return Ok(false) };
    let tensors = args.iter().filter_map(|a| if let Arg::Tensor(t) = a { Some(*t) } else { None });
    crate::functions::check_overlap(target, tensors)?;
    let write = || wengert::row_out(op, target, args);
    if target.numel() > DETACH { crate::owned::detached(py, write) } else { write() }.map_err(to_py)
}

/// Rows whose `out=` must have the result's dtype.
fn check_exact(op: Row, out: &Tensor, result: &Tensor) -> PyResult<()> {
    if !op.info().exact_out || out.dtype() == result.dtype() {
        return Ok(());
    }
    let (found, expected) = (out.dtype().scalar_name(), result.dtype().scalar_name());
    Err(PyRuntimeError::new_err(if op.info().class == Class::Test {
        format!("{} does not support non-boolean outputs: out= is {found}", op.name())
    } else {
        format!("{}(): Found dtype {found} but expected {expected}: give out= the result's dtype", op.name())
    }))
}

/// Whether an in-place result or one for `out=` may be converted to the target's kind of dtype.
fn castable(result: &Tensor, target: &Tensor) -> PyResult<()> {
    if result.dtype().category() > target.dtype().category() {
        return Err(PyRuntimeError::new_err(format!(
            "result type {} can't be cast to the desired output type {}",
            result.dtype().scalar_name(),
            target.dtype().scalar_name()
        )));
    }
    Ok(())
}

/// Functions of numbers alone: only `where` and `pow` have them in PyTorch.
fn scalars_only(py: Python<'_>, op: Row, args: &[Arg<'_>]) -> PyResult<Py<PyAny>> {
    if op != Row::Where {
        return Err(PyTypeError::new_err(format!(
            "{}(): argument 'input' (position 1) must be Tensor, not a number",
            op.name()
        )));
    }
    let Arg::Scalar(s) = args[1] else { return Err(PyTypeError::new_err("where(): a Tensor is needed")) };
    let made = Tensor::scalar(s, s.default_dtype(wengert::default_float())).raise()?;
    crate::tensor::done(py, row(op, &[args[0], Arg::Tensor(&made), args[2]]))
}

/// Copies a result into the tensor given as `out=`.
pub fn write_out(op: &str, out: &Bound<'_, PyAny>, result: &Tensor) -> PyResult<Py<PyAny>> {
    let target = crate::args::need_tensor(op, "out", out)?;
    wengert::check_out_argument(target)
        .and_then(|()| wengert::check_out_argument(result))
        .map_err(|e| to_py(e.context(&format!("{op}()"))))?;
    castable(result, target)?;
    if target.shape() != result.shape() {
        if target.numel() != 0 {
            let text = format!(
                "An output with one or more elements was resized since it had shape {:?}, which does not match the \
                 required output shape {:?}. This behavior is deprecated; resize the out= tensor of {op}() to zero \
                 elements first, with resize_(0).",
                &target.shape()[..],
                &result.shape()[..]
            );
            let py = out.py();
            PyErr::warn(py, &py.get_type::<PyUserWarning>(), &CString::new(text).unwrap_or_default(), 1)?;
        }
        target.set_data(&Tensor::empty(&result.shape(), target.dtype(), target.device()).raise()?).raise()?;
    }
    target.copy_(result).raise()?;
    Ok(out.clone().unbind())
}

/// The registry, for tests, docs and stubs.
#[pyfunction]
fn _rows<'py>(py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
    let list = PyList::empty(py);
    for &r in Row::ALL {
        let info = r.info();
        let d = PyDict::new(py);
        d.set_item("name", info.name)?;
        d.set_item("arity", r.arity())?;
        d.set_item("args", (0..r.arity()).map(|i| parameter(r, i)).collect::<Vec<_>>())?;
        d.set_item("defaults", (0..r.arity()).map(|i| default_of(r, i).map(|s| s.as_f64())).collect::<Vec<_>>())?;
        d.set_item("class", format!("{:?}", info.class).to_lowercase())?;
        d.set_item("strict", info.strict)?;
        d.set_item("doc", info.doc)?;
        d.set_item("label", info.label)?;
        d.set_item("domain", info.domain.to_vec())?;
        d.set_item("kinks", info.kinks.is_some())?;
        d.set_item("hidden", info.hidden)?;
        d.set_item("differentiable", info.differentiable)?;
        d.set_item("inplace", has_in_place(r))?;
        d.set_item("numbers", (0..r.arity()).map(|i| info.numbers >> i & 1 == 1).collect::<Vec<_>>())?;
        d.set_item("tensors_only", info.tensors_only)?;
        d.set_item("home", info.home)?;
        list.append(d)?;
    }
    Ok(list)
}

fn has_in_place(r: Row) -> bool {
    !matches!(r.info().class, Class::Test) && r != Row::Where && r != Row::Copy
}

fn leak(text: String) -> *const std::os::raw::c_char {
    CString::new(text).unwrap_or_default().into_raw()
}

fn definition(name: String, doc: String, f: Fast) -> *mut ffi::PyMethodDef {
    Box::into_raw(Box::new(ffi::PyMethodDef {
        ml_name: leak(name),
        ml_meth: ffi::PyMethodDefPointer { PyCFunctionFastWithKeywords: f },
        ml_flags: ffi::METH_FASTCALL | ffi::METH_KEYWORDS as c_int,
        ml_doc: leak(doc),
    }))
}

fn doc(r: Row, form: Form) -> String {
    let info = r.info();
    let params: Vec<String> = (0..r.arity())
        .skip((form != Form::Function) as usize)
        .map(|i| {
            let name = parameter(r, i);
            match default_of(r, i) {
                Some(s) => format!("{name}={}", s.as_f64()),
                None => name.to_owned(),
            }
        })
        .collect();
    let what = match form {
        Form::InPlace => format!("In-place version of :meth:`{}`: {}", info.name, info.doc),
        _ => info.doc.to_owned(),
    };
    let args = params.join(", ");
    format!(
        "{}({args})\n\n{what}\n\nShapes broadcast; dtypes are promoted as in PyTorch (class: {:?}).",
        info.name, info.class
    )
}

pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = m.py();
    m.add_function(wrap_pyfunction!(_rows, m)?)?;
    // In the public class itself, so that the interpreter's check of `self` is one compare.
    let class = tensor_class(py)?;
    let type_ptr = class.as_ptr().cast::<ffi::PyTypeObject>();
    for (r, [method, in_place, function]) in ENTRIES {
        let r = *r;
        let name = if r.info().hidden { format!("_{}", r.name()) } else { r.name().to_owned() };
        let attach = |name: &str, f: Fast, form: Form| -> PyResult<()> {
            // SAFETY: the definition is leaked, as descriptors keep pointers to it; the type is alive.
            let descriptor = unsafe {
                Bound::from_owned_ptr_or_err(
                    py,
                    ffi::PyDescr_NewMethod(type_ptr, definition(name.to_owned(), doc(r, form), f)),
                )?
            };
            class.setattr(name, descriptor)
        };
        if r != Row::Where {
            attach(&name, *method, Form::Method)?;
            if has_in_place(r) {
                attach(&format!("{name}_"), *in_place, Form::InPlace)?;
            }
        }
        // SAFETY: as above.
        let free = unsafe {
            Bound::from_owned_ptr_or_err(
                py,
                ffi::PyCFunction_NewEx(
                    definition(name.clone(), doc(r, Form::Function), *function),
                    std::ptr::null_mut(),
                    m.name()?.as_ptr(),
                ),
            )?
        };
        m.add(name.as_str(), &free)?;
        if r.info().hidden {
            // Others in the package call them by the plain name.
            m.add(r.name(), free)?;
        }
    }
    let _ = dtype_object(py, wengert_ops::DType::F32)?;
    Ok(())
}
