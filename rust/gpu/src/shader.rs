//! What all kernels' texts have in common: bindings, elements of every dtype, parameters, one thread's number.
//!
//! Storage is bound as words (`array<u32>`), of which an element is a part, one, or two. 64-bit integers are pairs of
//! words everywhere ([`Num::I64`], `prelude/i64.wgsl`), so that labels and indices work on every adapter. Only f64 is
//! bound as itself: WGSL does not make one of words.

use crate::context::Context;
use crate::memory::Buffer;
use crate::pipeline::{Key, Source, IMMEDIATE};
use crate::prelude;
use crate::stream::{Binding, Dispatch, Task};
use crate::windows::{Access, Face, Slot};
use smallvec::SmallVec;
use std::fmt::Write;
use std::sync::Arc;
pub(crate) use wengert_ops::rows::Wgsl as Num;
use wengert_ops::{Compute, DType, Error, Result, Scalar};

/// Threads of a group in kernels that give a thread to each element.
pub(crate) const THREADS: u32 = 256;

/// Numbers of elements stay so far below 2³² that neither a loop's last step nor the last group's threads wrap.
pub(crate) const MOST: usize = (1 << 32) - (1 << 26);

/// The narrowest type that computes what `compute` does for operands and result of these dtypes.
pub(crate) fn num_of(compute: Compute, dtypes: impl IntoIterator<Item = DType>) -> Num {
    match compute {
        Compute::F32 => Num::F32,
        Compute::F64 => Num::F64,
        Compute::I64 if dtypes.into_iter().any(|d| d.size() == 8 || d.is_float()) => Num::I64,
        Compute::I64 => Num::I32,
    }
}

/// The type in which a dtype's elements are read as they are.
pub(crate) fn own_num(dtype: DType) -> Num {
    match dtype {
        DType::F64 => Num::F64,
        DType::I64 => Num::I64,
        d if d.is_float() => Num::F32,
        _ => Num::I32,
    }
}

/// A type's name in WGSL.
pub(crate) fn type_text(num: Num) -> &'static str {
    match num {
        Num::I64 => "vec2<u32>",
        other => other.suffix(),
    }
}

/// The words of a number, as parameters carry it; see [`scalar_text`].
pub(crate) fn words_of(num: Num, value: Scalar) -> SmallVec<[u32; 2]> {
    let pair = |bits: u64| SmallVec::from_slice(&[bits as u32, (bits >> 32) as u32]);
    match num {
        Num::F32 => SmallVec::from_slice(&[match value {
            Scalar::Int(i) => i as f32,
            other => other.as_f64() as f32,
        }
        .to_bits()]),
        Num::F64 => pair(value.as_f64().to_bits()),
        Num::I32 => SmallVec::from_slice(&[value.as_i64() as u32]),
        Num::I64 => pair(value.as_i64() as u64),
    }
}

/// A number's text in type `num`, from the texts of its words.
pub(crate) fn scalar_text(num: Num, words: &[String]) -> String {
    match num {
        Num::F32 => format!("bitcast<f32>({})", words[0]),
        Num::F64 => format!("f64_of_bits({}, {})", words[0], words[1]),
        Num::I32 => format!("bitcast<i32>({})", words[0]),
        Num::I64 => format!("vec2<u32>({}, {})", words[0], words[1]),
    }
}

/// Elements of a dtype in one word; 1 for whole words and pairs.
pub(crate) fn per_word(dtype: DType) -> u32 {
    (4 / dtype.size() as u32).max(1)
}

/// A number that names a dtype in keys.
pub(crate) fn code(dtype: DType) -> u32 {
    dtype as u32
}

/// A kernel under construction: its bindings, its parameters, and the key of its text.
///
/// Blocks that are given twice share a slot, since a dispatch must not read and write one in two.
pub(crate) struct Call {
    pub context: &'static Context,
    slots: SmallVec<[Slot; 6]>,
    pub words: SmallVec<[u32; IMMEDIATE / 4]>,
    pub key: Key,
    enabled: &'static str,
}

/// Where an operand of a call lies: its slot and the dtype of its elements.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Place {
    slot: u32,
    pub dtype: DType,
    atomic: bool,
    /// Whether its block is seen through several windows: then functions find the one.
    windowed: bool,
    /// Whether it is bound by four elements together: [`Place::load_quad`] reads it.
    pub quads: bool,
}

impl Call {
    pub fn new(context: &'static Context, family: &'static str) -> Call {
        Call {
            context,
            slots: SmallVec::new(),
            words: SmallVec::new(),
            key: Key { family, variant: SmallVec::new() },
            enabled: "",
        }
    }

