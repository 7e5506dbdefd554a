//! How many f32 operations a second this machine's processors do at most: chains of fused multiply-adds that live in
//! registers, on one thread for each processor. benches/python/limits.py measures kernels against it.
//!
//! Nothing but the standard library is used, so that `rustc` alone compiles this file, in a second.

use std::hint::black_box;
use std::thread;
use std::time::Instant;

/// Side by side, since each step of a chain waits some cycles for the one before it; so many fit into 16 registers.
const CHAINS: usize = 12;
/// Steps of each chain in a round, which is so short that few are interrupted.
const STEPS: usize = 1_000_000;
const ROUNDS: usize = 501;

/// `STEPS` steps of `CHAINS` chains `v = v · x + y` over vectors, `step(v, x, y)` each.
#[inline(always)]
fn run<V: Copy>(splat: impl Fn(f32) -> V, step: impl Fn(V, V, V) -> V) {
    // Opaque numbers: chains that are known to be alike would be one to the compiler.
    let mut chains = [0.0; CHAINS].map(|v| splat(black_box(v)));
    let (x, y) = (splat(black_box(0.5)), splat(black_box(1.0)));
    for _ in 0..STEPS {
        for v in &mut chains {
            *v = step(*v, x, y);
        }
    }
    black_box(chains);
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    #[target_feature(enable = "avx512f")]
    pub fn avx512() {
        super::run(|v| _mm512_set1_ps(v), |v, x, y| _mm512_fmadd_ps(v, x, y));
    }

    #[target_feature(enable = "avx2,fma")]
    pub fn avx2() {
        super::run(|v| _mm256_set1_ps(v), |v, x, y| _mm256_fmadd_ps(v, x, y));
    }

    /// A product and a sum: there is nothing fused here.
    pub fn sse2() {
        // SAFETY: SSE2 belongs to every x86-64.
        super::run(|v| unsafe { _mm_set1_ps(v) }, |v, x, y| unsafe { _mm_add_ps(_mm_mul_ps(v, x), y) });
    }
}

/// The instruction set's name, the work of a thread in it, and the floats of its vectors.
#[cfg(target_arch = "x86_64")]
fn best() -> (&'static str, fn(), usize) {
    if is_x86_feature_detected!("avx512f") {
        // SAFETY: was just found.
        ("AVX-512", || unsafe { x86::avx512() }, 16)
    } else if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
        // SAFETY: was just found.
        ("AVX2", || unsafe { x86::avx2() }, 8)
    } else {
        ("SSE2", x86::sse2, 4)
    }
}

/// Elsewhere the compiler finds vectors for four floats.
#[cfg(not(target_arch = "x86_64"))]
fn best() -> (&'static str, fn(), usize) {
    fn fused() {
        run(|v| [v; 4], |v, x, y| std::array::from_fn(|i| v[i].mul_add(x[i], y[i])));
    }
    ("mul_add", fused, 4)
}

/// Operations a second of one thread: the median of its rounds.
fn rate(work: fn(), floats: usize) -> f64 {
    let round = |_| {
        let start = Instant::now();
        work();
        start.elapsed()
    };
    let mut times: Vec<_> = (0..ROUNDS).map(round).collect();
    times.sort();
    (2 * floats * CHAINS * STEPS) as f64 / times[ROUNDS / 2].as_secs_f64()
}

fn main() {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let (name, work, floats) = best();
    let sum: f64 = thread::scope(|scope| {
        let started: Vec<_> = (0..threads).map(|_| scope.spawn(|| rate(work, floats))).collect();
        started.into_iter().map(|t| t.join().expect("a thread panicked")).sum()
    });
    println!("{:.1} GFLOP/s of f32, {name}, threads: {threads}", sum / 1e9);
}
