//! Rules of conversions, views, regions, padding and joins: linear maps, so each rule is the transpose.

use super::{Ctx, Grads, Unpacked};
use crate::buffer::Device;
use crate::dispatch::apply1;
use crate::region;
use crate::tensor::Tensor;
use smallvec::{smallvec, SmallVec};
use std::sync::Arc;
use wengert_ops::{fail, layout, DType, Dims, Layout, Op, Region, Result, ScatterMode, ViewOp};

pub(super) fn vjp(ctx: &Ctx<'_>, g: &Tensor) -> Result<Grads> {
    let one = |g: Result<Tensor>| g.map(|g| -> Grads { smallvec![Some(g)] });
    match ctx.op {
        // The sweep casts a gradient to what it is the gradient of.
        Op::Cast(_) => one(Ok(g.clone())),
        Op::To { from, .. } => one(g.to_device(*from)),
        Op::View(view) => one(unview(view, &ctx.input_shape(0)?, g)),
        Op::Pad(amounts) => one(crop(g, amounts)),
        Op::Cat { dim } => split(ctx, *dim as usize, g),
        Op::Take(region) => one(untake(region, g)),
        Op::Put(region) => {
            if g.device() != Device::Meta && region::relative(region).is_none() {
                region::places_inside(region)?;
            }
            let base = if ctx.needs(0) {
                let zeros = Tensor::zeros(region.part.shape(), g.dtype(), g.device())?;
                Some(apply1(Op::Put(region.clone()), &[g, &zeros])?)
            } else {
                None
            };
            let value = if ctx.needs(1) { Some(apply1(Op::Take(region.clone()), &[g])?) } else { None };
            Ok(smallvec![base, value])
        }
        op => fail!(internal, "{op:?} has no shaping rule"),
    }
}

fn unview(view: &ViewOp, shape: &[usize], g: &Tensor) -> Result<Tensor> {
    match view {
        ViewOp::Alias => Ok(g.clone()),
        ViewOp::Permute(order) => {
            let mut inverse: Dims = SmallVec::from_elem(0, order.len());
            for (to, &from) in order.iter().enumerate() {
                inverse[from] = to;
            }
            g.view_op(ViewOp::Permute(inverse))
        }
        ViewOp::Expand(_) => g.sum_to(shape),
        ViewOp::Reshape(_) | ViewOp::Unsqueeze(_) | ViewOp::Squeeze(_) => g.reshape_to(shape),
        &ViewOp::Slice { dim, start, step: 1, len } => pad_dim(g, dim, start, shape[dim] - start - len),
        &ViewOp::Select { dim, index } => {
            pad_dim(&g.view_op(ViewOp::Unsqueeze(dim))?, dim, index, shape[dim] - index - 1)
        }
        ViewOp::Slice { .. } | ViewOp::Diagonal { .. } | ViewOp::Unfold { .. } => {
            let base = Layout::contiguous(shape);
            let part = view.apply(&base)?;
            untake(&Arc::new(Region { base, part }), g)
        }
        // Recorded as `Take`: its arguments mean nothing without the buffer they were over.
        ViewOp::AsStrided { .. } => fail!(internal, "as_strided was taped without its base"),
    }
}

fn pad_dim(g: &Tensor, dim: usize, before: usize, after: usize) -> Result<Tensor> {
    if before == 0 && after == 0 {
        return Ok(g.clone());
    }
    let mut amounts: SmallVec<[(usize, usize); 4]> = SmallVec::from_elem((0, 0), g.rank());
    amounts[dim] = (before, after);
    g.pad(&amounts)
}

/// `g` put into zeros of the region's base.
fn place(region: Arc<Region>, g: &Tensor) -> Result<Tensor> {
    let zeros = Tensor::zeros(region.base.shape(), g.dtype(), g.device())?;
    apply1(Op::Put(region), &[&zeros, g])
}

