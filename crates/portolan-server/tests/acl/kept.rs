//! Tokens and policies after a restart, and what a file tells of them.

use std::fs;

use serde_json::Value;
use tempfile::TempDir;

use crate::site::{ROOT, Site, Try, config};

const RULES: &str = r#"service "web" { policy = "write" }"#;
const ACCESSOR: &str = "aaaaaaaa-0000-4000-8000-000000000001";
const SECRET: &str = "bbbbbbbb-0000-4000-8000-000000000001";

async fn start(dir: &TempDir) -> Try<Site> {
    Site::with(config().data_dir(Some(dir.path().to_owned()))).await
}

async fn told(site: &Site) -> Try<Vec<Value>> {
    let mut told = Vec::new();
    for path in ["/v1/acl/tokens", "/v1/acl/policies", "/v1/acl/policy/name/web"] {
        let reply = site.ask("GET", path, "", Some(ROOT)).await?;
        assert_eq!(reply.status, 200, "{path}: {}", reply.body);
        told.push(reply.json());
    }
    Ok(told)
}

#[tokio::test]
async fn tokens_are_back_after_a_restart_and_no_secret_is_on_disk() -> Try {
    let dir = TempDir::new()?;
    let site = start(&dir).await?;
    site.token("web", RULES, ACCESSOR, SECRET).await?;
    let given = site.write("/v1/acl/token", "{}").await?.json();
    let given = given.get("SecretID").and_then(Value::as_str).ok_or("no secret")?.to_owned();
    let before = told(&site).await?;
    site.stop().await?;

    let file = fs::read(dir.path().join("registry.redb"))?;
    let holds = |text: &str| file.windows(text.len()).any(|seen| seen.eq_ignore_ascii_case(text.as_bytes()));
    assert!(holds(ACCESSOR), "the file is the one that is meant");
    for secret in [ROOT, SECRET, &given] {
        // Neither as it is written, nor as the 16 bytes that it stands for.
        assert!(!holds(secret) && !holds(&secret.replace('-', "")), "a secret is on disk");
        let bits = u128::from_str_radix(&secret.replace('-', ""), 16)?.to_be_bytes();
        assert!(!file.windows(16).any(|seen| seen == bits), "a secret is on disk");
    }

    let site = start(&dir).await?;
    assert_eq!(told(&site).await?, before);
    for (name, status) in [("web", 200), ("db", 403)] {
        let body = format!(r#"{{"Name":"{name}"}}"#);
        let reply = site.ask("PUT", "/v1/agent/service/register", &body, Some(SECRET)).await?;
        assert_eq!(reply.status, status, "{name}: {}", reply.body);
    }
    assert_eq!(site.ask("GET", "/v1/acl/token/self", "", Some(&given)).await?.status, 200);
    assert_eq!(site.ask("PUT", "/v1/acl/bootstrap", "", None).await?.status, 403, "it was bootstrapped");
    site.stop().await
}

/// Rules that are kept count for nothing while they are not asked for, and again when they are.
#[tokio::test]
async fn rules_can_be_turned_off_and_on_again() -> Try {
    let dir = TempDir::new()?;
    let site = start(&dir).await?;
    site.token("web", RULES, ACCESSOR, SECRET).await?;
    site.stop().await?;
    let site = Site::with(config().acl_enabled(false).data_dir(Some(dir.path().to_owned()))).await?;
    assert_eq!(site.ask("PUT", "/v1/agent/service/register", r#"{"Name":"db"}"#, None).await?.status, 200);
    assert_eq!(site.ask("GET", "/v1/acl/tokens", "", Some(ROOT)).await?.status, 401);
    site.stop().await?;
    let site = start(&dir).await?;
    let reply = site.ask("PUT", "/v1/agent/service/deregister/db", "", Some(SECRET)).await?;
    assert_eq!(reply.status, 403, "{}", reply.body);
    site.stop().await
}
