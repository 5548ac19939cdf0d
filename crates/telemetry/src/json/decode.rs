//! OTLP JSON to protobuf, without an intermediate tree.

use super::schema::{Field, Kind, Message};
use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// ProtoJSON takes base64 with and without padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Whole numbers beyond this may have lost digits when they were written as floating point.
const MAX_EXACT_DOUBLE: f64 = 9_007_199_254_740_992.0;

const VARINT: u32 = 0;
const FIXED64: u32 = 1;
const DELIMITED: u32 = 2;
const FIXED32: u32 = 5;

/// Reads one message and appends its protobuf form to `out`.
pub(super) struct MessageSeed<'a> {
    pub(super) schema: &'static Message,
    pub(super) out: &'a mut Vec<u8>,
}

impl<'de> DeserializeSeed<'de> for MessageSeed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for MessageSeed<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(field) = map.next_key_seed(KeySeed(self.schema))? {
            match field {
                Some(field) => map.next_value_seed(ValueSeed { field, out: self.out })?,
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}

/// A key: the field that it names, or nothing for one that the schema does not know.
struct KeySeed(&'static Message);

impl<'de> DeserializeSeed<'de> for KeySeed {
    type Value = Option<&'static Field>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_identifier(self)
    }
}

impl Visitor<'_> for KeySeed {
    type Value = Option<&'static Field>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a field")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Self::Value, E> {
        Ok(self.0.by_name(name))
    }
}

/// The value of a field: `null` leaves it unset, as ProtoJSON wants.
struct ValueSeed<'a> {
    field: &'static Field,
    out: &'a mut Vec<u8>,
}

impl<'de> DeserializeSeed<'de> for ValueSeed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_option(self)
    }
}

impl<'de> Visitor<'de> for ValueSeed<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a value of {}", self.field.name)
    }

    fn visit_none<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        let Self { field, out } = self;
        match (field.repeated, field.kind) {
            (true, _) => deserializer.deserialize_seq(RepeatedVisitor { field, out }),
            (false, _) => ElementSeed { field, tagged: true, out }.deserialize(deserializer),
        }
    }
}

/// The elements of a repeated field; numbers are packed.
struct RepeatedVisitor<'a> {
    field: &'static Field,
    out: &'a mut Vec<u8>,
}

impl<'de> Visitor<'de> for RepeatedVisitor<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an array of {}", self.field.name)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let Self { field, out } = self;
        if wire_type(field.kind) == DELIMITED {
            while seq.next_element_seed(ElementSeed { field, tagged: true, out })?.is_some() {}
            return Ok(());
        }
        put_key(out, field.number, DELIMITED);
        let start = out.len();
        while seq.next_element_seed(ElementSeed { field, tagged: false, out })?.is_some() {}
        put_length_before(out, start);
        Ok(())
    }
}

/// One value that is not `null`, with the field's key before it unless it is packed.
struct ElementSeed<'a> {
    field: &'static Field,
    tagged: bool,
    out: &'a mut Vec<u8>,
}

impl<'de> DeserializeSeed<'de> for ElementSeed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        let Self { field, tagged, out } = self;
        if tagged {
            put_key(out, field.number, wire_type(field.kind));
        }
        match field.kind {
            Kind::Message(schema) => {
                let start = out.len();
                MessageSeed { schema, out }.deserialize(deserializer)?;
                put_length_before(out, start);
                Ok(())
            }
            _ => deserializer.deserialize_any(ScalarVisitor { field, out }),
        }
    }
}

struct ScalarVisitor<'a> {
    field: &'static Field,
    out: &'a mut Vec<u8>,
}

impl ScalarVisitor<'_> {
    /// Writes a whole number, if it fits the field.
    fn put_integer<E: Error>(self, value: i128) -> Result<(), E> {
        let field = self.field;
        let out = &mut *self.out;
        let range = || E::custom(format_args!("{value} is out of range for {}", field.name));
        match field.kind {
            // Negative numbers take ten bytes, sign-extended, in protobuf's int32.
            Kind::Int32 => {
                let value = i32::try_from(value).map_err(|_| range())?;
                put_varint(out, i64::from(value) as u64);
            }
            Kind::Int64 => {
                put_varint(out, i64::try_from(value).map_err(|_| range())? as u64);
            }
            Kind::UInt32 => {
                put_varint(out, u64::from(u32::try_from(value).map_err(|_| range())?));
            }
            Kind::UInt64 => put_varint(out, u64::try_from(value).map_err(|_| range())?),
            Kind::SInt32 => {
                let value = i32::try_from(value).map_err(|_| range())?;
                put_varint(out, u64::from(((value << 1) ^ (value >> 31)) as u32));
            }
            Kind::Fixed32 => {
                let value = u32::try_from(value).map_err(|_| range())?;
                out.extend_from_slice(&value.to_le_bytes());
            }
            Kind::Fixed64 => {
                let value = u64::try_from(value).map_err(|_| range())?;
                out.extend_from_slice(&value.to_le_bytes());
            }
            Kind::SFixed64 => {
                let value = i64::try_from(value).map_err(|_| range())?;
                out.extend_from_slice(&value.to_le_bytes());
            }
            Kind::Double => out.extend_from_slice(&(value as f64).to_le_bytes()),
            _ => return Err(E::invalid_type(serde::de::Unexpected::Other("a number"), &self)),
        }
        Ok(())
    }

    fn put_bytes(self, bytes: &[u8]) {
        put_varint(self.out, bytes.len() as u64);
        self.out.extend_from_slice(bytes);
    }
}

