//! The names under which errors speak of operations: PyTorch's functions. Each stands here once, and the lists
//! of all of them, which tests walk, come of the same lines.

use crate::op::{ConvRole, Extremum, Linalg, Op, Reduction, ScanKind, ScatterMode};
use crate::view::ViewOp;

/// An exhaustive match, and the list of the names in it. The arms after `;` have names from elsewhere.
macro_rules! names {
    (
        $(#[$doc:meta])* fn $name:ident($t:ty), const $all:ident;
        $($pattern:pat => $text:literal,)*
        $(; $($rest:pat => $value:expr,)*)?
    ) => {
        $(#[$doc])*
        pub fn $name(x: &$t) -> &'static str {
            match x {
                $($pattern => $text,)*
                $($($rest => $value,)*)?
            }
        }

        #[doc = concat!("What [`", stringify!($name), "`] says, but for names that stand elsewhere.")]
        pub const $all: &[&str] = &[$($text),*];
    };
}

names! {
    /// The name under which errors speak of an op: PyTorch's function.
    fn op_name(Op), const OP_NAMES;
    Op::Cast(_) | Op::To { .. } => "to",
    Op::Pad(_) => "pad",
    Op::Cat { .. } => "cat",
    Op::Reduce { kind: Reduction::Sum, .. } => "sum",
    Op::Reduce { kind: Reduction::Prod, .. } => "prod",
    Op::Reduce { kind: Reduction::Max, .. } => "amax",
    Op::Reduce { kind: Reduction::Min, .. } => "amin",
    Op::Reduce { kind: Reduction::Any, .. } => "any",
    Op::Reduce { kind: Reduction::All, .. } => "all",
    Op::ArgReduce { kind: Extremum::Max, .. } => "argmax",
    Op::ArgReduce { kind: Extremum::Min, .. } => "argmin",
    Op::Extreme { kind: Extremum::Max, .. } => "max",
    Op::Extreme { kind: Extremum::Min, .. } => "min",
    Op::Scan { kind: ScanKind::Sum, .. } => "cumsum",
    Op::Scan { kind: ScanKind::Prod, .. } => "cumprod",
    Op::Matmul => "matmul",
    Op::Gather { .. } => "gather",
    Op::Scatter { mode: ScatterMode::Set, .. } => "scatter",
    Op::Scatter { mode: ScatterMode::Add, .. } => "scatter_add",
    Op::Index { .. } => "index",
    Op::IndexPut { .. } => "index_put",
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
    Op::Linear | Op::LinearThen { .. } => "linear",
    Op::CrossEntropy { .. } => "cross_entropy",
    Op::LayerNorm { centred: true, .. } => "layer_norm",
    Op::LayerNorm { .. } => "rms_norm",
    Op::VarMean { .. } => "var_mean",
    Op::ChannelNorm { groups: 0, .. } => "batch_norm",
    Op::ChannelNorm { .. } => "group_norm",
    Op::LstmCell => "lstm_cell",
    Op::Lstm { .. } => "lstm",
    Op::Attention { .. } => "scaled_dot_product_attention",
    Op::Custom(_) => "custom op",
    ;
    Op::Row(row) => row.name(),
    Op::View(view) => view_name(view),
    Op::Linalg(kind) => linalg_name(kind),
}

names! {
    /// The name of a view.
    fn view_name(ViewOp), const VIEW_NAMES;
    ViewOp::Permute(_) => "permute",
    ViewOp::Expand(_) => "expand",
    ViewOp::Reshape(_) => "reshape",
    ViewOp::Slice { .. } => "slice",
    ViewOp::Select { .. } => "select",
    ViewOp::Diagonal { .. } => "diagonal",
    ViewOp::Unsqueeze(_) => "unsqueeze",
    ViewOp::Squeeze(_) => "squeeze",
    ViewOp::AsStrided { .. } => "as_strided",
    ViewOp::Unfold { .. } => "unfold",
    ViewOp::Alias => "alias",
}

names! {
    /// The name of a function of matrices.
    fn linalg_name(Linalg), const LINALG_NAMES;
    Linalg::Cholesky { .. } => "linalg.cholesky",
    Linalg::Qr { .. } => "linalg.qr",
    Linalg::Eigh { .. } => "linalg.eigh",
    Linalg::Svd { .. } => "linalg.svd",
    Linalg::Solve => "linalg.solve",
    Linalg::SolveTriangular { .. } => "linalg.solve_triangular",
    Linalg::SlogDet => "linalg.slogdet",
    Linalg::Det => "linalg.det",
    Linalg::Inverse => "linalg.inv",
}
