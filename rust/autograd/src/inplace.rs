//! In-place writes: functional underneath, copy on write at the bytes.

use crate::buffer::{Buffer, Data, Device};
use crate::devices::Devices;
use crate::dispatch::{on_borrowed, Arg, MOST, SMALL};
use crate::exec::{self, RowInput};
use crate::lock::{lock, Key, Locked};
use crate::mode::is_grad_enabled;
use crate::plan::{fit, mixed_devices, plan, with_cut, Plan};
use crate::record::{self, Input};
use crate::tape::node::{Edge, Node, NodeRef};
use crate::tensor::{edge, flag, living_base, replace_edge, requires_grad, view_error, Tensor, ViewKind};
use crate::value::Value;
use crate::writable::{begin, bump, overlap_error, unexpanded};
use smallvec::SmallVec;
use std::sync::Arc;
use wengert_ops::counted::Counted;
use wengert_ops::rows::Class;
use wengert_ops::{contract, fail, layout, DType, Op, Region, Result, Row, Scalar, ViewMut};

/// What PyTorch refuses of a taped write: leaves, views of leaves, views of multi-view functions.
pub(crate) fn check_taped_write(x: &Tensor, locked: &mut Locked) -> Result<()> {
    let state = x.0.state.get(&locked.key);
    if let Some(view) = &state.view {
        if view.kind != ViewKind::Default {
            return Err(view_error(view.kind, false));
        }
        let base = view.base.0.state.get(&locked.key);
        if base.flags & flag::REQ != 0 && !base.edge.is_some() {
            fail!(runtime, "a view of a leaf Variable that requires grad is being used in an in-place operation.");
        }
    } else if state.flags & flag::REQ != 0 && !state.edge.is_some() {
        fail!(
            runtime,
            "a leaf Variable that requires grad is being used in an in-place operation. Wrap the update in `with no_grad():`"
        );
    }
    Ok(())
}

/// One in-place write. `op` with inputs `(x, args…)` is what it means functionally; `run` puts the new
/// elements into the view it is given, reading `args` as values.
pub(crate) struct Write<'a> {
    pub name: &'a str,
    pub op: Op,
    pub args: &'a [Arg<'a>],
    /// Old contents are not read: `copy_`, `fill_`.
    pub overwrites: bool,
    /// Each element depends on inputs at its own place alone, so these may be the written elements themselves.
    pub elementwise: bool,
}

/// Puts new elements into a view, given the operands as values.
type Kernel<'a> = dyn Fn(&[Option<Value>], ViewMut<'_, Data>) -> Result<()> + 'a;

