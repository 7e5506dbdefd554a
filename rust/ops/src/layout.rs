//! Shape, strides and offset of a tensor in its buffer, in elements.

use crate::counted::Counted;
use crate::error::{Error, Result};
use crate::fail;
use smallvec::SmallVec;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::mem::ManuallyDrop;
use std::ops::Deref;

/// Sizes of up to four dimensions stand inline.
pub type Dims = SmallVec<[usize; 4]>;
/// Strides may be zero (expanded) and, on the way in from numpy, negative.
pub type Strides = SmallVec<[isize; 4]>;

/// As many dimensions as PyTorch's own kernels take; dimension sets are 64-bit masks.
pub const MAX_RANK: usize = 64;

/// A handle, so that tensors of one shape and the tape's nodes share one allocation. It is counted, or for ever:
/// handles of shapes met again and again ([`Layout::forever`]) are copied without touching a count.
pub struct Layout(ManuallyDrop<Counted<Shared>>);

struct Shared {
    data: LayoutData,
    forever: bool,
}

impl Clone for Layout {
    #[inline]
    fn clone(&self) -> Layout {
        if self.0.forever {
            // SAFETY: handles of what lives for ever neither count nor drop, so another one may stand beside this.
            return Layout(unsafe { std::ptr::read(&self.0) });
        }
        Layout(self.0.clone())
    }
}

impl Drop for Layout {
    #[inline]
    fn drop(&mut self) {
        if !self.0.forever {
            // SAFETY: not used again.
            unsafe { ManuallyDrop::drop(&mut self.0) }
        }
    }
}

impl PartialEq for Layout {
    fn eq(&self, other: &Layout) -> bool {
        self.same(other) || **self == **other
    }
}
impl Eq for Layout {}

impl Hash for Layout {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (**self).hash(state);
    }
}

/// What a [`Layout`] holds.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct LayoutData {
    shape: Dims,
    strides: Strides,
    offset: usize,
    numel: usize,
    contiguous: bool,
    /// Row-major to the letter and at offset 0: a fresh result may share the handle.
    plain: bool,
}

impl Deref for Layout {
    type Target = LayoutData;
    #[inline]
    fn deref(&self) -> &LayoutData {
        &self.0.data
    }
}

/// Number of elements, or an error where the product or its byte size overflows.
pub fn checked_numel(op: &str, shape: &[usize]) -> Result<usize> {
    if shape.len() > MAX_RANK {
        fail!(runtime, "{op}: {} dimensions given, at most {MAX_RANK} are supported", shape.len());
    }
    if shape.contains(&0) {
        if let Some(size) = shape.iter().find(|&&n| n > isize::MAX as usize) {
            fail!(runtime, "{op}: size {size} of shape {shape:?} is too large");
        }
        return Ok(0);
    }
    let mut n = 1usize;
    for &s in shape {
        n = match n.checked_mul(s) {
            Some(n) if n <= (isize::MAX as usize) / 8 => n,
            _ => fail!(runtime, "{op}: the number of elements of shape {shape:?} overflows; ask for fewer elements"),
        };
    }
    Ok(n)
}

/// Row-major strides of a shape (sizes of 0 count as 1, as in PyTorch).
pub fn contiguous_strides(shape: &[usize]) -> Strides {
    let mut strides: Strides = SmallVec::from_elem(1, shape.len());
    let mut step = 1isize;
    for (stride, &size) in strides.iter_mut().zip(shape).rev() {
        *stride = step;
        step = step.wrapping_mul(size.max(1) as isize);
    }
    strides
}

/// The product of sizes. Sizes beside a 0 may be anything; a product beyond `usize` counts as the largest number.
pub fn numel(shape: &[usize]) -> usize {
    if shape.contains(&0) {
        0
    } else {
        shape.iter().fold(1, |n, &s| n.saturating_mul(s))
    }
}

impl LayoutData {
    fn contiguous(shape: &[usize]) -> LayoutData {
        LayoutData {
            shape: SmallVec::from_slice(shape),
            strides: contiguous_strides(shape),
            offset: 0,
            numel: numel(shape),
            contiguous: true,
            plain: true,
        }
    }
}

impl Layout {
    fn new(data: LayoutData, forever: bool) -> Layout {
        Layout(ManuallyDrop::new(Counted::new(Shared { data, forever })))
    }

    /// A row-major layout at offset 0. The shape's product must have been checked.
    pub fn contiguous(shape: &[usize]) -> Layout {
        Layout::new(LayoutData::contiguous(shape), false)
    }

    /// As [`Layout::contiguous`], of memory that is never given back: for a bounded table of shapes.
    pub fn forever(shape: &[usize]) -> Layout {
        Layout::new(LayoutData::contiguous(shape), true)
    }

