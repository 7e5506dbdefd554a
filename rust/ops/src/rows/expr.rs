//! The table as symbols: small immutable trees, made once per process and kept.

use super::registry::{Needs, Row};
use std::collections::HashMap;
use std::ops;
use std::sync::{LazyLock, Mutex};

/// A symbolic expression over a row's inputs and value; `Copy`, so that it reads like a number.
#[derive(Clone, Copy, Debug)]
pub struct Expr(&'static Node);

/// What an [`Expr`] is made of.
#[derive(Debug)]
pub enum Node {
    /// An input of the row.
    Arg(u8),
    /// The row's value.
    Y,
    Const(f64),
    /// Another row of some expressions.
    Call(Row, Box<[Expr]>),
}

/// A row's value in terms of `Arg`, and its partials in terms of `Arg` and `Y`.
#[derive(Debug)]
pub struct RowExpr {
    pub value: Expr,
    /// One per input, or none at all for a row without derivative.
    pub partials: Vec<Expr>,
}

/// Structural equality; NaN constants are equal to themselves.
impl PartialEq for Expr {
    fn eq(&self, other: &Expr) -> bool {
        std::ptr::eq(self.0, other.0)
            || match (self.0, other.0) {
                (Node::Arg(a), Node::Arg(b)) => a == b,
                (Node::Y, Node::Y) => true,
                (Node::Const(a), Node::Const(b)) => a.to_bits() == b.to_bits(),
                (Node::Call(r, a), Node::Call(s, b)) => r == s && a == b,
                _ => false,
            }
    }
}
impl Eq for Expr {}

impl From<f64> for Expr {
    fn from(value: f64) -> Expr {
        Expr::constant(value)
    }
}

impl Expr {
    fn new(node: Node) -> Expr {
        Expr(Box::leak(Box::new(node)))
    }

    pub fn arg(index: u8) -> Expr {
        Expr::new(Node::Arg(index))
    }

    pub fn y() -> Expr {
        Expr::new(Node::Y)
    }

    /// Equal constants share one node, so that folding leaks little.
    pub fn constant(value: f64) -> Expr {
        static SEEN: LazyLock<Mutex<HashMap<u64, Expr>>> = LazyLock::new(Default::default);
        let mut seen = SEEN.lock().unwrap_or_else(|e| e.into_inner());
        *seen.entry(value.to_bits()).or_insert_with(|| Expr::new(Node::Const(value)))
    }

    /// `row(args…)`, folded where it can be.
    pub fn call(row: Row, args: &[Expr]) -> Expr {
        fold(row, args).unwrap_or_else(|| Expr::new(Node::Call(row, args.into())))
    }

    pub fn node(self) -> &'static Node {
        self.0
    }

    pub fn as_constant(self) -> Option<f64> {
        match self.0 {
            Node::Const(c) => Some(*c),
            _ => None,
        }
    }

    /// A truth value: as a partial it passes or stops the gradient.
    pub fn is_mask(self) -> bool {
        matches!(self.0, Node::Call(row, _) if row.is_truth())
    }

    /// What the expression reads.
    pub fn needs(self) -> Needs {
        let mut needs =
            Needs { inputs: 0, output: false, constant: self.as_constant(), mask: self.is_mask(), defined: true };
        self.read(&mut needs);
        needs
    }

    fn read(self, needs: &mut Needs) {
        match self.0 {
            Node::Arg(i) => needs.inputs |= 1 << i,
            Node::Y => needs.output = true,
            Node::Const(_) => {}
            Node::Call(_, args) => args.iter().for_each(|a| a.read(needs)),
        }
    }

    /// The value in f64, from the inputs and the row's value.
    pub fn eval(self, args: &[f64], y: f64) -> f64 {
        match self.0 {
            Node::Arg(i) => args.get(*i as usize).copied().unwrap_or(f64::NAN),
            Node::Y => y,
            Node::Const(c) => *c,
            Node::Call(row, inputs) => {
                let values: Vec<f64> = inputs.iter().map(|e| e.eval(args, y)).collect();
                row.eval(&values)
            }
        }
    }

    /// The same expression with other inputs and value in place.
    pub fn substitute(self, args: &[Expr], y: Expr) -> Expr {
        match self.0 {
            Node::Arg(i) => args.get(*i as usize).copied().unwrap_or(self),
            Node::Y => y,
            Node::Const(_) => self,
            Node::Call(row, inputs) => {
                let inputs: Vec<Expr> = inputs.iter().map(|e| e.substitute(args, y)).collect();
                Expr::call(*row, &inputs)
            }
        }
    }
}

