//! Negative log-likelihood of a softmax. The log-softmax is an output too: the gradient needs nothing else.

use super::{output, packed, softmax, In, Out, Packed};
use crate::context::Context;
use crate::fold::Share;
use crate::memory::Buffer;
use crate::shader::{entry, Call, Num, Place, THREADS};
use crate::stream::Task;
use wengert_ops::{contract, fail, DType, LossReduction, Result, Scalar};

/// Class numbers `[n]`, row-major, and what is ignored of them.
struct Targets {
    array: Packed,
    rows: usize,
    classes: usize,
    ignore: i64,
}

/// [`Targets`] in a kernel's text.
struct Bound {
    place: Place,
    at: String,
    ignore: String,
    classes: String,
}

impl Bound {
    /// Defines `label` of row `i`, and whether it `counts`.
    fn read(&self, i: &str) -> String {
        let label = self.place.load(&format!("({} + {i})", self.at), Num::I64);
        format!("let label = {label};\nlet counts = any(label != {});\n", self.ignore)
    }
}

impl Targets {
    fn new(context: &'static Context, targets: In<'_>, shape: &[usize], ignore: i64) -> Result<Targets> {
        let (rows, classes) = contract::targets(shape, &targets)?;
        Ok(Targets { array: packed(context, targets)?, rows, classes, ignore })
    }

    fn bind(&self, call: &mut Call) -> Result<Bound> {
        Ok(Bound {
            place: call.read(&self.array.0, DType::I64)?,
            at: call.size(self.array.1)?,
            ignore: call.scalar(Num::I64, Scalar::Int(self.ignore)),
            classes: call.size(self.classes)?,
        })
    }

    /// Two words: what the first row whose target is no class lacks to 2³² − 1 (0: all are), and how many rows count.
    fn tally(&self, context: &'static Context) -> Result<Buffer> {
        let tally = Buffer(context.allocate(8)?);
        context.push(Task::Zero { block: tally.0.clone(), bytes: 8 })?;
        let mut call = Call::new(context, "tally");
        let words = call.atomic(&tally)?;
        let targets = self.bind(&mut call)?;
        let rows = call.size(self.rows)?;
        let groups = call.threads(self.rows)?;
        call.run(groups, || {
            let body = format!(
                "{}if (counts) {{\n{}if (label.y != 0u || label.x >= {}) {{\n{}}}\n}}\n",
                targets.read("i"),
                words.atomic("atomicAdd", "1u", "1u"),
                targets.classes,
                words.atomic("atomicMax", "0u", "0xffffffffu - i")
            );
            entry(&rows, &body)
        })?;
        Ok(tally)
    }

    /// How many rows count; an error where a target is no class. Waits for the device.
    fn checked(&self, context: &'static Context) -> Result<u32> {
        let mut words = [0u8; 8];
        context.download(&self.tally(context)?.0, 0, &mut words)?;
        let [lack, count] = [&words[..4], &words[4..]].map(|w| u32::from_ne_bytes([w[0], w[1], w[2], w[3]]));
        if lack > 0 {
            let mut target = [0u8; 8];
            context.download(&self.array.0 .0, (self.array.1 + (u32::MAX - lack) as usize) * 8, &mut target)?;
            fail!(index, "Target {} is out of bounds.", i64::from_ne_bytes(target));
        }
        Ok(count)
    }
}

