//! `/api/carafe/v1/...`.

use crate::{Fixture, T0, range, two_traces};
use axum::http::StatusCode;
use serde_json::{Value as Json, json};

const BASE: &str = "/api/carafe/v1";
const ONE: &str = "01010101010101010101010101010101";

async fn ok(fixture: &Fixture, path: &str) -> Json {
    fixture.ok(&format!("{BASE}{path}")).await
}

#[tokio::test]
async fn services_tags_and_status() {
    let fixture = two_traces().await;
    insta::assert_json_snapshot!("services", ok(&fixture, "/services").await);
    let keys = ok(&fixture, "/tags?service=todo").await;
    let keys: Vec<&str> =
        keys["keys"].as_array().unwrap().iter().map(|k| k.as_str().unwrap()).collect();
    assert!(keys.is_sorted() && keys.contains(&"http.host") && keys.contains(&"error"), "{keys:?}");
    let values = ok(&fixture, "/tags/http.status_code/values").await;
    assert_eq!(values, json!({"values": ["302", "500"]}));
    let values = ok(&fixture, "/tags/span.kind/values?service=todo").await;
    assert_eq!(values, json!({"values": ["server", "client"]}));
    let status = ok(&fixture, "/status").await;
    assert_eq!(status["version"], "1.2.3");
    assert_eq!(status["store"]["kind"], "memory");
    assert_eq!(status["store"]["spans"], 4);
    assert_eq!(status["store"]["logs"], 3);
    assert!(status["store"]["bytes"].as_u64().unwrap() > 0);
}

#[tokio::test]
async fn search_gives_summaries() {
    let fixture = two_traces().await;
    let json = ok(&fixture, &format!("/search?{}", range())).await;
    insta::assert_json_snapshot!("search", json);
    for (query, found) in [
        ("&errors=true", vec!["01"]),
        ("&url=/add", vec!["02"]),
        ("&url=http://localhost:5000/", vec!["01"]),
        ("&url=http://localhost:5000/*", vec!["02", "01"]),
        ("&url=localhost", vec!["02", "01"]),
        ("&url=/nothing", vec![]),
        ("&service=todo&url=/*&minDuration=50ms", vec!["01"]),
    ] {
        let json = ok(&fixture, &format!("/search?{}{query}", range())).await;
        let traces = json["traces"].as_array().unwrap().iter();
        let ids: Vec<&str> = traces.map(|t| &t["traceId"].as_str().unwrap()[..2]).collect();
        assert_eq!(ids, found, "{query}");
        assert_eq!(json["truncated"], false);
    }
    let json = ok(&fixture, &format!("/search?{}&limit=1", range())).await;
    assert_eq!(json["truncated"], true);
    // The last hour has nothing.
    assert_eq!(
        ok(&fixture, "/search").await,
        json!({"traces": [], "truncated": false, "next": null})
    );
}

fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

#[tokio::test]
async fn conditions_choose_traces_logs_and_points() {
    let fixture = two_traces().await;
    for (condition, found) in [
        ("http.response.status_code >= 400", vec!["01"]),
        ("http.method =~ \"GET|POST\" and not status = error", vec!["02", "01"]),
        (
            "kind = server and service = store or duration < 30ms and kind = server",
            vec!["02", "01"],
        ),
        ("exists(db.system)", vec!["01"]),
        ("name startswith PUT", vec![]),
    ] {
        let json = ok(&fixture, &format!("/search?{}&q={}", range(), encoded(condition))).await;
        let traces = json["traces"].as_array().unwrap().iter();
        let ids: Vec<&str> = traces.map(|t| &t["traceId"].as_str().unwrap()[..2]).collect();
        assert_eq!(ids, found, "{condition}");
    }
    let query = encoded("severity >= error or body contains added");
    let json = ok(&fixture, &format!("/logs?{}&q={query}", range())).await;
    let logs = json["logs"].as_array().unwrap().iter();
    let bodies: Vec<&str> = logs.map(|log| log["body"].as_str().unwrap()).collect();
    assert_eq!(bodies, ["task added", "Cannot list tasks"]);
    let query = encoded("http.status_code < 400");
    let json = ok(&fixture, &format!("/red?{}&q={query}", range())).await;
    let counts = json["points"].as_array().unwrap().iter().map(|p| p["count"].as_u64().unwrap());
    assert_eq!(counts.sum::<u64>(), 1);
    let (status, json) = fixture.get(&format!("{BASE}/search?q=a%20%3D")).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let message = json["error"]["message"].as_str().unwrap();
    assert_eq!(
        message,
        "unable to parse 'q': at character 4: a value is expected here; hint: put text in double \
         quotes"
    );
}

