//! The functions that rows are written in, once per number type, none generic: literals in a row infer
//! their type, and each reading is plain code that vectorises.

mod circle;
pub mod double;
pub mod f32_base;
pub mod f32_fma;
pub mod f64;
pub mod f64_fma;
mod float;
pub mod i64;
pub mod near;
mod poly;

#[cfg(not(target_arch = "aarch64"))]
pub use {f32_base as f32_least, f64 as f64_least};
/// What a processor has at the least: fused multiply-add is part of every 64-bit ARM.
#[cfg(target_arch = "aarch64")]
pub use {f32_fma as f32_least, f64_fma as f64_least};