/// The gradient of a base from that of its part: elements outside the base have no place in it, and those that the
/// part names more than once get the sum.
fn untake(region: &Arc<Region>, g: &Tensor) -> Result<Tensor> {
    let part = region::relative(region);
    if g.device() == Device::Meta || (part.is_some() && !region.part.self_overlaps()) {
        return place(region.clone(), g);
    }
    let (shape, count) = (region.base.shape(), region.base.numel());
    let n = region.part.numel();
    let g = g.reshape_to(&[n])?;
    if let Some(part) = part {
        let positions = Tensor::arange(count, DType::I64)?.value().with_layout(part).copied(DType::I64)?;
        let positions = Tensor::from_value(positions.with_layout(Layout::contiguous(&[n]))).to_device(g.device())?;
        let zeros = Tensor::zeros(&[count], g.dtype(), g.device())?;
        return zeros.scatter(ScatterMode::Add, 0, &positions, &g)?.reshape_to(shape);
    }
    let places = region::places(region);
    // One place more, for what lies outside.
    let zeros = Tensor::zeros(&[count + 1], g.dtype(), g.device())?;
    let of_part = Tensor::from_i64(&places.of_part, &[n])?.to_device(g.device())?;
    let all = zeros.scatter(ScatterMode::Add, 0, &of_part, &g)?;
    let base = match places.shared {
        None => all.narrow(0, 0, count as isize)?,
        // Elements of the base that lie on each other share what came to their place.
        Some((firsts, counts)) => {
            let counts = Tensor::from_f64(&counts, &[count])?.to_dtype(g.dtype())?.to_device(g.device())?;
            all.index(1, &[&Tensor::from_i64(&firsts, &[count])?.to_device(g.device())?])?.div(&counts)?
        }
    };
    base.reshape_to(shape)
}

fn crop(g: &Tensor, amounts: &[(usize, usize)]) -> Result<Tensor> {
    let shape = g.shape();
    let mut out = g.clone();
    for (dim, &(before, after)) in amounts.iter().enumerate().filter(|(_, a)| **a != (0, 0)) {
        out = out.view_op(ViewOp::Slice { dim, start: before, step: 1, len: shape[dim] - before - after })?;
    }
    Ok(out)
}

fn split(ctx: &Ctx<'_>, dim: usize, g: &Tensor) -> Result<Grads> {
    let total = g.shape()[dim];
    let sizes = cat_sizes(ctx, dim, total)?;
    let mut start = 0;
    let mut grads = Grads::new();
    for (i, len) in sizes.into_iter().enumerate() {
        grads.push(if !ctx.needs(i) {
            None
        } else if len == 0 && total > 0 {
            // Perhaps one of the empty vectors that a join skips: its shape is its own.
            match ctx.input_shape(i) {
                Ok(shape) => Some(Tensor::zeros(&shape, g.dtype(), g.device())?),
                Err(_) => None,
            }
        } else {
            Some(g.view_op(ViewOp::Slice { dim, start, step: 1, len })?)
        });
        start += len;
    }
    Ok(grads)
}

/// Sizes of the joined tensors along the dim: as recorded, else as far as their places on the tape tell.
fn cat_sizes(ctx: &Ctx<'_>, dim: usize, total: usize) -> Result<Vec<usize>> {
    let recorded: Vec<usize> = ctx
        .saved
        .iter()
        .filter_map(|s| match s {
            Unpacked::Scalar(_, size) => Some(size.as_f64() as usize),
            Unpacked::Array(..) | Unpacked::Shape(..) => None,
        })
        .collect();
    let count = ctx.inputs();
    if recorded.len() == count {
        return Ok(recorded);
    }
    let rank = ctx.metas[0].0.rank();
    let known: Vec<Option<usize>> = (0..count)
        .map(|i| ctx.input_shape(i).ok().map(|shape| if shape.len() == rank { shape[dim] } else { 0 }))
        .collect();
    let Some(rest) = total.checked_sub(known.iter().flatten().sum::<usize>()) else {
        fail!(internal, "cat's inputs are larger than what they were joined to");
    };
    let first = known.iter().position(|s| s.is_none());
    let last = known.iter().rposition(|s| s.is_none());
    if let (Some(first), Some(last)) = (first, last) {
        if known[first..=last].iter().any(|s| s.is_some()) {
            fail!(internal, "cat did not record the sizes of its inputs");
        }
    }
    // Only the total of a run without gradients matters.
    Ok(known.iter().enumerate().map(|(i, s)| s.unwrap_or(if Some(i) == first { rest } else { 0 })).collect())
}

/// A shape with the dims of a mask as 1.
pub(super) fn kept(shape: &[usize], mask: u64) -> Dims {
    shape.iter().enumerate().map(|(d, &n)| if d < 64 && mask >> d & 1 == 1 { 1 } else { n }).collect()
}

/// Both tensors with their batch dims (all but the last two) broadcast to common ones.
pub(super) fn broadcast_batch(a: &Tensor, b: &Tensor) -> Result<(Tensor, Tensor)> {
    let (x, y) = (a.shape(), b.shape());
    let (la, lb) = (x.len() - 2, y.len() - 2);
    if x[..la] == y[..lb] {
        return Ok((a.clone(), b.clone()));
    }
    let batch = layout::broadcast_shapes("linalg", &[&x[..la], &y[..lb]])?;
    let with = |matrix: &[usize]| -> Dims { batch.iter().chain(matrix).copied().collect() };
    Ok((a.expand_to(&with(&x[la..]))?, b.expand_to(&with(&y[lb..]))?))
}
