//! Random numbers: Philox to the word, each law against its distribution, every dtype, layout and error.

mod support;

use smallvec::SmallVec;
use support::{agree, gpu, numbers, Both};
use wengert_cpu::Cpu;
use wengert_gpu::{Generator, Gpu};
use wengert_ops::{Backend, DType, Layout, Random};

/// The generator on the host, straight from its definition.
fn philox(mut c: [u32; 4], mut k: [u32; 2]) -> [u32; 4] {
    for _ in 0..10 {
        let (a, b) = (0xd2511f53u64 * u64::from(c[0]), 0xcd9e8d57u64 * u64::from(c[2]));
        c = [(b >> 32) as u32 ^ c[1] ^ k[0], b as u32, (a >> 32) as u32 ^ c[3] ^ k[1], a as u32];
        k = [k[0].wrapping_add(0x9e3779b9), k[1].wrapping_add(0xbb67ae85)];
    }
    c
}

/// The words of some draws.
fn words(seed: u64, offset: u64, draws: usize) -> Vec<u32> {
    let key = [seed as u32, (seed >> 32) as u32];
    (0..draws as u64)
        .flat_map(|i| {
            let at = offset.wrapping_add(i);
            philox([at as u32, (at >> 32) as u32, 0, 0], key)
        })
        .collect()
}

#[test]
fn the_reference_knows_the_published_answers() {
    let pi = [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344];
    for (counter, key, answer) in [
        ([0; 4], [0; 2], [0x6627e8d5u32, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8]),
        ([u32::MAX; 4], [u32::MAX; 2], [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd]),
        (pi, [0xa4093822, 0x299f31d0], [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1]),
    ] {
        assert_eq!(philox(counter, key), answer);
    }
}

fn drawn(gpu: Gpu, generator: &mut Generator, law: Random, n: usize, dtype: DType) -> Vec<f64> {
    let out = Both::zeros(gpu, &[n], dtype);
    gpu.random(generator, law, out.out_gpu()).unwrap();
    numbers(&out.contents().1, dtype)
}

#[test]
fn words_are_philox_and_offsets_count_them() {
    let Some(gpu) = gpu() else { return };
    for (seed, offset) in [(0, 0), (1, 5), (u64::MAX, u64::MAX - 3), (0x299f31d0_a4093822, 0xffff_fffe), (7, 1 << 40)] {
        for n in [1, 4, 5, 1023] {
            let mut g = Generator { seed, offset };
            let units = drawn(gpu, &mut g, Random::Uniform { from: 0.0, to: 1.0 }, n, DType::F32);
            let w = words(seed, offset, n.div_ceil(4));
            for (u, w) in units.iter().zip(&w) {
                assert_eq!(*u, f64::from(w >> 8) / f64::from(1 << 24), "{seed} {offset} {n}");
            }
            assert_eq!(g.offset, offset.wrapping_add(n.div_ceil(4) as u64));
        }
    }
    // Two calls go on where one would.
    let law = Random::Normal { mean: 0.0, std: 1.0 };
    let (mut one, mut two) = (Generator { seed: 3, offset: 0 }, Generator { seed: 3, offset: 0 });
    let whole = drawn(gpu, &mut one, law, 16, DType::F32);
    let mut halves = drawn(gpu, &mut two, law, 8, DType::F32);
    halves.extend(drawn(gpu, &mut two, law, 8, DType::F32));
    assert_eq!(whole, halves);
    assert_eq!(one.offset, two.offset);
}

