//! The rule of every elementwise row, from the partials that the table states.

use super::{Ctx, Grads, Saves};
use crate::dispatch::{row as run_row, Arg};
use crate::exec::{self, RowInput};
use crate::tensor::Tensor;
use crate::value::Value;
use smallvec::SmallVec;
use wengert_cpu::elementwise::Pullback;
use wengert_ops::rows::{Expr, Node};
use wengert_ops::{Layout, Result, Row, Scalar, View};

#[inline]
pub(crate) fn saves(row: Row, needs: u64) -> Saves {
    let kept = row.kept(needs);
    Saves { inputs: u64::from(kept.inputs), outputs: u64::from(kept.output) }
}

pub(crate) fn vjp(ctx: &Ctx<'_>, row: Row, g: &Tensor) -> Result<Grads> {
    let mut grads = Grads::new();
    for i in 0..row.arity() {
        grads.push(if ctx.needs(i) { partial(ctx, row, i, g)? } else { None });
    }
    Ok(grads)
}

fn partial(ctx: &Ctx<'_>, row: Row, which: usize, g: &Tensor) -> Result<Option<Tensor>> {
    let needs = row.needs(which);
    if !needs.defined {
        return Err(wengert_ops::Error::runtime(format!("derivative for {} is not implemented", row.name())));
    }
    match needs.constant {
        // Zero is sent, not nothing, so that the input's `.grad` exists as in PyTorch.
        Some(1.0) => return Ok(Some(g.clone())),
        Some(c) => {
            let factor = if c == -1.0 {
                run_row(Row::Neg, &[Arg::Tensor(g)])?
            } else {
                run_row(Row::Mul, &[Arg::Tensor(g), Arg::Scalar(Scalar::Float(c))])?
            };
            return Ok(Some(factor));
        }
        None => {}
    }
    if ctx.create {
        return taped(ctx, row, which, g).map(Some);
    }
    let (inputs, y) = operands(ctx, row);
    let (layout, dtype) = &ctx.metas[0];
    let out = exec::row_vjp(row, which, &inputs, y, &g.value(), layout, *dtype)?;
    Ok(Some(Tensor::from_value(out)))
}

/// The saved inputs and the output.
fn operands<'c>(ctx: &'c Ctx<'_>, row: Row) -> (SmallVec<[RowInput<'c>; 3]>, RowInput<'c>) {
    let inputs = (0..row.arity()).map(|i| match (ctx.input_value(i), ctx.scalar(i)) {
        (Some(v), _) => RowInput::Value(v),
        (None, Some(s)) => RowInput::Scalar(s),
        // No partial reads it that is asked for.
        (None, None) => RowInput::Scalar(Scalar::Float(1.0)),
    });
    (inputs.collect(), ctx.output_value(0).map_or(RowInput::Scalar(Scalar::Float(0.0)), RowInput::Value))
}

