//! Whatever a client sends, it gets an answer that says what is wrong.

use crate::{Fixture, two_traces};
use axum::http::StatusCode;
use proptest::prelude::*;

/// Every route with a parameter that is wrong.
const WRONG: &[&str] = &[
    "/api/traces?start=yesterday",
    "/api/traces?end=99999999999999999999",
    "/api/traces?limit=0",
    "/api/traces?limit=-1",
    "/api/traces?limit=NaN",
    "/api/traces?limit=1e3",
    "/api/traces?minDuration=5",
    "/api/traces?minDuration=-5s",
    "/api/traces?maxDuration=9999999999999h",
    "/api/traces?minDuration=2s&maxDuration=1s",
    "/api/traces?lookback=2y",
    "/api/traces?lookback=99999999999d",
    "/api/traces?tag=novalue",
    "/api/traces?tags=%7B",
    "/api/traces?tags=[1]",
    "/api/traces?tags=%7B%22a%22%3A[]%7D",
    "/api/traces?traceID=xyz",
    "/api/traces?raw=perhaps",
    "/api/traces/xyz",
    "/api/traces/%FF",
    "/api/traces/ff?start=x",
    "/api/services/%FF/operations",
    "/api/dependencies?endTs=x",
    "/api/dependencies?lookback=1h",
    "/api/v3/trace-summaries?query.startTimeMin=2026-01-01T00:00:00Z",
    "/api/v3/traces?query.filter=%7B%7D",
    "/api/v3/traces?query.attributes=x&query.startTimeMin=2020-01-01T00:00:00Z&query.startTimeMax=2021-01-01T00:00:00Z",
    "/api/v3/traces?query.searchDepth=x&query.startTimeMin=2020-01-01T00:00:00Z&query.startTimeMax=2021-01-01T00:00:00Z",
    "/api/v3/traces?query.durationMin=x&query.startTimeMin=2020-01-01T00:00:00Z&query.startTimeMax=2021-01-01T00:00:00Z",
    "/api/v3/traces?query.startTimeMin=2022-01-01T00:00:00Z&query.startTimeMax=2021-01-01T00:00:00Z",
    "/api/v3/traces/ff?startTime=1",
    "/api/carafe/v1/search?limit=0",
    "/api/carafe/v1/search?start=2&end=1",
    "/api/carafe/v1/search?errors=maybe",
    "/api/carafe/v1/search?minDuration=2s&maxDuration=1s",
    "/api/carafe/v1/search?q=(",
    "/api/carafe/v1/search?q=a%20%3D~%20%22(%22",
    "/api/carafe/v1/search?after=!",
    "/api/carafe/v1/search?after=AAAA",
    "/api/carafe/v1/logs?q=duration%20%3E%205",
    "/api/carafe/v1/logs?after=AAAA",
    "/api/carafe/v1/live?q=and",
    "/api/carafe/v1/red?step=0",
    "/api/carafe/v1/red?step=-1",
    "/api/carafe/v1/red?step=1",
    "/api/carafe/v1/red?step=9223372036854775807",
    "/api/carafe/v1/logs?severityMin=25",
    "/api/carafe/v1/logs?severityMin=loud",
    "/api/carafe/v1/logs?traceId=xyz",
    "/api/carafe/v1/traces/xyz",
    "/api/carafe/v1/traces/ff/spans/xyz",
    "/api/carafe/v1/tags/%FF/values",
    "/api/carafe/v1/live?minDuration=x",
    "/api/carafe/v1/live?lastEventId=x",
];

#[tokio::test]
async fn what_is_wrong_is_a_400_with_a_reason() {
    let fixture = two_traces().await;
    for path in WRONG {
        let (status, json) = fixture.get(path).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{path}: {json}");
        let message = if path.starts_with("/api/v3") || path.starts_with("/api/carafe") {
            &json["error"]["message"]
        } else {
            &json["errors"][0]["msg"]
        };
        assert!(!message.as_str().unwrap().is_empty(), "{path}");
    }
}

