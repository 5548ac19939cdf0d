//! Which rows of a batch a filter matches, as far as columns say.

use super::columns::{ColumnError, Columns, Dictionary, HitColumns};
use super::plan::Node;
use arrow_array::{Array, StringArray};
use std::time::Duration;

/// The row does not match.
pub(super) const NO: u8 = 0;
/// The row may match.
pub(super) const MAYBE: u8 = 1;
/// The row matches.
pub(super) const YES: u8 = 2;

impl Node<'_> {
    /// [`NO`], [`MAYBE`] or [`YES`] for each row of a batch of a row group.
    pub(super) fn mask(
        &self,
        group: usize,
        columns: &Columns<'_>,
        hits: &HitColumns<'_>,
    ) -> Result<Vec<u8>, ColumnError> {
        let rows = 0..columns.rows();
        let of = |test: &dyn Fn(usize) -> bool| {
            rows.clone().map(|row| if test(row) { YES } else { NO }).collect()
        };
        Ok(match self {
            Self::All(nodes) => {
                let mut all = vec![YES; columns.rows()];
                for node in nodes {
                    let mask = node.mask(group, columns, hits)?;
                    all.iter_mut().zip(mask).for_each(|(all, verdict)| *all = verdict.min(*all));
                }
                all
            }
            Self::Any(nodes) => {
                let mut any = vec![NO; columns.rows()];
                for node in nodes {
                    let mask = node.mask(group, columns, hits)?;
                    any.iter_mut().zip(mask).for_each(|(any, verdict)| *any = verdict.max(*any));
                }
                any
            }
            Self::Not(node) => {
                let mut mask = node.mask(group, columns, hits)?;
                mask.iter_mut().for_each(|verdict| *verdict = YES - *verdict);
                mask
            }
            Self::Range(range) => of(&|row| range.contains(hits.start(row))),
            Self::Duration(min, max) => of(&|row| {
                let nanos = hits.end(row).0.saturating_sub(hits.start(row).0);
                let duration = Duration::from_nanos(nanos);
                min.is_none_or(|min| duration >= min) && max.is_none_or(|max| duration <= max)
            }),
            Self::Service(service) => is_text(hits.service, service),
            Self::Name(name) => is_text(hits.name, name),
            Self::Tag(tag) => tag.mask(group, columns, hits)?,
            Self::Unknown => vec![MAYBE; columns.rows()],
        })
    }
}

fn is_text(column: Dictionary<'_, StringArray>, text: &str) -> Vec<u8> {
    let is_it: Vec<bool> =
        (0..column.values.len()).map(|key| column.values.value(key) == text).collect();
    let row = |row| column.key(row).is_some_and(|key| is_it[key]);
    (0..column.keys.len()).map(|at| if row(at) { YES } else { NO }).collect()
}
