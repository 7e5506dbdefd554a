//! What an operation is, apart from where values live: the elementwise table, structural
//! primitives, shape and dtype inference, layouts and errors. No memory and no device.

pub mod backend;
pub mod dtype;
pub mod error;
pub mod infer;
pub mod layout;
pub mod op;
pub mod rows;
pub mod view;

pub use backend::{Backend, Operand, Random, View, ViewMut};
pub use dtype::{Category, Compute, DType, Promotion, Scalar};
pub use error::{Error, ErrorKind, Result};
pub use layout::{Dims, Layout, Strides};
pub use op::{
    ConvRole, ConvSpec, CustomOp, Extremum, Linalg, LossReduction, Meta, Op, PoolSpec, Reduction, Region, ScanKind,
    ScatterMode, ViewOp,
};
pub use rows::Row;
