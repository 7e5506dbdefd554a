// Special functions of f32. The CPU computes most of them in f64: near zeros of lgamma and digamma it is nearer.
fn erf_f32(x: f32) -> f32 {
    if (isnan_f32(x)) { return x; }
    let a = abs_f32(x);
    if (a < 1.0f) {
        let z = x * x;
        return x * (((((((-9.667045e-06f * z + 0.00011265959f) * z - 0.00084840803f) * z + 0.0052210316f) * z
            - 0.02686543f) * z + 0.11283782f) * z - 0.37612638f) * z + 1.1283792f);
    }
    return copysign_f32(1.0f - erfc_tail_f32(a), x);
}
// erfc of at least a half: exp(-x²) / (x + 1) times a polynomial in (x - 3) / (x + 3).
fn erfc_tail_f32(x: f32) -> f32 {
    let a = min(x, 10.25f);
    let u = (a - 3.0f) / (a + 3.0f);
    let p = ((((((((-0.00028145453f * u + 0.0006321416f) * u + 0.0015744744f) * u - 0.009747275f) * u + 0.021967152f) * u
        - 0.02380435f) * u - 0.010236183f) * u + 0.09902078f) * u - 0.23092732f) * u + 0.7160046f;
    let h = head_f32(a);
    let rest = expm1_reduced_f32(-(a - h) * (a + h));
    // Last, what may be subnormal.
    let e = (p / (a + 1.0f)) * (1.0f + rest);
    return e * exp_f32(-h * h);
}
fn erfc_f32(x: f32) -> f32 {
    if (isnan_f32(x)) { return x; }
    if (abs_f32(x) < 0.5f) { return 1.0f - erf_f32(x); }
    let t = erfc_tail_f32(abs_f32(x));
    return select(t, 2.0f - t, x < 0.0f);
}
// A rational start (Giles, 2012), and a step of Newton's by whichever of erf and erfc has the digits.
fn erfinv_f32(x: f32) -> f32 {
    let a = abs_f32(x);
    if (!(a < 1.0f)) {
        if (a == 1.0f) { return copysign_f32(inf_f32(), x); }
        return nan_f32();
    }
    let w = -log_f32((1.0f - a) * (1.0f + a));
    var p: f32;
    if (w < 5.0f) {
        let t = w - 2.5f;
        p = (((((((2.81022636e-08f * t + 3.43273939e-07f) * t - 3.5233877e-06f) * t - 4.39150654e-06f) * t
            + 0.00021858087f) * t - 0.00125372503f) * t - 0.00417768164f) * t + 0.246640727f) * t + 1.50140941f;
    } else {
        let t = sqrt(w) - 3.0f;
        p = (((((((-0.000200214257f * t + 0.000100950558f) * t + 0.00134934322f) * t - 0.00367342844f) * t
            + 0.00573950773f) * t - 0.0076224613f) * t + 0.00943887047f) * t + 1.00167406f) * t + 2.83297682f;
    }
    let y = p * a;
    if (a < 1e-4f) { return copysign_f32(0.88622693f * a, x); }
    var off: f32;
    if (a < 0.75f) {
        off = erf_f32(y) - a;
    } else {
        off = (1.0f - a) - erfc_tail_f32(y);
    }
    return copysign_f32(y - off * 0.88622693f * exp_f32(y * y), x);
}
// log Γ(x) between 0.75 and 2.5, by x - 1 where that is small, else by x - 2: exact zeros at both.
fn lgamma_near_1_f32(z: f32) -> f32 {
    let p = (((((((((-0.036314152f * z + 0.09014059f) * z - 0.11751288f) * z + 0.12816949f) * z - 0.14396948f) * z
        + 0.16940622f) * z - 0.20737854f) * z + 0.27058387f) * z - 0.4006858f) * z + 0.822467f) * z - 0.5772157f;
    return select(z * p, 0.0f, z == 0.0f);
}
fn lgamma_near_2_f32(z: f32) -> f32 {
    let p = (((((((-0.00025056204f * z + 0.00057025126f) * z - 0.0011874848f) * z + 0.0028788687f) * z - 0.0073859207f)
        * z + 0.020581625f) * z - 0.067352295f) * z + 0.32246703f) * z + 0.42278433f;
    return z * p;
}
fn lgamma_positive_f32(x: f32) -> f32 {
    if (x < 0.75f) {
        if (x < 0.5f) { return lgamma_near_1_f32(x) - log_f32(x); }
        return lgamma_near_2_f32(x - 1.0f) - log_f32(x);
    }
    if (x < 1.5f) { return lgamma_near_1_f32(x - 1.0f); }
    if (x < 8.0f) {
        var t = x;
        var product = 1.0f;
        while (t >= 2.5f) {
            t -= 1.0f;
            product = product * t;
        }
        return lgamma_near_2_f32(t - 2.0f) + log_f32(product);
    }
    let r = 1.0f / x;
    let z = r * r;
    return (x - 0.5f) * (log_f32(x) - 1.0f) + (0.41893853f + r * ((7.936508e-4f * z - 2.7777778e-3f) * z + 0.083333336f));
}
fn sin_turn_f32(r: f32) -> f32 { return sin_f32(3.1415927f * r); }
fn lgamma_f32(x: f32) -> f32 {
    if (isnan_f32(x)) { return x; }
    if (isinf_f32(x)) { return inf_f32(); }
    let a = abs_f32(x);
    if (a < 1e-7f) { return -log_f32(a); }
    if (x > 0.0f) { return lgamma_positive_f32(x); }
    let r = x - round(x);
    if (r == 0.0f) { return inf_f32(); }
    // Γ(x) Γ(-x) = -π / (x sin πx)
    return log_f32(3.1415927f / (a * abs_f32(sin_turn_f32(r)))) - lgamma_positive_f32(a);
}
fn digamma_positive_f32(x: f32) -> f32 {
    if (x < 1.0f) {
        let z = x - 0.5f;
        return digamma_near_f32(z, x - 0.46163213f - 1.243815e-8f) - 1.0f / x;
    }
    if (x < 8.0f) {
        var t = x;
        var sum = 0.0f;
        while (t >= 2.0f) {
            t -= 1.0f;
            sum += 1.0f / t;
        }
        return sum + digamma_near_f32(t - 1.5f, (t - 1.4616321f) - 1.243815e-8f);
    }
    let r = 1.0f / x;
    let z = r * r;
    return log_f32(x) - (0.5f * r + z * ((0.003968254f * z - 0.008333334f) * z + 0.083333336f));
}
// Digamma between 1 and 2, by the distance from 1.5 and from its zero.
fn digamma_near_f32(z: f32, from_zero: f32) -> f32 {
    return from_zero * ((((((((0.02322766f * z - 0.03496698f) * z + 0.03970887f) * z - 0.060342174f) * z + 0.095063455f)
        * z - 0.14851716f) * z + 0.24054107f) * z - 0.4236253f) * z + 0.9510559f);
}
fn digamma_f32(x: f32) -> f32 {
    if (isnan_f32(x)) { return x; }
    if ((bitcast<u32>(x) & 0x7fffffffu) == 0u) { return copysign_f32(inf_f32(), -x); }
    if (x > 0.0f) { return digamma_positive_f32(x); }
    // The fraction alone, because sin and cos of large multiples of π are noise.
    let r = x - round(x);
    if (r == 0.0f || isneginf_f32(x)) { return nan_f32(); }
    return digamma_positive_f32(1.0f - x) - 3.1415927f / tan_f32(3.1415927f * r);
}
// n! / x^(n + 1)
fn polygamma_term_f32(n: f32, x: f32) -> f32 {
    let r = 1.0f / x;
    var t = r;
    for (var j = 1u; j <= u32(n); j++) { t = t * (f32(j) * r); }
    return t;
}
// n! Σ (x + k)^-(n + 1), the first terms as they stand, the rest by Euler and Maclaurin.
fn polygamma_sum_f32(n: f32, x: f32) -> f32 {
    if (isnan_f32(x) || isneginf_f32(x)) { return nan_f32(); }
    if (isfinite_f32(x) && x <= 0.0f && x == floor(x)) { return inf_f32(); }
    if (isposinf_f32(x)) { return 0.0f; }
    // What is far below zero is nothing beside what is near, the less the higher the order.
    var q = max(x, fract(x) - select(1000.0f, 40.0f, n > 8.0f));
    var sum = 0.0f;
    while (q < 12.0f) {
        sum += polygamma_term_f32(n, q);
        q += 1.0f;
    }
    if (isinf_f32(sum)) { return sum; }
    let t = polygamma_term_f32(n, q);
    let r = 1.0f / q;
    let z = r * r;
    let s = n + 1.0f;
    let tail = s * r * (0.083333336f - (s + 1.0f) * (s + 2.0f) * z * (1.3888889e-3f
        - (s + 3.0f) * (s + 4.0f) * z * (3.3068783e-5f - (s + 5.0f) * (s + 6.0f) * z * 8.2671958e-7f)));
    // (n - 1)! q^-n and not t * q / n, as t underflows before it.
    return sum + (polygamma_term_f32(n - 1.0f, q) + t * (0.5f + tail));
}
fn polygamma_f32(n: f32, x: f32) -> f32 {
    // Halves away from zero.
    let order = sign(n) * floor(abs_f32(n) + 0.5f);
    if (order == 0.0f) { return digamma_f32(x); }
    if (!(order > 0.0f)) { return nan_f32(); }
    if (order == 1.0f && x < 0.5f) {
        let s = sin_turn_f32(x - round(x));
        return 9.869605f / (s * s) - polygamma_sum_f32(1.0f, 1.0f - x);
    }
    if (order > 170.0f) {
        // Beyond what f64 holds of n!, as on the CPU.
        let y = select(inf_f32(), -inf_f32(), fmod_f32(order, 2.0f) == 0.0f);
        if (isfinite_f32(x) && x <= 0.0f && x == floor(x)) { return y; }
        let gone = !isfinite_f32(order) || isnan_f32(x) || isinf_f32(x)
            || (order + 1.0f) * log2_f32(max(x, 0.5f)) > 1075.0f;
        if (gone) { return nan_f32(); }
        return y;
    }
    let y = polygamma_sum_f32(order, x);
    return select(y, -y, fmod_f32(order, 2.0f) == 0.0f);
}
