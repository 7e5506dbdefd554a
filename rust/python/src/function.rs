//! Operations whose forward and backward are written in Python (`autograd.Function`).

use crate::error::{from_py, to_py, Raise};
use crate::owned::Owned;
use crate::tensor::{fresh, wrap, PyTensor};
use crate::types::type_name;
use pyo3::exceptions::PyRuntimeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::pyclass::{PyTraverseError, PyVisit};
use pyo3::types::PyTuple;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use wengert::{layout, BackwardCtx, DType, Device, Dims, Function, GradMode, GraphNode, SavedVariable, Tensor};

/// Shape and kind of a tensor that passed through.
#[derive(Clone)]
struct Info {
    shape: Dims,
    dtype: DType,
    device: Device,
}

impl Info {
    fn of(t: &Tensor) -> Info {
        Info { shape: t.shape(), dtype: t.dtype(), device: t.device() }
    }
}

/// What `save_for_backward` was given.
struct Kept {
    /// `None` once a backward pass has freed them.
    variables: Mutex<Option<Arc<Variables>>>,
    /// The tensors of backward calls under way: a saved output has its place on the tape only there.
    unpacked: Mutex<Vec<Vec<Option<Tensor>>>>,
}

type Variables = Vec<Option<SavedVariable>>;

impl Kept {
    fn unpack(&self, f: impl Fn(&SavedVariable) -> wengert::Result<Tensor>) -> wengert::Result<Vec<Option<Tensor>>> {
        let variables = self.variables.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(variables) = variables else { return Err(wengert::freed()) };
        variables.iter().map(|v| v.as_ref().map(&f).transpose()).collect()
    }

    fn release(&self) {
        let freed = self.variables.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(freed);
    }

    fn stack(&self) -> MutexGuard<'_, Vec<Vec<Option<Tensor>>>> {
        self.unpacked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(&self, ctx: &BackwardCtx<'_>) -> wengert::Result<Entered<'_>> {
        let tensors = self.unpack(|v| ctx.unpack(v))?;
        self.stack().push(tensors);
        Ok(Entered(self))
    }
}

struct Entered<'a>(&'a Kept);

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        let done = self.0.stack().pop();
        drop(done);
    }
}

/// Holds what a Function saved; called, it gives the tensors back.
#[pyclass(frozen, name = "_SavedTensors", module = "wengert")]
struct PySavedTensors(Arc<Kept>);

#[pymethods]
impl PySavedTensors {
    fn __call__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let entered = self.0.stack().last().cloned();
        let tensors = match entered {
            Some(tensors) => tensors,
            None => self.0.unpack(SavedVariable::unpack).raise()?,
        };
        tuple(py, tensors)
    }
}

fn tuple(py: Python<'_>, tensors: Vec<Option<Tensor>>) -> PyResult<Bound<'_, PyTuple>> {
    let objects = tensors.into_iter().map(|t| t.map(|t| wrap(py, t)).transpose());
    PyTuple::new(py, objects.collect::<PyResult<Vec<_>>>()?)
}

/// The ctx of the Function that a node applies.
pub fn ctx_of<'py>(py: Python<'py>, node: &GraphNode) -> Option<Bound<'py, PyAny>> {
    let function = node.function()?;
    applied(&*function).map(|f| f.ctx.bind(py).clone())
}

/// What the Function that a node applies has saved.
pub fn saved_tensors<'py>(py: Python<'py>, node: &GraphNode) -> PyResult<Option<Bound<'py, PyTuple>>> {
    let Some(function) = node.function() else { return Ok(None) };
    let Some(applied) = applied(&*function) else { return Ok(None) };
    let tensors = match &applied.kept {
        Some(kept) => kept.unpack(|v| node.unpack(v)).raise()?,
        None => Vec::new(),
    };
    tuple(py, tensors).map(Some)
}

