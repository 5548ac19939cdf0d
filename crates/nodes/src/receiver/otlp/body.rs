//! Request bodies: read, uncompressed and paid for from one memory budget.

use super::limits::Reservation;
use bytes::{Buf, Bytes, BytesMut};
use carafe_pipeline::{Refusal, RefusalKind};
use http_body::Body;
use http_body_util::BodyExt;
use std::io::{self, Read};
use std::time::Duration;

/// How long a client may take to send one body.
pub(crate) const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// Uncompressed bytes are produced, and paid for, in pieces of this size.
const CHUNK_BYTES: usize = 64 * 1024;

/// Compressed bodies above this size are uncompressed on a thread of their own, so that other
/// requests on the same worker do not wait.
const INLINE_BYTES: usize = 64 * 1024;

/// The largest window (8 MiB) that RFC 9659 lets a zstd content coding ask for.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;

/// How a body is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    Identity,
    Gzip,
    /// The zlib format, as RFC 9110 section 8.4.1.2 defines `deflate`.
    Deflate,
    Zstd,
}

impl Encoding {
    /// What `Accept-Encoding` and `grpc-accept-encoding` say.
    pub(crate) const ACCEPTED: &'static str = "gzip, deflate, zstd, identity";

    pub(crate) fn parse(name: &str) -> Option<Self> {
        match name.trim().to_ascii_lowercase().as_str() {
            "" | "identity" => Some(Self::Identity),
            "gzip" | "x-gzip" => Some(Self::Gzip),
            "deflate" => Some(Self::Deflate),
            "zstd" => Some(Self::Zstd),
            _ => None,
        }
    }
}

/// Reads the whole body, `limit` bytes at most.
pub(crate) async fn read<B>(
    body: B,
    limit: usize,
    memory: &mut Reservation,
) -> Result<Bytes, Refusal>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
{
    match tokio::time::timeout(READ_TIMEOUT, read_all(body, limit, memory)).await {
        Ok(result) => result,
        Err(_) => Err(Refusal::new(
            RefusalKind::Unavailable,
            format!("the request did not arrive within {} s", READ_TIMEOUT.as_secs()),
        )),
    }
}

async fn read_all<B>(mut body: B, limit: usize, memory: &mut Reservation) -> Result<Bytes, Refusal>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
{
    if body.size_hint().lower() > limit as u64 {
        return Err(too_large(limit));
    }
    let mut first = Bytes::new();
    let mut all = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            Refusal::new(RefusalKind::InvalidData, format!("the request broke off: {error}"))
        })?;
        let Ok(data) = frame.into_data() else { continue };
        if first.len() + all.len() + data.len() > limit {
            return Err(too_large(limit));
        }
        memory.grow(data.len())?;
        // A body that came in one piece, the usual case, is not copied.
        if first.is_empty() && all.is_empty() {
            first = data;
            continue;
        }
        if all.is_empty() {
            all.extend_from_slice(&std::mem::take(&mut first));
        }
        all.extend_from_slice(&data);
    }
    Ok(if all.is_empty() { first } else { all.freeze() })
}

/// The bytes as they were before compression, `limit` at most.
pub(crate) async fn uncompress(
    encoding: Encoding,
    bytes: Bytes,
    limit: usize,
    mut memory: Reservation,
) -> Result<(Bytes, Reservation), Refusal> {
    if encoding == Encoding::Identity {
        return Ok((bytes, memory));
    }
    if bytes.len() <= INLINE_BYTES {
        return uncompress_now(encoding, bytes, limit, &mut memory).map(|bytes| (bytes, memory));
    }
    let task = tokio::task::spawn_blocking(move || {
        uncompress_now(encoding, bytes, limit, &mut memory).map(|bytes| (bytes, memory))
    });
    task.await.unwrap_or_else(|error| Err(Refusal::new(RefusalKind::Internal, error.to_string())))
}

