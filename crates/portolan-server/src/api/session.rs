//! `/v1/session/…`: who may hold keys, and for how long.
//!
//! In:  definitions, ids. Out: one command, or sessions.
//!
//! Never: shows a session on a node whose sessions its caller may not read.
//!
//! Rules from Consul 1.21: agent/session_endpoint.go, agent/consul/session_endpoint.go, agent/structs/structs.go
//! `Session.UnmarshalJSON`. Proof: `tests/keys/`, beside a real Consul.

use std::{sync::Arc, time::Duration};

use serde::Serialize;
use serde_json::{Map, Value};

use super::{
    Later,
    acl::random_uuid,
    call::Call,
    decode::{Decoded, list, map, object, text, texts},
    reply::{Done, Outcome, Refusal, freshness_of_keys, value},
    rights::Rights,
};
use crate::{
    acl::{Access, Resource},
    core::Core,
    encode::SessionJson,
    state::{
        Command, Key, State,
        rows::Text,
        sessions::{
            SessionCommand,
            rows::{Behavior, ServiceCheck, SessionRow, SessionSpec},
        },
    },
};

/// What a TTL may be (Consul: `session_ttl_min`, agent/structs/structs.go `SessionTTLMax`).
const TTLS: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(24 * 60 * 60));
const LOCK_DELAY: Duration = Duration::from_secs(15);
/// A lock delay below so many nanoseconds was meant in seconds.
const LEAST_NANOS: u64 = 1000;
const SERF: &str = "serfHealth";
const MISSING: &str = "Missing session";

#[derive(Serialize)]
struct Created<'a> {
    #[serde(rename = "ID")]
    id: &'a str,
}

/// A definition as it is given. Names are read in any case; those that mean nothing are passed over, as in Consul.
struct Given {
    name: Text,
    node: Text,
    lock_delay: Duration,
    behavior: Text,
    ttl: Text,
    node_checks: Option<Vec<Text>>,
    service_checks: Option<Vec<ServiceCheck>>,
    checks: Vec<Text>,
}

impl Given {
    fn nothing(core: &Core) -> Self {
        Self {
            name: "".into(),
            node: core.config.node.as_str().into(),
            lock_delay: LOCK_DELAY,
            behavior: Behavior::Release.as_str().into(),
            ttl: "".into(),
            node_checks: Some(vec![SERF.into()]),
            service_checks: None,
            checks: vec![SERF.into()],
        }
    }

    fn read(&mut self, body: &Map<String, Value>) -> Decoded<()> {
        for (name, value) in body {
            match name.to_ascii_lowercase().as_str() {
                "nodechecks" if value.is_null() => self.node_checks = None,
                "checks" if value.is_null() => self.checks.clear(),
                _ if value.is_null() => {}
                "name" => self.name = text("Name", value)?,
                "node" => self.node = text("Node", value)?,
                "lockdelay" => self.lock_delay = lock_delay(value)?,
                "behavior" => self.behavior = text("Behavior", value)?,
                "ttl" => self.ttl = text("TTL", value)?,
                "nodechecks" => self.node_checks = Some(texts("NodeChecks", value)?.to_vec()),
                "servicechecks" => self.service_checks = Some(service_checks(value)?),
                "checks" => self.checks = texts("Checks", value)?.to_vec(),
                _ => {}
            }
        }
        Ok(())
    }

    /// Which checks count where only the older name, or only the newer one, is used.
    fn settle_checks(&mut self) {
        if self.checks.is_empty() {
            self.node_checks = Some(Vec::new());
        } else if matches!(&*self.checks, [only] if **only == *SERF)
            || self.node_checks.as_ref().is_none_or(Vec::is_empty)
        {
            self.checks.clear();
        }
    }
}

fn service_checks(value: &Value) -> Decoded<Vec<ServiceCheck>> {
    let each = |value| {
        let mut check = ServiceCheck { id: "".into(), namespace: "".into() };
        for (name, value) in map("ServiceChecks", value)? {
            match name.to_ascii_lowercase().as_str() {
                "id" => check.id = text("ServiceChecks.ID", value)?,
                "namespace" => check.namespace = text("ServiceChecks.Namespace", value)?,
                _ => {}
            }
        }
        Ok(check)
    };
    list("ServiceChecks", value)?.iter().map(each).collect()
}