    fn bind(&mut self, buffer: &Buffer, dtype: DType, access: Access) -> Result<Place> {
        let double = dtype == DType::F64;
        if double && !self.context.has_f64() {
            return Err(Error::runtime(format!(
                "gpu:{} ('{}') has no 64-bit floats; use dtype float32, or device 'cpu'",
                self.context.index, self.context.info.name
            )));
        }
        if buffer.device() != self.context.index {
            return Err(Error::internal(format!("{}: arrays of two devices in one call", self.key.family)));
        }
        let windows = self.context.windows(&buffer.0, dtype, &self.key)?;
        let at = match self.slots.iter().position(|s| Arc::ptr_eq(&s.block, &buffer.0)) {
            Some(at) if self.slots[at].face.double != double || self.slots[at].face.quads => {
                return Err(Error::internal(format!("{}: one buffer under two dtypes in one call", self.key.family)));
            }
            Some(at) => at,
            None => {
                self.slots.push(Slot {
                    block: buffer.0.clone(),
                    face: Face { access: Access::Read, double, quads: false, windows },
                });
                self.slots.len() - 1
            }
        };
        match (self.slots[at].face.access, access) {
            (_, Access::Read) | (Access::Atomic, _) => {}
            (_, other) => self.slots[at].face.access = other,
        }
        // What is read from a slot that was bound for scattering before is read by atomic operations, too.
        let atomic = self.slots[at].face.access == Access::Atomic;
        let place = Place { slot: at as u32, dtype, atomic, windowed: windows > 1, quads: false };
        let slot = windows << 16 | place.slot << 8;
        self.key.variant.push(slot | code(dtype) << 3 | u32::from(atomic) << 2 | access as u32);
        Ok(place)
    }

    /// Lets the text use extensions of the language, by their names with commas between them.
    pub fn enable(&mut self, names: &'static str) {
        self.enabled = names;
    }

    /// Binds an array to be read.
    pub fn read(&mut self, buffer: &Buffer, dtype: DType) -> Result<Place> {
        self.bind(buffer, dtype, Access::Read)
    }

    /// Binds an array of f32 to be read by four elements together, of which the first has a number that four divides:
    /// if nothing else of its buffer is bound, and one binding shows it.
    pub fn read_quads(&mut self, buffer: &Buffer) -> Result<Option<Place>> {
        let bound = self.slots.iter().any(|s| Arc::ptr_eq(&s.block, &buffer.0));
        if bound || self.context.windows(&buffer.0, DType::F32, &self.key)? > 1 {
            return Ok(None);
        }
        let place = Place { quads: true, ..self.bind(buffer, DType::F32, Access::Read)? };
        self.slots[place.slot as usize].face.quads = true;
        self.key.variant.push(u32::MAX);
        Ok(Some(place))
    }

    /// Binds an array to be written, a word by one thread.
    pub fn write(&mut self, buffer: &Buffer, dtype: DType) -> Result<Place> {
        self.bind(buffer, dtype, Access::Write)
    }

    /// Binds an array to be written element by element; of dtypes smaller than a word by atomic operations.
    pub fn scatter(&mut self, buffer: &Buffer, dtype: DType) -> Result<Place> {
        self.bind(buffer, dtype, if dtype.size() < 4 { Access::Atomic } else { Access::Write })
    }

    /// Binds an array's words for atomic operations, which the text spells out itself.
    pub fn atomic(&mut self, buffer: &Buffer) -> Result<Place> {
        self.bind(buffer, DType::I32, Access::Atomic)
    }

    /// Adds a parameter; gives its text.
    pub fn word(&mut self, value: u32) -> String {
        self.words.push(value);
        format!("p.w{}", self.words.len() - 1)
    }

    /// As [`Call::word`], of a size or offset that must fit.
    pub fn size(&mut self, value: usize) -> Result<String> {
        self.put_size(value)?;
        Ok(format!("p.w{}", self.words.len() - 1))
    }

    /// As [`Call::size`], for texts that count parameters themselves.
    pub fn put_size(&mut self, value: usize) -> Result<()> {
        match u32::try_from(value) {
            Ok(v) => self.words.push(v),
            Err(_) => return Err(self.too_many(value)),
        }
        Ok(())
    }

    /// Whether threads and loops may count so many.
    pub fn countable(&self, elements: usize) -> Result<()> {
        match elements <= MOST {
            true => Ok(()),
            false => Err(self.too_many(elements)),
        }
    }

    #[cold]
    fn too_many(&self, elements: usize) -> Error {
        Error::runtime(format!(
            "{}: {elements} elements, and kernels of gpu:{} ('{}') count to {MOST}; split the tensor, or keep it on device 'cpu'",
            self.key.family, self.context.index, self.context.info.name
        ))
    }

