//! Whether DNS and HTTP name the same instances. PURE.
//!
//! In:  instances by HTTP, addresses by DNS. Out: what only one of them names.
//!
//! Never: expects of DNS what Consul leaves out of it: what is critical, and, by a setting, what is warning.
//!
//! Rules from Consul: agent/dns.go `serviceLookup`, `FilterIgnore`.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::{collections::BTreeSet, net::IpAddr, sync::Arc};

use portolan::{Instance, Status};

use super::finding::{Code, Finding};

/// What only one of the two names, of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Disagreement {
    pub(super) service: String,
    pub(super) http_only: Vec<String>,
    pub(super) dns_only: Vec<String>,
}

/// `address:port` in the one way in which both write it.
pub(super) fn place(address: &str, port: u16) -> String {
    match address.parse::<IpAddr>() {
        Ok(IpAddr::V6(ip)) => format!("[{ip}]:{port}"),
        Ok(ip) => format!("{ip}:{port}"),
        Err(_a_name) => format!("{}:{port}", address.trim_end_matches('.').to_ascii_lowercase()),
    }
}

/// Those that DNS should name.
pub(super) fn expected(all: &[Arc<Instance>], only_passing: bool) -> BTreeSet<String> {
    let worst = if only_passing { Status::Passing } else { Status::Warning };
    let good = all.iter().filter(|one| one.status <= worst);
    good.map(|one| place(&one.address, one.port)).collect()
}

pub(super) fn compare(
    service: &str,
    http: &BTreeSet<String>,
    dns: &BTreeSet<String>,
) -> Option<Disagreement> {
    let only =
        |these: &BTreeSet<String>, those: &BTreeSet<String>| these.difference(those).cloned().collect();
    let (http_only, dns_only): (Vec<String>, Vec<String>) = (only(http, dns), only(dns, http));
    let same = http_only.is_empty() && dns_only.is_empty();
    (!same).then(|| Disagreement { service: service.to_owned(), http_only, dns_only })
}

pub(super) fn findings(all: &[Disagreement]) -> impl Iterator<Item = Finding> {
    all.iter().map(|one| {
        let (http, dns) = (one.http_only.len(), one.dns_only.len());
        let what = format!("{}: {http} by HTTP alone, {dns} by DNS alone", one.service);
        let by =
            |list: &[String], who: &str| list.iter().map(|at| format!("{at} ({who})")).collect::<Vec<_>>();
        Finding::new(
            Code::DnsDisagrees,
            what,
            [by(&one.http_only, "HTTP"), by(&one.dns_only, "DNS")].concat(),
        )
    })
}

#[cfg(test)]
mod tests {
    use portolan::{CheckScope, CheckState, Identity};

    use super::*;

    fn instance(id: &str, status: Status) -> Arc<Instance> {
        let check = CheckState::new("c", "", status, CheckScope::Service);
        let one = Instance::new(Identity::new("dc1", "n", id), "web", "10.0.0.1", id.parse().unwrap());
        Arc::new(one.with_checks(vec![check]))
    }

    #[test]
    fn dns_names_what_is_not_critical_or_only_what_is_passing() {
        let all =
            [instance("1", Status::Passing), instance("2", Status::Warning), instance("3", Status::Critical)];
        let names = |only| expected(&all, only).into_iter().collect::<Vec<_>>();
        assert_eq!(names(false), ["10.0.0.1:1", "10.0.0.1:2"]);
        assert_eq!(names(true), ["10.0.0.1:1"]);
    }

    #[test]
    fn what_only_one_of_them_names_is_told_with_who_does() {
        let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
        assert_eq!(compare("web", &set(&["a:1"]), &set(&["a:1"])), None);
        let found = compare("web", &set(&["a:1", "b:1"]), &set(&["b:1", "c:1"])).unwrap();
        let finding = findings(&[found]).next().unwrap();
        assert_eq!(finding.code, Code::DnsDisagrees);
        assert_eq!(finding.what, "web: 1 by HTTP alone, 1 by DNS alone");
        assert_eq!(finding.places, ["a:1 (HTTP)", "c:1 (DNS)"]);
    }

    #[test]
    fn an_address_is_written_in_one_way() {
        assert_eq!(place("0:0::1", 80), "[::1]:80");
        assert_eq!(place("Web.Example.", 80), "web.example:80");
    }
}
