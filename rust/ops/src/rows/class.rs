//! Dtype rules: in which type a row computes and what it gives.

use super::registry::Row;
use crate::dtype::DType;
use crate::error::Result;
use crate::fail;

/// How a row treats dtypes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Class {
    /// Integers and bool become the default float type.
    Float,
    /// Any dtype, kept.
    Arith,
    /// Any dtype to bool.
    Compare,
    /// Any dtype to bool, one input.
    Test,
    /// Truth of the inputs, to bool.
    Logic,
    /// Integers and bool, kept.
    Bit,
    /// A condition, and two values of one dtype, which is kept.
    Select,
}

/// What a row asks of its operands' dtypes beyond its class.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Demand {
    Any,
    /// No operand is bool.
    NoBool,
    /// All tensors have one dtype; a 0-d weight, the third operand, may have any.
    OneDtype,
    /// Of the operands after the first one is a float.
    FloatQuotient,
}

impl Demand {
    /// Checks the operands: the dtype of each, and whether it is 0-d or a number.
    ///
    /// ```
    /// use wengert_ops::{DType, Row};
    /// let demand = Row::Sub.info().demand;
    /// assert!(demand.check(Row::Sub, &[(DType::F32, false), (DType::F32, false)]).is_ok());
    /// assert!(demand.check(Row::Sub, &[(DType::F32, false), (DType::Bool, false)]).is_err());
    /// ```
    #[cold]
    pub fn check(self, row: Row, operands: &[(DType, bool)]) -> Result<()> {
        let Some(&(first, _)) = operands.first() else { return Ok(()) };
        match self {
            Demand::Any => Ok(()),
            Demand::NoBool if operands.iter().all(|o| o.0 == DType::Bool) => bool_arith(row),
            Demand::NoBool if operands.iter().any(|o| o.0 == DType::Bool) => fail!(
                not_implemented,
                "Subtraction, the `-` operator, with a bool tensor is not supported. \
                 If you are trying to invert a mask, use the `~` or `logical_not()` operator instead."
            ),
            Demand::FloatQuotient if operands.iter().skip(1).take(2).all(|o| !o.0.is_float()) => fail!(
                runtime,
                "Integer division with {} is no longer supported: tensor1 is {}, tensor2 {}; convert one of them to a float type",
                row.name(),
                operands.get(1).map_or(first, |o| o.0),
                operands.get(2).map_or(first, |o| o.0)
            ),
            Demand::OneDtype if row == Row::Lerp && !first.is_float() => refuse(row, first),
            Demand::OneDtype => match operands.iter().enumerate().find(|(i, o)| o.0 != first && !(*i == 2 && o.1)) {
                Some((i, o)) => fail!(
                    runtime,
                    "{} is not yet implemented for tensors with different dtypes: expected dtype {} for `{}` but got dtype {}",
                    row.name(),
                    first.scalar_name(),
                    row.info().args[i],
                    o.0.scalar_name()
                ),
                None => Ok(()),
            },
            _ => Ok(()),
        }
    }
}

#[allow(non_upper_case_globals)]
impl Class {
    // The table's words.
    pub(super) const float: Class = Class::Float;
    pub(super) const real: Class = Class::Float;
    pub(super) const arith: Class = Class::Arith;
    pub(super) const compare: Class = Class::Compare;
    pub(super) const test: Class = Class::Test;
    pub(super) const logic: Class = Class::Logic;
    pub(super) const bit: Class = Class::Bit;
    pub(super) const choice: Class = Class::Select;

    pub(super) const fn strict(word: &str) -> bool {
        matches!(word.as_bytes(), b"real")
    }

    /// The dtype to compute in and the dtype of the result, for inputs of the common type `promoted`
    /// (for [`Class::Select`] the common type of the two values, without the condition).
    ///
    /// ```
    /// use wengert_ops::{rows::Class, DType, Row};
    /// assert_eq!(Class::Float.result(DType::I32, DType::F32, Row::Sin).unwrap(), (DType::F32, DType::F32));
    /// assert_eq!(Class::Compare.result(DType::I32, DType::F32, Row::Lt).unwrap(), (DType::I32, DType::Bool));
    /// assert!(Class::Arith.result(DType::Bool, DType::F32, Row::Sub).is_err());
    /// ```
    pub fn result(self, promoted: DType, default_float: DType, row: Row) -> Result<(DType, DType)> {
        let same = (promoted, promoted);
        match self {
            Class::Float if promoted.is_float() => Ok(same),
            Class::Float if row.info().strict => refuse(row, promoted),
            Class::Float => Ok((default_float, default_float)),
            // A power with an integer exponent, and so an integer.
            Class::Arith if promoted == DType::Bool && row == Row::Square => Ok((DType::I64, DType::I64)),
            Class::Arith if promoted == DType::Bool => bool_arith(row).map(|()| same),
            Class::Arith | Class::Select => Ok(same),
            Class::Compare | Class::Test | Class::Logic => Ok((promoted, DType::Bool)),
            Class::Bit if promoted.is_float() => refuse(row, promoted),
            Class::Bit if promoted == DType::Bool && !bool_bits(row) => refuse(row, promoted),
            Class::Bit => Ok(same),
        }
    }
}

fn bool_bits(row: Row) -> bool {
    matches!(row, Row::BitwiseAnd | Row::BitwiseOr | Row::BitwiseXor | Row::BitwiseNot)
}

#[cold]
fn refuse<T>(row: Row, dtype: DType) -> Result<T> {
    fail!(
        not_implemented,
        "\"{0}_cpu\" not implemented for '{1}': {0} got {dtype} inputs; convert them first, for example with .to()",
        row.name(),
        dtype.scalar_name()
    )
}

fn bool_arith(row: Row) -> Result<()> {
    match row {
        Row::Sub | Row::Rsub => fail!(
            not_implemented,
            "Subtraction, the `-` operator, with two bool tensors is not supported. \
             Use the `^` or `logical_xor()` operator instead."
        ),
        Row::Neg => fail!(
            not_implemented,
            "Negation, the `-` operator, on a bool tensor is not supported. \
             If you are trying to invert a mask, use the `~` or `logical_not()` operator instead."
        ),
        Row::Positive => fail!(not_implemented, "The `+` operator, on a bool tensor is not supported."),
        Row::Relu => {
            fail!(not_implemented, "Boolean inputs not supported for relu; convert them first, for example to int64")
        }
        Row::Abs
        | Row::Floor
        | Row::Ceil
        | Row::Round
        | Row::Trunc
        | Row::Remainder
        | Row::Fmod
        | Row::FloorDivide
        | Row::TruncDivide
        | Row::Clamp
        | Row::ClampMin
        | Row::ClampMax
        | Row::ClampTensor
        | Row::Hardtanh
        | Row::Addcmul
        | Row::Pow
        | Row::Threshold => refuse(row, DType::Bool),
        _ => Ok(()),
    }
}
