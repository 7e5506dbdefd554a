//! Convolution and its two transposes: windows of stride 1 are multiplied where they lie, others are unfolded into
//! columns, a few output lines at a time so that they stay in cache. Groups of one channel each go by their lines.

mod depthwise;
mod direct;
mod implicit;
mod planes;

use crate::buffer::Buffer;
use crate::matmul::{product, worth_threads, Factor, Matrix};
use crate::strided::{dense_mut, filled, load, packed, room, store, Ptr};
use direct::Windows;
use std::borrow::Cow;
use std::ops::{Deref, Range};
use wengert_ops::contract::ConvGeometry;
use wengert_ops::{fail, ConvRole, ConvSpec, DType, Result, View, ViewMut};

/// Elements of an unfolded block: about half of a core's L2 cache in f32.
const BLOCK: usize = 1 << 16;

/// The role's map; see [`ConvRole`] for inputs and output. Output contiguous.
pub fn conv(
    role: ConvRole,
    spec: &ConvSpec,
    a: View<'_, Buffer>,
    b: View<'_, Buffer>,
    out: ViewMut<'_, Buffer>,
) -> Result<()> {
    let geometry = Geometry(ConvGeometry::of(role, spec, &a, &b, &out)?);
    match out.dtype() {
        DType::F32 => run::<f32>(&geometry, role, a, b, &out),
        DType::F64 => run::<f64>(&geometry, role, a, b, &out),
        DType::F16 | DType::BF16 => converted::<f32>(&geometry, role, a, b, &out),
        // Sums in i64 wrap to what sums in the narrow type would wrap to.
        _ => converted::<i64>(&geometry, role, a, b, &out),
    }
}

/// Computes in `T` what is stored in a narrower type.
fn converted<T: Factor>(
    geometry: &Geometry,
    role: ConvRole,
    a: View<'_, Buffer>,
    b: View<'_, Buffer>,
    out: &ViewMut<'_, Buffer>,
) -> Result<()> {
    let mut y = filled(T::ZERO, out.layout().numel())?;
    geometry.run(role, &load::<T>(a)?, &load::<T>(b)?, &mut y)?;
    store(&y, out);
    Ok(())
}

fn run<T: Factor>(
    geometry: &Geometry,
    role: ConvRole,
    a: View<'_, Buffer>,
    b: View<'_, Buffer>,
    out: &ViewMut<'_, Buffer>,
) -> Result<()> {
    // SAFETY: the dtypes were matched to T; the output shares no elements with the inputs.
    let (a, b, y): (Cow<'_, [T]>, Cow<'_, [T]>, _) = unsafe { (packed(a)?, packed(b)?, dense_mut::<T>(out)) };
    let Some(y) = y else { fail!(internal, "conv: output {:?} must be contiguous", out.layout()) };
    geometry.run(role, &a, &b, y)?;
    Ok(())
}

/// A call's sizes, with what this machine makes of them.
struct Geometry(ConvGeometry);

impl Deref for Geometry {
    type Target = ConvGeometry;
    fn deref(&self) -> &ConvGeometry {
        &self.0
    }
}

impl Geometry {
    /// Lines of an output channel: what unfolding goes by.
    fn lines(&self) -> usize {
        self.output[0] * self.output[1]
    }
    /// How many lines one block takes.
    fn block(&self) -> usize {
        (BLOCK / (self.c * self.taps() * self.output[2]).max(1)).clamp(1, self.lines().max(1))
    }
    /// Whether the unfolded input is the input itself.
    fn pointwise(&self) -> bool {
        self.kernel == [1; 3] && self.stride == [1; 3] && self.padding == [0; 3]
    }