#[test]
fn functions_of_the_words_are_accurate() {
    let Some(gpu) = gpu() else { return };
    let n = 1 << 16;
    let w = words(11, 0, n);
    let mut g = Generator { seed: 11, offset: 0 };
    let log = |w: u32| -> f64 {
        let missing = f64::from(!w) / 4294967296.0;
        if missing < 0.5 {
            (-missing).ln_1p()
        } else {
            ((f64::from(w) + 1.0) / 4294967296.0).ln()
        }
    };
    let normal = drawn(gpu, &mut g, Random::Normal { mean: 0.0, std: 1.0 }, n, DType::F32);
    let mut worst = 0f64;
    for (pair, w) in normal.chunks_exact(2).zip(w.chunks_exact(2)) {
        let (r, a) = ((-2.0 * log(w[0])).sqrt(), f64::from(w[1]) / 4294967296.0 * std::f64::consts::TAU);
        for (v, exact) in pair.iter().zip([r * a.cos(), r * a.sin()]) {
            worst = worst.max((v - exact).abs() / exact.abs().max(1e-3));
        }
    }
    assert!(worst < 8.0 * f64::from(f32::EPSILON), "normal {worst:e}");
    let mut g = Generator { seed: 11, offset: 0 };
    let waits = drawn(gpu, &mut g, Random::Exponential { lambda: 0.5 }, n, DType::F32);
    let worst = waits.iter().zip(&w).map(|(v, w)| (v + 2.0 * log(*w)).abs() / v.abs().max(1e-30)).fold(0.0, f64::max);
    assert!(worst < 6.0 * f64::from(f32::EPSILON), "exponential {worst:e}");
    if !gpu.has_f64() {
        return;
    }
    let mut g = Generator { seed: 11, offset: 0 };
    let normal = drawn(gpu, &mut g, Random::Normal { mean: 0.0, std: 1.0 }, n, DType::F64);
    let bits = |w: &[u32]| u64::from(w[1]) << 32 | u64::from(w[0]);
    let part = |b: u64| b as f64 / 2f64.powi(64);
    let log = |b: u64| if b >> 63 == 1 { (-part(!b)).ln_1p() } else { (part(b) + 2f64.powi(-64)).ln() };
    let (mut worst, mut far) = (0f64, 0f64);
    for (pair, w) in normal.chunks_exact(2).zip(w.chunks_exact(4)) {
        let (r, a) = ((-2.0 * log(bits(&w[..2]))).sqrt(), part(bits(&w[2..])) * std::f64::consts::TAU);
        for (v, exact) in pair.iter().zip([r * a.cos(), r * a.sin()]) {
            worst = worst.max((v - exact).abs());
        }
        far = far.max((pair[0].hypot(pair[1]) - r).abs() / r.max(1e-2));
    }
    assert!(worst < 1e-14 && far < 2e-14, "{worst:e} {far:e}");
}

/// The largest distance between the numbers' distribution and the law's.
fn distance(mut x: Vec<f64>, law: impl Fn(f64) -> f64) -> f64 {
    x.sort_by(f64::total_cmp);
    let n = x.len() as f64;
    x.iter()
        .enumerate()
        .map(|(i, v)| (law(*v) - i as f64 / n).abs().max((law(*v) - (i + 1) as f64 / n).abs()))
        .fold(0.0, f64::max)
}

/// The normal distribution function, by a series that converges everywhere.
fn phi(x: f64) -> f64 {
    if x.abs() > 6.5 {
        return if x < 0.0 { 0.0 } else { 1.0 };
    }
    let (mut term, mut sum) = (x, x);
    for k in 1..200 {
        term *= x * x / (2 * k + 1) as f64;
        sum += term;
        if term.abs() < 1e-17 * sum.abs() {
            break;
        }
    }
    0.5 + sum * (-x * x / 2.0).exp() / std::f64::consts::TAU.sqrt()
}

#[test]
fn laws_by_distance_and_moments() {
    let Some(gpu) = gpu() else { return };
    let n = 1 << 17;
    // One in ten thousand exceeds this by chance; the seed is fixed.
    let limit = 2.23 / (n as f64).sqrt();
    let mut g = Generator { seed: 2024, offset: 77 };
    for dtype in [DType::F32, DType::F64, DType::F16, DType::BF16] {
        if dtype == DType::F64 && !gpu.has_f64() {
            continue;
        }
        // Halves are coarse: their steps are seen.
        let coarse = dtype.finfo().map_or(0.0, |f| f.eps);
        let x = drawn(gpu, &mut g, Random::Uniform { from: -2.0, to: 3.0 }, n, dtype);
        assert!(x.iter().all(|v| (-2.0..3.0).contains(v)), "{dtype}");
        assert!(distance(x, |v| (v + 2.0) / 5.0) < limit + coarse, "uniform {dtype}");
        let x = drawn(gpu, &mut g, Random::Normal { mean: 0.5, std: 2.0 }, n, dtype);
        let (mut m, count) = ([0.0; 4], n as f64);
        for v in &x {
            let z = (v - 0.5) / 2.0;
            (0..4).for_each(|k| m[k] += z.powi(k as i32 + 1) / count);
        }
        assert!(
            m[0].abs() < 0.01 && (m[1] - 1.0).abs() < 0.01 && m[2].abs() < 0.03 && (m[3] - 3.0).abs() < 0.08,
            "{dtype} {m:?}"
        );
        assert!(distance(x, |v| phi((v - 0.5) / 2.0)) < limit + coarse, "normal {dtype}");
        let x = drawn(gpu, &mut g, Random::Exponential { lambda: 3.0 }, n, dtype);
        assert!(x.iter().all(|v| *v >= 0.0), "{dtype}");
        assert!(distance(x, |v| 1.0 - (-3.0 * v).exp()) < limit + coarse, "exponential {dtype}");
    }
    // Pairs of normals do not know of each other, nor neighbours.
    let x = drawn(gpu, &mut g, Random::Normal { mean: 0.0, std: 1.0 }, n, DType::F32);
    for gap in [1, 2, 4, 1024] {
        let r: f64 = x.iter().zip(&x[gap..]).map(|(a, b)| a * b).sum::<f64>() / (n - gap) as f64;
        assert!(r.abs() < 0.01, "{gap} {r}");
    }
}

