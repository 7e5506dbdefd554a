//! How a gradient passes through a row's partials.

/// One partial applied to an incoming gradient.
pub trait Pull<T> {
    fn pull(self, g: T) -> T;
}

/// All partials of a row, of which a kernel uses the one it was made for.
pub trait Partials<T> {
    fn pull<const I: usize>(self, g: T) -> T;
}

macro_rules! pulls {
    ($($T:ident)*) => { $(
        impl Pull<$T> for $T {
            #[inline(always)]
            fn pull(self, g: $T) -> $T { g * self }
        }
        /// A condition passes the gradient or stops it, even where it is infinite or NaN.
        impl Pull<$T> for bool {
            #[inline(always)]
            fn pull(self, g: $T) -> $T { if self { g } else { 0.0 } }
        }
        impl Partials<$T> for () {
            #[inline(always)]
            fn pull<const I: usize>(self, _: $T) -> $T { 0.0 }
        }
    )* };
}
pulls! { f32 f64 }

/// A bare literal in a tuple of partials is an `f64` by inference.
impl Pull<f32> for f64 {
    #[inline(always)]
    fn pull(self, g: f32) -> f32 {
        g * self as f32
    }
}

macro_rules! tuples {
    ($($P:ident $i:tt),*) => {
        impl<T: Copy, $($P: Pull<T>),*> Partials<T> for ($($P,)*) {
            #[inline(always)]
            fn pull<const I: usize>(self, g: T) -> T {
                match I {
                    $($i => self.$i.pull(g),)*
                    _ => g,
                }
            }
        }
    };
}
tuples! { A 0 }
tuples! { A 0, B 1 }
tuples! { A 0, B 1, C 2 }
tuples! { A 0, B 1, C 2, D 3 }

/// Where a name stands in a list: turns an input's name into a const generic.
pub const fn position(names: &[&str], name: &str) -> usize {
    let mut i = 0;
    while i < names.len() {
        if same(names[i].as_bytes(), name.as_bytes()) {
            return i;
        }
        i += 1;
    }
    usize::MAX
}

const fn same(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let mut i = 0;
    while i < a.len() {
        if a[i] != b[i] {
            return false;
        }
        i += 1;
    }
    true
}
