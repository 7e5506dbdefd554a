//! Differentiation: backward and grad, hooks, and the nodes of the tape as objects.

mod anomaly;

use crate::args::tensors;
use crate::error::{from_py, Raise};
use crate::function::{ctx_of, saved_tensors};
use crate::owned::{detached, Owned};
use crate::tensor::{fresh, wrap, PyTensor};
use crate::types::type_name;
use pyo3::exceptions::{PyAttributeError, PyRuntimeError, PyTypeError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyString, PyTuple, PyType};
use std::collections::HashMap;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use wengert::{
    DType, GraphNode, Hook, NextFunction, NodeHook, Payload, SavedOperand, Scalar, SweepOptions, Tensor, WeakTensor,
};

fn seed(obj: &Bound<'_, PyAny>) -> PyResult<Option<Tensor>> {
    if obj.is_none() {
        return Ok(None);
    }
    match obj.cast::<PyTensor>() {
        Ok(t) => Ok(Some(t.get().inner.clone())),
        Err(_) => {
            Err(PyTypeError::new_err(format!("gradients can be either Tensors or None, but got {}", type_name(obj))))
        }
    }
}

fn seeds(grads: &Bound<'_, PyAny>) -> PyResult<Vec<Option<Tensor>>> {
    grads.try_iter()?.map(|g| seed(&g?)).collect()
}

/// Adds gradients of `tensors` to the `.grad` of leaves, or of `inputs` alone.
#[pyfunction]
#[pyo3(signature = (roots, grads, retain_graph=false, create_graph=false, inputs=None))]
fn _backward(
    py: Python<'_>,
    roots: &Bound<'_, PyAny>,
    grads: &Bound<'_, PyAny>,
    retain_graph: bool,
    create_graph: bool,
    inputs: Option<&Bound<'_, PyAny>>,
) -> PyResult<()> {
    let roots = tensors("backward", "tensors", roots)?;
    let grads = seeds(grads)?;
    let inputs = inputs.filter(|i| !i.is_none()).map(|i| tensors("backward", "inputs", i)).transpose()?;
    let options = SweepOptions { retain_graph, create_graph };
    // Hooks and users' functions take the GIL back for themselves.
    detached(py, || wengert::backward(&roots, &grads, options, inputs.as_deref())).raise()
}

/// Gradients of `outputs` with respect to `inputs`, None where there is none.
#[pyfunction]
#[pyo3(signature = (outputs, inputs, grad_outputs, retain_graph=false, create_graph=false, allow_unused=false))]
fn _grad(
    py: Python<'_>,
    outputs: &Bound<'_, PyAny>,
    inputs: &Bound<'_, PyAny>,
    grad_outputs: &Bound<'_, PyAny>,
    retain_graph: bool,
    create_graph: bool,
    allow_unused: bool,
) -> PyResult<Vec<Option<Py<PyAny>>>> {
    let outputs = tensors("grad", "outputs", outputs)?;
    let inputs = tensors("grad", "inputs", inputs)?;
    let grads = seeds(grad_outputs)?;
    let options = SweepOptions { retain_graph, create_graph };
    let found = detached(py, || wengert::grad(&outputs, &inputs, &grads, options, allow_unused)).raise()?;
    found.into_iter().map(|g| g.map(|g| wrap(py, g)).transpose()).collect()
}

/// A Python function as a hook: it may give back a tensor in place of the gradient.
fn hook_of(function: Py<PyAny>) -> (Hook, Payload) {
    let function = Arc::new(Owned::new(function));
    let payload = function.clone();
    let hook: Hook = Arc::new(move |g| {
        Python::attach(|py| {
            let result = function.bind(py).call1((wrap(py, g.clone())?,))?;
            if result.is_none() {
                return Ok(None);
            }
            match result.cast::<PyTensor>() {
                Ok(t) => Ok(Some(t.get().inner.clone())),
                Err(_) => {
                    Err(PyTypeError::new_err(format!("expected Variable, but hook returned '{}'", type_name(&result))))
                }
            }
        })
        .map_err(from_py)
    });
    (hook, payload)
}

