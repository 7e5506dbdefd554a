//! The table as loops over slices: once per number type and instruction set.

use super::isa::Isa;
use wengert_ops::rows::voc::i64::I64;
use wengert_ops::rows::{position, Partials, MOST_INPUTS};

/// `out[i] = row(args[0][i], …)`. Arguments are at least as long as `out`.
pub type Value<T> = unsafe fn(&[&[T]], &mut [T]);
/// The same for rows that give a truth value, as bytes 0 and 1.
pub type Truth<T> = unsafe fn(&[&[T]], &mut [u8]);
/// `out[i] = g[i] * partial(args, y)`.
pub type Vjp<T> = unsafe fn(&[&[T]], &[T], &[T], &mut [T]);

/// The forward loop of a row.
#[derive(Clone, Copy, Debug)]
pub enum Kernel<T> {
    /// The row does not exist in this number type.
    Absent,
    /// Also with the first argument in `out`, and the others given.
    Value {
        apart: Value<T>,
        over: Value<T>,
    },
    Truth(Truth<T>),
}

/// The loops of all rows.
#[derive(Clone, Copy, Debug)]
pub struct Kernels<T: 'static> {
    pub rows: &'static [Kernel<T>],
    /// One loop per input, none where the table states no partials.
    pub vjps: &'static [&'static [Vjp<T>]],
}

/// All bodies are the same but for what they write: arguments become slices of the output's
/// length, so that the compiler sees no bounds and no aliases.
macro_rules! apart_loop {
    ($walk:ident, $attr:meta, $T:ty, [$($arg:ident),*] $value:expr) => {
        #[$attr]
        unsafe fn apart(args: &[&[$T]], out: &mut [$T]) {
            let len = out.len();
            let &[$($arg),*] = args else { return };
            $(let $arg = &$arg[..len];)*
            $walk!(len, [$($arg),*] stringify!($value), |i| {
                $(let $arg = $arg[i];)*
                out[i] = $value;
            });
        }
    };
}
macro_rules! value_loop {
    ($walk:ident, $attr:meta, $T:ty, [$first:ident $(, $arg:ident)*] $value:expr) => {{
        apart_loop!($walk, $attr, $T, [$first $(, $arg)*] $value);
        #[$attr]
        unsafe fn over(args: &[&[$T]], out: &mut [$T]) {
            let len = out.len();
            let &[$($arg),*] = args else { return };
            $(let $arg = &$arg[..len];)*
            $walk!(len, [out $(, $arg)*] stringify!($value), |i| {
                let $first = out[i];
                $(let $arg = $arg[i];)*
                out[i] = $value;
            });
        }
        Kernel::Value { apart, over }
    }};
}
/// The same for functions that take long: the loop over the output goes by copies through the loop apart from it, so that it
/// is not compiled twice.
macro_rules! long_loop {
    ($attr:meta, $T:ty, $($row:tt)*) => {{
        apart_loop!(by_distance, $attr, $T, $($row)*);
        unsafe fn over(args: &[&[$T]], out: &mut [$T]) {
            by_copies(apart, args, out)
        }
        Kernel::Value { apart, over }
    }};
}
macro_rules! truth_loop {
    ($attr:meta, $T:ty, [$($arg:ident),*] $value:expr) => {{
        #[$attr]
        unsafe fn run(args: &[&[$T]], out: &mut [u8]) {
            let len = out.len();
            let &[$($arg),*] = args else { return };
            $(let $arg = &$arg[..len];)*
            for i in 0..len {
                $(let $arg = $arg[i];)*
                out[i] = $value as u8;
            }
        }
        Kernel::Truth(run)
    }};
}
macro_rules! vjp_loops {
    ($attr:meta, $T:ty, [$($arg:ident),*] $y:ident, [$($partial:expr),*]) => {{
        const ARGS: &[&str] = &[$(stringify!($arg)),*];
        #[$attr]
        unsafe fn run<const I: usize>(args: &[&[$T]], $y: &[$T], g: &[$T], out: &mut [$T]) {
            let len = out.len();
            let &[$($arg),*] = args else { return };
            $(let $arg = &$arg[..len];)*
            let ($y, g) = (&$y[..len], &g[..len]);
            by_distance!(len, [$($arg),*] stringify!($($partial),*), |i| {
                $(let $arg = $arg[i];)*
                let $y = $y[i];
                out[i] = Partials::<$T>::pull::<I>(($($partial,)*), g[i]);
            });
        }
        &[$(run::<{ position(ARGS, stringify!($arg)) }> as Vjp<$T>),*]
    }};
}

/// Elements that are looked at together for a faster form.
const CHUNK: usize = 256;

