//! Every row of the table as a method.

use crate::dispatch::{row, Arg};
use crate::inplace;
use crate::tensor::Tensor;
use wengert_ops::{Result, Row};

macro_rules! methods {
    ($(
        $class:ident $V:ident $name:ident ($first:ident $(, $rest:ident)*) -> $y:ident = $value:expr, [$($partial:expr),*],
        $(($lo:expr, $hi:expr))* $(! $kink:expr)?, $doc:literal;
    )*) => {
        // A row of one input needs no name for its lifetime.
        #[allow(clippy::needless_lifetimes)]
        impl Tensor {
            $(
                #[doc = $doc]
                pub fn $name<'a>(&'a self $(, $rest: impl Into<Arg<'a>>)*) -> Result<Tensor> {
                    row(Row::$V, &[Arg::Tensor(self) $(, $rest.into())*])
                }
            )*
        }
    };
}

wengert_ops::elementwise_table! { methods }

impl Tensor {
    /// `self = row(self, args…)` in place.
    ///
    /// ```
    /// use wengert::{Row, Tensor};
    /// let x = Tensor::from_f32(&[1.0, 2.0], &[2]).unwrap();
    /// x.row_(Row::Add, &[10.0.into()]).unwrap();
    /// assert_eq!(x.to_vec_f64().unwrap(), [11.0, 12.0]);
    /// ```
    pub fn row_(&self, row: Row, args: &[Arg<'_>]) -> Result<()> {
        inplace::row_(row, self, args)
    }
}
