//! Products by cooperative matrices, which cards have units for (NVIDIA's tensor cores, Apple's simdgroup matrices): a
//! subgroup multiplies small squares at once. Only asked for, since wgpu calls them experimental; only of float16, which
//! is multiplied exactly and summed in float32, as by the other kernels, but in the units' own order and rounding.

use crate::product::{by_group, each, Matrices, Names, Run};
use crate::shader::Place;
use crate::tiling::Sizes;
use std::fmt::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use wengert_ops::{DType, Error, Result};
use wgpu::{CooperativeScalarType, Features};

static ON: AtomicBool = AtomicBool::new(false);

/// What a device is opened with for them.
pub(crate) const FEATURES: Features =
    Features::EXPERIMENTAL_COOPERATIVE_MATRIX.union(Features::SHADER_F16).union(Features::SUBGROUP);

/// Whether float16 products use cooperative matrices where a device has them.
pub fn cooperative_matrices() -> bool {
    ON.load(Ordering::Relaxed)
}

/// Sets whether float16 products use cooperative matrices where a device has them.
///
/// # Errors
/// They are asked for when a device that has them is open already: it was opened without.
pub fn set_cooperative_matrices(on: bool) -> Result<()> {
    let open = crate::context::locked(&crate::context::OPEN);
    let late = |c: &&&crate::context::Context| c.info.cooperative && c.cooperative.is_none();
    if let Some(context) = open.iter().flatten().find(late).filter(|_| on) {
        return Err(Error::runtime(format!(
            "gpu:{} ('{}') was opened without cooperative matrices: ask for them before the first tensor on a GPU",
            context.index, context.info.name
        )));
    }
    ON.store(on, Ordering::Relaxed);
    Ok(())
}

/// Squares of a device, and the threads that multiply them together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Cooperative {
    pub size: usize,
    pub lanes: usize,
}

/// Subgroups of a group along each side of its block, and squares of each of them.
const SUBGROUPS: usize = 2;
const SQUARES: usize = 2;

impl Cooperative {
    /// What an adapter with these features has of use: squares of f16 that are summed in f32, and subgroups of one size.
    pub fn of(adapter: &wgpu::Adapter, features: Features) -> Option<Cooperative> {
        let info = adapter.get_info();
        if !features.contains(FEATURES) || info.subgroup_min_size != info.subgroup_max_size {
            return None;
        }
        let usable = |size: &u32| {
            adapter.cooperative_matrix_properties().iter().any(|p| {
                [p.m_size, p.n_size, p.k_size] == [*size; 3]
                    && p.ab_type == CooperativeScalarType::F16
                    && p.cr_type == CooperativeScalarType::F32
            })
        };
        let size = [16, 8].into_iter().find(usable)? as usize;
        let found = Cooperative { size, lanes: info.subgroup_min_size as usize };
        let limits = adapter.limits();
        let most = limits.max_compute_invocations_per_workgroup.min(limits.max_compute_workgroup_size_x) as usize;
        let fits = found.threads() <= most && found.bytes() <= limits.max_compute_workgroup_storage_size as usize;
        let shared = found.lanes > 0 && (found.side() * found.depth()).is_multiple_of(found.threads());
        (fits && shared).then_some(found)
    }

    /// Whether a product fills squares.
    pub fn suits(self, dtype: DType, sizes: &Sizes) -> bool {
        dtype == DType::F16 && sizes.m.min(sizes.n) >= self.size && sizes.k >= self.size
    }

    /// Rows and columns of a group.
    pub fn side(self) -> usize {
        SUBGROUPS * SQUARES * self.size
    }

    pub fn count(self, sizes: &Sizes) -> usize {
        sizes.batch * sizes.m.div_ceil(self.side()) * sizes.n.div_ceil(self.side())
    }

    /// Inner positions in the group's memory.
    fn depth(self) -> usize {
        2 * self.size
    }

    fn threads(self) -> usize {
        SUBGROUPS * SUBGROUPS * self.lanes
    }

    /// Elements from line to line of the blocks: beyond what they have, so that lines begin in different banks, and on
    /// 16 bytes, as loads of squares must.
    fn pitches(self) -> [usize; 2] {
        [self.depth() + 8, self.side() + 8]
    }

    /// Elements of both blocks.
    fn elements(self) -> [usize; 2] {
        let [a, b] = self.pitches();
        [self.side() * a, self.depth() * b]
    }

    /// Of the group's memory.
    fn bytes(self) -> usize {
        let [a, b] = self.elements();
        2 * (a + b) + 4 * SUBGROUPS * SUBGROUPS * self.size * self.size
    }
}

