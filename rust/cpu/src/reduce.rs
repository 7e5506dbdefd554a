//! Folding dims away: sum, prod, max, min, any, all.
//!
//! The kept dims and the folded dims become two nests of loops, each sorted by stride. Either the
//! folded side runs along memory (rows) or the kept side does (columns); both are plain loops over
//! slices that the compiler vectorises. Float sums run in short blocks of lanes whose totals are
//! added in f64. How work is split does not depend on the number of threads, so neither do results.

use crate::buffer::Buffer;
use crate::lanes::{self, LANES};
use crate::strided::{self, dispatch, parallel, vectorised, Element, Nest, Number, Ptr, GRAIN};
use smallvec::SmallVec;
use std::marker::PhantomData;
use wengert_ops::{contract, Compute, DType, Error, Layout, Reduction, Result, Strides, View, ViewMut};

/// An associative operation on elements `T`, carried out in `A` inside a block and in `W` over blocks.
pub(crate) trait Fold: 'static {
    type T: Element;
    type A: Copy + Send + Sync;
    type W: Element;
    const INIT: Self::A;
    fn load(x: Self::T) -> Self::A;
    fn join(a: Self::A, b: Self::A) -> Self::A;
    fn widen(a: Self::A) -> Self::W;
    fn join_wide(a: Self::W, b: Self::W) -> Self::W;
    /// The elements of a block, side by side in lanes and then these.
    #[inline(always)]
    fn block(xs: &[Self::T]) -> Self::A {
        lanes::fold(xs, Self::INIT, |a, v| Self::join(a, Self::load(v)), Self::join)
    }
}

pub(crate) struct Sum<T>(PhantomData<T>);
struct SquareSum<T>(PhantomData<T>);
pub(crate) struct Prod<T>(PhantomData<T>);
pub(crate) struct Max<T>(PhantomData<T>);
pub(crate) struct Min<T>(PhantomData<T>);
struct Any<T>(PhantomData<T>);
struct All<T>(PhantomData<T>);

type Wide<T> = <<T as Element>::Acc as Number>::Wide;

macro_rules! fold {
    ($Name:ident, $A:ty, $W:ty, $init:expr, $load:expr, |$a:ident, $b:ident| $join:expr, $join_wide:expr, $widen:expr
     $(, $block:item)?) => {
        impl<T: Element> Fold for $Name<T> {
            type T = T;
            type A = $A;
            type W = $W;
            const INIT: $A = $init;
            #[inline(always)]
            fn load(x: T) -> $A {
                $load(x)
            }
            #[inline(always)]
            fn join($a: $A, $b: $A) -> $A {
                $join
            }
            #[inline(always)]
            fn widen(a: $A) -> $W {
                $widen(a)
            }
            #[inline(always)]
            fn join_wide($a: $W, $b: $W) -> $W {
                $join_wide
            }
            $($block)?
        }
    };
}

