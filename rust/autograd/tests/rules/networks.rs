//! Cases of the operations that networks consist of.

use super::{floats, ints, Case};
use std::sync::Arc;
use wengert::{apply, Tensor};
use wengert_cpu::random::{streams, Generator, PLACE};
use wengert_ops::*;

/// Where the draws begin that drop the weights of so much attention.
fn places(entries: usize, queries: usize, keys: usize) -> Tensor {
    let places = streams(&mut Generator::new(3), entries, queries, keys).unwrap();
    Tensor::from_slice(&places, &[places.len() / PLACE, PLACE]).unwrap()
}

pub fn networks() -> Vec<Case> {
    let mut cases = Vec::new();
    for (a, b) in
        [(&[2, 3][..], &[3, 4][..]), (&[2, 2, 3], &[3, 4]), (&[2, 3], &[2, 3, 2]), (&[2, 1, 2, 3], &[3, 3, 2])]
    {
        for free in [&[0][..], &[1], &[0, 1]] {
            cases.push(Case::of(Op::Matmul, vec![floats(51, a), floats(52, b)]).only(free));
        }
    }
    for x in [&[2, 3][..], &[3], &[2, 2, 3]] {
        cases.push(Case::of(Op::Linear, vec![floats(53, x), floats(54, &[2, 3])]));
        cases.push(Case::of(Op::Linear, vec![floats(53, x), floats(54, &[2, 3]), floats(55, &[2])]));
        cases.push(Case::of(Op::Linear, vec![floats(53, x), floats(54, &[2, 3]), floats(55, &[2])]).only(&[1]));
    }
    for (row, keep) in [(Row::Gelu, true), (Row::Silu, true), (Row::Tanh, false), (Row::Sigmoid, false)] {
        let op = || Op::LinearThen { row, keep };
        cases.push(Case::of(op(), vec![floats(53, &[2, 2, 3]), floats(54, &[2, 3]), floats(55, &[2])]));
        cases.push(Case::of(op(), vec![floats(53, &[2, 3]), floats(54, &[2, 3])]).only(&[0]));
    }
    for log in [false, true] {
        for (dim, shape) in [(1, &[2, 3][..]), (0, &[3, 2]), (0, &[])] {
            cases.push(Case::of(Op::Softmax { dim, log }, vec![floats(56, shape)]));
        }
    }
    for reduction in [LossReduction::None, LossReduction::Mean, LossReduction::Sum] {
        let target = || ints(&[2, -7, 0, 1], &[4]);
        let op = Op::CrossEntropy { reduction, ignore_index: -7 };
        let loss = |x: &[Tensor], op: &Op| Ok(vec![apply(op.clone(), &[&x[0], &x[1]])?.swap_remove(0)]);
        cases.push(Case::via(op.clone(), vec![floats(57, &[4, 3]), target()], loss));
        cases.push(Case::of(op, vec![floats(57, &[4, 3]), target()]));
    }
    for dims in [1, 2] {
        let op = Op::LayerNorm { dims, centred: true, eps_bits: 1e-2f64.to_bits() };
        let first = |x: &[Tensor], op: &Op| Ok(vec![apply(op.clone(), &[&x[0]])?.swap_remove(0)]);
        cases.push(Case::via(op.clone(), vec![floats(58, &[2, 2, 3])], first));
        cases.push(Case::of(op.clone(), vec![floats(58, &[2, 2, 3])]));
        let normalized = &[2, 2, 3][3 - dims as usize..];
        let affine = || vec![floats(58, &[2, 2, 3]), floats(59, normalized), floats(60, normalized)];
        cases.push(Case::of(op.clone(), affine()));
        cases.push(Case::of(op.clone(), affine()[..2].to_vec()));
        for free in [0, 1, 2] {
            let first = |x: &[Tensor], op: &Op| Ok(vec![apply(op.clone(), &[&x[0], &x[1], &x[2]])?.swap_remove(0)]);
            cases.push(Case::via(op.clone(), affine(), first).only(&[free]));
        }
    }
    for (dims, inputs) in [(1, 1), (1, 2), (2, 1), (2, 2)] {
        let op = Op::LayerNorm { dims, centred: false, eps_bits: 1e-2f64.to_bits() };
        let all = [floats(81, &[2, 2, 3]), floats(82, &[2, 2, 3][3 - dims as usize..])];
        cases.push(Case::of(op.clone(), all[..inputs].to_vec()));
        cases.push(Case::of(op, all[..inputs].to_vec()).only(&[inputs - 1]));
    }
    for (groups, shape) in [(0, &[2, 4, 3][..]), (2, &[2, 4, 3]), (4, &[2, 4]), (1, &[1, 4, 2, 1])] {
        let op = Op::ChannelNorm { groups, eps_bits: 1e-2f64.to_bits() };
        let all = || vec![floats(78, shape), floats(79, &[4]), floats(80, &[4])];
        for inputs in 1..=3 {
            let refs = |x: &[Tensor], op: &Op| Ok(apply(op.clone(), &x.iter().collect::<Vec<_>>())?.into_vec());
            let first = move |x: &[Tensor], op: &Op| Ok(vec![refs(x, op)?.swap_remove(0)]);
            cases.push(Case::via(op.clone(), all()[..inputs].to_vec(), first));
            cases.push(Case::of(op.clone(), all()[..inputs].to_vec()));
            cases.push(Case::via(op.clone(), all()[..inputs].to_vec(), first).only(&[inputs - 1]));
        }
    }
    for (dims, keepdim) in [(0b010, false), (0b101, true), (0b111, false)] {
        let op = Op::VarMean { dims, keepdim, correction_bits: 0.5f64.to_bits() };
        let only = |k: usize| move |x: &[Tensor], op: &Op| Ok(vec![apply(op.clone(), &[&x[0]])?.swap_remove(k)]);
        cases.push(Case::via(op.clone(), vec![floats(75, &[2, 3, 2])], only(0)));
        cases.push(Case::via(op.clone(), vec![floats(75, &[2, 3, 2])], only(1)));
        cases.push(Case::of(op, vec![floats(75, &[2, 3, 2])]));
    }
    for k in 0..3 {
        let inputs = || vec![floats(76, &[2, 8]), floats(77, &[2, 2])];
        let only = move |x: &[Tensor], op: &Op| Ok(vec![apply(op.clone(), &[&x[0], &x[1]])?.swap_remove(k)]);
        cases.push(Case::via(Op::LstmCell, inputs(), only));
        if k == 0 {
            cases.push(Case::of(Op::LstmCell, inputs()));
            cases.push(Case::via(Op::LstmCell, inputs(), only).only(&[0]));
            cases.push(Case::via(Op::LstmCell, inputs(), only).only(&[1]));
        }
    }
    for reverse in [false, true] {
        let op = Op::Lstm { reverse };
        let inputs = |steps: usize| {
            vec![floats(78, &[steps, 2, 8]), floats(79, &[2, 2]), floats(80, &[2, 2]), floats(81, &[8, 2])]
        };
        for steps in [1, 3] {
            cases.push(Case::of(op.clone(), inputs(steps)));
            for k in 0..3 {
                let all = |x: &[Tensor], op: &Op| apply(op.clone(), &x.iter().collect::<Vec<_>>());
                let only = move |x: &[Tensor], op: &Op| Ok(vec![all(x, op)?.swap_remove(k)]);
                cases.push(Case::via(op.clone(), inputs(steps), only));
            }
        }
    }
    for (batch, causal, masked, keep) in [
        (&[][..], false, false, 1.0),
        (&[2][..], true, false, 1.0),
        (&[2, 1][..], false, true, 1.0),
        (&[2][..], true, false, 0.7),
        (&[2, 1][..], false, true, 0.7),
    ] {
        let op = Op::Attention { causal, scale_bits: 0.7f64.to_bits(), keep_bits: f64::to_bits(keep) };
        let shape = |own: [usize; 2]| [batch, &own[..]].concat();
        let inputs = || {
            let mut inputs = vec![floats(71, &shape([3, 2])), floats(72, &shape([4, 2])), floats(73, &shape([4, 3]))];
            inputs.extend(masked.then(|| floats(74, &shape([3, 4]))));
            inputs.extend((keep < 1.0).then(|| places(batch.iter().product(), 3, 4)));
            inputs
        };
        let first = |x: &[Tensor], op: &Op| Ok(vec![apply(op.clone(), &x.iter().collect::<Vec<_>>())?.swap_remove(0)]);
        cases.push(Case::via(op.clone(), inputs(), first));
        cases.push(Case::of(op, inputs()).only(&[0, 1, 2]));
    }
    for (x, w, stride, padding, dilation, groups) in [
        (&[2, 2, 5][..], &[3, 2, 2][..], &[2][..], &[1][..], &[1][..], 1),
        (&[1, 2, 4, 4], &[4, 1, 2, 3], &[1, 2], &[0, 1], &[2, 1], 2),
    ] {
        let spec = infer::conv_spec("conv", x, w, stride, padding, dilation, groups).unwrap();
        let y = infer::conv_output("conv", &spec).unwrap();
        let spec = Arc::new(spec);
        for (role, a, b) in [(ConvRole::Forward, x, w), (ConvRole::Input, &y, w), (ConvRole::Weight, &y, x)] {
            for free in [&[0][..], &[1], &[0, 1]] {
                let op = Op::Conv { role, spec: spec.clone() };
                cases.push(Case::of(op, vec![floats(61, a), floats(62, b)]).only(free));
            }
        }
    }
    for (stride, padding, ceil) in [(2, 0, false), (1, 1, true)] {
        let spec = infer::pool_spec("max_pool2d", 2, &[2], &[stride], &[padding], &[1], ceil).unwrap();
        cases.push(Case::of(Op::MaxPool(Arc::new(spec)), vec![floats(63, &[1, 2, 4, 4])]));
    }
    cases
}
