//! scan.

use crate::context::Context;
use crate::memory::Buffer;
use wengert_ops::{Error, Result, ScanKind, View, ViewMut};

type In<'a> = View<'a, Buffer>;
type Out<'a> = ViewMut<'a, Buffer>;

pub(crate) fn scan(
    _context: &'static Context,
    _kind: ScanKind,
    _x: In<'_>,
    _dim: usize,
    _reverse: bool,
    _out: Out<'_>,
) -> Result<()> {
    Err(Error::not_implemented("scan: not on the GPU yet; move the tensor to device 'cpu'"))
}
