//! Rules and definitions of products and fused primitives. Plain gradients run a kernel where there is one;
//! the compositions beside them are what higher orders and other dtypes use, and what tests compare with.

use super::{row, written, Ctx, Grads, Saves, Unpacked};
use crate::dispatch::{apply, apply1, row as run_row, Arg};
use crate::exec;
use crate::tape::saved::OUTPUT;
use crate::tensor::Tensor;
use crate::value::Value;
use smallvec::{smallvec, SmallVec};
use wengert_ops::{fail, infer, DType, LossReduction, Op, Result, Row, Scalar};

pub(super) fn saves(op: &Op, needs: u64) -> Saves {
    let (first, second) = (needs & 1, needs >> 1 & 1);
    match op {
        Op::Matmul | Op::Linear => Saves::inputs(first << 1 | second),
        Op::LinearThen { row, keep } => {
            let outputs = u64::from(row.kept(1).output) | u64::from(*keep) << 1;
            Saves { inputs: first << 1 | second, outputs }
        }
        Op::Softmax { .. } if first != 0 => Saves::outputs(1),
        // Targets and log-softmax.
        Op::CrossEntropy { .. } if first != 0 => Saves { inputs: 1 << 1, outputs: 1 << 1 },
        // x and the mean.
        Op::VarMean { .. } if first != 0 => Saves { inputs: 1, outputs: 0b10 },
        // x, the weight, mean and 1/std.
        Op::LayerNorm { .. } if needs & 0b11 != 0 => Saves { inputs: 0b11, outputs: 0b110 },
        _ => Saves::NONE,
    }
}

pub(super) fn vjp(ctx: &Ctx<'_>, grads: &[Option<Tensor>]) -> Result<Grads> {
    let grad = |k: usize| grads.get(k).and_then(|g| g.as_ref());
    match (ctx.op, grad(0)) {
        (Op::Matmul, Some(g)) => matmul(ctx, g),
        (Op::Linear, Some(g)) => linear(ctx, g),
        (&Op::LinearThen { row, .. }, g) => linear_then(ctx, row, g, grad(1)),
        (Op::Softmax { dim, log }, Some(g)) => {
            if let Some(gx) = kernel(ctx, &[Some(g.value()), ctx.output_value(0).cloned()])? {
                return Ok(smallvec![Some(gx)]);
            }
            let y = ctx.output(0)?;
            let d = [*dim as isize];
            let gx = if *log { log_softmax_vjp(g, &y, &d)? } else { y.mul(&g.sub(&g.mul(&y)?.sum(&d, true)?)?)? };
            Ok(smallvec![Some(gx)])
        }
        (&Op::CrossEntropy { reduction, ignore_index }, g) => {
            let gx = cross_entropy(ctx, reduction, ignore_index, g, grad(1))?;
            Ok(smallvec![gx])
        }
        (&Op::VarMean { dims, keepdim, correction_bits }, g) => {
            let gx = var_mean(ctx, (dims, keepdim), f64::from_bits(correction_bits), g, grad(1))?;
            Ok(smallvec![gx])
        }
        (&Op::LayerNorm { dims, centred, .. }, g) => {
            // What counts as 0 whatever the input is has no gradient.
            layer_norm(ctx, (dims as usize, centred), g, grad(1).filter(|_| centred), grad(2))
        }
        _ => Ok(Grads::new()),
    }
}

/// The gradient kernel for plain sweeps; its result has the first input's shape and dtype.
fn kernel(ctx: &Ctx<'_>, operands: &[Option<Value>]) -> Result<Option<Tensor>> {
    if ctx.create {
        return Ok(None);
    }
    let Some(values) = operands.iter().cloned().collect::<Option<Vec<Value>>>() else { return Ok(None) };
    // All these ops have an output or saved operand of the input's shape: the second operand.
    let like = (values[1].layout.fresh(), values[1].dtype);
    Ok(exec::fused_vjp(ctx.op, &values, &[like])?.and_then(|mut out| out.pop()).map(Tensor::from_value))
}

pub(super) fn product(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    apply1(Op::Matmul, &[a, b])
}

/// `[…, n]` as `[rows, n]`.
fn rows(x: &Tensor) -> Result<Tensor> {
    let shape = x.shape();
    match shape.split_last() {
        Some((&n, lead)) if lead.len() != 1 => x.reshape_to(&[lead.iter().product(), n]),
        _ => Ok(x.clone()),
    }
}

