//! What is asked: questions of every kind that the query APIs know, about values that are
//! common, rare and unique, under old and new attribute names.

use super::logs::LogFilter;
use super::red::{RED_CELL_MICROS, RedQuestion};
use crate::filter::Filter;
use crate::log;
use crate::random::{Purpose, Random};
use crate::shop::{HOSTS, SERVICES, WORDS};
use crate::text::Text;
use crate::trace::Trace;
use crate::world::World;

/// Traces or records that a search asks for.
const LIMIT: usize = 20;

/// Steps over the whole range where percentiles are compared.
const COARSE_STEPS: u64 = 100;

/// A clock is off by less than this; no span is further from its trace's start.
const MARGIN_MICROS: u64 = 30 * 3_600 * 1_000_000;

const METHOD: [&str; 2] = ["http.request.method", "http.method"];
const STATUS: [&str; 2] = ["http.response.status_code", "http.status_code"];
const HOST: [&str; 5] =
    ["http.host", "server.address", "http.server_name", "net.host.name", "net.peer.name"];
const QUERY_TEXT: [&str; 2] = ["db.query.text", "db.statement"];
const SYSTEM: [&str; 2] = ["db.system.name", "db.system"];

/// A search for traces.
#[derive(Clone, Debug)]
pub(crate) struct Search {
    pub(crate) title: String,
    pub(crate) filter: Filter,
    pub(crate) limit: usize,
}

/// All questions about a world.
#[derive(Clone, Debug)]
pub(crate) struct Questions {
    pub(crate) searches: Vec<Search>,
    pub(crate) reds: Vec<RedQuestion>,
    pub(crate) logs: Vec<LogFilter>,
    /// In milliseconds, both included.
    pub(crate) graph_range: (u64, u64),
    /// What all questions about everything ask for, in microseconds.
    pub(crate) range: (u64, u64),
}

impl Questions {
    pub(crate) fn new(world: &World) -> Self {
        let recipe = world.recipe();
        let start = recipe.start.as_micros();
        let length = recipe.range.as_micros() as u64;
        let margin = if recipe.skew.millionths() > 0 { MARGIN_MICROS } else { 600_000_000 };
        let range = (start.saturating_sub(margin), start + length + margin);
        // A part of the range, from one roll-up cell to another.
        let cell = |micros: u64| micros / RED_CELL_MICROS * RED_CELL_MICROS;
        let middle = (cell(start + length / 3), cell(start + length / 2) + RED_CELL_MICROS);
        Self {
            searches: searches(world, range, middle),
            reds: reds(range, middle, length),
            logs: logs(world, range, middle),
            graph_range: (middle.0 / 1_000, middle.1 / 1_000),
            range,
        }
    }
}

