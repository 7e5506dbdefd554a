//! Matrix products over batches, of any strides.

use crate::backend::Gpu;
use crate::context::Context;
use crate::elementwise::merged;
use crate::memory::Buffer;
use crate::product::{multiply, nothing, Matrices};
use crate::shader::{own_num, Call, Num, Place};
use crate::tiling::{Sizes, Way};
use smallvec::SmallVec;
use std::fmt::Write;
use std::sync::Arc;
use wengert_ops::{contract, DType, Layout, Result, View, ViewMut};

type In<'a> = View<'a, Buffer>;
type Out<'a> = ViewMut<'a, Buffer>;

/// More batch dimensions than this are walked through from the host.
const RANK: usize = 5;

impl Gpu {
    /// As [`matmul`](wengert_ops::Backend::matmul), by a kernel that the caller chooses: for tests and measurements.
    #[doc(hidden)]
    pub fn matmul_by(&self, way: Way, a: In<'_>, b: In<'_>, accumulate: bool, out: Out<'_>) -> Result<()> {
        product(self.0, Some(way), a, b, accumulate, out)
    }
}

/// `out = a @ b (+ out)`, as [`Backend::matmul`](wengert_ops::Backend::matmul).
pub(crate) fn matmul(context: &'static Context, a: In<'_>, b: In<'_>, accumulate: bool, out: Out<'_>) -> Result<()> {
    product(context, None, a, b, accumulate, out)
}

fn product(
    context: &'static Context,
    way: Option<Way>,
    a: In<'_>,
    b: In<'_>,
    accumulate: bool,
    out: Out<'_>,
) -> Result<()> {
    contract::matmul(&a, &b, &out)?;
    let (x, y, z) = (a.layout, b.layout, out.layout());
    if z.numel() == 0 {
        return Ok(());
    }
    if x.shape()[x.rank() - 1] == 0 {
        return nothing(context, accumulate, &out);
    }
    let plan = Plan::new(x, y);
    plan.run(context, way, a, b, accumulate, (out.buffer(), z.offset()))
}

/// Sizes and strides of a product over a batch.
struct Plan {
    m: usize,
    k: usize,
    n: usize,
    /// Offset, row stride, column stride.
    a: (usize, isize, isize),
    b: (usize, isize, isize),
    /// Sizes of the batch, and both matrices' strides.
    batch: SmallVec<[usize; 8]>,
    steps: [SmallVec<[isize; 8]>; 2],
}

impl Plan {
    fn new(a: &Layout, b: &Layout) -> Plan {
        let r = a.rank() - 2;
        let lead = |l: &Layout| {
            Layout::strided(SmallVec::from_slice(&l.shape()[..r]), SmallVec::from_slice(&l.strides()[..r]), 0)
        };
        // A line of one element has no stride that counts.
        let stride = |l: &Layout, d: usize| if l.shape()[d] == 1 { 0 } else { l.strides()[d] };
        let mut dims = merged(&a.shape()[..r], &[&lead(a), &lead(b)]);
        let steps = [std::mem::take(&mut dims.strides[0]), std::mem::take(&mut dims.strides[1])];
        let mut plan = Plan {
            m: a.shape()[r],
            k: a.shape()[r + 1],
            n: b.shape()[r + 1],
            a: (a.offset(), stride(a, r), stride(a, r + 1)),
            b: (b.offset(), stride(b, r), stride(b, r + 1)),
            batch: dims.sizes,
            steps,
        };
        plan.merge_rows();
        plan
    }

    /// A batch that shares b and whose a-rows follow one another is one taller product.
    fn merge_rows(&mut self) {
        if let (&[count], &[step], &[0]) = (&self.batch[..], &self.steps[0][..], &self.steps[1][..]) {
            let row = if self.m == 1 { step } else { self.a.1 };
            if row.checked_mul(self.m as isize) == Some(step) {
                self.a.1 = row;
                self.m *= count;
                self.batch.clear();
                self.steps = Default::default();
            }
        }
    }

    fn run(
        &self,
        context: &'static Context,
        way: Option<Way>,
        a: In<'_>,
        b: In<'_>,
        accumulate: bool,
        out: (&Buffer, usize),
    ) -> Result<()> {
        let Plan { m, k, n, .. } = *self;
        if self.batch.len() > RANK {
            let rest: usize = self.batch[1..].iter().product();
            for i in 0..self.batch[0] {
                let moved = |at: usize, step: isize| at.wrapping_add_signed(step.wrapping_mul(i as isize));
                let part = Plan {
                    a: (moved(self.a.0, self.steps[0][0]), self.a.1, self.a.2),
                    b: (moved(self.b.0, self.steps[1][0]), self.b.1, self.b.2),
                    batch: self.batch[1..].into(),
                    steps: [self.steps[0][1..].into(), self.steps[1][1..].into()],
                    ..*self
                };
                part.run(context, way, a, b, accumulate, (out.0, out.1 + i * rest * m * n))?;
            }
            return Ok(());
        }
        let num = own_num(a.dtype);
        let sizes = Sizes { batch: self.batch.iter().product(), m, k, n };
        let inner_first = [self.a.2 == 1, self.b.1 == 1];
        multiply(context, "matmul", num, sizes, way, inner_first, accumulate, (out.0, out.1, a.dtype), |call, quads| {
            self.bind(call, num, a, b, quads && a.dtype == DType::F32)
        })
    }

