//! The records that agents write into their rings.
//!
//! The universal engine writes what it saw (connections and messages), with times in nanoseconds
//! of CLOCK_MONOTONIC, which all processes of a machine share. The Python engine writes finished
//! telemetry as OTLP protobuf, with times since 1970. Numbers are little-endian. A new kind of record gets a new
//! number; readers skip kinds that they do not know.

use crate::bytes::{Reader, Writer};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The version of all layouts in this module, in every ring's header.
pub const WIRE_VERSION: u32 = 1;

/// The longest path of an executable in a [`Hello`]; longer ones are cut.
pub const EXECUTABLE_LIMIT_BYTES: usize = 512;

/// Room for the fixed part of any record.
const FIXED_BYTES: usize = 64;

/// Encodes the fixed part of a record.
pub type Fixed = Writer<FIXED_BYTES>;

/// Frame kinds, one for each variant of [`Record`].
pub mod kind {
    /// [`super::Hello`].
    pub const HELLO: u16 = 1;
    /// [`super::Connection`].
    pub const CONNECTION: u16 = 2;
    /// [`super::Message`].
    pub const MESSAGE: u16 = 3;
    /// [`super::End`].
    pub const END: u16 = 4;
    /// [`super::Close`].
    pub const CLOSE: u16 = 5;
    /// [`super::Gap`].
    pub const GAP: u16 = 6;
    /// [`super::Record::Resource`].
    pub const RESOURCE: u16 = 16;
    /// [`super::Definition`] of a scope.
    pub const SCOPE: u16 = 17;
    /// [`super::Scoped`]: a span.
    pub const SPAN: u16 = 18;
    /// [`super::Scoped`]: a log record.
    pub const LOG: u16 = 19;
    /// [`super::Instrument`].
    pub const INSTRUMENT: u16 = 20;
    /// [`super::Definition`] of an attribute set.
    pub const ATTRIBUTES: u16 = 21;
    /// [`super::Measurement`].
    pub const MEASUREMENT: u16 = 22;
    /// [`super::Notice`].
    pub const NOTICE: u16 = 23;
}

/// One record.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Record<'a> {
    /// The first record of a ring.
    Hello(Hello<'a>),
    /// Addresses of a connection; precedes its first message.
    Connection(Connection),
    /// The head of an HTTP message.
    Message(Message<'a>),
    /// The end of a message whose head came before.
    End(End),
    /// The connection was closed in this process.
    Close(Close),
    /// Records were dropped between the one before and the one after this.
    Gap(Gap),
    /// An OTLP `Resource` in protobuf: what the process itself says of itself. Its attributes win
    /// over those that the launcher finds out; a later record replaces an earlier one.
    Resource(&'a [u8]),
    /// A scope: an OTLP `ScopeSpans` in protobuf, with `scope` and `schema_url` alone.
    Scope(Definition<'a>),
    /// An OTLP `Span` in protobuf.
    Span(Scoped<'a>),
    /// An OTLP `LogRecord` in protobuf.
    Log(Scoped<'a>),
    /// An instrument; precedes its first measurement.
    Instrument(Instrument<'a>),
    /// A set of attributes: an OTLP `KeyValueList` in protobuf.
    Attributes(Definition<'a>),
    /// One measurement.
    Measurement(Measurement),
    /// A line for the start report.
    Notice(Notice<'a>),
}

/// A process presents itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hello<'a> {
    /// The process.
    pub pid: u32,
    /// Its parent.
    pub parent_pid: u32,
    /// Now, for the writer.
    pub time_ns: u64,
    /// Path of the executable, as bytes of the file system.
    pub executable: &'a [u8],
}

/// Number of a connection within a ring; never used twice.
pub type ConnectionId = u64;

/// The two ends of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Connection {
    /// Its number.
    pub id: ConnectionId,
    /// True where this process was connected to, false where it connected.
    pub is_server: bool,
    /// Whether the messages travel inside TLS.
    pub is_tls: bool,
    /// This process' end; `None` for Unix sockets and when the kernel does not say.
    pub local: Option<SocketAddr>,
    /// The other end.
    pub peer: Option<SocketAddr>,
}

/// Which half of an exchange a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Half {
    /// From the client.
    Request,
    /// From the server.
    Response,
}

/// How a message ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// All of it was seen.
    Complete,
    /// The connection ended in the middle of it.
    Aborted,
    /// The connection became a tunnel (101, or 2xx to CONNECT).
    Upgraded,
    /// The agent lost track of the message's length.
    Lost,
}

/// A message's start line and headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message<'a> {
    /// The connection.
    pub connection: ConnectionId,
    /// Request or response.
    pub half: Half,
    /// Whether `head` was cut at the agent's limit.
    pub is_truncated: bool,
    /// The body's bytes, when the message ended together with its head: no [`End`] follows.
    pub complete_body_bytes: Option<u64>,
    /// When the first byte was seen.
    pub started_ns: u64,
    /// When the last byte so far was seen.
    pub time_ns: u64,
    /// The bytes up to and with the empty line.
    pub head: &'a [u8],
}

/// A message that has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct End {
    /// The connection.
    pub connection: ConnectionId,
    /// Request or response.
    pub half: Half,
    /// How.
    pub outcome: Outcome,
    /// When.
    pub time_ns: u64,
    /// The body's bytes as they travelled, chunk framing left out.
    pub body_bytes: u64,
}

/// A connection that has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Close {
    /// The connection.
    pub connection: ConnectionId,
    /// When.
    pub time_ns: u64,
}

/// Gives a meaning to a number, for the records of this ring that follow. A number that was
/// defined before gets the new meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Definition<'a> {
    /// The number, never 0.
    pub id: u32,
    /// What it stands for.
    pub otlp: &'a [u8],
}

