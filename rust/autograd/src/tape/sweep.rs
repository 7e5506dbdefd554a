//! The backward sweep: nodes with a gradient are taken in descending order until none is left.
//!
//! All marks belong to the sweep, so that several may run at once and a hook may start one.

use super::labels;
use super::node::{flag, Edge, NodeRef};
use super::saved::{Saved, OUTPUT};
use super::fast::Progress;
use super::{Hook, NodeHook, CHUNK};
use crate::lock::{defer, lock, Locked};
use crate::rules::{self, Ctx, Unpacked};
use crate::tensor::{self, Tensor, TensorImpl};
use crate::value::Value;
use smallvec::SmallVec;
use std::collections::{BinaryHeap, HashMap};
use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::Arc;
use wengert_ops::{fail, DType, Layout, Op, Result};

/// Gradients that have arrived at one node.
#[derive(Default)]
pub(super) enum Slot {
    #[default]
    Empty,
    /// A gradient without history, not yet a tensor.
    Value(Value),
    One(Tensor),
    Many(Vec<Option<Tensor>>),
}

/// A sweep's notes on one chunk.
struct Marks {
    pending: [u64; CHUNK / 64],
    slots: Vec<Slot>,
}

thread_local! {
    static SPARE: std::cell::RefCell<Vec<Box<Marks>>> = const { std::cell::RefCell::new(Vec::new()) };
}

impl Marks {
    /// Empty notes, used before if there are any.
    fn get() -> Box<Marks> {
        SPARE.with(|s| s.borrow_mut().pop()).unwrap_or_else(|| {
            Box::new(Marks { pending: [0; CHUNK / 64], slots: std::iter::repeat_with(Slot::default).take(CHUNK).collect() })
        })
    }

    /// All nodes of the chunk are done, so all slots are empty again.
    fn give_back(done: Box<Marks>) {
        SPARE.with(|s| {
            let mut spare = s.borrow_mut();
            if spare.len() < 4 {
                spare.push(done);
            }
        });
    }
}

/// Bits over nodes.
#[derive(Default)]
struct NodeSet(Vec<Option<Box<[u64; CHUNK / 64]>>>);

impl NodeSet {
    fn insert(&mut self, n: NodeRef) -> bool {
        let slot = n.chunk as usize;
        if self.0.len() <= slot {
            self.0.resize_with(slot + 1, || None);
        }
        let bits = self.0[slot].get_or_insert_with(|| Box::new([0; CHUNK / 64]));
        let (word, bit) = (n.index as usize / 64, 1u64 << (n.index % 64));
        let new = bits[word] & bit == 0;
        bits[word] |= bit;
        new
    }
    fn contains(&self, n: NodeRef) -> bool {
        self.0
            .get(n.chunk as usize)
            .and_then(|b| b.as_ref())
            .is_some_and(|b| b[n.index as usize / 64] >> (n.index % 64) & 1 == 1)
    }
}

/// What `inputs=` asks for.
struct Wanted {
    /// Nodes that must run: an input lies below them.
    run: NodeSet,
    /// Non-leaf inputs by (chunk, index, output), to their place in the answer.
    nodes: HashMap<(u32, u16, u16), Vec<usize>>,
    leaves: HashMap<usize, Vec<usize>>,
}

pub(super) struct Sweep {
    marks: Vec<Option<Box<Marks>>>,
    chunks: BinaryHeap<(u64, u32)>,
    pub(super) leaves: Vec<(Arc<TensorImpl>, Tensor)>,
    pub(super) leaf_index: HashMap<usize, usize>,
    wanted: Option<Wanted>,
    captured: Vec<Option<Tensor>>,
    pub(super) retain: bool,
    pub(super) create: bool,
}

