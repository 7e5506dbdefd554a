//! The table in plain f64 arithmetic: what constant folding and the tests evaluate with.

use super::voc;

trait ToF64 {
    fn to_f64(self) -> f64;
}
impl ToF64 for f64 {
    fn to_f64(self) -> f64 {
        self
    }
}
impl ToF64 for bool {
    fn to_f64(self) -> f64 {
        self as u8 as f64
    }
}
impl ToF64 for voc::i64::I64 {
    fn to_f64(self) -> f64 {
        self.0 as f64
    }
}

macro_rules! value {
    (bit, [$($arg:ident)*] $value:expr) => {
        |args: &[f64]| {
            use voc::i64::*;
            match *args {
                [$($arg),*] => {
                    $(let $arg = I64($arg as i64);)*
                    ToF64::to_f64($value)
                }
                _ => f64::NAN,
            }
        }
    };
    ($class:ident, [$($arg:ident)*] $value:expr) => {
        |args: &[f64]| {
            #[allow(unused_imports)]
            use voc::f64::*;
            match *args {
                [$($arg),*] => ToF64::to_f64($value),
                _ => f64::NAN,
            }
        }
    };
}

macro_rules! values {
    ($(
        $class:ident $V:ident $name:ident ($($arg:ident),*) -> $y:ident = $value:expr, [$($partial:expr),*],
        $(($lo:expr, $hi:expr))* $(! $kink:expr)?, $doc:literal;
    )*) => {
        /// One function a row; NaN for a wrong number of arguments.
        pub(super) static VALUES: &[fn(&[f64]) -> f64] = &[$(value!($class, [$($arg)*] $value)),*];
    };
}

crate::elementwise_table! { values }
