//! Host storage and kernels of wengert: the [`Backend`](wengert_ops::Backend) that every machine has.
//!
//! A kernel is a plain loop over slices; strides, broadcasts, scalars and conversions of operands are the
//! work of the movers in [`elementwise`].

mod backend;
pub mod buffer;
pub mod elementwise;
pub mod copy;

pub mod nest;
pub mod strided;
pub mod reduce;
pub mod extreme;
pub mod scan;
pub mod sort;
pub mod indexing;

// Helper B2
pub mod matmul;
pub mod fused;
pub mod conv;
pub mod pool;
pub mod linalg;
pub mod random;

pub use buffer::Buffer;

/// The processor of this machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cpu;
