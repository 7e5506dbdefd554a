//! The live Wengert list: nodes in chunks, ids that grow, counts instead of a collector.
//!
//! A node's *order* (its chunk's base plus its index) is larger than that of everything it depends
//! on, so sweeping by descending order is sweeping backwards.

pub(crate) mod labels;
pub(crate) mod node;
pub(crate) mod saved;
pub(crate) mod sweep;

use crate::lock::Key;
use crate::tensor::Tensor;
use node::{Edge, Node, NodeRef};
use smallvec::SmallVec;
use std::collections::HashMap;
use std::sync::Arc;
use wengert_ops::counted::Watcher;
use wengert_ops::{DType, Layout, Op};

/// Nodes per chunk.
pub(crate) const CHUNK: usize = 256;
/// Empty chunks kept for reuse; more go back to the system.
const SPARE: usize = 64;

pub(crate) struct Chunk {
    /// Order of the first node.
    pub base: u64,
    live: u32,
    /// Places in use. Behind them lie vacant ones of earlier use, which are filled field by field: a whole node is too
    /// large to be moved for nothing.
    used: usize,
    nodes: Vec<Node>,
}

pub(crate) struct Tape {
    chunks: Vec<Option<Box<Chunk>>>,
    vacant: Vec<u32>,
    // Moved as boxes into `chunks` and out again.
    #[allow(clippy::vec_box)]
    spare: Vec<Box<Chunk>>,
    current: Option<u32>,
    next: u64,
    live: usize,
    worklist: Vec<NodeRef>,
    /// Anomaly mode: new nodes remember where they were made.
    pub watched: bool,
    /// Hooks and retained gradients, for the few nodes that have any.
    pub side: Option<HashMap<(u32, u16), Side>>,
}

/// A function of a gradient: `None` leaves it as it is.
pub type Hook = Arc<dyn Fn(&Tensor) -> wengert_ops::Result<Option<Tensor>> + Send + Sync>;

/// What a host language knows a hook or a node by, for itself to find again.
pub type Payload = Arc<dyn std::any::Any + Send + Sync>;

/// What passes through a node: gradients by output, or by input.
pub type Gradients = Vec<Option<Tensor>>;

/// A function of all gradients at a node, those of its outputs before and those of its inputs after its rule has run
/// (`None` before); `None` leaves them as they are.
pub type NodeHook =
    Arc<dyn Fn(&[Option<Tensor>], Option<&[Option<Tensor>]>) -> wengert_ops::Result<Option<Gradients>> + Send + Sync>;

/// Rare attachments of a node.
#[derive(Default)]
pub(crate) struct Side {
    /// (id, output, hook) in order of registration.
    pub hooks: Vec<(u64, u16, Hook)>,
    /// Tensors whose `.grad` is kept, by output.
    pub retain: Vec<(u16, Watcher<crate::tensor::TensorImpl>)>,
    /// (id, whether after the rule, hook)
    pub node_hooks: Vec<(u64, bool, NodeHook)>,
    /// Where the node was made, in anomaly mode.
    pub note: Option<Arc<crate::anomaly::Note>>,
}

impl Tape {
    pub const fn new() -> Tape {
        Tape {
            chunks: Vec::new(),
            vacant: Vec::new(),
            spare: Vec::new(),
            current: None,
            next: 1,
            live: 0,
            worklist: Vec::new(),
            watched: false,
            side: None,
        }
    }

    /// Nodes alive now.
    pub fn live(&self) -> usize {
        self.live
    }

    /// Bytes of the chunks that hold nodes now.
    pub fn bytes(&self) -> usize {
        self.chunks.iter().flatten().count() * (std::mem::size_of::<Chunk>() + CHUNK * std::mem::size_of::<Node>())
    }

    /// Appends a node that its caller holds once.
    pub fn push(&mut self, node: Node) -> NodeRef {
        let Node { op, edges, saved, layout, more, label, dtype, flags, .. } = node;
        for edge in &edges {
            if let Edge::Node(n) = edge {
                self.hold(*n);
            }
        }
        let (made, place) = self.add(op, layout, dtype, label);
        (place.edges, place.saved, place.more, place.flags) = (edges, saved, more, flags);
        made
    }

    /// As [`Tape::push`], of a node that has no inputs and has saved nothing yet.
    #[inline(always)]
    pub fn add(&mut self, op: Op, layout: Layout, dtype: DType, label: u16) -> (NodeRef, &mut Node) {
        let chunk = match self.current {
            Some(c) if self.chunks[c as usize].as_ref().is_some_and(|k| k.used < CHUNK) => c,
            _ => self.open(),
        };
        let Some(open) = self.chunks[chunk as usize].as_mut() else { unreachable!("the current chunk is there") };
        let index = open.used;
        open.used += 1;
        open.live += 1;
        self.live += 1;
        self.next += 1;
        let made = NodeRef { chunk, index: index as u16, output: 0 };
        if index == open.nodes.len() {
            open.nodes.push(Node::new(op, layout, dtype, label));
        } else {
            let place = &mut open.nodes[index];
            // What `vacate` has left there needs no dropping, and is not looked at for it.
            std::mem::forget(std::mem::replace(&mut place.op, op));
            std::mem::forget(std::mem::replace(&mut place.layout, layout));
            (place.refs, place.label, place.dtype, place.flags) = (1, label, dtype, 0);
        }
        if self.watched {
            self.watch(made);
        }
        (made, self.node_mut(made))
    }

