//! The most frequent of many values, in bounded memory.
//!
//! The summary of Misra and Gries ("Finding repeated elements", 1982), with the median taken
//! off all counts at once when there is no room: a value that makes up more than a share of
//! 2 / capacity of all is never lost.

use crate::rollup::encoding::{Reader, put_text, put_varint};
use hashbrown::HashMap;

/// Counts values, up to a number of different ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frequent {
    capacity: usize,
    counts: HashMap<Box<str>, u64>,
    /// What was taken off every count.
    taken_off: u64,
    is_complete: bool,
}

/// A value and how often it came: at least `at_least`, at most `at_most` times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counted<'a> {
    /// The value.
    pub value: &'a str,
    /// Never more than the true count.
    pub at_least: u64,
    /// Never less than the true count.
    pub at_most: u64,
}

impl Frequent {
    /// Counts at most `capacity` (at least two) values at once.
    pub fn new(capacity: usize) -> Self {
        let capacity = capacity.max(2);
        Self { capacity, counts: HashMap::new(), taken_off: 0, is_complete: true }
    }

    /// Counts `value` so many times.
    pub fn add(&mut self, value: &str, times: u64) {
        if let Some(count) = self.counts.get_mut(value) {
            *count = count.saturating_add(times);
            return;
        }
        if times == 0 {
            return;
        }
        self.make_room();
        self.counts.insert(value.into(), times);
    }

    /// Some values were not given to [`add`](Self::add): the counts of the others stand.
    pub fn left_some_out(&mut self) {
        self.is_complete = false;
    }

    /// Adds what `other` counted. The bounds of counts stay true.
    pub fn merge(&mut self, other: &Self) {
        let mut values: Vec<_> = other.counts.iter().collect();
        // In an order of its own, the result would not be the same each time.
        values.sort_unstable_by(|a, b| b.1.cmp(a.1).then_with(|| a.0.cmp(b.0)));
        values.into_iter().for_each(|(value, count)| self.add(value, *count));
        self.taken_off = self.taken_off.saturating_add(other.taken_off);
        self.is_complete &= other.is_complete;
    }

    /// Whether every value that came is there with its exact count.
    pub fn is_complete(&self) -> bool {
        self.is_complete
    }

    /// The values that are left, the most frequent first, then by value.
    pub fn values(&self) -> Vec<Counted<'_>> {
        let mut values: Vec<_> = self
            .counts
            .iter()
            .map(|(value, &at_least)| Counted {
                value,
                at_least,
                at_most: at_least.saturating_add(self.taken_off),
            })
            .collect();
        values.sort_unstable_by(|a, b| {
            b.at_least.cmp(&a.at_least).then_with(|| a.value.cmp(b.value))
        });
        values
    }

    /// The `most` most frequent values only. The bounds of counts stay true, also of what is
    /// merged with it.
    pub fn shortened(&self, most: usize) -> Self {
        let values = self.values();
        let Some(next) = values.get(most) else { return self.clone() };
        let counts = values[..most].iter().map(|value| (value.value.into(), value.at_least));
        Self {
            capacity: self.capacity,
            counts: counts.collect(),
            taken_off: self.taken_off.saturating_add(next.at_least),
            is_complete: false,
        }
    }

    /// Appends what is there: whether it is complete, what was taken off, and the values, the
    /// most frequent first.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        put_varint(u64::from(self.is_complete), out);
        put_varint(self.taken_off, out);
        put_varint(self.counts.len() as u64, out);
        for value in self.values() {
            put_text(value.value, out);
            put_varint(value.at_least, out);
        }
    }

    /// Reads what [`encode`](Self::encode) wrote; none where it is something else or has more
    /// than `capacity` values.
    pub(crate) fn decode(capacity: usize, from: &mut Reader<'_>) -> Option<Self> {
        let mut frequent = Self::new(capacity);
        frequent.is_complete = from.varint()? == 1;
        frequent.taken_off = from.varint()?;
        let len = from.count().filter(|len| *len <= frequent.capacity)?;
        for _ in 0..len {
            frequent.counts.insert(from.text()?.into(), from.varint()?);
        }
        Some(frequent)
    }

    fn make_room(&mut self) {
        if self.counts.len() < self.capacity {
            return;
        }
        let mut counts: Vec<_> = self.counts.values().copied().collect();
        let middle = counts.len() / 2;
        let (_, &mut median, _) = counts.select_nth_unstable(middle);
        self.counts.retain(|_, count| {
            *count = count.saturating_sub(median);
            *count > 0
        });
        self.taken_off = self.taken_off.saturating_add(median);
        self.is_complete = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn counted(capacity: usize, values: &[u8]) -> Frequent {
        let mut frequent = Frequent::new(capacity);
        values.iter().for_each(|value| frequent.add(&value.to_string(), 1));
        frequent
    }

    fn check(frequent: &Frequent, values: &[u8], share: usize) -> Result<(), TestCaseError> {
        let mut exact = BTreeMap::<String, u64>::new();
        values.iter().for_each(|value| *exact.entry(value.to_string()).or_default() += 1);
        let found = frequent.values();
        for Counted { value, at_least, at_most } in &found {
            let count = exact[*value];
            prop_assert!(*at_least <= count && count <= *at_most, "{value} {count} {found:?}");
        }
        for (value, count) in &exact {
            let is_found = found.iter().any(|counted| counted.value == value);
            prop_assert!(is_found || *count as usize * share <= values.len() * 2, "{}", value);
        }
        if frequent.is_complete() {
            prop_assert_eq!(found.len(), exact.len());
            prop_assert!(found.iter().all(|counted| counted.at_least == counted.at_most));
        }
        Ok(())
    }

    proptest! {
        #[test]
        fn frequent_values_stay_and_bounds_hold(
            values in prop::collection::vec(prop_oneof![0..4_u8, 0..100_u8], 0..600),
            more in prop::collection::vec(prop_oneof![0..4_u8, 0..100_u8], 0..600),
            capacity in 2..40_usize,
        ) {
            let mut frequent = counted(capacity, &values);
            check(&frequent, &values, capacity)?;
            prop_assert!(frequent.values().len() <= capacity);
            frequent.merge(&counted(capacity, &more));
            // Merging takes off as often again.
            let all = [values, more].concat();
            check(&frequent, &all, capacity / 2)?;
            prop_assert!(frequent.values().len() <= capacity);

            let mut bytes = Vec::new();
            frequent.encode(&mut bytes);
            let again = Frequent::decode(capacity, &mut Reader::new(&bytes));
            prop_assert_eq!(again.as_ref(), Some(&frequent));
        }

        #[test]
        fn what_is_shortened_keeps_its_bounds(
            values in prop::collection::vec(0..30_u8, 0..300),
            more in prop::collection::vec(0..30_u8, 0..300),
            most in 1..20_usize,
        ) {
            let short = counted(100, &values).shortened(most);
            prop_assert!(short.values().len() <= most);
            let mut both = counted(100, &more);
            both.merge(&short);
            // No share is promised any more: with one of all values there is nothing to lose.
            check(&both, &[values, more].concat(), 2)?;
        }
    }
}
