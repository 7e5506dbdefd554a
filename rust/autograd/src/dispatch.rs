//! How an operation runs: look at the operands, infer, compute, maybe record.

use crate::buffer::Device;
use crate::exec;
use crate::lock::{lock, Key};
use crate::mode::is_grad_enabled;
use crate::plan::{fit, mixed_devices, plan, with_cut, Plan};
use crate::record::{self, Input};
use crate::rules;
use crate::tape::node::Edge;
use crate::tensor::Tensor;
use crate::value::Value;
use smallvec::SmallVec;
use wengert_cpu::elementwise::{elementwise_short, SHORT};
use wengert_cpu::Buffer;
use wengert_ops::{DType, Error, Layout, Op, Operand, Result, Row, Scalar, View, ViewMut};

/// An operand of an elementwise operation.
#[derive(Clone, Copy)]
pub enum Arg<'a> {
    Tensor(&'a Tensor),
    Scalar(Scalar),
}

impl<'a> From<&'a Tensor> for Arg<'a> {
    fn from(t: &'a Tensor) -> Self {
        Arg::Tensor(t)
    }
}
impl From<Scalar> for Arg<'_> {
    fn from(s: Scalar) -> Self {
        Arg::Scalar(s)
    }
}
impl From<f64> for Arg<'_> {
    fn from(s: f64) -> Self {
        Arg::Scalar(Scalar::Float(s))
    }
}
impl From<i64> for Arg<'_> {
    fn from(s: i64) -> Self {
        Arg::Scalar(Scalar::Int(s))
    }
}

/// Up to this many elements a kernel runs inside the lock, on borrowed operands: cheaper than counting.
pub(crate) const SMALL: usize = 1024;

/// An expression over the operands of a row as an array, compiled for each number of them: loops over so few took as long
/// as their bodies.
macro_rules! by_number {
    ($row:expr, $args:expr, $operands:ident => $call:expr) => {{
        const { assert!(MOST == 4) };
        if let Ok($operands) = <&[Arg<'_>; 2]>::try_from($args) {
            $call
        } else if let Ok($operands) = <&[Arg<'_>; 1]>::try_from($args) {
            $call
        } else if let Ok($operands) = <&[Arg<'_>; 3]>::try_from($args) {
            $call
        } else if let Ok($operands) = <&[Arg<'_>; 4]>::try_from($args) {
            $call
        } else {
            Err(Error::internal(format!("{} was given {} operands", $row.name(), $args.len())))
        }
    }};
}

