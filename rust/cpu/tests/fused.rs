//! Fused kernels against their definitions, and their gradients against finite differences.

mod arrays;

use arrays::{close, slope, tolerance, Array};
use std::sync::Arc;
use wengert_cpu::fused::{fused, fused_vjp};
use wengert_ops::{DType, ErrorKind, LossReduction, Op, Row};

fn run(op: &Op, inputs: &[&Array], outputs: &[&Array]) {
    let inputs: Vec<_> = inputs.iter().map(|x| x.view()).collect();
    let outputs: Vec<_> = outputs.iter().map(|x| x.out()).collect();
    assert!(fused(op, &inputs, &outputs).unwrap());
}

fn run_vjp(op: &Op, inputs: &[&Array], out: &Array) {
    back(op, inputs, &[out]);
}

fn back(op: &Op, inputs: &[&Array], outputs: &[&Array]) {
    let inputs: Vec<_> = inputs.iter().map(|x| x.view()).collect();
    let outputs: Vec<_> = outputs.iter().map(|x| x.out()).collect();
    assert!(fused_vjp(op, &inputs, &outputs).unwrap());
}

/// Softmax of dense values along the middle of (outer, n, inner).
fn softmax(x: &[f64], n: usize, inner: usize, log: bool) -> Vec<f64> {
    let mut y = vec![0.0; x.len()];
    for o in 0..x.len() / (n * inner) {
        for i in 0..inner {
            let at = |p: usize| (o * n + p) * inner + i;
            let top = (0..n).fold(f64::NEG_INFINITY, |m, p| m.max(x[at(p)]));
            let total: f64 = (0..n).map(|p| (x[at(p)] - top).exp()).sum();
            for p in 0..n {
                let v = x[at(p)] - top - total.ln();
                y[at(p)] = if log { v } else { v.exp() };
            }
        }
    }
    y
}

#[test]
fn softmax_along_any_dim_of_any_strides() {
    let shape = [3, 5, 70];
    for dtype in [DType::F32, DType::F64] {
        let x = Array::noise(dtype, &shape, 1);
        for dim in 0..3 {
            let (n, inner) = (shape[dim], shape[dim + 1..].iter().product());
            for log in [false, true] {
                let (op, wanted) = (Op::Softmax { dim: dim as u8, log }, softmax(&x.f64s(), n, inner, log));
                for x in [&x, &x.restride(&[2, 0, 1], 2)] {
                    let y = Array::zeros(dtype, &shape);
                    run(&op, &[x], &[&y]);
                    close(&y.f64s(), &wanted, dtype.finfo().unwrap().eps * 4.0);
                }
            }
        }
    }
}

#[test]
fn softmax_of_extremes_follows_pytorch() {
    let inf = f64::INFINITY;
    for dtype in [DType::F32, DType::F64] {
        let x = Array::of(dtype, &[4, 2], &[-inf, 0.0, -inf, -inf, 1000.0, -1000.0, f64::NAN, 1.0]);
        let y = Array::zeros(dtype, &[4, 2]);
        run(&Op::Softmax { dim: 1, log: false }, &[&x], &[&y]);
        close(&y.f64s(), &[0.0, 1.0, f64::NAN, f64::NAN, 1.0, 0.0, f64::NAN, f64::NAN], 0.0);
        run(&Op::Softmax { dim: 1, log: true }, &[&x], &[&y]);
        close(&y.f64s(), &[-inf, 0.0, f64::NAN, f64::NAN, 0.0, -2000.0, f64::NAN, f64::NAN], 0.0);
    }
    let scalar = Array::f64(&[], &[3.0]);
    let y = Array::f64(&[], &[0.0]);
    run(&Op::Softmax { dim: 0, log: false }, &[&scalar], &[&y]);
    assert_eq!(y.f64s(), [1.0]);
}

#[test]
fn softmax_gradients_match_differences() {
    let shape = [2, 3, 4];
    let (x, g) = (Array::noise(DType::F64, &shape, 1), Array::noise(DType::F64, &shape, 2));
    for dim in 0..3 {
        for log in [false, true] {
            let op = Op::Softmax { dim: dim as u8, log };
            let (y, gx) = (Array::zeros(DType::F64, &shape), Array::zeros(DType::F64, &shape));
            run(&op, &[&x], &[&y]);
            run_vjp(&op, &[&g.restride(&[1, 2, 0], 1), &y], &gx);
            let inner = shape[dim + 1..].iter().product();
            close(&gx.f64s(), &slope(&x.f64s(), &g.f64s(), |x| softmax(x, shape[dim], inner, log)), 1e-8);
        }
    }
}

