//! Layouts of shapes met before, so that small operations share them without allocating or counting.

use crate::mixed::Mixed;
use crate::value::Value;
use smallvec::SmallVec;
use std::hash::{Hash, Hasher};
use wengert_ops::layout::Dims;
use wengert_ops::{layout, DType, Layout, Op, Result, ViewOp};

const SLOTS: usize = 1024;
/// Slots looked at for a shape.
const PROBES: usize = 4;

/// Pairs of layouts whose broadcast is remembered, one a place.
const PAIRS: usize = 64;

/// Selections of layouts that are remembered, one a place: the first that comes stays.
const SELECTIONS: usize = 256;

/// Operations whose results' layouts are remembered, one a place: the last that came stays.
const INFERRED: usize = 256;

/// The layouts and dtypes of an operation's results.
pub(crate) type Results = SmallVec<[(Layout, DType); 2]>;

/// An operation on inputs of these shapes and dtypes, and what inference says of its results. Layouts are for ever.
struct Inferred {
    op: Op,
    inputs: SmallVec<[(Dims, DType); 3]>,
    results: Results,
}

/// One index of a dim of a layout for ever, and the layout that is left.
struct Selection {
    of: Layout,
    dim: usize,
    index: usize,
    rest: Layout,
}

/// A table of row-major layouts by shape. What is in it stays; shapes that find no place are made anew each time.
pub(crate) struct Layouts {
    by_shape: [Option<Layout>; SLOTS],
    /// Two layouts for ever, and what they broadcast to.
    joint: [Option<(Layout, Layout, Layout)>; PAIRS],
    selections: [Option<Selection>; SELECTIONS],
    /// Matrices' layouts for ever, and the transposed.
    transposes: [Option<(Layout, Layout)>; PAIRS],
    inferred: [Option<Box<Inferred>>; INFERRED],
}

impl Layouts {
    pub const fn new() -> Layouts {
        Layouts {
            by_shape: [const { None }; SLOTS],
            joint: [const { None }; PAIRS],
            selections: [const { None }; SELECTIONS],
            transposes: [const { None }; PAIRS],
            inferred: [const { None }; INFERRED],
        }
    }

    /// The layout of a view.
    #[inline]
    pub fn view(&mut self, whole: &Layout, op: &ViewOp) -> Result<Layout> {
        match *op {
            ViewOp::Select { dim, index } if whole.is_forever() => self.select(whole, dim, index),
            _ => {
                let part = op.apply(whole)?;
                // The handle that others of this shape have, which broadcasts know and which is copied without counting.
                if part.is_plain() {
                    self.contiguous("view", part.shape())
                } else {
                    Ok(part)
                }
            }
        }
    }

    /// Elements of small tensors are read one by one, again and again.
    #[inline]
    fn select(&mut self, whole: &Layout, dim: usize, index: usize) -> Result<Layout> {
        let mixed = (whole.mark() / std::mem::align_of::<Layout>() + dim).wrapping_mul(31).wrapping_add(index);
        let place = &mut self.selections[mixed % SELECTIONS];
        match place {
            Some(s) if s.of.same(whole) && (s.dim, s.index) == (dim, index) => Ok(s.rest.clone()),
            Some(_) => ViewOp::Select { dim, index }.apply(whole),
            None => {
                let rest = ViewOp::Select { dim, index }.apply(whole)?.lasting();
                Ok(place.insert(Selection { of: whole.clone(), dim, index, rest }).rest.clone())
            }
        }
    }

    /// The row-major layout of the shape to which two others broadcast.
    #[inline]
    pub fn joint(&mut self, op: &str, a: &Layout, b: &Layout) -> Result<Layout> {
        let place = a.mark().wrapping_mul(3).wrapping_add(b.mark()) / std::mem::align_of::<Layout>() % PAIRS;
        match &self.joint[place] {
            Some((x, y, out)) if x.same(a) && y.same(b) => Ok(out.clone()),
            _ => self.join(op, a, b, place),
        }
    }

    #[inline(never)]
    fn join(&mut self, op: &str, a: &Layout, b: &Layout, place: usize) -> Result<Layout> {
        let out = self.contiguous(op, &layout::broadcast_shapes(op, &[a.shape(), b.shape()])?)?;
        if a.is_forever() && b.is_forever() && out.is_forever() {
            self.joint[place] = Some((a.clone(), b.clone(), out.clone()));
        }
        Ok(out)
    }

    /// A matrix's layout read the other way.
    pub fn transposed(&mut self, matrix: &Layout) -> Layout {
        let place = &mut self.transposes[matrix.mark() / std::mem::align_of::<Layout>() % PAIRS];
        match place {
            Some((known, turned)) if known.same(matrix) => turned.clone(),
            Some(_) => transposed(matrix),
            None if !matrix.is_forever() => transposed(matrix),
            None => place.insert((matrix.clone(), transposed(matrix).lasting())).1.clone(),
        }
    }

    /// What inference has said of this operation on inputs like these, if it is remembered.
    #[inline]
    pub fn inferred(&self, op: &Op, inputs: &[Value]) -> Option<&Results> {
        let known = self.inferred[place_of(op, inputs)].as_ref()?;
        let like = |((shape, dtype), v): (&(Dims, DType), &Value)| alike(shape, v.layout.shape()) && *dtype == v.dtype;
        let same = known.inputs.len() == inputs.len() && known.inputs.iter().zip(inputs).all(like) && known.op == *op;
        same.then_some(&known.results)
    }