/// Runs `f` on what the gradient of an input is computed from, if that takes a kernel and all lies on the host.
pub(crate) fn pullback<R>(
    ctx: &Ctx<'_>,
    row: Row,
    which: usize,
    g: &Value,
    f: impl FnOnce(&Pullback<'_>) -> Result<R>,
) -> Result<Option<R>> {
    let needs = row.needs(which);
    if !needs.defined || needs.constant.is_some() {
        return Ok(None);
    }
    let ((mut all, y), (shape, dtype)) = (operands(ctx, row), &ctx.metas[0]);
    all.extend([y, RowInput::Value(g)]);
    let layouts: SmallVec<[Option<Layout>; 6]> = all.iter().map(|input| exec::expanded(input, shape)).collect();
    let mut operands: SmallVec<[wengert_ops::Operand<'_, wengert_cpu::Buffer>; 6]> = SmallVec::new();
    for (input, layout) in all.iter().zip(&layouts) {
        operands.push(match input {
            RowInput::Scalar(s) => wengert_ops::Operand::Scalar(*s),
            RowInput::Value(v) => {
                let Some(buffer) = v.buffer.host() else { return Ok(None) };
                wengert_ops::Operand::Array(View {
                    buffer,
                    layout: layout.as_ref().unwrap_or(&v.layout),
                    dtype: v.dtype,
                })
            }
        });
    }
    let (inputs, y, g) = (&operands[..row.arity()], operands[row.arity()], operands[row.arity() + 1]);
    f(&Pullback { row, which, compute: dtype.compute(), inputs, y, g }).map(Some)
}

/// The partial as taped operations, from its symbolic reading.
fn taped(ctx: &Ctx<'_>, row: Row, which: usize, g: &Tensor) -> Result<Tensor> {
    let partial = row.expr().partials[which];
    let dtype = ctx.metas[0].1;
    let inputs = (0..row.arity())
        .map(|i| match ctx.scalar(i) {
            Some(s) => Ok(Some(Operand::Scalar(s.as_f64()))),
            None if ctx.input_value(i).is_some() => {
                let x = ctx.input(i)?;
                // Integer operands of a promoted row take part as floats.
                Ok(Some(Operand::Tensor(if x.dtype().is_float() { x } else { x.to_dtype(dtype)? })))
            }
            None => Ok(None),
        })
        .collect::<Result<SmallVec<[_; 4]>>>()?;
    let y = match ctx.output_value(0) {
        Some(_) => Some(Operand::Tensor(ctx.output(0)?)),
        None => None,
    };
    let value = evaluate(partial, &inputs, &y)?;
    match value {
        Operand::Scalar(c) => run_row(Row::Mul, &[Arg::Tensor(g), c.into()]),
        // A condition lets the gradient pass or stops it, so that NaN · 0 cannot arise.
        Operand::Tensor(t) if partial.is_mask() => {
            run_row(Row::Where, &[Arg::Tensor(&t), Arg::Tensor(g), Arg::Scalar(Scalar::Float(0.0))])
        }
        Operand::Tensor(t) => run_row(Row::Mul, &[Arg::Tensor(g), Arg::Tensor(&t)]),
    }
}

#[derive(Clone)]
enum Operand {
    Scalar(f64),
    Tensor(Tensor),
}

impl Operand {
    fn arg(&self) -> Arg<'_> {
        match self {
            Operand::Scalar(c) => Arg::Scalar(Scalar::Float(*c)),
            Operand::Tensor(t) => Arg::Tensor(t),
        }
    }
}

fn evaluate(e: Expr, inputs: &[Option<Operand>], y: &Option<Operand>) -> Result<Operand> {
    let missing = || wengert_ops::Error::internal("a partial reads an operand that was not saved");
    Ok(match e.node() {
        Node::Arg(i) => inputs[*i as usize].clone().ok_or_else(missing)?,
        Node::Y => y.clone().ok_or_else(missing)?,
        Node::Const(c) => Operand::Scalar(*c),
        Node::Call(row, args) => {
            let values = args.iter().map(|a| evaluate(*a, inputs, y)).collect::<Result<SmallVec<[_; 3]>>>()?;
            if values.iter().all(|v| matches!(v, Operand::Scalar(_))) {
                let numbers: SmallVec<[f64; 3]> =
                    values.iter().map(|v| if let Operand::Scalar(c) = v { *c } else { 0.0 }).collect();
                return Ok(Operand::Scalar(row.eval(&numbers)));
            }
            if *row == Row::Where {
                if let Operand::Scalar(c) = &values[0] {
                    return Ok(values[if *c != 0.0 { 1 } else { 2 }].clone());
                }
                if let (Operand::Scalar(a), Operand::Scalar(b)) = (&values[1], &values[2]) {
                    // Both branches are numbers: their dtype must come from somewhere.
                    let like = inputs.iter().flatten().chain(y.iter()).find_map(|o| match o {
                        Operand::Tensor(t) if t.dtype().is_float() => Some(t.dtype()),
                        _ => None,
                    });
                    let dtype = like.unwrap_or(crate::mode::default_float());
                    let a = Tensor::scalar(Scalar::Float(*a), dtype)?;
                    return Ok(Operand::Tensor(run_row(
                        Row::Where,
                        &[values[0].arg(), Arg::Tensor(&a), Arg::Scalar(Scalar::Float(*b))],
                    )?));
                }
            }
            let args: SmallVec<[Arg<'_>; 3]> = values.iter().map(|v| v.arg()).collect();
            Operand::Tensor(run_row(*row, &args)?)
        }
    })
}
