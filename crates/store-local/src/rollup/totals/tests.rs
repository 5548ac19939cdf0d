use super::*;
use proptest::prelude::*;

/// Service, operation, kind, start, duration, whether it is an error.
type Row = (u8, u8, i32, u64, u64, bool);

fn rows() -> impl Strategy<Value = Vec<Row>> {
    let row = (0..3_u8, 0..4_u8, 0..6_i32, 0..1_000_u64, 0..1_000_u64, any::<bool>());
    prop::collection::vec(row, 0..80)
}

fn count(rows: &[Row]) -> Totals {
    let mut totals = Totals::default();
    for &(service, operation, kind, start, duration, is_error) in rows {
        let mut total = Total::default();
        let start = UnixNanos(start);
        total.add(&RolledSpan { start, duration, answers: false, is_error });
        // The fourth operation is one that is not told apart.
        match operation {
            3 => totals.merge_rest(Some(&service.to_string().into()), &total),
            _ => totals.merge_operation(&service.to_string(), &operation.to_string(), kind, &total),
        }
    }
    totals
}

fn without_times(mut totals: Totals) -> Totals {
    let of_services = totals.services.values_mut().flat_map(|service| {
        service.operations.values_mut().chain(std::iter::once(&mut service.rest))
    });
    of_services.chain(std::iter::once(&mut totals.rest)).for_each(|total| {
        total.last_start = UnixNanos(0);
    });
    totals
}

proptest! {
    #[test]
    fn adding_and_taking_back_are_exact(a in rows(), b in rows()) {
        let (left, right) = (count(&a), count(&b));
        let mut both = left.clone();
        both.add(&right);
        prop_assert_eq!(&both, &count(&[a, b].concat()));
        both.subtract(&right);
        prop_assert_eq!(without_times(both.clone()), without_times(left.clone()));
        both.subtract(&left);
        prop_assert_eq!(both, Totals::default());
    }

    #[test]
    fn the_section_round_trips(rows in rows(), cut: prop::sample::Index) {
        let totals = count(&rows);
        let bytes = totals.encode();
        prop_assert_eq!(Totals::decode(&bytes), Some(totals));
        prop_assert_eq!(Totals::decode(&bytes[..cut.index(bytes.len())]), None);
    }

    #[test]
    fn any_bytes_are_totals_or_none(bytes: Vec<u8>) {
        if let Some(totals) = Totals::decode(&bytes) {
            prop_assert_eq!(Totals::decode(&totals.encode()), Some(totals));
        }
    }

    #[test]
    fn summaries_are_what_was_counted(rows in rows()) {
        let summaries = count(&rows).summaries();
        prop_assert_eq!(summaries.iter().map(|s| s.spans).sum::<u64>(), rows.len() as u64);
        for service in summaries {
            let of_service = || rows.iter().filter(|row| row.0.to_string() == *service.name);
            prop_assert_eq!(service.errors, of_service().filter(|row| row.5).count() as u64);
            let last = of_service().map(|row| row.3).max();
            prop_assert_eq!(Some(service.last_seen.0), last);
            for operation in service.operations {
                let same = of_service().filter(|row| {
                    row.1.to_string() == *operation.name && row.2 == operation.kind as i32
                });
                prop_assert_eq!(operation.spans, same.count() as u64);
            }
        }
    }
}

#[test]
fn what_has_no_room_is_still_counted_and_can_be_taken_back() {
    let mut total = Total::default();
    let span = RolledSpan { start: UnixNanos(1), duration: 9, answers: true, is_error: true };
    total.add(&span);
    let mut all = Totals::default();
    for n in 0..MAX_TOTAL_SERIES {
        all.merge_operation("full", &n.to_string(), 2, &total);
    }
    let before = all.clone();
    let mut more = Totals::default();
    more.merge_operation("full", "one more", 2, &total);
    more.merge_operation("other", "o", 2, &total);
    all.add(&more);
    assert_eq!(all.spans(), MAX_TOTAL_SERIES as u64 + 2);
    assert_eq!(all.summaries()[0].spans, MAX_TOTAL_SERIES as u64 + 1);
    assert_eq!(all.summaries().len(), 1);
    all.subtract(&more);
    assert_eq!(without_times(all), without_times(before));
}
