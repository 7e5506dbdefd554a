//! Blocks larger than what one binding may show: a kernel sees them through several windows, side by side.
//!
//! A window holds a power of two of words, so that a word's number tells the window by a shift. Blocks that one binding
//! shows, which is nearly all, are indexed directly: their kernels know nothing of windows.

use crate::context::Context;
use crate::memory::Block;
use crate::pipeline::Key;
use crate::stream::Binding;
use std::fmt::Write;
use std::sync::Arc;
use wengert_ops::{DType, Error, Result};

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Access {
    Read,
    Write,
    /// Elements smaller than a word, written by threads that do not own the word.
    Atomic,
}

/// A block of a call.
pub(crate) struct Slot {
    pub block: Arc<Block>,
    pub face: Face,
}

/// What a kernel's text knows of a block.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Face {
    pub access: Access,
    /// Of 64-bit floats, not of words.
    pub double: bool,
    /// Of four words each, only read.
    pub quads: bool,
    pub windows: u32,
}

/// A block's words are numbered with 32 bits, and so are its elements.
const NUMBERS: u64 = 1 << 32;

impl Context {
    /// The most bytes that a binding shows.
    fn shown(&self) -> u64 {
        self.limits.max_storage_buffer_binding_size & !7
    }

    /// Bytes of a window.
    pub fn window(&self) -> u64 {
        1 << self.shown().ilog2()
    }

    /// How many windows show a block as an array of this dtype.
    pub fn windows(&self, block: &Block, dtype: DType, key: &Key) -> Result<u32> {
        let bytes = (block.bytes as u64).next_multiple_of(8);
        let most = NUMBERS * dtype.size().min(4) as u64;
        if bytes > most {
            return Err(Error::runtime(format!(
                "{}: an array of {bytes} bytes, and kernels reach {most} of one of {dtype}; split the tensor, or keep it on \
                 device 'cpu'",
                key.family
            )));
        }
        match bytes <= self.shown() {
            true => Ok(1),
            false => Ok(bytes.div_ceil(self.window()) as u32),
        }
    }

    /// Whether a kernel can see all of a call's blocks.
    pub fn fits(&self, key: &Key, slots: &[Slot]) -> Result<()> {
        let most = self.limits.max_storage_buffers_per_shader_stage;
        let wanted: u32 = slots.iter().map(|s| s.face.windows).sum();
        if wanted <= most {
            return Ok(());
        }
        let device = format!("gpu:{} ('{}')", self.index, self.info.name);
        if slots.len() > most as usize {
            return Err(Error::runtime(format!(
                "{} over {} arrays: {device} binds at most {most} to a kernel; compute it in smaller steps, or on device 'cpu'",
                key.family,
                slots.len(),
            )));
        }
        let bytes: Vec<String> = slots.iter().map(|s| s.block.bytes.to_string()).collect();
        Err(Error::runtime(format!(
            "{}: arrays of {} bytes need {wanted} bindings of at most {} bytes, and {device} has {most} in a kernel; split \
             the tensors, or compute on device 'cpu'",
            key.family,
            bytes.join(", "),
            self.shown()
        )))
    }
}

impl Slot {
    /// The ranges that a kernel sees.
    pub fn bindings<'a>(&'a self, context: &'a Context) -> impl Iterator<Item = Binding> + 'a {
        let windows = self.face.windows;
        let (size, window) =
            (self.block.raw().buffer.size(), if windows > 1 { context.window() } else { context.shown() });
        (0..u64::from(windows)).map(move |n| {
            let offset = n * window;
            Binding { block: self.block.clone(), offset, bytes: window.min(size - offset) & !7 }
        })
    }
}

impl Face {
    /// The declarations of slot `n`, whose first binding has number `first`: its variables, and the functions by which
    /// [`Place`](crate::shader::Place) reaches words of several windows.
    pub fn declared(&self, n: usize, first: usize, window: u64) -> String {
        let (access, element) = match (self.access, self.double) {
            (Access::Read, false) if self.quads => ("read", "vec4<u32>"),
            (Access::Read, false) => ("read", "u32"),
            (Access::Write, false) => ("read_write", "u32"),
            (Access::Atomic, _) => ("read_write", "atomic<u32>"),
            (Access::Read, true) => ("read", "f64"),
            (Access::Write, true) => ("read_write", "f64"),
        };
        let declared = |binding: usize, name: &str| {
            format!("@group(0) @binding({binding}) var<storage, {access}> {name}: array<{element}>;\n")
        };
        if self.windows == 1 {
            return declared(first, &format!("b{n}"));
        }
        let mut text: String = (0..self.windows).map(|w| declared(first + w as usize, &format!("b{n}_{w}"))).collect();
        let shift = window.ilog2() - if self.double { 3 } else { 2 };
        // One statement for each window, the last being that of all further numbers.
        let mut function = |head: String, statement: &dyn Fn(&str) -> String| {
            let _ = writeln!(text, "fn {head} {{\nlet at = i & {}u;\nswitch (i >> {shift}u) {{", (1u64 << shift) - 1);
            for w in 0..self.windows {
                let case = if w + 1 == self.windows { "default".to_owned() } else { format!("case {w}u") };
                let _ = writeln!(text, "{case}: {{ {} }}", statement(&format!("b{n}_{w}[at]")));
            }
            text.push_str("}\n}\n");
        };
        let value = if self.double { "f64" } else { "u32" };
        function(format!("load_b{n}(i: u32) -> {value}"), &|word| match self.access {
            Access::Atomic => format!("return atomicLoad(&{word});"),
            _ => format!("return {word};"),
        });
        match self.access {
            Access::Read => {}
            Access::Write => function(format!("store_b{n}(i: u32, v: {value})"), &|word| format!("{word} = v;")),
            Access::Atomic => {
                for operation in ["atomicStore", "atomicAdd", "atomicMax", "atomicAnd", "atomicOr"] {
                    function(format!("{operation}_b{n}(i: u32, v: u32)"), &|word| match operation {
                        "atomicStore" => format!("atomicStore(&{word}, v);"),
                        _ => format!("_ = {operation}(&{word}, v);"),
                    });
                }
            }
        }
        text
    }
}
