//! Normalisation of channels, over the batch or in groups of each example: y = x̂ · w + b with x̂ = (x − mean) · rstd,
//! rstd = 1/√(variance + eps), and w and b of one element a channel.

use super::{output, sum, sum2, sum_of, Real};
use crate::buffer::Buffer;
use crate::strided::{filled, packed, parallel, vectorised, Number, Ptr};
use wengert_ops::layout::numel;
use wengert_ops::{fail, Result, View, ViewMut};

/// How `x [n, channels, …]` falls into the units that are normalised each by itself, and these into runs: the elements
/// of one channel of one example, which stand one after another.
#[derive(Clone, Copy)]
struct Units {
    /// Of each example; 0: a unit is a channel of all examples.
    groups: usize,
    batch: usize,
    channels: usize,
    /// Elements of a run.
    length: usize,
}

impl Units {
    fn of(groups: u32, shape: &[usize]) -> Result<Units> {
        let (groups, &[batch, channels, ref rest @ ..]) = (groups as usize, shape) else {
            fail!(internal, "channel norm: kernel called with shape {shape:?}");
        };
        if groups > 0 && !channels.is_multiple_of(groups) {
            fail!(internal, "channel norm: kernel called with {groups} groups of {channels} channels");
        }
        Ok(Units { groups, batch, channels, length: numel(rest) })
    }

    fn count(&self) -> usize {
        if self.groups == 0 {
            self.channels
        } else {
            self.batch * self.groups
        }
    }

    /// Runs of a unit.
    fn runs(&self) -> usize {
        self.channels.checked_div(self.groups).unwrap_or(self.batch)
    }

    /// Which of all runs the r-th of a unit is. Its channel is the remainder by `channels`.
    #[inline(always)]
    fn run(&self, unit: usize, r: usize) -> usize {
        if self.groups == 0 {
            r * self.channels + unit
        } else {
            unit * self.runs() + r
        }
    }

    #[inline(always)]
    fn elements(&self, run: usize) -> std::ops::Range<usize> {
        run * self.length..(run + 1) * self.length
    }

    fn numel(&self) -> usize {
        self.batch * self.channels * self.length
    }
}

