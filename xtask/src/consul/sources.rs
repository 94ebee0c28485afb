//! Reads apt's own lists of sources. PURE: text in, [`Source`]s out.
//!
//! Both formats: one line a source (`deb [options] URI suite …`), and stanzas of fields (`URIs:`, `Signed-By:`).
//!
//! Rules from Debian: sources.list(5).

/// A place that serves Debian, and the key that signs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Source {
    pub(crate) uri: String,
    /// A file of keys. `None`: the machine's keyring of the Debian archive.
    pub(crate) signed_by: Option<String>,
}

/// The sources of a file with one source a line.
pub(crate) fn one_line(text: &str) -> Vec<Source> {
    let mut sources = Vec::new();
    for line in text.lines() {
        let line = line.split_once('#').map_or(line, |(before, _)| before).trim();
        let Some(rest) = line.strip_prefix("deb ").or_else(|| line.strip_prefix("deb\t")) else { continue };
        let rest = rest.trim();
        let (options, rest) = match rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((options, rest)) => (options, rest),
            None => ("", rest),
        };
        let signed_by = options.split_whitespace().find_map(|option| option.strip_prefix("signed-by="));
        if let Some(uri) = rest.split_whitespace().next() {
            add(&mut sources, uri, signed_by);
        }
    }
    sources
}

/// The sources of a file of stanzas.
pub(crate) fn stanzas(text: &str) -> Vec<Source> {
    let mut sources = Vec::new();
    let text: String =
        text.lines().filter(|line| !line.starts_with('#')).map(|line| format!("{line}\n")).collect();
    for stanza in text.split("\n\n") {
        let field = |name: &str| {
            let mut lines = stanza.lines().skip_while(|line| !starts_field(line, name));
            let first = lines.next()?.split_once(':')?.1.to_owned();
            let more = lines.take_while(|line| line.starts_with([' ', '\t']));
            Some(more.fold(first, |value, line| format!("{value} {}", line.trim())))
        };
        let wanted = |name: &str, default: &str, word: &str| {
            field(name).unwrap_or_else(|| default.to_owned()).split_whitespace().any(|found| found == word)
        };
        if !wanted("Types", "", "deb") || !wanted("Enabled", "yes", "yes") {
            continue;
        }
        let signed_by = field("Signed-By").map(|value| value.trim().to_owned());
        for uri in field("URIs").unwrap_or_default().split_whitespace() {
            add(&mut sources, uri, signed_by.as_deref());
        }
    }
    sources
}

/// Those that may hold a release of Debian itself, the likeliest first, each once.
pub(crate) fn of_debian(sources: Vec<Source>) -> Vec<Source> {
    let mut kept: Vec<Source> = Vec::new();
    for source in sources {
        let uri = source.uri.to_lowercase();
        let other = ["security", "backports", "debug"].iter().any(|word| uri.contains(word));
        if uri.contains("debian") && !other && !kept.iter().any(|known| known.uri == source.uri) {
            kept.push(source);
        }
    }
    kept.sort_by_key(|source| !source.uri.ends_with("/debian"));
    kept
}

fn starts_field(line: &str, name: &str) -> bool {
    line.split_once(':').is_some_and(|(found, _)| found.eq_ignore_ascii_case(name))
}

fn add(sources: &mut Vec<Source>, uri: &str, signed_by: Option<&str>) {
    // A key may also stand in the stanza itself; only a file can be named to another apt.
    let signed_by = signed_by.filter(|value| value.starts_with('/')).map(str::to_owned);
    sources.push(Source { uri: uri.trim_end_matches('/').to_owned(), signed_by });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(uri: &str, signed_by: Option<&str>) -> Source {
        Source { uri: uri.to_owned(), signed_by: signed_by.map(str::to_owned) }
    }

    #[test]
    fn a_line_gives_its_uri_and_key() {
        let text = "# deb http://no/debian a main\ndeb http://one/debian/ a main # why\ndeb-src http://no/debian a main\n\
                    deb [arch=amd64 signed-by=/k.gpg] https://two/debian b main\n";
        let expected = [source("http://one/debian", None), source("https://two/debian", Some("/k.gpg"))];
        assert_eq!(one_line(text), expected);
    }

    #[test]
    fn a_stanza_gives_each_of_its_uris() {
        let text = "Types: deb deb-src\n# a comment\nURIs: http://one/debian\n http://two/debian/\nSuites: a\n\
                    Signed-By: /k.gpg\n\nTypes: deb-src\nURIs: http://no/debian\n\n\
                    Enabled: no\nTypes: deb\nURIs: http://no/debian\n\n\
                    types: deb\nuris: http://three/debian\nSigned-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n";
        let key = Some("/k.gpg");
        let expected = [
            source("http://one/debian", key),
            source("http://two/debian", key),
            source("http://three/debian", None),
        ];
        assert_eq!(stanzas(text), expected);
    }

    #[test]
    fn only_places_of_debian_itself_are_tried_and_each_once() {
        let sources =
            ["http://a/debian-security", "http://b/node", "http://c/debian-snapshot/x", "http://d/debian"];
        let mut sources: Vec<Source> = sources.iter().map(|uri| source(uri, None)).collect();
        sources.push(source("http://d/debian", None));
        let kept = of_debian(sources);
        assert_eq!(kept, [source("http://d/debian", None), source("http://c/debian-snapshot/x", None)]);
    }
}
