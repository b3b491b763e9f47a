//! Named bugs, to see whether the tests catch them. `docs/CANARIES.md` lists them.
//!
//! They are compiled with `--cfg canaries` alone, and even then none is there until a test lets it
//! loose, in its own thread. Without that, `canary!` is `false` and leaves nothing behind.

#[cfg(canaries)]
use core::cell::Cell;

/// Says whether the bug of this name is loose.
#[cfg(canaries)]
macro_rules! canary {
    ($name:literal) => {
        $crate::canary::is_loose($name)
    };
}

/// Says that no bug is loose.
#[cfg(not(canaries))]
macro_rules! canary {
    ($name:literal) => {
        false
    };
}

#[cfg(canaries)]
std::thread_local! {
    static LOOSE: Cell<&'static str> = const { Cell::new("") };
}

/// Lets a bug loose in this thread, and catches the one that was loose before.
#[cfg(canaries)]
pub fn let_loose(name: &'static str) {
    LOOSE.set(name);
}

#[cfg(canaries)]
pub(crate) fn is_loose(name: &str) -> bool {
    LOOSE.get() == name
}
