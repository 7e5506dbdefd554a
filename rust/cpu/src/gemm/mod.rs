//! Matrix products of floats: blocks of the operands go to the caches, strips of them to registers.
//!
//! Goto and van de Geijn, "Anatomy of high-performance matrix multiplication" (2008). Operands are copied into the
//! order of the loops only where that pays: [`tile`] reads rows of the right one and any layout of the left, [`dot`]
//! rows of both.

mod dot;
mod gathered;
mod pack;
mod scratch;
mod tile;

use crate::elementwise::{Isa, Value};
use crate::matmul::Matrix;
use crate::register::{for_each_isa, Register};
use crate::strided::{Number, Ptr};
use crate::threads;
pub(crate) use dot::Rows;
pub(crate) use gathered::Gathered;
pub(crate) use scratch::Scratch;
use std::ops::Range;
pub(crate) use tile::{tiles, Left, Steps, Strip};

/// Steps of a block along the depth: many, since every block reads and writes the whole output. A strip of the right operand,
/// with a block of the left, stays in the second cache.
const DEPTH: usize = 1024;
/// Rows of a packed block of the left operand: it stays in the second cache.
const ROWS: usize = 8 * 12;
/// Columns of a packed block of the right operand.
const COLUMNS: usize = 2048;
/// From this many multiplications on there are several parts to a thread, so that one that is late holds up little.
const LARGE: usize = 1 << 24;

/// The loops for one type and instruction set.
pub(crate) struct Kernels<T> {
    /// Columns of a strip, two registers.
    pub width: usize,
    /// Rows of a tile.
    rows: usize,
    pub strip: unsafe fn(&Strip<T>),
    pub dot: unsafe fn(&Rows<T>),
    pub pack_left: unsafe fn(Matrix<T>, usize, usize, *mut T),
    pack_right: unsafe fn(Matrix<T>, usize, usize, *mut T),
    /// A strip whose items lie at sums of steps and places, with runs of these or, the latter, of those.
    gather: unsafe fn(*const T, &[isize], &[isize], *mut T),
    gather_across: unsafe fn(*const T, &[isize], &[isize], *mut T),
    gather_left: unsafe fn(*const T, isize, usize, &[isize], *mut T),
}

