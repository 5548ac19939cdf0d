//! The command line of `carafe gen`.

use crate::blocks::REQUESTS_PER_BLOCK;
use crate::recipe::{Fraction, MAX_BATCH, MAX_RANGE, MAX_SPANS, Recipe, Signals};
use crate::send::{MAX_CONNECTIONS, SendConfig};
use carafe_nodes::exporter::otlp::{Compression, Endpoint, EndpointError, OtlpConfig, Protocol};
use carafe_telemetry::UnixNanos;
use clap::builder::RangedU64ValueParser;
use std::path::{Path, PathBuf};
use std::time::Duration;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Spans that are sent when nothing says how many.
const DEFAULT_SPANS: u64 = 100_000;

/// Event times cover this when nothing says what they cover.
const DEFAULT_RANGE: Duration = Duration::from_secs(3_600);

/// With a rate, event times are this much before the time at which they are sent, because the
/// spans of a moment leave in several requests.
const LIVE_LEAD: Duration = Duration::from_secs(20);

/// With a rate, the spans that are mixed with one another start within this many seconds.
const LIVE_BLOCK_SECONDS: f64 = 10.0;

const GRPC_ENDPOINT: &str = "http://localhost:4317";
const HTTP_ENDPOINT: &str = "http://localhost:4318";

/// Makes the telemetry of an invented shop, and knows the exact answers.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// Another seed makes other traces
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// About how many spans [default: 100000, or what --rate makes in --duration]
    #[arg(long, value_name = "N", value_parser = RangedU64ValueParser::<u64>::new().range(1..=MAX_SPANS))]
    spans: Option<u64>,
    /// For how long to send at --rate, such as 30s, 10m or 2h
    #[arg(long, value_name = "TIME", value_parser = parse_duration, requires = "rate", conflicts_with = "spans")]
    duration: Option<Duration>,
    /// Spans per second; 0 is as fast as they are accepted
    #[arg(long, value_name = "N", default_value_t = 0.0, value_parser = parse_rate)]
    rate: f64,
    /// When the first trace starts, such as 2026-01-31T12:00:00Z
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    start: Option<UnixNanos>,
    /// Over how many days the traces are spread [default: what --rate needs, or one hour]
    #[arg(long, value_name = "D", value_parser = parse_days)]
    days: Option<Duration>,
    /// Which signals
    #[arg(long, value_name = "LIST", default_value_t = Signals::ALL)]
    signals: Signals,
    /// The fraction of spans and log records that come minutes to hours late
    #[arg(long, value_name = "P", default_value_t = Fraction::NONE)]
    late: Fraction,
    /// The fraction of trace requests that are sent twice
    #[arg(long, value_name = "P", default_value_t = Fraction::NONE)]
    duplicate: Fraction,
    /// The fraction of processes whose clock is wrong by minutes to a day
    #[arg(long, value_name = "P", default_value_t = Fraction::NONE)]
    skew: Fraction,
    /// Items in a request, at most
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = RangedU64ValueParser::<usize>::new().range(1..=MAX_BATCH as u64))]
    batch: usize,
    /// Connections, each with one request under way
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = RangedU64ValueParser::<usize>::new().range(1..=MAX_CONNECTIONS as u64))]
    connections: usize,
    /// Where to send [default: localhost, port 4317 for grpc, 4318 for http/protobuf]
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,
    /// grpc or http/protobuf
    #[arg(long, value_name = "NAME", default_value = "grpc", value_parser = parse_protocol)]
    protocol: Protocol,
    /// none, gzip, deflate or zstd
    #[arg(long, value_name = "NAME", default_value = "none", value_parser = parse_compression)]
    compression: Compression,
    /// For how long to try again what is refused for now
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = parse_duration)]
    retry_for: Duration,
    /// Note here which requests were acknowledged; with --check, demand only these
    #[arg(long, value_name = "FILE")]
    acks: Option<PathBuf>,
    /// Compare what this query API answers with what it must; sends nothing unless --endpoint
    /// is given too
    #[arg(long, value_name = "URL")]
    check: Option<String>,
    /// Traces that --check compares in full
    #[arg(long, value_name = "N", default_value_t = 50, requires = "check")]
    check_traces: usize,
    /// Print one JSON object instead of lines for people
    #[arg(long)]
    json: bool,
}

/// What the command line asks for.
#[derive(Clone, Debug)]
pub(crate) struct Task {
    /// What is made; none where the file of acknowledgements says it.
    pub(crate) recipe: Option<Recipe>,
    pub(crate) send: Option<SendConfig>,
    pub(crate) check: Option<CheckConfig>,
}

/// What to check.
#[derive(Clone, Debug)]
pub(crate) struct CheckConfig {
    pub(crate) url: String,
    pub(crate) traces: usize,
    pub(crate) acks: Option<PathBuf>,
}

