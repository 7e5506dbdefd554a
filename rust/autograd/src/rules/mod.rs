//! Derivatives: one file per idea, each op's rule beside what it saves.
//!
//! A rule is written once, over tensors: in an ordinary sweep they carry no history, with
//! `create_graph` they are taped, so every order of derivative exists. Shapes and dtypes of inputs that
//! were broadcast or promoted are no rule's business: the sweep sums and casts gradients to fit.

pub(crate) mod attention;
mod channel_norm;
pub(crate) mod custom;
mod fused;
mod indexing;
mod linalg;
mod lstm;
mod reduce;
pub(crate) mod row;
mod shaping;
mod window;

use crate::exec::Outputs;
use crate::lock::lock;
use crate::tape::node::{Edge, NodeRef};
use crate::tape::saved::OUTPUT;
use crate::tensor::Tensor;
use crate::value::Value;
use smallvec::SmallVec;
use wengert_ops::{fail, DType, Dims, Error, Layout, Op, Result, Scalar, ViewOp};

/// Gradients for the inputs, in their order; missing ones at the end count as none.
pub(crate) type Grads = SmallVec<[Option<Tensor>; 2]>;

/// Which operands a rule keeps: a bit per input and per output.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Saves {
    pub inputs: u64,
    pub outputs: u64,
}

impl Saves {
    pub const NONE: Saves = Saves { inputs: 0, outputs: 0 };
    pub const fn inputs(mask: u64) -> Saves {
        Saves { inputs: mask, outputs: 0 }
    }
    pub const fn outputs(mask: u64) -> Saves {
        Saves { inputs: 0, outputs: mask }
    }
}

/// A saved operand, taken out for the rule.
pub(crate) enum Unpacked {
    Scalar(u8, Scalar),
    Array(u8, Value, Edge),
    /// The shape that an input had, by its number.
    Shape(u32, Layout),
}

/// What a rule sees.
pub(crate) struct Ctx<'a> {
    pub op: &'a Op,
    pub saved: &'a [Unpacked],
    /// A bit per input that wants a gradient.
    pub needs: u64,
    pub node: NodeRef,
    /// Layout and dtype of each output.
    pub metas: &'a [(Layout, DType)],
    pub create: bool,
}

impl Ctx<'_> {
    pub fn needs(&self, input: usize) -> bool {
        crate::record::among(self.needs, input)
    }

    fn find(&self, slot: u8) -> Option<&Unpacked> {
        self.saved.iter().find(|s| match s {
            Unpacked::Scalar(k, _) | Unpacked::Array(k, _, _) => *k == slot,
            Unpacked::Shape(..) => false,
        })
    }

    fn array(&self, slot: u8) -> Result<Tensor> {
        match self.find(slot) {
            Some(Unpacked::Array(_, value, edge)) => Ok(taped(value.clone(), edge)),
            Some(Unpacked::Scalar(_, s)) => Tensor::scalar(*s, self.metas[0].1),
            _ => Err(Error::internal(format!("{:?} did not save operand {slot}", self.op))),
        }
    }

    /// A saved input.
    pub fn input(&self, i: usize) -> Result<Tensor> {
        self.array(i as u8)
    }

    /// A saved output.
    pub fn output(&self, k: usize) -> Result<Tensor> {
        self.array(OUTPUT | k as u8)
    }

    pub fn input_value(&self, i: usize) -> Option<&Value> {
        match self.find(i as u8) {
            Some(Unpacked::Array(_, value, _)) => Some(value),
            _ => None,
        }
    }

    pub fn output_value(&self, k: usize) -> Option<&Value> {
        match self.find(OUTPUT | k as u8) {
            Some(Unpacked::Array(_, value, _)) => Some(value),
            _ => None,
        }
    }

    pub fn scalar(&self, i: usize) -> Option<Scalar> {
        match self.find(i as u8) {
            Some(Unpacked::Scalar(_, s)) => Some(*s),
            _ => None,
        }
    }

    /// Shape of an input that wants a gradient, as it was: kept, or what its own node has.
    pub fn input_shape(&self, i: usize) -> Result<Dims> {
        if let Some(kept) = kept_shape(self.saved, i) {
            return Ok(Dims::from_slice(kept.shape()));
        }
        let guard = lock();
        let node = guard.tape.node(self.node);
        Ok(match node.edges.get(i) {
            Some(Edge::Node(n)) => Dims::from_slice(guard.tape.node(*n).meta(n.output).0.shape()),
            Some(Edge::Leaf(l)) => Dims::from_slice(l.state.get(&guard.key).layout.shape()),
            _ => fail!(internal, "{:?}: input {i} has no gradient edge", self.op),
        })
    }

    /// Number of inputs.
    pub fn inputs(&self) -> usize {
        lock().tape.node(self.node).edges.len()
    }
}

