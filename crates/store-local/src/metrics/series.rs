//! A series as bytes: what it is told apart by, and the order in which files have series.

use carafe_store::{ResourceRecord, ScopeRecord, Series};
use hashbrown::HashSet;
use prost::Message;
use std::sync::Arc;

/// A series, encoded. Two are equal exactly where the series are; the order is that of the
/// fields, which is that of the series in a file.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EncodedSeries {
    /// The metric's name.
    pub name: Arc<str>,
    /// The service.
    pub service: Arc<str>,
    /// The OTLP resource.
    pub resource: Arc<[u8]>,
    /// The schema of the resource.
    pub resource_schema_url: Arc<str>,
    /// The OTLP scope.
    pub scope: Arc<[u8]>,
    /// The schema of the scope.
    pub scope_schema_url: Arc<str>,
    /// The OTLP metric without data points.
    pub metric: Arc<[u8]>,
    /// OTLP attributes, one after the other, each with its length.
    pub attributes: Arc<[u8]>,
}

/// Encodes series; equal parts are shared.
#[derive(Debug, Default)]
pub struct SeriesEncoder {
    texts: HashSet<Arc<str>>,
    messages: HashSet<Arc<[u8]>>,
    /// The last resource and scope, which the next series most often has as well.
    resource: Option<(Arc<ResourceRecord>, Arc<[u8]>)>,
    scope: Option<(Arc<ScopeRecord>, Arc<[u8]>)>,
}

impl SeriesEncoder {
    /// Encodes `series`.
    pub fn encode(&mut self, series: &Series) -> EncodedSeries {
        let resource = match &self.resource {
            Some((last, bytes)) if Arc::ptr_eq(last, &series.resource) => Arc::clone(bytes),
            _ => {
                let bytes = self.message(series.resource.resource.encode_to_vec());
                self.resource = Some((Arc::clone(&series.resource), Arc::clone(&bytes)));
                bytes
            }
        };
        let scope = match &self.scope {
            Some((last, bytes)) if Arc::ptr_eq(last, &series.scope) => Arc::clone(bytes),
            _ => {
                let bytes = self.message(series.scope.scope.encode_to_vec());
                self.scope = Some((Arc::clone(&series.scope), Arc::clone(&bytes)));
                bytes
            }
        };
        let attributes =
            series.attributes.iter().flat_map(Message::encode_length_delimited_to_vec).collect();
        EncodedSeries {
            name: self.text(&series.metric.name),
            service: self.text(&series.resource.service),
            resource,
            resource_schema_url: self.text(&series.resource.schema_url),
            scope,
            scope_schema_url: self.text(&series.scope.schema_url),
            metric: self.message(series.metric.encode_to_vec()),
            attributes: self.message(attributes),
        }
    }

    fn text(&mut self, text: &str) -> Arc<str> {
        Arc::clone(self.texts.get_or_insert_with(text, |text| Arc::from(text)))
    }

    fn message(&mut self, bytes: Vec<u8>) -> Arc<[u8]> {
        Arc::clone(self.messages.get_or_insert_with(bytes.as_slice(), |bytes| Arc::from(bytes)))
    }
}
