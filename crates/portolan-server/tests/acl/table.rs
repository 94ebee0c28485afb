//! Each kind of rule on each endpoint, allowed and denied, on the embedded registry and on a real Consul.

use std::fmt;

use crate::{
    requests::{REQUESTS, Request, WORDS, fill, settled},
    rules::{Set, sets},
    site::{Reply, Site, Try},
    version,
};

/// What tells two answers apart.
#[derive(Clone, PartialEq, Eq)]
struct Told {
    status: u16,
    /// What a refusal says, with the accessor as it is on both.
    says: Option<String>,
    shows: Vec<&'static str>,
    filtered: bool,
    default: Option<String>,
}

impl fmt::Debug for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { status, says, shows, filtered, default } = self;
        let filtered = if *filtered { " filtered" } else { "" };
        write!(f, "{status} {} {shows:?}{filtered} {default:?}", says.as_deref().unwrap_or_default())
    }
}

impl Told {
    fn of(reply: &Reply, request: &Request) -> Self {
        let is_read = request.method == "GET" && !request.path.starts_with("/v1/acl/");
        let shown = |word: &&&str| reply.body.contains(&format!("{word:?}"));
        let fine = reply.status == 200;
        Self {
            status: reply.status,
            says: (reply.status == 403).then(|| without_index(&reply.body)),
            shows: WORDS.iter().filter(|_| is_read && fine).filter(shown).copied().collect(),
            filtered: reply.header("x-consul-results-filtered-by-acls") == Some("true"),
            default: reply.header("x-consul-default-acl-policy").map(str::to_owned),
        }
    }

    /// What versions before 1.21 agree with: who is refused, and what is shown.
    fn coarse(&self) -> (bool, Vec<&'static str>) {
        (self.status == 403, self.shows.clone())
    }
}

/// What is otherwise on purpose.
fn is_meant(request: &Request, ours: &Told, theirs: &Told) -> bool {
    // Consul asks whether the ids of a node's services may be read, in the place of their names.
    let by_id = request.path.starts_with("/v1/catalog/node/") && (ours.status, theirs.status) == (200, 200);
    // It takes a removal by a token that is not there for one of something that is not there.
    let removal = request.method == "DELETE" && (ours.status, theirs.status) == (403, 404);
    // It does not say what is lacking, where a service in the catalogue takes the place of another.
    let vague = theirs.says.as_deref() == Some("Permission denied") && ours.status == 403;
    // It takes a token that is not there for a fault of its own, where an event is fired.
    let fault = request.path.starts_with("/v1/event/fire/") && (ours.status, theirs.status) == (403, 500);
    by_id || removal || vague || fault
}

/// What 1.21 has otherwise than 1.8: services are seen where one of their instances is; a check for a service that is not
/// there, and a policy that is not, are not found.
fn was_otherwise(request: &Request) -> bool {
    request.path == "/v1/catalog/services"
        || request.path == "/v1/acl/policy/name/none"
        || request.body.contains(r#""ServiceID":"none""#)
}

/// The index of a bootstrap is another on each registry.
fn without_index(text: &str) -> String {
    text.split_once("(reset index: ").map_or(text, |(before, _)| before).to_owned()
}

fn secret(number: usize) -> String {
    format!("55555555-5555-4555-8555-{number:012}")
}

/// All answers to all requests, by set of rules.
async fn asked(site: &Site, sets: &[Set]) -> Try<Vec<Vec<Told>>> {
    fill(site).await?;
    let mut all = Vec::new();
    for (number, set) in sets.iter().enumerate() {
        let secret = secret(number);
        let accessor = secret.replace("5555-4555", "6666-4666");
        site.token(&format!("set-{number}"), &set.rules, &accessor, &secret).await?;
        all.push(with(site, Some(&secret)).await?);
    }
    all.push(with(site, None).await?);
    all.push(with(site, Some(crate::site::ROOT)).await?);
    all.push(with(site, Some("77777777-7777-4777-8777-777777777777")).await?);
    Ok(all)
}

async fn with(site: &Site, token: Option<&str>) -> Try<Vec<Told>> {
    tokio::time::timeout(crate::site::PATIENCE, settled(site)).await??;
    let mut told = Vec::new();
    for request in REQUESTS {
        let reply = site.ask(request.method, request.path, request.body, token).await?;
        if let Some((path, body)) = request.again.filter(|_| reply.status == 200) {
            site.write(path, body).await?;
        }
        told.push(Told::of(&reply, request));
    }
    Ok(told)
}

#[tokio::test]
async fn each_rule_on_each_endpoint_is_as_a_real_consul_has_it() -> Try {
    let minor = version::minor()?;
    let sets = sets(minor);
    let (embedded, real) = (Site::embedded().await?, Site::real().await?);
    let (ours, theirs) = tokio::try_join!(asked(&embedded, &sets), asked(&real, &sets))?;
    let names = sets.iter().map(|set| set.rules.as_str());
    let names: Vec<&str> =
        names.chain(["no token", "the initial token", "a token that is not there"]).collect();
    let (mut wrong, mut allowed, mut denied) = (Vec::new(), 0, 0);
    for ((name, ours), theirs) in names.iter().zip(&ours).zip(&theirs) {
        for ((request, ours), theirs) in REQUESTS.iter().zip(ours).zip(theirs) {
            *(if theirs.status == 403 { &mut denied } else { &mut allowed }) += 1;
            let same = if minor >= 21 {
                ours == theirs
            } else {
                ours.coarse() == theirs.coarse() || was_otherwise(request)
            };
            if !same && !is_meant(request, ours, theirs) {
                let Request { method, path, body, .. } = request;
                wrong
                    .push(format!("[{name}] {method} {path} {body}\n  ours   {ours:?}\n  Consul {theirs:?}"));
            }
        }
    }
    assert!(allowed > 1000 && denied > 1000, "{allowed} allowed, {denied} denied");
    assert!(wrong.is_empty(), "{} of {} differ:\n{}", wrong.len(), allowed + denied, wrong.join("\n"));
    embedded.stop().await?;
    real.stop().await
}
