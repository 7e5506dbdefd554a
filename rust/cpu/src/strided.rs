//! Typed access to strided memory: the element types, dispatch from a dtype to a Rust type, and
//! loops over the positions of several layouts at once.

use crate::buffer::Buffer;
use half::{bf16, f16};
use rayon::prelude::*;
use smallvec::SmallVec;
use std::ops::Range;
use wengert_ops::{DType, Layout, View, ViewMut};

/// A stored bool. Foreign memory may hold any byte, so Rust's own `bool` would not do.
#[derive(Clone, Copy, Default, PartialEq, PartialOrd, Debug)]
#[repr(transparent)]
pub struct Bool(pub u8);

/// A type that tensors store.
pub trait Element: Copy + Default + PartialOrd + Send + Sync + std::fmt::Debug + 'static {
    const DTYPE: DType;
    /// The number type that sums of this type are computed in.
    type Acc: Number;
    fn to_f32(self) -> f32;
    fn to_f64(self) -> f64;
    fn to_i64(self) -> i64;
    fn from_f32(v: f32) -> Self;
    fn from_f64(v: f64) -> Self;
    fn from_i64(v: i64) -> Self;
    fn is_nan(self) -> bool;
    fn truthy(self) -> bool;

    #[inline(always)]
    fn acc(self) -> Self::Acc {
        Self::Acc::load(self)
    }
    #[inline(always)]
    fn from_acc(v: Self::Acc) -> Self {
        v.store()
    }
}

/// A type that kernels compute in. Integers wrap.
pub trait Number: Element {
    const ZERO: Self;
    const ONE: Self;
    fn plus(self, other: Self) -> Self;
    fn times(self, other: Self) -> Self;
    fn load<T: Element>(v: T) -> Self;
    fn store<T: Element>(self) -> T;
}

macro_rules! element {
    ($T:ty, $dtype:ident, $Acc:ty, nan $nan:expr, truthy $truthy:expr,
     to $f32:expr, $f64:expr, $i64:expr, from $of32:expr, $of64:expr, $oi64:expr) => {
        impl Element for $T {
            const DTYPE: DType = DType::$dtype;
            type Acc = $Acc;
            #[inline(always)]
            fn to_f32(self) -> f32 {
                $f32(self)
            }
            #[inline(always)]
            fn to_f64(self) -> f64 {
                $f64(self)
            }
            #[inline(always)]
            fn to_i64(self) -> i64 {
                $i64(self)
            }
            #[inline(always)]
            fn from_f32(v: f32) -> Self {
                $of32(v)
            }
            #[inline(always)]
            fn from_f64(v: f64) -> Self {
                $of64(v)
            }
            #[inline(always)]
            fn from_i64(v: i64) -> Self {
                $oi64(v)
            }
            #[inline(always)]
            fn is_nan(self) -> bool {
                $nan(self)
            }
            #[inline(always)]
            fn truthy(self) -> bool {
                $truthy(self)
            }
        }
    };
}

macro_rules! primitive {
    ($($T:ty, $dtype:ident, $Acc:ty, $nan:expr;)*) => {$(
        element!($T, $dtype, $Acc, nan $nan, truthy |x| x != 0 as $T,
            to |x| x as f32, |x| x as f64, |x| x as i64, from |v| v as $T, |v| v as $T, |v| v as $T);
    )*};
}

primitive! {
    u8, U8, i64, |_| false;
    i8, I8, i64, |_| false;
    i16, I16, i64, |_| false;
    i32, I32, i64, |_| false;
    i64, I64, i64, |_| false;
    f32, F32, f32, |x: f32| x.is_nan();
    f64, F64, f64, |x: f64| x.is_nan();
}

macro_rules! half_element {
    ($T:ident, $dtype:ident) => {
        element!($T, $dtype, f32, nan |x: $T| x.is_nan(), truthy |x: $T| x.to_f32() != 0.0,
            to |x: $T| x.to_f32(), |x: $T| x.to_f64(), |x: $T| x.to_f32() as i64,
            from $T::from_f32, $T::from_f64, |v: i64| $T::from_f64(v as f64));
    };
}
half_element!(f16, F16);
half_element!(bf16, BF16);

element!(Bool, Bool, i64, nan |_| false, truthy |x: Bool| x.0 != 0,
    to |x: Bool| (x.0 != 0) as u8 as f32, |x: Bool| (x.0 != 0) as u8 as f64, |x: Bool| (x.0 != 0) as i64,
    from |v: f32| Bool((v != 0.0) as u8), |v: f64| Bool((v != 0.0) as u8), |v: i64| Bool((v != 0) as u8));