#[test]
fn linear_adds_the_bias_over_any_leading_dims() {
    for dtype in [DType::F32, DType::F64] {
        for (lead, k, n) in
            [(vec![16], 2, 3), (vec![], 5, 2), (vec![2, 3], 4, 9), (vec![33], 40, 50), (vec![4, 5], 64, 1)]
        {
            let rows: usize = lead.iter().product();
            let (x_shape, y_shape) = ([&lead[..], &[k]].concat(), [&lead[..], &[n]].concat());
            let (x, w, b) =
                (Array::noise(dtype, &x_shape, 1), Array::noise(dtype, &[n, k], 2), Array::noise(dtype, &[n], 3));
            let (xv, wv, bv) = (x.f64s(), w.f64s(), b.f64s());
            for bias in [false, true] {
                let wanted: Vec<f64> = (0..rows * n)
                    .map(|p| {
                        let (i, j) = (p / n, p % n);
                        let start = if bias { bv[j] } else { 0.0 };
                        (0..k).fold(start, |s, q| s + xv[i * k + q] * wv[j * k + q])
                    })
                    .collect();
                let order: Vec<usize> = (0..x_shape.len()).rev().collect();
                for (x, w, b) in [(&x, &w, &b), (&x.restride(&order, 1), &w.restride(&[1, 0], 2), &b.restride(&[0], 3))]
                {
                    let y = Array::zeros(dtype, &y_shape);
                    let inputs = if bias { vec![x, w, b] } else { vec![x, w] };
                    run(&Op::Linear, &inputs, &[&y]);
                    close(&y.f64s(), &wanted, dtype.finfo().unwrap().eps * 8.0);
                }
            }
        }
    }
}

#[test]
fn linear_is_followed_by_a_row() {
    // Tiny, row by row along the depth, a vector, one column, blocks on one thread and on several, and a depth of two blocks.
    let sizes =
        [[2, 3, 4], [6, 200, 70], [1, 300, 40], [90, 70, 1], [70, 50, 90], [300, 90, 400], [40, 1100, 70], [3, 0, 5]];
    for (dtype, [m, k, n]) in [DType::F32, DType::F64].into_iter().flat_map(|d| sizes.map(|s| (d, s))) {
        let (x, w, b) =
            (Array::noise(dtype, &[m, k], 1), Array::noise(dtype, &[n, k], 2), Array::noise(dtype, &[n], 3));
        for inputs in [vec![&x, &w], vec![&x, &w, &b]] {
            let wanted = Array::zeros(dtype, &[m, n]);
            run(&Op::Linear, &inputs, &[&wanted]);
            for row in [Row::Relu, Row::Gelu, Row::Tanh] {
                let of_sums: Vec<f64> = wanted.f64s().iter().map(|&s| row.eval(&[s])).collect();
                let (y, sums) = (Array::zeros(dtype, &[m, n]), Array::zeros(dtype, &[m, n]));
                run(&Op::LinearThen { row, keep: false }, &inputs, &[&y]);
                close(&y.f64s(), &of_sums, dtype.finfo().unwrap().eps * 8.0);
                let y = Array::zeros(dtype, &[m, n]);
                run(&Op::LinearThen { row, keep: true }, &inputs, &[&y, &sums]);
                close(&y.f64s(), &of_sums, dtype.finfo().unwrap().eps * 8.0);
                assert_eq!(sums.f64s(), wanted.f64s(), "{m}×{k}×{n}");
            }
        }
    }
}