    /// All arrays dense. `out` is written whole.
    fn run<T: Factor>(&self, role: ConvRole, a: &[T], b: &[T], out: &mut [T]) -> Result<()> {
        if out.is_empty() {
            return Ok(());
        }
        if a.is_empty() || b.is_empty() {
            out.fill(T::ZERO);
            return Ok(());
        }
        let work = [self.groups, self.o, self.c, self.taps(), self.points()]
            .iter()
            .fold(self.batch, |work, &n| work.saturating_mul(n));
        let threads = worth_threads(work);
        let windows = Windows::of(self, role);
        if implicit::pays(self, role, windows.as_ref()) && implicit::run(self, role, a, b, out, threads) {
            return Ok(());
        }
        if let Some(windows) = windows {
            return self.directly(&windows, role, a, b, out, threads);
        }
        if self.c == 1 && self.groups >= 4 {
            depthwise::run(self, role, a, b, out, threads);
            return Ok(());
        }
        // Each task unfolds a block into memory of its own: where there is not so much, none begins.
        let columns = [self.taps(), self.output[2], self.block(), crate::threads::count()];
        room::<T>(columns.iter().fold(self.c, |size, &n| size.saturating_mul(n)))?;
        match role {
            ConvRole::Forward => self.forward(a, b, out, threads),
            ConvRole::Input => self.input_gradient(a, b, out, threads),
            ConvRole::Weight => self.weight_gradient(a, b, out, threads)?,
        }
        Ok(())
    }

    /// All roles by windows that are read where they lie.
    fn directly<T: Factor>(
        &self,
        windows: &Windows<T>,
        role: ConvRole,
        a: &[T],
        b: &[T],
        out: &mut [T],
        threads: bool,
    ) -> Result<()> {
        room::<T>(windows.room().saturating_mul(crate::threads::count()))?;
        let (plane, points) = (self.plane(), self.points());
        if role == ConvRole::Weight {
            return self.summed(out, threads, |room, image, sum| {
                let (gy, x) = (&a[image * self.o * points..][..self.o * points], &b[image * self.c * plane..]);
                windows.weight(gy, &x[..self.c * plane], sum, room);
            });
        }
        let (read, written, lines) = match role {
            ConvRole::Input => (self.o * points, self.c * plane, self.input[1]),
            _ => (self.c * plane, self.o * points, self.output[1]),
        };
        let (weights, size) = (windows.weights(self, role, b)?, self.o * self.c * self.taps());
        let (images, y) = (self.batch * self.groups, Ptr::new(out.as_mut_ptr()));
        // Few images: threads share the lines of each.
        let parts =
            if threads && images < 2 * crate::threads::count() { lines.min(crate::threads::count()) } else { 1 };
        for_tasks(images * parts, threads, |room, task| {
            let (image, part) = (task / parts, task % parts);
            let w = &weights[image % self.groups * size..][..size];
            let y = Ptr::new(y.at((image * written) as isize));
            windows.correlate(&a[image * read..][..read], w, y, lines * part / parts..lines * (part + 1) / parts, room);
        });
        Ok(())
    }

    /// `y = w · unfold(x)` for each example, group and block of lines.
    fn forward<T: Factor>(&self, x: &[T], w: &[T], y: &mut [T], threads: bool) {
        let (rows, points, plane) = (self.c * self.taps(), self.points(), self.plane());
        let (width, block) = (self.output[2], self.block());
        let blocks = self.lines().div_ceil(block);
        let y = Ptr::new(y.as_mut_ptr());
        let task = |columns: &mut Vec<T>, task: usize| {
            let (image, lines) =
                (task / blocks, block * (task % blocks)..self.lines().min(block * (task % blocks + 1)));
            let group = image % self.groups;
            let x = &x[image * self.c * plane..][..self.c * plane];
            let (first, count) = (lines.start * width, lines.len() * width);
            let unfolded = if self.pointwise() {
                Matrix { at: x[first..].as_ptr(), row: plane as isize, col: 1 }
            } else {
                columns.resize(rows * count, T::ZERO);
                self.unfold(x, lines, columns);
                Matrix { at: columns.as_ptr(), row: count as isize, col: 1 }
            };
            let w = Matrix { at: w[group * self.o * rows..].as_ptr(), row: rows as isize, col: 1 };
            // SAFETY: sizes as allocated; each task writes its own columns of its own channels of y.
            unsafe {
                let y = y.at((image * self.o * points + first) as isize);
                product(self.o, rows, count, w, unfolded, y, points as isize, false, false);
            }
        };
        for_tasks(self.batch * self.groups * blocks, threads, task);
    }

