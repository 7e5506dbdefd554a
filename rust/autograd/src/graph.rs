//! The tape as users see it: gradient nodes by name, their inputs, hooks; and what is alive.

use crate::anomaly::Note;
use crate::lock::{lock, Locked};
use crate::rules::{
    self,
    custom::{Function, SavedVariable},
};
use crate::tape::node::{self, Edge, NodeRef};
use crate::tape::saved::{self, Saved, OUTPUT};
use crate::tape::{labels, Hook, NodeHook, Payload};
use crate::tensor::{edge, flag, requires_grad, Tensor};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;
use wengert_ops::counted::Counted;
use wengert_ops::{fail, Result, Scalar};

static NEXT_HOOK: AtomicU64 = AtomicU64::new(1);

/// A held node of the tape (`grad_fn`).
pub struct GraphNode(NodeRef);

/// Where a node's gradient goes on.
pub enum NextFunction {
    None,
    Node(GraphNode, usize),
    /// The leaf whose `.grad` is added to.
    Leaf(Tensor),
}

/// Something that a node has saved.
pub enum SavedOperand {
    /// Nothing: no gradient that is wanted reads it.
    None,
    Tensor(Tensor),
    Scalar(Scalar),
}

impl GraphNode {
    fn hold(node: NodeRef, locked: &mut Locked) -> GraphNode {
        locked.tape.hold(node);
        GraphNode(node.with_output(0))
    }

    /// PyTorch's name of the node: `MulBackward0`.
    pub fn name(&self) -> String {
        let guard = lock();
        let node = guard.tape.node(self.0);
        labels::name(&node.op, node.label)
    }

    /// Position in the list: grows with time.
    pub fn order(&self) -> u64 {
        lock().tape.order(self.0)
    }

    /// The nodes and leaves that the gradients of the inputs go to.
    pub fn next_functions(&self) -> Vec<NextFunction> {
        let mut guard = lock();
        let edges = guard.tape.node(self.0).edges.clone();
        edges
            .into_iter()
            .map(|e| match e {
                Edge::None => NextFunction::None,
                Edge::Node(n) => NextFunction::Node(GraphNode::hold(n, &mut guard), n.output as usize),
                Edge::Leaf(l) => NextFunction::Leaf(Tensor(l)),
            })
            .collect()
    }

    /// Runs a function on the gradients at this node, before its rule or after; returns the hook's id.
    pub fn register_hook(&self, after: bool, hook: NodeHook) -> u64 {
        let id = NEXT_HOOK.fetch_add(1, Ordering::Relaxed);
        lock().tape.side_mut(self.0).node_hooks.push((id, after, hook));
        id
    }

    /// Removes a hook of this node by its id.
    pub fn remove_hook(&self, id: u64) {
        let mut guard = lock();
        let hooks = &mut guard.tape.side_mut(self.0).node_hooks;
        let removed = hooks.iter().position(|h| h.0 == id).map(|at| hooks.remove(at));
        drop(guard);
        drop(removed);
    }

    /// Where it was made, if that was in anomaly mode.
    pub fn note(&self) -> Option<Arc<Note>> {
        crate::anomaly::maker(self.0).1
    }

    /// The user's function that was applied there.
    pub fn function(&self) -> Option<Arc<dyn Function>> {
        rules::custom::function(&lock().tape.node(self.0).op).cloned()
    }

    /// What the user's function there has saved.
    pub fn unpack(&self, saved: &SavedVariable) -> Result<Tensor> {
        saved.unpack_in(Some(self.0))
    }