#[test]
fn cross_entropy_ignores_averages_and_differentiates() {
    let (n, c, targets) = (5, 4, [3i64, 0, -100, 2, 1]);
    let logits = Array::noise(DType::F64, &[n, c], 1);
    let target = Array::of(DType::I64, &[n], &targets);
    let terms = |x: &[f64]| -> Vec<f64> {
        let y = softmax(x, c, 1, true);
        targets.iter().enumerate().map(|(i, &t)| if t == -100 { 0.0 } else { -y[i * c + t as usize] }).collect()
    };
    for reduction in [LossReduction::None, LossReduction::Sum, LossReduction::Mean] {
        let op = Op::CrossEntropy { reduction, ignore_index: -100 };
        let loss = |x: &[f64]| -> Vec<f64> {
            let (terms, total) = (terms(x), terms(x).iter().sum::<f64>());
            match reduction {
                LossReduction::None => terms,
                LossReduction::Sum => vec![total],
                LossReduction::Mean => vec![total / 4.0],
            }
        };
        let shape: &[usize] = if reduction == LossReduction::None { &[n] } else { &[] };
        let (y, saved, gx) =
            (Array::zeros(DType::F64, shape), Array::zeros(DType::F64, &[n, c]), Array::zeros(DType::F64, &[n, c]));
        run(&op, &[&logits.restride(&[1, 0], 1), &target.restride(&[0], 2)], &[&y, &saved]);
        close(&y.f64s(), &loss(&logits.f64s()), 1e-14);
        let g = Array::noise(DType::F64, shape, 9);
        run_vjp(&op, &[&g, &saved, &target], &gx);
        close(&gx.f64s(), &slope(&logits.f64s(), &g.f64s(), loss), 1e-8);
    }
}

#[test]
fn cross_entropy_refuses_foreign_targets_and_averages_nothing_to_nan() {
    let op = Op::CrossEntropy { reduction: LossReduction::Mean, ignore_index: -100 };
    let (logits, loss, saved) =
        (Array::noise(DType::F32, &[2, 3], 1), Array::zeros(DType::F32, &[]), Array::zeros(DType::F32, &[2, 3]));
    for bad in [7i64, -1, i64::MIN] {
        let target = Array::of(DType::I64, &[2], &[0, bad]);
        let error = fused(&op, &[logits.view(), target.view()], &[loss.out(), saved.out()]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Index);
        assert_eq!(error.message(), format!("Target {bad} is out of bounds."));
    }
    let target = Array::of(DType::I64, &[2], &[-100i64, -100]);
    run(&op, &[&logits, &target], &[&loss, &saved]);
    assert!(loss.f64s()[0].is_nan());
}

#[test]
fn channel_norm_and_its_gradient() {
    for (groups, shape) in
        [(0, vec![3, 4, 20]), (2, vec![3, 4, 20]), (4, vec![2, 4, 5, 7]), (0, vec![2, 3]), (1, vec![1, 2, 1])]
    {
        let (batch, channels, length) = (shape[0], shape[1], shape[2..].iter().product::<usize>());
        let op = Op::ChannelNorm { groups, eps_bits: 1e-5f64.to_bits() };
        // The unit and the channel of each element.
        let unit = |i: usize| match groups as usize {
            0 => i / length % channels,
            g => i / (length * channels) * g + i / length % channels / (channels / g),
        };
        let units = if groups == 0 { channels } else { batch * groups as usize };
        let count = (batch * channels * length / units) as f64;
        let means = |of: &dyn Fn(usize) -> f64| {
            let mut means = vec![0.0; units];
            (0..batch * channels * length).for_each(|i| means[unit(i)] += of(i) / count);
            means
        };
        let stats = |x: &[f64]| -> [Vec<f64>; 2] {
            let mean = means(&|i| x[i]);
            let variance = means(&|i| (x[i] - mean[unit(i)]).powi(2));
            [mean, variance]
        };
        let affine = |x: &[f64], w: &[f64], b: &[f64]| -> Vec<f64> {
            let [mean, variance] = stats(x);
            let hat = |i: usize| (x[i] - mean[unit(i)]) / (variance[unit(i)] + 1e-5).sqrt();
            (0..x.len()).map(|i| hat(i) * w[i / length % channels] + b[i / length % channels]).collect()
        };
        for dtype in [DType::F32, DType::F64] {
            let (x, g) = (Array::noise(dtype, &shape, 1), Array::noise(dtype, &shape, 2));
            let (w, b) = (Array::noise(dtype, &[channels], 3), Array::noise(dtype, &[channels], 4));
            let (y, gx) = (Array::zeros(dtype, &shape), Array::zeros(dtype, &shape));
            let (mean, variance) = (Array::zeros(dtype, &[units]), Array::zeros(dtype, &[units]));
            let (xs, ws, bs, gs) = (x.f64s(), w.f64s(), b.f64s(), g.f64s());
            let (ones, zeros) = (vec![1.0; channels], vec![0.0; channels]);
            let tolerance = dtype.finfo().unwrap().eps * 64.0;
            let loose = tolerance.max(1e-6);
            let order: Vec<usize> = (0..shape.len()).rev().collect();
            run(&op, &[&x.restride(&order, 1)], &[&y, &mean, &variance]);
            close(&y.f64s(), &affine(&xs, &ones, &zeros), tolerance);
            close(&mean.f64s(), &stats(&xs)[0], tolerance);
            close(&variance.f64s(), &stats(&xs)[1], tolerance);
            run_vjp(&op, &[&g, &x, &mean, &variance], &gx);
            close(&gx.f64s(), &slope(&xs, &gs, |x| affine(x, &ones, &zeros)), loose);
            run(&op, &[&x, &w], &[&y, &mean, &variance]);
            close(&y.f64s(), &affine(&xs, &ws, &zeros), tolerance);
            run(&op, &[&x, &w, &b], &[&y, &mean, &variance]);
            close(&y.f64s(), &affine(&xs, &ws, &bs), tolerance);
            let (gw, gb) = (Array::zeros(dtype, &[channels]), Array::zeros(dtype, &[channels]));
            let inputs = [&g, &x, &mean, &variance, &w].map(Array::view);
            assert!(fused_vjp(&op, &inputs, &[gx.out(), gw.out(), gb.out()]).unwrap());
            close(&gx.f64s(), &slope(&xs, &gs, |x| affine(x, &ws, &bs)), loose);
            close(&gw.f64s(), &slope(&ws, &gs, |w| affine(&xs, w, &bs)), loose);
            close(&gb.f64s(), &slope(&bs, &gs, |b| affine(&xs, &ws, b)), loose);
        }
    }
}

