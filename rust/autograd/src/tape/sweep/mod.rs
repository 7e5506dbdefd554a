//! The backward sweep: nodes with a gradient are taken in descending order until none is left.
//!
//! All marks belong to the sweep, so that several may run at once and a hook may start one.

mod arrived;
mod deliver;
mod fast;
mod gradients;
mod marks;
mod paths;
mod shortcut;

use crate::anomaly;
use crate::depth;
use crate::lock::{lock, Locked};
use crate::mixed::Mixed;
use crate::record::among;
use crate::rules::{self, Ctx, Grads, Unpacked};
use crate::tape::labels;
use crate::tape::node::{flag, Edge, NodeRef};
use crate::tape::saved::{self, Saved, OUTPUT};
use crate::tape::{Hook, NodeHook};
use crate::tensor::{self, Tensor, TensorImpl};
use deliver::apart;
use fast::{Late, Progress};
use gradients::{add_to_grad, check_hook_result, checked_gradients, root_gradient, run_leaf_hooks};
use marks::{Marks, Slot};
use paths::Wanted;
use smallvec::SmallVec;
use std::collections::{BinaryHeap, HashMap};
use std::hash::BuildHasherDefault;
use std::sync::atomic::{AtomicPtr, Ordering};
use wengert_ops::counted::Counted;
use wengert_ops::{fail, DType, Layout, Op, Result};

pub(super) struct Sweep {
    marks: Vec<Option<Box<Marks>>>,
    chunks: BinaryHeap<(u64, u32)>,
    pub(super) leaves: Vec<(Counted<TensorImpl>, Tensor)>,
    pub(super) leaf_index: LeafIndex,
    wanted: Option<Wanted>,
    captured: Vec<Option<Tensor>>,
    /// What could not be added under the lock.
    late: Late,
    pub(super) retain: bool,
    pub(super) create: bool,
    /// Anomaly mode is on: every node goes the long way.
    anomaly: bool,
    check_nan: bool,
}

/// From a leaf's address to its place among the leaves met.
type LeafIndex = HashMap<usize, usize, BuildHasherDefault<Mixed>>;

/// One node taken out for its rule.
pub(super) struct Step {
    slot: Slot,
    node: NodeRef,
    op: Op,
    saved: SmallVec<[Unpacked; 2]>,
    needs: u64,
    edges: usize,
    metas: SmallVec<[(Layout, DType); 1]>,
    hooks: Vec<(u16, Hook)>,
    retains: Vec<(u16, Tensor)>,
    node_hooks: Vec<(bool, NodeHook)>,
    stale: bool,
    /// Whether what the node has saved goes once its gradients have been handed on.
    free: bool,
}

static INTERRUPTED: AtomicPtr<()> = AtomicPtr::new(std::ptr::null_mut());

/// Sets a function that is asked between nodes whether the user wants to stop.
pub fn set_interrupt_check(check: fn() -> Result<()>) {
    INTERRUPTED.store(check as *mut (), Ordering::Release);
}

pub(crate) fn check_interrupt() -> Result<()> {
    depth::check_stop()?;
    let check = INTERRUPTED.load(Ordering::Acquire);
    if check.is_null() {
        return Ok(());
    }
    // SAFETY: only `set_interrupt_check` stores here, and only functions of this very type.
    let check: fn() -> Result<()> = unsafe { std::mem::transmute(check) };
    check()
}

/// How to differentiate.
#[derive(Clone, Copy, Default, Debug)]
pub struct SweepOptions {
    /// Keep saved values, so that the graph can be swept again.
    pub retain_graph: bool,
    /// Tape the sweep itself, for higher derivatives.
    pub create_graph: bool,
}

/// Sums gradients of `roots` into the `.grad` of leaves (or of `inputs` alone).
///
/// ```
/// use wengert::{backward, Tensor, SweepOptions};
/// let x = Tensor::from_f32(&[3.0], &[1]).unwrap().requiring_grad().unwrap();
/// let y = x.mul(&x).unwrap();
/// backward(&[y], &[None], SweepOptions::default(), None).unwrap();
/// assert_eq!(x.grad().unwrap().to_vec_f64().unwrap(), [6.0]);
/// ```
pub fn backward(
    roots: &[Tensor],
    grads: &[Option<Tensor>],
    options: SweepOptions,
    inputs: Option<&[Tensor]>,
) -> Result<()> {
    depth::enter(|| into_grads(roots, grads, options, inputs))
}