/// A text as Go writes durations, or a number; small ones count seconds. Anything else is none.
fn lock_delay(value: &Value) -> Decoded<Duration> {
    let delay = match value {
        Value::String(text) => portolan::parse_duration("LockDelay", text)
            .map_err(|_cause| Refusal::bad(format!("Request decode failed: {}", no_duration(text))))?,
        Value::Number(number) => {
            let nanos = number.as_f64().unwrap_or_default().max(0.0);
            Duration::try_from_secs_f64(nanos / 1e9).unwrap_or(Duration::MAX)
        }
        _ => Duration::ZERO,
    };
    let nanos = u64::try_from(delay.as_nanos()).unwrap_or(u64::MAX / 2);
    Ok(if nanos < LEAST_NANOS { Duration::from_secs(nanos) } else { Duration::from_nanos(nanos) })
}

/// Go's word for a text that is no duration.
pub(super) fn no_duration(text: &str) -> String {
    let number = text.strip_prefix(['-', '+']).unwrap_or(text);
    let end = number.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(number.len());
    let (digits, unit) = number.split_at_checked(end).unwrap_or((number, ""));
    let unit: String = unit.chars().take_while(|c| !c.is_ascii_digit() && *c != '.').collect();
    if digits.is_empty() || !digits.contains(|c: char| c.is_ascii_digit()) {
        format!("time: invalid duration {text:?}")
    } else if unit.is_empty() {
        format!("time: missing unit in duration {text:?}")
    } else {
        format!("time: unknown unit {unit:?} in duration {text:?}")
    }
}

/// The time that a session lasts without a renewal.
fn ttl(text: &str) -> Outcome<Option<Duration>> {
    if text.is_empty() {
        return Ok(None);
    }
    let (sign, plain) = text.strip_prefix('-').map_or(("", text), |plain| ("-", plain));
    let ttl = portolan::parse_duration("TTL", plain).map_err(|_cause| {
        Refusal::internal(format!("Session TTL '{text}' invalid: {}", no_duration(text)))
    })?;
    if ttl.is_zero() {
        return Ok(None);
    }
    let (least, most) = TTLS;
    if sign.is_empty() && (least..=most).contains(&ttl) {
        return Ok(Some(ttl));
    }
    let nanos = ttl.as_nanos();
    let text = format!("Invalid Session TTL '{sign}{nanos}', must be between [10s=24h0m0s]");
    Err(Refusal::internal(text))
}

pub(super) fn create(core: &Core, call: &Call) -> Outcome<Done> {
    let rights = call.rights(core)?;
    let mut given = Given::nothing(core);
    if !call.body.is_empty() {
        given.read(&object(&call.body)?)?;
    }
    given.settle_checks();
    call.check_datacenter(core)?;
    if given.node.is_empty() {
        return Err(Refusal::internal("Must provide Node"));
    }
    rights.require(Resource::Session, &given.node, Access::Write)?;
    let behavior = match &*given.behavior {
        "" | "release" => Behavior::Release,
        "delete" => Behavior::Delete,
        other => return Err(Refusal::internal(format!("Invalid Behavior setting '{other}'"))),
    };
    let ttl = ttl(&given.ttl)?;
    let id = random_uuid()?;
    let spec = SessionSpec {
        id: id.as_str().into(),
        name: given.name,
        node: given.node,
        lock_delay: given.lock_delay,
        behavior,
        ttl_text: given.ttl,
        ttl,
        node_checks: given.node_checks,
        service_checks: given.service_checks,
        checks: given.checks,
    };
    let written = core.apply(Command::Session(SessionCommand::Create(Box::new(spec))))?;
    Ok(Done::new(written, value(&Created { id: &id }, call.layout())?))
}

/// A session that is there, and that the caller may change.
fn own(core: &Core, rights: &Rights, id: &str) -> Outcome<Option<Arc<SessionRow>>> {
    let session = core.look(|state| state.session(id));
    if let Some(session) = &session {
        rights.require(Resource::Session, &session.spec.node, Access::Write)?;
    }
    Ok(session)
}

