//! Operations that users define.

use super::{Ctx, Grads};
use crate::lock::lock;
use crate::mode::{is_grad_enabled, GradMode};
use crate::record;
use crate::tape::node::{Edge, Node, NodeRef};
use crate::tape::saved::{self, Saved, OUTPUT};
use crate::tensor::{self, requires_grad, Tensor, TensorImpl};
use crate::value::Value;
use std::any::Any;
use std::sync::Arc;
use wengert_ops::counted::{Counted, Watcher};
use wengert_ops::{fail, CustomOp, Meta, Op, Result};

/// A differentiable operation of the user's: what it computes and its gradient.
///
/// ```
/// use std::sync::Arc;
/// use wengert::{apply_function, backward, BackwardCtx, Function, Result, SweepOptions, Tensor};
///
/// #[derive(Debug)]
/// struct Cube;
/// impl Function for Cube {
///     fn name(&self) -> &str { "CubeBackward" }
///     fn forward(&self, x: &[Tensor]) -> Result<Vec<Tensor>> {
///         Ok(vec![x[0].mul(&x[0])?.mul(&x[0])?])
///     }
///     fn backward(&self, ctx: &BackwardCtx<'_>, g: &[Option<Tensor>]) -> Result<Vec<Option<Tensor>>> {
///         let x = ctx.input(0)?;
///         let Some(g) = &g[0] else { return Ok(vec![None]) };
///         Ok(vec![Some(g.mul(&x.mul(&x)?.mul(3.0)?)?)])
///     }
/// }
/// let x = Tensor::from_f32(&[2.0], &[1]).unwrap().requiring_grad().unwrap();
/// let y = apply_function(Arc::new(Cube), &[&x]).unwrap();
/// backward(&y, &[None], SweepOptions::default(), None).unwrap();
/// assert_eq!(x.grad().unwrap().to_vec_f64().unwrap(), [12.0]);
/// ```
pub trait Function: Any + Send + Sync + std::fmt::Debug {
    /// Name of the gradient node.
    fn name(&self) -> &str;
    /// The outputs; runs untaped.
    fn forward(&self, inputs: &[Tensor]) -> Result<Vec<Tensor>>;
    /// Gradients of the inputs. Taped when a graph of the gradient is wanted.
    fn backward(&self, ctx: &BackwardCtx<'_>, grads: &[Option<Tensor>]) -> Result<Vec<Option<Tensor>>>;
    /// Whether all inputs and outputs are kept for `backward` (a binding may keep its own).
    fn saves_operands(&self) -> bool {
        true
    }
    /// Lets go of what it keeps for `backward` by itself: a sweep without `retain_graph` has passed.
    fn release(&self) {}
}

/// What a [`Function`]'s backward may ask for.
pub struct BackwardCtx<'a> {
    ctx: &'a Ctx<'a>,
}

impl BackwardCtx<'_> {
    /// The input as it was in the forward pass.
    pub fn input(&self, i: usize) -> Result<Tensor> {
        self.ctx.input(i)
    }
    /// The output as it was computed.
    pub fn output(&self, k: usize) -> Result<Tensor> {
        self.ctx.output(k)
    }
    /// Whether this input's gradient is wanted.
    pub fn needs_input_grad(&self, i: usize) -> bool {
        self.ctx.needs(i)
    }
    /// Whether the backward pass itself is taped.
    pub fn create_graph(&self) -> bool {
        self.ctx.create
    }
    /// Shape, dtype of output `k`.
    pub fn output_meta(&self, k: usize) -> Option<Meta> {
        self.ctx.metas.get(k).map(|(l, d)| Meta::new(l.shape(), *d))
    }
    /// A saved variable that was this node's own output gets its place on the tape back.
    pub fn unpack(&self, saved: &SavedVariable) -> Result<Tensor> {
        saved.unpack_in(Some(self.ctx.node))
    }
}

#[derive(Debug)]
struct CustomNode(Arc<dyn Function>);

