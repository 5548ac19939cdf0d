use super::*;
use crate::RefusalKind;
use crate::testing::{Log, Scripted, batch};

fn steady(interval_s: u64) -> RetryPolicy {
    RetryPolicy {
        initial_interval: Duration::from_secs(interval_s),
        jitter: 0.0,
        ..Default::default()
    }
}

fn away(retry_after: Option<Duration>) -> Result<Accepted, Refusal> {
    let kind = RefusalKind::Unavailable;
    Err(Refusal { kind, message: "connection refused".into(), retry_after })
}

#[test]
fn intervals_grow_to_the_maximum() {
    let policy = RetryPolicy::default();
    let seconds: Vec<_> = (0..7).map(|n| policy.interval(n).as_secs_f64()).collect();
    assert_eq!(seconds, [5.0, 7.5, 11.25, 16.875, 25.3125, 30.0, 30.0]);
    assert_eq!(policy.interval(u32::MAX), Duration::from_secs(30));
    for _ in 0..1_000 {
        let wait = policy.jittered(0).as_secs_f64();
        assert!((2.5..=7.5).contains(&wait), "{wait}");
    }
}

#[tokio::test(start_paused = true)]
async fn tries_until_it_is_taken_and_says_each_change_once() {
    let log = Log::start();
    let inner = Scripted::new([away(None), away(None), away(None), Ok(Accepted::default())]);
    let retry = Retry::new("otlp", inner, steady(2), CancellationToken::new());
    let started = Instant::now();
    assert_eq!(retry.consume(batch("abc")).await, Ok(Accepted::default()));
    // 2 + 3 + 4.5 seconds.
    assert_eq!(started.elapsed().as_millis(), 9_500);
    assert_eq!(retry.inner.seen(), ["abc"; 4]);
    let said = log.lines();
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(said[0].contains("otlp: Transient error: connection refused; retrying in 2.0 s"));
    assert!(said[1].contains("otlp: recovered"));
}

#[tokio::test(start_paused = true)]
async fn waits_as_long_as_the_peer_asks() {
    let inner = Scripted::new([away(Some(Duration::from_secs(40))), Ok(Accepted::default())]);
    let retry = Retry::new("otlp", inner, steady(2), CancellationToken::new());
    let started = Instant::now();
    assert!(retry.consume(batch("abc")).await.is_ok());
    assert_eq!(started.elapsed().as_secs(), 40);
}

#[tokio::test(start_paused = true)]
async fn does_not_repeat_what_cannot_succeed() {
    let refusal = Refusal::new(RefusalKind::InvalidData, "not protobuf");
    let inner = Scripted::new([Err(refusal.clone())]);
    let retry = Retry::new("otlp", inner, steady(2), CancellationToken::new());
    assert_eq!(retry.consume(batch("abc")).await, Err(refusal));
    assert_eq!(retry.inner.seen().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn gives_up_after_the_maximum_time() {
    let policy = RetryPolicy { max_elapsed: Some(Duration::from_secs(10)), ..steady(2) };
    let inner = Scripted::new(std::iter::repeat_n(away(None), 9));
    let retry = Retry::new("otlp", inner, policy, CancellationToken::new());
    let started = Instant::now();
    let refusal = retry.consume(batch("abc")).await.unwrap_err();
    // After 0, 2, 5 and 9.5 s; the next would be at 16.25 s.
    assert_eq!(retry.inner.seen().len(), 4);
    assert!(started.elapsed() < Duration::from_secs(10));
    assert_eq!(refusal.message, "gave up after 4 tries in 9.5 s: connection refused");
}

#[tokio::test(start_paused = true)]
async fn cancellation_ends_the_wait_and_leaves_one_try() {
    let cancel = CancellationToken::new();
    let inner = Scripted::new(std::iter::repeat_n(away(None), 9));
    let policy = RetryPolicy { max_elapsed: None, ..steady(3_600) };
    let retry = Retry::new("otlp", inner, policy, cancel.clone());
    let started = Instant::now();
    let (answer, ()) = tokio::join!(retry.consume(batch("abc")), async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        cancel.cancel();
    });
    assert!(answer.is_err());
    assert_eq!(started.elapsed().as_secs(), 1);
    assert!(retry.consume(batch("def")).await.is_err());
    assert_eq!(retry.inner.seen(), ["abc", "def"]);
}
