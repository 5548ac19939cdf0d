//! What a task may be called.

/// Longest title in characters. Longer ones are refused, not cut.
pub const MAX_TITLE_CHARS: usize = 200;

/// A title that keeps the rules: not empty, at most [`MAX_TITLE_CHARS`], one
/// line without control characters, no white space at its ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Title(String);

/// Why a title was refused; the text is shown on the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TitleError {
    #[error("Please write what there is to do.")]
    Empty,
    #[error("That is {chars} characters long; a task has at most {MAX_TITLE_CHARS}.")]
    TooLong { chars: usize },
    #[error("A task is one line of plain text, without control characters.")]
    ControlCharacter,
}

impl Title {
    pub(crate) fn parse(text: &str) -> Result<Self, TitleError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(TitleError::Empty);
        }
        let chars = text.chars().count();
        if chars > MAX_TITLE_CHARS {
            return Err(TitleError::TooLong { chars });
        }
        if text.contains(char::is_control) {
            return Err(TitleError::ControlCharacter);
        }
        Ok(Self(text.to_owned()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_text_and_trims_its_ends() {
        assert_eq!(Title::parse("  buy tea \n").unwrap().as_str(), "buy tea");
    }

    #[test]
    fn refuses_what_is_only_white_space() {
        for text in ["", " ", "\t\r\n", "\u{2003}"] {
            assert_eq!(Title::parse(text), Err(TitleError::Empty), "{text:?}");
        }
    }

    #[test]
    fn counts_characters_not_bytes() {
        let longest = "é".repeat(MAX_TITLE_CHARS);
        assert!(Title::parse(&longest).is_ok());
        assert_eq!(
            Title::parse(&format!("{longest}!")),
            Err(TitleError::TooLong { chars: MAX_TITLE_CHARS + 1 })
        );
    }

    #[test]
    fn refuses_control_characters_inside() {
        for text in ["a\nb", "a\0b", "a\u{1b}[31mb"] {
            assert_eq!(Title::parse(text), Err(TitleError::ControlCharacter), "{text:?}");
        }
    }
}
