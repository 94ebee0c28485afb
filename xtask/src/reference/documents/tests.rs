//! What is named in a document and is not there is found; what is there is not.

use super::*;

fn known() -> Known {
    let serve = "```\n$ portolan serve --help\nIt.\n\nOptions:\n      --data-dir <DIR>  Where\n  -v, --verbose...      More\n      --dev  In memory\n\n```\n";
    let main =
        "```\n$ portolan --help\nIt.\n\nCommands:\n  serve  Serves\n\nOptions:\n  -h, --help  Print\n\n```\n";
    let texts: Texts = [
        (commands::FIRST.to_owned(), main.to_owned()),
        ("crates/portolan-cli/tests/cmd/help-serve.trycmd".to_owned(), serve.to_owned()),
    ]
    .into();
    Known {
        commands: commands::read(&texts).unwrap(),
        settings: [("view", ["wait"]), ("Config", ["seed"])]
            .map(|(group, names)| (group.to_owned(), names.map(str::to_owned).into()))
            .into(),
        metrics: ["portolan_views".to_owned()].into(),
        endpoints: ["/v1/kv/".to_owned(), "/v1/agent/self".to_owned()].into(),
        xtask: "  --of-ours X  what\n".to_owned(),
    }
}

fn wrong(text: &str) -> Vec<String> {
    let summary = ("docs/SUMMARY.md".to_owned(), "[a](a.md)".to_owned());
    let shows = format!("{text}\n\n`portolan serve`\n");
    let tested = (DOCTESTS[0].to_owned(), "A \"docs/a.md\"".to_owned());
    let texts = [summary, tested, ("docs/a.md".to_owned(), shows)].into();
    check(&texts, &known()).into_iter().map(|(file, line, what)| format!("{file}:{line}: {what}")).collect()
}

#[test]
fn what_is_there_is_fine() {
    for text in [
        "```sh\nportolan serve --data-dir /x -v &   # --nonsense\n```",
        "```sh\nportolan serve \\\n    --data-dir=/x\n```",
        "```console\n$ portolan serve -dev\nportolan nonsense is output\n```",
        "```ini\nExecStart=/usr/bin/portolan serve --data-dir /x -- --other\n```",
        "```rust,no_run\nportolan nonsense\n```",
        "`portolan COMMAND --help`, `--data-dir DIR`, `docker run --init`, `--`, `--of-ours`",
        "`view.wait`, `Config::seed`, `Config::from_env`, `Other::thing`, `a.b`",
        "`portolan_views`, `PORTOLAN_ZONE`, `/v1/kv/a/b`, `/v1/agent/self`, `/v1/health/*`",
    ] {
        assert_eq!(wrong(text), Vec::<String>::new(), "{text}");
    }
}

#[test]
fn what_is_not_there_is_named_with_its_line() {
    for (text, says) in [
        ("```sh\nportolan srve\n```", "docs/a.md:2: there is no command `portolan srve`"),
        ("\n```sh\necho | portolan serve --data /x\n```", "docs/a.md:3: `portolan serve` has no flag --data"),
        ("```console\n$ portolan serve -x\n```", "docs/a.md:2: `portolan serve` has no flag -x"),
        ("```yaml\ncommand: [\"portolan\", \"serve\", \"--no\"]\n```", "`portolan serve` has no flag --no"),
        ("`portolan serve --no`", "docs/a.md:1: `portolan serve` has no flag --no"),
        ("```rs\nlet a;\n```", "docs/a.md:1: `rs` is no kind of block that is checked"),
        ("`--no-such`", "docs/a.md:1: no command has a flag --no-such"),
        ("`view.wat`", "docs/a.md:1: view has no setting wat"),
        ("`Config::sed(1)`", "docs/a.md:1: Config has no setting sed"),
        ("`portolan_vews`", "docs/a.md:1: there is no metric portolan_vews"),
        ("`PORTOLAN_ZON`", "docs/a.md:1: nothing reads a variable PORTOLAN_ZON"),
        ("`/v1/agent/selfish`", "docs/a.md:1: the registry has no endpoint /v1/agent/selfish"),
    ] {
        let found = wrong(text);
        assert!(matches!(&found[..], [only] if only.contains(says)), "{text}: {found:?}");
    }
}

#[test]
fn what_no_document_leads_to_is_named() {
    let texts = [("docs/SUMMARY.md", ""), ("docs/a.md", "")]
        .map(|(file, text)| (file.to_owned(), text.to_owned()))
        .into();
    let found: Vec<String> = check(&texts, &known()).into_iter().map(|(.., what)| what).collect();
    assert!(found.iter().any(|what| what.contains("no document shows `portolan serve`")), "{found:?}");
    assert!(found.iter().any(|what| what.contains("does not list a.md")), "{found:?}");
}

#[test]
fn code_that_no_doctest_compiles_is_named() {
    let texts = [("docs/SUMMARY.md", "[b](b.md)"), ("docs/b.md", "\n```rust\n```\n`portolan serve`")];
    let texts = texts.map(|(file, text)| (file.to_owned(), text.to_owned())).into();
    let found = check(&texts, &known());
    assert!(
        matches!(&found[..], [(file, 2, what)] if file == "docs/b.md" && what.contains("no doctest")),
        "{found:?}"
    );
}