#[test]
fn layer_norm_and_its_gradient() {
    for (shape, dims) in [(vec![3, 5], 1), (vec![2, 3, 20], 2), (vec![7], 1), (vec![2, 40], 1)] {
        let n: usize = shape[shape.len() - dims..].iter().product();
        let rows: usize = shape[..shape.len() - dims].iter().product();
        let op = Op::LayerNorm { dims: dims as u8, centred: true, eps_bits: 1e-5f64.to_bits() };
        let definition = |x: &[f64]| -> Vec<f64> {
            x.chunks(n)
                .flat_map(|row| {
                    let mean = row.iter().sum::<f64>() / n as f64;
                    let variance = row.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / n as f64;
                    row.iter().map(move |v| (v - mean) / (variance + 1e-5).sqrt()).collect::<Vec<_>>()
                })
                .collect()
        };
        for dtype in [DType::F32, DType::F64] {
            let (x, g) = (Array::noise(dtype, &shape, 1), Array::noise(dtype, &shape, 2));
            let (y, gx) = (Array::zeros(dtype, &shape), Array::zeros(dtype, &shape));
            let (mean, rstd) = (Array::zeros(dtype, &[rows]), Array::zeros(dtype, &[rows]));
            let order: Vec<usize> = (0..shape.len()).rev().collect();
            run(&op, &[&x.restride(&order, 1)], &[&y, &mean, &rstd]);
            let tolerance = dtype.finfo().unwrap().eps * 16.0;
            close(&y.f64s(), &definition(&x.f64s()), tolerance);
            run_vjp(&op, &[&g, &x, &mean, &rstd], &gx);
            close(&gx.f64s(), &slope(&x.f64s(), &g.f64s(), definition), tolerance.max(1e-7));

            let normalized = &shape[shape.len() - dims..];
            let (w, b) = (Array::noise(dtype, normalized, 3), Array::noise(dtype, normalized, 4));
            let affine = |x: &[f64], w: &[f64], b: &[f64]| -> Vec<f64> {
                definition(x).iter().enumerate().map(|(i, hat)| hat * w[i % n] + b[i % n]).collect()
            };
            run(&op, &[&x.restride(&order, 1), &w, &b], &[&y, &mean, &rstd]);
            let (xs, ws, bs) = (x.f64s(), w.f64s(), b.f64s());
            close(&y.f64s(), &affine(&xs, &ws, &bs), tolerance);
            let (gw, gb) = (Array::zeros(dtype, normalized), Array::zeros(dtype, normalized));
            let inputs = [&g, &x, &mean, &rstd, &w].map(Array::view);
            assert!(fused_vjp(&op, &inputs, &[gx.out(), gw.out(), gb.out()]).unwrap());
            let loose = tolerance.max(1e-7);
            close(&gx.f64s(), &slope(&xs, &g.f64s(), |x| affine(x, &ws, &bs)), loose);
            close(&gw.f64s(), &slope(&ws, &g.f64s(), |w| affine(&xs, w, &bs)), loose);
            close(&gb.f64s(), &slope(&bs, &g.f64s(), |b| affine(&xs, &ws, b)), loose);
        }
    }
}

