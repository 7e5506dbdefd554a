//! Factories: tensors of given sizes, and tensors like others.

use crate::args::{ints, need_tensor, scalar, sequence, sizes, Ints};
use crate::error::Raise;
use crate::tensor::{fresh, PyTensor};
use crate::types::{extract_device, extract_dtype, size_object, type_name};
use pyo3::exceptions::{PyRuntimeError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple};
use wengert::{default_float, DType, Device, GradMode, Result, Scalar, Tensor};

/// The keyword arguments that factories share.
#[derive(Default)]
pub struct Options {
    pub dtype: Option<DType>,
    pub device: Option<Device>,
    pub requires_grad: bool,
    pub out: Option<Tensor>,
    pub out_object: Option<Py<PyAny>>,
    pub generator: Option<Py<crate::random::PyGenerator>>,
}

impl Options {
    /// Reads keyword arguments; those named in `own` are left to the caller. Options without a meaning here
    /// (memory layout, pinning) are accepted.
    pub fn read(op: &str, given: Option<&Bound<'_, PyDict>>, own: &[&str]) -> PyResult<Options> {
        let mut options = Options::default();
        let Some(given) = given else { return Ok(options) };
        for (key, value) in given.iter() {
            let key = key.cast::<PyString>()?;
            let key = key.to_str()?;
            match key {
                _ if own.contains(&key) => {}
                "dtype" | "device" | "out" | "generator" if value.is_none() => {}
                "dtype" => options.dtype = Some(extract_dtype(&value)?),
                "device" => options.device = Some(extract_device(&value)?),
                "requires_grad" => options.requires_grad = value.is_truthy()?,
                "out" => {
                    options.out = Some(need_tensor(op, "out", &value)?.clone());
                    options.out_object = Some(value.unbind());
                }
                "generator" => options.generator = Some(crate::random::generator_argument(op, &value)?),
                "layout" | "pin_memory" | "memory_format" => {}
                _ => return Err(PyTypeError::new_err(format!("{op}() got an unexpected keyword argument '{key}'"))),
            }
        }
        Ok(options)
    }

    /// The dtype asked for, that of `out=`, or the default float type.
    pub fn float_dtype(&self) -> DType {
        self.dtype.or_else(|| self.out.as_ref().map(|o| o.dtype())).unwrap_or_else(default_float)
    }

    pub fn place(&self) -> Device {
        self.device.or_else(|| self.out.as_ref().map(|o| o.device())).unwrap_or_else(wengert::default_device)
    }

    /// The finished object: into `out=` if given, marked if gradients are wanted.
    pub fn finish(self, py: Python<'_>, op: &str, t: Tensor) -> PyResult<Py<PyAny>> {
        if let (Some(out), Some(object)) = (self.out, self.out_object) {
            write_out(op, &out, &t)?;
            return Ok(object);
        }
        if self.requires_grad {
            t.set_requires_grad(true).raise()?;
        }
        fresh(py, t)
    }
}

/// Puts a result into an `out=` argument, which takes over its shape.
pub fn write_out(op: &str, out: &Tensor, t: &Tensor) -> PyResult<()> {
    wengert::check_out_argument(out).raise()?;
    if t.dtype().category() > out.dtype().category() {
        return Err(PyRuntimeError::new_err(format!(
            "{op}(): result type {} can't be cast to the desired output type {}",
            t.dtype().scalar_name(),
            out.dtype().scalar_name()
        )));
    }
    if out.shape() != t.shape() {
        out.set_data(&Tensor::empty(&t.shape(), out.dtype(), out.device()).raise()?).raise()?;
    }
    let _off = GradMode::set(false);
    out.copy_(t).raise()
}

/// `f(2, 3)`, `f((2, 3))` and `f(size=(2, 3))`.
pub fn size_arguments(
    op: &str,
    args: &Bound<'_, PyTuple>,
    options: Option<&Bound<'_, PyDict>>,
) -> PyResult<Vec<usize>> {
    let given: Ints = match options.map(|o| o.get_item("size")).transpose()?.flatten() {
        Some(size) if args.is_empty() => ints(op, "size", &size)?,
        Some(_) => return Err(PyTypeError::new_err(format!("{op}() got multiple values for argument 'size'"))),
        None if args.is_empty() => {
            return Err(PyTypeError::new_err(format!("{op}() missing 1 required positional arguments: \"size\"")))
        }
        None => crate::args::varargs(op, "size", args)?,
    };
    sizes(op, &given)
}

