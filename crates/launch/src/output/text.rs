//! Plain text of what was printed for a terminal.

/// A line without its end and without escape sequences (ECMA-48: `ESC [ ... final byte`, and
/// `ESC ] ... BEL` titles); bytes that are not UTF-8 are replaced. What a carriage return began
/// to overwrite is gone, as on a terminal.
pub(super) fn plain(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line);
    let text = text.trim_end_matches(['\n', '\r']);
    let text = text.rsplit('\r').next().unwrap_or(text);
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        if character != '\u{1b}' {
            plain.push(character);
            continue;
        }
        match characters.next() {
            Some('[') => {
                characters.by_ref().find(|character| ('\u{40}'..='\u{7e}').contains(character));
            }
            Some(']') => {
                characters.by_ref().find(|character| *character == '\u{7}');
            }
            _ => {}
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn strips_colours_titles_and_line_ends() {
        assert_eq!(plain(b"\x1b[31m\x1b[1mred\x1b[0m plain\r\n"), "red plain");
        assert_eq!(plain(b"\x1b]0;title\x07text\n"), "text");
        assert_eq!(plain(b"10%\r20%\r30%"), "30%");
        assert_eq!(plain(b"cut \x1b[3"), "cut ");
        assert_eq!(plain(b"\xff ok"), "\u{fffd} ok");
    }

    proptest! {
        #[test]
        fn never_grows_and_never_keeps_an_escape(line in prop::collection::vec(any::<u8>(), 0..200)) {
            let text = plain(&line);
            let has_escape = text.contains('\u{1b}');
            prop_assert!(!has_escape);
            prop_assert!(text.chars().count() <= line.len());
        }
    }
}
