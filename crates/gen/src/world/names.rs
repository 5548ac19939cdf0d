//! Span names, put together once.

use crate::shop::{ENDPOINTS, EndpointId, Protocol, Service};

#[derive(Debug)]
pub(crate) struct Names(Vec<OfEndpoint>);

#[derive(Debug)]
struct OfEndpoint {
    server: String,
    /// By the stable conventions, and by the old.
    client: [String; 2],
}

impl Names {
    pub(super) fn new() -> Self {
        Self(ENDPOINTS.iter().map(|endpoint| OfEndpoint::new(endpoint.protocol)).collect())
    }

    /// Of the span that answers.
    pub(crate) fn server(&self, endpoint: EndpointId) -> &str {
        &self.0[endpoint as usize].server
    }

    /// Of the span that asks, in the conventions of the service that asks.
    pub(crate) fn client(&self, endpoint: EndpointId, by: &Service) -> &str {
        &self.0[endpoint as usize].client[usize::from(!by.stable)]
    }
}

impl OfEndpoint {
    fn new(protocol: Protocol) -> Self {
        let (server, stable, old) = match protocol {
            Protocol::Http(method, route) => {
                (format!("{method} {route}"), method.to_owned(), format!("HTTP {method}"))
            }
            Protocol::Rpc(service, method) => {
                let name = format!("{service}/{method}");
                (name.clone(), name.clone(), name)
            }
            Protocol::Topic(topic) => {
                (format!("process {topic}"), format!("send {topic}"), format!("{topic} publish"))
            }
            Protocol::Job(name) => (name.to_owned(), name.to_owned(), name.to_owned()),
        };
        Self { server, client: [stable, old] }
    }
}
