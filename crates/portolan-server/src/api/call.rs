//! One request, read and checked: the rest of its path, its parameters, its body.
//!
//! In:  a request as the network brings it. Out: a [`Call`], or a refusal in Consul's words.
//!
//! Never: takes a path that Consul would clean for another; keeps more of a body than is allowed.
//!
//! Rules from Consul: agent/http.go `parseWait`, `parseConsistency`, `parseDC`.

use std::time::Duration;

use axum::extract::Request;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, Method, header};
use portolan::registry::{Block, Consistency};
use tokio::sync::OwnedSemaphorePermit;

use super::{
    path::{Plus, decode},
    reply::{Refusal, effective},
    rights::Asked,
    upload,
};
use crate::{
    acl::secret::Secret,
    core::Core,
    encode::Layout,
    state::{Narrow, rows::Text},
};

/// How long a blocking query waits unless it says (Consul: `DefaultQueryTime`).
const DEFAULT_WAIT: Duration = Duration::from_secs(300);

/// Where Consul does not look at a parameter that it refuses elsewhere.
const NOT_READ: [(&str, &str); 5] = [
    ("ns", "/v1/status/leader"),
    ("ns", "/v1/status/peers"),
    ("ns", "/v1/catalog/nodes"),
    ("partition", "/v1/status/leader"),
    ("partition", "/v1/status/peers"),
];

/// What Consul's agent keeps answers of, where `?cached` asks for one.
const CACHED: [&str; 5] = [
    "/v1/catalog/services",
    "/v1/catalog/service/",
    "/v1/catalog/connect/",
    "/v1/health/service/",
    "/v1/health/connect/",
];

/// Parameters by name, few and so in a list, each with all its values.
type Params = Vec<(String, Vec<String>)>;

/// A request.
#[derive(Debug)]
pub(super) struct Call {
    /// The whole path, decoded.
    pub(super) path: String,
    pub(super) method: Method,
    /// What follows the endpoint's own path, decoded.
    pub(super) rest: String,
    params: Params,
    /// `Accept: text/plain`.
    pub(super) wants_text: bool,
    /// `Accept-Encoding: gzip`.
    pub(super) takes_gzip: bool,
    pub(super) body: Bytes,
    /// What the caller shows, where rights count.
    pub(super) token: Option<Secret>,
    asked: Asked,
    /// The room that the body takes, until the request is answered.
    _room: Option<OwnedSemaphorePermit>,
}

/// What a read of the catalogue asks for beside its name.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) consistency: Consistency,
    pub(super) block: Option<Block>,
    pub(super) narrow: Narrow,
    pub(super) cached: bool,
}

impl Read {
    /// Who answers, in the word that a body says it with.
    pub(super) fn effective(&self) -> &'static str {
        effective(self.consistency)
    }
}

