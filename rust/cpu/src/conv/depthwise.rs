//! Convolution where each group has one input channel: a product per group would be too thin for GEMM, so that each tap of
//! the window is multiplied along the lines instead.

use super::{for_tasks, Factor, Geometry};
use crate::lanes;
use crate::strided::{vectorised, Ptr};
use smallvec::SmallVec;
use std::ops::Range;
use wengert_ops::ConvRole;

/// A task is a channel: of one example where that has an output of its own, of all examples for the weight's gradient.
pub(super) fn run<T: Factor>(g: &Geometry, role: ConvRole, a: &[T], b: &[T], out: &mut [T], threads: bool) {
    let (plane, points, taps) = (g.plane(), g.points(), g.taps());
    let (images, y_size, w_size) = (g.batch * g.groups, g.o * points, g.o * taps);
    let out = Ptr::new(out.as_mut_ptr());
    for_tasks(if role == ConvRole::Weight { g.groups } else { images }, threads, |_: &mut Vec<T>, task| {
        let group = task % g.groups;
        let own = |size: usize| {
            // SAFETY: each task has a part of the output of its own.
            let own = unsafe { out.slice_mut((task * size) as isize, size) };
            own.fill(T::ZERO);
            own
        };
        match role {
            ConvRole::Forward => {
                let (x, w) = (&a[task * plane..][..plane], &b[group * w_size..][..w_size]);
                for (y, w) in own(y_size).chunks_exact_mut(points).zip(w.chunks_exact(taps)) {
                    forward(g, x, w, y);
                }
            }
            ConvRole::Input => {
                let (gy, w, gx) = (&a[task * y_size..][..y_size], &b[group * w_size..][..w_size], own(plane));
                for (gy, w) in gy.chunks_exact(points).zip(w.chunks_exact(taps)) {
                    input_gradient(g, gy, w, gx);
                }
            }
            ConvRole::Weight => {
                let gw = own(w_size);
                for image in (group..images).step_by(g.groups) {
                    let (gy, x) = (&a[image * y_size..][..y_size], &b[image * plane..][..plane]);
                    for (gy, gw) in gy.chunks_exact(points).zip(gw.chunks_exact_mut(taps)) {
                        weight_gradient(g, gy, x, gw);
                    }
                }
            }
        }
    });
}

/// For each output line and tap that reads the input there: the tap, and the first places in the output's and the
/// input's plane with their number.
#[inline(always)]
fn walk(g: &Geometry, mut f: impl FnMut(usize, usize, usize, usize)) {
    let [kd, kh, kw] = g.kernel;
    let insides: SmallVec<[(Range<usize>, usize); 8]> = (0..kw).map(|k| g.inside(k)).collect();
    for line in 0..g.lines() {
        for outer in 0..kd * kh {
            let Some(start) = g.input_line(line, outer / kh, outer % kh) else { continue };
            for (k, (inside, from)) in insides.iter().enumerate() {
                if !inside.is_empty() {
                    let to = line * g.output[2] + inside.start;
                    f(outer * kw + k, to, start + from, inside.len());
                }
            }
        }
    }
}

vectorised! { fn forward<T: Factor>(g: &Geometry, x: &[T], w: &[T], y: &mut [T]) = forward_body }
vectorised! { fn input_gradient<T: Factor>(g: &Geometry, gy: &[T], w: &[T], gx: &mut [T]) = input_gradient_body }
vectorised! { fn weight_gradient<T: Factor>(g: &Geometry, gy: &[T], x: &[T], gw: &mut [T]) = weight_gradient_body }

#[inline(always)]
fn forward_body<T: Factor>(g: &Geometry, x: &[T], w: &[T], y: &mut [T]) {
    let stride = g.stride[2];
    walk(g, |tap, to, from, len| {
        let (w, y) = (w[tap], &mut y[to..to + len]);
        let add = |(y, &x): (&mut T, &T)| *y = y.plus(w.times(x));
        match stride {
            1 => y.iter_mut().zip(&x[from..from + len]).for_each(add),
            _ => y.iter_mut().zip(x[from..].iter().step_by(stride)).for_each(add),
        }
    });
}

#[inline(always)]
fn input_gradient_body<T: Factor>(g: &Geometry, gy: &[T], w: &[T], gx: &mut [T]) {
    let stride = g.stride[2];
    walk(g, |tap, to, from, len| {
        let (w, gy) = (w[tap], &gy[to..to + len]);
        let add = |(x, &g): (&mut T, &T)| *x = x.plus(w.times(g));
        match stride {
            1 => gx[from..from + len].iter_mut().zip(gy).for_each(add),
            _ => gx[from..].iter_mut().step_by(stride).zip(gy).for_each(add),
        }
    });
}

#[inline(always)]
fn weight_gradient_body<T: Factor>(g: &Geometry, gy: &[T], x: &[T], gw: &mut [T]) {
    let stride = g.stride[2];
    walk(g, |tap, to, from, len| {
        let gy = &gy[to..to + len];
        let found = match stride {
            1 => lanes::fold2(gy, &x[from..from + len], T::ZERO, |s, g, x| s.plus(g.times(x)), T::plus),
            _ => gy.iter().zip(x[from..].iter().step_by(stride)).fold(T::ZERO, |s, (&g, &x)| s.plus(g.times(x))),
        };
        gw[tap] = gw[tap].plus(found);
    });
}
