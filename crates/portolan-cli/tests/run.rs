//! `portolan run`, on `portolan serve` and on a real Consul: a command's life as an instance's.
#![cfg(unix)]

use std::{process::Stdio, time::Duration};

use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    net::UnixDatagram,
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
async fn a_death_is_known_where_the_instance_cannot_be_removed() -> Outcome {
    let registry = Running::ours_with(&["--fault", "PUT /v1/agent/service/deregister/* 500 1"]).await?;
    let mut run = Run::start(&registry.url, &["--ttl", "1h"], &["sh", "-c", "read -r line; exit 7"])?;
    run.tells("web-1: registered").await?;
    registry.until(&STATUS, |out| out == "web-1 passing\n").await?;
    drop(run.child.stdin.take());
    run.tells("ended with code 7").await?;
    registry.until(&STATUS, |out| out == "web-1 critical\n").await?;
    run.tells("could not be removed").await?;
    assert_eq!(run.code().await?, Some(7));
    Ok(())
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
    // While callers have their time to see that it leaves, it is not signalled.
    let mut run = Run::start(&registry.url, &["--settle", "1h"], &talks())?;
    run.tells("web-1: registered").await?;
    run.signal(Signal::TERM)?;
    registry.until(&STATUS, |out| out == "web-1 maintenance\n").await?;
    run.signal(Signal::USR1)?;
    run.says("usr1").await?;
    run.signal(Signal::TERM)?;
    assert_eq!(run.code().await?, Some(137));
    registry.until(&STATUS, str::is_empty).await?;

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

/// The next word to systemd.
async fn word(socket: &UnixDatagram) -> Outcome<String> {
    let mut word = [0_u8; 256];
    let length = timeout(DEADLINE, socket.recv(&mut word)).await??;
    Ok(String::from_utf8_lossy(word.get(..length).unwrap_or_default()).into_owned())
}

#[tokio::test]
async fn systemd_hears_that_it_is_ready_once_it_is_and_when_it_stops() -> Outcome {
    let registry = Running::ours().await?;
    let files = tempfile::tempdir()?;
    let path = files.path().join("notify");
    let socket = UnixDatagram::bind(&path)?;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port().to_string();
    // Without a registry that answers, what waits for health waits, and what does not is ready at once.
    for (waits, url) in [(true, &*registry.url), (false, "http://127.0.0.1:1")] {
        let mut words = vec!["run", "--name", "web", "--port", &port, "--id", "web-1", "--settle", "10ms"];
        words.extend(["--address", "127.0.0.1", "--check", "tcp", "--interval", "1s", "--registry", url]);
        words.extend(waits.then_some("--wait-healthy"));
        words.extend(["--", "sh", "-c", "echo \"${NOTIFY_SOCKET:-none}\"; exec tail -f /dev/null"]);
        let mut child = portolan(&words).env("NOTIFY_SOCKET", &path).spawn()?;
        let mut out = BufReader::new(child.stdout.take().ok_or("stdout is piped")?).lines();
        assert_eq!(timeout(DEADLINE, out.next_line()).await??.as_deref(), Some("none"));
        assert_eq!(word(&socket).await?, "READY=1");
        if waits {
            let seen = registry.run(&STATUS).await?;
            assert_eq!(seen.out, "web-1 passing\n", "not before: {seen:?}");
        }
        let pid = child.id().and_then(|pid| Pid::from_raw(pid.try_into().ok()?)).ok_or("it runs")?;
        kill_process(pid, Signal::TERM)?;
        assert_eq!(word(&socket).await?, "STOPPING=1");
        assert_eq!(timeout(DEADLINE, child.wait()).await??.code(), Some(143));
    }
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

#[tokio::test]
async fn what_is_measured_is_told_while_the_command_runs() -> Outcome {
    let registry = Running::ours().await?;
    let flags = ["--ttl", "15s", "--settle", "10ms", "--wait-healthy", "--metrics-addr", "127.0.0.1:0"];
    let mut run = Run::start(&registry.url, &flags, &talks())?;
    let line = run.tells("metrics are told at ").await?;
    let url = line.split_whitespace().last().ok_or("it says where")?.to_owned();
    run.tells("web-1: ready").await?;
    let (authority, path) =
        url.strip_prefix("http://").and_then(|url| url.split_once('/')).ok_or(url.clone())?;
    let mut stream = tokio::net::TcpStream::connect(authority).await?;
    let request = format!("GET /{path} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n\r\n");
    tokio::io::AsyncWriteExt::write_all(&mut stream, request.as_bytes()).await?;
    let mut text = String::new();
    timeout(DEADLINE, tokio::io::AsyncReadExt::read_to_string(&mut stream, &mut text)).await??;
    for part in [
        "content-type: text/plain; version=0.0.4; charset=utf-8",
        "# HELP portolan_registrations_total Times an instance was sent to the agent.",
        "portolan_registrations_total{service=\"web\",reason=\"new\"} 1",
        "portolan_registration_state{service=\"web\",state=\"registered\"} 1",
        "portolan_registry_request_seconds_bucket{operation=",
    ] {
        assert!(text.contains(part), "{part}\nis not in\n{text}");
    }
    run.signal(Signal::TERM)?;
    assert_eq!(run.code().await?, Some(3));
    Ok(())
}