/// Shows the collector of cycles what an application of a Function keeps.
pub fn visit(function: &dyn Function, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
    let Some(applied) = applied(function) else { return Ok(()) };
    visit.call(&*applied.class)?;
    visit.call(&*applied.ctx)
}

fn applied(function: &dyn Function) -> Option<&Applied> {
    let any: &dyn std::any::Any = function;
    any.downcast_ref::<Applied>()
}

/// One application of a Python Function, as the tape keeps it.
struct Applied {
    name: String,
    class: Owned,
    ctx: Owned,
    materialize: bool,
    kept: Option<Arc<Kept>>,
    /// By argument of forward: its tensor, `None` for other things.
    inputs: Vec<Option<Info>>,
    /// By value that forward returned: its number among the node's outputs, and what it is.
    outputs: Vec<Option<(usize, Info)>>,
}

impl std::fmt::Debug for Applied {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name)
    }
}

impl Function for Applied {
    fn name(&self) -> &str {
        &self.name
    }
    fn forward(&self, _: &[Tensor]) -> wengert::Result<Vec<Tensor>> {
        Err(wengert::Error::internal(format!("{}: a Function of Python is run before it is taped", self.name)))
    }
    fn backward(&self, ctx: &BackwardCtx<'_>, grads: &[Option<Tensor>]) -> wengert::Result<Vec<Option<Tensor>>> {
        Python::attach(|py| {
            let _entered = self.kept.as_ref().map(|k| k.enter(ctx)).transpose().raise()?;
            self.call(py, grads)
        })
        .map_err(from_py)
    }
    fn release(&self) {
        if let Some(kept) = &self.kept {
            kept.release();
        }
    }
    fn saves_operands(&self) -> bool {
        false
    }
}

impl Applied {
    fn call(&self, py: Python<'_>, grads: &[Option<Tensor>]) -> PyResult<Vec<Option<Tensor>>> {
        let mut args = vec![self.ctx.clone_ref(py)];
        for output in &self.outputs {
            args.push(match output {
                None => py.None(),
                Some((k, info)) => match grads.get(*k).and_then(|g| g.as_ref()) {
                    Some(g) => wrap(py, g.clone())?,
                    None if self.materialize => {
                        fresh(py, Tensor::zeros(&info.shape, info.dtype, info.device).raise()?)?
                    }
                    None => py.None(),
                },
            });
        }
        let result = self.class.bind(py).call_method1(intern!(py, "backward"), PyTuple::new(py, args)?)?;
        let mut found: Vec<Bound<'_, PyAny>> = match result.cast::<PyTuple>() {
            Ok(many) => many.iter().collect(),
            Err(_) => vec![result],
        };
        while found.len() > self.inputs.len() && found.last().is_some_and(|g| g.is_none()) {
            found.pop();
        }
        if found.len() != self.inputs.len() {
            return Err(PyRuntimeError::new_err(format!(
                "function {} returned an incorrect number of gradients (expected {}, got {})",
                self.name,
                self.inputs.len(),
                found.len()
            )));
        }
        let mut gradients = Vec::new();
        for (i, (g, input)) in found.iter().zip(&self.inputs).enumerate() {
            let Some(input) = input else {
                if !g.is_none() {
                    return Err(PyRuntimeError::new_err(format!(
                        "function {} returned a gradient different than None at position {}, but the corresponding forward \
                         input was not a Variable",
                        self.name,
                        i + 1
                    )));
                }
                continue;
            };
            gradients.push(self.gradient(i, g, input)?);
        }
        Ok(gradients)
    }

    fn gradient(&self, i: usize, g: &Bound<'_, PyAny>, input: &Info) -> PyResult<Option<Tensor>> {
        if g.is_none() {
            return Ok(None);
        }
        let Ok(g) = g.cast::<PyTensor>() else {
            return Err(PyRuntimeError::new_err(format!(
                "expected Variable or None (got {}) as gradient {i} of function {}",
                type_name(g),
                self.name
            )));
        };
        let g = &g.get().inner;
        let shape = g.shape();
        if shape != input.shape && layout::broadcast_shapes("", &[&input.shape, &shape]).map_or(true, |s| s != shape) {
            return Err(PyRuntimeError::new_err(format!(
                "Function {} returned an invalid gradient at index {i} - got {:?} but expected shape compatible with {:?}",
                self.name,
                &shape[..],
                &input.shape[..]
            )));
        }
        Ok(Some(g.clone()))
    }
}

