use super::*;
use crate::files::{FileAccess, MemoryFile};
use crate::index::side_file::{Section, SideFile, SideFileWriter};
use bytes::Bytes;
use carafe_store::StoreError;
use proptest::prelude::*;
use std::sync::atomic::{AtomicUsize, Ordering};

#[derive(Clone, Debug)]
struct Request {
    service: u8,
    operation: u8,
    cell: u64,
    duration: u64,
    is_error: bool,
}

fn requests() -> impl Strategy<Value = Vec<Request>> {
    // Around a whole hour, so that cells of all lengths begin and end there.
    let request = (0..3_u8, 0..4_u8, 3_500..3_980_u64, 0..5_000_u64, any::<bool>()).prop_map(
        |(service, operation, cell, duration, is_error)| Request {
            service,
            operation,
            cell,
            duration,
            is_error,
        },
    );
    prop::collection::vec(request, 0..200)
}

fn count(requests: &[Request], max_cells: usize) -> RedBuilder {
    let mut builder = RedBuilder::with_max_cells(max_cells);
    for request in requests {
        let (service, name) = (request.service.to_string(), request.operation.to_string());
        let id = builder.operation(&service, &name);
        let start = UnixNanos(request.cell * CELL_NANOS + request.duration);
        builder.add(id, start, request.duration, request.is_error);
    }
    builder
}

fn side(section: Vec<u8>) -> Arc<SideFile> {
    let mut writer = SideFileWriter::new();
    writer.add(Section::Rollup, section);
    let mut bytes = Vec::new();
    writer.finish(&mut bytes).unwrap();
    Arc::new(SideFile::open(Arc::new(MemoryFile::new("a.idx", bytes))).unwrap())
}

fn view(builder: &RedBuilder) -> RedView {
    RedView::open(side(builder.encode())).unwrap().unwrap()
}

#[derive(Clone, Debug)]
struct Question {
    service: Option<String>,
    operation: Option<String>,
    cells: Range<u64>,
    step: u64,
}

impl Question {
    fn request(&self) -> RedRequest<'_> {
        RedRequest {
            service: self.service.as_deref(),
            operation: self.operation.as_deref(),
            cells: self.cells.clone(),
        }
    }

    fn points(&self) -> RedPoints {
        let first = self.cells.start / self.step * self.step;
        RedPoints::new(first, self.step, ((self.cells.end - first) / self.step + 1) as usize)
    }

    fn naive(&self, requests: &[Request]) -> Vec<RedCell> {
        let mut points = self.points();
        let first = points.first;
        let is = |wanted: &Option<String>, name: u8| {
            wanted.as_ref().is_none_or(|wanted| *wanted == name.to_string())
        };
        for request in requests {
            if is(&self.service, request.service)
                && is(&self.operation, request.operation)
                && self.cells.contains(&request.cell)
            {
                let point = &mut points.points[((request.cell - first) / self.step) as usize];
                point.errors += u64::from(request.is_error);
                point.durations.add_nanos(request.duration);
            }
        }
        points.into_points()
    }
}

fn questions() -> impl Strategy<Value = Question> {
    let name = |names: u8| prop::option::of((0..names).prop_map(|name| name.to_string()));
    let step = prop::sample::select(vec![1_u64, 2, 3, 6, 12, 30, 60, 90, 360, 720]);
    let (start, len) = (3_400..4_000_u64, 0..600_u64);
    (name(4), name(5), start, len, step, any::<bool>()).prop_map(
        |(service, operation, start, len, step, aligned)| {
            let start = if aligned { start / step * step } else { start };
            let len = if aligned { len.next_multiple_of(step) } else { len };
            Question { service, operation, cells: start..start + len, step }
        },
    )
}

