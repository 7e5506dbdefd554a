//! What tells one elementwise kernel from another, and its text.
//!
//! A recipe is one step or a chain of them over elements of one number: each array is read at its own place, the steps
//! are computed in order, and the results that somebody wants are written. It holds no size, stride, offset or number:
//! those are parameters, in the order in which [`Recipe::text`] names them.

use crate::shader::{
    convert, entry, own_num, packed, per_word, scalar_text, truth, type_text, unpacked, Frame, Num, Place,
};
use crate::sort;
use smallvec::SmallVec;
use std::fmt::Write;
use wengert_ops::{DType, Row};

/// What a step computes from its operands.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Rule {
    Row(Row),
    /// `g · ∂row/∂inputs[which]`, of the inputs, the row's value and `g`.
    Partial(Row, u8),
    Copy,
    Fill,
    /// An element's bits such that their order is that of the elements.
    SortKey {
        dtype: DType,
        descending: bool,
    },
    /// Whether an element is not zero; `double` are the bits of an f64.
    Nonzero {
        double: bool,
    },
}

impl Rule {
    /// As errors name it.
    pub fn name(self) -> &'static str {
        match self {
            Rule::Row(row) | Rule::Partial(row, _) => row.name(),
            Rule::Copy => "copy",
            Rule::Fill => "fill",
            Rule::SortKey { .. } => "sort",
            Rule::Nonzero { .. } => "nonzero",
        }
    }

    /// The text of the result, from the operands' texts, all of type `num`.
    fn text(self, num: Num, names: &[&str]) -> String {
        match self {
            Rule::Row(row) => {
                let text = row.expr().value.wgsl(num, names, "");
                match row.is_truth() {
                    true => format!("select(0i, 1i, {text})"),
                    false => text,
                }
            }
            Rule::Partial(row, which) => {
                let partial = row.expr().partials[usize::from(which)];
                let (args, y, g) = (&names[..row.arity()], names[row.arity()], names[row.arity() + 1]);
                let text = partial.wgsl(num, args, y);
                match partial.is_mask() {
                    true => format!("select({}, {g}, {text})", num.literal(0.0)),
                    false => format!("({g} * {text})"),
                }
            }
            Rule::Copy | Rule::Fill => names[0].to_owned(),
            Rule::SortKey { dtype, descending } => sort::key_text(dtype, descending, names[0]),
            Rule::Nonzero { double } => {
                let sign = "vec2<u32>(0xffffffffu, 0x7fffffffu)";
                let value = if double { format!("({} & {sign})", names[0]) } else { names[0].to_owned() };
                format!("select(0i, 1i, {})", truth(&value, num))
            }
        }
    }
}

/// How an array is walked through.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Way {
    /// One element for all.
    Stays,
    /// By the element's number.
    Follows,
    /// By strides.
    Strides,
}

/// Where a kernel finds an array's elements.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Spot {
    pub place: Place,
    /// Which of the recipe's ways.
    pub way: u8,
    /// Whether it begins elsewhere than at 0.
    pub offset: bool,
}