    /// The same layout for ever, as [`Layout::forever`].
    pub fn lasting(&self) -> Layout {
        if self.is_forever() {
            self.clone()
        } else {
            Layout::new((**self).clone(), true)
        }
    }

    /// A number that handles have in common exactly if they are the [`same`](Layout::same).
    #[inline]
    pub fn mark(&self) -> usize {
        Counted::as_ptr(&self.0) as usize
    }

    /// Whether copies of this handle are free.
    #[inline]
    pub fn is_forever(&self) -> bool {
        self.0.forever
    }

    /// Row-major at offset 0, refusing shapes that overflow.
    pub fn checked(op: &str, shape: &[usize]) -> Result<Layout> {
        checked_numel(op, shape)?;
        Ok(Layout::contiguous(shape))
    }

    pub fn strided(shape: Dims, strides: Strides, offset: usize) -> Layout {
        debug_assert_eq!(shape.len(), strides.len());
        let numel = numel(&shape);
        let contiguous = is_contiguous(&shape, &strides);
        let plain = contiguous && offset == 0 && strides == contiguous_strides(&shape);
        Layout::new(LayoutData { shape, strides, offset, numel, contiguous, plain }, false)
    }

    /// Same shape, row-major, offset 0: the layout of a fresh result. Shares the handle if it is one.
    #[inline]
    pub fn fresh(&self) -> Layout {
        if self.plain {
            self.clone()
        } else {
            Layout::contiguous(&self.shape)
        }
    }

    /// Whether both handles are the same allocation: a one-compare test on the hot path.
    #[inline]
    pub fn same(&self, other: &Layout) -> bool {
        Counted::ptr_eq(&self.0, &other.0)
    }

    /// A dimension given as −rank..rank, as an index.
    pub fn dim(&self, op: &str, dim: isize) -> Result<usize> {
        wrap_dim(op, dim, self.rank())
    }
}

impl LayoutData {
    #[inline]
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }
    #[inline]
    pub fn strides(&self) -> &[isize] {
        &self.strides
    }
    #[inline]
    pub fn offset(&self) -> usize {
        self.offset
    }
    #[inline]
    pub fn rank(&self) -> usize {
        self.shape.len()
    }
    #[inline]
    pub fn numel(&self) -> usize {
        self.numel
    }
    /// Elements stand one after another in row-major order (from `offset`).
    #[inline]
    pub fn is_contiguous(&self) -> bool {
        self.contiguous
    }

    /// Row-major to the letter and at offset 0: what a fresh result of this shape has.
    #[inline]
    pub fn is_plain(&self) -> bool {
        self.plain
    }

    /// First and one-past-last element positions that the layout touches; empty layouts touch none.
    pub fn span(&self) -> (usize, usize) {
        if self.numel == 0 {
            return (self.offset, self.offset);
        }
        let offset = isize::try_from(self.offset).unwrap_or(isize::MAX);
        let (mut low, mut high) = (offset, offset);
        for (&n, &s) in self.shape.iter().zip(&self.strides) {
            // Saturating: strides that reach beyond all memory are refused wherever a buffer is at hand.
            let reach = (n as isize - 1).saturating_mul(s);
            if reach < 0 {
                low = low.saturating_add(reach)
            } else {
                high = high.saturating_add(reach)
            }
        }
        (low as usize, high as usize + 1)
    }

    /// Whether two indices may name one element (expanded dims, overlapping windows).
    pub fn self_overlaps(&self) -> bool {
        if self.contiguous || self.numel < 2 {
            return false;
        }
        let mut dims: SmallVec<[(usize, usize); 4]> = self
            .shape
            .iter()
            .zip(&self.strides)
            .filter(|(&n, _)| n > 1)
            .map(|(&n, &s)| (s.unsigned_abs(), n))
            .collect();
        dims.sort_unstable();
        let mut reach = 0usize;
        for (stride, size) in dims {
            if stride <= reach {
                return true;
            }
            reach = reach.saturating_add(stride.saturating_mul(size - 1));
        }
        false
    }

    /// Whether the layout covers a buffer of `len` elements wholly, each once.
    pub fn covers(&self, len: usize) -> bool {
        self.numel == len && self.offset == 0 && (self.contiguous || !self.self_overlaps())
    }
}

fn is_contiguous(shape: &[usize], strides: &[isize]) -> bool {
    if shape.contains(&0) {
        return true;
    }
    let mut step = 1isize;
    for (&n, &s) in shape.iter().zip(strides).rev() {
        if n != 1 {
            if s != step {
                return false;
            }
            step = step.wrapping_mul(n as isize);
        }
    }
    true
}

impl fmt::Debug for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}/{:?}+{}", self.shape, self.strides, self.offset)
    }
}

