//! Max pooling over windows of the trailing dims: a thread for each window.

use crate::context::Context;
use crate::memory::Buffer;
use crate::product::dense;
use crate::shader::{entry, own_num, Call, Num};
use wengert_ops::layout::numel;
use wengert_ops::{contract, fail, DType, PoolSpec, Result, Row, View, ViewMut};

type In<'a> = View<'a, Buffer>;
type Out<'a> = ViewMut<'a, Buffer>;

/// Values and positions of the largest of each window, as [`Backend::max_pool`](wengert_ops::Backend::max_pool).
pub(crate) fn max_pool(
    context: &'static Context,
    spec: &PoolSpec,
    x: In<'_>,
    values: Out<'_>,
    indices: Out<'_>,
) -> Result<()> {
    contract::max_pool(spec, &x, &values, &indices)?;
    let (shape, out, d) = (x.layout.shape(), values.layout().shape(), spec.kernel.len());
    let count = values.layout().numel();
    if count == 0 {
        return Ok(());
    }
    let (input, output) = (&shape[shape.len() - d..], &out[shape.len() - d..]);
    if (0..d).any(|i| (0..output[i]).any(|o| contract::taps(spec, i, o, input[i]).1 == 0)) {
        return Err(contract::empty_window(spec, input, output));
    }
    if !values.layout().is_contiguous() || !indices.layout().is_contiguous() {
        fail!(internal, "max_pool: outputs must be contiguous");
    }
    if numel(&spec.kernel) > context.rounds() {
        fail!(
            runtime,
            "max_pool: windows of {} elements, and a thread of the software device gpu:{} ('{}') looks at {}; use device 'cpu'",
            numel(&spec.kernel),
            context.index,
            context.info.name,
            context.rounds()
        );
    }
    let num = own_num(x.dtype);
    let (x, offset) = dense(context, x)?;

    let mut call = Call::new(context, "max_pool");
    let target = call.scatter(values.buffer(), values.dtype())?;
    let positions = call.write(indices.buffer(), DType::I64)?;
    let source = call.read(&x, values.dtype())?;
    call.key.variant.push(d as u32);
    let total = call.size(count)?;
    let offset = call.size(offset)?;
    let starts = [call.size(values.layout().offset())?, call.size(indices.layout().offset())?];
    let mut dims = Vec::with_capacity(d);
    for i in 0..d {
        dims.push(Dim {
            input: call.size(input[i])?,
            output: call.size(output[i])?,
            kernel: call.size(spec.kernel[i])?,
            stride: call.size(spec.stride[i])?,
            padding: call.size(spec.padding[i])?,
            dilation: call.size(spec.dilation[i].max(1))?,
        });
    }
    let groups = call.threads(count)?;
    call.run(groups, || {
        // From the window's number its place, its first tap and the number of taps inside, innermost dim first.
        let mut text = "var rest = i;\n".to_owned();
        for (n, dim) in dims.iter().enumerate().rev() {
            let Dim { input, output, kernel, stride, padding, dilation } = dim;
            text += &format!(
                "let start{n} = i32(rest % {output} * {stride}) - i32({padding});\nrest = rest / {output};\n\
                 let skipped{n} = select(0u, (u32(-start{n}) + {dilation} - 1u) / {dilation}, start{n} < 0);\n\
                 let first{n} = u32(start{n} + i32(skipped{n} * {dilation}));\n\
                 let inside{n} = min(({input} - first{n} + {dilation} - 1u) / {dilation}, {kernel} - skipped{n});\n"
            );
        }
        text += &format!("var line = {offset} + rest");
        text += &dims.iter().map(|dim| format!(" * {}", dim.input)).collect::<String>();
        text += ";\nvar best = first0;\n";
        for (n, dim) in dims.iter().enumerate().skip(1) {
            text += &format!("best = best * {} + first{n};\n", dim.input);
        }
        text += &format!("var top = {};\n", source.load("line + best", num));
        for n in 0..d {
            text += &format!("for (var k{n} = 0u; k{n} < inside{n}; k{n}++) {{\n");
        }
        text += "var at = first0 + k0 * ";
        text += &dims[0].dilation;
        text += ";\n";
        for (n, dim) in dims.iter().enumerate().skip(1) {
            text += &format!("at = at * {} + first{n} + k{n} * {};\n", dim.input, dim.dilation);
        }
        let mut wins = Row::Gt.wgsl(num, &["v", "top"]);
        if matches!(num, Num::F32 | Num::F64) {
            wins = format!("{wins} || {}", Row::Isnan.wgsl(num, &["v"]));
        }
        text += &format!(
            "let v = {};\nif ({wins}) {{\ntop = v;\nbest = at;\n}}\n{}{}{}",
            source.load("line + at", num),
            "}\n".repeat(d),
            target.store(&format!("({} + i)", starts[0]), "top", num),
            positions.store(&format!("({} + i)", starts[1]), "vec2<u32>(best, 0u)", Num::I64)
        );
        entry(&total, &text)
    })
}

/// The parameters' names of one window dim.
struct Dim {
    input: String,
    output: String,
    kernel: String,
    stride: String,
    padding: String,
    dilation: String,
}
