//! Sliding windows: convolutions and pools.

use super::matmul::check_same_dtype;
use super::{exactly, list, one, times};
use crate::dtype::DType;
use crate::error::Result;
use crate::fail;
use crate::layout::{checked_numel, Dims};
use crate::op::{ConvRole, ConvSpec, Meta, PoolSpec};
use smallvec::{smallvec, SmallVec};

/// A convolution's geometry from the public arguments: one number, or one a dim, each. Checks
/// everything, so that [`conv_output`] of the result's shapes succeeds.
pub fn conv_spec(
    op: &str,
    x: &[usize],
    w: &[usize],
    stride: &[isize],
    padding: &[isize],
    dilation: &[isize],
    groups: isize,
) -> Result<ConvSpec> {
    let Some(n) = w.len().checked_sub(2).filter(|&n| n > 0) else {
        fail!(
            runtime,
            "{op}: expected a weight with at least 3 dimensions [out, in/groups, kernel…], but got {}",
            list(w)
        );
    };
    if groups <= 0 {
        fail!(runtime, "{op}: non-positive groups is not supported, but got {groups}");
    }
    if stride.iter().any(|&s| s <= 0) {
        fail!(runtime, "{op}: non-positive stride is not supported, but got {}", list(stride));
    }
    if padding.iter().any(|&p| p < 0) {
        fail!(runtime, "{op}: negative padding is not supported, but got {}", list(padding));
    }
    if dilation.iter().any(|&d| d <= 0) {
        fail!(runtime, "{op}: dilation should be greater than zero, but got {}", list(dilation));
    }
    let spec = ConvSpec {
        stride: per_dim(op, "stride", stride, n)?,
        padding: per_dim(op, "padding", padding, n)?,
        dilation: per_dim(op, "dilation", dilation, n)?,
        groups: groups as usize,
        x_shape: Dims::from_slice(x),
        w_shape: Dims::from_slice(w),
    };
    conv_output(op, &spec)?;
    Ok(spec)
}

/// One non-negative number a window dim, from one for all or one each.
fn per_dim(op: &str, what: &str, given: &[isize], n: usize) -> Result<Dims> {
    match given {
        &[all] if all >= 0 => Ok(SmallVec::from_elem(all as usize, n)),
        each if each.len() == n && each.iter().all(|&v| v >= 0) => Ok(each.iter().map(|&v| v as usize).collect()),
        _ => fail!(
            runtime,
            "{op}: expected {what} to be a single non-negative integer value or a list of {n} values to match the \
             window dimensions, but got {what}={}",
            list(given)
        ),
    }
}

