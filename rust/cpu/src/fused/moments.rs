//! Variance and mean over dims in one pass: the moments of short blocks, about each block's own mean, join into those of
//! all.
//!
//! Chan, Golub and LeVeque, "Updating formulae and a pairwise algorithm for computing sample variances" (1979).

use super::{output, Real};
use crate::buffer::Buffer;
use crate::lanes;
use crate::nest::Nest;
use crate::reduce::nests;
use crate::strided::{parallel, vectorised, Ptr, GRAIN};
use crate::threads;
use wengert_ops::{Result, View, ViewMut};

/// How many numbers, their mean, and the sum of the squares of their distances from it.
#[derive(Clone, Copy, Default, Debug)]
struct Moments {
    count: f64,
    mean: f64,
    squares: f64,
}

impl Moments {
    /// From the sums of the squares of the distances from `mean` and of the distances, since that is rounded.
    #[inline(always)]
    fn about<T: Real>(count: f64, mean: T, squares: T, distances: T) -> Moments {
        let rest = distances.to_f64() / count;
        let less = squares.to_f64() - rest * rest * count;
        Moments { count, mean: mean.to_f64() + rest, squares: if less < 0.0 { 0.0 } else { less } }
    }

    #[inline(always)]
    fn join(self, other: Moments) -> Moments {
        let count = self.count + other.count;
        if count == 0.0 {
            return self;
        }
        let (apart, share) = (other.mean - self.mean, other.count / count);
        Moments {
            count,
            mean: self.mean + apart * share,
            squares: self.squares + other.squares + apart * apart * self.count * share,
        }
    }
}

/// Elements whose moments are taken in `T`.
const BLOCK: usize = 1024;
/// Of lines whose elements lie apart, which are copied together first.
const APART: usize = 128;

vectorised! { fn of_slice<T: Real>(x: &[T]) -> Moments = of_slice_body }

#[inline(always)]
fn of_slice_body<T: Real>(x: &[T]) -> Moments {
    x.chunks(BLOCK).fold(Moments::default(), |all, block| {
        let count = block.len() as f64;
        let about = lanes::fold(block, T::ZERO, T::plus, T::plus) / T::from_f64(count);
        let step = (|s: T, v: T| s + (v - about), |s: T, v: T| s + (v - about) * (v - about));
        let (rest, squares) = lanes::fold_both(block, (T::ZERO, T::ZERO), step, (T::plus, T::plus));
        all.join(Moments::about(count, about, squares, rest))
    })
}

/// Elements `step` apart.
fn of_line<T: Real>(x: Ptr<T>, start: isize, step: isize, len: usize) -> Moments {
    if step == 1 {
        // SAFETY: the nest's positions lie in the buffer.
        return of_slice(unsafe { x.slice(start, len) });
    }
    let mut all = Moments::default();
    for first in (0..len).step_by(APART) {
        let mut block = [T::ZERO; APART];
        let block = &mut block[..APART.min(len - first)];
        for (k, v) in block.iter_mut().enumerate() {
            // SAFETY: as above.
            *v = unsafe { x.get(start + (first + k) as isize * step) };
        }
        all = all.join(of_slice(block));
    }
    all
}

/// Columns side by side, and lines of them whose moments are taken in `T`.
const WIDTH: usize = 256;
const LINES: usize = 32;

vectorised! { fn add_line<T: Real>(sums: &mut [T], line: &[T]) = add_line_body }
vectorised! { fn add_squares<T: Real>(squares: &mut [T], rests: &mut [T], line: &[T], about: &[T]) = add_squares_body }
vectorised! { fn join_lines<T: Real>(all: &mut [Moments], count: f64, about: &[T], squares: &[T], rests: &[T]) = join_lines_body }

#[inline(always)]
fn add_line_body<T: Real>(sums: &mut [T], line: &[T]) {
    sums.iter_mut().zip(line).for_each(|(s, &v)| *s = *s + v);
}

#[inline(always)]
fn add_squares_body<T: Real>(squares: &mut [T], rests: &mut [T], line: &[T], about: &[T]) {
    for (((s, r), &v), &m) in squares.iter_mut().zip(rests).zip(line).zip(about) {
        *r = *r + (v - m);
        *s = *s + (v - m) * (v - m);
    }
}

#[inline(always)]
fn join_lines_body<T: Real>(all: &mut [Moments], count: f64, about: &[T], squares: &[T], rests: &[T]) {
    for (((all, &m), &s), &r) in all.iter_mut().zip(about).zip(squares).zip(rests) {
        *all = all.join(Moments::about(count, m, s, r));
    }
}

