//! Automatic differentiation on one list.
//!
//! ```
//! use wengert::{backward, SweepOptions, Tensor};
//! # fn main() -> wengert::Result<()> {
//! let x = Tensor::from_f32(&[2.0], &[1])?.requiring_grad()?;
//! let y = x.mul(&x)?.add(&x.mul(4.0)?)?.add(3.0)?;
//! backward(&[y], &[None], SweepOptions::default(), None)?;
//! assert_eq!(x.grad().unwrap().to_vec_f64()?, [8.0]);
//! # Ok(())
//! # }
//! ```
//!
//! The way of an operation: [`dispatch`](crate::apply) looks at the operands, `exec` computes, `record` puts a node on
//! the tape; `tape::sweep` reads the tape backwards and `rules` say how.

mod anomaly;
mod api;
mod buffer;
mod depth;
mod devices;
mod dispatch;
mod exec;
mod fallback;
mod graph;
mod inplace;
mod layouts;
mod lock;
mod mixed;
mod mode;
pub mod optim;
mod plan;
mod reach;
mod record;
mod region;
mod retype;
mod rules;
mod tape;
mod tensor;
mod value;
mod views;
mod writable;

pub use anomaly::{anomaly, set_anomaly, set_anomaly_watch, Maker, Note, Watch};
pub use api::{check_parts, AttentionDropout, Export, Native};
pub use buffer::Device;
pub use dispatch::{apply, apply1, row, Arg};
pub use fallback::{gpu_fallback, set_gpu_fallback, set_gpu_fallback_warning};
pub use graph::{live, remove_hook, GraphNode, Live, NextFunction, SavedOperand};
pub use inplace::{check_out_argument, row_out};
pub use mode::{
    default_device, default_float, inference, is_grad_enabled, set_default_device, set_default_float, set_grad_enabled,
    set_inference, GradMode,
};
pub use reach::{Part, WeakTensor};
pub use rules::custom::{apply_function, record_function, BackwardCtx, Function, SavedVariable};
pub use tape::saved::freed;
pub use tape::sweep::{backward, grad, set_interrupt_check, SweepOptions};
pub use tape::{Gradients, Hook, NodeHook, Payload};
pub use tensor::{set_object_release, Tensor};
pub use wengert_cpu::random::Generator;
pub use wengert_cpu::sort::Rank;
pub use wengert_gpu as gpu;
pub use wengert_ops::{
    infer, layout, rows, Category, Compute, DType, Dims, Error, ErrorKind, Extremum, Layout, Linalg, LossReduction, Op,
    Promotion, Random, Reduction, Result, Row, Scalar, ScatterMode, Strides, ViewOp,
};
pub use writable::write_counters;

/// From now on forked children work, with the tape as it was.
pub fn follow_forks() {
    #[cfg(unix)]
    lock::follow_forks();
}