/// Input x, and w and b where there are; outputs y of x's shape, and each unit's mean and variance.
pub(super) fn forward<T: Real>(
    groups: u32,
    eps: f64,
    x: View<'_, Buffer>,
    affine: &[View<'_, Buffer>],
    y: &ViewMut<'_, Buffer>,
    [mean, variance]: [&ViewMut<'_, Buffer>; 2],
) -> Result<()> {
    let units = Units::of(groups, x.layout.shape())?;
    let count = units.count();
    // SAFETY: the dtype was matched to T; outputs share no elements with the inputs or each other.
    let (x, w, b, y, mean, variance) = unsafe {
        let w = affine.first().map(|w| packed::<T>(*w)).transpose()?;
        let b = affine.get(1).map(|b| packed::<T>(*b)).transpose()?;
        let (mean, variance) = (output::<T>(mean, count)?, output::<T>(variance, count)?);
        (packed::<T>(x)?, w, b, output::<T>(y, units.numel())?, mean, variance)
    };
    let (x, w, b, eps) = (&x[..], w.as_deref(), b.as_deref(), T::from_f64(eps));
    let (y, mean, variance) = (Ptr::new(y.as_mut_ptr()), Ptr::new(mean.as_mut_ptr()), Ptr::new(variance.as_mut_ptr()));
    parallel(count, units.runs() * units.length * 2, |range| {
        for unit in range {
            let (m, v) = normalise(units, unit, eps, x, (w, b), y);
            // SAFETY: each unit belongs to one task.
            unsafe {
                mean.set(unit as isize, m);
                variance.set(unit as isize, v);
            }
        }
    });
    Ok(())
}

/// One unit, whose elements of `y` belong to the caller; its mean and variance.
#[inline(always)]
fn normalise_body<T: Real>(
    units: Units,
    unit: usize,
    eps: T,
    x: &[T],
    (w, b): (Option<&[T]>, Option<&[T]>),
    y: Ptr<T>,
) -> (T, T) {
    let count = T::from_f64((units.runs() * units.length) as f64);
    let mut total = T::Wide::ZERO;
    for r in 0..units.runs() {
        total = total.plus(T::Wide::load(sum(&x[units.elements(units.run(unit, r))])));
    }
    let mean = total.store::<T>() / count;
    let mut squares = T::Wide::ZERO;
    for r in 0..units.runs() {
        let x = &x[units.elements(units.run(unit, r))];
        squares = squares.plus(T::Wide::load(sum_of(x, |s, v| s + (v - mean) * (v - mean))));
    }
    let variance = squares.store::<T>() / count;
    let rstd = T::ONE / (variance + eps).sqrt();
    for r in 0..units.runs() {
        let run = units.run(unit, r);
        let (channel, place) = (run % units.channels, units.elements(run));
        // SAFETY: the run belongs to the caller.
        let y = unsafe { y.slice_mut(place.start as isize, units.length) };
        let scale = w.map_or(rstd, |w| rstd * w[channel]);
        let shift = b.map_or(T::ZERO, |b| b[channel]);
        for (y, &x) in y.iter_mut().zip(&x[place]) {
            *y = (x - mean) * scale + shift;
        }
    }
    (mean, variance)
}
vectorised! {
    fn normalise<T: Real>(
        units: Units,
        unit: usize,
        eps: T,
        x: &[T],
        affine: (Option<&[T]>, Option<&[T]>),
        y: Ptr<T>,
    ) -> (T, T) = normalise_body
}

/// The gradient of x, and with w those of w and b, from that of y, x, the means and variances, and w.
pub(super) fn backward<T: Real>(
    groups: u32,
    eps: f64,
    [g, x, mean, variance]: [View<'_, Buffer>; 4],
    w: Option<View<'_, Buffer>>,
    gx: &ViewMut<'_, Buffer>,
    affine: &[ViewMut<'_, Buffer>],
) -> Result<()> {
    let units = Units::of(groups, x.layout.shape())?;
    let (count, channels, runs) = (units.count(), units.channels, units.batch * units.channels);
    // SAFETY: the dtypes were matched to T; outputs share no elements with the inputs or each other.
    let (g, x, mean, variance, w, gx) = unsafe {
        let w = w.map(|w| packed::<T>(w)).transpose()?;
        let (mean, variance) = (packed::<T>(mean)?, packed::<T>(variance)?);
        (packed::<T>(g)?, packed::<T>(x)?, mean, variance, w, output::<T>(gx, units.numel())?)
    };
    let (g, x, mean, variance, w) = (&g[..], &x[..], &mean[..], &variance[..], w.as_deref());
    // What each run adds to the gradients of its channel's w and b.
    let mut sums = filled([T::Wide::ZERO; 2], runs)?;
    let (gx, to, eps) = (Ptr::new(gx.as_mut_ptr()), Ptr::new(sums.as_mut_ptr()), T::from_f64(eps));
    parallel(count, units.runs() * units.length * 2, |range| {
        for unit in range {
            let rstd = T::ONE / (variance[unit] + eps).sqrt();
            normalise_back(units, unit, (mean[unit], rstd), (g, x), w, (gx, to));
        }
    });
    let [gw, gb] = affine else { return Ok(()) };
    // SAFETY: as above.
    let (gw, gb) = unsafe { (output::<T>(gw, channels)?, output::<T>(gb, channels)?) };
    for (c, (gw, gb)) in gw.iter_mut().zip(gb).enumerate() {
        let of_channel = sums.iter().skip(c).step_by(channels);
        let [w, b] = of_channel.fold([T::Wide::ZERO; 2], |[w, b], part| [w.plus(part[0]), b.plus(part[1])]);
        (*gw, *gb) = (w.store(), b.store());
    }
    Ok(())
}

/// One unit, whose elements of the gradient and whose runs' sums belong to the caller.
#[inline(always)]
fn normalise_back_body<T: Real>(
    units: Units,
    unit: usize,
    (mean, rstd): (T, T),
    (g, x): (&[T], &[T]),
    w: Option<&[T]>,
    (gx, sums): (Ptr<T>, Ptr<[T::Wide; 2]>),
) {
    let count = T::from_f64((units.runs() * units.length) as f64);
    let weight = |run: usize| w.map_or(T::ONE, |w| w[run % units.channels]);
    let (mut level, mut slope) = (T::Wide::ZERO, T::Wide::ZERO);
    for r in 0..units.runs() {
        let run = units.run(unit, r);
        let (g, x) = (&g[units.elements(run)], &x[units.elements(run)]);
        let of_g = sum(g);
        let of_hat = sum2(g, x, |s, g, x| s + g * (x - mean)) * rstd;
        // SAFETY: the run belongs to the caller.
        unsafe { sums.set(run as isize, [T::Wide::load(of_hat), T::Wide::load(of_g)]) };
        level = level.plus(T::Wide::load(weight(run) * of_g));
        slope = slope.plus(T::Wide::load(weight(run) * of_hat));
    }
    let level = rstd * (level.store::<T>() / count);
    let slope = rstd * rstd * (slope.store::<T>() / count);
    for r in 0..units.runs() {
        let run = units.run(unit, r);
        let (place, scale) = (units.elements(run), rstd * weight(run));
        // SAFETY: the run belongs to the caller.
        let gx = unsafe { gx.slice_mut(place.start as isize, units.length) };
        for ((gx, &g), &x) in gx.iter_mut().zip(&g[place.clone()]).zip(&x[place]) {
            *gx = g * scale - level - (x - mean) * slope;
        }
    }
}
vectorised! {
    fn normalise_back<T: Real>(
        units: Units,
        unit: usize,
        stats: (T, T),
        given: (&[T], &[T]),
        w: Option<&[T]>,
        to: (Ptr<T>, Ptr<[T::Wide; 2]>),
    ) = normalise_back_body
}
