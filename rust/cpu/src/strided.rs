//! Typed access to strided memory: the element types and dispatch from a dtype to a Rust type.
//! Loops over positions stand in `nest`.

use crate::buffer::{self, Buffer};
use crate::halves;
pub use crate::nest::{parallel, Lines, Nest, GRAIN};
use half::{bf16, f16};
use wengert_ops::{DType, Error, Result, View, ViewMut};

/// A stored bool. Foreign memory may hold any byte, so Rust's own `bool` would not do.
#[derive(Clone, Copy, Default, Debug)]
#[repr(transparent)]
pub struct Bool(pub u8);

impl PartialEq for Bool {
    #[inline(always)]
    fn eq(&self, other: &Bool) -> bool {
        (self.0 != 0) == (other.0 != 0)
    }
}
impl PartialOrd for Bool {
    #[inline(always)]
    fn partial_cmp(&self, other: &Bool) -> Option<std::cmp::Ordering> {
        (self.0 != 0).partial_cmp(&(other.0 != 0))
    }
}

/// A type that tensors store.
pub trait Element: Copy + Default + PartialOrd + Send + Sync + std::fmt::Debug + 'static {
    const DTYPE: DType;
    /// The number type that sums of this type are computed in.
    type Acc: Number;
    /// A type that orders these elements and is cheap to compare: itself, or f32 for halves.
    type Cmp: Element;
    /// No element is less (false, −∞).
    const LOWEST: Self;
    /// No element but NaN is greater (true, ∞).
    const HIGHEST: Self;
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
    /// Conversion as between dtypes: through the accumulator type, so integers stay exact.
    #[inline(always)]
    fn cast<O: Element>(self) -> O {
        self.acc().store()
    }
}

/// A type that kernels compute in. Integers wrap.
pub trait Number: Element {
    /// For totals of many: f64 for floats.
    type Wide: Number;
    const ZERO: Self;
    const ONE: Self;
    fn plus(self, other: Self) -> Self;
    fn times(self, other: Self) -> Self;
    fn load<T: Element>(v: T) -> Self;
    fn store<T: Element>(self) -> T;
}

