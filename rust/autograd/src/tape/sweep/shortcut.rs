//! Work on parts of large gradients in place.

use super::marks::Slot;
use super::{Step, Sweep};
use crate::lock::lock;
use crate::region;
use crate::rules;
use crate::tape::node::Edge;
use crate::tensor::Tensor;
use smallvec::SmallVec;
use wengert_ops::counted::Counted;
use wengert_ops::{Layout, Op, Result};

impl Sweep {
    /// Work on parts of large gradients in place, so that a loop over rows of one base stays linear:
    /// a view's gradient is added into what has arrived at its base, a Put's region is zeroed in a slot it owns alone.
    pub(super) fn shortcut(&mut self, step: &Step, grads: &mut SmallVec<[Option<Tensor>; 2]>) -> Result<bool> {
        let Some(Some(g)) = grads.first() else { return Ok(false) };
        match &step.op {
            Op::Put(region) => {
                let mut value_grad = None;
                let Some(relative) = region::relative(region) else { return Ok(false) };
                let layout = g.layout();
                let dense = g.0.device().has_memory() && layout.is_contiguous();
                if !dense || layout.shape() != region.base.shape() {
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
                    // SAFETY: the gradient belongs to this sweep alone, and the region lies in its base, whose shape
                    // the gradient has.
                    crate::devices::Devices.fill(wengert_ops::Scalar::Int(0), unsafe { part.view_mut()? })?;
                    drop((value, part));
                    self.deliver(step, 0, edges[0].clone(), g)?;
                }
                if let (Some(v), Some(edge)) = (value_grad, edges.get(1)) {
                    self.deliver(step, 1, edge.clone(), v)?;
                }
                Ok(true)
            }
            Op::View(_) | Op::Take(_) => {
                if !g.device().has_memory() {
                    return Ok(false);
                }
                let guard = lock();
                let edge = guard.tape.node(step.node).edges[0].clone();
                let (base, dtype, device) = match &edge {
                    Edge::Node(n) => {
                        let target = guard.tape.node(*n);
                        if target.more.is_some() {
                            return Ok(false);
                        }
                        (target.layout.fresh(), target.dtype, g.device())
                    }
                    Edge::Leaf(leaf) => (leaf.state.get(&guard.key).layout.fresh(), leaf.dtype(), leaf.device()),
                    Edge::None => return Ok(false),
                };
                drop(guard);
                // Where the shape was kept that the base had, it may have got another since.
                let kept = rules::kept_shape(&step.saved, 0);
                if dtype != g.dtype() || device != g.device() || kept.is_some_and(|k| k.shape() != base.shape()) {
                    return Ok(false);
                }
                let part = match &step.op {
                    Op::View(view) => match &**view {
                        wengert_ops::ViewOp::Slice { .. }
                        | wengert_ops::ViewOp::Select { .. }
                        | wengert_ops::ViewOp::Diagonal { .. } => view.apply(&base)?,
                        _ => return Ok(false),
                    },
                    Op::Take(region) if !region.part.self_overlaps() && region.base.shape() == base.shape() => {
                        match region::relative(region) {
                            Some(part) => part,
                            None => return Ok(false),
                        }
                    }
                    _ => return Ok(false),
                };
                if part.span().1 > base.numel() || part.shape() != g.layout().shape() {
                    return Ok(false);
                }
                let arrived = match &edge {
                    Edge::Node(n) => std::mem::take(self.slot(*n, &lock())),
                    Edge::Leaf(leaf) => match self.leaf_index.get(&(Counted::as_ptr(leaf) as usize)) {
                        // Another stands in its place meanwhile.
                        Some(&at) => Slot::One(std::mem::replace(&mut self.leaves[at].1, g.clone())),
                        None => Slot::Empty,
                    },
                    Edge::None => Slot::Empty,
                };
                let whole = match arrived {
                    Slot::Value(v)
                        if Counted::count(&v.buffer) == 1 && v.layout.is_contiguous() && !v.buffer.is_pinned() =>
                    {
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
                // SAFETY: the gradient belongs to this sweep alone, the part lies in it as checked above, and the first
                // input is the output itself.
                crate::exec::row_into(wengert_ops::Row::Add, g.dtype(), &inputs, unsafe { target.view_mut()? })?;
                drop((value, target));
                match edge {
                    Edge::Leaf(leaf) => {
                        let next = self.leaves.len();
                        let at = *self.leaf_index.entry(Counted::as_ptr(&leaf) as usize).or_insert(next);
                        match self.leaves.get_mut(at) {
                            Some(entry) => entry.1 = whole,
                            None => self.leaves.push((leaf, whole)),
                        }
                    }
                    Edge::Node(n) => *self.slot(n, &lock()) = Slot::One(whole),
                    Edge::None => {}
                }
                Ok(true)
            }
            _ => Ok(false),
        }
    }
}

fn offset_by(l: &Layout, by: usize) -> Layout {
    if by == 0 {
        return l.clone();
    }
    Layout::strided(SmallVec::from_slice(l.shape()), SmallVec::from_slice(l.strides()), l.offset() + by)
}
