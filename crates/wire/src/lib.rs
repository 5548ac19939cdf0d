//! What the agents and the launcher share: a ring in shared memory, the records that travel
//! through it, and the doorbell that wakes its reader.
//!
//! Every process that an agent enters creates one [`ring`] file in the directory that the
//! launcher names by [`RING_DIR_VARIABLE`]; it alone writes there, the launcher alone reads.
//! Depends on nothing but libc, because one side of it lives in other people's programs.

pub mod bytes;
pub mod doorbell;
pub mod lock;
pub mod record;
pub mod ring;
#[cfg(not(loom))]
pub mod shm;
mod sync;

/// The environment variable with the path of the launcher's ring directory.
pub const RING_DIR_VARIABLE: &str = "CARAFE_RING_DIR";

/// What the name of a complete ring file ends with. Files are created under another name and
/// renamed, so that the reader never sees one without a header.
pub const RING_SUFFIX: &str = ".ring";

/// The name of the doorbell's file in the ring directory.
pub const DOORBELL_FILE: &str = "doorbell";

/// Bytes of records that one ring holds; a power of two. The file is sparse: what was never
/// written costs nothing. At the limit records are dropped and counted in the ring's header.
pub const RING_CAPACITY_BYTES: u64 = 16 << 20;
