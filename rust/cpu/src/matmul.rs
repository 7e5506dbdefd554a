//! Matrix products of any strides: tiny ones in plain loops, large ones by blocks (see [`crate::gemm`]),
//! matrix–vector products as streams over the matrix.

use crate::buffer::Buffer;
use crate::elementwise::Isa;
use crate::gemm::{Item, Kernels, Product, Then};
use crate::strided::{dispatch, filled, load, parallel, room, store, vectorised, Element, Nest, Number, Ptr, GRAIN};
use crate::threads;
use smallvec::SmallVec;
use wengert_ops::{contract, Category, DType, Layout, Result, View, ViewMut};

/// Up to this many multiplications a product runs in plain loops: setting up blocks would cost more.
const TINY: usize = 900;
/// From this many multiplications on, threads pay.
const THREADED: usize = 4 * 64 * 64 * 64;

/// A matrix operand: address of its first element and strides in elements.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Matrix<T> {
    pub at: *const T,
    pub row: isize,
    pub col: isize,
}

// SAFETY: a Matrix is an address and two numbers; the unsafe functions that read it state who may.
unsafe impl<T: Sync> Send for Matrix<T> {}
// SAFETY: as above.
unsafe impl<T: Sync> Sync for Matrix<T> {}

impl<T> Matrix<T> {
    /// The transpose of a row-major matrix is the same memory with the strides exchanged.
    pub fn t(self) -> Self {
        Matrix { at: self.at, row: self.col, col: self.row }
    }

    /// The matrix from column `col` on.
    pub fn moved(self, col: usize) -> Self {
        Matrix { at: self.at.wrapping_offset(col as isize * self.col), ..self }
    }

    /// `len` neighbours in memory, from a row's and a column's position on.
    ///
    /// # Safety
    /// They lie in live memory that nobody writes while the slice lives.
    unsafe fn run<'a>(self, row: usize, col: usize, len: usize) -> &'a [T] {
        let at = self.at.offset(row as isize * self.row + col as isize * self.col);
        std::slice::from_raw_parts(at, len)
    }
}

/// A number type whose matrices [`product`] multiplies.
pub(crate) trait Factor: Number {
    /// The loops that products by blocks are made of, where there are any.
    fn kernels() -> Option<&'static Kernels<Self>>;
}
macro_rules! factor {
    ($($T:ident)*) => {$(
        impl Factor for $T {
            fn kernels() -> Option<&'static Kernels<$T>> {
                Some(Item::kernels(Isa::current()))
            }
        }
    )*};
}
factor!(f32 f64);
impl Factor for i64 {
    fn kernels() -> Option<&'static Kernels<i64>> {
        None
    }
}

/// A floating-point number type.
pub(crate) trait Float: Factor {}
impl Float for f32 {}
impl Float for f64 {}

/// `out = a @ b (+ out)`; the contract is [`wengert_ops::Backend::matmul`]'s.
pub fn matmul(a: View<'_, Buffer>, b: View<'_, Buffer>, accumulate: bool, out: ViewMut<'_, Buffer>) -> Result<()> {
    contract::matmul(&a, &b, &out)?;
    if out.layout().numel() == 0 {
        return Ok(());
    }
    match out.dtype() {
        DType::F32 => float::<f32>(a, b, accumulate, &out),
        DType::F64 => float::<f64>(a, b, accumulate, &out),
        DType::F16 | DType::BF16 => half(a, b, accumulate, &out)?,
        dtype => dispatch!(dtype, T => integer::<T>(a, b, accumulate, &out)?),
    }
    Ok(())
}

/// Sizes and inner strides of a product over a batch.
struct Plan {
    m: usize,
    k: usize,
    n: usize,
    /// Row and column strides of a and b.
    a: (isize, isize),
    b: (isize, isize),
    batch: Nest<2>,
}

