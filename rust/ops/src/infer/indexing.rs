//! Reading and writing by position: gather, scatter, advanced indexing, and the orders that sorting gives.

use super::{broadcasts_to, check_dim, check_mask, exactly, list, one};
use crate::contract::same_dtypes;
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::fail;
use crate::layout::{broadcast_shapes, Dims};
use crate::op::Meta;
use smallvec::{smallvec, SmallVec};

/// Checks `gather`'s arguments; the result has the index's shape.
pub fn check_gather(dim: usize, x: &[usize], index: &Meta) -> Result<()> {
    check_dim("gather", dim, x.len())?;
    check_index_dtype("gather", index.dtype)?;
    // Nothing is read, so PyTorch asks no more.
    if index.shape.contains(&0) {
        return Ok(());
    }
    same_rank("gather", "input", x, &index.shape)?;
    if let Some(d) = (0..x.len()).find(|&d| d != dim && size(&index.shape, d) > x[d]) {
        fail!(
            runtime,
            "gather: Size does not match at dimension {d} expected index {} to be no larger than self {} apart from \
             dimension {dim}",
            list(&index.shape),
            list(x)
        );
    }
    Ok(())
}

/// Checks the arguments of `scatter` and `scatter_add` (`op`); the result has the shape of `x`.
pub fn check_scatter(op: &str, dim: usize, x: &Meta, index: &Meta, src: &Meta) -> Result<()> {
    check_dim(op, dim, x.shape.len())?;
    check_index_dtype(op, index.dtype)?;
    if x.dtype != src.dtype {
        fail!(
            runtime,
            "{op}(): Expected self.dtype to be equal to src.dtype, but got {} and {}; cast src with .to()",
            x.dtype,
            src.dtype
        );
    }
    if index.shape.contains(&0) {
        return Ok(());
    }
    same_rank(op, "self", &x.shape, &index.shape)?;
    same_rank(op, "src", &src.shape, &index.shape)?;
    let fits = |d: usize| {
        let n = size(&index.shape, d);
        (d == dim || n <= size(&x.shape, d)) && n <= size(&src.shape, d)
    };
    if !(0..index.shape.len().max(1)).all(fits) {
        fail!(
            runtime,
            "{op}: Expected index {} to be no larger than self {} apart from dimension {dim} and to be no larger size \
             than src {}",
            list(&index.shape),
            list(&x.shape),
            list(&src.shape)
        );
    }
    Ok(())
}

/// Checks `index_select`'s index: a vector (or a 0-d tensor) of int64.
pub fn check_index_select(dim: usize, x: &[usize], index: &Meta) -> Result<()> {
    check_dim("index_select", dim, x.len())?;
    check_index_dtype("index_select", index.dtype)?;
    if index.shape.len() > 1 {
        fail!(index, "index_select(): Index is supposed to be a vector, but got shape {}", list(&index.shape));
    }
    Ok(())
}

/// The shape that all index tensors of one advanced index broadcast to.
///
/// ```
/// use wengert_ops::infer::broadcast_indices;
/// assert_eq!(&broadcast_indices(&[&[2, 1], &[3]]).unwrap()[..], &[2, 3]);
/// assert_eq!(
///     broadcast_indices(&[&[2], &[3]]).unwrap_err().message(),
///     "shape mismatch: indexing tensors could not be broadcast together with shapes [2], [3]"
/// );
/// ```
pub fn broadcast_indices(shapes: &[&[usize]]) -> Result<Dims> {
    broadcast_shapes("index", shapes).map_err(|_| {
        let shapes: Vec<String> = shapes.iter().map(|s| list(s)).collect();
        Error::index(format!(
            "shape mismatch: indexing tensors could not be broadcast together with shapes {}",
            shapes.join(", ")
        ))
    })
}

/// Where the indexed dims' result stands: where the first of them stood if they are adjacent, else in front.
pub fn index_position(dims: u64) -> usize {
    if dims == 0 {
        return 0;
    }
    let first = dims.trailing_zeros();
    let run = dims >> first;
    // A run of ones plus one is a power of two (or wraps to 0).
    if run & run.wrapping_add(1) == 0 {
        first as usize
    } else {
        0
    }
}

