//! `/live`: what arrives, as server-sent events.
//!
//! A stream belongs to its connection: nothing runs for a client that is not there. It takes
//! what was appended from the store's tail and speaks at most four times a second, so a
//! burst of spans is a few events. The id of an event is the store's sequence up to which
//! everything was sent; a client that comes back with it goes on there.

use super::logs::{self, Log};
use super::search::Summary;
use super::{Failure, Native, SharedStore, filter};
use crate::fault::Fault;
use crate::params::Params;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use carafe_store::{
    LogQuery, LogRecord, Sequence, SpanFilter, StoreError, StoreStats, Tail, TailEvent, TailItems,
    TailRead, TraceSummary,
};
use carafe_telemetry::TraceId;
use futures::Stream;
use serde_json::{Value as Json, json};
use std::collections::{HashSet, VecDeque};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

/// Streams at a time; more are refused with 503.
pub(super) const MAX_STREAMS: usize = 256;

/// The shortest time between two events of traces or logs.
const FLUSH_INTERVAL: Duration = Duration::from_millis(250);

const STATS_INTERVAL: Duration = Duration::from_secs(1);

/// Traces or log records in one event; more go into further events.
const MAX_ITEMS_PER_EVENT: usize = 200;

/// Traces or log records that wait for the next flush; of more, the oldest are dropped and
/// counted.
const MAX_PENDING: usize = 2_000;

pub(super) async fn live(
    State(native): State<Native>,
    headers: HeaderMap,
    params: Params,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Failure> {
    let permit = Arc::clone(&native.live_streams).try_acquire_owned().map_err(|_| {
        Fault::unavailable(format!("{MAX_STREAMS} live streams are open; close one and try again"))
    })?;
    let after = last_event_id(&headers, &params)?;
    let tail = native.store.tail(after);
    let live = Live {
        filter: filter::filter(&params)?,
        log_filter: logs::filter(&params)?,
        sent_up_to: tail.position(),
        tail,
        store: native.store,
        shutdown: native.status.shutdown,
        traces: VecDeque::new(),
        waiting: HashSet::new(),
        logs: VecDeque::new(),
        next_flush: Instant::now(),
        stats: None,
        dropped: 0,
        events: VecDeque::new(),
        _permit: permit,
    };
    let mut stats_tick = tokio::time::interval(STATS_INTERVAL);
    stats_tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let events = futures::stream::unfold((live, stats_tick), |(mut live, mut tick)| async {
        let event = live.next(&mut tick).await?;
        Some((Ok(event), (live, tick)))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::default()))
}

/// From the header that browsers send when they come back, or from the parameter
/// `lastEventId`.
fn last_event_id(headers: &HeaderMap, params: &Params) -> Result<Option<Sequence>, Fault> {
    let header = headers.get("last-event-id").map(|value| value.to_str().unwrap_or("?"));
    let Some(text) = header.or_else(|| params.get("lastEventId")).filter(|t| !t.is_empty()) else {
        return Ok(None);
    };
    let sequence = text.parse().map_err(|_| {
        Fault::bad_request(format!("the last event id {text:?} is not an id of this stream"))
    })?;
    Ok(Some(Sequence(sequence)))
}

struct Live {
    store: SharedStore,
    tail: Tail,
    filter: SpanFilter,
    log_filter: LogQuery,
    shutdown: CancellationToken,
    /// Traces that got spans since the last flush, in the order in which they did.
    traces: VecDeque<TraceId>,
    waiting: HashSet<TraceId>,
    logs: VecDeque<LogRecord>,
    /// Up to where everything was sent.
    sent_up_to: Sequence,
    next_flush: Instant,
    stats: Option<Json>,
    /// Items that this stream did not see, and traces and records that it dropped.
    dropped: u64,
    events: VecDeque<Event>,
    _permit: OwnedSemaphorePermit,
}

impl Live {
    /// The next event; none when the store or the process goes away.
    async fn next(&mut self, stats_tick: &mut tokio::time::Interval) -> Option<Event> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Some(event);
            }
            let pending = !self.traces.is_empty() || !self.logs.is_empty();
            let done = tokio::select! {
                () = self.shutdown.cancelled() => return None,
                read = self.tail.next() => {
                    self.take(read?);
                    Ok(())
                }
                () = tokio::time::sleep_until(self.next_flush), if pending => self.flush().await,
                _ = stats_tick.tick() => self.look_at_stats().await,
            };
            if let Err(error) = done {
                tracing::warn!(%error, "a live stream ends: the store cannot answer");
                return None;
            }
        }
    }

    fn take(&mut self, read: TailRead) {
        match read {
            TailRead::Missed(items) => self.dropped += items,
            TailRead::Event(TailEvent { items: TailItems::Spans(spans), .. }) => {
                for span in spans.iter().filter(|span| self.waiting.insert(span.trace_id)) {
                    self.traces.push_back(span.trace_id);
                }
            }
            TailRead::Event(TailEvent { items: TailItems::Logs(logs), .. }) => {
                self.logs.extend(logs.iter().filter(|log| self.log_filter.matches(log)).cloned());
            }
            TailRead::Event(TailEvent { items: TailItems::Points(_), .. }) => {}
        }
        while self.traces.len() > MAX_PENDING {
            if let Some(id) = self.traces.pop_front() {
                self.waiting.remove(&id);
                self.dropped += 1;
            }
        }
        while self.logs.len() > MAX_PENDING {
            self.logs.pop_front();
            self.dropped += 1;
        }
    }

    async fn flush(&mut self) -> Result<(), StoreError> {
        self.next_flush = Instant::now() + FLUSH_INTERVAL;
        self.waiting.clear();
        let ids: Vec<TraceId> = self.traces.drain(..).collect();
        let traces = self.store.traces(&ids).await?;
        let summaries: Vec<Summary> = traces
            .iter()
            .filter(|trace| self.filter.matches_trace(trace))
            .map(|trace| Summary::from(TraceSummary::of(trace)))
            .collect();
        let logs: Vec<Log> = self.logs.drain(..).map(|log| Log::from(&log)).collect();
        let traces = summaries
            .chunks(MAX_ITEMS_PER_EVENT)
            .map(|summaries| ("traces", json!({"traces": summaries})));
        let logs = logs.chunks(MAX_ITEMS_PER_EVENT).map(|logs| ("logs", json!({"logs": logs})));
        let events: Vec<(&str, Json)> = traces.chain(logs).collect();
        let last = events.len().saturating_sub(1);
        for (at, (name, data)) in events.into_iter().enumerate() {
            // Only the last event of a flush completes the sequence.
            if at == last {
                self.sent_up_to = self.tail.position();
            }
            self.push(name, &data);
        }
        Ok(())
    }

    async fn look_at_stats(&mut self) -> Result<(), StoreError> {
        let StoreStats { appended_spans, appended_logs, appended_points, .. } =
            self.store.stats().await?;
        let stats = json!({
            "spans": appended_spans,
            "logs": appended_logs,
            "points": appended_points,
            "dropped": self.dropped,
        });
        if self.stats.as_ref() != Some(&stats) {
            self.push("stats", &stats);
            self.stats = Some(stats);
        }
        Ok(())
    }

    fn push(&mut self, name: &str, data: &Json) {
        // A JSON text has no line breaks, which a server-sent event could not carry.
        let id = self.sent_up_to.0.to_string();
        self.events.push_back(Event::default().event(name).id(id).data(data.to_string()));
    }
}
