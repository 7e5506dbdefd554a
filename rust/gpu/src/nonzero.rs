//! nonzero.

use crate::context::Context;
use crate::memory::Buffer;
use wengert_ops::{Error, Result, View};

type In<'a> = View<'a, Buffer>;

pub(crate) fn nonzero(_context: &'static Context, _x: In<'_>) -> Result<(Buffer, usize)> {
    Err(Error::not_implemented("nonzero: not on the GPU yet; move the tensor to device 'cpu'"))
}
