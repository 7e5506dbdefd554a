//! Fused primitives: softmax, linear, cross-entropy, layer norm.

use super::matmul::{check_same_dtype, matmul_shapes};
use super::reduce::reduced_shape;
use super::{check_dim, exactly, list, one};
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::fail;
use crate::layout::{checked_numel, numel, Dims};
use crate::op::{LossReduction, Meta};
use crate::rows::Row;
use smallvec::{smallvec, SmallVec};

/// The shape of `x @ wᵀ + b`: x `[…, k]`, w `[n, k]`, b `[n]`.
///
/// ```
/// use wengert_ops::infer::linear_shape;
/// assert_eq!(&linear_shape(&[7, 2, 3], &[5, 3], Some(&[5])).unwrap()[..], &[7, 2, 5]);
/// let e = linear_shape(&[2, 3], &[5, 4], None).unwrap_err();
/// assert!(e.message().contains("mat1 and mat2 shapes cannot be multiplied (2x3 and 4x5)"));
/// ```
pub fn linear_shape(x: &[usize], w: &[usize], b: Option<&[usize]>) -> Result<Dims> {
    let &[n, k] = w else {
        fail!(runtime, "linear: expected a weight of shape [out, in], but got {}", list(w));
    };
    if x.is_empty() {
        fail!(runtime, "both arguments to linear need to be at least 1D, but they are 0D and {}D", w.len());
    }
    let out = matmul_shapes("linear", x, &[k, n])?.out;
    if let Some(b) = b {
        if b != [n] {
            fail!(
                runtime,
                "linear: The expanded size of the tensor ({n}) must match the existing size ({}) at non-singleton \
                 dimension {}.  Target sizes: {}.  Tensor sizes: {}; the bias must have shape [{n}]",
                b.last().copied().unwrap_or(1),
                out.len() - 1,
                list(&out),
                list(b)
            );
        }
    }
    Ok(out)
}

/// The shape of the cross-entropy of logits `[n, c]` and class indices `[n]`.
pub fn cross_entropy_shape(logits: &Meta, target: &Meta, reduction: LossReduction) -> Result<Dims> {
    let &[n, classes] = &logits.shape[..] else {
        fail!(
            runtime,
            "cross_entropy: expected logits of shape [batch, classes], but got {}; move the classes to the last dim and \
             flatten the others",
            list(&logits.shape)
        );
    };
    if target.shape.len() != 1 {
        fail!(
            runtime,
            "cross_entropy: expected a target of shape [{n}] of class indices, but got {}",
            list(&target.shape)
        );
    }
    if target.shape[0] != n {
        fail!(value, "Expected input batch_size ({n}) to match target batch_size ({}).", target.shape[0]);
    }
    if target.dtype != DType::I64 {
        fail!(
            runtime,
            "cross_entropy: expected target dtype to be Long or Byte, but got {}; cast the target with .long()",
            target.dtype.scalar_name()
        );
    }
    check_float("log_softmax_lastdim_kernel_impl", logits.dtype)?;
    if classes == 0 && n > 0 {
        fail!(runtime, "cross_entropy: logits of shape {} have no classes", list(&logits.shape));
    }
    Ok(match reduction {
        LossReduction::None => smallvec![n],
        LossReduction::Mean | LossReduction::Sum => Dims::new(),
    })
}

/// The shapes of a layer norm's outputs over the last `dims` dims: y, and mean and 1/std with those dims as 1.
pub fn layer_norm_shapes(shape: &[usize], dims: usize) -> Result<(Dims, Dims)> {
    if dims == 0 {
        fail!(
            runtime,
            "layer_norm: Expected normalized_shape to be at least 1-dimensional, i.e., containing at least one element, \
             but got normalized_shape = []"
        );
    }
    let Some(lead) = shape.len().checked_sub(dims) else {
        fail!(
            runtime,
            "layer_norm: Given a normalized_shape of {dims} dimensions, expected an input with at least as many, but got \
             input of size{}",
            list(shape)
        );
    };
    let stats = (0..shape.len()).map(|d| if d < lead { shape[d] } else { 1 }).collect();
    checked_numel("layer_norm", shape)?;
    Ok((Dims::from_slice(shape), stats))
}

