//! Inference must answer or refuse, never panic, whatever it is given; and what it answers must be
//! a shape that memory could hold.

use smallvec::SmallVec;
use std::sync::Arc;
use wengert_ops::infer::{self, infer};
use wengert_ops::{
    ConvRole, ConvSpec, DType, Device, Dims, Extremum, Layout, Linalg, LossReduction, Meta, Op, PoolSpec, Reduction,
    Region, Row, Scalar, ScanKind, ScatterMode, ViewOp,
};

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
    fn of<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len())]
    }
    fn coin(&mut self) -> bool {
        self.next() & 32 != 0
    }
    /// Mostly small, so that shapes often fit; sometimes monstrous.
    fn size(&mut self) -> usize {
        match self.below(24) {
            0 => self.of(&[usize::MAX, usize::MAX - 1, isize::MAX as usize, 1 << 62, 1 << 40, 1 << 32]),
            1 => 0,
            n => 1 + n % 3,
        }
    }
    fn signed(&mut self) -> isize {
        match self.below(24) {
            0 => self.of(&[isize::MIN, isize::MIN + 1, isize::MAX, isize::MAX - 1]),
            _ => self.below(9) as isize - 4,
        }
    }
    fn shape(&mut self) -> Dims {
        let rank = if self.below(40) == 0 { self.of(&[63, 64, 65]) } else { self.below(5) };
        if rank > 4 {
            return SmallVec::from_elem(1, rank);
        }
        (0..rank).map(|_| self.size()).collect()
    }
    fn dims(&mut self, n: usize) -> Dims {
        (0..n).map(|_| self.size()).collect()
    }
    fn signeds(&mut self) -> Vec<isize> {
        (0..self.below(5)).map(|_| self.signed()).collect()
    }
    fn dim(&mut self) -> usize {
        if self.below(30) == 0 {
            usize::MAX
        } else {
            self.below(4)
        }
    }
    fn mask(&mut self) -> u64 {
        if self.below(30) == 0 {
            self.next()
        } else {
            self.below(16) as u64
        }
    }
    fn meta(&mut self) -> Meta {
        let dtype = match self.below(4) {
            0 => self.of(&DType::ALL),
            1 => DType::I64,
            _ => DType::F32,
        };
        Meta { shape: self.shape(), dtype }
    }
    fn view(&mut self) -> ViewOp {
        match self.below(11) {
            0 => {
                let n = self.below(5);
                ViewOp::Permute((0..n).map(|_| self.dim()).collect())
            }
            1 => ViewOp::Expand(self.shape()),
            2 => ViewOp::Reshape(self.shape()),
            3 => ViewOp::Slice { dim: self.dim(), start: self.size(), step: self.size(), len: self.size() },
            4 => ViewOp::Select { dim: self.dim(), index: self.size() },
            5 => ViewOp::Diagonal { offset: self.signed(), dim1: self.dim(), dim2: self.dim() },
            6 => ViewOp::Unsqueeze(self.dim()),
            7 => ViewOp::Squeeze(self.mask()),
            8 => ViewOp::AsStrided {
                shape: self.shape(),
                strides: self.signeds().into_iter().collect(),
                offset: self.size(),
            },
            9 => ViewOp::Unfold { dim: self.dim(), size: self.size(), step: self.size() },
            _ => ViewOp::Alias,
        }
    }
    fn conv(&mut self) -> ConvSpec {
        let n = 1 + self.below(2);
        let wild = |r: &mut Self, n: usize| if r.below(20) == 0 { r.shape() } else { r.dims(n) };
        ConvSpec {
            stride: wild(self, n),
            padding: wild(self, n),
            dilation: wild(self, n),
            groups: self.size(),
            x_shape: wild(self, n + 2),
            w_shape: wild(self, n + 2),
        }
    }
    fn pool(&mut self) -> PoolSpec {
        let n = self.below(3);
        PoolSpec {
            kernel: self.dims(n),
            stride: self.dims(n),
            padding: self.dims(n),
            dilation: self.dims(n),
            ceil_mode: self.coin(),
        }
    }
    fn region(&mut self) -> Region {
        let small = |r: &mut Self| Layout::contiguous(&(0..r.below(4)).map(|_| r.below(4)).collect::<Dims>());
        Region { base: small(self), part: small(self) }
    }
    fn op(&mut self) -> Op {
        let dim = self.below(4) as u8;
        let extremum = self.of(&[Extremum::Max, Extremum::Min]);
        let flag = self.coin();
        match self.below(25) {
            0 => Op::Row(self.of(Row::ALL)),
            1 => Op::Cast(self.of(&DType::ALL)),
            24 => Op::To { from: Device::Cpu, to: Device::Gpu(0) },
            2 => Op::View(Arc::new(self.view())),
            3 => {
                let n = self.below(4);
                Op::Pad((0..n).map(|_| (self.size(), self.size())).collect())
            }
            4 => Op::Cat { dim },
            5 => {
                use Reduction::*;
                Op::Reduce { kind: self.of(&[Sum, Prod, Max, Min, Any, All]), dims: self.mask(), keepdim: flag }
            }
            6 => Op::ArgReduce { kind: extremum, dim: self.coin().then_some(dim), keepdim: flag },
            7 => Op::Extreme { kind: extremum, dim, keepdim: flag },
            8 => Op::Scan { kind: self.of(&[ScanKind::Sum, ScanKind::Prod]), dim, reverse: flag },
            9 => Op::Matmul,
            10 => Op::Gather { dim },
            11 => Op::Scatter { dim, mode: self.of(&[ScatterMode::Set, ScatterMode::Add]) },
            12 => Op::Index { dims: self.mask() },
            13 => Op::IndexPut { dims: self.mask(), accumulate: flag },
            14 => Op::Sort { dim, descending: flag },
            15 => Op::TopK { k: self.size(), dim, largest: flag, sorted: true },
            16 => Op::Put(Arc::new(self.region())),
            17 => Op::Take(Arc::new(self.region())),
            18 => Op::Conv {
                role: self.of(&[ConvRole::Forward, ConvRole::Input, ConvRole::Weight]),
                spec: Arc::new(self.conv()),
            },
            19 => Op::MaxPool(Arc::new(self.pool())),
            20 => Op::Softmax { dim, log: flag },
            21 if flag => Op::Linear,
            21 => Op::LinearThen { row: self.of(&[Row::Relu, Row::Gelu, Row::Add]), keep: self.coin() },
            22 => {
                use LossReduction::*;
                match self.next() % 10 {
                    8 if self.coin() => Op::LstmCell,
                    8 => Op::Lstm { reverse: flag },
                    9 => Op::ChannelNorm { groups: self.next() as u32 % 4, eps_bits: self.next() },
                    // Three inputs that fit each other are rare.
                    0..4 => Op::Attention {
                        causal: flag,
                        scale_bits: self.next(),
                        keep_bits: self.of(&[1f64, 0.5]).to_bits(),
                    },
                    4 => Op::VarMean { dims: self.mask(), keepdim: flag, correction_bits: self.next() },
                    5 => Op::CrossEntropy { reduction: self.of(&[None, Mean, Sum]), ignore_index: -100 },
                    _ => Op::LayerNorm { dims: dim, centred: flag, eps_bits: self.next() },
                }
            }
            _ => Op::Linalg(self.of(&[
                Linalg::Cholesky { upper: flag },
                Linalg::Qr { complete: flag },
                Linalg::Eigh { upper: flag },
                Linalg::Svd { full: flag },
                Linalg::Solve,
                Linalg::SolveTriangular { upper: flag, unit: false },
                Linalg::SlogDet,
                Linalg::Det,
                Linalg::Inverse,
            ])),
        }
    }
    /// Inputs that a convolution would take, so that its answers are reached as well.
    fn inputs(&mut self, op: &Op) -> Vec<Meta> {
        match op {
            Op::Conv { spec, .. } if self.coin() => {
                vec![Meta::new(&spec.x_shape, DType::F32), Meta::new(&spec.w_shape, DType::F32)]
            }
            Op::Lstm { .. } if self.coin() => {
                let (steps, rows, m) = (self.size() % 4, self.size() % 4, self.size() % 4);
                let shapes: [&[usize]; 4] = [&[steps, rows, 4 * m], &[rows, m], &[rows, m], &[4 * m, m]];
                shapes.iter().map(|shape| Meta::new(shape, DType::F32)).collect()
            }
            Op::Put(r) | Op::Take(r) if self.coin() => {
                let mut inputs = vec![Meta::new(r.base.shape(), DType::F32)];
                if matches!(op, Op::Put(_)) {
                    inputs.push(Meta::new(r.part.shape(), DType::F32));
                }
                inputs
            }
            _ => {
                let first = self.meta();
                let alike = self.coin();
                let n = self.below(4);
                let mut inputs = vec![first.clone()];
                inputs.extend((0..n).map(|_| if alike && self.coin() { first.clone() } else { self.meta() }));
                inputs.truncate(self.below(6));
                inputs
            }
        }
    }
}

