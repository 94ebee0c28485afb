//! The demo on a real Consul: no request fails, and nothing of it is left there, however it ends.

use std::{process::Stdio, time::Duration};

use portolan::{
    Registry as _,
    registry::{CatalogQuery, consul::Consul},
};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Command,
    time::timeout,
};

#[expect(dead_code, reason = "only the plain address is used here")]
#[path = "../../portolan/tests/support/consul.rs"]
mod support;

type Outcome = Result<(), support::Failure>;

fn demo(url: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portolan"));
    command.args(["demo", "--seconds", "20", "--registry", url]).kill_on_drop(true);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Fails if the agent holds anything but itself.
async fn nothing_is_left(agent: &support::Agent) -> Outcome {
    let consul = Consul::new(agent.plain()?);
    let left: Vec<String> =
        consul.services(&CatalogQuery::default()).await?.value.keys().map(ToString::to_string).collect();
    assert_eq!(left, ["consul"]);
    Ok(())
}

#[tokio::test]
async fn the_demo_loses_no_request_on_a_real_consul() -> Outcome {
    let agent = support::Agent::start().await?;
    let url = agent.plain()?.shown_address().to_owned();
    let output = timeout(Duration::from_secs(120), demo(&url).output()).await??;
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.ends_with("No request failed that a live instance could have served.\n"), "{text}");
    assert!(!text.contains("registry stopped"), "it is not ours to stop: {text}");
    nothing_is_left(&agent).await
}

#[cfg(unix)]
#[tokio::test]
async fn an_interrupted_demo_leaves_nothing_behind() -> Outcome {
    let agent = support::Agent::start().await?;
    let url = agent.plain()?.shown_address().to_owned();
    let mut child = demo(&url).spawn()?;
    let mut lines = BufReader::new(child.stdout.take().ok_or("stdout is piped")?).lines();
    let risen = async {
        while let Some(line) = lines.next_line().await? {
            if line.contains("the caller starts") {
                return Ok::<_, support::Failure>(());
            }
        }
        Err("the demo ended before it began".into())
    };
    timeout(Duration::from_secs(60), risen).await??;
    let pid = child.id().and_then(|pid| rustix::process::Pid::from_raw(pid.try_into().ok()?));
    rustix::process::kill_process(pid.ok_or("it runs")?, rustix::process::Signal::INT)?;
    let output = timeout(Duration::from_secs(60), child.wait_with_output()).await??;
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
    nothing_is_left(&agent).await
}