    /// Binds both matrices, by `quads` those whose elements lie by fours along the dimension that goes through memory.
    fn bind(&self, call: &mut Call, num: Num, a: In<'_>, b: In<'_>, quads: bool) -> Result<Strided> {
        let by_four = |(offset, row, col): (usize, isize, isize), array: usize, rows: usize, cols: usize| {
            let (length, other) = if col == 1 { (cols, row) } else { (rows, col) };
            let along = row == 1 || col == 1;
            let steps = self.steps[array].iter().all(|s| s % 4 == 0);
            quads && along && steps && offset % 4 == 0 && other % 4 == 0 && length % 4 == 0
        };
        let mut place = |x: In<'_>, by_four: bool| {
            let quads = if by_four { call.read_quads(x.buffer)? } else { None };
            quads.map_or_else(|| call.read(x.buffer, x.dtype), Ok)
        };
        // Two views of one buffer are read alike.
        let apart = !Arc::ptr_eq(&a.buffer.0, &b.buffer.0);
        let places = [
            place(a, apart && by_four(self.a, 0, self.m, self.k))?,
            place(b, apart && by_four(self.b, 1, self.k, self.n))?,
        ];
        let words = |call: &mut Call, at: (usize, isize, isize)| -> Result<[String; 3]> {
            Ok([call.size(at.0)?, step(call, at.1)?, step(call, at.2)?])
        };
        let (a, b) = (words(call, self.a)?, words(call, self.b)?);
        let mut batch = Vec::with_capacity(self.batch.len());
        for (d, &size) in self.batch.iter().enumerate() {
            batch.push([call.size(size)?, step(call, self.steps[0][d])?, step(call, self.steps[1][d])?]);
        }
        call.key.variant.push(batch.len() as u32);
        Ok(Strided { num, places, a, b, batch })
    }
}

/// A stride as a word that is added and multiplied modulo 2³².
fn step(call: &mut Call, stride: isize) -> Result<String> {
    Ok(format!("bitcast<u32>({})", call.stride(stride)?))
}

/// The parameters' names of a product: of both matrices offset, row stride and column stride, of each batch dimension
/// size and strides.
struct Strided {
    num: Num,
    places: [Place; 2],
    a: [String; 3],
    b: [String; 3],
    batch: Vec<[String; 3]>,
}

fn load(place: Place, index: &str, num: Num) -> String {
    match place.quads {
        true => place.load_quad(index),
        false => place.load(index, num),
    }
}

impl Matrices for Strided {
    fn batch(&self) -> String {
        let mut text = format!("var pa = {};\nvar pb = {};\nvar rest = z;\n", self.a[0], self.b[0]);
        for (d, [size, a, b]) in self.batch.iter().enumerate().rev() {
            let at = match d {
                0 => "rest".to_owned(),
                _ => format!("(rest % {size})"),
            };
            let _ = writeln!(text, "pa += {at} * {a};\npb += {at} * {b};");
            if d > 0 {
                let _ = writeln!(text, "rest = rest / {size};");
            }
        }
        text
    }
    fn row(&self, r: &str, tag: &str) -> String {
        format!("let ra{tag} = pa + {r} * {};\n", self.a[1])
    }
    fn col(&self, c: &str, tag: &str) -> String {
        format!("let cb{tag} = pb + {c} * {};\n", self.b[2])
    }
    fn inner(&self, k: &str) -> String {
        format!("var ka = {k} * {};\nvar kb = {k} * {};\n", self.a[2], self.b[1])
    }
    fn next(&self) -> String {
        format!("ka += {};\nkb += {};\n", self.a[2], self.b[1])
    }
    fn a(&self, row: &str) -> String {
        load(self.places[0], &format!("ra{row} + ka"), self.num)
    }
    fn b(&self, col: &str) -> String {
        load(self.places[1], &format!("cb{col} + kb"), self.num)
    }
    fn quads(&self) -> [bool; 2] {
        self.places.map(|p| p.quads)
    }
    fn place(&self, m: &str, n: &str, row: &str, col: &str) -> String {
        format!("(z * {m} + {row}) * {n} + {col}")
    }
}
