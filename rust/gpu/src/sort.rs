//! sort.

use crate::context::Context;
use crate::memory::Buffer;
use wengert_ops::{Error, Result, View, ViewMut};

type In<'a> = View<'a, Buffer>;
type Out<'a> = ViewMut<'a, Buffer>;

pub(crate) fn sort(
    _context: &'static Context,
    _x: In<'_>,
    _dim: usize,
    _descending: bool,
    _values: Out<'_>,
    _indices: Out<'_>,
) -> Result<()> {
    Err(Error::not_implemented("sort: not on the GPU yet; move the tensor to device 'cpu'"))
}
