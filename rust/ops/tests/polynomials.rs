//! The f32 polynomials against f64, over a regular sample of all f32.

use wengert_ops::rows::voc::f64 as reference;
use wengert_ops::rows::voc::{f32_base, f32_fma, near};

/// Distance in units in the last place of the exact value.
fn ulps(got: f32, exact: f64) -> f64 {
    let rounded = exact as f32;
    if got == rounded || (got.is_nan() && exact.is_nan()) {
        return 0.0;
    }
    if !rounded.is_finite() || !got.is_finite() {
        return if rounded.is_infinite() && got == f32::MAX.copysign(rounded) { 1.0 } else { f64::INFINITY };
    }
    let unit = (rounded.abs().next_up() as f64 - rounded.abs() as f64).max(f32::from_bits(1) as f64);
    (got as f64 - exact).abs() / unit
}

fn worst(name: &str, f: impl Fn(f32) -> f32, exact: impl Fn(f64) -> f64, limit: f64) {
    let edges =
        [0.0, -0.0, 1.0, -1.0, f32::INFINITY, f32::NEG_INFINITY, f32::NAN, f32::MAX, f32::MIN, 1e-45, 88.7, 88.8];
    let sample = (0..u32::MAX).step_by(8191).map(f32::from_bits).chain(edges);
    let mut most = (0.0, 0.0f32);
    if std::env::var_os("PRINT").is_some() {
        let all = (0..u32::MAX).step_by(509).map(f32::from_bits);
        let (off, x) =
            all.map(|x| (ulps(f(x), exact(x as f64)), x)).fold((0.0, 0.0), |a, b| if b.0 > a.0 { b } else { a });
        eprintln!("{name}: {off:.3} at {x:e} (limit {limit})");
        return;
    }
    for x in sample {
        let off = ulps(f(x), exact(x as f64));
        if off > most.0 {
            most = (off, x);
        }
    }
    assert!(most.0 <= limit, "{name}: {} ulp at {:e}: {:e} not {:e}", most.0, most.1, f(most.1), exact(most.1 as f64));
}

macro_rules! within_bounds {
    ($($voc:ident)*) => { $(
        #[test]
        fn $voc() {
            worst("exp", $voc::exp, f64::exp, 1.5);
            // Nothing for what would be subnormal.
            let falling = |x: f32| if x > 0.0 { 0.0 } else { $voc::exp_falling(x) };
            worst("exp_falling", falling, |x| if (-87.33..=0.0).contains(&x) || x.is_nan() { x.exp() } else { 0.0 }, 1.5);
            worst("exp2", $voc::exp2, f64::exp2, 1.5);
            worst("expm1", $voc::expm1, f64::exp_m1, 2.0);
            worst("log", $voc::log, f64::ln, 1.5);
            worst("log2", $voc::log2, f64::log2, 1.5);
            worst("log10", $voc::log10, f64::log10, 1.5);
            worst("log1p", $voc::log1p, f64::ln_1p, 2.0);
            worst("sinh", $voc::sinh, f64::sinh, 2.0);
            worst("cosh", $voc::cosh, f64::cosh, 2.0);
            worst("tanh", $voc::tanh, f64::tanh, 2.0);
            worst("asinh", $voc::asinh, libm::asinh, 1.0);
            worst("acosh", $voc::acosh, |x| if x < 1.0 { f64::NAN } else { libm::acosh(x) }, 1.0);
            worst("atanh", $voc::atanh, libm::atanh, 1.0);
            worst("sigmoid", $voc::sigmoid, |x| 1.0 / (1.0 + (-x).exp()), 2.0);
            worst("erf", $voc::erf, libm::erf, 2.0);
            worst("erfc", $voc::erfc, libm::erfc, 2.0);
            worst("erfinv", $voc::erfinv, reference::erfinv, 1.0);
            worst("sin", $voc::sin, f64::sin, 1.0);
            worst("cos", $voc::cos, f64::cos, 1.0);
            worst("tan", $voc::tan, f64::tan, 1.5);
            worst("asin", $voc::asin, f64::asin, 1.5);
            worst("acos", $voc::acos, f64::acos, 1.5);
            worst("atan", $voc::atan, f64::atan, 1.5);
        }
    )* };
}
within_bounds! { f32_base f32_fma }

#[test]
fn small_angles() {
    // Rows multiply their arguments by π at most.
    let limit = near::LIMIT.unwrap() * std::f32::consts::PI;
    let inside = |f: fn(f32) -> f32| move |x: f32| if x.abs() <= limit { f(x) } else { 0.0 };
    let exact = |f: fn(f64) -> f64| move |x: f64| if x.abs() <= limit as f64 { f(x) } else { 0.0 };
    worst("sin", inside(near::sin), exact(f64::sin), 1.6);
    worst("cos", inside(near::cos), exact(f64::cos), 1.6);
    worst("tan", inside(near::tan), exact(f64::tan), 1.0);
    // Next to multiples of π/2, where little is left of the argument.
    for turn in 0..16384 {
        let x = (f64::from(turn) * std::f64::consts::FRAC_PI_2) as f32;
        for x in [x.next_down(), x, x.next_up(), -x] {
            let (s, c) = (ulps(near::sin(x), f64::from(x).sin()), ulps(near::cos(x), f64::from(x).cos()));
            assert!(s.max(c) <= 1.6, "{x}: {s} and {c} ulp");
        }
    }
}

#[test]
fn exponentials_of_either_form_are_the_same() {
    let limit = near::EXP_LIMIT.unwrap();
    for bits in (0..=limit.to_bits()).step_by(if cfg!(miri) { 1 << 20 } else { 101 }).chain([limit.to_bits()]) {
        for x in [f32::from_bits(bits), -f32::from_bits(bits)] {
            assert_eq!(near::exp(x).to_bits(), f32_fma::exp(x).to_bits(), "{x}");
            assert_eq!(f32_base::exp_normal(x).to_bits(), f32_base::exp(x).to_bits(), "{x}");
        }
    }
}

#[test]
fn zeros_keep_their_sign() {
    for f in [f32_fma::expm1, f32_fma::log1p, f32_fma::tanh, f32_fma::erf, f32_fma::sin, f32_fma::tan, near::sin] {
        assert!(f(-0.0) == 0.0 && f(-0.0).is_sign_negative() && f(0.0).is_sign_positive());
    }
}

#[test]
fn angles_next_to_quarter_turns_are_told_apart() {
    // The hardest: multiples of π/2 rounded to f32, and their neighbours, from 1 to the largest.
    let mut most = 0.0f64;
    for power in 0..127 {
        for step in 0..64 {
            let near =
                (f64::exp2(f64::from(power)) * (1.0 + f64::from(step) / 64.0) / std::f64::consts::FRAC_PI_2).round();
            let x = (near * std::f64::consts::FRAC_PI_2) as f32;
            for x in [x.next_down(), x, x.next_up(), -x] {
                let exact = f64::from(x);
                most = most.max(ulps(f32_fma::sin(x), exact.sin())).max(ulps(f32_fma::cos(x), exact.cos()));
            }
        }
    }
    // Of the hardest f32 that is known the cosine is 1.6e-9 (Muller and others, "Handbook of Floating-Point Arithmetic").
    let hardest = f32::from_bits(0x6f7b_e9c8);
    most = most.max(ulps(f32_fma::cos(hardest), f64::from(hardest).cos()));
    assert!(most <= 0.54, "{most} ulp");
}
