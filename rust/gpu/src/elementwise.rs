//! Elementwise calls: every row of the table, its gradients, copies and fills, over arrays of any layout and dtype.
//!
//! A call becomes a [`Step`] in the queue; its kernel is made when the queue is submitted, for it alone or for a chain.

use crate::chain::{Arg, Array, Plan, Step};
use crate::context::Context;
use crate::memory::Buffer;
use crate::recipe::Rule;
use crate::reduce::reduce;
use crate::shader::{num_of, own_num, Num};
use crate::stream::Task;
use crate::walk::moved;
use smallvec::SmallVec;
use std::sync::Arc;
use wengert_ops::{contract, Compute, DType, Error, Layout, Operand, Reduction, Result, Row, Scalar, View, ViewMut};

type In<'a> = Operand<'a, Buffer>;

/// Sizes and, by array, strides, after merging dimensions: `sizes[d]` belongs to `strides[array][d]`.
pub(crate) struct Dims {
    pub sizes: SmallVec<[usize; 8]>,
    pub strides: SmallVec<[SmallVec<[isize; 8]>; 4]>,
}

/// Merges neighbouring dimensions that every layout of the shape walks through in one go, and drops those of size 1.
pub(crate) fn merged(shape: &[usize], layouts: &[&Layout]) -> Dims {
    let mut sizes: SmallVec<[usize; 8]> = SmallVec::new();
    let mut strides: SmallVec<[SmallVec<[isize; 8]>; 4]> = layouts.iter().map(|_| SmallVec::new()).collect();
    for (d, &n) in shape.iter().enumerate() {
        if n == 1 {
            continue;
        }
        let follows = !sizes.is_empty()
            && layouts.iter().zip(&strides).all(|(l, s)| s[sizes.len() - 1] == l.strides()[d].wrapping_mul(n as isize));
        if follows {
            let last = sizes.len() - 1;
            sizes[last] *= n;
            for (l, s) in layouts.iter().zip(&mut strides) {
                s[last] = l.strides()[d];
            }
        } else {
            sizes.push(n);
            for (l, s) in layouts.iter().zip(&mut strides) {
                s.push(l.strides()[d]);
            }
        }
    }
    Dims { sizes, strides }
}