impl Write<'_> {
    pub fn run(&self, x: &Tensor, kernel: &Kernel<'_>) -> Result<()> {
        for arg in self.args {
            if let Arg::Tensor(t) = arg {
                if t.device() != x.device() && !(t.device() == Device::Cpu && t.rank() == 0) {
                    return Err(mixed_devices(self.name, x.device(), t.device()));
                }
            }
        }
        let prepared = self.prepare(x)?;
        let result = self.write(x, kernel);
        match (result, prepared) {
            (Ok(()), None) => Ok(()),
            (Ok(()), Some((node, needs))) => self.finish(x, node, needs),
            (Err(e), prepared) => {
                if let Some((node, _)) = prepared {
                    record::abandon(node, &mut lock());
                }
                Err(e)
            }
        }
    }

    /// Checks, and takes the old edges and saves the old values if the write is taped.
    fn prepare(&self, x: &Tensor) -> Result<Option<(Node, u64)>> {
        let mut guard = lock();
        let state = x.0.state.get(&guard.key);
        if !self.overwrites && state.layout.self_overlaps() {
            return Err(overlap_error());
        }
        if state.flags & flag::INFERENCE != 0 && !crate::mode::inference() {
            fail!(
                runtime,
                "Inplace update to inference tensor outside InferenceMode is not allowed. You can make a clone to get a normal tensor \
                 before doing inplace update."
            );
        }
        if !is_grad_enabled() {
            return Ok(None);
        }
        let tensors = std::iter::once(Some(x)).chain(self.args.iter().map(|a| match a {
            Arg::Tensor(t) => Some(*t),
            Arg::Scalar(_) => None,
        }));
        let needs = record::needs(tensors, &guard);
        if needs == 0 || !x.dtype().is_float() {
            return Ok(None);
        }
        check_taped_write(x, &mut guard)?;
        let value = |t: &Tensor, guard: &Locked| {
            let state = t.0.state.get(&guard.key);
            Value { buffer: state.cell.buffer(&guard.key).clone(), layout: state.layout.clone(), dtype: t.dtype() }
        };
        let mut inputs: SmallVec<[Input<'_>; 3]> = SmallVec::new();
        inputs.push(Input::Tensor(x, value(x, &guard)));
        for arg in self.args {
            inputs.push(match arg {
                Arg::Tensor(t) => Input::Tensor(t, value(t, &guard)),
                Arg::Scalar(s) => Input::Scalar(*s),
            });
        }
        let layout = x.0.state.get(&guard.key).layout.clone();
        let node = record::prepare(self.op.clone(), 0, needs, &inputs, (layout, x.dtype()), &mut guard)?;
        Ok(Some((node, needs)))
    }

    fn write(&self, x: &Tensor, kernel: &Kernel<'_>) -> Result<()> {
        if x.device() == Device::Meta {
            bump(x, &mut lock().key);
            return Ok(());
        }
        let mut begun = begin(x, self.args, self.overwrites)?;
        begun.separate(self.name, self.elementwise)?;
        let layout = begun.target.layout.clone();
        let layout = if layout.self_overlaps() { unexpanded(&layout)? } else { layout };
        let data = &begun.writing.0.data;
        // SAFETY: `writing` keeps readers out, copy on write has left this cell the only owner (or the
        // memory is shared on purpose), and `separate` has left only inputs that lie apart or, for kernels that read
        // each element before they write it and no other, exactly on the target.
        kernel(&begun.values, unsafe { ViewMut::new(data, &layout, x.dtype()) })?;
        drop(begun);
        bump(x, &mut lock().key);
        Ok(())
    }

    /// Puts the write on the tape: x's node is the operation; a view's base gets the changed region.
    fn finish(&self, x: &Tensor, node: Node, needs: u64) -> Result<()> {
        let value = x.value();
        let mut guard = lock();
        let locked = &mut *guard;
        let Some(base) = living_base(x, &locked.key) else {
            let node = record::push(node, needs, std::slice::from_ref(&value), locked);
            set_node(x, node, locked);
            return Ok(());
        };
        let region = Region { base: base.0.state.get(&locked.key).layout.clone(), part: value.layout.clone() };
        let base_edge = edge(&base, locked)?;
        // A plain overwrite of the view is one Put on the base, of the value that was written.
        let direct = matches!(node.op, Op::Put(_));
        let (value_edge, held) = if direct {
            let edge = node.edges.get(1).cloned().unwrap_or_default();
            record::abandon(node, locked);
            (edge, None)
        } else {
            let node = record::push(node, needs, std::slice::from_ref(&value), locked);
            (Edge::Node(node), Some(node))
        };
        let mut put = Node::new(Op::Put(Arc::new(region.clone())), region.base, base.dtype(), 0);
        put.edges.push(base_edge);
        put.edges.push(value_edge);
        let put = locked.tape.push(put);
        if let Some(node) = held {
            locked.tape.release(node, &mut locked.key);
        }
        set_node(&base, put, locked);
        crate::lock::defer(base);
        if x.0.state.get(&locked.key).flags & flag::RETAIN != 0 {
            // The gradient that is kept is that of the new value.
            crate::lock::defer(edge(x, locked)?);
        }
        Ok(())
    }
}

/// Gives `x` the node `new` (held once by the caller, now by x).
fn set_node(x: &Tensor, new: NodeRef, locked: &mut Locked) {
    // An in-place result is no leaf any more, whatever it was.
    x.0.state.get_mut(&mut locked.key).flags &= !flag::REQ;
    replace_edge(x, Edge::Node(new), locked);
}

