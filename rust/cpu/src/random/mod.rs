//! Random numbers. Every law draws from the twister in the order and with the arithmetic of torch's CPU
//! kernels, so that one seed gives the same numbers.

mod mt19937;
mod streams;

pub use mt19937::{Generator, DEFAULT_SEED, PLACE, STATE_BYTES};
pub(crate) use streams::kept;
pub use streams::streams;

use crate::buffer::Buffer;
use crate::strided::{dense_mut, dispatch, filled, parallel, vectorised, Element, Nest, Ptr};
use smallvec::SmallVec;
use wengert_ops::rows::voc::{f32_base, f32_fma, near};
use wengert_ops::{contract, DType, Layout, Random, Result, ViewMut};

/// Fills `out` with numbers of a law.
pub fn random(generator: &mut Generator, law: Random, out: ViewMut<'_, Buffer>) -> Result<()> {
    let dtype = out.dtype();
    contract::law(law, dtype)?;
    dispatch!(dtype, T => fill::<T>(generator, law, &out))
}

fn fill<T: Element>(generator: &mut Generator, law: Random, out: &ViewMut<'_, Buffer>) -> Result<()> {
    let wide = T::DTYPE == DType::F64;
    match law {
        Random::Uniform { from, to } => {
            let (low, high) = (T::from_f64(from).to_f64(), T::from_f64(to).to_f64());
            if wide {
                drawn(generator, out, 2, |words, y: &mut [T]| uniform_wide(words, from, to, y));
            } else {
                drawn(generator, out, 1, |words, y: &mut [T]| uniform(words, (from as f32, to as f32), (low, high), y));
            }
        }
        Random::Normal { mean, std } => {
            normal::<T>(generator, mean, std, out);
        }
        Random::Integers { low, high } => {
            let range = high.wrapping_sub(low) as u64;
            let long = matches!(T::DTYPE, DType::I64 | DType::F64 | DType::F32 | DType::BF16) && range >= 1 << 32;
            each(out, || {
                let bits = if long { generator.next_u64() } else { generator.next_u32() as u64 };
                T::from_i64(((bits % range) as i64).wrapping_add(low))
            });
        }
        Random::Bernoulli { p } => {
            drawn(generator, out, 2, |words, y: &mut [T]| below(words, bound(p), y));
        }
        Random::Exponential { lambda } => {
            let number = |u: f64| T::from_f64(-1.0 / lambda * (-u).ln_1p());
            // SAFETY: T is the output's type; nobody else uses its elements (contract of ViewMut).
            match unsafe { dense_mut::<T>(out) } {
                Some(y) => logarithms(generator, y, number)?,
                None => each(out, || number(generator.unit_f64())),
            }
        }
    }
    Ok(())
}

/// Uniform in [0, 1) from 24 bits.
#[inline(always)]
fn unit_f32(word: u32) -> f32 {
    (word & 0xff_ffff) as f32 * (1.0 / 16_777_216.0)
}

/// 53 of the 64 bits of two words, the high one first.
#[inline(always)]
fn bits_53(words: &[u32]) -> u64 {
    (u64::from(words[0]) << 32 | u64::from(words[1])) & ((1 << 53) - 1)
}

/// Uniform in [0, 1) from these.
#[inline(always)]
fn unit_f64(words: &[u32]) -> f64 {
    bits_53(words) as f64 * (1.0 / 9_007_199_254_740_992.0)
}

#[inline(always)]
fn uniform_body<T: Element>(words: &[u32], (from, to): (f32, f32), (low, high): (f64, f64), y: &mut [T]) {
    for (y, &word) in y.iter_mut().zip(words) {
        let v = T::from_f32(unit_f32(word).mul_add(to - from, from));
        // Rounding to half precision may reach the open end.
        *y = if v.to_f64() == high { T::from_f64(low) } else { v };
    }
}
vectorised! { fn uniform<T: Element>(words: &[u32], range: (f32, f32), ends: (f64, f64), y: &mut [T]) = uniform_body }

#[inline(always)]
fn uniform_wide_body<T: Element>(words: &[u32], from: f64, to: f64, y: &mut [T]) {
    for (y, words) in y.iter_mut().zip(words.chunks_exact(2)) {
        *y = T::from_f64(unit_f64(words).mul_add(to - from, from));
    }
}
vectorised! { fn uniform_wide<T: Element>(words: &[u32], from: f64, to: f64, y: &mut [T]) = uniform_wide_body }

/// Below p of 2⁻⁵³ steps; the product is exact.
fn bound(p: f64) -> u64 {
    (p * (1u64 << 53) as f64).ceil() as u64
}

