//! Softmax, cross-entropy and layer norm, forwards and backwards, against the CPU.

mod support;

use smallvec::SmallVec;
use support::{agree, bytes, gpu, Both, Draw};
use wengert_cpu::Cpu;
use wengert_gpu::{as_on_hardware, Gpu};
use wengert_ops::layout::expand_to;
use wengert_ops::{Backend, DType, Layout, LossReduction, Op};

fn normal(draw: &mut Draw, count: usize) -> Vec<f64> {
    (0..count).map(|_| f64::from((draw.within(-3.0, 3.0) + draw.within(-3.0, 3.0)) as f32)).collect()
}

/// Runs an op, or its gradient, on both; the outputs, of these shapes, must be close.
fn check(gpu: Gpu, op: &Op, vjp: bool, inputs: &[&Both], shapes: &[&[usize]], absolute: f64) {
    for hardware in [false, true] {
        as_on_hardware(hardware);
        let outputs: Vec<Both> = shapes.iter().map(|s| Both::zeros(gpu, s, DType::F32)).collect();
        let (a, b): (Vec<_>, Vec<_>) = inputs.iter().map(|x| (x.on_cpu(), x.on_gpu())).unzip();
        let (p, q): (Vec<_>, Vec<_>) = outputs.iter().map(|y| (y.out_cpu(), y.out_gpu())).unzip();
        let what = format!("{op:?} of {:?}, vjp {vjp}, hardware {hardware}", inputs[0].layout);
        let (cpu, there) = match vjp {
            false => (Cpu.fused(op, &a, &p), gpu.fused(op, &b, &q)),
            true => (Cpu.fused_vjp(op, &a, &p), gpu.fused_vjp(op, &b, &q)),
        };
        if let (Ok(a), Ok(b)) = (&cpu, &there) {
            assert!(a == b, "{what}: {a} on the CPU, {b} on the GPU");
        }
        let failed = cpu.is_err();
        agree(&what, cpu.map(|_| ()), there.map(|_| ()));
        if !failed {
            outputs.iter().enumerate().for_each(|(k, y)| y.assert_close(4.0, absolute, &format!("{what}: output {k}")));
        }
    }
}

#[test]
fn softmax() {
    let Some(gpu) = gpu() else { return };
    let mut draw = Draw(3);
    for (shape, dim) in [
        (&[5, 10][..], 1),
        (&[300, 33], 1),
        (&[3, 700], 1),
        (&[70, 1100], 1),
        (&[4, 30, 20], 1),
        (&[9, 5000], 0),
        (&[40, 3, 5], 1),
        (&[], 0),
        (&[0, 4], 1),
        (&[4, 0], 1),
    ] {
        let count: usize = shape.iter().product();
        let x = Both::of(gpu, &normal(&mut draw, count), shape, DType::F32);
        let g = Both::of(gpu, &normal(&mut draw, count), shape, DType::F32);
        for log in [false, true] {
            let op = Op::Softmax { dim, log };
            check(gpu, &op, false, &[&x], &[shape], 1e-6);
            let y = Both::zeros(gpu, shape, DType::F32);
            Cpu.fused(&op, &[x.on_cpu()], &[y.out_cpu()]).unwrap();
            let y = Both::of(gpu, &support::numbers(&y.contents().0, DType::F32), shape, DType::F32);
            check(gpu, &op, true, &[&g, &y], &[shape], 4e-6);
        }
    }
}

#[test]
fn softmax_of_any_layout_and_of_infinities() {
    let Some(gpu) = gpu() else { return };
    let mut draw = Draw(5);
    let (nan, inf) = (f64::NAN, f64::INFINITY);
    let rows = [
        1.0, nan, 2.0, -inf, -inf, -inf, inf, 1.0, 2.0, -inf, 3.0, -inf, 1e30, -1e30, 0.0, -200.0, 0.0, -80.0, nan,
        nan, nan, inf, inf, 0.0,
    ];
    for log in [false, true] {
        let op = Op::Softmax { dim: 1, log };
        let x = Both::of(gpu, &rows, &[8, 3], DType::F32);
        check(gpu, &op, false, &[&x], &[&[8, 3]], 1e-6);
        let layout = Layout::strided(SmallVec::from_slice(&[8, 9]), SmallVec::from_slice(&[-1, 8]), 10);
        let x = Both::new(gpu, &bytes(&normal(&mut draw, 90), DType::F32), layout, DType::F32);
        check(gpu, &op, false, &[&x], &[&[8, 9]], 1e-6);
        let one = Both::of(gpu, &[0.7], &[1, 1], DType::F32);
        let g = one.seen(expand_to(&Layout::contiguous(&[1, 1]), &[8, 9]));
        check(gpu, &op, true, &[&g, &x], &[&[8, 9]], 1e-3);
    }
    let x = Both::of(gpu, &[0.0; 6], &[2, 3], DType::F16);
    check(gpu, &Op::Softmax { dim: 1, log: false }, false, &[&x], &[&[2, 3]], 0.0);
}

