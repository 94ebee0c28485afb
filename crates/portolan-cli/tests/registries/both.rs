//! The two registries that the command is tried on: `portolan serve`, and a real Consul. Each ends with its test.

use std::{
    fmt::Write as _,
    process::{Output, Stdio},
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    time::timeout,
};

#[expect(dead_code, reason = "only the plain address is used here")]
#[path = "../../../portolan/tests/support/consul.rs"]
mod support;

pub(crate) use support::Failure;

pub(crate) type Outcome<T = ()> = Result<T, Failure>;

/// How long anything may take that should take moments.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// A running registry.
pub(crate) struct Running {
    pub(crate) url: String,
    // They end when they are dropped.
    _ours: Option<Child>,
    _consul: Option<support::Agent>,
}

/// How a subcommand ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
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

pub(crate) fn portolan(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portolan"));
    command.args(words).kill_on_drop(true).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.env_remove("CONSUL_HTTP_ADDR").env_remove("CONSUL_HTTP_TOKEN").env_remove("RUST_LOG");
    command
}

impl Running {
    pub(crate) async fn ours() -> Outcome<Self> {
        Self::ours_with(&[]).await
    }

    /// The same, with these flags besides.
    pub(crate) async fn ours_with(flags: &[&str]) -> Outcome<Self> {
        let words = [&["serve", "-dev", "--http-addr", "127.0.0.1:0"][..], flags].concat();
        let mut child = portolan(&words).spawn()?;
        let stdout = child.stdout.take().ok_or("stdout is piped")?;
        let first =
            timeout(DEADLINE, BufReader::new(stdout).lines().next_line()).await??.ok_or("it serves")?;
        let url = first.split_whitespace().find(|word| word.starts_with("http://")).ok_or("it says where")?;
        Ok(Self { url: url.to_owned(), _ours: Some(child), _consul: None })
    }

    pub(crate) async fn consul() -> Outcome<Self> {
        Self::consul_with(serde_json::json!({})).await
    }

    /// The same, with these settings besides.
    pub(crate) async fn consul_with(settings: serde_json::Value) -> Outcome<Self> {
        let agent = support::Agent::start_with(settings).await?;
        let url = agent.plain()?.shown_address().to_owned();
        Ok(Self { url, _ours: None, _consul: Some(agent) })
    }

    /// Runs a subcommand against it, to its end.
    pub(crate) async fn run(&self, words: &[&str]) -> Outcome<Ran> {
        let mut all = words.to_vec();
        all.extend(["--registry", &self.url]);
        Ok(Ran::from(timeout(DEADLINE, portolan(&all).output()).await??))
    }

    /// Runs a subcommand again and again until its stdout is as wanted: the catalogue follows the agent in its own time.
    pub(crate) async fn until(&self, words: &[&str], want: impl Fn(&str) -> bool) -> Outcome<String> {
        let mut last = String::new();
        let seen = async {
            loop {
                let ran = self.run(words).await?;
                if want(&ran.out) {
                    return Ok(ran.out);
                }
                last.clear();
                write!(last, "{ran:?}")?;
            }
        };
        match timeout(DEADLINE, seen).await {
            Ok(seen) => seen,
            Err(_late) => Err(format!("{words:?}: not in time; last: {last}").into()),
        }
    }
}