/// A command line that asks for nothing that can be done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OptionsError {
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    #[error(
        "--check alone needs to know what was sent; hint: give --start, or --acks with the file of that run"
    )]
    StartUnknown,
    #[error("--duration needs --rate to say how many spans that is; hint: give --rate, or --spans")]
    RateUnknown,
    #[error("--protocol http/json is not understood here; hint: use grpc or http/protobuf")]
    Json,
}

impl Options {
    pub(crate) fn json(&self) -> bool {
        self.json
    }

    pub(crate) fn acks(&self) -> Option<&Path> {
        self.acks.as_deref()
    }

    /// What is to be done, `now`.
    pub(crate) fn task(&self, now: UnixNanos) -> Result<Task, OptionsError> {
        let sends = self.check.is_none() || self.endpoint.is_some();
        let check = self.check.as_ref().map(|url| CheckConfig {
            url: url.clone(),
            traces: self.check_traces,
            acks: self.acks.clone(),
        });
        if self.duration.is_some() && self.rate == 0.0 {
            return Err(OptionsError::RateUnknown);
        }
        let recipe = match (sends, self.start, &self.acks) {
            (false, None, Some(_)) => None,
            (false, None, None) => return Err(OptionsError::StartUnknown),
            // A run that goes on must make what it made before.
            (true, None, Some(path)) if path.exists() => None,
            _ => Some(self.recipe(now)),
        };
        Ok(Task { recipe, send: sends.then(|| self.send_config()).transpose()?, check })
    }

    fn recipe(&self, now: UnixNanos) -> Recipe {
        let during = self.duration.map(|duration| duration.as_secs_f64() * self.rate);
        let spans = self.spans.or(during.map(|spans| spans as u64)).unwrap_or(DEFAULT_SPANS);
        let needed = Duration::try_from_secs_f64(spans as f64 / self.rate).ok();
        let needed = needed.filter(|_| self.rate > 0.0);
        let range = self.days.or(needed).unwrap_or(DEFAULT_RANGE).min(MAX_RANGE);
        // Whole milliseconds survive being written as a fraction of a day.
        let range = Duration::from_millis((range.as_secs_f64() * 1e3).round() as u64);
        let live = needed.is_some() && self.days.is_none();
        let start = match self.start {
            Some(start) => start,
            None if live => now.saturating_sub(LIVE_LEAD.min(range)),
            None => now.saturating_sub(range + Duration::from_secs(1)),
        };
        Recipe {
            seed: self.seed,
            spans,
            // Whole microseconds can be written on a command line.
            start: UnixNanos::from_micros(start.as_micros()),
            range,
            signals: self.signals,
            batch: if live { self.batch.min(self.live_batch()) } else { self.batch },
            late: self.late,
            duplicate: self.duplicate,
            skew: self.skew,
        }
    }

    /// Items in a request at which a block is short enough for no span to leave before it
    /// starts.
    fn live_batch(&self) -> usize {
        let spans = self.rate * LIVE_BLOCK_SECONDS / REQUESTS_PER_BLOCK as f64;
        (spans as usize).max(1)
    }

    fn send_config(&self) -> Result<SendConfig, OptionsError> {
        let text = self.endpoint.as_deref();
        let endpoint = match self.protocol {
            Protocol::Grpc => Endpoint::grpc(text.unwrap_or(GRPC_ENDPOINT), true)?,
            Protocol::HttpProtobuf => Endpoint::http_base(text.unwrap_or(HTTP_ENDPOINT))?,
            Protocol::HttpJson => return Err(OptionsError::Json),
        };
        let mut otlp = OtlpConfig::new(endpoint, self.protocol);
        otlp.compression = self.compression;
        Ok(SendConfig {
            otlp,
            connections: self.connections,
            rate: (self.rate > 0.0).then_some(self.rate),
            retry_for: self.retry_for,
            acks: self.acks.clone(),
        })
    }
}

/// The options that make the same telemetry again.
pub(crate) fn recipe_flags(recipe: &Recipe) -> String {
    let days = recipe.range.as_secs_f64() / 86_400.0;
    let start = OffsetDateTime::from_unix_timestamp_nanos(recipe.start.0.into())
        .ok()
        .and_then(|time| time.format(&Rfc3339).ok())
        .unwrap_or_default();
    let mut text =
        format!("--seed {} --spans {} --start {start} --days {days}", recipe.seed, recipe.spans);
    text += &format!(" --batch {}", recipe.batch);
    if recipe.signals != Signals::ALL {
        text += &format!(" --signals {}", recipe.signals);
    }
    for (name, fraction) in
        [("late", recipe.late), ("duplicate", recipe.duplicate), ("skew", recipe.skew)]
    {
        if fraction != Fraction::NONE {
            text += &format!(" --{name} {fraction}");
        }
    }
    text
}

