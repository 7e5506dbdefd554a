//! Planes of images with zeros around them, in an order in which windows of any stride are runs of neighbours.

use super::{for_tasks, Factor, Geometry};
use crate::gemm::Scratch;
use crate::strided::Ptr;

/// Behind the planes there is room for a register to be read past their last item.
const BEHIND: usize = 64;

/// Where the items of padded planes lie.
pub(super) struct Planes {
    input: [usize; 3],
    /// Zeros before the input.
    before: [usize; 3],
    padded: [usize; 3],
    /// Of so many lines and planes one is kept.
    steps: [usize; 2],
    /// A line has its items by the remainder of their place by this, in segments of so many; the first segments are kept.
    stride: usize,
    segments: usize,
    segment: usize,
}

impl Planes {
    /// Planes of which all items are kept, for windows of stride 1.
    pub fn whole(input: [usize; 3], before: [usize; 3], padded: [usize; 3]) -> Planes {
        Planes { input, before, padded, steps: [1; 2], stride: 1, segments: 1, segment: padded[2] }
    }

    /// Planes for a convolution's windows, with all that these read.
    pub fn windows(g: &Geometry) -> Planes {
        let reach: [usize; 3] = std::array::from_fn(|d| (g.kernel[d] - 1) * g.dilation[d] + 1);
        let steps = [0, 1].map(|d| if reach[d] == 1 { g.stride[d] } else { 1 });
        let mut padded = std::array::from_fn(|d| (g.output[d] - 1) * g.stride[d] + reach[d]);
        for d in 0..2 {
            padded[d] = padded[d].div_ceil(steps[d]);
        }
        let (stride, segments) = (g.stride[2], g.stride[2].min(reach[2]));
        Planes {
            input: g.input,
            before: g.padding,
            padded,
            steps,
            stride,
            segments,
            segment: padded[2].div_ceil(stride),
        }
    }

    /// Items of a line.
    fn pitch(&self) -> usize {
        self.segment * self.segments
    }

    /// Items of a plane.
    pub fn size(&self) -> usize {
        self.padded[0].saturating_mul(self.padded[1]).saturating_mul(self.pitch())
    }

    /// Where an item lies. For coordinates whose last parts do not carry, the place of a sum is the sum of places.
    pub fn place(&self, [z, y, x]: [usize; 3]) -> isize {
        let line = z / self.steps[0] * self.padded[1] + y / self.steps[1];
        (line * self.pitch() + x % self.stride * self.segment + x / self.stride) as isize
    }

    /// Room for so many planes; none if there is no memory.
    pub fn room<T>(&self, planes: usize) -> Option<Scratch> {
        Scratch::planes::<T>(planes.checked_mul(self.size())?.checked_add(BEHIND)?)
    }

    /// Writes planes of dense images into such room.
    ///
    /// # Safety
    /// `to` has room for all of `from`'s planes.
    pub unsafe fn fill<T: Factor>(&self, from: &[T], to: Ptr<T>, threads: bool) {
        let (plane, size) = (self.input.iter().product::<usize>(), self.size());
        let planes = from.len() / plane;
        to.slice_mut((planes * size) as isize, BEHIND).fill(T::ZERO);
        for_tasks(planes, threads, |_: &mut Vec<T>, task| {
            // SAFETY: each plane belongs to one task.
            let to = unsafe { to.slice_mut((task * size) as isize, size) };
            self.fill_one(&from[task * plane..][..plane], to);
        });
    }

    fn fill_one<T: Factor>(&self, from: &[T], to: &mut [T]) {
        let [depth, height, width] = self.input;
        let pitch = self.pitch();
        if self.stride == 1 && self.steps == [1; 2] && self.before == [0; 3] && self.padded == self.input {
            return to.copy_from_slice(from);
        }
        to.fill(T::ZERO);
        let kept = width.min(self.padded[2].saturating_sub(self.before[2]));
        // The input's places, of those that are kept.
        let inside = |d: usize, at: usize| (at * self.steps[d]).checked_sub(self.before[d]);
        for at_z in 0..self.padded[0] {
            let Some(z) = inside(0, at_z).filter(|&z| z < depth) else { continue };
            for at_y in 0..self.padded[1] {
                let Some(y) = inside(1, at_y).filter(|&y| y < height) else { continue };
                let from = &from[(z * height + y) * width..][..kept];
                let to = &mut to[(at_z * self.padded[1] + at_y) * pitch..][..pitch];
                if self.stride == 1 {
                    to[self.before[2]..][..kept].copy_from_slice(from);
                    continue;
                }
                for (segment, to) in to.chunks_exact_mut(self.segment).enumerate() {
                    // The first item of this segment that is the input's.
                    let place = self.before[2].saturating_sub(segment).div_ceil(self.stride);
                    let first = segment + place * self.stride - self.before[2];
                    let items = from.iter().skip(first).step_by(self.stride);
                    to[place.min(self.segment)..].iter_mut().zip(items).for_each(|(to, &x)| *to = x);
                }
            }
        }
    }
}
