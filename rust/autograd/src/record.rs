//! Putting an operation on the tape.

use crate::dispatch::Arg;
use crate::lock::{Key, Locked};
use crate::rules;
use crate::tape::node::{Edge, Node, NodeRef};
use crate::tape::saved::{Saved, OUTPUT};
use crate::tensor::{self, Tensor};
use crate::value::Value;
use smallvec::SmallVec;
use wengert_ops::{DType, Error, Layout, Op, Result, Row, Scalar};

/// An operand as it is remembered: a tensor with the value it had, or a scalar.
pub(crate) enum Input<'a> {
    Tensor(&'a Tensor, Value),
    Scalar(Scalar),
}

/// Whether a mask has the bit of an input or output; the last bit stands for all from there on.
#[inline]
pub(crate) fn among(mask: u64, i: usize) -> bool {
    mask >> i.min(63) & 1 == 1
}

/// The bits of the inputs that require grad.
#[inline]
pub(crate) fn needs<'a>(tensors: impl Iterator<Item = Option<&'a Tensor>>, locked: &Locked) -> u64 {
    let mut mask = 0;
    for (i, t) in tensors.enumerate() {
        if let Some(t) = t {
            if tensor::requires_grad(t, &locked.key) {
                mask |= 1u64 << i.min(63);
            }
        }
    }
    mask
}

/// A saved value must not have been made in inference mode.
#[inline]
pub(crate) fn check_inference(t: &Tensor, locked: &Locked) -> Result<()> {
    if t.0.state.get(&locked.key).flags & tensor::flag::INFERENCE != 0 {
        return Err(Error::runtime(
            "Inference tensors cannot be saved for backward. To work around you can make a clone to get a normal tensor \
             and use it in autograd.",
        ));
    }
    Ok(())
}

/// The shape of an input to be kept, where its place on the tape will not tell it: a leaf may get other data before
/// the sweep comes, and another tensor may have got it already.
#[inline]
pub(crate) fn untold_shape(input: usize, edge: &Edge, layout: &Layout, locked: &Locked) -> Option<Saved> {
    let told = match edge {
        Edge::None => return None,
        Edge::Leaf(_) => false,
        Edge::Node(n) => {
            let known = locked.tape.node(*n).meta(n.output).0;
            known.same(layout) || known.shape() == layout.shape()
        }
    };
    (!told).then(|| Saved::Shape { input: input as u32, layout: layout.clone() })
}

/// Builds the node: edges of the inputs that require grad, and what the rule of `op` wants saved.
/// Nothing is pushed yet, so that an in-place write may come between.
pub(crate) fn prepare(
    op: Op,
    label: u16,
    needs: u64,
    inputs: &[Input<'_>],
    out: (Layout, DType),
    locked: &mut Locked,
) -> Result<Node> {
    let mut node = Node::new(op, out.0, out.1, label);
    for (i, input) in inputs.iter().enumerate() {
        node.edges.push(match input {
            Input::Tensor(t, _) if among(needs, i) => tensor::edge(t, locked)?,
            _ => Edge::None,
        });
    }
    let wanted = rules::saves(&node.op, needs);
    // Checks first: once a save is registered, nothing may fail.
    for (i, input) in inputs.iter().enumerate() {
        if let (Input::Tensor(t, _), true) = (input, among(wanted.inputs, i)) {
            check_inference(t, locked)?;
        }
    }
    for (i, input) in inputs.iter().enumerate() {
        match input {
            Input::Tensor(_, value) if among(wanted.inputs, i) => {
                node.saved.push(Saved::new(i as u8, value, &mut locked.key));
            }
            Input::Scalar(value) => node.saved.push(Saved::Scalar { slot: i as u8, value: *value }),
            _ => {}
        }
    }
    let shapes = rules::shapes(&node.op) & needs;
    if shapes != 0 {
        for (i, input) in inputs.iter().enumerate() {
            if let (Input::Tensor(_, value), true) = (input, among(shapes, i)) {
                node.saved.extend(untold_shape(i, &node.edges[i], &value.layout, locked));
            }
        }
    }
    save_joined(&mut node, inputs.iter().filter_map(|i| if let Input::Tensor(_, v) = i { Some(v) } else { None }));
    Ok(node)
}

/// The sizes of joined constants are known nowhere else.
fn save_joined<'a>(node: &mut Node, parts: impl Iterator<Item = &'a Value>) {
    if let (Op::Cat { dim }, true) = (&node.op, node.edges.iter().any(|e| !e.is_some())) {
        let (d, rank) = (*dim as usize, node.layout.rank());
        for v in parts {
            let n = if v.layout.rank() == rank { v.layout.shape()[d] } else { 0 };
            node.saved.push(Saved::Scalar { slot: 0, value: Scalar::Int(n as i64) });
        }
    }
}

