//! The innermost loops: a tile of the output, all of whose sums stay in registers.

use crate::matmul::Matrix;
use crate::register::Register;

/// The left operand of a strip: a matrix, or tiles of it that were packed one after the other, column by column.
#[derive(Clone, Copy)]
pub(crate) enum Left<T> {
    Matrix(Matrix<T>),
    Tiles(*const T),
}

/// Where the rows of an operand lie from its start, in items.
#[derive(Clone, Copy)]
pub(crate) enum Steps {
    Even(isize),
    /// As many as there are rows.
    Table(*const isize),
}

/// Some rows of the output by at most two registers' columns.
#[derive(Clone, Copy)]
pub(crate) struct Strip<T> {
    pub rows: usize,
    pub depth: usize,
    pub left: Left<T>,
    /// Rows of neighbours.
    pub right: *const T,
    pub right_rows: Steps,
    pub out: *mut T,
    pub out_row: isize,
    /// The same is done for so many, all with the same left operand.
    pub lines: usize,
    pub right_line: isize,
    pub out_line: isize,
    /// Columns.
    pub width: usize,
    /// Whether the output is added to.
    pub add: bool,
}

/// `rows` cut into tiles of at most `most`: the first row of each, and how many it has.
#[inline(always)]
pub(crate) fn tiles(rows: usize, most: usize) -> impl Iterator<Item = (usize, usize)> {
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
                    $($M if $M <= R::ROWS => for line in 0..s.lines as isize {
                        let (right, out) = (s.right.offset(line * s.right_line), out.offset(line * s.out_line));
                        tile::<R, $M>(s, a, right, out);
                    },)*
                    _ => unreachable!("tiles have at most {} rows", R::ROWS),
                }
            };
        }
        rows!(1 2 3 4 5 6 7 8 9 10 11 12);
    }
}

/// # Safety
/// As [`strip`], for `M` rows.
#[inline(always)]
unsafe fn tile<R: Register, const M: usize>(
    s: &Strip<R::Item>,
    a: Matrix<R::Item>,
    right: *const R::Item,
    out: *mut R::Item,
) {
    macro_rules! width {
        ($N:literal, $PART:literal, $last:expr) => {
            match s.right_rows {
                Steps::Even(step) => sums::<R, M, $N, $PART>(
                    s,
                    a,
                    (0..s.depth).map(|p| right.wrapping_offset(p as isize * step)),
                    out,
                    $last,
                ),
                Steps::Table(steps) => sums::<R, M, $N, $PART>(
                    s,
                    a,
                    (0..s.depth).map(|p| right.wrapping_offset(*steps.add(p))),
                    out,
                    $last,
                ),
            }
        };
    }
    if s.width == 2 * R::LANES {
        width!(2, false, R::LANES)
    } else if s.width > R::LANES {
        width!(2, true, s.width - R::LANES)
    } else {
        width!(1, true, s.width)
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
    rows: impl Iterator<Item = *const R::Item>,
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
    let mut lines: [*const R::Item; 4] =
        std::array::from_fn(|g| a.at.wrapping_offset((3 * g as isize).wrapping_mul(a.row)));
    for right in rows {
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
