//! Gradients of rows: by themselves, added to what is there, or summed over the dims along which an operand was broadcast.

use super::exec::{run, Call};
use super::kernels::{Kernel, Lane};
use super::{arity, plan, short, Isa, SHORT};
use crate::buffer::Buffer;
use crate::nest::{self, GRAIN};
use crate::reduce::reduce;
use crate::threads::Failed;
use smallvec::SmallVec;
use std::ops::Range;
use wengert_ops::{
    contract, Compute, DType, Dims, Error, Layout, Operand, Reduction, Result, Row, Scalar, View, ViewMut,
};

/// `out = g * ∂row/∂inputs[which]` with the kernels of one instruction set, which this machine must have; see [`Pullback`].
#[allow(clippy::too_many_arguments)]
pub fn elementwise_vjp_with(
    isa: Isa,
    row: Row,
    which: usize,
    compute: Compute,
    inputs: &[Operand<'_, Buffer>],
    y: Operand<'_, Buffer>,
    g: Operand<'_, Buffer>,
    out: ViewMut<'_, Buffer>,
) -> Result<()> {
    Pullback { row, which, compute, inputs, y, g }.run(isa, &out, false)
}

/// What a gradient is computed from: `g * ∂row/∂inputs[which]`, where `y` is the row's value. Only what the partial reads
/// ([`Row::needs`]) is looked at.
#[derive(Clone, Copy)]
pub struct Pullback<'a> {
    pub row: Row,
    pub which: usize,
    pub compute: Compute,
    pub inputs: &'a [Operand<'a, Buffer>],
    pub y: Operand<'a, Buffer>,
    pub g: Operand<'a, Buffer>,
}

