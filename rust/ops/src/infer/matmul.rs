//! Matrix products: PyTorch's `matmul` over vectors, matrices and batches.

use super::{exactly, list, one, times};
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::fail;
use crate::layout::{broadcast_shapes, checked_numel, Dims};
use crate::op::Meta;
use smallvec::SmallVec;

/// How `matmul` of two shapes runs as one batched product.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MatmulShapes {
    /// `a` is a vector: unsqueeze it at 0, and drop dim −2 of the product.
    pub a_is_vector: bool,
    /// `b` is a vector: unsqueeze it at 1, and drop dim −1 of the product.
    pub b_is_vector: bool,
    /// The broadcast batch dims.
    pub batch: Dims,
    pub m: usize,
    pub k: usize,
    pub n: usize,
    /// The result's shape, vector dims dropped.
    pub out: Dims,
}

impl MatmulShapes {
    /// The shape of the batched product itself, `batch + [m, n]`.
    pub fn product(&self) -> Dims {
        let mut shape = self.batch.clone();
        shape.extend([self.m, self.n]);
        shape
    }
}

/// PyTorch's `matmul` over shapes of any rank ≥ 1.
///
/// ```
/// use wengert_ops::infer::matmul_shapes;
/// let s = matmul_shapes("matmul", &[4], &[5, 4, 3]).unwrap();
/// assert!(s.a_is_vector && &s.out[..] == [5, 3]);
/// let e = matmul_shapes("mm", &[2, 3], &[4, 5]).unwrap_err();
/// assert!(e.message().starts_with("mm: mat1 and mat2 shapes cannot be multiplied (2x3 and 4x5)"));
/// ```
pub fn matmul_shapes(op: &str, a: &[usize], b: &[usize]) -> Result<MatmulShapes> {
    let (a_lead, m, k) = match a {
        [] => return Err(scalars(op, a, b)),
        &[k] => (&a[..0], 1, k),
        [lead @ .., m, k] => (lead, *m, *k),
    };
    let (b_lead, kb, n) = match b {
        [] => return Err(scalars(op, a, b)),
        &[k] => (&b[..0], k, 1),
        [lead @ .., k, n] => (lead, *k, *n),
    };
    let (a_is_vector, b_is_vector) = (a.len() == 1, b.len() == 1);
    if k != kb {
        return Err(inner(op, a, b));
    }
    let batch = batch_shape(op, a_lead, b_lead)?;
    let mut out = batch.clone();
    if !a_is_vector {
        out.push(m);
    }
    if !b_is_vector {
        out.push(n);
    }
    checked_numel(op, &out)?;
    Ok(MatmulShapes { a_is_vector, b_is_vector, batch, m, k, n, out })
}

/// The batch dims two batched operands share.
pub fn batch_shape(op: &str, a: &[usize], b: &[usize]) -> Result<Dims> {
    broadcast_shapes(op, &[a, b])
}

fn scalars(op: &str, a: &[usize], b: &[usize]) -> Error {
    Error::runtime(format!(
        "both arguments to {op} need to be at least 1D, but they are {}D and {}D; multiply scalars with *",
        a.len(),
        b.len()
    ))
}

/// PyTorch words a mismatch of the inner sizes by the kernel it would have called.
fn inner(op: &str, a: &[usize], b: &[usize]) -> Error {
    let hint = "the last size of the first must equal the second to last of the second";
    Error::runtime(match (a, b) {
        ([n], [m]) => format!(
            "{op}: inconsistent tensor size, expected tensor {a:?} and src {b:?} to have the same number of elements, \
             but got {n} and {m} elements respectively"
        ),
        ([rows @ .., k], [m]) => {
            let rows = fold(rows);
            format!(
                "{op}: size mismatch, got input ({rows}), mat ({rows}x{k}), vec ({m}); the last sizes must be equal"
            )
        }
        ([lead @ .., k], [rows, n]) => {
            let mat1 = times(&[fold(lead), *k]);
            format!("{op}: mat1 and mat2 shapes cannot be multiplied ({mat1} and {rows}x{n}); {hint}")
        }
        (_, [.., rows, n]) => {
            let k = a.last().copied().unwrap_or(1);
            let m = if a.len() > 1 { a[a.len() - 2] } else { 1 };
            let batch = fold(&b[..b.len() - 2]);
            format!(
                "{op}: Expected size for first two dimensions of batch2 tensor to be: [{batch}, {k}] but got: \
                 [{batch}, {rows}]. (mat1 and mat2 shapes cannot be multiplied: {} and {}, {m}x{k} and {rows}x{n} \
                 within a batch); {hint}",
                list(a),
                list(b),
            )
        }
        (a, b) => format!("{op}: shapes {} and {} cannot be multiplied", list(a), list(b)),
    })
}

/// The product of sizes for a message, where an overflow does not matter.
fn fold(sizes: &[usize]) -> usize {
    sizes.iter().fold(1, |n, &s| n.saturating_mul(s))
}