fn parse_duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is not a time; hint: write 500ms, 30s, 10m, 2h or 1d");
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(wrong)?;
    let (number, unit) = text.split_at(end);
    let factor = match unit {
        "ms" => 1e-3,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3_600.0,
        "d" => 86_400.0,
        _ => return Err(wrong()),
    };
    let seconds = number.parse::<f64>().map_err(|_| wrong())? * factor;
    Duration::try_from_secs_f64(seconds).ok().filter(|d| !d.is_zero()).ok_or_else(wrong)
}

fn parse_days(text: &str) -> Result<Duration, String> {
    let most = MAX_RANGE.as_secs_f64() / 86_400.0;
    let days = text.parse().ok().filter(|days| *days > 0.0 && *days <= most);
    days.and_then(|days: f64| Duration::try_from_secs_f64(days * 86_400.0).ok())
        .ok_or_else(|| format!("{text:?} is not a number of days up to {most}"))
}

fn parse_rate(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|rate: &f64| rate.is_finite() && *rate >= 0.0)
        .ok_or_else(|| format!("{text:?} is not a number of spans per second"))
}

fn parse_time(text: &str) -> Result<UnixNanos, String> {
    let time = OffsetDateTime::parse(text, &Rfc3339)
        .map_err(|error| format!("not a time such as 2026-01-31T12:00:00Z: {error}"))?;
    u64::try_from(time.unix_timestamp_nanos())
        .map(UnixNanos)
        .map_err(|_| "the time is out of range".to_owned())
}

fn parse_protocol(text: &str) -> Result<Protocol, String> {
    text.parse().map_err(|error: carafe_nodes::exporter::otlp::UnknownWord| error.to_string())
}

fn parse_compression(text: &str) -> Result<Compression, String> {
    text.parse().map_err(|error: carafe_nodes::exporter::otlp::UnknownWord| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;
    use proptest::prelude::*;

    #[derive(Debug, Parser)]
    struct Command {
        #[command(flatten)]
        options: Options,
    }

    fn task(line: &str) -> Result<Task, OptionsError> {
        let words = std::iter::once("gen").chain(line.split_whitespace());
        Command::try_parse_from(words).unwrap().options.task(UnixNanos(1_790_000_000_000_000_123))
    }

    fn recipe(line: &str) -> Recipe {
        task(line).unwrap().recipe.unwrap()
    }

    proptest! {
        #[test]
        fn the_flags_of_a_recipe_make_it_again(
            seed: u64, spans in 1..MAX_SPANS, days in 0.000_001..366.0_f64, late in 0.0..=1.0_f64,
        ) {
            let made = recipe(&format!("--seed {seed} --spans {spans} --days {days} --late {late}"));
            let flags = recipe_flags(&made);
            prop_assert_eq!(recipe(&flags), made, "{}", flags);
        }
    }

    #[test]
    fn time_follows_from_the_rate() {
        let made = recipe("--rate 500 --duration 2m");
        assert_eq!((made.spans, made.range), (60_000, Duration::from_secs(120)));
        assert_eq!(made.start.0, 1_790_000_000_000_000_000 - LIVE_LEAD.as_nanos() as u64);
        assert_eq!(made.batch, 625);
        assert_eq!(recipe("--rate 500 --duration 2m --days 1").batch, 1_000);
        let made = recipe("--spans 10 --days 2");
        assert_eq!(made.range, Duration::from_secs(2 * 86_400));
        assert!(made.start.0 + made.range.as_nanos() as u64 <= 1_790_000_000_000_000_000);
        assert_eq!(recipe("--spans 10").range, DEFAULT_RANGE);
    }

    #[test]
    fn a_check_alone_sends_nothing_and_needs_the_start() {
        assert!(matches!(task("--check http://h"), Err(OptionsError::StartUnknown)));
        let alone = task("--check http://h --start 2026-01-31T12:00:00Z").unwrap();
        assert!(alone.send.is_none() && alone.check.is_some());
        let both = task("--check http://h --endpoint http://h:4317").unwrap();
        assert!(both.send.is_some() && both.check.is_some());
        assert!(task("--spans 5").unwrap().send.is_some());
        assert!(matches!(task("--duration 5m --rate 0"), Err(OptionsError::RateUnknown)));
    }

    #[test]
    fn nonsense_is_refused() {
        for line in
            ["--spans 0", "--late 2", "--rate -1", "--days 0", "--duration 5m", "--start soon"]
        {
            let words = std::iter::once("gen").chain(line.split_whitespace());
            assert!(Command::try_parse_from(words).is_err(), "{line}");
        }
    }
}
