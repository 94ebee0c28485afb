//! Access rules: DNS shows no token, so what everybody may see is told, and nothing else.

use portolan_server::{DefaultPolicy, Dns, Secret, ServerConfig};
use serde_json::json;

use crate::{
    ask::{Way, ask, kind},
    catalogue::fill,
    site::{ROOT, Site, Try},
    version::minor,
};

/// The token of everybody (Consul: acl/acl.go).
const ANONYMOUS: &str = "00000000-0000-0000-0000-000000000002";

const QUESTIONS: &[(&str, &str)] = &[
    ("web.service.consul", "A"),
    ("web.service.consul", "SRV"),
    ("caps.service.consul", "A"),
    ("dotted.service.consul", "A"),
    ("inner.service.consul", "A"),
    ("nope.service.consul", "A"),
    ("ext1.node.consul", "A"),
    ("upper.node.consul", "A"),
    ("n1.node.consul", "A"),
    ("n1.node.consul", "MX"),
    ("consul", "NS"),
    ("consul", "SOA"),
    ("1.0.1.10.in-addr.arpa", "PTR"),
    ("2.0.1.10.in-addr.arpa", "PTR"),
    ("2.0.2.10.in-addr.arpa", "PTR"),
    ("9.0.2.10.in-addr.arpa", "PTR"),
    ("0a010001.addr.consul", "A"),
];

async fn allow(site: &Site, rules: &str) -> Try {
    site.put("/v1/acl/policy", &json!({ "Name": "seen", "Rules": rules })).await?;
    let token = json!({ "AccessorID": ANONYMOUS, "Policies": [{ "Name": "seen" }] });
    site.put(&format!("/v1/acl/token/{ANONYMOUS}"), &token).await
}

#[tokio::test]
async fn what_everybody_may_see_is_told_and_nothing_else() -> Try {
    let word = if minor()? >= 11 { "initial_management" } else { "master" };
    let acl = json!({ "enabled": true, "default_policy": "deny", "tokens": { word: ROOT, "agent": ROOT, "default": "" } });
    let consul = Site::consul(json!({ "acl": acl })).await?;
    let config = ServerConfig::default()
        .acl_enabled(true)
        .acl_default_policy(DefaultPolicy::Deny)
        .acl_initial_management(Some(Secret::new(ROOT)));
    let ours = Site::registry_with(Dns::default(), config).await?;
    fill(&consul).await?;
    fill(&ours).await?;
    for rules in ["", r#"service "web" { policy = "read" } node "ext1" { policy = "read" }"#] {
        if !rules.is_empty() {
            allow(&consul, rules).await?;
            allow(&ours, rules).await?;
        }
        for (name, word) in QUESTIONS {
            let theirs = ask(consul.dns, name, kind(word)?, Way::Tcp).await?;
            let mine = ask(ours.dns, name, kind(word)?, Way::Tcp).await?;
            let old = minor()? < 20 && name.ends_with(".arpa");
            assert!(theirs == mine || old, "{rules} {name} {word}\n  Consul {theirs}\n  ours   {mine}");
            let told = !mine.answers.is_empty();
            let open = name.ends_with("addr.consul") || *word == "SOA";
            let seen = !rules.is_empty()
                && matches!(
                    *name,
                    "web.service.consul"
                        | "ext1.node.consul"
                        | "1.0.1.10.in-addr.arpa"
                        | "2.0.2.10.in-addr.arpa"
                        | "inner.service.consul"
                );
            assert!(
                open || told == (seen && *name != "inner.service.consul"),
                "{rules} {name} {word}: {mine}"
            );
        }
    }
    Ok(())
}