/// The shape `[n, o, …]` a convolution gives, `⌊(in + 2·padding − dilation·(kernel − 1) − 1) / stride⌋ + 1` a dim.
pub fn conv_output(op: &str, spec: &ConvSpec) -> Result<Dims> {
    let ConvSpec { stride, padding, dilation, groups, x_shape: x, w_shape: w } = spec;
    let n = stride.len();
    if n == 0 || padding.len() != n || dilation.len() != n || w.len() != n + 2 {
        fail!(
            runtime,
            "{op}: weight {}, stride {}, padding {} and dilation {} do not fit together",
            list(w),
            list(stride),
            list(padding),
            list(dilation)
        );
    }
    if x.len() != n + 2 {
        fail!(
            runtime,
            "Expected {}D (unbatched) or {}D (batched) input to {op}, but got input of size: {}",
            n + 1,
            n + 2,
            list(x)
        );
    }
    let groups = *groups;
    if groups == 0 || stride.contains(&0) || dilation.contains(&0) {
        fail!(runtime, "{op}: groups, stride and dilation must be positive");
    }
    if w[2..].contains(&0) {
        fail!(runtime, "{op}: kernel size should be greater than zero, but got weight of size {}", list(w));
    }
    if w[0] < groups || !w[0].is_multiple_of(groups) {
        let relation = if w[0] < groups { "at least" } else { "divisible by" };
        fail!(
            runtime,
            "{op}: Given groups={groups}, expected weight to be {relation} {groups} at dimension 0, but got weight of \
             size {} instead",
            list(w)
        );
    }
    if w[1].checked_mul(groups) != Some(x[1]) {
        fail!(
            runtime,
            "{op}: Given groups={groups}, weight of size {}, expected input{} to have {} channels, but got {} channels \
             instead",
            list(w),
            list(x),
            w[1].saturating_mul(groups),
            x[1]
        );
    }
    if x[2..].contains(&0) && x[0] != 0 && x[1] != 0 {
        fail!(runtime, "{op}: Only zero batch or zero channel inputs are supported, but got input shape: {}", list(x));
    }
    let mut out: Dims = smallvec![x[0], w[0]];
    let mut padded = Dims::new();
    for d in 0..n {
        let (size, kernel) = (x[2 + d], w[2 + d]);
        let Some((room, window)) = room(size, kernel, padding[d], dilation[d]) else {
            fail!(runtime, "{op}: padding {} or dilation {} overflows a size", list(padding), list(dilation));
        };
        padded.push(room);
        out.push(if window > room { usize::MAX } else { (room - window) / stride[d] + 1 });
    }
    if out[2..].contains(&usize::MAX) {
        let kernel: Dims = (0..n).map(|d| dilation[d].saturating_mul(w[2 + d] - 1).saturating_add(1)).collect();
        fail!(
            runtime,
            "{op}: Calculated padded input size per channel: ({}). Kernel size: ({}). Kernel size can't be greater than \
             actual input size",
            by(&padded),
            by(&kernel)
        );
    }
    checked_numel(op, &out)?;
    Ok(out)
}

/// The padded size and the dilated window's size.
fn room(size: usize, kernel: usize, padding: usize, dilation: usize) -> Option<(usize, usize)> {
    let room = padding.checked_mul(2)?.checked_add(size)?;
    let window = kernel.checked_sub(1)?.checked_mul(dilation)?.checked_add(1)?;
    (room < usize::MAX).then_some((room, window))
}

fn by(sizes: &[usize]) -> String {
    sizes.iter().map(usize::to_string).collect::<Vec<_>>().join(" x ")
}

pub(super) fn conv(role: ConvRole, spec: &ConvSpec, inputs: &[Meta]) -> Result<SmallVec<[Meta; 2]>> {
    let y = conv_output("conv", spec)?;
    let [a, b] = exactly("conv", inputs)?;
    check_same_dtype("conv", a.dtype, b.dtype)?;
    if a.dtype == DType::Bool && !a.shape.contains(&0) {
        fail!(not_implemented, "\"conv\" not implemented for 'Bool'; cast the tensors first, as in x.float()");
    }
    let (x, w) = (&spec.x_shape, &spec.w_shape);
    let (want_a, want_b, out) = match role {
        ConvRole::Forward => (x, w, &y),
        ConvRole::Input => (&y, w, x),
        ConvRole::Weight => (&y, x, w),
    };
    if a.shape != *want_a || b.shape != *want_b {
        fail!(
            runtime,
            "conv: expected operands of shapes {} and {}, but got {} and {}",
            list(want_a),
            list(want_b),
            list(&a.shape),
            list(&b.shape)
        );
    }
    one(out.clone(), a.dtype)
}

