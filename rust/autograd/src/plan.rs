//! What an elementwise operation will do, decided before anything is computed.

use crate::buffer::Device;
use crate::dispatch::{Arg, MOST};
use crate::layouts::Layouts;
use crate::lock::Key;
use crate::mode::{default_float, is_grad_enabled};
use crate::tensor::{requires_grad, Kind, Tensor};
use smallvec::SmallVec;
use wengert_ops::rows::{Class, Demand};
use wengert_ops::{fail, layout, DType, Dims, Layout, Promotion, Result, Row, Scalar};

/// Dtypes, shape, device and gradient needs of a row over operands.
pub(crate) struct Plan<'a> {
    pub compute: DType,
    pub out: DType,
    pub shape: Shape<'a>,
    pub device: Device,
    /// The bits of the operands that require grad, if the call is taped.
    pub needs: u64,
}

/// The result's shape: an operand's, or what it broadcasts to with the others, of which one that differs is known.
#[derive(Clone, Copy)]
pub(crate) struct Shape<'a> {
    one: &'a Layout,
    other: Option<&'a Layout>,
}

impl<'a> Shape<'a> {
    /// The layout whose shape it is, if it is an operand's.
    pub fn own(&self) -> Option<&'a Layout> {
        self.other.is_none().then_some(self.one)
    }

    /// The sizes, of the planned call.
    pub fn sizes(&self, row: Row, args: &[Arg<'_>], key: &Key) -> Result<Dims> {
        match self.other {
            None => Ok(Dims::from_slice(self.one.shape())),
            Some(_) => broadcast_of(row, args, key),
        }
    }

    /// The layout of a fresh result of the planned call.
    #[inline]
    pub fn layout(&self, row: Row, args: &[Arg<'_>], key: &Key, known: &mut Layouts) -> Result<Layout> {
        match self.other {
            None if self.one.is_plain() && self.one.is_forever() => Ok(self.one.clone()),
            None => known.contiguous(row.name(), self.one.shape()),
            Some(other) if args.len() == 2 => known.joint(row.name(), self.one, other),
            Some(_) => known.contiguous(row.name(), &broadcast_of(row, args, key)?),
        }
    }
}

/// Looks at the operands. Everyday ones, tensors of one float type, are decided by a few compares; the others by
/// [`promote`], which gives the same for them.
#[inline(always)]
pub(crate) fn plan<'a>(row: Row, args: &[Arg<'a>], key: &'a Key) -> Result<Plan<'a>> {
    let info = row.info();
    let mut seen: Option<(&'a Layout, Kind)> = None;
    let (mut uniform, mut other, mut needs) = (true, None, 0);
    for (i, arg) in args.iter().enumerate() {
        let Arg::Tensor(t) = *arg else { continue };
        let (state, its) = (t.0.state.get(key), t.0.kind());
        match seen {
            None => seen = Some((&state.layout, its)),
            Some((layout, kind)) => {
                uniform &= kind == its;
                if !layout.same(&state.layout) && layout.shape() != state.layout.shape() {
                    other = Some(&state.layout);
                }
            }
        }
        if requires_grad(t, key) {
            needs |= 1 << i;
        }
    }
    let Some((layout, kind)) = seen else {
        fail!(type_, "{}(): at least one argument must be a Tensor", row.name());
    };
    let (dtype, device) = (kind.dtype(), kind.device());
    let easy = uniform
        && dtype.is_float()
        && !matches!(info.class, Class::Select | Class::Bit)
        && (info.demand == Demand::Any || info.demand == Demand::NoBool && !args.iter().any(is_bool));
    let (compute, out, device) = match easy {
        true if row.is_truth() => (dtype, DType::Bool, device),
        true => (dtype, dtype, device),
        false => promote(row, args, key)?,
    };
    if needs != 0 && !(out.is_float() && is_grad_enabled()) {
        needs = 0;
    }
    let shape = Shape { one: layout, other };
    Ok(Plan { compute, out, shape, device, needs })
}

fn is_bool(arg: &Arg<'_>) -> bool {
    matches!(arg, Arg::Scalar(Scalar::Bool(_)))
}

fn broadcast_of(row: Row, args: &[Arg<'_>], key: &Key) -> Result<Dims> {
    let (mut shapes, mut count): ([&[usize]; MOST], usize) = ([&[]; MOST], 0);
    for arg in args {
        if let Arg::Tensor(t) = arg {
            shapes[count] = t.0.state.get(key).layout.shape();
            count += 1;
        }
    }
    layout::broadcast_shapes(row.name(), &shapes[..count])
}

/// The dtype to compute in, the result's dtype and its device, in full generality.
fn promote(row: Row, args: &[Arg<'_>], key: &Key) -> Result<(DType, DType, Device)> {
    let info = row.info();
    let class = info.class;
    let mut promotion = Promotion::default();
    let mut device: Option<(Device, usize)> = None;
    for (i, arg) in args.iter().enumerate() {
        match arg {
            Arg::Tensor(t) => {
                let rank = t.0.state.get(key).layout.rank();
                if !(class == Class::Select && i == 0) {
                    promotion.tensor(t.0.dtype(), rank);
                } else if t.0.dtype() != DType::Bool && t.0.dtype() != DType::U8 {
                    fail!(
                        runtime,
                        "where expected condition to be a boolean tensor, but got a tensor with dtype {}",
                        t.0.dtype()
                    );
                }
                match device {
                    Some((d, r)) if d != t.0.device() => {
                        // A 0-d CPU tensor mixes with any device, as a Python number does.
                        if d == Device::Cpu && r == 0 {
                            device = Some((t.0.device(), rank));
                        } else if !(t.0.device() == Device::Cpu && rank == 0) {
                            return Err(mixed_devices(row.name(), d, t.0.device()));
                        }
                    }
                    Some((d, r)) => device = Some((d, r.max(rank))),
                    None => device = Some((t.0.device(), rank)),
                }
            }
            Arg::Scalar(s) => {
                if !(class == Class::Select && i == 0) && info.numbers >> i & 1 == 0 {
                    promotion.scalar(*s, default_float());
                }
            }
        }
    }
    let (Some(promoted), Some((device, _))) = (promotion.result(), device) else {
        fail!(type_, "{}(): at least one argument must be a Tensor", row.name());
    };
    if info.demand != Demand::Any {
        check_demand(info.demand, row, args, key)?;
    }
    let (compute, out) = class.result(promoted, default_float(), row)?;
    Ok((compute, out, device))
}

fn check_demand(demand: Demand, row: Row, args: &[Arg<'_>], key: &Key) -> Result<()> {
    let operands: SmallVec<[(DType, bool); 4]> = args
        .iter()
        .map(|a| match a {
            Arg::Tensor(t) => (t.0.dtype(), t.0.state.get(key).layout.rank() == 0),
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