/// `x = row(x, args…)` in place.
pub fn row_(row: Row, x: &Tensor, args: &[Arg<'_>]) -> Result<()> {
    let mut all: SmallVec<[Arg<'_>; MOST]> = SmallVec::new();
    all.push(Arg::Tensor(x));
    all.extend_from_slice(args);
    let mut guard = lock();
    let plan = plan(row, &all, &guard.key)?;
    if !fit(row, args, plan.compute) {
        let compute = plan.compute;
        drop(guard);
        return with_cut(row, args, compute, |args| row_(row, x, args));
    }
    check_out(row, x, &all, &plan, &guard.key)?;
    let compute = plan.compute;
    if write_small(row, x, &all, &plan, &guard.key)? {
        bump(x, &mut guard.key);
        return Ok(());
    }
    drop(guard);
    row_into_(row, x, compute, args)
}

/// `out = row(args…)`, written where `out` stands; `false`, with nothing done, where `out` has not the result's shape,
/// dtype and device, or something is taped.
pub fn row_out(row: Row, out: &Tensor, args: &[Arg<'_>]) -> Result<bool> {
    let mut guard = lock();
    let plan = plan(row, args, &guard.key)?;
    let state = out.0.state.get(&guard.key);
    let layout = &state.layout;
    let taped = is_grad_enabled() && (plan.needs != 0 || requires_grad(out, &guard.key));
    if taped || plan.out != out.dtype() || plan.device != out.device() || layout.self_overlaps() {
        return Ok(false);
    }
    if !fit(row, args, plan.compute) || plan.shape.sizes(row, args, &guard.key)?[..] != *layout.shape() {
        return Ok(false);
    }
    let compute = plan.compute;
    if write_small(row, out, args, &plan, &guard.key)? {
        bump(out, &mut guard.key);
        return Ok(true);
    }
    drop(guard);
    // Where an operand's elements may be the written ones, they must not go before they are read.
    let overwrites = !args.iter().any(|a| matches!(a, Arg::Tensor(t) if out.shares_storage(t)));
    let write = Write { name: row.name(), op: Op::Row(row), args, overwrites, elementwise: true };
    write.run(out, &|values, out| exec::row_into(row, compute, &row_inputs(args, values), out))?;
    Ok(true)
}

/// The operands of a row: values, and scalars where there is none.
fn row_inputs<'a>(args: &[Arg<'_>], values: &'a [Option<Value>]) -> SmallVec<[RowInput<'a>; 3]> {
    let mut inputs = SmallVec::new();
    for (arg, value) in args.iter().zip(values) {
        inputs.push(match (arg, value) {
            (_, Some(v)) => RowInput::Value(v),
            (Arg::Scalar(s), None) => RowInput::Scalar(*s),
            (Arg::Tensor(_), None) => RowInput::Scalar(Scalar::Int(0)),
        });
    }
    inputs
}

/// The everyday untaped write, on operands borrowed under the lock: few contiguous elements that nobody else holds.
/// `false` sends everything else the general way, which gives the same.
fn write_small(row: Row, x: &Tensor, all: &[Arg<'_>], plan: &Plan<'_>, key: &Key) -> Result<bool> {
    let state = x.0.state.get(key);
    let layout = &state.layout;
    let small = layout.is_contiguous() && layout.numel() <= SMALL;
    let special = plan.needs != 0 || state.flags & flag::INFERENCE != 0;
    if !small || special || plan.out != x.dtype() {
        return Ok(false);
    }
    let buffer = state.cell.buffer(key);
    // Operands over the same bytes are read before they are written only where they lie exactly alike.
    let apart = all.iter().all(|a| match a {
        Arg::Tensor(t) => {
            let other = t.0.state.get(key);
            !Counted::ptr_eq(other.cell.buffer(key), buffer)
                || ((other.layout.same(layout) || other.layout == *layout) && t.dtype() == x.dtype())
        }
        Arg::Scalar(_) => true,
    });
    if !Buffer::is_sole(buffer, key) || !apart {
        return Ok(false);
    }
    let Some(host) = buffer.host() else { return Ok(false) };
    // SAFETY: the lock keeps everybody away, nobody else holds the bytes, and operands over them have this very layout.
    let out = unsafe { ViewMut::new(host, layout, x.dtype()) };
    on_borrowed(row, plan.compute, all, key, out)
}

fn row_into_(row: Row, x: &Tensor, compute: DType, args: &[Arg<'_>]) -> Result<()> {
    let bool_result = matches!(row.info().class, Class::Compare | Class::Test | Class::Logic);
    if bool_result && x.dtype().is_float() && x.requires_grad() && is_grad_enabled() {
        check_taped_write(x, &mut lock())?;
    }
    let write = Write { name: row.name(), op: Op::Row(row), args, overwrites: false, elementwise: true };
    write.run(x, &|values, out| {
        let first = x.value_unchecked();
        let mut inputs = row_inputs(args, values);
        inputs.insert(0, RowInput::Value(&first));
        exec::row_into(row, compute, &inputs, out)
    })
}

fn check_out(row: Row, x: &Tensor, all: &[Arg<'_>], plan: &Plan<'_>, key: &Key) -> Result<()> {
    let name = row.name();
    let layout = &x.0.state.get(key).layout;
    let shape = layout.shape();
    if !plan.shape.own().is_some_and(|own| own.same(layout)) {
        let sizes = plan.shape.sizes(row, all, key)?;
        if &sizes[..] != shape {
            fail!(runtime, "{name}: output with shape {shape:?} doesn't match the broadcast shape {:?}", &sizes[..]);
        }
    }
    let (from, to) = (plan.out, x.dtype());
    if from.category() > to.category() {
        fail!(
            runtime,
            "{name}: result type {} can't be cast to the desired output type {}",
            from.scalar_name(),
            to.scalar_name()
        );
    }
    Ok(())
}

fn whole(x: &Tensor) -> Op {
    let layout = x.layout();
    Op::Put(Arc::new(Region { base: layout.clone(), part: layout }))
}

impl Tensor {
    /// The value while this thread itself holds the write flag.
    fn value_unchecked(&self) -> Value {
        let guard = lock();
        let state = self.0.state.get(&guard.key);
        Value { buffer: state.cell.buffer(&guard.key).clone(), layout: state.layout.clone(), dtype: self.dtype() }
    }

    /// Overwrites the elements with those of `src`, broadcast and converted.
    pub fn copy_(&self, src: &Tensor) -> Result<()> {
        let (shape, from) = (self.shape(), src.shape());
        if layout::broadcast_shapes("copy_", &[&shape, &from]).map_or(true, |s| s != shape) {
            fail!(
                runtime,
                "copy_: The size of the source {:?} must match or broadcast to the size of the target {:?}",
                &from[..],
                &shape[..]
            );
        }
        if self.is(src) {
            if is_grad_enabled() && self.requires_grad() {
                check_taped_write(self, &mut lock())?;
            }
            return Ok(());
        }
        if self.layout().self_overlaps() {
            return Err(overlap_error());
        }
        if self.device() != src.device() && self.device().has_memory() {
            // Of a meta tensor there is nothing to move: an error that says so.
            return self.copy_(&src.to_device(self.device())?);
        }
        let args = [Arg::Tensor(src)];
        let write = Write { name: "copy_", op: whole(self), args: &args, overwrites: true, elementwise: true };
        write.run(self, &|values, out| {
            let Some(value) = &values[0] else { return Ok(()) };
            let layout = layout::expand_to(&value.layout, out.layout().shape());
            Devices.copy(wengert_ops::View { buffer: value.data()?, layout: &layout, dtype: value.dtype }, out)
        })
    }

    /// Overwrites every element with a number.
    pub fn fill_(&self, value: impl Into<Scalar>) -> Result<()> {
        let value = value.into();
        let write = Write { name: "fill_", op: whole(self), args: &[], overwrites: true, elementwise: true };
        write.run(self, &|_, out| Devices.fill(value, out))
    }

    /// Overwrites with zeros.
    pub fn zero_(&self) -> Result<()> {
        self.fill_(0i64)
    }

    /// Takes over the value and history of `result`, which a composed in-place function computed from it.
    pub fn assign_(&self, result: &Tensor) -> Result<()> {
        if result.shape() != self.shape() {
            fail!(
                runtime,
                "output with shape {:?} doesn't match the broadcast shape {:?}",
                &self.shape()[..],
                &result.shape()[..]
            );
        }
        if result.dtype().category() > self.dtype().category() {
            fail!(
                runtime,
                "result type {} can't be cast to the desired output type {}",
                result.dtype().scalar_name(),
                self.dtype().scalar_name()
            );
        }
        self.copy_(result)
    }

    /// Puts `values` at advanced indices of this tensor, or adds them there.
    pub fn index_put_(&self, dims: u64, indices: &[&Tensor], values: &Tensor, accumulate: bool) -> Result<()> {
        contract::same_dtypes("index_put", self.dtype(), values.dtype())?;
        let mut args: SmallVec<[Arg<'_>; 4]> = SmallVec::new();
        args.push(Arg::Tensor(values));
        args.extend(indices.iter().map(|i| Arg::Tensor(i)));
        let op = Op::IndexPut { dims, accumulate };
        let write = Write { name: "index_put_", op, args: &args, overwrites: false, elementwise: false };
        write.run(self, &|values, out| {
            let views = values.iter().flatten().map(|v| v.view()).collect::<Result<SmallVec<[_; 4]>>>()?;
            exec::index_put_into(dims, accumulate, &views[1..], &views[0], out)
        })
    }

    /// `torch.scatter_` and `scatter_add_`.
    pub fn scatter_(&self, mode: wengert_ops::ScatterMode, dim: usize, index: &Tensor, src: &Tensor) -> Result<()> {
        let metas = [self, index, src].map(|t| wengert_ops::Meta::new(&t.shape(), t.dtype()));
        let op = Op::Scatter { dim: dim as u8, mode };
        wengert_ops::infer::infer(&op, &metas)?;
        let args = [Arg::Tensor(index), Arg::Tensor(src)];
        let write = Write { name: "scatter_", op, args: &args, overwrites: false, elementwise: false };
        write.run(self, &|values, out| {
            let [Some(index), Some(src)] = values else { return Ok(()) };
            Devices.scatter(mode, dim, index.view()?, src.view()?, out)
        })
    }

    /// A write of numbers that come from nowhere, each its own: a place for two of them is refused.
    fn unread(&self, name: &'static str) -> Result<Write<'static>> {
        if self.layout().self_overlaps() {
            return Err(overlap_error());
        }
        Ok(Write { name, op: whole(self), args: &[], overwrites: true, elementwise: true })
    }

    /// Fills with random numbers; never taped, as in PyTorch the old value gets zeros. Other devices than the CPU draw
    /// from streams of their own, which the generator seeds anew for each call.
    pub fn random_(&self, generator: &mut wengert_cpu::random::Generator, law: wengert_ops::Random) -> Result<()> {
        let fill = std::cell::RefCell::new(generator);
        let write = self.unread("random_")?;
        write.run(self, &|_, out| Devices.random(&mut fill.borrow_mut(), law, out))
    }

    /// As [`Tensor::random_`] on a GPU, of a key that a generator has given.
    pub(crate) fn random_of_key_(&self, key: u64, law: wengert_ops::Random) -> Result<()> {
        self.unread("random_")?.run(self, &|_, out| Devices.random_of_key(key, law, out))
    }

    /// Fills a vector with a random permutation of `0..n`.
    pub fn permutation_(&self, generator: &mut wengert_cpu::random::Generator) -> Result<()> {
        let fill = std::cell::RefCell::new(generator);
        let write = self.unread("permutation_")?;
        write.run(self, &|_, out| Devices.permutation(&mut fill.borrow_mut(), out))
    }
}

/// Whether `t` may be the target of `out=`.
pub fn check_out_argument(t: &Tensor) -> Result<()> {
    if is_grad_enabled() && requires_grad(t, &lock().key) {
        fail!(
            runtime,
            "functions with out=... arguments don't support automatic differentiation, but one of the arguments requires grad."
        );
    }
    Ok(())
}