fn objects<'py>(py: Python<'py>, gradients: &[Option<Tensor>]) -> PyResult<Bound<'py, PyTuple>> {
    let items = gradients.iter().map(|g| g.clone().map(|g| wrap(py, g)).transpose());
    PyTuple::new(py, items.collect::<PyResult<Vec<_>>>()?)
}

/// A Python function of tuples of gradients as a hook of a node.
fn node_hook_of(function: Py<PyAny>) -> NodeHook {
    let function = Owned::new(function);
    Arc::new(move |outputs, inputs| {
        Python::attach(|py| {
            let outputs = objects(py, outputs)?;
            let result = match inputs {
                None => function.bind(py).call1((outputs,))?,
                Some(inputs) => function.bind(py).call1((objects(py, inputs)?, outputs))?,
            };
            if result.is_none() {
                return Ok(None);
            }
            if result.is_instance_of::<PyTensor>() {
                return Ok(Some(vec![seed(&result)?]));
            }
            seeds(&result).map(Some)
        })
        .map_err(from_py)
    })
}

/// Whose hook a handle removes.
enum Hooked {
    /// Weakly: a handle kept by the tensor's own hook is no reason for either to live.
    Tensor(WeakTensor),
    Node(Arc<Place>),
}

/// What `register_hook` gives: `remove()` takes the hook away.
#[pyclass(frozen, name = "RemovableHandle", module = "wengert")]
struct PyHandle {
    #[pyo3(get)]
    id: u64,
    owner: Mutex<Option<Hooked>>,
}

impl PyHandle {
    fn new(id: u64, owner: Hooked) -> PyHandle {
        PyHandle { id, owner: Mutex::new(Some(owner)) }
    }
}

#[pymethods]
impl PyHandle {
    /// Takes the hook away; more than once does nothing.
    fn remove(&self) {
        match self.owner.lock().unwrap_or_else(PoisonError::into_inner).take() {
            Some(Hooked::Tensor(t)) => match t.upgrade() {
                Some(t) => t.remove_hook(self.id),
                None => wengert::remove_hook(self.id),
            },
            Some(Hooked::Node(place)) => match &*place {
                Place::Node(node) => node.remove_hook(self.id),
                Place::Leaf(t) => t.remove_hook(self.id),
            },
            None => {}
        }
    }
    fn __enter__(slf: Py<Self>) -> Py<Self> {
        slf
    }
    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, _exception: &Bound<'_, PyTuple>) {
        self.remove();
    }
}

enum Place {
    Node(GraphNode),
    Leaf(Tensor),
}

impl Place {
    /// A key that no other living place has.
    fn key(&self) -> (bool, u64) {
        match self {
            Place::Node(node) => (true, node.order()),
            Place::Leaf(t) => (false, t.id() as u64),
        }
    }
    fn class(&self) -> String {
        match self {
            Place::Node(node) => node.name(),
            Place::Leaf(_) => "AccumulateGrad".to_owned(),
        }
    }
}

/// A place on the tape that gradients pass through. Its class bears the name of the operation.
#[pyclass(frozen, subclass, weakref, name = "Node", module = "wengert.autograd.graph")]
struct PyNode {
    place: Arc<Place>,
    /// The address of the object itself once it is listed in `NODES`.
    listed: AtomicPtr<ffi::PyObject>,
    metadata: PyOnceLock<Py<PyDict>>,
}

/// The objects of places that have one now, so that `x.grad_fn is x.grad_fn`.
static NODES: Mutex<Option<HashMap<(bool, u64), usize>>> = Mutex::new(None);
static CLASSES: PyOnceLock<Py<PyDict>> = PyOnceLock::new();

