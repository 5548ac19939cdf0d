//! Which attributes there are, and their values: from the summaries beside the files and, of
//! what is recent, from spans.

use super::queries::View;
use crate::query;
use crate::rollup::keys::KeysView;
use crate::source::SpanSource;
use carafe_store::{
    AttributeKeys, AttributeQuery, AttributeValue, AttributeValues, StoreError, TimeRange, aliases,
    is_virtual_tag,
};
use std::sync::Arc;

impl View {
    pub(super) fn attribute_keys(&self, query: &AttributeQuery) -> Result<Vec<String>, StoreError> {
        let service = query.service.as_deref();
        let mut keys = AttributeKeys::default();
        let scanned = self.each_summary(
            |view| {
                let names: Vec<_> = view.names(service).map(|(name, _)| Arc::clone(name)).collect();
                Ok(names)
            },
            |names| {
                if !names.is_empty() {
                    keys.insert_virtual_tags();
                }
                names.iter().for_each(|name| keys.insert(name));
            },
        )?;
        let all = AttributeQuery { limit: usize::MAX, ..query.clone() };
        let of_spans = query::attribute_keys(&scanned, &all, &self.budget)?;
        of_spans.iter().for_each(|name| keys.insert(name));
        Ok(keys.finish(query.limit))
    }

    pub(super) fn attribute_values(
        &self,
        key: &str,
        query: &AttributeQuery,
    ) -> Result<Vec<AttributeValue>, StoreError> {
        if query.service.is_some() || is_virtual_tag(key) {
            // The summaries do not tell values of services apart, and have attributes only.
            let sources = self.state.span_sources(TimeRange::ALL);
            return query::attribute_values(&sources, key, query, &self.budget);
        }
        let mut values = AttributeValues::new(key);
        let scanned = self.each_summary(
            |view| {
                let mut found = Vec::new();
                for name in aliases(key) {
                    if let Some(summary) = view.get(name)? {
                        let values = summary.values.values().into_iter();
                        found.extend(values.map(|value| (value.value.to_owned(), value.at_least)));
                    }
                }
                Ok(found)
            },
            |found| found.iter().for_each(|(value, spans)| values.count(value, *spans)),
        )?;
        let all = AttributeQuery { limit: usize::MAX, ..query.clone() };
        for AttributeValue { text, spans } in
            query::attribute_values(&scanned, key, &all, &self.budget)?
        {
            values.count(&text, spans);
        }
        Ok(values.finish(query.limit))
    }

    /// Reads each file's summary; what of it is damaged counts for nothing. Gives what has
    /// none: recent spans, and files without it.
    fn each_summary<T: Default>(
        &self,
        read: impl Fn(&KeysView) -> Result<T, StoreError>,
        mut add: impl FnMut(&T),
    ) -> Result<Vec<Arc<dyn SpanSource>>, StoreError> {
        let mut scanned = self.state.recent_span_sources();
        for file in self.state.span_files(TimeRange::ALL) {
            self.budget.rows(1)?;
            let mut has_summary = true;
            let of_file = file.or_default(|file| {
                let view = KeysView::open(file.side_file()?)?;
                has_summary = view.is_some();
                view.as_ref().map_or_else(|| Ok(T::default()), &read)
            })?;
            add(&of_file);
            if !has_summary {
                scanned.push(Arc::clone(file) as Arc<dyn SpanSource>);
            }
        }
        Ok(scanned)
    }
}
