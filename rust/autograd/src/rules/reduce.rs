//! Rules of reductions, extrema and running folds.

use super::shaping::kept;
use super::{Ctx, Grads, Saves};
use crate::buffer::Device;
use crate::dispatch::apply1;
use crate::tensor::Tensor;
use smallvec::{smallvec, SmallVec};
use wengert_ops::{Op, Reduction, Result, Scalar, ScanKind, ScatterMode};

const INDICES: u64 = 1 << 1;

pub(super) fn saves(op: &Op, needs: u64) -> Saves {
    match op {
        _ if needs == 0 => Saves::NONE,
        Op::Reduce { kind: Reduction::Prod | Reduction::Max | Reduction::Min, .. }
        | Op::Scan { kind: ScanKind::Prod, .. } => Saves { inputs: 1, outputs: 1 },
        Op::Extreme { .. } => Saves::outputs(INDICES),
        _ => Saves::NONE,
    }
}

pub(super) fn vjp(ctx: &Ctx<'_>, g: &Tensor) -> Result<Grads> {
    let gx = match *ctx.op {
        Op::Reduce { kind: Reduction::Sum, dims, .. } => {
            let shape = ctx.input_shape(0)?;
            g.reshape_to(&kept(&shape, dims))?.expand_to(&shape)?
        }
        Op::Reduce { kind: Reduction::Prod, dims, .. } => prod(ctx, dims, g)?,
        Op::Reduce { kind: Reduction::Max | Reduction::Min, dims, .. } => shared(ctx, dims, g)?,
        Op::Extreme { dim, .. } => {
            let shape = ctx.input_shape(0)?;
            if shape.is_empty() {
                g.clone()
            } else {
                let keep = kept(&shape, 1 << dim);
                let index = ctx.output(1)?.detach().reshape_to(&keep)?;
                let zeros = Tensor::zeros(&shape, g.dtype(), g.device())?;
                zeros.scatter(ScatterMode::Add, dim as isize, &index, &g.reshape_to(&keep)?)?
            }
        }
        Op::Scan { kind: ScanKind::Sum, dim, reverse } => scan(ScanKind::Sum, g, dim, !reverse)?,
        Op::Scan { kind: ScanKind::Prod, dim, reverse } => cumprod(ctx, dim, reverse, g)?,
        _ => return Ok(Grads::new()),
    };
    Ok(smallvec![Some(gx)])
}

fn scan(kind: ScanKind, x: &Tensor, dim: u8, reverse: bool) -> Result<Tensor> {
    apply1(Op::Scan { kind, dim, reverse }, &[x])
}

fn has_zeros(x: &Tensor) -> Result<bool> {
    if x.device() == Device::Meta {
        return Ok(false);
    }
    Ok(x.detach().eq(0.0)?.any(&[], false)?.item()? == Scalar::Bool(true))
}

/// Elements that attain the extremum share the gradient equally.
fn shared(ctx: &Ctx<'_>, dims: u64, g: &Tensor) -> Result<Tensor> {
    let x = ctx.input(0)?;
    let keep = kept(&x.shape(), dims);
    let mask = x.detach().eq(&ctx.output(0)?.detach().reshape_to(&keep)?)?.to_dtype(g.dtype())?;
    let list: SmallVec<[isize; 4]> = (0..keep.len()).filter(|d| dims >> d & 1 == 1).map(|d| d as isize).collect();
    let count = if list.is_empty() { mask.clone() } else { mask.sum(&list, true)? };
    g.reshape_to(&keep)?.mul(&mask)?.div(&count)
}

/// `g · Π of the others`: by division where no factor is zero, else by the products before and after.
fn prod(ctx: &Ctx<'_>, dims: u64, g: &Tensor) -> Result<Tensor> {
    let x = ctx.input(0)?;
    let shape = x.shape();
    let keep = kept(&shape, dims);
    let g = g.reshape_to(&keep)?;
    if !has_zeros(&x)? {
        return g.mul(&ctx.output(0)?.reshape_to(&keep)?)?.div(&x);
    }
    // The folded dims last, as one.
    let folded = |d: &usize| dims >> d & 1 == 1;
    let order: Vec<isize> =
        (0..shape.len()).filter(|d| !folded(d)).chain((0..shape.len()).filter(folded)).map(|d| d as isize).collect();
    let moved = x.permute(&order)?;
    let moved_shape = moved.shape();
    let lead = (0..shape.len()).filter(|d| !folded(d)).count();
    let n: usize = moved_shape[lead..].iter().product();
    let mut flat: Vec<usize> = moved_shape[..lead].to_vec();
    flat.push(n);
    let others = others(&moved.reshape_to(&flat)?, lead, n)?.reshape_to(&moved_shape)?;
    let mut inverse = vec![0isize; order.len()];
    for (to, &from) in order.iter().enumerate() {
        inverse[from as usize] = to as isize;
    }
    g.mul(&others.permute(&inverse)?)
}