    /// As [`Call::word`], of a stride. It is multiplied and added modulo 2³², as every position is.
    pub fn stride(&mut self, value: isize) -> Result<String> {
        self.put_stride(value)?;
        Ok(format!("bitcast<i32>(p.w{})", self.words.len() - 1))
    }

    /// As [`Call::stride`], for texts that count parameters themselves.
    pub fn put_stride(&mut self, value: isize) -> Result<()> {
        match value.unsigned_abs() <= MOST {
            true => self.words.push(value as u32),
            false => return Err(self.too_many(value.unsigned_abs())),
        }
        Ok(())
    }

    /// A number as parameter; gives its text in type `num`.
    pub fn scalar(&mut self, num: Num, value: Scalar) -> String {
        let words: SmallVec<[String; 2]> = words_of(num, value).iter().map(|w| self.word(*w)).collect();
        scalar_text(num, &words)
    }

    /// Queues the kernel with these groups. `body` is the text after the declarations; it is made only for a new key,
    /// which must tell all that the text depends on.
    pub fn run(self, groups: [u32; 3], body: impl FnOnce() -> String) -> Result<()> {
        let context = self.context;
        match self.dispatch(groups, body)? {
            Some(dispatch) => context.push(Task::Dispatch(dispatch)),
            None => Ok(()),
        }
    }

    /// As [`Call::run`], without queueing; None where there is nothing to do.
    pub fn dispatch(self, groups: [u32; 3], body: impl FnOnce() -> String) -> Result<Option<Dispatch>> {
        self.fits()?;
        let (context, mut key) = (self.context, self.key.clone());
        let Bound { frame, bindings, words } = self.bound()?;
        if groups.contains(&0) {
            return Ok(None);
        }
        // The same text with another number of words would read past them.
        key.variant.push(words.len() as u32);
        let pipeline = context.pipeline(key, || frame.source(&body()))?;
        Ok(Some(Dispatch { pipeline, bindings, parameters: words, groups }))
    }

    /// Whether a kernel can see all that is bound.
    pub fn fits(&self) -> Result<()> {
        self.context.fits(&self.key, &self.slots)
    }

    /// What was bound, once all is.
    pub fn bound(self) -> Result<Bound> {
        let Call { context, slots, words, key, enabled } = self;
        if words.len() > IMMEDIATE / 4 {
            return Err(Error::internal(format!("{}: {} words of parameters", key.family, words.len())));
        }
        let faces = slots.iter().map(|s| s.face).collect();
        let frame = Frame { slots: faces, words: words.len() as u32, window: context.window(), enabled };
        let bindings = slots.iter().flat_map(|s| s.bindings(context)).collect();
        Ok(Bound { frame, bindings, words })
    }

    /// Groups of [`THREADS`] for so many threads; see [`entry`].
    pub fn threads(&self, count: usize) -> Result<[u32; 3]> {
        self.countable(count)?;
        self.groups(count.div_ceil(THREADS as usize))
    }

    /// So many groups, in two dimensions where one does not hold them: a few more than asked for.
    pub fn groups(&self, count: usize) -> Result<[u32; 3]> {
        self.countable(count)?;
        let most = self.context.limits.max_compute_workgroups_per_dimension as usize;
        let rows = count.div_ceil(most).max(1);
        if rows > most {
            return Err(self.too_many(count));
        }
        Ok([count.div_ceil(rows) as u32, rows as u32, 1])
    }
}

/// A call's bindings and parameters: what its text sees of them, and what they are this time.
pub(crate) struct Bound {
    pub frame: Frame,
    pub bindings: SmallVec<[Binding; 6]>,
    pub words: SmallVec<[u32; IMMEDIATE / 4]>,
}

/// What a kernel's text declares before its body: bindings, and how many words of parameters there are.
#[derive(Clone, Default, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Frame {
    slots: SmallVec<[Face; 6]>,
    words: u32,
    /// Bytes of a window.
    window: u64,
    /// Extensions of the language that the body uses.
    enabled: &'static str,
}

impl Frame {
    /// How many bindings.
    pub fn bindings(&self) -> usize {
        self.slots.iter().map(|s| s.windows as usize).sum()
    }

