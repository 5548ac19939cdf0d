use super::*;
use crate::record::{ResourceRecord, ScopeRecord};
use carafe_telemetry::otlp::{self, KeyValue, span::SpanKind, status::StatusCode};
use carafe_telemetry::{SpanId, TraceId, UnixNanos};
use proptest::prelude::*;
use std::sync::Arc;

fn resource(service: &str) -> Arc<ResourceRecord> {
    let attributes = vec![otlp::string("service.name", service), otlp::string("host.name", "box")];
    let resource = otlp::Resource { attributes, ..Default::default() };
    Arc::new(ResourceRecord::new(resource, String::new()))
}

fn scope() -> Arc<ScopeRecord> {
    let attributes = vec![otlp::bool("instrumented", true)];
    let name = "carafe.test".to_owned();
    let scope = otlp::InstrumentationScope { name, attributes, ..Default::default() };
    Arc::new(ScopeRecord { scope, schema_url: String::new() })
}

fn span(attributes: Vec<KeyValue>) -> SpanRecord {
    let event = otlp::span::Event {
        attributes: vec![otlp::string("exception.type", "KeyError")],
        ..Default::default()
    };
    SpanRecord {
        trace_id: TraceId([1; 16]),
        span_id: SpanId([1; 8]),
        parent_span_id: None,
        start: UnixNanos(1_000_000),
        end: UnixNanos(3_500_000),
        resource: resource("todo"),
        scope: scope(),
        span: Arc::new(otlp::Span {
            name: "GET /items/{id}".to_owned(),
            kind: SpanKind::Server as i32,
            status: Some(otlp::Status {
                code: StatusCode::Error as i32,
                message: "no\nway".to_owned(),
            }),
            attributes,
            events: vec![event],
            ..Default::default()
        }),
    }
}

fn log(severity: i32, body: &str) -> LogRecord {
    LogRecord {
        time: UnixNanos(1),
        trace_id: None,
        span_id: None,
        resource: resource("todo"),
        scope: scope(),
        log: Arc::new(otlp::LogRecord {
            severity_number: severity,
            body: otlp::string("", body).value,
            attributes: vec![otlp::string("logger", "app.db"), otlp::int("line", 42)],
            ..Default::default()
        }),
    }
}

