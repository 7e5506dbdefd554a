//! Expressions as WGSL text.

use super::expr::{Expr, Node};
use super::registry::Row;

/// How WGSL writes a row.
enum Form {
    Infix(&'static str),
    Prefix(&'static str),
    Builtin(&'static str),
    /// WGSL has no such builtin, or a poor one: the shader's prelude defines `wg_NAME`.
    Prelude,
    /// The table's own composition.
    Expand,
}

fn form(row: Row) -> Form {
    use Form::*;
    match row {
        Row::Add => Infix("+"),
        Row::Sub => Infix("-"),
        Row::Mul => Infix("*"),
        Row::Div => Infix("/"),
        Row::Fmod => Infix("%"),
        Row::Eq => Infix("=="),
        Row::Ne => Infix("!="),
        Row::Lt => Infix("<"),
        Row::Le => Infix("<="),
        Row::Gt => Infix(">"),
        Row::Ge => Infix(">="),
        Row::BitwiseAnd => Infix("&"),
        Row::BitwiseOr => Infix("|"),
        Row::BitwiseXor => Infix("^"),
        Row::LogicalAnd => Infix("&&"),
        Row::LogicalOr => Infix("||"),
        Row::LogicalXor => Infix("!="),
        Row::Neg => Prefix("-"),
        Row::LogicalNot => Prefix("!"),
        Row::BitwiseNot => Prefix("~"),
        Row::Abs => Builtin("abs"),
        Row::Sign => Builtin("sign"),
        Row::Floor => Builtin("floor"),
        Row::Ceil => Builtin("ceil"),
        Row::Round => Builtin("round"),
        Row::Trunc => Builtin("trunc"),
        Row::Sqrt => Builtin("sqrt"),
        Row::Rsqrt => Builtin("inverseSqrt"),
        Row::Exp => Builtin("exp"),
        Row::Exp2 => Builtin("exp2"),
        Row::Log => Builtin("log"),
        Row::Log2 => Builtin("log2"),
        Row::Sin => Builtin("sin"),
        Row::Cos => Builtin("cos"),
        Row::Tan => Builtin("tan"),
        Row::Asin => Builtin("asin"),
        Row::Acos => Builtin("acos"),
        Row::Atan => Builtin("atan"),
        Row::Atan2 => Builtin("atan2"),
        Row::Sinh => Builtin("sinh"),
        Row::Cosh => Builtin("cosh"),
        Row::Asinh => Builtin("asinh"),
        Row::Acosh => Builtin("acosh"),
        Row::Atanh => Builtin("atanh"),
        row if row.is_primitive() => Prelude,
        _ => Expand,
    }
}

impl Expr {
    /// WGSL text in f32, with these texts for the inputs and the row's value.
    ///
    /// ```
    /// let tanh = wengert_ops::Row::Tanh.expr();
    /// assert_eq!(tanh.partials[0].wgsl(&["x"], "y"), "(1.0 - (y * y))");
    /// ```
    pub fn wgsl(self, args: &[&str], y: &str) -> String {
        match self.node() {
            Node::Arg(i) => args.get(*i as usize).copied().unwrap_or("0.0").to_owned(),
            Node::Y => y.to_owned(),
            Node::Const(c) => literal(*c),
            // WGSL's `select` takes the choice last, and the value for false first.
            Node::Call(Row::Where, inputs) => format!(
                "select({}, {}, {})",
                inputs[2].wgsl(args, y),
                inputs[1].wgsl(args, y),
                inputs[0].wgsl_truth(args, y)
            ),
            Node::Call(row @ (Row::LogicalAnd | Row::LogicalOr | Row::LogicalXor), inputs) => {
                let Form::Infix(op) = form(*row) else { unreachable!("logic is infix") };
                format!("({} {op} {})", inputs[0].wgsl_truth(args, y), inputs[1].wgsl_truth(args, y))
            }
            Node::Call(Row::LogicalNot, inputs) => format!("(!{})", inputs[0].wgsl_truth(args, y)),
            Node::Call(row, inputs) => {
                let texts: Vec<String> = inputs.iter().map(|e| e.wgsl(args, y)).collect();
                match form(*row) {
                    Form::Infix(op) => format!("({} {op} {})", texts[0], texts[1]),
                    Form::Prefix(op) => format!("({op}{})", texts[0]),
                    Form::Builtin(name) => format!("{name}({})", texts.join(", ")),
                    Form::Prelude => format!("wg_{}({})", row.name(), texts.join(", ")),
                    Form::Expand => {
                        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
                        row.expr().value.wgsl(&texts, "")
                    }
                }
            }
        }
    }

    /// The text as WGSL's `bool`: numbers are compared with zero.
    pub fn wgsl_truth(self, args: &[&str], y: &str) -> String {
        let text = self.wgsl(args, y);
        if self.is_mask() {
            text
        } else {
            format!("({text} != 0.0)")
        }
    }
}

/// WGSL has no text for infinities and NaN: the prelude makes them from bits.
fn literal(value: f64) -> String {
    if value.is_nan() {
        "wg_nan()".into()
    } else if value.is_infinite() {
        if value > 0.0 { "wg_inf()" } else { "(-wg_inf())" }.into()
    } else {
        let text = format!("{:?}", value as f32);
        if value.is_sign_negative() {
            format!("({text})")
        } else {
            text
        }
    }
}