fn matmul(ctx: &Ctx<'_>, g: &Tensor) -> Result<Grads> {
    let first = if ctx.needs(0) { Some(product(g, &ctx.input(1)?.mt()?)?) } else { None };
    let second = if ctx.needs(1) {
        let a = ctx.input(0)?;
        // One matrix against a batch: its gradient sums over the batch, which one product over all rows does.
        let gb = if a.rank() > 2 && ctx.input_shape(1)?.len() == 2 {
            product(&rows(&a)?.mt()?, &rows(g)?)?
        } else {
            product(&a.mt()?, g)?
        };
        Some(gb)
    } else {
        None
    };
    Ok(smallvec![first, second])
}

fn linear(ctx: &Ctx<'_>, g: &Tensor) -> Result<Grads> {
    if !ctx.create {
        if let Some(grads) = linear_kernels(ctx, &g.value())? {
            return Ok(grads);
        }
    }
    let flat = rows(g)?;
    let gx = if ctx.needs(0) { Some(product(&flat, &ctx.input(1)?)?.reshape_to(&ctx.input_shape(0)?)?) } else { None };
    let gw = if ctx.needs(1) { Some(product(&flat.mt()?, &rows(&ctx.input(0)?)?)?) } else { None };
    let mut grads: Grads = smallvec![gx, gw];
    if ctx.needs(2) {
        // The sweep sums to the bias's shape.
        grads.push(Some(flat));
    }
    Ok(grads)
}

/// Through the row to the sums, and on from there.
fn linear_then(ctx: &Ctx<'_>, row: Row, g: Option<&Tensor>, sums: Option<&Tensor>) -> Result<Grads> {
    // The row's own rule sees the sums as its input.
    let slot = |s: u8| match s & !OUTPUT {
        _ if s & OUTPUT == 0 => None,
        0 => Some(OUTPUT),
        _ => Some(0),
    };
    let saved: SmallVec<[Unpacked; 2]> = ctx
        .saved
        .iter()
        .filter_map(|s| match s {
            Unpacked::Array(k, value, edge) => slot(*k).map(|k| Unpacked::Array(k, value.clone(), edge.clone())),
            _ => None,
        })
        .collect();
    let of_row = Ctx { op: &Op::Row(row), saved: &saved, needs: 1, metas: &ctx.metas[..1], ..*ctx };
    let through = match g {
        Some(g) => row::vjp(&of_row, row, g)?.pop().flatten(),
        None => None,
    };
    match (through, sums) {
        (Some(a), Some(b)) => linear(ctx, &a.add(b)?),
        (Some(g), None) => linear(ctx, &g),
        (None, Some(g)) => linear(ctx, g),
        (None, None) => Ok(Grads::new()),
    }
}

/// The same on values: three kernels and no tensors in between.
fn linear_kernels(ctx: &Ctx<'_>, g: &Value) -> Result<Option<Grads>> {
    let matrix = |v: &Value| {
        let columns = *v.layout.shape().last()?;
        (v.layout.is_contiguous() && columns > 0).then(|| exec::as_matrix(v, columns))
    };
    let Some(flat) = matrix(g) else { return Ok(None) };
    let mut grads: Grads = smallvec![None, None];
    if ctx.needs(0) {
        let Some(w) = ctx.input_value(1) else { return Ok(None) };
        let (gx, shape) = (Tensor::from_value(exec::product(&flat, w)?), ctx.input_shape(0)?);
        grads[0] = Some(if shape.len() == 2 { gx } else { gx.reshape_to(&shape)? });
    }
    if ctx.needs(1) {
        let Some(x) = ctx.input_value(0).and_then(matrix) else { return Ok(None) };
        grads[1] = Some(Tensor::from_value(exec::product(&exec::transposed(&flat), &x)?));
    }
    if ctx.needs(2) {
        let sum = Op::Reduce { kind: wengert_ops::Reduction::Sum, dims: 1, keepdim: false };
        grads.push(exec::run(&sum, &[flat])?.pop().map(Tensor::from_value));
    }
    Ok(Some(grads))
}

fn log_softmax_vjp(g: &Tensor, y: &Tensor, dims: &[isize]) -> Result<Tensor> {
    g.sub(&y.exp()?.mul(&g.sum(dims, true)?)?)
}