fold!(
    Sum,
    T::Acc,
    Wide<T>,
    T::Acc::ZERO,
    T::acc,
    |a, b| a.plus(b),
    a.plus(b),
    |a: T::Acc| a.cast(),
    #[inline(always)]
    fn block(xs: &[T]) -> T::Acc {
        // Sums of a block of narrow integers fit 32 bits, of which a vector holds more.
        if matches!(T::DTYPE, DType::Bool | DType::U8 | DType::I8 | DType::I16) {
            let sum = lanes::fold(xs, 0i32, |a, v| a + v.to_i64() as i32, |a, b| a + b);
            return T::Acc::from_i64(sum.into());
        }
        lanes::fold(xs, Self::INIT, |a, v| Self::join(a, Self::load(v)), Self::join)
    }
);
fold!(
    SquareSum,
    T::Acc,
    Wide<T>,
    T::Acc::ZERO,
    |x: T| x.acc().times(x.acc()),
    |a, b| a.plus(b),
    a.plus(b),
    |a: T::Acc| a.cast()
);
fold!(Prod, T::Acc, Wide<T>, T::Acc::ONE, T::acc, |a, b| a.times(b), a.times(b), |a: T::Acc| a.cast());
// Where `b` is NaN the comparison is false and `b` is taken.
fold!(
    Max,
    T::Cmp,
    T::Cmp,
    T::Cmp::LOWEST,
    |x: T| x.cast(),
    |a, b| if (a > b) | a.is_nan() { a } else { b },
    if (a > b) | a.is_nan() { a } else { b },
    |a| a,
    #[inline(always)]
    fn block(xs: &[T]) -> T::Cmp {
        extreme::<Self, T>(xs, |a, b| if a > b { a } else { b })
    }
);
fold!(
    Min,
    T::Cmp,
    T::Cmp,
    T::Cmp::HIGHEST,
    |x: T| x.cast(),
    |a, b| if (a < b) | a.is_nan() { a } else { b },
    if (a < b) | a.is_nan() { a } else { b },
    |a| a,
    #[inline(always)]
    fn block(xs: &[T]) -> T::Cmp {
        extreme::<Self, T>(xs, |a, b| if a < b { a } else { b })
    }
);
fold!(Any, u8, u8, 0, |x: T| x.truthy() as u8, |a, b| a | b, a | b, |a| a);
fold!(All, u8, u8, 1, |x: T| x.truthy() as u8, |a, b| a & b, a & b, |a| a);

/// `Backend::reduce`.
pub fn reduce(kind: Reduction, x: View<'_, Buffer>, dims: u64, out: ViewMut<'_, Buffer>) -> Result<()> {
    let arithmetic = matches!(kind, Reduction::Sum | Reduction::Prod);
    if arithmetic && out.dtype().compute() != x.dtype.compute() {
        // As PyTorch does with `dtype=`: elements are converted first.
        let layout = Layout::contiguous(x.layout.shape());
        return match out.dtype().compute() {
            Compute::I64 => arithmetic_on(kind, &strided::load::<i64>(x)?, &layout, dims, &out),
            Compute::F32 => arithmetic_on(kind, &strided::load::<f32>(x)?, &layout, dims, &out),
            Compute::F64 => arithmetic_on(kind, &strided::load::<f64>(x)?, &layout, dims, &out),
        };
    }
    dispatch!(x.dtype, T => {
        let p = Ptr::<T>::of(x.buffer);
        match kind {
            Reduction::Sum => fold_dims::<Sum<T>>(p, x.layout, dims, &out),
            Reduction::Prod => fold_dims::<Prod<T>>(p, x.layout, dims, &out),
            Reduction::Max => contract::nonempty("amax", x.layout, dims).map(|()| fold_dims::<Max<T>>(p, x.layout, dims, &out))?,
            Reduction::Min => contract::nonempty("amin", x.layout, dims).map(|()| fold_dims::<Min<T>>(p, x.layout, dims, &out))?,
            Reduction::Any => fold_dims::<Any<T>>(p, x.layout, dims, &out),
            Reduction::All => fold_dims::<All<T>>(p, x.layout, dims, &out),
        }
    });
    Ok(())
}

/// The sums of squares of floats over the dims of a mask; `out` as for [`reduce`], of the same dtype.
pub fn square_sums(x: View<'_, Buffer>, dims: u64, out: ViewMut<'_, Buffer>) -> Result<()> {
    contract::same_dtypes("square_sums", out.dtype(), x.dtype)?;
    match x.dtype {
        DType::F32 => fold_dims::<SquareSum<f32>>(Ptr::of(x.buffer), x.layout, dims, &out),
        DType::F64 => fold_dims::<SquareSum<f64>>(Ptr::of(x.buffer), x.layout, dims, &out),
        other => return Err(Error::internal(format!("square_sums: elements of {other}"))),
    }
    Ok(())
}

fn arithmetic_on<A: Number>(
    kind: Reduction,
    values: &[A],
    layout: &Layout,
    dims: u64,
    out: &ViewMut<'_, Buffer>,
) -> Result<()> {
    let p = Ptr::from_slice(values);
    match kind {
        Reduction::Sum => fold_dims::<Sum<A>>(p, layout, dims, out),
        Reduction::Prod => fold_dims::<Prod<A>>(p, layout, dims, out),
        _ => return Err(Error::internal("reduce: only sums and products convert their input")),
    }
    Ok(())
}