/// The moments of `width` neighbouring columns from `start` on, into `all`.
fn of_columns<T: Real>(x: Ptr<T>, start: isize, inner: &Nest<1>, all: &mut [Moments]) {
    let width = all.len();
    inner.rows(|[s], [step], len| {
        for first in (0..len).step_by(LINES) {
            let count = LINES.min(len - first);
            // SAFETY: the nests' positions lie in the buffer.
            let line = |k: usize| unsafe { x.slice(start + s + (first + k) as isize * step, width) };
            let [mut about, mut squares, mut rests] = [[T::ZERO; WIDTH]; 3];
            let (about, squares, rests) = (&mut about[..width], &mut squares[..width], &mut rests[..width]);
            (0..count).for_each(|k| add_line(about, line(k)));
            about.iter_mut().for_each(|m| *m = *m / T::from_f64(count as f64));
            (0..count).for_each(|k| add_squares(squares, rests, line(k), about));
            join_lines(all, count as f64, about, squares, rests);
        }
    });
}

fn by_columns(kept: &Nest<2>, inner: &Nest<1>) -> bool {
    kept.steps()[0] == 1 && kept.inner() > 1 && inner.steps()[0] != 1
}

/// Gives `sink` the moments of the elements of `inner` for each position of `kept`, with that position in the output.
fn run<T: Real>(x: Ptr<T>, kept: &Nest<2>, inner: &Nest<1>, mut sink: impl FnMut(isize, Moments)) {
    let columns = by_columns(kept, inner);
    kept.rows(|[p, q], [along, step], len| {
        let width = if columns { WIDTH } else { 1 };
        for first in (0..len).step_by(width) {
            let mut found = [Moments::default(); WIDTH];
            let found = &mut found[..width.min(len - first)];
            let start = p + first as isize * along;
            if columns {
                of_columns(x, start, inner, found);
            } else {
                inner.rows(|[s], [step], len| found[0] = found[0].join(of_line(x, start + s, step, len)));
            }
            for (k, moments) in found.iter().enumerate() {
                sink(q + (first + k) as isize * step, *moments);
            }
        }
    });
}

/// Input x; outputs the squares' sum divided by n − `correction` (by 0 where that is less) and the mean.
pub(super) fn forward<T: Real>(
    dims: u64,
    correction: f64,
    x: View<'_, Buffer>,
    [variance, mean]: [&ViewMut<'_, Buffer>; 2],
) -> Result<()> {
    let (kept, inner) = nests(x.layout, dims, variance.layout());
    let results = variance.layout().numel();
    // SAFETY: the dtype was matched to T; outputs share no elements with x or each other.
    let (variances, means) = unsafe { (output::<T>(variance, results)?, output::<T>(mean, results)?) };
    let (variances, means) = (Ptr::new(variances.as_mut_ptr()), Ptr::new(means.as_mut_ptr()));
    let from = variance.layout().offset() as isize;
    let write = |q: isize, m: Moments| {
        let freedom = (inner.numel() as f64 - correction).max(0.0);
        let mean = if m.count == 0.0 { f64::NAN } else { m.mean };
        // SAFETY: each position belongs to one part, and the outputs are alike.
        unsafe {
            variances.set(q - from, T::from_f64(m.squares / freedom));
            means.set(q - from, T::from_f64(mean));
        }
    };
    let x = Ptr::<T>::of(x.buffer);
    let total = kept.numel().saturating_mul(inner.numel());
    if total < 2 * GRAIN {
        run(x, &kept, &inner, write);
    } else if kept.largest() >= if by_columns(&kept, &inner) { 4 * WIDTH } else { 32 } || inner.largest() < 64 {
        let n = kept.largest();
        parallel(n, total / n, |range| run(x, &kept.part(range), &inner, write));
    } else {
        // Few results of many elements each: a part takes some of each.
        let n = inner.largest();
        let parts = (total / GRAIN).clamp(2, 32).min(n);
        let partial = threads::gather(parts, |p| {
            let mut found = Vec::with_capacity(kept.numel());
            run(x, &kept, &inner.part(n * p / parts..n * (p + 1) / parts), |q, m| found.push((q, m)));
            found
        });
        for k in 0..kept.numel() {
            let all = partial.iter().fold(Moments::default(), |all, part| all.join(part[k].1));
            write(partial[0][k].0, all);
        }
    }
    Ok(())
}
