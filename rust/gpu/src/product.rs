//! Products of matrices whose elements are found by a text: what matmul and convolution have in common.
//!
//! Four kernels: `Thin` gives an output to each thread, `Dots` to each group; `Registers` keeps a block of outputs in
//! each thread and reads from memory, best where a processor plays the GPU; `Tiles` shares blocks of both matrices in a
//! group's memory, best on GPUs. Where there are few outputs the inner dimension is split into parts, whose sums
//! another kernel joins.

use crate::context::Context;
use crate::cooperative::cooperative_matrices;
use crate::elementwise;
use crate::memory::Buffer;
use crate::shader::{entry, type_text, Call, Num, Place};
use crate::tiling::{best, split, Form, Patch, Sizes, Tile, Way, BLOCK, LANES, PASS};
use crate::tuning::{class, is_worth, together};
use std::fmt::Write;
use std::time::{Duration, Instant};
use wengert_ops::{DType, Layout, Result, Row, Scalar, View, ViewMut};

/// How the elements of both matrices are found. Names that the texts define end with the tag they are given.
pub(crate) trait Matrices {
    /// What stands before `main`.
    fn functions(&self) -> String {
        String::new()
    }
    /// Statements after `z`, the product's number in the batch.
    fn batch(&self) -> String;
    /// What the elements of row `r` of the first matrix share.
    fn row(&self, r: &str, tag: &str) -> String;
    /// What the elements of column `c` of the second share.
    fn col(&self, c: &str, tag: &str) -> String;
    /// What the elements at the inner position `k` share, as variables.
    fn inner(&self, k: &str) -> String;
    /// Takes those variables to the next position.
    fn next(&self) -> String;
    /// The first matrix' element.
    fn a(&self, row: &str) -> String;
    /// The second's.
    fn b(&self, col: &str) -> String;
    /// Of which matrix four elements that are neighbours in memory can be read together: then [`Matrices::a`] and
    /// [`Matrices::b`] give four.
    fn quads(&self) -> [bool; 2] {
        [false; 2]
    }
    /// The output's position of an element, counted from its first.
    fn place(&self, m: &str, n: &str, row: &str, col: &str) -> String;
}

/// `out = a · b (+ out)` for each product of the batch, neither of them empty. `bind` binds the matrices and their
/// parameters to a call, told whether a kernel can read four elements together; `inner_first` tells of each matrix whether neighbours along the inner dimension are neighbours in
/// memory.
#[allow(clippy::too_many_arguments)]
pub(crate) fn multiply<M: Matrices>(
    context: &'static Context,
    family: &'static str,
    num: Num,
    sizes: Sizes,
    way: Option<Way>,
    inner_first: [bool; 2],
    accumulate: bool,
    out: (&Buffer, usize, DType),
    bind: impl Fn(&mut Call, bool) -> Result<M>,
) -> Result<()> {
    let software = context.info.software && way.is_none();
    let squares = context.cooperative.is_some_and(|c| c.suits(out.2, &sizes));
    let way = match way {
        Some(Way::Cooperative) if squares => Way::Cooperative,
        None if squares && cooperative_matrices() => Way::Cooperative,
        None | Some(Way::Cooperative) => best(software, num, &sizes, inner_first),
        Some(Way::Registers | Way::Tiles | Way::Ahead) if num == Num::I64 => Way::Thin,
        Some(way) => way,
    };
    let forms = Form::all(context, way, num, &sizes);
    let many = matches!(way, Way::Registers | Way::Tiles | Way::Ahead);
    let by_passes = many && out.2 == DType::F32;
    let (mut parts, mut chunk) = split(software, forms[0], &sizes);
    let most = if way == Way::Dots { context.rounds().saturating_mul(LANES / 2) } else { context.rounds() };
    if chunk > most && (parts > 1 || !by_passes) {
        (parts, chunk) = (sizes.k.div_ceil(most), most);
    }
    let outputs = sizes.batch * sizes.m * sizes.n;
    let pass = if by_passes { PASS } else { sizes.k };
    let mut form = forms[0];
    if forms.len() > 1 && is_worth(context.info.software, &sizes) && parts == 1 {
        form = context.kept.tuned.form(class(family, num, inner_first, &sizes), &forms, |form| {
            let run = Run {
                num,
                sizes,
                form,
                parts,
                first: 0,
                end: pass.min(sizes.k),
                chunk,
                accumulate: false,
                inner_first,
            };
            run.timed(context, family, out.2, outputs, &bind)
        });
    }
    if parts > 1 {
        let dtype = match num {
            Num::F32 => DType::F32,
            Num::F64 => DType::F64,
            Num::I32 => DType::I32,
            Num::I64 => DType::I64,
        };
        let sums = Buffer(context.allocate(parts * outputs * dtype.size())?);
        let run = Run { num, sizes, form, parts, first: 0, end: sizes.k, chunk, accumulate: false, inner_first };
        run.dispatch(context, family, (&sums, 0, dtype), &bind)?;
        return join(context, num, &sums, dtype, parts, outputs, accumulate, out);
    }
    for first in (0..sizes.k).step_by(pass) {
        let end = sizes.k.min(first + pass);
        let accumulate = accumulate || first > 0;
        let run = Run { num, sizes, form, parts: 1, first, end, chunk: pass, accumulate, inner_first };
        run.dispatch(context, family, out, &bind)?;
    }
    Ok(())
}

