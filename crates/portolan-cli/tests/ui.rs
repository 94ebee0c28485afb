//! `portolan ui` and the page of `portolan serve`: that they are where the command says, and end when they are told to.
#![cfg(unix)]

use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    time::timeout,
};

#[path = "registries/both.rs"]
#[expect(dead_code, reason = "few subcommands are run here")]
mod both;

use both::{DEADLINE, Outcome, Running, portolan};

/// The answer to a request for this path, head and body.
async fn get(url: &str, path: &str) -> Outcome<String> {
    let host = url.strip_prefix("http://").ok_or("it is a URL")?;
    let mut stream = TcpStream::connect(host).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    timeout(DEADLINE, stream.read_to_end(&mut answer)).await??;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

async fn shows_the_page_of(registry: Running) -> Outcome {
    let mut child = portolan(&["ui", "--registry", &registry.url]).spawn()?;
    let stdout = child.stdout.take().ok_or("stdout is piped")?;
    let line = timeout(DEADLINE, BufReader::new(stdout).lines().next_line()).await??.ok_or("it serves")?;
    assert!(line.contains(&registry.url), "{line}");
    let page = line.rsplit(' ').next().and_then(|word| word.strip_suffix("/ui/")).ok_or(line.clone())?;
    assert!(get(page, "/ui/").await?.contains("<!doctype html>"));
    let services = get(page, "/v1/catalog/services").await?;
    assert!(services.starts_with("HTTP/1.1 200") && services.contains("consul"), "{services}");
    let pid = Pid::from_raw(i32::try_from(child.id().ok_or("it ended")?)?).ok_or("no process")?;
    kill_process(pid, Signal::TERM)?;
    assert_eq!(timeout(DEADLINE, child.wait()).await??.code(), Some(0));
    Ok(())
}

#[tokio::test]
async fn the_page_is_shown_before_a_registry_of_ours() -> Outcome {
    shows_the_page_of(Running::ours().await?).await
}

#[tokio::test]
async fn the_page_is_shown_before_a_real_consul() -> Outcome {
    shows_the_page_of(Running::consul().await?).await
}

#[tokio::test]
async fn serve_has_the_page_unless_it_is_told_to_leave_it_out() -> Outcome {
    let [with, without] = [Running::ours().await?, Running::ours_with(&["--no-ui"]).await?];
    assert!(get(&with.url, "/").await?.contains("/ui/"));
    assert!(get(&with.url, "/ui/").await?.starts_with("HTTP/1.1 200"));
    assert!(get(&without.url, "/ui/").await?.starts_with("HTTP/1.1 404"));
    Ok(())
}

#[tokio::test]
async fn an_address_that_others_could_reach_is_refused() -> Outcome {
    let ran = timeout(DEADLINE, portolan(&["ui", "--addr", "0.0.0.0:0"]).output()).await??;
    let said = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.code() == Some(2) && said.contains("others than this machine could reach"), "{said}");
    Ok(())
}