/// One node taken out for its rule.
struct Step {
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
pub fn backward(roots: &[Tensor], grads: &[Option<Tensor>], options: SweepOptions, inputs: Option<&[Tensor]>) -> Result<()> {
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
            leaf_index: HashMap::new(),
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
            if count % 64 == 0 {
                check_interrupt()?;
            }
            match progress {
                Progress::Done => break,
                Progress::Pause => {}
                Progress::Slow(node) => self.step(node)?,
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

    /// The pending node of the highest order.
    pub(super) fn next(&mut self) -> Option<NodeRef> {
        while let Some(&(_, chunk)) = self.chunks.peek() {
            if let Some(marks) = self.marks[chunk as usize].as_mut() {
                for word in (0..CHUNK / 64).rev() {
                    if marks.pending[word] != 0 {
                        let bit = 63 - marks.pending[word].leading_zeros() as usize;
                        marks.pending[word] &= !(1 << bit);
                        return Some(NodeRef { chunk, index: (word * 64 + bit) as u16, output: 0 });
                    }
                }
            }
            self.chunks.pop();
            if let Some(done) = self.marks[chunk as usize].take() {
                Marks::give_back(done);
            }
        }
        None
    }

    pub(super) fn slot(&mut self, n: NodeRef, locked: &Locked) -> &mut Slot {
        let chunk = n.chunk as usize;
        if self.marks.len() <= chunk {
            self.marks.resize_with(chunk + 1, || None);
        }
        if self.marks[chunk].is_none() {
            self.chunks.push((locked.tape.base(n.chunk), n.chunk));
        }
        let marks = self.marks[chunk].get_or_insert_with(Marks::get);
        marks.pending[n.index as usize / 64] |= 1 << (n.index % 64);
        &mut marks.slots[n.index as usize]
    }

    pub(super) fn peek_slot(&self, n: NodeRef) -> Option<&Slot> {
        self.marks.get(n.chunk as usize)?.as_ref().map(|m| &m.slots[n.index as usize])
    }

    pub(super) fn take_slot(&mut self, n: NodeRef) -> Slot {
        match self.marks.get_mut(n.chunk as usize) {
            Some(Some(marks)) => std::mem::take(&mut marks.slots[n.index as usize]),
            _ => Slot::Empty,
        }
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

    fn take_step(&mut self, node: NodeRef, locked: &mut Locked) -> Result<Step> {
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
                    if dtype.is_float() { Edge::Node(node.with_output(output)) } else { Edge::None }
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
        Ok(Step { node, op, saved, needs, edges, metas, hooks, retains, node_hooks, stale })
    }

    fn step(&mut self, node: NodeRef) -> Result<()> {
        let slot = match self.marks[node.chunk as usize].as_mut() {
            Some(marks) => std::mem::take(&mut marks.slots[node.index as usize]),
            None => Slot::Empty,
        };
        let step = self.take_step(node, &mut lock())?;
        let mut grads: SmallVec<[Option<Tensor>; 2]> = match slot {
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
            fail!(internal, "{} returned {} gradients for {} inputs", labels::name(&step.op, 0), results.len(), step.edges);
        }
        for (i, g) in results.into_iter().enumerate() {
            let Some(g) = g else { continue };
            if step.needs >> i.min(63) & 1 == 0 {
                continue;
            }
            let edge = lock().tape.node(step.node).edges[i].clone();
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
                let fits = g.dtype() == dtype && {
                    let l = &g.0.state.get(&guard.key).layout;
                    l.same(layout) || l.shape() == layout.shape()
                };
                if fits && self.first(n, &guard, &g) {
                    return Ok(());
                }
                let (layout, outputs) = (layout.clone(), guard.tape.node(n).outputs());
                drop(guard);
                let g = if fits { g } else { fit(g, &layout, dtype)? };
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

    /// Stores a gradient that fits into an empty single-output slot; the common case.
    fn first(&mut self, n: NodeRef, locked: &Locked, g: &Tensor) -> bool {
        if locked.tape.node(n).more.is_some() {
            return false;
        }
        let slot = self.slot(n, locked);
        if matches!(slot, Slot::Empty) {
            *slot = Slot::One(g.clone());
            return true;
        }
        false
    }

    /// Work on parts of large gradients in place, so that a loop over rows of one base stays linear:
    /// a view's gradient is added into the base's slot, a Put's region is zeroed in a slot it owns alone.
    fn shortcut(&mut self, step: &Step, grads: &mut SmallVec<[Option<Tensor>; 2]>) -> Result<bool> {
        let Some(Some(g)) = grads.first() else { return Ok(false) };
        match &step.op {
            Op::Put(region) => {
                let mut value_grad = None;
                let relative = crate::exec::relative(region, &region.base.fresh())?;
                let dense = g.0.device == crate::Device::Cpu && g.value().layout.is_contiguous();
                if !dense {
                    return Ok(false);
                }
                if step.needs & 2 != 0 {
                    let value = g.value();
                    let part = offset_by(&relative, value.layout.offset());
                    value_grad = Some(Tensor::from_value(value.with_layout(part).copied(value.dtype)?));
                }
                let edges = lock().tape.node(step.node).edges.clone();
                if step.needs & 1 != 0 {
                    let mut g = match grads[0].take() {
                        Some(g) => g,
                        None => return Ok(false),
                    };
                    if !g.is_sole() {
                        let value = g.value();
                        g = Tensor::from_value(value.copied(value.dtype)?);
                    }
                    let value = g.value();
                    let part = value.with_layout(offset_by(&relative, value.layout.offset()));
                    // SAFETY: the gradient belongs to this sweep alone.
                    wengert_ops::Backend::fill(&wengert_cpu::Cpu, wengert_ops::Scalar::Int(0), unsafe { part.view_mut()? })?;
                    drop((value, part));
                    self.arrive(edges[0].clone(), g)?;
                }
                if let (Some(v), Some(edge)) = (value_grad, edges.get(1)) {
                    self.arrive(edge.clone(), v)?;
                }
                Ok(true)
            }
            Op::View(_) | Op::Take(_) => {
                if g.device() != crate::Device::Cpu {
                    return Ok(false);
                }
                let edge = lock().tape.node(step.node).edges[0].clone();
                let Edge::Node(n) = edge else { return Ok(false) };
                let guard = lock();
                let target = guard.tape.node(n);
                if target.more.is_some() || target.dtype != g.dtype() {
                    return Ok(false);
                }
                let base = target.layout.fresh();
                drop(guard);
                let part = match &step.op {
                    Op::View(view) => match &**view {
                        wengert_ops::ViewOp::Slice { .. }
                        | wengert_ops::ViewOp::Select { .. }
                        | wengert_ops::ViewOp::Diagonal { .. } => view.apply(&base)?,
                        _ => return Ok(false),
                    },
                    Op::Take(region) if !region.part.self_overlaps() => crate::exec::relative(region, &base)?,
                    _ => return Ok(false),
                };
                let guard = lock();
                let slot = std::mem::take(self.slot(n, &guard));
                drop(guard);
                let whole = match slot {
                    Slot::Value(v) if Arc::strong_count(&v.buffer) == 1 && v.layout.is_contiguous() && !v.buffer.is_pinned() => {
                        Tensor::from_value(v)
                    }
                    Slot::Value(v) => Tensor::from_value(v.copied(v.dtype)?),
                    Slot::One(whole) if whole.is_sole() && whole.layout().is_contiguous() => whole,
                    Slot::One(whole) => {
                        let value = whole.value();
                        Tensor::from_value(value.copied(value.dtype)?)
                    }
                    _ => Tensor::zeros(base.shape(), g.dtype(), g.device())?,
                };
                let value = whole.value();
                let target = value.with_layout(offset_by(&part, value.layout.offset()));
                let inputs = [crate::exec::RowInput::Value(&target), crate::exec::RowInput::Value(&g.value())];
                // SAFETY: the gradient belongs to this sweep alone; the first input is the output itself.
                crate::exec::row_into(wengert_ops::Row::Add, g.dtype(), &inputs, unsafe { target.view_mut()? })?;
                drop(value);
                let guard = lock();
                *self.slot(n, &guard) = Slot::One(whole);
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// Which nodes lie between the roots and the inputs.
    fn find_paths(&mut self, starts: &[(Edge, Tensor)], inputs: &[Tensor]) -> Result<Wanted> {
        let mut wanted = Wanted { run: NodeSet::default(), nodes: HashMap::new(), leaves: HashMap::new() };
        for (place, input) in inputs.iter().enumerate() {
            let mut guard = lock();
            match tensor::edge(input, &mut guard)? {
                Edge::None => fail!(runtime, "One of the differentiated Tensors does not require grad"),
                Edge::Node(n) => wanted.nodes.entry((n.chunk, n.index, n.output)).or_default().push(place),
                Edge::Leaf(l) => wanted.leaves.entry(Arc::as_ptr(&l) as usize).or_default().push(place),
            }
        }
        // Reachable nodes in descending order, by the very scan of the sweep, then upwards again.
        let mut scan = Sweep::new(SweepOptions::default(), 0);
        let guard = lock();
        for (edge, _) in starts {
            if let Edge::Node(n) = edge {
                scan.slot(*n, &guard);
            }
        }
        let mut reachable = Vec::new();
        while let Some(n) = scan.next() {
            reachable.push(n);
            for edge in &guard.tape.node(n).edges {
                if let Edge::Node(input) = edge {
                    scan.slot(*input, &guard);
                }
            }
        }
        for n in reachable.into_iter().rev() {
            let below = guard.tape.node(n).edges.iter().any(|edge| match edge {
                Edge::None => false,
                Edge::Node(i) => wanted.run.contains(*i) || wanted.nodes.contains_key(&(i.chunk, i.index, i.output)),
                Edge::Leaf(l) => wanted.leaves.contains_key(&(Arc::as_ptr(l) as usize)),
            });
            if below {
                wanted.run.insert(n);
            }
        }
        Ok(wanted)
    }

    /// Gives the leaves their gradients, all hooks having succeeded first.
    fn commit(&mut self) -> Result<()> {
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
                leaf.0.state.get(&guard.key).cold.as_ref().map_or_else(Vec::new, |c| c.post_hooks.iter().map(|h| h.1.clone()).collect())
            };
            for hook in hooks {
                hook(&leaf)?;
            }
        }
        Ok(())
    }
}

fn offset_by(l: &Layout, by: usize) -> Layout {
    if by == 0 {
        return l.clone();
    }
    Layout::strided(SmallVec::from_slice(l.shape()), SmallVec::from_slice(l.strides()), l.offset() + by)
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
            let Locked { tape, key } = &mut *guard;
            tape.release(*n, key);
        }
    }
}

fn check_hook_result(g: &Tensor, new: &Tensor) -> Result<()> {
    if new.shape() != g.shape() {
        fail!(runtime, "hook has changed the size of value: {:?} became {:?}", &g.shape()[..], &new.shape()[..]);
    }
    if new.dtype() != g.dtype() {
        fail!(runtime, "hook has changed the type of value: {} became {}", g.dtype(), new.dtype());
    }
    Ok(())
}

/// The gradients that a node's hook gave back, each of which must fit the one it replaces.
fn checked_gradients(old: &[Option<Tensor>], new: Vec<Option<Tensor>>) -> Result<Vec<Option<Tensor>>> {
    if old.len() != new.len() {
        fail!(runtime, "hook has returned an incorrect number of values (got {}, but expected {})", new.len(), old.len());
    }
    for (old, new) in old.iter().zip(&new) {
        if let (Some(old), Some(new)) = (old, new) {
            check_hook_result(old, new)?;
        }
    }
    Ok(new)
}

fn run_leaf_hooks(leaf: &Tensor, mut g: Tensor) -> Result<Tensor> {
    let hooks: SmallVec<[Hook; 1]> = {
        let guard = lock();
        match &leaf.0.state.get(&guard.key).cold {
            Some(cold) if !cold.hooks.is_empty() => cold.hooks.iter().map(|h| h.1.clone()).collect(),
            _ => return Ok(g),
        }
    };
    for hook in hooks {
        if let Some(new) = hook(&g)? {
            check_hook_result(&g, &new)?;
            g = new;
        }
    }
    Ok(g)
}

fn root_gradient(i: usize, root: &Tensor, given: Option<&Tensor>, create: bool) -> Result<Tensor> {
    let Some(g) = given else {
        if root.numel() != 1 {
            fail!(
                runtime,
                "grad can be implicitly created only for scalar outputs (output {i} has shape {:?}); pass gradient=, or reduce the \
                 output first, with .sum() for example",
                &root.shape()[..]
            );
        }
        return Tensor::full(&root.shape(), 1i64, root.dtype(), root.device());
    };
    if g.shape() != root.shape() {
        fail!(
            runtime,
            "Mismatch in shape: grad_output[{i}] has a shape of torch.Size({:?}) and output[{i}] has a shape of torch.Size({:?}).",
            &g.shape()[..],
            &root.shape()[..]
        );
    }
    if !g.dtype().is_float() {
        fail!(runtime, "Mismatch in dtype: grad_output[{i}] has a dtype of {} and output[{i}] has a dtype of {}", g.dtype(), root.dtype());
    }
    if create {
        return g.to_dtype(root.dtype());
    }
    let value = g.value();
    Ok(Tensor::from_value(if value.dtype == root.dtype() { value } else { value.copied(root.dtype())? }))
}

/// Sums over broadcast dims and casts, so that a gradient fits what it is the gradient of.
pub(crate) fn fit(g: Tensor, target: &Layout, dtype: DType) -> Result<Tensor> {
    let layout = g.layout();
    let g = if layout.shape() == target.shape() { g } else { g.sum_to(target.shape())? };
    if g.dtype() == dtype {
        Ok(g)
    } else {
        g.to_dtype(dtype)
    }
}

/// The sum of two gradients; in place where `old` has no other holders than its slot and ours.
fn add(old: Tensor, new: Tensor, create: bool, handles: usize) -> Result<Tensor> {
    if create {
        return old.add(&new);
    }
    let (a, b): (Value, Value) = (old.value(), new.value());
    let sole = Arc::strong_count(&old.0) <= handles && Arc::strong_count(&a.buffer) == 2 && old.owns_storage() && !old.is_taped();
    if sole && a.layout.is_contiguous() && !a.buffer.is_pinned() && a.device() == crate::Device::Cpu {
        let inputs = [crate::exec::RowInput::Value(&a), crate::exec::RowInput::Value(&b)];
        // SAFETY: only the slot, `old` and `a` hold the buffer; the first input is the output itself.
        crate::exec::row_into(wengert_ops::Row::Add, a.dtype, &inputs, unsafe { a.view_mut()? })?;
        return Ok(old);
    }
    old.add(&new)
}

/// Adds to `.grad`, in the same handle where it exists. Another thread may be doing the same.
fn add_to_grad(t: &Tensor, g: Tensor, create: bool) -> Result<()> {
    let mut fresh = None;
    loop {
        let old = t.grad();
        let new = match &old {
            Some(old) if !create => {
                let _off = crate::mode::GradMode::set(false);
                return crate::inplace::row_(wengert_ops::Row::Add, old, &[(&g).into()]);
            }
            Some(old) => old.add(&g)?,
            None => match fresh.take() {
                Some(first) => first,
                None => first_gradient(g.clone(), create)?,
            },
        };
        let mut guard = lock();
        let state = t.0.state.get_mut(&mut guard.key);
        let unchanged = match (&state.grad, &old) {
            (None, None) => true,
            (Some(a), Some(b)) => a.is(b),
            _ => false,
        };
        if unchanged {
            if let Some(old) = state.grad.replace(new) {
                defer(old);
            }
            return Ok(());
        }
        fresh = Some(new);
        drop(guard);
    }
}

/// A gradient as it becomes a `.grad`: dense, with a cell of its own.
fn first_gradient(g: Tensor, create: bool) -> Result<Tensor> {
    let value = g.value();
    let dense = value.layout.is_contiguous();
    if create {
        return if dense { Ok(g) } else { g.clone_() };
    }
    Ok(Tensor::from_value(if dense { value } else { value.copied(value.dtype)? }))
}

impl Tensor {
    /// Whether this handle is the only one, on a buffer of its own.
    pub(crate) fn is_sole(&self) -> bool {
        if Arc::strong_count(&self.0) != 1 || self.is_taped() {
            return false;
        }
        let guard = lock();
        let cell = &self.0.state.get(&guard.key).cell;
        let buffer = cell.buffer(&guard.key);
        Arc::strong_count(buffer) == 1 && cell.is_unshared() && !buffer.is_pinned()
    }

    /// Whether no other tensor sees this one's cell (a cell holds its buffer once for all of them).
    fn owns_storage(&self) -> bool {
        self.0.state.get(&lock().key).cell.is_unshared()
    }

    pub(crate) fn is_taped(&self) -> bool {
        let guard = lock();
        let state = self.0.state.get(&guard.key);
        state.edge.is_some() || state.flags & tensor::flag::REQ != 0
    }
}
