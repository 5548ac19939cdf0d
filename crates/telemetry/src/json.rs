//! OTLP's JSON encoding: ProtoJSON with ids in hexadecimal and enums as numbers.
//!
//! OTLP specification, section "JSON Protobuf Encoding". The reader turns JSON into protobuf
//! bytes straight away, for that is what travels through a pipeline; it ignores unknown fields,
//! takes `null` as unset, and 64-bit integers as strings or numbers. The generated types of
//! `opentelemetry-proto` have serde implementations, but those refuse `null`, unknown fields in
//! attribute values, and numbers in strings where 32 bits are expected.

mod decode;
mod encode;
mod schema;

use crate::{Batch, DecodeError, Request, Signal};
use serde::de::DeserializeSeed;

/// Text that is not an OTLP JSON request, or bytes that cannot become one.
#[derive(Debug, thiserror::Error)]
pub enum JsonError {
    /// Not JSON, nested too deep, or a value of the wrong kind.
    #[error("not an OTLP {signal} request in JSON: {source}")]
    Json {
        /// What the text was taken for.
        signal: Signal,
        /// What is wrong, and where.
        source: serde_json::Error,
    },
    /// The request is not valid protobuf.
    #[error(transparent)]
    Protobuf(#[from] DecodeError),
    /// The bytes of a batch are not the protobuf message that they should be.
    #[error("not an OTLP request in protobuf")]
    Malformed,
    /// Attribute values are nested too deep to be written.
    #[error("values are nested too deep")]
    TooDeep,
}

/// Reads an export request. Nesting is bounded by serde_json's limit of 128 levels, which is
/// below what a protobuf reader takes.
pub fn to_batch(signal: Signal, json: &[u8]) -> Result<Batch, JsonError> {
    let wrong = |source| JsonError::Json { signal, source };
    // Protobuf is rarely longer than half of the JSON that says the same.
    let mut out = Vec::with_capacity(json.len() / 2);
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    let seed = decode::MessageSeed { schema: schema::request(signal), out: &mut out };
    seed.deserialize(&mut deserializer).map_err(wrong)?;
    deserializer.end().map_err(wrong)?;
    Ok(Batch { signal, bytes: out.into() })
}

/// Reads an export request and decodes it.
pub fn decode(signal: Signal, json: &[u8]) -> Result<Request, JsonError> {
    Ok(to_batch(signal, json)?.decode()?)
}

/// Writes an export request as JSON. Fields that protobuf leaves out are left out.
pub fn from_batch(batch: &Batch) -> Result<Vec<u8>, JsonError> {
    let value = encode::message(schema::request(batch.signal), &batch.bytes, 0)?;
    Ok(value.to_string().into_bytes())
}

/// Writes a decoded request as JSON.
pub fn encode(request: &Request) -> Result<Vec<u8>, JsonError> {
    from_batch(&request.encode())
}

#[cfg(test)]
mod tests;
