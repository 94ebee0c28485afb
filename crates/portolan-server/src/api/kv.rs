//! `/v1/kv/…`: keys and values.
//!
//! In:  a key or the beginning of keys, a value, what must hold. Out: rows, one command, `true` or `false`.
//!
//! Never: shows a key that its caller may not read; takes a value beyond Consul's limit.
//!
//! Rules from Consul 1.21: agent/kvs_endpoint.go, agent/consul/kvs_endpoint.go. Proof: `tests/keys/`, beside a real Consul.

use std::{collections::BTreeSet, sync::Arc};

use axum::{body::Body, response::Response};
use http::{HeaderValue, StatusCode, header};

use super::{
    Later, bare,
    call::Call,
    path,
    reply::{Done, Outcome, Refusal, freshness_of_keys, value},
    rights::Rights,
};
use crate::{
    acl::{Access, Resource},
    config::Limits,
    core::Core,
    encode::KvJson,
    state::{
        Key,
        kv::{KvOp, Verb, rows::KvRow},
        rows::Text,
    },
};

/// How large a value may be (Consul: `kv_max_value_size`).
pub(super) const LARGEST: usize = 512 * 1024;

const MISSING: &str = "Missing key name";

pub(super) fn most(limits: &Limits) -> (usize, &'static str) {
    let setting = "https://developer.hashicorp.com/docs/agent/config/config-files#kv_max_value_size";
    (LARGEST.min(limits.max_body), setting)
}

pub(super) fn get(core: Arc<Core>, call: Call) -> Later {
    Box::pin(async move {
        let has = |name: &str| call.param(name).is_some();
        if has("keys") {
            let found = below(&core, &call).await?;
            return names(&call, &found);
        }
        if has("recurse") {
            let found = below(&core, &call).await?;
            if found.rows.is_empty() {
                return Ok(found.nothing());
            }
            let shown: Vec<_> = found.rows.iter().map(|row| KvJson::new(row)).collect();
            return Ok(found.told(value(&shown, call.layout())?));
        }
        one(&core, &call).await
    })
}

/// Rows with what is told beside them.
struct Found {
    rows: Vec<Arc<KvRow>>,
    index: u64,
    rights: Rights,
    hidden: bool,
}

impl Found {
    fn told(&self, mut response: Response) -> Response {
        freshness_of_keys(response.headers_mut(), self.index);
        self.rights.tell(self.hidden, &mut response);
        response
    }

    fn nothing(&self) -> Response {
        self.told(bare(StatusCode::NOT_FOUND))
    }
}

async fn one(core: &Core, call: &Call) -> Outcome {
    let read = call.read_options(core)?;
    let mut rights = call.rights(core)?;
    let name = call.name(MISSING)?;
    let may = |rights: &Rights| rights.require(Resource::Key, name, Access::Read);
    may(&rights)?;
    let key = Key::Kv(name.into());
    if read.block.is_some() {
        core.wait(&key, read.block).await?;
        rights = call.rights(core)?;
        may(&rights)?;
    }
    let (index, row) = core.look(|state| (state.index(&key), state.kv(name)));
    let found = Found { rows: row.into_iter().collect(), index, rights, hidden: false };
    let Some(row) = found.rows.first() else { return Ok(found.nothing()) };
    if call.param("raw").is_none() {
        return Ok(found.told(value(&[KvJson::new(row)], call.layout())?));
    }
    let mut response = Response::new(Body::from(row.value.to_vec()));
    let headers = response.headers_mut();
    // A value may hold anything, and nobody's browser is to run it.
    for (name, text) in [
        (header::CONTENT_TYPE, "text/plain"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CONTENT_SECURITY_POLICY, "sandbox"),
    ] {
        headers.insert(name, HeaderValue::from_static(text));
    }
    Ok(found.told(response))
}

/// All keys below the one that is named, without those that may not be read.
async fn below(core: &Core, call: &Call) -> Outcome<Found> {
    let read = call.read_options(core)?;
    let mut rights = call.rights(core)?;
    let key = Key::KvBelow(call.rest.as_str().into());
    if read.block.is_some() {
        core.wait(&key, read.block).await?;
        rights = call.rights(core)?;
    }
    let (index, mut rows) = core.look(|state| (state.index(&key), state.kv_below(&call.rest)));
    let before = rows.len();
    rows.retain(|row| rights.allow(Resource::Key, &row.name, Access::Read));
    let hidden = rows.len() < before;
    Ok(Found { rows, index, rights, hidden })
}

/// The names alone, each up to the separator that follows what was asked for.
fn names(call: &Call, found: &Found) -> Outcome {
    if found.rows.is_empty() && !call.rest.is_empty() {
        return Ok(found.nothing());
    }
    // An old misspelling that Consul takes, too.
    let separator = call.param("separator").or_else(|| call.param("seperator")).unwrap_or_default();
    let mut seen = BTreeSet::new();
    let mut names: Vec<&str> = Vec::new();
    for row in &found.rows {
        let name = up_to(&row.name, &call.rest, separator);
        // One that ends in the separator may stand for those below it.
        if seen.insert(name) {
            names.push(name);
        }
    }
    Ok(found.told(value(&names, call.layout())?))
}

/// `name`, cut behind the first `separator` that follows `prefix`.
fn up_to<'a>(name: &'a str, prefix: &str, separator: &str) -> &'a str {
    let after = name.get(prefix.len()..).unwrap_or_default();
    if separator.is_empty() {
        return name;
    }
    match after.find(separator) {
        None => name,
        Some(at) => {
            let end = prefix.len().saturating_add(at).saturating_add(separator.len());
            name.get(..end).unwrap_or(name)
        }
    }
}