/// One kernel's work.
pub(crate) struct Run {
    num: Num,
    sizes: Sizes,
    form: Form,
    parts: usize,
    first: usize,
    end: usize,
    chunk: usize,
    accumulate: bool,
    pub inner_first: [bool; 2],
}

/// A run's parameters and the names that its texts have for them.
pub(crate) struct Names {
    pub m: String,
    pub n: String,
    first: String,
    end: String,
    chunk: String,
    batches: String,
    start: String,
}

impl Run {
    /// How long a product of these sizes takes, into memory of its own.
    fn timed<M: Matrices>(
        &self,
        context: &'static Context,
        family: &'static str,
        dtype: DType,
        outputs: usize,
        bind: &impl Fn(&mut Call, bool) -> Result<M>,
    ) -> Result<Duration> {
        let times = together(context.info.software, &self.sizes);
        let out = Buffer(context.allocate(outputs * dtype.size())?);
        context.finish()?;
        let start = Instant::now();
        for _ in 0..times {
            self.dispatch(context, family, (&out, 0, dtype), bind)?;
        }
        context.finish()?;
        Ok(start.elapsed() / times)
    }

    fn dispatch<M: Matrices>(
        &self,
        context: &'static Context,
        family: &'static str,
        out: (&Buffer, usize, DType),
        bind: &impl Fn(&mut Call, bool) -> Result<M>,
    ) -> Result<()> {
        let Sizes { batch, m, n, .. } = self.sizes;
        let mut call = Call::new(context, family);
        let target = call.scatter(out.0, out.2)?;
        let names = Names {
            m: call.size(m)?,
            n: call.size(n)?,
            first: call.size(self.first)?,
            end: call.size(self.end)?,
            chunk: call.size(self.chunk)?,
            batches: call.size(batch)?,
            start: call.size(out.1)?,
        };
        let quads = matches!(self.form, Form::Tiles(_)) && self.num == Num::F32 && self.chunk.is_multiple_of(4);
        let matrices = bind(&mut call, quads)?;
        call.key.variant.extend_from_slice(&[
            self.form.way() as u32,
            self.num as u32,
            u32::from(self.parts > 1),
            u32::from(self.accumulate),
        ]);
        match self.form {
            Form::Thin => {
                let groups = call.threads(self.parts * batch * m * n)?;
                call.run(groups, || self.thin(&names, &matrices, target))
            }
            Form::Dots => {
                let groups = call.groups(self.parts * batch * m * n)?;
                call.run(groups, || self.dots(&names, &matrices, target))
            }
            Form::Registers(patch) => {
                let Patch { rows, cols, across, down, together } = patch;
                call.key.variant.extend([rows, cols, across, down].map(|v| v as u32));
                call.key.variant.push(u32::from(together));
                let tiles = batch * m.div_ceil(rows * down) * n.div_ceil(cols * across);
                let groups = call.groups(self.parts * tiles)?;
                call.run(groups, || self.registers(&names, &matrices, target, patch))
            }
            Form::Cooperative(with) => {
                let [a, b] = self.inner_first;
                call.key.variant.extend([with.size as u32, with.lanes as u32, u32::from(a), u32::from(b)]);
                call.enable("f16, wgpu_cooperative_matrix");
                let groups = call.groups(self.parts * with.count(&self.sizes))?;
                call.run(groups, || self.cooperative(&names, &matrices, target, with))
            }
            Form::Tiles(tile) => {
                let [a, b] = self.inner_first;
                let ahead = u32::from(tile.ahead);
                call.key.variant.extend([tile.side as u32, ahead, u32::from(a), u32::from(b)]);
                let groups = call.groups(self.parts * tile.count(&self.sizes))?;
                call.run(groups, || self.tiles(&names, &matrices, target, tile))
            }
        }
    }

