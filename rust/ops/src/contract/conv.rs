//! Operands of a convolution and of its two transposes.

use crate::backend::{View, ViewMut};
use crate::error::Result;
use crate::fail;
use crate::layout::numel;
use crate::op::{ConvRole, ConvSpec};

/// Sizes with the spatial dims brought to three; the added ones have size 1.
#[derive(Clone, Copy, Debug)]
pub struct ConvGeometry {
    pub batch: usize,
    pub groups: usize,
    /// Input channels of one group.
    pub c: usize,
    /// Output channels of one group.
    pub o: usize,
    pub input: [usize; 3],
    pub kernel: [usize; 3],
    pub output: [usize; 3],
    pub stride: [usize; 3],
    pub padding: [usize; 3],
    pub dilation: [usize; 3],
}

impl ConvGeometry {
    /// The geometry of a call of [`Backend::conv`](crate::Backend::conv), whose operands must fit it.
    pub fn of<B>(
        role: ConvRole,
        spec: &ConvSpec,
        a: &View<'_, B>,
        b: &View<'_, B>,
        out: &ViewMut<'_, B>,
    ) -> Result<ConvGeometry> {
        let geometry = ConvGeometry::new(spec)?;
        let (x, w, y) = geometry.numels();
        let wanted = match role {
            ConvRole::Forward => [x, w, y],
            ConvRole::Input => [y, w, x],
            ConvRole::Weight => [y, x, w],
        };
        if [a.layout.numel(), b.layout.numel(), out.layout().numel()] != wanted
            || a.dtype != b.dtype
            || a.dtype != out.dtype()
        {
            fail!(
                internal,
                "conv: kernel called with {} {:?} and {} {:?} into {:?} for {role:?} of {spec:?}",
                a.dtype,
                a.layout.shape(),
                b.dtype,
                b.layout.shape(),
                out.layout().shape()
            );
        }
        Ok(geometry)
    }

    fn new(spec: &ConvSpec) -> Result<ConvGeometry> {
        let (d, x, w) = (spec.stride.len(), &spec.x_shape[..], &spec.w_shape[..]);
        let ranks = (1..=3).contains(&d)
            && x.len() == d + 2
            && w.len() == d + 2
            && spec.padding.len() == d
            && spec.dilation.len() == d;
        if !ranks
            || spec.groups == 0
            || x[1] != w[1] * spec.groups
            || w[0] % spec.groups != 0
            || spec.stride.iter().chain(&spec.dilation).any(|&n| n == 0)
        {
            fail!(
                runtime,
                "conv: input {x:?} and weight {w:?} do not fit {} groups, stride {:?}, padding {:?}, dilation {:?}",
                spec.groups,
                spec.stride,
                spec.padding,
                spec.dilation
            );
        }
        let lift = |values: &[usize], fill: usize| -> [usize; 3] {
            std::array::from_fn(|i| if i + d < 3 { fill } else { values[i + d - 3] })
        };
        let (input, kernel) = (lift(&x[2..], 1), lift(&w[2..], 1));
        let (stride, padding, dilation) = (lift(&spec.stride, 1), lift(&spec.padding, 0), lift(&spec.dilation, 1));
        let mut output = [0; 3];
        for i in 0..3 {
            let reach = dilation[i] * kernel[i].saturating_sub(1) + 1;
            match (input[i] + 2 * padding[i]).checked_sub(reach) {
                Some(room) => output[i] = room / stride[i] + 1,
                None => fail!(
                    runtime,
                    "conv: Calculated padded input size {} is smaller than the kernel's reach {reach} (input {x:?}, \
                     weight {w:?}): Kernel size can't be greater than actual input size",
                    input[i] + 2 * padding[i]
                ),
            }
        }
        let (groups, c, o) = (spec.groups, w[1], w[0] / spec.groups);
        Ok(ConvGeometry { batch: x[0], groups, c, o, input, kernel, output, stride, padding, dilation })
    }

    /// Elements of the input, the weight and the output.
    pub fn numels(&self) -> (usize, usize, usize) {
        let (x, k, y) = (self.plane(), self.taps(), self.points());
        let (c, o) = (self.groups * self.c, self.groups * self.o);
        (numel(&[self.batch, c, x]), numel(&[o, self.c, k]), numel(&[self.batch, o, y]))
    }
    /// Positions of an input channel.
    pub fn plane(&self) -> usize {
        numel(&self.input)
    }
    /// Positions of the kernel.
    pub fn taps(&self) -> usize {
        numel(&self.kernel)
    }
    /// Positions of an output channel.
    pub fn points(&self) -> usize {
        numel(&self.output)
    }
}
