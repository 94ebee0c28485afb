//! The command from end to end: `portolan serve` on a free port, and every other subcommand against it.
//!
//! Nothing here sleeps: what must become true is awaited by `portolan watch`, with a deadline.

use std::{
    error::Error,
    net::SocketAddr,
    process::{Output, Stdio},
    time::Duration,
};

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines},
    net::TcpListener,
    process::{Child, ChildStdout, Command},
    task::JoinSet,
    time::timeout,
};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// How long anything may take that should take moments.
const DEADLINE: Duration = Duration::from_secs(30);

fn portolan(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portolan"));
    command.args(words).kill_on_drop(true).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.env_remove("CONSUL_HTTP_ADDR").env_remove("CONSUL_HTTP_TOKEN").env_remove("RUST_LOG");
    command
}

/// A registry of its own, which ends with the test.
struct Served {
    url: String,
    child: Child,
}

impl Served {
    async fn start() -> Result<Self> {
        let mut child = portolan(&["serve", "-dev", "--http-addr", "127.0.0.1:0"]).spawn()?;
        let mut lines = lines(&mut child)?;
        let first = next(&mut lines).await?;
        let url = first.split_whitespace().find(|word| word.starts_with("http://")).ok_or(first.clone())?;
        Ok(Self { url: url.to_owned(), child })
    }

    /// Runs a subcommand against it, to its end.
    async fn run(&self, words: &[&str]) -> Result<Ran> {
        let mut all = words.to_vec();
        all.extend(["--registry", &self.url]);
        Ok(Ran::from(timeout(DEADLINE, portolan(&all).output()).await??))
    }

    fn watch(&self, words: &[&str]) -> Result<(Child, Lines<BufReader<ChildStdout>>)> {
        self.follow("watch", words)
    }

    /// Starts a subcommand that goes on until it is ended.
    fn follow(&self, command: &str, words: &[&str]) -> Result<(Child, Lines<BufReader<ChildStdout>>)> {
        let mut all = vec![command];
        all.extend(words);
        all.extend(["--registry", &self.url]);
        let mut child = portolan(&all).spawn()?;
        let lines = lines(&mut child)?;
        Ok((child, lines))
    }
}

