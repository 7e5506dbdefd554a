//! Between f32 and the half precisions: without branches, so that loops over them vectorise, and by the processor's own
//! instructions where it has them.

use crate::strided::Element;
use wengert_ops::DType;

/// The f32 of an f16's bits; exact. NaN becomes quiet.
#[inline(always)]
pub(crate) fn f16_to_f32(bits: u16) -> f32 {
    let magnitude = u32::from(bits & 0x7fff) << 13;
    let sign = u32::from(bits & 0x8000) << 16;
    // Times 2^112: the difference of the exponents' zeros. What is subnormal becomes normal.
    let finite = (f32::from_bits(magnitude) * f32::from_bits(0x7780_0000)).to_bits();
    let nan = magnitude | 0x7fc0_0000;
    let special = if magnitude > 0x0f80_0000 { nan } else { 0x7f80_0000 };
    f32::from_bits(sign | if magnitude >= 0x0f80_0000 { special } else { finite })
}

/// The bits of the f16 nearest to an f32, of two the even one. NaN becomes quiet and keeps what fits.
#[inline(always)]
pub(crate) fn f32_to_f16(v: f32) -> u16 {
    let magnitude = v.to_bits() & 0x7fff_ffff;
    let sign = (v.to_bits() >> 16) & 0x8000;
    // 2⁻¹⁴ and more: rounding adds just less than half of the last place, and 1 if that is odd.
    let odd = (magnitude >> 13) & 1;
    let normal = magnitude.wrapping_sub(0x3800_0000).wrapping_add(0xfff + odd) >> 13;
    // Less: beside 0.5, the last place of an f32 is that of a subnormal f16, and the addition rounds.
    let subnormal = (f32::from_bits(magnitude) + 0.5).to_bits().wrapping_sub(0x3f00_0000);
    let finite = if magnitude < 0x3880_0000 { subnormal } else { normal };
    let nan = 0x7e00 | ((magnitude >> 13) & 0x3ff);
    let special = if magnitude > 0x7f80_0000 { nan } else { 0x7c00 };
    // From 65520 on, the middle between the largest f16 and the next power of two.
    (sign | if magnitude >= 0x477f_f000 { special } else { finite }) as u16
}

/// The bits of the bf16 nearest to an f32, of two the even one. NaN becomes quiet and keeps what fits.
#[inline(always)]
pub(crate) fn f32_to_bf16(v: f32) -> u16 {
    let bits = v.to_bits();
    let rounded = bits.wrapping_add(0x7fff + ((bits >> 16) & 1));
    ((if v.is_nan() { bits | 0x0040_0000 } else { rounded }) >> 16) as u16
}

/// Converts a slice between f16 and f32 by the processor's instructions. `false`: it has none, or these are other types.
#[inline(always)]
pub(crate) fn convert<S: Element, D: Element>(from: &[S], to: &mut [D]) -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        use crate::elementwise::Isa;
        let known = matches!((S::DTYPE, D::DTYPE), (DType::F32, DType::F16) | (DType::F16, DType::F32));
        if known && Isa::current() >= Isa::Avx2 && is_x86_feature_detected!("f16c") {
            let len = from.len().min(to.len());
            let (from, to) = (from.as_ptr(), to.as_mut_ptr());
            // SAFETY: the dtypes say what the elements are; the slices have so many; the instructions are there.
            unsafe {
                match S::DTYPE {
                    DType::F32 => x86::narrow(from.cast(), to.cast(), len),
                    _ => x86::widen(from.cast(), to.cast(), len),
                }
            }
            return true;
        }
    }
    let _ = (from, to);
    false
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    /// # Safety
    /// `len` elements are readable and writable, and the processor has F16C.
    #[target_feature(enable = "avx,f16c")]
    pub(super) unsafe fn narrow(from: *const f32, to: *mut u16, len: usize) {
        let whole = len - len % 8;
        for i in (0..whole).step_by(8) {
            let half = _mm256_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(_mm256_loadu_ps(from.add(i)));
            _mm_storeu_si128(to.add(i).cast(), half);
        }
        for i in whole..len {
            *to.add(i) = super::f32_to_f16(*from.add(i));
        }
    }

    /// # Safety
    /// As [`narrow`].
    #[target_feature(enable = "avx,f16c")]
    pub(super) unsafe fn widen(from: *const u16, to: *mut f32, len: usize) {
        let whole = len - len % 8;
        for i in (0..whole).step_by(8) {
            _mm256_storeu_ps(to.add(i), _mm256_cvtph_ps(_mm_loadu_si128(from.add(i).cast())));
        }
        for i in whole..len {
            *to.add(i) = super::f16_to_f32(*from.add(i));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use half::{bf16, f16};

    #[test]
    fn every_f16_becomes_its_f32() {
        for bits in 0..=u16::MAX {
            assert_eq!(f16_to_f32(bits).to_bits(), f16::from_bits(bits).to_f32().to_bits(), "{bits:#x}");
        }
        let all: Vec<f16> = (0..=u16::MAX).map(f16::from_bits).collect();
        let mut wide = vec![0f32; all.len()];
        if convert(&all, &mut wide) {
            assert!(all.iter().zip(&wide).all(|(h, v)| h.to_f32().to_bits() == v.to_bits()));
        }
    }

    #[test]
    fn f32_are_rounded_as_the_half_crate_rounds_them() {
        let edges = [0u32, 0x3380_0000, 0x3380_0001, 0x387f_ffff, 0x3880_0000, 0x477f_efff, 0x477f_f000, 0x7f7f_ffff];
        let special = [0x7f80_0000u32, 0x7f80_0001, 0x7fc0_0000, 0x7fff_ffff];
        let near = |bits: u32| [bits.wrapping_sub(1), bits, bits.wrapping_add(1)];
        // Each f16, the middles between two, and their neighbours.
        let halves = (0..=u16::MAX).flat_map(|b| {
            let bits = f16::from_bits(b).to_f32().to_bits();
            near(bits).into_iter().chain(near(bits + 0x1000)).chain(near(bits ^ 0x0800))
        });
        let step = if cfg!(miri) { 1 << 24 } else { 4099 };
        let all = (0..u32::MAX).step_by(step);
        for bits in edges.into_iter().chain(special).flat_map(near).chain(halves).chain(all) {
            let (both, mut by_instruction) = ([bits, bits ^ 0x8000_0000].map(f32::from_bits), [f16::ZERO; 8]);
            let eight: [f32; 8] = std::array::from_fn(|k| both[k % 2]);
            let converted = convert(&eight, &mut by_instruction);
            for (k, v) in both.into_iter().enumerate() {
                let bits = v.to_bits();
                assert!(!converted || by_instruction[k].to_bits() == f32_to_f16(v), "{bits:#x}");
                assert_eq!(f32_to_f16(v), f16::from_f32_const(v).to_bits(), "{bits:#x}");
                assert_eq!(f32_to_bf16(v), bf16::from_f32(v).to_bits(), "{bits:#x}");
            }
        }
    }
}
