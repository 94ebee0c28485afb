//! What the endpoints about rules answer, word by word beside a real Consul, and what is the embedded registry's own.

use portolan_server::DefaultPolicy;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::{
    site::{PATIENCE, ROOT, Reply, Site, Try, config},
    version,
};

const ANONYMOUS: &str = "/v1/acl/token/00000000-0000-0000-0000-000000000002";
const MANAGEMENT: &str = "/v1/acl/policy/00000000-0000-0000-0000-000000000001";
const A: &str = "/v1/acl/token/33333333-2222-4222-8222-222222222222";
const NONE: &str = "/v1/acl/token/33333333-2222-4222-8222-222222222229";

/// A life of tokens and policies, with all that can be wrong with them.
const STEPS: &[(&str, &str, &str)] = &[
    (
        "PUT",
        "/v1/acl/policy",
        r#"{"Name":"web","Description":"d","Rules":"service \"web\" { policy = \"write\" }"}"#,
    ),
    ("PUT", "/v1/acl/policy", r#"{"Name":"here","Datacenters":["dc1"]}"#),
    ("PUT", "/v1/acl/policy", r#"{"Name":"web"}"#),
    ("PUT", "/v1/acl/policy", r#"{"Name":"we b"}"#),
    ("PUT", "/v1/acl/policy", r#"{"Name":""}"#),
    ("PUT", "/v1/acl/policy", r#"{"Name":"x","ID":"abc"}"#),
    ("PUT", "/v1/acl/policy", r#"{"Name":"x","Foo":"abc"}"#),
    ("PUT", "/v1/acl/policy", "{"),
    ("PUT", "/v1/acl/policy", ""),
    ("PUT", "/v1/acl/policy", r#"{"Name":"x","Rules":"service \"web\" { policy = \"all\" }"}"#),
    ("PUT", "/v1/acl/policy", r#"{"Name":"x","Rules":"service \"web\" { policy = read }"}"#),
    ("PUT", "/v1/acl/policy", r#"{"Name":"json","Rules":"{\"key\":{\"a\":{\"policy\":\"list\"}}}"}"#),
    ("GET", "/v1/acl/policy/name/web", ""),
    ("GET", "/v1/acl/policy/name/none", ""),
    ("GET", "/v1/acl/policy/name/", ""),
    ("GET", "/v1/acl/policy/", ""),
    ("GET", "/v1/acl/policy/abc", ""),
    ("GET", MANAGEMENT, ""),
    ("GET", "/v1/acl/policy/name/builtin/global-read-only", ""),
    ("PUT", MANAGEMENT, r#"{"Name":"zz","Rules":"acl=\"read\""}"#),
    ("DELETE", MANAGEMENT, ""),
    ("DELETE", "/v1/acl/policy/", ""),
    ("PUT", "/v1/acl/policy/33333333-0000-4000-8000-000000000009", r#"{"Name":"zz"}"#),
    ("PUT", "/v1/acl/policy/33333333-0000-4000-8000-000000000009", r#"{"ID":"x","Name":"zz"}"#),
    ("GET", "/v1/acl/policies", ""),
    (
        "PUT",
        "/v1/acl/token",
        r#"{"SecretID":"22222222-2222-4222-8222-222222222222","AccessorID":"33333333-2222-4222-8222-222222222222",
            "Description":"t","Policies":[{"Name":"web"},{"Name":"web"}],"Local":true}"#,
    ),
    ("PUT", "/v1/acl/token", r#"{"SecretID":"22222222-2222-4222-8222-222222222222"}"#),
    ("PUT", "/v1/acl/token", r#"{"AccessorID":"33333333-2222-4222-8222-222222222222"}"#),
    ("PUT", "/v1/acl/token", r#"{"AccessorID":"abc"}"#),
    ("PUT", "/v1/acl/token", r#"{"SecretID":"abc"}"#),
    ("PUT", "/v1/acl/token", r#"{"Policies":[{"Name":"none"}]}"#),
    ("PUT", "/v1/acl/token", r#"{"Policies":[{"ID":"abc"}]}"#),
    ("PUT", "/v1/acl/token", r#"{"Policies":[{"ID":"77777777-0000-4000-8000-000000000001"}]}"#),
    ("PUT", "/v1/acl/token", r#"{"Foo":1}"#),
    ("PUT", "/v1/acl/token", ""),
    ("PUT", "/v1/acl/token", "{}"),
    ("PUT", "/v1/acl/token", r#"{"ExpirationTTL":"1s"}"#),
    ("PUT", "/v1/acl/token", r#"{"ExpirationTTL":"-1s"}"#),
    ("PUT", "/v1/acl/token", r#"{"ExpirationTTL":"60s"}"#),
    ("PUT", "/v1/acl/token", r#"{"ExpirationTTL":"60s","ExpirationTime":"2090-01-01T00:00:00Z"}"#),
    ("PUT", "/v1/acl/token", r#"{"ExpirationTime":"2090-01-01T00:00:00Z"}"#),
    ("PUT", "/v1/acl/token", r#"{"ExpirationTime":"2020-01-01T00:00:00Z"}"#),
    ("PUT", "/v1/acl/token", r#"{"ServiceIdentities":[{"ServiceName":"web","Datacenters":["dc1"]}]}"#),
    ("PUT", "/v1/acl/token", r#"{"ServiceIdentities":[{"ServiceName":"We b"}]}"#),
    ("PUT", "/v1/acl/token", r#"{"ServiceIdentities":[{}]}"#),
    ("PUT", "/v1/acl/token", r#"{"NodeIdentities":[{"NodeName":"n1","Datacenter":"dc1"}]}"#),
    ("PUT", "/v1/acl/token", r#"{"NodeIdentities":[{"NodeName":"n1"}]}"#),
    ("PUT", "/v1/acl/token", r#"{"NodeIdentities":[{"NodeName":"N","Datacenter":"dc1"}]}"#),
    ("GET", A, ""),
    ("GET", NONE, ""),
    ("GET", "/v1/acl/token/abc", ""),
    ("GET", "/v1/acl/token/", ""),
    ("GET", ANONYMOUS, ""),
    ("PUT", A, r#"{"Description":"u","Local":true}"#),
    ("PUT", A, r#"{"Description":"u"}"#),
    ("PUT", A, r#"{"SecretID":"22222222-2222-4222-8222-222222222229","Local":true}"#),
    ("PUT", A, r#"{"AccessorID":"x"}"#),
    ("PUT", A, r#"{"Local":true,"ExpirationTime":"2090-01-01T00:00:00Z"}"#),
    ("PUT", NONE, "{}"),
    ("PUT", "/v1/acl/token/abc", "{}"),
    ("PUT", "/v1/acl/token/33333333-2222-4222-8222-222222222222/clone", r#"{"Description":"c"}"#),
    ("PUT", "/v1/acl/token/33333333-2222-4222-8222-222222222222/clone", "{}"),
    ("PUT", "/v1/acl/token/33333333-2222-4222-8222-222222222222/clone", ""),
    ("PUT", ANONYMOUS, r#"{"Policies":[{"Name":"web"}]}"#),
    ("GET", "/v1/acl/tokens?policy=abc", ""),
    ("DELETE", ANONYMOUS, ""),
    ("DELETE", NONE, ""),
    ("DELETE", "/v1/acl/token/abc", ""),
    ("DELETE", A, ""),
    ("GET", A, ""),
    ("GET", "/v1/acl/token/self", ""),
    ("PUT", "/v1/acl/bootstrap", ""),
    ("POST", "/v1/acl/bootstrap", ""),
    ("DELETE", "/v1/acl/policy", ""),
    ("GET", "/v1/acl/token", ""),
];

/// What 1.8 has not, or takes: the policy that reads everything, a long life, a policy's id that is none, the removal of
/// what is not there.
const LATER: &[(&str, &str)] = &[
    ("GET", "/v1/acl/policy/name/builtin/global-read-only"),
    ("PUT", "/v1/acl/token"),
    ("GET", "/v1/acl/tokens?policy=abc"),
    ("DELETE", NONE),
];

/// What is another one on each registry, and at each run.
fn without_chance(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                match name.as_str() {
                    "CreateIndex" | "ModifyIndex" | "Hash" | "CreateTime" => *field = Value::Null,
                    "ExpirationTime" if !field.as_str().is_some_and(|time| time.starts_with("2090")) => {
                        *field = Value::Null;
                    }
                    // Those that the steps name begin so; a secret is only told where it was given.
                    "ID" | "AccessorID"
                        if !field
                            .as_str()
                            .is_some_and(|id| id.starts_with("00000000-") || id.starts_with("33333333-")) =>
                    {
                        *field = Value::Null;
                    }
                    "SecretID" => *field = Value::Bool(field.is_string()),
                    _ => without_chance(field),
                }
            }
        }
        Value::Array(values) => values.iter_mut().for_each(without_chance),
        _ => {}
    }
}

fn told(reply: &Reply) -> (u16, Value) {
    let text = reply.body.split_once("(reset index").map_or(reply.body.as_str(), |(before, _)| before);
    // Where JSON is wrong, each parser has words of its own.
    let mut value = serde_json::from_str(text).unwrap_or_else(|_| json!(text));
    without_chance(&mut value);
    (reply.status, value)
}

#[tokio::test]
async fn tokens_and_policies_are_answered_for_as_by_a_real_consul() -> Try {
    let minor = version::minor()?;
    let (embedded, real) = (Site::embedded().await?, Site::real().await?);
    for (method, path, body) in STEPS {
        let ours = told(&embedded.ask(method, path, body, Some(ROOT)).await?);
        let theirs = told(&real.ask(method, path, body, Some(ROOT)).await?);
        if minor >= 21 {
            assert_eq!(ours, theirs, "{method} {path} {body}\n  ours left, Consul right");
        } else if !LATER.contains(&(method, path)) {
            // Its words are others.
            assert_eq!(ours.0 == 200, theirs.0 == 200, "{method} {path} {body}: {ours:?} {theirs:?}");
        }
    }
    embedded.stop().await?;
    real.stop().await
}

const WEB: &str = r#"service "web" { policy = "read" } node_prefix "" { policy = "read" }"#;
const WEB_ACCESSOR: &str = "aaaaaaaa-0000-4000-8000-000000000001";
const WEB_TOKEN: &str = "bbbbbbbb-0000-4000-8000-000000000001";
const ALL: &str = r#"service_prefix "" { policy = "read" } node_prefix "" { policy = "read" }"#;
const ALL_TOKEN: &str = "bbbbbbbb-0000-4000-8000-000000000002";

async fn with_two_readers() -> Try<Site> {
    let site = Site::embedded().await?;
    for name in ["web", "db"] {
        site.write("/v1/agent/service/register", &json!({ "Name": name }).to_string()).await?;
    }
    site.token("web", WEB, WEB_ACCESSOR, WEB_TOKEN).await?;
    site.token("all", ALL, "aaaaaaaa-0000-4000-8000-000000000002", ALL_TOKEN).await?;
    Ok(site)
}

fn names(reply: &Reply) -> Vec<String> {
    reply.json().as_object().into_iter().flat_map(|names| names.keys().cloned()).collect()
}

/// Bodies are shared by all who may see the same, and by nobody else, whoever asked first.
#[tokio::test]
async fn nobody_is_told_what_was_encoded_for_another() -> Try {
    let site = with_two_readers().await?;
    let path = "/v1/catalog/services";
    for _ in 0..3 {
        for (token, sees, filtered) in [
            (Some(ROOT), vec!["consul", "db", "web"], None),
            (Some(WEB_TOKEN), vec!["web"], Some("true")),
            (Some(ALL_TOKEN), vec!["consul", "db", "web"], None),
            // Who shows no token is not told that something was left out.
            (None, vec![], None),
        ] {
            let reply = site.ask("GET", path, "", token).await?;
            assert_eq!(names(&reply), sees, "{token:?}");
            assert_eq!(reply.header("x-consul-results-filtered-by-acls"), filtered, "{token:?}");
        }
    }
    // A policy that is changed counts for the very next read.
    let id = site.ask("GET", "/v1/acl/policy/name/web", "", Some(ROOT)).await?.json();
    let id = id.pointer("/ID").and_then(Value::as_str).ok_or("no policy")?.to_owned();
    let wider = json!({ "Name": "web", "Rules": ALL }).to_string();
    site.write(&format!("/v1/acl/policy/{id}"), &wider).await?;
    assert_eq!(names(&site.ask("GET", path, "", Some(WEB_TOKEN)).await?), ["consul", "db", "web"]);
    let none = json!({ "Name": "web", "Rules": "" }).to_string();
    site.write(&format!("/v1/acl/policy/{id}"), &none).await?;
    assert_eq!(names(&site.ask("GET", path, "", Some(WEB_TOKEN)).await?), [""; 0]);
    site.stop().await
}

#[tokio::test]
async fn a_token_is_taken_from_the_parameter_before_the_header_before_the_bearer() -> Try {
    let site = with_two_readers().await?;
    let path = "/v1/catalog/services";
    let bearer = |token: &str| format!("Bearer {token}");
    for (path, header, sees) in [
        (path.to_owned(), Some(("Authorization", bearer(WEB_TOKEN))), Some(1)),
        (path.to_owned(), Some(("Authorization", format!("bearer {WEB_TOKEN}"))), Some(1)),
        (path.to_owned(), Some(("Authorization", format!("Basic {WEB_TOKEN}"))), Some(0)),
        (format!("{path}?token={WEB_TOKEN}"), None, Some(1)),
        (format!("{path}?token={WEB_TOKEN}"), Some(("X-Consul-Token", ALL_TOKEN.to_owned())), Some(1)),
        (format!("{path}?token="), Some(("X-Consul-Token", ALL_TOKEN.to_owned())), Some(3)),
        (format!("{path}?token=x"), Some(("X-Consul-Token", ALL_TOKEN.to_owned())), None),
        (path.to_owned(), Some(("X-Consul-Token", "anonymous".to_owned())), Some(0)),
    ] {
        let header = header.as_ref().map(|(name, value)| (*name, value.as_str()));
        let reply = site.ask_with("GET", &path, "", header).await?;
        let seen = (reply.status == 200).then(|| names(&reply).len());
        assert_eq!(seen, sees, "{path} {header:?}: {}", reply.body);
    }
    site.stop().await
}

/// The right to see counts when the answer is given, not when the question was asked.
#[tokio::test]
async fn who_waits_with_a_token_that_goes_is_refused_when_it_is_woken() -> Try {
    let site = with_two_readers().await?;
    let index = site.ask("GET", "/v1/health/service/web", "", Some(WEB_TOKEN)).await?;
    let index = index.header("x-consul-index").ok_or("no index")?.to_owned();
    let path = format!("/v1/health/service/web?index={index}&wait=5m");
    let changed = async {
        site.ask("DELETE", &format!("/v1/acl/token/{WEB_ACCESSOR}"), "", Some(ROOT)).await?;
        site.write("/v1/agent/service/register", r#"{"Name":"web","ID":"w2"}"#).await
    };
    let waits = site.ask("GET", &path, "", Some(WEB_TOKEN));
    let (waited, _) = timeout(PATIENCE, async { tokio::try_join!(waits, changed) }).await??;
    assert_eq!((waited.status, waited.body.as_str()), (403, "ACL not found"));
    site.stop().await
}

#[tokio::test]
async fn the_first_token_is_given_out_once_and_no_secret_is_told_again() -> Try {
    let plain = config().acl_initial_management(None);
    let site = Site::with(plain.acl_default_policy(DefaultPolicy::Allow)).await?;
    let first = site.ask("PUT", "/v1/acl/bootstrap", "", None).await?;
    let json = first.json();
    let text = |name: &str| json.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (secret, accessor) = (text("SecretID"), text("AccessorID"));
    assert_eq!((first.status, text("ID")), (200, secret.clone()));
    assert_eq!(first.header("x-consul-default-acl-policy"), Some("allow"));
    let again = site.ask("PUT", "/v1/acl/bootstrap", "", None).await?;
    assert!(
        again.status == 403
            && again.body.starts_with("Permission denied: ACL bootstrap no longer allowed (reset")
    );
    // The default allows all but the rules.
    for (path, status) in [("/v1/catalog/nodes", 200), ("/v1/acl/tokens", 403), ("/v1/agent/self", 200)] {
        assert_eq!(site.ask("GET", path, "", None).await?.status, status, "{path}");
    }
    for path in ["/v1/acl/tokens".to_owned(), format!("/v1/acl/token/{accessor}")] {
        let reply = site.ask("GET", &path, "", Some(&secret)).await?;
        assert!(
            reply.status == 200 && reply.body.contains("<hidden>") && !reply.body.contains(&secret),
            "{path}"
        );
    }
    let own = site.ask("GET", "/v1/acl/token/self", "", Some(&secret)).await?;
    assert_eq!(own.json().get("SecretID").and_then(Value::as_str), Some(secret.as_str()));
    let wished = Site::with(config().acl_initial_management(None)).await?;
    let body = json!({ "BootstrapSecret": ROOT }).to_string();
    assert_eq!(wished.ask("PUT", "/v1/acl/bootstrap", &body, None).await?.status, 200);
    assert_eq!(wished.ask("GET", "/v1/acl/tokens", "", Some(ROOT)).await?.status, 200);
    wished.stop().await?;
    site.stop().await
}

/// A list of tokens can be waited for, as in Consul.
#[tokio::test]
async fn a_list_of_tokens_can_be_waited_for() -> Try {
    let site = with_two_readers().await?;
    let list = site.ask("GET", "/v1/acl/tokens", "", Some(ROOT)).await?;
    let index = list.header("x-consul-index").ok_or("no index")?.to_owned();
    let path = format!("/v1/acl/tokens?index={index}&wait=5m");
    let waits = site.ask("GET", &path, "", Some(ROOT));
    let (next, _) =
        timeout(PATIENCE, async { tokio::try_join!(waits, site.write("/v1/acl/token", "{}")) }).await??;
    let count = |reply: &Reply| reply.json().as_array().map(Vec::len);
    assert_eq!(count(&next), count(&list).map(|count| count + 1));
    assert_eq!(list.json().as_array().map(Vec::len), Some(4));
    site.stop().await
}
