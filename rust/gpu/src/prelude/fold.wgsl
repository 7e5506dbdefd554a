// What folds join their elements with.
fn lowest_f32() -> f32 {
    return bitcast<f32>(0xff800000u);
}
fn highest_f32() -> f32 {
    return bitcast<f32>(0x7f800000u);
}
fn lowest_f64() -> f64 {
    return f64(bitcast<f32>(0xff800000u));
}
fn highest_f64() -> f64 {
    return f64(bitcast<f32>(0x7f800000u));
}
fn lowest_i32() -> i32 {
    return bitcast<i32>(0x80000000u);
}
fn highest_i32() -> i32 {
    return 2147483647i;
}
fn lowest_i64() -> vec2<u32> {
    return vec2<u32>(0u, 0x80000000u);
}
fn highest_i64() -> vec2<u32> {
    return vec2<u32>(0xffffffffu, 0x7fffffffu);
}
// A sum that compilers know nothing of: they take `s - a` of `s = a + b` for b. `veil` is a parameter, and 0.
fn veiled_f32(x: f32, veil: u32) -> f32 {
    return bitcast<f32>(bitcast<u32>(x) ^ veil);
}
// What the veiled sum s of a and b has lost; nothing where it is not finite.
fn lost_f32(a: f32, b: f32, s: f32, veil: u32) -> f32 {
    let part = veiled_f32(s - a, veil);
    let lost = (a - (s - part)) + (b - part);
    return select(lost, 0.0, (bitcast<u32>(lost) & 0x7f800000u) == 0x7f800000u);
}
// The exponential of what is at most 0, or NaN; what would be subnormal is 0.
fn exp_falling_f32(x: f32) -> f32 {
    let low = x < -87.33f;
    let a = select(x, -87.33f, low);
    let n = round(a * 1.44269504f);
    let r = (a - n * 0.693359375f) + n * 2.12194440e-4f;
    var p = 0.000199139784f;
    p = p * r + 0.00139505546f;
    p = p * r + 0.00833327303f;
    p = p * r + 0.0416661978f;
    p = p * r + 0.166666668f;
    p = p * r + 0.5f;
    let y = (1.0f + (r * r * p + r)) * bitcast<f32>(bitcast<u32>(i32(n) + 127i) << 23u);
    return select(y, 0.0f, low);
}
// The logarithm of what is at least 1 and finite, or NaN.
fn log_total_f32(x: f32) -> f32 {
    let bits = bitcast<i32>(x);
    let n = (bits - 0x3f3504f3i) >> 23u;
    let f = bitcast<f32>(bits - (n << 23u)) - 1.0f;
    let e = f32(n);
    var p = 0.0686054581f;
    p = p * f - 0.118568682f;
    p = p * f + 0.119341631f;
    p = p * f - 0.123772075f;
    p = p * f + 0.142093827f;
    p = p * f - 0.16669341f;
    p = p * f + 0.200026877f;
    p = p * f - 0.249999907f;
    p = p * f + 0.333333038f;
    let square = f * f;
    let y = e * 0.693359375f + (f + (e * -2.12194440e-4f + (square * f * p - 0.5f * square)));
    return select(y, x, isnan_f32(x));
}
