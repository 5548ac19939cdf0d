//! Whatever bytes lie in the place of a side index: no panic; what opens answers every question
//! or names the file as damaged.

#![no_main]

use carafe_store::{StoreError, StoreErrorKind};
use carafe_store_local::calls::CallSums;
use carafe_store_local::files::MemoryFile;
use carafe_store_local::index::bloom_table::BloomTable;
use carafe_store_local::index::side_file::{Section, SideFile, SideFileWriter};
use carafe_store_local::rollup::edges::EdgesView;
use carafe_store_local::rollup::keys::KeysView;
use carafe_store_local::rollup::red::{RedPoints, RedRequest, RedView};
use carafe_store_local::rollup::totals::Totals;
use libfuzzer_sys::fuzz_target;
use std::sync::Arc;

const NAME: &str = "fuzz.idx";

fn checked<T>(result: Result<T, StoreError>) -> Option<T> {
    result
        .inspect_err(|error| {
            assert_eq!(error.kind, StoreErrorKind::Corrupt, "{error}");
            assert!(error.to_string().contains(NAME), "{error}");
        })
        .ok()
}

fn open(bytes: &[u8]) -> Option<Arc<SideFile>> {
    checked(SideFile::open(Arc::new(MemoryFile::new(NAME, bytes.to_vec())))).map(Arc::new)
}

fn ask(side: &Arc<SideFile>) {
    for section in [Section::TraceBlooms, Section::TagBlooms, Section::Tokens] {
        if let Some(table) = checked(BloomTable::open(Arc::clone(side), section)).flatten() {
            let groups = table.groups();
            checked(table.row_groups_with(0x0123_4567_89ab_cdef, groups));
        }
    }
    if let Some(red) = checked(RedView::open(Arc::clone(side))).flatten() {
        let request = RedRequest { service: Some("a"), operation: Some("b"), cells: red.extent() };
        let first = request.cells.start;
        checked(red.red_into(&request, &mut RedPoints::new(first, 6, 100)));
        let request = RedRequest { cells: 0..u64::MAX, ..RedRequest::default() };
        checked(red.red_into(&request, &mut RedPoints::new(first, 360, 100)));
        checked(red.to_builder());
    }
    if let Some(edges) = checked(EdgesView::open(Arc::clone(side))).flatten() {
        checked(edges.edges_into(edges.extent(), &mut CallSums::default()));
        checked(edges.edges_into(1..2, &mut CallSums::default()));
        checked(edges.to_builder());
    }
    if let Some(keys) = checked(KeysView::open(Arc::clone(side))).flatten() {
        for (name, _) in keys.names(None).chain(keys.names(Some("a"))) {
            checked(keys.get(name));
        }
        checked(keys.to_keys());
    }
    if let Some(Some(bytes)) = checked(side.section(Section::Totals)) {
        if let Some(totals) = Totals::decode(&bytes) {
            assert_eq!(Totals::decode(&totals.encode()), Some(totals));
        }
    }
}

// The bytes as a file; and as the section of the first byte in a file that is sound else.
fuzz_target!(|input: &[u8]| {
    if let Some(side) = open(input) {
        let verified = checked(side.verify()).is_some();
        let read = Section::ALL.iter().all(|section| checked(side.section(*section)).is_some());
        assert!(read || !verified);
        ask(&side);
    }
    let [choice, section @ ..] = input else { return };
    let mut writer = SideFileWriter::new();
    writer.add(Section::ALL[usize::from(*choice) % Section::ALL.len()], section.to_vec());
    let mut file = Vec::new();
    writer.finish(&mut file).expect("memory takes what is written");
    ask(&open(&file).expect("what was written can be opened"));
});