fn folded(dims: u64, d: usize) -> bool {
    dims >> d & 1 == 1
}

/// Takes results in the order of the kept positions: where the first goes, the step to the next, values.
type Sink<'a, W> = &'a mut dyn FnMut(isize, isize, &[W]);

/// Writes results, converted to the output's dtype.
type Put<W> = unsafe fn(Ptr<u8>, isize, isize, &[W]);

/// # Safety
/// The positions lie in the output's buffer and nobody else uses them.
unsafe fn put<W: Element, O: Element>(out: Ptr<u8>, start: isize, step: isize, values: &[W]) {
    for (k, value) in values.iter().enumerate() {
        out.cast::<O>().set(start + k as isize * step, value.cast());
    }
}

fn putter<W: Element>(out: &ViewMut<'_, Buffer>) -> Put<W> {
    dispatch!(out.dtype(), O => put::<W, O>)
}

fn fold_dims<F: Fold>(x: Ptr<F::T>, layout: &Layout, dims: u64, out: &ViewMut<'_, Buffer>) {
    let put = putter::<F::W>(out);
    let target = Ptr::<u8>::of(out.buffer());
    let all = (!dims).trailing_zeros() as usize >= layout.rank();
    // SAFETY (all): positions come from layouts that lie in their buffers, and parts of `kept` are disjoint.
    if all && layout.is_contiguous() && layout.numel() < 2 * GRAIN && out.layout().numel() == 1 {
        unsafe {
            let values = if layout.numel() == 0 { &[][..] } else { x.slice(layout.offset() as isize, layout.numel()) };
            put(target, out.layout().offset() as isize, 0, &[fold_slice::<F>(values)]);
        }
        return;
    }
    let count = out.layout().numel();
    if layout.numel() <= SMALL && (1..=FEW).contains(&count) && out.layout().is_contiguous() {
        let totals = fold_small::<F>(x, layout, dims, out.layout());
        return unsafe { put(target, out.layout().offset() as isize, 1, &totals[..count]) };
    }
    let (kept, inner) = nests(layout, dims, out.layout());
    let columns = kept.steps()[0] == 1 && kept.inner() > 1 && inner.steps()[0] != 1;
    let total = kept.numel().saturating_mul(inner.numel());
    if total < 2 * GRAIN {
        run::<F>(x, &kept, &inner, columns, &mut |q, step, w| unsafe { put(target, q, step, w) });
    } else if columns && kept.outer() >= 32 && kept.inner() >= 16 {
        // Whole rows of results, each from columns side by side.
        let n = kept.outer();
        parallel(n, total / n, |range| {
            let mut put = |q, step, w: &[F::W]| unsafe { put(target, q, step, w) };
            kept.rows_in(range, |start, steps, len| {
                run::<F>(
                    x,
                    &Nest::new(&[len], [&steps[..1], &steps[1..]], [0; 2]).moved(start),
                    &inner,
                    columns,
                    &mut put,
                )
            });
        });
    } else if kept.largest() >= if columns { 1024 } else { 32 } || inner.largest() < 64 || kept.numel() > GRAIN {
        let n = kept.largest();
        parallel(n, total / n, |range| {
            run::<F>(x, &kept.part(range), &inner, columns, &mut |q, step, w| unsafe { put(target, q, step, w) });
        });
    } else {
        let n = inner.largest();
        let parts = (total / GRAIN).clamp(2, 32).min(n);
        let one = |p| {
            let mut results = Vec::with_capacity(kept.numel());
            let part = inner.part(n * p / parts..n * (p + 1) / parts);
            run::<F>(x, &kept, &part, columns, &mut |_, _, w| results.extend_from_slice(w));
            results
        };
        let mut partial = crate::threads::gather(parts, one).into_iter();
        let mut joined = partial.next().unwrap_or_default();
        for part in partial {
            joined.iter_mut().zip(part).for_each(|(w, part)| *w = F::join_wide(*w, part));
        }
        let mut rest = &joined[..];
        kept.rows(|[_, q], [_, step], len| {
            let (line, more) = rest.split_at(len);
            unsafe { put(target, q, step, line) };
            rest = more;
        });
    }
}

