//! The backward sweep: nodes with a gradient are taken in descending order until none is left.
//!
//! All marks belong to the sweep, so that several may run at once and a hook may start one.

mod fast;
mod gradients;
mod marks;
mod paths;
mod shortcut;

use crate::lock::{lock, Key, Locked};
use crate::rules::{self, Ctx, Unpacked};
use crate::tape::labels;
use crate::tape::node::{flag, Edge, NodeRef};
use crate::tape::saved::{Saved, OUTPUT};
use crate::tape::{Hook, NodeHook};
use crate::tensor::{self, Cell, Tensor, TensorImpl};
use fast::Progress;
use gradients::{add, add_to_grad, check_hook_result, checked_gradients, fit, root_gradient, run_leaf_hooks};
use marks::{Marks, Slot};
use paths::Wanted;
use smallvec::SmallVec;
use std::collections::{BinaryHeap, HashMap};
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::Arc;
use wengert_ops::{fail, DType, Layout, Op, Result};

pub(super) struct Sweep {
    marks: Vec<Option<Box<Marks>>>,
    chunks: BinaryHeap<(u64, u32)>,
    pub(super) leaves: Vec<(Arc<TensorImpl>, Tensor)>,
    pub(super) leaf_index: LeafIndex,
    wanted: Option<Wanted>,
    captured: Vec<Option<Tensor>>,
    pub(super) retain: bool,
    pub(super) create: bool,
}

/// From a leaf's address to its place among the leaves met.
type LeafIndex = HashMap<usize, usize, BuildHasherDefault<AddressHasher>>;

/// Addresses differ in their middle bits; one multiplication spreads them.
#[derive(Default)]
pub(super) struct AddressHasher(u64);

impl Hasher for AddressHasher {
    fn write(&mut self, bytes: &[u8]) {
        for b in bytes {
            self.0 = (self.0 ^ u64::from(*b)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        }
    }
    fn write_usize(&mut self, address: usize) {
        self.0 = (address as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
    fn finish(&self) -> u64 {
        self.0.rotate_left(26)
    }
}

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
}

static INTERRUPTED: AtomicPtr<()> = AtomicPtr::new(std::ptr::null_mut());

/// Sets a function that is asked between nodes whether the user wants to stop.
pub fn set_interrupt_check(check: fn() -> Result<()>) {
    INTERRUPTED.store(check as *mut (), Ordering::Release);
}

pub(crate) fn check_interrupt() -> Result<()> {
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
    let mut sweep = Sweep::new(options, inputs.map_or(0, |i| i.len()));
    sweep.run(roots, grads, inputs)?;
    match inputs {
        None => sweep.commit(),
        Some(inputs) => {
            let captured = std::mem::take(&mut sweep.captured);
            for (input, g) in inputs.iter().zip(captured) {
                if let Some(g) = g {
                    add_to_grad(input, g, options.create_graph)?;
                }
            }
            Ok(())
        }
    }
}

/// Gradients of `outputs` with respect to `inputs`; nothing is added to `.grad`.
pub fn grad(
    outputs: &[Tensor],
    inputs: &[Tensor],
    grads: &[Option<Tensor>],
    options: SweepOptions,
    allow_unused: bool,
) -> Result<Vec<Option<Tensor>>> {
    let mut sweep = Sweep::new(options, inputs.len());
    sweep.run(outputs, grads, Some(inputs))?;
    let captured = std::mem::take(&mut sweep.captured);
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
        Sweep {
            marks: Vec::new(),
            chunks: BinaryHeap::new(),
            leaves: Vec::new(),
            leaf_index: LeafIndex::default(),
            wanted: None,
            captured: (0..inputs).map(|_| None).collect(),
            retain: options.retain_graph || options.create_graph,
            create: options.create_graph,
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
                Progress::Slow(step) => self.step(*step)?,
            }
        }
        if inputs.is_some() {
            let leaves = std::mem::take(&mut self.leaves);
            for (leaf, g) in leaves {
                let g = run_leaf_hooks(&Tensor(leaf.clone()), g)?;
                let id = Arc::as_ptr(&leaf) as usize;
                if let Some(places) = self.wanted.as_ref().and_then(|w| w.leaves.get(&id)) {
                    for &place in places {
                        self.captured[place] = Some(g.clone());
                    }
                }
            }
        }
        Ok(())
    }
    /// Whether `inputs=` names an output of this (one-output) node.
    pub(super) fn asked_for(&self, n: NodeRef) -> bool {
        self.wanted.as_ref().is_some_and(|w| w.nodes.contains_key(&(n.chunk, n.index, 0)))
    }