#[test]
fn what_has_no_kernel_is_left_to_its_definition() {
    let x = Array::noise(DType::F16, &[2, 3], 1);
    let y = Array::zeros(DType::F16, &[2, 3]);
    assert!(!fused(&Op::Softmax { dim: 1, log: false }, &[x.view()], &[y.out()]).unwrap());
    let x = Array::noise(DType::F32, &[2, 3], 1);
    assert!(!fused_vjp(&Op::Linear, &[x.view(), x.view()], &[y.out()]).unwrap());
    assert!(!fused(&Op::Pad(Arc::from([(0, 1)])), &[x.view()], &[y.out()]).unwrap());
}

/// Variance (divided by n − 1) and mean over the dims of a mask, in f64 by two passes.
fn moments(x: &[f64], shape: &[usize], dims: u64) -> (Vec<f64>, Vec<f64>) {
    let kept: Vec<usize> = (0..shape.len()).filter(|d| dims >> d & 1 == 0).collect();
    let results: usize = kept.iter().map(|&d| shape[d]).product();
    let mut groups = vec![Vec::new(); results];
    for (i, &v) in x.iter().enumerate() {
        let (mut rest, mut place) = (i, vec![0; shape.len()]);
        for d in (0..shape.len()).rev() {
            (place[d], rest) = (rest % shape[d], rest / shape[d]);
        }
        groups[kept.iter().fold(0, |at, &d| at * shape[d] + place[d])].push(v);
    }
    let mean = |v: &[f64]| v.iter().sum::<f64>() / v.len() as f64;
    let means: Vec<f64> = groups.iter().map(|g| mean(g)).collect();
    let square = |g: &[f64], m: f64| g.iter().map(|v| (v - m) * (v - m)).sum::<f64>() / (g.len() as f64 - 1.0);
    (groups.iter().zip(&means).map(|(g, &m)| square(g, m)).collect(), means)
}

#[test]
fn variance_and_mean_over_any_dims_of_any_strides() {
    for (shape, dims) in [
        (vec![7], 0b1),
        (vec![3, 1000], 0b10),
        (vec![33, 70], 0b01),
        (vec![2, 65, 9], 0b011),
        (vec![4, 3, 5], 0b101),
        (vec![1100, 130], 0b11),
        (vec![1100, 130], 0b01),
        (vec![130, 1100], 0b10),
    ] {
        for dtype in [DType::F32, DType::F64] {
            let noise = Array::noise(dtype, &shape, 1);
            // Far from zero the squares' sum alone would have no digits left.
            for far in [0.0, 3000.0] {
                let values: Vec<f64> = noise.f64s().iter().map(|v| v + far).collect();
                let x = Array::of(dtype, &shape, &values);
                let (variance, mean) = moments(&x.f64s(), &shape, dims);
                let order: Vec<usize> = (0..shape.len()).rev().collect();
                let kept: Vec<usize> = (0..shape.len()).filter(|d| dims >> d & 1 == 0).map(|d| shape[d]).collect();
                let op = Op::VarMean { dims, keepdim: false, correction_bits: 1f64.to_bits() };
                for x in [&x, &x.restride(&order, 2)] {
                    let (v, m) = (Array::zeros(dtype, &kept), Array::zeros(dtype, &kept));
                    run(&op, &[x], &[&v, &m]);
                    close(&m.f64s(), &mean, 2e-7);
                    close(&v.f64s(), &variance, 1e-6);
                }
            }
        }
    }
    // Nothing has no mean, and one element no spread to divide by.
    let op = Op::VarMean { dims: 0b1, keepdim: false, correction_bits: 1f64.to_bits() };
    for n in [0, 1] {
        let (v, m) = (Array::zeros(DType::F32, &[]), Array::zeros(DType::F32, &[]));
        run(&op, &[&Array::noise(DType::F32, &[n], 1)], &[&v, &m]);
        assert!(v.f64s()[0].is_nan() && m.f64s()[0].is_nan() == (n == 0));
    }
}

