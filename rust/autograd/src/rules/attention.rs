//! Attention: its definition by products and a softmax, and its gradients. The sweep has kernels that compute the
//! weights anew, block by block, from the saved denominators; the compositions here are for higher orders and for
//! dtypes without a kernel.

use super::fused::{product, wide};
use super::{Ctx, Grads, Saves};
use crate::exec;
use crate::tensor::Tensor;
use crate::value::Value;
use smallvec::smallvec;
use wengert_ops::{DType, Result};

/// All inputs, y and the logarithms of the denominators.
pub(super) const SAVES: Saves = Saves { inputs: 0b1111, outputs: 0b11 };

const HIDDEN: f64 = f64::NEG_INFINITY;

/// `q kᵀ · scale + mask`, −∞ where a query must not look.
fn scores(q: &Tensor, k: &Tensor, mask: Option<&Tensor>, causal: bool, scale: f64) -> Result<Tensor> {
    let mut s = product(&q.mul(scale)?, &k.mt()?)?;
    if let Some(mask) = mask {
        s = s.add(mask)?;
    }
    if causal {
        let sizes = s.shape();
        let seen = Tensor::full(&sizes[sizes.len() - 2..], 1i64, DType::Bool, s.device())?.tril(0)?;
        s = seen.where_(&s, HIDDEN)?;
    }
    Ok(s)
}

/// The same with 0 for −∞.
fn finite(x: &Tensor) -> Result<Tensor> {
    x.ne(HIDDEN)?.where_(x, 0.0)
}

pub(super) fn definition(causal: bool, scale: f64, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
    let (q, k, v) = (wide(inputs[0])?, wide(inputs[1])?, wide(inputs[2])?);
    let mask = inputs.get(3).map(|m| wide(m)).transpose()?;
    let narrow = |t: Tensor| t.to_dtype(inputs[0].dtype());
    let (s, shape) = (scores(&q, &k, mask.as_ref(), causal, scale)?, q.shape());
    if s.shape().last() == Some(&0) {
        let sums = Tensor::full(&shape[..shape.len() - 1], HIDDEN, q.dtype(), q.device())?;
        return Ok(vec![narrow(product(&s, &v)?)?, narrow(sums)?]);
    }
    if s.numel() == 0 {
        return Ok(vec![narrow(product(&s, &v)?)?, narrow(s.sum(&[-1], false)?)?]);
    }
    // The shift cancels, so that it needs no gradient.
    let shift = finite(&s.detach().amax(&[-1], true)?)?;
    let e = s.sub(&shift)?.exp()?;
    let total = e.sum(&[-1], true)?;
    let y = product(&e, &v)?.div(&total.ne(0.0)?.where_(&total, 1.0)?)?;
    let sums = total.log()?.add(&shift)?.squeeze_dim(-1)?;
    Ok(vec![narrow(y)?, narrow(sums)?])
}

/// With weights p = exp(scores − sums): gv = pᵀ g; the scores' gradient is p (g vᵀ − Σ g y), which the products with
/// q and k carry on.
pub(super) fn vjp(ctx: &Ctx<'_>, causal: bool, scale: f64, grads: &[Option<Tensor>]) -> Result<Grads> {
    let grad = |n: usize| grads.get(n).and_then(|g| g.as_ref());
    if let (Some(g), None, false) = (grad(0), grad(1), ctx.needs(3)) {
        if let Some(found) = kernel(ctx, g)? {
            return Ok(found);
        }
    }
    let (q, k, v) = (wide(&ctx.input(0)?)?, wide(&ctx.input(1)?)?, wide(&ctx.input(2)?)?);
    let mask = match ctx.input_value(3) {
        Some(_) => Some(wide(&ctx.input(3)?)?),
        None => None,
    };
    let sums = finite(&wide(&ctx.output(1)?)?)?.unsqueeze(-1)?;
    let p = scores(&q, &k, mask.as_ref(), causal, scale)?.sub(&sums)?.exp()?;
    let (mut gs, mut gv) = (None, None);
    if let Some(g) = grad(0) {
        let g = wide(g)?;
        gv = Some(product(&p.mt()?, &g)?);
        let along = g.mul(&wide(&ctx.output(0)?)?)?.sum(&[-1], true)?;
        gs = Some(product(&g, &v.mt()?)?.sub(&along)?);
    }
    if let Some(g) = grad(1) {
        let g = wide(g)?.unsqueeze(-1)?;
        gs = Some(match gs {
            Some(gs) => gs.add(&g)?,
            None => g,
        });
    }
    let Some(gs) = gs else { return Ok(Grads::new()) };
    let gs = p.mul(&gs)?;
    let scaled = gs.mul(scale)?;
    let mut found: Grads = smallvec![Some(product(&scaled, &k)?), Some(product(&scaled.mt()?, &q)?), gv];
    if ctx.needs(3) {
        found.push(Some(gs));
    }
    Ok(found)
}

fn kernel(ctx: &Ctx<'_>, g: &Tensor) -> Result<Option<Grads>> {
    if ctx.create {
        return Ok(None);
    }
    let saved = [ctx.input_value(0), ctx.input_value(1), ctx.input_value(2), ctx.output_value(0), ctx.output_value(1)];
    let Some(saved) = saved.into_iter().map(|v| v.cloned()).collect::<Option<Vec<Value>>>() else { return Ok(None) };
    let like: Vec<_> = saved[..3].iter().map(|v| (v.layout.fresh(), v.dtype)).collect();
    let mut operands = vec![g.value()];
    operands.extend(saved);
    operands.extend(ctx.input_value(3).cloned());
    Ok(exec::fused_vjp(ctx.op, &operands, &like)?
        .map(|found| found.into_iter().map(|v| Some(Tensor::from_value(v))).collect()))
}