impl Call {
    pub(super) async fn read(
        core: &Core,
        own: &str,
        most: (usize, &'static str),
        request: Request,
    ) -> Result<Self, Refusal> {
        let path = decode(request.uri().path(), Plus::IsPlus)
            .ok_or_else(|| Refusal::bad("invalid URL escape in the path"))?;
        let rest = path.strip_prefix(own).unwrap_or_default().to_owned();
        let params = parameters(request.uri().query().unwrap_or_default());
        let headers = request.headers();
        let wants_text = text(headers, header::ACCEPT).is_some_and(|accepts| accepts.contains("text/plain"));
        let takes_gzip = text(headers, header::ACCEPT_ENCODING).is_some_and(takes_gzip);
        // Only what is told to others is short: a key may be as long as a request's head.
        if own != "/v1/kv/" {
            fits(core, [rest.as_str()])?;
        }
        let token = core.config.acl_enabled.then(|| token(&params, request.headers())).flatten();
        let method = request.method().clone();
        let (body, _room) = match method {
            // Apart, so that a query that waits keeps no room for it.
            Method::PUT | Method::POST | Method::DELETE => {
                Box::pin(upload::read(core, most, request)).await?
            }
            _ => (Bytes::new(), None),
        };
        let asked = Asked::default();
        let call = Self { path, method, rest, params, wants_text, takes_gzip, body, token, asked, _room };
        call.refuse_what_is_not_there()?;
        Ok(call)
    }

    /// Whether the caller's rights were asked for.
    pub(super) fn asked(&self) -> Asked {
        self.asked.clone()
    }

    fn refuse_what_is_not_there(&self) -> Result<(), Refusal> {
        for (param, what) in [("ns", "Namespaces"), ("partition", "Partitions")] {
            let is_read = !NOT_READ.contains(&(param, self.path.as_str()));
            if is_read && self.param(param).is_some_and(|value| !value.is_empty()) {
                let text =
                    format!("Invalid query parameter: \"{param}\" - {what} are a Consul Enterprise feature");
                return Err(Refusal::bad(text));
            }
        }
        if self.param("sg").is_some_and(|value| !value.is_empty()) {
            return Err(Refusal::internal("sameness groups are not supported in consul CE"));
        }
        if self.param("peer").is_some_and(|value| !value.is_empty()) {
            return Err(Refusal::bad("peers are not supported yet; leave out ?peer"));
        }
        Ok(())
    }

    /// The first value of a parameter; empty where it is only named.
    pub(super) fn param(&self, name: &str) -> Option<&str> {
        self.values(name)?.first().map(String::as_str)
    }

    /// All values of a parameter.
    pub(super) fn all(&self, name: &str) -> &[String] {
        self.values(name).map_or(&[], Vec::as_slice)
    }

    fn values(&self, name: &str) -> Option<&Vec<String>> {
        self.params.iter().find(|(known, _)| known == name).map(|(_, values)| values)
    }

    pub(super) fn layout(&self) -> Layout {
        if self.values("pretty").is_some() { Layout::Pretty } else { Layout::Compact }
    }

    /// What follows the endpoint's path, which must not be empty.
    pub(super) fn name(&self, missing: &'static str) -> Result<&str, Refusal> {
        if self.rest.is_empty() { Err(Refusal::bad(missing)) } else { Ok(&self.rest) }
    }

    /// Refuses a datacenter that is not ours: there is no path to any other.
    pub(super) fn check_datacenter(&self, core: &Core) -> Result<(), Refusal> {
        match self.param("dc") {
            None | Some("") => Ok(()),
            Some(ours) if ours == core.config.datacenter => Ok(()),
            Some(_) => Err(Refusal::internal("No path to datacenter")),
        }
    }

    /// A truth value as Go reads it; `None` when it is neither.
    pub(super) fn flag(text: &str) -> Option<bool> {
        match text {
            "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
            "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
            _ => None,
        }
    }

    /// What every read of the catalogue understands.
    pub(super) fn read_options(&self, core: &Core) -> Result<Read, Refusal> {
        let has = |name: &str| self.values(name).is_some();
        let conflict = |one: &str| {
            Refusal::bad(format!("Cannot specify ?{one} with ?consistent, conflicting semantics."))
        };
        let max_stale = self.param("max_stale").filter(|text| !text.is_empty());
        if let Some(text) = max_stale {
            portolan::parse_duration("max_stale", text)
                .map_err(|_cause| Refusal::bad(format!("Invalid max_stale value {text:?}")))?;
        }
        let consistency = match (has("stale") || max_stale.is_some(), has("consistent")) {
            (true, true) => return Err(conflict("stale")),
            (true, false) => Consistency::Stale,
            (false, true) => Consistency::Consistent,
            (false, false) => Consistency::Default,
        };
        if has("cached") && has("consistent") {
            return Err(conflict("cached"));
        }
        let wait = self.wait()?;
        let index = self.index()?;
        self.check_datacenter(core)?;
        let node_meta = self.all("node-meta").iter().map(|pair| {
            let (key, value) = pair.split_once(':').unwrap_or((pair, ""));
            (key.to_owned(), value.to_owned())
        });
        Ok(Read {
            consistency,
            block: (index > 0).then_some(Block { index, wait }),
            narrow: Narrow { node_meta: node_meta.collect(), first: self.near(core), ..Narrow::default() },
            cached: has("cached") && CACHED.iter().any(|path| self.path.starts_with(path)),
        })
    }

    /// Our own node, where what is near it comes first. No other has a place.
    fn near(&self, core: &Core) -> Option<Text> {
        let ours = core.config.node.as_str();
        let near = self.param("near")?;
        (near == "_agent" || near.eq_ignore_ascii_case(ours)).then(|| ours.into())
    }

    /// The index that the caller knows; 0: none.
    pub(super) fn index(&self) -> Result<u64, Refusal> {
        match self.param("index") {
            None | Some("") => Ok(0),
            Some(text) => text.parse::<u64>().map_err(|_cause| Refusal::bad("Invalid index")),
        }
    }

    /// All parameters as Go would write them again: by name.
    pub(super) fn parameters_again(&self) -> String {
        let mut params: Vec<_> = self.params.iter().collect();
        params.sort_by_key(|(name, _)| name);
        let pairs = params.iter().flat_map(|(name, values)| values.iter().map(move |value| (name, value)));
        let pairs = pairs.map(|(name, value)| format!("{}={}", escape(name), escape(value)));
        pairs.collect::<Vec<_>>().join("&")
    }

    /// How long to wait for a change.
    pub(super) fn wait(&self) -> Result<Duration, Refusal> {
        match self.param("wait") {
            None | Some("") => Ok(DEFAULT_WAIT),
            Some(text) => {
                portolan::parse_duration("wait", text).map_err(|_cause| Refusal::bad("Invalid wait time"))
            }
        }
    }
}

/// The token that a request shows: as a parameter, in Consul's header, or as a bearer (Consul: agent/http.go
/// `parseTokenInternal`).
fn token(params: &Params, headers: &HeaderMap) -> Option<Secret> {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let param = params
        .iter()
        .find(|(name, _)| name == "token")
        .and_then(|(_, values)| values.first())
        .map(String::as_str);
    let bearer = || {
        let (scheme, token) = header("authorization")?.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    };
    let given = |text: &&str| !text.is_empty();
    let token = param.filter(given).or_else(|| header("x-consul-token").filter(given)).or_else(bearer);
    token.filter(given).map(Secret::new)
}

/// Refuses names that are longer than one may be.
pub(super) fn fits<'a>(core: &Core, names: impl IntoIterator<Item = &'a str>) -> Result<(), Refusal> {
    let longest = core.config.limits.max_name;
    match names.into_iter().find(|name| name.len() > longest) {
        None => Ok(()),
        Some(name) => {
            let shown: String = name.chars().take(64).collect();
            let bytes = name.len();
            Err(Refusal::bad(format!(
                "Invalid name: {shown:?}… has {bytes} bytes, more than max_name allows ({longest})"
            )))
        }
    }
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

/// Whether `Accept-Encoding` names gzip, and does not refuse it. As in Consul, `*` is not enough.
fn takes_gzip(accepts: &str) -> bool {
    accepts.split(',').any(|one| {
        let (name, weight) = one.split_once(';').unwrap_or((one, "q=1"));
        let weight = weight.trim().strip_prefix("q=").and_then(|weight| weight.trim().parse::<f32>().ok());
        name.trim().eq_ignore_ascii_case("gzip") && weight.is_some_and(|weight| weight > 0.0)
    })
}

/// A part of a query as Go writes it (net/url `QueryEscape`).
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b' ' => out.push('+'),
            byte if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) => out.push(char::from(byte)),
            byte => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// The parameters of a query; one that cannot be decoded is left out, as Go does.