#[test]
fn lstm_cells_step_and_go_back() {
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    for (rows, m) in [(1, 1), (3, 7), (2, 64), (130, 65)] {
        for dtype in [DType::F32, DType::F64] {
            let noise = |shape: &[usize], seed| Array::noise(dtype, shape, seed);
            let (sums, c) = (noise(&[rows, 4 * m], 1), noise(&[rows, m], 2));
            let (gh, gnext) = (noise(&[rows, m], 3), noise(&[rows, m], 4));
            let zeros = |n: usize| Array::zeros(dtype, &[rows, n]);
            let (h, next, values) = (zeros(m), zeros(m), zeros(4 * m));
            run(&Op::LstmCell, &[&sums, &c], &[&h, &next, &values]);
            let (gsums, gc) = (zeros(4 * m), zeros(m));
            back(&Op::LstmCell, &[&gh, &gnext, &c, &next, &values], &[&gsums, &gc]);
            let (mut wanted, mut wanted_next) = (Vec::new(), Vec::new());
            let (mut wanted_gsums, mut wanted_gc) = (vec![0.0; rows * 4 * m], Vec::new());
            let (sums, c, gh, gnext) = (sums.f64s(), c.f64s(), gh.f64s(), gnext.f64s());
            for at in 0..rows * m {
                let (row, k) = (at / m, at % m);
                let of = |gate: usize| row * 4 * m + gate * m + k;
                let (i, f, o) = (sigmoid(sums[of(0)]), sigmoid(sums[of(1)]), sigmoid(sums[of(3)]));
                let g = sums[of(2)].tanh();
                let new = f * c[at] + i * g;
                wanted.push(o * new.tanh());
                wanted_next.push(new);
                let slope = gnext[at] + gh[at] * o * (1.0 - new.tanh().powi(2));
                wanted_gsums[of(0)] = slope * g * i * (1.0 - i);
                wanted_gsums[of(1)] = slope * c[at] * f * (1.0 - f);
                wanted_gsums[of(2)] = slope * i * (1.0 - g * g);
                wanted_gsums[of(3)] = gh[at] * new.tanh() * o * (1.0 - o);
                wanted_gc.push(slope * f);
            }
            close(&h.f64s(), &wanted, tolerance(dtype));
            close(&next.f64s(), &wanted_next, tolerance(dtype));
            close(&gsums.f64s(), &wanted_gsums, tolerance(dtype));
            close(&gc.f64s(), &wanted_gc, tolerance(dtype));
        }
    }
}

