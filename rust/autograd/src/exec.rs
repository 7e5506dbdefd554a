//! Evaluation of operations on values, without history: the one place that calls a backend.

use crate::buffer::{Data, Device};
use crate::devices::{each, Devices};
use crate::layouts::Results;
use crate::lock::lock;
use crate::mode::default_float;
use crate::region::{self, Places};
use crate::tensor::Tensor;
use crate::value::{self, Value};
use smallvec::SmallVec;
use wengert_ops::{
    fail, infer, layout, Backend, DType, Error, ErrorKind, Layout, Meta, Op, Operand, Region, Result, Row, Scalar,
    View, ViewMut,
};

pub(crate) type Outputs = SmallVec<[Value; 2]>;

/// An operand of a row at value level.
#[derive(Clone, Copy)]
pub(crate) enum RowInput<'a> {
    Value(&'a Value),
    Scalar(Scalar),
}

/// The layout under which an input has a shape, if its own is another.
pub(crate) fn expanded(input: &RowInput<'_>, shape: &Layout) -> Option<Layout> {
    match input {
        RowInput::Value(v) if v.layout.shape() != shape.shape() => Some(layout::expand_to(&v.layout, shape.shape())),
        _ => None,
    }
}

fn operand<'a>(input: &RowInput<'a>, layout: &'a Option<Layout>, device: Device) -> Result<Operand<'a, Data>> {
    Ok(match input {
        RowInput::Scalar(s) => Operand::Scalar(*s),
        // A 0-d host value among operands of another device is a number to them.
        RowInput::Value(v) if v.device() == Device::Cpu && device != Device::Cpu => {
            Operand::Scalar(value::first(&v.buffer, &v.layout, v.dtype)?)
        }
        RowInput::Value(v) => {
            Operand::Array(View { buffer: v.data()?, layout: layout.as_ref().unwrap_or(&v.layout), dtype: v.dtype })
        }
    })
}

/// Says which op there was no memory for.
#[cold]
fn in_op(e: Error, name: &str) -> Error {
    match e.kind() {
        ErrorKind::Memory => e.context(name),
        _ => e,
    }
}

