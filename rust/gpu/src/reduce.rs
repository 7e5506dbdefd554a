//! reduce.

use crate::context::Context;
use crate::memory::Buffer;
use wengert_ops::{Error, Reduction, Result, View, ViewMut};

type In<'a> = View<'a, Buffer>;
type Out<'a> = ViewMut<'a, Buffer>;

pub(crate) fn reduce(
    _context: &'static Context,
    _kind: Reduction,
    _x: In<'_>,
    _dims: u64,
    _out: Out<'_>,
) -> Result<()> {
    Err(Error::not_implemented("reduce: not on the GPU yet; move the tensor to device 'cpu'"))
}