/// The user's function behind an op.
pub(crate) fn function(op: &Op) -> Option<&Arc<dyn Function>> {
    match op {
        Op::Custom(op) => op.as_any().downcast_ref::<CustomNode>().map(|node| &node.0),
        _ => None,
    }
}

impl CustomOp for CustomNode {
    fn name(&self) -> &str {
        self.0.name()
    }
    fn infer(&self, _: &[Meta]) -> Result<Vec<Meta>> {
        fail!(not_implemented, "{}: shapes of a user's function are known only by running it", self.0.name())
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// Runs a user's function and tapes it.
pub fn apply_function(function: Arc<dyn Function>, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
    let owned: Vec<Tensor> = inputs.iter().map(|t| (*t).clone()).collect();
    let outputs = {
        let _off = GradMode::set(false);
        function.forward(&owned)?
    };
    record_function(function, inputs, &outputs, &[])?;
    Ok(outputs)
}

/// Makes `outputs` the taped results of `function` over `inputs`, if gradients are on and needed. An output that is an
/// input is replaced by a new handle. Returns whether it was taped.
pub fn record_function(
    function: Arc<dyn Function>,
    inputs: &[&Tensor],
    outputs: &[Tensor],
    not_differentiable: &[bool],
) -> Result<bool> {
    if !is_grad_enabled() || outputs.is_empty() {
        return Ok(false);
    }
    let keep = function.saves_operands();
    let in_values: Vec<Value> = if keep { inputs.iter().map(|t| t.value()).collect() } else { Vec::new() };
    let out_values: Vec<Value> = outputs.iter().map(|t| t.value()).collect();
    let mut guard = lock();
    if !inputs.iter().any(|t| requires_grad(t, &guard.key)) {
        return Ok(false);
    }
    let op = Op::Custom(Arc::new(CustomNode(function)));
    let mut node = Node::new(op, out_values[0].layout.clone(), out_values[0].dtype, 0);
    for (i, t) in inputs.iter().enumerate() {
        let edge = if requires_grad(t, &guard.key) { tensor::edge(t, &mut guard)? } else { Edge::None };
        let layout = &t.0.state.get(&guard.key).layout;
        node.saved.extend(record::untold_shape(i, &edge, layout, &guard));
        node.edges.push(edge);
    }
    for (i, v) in in_values.iter().enumerate() {
        node.saved.push(Saved::new(i as u8, v, &mut guard.key));
    }
    if keep {
        for (k, v) in out_values.iter().enumerate() {
            node.saved.push(Saved::new(OUTPUT | k as u8, v, &mut guard.key));
        }
    }
    if out_values.len() > 1 {
        node.more = Some(out_values[1..].iter().map(|v| (v.layout.clone(), v.dtype)).collect());
    }
    let node = guard.tape.push(node);
    for (k, t) in outputs.iter().enumerate() {
        if !t.dtype().is_float() || not_differentiable.get(k).copied().unwrap_or(false) {
            continue;
        }
        guard.tape.hold(node);
        let locked = &mut *guard;
        tensor::replace_edge(t, Edge::Node(node.with_output(k as u16)), locked);
    }
    let locked = &mut *guard;
    locked.tape.release(node, &mut locked.key);
    Ok(true)
}

pub(crate) fn vjp(ctx: &Ctx<'_>, op: &dyn CustomOp, grads: &[Option<Tensor>]) -> Result<Grads> {
    let Some(node) = op.as_any().downcast_ref::<CustomNode>() else {
        fail!(not_implemented, "{}: this custom op has no backward; implement wengert::Function", op.name());
    };
    let mut grads = grads.to_vec();
    grads.resize(ctx.metas.len(), None);
    let results = node.0.backward(&BackwardCtx { ctx }, &grads)?;
    let device = grads.iter().flatten().next().map(|g| g.device());
    for (i, g) in results.iter().enumerate() {
        if let (Some(g), Some(device)) = (g, device) {
            if g.device() != device {
                fail!(
                    runtime,
                    "Function {} returned an invalid gradient at index {i} - expected device {device} but got {}",
                    op.name(),
                    g.device()
                );
            }
        }
    }
    Ok(results.into_iter().collect())
}

/// A tensor kept for a user's backward pass: a snapshot that does not keep its own node alive in a cycle.
pub struct SavedVariable {
    value: Value,
    pinned_writes: Option<u32>,
    edge: SavedEdge,
}

enum SavedEdge {
    /// An input, or something made before the node: as it was, and the tensor itself.
    Tensor(Tensor, Original),
    Output(u16),
}

/// The very tensor that was saved, which comes back while it is as it was.
enum Original {
    /// A leaf: the node's edge holds it as well.
    Leaf(Tensor),
    /// Anything else may come to depend on the node by a write in place, and would keep itself alive.
    Other(Watcher<TensorImpl>),
}

impl Original {
    fn get(&self) -> Option<Tensor> {
        match self {
            Original::Leaf(t) => Some(t.clone()),
            Original::Other(t) => t.upgrade().map(Tensor),
        }
    }

    /// The tensor, if it still has the value and the place on the tape of its snapshot.
    fn unchanged(&self, snapshot: &Tensor, value: &Value) -> Option<Tensor> {
        let original = self.get()?;
        let mut guard = lock();
        let edge = tensor::edge(&original, &mut guard).ok();
        let then = snapshot.0.state.get(&guard.key);
        let same = original.0.has_value(value, &guard.key)
            && match (edge, &then.edge) {
                (Some(Edge::None), Edge::None) => true,
                (Some(Edge::Leaf(a)), Edge::Leaf(b)) => Counted::ptr_eq(&a, b),
                (Some(Edge::Node(a)), Edge::Node(b)) => a == *b,
                _ => false,
            };
        drop(guard);
        same.then_some(original)
    }
}

impl SavedVariable {
    /// Snapshots `t`. `output` is its number among the outputs of the node being made, if it is one.
    pub fn new(t: &Tensor, output: Option<u16>) -> SavedVariable {
        let value = t.value();
        let pinned = value.buffer.is_pinned();
        let pinned_writes = pinned.then(|| value.buffer.writes.load(std::sync::atomic::Ordering::Relaxed));
        let edge = match output {
            Some(k) => SavedEdge::Output(k),
            None => {
                // A handle of its own: later in-place writes to `t` must not show.
                let mut guard = lock();
                let edge = if requires_grad(t, &guard.key) {
                    tensor::edge(t, &mut guard).unwrap_or_default()
                } else {
                    Edge::None
                };
                if let Edge::Node(n) = edge {
                    guard.tape.hold(n);
                }
                drop(guard);
                let original = match &edge {
                    Edge::Leaf(leaf) if Counted::ptr_eq(leaf, &t.0) => Original::Leaf(t.clone()),
                    _ => Original::Other(Counted::watch(&t.0)),
                };
                SavedEdge::Tensor(Tensor::with_edge(value.clone(), edge), original)
            }
        };
        SavedVariable { value, pinned_writes, edge }
    }

    /// The tensor as it was, with its history: the very one that was saved, unless it was written since.
    pub fn unpack(&self) -> Result<Tensor> {
        self.unpack_in(None)
    }

    pub(crate) fn unpack_in(&self, node: Option<NodeRef>) -> Result<Tensor> {
        if let Some(writes) = self.pinned_writes {
            if self.value.buffer.writes.load(std::sync::atomic::Ordering::Relaxed) != writes {
                return Err(saved::modified("the Function"));
            }
        }
        Ok(match (&self.edge, node) {
            (SavedEdge::Tensor(snapshot, original), _) => {
                original.unchanged(snapshot, &self.value).unwrap_or_else(|| snapshot.clone())
            }
            (SavedEdge::Output(k), Some(node)) if is_grad_enabled() => {
                lock().tape.hold(node);
                Tensor::with_edge(self.value.clone(), Edge::Node(node.with_output(*k)))
            }
            _ => Tensor::from_value(self.value.clone()),
        })
    }
}
