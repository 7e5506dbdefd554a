//! Layouts of fresh results met lately, so that small operations of one shape share one allocation.

use wengert_ops::{Layout, Result};

const SLOTS: usize = 64;

/// A direct-mapped cache of row-major layouts, by shape.
pub(crate) struct Layouts([Option<Layout>; SLOTS]);

impl Layouts {
    pub const fn new() -> Layouts {
        Layouts([const { None }; SLOTS])
    }

    /// The row-major layout of a shape; shapes that overflow are refused.
    #[inline]
    pub fn contiguous(&mut self, op: &str, shape: &[usize]) -> Result<Layout> {
        let hash = shape.iter().fold(shape.len(), |h, n| (h ^ n).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let slot = &mut self.0[hash >> (usize::BITS - SLOTS.trailing_zeros())];
        if let Some(known) = slot {
            if known.shape() == shape {
                return Ok(known.clone());
            }
        }
        let layout = Layout::checked(op, shape)?;
        *slot = Some(layout.clone());
        Ok(layout)
    }
}
