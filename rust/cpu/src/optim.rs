//! Updates of parameters by their gradients, in one pass over memory: for f32 and f64.

use crate::strided::{parallel, vectorised, Number, Ptr};
use std::ops::{Add, Div, Mul, Neg, Sub};

/// The types that updates are computed in.
pub trait Update:
    Number + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self> + Div<Output = Self> + Neg<Output = Self>
{
    fn root(self) -> Self;
}
impl Update for f32 {
    #[inline(always)]
    fn root(self) -> f32 {
        self.sqrt()
    }
}
impl Update for f64 {
    #[inline(always)]
    fn root(self) -> f64 {
        self.sqrt()
    }
}

/// Coefficients of stochastic gradient descent.
#[derive(Clone, Copy, Debug)]
pub struct Sgd<T> {
    /// −1 to ascend.
    pub sign: T,
    pub lr: T,
    pub decay: T,
    pub momentum: T,
    /// The share of the gradient that enters the momentum.
    pub keep: T,
    pub nesterov: bool,
    /// The momentum begins.
    pub first: bool,
}

/// Coefficients of one step of Adam.
#[derive(Clone, Copy, Debug)]
pub struct Adam<T> {
    /// −1 to ascend.
    pub sign: T,
    /// The share of the parameter that is added to the gradient.
    pub coupled: T,
    /// What the parameter is multiplied by first.
    pub shrink: T,
    /// The gradient's share in the first mean.
    pub c1: T,
    /// The former second mean's share in the second, and the squared gradient's.
    pub b2: T,
    pub c2: T,
    /// What the root of the second mean is divided by, and what is added then.
    pub root: T,
    pub eps: T,
    pub step_size: T,
}

/// Work for an element, in elements that are added.
const COST: usize = 4;

/// A parameter's step, and that of its momentum where it has one.
///
/// # Panics
/// If the slices differ in length.
pub fn sgd<T: Update>(p: &mut [T], g: &[T], momentum: Option<&mut [T]>, s: Sgd<T>) {
    assert!(g.len() == p.len() && momentum.as_ref().is_none_or(|b| b.len() == p.len()));
    let (len, q) = (p.len(), Ptr::from_slice_mut(p));
    let b = momentum.map(Ptr::from_slice_mut);
    parallel(len, COST, |range| {
        let (at, n) = (range.start as isize, range.len());
        // SAFETY: the ranges are disjoint and lie in the slices, which are borrowed mutably.
        let (p, b) = unsafe { (q.slice_mut(at, n), b.map(|b| b.slice_mut(at, n))) };
        let g = &g[range];
        match b {
            Some(b) => sgd_momentum(p, g, b, s),
            None => sgd_plain(p, g, s),
        }
    });
}

vectorised! {
    fn sgd_plain<T: Update>(p: &mut [T], g: &[T], s: Sgd<T>) = plain_body
}
vectorised! {
    fn sgd_momentum<T: Update>(p: &mut [T], g: &[T], b: &mut [T], s: Sgd<T>) = momentum_body
}

#[inline(always)]
fn plain_body<T: Update>(p: &mut [T], g: &[T], s: Sgd<T>) {
    for (p, &g) in p.iter_mut().zip(g) {
        *p = *p - s.lr * (s.sign * g + s.decay * *p);
    }
}

#[inline(always)]
fn momentum_body<T: Update>(p: &mut [T], g: &[T], b: &mut [T], s: Sgd<T>) {
    for ((p, b), &g) in p.iter_mut().zip(b).zip(g) {
        let d = s.sign * g + s.decay * *p;
        *b = if s.first { d } else { s.momentum * *b + s.keep * d };
        let step = if s.nesterov { d + s.momentum * *b } else { *b };
        *p = *p - s.lr * step;
    }
}

/// A parameter's step and that of its means: of the gradient, of its square, and with AMSGrad the largest of these.
///
/// # Panics
/// If the slices differ in length.
pub fn adam<T: Update>(p: &mut [T], g: &[T], [m, v]: [&mut [T]; 2], max: Option<&mut [T]>, s: Adam<T>) {
    let len = p.len();
    assert!([g.len(), m.len(), v.len()] == [len; 3] && max.as_ref().is_none_or(|x| x.len() == len));
    let [p, m, v] = [p, m, v].map(Ptr::from_slice_mut);
    let max = max.map(Ptr::from_slice_mut);
    parallel(len, COST, |range| {
        let (at, n) = (range.start as isize, range.len());
        // SAFETY: the ranges are disjoint and lie in the slices, which are borrowed mutably.
        let ([p, m, v], max) = unsafe { ([p, m, v].map(|x| x.slice_mut(at, n)), max.map(|x| x.slice_mut(at, n))) };
        let g = &g[range];
        match max {
            Some(max) => adam_largest(p, g, m, v, max, s),
            None => adam_plain(p, g, m, v, s),
        }
    });
}

