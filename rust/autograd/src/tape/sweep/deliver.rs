//! Gradients on their way along the edges: each must fit what it is the gradient of, and is added to what has arrived.

use super::gradients::{add, fit};
use super::marks::Slot;
use super::{Step, Sweep};
use crate::buffer::Device;
use crate::lock::{lock, Key, Locked};
use crate::record::among;
use crate::rules::{self, Unpacked};
use crate::tape::labels;
use crate::tape::node::Edge;
use crate::tensor::{Tensor, TensorImpl};
use wengert_ops::counted::Counted;
use wengert_ops::infer::broadcasts_to;
use wengert_ops::{fail, DType, Error, Layout, Result};

impl Sweep {
    /// A shape that was kept for a rule but is not its target's any more (`data` was replaced) ends in an error; before
    /// the rule runs, since by that shape it might allocate.
    pub(super) fn check_kept_shapes(&self, step: &Step) -> Result<()> {
        for s in &step.saved {
            let Unpacked::Shape(i, kept) = s else { continue };
            let target = {
                let guard = lock();
                match &guard.tape.node(step.node).edges[*i as usize] {
                    Edge::Node(n) => guard.tape.node(*n).meta(n.output).0.clone(),
                    _ => continue,
                }
            };
            if among(step.needs, *i as usize) && !broadcasts_to(target.shape(), kept.shape()) {
                return Err(step.invalid_gradient(*i as usize, kept.shape(), target.shape()));
            }
        }
        Ok(())
    }

    /// Hands on a gradient that `step` has computed for its input `i`: it must fit what it is the gradient of.
    pub(super) fn deliver(&mut self, step: &Step, i: usize, edge: Edge, g: Tensor) -> Result<()> {
        let kept = rules::kept_shape(&step.saved, i);
        let target = {
            let guard = lock();
            match (&edge, kept) {
                (Edge::Node(n), _) => Some(guard.tape.node(*n).meta(n.output).0.clone()),
                (_, kept) => kept.cloned(),
            }
        };
        let Some(target) = target else { return self.arrive(edge, g) };
        let shape = g.shape();
        if !broadcasts_to(target.shape(), &shape) {
            return Err(step.invalid_gradient(i, &shape, target.shape()));
        }
        match edge {
            Edge::Leaf(leaf) => {
                let g = fit(g, &target, leaf.dtype())?;
                self.arrive_at_leaf(leaf, g)
            }
            edge => self.arrive(edge, g),
        }
    }

    /// Adds a gradient to what has arrived at an edge, summed and cast to the target's shape and dtype.
    pub(super) fn arrive(&mut self, edge: Edge, g: Tensor) -> Result<()> {
        match edge {
            Edge::None => Ok(()),
            Edge::Leaf(leaf) => {
                let (layout, dtype) = {
                    let guard = lock();
                    (leaf.state.get(&guard.key).layout.clone(), leaf.dtype())
                };
                // Since the leaf was used its data may have got another shape: then the gradient stays as it is.
                let fits = broadcasts_to(layout.shape(), &g.shape());
                let g = if fits { fit(g, &layout, dtype)? } else { g.to_dtype(dtype)? };
                self.arrive_at_leaf(leaf, g)
            }
            Edge::Node(n) => {
                let guard = lock();
                let (layout, dtype) = guard.tape.node(n).meta(n.output);
                let (layout, outputs) = (layout.clone(), guard.tape.node(n).outputs());
                drop(guard);
                let g = fit(g, &layout, dtype)?;
                let mut guard = lock();
                let slot = self.slot(n, &guard);
                let old = match slot {
                    Slot::Empty => None,
                    Slot::Value(old) => Some(Tensor::from_value(old.clone())),
                    Slot::One(old) if outputs == 1 => Some(old.clone()),
                    Slot::One(_) => None,
                    Slot::Many(many) => many[n.output as usize].clone(),
                };
                // The slot's own handle is the second one while we add.
                guard = {
                    drop(guard);
                    let sum = match old {
                        Some(old) => add(old, g, self.create, 2)?,
                        None => g,
                    };
                    let guard = lock();
                    let slot = self.slot(n, &guard);
                    let replaced = if outputs == 1 {
                        std::mem::replace(slot, Slot::One(sum))
                    } else {
                        if !matches!(slot, Slot::Many(_)) {
                            *slot = Slot::Many(vec![None; outputs]);
                        }
                        if let Slot::Many(many) = slot {
                            many[n.output as usize] = Some(sum);
                        }
                        Slot::Empty
                    };
                    drop(guard);
                    drop(replaced);
                    lock()
                };
                drop(guard);
                Ok(())
            }
        }
    }

