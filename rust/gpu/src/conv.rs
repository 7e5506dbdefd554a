//! conv.

use crate::context::Context;
use crate::memory::Buffer;
use wengert_ops::{ConvRole, ConvSpec, Error, Result, View, ViewMut};

type In<'a> = View<'a, Buffer>;
type Out<'a> = ViewMut<'a, Buffer>;

pub(crate) fn conv(
    _context: &'static Context,
    _role: ConvRole,
    _spec: &ConvSpec,
    _a: In<'_>,
    _b: In<'_>,
    _out: Out<'_>,
) -> Result<()> {
    Err(Error::not_implemented("conv: not on the GPU yet; move the tensor to device 'cpu'"))
}
