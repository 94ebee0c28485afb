//! Peek and pick on a handle, beside what else can choose one of so many instances.
//!
//! Every case reads the port of what it chose, so that none gets away with a pointer it never followed.

use std::time::{Duration, Instant};

use portolan::{Endpoint, Policy, Resolver};

use crate::{
    fixture::Fixture,
    limits,
    measure::{Case, Kind},
};

/// The policies, and how they are called in the tables.
const POLICIES: [(&str, Policy); 3] =
    [("p2c", Policy::PowerOfTwo), ("random", Policy::Random), ("round robin", Policy::RoundRobin)];

pub(crate) fn cases(fixture: &Fixture, instances: u16) -> anyhow::Result<Vec<Case>> {
    let mut cases = Vec::new();
    for (name, policy) in POLICIES {
        let resolver = fixture.resolver(instances, policy)?;
        cases.push(Case::new(Kind::Portolan, format!("peek, {name}"), move |_| {
            let resolver = resolver.clone();
            move || peek(&resolver)
        }));
    }
    for (name, policy) in POLICIES {
        let resolver = fixture.resolver(instances, policy)?;
        cases.push(Case::new(Kind::Portolan, format!("pick, {name}"), move |_| {
            let resolver = resolver.clone();
            move || pick(&resolver)
        }));
    }
    cases.push(by_key(fixture.resolver(instances, Policy::Maglev)?));
    cases.push(by_latency(fixture.resolver(instances, Policy::PeakEwma)?));
    cases.push(two_clock_reads());
    cases.extend(limits::borrowed(instances));
    cases.extend(limits::owned(instances));
    #[cfg(feature = "peers")]
    cases.extend(crate::peers::handle(instances)?);
    Ok(cases)
}

fn by_key(resolver: Resolver) -> Case {
    Case::new(Kind::Portolan, "pick by key, maglev", move |thread| {
        let (resolver, mut next_key) = (resolver.clone(), keys(thread));
        move || resolver.pick_by_key(&next_key()).map_or(0, |pick| port(&pick))
    })
}

/// A request by latency, with its outcome: the clock is read when it is picked, and when what it took is taken in.
fn by_latency(resolver: Resolver) -> Case {
    Case::new(Kind::Portolan, "request, peak ewma", move |_| {
        let resolver = resolver.clone();
        move || {
            let Ok(pick) = resolver.pick() else { return 0 };
            let port = port(&pick);
            pick.success(LATENCY);
            port
        }
    })
}

const LATENCY: Duration = Duration::from_millis(5);

/// What a request by latency may cost above one that is picked by its load.
fn two_clock_reads() -> Case {
    #[expect(clippy::disallowed_methods, reason = "what it costs is what is asked")]
    let read = || std::hint::black_box(Instant::now());
    Case::new(Kind::Limit, "two clock reads", move |_| {
        move || {
            let (from, to) = (read(), read());
            u16::from(to < from)
        }
    })
}

/// Keys that nobody has seen yet, other ones on each thread. Their hashes lie anywhere.
pub(crate) fn keys(thread: usize) -> impl FnMut() -> [u8; 16] {
    let mut key = (thread as u128) << 64;
    move || {
        key += 1;
        key.to_be_bytes()
    }
}

fn port(endpoint: &Endpoint) -> u16 {
    endpoint.port
}

pub(crate) fn peek(resolver: &Resolver) -> u16 {
    resolver.peek(port).unwrap_or(0)
}

/// Picks, reads, and drops: the whole of what a request pays.
fn pick(resolver: &Resolver) -> u16 {
    resolver.pick().map_or(0, |pick| port(&pick))
}
