// Elementary functions of f32 as polynomials: builtins may be off by hundreds of ulps, and lose what is near zero.
// Drivers may take (a + b) - b for a, and contract or not: nothing here depends on how a sum is rounded. Where more
// digits are needed than 24, numbers are split by their bits, so that the products of the parts are exact.
fn power_of_two_f32(n: i32) -> f32 { return bitcast<f32>(bitcast<u32>(n + 127i) << 23u); }
// The twelve leading bits.
fn head_f32(x: f32) -> f32 { return bitcast<f32>(bitcast<u32>(x) & 0xfffff000u); }
// exp(r) - 1, |r| ≤ ln 2 / 2.
fn expm1_reduced_f32(r: f32) -> f32 {
    let p = ((((0.0001989197f * r + 0.0013934532f) * r + 0.0083333105f) * r + 0.041666456f) * r + 0.16666667f) * r + 0.5f;
    return r + r * r * p;
}
// x less n ln 2, where the first part of ln 2 has so few bits that its multiples are exact.
fn less_ln2_f32(x: f32, n: f32) -> f32 { return (x - n * 0.693359375f) + n * 2.1219444e-4f; }
// exp(x) · 2^up; in two steps, since one does not reach 2^128 and the subnormals.
fn exp_up_f32(x: f32, up: i32) -> f32 {
    if (isnan_f32(x)) { return x; }
    let t = clamp(x, -105.0f, 90.0f);
    let n = round(t * 1.442695f);
    let e = i32(n) + up;
    let half = e >> 1u;
    return (1.0f + expm1_reduced_f32(less_ln2_f32(t, n))) * power_of_two_f32(half) * power_of_two_f32(e - half);
}
fn exp_f32(x: f32) -> f32 { return exp_up_f32(x, 0i); }
fn exp2_f32(x: f32) -> f32 {
    if (isnan_f32(x)) { return x; }
    let t = clamp(x, -151.0f, 129.0f);
    let n = round(t);
    let half = i32(n) >> 1u;
    let m = 1.0f + expm1_reduced_f32((t - n) * 0.6931472f);
    return m * power_of_two_f32(half) * power_of_two_f32(i32(n) - half);
}
fn expm1_f32(x: f32) -> f32 {
    if (isnan_f32(x) || x == 0.0f) { return x; }
    let t = clamp(x, -20.0f, 89.0f);
    let n = round(t * 1.442695f);
    let half = power_of_two_f32(i32(n) - 1i);
    return 2.0f * (half * expm1_reduced_f32(less_ln2_f32(t, n)) + (half - 0.5f));
}
// log(1 + f), √½ ≤ 1 + f ≤ √2.
fn log1p_reduced_f32(f: f32) -> f32 {
    let p = (((((((0.0686054581f * f - 0.118568682f) * f + 0.119341631f) * f - 0.123772075f) * f + 0.142093827f) * f
        - 0.16669341f) * f + 0.200026877f) * f - 0.249999907f) * f + 0.333333038f;
    let z = f * f;
    return f + (z * f * p - 0.5f * z);
}
// x = m · 2^e with m in [low, 2 low), for positive x, subnormal ones too: the bits of m, and e.
fn scaled_f32(x: f32, low: u32) -> vec2<i32> {
    var b = bitcast<i32>(x);
    var down = 0i;
    if (b < 0x800000i) {
        down = 23i - i32(firstLeadingBit(b));
        // The leading bit counts one in the exponent.
        b = (b << bitcast<u32>(down)) - (down << 23u);
    }
    let e = (b - bitcast<i32>(low)) >> 23u;
    return vec2<i32>(b - (e << 23u), e);
}
// What a logarithm gives where it is no number of its own.
fn log_edge_f32(x: f32) -> f32 {
    if (x == 0.0f && (bitcast<u32>(x) & 0x7fffffffu) == 0u) { return -inf_f32(); }
    if (isposinf_f32(x)) { return x; }
    return nan_f32();
}
fn positive_f32(x: f32) -> bool {
    let b = bitcast<u32>(x);
    return b > 0u && b < 0x7f800000u;
}
fn log_f32(x: f32) -> f32 {
    if (!positive_f32(x)) { return log_edge_f32(x); }
    let s = scaled_f32(x, 0x3f3504f3u);
    let f = bitcast<f32>(s.x) - 1.0f;
    let e = f32(s.y);
    return e * 0.693359375f + (log1p_reduced_f32(f) - e * 2.1219444e-4f);
}
fn log2_f32(x: f32) -> f32 {
    if (!positive_f32(x)) { return log_edge_f32(x); }
    let s = scaled_f32(x, 0x3f3504f3u);
    let y = log1p_reduced_f32(bitcast<f32>(s.x) - 1.0f);
    return f32(s.y) + (y * 0.442695f + y);
}
fn log10_f32(x: f32) -> f32 {
    if (!positive_f32(x)) { return log_edge_f32(x); }
    let s = scaled_f32(x, 0x3f3504f3u);
    let y = log1p_reduced_f32(bitcast<f32>(s.x) - 1.0f);
    let e = f32(s.y);
    return e * 0.3010254f + (e * 4.605039e-6f + y * 0.4342945f);
}
fn log1p_f32(x: f32) -> f32 {
    if (x > -0.29f && x < 0.41f) {
        if (abs_f32(x) < 1e-8f) { return x; }
        return log1p_reduced_f32(x);
    }
    return log_f32(1.0f + x);
}
fn tanh_f32(x: f32) -> f32 {
    if (isnan_f32(x)) { return x; }
    let e = expm1_f32(2.0f * min(abs_f32(x), 10.0f));
    return copysign_f32(e / (e + 2.0f), x);
}
// The exponential of the negative side only, so that nothing overflows.
fn sigmoid_f32(x: f32) -> f32 {
    let e = exp_f32(-abs_f32(x));
    return select(1.0f, e, x < 0.0f) / (1.0f + e);
}
fn sinh_f32(x: f32) -> f32 {
    let a = abs_f32(x);
    if (a < 1.0f) {
        let z = x * x;
        let p = ((2.8062802e-06f * z + 0.00019838102f) * z + 0.008333339f) * z + 0.16666667f;
        return x + x * z * p;
    }
    let e = exp_up_f32(a, -1i);
    return copysign_f32(e - 0.25f / e, x);
}
fn cosh_f32(x: f32) -> f32 {
    let e = exp_up_f32(abs_f32(x), -1i);
    return e + 0.25f / e;
}
fn asinh_f32(x: f32) -> f32 {
    if (!isfinite_f32(x)) { return x; }
    let a = abs_f32(x);
    if (a > 4096.0f) { return copysign_f32(log_f32(a) + 0.6931472f, x); }
    let z = a * a;
    return copysign_f32(log1p_f32(a + z / (1.0f + sqrt(z + 1.0f))), x);
}
fn acosh_f32(x: f32) -> f32 {
    if (x > 4096.0f) { return log_f32(x) + 0.6931472f; }
    if (!(x >= 1.0f)) { return nan_f32(); }
    let t = x - 1.0f;
    return log1p_f32(t + sqrt(t * (t + 2.0f)));
}
fn atanh_f32(x: f32) -> f32 {
    let a = abs_f32(x);
    if (!(a <= 1.0f)) { return nan_f32(); }
    if (a == 1.0f) { return copysign_f32(inf_f32(), x); }
    return copysign_f32(0.5f * log1p_f32(2.0f * a / (1.0f - a)), x);
}
fn atan_f32(x: f32) -> f32 {
    if (isnan_f32(x)) { return x; }
    let a = abs_f32(x);
    var t = a;
    var y = 0.0f;
    var low = 0.0f;
    if (a > 2.4142137f) {
        t = -1.0f / a;
        y = 1.5707964f;
        low = -4.371139e-8f;
    } else if (a > 0.41421357f) {
        t = (a - 1.0f) / (a + 1.0f);
        y = 0.7853982f;
        low = -2.1855695e-8f;
    }
    let z = t * t;
    let p = (((-0.064503774f * z + 0.10743263f) * z - 0.14263912f) * z + 0.1999954f) * z - 0.3333333f;
    return copysign_f32(y + (low + t * z * p + t), x);
}
fn atan2_f32(a: f32, b: f32) -> f32 {
    if (isnan_f32(a)) { return a; }
    if (isnan_f32(b)) { return b; }
    let u = abs_f32(a);
    let v = abs_f32(b);
    let high = max(u, v);
    // Of two infinities or two zeros.
    var q = 0.0f;
    if (isinf_f32(min(u, v))) {
        q = 1.0f;
    } else if (high != 0.0f) {
        q = min(u, v) / high;
    }
    var y = atan_f32(q);
    if (u > v) { y = 1.5707964f - (y + 4.371139e-8f); }
    if (signbit_f32(b)) { y = 3.1415927f - (y + 8.742278e-8f); }
    return copysign_f32(y, a);
}
fn asin_tail_f32(z: f32) -> f32 {
    return (((((0.033700727f * z + 0.017143717f) * z + 0.031101728f) * z + 0.04459932f) * z + 0.07500095f) * z
        + 0.16666666f) * z;
}
// asin of √z, halved: for what lies beyond a half.
fn asin_rest_f32(a: f32) -> f32 {
    let z = 0.5f * (1.0f - a);
    let s = sqrt(z);
    return s + s * asin_tail_f32(z);
}
fn asin_f32(x: f32) -> f32 {
    let a = abs_f32(x);
    if (!(a <= 1.0f)) { return nan_f32(); }
    if (a <= 0.5f) { return x + x * asin_tail_f32(x * x); }
    return copysign_f32(1.5707964f - (2.0f * asin_rest_f32(a) + 4.371139e-8f), x);
}
fn acos_f32(x: f32) -> f32 {
    let a = abs_f32(x);
    if (!(a <= 1.0f)) { return nan_f32(); }
    if (a <= 0.5f) { return 1.5707964f - (x + (x * asin_tail_f32(x * x) + 4.371139e-8f)); }
    let y = 2.0f * asin_rest_f32(a);
    return select(y, 3.1415927f - (y + 8.742278e-8f), x < 0.0f);
}
fn hypot_f32(a: f32, b: f32) -> f32 {
    let u = abs_f32(a);
    let v = abs_f32(b);
    if (isinf_f32(u) || isinf_f32(v)) { return inf_f32(); }
    if (isnan_f32(u)) { return u; }
    if (isnan_f32(v)) { return v; }
    let high = max(u, v);
    var up = 1.0f;
    var down = 1.0f;
    if (high > 1e18f) {
        up = power_of_two_f32(-80i);
        down = power_of_two_f32(80i);
    } else if (high < 1e-18f) {
        up = power_of_two_f32(100i);
        down = power_of_two_f32(-100i);
    }
    let x = u * up;
    let y = v * up;
    return sqrt(x * x + y * y) * down;
}
// 2/π after 32 zero bits.
const TWO_OVER_PI_F32 = array<u32, 8>(
    0x00000000u, 0xa2f9836eu, 0x4e441529u, 0xfc2757d1u, 0xf534ddc0u, 0xdb629599u, 0x3c439041u, 0xfe600000u);
