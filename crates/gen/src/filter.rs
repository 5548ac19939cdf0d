//! Which spans a search is about, decided from the model alone.

use crate::attributes::{self, Sink};
use crate::shop::SERVICES;
use crate::trace::{Span, Trace};
use crate::world::World;
use carafe_telemetry::otlp::any_value::Value;
use carafe_telemetry::otlp::status::StatusCode;
use carafe_telemetry::otlp::{KeyValue, span::SpanKind};

/// A `key=value` condition.
#[derive(Clone, Debug)]
pub(crate) struct Tag {
    /// The key that is asked for, then all others that mean the same.
    pub(crate) keys: Vec<&'static str>,
    pub(crate) value: String,
}

/// Conditions on a span; all must hold.
#[derive(Clone, Debug)]
pub(crate) struct Filter {
    pub(crate) service: Option<&'static str>,
    pub(crate) operation: Option<String>,
    pub(crate) tags: Vec<Tag>,
    /// In nanoseconds.
    pub(crate) min_duration: u64,
    pub(crate) max_duration: u64,
    /// Both included, in microseconds since the epoch.
    pub(crate) range: (u64, u64),
    /// Only spans of traces with an error.
    pub(crate) errors_only: bool,
    /// A path, or the beginning of the path where it ends with a star.
    pub(crate) path: Option<String>,
}

impl Filter {
    pub(crate) fn all(range: (u64, u64)) -> Self {
        Self {
            service: None,
            operation: None,
            tags: Vec::new(),
            min_duration: 0,
            max_duration: u64::MAX,
            range,
            errors_only: false,
            path: None,
        }
    }

    pub(crate) fn tag(range: (u64, u64), keys: &[&'static str], value: impl Into<String>) -> Self {
        let tag = Tag { keys: keys.to_vec(), value: value.into() };
        Self { tags: vec![tag], ..Self::all(range) }
    }

    /// As parameters of the native API, and of Jaeger's where that knows them.
    pub(crate) fn params(&self) -> Vec<(&'static str, String)> {
        let mut params =
            vec![("start", self.range.0.to_string()), ("end", self.range.1.to_string())];
        params.extend(self.service.map(|service| ("service", service.to_owned())));
        params.extend(self.operation.clone().map(|operation| ("operation", operation)));
        params
            .extend(self.tags.iter().map(|tag| ("tag", format!("{}:{}", tag.keys[0], tag.value))));
        if self.min_duration > 0 {
            params.push(("minDuration", format!("{}ns", self.min_duration)));
        }
        if self.max_duration < u64::MAX {
            params.push(("maxDuration", format!("{}ns", self.max_duration)));
        }
        if self.errors_only {
            params.push(("errors", "true".to_owned()));
        }
        params.extend(self.path.clone().map(|path| ("url", path)));
        params
    }

    /// Whether only the native API knows such a filter.
    pub(crate) fn is_native(&self) -> bool {
        self.errors_only || self.path.is_some()
    }
}

/// Looks at each span once for many filters.
#[derive(Debug)]
pub(crate) struct Board {
    filters: Vec<Filter>,
    tags: Vec<Tag>,
    /// For each filter, which tags it has.
    needed: Vec<u64>,
    /// By the length of a key: tags with such a key.
    by_length: [u64; MAX_KEY],
    /// For each process and scope: which tags they fulfil.
    of_process: Vec<Vec<u64>>,
    paths: Vec<String>,
    /// Events are looked at only where a tag may be in one.
    wants_events: bool,
}

const MAX_KEY: usize = 64;

/// The most tags of all filters of a board together.
const MAX_TAGS: usize = 64;

impl Board {
    pub(crate) fn new(world: &World, filters: Vec<Filter>) -> Self {
        let mut board = Self {
            tags: Vec::new(),
            needed: Vec::new(),
            by_length: [0; MAX_KEY],
            of_process: Vec::new(),
            paths: filters.iter().filter_map(|filter| filter.path.clone()).collect(),
            wants_events: false,
            filters,
        };
        for filter in &board.filters {
            let first = board.tags.len();
            board.tags.extend(filter.tags.iter().cloned());
            board.needed.push((first..board.tags.len()).fold(0, |mask, tag| mask | 1 << tag));
        }
        assert!(board.tags.len() <= MAX_TAGS, "{} tags are too many", board.tags.len());
        for (at, tag) in board.tags.iter().enumerate() {
            for key in &tag.keys {
                board.by_length[key.len() % MAX_KEY] |= 1 << at;
                board.wants_events |= key.starts_with("exception.") || key.starts_with("cache.");
            }
        }
        board.of_process = world
            .instances
            .iter()
            .map(|process| {
                let resource = board.among(&process.resource.attributes);
                let scopes = process.scopes.iter();
                scopes.map(|scope| resource | board.among(&scope.attributes)).collect()
            })
            .collect();
        board
    }

    pub(crate) fn filters(&self) -> &[Filter] {
        &self.filters
    }