macro_rules! filled_factories {
    ($($name:ident $doc:literal $make:expr;)*) => {
        $(
            #[doc = $doc]
            #[pyfunction]
            #[pyo3(signature = (*size, **options), text_signature = "(*size, out=None, dtype=None, layout=None, device=None, requires_grad=False)")]
            fn $name(py: Python<'_>, size: &Bound<'_, PyTuple>, options: Option<&Bound<'_, PyDict>>) -> PyResult<Py<PyAny>> {
                let op = stringify!($name);
                let shape = size_arguments(op, size, options)?;
                let options = Options::read(op, options, &["size"])?;
                let make: fn(&[usize], DType, Device) -> Result<Tensor> = $make;
                let t = make(&shape, options.float_dtype(), options.place()).raise()?;
                options.finish(py, op, t)
            }
        )*
    };
}

filled_factories! {
    zeros "A tensor of zeros." Tensor::zeros;
    ones "A tensor of ones." Tensor::ones;
    empty "A tensor with unspecified elements." Tensor::empty;
}

/// A number given as such or as a tensor of one element.
pub fn number(op: &str, name: &str, value: &Bound<'_, PyAny>) -> PyResult<Scalar> {
    let found = match value.cast::<PyTensor>() {
        Ok(t) if t.get().inner.numel() == 1 => Some(t.get().inner.item().raise()?),
        Ok(_) => None,
        Err(_) => scalar(value)?,
    };
    found.ok_or_else(|| {
        PyTypeError::new_err(format!("{op}(): argument '{name}' must be Number, not {}", type_name(value)))
    })
}

/// A tensor of one repeated number.
#[pyfunction]
#[pyo3(signature = (size, fill_value, **options), text_signature = "(size, fill_value, *, out=None, dtype=None, layout=None, device=None, requires_grad=False)")]
fn full(
    py: Python<'_>,
    size: &Bound<'_, PyAny>,
    fill_value: &Bound<'_, PyAny>,
    options: Option<&Bound<'_, PyDict>>,
) -> PyResult<Py<PyAny>> {
    let options = Options::read("full", options, &[])?;
    let shape = sizes("full", &sequence("full", "size", size)?)?;
    let value = number("full", "fill_value", fill_value)?;
    let inferred = || value.default_dtype(default_float());
    let dtype = options.dtype.or_else(|| options.out.as_ref().map(|o| o.dtype())).unwrap_or_else(inferred);
    let t = Tensor::full(&shape, value, dtype, options.place()).raise()?;
    options.finish(py, "full", t)
}

/// A tensor with the given strides and unspecified elements.
#[pyfunction]
#[pyo3(signature = (size, stride, **options), text_signature = "(size, stride, *, dtype=None, layout=None, device=None, requires_grad=False)")]
fn empty_strided(
    py: Python<'_>,
    size: &Bound<'_, PyAny>,
    stride: &Bound<'_, PyAny>,
    options: Option<&Bound<'_, PyDict>>,
) -> PyResult<Py<PyAny>> {
    let op = "empty_strided";
    let options = Options::read(op, options, &[])?;
    let (shape, strides) = (ints(op, "size", size)?, ints(op, "stride", stride)?);
    if shape.len() != strides.len() {
        return Err(PyRuntimeError::new_err(format!(
            "dimensionality of sizes ({}) must match dimensionality of strides ({})",
            shape.len(),
            strides.len()
        )));
    }
    let checked = sizes(op, &shape)?;
    sizes(op, &strides)?;
    let reach = checked
        .iter()
        .zip(&strides)
        .try_fold(0usize, |r, (&n, &s)| r.checked_add(n.saturating_sub(1).checked_mul(s as usize)?));
    let reach = reach.ok_or_else(|| {
        PyRuntimeError::new_err(format!("{op}(): sizes {shape:?} and strides {strides:?} are too large"))
    })?;
    let memory = Tensor::empty(&[reach + 1], options.float_dtype(), options.place()).raise()?;
    let t = memory.as_strided(&shape, &strides, Some(0)).raise()?.detach();
    options.finish(py, op, t)
}