    /// Statements that make, of the number `y` of a product and part, `z`, and the part's inner positions `k0..k1`.
    pub fn part<M: Matrices>(&self, names: &Names, matrices: &M) -> String {
        let Names { m, n, first, end, chunk, batches, start } = names;
        let split = match self.parts > 1 {
            true => format!(
                "let z = y % {batches};\nlet s = y / {batches};\nlet k0 = {first} + s * {chunk};\n\
                 let k1 = min({end}, k0 + {chunk});\nlet to = {start} + s * ({batches} * {m} * {n});\n"
            ),
            false => format!("let z = y;\nlet k0 = {first};\nlet k1 = {end};\nlet to = {start};\n"),
        };
        split + &matrices.batch()
    }

    /// Writes one sum.
    pub fn store<M: Matrices>(
        &self,
        names: &Names,
        matrices: &M,
        target: Place,
        [row, col, value]: [&str; 3],
    ) -> String {
        let mut text = format!("let cell = to + {};\n", matrices.place(&names.m, &names.n, row, col));
        let value = match self.accumulate {
            true => plus(self.num, &target.load("cell", self.num), value),
            false => value.to_owned(),
        };
        // Read before the cell is cleared for what is written.
        let _ = writeln!(text, "let sum = {value};");
        text += &target.store("cell", "sum", self.num);
        format!("{{\n{text}}}\n")
    }

    /// A thread for each output.
    fn thin<M: Matrices>(&self, names: &Names, matrices: &M, target: Place) -> String {
        let Names { m, n, batches, .. } = names;
        let ty = type_text(self.num);
        let count = match self.parts > 1 {
            // The kernel does not know the number of parts, but where the last one begins.
            true => format!(
                "({batches} * {m} * {n} * (({} - {} + {} - 1u) / {}))",
                names.end, names.first, names.chunk, names.chunk
            ),
            false => format!("({batches} * {m} * {n})"),
        };
        let mut text = format!("let c = i % {n};\nlet r = i / {n} % {m};\nlet y = i / {n} / {m};\n");
        text += &self.part(names, matrices);
        text += &matrices.row("r", "");
        text += &matrices.col("c", "");
        text += &matrices.inner("k0");
        let _ = write!(
            text,
            "var sum = {ty}();\nvar q = k0;\nwhile (q < k1) {{\nlet stop = min(k1, q + {BLOCK}u);\nvar block = {ty}();\n\
             for (; q < stop; q++) {{\nblock = {};\n{}}}\nsum = {};\n}}\n",
            plus(self.num, "block", &times(self.num, &matrices.a(""), &matrices.b(""))),
            matrices.next(),
            plus(self.num, "sum", "block"),
        );
        text += &self.store(names, matrices, target, ["r", "c", "sum"]);
        matrices.functions() + &entry(&count, &text)
    }

    /// A group for each output: its threads go along the inner dimension side by side.
    fn dots<M: Matrices>(&self, names: &Names, matrices: &M, target: Place) -> String {
        let Names { m, n, .. } = names;
        let (num, ty) = (self.num, type_text(self.num));
        let mut text = format!("let c = g % {n};\nlet r = g / {n} % {m};\nlet y = g / {n} / {m};\n");
        text += &self.guard(names);
        text += &self.part(names, matrices);
        text += &matrices.row("r", "");
        text += &matrices.col("c", "");
        let _ = write!(
            text,
            "var sum = {ty}();\nvar q = k0 + t;\nwhile (q < k1) {{\nlet stop = min(k1, q + {}u);\n\
             var block = {ty}();\nfor (; q < stop; q += {LANES}u) {{\n{}block = {};\n}}\nsum = {};\n}}\n",
            BLOCK * LANES,
            matrices.inner("q"),
            plus(num, "block", &times(num, &matrices.a(""), &matrices.b(""))),
            plus(num, "sum", "block"),
        );
        let _ = write!(
            text,
            "sums[t] = sum;\nfor (var half = {}u; half > 0u; half = half / 2u) {{\nworkgroupBarrier();\n\
             if (t < half) {{ sums[t] = {}; }}\n}}\nif (t == 0u) {{\n{}}}\n",
            LANES / 2,
            plus(num, "sums[t]", "sums[t + half]"),
            self.store(names, matrices, target, ["r", "c", "sums[0]"]),
        );
        format!("{}var<workgroup> sums: array<{ty}, {LANES}>;\n{}", matrices.functions(), by_group(LANES, "", &text))
    }

