// Elementary functions of f64, of which WGSL has none: as those of f32, with more terms.
fn power_of_two_f64(n: i32) -> f64 { return bitcast<f64>(u64(bitcast<u32>(n + 1023i)) << 52u); }
// The 26 leading bits.
fn head_f64(x: f64) -> f64 { return bitcast<f64>(bitcast<u64>(x) & 0xfffffffff8000000lu); }
// exp(r) - 1, |r| ≤ ln 2 / 2.
fn expm1_reduced_f64(r: f64) -> f64 {
    let p = ((((((((((1.6087170907940627e-10lf * r + 2.0918952345998524e-09lf) * r + 2.5052069612234677e-08lf)
        * r + 2.7557261055508104e-07lf) * r + 2.755731924861721e-06lf) * r + 2.4801587338540415e-05lf) * r +
        0.0001984126984126277lf) * r + 0.001388888888887828lf) * r + 0.008333333333333333lf) * r +
        0.04166666666666668lf) * r + 0.16666666666666666lf) * r + 0.5lf;
    return r + r * r * p;
}
// x less n ln 2, where the first part of ln 2 has so few bits that its multiples are exact.
fn less_ln2_f64(x: f64, n: f64) -> f64 { return (x - n * 0.6931471803691238lf) - n * 1.9082149292705877e-10lf; }
// exp(x) · 2^up; in two steps, since one does not reach 2^1024 and the subnormals.
fn exp_up_f64(x: f64, up: i32) -> f64 {
    if (isnan_f64(x)) { return x; }
    let t = clamp(x, -750.0lf, 711.0lf);
    let n = round(t * 1.4426950408889634lf);
    let e = i32(n) + up;
    let half = e >> 1u;
    return (1.0lf + expm1_reduced_f64(less_ln2_f64(t, n))) * power_of_two_f64(half) * power_of_two_f64(e - half);
}
fn exp_f64(x: f64) -> f64 { return exp_up_f64(x, 0i); }
fn exp2_f64(x: f64) -> f64 {
    if (isnan_f64(x)) { return x; }
    let t = clamp(x, -1080.0lf, 1025.0lf);
    let n = round(t);
    let half = i32(n) >> 1u;
    let m = 1.0lf + expm1_reduced_f64((t - n) * 0.6931471805599453lf);
    return m * power_of_two_f64(half) * power_of_two_f64(i32(n) - half);
}
fn expm1_f64(x: f64) -> f64 {
    if (isnan_f64(x) || x == 0.0lf) { return x; }
    let t = clamp(x, -40.0lf, 710.0lf);
    let n = round(t * 1.4426950408889634lf);
    let half = power_of_two_f64(i32(n) - 1i);
    return 2.0lf * (half * expm1_reduced_f64(less_ln2_f64(t, n)) + (half - 0.5lf));
}
// log(1 + f), √½ ≤ 1 + f ≤ √2, plus what is small beside it.
fn log1p_reduced_f64(f: f64, plus: f64) -> f64 {
    let s = f / (2.0lf + f);
    let z = s * s;
    let p = (((((((0.11890045085576857lf * z + 0.11687233189552514lf) * z + 0.13335678514714808lf) * z +
        0.1538457420874962lf) * z + 0.18181818605445013lf) * z + 0.22222222219777607lf) * z +
        0.2857142857143563lf) * z + 0.3999999999999999lf) * z + 0.6666666666666666lf;
    let h = 0.5lf * f * f;
    return f - (h - (s * (h + z * p) + plus));
}
// x = m · 2^e with m in [low, 2 low), for positive x, subnormal ones too: the bits of m, and e.
fn scaled_exponent_f64(x: f64, low: u64) -> i32 {
    var b = bitcast<u64>(x);
    var e = 0i;
    if (b < 0x10000000000000lu) {
        b = bitcast<u64>(x * 18014398509481984.0lf);
        e = -54i;
    }
    // 1024 more, so that nothing is negative.
    return e + i32(u32((b + 0x4000000000000000lu - low) >> 52u)) - 1024i;
}
fn scaled_mantissa_f64(x: f64, e: i32) -> f64 {
    let half = e >> 1u;
    return x * power_of_two_f64(-half) * power_of_two_f64(half - e);
}
// What a logarithm gives where it is no number of its own.
fn log_edge_f64(x: f64) -> f64 {
    if (magnitude_f64(x) == 0lu) { return -inf_f64(); }
    if (isposinf_f64(x)) { return x; }
    return nan_f64();
}
fn positive_f64(x: f64) -> bool {
    let b = bitcast<u64>(x);
    return b > 0lu && b < 0x7ff0000000000000lu;
}
fn log_f64(x: f64) -> f64 {
    if (!positive_f64(x)) { return log_edge_f64(x); }
    let n = scaled_exponent_f64(x, 0x3fe6a09e667f3bcdlu);
    let e = f64(n);
    let f = scaled_mantissa_f64(x, n) - 1.0lf;
    return e * 0.6931471803691238lf + log1p_reduced_f64(f, e * 1.9082149292705877e-10lf);
}
fn log2_f64(x: f64) -> f64 {
    if (!positive_f64(x)) { return log_edge_f64(x); }
    let n = scaled_exponent_f64(x, 0x3fe6a09e667f3bcdlu);
    let y = log1p_reduced_f64(scaled_mantissa_f64(x, n) - 1.0lf, 0.0lf);
    return f64(n) + (y * 0.4426950408889634lf + y);
}
fn log10_f64(x: f64) -> f64 {
    if (!positive_f64(x)) { return log_edge_f64(x); }
    let n = scaled_exponent_f64(x, 0x3fe6a09e667f3bcdlu);
    let y = log1p_reduced_f64(scaled_mantissa_f64(x, n) - 1.0lf, 0.0lf);
    let e = f64(n);
    return e * 0.3010299955494702lf + (e * 1.1451100898021838e-10lf + y * 0.4342944819032518lf);
}
fn log1p_f64(x: f64) -> f64 {
    if (x > -0.29lf && x < 0.41lf) {
        if (abs_f64(x) < 1e-17lf) { return x; }
        return log1p_reduced_f64(x, 0.0lf);
    }
    return log_f64(1.0lf + x);
}
fn tanh_f64(x: f64) -> f64 {
    if (isnan_f64(x)) { return x; }
    let e = expm1_f64(2.0lf * min(abs_f64(x), 22.0lf));
    return copysign_f64(e / (e + 2.0lf), x);
}
fn sigmoid_f64(x: f64) -> f64 {
    let e = exp_f64(-abs_f64(x));
    return select(1.0lf, e, x < 0.0lf) / (1.0lf + e);
}
fn sinh_f64(x: f64) -> f64 {
    let a = abs_f64(x);
    if (a < 1.0lf) {
        let z = x * x;
        let p = (((((((8.309171941866942e-18lf * z + 2.8112909646770106e-15lf) * z +
            7.647165414593481e-13lf) * z + 1.605904382690051e-10lf) * z + 2.505210838547607e-08lf) * z +
            2.7557319223985825e-06lf) * z + 0.0001984126984126984lf) * z + 0.008333333333333333lf) * z +
            0.16666666666666666lf;
        return x + x * z * p;
    }
    let e = exp_up_f64(a, -1i);
    return copysign_f64(e - 0.25lf / e, x);
}
fn cosh_f64(x: f64) -> f64 {
    let e = exp_up_f64(abs_f64(x), -1i);
    return e + 0.25lf / e;
}
fn asinh_f64(x: f64) -> f64 {
    if (!isfinite_f64(x)) { return x; }
    let a = abs_f64(x);
    if (a > 1e9lf) { return copysign_f64(log_f64(a) + 0.6931471805599453lf, x); }
    let z = a * a;
    return copysign_f64(log1p_f64(a + z / (1.0lf + sqrt(z + 1.0lf))), x);
}
fn acosh_f64(x: f64) -> f64 {
    if (x > 1e9lf) { return log_f64(x) + 0.6931471805599453lf; }
    if (!(x >= 1.0lf)) { return nan_f64(); }
    let t = x - 1.0lf;
    return log1p_f64(t + sqrt(t * (t + 2.0lf)));
}
fn atanh_f64(x: f64) -> f64 {
    let a = abs_f64(x);
    if (!(a <= 1.0lf)) { return nan_f64(); }
    if (a == 1.0lf) { return copysign_f64(inf_f64(), x); }
    return copysign_f64(0.5lf * log1p_f64(2.0lf * a / (1.0lf - a)), x);
}
fn atan_f64(x: f64) -> f64 {
    if (isnan_f64(x)) { return x; }
    let a = abs_f64(x);
    var t = a;
    var y = 0.0lf;
    var low = 0.0lf;
    if (a > 2.414213562373095lf) {
        t = -1.0lf / a;
        y = 1.5707963267948966lf;
        low = 6.123233995736766e-17lf;
    } else if (a > 0.41421356237309503lf) {
        t = (a - 1.0lf) / (a + 1.0lf);
        y = 0.7853981633974483lf;
        low = 3.061616997868383e-17lf;
    }
    let z = t * t;
    let p = (((((((((((-0.013908703447288225lf * z + 0.030626287828475894lf) * z - 0.04104029750501821lf) * z
        + 0.04719294405473837lf) * z - 0.052580257920073425lf) * z + 0.05881923626133301lf) * z -
        0.06666641908302051lf) * z + 0.07692306730961795lf) * z - 0.09090909066866446lf) * z +
        0.11111111110752325lf) * z - 0.14285714285711498lf) * z + 0.19999999999999993lf) * z -
        0.3333333333333333lf;
    return copysign_f64(y + (low + t * z * p + t), x);
}
fn atan2_f64(a: f64, b: f64) -> f64 {
    if (isnan_f64(a)) { return a; }
    if (isnan_f64(b)) { return b; }
    let u = abs_f64(a);
    let v = abs_f64(b);
    let high = max(u, v);
    // Of two infinities or two zeros.
    var q = 0.0lf;
    if (isinf_f64(min(u, v))) {
        q = 1.0lf;
    } else if (high != 0.0lf) {
        q = min(u, v) / high;
    }
    var y = atan_f64(q);
    if (u > v) { y = 1.5707963267948966lf - (y - 6.123233995736766e-17lf); }
    if (signbit_f64(b)) { y = 3.141592653589793lf - (y - 1.2246467991473532e-16lf); }
    return copysign_f64(y, a);
}
fn asin_tail_f64(z: f64) -> f64 {
    let p = ((((((((((((0.02963502626354855lf * z - 0.019277545928584557lf) * z + 0.019579201619744684lf) * z
        + 0.0030350071727267623lf) * z + 0.009322101501082774lf) * z + 0.00962140274734483lf) * z +
        0.011566511821890942lf) * z + 0.013963775787848137lf) * z + 0.017352816768546473lf) * z +
        0.022372157435623815lf) * z + 0.030381944475693704lf) * z + 0.04464285714255019lf) * z +
        0.07500000000000119lf) * z + 0.16666666666666666lf;
    return p * z;
}
fn asin_rest_f64(a: f64) -> f64 {
    let z = 0.5lf * (1.0lf - a);
    let s = sqrt(z);
    return s + s * asin_tail_f64(z);
}
fn asin_f64(x: f64) -> f64 {
    let a = abs_f64(x);
    if (!(a <= 1.0lf)) { return nan_f64(); }
    if (a <= 0.5lf) { return x + x * asin_tail_f64(x * x); }
    return copysign_f64(1.5707963267948966lf - (2.0lf * asin_rest_f64(a) - 6.123233995736766e-17lf), x);
}
fn acos_f64(x: f64) -> f64 {
    let a = abs_f64(x);
    if (!(a <= 1.0lf)) { return nan_f64(); }
    if (a <= 0.5lf) { return 1.5707963267948966lf - (x + (x * asin_tail_f64(x * x) - 6.123233995736766e-17lf)); }
    let y = 2.0lf * asin_rest_f64(a);
    return select(y, 3.141592653589793lf - (y - 1.2246467991473532e-16lf), x < 0.0lf);
}
fn hypot_f64(a: f64, b: f64) -> f64 {
    let u = abs_f64(a);
    let v = abs_f64(b);
    if (isinf_f64(u) || isinf_f64(v)) { return inf_f64(); }
    if (isnan_f64(u)) { return u; }
    if (isnan_f64(v)) { return v; }
    let high = max(u, v);
    var up = 1.0lf;
    var down = 1.0lf;
    if (high > 1e150lf) {
        up = power_of_two_f64(-600i);
        down = power_of_two_f64(600i);
    } else if (high < 1e-140lf) {
        up = power_of_two_f64(700i);
        down = power_of_two_f64(-700i);
    }
    let x = u * up;
    let y = v * up;
    return sqrt(x * x + y * y) * down;
}
// 2/π after 64 zero bits.
const TWO_OVER_PI_F64 = array<u32, 40>(
    0x00000000u, 0x00000000u,
    0xa2f9836eu, 0x4e441529u, 0xfc2757d1u, 0xf534ddc0u, 0xdb629599u, 0x3c439041u, 0xfe5163abu, 0xdebbc561u,
    0xb7246e3au, 0x424dd2e0u, 0x06492eeau, 0x09d1921cu, 0xfe1deb1cu, 0xb129a73eu, 0xe88235f5u, 0x2ebb4484u,
    0xe99c7026u, 0xb45f7e41u, 0x3991d639u, 0x835339f4u, 0x9c845f8bu, 0xbdf9283bu, 0x1ff897ffu, 0xde05980fu,
    0xef2f118bu, 0x5a0a6d1fu, 0x6d367ecfu, 0x27cb09b7u, 0x4f463f66u, 0x9e5fea2du, 0x7527bac7u, 0xebe5f17bu,
    0x3d0739f7u, 0x8a5292eau, 0x6bfb5fb1u, 0x1f8d5d08u, 0x56033046u, 0xfc7b6babu);
