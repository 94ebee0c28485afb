//! `portolan run`, on `portolan serve` and on a real Consul: a command's life as an instance's.
#![cfg(unix)]

use std::{process::Stdio, time::Duration};

use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStderr, ChildStdout},
    time::timeout,
};

#[path = "registries/both.rs"]
mod both;

use both::{DEADLINE, Outcome, Ran, Running, portolan};

const STATUS: [&str; 5] = ["discover", "web", "--all", "--format", "{{id}} {{status}}"];

/// `portolan run` with what it and its command say.
struct Run {
    child: Child,
    out: Lines<BufReader<ChildStdout>>,
    err: Lines<BufReader<ChildStderr>>,
}

impl Run {
    fn start(registry: &str, flags: &[&str], command: &[&str]) -> Outcome<Self> {
        let mut words = vec!["run", "--name", "web", "--port", "80", "--id", "web-1", "--registry", registry];
        words.extend(flags);
        words.push("--");
        words.extend(command);
        let mut child = portolan(&words).stdin(Stdio::piped()).spawn()?;
        let out = BufReader::new(child.stdout.take().ok_or("stdout is piped")?).lines();
        let err = BufReader::new(child.stderr.take().ok_or("stderr is piped")?).lines();
        Ok(Self { child, out, err })
    }

    fn signal(&self, signal: Signal) -> Outcome {
        let pid = self.child.id().and_then(|pid| Pid::from_raw(pid.try_into().ok()?));
        Ok(kill_process(pid.ok_or("it runs")?, signal)?)
    }

    /// The next line of the command that is as wanted.
    async fn says(&mut self, want: &str) -> Outcome {
        let seen = async {
            while let Some(line) = self.out.next_line().await? {
                if line == want {
                    return Ok::<_, both::Failure>(());
                }
            }
            Err(format!("it ended without {want:?}").into())
        };
        timeout(DEADLINE, seen).await?
    }

    /// The next line on stderr that holds this.
    async fn tells(&mut self, want: &str) -> Outcome<String> {
        let seen = async {
            let mut all = Vec::new();
            while let Some(line) = self.err.next_line().await? {
                if line.contains(want) {
                    return Ok::<_, both::Failure>(line);
                }
                all.push(line);
            }
            Err(format!("it ended without {want:?}: {all:?}").into())
        };
        timeout(DEADLINE, seen).await?
    }

    async fn code(mut self) -> Outcome<Option<i32>> {
        Ok(timeout(DEADLINE, self.child.wait()).await??.code())
    }
}

/// Runs `portolan run` with a command of its own, to its end.
async fn run_command(registry: &Running, words: &[&str]) -> Outcome<Ran> {
    let mut command = portolan(words);
    command.env("CONSUL_HTTP_ADDR", &registry.url);
    Ok(Ran::from(timeout(DEADLINE, command.output()).await??))
}

/// A command that says what it is told by signals, and ends with 3 when it is asked to.
const TALKS: &str =
    "trap 'echo hup' HUP; trap 'echo usr1' USR1; trap 'echo usr2' USR2; trap 'echo term; exit 3' TERM
echo up; while :; do read -r line || :; done";

fn talks() -> [&'static str; 3] {
    ["sh", "-c", TALKS]
}

async fn a_whole_life(registry: &Running) -> Outcome {
    let mut run =
        Run::start(&registry.url, &["--ttl", "15s", "--settle", "10ms", "--wait-healthy"], &talks())?;
    run.says("up").await?;
    run.tells("web-1: ready").await?;
    registry.until(&STATUS, |out| out == "web-1 passing\n").await?;
    for (signal, word) in [(Signal::HUP, "hup"), (Signal::USR1, "usr1"), (Signal::USR2, "usr2")] {
        run.signal(signal)?;
        run.says(word).await?;
    }
    run.signal(Signal::TERM)?;
    run.tells("out of service").await?;
    run.says("term").await?;
    assert_eq!(run.code().await?, Some(3), "the command's own code");
    registry.until(&STATUS, str::is_empty).await?;
    Ok(())
}

#[tokio::test]
async fn a_command_is_registered_signalled_drained_and_removed() -> Outcome {
    a_whole_life(&Running::ours().await?).await
}

#[tokio::test]
async fn a_command_is_registered_signalled_drained_and_removed_on_consul() -> Outcome {
    a_whole_life(&Running::consul().await?).await
}