/// Which targets count, and all targets made safe to read with.
fn valid_targets(target: &Tensor, ignore: i64) -> Result<(Tensor, Tensor)> {
    let valid = target.ne(ignore)?;
    let safe = valid.where_(target, 0i64)?.unsqueeze(1)?;
    Ok((valid, safe))
}

fn cross_entropy(
    ctx: &Ctx<'_>,
    reduction: LossReduction,
    ignore: i64,
    loss: Option<&Tensor>,
    log: Option<&Tensor>,
) -> Result<Option<Tensor>> {
    if let (Some(g), None) = (loss, log) {
        let operands = [Some(g.value()), ctx.output_value(1).cloned(), ctx.input_value(1).cloned()];
        if let Some(gx) = kernel(ctx, &operands)? {
            return Ok(Some(gx));
        }
    }
    let y = ctx.output(1)?;
    let mut total = match log {
        Some(g) => Some(log_softmax_vjp(g, &y, &[1])?),
        None => None,
    };
    if let Some(g) = loss {
        let (valid, safe) = valid_targets(&ctx.input(1)?, ignore)?;
        let g = match reduction {
            LossReduction::Mean => g.div(&valid.to_dtype(g.dtype())?.sum(&[], false)?)?,
            LossReduction::Sum | LossReduction::None => g.clone(),
        };
        let weight = valid.where_(&g, 0.0)?.unsqueeze(1)?;
        let hits = Tensor::zeros(&y.shape(), y.dtype(), y.device())?.scatter(
            wengert_ops::ScatterMode::Add,
            1,
            &safe,
            &weight,
        )?;
        let gx = y.exp()?.mul(&weight)?.sub(&hits)?;
        total = Some(match total {
            Some(t) => t.add(&gx)?,
            None => gx,
        });
    }
    Ok(total)
}

/// With x̂ = (x − mean)/std: `(g − mean(g) − x̂ mean(g x̂))/std`, and the statistics' own gradients.
/// The dims of a mask, and how many elements they hold together.
fn folded(dims: u64, shape: &[usize]) -> (Vec<isize>, f64) {
    let list: Vec<isize> = (0..shape.len()).filter(|d| dims >> d & 1 == 1).map(|d| d as isize).collect();
    let count = list.iter().map(|&d| shape[d as usize]).product::<usize>();
    (list, count as f64)
}

/// `g · 2 (x − mean) / (n − correction) + g_mean / n`.
fn var_mean(
    ctx: &Ctx<'_>,
    (dims, keepdim): (u64, bool),
    correction: f64,
    g: Option<&Tensor>,
    g_mean: Option<&Tensor>,
) -> Result<Option<Tensor>> {
    let x = wide(&ctx.input(0)?)?;
    let shape = x.shape();
    let (list, count) = folded(dims, &shape);
    let spread = |t: &Tensor| -> Result<Tensor> {
        let mut t = wide(t)?;
        for &d in list.iter().filter(|_| !keepdim) {
            t = t.unsqueeze(d)?;
        }
        Ok(t)
    };
    let of_variance = match g {
        Some(g) => {
            let by = spread(g)?.mul(2.0 / (count - correction).max(0.0))?;
            Some(x.sub(&spread(&ctx.output(1)?)?)?.mul(&by)?)
        }
        None => None,
    };
    match (of_variance, g_mean) {
        (Some(v), Some(m)) => Ok(Some(v.add(&spread(m)?.div(count)?)?)),
        (None, Some(m)) => Ok(Some(spread(m)?.div(count)?.expand_to(&shape)?)),
        (v, None) => Ok(v),
    }
}