pub(super) fn destroy(core: &Core, call: &Call) -> Outcome<Done> {
    let rights = call.rights(core)?;
    let id = call.name(MISSING)?;
    call.check_datacenter(core)?;
    own(core, &rights, id)?;
    let written = core.apply(Command::Session(SessionCommand::Destroy { id: id.into() }))?;
    Ok(Done::new(written, value(&true, call.layout())?))
}

pub(super) fn renew(core: &Core, call: &Call) -> Outcome<Done> {
    let rights = call.rights(core)?;
    let id = call.name(MISSING)?;
    call.check_datacenter(core)?;
    let gone = || Refusal::new(http::StatusCode::NOT_FOUND, format!("Session id '{id}' not found"));
    let session = own(core, &rights, id)?.ok_or_else(gone)?;
    let written = core.apply(Command::Session(SessionCommand::Renew { id: id.into() }))?;
    Ok(Done::new(written, value(&[SessionJson::new(&session)], call.layout())?))
}

pub(super) fn info(core: Arc<Core>, call: Call) -> Later {
    Box::pin(async move {
        let id = call.name(MISSING)?;
        let look = |state: &State| state.session(id).into_iter().collect();
        answer(&core, &call, &Key::Session(id.into()), look).await
    })
}

pub(super) fn of_node(core: Arc<Core>, call: Call) -> Later {
    Box::pin(async move {
        let node = call.name("Missing node name")?;
        answer(&core, &call, &Key::SessionsOn(node.into()), |state| state.session_list(Some(node))).await
    })
}

pub(super) fn all(core: Arc<Core>, call: Call) -> Later {
    Box::pin(async move { answer(&core, &call, &Key::Sessions, |state| state.session_list(None)).await })
}

async fn answer(
    core: &Core,
    call: &Call,
    key: &Key,
    look: impl Fn(&State) -> Vec<Arc<SessionRow>> + Send,
) -> Outcome {
    let read = call.read_options(core)?;
    let mut rights = call.rights(core)?;
    if read.block.is_some() {
        core.wait(key, read.block).await?;
        rights = call.rights(core)?;
    }
    let (index, mut rows) = core.look(|state| (state.index(key), look(state)));
    let before = rows.len();
    rows.retain(|row| rights.allow(Resource::Session, &row.spec.node, Access::Read));
    let shown: Vec<_> = rows.iter().map(|row| SessionJson::new(row)).collect();
    let mut response = value(&shown, call.layout())?;
    freshness_of_keys(response.headers_mut(), index);
    rights.tell(rows.len() < before, &mut response);
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_lock_delay_counts_seconds() {
        let read = |text: &str| lock_delay(&serde_json::from_str(text).unwrap()).ok();
        let seconds = |n| Some(Duration::from_secs(n));
        for (text, delay) in [
            ("999", seconds(999)),
            ("1000", Some(Duration::from_micros(1))),
            ("0", seconds(0)),
            ("-1", seconds(0)),
            (r#""5s""#, seconds(5)),
            (r#""500ns""#, seconds(500)),
            (r#""x""#, None),
            ("true", seconds(0)),
        ] {
            assert_eq!(read(text), delay, "{text}");
        }
    }

    #[test]
    fn a_ttl_is_refused_in_gos_words() {
        let said = |text: &str| ttl(text).err().map(|refusal| refusal.text().to_owned()).unwrap_or_default();
        assert!(matches!((ttl("10s"), ttl("24h"), ttl("0")), (Ok(Some(_)), Ok(Some(_)), Ok(None))));
        assert_eq!(said("9s"), "Invalid Session TTL '9000000000', must be between [10s=24h0m0s]");
        assert_eq!(said("-5s"), "Invalid Session TTL '-5000000000', must be between [10s=24h0m0s]");
        assert_eq!(said("x"), "Session TTL 'x' invalid: time: invalid duration \"x\"");
        assert_eq!(said("15"), "Session TTL '15' invalid: time: missing unit in duration \"15\"");
        assert_eq!(said("15y"), "Session TTL '15y' invalid: time: unknown unit \"y\" in duration \"15y\"");
    }
}
