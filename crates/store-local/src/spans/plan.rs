//! A filter as conditions on columns.

use super::columns::HIT_COLUMNS;
use super::file::{Footer, SpanFile};
use super::schema::{Promoted, column};
use super::tag::{Places, TagTest};
use super::{rows, tags};
use crate::index::group_set::GroupSet;
use crate::index::hash::hash_tag;
use carafe_store::condition::{Condition, Equals};
use carafe_store::{SpanFilter, StoreError, TimeRange};
use std::collections::BTreeSet;
use std::time::Duration;

/// A condition.
pub(super) enum Node<'a> {
    /// All of these hold.
    All(Vec<Node<'a>>),
    /// At least one of these holds.
    Any(Vec<Node<'a>>),
    /// This does not hold.
    Not(Box<Node<'a>>),
    /// The start is in this range.
    Range(TimeRange),
    /// The duration is within these.
    Duration(Option<Duration>, Option<Duration>),
    /// The service is this one.
    Service(&'a str),
    /// The name is this one.
    Name(&'a str),
    /// The tag is there.
    Tag(TagTest<'a>),
    /// The columns do not say.
    Unknown,
}

/// A filter, and what is read of each row group to decide it.
pub(super) struct Plan<'a> {
    pub(super) root: Node<'a>,
    range: TimeRange,
    min_duration: Option<Duration>,
}

/// A row group that may have matches.
pub(super) struct Group {
    pub(super) number: usize,
    /// Whether the range covers only a part of it.
    pub(super) is_cut: bool,
}

impl<'a> Plan<'a> {
    pub(super) fn new(filter: &'a SpanFilter, promoted: &[Promoted]) -> Self {
        // Named one by one, so that a new condition cannot be forgotten here.
        let SpanFilter {
            service,
            operation,
            tags,
            min_duration,
            max_duration,
            range,
            url,
            condition,
            errors_only: _,
        } = filter;
        let mut all = vec![Node::Range(*range)];
        if min_duration.is_some() || max_duration.is_some() {
            all.push(Node::Duration(*min_duration, *max_duration));
        }
        all.extend(service.as_deref().map(Node::Service));
        all.extend(operation.as_deref().map(Node::Name));
        all.extend(tags.iter().map(|tag| Node::Tag(TagTest::new(tag, promoted))));
        all.extend(url.as_ref().map(|_| Node::Unknown));
        all.extend(condition.as_ref().map(|condition| Node::of(condition, promoted)));
        Self { root: Node::All(all), range: *range, min_duration: *min_duration }
    }

    /// The row groups that may have matches, newest first.
    pub(super) fn groups(
        &mut self,
        file: &SpanFile,
        footer: &Footer,
    ) -> Result<Vec<Group>, StoreError> {
        let index = file.side_index()?;
        let count = footer.groups();
        let with = |hash: u64| match &index.tags {
            Some(table) => table.row_groups_with(hash, count),
            None => Ok(GroupSet::all(count)),
        };
        let possible = self.root.groups(count, &with)?;
        let mut groups = Vec::new();
        for number in possible.iter() {
            let extent = rows::extent(footer, number).unwrap_or(TimeRange::ALL);
            let is_outside = extent.end < self.range.start || self.range.end < extent.start;
            let longest = rows::longest(footer, number).map(Duration::from_nanos);
            let is_short =
                longest.zip(self.min_duration).is_some_and(|(longest, min)| longest < min);
            if !is_outside && !is_short {
                let is_cut = extent.start < self.range.start || self.range.end < extent.end;
                groups.push(Group { number, is_cut });
            }
        }
        Ok(groups)
    }

    /// The columns that decide the filter in a row group, and those of a hit; ascending.
    pub(super) fn columns(&self, group: usize) -> Vec<usize> {
        let mut columns = BTreeSet::from(HIT_COLUMNS);
        self.root.add_columns(group, &mut columns);
        columns.into_iter().collect()
    }
}

impl<'a> Node<'a> {
    fn of(condition: &'a Condition, promoted: &[Promoted]) -> Self {
        let all = |parts: &'a [Condition]| {
            parts.iter().map(|part| Self::of(part, promoted)).collect::<Vec<_>>()
        };
        match condition {
            Condition::All(parts) => Self::All(all(parts)),
            Condition::Any(parts) => Self::Any(all(parts)),
            Condition::Not(part) => Self::Not(Box::new(Self::of(part, promoted))),
            Condition::Test(test) => match test.equals() {
                Some(Equals::Service(service)) => Self::Service(service),
                Some(Equals::Name(name)) => Self::Name(name),
                Some(Equals::Tag(tag)) => Self::Tag(TagTest::new(tag, promoted)),
                None => Self::Unknown,
            },
        }
    }

    /// The row groups that may have matches.
    fn groups(
        &mut self,
        count: usize,
        with: &dyn Fn(u64) -> Result<GroupSet, StoreError>,
    ) -> Result<GroupSet, StoreError> {
        Ok(match self {
            Self::All(nodes) => {
                let mut all = GroupSet::all(count);
                for node in nodes {
                    all.intersect(&node.groups(count, with)?);
                }
                all
            }
            Self::Any(nodes) => {
                let mut any = GroupSet::none(count);
                for node in nodes {
                    any.unite(&node.groups(count, with)?);
                }
                any
            }
            Self::Not(node) => {
                // What does not have it everywhere is not known; where to look for it is.
                node.groups(count, with)?;
                GroupSet::all(count)
            }
            Self::Service(service) => with(hash_tag(tags::SERVICE, service))?,
            Self::Name(name) => with(hash_tag(tags::NAME, name))?,
            Self::Tag(tag) => tag.groups(with)?,
            Self::Range(_) | Self::Duration(..) | Self::Unknown => GroupSet::all(count),
        })
    }

    fn add_columns(&self, group: usize, columns: &mut BTreeSet<usize>) {
        match self {
            Self::All(nodes) | Self::Any(nodes) => {
                nodes.iter().for_each(|node| node.add_columns(group, columns));
            }
            Self::Not(node) => node.add_columns(group, columns),
            Self::Tag(tag) => tag.add_columns(group, columns),
            // Among those of a hit.
            Self::Range(_)
            | Self::Duration(..)
            | Self::Service(_)
            | Self::Name(_)
            | Self::Unknown => {}
        }
    }
}

/// Adds the columns that attributes in these places are in.
pub(super) fn add_places(places: Places, columns: &mut BTreeSet<usize>) {
    if places.raw {
        columns.extend([column::ATTRIBUTES_REST, column::EVENTS]);
    }
    if places.shared {
        columns.extend([column::RESOURCE, column::SCOPE]);
    }
}
