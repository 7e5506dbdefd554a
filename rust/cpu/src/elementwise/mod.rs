//! Elementwise kernels: every row of the table over arrays of any layout and dtype.
//!
//! [`kernels`] expands the table into loops over slices, [`movers`] bring everything else into that form,
//! [`exec`] cuts a call into blocks.

mod divisors;
mod exec;
mod isa;
mod kernels;
mod movers;
mod plan;

pub use isa::Isa;
pub(crate) use movers::Cell;

use crate::buffer::Buffer;
use exec::{run, Call};
use kernels::{Kernel, Lane};
use wengert_ops::rows::voc::i64::I64;
use wengert_ops::{Compute, DType, Error, Operand, Result, Row, ViewMut};

/// `out = row(inputs…)`, computed in `compute`. Array operands have the output's shape; one that shares
/// memory with the output has its layout and dtype.
pub fn elementwise(row: Row, compute: Compute, inputs: &[Operand<'_, Buffer>], out: ViewMut<'_, Buffer>) -> Result<()> {
    elementwise_with(Isa::current(), row, compute, inputs, out)
}

/// [`elementwise`] with the kernels of one instruction set, which this machine must have.
pub fn elementwise_with(
    isa: Isa,
    row: Row,
    compute: Compute,
    inputs: &[Operand<'_, Buffer>],
    out: ViewMut<'_, Buffer>,
) -> Result<()> {
    if inputs.len() != row.arity() {
        return Err(arity(row, inputs.len()));
    }
    match compute {
        Compute::F32 => value::<f32>(isa, row, inputs, &out),
        Compute::F64 => value::<f64>(isa, row, inputs, &out),
        Compute::I64 => {
            divisors::check(row, inputs)?;
            // All bits of a bool are its one truth value.
            let row = if row == Row::BitwiseNot && out.dtype() == DType::Bool { Row::LogicalNot } else { row };
            value::<I64>(isa, row, inputs, &out)
        }
    }
}

#[inline]
fn value<T: Lane>(isa: Isa, row: Row, inputs: &[Operand<'_, Buffer>], out: &ViewMut<'_, Buffer>) -> Result<()> {
    let call = match T::kernels(isa).rows[row as usize] {
        Kernel::Value(kernel) => {
            if short(kernel, inputs, out) {
                return Ok(());
            }
            Call::Value(kernel)
        }
        Kernel::Truth(kernel) => Call::Truth(kernel),
        Kernel::Absent => {
            return Err(Error::internal(format!("{} has no kernel that computes in {}", row.name(), T::DTYPE)))
        }
    };
    run(call, inputs, u8::MAX, out);
    Ok(())
}

/// Short contiguous arrays of the kernel's own type, where every instruction around it counts.
#[inline]
fn short<T: Lane>(kernel: kernels::Value<T>, inputs: &[Operand<'_, Buffer>], out: &ViewMut<'_, Buffer>) -> bool {
    const SHORT: usize = 32;
    let layout = out.layout();
    let len = layout.numel();
    if len > SHORT || len == 0 || out.dtype() != T::DTYPE || !layout.is_contiguous() {
        return false;
    }
    let mut constants = [[std::mem::MaybeUninit::<T>::uninit(); SHORT]; 2];
    let mut free = constants.iter_mut();
    let mut args: [&[T]; 4] = [&[]; 4];
    for (arg, operand) in args.iter_mut().zip(inputs) {
        *arg = match operand {
            Operand::Array(view)
                if view.dtype == T::DTYPE
                    && view.layout.is_contiguous()
                    && !std::ptr::eq(view.buffer, out.buffer())
                    && !view.buffer.is_foreign() =>
            {
                let first = view.buffer.ptr().cast_const().cast::<T>().wrapping_add(view.layout.offset());
                // SAFETY: the layout lies in the buffer, whose elements are `T`, and nobody writes them now.
                unsafe { std::slice::from_raw_parts(first, len) }
            }
            Operand::Scalar(scalar) => {
                let Some(block) = free.next() else { return false };
                let block = &mut block[..len];
                block.fill(std::mem::MaybeUninit::new(T::from_scalar(*scalar)));
                // SAFETY: just filled.
                unsafe { std::slice::from_raw_parts(block.as_ptr().cast(), len) }
            }
            _ => return false,
        };
    }
    let first = out.buffer().ptr().cast::<T>().wrapping_add(layout.offset());
    // SAFETY: the layout lies in the buffer, which no input shares; the caller vouches for exclusivity.
    // The kernel's instruction set is this machine's.
    unsafe { kernel(&args[..inputs.len()], std::slice::from_raw_parts_mut(first, len)) };
    true
}

/// `out = g * ∂row/∂inputs[which]`, where `y` is the row's value. Only what the partial reads
/// ([`Row::needs`]) is looked at.
pub fn elementwise_vjp(
    row: Row,
    which: usize,
    compute: Compute,
    inputs: &[Operand<'_, Buffer>],
    y: Operand<'_, Buffer>,
    g: Operand<'_, Buffer>,
    out: ViewMut<'_, Buffer>,
) -> Result<()> {
    elementwise_vjp_with(Isa::current(), row, which, compute, inputs, y, g, out)
}

/// [`elementwise_vjp`] with the kernels of one instruction set, which this machine must have.
#[allow(clippy::too_many_arguments)]
pub fn elementwise_vjp_with(
    isa: Isa,
    row: Row,
    which: usize,
    compute: Compute,
    inputs: &[Operand<'_, Buffer>],
    y: Operand<'_, Buffer>,
    g: Operand<'_, Buffer>,
    out: ViewMut<'_, Buffer>,
) -> Result<()> {
    if inputs.len() != row.arity() || which >= inputs.len() {
        return Err(arity(row, inputs.len()));
    }
    match compute {
        Compute::F32 => vjp::<f32>(isa, row, which, inputs, y, g, &out),
        Compute::F64 => vjp::<f64>(isa, row, which, inputs, y, g, &out),
        Compute::I64 => Err(Error::internal(format!("{}: gradients are not integers", row.name()))),
    }
}

fn vjp<T: Lane>(
    isa: Isa,
    row: Row,
    which: usize,
    inputs: &[Operand<'_, Buffer>],
    y: Operand<'_, Buffer>,
    g: Operand<'_, Buffer>,
    out: &ViewMut<'_, Buffer>,
) -> Result<()> {
    let Some(&kernel) = T::kernels(isa).vjps[row as usize].get(which) else {
        return Err(Error::runtime(format!(
            "the derivative for '{}' is not implemented; compute it from differentiable functions, or detach its inputs",
            row.name()
        )));
    };
    let needs = row.needs(which);
    let count = inputs.len();
    let mut operands = [g; plan::ARRAYS - 1];
    operands[..count].copy_from_slice(inputs);
    operands[count] = y;
    let used = needs.inputs | (needs.output as u8) << count | 1 << (count + 1);
    run(Call::Vjp(kernel), &operands[..count + 2], used, out);
    Ok(())
}

#[cold]
fn arity(row: Row, given: usize) -> Error {
    Error::internal(format!("{} takes {} operands, {given} were given", row.name(), row.arity()))
}
