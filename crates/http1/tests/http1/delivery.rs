//! Conversations reported the same however the calls cut and interleave them.

use carafe_http1::{Io, Outcome};
use proptest::prelude::*;

use crate::conversation::{Exchange, Wire, conversation};
use crate::recorder::{Observed, Seen};

/// How the bytes arrive: each step is a direction and a number of bytes.
#[derive(Clone, Debug)]
struct Plan {
    client: bool,
    steps: Vec<(bool, usize)>,
}

fn plan() -> impl Strategy<Value = Plan> {
    let size = prop_oneof![
        3 => Just(usize::MAX), 4 => 1..20usize, 4 => 20..400usize, 1 => 400..10_000usize,
    ];
    let steps = prop::collection::vec((any::<bool>(), size), 1..60);
    (any::<bool>(), steps).prop_map(|(client, steps)| Plan { client, steps })
}

/// How far each stream may go, given how far the other is: no response before
/// the head of its request, no request before the response of one that stands
/// alone, no byte of a tunnel before it is open.
fn limits(exchanges: &[Exchange], requested: usize, responded: usize) -> (usize, usize) {
    let (mut request_at, mut response_at) = (0, 0);
    let (mut request_limit, mut response_limit) = (None, None);
    for Exchange { request, response, alone } in exchanges {
        let head_end = request_at + request.head.len();
        if requested < head_end {
            response_limit = response_limit.or(Some(response_at));
        }
        let opened = response_at
            + response.before.len()
            + if response.outcome == Outcome::Upgraded {
                response.head.len()
            } else {
                response.len() - response.before.len()
            };
        if *alone && responded < opened {
            request_limit = request_limit.or(Some(head_end));
        }
        request_at += request.len();
        response_at += response.len();
    }
    (request_limit.unwrap_or(request_at), response_limit.unwrap_or(response_at))
}

/// Delivers all, in the steps of the plan over and over.
fn deliver(exchanges: &[Exchange], plan: &Plan) -> Observed {
    let requests: Vec<u8> = exchanges.iter().flat_map(|one| one.request.bytes()).collect();
    let responses: Vec<u8> = exchanges.iter().flat_map(|one| one.response.bytes()).collect();
    let (asks, answers) = if plan.client { (Io::Write, Io::Read) } else { (Io::Read, Io::Write) };
    let mut seen = Observed::new();
    let (mut requested, mut responded) = (0, 0);
    for (prefer_request, size) in plan.steps.iter().cycle() {
        if requested == requests.len() && responded == responses.len() {
            break;
        }
        let (request_limit, response_limit) = limits(exchanges, requested, responded);
        let can_request = requested < request_limit;
        let can_respond = responded < response_limit;
        assert!(can_request || can_respond, "the conversation is stuck");
        if can_request && (*prefer_request || !can_respond) {
            let end = requested.saturating_add(*size).min(request_limit);
            seen.feed(asks, &requests[requested..end]);
            requested = end;
        } else {
            let end = responded.saturating_add(*size).min(response_limit);
            seen.feed(answers, &responses[responded..end]);
            responded = end;
        }
    }
    seen
}

fn check(wire: &Wire, seen: &Seen) -> Result<(), TestCaseError> {
    prop_assert_eq!(
        seen.head.escape_ascii().to_string(),
        wire.reported_head().escape_ascii().to_string()
    );
    prop_assert_eq!(seen.truncated, wire.head.len() > wire.reported_head().len());
    prop_assert_eq!(seen.body_bytes, wire.content);
    prop_assert_eq!(seen.outcome, Some(wire.outcome));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn exactly_what_was_said_is_reported(exchanges in conversation(), plan in plan()) {
        let mut seen = deliver(&exchanges, &plan);
        seen.close();
        let recorder = &seen.recorder;
        prop_assert_eq!(recorder.requests.len(), exchanges.len());
        prop_assert_eq!(recorder.responses.len(), exchanges.len());
        prop_assert_eq!(&recorder.unanswered, &[]);
        for (exchange, (request, response)) in
            exchanges.iter().zip(recorder.requests.iter().zip(&recorder.responses))
        {
            check(&exchange.request, request)?;
            check(&exchange.response, response)?;
        }
    }

    /// The client goes away after any number of bytes. What was complete stays
    /// complete, at most one request is aborted, and nothing else is reported.
    #[test]
    fn a_client_that_leaves_aborts_at_most_its_last_request(
        exchanges in prop::collection::vec(conversation(), 1),
        plan in plan(),
        left in any::<prop::sample::Index>(),
        by_eof in any::<bool>(),
    ) {
        let exchanges: Vec<_> = exchanges.concat().into_iter().filter(|one| !one.alone).collect();
        let requests: Vec<u8> = exchanges.iter().flat_map(|one| one.request.bytes()).collect();
        prop_assume!(!requests.is_empty());
        let left = left.index(requests.len());
        let mut seen = Observed::new();
        let mut sizes = plan.steps.iter().cycle().map(|(_, size)| *size);
        let mut rest = &requests[..left];
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(sizes.next().unwrap().min(rest.len()));
            seen.read(piece);
            rest = after;
        }
        if by_eof { seen.eof(Io::Read) } else { seen.close() };

        let mut start = 0;
        let mut reported = seen.recorder.requests.iter();
        for Exchange { request, .. } in &exchanges {
            let (head_end, end) = (start + request.head.len(), start + request.len());
            if left >= end {
                check(request, reported.next().unwrap())?;
            } else if left >= head_end {
                let aborted = reported.next().unwrap();
                prop_assert_eq!(aborted.outcome, Some(Outcome::Aborted));
                prop_assert!(aborted.body_bytes <= (left - head_end) as u64);
                prop_assert!(aborted.body_bytes <= request.content);
            }
            start = end;
        }
        prop_assert_eq!(reported.next(), None);
    }
}