    /// Ends groups beyond the last product and part: the dispatch is a rectangle.
    fn guard(&self, names: &Names) -> String {
        let Names { first, end, chunk, batches, .. } = names;
        match self.parts > 1 {
            true => format!("if (y >= {batches} * (({end} - {first} + {chunk} - 1u) / {chunk})) {{ return; }}\n"),
            false => format!("if (y >= {batches}) {{ return; }}\n"),
        }
    }

    /// The group's product and part `y`, and its block's row and column `gr`, `gc`.
    pub fn block(&self, names: &Names, rows: usize, cols: usize) -> String {
        let Names { m, n, .. } = names;
        format!(
            "let across = ({n} + {}u) / {cols}u;\nlet down = ({m} + {}u) / {rows}u;\nlet y = g / across / down;\n{}\
             let gc = g % across * {cols}u;\nlet gr = g / across % down * {rows}u;\n",
            cols - 1,
            rows - 1,
            self.guard(names)
        )
    }

    /// A patch of outputs for each thread, in registers.
    fn registers<M: Matrices>(&self, names: &Names, matrices: &M, target: Place, patch: Patch) -> String {
        let Patch { rows, cols, across, down, together } = patch;
        let Names { m, n, .. } = names;
        // Vectors of a line of the patch, and the width of each.
        let (quads, width) = if cols == 1 { (1, 1) } else { (cols / 4, 4) };
        let ty = match width {
            1 => type_text(self.num).to_owned(),
            _ => format!("vec4<{}>", type_text(self.num)),
        };
        let mut text = self.block(names, rows * down, cols * across);
        let _ = write!(
            text,
            "let c = gc + t % {across}u * {cols}u;\nlet r = gr + t / {across}u * {rows}u;\nif (r >= {m}) {{ return; }}\n"
        );
        text += &self.part(names, matrices);
        // Lines beyond the end repeat the last one, and are not written.
        for i in (0..rows).step_by(if together { across } else { 1 }) {
            let own = if together { " + lane" } else { "" };
            text += &matrices.row(&format!("min(r + {i}u{own}, {m} - 1u)"), &i.to_string());
        }
        for j in 0..cols {
            text += &matrices.col(&format!("min(c + {j}u, {n} - 1u)"), &j.to_string());
        }
        for (i, j) in each(rows, quads) {
            let _ = writeln!(text, "var sum{i}_{j} = {ty}();");
        }
        text += &matrices.inner("k0");
        text += "for (var q = k0; q < k1; q++) {\n";
        for j in 0..quads {
            let line: Vec<String> = (0..width).map(|w| matrices.b(&(j * width + w).to_string())).collect();
            let _ = writeln!(text, "let v{j} = {ty}({});", line.join(", "));
        }
        for i in 0..rows {
            let read = matrices.a(&i.to_string());
            let _ = match (together, i % across) {
                (false, _) => writeln!(text, "let u{i} = {read};"),
                (true, 0) => writeln!(text, "let some{i} = {read};\nlet u{i} = subgroupBroadcast(some{i}, 0u);"),
                (true, l) => writeln!(text, "let u{i} = subgroupBroadcast(some{}, {l}u);", i - l),
            };
        }
        for (i, j) in each(rows, quads) {
            let _ = writeln!(text, "sum{i}_{j} += u{i} * v{j};");
        }
        let _ = writeln!(text, "{}}}", matrices.next());
        // Written by a loop: so many statements would take long to compile.
        let sums: Vec<String> = each(rows, quads).map(|(i, j)| format!("sum{i}_{j}")).collect();
        let value = if width == 1 { "sums[i]".to_owned() } else { format!("sums[i * {quads}u + j / 4u][j % 4u]") };
        let _ = write!(
            text,
            "var sums = array<{ty}, {}>({});\nfor (var i = 0u; i < min({rows}u, {m} - r); i++) {{\n\
             for (var j = 0u; j < {cols}u && c + j < {n}; j++) {}}}\n",
            rows * quads,
            sums.join(", "),
            self.store(names, matrices, target, ["(r + i)", "(c + j)", &value])
        );
        let lane = if together { "@builtin(subgroup_invocation_id) lane: u32, " } else { "" };
        matrices.functions() + &by_group(across * down, lane, &text)
    }

