//! Which layer wins, setting by setting.

use super::{
    super::{
        file::read,
        settings::{GLOBAL, SERVE, sections},
    },
    *,
};

fn section(name: &str) -> Section {
    sections().into_iter().find(|section| section.name == name).unwrap()
}

fn words_of(line: &str) -> Vec<OsString> {
    line.split(' ').map(OsString::from).collect()
}

/// What holds of a setting, and from where.
fn holds(name: &str, key: &str, line: &str, variables: &[(&str, &str)], text: &str) -> (Vec<String>, Origin) {
    let file = read(text, &sections());
    assert_eq!(file.problems, []);
    let variable = |name: &str| {
        let found = variables.iter().find(|(variable, _)| *variable == name);
        found.map(|(_, value)| (*value).to_owned())
    };
    let all = in_force(&section(name), &words_of(line), variable, &file);
    let one = all.into_iter().find(|one| one.setting.key == key).unwrap();
    (one.values, one.origin)
}

#[test]
fn a_flag_stands_over_the_environment_over_the_file_over_the_default() {
    let file = "[serve]\nhttp-addr = \"127.0.0.1:3\"\n";
    let variables = [("PORTOLAN_SERVE_HTTP_ADDR", "127.0.0.1:2")];
    let one = |value: &str| vec![value.to_owned()];
    for (line, variables, file, expected) in [
        ("portolan serve --http-addr 127.0.0.1:1", &variables[..], file, (one("127.0.0.1:1"), Origin::Flag)),
        ("portolan serve --http-addr=127.0.0.1:1", &variables, file, (one("127.0.0.1:1"), Origin::Flag)),
        ("portolan serve", &variables, file, (one("127.0.0.1:2"), Origin::Environment)),
        ("portolan serve -- --http-addr x", &[], file, (one("127.0.0.1:3"), Origin::File(2))),
        ("portolan serve", &[], "", (one("127.0.0.1:8500"), Origin::Default)),
    ] {
        assert_eq!(holds(SERVE, "http-addr", line, variables, file), expected, "{line}");
    }
}

#[test]
fn what_cannot_be_beside_a_setting_of_a_higher_layer_is_left_out_with_it() {
    let file = "[serve]\ndata-dir = \"/x\"\n[client]\ntoken = \"t\"\n";
    let nothing = (Vec::new(), Origin::Default);
    assert_eq!(holds(SERVE, "data-dir", "portolan serve --ephemeral", &[], file), nothing);
    assert_eq!(holds(SERVE, "data-dir", "portolan serve", &[("PORTOLAN_SERVE_DEV", "1")], file), nothing);
    assert_eq!(holds(CLIENT, "token", "portolan services --token-file /t", &[], file), nothing);
    assert_eq!(
        holds(CLIENT, "token", "portolan services", &[("CONSUL_HTTP_TOKEN_FILE", "/t")], file),
        nothing
    );
    assert_eq!(holds(SERVE, "data-dir", "portolan serve", &[], file).1, Origin::File(2));
}

#[test]
fn switches_counts_and_lists_are_read_in_each_layer() {
    let text = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect::<Vec<_>>();
    assert_eq!(holds(GLOBAL, "verbose", "portolan -vv services -v", &[], "").0, text(&["3"]));
    assert_eq!(holds(GLOBAL, "quiet", "portolan services -q", &[], "").0, text(&["true"]));
    assert_eq!(
        holds(GLOBAL, "quiet", "portolan services", &[("PORTOLAN_QUIET", "no")], "").0,
        text(&["false"])
    );
    let ttl = [("PORTOLAN_SERVE_DNS_TTL", "web=1s; db=2s;")];
    assert_eq!(holds(SERVE, "dns-ttl", "portolan serve", &ttl, "").0, text(&["web=1s", "db=2s"]));
    let line = "portolan serve --dns-ttl a=1s --dns-ttl=b=2s";
    assert_eq!(holds(SERVE, "dns-ttl", line, &ttl, "").0, text(&["a=1s", "b=2s"]));
}

#[test]
fn the_command_line_gets_what_the_file_and_our_own_variables_say_behind_its_subcommand() {
    let file = read(
        "[serve]\nephemeral = true\nlimit = [\"max_body=4096\", \"max_head=2048\"]\nnode = \"a\"\n",
        &sections(),
    );
    let section = section(SERVE);
    let line = words_of("portolan -q serve --node b");
    let variable = |name: &str| (name == "PORTOLAN_SERVE_DATACENTER").then(|| "dc9".to_owned());
    let more = more(&section, &in_force(&section, &line, variable, &file));
    let whole = with(&line, "serve", more);
    let whole: Vec<String> = whole.into_iter().map(|word| word.into_string().unwrap()).collect();
    assert_eq!(
        whole.join(" "),
        "portolan -q serve --ephemeral --datacenter=dc9 --limit=max_body=4096 --limit=max_head=2048 --node b"
    );
}

#[test]
fn consuls_own_variables_are_left_to_the_client() {
    let section = section(CLIENT);
    let variable = |name: &str| (name == "CONSUL_HTTP_ADDR").then(|| "x:1".to_owned());
    let held = in_force(&section, &words_of("portolan services"), variable, &Default::default());
    assert!(held.iter().any(|one| one.origin == Origin::Environment));
    assert_eq!(more(&section, &held), Vec::<OsString>::new());
}
