// Rows in 32-bit integers, which stand for all narrower ones; as the CPU's 64-bit ones, cut to width.
fn maximum_i32(a: i32, b: i32) -> i32 { return max(a, b); }
fn minimum_i32(a: i32, b: i32) -> i32 { return min(a, b); }
fn fmax_i32(a: i32, b: i32) -> i32 { return max(a, b); }
fn fmin_i32(a: i32, b: i32) -> i32 { return min(a, b); }
fn isnan_i32(x: i32) -> bool { return false; }
fn isinf_i32(x: i32) -> bool { return false; }
fn isposinf_i32(x: i32) -> bool { return false; }
fn isneginf_i32(x: i32) -> bool { return false; }
fn isfinite_i32(x: i32) -> bool { return true; }
fn signbit_i32(x: i32) -> bool { return x < 0i; }
fn abs_i32(x: i32) -> i32 { return select(x, -x, x < 0i); }
fn sign_i32(x: i32) -> i32 { return select(select(0i, -1i, x < 0i), 1i, x > 0i); }
fn floor_i32(x: i32) -> i32 { return x; }
fn ceil_i32(x: i32) -> i32 { return x; }
fn round_i32(x: i32) -> i32 { return x; }
fn trunc_i32(x: i32) -> i32 { return x; }
fn magnitude_i32(x: i32) -> u32 {
    let u = bitcast<u32>(x);
    return select(u, ~u + 1u, x < 0i);
}
fn signed_i32(u: u32, negative: bool) -> i32 { return bitcast<i32>(select(u, ~u + 1u, negative)); }
// Zero divisors are refused before; here they give 0.
fn trunc_divide_i32(a: i32, b: i32) -> i32 {
    if (b == 0i) { return 0i; }
    return signed_i32(magnitude_i32(a) / magnitude_i32(b), (a < 0i) != (b < 0i));
}
fn fmod_i32(a: i32, b: i32) -> i32 {
    if (b == 0i) { return 0i; }
    return signed_i32(magnitude_i32(a) % magnitude_i32(b), a < 0i);
}
fn remainder_i32(a: i32, b: i32) -> i32 {
    let r = fmod_i32(a, b);
    return select(r, r + b, r != 0i && (r < 0i) != (b < 0i));
}
fn floor_divide_i32(a: i32, b: i32) -> i32 {
    let r = fmod_i32(a, b);
    let q = trunc_divide_i32(a, b);
    return select(q, q - 1i, r != 0i && (r < 0i) != (b < 0i));
}
fn pow_i32(a: i32, b: i32) -> i32 {
    if (b < 0i) {
        if (a == 1i) { return 1i; }
        if (a == -1i) { return 1i - 2i * (b & 1i); }
        return 0i;
    }
    var base = bitcast<u32>(a);
    var left = bitcast<u32>(b);
    var r = 1u;
    while (left > 0u) {
        if ((left & 1u) == 1u) { r = r * base; }
        base = base * base;
        left = left >> 1u;
    }
    return bitcast<i32>(r);
}
fn bitwise_left_shift_i32(a: i32, b: i32) -> i32 {
    if (b < 0i || b > 31i) { return 0i; }
    return bitcast<i32>(bitcast<u32>(a) << bitcast<u32>(b));
}
fn bitwise_right_shift_i32(a: i32, b: i32) -> i32 {
    return a >> select(31u, bitcast<u32>(b), b >= 0i && b < 32i);
}
fn gcd_i32(a: i32, b: i32) -> i32 {
    var x = magnitude_i32(a);
    var y = magnitude_i32(b);
    while (y != 0u) {
        let r = x % y;
        x = y;
        y = r;
    }
    return bitcast<i32>(x);
}
fn lcm_i32(a: i32, b: i32) -> i32 {
    let g = gcd_i32(a, b);
    if (g == 0i) { return 0i; }
    return bitcast<i32>(magnitude_i32(a) / bitcast<u32>(g) * magnitude_i32(b));
}
