// What folds join their elements with.
fn plus_i64(a: vec2<u32>, b: vec2<u32>) -> vec2<u32> {
    let low = a.x + b.x;
    return vec2<u32>(low, a.y + b.y + select(0u, 1u, low < a.x));
}
fn times_i64(a: vec2<u32>, b: vec2<u32>) -> vec2<u32> {
    let al = a.x & 0xffffu;
    let ah = a.x >> 16u;
    let bl = b.x & 0xffffu;
    let bh = b.x >> 16u;
    let low = al * bl;
    let middle = ah * bl + (low >> 16u);
    let other = al * bh + (middle & 0xffffu);
    let high = ah * bh + (middle >> 16u) + (other >> 16u);
    return vec2<u32>(a.x * b.x, high + a.x * b.y + a.y * b.x);
}
fn above_i64(a: vec2<u32>, b: vec2<u32>) -> bool {
    let high = bitcast<i32>(a.y);
    let other = bitcast<i32>(b.y);
    return high > other || (high == other && a.x > b.x);
}
fn above_i32(a: i32, b: i32) -> bool {
    return a > b;
}
fn above_f32(a: f32, b: f32) -> bool {
    return a > b;
}
fn above_f64(a: f64, b: f64) -> bool {
    return a > b;
}
fn missing_f32(x: f32) -> bool {
    return (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u;
}
fn missing_f64(x: f64) -> bool {
    return !(x == x);
}
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