fn same_object(list: &[Py<PyAny>], obj: &Bound<'_, PyAny>) -> Option<usize> {
    list.iter().position(|o| o.is(obj))
}

fn listed(ctx: &Bound<'_, PyAny>, name: &Bound<'_, pyo3::types::PyString>) -> PyResult<Vec<Py<PyAny>>> {
    ctx.getattr(name)?.try_iter()?.map(|o| o.map(|o| o.unbind())).collect()
}

fn inner(obj: &Bound<'_, PyAny>) -> Option<Tensor> {
    obj.cast::<PyTensor>().ok().map(|t| t.get().inner.clone())
}

/// Checks a tensor that forward has changed in place, before it gets its new history.
fn check_dirty(name: &str, t: &Tensor, is_input: bool) -> PyResult<()> {
    if !is_input {
        return Err(PyRuntimeError::new_err(format!(
            "{name}: mark_dirty() was given a tensor that is not an input of forward; pass only inputs changed in place"
        )));
    }
    if t.requires_grad() && t.is_leaf() {
        return Err(PyRuntimeError::new_err(
            "a leaf Variable that requires grad has been used in an in-place operation.",
        ));
    }
    Ok(())
}

/// Runs `cls.forward(ctx, *args)` and tapes it with `cls.backward`.
#[pyfunction]
fn _apply_function<'py>(
    py: Python<'py>,
    cls: &Bound<'py, PyAny>,
    ctx: &Bound<'py, PyAny>,
    args: &Bound<'py, PyTuple>,
) -> PyResult<Bound<'py, PyAny>> {
    let returned = {
        let _off = GradMode::set(false);
        let mut all = vec![ctx.clone()];
        all.extend(args.iter());
        cls.call_method1(intern!(py, "forward"), PyTuple::new(py, all)?)?
    };
    let single = !returned.is_instance_of::<PyTuple>();
    let mut values: Vec<Bound<'py, PyAny>> = match returned.cast::<PyTuple>() {
        Ok(many) => many.iter().collect(),
        Err(_) => vec![returned.clone()],
    };
    let name = format!("{}Backward", cls.getattr(intern!(py, "__name__"))?);
    let inputs: Vec<Option<Tensor>> = args.iter().map(|a| inner(&a)).collect();
    let taped = wengert::is_grad_enabled() && inputs.iter().flatten().any(|t| t.requires_grad());

    let dirty = listed(ctx, intern!(py, "dirty_tensors"))?;
    for t in &dirty {
        if let Some(tensor) = inner(t.bind(py)) {
            let is_input = args.iter().any(|a| a.is(t.bind(py)));
            if taped || !is_input {
                check_dirty(&name, &tensor, is_input)?;
            }
            if !values.iter().any(|v| v.is(t)) {
                return Err(PyRuntimeError::new_err(
                    "Some elements marked as dirty during the forward method were not returned as output. The inputs that are \
                     modified inplace must all be outputs of the Function.",
                ));
            }
        }
    }
    // The saved list is by object, so it is read against what forward returned, before that is replaced.
    let kept = if taped { keep(py, ctx, args, &values)? } else { None };
    let fixed = listed(ctx, intern!(py, "non_differentiable"))?;
    let is_fixed: Vec<bool> = values.iter().map(|v| same_object(&fixed, v).is_some()).collect();

    // An input that comes back unchanged is another tensor from here on; a changed view gets its history through
    // its base, by a copy of the new value.
    let mut views = Vec::new();
    for value in &mut values {
        let Some(t) = inner(value) else { continue };
        let is_dirty = same_object(&dirty, value).is_some();
        let is_input = args.iter().any(|a| a.is(&*value));
        if is_dirty && taped && t.is_view() {
            views.push((t.clone(), value.clone()));
        }
        if is_input && (!is_dirty || (taped && t.is_view())) {
            *value = fresh(py, t.detach())?.into_bound(py);
        }
    }
    if taped {
        let tensors: Vec<&Tensor> = inputs.iter().flatten().collect();
        let mut outputs = Vec::new();
        let mut not_differentiable = Vec::new();
        let mut places = Vec::new();
        for (value, fixed) in values.iter().zip(&is_fixed) {
            places.push(inner(value).map(|t| {
                let info = Info::of(&t);
                outputs.push(t);
                not_differentiable.push(*fixed);
                (outputs.len() - 1, info)
            }));
        }
        let applied = Applied {
            name,
            class: Owned::new(cls.clone().unbind()),
            ctx: Owned::new(ctx.clone().unbind()),
            materialize: ctx.getattr(intern!(py, "materialize_grads"))?.is_truthy()?,
            kept,
            inputs: inputs.iter().map(|t| t.as_ref().map(Info::of)).collect(),
            outputs: places,
        };
        wengert::record_function(Arc::new(applied), &tensors, &outputs, &not_differentiable).map_err(to_py)?;
        // Each changed view stood where now its detached twin stands.
        for (view, object) in views {
            let twin = values.iter().position(|v| inner(v).is_some_and(|t| t.shares_storage(&view) && !t.is(&view)));
            if let Some(at) = twin {
                if let Some(new) = inner(&values[at]) {
                    view.copy_(&new).raise()?;
                    values[at] = object;
                }
            }
        }
    }
    if single {
        return Ok(values.swap_remove(0));
    }
    Ok(PyTuple::new(py, values)?.into_any())
}

