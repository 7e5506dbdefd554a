//! The sweep's short way over elementwise rows of few elements: kernels run on borrowed operands and the
//! lock is taken once for many nodes. Whatever is out of the ordinary goes the long way, node by node.

use super::marks::Slot;
use super::{free_saved, Step, Sweep};
use crate::buffer::Device;
use crate::dispatch::MOST;
use crate::lock::{Key, Locked};
use crate::tape::node::{Edge, NodeRef};
use crate::tape::saved::{Saved, OUTPUT};
use crate::tensor::{Cell, Tensor, TensorImpl};
use crate::value::Value;
use smallvec::SmallVec;
use wengert_cpu::Cpu;
use wengert_ops::counted::Counted;
use wengert_ops::{Backend, DType, Layout, Op, Operand, Result, Row, Scalar, View, ViewMut};

/// Up to this many elements a kernel is cheaper than letting go of the lock and taking it again.
const SMALL: usize = 1024;
/// Nodes in one hold of the lock, so that others are not kept waiting.
const SESSION: usize = 32;

impl Sweep {
    /// Steps over as many plain rows as come next; returns the first node that needs the long way.
    pub(super) fn rows(&mut self, locked: &mut Locked) -> Result<Progress> {
        for _ in 0..SESSION {
            let Some(node) = self.next() else { return Ok(Progress::Done) };
            if self.create {
                return Ok(Progress::Slow(Box::new(self.take_step(node, locked)?)));
            }
            if !self.fast_row(node, locked)? {
                return Ok(Progress::Slow(Box::new(self.take_step(node, locked)?)));
            }
            if !self.late.is_empty() {
                return Ok(Progress::Late(std::mem::take(&mut self.late)));
            }
        }
        Ok(Progress::Pause)
    }

    /// Steps over a plain row; `false` if it is not one.
    #[inline]
    fn fast_row(&mut self, node: NodeRef, locked: &mut Locked) -> Result<bool> {
        let n = locked.tape.node(node);
        let Op::Row(row) = n.op else { return Ok(false) };
        // What arrives here may have been asked for.
        if n.flags != 0 || n.layout.numel() > SMALL || self.asked_for(node) {
            return Ok(false);
        }
        let mut wanted = 0u32;
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
            wanted |= 1 << i;
        }
        let Some((mut g, sole)) = self.plain_gradient(node, &n.layout, n.dtype, &locked.key) else { return Ok(false) };
        let mut results: SmallVec<[(usize, Value); 2]> = SmallVec::new();
        for i in 0..n.edges.len() {
            if wanted >> i & 1 == 0 {
                continue;
            }
            let last = wanted >> i == 1;
            // The last partial may be written over what has arrived, if nobody else has it (earlier results may).
            let over = last && sole && Counted::count(&g.buffer) == 1 && !g.buffer.is_pinned();
            match partial(row, i, &g, over, &n.saved, &n.layout, n.dtype, &locked.key)? {
                Partial::Itself if last => {}
                Partial::Itself => results.push((i, g.clone())),
                Partial::Fresh(value) if last => g = value,
                Partial::Fresh(value) => results.push((i, value)),
                Partial::Long => {
                    if sole {
                        self.put_back(node, g);
                    }
                    return Ok(false);
                }
            }
        }
        if !sole {
            self.take_slot(node);
        }
        // Mostly there is but one, which need not be moved into a list and out again.
        if !results.is_empty() {
            for (i, value) in results {
                self.hand_on(&n.edges[i], value, locked)?;
            }
        }
        if wanted != 0 {
            self.hand_on(&n.edges[31 - wanted.leading_zeros() as usize], g, locked)?;
        }
        if !self.retain && n.saved.iter().any(Saved::holds_elements) {
            free_saved(node, locked);
        }
        Ok(true)
    }

    /// Adds a gradient to what has arrived at the end of an edge; what cannot be added under the lock is put aside.
    #[inline]
    fn hand_on(&mut self, edge: &Edge, value: Value, locked: &Locked) -> Result<()> {
        let left = match edge {
            Edge::Node(target) => self.add_to_slot(*target, value, locked)?,
            Edge::Leaf(leaf) => self.add_to_leaf(leaf, value, &locked.key)?,
            Edge::None => None,
        };
        if let Some(value) = left {
            self.late.push((edge.clone(), Tensor::from_value(value)));
        }
        Ok(())
    }

    /// The gradient that has arrived, if it is contiguous host memory of the output's own shape and dtype; and whether
    /// it was taken out, being the sweep's own.
    fn plain_gradient(&mut self, node: NodeRef, layout: &Layout, dtype: DType, key: &Key) -> Option<(Value, bool)> {
        let plain = |value: &Value| {
            value.dtype == dtype
                && value.layout.is_contiguous()
                && value.device() == Device::Cpu
                && (value.layout.same(layout) || value.layout.shape() == layout.shape())
        };
        match self.slot_mut(node)? {
            Slot::One(t) => t.try_value(key).filter(plain).map(|v| (v, false)),
            slot @ Slot::Value(_) => match std::mem::take(slot) {
                Slot::Value(v) if plain(&v) => Some((v, true)),
                other => {
                    *slot = other;
                    None
                }
            },
            _ => None,
        }
    }

    /// Undoes the taking of [`Sweep::plain_gradient`].
    fn put_back(&mut self, node: NodeRef, g: Value) {
        if let Some(slot) = self.slot_mut(node) {
            *slot = Slot::Value(g);
        }
    }

    /// Adds to what has arrived at a node; given back if somebody is writing that, which must be waited for outside
    /// the lock.
    fn add_to_slot(&mut self, target: NodeRef, value: Value, locked: &Locked) -> Result<Option<Value>> {
        let slot = self.slot(target, locked);
        match std::mem::take(slot) {
            // An assignment would look whether there is something to be dropped.
            Slot::Empty => std::mem::forget(std::mem::replace(slot, Slot::Value(value))),
            Slot::Value(old) => *slot = Slot::Value(sum(old, value, 1)?),
            Slot::One(old) => match old.try_value(&locked.key) {
                Some(old) => *slot = Slot::Value(fresh_sum(&old, &value)?),
                None => {
                    *slot = Slot::One(old);
                    return Ok(Some(value));
                }
            },
            Slot::Many(many) => *slot = Slot::Many(many),
        }
        Ok(None)
    }

    /// As [`Sweep::add_to_slot`], for a leaf.
    fn add_to_leaf(&mut self, leaf: &Counted<TensorImpl>, value: Value, key: &Key) -> Result<Option<Value>> {
        let id = Counted::as_ptr(leaf) as usize;
        let Some(&at) = self.leaf_index.get(&id) else {
            self.leaf_index.insert(id, self.leaves.len());
            self.leaves.push((leaf.clone(), Tensor::from_value(value)));
            return Ok(None);
        };
        let old = &mut self.leaves[at].1;
        let state = old.0.state.get(key);
        let own = matches!(&state.cell, Cell::Own(b, _) if Counted::count(b) == 1 && !b.is_pinned());
        let Some(old_value) = old.try_value(key) else { return Ok(Some(value)) };
        if own && Counted::count(&old.0) == 1 && old_value.layout.is_contiguous() {
            // Held by the leaf's entry and by `old_value`.
            sum(old_value, value, 2)?;
        } else {
            *old = Tensor::from_value(fresh_sum(&old_value, &value)?);
        }
        Ok(None)
    }
}

