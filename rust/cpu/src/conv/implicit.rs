//! Convolution as products whose right operand is packed from padded planes: the unfolded input is never written. It pays
//! where many channels are written, since each then reads what was packed.

use super::direct::Windows;
use super::planes::Planes;
use super::{Factor, Geometry};
use crate::gemm::{Gathered, Kernels};
use crate::strided::Ptr;
use wengert_ops::ConvRole;

/// Points of the output that one product takes: images are taken together up to so many.
const POINTS: usize = 1 << 13;
/// The most points an image may have: tables name each of them.
const MOST: usize = 1 << 20;

/// Input positions of one remainder by the stride, along one dim.
struct Remainder {
    count: usize,
    /// The taps that reach them, each with the output's position for the first of them.
    taps: Vec<(usize, isize)>,
}

/// The remainders of the strides: the gradient of an input is a convolution of stride 1 for each combination of them.
fn remainders(g: &Geometry, d: usize) -> Vec<Remainder> {
    let (stride, padding, dilation) = (g.stride[d], g.padding[d] as isize, g.dilation[d] as isize);
    let of = |first: usize| {
        let at = |tap: usize| first as isize + padding - tap as isize * dilation;
        let reach = (0..g.kernel[d]).filter(|&tap| at(tap) % stride as isize == 0);
        let taps = reach.map(|tap| (tap, at(tap) / stride as isize)).collect();
        Remainder { count: (g.input[d] - first).div_ceil(stride), taps }
    };
    (0..stride.min(g.input[d])).map(of).collect()
}

/// Tables of one combination of remainders, for some images.
struct Phase {
    /// Where in the weights and in the planes the items of a product's depth lie.
    left_steps: Vec<isize>,
    right_steps: Vec<isize>,
    /// Where in the planes and in the output its columns lie.
    columns: Vec<isize>,
    places: Vec<isize>,
}

/// Runs the role's products; `false` where memory is short, with nothing that is kept in the output.
pub(super) fn run<T: Factor>(g: &Geometry, role: ConvRole, a: &[T], b: &[T], out: &mut [T], threads: bool) -> bool {
    let Some(kernels) = T::kernels() else { return false };
    let call = Call { g, kernels, out: Ptr::new(out.as_mut_ptr()), threads };
    match role {
        ConvRole::Forward => call.forward(a, b),
        ConvRole::Weight => call.weight(a, b),
        ConvRole::Input => {
            let dims = [0, 1, 2].map(|d| remainders(g, d));
            if dims.iter().flatten().any(|remainder| remainder.taps.is_empty()) {
                out.fill(T::ZERO);
            }
            call.input(a, b, &dims)
        }
    }
    .is_some()
}

/// Whether this way is faster than others: that by `windows`, if there is one, packs nothing.
pub(super) fn pays<T: Factor>(g: &Geometry, role: ConvRole, windows: Option<&Windows<T>>) -> bool {
    let group = [g.batch, g.points(), g.taps(), g.c].iter().fold(g.o, |work, &n| work.saturating_mul(n));
    let (rows, depth) = match role {
        ConvRole::Input => (g.c, g.o * g.taps()),
        _ => (g.o, g.c * g.taps()),
    };
    // Threads meet in each group.
    if T::kernels().is_none()
        || g.points().max(g.plane()) > MOST
        || group < 1 << 16
        || g.groups > 1 && (group < 1 << 20 || g.c == 1)
    {
        return false;
    }
    match (role, windows) {
        (ConvRole::Weight, _) => depth >= 128 && rows >= if windows.is_some() { 32 } else { 8 },
        (_, Some(windows)) => rows >= 128 || rows >= 32 && (depth > 1152 || !windows.full()),
        // A large image is its own right operand.
        (ConvRole::Forward, None) if g.pointwise() => g.points() < 1024,
        _ => rows >= 8,
    }
}

struct Call<'a, T: 'static> {
    g: &'a Geometry,
    kernels: &'static Kernels<T>,
    out: Ptr<T>,
    threads: bool,
}

/// `f` of all items of three lists with one another, those of the last list innermost.
fn all<A: Copy, B>(lists: [&[A]; 3], f: impl Fn([A; 3]) -> B) -> Vec<B> {
    let mut out = Vec::with_capacity(lists.iter().map(|list| list.len()).product());
    for &z in lists[0] {
        for &y in lists[1] {
            out.extend(lists[2].iter().map(|&x| f([z, y, x])));
        }
    }
    out
}

