// Rows in f64, on adapters that have it; 64-bit integers come with it, for the bits.
fn inf_f64() -> f64 { return bitcast<f64>(0x7ff0000000000000lu); }
fn nan_f64() -> f64 { return bitcast<f64>(0x7ff8000000000000lu); }
fn magnitude_f64(x: f64) -> u64 { return bitcast<u64>(x) & 0x7ffffffffffffffflu; }
fn isnan_f64(x: f64) -> bool { return magnitude_f64(x) > 0x7ff0000000000000lu; }
fn isinf_f64(x: f64) -> bool { return magnitude_f64(x) == 0x7ff0000000000000lu; }
fn isfinite_f64(x: f64) -> bool { return magnitude_f64(x) < 0x7ff0000000000000lu; }
fn isposinf_f64(x: f64) -> bool { return bitcast<u64>(x) == 0x7ff0000000000000lu; }
fn isneginf_f64(x: f64) -> bool { return bitcast<u64>(x) == 0xfff0000000000000lu; }
fn signbit_f64(x: f64) -> bool { return (bitcast<u64>(x) >> 63u) == 1lu; }
fn abs_f64(x: f64) -> f64 { return bitcast<f64>(magnitude_f64(x)); }
fn copysign_f64(a: f64, b: f64) -> f64 {
    return bitcast<f64>(magnitude_f64(a) | (bitcast<u64>(b) & 0x8000000000000000lu));
}
fn sign_f64(x: f64) -> f64 { return f64(select(select(0i, -1i, x < 0.0lf), 1i, x > 0.0lf)); }
fn nought_f64(x: f64) -> f64 {
    if (!isfinite_f64(x)) { return nan_f64(); }
    return bitcast<f64>(bitcast<u64>(x) & 0x8000000000000000lu);
}
fn maximum_f64(a: f64, b: f64) -> f64 { return select(a, b, !isnan_f64(a) & (isnan_f64(b) | (b > a))); }
fn minimum_f64(a: f64, b: f64) -> f64 { return select(a, b, !isnan_f64(a) & (isnan_f64(b) | (b < a))); }
fn fmax_f64(a: f64, b: f64) -> f64 { return select(a, b, isnan_f64(a) | (!isnan_f64(b) & (b > a))); }
fn fmin_f64(a: f64, b: f64) -> f64 { return select(a, b, isnan_f64(a) | (!isnan_f64(b) & (b < a))); }
// By their bits: some drivers round f64 by way of 32-bit integers.
fn trunc_f64(x: f64) -> f64 {
    let e = u32((bitcast<u64>(x) >> 52u) & 0x7fflu);
    if (e < 1023u) { return bitcast<f64>(bitcast<u64>(x) & 0x8000000000000000lu); }
    if (e >= 1075u) { return x; }
    return bitcast<f64>(bitcast<u64>(x) & (0xfffffffffffffffflu << (1075u - e)));
}
fn floor_f64(x: f64) -> f64 {
    let t = trunc_f64(x);
    return select(t, t - 1.0lf, t > x);
}
fn ceil_f64(x: f64) -> f64 {
    let t = trunc_f64(x);
    return select(t, copysign_f64(t + 1.0lf, x), t < x);
}
fn round_f64(x: f64) -> f64 {
    let a = abs_f64(x);
    let t = trunc_f64(a);
    let left = a - t;
    let up = left > 0.5lf || (left == 0.5lf && 2.0lf * trunc_f64(0.5lf * t) != t);
    return copysign_f64(select(t, t + 1.0lf, up), x);
}
fn sqrt_f64(x: f64) -> f64 { return sqrt(x); }
fn rsqrt_f64(x: f64) -> f64 { return 1.0lf / sqrt(x); }
fn mantissa_f64(a: u64) -> u64 {
    return select((a & 0xffffffffffffflu) | 0x10000000000000lu, a, a < 0x10000000000000lu);
}
fn exponent_f64(a: u64) -> u32 { return max(u32(a >> 52u), 1u); }
// What m · 2^(e - 1075) is, of m below 2^53 and no bits below the last: exact.
fn joined_f64(m: u64, e: u32) -> f64 {
    if (m == 0lu) { return 0.0lf; }
    var shifted = m;
    var at = e;
    while (shifted < 0x10000000000000lu && at > 1u) {
        shifted = shifted << 1u;
        at -= 1u;
    }
    if (shifted < 0x10000000000000lu) { return bitcast<f64>(shifted); }
    return bitcast<f64>((shifted & 0xffffffffffffflu) | (u64(at) << 52u));
}
// Exact: long division of the mantissas, eleven bits a step.
fn fmod_f64(a: f64, b: f64) -> f64 {
    if (!isfinite_f64(a) || isnan_f64(b) || magnitude_f64(b) == 0lu) { return nan_f64(); }
    if (isinf_f64(b)) { return a; }
    let e = exponent_f64(magnitude_f64(b));
    let from_e = exponent_f64(magnitude_f64(a));
    if (from_e < e) { return a; }
    let divisor = mantissa_f64(magnitude_f64(b));
    var left = from_e - e;
    var m = mantissa_f64(magnitude_f64(a)) % divisor;
    while (left > 0u && m != 0lu) {
        let step = min(left, 11u);
        m = (m << step) % divisor;
        left -= step;
    }
    return copysign_f64(joined_f64(m, e), a);
}
fn remainder_f64(a: f64, b: f64) -> f64 {
    let r = fmod_f64(a, b);
    return select(r, r + b, r != 0.0lf && signbit_f64(r) != signbit_f64(b));
}
fn floor_divide_f64(a: f64, b: f64) -> f64 {
    if (b == 0.0lf) { return a / b; }
    let r = fmod_f64(a, b);
    let exact = (a - r) / b;
    let below = select(exact, exact - 1.0lf, r != 0.0lf && signbit_f64(r) != signbit_f64(b));
    if (below == 0.0lf) { return copysign_f64(0.0lf, a / b); }
    let down = floor_f64(below);
    return select(down, down + 1.0lf, below - down > 0.5lf);
}
fn trunc_divide_f64(a: f64, b: f64) -> f64 {
    let q = a / b;
    if (abs_f64(q) < 9007199254740992.0lf && fmod_f64(a, b) == 0.0lf) { return round_f64(q); }
    return trunc_f64(q);
}
fn nextafter_f64(a: f64, b: f64) -> f64 {
    if (isnan_f64(a)) { return a; }
    if (isnan_f64(b)) { return b; }
    let x = bitcast<u64>(a);
    let y = bitcast<u64>(b);
    if (x == y || magnitude_f64(a) + magnitude_f64(b) == 0lu) { return b; }
    if (magnitude_f64(a) == 0lu) { return bitcast<f64>((y & 0x8000000000000000lu) | 1lu); }
    let outward = (x ^ y) < 0x8000000000000000lu && magnitude_f64(a) < magnitude_f64(b);
    return bitcast<f64>(select(x - 1lu, x + 1lu, outward));
}