/// A pool's geometry over `n` window dims from the public arguments: one number, or one a dim, each.
/// An empty stride is the kernel's size.
pub fn pool_spec(
    op: &str,
    n: usize,
    kernel: &[isize],
    stride: &[isize],
    padding: &[isize],
    dilation: &[isize],
    ceil_mode: bool,
) -> Result<PoolSpec> {
    let stride = if stride.is_empty() { kernel } else { stride };
    if stride.contains(&0) {
        fail!(runtime, "{op}: stride should not be zero");
    }
    if kernel.iter().any(|&k| k <= 0) {
        fail!(runtime, "{op}: kernel size should be greater than zero, but got {}", list(kernel));
    }
    if let Some(pad) = padding.iter().find(|&&p| p < 0) {
        fail!(runtime, "{op}: pad must be non-negative, but got pad: {pad}");
    }
    if dilation.iter().any(|&d| d <= 0) {
        fail!(runtime, "{op}: dilation should be greater than zero, but got {}", list(dilation));
    }
    Ok(PoolSpec {
        kernel: per_dim(op, "kernel_size", kernel, n)?,
        stride: per_dim(op, "stride", stride, n)?,
        padding: per_dim(op, "padding", padding, n)?,
        dilation: per_dim(op, "dilation", dilation, n)?,
        ceil_mode,
    })
}

/// The shape of a pool of `x` (`[c, …]` or `[n, c, …]`). With `ceil_mode` the last window may run
/// over the end, but must start within the input or its left padding.
pub fn pool_output(op: &str, spec: &PoolSpec, x: &[usize]) -> Result<Dims> {
    let PoolSpec { kernel, stride, padding, dilation, ceil_mode } = spec;
    let n = kernel.len();
    if n == 0 || stride.len() != n || padding.len() != n || dilation.len() != n {
        fail!(
            runtime,
            "{op}: kernel {}, stride {}, padding {} and dilation {} do not fit together",
            list(kernel),
            list(stride),
            list(padding),
            list(dilation)
        );
    }
    if (x.len() != n + 1 && x.len() != n + 2) || x[x.len() - n - 1..].contains(&0) {
        fail!(
            runtime,
            "{op}: Expected {}D or {}D (batch mode) tensor with optional 0 dim batch size for input, but got:{}",
            n + 1,
            n + 2,
            list(x)
        );
    }
    if kernel.contains(&0) || stride.contains(&0) || dilation.contains(&0) {
        fail!(runtime, "{op}: kernel size, stride and dilation must be positive");
    }
    let lead = x.len() - n;
    let mut out = Dims::from_slice(&x[..lead]);
    for d in 0..n {
        let Some((room, window)) = room(x[lead + d], kernel[d], padding[d], dilation[d]) else {
            fail!(runtime, "{op}: padding {} or dilation {} overflows a size", list(padding), list(dilation));
        };
        // The plain kernel decides; PyTorch has other words where the dilated one refuses as well.
        if padding[d] > kernel[d] / 2 {
            let of =
                if padding[d] > window / 2 { "at most half of effective" } else { "smaller than or equal to half of" };
            fail!(
                runtime,
                "{op}: pad should be {of} kernel size, but got pad={}, kernel_size={} and dilation={}",
                padding[d],
                kernel[d],
                dilation[d]
            );
        }
        let extra = if *ceil_mode { stride[d] as i128 - 1 } else { 0 };
        let mut count = (room as i128 - window as i128 + extra).div_euclid(stride[d] as i128) + 1;
        let start = (count - 1).checked_mul(stride[d] as i128);
        if *ceil_mode && start.is_none_or(|start| start >= x[lead + d] as i128 + padding[d] as i128) {
            count -= 1;
        }
        out.push(count.max(0) as usize);
    }
    if out[lead..].contains(&0) {
        fail!(
            runtime,
            "{op}: Given input size: ({}). Calculated output size: ({}). Output size is too small",
            times(&x[lead - 1..]),
            times(&out[lead - 1..])
        );
    }
    checked_numel(op, &out)?;
    Ok(out)
}

pub(super) fn max_pool(spec: &PoolSpec, inputs: &[Meta]) -> Result<SmallVec<[Meta; 2]>> {
    let [x] = exactly("max_pool", inputs)?;
    let shape = pool_output("max_pool", spec, &x.shape)?;
    if x.dtype == DType::Bool {
        fail!(not_implemented, "\"max_pool\" not implemented for 'Bool'; cast the input first, as in x.float()");
    }
    Ok(smallvec![Meta { shape: shape.clone(), dtype: x.dtype }, Meta { shape, dtype: DType::I64 }])
}

