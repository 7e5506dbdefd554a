//! What a user of the Rust library calls on a tensor; each name means what it means in PyTorch.

mod attention;
pub use attention::AttentionDropout;
mod creation;
pub use creation::{Export, Native};
mod elementwise;
mod host;
mod indexing;
mod linalg;
mod nn;
mod reduce;
mod shaping;
pub use shaping::check_parts;
