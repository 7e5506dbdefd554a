//! The vocabulary in f64 for processors with fused multiply-add.

use super::float::float_vocabulary;

pub use super::double::error_function::{erf, erfc, erfinv};
pub use super::double::exponential::{cosh, exp, exp2, expm1, sigmoid, sinh, tanh};
pub use super::double::inverse_circle::{acos, asin, atan, atan2};
pub use super::double::logarithm::{acosh, asinh, atanh, log, log10, log1p, log2};
pub use super::double::power::{hypot, pow};
// Those of [`near`](super::double::circle) are for small arguments; these two have branches that hold them to f64's
// precision next to their roots.
pub use super::f64::{cos, digamma, lgamma, nextafter, sin, tan};

float_vocabulary! { f64 }

/// Forms for small arguments.
pub mod near {
    pub const EXP_LIMIT: Option<f64> = None;
    pub use super::super::double::circle::{cos, sin, tan, LIMIT};
    pub use super::exp;
}
