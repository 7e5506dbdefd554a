//! Reading and writing at positions that are themselves data. Indices are checked wholly before
//! anything is written; writes happen in the order of the indices, so the last one wins.

mod gather;
mod index;
mod nonzero;

pub use gather::{gather, scatter};
pub use index::{index, index_put};
pub use nonzero::nonzero;
