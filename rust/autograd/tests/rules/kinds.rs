//! What must have a case: every name that operations have (rust/ops/src/infer/name.rs), and every variant of the
//! operations that have several rules under one name.

use std::collections::BTreeSet;
use wengert_ops::infer::{op_name, LINALG_NAMES, OP_NAMES, VIEW_NAMES};
use wengert_ops::*;

/// The variant of an operation, where its name stands for several.
fn variant(op: &Op) -> Option<&'static str> {
    match op {
        Op::IndexPut { accumulate: false, .. } => Some("set"),
        Op::IndexPut { accumulate: true, .. } => Some("accumulate"),
        Op::CrossEntropy { reduction, .. } => Some(match reduction {
            LossReduction::None => "none",
            LossReduction::Mean => "mean",
            LossReduction::Sum => "sum",
        }),
        _ => None,
    }
}

const VARIANTS: &[(&str, &[&str])] =
    &[("index_put", &["set", "accumulate"]), ("cross_entropy", &["none", "mean", "sum"])];

/// The kind of an operation. Rows are one kind: their own test walks the table.
pub fn kind(op: &Op) -> String {
    match (op, variant(op)) {
        (Op::Row(_), _) => "row".into(),
        (op, None) => op_name(op).into(),
        (op, Some(variant)) => format!("{} {variant}", op_name(op)),
    }
}

/// All kinds.
pub fn kinds() -> BTreeSet<String> {
    let names = OP_NAMES.iter().chain(VIEW_NAMES).chain(LINALG_NAMES).chain(&["row"]);
    let expanded = names.flat_map(|name| match VARIANTS.iter().find(|(n, _)| n == name) {
        Some((_, variants)) => variants.iter().map(|v| format!("{name} {v}")).collect(),
        None => vec![name.to_string()],
    });
    expanded.collect()
}
