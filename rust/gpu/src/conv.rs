//! Convolution and its two transposes, as products whose second matrix is gathered from windows while it is read.
//!
//! In all three roles an inner position and a column are each a channel or example (`high`) and a position in up to
//! three spatial dims; both positions together say where in the gathered array the element lies, or that it lies in
//! the padding. The kernels are those of matrix products. Positions that no window reaches count as products with zero:
//! of a weight that is infinite or NaN, [`ConvRole::Input`] gives NaN there, where the CPU skips it.

use crate::backend::Gpu;
use crate::context::Context;
use crate::memory::Buffer;
use crate::product::{dense, multiply, nothing, Matrices};
use crate::shader::{own_num, type_text, Call, Num, Place};
use crate::tiling::{Sizes, Way};
use std::fmt::Write;
use wengert_ops::contract::ConvGeometry;
use wengert_ops::layout::numel;
use wengert_ops::{fail, ConvRole, ConvSpec, DType, Error, Result, View, ViewMut};

type In<'a> = View<'a, Buffer>;
type Out<'a> = ViewMut<'a, Buffer>;

impl Gpu {
    /// As [`conv`](wengert_ops::Backend::conv), by a kernel that the caller chooses: for tests and measurements.
    #[doc(hidden)]
    pub fn conv_by(&self, way: Way, role: ConvRole, spec: &ConvSpec, a: In<'_>, b: In<'_>, out: Out<'_>) -> Result<()> {
        convolve(self.0, Some(way), role, spec, a, b, out)
    }
}

/// The role's map, as [`Backend::conv`](wengert_ops::Backend::conv).
pub(crate) fn conv(
    context: &'static Context,
    role: ConvRole,
    spec: &ConvSpec,
    a: In<'_>,
    b: In<'_>,
    out: Out<'_>,
) -> Result<()> {
    convolve(context, None, role, spec, a, b, out)
}

fn convolve(
    context: &'static Context,
    way: Option<Way>,
    role: ConvRole,
    spec: &ConvSpec,
    a: In<'_>,
    b: In<'_>,
    out: Out<'_>,
) -> Result<()> {
    let geometry = ConvGeometry::of(role, spec, &a, &b, &out)?;
    if !out.layout().is_contiguous() {
        fail!(internal, "conv: output {:?} must be contiguous", out.layout());
    }
    if out.layout().numel() == 0 {
        return Ok(());
    }
    if a.layout.numel() == 0 || b.layout.numel() == 0 {
        return nothing(context, false, &out);
    }
    // The gathered array is read where the window lies; the other one as a matrix.
    let (matrix, gathered) = match role {
        ConvRole::Forward => (b, a),
        ConvRole::Input => (b, a),
        ConvRole::Weight => (a, b),
    };
    let num = own_num(a.dtype);
    let (first, second) = (dense(context, matrix)?, dense(context, gathered)?);
    let (sizes, mut words) = parameters(&geometry, role)?;
    words.push(word(first.1)?);
    words.push(word(second.1)?);
    let bytes: Vec<u8> = words.iter().flat_map(|w| w.to_ne_bytes()).collect();
    let parameters = Buffer(context.allocate(bytes.len())?);
    context.upload(&bytes, parameters.0.clone())?;
    let divided = role == ConvRole::Input && geometry.stride != [1; 3];
    let inner_first = [true, role == ConvRole::Weight];
    let target = (out.buffer(), out.layout().offset(), out.dtype());
    multiply(context, "conv", num, sizes, way, inner_first, false, target, |call: &mut Call, _| {
        let places =
            [call.read(&first.0, a.dtype)?, call.read(&second.0, a.dtype)?, call.read(&parameters, DType::I32)?];
        call.key.variant.push(u32::from(divided));
        Ok(Windows { num, places, divided })
    })
}

fn word(value: usize) -> Result<u32> {
    u32::try_from(value).map_err(|_| Error::runtime(format!("conv: {value} elements are too many for a GPU")))
}

/// The products' sizes, a group each, and the words that [`Windows`] names.
fn parameters(geometry: &ConvGeometry, role: ConvRole) -> Result<(Sizes, Vec<u32>)> {
    let ConvGeometry { batch, groups, c, o, input, kernel, output, stride, padding, dilation } = *geometry;
    let (plane, taps, points) = (geometry.plane(), geometry.taps(), geometry.points());
    let signed = |values: [usize; 3], sign: i64| values.map(|v| v as i64 * sign);
    // Steps of a group, and of a row, of an inner position's and of a column's high part.
    let x = (c * plane, plane, groups * c * plane);
    let y = (o * points, points, groups * o * points);
    let w = (o * c * taps, taps, c * taps);
    let (rows, inner, cols, spatial, steps, at) = match role {
        ConvRole::Forward => (
            o,
            c,
            batch,
            [output, kernel, input],
            [signed(stride, 1), signed(dilation, 1), signed(padding, -1)],
            [w.0, w.2, w.1, x.0, x.1, x.2, y.0, y.1, y.2],
        ),
        ConvRole::Input => (
            c,
            o,
            batch,
            [input, kernel, output],
            [[1; 3], signed(dilation, -1), signed(padding, 1)],
            [w.0, w.1, w.2, y.0, y.1, y.2, x.0, x.1, x.2],
        ),
        ConvRole::Weight => (
            o,
            batch,
            c,
            [kernel, output, input],
            [signed(dilation, 1), signed(stride, 1), signed(padding, -1)],
            [y.0, y.1, y.2, x.0, x.2, x.1, w.0, w.2, w.1],
        ),
    };
    let sizes = Sizes { batch: groups, m: rows, k: inner * numel(&spatial[1]), n: cols * numel(&spatial[0]) };
    let mut words = Vec::with_capacity(NAMES.len());
    for v in spatial.iter().flatten().chain(&at).chain(&stride) {
        words.push(word(*v)?);
    }
    for v in steps.iter().flatten() {
        let v = i32::try_from(*v).map_err(|_| Error::runtime(format!("conv: {v} is too far for a GPU")))?;
        words.push(v as u32);
    }
    let (x, w, y) = geometry.numels();
    word(x.max(w).max(y))?;
    Ok((sizes, words))
}

