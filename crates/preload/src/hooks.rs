//! The functions that the app calls instead of libc's and OpenSSL's.

mod descriptors;
mod exec;
mod identity;
mod io;
mod sockets;
mod threads;
mod tls;