pub(super) fn check_float(kernel: &str, dtype: DType) -> Result<()> {
    if !dtype.is_float() {
        fail!(
            not_implemented,
            "\"{kernel}\" not implemented for '{}'; cast the input first, as in x.float()",
            dtype.scalar_name()
        );
    }
    Ok(())
}

pub(super) fn softmax(inputs: &[Meta], dim: usize, log: bool) -> Result<SmallVec<[Meta; 2]>> {
    let op = if log { "log_softmax" } else { "softmax" };
    let [x] = exactly(op, inputs)?;
    check_dim(op, dim, x.shape.len())?;
    check_float(if log { "log_softmax_lastdim_kernel_impl" } else { "softmax_lastdim_kernel_impl" }, x.dtype)?;
    one(x.shape.clone(), x.dtype)
}

pub(super) fn linear(inputs: &[Meta]) -> Result<SmallVec<[Meta; 2]>> {
    let (x, w, b) = match inputs {
        [x, w] => (x, w, None),
        [x, w, b] => (x, w, Some(b)),
        _ => fail!(type_, "linear: expects 2 or 3 inputs, but got {}", inputs.len()),
    };
    check_same_dtype("linear", x.dtype, w.dtype)?;
    if let Some(b) = b {
        check_same_dtype("linear", x.dtype, b.dtype)?;
    }
    one(linear_shape(&x.shape, &w.shape, b.map(|b| &b.shape[..]))?, x.dtype)
}

pub(super) fn linear_then(inputs: &[Meta], row: Row, keep: bool) -> Result<SmallVec<[Meta; 2]>> {
    let mut outputs = linear(inputs)?;
    if !row.maps_numbers() {
        fail!(type_, "linear: {} is no function of one number", row.name());
    }
    if !outputs[0].dtype.is_float() {
        fail!(not_implemented, "linear: {} goes with floating-point sums, but got {}", row.name(), outputs[0].dtype);
    }
    if keep {
        outputs.push(outputs[0].clone());
    }
    Ok(outputs)
}

pub(super) fn cross_entropy(inputs: &[Meta], reduction: LossReduction) -> Result<SmallVec<[Meta; 2]>> {
    let [logits, target] = exactly("cross_entropy", inputs)?;
    let loss = Meta { shape: cross_entropy_shape(logits, target, reduction)?, dtype: logits.dtype };
    Ok(smallvec![loss, logits.clone()])
}

pub(super) fn layer_norm(name: &str, inputs: &[Meta], dims: usize) -> Result<SmallVec<[Meta; 2]>> {
    let Some((x, affine)) = inputs.split_first().filter(|(_, affine)| affine.len() <= 2) else {
        fail!(type_, "{name}: expects 1 to 3 inputs, but got {}", inputs.len());
    };
    let (y, stats) = layer_norm_shapes(&x.shape, dims)?;
    check_float(if name == "layer_norm" { "LayerNormKernelImpl" } else { name }, x.dtype)?;
    for (what, t) in ["weight", "bias"].iter().zip(affine) {
        check_same_dtype(name, x.dtype, t.dtype)?;
        let normalized = &x.shape[x.shape.len() - dims..];
        if t.shape[..] != *normalized {
            fail!(
                runtime,
                "{name}: Expected {what} to be of same shape as normalized_shape, but got {what} of shape {} and \
                 normalized_shape = {}",
                list(&t.shape),
                list(normalized)
            );
        }
    }
    let stats = Meta { shape: stats, dtype: x.dtype };
    Ok(smallvec![Meta { shape: y, dtype: x.dtype }, stats.clone(), stats])
}

