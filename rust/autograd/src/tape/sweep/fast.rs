//! The sweep's short way over elementwise rows of few elements: kernels run on borrowed operands and the
//! lock is taken once for many nodes. Whatever is out of the ordinary goes the long way, node by node.

use super::marks::Slot;
use super::{Step, Sweep};
use crate::buffer::Device;
use crate::lock::{Key, Locked};
use crate::tape::node::{flag, Edge, NodeRef};
use crate::tape::saved::{Saved, OUTPUT};
use crate::tensor::{Cell, Tensor};
use crate::value::Value;
use smallvec::SmallVec;
use std::sync::Arc;
use wengert_cpu::Cpu;
use wengert_ops::{Backend, DType, Layout, Op, Operand, Result, Row, Scalar, View};

/// Up to this many elements a kernel is cheaper than letting go of the lock and taking it again.
const SMALL: usize = 1024;
/// Nodes in one hold of the lock, so that others are not kept waiting.
const SESSION: usize = 32;

type Cpus<'a> = Operand<'a, wengert_cpu::Buffer>;

impl Sweep {
    /// Steps over as many plain rows as come next; returns the first node that needs the long way.
    pub(super) fn rows(&mut self, locked: &mut Locked) -> Result<Progress> {
        for _ in 0..SESSION {
            let Some(node) = self.next() else { return Ok(Progress::Done) };
            if self.create || !self.fast_row(node, locked)? {
                return Ok(Progress::Slow(Box::new(self.take_step(node, locked)?)));
            }
        }
        Ok(Progress::Pause)
    }

    fn fast_row(&mut self, node: NodeRef, locked: &mut Locked) -> Result<bool> {
        let n = locked.tape.node(node);
        let Op::Row(row) = n.op else { return Ok(false) };
        if n.flags != 0 || n.layout.numel() > SMALL {
            return Ok(false);
        }
        // What arrives here has been asked for.
        if self.asked_for(node) {
            return Ok(false);
        }
        let Some(g) = self.plain_gradient(node, &n.layout, n.dtype, &locked.key) else { return Ok(false) };
        let mut results: SmallVec<[(usize, Value); 2]> = SmallVec::new();
        for (i, edge) in n.edges.iter().enumerate() {
            if !self.useful(edge) {
                continue;
            }
            let fits = match edge {
                Edge::None => continue,
                Edge::Node(t) => {
                    let target = locked.tape.node(*t);
                    target.more.is_none()
                        && target.dtype == n.dtype
                        && (target.layout.same(&n.layout) || target.layout.shape() == n.layout.shape())
                }
                Edge::Leaf(l) => l.dtype() == n.dtype && l.state.get(&locked.key).layout.shape() == n.layout.shape(),
            };
            if !fits {
                return Ok(false);
            }
            match partial(row, i, &g, &n.saved, &n.layout, n.dtype, &locked.key)? {
                Some(value) => results.push((i, value)),
                None => return Ok(false),
            }
        }
        self.take_slot(node);
        drop(g);
        for (i, value) in results {
            match &locked.tape.node(node).edges[i] {
                Edge::Node(t) => {
                    let target = *t;
                    self.add_to_slot(target, value, locked)?;
                }
                Edge::Leaf(l) => {
                    let leaf = l.clone();
                    self.add_to_leaf(leaf, value, &locked.key)?;
                }
                Edge::None => {}
            }
        }
        if !self.retain {
            let n = locked.tape.node_mut(node);
            if n.saved.iter().any(|s| !matches!(s, Saved::Scalar { .. })) {
                n.flags |= flag::FREED;
                let saved = std::mem::take(&mut n.saved);
                for s in &saved {
                    s.release(&mut locked.key);
                }
            }
        }
        Ok(true)
    }

    /// The gradient that has arrived, if it is contiguous host memory of the output's own shape and dtype.
    fn plain_gradient(&self, node: NodeRef, layout: &Layout, dtype: DType, key: &Key) -> Option<Value> {
        let value = match self.peek_slot(node)? {
            Slot::Value(v) => v.clone(),
            Slot::One(t) => t.try_value(key)?,
            _ => return None,
        };
        let plain = value.dtype == dtype
            && value.layout.is_contiguous()
            && value.device() == Device::Cpu
            && value.layout.shape() == layout.shape();
        plain.then_some(value)
    }

    fn add_to_slot(&mut self, target: NodeRef, value: Value, locked: &Locked) -> Result<()> {
        let slot = self.slot(target, locked);
        match std::mem::take(slot) {
            Slot::Empty => *slot = Slot::Value(value),
            Slot::Value(old) => *slot = Slot::Value(sum(old, value, 1)?),
            Slot::One(old) => {
                let old_value = match old.try_value(&locked.key) {
                    Some(v) => v,
                    None => old.value(),
                };
                *slot = Slot::Value(fresh_sum(&old_value, &value)?);
            }
            Slot::Many(many) => *slot = Slot::Many(many),
        }
        Ok(())
    }

