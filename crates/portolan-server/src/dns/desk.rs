//! Where a message comes in and its answer goes out, over whatever it came.
//!
//! In:  bytes. Out: bytes; or that nothing is said; or that others are to be asked first.
//!
//! Never: awaits for what the catalogue alone answers; holds the state while it encodes.

use std::{collections::BTreeSet, net::IpAddr, sync::Arc, time::SystemTime};

use super::{
    answer::{Answer, Catalogue, Heard, Outcome, Prepared, Setting, answer},
    fit::{Cut, Over, fit},
    message::{Rcode, Request, Unread, flag},
    name::Name,
    record::Sections,
    recurse::Upstream,
    write::{Manner, rejection},
    zone::Zone,
};
use crate::{
    acl::{Access, Resource},
    chance::Chance,
    config::Dns,
    core::{Core, calendar},
    state::{Admit, Owner, Usable, acl::Permit, rows::NodeRow},
    telemetry::Transport,
};

/// How often others are asked for names that came up on the way.
const ROUNDS: usize = 3;
/// How many names they are asked for each time. Of what is left the names are told, without addresses.
const MOST_NAMES: usize = 16;

/// What whoever asks by DNS may see: it shows no token, so the rights of those without one count.
struct Seen<'a> {
    core: &'a Core,
    /// `None`: there are no rules.
    permit: Option<Permit>,
}

impl<'a> Seen<'a> {
    fn new(core: &'a Core) -> Self {
        let permit = core.config.acl_enabled.then(|| core.look(|state| state.permit(None, calendar())));
        Self { core, permit: permit.flatten() }
    }

    fn may(&self, resource: Resource, name: &str) -> bool {
        match &self.permit {
            Some(permit) => permit.may.allows(resource, name, Access::Read),
            // With rules there are always those of the anonymous token.
            None => !self.core.config.acl_enabled,
        }
    }

    fn node(&self, name: &str) -> bool {
        self.may(Resource::Node, name)
    }

    fn service(&self, name: &str) -> bool {
        self.may(Resource::Service, name)
    }
}

impl Catalogue for Seen<'_> {
    fn usable(&self, service: &str, tag: &str, admit: Admit) -> Vec<Usable> {
        let mut found = self.core.look(|state| state.usable(service, tag, admit));
        if self.core.config.acl_enabled {
            found.retain(|one| self.node(&one.node.spec.name) && self.service(&one.service.spec.name));
        }
        found
    }

    fn prepared(&self, name: &str) -> Option<Prepared> {
        let found = self.core.look(|state| {
            let (_, spec) = state.query_for(name)?;
            // A query that shows a token is carried out with its rights, whoever asks.
            let own = spec.token.filter(|_| self.core.config.acl_enabled);
            let permit = own.map(|token| state.permit(Some(&token), calendar()));
            Some((state.query_entries(&spec.wanted), spec, permit))
        });
        let (mut found, spec, permit) = found?;
        let other = match permit {
            Some(permit) => Some(Seen { core: self.core, permit: Some(permit?) }),
            None => None,
        };
        let seen = other.as_ref().unwrap_or(self);
        if self.core.config.acl_enabled {
            found.retain(|one| seen.node(&one.node.spec.name) && seen.service(&one.service.spec.name));
        }
        Some(Prepared::new(&spec, found))
    }

    fn node_named(&self, lower: &str) -> Option<Arc<NodeRow>> {
        let node = self.core.look(|state| state.node_named(lower))?;
        self.node(&node.spec.name).then_some(node)
    }

    fn owner_of(&self, address: IpAddr) -> Option<Owner> {
        let may = |node: &str, owner: &Owner| {
            let service = match owner {
                Owner::Node(_) => None,
                Owner::Service(name) => Some(name),
            };
            self.node(node) && service.is_none_or(|name| self.service(name))
        };
        self.core.look(|state| state.owner_of(address, may))
    }
}

/// All that answers.
#[derive(Debug)]
pub(super) struct Desk {
    core: Arc<Core>,
    zone: Zone,
    cut: Cut,
    upstream: Upstream,
}

/// What became of a message.
pub(super) enum Turn {
    Say(Vec<u8>),
    Nothing,
    /// To be gone on with by [`Desk::rest`].
    Others(Box<Open>),
}

/// A question that waits for others.
pub(super) struct Open {
    message: Vec<u8>,
    request: Request,
    /// Of a question about the domain: what is wanted, and the chance that the first answer was drawn with.
    names: Option<(BTreeSet<Name>, Chance)>,
    over: Over,
}

/// The time in seconds, as the zone's serial number.
#[expect(clippy::disallowed_methods, reason = "the shell reads the clock, for answers that do not")]
fn time() -> u32 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u32::try_from(now.as_secs() & u64::from(u32::MAX)).unwrap_or_default()
}