/// Whether a row's text has a sine, cosine or tangent in it.
const fn turns(text: &str) -> bool {
    calls(text, b"sin") || calls(text, b"cos") || calls(text, b"tan")
}

/// Whether it has a power in it.
const fn raises(text: &str) -> bool {
    calls(text, b"pow")
}

/// Whether a row's text has a function of that name in it.
const fn calls(text: &str, name: &[u8; 3]) -> bool {
    let text = text.as_bytes();
    let mut i = 0;
    while i + 3 < text.len() {
        let found = text[i] == name[0] && text[i + 1] == name[1] && text[i + 2] == name[2];
        if found && !text[i + 3].is_ascii_alphanumeric() && (i == 0 || !text[i - 1].is_ascii_alphanumeric()) {
            return true;
        }
        i += 1;
    }
    false
}

/// A loop over its own output, by copies of as much of it as is looked at together.
///
/// # Safety
/// As `apart`'s.
unsafe fn by_copies<T: Copy + Default>(apart: Value<T>, args: &[&[T]], out: &mut [T]) {
    let mut copy = [T::default(); CHUNK];
    for (k, out) in out.chunks_mut(CHUNK).enumerate() {
        let copy = &mut copy[..out.len()];
        copy.copy_from_slice(out);
        let mut all = [&[][..]; MOST_INPUTS];
        all[0] = copy;
        for (of_chunk, arg) in all[1..].iter_mut().zip(args) {
            *of_chunk = &arg[k * CHUNK..];
        }
        apart(&all[..1 + args.len()], out)
    }
}

/// `$body` for all elements `$i`.
macro_rules! one_by_one {
    ($len:ident, [$($arg:ident),*] $text:expr, |$i:ident| $body:expr) => {
        for $i in 0..$len {
            $body
        }
    };
}

/// As [`one_by_one`], with these functions of the vocabulary for small arguments as long as a chunk's are. They are looked at
/// while it is computed: that reads memory once, and works while it waits. A chunk with a large argument is computed again.
macro_rules! by_chunks {
    ($limit:expr, {$($function:ident),*}, $len:ident, [$($arg:ident),*] |$i:ident| $body:expr) => {
        let limit = $limit.unwrap_or_default();
        for start in (0..$len).step_by(CHUNK) {
            let chunk = start..(start + CHUNK).min($len);
            let mut small = true;
            {
                use near::{$($function),*};
                for $i in chunk.clone() {
                    $(small &= $arg[$i].abs() <= limit;)*
                    $body
                }
            }
            if !small {
                for $i in chunk {
                    $body
                }
            }
        }
    };
}

/// As [`one_by_one`], with products for powers as long as a chunk's exponents are so small.
macro_rules! by_powers {
    ($len:ident, [$base:ident, $exponent:ident] |$i:ident| $body:expr) => {
        for start in (0..$len).step_by(CHUNK) {
            let chunk = start..(start + CHUNK).min($len);
            let mut small = true;
            for v in &$exponent[chunk.clone()] {
                small &= is_small_power(*v);
            }
            if small {
                use small_pow as pow;
                for $i in chunk {
                    $body
                }
            } else {
                for $i in chunk {
                    $body
                }
            }
        }
    };
    // Only rows of a base and an exponent come here.
    ($len:ident, [$($arg:ident),*] |$i:ident| $body:expr) => {};
}

/// All elements, in the faster form that the row has for small arguments.
macro_rules! by_distance {
    ($len:ident, [$($arg:ident),*] $text:expr, |$i:ident| $body:expr) => {
        if const { near::LIMIT.is_some() && turns($text) } {
            by_chunks!(near::LIMIT, {cos, sin, tan}, $len, [$($arg),*] |$i| $body);
        } else if const { near::EXP_LIMIT.is_some() && matches!($text.as_bytes(), b"exp(x)") } {
            by_chunks!(near::EXP_LIMIT, {exp}, $len, [$($arg),*] |$i| $body);
        } else {
            by_exponent!($len, [$($arg),*] $text, |$i| $body)
        }
    };
}

/// All elements, in the faster form that powers have for small exponents.
macro_rules! by_exponent {
    ($len:ident, [$($arg:ident),*] $text:expr, |$i:ident| $body:expr) => {
        if const { raises($text) } {
            by_powers!($len, [$($arg),*] |$i| $body);
        } else {
            one_by_one!($len, [$($arg),*] $text, |$i| $body)
        }
    };
}

