//! Layouts of any sizes, strides and offsets, empty ones above all, through chains of views: every question about
//! them is answered or refused, and nothing overflows.

use smallvec::SmallVec;
use wengert_ops::infer;
use wengert_ops::layout::{broadcast_shapes, dim_mask, expand_to};
use wengert_ops::view::reshape;
use wengert_ops::{DType, Dims, Layout, Strides, ViewOp};

/// A small xorshift: runs are the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }
    fn size(&mut self) -> usize {
        match self.below(6) {
            0 => [usize::MAX, isize::MAX as usize, 1 << 62, 1 << 61, 1 << 40, 1 << 32][self.below(6)],
            1 => 0,
            n => n - 1,
        }
    }
    fn stride(&mut self) -> isize {
        match self.below(4) {
            0 => [isize::MIN, isize::MAX, 1 << 62, -(1 << 62), 1 << 40][self.below(5)],
            _ => self.below(7) as isize - 2,
        }
    }
    fn shape(&mut self) -> Dims {
        (0..self.below(5)).map(|_| self.size()).collect()
    }
    fn strides(&mut self, n: usize) -> Strides {
        (0..n).map(|_| self.stride()).collect()
    }
    /// A view whose dims lie in the layout; whether its numbers do is for inference to say.
    fn view(&mut self, shape: &[usize]) -> ViewOp {
        let rank = shape.len();
        let dim = self.below(rank.max(1));
        match self.below(11) {
            0 => {
                let mut order: Dims = (0..rank).collect();
                order.rotate_left(dim);
                ViewOp::Permute(order)
            }
            1 => {
                let mut target: Dims = shape.iter().map(|&n| if n == 1 { self.size() } else { n }).collect();
                target.insert(0, self.size());
                ViewOp::Expand(target)
            }
            2 if shape.contains(&0) => {
                let mut target = self.shape();
                target.push(0);
                ViewOp::Reshape(target)
            }
            2 => ViewOp::Reshape(SmallVec::from_elem(1, dim)),
            3 => ViewOp::Slice { dim, start: self.size(), step: self.size(), len: self.size() },
            4 => ViewOp::Select { dim, index: self.size() },
            5 => ViewOp::Diagonal { offset: self.stride(), dim1: dim, dim2: (dim + 1) % rank.max(1) },
            6 => ViewOp::Unsqueeze(dim),
            7 => ViewOp::Squeeze(self.next() & 31),
            8 => ViewOp::Unfold { dim, size: self.size(), step: self.size() },
            9 => {
                let shape = self.shape();
                let strides = self.strides(shape.len());
                ViewOp::AsStrided { shape, strides, offset: self.size() }
            }
            _ => ViewOp::Alias,
        }
    }
}

#[test]
fn chains_of_views_over_monstrous_layouts() {
    let mut random = Random(0x0123_4567_89ab_cdef);
    let (mut applied, mut empty) = (0, 0);
    for _ in 0..60_000 {
        let mut shape = random.shape();
        if random.below(3) > 0 {
            shape.push(0);
        }
        let Ok(mut layout) = Layout::checked("empty", &shape) else { continue };
        for _ in 0..6 {
            let view = random.view(layout.shape());
            // Inference alone decides whether a view is one; then the layout must follow.
            let Ok(inferred) = infer::view_shape(&view, layout.shape()) else { continue };
            let Ok(next) = view.apply(&layout) else { continue };
            assert_eq!(next.shape(), &inferred[..], "{view:?} of {layout:?}");
            layout = next;
            applied += 1;
            empty += usize::from(layout.numel() == 0);
            let (low, high) = layout.span();
            assert!(layout.numel() > 0 || low == high);
            let _ = (layout.self_overlaps(), layout.covers(random.size()), layout.fresh(), format!("{layout:?}"));
            let from = DType::ALL[random.below(DType::ALL.len())];
            let _ = infer::retype(&layout, from, DType::ALL[random.below(DType::ALL.len())]);
            if layout.numel() == 0 {
                let mut target = random.shape();
                target.push(0);
                assert!(reshape(&layout, &target).is_none_or(|l| l.shape() == &target[..]));
            }
            let other = random.shape();
            if let Ok(wide) = broadcast_shapes("add", &[layout.shape(), &other]) {
                assert_eq!(expand_to(&layout, &wide).shape(), &wide[..]);
            }
            let _ = dim_mask("sum", &[random.stride()], layout.rank());
        }
    }
    assert!(applied > 50_000 && empty > 10_000, "only {applied} views were valid, of {empty} empty tensors");
}