#[test]
fn cross_entropy() {
    let Some(gpu) = gpu() else { return };
    let mut draw = Draw(7);
    for (n, c) in [(6, 5), (500, 10), (70, 900), (1, 1), (0, 3), (20_000, 2)] {
        for reduction in [LossReduction::None, LossReduction::Mean, LossReduction::Sum] {
            for ignore_index in [-100, 1] {
                let op = Op::CrossEntropy { reduction, ignore_index };
                let targets: Vec<f64> = (0..n).map(|_| if c == 1 { 0.0 } else { draw.below(c) as f64 }).collect();
                let x = Both::of(gpu, &normal(&mut draw, n * c), &[n, c], DType::F32);
                let t = Both::of(gpu, &targets, &[n], DType::I64);
                let scalar: &[usize] = if reduction == LossReduction::None { &[n] } else { &[] };
                check(gpu, &op, false, &[&x, &t], &[scalar, &[n, c]], 2e-6);
                let saved = Both::of(gpu, &normal(&mut draw, n * c), &[n, c], DType::F32);
                let logits = Op::Softmax { dim: 1, log: true };
                Cpu.fused(&logits, &[x.on_cpu()], &[saved.out_cpu()]).unwrap();
                gpu.fused(&logits, &[x.on_gpu()], &[saved.out_gpu()]).unwrap();
                let g = Both::of(gpu, &normal(&mut draw, scalar.iter().product()), scalar, DType::F32);
                check(gpu, &op, true, &[&g, &saved, &t], &[&[n, c]], 4e-6);
            }
        }
    }
}

#[test]
fn cross_entropy_of_wrong_targets() {
    let Some(gpu) = gpu() else { return };
    let mut draw = Draw(9);
    let op = Op::CrossEntropy { reduction: LossReduction::Mean, ignore_index: -100 };
    let x = Both::of(gpu, &normal(&mut draw, 12), &[4, 3], DType::F32);
    for targets in [[0.0, 3.0, 9.0, 1.0], [0.0, -1.0, 1.0, 2.0], [-100.0, 1.0, 1e12, 5.0], [-100.0; 4]] {
        let t = Both::of(gpu, &targets, &[4], DType::I64);
        check(gpu, &op, false, &[&x, &t], &[&[], &[4, 3]], 1e-6);
    }
    let t = Both::of(gpu, &[0.0; 4], &[4], DType::I32);
    check(gpu, &op, false, &[&x, &t], &[&[], &[4, 3]], 1e-6);
    let t = Both::of(gpu, &[0.0; 3], &[3], DType::I64);
    check(gpu, &op, false, &[&x, &t], &[&[], &[4, 3]], 1e-6);
    // Every other of eight, from the end.
    let layout = Layout::strided(SmallVec::from_slice(&[4]), SmallVec::from_slice(&[-2]), 7);
    let t = Both::of(gpu, &[9.0, 1.0, 9.0, 2.0, 9.0, 0.0, 9.0, 1.0], &[8], DType::I64).seen(layout);
    check(gpu, &op, false, &[&x, &t], &[&[], &[4, 3]], 1e-6);
}

#[test]
fn layer_norm() {
    let Some(gpu) = gpu() else { return };
    let mut draw = Draw(11);
    for (shape, dims) in
        [(&[6, 32][..], 1), (&[200, 40], 1), (&[3, 1500], 1), (&[4, 5, 6], 2), (&[7], 1), (&[0, 3], 1), (&[3, 0], 1)]
    {
        let op = Op::LayerNorm { dims, centred: true, eps_bits: 1e-5f64.to_bits() };
        let count: usize = shape.iter().product();
        let lead = &shape[..shape.len() - dims as usize];
        let x = Both::of(gpu, &normal(&mut draw, count), shape, DType::F32);
        let g = Both::of(gpu, &normal(&mut draw, count), shape, DType::F32);
        check(gpu, &op, false, &[&x], &[shape, lead, lead], 2e-6);
        let rows: usize = lead.iter().product();
        let mean = Both::of(gpu, &normal(&mut draw, rows), lead, DType::F32);
        let rstd = Both::of(gpu, &vec![0.6; rows], lead, DType::F32);
        check(gpu, &op, true, &[&g, &x, &mean, &rstd], &[shape], 2e-5);
    }
    let layout = Layout::strided(SmallVec::from_slice(&[8, 9]), SmallVec::from_slice(&[1, 8]), 3);
    let x = Both::new(gpu, &bytes(&normal(&mut draw, 90), DType::F32), layout, DType::F32);
    let op = Op::LayerNorm { dims: 1, centred: true, eps_bits: 1e-5f64.to_bits() };
    check(gpu, &op, false, &[&x], &[&[8, 9], &[8], &[8]], 2e-6);
}

