//! Softmax and its logarithm along one dim, shifted by the maximum so that nothing overflows.

use super::{output, packed, share, In, Lines, Out};
use crate::context::Context;
use crate::shader::Call;
use wengert_ops::layout::numel;
use wengert_ops::Result;

/// `(outer, n, inner)` around a dim of a shape; rank 0 counts as one row of one element.
fn split(shape: &[usize], dim: usize) -> (usize, usize, usize) {
    if shape.is_empty() {
        return (1, 1, 1);
    }
    (numel(&shape[..dim]), shape[dim], numel(&shape[dim + 1..]))
}

/// `y = softmax(x)` or `log_softmax(x)` along `dim`.
pub(super) fn forward(context: &'static Context, dim: usize, log: bool, x: In<'_>, y: &Out<'_>) -> Result<()> {
    if x.layout.numel() == 0 {
        return Ok(());
    }
    let (outer, n, inside) = split(x.layout.shape(), dim);
    let lines = outer * inside;
    let (x, y) = (packed(context, x)?, output(y, x.layout.numel())?);
    let mut call = Call::new(context, "softmax");
    call.key.variant.push(log as u32);
    let share = share(context, lines, n, inside);
    let over = Lines::new(&mut call, share, lines, n, inside)?;
    let (x, y) = (over.read(&mut call, &x)?, over.write(&mut call, &y)?);
    let groups = share.groups(&call, lines)?;
    call.run(groups, || {
        let value = x.load();
        let power = format!("exp_falling_f32({value} - top)");
        let (before, result) = match log {
            true => ("let shift = log_total_f32(total);\n", format!("{value} - top - shift")),
            false => ("", format!("{power} / total")),
        };
        over.kernel(&format!(
            "var high = lowest_f32();\n{}let top = across_max(high, t);\n{}{before}{}",
            over.each(&format!("let x = {value};\nhigh = select(high, x, x > high);\n")),
            over.sum("total", &power),
            over.each(&y.store(&format!("({result})"))),
        ))
    })
}

/// `gx` from `g` and the op's value `y`: `y (g − Σ g y)`, or `g − exp(y) Σ g` for the logarithm.
pub(super) fn backward(
    context: &'static Context,
    dim: usize,
    log: bool,
    g: In<'_>,
    y: In<'_>,
    gx: &Out<'_>,
) -> Result<()> {
    if y.layout.numel() == 0 {
        return Ok(());
    }
    let (outer, n, inside) = split(y.layout.shape(), dim);
    let lines = outer * inside;
    let (g, y, gx) = (packed(context, g)?, packed(context, y)?, output(gx, y.layout.numel())?);
    let mut call = Call::new(context, "softmax_vjp");
    call.key.variant.push(log as u32);
    let share = share(context, lines, n, inside);
    let over = Lines::new(&mut call, share, lines, n, inside)?;
    let gx = over.write(&mut call, &gx)?;
    let (g, y) = (over.read(&mut call, &g)?, over.read(&mut call, &y)?);
    let groups = share.groups(&call, lines)?;
    call.run(groups, || {
        let (g, y) = (g.load(), y.load());
        let (term, result) = match log {
            true => (g.clone(), format!("({g} - exp_falling_f32({y}) * total)")),
            false => (format!("{g} * {y}"), format!("({y} * ({g} - total))")),
        };
        over.kernel(&format!("{}{}", over.sum("total", &term), over.each(&gx.store(&result))))
    })
}
