//! Attention, and the dropping of its weights.

use crate::buffer::Device;
use crate::dispatch::apply1;
use crate::mode::GradMode;
use crate::rules::attention::{definition, How};
use crate::tensor::Tensor;
use smallvec::SmallVec;
use wengert_cpu::random::{streams, Generator, PLACE};
use wengert_ops::layout::numel;
use wengert_ops::{fail, infer, DType, Dims, Meta, Op, Result, STREAM_ROWS};

/// Which weights of one attention are dropped: that is drawn beforehand, from one generator in row-major order, and nothing
/// kept of it but where the draws begin, on the CPU for each block of queries, on a GPU the key that it counts under.
pub struct AttentionDropout {
    keep: f64,
    /// Places or keys; zeros of all weights where none is kept.
    drawn: Tensor,
}

impl AttentionDropout {
    /// For the operands of [`Tensor::attention`]; a weight is dropped with the probability `p`. Nothing where that is 0.
    pub fn draw(
        query: &Tensor,
        key: &Tensor,
        value: &Tensor,
        mask: Option<&Tensor>,
        p: f64,
        generator: &mut Generator,
    ) -> Result<Option<AttentionDropout>> {
        if !(0.0..=1.0).contains(&p) {
            fail!(runtime, "dropout probability has to be between 0 and 1, but got {p}");
        }
        let (batch, operands) = {
            let _off = GradMode::set(false);
            operands(query, key, value, mask)?
        };
        // What attention would refuse draws nothing.
        let metas: SmallVec<[Meta; 5]> = operands.iter().map(|t| Meta::new(&t.shape(), t.dtype())).collect();
        infer::infer(&op(false, 1.0, 1.0), &metas)?;
        let ([l, s], device) = (weights(query, key), query.device());
        let (keep, entries) = (1.0 - p, numel(&batch));
        if p == 0.0 || device == Device::Meta {
            return Ok(None);
        }
        let drawn = if p == 1.0 {
            let mut shape = batch;
            shape.extend([l, s]);
            Tensor::zeros(&shape, query.dtype(), device)?
        } else if device == Device::Cpu {
            let places = streams(generator, entries, l, s)?;
            Tensor::from_slice(&places, &[places.len() / PLACE, PLACE])?
        } else {
            let key = generator.next_u64();
            let words = Tensor::from_slice(&[key as i32, (key >> 32) as i32], &[1, 2])?.to_device(device)?;
            words.expand_to(&[entries.saturating_mul(l.div_ceil(STREAM_ROWS)), 2])?
        };
        Ok(Some(AttentionDropout { keep, drawn }))
    }
}

/// The operands, of the leading dims that they share.
fn operands(
    query: &Tensor,
    key: &Tensor,
    value: &Tensor,
    mask: Option<&Tensor>,
) -> Result<(Dims, SmallVec<[Tensor; 5]>)> {
    let given: SmallVec<[&Tensor; 4]> = [Some(query), Some(key), Some(value), mask].into_iter().flatten().collect();
    let shapes: SmallVec<[Dims; 4]> = given.iter().map(|t| t.shape()).collect();
    let shapes: SmallVec<[&[usize]; 4]> = shapes.iter().map(|s| &s[..]).collect();
    let batch = infer::attention_batch(&shapes)?;
    let mut all = SmallVec::new();
    for (i, t) in given.into_iter().enumerate() {
        let own = match i {
            3 => weights(query, key),
            _ => [shapes[i][shapes[i].len() - 2], shapes[i][shapes[i].len() - 1]],
        };
        let mut shape = batch.clone();
        shape.extend(own);
        all.push(if shapes[i] == &shape[..] { t.clone() } else { t.expand_to(&shape)? });
    }
    Ok((batch, all))
}

fn op(causal: bool, scale: f64, keep: f64) -> Op {
    Op::Attention { causal, scale_bits: scale.to_bits(), keep_bits: keep.to_bits() }
}

/// How many weights a matrix of them has: queries by keys.
fn weights(query: &Tensor, key: &Tensor) -> [usize; 2] {
    [query, key].map(|t| t.shape()).map(|shape| shape[shape.len() - 2])
}

impl Tensor {
    /// Attention of these queries `[…, l, e]` over keys `[…, s, e]` and values `[…, s, d]`, whose leading dims
    /// broadcast: `softmax(q kᵀ · scale + mask) v`. Causal, query i sees keys 0 … i alone. A query that sees no key
    /// gets zeros. The scores of all queries and keys are never in memory at once, except where all weights are dropped.
    ///
    /// Dao et al., "FlashAttention" (2022), <https://arxiv.org/abs/2205.14135>.
    pub fn attention(
        &self,
        key: &Tensor,
        value: &Tensor,
        mask: Option<&Tensor>,
        causal: bool,
        scale: f64,
        dropout: Option<&AttentionDropout>,
    ) -> Result<Tensor> {
        let (_, mut inputs) = operands(self, key, value, mask)?;
        let mut keep = 1.0;
        if let Some(dropout) = dropout {
            if dropout.drawn.dtype() != DType::I32 {
                let how = How { causal, scale, keep: 1.0 };
                let inputs: SmallVec<[&Tensor; 4]> = inputs.iter().collect();
                return Ok(definition(how, &inputs, Some(&dropout.drawn))?.swap_remove(0));
            }
            keep = dropout.keep;
            inputs.push(dropout.drawn.clone());
        }
        let inputs: SmallVec<[&Tensor; 5]> = inputs.iter().collect();
        apply1(op(causal, scale, keep), &inputs)
    }
}
