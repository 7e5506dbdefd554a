//! The common dims of a call's arrays, and the blocks that a call is cut into.

use super::movers::Patch;
use smallvec::SmallVec;
use wengert_ops::Layout;

/// Elements of a scratch block: every block of a call stays in the first-level cache.
pub const BLOCK: usize = 1024;
/// Arrays of one call: four inputs, value, gradient, output.
pub const ARRAYS: usize = 7;

/// One loop: its size, and each array's step.
#[derive(Clone, Copy, Debug)]
struct Loop {
    len: usize,
    steps: [isize; ARRAYS],
}

/// Loops from inner to outer. Dims of size 1 are dropped, dims regular in all arrays merged.
#[derive(Debug)]
pub struct Plan {
    loops: SmallVec<[Loop; 4]>,
}

/// Where a block starts: an index per loop.
#[derive(Debug)]
pub struct Place {
    index: SmallVec<[usize; 4]>,
}

impl Place {
    /// The index in the innermost loop.
    pub fn column(&self) -> usize {
        self.index[0]
    }
}

impl Plan {
    /// All arrays row-major and dense.
    pub fn flat(len: usize) -> Plan {
        Plan { loops: SmallVec::from_slice(&[Loop { len, steps: [1; ARRAYS] }]) }
    }

    /// Of arrays of one shape; `None` stands for a scalar.
    pub fn new(shape: &[usize], layouts: &[Option<&Layout>]) -> Plan {
        let mut loops: SmallVec<[Loop; 4]> = SmallVec::new();
        for (d, &len) in shape.iter().enumerate().rev() {
            if len == 1 {
                continue;
            }
            let mut steps = [0; ARRAYS];
            for (step, layout) in steps.iter_mut().zip(layouts) {
                *step = layout.map_or(0, |l| l.strides()[d]);
            }
            match loops.last_mut() {
                Some(inner)
                    if (0..layouts.len()).all(|k| steps[k] == inner.steps[k].wrapping_mul(inner.len as isize)) =>
                {
                    inner.len *= len
                }
                _ => loops.push(Loop { len, steps }),
            }
        }
        if loops.is_empty() {
            return Plan::flat(1);
        }
        Plan { loops }
    }

    pub fn is_flat(&self) -> bool {
        self.loops.len() == 1
    }

    /// Length of the innermost loop.
    pub fn inner(&self) -> usize {
        self.loops[0].len
    }

    /// Step of array `k` in the innermost loop.
    pub fn step(&self, k: usize) -> isize {
        self.loops[0].steps[k]
    }

    /// The place of an element by its row-major number.
    pub fn place(&self, number: usize) -> Place {
        if self.is_flat() {
            return Place { index: SmallVec::from_slice(&[number]) };
        }
        let mut rest = number;
        let index = self.loops.iter().map(|l| {
            let i = rest % l.len;
            rest /= l.len;
            i
        });
        Place { index: index.collect() }
    }

    /// Moves a place on by some elements.
    pub fn advance(&self, place: &mut Place, by: usize) {
        place.index[0] += by;
        for d in 0..self.loops.len() - 1 {
            let len = self.loops[d].len;
            if place.index[d] < len {
                break;
            }
            // Mostly one row: divisions are slow.
            let rows = if place.index[d] == len { 1 } else { place.index[d] / len };
            place.index[d] -= rows * len;
            place.index[d + 1] += rows;
        }
    }

    /// The position of a place in array `k`, relative to the array's first element.
    pub fn offset(&self, place: &Place, k: usize) -> isize {
        self.loops.iter().zip(&place.index).map(|(l, &i)| i as isize * l.steps[k]).sum()
    }

    /// Calls `f(offset in array k, patch, elements before)` for patches that cover `len` elements from a place on.
    pub fn patches(&self, place: &Place, k: usize, len: usize, mut f: impl FnMut(isize, Patch, usize)) {
        let inner = &self.loops[0];
        let first = place.index[0];
        if first + len <= inner.len {
            return f(self.offset(place, k), Patch { len, step: inner.steps[k], rows: 1, row_step: 0 }, 0);
        }
        let mut at = Place { index: place.index.clone() };
        let mut done = 0;
        while done < len {
            let (n, rows) = match (at.index[0], len - done) {
                (0, left) if left >= inner.len => (inner.len, (self.loops[1].len - at.index[1]).min(left / inner.len)),
                (i, left) => ((inner.len - i).min(left), 1),
            };
            let row_step = self.loops.get(1).map_or(0, |l| l.steps[k]);
            f(self.offset(&at, k), Patch { len: n, step: inner.steps[k], rows, row_step }, done);
            done += n * rows;
            at.index[0] += n;
            if at.index[0] == inner.len && self.loops.len() > 1 {
                at.index[0] = 0;
                at.index[1] += rows;
                for d in 1..self.loops.len() - 1 {
                    if at.index[d] == self.loops[d].len {
                        at.index[d] = 0;
                        at.index[d + 1] += 1;
                    }
                }
            }
        }
    }
}
