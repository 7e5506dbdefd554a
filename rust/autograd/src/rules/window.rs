//! Rules of convolutions and pools.

use super::{Ctx, Grads, Saves};
use crate::dispatch::apply1;
use crate::tensor::Tensor;
use smallvec::smallvec;
use wengert_ops::{fail, ConvRole, Op, Result, ScatterMode};

pub(super) fn saves(op: &Op, needs: u64) -> Saves {
    match op {
        // Bilinear: the gradient of either operand reads the other.
        Op::Conv { .. } => Saves::inputs((needs & 1) << 1 | (needs >> 1 & 1)),
        Op::MaxPool(_) if needs & 1 != 0 => Saves::outputs(1 << 1),
        _ => Saves::NONE,
    }
}

pub(super) fn vjp(ctx: &Ctx<'_>, g: &Tensor) -> Result<Grads> {
    match ctx.op {
        Op::Conv { role, spec } => {
            let run = |role, a: &Tensor, b: &Tensor| apply1(Op::Conv { role, spec: spec.clone() }, &[a, b]).map(Some);
            // ⟨y, F(x, w)⟩ = ⟨I(y, w), x⟩ = ⟨W(y, x), w⟩: each gradient is the map to that operand's space.
            let first = if !ctx.needs(0) {
                None
            } else {
                let other = ctx.input(1)?;
                match role {
                    ConvRole::Forward => run(ConvRole::Input, g, &other)?,
                    ConvRole::Input => run(ConvRole::Forward, g, &other)?,
                    ConvRole::Weight => run(ConvRole::Forward, &other, g)?,
                }
            };
            let second = if !ctx.needs(1) {
                None
            } else {
                let other = ctx.input(0)?;
                match role {
                    ConvRole::Forward => run(ConvRole::Weight, g, &other)?,
                    ConvRole::Input => run(ConvRole::Weight, &other, g)?,
                    ConvRole::Weight => run(ConvRole::Input, &other, g)?,
                }
            };
            Ok(smallvec![first, second])
        }
        Op::MaxPool(spec) => {
            let shape = ctx.input_shape(0)?;
            let lead = shape.len() - spec.kernel.len();
            let flat = |shape: &[usize]| -> Vec<usize> {
                shape[..lead].iter().copied().chain([shape[lead..].iter().product()]).collect()
            };
            let index = ctx.output(1)?.detach();
            let windows = flat(&index.shape());
            // Windows may overlap: an element that wins in several gets the sum.
            let zeros = Tensor::zeros(&flat(&shape), g.dtype(), g.device())?;
            let gx = zeros.scatter(ScatterMode::Add, -1, &index.reshape_to(&windows)?, &g.reshape_to(&windows)?)?;
            Ok(smallvec![Some(gx.reshape_to(&shape)?)])
        }
        op => fail!(internal, "{op:?} has no window rule"),
    }
}
