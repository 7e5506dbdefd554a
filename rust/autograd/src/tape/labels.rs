//! Names of gradient nodes as users of PyTorch know them (`MeanBackward0`), as small numbers.

use super::saved::OUTPUT;
use std::sync::RwLock;
use wengert_ops::{ConvRole, Linalg, Op, Reduction, Row, Scalar, ScanKind};

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
        Op::Cast(_) | Op::To { .. } => "ToCopy",
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
        Op::LinearThen { row, .. } => row.info().label,
        Op::CrossEntropy { .. } => "NllLoss",
        Op::LayerNorm { centred: true, .. } => "NativeLayerNorm",
        Op::LayerNorm { .. } => "RmsNorm",
        Op::VarMean { .. } => "VarMean",
        Op::ChannelNorm { groups: 0, .. } => "NativeBatchNorm",
        Op::ChannelNorm { .. } => "NativeGroupNorm",
        Op::LstmCell => "ThnnFusedLstmCell",
        Op::Lstm { .. } => "MkldnnRnnLayer",
        Op::Attention { .. } => "ScaledDotProductFlashAttentionForCpu",
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

/// Where something that a rule reads stands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Operand {
    Slot(u8),
    /// The op means this number without being told it.
    Number(Scalar),
}

/// PyTorch's names of what an op's rule reads, of those ops where they are the same things: `self`, `other`, `result`.
pub(crate) fn operands(op: &Op, label: u16) -> Vec<(&'static str, Operand)> {
    let slots = |names: &[(&'static str, u8)]| names.iter().map(|(n, s)| (*n, Operand::Slot(*s))).collect();
    match op {
        Op::Row(Row::Square) => vec![("self", Operand::Slot(0)), ("exponent", Operand::Number(Scalar::Int(2)))],
        // Under another name it is another function's rule.
        Op::Row(row) if label == 0 => of_row(*row),
        Op::Matmul => match name(op, label).as_str() {
            "MmBackward0" | "BmmBackward0" => slots(&[("self", 0), ("mat2", 1)]),
            "MvBackward0" => slots(&[("self", 0), ("vec", 1)]),
            "DotBackward0" => slots(&[("self", 0), ("tensor", 1)]),
            _ => Vec::new(),
        },
        Op::Softmax { .. } => slots(&[("result", OUTPUT)]),
        Op::Scan { kind: ScanKind::Prod, .. } => slots(&[("self", 0), ("result", OUTPUT)]),
        Op::Reduce { kind: Reduction::Prod | Reduction::Max | Reduction::Min, .. } => {
            slots(&[("self", 0), ("result", OUTPUT)])
        }
        Op::Gather { .. } => slots(&[("index", 1)]),
        _ => Vec::new(),
    }
}

fn of_row(row: Row) -> Vec<(&'static str, Operand)> {
    let (mut inputs, mut output) = (0, false);
    for i in 0..row.arity() {
        inputs |= row.needs(i).inputs;
        output |= row.needs(i).output;
    }
    // PyTorch's rules of these read other things.
    match row {
        Row::Div | Row::Erfinv | Row::Sinc => output = false,
        Row::Relu | Row::Rsqrt => inputs = 0,
        Row::Copysign => inputs = 1,
        _ => {}
    }
    let mut found = Vec::new();
    for (i, arg) in row.info().args.iter().enumerate().filter(|(i, _)| inputs >> i & 1 == 1) {
        let name = match (row, *arg) {
            (Row::Pow, "b") => "exponent",
            (Row::Lerp, "b") => "end",
            (Row::Lerp, "w") => "weight",
            (Row::Addcmul | Row::Addcdiv, "a") => "tensor1",
            (Row::Addcmul | Row::Addcdiv, "b") => "tensor2",
            (_, "x" | "a") => "self",
            (_, "b") => "other",
            (_, "c") => "condition",
            (_, "slope") => "negative_slope",
            (_, named) => named,
        };
        found.push((name, Operand::Slot(i as u8)));
    }
    if output {
        found.push(("result", Operand::Slot(OUTPUT)));
    }
    found
}
