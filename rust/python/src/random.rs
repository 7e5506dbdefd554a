//! Random numbers: generators, and tensors filled from them.

use crate::args::{index, ints, need_tensor, sequence, sizes};
use crate::creation::{empty_as, like, number, size_arguments, Options};
use crate::error::Raise;
use crate::tensor::{fresh, PyTensor};
use crate::types::{device_object, extract_device, type_name, PyDevice};
use pyo3::exceptions::{PyNotImplementedError, PyRuntimeError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyInt, PyTuple};
use std::hash::{BuildHasher, Hasher};
use std::sync::{Mutex, MutexGuard};
use wengert::{DType, Device, Generator, GradMode, Random, Row, Tensor};

/// A stream of random numbers with a seed and a state.
///
/// >>> import wengert as wg
/// >>> g = wg.Generator()
/// >>> wg.rand(2, generator=g.manual_seed(1)).equal(wg.rand(2, generator=g.manual_seed(1)))
/// True
#[pyclass(frozen, name = "Generator", module = "wengert")]
pub struct PyGenerator(Mutex<Generator>, Device);

impl PyGenerator {
    fn lock(&self) -> MutexGuard<'_, Generator> {
        self.0.lock().unwrap_or_else(|e| e.into_inner())
    }
}

static DEFAULT: PyOnceLock<Py<PyGenerator>> = PyOnceLock::new();

fn default(py: Python<'_>) -> PyResult<&Py<PyGenerator>> {
    DEFAULT.get_or_try_init(py, || Py::new(py, PyGenerator(Mutex::new(Generator::default()), Device::Cpu)))
}

/// A `generator=` argument that is not None.
pub fn generator_argument(op: &str, obj: &Bound<'_, PyAny>) -> PyResult<Py<PyGenerator>> {
    match obj.cast::<PyGenerator>() {
        Ok(g) => Ok(g.clone().unbind()),
        Err(_) => Err(PyTypeError::new_err(format!(
            "{op}(): argument 'generator' must be wengert.Generator, not {}",
            type_name(obj)
        ))),
    }
}

/// A seed as PyTorch reads it: any 64-bit number, negative ones from the top.
fn seed_argument(seed: &Bound<'_, PyAny>) -> PyResult<u64> {
    let seed = seed.py().get_type::<PyInt>().call1((seed,))?;
    if let Ok(seed) = seed.extract::<u64>() {
        return Ok(seed);
    }
    seed.extract::<i64>().map(|s| s as u64).map_err(|_| {
        PyValueError::new_err(format!("Overflow when unpacking long long: the seed {seed} does not fit in 64 bits"))
    })
}

#[pymethods]
impl PyGenerator {
    #[new]
    #[pyo3(signature = (device=None))]
    fn new(device: Option<&Bound<'_, PyAny>>) -> PyResult<Self> {
        let device = match device.filter(|d| !d.is_none()) {
            Some(device) => extract_device(device)?,
            None => Device::Cpu,
        };
        if !device.has_memory() {
            return Err(PyRuntimeError::new_err(format!(
                "Device type {device} is not supported for torch.Generator() api."
            )));
        }
        Ok(PyGenerator(Mutex::new(Generator::default()), device))
    }
    #[getter]
    fn device(&self) -> PyDevice {
        device_object(self.1)
    }
    /// Starts the stream anew from a seed; returns the generator.
    fn manual_seed<'py>(slf: Bound<'py, Self>, seed: &Bound<'py, PyAny>) -> PyResult<Bound<'py, Self>> {
        let seed = seed_argument(seed)?;
        slf.get().lock().seed(seed);
        Ok(slf)
    }
    /// Starts the stream anew from a seed that the system gives; returns the seed.
    fn seed(&self) -> u64 {
        // The standard library seeds its hash maps from the system's entropy. 53 bits survive as a float.
        let seed = std::collections::hash_map::RandomState::new().build_hasher().finish() & ((1 << 53) - 1);
        self.lock().seed(seed);
        seed
    }
    /// The seed that the stream started from.
    fn initial_seed(&self) -> u64 {
        self.lock().initial_seed()
    }
    /// The state, as a uint8 tensor in PyTorch's layout.
    fn get_state(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let bytes = self.lock().state_bytes();
        fresh(py, Tensor::from_bytes(&bytes, &[bytes.len()], DType::U8).raise()?)
    }
    /// Goes on from a state of `get_state`.
    fn set_state(&self, new_state: &Bound<'_, PyAny>) -> PyResult<()> {
        let state = need_tensor("set_state", "new_state", new_state)?;
        if state.dtype() != DType::U8 {
            return Err(PyTypeError::new_err(format!(
                "expected a torch.ByteTensor, but got torch.{}Tensor",
                state.dtype().scalar_name()
            )));
        }
        self.lock().set_state(&state.to_bytes().raise()?).raise()
    }
    /// A generator of its own in the same state.
    fn clone_state(&self) -> PyGenerator {
        PyGenerator(Mutex::new(self.lock().clone()), self.1)
    }
    fn __reduce__(slf: &Bound<'_, Self>) -> PyResult<(Py<PyAny>, Py<PyAny>, Py<PyAny>)> {
        let py = slf.py();
        let state = slf.get().get_state(py)?;
        let device = (device_object(slf.get().1),).into_pyobject(py)?;
        Ok((slf.get_type().into_any().unbind(), device.into_any().unbind(), state))
    }
    fn __setstate__(&self, state: &Bound<'_, PyAny>) -> PyResult<()> {
        self.set_state(state)
    }
}

