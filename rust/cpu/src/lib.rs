//! Host storage and kernels of wengert: the [`Backend`](wengert_ops::Backend) that every machine has.
//!
//! A kernel is a plain loop over slices; strides, broadcasts, scalars and conversions of operands are the
//! work of the movers in [`elementwise`].

// Constants are written with the digits of their source; a comparison that NaN must fail is negated.
#![allow(clippy::excessive_precision, clippy::approx_constant, clippy::neg_cmp_op_on_partial_ord)]

mod backend;
pub mod blend;
pub mod buffer;
pub mod conv;
pub mod copy;
pub mod count;
mod crew;
pub mod elementwise;
pub mod extreme;
pub mod fused;
mod gemm;
mod halves;
pub mod indexing;
mod lanes;
pub mod linalg;
pub mod matmul;
pub mod nest;
pub mod optim;
pub mod pool;
mod processors;
pub mod random;
pub mod reduce;
mod register;
pub mod running;
pub mod scan;
pub mod search;
pub mod sort;
pub mod strided;
mod system;
pub mod threads;

pub use buffer::{Buffer, Room};

/// The processor of this machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cpu;
