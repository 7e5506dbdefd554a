//! pool.

use crate::context::Context;
use crate::memory::Buffer;
use wengert_ops::{Error, PoolSpec, Result, View, ViewMut};

type In<'a> = View<'a, Buffer>;
type Out<'a> = ViewMut<'a, Buffer>;

pub(crate) fn max_pool(
    _context: &'static Context,
    _spec: &PoolSpec,
    _x: In<'_>,
    _values: Out<'_>,
    _indices: Out<'_>,
) -> Result<()> {
    Err(Error::not_implemented("max_pool: not on the GPU yet; move the tensor to device 'cpu'"))
}