/// Takes over what forward saved, so that a saved output does not keep its own node alive.
fn keep(
    py: Python<'_>,
    ctx: &Bound<'_, PyAny>,
    args: &Bound<'_, PyTuple>,
    values: &[Bound<'_, PyAny>],
) -> PyResult<Option<Arc<Kept>>> {
    let saved = listed(ctx, intern!(py, "to_save"))?;
    if saved.is_empty() {
        return Ok(None);
    }
    // Numbers count tensors only, as the node does.
    let outputs: Vec<&Bound<'_, PyAny>> = values.iter().filter(|v| v.is_instance_of::<PyTensor>()).collect();
    let dirty = listed(ctx, intern!(py, "dirty_tensors"))?;
    let variables = saved.iter().map(|object| {
        let object = object.bind(py);
        let tensor = inner(object).map(|t| {
            if t.is_inference() {
                return Err(PyRuntimeError::new_err(
                    "Inference tensors cannot be saved for backward. Please do not use Tensors created in inference mode in \
                     computation tracked by autograd. To work around this, you can make a clone to get a normal tensor and use it \
                     in autograd, or use `torch.no_grad()` instead of `torch.inference_mode()`.",
                ));
            }
            let number = outputs.iter().position(|o| o.is(object)).map(|k| k as u16);
            // An input that is returned as it came is saved as the input.
            let before = args.iter().any(|a| a.is(object)) && same_object(&dirty, object).is_none();
            Ok(SavedVariable::new(&t, if before { None } else { number }))
        });
        tensor.transpose()
    });
    let variables = variables.collect::<PyResult<Variables>>()?;
    let kept = Arc::new(Kept { variables: Mutex::new(Some(Arc::new(variables))), unpacked: Mutex::default() });
    ctx.setattr(intern!(py, "_unpack"), PySavedTensors(kept.clone()))?;
    ctx.setattr(intern!(py, "to_save"), PyTuple::empty(py))?;
    Ok(Some(kept))
}

pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_class::<PySavedTensors>()?;
    m.add_function(wrap_pyfunction!(_apply_function, m)?)?;
    Ok(())
}