// x less a multiple of π/2, and the multiple's last two bits.
fn quadrant_f32(x: f32) -> vec2<f32> {
    let a = abs_f32(x);
    if (a < 0.7853981f) { return vec2<f32>(x, 0.0f); }
    if (a < 512.0f) {
        // Parts of π/2 of so few bits that these multiples are exact.
        let n = round(x * 0.63661975f);
        let r = ((x - n * 1.5707397f) - n * 5.657971e-05f) - n * 9.920936e-10f;
        return vec2<f32>(r, f32(i32(n) & 3i));
    }
    // The bits of 2/π that a multiple of four does not swallow, 96 of them, times the mantissa.
    let s = parts_f32(a);
    let first = s.y - 120u;
    var table = TWO_OVER_PI_F32;
    let w = first >> 5u;
    let t = first & 31u;
    var f = vec3<u32>(table[w], table[w + 1u], table[w + 2u]);
    if (t != 0u) {
        f = (f << vec3<u32>(t)) | (vec3<u32>(f.y, f.z, table[w + 3u]) >> vec3<u32>(32u - t));
    }
    let low = wide_product(s.x, f.z);
    let mid = wide_product(s.x, f.y);
    let l = mid.x + low.y;
    let h = s.x * f.x + mid.y + select(0u, 1u, l < mid.x);
    // Two bits before the point; the rest as a signed fraction of 2^64.
    var q = h >> 30u;
    let rest = vec2<u32>(l << 2u, (h << 2u) | (l >> 30u));
    q += rest.y >> 31u;
    var r = f32_of_i64(rest) * 5.421011e-20f * 1.5707964f;
    if (signbit_f32(x)) {
        r = -r;
        q = 4u - q;
    }
    return vec2<f32>(r, f32(q & 3u));
}
fn sin_reduced_f32(r: f32) -> f32 {
    let z = r * r;
    // Not to lose the sign of a zero.
    if (z < 1e-9f) { return r; }
    let p = ((2.7243811e-06f * z - 0.00019840039f) * z + 0.008333332f) * z - 0.16666667f;
    return r + r * z * p;
}
fn cos_reduced_f32(r: f32) -> f32 {
    let z = r * r;
    let p = (2.4542896e-05f * z - 0.0013888279f) * z + 0.041666664f;
    return 1.0f - (0.5f * z - z * z * p);
}
fn sin_f32(x: f32) -> f32 {
    if (!isfinite_f32(x)) { return nan_f32(); }
    let s = quadrant_f32(x);
    let q = u32(s.y);
    if ((q & 1u) == 1u) {
        let c = cos_reduced_f32(s.x);
        return select(c, -c, q == 3u);
    }
    let y = sin_reduced_f32(s.x);
    return select(y, -y, q == 2u);
}
fn cos_f32(x: f32) -> f32 {
    if (!isfinite_f32(x)) { return nan_f32(); }
    let s = quadrant_f32(x);
    let q = u32(s.y);
    if ((q & 1u) == 1u) {
        let y = sin_reduced_f32(s.x);
        return select(y, -y, q == 1u);
    }
    let c = cos_reduced_f32(s.x);
    return select(c, -c, q == 2u);
}
fn tan_f32(x: f32) -> f32 {
    if (!isfinite_f32(x)) { return nan_f32(); }
    let s = quadrant_f32(x);
    let y = sin_reduced_f32(s.x);
    let c = cos_reduced_f32(s.x);
    if ((u32(s.y) & 1u) == 1u) { return -c / y; }
    return y / c;
}
// For each sixteenth of an octave a short reciprocal of its middle, and minus its log2 in two parts.
const LOG2_STEPS_F32 = array<vec3<f32>, 16>(
    vec3<f32>(1.390625f, -0.4765625f, 0.00082906906f),
    vec3<f32>(1.3320312f, -0.4140625f, 0.00043457097f),
    vec3<f32>(1.28125f, -0.359375f, 0.0018229954f),
    vec3<f32>(1.2304688f, -0.30078125f, 0.0015732317f),
    vec3<f32>(1.1835938f, -0.2421875f, -0.0009864835f),
    vec3<f32>(1.1445312f, -0.1953125f, 0.00055564556f),
    vec3<f32>(1.1015625f, -0.140625f, 0.0010736476f),
    vec3<f32>(1.0664062f, -0.09375f, 0.0009928591f),
    vec3<f32>(1.03125f, -0.04296875f, -0.0014253694f),
    vec3<f32>(1.0f, 0.0f, 0.0f),
    vec3<f32>(0.94140625f, 0.0859375f, 0.0011731638f),
    vec3<f32>(0.890625f, 0.16796875f, -0.00085876416f),
    vec3<f32>(0.84375f, 0.24609375f, -0.0009812522f),
    vec3<f32>(0.80078125f, 0.3203125f, 0.00020740049f),
    vec3<f32>(0.76171875f, 0.39453125f, -0.0018615638f),
    vec3<f32>(0.7265625f, 0.4609375f, -9.631111e-05f));
