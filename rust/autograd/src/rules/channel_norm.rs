//! Normalisation of channels, over the batch or in groups: x̂ = (x − mean) / √(variance + eps), y = x̂ · w + b.

use super::fused::wide;
use super::{Ctx, Grads, Saves};
use crate::exec;
use crate::tensor::Tensor;
use crate::value::Value;
use smallvec::smallvec;
use wengert_ops::{Result, Scalar};

/// x, the weight, mean and variance.
pub(super) const SAVES: Saves = Saves { inputs: 0b11, outputs: 0b110 };

/// The input as it is normalised: the dims over which, and the statistics' shape with these dims kept.
struct Form {
    x: Vec<usize>,
    over: Vec<isize>,
    kept: Vec<usize>,
    count: f64,
    /// The dims of x but that of the channels, and the shape of one element a channel.
    others: Vec<isize>,
    channel: Vec<usize>,
}

impl Form {
    fn of(groups: u32, shape: &[usize]) -> Form {
        let others: Vec<isize> = (0..shape.len() as isize).filter(|&d| d != 1).collect();
        let channel: Vec<usize> = shape.iter().enumerate().map(|(d, &n)| if d == 1 { n } else { 1 }).collect();
        let (x, over, kept) = match groups as usize {
            0 => (shape.to_vec(), others.clone(), channel.clone()),
            g => {
                let each = shape[2..].iter().product::<usize>() * (shape[1] / g);
                (vec![shape[0], g, each], vec![2], vec![shape[0], g, 1])
            }
        };
        let count = over.iter().map(|&d| x[d as usize] as f64).product();
        Form { x, over, kept, count, others, channel }
    }
}

/// The outputs as a composition of primitives.
pub(super) fn definition(groups: u32, eps: f64, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
    let (x, affine) = (inputs[0], &inputs[1..]);
    let narrow = |t: Tensor| t.to_dtype(x.dtype());
    let (shape, x) = (x.shape(), wide(x)?);
    let form = Form::of(groups, &shape);
    let flat = x.reshape_to(&form.x)?;
    let (variance, mean) = flat.var_mean(&form.over, 0.0, true)?;
    let rstd = variance.add(Scalar::Float(eps))?.rsqrt()?;
    let units: Vec<usize> = if groups == 0 { vec![shape[1]] } else { form.kept[..2].to_vec() };
    let y = match (groups, affine) {
        // The weight goes into what has one element a channel.
        (0, [w, ..]) => flat.sub(&mean)?.mul(&rstd.mul(&wide(w)?.reshape_to(&form.channel)?)?)?,
        _ => {
            let y = flat.sub(&mean)?.mul(&rstd)?.reshape_to(&shape)?;
            match affine {
                [w, ..] => y.mul(&wide(w)?.reshape_to(&form.channel)?)?,
                [] => y,
            }
        }
    };
    let y = match affine {
        [_, b] => y.add(&wide(b)?.reshape_to(&form.channel)?)?,
        _ => y,
    };
    Ok(vec![narrow(y)?, narrow(mean.reshape_to(&units)?)?, narrow(variance.reshape_to(&units)?)?])
}

pub(super) fn vjp(ctx: &Ctx<'_>, groups: u32, eps: f64, grads: &[Option<Tensor>]) -> Result<Grads> {
    let grad = |k: usize| grads.get(k).and_then(|g| g.as_ref());
    if let (false, Some(g), None, None) = (ctx.create, grad(0), grad(1), grad(2)) {
        if let Some(found) = kernel(ctx, g)? {
            return Ok(found);
        }
    }
    let x = wide(&ctx.input(0)?)?;
    let shape = x.shape();
    let form = Form::of(groups, &shape);
    let stats = |k: usize| wide(&ctx.output(k)?)?.reshape_to(&form.kept);
    let (mean, rstd) = (stats(1)?, stats(2)?.add(Scalar::Float(eps))?.rsqrt()?);
    let centred = x.reshape_to(&form.x)?.sub(&mean)?;
    let hat = centred.mul(&rstd)?;
    let mut all: Grads = smallvec![None, None, None];
    let mut parts: Vec<Tensor> = Vec::new();
    if let Some(g) = grad(0) {
        let g = wide(g)?.expand_to(&shape)?;
        if ctx.needs(2) {
            all[2] = Some(g.sum(&form.others, false)?);
        }
        if ctx.needs(1) {
            all[1] = Some(g.mul(&hat.reshape_to(&shape)?)?.sum(&form.others, false)?);
        }
        let scaled = match ctx.input_value(1) {
            Some(_) => g.mul(&wide(&ctx.input(1)?)?.reshape_to(&form.channel)?)?,
            None => g,
        };
        let g = scaled.reshape_to(&form.x)?;
        let slope = hat.mul(&g.mul(&hat)?.mean(&form.over, true)?)?;
        parts.push(g.sub(&g.mean(&form.over, true)?)?.sub(&slope)?.mul(&rstd)?);
    }
    if let Some(g) = grad(1) {
        parts.push(wide(g)?.reshape_to(&form.kept)?.div(form.count)?.expand_to(&form.x)?);
    }
    if let Some(g) = grad(2) {
        parts.push(wide(g)?.reshape_to(&form.kept)?.mul(2.0 / form.count)?.mul(&centred)?);
    }
    if let (true, Some(first)) = (ctx.needs(0), parts.pop()) {
        let sum = parts.into_iter().try_fold(first, |sum, part| sum.add(&part))?;
        all[0] = Some(sum.reshape_to(&shape)?);
    }
    Ok(all)
}

fn kernel(ctx: &Ctx<'_>, g: &Tensor) -> Result<Option<Grads>> {
    let (Some(x), Some(mean), Some(variance)) = (ctx.input_value(0), ctx.output_value(1), ctx.output_value(2)) else {
        return Ok(None);
    };
    let w = ctx.input_value(1);
    let like = |v: &Value| (v.layout.fresh(), v.dtype);
    let operands = [Some(&g.value()), Some(x), Some(mean), Some(variance), w];
    let operands: Vec<Value> = operands.into_iter().flatten().cloned().collect();
    let outputs: Vec<_> = [Some(x), w, w].into_iter().flatten().map(like).collect();
    Ok(exec::fused_vjp(ctx.op, &operands, &outputs)?
        .map(|found| found.into_iter().map(|v| Some(Tensor::from_value(v))).collect()))
}