fn into_grads(
    roots: &[Tensor],
    grads: &[Option<Tensor>],
    options: SweepOptions,
    inputs: Option<&[Tensor]>,
) -> Result<()> {
    // Inputs that are no leaves keep their gradients from now on, as in PyTorch.
    for input in inputs.into_iter().flatten() {
        if input.requires_grad() {
            input.retain_grad()?;
        }
    }
    let mut sweep = Sweep::new(options, inputs.map_or(0, |i| i.len()));
    sweep.run(roots, grads, inputs)?;
    sweep.commit()
}

/// Gradients of `outputs` with respect to `inputs`; nothing is added to `.grad`.
pub fn grad(
    outputs: &[Tensor],
    inputs: &[Tensor],
    grads: &[Option<Tensor>],
    options: SweepOptions,
    allow_unused: bool,
) -> Result<Vec<Option<Tensor>>> {
    let captured = depth::enter(|| {
        let mut sweep = Sweep::new(options, inputs.len());
        sweep.run(outputs, grads, Some(inputs))?;
        sweep.capture_leaves()?;
        Ok(std::mem::take(&mut sweep.captured))
    })?;
    if !allow_unused && captured.iter().any(|g| g.is_none()) {
        fail!(
            runtime,
            "One of the differentiated Tensors appears to not have been used in the graph. Set allow_unused=True if this is the \
             desired behavior."
        );
    }
    Ok(captured)
}

impl Sweep {
    fn new(options: SweepOptions, inputs: usize) -> Sweep {
        let (anomaly, check_nan) = anomaly::anomaly();
        Sweep {
            marks: Vec::new(),
            chunks: BinaryHeap::new(),
            leaves: Vec::new(),
            leaf_index: LeafIndex::default(),
            wanted: None,
            captured: (0..inputs).map(|_| None).collect(),
            late: Late::new(),
            retain: options.retain_graph || options.create_graph,
            create: options.create_graph,
            anomaly,
            check_nan: anomaly && check_nan,
        }
    }

    fn run(&mut self, roots: &[Tensor], grads: &[Option<Tensor>], inputs: Option<&[Tensor]>) -> Result<()> {
        let mut starts: SmallVec<[(Edge, Tensor); 1]> = SmallVec::new();
        for (i, root) in roots.iter().enumerate() {
            let edge = tensor::edge(root, &mut lock())?;
            if !edge.is_some() {
                fail!(runtime, "element {i} of tensors does not require grad and does not have a grad_fn");
            }
            starts.push((edge, root_gradient(i, root, grads.get(i).and_then(|g| g.as_ref()), self.create)?));
        }
        // Roots are held by the caller's tensors; a hook may write to them in place, so hold their nodes too.
        let _held = Held::new(starts.iter().filter_map(|(e, _)| match e {
            Edge::Node(n) => Some(*n),
            _ => None,
        }));
        if let Some(inputs) = inputs {
            self.wanted = Some(self.find_paths(&starts, inputs)?);
        }
        let _mode = crate::mode::GradMode::set(self.create);
        for (edge, g) in starts {
            self.arrive(edge, g)?;
        }
        let mut count = 0u32;
        loop {
            let progress = self.rows(&mut lock())?;
            count = count.wrapping_add(1);
            if count.is_multiple_of(64) {
                check_interrupt()?;
            }
            match progress {
                Progress::Done => break,
                Progress::Pause => {}
                Progress::Late(gradients) => {
                    for (edge, g) in gradients {
                        self.arrive(edge, g)?;
                    }
                }
                Progress::Slow(step) if self.anomaly => {
                    let node = step.node;
                    let _running = anomaly::Running::enter(node);
                    self.step(*step).map_err(|e| anomaly::told(node, e))?;
                }
                Progress::Slow(step) => self.step(*step)?,
            }
        }
        Ok(())
    }

    /// Notes the gradients of a node's outputs that `inputs=` names.
    fn capture(&mut self, node: NodeRef, grads: &[Option<Tensor>]) {
        let Some(wanted) = &self.wanted else { return };
        for (output, g) in grads.iter().enumerate() {
            if let (Some(places), Some(g)) = (wanted.nodes.get(&(node.chunk, node.index, output as u16)), g) {
                // Hooks may write to theirs.
                let g = if self.create { g.clone() } else { Tensor::from_value(g.value()) };
                for &place in places {
                    self.captured[place] = Some(g.clone());
                }
            }
        }
    }