fn parse(text: &str) -> Condition {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn spans() {
    let span = span(vec![
        otlp::int("http.status_code", 503),
        otlp::string("http.request.method", "GET"),
        otlp::double("load", 0.75),
        otlp::string("size", "12"),
        otlp::string("name", "an attribute"),
        otlp::bool("flag", true),
        otlp::string("and", "odd"),
    ]);
    for (text, expected) in [
        ("http.status_code = 503", true),
        ("http.response.status_code = 503", true),
        ("http.response.status_code >= 500 and http.status_code < 504", true),
        ("http.status_code > 503", false),
        ("http.status_code >= 99", true),
        ("size > 9", true),
        ("size > \"9\"", true),
        ("load < 1", true),
        ("load <= 0.75", true),
        ("load > 0.75", false),
        ("http.method = GET", true),
        ("http.method = get", false),
        ("http.method >= FOO and http.method < HEAD", true),
        ("http.method startswith G", true),
        ("http.method contains ET", true),
        ("http.method contains et", false),
        ("http.method =~ \"(?i)g.t\"", true),
        ("http.method =~ G", false),
        ("http.method =~ \"G|GE\"", false),
        ("flag = true", true),
        ("flag >= truc", true),
        ("host.name = box", true),
        ("instrumented = true", true),
        ("exception.type startswith Key", true),
        ("exists(exception.type)", true),
        ("exists(user.id)", false),
        ("exists(http.response.status_code)", true),
        ("user.id != 5", true),
        ("not user.id = 5", true),
        ("user.id < 5 or user.id >= 5", false),
        ("error = true", true),
        ("exists(error)", true),
        ("error =~ \"t.*\"", true),
        ("otel.scope.name startswith carafe", true),
        ("otel.status_description =~ no.way", true),
        ("service = todo", true),
        ("service != todo", false),
        ("name = \"GET /items/{id}\"", true),
        ("name =~ \"GET .*\"", true),
        ("\"name\" = \"an attribute\"", true),
        ("\"and\" = odd", true),
        ("kind = SERVER", true),
        ("kind =~ \"server|client\"", true),
        ("status = error", true),
        ("status != ok", true),
        ("duration = 2.5ms", true),
        ("duration > 2.5ms", false),
        ("duration >= 2500us", true),
        ("duration < 1m30s", true),
        ("exists(severity)", false),
        ("severity >= warn", false),
        ("body contains x", false),
        ("flag = false and flag = false or flag = true", true),
        ("flag = false and (flag = false or flag = true)", false),
        ("NOT (flag = false OR Exists(user.id))", true),
        ("not not flag = true", true),
    ] {
        assert_eq!(parse(text).matches(&span), expected, "{text}");
    }
}

#[test]
fn logs() {
    let log = log(18, "Cannot list\ntasks");
    for (text, expected) in [
        ("severity = error", true),
        ("severity > warn", true),
        ("severity > error", false),
        ("severity >= error", true),
        ("severity < error", false),
        ("severity < Fatal", true),
        ("severity = 18", true),
        ("severity < 18", false),
        ("body contains list", true),
        ("body =~ \"Cannot.*\"", true),
        ("body startswith Cannot", true),
        ("body startswith list", false),
        ("service = todo", true),
        ("exists(name)", false),
        ("logger = app.db and line > 7", true),
        ("host.name = box", true),
        ("instrumented = true", true),
        ("otel.scope.name = carafe.test", true),
        ("exists(error)", false),
        ("duration > 0s", false),
        ("exists(kind)", false),
        ("exists(body)", true),
    ] {
        assert_eq!(parse(text).matches_log(&log), expected, "{text}");
    }
    assert!(!parse("exists(severity)").matches_log(&self::log(0, "")));
}

#[test]
fn what_cannot_be_read_is_explained() {
    let long = "a".repeat(MAX_CONDITION_BYTES + 1);
    let deep = "not ".repeat(MAX_CONDITION_DEPTH + 1) + "a = b";
    let many = vec!["a = b"; MAX_CONDITION_TESTS + 1].join(" or ");
    for (text, message) in [
        ("", "at character 1: a key is expected here; hint: write http.route = \"/items\""),
        (
            "a",
            "at character 2: an operator is expected here; hint: one of = != < <= > >= =~ !~ contains startswith",
        ),
        ("a =", "at character 4: a value is expected here; hint: put text in double quotes"),
        ("a = b c = d", "at character 7: this does not belong here; hint: join tests by and, or"),
        ("(a = b", "at character 7: a ) is expected here"),
        ("a = b)", "at character 6: there is no ( for this )"),
        (
            "ä = \"b",
            "at character 5: a text that begins here does not end; hint: add a double quote",
        ),
        ("a = 'b'", "at character 5: ' does not begin a text; hint: use double quotes"),
        ("a = b && c = d", "at character 7: '&' is not known; hint: write and"),
        ("exists a", "at character 8: a ( is expected here; hint: write exists(user.id)"),
        (
            "and = b",
            "at character 1: a key is expected here; hint: an attribute of the name and is written \"and\"",
        ),
        (
            "x = 1 and duration > 5",
            "at character 11: \"5\" is not a duration; hint: write 250us, 1.5ms, 2s or 1m30s",
        ),
        (
            "duration =~ 5",
            "at character 1: duration is not a text; hint: use = != < <= > >=, or write \"duration\" for an attribute of that name",
        ),
        (
            "severity = loud",
            "at character 1: \"loud\" is not a severity; hint: trace, debug, info, warn, error, fatal, or a number from 1 to 24",
        ),
        (
            "status = bad",
            "at character 1: status is never \"bad\"; hint: it is one of unset, ok, error",
        ),
        ("a =~ \"a)|(b\"", "at character 1: \"a)|(b\" is not a regular expression: unopened group"),
        (
            r#"a =~ "(\w{100}){100}""#,
            r#"at character 1: the regular expression "(\\w{100}){100}" is too large; hint: repeat less"#,
        ),
        (&long, "the condition has 8193 bytes; hint: at most 8192 are read"),
        (&deep, "at character 133: this is nested too deep; hint: at most 32 levels are read"),
        (&many, "at character 577: there are too many tests; hint: at most 64 are read"),
    ] {
        assert_eq!(text.parse::<Condition>().unwrap_err().to_string(), message, "{text}");
    }
}

fn any_key() -> impl Strategy<Value = Key> {
    prop_oneof![
        prop::sample::select(&Field::ALL[..]).prop_map(Key::Field),
        "[a-z.]{0,6}|name|not|AND|\\PC{0,4}".prop_map(Key::Attribute),
    ]
}

fn any_test() -> impl Strategy<Value = Test> {
    let operand = "[a-z0-9.*]{0,4}|5ms|warn|ok|server|or|\\PC{0,5}|[\"\\\\n]{0,4}";
    (any_key(), prop::sample::select(&Operator::ALL[..]), operand)
        .prop_filter_map("the operand does not fit", |(key, operator, operand)| {
            Test::new(key, operator, operand).ok()
        })
}

fn any_condition() -> impl Strategy<Value = Condition> {
    any_test().prop_map(Condition::Test).prop_recursive(4, 20, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 2..4).prop_map(Condition::All),
            prop::collection::vec(inner.clone(), 2..4).prop_map(Condition::Any),
            inner.prop_map(|part| Condition::Not(Box::new(part))),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(condition in any_condition()) {
        let text = condition.to_string();
        let read = text.parse::<Condition>();
        prop_assert_eq!(read.as_ref(), Ok(&condition), "{}", text);
    }

    #[test]
    fn any_text_is_read_or_refused(text in "([a-z]{1,3}| |and|or|not|[()=<>!~\"\\\\]|\\PC){0,20}") {
        if let Ok(condition) = text.parse::<Condition>() {
            let again = condition.to_string().parse();
            prop_assert_eq!(again, Ok(condition), "{}", text);
        }
    }
}
