//! Names of every kind of operation and view: exhaustive, so that a new one must be named (and then tested).

use wengert_ops::*;

macro_rules! kinds {
    ($kind:ident, $all:ident, $t:ty: $($pattern:pat => $name:literal,)*) => {
        pub fn $kind(x: &$t) -> &'static str {
            match x { $($pattern => $name),* }
        }
        pub const $all: &[&str] = &[$($name),*];
    };
}

kinds! { kind, KINDS, Op:
    Op::Row(_) => "row",
    Op::Cast(_) => "cast",
    Op::View(_) => "view",
    Op::Pad(_) => "pad",
    Op::Cat { .. } => "cat",
    Op::Reduce { kind: Reduction::Sum, .. } => "sum",
    Op::Reduce { kind: Reduction::Prod, .. } => "prod",
    Op::Reduce { kind: Reduction::Max, .. } => "amax",
    Op::Reduce { kind: Reduction::Min, .. } => "amin",
    Op::Reduce { kind: Reduction::Any, .. } => "any",
    Op::Reduce { kind: Reduction::All, .. } => "all",
    Op::ArgReduce { .. } => "argreduce",
    Op::Extreme { .. } => "extreme",
    Op::Scan { kind: ScanKind::Sum, .. } => "cumsum",
    Op::Scan { kind: ScanKind::Prod, .. } => "cumprod",
    Op::Matmul => "matmul",
    Op::Gather { .. } => "gather",
    Op::Scatter { mode: ScatterMode::Set, .. } => "scatter",
    Op::Scatter { mode: ScatterMode::Add, .. } => "scatter_add",
    Op::Index { .. } => "index",
    Op::IndexPut { accumulate: false, .. } => "index_put",
    Op::IndexPut { accumulate: true, .. } => "index_add",
    Op::Sort { .. } => "sort",
    Op::TopK { .. } => "topk",
    Op::Put(_) => "put",
    Op::Take(_) => "take",
    Op::Conv { role: ConvRole::Forward, .. } => "conv",
    Op::Conv { role: ConvRole::Input, .. } => "conv_input",
    Op::Conv { role: ConvRole::Weight, .. } => "conv_weight",
    Op::MaxPool(_) => "max_pool",
    Op::Softmax { log: false, .. } => "softmax",
    Op::Softmax { log: true, .. } => "log_softmax",
    Op::Linear => "linear",
    Op::CrossEntropy { reduction: LossReduction::None, .. } => "cross_entropy_none",
    Op::CrossEntropy { reduction: LossReduction::Mean, .. } => "cross_entropy_mean",
    Op::CrossEntropy { reduction: LossReduction::Sum, .. } => "cross_entropy_sum",
    Op::LayerNorm { .. } => "layer_norm",
    Op::Linalg(Linalg::Cholesky { .. }) => "cholesky",
    Op::Linalg(Linalg::Qr { .. }) => "qr",
    Op::Linalg(Linalg::Eigh { .. }) => "eigh",
    Op::Linalg(Linalg::Svd { .. }) => "svd",
    Op::Linalg(Linalg::Solve) => "solve",
    Op::Linalg(Linalg::SolveTriangular { .. }) => "solve_triangular",
    Op::Linalg(Linalg::SlogDet) => "slogdet",
    Op::Linalg(Linalg::Det) => "det",
    Op::Linalg(Linalg::Inverse) => "inverse",
    Op::Custom(_) => "custom",
}

kinds! { view_kind, VIEW_KINDS, ViewOp:
    ViewOp::Permute(_) => "permute",
    ViewOp::Expand(_) => "expand",
    ViewOp::Reshape(_) => "reshape",
    ViewOp::Slice { .. } => "slice",
    ViewOp::Select { .. } => "select",
    ViewOp::Diagonal { .. } => "diagonal",
    ViewOp::Unsqueeze(_) => "unsqueeze",
    ViewOp::Squeeze(_) => "squeeze",
    ViewOp::AsStrided { .. } => "as_strided",
    ViewOp::Alias => "alias",
}