    /// Notes the gradients of the leaves that `inputs=` names, after their hooks.
    fn capture_leaves(&mut self) -> Result<()> {
        let _mode = crate::mode::GradMode::set(self.create);
        for (leaf, g) in std::mem::take(&mut self.leaves) {
            let g = run_leaf_hooks(&Tensor(leaf.clone()), g)?;
            let id = Counted::as_ptr(&leaf) as usize;
            if let Some(places) = self.wanted.as_ref().and_then(|w| w.leaves.get(&id)) {
                for &place in places {
                    self.captured[place] = Some(g.clone());
                }
            }
        }
        Ok(())
    }

    /// Whether `inputs=` names an output of this (one-output) node, or anomaly mode wants to see it.
    pub(super) fn asked_for(&self, n: NodeRef) -> bool {
        self.anomaly || self.wanted.as_ref().is_some_and(|w| w.nodes.contains_key(&(n.chunk, n.index, 0)))
    }

    /// Whether a gradient for this edge is of any use.
    pub(super) fn useful(&self, edge: &Edge) -> bool {
        match (edge, &self.wanted) {
            (Edge::None, _) => false,
            (_, None) => true,
            (Edge::Node(n), Some(w)) => w.run.contains(*n) || w.nodes.contains_key(&(n.chunk, n.index, n.output)),
            (Edge::Leaf(l), Some(w)) => w.leaves.contains_key(&(Counted::as_ptr(l) as usize)),
        }
    }

    pub(super) fn take_step(&mut self, node: NodeRef, locked: &mut Locked) -> Result<Step> {
        let slot = self.take_slot(node);
        let create = self.create;
        let mut needs = 0u64;
        {
            let n = locked.tape.node(node);
            for (i, edge) in n.edges.iter().enumerate() {
                if self.useful(edge) {
                    needs |= 1 << i.min(63);
                }
            }
        }
        let n = locked.tape.node_mut(node);
        if n.flags & flag::FREED != 0 && needs != 0 {
            return Err(saved::freed());
        }
        let op = n.op.clone();
        let edges = n.edges.len();
        let mut metas: SmallVec<[(Layout, DType); 1]> = SmallVec::new();
        metas.push((n.layout.clone(), n.dtype));
        if let Some(more) = &n.more {
            metas.extend(more.iter().cloned());
        }
        let has_hooks = n.flags & flag::HOOKS != 0;
        let free = !self.retain && needs != 0 && n.saved.iter().any(Saved::holds_elements);
        let mut saved: SmallVec<[Unpacked; 2]> = SmallVec::new();
        let mut stale = false;
        let n = locked.tape.node(node);
        let source = |slot: u8| match slot & OUTPUT {
            _ if !create => Edge::None,
            0 => n.edges.get(slot as usize).cloned().unwrap_or_default(),
            _ => {
                let output = (slot & !OUTPUT) as u16;
                if n.meta(output).1.is_float() {
                    Edge::Node(node.with_output(output))
                } else {
                    Edge::None
                }
            }
        };
        for s in &n.saved {
            saved.push(match s {
                Saved::Scalar { slot, value } => Unpacked::Scalar(*slot, *value),
                Saved::Shape { input, layout } => Unpacked::Shape(*input, layout.clone()),
                elements => match elements.value(&locked.key) {
                    Some((slot, value, old)) => {
                        stale |= old;
                        Unpacked::Array(slot, value, source(slot))
                    }
                    None => continue,
                },
            });
        }
        let (mut hooks, mut retains, mut node_hooks) = (Vec::new(), Vec::new(), Vec::new());
        if has_hooks {
            if let Some(side) = locked.tape.side(node) {
                hooks = side.hooks.iter().map(|(_, output, hook)| (*output, hook.clone())).collect();
                node_hooks = side.node_hooks.iter().map(|(_, after, hook)| (*after, hook.clone())).collect();
                retains = side.retain.iter().filter_map(|(o, t)| t.upgrade().map(|t| (*o, Tensor(t)))).collect();
            }
        }
        Ok(Step { slot, node, op, saved, needs, edges, metas, hooks, retains, node_hooks, stale, free })
    }

