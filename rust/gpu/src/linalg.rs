//! linalg.

use crate::context::Context;
use crate::memory::Buffer;
use wengert_ops::{Error, Linalg, Result, View, ViewMut};

type In<'a> = View<'a, Buffer>;
type Out<'a> = ViewMut<'a, Buffer>;

pub(crate) fn linalg(_context: &'static Context, _op: Linalg, _inputs: &[In<'_>], _outputs: &[Out<'_>]) -> Result<()> {
    Err(Error::not_implemented("linalg: not on the GPU yet; move the tensor to device 'cpu'"))
}
