// Sums and products of 64-bit integers as pairs of words (low, high); both wrap.
fn plus_pair(a: vec2<u32>, b: vec2<u32>) -> vec2<u32> {
    let low = a.x + b.x;
    return vec2<u32>(low, a.y + b.y + select(0u, 1u, low < a.x));
}
fn times_pair(a: vec2<u32>, b: vec2<u32>) -> vec2<u32> {
    let al = a.x & 0xffffu;
    let ah = a.x >> 16u;
    let bl = b.x & 0xffffu;
    let bh = b.x >> 16u;
    let ll = al * bl;
    let lh = al * bh + (ll >> 16u);
    let hl = ah * bl + (lh & 0xffffu);
    let high = ah * bh + (lh >> 16u) + (hl >> 16u);
    return vec2<u32>((hl << 16u) | (ll & 0xffffu), high + a.x * b.y + a.y * b.x);
}
fn above_pair(a: vec2<u32>, b: vec2<u32>) -> bool {
    return bitcast<i32>(a.y) > bitcast<i32>(b.y) || (a.y == b.y && a.x > b.x);
}
