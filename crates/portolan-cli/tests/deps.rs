//! Dependencies from end to end, on `portolan serve` and on a real Consul: who needs whom, exit codes, and commands that
//! wait for what they need.
#![cfg(unix)]

use std::{process::Stdio, sync::Arc};

use portolan::{
    Registry,
    registry::{
        Definition,
        consul::{Consul, ConsulConfig},
    },
};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStderr, ChildStdout},
    time::timeout,
};

#[path = "registries/both.rs"]
mod both;

use both::{DEADLINE, Outcome, Running, portolan};

/// Registers a service by the command; it is passing at once.
async fn register(registry: &Running, name: &str, flags: &[&str]) -> Outcome {
    let id = format!("{name}-1");
    let words = ["register", name, "--port", "80", "--address", "127.0.0.1", "--id", &id];
    let ran = registry.run(&[&words[..], flags].concat()).await?;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    Ok(())
}

/// Registers a service with this declaration, as one who knows nothing of Portolan may.
async fn declare(registry: &Running, name: &str, needs: &str) -> Outcome {
    let consul: Arc<dyn Registry> = Arc::new(Consul::new(ConsulConfig::default().address(&registry.url)?));
    let mut definition = Definition::new(format!("{name}-1").parse()?, name.parse()?, "127.0.0.1", 80);
    definition.meta.insert("portolan-needs".to_owned(), needs.to_owned());
    Ok(consul.register(&definition).await?)
}

async fn everything_is_shown(registry: &Running) -> Outcome {
    let ran = registry.run(&["deps", "--check"]).await?;
    assert_eq!((ran.code, &*ran.out), (Some(0), ""), "{ran:?}");
    register(registry, "db", &["--version", "14.2.0"]).await?;
    register(registry, "api", &["--needs", "db@^14", "--version", "2.1.0"]).await?;
    register(registry, "web", &["--needs", "api@^2,cache?"]).await?;
    let tree = "\
web  1 of 1 healthy
├─ api@^2  met
│  └─ db@^14  met
└─ cache?  unmet: no instance is registered

Unmet:
  web needs cache?: no instance is registered

Start order:
  1  cache, db
  2  api
  3  web
";
    registry.until(&["deps", "--check"], |out| out == tree).await?;
    assert_eq!(registry.run(&["deps", "--check"]).await?.code, Some(0), "an optional need is no disorder");
    let both = registry.run(&["deps", "db"]).await?.out;
    assert!(
        both.contains(
            "Who needs it:\ndb  1 of 1 healthy\n└─ api  needs db@^14  met\n   └─ web  needs api@^2  met\n"
        ),
        "{both}"
    );

    Ok(())
}

/// All that can be wrong besides: a version that is not there, a circle, and a declaration that cannot be read.
async fn disorder_is_told(registry: &Running) -> Outcome {
    register(registry, "job", &["--needs", "db@^15"]).await?;
    declare(registry, "ping", "pong").await?;
    declare(registry, "pong", "ping; x@@1").await?;
    let object = registry.until(&["deps", "--json"], |out| out.contains("x@@1")).await?;
    let object: Value = serde_json::from_str(&object)?;
    assert_eq!(object["cycles"], json!([["ping", "pong"]]));
    assert_eq!(object["conflicts"][0]["service"], "db");
    assert_eq!(object["unmet"][0]["lack"], "1 known, 1 healthy, 0 match ^15");
    assert_eq!((&object["unreadable"][0]["service"], &object["in_order"]), (&json!("pong"), &json!(false)));
    for (words, code) in [
        (&["deps", "--check"][..], 1),
        (&["deps", "web", "--check"], 1), // by the conflict over what it needs
        (&["deps", "job", "--check"], 1),
        (&["deps", "cache", "--check"], 0),
        (&["deps"], 0),
        (&["deps", "nobody"], 1),
        (&["deps", "--dot"], 0),
        (&["deps", "--mermaid"], 0),
    ] {
        let ran = registry.run(words).await?;
        assert_eq!(ran.code, Some(code), "{words:?}: {ran:?}");
    }
    let ran = registry.run(&["deps", "--check"]).await?;
    let summary = "not in order: 1 required needs unmet, 1 services whose dependants want versions that do not go together, \
                   1 cycles, 1 needs unreadable";
    assert!(ran.err.contains(summary), "{ran:?}");
    // The last instance that somebody needs does not leave without a word.
    let ran = registry.run(&["maint", "on", "db-1"]).await?;
    assert!(
        ran.code == Some(0) && ran.err.contains("db-1: api needs db@^14; without it: no instance"),
        "{ran:?}"
    );
    let ran = registry.run(&["deregister", "api-1"]).await?;
    assert!(ran.code == Some(0) && ran.err.contains("api-1: web needs api@^2; without it: "), "{ran:?}");
    Ok(())
}