// x less a multiple of π/2, and the multiple's last two bits.
fn quadrant_f64(x: f64) -> vec2<f64> {
    let a = abs_f64(x);
    if (a < 0.785398163397448lf) { return vec2<f64>(x, 0.0lf); }
    if (a < 1048576.0lf) {
        // Parts of π/2 of so few bits that these multiples are exact.
        let n = round(x * 0.6366197723675814lf);
        let r = ((x - n * 1.5707963267341256lf) - n * 6.077100506303966e-11lf) - n * 2.0222662487959506e-21lf;
        return vec2<f64>(r, f64(i32(n) & 3i));
    }
    // The bits of 2/π that a multiple of four does not swallow, 192 of them, times the mantissa.
    let first = exponent_f64(magnitude_f64(a)) - 1013u;
    let m = mantissa_f64(magnitude_f64(a));
    let m0 = m & 0xfffffffflu;
    let m1 = m >> 32u;
    var table = TWO_OVER_PI_F64;
    let w = first >> 5u;
    let t = first & 31u;
    var carry = 0lu;
    var below = 0lu;
    var high = 0lu;
    var low = 0lu;
    for (var k = 0u; k < 6u; k++) {
        let at = w + 5u - k;
        let f = ((u64(table[at]) << 32u | u64(table[at + 1u])) >> (32u - t)) & 0xfffffffflu;
        let x0 = m0 * f;
        let x1 = m1 * below;
        let sum = (x0 & 0xfffffffflu) + (x1 & 0xfffffffflu) + carry;
        carry = (sum >> 32u) + (x0 >> 32u) + (x1 >> 32u);
        below = f;
        low = (low >> 32u) | (high << 32u);
        high = (high >> 32u) | (sum << 32u);
    }
    // Two bits before the point; the rest as a signed fraction of 2^128.
    var q = u32(high >> 62u);
    high = (high << 2u) | (low >> 62u);
    low = low << 2u;
    var sign = 1.5707963267948966lf;
    if (high >= 0x8000000000000000lu) {
        q += 1u;
        sign = -sign;
        low = ~low + 1lu;
        high = ~high + select(0lu, 1lu, low == 0lu);
    }
    var r = (f64(high) * power_of_two_f64(-64i) + f64(low) * power_of_two_f64(-128i)) * sign;
    if (signbit_f64(x)) {
        r = -r;
        q = 4u - (q & 3u);
    }
    return vec2<f64>(r, f64(q & 3u));
}
fn sin_reduced_f64(r: f64) -> f64 {
    let z = r * r;
    // Not to lose the sign of a zero.
    if (z < 1e-18lf) { return r; }
    let p = ((((((2.7908414199384522e-15lf * z - 7.646953195450582e-13lf) * z + 1.605904271658278e-10lf) * z -
        2.505210838213884e-08lf) * z + 2.7557319223980603e-06lf) * z - 0.00019841269841269836lf) * z +
        0.008333333333333333lf) * z - 0.16666666666666666lf;
    return r + r * z * p;
}
fn cos_reduced_f64(r: f64) -> f64 {
    let z = r * r;
    let p = (((((4.745202155702359e-14lf * z - 1.147044941240971e-11lf) * z + 2.0876755717957296e-09lf) * z -
        2.75573192211902e-07lf) * z + 2.480158730158437e-05lf) * z - 0.0013888888888888887lf) * z +
        0.041666666666666664lf;
    return 1.0lf - (0.5lf * z - z * z * p);
}
fn sin_f64(x: f64) -> f64 {
    if (!isfinite_f64(x)) { return nan_f64(); }
    let s = quadrant_f64(x);
    let q = u32(s.y);
    if ((q & 1u) == 1u) {
        let c = cos_reduced_f64(s.x);
        return select(c, -c, q == 3u);
    }
    let y = sin_reduced_f64(s.x);
    return select(y, -y, q == 2u);
}
fn cos_f64(x: f64) -> f64 {
    if (!isfinite_f64(x)) { return nan_f64(); }
    let s = quadrant_f64(x);
    let q = u32(s.y);
    if ((q & 1u) == 1u) {
        let y = sin_reduced_f64(s.x);
        return select(y, -y, q == 1u);
    }
    let c = cos_reduced_f64(s.x);
    return select(c, -c, q == 2u);
}
fn tan_f64(x: f64) -> f64 {
    if (!isfinite_f64(x)) { return nan_f64(); }
    let s = quadrant_f64(x);
    let y = sin_reduced_f64(s.x);
    let c = cos_reduced_f64(s.x);
    if ((u32(s.y) & 1u) == 1u) { return -c / y; }
    return y / c;
}
// For each sixteenth of an octave a short reciprocal of its middle, and minus its log2 in two parts.
const LOG2_STEPS_F64 = array<vec3<f64>, 16>(
    vec3<f64>(1.390625lf, -0.47573375701904297lf, 3.260526452137857e-07lf),
    vec3<f64>(1.33203125lf, -0.41362762451171875lf, -3.0451245371500547e-07lf),
    vec3<f64>(1.28125lf, -0.35755157470703125lf, -4.2991105244316596e-07lf),
    vec3<f64>(1.23046875lf, -0.2992076873779297lf, -3.3100934913071975e-07lf),
    vec3<f64>(1.18359375lf, -0.24317359924316406lf, -3.842297868561254e-07lf),
    vec3<f64>(1.14453125lf, -0.19475650787353516lf, -3.465487127182799e-07lf),
    vec3<f64>(1.1015625lf, -0.13955116271972656lf, -1.8967906699112454e-07lf),
    vec3<f64>(1.06640625lf, -0.0927572250366211lf, 8.411676864445748e-08lf),
    vec3<f64>(1.03125lf, -0.044394493103027344lf, 3.737445739060969e-07lf),
    vec3<f64>(1.0lf, 0.0lf, 0.0lf),
    vec3<f64>(0.94140625lf, 0.08711051940917969lf, 1.4436085869351626e-07lf),
    vec3<f64>(0.890625lf, 0.16711044311523438lf, -4.5727997605024726e-07lf),
    vec3<f64>(0.84375lf, 0.24511241912841797lf, 7.870811348688878e-08lf),
    vec3<f64>(0.80078125lf, 0.32051944732666016lf, 4.531678938027137e-07lf),
    vec3<f64>(0.76171875lf, 0.392669677734375lf, 8.516014310279128e-09lf),
    vec3<f64>(0.7265625lf, 0.46084117889404297lf, 9.997925640990137e-09lf));
