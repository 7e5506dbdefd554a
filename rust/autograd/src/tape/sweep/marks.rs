//! A sweep's notes on the tape: gradients that have arrived, and sets of nodes.

use super::Sweep;
use crate::lock::Locked;
use crate::tape::node::NodeRef;
use crate::tape::CHUNK;
use crate::tensor::Tensor;
use crate::value::Value;

/// Gradients that have arrived at one node.
#[derive(Default)]
pub(in crate::tape) enum Slot {
    #[default]
    Empty,
    /// A gradient without history, not yet a tensor.
    Value(Value),
    One(Tensor),
    Many(Vec<Option<Tensor>>),
}

/// A sweep's notes on one chunk.
pub(super) struct Marks {
    pending: [u64; CHUNK / 64],
    slots: Vec<Slot>,
}

thread_local! {
    // Moved as boxes into a sweep and out again.
    #[allow(clippy::vec_box)]
    static SPARE: std::cell::RefCell<Vec<Box<Marks>>> = const { std::cell::RefCell::new(Vec::new()) };
}

impl Marks {
    /// Empty notes, used before if there are any.
    fn get() -> Box<Marks> {
        SPARE.with(|s| s.borrow_mut().pop()).unwrap_or_else(|| {
            Box::new(Marks {
                pending: [0; CHUNK / 64],
                slots: std::iter::repeat_with(Slot::default).take(CHUNK).collect(),
            })
        })
    }

    /// All nodes of the chunk are done, so all slots are empty again.
    fn give_back(done: Box<Marks>) {
        SPARE.with(|s| {
            let mut spare = s.borrow_mut();
            if spare.len() < 4 {
                spare.push(done);
            }
        });
    }
}

/// Bits over nodes.
#[derive(Default)]
pub(super) struct NodeSet(Vec<Option<Box<[u64; CHUNK / 64]>>>);

impl NodeSet {
    pub fn insert(&mut self, n: NodeRef) -> bool {
        let slot = n.chunk as usize;
        if self.0.len() <= slot {
            self.0.resize_with(slot + 1, || None);
        }
        let bits = self.0[slot].get_or_insert_with(|| Box::new([0; CHUNK / 64]));
        let (word, bit) = (n.index as usize / 64, 1u64 << (n.index % 64));
        let new = bits[word] & bit == 0;
        bits[word] |= bit;
        new
    }
    pub fn contains(&self, n: NodeRef) -> bool {
        self.0
            .get(n.chunk as usize)
            .and_then(|b| b.as_ref())
            .is_some_and(|b| b[n.index as usize / 64] >> (n.index % 64) & 1 == 1)
    }
}

impl Sweep {
    /// The pending node of the highest order.
    pub(super) fn next(&mut self) -> Option<NodeRef> {
        while let Some(&(_, chunk)) = self.chunks.peek() {
            if let Some(marks) = self.marks[chunk as usize].as_mut() {
                for word in (0..CHUNK / 64).rev() {
                    if marks.pending[word] != 0 {
                        let bit = 63 - marks.pending[word].leading_zeros() as usize;
                        marks.pending[word] &= !(1 << bit);
                        return Some(NodeRef { chunk, index: (word * 64 + bit) as u16, output: 0 });
                    }
                }
            }
            self.chunks.pop();
            if let Some(done) = self.marks[chunk as usize].take() {
                Marks::give_back(done);
            }
        }
        None
    }

    pub(super) fn slot(&mut self, n: NodeRef, locked: &Locked) -> &mut Slot {
        let chunk = n.chunk as usize;
        if self.marks.len() <= chunk {
            self.marks.resize_with(chunk + 1, || None);
        }
        if self.marks[chunk].is_none() {
            self.chunks.push((locked.tape.base(n.chunk), n.chunk));
        }
        let marks = self.marks[chunk].get_or_insert_with(Marks::get);
        marks.pending[n.index as usize / 64] |= 1 << (n.index % 64);
        &mut marks.slots[n.index as usize]
    }

    /// What has arrived at a node that was met.
    pub(super) fn slot_mut(&mut self, n: NodeRef) -> Option<&mut Slot> {
        self.marks.get_mut(n.chunk as usize)?.as_mut().map(|m| &mut m.slots[n.index as usize])
    }

    pub(super) fn take_slot(&mut self, n: NodeRef) -> Slot {
        match self.marks.get_mut(n.chunk as usize) {
            Some(Some(marks)) => std::mem::take(&mut marks.slots[n.index as usize]),
            _ => Slot::Empty,
        }
    }
}