/// The key that a request's target names, and that name up to a separator behind a beginning; `None` where it names none.
pub(crate) fn named(target: &str, prefix: &str, separator: &str) -> Option<(String, String)> {
    let uri: http::Uri = target.parse().ok()?;
    if path::misplaced(&uri).is_some() {
        return None;
    }
    let name = path::decoded(uri.path())?.strip_prefix("/v1/kv/")?.to_owned();
    let cut =
        up_to(&name, name.get(..prefix.len()).filter(|begins| *begins == prefix)?, separator).to_owned();
    Some((name, cut))
}

/// The target that names a key.
pub(crate) fn target(name: &str) -> String {
    format!("/v1/kv/{}", path::encode(name))
}

/// A number as Go reads it, with its words where it is none.
fn number(text: &str) -> Outcome<u64> {
    let all_digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let why = if all_digits { "value out of range" } else { "invalid syntax" };
    let failed = |_cause| Refusal::internal(format!("strconv.ParseUint: parsing {text:?}: {why}"));
    let number = text.parse::<u64>().map_err(failed)?;
    if all_digits {
        Ok(number)
    } else {
        Err(Refusal::internal(format!("strconv.ParseUint: parsing {text:?}: {why}")))
    }
}

/// Refuses parameters that do not go together.
fn agree(call: &Call, names: &[&str]) -> Outcome<()> {
    if names.iter().filter(|name| call.param(name).is_some()).count() > 1 {
        return Err(Refusal::bad(format!("Conflicting flags: {}\n", call.parameters_again())));
    }
    Ok(())
}

pub(super) fn put(core: &Core, call: &Call) -> Outcome<Done> {
    let rights = call.rights(core)?;
    let mut op = KvOp::new(Verb::Set, call.name(MISSING)?);
    agree(call, &["cas", "acquire", "release"])?;
    if let Some(flags) = call.param("flags") {
        op.flags = number(flags)?;
    }
    if let Some(index) = call.param("cas") {
        (op.verb, op.index) = (Verb::Cas, number(index)?);
    }
    for (param, verb) in [("acquire", Verb::Lock), ("release", Verb::Unlock)] {
        if let Some(session) = call.param(param) {
            (op.verb, op.session) = (verb, session.into());
        }
    }
    op.value = Arc::from(&*call.body);
    call.check_datacenter(core)?;
    rights.require(Resource::Key, &op.key, Access::Write)?;
    done(core, call, op)
}

pub(super) fn delete(core: &Core, call: &Call) -> Outcome<Done> {
    let rights = call.rights(core)?;
    agree(call, &["recurse", "cas"])?;
    let mut op = if call.param("recurse").is_some() {
        KvOp::new(Verb::DeleteTree, &call.rest)
    } else {
        KvOp::new(Verb::Delete, call.name(MISSING)?)
    };
    if let Some(index) = call.param("cas") {
        (op.verb, op.index) = (Verb::DeleteCas, number(index)?);
    }
    call.check_datacenter(core)?;
    may_change(&rights, op.verb, &op.key)?;
    done(core, call, op)
}

/// Refuses what the caller may not do with a key, or with all below it.
pub(super) fn may_change(rights: &Rights, verb: Verb, key: &Text) -> Outcome<()> {
    match verb {
        Verb::DeleteTree => rights.write_all_below(key),
        Verb::Get | Verb::GetOrEmpty | Verb::GetTree => Ok(()),
        Verb::CheckIndex | Verb::CheckSession => rights.require(Resource::Key, key, Access::Read),
        _ => rights.require(Resource::Key, key, Access::Write),
    }
}

fn done(core: &Core, call: &Call, op: KvOp) -> Outcome<Done> {
    let (reply, written) = core.apply_kv(&[op])?;
    let is_done = match reply {
        Ok(_) => true,
        Err(failed) => match failed.into_iter().next() {
            Some((_, why)) if !why.is_no() => {
                return Err(Refusal::internal(format!("raft apply failed: {why}")));
            }
            _ => false,
        },
    };
    Ok(Done::new(written, value(&is_done, call.layout())?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_cut_behind_the_separator_that_follows_the_prefix() {
        for (name, prefix, separator, cut) in [
            ("a/b/c", "", "/", "a/"),
            ("a/b/c", "a/", "/", "a/b/"),
            ("a/b/c", "a", "/", "a/"),
            ("a/b/c", "a/b/c", "/", "a/b/c"),
            ("a/b/c", "", "", "a/b/c"),
            ("a::b", "", "::", "a::"),
            ("größe/x", "grö", "ß", "größ"),
        ] {
            assert_eq!(up_to(name, prefix, separator), cut, "{name} {prefix} {separator}");
        }
    }

    #[test]
    fn a_number_is_read_as_go_does() {
        assert_eq!(number("18446744073709551615").ok(), Some(u64::MAX));
        for (text, why) in [
            ("", "strconv.ParseUint: parsing \"\": invalid syntax"),
            ("+1", "strconv.ParseUint: parsing \"+1\": invalid syntax"),
            ("-1", "strconv.ParseUint: parsing \"-1\": invalid syntax"),
            (
                "18446744073709551616",
                "strconv.ParseUint: parsing \"18446744073709551616\": value out of range",
            ),
        ] {
            assert_eq!(number(text).err().map(|refusal| refusal.text().to_owned()).as_deref(), Some(why));
        }
    }
}
