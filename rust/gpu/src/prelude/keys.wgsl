// Unsigned numbers in the order of what they stand for: NaN greatest, both zeros equal.
fn key_of_f32(x: f32) -> u32 {
    let b = bitcast<u32>(x);
    let a = b & 0x7fffffffu;
    if (a > 0x7f800000u) { return 0xffffffffu; }
    if (a == 0u) { return 0x80000000u; }
    return select(b ^ 0x80000000u, ~b, (b >> 31u) == 1u);
}
fn key_of_f64_bits(b: vec2<u32>) -> vec2<u32> {
    let a = b.y & 0x7fffffffu;
    if (a > 0x7ff00000u || (a == 0x7ff00000u && b.x != 0u)) { return vec2<u32>(0xffffffffu, 0xffffffffu); }
    if ((a | b.x) == 0u) { return vec2<u32>(0u, 0x80000000u); }
    return select(vec2<u32>(b.x, b.y ^ 0x80000000u), ~b, (b.y >> 31u) == 1u);
}
