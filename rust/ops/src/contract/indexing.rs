//! Operands of what reads and writes at positions that are themselves data.

use crate::backend::View;
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::fail;
use crate::layout::{Dims, Layout};
use smallvec::SmallVec;

/// The error of an index outside its dim.
#[cold]
pub fn out_of_bounds(index: i64, dim: usize, size: usize) -> Error {
    Error::index(format!("index {index} is out of bounds for dimension {dim} with size {size}"))
}

/// Indices are int64.
pub fn int64<B>(op: &str, index: &View<'_, B>) -> Result<()> {
    if index.dtype != DType::I64 {
        fail!(type_, "{op}(): indices must be int64, got {}; convert them with .long()", index.dtype);
    }
    Ok(())
}

/// Refuses shapes where `index` reaches outside `other` (in the dims that it does not name, if `dim` is given).
pub fn reach(op: &str, what: &str, index: &[usize], other: &[usize], dim: Option<usize>) -> Result<()> {
    let fits = index.len() == other.len() && (0..index.len()).all(|d| Some(d) == dim || index[d] <= other[d]);
    if fits || index.contains(&0) {
        return Ok(());
    }
    let except = dim.map_or(String::new(), |d| format!(" apart from dimension {d}"));
    Err(Error::runtime(format!(
        "{op}(): Expected index {index:?} to be no larger than {what} {other:?}{except}; slice the index or enlarge {what}"
    )))
}

/// The dtypes of what an indexed write or read moves: `out` and `from` must be of one.
pub fn same_dtypes(op: &str, out: DType, from: DType) -> Result<()> {
    if out == from {
        return Ok(());
    }
    Err(match op {
        "scatter" => Error::runtime(format!(
            "scatter(): Expected self.dtype to be equal to src.dtype, got {out} and {from}; convert src first"
        )),
        "index_put" => Error::runtime(format!(
            "Index put requires the source and destination dtypes match, got {} for the destination and {} for the source.",
            out.scalar_name(),
            from.scalar_name()
        )),
        _ => Error::internal(format!("{op}: an output of {out} for an input of {from}")),
    })
}

/// The dims of an advanced indexing.
pub struct Indexed {
    /// Those that have an index tensor each.
    pub named: SmallVec<[usize; 4]>,
    /// The others.
    pub rest: SmallVec<[usize; 4]>,
    /// How many of the others stand before the tuples of indices in the result.
    pub lead: usize,
}

impl Indexed {
    /// The dims of `x` under the mask `dims`; `y` is the array of the indexed shape, and all indices have one shape.
    pub fn new<B>(op: &str, x: &Layout, dims: u64, indices: &[View<'_, B>], y: &Layout) -> Result<Indexed> {
        let named: SmallVec<[usize; 4]> = (0..x.rank()).filter(|&d| dims >> d & 1 == 1).collect();
        let (Some(&first), true) = (named.first(), named.len() == indices.len()) else {
            fail!(internal, "{op}: {} indices for dims {named:?} of {} dimensions", indices.len(), x.rank());
        };
        let shape = indices[0].layout.shape();
        for index in indices {
            int64(op, index)?;
            if index.layout.shape() != shape {
                fail!(internal, "{op}: index shapes differ; expand them first");
            }
        }
        let adjacent = named.iter().enumerate().all(|(k, &d)| d == first + k);
        let lead = if adjacent { first } else { 0 };
        let rest: SmallVec<[usize; 4]> = (0..x.rank()).filter(|d| dims >> d & 1 == 0).collect();
        let mut expected: Dims = rest[..lead].iter().map(|&d| x.shape()[d]).collect();
        expected.extend_from_slice(shape);
        expected.extend(rest[lead..].iter().map(|&d| x.shape()[d]));
        if y.shape() != &expected[..] {
            fail!(
                runtime,
                "{op}: shape mismatch: value tensor of shape {:?} cannot be broadcast to indexing result of shape {expected:?}",
                y.shape()
            );
        }
        Ok(Indexed { named, rest, lead })
    }
}
