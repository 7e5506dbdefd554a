//! The functions that rows are written in, once per number type, none generic: literals in a row infer
//! their type, and each reading is plain code that vectorises.

mod circle;
pub mod f32_base;
pub mod f32_fma;
pub mod f64;
mod float;
pub mod i64;
pub mod near;
mod poly;
