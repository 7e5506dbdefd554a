//! The instruction set that kernels use: the best of this machine, or a lesser one that
//! `WENGERT_ISA` (`base`, `avx2`, `avx512`) asks for.

use std::sync::atomic::{AtomicU8, Ordering};

/// An instruction set that kernels are compiled for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(u8)]
pub enum Isa {
    Base = 1,
    Avx2 = 2,
    Avx512 = 3,
}

impl Isa {
    pub const ALL: [Isa; 3] = [Isa::Base, Isa::Avx2, Isa::Avx512];

    /// Whether this machine has it.
    #[cfg(target_arch = "x86_64")]
    pub fn available(self) -> bool {
        let avx2 = || is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
        match self {
            Isa::Base => true,
            Isa::Avx2 => avx2(),
            Isa::Avx512 => {
                avx2()
                    && is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512vl")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512cd")
            }
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    pub fn available(self) -> bool {
        self == Isa::Base
    }

    /// What this process uses.
    #[inline]
    pub fn current() -> Isa {
        match CHOSEN.load(Ordering::Relaxed) {
            1 => Isa::Base,
            2 => Isa::Avx2,
            3 => Isa::Avx512,
            _ => choose(),
        }
    }
}

static CHOSEN: AtomicU8 = AtomicU8::new(0);

#[cold]
fn choose() -> Isa {
    let limit = match std::env::var("WENGERT_ISA").as_deref() {
        Ok("base") => Isa::Base,
        Ok("avx2") => Isa::Avx2,
        _ => Isa::Avx512,
    };
    let best = Isa::ALL.into_iter().rev().find(|isa| *isa <= limit && isa.available()).unwrap_or(Isa::Base);
    CHOSEN.store(best as u8, Ordering::Relaxed);
    best
}