/// Seeds the default generator; returns it.
#[pyfunction]
fn manual_seed(py: Python<'_>, seed: &Bound<'_, PyAny>) -> PyResult<Py<PyGenerator>> {
    let generator = default(py)?;
    generator.get().lock().seed(seed_argument(seed)?);
    Ok(generator.clone_ref(py))
}

/// Runs `f` with the given generator or the default one.
pub fn with<R>(
    py: Python<'_>,
    given: Option<&Py<PyGenerator>>,
    f: impl FnOnce(&mut Generator) -> wengert::Result<R>,
) -> PyResult<R> {
    let generator = match given {
        Some(g) => g,
        None => default(py)?,
    };
    f(&mut generator.get().lock()).raise()
}

fn fill(py: Python<'_>, t: &Tensor, given: Option<&Py<PyGenerator>>, law: Random) -> PyResult<()> {
    if !t.dtype().is_float() && matches!(law, Random::Uniform { .. } | Random::Normal { .. }) {
        let law = if matches!(law, Random::Normal { .. }) { "normal_" } else { "uniform_" };
        return Err(PyNotImplementedError::new_err(format!(
            "\"{law}\" not implemented for '{}'; make the tensor floating point",
            t.dtype().scalar_name()
        )));
    }
    with(py, given, |g| t.random_(g, law))
}

const UNIT: Random = Random::Uniform { from: 0.0, to: 1.0 };
const STANDARD: Random = Random::Normal { mean: 0.0, std: 1.0 };

macro_rules! laws {
    ($($name:ident $like:ident $law:ident $doc:literal;)*) => {
        $(
            #[doc = $doc]
            #[pyfunction]
            #[pyo3(signature = (*size, **options), text_signature = "(*size, generator=None, out=None, dtype=None, layout=None, device=None, requires_grad=False)")]
            fn $name(py: Python<'_>, size: &Bound<'_, PyTuple>, options: Option<&Bound<'_, PyDict>>) -> PyResult<Py<PyAny>> {
                let op = stringify!($name);
                let shape = size_arguments(op, size, options)?;
                let options = Options::read(op, options, &["size"])?;
                let t = Tensor::empty(&shape, options.float_dtype(), options.place()).raise()?;
                fill(py, &t, options.generator.as_ref(), $law)?;
                options.finish(py, op, t)
            }
            #[doc = concat!("As `", stringify!($name), "`, in the shape, dtype and device of `input`.")]
            #[pyfunction]
            #[pyo3(signature = (input, **options), text_signature = "(input, *, generator=None, dtype=None, layout=None, device=None, requires_grad=False, memory_format=None)")]
            fn $like(py: Python<'_>, input: &Bound<'_, PyAny>, options: Option<&Bound<'_, PyDict>>) -> PyResult<Py<PyAny>> {
                let (t, options) = like(stringify!($like), input, options, &[])?;
                fill(py, &t, options.generator.as_ref(), $law)?;
                options.finish(py, stringify!($like), t)
            }
        )*
    };
}

laws! {
    rand rand_like UNIT "Uniform random numbers in [0, 1).";
    randn randn_like STANDARD "Random numbers of the standard normal distribution.";
}