fn searches(world: &World, range: (u64, u64), middle: (u64, u64)) -> Vec<Search> {
    let mut trace = Trace::default();
    let mut random = Random::new(world.recipe.seed, Purpose::Check, 1);
    trace.generate(world, random.below(world.traces()));
    let all = || Filter::all(range);
    let tag = |keys: &[&'static str], value: &str| Filter::tag(range, keys, value);
    let session = Text::new().hex(trace.context.session, 16);
    let request = Text::new().hex(trace.bits, 16);
    let tenant = Text::new().push("tenant-").number(trace.context.tenant);
    let user = Text::new().push("u").number(trace.context.user);
    let host = world.instances[usize::from(trace.spans[0].instance)].host.clone();
    let both = |a: Filter, b: Filter| Filter { tags: [a.tags, b.tags].concat(), ..all() };
    let mut filters = vec![
        ("everything", all()),
        ("a part of the time", Filter::all(middle)),
        ("service=checkout", Filter { service: Some("checkout"), ..all() }),
        (
            "service and operation",
            Filter {
                service: Some("orders"),
                operation: Some("shop.Orders/Create".to_owned()),
                ..all()
            },
        ),
        ("operation=HGETALL", Filter { operation: Some("HGETALL".to_owned()), ..all() }),
        ("http.request.method=POST", tag(&METHOD, "POST")),
        ("http.method=DELETE", tag(&[METHOD[1], METHOD[0]], "DELETE")),
        ("http.status_code=404", tag(&[STATUS[1], STATUS[0]], "404")),
        ("http.response.status_code=500", tag(&STATUS, "500")),
        ("http.host, common", tag(&HOST, HOSTS[0])),
        ("http.host, rare", tag(&HOST, HOSTS[3])),
        ("http.host, of a service", tag(&HOST, "catalog")),
        ("server.address, nowhere", tag(&[HOST[1], HOST[0]], "nowhere.example.com")),
        ("http.route", tag(&["http.route"], "/products/{id}")),
        ("db.statement", tag(&[QUERY_TEXT[1], QUERY_TEXT[0]], "HGETALL cart:?")),
        ("db.system=mongodb", tag(&[SYSTEM[1], SYSTEM[0]], "mongodb")),
        ("shop.tenant", tag(&["shop.tenant"], tenant.as_str())),
        ("session.id, unique", tag(&["session.id"], session.as_str())),
        ("shop.request.id, unique", tag(&["shop.request.id"], request.as_str())),
        ("user.id", tag(&["user.id"], user.as_str())),
        ("exception.type, in events", tag(&["exception.type"], "*net.OpError")),
        ("host.name, in resources", tag(&["host.name"], &host)),
        ("shop.kafka.client, in scopes", tag(&["shop.kafka.client"], "librdkafka")),
        ("error=true", tag(&["error"], "true")),
        ("span.kind=consumer", tag(&["span.kind"], "consumer")),
        ("otel.status_code=OK", tag(&["otel.status_code"], "OK")),
        ("shop.work.cached, a boolean", tag(&["shop.work.cached"], "true")),
        ("minDuration=1s", Filter { min_duration: 1_000_000_000, ..all() }),
        (
            "durations from 2ms to 2.1ms",
            Filter { min_duration: 2_000_000, max_duration: 2_100_000, ..all() },
        ),
        (
            "service, tag and duration",
            Filter {
                service: Some("storefront"),
                min_duration: 50_000_000,
                ..tag(&METHOD, "POST")
            },
        ),
        ("two tags", both(tag(&METHOD, "GET"), tag(&STATUS, "404"))),
        ("errors only", Filter { errors_only: true, ..all() }),
        (
            "errors only, of a service",
            Filter { errors_only: true, service: Some("sessions"), ..all() },
        ),
        ("url=/checkout", Filter { path: Some("/checkout".to_owned()), ..all() }),
        ("url=/cart/*", Filter { path: Some("/cart/*".to_owned()), ..all() }),
    ];
    filters.push(("a tag in a part of the time", Filter { range: middle, ..tag(&METHOD, "POST") }));
    filters
        .into_iter()
        .map(|(title, filter)| Search { title: title.to_owned(), filter, limit: LIMIT })
        .collect()
}

fn reds(range: (u64, u64), middle: (u64, u64), length: u64) -> Vec<RedQuestion> {
    let coarse = (length / COARSE_STEPS).div_ceil(RED_CELL_MICROS).max(1) * RED_CELL_MICROS;
    let mut reds = vec![
        RedQuestion {
            title: "every 10 s".to_owned(),
            filter: Filter::all(range),
            step: RED_CELL_MICROS,
            percentiles: false,
        },
        RedQuestion {
            title: "in coarse steps".to_owned(),
            filter: Filter::all(range),
            step: coarse,
            percentiles: true,
        },
    ];
    reds.extend(SERVICES.iter().map(|service| RedQuestion {
        title: format!("of {}", service.name),
        filter: Filter { service: Some(service.name), ..Filter::all(range) },
        step: coarse,
        percentiles: true,
    }));
    let operation = Filter {
        service: Some("catalog"),
        operation: Some("GET /internal/products/{id}".to_owned()),
        ..Filter::all(range)
    };
    let parts = [
        ("of an operation", operation),
        ("of a tag", Filter::tag(middle, &METHOD, "POST")),
        ("of traces with errors", Filter { errors_only: true, ..Filter::all(middle) }),
        ("of slow spans", Filter { min_duration: 20_000_000, ..Filter::all(middle) }),
    ];
    reds.extend(parts.map(|(title, filter)| RedQuestion {
        title: title.to_owned(),
        filter,
        step: coarse,
        percentiles: true,
    }));
    // Shorter than a roll-up cell, and not on its borders.
    let (from, to) = (middle.0 + 3_000_001, (middle.0 + 95_000_007).min(middle.1 - 1));
    reds.push(RedQuestion {
        title: "in steps of 1 s".to_owned(),
        filter: Filter::all((from, to)),
        step: 1_000_000,
        percentiles: true,
    });
    reds
}

fn logs(world: &World, range: (u64, u64), middle: (u64, u64)) -> Vec<LogFilter> {
    let mut random = Random::new(world.recipe.seed, Purpose::Check, 2);
    let (mut trace, mut logs) = (Trace::default(), Vec::new());
    // A trace with records, if there is one among many.
    for _ in 0..200 {
        trace.generate(world, random.below(world.traces()));
        logs.clear();
        log::of_trace(world, &trace, &mut logs);
        if logs.iter().any(|log| log.context.is_some()) {
            break;
        }
    }
    let number = logs.first().map(|log| log.body().as_str().to_ascii_lowercase());
    let base = |title: &str| LogFilter {
        title: title.to_owned(),
        range,
        limit: LIMIT,
        ..LogFilter::default()
    };
    let text = |title: &str, text: &str| LogFilter { text: Some(text.to_owned()), ..base(title) };
    vec![
        base("all"),
        LogFilter { range: middle, ..base("a part of the time") },
        LogFilter { service: Some("payment"), ..base("service=payment") },
        LogFilter { min_severity: 17, ..base("errors") },
        LogFilter { min_severity: 13, service: Some("orders"), ..base("warnings of orders") },
        text("a common word", "handled"),
        text("a rare word", WORDS[WORDS.len() - 1]),
        text("a part of a word", "armo"),
        text("two words", "refreshed heron"),
        text("a whole body", number.as_deref().unwrap_or("none")),
        text("nothing", "never said by anyone"),
        LogFilter { trace: Some(trace.id), ..base("of a trace") },
    ]
}