async fn a_crash_loop(registry: &Running) -> Outcome {
    // A random id each time: what stayed would be seen.
    for _ in 0..5 {
        let words = ["run", "--name", "web", "--port", "80", "--", "sh", "-c", "exit 42"];
        let ran = run_command(registry, &words).await?;
        assert_eq!(ran.code, Some(42), "{ran:?}");
    }
    // Dead as soon as it is registered.
    for _ in 0..5 {
        let mut run = Run::start(&registry.url, &[], &["sh", "-c", "read -r line; kill -KILL $$"])?;
        run.tells("web-1: registered").await?;
        drop(run.child.stdin.take());
        run.tells("was ended by signal 9").await?;
        assert_eq!(run.code().await?, Some(137));
    }
    registry.until(&STATUS, str::is_empty).await?;
    Ok(())
}

#[tokio::test]
async fn a_crash_loop_leaves_no_id_and_its_code_is_told() -> Outcome {
    a_crash_loop(&Running::ours().await?).await
}

#[tokio::test]
async fn a_crash_loop_leaves_no_id_in_consul_and_its_code_is_told() -> Outcome {
    a_crash_loop(&Running::consul().await?).await
}

#[tokio::test]
async fn what_cannot_be_started_is_never_registered() -> Outcome {
    let registry = Running::ours().await?;
    for (command, code) in [("/does/not/exist", 127), ("/", 126)] {
        let ran = run_command(&registry, &["run", "--name", "web", "--port", "80", "--", command]).await?;
        assert_eq!((ran.code, ran.err.contains("cannot be started")), (Some(code), true), "{ran:?}");
    }
    let services = registry.run(&["services"]).await?;
    assert!(!services.out.contains("web"), "{services:?}");
    Ok(())
}

#[tokio::test]
async fn a_registry_that_is_down_does_not_keep_a_command_from_running() -> Outcome {
    let mut run = Run::start("http://127.0.0.1:1", &["--address", "127.0.0.1"], &talks())?;
    run.says("up").await?;
    run.signal(Signal::USR1)?;
    run.says("usr1").await?;
    run.signal(Signal::TERM)?;
    run.says("term").await?;
    assert_eq!(run.code().await?, Some(3));
    Ok(())
}

#[tokio::test]
async fn a_second_signal_ends_what_does_not_want_to_end() -> Outcome {
    let registry = Running::ours().await?;
    let stubborn = "trap '' TERM; echo up; while :; do read -r line || exec tail -f /dev/null; done";
    let flags = ["--drain", "1h", "--settle", "10ms"];
    let mut run = Run::start(&registry.url, &flags, &["sh", "-c", stubborn])?;
    run.says("up").await?;
    run.tells("web-1: registered").await?;
    run.signal(Signal::TERM)?;
    run.tells("out of service").await?;
    run.signal(Signal::INT)?;
    assert_eq!(run.code().await?, Some(137));
    registry.until(&STATUS, str::is_empty).await?;
    // And one that is given no time is ended after it.
    let flags = ["--drain", "0s", "--settle", "0s"];
    let mut run = Run::start(&registry.url, &flags, &["sh", "-c", stubborn])?;
    run.says("up").await?;
    run.signal(Signal::TERM)?;
    assert_eq!(run.code().await?, Some(137));
    Ok(())
}

#[tokio::test]
async fn a_command_that_fails_its_check_is_not_ready() -> Outcome {
    let registry = Running::ours().await?;
    let flags = [
        "--address",
        "127.0.0.1",
        "--check",
        "tcp",
        "--interval",
        "1s",
        "--wait-healthy",
        "--settle",
        "10ms",
    ];
    let mut run = Run::start(&registry.url, &flags, &talks())?;
    run.says("up").await?;
    run.tells("web-1: registered").await?;
    registry.until(&["checks", "web"], |out| out.contains("tcp") && out.contains("critical")).await?;
    run.signal(Signal::TERM)?;
    let mut rest = Vec::new();
    while let Some(line) = timeout(DEADLINE, run.err.next_line()).await?? {
        rest.push(line);
    }
    assert!(!rest.iter().any(|line| line.contains("ready")), "{rest:?}");
    assert_eq!(run.code().await?, Some(3));
    Ok(())
}

#[tokio::test]
async fn wrong_flags_are_told_before_anything_is_started() -> Outcome {
    for (flags, says) in [
        (&["--ttl", "10ms"][..], "ttl: \"10ms\" is under 1s"),
        (&["--method", "PUT"], "--method and --header are for HTTP checks"),
        (&["--drain", "soon"], "--drain"),
    ] {
        let mut words = vec!["run", "--name", "web", "--port", "80"];
        words.extend(flags);
        words.extend(["--", "sh", "-c", "echo started"]);
        let ran = Ran::from(timeout(Duration::from_secs(30), portolan(&words).output()).await??);
        assert_eq!((ran.code, ran.out.as_str()), (Some(2), ""), "{ran:?}");
        assert!(ran.err.contains(says), "{ran:?}");
    }
    Ok(())
}
