//! Functions of f32 that loops call often, as branch-free polynomials which the compiler vectorises.
//! Within 2 units in the last place of the true value everywhere (tests/polynomials.rs).

/// Expects `fma(a, b, c)` in scope: the two forms of the vocabulary differ only in it.
macro_rules! f32_polynomials {
    () => {
        // ln 2 in two parts; the first has so few bits that its multiples are exact.
        const LN2_HIGH: f32 = 0.693359375;
        const LN2_LOW: f32 = -2.121_944_4e-4;

        /// Horner's scheme, lowest coefficient first.
        #[inline(always)]
        fn polynomial<const N: usize>(x: f32, c: [f32; N]) -> f32 {
            let mut sum = c[N - 1];
            let mut i = N - 1;
            while i > 0 {
                i -= 1;
                sum = fma(sum, x, c[i]);
            }
            sum
        }

        /// 1.5 · 2²³: adding it rounds to an integer in the low bits.
        const ROUND: f32 = 12582912.0;

        /// `x = n ln 2 + r` with |r| ≤ ln 2 / 2.
        #[inline(always)]
        fn reduce(x: f32) -> (i32, f32) {
            let shifted = fma(x, std::f32::consts::LOG2_E, ROUND);
            let n = shifted - ROUND;
            let r = fma(n, -LN2_LOW, fma(n, -LN2_HIGH, x));
            ((shifted.to_bits() as i32).wrapping_sub(ROUND.to_bits() as i32), r)
        }

        /// `exp(r) - 1` on the reduced interval.
        #[inline(always)]
        fn expm1_reduced(r: f32) -> f32 {
            const C: [f32; 6] = [0.5, 0.166666668, 0.0416661978, 0.00833327303, 0.00139505546, 0.000199139784];
            fma(r * r, polynomial(r, C), r)
        }

        #[inline(always)]
        fn power_of_two(n: i32) -> f32 {
            f32::from_bits((n.wrapping_add(127) as u32) << 23)
        }

        /// Bounds that let NaN through, unlike `clamp` by `min` and `max`.
        #[inline(always)]
        fn within(x: f32, low: f32, high: f32) -> f32 {
            let x = if x > high { high } else { x };
            if x < low {
                low
            } else {
                x
            }
        }

        #[inline(always)]
        pub fn exp(x: f32) -> f32 {
            let (n, r) = reduce(within(x, -104.0, 89.0));
            // Two steps, because 2¹²⁸ and the subnormals are out of reach of one.
            let half = n >> 1;
            (1.0 + expm1_reduced(r)) * power_of_two(half) * power_of_two(n.wrapping_sub(half))
        }

        /// `exp` for |x| ≤ 86, where the result is no subnormal: the same bits by less work.
        #[inline(always)]
        pub fn exp_normal(x: f32) -> f32 {
            let (n, r) = reduce(x);
            f32::from_bits((1.0 + expm1_reduced(r)).to_bits().wrapping_add((n << 23) as u32))
        }

        /// `exp` for x ≤ 0, as in a softmax. What would be subnormal is 0: denormal arithmetic is slow, and masked scores
        /// (−∞) are common.
        #[inline(always)]
        pub fn exp_falling(x: f32) -> f32 {
            const SMALLEST: f32 = -87.33;
            let (n, r) = reduce(if x < SMALLEST { SMALLEST } else { x });
            let y = (1.0 + expm1_reduced(r)) * power_of_two(n);
            select(x < SMALLEST, 0.0, y)
        }

        #[inline(always)]
        pub fn expm1(x: f32) -> f32 {
            let (n, r) = reduce(within(x, -20.0, 89.0));
            let half = power_of_two(n.wrapping_sub(1));
            let y = 2.0 * fma(half, expm1_reduced(r), half - 0.5);
            select(x == 0.0, x, y)
        }

        /// 2 to the power of at most a half, either way.
        #[inline(always)]
        fn exp2_reduced(r: f32) -> f32 {
            const C: [f32; 7] =
                [0.693147182, 0.240226507, 0.0555040464, 0.00961808302, 0.001333858, 0.000154538735, 1.41238334e-5];
            fma(r, polynomial(r, C), 1.0)
        }

        #[inline(always)]
        pub fn exp2(x: f32) -> f32 {
            let x = within(x, -151.0, 128.0);
            let shifted = x + ROUND;
            let n = (shifted.to_bits() as i32).wrapping_sub(ROUND.to_bits() as i32);
            let half = n >> 1;
            exp2_reduced(x - (shifted - ROUND)) * power_of_two(half) * power_of_two(n.wrapping_sub(half))
        }

        /// `x = 2ᵉ (1 + f)` with 1 + f between √½ and √2: e, f, and `log(1 + f) - f`.
        #[inline(always)]
        fn log_parts(x: f32) -> (f32, f32, f32) {
            const C: [f32; 9] = [
                0.333333313,
                -0.24999994,
                0.200007007,
                -0.166680455,
                0.142496228,
                -0.124205351,
                0.116750836,
                -0.115114927,
                0.0703830719,
            ];
            let subnormal = x < f32::MIN_POSITIVE;
            let bits = select(subnormal, x * 8388608.0, x).to_bits() as i32;
            // The mantissa between √½ and √2, and its exponent.
            let exponent = bits.wrapping_sub(std::f32::consts::FRAC_1_SQRT_2.to_bits() as i32) >> 23;
            let f = f32::from_bits(bits.wrapping_sub(exponent << 23) as u32) - 1.0;
            let e = exponent as f32 - select(subnormal, 23.0, 0.0);
            let square = f * f;
            (e, f, fma(square * f, polynomial(f, C), -0.5 * square))
        }

        /// What all logarithms are at 0, below, and at infinity; `y` elsewhere.
        #[inline(always)]
        fn log_edges(x: f32, y: f32) -> f32 {
            let edge = select(x == 0.0, f32::NEG_INFINITY, select(x == f32::INFINITY, x, f32::NAN));
            select((x > 0.0) & (x < f32::INFINITY), y, edge)
        }

        #[inline(always)]
        pub fn log(x: f32) -> f32 {
            let (e, f, tail) = log_parts(x);
            log_edges(x, fma(e, LN2_HIGH, f + fma(e, LN2_LOW, tail)))
        }

        /// To another base: `one` is that base's logarithm of e, `two` that of 2, the first parts of both so short that
        /// products with them are exact.
        #[inline(always)]
        fn log_to_base(x: f32, one: [f32; 2], two: [f32; 2]) -> f32 {
            let (e, f, tail) = log_parts(x);
            // 12 bits of the sum, and the rest of it.
            let sum = f + tail;
            let high = f32::from_bits(sum.to_bits() & 0xffff_f000);
            let low = (f - high) + tail;
            let rest = fma(low, one[0], fma(sum, one[1], e * two[1]));
            log_edges(x, fma(e, two[0], fma(high, one[0], rest)))
        }

        #[inline(always)]
        pub fn log2(x: f32) -> f32 {
            log_to_base(x, [1.442_382_8, 3.122_284e-4], [1.0, 0.0])
        }

        #[inline(always)]
        pub fn log10(x: f32) -> f32 {
            log_to_base(x, [0.434_204_1, 9.038_034e-5], [0.300_781_25, 2.487_456_7e-4])
        }

        /// `log(1 + x)` plus what the sum has lost of `x`.
        #[inline(always)]
        pub fn log1p(x: f32) -> f32 {
            let u = 1.0 + x;
            let lost = select(x > 1.0, 1.0 - (u - x), x - (u - 1.0));
            let y = log(u);
            select(x == 0.0, x, select(y.abs() < f32::INFINITY, y + lost / u, y))
        }

        /// An odd polynomial up to 0.55, where the exponential's rounding would count.
        #[inline(always)]
        pub fn tanh(x: f32) -> f32 {
            const NEAR: [f32; 5] = [-0.333333313, 0.133330852, -0.0539060757, 0.0212947447, -0.00658894842];
            let size = x.abs();
            let square = x * x;
            let near = fma(size * square, polynomial(square, NEAR), size);
            let (n, r) = reduce(2.0 * within(size, 0.0, 10.0));
            let far = 1.0 - 2.0 / fma(power_of_two(n), expm1_reduced(r), power_of_two(n) + 1.0);
            select(size < 0.55, near, far).copysign(x)
        }

        /// The exponential of the negative side only, so that nothing overflows and small values stay exact.
        #[inline(always)]
        pub fn sigmoid(x: f32) -> f32 {
            let e = exp(-x.abs());
            let side = select(x < 0.0, e, 1.0);
            // As side / (1 + e), but for the rounding of 1 + e.
            fma(-side, e / (1.0 + e), side)
        }

        /// An odd polynomial up to 1; beyond, the complement as a power of two whose exponent is a polynomial.
        #[inline(always)]
        pub fn erf(x: f32) -> f32 {
            const NEAR: [f32; 7] =
                [0.128379166, -0.37612626, 0.112835854, -0.0268538147, 0.0051883338, -0.000801024085, 7.85400407e-05];
            const FAR: [f32; 7] =
                [-0.000510286947, -1.62597513, -0.920764863, -0.14865163, 0.0314584896, -0.00424097339, 0.000267728377];
            const EXP2: [f32; 6] = [1.0, 0.693146944, 0.240221202, 0.0555071346, 0.00967554189, 0.00132764678];
            let size = x.abs();
            let near = fma(x, polynomial(x * x, NEAR), x);
            let exponent = polynomial(if size > 4.0 { 4.0 } else { size }, FAR);
            let shifted = exponent + ROUND;
            let n = shifted - ROUND;
            let power = power_of_two((shifted.to_bits() as i32).wrapping_sub(ROUND.to_bits() as i32));
            let far = fma(-polynomial(exponent - n, EXP2), power, 1.0);
            select(size < 1.0, near, far.copysign(x))
        }

        #[inline(always)]
        pub fn nextafter(a: f32, b: f32) -> f32 {
            libm::nextafterf(a, b)
        }
    };
}
pub(super) use f32_polynomials;
