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
pub(crate) use kernels::{Kernel, Lane, Value};
pub(crate) use movers::Cell;

use crate::buffer::Buffer;
use exec::{run, Call};
use movers::Patch;
use std::mem::MaybeUninit;
use wengert_ops::rows::voc::i64::I64;
use wengert_ops::{Compute, DType, Error, Layout, Operand, Result, Row, View, ViewMut};

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
            if out.dtype() == T::DTYPE
                && short::<T, T>(inputs.len(), |k| &inputs[k], u8::MAX, out, |args, out| unsafe { kernel(args, out) })
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
pub fn elementwise_short<const N: usize>(
    row: Row,
    compute: Compute,
    inputs: &[Operand<'_, Buffer>; N],
    out: &ViewMut<'_, Buffer>,
) -> Result<bool> {
    // The loops over operands are written out for each number of them.
    fn value<T: Lane, const N: usize>(row: Row, inputs: &[Operand<'_, Buffer>; N], out: &ViewMut<'_, Buffer>) -> bool {
        match T::kernels(Isa::current()).rows[row as usize] {
            // SAFETY: arguments are as long as the output; the kernel's instruction set is this machine's.
            Kernel::Value { apart: kernel, .. } if out.dtype() == T::DTYPE => {
                short::<T, T>(inputs.len(), |k| &inputs[k], u8::MAX, out, |args, out| unsafe { kernel(args, out) })
            }
            // SAFETY: as above.
            Kernel::Truth(kernel) if out.dtype() == DType::Bool => {
                short::<T, u8>(inputs.len(), |k| &inputs[k], u8::MAX, out, |args, out| unsafe { kernel(args, out) })
            }
            _ => false,
        }
    }
    if N != row.arity() {
        return Err(arity(row, N));
    }
    Ok(match compute {
        Compute::F32 => value::<f32, N>(row, inputs, out),
        Compute::F64 => value::<f64, N>(row, inputs, out),
        // Integers have divisors to check, and narrower types to be cut to.
        Compute::I64 => false,
    })
}

/// Few elements, where every instruction around the kernel counts: of `count` operands those in `used` that are not
/// slices of `T` already are gathered into blocks on the stack. `false`: not such a call.
#[inline(always)]
fn short<'a, T: Lane, O>(
    count: usize,
    operand: impl Fn(usize) -> &'a Operand<'a, Buffer>,
    used: u8,
    out: &ViewMut<'_, Buffer>,
    kernel: impl FnOnce(&[&[T]], &mut [O]),
) -> bool {
    const MOST: usize = plan::ARRAYS - 1;
    let layout = out.layout();
    let len = layout.numel();
    if len > SHORT || len == 0 || !layout.is_contiguous() || count > MOST {
        return false;
    }
    let mut blocks = [const { [MaybeUninit::<T>::uninit(); SHORT] }; MOST];
    let mut args = [const { MaybeUninit::<&[T]>::uninit() }; MOST];
    // Backwards, because the last operand is always read: it stands in for those that are not.
    let mut previous: &[T] = &[];
    for k in (0..count).rev() {
        if used >> k & 1 == 1 {
            let elements = match operand(k) {
                Operand::Array(view) if is_slice::<T>(view, len, out) => {
                    view.buffer.ptr().cast_const().cast::<T>().wrapping_add(view.layout.offset())
                }
                other if gathered(other, layout, &mut blocks[k], len) => blocks[k].as_ptr().cast(),
                _ => return false,
            };
            // SAFETY: `len` elements of `T`, in a block just filled or in a buffer that nobody writes now.
            previous = unsafe { std::slice::from_raw_parts(elements, len) };
        }
        args[k].write(previous);
    }
    let first = out.buffer().ptr().cast::<O>().wrapping_add(layout.offset());
    // SAFETY: as many arguments as there are operands were written above.
    let args = unsafe { std::slice::from_raw_parts(args.as_ptr().cast::<&[T]>(), count) };
    // SAFETY: the layout lies in the buffer, no argument shares it, and the caller vouches for exclusivity.
    kernel(args, unsafe { std::slice::from_raw_parts_mut(first, len) });
    true
}

/// Whether a kernel may read a view where it stands, while it writes `out`.
#[inline(always)]
fn is_slice<T: Lane>(view: &View<'_, Buffer>, len: usize, out: &ViewMut<'_, Buffer>) -> bool {
    view.dtype == T::DTYPE
        && view.layout.is_contiguous()
        && view.layout.numel() == len
        && !std::ptr::eq(view.buffer, out.buffer())
        && !view.buffer.is_foreign()
}

/// Brings an operand, broadcast to the output's layout, into the first `len` places of a block; `false` if it has too
/// many dims.
#[inline]
fn gathered<T: Lane>(
    operand: &Operand<'_, Buffer>,
    out: &Layout,
    block: &mut [MaybeUninit<T>; SHORT],
    len: usize,
) -> bool {
    match operand {
        Operand::Scalar(scalar) => {
            const WIDE: usize = 8;
            let value = MaybeUninit::new(T::from_scalar(*scalar));
            // Wide stores beyond the end rather than a loop to it.
            for part in block.as_chunks_mut::<WIDE>().0.iter_mut().take(len.div_ceil(WIDE)) {
                *part = [value; WIDE];
            }
            true
        }
        Operand::Array(view) => loaded(view, out, block, len),
    }
}

#[inline(never)]
fn loaded<T: Lane>(view: &View<'_, Buffer>, out: &Layout, block: &mut [MaybeUninit<T>; SHORT], len: usize) -> bool {
    let first = view.buffer.ptr().wrapping_add(view.layout.offset() * view.dtype.size());
    if !view.layout.is_contiguous() || view.layout.numel() != len {
        return gather(view, first, out.shape(), &mut block[..len]);
    }
    if view.dtype == T::DTYPE {
        // SAFETY: as below; the block is on the stack.
        unsafe { std::ptr::copy_nonoverlapping(first, block.as_mut_ptr().cast(), len * size_of::<T>()) };
    } else {
        let patch = Patch { len, step: 1, rows: 1, row_step: 0 };
        // SAFETY: the view's elements lie in its buffer, and the block holds as many.
        unsafe { movers::load(view.dtype, first, patch, &mut block[..len]) };
    }
    true
}

/// Reads a view, broadcast to `shape`, into a block row-major: the last two dims at a time.
#[inline(never)]
fn gather<T: Lane>(view: &View<'_, Buffer>, first: *const u8, shape: &[usize], block: &mut [MaybeUninit<T>]) -> bool {
    const DIMS: usize = 6;
    let (rank, from) = (shape.len(), view.layout);
    if rank > DIMS || from.rank() > rank {
        return false;
    }
    // The step along a dim counted from the last, and the output's size there.
    let step = |back: usize| match from.rank().checked_sub(back + 1) {
        Some(d) if from.shape()[d] != 1 => from.strides()[d],
        _ => 0,
    };
    let size = |back: usize| rank.checked_sub(back + 1).map_or(1, |d| shape[d]);
    let (rows, len) = (size(1), size(0));
    let patch = Patch { len, step: step(0), rows, row_step: step(1) };
    if rank <= 2 {
        // SAFETY: as below, of the only part.
        unsafe { movers::load(view.dtype, first, patch, block) };
        return true;
    }
    let (sizes, steps): ([usize; DIMS], [isize; DIMS]) = (std::array::from_fn(size), std::array::from_fn(step));
    let bytes = view.dtype.size() as isize;
    for (number, part) in block.chunks_exact_mut(rows * len).enumerate() {
        let (mut rest, mut at) = (number, 0);
        for d in 2..rank {
            at += (rest % sizes[d]) as isize * steps[d];
            rest /= sizes[d];
        }
        // SAFETY: positions inside the view's layout, which lies in its buffer; the part holds rows · len elements.
        unsafe { movers::load(view.dtype, first.wrapping_offset(at * bytes), patch, part) };
    }
    true
}

#[cold]
fn arity(row: Row, given: usize) -> Error {
    Error::internal(format!("{} takes {} operands, {given} were given", row.name(), row.arity()))
}
