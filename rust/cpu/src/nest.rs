//! Loops over the positions of several layouts at once, and their parts for several threads.

use crate::threads;
use smallvec::SmallVec;
use std::ops::Range;
use wengert_ops::Layout;

/// Loops over the positions of `N` arrays of one shape, in row-major order. Dims of size 1 are
/// dropped and dims that lie regularly in all arrays are merged.
#[derive(Clone, Debug)]
pub struct Nest<const N: usize> {
    /// Outer to inner, never empty.
    dims: SmallVec<[(usize, [isize; N]); 4]>,
    start: [isize; N],
}

impl Nest<1> {
    /// Over one layout.
    pub fn of(layout: &Layout) -> Nest<1> {
        Nest::new(layout.shape(), [layout.strides()], [layout.offset()])
    }
}

impl<const N: usize> Nest<N> {
    pub fn new(shape: &[usize], strides: [&[isize]; N], offsets: [usize; N]) -> Nest<N> {
        let mut dims: SmallVec<[(usize, [isize; N]); 4]> = SmallVec::new();
        // Sizes beside a 0 may be anything, so that even their product has no meaning.
        if shape.contains(&0) {
            dims.push((0, [1; N]));
            return Nest { dims, start: offsets.map(|o| o as isize) };
        }
        for (d, &n) in shape.iter().enumerate() {
            if n == 1 {
                continue;
            }
            let step: [isize; N] = std::array::from_fn(|k| strides[k][d]);
            match dims.last_mut() {
                Some((m, outer)) if (0..N).all(|k| outer[k] == step[k].wrapping_mul(n as isize)) => {
                    *m *= n;
                    *outer = step;
                }
                _ => dims.push((n, step)),
            }
        }
        if dims.is_empty() {
            dims.push((1, [1; N]));
        }
        Nest { dims, start: offsets.map(|o| o as isize) }
    }

    /// Size of the innermost loop.
    pub fn inner(&self) -> usize {
        self.dims[self.dims.len() - 1].0
    }

    /// Steps of the innermost loop.
    pub fn steps(&self) -> [isize; N] {
        self.dims[self.dims.len() - 1].1
    }

    /// How many times the innermost loop runs.
    pub fn outer(&self) -> usize {
        self.dims[..self.dims.len() - 1].iter().map(|d| d.0).product()
    }

    pub fn numel(&self) -> usize {
        self.outer() * self.inner()
    }

    /// Positions of the first element.
    pub fn start(&self) -> [isize; N] {
        self.start
    }

    /// The same loops from another start.
    pub fn moved(mut self, start: [isize; N]) -> Nest<N> {
        self.start = start;
        self
    }

    /// Size of the largest loop.
    pub fn largest(&self) -> usize {
        self.dims.iter().map(|d| d.0).max().unwrap_or(1)
    }

    /// The part of a nest whose largest loop runs over `range` only: for sharing work out.
    pub fn part(&self, range: Range<usize>) -> Nest<N> {
        let mut part = self.clone();
        let largest = self.largest();
        if let Some((n, step)) = part.dims.iter_mut().find(|d| d.0 == largest) {
            *n = range.len();
            for (start, step) in part.start.iter_mut().zip(step) {
                *start += range.start as isize * *step;
            }
        }
        part
    }

    /// Calls `f(starts, steps, len)` for each innermost loop.
    #[inline(always)]
    pub fn rows(&self, f: impl FnMut([isize; N], [isize; N], usize)) {
        self.rows_in(0..self.outer(), f)
    }

    /// The innermost loops of a range of `0..self.outer()`.
    #[inline(always)]
    pub fn rows_in(&self, range: Range<usize>, mut f: impl FnMut([isize; N], [isize; N], usize)) {
        let Some((&(len, steps), outer)) = self.dims.split_last() else { return };
        if len == 0 || range.is_empty() {
            return;
        }
        let mut at = self.start;
        let mut counter: SmallVec<[usize; 8]> = SmallVec::from_elem(0, outer.len());
        let mut rest = range.start;
        for (d, &(n, step)) in outer.iter().enumerate().rev() {
            counter[d] = rest % n;
            rest /= n;
            for k in 0..N {
                at[k] += counter[d] as isize * step[k];
            }
        }
        for _ in range {
            f(at, steps, len);
            for (d, &(n, step)) in outer.iter().enumerate().rev() {
                counter[d] += 1;
                for k in 0..N {
                    at[k] += step[k];
                }
                if counter[d] < n {
                    break;
                }
                counter[d] = 0;
                for k in 0..N {
                    at[k] -= n as isize * step[k];
                }
            }
        }
    }

    /// Calls `f(starts, [outer steps, inner steps], [outer size, inner size])` for each pair of innermost loops.
    pub fn planes(&self, mut f: impl FnMut([isize; N], [[isize; N]; 2], [usize; 2])) {
        let Some((&(len, inner), rest)) = self.dims.split_last() else { return };
        let (&(rows, outer), rest) = rest.split_last().unwrap_or((&(1, [0; N]), &[]));
        let mut dims = SmallVec::from_slice(rest);
        if dims.is_empty() {
            dims.push((1, [0; N]));
        }
        Nest { dims, start: self.start }.each(|starts| f(starts, [outer, inner], [rows, len]));
    }