/// Whether the ends of a range of integers fit in the dtype.
fn check_bounds(dtype: DType, low: i64, high: i64) -> PyResult<()> {
    if low >= high {
        return Err(PyRuntimeError::new_err(format!(
            "random_ expects 'from' to be less than 'to', but got from={low} >= to={high}"
        )));
    }
    let (least, most) = match (dtype.iinfo(), dtype.finfo()) {
        (Some((least, most)), _) => (least as f64, most as f64),
        (None, Some(f)) => (-f.max, f.max),
        (None, None) => return Ok(()),
    };
    for (name, value) in [("from", low), ("to - 1", high - 1)] {
        if (value as f64) < least || value as f64 > most {
            return Err(PyRuntimeError::new_err(format!("{name} is out of bounds for {dtype}")));
        }
    }
    Ok(())
}

/// Random integers from `low` (0) up to and without `high`.
#[pyfunction]
#[pyo3(signature = (*args, **options), text_signature = "(low=0, high, size, *, generator=None, out=None, dtype=None, layout=None, device=None, requires_grad=False)")]
fn randint(py: Python<'_>, args: &Bound<'_, PyTuple>, options: Option<&Bound<'_, PyDict>>) -> PyResult<Py<PyAny>> {
    let op = "randint";
    let named = |name: &str| -> PyResult<Option<Bound<'_, PyAny>>> {
        Ok(options.map(|o| o.get_item(name)).transpose()?.flatten())
    };
    let (mut low, mut high, mut size) = (named("low")?, named("high")?, named("size")?);
    let mut rest: Vec<Bound<'_, PyAny>> = args.iter().collect();
    if size.is_none() {
        size = rest.pop();
    }
    if rest.len() > 2 {
        return Err(PyTypeError::new_err(format!(
            "randint() takes at most 3 positional arguments ({} given)",
            args.len()
        )));
    }
    if high.is_none() {
        high = rest.pop();
    }
    if let Some(first) = rest.pop() {
        low = Some(first);
    }
    let (Some(high), Some(size)) = (high, size) else {
        return Err(PyTypeError::new_err(
            "randint() received an invalid combination of arguments; pass (high, size) or (low, high, size)",
        ));
    };
    let shape = sizes(op, &sequence(op, "size", &size)?)?;
    let low = low.map_or(Ok(0), |l| index(op, "low", &l))? as i64;
    let high = index(op, "high", &high)? as i64;
    let options = Options::read(op, options, &["low", "high", "size"])?;
    let dtype = options.dtype.or_else(|| options.out.as_ref().map(|o| o.dtype())).unwrap_or(DType::I64);
    check_bounds(dtype, low, high)?;
    let t = Tensor::empty(&shape, dtype, options.place()).raise()?;
    fill(py, &t, options.generator.as_ref(), Random::Integers { low, high })?;
    options.finish(py, op, t)
}

/// Random integers below `high`, or from `low` up to `high`, in the shape, dtype and device of `input`.
#[pyfunction]
#[pyo3(signature = (input, *args, **options), text_signature = "(input, low=0, high, *, generator=None, dtype=None, layout=None, device=None, requires_grad=False, memory_format=None)")]
fn randint_like(
    py: Python<'_>,
    input: &Bound<'_, PyAny>,
    args: &Bound<'_, PyTuple>,
    options: Option<&Bound<'_, PyDict>>,
) -> PyResult<Py<PyAny>> {
    let op = "randint_like";
    let mut bounds: Vec<i64> = args.iter().map(|a| index(op, "high", &a).map(|i| i as i64)).collect::<PyResult<_>>()?;
    for (name, at) in [("low", 0), ("high", usize::MAX)] {
        if let Some(value) = options.map(|o| o.get_item(name)).transpose()?.flatten() {
            bounds.insert(at.min(bounds.len()), index(op, name, &value)? as i64);
        }
    }
    let (low, high) = match bounds[..] {
        [high] => (0, high),
        [low, high] => (low, high),
        _ => return Err(PyTypeError::new_err("randint_like() expects (input, high) or (input, low, high)")),
    };
    let (t, options) = like(op, input, options, &["low", "high"])?;
    check_bounds(t.dtype(), low, high)?;
    fill(py, &t, options.generator.as_ref(), Random::Integers { low, high })?;
    options.finish(py, op, t)
}