proptest! {
    #[test]
    fn builder_and_file_answer_as_counting_each_request_does(
        requests in requests(),
        questions in prop::collection::vec(questions(), 1..8),
    ) {
        let builder = count(&requests, MAX_CELLS);
        let view = view(&builder);
        for question in questions {
            let expected = question.naive(&requests);
            let mut points = question.points();
            prop_assert!(builder.red_into(&question.request(), &mut points));
            prop_assert_eq!(&points.into_points(), &expected);
            let mut points = question.points();
            prop_assert!(view.red_into(&question.request(), &mut points).unwrap());
            prop_assert_eq!(&points.into_points(), &expected, "{:?}", question);
        }
    }

    #[test]
    fn with_too_many_cells_an_answer_is_right_or_none(
        requests in requests(),
        more in requests(),
        questions in prop::collection::vec(questions(), 1..8),
        max_cells in 1..300_usize,
    ) {
        let all = [requests.clone(), more.clone()].concat();
        let small = count(&all, max_cells);
        let mut merged = count(&requests, max_cells);
        merged.merge(&count(&more, max_cells));
        let again = view(&merged).to_builder().unwrap();
        let distinct: std::collections::BTreeSet<_> = all.iter().map(|r| r.cell).collect();
        prop_assert!(small.cells.len() <= max_cells.max(distinct.len()));
        for builder in [&small, &merged, &again] {
            let view = view(builder);
            for question in &questions {
                let expected = question.naive(&all);
                let [mut from_builder, mut from_view] = [question.points(), question.points()];
                let told = builder.red_into(&question.request(), &mut from_builder);
                let view_told = view.red_into(&question.request(), &mut from_view).unwrap();
                // A file without cells in the range needs no names to say so.
                prop_assert!(view_told || !told);
                if told {
                    prop_assert_eq!(from_builder.into_points(), expected.clone());
                }
                if view_told {
                    prop_assert_eq!(from_view.into_points(), expected);
                }
                let is_everything = question.service.is_none() && question.operation.is_none();
                prop_assert!(told || !is_everything);
            }
        }
    }

    #[test]
    fn encoding_does_not_depend_on_the_order(requests in requests(), seed: u64) {
        let mut shuffled = requests.clone();
        let mut state = seed;
        for at in (1..shuffled.len()).rev() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            shuffled.swap(at, (state >> 33) as usize % (at + 1));
        }
        let encoded = count(&requests, MAX_CELLS).encode();
        prop_assert_eq!(&encoded, &count(&shuffled, MAX_CELLS).encode());
        let again = view(&count(&requests, MAX_CELLS)).to_builder().unwrap();
        prop_assert_eq!(encoded, again.encode());
    }

    #[test]
    fn any_section_is_read_or_an_error(
        requests in requests(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        question in questions(),
    ) {
        let mut section = count(&requests, MAX_CELLS).encode();
        for (at, byte) in damage {
            *at.get_mut(&mut section) = byte;
        }
        if let Ok(Some(view)) = RedView::open(side(section)) {
            let _ = view.red_into(&question.request(), &mut question.points());
            let _ = view.to_builder();
        }
    }
}

#[test]
fn what_one_side_does_not_tell_apart_the_sum_does_not() {
    let requests =
        |operation| Request { service: 1, operation, cell: 7, duration: 9, is_error: false };
    // At one cell there is room for a rest only.
    let rest = count(&[requests(1), requests(2)], 1);
    let rest = view(&rest).to_builder().unwrap();
    let listed = count(&[requests(1)], MAX_CELLS);
    for (mut sum, other) in [(listed.clone(), rest.clone()), (rest, listed)] {
        sum.merge(&other);
        let ask = |operation| {
            let request = RedRequest { service: Some("1"), operation, cells: 7..8 };
            let mut points = RedPoints::new(7, 1, 1);
            sum.red_into(&request, &mut points).then(|| points.into_points()[0].durations.count())
        };
        assert_eq!(ask(Some("1")), None);
        let everything = RedRequest { cells: 7..8, ..RedRequest::default() };
        let mut points = RedPoints::new(7, 1, 1);
        assert!(sum.red_into(&everything, &mut points));
        assert_eq!(points.into_points()[0].durations.count(), 3);
    }
}

/// Counts what is read.
#[derive(Debug)]
struct Counting(MemoryFile, AtomicUsize);

impl FileAccess for Counting {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn len(&self) -> u64 {
        self.0.len()
    }

    fn read(&self, offset: u64, len: usize) -> Result<Bytes, StoreError> {
        self.1.fetch_add(len, Ordering::Relaxed);
        self.0.read(offset, len)
    }
}

#[test]
fn the_sum_of_everything_by_the_hour_reads_little() {
    let mut builder = RedBuilder::default();
    for operation in 0..100 {
        let id = builder.operation("s", &operation.to_string());
        for cell in 0..360 {
            builder.add(id, UnixNanos(cell * CELL_NANOS), cell * 1_000, false);
        }
    }
    let mut writer = SideFileWriter::new();
    writer.add(Section::Rollup, builder.encode());
    let mut bytes = Vec::new();
    writer.finish(&mut bytes).unwrap();
    let all = bytes.len();
    let file = Arc::new(Counting(MemoryFile::new("a.idx", bytes), AtomicUsize::new(0)));
    let side = Arc::new(SideFile::open(Arc::clone(&file) as Arc<dyn FileAccess>).unwrap());
    let mut points = RedPoints::new(0, 360, 1);
    let request = RedRequest { cells: 0..360, ..RedRequest::default() };
    let view = RedView::open(side).unwrap().unwrap();
    assert!(view.red_into(&request, &mut points).unwrap());
    assert_eq!(points.into_points()[0].durations.count(), 36_000);
    let read = file.1.load(Ordering::Relaxed);
    assert!(read * 10 < all, "{read} of {all} bytes");
}
