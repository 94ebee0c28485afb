//! Consul's own command, used against the embedded registry.

use std::process::{Output, Stdio};

use tokio::{process::Command, time::timeout};

use crate::{
    site::{PATIENCE, Site, Try},
    support::binary,
};

async fn consul(site: &Site, args: &[&str], input: &str) -> Try<String> {
    let mut command = Command::new(binary()?);
    command.args(args).env("CONSUL_HTTP_ADDR", &site.address).stdin(Stdio::piped());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true).spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        tokio::io::AsyncWriteExt::write_all(&mut stdin, input.as_bytes()).await?;
    }
    let Output { status, stdout, stderr } = timeout(PATIENCE, child.wait_with_output()).await??;
    let said = format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    if status.success() { Ok(said) } else { Err(format!("consul {args:?}: {status}: {said}").into()) }
}

#[tokio::test]
async fn consul_kv_works_as_with_a_consul() -> Try {
    let site = Site::embedded().await?;
    let run = |args: &'static [&'static str]| consul(&site, args, "");
    assert_eq!(run(&["kv", "put", "app/name", "web"]).await?, "Success! Data written to: app/name\n");
    assert_eq!(run(&["kv", "get", "app/name"]).await?, "web\n");
    assert_eq!(
        consul(&site, &["kv", "put", "-flags=7", "app/stdin", "-"], "from stdin").await?,
        "Success! Data written to: app/stdin\n"
    );
    assert!(run(&["kv", "get", "-detailed", "app/stdin"]).await?.contains("Flags            7"));
    assert!(run(&["kv", "put", "-cas", "-modify-index=1", "app/name", "x"]).await.is_err());
    assert_eq!(run(&["kv", "get", "-recurse", "app/"]).await?, "app/name:web\napp/stdin:from stdin\n");
    assert_eq!(run(&["kv", "get", "-keys", ""]).await?, "app/\n");
    assert!(run(&["kv", "get", "none"]).await.is_err());
    let exported = run(&["kv", "export", ""]).await?;
    assert_eq!(
        run(&["kv", "delete", "-recurse", "app/"]).await?,
        "Success! Deleted keys with prefix: app/\n"
    );
    assert!(run(&["kv", "get", "app/name"]).await.is_err());
    assert!(consul(&site, &["kv", "import", "-"], &exported).await?.contains("Imported: app/name"));
    assert_eq!(run(&["kv", "get", "app/name"]).await?, "web\n");
    assert_eq!(run(&["kv", "delete", "app/name"]).await?, "Success! Deleted key: app/name\n");
    site.stop().await
}

#[tokio::test]
async fn consul_lock_runs_its_child_under_the_lock_and_gives_it_back() -> Try {
    let site = Site::embedded().await?;
    let child = "printf held-by-child; test \"$(wc -c < /proc/self/stat)\" -gt 0";
    let said = consul(&site, &["lock", "job", child], "").await?;
    assert!(said.contains("held-by-child"), "{said}");
    // The key is removed by whoever holds it last, and the session is ended.
    assert_eq!(site.ask("GET", "/v1/kv/job?recurse", "").await?.status, 404);
    assert_eq!(site.ask("GET", "/v1/session/list", "").await?.body, "[]");

    let holder = site.session("{}").await?;
    site.write(&format!("/v1/kv/job/.lock?acquire={holder}&flags=3304740253564472344"), "").await?;
    let failed = consul(&site, &["lock", "-try=1s", "job", "true"], "").await;
    assert!(failed.is_err(), "it is held: {failed:?}");
    site.write(&format!("/v1/session/destroy/{holder}"), "").await?;
    site.stop().await
}
