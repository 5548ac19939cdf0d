//! The one page, as text.

use std::fmt::{self, Display, Write};

use crate::store::Task;
use crate::title::MAX_TITLE_CHARS;

const STYLE: &str = include_str!("page.css");

/// What the page shows besides the list.
#[derive(Debug, Default)]
pub(crate) struct Notice<'a> {
    /// Said above the form, announced by screen readers.
    pub(crate) message: Option<&'a str>,
    /// What was typed and refused, so that it need not be typed again.
    pub(crate) typed: &'a str,
}

/// The page; `tasks` is `None` when they cannot be read.
pub(crate) fn render(tasks: Option<&[Task]>, notice: &Notice<'_>) -> String {
    let mut html = String::with_capacity(2_048 + tasks.map_or(0, |tasks| tasks.len() * 256));
    write_page(&mut html, tasks, notice).expect("writing to a string does not fail");
    html
}

fn write_page(html: &mut String, tasks: Option<&[Task]>, notice: &Notice<'_>) -> fmt::Result {
    write!(
        html,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>To-Do List</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n\
         <h1>To-Do List</h1>\n"
    )?;
    let mut invalid = "";
    if let Some(message) = notice.message {
        writeln!(
            html,
            "<p class=\"message\" id=\"message\" role=\"alert\">{}</p>",
            Escaped(message)
        )?;
        invalid = " aria-describedby=\"message\"";
    }
    write!(
        html,
        "<form method=\"post\" action=\"/add\" class=\"add\">\n\
         <label for=\"title\">New task</label>\n\
         <input id=\"title\" name=\"title\" value=\"{}\" maxlength=\"{MAX_TITLE_CHARS}\" \
         autocomplete=\"off\" autofocus required{invalid}>\n\
         <button>Add</button>\n</form>\n",
        Escaped(notice.typed)
    )?;
    match tasks {
        None => {}
        Some([]) => html.push_str("<p class=\"empty\">Nothing to do.</p>\n"),
        Some(tasks) => {
            html.push_str("<ul>\n");
            for task in tasks {
                let title = Escaped(&task.title);
                writeln!(
                    html,
                    "<li><span>{title}</span>\
                     <form method=\"post\" action=\"/delete/{id}\">\
                     <button aria-label=\"Delete {title}\">Delete</button></form></li>",
                    id = task.id
                )?;
            }
            html.push_str("</ul>\n");
        }
    }
    html.push_str("</main>\n</body>\n</html>\n");
    Ok(())
}

/// Text that may stand in HTML text and in quoted attribute values.
struct Escaped<'a>(&'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            match character {
                '&' => out.write_str("&amp;")?,
                '<' => out.write_str("&lt;")?,
                '>' => out.write_str("&gt;")?,
                '"' => out.write_str("&quot;")?,
                '\'' => out.write_str("&#39;")?,
                other => out.write_char(other)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_titles_messages_and_what_was_typed() {
        let hostile = "<script>alert(1)</script>\"'&";
        let tasks = [Task { id: 7, title: hostile.to_owned() }];
        let html = render(Some(&tasks), &Notice { message: Some(hostile), typed: hostile });
        assert!(!html.contains("<script"), "{html}");
        let escaped = "&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#39;&amp;";
        // Message, input value, task text, label of its button.
        assert_eq!(html.matches(escaped).count(), 4, "{html}");
    }

    #[test]
    fn says_so_when_there_is_nothing_to_do() {
        assert!(render(Some(&[]), &Notice::default()).contains("Nothing to do."));
        assert!(!render(None, &Notice::default()).contains("Nothing to do."));
    }
}
