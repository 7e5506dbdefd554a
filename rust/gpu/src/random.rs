//! random.

use crate::context::Context;
use crate::memory::Buffer;
use wengert_ops::{Error, Random, Result, ViewMut};

type Out<'a> = ViewMut<'a, Buffer>;

/// A random stream: Philox counts, so that every GPU draws the same.
#[derive(Clone, Debug)]
pub struct Generator {
    pub seed: u64,
    pub offset: u64,
}

pub(crate) fn random(
    _context: &'static Context,
    _generator: &mut Generator,
    _law: Random,
    _out: Out<'_>,
) -> Result<()> {
    Err(Error::not_implemented("random: not on the GPU yet; move the tensor to device 'cpu'"))
}

pub(crate) fn permutation(_context: &'static Context, _generator: &mut Generator, _out: Out<'_>) -> Result<()> {
    Err(Error::not_implemented("permutation: not on the GPU yet; move the tensor to device 'cpu'"))
}