    #[cold]
    fn open(&mut self) -> u32 {
        let mut chunk = self
            .spare
            .pop()
            .unwrap_or_else(|| Box::new(Chunk { base: 0, live: 0, used: 0, nodes: Vec::with_capacity(CHUNK) }));
        chunk.base = self.next;
        let slot = match self.vacant.pop() {
            Some(slot) => {
                self.chunks[slot as usize] = Some(chunk);
                slot
            }
            None => {
                self.chunks.push(Some(chunk));
                self.chunks.len() as u32 - 1
            }
        };
        if let Some(old) = self.current.replace(slot) {
            self.close_if_empty(old);
        }
        slot
    }

    fn close_if_empty(&mut self, slot: u32) {
        let empty = self.chunks[slot as usize].as_ref().is_some_and(|c| c.live == 0);
        if empty && self.current != Some(slot) {
            if let Some(mut chunk) = self.chunks[slot as usize].take() {
                chunk.used = 0;
                self.vacant.push(slot);
                if self.spare.len() < SPARE {
                    self.spare.push(chunk);
                }
            }
        }
    }

    #[inline]
    pub fn node(&self, n: NodeRef) -> &Node {
        let chunk = self.chunks[n.chunk as usize].as_ref().expect("a held node is alive");
        &chunk.nodes[n.index as usize]
    }

    #[inline]
    pub fn node_mut(&mut self, n: NodeRef) -> &mut Node {
        let chunk = self.chunks[n.chunk as usize].as_mut().expect("a held node is alive");
        &mut chunk.nodes[n.index as usize]
    }

    /// Position in the list; grows with time and is never used twice.
    #[inline]
    pub fn order(&self, n: NodeRef) -> u64 {
        self.chunks[n.chunk as usize].as_ref().map_or(0, |c| c.base + n.index as u64)
    }

    #[inline]
    pub fn base(&self, chunk: u32) -> u64 {
        self.chunks[chunk as usize].as_ref().map_or(0, |c| c.base)
    }

    #[inline]
    pub fn hold(&mut self, n: NodeRef) {
        self.node_mut(n).refs += 1;
    }

    /// Lets go of a node; what nothing can reach any more is freed at once, by a worklist.
    #[inline]
    pub fn release(&mut self, n: NodeRef, key: &mut Key) {
        let node = self.node_mut(n);
        node.refs -= 1;
        if node.refs == 0 {
            self.worklist.push(n);
            self.free(key);
        }
    }

    fn free(&mut self, key: &mut Key) {
        while let Some(n) = self.worklist.pop() {
            let Some(chunk) = self.chunks[n.chunk as usize].as_mut() else { continue };
            let node = &mut chunk.nodes[n.index as usize];
            // Leaf handles and buffers: their drops defer themselves where they must.
            let edges = std::mem::take(&mut node.edges);
            let mut saved = SmallVec::new();
            // Mostly there is nothing, and that need not be moved.
            if !node.saved.is_empty() {
                std::mem::swap(&mut saved, &mut node.saved);
            }
            let hooks = node.flags & node::flag::HOOKS != 0;
            node.vacate();
            chunk.live -= 1;
            self.live -= 1;
            if chunk.live == 0 {
                self.emptied(n.chunk);
            }
            if hooks {
                self.drop_side(n);
            }
            for edge in &edges {
                if let Edge::Node(input) = edge {
                    let input_node = self.node_mut(*input);
                    input_node.refs -= 1;
                    if input_node.refs == 0 {
                        self.worklist.push(*input);
                    }
                }
            }
            for saved in &saved {
                saved.release(key);
            }
        }
    }

    /// A chunk in which no node lives any more begins anew, or goes.
    #[inline]
    fn emptied(&mut self, slot: u32) {
        if self.current != Some(slot) {
            self.close_if_empty(slot);
        } else if let Some(chunk) = self.chunks[slot as usize].as_mut() {
            chunk.used = 0;
            chunk.base = self.next;
        }
    }

    #[cold]
    fn drop_side(&mut self, n: NodeRef) {
        if let Some(side) = self.side.as_mut().and_then(|s| s.remove(&(n.chunk, n.index))) {
            crate::lock::defer(side.hooks);
            crate::lock::defer(side.retain);
            crate::lock::defer(side.node_hooks);
            crate::lock::defer(side.note);
        }
    }

    pub fn side_mut(&mut self, n: NodeRef) -> &mut Side {
        self.node_mut(n).flags |= node::flag::HOOKS;
        self.side.get_or_insert_with(HashMap::new).entry((n.chunk, n.index)).or_default()
    }

    pub fn side(&self, n: NodeRef) -> Option<&Side> {
        self.side.as_ref()?.get(&(n.chunk, n.index))
    }
}