#[tokio::test]
async fn trees_cycles_unmet_needs_and_conflicts_are_shown_with_exit_codes() -> Outcome {
    let registry = Running::ours().await?;
    everything_is_shown(&registry).await?;
    disorder_is_told(&registry).await
}

#[tokio::test]
async fn trees_cycles_unmet_needs_and_conflicts_are_shown_with_exit_codes_on_consul() -> Outcome {
    let registry = Running::consul().await?;
    everything_is_shown(&registry).await?;
    disorder_is_told(&registry).await
}

/// `portolan run` of a service with needs.
struct Run {
    child: Child,
    out: Lines<BufReader<ChildStdout>>,
    err: Lines<BufReader<ChildStderr>>,
}

impl Run {
    /// Its command asks the registry for each of `asks`, says what it found, and stays.
    fn start(registry: &Running, name: &str, needs: &str, asks: &[&str]) -> Outcome<Self> {
        let id = format!("{name}-1");
        let mut words = vec!["run", "--name", name, "--port", "80", "--address", "127.0.0.1", "--id", &id];
        words.extend(["--registry", &registry.url, "--settle", "0s", "--needs-timeout", "1m"]);
        if !needs.is_empty() {
            words.extend(["--needs", needs]);
        }
        let script = r#"for name in "$@"; do "$0" discover "$name" --registry "$URL" --format "{{id}}"; done
                        echo up; exec tail -f /dev/null"#;
        words.extend(["--", "sh", "-c", script, env!("CARGO_BIN_EXE_portolan")]);
        words.extend(asks);
        let mut child = portolan(&words).env("URL", &registry.url).stdin(Stdio::piped()).spawn()?;
        let out = BufReader::new(child.stdout.take().ok_or("stdout is piped")?).lines();
        let err = BufReader::new(child.stderr.take().ok_or("stderr is piped")?).lines();
        Ok(Self { child, out, err })
    }

    /// What its command found of the services that it asks for.
    async fn found(&mut self) -> Outcome<Vec<String>> {
        let seen = async {
            let mut found = Vec::new();
            while let Some(line) = self.out.next_line().await? {
                if line == "up" {
                    return Ok::<_, both::Failure>(found);
                }
                found.push(line);
            }
            Err(format!("it ended; it said: {:?}", self.err.next_line().await?).into())
        };
        timeout(DEADLINE, seen).await?
    }

    async fn tells(&mut self, want: &str) -> Outcome {
        let seen = async {
            while let Some(line) = self.err.next_line().await? {
                if line.contains(want) {
                    return Ok::<_, both::Failure>(());
                }
            }
            Err(format!("it ended without {want:?}").into())
        };
        timeout(DEADLINE, seen).await?
    }

    fn end(&self) -> Outcome {
        let pid = self.child.id().and_then(|pid| Pid::from_raw(pid.try_into().ok()?));
        Ok(kill_process(pid.ok_or("it runs")?, Signal::TERM)?)
    }
}