// log2 of a positive number as a head of 12 bits and the rest: a power multiplies its error by up to 150.
fn log2_parts_f32(x: f32) -> vec2<f32> {
    let s = scaled_f32(x, 0x3f340000u);
    var table = LOG2_STEPS_F32;
    let step = table[(s.x - 0x3f340000i) >> 19u];
    let m = bitcast<f32>(s.x);
    let mh = head_f32(m);
    let a = mh * step.x - 1.0f;
    let b = (m - mh) * step.x;
    // log(1 + z) = z - z²/2 + z³ p
    let f = head_f32(a + b);
    let g = (a - f) + b;
    let z = f + g;
    let p = ((-0.16681129f * z + 0.20016527f) * z - 0.24999999f) * z + 0.3333333f;
    let h = 0.5f * f * f;
    let y = head_f32(f - h);
    let rest = ((f - y) - h) + (g * (1.0f - f - 0.5f * g) + z * z * z * p);
    let whole = f32(s.y) + step.y;
    let product = y * 1.4423828f;
    let high = head_f32(whole + product);
    return vec2<f32>(high, ((whole - high) + product) + (step.z + (y * 0.0003122284f + rest * 1.442695f)));
}
fn pow_f32(a: f32, b: f32) -> f32 {
    if (a == 1.0f || (bitcast<u32>(b) & 0x7fffffffu) == 0u) { return 1.0f; }
    if (isnan_f32(a)) { return a; }
    if (isnan_f32(b)) { return b; }
    let u = abs_f32(a);
    let v = abs_f32(b);
    let whole = v >= 8388608.0f || v == trunc(v);
    let odd = v < 16777216.0f && whole && (u32(v) & 1u) == 1u;
    let sign = select(1.0f, -1.0f, odd && signbit_f32(a));
    if (isinf_f32(b)) {
        if (u == 1.0f) { return 1.0f; }
        return select(0.0f, inf_f32(), (u > 1.0f) != signbit_f32(b));
    }
    let none = (bitcast<u32>(a) & 0x7fffffffu) == 0u;
    if (none || isinf_f32(a)) { return copysign_f32(select(inf_f32(), 0.0f, none != signbit_f32(b)), sign); }
    if (signbit_f32(a) && !whole) { return nan_f32(); }
    // Exact where a product is.
    if (b == 1.0f) { return a; }
    if (b == 2.0f) { return a * a; }
    if (b == 3.0f) { return a * a * a; }
    let l = log2_parts_f32(u);
    let about = b * (l.x + l.y);
    if (about > 160.0f) { return copysign_f32(inf_f32(), sign); }
    if (about < -160.0f) { return copysign_f32(0.0f, sign); }
    let bh = head_f32(b);
    let high = bh * l.x;
    let low = bh * l.y + (b - bh) * (l.x + l.y);
    let n = round(high + low);
    let m = 1.0f + expm1_reduced_f32(((high - n) + low) * 0.6931472f);
    let half = i32(n) >> 1u;
    return copysign_f32(m * power_of_two_f32(half) * power_of_two_f32(i32(n) - half), sign);
}