vectorised! {
    fn adam_plain<T: Update>(p: &mut [T], g: &[T], m: &mut [T], v: &mut [T], s: Adam<T>) = adam_body
}
vectorised! {
    fn adam_largest<T: Update>(p: &mut [T], g: &[T], m: &mut [T], v: &mut [T], max: &mut [T], s: Adam<T>) = largest_body
}

/// The means' new values, and the parameter given what stands for the second.
#[inline(always)]
fn means<T: Update>(p: T, g: T, m: T, v: T, s: Adam<T>) -> (T, T, T) {
    let (g, old) = (s.sign * g, p * s.shrink);
    let g = g + s.coupled * old;
    (old, m + s.c1 * (g - m), s.b2 * v + s.c2 * g * g)
}

#[inline(always)]
fn moved<T: Update>(old: T, m: T, second: T, s: Adam<T>) -> T {
    old - s.step_size * m / (second.root() / s.root + s.eps)
}

#[inline(always)]
fn adam_body<T: Update>(p: &mut [T], g: &[T], m: &mut [T], v: &mut [T], s: Adam<T>) {
    for (((p, &g), m), v) in p.iter_mut().zip(g).zip(m).zip(v) {
        let old;
        (old, *m, *v) = means(*p, g, *m, *v, s);
        *p = moved(old, *m, *v, s);
    }
}

#[inline(always)]
fn largest_body<T: Update>(p: &mut [T], g: &[T], m: &mut [T], v: &mut [T], max: &mut [T], s: Adam<T>) {
    for ((((p, &g), m), v), max) in p.iter_mut().zip(g).zip(m).zip(v).zip(max) {
        let old;
        (old, *m, *v) = means(*p, g, *m, *v, s);
        *max = if *max > *v { *max } else { *v };
        *p = moved(old, *m, *max, s);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ramp(len: usize, scale: f64) -> Vec<f64> {
        (0..len).map(|i| scale * ((i * 37 % 101) as f64 - 50.0) / 50.0).collect()
    }

    /// Long enough to be shared out, against the formulas one element at a time.
    #[test]
    fn large_updates_are_those_of_single_elements() {
        for len in [0, 1, 63, 1000, 100_003] {
            let (p, g, m, v) = (ramp(len, 2.0), ramp(len, 0.3), ramp(len, 0.1), ramp(len, 0.2));
            let v: Vec<f64> = v.iter().map(|v| v * v).collect();
            let s = Adam {
                sign: -1.0,
                coupled: 0.01,
                shrink: 0.99,
                c1: 0.1,
                b2: 0.999,
                c2: 0.001,
                root: 0.5,
                eps: 1e-8,
                step_size: 0.1,
            };
            let (mut a, mut b, mut c, mut max) = (p.clone(), m.clone(), v.clone(), vec![0.03; len]);
            adam(&mut a, &g, [&mut b, &mut c], Some(&mut max), s);
            for i in 0..len {
                let old = p[i] * 0.99;
                let gradient = -g[i] + 0.01 * old;
                let (first, second) = (m[i] + 0.1 * (gradient - m[i]), 0.999 * v[i] + 0.001 * gradient * gradient);
                let largest = second.max(0.03);
                let moved = old - 0.1 * first / (largest.sqrt() / 0.5 + 1e-8);
                assert_eq!((a[i], b[i], c[i], max[i]), (moved, first, second, largest));
            }
            let s = Sgd { sign: 1.0, lr: 0.1, decay: 0.01, momentum: 0.9, keep: 0.8, nesterov: true, first: false };
            let (mut a, mut b) = (p.clone(), m.clone());
            sgd(&mut a, &g, Some(&mut b), s);
            let mut alone = p.clone();
            sgd(&mut alone, &g, None, s);
            for i in 0..len {
                let d = g[i] + 0.01 * p[i];
                let momentum = 0.9 * m[i] + 0.8 * d;
                assert_eq!((a[i], b[i]), (p[i] - 0.1 * (d + 0.9 * momentum), momentum));
                assert_eq!(alone[i], p[i] - 0.1 * d);
            }
        }
    }
}
