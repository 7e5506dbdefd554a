//! Python numbers on their way into a dtype.

use crate::dtype::{DType, Scalar};
use crate::error::Result;
use crate::fail;

/// Refuses a number that `dtype` cannot hold. As in PyTorch, a fraction is cut off, infinities and NaN
/// are fine in floats, everything is in bool, and a small negative *integer* wraps in an unsigned type.
///
/// ```
/// use wengert_ops::{infer::check_number, DType, Scalar};
/// assert!(check_number("full", Scalar::Int(-1), DType::U8).is_ok());
/// assert!(check_number("full", Scalar::Float(-1.0), DType::U8).is_err());
/// assert!(check_number("full", Scalar::Float(1e300), DType::F64).is_ok());
/// assert!(check_number("full", Scalar::Float(1e300), DType::F32).is_err());
/// ```
pub fn check_number(op: &str, value: Scalar, dtype: DType) -> Result<()> {
    let fits = match (dtype.iinfo(), dtype.finfo()) {
        _ if dtype == DType::Bool => true,
        (Some((low, high)), _) => match value {
            Scalar::Bool(_) => true,
            Scalar::Int(i) => i <= high && i >= if dtype.is_signed() { low } else { -high },
            // The upper end rounds for int64, to the first number that is too large.
            Scalar::Float(f) => f >= low as f64 && f < high as f64 + 1.0,
        },
        (_, Some(limits)) => {
            let f = value.as_f64();
            f.abs() <= limits.max || matches!(value, Scalar::Float(f) if !f.is_finite())
        }
        (None, None) => true,
    };
    if !fits {
        let shown = match value {
            Scalar::Float(f) => f.to_string(),
            other => other.as_i64().to_string(),
        };
        fail!(
            runtime,
            "{op}: value cannot be converted to type {dtype} without overflow, got {shown}; give a number that {dtype} \
             holds, or another dtype"
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::testing::refuses;
    use super::*;
    use crate::error::ErrorKind::Runtime;

    #[test]
    fn what_fits() {
        let fits = |v: Scalar, d| check_number("full", v, d).is_ok();
        for (value, dtype, expected) in [
            (Scalar::Int(255), DType::U8, true),
            (Scalar::Int(256), DType::U8, false),
            (Scalar::Int(-255), DType::U8, true),
            (Scalar::Int(-256), DType::U8, false),
            (Scalar::Int(-129), DType::I8, false),
            (Scalar::Int(i64::MIN), DType::I64, true),
            (Scalar::Int(70_000), DType::F16, false),
            (Scalar::Int(i64::MAX), DType::BF16, true),
            (Scalar::Float(127.0), DType::I8, true),
            (Scalar::Float(127.9), DType::I8, true),
            (Scalar::Float(128.0), DType::I8, false),
            (Scalar::Float(-128.1), DType::I8, false),
            (Scalar::Float(9223372036854775808.0), DType::I64, false),
            (Scalar::Float(-9223372036854775808.0), DType::I64, true),
            (Scalar::Float(1e19), DType::I64, false),
            (Scalar::Float(f64::NAN), DType::I64, false),
            (Scalar::Float(f64::NAN), DType::F16, true),
            (Scalar::Float(f64::NEG_INFINITY), DType::F16, true),
            (Scalar::Float(65505.0), DType::F16, false),
            (Scalar::Float(f64::INFINITY), DType::Bool, true),
            (Scalar::Bool(true), DType::U8, true),
        ] {
            assert_eq!(fits(value, dtype), expected, "{value:?} in {dtype}");
        }
        refuses(check_number("full", Scalar::Int(300), DType::U8), Runtime, "got 300; give a number that torch.uint8");
    }
}
