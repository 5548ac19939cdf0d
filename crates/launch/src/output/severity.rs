//! The severity that a printed line states itself.

use carafe_telemetry::otlp::SeverityNumber;

/// Bytes from the start of a line in which its level is looked for: prefixes are short.
const PREFIX_BYTES: usize = 160;

/// A level that programs print.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// Most detailed.
    Trace,
    /// For developers.
    Debug,
    /// Normal events.
    Info,
    /// Something may be wrong.
    Warn,
    /// Something is wrong.
    Error,
    /// The program cannot go on.
    Fatal,
}

/// Words by which programs name levels.
const WORDS: [(&str, Severity); 14] = [
    ("TRACE", Severity::Trace),
    ("DEBUG", Severity::Debug),
    ("DBG", Severity::Debug),
    ("INFO", Severity::Info),
    ("INF", Severity::Info),
    ("NOTICE", Severity::Info),
    ("WARN", Severity::Warn),
    ("WARNING", Severity::Warn),
    ("WRN", Severity::Warn),
    ("ERROR", Severity::Error),
    ("ERR", Severity::Error),
    ("CRITICAL", Severity::Fatal),
    ("FATAL", Severity::Fatal),
    ("PANIC", Severity::Fatal),
];

impl Severity {
    /// The level that a line names near its beginning: a word in capitals, in brackets, or as the
    /// value of `level=`, `severity=`, `"level":`, `lvl=`. `None` where it names none.
    pub fn recognise(line: &str) -> Option<Self> {
        let end = line.floor_char_boundary(PREFIX_BYTES);
        let prefix = line.get(..end).unwrap_or(line);
        let is_word = |character: char| character.is_ascii_alphanumeric() || character == '_';
        let mut previous = "";
        for word in prefix.split(|character| !is_word(character)).filter(|word| !word.is_empty()) {
            let is_value = ["level", "severity", "lvl", "loglevel"]
                .iter()
                .any(|key| previous.eq_ignore_ascii_case(key));
            let is_loud = word.bytes().all(|byte| byte.is_ascii_uppercase());
            let is_bracketed = line.contains(&format!("[{word}]"));
            if is_value || is_loud || is_bracketed {
                let known = WORDS.iter().find(|(name, _)| name.eq_ignore_ascii_case(word));
                if let Some((_, severity)) = known {
                    return Some(*severity);
                }
            }
            previous = word;
        }
        None
    }

    /// OTLP's number for the level.
    pub fn number(self) -> SeverityNumber {
        match self {
            Self::Trace => SeverityNumber::Trace,
            Self::Debug => SeverityNumber::Debug,
            Self::Info => SeverityNumber::Info,
            Self::Warn => SeverityNumber::Warn,
            Self::Error => SeverityNumber::Error,
            Self::Fatal => SeverityNumber::Fatal,
        }
    }

    /// Its name in OTLP's data model.
    pub fn text(self) -> &'static str {
        match self {
            Self::Trace => "TRACE",
            Self::Debug => "DEBUG",
            Self::Info => "INFO",
            Self::Warn => "WARN",
            Self::Error => "ERROR",
            Self::Fatal => "FATAL",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_levels_of_common_loggers() {
        for (line, expected) in [
            ("2026-11-23T02:00:00Z  INFO todo: listening", Some(Severity::Info)),
            ("WARNING: This is a development server.", Some(Severity::Warn)),
            ("[2026-11-23 02:00:00 +0000] [7] [INFO] Booting worker", Some(Severity::Info)),
            ("2026/11/23 02:00:00 [error] 7#7: *1 open() failed", Some(Severity::Error)),
            (r#"{"ts":1,"level":"debug","msg":"x"}"#, Some(Severity::Debug)),
            ("time=1 level=warn msg=x", Some(Severity::Warn)),
            ("CRITICAL:root:down", Some(Severity::Fatal)),
            ("127.0.0.1 - - \"GET /info HTTP/1.1\" 200 -", None),
            ("no error here", None),
            ("", None),
            ("é", None),
        ] {
            assert_eq!(Severity::recognise(line), expected, "{line}");
        }
    }
}
