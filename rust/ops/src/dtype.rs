//! Element types and the promotion lattice.
//!
//! The lattice is PyTorch's: bool < integers < floats by *category*, and inside a category the
//! wider type wins (`u8` with a signed type of the same width gives the next wider signed type,
//! `f16` with `bf16` gives `f32`).

use std::fmt;

/// The element type of a tensor.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
#[repr(u8)]
pub enum DType {
    Bool,
    U8,
    I8,
    I16,
    I32,
    I64,
    F16,
    BF16,
    F32,
    F64,
}

/// The coarse kind of a dtype; promotion between a tensor and a Python scalar looks only at it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, PartialOrd, Ord)]
pub enum Category {
    Bool,
    Int,
    Float,
}

/// The number type in which a kernel computes. Storage types are converted block by block.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Compute {
    I64,
    F32,
    F64,
}

impl DType {
    /// Every dtype, in promotion order.
    pub const ALL: [DType; 10] = [
        DType::Bool,
        DType::U8,
        DType::I8,
        DType::I16,
        DType::I32,
        DType::I64,
        DType::F16,
        DType::BF16,
        DType::F32,
        DType::F64,
    ];

    /// The dtype whose number (`dtype as u8`) this is; the last for numbers beyond.
    #[inline]
    pub const fn of(number: u8) -> DType {
        // A match, which the compiler sees to be no more than a bound: a table would be read.
        match number {
            0 => DType::Bool,
            1 => DType::U8,
            2 => DType::I8,
            3 => DType::I16,
            4 => DType::I32,
            5 => DType::I64,
            6 => DType::F16,
            7 => DType::BF16,
            8 => DType::F32,
            _ => DType::F64,
        }
    }

    /// Bytes per element.
    pub const fn size(self) -> usize {
        match self {
            DType::Bool | DType::U8 | DType::I8 => 1,
            DType::I16 | DType::F16 | DType::BF16 => 2,
            DType::I32 | DType::F32 => 4,
            DType::I64 | DType::F64 => 8,
        }
    }

    /// PyTorch's name of the dtype, without its module: `"float32"`.
    pub const fn name(self) -> &'static str {
        match self {
            DType::Bool => "bool",
            DType::U8 => "uint8",
            DType::I8 => "int8",
            DType::I16 => "int16",
            DType::I32 => "int32",
            DType::I64 => "int64",
            DType::F16 => "float16",
            DType::BF16 => "bfloat16",
            DType::F32 => "float32",
            DType::F64 => "float64",
        }
    }

    /// The name PyTorch's error messages use: `"Float"`, `"Long"`.
    pub const fn scalar_name(self) -> &'static str {
        match self {
            DType::Bool => "Bool",
            DType::U8 => "Byte",
            DType::I8 => "Char",
            DType::I16 => "Short",
            DType::I32 => "Int",
            DType::I64 => "Long",
            DType::F16 => "Half",
            DType::BF16 => "BFloat16",
            DType::F32 => "Float",
            DType::F64 => "Double",
        }
    }

    /// Bool, integer or float.
    pub const fn category(self) -> Category {
        match self {
            DType::Bool => Category::Bool,
            DType::U8 | DType::I8 | DType::I16 | DType::I32 | DType::I64 => Category::Int,
            _ => Category::Float,
        }
    }

    pub const fn is_float(self) -> bool {
        matches!(self.category(), Category::Float)
    }

    /// An integer type proper: `bool` is not one.
    pub const fn is_int(self) -> bool {
        matches!(self.category(), Category::Int)
    }

    pub const fn is_signed(self) -> bool {
        !matches!(self, DType::Bool | DType::U8)
    }

    /// The number type kernels compute in for this storage type.
    pub const fn compute(self) -> Compute {
        match self {
            DType::F16 | DType::BF16 | DType::F32 => Compute::F32,
            DType::F64 => Compute::F64,
            _ => Compute::I64,
        }
    }

    /// The smallest type both fit in, PyTorch's `promote_types`.
    ///
    /// ```
    /// use wengert_ops::DType::*;
    /// assert_eq!(U8.promote(I8), I16);
    /// assert_eq!(I64.promote(F16), F16);
    /// assert_eq!(F16.promote(BF16), F32);
    /// ```
    pub fn promote(self, other: DType) -> DType {
        use DType::*;
        if self == other {
            return self;
        }
        let (low, high) = if self < other { (self, other) } else { (other, self) };
        match (low, high) {
            (F16, BF16) => F32,
            (U8, I8) => I16,
            _ => high,
        }
    }

    /// Machine epsilon, smallest normal and largest value of a float type (`None` for others).
    pub fn finfo(self) -> Option<FInfo> {
        Some(match self {
            DType::F16 => FInfo { bits: 16, eps: 2f64.powi(-10), tiny: 2f64.powi(-14), max: 65504.0 },
            DType::BF16 => FInfo { bits: 16, eps: 2f64.powi(-7), tiny: 2f64.powi(-126), max: half::bf16::MAX.to_f64() },
            DType::F32 => {
                FInfo { bits: 32, eps: f32::EPSILON as f64, tiny: f32::MIN_POSITIVE as f64, max: f32::MAX as f64 }
            }
            DType::F64 => FInfo { bits: 64, eps: f64::EPSILON, tiny: f64::MIN_POSITIVE, max: f64::MAX },
            _ => return None,
        })
    }

    /// Smallest and largest value of an integer type or bool (`None` for floats).
    pub fn iinfo(self) -> Option<(i64, i64)> {
        Some(match self {
            DType::Bool => (0, 1),
            DType::U8 => (0, 255),
            DType::I8 => (-128, 127),
            DType::I16 => (i16::MIN as i64, i16::MAX as i64),
            DType::I32 => (i32::MIN as i64, i32::MAX as i64),
            DType::I64 => (i64::MIN, i64::MAX),
            _ => return None,
        })
    }
}