    fn arrive_at_leaf(&mut self, leaf: Counted<TensorImpl>, g: Tensor) -> Result<()> {
        // A number that took part in another device's work.
        let g = match (leaf.device(), g.rank()) {
            (Device::Cpu, 0) if g.device() != Device::Cpu => g.to_device(Device::Cpu)?,
            _ => g,
        };
        if g.device() != leaf.device() {
            fail!(runtime, "a gradient on device {} cannot be added to a leaf on {}", g.device(), leaf.device());
        }
        let id = Counted::as_ptr(&leaf) as usize;
        match self.leaf_index.get(&id) {
            Some(&at) => {
                let slot = &mut self.leaves[at].1;
                *slot = add(slot.clone(), g, self.create, 2)?;
            }
            None => {
                self.leaf_index.insert(id, self.leaves.len());
                self.leaves.push((leaf, g));
            }
        }
        Ok(())
    }

    /// Stores a gradient that is the first at its edge and fits there: the common case. Gives back any other.
    pub(super) fn first(&mut self, edge: &Edge, locked: &Locked, g: Tensor) -> Option<Tensor> {
        let fits = |layout: &Layout, dtype: DType| {
            let l = &g.0.state.get(&locked.key).layout;
            g.dtype() == dtype && (l.same(layout) || l.shape() == layout.shape())
        };
        match edge {
            Edge::Leaf(leaf) => {
                let id = Counted::as_ptr(leaf) as usize;
                let fits = g.0.device() == leaf.device() && fits(&leaf.state.get(&locked.key).layout, leaf.dtype());
                if !fits || self.leaf_index.contains_key(&id) {
                    return Some(g);
                }
                self.leaf_index.insert(id, self.leaves.len());
                self.leaves.push((leaf.clone(), g));
                None
            }
            Edge::Node(n) => {
                let target = locked.tape.node(*n);
                if target.more.is_some() || !fits(&target.layout, target.dtype) {
                    return Some(g);
                }
                let slot = self.slot(*n, locked);
                if !matches!(slot, Slot::Empty) {
                    return Some(g);
                }
                *slot = Slot::One(g);
                None
            }
            Edge::None => None,
        }
    }
}

impl Step {
    /// Where the gradient of input `i` goes, and the layout and dtype of what it is the gradient of.
    pub(super) fn target(&self, i: usize) -> Option<(Edge, Layout, DType)> {
        let guard = lock();
        let edge = guard.tape.node(self.node).edges.get(i)?.clone();
        let (layout, dtype) = match &edge {
            Edge::Leaf(leaf) => (leaf.state.get(&guard.key).layout.clone(), leaf.dtype()),
            Edge::Node(n) => {
                let (layout, dtype) = guard.tape.node(*n).meta(n.output);
                (layout.clone(), dtype)
            }
            Edge::None => return None,
        };
        Some((edge, layout, dtype))
    }

    /// A gradient as hooks see it: of its input's shape and dtype, where it can be.
    pub(super) fn fitted(&self, i: usize, g: Tensor) -> Result<Tensor> {
        match self.target(i) {
            Some((_, layout, dtype)) if broadcasts_to(layout.shape(), &g.shape()) => fit(g, &layout, dtype),
            _ => Ok(g),
        }
    }

    #[cold]
    fn invalid_gradient(&self, i: usize, got: &[usize], expected: &[usize]) -> Error {
        let label = lock().tape.node(self.node).label;
        Error::runtime(format!(
            "Function {} returned an invalid gradient at index {i} - got {got:?} but expected shape compatible with {expected:?}",
            labels::name(&self.op, label)
        ))
    }
}

/// A gradient that nobody else has the tensor of: a rule may give one to several inputs, and the functions and hooks
/// behind each of them may write to theirs.
pub(super) fn apart(g: Tensor, key: &Key) -> Tensor {
    if Counted::count(&g.0) == 1 {
        return g;
    }
    match g.try_value(key) {
        Some(value) => Tensor::from_value(value),
        None => g,
    }
}