/// Inputs of up to so many elements, with up to so many results, are not worth a plan.
const SMALL: usize = 256;
const FEW: usize = 64;

/// One pass over the input, each element joined to its result, into row-major totals.
fn fold_small<F: Fold>(x: Ptr<F::T>, layout: &Layout, dims: u64, out: &Layout) -> [F::W; FEW] {
    let mut totals = [F::widen(F::INIT); FEW];
    let totals_of_call = &mut totals[..out.numel()];
    let join = |total: F::W, v: F::T| F::join_wide(total, F::widen(F::load(v)));
    // The first dims of what lies in one piece: the gradient of a bias.
    if layout.is_contiguous() && dims.count_ones() == dims.trailing_ones() {
        // SAFETY: the layout lies in its buffer.
        let all = unsafe { x.slice(layout.offset() as isize, layout.numel()) };
        for row in all.chunks_exact(out.numel()) {
            totals_of_call.iter_mut().zip(row).for_each(|(total, &v)| *total = join(*total, v));
        }
        return totals;
    }
    let mut strides = Strides::from_elem(0, layout.rank());
    let mut step = 1;
    for d in (0..layout.rank()).rev().filter(|&d| !folded(dims, d)) {
        strides[d] = step;
        step *= layout.shape()[d] as isize;
    }
    Nest::new(layout.shape(), [layout.strides(), &strides], [layout.offset(), 0]).each(|[p, q]| {
        let total = &mut totals_of_call[q as usize];
        // SAFETY: the layout lies in its buffer.
        *total = join(*total, unsafe { x.get(p) });
    });
    totals
}

/// Loops over the kept dims (positions in x and out) and over the folded dims, both sorted so that
/// the smallest stride of x is innermost, with folded strides turned positive.
pub(crate) fn nests(layout: &Layout, dims: u64, out: &Layout) -> (Nest<2>, Nest<1>) {
    type Dim = (usize, isize, isize);
    let keepdim = out.rank() == layout.rank();
    let (mut kept, mut inner): (SmallVec<[Dim; 4]>, SmallVec<[Dim; 4]>) = Default::default();
    let mut next = 0;
    let mut start = 0;
    for (d, (&n, &s)) in layout.shape().iter().zip(layout.strides()).enumerate() {
        if folded(dims, d) {
            if s < 0 && n > 0 {
                start += (n as isize - 1) * s;
            }
            inner.push((n, s.abs(), 0));
        } else {
            kept.push((n, s, out.strides()[if keepdim { d } else { next }]));
            next += 1;
        }
    }
    let outermost = |&(_, s, _): &Dim| std::cmp::Reverse(if s == 0 { usize::MAX } else { s.unsigned_abs() });
    kept.sort_by_key(outermost);
    inner.sort_by_key(outermost);
    let column = |dims: &[Dim], f: fn(&Dim) -> isize| dims.iter().map(f).collect::<SmallVec<[isize; 4]>>();
    let sizes = |dims: &[Dim]| dims.iter().map(|d| d.0).collect::<SmallVec<[usize; 4]>>();
    let offset = layout.offset().wrapping_add_signed(start);
    let outer_strides = [&column(&kept, |d| d.1)[..], &column(&kept, |d| d.2)[..]];
    (
        Nest::new(&sizes(&kept), outer_strides, [offset, out.offset()]),
        Nest::new(&sizes(&inner), [&column(&inner, |d| d.1)], [0]),
    )
}

