//! Elementwise operations: the table and its readings.
//!
//! [`table`] states each row once. It is read as scalar code ([`voc`]), as symbols ([`expr`]) and as
//! a registry of names, docs and dtype rules ([`registry`], [`class`]).

mod class;
mod eval;
mod expr;
mod latex;
mod partials;
mod registry;
mod special;
mod table;
pub mod voc;
mod wgsl;

pub use class::{Class, Demand};
pub use expr::{Expr, Node, RowExpr};
pub use partials::{position, Partials, Pull};
pub use registry::{Kept, Needs, Row, RowInfo, MOST_INPUTS};
pub use wgsl::Wgsl;