/// Products do not promote: both operands must have one dtype.
pub fn check_same_dtype(op: &str, a: DType, b: DType) -> Result<()> {
    if a != b {
        fail!(
            runtime,
            "{op}: expected m1 and m2 to have the same dtype, but got: {} != {}; cast one of them with .to()",
            c_name(a),
            c_name(b)
        );
    }
    Ok(())
}

/// The C++ name that PyTorch's matrix errors use.
fn c_name(dtype: DType) -> &'static str {
    match dtype {
        DType::Bool => "bool",
        DType::U8 => "unsigned char",
        DType::I8 => "signed char",
        DType::I16 => "short",
        DType::I32 => "int",
        DType::I64 => "long",
        DType::F16 => "c10::Half",
        DType::BF16 => "c10::BFloat16",
        DType::F32 => "float",
        DType::F64 => "double",
    }
}

pub(super) fn matmul(inputs: &[Meta]) -> Result<SmallVec<[Meta; 2]>> {
    let [a, b] = exactly("matmul", inputs)?;
    if a.shape.len() < 2 || b.shape.len() < 2 {
        fail!(
            runtime,
            "matmul: the primitive multiplies matrices, but got shapes {:?} and {:?}; unsqueeze vectors first",
            a.shape,
            b.shape
        );
    }
    check_same_dtype("matmul", a.dtype, b.dtype)?;
    // PyTorch looks for a kernel only where something is multiplied.
    if a.dtype == DType::Bool && !a.shape.contains(&0) && !b.shape.contains(&0) {
        fail!(
            not_implemented,
            "\"addmm_impl_cpu_\" not implemented for 'Bool'; cast the operands first, as in x.long()"
        );
    }
    one(matmul_shapes("matmul", &a.shape, &b.shape)?.out, a.dtype)
}

#[cfg(test)]
mod tests {
    use super::super::infer;
    use super::super::testing::*;
    use super::*;
    use crate::error::ErrorKind::*;
    use crate::op::Op;

    #[test]
    fn documented_examples() {
        // The six examples of torch.matmul's documentation.
        for (a, b, out) in [
            (&[3][..], &[3][..], &[][..]),
            (&[3, 4], &[4], &[3]),
            (&[10, 3, 4], &[4], &[10, 3]),
            (&[10, 3, 4], &[10, 4, 5], &[10, 3, 5]),
            (&[10, 3, 4], &[4, 5], &[10, 3, 5]),
            (&[10, 1, 3, 4], &[2, 4, 5], &[10, 2, 3, 5]),
            (&[4], &[4, 5], &[5]),
            (&[0], &[0], &[]),
            (&[2, 0], &[0, 3], &[2, 3]),
        ] {
            assert_eq!(&matmul_shapes("matmul", a, b).unwrap().out[..], out, "{a:?} @ {b:?}");
        }
    }

    #[test]
    fn mismatches_in_torchs_words() {
        let says = |a: &[usize], b: &[usize], words| refuses(matmul_shapes("matmul", a, b), Runtime, words);
        says(&[2, 3], &[4, 5], "mat1 and mat2 shapes cannot be multiplied (2x3 and 4x5)");
        says(&[3], &[4, 5], "mat1 and mat2 shapes cannot be multiplied (1x3 and 4x5)");
        says(&[2, 2, 3], &[4, 5], "mat1 and mat2 shapes cannot be multiplied (4x3 and 4x5)");
        says(&[3], &[4], "inconsistent tensor size, expected tensor [3] and src [4]");
        says(&[2, 3], &[4], "size mismatch, got input (2), mat (2x3), vec (4)");
        says(&[2, 4, 5], &[3], "size mismatch, got input (8), mat (8x5), vec (3)");
        says(&[], &[4, 5], "both arguments to matmul need to be at least 1D, but they are 0D and 2D");
        says(&[2, 2, 3], &[2, 4, 5], "batch2 tensor to be: [2, 3] but got: [2, 4].");
        says(&[2, 2, 3], &[3, 3, 5], "The size of tensor a (2) must match the size of tensor b (3)");
        says(&[usize::MAX, 1], &[1, usize::MAX], "overflows");
    }

    #[test]
    fn dtypes_must_agree() {
        let b = Meta::new(&[3, 5], DType::F64);
        refuses(infer(&Op::Matmul, &[f32s(&[2, 3]), b]), Runtime, "but got: float != double");
        refuses(infer(&Op::Matmul, &[f32s(&[3]), f32s(&[3])]), Runtime, "unsqueeze");
        let bools = |shape: &[usize]| Meta::new(shape, DType::Bool);
        refuses(infer(&Op::Matmul, &[bools(&[2, 3]), bools(&[3, 2])]), NotImplemented, "'Bool'");
        assert_eq!(infer(&Op::Matmul, &[bools(&[2, 0]), bools(&[0, 3])]).unwrap()[..], [bools(&[2, 3])]);
    }
}