/// Folds `inner` for each position of `kept`, handing the results to `sink`.
fn run<F: Fold>(x: Ptr<F::T>, kept: &Nest<2>, inner: &Nest<1>, columns: bool, sink: Sink<'_, F::W>) {
    if columns {
        run_columns::<F>(x, kept, inner, sink)
    } else if inner.numel() <= SHORT && kept.inner() >= 8 {
        run_short::<F>(x, kept, inner, sink)
    } else {
        run_rows::<F>(x, kept, inner, sink)
    }
}

// Only what is compiled as part of such a function has its instructions: closures that nests call may not be.
vectorised! {
    /// Folds a slice.
    pub(crate) fn fold_slice<F: Fold>(xs: &[F::T]) -> F::W = slice_body::<F>
}

/// Elements folded in `A` before they go to `W`.
const BLOCK: usize = 512;

#[inline(always)]
fn slice_body<F: Fold>(xs: &[F::T]) -> F::W {
    let mut total = F::widen(F::INIT);
    if xs.len() < LANES / 2 {
        for &v in xs {
            total = F::join_wide(total, F::widen(F::load(v)));
        }
        return total;
    }
    for block in xs.chunks(BLOCK) {
        total = F::join_wide(total, F::widen(F::block(block)));
    }
    total
}

/// The largest or smallest of a block, as `pick` takes them from two numbers; NaN wins. That NaN is looked for beside the
/// comparison makes a chain of one instruction a step of what would be three.
#[inline(always)]
fn extreme<F: Fold<T = T, A = T::Cmp>, T: Element>(xs: &[T], pick: impl Fn(T::Cmp, T::Cmp) -> T::Cmp) -> T::Cmp {
    let nan = |a: T::Cmp, b: T::Cmp| if b.is_nan() { b } else { a };
    let step = (|a, v| pick(a, F::load(v)), |a, v| nan(a, F::load(v)));
    let (best, found) = lanes::fold_both(xs, (F::INIT, T::Cmp::default()), step, (&pick, nan));
    if found.is_nan() {
        found
    } else {
        best
    }
}

#[inline]
fn line<F: Fold>(x: Ptr<F::T>, start: isize, step: isize, len: usize) -> F::W {
    if step == 1 {
        // SAFETY: the nest's positions lie in the buffer.
        return fold_slice::<F>(unsafe { x.slice(start, len) });
    }
    let mut total = F::widen(F::INIT);
    let mut at = start;
    let mut rest = len;
    while rest > 0 {
        let block = rest.min(BLOCK / 8);
        let mut lanes = [F::INIT; 4];
        for i in 0..block {
            // SAFETY: as above.
            lanes[i % 4] = F::join(lanes[i % 4], F::load(unsafe { x.get(at) }));
            at += step;
        }
        let pair = F::join(F::join(lanes[0], lanes[1]), F::join(lanes[2], lanes[3]));
        total = F::join_wide(total, F::widen(pair));
        rest -= block;
    }
    total
}

/// Few elements a result, as in the windows of a pooling: many results are folded side by side.
const SHORT: usize = 16;

fn run_short<F: Fold>(x: Ptr<F::T>, kept: &Nest<2>, inner: &Nest<1>, sink: Sink<'_, F::W>) {
    let mut offsets: SmallVec<[isize; SHORT]> = SmallVec::new();
    inner.each(|[s]| offsets.push(s));
    kept.rows(|[p, q], [along, step], len| {
        for first in (0..len).step_by(FEW) {
            let width = (len - first).min(FEW);
            let (mut acc, mut wide) = ([F::INIT; FEW], [F::widen(F::INIT); FEW]);
            fold_short::<F>(x, p + first as isize * along, along, &offsets, &mut acc[..width]);
            for (w, a) in wide.iter_mut().zip(&acc[..width]) {
                *w = F::widen(*a);
            }
            sink(q + first as isize * step, step, &wide[..width]);
        }
    });
}

vectorised! {
    fn fold_short<F: Fold>(x: Ptr<F::T>, at: isize, along: isize, offsets: &[isize], acc: &mut [F::A]) = fold_short_body::<F>
}

