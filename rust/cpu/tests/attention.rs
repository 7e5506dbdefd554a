//! Attention against its formula, and its gradients against finite differences.

mod arrays;

use arrays::{close, slope, tolerance, Array};
use wengert_cpu::fused::{fused, fused_vjp};
use wengert_cpu::random::{random, streams, Generator, PLACE};
use wengert_ops::{DType, Op, Random};

/// Attention of dense queries (n, l, e) over keys (n, s, e) and values (n, s, d): y and the logarithms of the sums.
fn attention(
    sizes: [usize; 5],
    x: [&[f64]; 3],
    mask: Option<&[f64]>,
    causal: bool,
    scale: f64,
    kept: Option<&[f64]>,
) -> (Vec<f64>, Vec<f64>) {
    let ([n, l, s, e, d], [q, k, v]) = (sizes, x);
    let (mut y, mut sums) = (vec![0.0; n * l * d], vec![f64::NEG_INFINITY; n * l]);
    for row in 0..n * l {
        let (b, i) = (row / l, row % l);
        let scores: Vec<f64> = (0..s)
            .map(|j| {
                let along: f64 = (0..e).map(|p| q[row * e + p] * k[(b * s + j) * e + p]).sum();
                let hidden = causal && j > i;
                if hidden {
                    f64::NEG_INFINITY
                } else {
                    along * scale + mask.map_or(0.0, |m| m[row * s + j])
                }
            })
            .collect();
        let top = scores.iter().fold(f64::NEG_INFINITY, |m, &x| m.max(x));
        if top == f64::NEG_INFINITY {
            continue;
        }
        let total: f64 = scores.iter().map(|x| (x - top).exp()).sum();
        sums[row] = top + total.ln();
        for p in 0..d {
            let weight = |j: usize| (scores[j] - sums[row]).exp() * kept.map_or(1.0, |kept| kept[row * s + j]);
            y[row * d + p] = (0..s).map(|j| weight(j) * v[(b * s + j) * d + p]).sum();
        }
    }
    (y, sums)
}

#[test]
fn attention_by_tiles() {
    // Within one tile, beside its edges, over several, and nothing.
    for sizes in
        [[1, 1, 1, 1, 1], [2, 3, 5, 4, 3], [3, 64, 128, 8, 8], [1, 130, 257, 5, 7], [2, 0, 3, 2, 2], [2, 3, 0, 2, 2]]
    {
        let [n, l, s, e, d] = sizes;
        let shapes = [[n, l, e], [n, s, e], [n, s, d]];
        for dtype in [DType::F32, DType::F64] {
            let cases = [(false, false), (true, false), (false, true), (true, true)];
            for ((causal, masked), keep) in cases.into_iter().flat_map(|case| [(case, 1.0), (case, 0.6)]) {
                let [q, k, v] = [0, 1, 2].map(|i| Array::noise(dtype, &shapes[i], i as u64 + 1));
                // The first query sees nothing.
                let mut hiding = Array::noise(dtype, &[n, l, s], 4).f64s();
                hiding.iter_mut().take(s).for_each(|x| *x = f64::NEG_INFINITY);
                let mask = Array::of(dtype, &[n, l, s], &hiding);
                let op = Op::Attention { causal, scale_bits: 0.3f64.to_bits(), keep_bits: f64::to_bits(keep) };
                // Drawn at once they are what the kernels draw block by block, from places that only passing over them gave.
                let (mut generator, drawn) = (Generator::new(7), Array::zeros(DType::F64, &[n, l, s]));
                generator.next_u32();
                let mut passing = generator.clone();
                random(&mut generator, Random::Bernoulli { p: keep }, drawn.out()).unwrap();
                let kept: Vec<f64> = drawn.f64s().iter().map(|x| x / keep).collect();
                let kept = (keep < 1.0).then_some(&kept[..]);
                let places = streams(&mut passing, n, l, s).unwrap();
                assert_eq!(passing.next_u64(), generator.next_u64());
                let places: Vec<f64> = places.into_iter().map(f64::from).collect();
                let places = Array::of(DType::I32, &[places.len() / PLACE, PLACE], &places);
                let dense = [q.f64s(), k.f64s(), v.f64s()];
                let of = |x: &[Vec<f64>; 3]| {
                    attention(sizes, [&x[0], &x[1], &x[2]], masked.then_some(&hiding[..]), causal, 0.3, kept)
                };
                let (wanted, wanted_sums) = of(&dense);
                let (y, sums) = (Array::zeros(dtype, &[n, l, d]), Array::zeros(dtype, &[n, l]));
                let strided = [&q, &k, &v].map(|x| x.restride(&[1, 2, 0], 2));
                for x in [[&q, &k, &v], strided.each_ref()] {
                    let mut inputs = x.to_vec();
                    inputs.extend(masked.then_some(&mask));
                    inputs.extend((keep < 1.0).then_some(&places));
                    let inputs: Vec<_> = inputs.iter().map(|x| x.view()).collect();
                    assert!(fused(&op, &inputs, &[y.out(), sums.out()]).unwrap());
                    close(&y.f64s(), &wanted, tolerance(dtype));
                    close(&sums.f64s(), &wanted_sums, tolerance(dtype));
                }
                if dtype != DType::F64 || l * s > 1000 {
                    continue;
                }
                let g = Array::noise(dtype, &[n, l, d], 5);
                let grads = shapes.map(|shape| Array::zeros(dtype, &shape));
                let mut inputs: Vec<_> = [&g, &q, &k, &v, &y, &sums].iter().map(|x| x.view()).collect();
                inputs.extend(masked.then(|| mask.view()));
                inputs.extend((keep < 1.0).then(|| places.view()));
                let outputs: Vec<_> = grads.iter().map(|x| x.out()).collect();
                assert!(fused_vjp(&op, &inputs, &outputs).unwrap());
                for (i, grad) in grads.iter().enumerate() {
                    let wanted = slope(&dense[i], &g.f64s(), |x| {
                        let mut all = dense.clone();
                        all[i] = x.to_vec();
                        of(&all).0
                    });
                    close(&grad.f64s(), &wanted, 1e-7);
                }
            }
        }
    }
}
