fn f64_of_i64(x: vec2<u32>) -> f64 {
    return f64(bitcast<i32>(x.y)) * 4294967296.0lf + f64(x.x);
}
fn i64_of_f64(x: f64) -> vec2<u32> {
    if (!(x == x)) { return vec2<u32>(0u, 0u); }
    if (x >= 9223372036854775808.0lf) { return vec2<u32>(0xffffffffu, 0x7fffffffu); }
    if (x <= -9223372036854775808.0lf) { return vec2<u32>(0u, 0x80000000u); }
    let a = floor(abs(x));
    let high = u32(floor(a / 4294967296.0lf));
    let low = u32(a - f64(high) * 4294967296.0lf);
    let r = vec2<u32>(low, high);
    if (x < 0.0lf) { return i64_negated(r); }
    return r;
}
fn f64_power_of_two(n: i32) -> f64 {
    var r = 1.0lf;
    var b = select(2.0lf, 0.5lf, n < 0);
    var k = abs(n);
    while (k > 0) {
        if ((k & 1) == 1) { r = r * b; }
        b = b * b;
        k = k >> 1u;
    }
    return r;
}
// WGSL makes no f64 of its bits: the number is computed from them, exactly.
fn f64_of_bits(low: u32, high: u32) -> f64 {
    let e = (high >> 20u) & 0x7ffu;
    let m = f64(high & 0xfffffu) * 4294967296.0lf + f64(low);
    var r: f64;
    if (e == 0x7ffu) {
        r = f64(bitcast<f32>(select(0x7fc00000u, 0x7f800000u, m == 0.0lf)));
    } else if (e == 0u) {
        r = m * f64_power_of_two(-1074);
    } else {
        r = (m + 4503599627370496.0lf) * f64_power_of_two(i32(e) - 1075);
    }
    return select(r, -r, (high >> 31u) == 1u);
}
