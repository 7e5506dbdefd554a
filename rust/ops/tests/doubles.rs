//! The functions of f64 for processors with fused multiply-add, against the library's, which are within one unit.

use wengert_ops::rows::voc::f64_fma::near;
use wengert_ops::rows::voc::{f64 as exact, f64_fma as voc};

/// Floats from `a` to `b` as if numbered.
fn apart(a: f64, b: f64) -> u64 {
    let place = |x: f64| {
        let bits = x.to_bits() as i64;
        if bits < 0 {
            i64::MIN - bits
        } else {
            bits
        }
    };
    if a == b || (a.is_nan() && b.is_nan()) {
        0
    } else if a.is_nan() || b.is_nan() {
        u64::MAX
    } else {
        place(a).abs_diff(place(b))
    }
}

const EDGES: [f64; 20] = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    0.5,
    -0.5,
    f64::INFINITY,
    f64::NEG_INFINITY,
    f64::NAN,
    f64::MAX,
    f64::MIN,
    5e-324,
    -5e-324,
    f64::MIN_POSITIVE,
    709.78,
    709.79,
    710.47,
    710.48,
    -745.2,
    1e300,
];

/// Every exponent, and more of what is neither vast nor tiny.
fn sample() -> impl Iterator<Item = f64> {
    let step = if cfg!(miri) { 1 << 51 } else { 1 << 42 };
    let all = (0..u64::MAX - step).step_by(step as usize).map(|bits| f64::from_bits(bits + bits % 999_983));
    let count = if cfg!(miri) { 20 } else { 200_000 };
    let usual = (0..count).map(move |i| f64::from(i) / f64::from(count)).flat_map(|t| {
        [t, -t, 40.0 * (t - 0.5), 1500.0 * (t - 0.5), 1.0 + (t - 0.5) / 64.0, 1.0 - t / 1e6, (1e-6 * t) - 1.0]
    });
    EDGES.into_iter().chain(all).chain(usual)
}

/// At most `limit` floats from the library's.
fn worst(name: &str, f: fn(f64) -> f64, exact: fn(f64) -> f64, within: f64, limit: u64) {
    let mut most = (0, 0.0);
    for x in sample().filter(|x| x.is_nan() || x.abs() <= within) {
        let off = apart(f(x), exact(x));
        if off > most.0 {
            most = (off, x);
        }
    }
    if std::env::var_os("PRINT").is_some() {
        eprintln!("{name}: {} floats off at {:e} (limit {limit})", most.0, most.1);
        return;
    }
    assert!(most.0 <= limit, "{name}: {} floats off at {:e}: {:e} not {:e}", most.0, most.1, f(most.1), exact(most.1));
}

macro_rules! close {
    ($($name:ident $limit:literal,)*) => { $(
        #[test]
        fn $name() {
            worst(stringify!($name), voc::$name, exact::$name, f64::INFINITY, $limit);
        }
    )* };
}
close! {
    exp 1, exp2 1, expm1 2, log 1, log2 1, log10 2, log1p 2, sinh 3, cosh 2, tanh 3, asinh 3, acosh 3, atanh 3,
    sigmoid 3, erf 2, erfc 5, asin 2, acos 2, atan 2,
}

#[test]
fn small_angles() {
    let limit = near::LIMIT.unwrap() * std::f64::consts::PI;
    worst("sin", near::sin, f64::sin, limit, 1);
    worst("cos", near::cos, f64::cos, limit, 1);
    worst("tan", near::tan, f64::tan, limit, 3);
    // Next to multiples of π/2, where little is left of the argument.
    for turn in (0..2 * near::LIMIT.unwrap() as u32).step_by(if cfg!(miri) { 40_961 } else { 7 }) {
        let x = f64::from(turn) * std::f64::consts::FRAC_PI_2;
        for x in [x.next_down(), x, x.next_up(), -x] {
            assert!(apart(near::sin(x), x.sin()) <= 1, "sin {x:e}");
            assert!(apart(near::cos(x), x.cos()) <= 1, "cos {x:e}");
            assert!(apart(near::tan(x), x.tan()) <= 3, "tan {x:e}");
        }
    }
}

/// Pairs of edges, and others of every size.
fn pairs() -> Vec<(f64, f64)> {
    let mut values: Vec<f64> = EDGES.to_vec();
    values.extend([
        2.0,
        -2.0,
        3.0,
        -3.0,
        0.25,
        1.5,
        -1.5,
        1e-300,
        1e-10,
        -1e10,
        9007199254740993.0,
        4503599627370497.5,
    ]);
    let mut state = 1u64;
    for i in 0..if cfg!(miri) { 8 } else { 800 } {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        let unit = (state >> 11) as f64 / (1u64 << 53) as f64;
        values.push((unit - 0.5) * [2.0, 20.0, 300.0, 1e-3, 1e5][i % 5]);
    }
    values.iter().flat_map(|&x| values.iter().map(move |&y| (x, y))).collect()
}

#[test]
fn two_arguments() {
    type Pair = (&'static str, fn(f64, f64) -> f64, fn(f64, f64) -> f64, u64);
    let functions: [Pair; 3] = [
        ("pow", voc::pow, exact::pow, 2),
        ("atan2", voc::atan2, exact::atan2, 2),
        ("hypot", voc::hypot, exact::hypot, 2),
    ];
    for (name, f, exact, limit) in functions {
        let mut most = (0, 0.0, 0.0);
        for (x, y) in pairs() {
            let off = apart(f(x, y), exact(x, y));
            if off > most.0 {
                most = (off, x, y);
            }
        }
        let (off, x, y) = most;
        assert!(off <= limit, "{name}({x:e}, {y:e}): {off} floats off: {:e} not {:e}", f(x, y), exact(x, y));
    }
}

#[test]
fn zeros_keep_their_sign() {
    for f in [
        voc::expm1,
        voc::log1p,
        voc::sinh,
        voc::tanh,
        voc::asinh,
        voc::atanh,
        voc::erf,
        voc::erfinv,
        voc::asin,
        voc::atan,
        near::sin,
        near::tan,
    ] {
        assert!(f(-0.0) == 0.0 && f(-0.0).is_sign_negative() && f(0.0).is_sign_positive());
    }
}

#[test]
fn erfinv_inverts_erf() {
    worst("erfinv", voc::erfinv, exact::erfinv, 2.0, 24);
}
