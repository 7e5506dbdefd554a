//! The innermost loops: a tile of the output, all of whose sums stay in registers.

use super::register::Register;
use crate::matmul::Matrix;

/// The left operand of a strip: a matrix, or tiles of it that were packed one after the other, column by column.
#[derive(Clone, Copy)]
pub(super) enum Left<T> {
    Matrix(Matrix<T>),
    Tiles(*const T),
}

/// Some rows of the output by at most two registers' columns.
#[derive(Clone, Copy)]
pub(super) struct Strip<T> {
    pub rows: usize,
    pub depth: usize,
    pub left: Left<T>,
    /// Rows of neighbours, `right_row` apart.
    pub right: *const T,
    pub right_row: isize,
    pub out: *mut T,
    pub out_row: isize,
    /// Columns.
    pub width: usize,
    /// Whether the output is added to.
    pub add: bool,
}

/// How `rows` are cut into tiles of at most `most`: their number, and rows of the first and of the last ones.
#[inline(always)]
pub(super) fn tiles(rows: usize, most: usize) -> impl Iterator<Item = (usize, usize)> {
    let count = rows.div_ceil(most);
    let (each, more) = (rows / count.max(1), rows % count.max(1));
    (0..count).map(move |i| (i * each + i.min(more), each + usize::from(i < more)))
}

/// # Safety
/// The machine has the register's instruction set; all that the strip names lies in live memory, and nobody else uses
/// the output.
#[inline(always)]
pub(super) unsafe fn strip<R: Register>(s: &Strip<R::Item>) {
    for (first, rows) in tiles(s.rows, R::ROWS) {
        let a = match s.left {
            Left::Matrix(a) => Matrix { at: a.at.offset(first as isize * a.row), ..a },
            Left::Tiles(at) => Matrix { at: at.add(first * s.depth), row: 1, col: rows as isize },
        };
        let out = s.out.offset(first as isize * s.out_row);
        macro_rules! rows {
            ($($M:literal)*) => {
                match rows {
                    $($M if $M <= R::ROWS => tile::<R, $M>(s, a, out),)*
                    _ => unreachable!("tiles have at most {} rows", R::ROWS),
                }
            };
        }
        rows!(1 2 3 4 5 6 7 8 9 10 11 12 13 14);
    }
}

/// # Safety
/// As [`strip`], for `M` rows.
#[inline(always)]
unsafe fn tile<R: Register, const M: usize>(s: &Strip<R::Item>, a: Matrix<R::Item>, out: *mut R::Item) {
    if s.width == 2 * R::LANES {
        sums::<R, M, 2, false>(s, a, out, R::LANES);
    } else if s.width > R::LANES {
        sums::<R, M, 2, true>(s, a, out, s.width - R::LANES);
    } else {
        sums::<R, M, 1, true>(s, a, out, s.width);
    }
}

/// `M` rows of `N` registers, the last of them with `last` columns where it is a `PART`.
///
/// # Safety
/// As [`strip`].
#[inline(always)]
unsafe fn sums<R: Register, const M: usize, const N: usize, const PART: bool>(
    s: &Strip<R::Item>,
    a: Matrix<R::Item>,
    out: *mut R::Item,
    last: usize,
) {
    let load = |from: *const R::Item, j: usize| {
        let from = from.add(j * R::LANES);
        if PART && j + 1 == N {
            R::load_part(from, last)
        } else {
            R::load(from)
        }
    };
    let mut sums = [[R::zero(); N]; M];
    // Three rows to a pointer: the processor adds one stride or two by itself.
    let mut lines: [*const R::Item; 5] = std::array::from_fn(|g| a.at.wrapping_offset(3 * g as isize * a.row));
    let mut right = s.right;
    for _ in 0..s.depth {
        let b: [R; N] = std::array::from_fn(|j| load(right, j));
        for i in 0..M {
            let x = R::splat(*lines[i / 3].offset((i % 3) as isize * a.row));
            for j in 0..N {
                sums[i][j] = sums[i][j].add_product(x, b[j]);
            }
        }
        for line in &mut lines {
            *line = line.wrapping_offset(a.col);
        }
        right = right.wrapping_offset(s.right_row);
    }
    for (i, sums) in sums.into_iter().enumerate() {
        let out = out.offset(i as isize * s.out_row);
        for (j, sum) in sums.into_iter().enumerate() {
            let sum = if s.add { load(out, j).add(sum) } else { sum };
            let out = out.add(j * R::LANES);
            if PART && j + 1 == N {
                sum.store_part(out, last);
            } else {
                sum.store(out);
            }
        }
    }
}