/// A row into a fresh result.
pub(crate) fn row(
    row: Row,
    compute: DType,
    out: DType,
    shape: &Layout,
    device: Device,
    inputs: &[RowInput<'_>],
) -> Result<Value> {
    let result = Value::empty(device, shape.clone(), out).map_err(|e| in_op(e, row.name()))?;
    if device.has_memory() {
        // SAFETY: `result` is fresh.
        row_into(row, compute, inputs, unsafe { result.view_mut()? }).map_err(|e| in_op(e, row.name()))?;
    }
    Ok(result)
}

/// A row into given elements.
pub(crate) fn row_into(row: Row, compute: DType, inputs: &[RowInput<'_>], out: ViewMut<'_, Data>) -> Result<()> {
    let layouts: SmallVec<[Option<Layout>; 3]> = inputs.iter().map(|i| expanded(i, out.layout())).collect();
    let device = out.buffer().device();
    let operands =
        inputs.iter().zip(&layouts).map(|(i, l)| operand(i, l, device)).collect::<Result<SmallVec<[_; 3]>>>()?;
    Devices.elementwise(row, compute.compute(), &operands, out)
}

/// A row over borrowed host operands that broadcast to the output.
pub(crate) fn row_over(
    row: Row,
    compute: DType,
    operands: &[Operand<'_, wengert_cpu::Buffer>],
    out: ViewMut<'_, wengert_cpu::Buffer>,
) -> Result<()> {
    let shape = out.layout().shape();
    let layouts: SmallVec<[Option<Layout>; 4]> = operands
        .iter()
        .map(|o| match o {
            Operand::Array(v) if v.layout.shape() != shape => Some(layout::expand_to(v.layout, shape)),
            _ => None,
        })
        .collect();
    let mut expanded: SmallVec<[Operand<'_, wengert_cpu::Buffer>; 4]> = SmallVec::from_slice(operands);
    for (operand, layout) in expanded.iter_mut().zip(&layouts) {
        if let (Operand::Array(v), Some(layout)) = (operand, layout) {
            v.layout = layout;
        }
    }
    wengert_cpu::Cpu.elementwise(row, compute.compute(), &expanded, out)
}

/// `g · ∂row/∂inputs[which]` into a fresh result of the output's shape.
pub(crate) fn row_vjp(
    row: Row,
    which: usize,
    inputs: &[RowInput<'_>],
    y: RowInput<'_>,
    g: &Value,
    shape: &Layout,
    dtype: DType,
) -> Result<Value> {
    let result =
        Value::empty(g.device(), shape.fresh(), dtype).map_err(|e| in_op(e, &format!("{}'s gradient", row.name())))?;
    if g.device().has_memory() {
        let layouts: SmallVec<[Option<Layout>; 3]> = inputs.iter().map(|i| expanded(i, shape)).collect();
        let device = g.device();
        let operands =
            inputs.iter().zip(&layouts).map(|(i, l)| operand(i, l, device)).collect::<Result<SmallVec<[_; 3]>>>()?;
        let g_input = RowInput::Value(g);
        let (y_layout, g_layout) = (expanded(&y, shape), expanded(&g_input, shape));
        let (y, g) = (operand(&y, &y_layout, device)?, operand(&g_input, &g_layout, device)?);
        // SAFETY: `result` is fresh.
        Devices.elementwise_vjp(row, which, dtype.compute(), &operands, y, g, unsafe { result.view_mut()? })?;
    }
    Ok(result)
}

/// The row-major layout of a shape, shared with other results of that shape.
pub(crate) fn known_layout(shape: &[usize]) -> Result<Layout> {
    lock().layouts.contiguous("empty", shape)
}

/// Layouts and dtypes of an operation's results.
fn results(op: &Op, inputs: &[Value]) -> Result<Results> {
    // Regions hardly ever come again; long lists of inputs would take long to compare.
    let lasting = inputs.len() <= 8 && !matches!(op, Op::Put(_) | Op::Take(_));
    if lasting {
        if let Some(known) = lock().layouts.inferred(op, inputs) {
            return Ok(known.clone());
        }
    }
    let metas = infer::infer(op, &each::<_, _, [Meta; 3]>(inputs, |v| Ok(Meta::new(v.layout.shape(), v.dtype)))?)?;
    let mut found = Results::new();
    for m in &metas {
        found.push((known_layout(&m.shape)?, m.dtype));
    }
    if lasting {
        lock().layouts.remember(op, inputs, &found);
    }
    Ok(found)
}

/// Runs a structural or fused operation (or a row over values of its promoted dtype).
pub(crate) fn run(op: &Op, inputs: &[Value]) -> Result<Outputs> {
    let device = inputs.first().map_or(Device::Cpu, |v| v.device());
    if let Op::View(view) = op {
        return Ok(SmallVec::from_iter([inputs[0].with_layout(view.apply(&inputs[0].layout)?)]));
    }
    if let Op::To { to, .. } = op {
        return Ok(SmallVec::from_iter([inputs[0].moved(*to)?]));
    }
    if let Op::Custom(_) = op {
        fail!(internal, "a custom op is run by its own apply");
    }
    let mut outputs = Outputs::new();
    for (layout, dtype) in results(op, inputs)? {
        outputs.push(Value::empty(device, layout, dtype).map_err(|e| in_op(e, infer::op_name(op)))?);
    }
    if device.has_memory() && !kernel(op, inputs, &outputs).map_err(|e| in_op(e, infer::op_name(op)))? {
        let tensors: SmallVec<[Tensor; 3]> = inputs.iter().map(|v| Tensor::from_value(v.clone())).collect();
        let refs: SmallVec<[&Tensor; 3]> = tensors.iter().collect();
        let _off = crate::mode::GradMode::set(false);
        let results = crate::rules::definition(op, &refs)?;
        return Ok(results.iter().map(|t| t.value()).collect());
    }
    Ok(outputs)
}

/// Runs the kernel into fresh outputs; `false` where there is only a definition.
fn kernel(op: &Op, inputs: &[Value], outputs: &[Value]) -> Result<bool> {
    let views: SmallVec<[_; 3]> = each(inputs, Value::view)?;
    // SAFETY: the outputs were allocated by the caller for this call.
    let outs = || each::<_, _, [_; 2]>(outputs, |v| unsafe { v.view_mut() });
    let mut rest = outputs.iter();
    let mut next = || match rest.next() {
        // SAFETY: as above.
        Some(v) => unsafe { v.view_mut() },
        None => Err(wengert_ops::Error::internal("an output is missing")),
    };
    match op {
        Op::Row(row) => {
            let (compute, _) =
                row.info().class.result(inputs.last().map_or(DType::F32, |v| v.dtype), default_float(), *row)?;
            let rows: SmallVec<[RowInput<'_>; 3]> = inputs.iter().map(RowInput::Value).collect();
            row_into(*row, compute, &rows, next()?)?;
        }
        Op::Cast(_) => Devices.copy(views[0], next()?)?,
        Op::View(_) | Op::To { .. } | Op::Custom(_) => return Ok(false),
        Op::Pad(pads) => {
            let whole = next()?;
            Devices.fill(Scalar::Int(0), ViewMutCopy::of(&whole))?;
            let inner = inner_layout(whole.layout(), pads, views[0].layout.shape());
            // SAFETY: part of the same fresh output, after the fill.
            Devices.copy(views[0], unsafe { ViewMut::new(whole.buffer(), &inner, whole.dtype()) })?;
        }
        Op::Cat { dim } => {
            let whole = next()?;
            let mut at = 0;
            for (v, value) in views.iter().zip(inputs) {
                if value.layout.rank() == 1 && value.layout.numel() == 0 {
                    continue;
                }
                let len = v.layout.shape()[*dim as usize];
                let part =
                    wengert_ops::ViewOp::Slice { dim: *dim as usize, start: at, step: 1, len }.apply(whole.layout())?;
                at += len;
                // SAFETY: disjoint parts of the fresh output, one after another.
                Devices.copy(*v, unsafe { ViewMut::new(whole.buffer(), &part, whole.dtype()) })?;
            }
        }
        Op::Reduce { kind, dims, .. } => Devices.reduce(*kind, views[0], *dims, next()?)?,
        Op::ArgReduce { kind, dim, .. } => {
            let flat;
            let (x, dim) = match dim {
                Some(d) if inputs[0].layout.rank() > 0 => (views[0], *d as usize),
                _ => {
                    flat = inputs[0].contiguous()?;
                    let layout = Layout::strided(
                        SmallVec::from_slice(&[flat.layout.numel()]),
                        SmallVec::from_slice(&[1]),
                        flat.layout.offset(),
                    );
                    let view = flat.with_layout(layout);
                    Devices.extreme(*kind, view.view()?, 0, None, Some(next()?))?;
                    return Ok(true);
                }
            };
            Devices.extreme(*kind, x, dim, None, Some(next()?))?;
        }
        Op::Extreme { kind, dim, .. } => {
            let (values, indices) = (next()?, next()?);
            Devices.extreme(*kind, views[0], *dim as usize, Some(values), Some(indices))?;
        }
        Op::Scan { kind, dim, reverse } => Devices.scan(*kind, views[0], *dim as usize, *reverse, next()?)?,
        Op::Matmul => {
            let out = next()?;
            let rank = out.layout().rank();
            let batch = &out.layout().shape()[..rank - 2];
            let (a, b) = (batched(views[0].layout, batch), batched(views[1].layout, batch));
            Devices.matmul(View { layout: &a, ..views[0] }, View { layout: &b, ..views[1] }, false, out)?;
        }
        Op::Gather { dim } => Devices.gather(views[0], *dim as usize, views[1], next()?)?,
        Op::Scatter { dim, mode } => {
            let out = next()?;
            Devices.copy(views[0], ViewMutCopy::of(&out))?;
            Devices.scatter(*mode, *dim as usize, views[1], views[2], out)?;
        }
        Op::Index { dims } => {
            let indices = expand_indices(&views[1..])?;
            let views_i = with_layouts(&views[1..], &indices);
            Devices.index(views[0], *dims, &views_i, next()?)?;
        }
        Op::IndexPut { dims, accumulate } => {
            let out = next()?;
            Devices.copy(views[0], ViewMutCopy::of(&out))?;
            index_put_into(*dims, *accumulate, &views[2..], &views[1], out)?;
        }
        Op::Sort { dim, descending } => {
            let (values, indices) = (next()?, next()?);
            Devices.sort(views[0], *dim as usize, *descending, values, indices)?;
        }
        Op::TopK { dim, largest, .. } => {
            let (values, indices) = (next()?, next()?);
            Devices.sort(views[0], *dim as usize, *largest, values, indices)?;
        }
        Op::Put(region) => {
            let out = next()?;
            Devices.copy(views[0], ViewMutCopy::of(&out))?;
            let value = layout::expand_to(views[1].layout, region.part.shape());
            let value = View { layout: &value, ..views[1] };
            match region::relative(region) {
                // SAFETY: part of the fresh output, which has the base's shape (`infer` compares them), after the copy.
                Some(part) => Devices.copy(value, unsafe { ViewMut::new(out.buffer(), &part, out.dtype()) })?,
                None => {
                    let at = numbers(&region::places_inside(region)?, region)?.moved(inputs[0].device())?;
                    let flat = Layout::contiguous(&[out.layout().numel()]);
                    // SAFETY: the fresh output, after the copy; the kernel checks the indices.
                    let flat = unsafe { ViewMut::new(out.buffer(), &flat, out.dtype()) };
                    index_put_into(1, false, &[at.view()?], &value, flat)?;
                }
            }
        }
        Op::Take(region) => {
            let base = inputs[0].contiguous()?;
            match region::relative(region) {
                Some(part) => {
                    let part = shifted(&part, base.layout.offset());
                    Devices.copy(View { buffer: base.data()?, layout: &part, dtype: base.dtype }, next()?)?;
                }
                None => {
                    let at = numbers(&region::places_inside(region)?, region)?.moved(base.device())?;
                    let flat = shifted(&Layout::contiguous(&[base.layout.numel()]), base.layout.offset());
                    Devices.index(base.with_layout(flat).view()?, 1, &[at.view()?], next()?)?;
                }
            }
        }
        Op::Conv { role, spec } => Devices.conv(*role, spec, views[0], views[1], next()?)?,
        Op::MaxPool(spec) => {
            let (values, indices) = (next()?, next()?);
            Devices.max_pool(spec, views[0], values, indices)?;
        }
        Op::Linalg(op @ (wengert_ops::Linalg::Solve | wengert_ops::Linalg::SolveTriangular { .. })) => {
            let all = outs()?;
            let batch = &all[0].layout().shape()[..all[0].layout().rank() - 2];
            let layouts: SmallVec<[Layout; 2]> = views.iter().map(|v| batched(v.layout, batch)).collect();
            let expanded = with_layouts(&views, &layouts);
            Devices.linalg(*op, &expanded, &all)?;
        }
        Op::Linalg(op) => {
            let all = outs()?;
            Devices.linalg(*op, &views, &all)?;
        }
        Op::Softmax { .. }
        | Op::Linear
        | Op::LinearThen { .. }
        | Op::CrossEntropy { .. }
        | Op::LayerNorm { .. }
        | Op::VarMean { .. }
        | Op::ChannelNorm { .. }
        | Op::LstmCell
        | Op::Lstm { .. }
        | Op::Attention { .. } => {
            let all = outs()?;
            return Devices.fused(op, &views, &all);
        }
    }
    Ok(true)
}

/// The numbers of a part's elements, in the part's shape.
fn numbers(places: &Places, region: &Region) -> Result<Value> {
    let bytes: Vec<u8> = places.of_part.iter().flat_map(|n| n.to_ne_bytes()).collect();
    Value::from_bytes(&bytes, region.part.shape(), DType::I64)
}

/// Runs the gradient kernel of a fused op into fresh outputs of the given shapes, if there is one.
pub(crate) fn fused_vjp(op: &Op, inputs: &[Value], outputs: &[(Layout, DType)]) -> Result<Option<Outputs>> {
    let device = inputs[0].device();
    let outputs = outputs.iter().map(|(l, d)| Value::empty(device, l.fresh(), *d)).collect::<Result<Outputs>>()?;
    if !device.has_memory() {
        return Ok(Some(outputs));
    }
    let views: SmallVec<[_; 3]> = each(inputs, Value::view)?;
    // SAFETY: fresh outputs.
    let outs: SmallVec<[_; 2]> = each(&outputs, |v| unsafe { v.view_mut() })?;
    let done = Devices.fused_vjp(op, &views, &outs)?;
    drop(outs);
    Ok(done.then_some(outputs))
}

/// A contiguous value as rows of `columns` elements.
pub(crate) fn as_matrix(v: &Value, columns: usize) -> Value {
    if v.layout.rank() == 2 && v.layout.shape()[1] == columns {
        return v.clone();
    }
    let rows = v.layout.numel() / columns;
    v.with_layout(Layout::strided(
        SmallVec::from_slice(&[rows, columns]),
        SmallVec::from_slice(&[columns as isize, 1]),
        v.layout.offset(),
    ))
}

/// A matrix read the other way.
pub(crate) fn transposed(v: &Value) -> Value {
    let layout = lock().layouts.transposed(&v.layout);
    v.with_layout(layout)
}

/// The product of two matrices of one dtype.
pub(crate) fn product(a: &Value, b: &Value) -> Result<Value> {
    let shape = [a.layout.shape()[0], b.layout.shape()[1]];
    let out = Value::empty(a.device(), known_layout(&shape)?, a.dtype).map_err(|e| in_op(e, "matmul"))?;
    if a.device().has_memory() {
        // SAFETY: `out` is fresh.
        Devices.matmul(a.view()?, b.view()?, false, unsafe { out.view_mut()? })?;
    }
    Ok(out)
}

/// Writes `values` at advanced indices of `out`, which holds the base; values broadcast.
pub(crate) fn index_put_into(
    dims: u64,
    accumulate: bool,
    indices: &[View<'_, Data>],
    values: &View<'_, Data>,
    out: ViewMut<'_, Data>,
) -> Result<()> {
    let mut metas: SmallVec<[Meta; 4]> = SmallVec::new();
    metas.push(Meta::new(out.layout().shape(), out.dtype()));
    metas.extend(indices.iter().map(|v| Meta::new(v.layout.shape(), v.dtype)));
    let target = infer::infer(&Op::Index { dims }, &metas)?;
    let shape = &target[0].shape;
    if layout::broadcast_shapes("index_put_", &[shape, values.layout.shape()]).map_or(true, |s| s != *shape) {
        fail!(
            runtime,
            "shape mismatch: value tensor of shape {:?} cannot be broadcast to indexing result of shape {:?}",
            values.layout.shape(),
            &shape[..]
        );
    }
    let layouts = expand_indices(indices)?;
    let values_layout = layout::expand_to(values.layout, shape);
    let indices = with_layouts(indices, &layouts);
    let result = Devices.index_put(dims, &indices, View { layout: &values_layout, ..*values }, accumulate, out);
    drop(indices);
    result
}

/// Matrices expanded to common batch dims.
fn batched(x: &Layout, batch: &[usize]) -> Layout {
    let mut shape: wengert_ops::Dims = SmallVec::from_slice(batch);
    shape.extend_from_slice(&x.shape()[x.rank() - 2..]);
    layout::expand_to(x, &shape)
}

fn expand_indices(indices: &[View<'_, Data>]) -> Result<SmallVec<[Layout; 2]>> {
    let shapes: SmallVec<[&[usize]; 4]> = indices.iter().map(|v| v.layout.shape()).collect();
    let shape = layout::broadcast_shapes("index", &shapes)?;
    Ok(indices.iter().map(|v| layout::expand_to(v.layout, &shape)).collect())
}

fn with_layouts<'a>(views: &[View<'a, Data>], layouts: &'a [Layout]) -> SmallVec<[View<'a, Data>; 2]> {
    views.iter().zip(layouts).map(|(v, layout)| View { layout, ..*v }).collect()
}

/// A second writable view for the steps of one call that follow one another.
struct ViewMutCopy;
impl ViewMutCopy {
    fn of<'a>(v: &ViewMut<'a, Data>) -> ViewMut<'a, Data> {
        // SAFETY: same promise as the original's; used before it, not beside it.
        unsafe { ViewMut::new(v.buffer(), v.layout(), v.dtype()) }
    }
}

fn inner_layout(whole: &Layout, pads: &[(usize, usize)], inner: &[usize]) -> Layout {
    let start: isize = pads.iter().zip(whole.strides()).map(|(p, s)| p.0 as isize * s).sum();
    Layout::strided(
        SmallVec::from_slice(inner),
        SmallVec::from_slice(whole.strides()),
        (whole.offset() as isize + start) as usize,
    )
}

fn shifted(layout: &Layout, by: usize) -> Layout {
    Layout::strided(SmallVec::from_slice(layout.shape()), SmallVec::from_slice(layout.strides()), layout.offset() + by)
}