    /// Remembers what inference has said.
    pub fn remember(&mut self, op: &Op, inputs: &[Value], results: &Results) {
        if results.iter().all(|(layout, _)| layout.is_forever()) {
            let inputs_like = inputs.iter().map(|v| (Dims::from_slice(v.layout.shape()), v.dtype)).collect();
            let known = Inferred { op: op.clone(), inputs: inputs_like, results: results.clone() };
            self.inferred[place_of(op, inputs)] = Some(Box::new(known));
        }
    }

    /// The row-major layout of a shape; shapes that overflow are refused.
    #[inline]
    pub fn contiguous(&mut self, op: &str, shape: &[usize]) -> Result<Layout> {
        let mix = |h: u64, n: &usize| (h ^ *n as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let hash = shape.iter().fold(shape.len() as u64, mix);
        let first = (hash >> (u64::BITS - SLOTS.trailing_zeros())) as usize;
        for probe in 0..PROBES {
            let slot = &mut self.by_shape[(first + probe) % SLOTS];
            match slot {
                Some(known) if alike(known.shape(), shape) => return Ok(known.clone()),
                Some(_) => {}
                None => {
                    layout::checked_numel(op, shape)?;
                    return Ok(slot.insert(Layout::forever(shape)).clone());
                }
            }
        }
        Layout::checked(op, shape)
    }
}

fn transposed(matrix: &Layout) -> Layout {
    let (n, s) = (matrix.shape(), matrix.strides());
    Layout::strided(SmallVec::from_slice(&[n[1], n[0]]), SmallVec::from_slice(&[s[1], s[0]]), matrix.offset())
}

#[inline]
fn place_of(op: &Op, inputs: &[Value]) -> usize {
    let mut mixed = Mixed::default();
    op.hash(&mut mixed);
    for v in inputs {
        v.layout.shape().iter().for_each(|&n| mixed.write_usize(n));
        mixed.write_u8(v.dtype as u8);
    }
    mixed.finish() as usize % INFERRED
}

/// Equality of short slices without a call.
#[inline]
fn alike(a: &[usize], b: &[usize]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(x, y)| x == y)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::buffer::Device;

    #[test]
    fn more_shapes_than_slots_are_all_served() {
        let mut layouts = Layouts::new();
        for n in 0..3 * SLOTS {
            let first = layouts.contiguous("test", &[n, 2]).unwrap();
            let second = layouts.contiguous("test", &[n, 2]).unwrap();
            assert_eq!(first.shape(), [n, 2]);
            assert_eq!(first.strides(), [2, 1]);
            assert_eq!(first.same(&second), first.is_forever());
        }
    }

    #[test]
    fn pairs_that_share_a_place_are_told_apart() {
        let mut layouts = Layouts::new();
        let rows: Vec<_> = (1..200).map(|n| layouts.contiguous("test", &[n, 1]).unwrap()).collect();
        let row = layouts.contiguous("test", &[1, 3]).unwrap();
        for _ in 0..2 {
            for column in &rows {
                assert_eq!(layouts.joint("test", column, &row).unwrap().shape(), [column.shape()[0], 3]);
            }
        }
        let (two, three) = (Layout::contiguous(&[2]), Layout::contiguous(&[3]));
        assert!(layouts.joint("test", &two, &three).is_err());
    }

    #[test]
    fn selections_are_remembered_by_layout_dim_and_index() {
        let mut layouts = Layouts::new();
        for n in 1..40 {
            let whole = layouts.contiguous("test", &[n, n + 1]).unwrap();
            for _ in 0..2 {
                for (dim, index) in [(0, n - 1), (1, n), (1, 0), (0, 0)] {
                    let op = ViewOp::Select { dim, index };
                    assert!(layouts.view(&whole, &op).unwrap() == op.apply(&whole).unwrap());
                }
            }
        }
    }

    #[test]
    fn what_inference_said_is_told_apart_by_operation_shapes_and_dtypes() {
        let mut layouts = Layouts::new();
        let value = |shape: &[usize], dtype| Value::empty(Device::Meta, Layout::contiguous(shape), dtype).unwrap();
        // More than there are places, so that some share one.
        for round in 0..2 {
            for n in 1..INFERRED / 4 {
                for dtype in [DType::F32, DType::F64] {
                    let inputs = [value(&[2, n], dtype), value(&[n, n], dtype)];
                    for (op, shape) in [(Op::Matmul, [2, n]), (Op::Linear, [2, n]), (Op::Cat { dim: 0 }, [n + 2, n])] {
                        let expected = Results::from_iter([(layouts.contiguous("test", &shape).unwrap(), dtype)]);
                        if let Some(known) = layouts.inferred(&op, &inputs) {
                            assert!(*known == expected && round == 1, "{op:?} {n}");
                        }
                        layouts.remember(&op, &inputs, &expected);
                        assert!(layouts.inferred(&op, &inputs) == Some(&expected));
                        assert!(layouts.inferred(&op, &inputs[..1]).is_none());
                    }
                }
            }
        }
    }

    #[test]
    fn transposes_are_those_of_each_layout() {
        let mut layouts = Layouts::new();
        for n in 1..3 * PAIRS {
            let matrix = layouts.contiguous("test", &[n, n + 1]).unwrap();
            let part = ViewOp::Slice { dim: 1, start: 1, step: 1, len: n }.apply(&matrix).unwrap();
            for _ in 0..2 {
                for m in [&matrix, &part] {
                    assert!(layouts.transposed(m) == transposed(m) && layouts.transposed(m).shape()[1] == n);
                }
            }
        }
    }

    #[test]
    fn sizes_that_overflow_are_refused() {
        assert!(Layouts::new().contiguous("test", &[1 << 62, 1 << 62]).is_err());
    }
}
