//! Reading and writing at positions that are themselves data: the four calls, their checks and errors.

use crate::context::Context;
use crate::elementwise::copy;
use crate::memory::Buffer;
use crate::places::{add, put, rest_of, take, Named, OutOfRange, Places, Rest, Tuples};
use crate::walk::{moved_view, Walk};
use smallvec::smallvec;
use std::sync::Arc;
use wengert_ops::contract::Indexed;
use wengert_ops::layout::{contiguous_strides, numel};
use wengert_ops::{contract, Dims, Error, Layout, Result, ScatterMode, Strides, View, ViewMut};

type In<'a> = View<'a, Buffer>;
type Out<'a> = ViewMut<'a, Buffer>;

/// A layout read as having at least one dim: 0-d counts as one element.
fn at_least_1d(layout: &Layout) -> Layout {
    match layout.rank() {
        0 => Layout::strided(Dims::from_slice(&[1]), Strides::from_slice(&[1]), layout.offset()),
        _ => layout.clone(),
    }
}

/// An array that is read while `out` is written: a copy, if both have one buffer.
struct Apart(Option<(Buffer, Layout)>);

impl Apart {
    fn new(context: &'static Context, x: In<'_>, out: &Buffer) -> Result<Apart> {
        if !Arc::ptr_eq(&x.buffer.0, &out.0) {
            return Ok(Apart(None));
        }
        let x = moved_view(x);
        let layout = Layout::contiguous(x.layout.shape());
        let buffer = Buffer(context.allocate(x.layout.numel() * x.dtype.size())?);
        // SAFETY: fresh.
        copy(context, x, unsafe { ViewMut::new(&buffer, &layout, x.dtype) })?;
        Ok(Apart(Some((buffer, layout))))
    }

    fn view<'a>(&'a self, x: In<'a>) -> In<'a> {
        match &self.0 {
            Some((buffer, layout)) => View { buffer, layout, dtype: x.dtype },
            None => x,
        }
    }
}

/// What `gather` and `scatter` share: every index is a tuple of its own, and nothing else is walked through.
fn along(
    context: &'static Context,
    x: &Layout,
    dim: usize,
    index: In<'_>,
    y: &Layout,
    writes: bool,
) -> Result<(Places, Rest)> {
    let size = x.shape()[dim];
    let mut fixed = Strides::from_slice(x.strides());
    fixed[dim] = 0;
    let mut keys = contiguous_strides(x.shape());
    let key_step = std::mem::replace(&mut keys[dim], 0);
    let tuples = Tuples {
        shape: index.layout.shape(),
        named: smallvec![Named { index, size, step: x.strides()[dim], key_step }],
        fixed: &fixed,
        key_fixed: &keys,
        y_strides: y.strides(),
        wraps: false,
        checked: true,
        keys: writes.then(|| x.numel()),
    };
    // Unlike indexing, PyTorch's gather and scatter raise a RuntimeError.
    let places = Places::new(context, &tuples)?
        .map_err(|bad| Error::runtime(contract::out_of_bounds(bad.value, dim, size).message()))?;
    let none = |offsets| Walk::new(&[], [&[], &[]], offsets);
    Ok((places, Rest { before: none([x.offset(), y.offset()]), after: none([0, 0]) }))
}

/// `Backend::gather`.
pub(crate) fn gather(context: &'static Context, x: In<'_>, dim: usize, index: In<'_>, out: Out<'_>) -> Result<()> {
    contract::int64("gather", &index)?;
    let (names, from, to) = (at_least_1d(index.layout), at_least_1d(x.layout), at_least_1d(out.layout()));
    if out.dtype() != x.dtype || to.shape() != names.shape() {
        return Err(Error::internal(format!("gather: an output {:?} for an index {:?}", to.shape(), names.shape())));
    }
    contract::reach("gather", "input", names.shape(), from.shape(), Some(dim))?;
    if index.layout.numel() == 0 {
        return Ok(());
    }
    let apart = Apart::new(context, View { layout: &from, ..x }, out.buffer())?;
    let x = apart.view(View { layout: &from, ..x });
    let (places, rest) = along(context, x.layout, dim, View { layout: &names, ..index }, &to, false)?;
    // SAFETY: the output's own elements.
    take(context, &places, &rest, x, &unsafe { ViewMut::new(out.buffer(), &to, out.dtype()) })
}

