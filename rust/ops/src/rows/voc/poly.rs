//! Functions of f32 that loops call often.

/// Expects `fma(a, b, c)` in scope: the two forms of the vocabulary differ only in it.
macro_rules! f32_polynomials {
    () => {
        #[inline(always)]
        pub fn exp(x: f32) -> f32 {
            x.exp()
        }
        #[inline(always)]
        pub fn expm1(x: f32) -> f32 {
            x.exp_m1()
        }
        #[inline(always)]
        pub fn log(x: f32) -> f32 {
            x.ln()
        }
        #[inline(always)]
        pub fn log1p(x: f32) -> f32 {
            x.ln_1p()
        }
        #[inline(always)]
        pub fn sin(x: f32) -> f32 {
            x.sin()
        }
        #[inline(always)]
        pub fn cos(x: f32) -> f32 {
            x.cos()
        }
        #[inline(always)]
        pub fn tanh(x: f32) -> f32 {
            x.tanh()
        }
        #[inline(always)]
        pub fn sigmoid(x: f32) -> f32 {
            1.0 / (1.0 + (-x).exp())
        }
        #[inline(always)]
        pub fn erf(x: f32) -> f32 {
            libm::erff(x)
        }
        #[inline(always)]
        pub fn erfc(x: f32) -> f32 {
            libm::erfcf(x)
        }
        #[inline(always)]
        pub fn nextafter(a: f32, b: f32) -> f32 {
            libm::nextafterf(a, b)
        }
    };
}
pub(super) use f32_polynomials;
