use super::*;
use crate::metrics::series::SeriesEncoder;
use crate::metrics::testing::{self, Model};
use carafe_store::StoreErrorKind;
use proptest::prelude::*;

/// The table of a file with these points, and its series.
fn table(model: &Model) -> (Vec<u8>, Vec<(EncodedSeries, Arc<Series>)>) {
    let mut encoder = SeriesEncoder::default();
    let mut series: Vec<_> = model
        .points
        .iter()
        .map(|point| (encoder.encode(&point.series), Arc::clone(&point.series)))
        .collect();
    series.sort_by(|a, b| a.0.cmp(&b.0));
    let mut builder = TableBuilder::default();
    for (n, run) in series.chunk_by(|a, b| a.0 == b.0).enumerate() {
        let time = UnixNanos(10 + n as u64);
        builder.add(&run[0].0, run.len() as u64, TimeRange { start: time, end: time });
    }
    series.dedup_by(|a, b| a.0 == b.0);
    (builder.encode(), series)
}

proptest! {
    #[test]
    fn finds_the_series_that_match(model in testing::model(0..60), query in testing::query()) {
        let (bytes, series) = table(&model);
        let rows = model.points.len() as u64;
        let table = SeriesTable::parse("file", bytes.into(), rows).unwrap();
        prop_assert_eq!(table.len(), series.len());
        let mut decoder = SeriesDecoder::new(&table);
        let mut next_row = 0;
        for (at, (encoded, series)) in series.iter().enumerate() {
            let entry = table.entry(at).unwrap();
            prop_assert_eq!(&table.encoded(&entry).unwrap(), encoded);
            prop_assert_eq!(decoder.series(&entry).unwrap(), Arc::clone(series));
            prop_assert_eq!(entry.rows().start, next_row);
            next_row = entry.rows().end;
        }
        let found: Vec<u32> = table.matching(&query).unwrap().iter().map(|(at, _)| *at).collect();
        let expected = series.iter().enumerate().filter(|(at, (_, series))| {
            query.matches(series) && query.range.contains(UnixNanos(10 + *at as u64))
        });
        prop_assert_eq!(found, expected.map(|(at, _)| at as u32).collect::<Vec<_>>());
    }

    #[test]
    fn damage_gives_an_error_or_a_series(
        model in testing::model(1..20),
        query in testing::query(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        cut in any::<bool>(),
    ) {
        let (mut bytes, _) = table(&model);
        let at = at.index(bytes.len());
        match cut {
            true => bytes.truncate(at),
            false => bytes[at] = byte,
        }
        let read = || {
            let table = SeriesTable::parse("file", bytes.into(), model.points.len() as u64)?;
            let mut decoder = SeriesDecoder::new(&table);
            for (_, entry) in table.matching(&query)? {
                decoder.series(&entry)?;
                table.encoded(&entry)?;
            }
            Ok::<_, StoreError>(())
        };
        if let Err(error) = read() {
            prop_assert_eq!(error.kind, StoreErrorKind::Corrupt);
        }
    }
}