/// Queues `out = rule(operands…)`, computed in `num`, which gives a `result`. Operands that `used` lacks are not read.
pub(crate) fn map(
    context: &'static Context,
    rule: Rule,
    num: Num,
    operands: &[In<'_>],
    used: u32,
    out: &ViewMut<'_, Buffer>,
    result: Num,
) -> Result<()> {
    if out.layout().numel() == 0 {
        return Ok(());
    }
    let mut taken: SmallVec<[Arg; 4]> = SmallVec::new();
    for (k, operand) in operands.iter().enumerate() {
        taken.push(match operand {
            _ if used >> k & 1 == 0 => Arg::Nothing,
            Operand::Scalar(number) => Arg::Number(*number),
            Operand::Array(view) if view.layout.shape() != out.layout().shape() => {
                return Err(Error::internal(format!("{}: operands of different shapes", rule.name())));
            }
            Operand::Array(view) => {
                Arg::Array(Array { buffer: view.buffer.clone(), layout: view.layout.clone(), dtype: view.dtype })
            }
        });
    }
    let out = Array { buffer: out.buffer().clone(), layout: out.layout().clone(), dtype: out.dtype() };
    queue(context, Step { rule, num, result, operands: taken, out })
}

/// Queues a step: as it is where nothing about it is unusual, else as kernels that are made at once, errors included.
fn queue(context: &'static Context, step: Step) -> Result<()> {
    if step.is_usual(context) {
        return context.push(Task::Step(step));
    }
    match Plan::of(context, &[&step], &[true])? {
        Some(plan) => {
            let dispatch = plan.single(context)?;
            context.push(Task::Dispatch(dispatch))
        }
        None => step.parts().try_for_each(|part| queue(context, part)),
    }
}

fn dtypes<'a>(inputs: &'a [In<'_>], out: DType) -> impl Iterator<Item = DType> + 'a {
    let arrays = inputs.iter().filter_map(|o| match o {
        Operand::Array(v) => Some(v.dtype),
        Operand::Scalar(_) => None,
    });
    arrays.chain([out])
}

/// A number that 32 bits hold is computed with in them.
fn wide(inputs: &[In<'_>]) -> bool {
    inputs.iter().any(|o| match o {
        Operand::Scalar(Scalar::Int(i)) => i32::try_from(*i).is_err(),
        Operand::Scalar(Scalar::Float(f)) => f.abs() > f64::from(i32::MAX),
        _ => false,
    })
}

/// `out = row(inputs…)`, as [`Backend::elementwise`](wengert_ops::Backend::elementwise).
pub(crate) fn elementwise(
    context: &'static Context,
    row: Row,
    compute: Compute,
    inputs: &[In<'_>],
    out: ViewMut<'_, Buffer>,
) -> Result<()> {
    if inputs.len() != row.arity() {
        return Err(Error::internal(format!("{} takes {} operands", row.name(), row.arity())));
    }
    if compute == Compute::I64 {
        contract::integers(row, inputs, |view| any_zero(context, view))?;
    }
    let num = match num_of(compute, dtypes(inputs, out.dtype())) {
        // The product of two of 32 bits may need more before its sign is dropped.
        Num::I32 if row == Row::Lcm || wide(inputs) => Num::I64,
        num => num,
    };
    let row = if row == Row::BitwiseNot && out.dtype() == DType::Bool { Row::LogicalNot } else { row };
    let result = if row.is_truth() { Num::I32 } else { num };
    map(context, Rule::Row(row), num, inputs, u32::MAX, &out, result)
}

/// Whether an integer array holds a zero: read back, since an error must come before the result.
fn any_zero(context: &'static Context, view: View<'_, Buffer>) -> Result<bool> {
    if view.layout.numel() == 0 {
        return Ok(false);
    }
    let flag = Buffer(context.allocate(4)?);
    let one = Layout::contiguous(&[]);
    // SAFETY: fresh.
    let out = unsafe { ViewMut::new(&flag, &one, DType::Bool) };
    let dims = if view.layout.rank() == 64 { u64::MAX } else { (1 << view.layout.rank()) - 1 };
    reduce(context, Reduction::All, view, dims, out)?;
    let mut all = [0];
    context.download(&flag.0, 0, &mut all)?;
    Ok(all == [0])
}

/// `out = g · ∂row/∂inputs[which]`, as
/// [`Backend::elementwise_vjp`](wengert_ops::Backend::elementwise_vjp).
#[allow(clippy::too_many_arguments)]
pub(crate) fn elementwise_vjp(
    context: &'static Context,
    row: Row,
    which: usize,
    compute: Compute,
    inputs: &[In<'_>],
    y: In<'_>,
    g: In<'_>,
    out: ViewMut<'_, Buffer>,
) -> Result<()> {
    if row.expr().partials.get(which).is_none() {
        return Err(contract::no_derivative(row));
    }
    if inputs.len() != row.arity() {
        return Err(Error::internal(format!("{} takes {} operands", row.name(), row.arity())));
    }
    let num = match compute {
        Compute::F32 => Num::F32,
        Compute::F64 => Num::F64,
        Compute::I64 => return Err(Error::internal(format!("{}: gradients are not integers", row.name()))),
    };
    let needs = row.needs(which);
    let count = inputs.len();
    let mut operands: SmallVec<[In<'_>; 6]> = SmallVec::from_slice(inputs);
    operands.push(y);
    operands.push(g);
    let used = u32::from(needs.inputs) | (needs.output as u32) << count | 1 << (count + 1);
    map(context, Rule::Partial(row, which as u8), num, &operands, used, &out, num)
}

/// Elementwise copy with conversion; bytes that stay as they are need no kernel.
pub(crate) fn copy(context: &'static Context, src: View<'_, Buffer>, dst: ViewMut<'_, Buffer>) -> Result<()> {
    let size = src.dtype.size();
    let bytes = src.layout.numel() * size;
    let (at, to_at) = (src.layout.offset() * size, dst.layout().offset() * size);
    let plain = src.dtype == dst.dtype() && src.layout.is_contiguous() && dst.layout().is_contiguous();
    let apart = !Arc::ptr_eq(&src.buffer.0, &dst.buffer().0);
    if plain
        && apart
        && src.layout.shape() == dst.layout().shape()
        && (bytes | at | to_at).is_multiple_of(4)
        && bytes > 0
    {
        let (from, to) = (src.buffer.0.clone(), dst.buffer().0.clone());
        return context.push(Task::Copy { from, at: at as u64, to, to_at: to_at as u64, bytes: bytes as u64 });
    }
    let dtype = moved(src.dtype);
    if src.dtype == DType::F64 && dst.dtype() == DType::F64 && !context.has_f64() {
        // SAFETY: the caller's view, under the same promise.
        let bits = unsafe { ViewMut::new(dst.buffer(), dst.layout(), dtype) };
        return copy(context, View { dtype, ..src }, bits);
    }
    let num = own_num(src.dtype);
    map(context, Rule::Copy, num, &[Operand::Array(src)], 1, &dst, num)
}

/// Fills with a number.
pub(crate) fn fill(context: &'static Context, value: Scalar, dst: ViewMut<'_, Buffer>) -> Result<()> {
    if dst.dtype() == DType::F64 && !context.has_f64() {
        let bits = Scalar::Int(value.as_f64().to_bits() as i64);
        // SAFETY: the caller's view, under the same promise.
        return fill(context, bits, unsafe { ViewMut::new(dst.buffer(), dst.layout(), moved(DType::F64)) });
    }
    // A fraction or an infinity is true as well, which the number type of bools would cut off.
    let value = if dst.dtype() == DType::Bool { Scalar::Int(value.as_bool() as i64) } else { value };
    let num = own_num(dst.dtype());
    map(context, Rule::Fill, num, &[Operand::Scalar(value)], 1, &dst, num)
}
