//! The step of an LSTM from its gates, c′ = f c + i g and h = o tanh(c′), and its run over a sequence.

use super::fused::wide;
use super::{written, Ctx, Grads, Saves};
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
    let (gsums, gc) = slopes(&ctx.input(1)?, &ctx.output(1)?, &ctx.output(2)?, [gh, gnext, gvalues])?;
    Ok(smallvec![Some(gsums), Some(gc)])
}

/// The gradients of the sums and of c, from c, c′, the gates' values and the gradients of h, c′ and the values.
fn slopes(
    c: &Tensor,
    next: &Tensor,
    values: &Tensor,
    [gh, gnext, gvalues]: [Option<&Tensor>; 3],
) -> Result<(Tensor, Tensor)> {
    let (c, next, values) = (wide(c)?, wide(next)?, wide(values)?);
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
    Ok((along.mul(&Tensor::cat(&slopes.each_ref(), -1)?)?, slope.mul(f)?))
}

/// The states and weights before; the states after each step and the gates' values.
pub(super) const SEQUENCE_SAVES: Saves = Saves { inputs: 0b1110, outputs: 0b111 };

/// The run over a sequence, step by step.
pub(super) fn sequence_definition(reverse: bool, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
    let [gates, h, c, w] = inputs else { wengert_ops::fail!(internal, "lstm over {} inputs", inputs.len()) };
    let count = gates.shape()[0];
    let (mut h, mut c) = ((*h).clone(), (*c).clone());
    let mut found: [Vec<Tensor>; 3] = Default::default();
    for turn in 0..count {
        let t = if reverse { count - 1 - turn } else { turn };
        let sums = gates.select(0, t as isize)?.add(&h.linear(w, None)?)?;
        let step = definition(&[&sums, &c])?;
        (h, c) = (step[0].clone(), step[1].clone());
        found.iter_mut().zip(step).for_each(|(all, one)| all.push(one));
    }
    found
        .into_iter()
        .map(|mut all| {
            if reverse {
                all.reverse();
            }
            Tensor::stack(&all.iter().collect::<Vec<_>>(), 0)
        })
        .collect()
}

pub(super) fn sequence_vjp(ctx: &Ctx<'_>, reverse: bool, grads: &[Option<Tensor>]) -> Result<Grads> {
    let grad = |n: usize| grads.get(n).and_then(|g| g.as_ref());
    if let (false, None) = (ctx.create, grad(2)) {
        if let Some(found) = sequence_kernel(ctx, grad(0), grad(1))? {
            return Ok(found);
        }
    }
    let (h, c, w) = (wide(&ctx.input(1)?)?, ctx.input(2)?, wide(&ctx.input(3)?)?);
    let (hs, cs, values) = (wide(&ctx.output(0)?)?, ctx.output(1)?, ctx.output(2)?);
    let (count, rows, m) = (hs.shape()[0], hs.shape()[1], hs.shape()[2]);
    let place = |turn: usize| (if reverse { count - 1 - turn } else { turn }) as isize;
    let (mut gh, mut gc): (Option<Tensor>, Option<Tensor>) = (None, None);
    let mut all = Vec::with_capacity(count);
    for turn in (0..count).rev() {
        let t = place(turn);
        // What arrives at a step from outside, and from the step after it.
        let arrived = |n: usize, later: Option<Tensor>| match (grad(n), later) {
            (Some(g), Some(later)) => wide(&g.select(0, t)?)?.add(&later).map(Some),
            (Some(g), None) => g.select(0, t).map(Some),
            (None, later) => Ok(later),
        };
        let before = if turn == 0 { c.clone() } else { cs.select(0, place(turn - 1))? };
        let (h_grad, c_grad, v_grad) = (arrived(0, gh)?, arrived(1, gc)?, arrived(2, None)?);
        let given = [h_grad.as_ref(), c_grad.as_ref(), v_grad.as_ref()];
        let (gsums, gbefore) = slopes(&before, &cs.select(0, t)?, &values.select(0, t)?, given)?;
        gh = Some(gsums.matmul(&w)?);
        gc = Some(gbefore);
        all.push(gsums);
    }
    // They were found from the last turn to the first.
    if !reverse {
        all.reverse();
    }
    let gsums = Tensor::stack(&all.iter().collect::<Vec<_>>(), 0)?;
    let (h, others) = (h.unsqueeze(0)?, count as isize - 1);
    let befores = match reverse {
        true => Tensor::cat(&[&hs.narrow(0, 1, others)?, &h], 0)?,
        false => Tensor::cat(&[&h, &hs.narrow(0, 0, others)?], 0)?,
    };
    let flat = |x: &Tensor, n: usize| x.reshape(&[(count * rows) as isize, n as isize]);
    let gw = flat(&gsums, 4 * m)?.mt()?.matmul(&flat(&befores, m)?)?;
    Ok(smallvec![Some(gsums), gh, gc, Some(gw)])
}

fn sequence_kernel(ctx: &Ctx<'_>, ghs: Option<&Tensor>, gcs: Option<&Tensor>) -> Result<Option<Grads>> {
    let saved = (1..4).map(|n| ctx.input_value(n)).chain((0..3).map(|n| ctx.output_value(n)));
    let Some(saved) = saved.map(|v| v.cloned()).collect::<Option<Vec<Value>>>() else { return Ok(None) };
    let [h, c, w, hs, _, values] = &saved[..] else { return Ok(None) };
    let ghs = match ghs {
        Some(g) => g.value(),
        None => Tensor::zeros(hs.layout.shape(), hs.dtype, hs.device())?.value(),
    };
    let like: Vec<_> = [values, h, c, w].iter().map(|v| (v.layout.fresh(), v.dtype)).collect();
    let mut operands = vec![ghs];
    operands.extend(saved.iter().cloned());
    operands.extend(gcs.map(|g| g.value()));
    Ok(exec::fused_vjp(ctx.op, &operands, &like)?.map(written))
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
    Ok(exec::fused_vjp(ctx.op, &operands, &like)?.map(written))
}
