//! Running sums and products along a dim, forwards or backwards.

use crate::buffer::Buffer;
use crate::reduce::{Fold, Prod, Sum};
use crate::strided::{self, dispatch, vectorised, Element, Lines, Nest, Number, Ptr};
use wengert_ops::{contract, Compute, DType, Layout, Result, ScanKind, View, ViewMut};

/// What one scan goes over.
struct Scan<'a> {
    kind: ScanKind,
    layout: &'a Layout,
    dim: usize,
    reverse: bool,
}

/// `Backend::scan`. Floats are accumulated in f64.
pub fn scan(kind: ScanKind, x: View<'_, Buffer>, dim: usize, reverse: bool, out: ViewMut<'_, Buffer>) -> Result<()> {
    contract::scan(&x, &out)?;
    if out.dtype().compute() != x.dtype.compute() {
        // As PyTorch does with `dtype=`: elements are converted first.
        let scan = Scan { kind, layout: &Layout::contiguous(x.layout.shape()), dim, reverse };
        match out.dtype().compute() {
            Compute::I64 => scan.elements(Ptr::from_slice(&strided::load::<i64>(x)?), &out),
            Compute::F32 => scan.elements(Ptr::from_slice(&strided::load::<f32>(x)?), &out),
            Compute::F64 => scan.elements(Ptr::from_slice(&strided::load::<f64>(x)?), &out),
        }
    } else {
        let scan = Scan { kind, layout: x.layout, dim, reverse };
        dispatch!(x.dtype, T => scan.elements(Ptr::<T>::of(x.buffer), &out))
    }
}

impl Scan<'_> {
    fn elements<T: Element>(&self, x: Ptr<T>, out: &ViewMut<'_, Buffer>) -> Result<()> {
        if out.dtype() == T::DTYPE {
            self.run::<T, T>(x, Ptr::of(out.buffer()), out.layout());
        } else if out.dtype() == DType::I64 {
            self.run::<T, i64>(x, Ptr::of(out.buffer()), out.layout());
        } else {
            // A rarer pair of types: scan in the accumulator's type, then convert.
            let mut wide = strided::filled(T::Acc::ZERO, self.layout.numel())?;
            self.run::<T, T::Acc>(x, Ptr::from_slice_mut(&mut wide), &Layout::contiguous(self.layout.shape()));
            strided::store(&wide, out);
        }
        Ok(())
    }

    fn run<T: Element, O: Element>(&self, x: Ptr<T>, y: Ptr<O>, out: &Layout) {
        let strides = [self.layout.strides(), out.strides()];
        let mut lines = Lines::new(self.layout.shape(), strides, [self.layout.offset(), out.offset()], self.dim);
        if self.reverse {
            lines = lines.reversed();
        }
        let columns = lines.steps[0].unsigned_abs() > 1 && lines.outer.steps() == [1, 1] && lines.outer.inner() >= 8;
        lines.share(|part| match (self.kind, columns) {
            (ScanKind::Sum, false) => scan_rows::<Sum<T>, O>(x, y, part, &lines),
            (ScanKind::Sum, true) => scan_columns::<Sum<T>, O>(x, y, part, &lines),
            (ScanKind::Prod, false) => scan_rows::<Prod<T>, O>(x, y, part, &lines),
            (ScanKind::Prod, true) => scan_columns::<Prod<T>, O>(x, y, part, &lines),
        });
    }
}

vectorised! {
    fn scan_columns<F: Fold, O: Element>(x: Ptr<F::T>, y: Ptr<O>, part: &Nest<2>, lines: &Lines<2>) = columns_body::<F, O>
}

/// Lines walked along together: each step of one waits for the step before.
const TOGETHER: usize = 4;

/// A few lines after a few lines.
fn scan_rows<F: Fold, O: Element>(x: Ptr<F::T>, y: Ptr<O>, part: &Nest<2>, lines: &Lines<2>) {
    let mut waiting = [[0; 2]; TOGETHER];
    let mut count = 0;
    part.each(|at| {
        waiting[count] = at;
        count += 1;
        if count == TOGETHER {
            scan_together::<F, O, TOGETHER>(x, y, waiting, lines);
            count = 0;
        }
    });
    for &at in &waiting[..count] {
        scan_together::<F, O, 1>(x, y, [at], lines);
    }
}

fn scan_together<F: Fold, O: Element, const N: usize>(
    x: Ptr<F::T>,
    y: Ptr<O>,
    mut at: [[isize; 2]; N],
    lines: &Lines<2>,
) {
    let mut totals = [F::widen(F::INIT); N];
    for _ in 0..lines.len {
        for ([p, q], total) in at.iter_mut().zip(&mut totals) {
            // SAFETY: the lines' positions lie in their buffers; parts are disjoint.
            unsafe {
                *total = F::join_wide(*total, F::widen(F::load(x.get(*p))));
                y.set(*q, total.cast());
            }
            *p += lines.steps[0];
            *q += lines.steps[1];
        }
    }
}

/// Lines that lie side by side, many at a time.
#[inline(always)]
fn columns_body<F: Fold, O: Element>(x: Ptr<F::T>, y: Ptr<O>, part: &Nest<2>, lines: &Lines<2>) {
    const WIDTH: usize = 256;
    part.rows(|[p, q], _, len| {
        for first in (0..len).step_by(WIDTH) {
            let width = (len - first).min(WIDTH);
            let mut totals = [F::widen(F::INIT); WIDTH];
            for i in 0..lines.len as isize {
                let (p, q) = (p + first as isize + i * lines.steps[0], q + first as isize + i * lines.steps[1]);
                for (k, total) in totals[..width].iter_mut().enumerate() {
                    // SAFETY: as in `scan_together`; both inner steps are 1.
                    unsafe {
                        *total = F::join_wide(*total, F::widen(F::load(x.get(p + k as isize))));
                        y.set(q + k as isize, total.cast());
                    }
                }
            }
        }
    });
}
