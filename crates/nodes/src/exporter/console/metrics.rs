//! Metrics, as `MetricsData.to_json` prints them.

use super::json::Json;
use super::value::{attributes, attributes_or_null, resource, set};
use carafe_telemetry::otlp::{
    Exemplar, ExponentialHistogramDataPoint, ExportMetricsServiceRequest, HistogramDataPoint,
    InstrumentationScope, KeyValue, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics,
    SummaryDataPoint, exemplar, metric::Data, number_data_point,
};
use carafe_telemetry::{SpanId, TraceId};

/// Whole numbers up to here are exact in a double.
const MAX_EXACT: f64 = 9_007_199_254_740_992.0;

/// Semantic conventions: boundaries of the HTTP durations, in seconds. The official
/// instrumentation has integers among them and they are printed as such; other boundaries,
/// the SDK's own among them, are floats.
const HTTP_DURATION_BOUNDS: [f64; 14] =
    [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

/// The whole request as one JSON text.
pub(super) fn object(request: &ExportMetricsServiceRequest) -> String {
    Json::document(|json| {
        json.key("resource_metrics").array(&request.resource_metrics, of_resource);
    })
}

fn of_resource(json: &mut Json, metrics: &ResourceMetrics) {
    json.object(|json| {
        resource(json.key("resource"), metrics.resource.as_ref(), &metrics.schema_url);
        json.key("scope_metrics").array(&metrics.scope_metrics, of_scope);
        json.key("schema_url").string(&metrics.schema_url);
    });
}

fn of_scope(json: &mut Json, metrics: &ScopeMetrics) {
    let unknown = InstrumentationScope::default();
    let scope = metrics.scope.as_ref().unwrap_or(&unknown);
    json.object(|json| {
        json.key("scope").object(|json| {
            json.key("name").string(&scope.name);
            json.key("version").optional_string(set(&scope.version));
            json.key("schema_url").string(&metrics.schema_url);
            attributes_or_null(json.key("attributes"), &scope.attributes);
        });
        json.key("metrics").array(&metrics.metrics, metric);
        json.key("schema_url").string(&metrics.schema_url);
    });
}

fn metric(json: &mut Json, metric: &Metric) {
    json.object(|json| {
        json.key("name").string(&metric.name);
        json.key("description").string(&metric.description);
        json.key("unit").string(&metric.unit);
        json.key("data").object(|json| data(json, metric.data.as_ref()));
    });
}

fn data(json: &mut Json, data: Option<&Data>) {
    match data {
        Some(Data::Gauge(gauge)) => json.key("data_points").array(&gauge.data_points, number),
        Some(Data::Sum(sum)) => {
            json.key("data_points").array(&sum.data_points, number);
            json.key("aggregation_temporality").integer(sum.aggregation_temporality);
            json.key("is_monotonic").bool(sum.is_monotonic);
        }
        Some(Data::Histogram(data)) => {
            json.key("data_points").array(&data.data_points, histogram);
            json.key("aggregation_temporality").integer(data.aggregation_temporality);
        }
        Some(Data::ExponentialHistogram(data)) => {
            json.key("data_points").array(&data.data_points, exponential);
            json.key("aggregation_temporality").integer(data.aggregation_temporality);
        }
        // The SDK makes no summaries; these are in its manner.
        Some(Data::Summary(data)) => json.key("data_points").array(&data.data_points, summary),
        None => {}
    }
}

fn number(json: &mut Json, point: &NumberDataPoint) {
    json.object(|json| {
        head(json, &point.attributes, point.start_time_unix_nano, point.time_unix_nano);
        match point.value {
            Some(number_data_point::Value::AsInt(value)) => json.key("value").integer(value),
            Some(number_data_point::Value::AsDouble(value)) => json.key("value").float(value),
            None => json.key("value").null(),
        }
        exemplars(json, &point.exemplars, &point.attributes);
    });
}

fn histogram(json: &mut Json, point: &HistogramDataPoint) {
    let whole = is_whole(&point.exemplars, [point.sum, point.min, point.max]);
    json.object(|json| {
        head(json, &point.attributes, point.start_time_unix_nano, point.time_unix_nano);
        json.key("count").integer(point.count);
        measured(json.key("sum"), point.sum, whole);
        json.key("bucket_counts").array(&point.bucket_counts, |json, n| json.integer(*n));
        let integers = point.explicit_bounds == HTTP_DURATION_BOUNDS;
        json.key("explicit_bounds").array(&point.explicit_bounds, |json, bound| {
            measured(json, Some(*bound), integers && bound.fract() == 0.0);
        });
        measured(json.key("min"), point.min, whole);
        measured(json.key("max"), point.max, whole);
        exemplars(json, &point.exemplars, &point.attributes);
    });
}

fn exponential(json: &mut Json, point: &ExponentialHistogramDataPoint) {
    let whole = is_whole(&point.exemplars, [point.sum, point.min, point.max]);
    let positive = point.positive.as_ref().map(|b| (b.offset, b.bucket_counts.as_slice()));
    let negative = point.negative.as_ref().map(|b| (b.offset, b.bucket_counts.as_slice()));
    json.object(|json| {
        head(json, &point.attributes, point.start_time_unix_nano, point.time_unix_nano);
        json.key("count").integer(point.count);
        measured(json.key("sum"), point.sum, whole);
        json.key("scale").integer(point.scale);
        json.key("zero_count").integer(point.zero_count);
        for (key, buckets) in [("positive", positive), ("negative", negative)] {
            let (offset, counts) = buckets.unwrap_or_default();
            json.key(key).object(|json| {
                json.key("offset").integer(offset);
                json.key("bucket_counts").array(counts, |json, n| json.integer(*n));
            });
        }
        json.key("flags").integer(point.flags);
        measured(json.key("min"), point.min, whole);
        measured(json.key("max"), point.max, whole);
        exemplars(json, &point.exemplars, &point.attributes);
    });
}

fn summary(json: &mut Json, point: &SummaryDataPoint) {
    json.object(|json| {
        head(json, &point.attributes, point.start_time_unix_nano, point.time_unix_nano);
        json.key("count").integer(point.count);
        json.key("sum").float(point.sum);
        json.key("quantile_values").array(&point.quantile_values, |json, at| {
            json.object(|json| {
                json.key("quantile").float(at.quantile);
                json.key("value").float(at.value);
            });
        });
    });
}

fn head(json: &mut Json, list: &[KeyValue], start_unix_nano: u64, unix_nano: u64) {
    attributes(json.key("attributes"), list);
    // Gauges have no start.
    json.key("start_time_unix_nano");
    match start_unix_nano {
        0 => json.null(),
        start => json.integer(start),
    }
    json.key("time_unix_nano").integer(unix_nano);
}

fn exemplars(json: &mut Json, exemplars: &[Exemplar], point: &[KeyValue]) {
    json.key("exemplars").array(exemplars, |json, exemplar| {
        json.object(|json| {
            json.key("filtered_attributes");
            // What was recorded without attributes has none that a view could filter.
            if point.is_empty() {
                attributes_or_null(json, &exemplar.filtered_attributes);
            } else {
                attributes(json, &exemplar.filtered_attributes);
            }
            match exemplar.value {
                Some(exemplar::Value::AsInt(value)) => json.key("value").integer(value),
                Some(exemplar::Value::AsDouble(value)) => json.key("value").float(value),
                None => json.key("value").null(),
            }
            json.key("time_unix_nano").integer(exemplar.time_unix_nano);
            let span = SpanId::from_slice(&exemplar.span_id).ok();
            let trace = TraceId::from_slice(&exemplar.trace_id).ok();
            match span {
                Some(SpanId(bytes)) => json.key("span_id").integer(u64::from_be_bytes(bytes)),
                None => json.key("span_id").null(),
            }
            match trace {
                Some(TraceId(bytes)) => json.key("trace_id").id(u128::from_be_bytes(bytes)),
                None => json.key("trace_id").null(),
            }
        });
    });
}

fn measured(json: &mut Json, value: Option<f64>, whole: bool) {
    match value {
        #[expect(clippy::cast_possible_truncation, reason = "whole, and at most 2^53")]
        Some(value) if whole => json.integer(value as i64),
        Some(value) => json.float(value),
        None => json.null(),
    }
}

/// Whether the SDK, which keeps the type of what was recorded, would print integers. OTLP
/// makes doubles of them; only exemplars keep the type. Without any, whole numbers are taken
/// for integers, which is right for milliseconds and bytes.
fn is_whole(exemplars: &[Exemplar], values: [Option<f64>; 3]) -> bool {
    let whole = |value: f64| value.fract() == 0.0 && value.abs() <= MAX_EXACT;
    values.into_iter().flatten().all(whole)
        && exemplars.iter().all(|e| matches!(e.value, Some(exemplar::Value::AsInt(_))))
}