/// A dimension in −rank..rank as an index; rank 0 counts as rank 1, as PyTorch does.
pub fn wrap_dim(op: &str, dim: isize, rank: usize) -> Result<usize> {
    let n = rank.max(1) as isize;
    if dim < -n || dim >= n {
        return Err(Error::index(format!(
            "{op}: Dimension out of range (expected to be in range of [{}, {}], but got {dim})",
            -n,
            n - 1
        )));
    }
    Ok(if dim < 0 { dim + n } else { dim } as usize)
}

/// The dims of a reduction as a mask; none given means all.
pub fn dim_mask(op: &str, dims: &[isize], rank: usize) -> Result<u64> {
    if dims.is_empty() {
        return Ok(if rank == MAX_RANK { u64::MAX } else { (1 << rank) - 1 });
    }
    let mut mask = 0u64;
    for &d in dims {
        let bit = 1u64 << wrap_dim(op, d, rank)?;
        if mask & bit != 0 {
            fail!(runtime, "{op}: dim {d} appears multiple times in the list of dims");
        }
        mask |= bit;
    }
    Ok(mask & if rank == MAX_RANK { u64::MAX } else { (1 << rank) - 1 })
}

/// The shape all operands broadcast to.
pub fn broadcast_shapes(op: &str, shapes: &[&[usize]]) -> Result<Dims> {
    let longest = shapes.iter().fold(&[][..], |a: &[usize], b| if b.len() > a.len() { b } else { a });
    let mut out: Dims = SmallVec::from_slice(longest);
    for shape in shapes {
        let lead = out.len() - shape.len();
        for (o, &n) in out[lead..].iter_mut().zip(*shape) {
            if *o != n {
                if *o == 1 {
                    *o = n;
                } else if n != 1 {
                    return Err(unbroadcastable(op, shapes));
                }
            }
        }
    }
    Ok(out)
}

/// The error of shapes that do not broadcast: names the first dimension at which they do not.
#[cold]
fn unbroadcastable(op: &str, shapes: &[&[usize]]) -> Error {
    let rank = shapes.iter().map(|s| s.len()).max().unwrap_or(0);
    let mut out: Dims = SmallVec::from_elem(1, rank);
    for shape in shapes {
        let lead = rank - shape.len();
        for (d, &n) in shape.iter().enumerate() {
            let o = &mut out[lead + d];
            if *o == 1 {
                *o = n;
            } else if n != 1 && n != *o {
                return Error::runtime(format!(
                    "{op}: The size of tensor a ({}) must match the size of tensor b ({n}) at non-singleton dimension {} \
                     (shapes {}); make the sizes equal or one of them 1",
                    *o,
                    lead + d,
                    shapes.iter().map(|s| format!("{s:?}")).collect::<Vec<_>>().join(" and ")
                ));
            }
        }
    }
    Error::internal(format!("{op}: shapes {shapes:?} broadcast after all"))
}

/// `layout` read as if it had `shape`: broadcast dims get stride 0. The shape must be a broadcast of it.
pub fn expand_to(layout: &Layout, shape: &[usize]) -> Layout {
    if layout.shape() == shape {
        return layout.clone();
    }
    let lead = shape.len() - layout.rank();
    let strides = shape
        .iter()
        .enumerate()
        .map(|(d, &n)| if d < lead || (layout.shape[d - lead] == 1 && n != 1) { 0 } else { layout.strides[d - lead] })
        .collect();
    Layout::strided(SmallVec::from_slice(shape), strides, layout.offset)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_and_overlaps() {
        let l = Layout::strided(SmallVec::from_slice(&[3, 2]), SmallVec::from_slice(&[2, 1]), 4);
        assert!(l.is_contiguous() && l.span() == (4, 10) && !l.self_overlaps());
        let e = expand_to(&Layout::contiguous(&[3, 1]), &[3, 4]);
        assert!(e.self_overlaps() && !e.is_contiguous());
        let t = Layout::strided(SmallVec::from_slice(&[2, 3]), SmallVec::from_slice(&[1, 2]), 0);
        assert!(!t.self_overlaps() && t.covers(6) && !t.is_contiguous());
    }

    #[test]
    fn overflow_is_an_error() {
        assert!(checked_numel("zeros", &[1 << 40, 1 << 40]).is_err());
        assert_eq!(checked_numel("zeros", &[1 << 40, 0, 1 << 40]).unwrap(), 0);
    }

    #[test]
    fn broadcasting() {
        assert_eq!(&broadcast_shapes("add", &[&[4, 1], &[4]]).unwrap()[..], &[4, 4]);
        assert!(broadcast_shapes("add", &[&[3], &[4]]).unwrap_err().message().contains("size of tensor a (3)"));
        assert_eq!(&broadcast_shapes("add", &[&[0], &[1]]).unwrap()[..], &[0]);
    }
}