/// The shape of an advanced index of `x` at `dims`, whose index tensors broadcast to `index`.
pub fn index_shape(op: &str, x: &[usize], dims: u64, index: &[usize]) -> Result<Dims> {
    let indexed = |d: usize| d < 64 && dims >> d & 1 == 1;
    if dims != 0 && (63 - dims.leading_zeros()) as usize >= x.len() {
        fail!(index, "{op}: too many indices for tensor of dimension {} (shape {})", x.len(), list(x));
    }
    if !index.contains(&0) {
        if let Some(d) = (0..x.len()).find(|&d| indexed(d) && x[d] == 0) {
            fail!(index, "{op}: index is out of bounds for dimension {d} with size 0");
        }
    }
    let mut out: Dims = (0..x.len()).filter(|&d| !indexed(d)).map(|d| x[d]).collect();
    let at = index_position(dims).min(out.len());
    out.insert_from_slice(at, index);
    Ok(out)
}

/// Checks that `value` broadcasts to the result of an index.
pub fn put_shape(value: &[usize], result: &[usize]) -> Result<()> {
    if !broadcasts_to(value, result) {
        fail!(
            runtime,
            "shape mismatch: value tensor of shape {} cannot be broadcast to indexing result of shape {}",
            list(value),
            list(result)
        );
    }
    Ok(())
}

/// The shape of `topk`.
pub fn topk_shape(x: &[usize], k: usize, dim: usize) -> Result<Dims> {
    let dim = check_dim("topk", dim, x.len())?;
    if k > size(x, dim) {
        fail!(
            runtime,
            "topk: selected index k out of range: k is {k}, but dimension {dim} of {} has size {}",
            list(x),
            size(x, dim)
        );
    }
    let mut out = Dims::from_slice(x);
    if let Some(n) = out.get_mut(dim) {
        *n = k;
    }
    Ok(out)
}

/// A size, where a 0-d shape counts as `[1]`.
fn size(shape: &[usize], dim: usize) -> usize {
    shape.get(dim).copied().unwrap_or(1)
}

fn check_index_dtype(op: &str, dtype: DType) -> Result<()> {
    if dtype != DType::I64 {
        fail!(runtime, "{op}(): Expected dtype int64 for index, but got {dtype}; cast it with .long()");
    }
    Ok(())
}

/// 0-d counts as 1-d on either side.
fn same_rank(op: &str, other: &str, x: &[usize], index: &[usize]) -> Result<()> {
    if x.len().max(1) != index.len().max(1) {
        fail!(
            runtime,
            "{op}: Index tensor must have the same number of dimensions as {other} tensor, but got {} and {}",
            list(index),
            list(x)
        );
    }
    Ok(())
}

pub(super) fn gather(inputs: &[Meta], dim: usize) -> Result<SmallVec<[Meta; 2]>> {
    let [x, index] = exactly("gather", inputs)?;
    check_gather(dim, &x.shape, index)?;
    one(index.shape.clone(), x.dtype)
}

pub(super) fn scatter(inputs: &[Meta], dim: usize) -> Result<SmallVec<[Meta; 2]>> {
    let [x, index, src] = exactly("scatter", inputs)?;
    check_scatter("scatter", dim, x, index, src)?;
    one(x.shape.clone(), x.dtype)
}

/// The result of indexing `x` by one tensor per set bit.
fn indexed(op: &str, x: &Meta, dims: u64, indices: &[Meta]) -> Result<Dims> {
    if x.shape.len() < indices.len() {
        fail!(index, "{op}: too many indices for tensor of dimension {}", x.shape.len());
    }
    check_mask(op, dims, x.shape.len())?;
    if dims.count_ones() as usize != indices.len() {
        fail!(type_, "{op}: expects one index for each of {} dimensions, but got {}", dims.count_ones(), indices.len());
    }
    if let Some(bad) = indices.iter().find(|i| i.dtype != DType::I64) {
        fail!(
            index,
            "{op}: tensors used as indices must be long, int, byte or bool tensors, here int64, not {}",
            bad.dtype
        );
    }
    let shapes: SmallVec<[&[usize]; 4]> = indices.iter().map(|i| &i.shape[..]).collect();
    index_shape(op, &x.shape, dims, &broadcast_indices(&shapes)?)
}

