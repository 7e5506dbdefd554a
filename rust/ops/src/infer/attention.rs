//! Attention: queries over keys and values.

use super::fused::check_float;
use super::list;
use super::matmul::check_same_dtype;
use crate::error::Result;
use crate::fail;
use crate::layout::{broadcast_shapes, Dims};
use crate::op::Meta;
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

/// q `[…, l, e]`, k `[…, s, e]`, v `[…, s, d]` and perhaps a mask `[…, l, s]` under the same leading dims.
pub(super) fn attention(inputs: &[Meta]) -> Result<SmallVec<[Meta; 2]>> {
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
        let op = Op::Attention { causal: false, scale_bits: 1f64.to_bits() };
        let of = |inputs: &[Meta]| infer(&op, inputs);
        let (q, k, v) = (f32s(&[2, 5, 4]), f32s(&[2, 6, 4]), f32s(&[2, 6, 3]));
        assert_eq!(of(&[q.clone(), k.clone(), v.clone()]).unwrap()[..], [f32s(&[2, 5, 3]), f32s(&[2, 5])]);
        assert!(of(&[q.clone(), k.clone(), v.clone(), f32s(&[2, 5, 6])]).is_ok());
        let words = "do not fit one another: got shapes";
        refuses(of(&[q.clone(), k.clone(), v.clone(), f32s(&[2, 6, 5])]), Runtime, words);
        refuses(of(&[q.clone(), f32s(&[2, 6, 5]), v.clone()]), Runtime, words);
        refuses(of(&[q.clone(), k.clone(), f32s(&[2, 7, 3])]), Runtime, words);
        refuses(of(&[q.clone(), k.clone(), f32s(&[4])]), Runtime, "at least 2 dimensional");
        refuses(of(&[q.clone(), k.clone(), Meta::new(&[2, 6, 3], DType::F64)]), Runtime, "float != double");
        refuses(of(&[q, k]), Type, "expects 3 or 4 inputs, but got 2");
    }
}
