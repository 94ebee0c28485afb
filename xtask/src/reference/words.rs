//! The commands in a piece of shell, as far as a document needs it. PURE: text in, lists of words out.
//!
//! It knows quotes, comments, pipes and `$( )`; not loops, functions or here-documents, whose words come out as commands of
//! other names, and nobody looks at those.

/// The commands of one line, each with its words.
pub(super) fn commands(line: &str) -> Vec<Vec<String>> {
    let mut found = vec![Vec::new()];
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            // What is asked for inside of a text is a command all the same.
            (Some('"') | None, '$') if chars.peek() == Some(&'(') => {
                chars.next();
                end(&mut found, &mut word);
                found.push(Vec::new());
                quote = None;
            }
            (Some(_), c) => word.get_or_insert_default().push(c),
            (None, '"' | '\'') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, '#') if word.is_none() => break,
            (None, '|' | '&' | ';' | '(' | ')') => {
                end(&mut found, &mut word);
                found.push(Vec::new());
            }
            (None, '>' | '<') => end(&mut found, &mut word),
            (None, c) if c.is_whitespace() => end(&mut found, &mut word),
            (None, c) => word.get_or_insert_default().push(c),
        }
    }
    end(&mut found, &mut word);
    found.retain(|words| words.iter().any(|word| !word.is_empty()));
    found
}

fn end(found: &mut [Vec<String>], word: &mut Option<String>) {
    if let (Some(words), Some(word)) = (found.last_mut(), word.take()) {
        words.push(word);
    }
}

/// The words behind `portolan` of a command that starts it, in one of the ways that documents show.
pub(super) fn of_portolan(words: &[String]) -> Option<&[String]> {
    let is_set = |word: &str| word.split_once('=').is_some_and(|(name, _)| !name.contains(['-', '/']));
    let skip = |word: &&String| matches!(word.as_str(), "$" | "sudo" | "exec" | "time" | "!") || is_set(word);
    let before = words.iter().take_while(skip).count();
    let (first, rest) = words.get(before..)?.split_first()?;
    if first == "portolan" || first.ends_with("/portolan") {
        return Some(rest);
    }
    // `cargo run --release -- demo`, in which the command is what Cargo runs.
    let cargo = first == "cargo" && rest.first().is_some_and(|word| word == "run");
    let other = rest.iter().any(|word| word == "-p" || word == "--package" || word == "--example");
    let at = rest.iter().position(|word| word == "--").filter(|_| cargo && !other)?;
    rest.get(at.saturating_add(1)..)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_found_behind_pipes_and_inside_of_others() {
        for (line, expected) in [
            ("portolan discover web # a comment", vec!["portolan discover web"]),
            ("a 'b c' | d \"e f\" && g; h &", vec!["a b_c", "d e_f", "g", "h"]),
            ("curl \"$(portolan discover web)\"", vec!["curl ", "portolan discover web"]),
            ("a >b #c", vec!["a b"]),
            ("", vec![]),
        ] {
            let found: Vec<String> = commands(line)
                .iter()
                .map(|words| words.iter().map(|word| word.replace(' ', "_")).collect::<Vec<_>>().join(" "))
                .collect();
            assert_eq!(found, expected, "{line}");
        }
    }

    #[test]
    fn what_starts_portolan_is_known() {
        for (line, expected) in [
            ("$ portolan watch web", Some("watch web")),
            ("A=b sudo /usr/bin/portolan serve", Some("serve")),
            ("cargo run --release -- demo --keep", Some("demo --keep")),
            ("cargo run -p portolan --example x -- demo", None),
            ("consul members", None),
        ] {
            let found = commands(line);
            let words = found.first().and_then(|words| of_portolan(words)).map(|words| words.join(" "));
            assert_eq!(words.as_deref(), expected, "{line}");
        }
    }
}
