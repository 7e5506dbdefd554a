//! An LSTM over a sequence: what its steps share is done once. Forwards no step leaves anything behind but its results;
//! backwards the weights' gradient is one product over all steps, where a tape of single steps has one for each.

use super::lstm::{steps, steps_back};
use super::{output, Real};
use crate::buffer::Buffer;
use crate::matmul::{product, worth_threads, Matrix};
use crate::strided::{filled, packed, Ptr};
use wengert_ops::{fail, Result, View, ViewMut};

/// Steps, rows of a step, and hidden units.
#[derive(Clone, Copy)]
struct Sizes {
    count: usize,
    rows: usize,
    m: usize,
    reverse: bool,
}

impl Sizes {
    fn of(gates: &View<'_, Buffer>, reverse: bool) -> Result<Sizes> {
        match *gates.layout.shape() {
            [count, rows, four] => Ok(Sizes { count, rows, m: four / 4, reverse }),
            ref shape => fail!(internal, "lstm: kernel called with gates {shape:?}"),
        }
    }

    /// Elements of a state.
    fn cells(self) -> usize {
        self.rows * self.m
    }

    /// The place of the turn-th step.
    fn place(self, turn: usize) -> usize {
        if self.reverse {
            self.count - 1 - turn
        } else {
            turn
        }
    }

    /// `out = a · b (+ out)` of row-major matrices `[m, k]` and any `[k, n]`.
    fn times<T: Real>(self, (m, k, n): (usize, usize, usize), a: &[T], b: Matrix<T>, add: bool, out: &mut [T]) {
        assert!(a.len() == m * k && out.len() == m * n);
        let a = Matrix { at: a.as_ptr(), row: k as isize, col: 1 };
        // SAFETY: both slices hold all elements of their matrices, and `b` is the view of an array of this size.
        unsafe { product(m, k, n, a, b, out.as_mut_ptr(), n as isize, add, worth_threads(m * k * n)) }
    }
}

/// The weights `[4m, m]` of any strides.
fn weights<T: Real>(w: &View<'_, Buffer>) -> Matrix<T> {
    let strides = w.layout.strides();
    Matrix { at: Ptr::<T>::of(w.buffer).at(w.layout.offset() as isize), row: strides[0], col: strides[1] }
}

