//! Products of rows with rows, `a · bᵀ` where both lie along their depth: nothing is packed, lanes go along the depth
//! and are summed at the end. It pays where the left operand has few rows.

use super::register::Register;
use crate::matmul::Matrix;
use crate::strided::Number;

/// Columns of a tile.
const WIDTH: usize = 4;

/// Rows of both operands along the depth.
#[derive(Clone, Copy)]
pub(super) struct Rows<T> {
    pub rows: usize,
    pub depth: usize,
    pub width: usize,
    pub left: Matrix<T>,
    pub right: Matrix<T>,
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
            rows!(1 2 3 4 5 6);
        }
    }
}

/// # Safety
/// As [`rows`].
#[inline(always)]
unsafe fn tile<R: Register, const M: usize, const N: usize>(s: &Rows<R::Item>, i: usize, j: usize) {
    let a: [*const R::Item; M] = std::array::from_fn(|m| s.left.at.offset((i + m) as isize * s.left.row));
    let b: [*const R::Item; N] = std::array::from_fn(|n| s.right.at.offset((j + n) as isize * s.right.col));
    let mut sums = [[R::zero(); N]; M];
    let whole = s.depth / R::LANES * R::LANES;
    for p in (0..whole).step_by(R::LANES) {
        let x: [R; M] = std::array::from_fn(|m| R::load(a[m].add(p)));
        for n in 0..N {
            let y = R::load(b[n].add(p));
            for m in 0..M {
                sums[m][n] = sums[m][n].add_product(x[m], y);
            }
        }
    }
    if whole < s.depth {
        let load = |from: *const R::Item| R::load_part(from.add(whole), s.depth - whole);
        for n in 0..N {
            let y = load(b[n]);
            for m in 0..M {
                sums[m][n] = sums[m][n].add_product(load(a[m]), y);
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
