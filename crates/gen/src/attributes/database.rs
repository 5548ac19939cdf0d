//! Databases, in the stable conventions and in the old.

use super::{Sink, http, named};
use crate::random::Random;
use crate::shop::Query;
use crate::text::Text;
use crate::trace::Span;

pub(super) fn ask(query: &'static Query, span: &Span, random: &mut Random, sink: &mut impl Sink) {
    let stable = span.service.get().stable;
    let host = Text::new().push(query.system).push("-").number(random.below(3)).push(".db");
    sink.text(named(stable, "db.system.name", "db.system"), query.system);
    sink.text(named(stable, "db.namespace", "db.name"), query.database);
    sink.text(named(stable, "db.operation.name", "db.operation"), query.operation);
    sink.text(named(stable, "db.query.text", "db.statement"), query.text);
    if !query.table.is_empty() {
        sink.text(named(stable, "db.collection.name", "db.sql.table"), query.table);
    }
    sink.text(named(stable, "server.address", "net.peer.name"), host.as_str());
    sink.int(named(stable, "server.port", "net.peer.port"), i64::from(query.port));
    sink.text(named(stable, "network.peer.address", "net.peer.ip"), http::peer(random).as_str());
    if stable {
        sink.int("db.response.returned_rows", random.below(50) as i64);
    } else {
        sink.text("db.user", "shop");
        let url = Text::new().push(query.system).push("://").push(host.as_str());
        sink.text("db.connection_string", url.push("/").push(query.database).as_str());
    }
    if span.failed && stable {
        sink.text("error.type", "timeout");
    }
}
