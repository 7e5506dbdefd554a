//! `gather` and `scatter`: an index tensor that names positions along one dim.

use crate::buffer::Buffer;
use crate::strided::{dispatch, dispatch_size, parallel, vectorised, Element, Nest, Number, Ptr};
use crate::threads::Failed;
use std::sync::atomic::{AtomicBool, Ordering};
use wengert_ops::{contract, Error, Layout, Result, ScatterMode, Strides, View, ViewMut};

/// A layout read as having at least one dim: PyTorch takes 0-d tensors for one element.
fn at_least_1d(layout: &Layout) -> (&[usize], &[isize]) {
    if layout.rank() == 0 {
        (&[1], &[1])
    } else {
        (layout.shape(), layout.strides())
    }
}

/// Of an index that has elements.
fn check_indices(index: View<'_, Buffer>, dim: usize, size: usize) -> Result<()> {
    let p = Ptr::<i64>::of(index.buffer);
    let (nest, failed) = (Nest::of(index.layout), Failed::default());
    let n = nest.largest();
    parallel(n, nest.numel() / n, |range| {
        let mut bad = None;
        nest.part(range).rows(|[start], [step], len| {
            // SAFETY: positions come from the view's layout.
            let at = |i: usize| unsafe { p.get(start + i as isize * step) };
            // A negative index is a huge one: one comparison, without an early way out, is a vector loop.
            if bad.is_none() && (0..len).fold(0, |n, i| n | (at(i) as u64 >= size as u64) as u64) != 0 {
                bad = (0..len).map(at).find(|&i| i as u64 >= size as u64);
            }
        });
        // Unlike indexing, PyTorch's gather and scatter raise a RuntimeError.
        failed.keep(bad.map_or(Ok(()), |i| Err(Error::runtime(contract::out_of_bounds(i, dim, size).message()))));
    });
    failed.result()
}

/// The strides of an operand that is addressed by index along `dim`.
fn without(strides: &[isize], dim: usize) -> Strides {
    let mut strides = Strides::from_slice(strides);
    strides[dim] = 0;
    strides
}

/// `to[k] = from[p + picks[k] · step]`, unless there are picks beyond `last`; the largest, or a larger number.
///
/// # Safety
/// The positions of picks up to `last` lie in the buffer.
#[inline(always)]
unsafe fn pick_near<T: Copy>(from: Ptr<T>, [p, step]: [isize; 2], last: u64, picks: &[i64], to: &mut [T]) -> u64 {
    if any_beyond(picks, last) {
        return u64::MAX;
    }
    for (to, &pick) in to.iter_mut().zip(picks) {
        *to = from.get(p + pick as isize * step);
    }
    0
}

/// A negative index is a huge one: one comparison, without an early way out, is a vector loop.
#[inline(always)]
fn any_beyond_body(picks: &[i64], last: u64) -> bool {
    picks.iter().fold(0, |n, &pick| n | (pick as u64 > last) as u64) != 0
}
vectorised! { fn any_beyond<>(picks: &[i64], last: u64) -> bool = any_beyond_body }

/// `to[k] = from[p + k + picks[k] · step]`, each from another line: reads that wait for memory, beside which it costs
/// nothing to limit the picks to `last`. The largest of them.
///
/// # Safety
/// The positions of picks up to `last` lie in the buffer.
#[inline(always)]
unsafe fn pick_far<T: Copy>(from: Ptr<T>, [p, step]: [isize; 2], last: u64, picks: &[i64], to: &mut [T]) -> u64 {
    let mut largest = 0;
    for ((to, &pick), k) in to.iter_mut().zip(picks).zip(0..) {
        largest = largest.max(pick as u64);
        *to = from.get(p + k + (pick as u64).min(last) as isize * step);
    }
    largest
}

