//! Elementwise kernels: every row of the table over arrays of any layout and dtype.
//!
//! [`kernels`] expands the table into loops over slices, [`movers`] bring everything else into that form,
//! [`exec`] cuts a call into blocks.

mod divisors;
mod exec;
mod gradient;
mod isa;
mod kernels;
mod movers;
mod plan;

pub use gradient::{elementwise_vjp_with, Pullback};
pub use isa::Isa;
pub(crate) use movers::Cell;

use crate::buffer::Buffer;
use exec::{run, Call};
use kernels::{Kernel, Lane};
use movers::Patch;
use std::mem::MaybeUninit;
use wengert_ops::rows::voc::i64::I64;
use wengert_ops::{Compute, DType, Error, Operand, Result, Row, View, ViewMut};

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
        Kernel::Value { apart: kernel, over } => {
            // SAFETY: arguments are as long as the output; the kernel's instruction set is this machine's.
            if out.dtype() == T::DTYPE && short::<T, T>(inputs, u8::MAX, out, |args, out| unsafe { kernel(args, out) })
            {
                return Ok(());
            }
            Call::Value { apart: kernel, over }
        }
        Kernel::Truth(kernel) => Call::Truth(kernel),
        Kernel::Absent => {
            return Err(Error::internal(format!("{} has no kernel that computes in {}", row.name(), T::DTYPE)))
        }
    };
    match inputs {
        [Operand::Array(x)] if row == Row::Copy && x.dtype.compute() == T::DTYPE.compute() => {
            // SAFETY: the caller's view, under the same promise.
            let out = unsafe { ViewMut::new(out.buffer(), out.layout(), out.dtype()) };
            crate::copy::copy(*x, out)
        }
        _ => {
            run(call, inputs, u8::MAX, out);
            Ok(())
        }
    }
}

/// Up to this many elements a call is [`short`].
pub const SHORT: usize = 32;

