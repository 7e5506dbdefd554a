//! Names of gradient nodes as users of PyTorch know them (`MeanBackward0`), as small numbers.

use std::sync::RwLock;
use wengert_ops::{ConvRole, Linalg, Op, Reduction, ScanKind};

static NAMES: RwLock<Vec<&'static str>> = RwLock::new(Vec::new());

/// The number of a name; 0 means: as the op is called.
pub(crate) fn intern(name: &str) -> u16 {
    let find = |names: &[&'static str]| names.iter().position(|n| *n == name).map(|i| i as u16 + 1);
    if let Some(label) = find(&NAMES.read().unwrap_or_else(|e| e.into_inner())) {
        return label;
    }
    let mut names = NAMES.write().unwrap_or_else(|e| e.into_inner());
    if let Some(label) = find(&names) {
        return label;
    }
    if names.len() >= u16::MAX as usize - 1 {
        return 0;
    }
    names.push(Box::leak(name.to_owned().into_boxed_str()));
    names.len() as u16
}

/// `AddBackward0` and its like.
pub(crate) fn name(op: &Op, label: u16) -> String {
    if label != 0 {
        if let Some(name) = NAMES.read().unwrap_or_else(|e| e.into_inner()).get(label as usize - 1) {
            return numbered(name);
        }
    }
    let stem = match op {
        Op::Custom(op) => return op.name().to_owned(),
        Op::Row(row) => row.info().label,
        Op::Cast(_) => "ToCopy",
        Op::View(view) => view.label(),
        Op::Pad(_) => "ConstantPadNd",
        Op::Cat { .. } => "Cat",
        Op::Reduce { kind, .. } => match kind {
            Reduction::Sum => "Sum",
            Reduction::Prod => "Prod",
            Reduction::Max => "Amax",
            Reduction::Min => "Amin",
            Reduction::Any | Reduction::All => "NotDifferentiable",
        },
        Op::ArgReduce { .. } => "NotDifferentiable",
        Op::Extreme { kind, .. } => match kind {
            wengert_ops::Extremum::Max => "Max",
            wengert_ops::Extremum::Min => "Min",
        },
        Op::Scan { kind: ScanKind::Sum, .. } => "Cumsum",
        Op::Scan { kind: ScanKind::Prod, .. } => "Cumprod",
        Op::Matmul => "Mm",
        Op::Gather { .. } => "Gather",
        Op::Scatter { .. } => "Scatter",
        Op::Index { .. } => "Index",
        Op::IndexPut { .. } => "IndexPut",
        Op::Sort { .. } => "Sort",
        Op::TopK { .. } => "Topk",
        Op::Put(_) => "CopySlices",
        Op::Take(_) => "AsStrided",
        Op::Conv { role: ConvRole::Forward, .. } => "Convolution",
        Op::Conv { .. } => "ConvolutionBackward",
        Op::MaxPool(spec) => match spec.kernel.len() {
            1 => "MaxPool1DWithIndices",
            2 => "MaxPool2DWithIndices",
            _ => "MaxPool3DWithIndices",
        },
        Op::Softmax { log: false, .. } => "Softmax",
        Op::Softmax { log: true, .. } => "LogSoftmax",
        Op::Linear => "Addmm",
        Op::CrossEntropy { .. } => "NllLoss",
        Op::LayerNorm { .. } => "NativeLayerNorm",
        Op::Linalg(l) => match l {
            Linalg::Cholesky { .. } => "LinalgCholeskyEx",
            Linalg::Qr { .. } => "LinalgQr",
            Linalg::Eigh { .. } => "LinalgEigh",
            Linalg::Svd { .. } => "LinalgSvd",
            Linalg::Solve => "LinalgSolveEx",
            Linalg::SolveTriangular { .. } => "LinalgSolveTriangular",
            Linalg::SlogDet => "LinalgSlogdet",
            Linalg::Det => "LinalgDet",
            Linalg::Inverse => "LinalgInvEx",
        },
    };
    numbered(stem)
}

/// A name may come with its own number: `SumBackward1`.
fn numbered(name: &str) -> String {
    if name.contains("Backward") {
        name.to_owned()
    } else {
        format!("{name}Backward0")
    }
}
