//! What is known of each row: names, docs, classes, and what its partials read.

use super::class::{Class, Demand};
use super::expr::{self, Node, RowExpr};
use super::voc::f64 as voc;
use std::collections::HashMap;
use std::sync::LazyLock;

/// What the table says of a row.
#[derive(Debug)]
pub struct RowInfo {
    /// PyTorch's name of the function and method.
    pub name: &'static str,
    pub args: &'static [&'static str],
    pub class: Class,
    /// Refuses integers and bool, instead of promoting them (activations).
    pub strict: bool,
    pub doc: &'static str,
    /// Name of the gradient node, without `Backward0`; whole where another number ends it.
    pub label: &'static str,
    /// An interval per input in which tests may draw.
    pub domain: &'static [(f64, f64)],
    /// Zero where the row is not differentiable.
    pub kinks: Option<fn(&[f64]) -> f64>,
    /// PyTorch has no public function of this name: used by others, not bound.
    pub hidden: bool,
    pub differentiable: bool,
    /// A bit per input that is a Python number in PyTorch: no part in promotion, cast to the common type.
    pub numbers: u8,
    /// What is asked of the operands' dtypes beyond the class.
    pub demand: Demand,
    /// Every operand must be a tensor: a Python number is a TypeError.
    pub tensors_only: bool,
    /// `out=` must have the result's very dtype.
    pub exact_out: bool,
    /// The submodule in which PyTorch has the function, empty for its top level.
    pub home: &'static str,
}

/// What the partial by one input reads, so that only that is saved.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Needs {
    /// A bit per input.
    pub inputs: u8,
    /// The row's value.
    pub output: bool,
    /// The partial is this number everywhere: no kernel is needed.
    pub constant: Option<f64>,
    /// The partial is a condition: the gradient passes where it holds.
    pub mask: bool,
    /// Whether the table states a partial.
    pub defined: bool,
}