/// Where a step's operand comes from.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum From {
    Input(u8),
    Step(u8),
    Number,
    /// It is not read.
    Nothing,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Store {
    /// Nobody reads it after the kernel.
    No,
    Element(Spot),
    /// By words of several elements, each the thread's own.
    Words(Spot),
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Made {
    pub rule: Rule,
    /// The type computed in, and the result's.
    pub num: Num,
    pub result: Num,
    pub from: SmallVec<[From; 4]>,
    /// What the result is stored as; later steps read it as if it had been.
    pub dtype: DType,
    pub store: Store,
    /// Whether a later step reads it.
    pub read: bool,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Recipe {
    pub frame: Frame,
    /// The first parameter that is not the bindings' own.
    pub first: u32,
    /// Dims that are walked through.
    pub rank: u8,
    pub ways: SmallVec<[Way; 4]>,
    pub inputs: SmallVec<[Spot; 3]>,
    pub steps: SmallVec<[Made; 1]>,
    /// What the text of a fold depends on that takes a step's results as they come; empty without one.
    pub fold: SmallVec<[u32; 16]>,
}

/// The names of a recipe's parameters, in their order.
struct Names {
    count: String,
    veil: String,
    /// Of inputs, then of stores; of those that begin at 0 none.
    offsets: Vec<Option<String>>,
    sizes: Vec<String>,
    /// By way; of those that go by strides.
    strides: Vec<Vec<String>>,
    /// By step.
    numbers: Vec<Vec<String>>,
}

impl Made {
    /// Whether operand `n` is an earlier one again. Compilers must not know it: they take x - x for 0, of NaN too.
    fn repeats(&self, n: usize) -> bool {
        matches!(self.from[n], From::Input(_) | From::Step(_)) && self.from[..n].contains(&self.from[n])
    }

    fn spot(&self) -> Option<Spot> {
        match self.store {
            Store::No => None,
            Store::Element(spot) | Store::Words(spot) => Some(spot),
        }
    }
}

impl Recipe {
    /// Whether values go through a veil: a parameter of 0 that compilers do not know to be 0.
    pub fn veiled(&self) -> bool {
        self.steps.iter().any(|s| s.read || (0..s.from.len()).any(|n| s.repeats(n)))
    }

    /// Elements of a thread.
    pub fn elements(&self) -> u32 {
        let of = |s: &Made| if matches!(s.store, Store::Words(_)) { per_word(s.dtype) } else { 1 };
        self.steps.iter().map(of).max().unwrap_or(1)
    }

    /// A name for errors and for tools that list shaders.
    pub fn label(&self) -> String {
        self.steps.iter().map(|s| s.rule.name()).collect::<Vec<_>>().join("+")
    }

    fn names(&self) -> Names {
        let mut next = self.first;
        let mut word = || {
            next += 1;
            format!("p.w{}", next - 1)
        };
        let count = word();
        let veil = if self.veiled() { word() } else { String::new() };
        let spots = self.inputs.iter().copied().chain(self.steps.iter().filter_map(Made::spot));
        let offsets = spots.map(|spot| spot.offset.then(&mut word)).collect();
        let (mut sizes, mut strides) = (Vec::new(), vec![Vec::new(); self.ways.len()]);
        if self.ways.contains(&Way::Strides) {
            sizes.extend((1..self.rank).map(|_| word()));
            for (_, texts) in self.ways.iter().zip(&mut strides).filter(|(way, _)| **way == Way::Strides) {
                texts.extend((0..self.rank).map(|_| format!("bitcast<i32>({})", word())));
            }
        }
        let mut numbers = Vec::new();
        for step in &self.steps {
            let mut texts = Vec::new();
            for _ in step.from.iter().filter(|f| **f == From::Number) {
                let words = match step.num {
                    Num::F32 | Num::I32 => vec![word()],
                    Num::F64 | Num::I64 => vec![word(), word()],
                };
                texts.push(scalar_text(step.num, &words));
            }
            numbers.push(texts);
        }
        Names { count, veil, offsets, sizes, strides, numbers }
    }

    /// The whole body.
    pub fn text(&self) -> String {
        let names = self.names();
        let elements = self.elements();
        if elements == 1 {
            return entry(&names.count, &self.element(&names, "i", elements));
        }
        let mut before = String::new();
        let mut after = String::new();
        for (k, step) in self.steps.iter().enumerate() {
            if let Store::Words(spot) = step.store {
                let _ = writeln!(before, "var w{k} = 0u;");
                if per_word(step.dtype) == elements {
                    let word =
                        format!("({} / {elements}u)", names.at(self, self.stored(k), &format!("i * {elements}u")));
                    after += &spot.place.set_word(&word, &format!("w{k}"));
                }
            }
        }
        let count = &names.count;
        let body = format!(
            "{before}for (var k = 0u; k < {elements}u; k++) {{\nlet e = i * {elements}u + k;\n\
             if (e < {count}) {{\n{}}}\n}}\n{after}",
            self.element(&names, "e", elements)
        );
        entry(&format!("({count} + {}u) / {elements}u", elements - 1), &body)
    }

    /// For a fold's text: statements that compute the element at `at`, and the text of step `taken`'s result in a type.
    pub fn for_fold(&self, taken: usize, num: Num) -> (String, String) {
        let own = own_num(self.steps[taken].dtype);
        let statements = format!(
            "var element: {};\n{{\n{}element = r{taken};\n}}\n",
            type_text(own),
            self.element(&self.names(), "at", 1)
        );
        (statements, convert("element", own, num))
    }

    /// The number of step `k`'s store among all spots.
    fn stored(&self, k: usize) -> usize {
        self.inputs.len() + self.steps[..k].iter().filter(|s| s.spot().is_some()).count()
    }

    /// Statements for the element whose number is the text `e`.
    fn element(&self, names: &Names, e: &str, elements: u32) -> String {
        let mut text = self.walk(names, e);
        for (k, input) in self.inputs.iter().enumerate() {
            let load = input.place.load(&names.at(self, k, e), own_num(input.place.dtype));
            let _ = writeln!(text, "let v{k} = {load};");
        }
        for (k, step) in self.steps.iter().enumerate() {
            let _ = write!(text, "{}", self.step(names, k, step));
            match step.store {
                Store::No => {}
                Store::Element(spot) => {
                    text += &spot.place.store(&names.at(self, self.stored(k), e), &format!("y{k}"), step.result);
                }
                Store::Words(spot) => {
                    let own = per_word(step.dtype);
                    let bits = packed(step.dtype, &format!("y{k}"), step.result);
                    let width = 32 / own;
                    let _ = writeln!(text, "w{k} |= {bits} << ((k & {}u) * {width}u);", own - 1);
                    if own != elements {
                        // Its word is full, or nothing follows.
                        let word = format!("({} / {own}u)", names.at(self, self.stored(k), e));
                        let _ = writeln!(
                            text,
                            "if ((k & {0}u) == {0}u || e + 1u == {1}) {{\n{2}w{k} = 0u;\n}}",
                            own - 1,
                            names.count,
                            spot.place.set_word(&word, &format!("w{k}"))
                        );
                    }
                }
            }
        }
        text
    }

    /// Statements that find the places of arrays with strides: `a0`, `a1`, … by way.
    fn walk(&self, names: &Names, e: &str) -> String {
        let mut text = String::new();
        if !self.ways.contains(&Way::Strides) {
            return text;
        }
        let ways = || self.ways.iter().enumerate().filter(|(_, way)| **way == Way::Strides);
        let _ = writeln!(text, "var r = {e};");
        for (k, _) in ways() {
            let _ = writeln!(text, "var a{k} = 0u;");
        }
        for d in (0..usize::from(self.rank)).rev() {
            let at = match d {
                0 => "r".to_owned(),
                _ => {
                    let n = &names.sizes[d - 1];
                    let _ = writeln!(text, "let c{d} = r % {n}; r = r / {n};");
                    format!("c{d}")
                }
            };
            for (k, _) in ways() {
                let _ = writeln!(text, "a{k} += bitcast<u32>(bitcast<i32>({at}) * {});", names.strides[k][d]);
            }
        }
        text
    }

    /// Statements that compute a step: `y` is its value, and `r` what a reader finds.
    fn step(&self, names: &Names, k: usize, step: &Made) -> String {
        let mut text = String::new();
        let mut numbers = names.numbers[k].iter();
        let mut args: SmallVec<[String; 4]> = SmallVec::new();
        for from in &step.from {
            args.push(match *from {
                From::Input(n) => convert(&format!("v{n}"), own_num(self.inputs[usize::from(n)].place.dtype), step.num),
                From::Step(n) => convert(&format!("r{n}"), own_num(self.steps[usize::from(n)].dtype), step.num),
                From::Number => numbers.next().cloned().unwrap_or_default(),
                From::Nothing => format!("{}()", type_text(step.num)),
            });
        }
        for (n, arg) in args.iter_mut().enumerate() {
            if step.repeats(n) {
                *arg = hidden(step.num, arg, &format!("({} & {}u)", names.veil, 64 + n));
            }
            let _ = writeln!(text, "let x{k}_{n} = {arg};");
            *arg = format!("x{k}_{n}");
        }
        let args: SmallVec<[&str; 4]> = args.iter().map(String::as_str).collect();
        let _ = writeln!(text, "let y{k} = {};", step.rule.text(step.num, &args));
        if step.read {
            // A reader must find the very bits that memory would hold. Compilers must not see through that: they would
            // contract products and sums of two steps, or take equal values of two steps for one.
            let veil = format!("({} & {}u)", names.veil, k + 1);
            let y = format!("y{k}");
            let seen = match step.dtype {
                DType::I64 => convert(&y, step.result, Num::I64),
                DType::F64 => hidden(Num::F64, &convert(&y, step.result, Num::F64), &veil),
                dtype if dtype.is_float() => {
                    let bits = format!("({} ^ {veil})", packed(dtype, &y, step.result));
                    unpacked(dtype, &bits, own_num(dtype))
                }
                dtype => unpacked(dtype, &packed(dtype, &y, step.result), own_num(dtype)),
            };
            let _ = writeln!(text, "let r{k} = {seen};");
        }
        text
    }
}

/// The same value, of which compilers know nothing.
fn hidden(num: Num, value: &str, veil: &str) -> String {
    match num {
        Num::F32 => format!("veiled_f32({value}, {veil})"),
        Num::F64 => format!("bitcast<f64>(bitcast<u64>({value}) ^ u64({veil}))"),
        Num::I32 | Num::I64 => value.to_owned(),
    }
}

impl Names {
    /// The place of spot `n` for the element whose number is the text `e`.
    fn at(&self, recipe: &Recipe, n: usize, e: &str) -> String {
        let spots = || recipe.inputs.iter().copied().chain(recipe.steps.iter().filter_map(Made::spot));
        let way = spots().nth(n).map_or(0, |spot| usize::from(spot.way));
        let base = match recipe.ways[way] {
            Way::Stays => None,
            Way::Follows => Some(e.to_owned()),
            Way::Strides => Some(format!("a{way}")),
        };
        match (&self.offsets[n], base) {
            (Some(offset), Some(base)) => format!("({offset} + {base})"),
            (Some(offset), None) => offset.clone(),
            (None, Some(base)) => format!("({base})"),
            (None, None) => "0u".to_owned(),
        }
    }
}