/// `Backend::scatter`. `out` holds the base.
pub(crate) fn scatter(
    context: &'static Context,
    mode: ScatterMode,
    dim: usize,
    index: In<'_>,
    src: In<'_>,
    out: Out<'_>,
) -> Result<()> {
    contract::int64("scatter", &index)?;
    contract::same_dtypes("scatter", out.dtype(), src.dtype)?;
    let (names, from, to) = (at_least_1d(index.layout), at_least_1d(src.layout), at_least_1d(out.layout()));
    contract::reach("scatter", "self", names.shape(), to.shape(), Some(dim))?;
    contract::reach("scatter", "src", names.shape(), from.shape(), None)?;
    if index.layout.numel() == 0 {
        return Ok(());
    }
    let apart = Apart::new(context, View { layout: &from, ..src }, out.buffer())?;
    let src = apart.view(View { layout: &from, ..src });
    let (places, rest) = along(context, &to, dim, View { layout: &names, ..index }, src.layout, true)?;
    // SAFETY: the output's own elements.
    let out = unsafe { ViewMut::new(out.buffer(), &to, out.dtype()) };
    match mode {
        ScatterMode::Set => put(context, &places, &rest, src, &out),
        ScatterMode::Add => add(context, &places, &rest, src, &out),
    }
}

/// The loops of advanced indexing, all indices checked; none where there are no tuples.
fn plan(
    context: &'static Context,
    op: &str,
    x: &Layout,
    dims: u64,
    indices: &[In<'_>],
    y: &Layout,
    writes: bool,
) -> Result<Option<(Places, Rest)>> {
    let Indexed { named, rest, lead } = Indexed::new(op, x, dims, indices, y)?;
    let shape = indices[0].layout.shape();
    if numel(shape) == 0 {
        return Ok(None);
    }
    let sizes: Dims = named.iter().map(|&d| x.shape()[d]).collect();
    let key_steps = contiguous_strides(&sizes);
    let zeros = Strides::from_elem(0, shape.len());
    let tuples = Tuples {
        shape,
        named: named
            .iter()
            .zip(indices)
            .zip(&key_steps)
            .map(|((&dim, &index), &key_step)| Named { index, size: x.shape()[dim], step: x.strides()[dim], key_step })
            .collect(),
        fixed: &zeros,
        key_fixed: &zeros,
        y_strides: &y.strides()[lead..lead + shape.len()],
        wraps: true,
        checked: true,
        keys: writes.then(|| numel(&sizes)),
    };
    let places = Places::new(context, &tuples)?
        .map_err(|OutOfRange { which, value }| contract::out_of_bounds(value, named[which], x.shape()[named[which]]))?;
    let rest = Rest {
        before: rest_of(x, &rest[..lead], y, 0, [x.offset(), y.offset()]),
        after: rest_of(x, &rest[lead..], y, lead + shape.len(), [0, 0]),
    };
    Ok(Some((places, rest)))
}

/// `Backend::index`.
pub(crate) fn index(context: &'static Context, x: In<'_>, dims: u64, indices: &[In<'_>], out: Out<'_>) -> Result<()> {
    contract::same_dtypes("index", out.dtype(), x.dtype)?;
    let apart = Apart::new(context, x, out.buffer())?;
    let x = apart.view(x);
    match plan(context, "index", x.layout, dims, indices, out.layout(), false)? {
        Some((places, rest)) => take(context, &places, &rest, x, &out),
        None => Ok(()),
    }
}

/// `Backend::index_put`. `out` holds the base; of equal indices the last is written, or all are added.
pub(crate) fn index_put(
    context: &'static Context,
    dims: u64,
    indices: &[In<'_>],
    values: In<'_>,
    accumulate: bool,
    out: Out<'_>,
) -> Result<()> {
    contract::same_dtypes("index_put", out.dtype(), values.dtype)?;
    let apart = Apart::new(context, values, out.buffer())?;
    let values = apart.view(values);
    match plan(context, "index_put", out.layout(), dims, indices, values.layout, true)? {
        Some((places, rest)) if accumulate => add(context, &places, &rest, values, &out),
        Some((places, rest)) => put(context, &places, &rest, values, &out),
        None => Ok(()),
    }
}