/// A random permutation of the integers below `n`.
#[pyfunction]
#[pyo3(signature = (n, **options), text_signature = "(n, *, generator=None, out=None, dtype=None, layout=None, device=None, requires_grad=False)")]
fn randperm(py: Python<'_>, n: &Bound<'_, PyAny>, options: Option<&Bound<'_, PyDict>>) -> PyResult<Py<PyAny>> {
    let options = Options::read("randperm", options, &[])?;
    let n = index("randperm", "n", n)?;
    if n < 0 {
        return Err(PyRuntimeError::new_err(format!("n must be non-negative, got {n}")));
    }
    let dtype = options.dtype.or_else(|| options.out.as_ref().map(|o| o.dtype())).unwrap_or(DType::I64);
    let t = Tensor::empty(&[n as usize], dtype, options.place()).raise()?;
    with(py, options.generator.as_ref(), |g| t.permutation_(g))?;
    options.finish(py, "randperm", t)
}

/// Normal numbers, with mean and standard deviation given as numbers (then with a size) or by tensors.
#[pyfunction]
#[pyo3(signature = (mean=None, std=None, size=None, **options), text_signature = "(mean, std, size=None, *, generator=None, out=None, dtype=None, device=None, requires_grad=False)")]
fn normal(
    py: Python<'_>,
    mean: Option<&Bound<'_, PyAny>>,
    std: Option<&Bound<'_, PyAny>>,
    size: Option<&Bound<'_, PyAny>>,
    options: Option<&Bound<'_, PyDict>>,
) -> PyResult<Py<PyAny>> {
    let options = Options::read("normal", options, &[])?;
    let tensor =
        |o: Option<&Bound<'_, PyAny>>| o.and_then(|o| o.cast::<PyTensor>().ok()).map(|t| t.get().inner.detach());
    let of = |name: &str, o: Option<&Bound<'_, PyAny>>, default: f64| {
        o.map_or(Ok(default), |o| number("normal", name, o).map(|s| s.as_f64()))
    };
    let generator = options.generator.as_ref();
    let _off = GradMode::set(false);
    let t = match (tensor(mean), tensor(std), size) {
        (None, None, Some(size)) => {
            let shape = sizes("normal", &ints("normal", "size", size)?)?;
            let t = Tensor::empty(&shape, options.float_dtype(), options.place()).raise()?;
            fill(py, &t, generator, Random::Normal { mean: of("mean", mean, 0.0)?, std: of("std", std, 1.0)? })?;
            t
        }
        (Some(mean), None, None) => {
            let t = Tensor::empty(&mean.shape(), mean.dtype(), mean.device()).raise()?;
            fill(py, &t, generator, Random::Normal { mean: 0.0, std: of("std", std, 1.0)? })?;
            t.row_(Row::Add, &[(&mean).into()]).raise()?;
            t
        }
        (None, Some(std), None) => {
            let mean = of("mean", mean, 0.0)?;
            scaled_normal(py, generator, &Tensor::full(&[], mean, std.dtype(), std.device()).raise()?, &std)?
        }
        (Some(mean), Some(std), None) => scaled_normal(py, generator, &mean, &std)?,
        _ => return Err(PyTypeError::new_err(
            "normal() expects mean and std as numbers with a size, or at least one of them as a tensor without a size",
        )),
    };
    options.finish(py, "normal", t)
}

fn scaled_normal(py: Python<'_>, generator: Option<&Py<PyGenerator>>, mean: &Tensor, std: &Tensor) -> PyResult<Tensor> {
    if std.numel() > 0
        && std.device() == Device::Cpu
        && std.amin(&[], false).and_then(|m| m.item()).raise()?.as_f64() < 0.0
    {
        return Err(PyRuntimeError::new_err("normal expects all elements of std >= 0.0"));
    }
    let shape = wengert::layout::broadcast_shapes("normal", &[&mean.shape(), &std.shape()]).raise()?;
    let t = Tensor::empty(&shape, mean.dtype(), mean.device()).raise()?;
    fill(py, &t, generator, STANDARD)?;
    t.row_(Row::Mul, &[std.into()]).and_then(|()| t.row_(Row::Add, &[mean.into()])).raise()?;
    Ok(t)
}