#[inline(always)]
fn below_body<T: Element>(words: &[u32], bound: u64, y: &mut [T]) {
    for (y, words) in y.iter_mut().zip(words.chunks_exact(2)) {
        *y = T::from_i64((bits_53(words) < bound) as i64);
    }
}
vectorised! { fn below<T: Element>(words: &[u32], bound: u64, y: &mut [T]) = below_body }

const BLOCK: usize = 512;

/// Sets elements one after the other, each from its next `each` random words.
fn fill_from_words<T>(generator: &mut Generator, y: &mut [T], each: usize, make: impl Fn(&[u32], &mut [T])) {
    let mut words = [0u32; BLOCK];
    for y in y.chunks_mut(BLOCK / each) {
        let words = &mut words[..each * y.len()];
        generator.words(words);
        make(words, y);
    }
}

/// Sets elements to a function of uniform numbers that takes longer than drawing them: that part is shared out.
fn logarithms<T: Element>(generator: &mut Generator, y: &mut [T], number: impl Fn(f64) -> T + Sync) -> Result<()> {
    const EACH: usize = 1 << 15;
    let mut words = filled(0u32, 2 * y.len().min(EACH))?;
    for y in y.chunks_mut(EACH) {
        let words = &mut words[..2 * y.len()];
        generator.words(words);
        let (words, target) = (&*words, Ptr::from_slice_mut(y));
        parallel(y.len(), 16, |range| {
            // SAFETY: parts are disjoint.
            let y = unsafe { target.slice_mut(range.start as isize, range.len()) };
            y.iter_mut().zip(words[2 * range.start..].chunks_exact(2)).for_each(|(y, w)| *y = number(unit_f64(w)));
        });
    }
    Ok(())
}

/// The same to all elements of an output, in the order of memory.
fn drawn<T: Element>(
    generator: &mut Generator,
    out: &ViewMut<'_, Buffer>,
    each: usize,
    make: impl Fn(&[u32], &mut [T]),
) {
    // SAFETY: T is the output's type; nobody else uses its elements (contract of ViewMut).
    match unsafe { dense_mut::<T>(out) } {
        Some(y) => fill_from_words(generator, y, each, make),
        None => self::each(out, || {
            let mut y = T::default();
            fill_from_words(generator, std::slice::from_mut(&mut y), each, &make);
            y
        }),
    }
}

impl Generator {
    /// Uniform in [0, 1) from 53 bits.
    fn unit_f64(&mut self) -> f64 {
        let high = self.next_u32();
        unit_f64(&[high, self.next_u32()])
    }

    /// A standard normal; they are made in pairs, the second waits for the next call.
    fn unit_normal(&mut self) -> f64 {
        if let Some(normal) = self.spare_normal.take() {
            return normal;
        }
        let (u1, u2) = (self.unit_f64(), self.unit_f64());
        let radius = (-2.0 * (-u2).ln_1p()).sqrt();
        let theta = 2.0 * std::f64::consts::PI * u1;
        self.spare_normal = Some(radius * theta.sin());
        radius * theta.cos()
    }
}

/// Sets all elements in the order of memory, which for dense permuted layouts is what torch does.
fn each<T: Element>(out: &ViewMut<'_, Buffer>, mut draw: impl FnMut() -> T) {
    let y = Ptr::<T>::of(out.buffer());
    // SAFETY: positions come from the output's layout; nobody else uses them (contract of ViewMut).
    memory_order(out.layout()).each(|[at]| unsafe { y.set(at, draw()) });
}

/// A nest over the layout with its dims sorted from the largest stride to the smallest.
fn memory_order(layout: &Layout) -> Nest<1> {
    if layout.is_contiguous() {
        return Nest::of(layout);
    }
    let mut dims: SmallVec<[(usize, isize); 4]> =
        layout.shape().iter().copied().zip(layout.strides().iter().copied()).collect();
    dims.sort_by_key(|&(_, stride)| std::cmp::Reverse(stride.unsigned_abs()));
    let (shape, strides): (SmallVec<[usize; 4]>, SmallVec<[isize; 4]>) = dims.into_iter().unzip();
    Nest::new(&shape, [&strides], [layout.offset()])
}