fn layer_norm(
    ctx: &Ctx<'_>,
    (dims, centred): (usize, bool),
    g: Option<&Tensor>,
    g_mean: Option<&Tensor>,
    g_rstd: Option<&Tensor>,
) -> Result<Grads> {
    let mut grads: Grads = smallvec![None, None, None];
    let x = ctx.input_value(0);
    let plain = !ctx.create && g_mean.is_none() && g_rstd.is_none();
    let kernel = |g: &Tensor, w: Option<&Value>| if plain { norm_kernel(ctx, g, w) } else { Ok(None) };
    let mut scaled = None;
    if let Some(g) = g {
        if let (true, Some(w)) = (ctx.needs & 0b11 != 0, ctx.input_value(1)) {
            if let Some(out) = kernel(g, Some(w))? {
                return Ok(written(out));
            }
        }
        let lead: Vec<isize> = (0..g.rank() - dims).map(|d| d as isize).collect();
        let over_rows = |t: Tensor| if lead.is_empty() { Ok(t) } else { t.sum(&lead, false) };
        let g = wide(g)?;
        if ctx.needs(2) {
            grads[2] = Some(over_rows(g.clone())?);
        }
        if ctx.needs(1) {
            let hat = wide(&ctx.input(0)?)?.sub(&wide(&ctx.output(1)?)?)?.mul(&wide(&ctx.output(2)?)?)?;
            grads[1] = Some(over_rows(g.mul(&hat)?)?);
        }
        scaled = Some(match ctx.input_value(1) {
            Some(_) => g.mul(&wide(&ctx.input(1)?)?)?,
            None => g,
        });
    }
    if ctx.needs(0) {
        let found = match &scaled {
            Some(g) if Some(g.dtype()) == x.map(|x| x.dtype) => kernel(g, None)?.and_then(|mut out| out.pop()),
            _ => None,
        };
        grads[0] = match found {
            Some(gx) => Some(Tensor::from_value(gx)),
            None => normalised(ctx, (dims, centred), scaled.as_ref(), g_mean, g_rstd)?,
        };
    }
    Ok(grads)
}

/// The gradient kernel of a norm, of its input x and, given the weight, of weight and bias: it reads x and the two
/// statistics that are outputs as well.
pub(super) fn norm_kernel(ctx: &Ctx<'_>, g: &Tensor, w: Option<&Value>) -> Result<Option<exec::Outputs>> {
    let (Some(x), Some(first), Some(second)) = (ctx.input_value(0), ctx.output_value(1), ctx.output_value(2)) else {
        return Ok(None);
    };
    let operands = [Some(&g.value()), Some(x), Some(first), Some(second), w];
    let operands: Vec<Value> = operands.into_iter().flatten().cloned().collect();
    let like = |v: &Value| (v.layout.fresh(), v.dtype);
    let outputs: Vec<_> = [Some(x), w, w].into_iter().flatten().map(like).collect();
    exec::fused_vjp(ctx.op, &operands, &outputs)
}

/// The gradient of x, of which x̂ = (x − mean) · rstd was made over these dims, from that of x̂: `rstd (g − mean(g) −
/// x̂ mean(g x̂))`, without `mean(g)` if not centred.
pub(super) fn through_norm(g: &Tensor, hat: &Tensor, rstd: &Tensor, over: &[isize], centred: bool) -> Result<Tensor> {
    let slope = hat.mul(&g.mul(hat)?.mean(over, true)?)?;
    let level = if centred { g.sub(&g.mean(over, true)?)? } else { g.clone() };
    level.sub(&slope)?.mul(rstd)
}

/// The sum of what there is.
pub(super) fn sum_of(parts: Vec<Tensor>) -> Result<Option<Tensor>> {
    let mut parts = parts.into_iter();
    let Some(first) = parts.next() else { return Ok(None) };
    parts.try_fold(first, |sum, part| sum.add(&part)).map(Some)
}

/// The gradient of what is normalised from those of the result, the mean and 1/std.
fn normalised(
    ctx: &Ctx<'_>,
    (dims, is_centred): (usize, bool),
    g: Option<&Tensor>,
    g_mean: Option<&Tensor>,
    g_rstd: Option<&Tensor>,
) -> Result<Option<Tensor>> {
    let (x, mean, rstd) = (wide(&ctx.input(0)?)?, wide(&ctx.output(1)?)?, wide(&ctx.output(2)?)?);
    let shape = x.shape();
    let list: Vec<isize> = (shape.len() - dims..shape.len()).map(|d| d as isize).collect();
    let count = shape[shape.len() - dims..].iter().product::<usize>() as f64;
    let centred = x.sub(&mean)?;
    let mut parts = Vec::new();
    if let Some(g) = g {
        parts.push(through_norm(&wide(g)?, &centred.mul(&rstd)?, &rstd, &list, is_centred)?);
    }
    if let Some(g) = g_mean {
        parts.push(wide(g)?.div(count)?.expand_to(&shape)?);
    }
    if let Some(g) = g_rstd {
        let cube = rstd.mul(&rstd)?.mul(&rstd)?;
        parts.push(wide(g)?.mul(&cube)?.div(-count)?.mul(&centred)?);
    }
    sum_of(parts)
}

