//! Storage and compute shaders of wengert on any GPU, through wgpu: Vulkan, Metal or DirectX 12.
//!
//! A call goes [`adapter`] → [`context`] (opened on first use) → a kernel's module, which makes its WGSL text and
//! parameters → [`pipeline`] (compiled once) → [`stream`] (queued, then submitted many at a time) over blocks of
//! [`memory`]. Elementwise calls wait in the stream as data: [`chain`] finds which of them go together, [`recipe`] makes
//! their text, [`fusion`] keeps their kernels.

// Comparisons that NaN must fail.
#![allow(clippy::neg_cmp_op_on_partial_ord)]

pub mod adapter;
mod backend;
mod bindings;
mod chain;
mod context;
mod conv;
mod cooperative;
mod elementwise;
mod extreme;
mod fold;
mod fork;
mod fused;
mod fusion;
mod indexing;
mod kept;
mod less;
mod linalg;
mod matmul;
mod memory;
mod nonzero;
mod order;
mod pipeline;
mod places;
mod pool;
mod prelude;
mod product;
mod random;
mod recipe;
mod reduce;
mod scan;
mod shader;
mod sort;
mod stream;
mod tiling;
mod tuning;
mod wait;
mod walk;
mod windows;

pub use adapter::{devices, DeviceInfo};
pub use backend::Gpu;
pub use cooperative::{cooperative_matrices, set_cooperative_matrices};
#[doc(hidden)]
pub use fold::as_on_hardware;
pub use kept::{keep, CACHE};
pub use less::LESS;
pub use memory::{Buffer, Usage};
pub use random::Generator;
pub use stream::Work;
#[doc(hidden)]
pub use tiling::Way;
pub use tuning::{autotune, set_autotune};
