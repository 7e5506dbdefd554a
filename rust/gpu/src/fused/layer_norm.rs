//! Normalisation over the trailing dims: y = (x − mean) · rstd with rstd = 1/√(variance + eps).

use super::{output, packed, share, In, Lines, Out};
use crate::context::Context;
use crate::elementwise::fill;
use crate::shader::{Call, Num};
use wengert_ops::layout::numel;
use wengert_ops::{DType, Result, Scalar, ViewMut};

/// Rows and row length when the last `dims` dims are normalised.
fn split(shape: &[usize], dims: usize) -> (usize, usize) {
    let lead = shape.len() - dims.min(shape.len());
    (numel(&shape[..lead]), numel(&shape[lead..]))
}

/// Input x; outputs y of its shape, and mean and rstd with one element a row.
pub(super) fn forward(
    context: &'static Context,
    dims: usize,
    eps: f64,
    x: In<'_>,
    y: &Out<'_>,
    mean: &Out<'_>,
    rstd: &Out<'_>,
) -> Result<()> {
    let (rows, n) = split(x.layout.shape(), dims);
    if rows == 0 {
        return Ok(());
    }
    let to = (output(y, rows * n)?, output(mean, rows)?, output(rstd, rows)?);
    if n == 0 {
        // The mean of nothing.
        for out in [mean, rstd] {
            // SAFETY: the caller's output, once more.
            let out = unsafe { ViewMut::new(out.buffer(), out.layout(), out.dtype()) };
            fill(context, Scalar::Float(f64::NAN), out)?;
        }
        return Ok(());
    }
    let x = packed(context, x)?;
    let mut call = Call::new(context, "layer_norm");
    let share = share(context, rows, n, 1);
    let over = Lines::new(&mut call, share, rows, n, 1)?;
    let y = over.write(&mut call, &to.0)?;
    let (mean, mean_at) = (call.write(&to.1 .0, DType::F32)?, call.size(to.1 .1)?);
    let (rstd, rstd_at) = (call.write(&to.2 .0, DType::F32)?, call.size(to.2 .1)?);
    let x = over.read(&mut call, &x)?;
    let eps = call.scalar(Num::F32, Scalar::Float(eps));
    let groups = share.groups(&call, rows)?;
    call.run(groups, || {
        let centred = format!("({} - mean)", x.load());
        over.kernel(&format!(
            "let size = f32({});\n{}let mean = total / size;\n{}\
             let rstd = 1.0f / sqrt(squares / size + {eps});\n{}if (working && lane == 0u) {{\n{}{}}}\n",
            over.n,
            over.sum("total", &x.load()),
            over.sum("squares", &format!("{centred} * {centred}")),
            over.each(&y.store(&format!("({centred} * rstd)"))),
            mean.store(&format!("({mean_at} + v)"), "mean", Num::F32),
            rstd.store(&format!("({rstd_at} + v)"), "rstd", Num::F32),
        ))
    })
}

/// `rstd (g − mean(g) − x̂ mean(g x̂))` with x̂ = (x − mean) rstd.
pub(super) fn backward(
    context: &'static Context,
    dims: usize,
    g: In<'_>,
    x: In<'_>,
    mean: In<'_>,
    rstd: In<'_>,
    gx: &Out<'_>,
) -> Result<()> {
    let (rows, n) = split(x.layout.shape(), dims);
    if rows * n == 0 {
        return Ok(());
    }
    let gx = output(gx, rows * n)?;
    let (g, x) = (packed(context, g)?, packed(context, x)?);
    let (mean, rstd) = (packed(context, mean)?, packed(context, rstd)?);
    let mut call = Call::new(context, "layer_norm_vjp");
    let share = share(context, rows, n, 1);
    let over = Lines::new(&mut call, share, rows, n, 1)?;
    let gx = over.write(&mut call, &gx)?;
    let (g, x) = (over.read(&mut call, &g)?, over.read(&mut call, &x)?);
    let (mean, mean_at) = (call.read(&mean.0, DType::F32)?, call.size(mean.1)?);
    let (rstd, rstd_at) = (call.read(&rstd.0, DType::F32)?, call.size(rstd.1)?);
    let groups = share.groups(&call, rows)?;
    call.run(groups, || {
        let (g, unit) = (g.load(), format!("(({} - mean) * rstd)", x.load()));
        over.kernel(&format!(
            "let size = f32({});\nvar mean = 0.0f;\nvar rstd = 0.0f;\nif (working) {{\nmean = {};\nrstd = {};\n}}\n{}{}{}",
            over.n,
            mean.load(&format!("({mean_at} + v)"), Num::F32),
            rstd.load(&format!("({rstd_at} + v)"), Num::F32),
            over.sum("total", &g),
            over.sum("slope", &format!("{g} * {unit}")),
            over.each(&gx.store(&format!("(rstd * ({g} - total / size - {unit} * (slope / size)))"))),
        ))
    })
}