#[cfg(test)]
mod tests {
    use super::super::infer;
    use super::super::testing::*;
    use super::*;
    use crate::error::ErrorKind::*;
    use crate::op::Op;
    use std::sync::Arc;

    fn conv(x: &[usize], w: &[usize], stride: isize, padding: isize, dilation: isize, groups: isize) -> Result<Dims> {
        conv_output("conv2d", &conv_spec("conv2d", x, w, &[stride], &[padding], &[dilation], groups)?)
    }

    #[test]
    fn convolution_sizes() {
        // torch.nn.Conv2d's documented examples.
        let x = &[20, 16, 50, 100];
        assert_eq!(&conv(x, &[33, 16, 3, 3], 2, 0, 1, 1).unwrap()[..], &[20, 33, 24, 49]);
        let spec = conv_spec("conv2d", x, &[33, 16, 3, 5], &[2, 1], &[4, 2], &[3, 1], 1).unwrap();
        assert_eq!(&conv_output("conv2d", &spec).unwrap()[..], &[20, 33, 26, 100]);
        assert_eq!(&conv(&[0, 3, 5, 5], &[2, 3, 3, 3], 1, 0, 1, 1).unwrap()[..], &[0, 2, 3, 3]);
    }

    #[test]
    fn convolution_errors() {
        let x = &[1, 3, 5, 5];
        refuses(
            conv(x, &[2, 4, 3, 3], 1, 0, 1, 1),
            Runtime,
            "expected input[1, 3, 5, 5] to have 4 channels, but got 3",
        );
        let words = "padded input size per channel: (2 x 2). Kernel size: (3 x 3).";
        refuses(conv(&[1, 3, 2, 2], &[2, 3, 3, 3], 1, 0, 1, 1), Runtime, words);
        refuses(conv(&[3, 2], &[2, 3, 3, 3], 1, 0, 1, 1), Runtime, "3D (unbatched) or 4D (batched) input to conv2d");
        refuses(conv(x, &[2, 3, 3, 3], 0, 0, 1, 1), Runtime, "non-positive stride is not supported");
        refuses(conv(x, &[2, 3, 3, 3], 1, -1, 1, 1), Runtime, "negative padding is not supported");
        refuses(conv(x, &[2, 3, 3, 3], 1, 0, 0, 1), Runtime, "dilation should be greater than zero");
        refuses(conv(x, &[2, 1, 3, 3], 1, 0, 1, 3), Runtime, "expected weight to be at least 3 at dimension 0");
        refuses(conv(x, &[4, 1, 3, 3], 1, 0, 1, 3), Runtime, "divisible by 3");
        refuses(conv(x, &[2, 3, 0, 3], 1, 0, 1, 1), Runtime, "kernel size should be greater than zero");
        refuses(conv(x, &[2, 3, 3, 3], 1, isize::MAX, 1, 1), Runtime, "overflows");
        let words = "Only zero batch or zero channel inputs are supported, but got input shape: [1, 3, 5, 0]";
        refuses(conv(&[1, 3, 5, 0], &[2, 3, 1, 1], 1, 2, 1, 1), Runtime, words);
        refuses(conv(x, &[2, 3], 1, 0, 1, 1), Runtime, "at least 3 dimensions");
        refuses(conv_spec("conv2d", x, &[2, 3, 3, 3], &[1; 3], &[0], &[1], 1), Runtime, "a list of 2 values");
    }

