//! Advanced indexing: one index tensor for each of several dims, and its reverse.
//!
//! Every tuple of indices becomes an offset into x; what is left are three plain loops: the dims
//! before the indexed ones, the tuples, and the dims after (the rows that are moved).

use crate::buffer::Buffer;
use crate::strided::{dense, dispatch, dispatch_size, parallel, vectorised, Element, Nest, Number, Ptr};
use smallvec::SmallVec;
use std::sync::atomic::{AtomicBool, Ordering};
use wengert_ops::contract::Indexed;
use wengert_ops::{contract, Dims, Error, Layout, Result, Strides, View, ViewMut};

/// The loops of one call: `x` is the indexed array, `y` the array of the indexed shape.
struct Plan {
    /// Positions in (x, y) of the dims before.
    before: Nest<2>,
    /// Added to both for each tuple of indices, in row-major order.
    tuples: SmallVec<[(isize, isize); 16]>,
    /// Positions relative to those of the dims after.
    after: Nest<2>,
}

fn plan(op: &str, x: &Layout, dims: u64, indices: &[View<'_, Buffer>], y: &Layout) -> Result<Plan> {
    let Indexed { named, rest, lead } = Indexed::new(op, x, dims, indices, y)?;
    let tuple_rank = indices[0].layout.rank();
    let nest = |dims: &[usize], y_from: usize, offsets: [usize; 2]| {
        let shape: Dims = dims.iter().map(|&d| x.shape()[d]).collect();
        let strides: Strides = dims.iter().map(|&d| x.strides()[d]).collect();
        Nest::new(&shape, [&strides, &y.strides()[y_from..y_from + dims.len()]], offsets)
    };
    Ok(Plan {
        before: nest(&rest[..lead], 0, [x.offset(), y.offset()]),
        tuples: tuples(x, &named, indices, &y.strides()[lead..lead + tuple_rank])?,
        after: nest(&rest[lead..], lead + tuple_rank, [0, 0]),
    })
}

/// Offsets in x and y for each tuple of indices, after a check of all.
fn tuples(
    x: &Layout,
    named: &[usize],
    indices: &[View<'_, Buffer>],
    y_strides: &[isize],
) -> Result<SmallVec<[(isize, isize); 16]>> {
    let shape = indices[0].layout.shape();
    let mut tuples: SmallVec<[(isize, isize); 16]> = SmallVec::new();
    let count = indices[0].layout.numel();
    tuples
        .try_reserve_exact(count)
        .map_err(|_| Error::memory(format!("not enough memory: {count} places are indexed at once on the CPU")))?;
    for (k, (&d, index)) in named.iter().zip(indices).enumerate() {
        let (size, step) = (x.shape()[d] as i64, x.strides()[d]);
        let p = Ptr::<i64>::of(index.buffer);
        let mut bad = None;
        let mut n = 0;
        Nest::new(shape, [index.layout.strides(), y_strides], [index.layout.offset(), 0]).each(|[at, y]| {
            // SAFETY: positions come from the view's layout.
            let i = unsafe { p.get(at) };
            if i < -size || i >= size {
                bad = bad.or(Some(i));
                return;
            }
            let offset = (if i < 0 { i + size } else { i }) as isize * step;
            if k == 0 {
                tuples.push((offset, y));
            } else if let Some(tuple) = tuples.get_mut(n) {
                tuple.0 += offset;
            }
            n += 1;
        });
        if let Some(i) = bad {
            return Err(contract::out_of_bounds(i, d, x.shape()[d]));
        }
    }
    Ok(tuples)
}

impl Plan {
    fn is_empty(&self) -> bool {
        self.tuples.is_empty() || self.before.numel() == 0 || self.after.numel() == 0
    }

    /// Moves single elements, where no dims come after: each row of the dims before at once.
    fn run_elements<T: Copy + Send + Sync>(&self, from: Ptr<T>, to: Ptr<T>) {
        let (count, start) = (self.tuples.len(), self.after.start());
        let go = |before: &Nest<2>, tuples: &[(isize, isize)]| {
            before.each(|[x, y]| {
                let (x, y) = (x + start[0], y + start[1]);
                // SAFETY: indices were checked, positions come from layouts, and each element is written once.
                tuples.iter().for_each(|&(dx, dy)| unsafe { to.set(y + dy, from.get(x + dx)) });
            });
        };
        if self.is_empty() {
            return;
        }
        let n = self.before.largest();
        if n >= 8 {
            parallel(n, self.before.numel() / n * count, |r| go(&self.before.part(r), &self.tuples));
        } else {
            parallel(count, self.before.numel(), |r| go(&self.before, &self.tuples[r]));
        }
    }

    /// Calls `f(x, y, steps, len)` for every row. Parts that run at once differ in an unindexed dim,
    /// or, where only `y` is written, in the tuple.
    fn run(&self, reading: bool, f: impl Fn(isize, isize, [isize; 2], usize) + Sync) {
        if self.is_empty() {
            return;
        }
        let (before, tuples, after) = (self.before.numel(), self.tuples.len(), self.after.numel());
        let go = |before: &Nest<2>, tuples: &[(isize, isize)], after: &Nest<2>| {
            let one = (after.outer() == 1).then(|| (after.start(), after.steps(), after.inner()));
            before.each(|[x, y]| {
                for &(dx, dy) in tuples {
                    match one {
                        Some((start, steps, len)) => f(x + dx + start[0], y + dy + start[1], steps, len),
                        None => after.rows(|at, steps, len| f(x + dx + at[0], y + dy + at[1], steps, len)),
                    }
                }
            });
        };
        if reading && tuples >= 8 {
            parallel(tuples, before * after, |r| go(&self.before, &self.tuples[r], &self.after));
        } else if self.before.largest() >= self.after.largest() {
            let n = self.before.largest();
            parallel(n, before / n * tuples * after, |r| go(&self.before.part(r), &self.tuples, &self.after));
        } else {
            // Slices of rows, long ones: rows that are added to lie anywhere.
            let n = self.after.largest();
            let piece = n.div_ceil(2 * crate::threads::count()).max(64).min(n);
            let pieces = n.div_ceil(piece);
            parallel(pieces, before * tuples * after / pieces, |r| {
                go(&self.before, &self.tuples, &self.after.part(r.start * piece..(r.end * piece).min(n)))
            });
        }
    }
}

/// Moves `len` elements.
///
/// # Safety
/// Both runs of positions lie in their buffers, and nobody else uses those written.
#[inline(always)]
unsafe fn move_row<T: Copy>(from: Ptr<T>, p: isize, to: Ptr<T>, q: isize, [a, b]: [isize; 2], len: usize) {
    if len == 1 {
        to.set(q, from.get(p));
    } else if a == 1 && b == 1 {
        to.slice_mut(q, len).copy_from_slice(from.slice(p, len));
    } else {
        for k in 0..len as isize {
            to.set(q + k * b, from.get(p + k * a));
        }
    }
}

vectorised! {
    fn add_slice<T: Element>(to: &mut [T], from: &[T]) = add_body::<T>
}

#[inline(always)]
fn add_body<T: Element>(to: &mut [T], from: &[T]) {
    for (a, &b) in to.iter_mut().zip(from) {
        *a = T::from_acc(a.acc().plus(b.acc()));
    }
}

/// Elements of a vector at the positions of a dense vector of indices, into a dense vector; nothing where one is not there.
fn picked<T: Copy + Send + Sync>(x: &Layout, from: Ptr<T>, picks: &[i64], to: Ptr<T>) -> bool {
    let (size, step, start) = (x.shape()[0] as i64, x.strides()[0], x.offset() as isize);
    let wrong = AtomicBool::new(size == 0);
    parallel(picks.len(), 1, |range| {
        // Without an early way out: a vector loop.
        let beyond = |&pick: &i64| pick.wrapping_add(size) as u64 >= 2 * size as u64;
        if picks[range].iter().fold(false, |any, pick| any | beyond(pick)) {
            wrong.store(true, Ordering::Relaxed);
        }
    });
    if wrong.into_inner() {
        return false;
    }
    parallel(picks.len(), 1, |range| {
        for k in range {
            let pick = if picks[k] < 0 { picks[k].wrapping_add(size) } else { picks[k] };
            // Memory that numpy shares may have changed since it was checked.
            let pick = (pick as u64).min(size as u64 - 1) as isize;
            // SAFETY: the position is the vector's; parts write disjoint elements.
            unsafe { to.set(k as isize, from.get(start + pick * step)) };
        }
    });
    true
}

/// `Backend::index`.
pub fn index(x: View<'_, Buffer>, dims: u64, indices: &[View<'_, Buffer>], out: ViewMut<'_, Buffer>) -> Result<()> {
    contract::same_dtypes("index", out.dtype(), x.dtype)?;
    if let (1, [index]) = (x.layout.rank(), indices) {
        contract::int64("index", index)?;
        // SAFETY: indices are i64, and nobody writes them meanwhile.
        let picks = unsafe { dense::<i64>(*index) };
        let fits = dims == 1 && index.layout.shape() == out.layout().shape() && out.layout().is_contiguous();
        if let (Some(picks), true) = (picks, fits && index.layout.numel() > 0) {
            let there = dispatch_size!(x.dtype, T => {
                let to = Ptr::<T>::of(out.buffer());
                picked::<T>(x.layout, Ptr::of(x.buffer), picks, Ptr::new(to.at(out.layout().offset() as isize)))
            });
            if there {
                return Ok(());
            }
        }
    }
    let plan = plan("index", x.layout, dims, indices, out.layout())?;
    dispatch_size!(x.dtype, T => {
        let (from, to) = (Ptr::<T>::of(x.buffer), Ptr::<T>::of(out.buffer()));
        if plan.after.numel() == 1 {
            plan.run_elements(from, to);
            return Ok(());
        }
        // SAFETY: indices were checked, positions come from layouts, and each row of the output is written once.
        plan.run(true, |p, q, steps, len| unsafe { move_row(from, p, to, q, steps, len) });
    });
    Ok(())
}

/// `Backend::index_put`. `out` holds the base; equal indices are written (or added) in order.
pub fn index_put(
    dims: u64,
    indices: &[View<'_, Buffer>],
    values: View<'_, Buffer>,
    accumulate: bool,
    out: ViewMut<'_, Buffer>,
) -> Result<()> {
    contract::same_dtypes("index_put", out.dtype(), values.dtype)?;
    let plan = plan("index_put", out.layout(), dims, indices, values.layout)?;
    // SAFETY (both): indices were checked, positions come from layouts, and parts that run at once write
    // elements that differ in an unindexed dim.
    if accumulate {
        dispatch!(out.dtype(), T => {
            let (from, to) = (Ptr::<T>::of(values.buffer), Ptr::<T>::of(out.buffer()));
            plan.run(false, |q, p, [b, a], len| unsafe {
                if a == 1 && b == 1 && len > 1 {
                    add_slice(to.slice_mut(q, len), from.slice(p, len));
                } else {
                    for k in 0..len as isize {
                        let sum = to.get(q + k * b).acc().plus(from.get(p + k * a).acc());
                        to.set(q + k * b, T::from_acc(sum));
                    }
                }
            });
        });
    } else {
        dispatch_size!(out.dtype(), T => {
            let (from, to) = (Ptr::<T>::of(values.buffer), Ptr::<T>::of(out.buffer()));
            plan.run(false, |q, p, [b, a], len| unsafe { move_row(from, p, to, q, [a, b], len) });
        });
    }
    Ok(())
}
