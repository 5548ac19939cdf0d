//! `/services`, `/tags`, `/status`.

use super::{Answer, Native, SharedStore, micros, ok};
use crate::params::Params;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use carafe_store::{AttributeQuery, kind_name};
use serde_json::{Value as Json, json};

/// Keys or values of tags that are given at most.
const MAX_TAGS: usize = 1_000;

pub(super) async fn services(State(store): State<SharedStore>) -> Answer {
    let services = store.services().await?;
    let services: Vec<Json> = services
        .iter()
        .map(|service| {
            let operations = service.operations.iter().map(|operation| {
                json!({
                    "name": *operation.name,
                    "spanKind": kind_name(operation.kind),
                    "count": operation.spans,
                    "errorCount": operation.errors,
                    "p50Micros": micros(operation.p50),
                    "p95Micros": micros(operation.p95),
                })
            });
            json!({
                "name": *service.name,
                "spanCount": service.spans,
                "errorCount": service.errors,
                "lastSeenMicros": service.last_seen.as_micros(),
                "operations": operations.collect::<Vec<_>>(),
            })
        })
        .collect();
    ok(&json!({"services": services}))
}

pub(super) async fn tag_keys(State(store): State<SharedStore>, params: Params) -> Answer {
    let query = AttributeQuery { service: params.string("service"), limit: MAX_TAGS };
    ok(&json!({"keys": store.attribute_keys(&query).await?}))
}

pub(super) async fn tag_values(
    State(store): State<SharedStore>,
    path: Result<Path<String>, PathRejection>,
    params: Params,
) -> Answer {
    let Path(key) = path?;
    let query = AttributeQuery { service: params.string("service"), limit: MAX_TAGS };
    let values = store.attribute_values(&key, &query).await?;
    let values: Vec<String> = values.into_iter().map(|value| value.text).collect();
    ok(&json!({"values": values}))
}

pub(super) async fn status(State(native): State<Native>) -> Answer {
    let stats = native.store.stats().await?;
    ok(&json!({
        "version": native.status.version,
        "uptimeSeconds": native.status.started.elapsed().as_secs(),
        "startMicros": native.status.start.as_micros(),
        "store": {
            "kind": stats.kind,
            "spans": stats.spans,
            "traces": stats.traces,
            "logs": stats.logs,
            "points": stats.points,
            "bytes": stats.bytes,
            "maxBytes": stats.max_bytes,
            "recentBytes": stats.recent_bytes,
            "diskBytes": stats.disk_bytes,
            "logBytes": stats.log_bytes,
            "files": stats.files,
            "setAsideFiles": stats.set_aside_files,
            "oldestMicros": stats.oldest.as_micros(),
            "evictedTraces": stats.evicted_traces,
        },
    }))
}