/// Ones on the diagonal, zeros elsewhere.
#[pyfunction]
#[pyo3(signature = (n, m=None, **options), text_signature = "(n, m=None, *, out=None, dtype=None, layout=None, device=None, requires_grad=False)")]
fn eye(
    py: Python<'_>,
    n: &Bound<'_, PyAny>,
    m: Option<&Bound<'_, PyAny>>,
    options: Option<&Bound<'_, PyDict>>,
) -> PyResult<Py<PyAny>> {
    let options = Options::read("eye", options, &[])?;
    let n = crate::args::index("eye", "n", n)?;
    let m = match m {
        Some(m) if !m.is_none() => crate::args::index("eye", "m", m)?,
        _ => n,
    };
    for (name, size) in [("n", n), ("m", m)] {
        if size < 0 {
            return Err(PyRuntimeError::new_err(format!("{name} must be greater or equal to 0, got {size}")));
        }
    }
    let t = Tensor::zeros(&[n as usize, m as usize], options.float_dtype(), options.place()).raise()?;
    {
        let _off = GradMode::set(false);
        t.diagonal(0, 0, 1).and_then(|d| d.fill_(1i64)).raise()?;
    }
    options.finish(py, "eye", t)
}

/// Numbers from `start` (0) up to and without `end`, `step` (1) apart.
#[pyfunction]
#[pyo3(signature = (*args, **options), text_signature = "(start=0, end, step=1, *, out=None, dtype=None, layout=None, device=None, requires_grad=False)")]
fn arange(py: Python<'_>, args: &Bound<'_, PyTuple>, options: Option<&Bound<'_, PyDict>>) -> PyResult<Py<PyAny>> {
    let names = ["start", "end", "step"];
    let mut given: [Option<Scalar>; 3] = [None; 3];
    if args.len() > 3 {
        return Err(PyTypeError::new_err(format!(
            "arange() takes at most 3 positional arguments ({} given)",
            args.len()
        )));
    }
    for (i, arg) in args.iter().enumerate() {
        let place = if args.len() == 1 { 1 } else { i };
        given[place] = Some(number("arange", names[place], &arg)?);
    }
    if let Some(named) = options {
        for (slot, name) in given.iter_mut().zip(names) {
            if let Some(value) = named.get_item(name)? {
                // arange(2, end=5): the one positional argument was the start after all.
                *slot = Some(number("arange", name, &value)?);
            }
        }
        if args.len() == 1 && named.contains("end")? {
            given[0] = Some(number("arange", "start", &args.get_item(0)?)?);
        }
    }
    let options = Options::read("arange", options, &names)?;
    let [start, end, step] = given;
    let Some(end) = end else {
        return Err(PyTypeError::new_err("arange() missing 1 required positional arguments: \"end\""));
    };
    let (start, step) = (start.unwrap_or(Scalar::Int(0)), step.unwrap_or(Scalar::Int(1)));
    let float = [start, end, step].iter().any(|s| matches!(s, Scalar::Float(_)));
    let inferred = if float { default_float() } else { DType::I64 };
    let dtype = options.dtype.or_else(|| options.out.as_ref().map(|o| o.dtype())).unwrap_or(inferred);
    let t = if !float || (dtype.is_int() && [start, end, step].iter().all(|s| s.as_f64().fract() == 0.0)) {
        int_range(start.as_i64(), end.as_i64(), step.as_i64(), dtype)?
    } else {
        float_range(start.as_f64(), end.as_f64(), step.as_f64(), dtype)?
    };
    let t = t.to_device(options.place()).raise()?;
    options.finish(py, "arange", t)
}

fn check_step(nonzero: bool, consistent: bool) -> PyResult<()> {
    if !nonzero {
        return Err(PyRuntimeError::new_err("step must be nonzero"));
    }
    if !consistent {
        return Err(PyRuntimeError::new_err("upper bound and lower bound inconsistent with step sign"));
    }
    Ok(())
}

/// Elements beyond this many are refused before any memory is asked for.
const TOO_MANY: f64 = (1u64 << 48) as f64;