/// Result k folds the elements at `at + k · along + offset`.
#[inline(always)]
fn fold_short_body<F: Fold>(x: Ptr<F::T>, at: isize, along: isize, offsets: &[isize], acc: &mut [F::A]) {
    // SAFETY (all): the nests' positions lie in the buffer.
    for &offset in offsets {
        let at = at + offset;
        match along {
            1 => acc.iter_mut().zip(0..).for_each(|(a, k)| *a = F::join(*a, F::load(unsafe { x.get(at + k) }))),
            2 => acc.iter_mut().zip(0..).for_each(|(a, k)| *a = F::join(*a, F::load(unsafe { x.get(at + 2 * k) }))),
            _ => acc.iter_mut().zip(0..).for_each(|(a, k)| *a = F::join(*a, F::load(unsafe { x.get(at + along * k) }))),
        }
    }
}

/// From so many elements a result on, in several rows, the rows are added up before what they hold is.
const SEVERAL: usize = 1 << 10;

/// The rows of `inner`, which are too short for much to be gained within each, joined to each other.
fn stacked<F: Fold>(x: Ptr<F::T>, at: isize, inner: &Nest<1>) -> F::W {
    let mut acc = [F::INIT; WIDTH];
    let mut wide = [F::widen(F::INIT); WIDTH];
    let (acc, wide) = (&mut acc[..inner.inner()], &mut wide[..inner.inner()]);
    inner.planes(|[start], [[step], _], [rows, _]| {
        for first in (0..rows).step_by(ROWS) {
            let start = at + start + first as isize * step;
            join_rows::<F>(acc, x, start, step, ROWS.min(rows - first));
            flush::<F>(acc, wide);
        }
    });
    wide.iter().fold(F::widen(F::INIT), |total, &w| F::join_wide(total, w))
}

fn run_rows<F: Fold>(x: Ptr<F::T>, kept: &Nest<2>, inner: &Nest<1>, sink: Sink<'_, F::W>) {
    let (rows, width) = (inner.outer(), inner.inner());
    let stack = inner.steps()[0] == 1 && rows >= 8 && (8..=WIDTH).contains(&width) && rows * width >= SEVERAL;
    let lone = (inner.outer() == 1).then(|| (inner.start()[0], inner.steps()[0], inner.inner()));
    kept.rows(|[p, q], [along, step], len| {
        let mut results = [F::widen(F::INIT); FEW];
        for first in (0..len).step_by(FEW) {
            let results = &mut results[..(len - first).min(FEW)];
            for (k, result) in results.iter_mut().enumerate() {
                let p = p + (first + k) as isize * along;
                *result = match lone {
                    _ if stack => stacked::<F>(x, p, inner),
                    Some((start, step, len)) => line::<F>(x, p + start, step, len),
                    None => {
                        let mut total = F::widen(F::INIT);
                        inner.rows(|[s], [step], len| total = F::join_wide(total, line::<F>(x, p + s, step, len)));
                        total
                    }
                };
            }
            sink(q + first as isize * step, step, results);
        }
    });
}

/// Columns folded side by side; their accumulators fit the first-level cache.
const WIDTH: usize = 512;