    /// Whether a gradient for this edge is of any use.
    pub(super) fn useful(&self, edge: &Edge) -> bool {
        match (edge, &self.wanted) {
            (Edge::None, _) => false,
            (_, None) => true,
            (Edge::Node(n), Some(w)) => w.run.contains(*n) || w.nodes.contains_key(&(n.chunk, n.index, n.output)),
            (Edge::Leaf(l), Some(w)) => w.leaves.contains_key(&(Arc::as_ptr(l) as usize)),
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
            fail!(
                runtime,
                "Trying to backward through the graph a second time (or directly access saved tensors after they have already been \
                 freed). Saved intermediate values of the graph are freed when you call .backward() or autograd.grad(). Specify \
                 retain_graph=True if you need to backward through the graph a second time or if you need to access saved tensors \
                 after calling backward."
            );
        }
        let op = n.op.clone();
        let edges = n.edges.len();
        let mut metas: SmallVec<[(Layout, DType); 1]> = SmallVec::new();
        metas.push((n.layout.clone(), n.dtype));
        if let Some(more) = &n.more {
            metas.extend(more.iter().cloned());
        }
        let has_hooks = n.flags & flag::HOOKS != 0;
        let free = !self.retain
            && needs != 0
            && (matches!(op, Op::Custom(_)) || n.saved.iter().any(|s| !matches!(s, Saved::Scalar { .. })));
        let source_edges: Option<SmallVec<[Edge; 2]>> = create.then(|| n.edges.clone());
        let taken = if free {
            n.flags |= flag::FREED;
            std::mem::take(&mut n.saved)
        } else {
            SmallVec::new()
        };
        let mut saved: SmallVec<[Unpacked; 2]> = SmallVec::new();
        let mut stale = false;
        let mut unpack = |s: &Saved, locked: &Locked| {
            let slot = s.slot();
            let edge = match &source_edges {
                None => Edge::None,
                Some(_) if slot & OUTPUT != 0 => {
                    let output = (slot & !OUTPUT) as u16;
                    let (_, dtype) = locked.tape.node(node).meta(output);
                    if dtype.is_float() {
                        Edge::Node(node.with_output(output))
                    } else {
                        Edge::None
                    }
                }
                Some(edges) => edges.get(slot as usize).cloned().unwrap_or_default(),
            };
            saved.push(match s {
                Saved::Scalar { value, .. } => Unpacked::Scalar(slot, *value),
                other => match other.value(&locked.key) {
                    Some((value, old)) => {
                        stale |= old;
                        Unpacked::Array(slot, value, edge)
                    }
                    None => return,
                },
            });
        };
        if free {
            for s in &taken {
                unpack(s, locked);
            }
            for s in &taken {
                s.release(&mut locked.key);
            }
        } else {
            for s in &locked.tape.node(node).saved {
                unpack(s, locked);
            }
        }
        let (mut hooks, mut retains, mut node_hooks) = (Vec::new(), Vec::new(), Vec::new());
        if has_hooks {
            if let Some(side) = locked.tape.side(node) {
                hooks = side.hooks.iter().map(|(_, output, hook)| (*output, hook.clone())).collect();
                node_hooks = side.node_hooks.iter().map(|(_, after, hook)| (*after, hook.clone())).collect();
                retains = side.retain.iter().filter_map(|(o, t)| t.upgrade().map(|t| (*o, Tensor(t)))).collect();
            }
        }
        Ok(Step { slot, node, op, saved, needs, edges, metas, hooks, retains, node_hooks, stale })
    }