    fn add_to_leaf(&mut self, leaf: Arc<crate::tensor::TensorImpl>, value: Value, key: &Key) -> Result<()> {
        let id = Arc::as_ptr(&leaf) as usize;
        let Some(&at) = self.leaf_index.get(&id) else {
            self.leaf_index.insert(id, self.leaves.len());
            self.leaves.push((leaf, Tensor::from_value(value)));
            return Ok(());
        };
        let old = &mut self.leaves[at].1;
        let state = old.0.state.get(key);
        let own = matches!(&state.cell, Cell::Own(b, _) if Arc::strong_count(b) == 1 && !b.is_pinned());
        let Some(old_value) = old.try_value(key) else {
            *old = Tensor::from_value(fresh_sum(&old.value(), &value)?);
            return Ok(());
        };
        if own && Arc::strong_count(&old.0) == 1 && old_value.layout.is_contiguous() {
            // Held by the leaf's entry and by `old_value`.
            sum(old_value, value, 2)?;
        } else {
            *old = Tensor::from_value(fresh_sum(&old_value, &value)?);
        }
        Ok(())
    }
}

/// How a fast session ended.
pub(super) enum Progress {
    Done,
    Pause,
    Slow(Box<Step>),
}

/// The sum of two gradients, in the first one's memory if nobody beyond `holders` has it.
pub(super) fn sum(a: Value, b: Value, holders: usize) -> Result<Value> {
    if Arc::strong_count(&a.buffer) == holders
        && a.layout.is_contiguous()
        && !a.buffer.is_pinned()
        && a.device() == Device::Cpu
    {
        let inputs = [crate::exec::RowInput::Value(&a), crate::exec::RowInput::Value(&b)];
        // SAFETY: the sweep alone holds the buffer; the first input is the output itself.
        crate::exec::row_into(Row::Add, a.dtype, &inputs, unsafe { a.view_mut()? })?;
        return Ok(a);
    }
    fresh_sum(&a, &b)
}

fn fresh_sum(a: &Value, b: &Value) -> Result<Value> {
    let inputs = [crate::exec::RowInput::Value(a), crate::exec::RowInput::Value(b)];
    crate::exec::row(Row::Add, a.dtype, a.dtype, &a.layout.fresh(), a.device(), &inputs)
}

/// `g · ∂row/∂input`, or `None` where a saved operand needs the long way.
fn partial(
    row: Row,
    which: usize,
    g: &Value,
    saved: &[Saved],
    layout: &Layout,
    dtype: DType,
    key: &Key,
) -> Result<Option<Value>> {
    let needs = row.needs(which);
    if !needs.defined {
        return Ok(None);
    }
    let g_operand = Operand::Array(View { buffer: g.host()?, layout: &g.layout, dtype: g.dtype });
    if let Some(c) = needs.constant {
        if c == 1.0 {
            return Ok(Some(g.clone()));
        }
        let out = Value::empty(Device::Cpu, g.layout.fresh(), dtype)?;
        // SAFETY: `out` is fresh.
        Cpu.elementwise(Row::Mul, dtype.compute(), &[g_operand, Operand::Scalar(Scalar::Float(c))], unsafe {
            out.view_mut()?
        })?;
        return Ok(Some(out));
    }
    let one = Operand::Scalar(Scalar::Float(1.0));
    let mut inputs: SmallVec<[Cpus<'_>; 3]> = SmallVec::from_elem(one, row.arity());
    let mut y = one;
    for s in saved {
        let (slot, operand) = match s {
            Saved::Scalar { slot, value } => (*slot, Operand::Scalar(*value)),
            Saved::Whole { slot, dtype, writes: 0, buffer, layout: l } if l.shape() == layout.shape() => {
                match buffer.host() {
                    Some(host) => (*slot, Operand::Array(View { buffer: host, layout: l, dtype: *dtype })),
                    None => return Ok(None),
                }
            }
            Saved::Part { slot, dtype, save } => {
                let (buffer, l) = save.place(key);
                match buffer.host() {
                    Some(host) if l.shape() == layout.shape() => {
                        (*slot, Operand::Array(View { buffer: host, layout: l, dtype: *dtype }))
                    }
                    _ => return Ok(None),
                }
            }
            Saved::Whole { .. } => return Ok(None),
        };
        if slot & OUTPUT != 0 {
            y = operand;
        } else if let Some(input) = inputs.get_mut(slot as usize) {
            *input = operand;
        }
    }
    let out = Value::empty(Device::Cpu, g.layout.fresh(), dtype)?;
    // SAFETY: `out` is fresh.
    Cpu.elementwise_vjp(row, which, dtype.compute(), &inputs, y, g_operand, unsafe { out.view_mut()? })?;
    Ok(Some(out))
}
