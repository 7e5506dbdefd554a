//! Products of rows with rows, `a · bᵀ` where both lie along their depth: nothing is packed, lanes go along the depth
//! and are summed at the end. It pays where the left operand has few rows.

use super::tile::Steps;
use crate::register::Register;
use crate::strided::Number;

/// Columns of a tile.
const WIDTH: usize = 4;

/// Rows of both operands along the depth.
#[derive(Clone, Copy)]
pub(crate) struct Rows<T> {
    pub rows: usize,
    pub depth: usize,
    pub width: usize,
    pub left: *const T,
    pub left_row: isize,
    pub right: *const T,
    pub right_rows: Steps,
    /// So many runs along the depth are summed.
    pub lines: usize,
    pub left_line: isize,
    pub right_line: isize,
    pub out: *mut T,
    pub out_row: isize,
    pub add: bool,
}

/// # Safety
/// As [`super::tile::strip`].
#[inline(always)]
pub(super) unsafe fn rows<R: Register>(s: &Rows<R::Item>) {
    let most = if R::ROWS > 6 { 4 } else { 3 };
    for j in (0..s.width).step_by(WIDTH) {
        for (i, rows) in super::tile::tiles(s.rows, most) {
            macro_rules! rows {
                ($($M:literal)*) => {
                    match (rows, s.width - j) {
                        $(($M, WIDTH..) => tile::<R, $M, WIDTH>(s, i, j),
                        ($M, 1) => tile::<R, $M, 1>(s, i, j),
                        ($M, 2) => tile::<R, $M, 2>(s, i, j),
                        ($M, _) => tile::<R, $M, 3>(s, i, j),)*
                        _ => unreachable!("tiles have at most {most} rows"),
                    }
                };
            }
            rows!(1 2 3 4);
        }
    }
}

/// # Safety
/// As [`rows`].
#[inline(always)]
unsafe fn tile<R: Register, const M: usize, const N: usize>(s: &Rows<R::Item>, i: usize, j: usize) {
    let b: [*const R::Item; N] = std::array::from_fn(|n| match s.right_rows {
        Steps::Even(step) => s.right.wrapping_offset((j + n) as isize * step),
        Steps::Table(steps) => s.right.wrapping_offset(*steps.add(j + n)),
    });
    let mut sums = [[R::zero(); N]; M];
    let whole = s.depth / R::LANES * R::LANES;
    for line in 0..s.lines as isize {
        let left = s.left.wrapping_offset(line * s.left_line + i as isize * s.left_row);
        let right = line * s.right_line;
        for p in (0..whole).step_by(R::LANES) {
            let x: [R; M] = std::array::from_fn(|m| R::load(left.wrapping_offset(m as isize * s.left_row).add(p)));
            for n in 0..N {
                let y = R::load(b[n].wrapping_offset(right).add(p));
                for m in 0..M {
                    sums[m][n] = sums[m][n].add_product(x[m], y);
                }
            }
        }
        if whole < s.depth {
            let load = |from: *const R::Item| R::load_part(from.add(whole), s.depth - whole);
            let x: [R; M] = std::array::from_fn(|m| load(left.wrapping_offset(m as isize * s.left_row)));
            for n in 0..N {
                let y = load(b[n].wrapping_offset(right));
                for m in 0..M {
                    sums[m][n] = sums[m][n].add_product(x[m], y);
                }
            }
        }
    }
    for (m, sums) in sums.into_iter().enumerate() {
        let totals = R::totals(std::array::from_fn(|n| sums[n.min(N - 1)]));
        let out = s.out.offset((i + m) as isize * s.out_row + j as isize);
        for (n, &total) in totals.iter().enumerate().take(N) {
            let out = out.add(n);
            *out = if s.add { (*out).plus(total) } else { total };
        }
    }
}