    /// `gx = fold(wᵀ · gy)`: blocks of one image overlap in gx, so an image and group is one task.
    fn input_gradient<T: Factor>(&self, gy: &[T], w: &[T], gx: &mut [T], threads: bool) {
        let (rows, points, plane) = (self.c * self.taps(), self.points(), self.plane());
        let (width, block, images) = (self.output[2], self.block(), self.batch * self.groups);
        let out = Ptr::new(gx.as_mut_ptr());
        let task = |columns: &mut Vec<T>, image: usize| {
            let w = Matrix { at: w[image % self.groups * self.o * rows..].as_ptr(), row: rows as isize, col: 1 };
            // SAFETY: each image and group belongs to one task.
            let gx = unsafe { out.slice_mut((image * self.c * plane) as isize, self.c * plane) };
            gx.fill(T::ZERO);
            for start in (0..self.lines()).step_by(block) {
                let lines = start..self.lines().min(start + block);
                let (first, count) = (lines.start * width, lines.len() * width);
                let gy = Matrix { at: gy[image * self.o * points + first..].as_ptr(), row: points as isize, col: 1 };
                columns.resize(rows * count, T::ZERO);
                let alone = threads && images == 1;
                // SAFETY: sizes as allocated.
                unsafe { product(rows, self.o, count, w.t(), gy, columns.as_mut_ptr(), count as isize, false, alone) };
                self.fold(columns, lines, gx);
            }
        };
        for_tasks(images, threads, task);
    }

    /// `gw = Σ gy · unfold(x)ᵀ` over examples.
    fn weight_gradient<T: Factor>(&self, gy: &[T], x: &[T], gw: &mut [T], threads: bool) -> Result<()> {
        let (rows, points, plane) = (self.c * self.taps(), self.points(), self.plane());
        let (width, block) = (self.output[2], self.block());
        self.summed(gw, threads, |columns, image, sum| {
            let x = &x[image * self.c * plane..][..self.c * plane];
            for start in (0..self.lines()).step_by(block) {
                let lines = start..self.lines().min(start + block);
                let (first, count) = (lines.start * width, lines.len() * width);
                let gy = Matrix { at: gy[image * self.o * points + first..].as_ptr(), row: points as isize, col: 1 };
                columns.resize(rows * count, T::ZERO);
                self.unfold(x, lines, columns);
                let unfolded = Matrix { at: columns.as_ptr(), row: count as isize, col: 1 };
                let alone = threads && self.batch * self.groups == 1;
                // SAFETY: sizes as allocated; `sum` belongs to this call.
                unsafe { product(self.o, count, rows, gy, unfolded.t(), sum.as_mut_ptr(), rows as isize, true, alone) };
            }
        })
    }

    /// Sums over examples: `add` adds those of an image (an example's group) to a group's weights. Each task sums some
    /// examples of a group, then the sums join in order, so the result does not depend on timing.
    fn summed<T: Factor>(
        &self,
        out: &mut [T],
        threads: bool,
        add: impl Fn(&mut Vec<T>, usize, &mut [T]) + Sync,
    ) -> Result<()> {
        let size = self.o * self.c * self.taps();
        let parts = if threads { self.batch.min(8).min(32 / self.groups.min(32)) } else { 1 };
        let mut sums = filled(T::ZERO, parts * self.groups * size)?;
        let place = Ptr::new(sums.as_mut_ptr());
        for_tasks(parts * self.groups, threads, |scratch, task| {
            let (p, group) = (task / self.groups, task % self.groups);
            // SAFETY: each task has a sum of its own.
            let sum = unsafe { place.slice_mut((task * size) as isize, size) };
            for example in self.batch * p / parts..self.batch * (p + 1) / parts {
                add(scratch, example * self.groups + group, sum);
            }
        });
        out.copy_from_slice(&sums[..self.groups * size]);
        for sum in sums[self.groups * size..].chunks_exact(self.groups * size) {
            out.iter_mut().zip(sum).for_each(|(y, &s)| *y = y.plus(s));
        }
        Ok(())
    }

