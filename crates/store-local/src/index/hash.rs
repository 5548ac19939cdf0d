//! Hashes that files keep. They never change: what they are is part of the file format.

use carafe_store::canonical;
use carafe_telemetry::TraceId;
use std::hash::{BuildHasherDefault, Hasher};
use twox_hash::XxHash3_64;

/// The hash of a trace id.
pub fn hash_trace(id: TraceId) -> u64 {
    XxHash3_64::oneshot(&id.0)
}

/// The hash of `key=value`; the value in its text form. The old and the stable name of an
/// attribute have the same hash.
pub fn hash_tag(key: &str, value: &str) -> u64 {
    TagKey::new(key).with(value)
}

/// The hash of a word of a log record's body.
pub fn hash_token(token: &str) -> u64 {
    XxHash3_64::oneshot(token.as_bytes())
}

/// A key whose values are to be hashed: the work that does not depend on the value, done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TagKey(u64);

impl TagKey {
    /// The key or any of its aliases.
    pub fn new(key: &str) -> Self {
        Self(XxHash3_64::oneshot(canonical(key).as_bytes()))
    }

    /// The hash of the key with `value`: [`hash_tag`].
    pub fn with(self, value: &str) -> u64 {
        XxHash3_64::oneshot_with_seed(self.0, value.as_bytes())
    }
}

/// A set of hashes, which are spread well enough as they are.
pub(crate) type HashSet64 = hashbrown::HashSet<u64, BuildHasherDefault<Identity>>;

/// The hasher of what is a hash already.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Identity(u64);

impl Hasher for Identity {
    fn write(&mut self, bytes: &[u8]) {
        self.0 = XxHash3_64::oneshot_with_seed(self.0, bytes);
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_depend_on_these_values() {
        // As the reference implementation of xxHash, 0.8.4, computes them.
        assert_eq!(hash_trace(TraceId([7; 16])), 0xfe8a_7fec_7d80_ca73);
        assert_eq!(hash_tag("http.host", "example.org"), 0x0fd5_4d41_42b1_8abf);
        assert_eq!(hash_tag("user.id", ""), 0xf4d0_d839_82b3_978e);
        assert_eq!(hash_tag("long", &"x".repeat(300)), 0x3d75_f19e_3759_0954);
        assert_eq!(hash_token("timeout"), 0x1014_046d_b1c9_3515);
    }

    #[test]
    fn aliases_are_one() {
        assert_eq!(hash_tag("server.address", "a"), hash_tag("net.host.name", "a"));
        assert_eq!(hash_tag("url.full", "a"), TagKey::new("http.url").with("a"));
        assert_ne!(hash_tag("url.full", "a"), hash_tag("url.path", "a"));
        assert_ne!(hash_tag("ab", "c"), hash_tag("a", "bc"));
    }
}
