//! Which nodes must run when only some inputs' gradients are asked for.

use super::marks::NodeSet;
use super::{Sweep, SweepOptions};
use crate::lock::lock;
use crate::tape::node::Edge;
use crate::tensor::{self, Tensor};
use std::collections::HashMap;
use wengert_ops::counted::Counted;
use wengert_ops::{fail, Result};

/// What `inputs=` asks for.
pub(super) struct Wanted {
    /// Nodes that must run: an input lies below them.
    pub run: NodeSet,
    /// Non-leaf inputs by (chunk, index, output), to their place in the answer.
    pub nodes: HashMap<(u32, u16, u16), Vec<usize>>,
    pub leaves: HashMap<usize, Vec<usize>>,
}

impl Sweep {
    /// Which nodes lie between the roots and the inputs.
    pub(super) fn find_paths(&mut self, starts: &[(Edge, Tensor)], inputs: &[Tensor]) -> Result<Wanted> {
        let mut wanted = Wanted { run: NodeSet::default(), nodes: HashMap::new(), leaves: HashMap::new() };
        for (place, input) in inputs.iter().enumerate() {
            let mut guard = lock();
            match tensor::edge(input, &mut guard)? {
                Edge::None => fail!(runtime, "One of the differentiated Tensors does not require grad"),
                Edge::Node(n) => wanted.nodes.entry((n.chunk, n.index, n.output)).or_default().push(place),
                Edge::Leaf(l) => wanted.leaves.entry(Counted::as_ptr(&l) as usize).or_default().push(place),
            }
        }
        // Reachable nodes in descending order, by the very scan of the sweep, then upwards again.
        let mut scan = Sweep::new(SweepOptions::default(), 0);
        let guard = lock();
        for (edge, _) in starts {
            if let Edge::Node(n) = edge {
                scan.slot(*n, &guard);
            }
        }
        let mut reachable = Vec::new();
        while let Some(n) = scan.next() {
            reachable.push(n);
            for edge in &guard.tape.node(n).edges {
                if let Edge::Node(input) = edge {
                    scan.slot(*input, &guard);
                }
            }
        }
        for n in reachable.into_iter().rev() {
            let below = guard.tape.node(n).edges.iter().any(|edge| match edge {
                Edge::None => false,
                Edge::Node(i) => wanted.run.contains(*i) || wanted.nodes.contains_key(&(i.chunk, i.index, i.output)),
                Edge::Leaf(l) => wanted.leaves.contains_key(&(Counted::as_ptr(l) as usize)),
            });
            if below {
                wanted.run.insert(n);
            }
        }
        Ok(wanted)
    }
}
