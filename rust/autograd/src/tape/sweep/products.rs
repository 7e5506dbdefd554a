//! Gradients of matrices that a graph multiplies by again and again, as a recurrent network does: each further product is
//! added to what has arrived as it is computed, without a matrix of its own.

use super::{Step, Sweep};
use crate::counted::Counted;
use crate::devices::Devices;
use crate::exec::{as_matrix, transposed};
use crate::lock::lock;
use crate::rules::Ctx;
use crate::tape::node::Edge;
use crate::tensor::Tensor;
use crate::value::Value;
use wengert_ops::{Op, Result};

impl Sweep {
    /// Adds a product's gradients to those that have arrived at its leaves, and gives a bit for each input that is done.
    pub(super) fn add_products(&self, step: &Step, ctx: &Ctx<'_>, grads: &[Option<Tensor>]) -> Result<u64> {
        let (Op::Linear | Op::Matmul, Some(Some(g))) = (ctx.op, grads.first()) else { return Ok(0) };
        if self.create || self.anomaly || self.check_nan || !step.node_hooks.is_empty() {
            return Ok(0);
        }
        let mut done = 0;
        for i in [0, 1].into_iter().filter(|&i| ctx.needs(i)) {
            let Some(arrived) = self.arrived(step, i) else { continue };
            let (Some(other), target) = (ctx.input_value(1 - i), arrived.value()) else { continue };
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

    /// What has arrived at the leaf that is the step's input `i`, if nobody else has it.
    fn arrived(&self, step: &Step, i: usize) -> Option<&Tensor> {
        let leaf = match lock().tape.node(step.node).edges.get(i)? {
            Edge::Leaf(leaf) => Counted::as_ptr(leaf) as usize,
            _ => return None,
        };
        let arrived = &self.leaves[*self.leaf_index.get(&leaf)?].1;
        (arrived.is_sole() && arrived.device().has_memory()).then_some(arrived)
    }
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
