//! Splits a Rust file into what the compiler reads, what a person reads, and what is only for tests. PURE: text in,
//! [`Source`] out.
//!
//! Comments and literals are blanked, never removed, so that a place in one is the same line in all.

/// A file's parts, each as long as the file.
#[derive(Debug)]
pub(crate) struct Source {
    /// The code, with comments and the insides of literals blank.
    pub(crate) code: String,
    /// The code that is not in a `#[cfg(test)] mod … { }`.
    pub(crate) outside: String,
    /// The comments, with all else blank.
    pub(crate) comments: String,
    /// The modules of tests that live in files of their own: `#[cfg(test)] mod NAME;`.
    pub(crate) test_files: Vec<String>,
    /// How many lines are not in a `#[cfg(test)] mod … { }`.
    pub(crate) lines: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Code,
    Comment,
    Literal,
}

impl Source {
    pub(crate) fn of(text: &str) -> Self {
        let (mut code, mut comments) = (Vec::new(), Vec::new());
        let mut rest = text.as_bytes();
        let mut before = b' ';
        while let Some(last) = rest.first() {
            let (kind, length) = next(rest, before);
            let (piece, after) = rest.split_at(length.clamp(1, rest.len()));
            let blank = || piece.iter().map(|byte| if *byte == b'\n' { b'\n' } else { b' ' });
            match kind {
                Kind::Code => code.extend_from_slice(piece),
                Kind::Comment | Kind::Literal => code.extend(blank()),
            }
            match kind {
                Kind::Comment => comments.extend_from_slice(piece),
                Kind::Code | Kind::Literal => comments.extend(blank()),
            }
            before = piece.last().copied().unwrap_or(*last);
            rest = after;
        }
        let code = String::from_utf8_lossy(&code).into_owned();
        let comments = String::from_utf8_lossy(&comments).into_owned();
        let (outside, test_files, inside) = without_tests(&code);
        let lines = text.lines().count().saturating_sub(inside);
        Self { code, outside, comments, test_files, lines }
    }
}

/// What `rest` starts with, and how long that is. `before` is the byte before it.
fn next(rest: &[u8], before: u8) -> (Kind, usize) {
    let in_word = before.is_ascii_alphanumeric() || before == b'_';
    match rest {
        [b'/', b'/', ..] => {
            (Kind::Comment, rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len()))
        }
        [b'/', b'*', ..] => (Kind::Comment, block_comment(rest)),
        [b'"', ..] => (Kind::Literal, quoted(rest, b'"')),
        [b'r', ..] if !in_word => raw_string(rest, 1),
        [b'b' | b'c', b'r', ..] if !in_word => raw_string(rest, 2),
        [b'\'', b'\\', ..] => (Kind::Literal, quoted(rest, b'\'')),
        [b'\'', first, ..] => {
            // A quote that closes right after one character makes a literal; else it starts a lifetime.
            let length = match first {
                0..0x80 => 1,
                0x80..0xe0 => 2,
                0xe0..0xf0 => 3,
                _ => 4,
            };
            let closed = rest.get(length + 1) == Some(&b'\'');
            if closed { (Kind::Literal, length + 2) } else { (Kind::Code, 1) }
        }
        _ => (Kind::Code, 1),
    }
}

fn block_comment(rest: &[u8]) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    loop {
        match rest.get(at..) {
            Some([b'/', b'*', ..]) => (depth, at) = (depth + 1, at + 2),
            Some([b'*', b'/', ..]) => (depth, at) = (depth.saturating_sub(1), at + 2),
            Some([_, ..]) => at += 1,
            _ => return rest.len(),
        }
        if depth == 0 {
            return at;
        }
    }
}

fn quoted(rest: &[u8], quote: u8) -> usize {
    let mut at = 1;
    loop {
        match rest.get(at) {
            Some(b'\\') => at += 2,
            Some(byte) if *byte == quote => return at + 1,
            Some(_) => at += 1,
            None => return rest.len(),
        }
    }
}

/// `r"…"`, `r#"…"#` and so on; `prefix` is how many letters stand before the hashes.
fn raw_string(rest: &[u8], prefix: usize) -> (Kind, usize) {
    let hashes = rest.iter().skip(prefix).take_while(|byte| **byte == b'#').count();
    let open = prefix + hashes + 1;
    if rest.get(open - 1) != Some(&b'"') {
        return (Kind::Code, 1); // a word, or a raw identifier
    }
    let closing: Vec<u8> = std::iter::once(b'"').chain(std::iter::repeat_n(b'#', hashes)).collect();
    let body = rest.get(open..).unwrap_or_default();
    let end = body.windows(closing.len()).position(|window| window == closing);
    (Kind::Literal, end.map_or(rest.len(), |end| open + end + closing.len()))
}

