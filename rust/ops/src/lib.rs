//! What an operation is, apart from where values live: the elementwise table, structural
//! primitives, shape and dtype inference, layouts and errors. No memory and no device.

// Constants are written with the digits of their source; a comparison that NaN must fail is negated.
#![allow(clippy::excessive_precision, clippy::approx_constant, clippy::neg_cmp_op_on_partial_ord)]

pub mod backend;
pub mod contract;
pub mod counted;
pub mod device;
pub mod dtype;
pub mod error;
pub mod infer;
pub mod layout;
pub mod op;
pub mod rows;
pub mod view;

pub use backend::{Backend, Operand, Random, View, ViewMut};
pub use device::Device;
pub use dtype::{Category, Compute, DType, Promotion, Scalar};
pub use error::{Error, ErrorKind, Result};
pub use layout::{Dims, Layout, Strides};
pub use op::{
    ConvRole, ConvSpec, CustomOp, Extremum, Linalg, LossReduction, Meta, Op, PoolSpec, Reduction, Region, ScanKind,
    ScatterMode, ViewOp, STREAM_ROWS,
};
pub use rows::Row;
