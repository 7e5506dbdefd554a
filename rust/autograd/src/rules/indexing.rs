//! Rules of reading and writing by position. Reading is the transpose of adding, and the other way round.

use super::{Ctx, Grads, Saves};
use crate::tensor::Tensor;
use smallvec::smallvec;
use wengert_ops::{fail, DType, Op, Result, ScatterMode};

/// Positions: the second output of sort and topk.
const POSITIONS: u64 = 1 << 1;

pub(super) fn saves(op: &Op, needs: u64) -> Saves {
    let (base, second, third) = (needs & 1 != 0, needs >> 1 & 1 != 0, needs >> 2 & 1 != 0);
    match op {
        Op::Gather { .. } if base => Saves::inputs(1 << 1),
        Op::Scatter { mode: ScatterMode::Set, .. } if base || third => Saves::inputs(1 << 1),
        Op::Scatter { mode: ScatterMode::Add, .. } if third => Saves::inputs(1 << 1),
        Op::Index { .. } if base => Saves::inputs(!1),
        Op::IndexPut { accumulate, .. } if second || (base && !accumulate) => Saves::inputs(!3),
        Op::Sort { .. } | Op::TopK { .. } if base => Saves::outputs(POSITIONS),
        _ => Saves::NONE,
    }
}

pub(super) fn vjp(ctx: &Ctx<'_>, g: &Tensor) -> Result<Grads> {
    match *ctx.op {
        Op::Gather { dim } => Ok(smallvec![Some(add_at(ctx.create, &ctx.input_shape(0)?, dim, &ctx.input(1)?, g)?)]),
        Op::Sort { dim, .. } | Op::TopK { dim, .. } => {
            Ok(smallvec![Some(add_at(ctx.create, &ctx.input_shape(0)?, dim, &ctx.output(1)?.detach(), g)?)])
        }
        Op::Scatter { dim, mode } => scatter(ctx, dim as isize, mode, g),
        Op::Index { dims } => {
            let zeros = Tensor::zeros(&ctx.input_shape(0)?, g.dtype(), g.device())?;
            let indices = indices(ctx, 1)?;
            if ctx.create {
                return Ok(smallvec![Some(zeros.index_put(dims, &refs(&indices), g, true)?)]);
            }
            zeros.index_put_(dims, &refs(&indices), g, true)?;
            Ok(smallvec![Some(zeros)])
        }
        Op::IndexPut { dims, accumulate } => {
            let indices = if ctx.needs(1) || !accumulate { indices(ctx, 2)? } else { Vec::new() };
            let base = if !ctx.needs(0) {
                None
            } else if accumulate {
                Some(g.clone())
            } else {
                let zero = Tensor::zeros(&[], g.dtype(), g.device())?;
                Some(g.index_put(dims, &refs(&indices), &zero, false)?)
            };
            let values = match ctx.needs(1) {
                false => None,
                true if accumulate => Some(g.index(dims, &refs(&indices))?),
                true => Some(last_writers(g, dims, &indices)?),
            };
            Ok(smallvec![base, values])
        }
        _ => fail!(internal, "{:?} has no indexing rule", ctx.op),
    }
}

/// The gradient at the indices, zero where a later value was written over an earlier one.
fn last_writers(g: &Tensor, dims: u64, indices: &[Tensor]) -> Result<Tensor> {
    let picked = g.index(dims, &refs(indices))?;
    let n = picked.numel();
    if n < 2 {
        return Ok(picked);
    }
    let places = Tensor::arange(n, DType::I64)?.to_device(g.device())?.reshape_to(&picked.shape())?;
    let owner = Tensor::zeros(&g.shape(), DType::I64, g.device())?.index_put(dims, &refs(indices), &places, false)?;
    owner.index(dims, &refs(indices))?.eq(&places)?.where_(&picked, 0.0)
}

fn indices(ctx: &Ctx<'_>, from: usize) -> Result<Vec<Tensor>> {
    (from..ctx.inputs()).map(|i| ctx.input(i)).collect()
}

fn refs(tensors: &[Tensor]) -> Vec<&Tensor> {
    tensors.iter().collect()
}

/// A 0-d tensor as the vector that positions take it for.
fn at_least_1d(t: &Tensor) -> Result<Tensor> {
    if t.rank() == 0 {
        t.reshape_to(&[1])
    } else {
        Ok(t.clone())
    }
}

/// Zeros of a shape with `g` added at the positions.
fn add_at(create: bool, shape: &[usize], dim: u8, index: &Tensor, g: &Tensor) -> Result<Tensor> {
    let zeros = Tensor::zeros(shape, g.dtype(), g.device())?;
    if index.numel() == 0 {
        return Ok(zeros);
    }
    let (flat, index, g) = (at_least_1d(&zeros)?, at_least_1d(index)?, at_least_1d(g)?);
    if create {
        return flat.scatter(ScatterMode::Add, dim as isize, &index, &g)?.reshape_to(shape);
    }
    flat.scatter_(ScatterMode::Add, dim as usize, &index, &g)?;
    drop(flat);
    Ok(zeros)
}

fn scatter(ctx: &Ctx<'_>, dim: isize, mode: ScatterMode, g: &Tensor) -> Result<Grads> {
    if mode == ScatterMode::Add && !ctx.needs(2) {
        return Ok(smallvec![Some(g.clone())]);
    }
    let index = at_least_1d(&ctx.input(1)?)?;
    let wide = at_least_1d(g)?;
    let nothing = index.numel() == 0;
    let base = if !ctx.needs(0) {
        None
    } else if mode == ScatterMode::Add || nothing {
        Some(g.clone())
    } else {
        let zeros = Tensor::zeros(&index.shape(), g.dtype(), g.device())?;
        Some(wide.scatter(ScatterMode::Set, dim, &index, &zeros)?.reshape_to(&g.shape())?)
    };
    let src = if !ctx.needs(2) {
        None
    } else {
        let shape = ctx.input_shape(2)?;
        Some(if nothing {
            Tensor::zeros(&shape, g.dtype(), g.device())?
        } else {
            let read = wide.gather(dim, &index)?;
            let have = read.shape();
            if shape.len() == have.len() && shape != have {
                // What lies beyond the index is not read.
                let amounts: Vec<(usize, usize)> = shape.iter().zip(&have).map(|(n, m)| (0, n - m)).collect();
                read.pad(&amounts)?
            } else {
                read.reshape_to(&shape)?
            }
        })
    };
    Ok(smallvec![base, None, src])
}
