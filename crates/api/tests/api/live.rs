//! `/api/carafe/v1/live`.

use crate::{Fixture, log, logs, resource_spans, span, traces};
use axum::body::{Body, BodyDataStream};
use axum::http::{Request, StatusCode};
use futures::StreamExt;
use serde_json::Value as Json;
use std::time::Duration;
use tower::ServiceExt;

/// Longer than any of these tests needs to wait.
const DEADLINE: Duration = Duration::from_secs(20);

/// A browser's end of the stream.
struct Events {
    body: BodyDataStream,
    text: String,
}

struct Event {
    name: String,
    id: u64,
    data: Json,
}

impl Events {
    async fn open(fixture: &Fixture, query: &str, last_event_id: Option<u64>) -> Self {
        let mut request = Request::get(format!("/api/carafe/v1/live?{query}"));
        if let Some(id) = last_event_id {
            request = request.header("last-event-id", id.to_string());
        }
        let request = request.body(Body::empty()).unwrap();
        let response = fixture.router.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self { body: response.into_body().into_data_stream(), text: String::new() }
    }

    /// The next event, or none at the end of the stream.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let (event, rest) = (parse(event), rest.to_owned());
                self.text = rest;
                match event {
                    Some(event) => return Some(event),
                    None => continue,
                }
            }
            let chunk = tokio::time::timeout(DEADLINE, self.body.next()).await.unwrap()?;
            self.text += std::str::from_utf8(&chunk.unwrap()).unwrap();
        }
    }

    async fn next_named(&mut self, name: &str) -> Event {
        loop {
            let event = self.next().await.expect("the stream goes on");
            if event.name == name {
                return event;
            }
        }
    }
}

/// None for a comment.
fn parse(event: &str) -> Option<Event> {
    let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name));
    Some(Event {
        name: field("event: ")?.to_owned(),
        id: field("id: ")?.parse().unwrap(),
        data: serde_json::from_str(field("data: ")?).unwrap(),
    })
}

#[tokio::test]
async fn traces_logs_and_stats_arrive() {
    let fixture = Fixture::empty();
    let mut events = Events::open(&fixture, "service=todo", None).await;
    assert_eq!(events.next_named("stats").await.data["spans"], 0);
    let request = vec![
        resource_spans("todo", vec![span(1, 1, 0, "GET /", 0, 5)]),
        resource_spans("other", vec![span(2, 1, 0, "GET /", 0, 5)]),
    ];
    fixture.append(traces(request)).await;
    let event = events.next_named("traces").await;
    let found = event.data["traces"].as_array().unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0]["rootService"], "todo");
    fixture.append(logs("other", vec![log(2, 1, 1, 9, "not for us")])).await;
    fixture.append(logs("todo", vec![log(1, 1, 1, 9, "for us")])).await;
    let event = events.next_named("logs").await;
    assert_eq!(event.data["logs"][0]["body"], "for us");
    let stats = loop {
        let stats = events.next_named("stats").await.data;
        if stats["logs"] == 2 {
            break stats;
        }
    };
    assert_eq!(stats, serde_json::json!({"spans": 2, "logs": 2, "points": 0, "dropped": 0}));
}

#[tokio::test]
async fn a_trace_that_grows_comes_again() {
    let fixture = Fixture::empty();
    let mut events = Events::open(&fixture, "", None).await;
    for id in 1..=3 {
        let parent = if id == 1 { 0 } else { 1 };
        let spans = vec![span(1, id, parent, "step", u64::from(id), 5)];
        fixture.append(traces(vec![resource_spans("todo", spans)])).await;
        let event = events.next_named("traces").await;
        assert_eq!(event.data["traces"][0]["spanCount"], id);
    }
}

#[tokio::test]
async fn who_comes_back_goes_on_where_it_was() {
    let fixture = Fixture::empty();
    let mut events = Events::open(&fixture, "", None).await;
    let trace = |n| traces(vec![resource_spans("todo", vec![span(n, n, 0, "GET /", 0, 5)])]);
    fixture.append(trace(1)).await;
    let last = events.next_named("traces").await.id;
    drop(events);
    fixture.append(trace(2)).await;
    let mut events = Events::open(&fixture, "", Some(last)).await;
    let event = events.next_named("traces").await;
    let found = event.data["traces"].as_array().unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0]["traceId"], "02".repeat(16));
    assert!(event.id > last);
}

#[tokio::test]
async fn the_stream_ends_when_the_process_does() {
    let fixture = Fixture::empty();
    let mut events = Events::open(&fixture, "", None).await;
    events.next_named("stats").await;
    fixture.shutdown.cancel();
    while events.next().await.is_some() {}
}
