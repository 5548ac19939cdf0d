use super::*;
use crate::files::MemoryFile;
use crate::index::side_file::SideFileWriter;
use crate::rollup::red::CELL_NANOS;
use proptest::prelude::*;

type Row = (u8, u8, u64, bool);

fn rows() -> impl Strategy<Value = Vec<Row>> {
    prop::collection::vec((0..4_u8, 0..4_u8, 100..160_u64, any::<bool>()), 0..100)
}

fn count(rows: &[Row]) -> EdgesBuilder {
    let mut builder = EdgesBuilder::new();
    for (caller, called, cell, is_error) in rows {
        let pair = builder.pair(&caller.to_string(), &called.to_string());
        builder.add(pair, UnixNanos(cell * CELL_NANOS + 3), *is_error);
    }
    builder
}

fn naive(rows: &[Row], cells: &Range<u64>) -> CallSums {
    let mut sums = CallSums::default();
    for (caller, called, cell, is_error) in rows {
        if cells.contains(cell) {
            let [caller, called] = [caller, called].map(|name| Arc::from(name.to_string()));
            sums.add(&caller, &called, 1, u64::from(*is_error));
        }
    }
    sums
}

fn open(section: Vec<u8>) -> Result<Option<EdgesView>, StoreError> {
    let mut writer = SideFileWriter::new();
    writer.add(Section::Edges, section);
    let mut bytes = Vec::new();
    writer.finish(&mut bytes).unwrap();
    let side = SideFile::open(Arc::new(MemoryFile::new("a.idx", bytes)))?;
    EdgesView::open(Arc::new(side))
}

proptest! {
    #[test]
    fn builder_and_file_answer_as_counting_each_call_does(
        a in rows(),
        b in rows(),
        start in 90..170_u64,
        len in 0..80_u64,
    ) {
        let all = [a.clone(), b.clone()].concat();
        let cells = start..start + len;
        let expected = naive(&all, &cells).finish();
        let mut builder = count(&a);
        builder.merge(&count(&b));
        let view = open(builder.encode()).unwrap().unwrap();
        let again = view.to_builder().unwrap();
        prop_assert_eq!(again.encode(), count(&all).encode());
        for builder in [&builder, &again] {
            let mut sums = CallSums::default();
            builder.edges_into(cells.clone(), &mut sums);
            prop_assert_eq!(sums.finish(), expected.clone());
        }
        for cells in [cells, 0..u64::MAX] {
            let mut sums = CallSums::default();
            view.edges_into(cells.clone(), &mut sums).unwrap();
            prop_assert_eq!(sums.finish(), naive(&all, &cells).finish());
        }
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
        if let Ok(Some(view)) = open(section) {
            let _ = view.edges_into(110..120, &mut CallSums::default());
            let _ = view.to_builder();
        }
    }
}

#[test]
fn pairs_beyond_the_limit_are_known_to_be_left_out() {
    let mut builder = EdgesBuilder::new();
    for called in 0..MAX_PAIRS + 3 {
        let pair = builder.pair("a", &called.to_string());
        builder.add(pair, UnixNanos(1), false);
    }
    assert_eq!(builder.dropped(), 3);
    let view = open(builder.encode()).unwrap().unwrap();
    assert_eq!(view.dropped(), 3);
    let mut sums = CallSums::default();
    view.edges_into(0..1, &mut sums).unwrap();
    assert_eq!(sums.finish().len(), MAX_PAIRS);
}
