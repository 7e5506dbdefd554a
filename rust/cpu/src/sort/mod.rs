//! Stable sorting along a dim, the first k of a sorted line, and the element at a rank.

mod keys;
mod radix;
mod select;

use crate::buffer::Buffer;
use crate::strided::{dispatch, room, Element, Lines, Ptr, GRAIN};
use crate::threads::{self, Failed};
use keys::{Bits, Ordered, Packed};
use rayon::prelude::*;
use wengert_ops::{contract, fail, Result, View, ViewMut};

/// `Backend::sort`. Outputs may have fewer positions along `dim` than `x`: the first ones.
pub fn sort(
    x: View<'_, Buffer>,
    dim: usize,
    descending: bool,
    values: ViewMut<'_, Buffer>,
    indices: ViewMut<'_, Buffer>,
) -> Result<()> {
    contract::sort(&x, dim, &values, &indices)?;
    dispatch!(x.dtype, T => lines_of::<T>(x, dim, descending, values, indices))
}

fn lines_of<T: Ordered>(
    x: View<'_, Buffer>,
    dim: usize,
    descending: bool,
    values: ViewMut<'_, Buffer>,
    indices: ViewMut<'_, Buffer>,
) -> Result<()> {
    let (a, v, i) = (x.layout, values.layout(), indices.layout());
    let lines =
        Lines::new(a.shape(), [a.strides(), v.strides(), i.strides()], [a.offset(), v.offset(), i.offset()], dim);
    let count = v.shape().get(dim).copied().unwrap_or(1);
    let (a, v, i) = (Ptr::<T>::of(x.buffer), Ptr::<T>::of(values.buffer()), Ptr::<i64>::of(indices.buffer()));
    let [from, to, place] = lines.steps;
    let alone = lines.outer.numel() == 1;
    // Each thread needs room for a line of its own.
    let failed = Failed::default();
    lines.share(|part| {
        let mut work = Work::default();
        let Some(mut sorted) = failed.keep(room::<T>(count)) else { return };
        let mut line = Vec::new();
        part.each(|[p, q, r]| {
            // SAFETY (all): the lines' positions lie in their buffers; parts are disjoint.
            let Some(line) = failed.keep(unsafe { line_at(a, p, from, lines.len, &mut line) }) else { return };
            if failed.keep(work.order(line, descending, count, alone)).is_none() {
                return;
            }
            // Read before writing: the values may go where the input stands.
            sorted.clear();
            sorted.extend(work.places.iter().map(|&k| line[k as usize]));
            for (k, (&value, &at)) in sorted.iter().zip(&work.places).enumerate() {
                unsafe {
                    v.set(q + k as isize * to, value);
                    i.set(r + k as isize * place, at);
                }
            }
        });
    });
    failed.result()
}

/// A line as a slice: itself, or packed into `copy`.
///
/// # Safety
/// The positions lie in the buffer, and nobody writes them while the slice lives.
unsafe fn line_at<T: Element>(x: Ptr<T>, start: isize, step: isize, len: usize, copy: &mut Vec<T>) -> Result<&[T]> {
    if step == 1 {
        return Ok(x.slice(start, len));
    }
    if copy.capacity() < len {
        *copy = room(len)?;
    }
    copy.clear();
    copy.extend((0..len as isize).map(|k| x.get(start + k * step)));
    Ok(copy)
}

/// From so many elements on digits are faster than comparisons.
const MANY: usize = 1 << 9;

/// Room for one line's keys, and the places of its elements in order.
struct Work<T: Ordered> {
    keys: Vec<T::Packed>,
    short: Vec<u64>,
    spare: Vec<u64>,
    places: Vec<i64>,
}

impl<T: Ordered> Default for Work<T> {
    fn default() -> Self {
        Work { keys: Vec::new(), short: Vec::new(), spare: Vec::new(), places: Vec::new() }
    }
}

