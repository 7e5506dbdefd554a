//! Random numbers: Philox counts, so that every GPU draws the same words for a seed and an offset.
//!
//! A thread makes four elements from one, two or four counters, whatever the dtype. What the laws need of logarithms,
//! sines and cosines is computed from a draw's bits by polynomials, to the type's precision.

use crate::context::Context;
use crate::elementwise::copy;
use crate::memory::Buffer;
use crate::order::{order, Keys};
use crate::shader::{entry, per_word, Call, Num};
use half::{bf16, f16};
use wengert_ops::{contract, DType, Layout, Random, Result, Scalar, View, ViewMut};

type Out<'a> = ViewMut<'a, Buffer>;

/// A random stream: Philox counts, so that every GPU draws the same.
#[derive(Clone, Debug)]
pub struct Generator {
    pub seed: u64,
    /// The counter of the next draw, of four words.
    pub offset: u64,
}

/// Elements that a thread makes.
const EACH: usize = 4;

/// Four elements from `counters` draws named `d0`, `d1`…: statements, the elements' texts, and their type.
struct Law {
    counters: usize,
    before: String,
    values: [String; EACH],
    num: Num,
}

/// A number as the dtype rounds it.
fn rounded(value: f64, dtype: DType) -> f64 {
    match dtype {
        DType::F16 => f16::from_f64(value).to_f64(),
        DType::BF16 => bf16::from_f64(value).to_f64(),
        DType::F32 => f64::from(value as f32),
        _ => value,
    }
}

fn pair(call: &mut Call, value: u64) -> String {
    let (low, high) = (call.word(value as u32), call.word((value >> 32) as u32));
    format!("vec2<u32>({low}, {high})")
}

/// Binds a law's parameters.
fn bind(call: &mut Call, law: Random, dtype: DType) -> Law {
    const WORDS: [&str; EACH] = ["d0.x", "d0.y", "d0.z", "d0.w"];
    const PAIRS: [&str; EACH] = ["d0.xy", "d0.zw", "d1.xy", "d1.zw"];
    const NORMALS: [&str; EACH] = ["a.x", "a.y", "b.x", "b.y"];
    let double = dtype == DType::F64;
    let num = if double { Num::F64 } else { Num::F32 };
    let counters = if double { 2 } else { 1 };
    let draws = if double { PAIRS } else { WORDS };
    let suffix = num.suffix();
    let float = |call: &mut Call, value: f64| call.scalar(num, Scalar::Float(value));
    let law = match law {
        Random::Uniform { from, to } => {
            let span = if double { to - from } else { f64::from(to as f32 - from as f32) };
            let (low, high) = (rounded(from, dtype), rounded(to, dtype));
            let [from, span, low, high] = [from, span, low, high].map(|v| float(call, v));
            let whole = |v: String| match dtype {
                DType::F16 => format!("f16_to_f32(f32_to_f16({v}))"),
                DType::BF16 => format!("bitcast<f32>(f32_to_bf16({v}) << 16u)"),
                _ => v,
            };
            // Rounding may reach the open end.
            let value = |k: usize| format!("select(u{k}, {low}, u{k} >= {high})");
            let before = (0..EACH).map(|k| {
                format!("let u{k} = {};\n", whole(format!("(unit_{suffix}({}) * {span} + {from})", draws[k])))
            });
            Law { counters, before: before.collect(), values: std::array::from_fn(value), num }
        }
        Random::Normal { mean, std } => {
            let [mean, std] = [mean, std].map(|v| float(call, v));
            let before = match double {
                true => "let a = normals_f64(d0);\nlet b = normals_f64(d1);\n",
                false => "let a = normals_f32(d0.xy);\nlet b = normals_f32(d0.zw);\n",
            };
            Law { counters, before: before.into(), values: NORMALS.map(|v| format!("({v} * {std} + {mean})")), num }
        }
        Random::Integers { low, high } => {
            let range = high.wrapping_sub(low) as u64;
            // 64 bits are scaled down to what 32 hold, 128 to more: the shares of two numbers differ by 2^-32 at most.
            let short = u32::try_from(range).is_ok();
            let (range, low) = (pair(call, range), call.scalar(Num::I64, Scalar::Int(low)));
            let value = |k: usize| match short {
                true => format!("add_i64({low}, scaled_64({}, {range}))", PAIRS[k]),
                false => format!("add_i64({low}, scaled_128(d{k}, {range}))"),
            };
            let counters = if short { 2 } else { 4 };
            Law { counters, before: String::new(), values: std::array::from_fn(value), num: Num::I64 }
        }
        Random::Bernoulli { p } => {
            let (Chance { first, second }, always) = (Chance::bind(call, p), call.word(u32::from(p >= 1.0)));
            let value = |k: usize| {
                let next = ["x", "y", "z", "w"][k];
                format!(
                    "select(0i, 1i, {0} < {first} || ({0} == {first} && more.{next} < {second}) || {always} == 1u)",
                    WORDS[k]
                )
            };
            let before = format!(
                "var more = vec4<u32>(0u, 0u, 0u, 0u);\nif (any(d0 == vec4<u32>({first}, {first}, {first}, {first}))) \
                 {{ more = drawn(offset, i, 1u, seed); }}\n"
            );
            Law { counters: 1, before, values: std::array::from_fn(value), num: Num::I32 }
        }
        Random::Exponential { lambda } => {
            let scale = float(call, -1.0 / lambda);
            let values = draws.map(|w| format!("({scale} * log_unit_{suffix}({w}))"));
            Law { counters, before: String::new(), values, num }
        }
    };
    call.key.variant.push(law.counters as u32);
    law
}