    /// Calls `f` with the positions of each element.
    #[inline(always)]
    pub fn each(&self, mut f: impl FnMut([isize; N])) {
        self.rows(|mut at, steps, len| {
            for _ in 0..len {
                f(at);
                for k in 0..N {
                    at[k] += steps[k];
                }
            }
        })
    }
}

/// Arrays of one shape as lines along one dim: a nest over the other dims, and the dim's length and
/// steps. The nest is sorted so that the smallest stride of the first array is innermost.
#[derive(Clone, Debug)]
pub struct Lines<const N: usize> {
    pub outer: Nest<N>,
    pub len: usize,
    pub steps: [isize; N],
}

impl<const N: usize> Lines<N> {
    /// Strides of `dim` itself are looked up too; a 0-d array is one line of one element.
    pub fn new(shape: &[usize], strides: [&[isize]; N], offsets: [usize; N], dim: usize) -> Lines<N> {
        let mut order: SmallVec<[usize; 8]> = (0..shape.len()).filter(|&d| d != dim).collect();
        order.sort_by_key(|&d| {
            let s = strides[0][d].unsigned_abs();
            std::cmp::Reverse(if s == 0 { usize::MAX } else { s })
        });
        // Of empty lines there are none: their number may be any.
        let empty = shape.contains(&0);
        let sizes: SmallVec<[usize; 8]> = order.iter().map(|&d| if empty { 0 } else { shape[d] }).collect();
        let sorted: [SmallVec<[isize; 8]>; N] = std::array::from_fn(|k| order.iter().map(|&d| strides[k][d]).collect());
        Lines {
            outer: Nest::new(&sizes, std::array::from_fn(|k| &sorted[k][..]), offsets),
            len: if empty { 0 } else { shape.get(dim).copied().unwrap_or(1) },
            steps: std::array::from_fn(|k| strides[k].get(dim).copied().unwrap_or(1)),
        }
    }

    /// The same lines from their other ends.
    pub fn reversed(mut self) -> Lines<N> {
        for k in 0..N {
            self.outer.start[k] += (self.len as isize - 1).max(0) * self.steps[k];
            self.steps[k] = -self.steps[k];
        }
        self
    }

    /// Runs `f` on parts of the lines, on several threads where that pays.
    pub fn share(&self, f: impl Fn(&Nest<N>) + Sync) {
        let n = self.outer.largest();
        if let Some(lines) = self.outer.numel().checked_div(n) {
            let each = lines * self.len;
            parallel(n, each, |range| f(&self.outer.part(range)));
        }
    }
}

/// From this many elements on, work is split over threads.
pub const GRAIN: usize = 1 << 16;

/// Runs `f` over parts of `0..count`, on several threads if `count * cost` elements are worth it.
pub fn parallel(count: usize, cost: usize, f: impl Fn(Range<usize>) + Sync) {
    let parts = (count.saturating_mul(cost) / GRAIN.div_ceil(2)).min(count);
    if parts < 2 {
        return f(0..count);
    }
    threads::ranges(count, parts, f);
}

#[cfg(test)]
mod tests {
    use super::*;
    use wengert_ops::{Dims, Strides};

    #[test]
    fn nests_merge_what_is_regular_and_keep_row_major_order() {
        let layout = Layout::contiguous(&[2, 3, 4]);
        assert_eq!((Nest::of(&layout).outer(), Nest::of(&layout).inner()), (1, 24));
        let t = Layout::strided(Dims::from_slice(&[3, 1, 2]), Strides::from_slice(&[-1, 7, 3]), 2);
        let mut seen = vec![];
        Nest::of(&t).each(|[p]| seen.push(p));
        assert_eq!(seen, [2, 5, 1, 4, 0, 3]);
        let mut tail = vec![];
        Nest::of(&t).rows_in(1..3, |[p], [s], n| tail.push((p, s, n)));
        assert_eq!(tail, [(1, 3, 2), (0, 3, 2)]);
        let mut part = vec![];
        Nest::of(&t).part(1..3).each(|[p]| part.push(p));
        assert_eq!(part, [1, 4, 0, 3]);
        let empty = Layout::contiguous(&[2, 0, 3]);
        Nest::of(&empty).each(|_| panic!("an empty layout has no positions"));
        let mut count = 0;
        Nest::of(&Layout::contiguous(&[])).each(|_| count += 1);
        assert_eq!(count, 1);
    }

    #[test]
    fn lines_read_backwards() {
        let x = Layout::contiguous(&[2, 3]);
        let lines = Lines::new(x.shape(), [x.strides()], [0], 1).reversed();
        let mut starts = vec![];
        lines.outer.each(|[p]| starts.push(p));
        assert_eq!((starts, lines.steps, lines.len), (vec![2, 5], [-1], 3));
        let scalar = Lines::new(&[], [&[]], [4], 0);
        assert_eq!((scalar.len, scalar.outer.numel(), scalar.outer.start()), (1, 1, [4]));
    }

    #[test]
    fn parallel_covers_every_index_once() {
        let hits: Vec<std::sync::atomic::AtomicUsize> = (0..1000).map(|_| Default::default()).collect();
        parallel(1000, 1000, |range| {
            for i in range {
                hits[i].fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            }
        });
        assert!(hits.iter().all(|h| h.load(std::sync::atomic::Ordering::Relaxed) == 1));
    }
}