    /// Blocks of both matrices in the group's memory, and a square of outputs in each thread's registers.
    fn tiles<M: Matrices>(&self, names: &Names, matrices: &M, target: Place, tile: Tile) -> String {
        let Tile { side, depth, own, ahead } = tile;
        let (threads, line, quads, pitch) = (tile.threads(), side / own, own / 4, tile.pitch());
        let Names { m, n, .. } = names;
        let ty = format!("vec4<{}>", type_text(self.num));
        let mut text = self.block(names, side, side);
        text += &self.part(names, matrices);
        let Reads { lines, fetch, put } = self.reads(names, matrices, tile);
        text += &lines;
        let _ = writeln!(text, "let tx = t % {line}u;\nlet ty = t / {line}u;");
        for (i, j) in each(own, quads) {
            let _ = writeln!(text, "var sum{i}_{j} = {ty}();");
        }
        // Where a block is read from, and what is done before and after it is.
        let (from, before, after) = match ahead {
            false => ("", format!("{{\nlet to = q;\n{fetch}{put}}}\nworkgroupBarrier();\n"), String::new()),
            true => {
                let _ = write!(
                    text,
                    "var half = 0u;\n{{\nlet to = k0;\nlet into = half;\n{fetch}{put}}}\nworkgroupBarrier();\n"
                );
                let fetch = format!("let to = q + {depth}u;\n{fetch}");
                ("half + ", fetch, format!("let into = {}u - half;\n{put}half = into;\n", depth * pitch))
            }
        };
        let _ = write!(
            text,
            "for (var q = k0; q < k1; q += {depth}u) {{\n{before}for (var d = 0u; d < {depth}u; d++) {{\n"
        );
        for j in 0..quads {
            let _ = writeln!(text, "let u{j} = ta[{from}d * {pitch}u + {}u + ty];", j * line);
            let _ = writeln!(text, "let v{j} = tb[{from}d * {pitch}u + {}u + tx];", j * line);
        }
        for (i, j) in each(own, quads) {
            let _ = writeln!(text, "sum{i}_{j} += u{}[{}] * v{j};", i / 4, i % 4);
        }
        let _ = write!(text, "}}\n{after}workgroupBarrier();\n}}\n");
        for i in 0..own {
            let _ = writeln!(text, "{{\nlet r = gr + {}u + ty * 4u;\nif (r < {m}) {{", i / 4 * line * 4 + i % 4);
            for j in 0..own {
                let _ = write!(
                    text,
                    "{{\nlet c = gc + {}u + tx * 4u;\nif (c < {n}) {}}}\n",
                    j / 4 * line * 4 + j % 4,
                    self.store(names, matrices, target, ["r", "c", &format!("sum{i}_{}[{}]", j / 4, j % 4)])
                );
            }
            text += "}\n}\n";
        }
        let size = depth * pitch * (1 + usize::from(ahead));
        format!(
            "{}var<workgroup> ta: array<{ty}, {size}>;\nvar<workgroup> tb: array<{ty}, {size}>;\n{}",
            matrices.functions(),
            by_group(threads, "", &text)
        )
    }

    /// How a thread of [`Run::tiles`] brings its share of both blocks into the group's memory.
    fn reads<M: Matrices>(&self, names: &Names, matrices: &M, tile: Tile) -> Reads {
        let Tile { side, depth, ahead, .. } = tile;
        let (threads, pitch, one) = (tile.threads(), tile.pitch(), type_text(self.num));
        let into = if ahead { "into + " } else { "" };
        let mut reads = Reads::default();
        for (array, inner_first) in self.inner_first.into_iter().enumerate() {
            let (name, corner, size) = [("a", "gr", &names.m), ("b", "gc", &names.n)][array];
            let quad = matrices.quads()[array];
            let (width, ty) = if quad { (4, format!("vec4<{one}>")) } else { (1, one.to_owned()) };
            // Threads side by side read what lies side by side.
            let across = if inner_first { depth / width } else { side / width };
            for j in 0..side * depth / width / threads {
                let along = format!("(t % {across}u * {width}u)");
                let down = format!("(t / {across}u + {}u)", j * threads / across);
                let (at, k, last) = if inner_first { (down, along, 1) } else { (along, down, width) };
                let tag = if inner_first { format!("_{j}") } else { "_0".to_owned() };
                if inner_first || j == 0 {
                    let line = format!("min({corner} + {at}, {size} - {last}u)");
                    reads.lines += &if array == 0 { matrices.row(&line, &tag) } else { matrices.col(&line, &tag) };
                }
                let value = if array == 0 { matrices.a(&tag) } else { matrices.b(&tag) };
                let _ = write!(
                    reads.fetch,
                    "var f{name}{j} = {ty}();\nif (to + {k} < k1) {{\n{}f{name}{j} = {value};\n}}\n",
                    matrices.inner(&format!("(to + {k})"))
                );
                let cell = |i: usize| format!("t{name}[{into}({k} + {i}u) * {pitch}u + {at} / 4u]");
                match (quad, inner_first) {
                    (false, _) => {
                        let _ = writeln!(reads.put, "{}[{at} % 4u] = f{name}{j};", cell(0));
                    }
                    (true, true) => {
                        for i in 0..4 {
                            let _ = writeln!(reads.put, "{}[{at} % 4u] = f{name}{j}[{i}];", cell(i));
                        }
                    }
                    (true, false) => {
                        let _ = writeln!(reads.put, "{} = f{name}{j};", cell(0));
                    }
                }
            }
        }
        reads
    }
}

