//! The LSTM cell: c′ = f c + i g and h = o tanh(c′), with i, f, o = σ and g = tanh of the sums that go into the gates.
//!
//! Hochreiter and Schmidhuber, "Long short-term memory" (1997); Gers et al., "Learning to forget" (2000).

use super::{output, Real};
use crate::buffer::Buffer;
use crate::strided::{packed, parallel, vectorised, Ptr};
use wengert_ops::{Result, View, ViewMut};

/// Work of a hidden unit in elements: five elementary functions.
const COST: usize = 16;

/// The four gates of a row.
#[inline(always)]
fn gates<T>(row: &[T]) -> [&[T]; 4] {
    let m = row.len() / 4;
    [0, 1, 2, 3].map(|k| &row[k * m..(k + 1) * m])
}

/// Inputs the sums `[…, 4m]` and c; outputs h, c′ and the gates' values.
pub(super) fn forward<T: Real>(
    sums: View<'_, Buffer>,
    c: View<'_, Buffer>,
    [h, next, values]: [&ViewMut<'_, Buffer>; 3],
) -> Result<()> {
    let (m, count) = (c.layout.shape().last().copied().unwrap_or(1), c.layout.numel());
    if count == 0 {
        return Ok(());
    }
    // SAFETY: the dtype was matched to T; outputs share no elements with the inputs or each other.
    let (sums, c, h, next, values) = unsafe {
        let (h, next, values) = (output::<T>(h, count)?, output::<T>(next, count)?, output::<T>(values, 4 * count)?);
        (packed::<T>(sums)?, packed::<T>(c)?, h, next, values)
    };
    steps(m, &sums, &c, h, next, values);
    Ok(())
}

/// Rows of `m` hidden units step.
pub(super) fn steps<T: Real>(m: usize, sums: &[T], c: &[T], h: &mut [T], next: &mut [T], values: &mut [T]) {
    let count = c.len();
    assert!(h.len() == count && next.len() == count && sums.len() == 4 * count && values.len() == 4 * count);
    let (h, next, values) = (Ptr::new(h.as_mut_ptr()), Ptr::new(next.as_mut_ptr()), Ptr::new(values.as_mut_ptr()));
    parallel(count / m, m * COST, |rows| {
        for i in rows {
            let (at, four) = (i * m, 4 * i * m);
            // SAFETY: each row belongs to one task.
            let (h, next, values) = unsafe {
                (h.slice_mut(at as isize, m), next.slice_mut(at as isize, m), values.slice_mut(four as isize, 4 * m))
            };
            step(&sums[four..four + 4 * m], &c[at..at + m], h, next, values);
        }
    });
}

#[inline(always)]
fn step_body<T: Real>(fma: bool, sums: &[T], c: &[T], h: &mut [T], next: &mut [T], values: &mut [T]) {
    let m = c.len();
    // One elementary function in each loop, and slices that are arguments of their own: the compiler does not always make
    // vectors of other forms.
    for (v, &s) in values[..2 * m].iter_mut().zip(&sums[..2 * m]) {
        *v = s.sigmoid(fma);
    }
    for (v, &s) in values[2 * m..3 * m].iter_mut().zip(&sums[2 * m..3 * m]) {
        *v = s.tanh(fma);
    }
    for (v, &s) in values[3 * m..4 * m].iter_mut().zip(&sums[3 * m..4 * m]) {
        *v = s.sigmoid(fma);
    }
    let [i, f, g, o] = gates(&values[..4 * m]);
    let (h, next) = (&mut h[..m], &mut next[..m]);
    for k in 0..m {
        next[k] = f[k] * c[k] + i[k] * g[k];
    }
    for k in 0..m {
        h[k] = o[k] * next[k].tanh(fma);
    }
}
vectorised! {
    fn step<T: Real>(sums: &[T], c: &[T], h: &mut [T], next: &mut [T], values: &mut [T]) = fma step_body
}

/// Inputs the gradients of h and c′, then c, c′ and the gates' values; outputs the gradients of the sums and of c.
pub(super) fn backward<T: Real>(
    [gh, gnext, c, next, values]: [View<'_, Buffer>; 5],
    [gsums, gc]: [&ViewMut<'_, Buffer>; 2],
) -> Result<()> {
    let (m, count) = (c.layout.shape().last().copied().unwrap_or(1), c.layout.numel());
    if count == 0 {
        return Ok(());
    }
    // SAFETY: the dtypes were matched to T; outputs share no elements with the inputs or each other.
    let (gh, gnext, c, next, values, gsums, gc) = unsafe {
        let (gsums, gc) = (output::<T>(gsums, 4 * count)?, output::<T>(gc, count)?);
        let (gh, gnext, c, next) = (packed::<T>(gh)?, packed::<T>(gnext)?, packed::<T>(c)?, packed::<T>(next)?);
        (gh, gnext, c, next, packed::<T>(values)?, gsums, gc)
    };
    steps_back(m, [&gh, &gnext], [&c, &next], &values, (gsums, gc));
    Ok(())
}

/// Rows of `m` hidden units go back: the gradients of h and c′, c and c′, the gates' values.
pub(super) fn steps_back<T: Real>(
    m: usize,
    [gh, gnext]: [&[T]; 2],
    [c, next]: [&[T]; 2],
    values: &[T],
    (gsums, gc): (&mut [T], &mut [T]),
) {
    let count = c.len();
    assert!(gsums.len() == 4 * count && gc.len() == count && values.len() == 4 * count);
    let (gsums, gc) = (Ptr::new(gsums.as_mut_ptr()), Ptr::new(gc.as_mut_ptr()));
    parallel(count / m, m * COST, |rows| {
        for i in rows {
            let (row, four) = (i * m..(i + 1) * m, 4 * i * m..4 * (i + 1) * m);
            // SAFETY: each row belongs to one task.
            let out = unsafe { (gsums.slice_mut(four.start as isize, 4 * m), gc.slice_mut(row.start as isize, m)) };
            let states = [&c[row.clone()], &next[row.clone()]];
            step_back([&gh[row.clone()], &gnext[row]], states, &values[four], out);
        }
    });
}

#[inline(always)]
fn step_back_body<T: Real>(
    fma: bool,
    [gh, gnext]: [&[T]; 2],
    [c, next]: [&[T]; 2],
    values: &[T],
    (gsums, gc): (&mut [T], &mut [T]),
) {
    let m = c.len();
    let [i, f, g, o] = gates(&values[..4 * m]);
    let (gh, gnext, next, gc) = (&gh[..m], &gnext[..m], &next[..m], &mut gc[..m]);
    let (gi, rest) = gsums[..4 * m].split_at_mut(m);
    let (gf, rest) = rest.split_at_mut(m);
    let (gg, go) = rest.split_at_mut(m);
    for k in 0..m {
        let t = next[k].tanh(fma);
        let slope = gnext[k] + gh[k] * o[k] * (T::ONE - t * t);
        gi[k] = slope * g[k] * i[k] * (T::ONE - i[k]);
        gf[k] = slope * c[k] * f[k] * (T::ONE - f[k]);
        gg[k] = slope * i[k] * (T::ONE - g[k] * g[k]);
        go[k] = gh[k] * t * o[k] * (T::ONE - o[k]);
        gc[k] = slope * f[k];
    }
}
vectorised! {
    fn step_back<T: Real>(
        grads: [&[T]; 2],
        states: [&[T]; 2],
        values: &[T],
        out: (&mut [T], &mut [T]),
    ) = fma step_back_body
}
