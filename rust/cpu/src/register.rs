//! A vector register as the loops of products and windows use it, for each instruction set.
//!
//! Loops are generic over it and are compiled for each by [`for_each_isa`]; elsewhere plain slices, which the compiler turns
//! into vectors, do as well (see `strided::vectorised`).

use crate::strided::Number;

/// Some neighbouring numbers, in one register.
pub(crate) trait Register: Copy {
    type Item: Number;
    const LANES: usize;
    /// Rows of the largest tile: with two registers to a row, all sums stay in registers.
    const ROWS: usize;

    /// # Safety
    /// Of all functions here: the machine has the instruction set, and as many items as lanes, or `count` of them, may
    /// be read or written.
    unsafe fn splat(value: Self::Item) -> Self;
    unsafe fn load(from: *const Self::Item) -> Self;
    unsafe fn store(self, to: *mut Self::Item);
    /// The first `count` lanes; the others are 0.
    unsafe fn load_part(from: *const Self::Item, count: usize) -> Self;
    unsafe fn store_part(self, to: *mut Self::Item, count: usize);
    /// `self + x · y`
    unsafe fn add_product(self, x: Self, y: Self) -> Self;
    unsafe fn add(self, other: Self) -> Self;

    /// The sums of the lanes of four registers.
    unsafe fn totals(four: [Self; 4]) -> [Self::Item; 4];
    /// Items to a side of the square that [`Register::turn`] moves.
    const SIDE: usize;
    /// Writes a square with its rows as columns: rows begin where `from` says, those of `to` are so far apart.
    unsafe fn turn(from: impl Fn(usize) -> *const Self::Item, to: *mut Self::Item, to_row: isize);

    #[inline(always)]
    unsafe fn zero() -> Self {
        Self::splat(Self::Item::ZERO)
    }
}

/// A register that the compiler chooses, for machines without those below.
#[derive(Clone, Copy)]
pub(crate) struct Plain<T, const N: usize>([T; N]);

impl<T: Number, const N: usize> Register for Plain<T, N> {
    type Item = T;
    const LANES: usize = N;
    const ROWS: usize = 4;