/// An item of telemetry in its scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scoped<'a> {
    /// Number of the scope.
    pub scope: u32,
    /// The item in protobuf.
    pub otlp: &'a [u8],
}

/// What an instrument measures, and how its measurements add up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InstrumentKind {
    /// Measurements are increments, never negative.
    Counter,
    /// Measurements are increments of either sign.
    UpDownCounter,
    /// Measurements are single values of a distribution.
    Histogram,
    /// A measurement is the value from now on.
    Gauge,
    /// As `Counter`, but a measurement is the sum since the process started.
    ObservableCounter,
    /// As `UpDownCounter`, but a measurement is the sum now.
    ObservableUpDownCounter,
    /// As `Gauge`, asked for at intervals.
    ObservableGauge,
}

impl InstrumentKind {
    /// All kinds, at the place that is their number on the wire.
    pub const ALL: [Self; 7] = [
        Self::Counter,
        Self::UpDownCounter,
        Self::Histogram,
        Self::Gauge,
        Self::ObservableCounter,
        Self::ObservableUpDownCounter,
        Self::ObservableGauge,
    ];
}

/// An instrument and its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Instrument<'a> {
    /// The number, never 0.
    pub id: u32,
    /// Number of its scope.
    pub scope: u32,
    /// What it measures.
    pub kind: InstrumentKind,
    /// An OTLP `Metric` in protobuf: `name`, `description`, `unit`; for a histogram with advised
    /// bucket boundaries also `histogram`, with one data point that has `explicit_bounds` alone.
    pub otlp: &'a [u8],
}

/// A measured value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Number {
    /// A whole number.
    Int(i64),
    /// A number with a fraction.
    Double(f64),
}

/// The span in which something was measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpanReference {
    /// Its trace.
    pub trace_id: [u8; 16],
    /// Itself.
    pub span_id: [u8; 8],
    /// Whether it was sampled.
    pub is_sampled: bool,
}

/// One measurement of an instrument.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Measurement {
    /// Number of the instrument.
    pub instrument: u32,
    /// Number of the attribute set; 0 is the empty one.
    pub attributes: u32,
    /// Nanoseconds since 1970.
    pub time_unix_ns: u64,
    /// The value.
    pub value: Number,
    /// The current span.
    pub span: Option<SpanReference>,
}

/// What the start report says of a library.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoticeKind {
    /// It is instrumented.
    Instrumented,
    /// It is there and left alone, for the reason in the text.
    LeftAlone,
    /// Something is wrong with the app's environment or with the engine; the text says what.
    Problem,
}

/// A line of the start report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Notice<'a> {
    /// What it is.
    pub kind: NoticeKind,
    /// `name`, `version` and `reason` in UTF-8, each ended by a zero byte; any may be empty.
    pub text: &'a [u8],
}

/// Records were dropped: what was under way can no longer be followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    /// When records could be written again.
    pub time_ns: u64,
}

const FLAG_RESPONSE: u8 = 1;
const FLAG_TRUNCATED: u8 = 2;
const FLAG_COMPLETE: u8 = 4;
const FLAG_SERVER: u8 = 1;
const FLAG_TLS: u8 = 2;