fn check_count(count: f64) -> PyResult<usize> {
    if count > TOO_MANY {
        return Err(PyRuntimeError::new_err(format!("arange(): invalid size, {count} elements do not fit in memory")));
    }
    Ok(count as usize)
}

fn int_range(start: i64, end: i64, step: i64, dtype: DType) -> PyResult<Tensor> {
    check_step(step != 0, start == end || (end > start) == (step > 0))?;
    let span = (end as i128 - start as i128).unsigned_abs();
    let count = check_count(span.div_ceil(step.unsigned_abs() as u128) as f64)?;
    match step {
        // Vectors have no product of 64 bits on many machines.
        1 => Tensor::sequence(count, dtype, |i| start.wrapping_add(i as i64)).raise(),
        _ => Tensor::sequence(count, dtype, |i| start.wrapping_add(step.wrapping_mul(i as i64))).raise(),
    }
}

fn float_range(start: f64, end: f64, step: f64, dtype: DType) -> PyResult<Tensor> {
    if !start.is_finite() || !end.is_finite() {
        return Err(PyRuntimeError::new_err(format!("unsupported range: {start} -> {end}")));
    }
    check_step(step != 0.0 && !step.is_nan(), start == end || (end > start) == (step > 0.0))?;
    let count = check_count(((end - start) / step).ceil())?;
    let (start, step) = if dtype.is_float() { (start, step) } else { (start.trunc(), step.trunc()) };
    Tensor::sequence(count, dtype, |i| start + step * i as f64).raise()
}

/// `steps` numbers from `start` to `end`, both included, evenly spaced.
#[pyfunction]
#[pyo3(signature = (start, end, steps, **options), text_signature = "(start, end, steps, *, out=None, dtype=None, layout=None, device=None, requires_grad=False)")]
fn linspace(
    py: Python<'_>,
    start: &Bound<'_, PyAny>,
    end: &Bound<'_, PyAny>,
    steps: &Bound<'_, PyAny>,
    options: Option<&Bound<'_, PyDict>>,
) -> PyResult<Py<PyAny>> {
    let options = Options::read("linspace", options, &[])?;
    let (start, end) = (number("linspace", "start", start)?.as_f64(), number("linspace", "end", end)?.as_f64());
    let steps = crate::args::index("linspace", "steps", steps)?;
    if steps < 0 {
        return Err(PyRuntimeError::new_err("number of steps must be non-negative"));
    }
    let dtype = options.float_dtype();
    let t = evenly_spaced(start, end, check_count(steps as f64)?, dtype).raise()?;
    let t = t.to_device(options.place()).raise()?;
    options.finish(py, "linspace", t)
}

/// Both halves count from their own end, so that the ends are exact and the middle is symmetric.
fn evenly_spaced(start: f64, end: f64, steps: usize, dtype: DType) -> Result<Tensor> {
    let gaps = steps.saturating_sub(1).max(1);
    if steps == 1 {
        return Tensor::sequence(1, dtype, |_| start);
    }
    if dtype == DType::F32 {
        let (start, end) = (start as f32, end as f32);
        let step = (end - start) / gaps as f32;
        let at = |i: usize| if i < steps / 2 { start + step * i as f32 } else { end - step * (gaps - i) as f32 };
        return Tensor::sequence(steps, dtype, at);
    }
    let (start, end) = if dtype.is_float() { (start, end) } else { (start.trunc(), end.trunc()) };
    let step = (end - start) / gaps as f64;
    let at = |i: usize| if i < steps / 2 { start + step * i as f64 } else { end - step * (gaps - i) as f64 };
    Tensor::sequence(steps, dtype, at)
}

/// A tensor of the given kind in the memory order of `x`, if that is dense.
pub fn empty_as(x: &Tensor, dtype: DType, device: Device) -> Result<Tensor> {
    let layout = x.layout();
    let (low, high) = layout.span();
    if layout.is_contiguous() || layout.numel() == 0 || high - low != layout.numel() || layout.self_overlaps() {
        return Tensor::empty(layout.shape(), dtype, device);
    }
    let mut order: Vec<usize> = (0..layout.rank()).collect();
    order.sort_by_key(|&d| std::cmp::Reverse(layout.strides()[d].unsigned_abs()));
    let shape: Vec<usize> = order.iter().map(|&d| layout.shape()[d]).collect();
    let mut back = vec![0isize; order.len()];
    for (place, &d) in order.iter().enumerate() {
        back[d] = place as isize;
    }
    Ok(Tensor::empty(&shape, dtype, device)?.permute(&back)?.detach())
}