fn parameters(query: &str) -> Params {
    let mut params = Params::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty() && !pair.contains(';')) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        if let (Some(name), Some(value)) = (decode(name, Plus::IsSpace), decode(value, Plus::IsSpace)) {
            match params.iter_mut().find(|(known, _)| *known == name) {
                Some((_, values)) => values.push(value),
                None => params.push((name, vec![value])),
            }
        }
    }
    params
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_repeat_and_decode() {
        let params = parameters("tag=a&passing&tag=b%20c&x=1+2&bad=%zz&&%=1");
        let shown: Vec<_> = params.iter().map(|(name, values)| (&**name, values.join("|"))).collect();
        assert_eq!(shown, [("tag", "a|b c".to_owned()), ("passing", String::new()), ("x", "1 2".to_owned())]);
    }

    #[test]
    fn gzip_is_taken_where_it_is_named_and_not_refused() {
        for (accepts, taken) in [
            ("gzip", true),
            ("deflate, GZIP;q=0.5", true),
            ("gzip; q=0", false),
            ("gzip;q=0.000", false),
            ("identity", false),
            ("*", false),
            ("x-gzip", false),
            ("gzip;q=nonsense", false),
            ("", false),
        ] {
            assert_eq!(takes_gzip(accepts), taken, "{accepts:?}");
        }
    }
}