    fn among(&self, attributes: &[KeyValue]) -> u64 {
        let mut look = Look { board: self, hits: 0, paths: 0 };
        for kv in attributes {
            match kv.value.as_ref().and_then(|value| value.value.as_ref()) {
                Some(Value::StringValue(text)) => look.see(&kv.key, || text.as_str().into()),
                Some(Value::IntValue(int)) => look.see(&kv.key, || int.to_string().into()),
                _ => {}
            }
        }
        look.hits
    }

    /// Which filters `span` matches, as bits; what they say of its trace aside.
    pub(crate) fn matches(&self, world: &World, trace: &Trace, span: &Span) -> u64 {
        let mut look = Look { board: self, hits: 0, paths: 0 };
        if !self.tags.is_empty() || !self.paths.is_empty() {
            attributes::span(world, trace, span, &mut look);
            if self.wants_events {
                for event in (0..).map_while(|number| attributes::event(span, number)) {
                    let paths = look.paths;
                    event.visit(span, &mut look);
                    look.paths = paths;
                }
            }
            look.hits |= self.of_process[usize::from(span.instance)][span.scope() as usize];
            look.hits |= self.fields(span);
        }
        let name = span.name(world);
        let service = SERVICES[span.service as usize].name;
        let mut path = 0;
        let mut matching = 0;
        for (at, filter) in self.filters.iter().enumerate() {
            let is_on_path = filter.path.is_none() || {
                path += 1;
                look.paths & 1 << (path - 1) != 0
            };
            let (start, end) = filter.range;
            if is_on_path
                && look.hits & self.needed[at] == self.needed[at]
                && filter.service.is_none_or(|wanted| wanted == service)
                && filter.operation.as_ref().is_none_or(|wanted| wanted == name)
                && (filter.min_duration..=filter.max_duration).contains(&span.duration)
                && (start * 1_000..=end.saturating_mul(1_000)).contains(&span.start)
            {
                matching |= 1 << at;
            }
        }
        matching
    }

    /// Tags that are fields of a span, under the names that Jaeger gives them.
    fn fields(&self, span: &Span) -> u64 {
        let mut hits = 0;
        for (at, tag) in self.tags.iter().enumerate() {
            let field = match tag.keys[0] {
                "error" if span.failed => "true",
                "error" => "false",
                "otel.status_code" => match span.status() {
                    Some((StatusCode::Error, _)) => "ERROR",
                    Some((StatusCode::Ok, _)) => "OK",
                    _ => "UNSET",
                },
                "span.kind" => match span.kind() {
                    SpanKind::Server => "server",
                    SpanKind::Client => "client",
                    SpanKind::Producer => "producer",
                    SpanKind::Consumer => "consumer",
                    _ => "internal",
                },
                _ => continue,
            };
            hits |= u64::from(field == tag.value) << at;
        }
        hits
    }
}

/// Sees attributes and marks the tags and paths that they fulfil.
struct Look<'a> {
    board: &'a Board,
    hits: u64,
    paths: u64,
}

impl Look<'_> {
    #[inline]
    fn see<'v>(&mut self, key: &str, value: impl FnOnce() -> std::borrow::Cow<'v, str>) {
        let mut candidates = self.board.by_length[key.len() % MAX_KEY];
        if candidates == 0 {
            return;
        }
        let value = value();
        while candidates != 0 {
            let at = candidates.trailing_zeros() as usize;
            candidates &= candidates - 1;
            let tag = &self.board.tags[at];
            if tag.keys.contains(&key) && tag.value == value {
                self.hits |= 1 << at;
            }
        }
    }

    /// The native API's `url`: paths, routes and the paths of full URLs.
    fn see_path(&mut self, key: &str, value: &str) {
        let path = match key {
            "url.path" | "http.target" | "http.route" => value,
            "url.full" | "http.url" => match value.split_once("://") {
                Some((_, rest)) => rest.find('/').map_or("/", |at| &rest[at..]),
                None => return,
            },
            _ => return,
        };
        let bare = path.split(['?', '#']).next().unwrap_or(path);
        for (at, wanted) in self.board.paths.iter().enumerate() {
            let found = match wanted.strip_suffix('*') {
                Some(prefix) => path.starts_with(prefix),
                None => path == wanted || bare == wanted,
            };
            self.paths |= u64::from(found) << at;
        }
    }
}

impl Sink for Look<'_> {
    fn text(&mut self, key: &'static str, value: &str) {
        self.see(key, || value.into());
        if !self.board.paths.is_empty() {
            self.see_path(key, value);
        }
    }

    fn int(&mut self, key: &'static str, value: i64) {
        self.see(key, || value.to_string().into());
    }

    fn double(&mut self, key: &'static str, value: f64) {
        self.see(key, || value.to_string().into());
    }

    fn boolean(&mut self, key: &'static str, value: bool) {
        self.see(key, || if value { "true" } else { "false" }.into());
    }

    fn texts(&mut self, key: &'static str, values: &[&str]) {
        self.see(key, || serde_json::Value::from(values.to_vec()).to_string().into());
    }

    /// No filter asks for maps.
    fn map(&mut self, _: &'static str, _: &[(&'static str, &str)]) {}

    /// No filter asks for bytes.
    fn bytes(&mut self, _: &'static str, _: &[u8]) {}
}
