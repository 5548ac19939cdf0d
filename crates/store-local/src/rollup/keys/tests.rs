use super::*;
use crate::files::MemoryFile;
use crate::index::side_file::{Section, SideFile, SideFileWriter};
use carafe_store::StoreError;
use proptest::prelude::*;
use std::collections::BTreeSet;

/// Service, key, in the resource, type, value, spans.
type Row = (u8, u8, bool, usize, u8, u64);

fn rows() -> impl Strategy<Value = Vec<Row>> {
    let row = (0..3_u8, 0..5_u8, any::<bool>(), 0..ValueType::ALL.len(), any::<u8>(), 1..4_u64);
    prop::collection::vec(row, 0..150)
}

fn count(rows: &[Row]) -> Keys {
    let mut keys = Keys::new();
    for &(service, key, of_resource, kind, value, spans) in rows {
        let service = keys.service(&service.to_string());
        let key = keys.key(&key.to_string()).unwrap();
        let place = if of_resource { Place::Resource } else { Place::Span };
        keys.add(key, place, ValueType::ALL[kind], &value.to_string(), spans);
        keys.add_service(service, key, spans);
    }
    keys
}

fn open(section: Vec<u8>) -> Result<KeysView, StoreError> {
    let mut writer = SideFileWriter::new();
    writer.add(Section::Keys, section);
    let mut bytes = Vec::new();
    writer.finish(&mut bytes).unwrap();
    let side = SideFile::open(Arc::new(MemoryFile::new("a.idx", bytes)))?;
    Ok(KeysView::open(Arc::new(side))?.unwrap())
}

fn sum(rows: &[Row], wanted: impl Fn(&Row) -> bool) -> u64 {
    rows.iter().filter(|row| wanted(row)).map(|row| row.5).sum()
}

proptest! {
    #[test]
    fn knows_which_spans_have_which_keys(a in rows(), b in rows()) {
        let all = [a.clone(), b.clone()].concat();
        let mut keys = count(&a);
        keys.merge(&count(&b));
        let view = open(keys.encode()).unwrap();
        prop_assert!(keys.is_complete() && view.is_complete());
        let again = view.to_keys().unwrap();
        for service in [None, Some(0), Some(1), Some(9)] {
            let of_service = |row: &Row| service.is_none_or(|service: u8| row.0 == service);
            let name = service.map(|service| service.to_string());
            let expected: BTreeSet<String> =
                all.iter().filter(|row| of_service(row)).map(|row| row.1.to_string()).collect();
            for keys in [&keys, &again] {
                prop_assert!(keys.names(name.as_deref()).into_iter().eq(
                    expected.iter().map(|name| Arc::<str>::from(&**name)).collect::<Vec<_>>().iter()
                ));
            }
            let found: Vec<_> = view.names(name.as_deref()).collect();
            prop_assert_eq!(found.len(), expected.len());
            for (key, spans) in found {
                let is_key = |row: &Row| row.1.to_string() == **key && of_service(row);
                prop_assert_eq!(spans, sum(&all, is_key));
            }
        }
    }

    #[test]
    fn counts_values_and_types(a in rows(), b in rows()) {
        let all = [a.clone(), b.clone()].concat();
        let mut keys = count(&a);
        keys.merge(&count(&b));
        let view = open(keys.encode()).unwrap();
        for (key, summary) in keys.iter() {
            let is_key = |row: &Row| row.1.to_string() == **key;
            let of_type = |at: usize| sum(&all, |row| is_key(row) && !row.2 && row.3 == at);
            prop_assert_eq!(summary.of_spans, [0, 1, 2, 3].map(of_type));
            prop_assert_eq!(summary.of_resources, sum(&all, |row| is_key(row) && row.2));
            for value in summary.values.values() {
                let exact = sum(&all, |row| is_key(row) && row.4.to_string() == value.value);
                prop_assert_eq!((value.at_least, value.at_most), (exact, exact));
            }
            let read = view.get(key).unwrap().unwrap();
            prop_assert_eq!(read.spans(), summary.spans());
            prop_assert_eq!(read.value_bytes, summary.value_bytes);
            prop_assert_eq!(read.values, summary.values.shortened(MAX_WRITTEN_VALUES));
        }
        prop_assert!(view.get("unknown").unwrap().is_none());
    }

    #[test]
    fn any_section_is_read_or_an_error(
        rows in rows(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
    ) {
        let mut section = count(&rows).encode();
        for (at, byte) in damage {
            *at.get_mut(&mut section) = byte;
        }
        if let Ok(view) = open(section) {
            view.names(Some("1")).for_each(drop);
            let _ = view.get("1");
            let _ = view.to_keys();
        }
    }
}

#[test]
fn limits_are_kept_and_known() {
    let mut keys = Keys::new();
    let long = keys.key("long").unwrap();
    keys.add(long, Place::Span, ValueType::Text, &"x".repeat(MAX_VALUE_BYTES + 1), 1);
    keys.add(long, Place::Span, ValueType::Text, "short", 2);
    assert_eq!(keys.get("long").unwrap().spans(), 3);
    assert_eq!(keys.get("long").unwrap().values.values().len(), 1);
    assert!(!keys.get("long").unwrap().values.is_complete());
    assert!(keys.key(&"k".repeat(MAX_KEY_BYTES + 1)).is_none());
    assert!(!keys.is_complete());

    let mut keys = Keys::new();
    for n in 0..MAX_KEYS {
        assert!(keys.key(&n.to_string()).is_some());
    }
    assert!(keys.is_complete());
    assert!(keys.key("one more").is_none());
    assert!(!open(keys.encode()).unwrap().is_complete());
}