    /// The whole text of a kernel of this body.
    pub fn source(&self, body: &str) -> Source {
        let mut text = match self.enabled {
            "" => String::new(),
            names => format!("enable {names};\n"),
        };
        let mut writes = SmallVec::new();
        for (n, slot) in self.slots.iter().enumerate() {
            text += &slot.declared(n, writes.len(), self.window);
            writes.extend((0..slot.windows).map(|_| slot.access != Access::Read));
        }
        if self.words > 0 {
            let fields: Vec<String> = (0..self.words).map(|n| format!("w{n}: u32")).collect();
            let _ = writeln!(text, "struct P {{ {} }}\nvar<immediate> p: P;", fields.join(", "));
        }
        text.push_str(&prelude::link(body));
        text.push_str(body);
        Source { text, writes }
    }
}

/// `main` with a thread `i` for each of `count` (a text); others return at once.
pub(crate) fn entry(count: &str, body: &str) -> String {
    format!(
        "@compute @workgroup_size({THREADS})\nfn main(@builtin(global_invocation_id) id: vec3<u32>, \
         @builtin(num_workgroups) groups: vec3<u32>) {{\n\
         let i = id.y * groups.x * {THREADS}u + id.x;\nif (i >= {count}) {{ return; }}\n{body}}}\n"
    )
}

impl Place {
    /// The word at `index` (a text): of f64 the element.
    pub fn word(self, index: &str) -> String {
        let slot = self.slot;
        match (self.windowed, self.atomic) {
            (true, _) => format!("load_b{slot}({index})"),
            (false, true) => format!("atomicLoad(&b{slot}[{index}])"),
            (false, false) => format!("b{slot}[{index}]"),
        }
    }

    /// A statement that writes the word at `index`, of f64 the element.
    pub fn set_word(self, index: &str, value: &str) -> String {
        let slot = self.slot;
        match self.windowed {
            true => format!("store_b{slot}({index}, {value});\n"),
            false => format!("b{slot}[{index}] = {value};\n"),
        }
    }

    /// A statement that changes the word at `index` by an atomic operation, named as in WGSL.
    pub fn atomic(self, operation: &str, index: &str, value: &str) -> String {
        let slot = self.slot;
        match self.windowed {
            true => format!("{operation}_b{slot}({index}, {value});\n"),
            false => format!("{operation}(&b{slot}[{index}], {value});\n"),
        }
    }

    /// The bits of the element at `index` (a text without side effects), zero-extended to a word; of f64 and i64 not.
    pub fn bits(self, index: &str) -> String {
        match per_word(self.dtype) {
            1 => self.word(&format!("({index})")),
            2 => format!("(({} >> ((({index}) & 1u) * 16u)) & 0xffffu)", self.word(&format!("({index}) >> 1u"))),
            _ => format!("(({} >> ((({index}) & 3u) * 8u)) & 0xffu)", self.word(&format!("({index}) >> 2u"))),
        }
    }

    /// The element at `index`, as `num`.
    pub fn load(self, index: &str, num: Num) -> String {
        match self.dtype {
            DType::F64 => convert(&self.word(index), Num::F64, num),
            DType::I64 => {
                let low = self.word(&format!("({index}) * 2u"));
                let high = self.word(&format!("({index}) * 2u + 1u"));
                convert(&format!("vec2<u32>({low}, {high})"), Num::I64, num)
            }
            dtype => unpacked(dtype, &self.bits(index), num),
        }
    }

    /// The four elements from `index` on.
    pub fn load_quad(self, index: &str) -> String {
        format!("bitcast<vec4<f32>>(b{}[({index}) / 4u])", self.slot)
    }

    /// A statement that writes `value`, of type `num`, to `index`: for dtypes of whole words, or bound by
    /// [`Call::scatter`].
    pub fn store(self, index: &str, value: &str, num: Num) -> String {
        match self.dtype {
            DType::F64 => self.set_word(index, &convert(value, num, Num::F64)),
            DType::I64 => format!(
                "{{ let w = {}; {}{}}}\n",
                convert(value, num, Num::I64),
                self.set_word(&format!("({index}) * 2u"), "w.x"),
                self.set_word(&format!("({index}) * 2u + 1u"), "w.y")
            ),
            _ if per_word(self.dtype) == 1 => self.set_word(index, &self.packed(value, num)),
            _ => {
                let (shift, mask) = match per_word(self.dtype) {
                    2 => (1, 0xffffu32),
                    _ => (2, 0xff),
                };
                let within = per_word(self.dtype) - 1;
                let width = 32 / per_word(self.dtype);
                format!(
                    "{{ let s = (({index}) & {within}u) * {width}u; let a = ({index}) >> {shift}u; {}{}}}\n",
                    self.atomic("atomicAnd", "a", &format!("~({mask}u << s)")),
                    self.atomic("atomicOr", "a", &format!("({} << s)", self.packed(value, num)))
                )
            }
        }
    }

