//! What a user of the Rust library calls on a tensor; each name means what it means in PyTorch.

mod creation;
pub use creation::Export;
mod elementwise;
mod indexing;
mod linalg;
mod nn;
mod reduce;
mod shaping;