impl Plan {
    fn new(a: &Layout, b: &Layout) -> Plan {
        let r = a.rank() - 2;
        let (m, k, n) = (a.shape()[r], a.shape()[r + 1], b.shape()[r + 1]);
        let batch = Nest::new(&a.shape()[..r], [&a.strides()[..r], &b.strides()[..r]], [a.offset(), b.offset()]);
        let mut plan =
            Plan { m, k, n, a: (a.strides()[r], a.strides()[r + 1]), b: (b.strides()[r], b.strides()[r + 1]), batch };
        plan.merge_rows(a, b);
        plan
    }

    /// A batch that shares b and whose a-rows follow one another is a single taller product.
    fn merge_rows(&mut self, a: &Layout, b: &Layout) {
        let [step_a, step_b] = self.batch.steps();
        let count = self.batch.inner();
        if count > 1 && self.batch.outer() == 1 && step_b == 0 {
            let row = if self.m == 1 { step_a } else { self.a.0 };
            if step_a == row * self.m as isize {
                self.a.0 = row;
                self.m *= count;
                self.batch = Nest::new(&[], [&[], &[]], [a.offset(), b.offset()]);
            }
        }
    }
}

/// Multiplications of a product; operands may repeat their elements, so that the number may be any.
fn product_of(m: usize, k: usize, n: usize) -> usize {
    m.saturating_mul(k).saturating_mul(n)
}

fn float<T: Float>(a: View<'_, Buffer>, b: View<'_, Buffer>, accumulate: bool, out: &ViewMut<'_, Buffer>) {
    let (pa, pb, po) = (Ptr::<T>::of(a.buffer), Ptr::<T>::of(b.buffer), Ptr::<T>::of(out.buffer()));
    let start = out.layout().offset() as isize;
    if let (&[m, k], &[_, n], &[a_row, a_col], &[b_row, b_col]) =
        (a.layout.shape(), b.layout.shape(), a.layout.strides(), b.layout.strides())
    {
        let x = Matrix { at: pa.at(a.layout.offset() as isize) as *const T, row: a_row, col: a_col };
        let y = Matrix { at: pb.at(b.layout.offset() as isize) as *const T, row: b_row, col: b_col };
        // SAFETY: the layouts lie in their buffers, and no input overlaps the output (contract of ViewMut).
        unsafe { product(m, k, n, x, y, po.at(start), n as isize, accumulate, product_of(m, k, n) >= THREADED) };
        return;
    }
    let plan = Plan::new(a.layout, b.layout);
    let Plan { m, k, n, .. } = plan;
    let (flops, size) = (product_of(m, k, n), (m * n) as isize);
    let batch = plan.batch.numel();
    let one = |at: [isize; 2], i: isize, threads: bool| {
        let x = Matrix { at: pa.at(at[0]), row: plan.a.0, col: plan.a.1 };
        let y = Matrix { at: pb.at(at[1]), row: plan.b.0, col: plan.b.1 };
        // SAFETY: positions come from the operands' layouts, which lie in their buffers; each batch
        // entry writes its own block of the output, which no input overlaps (contract of ViewMut).
        unsafe { product(m, k, n, x, y, po.at(start + i * size), n as isize, accumulate, threads) }
    };
    let mut starts = Vec::new();
    let shared = batch >= 2 * threads::count() && flops.saturating_mul(batch) >= THREADED;
    if shared && starts.try_reserve_exact(batch).is_ok() {
        plan.batch.each(|at| starts.push(at));
        threads::ranges(batch, batch, |range| {
            for (i, &at) in range.clone().zip(&starts[range]) {
                one(at, i as isize, false);
            }
        });
    } else {
        let mut i = 0;
        plan.batch.each(|at| {
            one(at, i, flops >= THREADED);
            i += 1;
        });
    }
}

/// `out = a @ b (+ out)` for one row-major output with rows `out_row` apart.
///
/// # Safety
/// All `m·k`, `k·n` and `m·n` elements lie in live memory, and nobody else uses the output's.
#[allow(clippy::too_many_arguments)]
pub(crate) unsafe fn product<T: Factor>(
    m: usize,
    k: usize,
    n: usize,
    a: Matrix<T>,
    b: Matrix<T>,
    out: *mut T,
    out_row: isize,
    accumulate: bool,
    threads: bool,
) {
    product_then(m, k, n, a, b, out, out_row, accumulate, threads, None)
}

