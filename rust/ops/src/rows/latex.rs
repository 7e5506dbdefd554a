//! Expressions as LaTeX, for docs and for printing derivatives.

use super::expr::{Expr, Node};
use super::registry::Row;

/// How tightly a text binds, loosest first.
#[derive(Clone, Copy, PartialEq, PartialOrd)]
enum Binds {
    Choice,
    Relation,
    Sum,
    Product,
    Prefix,
    Atom,
}

impl Expr {
    /// LaTeX, with these texts for the inputs and the row's value.
    ///
    /// ```
    /// let tanh = wengert_ops::Row::Tanh.expr();
    /// assert_eq!(tanh.value.latex(&["x"], "y"), r"\tanh\left(x\right)");
    /// assert_eq!(tanh.partials[0].latex(&["x"], "y"), "1 - y^{2}");
    /// ```
    pub fn latex(self, args: &[&str], y: &str) -> String {
        self.write(args, y).0
    }

    fn at(self, least: Binds, args: &[&str], y: &str) -> String {
        let (text, binds) = self.write(args, y);
        if binds < least {
            format!(r"\left({text}\right)")
        } else {
            text
        }
    }

    fn write(self, args: &[&str], y: &str) -> (String, Binds) {
        match self.node() {
            Node::Arg(i) => (args.get(*i as usize).copied().unwrap_or("?").to_owned(), Binds::Atom),
            Node::Y => (y.to_owned(), Binds::Atom),
            Node::Const(c) => number(*c),
            Node::Call(row, e) => call(*row, e, args, y),
        }
    }
}

fn number(value: f64) -> (String, Binds) {
    use std::f64::consts::*;
    let named = [
        (PI, r"\pi"),
        (LN_2, r"\ln 2"),
        (LN_10, r"\ln 10"),
        (FRAC_1_SQRT_2, r"\tfrac{1}{\sqrt{2}}"),
        (FRAC_2_SQRT_PI, r"\tfrac{2}{\sqrt{\pi}}"),
    ];
    let magnitude = value.abs();
    let text = match named.iter().find(|(v, _)| *v == magnitude) {
        Some((_, name)) => (*name).to_owned(),
        None if magnitude.is_infinite() => r"\infty".to_owned(),
        None => magnitude.to_string(),
    };
    if value < 0.0 {
        (format!("-{text}"), Binds::Prefix)
    } else {
        (text, Binds::Atom)
    }
}

fn call(row: Row, e: &[Expr], args: &[&str], y: &str) -> (String, Binds) {
    use Binds::*;
    let infix = |op: &str, binds: Binds, right: Binds| {
        (format!("{} {op} {}", e[0].at(binds, args, y), e[1].at(right, args, y)), binds)
    };
    let around = |open: &str, close: &str| (format!("{open}{}{close}", e[0].latex(args, y)), Atom);
    match row {
        Row::Add => infix("+", Sum, Sum),
        Row::Sub => infix("-", Sum, Product),
        Row::Mul if e[0] == e[1] => (format!("{}^{{2}}", e[0].at(Atom, args, y)), Prefix),
        Row::Mul => infix(r"\cdot", Product, Product),
        Row::Div => (format!(r"\frac{{{}}}{{{}}}", e[0].latex(args, y), e[1].latex(args, y)), Atom),
        Row::Pow => (format!("{}^{{{}}}", e[0].at(Atom, args, y), e[1].latex(args, y)), Prefix),
        Row::Square => (format!("{}^{{2}}", e[0].at(Atom, args, y)), Prefix),
        Row::Neg => (format!("-{}", e[0].at(Product, args, y)), Product),
        Row::Exp => (format!("e^{{{}}}", e[0].latex(args, y)), Atom),
        Row::Abs => around(r"\left|", r"\right|"),
        Row::Floor => around(r"\left\lfloor ", r"\right\rfloor"),
        Row::Ceil => around(r"\left\lceil ", r"\right\rceil"),
        Row::Sqrt => around(r"\sqrt{", "}"),
        Row::Rsqrt => around(r"\frac{1}{\sqrt{", "}}"),
        Row::Eq => infix("=", Relation, Sum),
        Row::Ne => infix(r"\ne", Relation, Sum),
        Row::Lt => infix("<", Relation, Sum),
        Row::Le => infix(r"\le", Relation, Sum),
        Row::Gt => infix(">", Relation, Sum),
        Row::Ge => infix(r"\ge", Relation, Sum),
        Row::LogicalAnd => infix(r"\land", Choice, Relation),
        Row::LogicalOr => infix(r"\lor", Choice, Relation),
        Row::Where => (
            format!(
                r"\begin{{cases}} {} & \text{{if }} {} \\ {} & \text{{else}} \end{{cases}}",
                e[1].latex(args, y),
                e[0].latex(args, y),
                e[2].latex(args, y)
            ),
            Choice,
        ),
        _ => {
            let inner: Vec<String> = e.iter().map(|x| x.latex(args, y)).collect();
            (format!(r"{}\left({}\right)", function(row), inner.join(", ")), Atom)
        }
    }
}

fn function(row: Row) -> String {
    match row {
        Row::Sin | Row::Cos | Row::Tan | Row::Sinh | Row::Cosh | Row::Tanh => format!(r"\{}", row.name()),
        Row::Asin | Row::Acos | Row::Atan => format!(r"\arc{}", &row.name()[1..]),
        Row::Log => r"\ln".into(),
        Row::Log2 => r"\log_2".into(),
        Row::Log10 => r"\log_{10}".into(),
        Row::Maximum => r"\max".into(),
        Row::Minimum => r"\min".into(),
        Row::Sigmoid => r"\sigma".into(),
        Row::Digamma => r"\psi".into(),
        Row::Gcd => r"\gcd".into(),
        _ => format!(r"\operatorname{{{}}}", row.name().replace('_', r"\_")),
    }
}
