//! fused.

use crate::context::Context;
use crate::memory::Buffer;
use wengert_ops::{Error, Op, Result, View, ViewMut};

type In<'a> = View<'a, Buffer>;
type Out<'a> = ViewMut<'a, Buffer>;

pub(crate) fn fused(_context: &'static Context, _op: &Op, _inputs: &[In<'_>], _outputs: &[Out<'_>]) -> Result<bool> {
    Err(Error::not_implemented("fused: not on the GPU yet; move the tensor to device 'cpu'"))
}

pub(crate) fn fused_vjp(
    _context: &'static Context,
    _op: &Op,
    _inputs: &[In<'_>],
    _outputs: &[Out<'_>],
) -> Result<bool> {
    Err(Error::not_implemented("fused_vjp: not on the GPU yet; move the tensor to device 'cpu'"))
}