impl PyNode {
    fn object(py: Python<'_>, place: Place) -> PyResult<Bound<'_, PyAny>> {
        let key = place.key();
        let known = NODES.lock().unwrap_or_else(PoisonError::into_inner).as_ref().and_then(|n| n.get(&key).copied());
        if let Some(address) = known {
            let object = address as *mut ffi::PyObject;
            // SAFETY: an object leaves the list when it is dropped, under the GIL, which we hold; a count of 0 means
            // that its deallocation has begun.
            unsafe {
                if ffi::Py_REFCNT(object) > 0 {
                    return Ok(Bound::from_borrowed_ptr(py, object));
                }
            }
        }
        let class = node_class(py, &place.class())?;
        let plain = PyNode { place: Arc::new(place), listed: AtomicPtr::default(), metadata: PyOnceLock::new() };
        let object = class.call1((Bound::new(py, plain)?,))?;
        let node = object.cast::<PyNode>()?;
        node.get().listed.store(object.as_ptr(), Ordering::Relaxed);
        NODES
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get_or_insert_default()
            .insert(key, object.as_ptr() as usize);
        Ok(object)
    }
}

impl Drop for PyNode {
    fn drop(&mut self) {
        let me = *self.listed.get_mut() as usize;
        if me == 0 {
            return;
        }
        if let Some(nodes) = NODES.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            let key = self.place.key();
            if nodes.get(&key) == Some(&me) {
                nodes.remove(&key);
            }
        }
    }
}

/// The class of nodes of one name, made when first needed.
fn node_class<'py>(py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyAny>> {
    let classes = CLASSES.get_or_init(py, || PyDict::new(py).unbind()).bind(py);
    if let Some(class) = classes.get_item(name)? {
        return Ok(class);
    }
    let body = PyDict::new(py);
    body.set_item("__module__", "wengert.autograd.graph")?;
    body.set_item("__slots__", PyTuple::empty(py))?;
    let class = py.get_type::<PyType>().call1((name, (py.get_type::<PyNode>(),), body))?;
    classes.set_item(name, &class)?;
    Ok(class)
}

/// Something saved as PyTorch shows it: a number that stands for a tensor is one of no dimensions.
fn saved_object<'py>(py: Python<'py>, name: &str, saved: SavedOperand) -> PyResult<Bound<'py, PyAny>> {
    match saved {
        SavedOperand::None => Ok(py.None().into_bound(py)),
        SavedOperand::Tensor(t) => Ok(wrap(py, t)?.into_bound(py)),
        SavedOperand::Scalar(s) if matches!(name, "self" | "other") => {
            let dtype = match s {
                Scalar::Bool(_) => DType::Bool,
                Scalar::Int(_) => DType::I64,
                Scalar::Float(_) => DType::F64,
            };
            Ok(fresh(py, Tensor::scalar(s, dtype).raise()?)?.into_bound(py))
        }
        SavedOperand::Scalar(s) => Ok(crate::convert::number(py, s)?.into_bound(py)),
    }
}