macro_rules! number {
    ($T:ty, $to:ident, $from:ident, |$a:ident, $b:ident| $plus:expr, $times:expr) => {
        impl Number for $T {
            const ZERO: Self = 0 as $T;
            const ONE: Self = 1 as $T;
            #[inline(always)]
            fn plus(self, $b: Self) -> Self {
                let $a = self;
                $plus
            }
            #[inline(always)]
            fn times(self, $b: Self) -> Self {
                let $a = self;
                $times
            }
            #[inline(always)]
            fn load<T: Element>(v: T) -> Self {
                v.$to()
            }
            #[inline(always)]
            fn store<T: Element>(self) -> T {
                T::$from(self)
            }
        }
    };
}
number!(f32, to_f32, from_f32, |a, b| a + b, a * b);
number!(f64, to_f64, from_f64, |a, b| a + b, a * b);
number!(i64, to_i64, from_i64, |a, b| a.wrapping_add(b), a.wrapping_mul(b));

/// Runs `$body` with `$T` standing for the element type of a dtype.
macro_rules! dispatch {
    ($dtype:expr, $T:ident => $body:expr) => {{
        macro_rules! arm {
            ($ty:ty) => {{
                type $T = $ty;
                $body
            }};
        }
        match $dtype {
            wengert_ops::DType::Bool => arm!($crate::strided::Bool),
            wengert_ops::DType::U8 => arm!(u8),
            wengert_ops::DType::I8 => arm!(i8),
            wengert_ops::DType::I16 => arm!(i16),
            wengert_ops::DType::I32 => arm!(i32),
            wengert_ops::DType::I64 => arm!(i64),
            wengert_ops::DType::F16 => arm!(half::f16),
            wengert_ops::DType::BF16 => arm!(half::bf16),
            wengert_ops::DType::F32 => arm!(f32),
            wengert_ops::DType::F64 => arm!(f64),
        }
    }};
}
pub(crate) use dispatch;

/// Runs `$body` with `$T` an unsigned integer as wide as the dtype: for moving elements unchanged.
macro_rules! dispatch_size {
    ($dtype:expr, $T:ident => $body:expr) => {{
        macro_rules! arm {
            ($ty:ty) => {{
                type $T = $ty;
                $body
            }};
        }
        match $dtype.size() {
            1 => arm!(u8),
            2 => arm!(u16),
            4 => arm!(u32),
            _ => arm!(u64),
        }
    }};
}
pub(crate) use dispatch_size;

/// A raw pointer to a buffer's first element, indexed by signed positions, that threads may share.
#[derive(Debug)]
pub struct Ptr<T>(*mut T);

impl<T> Clone for Ptr<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Ptr<T> {}
// SAFETY: a Ptr is only an address; every access is an unsafe call with its own argument.
unsafe impl<T: Send> Send for Ptr<T> {}
// SAFETY: as above.
unsafe impl<T: Sync> Sync for Ptr<T> {}

impl<T: Copy> Ptr<T> {
    pub fn of(buffer: &Buffer) -> Ptr<T> {
        Ptr(buffer.ptr().cast())
    }
    pub fn new(first: *mut T) -> Ptr<T> {
        Ptr(first)
    }
    /// The address of an element; using it is what takes care.
    #[inline(always)]
    pub fn at(self, position: isize) -> *mut T {
        self.0.wrapping_offset(position)
    }
    /// # Safety
    /// The position lies in the buffer, and nobody writes it meanwhile.
    #[inline(always)]
    pub unsafe fn get(self, position: isize) -> T {
        *self.0.offset(position)
    }
    /// # Safety
    /// The position lies in the buffer, and nobody else uses it meanwhile.
    #[inline(always)]
    pub unsafe fn set(self, position: isize, value: T) {
        *self.0.offset(position) = value;
    }
    /// # Safety
    /// The positions lie in the buffer, and nobody writes them while the slice lives.
    #[inline(always)]
    pub unsafe fn slice<'a>(self, start: isize, len: usize) -> &'a [T] {
        std::slice::from_raw_parts(self.0.offset(start), len)
    }
    /// # Safety
    /// The positions lie in the buffer, and nobody else uses them while the slice lives.
    #[inline(always)]
    pub unsafe fn slice_mut<'a>(self, start: isize, len: usize) -> &'a mut [T] {
        std::slice::from_raw_parts_mut(self.0.offset(start), len)
    }
}