impl<T: Ordered> Work<T> {
    /// Leaves the places of the `count` first in `places`; a long line is shared out if it is `alone`.
    fn order(&mut self, line: &[T], descending: bool, count: usize, alone: bool) -> Result<()> {
        let n = line.len();
        self.places.clear();
        if self.places.capacity() < count {
            self.places = room(count)?;
        }
        if count == 0 {
            return Ok(());
        }
        if count <= n / 8 && n >= 128 {
            select::first(line, descending, count, alone, &mut self.keys)?;
            self.keys.sort_unstable();
            self.places.extend(self.keys.iter().map(|key| key.position() as i64));
            return Ok(());
        }
        if n >= MANY && n <= u32::MAX as usize && count > n / 2 {
            if let Some(base) = narrow_base(line, descending, alone) {
                if self.short.capacity() < n {
                    self.short = room(n)?;
                }
                self.short.clear();
                let short = |(i, x): (usize, &T)| u64::pack(x.key(descending).wide().wrapping_sub(base), i);
                self.short.extend(line.iter().enumerate().map(short));
                let parts = if alone && n > GRAIN { threads::count() } else { 1 };
                radix::sort(&mut self.short, &mut self.spare, parts)?;
                self.places.extend(self.short[..count].iter().map(|key| key.position() as i64));
                return Ok(());
            }
        }
        if self.keys.capacity() < n {
            self.keys = room(n)?;
        }
        self.keys.clear();
        self.keys.extend(line.iter().enumerate().map(|(i, x)| T::Packed::pack(x.key(descending).wide(), i)));
        sort_first(&mut self.keys, count);
        self.places.extend(self.keys[..count].iter().map(|key| key.position() as i64));
        Ok(())
    }
}

/// What to subtract from the keys of a line for numbers of 32 bits, where that can be.
fn narrow_base<T: Ordered>(line: &[T], descending: bool, alone: bool) -> Option<u64> {
    if size_of::<T::Key>() == size_of::<u32>() {
        return Some(0);
    }
    let [low, high] = select::range(line, alone);
    (high - low <= u32::MAX.into()).then_some(if descending { !high } else { low })
}

/// Brings the `count` smallest keys to the front, sorted.
fn sort_first<K: Ord + Send>(keys: &mut [K], count: usize) {
    let mut keys = keys;
    if count <= keys.len() / 2 {
        keys.select_nth_unstable(count - 1);
        keys = &mut keys[..count];
    }
    if keys.len() > 4 * GRAIN {
        threads::run(|| keys.par_sort_unstable());
    } else {
        keys.sort_unstable();
    }
}

/// Which element of a sorted line is looked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rank {
    /// The one with so many before it.
    At(usize),
    /// The lower middle; of a line with NaN its first NaN.
    Median,
    /// The lower middle of what is not NaN.
    NanMedian,
}

/// Where the element of a rank stands in each line (none empty) along `dim`; `indices` has one position there.
pub fn rank(x: View<'_, Buffer>, dim: usize, rank: Rank, indices: ViewMut<'_, Buffer>) -> Result<()> {
    contract::int64("rank", &indices.as_view())?;
    let (shape, one) = (x.layout.shape(), indices.layout().shape());
    let fits = one.len() == shape.len() && (0..one.len()).all(|d| one[d] == if d == dim { 1 } else { shape[d] });
    if !fits || shape.get(dim) == Some(&0) {
        fail!(internal, "rank: positions of shape {one:?} for an input of {shape:?}");
    }
    if shape.get(dim).is_some_and(|&n| n > u32::MAX as usize) {
        fail!(not_implemented, "rank: dim {dim} has {} elements, at most 2^32 − 1 are supported", shape[dim]);
    }
    dispatch!(x.dtype, T => rank_in_lines::<T>(x, dim, rank, indices))
}

fn rank_in_lines<T: Ordered>(x: View<'_, Buffer>, dim: usize, rank: Rank, indices: ViewMut<'_, Buffer>) -> Result<()> {
    let (a, i) = (x.layout, indices.layout());
    let lines = Lines::new(a.shape(), [a.strides(), i.strides()], [a.offset(), i.offset()], dim);
    let (x, indices) = (Ptr::<T>::of(x.buffer), Ptr::<i64>::of(indices.buffer()));
    let alone = lines.outer.numel() == 1;
    let failed = Failed::default();
    lines.share(|part| {
        let (mut keys, mut line) = (Vec::new(), Vec::new());
        part.each(|[p, q]| {
            // SAFETY (both): the lines' positions lie in their buffers; parts are disjoint.
            let line = failed.keep(unsafe { line_at(x, p, lines.steps[0], lines.len, &mut line) });
            let place = line.and_then(|line| failed.keep(place_of(line, rank, alone, &mut keys)));
            if let Some(place) = place {
                unsafe { indices.set(q, place as i64) };
            }
        });
    });
    failed.result()
}

fn place_of<T: Ordered>(line: &[T], rank: Rank, alone: bool, keys: &mut Vec<T::Packed>) -> Result<usize> {
    let nans = || line.iter().filter(|x| x.is_nan()).count();
    let rank = match rank {
        Rank::At(rank) => rank,
        Rank::Median => {
            if let Some(first) = line.iter().position(|x| x.is_nan()) {
                return Ok(first);
            }
            (line.len() - 1) / 2
        }
        Rank::NanMedian => (line.len() - nans()).saturating_sub(1) / 2,
    };
    select::at_rank(line, rank.min(line.len() - 1), alone, keys)
}