    /// PyTorch's names of what the rule there reads: `self`, `other`, `result`, …
    pub fn operands(&self) -> Vec<&'static str> {
        let guard = lock();
        let node = guard.tape.node(self.0);
        labels::operands(&node.op, node.label).into_iter().map(|(name, _)| name).collect()
    }

    /// What was saved under one of the names of [`GraphNode::operands`]; an error once it was freed.
    pub fn saved(&self, name: &str) -> Result<SavedOperand> {
        let guard = lock();
        let node = guard.tape.node(self.0);
        let found = labels::operands(&node.op, node.label).into_iter().find(|(known, _)| *known == name);
        let Some((_, operand)) = found else { return Ok(SavedOperand::None) };
        if node.flags & node::flag::FREED != 0 {
            return Err(saved::freed());
        }
        let slot = match operand {
            labels::Operand::Number(n) => return Ok(SavedOperand::Scalar(n)),
            labels::Operand::Slot(slot) => slot,
        };
        for kept in &node.saved {
            match kept {
                Saved::Scalar { slot: s, value } if *s == slot => return Ok(SavedOperand::Scalar(*value)),
                elements => match elements.value(&guard.key) {
                    Some((s, value, stale)) if s == slot => {
                        if stale {
                            return Err(saved::modified(&labels::name(&node.op, 0)));
                        }
                        let edge = match slot & OUTPUT {
                            0 => node.edges.get(slot as usize).cloned().unwrap_or_default(),
                            _ => Edge::Node(self.0.with_output((slot & !OUTPUT) as u16)),
                        };
                        let leaf = match &edge {
                            Edge::Leaf(leaf) => leaf.has_value(&value, &guard.key).then(|| Tensor(leaf.clone())),
                            _ => None,
                        };
                        drop(guard);
                        return Ok(SavedOperand::Tensor(leaf.unwrap_or_else(|| rules::taped(value, &edge))));
                    }
                    _ => {}
                },
            }
        }
        Ok(SavedOperand::None)
    }

    /// What was computed there, as text.
    pub fn op(&self) -> String {
        format!("{:?}", lock().tape.node(self.0).op)
    }
}

impl Drop for GraphNode {
    fn drop(&mut self) {
        // Python's collector may drop one while a fork holds the lock.
        if crate::lock::held() {
            return crate::lock::defer(GraphNode(self.0));
        }
        let mut guard = lock();
        let Locked { tape, key, .. } = &mut *guard;
        tape.release(self.0, key);
    }
}

impl Tensor {
    /// The node that made this tensor, if it is taped.
    pub fn grad_fn(&self) -> Result<Option<GraphNode>> {
        let mut guard = lock();
        if !requires_grad(self, &guard.key) {
            return Ok(None);
        }
        Ok(match edge(self, &mut guard)? {
            Edge::Node(n) => Some(GraphNode::hold(n, &mut guard)),
            _ => None,
        })
    }

    /// Number of this tensor among its node's outputs.
    pub fn output_nr(&self) -> usize {
        let guard = lock();
        match &self.0.state.get(&guard.key).edge {
            Edge::Node(n) => n.output as usize,
            _ => 0,
        }
    }

    /// Gives this tensor's node the name users expect of a composed function (`Mean` → `MeanBackward0`).
    pub fn relabel(&self, name: &str) {
        let mut guard = lock();
        if let Edge::Node(n) = self.0.state.get(&guard.key).edge {
            guard.tape.node_mut(n).label = labels::intern(name);
        }
    }

    /// Runs a function on the gradient when it is complete; returns the hook's id.
    pub fn register_hook(&self, hook: Hook) -> Result<u64> {
        self.register_known_hook(hook, None)
    }

    /// As [`Tensor::register_hook`]; where the tensor is a leaf, [`Tensor::visit_sole`] finds the payload.
    pub fn register_known_hook(&self, hook: Hook, payload: Option<Payload>) -> Result<u64> {
        let mut guard = lock();
        if !requires_grad(self, &guard.key) {
            fail!(runtime, "cannot register a hook on a tensor that doesn't require gradient");
        }
        let id = NEXT_HOOK.fetch_add(1, Ordering::Relaxed);
        match edge(self, &mut guard)? {
            Edge::Node(n) => guard.tape.side_mut(n).hooks.push((id, n.output, hook)),
            _ => self
                .0
                .state
                .get_mut(&mut guard.key)
                .cold
                .get_or_insert_with(Default::default)
                .hooks
                .push((id, hook, payload)),
        }
        Ok(id)
    }