/// The elements of a contiguous view as a slice, `None` if it is not contiguous.
///
/// # Safety
/// `T` is as wide as the view's dtype and takes every bit pattern; nobody writes meanwhile.
pub unsafe fn dense<T: Copy>(view: View<'_, Buffer>) -> Option<&[T]> {
    let layout = view.layout;
    if layout.numel() == 0 {
        return Some(&[]);
    }
    layout.is_contiguous().then(|| Ptr::of(view.buffer).slice(layout.offset() as isize, layout.numel()))
}

/// The elements of a contiguous output as a slice, `None` if it is not contiguous.
///
/// # Safety
/// As [`dense`], and nobody else reads meanwhile (no input of the call shares the elements).
pub unsafe fn dense_mut<'a, T: Copy>(out: &ViewMut<'a, Buffer>) -> Option<&'a mut [T]> {
    let layout = out.layout();
    if layout.numel() == 0 {
        return Some(&mut []);
    }
    layout.is_contiguous().then(|| Ptr::of(out.buffer()).slice_mut(layout.offset() as isize, layout.numel()))
}

/// All elements of a view in row-major order, as `A` (f32, f64 or i64).
pub fn load<A: Number>(view: View<'_, Buffer>) -> Vec<A> {
    let mut out = Vec::with_capacity(view.layout.numel());
    dispatch!(view.dtype, T => {
        let x = Ptr::<T>::of(view.buffer);
        Nest::of(view.layout).rows(|[start], [step], len| {
            // SAFETY: positions come from the view's layout, which lies in its buffer.
            out.extend((0..len as isize).map(|i| A::load(unsafe { x.get(start + i * step) })));
        });
    });
    out
}

/// Writes row-major `values` into `out`, converting to its dtype. Lengths must agree.
pub fn store<A: Number>(values: &[A], out: &ViewMut<'_, Buffer>) {
    assert_eq!(values.len(), out.layout().numel());
    dispatch!(out.dtype(), T => {
        let y = Ptr::<T>::of(out.buffer());
        let mut values = values.iter();
        Nest::of(out.layout()).rows(|[start], [step], len| {
            for (i, v) in (0..len as isize).zip(&mut values) {
                // SAFETY: positions come from the output's layout, which lies in its buffer.
                unsafe { y.set(start + i * step, v.store()) };
            }
        });
    });
}

/// A view's elements of its own type in row-major order: borrowed if contiguous, else packed.
///
/// # Safety
/// `T` is as wide as the view's dtype and takes every bit pattern; nobody writes meanwhile.
pub unsafe fn packed<'a, T: Copy>(view: View<'a, Buffer>) -> std::borrow::Cow<'a, [T]> {
    if let Some(slice) = dense(view) {
        return slice.into();
    }
    let x = Ptr::<T>::of(view.buffer);
    let mut out = Vec::with_capacity(view.layout.numel());
    Nest::of(view.layout).rows(|[start], [step], len| {
        out.extend((0..len as isize).map(|i| x.get(start + i * step)));
    });
    out.into()
}

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

/// From this many elements on, work is split over threads.
pub const GRAIN: usize = 1 << 16;

/// Runs `f` over parts of `0..count`, on several threads if `count * cost` elements are worth it.
pub fn parallel(count: usize, cost: usize, f: impl Fn(Range<usize>) + Sync) {
    let parts = (count.saturating_mul(cost) / GRAIN.div_ceil(2)).min(count);
    if parts < 2 {
        return f(0..count);
    }
    let parts = parts.min(4 * rayon::current_num_threads());
    (0..parts).into_par_iter().for_each(|p| f(count * p / parts..count * (p + 1) / parts));
}

/// Defines `$name`, which runs the always-inlined `$body` compiled for the best instruction set at hand.
macro_rules! vectorised {
    ($(#[$doc:meta])* $vis:vis fn $name:ident <$($G:ident : $B:path),*> ($($arg:ident : $ty:ty),* $(,)?) $(-> $ret:ty)? = $body:path) => {
        $(#[$doc])*
        #[inline]
        $vis fn $name<$($G: $B),*>($($arg: $ty),*) $(-> $ret)? {
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx2,fma")]
                unsafe fn wide<$($G: $B),*>($($arg: $ty),*) $(-> $ret)? {
                    $body($($arg),*)
                }
                if std::is_x86_feature_detected!("avx2") && std::is_x86_feature_detected!("fma") {
                    // SAFETY: the features were just detected.
                    return unsafe { wide($($arg),*) };
                }
            }
            $body($($arg),*)
        }
    };
}
pub(crate) use vectorised;

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
        let empty = Layout::contiguous(&[2, 0, 3]);
        Nest::of(&empty).each(|_| panic!("an empty layout has no positions"));
        let mut count = 0;
        Nest::of(&Layout::contiguous(&[])).each(|_| count += 1);
        assert_eq!(count, 1);
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