fn run_columns<F: Fold>(x: Ptr<F::T>, kept: &Nest<2>, inner: &Nest<1>, sink: Sink<'_, F::W>) {
    kept.rows(|[p, q], [_, step], len| {
        let (count, row_step) = (inner.inner(), inner.steps()[0]);
        // Narrow rows that lie one after another are folded several at a time.
        let group = if len <= 32 && row_step == len as isize { (128 / len).min(count).max(1) } else { 1 };
        for first in (0..len).step_by(WIDTH) {
            let width = (len - first).min(WIDTH);
            let mut acc = [F::INIT; WIDTH];
            let mut wide = [F::widen(F::INIT); WIDTH];
            let mut pending = 0;
            inner.rows(|[s], _, _| {
                let start = p + first as isize + s;
                let mut i = 0;
                while i < count {
                    let at = start + i as isize * row_step;
                    if group == 1 {
                        let rows = (ROWS - pending).min(count - i);
                        if const { matches!(F::T::DTYPE, DType::F32 | DType::F64) } {
                            join_rows::<F>(&mut acc[..width], x, at, row_step, rows);
                        } else {
                            // Conversions fill the registers anyway.
                            for r in 0..rows as isize {
                                // SAFETY: the nests' positions lie in the buffer.
                                join_one::<F>(&mut acc, unsafe { x.slice(at + r * row_step, width) });
                            }
                        }
                        (i, pending) = (i + rows, pending + rows);
                    } else {
                        let take = if i + group <= count { group } else { 1 };
                        // SAFETY: the nests' positions lie in the buffer; grouped rows are adjacent.
                        join_one::<F>(&mut acc, unsafe { x.slice(at, width * take) });
                        (i, pending) = (i + take, pending + ROWS / 16);
                    }
                    if pending >= ROWS {
                        flush::<F>(&mut acc[..width * group], &mut wide);
                        pending = 0;
                    }
                }
            });
            flush::<F>(&mut acc[..width * group], &mut wide);
            for g in 1..group {
                for k in 0..width {
                    wide[k] = F::join_wide(wide[k], wide[g * width + k]);
                }
            }
            sink(q + first as isize * step, step, &wide[..width]);
        }
    });
}

/// Rows that are folded in `A` before they go to `W`.
const ROWS: usize = 64;

vectorised! {
    fn join_rows<F: Fold>(acc: &mut [F::A], x: Ptr<F::T>, start: isize, step: isize, rows: usize) = join_rows_body::<F>
}
vectorised! {
    fn join_one<F: Fold>(acc: &mut [F::A], row: &[F::T]) = join_one_body::<F>
}
vectorised! {
    fn flush<F: Fold>(acc: &mut [F::A], totals: &mut [F::W]) = flush_body::<F>
}

/// Joins so many rows, the first at `start`, to the accumulators of their columns: some columns at a time, in registers.
#[inline(always)]
fn join_rows_body<F: Fold>(acc: &mut [F::A], x: Ptr<F::T>, start: isize, step: isize, rows: usize) {
    let (wide, rest) = acc.as_chunks_mut::<64>();
    let mut at = start;
    for acc in wide {
        join_block::<F, 64>(acc, x, at, step, rows);
        at += 64;
    }
    let (narrow, rest) = rest.as_chunks_mut::<8>();
    for acc in narrow {
        join_block::<F, 8>(acc, x, at, step, rows);
        at += 8;
    }
    for acc in rest.as_chunks_mut::<1>().0 {
        join_block::<F, 1>(acc, x, at, step, rows);
        at += 1;
    }
}

#[inline(always)]
fn join_block<F: Fold, const N: usize>(acc: &mut [F::A; N], x: Ptr<F::T>, start: isize, step: isize, rows: usize) {
    let mut sums = *acc;
    // SAFETY: the nests' positions lie in the buffer.
    let row = |r: usize| unsafe { x.slice(start + r as isize * step, N) };
    let mut r = 0;
    while r + 4 <= rows {
        let (v, w, y, z) = (row(r), row(r + 1), row(r + 2), row(r + 3));
        for k in 0..N {
            let pairs = (F::join(F::load(v[k]), F::load(w[k])), F::join(F::load(y[k]), F::load(z[k])));
            sums[k] = F::join(sums[k], F::join(pairs.0, pairs.1));
        }
        r += 4;
    }
    while r < rows {
        let v = row(r);
        for k in 0..N {
            sums[k] = F::join(sums[k], F::load(v[k]));
        }
        r += 1;
    }
    *acc = sums;
}

#[inline(always)]
fn join_one_body<F: Fold>(acc: &mut [F::A], row: &[F::T]) {
    for (a, &v) in acc.iter_mut().zip(row) {
        *a = F::join(*a, F::load(v));
    }
}

#[inline(always)]
fn flush_body<F: Fold>(acc: &mut [F::A], totals: &mut [F::W]) {
    for (a, w) in acc.iter_mut().zip(totals) {
        *w = F::join_wide(*w, F::widen(*a));
        *a = F::INIT;
    }
}