#[tokio::test]
async fn what_is_extreme_but_right_is_answered() {
    let fixture = two_traces().await;
    let stars = "*a".repeat(5_000);
    for path in [
        "/api/traces?limit=9223372036854775807&start=0&end=9223372036854775807".to_owned(),
        "/api/traces?start=-9223372036854775808".to_owned(),
        "/api/traces?start=5&end=1".to_owned(),
        "/api/traces?service=%FF%FE&tag=a:%00".to_owned(),
        "/api/traces?tag=a:b:c&tag=:&tags=%7B%22n%22%3A1%7D".to_owned(),
        "/api/traces?&&=&service".to_owned(),
        "/api/dependencies?endTs=9223372036854775807&lookback=9223372036854775807".to_owned(),
        "/api/carafe/v1/search?limit=99999999&start=0".to_owned(),
        format!("/api/carafe/v1/search?start=0&url={stars}"),
        "/api/carafe/v1/search?start=0&url=(a%2B)%2B$".to_owned(),
        "/api/carafe/v1/red?start=0&end=9223372036854775807".to_owned(),
        "/api/carafe/v1/red?start=9223372036854775807&end=9223372036854775807&step=1".to_owned(),
        "/api/carafe/v1/tags/%20/values?service=".to_owned(),
        format!("/api/carafe/v1/search?start=0&q={}", encoded_condition()),
    ] {
        let (status, json) = fixture.get(&path).await;
        assert_eq!(status, StatusCode::OK, "{path}: {json}");
    }
}

/// As many regular expressions as one condition may have, none of them cheap.
fn encoded_condition() -> String {
    vec!["body%20%3D~%20%22(.*a){20}.*%22"; carafe_store::condition::MAX_CONDITION_TESTS]
        .join("%20or%20")
}

#[tokio::test]
async fn unknown_paths_below_api_are_json() {
    let fixture = Fixture::empty();
    for path in [
        "/api",
        "/api/",
        "/api/nothing",
        "/api/v3/nothing",
        "/api/carafe/v1/nothing",
        "/api/carafe/v2",
    ] {
        let (status, json) = fixture.get(path).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{path}");
        assert_eq!(json["error"]["code"], 404, "{path}");
    }
}

const ROUTES: &[&str] = &[
    "services",
    "services/todo/operations",
    "operations",
    "traces",
    "traces/01010101010101010101010101010101",
    "dependencies",
    "v3/services",
    "v3/operations",
    "v3/traces",
    "v3/trace-summaries",
    "carafe/v1/services",
    "carafe/v1/search",
    "carafe/v1/traces/01010101010101010101010101010101",
    "carafe/v1/logs",
    "carafe/v1/red",
    "carafe/v1/tags",
    "carafe/v1/tags/http.host/values",
];

const NAMES: &str = "service|operation|tag|tags|limit|start|end|minDuration|maxDuration|lookback|\
    traceID|raw|q|after|endTs|spanKind|query[.](serviceName|attributes|startTimeMin|startTimeMax|\
    searchDepth|durationMin)|url|errors|step|text|severityMin|traceId|[a-z%]{0,4}";

/// Numbers, durations, times, JSON, patterns, and escapes of bytes that are no text.
const VALUES: &str = "-?[0-9]{0,20}|[0-9.]{1,4}(ns|us|ms|s|m|h|d)|2026-0[0-9]-01T00:00:00(Z|%2B99:99)|\
    %7B(%22[a-z]%22:(%22%22|1|null|[\\[]))?%7D?|[a-z:/*?.]{0,12}|(%[0-9A-F]{2}){0,6}|true|[0-9a-f]{1,40}";

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn no_query_is_a_fault_of_ours(
        route in prop::sample::select(ROUTES),
        parameters in prop::collection::vec((NAMES, VALUES), 0..6),
    ) {
        let query: Vec<String> =
            parameters.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let path = format!("/api/{route}?{}", query.join("&"));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (status, _) = runtime.block_on(async { two_traces().await.get(&path).await });
        prop_assert!(
            [StatusCode::OK, StatusCode::BAD_REQUEST, StatusCode::NOT_FOUND].contains(&status),
            "{path}: {status}"
        );
    }
}
