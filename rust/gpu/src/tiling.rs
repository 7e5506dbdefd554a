//! Which kernel computes a product of which sizes, by tiles of which shape. Few classes: each is another kernel's text.

use crate::context::Context;
use crate::cooperative::Cooperative;
use crate::shader::{Num, THREADS};
use smallvec::SmallVec;

/// Which kernel computes a product.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Way {
    Thin,
    Dots,
    Registers,
    Tiles,
    /// As `Tiles`, the next blocks being read while one is multiplied.
    Ahead,
    /// By the card's own units for small squares, where it was opened with them.
    Cooperative,
}

/// As [`Way`], with the sizes that the kernel's text has.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Form {
    Thin,
    Dots,
    Registers(Patch),
    Tiles(Tile),
    Cooperative(Cooperative),
}

impl Form {
    /// The forms of a way that add up in the same order, the best guess first.
    pub fn all(context: &Context, way: Way, num: Num, sizes: &Sizes) -> SmallVec<[Form; 4]> {
        let mut forms: SmallVec<[Form; 4]> = SmallVec::new();
        match way {
            Way::Thin => forms.push(Form::Thin),
            Way::Dots => forms.push(Form::Dots),
            Way::Cooperative => forms.extend(context.cooperative.map(Form::Cooperative)),
            Way::Registers => forms.extend(Patch::all(context, sizes).into_iter().map(Form::Registers)),
            Way::Tiles | Way::Ahead => {
                let (best, ahead) = (Tile::best(num, sizes), |t: Tile| Tile { ahead: true, ..t });
                let room = context.limits.max_compute_workgroup_storage_size as usize;
                for tile in [best, LARGE, MIDDLE, SMALL].into_iter().flat_map(|t| [t, ahead(t)]) {
                    let large = tile.side == LARGE.side && num != Num::F32;
                    let fits = tile.bytes(num) <= room && !large && (way == Way::Tiles || tile.ahead);
                    if fits && !forms.contains(&Form::Tiles(tile)) {
                        forms.push(Form::Tiles(tile));
                    }
                }
                if forms.is_empty() {
                    forms.push(Form::Tiles(best));
                }
            }
        }
        forms
    }

    pub fn way(self) -> Way {
        match self {
            Form::Thin => Way::Thin,
            Form::Dots => Way::Dots,
            Form::Registers(_) => Way::Registers,
            Form::Cooperative(_) => Way::Cooperative,
            Form::Tiles(t) => [Way::Tiles, Way::Ahead][usize::from(t.ahead)],
        }
    }
}

/// `batch` products of `m × k` and `k × n`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    pub batch: usize,
    pub m: usize,
    pub k: usize,
    pub n: usize,
}

/// Threads of a group that computes one output.
pub(crate) const LANES: usize = 64;
/// Sums of f32 are taken in blocks of this many in a thread that has one,
pub(crate) const BLOCK: usize = 256;
/// and of this many where threads have many: each block goes through the output.
pub(crate) const PASS: usize = 2048;

/// Rows and columns of a group, inner positions in its memory, rows or columns of a thread.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Tile {
    pub side: usize,
    pub depth: usize,
    pub own: usize,
    /// Two blocks of each matrix: one is filled while the other is read.
    pub ahead: bool,
}

const LARGE: Tile = Tile { side: 128, depth: 8, own: 8, ahead: false };
const MIDDLE: Tile = Tile { side: 64, depth: 16, own: 4, ahead: false };
const SMALL: Tile = Tile { side: 32, depth: 16, own: 4, ahead: false };

impl Tile {
    pub fn threads(self) -> usize {
        (self.side / self.own).pow(2)
    }
    /// Vectors of four that a line of a block takes: one more than it has, so that what threads write side by side is in
    /// different banks.
    pub fn pitch(self) -> usize {
        self.side / 4 + 1
    }
    /// Of the group's memory.
    pub fn bytes(self, num: Num) -> usize {
        let element = if num == Num::F64 { 8 } else { 4 };
        2 * (1 + usize::from(self.ahead)) * self.depth * self.pitch() * 4 * element
    }
    pub fn count(self, sizes: &Sizes) -> usize {
        sizes.batch * sizes.m.div_ceil(self.side) * sizes.n.div_ceil(self.side)
    }
    pub fn best(num: Num, sizes: &Sizes) -> Tile {
        let enough = 128;
        if num == Num::F32 && sizes.m > 96 && sizes.n > 96 && LARGE.count(sizes) >= enough {
            LARGE
        } else if sizes.m > 32 && sizes.n > 32 && MIDDLE.count(sizes) >= enough / 2 {
            MIDDLE
        } else {
            SMALL
        }
    }
}

