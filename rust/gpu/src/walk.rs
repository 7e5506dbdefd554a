//! Several arrays walked through together, for kernels that find their elements by number.

use crate::elementwise::merged;
use crate::shader::Call;
use smallvec::SmallVec;
use std::fmt::Write;
use wengert_ops::{DType, Dims, Layout, Result, Strides, View};

/// Sizes in common, and by array its strides and first position.
#[derive(Clone, Debug)]
pub(crate) struct Walk {
    pub sizes: SmallVec<[usize; 8]>,
    pub strides: SmallVec<[SmallVec<[isize; 8]>; 4]>,
    pub offsets: SmallVec<[isize; 4]>,
}

/// A walk's parameters in a text.
pub(crate) struct Steps {
    offsets: SmallVec<[String; 4]>,
    sizes: SmallVec<[String; 8]>,
    strides: SmallVec<[SmallVec<[String; 8]>; 4]>,
}

impl Walk {
    /// Through arrays of one shape, given by strides and first positions; dimensions that all walk alike are merged.
    pub fn new<const N: usize>(shape: &[usize], strides: [&[isize]; N], offsets: [usize; N]) -> Walk {
        let layouts = strides.map(|s| Layout::strided(Dims::from_slice(shape), Strides::from_slice(s), 0));
        let references: SmallVec<[&Layout; 4]> = layouts.iter().collect();
        let dims = merged(shape, &references);
        Walk { sizes: dims.sizes, strides: dims.strides, offsets: offsets.iter().map(|&o| o as isize).collect() }
    }

    pub fn numel(&self) -> usize {
        self.sizes.iter().product()
    }

    /// The walk in parts of at most `rank` dimensions, in order: dimensions beyond are walked through from here.
    pub fn parts(&self, rank: usize, f: &mut dyn FnMut(&Walk) -> Result<()>) -> Result<()> {
        if self.sizes.len() <= rank {
            return f(self);
        }
        for at in 0..self.sizes[0] as isize {
            let part = Walk {
                sizes: SmallVec::from_slice(&self.sizes[1..]),
                strides: self.strides.iter().map(|s| SmallVec::from_slice(&s[1..])).collect(),
                offsets: self.offsets.iter().zip(&self.strides).map(|(o, s)| o.wrapping_add(at * s[0])).collect(),
            };
            part.parts(rank, f)?;
        }
        Ok(())
    }

    /// Gives a call the walk's parameters, and its rank the key. The outermost size is left out unless `whole`.
    pub fn bind(&self, call: &mut Call, whole: bool) -> Result<Steps> {
        call.key.variant.push(self.sizes.len() as u32 | u32::from(whole) << 8);
        let mut steps = Steps { offsets: SmallVec::new(), sizes: SmallVec::new(), strides: SmallVec::new() };
        for &offset in &self.offsets {
            // Added modulo 2^32, as every position is.
            steps.offsets.push(call.word(offset as u32));
        }
        for &n in self.sizes.iter().skip(usize::from(!whole)) {
            steps.sizes.push(call.size(n)?);
        }
        for strides in &self.strides {
            let mut texts = SmallVec::new();
            for &stride in strides {
                texts.push(call.stride(stride)?);
            }
            steps.strides.push(texts);
        }
        Ok(steps)
    }
}

impl Steps {
    /// Statements that take apart the number in variable `r`, and add to variables `names[k]` array k's position. Where
    /// the walk was bound whole, `r` holds afterwards what is left.
    pub fn text(&self, names: &[&str]) -> String {
        let mut text = String::new();
        for (name, offset) in names.iter().zip(&self.offsets) {
            let _ = writeln!(text, "{name} += {offset};");
        }
        let rank = self.strides.first().map_or(0, |s| s.len());
        let skipped = rank - self.sizes.len();
        for d in (0..rank).rev() {
            text.push_str("{\n");
            match d.checked_sub(skipped) {
                Some(at) => {
                    let n = &self.sizes[at];
                    let _ = writeln!(text, "let c = bitcast<i32>(r % {n}); r = r / {n};");
                }
                None => text.push_str("let c = bitcast<i32>(r);\n"),
            }
            for (name, strides) in names.iter().zip(&self.strides) {
                let _ = writeln!(text, "{name} += bitcast<u32>(c * {});", strides[d]);
            }
            text.push_str("}\n");
        }
        text
    }
}

/// A dtype of the same size, whose elements are moved bit by bit: every GPU has these.
pub(crate) fn moved(dtype: DType) -> DType {
    match dtype.size() {
        1 => DType::U8,
        2 => DType::I16,
        4 => DType::I32,
        _ => DType::I64,
    }
}

/// As [`moved`], of a view.
pub(crate) fn moved_view<'a, B>(view: View<'a, B>) -> View<'a, B> {
    View { dtype: moved(view.dtype), ..view }
}