/// [`elementwise`] of at most [`SHORT`] elements, whose array operands need not be expanded: they broadcast to the
/// output's shape as they are. `false`: nothing was done, the call is no such call.
#[inline]
pub fn elementwise_short(
    row: Row,
    compute: Compute,
    inputs: &[Operand<'_, Buffer>],
    out: &ViewMut<'_, Buffer>,
) -> Result<bool> {
    fn value<T: Lane>(row: Row, inputs: &[Operand<'_, Buffer>], out: &ViewMut<'_, Buffer>) -> bool {
        match T::kernels(Isa::current()).rows[row as usize] {
            // SAFETY: arguments are as long as the output; the kernel's instruction set is this machine's.
            Kernel::Value { apart: kernel, .. } if out.dtype() == T::DTYPE => {
                short::<T, T>(inputs, u8::MAX, out, |args, out| unsafe { kernel(args, out) })
            }
            // SAFETY: as above.
            Kernel::Truth(kernel) if out.dtype() == DType::Bool => {
                short::<T, u8>(inputs, u8::MAX, out, |args, out| unsafe { kernel(args, out) })
            }
            _ => false,
        }
    }
    if inputs.len() != row.arity() {
        return Err(arity(row, inputs.len()));
    }
    Ok(match compute {
        Compute::F32 => value::<f32>(row, inputs, out),
        Compute::F64 => value::<f64>(row, inputs, out),
        // Integers have divisors to check, and narrower types to be cut to.
        Compute::I64 => false,
    })
}

/// Few elements, where every instruction around the kernel counts: operands that are not slices of `T` already are
/// gathered into blocks on the stack. `false`: not such a call.
#[inline]
fn short<T: Lane, O>(
    operands: &[Operand<'_, Buffer>],
    used: u8,
    out: &ViewMut<'_, Buffer>,
    kernel: impl FnOnce(&[&[T]], &mut [O]),
) -> bool {
    let layout = out.layout();
    let len = layout.numel();
    if len > SHORT || len == 0 || !layout.is_contiguous() {
        return false;
    }
    let mut blocks = [const { [MaybeUninit::<T>::uninit(); SHORT] }; plan::ARRAYS - 1];
    let mut args: [&[T]; plan::ARRAYS - 1] = [&[]; plan::ARRAYS - 1];
    // Backwards, because the last operand is always read: it stands in for those that are not.
    let mut previous: &[T] = &[];
    let mut k = operands.len();
    while k > 0 {
        k -= 1;
        let block = &mut blocks[k][..len];
        let elements = match &operands[k] {
            _ if used >> k & 1 == 0 => previous.as_ptr(),
            Operand::Scalar(scalar) => {
                block.fill(MaybeUninit::new(T::from_scalar(*scalar)));
                block.as_ptr().cast()
            }
            Operand::Array(view) => {
                let from = view.layout;
                let first = view.buffer.ptr().wrapping_add(from.offset() * view.dtype.size());
                let whole = from.is_contiguous() && from.numel() == len;
                let apart = !std::ptr::eq(view.buffer, out.buffer()) && !view.buffer.is_foreign();
                if whole && apart && view.dtype == T::DTYPE {
                    first.cast_const().cast()
                } else {
                    if whole {
                        let patch = Patch { len, step: 1, rows: 1, row_step: 0 };
                        // SAFETY: the view's elements lie in its buffer, and the block holds as many.
                        unsafe { movers::load(view.dtype, first, patch, block) };
                    } else if !gather(view, first, layout.shape(), block) {
                        return false;
                    }
                    block.as_ptr().cast()
                }
            }
        };
        // SAFETY: `len` elements of `T`, in a block just filled or in a buffer that nobody writes now.
        previous = unsafe { std::slice::from_raw_parts(elements, len) };
        args[k] = previous;
    }
    let first = out.buffer().ptr().cast::<O>().wrapping_add(layout.offset());
    // SAFETY: the layout lies in the buffer, no argument shares it, and the caller vouches for exclusivity.
    kernel(&args[..operands.len()], unsafe { std::slice::from_raw_parts_mut(first, len) });
    true
}

/// Reads a view, broadcast to `shape`, into a block row-major: the last two dims at a time.
fn gather<T: Lane>(view: &View<'_, Buffer>, first: *const u8, shape: &[usize], block: &mut [MaybeUninit<T>]) -> bool {
    const DIMS: usize = 6;
    let (rank, from) = (shape.len(), view.layout);
    if rank > DIMS || from.rank() > rank {
        return false;
    }
    // Both padded with leading 1s to `DIMS` dims.
    let (mut sizes, mut steps) = ([1usize; DIMS], [0isize; DIMS]);
    sizes[DIMS - rank..].copy_from_slice(shape);
    let lead = DIMS - from.rank();
    for (d, (&n, &s)) in from.shape().iter().zip(from.strides()).enumerate() {
        steps[lead + d] = if n == 1 { 0 } else { s };
    }
    let (rows, len) = (sizes[DIMS - 2], sizes[DIMS - 1]);
    let patch = Patch { len, step: steps[DIMS - 1], rows, row_step: steps[DIMS - 2] };
    if rank <= 2 {
        // SAFETY: as below, of the only part.
        unsafe { movers::load(view.dtype, first, patch, block) };
        return true;
    }
    let size = view.dtype.size() as isize;
    for (number, part) in block.chunks_exact_mut(rows * len).enumerate() {
        let (mut rest, mut at) = (number, 0);
        for d in (0..DIMS - 2).rev() {
            at += (rest % sizes[d]) as isize * steps[d];
            rest /= sizes[d];
        }
        // SAFETY: positions inside the view's layout, which lies in its buffer; the part holds rows · len elements.
        unsafe { movers::load(view.dtype, first.wrapping_offset(at * size), patch, part) };
    }
    true
}

#[cold]
fn arity(row: Row, given: usize) -> Error {
    Error::internal(format!("{} takes {} operands, {given} were given", row.name(), row.arity()))
}
