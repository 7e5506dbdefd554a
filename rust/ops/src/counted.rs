//! A counted pointer for what every operation makes and lets go of.
//!
//! `Arc` pays atomic read-modify-writes where a tensor that nobody else holds needs none: one to look whether it is
//! alone, two to go. Here a last holder sees by a load that it is the last, as long as no weak handle was ever made.
//! On a small taped addition that is six of ten such instructions.

use std::marker::PhantomData;
use std::ops::Deref;
use std::ptr::NonNull;
use std::sync::atomic::{fence, AtomicUsize, Ordering};

/// Set in the count of holders once a weak handle was made: it may make holders out of nothing.
const WATCHED: usize = 1;
/// One holder.
const ONE: usize = 2;
/// More holders than memory could hold are a leak on its way to an overflow.
const MOST: usize = isize::MAX as usize;

struct Inner<T> {
    /// Holders, times [`ONE`], and [`WATCHED`].
    holders: AtomicUsize,
    /// Weak handles, and one for all holders together.
    handles: AtomicUsize,
    value: T,
}

/// A holder of a shared `T`, which goes with its last holder.
pub struct Counted<T> {
    inner: NonNull<Inner<T>>,
    owns: PhantomData<T>,
}

/// Finds a shared `T` as long as it has a holder.
pub struct Watcher<T> {
    inner: NonNull<Inner<T>>,
}

/// Memory of a shared `T` that is not there yet. Without [`Unwritten::finish`] it is lost.
#[must_use]
pub struct Unwritten<T>(NonNull<Inner<T>>);

impl<T> Unwritten<T> {
    /// Where the value will stand.
    #[inline(always)]
    pub fn place(&self) -> *mut T {
        // SAFETY: the address of a field of memory that nobody else knows.
        unsafe { &raw mut (*self.0.as_ptr()).value }
    }

    /// The first holder.
    ///
    /// # Safety
    /// A whole value was written to its [`place`](Unwritten::place).
    #[inline(always)]
    pub unsafe fn finish(self) -> Counted<T> {
        Counted { inner: self.0, owns: PhantomData }
    }
}

// SAFETY: as for `Arc`: holders on several threads see the value at once, and any of them may be the one to drop it.
unsafe impl<T: Send + Sync> Send for Counted<T> {}
// SAFETY: as above.
unsafe impl<T: Send + Sync> Sync for Counted<T> {}
// SAFETY: as above; a watcher may become a holder.
unsafe impl<T: Send + Sync> Send for Watcher<T> {}
// SAFETY: as above.
unsafe impl<T: Send + Sync> Sync for Watcher<T> {}

impl<T> Counted<T> {
    /// The first holder of a value.
    #[inline(always)]
    pub fn new(value: T) -> Counted<T> {
        // The memory first, so that the value is built where it stays: its fields would be copied once more, in wider
        // pieces than they were written, which stalls the processor.
        let made = Counted::<T>::begin();
        // SAFETY: the whole value is written.
        unsafe {
            made.place().write(value);
            made.finish()
        }
    }

    /// As [`Counted::new`], of a value that will be put together where it stays, field by field: the compiler builds
    /// large values on the stack and copies them, in wider pieces than it wrote them, which stalls the processor.
    #[inline(always)]
    pub fn begin() -> Unwritten<T> {
        const { assert!(std::mem::size_of::<Inner<T>>() > 0) };
        let layout = std::alloc::Layout::new::<Inner<T>>();
        // SAFETY: the size is not 0. What `Box` would do, which is a call of its own here.
        let place = unsafe { std::alloc::alloc(layout) }.cast::<Inner<T>>();
        let Some(place) = NonNull::new(place) else { std::alloc::handle_alloc_error(layout) };
        // SAFETY: fields of memory of this very layout.
        unsafe {
            (&raw mut (*place.as_ptr()).holders).write(AtomicUsize::new(ONE));
            (&raw mut (*place.as_ptr()).handles).write(AtomicUsize::new(1));
        }
        Unwritten(place)
    }