fn fold(row: Row, args: &[Expr]) -> Option<Expr> {
    let is = |i: usize, value: f64| args[i].as_constant() == Some(value);
    match row {
        Row::Add if is(1, 0.0) => return Some(args[0]),
        Row::Add if is(0, 0.0) => return Some(args[1]),
        Row::Sub if is(1, 0.0) => return Some(args[0]),
        Row::Mul | Row::Div if is(1, 1.0) => return Some(args[0]),
        Row::Mul if is(0, 1.0) => return Some(args[1]),
        Row::Mul if is(0, -1.0) => return Some(-args[1]),
        Row::Mul if is(1, -1.0) => return Some(-args[0]),
        Row::Neg => {
            if let Node::Call(Row::Neg, inner) = args[0].0 {
                return Some(inner[0]);
            }
        }
        _ => {}
    }
    if row.is_truth() {
        return None;
    }
    let values: Option<Vec<f64>> = args.iter().map(|a| a.as_constant()).collect();
    values.map(|v| Expr::constant(row.eval(&v)))
}

macro_rules! operators {
    ($($Trait:ident $method:ident $Row:ident;)*) => { $(
        impl<E: Into<Expr>> ops::$Trait<E> for Expr {
            type Output = Expr;
            fn $method(self, other: E) -> Expr { Expr::call(Row::$Row, &[self, other.into()]) }
        }
        impl ops::$Trait<Expr> for f64 {
            type Output = Expr;
            fn $method(self, other: Expr) -> Expr { Expr::call(Row::$Row, &[self.into(), other]) }
        }
    )* };
}
operators! { Add add Add; Sub sub Sub; Mul mul Mul; Div div Div; }

impl ops::Neg for Expr {
    type Output = Expr;
    fn neg(self) -> Expr {
        Expr::call(Row::Neg, &[self])
    }
}

/// Every row as a function of expressions: the vocabulary of the symbolic reading.
mod voc {
    use super::{Expr, Row};
    pub use std::f64::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI, LN_10, LN_2, PI};

    macro_rules! functions {
        ($(
            $class:ident $V:ident $name:ident ($($arg:ident),*) -> $y:ident = $value:expr, [$($partial:expr),*],
            $(($lo:expr, $hi:expr))* $(! $kink:expr)?, $doc:literal;
        )*) => { $(
            #[allow(dead_code)]
            pub fn $name($($arg: impl Into<Expr>),*) -> Expr { Expr::call(Row::$V, &[$($arg.into()),*]) }
        )* };
    }
    crate::elementwise_table! { functions }

    pub fn select(c: impl Into<Expr>, a: impl Into<Expr>, b: impl Into<Expr>) -> Expr {
        where_(c, a, b)
    }
    pub fn and(a: impl Into<Expr>, b: impl Into<Expr>) -> Expr {
        logical_and(a, b)
    }
    pub fn or(a: impl Into<Expr>, b: impl Into<Expr>) -> Expr {
        logical_or(a, b)
    }
    pub fn xor(a: impl Into<Expr>, b: impl Into<Expr>) -> Expr {
        logical_xor(a, b)
    }
    pub fn not(a: impl Into<Expr>) -> Expr {
        logical_not(a)
    }
}

/// A tuple of partials, literals among them.
trait Exprs {
    fn list(self) -> Vec<Expr>;
}
impl Exprs for () {
    fn list(self) -> Vec<Expr> {
        Vec::new()
    }
}
macro_rules! exprs {
    ($($P:ident $i:tt),*) => {
        impl<$($P: Into<Expr>),*> Exprs for ($($P,)*) {
            fn list(self) -> Vec<Expr> { vec![$(self.$i.into()),*] }
        }
    };
}
exprs! { A 0 }
exprs! { A 0, B 1 }
exprs! { A 0, B 1, C 2 }
exprs! { A 0, B 1, C 2, D 3 }

macro_rules! readings {
    ($(
        $class:ident $V:ident $name:ident ($($arg:ident),*) -> $y:ident = $value:expr, [$($partial:expr),*],
        $(($lo:expr, $hi:expr))* $(! $kink:expr)?, $doc:literal;
    )*) => {
        static READ: &[fn() -> RowExpr] = &[$({
            #[allow(unused)]
            fn read() -> RowExpr {
                use voc::*;
                let mut inputs = 0u8..;
                $(let $arg = Expr::arg(inputs.next().unwrap_or(u8::MAX));)*
                let $y = Expr::y();
                RowExpr { value: Into::<Expr>::into($value), partials: Exprs::list(($($partial,)*)) }
            }
            read
        }),*];
    };
}
crate::elementwise_table! { readings }

pub(super) fn row_expr(row: Row) -> RowExpr {
    READ[row as usize]()
}
