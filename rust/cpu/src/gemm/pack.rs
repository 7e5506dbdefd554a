//! Copies of operands in the order in which tiles read them.

use super::tile::tiles;
use crate::matmul::Matrix;
use crate::register::Register;

/// `depth` rows and `columns` columns of the right operand, strip by strip and in these row by row.
///
/// # Safety
/// The machine has the register's instruction set; both places are live memory, and nobody else uses the latter.
#[inline(always)]
pub(super) unsafe fn right<R: Register>(b: Matrix<R::Item>, depth: usize, columns: usize, to: *mut R::Item) {
    /// Strips that are written side by side: rows of the operand are read in runs, and not all of these meet in one
    /// place of the cache.
    const BESIDE: usize = 4;
    let width = 2 * R::LANES;
    let strip = |first: usize| (to.add(first * depth), width.min(columns - first));
    if b.col != 1 {
        for first in (0..columns).step_by(width) {
            let (to, count) = strip(first);
            turned::<R>(b.moved(first), depth, count, to, width);
        }
        return;
    }
    for group in (0..columns).step_by(BESIDE * width) {
        for p in 0..depth {
            let from = b.at.offset(p as isize * b.row);
            for first in (group..columns.min(group + BESIDE * width)).step_by(width) {
                let (to, count) = strip(first);
                let (from, to) = (from.add(first), to.add(p * width));
                // The usual width is copied without a call.
                if count == width {
                    R::load(from).store(to);
                    R::load(from.add(R::LANES)).store(to.add(R::LANES));
                } else {
                    std::ptr::copy_nonoverlapping(from, to, count);
                }
            }
        }
    }
}

/// Rows of the left operand, tile by tile and in these column by column.
///
/// # Safety
/// As [`right`].
#[inline(always)]
pub(super) unsafe fn left<R: Register>(a: Matrix<R::Item>, rows: usize, depth: usize, to: *mut R::Item) {
    for (first, rows) in tiles(rows, R::ROWS) {
        let (tile, to) = (Matrix { at: a.at.offset(first as isize * a.row), ..a }, to.add(first * depth));
        if a.row == 1 {
            for p in 0..depth {
                std::ptr::copy_nonoverlapping(tile.at.offset(p as isize * a.col), to.add(p * rows), rows);
            }
        } else {
            turned::<R>(tile.t(), depth, rows, to, rows);
        }
    }
}

/// `depth` rows and `width` columns that lie across, by squares where columns are runs of memory.
///
/// # Safety
/// As [`right`].
#[inline(always)]
unsafe fn turned<R: Register>(b: Matrix<R::Item>, depth: usize, width: usize, to: *mut R::Item, row: usize) {
    let side = R::SIDE;
    let (deep, wide) = if b.row == 1 { (depth / side * side, width / side * side) } else { (0, 0) };
    for j in (0..wide).step_by(side) {
        for p in (0..deep).step_by(side) {
            R::turn(b.at.offset(p as isize + j as isize * b.col), b.col, to.add(p * row + j), row as isize);
        }
    }
    let rest = |depth: std::ops::Range<usize>, width: std::ops::Range<usize>| {
        for j in width {
            for p in depth.clone() {
                *to.add(p * row + j) = *b.at.offset(p as isize * b.row + j as isize * b.col);
            }
        }
    };
    rest(0..deep, wide..width);
    rest(deep..depth, 0..width);
}
