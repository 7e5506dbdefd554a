//! Attention: queries over keys and values.

use super::fused::check_float;
use super::list;
use super::matmul::check_same_dtype;
use crate::dtype::DType;
use crate::error::Result;
use crate::fail;
use crate::layout::{self, broadcast_shapes, Dims};
use crate::op::{Meta, STREAM_ROWS};
use smallvec::{smallvec, SmallVec};

const NAME: &str = "scaled_dot_product_attention";

/// The leading dims of attention over queries, keys, values and perhaps a mask, once their own are broadcast.
///
/// ```
/// use wengert_ops::infer::attention_batch;
/// assert_eq!(&attention_batch(&[&[2, 1, 5, 4], &[3, 6, 4], &[3, 6, 7]]).unwrap()[..], &[2, 3]);
/// ```
pub fn attention_batch(shapes: &[&[usize]]) -> Result<Dims> {
    let mut leads: SmallVec<[&[usize]; 4]> = SmallVec::new();
    for shape in shapes {
        let Some(lead) = shape.len().checked_sub(2) else {
            fail!(
                runtime,
                "{NAME}: Expected query, key, and value to all be at least 2 dimensional, but got shapes {}",
                texts(shapes)
            );
        };
        leads.push(&shape[..lead]);
    }
    broadcast_shapes(NAME, &leads)
}

fn texts(shapes: &[&[usize]]) -> String {
    shapes.iter().map(|s| list(s)).collect::<Vec<_>>().join(", ")
}

/// q `[…, l, e]`, k `[…, s, e]`, v `[…, s, d]` and perhaps a mask `[…, l, s]` under the same leading dims; where weights are
/// dropped, streams of random numbers last.
pub(super) fn attention(keep: f64, inputs: &[Meta]) -> Result<SmallVec<[Meta; 2]>> {
    let (inputs, streams) = match inputs.split_last() {
        Some((streams, others)) if keep < 1.0 => (others, Some(streams)),
        _ => (inputs, None),
    };
    let (q, k, v, mask) = match inputs {
        [q, k, v] => (q, k, v, None),
        [q, k, v, mask] => (q, k, v, Some(mask)),
        _ => fail!(type_, "{NAME}: expects 3 or 4 inputs, but got {}", inputs.len()),
    };
    let shapes: SmallVec<[&[usize]; 4]> = inputs.iter().map(|x| &x.shape[..]).collect();
    let batch = attention_batch(&shapes)?;
    for x in &inputs[1..] {
        check_same_dtype(NAME, q.dtype, x.dtype)?;
    }
    check_float(NAME, q.dtype)?;
    let lead = batch.len();
    let fits = inputs.iter().all(|x| x.shape.len() == lead + 2 && x.shape[..lead] == batch[..])
        && q.shape[lead + 1] == k.shape[lead + 1]
        && k.shape[lead] == v.shape[lead]
        && mask.is_none_or(|m| m.shape[lead..] == [q.shape[lead], k.shape[lead]]);
    if !fits {
        fail!(
            runtime,
            "{NAME}: query (…, L, E), key (…, S, E), value (…, S, Ev) and mask (…, L, S) do not fit one another: got \
             shapes {}",
            texts(&shapes)
        );
    }
    if let Some(streams) = streams {
        let wanted = layout::numel(&batch).saturating_mul(q.shape[lead].div_ceil(STREAM_ROWS));
        if streams.dtype != DType::I32 || streams.shape.len() != 2 || streams.shape[0] != wanted {
            fail!(
                runtime,
                "{NAME}: to drop weights takes {wanted} streams of random numbers, one a row of int, but got {} of shape {}",
                streams.dtype.scalar_name(),
                list(&streams.shape)
            );
        }
    }
    let (mut y, mut sums) = (batch.clone(), batch);
    y.extend([q.shape[lead], v.shape[lead + 1]]);
    sums.push(q.shape[lead]);
    let meta = |shape| Meta { shape, dtype: q.dtype };
    Ok(smallvec![meta(y), meta(sums)])
}

#[cfg(test)]
mod tests {
    use super::super::infer;
    use super::super::testing::*;
    use super::*;
    use crate::dtype::DType;
    use crate::error::ErrorKind::*;
    use crate::op::Op;

    #[test]
    fn shapes_and_refusals() {
        let op = |keep: f64| Op::Attention { causal: false, scale_bits: 1f64.to_bits(), keep_bits: keep.to_bits() };
        let of = |inputs: &[Meta]| infer(&op(1.0), inputs);
        let (q, k, v) = (f32s(&[2, 5, 4]), f32s(&[2, 6, 4]), f32s(&[2, 6, 3]));
        assert_eq!(of(&[q.clone(), k.clone(), v.clone()]).unwrap()[..], [f32s(&[2, 5, 3]), f32s(&[2, 5])]);
        assert!(of(&[q.clone(), k.clone(), v.clone(), f32s(&[2, 5, 6])]).is_ok());
        let words = "do not fit one another: got shapes";
        refuses(of(&[q.clone(), k.clone(), v.clone(), f32s(&[2, 6, 5])]), Runtime, words);
        refuses(of(&[q.clone(), f32s(&[2, 6, 5]), v.clone()]), Runtime, words);
        refuses(of(&[q.clone(), k.clone(), f32s(&[2, 7, 3])]), Runtime, words);
        refuses(of(&[q.clone(), k.clone(), f32s(&[4])]), Runtime, "at least 2 dimensional");
        refuses(of(&[q.clone(), k.clone(), Meta::new(&[2, 6, 3], DType::F64)]), Runtime, "float != double");
        let drop = |streams: Meta| infer(&op(0.5), &[q.clone(), k.clone(), v.clone(), streams]);
        assert_eq!(drop(Meta::new(&[2, 625], DType::I32)).unwrap()[..], [f32s(&[2, 5, 3]), f32s(&[2, 5])]);
        refuses(drop(Meta::new(&[3, 625], DType::I32)), Runtime, "takes 2 streams of random numbers");
        refuses(drop(Meta::new(&[2, 5, 6], DType::I32)), Runtime, "but got Int of shape [2, 5, 6]");
        refuses(drop(f32s(&[2, 625])), Runtime, "but got Float of shape");
        refuses(infer(&op(0.5), &[]), Type, "expects 3 or 4 inputs, but got 0");
        refuses(of(&[q, k]), Type, "expects 3 or 4 inputs, but got 2");
    }
}