macro_rules! float_kernel {
    (bit $($rest:tt)*) => { Kernel::Absent };
    (compare $($rest:tt)*) => { truth_loop!($($rest)*) };
    (test $($rest:tt)*) => { truth_loop!($($rest)*) };
    (logic $($rest:tt)*) => { truth_loop!($($rest)*) };
    (float $($rest:tt)*) => { long_loop!($($rest)*) };
    (real $($rest:tt)*) => { long_loop!($($rest)*) };
    ($class:ident $($rest:tt)*) => { value_loop!(by_exponent, $($rest)*) };
}
macro_rules! float_vjps {
    ($class:ident $attr:meta, $T:ty, [$($arg:ident),*] $y:ident, []) => { &[] };
    ($class:ident $($rest:tt)*) => { vjp_loops!($($rest)*) };
}
macro_rules! int_kernel {
    (float $($rest:tt)*) => { Kernel::Absent };
    (real $($rest:tt)*) => { Kernel::Absent };
    (compare $($rest:tt)*) => { truth_loop!($($rest)*) };
    (test $($rest:tt)*) => { truth_loop!($($rest)*) };
    (logic $($rest:tt)*) => { truth_loop!($($rest)*) };
    ($class:ident $($rest:tt)*) => { value_loop!(one_by_one, $($rest)*) };
}

macro_rules! float_kernels {
    (($module:ident, $T:ident, $voc:ident, $attr:meta) $(
        $class:ident $V:ident $name:ident ($($arg:ident),*) -> $y:ident = $value:expr, [$($partial:expr),*],
        $(($lo:expr, $hi:expr))* $(! $kink:expr)?, $doc:literal;
    )*) => {
        #[allow(unused, clippy::all)]
        mod $module {
            use super::{by_copies, position, raises, turns, Kernel, Kernels, Partials, Vjp, CHUNK};
            use wengert_ops::rows::voc::$voc::*;
            pub(super) static KERNELS: Kernels<$T> = Kernels {
                rows: &[$(float_kernel!($class $attr, $T, [$($arg),*] $value)),*],
                vjps: &[$(float_vjps!($class $attr, $T, [$($arg),*] $y, [$($partial),*])),*],
            };
        }
    };
}

macro_rules! int_kernels {
    (($module:ident, $attr:meta) $(
        $class:ident $V:ident $name:ident ($($arg:ident),*) -> $y:ident = $value:expr, [$($partial:expr),*],
        $(($lo:expr, $hi:expr))* $(! $kink:expr)?, $doc:literal;
    )*) => {
        #[allow(unused, clippy::all)]
        mod $module {
            use super::{Kernel, Kernels};
            use wengert_ops::rows::voc::i64::*;
            pub(super) static KERNELS: Kernels<I64> =
                Kernels { rows: &[$(int_kernel!($class $attr, I64, [$($arg),*] $value)),*], vjps: &[] };
        }
    };
}

wengert_ops::elementwise_table! { float_kernels (f32_base, f32, f32_least, allow(unused)) }
wengert_ops::elementwise_table! { float_kernels (f64_base, f64, f64_least, allow(unused)) }
wengert_ops::elementwise_table! { int_kernels (i64_base, allow(unused)) }

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::*;
    wengert_ops::elementwise_table! { float_kernels (f32_avx2, f32, f32_fma, target_feature(enable = "avx2,fma")) }
    wengert_ops::elementwise_table! { float_kernels (f64_avx2, f64, f64_fma, target_feature(enable = "avx2,fma")) }
    wengert_ops::elementwise_table! { float_kernels (f32_avx512, f32, f32_fma,
    target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,avx512cd,avx2,fma")) }
    wengert_ops::elementwise_table! { float_kernels (f64_avx512, f64, f64_fma,
    target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,avx512cd,avx2,fma")) }
    pub(super) static F32: [&Kernels<f32>; 2] = [&f32_avx2::KERNELS, &f32_avx512::KERNELS];
    pub(super) static F64: [&Kernels<f64>; 2] = [&f64_avx2::KERNELS, &f64_avx512::KERNELS];
}

/// A number type that kernels compute in.
pub trait Lane: super::movers::Cell {
    /// The loops for an instruction set that this machine has.
    fn kernels(isa: Isa) -> &'static Kernels<Self>;
}

macro_rules! lane {
    ($T:ident, $base:ident, $wide:ident) => {
        impl Lane for $T {
            #[inline]
            fn kernels(isa: Isa) -> &'static Kernels<$T> {
                match isa {
                    #[cfg(target_arch = "x86_64")]
                    Isa::Avx2 => x86::$wide[0],
                    #[cfg(target_arch = "x86_64")]
                    Isa::Avx512 => x86::$wide[1],
                    _ => &$base::KERNELS,
                }
            }
        }
    };
}
lane! { f32, f32_base, F32 }
lane! { f64, f64_base, F64 }

impl Lane for I64 {
    #[inline]
    fn kernels(_: Isa) -> &'static Kernels<I64> {
        &i64_base::KERNELS
    }
}