/// The product of all other elements of the last dim.
fn others(x: &Tensor, dim: usize, n: usize) -> Result<Tensor> {
    let mut one = x.shape();
    one[dim] = 1;
    let ones = Tensor::ones(&one, x.dtype(), x.device())?;
    if n < 2 {
        return ones.expand_to(&x.shape());
    }
    let (d, last) = (dim as isize, n as isize - 1);
    let before = scan(ScanKind::Prod, &x.narrow(d, 0, last)?, dim as u8, false)?;
    let after = scan(ScanKind::Prod, &x.narrow(d, 1, last)?, dim as u8, true)?;
    Tensor::cat(&[&ones, &before], d)?.mul(&Tensor::cat(&[&after, &ones], d)?)
}

fn cumprod(ctx: &Ctx<'_>, dim: u8, reverse: bool, g: &Tensor) -> Result<Tensor> {
    let (x, y) = (ctx.input(0)?, ctx.output(0)?);
    if x.rank() == 0 {
        return Ok(g.clone());
    }
    if !has_zeros(&x)? {
        return scan(ScanKind::Sum, &g.mul(&y)?, dim, !reverse)?.div(&x);
    }
    if ctx.create {
        return cumprod_by_parts(&x, dim, reverse, g);
    }
    // Up to the first zero as without zeros; at it, the fold with a 1 in its place; nothing after.
    let zeros = x.eq(0.0)?;
    let seen = scan(ScanKind::Sum, &zeros.to_dtype(wengert_ops::DType::I64)?, dim, reverse)?;
    let before = seen.eq(0i64)?;
    let first = zeros.logical_and(&seen.eq(1i64)?)?;
    let one = Scalar::Float(1.0);
    let head = scan(ScanKind::Sum, &g.mul(&y)?, dim, !reverse)?.div(&before.where_(&x, one)?)?;
    let filled = {
        let ones = Tensor::ones(&x.shape(), x.dtype(), x.device())?;
        first.where_(&ones, &x)?
    };
    // Terms before the first zero do not hold it.
    let beyond = before.logical_not()?;
    let tail = beyond.where_(&g.mul(&scan(ScanKind::Prod, &filled, dim, reverse)?)?, 0.0)?;
    let at_zero = first.where_(&scan(ScanKind::Sum, &tail, dim, !reverse)?, 0.0)?;
    before.where_(&head, &at_zero)
}

/// Quadratic, but free of divisions and of conditions on values: it may be differentiated at zeros.
fn cumprod_by_parts(x: &Tensor, dim: u8, reverse: bool, g: &Tensor) -> Result<Tensor> {
    let d = dim as isize;
    let n = x.shape()[dim as usize] as isize;
    let mut parts = Vec::with_capacity(n as usize);
    for k in 0..n {
        // `behind` are the factors folded before k, `ahead` those after it, in the fold's order.
        let (behind, ahead) = if reverse { ((k + 1, n - k - 1), (0, k)) } else { ((0, k), (k + 1, n - k - 1)) };
        let at = g.narrow(d, k, 1)?;
        let mut part = at;
        if ahead.1 > 0 {
            let products = scan(ScanKind::Prod, &x.narrow(d, ahead.0, ahead.1)?, dim, reverse)?;
            part = part.add(&g.narrow(d, ahead.0, ahead.1)?.mul(&products)?.sum(&[d], true)?)?;
        }
        if behind.1 > 0 {
            part = part.mul(&x.narrow(d, behind.0, behind.1)?.prod(&[d], true)?)?;
        }
        parts.push(part);
    }
    Tensor::cat(&parts.iter().collect::<Vec<_>>(), d)
}