/// Each of `count` blocks, `step` apart, with each place in it.
fn blocks(count: usize, step: usize, places: &[isize]) -> Vec<isize> {
    (0..count).flat_map(|i| places.iter().map(move |place| (i * step) as isize + place)).collect()
}

impl<T: Factor> Call<'_, T> {
    /// How many images a product takes.
    fn images(&self, points: usize) -> usize {
        (POINTS / points.max(1)).clamp(1, self.g.batch)
    }

    /// The padded input, and where in it windows' taps and output points lie.
    fn windows(&self) -> (Planes, Vec<isize>, Vec<isize>) {
        let g = self.g;
        let planes = Planes::windows(g);
        let range = |d: usize, count: usize, step: usize| -> Vec<[usize; 3]> {
            (0..count).map(|i| std::array::from_fn(|e| if e == d { i * step } else { 0 })).collect()
        };
        let add = |[a, b, c]: [[usize; 3]; 3]| [a[0], b[1], c[2]];
        let [z, y, x] = [0, 1, 2].map(|d| range(d, g.kernel[d], g.dilation[d]));
        let taps = all([&z, &y, &x], |p| planes.place(add(p)));
        let [z, y, x] = [0, 1, 2].map(|d| range(d, g.output[d], g.stride[d]));
        let points = all([&z, &y, &x], |p| planes.place(add(p)));
        (planes, taps, points)
    }

    fn forward(&self, x: &[T], w: &[T]) -> Option<()> {
        let g = self.g;
        let (planes, taps, points) = self.windows();
        let (channels, depth, outputs) = (g.c * g.groups, g.c * g.taps(), g.o * g.groups);
        let images = self.images(g.points());
        let room = planes.room::<T>(images * channels)?;
        let right = Ptr::new(room.at::<T>());
        let right_steps = blocks(g.c, planes.size(), &taps);
        let left_steps: Vec<isize> = (0..depth as isize).collect();
        let columns = blocks(images, channels * planes.size(), &points);
        let plane: Vec<isize> = (0..g.points() as isize).collect();
        let places = blocks(images, outputs * g.points(), &plane);
        for first in (0..g.batch).step_by(images) {
            let count = images.min(g.batch - first);
            let size = channels * g.plane();
            // SAFETY: the room is for as many.
            unsafe { planes.fill(&x[first * size..][..count * size], right, self.threads) };
            for group in 0..g.groups {
                let product = Gathered {
                    rows: g.o,
                    left: Ptr::from_slice(&w[group * g.o * depth..]),
                    left_row: depth as isize,
                    left_steps: &left_steps,
                    right: Ptr::new(right.at((group * g.c * planes.size()) as isize)),
                    right_steps: &right_steps,
                    columns: &columns[..count * g.points()],
                    across: false,
                    out: Ptr::new(self.out.at(((first * outputs + group * g.o) * g.points()) as isize)),
                    out_row: g.points() as isize,
                    places: &places[..count * g.points()],
                    add: false,
                };
                // SAFETY: windows lie in the padded planes, weights and output where the geometry says.
                unsafe { product.run(self.kernels, self.threads).then_some(())? };
            }
        }
        Some(())
    }

    fn weight(&self, gy: &[T], x: &[T]) -> Option<()> {
        let g = self.g;
        let (planes, taps, points) = self.windows();
        let (channels, width, outputs) = (g.c * g.groups, g.c * g.taps(), g.o * g.groups);
        let images = self.images(g.points());
        let room = planes.room::<T>(images * channels)?;
        let right = Ptr::new(room.at::<T>());
        let right_steps = blocks(images, channels * planes.size(), &points);
        let columns = blocks(g.c, planes.size(), &taps);
        let plane: Vec<isize> = (0..g.points() as isize).collect();
        let left_steps = blocks(images, outputs * g.points(), &plane);
        let places: Vec<isize> = (0..width as isize).collect();
        for first in (0..g.batch).step_by(images) {
            let count = images.min(g.batch - first);
            let size = channels * g.plane();
            // SAFETY: the room is for as many.
            unsafe { planes.fill(&x[first * size..][..count * size], right, self.threads) };
            for group in 0..g.groups {
                let product = Gathered {
                    rows: g.o,
                    left: Ptr::from_slice(&gy[(first * outputs + group * g.o) * g.points()..]),
                    left_row: g.points() as isize,
                    left_steps: &left_steps[..count * g.points()],
                    right: Ptr::new(right.at((group * g.c * planes.size()) as isize)),
                    right_steps: &right_steps[..count * g.points()],
                    columns: &columns,
                    across: true,
                    out: Ptr::new(self.out.at((group * g.o * width) as isize)),
                    out_row: width as isize,
                    places: &places,
                    add: first > 0,
                };
                // SAFETY: as in `forward`.
                unsafe { product.run(self.kernels, self.threads).then_some(())? };
            }
        }
        Some(())
    }

    fn input(&self, gy: &[T], w: &[T], dims: &[Vec<Remainder>; 3]) -> Option<()> {
        let g = self.g;
        // So many zeros before the output's gradient, and so many items of it in all, do the taps reach.
        let before: [usize; 3] = std::array::from_fn(|d| {
            let least = dims[d].iter().flat_map(|r| &r.taps).map(|&(_, at)| at).min();
            least.unwrap_or(0).min(0).unsigned_abs()
        });
        let padded = std::array::from_fn(|d| {
            let ends = dims[d].iter().flat_map(|r| r.taps.iter().map(|&(_, at)| at + r.count as isize));
            (ends.max().unwrap_or(1) + before[d] as isize).max(1) as usize
        });
        let planes = Planes::whole(g.output, before, padded);
        let (channels, outputs) = (g.c * g.groups, g.o * g.groups);
        let images = self.images(g.plane());
        let room = planes.room::<T>(images * outputs)?;
        let right = Ptr::new(room.at::<T>());
        let phases = self.phases(&planes, before, dims, images);
        for first in (0..g.batch).step_by(images) {
            let count = images.min(g.batch - first);
            let size = outputs * g.points();
            // SAFETY: the room is for as many.
            unsafe { planes.fill(&gy[first * size..][..count * size], right, self.threads) };
            for group in 0..g.groups {
                for phase in phases.iter().filter(|phase| !phase.left_steps.is_empty()) {
                    let columns = &phase.columns[..phase.columns.len() / images * count];
                    let product = Gathered {
                        rows: g.c,
                        left: Ptr::from_slice(&w[group * g.o * g.c * g.taps()..]),
                        left_row: g.taps() as isize,
                        left_steps: &phase.left_steps,
                        right: Ptr::new(right.at((group * g.o * planes.size()) as isize)),
                        right_steps: &phase.right_steps,
                        columns,
                        across: false,
                        out: Ptr::new(self.out.at(((first * channels + group * g.c) * g.plane()) as isize)),
                        out_row: g.plane() as isize,
                        places: &phase.places[..columns.len()],
                        add: false,
                    };
                    // SAFETY: as in `forward`.
                    unsafe { product.run(self.kernels, self.threads).then_some(())? };
                }
            }
        }
        Some(())
    }

    /// The remainders of all dims with one another.
    fn phases(&self, planes: &Planes, before: [usize; 3], dims: &[Vec<Remainder>; 3], images: usize) -> Vec<Phase> {
        let g = self.g;
        let numbers: [Vec<usize>; 3] = std::array::from_fn(|d| (0..dims[d].len()).collect());
        let [z, y, x] = &numbers;
        all([z, y, x], |firsts| {
            let [z, y, x]: [&Remainder; 3] = std::array::from_fn(|d| &dims[d][firsts[d]]);
            let taps = all([&z.taps, &y.taps, &x.taps], |taps| {
                let at = std::array::from_fn(|d| (taps[d].1 + before[d] as isize) as usize);
                let tap = (taps[0].0 * g.kernel[1] + taps[1].0) * g.kernel[2] + taps[2].0;
                (tap as isize, planes.place(at))
            });
            let [z, y, x]: [Vec<usize>; 3] = [z, y, x].map(|r| (0..r.count).collect());
            let points = all([&z, &y, &x], |at| {
                let [z, y, x]: [usize; 3] = std::array::from_fn(|d| at[d] * g.stride[d] + firsts[d]);
                (planes.place(at), ((z * g.input[1] + y) * g.input[2] + x) as isize)
            });
            let (taps, steps): (Vec<isize>, Vec<isize>) = taps.into_iter().unzip();
            let (points, places): (Vec<isize>, Vec<isize>) = points.into_iter().unzip();
            Phase {
                left_steps: blocks(g.o, g.c * g.taps(), &taps),
                right_steps: blocks(g.o, planes.size(), &steps),
                columns: blocks(images, g.o * g.groups * planes.size(), &points),
                places: blocks(images, g.c * g.groups * g.plane(), &places),
            }
        })
    }
}