const TEST_ONLY: &str = "#[cfg(test)]";

/// The code with its inline test modules blank, the names of test modules in files, and how many lines were blanked.
fn without_tests(code: &str) -> (String, Vec<String>, usize) {
    let (mut outside, mut files, mut inside) = (String::new(), Vec::new(), 0);
    let mut rest = code;
    while let Some((before, after)) = rest.split_once(TEST_ONLY) {
        outside.push_str(before);
        outside.push_str(TEST_ONLY);
        rest = after;
        let Some((name, body)) = module(after) else { continue };
        if body.starts_with(';') {
            files.push(name.to_owned());
            continue;
        }
        let (block, beyond) = block(after, body);
        let lines = block.matches('\n').count();
        outside.push_str(&"\n".repeat(lines));
        inside += lines + 1;
        rest = beyond;
    }
    outside.push_str(rest);
    (outside, files, inside)
}

/// The name of the module that `text` starts with, and what follows it; attributes before it are passed over.
fn module(text: &str) -> Option<(&str, &str)> {
    let mut text = text.trim_start();
    while let Some(attribute) = text.strip_prefix("#[") {
        text = attribute.split_once(']')?.1.trim_start();
    }
    let visible = text.strip_prefix("pub(crate)").or_else(|| text.strip_prefix("pub(super)")).unwrap_or(text);
    let after = visible.trim_start().strip_prefix("mod ")?.trim_start();
    let (name, body) = after.split_once(|c: char| !c.is_alphanumeric() && c != '_')?;
    let cut = after.strip_prefix(name).unwrap_or(body).trim_start();
    (cut.starts_with(';') || cut.starts_with('{')).then_some((name, cut))
}

/// Splits `text` behind the block that opens at `body`, which is the end of `text`.
fn block<'a>(text: &'a str, body: &'a str) -> (&'a str, &'a str) {
    let start = text.len().saturating_sub(body.len());
    let mut depth = 0_usize;
    for (at, byte) in body.bytes().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' => depth = depth.saturating_sub(1),
            _ => continue,
        }
        if depth == 0 {
            return text.split_at_checked(start + at + 1).unwrap_or((text, ""));
        }
    }
    (text, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_no_code() {
        let cases = [
            ("a // b", "a     "),
            ("a /* b /* c */ d */ e", "a                   e"),
            ("f(\"x \\\" y\", z)", "f(        , z)"),
            ("r#\"a \" b\"# c r\"d\"", "           c     "),
            ("br\"a\" x", "      x"),
            ("'a' 'b '\\'' &'c d", "    'b      &'c d"),
            ("'é' x", "     x"),
            ("r#type attr\"x\"", "r#type attr   "),
        ];
        for (text, code) in cases {
            assert_eq!(Source::of(text).code, code, "{text}");
        }
        assert_eq!(Source::of("a // b\n\"c\" /* d */").comments, "  // b\n    /* d */");
    }

    #[test]
    fn a_block_of_tests_is_taken_out_and_its_lines_are_kept() {
        let text = "a\n#[cfg(test)]\n#[rustfmt::skip]\nmod tests {\n  fn x() { \"}\" }\n}\nb\n";
        let source = Source::of(text);
        assert_eq!(source.outside, "a\n#[cfg(test)]\n\n\n\n\nb\n");
        assert_eq!(source.lines, 2);
        assert!(source.test_files.is_empty());
    }

    #[test]
    fn only_modules_of_tests_are_taken_out() {
        let text =
            "#[cfg(test)]\nmod tests;\n#[cfg(test)]\npub(crate) mod script;\n#[cfg(test)]\nfn x() {}\n";
        let source = Source::of(text);
        assert_eq!(source.test_files, ["tests", "script"]);
        assert_eq!((source.outside.as_str(), source.lines), (text, 6));
    }

    #[test]
    fn a_file_that_is_cut_short_does_not_panic() {
        for text in
            ["\"", "'", "'\\", "r#\"", "/*", "/", "#[cfg(test)] mod", "#[cfg(test)] mod x {", "b", "é'"]
        {
            assert!(Source::of(text).code.len() >= text.trim().len().min(1), "{text}");
        }
    }
}
