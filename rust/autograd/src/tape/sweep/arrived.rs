//! Gradients of what a graph uses again and again, as a recurrent network does its matrices: each further one is added to
//! what has arrived as it is computed, without a tensor of its own.

use super::marks::Slot;
use super::{Step, Sweep};
use crate::buffer::{Buffer, Device};
use crate::devices::Devices;
use crate::exec::{as_matrix, index_put_into, transposed};
use crate::lock::lock;
use crate::rules::{row, Ctx};
use crate::tape::node::Edge;
use crate::tensor::Tensor;
use crate::value::Value;
use smallvec::SmallVec;
use wengert_ops::counted::Counted;
use wengert_ops::infer::broadcasts_to;
use wengert_ops::{DType, Dims, Layout, Op, Result, Row, ViewMut};

impl Sweep {
    /// Adds a step's gradients to those that have arrived at its leaves, where it knows how; a bit for each input that is
    /// done.
    pub(super) fn add_to_arrived(&mut self, step: &Step, ctx: &Ctx<'_>, grads: &[Option<Tensor>]) -> Result<u64> {
        let Some(Some(g)) = grads.first() else { return Ok(0) };
        if self.create || self.anomaly || self.check_nan || !step.node_hooks.is_empty() {
            return Ok(0);
        }
        match ctx.op {
            Op::Linear | Op::Matmul => self.add_products(step, ctx, g),
            &Op::Row(row) => self.add_partials(step, ctx, row, g),
            &Op::Index { dims } if ctx.needs(0) => self.add_rows(step, ctx, dims, g),
            _ => Ok(0),
        }
    }

    fn add_products(&mut self, step: &Step, ctx: &Ctx<'_>, g: &Tensor) -> Result<u64> {
        let mut done = 0;
        for i in [0, 1].into_iter().filter(|&i| ctx.needs(i)) {
            let (Some(target), Some(other)) = (self.arrived(step, i), ctx.input_value(1 - i)) else { continue };
            let Some([a, b]) = factors(ctx.op, i, &g.value(), other) else { continue };
            let shape = [a.layout.shape()[0], b.layout.shape()[1]];
            let one_kind = [&a, &b].iter().all(|v| v.dtype == target.dtype && v.device() == target.device());
            if one_kind && target.layout.is_contiguous() && target.layout.shape() == shape {
                // SAFETY: what has arrived belongs to this sweep alone, and the factors do not share its memory.
                Devices.matmul(a.view()?, b.view()?, true, unsafe { target.view_mut()? })?;
                done |= 1 << i;
            }
        }
        Ok(done)
    }

    /// What was read at indices, rows of a table above all: the others are not touched.
    fn add_rows(&mut self, step: &Step, ctx: &Ctx<'_>, dims: u64, g: &Tensor) -> Result<u64> {
        let (Some(target), g) = (self.arrived(step, 0), g.value()) else { return Ok(0) };
        let indices: SmallVec<[&Value; 2]> = (1..).map_while(|i| ctx.input_value(i)).collect();
        let one_kind = g.dtype == target.dtype && g.device() == target.device();
        if !one_kind || indices.len() != dims.count_ones() as usize || target.layout.shape() != &ctx.input_shape(0)?[..]
        {
            return Ok(0);
        }
        let indices = indices.into_iter().map(Value::view).collect::<Result<SmallVec<[_; 2]>>>()?;
        // SAFETY: what has arrived belongs to this sweep alone; neither the indices nor `g` share its memory.
        index_put_into(dims, true, &indices, &g.view()?, unsafe { target.view_mut()? })?;
        Ok(1)
    }

