//! Each rule for Rust files on a text that keeps it, and on one that breaks it.

use super::*;

/// The lines and texts of what is found in a file of this name, which begins with a header.
fn found(file: &str, text: &str, only_tests: bool) -> Vec<(usize, String)> {
    let found = check(file, text, &Source::of(text), only_tests);
    found.into_iter().map(|finding| (finding.line, finding.what)).collect()
}

fn lines(text: &str) -> Vec<usize> {
    found("a/b.rs", &format!("//! For a test.\n{text}"), false).into_iter().map(|(line, _)| line).collect()
}

#[test]
fn a_file_has_a_header_and_is_no_mod_rs() {
    assert_eq!(found("a/b.rs", "//! For a test.\n", false), []);
    assert_eq!(found("a/b.rs", "use x::y;\n", false)[0].0, 1);
    assert_eq!(found("a/build.rs", "", false).len(), 1);
    assert!(found("a/mod.rs", "//! For a test.\n", false)[0].1.contains("mod.rs"));
}

#[test]
fn only_lines_without_tests_count() {
    let code = "x();\n".repeat(399);
    assert!(lines(&code).is_empty());
    assert_eq!(lines(&format!("{code}y();\n")), [400]);
    let tests = format!("#[cfg(test)]\nmod tests {{\n{code}}}\n");
    assert!(lines(&tests).is_empty());
    let long = format!("//! Tests.\n{code}{code}");
    assert!(found("a/tests.rs", &long, true).is_empty());
}

#[test]
fn unfinished_work_gives_its_reason() {
    let mark = ["TO", "DO"].concat();
    assert_eq!(lines(&format!("x(); // {mark} later\n")), [2]);
    assert_eq!(lines(&format!("/// {mark}(): x\n")), [2]);
    assert!(lines(&format!("// {mark}(issue 6): weights\nlet a = \"{mark}\"; // {mark}S\n")).is_empty());
    assert_eq!(lines("fn f() {\n    dbg!(x);\n}\n"), [3]);
    assert!(lines("let a = \"dbg!\"; my_dbg!(x);\n").is_empty());
}

#[test]
fn a_test_runs_and_does_not_sleep() {
    assert_eq!(lines("#[test]\n#[ignore = \"slow\"]\nfn a() {}\n"), [3]);
    assert_eq!(lines("#[cfg_attr(x, ignore)]\n"), [2]);
    assert_eq!(lines("#[should_panic]\n"), [2]);
    let asleep = "std::thread::sleep(x);\n";
    assert!(lines(asleep).is_empty(), "clippy sees to code outside tests");
    assert_eq!(lines(&format!("#[cfg(test)]\nmod tests {{\n{asleep}}}\n")), [4]);
    assert_eq!(found("a/tests/b.rs", &format!("//! Tests.\n{asleep}"), true)[0].0, 2);
}

#[test]
fn a_file_that_says_it_is_pure_is() {
    let pure = |code: &str| {
        let text =
            format!("//! Decides. PURE: no I/O.\n{code}\n#[cfg(test)]\nmod tests {{ use tokio::time; }}\n");
        found("a/b.rs", &text, false).len()
    };
    for code in
        ["use tokio::time;", "use std::{fs::File, fmt};", "std::net::TcpStream::connect(x)", "Instant::now()"]
    {
        assert_eq!(pure(code), 1, "{code}");
    }
    for code in [
        "use std::time::SystemTime;",
        "x: std::sync::Mutex<u8>",
        "tokio::spawn(x)",
        "use parking_lot::Mutex;",
    ] {
        assert_eq!(pure(code), 1, "{code}");
    }
    for code in
        ["use std::time::{Duration, Instant};", "std::net::IpAddr::from(x)", "my::tokio::x()", "// tokio::x"]
    {
        assert_eq!(pure(code), 0, "{code}");
    }
    for header in
        ["//! \"PURE\" is a promise.", "//! Not IMPURE.", "//! See `PURE`.", "//! x\nfn f() {} // PURE"]
    {
        assert!(found("a/b.rs", &format!("{header}\nuse tokio::time;\n"), false).is_empty(), "{header}");
    }
}

#[test]
fn files_of_tests_are_known_by_place_and_by_declaration() {
    let script = "//! x\n#[cfg(test)]\nmod script;\n";
    let files = [
        ("a/src/lib.rs", script),
        ("a/src/script.rs", ""),
        ("a/src/script/more.rs", ""),
        ("a/src/sync.rs", script),
        ("a/src/sync/script.rs", ""),
        ("a/src/sync/step.rs", ""),
        ("a/src/sync/tests.rs", ""),
        ("a/src/scripts.rs", ""),
        ("a/tests/contract/all.rs", ""),
    ];
    let sources = files.iter().map(|(name, text)| (*name, Source::of(text))).collect();
    let expected = [
        "a/src/script.rs",
        "a/src/script/more.rs",
        "a/src/sync/script.rs",
        "a/src/sync/tests.rs",
        "a/tests/contract/all.rs",
    ];
    assert_eq!(test_files(&sources).into_iter().collect::<Vec<_>>(), expected);
}