    #[inline]
    fn inner(&self) -> &Inner<T> {
        // SAFETY: what has a holder is alive.
        unsafe { self.inner.as_ref() }
    }

    /// Where the value stands, as long as it lives.
    #[inline]
    pub fn as_ptr(this: &Counted<T>) -> *const T {
        // SAFETY: the address of a field of what is alive.
        unsafe { &raw const (*this.inner.as_ptr()).value }
    }

    /// Whether both hold the same value.
    #[inline]
    pub fn ptr_eq(a: &Counted<T>, b: &Counted<T>) -> bool {
        a.inner == b.inner
    }

    /// How many holders there are now.
    #[inline]
    pub fn count(this: &Counted<T>) -> usize {
        this.inner().holders.load(Ordering::Acquire) / ONE
    }

    /// A weak handle, which does not keep the value.
    pub fn watch(this: &Counted<T>) -> Watcher<T> {
        let inner = this.inner();
        inner.holders.fetch_or(WATCHED, Ordering::Relaxed);
        inner.handles.fetch_add(1, Ordering::Relaxed);
        Watcher { inner: this.inner }
    }

    /// Gives the value out if this is its last holder.
    pub fn into_inner(this: Counted<T>) -> Option<T> {
        let inner = this.inner;
        std::mem::forget(this);
        // SAFETY: the holder that `this` was, which is not used again.
        unsafe { let_go(inner) }.then(|| {
            // SAFETY: no holder is left, and the value is not touched again.
            let value = unsafe { (&raw const (*inner.as_ptr()).value).read() };
            // SAFETY: the handle that all holders had together.
            unsafe { forget_handle(inner) };
            value
        })
    }
}

/// Takes one holder away; whether it was the last.
///
/// # Safety
/// The caller is a holder, and none any more afterwards.
#[inline]
unsafe fn let_go<T>(inner: NonNull<Inner<T>>) -> bool {
    let holders = &(*inner.as_ptr()).holders;
    // Alone and never watched: nobody else can come to it, so nothing need be written. What former holders did came
    // before their own last write, which this load acquires.
    if holders.load(Ordering::Acquire) == ONE {
        return true;
    }
    if holders.fetch_sub(ONE, Ordering::Release) / ONE != 1 {
        return false;
    }
    fence(Ordering::Acquire);
    true
}

/// Takes one weak handle away, or that of the holders; the last frees the memory.
///
/// # Safety
/// The caller has such a handle, and not any more afterwards; the value is gone if it was the holders'.
#[inline]
unsafe fn forget_handle<T>(inner: NonNull<Inner<T>>) {
    let handles = &(*inner.as_ptr()).handles;
    if handles.load(Ordering::Acquire) == 1 || handles.fetch_sub(1, Ordering::AcqRel) == 1 {
        // The value has been dropped or read: only its memory goes.
        drop(Box::from_raw(inner.as_ptr().cast::<std::mem::ManuallyDrop<Inner<T>>>()));
    }
}

impl<T> Deref for Counted<T> {
    type Target = T;
    #[inline]
    fn deref(&self) -> &T {
        &self.inner().value
    }
}

impl<T> Clone for Counted<T> {
    #[inline]
    fn clone(&self) -> Counted<T> {
        if self.inner().holders.fetch_add(ONE, Ordering::Relaxed) > MOST {
            std::process::abort();
        }
        Counted { inner: self.inner, owns: PhantomData }
    }
}

impl<T> Drop for Counted<T> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: this holder goes now.
        if unsafe { let_go(self.inner) } {
            // SAFETY: no holder is left, so nobody looks at the value; then the handle that all holders had together.
            unsafe {
                std::ptr::drop_in_place(&raw mut (*self.inner.as_ptr()).value);
                forget_handle(self.inner);
            }
        }
    }
}

