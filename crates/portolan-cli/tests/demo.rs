//! The demo, whole: it ends by itself, no request fails, and every process it started is gone.

use std::{process::Stdio, time::Duration};

use tokio::{process::Command, time::timeout};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

#[tokio::test]
async fn the_demo_loses_no_request() -> Result<()> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portolan"));
    command.args(["demo", "--seconds", "25"]).kill_on_drop(true).stdin(Stdio::null());
    let output = timeout(Duration::from_secs(120), command.output()).await??;
    let text = String::from_utf8_lossy(&output.stdout);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}\n{error}");
    for act in [
        " killed (SIGKILL)",
        " left (SIGTERM)",
        "web-7 deployed for web-",
        "registry stopped",
        "registry started",
    ] {
        assert!(text.contains(act), "{act}: {text}");
    }
    assert!(text.ends_with("No request failed that a live instance could have served.\n"), "{text}");
    assert!(!text.contains('\u{1b}'), "no colour and no drawing where there is no terminal");
    Ok(())
}