/// The shape that was kept of an input.
pub(crate) fn kept_shape(saved: &[Unpacked], input: usize) -> Option<&Layout> {
    saved.iter().find_map(|s| match s {
        Unpacked::Shape(k, layout) if *k as usize == input => Some(layout),
        _ => None,
    })
}

/// The gradients that a kernel has written, one for each input.
fn written(found: Outputs) -> Grads {
    found.into_iter().map(|v| Some(Tensor::from_value(v))).collect()
}

/// A value with its place on the tape (none in an ordinary sweep).
pub(crate) fn taped(value: Value, edge: &Edge) -> Tensor {
    match edge {
        Edge::None => Tensor::from_value(value),
        Edge::Leaf(leaf) => Tensor::with_edge(value, Edge::Leaf(leaf.clone())),
        Edge::Node(n) => {
            lock().tape.hold(*n);
            Tensor::with_edge(value, Edge::Node(*n))
        }
    }
}

/// Whether gradients pass through an operation at all.
pub(crate) fn differentiable(op: &Op) -> bool {
    match op {
        Op::ArgReduce { .. } => false,
        Op::Reduce { kind, .. } => !matches!(kind, wengert_ops::Reduction::Any | wengert_ops::Reduction::All),
        Op::Cast(to) => to.is_float(),
        _ => true,
    }
}

/// What the rule of `op` wants kept when the inputs of the mask want gradients.
pub(crate) fn saves(op: &Op, needs: u64) -> Saves {
    match op {
        Op::Row(row) => row::saves(*row, needs),
        Op::Cast(_) | Op::To { .. } | Op::View(_) | Op::Pad(_) => Saves::NONE,
        Op::Cat { .. } | Op::Put(_) | Op::Take(_) => Saves::NONE,
        Op::Reduce { .. } | Op::ArgReduce { .. } | Op::Extreme { .. } | Op::Scan { .. } => reduce::saves(op, needs),
        Op::Gather { .. }
        | Op::Scatter { .. }
        | Op::Index { .. }
        | Op::IndexPut { .. }
        | Op::Sort { .. }
        | Op::TopK { .. } => indexing::saves(op, needs),
        Op::Conv { .. } | Op::MaxPool(_) => window::saves(op, needs),
        Op::Matmul
        | Op::Softmax { .. }
        | Op::Linear
        | Op::LinearThen { .. }
        | Op::CrossEntropy { .. }
        | Op::LayerNorm { .. }
        | Op::VarMean { .. } => fused::saves(op, needs),
        Op::Attention { .. } => attention::SAVES,
        Op::ChannelNorm { .. } => channel_norm::SAVES,
        Op::LstmCell => lstm::SAVES,
        Op::Lstm { .. } => lstm::SEQUENCE_SAVES,
        Op::Linalg(l) => linalg::saves(*l, needs),
        Op::Custom(_) => Saves::NONE,
    }
}