/// Element counts that memory could hold.
fn holds(shape: &[usize]) -> bool {
    shape.len() <= 64
        && (shape.contains(&0) || shape.iter().try_fold(1usize, |n, &s| n.checked_mul(s)).is_some_and(|n| n <= 1 << 60))
}

#[test]
fn answers_or_refuses() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut answered = std::collections::HashSet::new();
    for _ in 0..300_000 {
        let op = random.op();
        let inputs = random.inputs(&op);
        match infer(&op, &inputs) {
            Ok(outputs) => {
                assert!(!outputs.is_empty() && outputs.iter().all(|y| holds(&y.shape)), "{op:?} of {inputs:?}");
                answered.insert(std::mem::discriminant(&op));
            }
            Err(error) => {
                assert!(!error.message().is_empty());
                assert_ne!(error.kind(), wengert_ops::ErrorKind::Internal, "{op:?} of {inputs:?}: {error}");
            }
        }
    }
    // Every kind of op but the custom one must have been answered at least once, or the test tests nothing.
    assert_eq!(answered.len(), 31, "some op was always refused");
}

#[test]
fn argument_helpers_answer_or_refuse() {
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    for _ in 0..100_000 {
        let (a, b) = (random.shape(), random.shape());
        let shapes: Vec<&[usize]> = [&a[..], &b[..], &a[..]][..random.below(4)].to_vec();
        if let Ok(m) = infer::matmul_shapes("matmul", &a, &b) {
            assert!(holds(&m.out));
        }
        if let Ok((dim, out)) = infer::cat_shape("cat", &shapes, random.signed()) {
            assert!(dim < out.len() && holds(&out));
        }
        if let Ok((dim, out)) = infer::stack_shape("stack", &shapes, random.signed()) {
            assert!(dim < out.len() && out[dim] == shapes.len());
        }
        let size = random.size();
        let (start, stop) = (random.signed(), random.signed());
        if let Ok((from, step, len)) = infer::slice_range(Some(start), Some(stop), random.signed(), size) {
            assert!(from <= size && (len == 0 || from + (len - 1) * step < size));
        }
        if let Ok((from, len)) = infer::narrow_range("narrow", start, stop, size) {
            assert!(from + len <= size);
        }
        if let Ok(index) = infer::select_index(start, 0, size) {
            assert!(index < size);
        }
        if let Ok(count) = infer::unfold_count(0, size, start, stop) {
            assert!(count >= 1);
        }
        let target = random.signeds();
        if let Ok(out) = infer::reshape_target("reshape", size, &target) {
            assert_eq!(out.iter().product::<usize>(), size);
        }
        if let Ok(out) = infer::expand_target("expand", &a, &target) {
            assert_eq!(out.len(), target.len());
        }
        if let Ok(out) = infer::index_shape("index", &a, random.mask(), &b) {
            assert!(out.len() <= a.len() + b.len());
        }
        let _ = infer::index_position(random.next());
        let _ = infer::broadcast_indices(&shapes);
        let (stride, padding, dilation) = (random.signeds(), random.signeds(), random.signeds());
        if let Ok(spec) = infer::conv_spec("conv2d", &a, &b, &stride, &padding, &dilation, random.signed()) {
            assert!(holds(&infer::conv_output("conv2d", &spec).unwrap()));
        }
        let ceil = random.coin();
        if let Ok(spec) = infer::pool_spec("max_pool2d", 2, &target, &stride, &padding, &dilation, ceil) {
            if let Ok(out) = infer::pool_output("max_pool2d", &spec, &a) {
                assert!(holds(&out) && out.len() == a.len());
            }
        }
        let row = random.of(Row::ALL);
        let tensors: Vec<Meta> = (0..random.below(4)).map(|_| random.meta()).collect();
        if let Ok(y) = infer::row_meta(row, &tensors, &[Scalar::Float(1.5)][..random.below(2)], DType::F32) {
            assert!(y.shape.len() <= 65);
        }
    }
}

