// Conversions between element types. Halves are taken apart by hand: builtins may flush what is subnormal.
fn f16_to_f32(h: u32) -> f32 {
    let sign = (h & 0x8000u) << 16u;
    let e = (h >> 10u) & 31u;
    let m = h & 1023u;
    if (e == 31u) { return bitcast<f32>(sign | 0x7f800000u | (m << 13u)); }
    if (e != 0u) { return bitcast<f32>(sign | ((e + 112u) << 23u) | (m << 13u)); }
    if (m == 0u) { return bitcast<f32>(sign); }
    let up = firstLeadingBit(m);
    return bitcast<f32>(sign | ((up + 103u) << 23u) | ((m << (23u - up)) & 0x7fffffu));
}
fn f32_to_f16(x: f32) -> u32 {
    let b = bitcast<u32>(x);
    let sign = (b >> 16u) & 0x8000u;
    let a = b & 0x7fffffffu;
    if (a > 0x7f800000u) { return sign | 0x7e00u; }
    if (a >= 0x477ff000u) { return sign | 0x7c00u; }
    if (a < 0x33000001u) { return sign; }
    var m = a;
    var cut = 13u;
    var base = 0u;
    if (a < 0x38800000u) {
        cut = 126u - (a >> 23u);
        m = (a & 0x7fffffu) | 0x800000u;
    } else {
        m = a - 0x38000000u;
    }
    let half = 1u << (cut - 1u);
    let rest = m & ((1u << cut) - 1u);
    base = m >> cut;
    if (rest > half || (rest == half && (base & 1u) == 1u)) { base += 1u; }
    return sign | base;
}
fn f32_to_bf16(x: f32) -> u32 {
    let b = bitcast<u32>(x);
    if ((b & 0x7fffffffu) > 0x7f800000u) { return ((b >> 16u) & 0x8000u) | 0x7fc0u; }
    return (b + 0x7fffu + ((b >> 16u) & 1u)) >> 16u;
}
fn i64_of_i32(x: i32) -> vec2<u32> {
    return vec2<u32>(bitcast<u32>(x), bitcast<u32>(x >> 31u));
}
fn i64_negated(x: vec2<u32>) -> vec2<u32> {
    let low = ~x.x + 1u;
    return vec2<u32>(low, ~x.y + select(0u, 1u, low == 0u));
}
// Toward zero; NaN is 0 and what is too large the largest, as on the CPU.
fn i64_of_f32(x: f32) -> vec2<u32> {
    let b = bitcast<u32>(x);
    let a = b & 0x7fffffffu;
    if (a > 0x7f800000u) { return vec2<u32>(0u, 0u); }
    let negative = (b >> 31u) == 1u;
    if (a >= 0x5f000000u) {
        return select(vec2<u32>(0xffffffffu, 0x7fffffffu), vec2<u32>(0u, 0x80000000u), negative);
    }
    let e = a >> 23u;
    if (e < 127u) { return vec2<u32>(0u, 0u); }
    let m = (a & 0x7fffffu) | 0x800000u;
    var r: vec2<u32>;
    if (e <= 150u) {
        r = vec2<u32>(m >> (150u - e), 0u);
    } else {
        let up = e - 150u;
        if (up < 32u) {
            r = vec2<u32>(m << up, select(m >> (32u - up), 0u, up == 0u));
        } else {
            r = vec2<u32>(0u, m << (up - 32u));
        }
    }
    if (negative) { return i64_negated(r); }
    return r;
}
// To the nearest, halves to even: the last bit that counts collects what is below it.
fn f32_of_i64(x: vec2<u32>) -> f32 {
    let negative = (x.y >> 31u) == 1u;
    var a = x;
    if (negative) { a = i64_negated(x); }
    var r: f32;
    if (a.y == 0u) {
        r = f32(a.x);
    } else {
        let up = firstLeadingBit(a.y) + 1u;
        var top: u32;
        var rest: u32;
        if (up == 32u) {
            top = a.y;
            rest = a.x;
        } else {
            top = (a.y << (32u - up)) | (a.x >> up);
            rest = a.x << (32u - up);
        }
        top |= select(0u, 1u, rest != 0u);
        r = f32(top) * bitcast<f32>((up + 127u) << 23u);
    }
    return select(r, -r, negative);
}