    /// Statements by which thread `i` writes word `word`, elements `i · n` and on of `count` of an array of `n` elements
    /// a word: the thread owns the word. `value` gives statements for element `e`, and the text of the value. What the
    /// word has beyond `count` becomes zero.
    pub fn store_word(self, word: &str, count: &str, num: Num, value: impl Fn(&str) -> (String, String)) -> String {
        let (elements, width) = (per_word(self.dtype), 32 / per_word(self.dtype));
        let (before, text) = value("e");
        format!(
            "var packed = 0u;\nfor (var k = 0u; k < {elements}u; k++) {{\nlet e = i * {elements}u + k;\n\
             if (e < {count}) {{\n{before}packed |= {} << (k * {width}u);\n}}\n}}\n{}",
            self.packed(&text, num),
            self.set_word(word, "packed")
        )
    }

    /// As [`packed`], of its dtype.
    pub fn packed(self, value: &str, num: Num) -> String {
        packed(self.dtype, value, num)
    }
}

/// `value` as an element's bits in the low end of a word; of f64 and i64 not.
pub(crate) fn packed(dtype: DType, value: &str, num: Num) -> String {
    let float = || convert(value, num, Num::F32);
    let whole = || convert(value, num, Num::I32);
    match dtype {
        DType::F32 => format!("bitcast<u32>({})", float()),
        DType::F16 => format!("f32_to_f16({})", float()),
        DType::BF16 => format!("f32_to_bf16({})", float()),
        DType::I32 => format!("bitcast<u32>({})", whole()),
        DType::I16 => format!("(bitcast<u32>({}) & 0xffffu)", whole()),
        DType::I8 | DType::U8 => format!("(bitcast<u32>({}) & 0xffu)", whole()),
        DType::Bool => format!("select(0u, 1u, {})", truth(value, num)),
        DType::F64 | DType::I64 => unreachable!("written as pairs"),
    }
}

/// The element of these bits, as [`Place::bits`] gives them, in type `num`.
pub(crate) fn unpacked(dtype: DType, bits: &str, num: Num) -> String {
    let (text, own) = match dtype {
        DType::F32 => (format!("bitcast<f32>({bits})"), Num::F32),
        DType::F16 => (format!("f16_to_f32({bits})"), Num::F32),
        DType::BF16 => (format!("bitcast<f32>({bits} << 16u)"), Num::F32),
        DType::I32 | DType::U8 => (format!("bitcast<i32>({bits})"), Num::I32),
        DType::I16 => (format!("(bitcast<i32>({bits} << 16u) >> 16u)"), Num::I32),
        DType::I8 => (format!("(bitcast<i32>({bits} << 24u) >> 24u)"), Num::I32),
        DType::Bool => (format!("select(0i, 1i, {bits} != 0u)"), Num::I32),
        DType::F64 | DType::I64 => unreachable!("read as pairs"),
    };
    convert(&text, own, num)
}

/// Whether a value is not zero (NaN is not), as WGSL's `bool`.
pub(crate) fn truth(value: &str, num: Num) -> String {
    match num {
        Num::F32 => format!("((bitcast<u32>({value}) & 0x7fffffffu) != 0u)"),
        Num::F64 => format!("!({value} == 0.0lf)"),
        Num::I32 => format!("({value} != 0i)"),
        Num::I64 => format!("any({value} != vec2<u32>(0u, 0u))"),
    }
}

/// `value` in another type. Floats are cut toward zero and to the integer's width, as the CPU does it.
pub(crate) fn convert(value: &str, from: Num, to: Num) -> String {
    match (from, to) {
        _ if from == to => value.to_owned(),
        (Num::I32, Num::F32) => format!("f32({value})"),
        (Num::I32, Num::F64) => format!("f64({value})"),
        (Num::F32, Num::F64) => format!("f64({value})"),
        (Num::F64, Num::F32) => format!("f32({value})"),
        (Num::I32, Num::I64) => format!("i64_of_i32({value})"),
        (Num::I64, Num::I32) => format!("bitcast<i32>(({value}).x)"),
        (Num::I64, Num::F32) => format!("f32_of_i64({value})"),
        (Num::I64, Num::F64) => format!("f64_of_i64({value})"),
        (Num::F32, Num::I64) => format!("i64_of_f32({value})"),
        (Num::F32, Num::I32) => format!("bitcast<i32>(i64_of_f32({value}).x)"),
        (Num::F64, Num::I64) => format!("i64_of_f64({value})"),
        (Num::F64, Num::I32) => format!("bitcast<i32>(i64_of_f64({value}).x)"),
        _ => unreachable!("the arms above are all pairs"),
    }
}
