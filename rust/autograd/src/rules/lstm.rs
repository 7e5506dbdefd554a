//! The step of an LSTM from its gates: c′ = f c + i g and h = o tanh(c′).

use super::fused::wide;
use super::{Ctx, Grads, Saves};
use crate::exec;
use crate::tensor::Tensor;
use crate::value::Value;
use smallvec::smallvec;
use wengert_ops::Result;

/// The state before; the new one and the gates' values.
pub(super) const SAVES: Saves = Saves { inputs: 0b10, outputs: 0b110 };

/// The outputs as a composition of primitives.
pub(super) fn definition(inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
    let [sums, c] = inputs else { wengert_ops::fail!(internal, "lstm_cell over {} inputs", inputs.len()) };
    let gates = wide(sums)?.chunk(4, -1)?;
    let [i, f, o] = [0, 1, 3].map(|k| gates[k].sigmoid());
    let (i, f, g, o) = (i?, f?, gates[2].tanh()?, o?);
    let next = f.mul(&wide(c)?)?.add(&i.mul(&g)?)?;
    let h = o.mul(&next.tanh()?)?;
    let narrow = |t: Tensor| t.to_dtype(sums.dtype());
    Ok(vec![narrow(h)?, narrow(next)?, narrow(Tensor::cat(&[&i, &f, &g, &o], -1)?)?])
}

pub(super) fn vjp(ctx: &Ctx<'_>, grads: &[Option<Tensor>]) -> Result<Grads> {
    let grad = |n: usize| grads.get(n).and_then(|g| g.as_ref());
    let (gh, gnext, gvalues) = (grad(0), grad(1), grad(2));
    if let (false, None) = (ctx.create, gvalues) {
        if let Some(found) = kernel(ctx, gh, gnext)? {
            return Ok(found);
        }
    }
    let (c, next, values) = (wide(&ctx.input(1)?)?, wide(&ctx.output(1)?)?, wide(&ctx.output(2)?)?);
    let gates = values.chunk(4, -1)?;
    let (i, f, g, o) = (&gates[0], &gates[1], &gates[2], &gates[3]);
    let t = next.tanh()?;
    let given = |g: Option<&Tensor>| match g {
        Some(g) => wide(g),
        None => Tensor::zeros(&next.shape(), next.dtype(), next.device()),
    };
    let gh = given(gh)?;
    let slope = given(gnext)?.add(&gh.mul(o)?.mul(&t.mul(&t)?.rsub(1.0)?)?)?;
    let mut along = Tensor::cat(&[&slope.mul(g)?, &slope.mul(&c)?, &slope.mul(i)?, &gh.mul(&t)?], -1)?;
    if let Some(more) = gvalues {
        along = along.add(&wide(more)?)?;
    }
    let sigmoid = |s: &Tensor| s.mul(&s.rsub(1.0)?);
    let slopes = [sigmoid(i)?, sigmoid(f)?, g.mul(g)?.rsub(1.0)?, sigmoid(o)?];
    let gsums = along.mul(&Tensor::cat(&slopes.each_ref(), -1)?)?;
    Ok(smallvec![Some(gsums), Some(slope.mul(f)?)])
}

fn kernel(ctx: &Ctx<'_>, gh: Option<&Tensor>, gnext: Option<&Tensor>) -> Result<Option<Grads>> {
    let (Some(c), Some(next), Some(values)) = (ctx.input_value(1), ctx.output_value(1), ctx.output_value(2)) else {
        return Ok(None);
    };
    let given = |g: Option<&Tensor>| match g {
        Some(g) => Ok(g.value()),
        None => Tensor::zeros(c.layout.shape(), c.dtype, c.device()).map(|zeros| zeros.value()),
    };
    let operands: [Value; 5] = [given(gh)?, given(gnext)?, c.clone(), next.clone(), values.clone()];
    let like = [(values.layout.fresh(), values.dtype), (c.layout.fresh(), c.dtype)];
    Ok(exec::fused_vjp(ctx.op, &operands, &like)?
        .map(|found| found.into_iter().map(|v| Some(Tensor::from_value(v))).collect()))
}