#[pymethods]
impl PyNode {
    #[new]
    fn new(node: &Bound<'_, PyNode>) -> PyNode {
        PyNode { place: node.get().place.clone(), listed: AtomicPtr::default(), metadata: PyOnceLock::new() }
    }
    /// PyTorch's name of the node.
    fn name(&self) -> String {
        match &*self.place {
            Place::Node(node) => node.name(),
            Place::Leaf(_) => "torch::autograd::AccumulateGrad".to_owned(),
        }
    }
    /// The nodes that the inputs' gradients go to, each with its output's number.
    #[getter]
    fn next_functions<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let next = match &*self.place {
            Place::Node(node) => node.next_functions(),
            Place::Leaf(_) => Vec::new(),
        };
        let pairs = next.into_iter().map(|n| match n {
            NextFunction::None => (py.None(), 0).into_pyobject(py),
            NextFunction::Node(node, output) => (PyNode::object(py, Place::Node(node))?, output).into_pyobject(py),
            NextFunction::Leaf(t) => (PyNode::object(py, Place::Leaf(t))?, 0).into_pyobject(py),
        });
        PyTuple::new(py, pairs.collect::<PyResult<Vec<_>>>()?)
    }
    /// The leaf whose `.grad` is added to here.
    #[getter]
    fn variable(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        match &*self.place {
            Place::Leaf(t) => wrap(py, t.clone()),
            Place::Node(node) => Err(pyo3::exceptions::PyAttributeError::new_err(format!(
                "'{}' object has no attribute 'variable'",
                node.name()
            ))),
        }
    }
    /// The users' notes on this node.
    #[getter]
    fn metadata<'py>(&self, py: Python<'py>) -> PyResult<&Bound<'py, PyDict>> {
        let made = self.metadata.get_or_try_init(py, || {
            let notes = PyDict::new(py);
            if let Place::Node(node) = &*self.place {
                if let Some(lines) = node.note().and_then(|note| anomaly::lines(py, &note)) {
                    notes.set_item("traceback_", lines)?;
                }
            }
            PyResult::Ok(notes.unbind())
        })?;
        Ok(made.bind(py))
    }
    /// Runs `fn(grad_inputs, grad_outputs)` when this node's gradients are computed; it may return other grad_inputs.
    fn register_hook(&self, r#fn: Py<PyAny>) -> PyResult<PyHandle> {
        let id = match &*self.place {
            Place::Node(node) => node.register_hook(true, node_hook_of(r#fn)),
            Place::Leaf(t) => {
                let hook = node_hook_of(r#fn);
                let after: Hook = Arc::new(move |t: &Tensor| hook(&[t.grad()], Some(&[])).map(|_| None));
                t.register_post_accumulate_hook(after, None).raise()?
            }
        };
        Ok(PyHandle::new(id, Hooked::Node(self.place.clone())))
    }
    /// Runs `fn(grad_outputs)` before this node's gradients are computed; it may return other grad_outputs.
    fn register_prehook(&self, r#fn: Py<PyAny>) -> PyResult<PyHandle> {
        let id = match &*self.place {
            Place::Node(node) => node.register_hook(false, node_hook_of(r#fn)),
            Place::Leaf(t) => {
                let hook = node_hook_of(r#fn);
                let before: Hook = Arc::new(move |g: &Tensor| {
                    Ok(hook(&[Some(g.clone())], None)?.and_then(|new| new.into_iter().next().flatten()))
                });
                t.register_hook(before).raise()?
            }
        };
        Ok(PyHandle::new(id, Hooked::Node(self.place.clone())))
    }
    /// What the node has saved (`_saved_self`), and what the ctx of a Function has.
    fn __getattr__<'py>(slf: &Bound<'py, PyNode>, name: &str) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        if let Place::Node(node) = &*slf.get().place {
            if name == "saved_tensors" {
                if let Some(tensors) = saved_tensors(py, node)? {
                    return Ok(tensors.into_any());
                }
            }
            if let Some(ctx) = ctx_of(py, node) {
                return ctx.getattr(name);
            }
            let operand = name.strip_prefix("_saved_");
            if let Some(operand) = operand.filter(|o| node.operands().contains(o)) {
                return saved_object(py, operand, node.saved(operand).raise()?);
            }
        }
        let class = slf.get_type().name()?;
        Err(PyAttributeError::new_err(format!("'{class}' object has no attribute '{name}'")))
    }
    /// Sets an attribute of a Function's ctx.
    fn __setattr__(slf: &Bound<'_, PyNode>, name: &Bound<'_, PyString>, value: &Bound<'_, PyAny>) -> PyResult<()> {
        match &*slf.get().place {
            Place::Node(node) => ctx_of(slf.py(), node),
            Place::Leaf(_) => None,
        }
        .ok_or_else(|| PyAttributeError::new_err(format!("a node of the tape has no attribute '{name}' to set")))?
        .setattr(name, value)
    }
    fn __dir__<'py>(slf: &Bound<'py, PyNode>) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let names = py.get_type::<pyo3::types::PyAny>().call_method1("__dir__", (slf,))?;
        if let Place::Node(node) = &*slf.get().place {
            for operand in node.operands() {
                names.call_method1("append", (format!("_saved_{operand}"),))?;
            }
        }
        Ok(names)
    }
    fn __eq__(&self, other: &Bound<'_, PyAny>) -> bool {
        other.cast::<PyNode>().is_ok_and(|o| o.get().place.key() == self.place.key())
    }
    fn __hash__(&self) -> u64 {
        self.place.key().1
    }
    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        Ok(format!("<{} object at {:#x}>", slf.get_type().name()?, slf.as_ptr() as usize))
    }
}