/// Sixteen normals at a time, unless there are fewer or they lie apart.
fn normal<T: Element>(generator: &mut Generator, mean: f64, std: f64, out: &ViewMut<'_, Buffer>) {
    // SAFETY: T is the output's type; nobody else uses its elements (contract of ViewMut).
    let y = match unsafe { dense_mut::<T>(out) } {
        Some(y) if y.len() >= 16 => y,
        _ => return each(out, || T::from_f64(generator.unit_normal().mul_add(std, mean))),
    };
    let blocks = y.len() / 16 * 16;
    match T::DTYPE {
        DType::F64 => {
            y.iter_mut().for_each(|y| *y = T::from_f64(generator.unit_f64()));
            let turn = |block: &mut [T]| {
                let mut pairs: [f64; 16] = std::array::from_fn(|i| block[i].to_f64());
                for j in 0..8 {
                    let radius = (-2.0 * (1.0 - pairs[j]).ln()).sqrt();
                    let (sin, cos) = (2.0 * std::f64::consts::PI * pairs[j + 8]).sin_cos();
                    pairs[j] = (radius * cos).mul_add(std, mean);
                    pairs[j + 8] = (radius * sin).mul_add(std, mean);
                }
                block.iter_mut().zip(pairs).for_each(|(y, v)| *y = T::from_f64(v));
            };
            y[..blocks].chunks_exact_mut(16).for_each(turn);
            if let Some(tail) = tail(y, blocks) {
                tail.iter_mut().for_each(|y| *y = T::from_f64(generator.unit_f64()));
                turn(tail);
            }
        }
        dtype => {
            let (mean, std) = (mean as f32, std as f32);
            let n = y.len();
            for y in y[..blocks].chunks_mut(BLOCK) {
                normals(generator, mean, std, y);
            }
            if dtype == DType::F32 {
                // torch has drawn uniforms for all elements by now; for halves it goes block by block.
                generator.words(&mut [0; 16][..n - blocks]);
            }
            if let Some(tail) = tail(y, blocks) {
                normals(generator, mean, std, tail);
            }
        }
    }
}

/// Sets up to a block of elements, a multiple of 16.
fn normals<T: Element>(generator: &mut Generator, mean: f32, std: f32, y: &mut [T]) {
    let (mut words, mut values) = ([0; BLOCK], [0.0; BLOCK]);
    let (words, values) = (&mut words[..y.len()], &mut values[..y.len()]);
    generator.words(words);
    values.iter_mut().zip(&*words).for_each(|(v, &word)| *v = unit_f32(word));
    turn_pairs(mean, std, values);
    y.iter_mut().zip(values).for_each(|(y, v)| *y = T::from_f32(*v));
}

/// Pairs of uniform numbers, eight apart, become pairs of normal ones (Box and Muller, 1958).
#[inline(always)]
fn turn_pairs_body(fma: bool, mean: f32, std: f32, values: &mut [f32]) {
    for block in values.chunks_exact_mut(16) {
        let (first, second) = block.split_at_mut(8);
        for (x, y) in first.iter_mut().zip(second) {
            let angle = std::f32::consts::TAU * *y;
            let (log, sin, cos) = if fma {
                (f32_fma::log(1.0 - *x), near::sin(angle), near::cos(angle))
            } else {
                // The angle is rounded to f32; its sine and cosine are then near enough to exact.
                let (sin, cos) = f64::from(angle).sin_cos();
                (f32_base::log(1.0 - *x), sin as f32, cos as f32)
            };
            let radius = (-2.0 * log).sqrt();
            (*x, *y) = ((radius * cos).mul_add(std, mean), (radius * sin).mul_add(std, mean));
        }
    }
}
vectorised! { fn turn_pairs<>(mean: f32, std: f32, values: &mut [f32]) = fma turn_pairs_body }

/// The last sixteen elements, which are drawn again if they do not end with a block.
fn tail<T>(y: &mut [T], blocks: usize) -> Option<&mut [T]> {
    let n = y.len();
    (blocks != n).then(|| &mut y[n - 16..])
}

/// A random permutation of `0..n` into a one-dimensional output.
pub fn permutation(generator: &mut Generator, out: ViewMut<'_, Buffer>) -> Result<()> {
    let n = out.layout().numel();
    contract::permutation(&out)?;
    // Few enough that 32 random bits leave no noticeable bias.
    let short = n < u32::MAX as usize / 20;
    dispatch!(out.dtype(), T => {
        let (y, step) = (Ptr::<T>::of(out.buffer()), out.layout().strides()[0]);
        let at = |i: usize| out.layout().offset() as isize + i as isize * step;
        // SAFETY: positions come from the output's layout; nobody else uses them (contract of ViewMut).
        unsafe {
            for i in 0..n {
                y.set(at(i), T::from_i64(i as i64));
            }
            for i in 0..n.saturating_sub(1) {
                let bits = if short { generator.next_u32() as u64 } else { generator.next_u64() };
                let j = i + (bits % (n - i) as u64) as usize;
                let other = y.get(at(j));
                y.set(at(j), y.get(at(i)));
                y.set(at(i), other);
            }
        }
    });
    Ok(())
}
