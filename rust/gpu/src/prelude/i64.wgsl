// Rows in 64-bit integers, pairs of a low and a high word that wrap as the CPU's do.
fn add_i64(a: vec2<u32>, b: vec2<u32>) -> vec2<u32> {
    let low = a.x + b.x;
    return vec2<u32>(low, a.y + b.y + select(0u, 1u, low < a.x));
}
fn sub_i64(a: vec2<u32>, b: vec2<u32>) -> vec2<u32> {
    return vec2<u32>(a.x - b.x, a.y - b.y - select(0u, 1u, a.x < b.x));
}
fn neg_i64(x: vec2<u32>) -> vec2<u32> { return i64_negated(x); }
// The product of two words, by halves.
fn wide_product(a: u32, b: u32) -> vec2<u32> {
    let al = a & 0xffffu;
    let ah = a >> 16u;
    let bl = b & 0xffffu;
    let bh = b >> 16u;
    let low = al * bl;
    let mid = ah * bl + (low >> 16u);
    let cross = al * bh + (mid & 0xffffu);
    return vec2<u32>((cross << 16u) | (low & 0xffffu), ah * bh + (mid >> 16u) + (cross >> 16u));
}
fn mul_i64(a: vec2<u32>, b: vec2<u32>) -> vec2<u32> {
    let low = wide_product(a.x, b.x);
    return vec2<u32>(low.x, low.y + a.x * b.y + a.y * b.x);
}
fn eq_i64(a: vec2<u32>, b: vec2<u32>) -> bool { return a.x == b.x && a.y == b.y; }
fn ult_i64(a: vec2<u32>, b: vec2<u32>) -> bool { return a.y < b.y || (a.y == b.y && a.x < b.x); }
fn lt_i64(a: vec2<u32>, b: vec2<u32>) -> bool {
    return bitcast<i32>(a.y) < bitcast<i32>(b.y) || (a.y == b.y && a.x < b.x);
}
fn gt_i64(a: vec2<u32>, b: vec2<u32>) -> bool { return lt_i64(b, a); }
fn le_i64(a: vec2<u32>, b: vec2<u32>) -> bool { return !lt_i64(b, a); }
fn ge_i64(a: vec2<u32>, b: vec2<u32>) -> bool { return !lt_i64(a, b); }
fn maximum_i64(a: vec2<u32>, b: vec2<u32>) -> vec2<u32> { return select(a, b, lt_i64(a, b)); }
fn minimum_i64(a: vec2<u32>, b: vec2<u32>) -> vec2<u32> { return select(a, b, lt_i64(b, a)); }
fn fmax_i64(a: vec2<u32>, b: vec2<u32>) -> vec2<u32> { return maximum_i64(a, b); }
fn fmin_i64(a: vec2<u32>, b: vec2<u32>) -> vec2<u32> { return minimum_i64(a, b); }
fn isnan_i64(x: vec2<u32>) -> bool { return false; }
fn isinf_i64(x: vec2<u32>) -> bool { return false; }
fn isposinf_i64(x: vec2<u32>) -> bool { return false; }
fn isneginf_i64(x: vec2<u32>) -> bool { return false; }
fn isfinite_i64(x: vec2<u32>) -> bool { return true; }
fn signbit_i64(x: vec2<u32>) -> bool { return (x.y >> 31u) == 1u; }
fn abs_i64(x: vec2<u32>) -> vec2<u32> { return select(x, i64_negated(x), signbit_i64(x)); }
fn sign_i64(x: vec2<u32>) -> vec2<u32> {
    if (signbit_i64(x)) { return vec2<u32>(0xffffffffu, 0xffffffffu); }
    return vec2<u32>(select(0u, 1u, (x.x | x.y) != 0u), 0u);
}
fn floor_i64(x: vec2<u32>) -> vec2<u32> { return x; }
fn ceil_i64(x: vec2<u32>) -> vec2<u32> { return x; }
fn round_i64(x: vec2<u32>) -> vec2<u32> { return x; }
fn trunc_i64(x: vec2<u32>) -> vec2<u32> { return x; }
// Shifts by 0 to 63.
fn up_i64(a: vec2<u32>, n: u32) -> vec2<u32> {
    if (n == 0u) { return a; }
    if (n >= 32u) { return vec2<u32>(0u, a.x << (n - 32u)); }
    return vec2<u32>(a.x << n, (a.y << n) | (a.x >> (32u - n)));
}
fn down_i64(a: vec2<u32>, n: u32) -> vec2<u32> {
    if (n == 0u) { return a; }
    if (n >= 32u) { return vec2<u32>(a.y >> (n - 32u), 0u); }
    return vec2<u32>((a.x >> n) | (a.y << (32u - n)), a.y >> n);
}
fn bitwise_left_shift_i64(a: vec2<u32>, b: vec2<u32>) -> vec2<u32> {
    if (b.y != 0u || b.x > 63u) { return vec2<u32>(0u, 0u); }
    return up_i64(a, b.x);
}
fn bitwise_right_shift_i64(a: vec2<u32>, b: vec2<u32>) -> vec2<u32> {
    let n = select(63u, b.x, b.y == 0u && b.x < 64u);
    if (signbit_i64(a)) { return ~down_i64(~a, n); }
    return down_i64(a, n);
}
// Quotient and remainder of what is not negative; b is not 0.
fn divided_i64(a: vec2<u32>, b: vec2<u32>) -> vec4<u32> {
    if (b.y == 0u) {
        if (a.y == 0u) { return vec4<u32>(a.x / b.x, 0u, a.x % b.x, 0u); }
        if (b.x < 0x10000u) {
            // Long division by digits of 16 bits.
            let high = a.y / b.x;
            let first = ((a.y % b.x) << 16u) | (a.x >> 16u);
            let second = ((first % b.x) << 16u) | (a.x & 0xffffu);
            return vec4<u32>(((first / b.x) << 16u) | (second / b.x), high, second % b.x, 0u);
        }
    }
    var q = vec2<u32>(0u, 0u);
    var r = vec2<u32>(0u, 0u);
    for (var k = 0u; k < 64u; k++) {
        let bit = select(a.x >> (63u - k), a.y >> (31u - (k & 31u)), k < 32u) & 1u;
        let over = r.y >> 31u;
        r = vec2<u32>((r.x << 1u) | bit, (r.y << 1u) | (r.x >> 31u));
        q = vec2<u32>(q.x << 1u, (q.y << 1u) | (q.x >> 31u));
        if (over == 1u || !ult_i64(r, b)) {
            r = sub_i64(r, b);
            q.x |= 1u;
        }
    }
    return vec4<u32>(q, r);
}
// Zero divisors are refused before; here they give 0.
fn trunc_divide_i64(a: vec2<u32>, b: vec2<u32>) -> vec2<u32> {
    if ((b.x | b.y) == 0u) { return vec2<u32>(0u, 0u); }
    let q = divided_i64(abs_i64(a), abs_i64(b)).xy;
    return select(q, i64_negated(q), signbit_i64(a) != signbit_i64(b));
}
fn fmod_i64(a: vec2<u32>, b: vec2<u32>) -> vec2<u32> {
    if ((b.x | b.y) == 0u) { return vec2<u32>(0u, 0u); }
    let r = divided_i64(abs_i64(a), abs_i64(b)).zw;
    return select(r, i64_negated(r), signbit_i64(a));
}
fn remainder_i64(a: vec2<u32>, b: vec2<u32>) -> vec2<u32> {
    let r = fmod_i64(a, b);
    return select(r, add_i64(r, b), (r.x | r.y) != 0u && signbit_i64(r) != signbit_i64(b));
}
fn floor_divide_i64(a: vec2<u32>, b: vec2<u32>) -> vec2<u32> {
    if ((b.x | b.y) == 0u) { return vec2<u32>(0u, 0u); }
    let both = divided_i64(abs_i64(a), abs_i64(b));
    if (signbit_i64(a) == signbit_i64(b)) { return both.xy; }
    // -q, and one less where something is left: the complement.
    return select(i64_negated(both.xy), ~both.xy, (both.z | both.w) != 0u);
}
fn pow_i64(a: vec2<u32>, b: vec2<u32>) -> vec2<u32> {
    if (signbit_i64(b)) {
        if (a.x == 1u && a.y == 0u) { return a; }
        if (a.x == 0xffffffffu && a.y == 0xffffffffu) {
            return select(vec2<u32>(1u, 0u), a, (b.x & 1u) == 1u);
        }
        return vec2<u32>(0u, 0u);
    }
    var base = a;
    var left = b;
    var r = vec2<u32>(1u, 0u);
    while ((left.x | left.y) != 0u) {
        if ((left.x & 1u) == 1u) { r = mul_i64(r, base); }
        base = mul_i64(base, base);
        left = down_i64(left, 1u);
    }
    return r;
}
fn trailing_i64(x: vec2<u32>) -> u32 {
    return select(32u + countTrailingZeros(x.y), countTrailingZeros(x.x), x.x != 0u);
}
// By halving and subtracting; a remainder costs more.
fn gcd_i64(a: vec2<u32>, b: vec2<u32>) -> vec2<u32> {
    var x = abs_i64(a);
    var y = abs_i64(b);
    if ((x.x | x.y) == 0u) { return y; }
    if ((y.x | y.y) == 0u) { return x; }
    let twos = trailing_i64(x | y);
    x = down_i64(x, trailing_i64(x));
    while ((y.x | y.y) != 0u) {
        y = down_i64(y, trailing_i64(y));
        if (ult_i64(y, x)) {
            let t = x;
            x = y;
            y = t;
        }
        y = sub_i64(y, x);
    }
    return up_i64(x, twos);
}
fn lcm_i64(a: vec2<u32>, b: vec2<u32>) -> vec2<u32> {
    let g = gcd_i64(a, b);
    if ((g.x | g.y) == 0u) { return g; }
    return abs_i64(mul_i64(trunc_divide_i64(a, g), b));
}
