//! Expressions as WGSL text, in any type that shaders compute in.
//!
//! What WGSL has no exact operator for is a function of the shaders' library, named like the row and the type:
//! `tanh_f32`, `add_i64`.

use super::expr::{Expr, Node};
use super::registry::Row;

/// A type that a shader computes in.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Wgsl {
    F32,
    F64,
    I32,
    /// A `vec2<u32>` of low and high word: few adapters have 64-bit integers.
    I64,
}

impl Wgsl {
    /// The ending of the library's functions in this type.
    pub fn suffix(self) -> &'static str {
        match self {
            Wgsl::F32 => "f32",
            Wgsl::F64 => "f64",
            Wgsl::I32 => "i32",
            Wgsl::I64 => "i64",
        }
    }

    fn is_float(self) -> bool {
        matches!(self, Wgsl::F32 | Wgsl::F64)
    }

    /// A constant of the table in this type.
    pub fn literal(self, value: f64) -> String {
        match self {
            Wgsl::I32 => format!("({}i)", value as i32),
            Wgsl::I64 => {
                let bits = value as i64;
                format!("vec2<u32>({}u, {}u)", bits as u32, (bits >> 32) as u32)
            }
            _ if value.is_nan() => format!("nan_{}()", self.suffix()),
            _ if value.is_infinite() && value > 0.0 => format!("inf_{}()", self.suffix()),
            _ if value.is_infinite() => format!("(-inf_{}())", self.suffix()),
            Wgsl::F32 => format!("({:?}f)", value as f32),
            Wgsl::F64 => format!("({value:?}lf)"),
        }
    }

    /// The operator that is a row in this type, if one is exact.
    fn infix(self, row: Row) -> Option<&'static str> {
        Some(match row {
            Row::BitwiseAnd => "&",
            Row::BitwiseOr => "|",
            Row::BitwiseXor => "^",
            _ if self == Wgsl::I64 => return None,
            Row::Add => "+",
            Row::Sub => "-",
            Row::Mul => "*",
            Row::Div if self.is_float() => "/",
            Row::Eq => "==",
            Row::Lt => "<",
            Row::Le => "<=",
            Row::Gt => ">",
            Row::Ge => ">=",
            // Of floats, NaN differs from everything: drivers are not agreed on that.
            Row::Ne if !self.is_float() => "!=",
            _ => return None,
        })
    }
}

impl Expr {
    /// The text of a value, or of a truth value where the expression is one ([`Expr::is_mask`]), with these texts for the
    /// inputs and the row's value.
    ///
    /// ```
    /// use wengert_ops::rows::Wgsl;
    /// let tanh = wengert_ops::Row::Tanh.expr();
    /// assert_eq!(tanh.value.wgsl(Wgsl::F32, &["x"], ""), "tanh_f32(x)");
    /// assert_eq!(tanh.partials[0].wgsl(Wgsl::F32, &["x"], "y"), "((1.0f) - (y * y))");
    /// ```
    pub fn wgsl(self, ty: Wgsl, args: &[&str], y: &str) -> String {
        let (row, inputs) = match self.node() {
            Node::Arg(i) => return args.get(*i as usize).copied().unwrap_or("").to_owned(),
            Node::Y => return y.to_owned(),
            Node::Const(c) => return ty.literal(*c),
            Node::Call(row, inputs) => (*row, inputs),
        };
        let truth = |i: usize| inputs[i].wgsl_truth(ty, args, y);
        match row {
            // WGSL's `select` takes the choice last, and the value for false first.
            Row::Where => {
                return format!(
                    "select({}, {}, {})",
                    inputs[2].wgsl(ty, args, y),
                    inputs[1].wgsl(ty, args, y),
                    truth(0)
                )
            }
            Row::LogicalAnd => return format!("({} && {})", truth(0), truth(1)),
            Row::LogicalOr => return format!("({} || {})", truth(0), truth(1)),
            Row::LogicalXor => return format!("({} != {})", truth(0), truth(1)),
            Row::LogicalNot => return format!("(!{})", truth(0)),
            _ => {}
        }
        let texts: Vec<String> = inputs.iter().map(|e| e.wgsl(ty, args, y)).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        // Drivers take x · 0 to be 0, of NaN too.
        if row == Row::Mul && ty.is_float() && matches!(inputs[1].node(), Node::Const(0.0)) {
            return format!("nought_{}({})", ty.suffix(), texts[0]);
        }
        match row {
            row if ty.infix(row).is_some() => row.wgsl(ty, &texts),
            Row::Neg if ty != Wgsl::I64 => format!("(-{})", texts[0]),
            Row::BitwiseNot => format!("(~{})", texts[0]),
            Row::Ne => format!("(!{})", Row::Eq.wgsl(ty, &texts)),
            row if row.is_primitive() => row.wgsl(ty, &texts),
            row => row.expr().value.wgsl(ty, &texts, ""),
        }
    }

    /// The text as WGSL's `bool`: numbers are compared with zero.
    pub fn wgsl_truth(self, ty: Wgsl, args: &[&str], y: &str) -> String {
        let text = self.wgsl(ty, args, y);
        if self.is_mask() {
            text
        } else {
            format!("(!{})", Row::Eq.wgsl(ty, &[&text, &ty.literal(0.0)]))
        }
    }
}

impl Row {
    /// The text of this row itself, of texts of type `ty`: an operator, or a call of the library.
    ///
    /// ```
    /// use wengert_ops::{rows::Wgsl, Row};
    /// assert_eq!(Row::Add.wgsl(Wgsl::F32, &["a", "b"]), "(a + b)");
    /// assert_eq!(Row::Add.wgsl(Wgsl::I64, &["a", "b"]), "add_i64(a, b)");
    /// ```
    pub fn wgsl(self, ty: Wgsl, operands: &[&str]) -> String {
        match ty.infix(self) {
            Some(operator) => format!("({} {operator} {})", operands[0], operands[1]),
            None => format!("{}_{}({})", self.name(), ty.suffix(), operands.join(", ")),
        }
    }
}