/// A probability below 1 as a draw decides it: a word is less than 2³² p, or is its whole part and another word less than
/// the rest.
pub(crate) struct Chance {
    first: String,
    second: String,
}

impl Chance {
    pub fn bind(call: &mut Call, p: f64) -> Chance {
        let scaled = p * 4294967296.0;
        let first = if p >= 1.0 { u32::MAX } else { scaled as u32 };
        let second = if p >= 1.0 { u32::MAX } else { ((scaled - scaled.floor()) * 4294967296.0) as u32 };
        Chance { first: call.word(first), second: call.word(second) }
    }

    /// Whether it holds for the element of this number, a pair of words, of an array that [`random`] would draw from a seed:
    /// texts.
    pub fn holds(&self, number: &str, seed: &str) -> String {
        format!("less_drawn({number}, {}, {}, {seed})", self.first, self.second)
    }
}

fn kind(law: Random) -> u32 {
    match law {
        Random::Uniform { .. } => 0,
        Random::Normal { .. } => 1,
        Random::Integers { .. } => 2,
        Random::Bernoulli { .. } => 3,
        Random::Exponential { .. } => 4,
    }
}

/// `Backend::random`: numbers in row-major order, whatever the layout.
pub(crate) fn random(context: &'static Context, generator: &mut Generator, law: Random, out: Out<'_>) -> Result<()> {
    let dtype = out.dtype();
    contract::law(law, dtype)?;
    let (layout, elements) = (out.layout(), per_word(dtype) as usize);
    let (numel, start) = (layout.numel(), layout.offset());
    let ends = start + numel;
    let closed = ends % elements == 0 || ends == out.buffer().len() / dtype.size();
    let own = layout.is_contiguous() && start % elements == 0 && closed;
    let mut call = Call::new(context, "random");
    call.key.variant.push(kind(law));
    let fresh = if own { None } else { Some(Buffer(context.allocate(numel.max(1) * dtype.size())?)) };
    let (buffer, first) = match &fresh {
        Some(buffer) => (buffer, 0),
        None => (out.buffer(), start),
    };
    let to = call.write(buffer, dtype)?;
    let law = bind(&mut call, law, dtype);
    if numel == 0 {
        return Ok(());
    }
    let (seed, offset) = (pair(&mut call, generator.seed), pair(&mut call, generator.offset));
    let (count, begin) = (call.size(numel)?, call.size(first / elements)?);
    let quads = numel.div_ceil(EACH);
    let groups = call.threads(quads)?;
    let used = quads * law.counters;
    call.run(groups, || {
        let mut text = format!("let seed = {seed};\nlet offset = {offset};\n");
        for c in 0..law.counters {
            text += &format!("let d{c} = drawn(offset, i * {}u + {c}u, 0u, seed);\n", law.counters);
        }
        text += &law.before;
        for (k, value) in law.values.iter().enumerate() {
            text += &format!("let v{k} = {value};\n");
        }
        if elements == 1 {
            for k in 0..EACH {
                let store = to.store(&format!("({begin} + i * {EACH}u + {k}u)"), &format!("v{k}"), law.num);
                text += &format!("if (i * {EACH}u + {k}u < {count}) {{\n{store}}}\n");
            }
        } else {
            let bits = 32 / elements;
            for word in 0..EACH / elements {
                text += "{\nvar packed = 0u;\n";
                for at in 0..elements {
                    let k = word * elements + at;
                    let value = to.packed(&format!("v{k}"), law.num);
                    text += &format!("if (i * {EACH}u + {k}u < {count}) {{ packed |= {value} << {}u; }}\n", at * bits);
                }
                text += &format!(
                    "if (i * {EACH}u + {}u < {count}) {{ {}}}\n}}\n",
                    word * elements,
                    to.set_word(&format!("{begin} + i * {}u + {word}u", EACH / elements), "packed")
                );
            }
        }
        entry(&format!("({count} + {}u) / {EACH}u", EACH - 1), &text)
    })?;
    generator.offset = generator.offset.wrapping_add(used as u64);
    if let Some(buffer) = &fresh {
        let drawn = Layout::contiguous(layout.shape());
        copy(context, View { buffer, layout: &drawn, dtype }, out)?;
    }
    Ok(())
}

