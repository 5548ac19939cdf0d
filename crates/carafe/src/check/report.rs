//! What `carafe check` prints.

use super::port::{Port, State};
use super::round_trip::RoundTrip;
use serde_json::{Value, json};
use std::fmt;

/// Everything that was found.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) ports: Vec<Port>,
    /// Empty where no receiver or no query API is there to try.
    pub(super) round_trips: Vec<RoundTrip>,
}

impl Report {
    /// Whether all ports speak what they should and every test span was found.
    pub(super) fn is_ok(&self) -> bool {
        self.ports.iter().all(Port::is_ok) && self.round_trips.iter().all(|t| t.outcome.is_ok())
    }

    pub(super) fn to_json(&self) -> Value {
        let ports: Vec<Value> = self.ports.iter().map(port_json).collect();
        let round_trips: Vec<Value> = self.round_trips.iter().map(round_trip_json).collect();
        json!({"ok": self.is_ok(), "ports": ports, "roundTrips": round_trips})
    }
}

fn port_json(port: &Port) -> Value {
    let (listening, holder, speaks) = match &port.state {
        State::Closed | State::Unreachable(_) => (false, None, None),
        State::Open { holder, speaks } => (true, holder.as_ref(), Some(speaks.id())),
    };
    json!({
        "component": port.wanted().id(),
        "address": port.addr,
        "ok": port.is_ok(),
        "listening": listening,
        "speaks": speaks,
        "holder": holder.map(|holder| json!({"pid": holder.pid, "command": holder.command})),
        "message": message(port),
    })
}

fn round_trip_json(trip: &RoundTrip) -> Value {
    let (millis, message) = match &trip.outcome {
        Ok(took) => (Some(took.as_secs_f64() * 1e3), None),
        Err(message) => (None, Some(message)),
    };
    json!({
        "via": trip.via.name(),
        "ok": trip.outcome.is_ok(),
        "durationMillis": millis,
        "message": message,
    })
}

/// What is there, and what to do if it is not what should be.
fn message(port: &Port) -> String {
    match &port.state {
        State::Closed => "nothing listens; hint: `carafe up` starts the backend".to_owned(),
        State::Unreachable(error) => format!("cannot be reached: {error}"),
        State::Open { holder, speaks } => {
            let who = match holder {
                Some(holder) => holder.to_string(),
                None => "a process that cannot be seen from here".to_owned(),
            };
            let what = speaks.text();
            if port.is_ok() {
                format!("{who} speaks {what}")
            } else {
                let wanted = port.wanted().text();
                format!("{who} speaks {what}, not {wanted}; hint: stop it or use another port")
            }
        }
    }
}

fn mark(ok: bool) -> char {
    if ok { '✓' } else { '✗' }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for port in &self.ports {
            let name = port.component.name();
            writeln!(f, "{} {name:<17} {:<22} {}", mark(port.is_ok()), port.addr, message(port))?;
        }
        for trip in &self.round_trips {
            let name = trip.via.name();
            let said = match &trip.outcome {
                Ok(took) => format!("found after {:.1} ms", took.as_secs_f64() * 1e3),
                Err(message) => message.clone(),
            };
            writeln!(f, "{} test span through {name}: {said}", mark(trip.outcome.is_ok()))?;
        }
        if self.round_trips.is_empty() {
            writeln!(f, "✗ no test span was sent: it takes a receiver and the query API")?;
        }
        Ok(())
    }
}