pub(super) fn index(inputs: &[Meta], dims: u64) -> Result<SmallVec<[Meta; 2]>> {
    let [x, indices @ ..] = inputs else {
        fail!(type_, "index: expects a tensor and its indices, but got no input");
    };
    one(indexed("index", x, dims, indices)?, x.dtype)
}

pub(super) fn index_put(inputs: &[Meta], dims: u64) -> Result<SmallVec<[Meta; 2]>> {
    let [x, values, indices @ ..] = inputs else {
        fail!(type_, "index_put: expects a tensor, values and indices, but got {} inputs", inputs.len());
    };
    same_dtypes("index_put", x.dtype, values.dtype)?;
    put_shape(&values.shape, &indexed("index_put", x, dims, indices)?)?;
    one(x.shape.clone(), x.dtype)
}

fn values_and_positions(shape: Dims, dtype: DType) -> Result<SmallVec<[Meta; 2]>> {
    Ok(smallvec![Meta { shape: shape.clone(), dtype }, Meta { shape, dtype: DType::I64 }])
}

pub(super) fn sort(inputs: &[Meta], dim: usize) -> Result<SmallVec<[Meta; 2]>> {
    let [x] = exactly("sort", inputs)?;
    check_dim("sort", dim, x.shape.len())?;
    values_and_positions(x.shape.clone(), x.dtype)
}

pub(super) fn topk(inputs: &[Meta], k: usize, dim: usize) -> Result<SmallVec<[Meta; 2]>> {
    let [x] = exactly("topk", inputs)?;
    if x.dtype == DType::Bool {
        fail!(
            not_implemented,
            "topk does not support bool dtypes; convert them first, for example with .to(torch.uint8)"
        );
    }
    values_and_positions(topk_shape(&x.shape, k, dim)?, x.dtype)
}

#[cfg(test)]
mod tests {
    use super::super::infer;
    use super::super::testing::*;
    use super::*;
    use crate::error::ErrorKind::*;
    use crate::op::{Op, ScatterMode};

    #[test]
    fn gathering() {
        let gather = |x: &[usize], index: Meta, dim| infer(&Op::Gather { dim }, &[f32s(x), index]);
        assert_eq!(&gather(&[3, 4], i64s(&[9, 2]), 0).unwrap()[0].shape[..], &[9, 2]);
        assert_eq!(&gather(&[], i64s(&[1]), 0).unwrap()[0].shape[..], &[1]);
        assert_eq!(&gather(&[3], i64s(&[]), 0).unwrap()[0].shape[..], &[0usize; 0]);
        refuses(gather(&[3, 4], f32s(&[2, 3]), 0), Runtime, "gather(): Expected dtype int64 for index");
        assert_eq!(&gather(&[3, 4], i64s(&[0]), 0).unwrap()[0].shape[..], &[0]);
        refuses(gather(&[3, 4], i64s(&[2]), 0), Runtime, "same number of dimensions as input tensor");
        let words = "Size does not match at dimension 1 expected index [2, 5] to be no larger than self [3, 4] apart \
                     from dimension 0";
        refuses(gather(&[3, 4], i64s(&[2, 5]), 0), Runtime, words);
        refuses(gather(&[3, 4], i64s(&[2, 5]), 2), Index, "Dimension out of range");
    }

    #[test]
    fn scattering() {
        let op = Op::Scatter { dim: 0, mode: ScatterMode::Add };
        let scatter = |index: Meta, src: Meta| infer(&op, &[f32s(&[3, 4]), index, src]);
        assert_eq!(scatter(i64s(&[7, 3]), f32s(&[8, 4])).unwrap()[0], f32s(&[3, 4]));
        assert!(scatter(i64s(&[0]), f32s(&[1, 2, 3])).is_ok());
        let words =
            "Expected index [2, 5] to be no larger than self [3, 4] apart from dimension 0 and to be no larger \
                     size than src [2, 5]";
        refuses(scatter(i64s(&[2, 5]), f32s(&[2, 5])), Runtime, words);
        refuses(scatter(i64s(&[2, 3]), f32s(&[2, 2])), Runtime, "no larger size than src [2, 2]");
        let vector = infer(&op, &[f32s(&[3]), i64s(&[]), f32s(&[0])]);
        refuses(vector, Runtime, "no larger size than src [0]");
        refuses(scatter(i64s(&[2, 3]), i64s(&[2, 3])), Runtime, "Expected self.dtype to be equal to src.dtype");
        refuses(scatter(i64s(&[2]), f32s(&[2, 3])), Runtime, "same number of dimensions as self");
        let words = "index_select(): Index is supposed to be a vector";
        refuses(check_index_select(0, &[3], &i64s(&[2, 2])), Index, words);
    }

