//! `view(dtype)`: how the elements of a layout lie when their bytes are read as another dtype.

use crate::dtype::DType;
use crate::error::Result;
use crate::fail;
use crate::layout::{checked_numel, Dims, Layout, Strides};

/// The layout of the same bytes in elements of `to`. Narrower elements lengthen the last dim, wider ones shorten it;
/// either way it must lie densely.
///
/// ```
/// use wengert_ops::{infer::retype, DType, Layout};
/// let x = Layout::contiguous(&[2, 4]);
/// assert_eq!(retype(&x, DType::F32, DType::I16).unwrap().shape(), [2, 8]);
/// assert_eq!(retype(&x, DType::F32, DType::F64).unwrap().shape(), [2, 2]);
/// assert!(retype(&Layout::contiguous(&[3]), DType::F32, DType::F64).is_err());
/// ```
pub fn retype(layout: &Layout, from: DType, to: DType) -> Result<Layout> {
    if from.size() == to.size() {
        return Ok(layout.clone());
    }
    let (is, becomes) = (from.scalar_name(), to.scalar_name());
    let wanted = |what: &str, found: String| -> Result<Layout> {
        fail!(
            runtime,
            "view(dtype): {what} to view {is} as {becomes} (different element sizes), but got {found}; make a copy with \
             .contiguous(), or convert the values with .to()"
        )
    };
    let (mut shape, mut strides) = (Dims::from_slice(layout.shape()), Strides::from_slice(layout.strides()));
    let (Some(size), Some((last, others))) = (shape.last_mut(), strides.split_last_mut()) else {
        return wanted("self.dim() cannot be 0", "a tensor without dims".to_owned());
    };
    if from.size() > to.size() {
        let parts = from.size() / to.size();
        if *last != 1 {
            return wanted("self.stride(-1) must be 1", last.to_string());
        }
        *size = size.saturating_mul(parts);
        // Wrapping: only empty tensors and single elements have strides as large as that.
        others.iter_mut().for_each(|s| *s = s.wrapping_mul(parts as isize));
        let offset = layout.offset().saturating_mul(parts);
        checked_numel("view(dtype)", &shape)?;
        return Ok(Layout::strided(shape, strides, offset));
    }
    let parts = to.size() / from.size();
    if !size.is_multiple_of(parts) {
        return wanted(&format!("self.size(-1) must be divisible by {parts}"), size.to_string());
    }
    if !layout.offset().is_multiple_of(parts) {
        return wanted(&format!("self.storage_offset() must be divisible by {parts}"), layout.offset().to_string());
    }
    if *last != 1 {
        return wanted("self.stride(-1) must be 1", last.to_string());
    }
    if let Some((d, s)) = others.iter().enumerate().find(|(_, s)| **s % parts as isize != 0) {
        return wanted(&format!("self.stride({d}) must be divisible by {parts}"), s.to_string());
    }
    *size /= parts;
    others.iter_mut().for_each(|s| *s /= parts as isize);
    Ok(Layout::strided(shape, strides, layout.offset() / parts))
}

#[cfg(test)]
mod tests {
    use super::super::testing::refuses;
    use super::*;
    use crate::error::ErrorKind::Runtime;

    fn strided(shape: &[usize], strides: &[isize], offset: usize) -> Layout {
        Layout::strided(Dims::from_slice(shape), Strides::from_slice(strides), offset)
    }

    #[test]
    fn narrower_and_wider() {
        let there = retype(&strided(&[2, 2], &[6, 1], 2), DType::F32, DType::U8).unwrap();
        assert_eq!((there.shape(), there.strides(), there.offset()), (&[2, 8][..], &[24, 1][..], 8));
        let back = retype(&there, DType::U8, DType::F32).unwrap();
        assert_eq!(back, strided(&[2, 2], &[6, 1], 2));
        let same = strided(&[2, 2], &[1, 2], 3);
        assert_eq!(retype(&same, DType::F32, DType::I32).unwrap(), same);
        assert_eq!(retype(&strided(&[3, 0], &[1, 1], 0), DType::F32, DType::I16).unwrap().shape(), [3, 0]);
    }

    #[test]
    fn bytes_that_do_not_fit() {
        let wide = |l| retype(&l, DType::F32, DType::F64);
        refuses(wide(strided(&[], &[], 0)), Runtime, "self.dim() cannot be 0 to view Float as Double");
        refuses(wide(strided(&[3], &[1], 0)), Runtime, "self.size(-1) must be divisible by 2");
        refuses(wide(strided(&[2], &[1], 1)), Runtime, "self.storage_offset() must be divisible by 2");
        refuses(wide(strided(&[2, 2], &[1, 2], 0)), Runtime, "self.stride(-1) must be 1");
        refuses(wide(strided(&[2, 2], &[3, 1], 0)), Runtime, "self.stride(0) must be divisible by 2");
        refuses(retype(&strided(&[2], &[2], 0), DType::F32, DType::I8), Runtime, "self.stride(-1) must be 1");
    }
}