fn uncompress_now(
    encoding: Encoding,
    bytes: Bytes,
    limit: usize,
    memory: &mut Reservation,
) -> Result<Bytes, Refusal> {
    let input = bytes.reader();
    match encoding {
        Encoding::Identity => Ok(input.into_inner()),
        Encoding::Gzip => drain(flate2::bufread::MultiGzDecoder::new(input), limit, memory),
        Encoding::Deflate => drain(flate2::bufread::ZlibDecoder::new(input), limit, memory),
        Encoding::Zstd => {
            let mut decoder =
                zstd::stream::read::Decoder::with_buffer(input).map_err(|e| corrupt(&e))?;
            decoder.window_log_max(ZSTD_WINDOW_LOG_MAX).map_err(|e| corrupt(&e))?;
            drain(decoder, limit, memory)
        }
    }
}

fn drain(mut from: impl Read, limit: usize, memory: &mut Reservation) -> Result<Bytes, Refusal> {
    let mut out = BytesMut::new();
    loop {
        let length = out.len();
        out.resize(length + CHUNK_BYTES, 0);
        let read = from.read(&mut out[length..]).map_err(|error| corrupt(&error))?;
        out.truncate(length + read);
        if read == 0 {
            return Ok(out.freeze());
        }
        if out.len() > limit {
            return Err(too_large(limit));
        }
        memory.grow(read)?;
    }
}

fn corrupt(error: &io::Error) -> Refusal {
    Refusal::new(RefusalKind::InvalidData, format!("the body cannot be uncompressed: {error}"))
}

fn too_large(limit: usize) -> Refusal {
    Refusal::new(
        RefusalKind::TooLarge,
        format!("the request is larger than {limit} bytes; send smaller batches"),
    )
}

#[cfg(test)]
mod tests {
    use super::super::limits::{Limits, MemoryBudget};
    use super::*;
    use std::io::Write;

    fn gzip(data: &[u8]) -> Bytes {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap().into()
    }

    fn zlib(data: &[u8]) -> Bytes {
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap().into()
    }

    fn memory() -> Reservation {
        MemoryBudget::new(Limits::default().in_flight_bytes).reserve()
    }

    #[tokio::test]
    async fn every_encoding_round_trips() {
        let data: Vec<u8> = (0..200_000_u32).flat_map(|n| n.to_le_bytes()).collect();
        for (encoding, bytes) in [
            (Encoding::Identity, Bytes::from(data.clone())),
            (Encoding::Gzip, gzip(&data)),
            (Encoding::Deflate, zlib(&data)),
            (Encoding::Zstd, zstd::encode_all(&data[..], 3).unwrap().into()),
        ] {
            let (out, _) = uncompress(encoding, bytes, 1 << 20, memory()).await.unwrap();
            assert!(out == data, "{encoding:?}");
        }
    }

    #[tokio::test]
    async fn a_bomb_stops_at_the_limit() {
        let zeroes = vec![0; 8 << 20];
        for (encoding, bytes) in [
            (Encoding::Gzip, gzip(&zeroes)),
            (Encoding::Zstd, zstd::encode_all(&zeroes[..], 3).unwrap().into()),
        ] {
            let refusal = uncompress(encoding, bytes, 1 << 20, memory()).await.unwrap_err();
            assert_eq!(refusal.kind, RefusalKind::TooLarge, "{encoding:?}");
        }
    }

    #[tokio::test]
    async fn what_is_cut_off_or_rubbish_is_bad_data() {
        let whole = gzip(&[7; 4096]);
        for (encoding, bytes) in [
            (Encoding::Gzip, whole.slice(..whole.len() - 4)),
            (Encoding::Gzip, Bytes::from_static(b"rubbish")),
            (Encoding::Deflate, Bytes::from_static(b"rubbish")),
            (Encoding::Zstd, Bytes::from_static(b"rubbish")),
        ] {
            let refusal = uncompress(encoding, bytes, 1 << 20, memory()).await.unwrap_err();
            assert_eq!(refusal.kind, RefusalKind::InvalidData, "{encoding:?}");
        }
    }

    #[tokio::test]
    async fn the_budget_bounds_what_is_uncompressed() {
        let budget = MemoryBudget::new(1 << 20);
        let bomb = gzip(&vec![0; 8 << 20]);
        let refusal =
            uncompress(Encoding::Gzip, bomb, 64 << 20, budget.reserve()).await.unwrap_err();
        assert_eq!(refusal.kind, RefusalKind::Exhausted);
        assert!(refusal.retry_after.is_some());
        budget.reserve().grow(1 << 20).expect("the memory was given back");
    }
}