#[tokio::test]
async fn pages_go_on_where_the_one_before_ended() {
    let fixture = two_traces().await;
    for (path, list, count) in [("search", "traces", 2), ("logs", "logs", 3)] {
        let all = ok(&fixture, &format!("/{path}?{}", range())).await;
        let mut found = Vec::new();
        let mut after = String::new();
        loop {
            let page = ok(&fixture, &format!("/{path}?{}&limit=1{after}", range())).await;
            found.extend(page[list].as_array().unwrap().iter().cloned());
            assert_eq!(page["truncated"], found.len() < count);
            match page["next"].as_str() {
                Some(next) => after = format!("&after={next}"),
                None => break,
            }
        }
        assert_eq!(&found, all[list].as_array().unwrap());
        let other = if path == "logs" { "search" } else { "logs" };
        let first = ok(&fixture, &format!("/{path}?{}&limit=1", range())).await;
        let next = first["next"].as_str().unwrap();
        let (status, _) = fixture.get(&format!("{BASE}/{other}?after={next}")).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "a cursor of another search");
    }
}

#[tokio::test]
async fn a_trace_in_columns_and_a_span_in_full() {
    let fixture = two_traces().await;
    insta::assert_json_snapshot!("columns", ok(&fixture, &format!("/traces/{ONE}")).await);
    let span = ok(&fixture, &format!("/traces/{ONE}/spans/0303030303030303")).await;
    insta::assert_json_snapshot!("span", span);
    for path in
        [format!("/traces/{ONE}/spans/ff"), "/traces/ff".into(), "/traces/ff/spans/1".into()]
    {
        let (status, json) = fixture.get(&format!("{BASE}{path}")).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{path}");
        assert_eq!(json["error"]["code"], 404);
    }
}

#[tokio::test]
async fn logs() {
    let fixture = two_traces().await;
    let of_trace = ok(&fixture, &format!("/traces/{ONE}/logs")).await;
    insta::assert_json_snapshot!("logs", of_trace);
    for (query, found) in [
        ("", vec!["task added", "Cannot list tasks", "listing tasks"]),
        ("&text=LIST", vec!["Cannot list tasks", "listing tasks"]),
        ("&severityMin=10", vec!["Cannot list tasks"]),
        ("&severityMin=error", vec!["Cannot list tasks"]),
        ("&service=todo&limit=1", vec!["task added"]),
        ("&service=store", vec![]),
        ("&traceId=02020202020202020202020202020202", vec!["task added"]),
    ] {
        let json = ok(&fixture, &format!("/logs?{}{query}", range())).await;
        let logs = json["logs"].as_array().unwrap().iter();
        let bodies: Vec<&str> = logs.map(|log| log["body"].as_str().unwrap()).collect();
        assert_eq!(bodies, found, "{query}");
        assert_eq!(json["truncated"], query.contains("limit"));
    }
    // With a trace there is no need for a range.
    let json = ok(&fixture, &format!("/logs?traceId={ONE}")).await;
    assert_eq!(json["logs"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn red_over_time() {
    let fixture = two_traces().await;
    let start = T0 / 1_000;
    let query = format!("start={start}&end={}&step=1000000", start + 2_999_999);
    let json = ok(&fixture, &format!("/red?{query}")).await;
    assert_eq!(json["stepMicros"], 1_000_000);
    assert_eq!(json["startMicros"], start);
    let points = json["points"].as_array().unwrap();
    let counts: Vec<_> = points.iter().map(|p| (&p["count"], &p["errors"])).collect();
    assert_eq!(counts, [(&json!(2), &json!(1)), (&json!(1), &json!(0)), (&json!(0), &json!(0))]);
    let p99 = points[0]["p99Micros"].as_f64().unwrap();
    assert!((p99 - 100_000.0).abs() < 100_000.0 * carafe_store::PERCENTILE_RELATIVE_ERROR, "{p99}");
    assert_eq!(points[2]["p50Micros"], Json::Null);
    let json = ok(&fixture, &format!("/red?{query}&service=store")).await;
    assert_eq!(json["points"][0]["count"], 1);
    assert_eq!(json["points"][1]["count"], 0);
}