macro_rules! registry {
    ($(
        $class:ident $V:ident $name:ident ($($arg:ident),*) -> $y:ident = $value:expr, [$($partial:expr),*],
        $(($lo:expr, $hi:expr))* $(! $kink:expr)?, $doc:literal;
    )*) => {
        /// An elementwise operation of the table.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
        #[repr(u16)]
        pub enum Row { $(#[doc = $doc] $V,)* }

        impl Row {
            /// Every row, in the table's order.
            pub const ALL: &'static [Row] = &[$(Row::$V),*];
        }

        static INFO: &[RowInfo] = &[$(RowInfo {
            name: plain(stringify!($name)),
            args: &[$(stringify!($arg)),*],
            class: Class::$class,
            strict: Class::strict(stringify!($class)),
            doc: $doc,
            label: label(Row::$V, stringify!($V)),
            domain: &[$(($lo, $hi)),*],
            kinks: kinks!([$($arg)*] $($kink)?),
            hidden: hidden(Row::$V),
            differentiable: !<[&str]>::is_empty(&[$(stringify!($partial)),*]),
            numbers: numbers(&[$(stringify!($arg)),*]),
            demand: demand(Row::$V),
            tensors_only: tensors_only(Row::$V),
            exact_out: exact_out(Row::$V, stringify!($class), &[$(stringify!($arg)),*]),
            home: home(Row::$V),
        }),*];
    };
}

macro_rules! kinks {
    ([$($arg:ident)*]) => { None };
    ([$($arg:ident)*] $kink:expr) => {
        Some(|args: &[f64]| {
            #[allow(unused_imports)]
            use voc::*;
            match *args {
                #[allow(unused_variables)]
                [$($arg),*] => $kink,
                _ => f64::NAN,
            }
        })
    };
}

/// A row named like a Rust keyword carries an underscore.
const fn plain(name: &'static str) -> &'static str {
    let (head, last) = name.split_at(name.len() - 1);
    if last.as_bytes()[0] == b'_' {
        head
    } else {
        name
    }
}

/// Most gradient nodes are named like the variant.
const fn label(row: Row, variant: &'static str) -> &'static str {
    match row {
        Row::AddScaled => "Add",
        Row::Dropped => "Mul",
        Row::Copy | Row::Positive => "Clone",
        Row::Square => "Pow",
        Row::GeluTanh => "Gelu",
        Row::Selu => "Elu",
        Row::Clamp => "ClampBackward1",
        Row::ClampTensor => "ClampBackward0",
        Row::Rsub => "RsubBackward1",
        Row::Xlog1Py => "SpecialXlog1Py",
        Row::TruncDivide => "Div",
        Row::SquaredDifference => "MseLoss",
        Row::SmoothL1 => "SmoothL1Loss",
        _ => variant,
    }
}

const fn hidden(row: Row) -> bool {
    matches!(
        row,
        Row::AddScaled
            | Row::Copy
            | Row::Dropped
            | Row::TruncDivide
            | Row::GeluTanh
            | Row::ClampTensor
            | Row::Rsub
            | Row::SquaredDifference
            | Row::SmoothL1
    )
}

/// Inputs of these names are numbers.
const fn numbers(args: &[&str]) -> u8 {
    let (mut bits, mut i) = (0, 0);
    while i < args.len() {
        if matches!(
            args[i].as_bytes(),
            b"alpha" | b"value" | b"slope" | b"lambd" | b"threshold" | b"nan" | b"posinf" | b"neginf" | b"beta" | b"n"
        ) || matches!(args[i].as_bytes(), b"min_val" | b"max_val")
        {
            bits |= 1 << i;
        }
        i += 1;
    }
    bits
}

const fn demand(row: Row) -> Demand {
    match row {
        Row::Sub | Row::Rsub | Row::SquaredDifference => Demand::NoBool,
        Row::Lerp | Row::Heaviside => Demand::OneDtype,
        Row::Addcdiv => Demand::FloatQuotient,
        _ => Demand::Any,
    }
}

const fn tensors_only(row: Row) -> bool {
    matches!(
        row,
        Row::Maximum
            | Row::Minimum
            | Row::Fmax
            | Row::Fmin
            | Row::Heaviside
            | Row::Atan2
            | Row::Hypot
            | Row::Logaddexp
            | Row::Logaddexp2
            | Row::Nextafter
            | Row::LogicalAnd
            | Row::LogicalOr
            | Row::LogicalXor
            | Row::Gcd
            | Row::Lcm
    )
}

/// PyTorch's loops over one array do not convert their result, but for powers and thresholds.
const fn exact_out(row: Row, class: &str, args: &[&str]) -> bool {
    let one_array = args.len() == 1 + numbers(args).count_ones() as usize;
    match row {
        Row::Square | Row::Threshold | Row::Positive | Row::Copy => false,
        Row::Lerp | Row::Clamp | Row::ClampMin | Row::ClampMax | Row::Heaviside => true,
        _ => one_array && matches!(class.as_bytes(), b"arith" | b"real" | b"bit" | b"test"),
    }
}

const fn home(row: Row) -> &'static str {
    match row {
        Row::Hardtanh | Row::Softplus | Row::Silu | Row::Gelu | Row::Mish | Row::Elu | Row::LeakyRelu => {
            "nn.functional"
        }
        Row::LogSigmoid | Row::Hardswish | Row::Hardsigmoid | Row::Softshrink => "nn.functional",
        Row::Xlog1Py => "special",
        _ => "",
    }
}

crate::elementwise_table! { registry }

struct Readings {
    expr: RowExpr,
    needs: Vec<Needs>,
    /// What the partials by a set of inputs (as bits) read together.
    kept: [Kept; 1 << MOST_INPUTS],
}

/// No row has more inputs.
pub const MOST_INPUTS: usize = 4;

/// What a row keeps for its partials: inputs as bits, and whether its value.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Kept {
    pub inputs: u8,
    pub output: bool,
}

static READINGS: LazyLock<Vec<Readings>> = LazyLock::new(|| {
    Row::ALL
        .iter()
        .map(|&row| {
            let expr = expr::row_expr(row);
            let mut needs: Vec<Needs> = expr.partials.iter().map(|p| p.needs()).collect();
            let undefined = Needs { inputs: 0, output: false, constant: None, mask: false, defined: false };
            needs.resize(row.arity(), undefined);
            let kept = std::array::from_fn(|wanted| {
                let read = needs.iter().enumerate().filter(|(i, _)| wanted >> i & 1 == 1);
                read.fold(Kept::default(), |k, (_, n)| Kept {
                    inputs: k.inputs | n.inputs,
                    output: k.output | n.output,
                })
            });
            Readings { expr, needs, kept }
        })
        .collect()
});

static NAMES: LazyLock<HashMap<&'static str, Row>> =
    LazyLock::new(|| Row::ALL.iter().map(|&row| (row.name(), row)).collect());

impl Row {
    pub fn info(self) -> &'static RowInfo {
        &INFO[self as usize]
    }

    /// PyTorch's name of the function.
    pub fn name(self) -> &'static str {
        self.info().name
    }

    /// The number of inputs, scalar parameters included.
    pub fn arity(self) -> usize {
        self.info().args.len()
    }

    /// The row of a function's name.
    pub fn from_name(name: &str) -> Option<Row> {
        NAMES.get(name).copied()
    }

    /// What the partial by input `which` reads. The input must be below the arity.
    pub fn needs(self, which: usize) -> &'static Needs {
        &READINGS[self as usize].needs[which]
    }

    /// What the partials by a set of inputs, a bit each, read together.
    #[inline]
    pub fn kept(self, wanted: u64) -> Kept {
        READINGS[self as usize].kept[wanted as usize % (1 << MOST_INPUTS)]
    }

    /// The row as symbols.
    pub fn expr(self) -> &'static RowExpr {
        &READINGS[self as usize].expr
    }

    /// The value in f64 arithmetic (integers for bitwise rows, 0 and 1 for truth values).
    pub fn eval(self, args: &[f64]) -> f64 {
        super::eval::VALUES[self as usize](args)
    }

    /// Whether kernels give a truth value.
    pub fn is_truth(self) -> bool {
        matches!(self.info().class, Class::Compare | Class::Test | Class::Logic)
    }

    /// Whether it makes a number of one number: what an activation does.
    pub fn maps_numbers(self) -> bool {
        self.arity() == 1 && !self.is_truth() && self.info().class != Class::Bit
    }

    /// Whether the row's value is a function of its own, not a composition of other rows.
    pub fn is_primitive(self) -> bool {
        matches!(self.expr().value.node(), Node::Call(row, _) if *row == self)
    }
}