/// Inference and the layout map tell the same shape wherever both answer.
#[test]
fn views_agree_with_layouts() {
    let mut random = Random(0x1234_5678_9abc_def1);
    let mut compared = 0;
    for _ in 0..100_000 {
        let shape: Dims = (0..random.below(5)).map(|_| random.below(4)).collect();
        let view = random.view();
        if matches!(view, ViewOp::AsStrided { .. }) {
            continue;
        }
        if let Ok(inferred) = infer::view_shape(&view, &shape) {
            if inferred.iter().all(|&n| n < 1 << 20) {
                let layout = view.apply(&Layout::contiguous(&shape)).unwrap();
                assert_eq!(layout.shape(), &inferred[..], "{view:?} of {shape:?}");
                compared += 1;
            }
        }
    }
    assert!(compared > 10_000, "only {compared} views were valid");
}

/// PyTorch allows `zeros(2**40, 0, 2**40)`; so do layouts and views of it.
#[test]
fn empty_tensors_of_monstrous_sizes() {
    let shape = [1 << 40, 0, 1 << 40];
    let layout = Layout::checked("zeros", &shape).unwrap();
    assert_eq!(layout.numel(), 0);
    for view in [
        ViewOp::Slice { dim: 2, start: 5, step: 1 << 62, len: 1 },
        ViewOp::Select { dim: 0, index: (1 << 40) - 1 },
        ViewOp::Unsqueeze(0),
        ViewOp::Diagonal { offset: 1 << 39, dim1: 0, dim2: 2 },
        ViewOp::Permute(SmallVec::from_slice(&[2, 1, 0])),
        ViewOp::Reshape(SmallVec::from_slice(&[0, 7])),
    ] {
        assert_eq!(view.apply(&layout).unwrap().shape(), &infer::view_shape(&view, &shape).unwrap()[..]);
    }
}