    fn step(&mut self, mut step: Step) -> Result<()> {
        let node = step.node;
        let mut grads: SmallVec<[Option<Tensor>; 2]> = match std::mem::take(&mut step.slot) {
            Slot::Empty => return Ok(()),
            Slot::Value(v) => SmallVec::from_iter([Some(Tensor::from_value(v))]),
            Slot::One(g) => SmallVec::from_iter([Some(g)]),
            Slot::Many(many) => many.into_iter().collect(),
        };
        // As in PyTorch: what is asked for of a node that also runs is taken before its hooks, of another one after.
        let runs = step.needs != 0 || self.wanted.is_none();
        if runs {
            self.capture(node, &grads);
        }
        for (output, hook) in &step.hooks {
            if let Some(Some(g)) = grads.get(*output as usize) {
                if let Some(new) = hook(g)? {
                    check_hook_result(g, &new)?;
                    grads[*output as usize] = Some(new);
                }
            }
        }
        for (output, t) in &step.retains {
            if let Some(Some(g)) = grads.get(*output as usize) {
                add_to_grad(t, g.clone(), self.create)?;
            }
        }
        if !runs {
            self.capture(node, &grads);
            return Ok(());
        }
        for (_, hook) in step.node_hooks.iter().filter(|(after, _)| !after) {
            if let Some(new) = hook(&grads, None)? {
                grads = checked_gradients(&grads, new)?.into_iter().collect();
            }
        }
        if step.needs == 0 {
            return Ok(());
        }
        self.check_kept_shapes(&step)?;
        if step.stale {
            return Err(saved::modified(&labels::name(&step.op, 0)));
        }
        if !self.create && !self.anomaly && step.node_hooks.is_empty() && self.shortcut(&step, &mut grads)? {
            return Ok(());
        }
        let mut ctx = Ctx {
            op: &step.op,
            saved: &step.saved,
            needs: step.needs,
            node: step.node,
            metas: &step.metas,
            create: self.create,
        };
        ctx.needs &= !self.add_to_arrived(&step, &ctx, &grads)?;
        let needs = ctx.needs;
        let mut results = if needs == 0 { Grads::new() } else { rules::vjp(&ctx, &grads)? };
        if !matches!(step.op, Op::Custom(_)) {
            // A write of a number has no edge for its value.
            results.truncate(step.edges);
        }
        if step.node_hooks.iter().any(|(after, _)| *after) {
            for (i, g) in results.iter_mut().enumerate() {
                *g = g.take().map(|g| step.fitted(i, g)).transpose()?;
            }
        }
        for (_, hook) in step.node_hooks.iter().filter(|(after, _)| *after) {
            let mut inputs = results.to_vec();
            inputs.resize(step.edges, None);
            if let Some(new) = hook(&grads, Some(&inputs))? {
                results = checked_gradients(&inputs, new)?.into_iter().collect();
            }
        }
        drop(grads);
        if self.check_nan {
            anomaly::check(node, &results)?;
        }
        if let (Some(function), false) = (rules::custom::function(&step.op), self.retain) {
            function.release();
        }
        if results.len() > step.edges {
            fail!(
                internal,
                "{} returned {} gradients for {} inputs",
                labels::name(&step.op, 0),
                results.len(),
                step.edges
            );
        }
        let mut rest: SmallVec<[(usize, Edge, Tensor); 2]> = SmallVec::new();
        {
            let mut guard = lock();
            if step.free {
                free_saved(node, &mut guard);
            }
            for (i, g) in results.into_iter().enumerate() {
                let (Some(g), true) = (g, among(needs, i)) else { continue };
                let edge = &guard.tape.node(node).edges[i];
                let g = if self.create { g } else { apart(g, &guard.key) };
                if let Some(g) = self.first(edge, &guard, g) {
                    rest.push((i, edge.clone(), g));
                }
            }
        }
        for (i, edge, g) in rest {
            self.deliver(&step, i, edge, g)?;
        }
        Ok(())
    }
}

/// Lets go of what a node has saved: it cannot be swept again.
fn free_saved(node: NodeRef, locked: &mut Locked) {
    let n = locked.tape.node_mut(node);
    n.flags |= flag::FREED;
    let saved = std::mem::take(&mut n.saved);
    for s in &saved {
        s.release(&mut locked.key);
    }
}

/// Keeps nodes alive for the length of a sweep.
struct Held(SmallVec<[NodeRef; 1]>);

impl Held {
    fn new(nodes: impl Iterator<Item = NodeRef>) -> Held {
        let nodes: SmallVec<[NodeRef; 1]> = nodes.collect();
        let mut guard = lock();
        for n in &nodes {
            guard.tape.hold(*n);
        }
        Held(nodes)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        for n in &self.0 {
            let mut guard = lock();
            let Locked { tape, key, .. } = &mut *guard;
            tape.release(*n, key);
        }
    }
}