macro_rules! element {
    ($T:ty, $dtype:ident, $Acc:ty, $Cmp:ty, $low:expr, $high:expr, nan $nan:expr, truthy $truthy:expr,
     to $f32:expr, $f64:expr, $i64:expr, from $of32:expr, $of64:expr, $oi64:expr) => {
        impl Element for $T {
            const DTYPE: DType = DType::$dtype;
            type Acc = $Acc;
            type Cmp = $Cmp;
            const LOWEST: Self = $low;
            const HIGHEST: Self = $high;
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
    ($($T:ty, $dtype:ident, $Acc:ty, $low:expr, $high:expr, $nan:expr;)*) => {$(
        element!($T, $dtype, $Acc, $T, $low, $high, nan $nan, truthy |x| x != 0 as $T,
            to |x| x as f32, |x| x as f64, |x| x as i64, from |v| v as $T, |v| v as $T, |v| v as $T);
    )*};
}

primitive! {
    u8, U8, i64, u8::MIN, u8::MAX, |_| false;
    i8, I8, i64, i8::MIN, i8::MAX, |_| false;
    i16, I16, i64, i16::MIN, i16::MAX, |_| false;
    i32, I32, i64, i32::MIN, i32::MAX, |_| false;
    i64, I64, i64, i64::MIN, i64::MAX, |_| false;
    f32, F32, f32, f32::NEG_INFINITY, f32::INFINITY, |x: f32| x.is_nan();
    f64, F64, f64, f64::NEG_INFINITY, f64::INFINITY, |x: f64| x.is_nan();
}

macro_rules! half_element {
    ($T:ident, $dtype:ident, to $to:expr, from $from:expr) => {
        element!($T, $dtype, f32, f32, $T::NEG_INFINITY, $T::INFINITY, nan |x: $T| x.is_nan(),
            truthy |x: $T| x.to_bits() & 0x7fff != 0, to $to, |x: $T| f64::from($to(x)), |x: $T| $to(x) as i64,
            from |v: f32| $T::from_bits($from(v)), $T::from_f64, |v: i64| $T::from_f64(v as f64));
    };
}
half_element!(f16, F16, to |x: f16| halves::f16_to_f32(x.to_bits()), from halves::f32_to_f16);
half_element!(bf16, BF16, to |x: bf16| f32::from_bits(u32::from(x.to_bits()) << 16), from halves::f32_to_bf16);

element!(Bool, Bool, i64, Bool, Bool(0), Bool(1), nan |_| false, truthy |x: Bool| x.0 != 0,
    to |x: Bool| (x.0 != 0) as u8 as f32, |x: Bool| (x.0 != 0) as u8 as f64, |x: Bool| (x.0 != 0) as i64,
    from |v: f32| Bool((v != 0.0) as u8), |v: f64| Bool((v != 0.0) as u8), |v: i64| Bool((v != 0) as u8));

macro_rules! number {
    ($T:ty, $Wide:ty, $to:ident, $from:ident, |$a:ident, $b:ident| $plus:expr, $times:expr) => {
        impl Number for $T {
            type Wide = $Wide;
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
number!(f32, f64, to_f32, from_f32, |a, b| a + b, a * b);
number!(f64, f64, to_f64, from_f64, |a, b| a + b, a * b);
number!(i64, i64, to_i64, from_i64, |a, b| a.wrapping_add(b), a.wrapping_mul(b));

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
    /// The same address for another element type.
    pub fn cast<U>(self) -> Ptr<U> {
        Ptr(self.0.cast())
    }
    pub fn from_slice_mut(slice: &mut [T]) -> Ptr<T> {
        Ptr(slice.as_mut_ptr())
    }
    /// For reading only.
    pub fn from_slice(slice: &[T]) -> Ptr<T> {
        Ptr(slice.as_ptr().cast_mut())
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

/// Room for `n` values. A vector of a size that the user decides is an error, not the end of the process, where there
/// is not so much memory.
pub fn room<T>(n: usize) -> Result<Vec<T>> {
    let mut out = Vec::new();
    if out.try_reserve_exact(n).is_err() {
        // What the pool keeps may be what is lacking.
        buffer::trim();
        out.try_reserve_exact(n).map_err(|_| {
            Error::memory(format!(
                "not enough memory: you tried to allocate {} bytes on the CPU for intermediate results",
                n.saturating_mul(std::mem::size_of::<T>())
            ))
        })?;
    }
    Ok(out)
}

/// `n` times a value.
pub fn filled<T: Clone>(value: T, n: usize) -> Result<Vec<T>> {
    let mut out = room(n)?;
    out.resize(n, value);
    Ok(out)
}

/// All elements of a view in row-major order, as `A` (f32, f64 or i64).
pub fn load<A: Number>(view: View<'_, Buffer>) -> Result<Vec<A>> {
    let mut out = room(view.layout.numel())?;
    dispatch!(view.dtype, T => {
        let x = Ptr::<T>::of(view.buffer);
        Nest::of(view.layout).rows(|[start], [step], len| {
            // SAFETY: positions come from the view's layout, which lies in its buffer.
            out.extend((0..len as isize).map(|i| A::load(unsafe { x.get(start + i * step) })));
        });
    });
    Ok(out)
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
pub unsafe fn packed<'a, T: Copy>(view: View<'a, Buffer>) -> Result<std::borrow::Cow<'a, [T]>> {
    if let Some(slice) = dense(view) {
        return Ok(slice.into());
    }
    let x = Ptr::<T>::of(view.buffer);
    let mut out = room(view.layout.numel())?;
    Nest::of(view.layout).rows(|[start], [step], len| {
        out.extend((0..len as isize).map(|i| x.get(start + i * step)));
    });
    Ok(out.into())
}

/// Defines `$name`, which runs the always-inlined `$body` compiled for the best instruction set at hand. The first argument
/// of an `fma` body says whether that multiplies and adds in one instruction.
macro_rules! vectorised {
    ($(#[$doc:meta])* $vis:vis fn $name:ident <$($G:ident : $B:path),*> ($($arg:ident : $ty:ty),* $(,)?) $(-> $ret:ty)? = fma $body:path) => {
        vectorised! { @ [$(#[$doc])* $vis] $name [$($G: $B),*] [$($G),*] [$($arg: $ty),*] [$(-> $ret)?] $body, (false, $($arg),*) (true, $($arg),*) }
    };
    ($(#[$doc:meta])* $vis:vis fn $name:ident <$($G:ident : $B:path),*> ($($arg:ident : $ty:ty),* $(,)?) $(-> $ret:ty)? = $body:path) => {
        vectorised! { @ [$(#[$doc])* $vis] $name [$($G: $B),*] [$($G),*] [$($arg: $ty),*] [$(-> $ret)?] $body, ($($arg),*) ($($arg),*) }
    };
    (@ [$($head:tt)*] $name:ident [$($bounds:tt)*] [$($G:ident),*] [$($arg:ident : $ty:ty),*] [$($ret:tt)*] $body:path, $plain:tt $wide:tt) => {
        #[inline]
        $($head)* fn $name<$($bounds)*>($($arg: $ty),*) $($ret)* {
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx2,fma")]
                unsafe fn wide<$($bounds)*>($($arg: $ty),*) $($ret)* {
                    $body $wide
                }
                #[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,avx512cd,avx2,fma")]
                unsafe fn widest<$($bounds)*>($($arg: $ty),*) $($ret)* {
                    $body $wide
                }
                use $crate::elementwise::Isa;
                // SAFETY: this machine has the instruction set.
                unsafe {
                    match Isa::current() {
                        Isa::Avx512 => return widest::<$($G),*>($($arg),*),
                        Isa::Avx2 => return wide::<$($G),*>($($arg),*),
                        Isa::Base => {}
                    }
                }
            }
            $body $plain
        }
    };
}
pub(crate) use vectorised;