/// Inputs logits `[n, c]` and targets `[n]`; outputs the loss (`[n]` or a scalar) and the log-softmax `[n, c]`.
pub(super) fn forward(
    context: &'static Context,
    reduction: LossReduction,
    ignore: i64,
    logits: In<'_>,
    targets: In<'_>,
    loss: &Out<'_>,
    saved: &Out<'_>,
) -> Result<()> {
    let targets = Targets::new(context, targets, logits.layout.shape(), ignore)?;
    let (rows, each) = (targets.rows, reduction == LossReduction::None);
    let to = (output(loss, if each { rows } else { 1 })?, output(saved, rows * targets.classes)?);
    let count = targets.checked(context)?;
    softmax::forward(context, 1, true, logits, saved)?;

    let mut call = Call::new(context, "nll");
    call.key.variant.push(each as u32);
    let (loss, loss_at) = (call.write(&to.0 .0, DType::F32)?, call.size(to.0 .1)?);
    let (saved, saved_at) = (call.read(&to.1 .0, DType::F32)?, call.size(to.1 .1)?);
    let targets = targets.bind(&mut call)?;
    let n = call.size(rows)?;
    let divisor = match (reduction, count) {
        // The mean of nothing.
        (LossReduction::Mean, 0) => f64::NAN,
        (LossReduction::Mean, _) => f64::from(count),
        _ => 1.0,
    };
    let divisor = call.scalar(Num::F32, Scalar::Float(divisor));
    let one = Share { lanes: THREADS, parts: 1 };
    let groups = if each { call.threads(rows)? } else { [1, 1, 1] };
    call.run(groups, || {
        let place = format!("({saved_at} + i * {} + label.x)", targets.classes);
        let term = format!(
            "{}var term = 0.0f;\nif (counts) {{\nterm = -{};\n}}\n",
            targets.read("i"),
            saved.load(&place, Num::F32)
        );
        if each {
            return entry(&n, &format!("{term}{}", loss.store(&format!("({loss_at} + i)"), "term", Num::F32)));
        }
        let body = format!(
            "var sum = 0.0f;\nvar i = lane;\nwhile (i < {n}) {{\nvar block = 0.0f;\n\
             for (var k = 0u; k < 32u && i < {n}; k++) {{\n{term}block += term;\ni += {THREADS}u;\n}}\nsum += block;\n}}\n\
             let total = across(sum, t);\nif (working && lane == 0u) {{\n{}}}\n",
            loss.store(&loss_at, &format!("(total / {divisor})"), Num::F32)
        );
        format!("{}{}", one.across("across", Num::F32, "a + b"), one.entry("1u", &body))
    })
}

/// `(softmax − onehot) · g`, divided by the count of valid targets for the mean.
pub(super) fn backward(
    context: &'static Context,
    reduction: LossReduction,
    ignore: i64,
    g: In<'_>,
    saved: In<'_>,
    targets: In<'_>,
    gx: &Out<'_>,
) -> Result<()> {
    let targets = Targets::new(context, targets, saved.layout.shape(), ignore)?;
    let numel = targets.rows * targets.classes;
    if numel == 0 {
        return Ok(());
    }
    let gx = output(gx, numel)?;
    let each = reduction == LossReduction::None;
    if g.layout.numel() != if each { targets.rows } else { 1 } {
        fail!(internal, "cross_entropy: {} incoming gradients for {} rows", g.layout.numel(), targets.rows);
    }
    let (g, saved) = (packed(context, g)?, packed(context, saved)?);
    // Targets were checked forwards; a wrong one matches no column here.
    let tally = if reduction == LossReduction::Mean { Some(targets.tally(context)?) } else { None };
    let mut call = Call::new(context, "nll_vjp");
    call.key.variant.extend_from_slice(&[each as u32, tally.is_some() as u32]);
    let (gx, gx_at) = (call.write(&gx.0, DType::F32)?, call.size(gx.1)?);
    let (g, g_at) = (call.read(&g.0, DType::F32)?, call.size(g.1)?);
    let (saved, saved_at) = (call.read(&saved.0, DType::F32)?, call.size(saved.1)?);
    let tally = tally.map(|tally| call.read(&tally, DType::I32)).transpose()?;
    let targets = targets.bind(&mut call)?;
    let count = call.size(numel)?;
    let groups = call.threads(numel)?;
    call.run(groups, || {
        let g = g.load(&if each { format!("({g_at} + row)") } else { g_at }, Num::F32);
        let weight = tally.map_or(String::new(), |t| format!(" * (1.0f / f32(max({}, 1u)))", t.bits("1u")));
        let body = format!(
            "let row = i / {c};\nlet column = i - row * {c};\n{}var y = 0.0f;\nif (counts) {{\n\
             y = exp_falling_f32({});\ny -= select(0.0f, 1.0f, label.y == 0u && label.x == column);\n\
             y *= {g}{weight};\n}}\n{}",
            targets.read("row"),
            saved.load(&format!("({saved_at} + i)"), Num::F32),
            gx.store(&format!("({gx_at} + i)"), "y", Num::F32),
            c = targets.classes,
        );
        entry(&count, &body)
    })
}