    #[inline(always)]
    unsafe fn splat(value: T) -> Self {
        Plain([value; N])
    }
    #[inline(always)]
    unsafe fn load(from: *const T) -> Self {
        Plain(from.cast::<[T; N]>().read_unaligned())
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut T) {
        to.cast::<[T; N]>().write_unaligned(self.0);
    }
    #[inline(always)]
    unsafe fn load_part(from: *const T, count: usize) -> Self {
        let mut lanes = [T::ZERO; N];
        for (i, lane) in lanes.iter_mut().enumerate().take(count) {
            *lane = *from.add(i);
        }
        Plain(lanes)
    }
    #[inline(always)]
    unsafe fn store_part(self, to: *mut T, count: usize) {
        for (i, &lane) in self.0.iter().enumerate().take(count) {
            *to.add(i) = lane;
        }
    }
    #[inline(always)]
    unsafe fn add_product(self, x: Self, y: Self) -> Self {
        Plain(std::array::from_fn(|i| self.0[i].plus(x.0[i].times(y.0[i]))))
    }
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        Plain(std::array::from_fn(|i| self.0[i].plus(other.0[i])))
    }
    #[inline(always)]
    unsafe fn totals(four: [Self; 4]) -> [T; 4] {
        four.map(|x| x.0.into_iter().fold(T::ZERO, T::plus))
    }
    const SIDE: usize = 4;
    #[inline(always)]
    unsafe fn turn(from: impl Fn(usize) -> *const T, to: *mut T, to_row: isize) {
        for i in 0..4 {
            for j in 0..4 {
                *to.offset(j as isize * to_row).add(i) = *from(i).add(j);
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::Register;
    use std::arch::x86_64::*;

    #[inline(always)]
    unsafe fn totals_ps(x: [__m256; 4]) -> [f32; 4] {
        let pairs = _mm256_hadd_ps(_mm256_hadd_ps(x[0], x[1]), _mm256_hadd_ps(x[2], x[3]));
        let sums = _mm_add_ps(_mm256_castps256_ps128(pairs), _mm256_extractf128_ps::<1>(pairs));
        std::mem::transmute(sums)
    }

    #[inline(always)]
    unsafe fn totals_pd(x: [__m256d; 4]) -> [f64; 4] {
        let (low, high) = (_mm256_hadd_pd(x[0], x[1]), _mm256_hadd_pd(x[2], x[3]));
        let (first, second) = (_mm256_permute2f128_pd::<0x20>(low, high), _mm256_permute2f128_pd::<0x31>(low, high));
        std::mem::transmute(_mm256_add_pd(first, second))
    }

    #[inline(always)]
    unsafe fn halves_ps(x: __m512) -> __m256 {
        _mm256_add_ps(_mm512_castps512_ps256(x), _mm512_extractf32x8_ps::<1>(x))
    }

    #[inline(always)]
    unsafe fn totals_ps512(x: [__m512; 4]) -> [f32; 4] {
        totals_ps([halves_ps(x[0]), halves_ps(x[1]), halves_ps(x[2]), halves_ps(x[3])])
    }

    #[inline(always)]
    unsafe fn halves_pd(x: __m512d) -> __m256d {
        _mm256_add_pd(_mm512_castpd512_pd256(x), _mm512_extractf64x4_pd::<1>(x))
    }

    #[inline(always)]
    unsafe fn totals_pd512(x: [__m512d; 4]) -> [f64; 4] {
        totals_pd([halves_pd(x[0]), halves_pd(x[1]), halves_pd(x[2]), halves_pd(x[3])])
    }

    /// Columns of four rows of 8, in the halves apart: the first column with the fifth, and so on.
    #[inline(always)]
    unsafe fn columns_ps(rows: [*const f32; 4]) -> [__m256; 4] {
        let [a, b, c, d] = rows.map(|row| _mm256_loadu_ps(row));
        let (ab, ab_high) = (_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b));
        let (cd, cd_high) = (_mm256_unpacklo_ps(c, d), _mm256_unpackhi_ps(c, d));
        [
            _mm256_shuffle_ps::<0x44>(ab, cd),
            _mm256_shuffle_ps::<0xee>(ab, cd),
            _mm256_shuffle_ps::<0x44>(ab_high, cd_high),
            _mm256_shuffle_ps::<0xee>(ab_high, cd_high),
        ]
    }

    #[inline(always)]
    unsafe fn turn_ps(from: impl Fn(usize) -> *const f32, to: *mut f32, to_row: isize) {
        let (top, bottom) = (columns_ps([0, 1, 2, 3].map(&from)), columns_ps([4, 5, 6, 7].map(&from)));
        for i in 0..4 {
            let first = _mm256_permute2f128_ps::<0x20>(top[i], bottom[i]);
            let fifth = _mm256_permute2f128_ps::<0x31>(top[i], bottom[i]);
            _mm256_storeu_ps(to.offset(i as isize * to_row), first);
            _mm256_storeu_ps(to.offset((i as isize + 4) * to_row), fifth);
        }
    }

    #[inline(always)]
    unsafe fn turn_pd(from: impl Fn(usize) -> *const f64, to: *mut f64, to_row: isize) {
        let [a, b, c, d] = [0, 1, 2, 3].map(|i| _mm256_loadu_pd(from(i)));
        let (ab, cd) = (_mm256_unpacklo_pd(a, b), _mm256_unpacklo_pd(c, d));
        let (ab_high, cd_high) = (_mm256_unpackhi_pd(a, b), _mm256_unpackhi_pd(c, d));
        _mm256_storeu_pd(to, _mm256_permute2f128_pd::<0x20>(ab, cd));
        _mm256_storeu_pd(to.offset(to_row), _mm256_permute2f128_pd::<0x20>(ab_high, cd_high));
        _mm256_storeu_pd(to.offset(2 * to_row), _mm256_permute2f128_pd::<0x31>(ab, cd));
        _mm256_storeu_pd(to.offset(3 * to_row), _mm256_permute2f128_pd::<0x31>(ab_high, cd_high));
    }

    /// Masks of AVX2 begin at `LANES - count`: as many lanes with the sign bit as are wanted, then none.
    static SIGNS: [i32; 16] = [-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0];

    macro_rules! register {
        ($Wide:ty, $T:ty, lanes $LANES:literal, rows $ROWS:literal, $splat:ident $load:ident $store:ident $fma:ident $add:ident,
         mask |$count:ident| $mask:expr, |$part_from:ident, $load_mask:ident| $load_part:expr,
         |$part_to:ident, $store_mask:ident, $value:ident| $store_part:expr,
         totals $totals:ident, turn $SIDE:literal $turn:ident) => {
            impl Register for $Wide {
                type Item = $T;
                const LANES: usize = $LANES;
                const ROWS: usize = $ROWS;

                #[inline(always)]
                unsafe fn splat(value: $T) -> Self {
                    $splat(value)
                }
                #[inline(always)]
                unsafe fn load(from: *const $T) -> Self {
                    $load(from)
                }
                #[inline(always)]
                unsafe fn store(self, to: *mut $T) {
                    $store(to, self)
                }
                #[inline(always)]
                unsafe fn load_part($part_from: *const $T, $count: usize) -> Self {
                    let $load_mask = $mask;
                    $load_part
                }
                #[inline(always)]
                unsafe fn store_part(self, $part_to: *mut $T, $count: usize) {
                    let ($store_mask, $value) = ($mask, self);
                    $store_part
                }
                #[inline(always)]
                unsafe fn add_product(self, x: Self, y: Self) -> Self {
                    $fma(x, y, self)
                }
                #[inline(always)]
                unsafe fn add(self, other: Self) -> Self {
                    $add(self, other)
                }
                #[inline(always)]
                unsafe fn totals(four: [Self; 4]) -> [$T; 4] {
                    $totals(four)
                }
                const SIDE: usize = $SIDE;
                #[inline(always)]
                unsafe fn turn(from: impl Fn(usize) -> *const $T, to: *mut $T, to_row: isize) {
                    $turn(from, to, to_row)
                }
            }
        };
    }

    register!(__m512, f32, lanes 16, rows 12, _mm512_set1_ps _mm512_loadu_ps _mm512_storeu_ps _mm512_fmadd_ps _mm512_add_ps,
        mask |count| ((1u32 << count) - 1) as __mmask16, |from, mask| _mm512_maskz_loadu_ps(mask, from),
        |to, mask, value| _mm512_mask_storeu_ps(to, mask, value),
        totals totals_ps512, turn 8 turn_ps);
    register!(__m512d, f64, lanes 8, rows 12, _mm512_set1_pd _mm512_loadu_pd _mm512_storeu_pd _mm512_fmadd_pd _mm512_add_pd,
        mask |count| ((1u32 << count) - 1) as __mmask8, |from, mask| _mm512_maskz_loadu_pd(mask, from),
        |to, mask, value| _mm512_mask_storeu_pd(to, mask, value),
        totals totals_pd512, turn 4 turn_pd);
    register!(__m256, f32, lanes 8, rows 6, _mm256_set1_ps _mm256_loadu_ps _mm256_storeu_ps _mm256_fmadd_ps _mm256_add_ps,
        mask |count| _mm256_loadu_si256(SIGNS.as_ptr().add(8 - count).cast()), |from, mask| _mm256_maskload_ps(from, mask),
        |to, mask, value| _mm256_maskstore_ps(to, mask, value),
        totals totals_ps, turn 8 turn_ps);
    register!(__m256d, f64, lanes 4, rows 6, _mm256_set1_pd _mm256_loadu_pd _mm256_storeu_pd _mm256_fmadd_pd _mm256_add_pd,
        mask |count| _mm256_loadu_si256(SIGNS.as_ptr().add(8 - 2 * count).cast()), |from, mask| _mm256_maskload_pd(from, mask),
        |to, mask, value| _mm256_maskstore_pd(to, mask, value),
        totals totals_pd, turn 4 turn_pd);
}

/// One of three statics that `$make!` makes of the type `$T`, its register and the features that this takes: that for the
/// instruction set `$isa`, which the machine has.
macro_rules! for_each_isa {
    ($isa:expr, f32, $Made:ty, $make:ident) => {
        $crate::register::for_each_isa!(@ $isa, f32, 4, __m256, __m512, $Made, $make)
    };
    ($isa:expr, f64, $Made:ty, $make:ident) => {
        $crate::register::for_each_isa!(@ $isa, f64, 2, __m256d, __m512d, $Made, $make)
    };
    (@ $isa:expr, $T:ident, $lanes:literal, $wide:ident, $widest:ident, $Made:ty, $make:ident) => {{
        static BASE: $Made = $make!($T, $crate::register::Plain<$T, $lanes>);
        #[cfg(target_arch = "x86_64")]
        {
            use $crate::elementwise::Isa;
            static AVX2: $Made = $make!($T, std::arch::x86_64::$wide, "avx2,fma");
            static AVX512: $Made =
                $make!($T, std::arch::x86_64::$widest, "avx512f,avx512vl,avx512bw,avx512dq,avx2,fma");
            match $isa {
                Isa::Avx512 => return &AVX512,
                Isa::Avx2 => return &AVX2,
                Isa::Base => {}
            }
        }
        &BASE
    }};
}
pub(crate) use for_each_isa;
