//! `key=value` of attributes: what is indexed, and what a query needs.

use super::write::SERVICE_KEY;
use crate::index::bloom_table::BloomTableBuilder;
use crate::index::group_set::GroupSet;
use crate::index::hash::{TagKey, hash_tag};
use crate::recent::needle::Needle;
use carafe_store::condition::{Condition, Equals};
use carafe_store::{LogQuery, StoreError};
use carafe_telemetry::otlp;
use carafe_telemetry::view::{KeyValueView, LogView, ValueView};
use hashbrown::{HashMap, HashSet};
use prost::Message;
use twox_hash::XxHash3_64;

/// Bits of the filter of tags for each different tag of a row group.
const TAG_BITS: u32 = 12;
/// Keys whose hashes are remembered; more are hashed anew.
const MAX_KEYS: usize = 4_096;

/// Indexes the attributes of records, resources and scopes.
pub(super) struct TagIndex {
    table: BloomTableBuilder,
    keys: HashMap<String, TagKey>,
    /// Hashes of the resources and scopes that the row group has already.
    shared: HashSet<u64>,
}

impl TagIndex {
    pub(super) fn new() -> Self {
        let table = BloomTableBuilder::new(TAG_BITS);
        Self { table, keys: HashMap::new(), shared: HashSet::new() }
    }

    /// Adds the attributes of a record: an OTLP `LogRecord`.
    pub(super) fn add_record(&mut self, attributes: &[u8]) {
        if let Ok(view) = LogView::reread(attributes) {
            view.attributes().for_each(|attribute| self.insert(attribute.key, attribute.value));
        }
    }

    /// Adds a resource and a scope, where they are new to the row group.
    pub(super) fn add_source(&mut self, service: &str, resource: &[u8], scope: &[u8]) {
        if self.shared.insert(XxHash3_64::oneshot_with_seed(1, resource)) {
            let decoded = otlp::Resource::decode(resource).unwrap_or_default();
            self.insert(SERVICE_KEY, ValueView::Str(service));
            self.add_decoded(&decoded.attributes);
        }
        if self.shared.insert(XxHash3_64::oneshot_with_seed(2, scope)) {
            let decoded = otlp::InstrumentationScope::decode(scope).unwrap_or_default();
            self.insert("otel.scope.name", ValueView::Str(&decoded.name));
            self.insert("otel.scope.version", ValueView::Str(&decoded.version));
            self.add_decoded(&decoded.attributes);
        }
    }

    fn add_decoded(&mut self, attributes: &[otlp::KeyValue]) {
        for attribute in attributes.iter().map(Message::encode_to_vec) {
            if let Ok(view) = KeyValueView::parse(&attribute) {
                self.insert(view.key, view.value);
            }
        }
    }

    fn insert(&mut self, key: &str, value: ValueView<'_>) {
        if self.keys.len() >= MAX_KEYS {
            self.keys.clear();
        }
        let key = *self.keys.entry_ref(key).or_insert_with(|| TagKey::new(key));
        self.table.insert(key.with(&value.text()));
    }

    pub(super) fn end_group(&mut self) {
        self.table.end_group();
        self.shared.clear();
    }

    pub(super) fn finish(self) -> Vec<u8> {
        self.table.finish()
    }
}

/// What must hold of a record's service and attributes, where that can be told cheaply.
pub(super) enum Need<'a> {
    /// All of these.
    All(Vec<Need<'a>>),
    /// One of these.
    Any(Vec<Need<'a>>),
    /// The service is this one.
    Service(&'a str),
    /// The tag is there. The needle is in one of the encoded messages then.
    Tag(u64, Option<Needle>),
    /// Nothing can be told.
    Unknown,
}

/// The encoded attributes of a record, its resource and its scope.
pub(super) type Messages<'m> = [&'m [u8]; 3];

impl<'a> Need<'a> {
    pub(super) fn of(query: &'a LogQuery) -> Self {
        let service = query.service.as_deref().map(Self::Service);
        let condition = query.condition.as_ref().map(Self::of_condition);
        Self::All(service.into_iter().chain(condition).collect())
    }

    fn of_condition(condition: &'a Condition) -> Self {
        let parts = |parts: &'a [Condition]| parts.iter().map(Self::of_condition).collect();
        match condition {
            Condition::All(all) => Self::All(parts(all)),
            Condition::Any(any) => Self::Any(parts(any)),
            Condition::Not(_) => Self::Unknown,
            Condition::Test(test) => match test.equals() {
                Some(Equals::Service(service)) => Self::Service(service),
                Some(Equals::Tag(tag)) => {
                    let needle = Needle::of_tag("", tag.value());
                    Self::Tag(hash_tag(tag.key(), tag.value()), needle)
                }
                Some(Equals::Name(_)) | None => Self::Unknown,
            },
        }
    }

    /// The row groups of `count` that may have what is needed.
    pub(super) fn groups(
        &self,
        count: usize,
        with: &dyn Fn(u64) -> Result<GroupSet, StoreError>,
    ) -> Result<GroupSet, StoreError> {
        match self {
            Self::All(needs) => needs.iter().try_fold(GroupSet::all(count), |mut all, need| {
                all.intersect(&need.groups(count, with)?);
                Ok(all)
            }),
            Self::Any(needs) => needs.iter().try_fold(GroupSet::none(count), |mut any, need| {
                any.unite(&need.groups(count, with)?);
                Ok(any)
            }),
            Self::Service(service) => with(hash_tag(SERVICE_KEY, service)),
            Self::Tag(hash, _) => with(*hash),
            Self::Unknown => Ok(GroupSet::all(count)),
        }
    }

    /// Whether the encoded messages are needed to tell more than the row groups did.
    pub(super) fn wants_messages(&self) -> bool {
        match self {
            Self::All(needs) => needs.iter().any(Self::wants_messages),
            Self::Any(needs) => needs.iter().all(Self::wants_messages),
            Self::Tag(_, needle) => needle.is_some(),
            Self::Service(_) | Self::Unknown => false,
        }
    }

    /// Whether a record of this service may have what is needed. `messages` is asked only
    /// where a needle has to be found.
    pub(super) fn may_have<'m>(
        &self,
        service: &str,
        messages: &dyn Fn() -> Option<Messages<'m>>,
    ) -> bool {
        match self {
            Self::All(needs) => needs.iter().all(|need| need.may_have(service, messages)),
            Self::Any(needs) => needs.iter().any(|need| need.may_have(service, messages)),
            Self::Service(wanted) => *wanted == service,
            Self::Tag(_, Some(needle)) => {
                messages().is_none_or(|messages| needle.may_be_in(&messages))
            }
            Self::Tag(_, None) | Self::Unknown => true,
        }
    }
}