    /// Products of a gradient and a row's partials: added where they go, and summed as they are made over the dims along
    /// which an operand was broadcast.
    fn add_partials(&mut self, step: &Step, ctx: &Ctx<'_>, row: Row, g: &Tensor) -> Result<u64> {
        let (layout, dtype) = &step.metas[0];
        if layout.numel() < MANY || g.dtype() != *dtype || !matches!(dtype, DType::F32 | DType::F64) {
            return Ok(0);
        }
        let (g, mut done) = (g.value(), 0);
        for i in (0..row.arity()).filter(|&i| ctx.needs(i)) {
            let Some((edge, target, target_dtype)) = step.target(i) else { continue };
            if target_dtype != *dtype {
                continue;
            }
            if target.shape() == layout.shape() {
                let Some(arrived) = self.arrived_at(&edge).filter(|v| v.layout.is_contiguous() && v.host().is_ok())
                else {
                    continue;
                };
                // SAFETY: what has arrived belongs to this sweep alone, and no operand shares its memory.
                let added = row::pullback(ctx, row, i, &g, |p| p.add_to(unsafe { arrived.host_mut()? }))?;
                done |= u64::from(added.is_some()) << i;
            } else if let Some((dims, kept)) = summed(target.shape(), layout.shape()) {
                let sum = row::pullback(ctx, row, i, &g, |p| {
                    let sum = Value::empty(Device::Cpu, target.fresh(), *dtype)?;
                    // SAFETY: fresh, and of as many elements.
                    let to = unsafe { ViewMut::new(sum.host()?, &kept, *dtype) };
                    Ok(p.sum_to(layout.shape(), dims, to)?.then_some(sum))
                })?;
                if let Some(sum) = sum.flatten() {
                    self.deliver(step, i, edge, Tensor::from_value(sum))?;
                    done |= 1 << i;
                }
            }
        }
        Ok(done)
    }

    /// What has arrived at an edge, if nobody else has it.
    fn arrived_at(&mut self, edge: &Edge) -> Option<Value> {
        let tensor = match edge {
            Edge::Leaf(leaf) => &self.leaves[*self.leaf_index.get(&(Counted::as_ptr(leaf) as usize))?].1,
            Edge::Node(n) => match self.slot_mut(*n)? {
                Slot::One(tensor) => tensor,
                Slot::Value(v) => return Buffer::is_sole(&v.buffer, &lock().key).then(|| v.clone()),
                _ => return None,
            },
            Edge::None => return None,
        };
        tensor.is_sole().then(|| tensor.value())
    }

    /// The same of the leaf that is the step's input `i`.
    fn arrived(&mut self, step: &Step, i: usize) -> Option<Value> {
        let edge = lock().tape.node(step.node).edges.get(i).filter(|edge| matches!(edge, Edge::Leaf(_)))?.clone();
        self.arrived_at(&edge).filter(|v| v.device().has_memory())
    }
}

/// From this many elements on, arrays of products cost more than to look for what has arrived.
const MANY: usize = 4096;

/// The dims along which a shape was broadcast to another, as a mask, and the row-major layout with 1 for these.
fn summed(target: &[usize], shape: &[usize]) -> Option<(u64, Layout)> {
    if !broadcasts_to(target, shape) || shape.len() > 63 {
        return None;
    }
    let lead = shape.len() - target.len();
    let (mut kept, mut dims): (Dims, u64) = (shape.into(), 0);
    for (d, n) in kept.iter_mut().enumerate() {
        if d < lead || target[d - lead] != *n {
            (*n, dims) = (1, dims | 1 << d);
        }
    }
    Some((dims, Layout::contiguous(&kept)))
}

/// The matrices whose product is the gradient of input `i`; none where they do not lie as matrices do.
fn factors(op: &Op, i: usize, g: &Value, other: &Value) -> Option<[Value; 2]> {
    let matrix = |v: &Value| {
        let columns = *v.layout.shape().last()?;
        let flat = v.layout.rank() == 2 || v.layout.is_contiguous() && columns > 0 && v.layout.rank() > 2;
        flat.then(|| as_matrix(v, columns))
    };
    let (g, batch) = (matrix(g)?, g.layout.rank() > 2);
    match (op, i) {
        // y = x wᵀ: of w it is gᵀ x.
        (Op::Linear, 1) => Some([transposed(&g), matrix(other)?]),
        // y = a b: of a it is g bᵀ, of b aᵀ g.
        (Op::Matmul, 0) if !batch => Some([g, transposed(&matrix(other)?)]),
        (Op::Matmul, 1) => Some([transposed(&matrix(other)?), g]),
        _ => None,
    }
}