pub(super) fn channel_norm(name: &str, inputs: &[Meta], groups: usize) -> Result<SmallVec<[Meta; 2]>> {
    let Some((x, affine)) = inputs.split_first().filter(|(_, affine)| affine.len() <= 2) else {
        fail!(type_, "{name}: expects 1 to 3 inputs, but got {}", inputs.len());
    };
    let &[n, channels, ..] = &x.shape[..] else {
        fail!(runtime, "{name}: expected an input [N, C, …] of at least 2 dimensions, but got {}", list(&x.shape));
    };
    check_float(name, x.dtype)?;
    if groups > 0 && !channels.is_multiple_of(groups) {
        fail!(
            runtime,
            "Expected number of channels in input to be divisible by num_groups, but got input of shape {} and \
             num_groups={groups}",
            list(&x.shape)
        );
    }
    for (what, t) in ["weight", "bias"].iter().zip(affine) {
        check_same_dtype(name, x.dtype, t.dtype)?;
        if t.shape[..] != [channels] {
            if groups == 0 {
                fail!(runtime, "batch_norm: {what} should contain {channels} elements not {}", numel(&t.shape));
            }
            fail!(
                runtime,
                "Expected {what} to be a vector of size equal to the number of channels in input, but got {what} of \
                 shape {} and input of shape {}",
                list(&t.shape),
                list(&x.shape)
            );
        }
    }
    let units: Dims = if groups == 0 { smallvec![channels] } else { smallvec![n, groups] };
    let stats = Meta { shape: units, dtype: x.dtype };
    Ok(smallvec![x.clone(), stats.clone(), stats])
}

pub(super) fn var_mean(inputs: &[Meta], dims: u64, keepdim: bool) -> Result<SmallVec<[Meta; 2]>> {
    let [x] = exactly("var_mean", inputs)?;
    check_float("std_and_var", x.dtype)?;
    let out = Meta { shape: reduced_shape("var_mean", &x.shape, dims, keepdim)?, dtype: x.dtype };
    Ok(smallvec![out.clone(), out])
}

pub(super) fn lstm_cell(inputs: &[Meta]) -> Result<SmallVec<[Meta; 2]>> {
    let [gates, c] = exactly("lstm_cell", inputs)?;
    check_float("lstm_cell", gates.dtype)?;
    check_same_dtype("lstm_cell", gates.dtype, c.dtype)?;
    let fits = match (gates.shape.split_last(), c.shape.split_last()) {
        (Some((&n, rows)), Some((&m, lead))) => m.checked_mul(4) == Some(n) && rows == lead,
        _ => false,
    };
    if !fits {
        fail!(
            runtime,
            "lstm_cell: expected gates of shape [..., 4 * hidden_size] and a state of shape [..., hidden_size], but got {} \
             and {}",
            list(&gates.shape),
            list(&c.shape)
        );
    }
    Ok(smallvec![c.clone(), c.clone(), gates.clone()])
}

pub(super) fn lstm(inputs: &[Meta]) -> Result<SmallVec<[Meta; 2]>> {
    let [gates, h, c, w] = exactly("lstm", inputs)?;
    check_float("lstm", gates.dtype)?;
    for other in [h, c, w] {
        check_same_dtype("lstm", gates.dtype, other.dtype)?;
    }
    let (&[t, n, four], &[rows, m]) = (&gates.shape[..], &h.shape[..]) else { return Err(unfit(inputs)) };
    if t == 0 || rows != n || m.checked_mul(4) != Some(four) || c.shape != h.shape || w.shape[..] != [four, m] {
        return Err(unfit(inputs));
    }
    let states = Meta::new(&[t, n, m], gates.dtype);
    Ok(smallvec![states.clone(), states, gates.clone()])
}