/// Half precision is summed in f32.
pub(super) fn wide(x: &Tensor) -> Result<Tensor> {
    match x.dtype() {
        DType::F16 | DType::BF16 => x.to_dtype(DType::F32),
        _ => Ok(x.clone()),
    }
}

/// The outputs of a fused op as a composition of primitives.
pub(super) fn definition(op: &Op, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
    let narrow = |t: Tensor| t.to_dtype(inputs[0].dtype());
    match (op, inputs) {
        (&Op::Softmax { dim, log }, [x]) => Ok(vec![narrow(softmax(&wide(x)?, dim as isize, log)?)?]),
        (Op::Linear, [x, w, rest @ ..]) => {
            let y = product(&rows(x)?, &w.mt()?)?;
            let mut shape = x.shape();
            if let Some(last) = shape.last_mut() {
                *last = w.shape()[0];
            }
            let y = y.reshape_to(&shape)?;
            Ok(vec![match rest.first() {
                Some(b) => y.add(*b)?,
                None => y,
            }])
        }
        (&Op::LinearThen { row, keep }, _) => {
            let sums = definition(&Op::Linear, inputs)?.swap_remove(0);
            let y = run_row(row, &[Arg::Tensor(&sums)])?;
            Ok(if keep { vec![y, sums] } else { vec![y] })
        }
        (&Op::CrossEntropy { reduction, ignore_index }, [x, target]) => {
            let log = softmax(&wide(x)?, 1, true)?;
            let (valid, safe) = valid_targets(target, ignore_index)?;
            let terms = valid.where_(&log.gather(1, &safe)?.squeeze_dim(1)?.neg()?, 0.0)?;
            let loss = match reduction {
                LossReduction::None => terms,
                LossReduction::Sum => terms.sum(&[], false)?,
                LossReduction::Mean => terms.sum(&[], false)?.div(&valid.to_dtype(log.dtype())?.sum(&[], false)?)?,
            };
            Ok(vec![narrow(loss)?, narrow(log)?])
        }
        (&Op::VarMean { dims, keepdim, correction_bits }, [x]) => {
            let x = wide(x)?;
            let (list, count) = folded(dims, &x.shape());
            // A mean over no dims would be one over all.
            let mean = |t: &Tensor, keepdim| if list.is_empty() { Ok(t.clone()) } else { t.mean(&list, keepdim) };
            let centred = x.sub(&mean(&x, true)?)?;
            let freedom = (count - f64::from_bits(correction_bits)).max(0.0);
            let variance = mean(&centred.mul(&centred)?, keepdim)?.mul(count / freedom)?;
            Ok(vec![narrow(variance)?, narrow(mean(&x, keepdim)?)?])
        }
        (Op::LayerNorm { .. }, [x, w, rest @ ..]) => {
            let mut all = apply(op.clone(), &[&wide(x)?])?;
            let y = all[0].mul(&wide(w)?)?;
            all[0] = match rest.first() {
                Some(b) => y.add(&wide(b)?)?,
                None => y,
            };
            all.into_iter().map(narrow).collect()
        }
        (&Op::LayerNorm { dims, centred, eps_bits }, [x]) => {
            let x = wide(x)?;
            let rank = x.rank();
            let list: Vec<isize> = (rank - dims as usize..rank).map(|d| d as isize).collect();
            let mean = match centred {
                true => x.mean(&list, true)?,
                false => Tensor::zeros(&infer::layer_norm_shapes(&x.shape(), dims as usize)?.1, x.dtype(), x.device())?,
            };
            let centred = if centred { x.sub(&mean)? } else { x };
            let variance = centred.mul(&centred)?.mean(&list, true)?;
            let rstd = variance.add(Scalar::Float(f64::from_bits(eps_bits)))?.rsqrt()?;
            Ok(vec![narrow(centred.mul(&rstd)?)?, narrow(mean)?, narrow(rstd)?])
        }
        _ => fail!(internal, "{op:?} has no definition over {} inputs", inputs.len()),
    }
}

fn softmax(x: &Tensor, dim: isize, log: bool) -> Result<Tensor> {
    if x.numel() == 0 {
        return x.clone_();
    }
    // The shift cancels, so that it needs no gradient.
    let shifted = x.sub(&x.detach().amax(&[dim], true)?)?;
    let e = shifted.exp()?;
    let total = e.sum(&[dim], true)?;
    if log {
        shifted.sub(&total.log()?)
    } else {
        e.div(&total)
    }
}
