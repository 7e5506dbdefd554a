//! The places of what is not zero.

use crate::buffer::Buffer;
use crate::strided::{dispatch, vectorised, Element, Nest, Ptr, GRAIN};
use crate::threads;
use std::ops::Range;
use wengert_ops::layout::numel;
use wengert_ops::{Dims, Error, Result, View};

/// `Backend::nonzero`: coordinates, row-major, as i64 `[count, rank]`, and the count.
pub fn nonzero(x: View<'_, Buffer>) -> Result<(Buffer, usize)> {
    let shape = x.layout.shape();
    let nest = Nest::of(x.layout);
    dispatch!(x.dtype, T => {
        let p = Ptr::<T>::of(x.buffer);
        if nest.outer() == 1 && nest.steps() == [1] && nest.numel() > 0 {
            // SAFETY: the layout lies in its buffer, and nobody writes meanwhile.
            return in_slice(unsafe { p.slice(nest.start()[0], nest.numel()) }, shape);
        }
        // Repeated elements are counted once, so that what is refused for its size is refused at once.
        let strides = x.layout.strides();
        let once: Dims = shape.iter().zip(strides).map(|(&n, &s)| if s == 0 { n.min(1) } else { n }).collect();
        let times = if nest.numel() == 0 { 0 } else { nest.numel() / numel(&once) };
        let mut count = 0usize;
        // SAFETY (both): positions come from the view's layout.
        Nest::new(&once, [strides], [x.layout.offset()]).rows(|[start], [step], len| {
            count += (0..len as isize).map(|i| unsafe { p.get(start + i * step) }.truthy() as usize).sum::<usize>();
        });
        count *= times;
        let out = room(count, shape)?;
        let mut writer = Writer::new(Ptr::of(&out), shape);
        let mut linear = 0;
        nest.each(|[at]| {
            if unsafe { p.get(at) }.truthy() {
                writer.write(&[linear]);
            }
            linear += 1;
        });
        Ok((out, count))
    })
}

/// A buffer for so many coordinates.
fn room(count: usize, shape: &[usize]) -> Result<Buffer> {
    if count == 0 {
        return Buffer::new(0);
    }
    let bytes = count.checked_mul(shape.len() * 8);
    bytes
        .ok_or_else(|| Error::memory("the result is too large"))
        .and_then(Buffer::new)
        .map_err(|e| e.context(&format!("nonzero: a tensor of shape [{count}, {}] and dtype int64", shape.len())))
}

/// Row-major elements: parts are counted, so that each knows where its places go.
fn in_slice<T: Element>(xs: &[T], shape: &[usize]) -> Result<(Buffer, usize)> {
    let parts = (2 * xs.len() / GRAIN).clamp(1, 4 * threads::count());
    let part = |p: usize| xs.len() * p / parts..xs.len() * (p + 1) / parts;
    let counts = threads::gather(parts, |p| count(&xs[part(p)]));
    let total = counts.iter().sum();
    let out = room(total, shape)?;
    let to = Ptr::<i64>::of(&out);
    threads::share(parts, |p| {
        let before = counts[..p].iter().sum::<usize>() * shape.len();
        let mut writer = Writer::new(Ptr::new(to.at(before as isize)), shape);
        let (mut places, mut left) = ([0; BLOCK], counts[p]);
        for start in part(p).step_by(BLOCK) {
            let block = &xs[start..part(p).end.min(start + BLOCK)];
            let mut found = 0;
            for (i, x) in block.iter().enumerate() {
                // Written in any case, and kept or not: no branch that is hard to foresee.
                places[found] = start + i;
                found += x.truthy() as usize;
            }
            // Memory that numpy shares may have changed since it was counted.
            let found = found.min(left);
            left -= found;
            writer.write(&places[..found]);
        }
    });
    Ok((out, total))
}

/// Elements that are looked at before their places are written.
const BLOCK: usize = 256;

vectorised! {
    fn count<T: Element>(xs: &[T]) -> usize = count_body
}

#[inline(always)]
fn count_body<T: Element>(xs: &[T]) -> usize {
    let block = |xs: &[T]| xs.iter().map(|x| x.truthy() as u32).sum::<u32>() as usize;
    xs.chunks(1 << 16).map(block).sum()
}

/// Writes coordinates one after the other, each an element of its own that was counted.
struct Writer<'a> {
    to: Ptr<i64>,
    shape: &'a [usize],
    /// The row-major places of the row that was written last, and its coordinates: they change with the row alone.
    row: Range<usize>,
    outer: Dims,
}

impl Writer<'_> {
    fn new(to: Ptr<i64>, shape: &[usize]) -> Writer<'_> {
        Writer { to, shape, row: 0..0, outer: Dims::from_elem(0, shape.len().saturating_sub(1)) }
    }

    fn write(&mut self, places: &[usize]) {
        let rank = self.shape.len();
        let (Some((&width, outer)), false) = (self.shape.split_last(), places.is_empty()) else { return };
        // SAFETY: the caller has counted what it writes, and nobody else uses this part of the buffer.
        let target = unsafe { self.to.slice_mut(0, places.len() * rank) };
        self.to = Ptr::new(self.to.at((places.len() * rank) as isize));
        if rank == 1 {
            return target.iter_mut().zip(places).for_each(|(to, &place)| *to = place as i64);
        }
        for (to, &place) in target.chunks_exact_mut(rank).zip(places) {
            if !self.row.contains(&place) {
                let mut rest = place / width;
                self.row = rest * width..(rest + 1) * width;
                for (c, &n) in self.outer.iter_mut().zip(outer).rev() {
                    (*c, rest) = (rest % n, rest / n);
                }
            }
            to.iter_mut().zip(&self.outer).for_each(|(to, &c)| *to = c as i64);
            to[rank - 1] = (place - self.row.start) as i64;
        }
    }
}