impl Run {
    /// Blocks of both matrices in the group's memory, and some squares of outputs for each subgroup.
    pub fn cooperative<M: Matrices>(&self, names: &Names, matrices: &M, target: Place, with: Cooperative) -> String {
        let Cooperative { size, .. } = with;
        let (side, depth, own, cells) = (with.side(), with.depth(), SQUARES * size, size * size);
        let ([pa, pb], [first, second]) = (with.pitches(), with.elements());
        let Names { m, n, .. } = names;
        let ty = |scalar: &str, role: char| format!("coop_mat{size}x{size}<{scalar}, {role}>");
        let mut text = self.block(names, side, side);
        text += &self.part(names, matrices);
        let (lines, fetch, put) = self.halves(names, matrices, with);
        text += &lines;
        let _ =
            writeln!(text, "let top = subgroup / {SUBGROUPS}u * {own}u;\nlet left = subgroup % {SUBGROUPS}u * {own}u;");
        for (i, j) in each(SQUARES, SQUARES) {
            let _ = writeln!(text, "var sum{i}_{j} = {}();", ty("f32", 'C'));
        }
        let _ = write!(text, "for (var q = k0; q < k1; q += {depth}u) {{\n{{\n{fetch}{put}}}\nworkgroupBarrier();\n");
        for d in (0..depth).step_by(size) {
            text += "{\n";
            for i in 0..SQUARES {
                let at = format!("(top + {}u) * {pa}u + {d}u", i * size);
                let _ = writeln!(text, "let u{i} = coopLoadT<{}>(&block[{at}], {pa}u);", ty("f16", 'A'));
                let at = format!("{}u + left", first + d * pb + i * size);
                let _ = writeln!(text, "let v{i} = coopLoadT<{}>(&block[{at}], {pb}u);", ty("f16", 'B'));
            }
            for (i, j) in each(SQUARES, SQUARES) {
                let _ = writeln!(text, "sum{i}_{j} = coopMultiplyAdd(u{i}, v{j}, sum{i}_{j});");
            }
            text += "}\n";
        }
        text += "workgroupBarrier();\n}\n";
        // A square of each subgroup at a time goes through memory, from which any thread writes.
        for (i, j) in each(SQUARES, SQUARES) {
            let _ = write!(
                text,
                "coopStoreT(sum{i}_{j}, &sums[subgroup * {cells}u], {size}u);\nworkgroupBarrier();\n\
                 for (var e = t; e < {}u; e += {}u) {{\nlet s = e / {cells}u;\n\
                 let r = gr + s / {SUBGROUPS}u * {own}u + {}u + e % {cells}u / {size}u;\n\
                 let c = gc + s % {SUBGROUPS}u * {own}u + {}u + e % {size}u;\n\
                 if (r < {m} && c < {n}) {}}}\nworkgroupBarrier();\n",
                SUBGROUPS * SUBGROUPS * cells,
                with.threads(),
                i * size,
                j * size,
                self.store(names, matrices, target, ["r", "c", "sums[e]"])
            );
        }
        format!(
            "{}var<workgroup> block: array<f16, {}>;\nvar<workgroup> sums: array<f32, {}>;\n{}",
            matrices.functions(),
            first + second,
            SUBGROUPS * SUBGROUPS * cells,
            by_group(with.threads(), "@builtin(subgroup_id) subgroup: u32, ", &text)
        )
    }

    /// How a thread brings its share of both blocks into the group's memory: what its elements' lines have in common, what
    /// reads them from the inner position `q` on, and what writes them.
    fn halves<M: Matrices>(&self, names: &Names, matrices: &M, with: Cooperative) -> (String, String, String) {
        let (side, depth, threads) = (with.side(), with.depth(), with.threads());
        let ([pa, pb], [first, _]) = (with.pitches(), with.elements());
        let (mut lines, mut fetch, mut put) = (String::new(), String::new(), String::new());
        for (array, inner_first) in self.inner_first.into_iter().enumerate() {
            let (name, corner, size) = [("a", "gr", &names.m), ("b", "gc", &names.n)][array];
            for j in 0..side * depth / threads {
                let tag = format!("_{name}{j}");
                // Threads side by side read what lies side by side.
                let across = if inner_first { depth } else { side };
                let (along, down) = (format!("e{tag} % {across}u"), format!("e{tag} / {across}u"));
                let (at, k) = if inner_first { (down, along) } else { (along, down) };
                let _ = writeln!(lines, "let e{tag} = t + {}u;\nlet at{tag} = {at};\nlet k{tag} = {k};", j * threads);
                // Lines beyond the end repeat the last one, and are not written.
                let line = format!("min({corner} + at{tag}, {size} - 1u)");
                lines += &if array == 0 { matrices.row(&line, &tag) } else { matrices.col(&line, &tag) };
                let value = if array == 0 { matrices.a(&tag) } else { matrices.b(&tag) };
                let _ = write!(
                    fetch,
                    "var f{tag} = f16();\nif (q + k{tag} < k1) {{\n{}f{tag} = f16({value});\n}}\n",
                    matrices.inner(&format!("(q + k{tag})"))
                );
                let cell = match array {
                    0 => format!("at{tag} * {pa}u + k{tag}"),
                    _ => format!("{first}u + k{tag} * {pb}u + at{tag}"),
                };
                let _ = writeln!(put, "block[{cell}] = f{tag};");
            }
        }
        (lines, fetch, put)
    }
}