/// Runs a row and records it.
///
/// ```
/// use wengert::{row, Row, Tensor};
/// let x = Tensor::from_f32(&[0.0, 1.0], &[2]).unwrap();
/// let y = row(Row::Add, &[(&x).into(), 1.0.into()]).unwrap();
/// assert_eq!(y.to_vec_f64().unwrap(), [1.0, 2.0]);
/// ```
pub fn row(row: Row, args: &[Arg<'_>]) -> Result<Tensor> {
    by_number!(row, args, operands => row_of(row, operands))
}

fn row_of<const N: usize>(row: Row, args: &[Arg<'_>; N]) -> Result<Tensor> {
    let mut guard = lock();
    let locked = &mut *guard;
    let Plan { compute, out, shape, device, needs } = plan(row, args, &locked.key)?;
    if !fit(row, args, compute) {
        drop(guard);
        return with_cut(row, args, compute, |args| self::row(row, args));
    }
    let layout = shape.layout(row, args, &locked.key, &mut locked.layouts)?;
    if layout.numel() <= SMALL && device == Device::Cpu {
        let Some(operands) = borrowed(args, &locked.key) else {
            drop(guard);
            return large(row, args, compute, out, layout, device, needs);
        };
        let out = Value::empty(Device::Cpu, layout, out)?;
        // SAFETY: `out` is fresh.
        small_row(row, compute, &operands, unsafe { out.host_mut()? })?;
        if needs == 0 {
            drop(guard);
            return Ok(Tensor::from_value(out));
        }
        let node = record::row(row, args, needs, &out, locked)?;
        drop(guard);
        return Ok(Tensor::with_edge(out, Edge::Node(node)));
    }
    drop(guard);
    large(row, args, compute, out, layout, device, needs)
}

/// The kernel over operands that broadcast to the output.
#[inline]
pub(crate) fn small_row<const N: usize>(
    row: Row,
    compute: DType,
    operands: &[Cpus<'_>; N],
    out: ViewMut<'_, Buffer>,
) -> Result<()> {
    if out.layout().numel() <= SHORT && elementwise_short(row, compute.compute(), operands, &out)? {
        return Ok(());
    }
    exec::row_over(row, compute, operands, out)
}

pub(crate) type Cpus<'a> = Operand<'a, Buffer>;
pub(crate) use wengert_ops::rows::MOST_INPUTS as MOST;

/// The operands as they lie in host memory; `None` if one of them is elsewhere or being written.
#[inline(always)]
pub(crate) fn borrowed<'a, const N: usize>(args: &[Arg<'a>; N], key: &'a Key) -> Option<[Cpus<'a>; N]> {
    let mut operands = [Operand::Scalar(Scalar::Int(0)); N];
    for (arg, operand) in args.iter().zip(&mut operands) {
        *operand = match *arg {
            Arg::Tensor(t) => {
                let state = t.0.state.get(key);
                let buffer = state.cell.buffer(key);
                let (Some(host), false) = (buffer.host(), buffer.is_writing()) else { return None };
                Operand::Array(View { buffer: host, layout: &state.layout, dtype: t.0.dtype() })
            }
            Arg::Scalar(s) => Operand::Scalar(s),
        };
    }
    Some(operands)
}

/// Runs a row on operands borrowed under the lock; `false`, with nothing done, if one of them cannot be.
pub(crate) fn on_borrowed(
    row: Row,
    compute: DType,
    args: &[Arg<'_>],
    key: &Key,
    out: ViewMut<'_, Buffer>,
) -> Result<bool> {
    by_number!(row, args, args => {
        let Some(operands) = borrowed(args, key) else { return Ok(false) };
        small_row(row, compute, &operands, out).map(|()| true)
    })
}

/// A planned row over values taken out of the lock.
fn large(
    row: Row,
    args: &[Arg<'_>],
    compute: DType,
    out: DType,
    layout: Layout,
    device: Device,
    needs: u64,
) -> Result<Tensor> {
    let values: SmallVec<[Option<Value>; 3]> = args
        .iter()
        .map(|a| match a {
            Arg::Tensor(t) => Some(t.value()),
            Arg::Scalar(_) => None,
        })
        .collect();
    let operands: SmallVec<[exec::RowInput<'_>; 3]> = args
        .iter()
        .zip(&values)
        .map(|(a, v)| match (a, v) {
            (_, Some(v)) => exec::RowInput::Value(v),
            (Arg::Scalar(s), None) => exec::RowInput::Scalar(*s),
            (Arg::Tensor(_), None) => exec::RowInput::Scalar(Scalar::Int(0)),
        })
        .collect();
    let out = exec::row(row, compute, out, &layout, device, &operands)?;
    drop(operands);
    if needs == 0 {
        return Ok(Tensor::from_value(out));
    }
    let inputs: SmallVec<[Input<'_>; 3]> = args
        .iter()
        .zip(values)
        .map(|(a, v)| match (a, v) {
            (Arg::Tensor(t), Some(v)) => Input::Tensor(t, v),
            (Arg::Scalar(s), _) => Input::Scalar(*s),
            (Arg::Tensor(_), None) => Input::Scalar(Scalar::Int(0)),
        })
        .collect();
    let node = {
        let mut guard = lock();
        let node = record::prepare(Op::Row(row), 0, needs, &inputs, (out.layout.clone(), out.dtype), &mut guard)?;
        record::push(node, needs, std::slice::from_ref(&out), &mut guard)
    };
    Ok(Tensor::with_edge(out, Edge::Node(node)))
}

/// Runs any operation over tensors and records it if something requires grad.
pub fn apply(op: Op, inputs: &[&Tensor]) -> Result<SmallVec<[Tensor; 2]>> {
    apply_labelled(op, inputs, 0)
}

/// The only output of an operation, or its first.
pub fn apply1(op: Op, inputs: &[&Tensor]) -> Result<Tensor> {
    if let Op::View(view) = &op {
        return crate::views::view(inputs[0], (**view).clone());
    }
    let (values, needs, outputs) = computed(&op, inputs)?;
    if needs == 0 {
        return first(outputs).map(Tensor::from_value);
    }
    first(record_outputs(op, 0, inputs, values, outputs)?)
}

fn first<A: smallvec::Array>(outputs: SmallVec<A>) -> Result<A::Item> {
    outputs.into_iter().next().ok_or_else(|| Error::internal("an operation gave no output"))
}

pub(crate) fn apply_labelled(op: Op, inputs: &[&Tensor], label: u16) -> Result<SmallVec<[Tensor; 2]>> {
    if let Op::View(view) = &op {
        return Ok(SmallVec::from_iter([crate::views::view(inputs[0], (**view).clone())?]));
    }
    let (values, needs, outputs) = computed(&op, inputs)?;
    if needs == 0 {
        return Ok(outputs.into_iter().map(Tensor::from_value).collect());
    }
    record_outputs(op, label, inputs, values, outputs)
}

/// The operands' values, which of them require grad, and the operation's outputs.
fn computed(op: &Op, inputs: &[&Tensor]) -> Result<(SmallVec<[Value; 3]>, u64, exec::Outputs)> {
    let (values, needs) = taken(inputs);
    let first = values[0].device();
    if let Some(other) = values.iter().find(|v| v.device() != first) {
        return Err(mixed_devices(wengert_ops::infer::op_name(op), first, other.device()));
    }
    let outputs = exec::run(op, &values)?;
    Ok((values, needs, outputs))
}

/// The operands' values and which of them require grad (none if nothing is taped), in one hold of the lock.
pub(crate) fn taken(inputs: &[&Tensor]) -> (SmallVec<[Value; 3]>, u64) {
    loop {
        {
            let guard = lock();
            let mut values = SmallVec::new();
            for t in inputs {
                // Somebody is writing to it otherwise.
                let Some(value) = t.try_value(&guard.key) else { break };
                values.push(value);
            }
            if values.len() == inputs.len() {
                let needs = record::needs(inputs.iter().map(|t| Some(*t)), &guard);
                drop(guard);
                return (values, if needs != 0 && is_grad_enabled() { needs } else { 0 });
            }
        }
        std::thread::yield_now();
    }
}

/// Tapes computed outputs as the results of `op`.
// Within its callers it would slow down what is not taped.
#[inline(never)]
pub(crate) fn record_outputs(
    op: Op,
    label: u16,
    inputs: &[&Tensor],
    values: SmallVec<[Value; 3]>,
    outputs: SmallVec<[Value; 2]>,
) -> Result<SmallVec<[Tensor; 2]>> {
    let differentiable = |v: &Value| v.dtype.is_float();
    // What is not saved goes at the end, without the lock.
    let mut held: SmallVec<[Option<Value>; 3]> = SmallVec::new();
    for v in values {
        held.push(Some(v));
    }
    if !is_grad_enabled() || !rules::differentiable(&op) || !outputs.iter().any(differentiable) {
        return Ok(outputs.into_iter().map(Tensor::from_value).collect());
    }
    let mut guard = lock();
    let needs = record::needs(inputs.iter().map(|t| Some(*t)), &guard);
    if needs == 0 {
        drop(guard);
        return Ok(outputs.into_iter().map(Tensor::from_value).collect());
    }
    let node = record::results(op, label, needs, inputs, &mut held, &outputs, &mut guard)?;
    let mut holders = 0;
    let mut results = SmallVec::new();
    for (k, v) in outputs.into_iter().enumerate() {
        results.push(if differentiable(&v) {
            holders += 1;
            Tensor::with_edge(v, Edge::Node(node.with_output(k as u16)))
        } else {
            Tensor::from_value(v)
        });
    }
    for _ in 1..holders {
        guard.tape.hold(node);
    }
    drop(guard);
    Ok(results)
}
