//! Each request's answer beside a real Consul's: status, headers, the body with ids and indexes by their first appearance.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::{
    older::OLDER,
    requests::{REQUESTS, Request},
    site::{Reply, Site, Try},
    version::minor,
};

/// What is not compared: when, and how the bytes are sent.
const LEFT_OUT: [&str; 4] = ["date", "content-length", "transfer-encoding", "connection"];

/// Where the answers differ, and why. The request is as [`shown`] writes it.
struct Explained {
    request: &'static str,
    why: &'static str,
}

const EXPLAINED: &[Explained] = &[
    Explained {
        request: "GET /v1/kv",
        why: "a path that only goes on behind a `/` is not redirected there: nobody asks for it",
    },
    Explained { request: "GET /v1/kv//a", why: "a redirect has no page for a browser" },
    Explained {
        request: "PUT /v1/kv/a?cas=x {524289}",
        why: "a body that is too large is refused before anything else is looked at",
    },
    Explained {
        request: "GET /v1/session/list?dc=nope",
        why: "an answer that failed tells no index: Consul writes that of an answer it does not have",
    },
    Explained {
        request: r#"PUT /v1/session/create {"TTL":5}"#,
        why: "the texts of Go's JSON decoder name its types",
    },
    Explained {
        request: r#"PUT /v1/session/create {"Behavior":5}"#,
        why: "the texts of Go's JSON decoder name its types",
    },
    Explained {
        request: r#"PUT /v1/session/create {"ServiceChecks":["x"]}"#,
        why: "the texts of Go's JSON decoder name its types",
    },
    Explained { request: "PUT /v1/session/create []", why: "the texts of Go's JSON decoder name its types" },
    Explained {
        request: r#"PUT /v1/session/create """#,
        why: "the texts of Go's JSON decoder name its types",
    },
    Explained {
        request: r#"PUT /v1/session/create {"Name":5}"#,
        why: "the texts of Go's JSON decoder name its types",
    },
    Explained { request: "PUT /v1/txn 5", why: "the texts of Go's JSON decoder name its types" },
    Explained { request: "PUT /v1/txn [5]", why: "the texts of Go's JSON decoder name its types" },
    Explained { request: r#"PUT /v1/txn [{"KV":5}]"#, why: "the texts of Go's JSON decoder name its types" },
    Explained {
        request: r#"PUT /v1/txn [{"KV":{"Verb":"set","Key":"k","Value":5}}]"#,
        why: "the texts of Go's JSON decoder name its types",
    },
    Explained {
        request: r#"PUT /v1/txn [{"KV":{"Verb":"set","Key":"k","Flags":"x"}}]"#,
        why: "the texts of Go's JSON decoder name its types",
    },
    Explained {
        request: "PUT /v1/event/fire/deploy?node=(",
        why: "the words for a bad pattern are another parser's",
    },
    Explained {
        request: "PUT /v1/event/fire/deploy?service=[",
        why: "the words for a bad pattern are another parser's",
    },
];

/// Headers that a Consul before 1.21 does not have.
const NEWER: [&str; 2] = ["x-consul-query-backend", "x-consul-default-acl-policy"];

fn shown(request: &Request) -> String {
    format!("{} {} {}", request.method, request.path, request.body).trim().to_owned()
}

/// One registry, with what its answers had: ids and indexes get the number of their first appearance, so that they compare.
struct Asked {
    site: Site,
    sessions: BTreeMap<&'static str, String>,
    ids: Vec<String>,
    indexes: Vec<String>,
}

fn number(of: &mut Vec<String>, what: &str) -> usize {
    let known = of.iter().position(|known| known == what);
    known.unwrap_or_else(|| {
        of.push(what.to_owned());
        of.len() - 1
    })
}

impl Asked {
    fn new(site: Site) -> Self {
        // An index of 1 says that there was nothing yet.
        let indexes = vec!["0".to_owned(), "1".to_owned()];
        Self { site, sessions: BTreeMap::new(), ids: Vec::new(), indexes }
    }

    async fn filled(&self, text: &str) -> Try<String> {
        let mut text = text.to_owned();
        for (name, id) in &self.sessions {
            text = text.replace(&format!("{{{name}}}"), id);
        }
        if let Some((before, rest)) = text.split_once("{i:")
            && let Some((key, after)) = rest.split_once('}')
        {
            let row = self.site.ask("GET", &format!("/v1/kv/{key}"), "").await?.json();
            text = format!("{before}{}{after}", row[0]["ModifyIndex"]);
        }
        let inner = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).unwrap_or_default();
        if let Some(count) = inner.strip_prefix("ops:") {
            let one = r#"{"KV":{"Verb":"get-or-empty","Key":"none"}}"#;
            return Ok(format!("[{}]", vec![one; count.parse()?].join(",")));
        }
        Ok(inner.parse().map_or(text, |count| "x".repeat(count)))
    }

    async fn ask(&mut self, request: &Request) -> Try<Reply> {
        let (path, body) = (self.filled(request.path).await?, self.filled(request.body).await?);
        let mut reply = self.site.ask(request.method, &path, body).await?;
        if let Some(id) = reply.json()["ID"].as_str().filter(|_| !request.saves.is_empty()) {
            self.sessions.insert(request.saves, id.to_owned());
        }
        self.mask(&mut reply);
        Ok(reply)
    }

    fn mask(&mut self, reply: &mut Reply) {
        for name in LEFT_OUT {
            reply.headers.remove(name);
        }
        if let Some(index) = reply.headers.get_mut("x-consul-index") {
            // The one of events is made from an id.
            *index = if index.len() > 15 {
                "random".to_owned()
            } else {
                number(&mut self.indexes, index).to_string()
            };
        }
        if let Ok(mut json) = serde_json::from_str::<Value>(&reply.body) {
            self.mask_json(&mut json);
            reply.body = json.to_string();
        }
        if let Some((before, after)) = reply.body.split_once("current modify index ")
            && let Some((_, after)) = after.split_once(' ')
        {
            reply.body = format!("{before}current modify index N {after}");
        }
        for (name, id) in &self.sessions {
            reply.body = reply.body.replace(id, name);
        }
    }

    fn mask_json(&mut self, json: &mut Value) {
        match json {
            Value::Array(list) => {
                // Sessions are listed by their random ids.
                list.sort_by_key(|one| one["CreateIndex"].as_u64().filter(|_| one["LockDelay"].is_number()));
                list.iter_mut().for_each(|one| self.mask_json(one));
            }
            Value::Object(fields) => {
                for (name, value) in fields {
                    match (name.as_str(), &value) {
                        ("CreateIndex" | "ModifyIndex", Value::Number(index)) => {
                            *value = number(&mut self.indexes, &index.to_string()).into();
                        }
                        ("ID", Value::String(id)) => *value = number(&mut self.ids, id).into(),
                        ("LTime", _) => *value = "time".into(),
                        _ => self.mask_json(value),
                    }
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
}

#[tokio::test]
async fn every_answer_is_a_consuls_or_its_difference_is_explained() -> Try {
    assert!(REQUESTS.len() >= 120, "{} requests", REQUESTS.len());
    let (mut ours, mut real) = (Asked::new(Site::embedded().await?), Asked::new(Site::real().await?));
    let is_older = minor()? < 21;
    let mut unexplained = Vec::new();
    let mut used = vec![false; EXPLAINED.len()];
    for request in REQUESTS {
        let (mut our, their) = (ours.ask(request).await?, real.ask(request).await?);
        if is_older {
            NEWER.iter().for_each(|name| drop(our.headers.remove(*name)));
        }
        if our == their {
            continue;
        }
        let name = shown(request);
        match EXPLAINED.iter().position(|known| name == known.request) {
            Some(place) => used[place] = true,
            None if is_older && OLDER.contains(&name.as_str()) => {}
            None => unexplained.push(format!("{name}\n  ours  {our:?}\n  their {their:?}")),
        }
    }
    ours.site.stop().await?;
    assert!(unexplained.is_empty(), "{} differ:\n{}", unexplained.len(), unexplained.join("\n"));
    let unused: Vec<_> = EXPLAINED.iter().zip(used).filter(|(_, used)| !used).collect();
    assert!(
        unused.is_empty(),
        "explained, but alike: {:?}",
        unused.iter().map(|(e, _)| (e.request, e.why)).collect::<Vec<_>>()
    );
    Ok(())
}
