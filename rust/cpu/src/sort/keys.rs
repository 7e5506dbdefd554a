//! Elements as unsigned numbers in the wanted order: NaN greatest, zeros equal, turned round when descending.

use crate::strided::{Bool, Element};
use half::{bf16, f16};

/// The bits of a key.
pub(super) trait Bits: Copy + Ord + Default + Send + Sync {
    fn wide(self) -> u64;
    /// Of one that was made wide.
    fn of(wide: u64) -> Self;
}
impl Bits for u32 {
    #[inline(always)]
    fn wide(self) -> u64 {
        self.into()
    }
    #[inline(always)]
    fn of(wide: u64) -> u32 {
        wide as u32
    }
}
impl Bits for u64 {
    #[inline(always)]
    fn wide(self) -> u64 {
        self
    }
    #[inline(always)]
    fn of(wide: u64) -> u64 {
        wide
    }
}

/// Elements with an order-preserving unsigned key.
pub(super) trait Ordered: Element {
    type Key: Bits;
    /// A key with a position.
    type Packed: Packed;
    fn key(self, descending: bool) -> Self::Key;
}

/// A key above a position in one integer, so that no two of a line are equal and a fast unstable sort is stable.
pub(super) trait Packed: Copy + Ord + Send + Sync {
    fn pack(key: u64, position: usize) -> Self;
    fn key(self) -> u64;
    fn position(self) -> usize;
}

macro_rules! packed {
    ($($T:ty, $shift:literal;)*) => {$(
        impl Packed for $T {
            #[inline(always)]
            fn pack(key: u64, position: usize) -> $T {
                ((key as $T) << $shift) | position as $T
            }
            #[inline(always)]
            fn key(self) -> u64 {
                (self >> $shift) as u64
            }
            #[inline(always)]
            fn position(self) -> usize {
                (self & ((1 << $shift) - 1)) as usize
            }
        }
    )*};
}
packed! { u64, 32; u128, 64; }

macro_rules! ordered {
    ($($T:ty, $Key:ty, $Packed:ty, $key:expr;)*) => {$(
        impl Ordered for $T {
            type Key = $Key;
            type Packed = $Packed;
            #[inline(always)]
            fn key(self, descending: bool) -> $Key {
                let key: $Key = $key(self);
                if descending { !key } else { key }
            }
        }
    )*};
}

ordered! {
    Bool, u32, u64, |x: Bool| (x.0 != 0) as u32;
    u8, u32, u64, |x: u8| x as u32;
    i8, u32, u64, |x: i8| x as u32 ^ 1 << 31;
    i16, u32, u64, |x: i16| x as u32 ^ 1 << 31;
    i32, u32, u64, |x: i32| x as u32 ^ 1 << 31;
    f16, u32, u64, |x: f16| float_key(x.to_f32());
    bf16, u32, u64, |x: bf16| float_key(x.to_f32());
    f32, u32, u64, float_key;
    i64, u64, u128, |x: i64| x as u64 ^ 1 << 63;
    f64, u64, u128, double_key;
}

#[inline(always)]
fn float_key(x: f32) -> u32 {
    if x.is_nan() {
        return u32::MAX;
    }
    let bits = (x + 0.0).to_bits(); // −0 becomes 0
                                    // All bits of what is below 0 are turned, else the sign: no branch, as signs are hard to foresee.
    bits ^ ((bits as i32 >> 31) as u32 | 1 << 31)
}

#[inline(always)]
fn double_key(x: f64) -> u64 {
    if x.is_nan() {
        return u64::MAX;
    }
    let bits = (x + 0.0).to_bits();
    bits ^ ((bits as i64 >> 63) as u64 | 1 << 63)
}
