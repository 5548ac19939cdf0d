//! `key=value` on the columns of a row group: exactly what [`TagFilter::matches`] says of the
//! spans.

use super::columns::{ColumnError, Columns, Dictionary, HitColumns, PromotedColumn};
use super::mask::{MAYBE, NO, YES};
use super::plan::add_places;
use super::schema::{Promoted, column};
use super::tags;
use crate::index::group_set::GroupSet;
use crate::index::hash::hash_tag;
use crate::recent::needle::Needle;
use arrow_array::{Array, BinaryArray};
use carafe_store::{StoreError, TagFilter, aliases, canonical};
use carafe_telemetry::otlp::{self, AnyValue};
use carafe_telemetry::view::{KeyValueView, SpanView, ValueView};
use prost::Message;
use std::collections::BTreeSet;

/// Where else than in columns of their own attributes of a name may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Places {
    /// Among those that are kept as they came.
    pub(super) raw: bool,
    /// In resources and scopes.
    pub(super) shared: bool,
}

/// A tag that a span must have.
pub(super) struct TagTest<'a> {
    tag: &'a TagFilter,
    key: &'a str,
    value: &'a str,
    keys: Vec<&'a str>,
    /// Columns of the key and its aliases, with their places among the promoted.
    promoted: Vec<(usize, Promoted)>,
    needle: Option<Needle>,
    raw: Option<GroupSet>,
    shared: Option<GroupSet>,
}

impl<'a> TagTest<'a> {
    pub(super) fn new(tag: &'a TagFilter, promoted: &[Promoted]) -> Self {
        let (key, value) = (tag.key(), tag.value());
        let keys: Vec<&str> = aliases(key).collect();
        let promoted = promoted.iter().enumerate();
        let promoted = promoted.filter(|(_, promoted)| keys.contains(&&*promoted.key));
        Self {
            tag,
            key,
            value,
            promoted: promoted.map(|(at, promoted)| (at, promoted.clone())).collect(),
            needle: Needle::of_tag("", value),
            raw: None,
            shared: None,
            keys,
        }
    }

    /// The row groups that may have the tag; and notes where in them it may be.
    pub(super) fn groups(
        &mut self,
        with: &dyn Fn(u64) -> Result<GroupSet, StoreError>,
    ) -> Result<GroupSet, StoreError> {
        self.raw = Some(with(hash_tag(tags::RAW, canonical(self.key)))?);
        self.shared = Some(with(hash_tag(tags::SHARED, canonical(self.key)))?);
        let mut groups = with(hash_tag(self.key, self.value))?;
        // Fields are found whatever the case of the letters.
        let folded = match self.key {
            tags::ERROR | tags::KIND => self.value.to_ascii_lowercase(),
            tags::STATUS => self.value.to_ascii_uppercase(),
            _ => return Ok(groups),
        };
        groups.unite(&with(hash_tag(self.key, &folded))?);
        Ok(groups)
    }

    fn places(&self, group: usize) -> Places {
        let may = |set: &Option<GroupSet>| set.as_ref().is_none_or(|set| set.contains(group));
        Places { raw: may(&self.raw), shared: may(&self.shared) }
    }

    pub(super) fn add_columns(&self, group: usize, columns: &mut BTreeSet<usize>) {
        columns.extend(self.promoted.iter().map(|(at, _)| column::COUNT + at));
        add_places(self.places(group), columns);
        match self.key {
            tags::STATUS_DESCRIPTION => columns.extend([column::STATUS_MESSAGE]),
            tags::SCOPE_NAME | tags::SCOPE_VERSION => columns.extend([column::SCOPE]),
            _ => {}
        }
    }

    /// Which rows have the tag.
    pub(super) fn mask(
        &self,
        group: usize,
        columns: &Columns<'_>,
        hits: &HitColumns<'_>,
    ) -> Result<Vec<u8>, ColumnError> {
        let mut mask = vec![NO; columns.rows()];
        self.fields(columns, hits, &mut mask)?;
        for (at, promoted) in &self.promoted {
            self.promoted(columns.promoted(promoted, *at)?, &mut mask);
        }
        let places = self.places(group);
        if places.shared {
            for column in [column::RESOURCE, column::SCOPE] {
                let is_scope = column == column::SCOPE;
                let dictionary = columns.dictionary_of_bytes(column)?;
                shared(dictionary, &mut mask, |bytes| self.is_shared(is_scope, bytes));
            }
        }
        if places.raw {
            for column in [column::ATTRIBUTES_REST, column::EVENTS] {
                self.raw(columns.bytes(column)?, &mut mask);
            }
        }
        if self.key == tags::ERROR && !self.value.eq_ignore_ascii_case("true") {
            // A span that failed is never `error=false`, whatever an attribute says.
            let errors = (0..mask.len()).filter(|row| tags::is_error(hits.status(*row)));
            errors.for_each(|row| mask[row] = NO);
        }
        Ok(mask)
    }