/// `Backend::gather`.
pub fn gather(x: View<'_, Buffer>, dim: usize, index: View<'_, Buffer>, out: ViewMut<'_, Buffer>) -> Result<()> {
    contract::int64("gather", &index)?;
    let (shape, index_strides) = at_least_1d(index.layout);
    let (x_shape, x_strides) = at_least_1d(x.layout);
    let (out_shape, out_strides) = at_least_1d(out.layout());
    if out.dtype() != x.dtype || out_shape != shape {
        return Err(Error::internal(format!("gather: an output {out_shape:?} for an index {shape:?}")));
    }
    contract::reach("gather", "input", shape, x_shape, Some(dim))?;
    if index.layout.numel() == 0 {
        return Ok(());
    }
    let (size, step) = (x_shape[dim], x_strides[dim]);
    if size == 0 {
        return check_indices(index, dim, size);
    }
    let last = size as u64 - 1;
    let offsets = [x.layout.offset(), index.layout.offset(), out.layout().offset()];
    let nest = Nest::new(shape, [&without(x_strides, dim), index_strides, out_strides], offsets);
    let (picks, wrong) = (Ptr::<i64>::of(index.buffer), AtomicBool::new(false));
    dispatch_size!(x.dtype, T => {
        let (from, to) = (Ptr::<T>::of(x.buffer), Ptr::<T>::of(out.buffer()));
        let n = nest.largest();
        parallel(n, nest.numel() / n, |range| {
            let mut largest = 0;
            // SAFETY: picks are limited to the dim; positions come from layouts; parts write disjoint elements.
            nest.part(range).rows(|[p, i, q], steps, len| unsafe {
                // Loops that know their steps take half as long.
                largest = largest.max(match steps {
                    [0, 1, 1] => pick_near(from, [p, step], last, picks.slice(i, len), to.slice_mut(q, len)),
                    [1, 1, 1] => pick_far(from, [p, step], last, picks.slice(i, len), to.slice_mut(q, len)),
                    [a, b, c] => (0..len as isize).fold(0, |largest, k| {
                        let pick = picks.get(i + k * b) as u64;
                        to.set(q + k * c, from.get(p + k * a + pick.min(last) as isize * step));
                        largest.max(pick)
                    }),
                });
            });
            wrong.fetch_or(largest > last, Ordering::Relaxed);
        });
    });
    if wrong.into_inner() {
        check_indices(index, dim, size)?;
    }
    Ok(())
}

/// `Backend::scatter`. `out` holds the base.
pub fn scatter(
    mode: ScatterMode,
    dim: usize,
    index: View<'_, Buffer>,
    src: View<'_, Buffer>,
    out: ViewMut<'_, Buffer>,
) -> Result<()> {
    contract::int64("scatter", &index)?;
    contract::same_dtypes("scatter", out.dtype(), src.dtype)?;
    let (shape, index_strides) = at_least_1d(index.layout);
    let (src_shape, src_strides) = at_least_1d(src.layout);
    let (out_shape, out_strides) = at_least_1d(out.layout());
    contract::reach("scatter", "self", shape, out_shape, Some(dim))?;
    contract::reach("scatter", "src", shape, src_shape, None)?;
    if index.layout.numel() == 0 {
        return Ok(());
    }
    check_indices(index, dim, out_shape[dim])?;
    let step = out_strides[dim];
    let out_strides = without(out_strides, dim);
    // Elements that differ in another dim never meet: the largest such dim is shared out.
    let shared = (0..shape.len()).filter(|&d| d != dim).max_by_key(|&d| shape[d]);
    let count = shared.map_or(1, |d| shape[d]);
    let picks = Ptr::<i64>::of(index.buffer);
    let nest = |range: std::ops::Range<usize>| {
        let mut sizes = wengert_ops::Dims::from_slice(shape);
        let mut offsets = [out.layout().offset(), index.layout.offset(), src.layout.offset()];
        if let Some(d) = shared {
            sizes[d] = range.len();
            for (offset, strides) in offsets.iter_mut().zip([&out_strides[..], index_strides, src_strides]) {
                *offset = offset.wrapping_add_signed(range.start as isize * strides[d]);
            }
        }
        Nest::new(&sizes, [&out_strides, index_strides, src_strides], offsets)
    };
    let each = index.layout.numel() / count;
    // SAFETY (both): indices were checked; positions come from layouts; parts write disjoint elements.
    match mode {
        ScatterMode::Set => dispatch_size!(out.dtype(), T => {
            let (from, to) = (Ptr::<T>::of(src.buffer), Ptr::<T>::of(out.buffer()));
            parallel(count, each, |range| {
                nest(range).each(|[q, i, p]| unsafe { to.set(q + picks.get(i) as isize * step, from.get(p)) });
            });
        }),
        ScatterMode::Add => dispatch!(out.dtype(), T => {
            let (from, to) = (Ptr::<T>::of(src.buffer), Ptr::<T>::of(out.buffer()));
            parallel(count, each, |range| {
                nest(range).each(|[q, i, p]| unsafe {
                    let q = q + picks.get(i) as isize * step;
                    to.set(q, T::from_acc(to.get(q).acc().plus(from.get(p).acc())));
                });
            });
        }),
    }
    Ok(())
}