/// [`product`], and a function of the output's elements.
///
/// # Safety
/// As [`product`], and so for where the function's values go.
#[allow(clippy::too_many_arguments)]
pub(crate) unsafe fn product_then<T: Factor>(
    m: usize,
    k: usize,
    n: usize,
    a: Matrix<T>,
    b: Matrix<T>,
    out: *mut T,
    out_row: isize,
    accumulate: bool,
    threads: bool,
    then: Option<Then<T>>,
) {
    let small = product_of(m, k, n) <= TINY;
    let streamed = !small
        && (n == 1 && gemv(m, k, a, b.at, b.row, out, out_row, accumulate)
            || m == 1 && gemv(n, k, b.t(), a.at, a.col, out, 1, accumulate));
    if !small && !streamed {
        let product = Product { m, k, n, a, b, out: Ptr::new(out), out_row, add: accumulate, then };
        if T::kernels().is_some_and(|kernels| product.run(kernels, threads)) {
            return;
        }
    }
    if !streamed {
        tiny(m, k, n, a, b, out, out_row, accumulate);
    }
    match then {
        Some(then) if out_row == n as isize => then.run(out, m * n),
        Some(then) => (0..m as isize).for_each(|i| then.run(out.offset(i * out_row), n)),
        None => {}
    }
}

/// Panels of up to 8 columns whose sums stay in registers.
///
/// # Safety
/// As [`product`].
#[allow(clippy::too_many_arguments)]
#[inline]
unsafe fn tiny<T: Number>(
    m: usize,
    k: usize,
    n: usize,
    a: Matrix<T>,
    b: Matrix<T>,
    out: *mut T,
    out_row: isize,
    accumulate: bool,
) {
    let mut j = 0;
    while j < n {
        let width = (n - j).min(8);
        let panel = Matrix { at: b.at.offset(j as isize * b.col), ..b };
        let y = out.add(j);
        macro_rules! width {
            ($($N:literal)*) => {
                match width {
                    $($N => columns::<T, $N>(m, k, a, panel, y, out_row, accumulate),)*
                    _ => columns::<T, 8>(m, k, a, panel, y, out_row, accumulate),
                }
            };
        }
        width!(1 2 3 4 5 6 7);
        j += width;
    }
}

/// # Safety
/// As [`product`], for `N` columns.
#[inline(always)]
unsafe fn columns<T: Number, const N: usize>(
    m: usize,
    k: usize,
    a: Matrix<T>,
    b: Matrix<T>,
    out: *mut T,
    out_row: isize,
    accumulate: bool,
) {
    match k {
        2 => return small_panel::<T, N, 2>(m, a, b, out, out_row, accumulate),
        3 => return small_panel::<T, N, 3>(m, a, b, out, out_row, accumulate),
        4 => return small_panel::<T, N, 4>(m, a, b, out, out_row, accumulate),
        _ => {}
    }
    for i in 0..m as isize {
        let y = out.offset(i * out_row).cast::<[T; N]>();
        let mut sums = if accumulate { *y } else { [T::ZERO; N] };
        let row = a.at.offset(i * a.row);
        if b.col == 1 {
            for p in 0..k as isize {
                let x = *row.offset(p * a.col);
                let line = *b.at.offset(p * b.row).cast::<[T; N]>();
                for j in 0..N {
                    sums[j] = sums[j].plus(x.times(line[j]));
                }
            }
        } else {
            for p in 0..k as isize {
                let x = *row.offset(p * a.col);
                let line = b.at.offset(p * b.row);
                for (j, sum) in sums.iter_mut().enumerate() {
                    *sum = sum.plus(x.times(*line.offset(j as isize * b.col)));
                }
            }
        }
        *y = sums;
    }
}

