//! What the engines say of libraries, on stderr: one line of all of them, problems on their own.

use carafe_launch::notices::{Notice, NoticeKind, Notices};
use std::sync::Arc;

/// Says what comes, until the app ends.
pub(super) async fn say_as_they_come(notices: Arc<Notices>, is_explained: bool) {
    loop {
        say(&notices.next().await, is_explained);
    }
}

/// Says these.
pub(super) fn say(notices: &[Notice], is_explained: bool) {
    for line in lines(notices, is_explained) {
        eprintln!("carafe: {line}");
    }
}

fn lines(notices: &[Notice], is_explained: bool) -> Vec<String> {
    let (problems, libraries): (Vec<_>, Vec<_>) =
        notices.iter().partition(|notice| notice.kind == NoticeKind::Problem);
    let described = libraries.into_iter().map(|notice| describe(notice, is_explained));
    let mut lines: Vec<String> = if is_explained {
        described.collect()
    } else {
        let all: Vec<_> = described.collect();
        if all.is_empty() { Vec::new() } else { vec![all.join(" · ")] }
    };
    lines.extend(problems.into_iter().map(|problem| {
        let Notice { reason, .. } = problem;
        format!("{}: {reason}", named(problem))
    }));
    lines
}

fn named(notice: &Notice) -> String {
    match notice.version.as_str() {
        "" => notice.name.clone(),
        version => format!("{} {version}", notice.name),
    }
}

/// `flask 3.1.3 ✓`, or why not. The interpreter itself is only named.
fn describe(notice: &Notice, is_explained: bool) -> String {
    let (named, reason) = (named(notice), &notice.reason);
    let is_interpreter = notice.name == "python";
    match notice.kind {
        NoticeKind::LeftAlone => format!("{named}: left alone: {reason}"),
        _ if is_interpreter => named,
        _ if is_explained && reason.is_empty() => format!("{named} is instrumented"),
        _ if is_explained => format!("{named} is instrumented: {reason}"),
        _ => format!("{named} ✓"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notice(kind: NoticeKind, name: &str, version: &str, reason: &str) -> Notice {
        let [name, version, reason] = [name, version, reason].map(str::to_owned);
        Notice { kind, name, version, reason }
    }

    #[test]
    fn one_line_of_libraries_and_one_for_each_problem() {
        let newer = "version 9 is newer than 7 that is known";
        let notices = [
            notice(NoticeKind::Instrumented, "python", "3.11.2", ""),
            notice(NoticeKind::Instrumented, "flask", "3.1.3", ""),
            notice(NoticeKind::Problem, "python", "", "no ring; hint: look"),
            notice(NoticeKind::LeftAlone, "redis", "", newer),
        ];
        assert_eq!(
            lines(&notices, false),
            [
                format!("python 3.11.2 · flask 3.1.3 ✓ · redis: left alone: {newer}"),
                "python: no ring; hint: look".to_owned(),
            ]
        );
        let explained = lines(&notices, true);
        assert_eq!(explained[1], "flask 3.1.3 is instrumented");
        assert_eq!(explained.len(), 4);
        assert!(lines(&[], false).is_empty());
    }
}