/// Gradients that must wait for a writer before they are added.
pub(super) type Late = SmallVec<[(Edge, Tensor); 2]>;

/// How a fast session ended.
pub(super) enum Progress {
    Done,
    Pause,
    Late(Late),
    Slow(Box<Step>),
}

/// The sum of two gradients, in the first one's memory if nobody beyond `holders` has it.
pub(super) fn sum(a: Value, b: Value, holders: usize) -> Result<Value> {
    if Counted::count(&a.buffer) == holders
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

/// `g · ∂row/∂input`.
enum Partial {
    /// A saved operand needs the long way; nothing was done.
    Long,
    /// `g` itself: as it was, or written over.
    Itself,
    Fresh(Value),
}

/// Computes a partial, `over` `g` where nobody else has that.
#[allow(clippy::too_many_arguments)]
fn partial(
    row: Row,
    which: usize,
    g: &Value,
    over: bool,
    saved: &[Saved],
    layout: &Layout,
    dtype: DType,
    key: &Key,
) -> Result<Partial> {
    let needs = row.needs(which);
    if !needs.defined {
        return Ok(Partial::Long);
    }
    let g_operand = Operand::Array(View { buffer: g.host()?, layout: &g.layout, dtype: g.dtype });
    if let Some(c) = needs.constant {
        if c == 1.0 {
            return Ok(Partial::Itself);
        }
        return into(g, over, |out| {
            Cpu.elementwise(Row::Mul, dtype.compute(), &[g_operand, Operand::Scalar(Scalar::Float(c))], out)
        });
    }
    let one = Operand::Scalar(Scalar::Float(1.0));
    let mut inputs = [one; MOST];
    let inputs = &mut inputs[..row.arity()];
    let mut y = one;
    for s in saved {
        let (slot, operand) = match s {
            Saved::Scalar { slot, value } => (*slot, Operand::Scalar(*value)),
            Saved::Whole { slot, dtype, writes: 0, buffer, layout: l } if l.shape() == layout.shape() => {
                match buffer.host() {
                    Some(host) => (*slot, Operand::Array(View { buffer: host, layout: l, dtype: *dtype })),
                    None => return Ok(Partial::Long),
                }
            }
            Saved::Part { slot, dtype, save } => {
                let (buffer, l) = save.place(key);
                match buffer.host() {
                    Some(host) if l.shape() == layout.shape() => {
                        (*slot, Operand::Array(View { buffer: host, layout: l, dtype: *dtype }))
                    }
                    _ => return Ok(Partial::Long),
                }
            }
            Saved::Whole { .. } | Saved::Shape { .. } => return Ok(Partial::Long),
        };
        if slot & OUTPUT != 0 {
            y = operand;
        } else if let Some(input) = inputs.get_mut(slot as usize) {
            *input = operand;
        }
    }
    into(g, over, |out| Cpu.elementwise_vjp(row, which, dtype.compute(), inputs, y, g_operand, out))
}

/// Computes into `g` itself or into fresh memory.
#[inline]
fn into(
    g: &Value,
    over: bool,
    compute: impl FnOnce(ViewMut<'_, wengert_cpu::Buffer>) -> Result<()>,
) -> Result<Partial> {
    if over {
        // SAFETY: the sweep alone has the buffer, and the operand that lies in it is the output itself.
        compute(unsafe { g.host_mut()? })?;
        return Ok(Partial::Itself);
    }
    let out = Value::empty(Device::Cpu, g.layout.fresh(), g.dtype)?;
    // SAFETY: `out` is fresh.
    compute(unsafe { out.host_mut()? })?;
    Ok(Partial::Fresh(out))
}
