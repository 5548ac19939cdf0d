//! Trace and span ids.

use std::fmt;

/// Why a text or a byte string is not an id.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum IdError {
    /// Neither the length nor the alphabet of a hexadecimal id.
    #[error("id {0:?} is not hexadecimal or too long")]
    NotHex(String),
    /// A byte string of the wrong length.
    #[error("an id of {0} bytes")]
    Length(usize),
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $bytes:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
        pub struct $name(pub [u8; $bytes]);

        impl $name {
            /// All zeroes: the invalid id of the W3C Trace Context.
            pub const INVALID: Self = Self([0; $bytes]);

            /// False for the all-zero id.
            pub fn is_valid(self) -> bool {
                self != Self::INVALID
            }

            /// Reads hexadecimal digits, either case; shorter texts are padded with zeroes on
            /// the left, as Jaeger does.
            pub fn from_hex(text: &str) -> Result<Self, IdError> {
                let error = || IdError::NotHex(text.chars().take(64).collect());
                if text.is_empty() || text.len() > $bytes * 2 {
                    return Err(error());
                }
                let padded = format!("{text:0>width$}", width = $bytes * 2);
                let mut id = [0; $bytes];
                hex::decode_to_slice(padded, &mut id).map_err(|_| error())?;
                Ok(Self(id))
            }

            /// The id in `bytes`, which must have the exact length.
            pub fn from_slice(bytes: &[u8]) -> Result<Self, IdError> {
                bytes.try_into().map(Self).map_err(|_| IdError::Length(bytes.len()))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    };
}

id!(
    /// 16 random bytes that name a trace; shown as 32 lower-case hexadecimal digits.
    TraceId,
    16
);
id!(
    /// 8 random bytes that name a span within its trace; shown as 16 hexadecimal digits.
    SpanId,
    8
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_round_trips_and_pads() {
        let id = TraceId::from_hex("4bf92f3577b34da6a3ce929d0e0e4736").unwrap();
        assert_eq!(id.to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(SpanId::from_hex("1F").unwrap().to_string(), "000000000000001f");
    }

    #[test]
    fn refuses_what_is_not_an_id() {
        for text in ["", "xyz", "é", "4bf92f3577b34da6a3ce929d0e0e47361"] {
            assert!(TraceId::from_hex(text).is_err(), "{text:?}");
        }
        assert_eq!(SpanId::from_slice(&[1, 2]), Err(IdError::Length(2)));
    }
}
