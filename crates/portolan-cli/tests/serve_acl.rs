//! `portolan serve` with access rules, and the other commands with a token: what they may see, and that nothing of theirs
//! shows it.

use std::{
    error::Error,
    fs,
    process::{Output, Stdio},
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    process::Command,
    time::timeout,
};

type Try<T = ()> = Result<T, Box<dyn Error>>;

const DEADLINE: Duration = Duration::from_secs(30);
const TOKEN: &str = "11111111-1111-4111-8111-111111111111";
const WRONG: &str = "99999999-1111-4111-8111-111111111111";

fn portolan(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portolan"));
    command.args(words).kill_on_drop(true).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.env_remove("CONSUL_HTTP_ADDR").env_remove("CONSUL_HTTP_TOKEN").env_remove("RUST_LOG");
    command
}

async fn services(url: &str, token: Option<&str>) -> Try<Output> {
    let mut command = portolan(&["services", "--registry", url, "-vvv"]);
    if let Some(token) = token {
        command.env("CONSUL_HTTP_TOKEN", token);
    }
    Ok(timeout(DEADLINE, command.output()).await??)
}

#[tokio::test]
async fn a_token_is_needed_and_no_output_shows_it() -> Try {
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("token");
    fs::write(&file, format!("{TOKEN}\n"))?;
    let file = file.display().to_string();
    let flag = "--acl-initial-management-token-file";
    let mut served =
        portolan(&["serve", "-dev", "--http-addr", "127.0.0.1:0", flag, &file, "-vvv"]).spawn()?;
    let mut out = BufReader::new(served.stdout.take().ok_or("stdout is piped")?).lines();
    let first = timeout(DEADLINE, out.next_line()).await??.ok_or("it ended early")?;
    let url = first.split_whitespace().find(|word| word.starts_with("http://")).ok_or(first.clone())?;

    let [all, nothing, refused] =
        [services(url, Some(TOKEN)).await?, services(url, None).await?, services(url, Some(WRONG)).await?];
    let text = |output: &Output| {
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        format!("{out}{err}")
    };
    assert!(
        all.status.success() && String::from_utf8_lossy(&all.stdout).contains("consul"),
        "{}",
        text(&all)
    );
    assert!(!String::from_utf8_lossy(&nothing.stdout).contains("consul"), "{}", text(&nothing));
    assert!(!refused.status.success() && text(&refused).contains("ACL not found"), "{}", text(&refused));

    served.start_kill()?;
    let mut log = String::new();
    timeout(DEADLINE, served.stderr.take().ok_or("stderr is piped")?.read_to_string(&mut log)).await??;
    assert!(log.contains("the registry serves"), "the log is the one that is meant: {log}");
    for shown in [first.as_str(), &log, &text(&all), &text(&nothing), &text(&refused)] {
        assert!(!shown.contains(TOKEN) && !shown.contains(WRONG), "a token is shown: {shown}");
    }
    Ok(())
}