/// A random permutation of `0..n` into a one-dimensional output: the order of random 64-bit keys.
pub(crate) fn permutation(context: &'static Context, generator: &mut Generator, out: Out<'_>) -> Result<()> {
    let n = out.layout().numel();
    contract::permutation(&out)?;
    let keys = Keys { buffer: Buffer(context.allocate(n.max(1) * 8)?), words: 2, lines: 1, len: n };
    let layout = Layout::contiguous(&[n]);
    let all = Random::Integers { low: i64::MIN, high: i64::MAX };
    // SAFETY: fresh.
    random(context, generator, all, unsafe { ViewMut::new(&keys.buffer, &layout, DType::I64) })?;
    let (_, positions) = order(context, keys, 64)?;
    copy(context, View { buffer: &positions, layout: &layout, dtype: DType::I32 }, out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context;

    #[test]
    fn philox_gives_the_published_answers() {
        std::env::set_var(crate::adapter::ALLOW_SOFTWARE, "1");
        let context = match context::open(0) {
            Ok(context) => context,
            Err(e) if std::env::var_os("REQUIRE_GPU").is_some() => panic!("{e}"),
            Err(_) => return,
        };
        let pi = [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344, 0xa4093822, 0x299f31d0];
        for (input, answer) in [
            ([0; 6], [0x6627e8d5u32, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8]),
            ([u32::MAX; 6], [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd]),
            (pi, [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1]),
        ] {
            let out = Buffer(context.allocate(16).unwrap());
            let mut call = Call::new(context, "philox_test");
            let to = call.write(&out, DType::I32).unwrap();
            let words = input.map(|w| call.word(w));
            call.run([1, 1, 1], || {
                let [a, b, c, d, k, l] = words;
                let stores = (0..4).map(|n| to.set_word(&n.to_string(), &format!("r[{n}]"))).collect::<String>();
                entry("1u", &format!("let r = philox(vec4<u32>({a}, {b}, {c}, {d}), vec2<u32>({k}, {l}));\n{stores}"))
            })
            .unwrap();
            let mut raw = [0; 16];
            context.download(&out.0, 0, &mut raw).unwrap();
            let found: Vec<u32> = raw.chunks_exact(4).map(|b| u32::from_ne_bytes(b.try_into().unwrap())).collect();
            assert_eq!(found, answer);
        }
    }
}