macro_rules! kernels {
    ($T:ty, $R:ty $(, $features:literal)?) => {{
        $(#[target_feature(enable = $features)])?
        unsafe fn strip(s: &Strip<$T>) {
            tile::strip::<$R>(s)
        }
        $(#[target_feature(enable = $features)])?
        unsafe fn dot(s: &Rows<$T>) {
            dot::rows::<$R>(s)
        }
        $(#[target_feature(enable = $features)])?
        unsafe fn pack_left(a: Matrix<$T>, rows: usize, depth: usize, to: *mut $T) {
            pack::left::<$R>(a, rows, depth, to)
        }
        $(#[target_feature(enable = $features)])?
        unsafe fn pack_right(b: Matrix<$T>, depth: usize, columns: usize, to: *mut $T) {
            pack::right::<$R>(b, depth, columns, to)
        }
        $(#[target_feature(enable = $features)])?
        unsafe fn gather(at: *const $T, steps: &[isize], columns: &[isize], to: *mut $T) {
            pack::gathered::<$R>(at, steps, columns, to)
        }
        $(#[target_feature(enable = $features)])?
        unsafe fn gather_across(at: *const $T, steps: &[isize], columns: &[isize], to: *mut $T) {
            pack::gathered_across::<$R>(at, steps, columns, to)
        }
        $(#[target_feature(enable = $features)])?
        unsafe fn gather_left(at: *const $T, row: isize, rows: usize, steps: &[isize], to: *mut $T) {
            pack::left_gathered::<$R>(at, row, rows, steps, to)
        }
        Kernels {
            width: 2 * <$R>::LANES,
            rows: <$R>::ROWS,
            strip,
            dot,
            pack_left,
            pack_right,
            gather,
            gather_across,
            gather_left,
        }
    }};
}

/// A type that has [`Kernels`].
pub(crate) trait Item: Number {
    /// Those for an instruction set of this machine.
    fn kernels(isa: Isa) -> &'static Kernels<Self>;
}

impl Item for f32 {
    fn kernels(isa: Isa) -> &'static Kernels<f32> {
        for_each_isa!(isa, f32, Kernels<f32>, kernels)
    }
}
impl Item for f64 {
    fn kernels(isa: Isa) -> &'static Kernels<f64> {
        for_each_isa!(isa, f64, Kernels<f64>, kernels)
    }
}

/// `out = a @ b (+ out)`; `out` has rows `out_row` apart.
#[derive(Clone, Copy)]
pub(crate) struct Product<T> {
    pub m: usize,
    pub k: usize,
    pub n: usize,
    pub a: Matrix<T>,
    pub b: Matrix<T>,
    pub out: Ptr<T>,
    pub out_row: isize,
    pub add: bool,
    pub then: Option<Then<T>>,
}

/// A function of the output's elements, for what is done of them.
#[derive(Clone, Copy)]
pub(crate) struct Then<T> {
    pub apart: Value<T>,
    pub over: Value<T>,
    /// The output's first element.
    pub from: *const T,
    /// Where the values go: to an array of the output's size, or where its elements stood.
    pub to: Option<Ptr<T>>,
}

// SAFETY: addresses; the unsafe function that reads and writes there states who may.
unsafe impl<T: Sync> Sync for Then<T> {}

impl<T: Number> Then<T> {
    /// # Safety
    /// The `len` elements at `done` are of the output, and nobody else uses them, nor those where their values go; the
    /// machine has the functions' instruction set.
    pub unsafe fn run(&self, done: *mut T, len: usize) {
        match self.to {
            Some(to) => {
                let to = to.at(done.cast_const().offset_from(self.from));
                (self.apart)(&[std::slice::from_raw_parts(done, len)], std::slice::from_raw_parts_mut(to, len));
            }
            None => (self.over)(&[], std::slice::from_raw_parts_mut(done, len)),
        }
    }
}

/// What a step of the loops over blocks works on.
struct Block<T> {
    depth: usize,
    a: Matrix<T>,
    /// Rows of the right operand: its own, or packed strips.
    right: Ptr<T>,
    right_row: isize,
    /// From one strip to the next.
    right_strip: usize,
    columns: usize,
    out: Ptr<T>,
    add: bool,
    /// Whether nothing is added later.
    last: bool,
}

impl<T: Number> Product<T> {
    /// Runs it; `false` if there is no memory for blocks, with the output as it was.
    ///
    /// # Safety
    /// All `m·k`, `k·n` and `m·n` elements lie in live memory, and nobody else uses the output's; the machine has the
    /// kernels' instruction set.
    pub unsafe fn run(&self, kernels: &Kernels<T>, threads: bool) -> bool {
        let &Product { m, k, n, a, b, .. } = self;
        let parts = match threads {
            true if m.saturating_mul(k).saturating_mul(n) >= LARGE => 4 * threads::count(),
            true => threads::count(),
            false => 1,
        };
        if self.by_rows(kernels) {
            self.dot(kernels, parts);
            return true;
        }
        let direct = self.reads_right(kernels);
        let blocks = k.div_ceil(DEPTH);
        let wide = if direct { n } else { n.min(COLUMNS) };
        let strips = wide.div_ceil(kernels.width);
        let size = if direct { 0 } else { k.div_ceil(blocks) * strips * kernels.width };
        let Some(packed) = Scratch::right::<T>(size) else { return false };
        for p in 0..blocks {
            let (from, to) = (k * p / blocks, k * (p + 1) / blocks);
            let depth = to - from;
            for first in (0..n).step_by(wide) {
                let columns = wide.min(n - first);
                let b = Matrix { at: b.at.offset(from as isize * b.row + first as isize * b.col), ..b };
                let (right, right_row, right_strip) = if direct {
                    (Ptr::new(b.at.cast_mut()), b.row, kernels.width)
                } else {
                    let packed = Ptr::new(packed.at::<T>());
                    pack(kernels, b, depth, columns, packed, parts);
                    (packed, kernels.width as isize, depth * kernels.width)
                };
                let a = Matrix { at: a.at.offset(from as isize * a.col), ..a };
                let out = Ptr::new(self.out.at(first as isize));
                let (add, last) = (self.add || p > 0, p + 1 == blocks);
                self.block(kernels, &Block { depth, a, right, right_row, right_strip, columns, out, add, last }, parts);
            }
        }
        true
    }

    /// Whether rows of both operands, which lie along the depth, are multiplied as they are: few of the left one, and long
    /// enough that adding up lanes at their ends costs less than packing.
    fn by_rows(&self, kernels: &Kernels<T>) -> bool {
        let along = self.a.col == 1 && self.b.row == 1 && self.b.col != 1;
        along && self.m <= 4 * kernels.rows && self.k >= 4 * kernels.width
    }

    /// Whether the right operand is read where it is: its rows are runs, and few tiles read each.
    fn reads_right(&self, kernels: &Kernels<T>) -> bool {
        self.b.col == 1 && (self.n <= kernels.width || self.m <= 4 * kernels.rows)
    }

    /// Whether the left operand is packed: many strips read it, or its rows meet in few places of the cache.
    fn packs_left(&self, kernels: &Kernels<T>, columns: usize) -> bool {
        let strips = columns.div_ceil(kernels.width);
        let conflict = self.a.row.wrapping_mul(size_of::<T>() as isize) % 2048 == 0;
        strips > 1 && if self.a.col == 1 { conflict && strips > 2 } else { strips > 4 }
    }

    unsafe fn dot(&self, kernels: &Kernels<T>, parts: usize) {
        /// Columns of a part are a multiple of this.
        const EDGE: usize = 4;
        let parts = parts.min(self.n.div_ceil(EDGE));
        each(parts, |i| {
            let edge = |i: usize| (self.n * i / parts).next_multiple_of(EDGE).min(self.n);
            let (from, to) = (edge(i), edge(i + 1));
            // SAFETY: the columns of a part are its own.
            unsafe {
                (kernels.dot)(&Rows {
                    rows: self.m,
                    depth: self.k,
                    width: to - from,
                    left: self.a.at,
                    left_row: self.a.row,
                    right: self.b.moved(from).at,
                    right_rows: Steps::Even(self.b.col),
                    lines: 1,
                    left_line: 0,
                    right_line: 0,
                    out: self.out.at(from as isize),
                    out_row: self.out_row,
                    add: self.add,
                });
                self.follow(0..self.m, from, to - from, self.out);
            }
        });
    }

    /// Does what follows on some columns of some rows.
    ///
    /// # Safety
    /// As [`Then::run`], for these elements.
    unsafe fn follow(&self, rows: Range<usize>, column: usize, columns: usize, out: Ptr<T>) {
        if let Some(then) = &self.then {
            for i in rows {
                then.run(out.at(i as isize * self.out_row + column as isize), columns);
            }
        }
    }

    unsafe fn block(&self, kernels: &Kernels<T>, block: &Block<T>, parts: usize) {
        let strips = block.columns.div_ceil(kernels.width);
        let tall = self.m >= block.columns || self.m >= parts * 4 * kernels.rows;
        let down = if tall { parts.min(self.m.div_ceil(kernels.rows)) } else { 1 };
        let across = (parts / down).clamp(1, strips);
        each(down * across, |part| {
            let (i, j) = (part % down, part / down);
            let rows = self.m * i / down..self.m * (i + 1) / down;
            let strips = strips * j / across..strips * (j + 1) / across;
            let columns = (strips.len() * kernels.width).min(block.columns - strips.start * kernels.width);
            let pack = self.packs_left(kernels, columns);
            let most = if pack { ROWS } else { rows.len().max(1) };
            for (from, count) in tiles(rows.len(), most) {
                let first = (rows.start + from) as isize;
                // SAFETY: positions lie in the operands and the output; each part has some of the output to itself.
                unsafe {
                    let a = Matrix { at: block.a.at.offset(first * block.a.row), ..block.a };
                    let room = Scratch::left::<T>(if pack { count * block.depth } else { 0 });
                    let left = match &room {
                        Some(room) if pack => {
                            (kernels.pack_left)(a, count, block.depth, room.at());
                            Left::Tiles(room.at::<T>().cast_const())
                        }
                        _ => Left::Matrix(a),
                    };
                    for s in strips.clone() {
                        let column = s * kernels.width;
                        (kernels.strip)(&Strip {
                            rows: count,
                            depth: block.depth,
                            left,
                            right: block.right.at((s * block.right_strip) as isize),
                            right_rows: Steps::Even(block.right_row),
                            lines: 1,
                            right_line: 0,
                            out_line: 0,
                            out: block.out.at(first * self.out_row + column as isize),
                            out_row: self.out_row,
                            width: kernels.width.min(block.columns - column),
                            add: block.add,
                        });
                    }
                    if block.last {
                        let first = first as usize;
                        self.follow(first..first + count, strips.start * kernels.width, columns, block.out);
                    }
                }
            }
        });
    }
}

/// Copies strips of the right operand's block to where tiles read them.
///
/// # Safety
/// As [`Product::run`]; `to` has room for the strips.
unsafe fn pack<T: Number>(kernels: &Kernels<T>, b: Matrix<T>, depth: usize, columns: usize, to: Ptr<T>, parts: usize) {
    let strips = columns.div_ceil(kernels.width);
    let parts = parts.min(strips);
    each(parts, |part| {
        let edge = |part: usize| (strips * part / parts * kernels.width).min(columns);
        let (first, end) = (edge(part), edge(part + 1));
        // SAFETY: as this function's; each strip is packed by one part.
        unsafe { (kernels.pack_right)(b.moved(first), depth, end - first, to.at((first * depth) as isize)) };
    });
}

fn each(parts: usize, part: impl Fn(usize) + Sync) {
    if parts == 1 {
        part(0)
    } else {
        threads::share(parts, part)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Small whole numbers: their products' sums are exact in any order.
    fn noise<T: Item>(count: usize, seed: usize) -> Vec<T> {
        (0..count).map(|i| T::from_i64((((i + seed) * 2_654_435_761) >> 7) as i64 % 9 - 4)).collect()
    }

    fn check<T: Item>(isa: Isa, [m, k, n]: [usize; 3], [a_across, b_across]: [bool; 2], add: bool) {
        let (a, b, start) = (noise::<T>(m * k, 1), noise::<T>(k * n, 2), noise::<T>(m * n, 3));
        let matrix = |at: &[T], rows: usize, columns: usize, across: bool| {
            let (row, col) = if across { (1, rows as isize) } else { (columns as isize, 1) };
            Matrix { at: at.as_ptr(), row, col }
        };
        let (x, y) = (matrix(&a, m, k, a_across), matrix(&b, k, n, b_across));
        let mut out = start.clone();
        let product =
            Product { m, k, n, a: x, b: y, out: Ptr::new(out.as_mut_ptr()), out_row: n as isize, add, then: None };
        // SAFETY: the slices have these sizes, and the caller chose an instruction set of this machine.
        assert!(unsafe { product.run(T::kernels(isa), m * k * n > 1 << 17) });
        // SAFETY: as above.
        let get = |x: Matrix<T>, i: usize, j: usize| unsafe { *x.at.offset(i as isize * x.row + j as isize * x.col) };
        for (at, &found) in out.iter().enumerate() {
            let (i, j) = (at / n, at % n);
            let zero = if add { start[at] } else { T::ZERO };
            let sum = (0..k).fold(zero, |sum, p| sum.plus(get(x, i, p).times(get(y, p, j))));
            assert_eq!(found.to_f64(), sum.to_f64(), "{isa:?} {m}×{k}×{n} {a_across} {b_across} at {i}, {j}");
        }
    }

    fn every_way(sizes: [usize; 3]) {
        for isa in Isa::ALL.into_iter().filter(|isa| isa.available()) {
            for way in 0..8 {
                let across = [way & 1 > 0, way & 2 > 0];
                check::<f32>(isa, sizes, across, way & 4 > 0);
                check::<f64>(isa, sizes, across, way & 4 > 0);
            }
        }
    }

    #[test]
    fn tiles_of_every_size() {
        let rows: &[usize] = if cfg!(miri) { &[1, 6] } else { &[1, 2, 3, 4, 5, 7, 9, 11, 12, 13, 23, 57] };
        for &m in rows {
            for k in [1, 9, 17] {
                for n in [1, 4, 7, 8, 15, 16, 17, 32, 33, 63] {
                    every_way([m, k, n]);
                }
            }
            // Long rows, which are not packed.
            for n in [1, 2, 3, 4, 5, 9] {
                every_way([m, 141, n]);
            }
        }
    }

    #[test]
    #[cfg_attr(miri, ignore = "slow there")]
    fn blocks_of_every_operand() {
        // More than one block along the depth, the rows and the columns; strides that meet in one place of the cache.
        for sizes in [[130, 2 * DEPTH + 3, 70], [2 * ROWS + 9, 40, 200], [60, 3, COLUMNS + 50], [64, 512, 160]] {
            every_way(sizes);
        }
    }

    #[test]
    fn cuts_cover_all_rows() {
        for rows in 0..60 {
            let cuts: Vec<_> = tiles(rows, 12).collect();
            assert!(cuts.iter().all(|&(_, count)| 0 < count && count <= 12));
            assert_eq!(cuts.iter().fold(0, |end, &(first, count)| (first == end) as usize * (end + count)), rows);
        }
    }
}