#[test]
fn integers_of_every_range_and_dtype() {
    let Some(gpu) = gpu() else { return };
    let mut g = Generator { seed: 5, offset: 0 };
    for dtype in DType::ALL {
        let (low, high) = match dtype {
            DType::Bool => (0, 2),
            DType::U8 => (3, 10),
            _ => (-3, 4),
        };
        if dtype == DType::F64 && !gpu.has_f64() {
            continue;
        }
        let n = 7 * 4001;
        let x = drawn(gpu, &mut g, Random::Integers { low, high }, n, dtype);
        let expected = n as f64 / (high - low) as f64;
        let chi: f64 = (low..high)
            .map(|v| (x.iter().filter(|x| **x == v as f64).count() as f64 - expected).powi(2) / expected)
            .sum();
        assert!(chi < 30.0, "{dtype} {chi}");
        assert!(x.iter().all(|v| *v >= low as f64 && *v < high as f64 && v.fract() == 0.0));
    }
    let out = Both::zeros(gpu, &[1 << 16], DType::I64);
    let int64 = |g: &mut Generator, low: i64, high: i64| -> Vec<i64> {
        gpu.random(g, Random::Integers { low, high }, out.out_gpu()).unwrap();
        out.contents().1.chunks_exact(8).map(|b| i64::from_ne_bytes(b.try_into().unwrap())).collect()
    };
    for (low, high) in [
        (i64::MIN, i64::MAX),
        (0, 3 << 61),
        (-(1 << 33), 1 << 32),
        (0, 1 << 32),
        (5, 5 + u32::MAX as i64),
        (i64::MIN, i64::MIN + 3),
        (i64::MAX - 1, i64::MAX),
    ] {
        let start = g.clone();
        let x = int64(&mut g, low, high);
        assert!(x.iter().all(|v| *v >= low && *v < high), "{low} {high}");
        let range = high.wrapping_sub(low) as u64;
        let unit: Vec<f64> = x.iter().map(|v| v.wrapping_sub(low) as u64 as f64 / range as f64).collect();
        if range > 100 {
            assert!(distance(unit, |u| u) < 2.23 / 256.0, "{low} {high}");
            // As many even as odd ones.
            let odd = x.iter().filter(|v| **v & 1 == 1).count() as f64 / x.len() as f64;
            assert!((odd - 0.5).abs() < 0.01, "{low} {high} {odd}");
        }
        // Each number is the draw's bits times the range, to the bit.
        let counters = if range <= u32::MAX as u64 { 2 } else { 4 };
        assert_eq!(g.offset - start.offset, (x.len() / 4 * counters) as u64);
        let w = words(start.seed, start.offset, x.len() / 4 * counters);
        for (v, w) in x.iter().zip(w.chunks_exact(counters)).take(1000) {
            let high128 =
                w.iter().fold((0u128, 0), |(above, _), w| ((above + u128::from(*w) * u128::from(range)) >> 32, 0)).0;
            assert_eq!(*v, low.wrapping_add(high128 as u64 as i64), "{low} {high}");
        }
    }
}

#[test]
fn bernoulli_of_every_dtype() {
    let Some(gpu) = gpu() else { return };
    let mut g = Generator { seed: 9, offset: 1 };
    for dtype in DType::ALL {
        if dtype == DType::F64 && !gpu.has_f64() {
            continue;
        }
        for p in [0.0, 1.0, 0.25, 0.9, 1e-3] {
            let n = 50_001;
            let x = drawn(gpu, &mut g, Random::Bernoulli { p }, n, dtype);
            let share = x.iter().sum::<f64>() / n as f64;
            assert!(x.iter().all(|v| *v == 0.0 || *v == 1.0));
            assert!((share - p).abs() <= 4.0 * (p * (1.0 - p) / n as f64).sqrt(), "{dtype} {p} {share}");
        }
    }
}