// log2 of a positive number as a head of 26 bits and the rest: a power multiplies its error by up to 1100.
fn log2_parts_f64(x: f64) -> vec2<f64> {
    let e = scaled_exponent_f64(x, 0x3fe6800000000000lu);
    let m = scaled_mantissa_f64(x, e);
    var table = LOG2_STEPS_F64;
    let step = table[u32((bitcast<u64>(m) - 0x3fe6800000000000lu) >> 48u)];
    let mh = head_f64(m);
    let a = mh * step.x - 1.0lf;
    let b = (m - mh) * step.x;
    // log(1 + f) = f - f²/2 + f³ p
    let f = head_f64(a + b);
    let g = (a - f) + b;
    let p = (((((((0.09110946889585192lf * f - 0.1002170725647647lf) * f + 0.11111093730117352lf) * f -
        0.1249998117099916lf) * f + 0.1428571429129665lf) * f - 0.16666666672714084lf) * f +
        0.19999999999999515lf) * f - 0.24999999999999475lf) * f + 0.3333333333333333lf;
    let h = 0.5lf * f * f;
    let y = head_f64(f - h);
    let rest = ((f - y) - h) + (g * (1.0lf - f - 0.5lf * g) + f * f * f * p);
    let whole = f64(e) + step.y;
    let product = y * 1.4426950216293335lf;
    let high = head_f64(whole + product);
    let low = step.z + (y * 1.9259629911266175e-08lf + rest * 1.4426950408889634lf);
    return vec2<f64>(high, ((whole - high) + product) + low);
}
fn pow_f64(a: f64, b: f64) -> f64 {
    if (a == 1.0lf || magnitude_f64(b) == 0lu) { return 1.0lf; }
    if (isnan_f64(a)) { return a; }
    if (isnan_f64(b)) { return b; }
    let u = abs_f64(a);
    let v = abs_f64(b);
    let whole = v >= 4503599627370496.0lf || v == trunc(v);
    let odd = v < 9007199254740992.0lf && whole && fmod_f64(v, 2.0lf) == 1.0lf;
    let sign = select(1.0lf, -1.0lf, odd && signbit_f64(a));
    if (isinf_f64(b)) {
        if (u == 1.0lf) { return 1.0lf; }
        return select(0.0lf, inf_f64(), (u > 1.0lf) != signbit_f64(b));
    }
    let none = magnitude_f64(a) == 0lu;
    if (none || isinf_f64(a)) { return copysign_f64(select(inf_f64(), 0.0lf, none != signbit_f64(b)), sign); }
    if (signbit_f64(a) && !whole) { return nan_f64(); }
    let l = log2_parts_f64(u);
    let about = b * (l.x + l.y);
    if (about > 1100.0lf) { return copysign_f64(inf_f64(), sign); }
    if (about < -1100.0lf) { return copysign_f64(0.0lf, sign); }
    let bh = head_f64(b);
    let high = bh * l.x;
    let low = bh * l.y + (b - bh) * (l.x + l.y);
    let n = round(high + low);
    let m = 1.0lf + expm1_reduced_f64(((high - n) + low) * 0.6931471805599453lf);
    let half = i32(n) >> 1u;
    return copysign_f64(m * power_of_two_f64(half) * power_of_two_f64(i32(n) - half), sign);
}
