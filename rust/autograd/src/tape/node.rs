//! A node: one assignment of the list, with what its backward pass needs.

use super::saved::Saved;
use crate::tensor::TensorImpl;
use smallvec::SmallVec;
use std::sync::OnceLock;
use wengert_ops::counted::Counted;
use wengert_ops::{DType, Layout, Op};

/// Names an output of a node. Valid while somebody holds the node.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub(crate) struct NodeRef {
    pub chunk: u32,
    pub index: u16,
    pub output: u16,
}

impl NodeRef {
    pub fn with_output(self, output: u16) -> NodeRef {
        NodeRef { output, ..self }
    }
}

/// Where the gradient of an input goes.
#[derive(Clone, Default)]
pub(crate) enum Edge {
    #[default]
    None,
    Node(NodeRef),
    Leaf(Counted<TensorImpl>),
}

impl Edge {
    pub fn is_some(&self) -> bool {
        !matches!(self, Edge::None)
    }
}

/// Flags of a node.
pub(crate) mod flag {
    /// Saved values were freed by a backward pass without `retain_graph`.
    pub const FREED: u8 = 1;
    /// Hooks or retained gradients stand in the side table.
    pub const HOOKS: u8 = 2;
}

pub(crate) struct Node {
    pub op: Op,
    pub edges: SmallVec<[Edge; 2]>,
    pub saved: SmallVec<[Saved; 2]>,
    /// Shape and dtype of the first output; gradients are summed and cast to it.
    pub layout: Layout,
    pub more: Option<Box<[(Layout, DType)]>>,
    /// Tensors and consuming nodes that hold this node.
    pub refs: u32,
    pub label: u16,
    pub dtype: DType,
    pub flags: u8,
}

impl Node {
    /// A node without edges and saved values, held once.
    pub fn new(op: Op, layout: Layout, dtype: DType, label: u16) -> Node {
        Node { op, edges: SmallVec::new(), saved: SmallVec::new(), layout, more: None, refs: 1, label, dtype, flags: 0 }
    }

    /// Empties the place of a freed node, whose edges and saved values were taken out: what stays needs no dropping. A
    /// custom operation, which is the users' own, goes once the tape is in order again.
    #[inline]
    pub fn vacate(&mut self) {
        static NOTHING: OnceLock<Layout> = OnceLock::new();
        if !matches!(self.op, Op::Row(_)) {
            if let Op::Custom(op) = std::mem::replace(&mut self.op, Op::Matmul) {
                crate::lock::defer(op);
            }
        }
        if !self.layout.is_forever() {
            self.layout = NOTHING.get_or_init(|| Layout::forever(&[])).clone();
        }
        if self.more.is_some() {
            self.more = None;
        }
    }
    pub fn outputs(&self) -> usize {
        1 + self.more.as_ref().map_or(0, |m| m.len())
    }
    pub fn meta(&self, output: u16) -> (&Layout, DType) {
        match (output, &self.more) {
            (0, _) | (_, None) => (&self.layout, self.dtype),
            (k, Some(more)) => (&more[k as usize - 1].0, more[k as usize - 1].1),
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_node_fits_the_budget_of_160_bytes() {
        assert!(std::mem::size_of::<super::Node>() <= 152, "{}", std::mem::size_of::<super::Node>());
    }
}
