//! How an operation runs: look at the operands, infer, compute, maybe record.

use crate::buffer::Device;
use crate::exec;
use crate::lock::{lock, Locked};
use crate::mode::{default_float, is_grad_enabled};
use crate::record::{self, Input};
use crate::rules;
use crate::tape::node::{Edge, NodeRef};
use crate::tensor::{requires_grad, Tensor};
use crate::value::Value;
use smallvec::SmallVec;
use wengert_ops::rows::{Class, Demand};
use wengert_ops::{fail, layout, Backend, DType, Layout, Op, Operand, Promotion, Result, Row, Scalar};

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

/// What an elementwise operation will do, decided before anything is computed.
pub(crate) struct Plan {
    pub compute: DType,
    pub out: DType,
    pub layout: Layout,
    pub device: Device,
    pub needs: u64,
}

/// Dtypes, shape, device and gradient needs of a row over operands.
pub(crate) fn plan(row: Row, args: &[Arg<'_>], locked: &Locked) -> Result<Plan> {
    let info = row.info();
    let class = info.class;
    let mut promotion = Promotion::default();
    let mut shape: Option<&Layout> = None;
    let mut broadcast = false;
    let mut device: Option<(Device, usize)> = None;
    let mut needs = 0;
    let taped = is_grad_enabled();
    for (i, arg) in args.iter().enumerate() {
        match arg {
            Arg::Tensor(t) => {
                let state = t.0.state.get(&locked.key);
                let rank = state.layout.rank();
                if !(class == Class::Select && i == 0) {
                    promotion.tensor(t.0.dtype(), rank);
                } else if t.0.dtype() != DType::Bool && t.0.dtype() != DType::U8 {
                    fail!(
                        runtime,
                        "where expected condition to be a boolean tensor, but got a tensor with dtype {}",
                        t.0.dtype()
                    );
                }
                match shape {
                    None => shape = Some(&state.layout),
                    Some(s) => broadcast |= !s.same(&state.layout) && s.shape() != state.layout.shape(),
                }
                match device {
                    Some((d, r)) if d != t.0.device => {
                        // A 0-d CPU tensor mixes with any device, as a Python number does.
                        if d == Device::Cpu && r == 0 {
                            device = Some((t.0.device, rank));
                        } else if !(t.0.device == Device::Cpu && rank == 0) {
                            return Err(mixed_devices(row.name(), d, t.0.device));
                        }
                    }
                    Some((d, r)) => device = Some((d, r.max(rank))),
                    None => device = Some((t.0.device, rank)),
                }
                if taped && requires_grad(t, &locked.key) {
                    needs |= 1 << i;
                }
            }
            Arg::Scalar(s) => {
                if !(class == Class::Select && i == 0) && info.numbers >> i & 1 == 0 {
                    promotion.scalar(*s, default_float());
                }
            }
        }
    }
    let (Some(promoted), Some(first), Some((device, _))) = (promotion.result(), shape, device) else {
        fail!(type_, "{}(): at least one argument must be a Tensor", row.name());
    };
    if info.demand != Demand::Any {
        check_demand(info.demand, row, args, locked)?;
    }
    let (compute, out) = class.result(promoted, default_float(), row)?;
    let layout = if broadcast {
        let shapes: SmallVec<[&[usize]; 3]> = args
            .iter()
            .filter_map(|a| match a {
                Arg::Tensor(t) => Some(t.0.state.get(&locked.key).layout.shape()),
                Arg::Scalar(_) => None,
            })
            .collect();
        Layout::checked(row.name(), &layout::broadcast_shapes(row.name(), &shapes)?)?
    } else {
        first.fresh()
    };
    if !out.is_float() {
        needs = 0;
    }
    Ok(Plan { compute, out, layout, device, needs })
}

fn check_demand(demand: Demand, row: Row, args: &[Arg<'_>], locked: &Locked) -> Result<()> {
    let operands: SmallVec<[(DType, bool); 4]> = args
        .iter()
        .map(|a| match a {
            Arg::Tensor(t) => (t.0.dtype(), t.0.state.get(&locked.key).layout.rank() == 0),
            Arg::Scalar(s) => (s.default_dtype(default_float()), true),
        })
        .collect();
    demand.check(row, &operands)
}

#[cold]
pub(crate) fn mixed_devices(op: &str, a: Device, b: Device) -> wengert_ops::Error {
    wengert_ops::Error::runtime(format!(
        "{op}: Expected all tensors to be on the same device, but found at least two devices, {a} and {b}! Move one with .to(\"{a}\")"
    ))
}

/// Whether numbers and 0-d tensors, which do not widen the common dtype, fit in it.
#[inline]
pub(crate) fn fit(row: Row, args: &[Arg<'_>], compute: DType) -> bool {
    // Bounds beyond the type are no bounds.
    let bounds = matches!(row, Row::Clamp | Row::ClampTensor);
    if bounds || compute.is_float() || compute == DType::I64 || compute == DType::Bool {
        return true;
    }
    let Some((low, high)) = compute.iinfo() else { return true };
    args.iter().all(|a| match a {
        Arg::Scalar(Scalar::Int(i)) => (low..=high).contains(i),
        Arg::Scalar(_) => true,
        Arg::Tensor(t) => t.0.dtype() == compute || t.0.dtype().iinfo().is_none_or(|(l, h)| low <= l && h <= high),
    })
}

/// The call with those operands cut to the width of the common dtype, as PyTorch casts them.
#[cold]
pub(crate) fn with_cut<R>(
    row: Row,
    args: &[Arg<'_>],
    compute: DType,
    call: impl FnOnce(&[Arg<'_>]) -> Result<R>,
) -> Result<R> {
    let cast = args
        .iter()
        .map(|a| match a {
            Arg::Tensor(t) if !fit(row, std::slice::from_ref(a), compute) => t.to_dtype(compute).map(Some),
            _ => Ok(None),
        })
        .collect::<Result<SmallVec<[Option<Tensor>; 3]>>>()?;
    let (low, high) = compute.iinfo().unwrap_or((i64::MIN, i64::MAX));
    let cut: SmallVec<[Arg<'_>; 3]> = args
        .iter()
        .zip(&cast)
        .map(|(a, c)| match (a, c) {
            (_, Some(t)) => Arg::Tensor(t),
            (Arg::Scalar(Scalar::Int(i)), _) => {
                let width = i128::from(high) - i128::from(low) + 1;
                let i = (i128::from(*i) - i128::from(low)).rem_euclid(width) + i128::from(low);
                Arg::Scalar(Scalar::Int(i as i64))
            }
            _ => *a,
        })
        .collect();
    call(&cut)
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
    let mut guard = lock();
    if let Some((out, node)) = quick(row, args, &mut guard)? {
        drop(guard);
        return Ok(match node {
            Some(node) => Tensor::with_edge(out, Edge::Node(node)),
            None => Tensor::from_value(out),
        });
    }
    let plan = plan(row, args, &guard)?;
    if !fit(row, args, plan.compute) {
        drop(guard);
        return with_cut(row, args, plan.compute, |args| self::row(row, args));
    }
    let n = plan.layout.numel();
    if n <= SMALL && plan.device == Device::Cpu {
        if let Some(out) = run_small(row, args, &plan, &guard)? {
            if plan.needs == 0 {
                drop(guard);
                return Ok(Tensor::from_value(out));
            }
            let node = record::row(row, args, plan.needs, &out, &mut guard)?;
            drop(guard);
            return Ok(Tensor::with_edge(out, Edge::Node(node)));
        }
    }
    drop(guard);
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
    let out = exec::row(row, plan.compute, plan.out, &plan.layout, plan.device, &operands)?;
    drop(operands);
    if plan.needs == 0 {
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
        let node = record::prepare(Op::Row(row), 0, plan.needs, &inputs, (out.layout.clone(), out.dtype), &mut guard)?;
        record::push(node, plan.needs, &[&out], &mut guard)
    };
    Ok(Tensor::with_edge(out, Edge::Node(node)))
}

/// The everyday case, decided by a few compares: one or two operands, few elements, one shape and one of the two
/// float types that need no conversion. `None` sends everything else the general way, which gives the same.
#[inline]
fn quick(row: Row, args: &[Arg<'_>], locked: &mut Locked) -> Result<Option<(Value, Option<NodeRef>)>> {
    let info = row.info();
    let plain = matches!(info.class, Class::Arith | Class::Float) && info.numbers == 0 && info.demand == Demand::Any;
    if args.len() > 2 || !plain {
        return Ok(None);
    }
    let key = &locked.key;
    let mut operands = [Operand::Scalar(Scalar::Int(0)); 2];
    let mut first: Option<(&Layout, DType)> = None;
    let mut needs = 0;
    for (i, (arg, operand)) in args.iter().zip(&mut operands).enumerate() {
        *operand = match arg {
            Arg::Tensor(t) => {
                let (state, dtype) = (t.0.state.get(key), t.0.dtype());
                match first {
                    None if matches!(dtype, DType::F32 | DType::F64) && state.layout.numel() <= SMALL => {
                        first = Some((&state.layout, dtype))
                    }
                    Some((l, d)) if d == dtype && (l.same(&state.layout) || l.shape() == state.layout.shape()) => {}
                    _ => return Ok(None),
                }
                let buffer = state.cell.buffer(key);
                let (Some(host), false) = (buffer.host(), buffer.is_writing()) else { return Ok(None) };
                if requires_grad(t, key) {
                    needs |= 1 << i;
                }
                Operand::Array(wengert_ops::View { buffer: host, layout: &state.layout, dtype })
            }
            Arg::Scalar(s) => Operand::Scalar(*s),
        };
    }
    let Some((layout, dtype)) = first else { return Ok(None) };
    let out = Value::empty(Device::Cpu, layout.fresh(), dtype)?;
    // SAFETY: `out` is fresh.
    wengert_cpu::Cpu.elementwise(row, dtype.compute(), &operands[..args.len()], unsafe { out.view_mut()? })?;
    if needs == 0 || !is_grad_enabled() {
        return Ok(Some((out, None)));
    }
    let node = record::row(row, args, needs, &out, locked)?;
    Ok(Some((out, Some(node))))
}

/// The kernel on operands borrowed under the lock; `None` if one of them is being written.
#[inline]
fn run_small(row: Row, args: &[Arg<'_>], plan: &Plan, locked: &Locked) -> Result<Option<Value>> {
    let key = &locked.key;
    let mut expanded: SmallVec<[Option<Layout>; 3]> = SmallVec::new();
    for arg in args {
        expanded.push(match arg {
            Arg::Tensor(t) => {
                let l = &t.0.state.get(key).layout;
                (!l.same(&plan.layout) && l.shape() != plan.layout.shape())
                    .then(|| layout::expand_to(l, plan.layout.shape()))
            }
            Arg::Scalar(_) => None,
        });
    }
    let mut operands: SmallVec<[Operand<'_, wengert_cpu::Buffer>; 3]> = SmallVec::new();
    for (arg, layout) in args.iter().zip(&expanded) {
        operands.push(match arg {
            Arg::Tensor(t) => {
                let state = t.0.state.get(key);
                let buffer = state.cell.buffer(key);
                if buffer.is_writing() {
                    return Ok(None);
                }
                let Some(host) = buffer.host() else { return Ok(None) };
                Operand::Array(wengert_ops::View {
                    buffer: host,
                    layout: layout.as_ref().unwrap_or(&state.layout),
                    dtype: t.0.dtype(),
                })
            }
            Arg::Scalar(s) => Operand::Scalar(*s),
        });
    }
    let out = Value::empty(Device::Cpu, plan.layout.clone(), plan.out)?;
    // SAFETY: `out` is fresh.
    wengert_cpu::Cpu.elementwise(row, plan.compute.compute(), &operands, unsafe { out.view_mut()? })?;
    Ok(Some(out))
}

/// Runs any operation over tensors and records it if something requires grad.
pub fn apply(op: Op, inputs: &[&Tensor]) -> Result<SmallVec<[Tensor; 2]>> {
    apply_labelled(op, inputs, 0)
}

/// The only output of an operation.
pub fn apply1(op: Op, inputs: &[&Tensor]) -> Result<Tensor> {
    let mut out = apply(op, inputs)?;
    out.truncate(1);
    match out.pop() {
        Some(t) => Ok(t),
        None => fail!(internal, "an operation gave no output"),
    }
}

pub(crate) fn apply_labelled(op: Op, inputs: &[&Tensor], label: u16) -> Result<SmallVec<[Tensor; 2]>> {
    if let Op::View(view) = &op {
        return Ok(SmallVec::from_iter([crate::views::view(inputs[0], (**view).clone())?]));
    }
    let values: SmallVec<[Value; 3]> = inputs.iter().map(|t| t.value()).collect();
    if let Some(other) = values.iter().find(|v| v.device() != values[0].device()) {
        return Err(mixed_devices(
            &crate::tape::labels::name(&op, 0).replace("Backward0", ""),
            values[0].device(),
            other.device(),
        ));
    }
    let outputs = exec::run(&op, &values)?;
    record_outputs(op, label, inputs, values, outputs)
}

/// Tapes computed outputs as the results of `op`.
pub(crate) fn record_outputs(
    op: Op,
    label: u16,
    inputs: &[&Tensor],
    values: SmallVec<[Value; 3]>,
    outputs: SmallVec<[Value; 2]>,
) -> Result<SmallVec<[Tensor; 2]>> {
    let differentiable = |v: &Value| v.dtype.is_float();
    if !is_grad_enabled() || !rules::differentiable(&op) || !outputs.iter().any(differentiable) {
        return Ok(outputs.into_iter().map(Tensor::from_value).collect());
    }
    let mut guard = lock();
    let needs = record::needs(inputs.iter().map(|t| Some(*t)), &guard);
    if needs == 0 {
        drop(guard);
        return Ok(outputs.into_iter().map(Tensor::from_value).collect());
    }
    let recorded: SmallVec<[Input<'_>; 3]> = inputs.iter().zip(values).map(|(t, v)| Input::Tensor(t, v)).collect();
    let first = (outputs[0].layout.clone(), outputs[0].dtype);
    let node = record::prepare(op, label, needs, &recorded, first, &mut guard)?;
    let views: SmallVec<[&Value; 2]> = outputs.iter().collect();
    let node = record::push(node, needs, &views, &mut guard);
    drop(views);
    let mut holders = 0;
    let results = outputs
        .into_iter()
        .enumerate()
        .map(|(k, v)| {
            if differentiable(&v) {
                holders += 1;
                Tensor::with_edge(v, Edge::Node(node.with_output(k as u16)))
            } else {
                Tensor::from_value(v)
            }
        })
        .collect();
    for _ in 1..holders {
        guard.tape.hold(node);
    }
    drop(guard);
    Ok(results)
}