    #[test]
    fn positions_of_indexed_dims() {
        assert_eq!(index_position(0b0110), 1);
        assert_eq!(index_position(0b0101), 0);
        assert_eq!(index_position(0b1100), 2);
        assert_eq!(index_position(u64::MAX), 0);
        assert_eq!(index_position(1 << 63), 63);
        let of = |dims, index: &[usize]| index_shape("index", &[10, 20, 30, 40], dims, index).unwrap().to_vec();
        // numpy's documentation: x[:, ind_1, ind_2] and x[:, ind_1, :, ind_2].
        assert_eq!(of(0b0110, &[2, 3, 4]), [10, 2, 3, 4, 40]);
        assert_eq!(of(0b1010, &[2, 3, 4]), [2, 3, 4, 10, 30]);
        assert_eq!(of(0b1000, &[]), [10, 20, 30]);
    }

    #[test]
    fn advanced_indexing() {
        let index = |x: &[usize], dims, indices: &[Meta]| {
            let mut inputs = vec![f32s(x)];
            inputs.extend_from_slice(indices);
            infer(&Op::Index { dims }, &inputs)
        };
        assert_eq!(&index(&[3, 4], 0b11, &[i64s(&[2, 1]), i64s(&[5])]).unwrap()[0].shape[..], &[2, 5]);
        let words = "indexing tensors could not be broadcast together with shapes [2], [3]";
        refuses(index(&[3, 4], 0b11, &[i64s(&[2]), i64s(&[3])]), Index, words);
        refuses(index(&[3, 4], 0b01, &[f32s(&[2])]), Index, "tensors used as indices must be long");
        refuses(index(&[3], 0b11, &[i64s(&[2]), i64s(&[2])]), Index, "too many indices for tensor of dimension 1");
        refuses(index(&[3, 0], 0b10, &[i64s(&[1])]), Index, "index is out of bounds for dimension 1 with size 0");
        assert!(index(&[3, 0], 0b10, &[i64s(&[0])]).is_ok());
        refuses(index(&[3, 4], 0b11, &[i64s(&[2])]), Type, "expects one index for each of 2 dimensions");
        refuses(infer(&Op::Index { dims: 0 }, &[]), Type, "no input");
    }

    #[test]
    fn putting() {
        let put =
            |values: Meta| infer(&Op::IndexPut { dims: 1, accumulate: true }, &[f32s(&[3, 4]), values, i64s(&[2])]);
        assert_eq!(put(f32s(&[4])).unwrap()[0], f32s(&[3, 4]));
        let words = "value tensor of shape [3] cannot be broadcast to indexing result of shape [2, 4]";
        refuses(put(f32s(&[3])), Runtime, words);
        refuses(put(Meta::new(&[4], DType::F64)), Runtime, "got Float for the destination and Double for the source.");
    }

    #[test]
    fn orders() {
        let topk = |x: &[usize], k, dim| infer(&Op::TopK { k, dim, largest: true, sorted: true }, &[f32s(x)]);
        assert_eq!(topk(&[3, 4], 2, 1).unwrap()[..], [f32s(&[3, 2]), i64s(&[3, 2])]);
        assert_eq!(topk(&[], 1, 0).unwrap()[0], f32s(&[]));
        refuses(topk(&[3, 4], 5, 1), Runtime, "selected index k out of range");
        refuses(infer(&Op::Sort { dim: 1, descending: false }, &[f32s(&[3])]), Index, "range of [-1, 0], but got 1");
    }
}