    #[test]
    fn the_three_roles_close() {
        let spec = Arc::new(conv_spec("conv2d", &[2, 4, 7, 7], &[6, 2, 3, 3], &[2], &[1], &[1], 2).unwrap());
        let (x, w, y) = (f32s(&[2, 4, 7, 7]), f32s(&[6, 2, 3, 3]), f32s(&[2, 6, 4, 4]));
        let of = |role, a: &Meta, b: &Meta| infer(&Op::Conv { role, spec: spec.clone() }, &[a.clone(), b.clone()]);
        assert_eq!(of(ConvRole::Forward, &x, &w).unwrap()[0], y);
        assert_eq!(of(ConvRole::Input, &y, &w).unwrap()[0], x);
        assert_eq!(of(ConvRole::Weight, &y, &x).unwrap()[0], w);
        refuses(of(ConvRole::Forward, &y, &w), Runtime, "expected operands of shapes");
        refuses(of(ConvRole::Forward, &x, &i64s(&[6, 2, 3, 3])), Runtime, "float != long");
        let bools = |m: &Meta| Meta::new(&m.shape, DType::Bool);
        refuses(of(ConvRole::Forward, &bools(&x), &bools(&w)), NotImplemented, "'Bool'");
    }

    fn pool(x: &[usize], kernel: isize, stride: &[isize], padding: isize, ceil: bool) -> Result<Dims> {
        pool_output("max_pool2d", &pool_spec("max_pool2d", 2, &[kernel], stride, &[padding], &[1], ceil)?, x)
    }

    #[test]
    fn pool_sizes() {
        assert_eq!(&pool(&[1, 1, 5, 5], 2, &[], 0, false).unwrap()[..], &[1, 1, 2, 2]);
        assert_eq!(&pool(&[1, 5, 5], 2, &[], 0, true).unwrap()[..], &[1, 3, 3]);
        assert_eq!(&pool(&[1, 1, 5, 5], 2, &[4], 0, true).unwrap()[..], &[1, 1, 2, 2]);
        // A last window that would start in the right padding is dropped.
        assert_eq!(&pool(&[1, 1, 4, 4], 2, &[2], 1, true).unwrap()[..], &[1, 1, 3, 3]);
        assert_eq!(&pool(&[1, 1, 3, 3], 2, &[5], 1, true).unwrap()[..], &[1, 1, 1, 1]);
        assert_eq!(&pool(&[0, 1, 5, 5], 2, &[], 0, false).unwrap()[..], &[0, 1, 2, 2]);
        // torch.nn.MaxPool2d's documented example.
        let spec = pool_spec("max_pool2d", 2, &[3, 2], &[2, 1], &[0], &[1], false).unwrap();
        assert_eq!(&pool_output("max_pool2d", &spec, &[20, 16, 50, 32]).unwrap()[..], &[20, 16, 24, 31]);
        assert_eq!(shapes(&Op::MaxPool(Arc::new(spec)), &[f32s(&[3, 4, 4])]), [[3, 1, 3], [3, 1, 3]]);
    }

    #[test]
    fn pool_errors() {
        let x = &[1, 3, 5, 5];
        let words = "Given input size: (3x5x5). Calculated output size: (3x0x0). Output size is too small";
        refuses(pool(x, 7, &[], 0, false), Runtime, words);
        refuses(
            pool(x, 2, &[], 2, false),
            Runtime,
            "pad should be at most half of effective kernel size, but got pad=2",
        );
        let dilated = pool_spec("max_pool2d", 2, &[3], &[4], &[2], &[3], false).unwrap();
        let words = "pad should be smaller than or equal to half of kernel size";
        refuses(pool_output("max_pool2d", &dilated, &[1, 2, 7, 9]), Runtime, words);
        refuses(pool(x, 0, &[], 0, false), Runtime, "stride should not be zero");
        refuses(pool(x, 2, &[0], 0, false), Runtime, "stride should not be zero");
        refuses(pool(x, 2, &[], -1, false), Runtime, "pad must be non-negative, but got pad: -1");
        refuses(pool(&[5, 5], 2, &[], 0, false), Runtime, "Expected 3D or 4D (batch mode) tensor");
        refuses(pool(&[1, 0, 5, 5], 2, &[], 0, false), Runtime, "but got:[1, 0, 5, 5]");
    }
}
