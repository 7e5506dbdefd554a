//! Copies of operands in the order in which tiles read them.

use super::tile::tiles;
use crate::matmul::Matrix;
use crate::register::Register;
use smallvec::SmallVec;

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
    let (deep, wide) = if b.row == 1 && width >= side { (depth / side * side, width) } else { (0, 0) };
    for j in (0..wide).step_by(side) {
        // The last squares begin before the end of those before them, so that none is left over.
        let j = j.min(width - side);
        for p in (0..deep).step_by(side) {
            let column = |i: usize| b.at.offset(p as isize + (j + i) as isize * b.col);
            R::turn(column, to.add(p * row + j), row as isize);
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

/// A strip of a right operand whose items lie at the sum of a step along the depth and a column's place. Runs lie along
/// the columns; they are copied in whole registers, and what these write beyond a run is written over by the next.
///
/// # Safety
/// As [`right`]; behind all items that are named, as many as a register has may be read.
#[inline(always)]
pub(super) unsafe fn gathered<R: Register>(at: *const R::Item, steps: &[isize], columns: &[isize], to: *mut R::Item) {
    let width = 2 * R::LANES;
    // Where a piece goes, whence it comes, and how many there are of it.
    let mut pieces: SmallVec<[(usize, isize, usize); 32]> = SmallVec::new();
    for (first, len) in runs(columns) {
        for i in (0..len).step_by(R::LANES) {
            let (to, from) = (first + i, columns[first] + i as isize);
            let whole = to + R::LANES <= width;
            pieces.push((to, from, if whole { R::LANES } else { len - i }));
        }
    }
    if let [(0, from, _), (_, next, last)] = pieces[..] {
        if last == R::LANES && next - from == R::LANES as isize {
            for (p, &step) in steps.iter().enumerate() {
                let (from, to) = (at.offset(step + from), to.add(p * width));
                R::load(from).store(to);
                R::load(from.add(R::LANES)).store(to.add(R::LANES));
            }
            return;
        }
    }
    for (p, &step) in steps.iter().enumerate() {
        let (row, to) = (at.offset(step), to.add(p * width));
        for &(column, from, count) in &pieces {
            let (from, to) = (row.offset(from), to.add(column));
            if count == R::LANES {
                R::load(from).store(to);
            } else {
                R::load_part(from, count).store_part(to, count);
            }
        }
    }
}

/// The same where runs lie along the depth: squares are turned, and what they write beyond a run is written over.
///
/// # Safety
/// As [`gathered`].
#[inline(always)]
pub(super) unsafe fn gathered_across<R: Register>(
    at: *const R::Item,
    steps: &[isize],
    columns: &[isize],
    to: *mut R::Item,
) {
    let (width, side) = (2 * R::LANES, R::SIDE);
    for (group, columns) in columns.chunks(side).enumerate() {
        let to = to.add(group * side);
        let mut p = 0;
        while p < steps.len() {
            let count = run(&steps[p..], side);
            if columns.len() == side && p + side <= steps.len() && count > 1 {
                let from = at.offset(steps[p]);
                R::turn(|i| from.offset(*columns.get_unchecked(i)), to.add(p * width), width as isize);
            } else {
                for (p, &step) in steps.iter().enumerate().skip(p).take(count) {
                    for (j, &column) in columns.iter().enumerate() {
                        *to.add(p * width + j) = *at.offset(step + column);
                    }
                }
            }
            p += count;
        }
    }
}

/// Rows of a left operand whose columns lie at `steps`, tile by tile.
///
/// # Safety
/// As [`left`].
#[inline(always)]
pub(super) unsafe fn left_gathered<R: Register>(
    at: *const R::Item,
    row: isize,
    rows: usize,
    steps: &[isize],
    to: *mut R::Item,
) {
    for (first, rows) in tiles(rows, R::ROWS) {
        let (at, to) = (at.offset(first as isize * row), to.add(first * steps.len()));
        let mut p = 0;
        while p < steps.len() {
            let count = run(&steps[p..], steps.len());
            let (at, to) = (at.offset(steps[p]), to.add(p * rows));
            if count >= R::SIDE {
                turned::<R>(Matrix { at, row: 1, col: row }, count, rows, to, rows);
                p += count;
                continue;
            }
            for i in 0..rows {
                *to.add(i) = *at.offset(i as isize * row);
            }
            p += 1;
        }
    }
}

/// How many of the first places are neighbours, at most `most`.
#[inline(always)]
fn run(places: &[isize], most: usize) -> usize {
    let most = most.min(places.len());
    1 + (1..most).take_while(|&i| places[i] - places[0] == i as isize).count()
}

/// Runs of neighbours: the first of each, and how many it has.
#[inline(always)]
pub(super) fn runs(places: &[isize]) -> impl Iterator<Item = (usize, usize)> + '_ {
    let mut first = 0;
    std::iter::from_fn(move || {
        (first < places.len()).then(|| {
            let count = run(&places[first..], places.len());
            first += count;
            (first - count, count)
        })
    })
}