/// The shared part of `*_like`: unspecified elements.
pub fn like(
    op: &str,
    input: &Bound<'_, PyAny>,
    options: Option<&Bound<'_, PyDict>>,
    own: &[&str],
) -> PyResult<(Tensor, Options)> {
    let x = need_tensor(op, "input", input)?;
    let options = Options::read(op, options, own)?;
    let t = empty_as(x, options.dtype.unwrap_or(x.dtype()), options.device.unwrap_or(x.device())).raise()?;
    Ok((t, options))
}

/// `*_like` of one repeated number, or of unspecified elements.
fn filled_like(
    op: &str,
    input: &Bound<'_, PyAny>,
    value: Option<Scalar>,
    options: Option<&Bound<'_, PyDict>>,
) -> PyResult<Py<PyAny>> {
    let (t, options) = like(op, input, options, &[])?;
    if let Some(value) = value {
        t.fill_(value).raise()?;
    }
    options.finish(input.py(), op, t)
}

macro_rules! like_factories {
    ($($name:ident $doc:literal $fill:expr;)*) => {
        $(
            #[doc = $doc]
            #[pyfunction]
            #[pyo3(signature = (input, **options), text_signature = "(input, *, dtype=None, layout=None, device=None, requires_grad=False, memory_format=None)")]
            fn $name(input: &Bound<'_, PyAny>, options: Option<&Bound<'_, PyDict>>) -> PyResult<Py<PyAny>> {
                filled_like(stringify!($name), input, $fill, options)
            }
        )*
    };
}

like_factories! {
    zeros_like "Zeros of the shape, dtype and device of `input`." Some(Scalar::Int(0));
    ones_like "Ones of the shape, dtype and device of `input`." Some(Scalar::Int(1));
    empty_like "Unspecified elements of the shape, dtype and device of `input`." None;
}

/// One repeated number in the shape, dtype and device of `input`.
#[pyfunction]
#[pyo3(signature = (input, fill_value, **options), text_signature = "(input, fill_value, *, dtype=None, layout=None, device=None, requires_grad=False, memory_format=None)")]
fn full_like(
    input: &Bound<'_, PyAny>,
    fill_value: &Bound<'_, PyAny>,
    options: Option<&Bound<'_, PyDict>>,
) -> PyResult<Py<PyAny>> {
    need_tensor("full_like", "input", input)?;
    filled_like("full_like", input, Some(number("full_like", "fill_value", fill_value)?), options)
}

macro_rules! new_methods {
    ($($name:ident $make:expr;)*) => {
        #[pymethods]
        impl PyTensor {
            $(
                /// A new tensor with the dtype and device of this one.
                #[pyo3(signature = (*size, **options), text_signature = "($self, *size, dtype=None, device=None, requires_grad=False)")]
                fn $name(&self, py: Python<'_>, size: &Bound<'_, PyTuple>, options: Option<&Bound<'_, PyDict>>) -> PyResult<Py<PyAny>> {
                    let op = stringify!($name);
                    let shape = size_arguments(op, size, options)?;
                    let options = Options::read(op, options, &["size"])?;
                    self.new_filled(py, op, options, |dtype, device| $make(&shape, dtype, device))
                }
            )*
        }
    };
}

new_methods! {
    new_zeros Tensor::zeros;
    new_ones Tensor::ones;
    new_empty Tensor::empty;
}

