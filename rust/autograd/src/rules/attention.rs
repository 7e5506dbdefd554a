//! Attention: its definition by products and a softmax, and its gradients. The sweep has kernels that compute the
//! weights anew, block by block, from the saved denominators; the compositions here are for higher orders and for
//! dtypes without a kernel.

use super::fused::{product, wide};
use super::{written, Ctx, Grads, Saves};
use crate::exec;
use crate::tensor::Tensor;
use crate::value::Value;
use smallvec::smallvec;
use wengert_cpu::random::{Generator, PLACE};
use wengert_ops::{fail, DType, Random, Result};

/// All inputs, y and the logarithms of the denominators.
pub(super) const SAVES: Saves = Saves { inputs: 0b11111, outputs: 0b11 };

const HIDDEN: f64 = f64::NEG_INFINITY;

/// The fields of an op.
#[derive(Clone, Copy)]
pub(crate) struct How {
    pub causal: bool,
    pub scale: f64,
    pub keep: f64,
}

impl How {
    pub fn of(causal: bool, scale_bits: u64, keep_bits: u64) -> How {
        How { causal, scale: f64::from_bits(scale_bits), keep: f64::from_bits(keep_bits) }
    }

    /// The mask and the streams of what follows the values.
    fn split<'t, T>(&self, more: &'t [T]) -> (Option<&'t T>, Option<&'t T>) {
        match more.split_last() {
            Some((streams, mask)) if self.keep < 1.0 => (mask.first(), Some(streams)),
            _ => (more.first(), None),
        }
    }

    /// `q kᵀ · scale + mask`, −∞ where a query must not look.
    fn scores(&self, q: &Tensor, k: &Tensor, mask: Option<&Tensor>) -> Result<Tensor> {
        let mut s = product(&q.mul(self.scale)?, &k.mt()?)?;
        if let Some(mask) = mask {
            s = s.add(mask)?;
        }
        if self.causal {
            let sizes = s.shape();
            let seen = Tensor::full(&sizes[sizes.len() - 2..], 1i64, DType::Bool, s.device())?.tril(0)?;
            s = seen.where_(&s, HIDDEN)?;
        }
        Ok(s)
    }

    /// What weights like `scores` are multiplied by: all that the streams tell is drawn at once.
    fn drawn(&self, streams: &Tensor, scores: &Tensor) -> Result<Tensor> {
        let like = Tensor::empty(&scores.shape(), scores.dtype(), scores.device())?;
        if like.numel() > 0 && like.device().has_memory() {
            let first: Vec<u32> = streams.select(0, 0)?.to_vec_i64()?.into_iter().map(|word| word as u32).collect();
            let law = Random::Bernoulli { p: self.keep };
            match (&first[..], <&[u32; PLACE]>::try_from(&first[..])) {
                (&[low, high], _) => like.random_of_key_(u64::from(high) << 32 | u64::from(low), law)?,
                (_, Ok(place)) => like.random_(&mut Generator::at(place), law)?,
                _ => fail!(internal, "attention: a stream of {} numbers, not of 2 or {PLACE}", first.len()),
            }
        }
        like.div(self.keep)
    }
}

/// The same with 0 for −∞.
fn finite(x: &Tensor) -> Result<Tensor> {
    x.ne(HIDDEN)?.where_(x, 0.0)
}

/// By all weights at once. `factors` are what they are multiplied by, if that is not for the op's streams to say.
pub(crate) fn definition(how: How, inputs: &[&Tensor], factors: Option<&Tensor>) -> Result<Vec<Tensor>> {
    let (q, k, v) = (wide(inputs[0])?, wide(inputs[1])?, wide(inputs[2])?);
    let (mask, streams) = how.split(&inputs[3..]);
    let mask = mask.map(|m| wide(m)).transpose()?;
    let narrow = |t: Tensor| t.to_dtype(inputs[0].dtype());
    let (s, shape) = (how.scores(&q, &k, mask.as_ref())?, q.shape());
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
    let factors = match (factors, streams) {
        (Some(factors), _) => Some(wide(factors)?),
        (None, Some(streams)) => Some(how.drawn(streams, &s)?),
        (None, None) => None,
    };
    let kept = match &factors {
        Some(factors) => e.mul(factors)?,
        None => e,
    };
    let y = product(&kept, &v)?.div(&total.ne(0.0)?.where_(&total, 1.0)?)?;
    let sums = total.log()?.add(&shift)?.squeeze_dim(-1)?;
    Ok(vec![narrow(y)?, narrow(sums)?])
}

/// With weights p = exp(scores − sums) and what they are multiplied by, f: gv = (p f)ᵀ g; the scores' gradient is
/// p (f · g vᵀ − Σ g y), which the products with q and k carry on.
pub(super) fn vjp(ctx: &Ctx<'_>, how: How, grads: &[Option<Tensor>]) -> Result<Grads> {
    let grad = |n: usize| grads.get(n).and_then(|g| g.as_ref());
    if let (Some(g), None, false) = (grad(0), grad(1), ctx.needs(3)) {
        if let Some(found) = kernel(ctx, g)? {
            return Ok(found);
        }
    }
    let (q, k, v) = (wide(&ctx.input(0)?)?, wide(&ctx.input(1)?)?, wide(&ctx.input(2)?)?);
    let present = (3..5).filter(|&n| ctx.input_value(n).is_some());
    let more = present.map(|n| ctx.input(n)).collect::<Result<Vec<Tensor>>>()?;
    let (mask, streams) = how.split(&more);
    let mask = mask.map(wide).transpose()?;
    let sums = finite(&wide(&ctx.output(1)?)?)?.unsqueeze(-1)?;
    let p = how.scores(&q, &k, mask.as_ref())?.sub(&sums)?.exp()?;
    let factors = streams.map(|streams| how.drawn(streams, &p)).transpose()?;
    let kept = |x: &Tensor| match &factors {
        Some(factors) => x.mul(factors),
        None => Ok(x.clone()),
    };
    let (mut gs, mut gv) = (None, None);
    if let Some(g) = grad(0) {
        let g = wide(g)?;
        gv = Some(product(&kept(&p)?.mt()?, &g)?);
        let along = g.mul(&wide(&ctx.output(0)?)?)?.sum(&[-1], true)?;
        gs = Some(kept(&product(&g, &v.mt()?)?)?.sub(&along)?);
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
    let scaled = gs.mul(how.scale)?;
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
    operands.extend((3..5).filter_map(|n| ctx.input_value(n).cloned()));
    Ok(exec::fused_vjp(ctx.op, &operands, &like)?.map(written))
}
