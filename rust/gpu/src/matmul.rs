//! matmul.

use crate::context::Context;
use crate::memory::Buffer;
use wengert_ops::{Error, Result, View, ViewMut};

type In<'a> = View<'a, Buffer>;
type Out<'a> = ViewMut<'a, Buffer>;

pub(crate) fn matmul(
    _context: &'static Context,
    _a: In<'_>,
    _b: In<'_>,
    _accumulate: bool,
    _out: Out<'_>,
) -> Result<()> {
    Err(Error::not_implemented("matmul: not on the GPU yet; move the tensor to device 'cpu'"))
}