#[pymethods]
impl PyTensor {
    /// Adds the gradient of this tensor, weighted by `gradient`, to every leaf's `.grad`.
    #[pyo3(signature = (gradient=None, retain_graph=None, create_graph=false, inputs=None))]
    fn backward(
        &self,
        py: Python<'_>,
        gradient: Option<&Bound<'_, PyAny>>,
        retain_graph: Option<bool>,
        create_graph: bool,
        inputs: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let inputs = match inputs.filter(|i| !i.is_none()) {
            None => None,
            Some(one) if one.is_instance_of::<PyTensor>() => seed(one)?.map(|t| vec![t]),
            Some(many) => Some(tensors("backward", "inputs", many)?),
        };
        if inputs.as_ref().is_some_and(|i| i.is_empty()) {
            return Err(PyRuntimeError::new_err("`inputs` argument to `backward()` cannot be empty."));
        }
        let gradient = gradient.map(seed).transpose()?.flatten();
        let options = SweepOptions { retain_graph: retain_graph.unwrap_or(create_graph), create_graph };
        let root = self.inner.clone();
        detached(py, || wengert::backward(&[root], &[gradient], options, inputs.as_deref())).raise()
    }
    /// Turns gradients of this leaf on or off.
    #[pyo3(signature = (requires_grad=true))]
    fn requires_grad_(slf: Bound<'_, PyTensor>, requires_grad: bool) -> PyResult<Bound<'_, PyTensor>> {
        slf.get().inner.set_requires_grad(requires_grad).raise()?;
        Ok(slf)
    }
    /// Keeps `.grad` although this tensor is no leaf.
    fn retain_grad(&self) -> PyResult<()> {
        self.inner.retain_grad().raise()
    }
    #[getter]
    fn retains_grad(&self) -> bool {
        self.inner.retains_grad()
    }
    /// The same elements, off the tape.
    fn detach(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        fresh(py, self.inner.detach())
    }
    /// Takes this tensor itself off the tape.
    fn detach_(slf: Bound<'_, PyTensor>) -> PyResult<Bound<'_, PyTensor>> {
        slf.get().inner.detach_().raise()?;
        Ok(slf)
    }
    /// Runs `hook(grad)` whenever this tensor's gradient is complete; what it returns takes the gradient's place.
    fn register_hook(&self, hook: Py<PyAny>) -> PyResult<PyHandle> {
        let (hook, payload) = hook_of(hook);
        let id = self.inner.register_known_hook(hook, Some(payload)).raise()?;
        Ok(PyHandle::new(id, Hooked::Tensor(self.inner.downgrade())))
    }
    /// Runs `hook(tensor)` after this leaf's `.grad` was added to.
    fn register_post_accumulate_grad_hook(&self, hook: Py<PyAny>) -> PyResult<PyHandle> {
        let hook = Arc::new(Owned::new(hook));
        let payload = hook.clone();
        let after: Hook = Arc::new(move |t: &Tensor| {
            Python::attach(|py| hook.bind(py).call1((wrap(py, t.clone())?,)).map(|_| None)).map_err(from_py)
        });
        let id = self.inner.register_post_accumulate_hook(after, Some(payload)).raise()?;
        Ok(PyHandle::new(id, Hooked::Tensor(self.inner.downgrade())))
    }
    /// The node of the tape that made this tensor.
    #[getter]
    fn grad_fn<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let node = self.inner.grad_fn().raise()?;
        node.map(|node| PyNode::object(py, Place::Node(node))).transpose()
    }
    #[getter]
    fn output_nr(&self) -> usize {
        self.inner.output_nr()
    }
    /// Whether this tensor was made in inference mode.
    fn is_inference(&self) -> bool {
        self.inner.is_inference()
    }
    fn _is_view(&self) -> bool {
        self.inner.is_view()
    }
    /// The tensor that this one is a view of.
    #[getter]
    fn _base(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        self.inner.base().map(|b| wrap(py, b)).transpose()
    }
}

pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    crate::owned::register();
    anomaly::register(m)?;
    m.add("_Node", m.py().get_type::<PyNode>())?;
    m.add("_RemovableHandle", m.py().get_type::<PyHandle>())?;
    m.add_function(wrap_pyfunction!(_backward, m)?)?;
    m.add_function(wrap_pyfunction!(_grad, m)?)?;
    Ok(())
}