    /// Where in a channel's plane the input line begins that an output line reads by taps `i` and `j` of the outer dims;
    /// none in the padding.
    #[inline(always)]
    fn input_line(&self, line: usize, i: usize, j: usize) -> Option<usize> {
        let [depth, height, width] = self.input;
        let (z, y) = (line / self.output[1], line % self.output[1]);
        // A position before the input wraps around and is too large as well.
        let z = (z * self.stride[0] + i * self.dilation[0]).wrapping_sub(self.padding[0]);
        let y = (y * self.stride[1] + j * self.dilation[1]).wrapping_sub(self.padding[1]);
        (z < depth && y < height).then(|| (z * height + y) * width)
    }

    /// For each row of the unfolded matrix and line of the block: where the input line starts (if it lies
    /// inside), and the row's slice of columns.
    #[inline(always)]
    fn walk(&self, lines: Range<usize>, mut f: impl FnMut(Option<usize>, usize, Range<usize>)) {
        let [kd, kh, kw] = self.kernel;
        let (out_width, count) = (self.output[2], lines.len() * self.output[2]);
        for row in 0..self.c * kd * kh * kw {
            let (c, tap) = (row / (kd * kh * kw), row % (kd * kh * kw));
            let (i, j, k) = (tap / (kh * kw), tap / kw % kh, tap % kw);
            for (n, line) in lines.clone().enumerate() {
                let start = self.input_line(line, i, j).map(|start| c * self.plane() + start);
                let at = row * count + n * out_width;
                f(start, k, at..at + out_width);
            }
        }
    }

    /// Output columns whose tap `k` lies inside the line, and the input column of the first of them.
    #[inline(always)]
    fn inside(&self, k: usize) -> (Range<usize>, usize) {
        let (shift, padding, stride) = (k * self.dilation[2], self.padding[2], self.stride[2]);
        let first = padding.saturating_sub(shift).div_ceil(stride).min(self.output[2]);
        let end = (self.input[2] + padding).saturating_sub(shift).div_ceil(stride).clamp(first, self.output[2]);
        (first..end, (first * stride + shift).wrapping_sub(padding))
    }

    fn unfold<T: Factor>(&self, x: &[T], lines: Range<usize>, columns: &mut [T]) {
        let stride = self.stride[2];
        self.walk(lines, |start, k, at| {
            let line = &mut columns[at];
            let Some(start) = start else { return line.fill(T::ZERO) };
            let (inside, from) = self.inside(k);
            line[..inside.start].fill(T::ZERO);
            line[inside.end..].fill(T::ZERO);
            if inside.is_empty() {
                return;
            }
            if stride == 1 {
                line[inside.clone()].copy_from_slice(&x[start + from..][..inside.len()]);
            } else {
                line[inside].iter_mut().zip(x[start + from..].iter().step_by(stride)).for_each(|(y, &x)| *y = x);
            }
        });
    }

    fn fold<T: Factor>(&self, columns: &[T], lines: Range<usize>, x: &mut [T]) {
        let stride = self.stride[2];
        self.walk(lines, |start, k, at| {
            let (inside, from) = self.inside(k);
            if let (Some(start), false) = (start, inside.is_empty()) {
                let line = &columns[at][inside];
                x[start + from..].iter_mut().step_by(stride).zip(line).for_each(|(x, &v)| *x = x.plus(v));
            }
        });
    }
}

/// Runs tasks, each with a scratch vector that others had before it.
fn for_tasks<T: Factor>(count: usize, threads: bool, task: impl Fn(&mut Vec<T>, usize) + Sync) {
    crate::threads::ranges(count, if threads { count } else { 1 }, |range| {
        let mut scratch = Vec::new();
        range.for_each(|i| task(&mut scratch, i));
    });
}
