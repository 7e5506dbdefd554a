//! Normalisation of channels, over the batch or in groups: x̂ = (x − mean) / √(variance + eps), y = x̂ · w + b.

use super::fused::{norm_kernel, sum_of, through_norm, wide};
use super::{written, Ctx, Grads, Saves};
use crate::tensor::Tensor;
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
    let weight = affine.first().map(|w| wide(w)?.reshape_to(&form.channel)).transpose()?;
    let (units, y) = if groups == 0 {
        let rstd = variance.add(Scalar::Float(eps))?.rsqrt()?;
        // The weight goes into what has one element a channel.
        let scale = weight.map_or(Ok(rstd.clone()), |w| rstd.mul(&w))?;
        (vec![shape[1]], flat.sub(&mean)?.mul(&scale)?)
    } else {
        // A group's elements stand in one row, for which there are kernels on every device.
        let y = flat.layer_norm(1, None, None, eps)?.reshape_to(&shape)?;
        (form.kept[..2].to_vec(), weight.map_or(Ok(y.clone()), |w| y.mul(&w))?)
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
        if let Some(found) = norm_kernel(ctx, g, ctx.input_value(1))? {
            return Ok(written(found));
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
        parts.push(through_norm(&scaled.reshape_to(&form.x)?, &hat, &rstd, &form.over, true)?);
    }
    if let Some(g) = grad(1) {
        parts.push(wide(g)?.reshape_to(&form.kept)?.div(form.count)?.expand_to(&form.x)?);
    }
    if let Some(g) = grad(2) {
        parts.push(wide(g)?.reshape_to(&form.kept)?.mul(2.0 / form.count)?.mul(&centred)?);
    }
    if ctx.needs(0) {
        all[0] = sum_of(parts)?.map(|sum| sum.reshape_to(&shape)).transpose()?;
    }
    Ok(all)
}
