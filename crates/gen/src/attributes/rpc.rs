//! gRPC.

use super::{Sink, http, named};
use crate::random::Random;
use crate::shop::Service;
use crate::trace::Span;

/// gRPC's status codes for the HTTP codes that spans are made with.
fn status(code: u16) -> i64 {
    match code {
        404 => 5,
        500 => 13,
        502 => 14,
        _ => 0,
    }
}

pub(super) fn call(
    (service, method): (&'static str, &'static str),
    callee: &'static Service,
    span: &Span,
    random: &mut Random,
    sink: &mut impl Sink,
) {
    let stable = span.service.get().stable;
    let peer = http::peer(random);
    sink.text("rpc.system", "grpc");
    sink.text("rpc.service", service);
    sink.text("rpc.method", method);
    sink.int("rpc.grpc.status_code", status(span.code));
    sink.text(named(stable, "server.address", "net.peer.name"), callee.name);
    sink.int(named(stable, "server.port", "net.peer.port"), i64::from(callee.port));
    sink.text(named(stable, "network.peer.address", "net.sock.peer.addr"), peer.as_str());
    let port = 32_768 + random.below(28_000) as i64;
    sink.int(named(stable, "network.peer.port", "net.sock.peer.port"), port);
    if stable {
        sink.text("network.transport", "tcp");
    }
}