async fn five_in_the_wrong_order(registry: &Running) -> Outcome {
    let mut runs = Vec::new();
    for (name, needs, asks) in [
        ("web", "api,cache?", &["api"][..]),
        ("api", "auth,db", &["auth", "db"]),
        ("auth", "db", &["db"]),
        ("db", "disk!", &["disk"]),
        ("disk", "", &[]),
    ] {
        runs.push((Run::start(registry, name, needs, asks)?, asks));
    }
    for (run, asks) in &mut runs {
        let wanted: Vec<String> = asks.iter().map(|name| format!("{name}-1")).collect();
        assert_eq!(run.found().await?, wanted, "all was there when it began");
    }
    let tree = "\
web  1 of 1 healthy
├─ api  met
│  ├─ auth  met
│  │  └─ db  met
│  │     └─ disk!  met
│  └─ db  met  (as above)
└─ cache?  unmet: no instance is registered
";
    registry.until(&["deps"], |out| out.starts_with(tree)).await?;
    // The last one of those that somebody needs tells so, and goes; who needs it tells that it is lost.
    let [_, api, auth, db, _] = &mut runs[..] else { return Err("five run".into()) };
    db.0.end()?;
    db.0.tells("db-1: api needs db; without it: no instance is registered").await?;
    api.0.tells("db is lost: no instance is registered").await?;
    auth.0.tells("db is lost: no instance is registered").await?;
    registry
        .until(&["deps", "auth", "--check"], |out| out.contains("db  unmet: no instance is registered"))
        .await?;
    for (run, _) in &runs {
        let _gone = run.end();
    }
    for (run, _) in &mut runs {
        timeout(DEADLINE, run.child.wait()).await??;
    }
    Ok(())
}

#[tokio::test]
async fn five_commands_started_at_once_in_the_wrong_order_come_in_the_right_one() -> Outcome {
    five_in_the_wrong_order(&Running::ours().await?).await
}

#[tokio::test]
async fn five_commands_started_at_once_in_the_wrong_order_come_in_the_right_one_on_consul() -> Outcome {
    five_in_the_wrong_order(&Running::consul().await?).await
}

#[tokio::test]
async fn a_circle_of_three_commands_starts() -> Outcome {
    let registry = Running::ours().await?;
    let circle = [("a", "b"), ("b", "c"), ("c", "a")];
    let mut runs = Vec::new();
    for (name, needs) in circle {
        runs.push(Run::start(&registry, name, needs, &[])?);
    }
    for run in &mut runs {
        assert!(run.found().await?.is_empty());
    }
    let page = registry.until(&["deps"], |out| out.contains("a  1 of 1 healthy")).await?;
    assert!(page.contains("Cycles of required needs:\n  a, b, c\n"), "{page}");
    for run in &mut runs {
        run.end()?;
        timeout(DEADLINE, run.child.wait()).await??;
    }
    Ok(())
}

#[tokio::test]
async fn what_does_not_come_in_time_is_told_and_nothing_is_started_or_left_behind() -> Outcome {
    let registry = Running::ours().await?;
    register(&registry, "db", &["--version", "13.0.0"]).await?;
    let words = ["run", "--name", "web", "--port", "80", "--needs", "db@^14,nobody", "--needs-timeout", "2s"];
    let all = [&words[..], &["--registry", &registry.url, "--", "echo", "started"]].concat();
    let output = timeout(DEADLINE, portolan(&all).output()).await??;
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!((output.status.code(), &*out), (Some(1), ""), "{err}");
    assert!(
        err.contains("error: web: not ready within 2s: db@^14: 1 known, 1 healthy, 0 match ^14; nobody: "),
        "{err}"
    );
    assert!(err.contains("web: waits for db@^14: 1 known"), "progress is told: {err}");
    let ran = registry.run(&["discover", "web", "--all"]).await?;
    assert!(!ran.out.contains("web-"), "{ran:?}");
    Ok(())
}