/// Writes 1 where a uniform number is below the probability of its place, else 0.
fn by_probabilities(py: Python<'_>, t: &Tensor, p: &Tensor, generator: Option<&Py<PyGenerator>>) -> PyResult<()> {
    if !p.dtype().is_float() {
        return Err(PyRuntimeError::new_err(format!(
            "bernoulli_ expects a tensor of floating-point probabilities, but got {}",
            p.dtype()
        )));
    }
    let p = p.detach();
    if p.numel() > 0 && p.device() == Device::Cpu {
        let low = p.amin(&[], false).and_then(|m| m.item()).raise()?.as_f64();
        let high = p.amax(&[], false).and_then(|m| m.item()).raise()?.as_f64();
        if !(low >= 0.0 && high <= 1.0) {
            return Err(PyRuntimeError::new_err(format!(
                "Expected p_in >= 0 && p_in <= 1 to be true, but got false: the probabilities lie in [{low}, {high}]"
            )));
        }
    }
    // Halves are drawn as float32, as in torch.
    let wide = if p.dtype() == DType::F64 { DType::F64 } else { DType::F32 };
    let u = Tensor::empty(&t.shape(), wide, t.device()).raise()?;
    fill(py, &u, generator, UNIT)?;
    let drawn = {
        let _off = GradMode::set(false);
        u.lt(&p).raise()?
    };
    t.copy_(&drawn).raise()
}

fn bernoulli_fill(
    py: Python<'_>,
    t: &Tensor,
    p: &Bound<'_, PyAny>,
    generator: Option<&Py<PyGenerator>>,
) -> PyResult<()> {
    match p.cast::<PyTensor>() {
        Ok(p) => by_probabilities(py, t, &p.get().inner, generator),
        Err(_) => fill(py, t, generator, Random::Bernoulli { p: number("bernoulli_", "p", p)?.as_f64() }),
    }
}

/// A bool for each element of `input`, true with the probability `p`.
#[pyfunction]
#[pyo3(signature = (input, p))]
fn _kept(py: Python<'_>, input: &Bound<'_, PyAny>, p: f64) -> PyResult<Py<PyAny>> {
    let input = need_tensor("dropout", "input", input)?;
    let t = empty_as(input, DType::Bool, input.device()).raise()?;
    // Where all are dropped nothing is drawn, as in PyTorch.
    match p == 0.0 {
        true => t.fill_(false).raise()?,
        false => fill(py, &t, None, Random::Bernoulli { p })?,
    }
    fresh(py, t)
}

fn drawn_like(
    py: Python<'_>,
    input: &Tensor,
    p: Option<&Bound<'_, PyAny>>,
    options: Option<&Bound<'_, PyDict>>,
) -> PyResult<Py<PyAny>> {
    let options = Options::read("bernoulli", options, &[])?;
    let t = empty_as(input, input.dtype(), input.device()).raise()?;
    match p.filter(|p| !p.is_none()) {
        Some(p) => bernoulli_fill(py, &t, p, options.generator.as_ref())?,
        None => by_probabilities(py, &t, input, options.generator.as_ref())?,
    }
    options.finish(py, "bernoulli", t)
}

/// 1 with the probability that `input` holds (or `p` everywhere), else 0.
#[pyfunction]
#[pyo3(signature = (input, p=None, **options), text_signature = "(input, p=None, *, generator=None, out=None)")]
fn bernoulli(
    py: Python<'_>,
    input: &Bound<'_, PyAny>,
    p: Option<&Bound<'_, PyAny>>,
    options: Option<&Bound<'_, PyDict>>,
) -> PyResult<Py<PyAny>> {
    drawn_like(py, need_tensor("bernoulli", "input", input)?, p, options)
}

fn optional_generator(op: &str, obj: Option<&Bound<'_, PyAny>>) -> PyResult<Option<Py<PyGenerator>>> {
    obj.filter(|o| !o.is_none()).map(|o| generator_argument(op, o)).transpose()
}

/// The end of the range of `random_()`: every integer that the dtype holds without a gap.
fn whole_range(dtype: DType) -> i64 {
    match dtype {
        // Wraps: the kernel works with the width of the range.
        DType::I64 => i64::MIN,
        DType::F64 => (1 << 53) + 1,
        DType::F32 => (1 << 24) + 1,
        DType::F16 => (1 << 11) + 1,
        DType::BF16 => (1 << 8) + 1,
        other => other.iinfo().map_or(2, |(_, most)| most + 1),
    }
}

