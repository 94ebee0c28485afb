//! What is set, and what is told of what is wrong.

use super::{super::settings::sections, *};

fn problems(text: &str) -> Vec<(usize, String)> {
    read(text, &sections()).problems.into_iter().map(|problem| (problem.line, problem.what)).collect()
}

fn only_problem(text: &str) -> String {
    let all = problems(text);
    assert_eq!(all.len(), 1, "{text:?}: {all:?}");
    all[0].1.clone()
}

#[test]
fn settings_are_read_with_their_lines() {
    let text = "\
# of every command
[global]
color = \"never\"
verbose = 2

[client]
registry = \"http://10.0.0.5:8500\"

[serve]
http-addr = \"127.0.0.1:0\"
ephemeral = true
fault-seed = 7
limit = [\"max_body=4096\", \"idle_timeout=5m\"]
dns-ttl = \"web=10s\"
";
    let file = read(text, &sections());
    assert_eq!(file.problems, []);
    let given: Vec<(String, Vec<String>, usize)> = file
        .given
        .into_iter()
        .map(|((section, key), given)| (format!("{section}.{key}"), given.values, given.line))
        .collect();
    let row = |name: &str, values: &[&str], line| {
        (name.to_owned(), values.iter().map(|value| (*value).to_owned()).collect::<Vec<_>>(), line)
    };
    assert_eq!(
        given,
        [
            row("client.registry", &["http://10.0.0.5:8500"], 7),
            row("global.color", &["never"], 3),
            row("global.verbose", &["2"], 4),
            row("serve.dns-ttl", &["web=10s"], 14),
            row("serve.ephemeral", &["true"], 11),
            row("serve.fault-seed", &["7"], 12),
            row("serve.http-addr", &["127.0.0.1:0"], 10),
            row("serve.limit", &["max_body=4096", "idle_timeout=5m"], 13),
        ]
    );
}

#[test]
fn all_problems_are_told_at_once_with_their_lines_and_what_was_meant() {
    let text = "\
colour = \"never\"
[serv]
[serve]
http-adr = \"x\"
http_addr = \"127.0.0.1:0\"
http-addr = \"here\"
ephemeral = \"yes\"
limit = 7.5e3
[global]
verbose = 99
zzzzzz = 1
";
    let told = problems(text);
    let starts = |line: usize, start: &str| {
        let found = told.iter().any(|(at, what)| *at == line && what.starts_with(start));
        assert!(found, "line {line}: {start}\n{told:#?}");
    };
    starts(1, "colour: there is no such section; ");
    starts(2, "serv: there is no such section; did you mean [serve]?");
    starts(4, "serve.http-adr: there is no such setting; did you mean http-addr?");
    starts(5, "serve.http_addr: there is no such setting; did you mean http-addr?");
    starts(6, "serve.http-addr: invalid value 'here' for '--http-addr <ADDRESS:PORT>': write ADDRESS:PORT");
    starts(7, "serve.ephemeral: it is of type string, but it takes true or false");
    starts(10, "global.verbose: it is of type integer, but it takes a number from 0 to 9");
    starts(11, "global.zzzzzz: there is no such setting; `portolan config show` lists all");
    assert_eq!(told.len(), 8, "{told:#?}");
    assert!(told.is_sorted(), "in the order of their lines");
}

#[test]
fn a_setting_above_all_sections_is_told_where_it_belongs() {
    assert_eq!(
        only_problem("ephemeral = true"),
        "ephemeral: there is no such section; it belongs under [serve]"
    );
    assert_eq!(only_problem("serve = 1"), "serve is a section; write [serve] and its settings below");
}

#[test]
fn what_is_no_toml_is_told_with_its_line_and_the_rest_is_read() {
    let told = problems("[serve]\nhttp-addr = = 1\nephemeral = 3\n");
    assert!(told.iter().any(|(line, what)| *line == 2 && what.starts_with("it is no TOML: ")), "{told:?}");
    assert!(told.iter().any(|(line, what)| *line == 3 && what.starts_with("serve.ephemeral: ")), "{told:?}");
}

#[test]
fn settings_that_cannot_be_together_are_told() {
    let told = only_problem("[serve]\nephemeral = true\ndata-dir = \"/x\"\n");
    assert!(told.starts_with("serve: the argument '--") && told.contains("cannot be used with"), "{told}");
    let told = only_problem("[serve]\ntls-cert = \"/x\"\n");
    assert!(told.starts_with("serve: the following required arguments were not provided"), "{told}");
}

#[test]
fn a_secret_is_in_no_problem() {
    let told = problems("[client]\ntoken = \"hunter2\"\ntoken-file = \"/x\"\n[serve]\ntoken = \"hunter2\"\n");
    assert!(!told.is_empty());
    assert!(told.iter().all(|(_, what)| !what.contains("hunter2")), "{told:?}");
}

proptest::proptest! {
    #[test]
    fn any_text_is_survived(text in "[\\[\\]a-z=\"'.\n #0-9-]{0,60}") {
        let lines = text.lines().count().max(1);
        for problem in read(&text, &sections()).problems {
            proptest::prop_assert!(problem.line >= 1 && problem.line <= lines.saturating_add(1));
        }
    }
}
