//! Convolution of stride 1. The unfolded input is never written: each of its rows is the padded input from some place on,
//! and tiles of the product read it there, one line of the output after another.

use super::{Factor, Geometry};
use crate::gemm::{Kernels, Left, Rows, Steps, Strip};
use crate::matmul::Matrix;
use crate::strided::{filled, Ptr};
use std::ops::Range;
use wengert_ops::{ConvRole, Result};

/// Padded planes of some channels, and where the rows of the unfolded matrix lie in them.
pub(super) struct Windows<T: 'static> {
    kernels: &'static Kernels<T>,
    /// Channels of a group that are read, and that are written.
    c: usize,
    o: usize,
    input: [usize; 3],
    padding: [usize; 3],
    padded: [usize; 3],
    output: [usize; 3],
    rows: Vec<isize>,
}

impl<T: Factor> Windows<T> {
    /// The windows of a role; none where lines are too short to fill registers or other ways are better.
    pub fn of(g: &Geometry, role: ConvRole) -> Option<Windows<T>> {
        let kernels = T::kernels()?;
        if g.stride != [1; 3] || g.pointwise() {
            return None;
        }
        let mut w = Windows {
            kernels,
            c: g.c,
            o: g.o,
            input: g.input,
            padding: g.padding,
            padded: [0; 3],
            output: g.output,
            rows: Vec::new(),
        };
        if role == ConvRole::Input {
            // The gradient is the correlation of the output's with the taps in reverse.
            (w.c, w.o, w.input, w.output) = (g.o, g.c, g.output, g.input);
            for d in 0..3 {
                w.padding[d] = (g.dilation[d] * (g.kernel[d] - 1)).checked_sub(g.padding[d])?;
            }
        }
        let registers = w.output[2].div_ceil(kernels.width / 2) * (kernels.width / 2);
        if w.c > 1 && w.output[2] * 5 < registers * 3 {
            return None;
        }
        w.padded = std::array::from_fn(|d| w.input[d] + 2 * w.padding[d]);
        let [kd, kh, kw] = g.kernel;
        w.rows.try_reserve_exact(w.c * g.taps()).ok()?;
        for row in 0..w.c * g.taps() {
            let (channel, i, j, k) = (row / (kd * kh * kw), row / (kh * kw) % kd, row / kw % kh, row % kw);
            let [z, y, x] = [i * g.dilation[0], j * g.dilation[1], k * g.dilation[2]];
            w.rows.push((((channel * w.padded[0] + z) * w.padded[1] + y) * w.padded[2] + x) as isize);
        }
        Some(w)
    }

    /// Whether lines fill most of their registers.
    pub fn full(&self) -> bool {
        let width = self.output[2];
        width * 5 >= width.next_multiple_of(self.kernels.width / 2) * 4
    }

    /// Items of the padded planes, if there is padding.
    pub fn room(&self) -> usize {
        match self.padding {
            [0, 0, 0] => 0,
            _ => self.padded.iter().fold(self.c, |size, &n| size.saturating_mul(n)),
        }
    }

    /// The weights of each group as tiles read them.
    pub fn weights(&self, g: &Geometry, role: ConvRole, w: &[T]) -> Result<Vec<T>> {
        let (taps, depth) = (g.taps(), self.rows.len());
        let mut turned = Vec::new();
        let w = if role == ConvRole::Input {
            turned = filled(T::ZERO, w.len())?;
            let places = turned.chunks_exact_mut(taps).enumerate();
            for (at, place) in places {
                let (group, c, o) = (at / (g.o * g.c), at / g.o % g.c, at % g.o);
                let from = &w[((group * g.o + o) * g.c + c) * taps..][..taps];
                place.iter_mut().zip(from.iter().rev()).for_each(|(to, &tap)| *to = tap);
            }
            &turned[..]
        } else {
            w
        };
        if self.o == 1 {
            return Ok(if turned.is_empty() { w.to_vec() } else { turned });
        }
        let mut packed = filled(T::ZERO, w.len())?;
        for (group, packed) in w.chunks_exact(self.o * depth).zip(packed.chunks_exact_mut(self.o * depth)) {
            let a = Matrix { at: group.as_ptr(), row: depth as isize, col: 1 };
            // SAFETY: both hold a group's weights.
            unsafe { (self.kernels.pack_left)(a, self.o, depth, packed.as_mut_ptr()) };
        }
        Ok(packed)
    }

    /// The planes with zeros around them; `room`, which has been used for nothing else, keeps the borders.
    fn bordered<'a>(&self, planes: &'a [T], room: &'a mut Vec<T>) -> &'a [T] {
        if self.padding == [0; 3] {
            return planes;
        }
        if room.len() != self.room() {
            room.clear();
            room.resize(self.room(), T::ZERO);
        }
        let ([depth, height, width], [pz, py, px]) = (self.input, self.padding);
        for (at, line) in planes.chunks_exact(width).enumerate() {
            let (channel, z, y) = (at / (depth * height), at / height % depth, at % height);
            let to = ((channel * self.padded[0] + z + pz) * self.padded[1] + y + py) * self.padded[2] + px;
            room[to..to + width].copy_from_slice(line);
        }
        room
    }

    /// Output lines `lines` of every plane along the first dim: `out` has a group's channels.
    pub fn correlate(&self, x: &[T], w: &[T], out: Ptr<T>, lines: Range<usize>, room: &mut Vec<T>) {
        let x = self.bordered(x, room);
        let ([depth, height, width], pitch) = (self.output, self.padded[2]);
        let left = match self.o {
            1 => Left::Matrix(Matrix { at: w.as_ptr(), row: w.len() as isize, col: 1 }),
            _ => Left::Tiles(w.as_ptr()),
        };
        for z in 0..depth {
            for first in (0..width).step_by(self.kernels.width) {
                let strip = Strip {
                    rows: self.o,
                    depth: self.rows.len(),
                    left,
                    right: x[(z * self.padded[1] + lines.start) * pitch + first..].as_ptr(),
                    right_rows: Steps::Table(self.rows.as_ptr()),
                    out: out.at(((z * height + lines.start) * width + first) as isize),
                    out_row: (depth * height * width) as isize,
                    lines: lines.len(),
                    right_line: pitch as isize,
                    out_line: width as isize,
                    width: self.kernels.width.min(width - first),
                    add: false,
                };
                // SAFETY: windows lie in the padded planes; the caller has these lines of `out` to itself.
                unsafe { (self.kernels.strip)(&strip) };
            }
        }
    }

    /// Adds an example's part of the weight's gradient to `sum`.
    pub fn weight(&self, gy: &[T], x: &[T], sum: &mut [T], room: &mut Vec<T>) {
        let x = self.bordered(x, room);
        let ([depth, height, width], pitch) = (self.output, self.padded[2]);
        for z in 0..depth {
            let rows = Rows {
                rows: self.o,
                depth: width,
                width: self.rows.len(),
                left: gy[z * height * width..].as_ptr(),
                left_row: (depth * height * width) as isize,
                right: x[z * self.padded[1] * pitch..].as_ptr(),
                right_rows: Steps::Table(self.rows.as_ptr()),
                lines: height,
                left_line: width as isize,
                right_line: pitch as isize,
                out: sum.as_mut_ptr(),
                out_row: self.rows.len() as isize,
                add: true,
            };
            // SAFETY: windows lie in the padded planes, the output's lines in `gy`; `sum` has all weights.
            unsafe { (self.kernels.dot)(&rows) };
        }
    }
}