    fn step(&mut self, mut step: Step) -> Result<()> {
        let node = step.node;
        let mut grads: SmallVec<[Option<Tensor>; 2]> = match std::mem::take(&mut step.slot) {
            Slot::Empty => return Ok(()),
            Slot::Value(v) => SmallVec::from_iter([Some(Tensor::from_value(v))]),
            Slot::One(g) => SmallVec::from_iter([Some(g)]),
            Slot::Many(many) => many.into_iter().collect(),
        };
        for (output, hook) in &step.hooks {
            if let Some(Some(g)) = grads.get(*output as usize) {
                if let Some(new) = hook(g)? {
                    check_hook_result(g, &new)?;
                    grads[*output as usize] = Some(new);
                }
            }
        }
        for (_, hook) in step.node_hooks.iter().filter(|(after, _)| !after) {
            if let Some(new) = hook(&grads, None)? {
                grads = checked_gradients(&grads, new)?.into_iter().collect();
            }
        }
        for (output, t) in &step.retains {
            if let Some(Some(g)) = grads.get(*output as usize) {
                if self.wanted.is_none() {
                    add_to_grad(t, g.clone(), self.create)?;
                }
            }
        }
        if let Some(wanted) = &self.wanted {
            for (output, g) in grads.iter().enumerate() {
                if let (Some(places), Some(g)) = (wanted.nodes.get(&(node.chunk, node.index, output as u16)), g) {
                    for &place in places {
                        self.captured[place] = Some(g.clone());
                    }
                }
            }
        }
        if step.needs == 0 {
            return Ok(());
        }
        if step.stale {
            fail!(
                runtime,
                "one of the variables needed for gradient computation has been modified by an inplace operation: memory shared with \
                 numpy or DLPack was written after {} had saved it. Hint: clone() before the write.",
                labels::name(&step.op, 0)
            );
        }
        if !self.create && step.node_hooks.is_empty() && self.shortcut(&step, &mut grads)? {
            return Ok(());
        }
        let ctx = Ctx {
            op: &step.op,
            saved: &step.saved,
            needs: step.needs,
            node: step.node,
            metas: &step.metas,
            create: self.create,
        };
        let mut results = rules::vjp(&ctx, &grads)?;
        if !matches!(step.op, Op::Custom(_)) {
            // A write of a number has no edge for its value.
            results.truncate(step.edges);
        }
        for (_, hook) in step.node_hooks.iter().filter(|(after, _)| *after) {
            let mut inputs = results.to_vec();
            inputs.resize(step.edges, None);
            if let Some(new) = hook(&grads, Some(&inputs))? {
                results = checked_gradients(&inputs, new)?.into_iter().collect();
            }
        }
        drop(grads);
        if results.len() > step.edges {
            fail!(
                internal,
                "{} returned {} gradients for {} inputs",
                labels::name(&step.op, 0),
                results.len(),
                step.edges
            );
        }
        let mut rest: SmallVec<[(Edge, Tensor); 2]> = SmallVec::new();
        {
            let guard = lock();
            for (i, g) in results.into_iter().enumerate() {
                let (Some(g), 1) = (g, step.needs >> i.min(63) & 1) else { continue };
                let edge = &guard.tape.node(node).edges[i];
                if let Some(g) = self.first(edge, &guard, g) {
                    rest.push((edge.clone(), g));
                }
            }
        }
        for (edge, g) in rest {
            self.arrive(edge, g)?;
        }
        Ok(())
    }

    /// Adds a gradient to what has arrived at an edge, summed and cast to the target's shape and dtype.
    fn arrive(&mut self, edge: Edge, g: Tensor) -> Result<()> {
        match edge {
            Edge::None => Ok(()),
            Edge::Leaf(leaf) => {
                let (layout, dtype) = {
                    let guard = lock();
                    (leaf.state.get(&guard.key).layout.clone(), leaf.dtype())
                };
                let g = fit(g, &layout, dtype)?;
                let id = Arc::as_ptr(&leaf) as usize;
                match self.leaf_index.get(&id) {
                    Some(&at) => {
                        let slot = &mut self.leaves[at].1;
                        *slot = add(slot.clone(), g, self.create, 2)?;
                    }
                    None => {
                        self.leaf_index.insert(id, self.leaves.len());
                        self.leaves.push((leaf, g));
                    }
                }
                Ok(())
            }
            Edge::Node(n) => {
                let guard = lock();
                let (layout, dtype) = guard.tape.node(n).meta(n.output);
                let (layout, outputs) = (layout.clone(), guard.tape.node(n).outputs());
                drop(guard);
                let g = fit(g, &layout, dtype)?;
                let mut guard = lock();
                let slot = self.slot(n, &guard);
                let old = match slot {
                    Slot::Empty => None,
                    Slot::Value(old) => Some(Tensor::from_value(old.clone())),
                    Slot::One(old) if outputs == 1 => Some(old.clone()),
                    Slot::One(_) => None,
                    Slot::Many(many) => many[n.output as usize].clone(),
                };
                // The slot's own handle is the second one while we add.
                guard = {
                    drop(guard);
                    let sum = match old {
                        Some(old) => add(old, g, self.create, 2)?,
                        None => g,
                    };
                    let guard = lock();
                    let slot = self.slot(n, &guard);
                    let replaced = if outputs == 1 {
                        std::mem::replace(slot, Slot::One(sum))
                    } else {
                        if !matches!(slot, Slot::Many(_)) {
                            *slot = Slot::Many(vec![None; outputs]);
                        }
                        if let Slot::Many(many) = slot {
                            many[n.output as usize] = Some(sum);
                        }
                        Slot::Empty
                    };
                    drop(guard);
                    drop(replaced);
                    lock()
                };
                drop(guard);
                Ok(())
            }
        }
    }