#[derive(Debug)]
struct Ran {
    code: Option<i32>,
    out: String,
    err: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

fn lines(child: &mut Child) -> Result<Lines<BufReader<ChildStdout>>> {
    let stdout = child.stdout.take().ok_or("stdout is piped")?;
    Ok(BufReader::new(stdout).lines())
}

async fn next(lines: &mut Lines<BufReader<ChildStdout>>) -> Result<String> {
    Ok(timeout(DEADLINE, lines.next_line()).await??.ok_or("the command ended early")?)
}

/// The next line of `watch` that `want` accepts.
async fn until(lines: &mut Lines<BufReader<ChildStdout>>, want: impl Fn(&str) -> bool) -> Result<String> {
    loop {
        let line = next(lines).await?;
        if want(&line) {
            return Ok(line);
        }
    }
}

/// A port that accepts connections, which is all that a TCP check wants.
async fn instance() -> Result<(TcpListener, u16)> {
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
    let port = listener.local_addr()?.port();
    Ok((listener, port))
}

#[cfg(unix)]
fn signal(child: &Child, signal: rustix::process::Signal) -> Result<()> {
    let pid = child.id().and_then(|pid| rustix::process::Pid::from_raw(pid.try_into().ok()?));
    Ok(rustix::process::kill_process(pid.ok_or("it runs")?, signal)?)
}

#[tokio::test]
async fn an_instance_is_registered_found_explained_and_removed() -> Result<()> {
    let served = Served::start().await?;
    let (listener, port) = instance().await?;
    let (_watch, mut watched) = served.watch(&["web"])?;

    let port_text = port.to_string();
    let registered = served
        .run(&[
            "register",
            "web",
            "--port",
            &port_text,
            "--address",
            "127.0.0.1",
            "--id",
            "web-1",
            "--tag",
            "blue",
            "--meta",
            "team=x",
            "--version",
            "1.2.3",
            "--zone",
            "a",
            "--check",
            "tcp",
            "--interval",
            "1s",
        ])
        .await?;
    assert_eq!((registered.code, registered.out.as_str()), (Some(0), "web-1\n"), "{registered:?}");
    until(&mut watched, |line| {
        line.contains(" web-1 ") && line.ends_with("passing") || line.contains("passing (was")
    })
    .await?;

    let services = served.run(&["services"]).await?;
    assert!(services.out.lines().any(|line| line.split_whitespace().eq(["web", "blue"])), "{services:?}");
    let format =
        "{{id}} {{address}}:{{port}} {{zone}} {{version}} {{status}} {{tags}} {{weight}} {{meta.team}}";
    let found = served.run(&["discover", "web", "--format", format, "--exit-code"]).await?;
    assert_eq!(found.out, format!("web-1 127.0.0.1:{port} a 1.2.3 passing blue 1 x\n"), "{found:?}");
    let found = served.run(&["discover", "web", "--json", "--tag", "blue", "--version", "1.2.3"]).await?;
    let json: Value = serde_json::from_str(&found.out)?;
    assert_eq!((json[0]["id"].as_str(), json[0]["port"].as_u64()), (Some("web-1"), Some(port.into())));
    let other = served.run(&["discover", "web", "--version", "9.9.9", "--exit-code"]).await?;
    assert_eq!((other.code, other.out.as_str()), (Some(1), ""), "{other:?}");

    let why = served.run(&["why", "web", "--prefer", "zone=among:1", "--zone", "a"]).await?;
    assert!(why.out.starts_with("web: 1 of 1 known instances can be picked\nsource live, age "), "{why:?}");
    assert!(why.out.contains("web-1  100.0%  same zone, \"a\" 100.0%\n"), "{why:?}");
    let why = served.run(&["why", "web", "--tag", "green"]).await?;
    assert!(why.out.contains("lacks the tag \"green\""), "{why:?}");

    drop(listener);
    until(&mut watched, |line| line.contains(" ~ web-1 ") && line.contains(" critical")).await?;
    a_dead_instance_is_left_out_with_its_reason(&served).await?;

    let removed = served.run(&["deregister", "web-1"]).await?;
    assert_eq!(removed.code, Some(0), "{removed:?}");
    until(&mut watched, |line| line.contains(" - web-1 ")).await?;
    let again = served.run(&["deregister", "web-1"]).await?;
    assert_eq!(again.code, Some(1), "{again:?}");
    let why = served.run(&["why", "web"]).await?;
    assert!(why.out.contains("(NeverSeen)"), "{why:?}");
    Ok(())
}

#[tokio::test]
async fn versions_are_found_by_requirement_and_listed_with_their_share() -> Result<()> {
    let served = Served::start().await?;
    for (id, words) in [
        ("web-1", &["--version", "1.4.0"][..]),
        ("web-2", &["--tag", "v2.0.0"]),
        ("web-3", &["--meta", "version=two"]),
    ] {
        let register = ["register", "web", "--port", "80", "--address", "10.0.0.1", "--id", id];
        let registered = served.run(&[&register[..], words].concat()).await?;
        assert_eq!(registered.code, Some(0), "{registered:?}");
    }
    for (requirement, ids) in
        [("^1", "web-1\n"), (">=1.4, <3", "web-1\nweb-2\n"), ("latest", "web-2\n"), ("^3", "")]
    {
        let found = served.run(&["discover", "web", "--format", "{{id}}", "--version", requirement]).await?;
        assert_eq!((found.code, found.out.as_str()), (Some(0), ids), "{requirement}: {found:?}");
    }
    let folder = tempfile::tempdir()?;
    let splits = folder.path().join("splits");
    std::fs::write(&splits, "web = 95 ^1, 5 ^2\n")?;
    let splits = splits.to_string_lossy();
    let listed = served.run(&["versions", "web", "--splits", &splits, "--exit-code"]).await?;
    assert_eq!(listed.code, Some(1), "a version cannot be read: {listed:?}");
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>().join(" ");
    let lines: Vec<String> = listed.out.lines().map(words).collect();
    assert_eq!(lines[1..3], ["web 2.0.0 1 1 0 0 0 5.0% ^2", "web 1.4.0 1 1 0 0 0 95.0% ^1"], "{listed:?}");
    assert!(listed.out.contains("web-3 has no readable version: \"two\" in meta:version\n"), "{listed:?}");
    let all = served.run(&["versions", "--json"]).await?;
    let json: Value = serde_json::from_str(&all.out)?;
    let web = json.as_array().and_then(|all| all.iter().find(|one| one["service"] == "web"));
    assert_eq!(web.map(|web| &web["versions"][0]["version"]), Some(&Value::from("2.0.0")), "{all:?}");
    let why = served.run(&["why", "web", "--version", "^3"]).await?;
    assert!(why.out.contains("3 known, 3 healthy, 0 match ^3, 1 of unreadable version"), "{why:?}");
    let nothing = served.run(&["versions", "db", "--exit-code"]).await?;
    assert_eq!((nothing.code, nothing.out.as_str()), (Some(1), ""), "{nothing:?}");
    std::fs::write(&*splits, "web = 95 ^^1")?;
    let wrong = served.run(&["versions", "web", "--splits", &splits]).await?;
    assert_eq!(wrong.code, Some(2), "{wrong:?}");
    assert!(
        wrong.err.contains("splits, line 1: split, part 1: \"^^1\" is no version requirement"),
        "{wrong:?}"
    );
    Ok(())
}

/// Its check has failed, and `why` says which one and what it said.
async fn a_dead_instance_is_left_out_with_its_reason(served: &Served) -> Result<()> {
    let why = served.run(&["why", "web"]).await?;
    assert!(why.out.contains("0 of 1 known") && why.out.contains("refused"), "{why:?}");
    let none = served.run(&["discover", "web", "--exit-code"]).await?;
    assert_eq!(none.code, Some(1), "{none:?}");
    assert!(none.err.contains("none of 1 known fits: 1 critical"), "{none:?}");
    let all = served.run(&["discover", "web", "--all", "--format", "{{id}} {{status}}"]).await?;
    assert_eq!(all.out, "web-1 critical\n");
    Ok(())
}

#[tokio::test]
async fn watch_runs_a_command_with_the_latest_state_and_ends_on_ctrl_c() -> Result<()> {
    let served = Served::start().await?;
    let exec = "echo \"$PORTOLAN_SERVICE $PORTOLAN_HEALTHY $(cat)\"";
    let (mut watch, mut watched) = served.watch(&["web", "--json", "--exec", exec])?;
    assert_eq!(next(&mut watched).await?, "web 0 []");
    let registered =
        served.run(&["register", "web", "--port", "80", "--address", "10.0.0.1", "--id", "web-1"]).await?;
    assert_eq!(registered.code, Some(0), "{registered:?}");
    let change: Value = serde_json::from_str(&next(&mut watched).await?)?;
    assert_eq!(
        (change["change"].as_str(), change["instance"]["id"].as_str()),
        (Some("added"), Some("web-1"))
    );
    let ran = until(&mut watched, |line| line.starts_with("web 1 [")).await?;
    assert!(ran.contains("\"address\":\"10.0.0.1\""), "{ran}");
    #[cfg(unix)]
    {
        signal(&watch, rustix::process::Signal::INT)?;
        assert_eq!(timeout(DEADLINE, watch.wait()).await??.code(), Some(0));
    }
    Ok(())
}

#[tokio::test]
async fn services_watch_tells_each_service_that_comes_goes_or_changes_its_tags_once() -> Result<()> {
    let served = Served::start().await?;
    let (mut text_watch, mut text) = served.follow("services", &["--watch"])?;
    let (mut json_watch, mut json) = served.follow("services", &["--watch", "--json"])?;
    let register = ["register", "web", "--port", "80", "--address", "10.0.0.1", "--id", "web-1", "--tag"];
    for (tag, end, change) in
        [("blue", " + web blue", "added"), ("green", " ~ web green (was blue)", "retagged")]
    {
        let registered = served.run(&[&register[..], &[tag]].concat()).await?;
        assert_eq!(registered.code, Some(0), "{registered:?}");
        let line = until(&mut text, |line| line.contains(" web ")).await?;
        assert!(line.ends_with(end), "{line}");
        let line = until(&mut json, |line| line.contains("\"web\"")).await?;
        let told: Value = serde_json::from_str(&line)?;
        assert_eq!((told["change"].as_str(), told["tags"][0].as_str()), (Some(change), Some(tag)), "{line}");
    }
    let gone = served.run(&["deregister", "web-1"]).await?;
    assert_eq!(gone.code, Some(0), "{gone:?}");
    assert!(next(&mut text).await?.ends_with(" - web green"));
    assert!(next(&mut json).await?.contains("\"removed\""));
    #[cfg(unix)]
    {
        signal(&text_watch, rustix::process::Signal::INT)?;
        assert_eq!(timeout(DEADLINE, text_watch.wait()).await??.code(), Some(0));
    }
    // A reader that went away ends it at the next change, without a word.
    drop(json);
    let registered = served.run(&[&register[..], &["red"]].concat()).await?;
    assert_eq!(registered.code, Some(0), "{registered:?}");
    assert_eq!(timeout(DEADLINE, json_watch.wait()).await??.code(), Some(0));
    Ok(())
}

#[tokio::test]
async fn a_registry_ends_with_0_when_it_is_asked_to() -> Result<()> {
    let mut served = Served::start().await?;
    #[cfg(unix)]
    {
        signal(&served.child, rustix::process::Signal::TERM)?;
        assert_eq!(timeout(DEADLINE, served.child.wait()).await??.code(), Some(0));
    }
    Ok(())
}

#[tokio::test]
async fn a_port_in_use_is_named_with_the_flag_that_changes_it() -> Result<()> {
    let (_taken, port) = instance().await?;
    let addr = format!("127.0.0.1:{port}");
    let ran = Ran::from(
        timeout(DEADLINE, portolan(&["serve", "--ephemeral", "--http-addr", &addr]).output()).await??,
    );
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert_eq!(
        ran.err,
        format!(
            "error: port {port} at 127.0.0.1 is in use; stop what listens there, or give another with --http-addr\n"
        )
    );
    Ok(())
}

#[tokio::test]
async fn a_closed_pipe_ends_quietly_and_a_full_disk_does_not() -> Result<()> {
    let served = Served::start().await?;
    let mut child = portolan(&["services", "--registry", &served.url]).spawn()?;
    drop(child.stdout.take());
    let ran = Ran::from(timeout(DEADLINE, child.wait_with_output()).await??);
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "{ran:?}");
    #[cfg(target_os = "linux")]
    {
        let full = std::fs::File::options().write(true).open("/dev/full")?;
        let mut command = portolan(&["services", "--registry", &served.url]);
        let child = command.stdout(full).spawn()?;
        let ran = Ran::from(timeout(DEADLINE, child.wait_with_output()).await??);
        assert_eq!(ran.code, Some(1), "{ran:?}");
        assert!(ran.err.starts_with("error: cannot write to stdout: No space left"), "{ran:?}");
    }
    Ok(())
}