/// A `K × N` panel of b stays in registers for all rows.
///
/// # Safety
/// As [`product`], for `N` columns and `k = K`.
#[inline(always)]
unsafe fn small_panel<T: Number, const N: usize, const K: usize>(
    m: usize,
    a: Matrix<T>,
    b: Matrix<T>,
    out: *mut T,
    out_row: isize,
    accumulate: bool,
) {
    let at = |p: usize, j: usize| b.at.offset(p as isize * b.row + j as isize * b.col);
    let panel: [[T; N]; K] = std::array::from_fn(|p| std::array::from_fn(|j| *at(p, j)));
    for i in 0..m as isize {
        let y = out.offset(i * out_row).cast::<[T; N]>();
        let row = a.at.offset(i * a.row);
        let x: [T; K] = std::array::from_fn(|p| *row.offset(p as isize * a.col));
        let mut sums = if accumulate { *y } else { [T::ZERO; N] };
        for p in 0..K {
            for j in 0..N {
                sums[j] = sums[j].plus(x[p].times(panel[p][j]));
            }
        }
        *y = sums;
    }
}

/// `out = a @ x (+ out)` for matrices with a unit stride; `false` if `a` has none.
///
/// # Safety
/// As [`product`], with `n = 1`.
#[allow(clippy::too_many_arguments)]
unsafe fn gemv<T: Factor>(
    m: usize,
    k: usize,
    a: Matrix<T>,
    x: *const T,
    x_step: isize,
    out: *mut T,
    out_step: isize,
    accumulate: bool,
) -> bool {
    if a.col != 1 && a.row != 1 {
        return false;
    }
    let packed: SmallVec<[T; 64]>;
    let x = if x_step == 1 {
        std::slice::from_raw_parts(x, k)
    } else {
        let mut copy = SmallVec::new();
        if copy.try_reserve_exact(k).is_err() {
            return false;
        }
        copy.extend((0..k as isize).map(|p| *x.offset(p * x_step)));
        packed = copy;
        &packed[..]
    };
    let y = Ptr::<T>::new(out);
    if a.col == 1 {
        parallel(m, k, |rows| {
            for i in rows {
                let sum = dot(a.run(i, 0, k), x);
                let at = i as isize * out_step;
                y.set(at, if accumulate { y.get(at).plus(sum) } else { sum });
            }
        });
        return true;
    }
    // Columns are contiguous: the sums of a block of rows stay in the first-level cache while four columns at a time
    // stream by, in runs as long as that allows.
    const MOST: usize = 4096;
    let block = m.div_ceil(threads::count()).next_multiple_of(64).clamp(512, MOST);
    parallel(m.div_ceil(block), k * block, |blocks| {
        let mut sums = [T::ZERO; MOST];
        for start in blocks.map(|b| b * block) {
            let sums = &mut sums[..block.min(m - start)];
            sums.fill(T::ZERO);
            let fours = x.chunks_exact(4);
            let rest = fours.remainder();
            for (p, v) in fours.enumerate() {
                let columns = [0, 1, 2, 3].map(|i| a.run(start, 4 * p + i, sums.len()));
                axpy_four([v[0], v[1], v[2], v[3]], columns, sums);
            }
            for (p, &v) in rest.iter().enumerate() {
                axpy(v, a.run(start, k - rest.len() + p, sums.len()), sums);
            }
            for (i, &sum) in sums.iter().enumerate() {
                let at = (start + i) as isize * out_step;
                y.set(at, if accumulate { y.get(at).plus(sum) } else { sum });
            }
        }
    });
    true
}

#[inline(always)]
fn dot_body<T: Number>(a: &[T], b: &[T]) -> T {
    const LANES: usize = 32;
    let mut sums = [T::ZERO; LANES];
    let (heads, others) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let tail = heads.remainder().iter().zip(others.remainder()).fold(T::ZERO, |s, (&x, &y)| s.plus(x.times(y)));
    for (x, y) in heads.zip(others) {
        for l in 0..LANES {
            sums[l] = sums[l].plus(x[l].times(y[l]));
        }
    }
    sums.iter().fold(tail, |s, &v| s.plus(v))
}

#[inline(always)]
fn axpy_body<T: Number>(v: T, x: &[T], y: &mut [T]) {
    for (y, &x) in y.iter_mut().zip(x) {
        *y = y.plus(v.times(x));
    }
}