/// A thread's rows and columns in [`Way::Registers`], and how many threads stand side by side and below each other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Patch {
    pub rows: usize,
    pub cols: usize,
    pub across: usize,
    pub down: usize,
    /// The group is one subgroup, whose threads have the same rows: each reads some of their elements for all.
    pub together: bool,
}

impl Patch {
    /// The possible ones for some sizes, the best guess first.
    fn all(context: &Context, sizes: &Sizes) -> SmallVec<[Patch; 4]> {
        const ROWS: usize = 16;
        let lanes = lanes(context);
        let apart = Patch::apart(sizes);
        if sizes.m > 8 && sizes.n > 8 && (2..=ROWS).contains(&lanes) && ROWS.is_multiple_of(lanes) {
            let wide = sizes.n > 4 * lanes;
            let patch =
                |rows, wide| Patch { rows, cols: if wide { 8 } else { 4 }, across: lanes, down: 1, together: true };
            let mut all: SmallVec<[Patch; 4]> = SmallVec::from_slice(&[patch(ROWS, wide), patch(ROWS, !wide)]);
            if lanes < ROWS {
                all.push(patch(ROWS / 2, wide));
            }
            all.push(apart);
            return all;
        }
        SmallVec::from_slice(&[apart])
    }

    /// Of threads that do not help each other.
    fn apart(sizes: &Sizes) -> Patch {
        let cols = if sizes.n > 1 { 4 } else { 1 };
        let across = if sizes.n > 8 { 8 } else { 1 };
        let rows = match sizes.m {
            0..=1 => 1,
            2 => 2,
            3..=4 => 4,
            _ => 8,
        };
        let down = if sizes.m > rows { 64 / across } else { 1 };
        Patch { rows, cols, across, down, together: false }
    }
}

/// Threads of a subgroup where a processor plays the GPU: as many as its vectors hold. Elsewhere 0.
fn lanes(context: &Context) -> usize {
    if !context.info.software || !context.device.features().contains(wgpu::Features::SUBGROUP) {
        return 0;
    }
    let info = context.device.adapter_info();
    match info.subgroup_min_size == info.subgroup_max_size {
        true => info.subgroup_min_size as usize,
        false => 0,
    }
}

pub(crate) fn best(software: bool, num: Num, sizes: &Sizes, inner_first: [bool; 2]) -> Way {
    let outputs = sizes.batch * sizes.m * sizes.n;
    let along = inner_first[0] || inner_first[1];
    let long = sizes.k >= 128 && (along && outputs <= 1 << 16 || outputs <= 64);
    if num == Num::I64 || !software && sizes.m.min(sizes.n) < 8 {
        match long && (!software || sizes.k >= 1024) {
            true => Way::Dots,
            false => Way::Thin,
        }
    } else if software {
        match outputs <= 64 && sizes.k >= 1024 {
            true => Way::Dots,
            false => Way::Registers,
        }
    } else {
        Way::Tiles
    }
}

/// How many parts the inner dimension is split into, of how many positions each.
pub(crate) fn split(software: bool, form: Form, sizes: &Sizes) -> (usize, usize) {
    let outputs = sizes.batch * sizes.m * sizes.n;
    let (groups, least) = match form {
        Form::Thin => (outputs.div_ceil(THREADS as usize), BLOCK),
        Form::Dots => (outputs, LANES * 32),
        Form::Tiles(tile) => (tile.count(sizes), 256),
        Form::Cooperative(with) => (with.count(sizes), 256),
        Form::Registers(_) => return (1, sizes.k),
    };
    let wanted = if software { 4 } else { 256 };
    let parts = (wanted / groups.max(1)).min(sizes.k / least).max(1);
    let chunk = sizes.k.div_ceil(parts).next_multiple_of(16);
    (sizes.k.div_ceil(chunk), chunk)
}
