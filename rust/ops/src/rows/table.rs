//! The elementwise table: one line an operation, in the subset of Rust that is also mathematics.
//!
//! ```text
//! class Label name (inputs) -> y = value,  [partial per input],  test domain per input  ! kinks,  "doc";
//! ```
//! * *class* decides dtypes (see [`Class`](super::Class)): `float` takes integers to the default float type,
//!   `real` refuses them, `arith` works in any numeric type, `compare`, `test` and `logic` give bool,
//!   `bit` works on integers and bool.
//! * *Label* is both the enum's variant and the name that the gradient node gets (`TanhBackward0`).
//! * A *partial* may be a condition: then the gradient passes where it holds, and is 0 elsewhere.
//! * *kinks*: an expression that is zero where the row is not differentiable; tests keep away from there.
//!
//! * Inputs named as in `registry::numbers` (`alpha`, `value`, …) are numbers: they have no part in promotion.
//!
//! Every function named in an expression is a row itself, or one of `select`, `and`, `or`, `not`.
//! Choices are written `select(lt(a, b), …, …)`: `if` and `<` do not vectorise and have no symbolic reading.

/// Calls `callback! { extra… rows… }` with the whole table.
#[macro_export]
macro_rules! elementwise_table {
    ($callback:ident $($extra:tt)*) => { $callback! { $($extra)*

arith Add add (a, b) -> y = a + b, [1.0, 1.0], (-2.0, 2.0) (-2.0, 2.0), "Sum.";
arith AddScaled add_scaled (a, b, alpha) -> y = a + alpha * b, [1.0, alpha, b], (-2.0, 2.0) (-2.0, 2.0) (-2.0, 2.0), "`a + alpha * b`.";
arith Sub sub (a, b) -> y = a - b, [1.0, -1.0], (-2.0, 2.0) (-2.0, 2.0), "Difference.";
arith Rsub rsub (x, b) -> y = b - x, [-1.0, 1.0], (-2.0, 2.0) (-2.0, 2.0), "`b - x`.";
arith Mul mul (a, b) -> y = a * b, [b, a], (-2.0, 2.0) (-2.0, 2.0), "Product.";
float Div div (a, b) -> y = a / b, [1.0 / b, -y / b], (-2.0, 2.0) (0.5, 2.0), "Quotient.";
arith Pow pow (a, b) -> y = pow(a, b), [select(eq(b, 0.0), 0.0, b * pow(a, b - 1.0)), select(and(eq(a, 0.0), ge(b, 0.0)), 0.0, y * log(a))], (0.25, 2.0) (-2.0, 2.0), "`a` to the power `b`.";
arith Square square (x) -> y = x * x, [2.0 * x], (-2.0, 2.0), "`x` times itself.";
arith Neg neg (x) -> y = -x, [-1.0], (-2.0, 2.0), "Negation.";
arith Positive positive (x) -> y = x, [1.0], (-2.0, 2.0), "`x` itself.";
arith Copy copy (x) -> y = x, [1.0], (-2.0, 2.0), "`x`, in fresh memory.";
arith Abs abs (x) -> y = abs(x), [sign(x)], (-2.0, 2.0) ! x, "Absolute value.";
arith Sign sign (x) -> y = sign(x), [0.0], (-2.0, 2.0) ! x, "-1, 0 or 1 by the sign of `x`.";
arith Addcmul addcmul (x, a, b, value) -> y = x + value * a * b, [1.0, value * b, value * a, a * b], (-2.0, 2.0) (-2.0, 2.0) (-2.0, 2.0) (-2.0, 2.0), "`x + value * a * b`.";
real Addcdiv addcdiv (x, a, b, value) -> y = x + value * a / b, [1.0, value / b, -(value * a) / (b * b), a / b], (-2.0, 2.0) (-2.0, 2.0) (0.5, 2.0) (-2.0, 2.0), "`x + value * a / b`.";
real Dropped dropped (x, kept, value) -> y = x * (kept * value), [kept * value, x * value, x * kept], (-2.0, 2.0) (0.0, 1.0) (1.0, 2.0), "`x * value` where `kept` is 1, 0 where it is 0.";
real Lerp lerp (a, b, w) -> y = select(lt(abs(w), 0.5), a + w * (b - a), b - (b - a) * (1.0 - w)), [1.0 - w, w, b - a], (-2.0, 2.0) (-2.0, 2.0) (-1.0, 1.0), "From `a` to `b` by the weight `w`.";
arith SquaredDifference squared_difference (a, b) -> y = (a - b) * (a - b), [2.0 * (a - b), 2.0 * (b - a)], (-2.0, 2.0) (-2.0, 2.0), "Square of the difference.";
real SmoothL1 smooth_l1 (a, b, beta) -> y = { let d = abs(a - b); select(lt(d, beta), 0.5 * d * d / beta, d - 0.5 * beta) }, [maximum(minimum((a - b) / beta, 1.0), -1.0), maximum(minimum((b - a) / beta, 1.0), -1.0), { let d = abs(a - b); select(lt(d, beta), -0.5 * d * d / (beta * beta), -0.5) }], (-2.0, 2.0) (-2.0, 2.0) (0.5, 2.0), "Squared difference over `2 * beta` below `beta`, absolute difference less `beta / 2` above.";

arith Maximum maximum (a, b) -> y = maximum(a, b), [select(lt(a, b), 0.0, select(eq(a, b), 0.5, 1.0)), select(gt(a, b), 0.0, select(eq(a, b), 0.5, 1.0))], (-2.0, 2.0) (-2.0, 2.0) ! a - b, "The greater of two; NaN wins.";
arith Minimum minimum (a, b) -> y = minimum(a, b), [select(gt(a, b), 0.0, select(eq(a, b), 0.5, 1.0)), select(lt(a, b), 0.0, select(eq(a, b), 0.5, 1.0))], (-2.0, 2.0) (-2.0, 2.0) ! a - b, "The lesser of two; NaN wins.";
arith Fmax fmax (a, b) -> y = fmax(a, b), [select(eq(a, b), 0.5, select(or(gt(a, b), isnan(b)), 1.0, 0.0)), select(eq(a, b), 0.5, select(or(gt(a, b), isnan(b)), 0.0, 1.0))], (-2.0, 2.0) (-2.0, 2.0) ! a - b, "The greater of two; a number wins over NaN.";
arith Fmin fmin (a, b) -> y = fmin(a, b), [select(eq(a, b), 0.5, select(or(lt(a, b), isnan(b)), 1.0, 0.0)), select(eq(a, b), 0.5, select(or(lt(a, b), isnan(b)), 0.0, 1.0))], (-2.0, 2.0) (-2.0, 2.0) ! a - b, "The lesser of two; a number wins over NaN.";
arith Relu relu (x) -> y = maximum(x, 0.0), [not(le(x, 0.0))], (-2.0, 2.0) ! x, "`x` where positive, else 0.";
arith Clamp clamp (x, min, max) -> y = minimum(maximum(x, min), max), [and(gt(x, min), lt(x, max)), and(lt(x, min), lt(min, max)), or(gt(x, max), gt(min, max))], (-2.0, 2.0) (-1.0, -0.25) (0.25, 1.0) ! (x - min) * (x - max), "`x` held between `min` and `max`.";
arith ClampMin clamp_min (x, min) -> y = maximum(x, min), [gt(x, min), le(x, min)], (-2.0, 2.0) (-1.0, 1.0) ! x - min, "`x`, at least `min`.";
arith ClampMax clamp_max (x, max) -> y = minimum(x, max), [lt(x, max), ge(x, max)], (-2.0, 2.0) (-1.0, 1.0) ! x - max, "`x`, at most `max`.";
arith ClampTensor clamp_tensor (x, min, max) -> y = minimum(maximum(x, min), max), [select(or(lt(x, min), gt(x, max)), 0.0, select(and(or(eq(x, min), eq(x, max)), lt(min, max)), 0.5, 1.0)), select(gt(min, max), 0.0, select(lt(x, min), 1.0, select(and(eq(x, min), lt(min, max)), 0.5, 0.0))), select(or(gt(x, max), gt(min, max)), 1.0, select(and(eq(x, max), lt(min, max)), 0.5, 0.0))], (-2.0, 2.0) (-1.0, -0.25) (0.25, 1.0) ! (x - min) * (x - max), "`clamp` with array bounds: a tie's gradient is halved.";
arith Hardtanh hardtanh (x, min_val, max_val) -> y = minimum(maximum(x, min_val), max_val), [not(or(le(x, min_val), ge(x, max_val))), le(x, min_val), ge(x, max_val)], (-2.0, 2.0) (-1.0, -0.25) (0.25, 1.0) ! (x - min_val) * (x - max_val), "`x` held between `min_val` and `max_val`, without gradient at the bounds.";
arith Threshold threshold (x, threshold, value) -> y = select(le(x, threshold), value, x), [not(le(x, threshold)), 0.0, le(x, threshold)], (-2.0, 2.0) (-0.5, 0.5) (-2.0, 2.0) ! x - threshold, "`x` where above the threshold, else `value`.";
arith NanToNum nan_to_num (x, nan, posinf, neginf) -> y = select(isnan(x), nan, select(isposinf(x), posinf, select(isneginf(x), neginf, x))), [isfinite(x), isnan(x), isposinf(x), isneginf(x)], (-2.0, 2.0) (-2.0, 2.0) (-2.0, 2.0) (-2.0, 2.0), "`x` with NaN and infinities replaced.";
arith Remainder remainder (a, b) -> y = remainder(a, b), [1.0, -floor_divide(a, b)], (-3.0, 3.0) (0.75, 2.0) ! sin(PI * (a / b)), "Remainder with the sign of the divisor.";
arith Fmod fmod (a, b) -> y = fmod(a, b), [1.0, -trunc(a / b)], (-3.0, 3.0) (0.75, 2.0) ! sin(PI * (a / b)), "Remainder with the sign of the dividend.";
arith FloorDivide floor_divide (a, b) -> y = floor_divide(a, b), [0.0, 0.0], (-3.0, 3.0) (0.75, 2.0) ! sin(PI * (a / b)), "Quotient rounded down.";
arith TruncDivide trunc_divide (a, b) -> y = trunc_divide(a, b), [0.0, 0.0], (-3.0, 3.0) (0.75, 2.0) ! sin(PI * (a / b)), "Quotient rounded toward zero.";
arith Floor floor (x) -> y = floor(x), [0.0], (-3.0, 3.0) ! sin(PI * x), "Rounded down.";
arith Ceil ceil (x) -> y = ceil(x), [0.0], (-3.0, 3.0) ! sin(PI * x), "Rounded up.";
arith Round round (x) -> y = round(x), [0.0], (-3.0, 3.0) ! cos(PI * x), "Rounded to the nearest integer, halves to even.";
arith Trunc trunc (x) -> y = trunc(x), [0.0], (-3.0, 3.0) ! sin(PI * x), "Rounded toward zero.";
real Frac frac (x) -> y = x - trunc(x), [1.0], (-3.0, 3.0) ! sin(PI * x), "Fractional part, with the sign of `x`.";
arith Heaviside heaviside (x, values) -> y = select(eq(x, 0.0), values, select(gt(x, 0.0), 1.0, 0.0)), [], (-2.0, 2.0) (-2.0, 2.0) ! x, "0 below zero (and for NaN), 1 above, `values` at zero.";

float Sin sin (x) -> y = sin(x), [cos(x)], (-3.0, 3.0), "Sine.";
float Cos cos (x) -> y = cos(x), [-sin(x)], (-3.0, 3.0), "Cosine.";
float Tan tan (x) -> y = tan(x), [1.0 + y * y], (-1.2, 1.2), "Tangent.";
float Asin asin (x) -> y = asin(x), [rsqrt(1.0 - x * x)], (-0.9, 0.9), "Inverse sine.";
float Acos acos (x) -> y = acos(x), [-rsqrt(1.0 - x * x)], (-0.9, 0.9), "Inverse cosine.";
float Atan atan (x) -> y = atan(x), [1.0 / (1.0 + x * x)], (-2.0, 2.0), "Inverse tangent.";
float Sinh sinh (x) -> y = sinh(x), [cosh(x)], (-2.0, 2.0), "Hyperbolic sine.";
float Cosh cosh (x) -> y = cosh(x), [sinh(x)], (-2.0, 2.0), "Hyperbolic cosine.";
float Tanh tanh (x) -> y = tanh(x), [1.0 - y * y], (-2.0, 2.0), "Hyperbolic tangent.";
float Asinh asinh (x) -> y = asinh(x), [rsqrt(x * x + 1.0)], (-2.0, 2.0), "Inverse hyperbolic sine.";
float Acosh acosh (x) -> y = acosh(x), [rsqrt(x * x - 1.0)], (1.25, 3.0), "Inverse hyperbolic cosine.";
float Atanh atanh (x) -> y = atanh(x), [1.0 / (1.0 - x * x)], (-0.9, 0.9), "Inverse hyperbolic tangent.";
float Atan2 atan2 (a, b) -> y = atan2(a, b), [{ let d = a * a + b * b; b / select(eq(d, 0.0), 1.0, d) }, { let d = a * a + b * b; -a / select(eq(d, 0.0), 1.0, d) }], (-2.0, 2.0) (0.25, 2.0), "Angle of the point (`b`, `a`).";
real Hypot hypot (a, b) -> y = hypot(a, b), [a / y, b / y], (-2.0, 2.0) (0.25, 2.0), "Length of the vector (`a`, `b`).";
float Exp exp (x) -> y = exp(x), [y], (-2.0, 2.0), "Exponential.";
float Exp2 exp2 (x) -> y = exp2(x), [y * LN_2], (-2.0, 2.0), "2 to the power `x`.";
float Expm1 expm1 (x) -> y = expm1(x), [y + 1.0], (-2.0, 2.0), "`exp(x) - 1`, accurate near 0.";
float Log log (x) -> y = log(x), [1.0 / x], (0.25, 3.0), "Natural logarithm.";
float Log2 log2 (x) -> y = log2(x), [1.0 / (x * LN_2)], (0.25, 3.0), "Logarithm to base 2.";
float Log10 log10 (x) -> y = log10(x), [1.0 / (x * LN_10)], (0.25, 3.0), "Logarithm to base 10.";
float Log1P log1p (x) -> y = log1p(x), [1.0 / (x + 1.0)], (-0.75, 3.0), "`log(1 + x)`, accurate near 0.";
float Sqrt sqrt (x) -> y = sqrt(x), [0.5 / y], (0.25, 3.0), "Square root.";
float Rsqrt rsqrt (x) -> y = rsqrt(x), [-0.5 * y / x], (0.25, 3.0), "Reciprocal of the square root.";
float Reciprocal reciprocal (x) -> y = 1.0 / x, [-(y * y)], (0.25, 3.0), "`1 / x`.";
float Sigmoid sigmoid (x) -> y = sigmoid(x), [y * (1.0 - y)], (-3.0, 3.0), "Logistic function, `1 / (1 + exp(-x))`.";
float Logit logit (x) -> y = log(x / (1.0 - x)), [{ let p = x * (1.0 - x); select(ge(p, 0.0), 1.0 / p, sqrt(p)) }], (0.1, 0.9), "Inverse of the logistic function.";
float Erf erf (x) -> y = erf(x), [FRAC_2_SQRT_PI * exp(-(x * x))], (-2.0, 2.0), "Error function.";
float Erfc erfc (x) -> y = erfc(x), [-FRAC_2_SQRT_PI * exp(-(x * x))], (-2.0, 2.0), "Complement of the error function.";
float Erfinv erfinv (x) -> y = erfinv(x), [0.886226925452758 * exp(y * y)], (-0.9, 0.9), "Inverse of the error function.";
float Lgamma lgamma (x) -> y = lgamma(x), [digamma(x)], (0.5, 4.0), "Logarithm of the absolute value of the gamma function.";
float Digamma digamma (x) -> y = digamma(x), [polygamma(1.0, x)], (0.5, 4.0), "Derivative of `lgamma`.";
float Polygamma polygamma (n, x) -> y = polygamma(n, x), [0.0, polygamma(n + 1.0, x)], (1.0, 1.4) (0.75, 4.0), "The `n`-th derivative of `digamma`.";
float Sinc sinc (x) -> y = { let p = PI * select(eq(x, 0.0), 1.0, x); select(eq(x, 0.0), 1.0, sin(p) / p) }, [select(eq(x, 0.0), 0.0, (cos(PI * x) - y) / select(eq(x, 0.0), 1.0, x))], (0.1, 3.0), "`sin(πx) / (πx)`.";
float Deg2Rad deg2rad (x) -> y = x * (PI / 180.0), [PI / 180.0], (-180.0, 180.0), "Degrees to radians.";
float Rad2Deg rad2deg (x) -> y = x * (180.0 / PI), [180.0 / PI], (-3.0, 3.0), "Radians to degrees.";
real Logaddexp logaddexp (a, b) -> y = select(and(eq(a, b), isinf(a)), a, maximum(a, b) + log1p(exp(-abs(a - b)))), [sigmoid(a - b), sigmoid(b - a)], (-2.0, 2.0) (-2.0, 2.0), "`log(exp(a) + exp(b))`.";
real Logaddexp2 logaddexp2 (a, b) -> y = select(and(eq(a, b), isinf(a)), a, maximum(a, b) + log1p(exp2(-abs(a - b))) / LN_2), [1.0 / (1.0 + exp2(b - a)), 1.0 / (1.0 + exp2(a - b))], (-2.0, 2.0) (-2.0, 2.0), "`log2(2**a + 2**b)`.";
float Xlogy xlogy (a, b) -> y = select(isnan(b), b, select(eq(a, 0.0), 0.0, a * log(b))), [select(and(eq(a, 0.0), le(b, 0.0)), 0.0, log(b)), a / b], (0.25, 2.0) (0.25, 2.0), "`a * log(b)`, 0 where `a` is 0.";
float Xlog1Py xlog1py (a, b) -> y = select(isnan(b), b, select(eq(a, 0.0), 0.0, a * log1p(b))), [select(and(eq(a, 0.0), le(b, -1.0)), 0.0, log1p(b)), a / (b + 1.0)], (0.25, 2.0) (-0.5, 2.0), "`a * log1p(b)`, 0 where `a` is 0.";
float Copysign copysign (a, b) -> y = copysign(a, b), [select(eq(a, 0.0), 0.0, sign(a) * copysign(1.0, b)), 0.0], (-2.0, 2.0) (-2.0, 2.0) ! a * b, "`a` with the sign of `b`.";
real Nextafter nextafter (a, b) -> y = nextafter(a, b), [ne(a, b), 0.0], (-2.0, 2.0) (-2.0, 2.0) ! a - b, "The next representable number after `a` toward `b`.";

real LogSigmoid logsigmoid (x) -> y = minimum(x, 0.0) - log1p(exp(-abs(x))), [sigmoid(-x)], (-3.0, 3.0), "Logarithm of the logistic function.";
real Softplus softplus (x, beta, threshold) -> y = { let t = x * beta; select(gt(t, threshold), x, (maximum(t, 0.0) + log1p(exp(-abs(t)))) / beta) }, [select(gt(x * beta, threshold), 1.0, sigmoid(x * beta)), select(gt(x * beta, threshold), 0.0, (x * sigmoid(x * beta) - y) / beta), 0.0], (-2.0, 2.0) (0.5, 2.0) (19.0, 21.0), "`log(1 + exp(beta * x)) / beta`, and `x` above the threshold.";
real Silu silu (x) -> y = x * sigmoid(x), [{ let s = sigmoid(x); s * (1.0 + x * (1.0 - s)) }], (-3.0, 3.0), "`x * sigmoid(x)`.";
real Gelu gelu (x) -> y = 0.5 * x * (1.0 + erf(x * FRAC_1_SQRT_2)), [0.5 * (1.0 + erf(x * FRAC_1_SQRT_2)) + x * (0.398942280401432678 * exp(-0.5 * (x * x)))], (-3.0, 3.0), "`x` times the normal distribution function.";
real GeluTanh gelu_tanh (x) -> y = 0.5 * x * (1.0 + tanh(0.797884560802865356 * (x + 0.044715 * (x * x * x)))), [{ let t = tanh(0.797884560802865356 * (x + 0.044715 * (x * x * x))); 0.5 * (1.0 + t) + 0.5 * x * (1.0 - t * t) * (0.797884560802865356 * (1.0 + 0.134145 * (x * x))) }], (-3.0, 3.0), "GELU by its tanh approximation.";
real Mish mish (x) -> y = x * tanh(maximum(x, 0.0) + log1p(exp(-abs(x)))), [{ let t = tanh(maximum(x, 0.0) + log1p(exp(-abs(x)))); t + x * sigmoid(x) * (1.0 - t * t) }], (-3.0, 3.0), "`x * tanh(softplus(x))`.";
real Elu elu (x, alpha) -> y = select(le(x, 0.0), alpha * expm1(minimum(x, 0.0)), x), [select(le(x, 0.0), alpha * exp(minimum(x, 0.0)), 1.0), select(le(x, 0.0), expm1(minimum(x, 0.0)), 0.0)], (-2.0, 2.0) (0.5, 2.0) ! x, "`x` above zero, `alpha * (exp(x) - 1)` below.";
real Selu selu (x) -> y = 1.0507009873554804934 * select(le(x, 0.0), 1.6732632423543772848 * expm1(minimum(x, 0.0)), x), [1.0507009873554804934 * select(le(x, 0.0), 1.6732632423543772848 * exp(minimum(x, 0.0)), 1.0)], (-2.0, 2.0) ! x, "Self-normalising ELU.";
real Celu celu (x, alpha) -> y = select(le(x, 0.0), alpha * expm1(minimum(x, 0.0) / alpha), x), [select(le(x, 0.0), exp(minimum(x, 0.0) / alpha), 1.0), select(le(x, 0.0), { let t = minimum(x, 0.0) / alpha; expm1(t) - t * exp(t) }, 0.0)], (-2.0, 2.0) (0.5, 2.0) ! x, "`x` above zero, `alpha * (exp(x / alpha) - 1)` below.";
real LeakyRelu leaky_relu (x, slope) -> y = select(gt(x, 0.0), x, slope * x), [select(gt(x, 0.0), 1.0, slope), select(gt(x, 0.0), 0.0, x)], (-2.0, 2.0) (0.01, 0.5) ! x, "`x` above zero, `slope * x` below.";
real Hardswish hardswish (x) -> y = x * minimum(maximum(x + 3.0, 0.0), 6.0) / 6.0, [select(le(x, -3.0), 0.0, select(lt(x, 3.0), x / 3.0 + 0.5, 1.0))], (-4.0, 4.0) ! (x - 3.0) * (x + 3.0), "`x * relu6(x + 3) / 6`.";
real Hardsigmoid hardsigmoid (x) -> y = minimum(maximum(x + 3.0, 0.0), 6.0) / 6.0, [select(and(gt(x, -3.0), lt(x, 3.0)), 1.0 / 6.0, 0.0)], (-4.0, 4.0) ! (x - 3.0) * (x + 3.0), "`relu6(x + 3) / 6`.";
real Hardshrink hardshrink (x, lambd) -> y = select(and(ge(x, -lambd), le(x, lambd)), 0.0, x), [not(and(ge(x, -lambd), le(x, lambd))), 0.0], (-2.0, 2.0) (0.25, 1.0) ! (x - lambd) * (x + lambd), "`x` outside of `[-lambd, lambd]`, else 0.";
real Softshrink softshrink (x, lambd) -> y = select(gt(x, lambd), x - lambd, select(lt(x, -lambd), x + lambd, x * 0.0)), [not(and(ge(x, -lambd), le(x, lambd))), select(gt(x, lambd), -1.0, select(lt(x, -lambd), 1.0, 0.0))], (-2.0, 2.0) (0.25, 1.0) ! (x - lambd) * (x + lambd), "`x` moved toward zero by `lambd`, 0 in between.";

compare Eq eq (a, b) -> y = eq(a, b), [], (-2.0, 2.0) (-2.0, 2.0), "Whether equal.";
compare Ne ne (a, b) -> y = ne(a, b), [], (-2.0, 2.0) (-2.0, 2.0), "Whether different.";
compare Lt lt (a, b) -> y = lt(a, b), [], (-2.0, 2.0) (-2.0, 2.0), "Whether less.";
compare Le le (a, b) -> y = le(a, b), [], (-2.0, 2.0) (-2.0, 2.0), "Whether less or equal.";
compare Gt gt (a, b) -> y = gt(a, b), [], (-2.0, 2.0) (-2.0, 2.0), "Whether greater.";
compare Ge ge (a, b) -> y = ge(a, b), [], (-2.0, 2.0) (-2.0, 2.0), "Whether greater or equal.";
test Isnan isnan (x) -> y = isnan(x), [], (-2.0, 2.0), "Whether not a number.";
test Isinf isinf (x) -> y = isinf(x), [], (-2.0, 2.0), "Whether infinite.";
test Isfinite isfinite (x) -> y = isfinite(x), [], (-2.0, 2.0), "Whether neither infinite nor NaN.";
test Isposinf isposinf (x) -> y = isposinf(x), [], (-2.0, 2.0), "Whether positive infinity.";
test Isneginf isneginf (x) -> y = isneginf(x), [], (-2.0, 2.0), "Whether negative infinity.";
test Signbit signbit (x) -> y = signbit(x), [], (-2.0, 2.0), "Whether the sign bit is set.";
logic LogicalAnd logical_and (a, b) -> y = and(ne(a, 0.0), ne(b, 0.0)), [], (-2.0, 2.0) (-2.0, 2.0), "Whether both are nonzero.";
logic LogicalOr logical_or (a, b) -> y = or(ne(a, 0.0), ne(b, 0.0)), [], (-2.0, 2.0) (-2.0, 2.0), "Whether one is nonzero.";
logic LogicalXor logical_xor (a, b) -> y = xor(ne(a, 0.0), ne(b, 0.0)), [], (-2.0, 2.0) (-2.0, 2.0), "Whether exactly one is nonzero.";
logic LogicalNot logical_not (x) -> y = eq(x, 0.0), [], (-2.0, 2.0), "Whether zero.";
bit BitwiseAnd bitwise_and (a, b) -> y = bitwise_and(a, b), [], (0.0, 100.0) (0.0, 100.0), "Bits set in both.";
bit BitwiseOr bitwise_or (a, b) -> y = bitwise_or(a, b), [], (0.0, 100.0) (0.0, 100.0), "Bits set in one or both.";
bit BitwiseXor bitwise_xor (a, b) -> y = bitwise_xor(a, b), [], (0.0, 100.0) (0.0, 100.0), "Bits set in exactly one.";
bit BitwiseNot bitwise_not (x) -> y = bitwise_not(x), [], (0.0, 100.0), "All bits flipped.";
bit BitwiseLeftShift bitwise_left_shift (a, b) -> y = bitwise_left_shift(a, b), [], (0.0, 100.0) (0.0, 10.0), "Bits moved up; 0 beyond the width.";
bit BitwiseRightShift bitwise_right_shift (a, b) -> y = bitwise_right_shift(a, b), [], (0.0, 100.0) (0.0, 10.0), "Bits moved down, keeping the sign.";
bit Gcd gcd (a, b) -> y = gcd(a, b), [], (0.0, 100.0) (0.0, 100.0), "Greatest common divisor.";
bit Lcm lcm (a, b) -> y = lcm(a, b), [], (0.0, 100.0) (0.0, 100.0), "Least common multiple.";
choice Where where_ (c, a, b) -> y = select(ne(c, 0.0), a, b), [0.0, ne(c, 0.0), eq(c, 0.0)], (0.5, 1.0) (-2.0, 2.0) (-2.0, 2.0), "`a` where the condition holds, else `b`.";

    } };
}