impl<'a> Record<'a> {
    /// The frame's kind, its fixed part, and the bytes that follow it.
    #[inline]
    pub fn encode(&self) -> (u16, Fixed, &'a [u8]) {
        let mut fixed = Fixed::default();
        match *self {
            Self::Hello(hello) => {
                fixed.u32(hello.pid).u32(hello.parent_pid).u64(hello.time_ns);
                let limit = hello.executable.len().min(EXECUTABLE_LIMIT_BYTES);
                (kind::HELLO, fixed, hello.executable.get(..limit).unwrap_or_default())
            }
            Self::Connection(connection) => {
                let server = if connection.is_server { FLAG_SERVER } else { 0 };
                let tls = if connection.is_tls { FLAG_TLS } else { 0 };
                fixed.u64(connection.id).u8(server | tls);
                put_address(&mut fixed, connection.local);
                put_address(&mut fixed, connection.peer);
                (kind::CONNECTION, fixed, &[])
            }
            Self::Message(message) => {
                let truncated = if message.is_truncated { FLAG_TRUNCATED } else { 0 };
                let complete = message.complete_body_bytes.map_or(0, |_| FLAG_COMPLETE);
                fixed
                    .u64(message.connection)
                    .u64(message.started_ns)
                    .u64(message.time_ns)
                    .u64(message.complete_body_bytes.unwrap_or(0))
                    .u8(half_flag(message.half) | truncated | complete);
                (kind::MESSAGE, fixed, message.head)
            }
            Self::End(end) => {
                let outcome = match end.outcome {
                    Outcome::Complete => 0,
                    Outcome::Aborted => 1,
                    Outcome::Upgraded => 2,
                    Outcome::Lost => 3,
                };
                fixed.u64(end.connection).u64(end.time_ns).u64(end.body_bytes);
                fixed.u8(half_flag(end.half)).u8(outcome);
                (kind::END, fixed, &[])
            }
            Self::Close(close) => {
                fixed.u64(close.connection).u64(close.time_ns);
                (kind::CLOSE, fixed, &[])
            }
            Self::Gap(gap) => {
                fixed.u64(gap.time_ns);
                (kind::GAP, fixed, &[])
            }
            Self::Resource(otlp) => (kind::RESOURCE, fixed, otlp),
            Self::Scope(definition) => {
                fixed.u32(definition.id);
                (kind::SCOPE, fixed, definition.otlp)
            }
            Self::Span(item) => {
                fixed.u32(item.scope);
                (kind::SPAN, fixed, item.otlp)
            }
            Self::Log(item) => {
                fixed.u32(item.scope);
                (kind::LOG, fixed, item.otlp)
            }
            Self::Instrument(instrument) => {
                let kind = InstrumentKind::ALL.iter().position(|kind| *kind == instrument.kind);
                fixed.u32(instrument.id).u32(instrument.scope).u8(kind.unwrap_or(0) as u8);
                (kind::INSTRUMENT, fixed, instrument.otlp)
            }
            Self::Attributes(definition) => {
                fixed.u32(definition.id);
                (kind::ATTRIBUTES, fixed, definition.otlp)
            }
            Self::Measurement(measurement) => {
                put_measurement(&mut fixed, &measurement);
                (kind::MEASUREMENT, fixed, &[])
            }
            Self::Notice(notice) => {
                fixed.u8(match notice.kind {
                    NoticeKind::Instrumented => 0,
                    NoticeKind::LeftAlone => 1,
                    NoticeKind::Problem => 2,
                });
                (kind::NOTICE, fixed, notice.text)
            }
        }
    }

    /// Reads a frame's payload. `None` for kinds that are not known and for bytes that no sound
    /// writer makes.
    pub fn decode(kind: u16, payload: &'a [u8]) -> Option<Self> {
        let mut reader = Reader(payload);
        let record = match kind {
            kind::HELLO => Self::Hello(Hello {
                pid: reader.u32()?,
                parent_pid: reader.u32()?,
                time_ns: reader.u64()?,
                executable: reader.0,
            }),
            kind::CONNECTION => {
                let id = reader.u64()?;
                let flags = reader.u8()?;
                Self::Connection(Connection {
                    id,
                    is_server: flags & FLAG_SERVER != 0,
                    is_tls: flags & FLAG_TLS != 0,
                    local: take_address(&mut reader)?,
                    peer: take_address(&mut reader)?,
                })
            }
            kind::MESSAGE => {
                let connection = reader.u64()?;
                let started_ns = reader.u64()?;
                let time_ns = reader.u64()?;
                let body_bytes = reader.u64()?;
                let flags = reader.u8()?;
                Self::Message(Message {
                    connection,
                    half: half(flags),
                    is_truncated: flags & FLAG_TRUNCATED != 0,
                    complete_body_bytes: (flags & FLAG_COMPLETE != 0).then_some(body_bytes),
                    started_ns,
                    time_ns,
                    head: reader.0,
                })
            }
            kind::END => {
                let connection = reader.u64()?;
                let time_ns = reader.u64()?;
                let body_bytes = reader.u64()?;
                let half = half(reader.u8()?);
                let outcome = match reader.u8()? {
                    0 => Outcome::Complete,
                    1 => Outcome::Aborted,
                    2 => Outcome::Upgraded,
                    3 => Outcome::Lost,
                    _ => return None,
                };
                Self::End(End { connection, half, outcome, time_ns, body_bytes })
            }
            kind::CLOSE => Self::Close(Close { connection: reader.u64()?, time_ns: reader.u64()? }),
            kind::GAP => Self::Gap(Gap { time_ns: reader.u64()? }),
            kind::RESOURCE => Self::Resource(reader.0),
            kind::SCOPE => Self::Scope(definition(&mut reader)?),
            kind::SPAN => Self::Span(scoped(&mut reader)?),
            kind::LOG => Self::Log(scoped(&mut reader)?),
            kind::INSTRUMENT => Self::Instrument(Instrument {
                id: reader.u32()?,
                scope: reader.u32()?,
                kind: *InstrumentKind::ALL.get(usize::from(reader.u8()?))?,
                otlp: reader.0,
            }),
            kind::ATTRIBUTES => Self::Attributes(definition(&mut reader)?),
            kind::MEASUREMENT => Self::Measurement(take_measurement(&mut reader)?),
            kind::NOTICE => {
                let kind = match reader.u8()? {
                    0 => NoticeKind::Instrumented,
                    1 => NoticeKind::LeftAlone,
                    2 => NoticeKind::Problem,
                    _ => return None,
                };
                Self::Notice(Notice { kind, text: reader.0 })
            }
            _ => return None,
        };
        Some(record)
    }
}

