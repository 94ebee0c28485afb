//! Definitions of checks as they come in: read, and refused where Consul refuses them.
//!
//! In:  a JSON object. Out: a check that can be run, or a refusal in Consul's words.
//!
//! Differs from Consul: kinds of checks that are not run here, and two kinds in one check, are refused, instead of
//! leaving the instance critical for ever or dropping one; an interval under a second is raised to one.
//! Never: lets half a definition through.
//!
//! Rules from Consul: agent/structs/check_type.go `Validate`, agent/structs/check_definition.go.

use std::time::Duration;

use http::StatusCode;
use serde_json::{Map, Value};

use super::{
    decode::{Decoded, duration, fields, number, text},
    reply::Refusal,
};
use crate::{
    complete,
    config::{NO_SCRIPTS, Scripts},
    state::{
        LEAST_DEREGISTER_AFTER,
        rows::{CheckSpec, Health, Text},
    },
};

mod kind;

use kind::RawKind;

/// Where a check is defined: the two places differ in a few names.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Given {
    InService,
    Alone,
}

/// Why a check is refused.
pub(super) enum Why {
    /// It is invalid.
    Invalid(String),
    /// Its status is no status.
    Status,
    /// It would run a command.
    Script,
}

impl Why {
    pub(super) fn in_service(self) -> Refusal {
        self.refusal("Status for checks must 'passing', 'warning', 'critical'")
    }

    pub(super) fn alone(self) -> Refusal {
        self.refusal("Bad check status")
    }

    fn refusal(self, status: &str) -> Refusal {
        match self {
            Self::Invalid(why) => Refusal::bad(format!("Invalid check: {why}")),
            Self::Status => Refusal::bad(status),
            Self::Script => Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, NO_SCRIPTS),
        }
    }
}

/// A check as it was written.
#[derive(Default)]
pub(super) struct RawCheck {
    pub(super) id: Words,
    pub(super) name: Words,
    pub(super) service: Words,
    notes: Words,
    status: Words,
    kind: RawKind,
    deregister_after: Duration,
    success_before_passing: u32,
    failures_before_warning: u32,
    failures_before_critical: u32,
}

/// Text that is empty unless given.
type Words = Option<Text>;

fn given(text: &Words) -> Words {
    text.clone().filter(|text| !text.is_empty())
}

impl RawCheck {
    pub(super) fn read(given: &Map<String, Value>, place: Given) -> Decoded<Self> {
        let mut raw = Self::default();
        fields(given, |name, value| raw.field(name, value, place))?;
        Ok(raw)
    }

    fn field(&mut self, name: &str, value: &Value, place: Given) -> Decoded<bool> {
        let count = |field: &str| -> Decoded<u32> {
            Ok(u32::try_from(number(field, value, 0, 65_535)?).unwrap_or_default())
        };
        match name {
            "checkid" => self.id = Some(text("CheckID", value)?),
            "id" if place == Given::Alone => self.id = Some(text("ID", value)?),
            "name" => self.name = Some(text("Name", value)?),
            "serviceid" => self.service = Some(text("ServiceID", value)?),
            "notes" => self.notes = Some(text("Notes", value)?),
            "status" => self.status = Some(text("Status", value)?),
            "deregistercriticalserviceafter" => {
                self.deregister_after = duration("DeregisterCriticalServiceAfter", value)?;
            }
            "successbeforepassing" => self.success_before_passing = count("SuccessBeforePassing")?,
            "failuresbeforewarning" => self.failures_before_warning = count("FailuresBeforeWarning")?,
            "failuresbeforecritical" => self.failures_before_critical = count("FailuresBeforeCritical")?,
            other => return self.kind.field(other, value),
        }
        Ok(true)
    }

    pub(super) fn is_empty(&self) -> bool {
        [&self.id, &self.name, &self.notes, &self.status].iter().all(|text| text.is_none())
            && self.kind.is_empty()
            && self.deregister_after.is_zero()
    }

    /// A check that can be run, with its id and name still open where they were not given.
    pub(super) fn into_spec(self, scripts: Scripts) -> Result<CheckSpec, Why> {
        self.kind.validate().map_err(Why::Invalid)?;
        if self.failures_before_warning > self.failures_before_critical {
            let why = "FailuresBeforeWarning can't be higher than FailuresBeforeCritical";
            return Err(Why::Invalid(why.to_owned()));
        }
        let initial = match given(&self.status) {
            None => None,
            Some(word) => Some(Health::of(&word).ok_or(Why::Status)?),
        };
        if self.kind.is_script() && scripts == Scripts::Refused {
            return Err(Why::Script);
        }
        let id = given(&self.id).unwrap_or_default();
        complete::addressable("check ID", &id).map_err(Why::Invalid)?;
        let probe = self.kind.into_probe().map_err(Why::Invalid)?;
        let mut spec = CheckSpec::new(&id, &given(&self.name).unwrap_or_default(), probe);
        spec.notes = self.notes.unwrap_or_default();
        spec.initial = initial;
        spec.success_before_passing = self.success_before_passing;
        spec.failures_before_warning = self.failures_before_warning;
        spec.failures_before_critical = self.failures_before_critical;
        spec.deregister_after =
            (!self.deregister_after.is_zero()).then(|| self.deregister_after.max(LEAST_DEREGISTER_AFTER));
        Ok(spec)
    }
}