    /// Stores a gradient that is the first at its edge and fits there: the common case. Gives back any other.
    fn first(&mut self, edge: &Edge, locked: &Locked, g: Tensor) -> Option<Tensor> {
        let fits = |layout: &Layout, dtype: DType| {
            let l = &g.0.state.get(&locked.key).layout;
            g.dtype() == dtype && (l.same(layout) || l.shape() == layout.shape())
        };
        match edge {
            Edge::Leaf(leaf) => {
                let id = Arc::as_ptr(leaf) as usize;
                if !fits(&leaf.state.get(&locked.key).layout, leaf.dtype()) || self.leaf_index.contains_key(&id) {
                    return Some(g);
                }
                self.leaf_index.insert(id, self.leaves.len());
                self.leaves.push((leaf.clone(), g));
                None
            }
            Edge::Node(n) => {
                let target = locked.tape.node(*n);
                if target.more.is_some() || !fits(&target.layout, target.dtype) {
                    return Some(g);
                }
                let slot = self.slot(*n, locked);
                if !matches!(slot, Slot::Empty) {
                    return Some(g);
                }
                *slot = Slot::One(g);
                None
            }
            Edge::None => None,
        }
    }

    /// Gives leaves without hooks and without a gradient theirs, in one hold of the lock; the others remain.
    fn commit_first(&mut self) {
        let mut guard = lock();
        let plain = |leaf: &TensorImpl, key: &Key| leaf.state.get(key).cold.is_none();
        if self.create || !self.leaves.iter().all(|(leaf, _)| plain(leaf, &guard.key)) {
            return;
        }
        let key = &mut guard.key;
        self.leaves.retain(|(leaf, g)| {
            let state = g.0.state.get(key);
            let own = matches!(&state.cell, Cell::Own(..)) && state.layout.is_contiguous() && !state.edge.is_some();
            // The entry's handle is the only one: nobody else sees the tensor that becomes `.grad`.
            if !own || state.flags != 0 || Arc::strong_count(&g.0) != 1 || leaf.state.get(key).grad.is_some() {
                return true;
            }
            leaf.state.get_mut(key).grad = Some(g.clone());
            false
        });
    }

    /// Gives the leaves their gradients, all hooks having succeeded first.
    fn commit(&mut self) -> Result<()> {
        self.commit_first();
        let mut ready = Vec::with_capacity(self.leaves.len());
        for (leaf, g) in std::mem::take(&mut self.leaves) {
            let leaf = Tensor(leaf);
            let g = run_leaf_hooks(&leaf, g)?;
            ready.push((leaf, g));
        }
        let mut post: Vec<Tensor> = Vec::new();
        for (leaf, g) in ready {
            add_to_grad(&leaf, g, self.create)?;
            let guard = lock();
            if leaf.0.state.get(&guard.key).cold.as_ref().is_some_and(|c| !c.post_hooks.is_empty()) {
                post.push(leaf.clone());
            }
            drop(guard);
        }
        for leaf in post {
            let hooks: Vec<Hook> = {
                let guard = lock();
                leaf.0
                    .state
                    .get(&guard.key)
                    .cold
                    .as_ref()
                    .map_or_else(Vec::new, |c| c.post_hooks.iter().map(|h| h.1.clone()).collect())
            };
            for hook in hooks {
                hook(&leaf)?;
            }
        }
        Ok(())
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
