//! Route templates guessed from paths: `/delete/7` is `/delete/{id}`.
//!
//! A segment that looks like an identifier is a parameter at once. Other segments are kept as
//! they are until a place in the tree has seen too many of them: from then on every new one
//! there is a parameter too. So the number of routes is bounded whatever the paths are.

use std::collections::HashMap;

/// Different fixed segments at one place before further ones count as a parameter.
const CHILD_LIMIT: usize = 64;

/// Segments of a path that are looked at; what follows is one `{path}`.
const DEPTH_LIMIT: usize = 12;

/// Fixed segments in the whole tree; after that every unknown segment is a parameter.
const NODE_LIMIT: usize = 2_048;

/// Longest fixed segment; longer ones are parameters.
const SEGMENT_LIMIT_BYTES: usize = 64;

/// The routes that were seen so far.
#[derive(Debug, Default)]
pub struct Routes {
    root: Node,
    nodes: usize,
}

#[derive(Debug, Default)]
struct Node {
    fixed: HashMap<Box<str>, Node>,
    parameter: Option<Box<Node>>,
}

impl Routes {
    /// The template of a path (without query), which starts with `/`; other forms of targets
    /// (`*`, an authority) have none.
    pub fn template(&mut self, path: &str) -> Option<String> {
        let rest = path.strip_prefix('/')?;
        let mut template = String::with_capacity(path.len());
        let mut node = &mut self.root;
        for (depth, segment) in rest.split('/').enumerate() {
            if depth == DEPTH_LIMIT {
                template.push_str("/{path}");
                break;
            }
            template.push('/');
            let is_known = node.fixed.contains_key(segment);
            let is_fixed = is_known
                || (!is_identifier(segment)
                    && node.fixed.len() < CHILD_LIMIT
                    && self.nodes < NODE_LIMIT);
            if is_fixed {
                template.push_str(segment);
                if !is_known {
                    self.nodes += 1;
                }
                node = node.fixed.entry(segment.into()).or_default();
            } else {
                template.push_str(if is_identifier(segment) { "{id}" } else { "{param}" });
                node = node.parameter.get_or_insert_default();
            }
        }
        Some(template)
    }
}

/// Whether a segment names one of many things: a number, a UUID, a hash, a token.
fn is_identifier(segment: &str) -> bool {
    let bytes = segment.as_bytes();
    let digits = bytes.iter().filter(|byte| byte.is_ascii_digit()).count();
    if bytes.is_empty() {
        return false;
    }
    if bytes.len() > SEGMENT_LIMIT_BYTES || digits == bytes.len() {
        return true;
    }
    let is_hex = bytes.iter().all(|byte| byte.is_ascii_hexdigit() || *byte == b'-');
    let is_hash_or_uuid = bytes.len() >= 8 && is_hex && digits > 0;
    let is_token_alphabet =
        bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'='));
    let is_token = bytes.len() >= 20 && is_token_alphabet && digits * 6 >= bytes.len();
    // Percent-encoding and '@' stand for words that a person typed.
    let is_free_text = bytes.iter().any(|byte| matches!(byte, b'%' | b'@' | b':' | b','));
    is_hash_or_uuid || is_token || is_free_text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn template(path: &str) -> String {
        Routes::default().template(path).unwrap()
    }

    #[test]
    fn identifiers_become_parameters() {
        assert_eq!(template("/"), "/");
        assert_eq!(template("/delete/7"), "/delete/{id}");
        assert_eq!(template("/api/v1/users"), "/api/v1/users");
        assert_eq!(template("/u/3f2504e0-4f89-11d3-9a0c-0305e82c3301/x"), "/u/{id}/x");
        assert_eq!(template("/commit/9fceb02d0ae598e95dc970b74767f19372d61af8"), "/commit/{id}");
        assert_eq!(template("/mail/a%20b@example.com"), "/mail/{id}");
        assert_eq!(template("/static/app.js"), "/static/app.js");
        assert_eq!(template("/decade/facade"), "/decade/facade");
        assert_eq!(template("/a//b/"), "/a//b/");
    }

    #[test]
    fn other_targets_have_no_route() {
        assert_eq!(Routes::default().template("*"), None);
        assert_eq!(Routes::default().template("example.com:443"), None);
    }

    #[test]
    fn many_words_at_one_place_become_a_parameter() {
        let mut routes = Routes::default();
        let words: Vec<String> = (0..1_000).map(|n| format!("/user/{}/edit", letters(n))).collect();
        let templates: std::collections::HashSet<_> =
            words.iter().map(|path| routes.template(path).unwrap()).collect();
        assert_eq!(templates.len(), CHILD_LIMIT + 1);
        assert!(templates.contains("/user/{param}/edit"));
    }

    fn letters(number: usize) -> String {
        [number / 676, number / 26 % 26, number % 26]
            .map(|n| char::from(b'a' + u8::try_from(n).unwrap()))
            .iter()
            .collect()
    }

    proptest! {
        #[test]
        fn the_number_of_routes_is_bounded(paths in prop::collection::vec("(/[a-z0-9%@.]{0,4}){1,20}", 0..300)) {
            let mut routes = Routes::default();
            for path in &paths {
                let template = routes.template(path).unwrap();
                prop_assert!(template.starts_with('/'));
                prop_assert_eq!(routes.template(path).unwrap(), template);
            }
            prop_assert!(routes.nodes <= NODE_LIMIT);
        }
    }
}
