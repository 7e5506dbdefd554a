//! Products whose right operand lies scattered: each item at the sum of a step along the depth and its column's place. So
//! convolutions are products without the unfolded input being written: blocks of it are packed from the image.

use super::scratch::Scratch;
use super::tile::{tiles, Left, Steps, Strip};
use super::{each, pack, Kernels, COLUMNS, DEPTH, ROWS};
use crate::strided::{Number, Ptr};
use crate::threads;
use std::ops::Range;

/// `out = left @ right (+ out)`, with `rows` rows.
#[derive(Clone, Copy)]
pub(crate) struct Gathered<'a, T> {
    pub rows: usize,
    pub left: Ptr<T>,
    pub left_row: isize,
    /// Where the left operand's columns lie, as many as the product is deep.
    pub left_steps: &'a [isize],
    /// Behind its items as many may be read as a register has.
    pub right: Ptr<T>,
    /// Where its rows lie.
    pub right_steps: &'a [isize],
    /// Where its columns lie.
    pub columns: &'a [isize],
    /// Whether neighbours of the right operand are so along the depth, not along the columns.
    pub across: bool,
    pub out: Ptr<T>,
    pub out_row: isize,
    /// Where the output's columns lie.
    pub places: &'a [isize],
    pub add: bool,
}

/// A block along the depth by some columns, packed.
struct Block<T> {
    depth: Range<usize>,
    columns: Range<usize>,
    left: Ptr<T>,
    right: Ptr<T>,
    add: bool,
}

impl<T: Number> Gathered<'_, T> {
    /// Runs it; `false` if there is no memory for blocks, with the output as it was.
    ///
    /// # Safety
    /// All items that are named lie in live memory, and nobody else uses the output's; the machine has the kernels'
    /// instruction set.
    pub unsafe fn run(&self, kernels: &Kernels<T>, threads: bool) -> bool {
        let (k, strips) = (self.right_steps.len(), self.columns.len().div_ceil(kernels.width));
        let deepest = k.div_ceil(k.div_ceil(DEPTH).max(1));
        let most = COLUMNS / kernels.width;
        let (Some(left), Some(right)) = (
            Scratch::left::<T>(self.rows.saturating_mul(deepest)),
            Scratch::right::<T>(deepest * kernels.width * strips.min(most)),
        ) else {
            return false;
        };
        let (left, right) = (Ptr::new(left.at::<T>()), Ptr::new(right.at::<T>()));
        let parts = if threads { 4 * threads::count() } else { 1 };
        for (from, depth) in tiles(k, DEPTH) {
            for (first, count) in tiles(strips, most) {
                let columns = first * kernels.width..((first + count) * kernels.width).min(self.columns.len());
                let block = Block { depth: from..from + depth, columns, left, right, add: self.add || from > 0 };
                self.pack(kernels, &block, first == 0, parts);
                self.multiply(kernels, &block, parts);
            }
        }
        true
    }

    /// Packs a block of the right operand, and of the left one where it is not there yet.
    unsafe fn pack(&self, kernels: &Kernels<T>, block: &Block<T>, left_too: bool, parts: usize) {
        let (depth, strips) = (block.depth.len(), block.columns.len().div_ceil(kernels.width));
        let beside = parts.min(strips);
        let down = if left_too { self.rows.div_ceil(ROWS) } else { 0 };
        let (steps, left_steps) = (&self.right_steps[block.depth.clone()], &self.left_steps[block.depth.clone()]);
        let gather = if self.across { kernels.gather_across } else { kernels.gather };
        let part = |part: usize| {
            if let Some((first, count)) = tiles(self.rows, ROWS).take(down).nth(part) {
                let at = self.left.at(first as isize * self.left_row);
                let to = block.left.at((first * depth) as isize);
                // SAFETY: as this function's; each block of rows is packed by one part.
                unsafe { (kernels.gather_left)(at, self.left_row, count, left_steps, to) };
                return;
            }
            let part = part - down;
            for s in strips * part / beside..strips * (part + 1) / beside {
                let first = block.columns.start + s * kernels.width;
                let columns = &self.columns[first..block.columns.end.min(first + kernels.width)];
                let to = block.right.at((s * depth * kernels.width) as isize);
                // SAFETY: as above, for strips.
                unsafe { gather(self.right.at(0), steps, columns, to) };
            }
        };
        if parts == 1 {
            (0..down + beside).for_each(part);
        } else {
            each(down + beside, part);
        }
    }

    /// Multiplies packed blocks.
    unsafe fn multiply(&self, kernels: &Kernels<T>, block: &Block<T>, parts: usize) {
        let (depth, strips) = (block.depth.len(), block.columns.len().div_ceil(kernels.width));
        let down = self.rows.div_ceil(ROWS);
        let across = (parts.div_ceil(down)).clamp(1, strips);
        let part = |part: usize| {
            let Some((row, rows)) = tiles(self.rows, ROWS).nth(part % down) else { return };
            let mut apart = Vec::new();
            for s in strips * (part / down) / across..strips * (part / down + 1) / across {
                let first = block.columns.start + s * kernels.width;
                let places = &self.places[first..block.columns.end.min(first + kernels.width)];
                let mut strip = Strip {
                    rows,
                    depth,
                    left: Left::Tiles(block.left.at((row * depth) as isize).cast_const()),
                    right: block.right.at((s * depth * kernels.width) as isize).cast_const(),
                    right_rows: Steps::Even(kernels.width as isize),
                    out: self.out.at(row as isize * self.out_row + places[0]),
                    out_row: self.out_row,
                    lines: 1,
                    right_line: 0,
                    out_line: 0,
                    width: places.len(),
                    add: block.add,
                };
                let near = pack::runs(places).next().is_some_and(|(_, count)| count == places.len());
                // SAFETY: as this function's; each part has some of the output to itself.
                unsafe {
                    if near {
                        (kernels.strip)(&strip);
                        continue;
                    }
                    apart.resize(rows * kernels.width, T::ZERO);
                    (strip.out, strip.out_row, strip.add) = (apart.as_mut_ptr(), kernels.width as isize, false);
                    (kernels.strip)(&strip);
                    let out = Ptr::new(self.out.at(row as isize * self.out_row));
                    for (i, sums) in apart.chunks_exact(kernels.width).enumerate() {
                        let out = Ptr::new(out.at(i as isize * self.out_row));
                        for (&place, &sum) in places.iter().zip(sums) {
                            out.set(place, if block.add { out.get(place).plus(sum) } else { sum });
                        }
                    }
                }
            }
        };
        if parts == 1 {
            (0..down * across).for_each(part);
        } else {
            each(down * across, part);
        }
    }
}