/// Inputs what the sequence gives to the gates, h, c and the weights; outputs h and c after each step, the gates' values.
pub(super) fn forward<T: Real>(
    reverse: bool,
    [gates, h, c, w]: [View<'_, Buffer>; 4],
    [hs, cs, values]: [&ViewMut<'_, Buffer>; 3],
) -> Result<()> {
    let sizes = Sizes::of(&gates, reverse)?;
    let Sizes { count, rows, m, .. } = sizes;
    let cells = sizes.cells();
    if cells == 0 {
        return Ok(());
    }
    // SAFETY: the dtype was matched to T; outputs share no elements with the inputs or each other.
    let (gates, h, c, hs, cs, values) = unsafe {
        let (hs, cs) = (output::<T>(hs, count * cells)?, output::<T>(cs, count * cells)?);
        let values = output::<T>(values, 4 * count * cells)?;
        (packed::<T>(gates)?, packed::<T>(h)?, packed::<T>(c)?, hs, cs, values)
    };
    let w = weights::<T>(&w).t();
    let mut sums = filled(T::ZERO, 4 * cells)?;
    for turn in 0..count {
        let t = sizes.place(turn);
        let (own, four) = (t * cells..(t + 1) * cells, 4 * t * cells..4 * (t + 1) * cells);
        // The states before, beside the room of the new ones.
        let ([h, c], [h_new, c_new]) = match turn {
            0 => ([&h[..], &c[..]], [&mut hs[own.clone()], &mut cs[own]]),
            _ => {
                let [(h, h_new), (c, c_new)] =
                    [&mut *hs, &mut *cs].map(|all| pair(all, cells, sizes.place(turn - 1), t));
                ([h, c], [h_new, c_new])
            }
        };
        sums.copy_from_slice(&gates[four.clone()]);
        sizes.times((rows, m, 4 * m), h, w, true, &mut sums);
        steps(m, &sums, c, h_new, c_new, &mut values[four]);
    }
    Ok(())
}

/// Parts `from` and `to` of an array of parts of `len`.
fn pair<T>(all: &mut [T], len: usize, from: usize, to: usize) -> (&[T], &mut [T]) {
    let (low, high) = all.split_at_mut(from.max(to) * len);
    match from < to {
        true => (&low[from * len..][..len], &mut high[..len]),
        false => (&high[..len], &mut low[to * len..][..len]),
    }
}

/// Inputs the gradients of h after each step, then h, c, the weights, h and c after each step and the gates' values, perhaps
/// the gradients of c after each step; outputs the gradients of all inputs.
pub(super) fn backward<T: Real>(
    reverse: bool,
    [ghs, h, c, w, hs, cs, values]: [View<'_, Buffer>; 7],
    gcs: Option<View<'_, Buffer>>,
    [ggates, gh, gc, gw]: [&ViewMut<'_, Buffer>; 4],
) -> Result<()> {
    let sizes = Sizes::of(&values, reverse)?;
    let Sizes { count, rows, m, .. } = sizes;
    let cells = sizes.cells();
    // SAFETY: the dtypes were matched to T; outputs share no elements with the inputs or each other.
    let (gw, ggates, gh, gc) = unsafe {
        let ggates = output::<T>(ggates, 4 * count * cells)?;
        (output::<T>(gw, 4 * m * m)?, ggates, output::<T>(gh, cells)?, output::<T>(gc, cells)?)
    };
    if cells == 0 {
        gw.fill(T::ZERO);
        return Ok(());
    }
    // SAFETY: as above.
    let (ghs, h, c, hs, cs, values, gcs) = unsafe {
        let gcs = gcs.map(|gcs| packed::<T>(gcs)).transpose()?;
        let (hs, cs, values) = (packed::<T>(hs)?, packed::<T>(cs)?, packed::<T>(values)?);
        (packed::<T>(ghs)?, packed::<T>(h)?, packed::<T>(c)?, hs, cs, values, gcs)
    };
    let w = weights::<T>(&w);
    let part = |all: &[T], t: usize| -> std::ops::Range<usize> {
        let len = all.len() / count;
        t * len..(t + 1) * len
    };
    let (mut gh_step, mut gc_before) = (filled(T::ZERO, cells)?, filled(T::ZERO, cells)?);
    gc.fill(T::ZERO);
    for turn in (0..count).rev() {
        let t = sizes.place(turn);
        gh_step.copy_from_slice(&ghs[part(&ghs, t)]);
        if turn + 1 < count {
            let later = part(ggates, sizes.place(turn + 1));
            sizes.times((rows, 4 * m, m), &ggates[later], w, true, &mut gh_step);
        }
        if let Some(gcs) = &gcs {
            gc.iter_mut().zip(&gcs[part(gcs, t)]).for_each(|(sum, g)| *sum = *sum + *g);
        }
        let before = if turn == 0 { &c[..] } else { &cs[part(&cs, sizes.place(turn - 1))] };
        let own = part(ggates, t);
        let states = [before, &cs[part(&cs, t)]];
        steps_back(m, [&gh_step, gc], states, &values[part(&values, t)], (&mut ggates[own], &mut gc_before));
        gc.copy_from_slice(&gc_before);
    }
    let first = part(ggates, sizes.place(0));
    sizes.times((rows, 4 * m, m), &ggates[first.clone()], w, false, gh);
    // Each step's gates with h before it: of all steps but the first that is the h of another.
    let transposed = |g: &[T]| Matrix { at: g.as_ptr(), row: 1, col: 4 * m as isize };
    let matrix = |h: &[T]| Matrix { at: h.as_ptr(), row: m as isize, col: 1 };
    let others = (count - 1) * rows;
    let (later, earlier) = if reverse { (0, cells) } else { (4 * cells, 0) };
    let mut add = |g: &[T], h: &[T], rows: usize, more: bool| {
        assert!(g.len() == 4 * rows * m && h.len() == rows * m);
        // SAFETY: the slices hold all elements of the matrices.
        unsafe {
            let threads = worth_threads(4 * m * m * rows);
            product(4 * m, rows, m, transposed(g), matrix(h), gw.as_mut_ptr(), m as isize, more, threads);
        }
    };
    add(&ggates[first], &h, rows, false);
    if others > 0 {
        add(&ggates[later..][..4 * others * m], &hs[earlier..][..others * m], others, true);
    }
    Ok(())
}