const FLAG_DOUBLE: u8 = 1;
const FLAG_SPAN: u8 = 2;
const FLAG_SAMPLED: u8 = 4;

fn put_measurement(fixed: &mut Fixed, measurement: &Measurement) {
    let (double, bits) = match measurement.value {
        Number::Int(value) => (0, value.cast_unsigned()),
        Number::Double(value) => (FLAG_DOUBLE, value.to_bits()),
    };
    let span = measurement
        .span
        .map_or(0, |span| FLAG_SPAN | if span.is_sampled { FLAG_SAMPLED } else { 0 });
    fixed
        .u32(measurement.instrument)
        .u32(measurement.attributes)
        .u64(measurement.time_unix_ns)
        .u64(bits)
        .u8(double | span);
    if let Some(span) = measurement.span {
        fixed.put(&span.trace_id).put(&span.span_id);
    }
}

fn take_measurement(reader: &mut Reader<'_>) -> Option<Measurement> {
    let instrument = reader.u32()?;
    let attributes = reader.u32()?;
    let time_unix_ns = reader.u64()?;
    let bits = reader.u64()?;
    let flags = reader.u8()?;
    let value = if flags & FLAG_DOUBLE != 0 {
        Number::Double(f64::from_bits(bits))
    } else {
        Number::Int(bits.cast_signed())
    };
    let span = if flags & FLAG_SPAN != 0 {
        Some(SpanReference {
            trace_id: reader.array()?,
            span_id: reader.array()?,
            is_sampled: flags & FLAG_SAMPLED != 0,
        })
    } else {
        None
    };
    Some(Measurement { instrument, attributes, time_unix_ns, value, span })
}

fn definition<'a>(reader: &mut Reader<'a>) -> Option<Definition<'a>> {
    let id = reader.u32().filter(|id| *id != 0)?;
    Some(Definition { id, otlp: reader.0 })
}

fn scoped<'a>(reader: &mut Reader<'a>) -> Option<Scoped<'a>> {
    Some(Scoped { scope: reader.u32()?, otlp: reader.0 })
}

fn half_flag(half: Half) -> u8 {
    match half {
        Half::Request => 0,
        Half::Response => FLAG_RESPONSE,
    }
}

fn half(flags: u8) -> Half {
    if flags & FLAG_RESPONSE == 0 { Half::Request } else { Half::Response }
}

fn put_address(fixed: &mut Fixed, address: Option<SocketAddr>) {
    match address {
        None => fixed.u8(0),
        Some(SocketAddr::V4(v4)) => fixed.u8(4).put(&v4.ip().octets()).u16(v4.port()),
        Some(SocketAddr::V6(v6)) => fixed.u8(6).put(&v6.ip().octets()).u16(v6.port()),
    };
}

fn take_address(reader: &mut Reader<'_>) -> Option<Option<SocketAddr>> {
    let ip: IpAddr = match reader.u8()? {
        0 => return Some(None),
        4 => Ipv4Addr::from(reader.array::<4>()?).into(),
        6 => Ipv6Addr::from(reader.array::<16>()?).to_canonical(),
        _ => return None,
    };
    Some(Some(SocketAddr::new(ip, reader.u16()?)))
}