/// The parameters, in the order in which they lie in their buffer: sizes of the columns', the inner and the gathered
/// positions; steps in the matrix of groups, rows and the inner high part; in the gathered array of groups, the inner
/// and the columns' high part; in the output of groups, rows and the columns' high part; the stride that positions are
/// divided by; what a column's and an inner position's step move the window, and where it begins; where both arrays
/// begin.
const NAMES: [&str; 32] = [
    "cz", "cy", "cx", "kz", "ky", "kx", "lz", "ly", "lx", "ag", "ar", "ak", "bg", "bk", "bc", "og", "or", "oc", "dz",
    "dy", "dx", "mz", "my", "mx", "nz", "ny", "nx", "fz", "fy", "fx", "fa", "fb",
];

/// The texts of a role.
struct Windows {
    num: Num,
    places: [Place; 3],
    divided: bool,
}

impl Matrices for Windows {
    fn functions(&self) -> String {
        // Parameters are read once a thread; afterwards they are private variables, which live in registers.
        let mut text = String::new();
        for name in NAMES {
            let _ = writeln!(text, "var<private> {name}_: u32;");
        }
        for name in ["kh", "kz", "ky", "kx", "ka", "kb"] {
            let _ = writeln!(text, "var<private> {name}: u32;");
        }
        let ty = type_text(self.num);
        let _ = writeln!(text, "fn gathered(at: u32, z: u32, y: u32, x: u32) -> {ty} {{");
        let (mut whole, mut names) = (String::new(), ["z", "y", "x"]);
        if self.divided {
            // Only each stride-th position was reached; those before the first wrap around.
            for (n, name) in names.iter().enumerate() {
                let _ = writeln!(text, "let q{name} = {name} / d{name}_;");
                let _ = write!(whole, "{}{name} < 0x80000000u && q{name} * d{name}_ == {name}", ["", " && "][n.min(1)]);
            }
            whole += " && ";
            names = ["qz", "qy", "qx"];
        }
        let [z, y, x] = names;
        let _ = write!(
            text,
            "let inside = {whole}{z} < lz_ && {y} < ly_ && {x} < lx_;\n\
             let index = select(fb_, at + ({z} * ly_ + {y}) * lx_ + {x}, inside);\n\
             return select({ty}(), {}, inside);\n}}\n",
            self.places[1].load("index", self.num)
        );
        // Where the inner position's elements lie.
        text + "fn step() {\nka = kh * ak_ + (kz * ky_ + ky) * kx_ + kx;\nkb = kh * bk_;\n}\n"
    }
    fn batch(&self) -> String {
        let mut text = String::new();
        for (n, name) in NAMES.iter().enumerate() {
            let _ = writeln!(text, "{name}_ = {};", self.places[2].bits(&format!("{n}u")));
        }
        text
    }
    fn row(&self, r: &str, tag: &str) -> String {
        format!("let ra{tag} = fa_ + z * ag_ + {r} * ar_;\n")
    }
    fn col(&self, c: &str, tag: &str) -> String {
        format!(
            "let c{tag}_l = {c};\nlet cx{tag} = c{tag}_l % cx_ * mx_ + fx_;\nlet cy{tag} = c{tag}_l / cx_ % cy_ * my_ + fy_;\n\
             let cz{tag} = c{tag}_l / cx_ / cy_ % cz_ * mz_ + fz_;\n\
             let cb{tag} = fb_ + z * bg_ + c{tag}_l / cx_ / cy_ / cz_ * bc_;\n"
        )
    }
    fn inner(&self, k: &str) -> String {
        format!(
            "kx = {k} % kx_;\nky = {k} / kx_ % ky_;\nkz = {k} / kx_ / ky_ % kz_;\nkh = {k} / kx_ / ky_ / kz_;\nstep();\n"
        )
    }
    fn next(&self) -> String {
        "kx += 1u;\nif (kx == kx_) {\nkx = 0u;\nky += 1u;\nif (ky == ky_) {\nky = 0u;\nkz += 1u;\n\
         if (kz == kz_) {\nkz = 0u;\nkh += 1u;\n}\n}\n}\nstep();\n"
            .to_owned()
    }
    fn a(&self, row: &str) -> String {
        self.places[0].load(&format!("ra{row} + ka"), self.num)
    }
    fn b(&self, col: &str) -> String {
        format!("gathered(cb{col} + kb, cz{col} + kz * nz_, cy{col} + ky * ny_, cx{col} + kx * nx_)")
    }
    fn place(&self, _m: &str, _n: &str, row: &str, col: &str) -> String {
        format!("z * og_ + {row} * or_ + {col} / (cx_ * cy_ * cz_) * oc_ + {col} % (cx_ * cy_ * cz_)")
    }
}