#[test]
fn attention() {
    let Some(gpu) = gpu() else { return };
    let mut draw = Draw(13);
    let cases: [(&[usize], [usize; 4]); 7] = [
        (&[2], [3, 4, 5, 3]),
        (&[2, 3], [5, 70, 8, 4]),
        (&[], [1, 1, 1, 1]),
        (&[1, 2], [40, 33, 16, 20]),
        (&[2], [0, 3, 2, 2]),
        (&[2], [3, 0, 2, 2]),
        (&[0], [3, 2, 2, 2]),
    ];
    for (lead, [l, s, e, d]) in cases {
        let shape = |own: &[usize]| [lead, own].concat();
        let mut array = |shape: &[usize]| {
            let count: usize = shape.iter().product();
            Both::of(gpu, &normal(&mut draw, count), shape, DType::F32)
        };
        let [q, k, v] = [[l, e], [s, e], [s, d]].map(|own| array(&shape(&own)));
        let g = array(&shape(&[l, d]));
        // One mask for all, of which the first query sees nothing.
        let mut hiding = normal(&mut Draw(5), l * s);
        hiding.iter_mut().take(s).for_each(|x| *x = f64::NEG_INFINITY);
        let strides = [&vec![0; lead.len()][..], &[s as isize, 1]].concat();
        let over = Layout::strided(shape(&[l, s]).into(), strides.into(), 0);
        let mask = Both::of(gpu, &hiding, &[l * s], DType::F32).seen(over);
        for (causal, masked) in [(false, false), (true, false), (false, true), (true, true)] {
            let op = Op::Attention { causal, scale_bits: 0.1f64.to_bits(), keep_bits: 1f64.to_bits() };
            let mask: Vec<&Both> = masked.then_some(&mask).into_iter().collect();
            let inputs = [&[&q, &k, &v][..], &mask].concat();
            let outputs = [&shape(&[l, d])[..], &shape(&[l])];
            check(gpu, &op, false, &inputs, &outputs, 2e-5);
            // What the CPU finds is what both go on with.
            let made = outputs.map(|shape| Both::zeros(gpu, shape, DType::F32));
            let views: Vec<_> = inputs.iter().map(|x| x.on_cpu()).collect();
            assert!(Cpu.fused(&op, &views, &made.each_ref().map(|x| x.out_cpu())).unwrap());
            let [y, sums] = made.map(|x| Both::new(gpu, &x.contents().0, x.layout.clone(), DType::F32));
            let inputs = [&[&g, &q, &k, &v, &y, &sums][..], &mask].concat();
            check(gpu, &op, true, &inputs, &[&shape(&[l, e]), &shape(&[s, e]), &shape(&[s, d])], 1e-4);
        }
    }
    // Heads that stand between the positions, as a layer of attention gives them.
    let between = Layout::strided([2, 3, 5, 4].into_iter().collect(), [60, 4, 12, 1].into_iter().collect(), 0);
    let [q, k, v] = [1, 2, 3]
        .map(|seed| Both::new(gpu, &bytes(&normal(&mut Draw(seed), 120), DType::F32), between.clone(), DType::F32));
    let op = Op::Attention { causal: true, scale_bits: 0.5f64.to_bits(), keep_bits: 1f64.to_bits() };
    check(gpu, &op, false, &[&q, &k, &v], &[&[2, 3, 5, 4], &[2, 3, 5]], 2e-5);
}

#[test]
fn rows_too_wide_for_attention_are_left_to_its_definition() {
    let Some(gpu) = gpu() else { return };
    let x = Both::of(gpu, &[0.5; 129], &[1, 129], DType::F32);
    let (y, sums) = (Both::of(gpu, &[0.0; 129], &[1, 129], DType::F32), Both::of(gpu, &[0.0], &[1], DType::F32));
    let op = Op::Attention { causal: false, scale_bits: 1f64.to_bits(), keep_bits: 1f64.to_bits() };
    assert!(!gpu.fused(&op, &[x.on_gpu(); 3], &[y.out_gpu(), sums.out_gpu()]).unwrap());
    // Streams that are not a key, as those of the CPU, are refused.
    let x = Both::of(gpu, &[0.5; 8], &[1, 8], DType::F32);
    let (y, streams) = (Both::of(gpu, &[0.0; 8], &[1, 8], DType::F32), Both::of(gpu, &[0.0], &[1, 1], DType::I32));
    let op = Op::Attention { causal: false, scale_bits: 1f64.to_bits(), keep_bits: 0.5f64.to_bits() };
    let inputs = [x.on_gpu(), x.on_gpu(), x.on_gpu(), streams.on_gpu()];
    let refusal = gpu.fused(&op, &inputs, &[y.out_gpu(), sums.out_gpu()]).unwrap_err();
    assert!(refusal.message().contains("a key of a GPU is two words"), "{refusal}");
}