impl Pullback<'_> {
    /// Writes it to `out`.
    #[inline]
    pub fn write_to(&self, out: ViewMut<'_, Buffer>) -> Result<()> {
        self.run(Isa::current(), &out, false)
    }

    /// Adds it to `out`, which is row-major, of the type that is computed in, and shares no memory with the operands.
    pub fn add_to(&self, out: ViewMut<'_, Buffer>) -> Result<()> {
        if !out.layout().is_contiguous() || !self.is_own(out.dtype()) {
            return Err(Error::internal(format!("{}: a gradient is added to a dense one alone", self.row.name())));
        }
        self.run(Isa::current(), &out, true)
    }

    /// Whether elements of a type are computed as they are stored.
    fn is_own(&self, dtype: DType) -> bool {
        matches!((self.compute, dtype), (Compute::F32, DType::F32) | (Compute::F64, DType::F64))
    }

    fn run(&self, isa: Isa, out: &ViewMut<'_, Buffer>, added: bool) -> Result<()> {
        if self.inputs.len() != self.row.arity() || self.which >= self.inputs.len() {
            return Err(arity(self.row, self.inputs.len()));
        }
        match self.compute {
            Compute::F32 => self.run_in::<f32>(isa, out, added),
            Compute::F64 => self.run_in::<f64>(isa, out, added),
            Compute::I64 => Err(Error::internal(format!("{}: gradients are not integers", self.row.name()))),
        }
    }

    fn run_in<T: Lane>(&self, isa: Isa, out: &ViewMut<'_, Buffer>, added: bool) -> Result<()> {
        let (row, kernels) = (self.row, T::kernels(isa));
        let Some(&kernel) = kernels.vjps[row as usize].get(self.which) else {
            return Err(contract::no_derivative(row));
        };
        let needs = row.needs(self.which);
        let count = self.inputs.len();
        let operand = |k: usize| match self.inputs.get(k) {
            Some(input) => input,
            None if k == count => &self.y,
            None => &self.g,
        };
        let used = needs.inputs | (needs.output as u8) << count | 1 << (count + 1);
        // Blocks of many elements take the operands in a row.
        let whole = |call: Call<T>| {
            let mut operands = [self.g; plan::ARRAYS - 1];
            operands[..count].copy_from_slice(self.inputs);
            operands[count] = self.y;
            run(call, &operands[..count + 2], used, out);
        };
        // SAFETY: arguments are as long as the output; the kernel's instruction set is this machine's.
        let call = |args: &[&[T]], out: &mut [T]| unsafe { kernel(&args[..count], args[count], args[count + 1], out) };
        if !added {
            if out.dtype() != T::DTYPE || !short::<T, T>(count + 2, operand, used, out, call) {
                whole(Call::Vjp(kernel));
            }
            return Ok(());
        }
        let Kernel::Value { over: add, .. } = kernels.rows[Row::Add as usize] else {
            return Err(Error::internal("add has no kernel"));
        };
        let call = |args: &[&[T]], out: &mut [T]| {
            let mut products = [T::from_scalar(Scalar::Int(0)); SHORT];
            let products = &mut products[..out.len()];
            call(args, products);
            // SAFETY: as above.
            unsafe { add(&[products], out) };
        };
        if !short::<T, T>(count + 2, operand, used, out, call) {
            whole(Call::VjpAdded { vjp: kernel, add });
        }
        Ok(())
    }

    /// The sum over the dims of the mask into `out`: the gradient of an operand that was broadcast along them, without an
    /// array of all products. Operands and `g` have the shape `shape`, `out` the same with 1 for these dims, and it is
    /// row-major. False: not done, since the parts of the outermost dim are too large, or the type is another.
    pub fn sum_to(&self, shape: &[usize], dims: u64, out: ViewMut<'_, Buffer>) -> Result<bool> {
        let Some(axis) = shape.iter().position(|&n| n > 1) else { return Ok(false) };
        let each: usize = shape[axis + 1..].iter().product();
        if each == 0 || each >= GRAIN || !self.is_own(out.dtype()) || !out.layout().is_contiguous() {
            return Ok(false);
        }
        let (dtype, rows) = (out.dtype(), (CHUNK / each).max(1));
        let chunks = shape[axis].div_ceil(rows);
        // One sum for each chunk, unless chunks have places of their own.
        let mut sums_shape: Dims = out.layout().shape().into();
        sums_shape[axis] = chunks;
        let sums_layout = Layout::contiguous(&sums_shape);
        let sums = match dims >> axis & 1 {
            1 => Some(Buffer::new(sums_layout.numel() * dtype.size())?),
            _ => None,
        };
        let failed = Failed::default();
        nest::parallel(chunks, rows * each, |range| {
            let Some(products) = failed.keep(Buffer::new(rows * each * dtype.size())) else { return };
            for chunk in range {
                let part = chunk * rows..shape[axis].min((chunk + 1) * rows);
                let (buffer, to) = match &sums {
                    Some(sums) => (sums, cut(&sums_layout, axis, chunk..chunk + 1)),
                    None => (out.buffer(), cut(out.layout(), axis, part.clone())),
                };
                // SAFETY: each chunk has a part of the output, or of the sums, to itself.
                let to = unsafe { ViewMut::new(buffer, &to, dtype) };
                if failed.keep(self.sum_part(shape, axis, part, dims, &products, to)).is_none() {
                    return;
                }
            }
        });
        failed.result()?;
        if let Some(sums) = &sums {
            reduce(Reduction::Sum, View { buffer: sums, layout: &sums_layout, dtype }, 1 << axis, out)?;
        }
        Ok(true)
    }

    /// The same of a part of an axis, whose products have room in a buffer.
    fn sum_part(
        &self,
        shape: &[usize],
        axis: usize,
        part: Range<usize>,
        dims: u64,
        products: &Buffer,
        out: ViewMut<'_, Buffer>,
    ) -> Result<()> {
        let mut sizes: Dims = shape.into();
        sizes[axis] = part.len();
        let (layout, dtype) = (Layout::contiguous(&sizes), out.dtype());
        let all = self.inputs.iter().chain([&self.y, &self.g]);
        let layouts: SmallVec<[Option<Layout>; 6]> = all
            .clone()
            .map(|operand| match operand {
                Operand::Array(view) => Some(cut(view.layout, axis, part.clone())),
                Operand::Scalar(_) => None,
            })
            .collect();
        let operands: SmallVec<[Operand<'_, Buffer>; 6]> = all
            .zip(&layouts)
            .map(|(operand, layout)| match (operand, layout) {
                (Operand::Array(view), Some(layout)) => Operand::Array(View { layout, ..*view }),
                (other, _) => *other,
            })
            .collect();
        let count = self.inputs.len();
        let part = Pullback { inputs: &operands[..count], y: operands[count], g: operands[count + 1], ..*self };
        // SAFETY: the products are the caller's own.
        part.write_to(unsafe { ViewMut::new(products, &layout, dtype) })?;
        reduce(Reduction::Sum, View { buffer: products, layout: &layout, dtype }, dims, out)
    }
}

/// Elements whose products stay in the second cache until they are summed.
const CHUNK: usize = 1 << 14;

/// A part of a layout along an axis.
fn cut(layout: &Layout, axis: usize, part: Range<usize>) -> Layout {
    let mut shape: Dims = layout.shape().into();
    shape[axis] = part.len();
    let offset = layout.offset() as isize + part.start as isize * layout.strides()[axis];
    Layout::strided(shape, layout.strides().into(), offset as usize)
}