#[test]
fn strided_outputs_keep_what_lies_between() {
    let Some(gpu) = gpu() else { return };
    for dtype in [DType::Bool, DType::U8, DType::I16, DType::F16, DType::F32, DType::I64] {
        for (shape, strides, offset) in
            [(&[3usize, 4][..], &[1isize, 4][..], 2), (&[6], &[1], 1), (&[6], &[1], 4), (&[], &[], 3), (&[0], &[1], 0)]
        {
            let law = Random::Bernoulli { p: 0.5 };
            let layout = Layout::strided(SmallVec::from_slice(shape), SmallVec::from_slice(strides), offset);
            let n = layout.numel();
            let out = Both::new(gpu, &vec![7; 20 * dtype.size()], layout, dtype);
            let (mut a, mut b) = (Generator { seed: 1, offset: 0 }, Generator { seed: 1, offset: 0 });
            gpu.random(&mut a, law, out.out_gpu()).unwrap();
            let plain = drawn(gpu, &mut b, law, n, dtype);
            assert_eq!(a.offset, b.offset);
            let (before, after) = out.contents();
            let (before, after) = (numbers(&before, dtype), numbers(&after, dtype));
            let mut expected = before.clone();
            let width = shape.last().copied().unwrap_or(1);
            for (i, v) in plain.iter().enumerate() {
                let at = match strides {
                    [s, t] => i / width * *s as usize + i % width * *t as usize,
                    _ => i,
                };
                expected[offset + at] = *v;
            }
            assert_eq!(after, expected, "{dtype} {shape:?} {strides:?}");
        }
    }
}

#[test]
fn permutations() {
    let Some(gpu) = gpu() else { return };
    let mut g = Generator { seed: 4, offset: 0 };
    for (n, dtype) in
        [(0, DType::I64), (1, DType::I64), (10, DType::U8), (257, DType::F32), (5000, DType::I64), (3000, DType::I32)]
    {
        let out = Both::zeros(gpu, &[n], dtype);
        gpu.permutation(&mut g, out.out_gpu()).unwrap();
        let mut x = numbers(&out.contents().1, dtype);
        assert!(n < 10 || x.windows(2).any(|w| w[0] > w[1]));
        x.sort_by(f64::total_cmp);
        assert!(x.iter().enumerate().all(|(i, v)| *v == i as f64), "{n} {dtype}");
    }
    // All orders of three come equally often.
    let mut counts = [0; 27];
    let out = Both::zeros(gpu, &[3], DType::U8);
    for _ in 0..600 {
        gpu.permutation(&mut g, out.out_gpu()).unwrap();
        let b = out.contents().1;
        counts[usize::from(b[0]) * 9 + usize::from(b[1]) * 3 + usize::from(b[2])] += 1;
    }
    let seen: Vec<i32> = counts.into_iter().filter(|c| *c > 0).collect();
    assert!(seen.len() == 6 && seen.iter().all(|c| (60..140).contains(c)), "{seen:?}");
}

#[test]
fn errors() {
    let Some(gpu) = gpu() else { return };
    let (mut a, mut b) = (wengert_cpu::random::Generator::new(0), Generator { seed: 0, offset: 0 });
    let (x, i) = (Both::zeros(gpu, &[4], DType::F32), Both::zeros(gpu, &[4], DType::I64));
    for law in [
        Random::Uniform { from: 2.0, to: 1.0 },
        Random::Uniform { from: f64::NAN, to: 1.0 },
        Random::Normal { mean: 0.0, std: -1.0 },
        Random::Integers { low: 3, high: 3 },
        Random::Bernoulli { p: 1.5 },
        Random::Exponential { lambda: 0.0 },
    ] {
        agree("law", Cpu.random(&mut a, law, x.out_cpu()), gpu.random(&mut b, law, x.out_gpu()));
    }
    let law = Random::Uniform { from: 0.0, to: 1.0 };
    agree("dtype", Cpu.random(&mut a, law, i.out_cpu()), gpu.random(&mut b, law, i.out_gpu()));
    for (shape, dtype) in [(&[2, 2][..], DType::I64), (&[300], DType::U8), (&[4000], DType::F16), (&[3], DType::Bool)] {
        let x = Both::zeros(gpu, shape, dtype);
        agree("permutation", Cpu.permutation(&mut a, x.out_cpu()), gpu.permutation(&mut b, x.out_gpu()));
    }
    assert_eq!(b.offset, 0);
}