/// As [`prepare`] and [`push`] of an operation whose results are there: the node is put together where it stays, and
/// what is saved goes there out of `values`, the inputs as they were.
pub(crate) fn results(
    op: Op,
    label: u16,
    needs: u64,
    inputs: &[&Tensor],
    values: &mut [Option<Value>],
    outputs: &[Value],
    locked: &mut Locked,
) -> Result<NodeRef> {
    let (wanted, shapes) = (rules::saves(&op, needs), rules::shapes(&op) & needs);
    // Checks first: once a save is registered, nothing may fail.
    for (i, t) in inputs.iter().enumerate() {
        if among(needs, i) {
            tensor::settle(t, locked)?;
        }
        if among(wanted.inputs, i) {
            check_inference(t, locked)?;
        }
    }
    for (i, t) in inputs.iter().enumerate() {
        if let (Edge::Node(n), true) = (&t.0.state.get(&locked.key).edge, among(needs, i)) {
            locked.tape.hold(*n);
        }
    }
    let (made, _) = locked.tape.add(op, outputs[0].layout.clone(), outputs[0].dtype, label);
    let edges = &mut locked.tape.node_mut(made).edges;
    for (i, t) in inputs.iter().enumerate() {
        push_edge(edges, among(needs, i).then_some(*t), &locked.key);
    }
    if shapes != 0 {
        for (i, value) in values.iter().enumerate() {
            if let (Some(value), true) = (value, among(shapes, i)) {
                let shape = untold_shape(i, &locked.tape.node(made).edges[i], &value.layout, locked);
                locked.tape.node_mut(made).saved.extend(shape);
            }
        }
    }
    let Locked { tape, key, .. } = locked;
    let node = tape.node_mut(made);
    save_joined(node, values.iter().flatten());
    for (i, value) in values.iter_mut().enumerate() {
        let saved = if among(wanted.inputs, i) { value.take() } else { None };
        if let Some(value) = saved {
            node.saved.push(Saved::take(i as u8, value, key));
        }
    }
    keep_outputs(node, wanted.outputs, outputs, key);
    Ok(made)
}

/// The edge to a settled input; none to one that needs no gradient. Each kind is written where it stays: put together
/// elsewhere it would be copied in wider pieces than it was written, which stalls the processor.
#[inline(always)]
fn push_edge(edges: &mut SmallVec<[Edge; 2]>, input: Option<&Tensor>, key: &Key) {
    let Some(t) = input else { return edges.push(Edge::None) };
    let state = t.0.state.get(key);
    match &state.edge {
        Edge::Node(n) => edges.push(Edge::Node(*n)),
        Edge::Leaf(leaf) => edges.push(Edge::Leaf(leaf.clone())),
        Edge::None if state.flags & tensor::flag::REQ != 0 => edges.push(Edge::Leaf(t.0.clone())),
        Edge::None => edges.push(Edge::None),
    }
}

/// As [`prepare`] and [`push`] for a row over operands looked at under the lock: clones only what is saved.
pub(crate) fn row<const N: usize>(
    row: Row,
    args: &[Arg<'_>; N],
    needs: u64,
    out: &Value,
    locked: &mut Locked,
) -> Result<NodeRef> {
    let wanted = rules::row::saves(row, needs);
    // Checks first: once a save is registered, nothing may fail.
    for (i, arg) in args.iter().enumerate() {
        let Arg::Tensor(t) = arg else { continue };
        if needs >> i & 1 == 1 {
            tensor::settle(t, locked)?;
        }
        if wanted.inputs >> i & 1 == 1 {
            check_inference(t, locked)?;
        }
    }
    let Locked { tape, key, .. } = locked;
    for (i, arg) in args.iter().enumerate() {
        if let (Arg::Tensor(t), 1) = (arg, needs >> i & 1) {
            if let Edge::Node(n) = t.0.state.get(key).edge {
                tape.hold(n);
            }
        }
    }
    let (made, node) = tape.add(Op::Row(row), out.layout.clone(), out.dtype, 0);
    for (i, arg) in args.iter().enumerate() {
        let tensor = if let Arg::Tensor(t) = arg { Some(*t) } else { None };
        push_edge(&mut node.edges, tensor.filter(|_| needs >> i & 1 == 1), key);
    }
    for (i, arg) in args.iter().enumerate() {
        match arg {
            Arg::Tensor(t) if wanted.inputs >> i & 1 == 1 => {
                let state = t.0.state.get(key);
                let buffer = state.cell.buffer(key).clone();
                let value = Value { buffer, layout: state.layout.clone(), dtype: t.0.dtype() };
                node.saved.push(Saved::take(i as u8, value, key));
            }
            Arg::Tensor(_) => {}
            Arg::Scalar(value) => node.saved.push(Saved::Scalar { slot: i as u8, value: *value }),
        }
    }
    if wanted.outputs != 0 {
        node.saved.push(Saved::new(OUTPUT, out, key));
    }
    Ok(made)
}

/// Saves the outputs that the rule wants and puts the node on the tape, held once.
pub(crate) fn push(mut node: Node, needs: u64, outputs: &[Value], locked: &mut Locked) -> NodeRef {
    let wanted = rules::saves(&node.op, needs).outputs;
    keep_outputs(&mut node, wanted, outputs, &mut locked.key);
    locked.tape.push(node)
}

/// What a node has of its outputs: those that the rule wants, and what the further ones are like.
fn keep_outputs(node: &mut Node, wanted: u64, outputs: &[Value], key: &mut Key) {
    for (k, value) in outputs.iter().enumerate() {
        if among(wanted, k) {
            node.saved.push(Saved::new(OUTPUT | k as u8, value, key));
        }
    }
    if outputs.len() > 1 {
        node.more = Some(outputs[1..].iter().map(|v| (v.layout.clone(), v.dtype)).collect());
    }
}

/// Lets go of a prepared node that will not be pushed after all.
pub(crate) fn abandon(node: Node, locked: &mut Locked) {
    for saved in &node.saved {
        saved.release(&mut locked.key);
    }
}