#[pymethods]
impl PyTensor {
    /// Fills with uniform numbers in [from, to).
    #[pyo3(signature = (from=0.0, to=1.0, *, generator=None))]
    fn uniform_<'py>(
        slf: Bound<'py, PyTensor>,
        from: f64,
        to: f64,
        generator: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyTensor>> {
        let generator = optional_generator("uniform_", generator)?;
        fill(slf.py(), &slf.get().inner, generator.as_ref(), Random::Uniform { from, to })?;
        Ok(slf)
    }
    /// Fills with normal numbers.
    #[pyo3(signature = (mean=0.0, std=1.0, *, generator=None))]
    fn normal_<'py>(
        slf: Bound<'py, PyTensor>,
        mean: f64,
        std: f64,
        generator: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyTensor>> {
        let generator = optional_generator("normal_", generator)?;
        fill(slf.py(), &slf.get().inner, generator.as_ref(), Random::Normal { mean, std })?;
        Ok(slf)
    }
    /// Fills with exponentially distributed numbers of rate `lambd`.
    #[pyo3(signature = (lambd=1.0, *, generator=None))]
    fn exponential_<'py>(
        slf: Bound<'py, PyTensor>,
        lambd: f64,
        generator: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyTensor>> {
        let generator = optional_generator("exponential_", generator)?;
        fill(slf.py(), &slf.get().inner, generator.as_ref(), Random::Exponential { lambda: lambd })?;
        Ok(slf)
    }
    /// Fills with random integers: `random_(to)`, `random_(from, to)`, or of the dtype's whole range.
    #[pyo3(signature = (*args, generator=None, **named), text_signature = "($self, from=0, to=None, *, generator=None)")]
    fn random_<'py>(
        slf: Bound<'py, PyTensor>,
        args: &Bound<'py, PyTuple>,
        generator: Option<&Bound<'py, PyAny>>,
        named: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyTensor>> {
        let generator = optional_generator("random_", generator)?;
        let t = &slf.get().inner;
        let mut bounds = [None, None];
        match args.len() {
            0 => {}
            1 => bounds[1] = Some(args.get_item(0)?),
            2 => bounds = [Some(args.get_item(0)?), Some(args.get_item(1)?)],
            n => {
                return Err(PyTypeError::new_err(format!("random_() takes at most 2 positional arguments ({n} given)")))
            }
        }
        for (key, value) in named.into_iter().flat_map(|n| n.iter()) {
            match key.to_string().as_str() {
                "from" => bounds[0] = Some(value),
                "to" => bounds[1] = Some(value),
                other => {
                    return Err(PyTypeError::new_err(format!("random_() got an unexpected keyword argument '{other}'")))
                }
            }
        }
        let low = bounds[0].as_ref().map_or(Ok(0), |l| index("random_", "from", l))? as i64;
        let high = match bounds[1].as_ref().filter(|h| !h.is_none()) {
            Some(high) => {
                let high = index("random_", "to", high)? as i64;
                check_bounds(t.dtype(), low, high)?;
                high
            }
            None => whole_range(t.dtype()),
        };
        fill(slf.py(), t, generator.as_ref(), Random::Integers { low, high })?;
        Ok(slf)
    }
    /// Fills with 1, each with probability `p` (a number, or a tensor of the shape), and 0.
    #[pyo3(signature = (p=None, *, generator=None))]
    fn bernoulli_<'py>(
        slf: Bound<'py, PyTensor>,
        p: Option<&Bound<'py, PyAny>>,
        generator: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyTensor>> {
        let generator = optional_generator("bernoulli_", generator)?;
        let t = &slf.get().inner;
        match p {
            Some(p) => bernoulli_fill(slf.py(), t, p, generator.as_ref())?,
            None => fill(slf.py(), t, generator.as_ref(), Random::Bernoulli { p: 0.5 })?,
        }
        Ok(slf)
    }
    /// 1 with the probability that this tensor holds (or `p` everywhere), else 0.
    #[pyo3(signature = (p=None, **options))]
    fn bernoulli(
        &self,
        py: Python<'_>,
        p: Option<&Bound<'_, PyAny>>,
        options: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Py<PyAny>> {
        drawn_like(py, &self.inner, p, options)
    }
}

pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_class::<PyGenerator>()?;
    m.add("default_generator", default(m.py())?.clone_ref(m.py()))?;
    m.add_function(wrap_pyfunction!(manual_seed, m)?)?;
    m.add_function(wrap_pyfunction!(rand, m)?)?;
    m.add_function(wrap_pyfunction!(rand_like, m)?)?;
    m.add_function(wrap_pyfunction!(randn, m)?)?;
    m.add_function(wrap_pyfunction!(randn_like, m)?)?;
    m.add_function(wrap_pyfunction!(randint, m)?)?;
    m.add_function(wrap_pyfunction!(randint_like, m)?)?;
    m.add_function(wrap_pyfunction!(randperm, m)?)?;
    m.add_function(wrap_pyfunction!(normal, m)?)?;
    m.add_function(wrap_pyfunction!(bernoulli, m)?)?;
    m.add_function(wrap_pyfunction!(_kept, m)?)?;
    Ok(())
}