#[inline(always)]
fn axpy_four_body<T: Number>(v: [T; 4], x: [&[T]; 4], y: &mut [T]) {
    let x = x.map(|x| &x[..y.len()]);
    for (i, y) in y.iter_mut().enumerate() {
        *y = (0..4).fold(*y, |y, j| y.plus(v[j].times(x[j][i])));
    }
}

vectorised! { fn dot<T: Number>(a: &[T], b: &[T]) -> T = dot_body }
vectorised! { fn axpy<T: Number>(v: T, x: &[T], y: &mut [T]) = axpy_body }
vectorised! { fn axpy_four<T: Number>(v: [T; 4], x: [&[T]; 4], y: &mut [T]) = axpy_four_body }

/// Half precision computes in f32 and rounds once at the end.
fn half(a: View<'_, Buffer>, b: View<'_, Buffer>, accumulate: bool, out: &ViewMut<'_, Buffer>) -> Result<()> {
    let (m, k) = inner(a.layout);
    let (_, n) = inner(b.layout);
    let batch = out.layout().numel() / (m * n);
    let (x, y) = (load::<f32>(a)?, load::<f32>(b)?);
    let mut z = if accumulate { load::<f32>(out.as_view())? } else { filled(0.0, batch * m * n)? };
    for i in 0..batch {
        let p = Matrix { at: x[i * m * k..].as_ptr(), row: k as isize, col: 1 };
        let q = Matrix { at: y[i * k * n..].as_ptr(), row: n as isize, col: 1 };
        let r = z[i * m * n..].as_mut_ptr();
        // SAFETY: the three vectors hold `batch` dense matrices of these sizes.
        unsafe { product(m, k, n, p, q, r, n as isize, accumulate, product_of(m, k, n) >= THREADED) };
    }
    store(&z, out);
    Ok(())
}

fn inner(layout: &Layout) -> (usize, usize) {
    let r = layout.rank();
    (layout.shape()[r - 2], layout.shape()[r - 1])
}

/// Integers accumulate in i64 and wrap when they are narrowed; for bool that is "any".
fn integer<T: Element>(
    a: View<'_, Buffer>,
    b: View<'_, Buffer>,
    accumulate: bool,
    out: &ViewMut<'_, Buffer>,
) -> Result<()> {
    debug_assert_ne!(T::DTYPE.category(), Category::Float);
    let plan = Plan::new(a.layout, b.layout);
    let Plan { m, k, n, .. } = plan;
    let mut entries = room(plan.batch.numel())?;
    let _room_for_sums = room::<i64>(n.saturating_mul(threads::count()))?;
    plan.batch.each(|at| entries.push(at));
    let (pa, pb, po) = (Ptr::<T>::of(a.buffer), Ptr::<T>::of(b.buffer), Ptr::<T>::of(out.buffer()));
    let start = out.layout().offset() as isize;
    parallel(entries.len() * m, k * n, |rows| {
        let mut sums = vec![0i64; n];
        for row in rows {
            let ([at_a, at_b], i) = (entries[row / m], (row % m) as isize);
            // SAFETY: every row of the output belongs to one task; positions come from the layouts.
            unsafe {
                let y = po.slice_mut(start + (row * n) as isize, n);
                sums.iter_mut().zip(y.iter()).for_each(|(s, y)| *s = if accumulate { y.to_i64() } else { 0 });
                for p in 0..k as isize {
                    let v = pa.get(at_a + i * plan.a.0 + p * plan.a.1).to_i64();
                    let line = at_b + p * plan.b.0;
                    for (j, s) in sums.iter_mut().enumerate() {
                        *s = s.wrapping_add(v.wrapping_mul(pb.get(line + j as isize * plan.b.1).to_i64()));
                    }
                }
                y.iter_mut().zip(&sums).for_each(|(y, &s)| *y = T::from_i64(s));
            }
        }
    });
    Ok(())
}

/// Whether a product of so many multiplications is worth threads.
pub(crate) fn worth_threads(multiplications: usize) -> bool {
    multiplications >= THREADED.max(GRAIN)
}