/// The inputs of which the rule of `op` asks for the shape: a bit each.
pub(crate) fn shapes(op: &Op) -> u64 {
    match op {
        // Rearranged dims tell the shape themselves.
        Op::View(view) => u64::from(!matches!(**view, ViewOp::Permute(_) | ViewOp::Alias)),
        Op::Reduce { kind: wengert_ops::Reduction::Sum, .. } | Op::Extreme { .. } => 1,
        Op::Gather { .. } | Op::Index { .. } | Op::Sort { .. } | Op::TopK { .. } => 1,
        Op::MaxPool(_) | Op::Linear | Op::LinearThen { .. } => 1,
        Op::Scatter { .. } => 1 << 2,
        Op::Cat { .. } | Op::Custom(_) => u64::MAX,
        Op::Row(_) | Op::Cast(_) | Op::To { .. } | Op::Pad(_) | Op::Put(_) | Op::Take(_) => 0,
        Op::Reduce { .. } | Op::ArgReduce { .. } | Op::Scan { .. } | Op::IndexPut { .. } => 0,
        // One product of all rows or a batch of products: either is right for what the operand is now.
        Op::Matmul => 0,
        Op::Conv { .. } | Op::Softmax { .. } | Op::CrossEntropy { .. } | Op::LayerNorm { .. } | Op::Linalg(_) => 0,
        Op::Attention { .. } | Op::VarMean { .. } | Op::ChannelNorm { .. } | Op::LstmCell | Op::Lstm { .. } => 0,
    }
}

/// Gradients of the inputs from those of the outputs.
pub(crate) fn vjp(ctx: &Ctx<'_>, grads: &[Option<Tensor>]) -> Result<Grads> {
    let g = match grads.first() {
        Some(Some(g)) => g,
        _ => return several(ctx, grads),
    };
    match ctx.op {
        Op::Row(row) => row::vjp(ctx, *row, g),
        Op::Cast(_) | Op::To { .. } | Op::View(_) | Op::Pad(_) => shaping::vjp(ctx, g),
        Op::Cat { .. } | Op::Put(_) | Op::Take(_) => shaping::vjp(ctx, g),
        Op::Reduce { .. } | Op::ArgReduce { .. } | Op::Extreme { .. } | Op::Scan { .. } => reduce::vjp(ctx, g),
        Op::Gather { .. }
        | Op::Scatter { .. }
        | Op::Index { .. }
        | Op::IndexPut { .. }
        | Op::Sort { .. }
        | Op::TopK { .. } => indexing::vjp(ctx, g),
        Op::Conv { .. } | Op::MaxPool(_) => window::vjp(ctx, g),
        _ => several(ctx, grads),
    }
}

/// Rules of ops with several differentiable outputs, any of whose gradients may be missing.
fn several(ctx: &Ctx<'_>, grads: &[Option<Tensor>]) -> Result<Grads> {
    match ctx.op {
        Op::Matmul
        | Op::Softmax { .. }
        | Op::Linear
        | Op::LinearThen { .. }
        | Op::CrossEntropy { .. }
        | Op::LayerNorm { .. }
        | Op::VarMean { .. } => fused::vjp(ctx, grads),
        &Op::Attention { causal, scale_bits, keep_bits } => {
            attention::vjp(ctx, attention::How::of(causal, scale_bits, keep_bits), grads)
        }
        &Op::ChannelNorm { groups, eps_bits } => channel_norm::vjp(ctx, groups, f64::from_bits(eps_bits), grads),
        Op::LstmCell => lstm::vjp(ctx, grads),
        &Op::Lstm { reverse } => lstm::sequence_vjp(ctx, reverse, grads),
        Op::Linalg(l) => linalg::vjp(ctx, *l, grads),
        Op::Custom(op) => custom::vjp(ctx, op.as_ref(), grads),
        // Only the first output of the others is differentiable.
        _ => Ok(SmallVec::new()),
    }
}

/// The composition of primitives that a fused op stands for.
pub(crate) fn definition(op: &Op, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
    match op {
        &Op::Attention { causal, scale_bits, keep_bits } => {
            attention::definition(attention::How::of(causal, scale_bits, keep_bits), inputs, None)
        }
        &Op::ChannelNorm { groups, eps_bits } => channel_norm::definition(groups, f64::from_bits(eps_bits), inputs),
        Op::LstmCell => lstm::definition(inputs),
        &Op::Lstm { reverse } => lstm::sequence_definition(reverse, inputs),
        _ => fused::definition(op, inputs),
    }
}
