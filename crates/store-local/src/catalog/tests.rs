use super::*;
use carafe_telemetry::UnixNanos;

fn file(path: &str) -> NewFile {
    NewFile {
        signal: Signal::Traces,
        window: Window { start_seconds: 1_200, seconds: 600 },
        path: path.into(),
        rows: 7,
        data_bytes: 100,
        side_bytes: 10,
        extent: TimeRange { start: UnixNanos(1_200_000_000_001), end: UnixNanos(u64::MAX) },
        first_sequence: 3,
        last_sequence: 9,
        traces: 2,
        generation: 1,
        created_seconds: 1_300,
    }
}

fn open(directory: &tempfile::TempDir) -> (Catalog, Contents) {
    Catalog::open(directory.path()).unwrap()
}

#[test]
fn what_was_entered_is_there_when_it_is_opened_again() {
    let directory = tempfile::tempdir().unwrap();
    let (catalog, empty) = open(&directory);
    assert_eq!(empty, Contents::default());
    let files = [file("a"), file("b"), file("c")];
    catalog.intends(&["a", "b", "c", "x", "y"].map(String::from)).unwrap();
    let entries = catalog.flushed(9, &files, &[]).unwrap();
    catalog.set_aside(entries[2].id, "torn").unwrap();
    let merged = catalog.replaced(&[entries[0].id], &[file("d")]).unwrap();
    catalog.evicted(&[entries[1].id], [7, 0, 0], UnixNanos(0)).unwrap();
    catalog.flushed(11, &[], &[]).unwrap();
    catalog.removed(&["x".into(), "b".into()]).unwrap();
    drop(catalog);
    let (catalog, contents) = open(&directory);
    assert_eq!(contents.files, merged);
    assert_eq!(contents.aside, [AsideFile { file: file("c"), reason: "torn".into() }]);
    assert_eq!(contents.watermark, 11);
    assert_eq!(contents.garbage, ["a", "y"]);
    assert_eq!(contents.counters, Counters { evicted: [7, 0, 0] });
    assert_eq!(catalog.check().unwrap(), Vec::<String>::new());
}

#[test]
fn a_change_that_fails_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let (catalog, _) = open(&directory);
    let [entry] = &catalog.flushed(1, &[file("a")], &[]).unwrap()[..] else { panic!() };
    // The second file's path is taken, so neither is entered and the first stays.
    let error = catalog.replaced(&[entry.id], &[file("b"), file("b")]).unwrap_err();
    assert!(error.to_string().contains(CATALOG_FILE), "{error}");
    assert_eq!(catalog.contents().unwrap().files, std::slice::from_ref(entry));
}

#[test]
fn another_format_and_damage_are_named() {
    let directory = tempfile::tempdir().unwrap();
    let (catalog, _) = open(&directory);
    let newer = "PRAGMA user_version = 999";
    catalog.connection.lock().execute_batch(newer).unwrap();
    drop(catalog);
    let error = Catalog::open(directory.path()).err().unwrap();
    assert_eq!(error.kind, StoreErrorKind::Corrupt);
    assert!(error.to_string().contains("has format 999"), "{error}");

    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join(CATALOG_FILE), [7; 5_000]).unwrap();
    let error = Catalog::open(directory.path()).err().unwrap();
    assert_eq!(error.kind, StoreErrorKind::Corrupt, "{error}");
}

#[test]
fn late_calls_add_up() {
    let directory = tempfile::tempdir().unwrap();
    let (catalog, _) = open(&directory);
    let call = |seconds: u64, called: &str, is_error| Call {
        start: UnixNanos(seconds * 1_000_000_000),
        caller: "a".into(),
        called: called.into(),
        is_error,
    };
    catalog.flushed(1, &[], &[call(5, "b", false), call(9, "b", true)]).unwrap();
    catalog.flushed(2, &[], &[call(9, "b", false), call(25, "c", true)]).unwrap();
    let sums = |start: u64, end: u64| {
        let mut sums = CallSums::default();
        let [start, end] = [start, end].map(|seconds| UnixNanos(seconds * 1_000_000_000));
        catalog.late_calls(TimeRange { start, end }, &mut sums).unwrap();
        let edges = sums.finish().into_iter();
        edges.map(|edge| (edge.child.to_string(), edge.calls, edge.errors)).collect::<Vec<_>>()
    };
    let all = [("b".into(), 3, 1), ("c".into(), 1, 1)];
    assert_eq!(sums(0, 30), all);
    assert_eq!(sums(6, 20), [("b".into(), 2, 1)]);
    catalog.round_late_calls(UnixNanos(20_000_000_000)).unwrap();
    catalog.round_late_calls(UnixNanos(20_000_000_000)).unwrap();
    assert_eq!(sums(0, 30), all);
    assert_eq!((sums(6, 20), sums(0, 0)), (vec![], vec![("b".into(), 3, 1)]));
    assert_eq!(sums(25, 25), [("c".into(), 1, 1)], "what is recent stays exact");
    catalog.evicted(&[], [0; 3], UnixNanos(10_000_000_000)).unwrap();
    assert_eq!(sums(0, 30), [("c".into(), 1, 1)]);
}
