//! HTTP, in the stable conventions and in the old.

use super::{Sink, named};
use crate::random::Random;
use crate::shop::{AGENTS, HOSTS, Service};
use crate::text::Text;
use crate::trace::{Context, Span, Trace};

/// The path of a request: the route with numbers in the places in braces.
pub(crate) fn path(route: &str, context: &Context) -> Text {
    let mut text = Text::new();
    let mut number = context.product;
    for piece in route.split_inclusive(['{', '}']) {
        text = match (piece.strip_suffix('{'), piece.strip_suffix('}')) {
            (Some(literal), _) => text.push(literal),
            (_, Some(_)) => {
                let filled = text.number(number);
                number = number / 7 + 1;
                filled
            }
            _ => text.push(piece),
        };
    }
    text
}

/// Where a request goes: to the shop's public name, or to a service's.
fn host(trace: &Trace, span: &Span, of: &'static Service) -> (&'static str, u16) {
    match span.parent {
        None => (HOSTS[trace.context.host], 443),
        Some(_) => (of.name, of.port),
    }
}

pub(super) fn server(
    (method, route): (&'static str, &'static str),
    trace: &Trace,
    span: &Span,
    random: &mut Random,
    sink: &mut impl Sink,
) {
    let service = span.service.get();
    let stable = service.stable;
    let context = &trace.context;
    let (host, port) = host(trace, span, service);
    let scheme = if span.parent.is_none() { "https" } else { "http" };
    let path = path(route, context);
    let agent = match span.parent {
        None => AGENTS[context.agent],
        Some(_) => "shop-internal/1",
    };
    let peer = peer(random);
    sink.text(named(stable, "http.request.method", "http.method"), method);
    sink.text(named(stable, "url.scheme", "http.scheme"), scheme);
    if !stable && random.chance(200_000) {
        let target = path.clone().push("?page=").number(random.below(9));
        sink.text("http.target", target.as_str());
    } else {
        sink.text(named(stable, "url.path", "http.target"), path.as_str());
    }
    sink.text("http.route", route);
    sink.text(named(stable, "server.address", "http.host"), host);
    sink.int(named(stable, "server.port", "net.host.port"), i64::from(port));
    sink.int(named(stable, "http.response.status_code", "http.status_code"), i64::from(span.code));
    sink.text(named(stable, "network.protocol.version", "http.flavor"), "1.1");
    sink.text(named(stable, "user_agent.original", "http.user_agent"), agent);
    sink.text(named(stable, "client.address", "http.client_ip"), peer.as_str());
    if stable && span.failed {
        sink.text("error.type", if span.code == 502 { "502" } else { "500" });
    }
    if random.chance(30_000) {
        let id = Text::new().hex(random.next(), 16);
        sink.texts("http.request.header.x-request-id", &[id.as_str()]);
    }
    if !stable && random.chance(500_000) {
        sink.int("http.response_content_length", 200 + random.below(90_000) as i64);
    }
}

pub(super) fn client(
    (method, route): (&'static str, &'static str),
    callee: &'static Service,
    trace: &Trace,
    span: &Span,
    random: &mut Random,
    sink: &mut impl Sink,
) {
    let stable = span.service.get().stable;
    let path = path(route, &trace.context);
    let url = Text::new().push("http://").push(callee.name).push(":").number(callee.port.into());
    let url = url.push(path.as_str());
    sink.text(named(stable, "http.request.method", "http.method"), method);
    sink.text(named(stable, "url.full", "http.url"), url.as_str());
    sink.text(named(stable, "server.address", "net.peer.name"), callee.name);
    sink.int(named(stable, "server.port", "net.peer.port"), i64::from(callee.port));
    sink.int(named(stable, "http.response.status_code", "http.status_code"), i64::from(span.code));
    sink.text(named(stable, "network.protocol.version", "http.flavor"), "1.1");
    sink.text(named(stable, "network.peer.address", "net.peer.ip"), peer(random).as_str());
    if stable && random.chance(4_000) {
        sink.int("http.request.resend_count", 1 + random.below(3) as i64);
    }
    if stable && span.failed {
        sink.text("error.type", Text::new().number(span.code.into()).as_str());
    }
}

/// An address of the private network.
pub(super) fn peer(random: &mut Random) -> Text {
    let bits = random.next();
    let text = Text::new().push("10.").number(bits & 15).push(".").number(bits >> 8 & 255);
    text.push(".").number(bits >> 16 & 255)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_have_numbers_for_braces() {
        let context = Context { product: 4_321, ..Context::default() };
        for (route, expected) in [
            ("/", "/"),
            ("/checkout", "/checkout"),
            ("/products/{id}", "/products/4321"),
            ("/cart/{id}/items/{item}", "/cart/4321/items/618"),
        ] {
            assert_eq!(path(route, &context).as_str(), expected);
        }
    }
}