impl Visitor<'_> for ScalarVisitor<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let expected = match self.field.kind {
            Kind::String => "a string",
            Kind::Id => "a string of hexadecimal digits",
            Kind::Bytes => "a string in base64",
            Kind::Bool => "true or false",
            Kind::Double => "a number, or \"NaN\", \"Infinity\" or \"-Infinity\"",
            Kind::Message(_) => "an object",
            _ => "a whole number, or one in a string",
        };
        write!(f, "{expected} for {}", self.field.name)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        match self.field.kind {
            Kind::Bool => {
                self.out.push(u8::from(value));
                Ok(())
            }
            _ => Err(E::invalid_type(serde::de::Unexpected::Bool(value), &self)),
        }
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        self.put_integer(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        self.put_integer(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        match self.field.kind {
            Kind::Double => {
                self.out.extend_from_slice(&value.to_le_bytes());
                Ok(())
            }
            _ if value.fract() == 0.0 && value.abs() <= MAX_EXACT_DOUBLE => {
                self.put_integer(value as i128)
            }
            _ => Err(E::invalid_value(serde::de::Unexpected::Float(value), &self)),
        }
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        let invalid = |visitor: &Self| {
            let shown: String = text.chars().take(MAX_SHOWN_CHARS).collect();
            E::invalid_value(serde::de::Unexpected::Str(&shown), visitor)
        };
        match self.field.kind {
            Kind::String => self.put_bytes(text.as_bytes()),
            Kind::Id => match hex::decode(text) {
                Ok(bytes) => self.put_bytes(&bytes),
                Err(_) => return Err(invalid(&self)),
            },
            Kind::Bytes => {
                let standard = text.replace('-', "+").replace('_', "/");
                match BASE64.decode(standard) {
                    Ok(bytes) => self.put_bytes(&bytes),
                    Err(_) => return Err(invalid(&self)),
                }
            }
            Kind::Double => match parse_double(text) {
                Some(value) => self.out.extend_from_slice(&value.to_le_bytes()),
                None => return Err(invalid(&self)),
            },
            Kind::Bool | Kind::Message(_) => return Err(invalid(&self)),
            _ => match text.parse() {
                Ok(value) => return self.put_integer(value),
                Err(_) => return Err(invalid(&self)),
            },
        }
        Ok(())
    }
}

/// How much of a wrong value an error repeats.
const MAX_SHOWN_CHARS: usize = 64;

fn parse_double(text: &str) -> Option<f64> {
    match text {
        "NaN" => Some(f64::NAN),
        "Infinity" => Some(f64::INFINITY),
        "-Infinity" => Some(f64::NEG_INFINITY),
        // Rust also reads "inf" and "nan", which ProtoJSON does not know.
        _ if text.ends_with(|c: char| c.is_ascii_digit() || c == '.') => text.parse().ok(),
        _ => None,
    }
}

fn wire_type(kind: Kind) -> u32 {
    match kind {
        Kind::String | Kind::Id | Kind::Bytes | Kind::Message(_) => DELIMITED,
        Kind::Fixed64 | Kind::SFixed64 | Kind::Double => FIXED64,
        Kind::Fixed32 => FIXED32,
        _ => VARINT,
    }
}

fn put_key(out: &mut Vec<u8>, number: u32, wire_type: u32) {
    put_varint(out, u64::from(number << 3 | wire_type));
}

fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Moves what was written since `start` to the right of its own length.
fn put_length_before(out: &mut Vec<u8>, start: usize) {
    let end = out.len();
    put_varint(out, (end - start) as u64);
    let length_bytes = out.len() - end;
    out[start..].rotate_right(length_bytes);
}
