//! extreme.

use crate::context::Context;
use crate::memory::Buffer;
use wengert_ops::{Error, Extremum, Result, View, ViewMut};

type In<'a> = View<'a, Buffer>;
type Out<'a> = ViewMut<'a, Buffer>;

pub(crate) fn extreme(
    _context: &'static Context,
    _kind: Extremum,
    _x: In<'_>,
    _dim: usize,
    _values: Option<Out<'_>>,
    _indices: Option<Out<'_>>,
) -> Result<()> {
    Err(Error::not_implemented("extreme: not on the GPU yet; move the tensor to device 'cpu'"))
}