/// Answers every connection with these bytes, for as long as the set of tasks lives.
async fn answering(answer: &'static str) -> Result<(String, JoinSet<()>)> {
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
    let url = format!("http://{}", listener.local_addr()?);
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0_u8; 4096];
            let _read = stream.read(&mut request).await;
            let _written = stream.write_all(answer.as_bytes()).await;
        }
    });
    Ok((url, tasks))
}

#[tokio::test]
async fn what_a_registry_answers_decides_the_exit_code() -> Result<()> {
    for (answer, code, says) in [
        (
            "HTTP/1.1 403 Forbidden\r\ncontent-length: 17\r\nconnection: close\r\n\r\nPermission denied",
            4,
            "give a token that may do this",
        ),
        (
            "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 6\r\nconnection: close\r\n\r\n<html>",
            3,
            "it begins with \"<html>\"",
        ),
        (
            "HTTP/1.1 404 Not Found\r\ncontent-length: 21\r\nconnection: close\r\n\r\n<!DOCTYPE html><html>",
            3,
            "answered, but not as a registry does: ",
        ),
        (
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 16\r\n\r\n{\"status\":\"UP\"}\n",
            3,
            "it begins with \"{\\\"status\\\":\\\"UP\\\"}\"",
        ),
        (
            "HTTP/1.1 500 Oops\r\ncontent-length: 17\r\nconnection: close\r\n\r\nNo cluster leader",
            3,
            "No cluster leader",
        ),
        ("SSH-2.0-OpenSSH\r\n", 3, "the answer is not HTTP"),
    ] {
        let (url, _tasks) = answering(answer).await?;
        let mut command = portolan(&["discover", "web", "--registry", &url]);
        let ran = Ran::from(timeout(DEADLINE, command.output()).await??);
        assert_eq!(ran.code, Some(code), "{answer:?}: {ran:?}");
        assert!(ran.err.starts_with("error: ") && ran.err.contains(says), "{answer:?}: {ran:?}");
        assert_eq!(ran.err.lines().count(), 1, "one line: {ran:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_flag_wins_over_the_environment_and_the_log_stays_on_stderr() -> Result<()> {
    let served = Served::start().await?;
    let mut command =
        portolan(&["services", "--json", "--registry", &served.url, "-vvv", "--log-format", "json"]);
    command.env("CONSUL_HTTP_ADDR", "not an address").env("CONSUL_HTTP_TOKEN", "unused");
    let ran = Ran::from(timeout(DEADLINE, command.output()).await??);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let _services: Value = serde_json::from_str(&ran.out)?;
    for line in ran.err.lines() {
        let _entry: Value = serde_json::from_str(line)?;
    }
    let mut command = portolan(&["services"]);
    command.env("CONSUL_HTTP_ADDR", "not an address");
    let ran = Ran::from(timeout(DEADLINE, command.output()).await??);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.err.contains("CONSUL_HTTP_ADDR"), "{ran:?}");
    Ok(())
}
