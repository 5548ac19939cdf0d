//! Exemplars: measurements that are reported as they are, with the span in which they were made.

use carafe_telemetry::otlp::{Exemplar, exemplar};
use carafe_wire::record::{Measurement, Number};
use rand::RngExt;

/// A uniform choice from the measurements since the last report (metrics SDK specification,
/// "SimpleFixedSizeExemplarReservoir").
#[derive(Debug, Default, Clone)]
pub(super) struct Reservoir {
    kept: Vec<Exemplar>,
    seen: u64,
}

impl Reservoir {
    pub(super) fn offer(&mut self, measurement: &Measurement, size: usize) {
        self.seen += 1;
        if self.kept.len() < size {
            self.kept.push(exemplar(measurement));
            return;
        }
        let place = rand::rng().random_range(0..self.seen);
        if let Some(kept) = usize::try_from(place).ok().and_then(|place| self.kept.get_mut(place)) {
            *kept = exemplar(measurement);
        }
    }

    pub(super) fn take(&mut self) -> Vec<Exemplar> {
        self.seen = 0;
        std::mem::take(&mut self.kept)
    }
}

/// The measurement as it is reported.
pub(super) fn exemplar(measurement: &Measurement) -> Exemplar {
    let (trace_id, span_id) = match &measurement.span {
        Some(span) => (span.trace_id.to_vec(), span.span_id.to_vec()),
        None => Default::default(),
    };
    Exemplar {
        filtered_attributes: Vec::new(),
        time_unix_nano: measurement.time_unix_ns,
        span_id,
        trace_id,
        value: Some(match measurement.value {
            Number::Int(value) => exemplar::Value::AsInt(value),
            Number::Double(value) => exemplar::Value::AsDouble(value),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_a_few_of_many_and_starts_anew() {
        let mut reservoir = Reservoir::default();
        let measurement = |value| Measurement {
            instrument: 1,
            attributes: 0,
            time_unix_ns: 5,
            value: Number::Int(value),
            span: None,
        };
        (0..1_000).for_each(|value| reservoir.offer(&measurement(value), 3));
        let kept = reservoir.take();
        assert_eq!(kept.len(), 3);
        // The first three stay with a probability of 1 in 37 million.
        let first: Vec<_> = (0..3).map(|value| exemplar(&measurement(value))).collect();
        assert_ne!(kept, first);
        reservoir.offer(&measurement(7), 3);
        assert_eq!(reservoir.take(), [exemplar(&measurement(7))]);
    }
}
