//! The universal engine: a library that the dynamic linker loads into an app's processes
//! (LD_PRELOAD) and that sees HTTP/1.x at the app's socket calls.
//!
//! Every hook calls the original function first, hands the bytes that went through to
//! [`observe`], and returns what the original returned, `errno` included. What was seen goes into
//! the process' ring; nothing here allocates, waits, logs, or starts a thread. A fault disables
//! the engine in that process and is counted; the app never notices.
//!
//! Absent on purpose: TLS keys and plaintext beyond message heads, any symbol of Tokio, any
//! signal handler.

mod connections;
mod environment;
mod hooks;
mod observe;
mod openssl;
mod original;
mod process;
mod ssl;

/// Runs when the dynamic linker initialises the library, before the app's `main`.
#[used]
#[unsafe(link_section = ".init_array")]
static CONSTRUCTOR: extern "C" fn() = initialise;

extern "C" fn initialise() {
    // The default hook would print to the app's stderr.
    std::panic::set_hook(Box::new(|_| ()));
    process::initialise();
}