/// Limits of a floating-point type.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FInfo {
    pub bits: u32,
    pub eps: f64,
    pub tiny: f64,
    pub max: f64,
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("torch.")?;
        f.write_str(self.name())
    }
}

/// A scalar operand: it stands outside an op's structural identity.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scalar {
    Bool(bool),
    Int(i64),
    Float(f64),
}

impl Scalar {
    pub fn as_f64(self) -> f64 {
        match self {
            Scalar::Bool(b) => b as u8 as f64,
            Scalar::Int(i) => i as f64,
            Scalar::Float(f) => f,
        }
    }

    /// Truncates floats toward zero, saturating at the ends, as a C cast is meant to.
    pub fn as_i64(self) -> i64 {
        match self {
            Scalar::Bool(b) => b as i64,
            Scalar::Int(i) => i,
            Scalar::Float(f) => f as i64,
        }
    }

    pub fn as_bool(self) -> bool {
        match self {
            Scalar::Bool(b) => b,
            Scalar::Int(i) => i != 0,
            Scalar::Float(f) => f != 0.0,
        }
    }

    pub fn category(self) -> Category {
        match self {
            Scalar::Bool(_) => Category::Bool,
            Scalar::Int(_) => Category::Int,
            Scalar::Float(_) => Category::Float,
        }
    }

    /// The dtype a tensor made of this scalar alone gets.
    pub fn default_dtype(self, default_float: DType) -> DType {
        match self {
            Scalar::Bool(_) => DType::Bool,
            Scalar::Int(_) => DType::I64,
            Scalar::Float(_) => default_float,
        }
    }
}

impl From<f64> for Scalar {
    fn from(v: f64) -> Self {
        Scalar::Float(v)
    }
}
impl From<i64> for Scalar {
    fn from(v: i64) -> Self {
        Scalar::Int(v)
    }
}
impl From<bool> for Scalar {
    fn from(v: bool) -> Self {
        Scalar::Bool(v)
    }
}

/// PyTorch's promotion over three ranks: tensors with dimensions, 0-d tensors, Python scalars.
///
/// A lower rank changes the result only if its *category* is higher; a Python float among
/// integer tensors gives the default float type.
#[derive(Clone, Copy, Debug, Default)]
pub struct Promotion {
    dimmed: Option<DType>,
    zero_dim: Option<DType>,
    scalar: Option<DType>,
}

impl Promotion {
    pub fn tensor(&mut self, dtype: DType, rank: usize) {
        let slot = if rank > 0 { &mut self.dimmed } else { &mut self.zero_dim };
        *slot = Some(slot.map_or(dtype, |d| d.promote(dtype)));
    }

    pub fn scalar(&mut self, scalar: Scalar, default_float: DType) {
        let dtype = scalar.default_dtype(default_float);
        self.scalar = Some(self.scalar.map_or(dtype, |d| d.promote(dtype)));
    }

    /// The common type, `None` if nothing was added.
    pub fn result(self) -> Option<DType> {
        let combine = |high: Option<DType>, low: Option<DType>| match (high, low) {
            (Some(h), Some(l)) => Some(if l.category() > h.category() { h.promote(l) } else { h }),
            (h, l) => h.or(l),
        };
        combine(self.dimmed, combine(self.zero_dim, self.scalar))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_dtypes_are_one_to_one() {
        for (number, dtype) in DType::ALL.into_iter().enumerate() {
            assert!(dtype as usize == number && DType::of(number as u8) == dtype);
        }
    }

    #[test]
    fn promotion_is_commutative_and_associative_enough() {
        for a in DType::ALL {
            assert_eq!(a.promote(a), a);
            for b in DType::ALL {
                assert_eq!(a.promote(b), b.promote(a));
                assert!(a.promote(b).category() >= a.category());
            }
        }
    }

    #[test]
    fn ranks_matter_only_across_categories() {
        let mut p = Promotion::default();
        p.tensor(DType::F32, 1);
        p.tensor(DType::F64, 0);
        assert_eq!(p.result(), Some(DType::F32));
        let mut p = Promotion::default();
        p.tensor(DType::I32, 2);
        p.scalar(Scalar::Float(1.5), DType::F32);
        assert_eq!(p.result(), Some(DType::F32));
        let mut p = Promotion::default();
        p.tensor(DType::U8, 2);
        p.scalar(Scalar::Int(300), DType::F32);
        assert_eq!(p.result(), Some(DType::U8));
        let mut p = Promotion::default();
        p.tensor(DType::F16, 0);
        p.scalar(Scalar::Float(1.5), DType::F32);
        assert_eq!(p.result(), Some(DType::F16));
    }
}