#[cold]
fn unfit(inputs: &[Meta]) -> Error {
    let shapes: Vec<String> = inputs.iter().map(|x| list(&x.shape)).collect();
    Error::runtime(format!(
        "lstm: expected gates of shape [steps, batch, 4 * hidden_size], at least one step, states of shape [batch, \
         hidden_size] and weights of shape [4 * hidden_size, hidden_size], but got {}",
        shapes.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use super::super::infer;
    use super::super::testing::*;
    use super::*;
    use crate::error::ErrorKind::*;
    use crate::op::Op;

    #[test]
    fn lstm_cells() {
        let out = [&[5, 2][..], &[5, 2], &[5, 8]];
        assert_eq!(shapes(&Op::LstmCell, &[f32s(&[5, 8]), f32s(&[5, 2])]), out);
        for (gates, c) in [(&[5, 7][..], &[5, 2][..]), (&[5, 8], &[4, 2]), (&[8], &[]), (&[], &[])] {
            refuses(
                infer(&Op::LstmCell, &[f32s(gates), f32s(c)]),
                Runtime,
                "expected gates of shape [..., 4 * hidden_size]",
            );
        }
        let halves = Meta::new(&[2], DType::F16);
        refuses(infer(&Op::LstmCell, &[f32s(&[8]), halves]), Runtime, "same dtype");
    }

    #[test]
    fn lstms() {
        let of = |inputs: &[&[usize]]| {
            infer(&Op::Lstm { reverse: false }, &inputs.iter().map(|shape| f32s(shape)).collect::<Vec<_>>())
        };
        let found = of(&[&[5, 3, 8], &[3, 2], &[3, 2], &[8, 2]]).unwrap();
        assert_eq!(found[..], [f32s(&[5, 3, 2]), f32s(&[5, 3, 2]), f32s(&[5, 3, 8])]);
        for bad in [
            [&[0, 3, 8][..], &[3, 2], &[3, 2], &[8, 2]],
            [&[5, 3, 7], &[3, 2], &[3, 2], &[8, 2]],
            [&[5, 3, 8], &[4, 2], &[4, 2], &[8, 2]],
            [&[5, 3, 8], &[3, 2], &[3, 3], &[8, 2]],
            [&[5, 3, 8], &[3, 2], &[3, 2], &[2, 8]],
            [&[3, 8], &[3, 2], &[3, 2], &[8, 2]],
            [&[], &[], &[], &[]],
        ] {
            refuses(of(&bad), Runtime, "expected gates of shape [steps, batch, 4 * hidden_size]");
        }
        refuses(of(&[&[5, 3, 8]]), Type, "lstm");
    }

    #[test]
    fn linears() {
        let linear = |inputs: &[Meta]| infer(&Op::Linear, inputs);
        assert_eq!(shapes(&Op::Linear, &[f32s(&[128, 20]), f32s(&[30, 20]), f32s(&[30])]), [[128, 30]]);
        assert_eq!(shapes(&Op::Linear, &[f32s(&[20]), f32s(&[30, 20])]), [[30]]);
        refuses(linear(&[f32s(&[2, 3]), f32s(&[5, 4])]), Runtime, "cannot be multiplied (2x3 and 4x5)");
        refuses(linear(&[f32s(&[3]), f32s(&[5, 4])]), Runtime, "cannot be multiplied (1x3 and 4x5)");
        let words = "must match the existing size (4) at non-singleton dimension 1.  Target sizes: [2, 5].";
        refuses(linear(&[f32s(&[2, 3]), f32s(&[5, 3]), f32s(&[4])]), Runtime, words);
        refuses(linear(&[f32s(&[2, 3]), f32s(&[5, 3]), f32s(&[1])]), Runtime, "the bias must have shape [5]");
        refuses(linear(&[f32s(&[]), f32s(&[5, 3])]), Runtime, "at least 1D, but they are 0D and 2D");
        refuses(linear(&[f32s(&[2, 3]), Meta::new(&[5, 3], DType::F64)]), Runtime, "float != double");
        refuses(linear(&[f32s(&[2, 3])]), Type, "2 or 3 inputs");
    }

    #[test]
    fn linears_with_activations() {
        let inputs = [f32s(&[2, 3]), f32s(&[5, 3])];
        let then = |row, keep| Op::LinearThen { row, keep };
        assert_eq!(shapes(&then(Row::Relu, false), &inputs), [[2, 5]]);
        assert_eq!(shapes(&then(Row::Gelu, true), &inputs), [[2, 5], [2, 5]]);
        refuses(infer(&then(Row::Add, false), &inputs), Type, "add is no function of one number");
        refuses(infer(&then(Row::Isnan, false), &inputs), Type, "isnan is no function of one number");
        let whole = [i64s(&[2, 3]), i64s(&[5, 3])];
        refuses(infer(&then(Row::Relu, false), &whole), NotImplemented, "relu goes with floating-point sums");
    }

    #[test]
    fn cross_entropies() {
        let loss =
            |reduction, logits, target| infer(&Op::CrossEntropy { reduction, ignore_index: -100 }, &[logits, target]);
        use LossReduction::*;
        assert_eq!(loss(Mean, f32s(&[3, 5]), i64s(&[3])).unwrap()[..], [f32s(&[]), f32s(&[3, 5])]);
        assert_eq!(loss(None, f32s(&[3, 5]), i64s(&[3])).unwrap()[..], [f32s(&[3]), f32s(&[3, 5])]);
        let words = "Expected input batch_size (3) to match target batch_size (2).";
        refuses(loss(Sum, f32s(&[3, 4]), i64s(&[2])), Value, words);
        let int = Meta::new(&[3], DType::I32);
        refuses(loss(Sum, f32s(&[3, 4]), int), Runtime, "expected target dtype to be Long or Byte, but got Int");
        refuses(loss(Sum, i64s(&[3, 4]), i64s(&[3])), NotImplemented, "not implemented for 'Long'");
        refuses(loss(Sum, f32s(&[4]), i64s(&[])), Runtime, "logits of shape [batch, classes], but got [4]");
        refuses(loss(Sum, f32s(&[3, 0]), i64s(&[3])), Runtime, "have no classes");
    }

    #[test]
    fn norms_and_softmax() {
        let norm = |dims, x| infer(&Op::LayerNorm { dims, centred: true, eps_bits: 1e-5f64.to_bits() }, &[x]);
        let out = norm(2, f32s(&[2, 3, 4])).unwrap();
        assert_eq!(out[..], [f32s(&[2, 3, 4]), f32s(&[2, 1, 1]), f32s(&[2, 1, 1])]);
        let affine = |w, b| infer(&Op::LayerNorm { dims: 1, centred: true, eps_bits: 0 }, &[f32s(&[2, 3]), w, b]);
        assert_eq!(affine(f32s(&[3]), f32s(&[3])).unwrap()[0], f32s(&[2, 3]));
        refuses(affine(f32s(&[2]), f32s(&[3])), Runtime, "but got weight of shape [2] and normalized_shape = [3]");
        refuses(affine(f32s(&[3]), f32s(&[1, 3])), Runtime, "but got bias of shape [1, 3]");
        refuses(affine(f32s(&[3]), Meta::new(&[3], DType::F64)), Runtime, "float != double");
        refuses(norm(3, f32s(&[3, 4])), Runtime, "but got input of size[3, 4]");
        refuses(norm(0, f32s(&[3, 4])), Runtime, "at least 1-dimensional");
        refuses(norm(1, i64s(&[4])), NotImplemented, "\"LayerNormKernelImpl\" not implemented for 'Long'");
        let channels = |groups, inputs: &[Meta]| infer(&Op::ChannelNorm { groups, eps_bits: 0 }, inputs);
        let x = || f32s(&[2, 6, 5]);
        assert_eq!(channels(0, &[x()]).unwrap()[..], [x(), f32s(&[6]), f32s(&[6])]);
        assert_eq!(channels(3, &[x(), f32s(&[6]), f32s(&[6])]).unwrap()[..], [x(), f32s(&[2, 3]), f32s(&[2, 3])]);
        refuses(channels(4, &[x()]), Runtime, "divisible by num_groups");
        refuses(channels(0, &[x(), f32s(&[5])]), Runtime, "weight should contain 6 elements not 5");
        refuses(channels(2, &[x(), f32s(&[5])]), Runtime, "but got weight of shape [5] and input of shape [2, 6, 5]");
        refuses(channels(0, &[f32s(&[6])]), Runtime, "batch_norm: expected an input [N, C, …]");
        refuses(channels(2, &[i64s(&[2, 6])]), NotImplemented, "\"group_norm\" not implemented for 'Long'");
        let var = |keepdim, x| infer(&Op::VarMean { dims: 0b10, keepdim, correction_bits: 0 }, &[x]);
        assert_eq!(var(false, f32s(&[2, 3])).unwrap()[..], [f32s(&[2]), f32s(&[2])]);
        assert_eq!(var(true, f32s(&[2, 0])).unwrap()[0], f32s(&[2, 1]));
        refuses(var(false, i64s(&[2, 3])), NotImplemented, "\"std_and_var\" not implemented for 'Long'");
        let softmax = |dim, x| infer(&Op::Softmax { dim, log: false }, &[x]);
        assert_eq!(softmax(0, f32s(&[])).unwrap()[0], f32s(&[]));
        refuses(softmax(0, i64s(&[2])), NotImplemented, "\"softmax_lastdim_kernel_impl\" not implemented for 'Long'");
        refuses(softmax(1, f32s(&[2])), Index, "Dimension out of range");
    }
}
