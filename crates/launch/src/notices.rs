//! What the engines say of libraries, for the start report: from all processes, each once.

pub use carafe_wire::record::NoticeKind;

use carafe_wire::record;
use parking_lot::Mutex;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

/// Different notices that are kept; further ones are counted.
const NOTICE_LIMIT: usize = 512;

/// Characters of a name, a version or a reason; the rest is cut.
const TEXT_LIMIT: usize = 400;

/// How long no news must have come before what came is said.
const QUIET: Duration = Duration::from_millis(300);

/// How long news are held back at most.
const PATIENCE: Duration = Duration::from_secs(2);

/// What an engine says of a library, or of the process that it is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// What it is.
    pub kind: NoticeKind,
    /// The library.
    pub name: String,
    /// Its version; empty where it is not known.
    pub version: String,
    /// Why, and for a problem what to do.
    pub reason: String,
}

impl Notice {
    /// A problem that the launcher itself has found.
    pub fn problem(name: &str, reason: String) -> Self {
        let (kind, version) = (NoticeKind::Problem, String::new());
        Self { kind, name: name.to_owned(), version, reason }
    }

    fn read(notice: &record::Notice<'_>) -> Self {
        let mut texts = notice.text.split(|byte| *byte == 0).map(readable);
        let mut next = || texts.next().unwrap_or_default();
        Self { kind: notice.kind, name: next(), version: next(), reason: next() }
    }
}

/// Text of the app's process, fit for a terminal.
fn readable(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(TEXT_LIMIT).collect()
}

/// All notices so far.
#[derive(Debug, Default)]
pub struct Notices {
    state: Mutex<State>,
    news: Notify,
}

#[derive(Debug, Default)]
struct State {
    all: Vec<Notice>,
    /// So many of them have been given out.
    said: usize,
}

impl Notices {
    /// Takes a record of an engine.
    pub(crate) fn add(&self, notice: &record::Notice<'_>) {
        self.note(Notice::read(notice));
    }

    /// Takes a notice unless it is known.
    pub fn note(&self, notice: Notice) {
        let mut state = self.state.lock();
        if state.all.len() < NOTICE_LIMIT && !state.all.contains(&notice) {
            state.all.push(notice);
            self.news.notify_one();
        }
    }

    /// What has come and was not given out yet.
    pub fn take(&self) -> Vec<Notice> {
        let mut state = self.state.lock();
        let fresh = state.all.get(state.said..).unwrap_or_default().to_vec();
        state.said = state.all.len();
        fresh
    }

    /// Waits for news, and then until no more come for a while.
    pub async fn next(&self) -> Vec<Notice> {
        loop {
            self.news.notified().await;
            let latest = Instant::now() + PATIENCE;
            while let Ok(()) =
                timeout_at(latest.min(Instant::now() + QUIET), self.news.notified()).await
            {
            }
            let fresh = self.take();
            if !fresh.is_empty() {
                return fresh;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn add(notices: &Notices, kind: NoticeKind, text: &[u8]) {
        notices.add(&record::Notice { kind, text });
    }

    #[test]
    fn says_each_once_and_nothing_that_harms_a_terminal() {
        let notices = Notices::default();
        for _ in 0..3 {
            add(&notices, NoticeKind::Instrumented, b"flask\x003.1\x00\x00");
        }
        add(&notices, NoticeKind::Problem, b"\x1b[31mred\x00\x00because\n");
        add(&notices, NoticeKind::LeftAlone, b"cut");
        let texts = |notices: Vec<Notice>| -> Vec<_> {
            notices.into_iter().map(|n| format!("{}|{}|{}", n.name, n.version, n.reason)).collect()
        };
        assert_eq!(texts(notices.take()), ["flask|3.1|", " [31mred||because ", "cut||"]);
        add(&notices, NoticeKind::LeftAlone, b"cut");
        assert!(notices.take().is_empty());
    }

    #[test]
    fn keeps_a_limited_number() {
        let notices = Notices::default();
        for number in 0..NOTICE_LIMIT + 9 {
            add(&notices, NoticeKind::LeftAlone, number.to_string().as_bytes());
        }
        assert_eq!(notices.take().len(), NOTICE_LIMIT);
    }

    #[tokio::test(start_paused = true)]
    async fn news_wait_for_one_another() {
        let notices = Arc::new(Notices::default());
        let for_writer = Arc::clone(&notices);
        let writer = tokio::spawn(async move {
            for number in 0..60_u32 {
                add(&for_writer, NoticeKind::Instrumented, number.to_string().as_bytes());
                let pause_ms = if number == 5 { 1_000 } else { 100 };
                tokio::time::sleep(Duration::from_millis(pause_ms)).await;
            }
        });
        assert_eq!(notices.next().await.len(), 6);
        let patience = notices.next().await.len();
        assert!((15..=21).contains(&patience), "{patience}");
        writer.await.unwrap();
    }
}
