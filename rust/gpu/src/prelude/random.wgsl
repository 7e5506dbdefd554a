// Philox4x32 with ten rounds: a random function of a counter, under a key.
fn philox(counter: vec4<u32>, seed: vec2<u32>) -> vec4<u32> {
    var c = counter;
    var k = seed;
    for (var round = 0u; round < 10u; round++) {
        let a = wide_product(0xd2511f53u, c.x);
        let b = wide_product(0xcd9e8d57u, c.z);
        c = vec4<u32>(b.y ^ c.y ^ k.x, b.x, a.y ^ c.w ^ k.y, a.x);
        k += vec2<u32>(0x9e3779b9u, 0xbb67ae85u);
    }
    return c;
}
// The n-th draw after an offset; `stream` tells apart draws that are asked for at the same place.
fn drawn(offset: vec2<u32>, n: u32, stream: u32, seed: vec2<u32>) -> vec4<u32> {
    let low = offset.x + n;
    return philox(vec4<u32>(low, offset.y + select(0u, 1u, low < n), stream, 0u), seed);
}
// Whether the element of this number, among four of a counter, is less than a share of all numbers, of 64 bits.
fn less_drawn(number: vec2<u32>, first: u32, second: u32, seed: vec2<u32>) -> bool {
    let low = (number.x >> 2u) | (number.y << 30u);
    let word = philox(vec4<u32>(low, number.y >> 2u, 0u, 0u), seed)[number.x & 3u];
    if (word != first) { return word < first; }
    return philox(vec4<u32>(low, number.y >> 2u, 1u, 0u), seed)[number.x & 3u] < second;
}
// A long number times a range, a word of it at a time from the lowest: what is left above the number's own words.
fn scaled_on(above: vec2<u32>, word: u32, range: vec2<u32>) -> vec2<u32> {
    let a = wide_product(word, range.x);
    let first = a.x + above.x;
    let carry = a.y + select(0u, 1u, first < a.x);
    let b = wide_product(word, range.y);
    let second = b.x + above.y;
    let third = second + carry;
    return vec2<u32>(third, b.y + select(0u, 1u, second < b.x) + select(0u, 1u, third < second));
}
fn scaled_64(x: vec2<u32>, range: vec2<u32>) -> vec2<u32> {
    return scaled_on(scaled_on(vec2<u32>(0u, 0u), x.x, range), x.y, range);
}
fn scaled_128(x: vec4<u32>, range: vec2<u32>) -> vec2<u32> {
    return scaled_on(scaled_on(scaled_64(x.xy, range), x.z, range), x.w, range);
}
// ln((1 + s) / (1 - s)) for small s.
fn log_ratio_f32(s: f32) -> f32 {
    let t = s * s;
    return 2.0f * s * (1.0f + t * (0.333333343f + t * (0.200000003f + t * (0.142857149f + t * (0.111111112f)))));
}
// Cosine and sine of an angle up to an eighth of a turn, put into its octant.
fn turned_f32(octant: u32, a: f32) -> vec2<f32> {
    let t = a * a;
    let s = a * (1.0f + t * (-0.166666672f + t * (0.00833333377f + t * (-0.000198412701f + t * (2.75573188e-06f)))));
    let c = 1.0f + t * (-0.5f + t * (0.0416666679f + t * (-0.00138888892f + t * (2.48015876e-05f + t * (-2.755732e-07f)))));
    var r = vec2<f32>(c, s);
    if (((octant + 1u) & 2u) != 0u) { r = vec2<f32>(s, c); }
    if (((octant + 2u) & 4u) != 0u) { r.x = -r.x; }
    if (octant >= 4u) { r.y = -r.y; }
    return r;
}
// ln((1 + s) / (1 - s)) for small s.
fn log_ratio_f64(s: f64) -> f64 {
    let t = s * s;
    return 2.0lf * s * (1.0lf + t * (0.3333333333333333lf + t * (0.2lf + t * (0.14285714285714285lf + t * (0.1111111111111111lf + t * (0.09090909090909091lf + t * (0.07692307692307693lf + t * (0.06666666666666667lf + t * (0.058823529411764705lf + t * (0.05263157894736842lf + t * (0.047619047619047616lf)))))))))));
}
// Cosine and sine of an angle up to an eighth of a turn, put into its octant.
fn turned_f64(octant: u32, a: f64) -> vec2<f64> {
    let t = a * a;
    let s = a * (1.0lf + t * (-0.16666666666666666lf + t * (0.008333333333333333lf + t * (-0.0001984126984126984lf + t * (2.7557319223985893e-06lf + t * (-2.505210838544172e-08lf + t * (1.6059043836821613e-10lf + t * (-7.647163731819816e-13lf + t * (2.8114572543455206e-15lf)))))))));
    let c = 1.0lf + t * (-0.5lf + t * (0.041666666666666664lf + t * (-0.001388888888888889lf + t * (2.48015873015873e-05lf + t * (-2.755731922398589e-07lf + t * (2.08767569878681e-09lf + t * (-1.1470745597729725e-11lf + t * (4.779477332387385e-14lf + t * (-1.5619206968586225e-16lf)))))))));
    var r = vec2<f64>(c, s);
    if (((octant + 1u) & 2u) != 0u) { r = vec2<f64>(s, c); }
    if (((octant + 2u) & 4u) != 0u) { r.x = -r.x; }
    if (octant >= 4u) { r.y = -r.y; }
    return r;
}
// The logarithm of (w + 1) / 2^32; near 1 from what is missing to it.
fn log_unit_f32(w: u32) -> f32 {
    let missing = ~w;
    if (missing < 0x4a000000u) {
        let v = f32(missing) * 2.32830644e-10f;
        return -log_ratio_f32(v / (2.0f - v));
    }
    let b = bitcast<u32>(f32(w) + 1.0f);
    var e = i32(b >> 23u) - 159i;
    var m = bitcast<f32>((b & 0x7fffffu) | 0x3f800000u);
    if (m > 1.41421356f) {
        m = 0.5f * m;
        e += 1i;
    }
    return f32(e) * 0.693147182f + log_ratio_f32((m - 1.0f) / (m + 1.0f));
}
// Cosine and sine of w / 2^32 turns.
fn turn_f32(w: u32) -> vec2<f32> {
    let octant = w >> 29u;
    var f = w & 0x1fffffffu;
    if ((octant & 1u) == 1u) { f = 0x20000000u - f; }
    return turned_f32(octant, f32(f) * 1.46291812e-09f);
}
fn normals_f32(w: vec2<u32>) -> vec2<f32> {
    return sqrt(-2.0f * log_unit_f32(w.x)) * turn_f32(w.y);
}
fn unit_f32(w: u32) -> f32 {
    return f32(w >> 8u) * 5.96046448e-08f;
}
fn unit_f64(w: vec2<u32>) -> f64 {
    return (f64(w.y >> 5u) * 67108864.0lf + f64(w.x >> 6u)) * 1.1102230246251565e-16lf;
}
fn f64_of_words(w: vec2<u32>) -> f64 {
    return f64(w.y) * 4294967296.0lf + f64(w.x);
}
// As log_unit_f32, of 64 bits.
fn log_unit_f64(w: vec2<u32>) -> f64 {
    let missing = ~w;
    if (missing.y < 0x4a000000u) {
        let v = f64_of_words(missing) * 5.421010862427522e-20lf;
        return -log_ratio_f64(v / (2.0lf - v));
    }
    let x = f64_of_words(w) + 1.0lf;
    var e = 0i;
    if (w.y != 0u) {
        e = 32i + i32(firstLeadingBit(w.y));
    } else if (w.x != 0u) {
        e = i32(firstLeadingBit(w.x));
    }
    var m = x * f64_power_of_two(-e);
    if (m > 1.4142135623730951lf) {
        m = 0.5lf * m;
        e += 1i;
    }
    return f64(e - 64i) * 0.6931471805599453lf + log_ratio_f64((m - 1.0lf) / (m + 1.0lf));
}
fn turn_f64(w: vec2<u32>) -> vec2<f64> {
    let octant = w.y >> 29u;
    var f = f64(w.y & 0x1fffffffu) + f64(w.x) * 2.3283064365386963e-10lf;
    if ((octant & 1u) == 1u) { f = 536870912.0lf - f; }
    return turned_f64(octant, f * 1.4629180792671596e-09lf);
}
// Newton's steps from the root in f32, which alone is sure to be there.
fn root_f64(x: f64) -> f64 {
    if (!(x > 1e-37lf)) { return f64(sqrt(f32(x))); }
    var r = f64(sqrt(f32(x)));
    r = 0.5lf * (r + x / r);
    return 0.5lf * (r + x / r);
}
fn normals_f64(w: vec4<u32>) -> vec2<f64> {
    let r = root_f64(-2.0lf * log_unit_f64(w.xy));
    let a = turn_f64(w.zw);
    return vec2<f64>(r * a.x, r * a.y);
}