    /// The tags that are fields of the span.
    fn fields(
        &self,
        columns: &Columns<'_>,
        hits: &HitColumns<'_>,
        mask: &mut [u8],
    ) -> Result<(), ColumnError> {
        let is = |text: &str| !text.is_empty() && text.eq_ignore_ascii_case(self.value);
        match self.key {
            tags::ERROR => set(mask, |row| is(tags::status_texts(hits.status(row)).1)),
            tags::STATUS => set(mask, |row| is(tags::status_texts(hits.status(row)).0)),
            tags::KIND => set(mask, |row| is(tags::kind_text(hits.kind.value(row)))),
            tags::STATUS_DESCRIPTION => {
                let messages = columns.texts(column::STATUS_MESSAGE)?;
                set(mask, |row| messages.is_valid(row) && messages.value(row) == self.value);
            }
            tags::SCOPE_NAME | tags::SCOPE_VERSION if !self.value.is_empty() => {
                let scopes = columns.dictionary_of_bytes(column::SCOPE)?;
                shared(scopes, mask, |bytes| {
                    let scope = otlp::InstrumentationScope::decode(bytes).unwrap_or_default();
                    let is_name = self.key == tags::SCOPE_NAME;
                    (if is_name { scope.name } else { scope.version }) == self.value
                });
            }
            _ => {}
        }
        Ok(())
    }

    fn promoted(&self, column: PromotedColumn<'_>, mask: &mut [u8]) {
        match column {
            PromotedColumn::Text(texts) => {
                set(mask, |row| texts.is_valid(row) && texts.value(row) == self.value);
            }
            PromotedColumn::Int(ints) => {
                set(mask, |row| self.tag.is_int(ints.value(row)) && ints.is_valid(row));
            }
            PromotedColumn::Double(doubles) => {
                set(mask, |row| self.tag.is_double(doubles.value(row)) && doubles.is_valid(row));
            }
        }
    }

    /// Whether a resource or a scope has the tag.
    fn is_shared(&self, is_scope: bool, bytes: &[u8]) -> bool {
        let attributes = match is_scope {
            true => otlp::InstrumentationScope::decode(bytes).map(|scope| scope.attributes),
            false => otlp::Resource::decode(bytes).map(|resource| resource.attributes),
        };
        attributes.unwrap_or_default().iter().any(|attribute| {
            self.keys.contains(&&*attribute.key)
                && attribute.value.as_ref().is_some_and(|value| self.equals_owned(value))
        })
    }

    fn raw(&self, messages: &BinaryArray, mask: &mut [u8]) {
        let may_have =
            |bytes: &[u8]| self.needle.as_ref().is_none_or(|needle| needle.may_be_in(&[bytes]));
        // One look over all rows together first: mostly none of them has the value.
        let offsets = messages.value_offsets();
        let (first, last) = (offsets[0] as usize, offsets[offsets.len() - 1] as usize);
        if !may_have(&messages.value_data()[first..last]) {
            return;
        }
        set(mask, |row| {
            messages.is_valid(row) && may_have(messages.value(row)) && {
                let Ok(span) = SpanView::reread(messages.value(row)) else { return false };
                span.attributes().any(|attribute| self.is(&attribute))
                    || span
                        .events()
                        .flat_map(|event| event.attributes())
                        .any(|attribute| self.is(&attribute))
            }
        });
    }

    fn is(&self, attribute: &KeyValueView<'_>) -> bool {
        self.keys.contains(&attribute.key) && self.equals(attribute)
    }

    fn equals(&self, attribute: &KeyValueView<'_>) -> bool {
        match &attribute.value {
            ValueView::Str(text) => *text == self.value,
            ValueView::Int(int) => self.tag.is_int(*int),
            ValueView::Double(double) => self.tag.is_double(*double),
            // One that is not there is not the same as an empty one; a view has them alike.
            ValueView::Empty => {
                let attribute = otlp::KeyValue::decode(attribute.bytes).unwrap_or_default();
                attribute.value.is_some() && self.value.is_empty()
            }
            other => other.text() == self.value,
        }
    }

    fn equals_owned(&self, value: &AnyValue) -> bool {
        use otlp::any_value::Value;
        match &value.value {
            Some(Value::StringValue(text)) => *text == self.value,
            Some(Value::IntValue(int)) => self.tag.is_int(*int),
            Some(Value::DoubleValue(double)) => self.tag.is_double(*double),
            _ => carafe_store::value::text(value) == self.value,
        }
    }
}

/// Marks the rows of which `test` is true.
fn set(mask: &mut [u8], test: impl Fn(usize) -> bool) {
    for (row, verdict) in mask.iter_mut().enumerate() {
        if *verdict == NO && test(row) {
            *verdict = YES;
        }
    }
}

/// Marks the rows of which the dictionary's value passes `test`; each is looked at once.
fn shared(column: Dictionary<'_, BinaryArray>, mask: &mut [u8], test: impl Fn(&[u8]) -> bool) {
    let mut verdicts = vec![MAYBE; column.values.len()];
    for (row, verdict) in mask.iter_mut().enumerate() {
        if *verdict != NO {
            continue;
        }
        let passes = match column.key(row) {
            Some(key) => {
                if verdicts[key] == MAYBE {
                    verdicts[key] = if test(column.values.value(key)) { YES } else { NO };
                }
                verdicts[key]
            }
            None => NO,
        };
        *verdict = passes;
    }
}
