//! What integer rows refuse before any kernel runs.

use super::movers;
use super::plan::{Plan, BLOCK};
use crate::buffer::Buffer;
use std::mem::MaybeUninit;
use wengert_ops::{contract, Operand, Result, Row, View};

/// Zero divisors and negative powers by a number, in PyTorch's words.
pub fn check(row: Row, inputs: &[Operand<'_, Buffer>]) -> Result<()> {
    contract::integers(row, inputs, |view| Ok(any_zero(view)))
}

fn any_zero(view: View<'_, Buffer>) -> bool {
    let total = view.layout.numel();
    if total == 0 {
        return false;
    }
    let plan = Plan::new(view.layout.shape(), &[Some(view.layout)]);
    let first = view.buffer.ptr().wrapping_add(view.layout.offset() * view.dtype.size());
    let size = view.dtype.size() as isize;
    let mut block = [MaybeUninit::<u8>::uninit(); BLOCK];
    (0..total).step_by(BLOCK).any(|at| {
        let len = BLOCK.min(total - at);
        plan.patches(&plan.place(at), 0, len, |offset, patch, done| {
            // SAFETY: patches lie in the view's layout, which lies in its buffer; nobody writes meanwhile.
            unsafe { movers::load(view.dtype, first.wrapping_offset(offset * size), patch, &mut block[done..]) };
        });
        // SAFETY: the patches filled `len` elements.
        let truths = unsafe { std::slice::from_raw_parts(block.as_ptr().cast::<u8>(), len) };
        truths.contains(&0)
    })
}