#[test]
fn lstms_are_their_cells_step_by_step() {
    for (count, rows, m, reverse) in [(1, 1, 1, false), (3, 2, 5, true), (4, 3, 5, false), (5, 33, 64, true)] {
        for dtype in [DType::F32, DType::F64] {
            let noise = |shape: &[usize], seed| Array::noise(dtype, shape, seed);
            let zeros = |shape: &[usize]| Array::zeros(dtype, shape);
            let (gates, h, c) = (noise(&[count, rows, 4 * m], 1), noise(&[rows, m], 2), noise(&[rows, m], 3));
            let w = noise(&[4 * m, m], 4);
            let (hs, cs) = (zeros(&[count, rows, m]), zeros(&[count, rows, m]));
            let values = zeros(&[count, rows, 4 * m]);
            run(&Op::Lstm { reverse }, &[&gates, &h, &c, &w], &[&hs, &cs, &values]);
            let (ghs, gcs) = (noise(&[count, rows, m], 5), noise(&[count, rows, m], 6));
            let found = [zeros(&[count, rows, 4 * m]), zeros(&[rows, m]), zeros(&[rows, m]), zeros(&[4 * m, m])];
            let inputs = [&ghs, &h, &c, &w, &hs, &cs, &values, &gcs];
            back(&Op::Lstm { reverse }, &inputs, &found.each_ref());

            // The same in f64, a number at a time.
            let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
            let (gates, w, ghs, gcs) = (gates.f64s(), w.f64s(), ghs.f64s(), gcs.f64s());
            let place = |turn: usize| if reverse { count - 1 - turn } else { turn };
            let cells = rows * m;
            let (mut states, mut values) = (vec![(h.f64s(), c.f64s())], Vec::new());
            let (mut wanted_hs, mut wanted_cs) = (vec![0.0; count * cells], vec![0.0; count * cells]);
            for turn in 0..count {
                let (h, c) = states.last().expect("the first").clone();
                let (mut h_new, mut c_new, mut all) = (h.clone(), c.clone(), vec![0.0; 4 * cells]);
                for (row, k) in (0..rows).flat_map(|row| (0..m).map(move |k| (row, k))) {
                    let sum = |gate: usize| {
                        let line = &w[(gate * m + k) * m..][..m];
                        let own: f64 = line.iter().zip(&h[row * m..][..m]).map(|(w, h)| w * h).sum();
                        gates[(place(turn) * rows + row) * 4 * m + gate * m + k] + own
                    };
                    let (i, f, g, o) = (sigmoid(sum(0)), sigmoid(sum(1)), sum(2).tanh(), sigmoid(sum(3)));
                    let at = row * m + k;
                    c_new[at] = f * c[at] + i * g;
                    h_new[at] = o * c_new[at].tanh();
                    [i, f, g, o].iter().enumerate().for_each(|(gate, v)| all[row * 4 * m + gate * m + k] = *v);
                }
                wanted_hs[place(turn) * cells..][..cells].copy_from_slice(&h_new);
                wanted_cs[place(turn) * cells..][..cells].copy_from_slice(&c_new);
                states.push((h_new, c_new));
                values.push(all);
            }
            let near = 8.0 * tolerance(dtype) * (m * count) as f64;
            close(&hs.f64s(), &wanted_hs, near);
            close(&cs.f64s(), &wanted_cs, near);

            let (mut gh, mut gc) = (vec![0.0; cells], vec![0.0; cells]);
            let (mut ggates, mut gw) = (vec![0.0; 4 * count * cells], vec![0.0; 4 * m * m]);
            for turn in (0..count).rev() {
                let ((h, c), (_, next)) = (&states[turn], &states[turn + 1]);
                let (mut gh_before, mut gc_before) = (vec![0.0; cells], vec![0.0; cells]);
                for (row, k) in (0..rows).flat_map(|row| (0..m).map(move |k| (row, k))) {
                    let at = row * m + k;
                    let [i, f, g, o] = [0, 1, 2, 3].map(|gate| values[turn][row * 4 * m + gate * m + k]);
                    let t = next[at].tanh();
                    let own = gh[at] + ghs[place(turn) * cells + at];
                    let slope = gc[at] + gcs[place(turn) * cells + at] + own * o * (1.0 - t * t);
                    let sums = [
                        slope * g * i * (1.0 - i),
                        slope * c[at] * f * (1.0 - f),
                        slope * i * (1.0 - g * g),
                        own * t * o * (1.0 - o),
                    ];
                    for (gate, slope) in sums.into_iter().enumerate() {
                        ggates[(place(turn) * rows + row) * 4 * m + gate * m + k] = slope;
                        for j in 0..m {
                            gw[(gate * m + k) * m + j] += slope * h[row * m + j];
                            gh_before[row * m + j] += slope * w[(gate * m + k) * m + j];
                        }
                    }
                    gc_before[at] = slope * f;
                }
                (gh, gc) = (gh_before, gc_before);
            }
            for (found, wanted) in found.iter().zip([&ggates, &gh, &gc, &gw]) {
                close(&found.f64s(), wanted, 4.0 * near * (rows * count) as f64);
            }
        }
    }
    // Nothing leaves no trace in the weights.
    let op = Op::Lstm { reverse: false };
    let of = |shape: &[usize]| Array::noise(DType::F32, shape, 1);
    let (gates, state, w, states) = (of(&[2, 0, 8]), of(&[0, 2]), of(&[8, 2]), of(&[2, 0, 2]));
    run(&op, &[&gates, &state, &state, &w], &[&of(&[2, 0, 2]), &of(&[2, 0, 2]), &of(&[2, 0, 8])]);
    let gw = of(&[8, 2]);
    let inputs = [&states, &state, &state, &w, &states, &states, &gates];
    back(&op, &inputs, &[&of(&[2, 0, 8]), &of(&[0, 2]), &of(&[0, 2]), &gw]);
    assert!(gw.f64s().iter().all(|g| *g == 0.0));
}
