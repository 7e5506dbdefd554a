//! The Mersenne twister, and a generator whose streams and saved state are those of torch's CPU generator.

use crate::strided::vectorised;
use wengert_ops::{fail, Result};

const N: usize = 624;
const M: usize = 397;
/// torch's saved states tell a stream not yet drawn from apart from one at the end of a block.
const FRESH: usize = N + 1;
/// Bytes of a saved state, in torch's layout.
pub const STATE_BYTES: usize = 5056;
/// Where the fields stand in it.
const LEFT: usize = 8;
const SEEDED: usize = 12;
const NEXT: usize = 16;
const STATE: usize = 24;
const NORMAL: usize = STATE + 8 * N + 8;
const NORMAL_VALID: usize = NORMAL + 16;

/// A stream of random numbers, seeded with any 64-bit number (the low half counts, as in torch).
#[derive(Clone)]
pub struct Generator {
    seed: u64,
    state: [u32; N],
    /// Position of the next word; `N` when the block is used up, `FRESH` when none was made.
    next: usize,
    /// The second half of a pair of normals drawn one by one.
    pub(super) spare_normal: Option<f64>,
}

/// Numbers that say where a stream stands.
pub const PLACE: usize = N + 1;

/// A word of the state as it is given out.
#[inline(always)]
fn tempered(mut y: u32) -> u32 {
    y ^= y >> 11;
    y ^= (y << 7) & 0x9d2c_5680;
    y ^= (y << 15) & 0xefc6_0000;
    y ^ (y >> 18)
}

#[inline(always)]
fn temper_body(state: &[u32], out: &mut [u32]) {
    out.iter_mut().zip(state).for_each(|(y, &x)| *y = tempered(x));
}
vectorised! { fn temper<>(state: &[u32], out: &mut [u32]) = temper_body }

/// The next state.
#[inline(always)]
fn twist_body(state: &mut [u32; N]) {
    let twist = |u: u32, v: u32| {
        let mixed = (u & 0x8000_0000) | (v & 0x7fff_ffff);
        (mixed >> 1) ^ (0x9908_b0df & (v & 1).wrapping_neg())
    };
    // Loops whose places need no modulus become vectors.
    for i in 0..N - M {
        state[i] = state[i + M] ^ twist(state[i], state[i + 1]);
    }
    for i in N - M..N - 1 {
        state[i] = state[i + M - N] ^ twist(state[i], state[i + 1]);
    }
    state[N - 1] = state[M - 1] ^ twist(state[N - 1], state[0]);
}
vectorised! { fn twist<>(state: &mut [u32; N]) = twist_body }

/// The seed of a generator that was given none.
pub const DEFAULT_SEED: u64 = 67_280_421_310_721;

impl Default for Generator {
    fn default() -> Self {
        Generator::new(DEFAULT_SEED)
    }
}

impl std::fmt::Debug for Generator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Generator(seed {}, word {})", self.seed, self.next)
    }
}

impl Generator {
    /// A generator seeded with `seed`.
    pub fn new(seed: u64) -> Generator {
        let mut state = [seed as u32; N];
        for i in 1..N {
            let last = state[i - 1];
            state[i] = (last ^ (last >> 30)).wrapping_mul(1_812_433_253).wrapping_add(i as u32);
        }
        Generator { seed, state, next: FRESH, spare_normal: None }
    }

    /// Starts anew from a seed (torch's `manual_seed`).
    pub fn seed(&mut self, seed: u64) {
        *self = Generator::new(seed);
    }

    /// The seed this stream started from.
    pub fn initial_seed(&self) -> u64 {
        self.seed
    }

    /// The next 32 random bits.
    #[inline]
    pub fn next_u32(&mut self) -> u32 {
        if self.next >= N {
            self.refill();
        }
        let y = self.state[self.next];
        self.next += 1;
        tempered(y)
    }

    /// As many times the next 32 random bits.
    pub fn words(&mut self, out: &mut [u32]) {
        let mut done = 0;
        while done < out.len() {
            if self.next >= N {
                self.refill();
            }
            let count = (N - self.next).min(out.len() - done);
            temper(&self.state[self.next..self.next + count], &mut out[done..done + count]);
            (self.next, done) = (self.next + count, done + count);
        }
    }

    /// The next 64 random bits: the first word drawn is the high half.
    #[inline]
    pub fn next_u64(&mut self) -> u64 {
        let high = self.next_u32() as u64;
        high << 32 | self.next_u32() as u64
    }

    #[cold]
    fn refill(&mut self) {
        twist(&mut self.state);
        self.next = 0;
    }

    /// Passes over so many words.
    pub fn skip(&mut self, mut words: u64) {
        while words > 0 {
            if self.next >= N {
                self.refill();
            }
            let count = ((N - self.next) as u64).min(words);
            (self.next, words) = (self.next + count as usize, words - count);
        }
    }

    /// Where the stream stands; [`Generator::at`] goes on from there.
    pub fn place(&self) -> [u32; PLACE] {
        let mut place = [self.next as u32; PLACE];
        place[1..].copy_from_slice(&self.state);
        place
    }

    /// A generator that goes on from a place.
    pub fn at(place: &[u32; PLACE]) -> Generator {
        let mut state = [0; N];
        state.copy_from_slice(&place[1..]);
        Generator { seed: 0, state, next: place[0] as usize, spare_normal: None }
    }

    /// The state as bytes that `torch.Generator.set_state` reads too.
    pub fn state_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![0u8; STATE_BYTES];
        let mut put = |at: usize, field: &[u8]| bytes[at..at + field.len()].copy_from_slice(field);
        // torch counts what is left of the block, the word it is about to skip included.
        let (left, next) = match self.next {
            FRESH => (1, 0),
            next => (N - next + 1, next),
        };
        put(0, &self.seed.to_le_bytes());
        put(LEFT, &(left as i32).to_le_bytes());
        put(SEEDED, &1i32.to_le_bytes());
        put(NEXT, &(next as u64).to_le_bytes());
        for (i, &word) in self.state.iter().enumerate() {
            put(STATE + 8 * i, &(word as u64).to_le_bytes());
        }
        if let Some(normal) = self.spare_normal {
            put(NORMAL, &normal.to_le_bytes());
            put(NORMAL_VALID, &1i32.to_le_bytes());
        }
        bytes
    }

    /// Takes over a state saved by [`Generator::state_bytes`] or by torch.
    pub fn set_state(&mut self, bytes: &[u8]) -> Result<()> {
        if bytes.len() != STATE_BYTES {
            fail!(
                runtime,
                "set_state: expected a generator state of {STATE_BYTES} bytes, but found {}; pass what get_state returned",
                bytes.len()
            );
        }
        let word = |at: usize| u64::from_le_bytes(std::array::from_fn(|i| bytes[at + i]));
        let half = |at: usize| i32::from_le_bytes(std::array::from_fn(|i| bytes[at + i]));
        let (left, next) = (half(LEFT), word(NEXT));
        if half(SEEDED) != 1 || !(1..=N as i32).contains(&left) || next > N as u64 {
            fail!(runtime, "set_state: invalid mt19937 state; pass what get_state returned");
        }
        self.seed = word(0);
        self.next = match (left, next) {
            (1, 0) => FRESH,
            (1, _) => N,
            _ => next as usize,
        };
        for (i, state) in self.state.iter_mut().enumerate() {
            *state = word(STATE + 8 * i) as u32;
        }
        self.spare_normal = (half(NORMAL_VALID) != 0).then(|| f64::from_bits(word(NORMAL)));
        Ok(())
    }
}
