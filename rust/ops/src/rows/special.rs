//! Special functions that neither the standard library nor `libm` has, in f64.

use std::f64::consts::PI;

/// Logarithm of |Γ(x)|; infinite at 0 and the negative integers.
pub fn lgamma(x: f64) -> f64 {
    if x == f64::NEG_INFINITY {
        return f64::INFINITY;
    }
    libm::lgamma(x)
}

/// The logarithmic derivative of Γ: shifted upwards until the asymptotic series holds, reflected below 0.
pub fn digamma(x: f64) -> f64 {
    if x == 0.0 {
        return f64::INFINITY.copysign(-x);
    }
    if x < 0.0 {
        if x == x.trunc() {
            return f64::NAN;
        }
        // The fraction alone, because sin and cos of large multiples of π are noise.
        let turn = PI * (x - x.round());
        return digamma(1.0 - x) - PI / turn.tan();
    }
    let (mut x, mut sum) = (x, 0.0);
    while x < 10.0 {
        sum -= 1.0 / x;
        x += 1.0;
    }
    let z = 1.0 / (x * x);
    // B₂ₖ / 2k, the last first.
    const SERIES: [f64; 7] =
        [1.0 / 12.0, -691.0 / 32760.0, 1.0 / 132.0, -1.0 / 240.0, 1.0 / 252.0, -1.0 / 120.0, 1.0 / 12.0];
    let tail = if x < 1e17 { z * SERIES.iter().fold(0.0, |acc, c| acc * z + c) } else { 0.0 };
    sum + x.ln() - 0.5 / x - tail
}

/// The `n`-th derivative of digamma: (−1)ⁿ⁺¹ n! ζ(n + 1, x).
pub fn polygamma(n: f64, x: f64) -> f64 {
    let n = n.round();
    if n == 0.0 {
        return digamma(x);
    }
    if !(n > 0.0) {
        return f64::NAN;
    }
    if n == 1.0 && x < 0.5 {
        let s = (PI * (x - x.round())).sin();
        return PI * PI / (s * s) - polygamma(1.0, 1.0 - x);
    }
    let sign = if n % 2.0 == 0.0 { -1.0 } else { 1.0 };
    sign * libm::tgamma(n + 1.0) * hurwitz_zeta(n + 1.0, x)
}

/// Σ (q + k)⁻ˢ over k ≥ 0: the first terms as they stand, the rest by Euler and Maclaurin.
fn hurwitz_zeta(s: f64, q: f64) -> f64 {
    if q.is_nan() || q == f64::NEG_INFINITY {
        return f64::NAN;
    }
    if q <= 0.0 && q == q.floor() {
        return f64::INFINITY;
    }
    if q == f64::INFINITY {
        return 0.0;
    }
    // Far below zero the sum would be endless, and its head is negligible against the terms near zero.
    let mut q = q.max(q.fract() - 1000.0);
    let mut sum = 0.0;
    while q < 12.0 {
        sum += q.powf(-s);
        q += 1.0;
    }
    let power = q.powf(-s);
    sum += power * q / (s - 1.0) + 0.5 * power;
    // B₂ₖ / (2k)!
    const SERIES: [f64; 8] = [
        1.0 / 12.0,
        -1.0 / 720.0,
        1.0 / 30240.0,
        -1.0 / 1209600.0,
        1.0 / 47900160.0,
        -691.0 / 1307674368000.0,
        1.0 / 74724249600.0,
        -3617.0 / 10670622842880000.0,
    ];
    let (mut factor, mut order) = (s * power / q, s);
    for c in SERIES {
        sum += c * factor;
        factor *= (order + 1.0) * (order + 2.0) / (q * q);
        order += 2.0;
    }
    sum
}

/// The inverse of erf: a rational start (Giles, 2012), then three steps of Halley's method.
pub fn erfinv(x: f64) -> f64 {
    if !(x.abs() < 1.0) {
        return if x.abs() == 1.0 { f64::INFINITY.copysign(x) } else { f64::NAN };
    }
    let w = -((1.0 - x) * (1.0 + x)).ln();
    let start = if w < 5.0 {
        let w = w - 2.5;
        [
            2.81022636e-08,
            3.43273939e-07,
            -3.5233877e-06,
            -4.39150654e-06,
            0.00021858087,
            -0.00125372503,
            -0.00417768164,
            0.246640727,
            1.50140941,
        ]
        .iter()
        .fold(0.0, |acc, c| acc * w + c)
    } else {
        let w = w.sqrt() - 3.0;
        [
            -0.000200214257,
            0.000100950558,
            0.00134934322,
            -0.00367342844,
            0.00573950773,
            -0.0076224613,
            0.00943887047,
            1.00167406,
            2.83297682,
        ]
        .iter()
        .fold(0.0, |acc, c| acc * w + c)
    };
    let mut y = start * x;
    for _ in 0..3 {
        // Near ±1 the complement keeps the digits that erf has lost.
        let error =
            if x.abs() < 0.75 { libm::erf(y) - x } else { ((1.0 - x.abs()) - libm::erfc(y.abs())) * x.signum() };
        let step = error / (std::f64::consts::FRAC_2_SQRT_PI * (-y * y).exp());
        y -= step / (1.0 + y * step);
    }
    y
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(a: f64, b: f64) {
        assert!((a - b).abs() <= 4e-15 * b.abs().max(1.0), "{a} is not {b}");
    }

    #[test]
    fn known_values() {
        close(digamma(1.0), -0.5772156649015329);
        close(digamma(0.5), -1.9635100260214235);
        close(digamma(-1.5), 0.7031566406452432);
        close(digamma(100.0), 4.600161852738087);
        close(polygamma(1.0, 1.0), PI * PI / 6.0);
        close(polygamma(1.0, 0.5), PI * PI / 2.0);
        close(polygamma(2.0, 1.0), -2.4041138063191885);
        close(polygamma(3.0, 1.0), PI.powi(4) / 15.0);
        close(polygamma(1.0, -0.5), 8.934802200544679);
        assert_eq!(polygamma(1.0, f64::INFINITY), 0.0);
        assert_eq!(digamma(0.0), f64::NEG_INFINITY);
        assert!(digamma(-3.0).is_nan());
    }

    #[test]
    fn erfinv_inverts_erf() {
        for i in -99..=99 {
            let x = i as f64 / 100.0;
            close(libm::erf(erfinv(x)), x);
        }
        for p in [1e-3f64, 1e-6, 1e-9, 1e-12] {
            let y = erfinv(1.0 - p);
            let exact = 1.0 - (1.0 - p);
            assert!((libm::erfc(y) / exact - 1.0).abs() < 1e-12, "{y}");
            assert_eq!(erfinv(p - 1.0), -y);
        }
        assert_eq!(erfinv(1.0), f64::INFINITY);
        assert!(erfinv(1.5).is_nan());
    }
}