impl<T> Watcher<T> {
    /// The value, if somebody still holds it.
    pub fn upgrade(&self) -> Option<Counted<T>> {
        // SAFETY: this handle keeps the counts alive.
        let holders = unsafe { &(*self.inner.as_ptr()).holders };
        let one_more = |n: usize| (n / ONE != 0).then_some(n + ONE);
        holders.fetch_update(Ordering::Acquire, Ordering::Relaxed, one_more).ok()?;
        Some(Counted { inner: self.inner, owns: PhantomData })
    }

    /// Where the value stands or stood.
    pub fn as_ptr(&self) -> *const T {
        // SAFETY: the address of a field of memory that this handle keeps.
        unsafe { &raw const (*self.inner.as_ptr()).value }
    }
}

impl<T> Clone for Watcher<T> {
    fn clone(&self) -> Watcher<T> {
        // SAFETY: this handle keeps the counts alive.
        unsafe { (*self.inner.as_ptr()).handles.fetch_add(1, Ordering::Relaxed) };
        Watcher { inner: self.inner }
    }
}

impl<T> Drop for Watcher<T> {
    fn drop(&mut self) {
        // SAFETY: this handle goes now.
        unsafe { forget_handle(self.inner) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    /// Counts how often it was dropped.
    struct Witness(Arc<AtomicUsize>);
    impl Drop for Witness {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn witnessed() -> (Arc<AtomicUsize>, Counted<Witness>) {
        let drops = Arc::new(AtomicUsize::new(0));
        (drops.clone(), Counted::new(Witness(drops)))
    }

    #[test]
    fn the_last_holder_drops_the_value_once() {
        let (drops, a) = witnessed();
        let b = a.clone();
        assert!(Counted::ptr_eq(&a, &b) && Counted::count(&a) == 2);
        drop(a);
        assert_eq!(drops.load(Ordering::SeqCst), 0);
        drop(b);
        assert_eq!(drops.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn a_value_put_together_in_its_place_is_dropped_once() {
        let drops = Arc::new(AtomicUsize::new(0));
        let made = Counted::<Witness>::begin();
        // SAFETY: the whole value is written.
        let a = unsafe {
            made.place().write(Witness(drops.clone()));
            made.finish()
        };
        let b = a.clone();
        assert!(Counted::count(&a) == 2 && Arc::ptr_eq(&b.0, &drops));
        drop((a, b));
        assert_eq!(drops.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn watchers_find_the_value_while_it_is_held() {
        let (drops, a) = witnessed();
        let watcher = Counted::watch(&a);
        let second = watcher.clone();
        let again = watcher.upgrade().expect("held");
        assert!(watcher.as_ptr() == Counted::as_ptr(&a) && Counted::count(&a) == 2);
        drop((a, watcher));
        assert_eq!(drops.load(Ordering::SeqCst), 0);
        drop(again);
        assert_eq!(drops.load(Ordering::SeqCst), 1);
        assert!(second.upgrade().is_none());
    }

    #[test]
    fn only_the_last_holder_gets_the_value_out() {
        let (drops, a) = witnessed();
        let b = a.clone();
        assert!(Counted::into_inner(a).is_none());
        let watcher = Counted::watch(&b);
        let value = Counted::into_inner(b).expect("the last");
        assert!(watcher.upgrade().is_none());
        assert_eq!(drops.load(Ordering::SeqCst), 0);
        drop(value);
        assert_eq!(drops.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn threads_that_clone_watch_and_drop_leave_one_drop() {
        let rounds = if cfg!(miri) { 20 } else { 2000 };
        for _ in 0..rounds {
            let (drops, a) = witnessed();
            let watcher = Counted::watch(&a);
            std::thread::scope(|s| {
                let b = a.clone();
                s.spawn(move || drop(b.clone()));
                s.spawn(move || drop(a));
                s.spawn(move || drop(watcher.upgrade().map(|found| Counted::watch(&found))));
            });
            assert_eq!(drops.load(Ordering::SeqCst), 1);
        }
    }
}