#[pymethods]
impl PyTensor {
    /// One repeated number, with the dtype and device of this tensor.
    #[pyo3(signature = (size, fill_value, **options), text_signature = "($self, size, fill_value, *, dtype=None, device=None, requires_grad=False)")]
    fn new_full(
        &self,
        py: Python<'_>,
        size: &Bound<'_, PyAny>,
        fill_value: &Bound<'_, PyAny>,
        options: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Py<PyAny>> {
        let options = Options::read("new_full", options, &[])?;
        let shape = sizes("new_full", &sequence("new_full", "size", size)?)?;
        let value = number("new_full", "fill_value", fill_value)?;
        self.new_filled(py, "new_full", options, |dtype, device| Tensor::full(&shape, value, dtype, device))
    }
}

impl PyTensor {
    /// The shared part of `new_*`: the options not given are this tensor's.
    fn new_filled(
        &self,
        py: Python<'_>,
        op: &str,
        options: Options,
        make: impl FnOnce(DType, Device) -> Result<Tensor>,
    ) -> PyResult<Py<PyAny>> {
        let (dtype, device) = (self.inner.dtype(), self.inner.device());
        let t = make(options.dtype.unwrap_or(dtype), options.device.unwrap_or(device)).raise()?;
        options.finish(py, op, t)
    }
}

/// What PyTorch's old constructors do: `Tensor(2, 3)` by sizes, `Tensor([1, 2])` by data, `Tensor(t)` another
/// tensor over the same memory, which must have the `dtype` if one is named.
pub fn legacy(
    args: &Bound<'_, PyTuple>,
    options: Option<&Bound<'_, PyDict>>,
    named: Option<DType>,
) -> PyResult<Tensor> {
    let dtype = named.unwrap_or_else(default_float);
    let (mut first, mut by_size) = (args.iter().next(), args.len() > 1);
    for (key, value) in options.into_iter().flat_map(|o| o.iter()) {
        match key.cast::<PyString>()?.to_str()? {
            "device" if value.is_none() || extract_device(&value)? == Device::Cpu => {}
            "device" => {
                let text = "new(): legacy constructors make tensors on the cpu; use torch.empty(…, device=…)";
                return Err(PyRuntimeError::new_err(text));
            }
            name @ ("size" | "data" | "other") if first.is_none() => (first, by_size) = (Some(value), name == "size"),
            name => return Err(PyTypeError::new_err(format!("new() got an unexpected argument '{name}'"))),
        }
    }
    let Some(first) = first else { return Tensor::empty(&[0], dtype, Device::Cpu).raise() };
    if let Some(t) = first.cast::<PyTensor>().ok().filter(|_| !by_size) {
        let t = &t.get().inner;
        if named.is_some_and(|dtype| dtype != t.dtype()) {
            return Err(PyTypeError::new_err(format!(
                "new(): expected a tensor of dtype {dtype}, but got one of {}; use .to()",
                t.dtype()
            )));
        }
        return Ok(t.detach_alias());
    }
    by_size |= first.get_type().is(size_object(args.py(), &[])?.get_type());
    if !by_size {
        match scalar(&first)? {
            Some(Scalar::Int(_)) => by_size = true,
            None if !first.is_none() => {}
            _ => {
                let kind = type_name(&first);
                return Err(PyTypeError::new_err(format!(
                    "new(): data must be a sequence (got {kind}); use torch.tensor for numbers"
                )));
            }
        }
    }
    if !by_size {
        return crate::construct::from_data(&first, Some(dtype), Device::Cpu);
    }
    let given = if args.len() > 1 { ints("new", "size", args.as_any())? } else { ints("new", "size", &first)? };
    Tensor::empty(&sizes("new", &given)?, dtype, Device::Cpu).raise()
}

/// The constructor behind `FloatTensor` and its like.
#[pyfunction]
#[pyo3(signature = (kind, /, *args, **options))]
fn _legacy(
    kind: &Bound<'_, PyAny>,
    args: &Bound<'_, PyTuple>,
    options: Option<&Bound<'_, PyDict>>,
) -> PyResult<Py<PyAny>> {
    let t = legacy(args, options, Some(extract_dtype(kind)?))?;
    crate::tensor::wrap(args.py(), t)
}

/// Adds functions to the module.
macro_rules! add_functions {
    ($m:ident, $($name:ident),* $(,)?) => {{
        $($m.add_function(wrap_pyfunction!($name, $m)?)?;)*
        Ok(())
    }};
}
pub(crate) use add_functions;

pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    add_functions!(
        m,
        zeros,
        ones,
        empty,
        full,
        empty_strided,
        eye,
        arange,
        linspace,
        zeros_like,
        ones_like,
        empty_like,
        full_like,
        _legacy
    )
}