/// Statements of one thread: what its elements' lines share; which brings elements of the blocks from the inner position
/// `to` on into variables; and from these into the group's memory.
#[derive(Default)]
struct Reads {
    lines: String,
    fetch: String,
    put: String,
}

/// All pairs of numbers below these.
pub(crate) fn each(rows: usize, cols: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..rows).flat_map(move |i| (0..cols).map(move |j| (i, j)))
}

/// `main` of groups with number `g`, whose threads have number `t`; `more` are other arguments.
pub(crate) fn by_group(threads: usize, more: &str, body: &str) -> String {
    format!(
        "@compute @workgroup_size({threads})\nfn main(@builtin(workgroup_id) group: vec3<u32>, {more}\
         @builtin(local_invocation_index) t: u32, @builtin(num_workgroups) groups: vec3<u32>) {{\n\
         let g = group.y * groups.x + group.x;\n{body}}}\n"
    )
}

fn plus(num: Num, a: &str, b: &str) -> String {
    Row::Add.wgsl(num, &[a, b])
}

fn times(num: Num, a: &str, b: &str) -> String {
    Row::Mul.wgsl(num, &[a, b])
}

/// `out = Σ sums (+ out)` over the parts.
#[allow(clippy::too_many_arguments)]
fn join(
    context: &'static Context,
    num: Num,
    sums: &Buffer,
    dtype: DType,
    parts: usize,
    outputs: usize,
    accumulate: bool,
    out: (&Buffer, usize, DType),
) -> Result<()> {
    let mut call = Call::new(context, "join");
    let target = call.scatter(out.0, out.2)?;
    let source = call.read(sums, dtype)?;
    call.key.variant.extend([num as u32, u32::from(accumulate)]);
    let (count, parts, start) = (call.size(outputs)?, call.size(parts)?, call.size(out.1)?);
    let groups = call.threads(outputs)?;
    call.run(groups, || {
        let first = if accumulate { target.load("cell", num) } else { format!("{}()", type_text(num)) };
        let body = format!(
            "let cell = {start} + i;\nvar sum = {first};\nfor (var s = 0u; s < {parts}; s++) {{\nsum = {};\n}}\n{}",
            plus(num, "sum", &source.load(&format!("(s * {count} + i)"), num)),
            target.store("cell", "sum", num)
        );
        entry(&count, &body)
    })
}

/// Zeros where nothing is summed.
pub(crate) fn nothing(context: &'static Context, accumulate: bool, out: &ViewMut<'_, Buffer>) -> Result<()> {
    if accumulate {
        return Ok(());
    }
    // SAFETY: the caller's view, under the same promise.
    let out = unsafe { ViewMut::new(out.buffer(), out.layout(), out.dtype()) };
    elementwise::fill(context, Scalar::Int(0), out)
}

/// The elements of an array in row-major order, and where they begin: itself, or a copy.
pub(crate) fn dense(context: &'static Context, x: View<'_, Buffer>) -> Result<(Buffer, usize)> {
    if x.layout.is_contiguous() {
        return Ok((x.buffer.clone(), x.layout.offset()));
    }
    let layout = Layout::contiguous(x.layout.shape());
    let copy = Buffer(context.allocate(layout.numel() * x.dtype.size())?);
    // SAFETY: fresh.
    elementwise::copy(context, x, unsafe { ViewMut::new(&copy, &layout, x.dtype) })?;
    Ok((copy, 0))
}