impl Desk {
    pub(super) fn new(core: Arc<Core>, dns: &Dns) -> Self {
        let zone = Zone::new(dns, &core.config.datacenter);
        let cut = Cut { most_without_edns: dns.udp_answer_limit, told: dns.enable_truncate };
        Self { core, zone, cut, upstream: Upstream::new(dns) }
    }

    fn asked(&self, request: &Request, heard: &Heard, chance: &mut Chance) -> Answer {
        let (zone, catalogue) = (&self.zone, &Seen::new(&self.core));
        let setting = Setting { zone, catalogue, heard, edns: request.edns.is_some(), time: time() };
        answer(&request.question, &setting, chance)
    }

    fn say(&self, request: &Request, rcode: Rcode, sections: &Sections, over: Over) -> Vec<u8> {
        let recursion = if self.zone.recursion { flag::RECURSION_AVAILABLE } else { 0 };
        let manner = Manner { rcode, flags: flag::AUTHORITATIVE | recursion, edns: true };
        fit(request, manner, sections, over, self.cut)
    }

    /// What is not ours, and nobody else told.
    fn refuse(&self, request: &Request, rcode: Rcode, over: Over) -> Vec<u8> {
        let recursion = if self.zone.recursion { flag::RECURSION_AVAILABLE } else { 0 };
        let manner = Manner { rcode, flags: recursion, edns: self.zone.recursion };
        fit(request, manner, &Sections::default(), over, self.cut)
    }

    /// Takes a message, and answers it if nobody else is needed for that.
    pub(super) fn first(&self, message: &[u8], over: Over, chance: &mut Chance) -> Turn {
        let turn = self.at_once(message, over, chance);
        if let Turn::Say(answer) = &turn {
            self.count(over, answer);
        }
        turn
    }

    fn count(&self, over: Over, answer: &[u8]) {
        let over = match over {
            Over::Udp => Transport::Udp,
            Over::Tcp => Transport::Tcp,
        };
        self.core.figures.told_by_dns(over, answer);
    }

    fn at_once(&self, message: &[u8], over: Over, chance: &mut Chance) -> Turn {
        let request = match Request::read(message) {
            Ok(request) => request,
            Err(Unread::Ignore) => return Turn::Nothing,
            Err(Unread::Reject { id, flags, rcode, question }) => {
                return Turn::Say(rejection(id, flags, rcode, question.as_deref()));
            }
        };
        let drawn = chance.clone();
        let Answer { outcome, wanted } = self.asked(&request, &Heard::new(), chance);
        tracing::debug!(name = ?request.question.name, kind = request.question.kind, "a question");
        let names = match outcome {
            Outcome::Here(rcode, sections) if wanted.is_empty() => {
                return Turn::Say(self.say(&request, rcode, &sections, over));
            }
            Outcome::Here(..) => Some((wanted, drawn)),
            Outcome::Forward if self.zone.recursion => None,
            Outcome::Forward => return Turn::Say(self.refuse(&request, Rcode::Refused, over)),
        };
        Turn::Others(Box::new(Open { message: message.to_vec(), request, names, over }))
    }

    /// Asks others, and answers then: with what they say, or that they did not.
    ///
    /// # Cancel safety
    /// Dropping the future drops the question.
    pub(super) async fn rest(&self, open: Open) -> Vec<u8> {
        let over = open.over;
        let answer = self.with_others(open).await;
        self.count(over, &answer);
        answer
    }

    async fn with_others(&self, open: Open) -> Vec<u8> {
        let Open { message, request, names, over } = open;
        let Some(_place) = self.upstream.place() else {
            tracing::warn!("too many questions wait for recursors: one failed");
            return self.refuse(&request, Rcode::ServFail, over);
        };
        let Some((mut wanted, chance)) = names else {
            let told = self.upstream.forward(&message, &request, over).await;
            return told.unwrap_or_else(|| self.refuse(&request, Rcode::ServFail, over));
        };
        let mut heard = Heard::new();
        for _ in 0..ROUNDS {
            self.upstream.resolve(wanted.into_iter().take(MOST_NAMES), &mut heard).await;
            let Answer { outcome, wanted: more } = self.asked(&request, &heard, &mut chance.clone());
            wanted = more;
            match outcome {
                Outcome::Here(rcode, sections) if wanted.is_empty() => {
                    return self.say(&request, rcode, &sections, over);
                }
                _ => {}
            }
        }
        let said = self.asked(&request, &heard, &mut chance.clone()).outcome;
        match said {
            Outcome::Here(rcode, sections) => self.say(&request, rcode, &sections, over),
            Outcome::Forward => self.refuse(&request, Rcode::ServFail, over),
        }
    }
}