    /// Runs a function on a leaf after its gradient was added.
    pub fn register_post_accumulate_hook(&self, hook: Hook, payload: Option<Payload>) -> Result<u64> {
        if !self.is_leaf() {
            fail!(runtime, "post accumulate grad hooks cannot be registered on non-leaf tensors");
        }
        let id = NEXT_HOOK.fetch_add(1, Ordering::Relaxed);
        let mut guard = lock();
        self.0
            .state
            .get_mut(&mut guard.key)
            .cold
            .get_or_insert_with(Default::default)
            .post_hooks
            .push((id, hook, payload));
        Ok(id)
    }

    /// Removes a hook by its id.
    pub fn remove_hook(&self, id: u64) {
        let mut guard = lock();
        let locked = &mut *guard;
        let mut removed = Vec::new();
        if let Some(cold) = &mut self.0.state.get_mut(&mut locked.key).cold {
            for hooks in [&mut cold.hooks, &mut cold.post_hooks] {
                if let Some(at) = hooks.iter().position(|h| h.0 == id) {
                    removed.push(hooks.remove(at));
                }
            }
        }
        drop(guard);
        drop(removed);
        // The tensor's node may have changed since.
        remove_hook(id);
    }

    /// Keeps this tensor's gradient although it is no leaf.
    pub fn retain_grad(&self) -> Result<()> {
        let mut guard = lock();
        if !requires_grad(self, &guard.key) {
            fail!(runtime, "can't retain_grad on Tensor that has requires_grad=False");
        }
        let Edge::Node(n) = edge(self, &mut guard)? else { return Ok(()) };
        let state = self.0.state.get_mut(&mut guard.key);
        if state.flags & flag::RETAIN != 0 {
            return Ok(());
        }
        state.flags |= flag::RETAIN;
        guard.tape.side_mut(n).retain.push((n.output, Counted::watch(&self.0)));
        Ok(())
    }

    /// Whether [`Tensor::retain_grad`] is in force.
    pub fn retains_grad(&self) -> bool {
        self.0.state.get(&lock().key).flags & flag::RETAIN != 0
    }

    /// Made in inference mode.
    pub fn is_inference(&self) -> bool {
        self.0.state.get(&lock().key).flags & flag::INFERENCE != 0
    }
}

/// Removes a hook of a tensor that is no leaf by its id; the tensor itself may be gone.
pub fn remove_hook(id: u64) {
    let mut guard = lock();
    let mut removed = Vec::new();
    if let Some(side) = &mut guard.tape.side {
        for entry in side.values_mut() {
            if let Some(at) = entry.hooks.iter().position(|h| h.0 == id) {
                removed.push(entry.hooks.remove(at));
            }
        }
    }
    drop(guard);
    drop(removed);
}

/// What is alive now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Live {
    /// Nodes on the tape.
    pub nodes: usize,
    /// Bytes of the tape itself, values not counted.
    pub tape_bytes: usize,
    /// Bytes of values on the heap.
    pub value_bytes: usize,
    /// Bytes kept for reuse.
    pub idle_bytes: usize,
}

/// Counts nodes and bytes.
///
/// ```
/// let before = wengert::live().nodes;
/// let x = wengert::Tensor::from_f32(&[1.0], &[1]).unwrap().requiring_grad().unwrap();
/// let y = x.exp().unwrap();
/// assert_eq!(wengert::live().nodes, before + 1);
/// drop(y);
/// assert_eq!(wengert::live().nodes, before);
/// ```
pub fn live() -> Live {
    let guard = lock();
    Live {
        nodes: guard.tape.live(),
        tape_bytes: guard.tape.bytes(),
        value_bytes: wengert_cpu::buffer::live_bytes(),
        idle_bytes: wengert_cpu::buffer::idle_bytes(),
    }
}
