//! indexing.

use crate::context::Context;
use crate::memory::Buffer;
use wengert_ops::{Error, Result, ScatterMode, View, ViewMut};

type In<'a> = View<'a, Buffer>;
type Out<'a> = ViewMut<'a, Buffer>;

pub(crate) fn gather(_context: &'static Context, _x: In<'_>, _dim: usize, _index: In<'_>, _out: Out<'_>) -> Result<()> {
    Err(Error::not_implemented("gather: not on the GPU yet; move the tensor to device 'cpu'"))
}

pub(crate) fn scatter(
    _context: &'static Context,
    _mode: ScatterMode,
    _dim: usize,
    _index: In<'_>,
    _src: In<'_>,
    _out: Out<'_>,
) -> Result<()> {
    Err(Error::not_implemented("scatter: not on the GPU yet; move the tensor to device 'cpu'"))
}

pub(crate) fn index(
    _context: &'static Context,
    _x: In<'_>,
    _dims: u64,
    _indices: &[In<'_>],
    _out: Out<'_>,
) -> Result<()> {
    Err(Error::not_implemented("index: not on the GPU yet; move the tensor to device 'cpu'"))
}

pub(crate) fn index_put(
    _context: &'static Context,
    _dims: u64,
    _indices: &[In<'_>],
    _values: In<'_>,
    _accumulate: bool,
    _out: Out<'_>,
) -> Result<()> {
    Err(Error::not_implemented("index_put: not on the GPU yet; move the tensor to device 'cpu'"))
}
