//! Protobuf to OTLP JSON.

use super::JsonError;
use super::schema::{Kind, Message};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

/// Messages inside messages; prost reads no deeper ones either.
const MAX_DEPTH: usize = 100;

/// The JSON object of a message.
pub(super) fn message(
    schema: &'static Message,
    mut bytes: &[u8],
    depth: usize,
) -> Result<Value, JsonError> {
    if depth > MAX_DEPTH {
        return Err(JsonError::TooDeep);
    }
    let mut object = Map::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes)?;
        let raw = raw_field(&mut bytes, key & 7)?;
        let number = u32::try_from(key >> 3).map_err(|_| JsonError::Malformed)?;
        let Some(field) = schema.by_number(number) else { continue };
        if field.repeated {
            let name = field.name.to_owned();
            let list = object.entry(name).or_insert_with(|| Value::Array(Vec::new()));
            let Value::Array(list) = list else { return Err(JsonError::Malformed) };
            match (raw, field.kind) {
                (Raw::Bytes(packed), kind) if is_number(kind) => unpack(packed, kind, list)?,
                (raw, kind) => list.push(value(kind, raw, depth)?),
            }
        } else {
            object.insert(field.name.to_owned(), value(field.kind, raw, depth)?);
        }
    }
    Ok(Value::Object(object))
}

enum Raw<'a> {
    Varint(u64),
    Fixed64([u8; 8]),
    Fixed32([u8; 4]),
    Bytes(&'a [u8]),
}

fn raw_field<'a>(bytes: &mut &'a [u8], wire_type: u64) -> Result<Raw<'a>, JsonError> {
    match wire_type {
        0 => varint(bytes).map(Raw::Varint),
        1 => array(bytes).map(Raw::Fixed64),
        2 => {
            let length = usize::try_from(varint(bytes)?).map_err(|_| JsonError::Malformed)?;
            let (field, rest) = bytes.split_at_checked(length).ok_or(JsonError::Malformed)?;
            *bytes = rest;
            Ok(Raw::Bytes(field))
        }
        5 => array(bytes).map(Raw::Fixed32),
        _ => Err(JsonError::Malformed),
    }
}

fn unpack(mut packed: &[u8], kind: Kind, list: &mut Vec<Value>) -> Result<(), JsonError> {
    while !packed.is_empty() {
        let raw = match kind {
            Kind::Fixed64 | Kind::SFixed64 | Kind::Double => Raw::Fixed64(array(&mut packed)?),
            Kind::Fixed32 => Raw::Fixed32(array(&mut packed)?),
            _ => Raw::Varint(varint(&mut packed)?),
        };
        list.push(value(kind, raw, 0)?);
    }
    Ok(())
}

fn is_number(kind: Kind) -> bool {
    !matches!(kind, Kind::String | Kind::Id | Kind::Bytes | Kind::Message(_))
}

/// One value: 64-bit integers as strings, ids in hexadecimal, enums by number.
fn value(kind: Kind, raw: Raw<'_>, depth: usize) -> Result<Value, JsonError> {
    Ok(match (kind, raw) {
        (Kind::Message(schema), Raw::Bytes(bytes)) => message(schema, bytes, depth + 1)?,
        (Kind::String, Raw::Bytes(bytes)) => {
            std::str::from_utf8(bytes).map_err(|_| JsonError::Malformed)?.into()
        }
        (Kind::Id, Raw::Bytes(bytes)) => hex::encode(bytes).into(),
        (Kind::Bytes, Raw::Bytes(bytes)) => STANDARD.encode(bytes).into(),
        (Kind::Bool, Raw::Varint(value)) => (value != 0).into(),
        (Kind::Int32, Raw::Varint(value)) => (value as i32).into(),
        (Kind::UInt32, Raw::Varint(value)) => (value as u32).into(),
        (Kind::SInt32, Raw::Varint(value)) => {
            let value = value as u32;
            ((value >> 1) as i32 ^ -((value & 1) as i32)).into()
        }
        (Kind::Int64, Raw::Varint(value)) => (value as i64).to_string().into(),
        (Kind::UInt64, Raw::Varint(value)) => value.to_string().into(),
        (Kind::Fixed32, Raw::Fixed32(bytes)) => u32::from_le_bytes(bytes).into(),
        (Kind::Fixed64, Raw::Fixed64(bytes)) => u64::from_le_bytes(bytes).to_string().into(),
        (Kind::SFixed64, Raw::Fixed64(bytes)) => i64::from_le_bytes(bytes).to_string().into(),
        (Kind::Double, Raw::Fixed64(bytes)) => double(f64::from_le_bytes(bytes)),
        _ => return Err(JsonError::Malformed),
    })
}

fn double(value: f64) -> Value {
    if value.is_nan() {
        "NaN".into()
    } else if value.is_infinite() {
        if value > 0.0 { "Infinity" } else { "-Infinity" }.into()
    } else {
        value.into()
    }
}

fn varint(bytes: &mut &[u8]) -> Result<u64, JsonError> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first().ok_or(JsonError::Malformed)?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok(value);
        }
    }
    Err(JsonError::Malformed)
}

fn array<const N: usize>(bytes: &mut &[u8]) -> Result<[u8; N], JsonError> {
    let (head, rest) = bytes.split_first_chunk::<N>().ok_or(JsonError::Malformed)?;
    *bytes = rest;
    Ok(*head)
}
