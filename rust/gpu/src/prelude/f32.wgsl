// Rows in f32. NaN and infinities are told by their bits, because drivers assume in comparisons that there are none.
fn inf_f32() -> f32 { return bitcast<f32>(0x7f800000u); }
fn nan_f32() -> f32 { return bitcast<f32>(0x7fc00000u); }
fn isnan_f32(x: f32) -> bool { return (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u; }
fn isinf_f32(x: f32) -> bool { return (bitcast<u32>(x) & 0x7fffffffu) == 0x7f800000u; }
fn isfinite_f32(x: f32) -> bool { return (bitcast<u32>(x) & 0x7fffffffu) < 0x7f800000u; }
fn isposinf_f32(x: f32) -> bool { return bitcast<u32>(x) == 0x7f800000u; }
fn isneginf_f32(x: f32) -> bool { return bitcast<u32>(x) == 0xff800000u; }
fn signbit_f32(x: f32) -> bool { return (bitcast<u32>(x) >> 31u) == 1u; }
fn abs_f32(x: f32) -> f32 { return bitcast<f32>(bitcast<u32>(x) & 0x7fffffffu); }
fn copysign_f32(a: f32, b: f32) -> f32 {
    return bitcast<f32>((bitcast<u32>(a) & 0x7fffffffu) | (bitcast<u32>(b) & 0x80000000u));
}
// By way of integers, since drivers make their own sign of a choice between floats, which may give -0.
fn sign_f32(x: f32) -> f32 { return f32(select(select(0i, -1i, x < 0.0f), 1i, x > 0.0f)); }
// x · 0, which drivers take to be 0 whatever x is.
fn nought_f32(x: f32) -> f32 {
    if (!isfinite_f32(x)) { return nan_f32(); }
    return bitcast<f32>(bitcast<u32>(x) & 0x80000000u);
}
// Of two zeros the first: relu keeps the sign of -0. Without branches, which cost more than what they save.
fn maximum_f32(a: f32, b: f32) -> f32 { return select(a, b, !isnan_f32(a) & (isnan_f32(b) | (b > a))); }
fn minimum_f32(a: f32, b: f32) -> f32 { return select(a, b, !isnan_f32(a) & (isnan_f32(b) | (b < a))); }
fn fmax_f32(a: f32, b: f32) -> f32 { return select(a, b, isnan_f32(a) | (!isnan_f32(b) & (b > a))); }
fn fmin_f32(a: f32, b: f32) -> f32 { return select(a, b, isnan_f32(a) | (!isnan_f32(b) & (b < a))); }
fn floor_f32(x: f32) -> f32 { return floor(x); }
fn ceil_f32(x: f32) -> f32 { return ceil(x); }
fn trunc_f32(x: f32) -> f32 { return trunc(x); }
fn round_f32(x: f32) -> f32 { return round(x); }
fn sqrt_f32(x: f32) -> f32 { return sqrt(x); }
fn rsqrt_f32(x: f32) -> f32 { return 1.0f / sqrt(x); }
// The mantissa as an integer, and what it is to be shifted up by: x = m · 2^(e - 150) without its sign.
fn parts_f32(x: f32) -> vec2<u32> {
    let a = bitcast<u32>(x) & 0x7fffffffu;
    if (a < 0x800000u) { return vec2<u32>(a, 1u); }
    return vec2<u32>((a & 0x7fffffu) | 0x800000u, a >> 23u);
}
// What m · 2^(e - 150) is, of m below 2^24 and no bits below the last: exact.
fn joined_f32(m: u32, e: u32) -> f32 {
    if (m == 0u) { return 0.0f; }
    let up = min(23u - firstLeadingBit(m), e - 1u);
    let shifted = m << up;
    return bitcast<f32>(select(shifted, (shifted & 0x7fffffu) | ((e - up) << 23u), shifted >= 0x800000u));
}
// Exact: long division of the mantissas, eight bits a step.
fn fmod_f32(a: f32, b: f32) -> f32 {
    let zero = (bitcast<u32>(b) & 0x7fffffffu) == 0u;
    if (!isfinite_f32(a) || isnan_f32(b) || zero) { return nan_f32(); }
    if (isinf_f32(b)) { return a; }
    let x = parts_f32(a);
    let y = parts_f32(b);
    if (x.y < y.y) { return a; }
    var left = x.y - y.y;
    var m = x.x % y.x;
    while (left > 0u && m != 0u) {
        let step = min(left, 8u);
        m = (m << step) % y.x;
        left -= step;
    }
    return copysign_f32(joined_f32(m, y.y), a);
}
fn remainder_f32(a: f32, b: f32) -> f32 {
    let r = fmod_f32(a, b);
    return select(r, r + b, r != 0.0f && signbit_f32(r) != signbit_f32(b));
}
fn floor_divide_f32(a: f32, b: f32) -> f32 {
    if (b == 0.0f) { return a / b; }
    let r = fmod_f32(a, b);
    let exact = (a - r) / b;
    let below = select(exact, exact - 1.0f, r != 0.0f && signbit_f32(r) != signbit_f32(b));
    if (below == 0.0f) { return copysign_f32(0.0f, a / b); }
    let down = floor(below);
    return select(down, down + 1.0f, below - down > 0.5f);
}
// A quotient without remainder is whole, however the division rounds.
fn trunc_divide_f32(a: f32, b: f32) -> f32 {
    let q = a / b;
    if (abs_f32(q) < 16777216.0f && fmod_f32(a, b) == 0.0f) { return round(q); }
    return trunc(q);
}
fn nextafter_f32(a: f32, b: f32) -> f32 {
    if (isnan_f32(a)) { return a; }
    if (isnan_f32(b)) { return b; }
    let x = bitcast<u32>(a);
    let y = bitcast<u32>(b);
    if (x == y || ((x | y) & 0x7fffffffu) == 0u) { return b; }
    if ((x & 0x7fffffffu) == 0u) { return bitcast<f32>((y & 0x80000000u) | 1u); }
    // Bits count up away from zero.
    let signs = (x ^ y) >> 31u;
    let outward = signs == 0u && (x & 0x7fffffffu) < (y & 0x7fffffffu);
    return bitcast<f32>(select(x - 1u, x + 1u, outward));
}
