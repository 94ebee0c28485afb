//! Tokens and policies: what they come to, what is refused, and that they are back after a restart.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::{
    acl::{
        Access, DefaultPolicy, Resource,
        secret::{Secret, SecretHash},
        stamp::Stamp,
    },
    state::acl::{
        ANONYMOUS, AclCommand, AclRefused, GLOBAL_MANAGEMENT,
        rows::{NodeIdentity, PolicySpec, ServiceIdentity, TokenSpec},
    },
};

const NOW: Stamp = Stamp(1_000_000_000_000);

fn hash(secret: &str) -> SecretHash {
    Secret::new(secret).hash()
}

fn policy(id: &str, name: &str, rules: &str) -> Box<PolicySpec> {
    let [id, name, rules, description] = [id, name, rules, ""].map(Text::from);
    Box::new(PolicySpec { id, name, description, rules, datacenters: Vec::new() })
}

fn token(accessor: &str, secret: &str, policies: &[&str]) -> Box<TokenSpec> {
    let policies = policies.iter().map(|id| Text::from(*id)).collect();
    Box::new(TokenSpec { policies, ..TokenSpec::new(&Secret::new(secret), accessor, NOW) })
}

fn started(state: &mut State, otherwise: DefaultPolicy, initial: Option<Box<TokenSpec>>) {
    let start = AclCommand::Start { otherwise, datacenter: "dc1".into(), initial, now: NOW };
    done(state, start);
}

fn change(state: &mut State, command: AclCommand) -> (Result<(), AclRefused>, Changes) {
    let (reply, changes) = state.apply(Command::Acl(command), start().1);
    let reply = reply.map_err(|why| match why {
        Refused::Acl(why) => why,
        other => panic!("{other}"),
    });
    (reply, changes)
}

fn done(state: &mut State, command: AclCommand) -> Changes {
    let (reply, changes) = change(state, command);
    assert_eq!(reply, Ok(()));
    changes
}

fn state() -> State {
    start().0
}

fn fresh() -> State {
    let mut state = state();
    started(&mut state, DefaultPolicy::Deny, None);
    state
}

fn may(state: &State, secret: &str, resource: Resource, name: &str, access: Access) -> bool {
    state.permit(Some(&hash(secret)), NOW).unwrap().may.allows(resource, name, access)
}

#[test]
fn it_begins_with_two_policies_and_the_token_of_those_who_show_none() {
    let mut state = fresh();
    let names: Vec<_> = state.policies().iter().map(|row| row.spec.name.to_string()).collect();
    assert_eq!(names, ["builtin/global-read-only", "global-management"]);
    let permit = state.permit(None, NOW).unwrap();
    assert_eq!(&*permit.accessor, ANONYMOUS);
    assert!(!permit.may.sees_all() && !permit.may.allows(Resource::Node, "n", Access::Read));
    assert!(state.permit(Some(&hash("nobody")), NOW).is_none());
    // Starting again changes nothing.
    let again = AclCommand::Start {
        otherwise: DefaultPolicy::Allow,
        datacenter: "dc1".into(),
        initial: None,
        now: NOW,
    };
    let changes = done(&mut state, again);
    assert_eq!(changes, Changes::default());
    assert!(state.permit(None, NOW).unwrap().may.sees_all(), "but the default is the new one");
}

#[test]
fn a_bootstrap_happens_once_and_an_initial_token_takes_its_place() {
    let mut state = fresh();
    let manager = |secret: &str| token(secret, secret, &[GLOBAL_MANAGEMENT]);
    let at = state.last_index() + 1;
    done(&mut state, AclCommand::Bootstrap(manager("m")));
    assert!(may(&state, "m", Resource::Acl, "", Access::Write));
    assert!(may(&state, "m", Resource::Service, "web", Access::Write));
    assert!(state.permit(Some(&hash("m")), NOW).unwrap().may.sees_all());
    done(&mut state, AclCommand::RemoveToken { accessor: "m".into() });
    assert_eq!(change(&mut state, AclCommand::Bootstrap(manager("m2"))).0, Err(AclRefused::Bootstrapped(at)));

    let mut state = self::state();
    started(&mut state, DefaultPolicy::Deny, Some(manager("i")));
    assert!(may(&state, "i", Resource::Acl, "", Access::Write));
    assert!(matches!(
        change(&mut state, AclCommand::Bootstrap(manager("m"))).0,
        Err(AclRefused::Bootstrapped(_))
    ));
}

#[test]
fn a_change_of_a_policy_counts_for_its_tokens_at_once() {
    let mut state = fresh();
    done(&mut state, AclCommand::CreatePolicy(policy("p", "web", r#"service "web" { policy = "read" }"#)));
    done(&mut state, AclCommand::CreateToken(token("a", "s", &["p"])));
    let before = state.permit(Some(&hash("s")), NOW).unwrap();
    assert!(before.may.allows(Resource::Service, "web", Access::Read));
    let changes = done(
        &mut state,
        AclCommand::UpdatePolicy(policy("p", "web", r#"service "web" { policy = "deny" }"#)),
    );
    assert_eq!(changes.keys, BTreeSet::from([Key::Policies]));
    let after = state.permit(Some(&hash("s")), NOW).unwrap();
    assert!(!after.may.allows(Resource::Service, "web", Access::Read) && after.since > before.since);
    done(&mut state, AclCommand::RemovePolicy { id: "p".into() });
    assert_eq!(state.token("a", NOW).unwrap().policies, [], "a link to what has gone is not shown");
    // The same again is no change, though the policy has gone.
    let same = AclCommand::UpdateToken { spec: token("a", "", &["p"]), secret: None };
    assert_eq!(done(&mut state, same), Changes::default());
}

#[test]
fn identities_are_policies_of_their_own_where_they_are_meant() {
    let mut state = fresh();
    let mut spec = *token("a", "s", &[]);
    let service = |name: &str, datacenters: &[&str]| ServiceIdentity {
        service: name.into(),
        datacenters: datacenters.iter().map(|name| Text::from(*name)).collect(),
    };
    spec.services = vec![service("web", &[]), service("db", &["dc1"]), service("far", &["dc2"])];
    let node =
        |name: &str, datacenter: &str| NodeIdentity { node: name.into(), datacenter: datacenter.into() };
    spec.nodes = vec![node("n1", "dc1"), node("n2", "dc2")];
    done(&mut state, AclCommand::CreateToken(Box::new(spec)));
    for (resource, name, read, write) in [
        (Resource::Service, "web", true, true),
        (Resource::Service, "web-sidecar-proxy", true, true),
        (Resource::Service, "db", true, true),
        (Resource::Service, "far", true, false),
        (Resource::Node, "n1", true, true),
        (Resource::Node, "n2", true, false),
        (Resource::Key, "k", false, false),
    ] {
        assert_eq!(may(&state, "s", resource, name, Access::Read), read, "read {name}");
        assert_eq!(may(&state, "s", resource, name, Access::Write), write, "write {name}");
    }
}

#[test]
fn a_token_that_has_ended_is_found_by_nobody_and_goes_with_the_next_write() {
    let mut state = fresh();
    let mut spec = *token("a", "s", &[]);
    let end = NOW.after(Duration::from_secs(60));
    spec.expires = Some(end);
    done(&mut state, AclCommand::CreateToken(Box::new(spec)));
    let just_before = Stamp(end.0 - 1);
    assert!(state.permit(Some(&hash("s")), just_before).is_some() && state.token("a", just_before).is_some());
    assert!(state.permit(Some(&hash("s")), end).is_none() && state.token("a", end).is_none());
    assert!(state.token_of(&hash("s"), end).is_none() && state.tokens(end).len() == 1);
    let later = TokenSpec { created: end, ..*token("b", "s", &[]) };
    let changes = done(&mut state, AclCommand::CreateToken(Box::new(later)));
    assert_eq!(changes.rows.iter().filter(|(_, row)| row.is_none()).count(), 1, "its row is removed");
    assert_eq!(&*state.permit(Some(&hash("s")), end).unwrap().accessor, "b", "its secret is free again");
}

#[test]
fn what_cannot_be_is_refused_and_changes_nothing() {
    let mut state = fresh();
    done(&mut state, AclCommand::CreatePolicy(policy("p", "web", "")));
    done(&mut state, AclCommand::CreatePolicy(policy("q", "db", "")));
    done(&mut state, AclCommand::CreateToken(token("a", "s", &["p"])));
    let text = |text: &str| Text::from(text);
    let update = |spec: Box<TokenSpec>, secret: Option<&str>| AclCommand::UpdateToken {
        spec,
        secret: secret.map(hash),
    };
    let local = TokenSpec { local: true, ..*token("a", "s", &[]) };
    let ends = TokenSpec { expires: Some(NOW.after(Duration::from_secs(90))), ..*token("a", "s", &[]) };
    for (command, refused) in [
        (AclCommand::CreatePolicy(policy("r", "web", "")), AclRefused::NameTaken(text("web"))),
        (AclCommand::UpdatePolicy(policy("q", "web", "")), AclRefused::NameTaken(text("web"))),
        (AclCommand::UpdatePolicy(policy("r", "r", "")), AclRefused::NoPolicyToUpdate(text("r"))),
        (
            AclCommand::UpdatePolicy(policy(GLOBAL_MANAGEMENT, "x", "")),
            AclRefused::Builtin(text("global-management")),
        ),
        (
            AclCommand::RemovePolicy { id: GLOBAL_MANAGEMENT.into() },
            AclRefused::BuiltinRemoved(text("global-management")),
        ),
        (AclCommand::RemovePolicy { id: text("r") }, AclRefused::NoPolicyToRemove),
        (AclCommand::CreateToken(token("a", "s2", &[])), AclRefused::AccessorTaken),
        (AclCommand::CreateToken(token("b", "s", &[])), AclRefused::SecretTaken),
        (AclCommand::CreateToken(token("b", "s2", &["r"])), AclRefused::NoPolicyWithId(text("r"))),
        (update(token("b", "", &[]), None), AclRefused::NoToken(text("b"))),
        (update(token("a", "", &[]), Some("s2")), AclRefused::OtherSecret),
        (update(token("a", "", &["r"]), Some("s")), AclRefused::NoPolicyWithId(text("r"))),
        (update(Box::new(local), None), AclRefused::OtherLocal(text("a"))),
        (update(Box::new(ends), None), AclRefused::OtherEnd(text("a"))),
        (AclCommand::RemoveToken { accessor: text("b") }, AclRefused::NoTokenToRemove),
        (AclCommand::RemoveToken { accessor: ANONYMOUS.into() }, AclRefused::AnonymousRemoved),
    ] {
        let (before, shown) = (state.rows(), format!("{command:?}"));
        assert_eq!(change(&mut state, command), (Err(refused), Changes::default()), "{shown}");
        assert_eq!(state.rows(), before, "{shown}");
        assert!(!shown.contains("s2"), "a secret is shown: {shown}");
    }
}

#[derive(Clone, Debug)]
enum Step {
    Policy { id: u8, name: u8, rules: u8, create: bool },
    NoPolicy { id: u8 },
    Token { id: u8, secret: u8, policies: Vec<u8>, ends: bool, create: bool },
    NoToken { id: u8 },
    Bootstrap,
    Wait,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0..3u8, 0..3u8, 0..3u8, any::<bool>())
            .prop_map(|(id, name, rules, create)| Step::Policy { id, name, rules, create }),
        1 => (0..3u8).prop_map(|id| Step::NoPolicy { id }),
        4 => (0..3u8, 0..3u8, prop::collection::vec(0..3u8, 0..3), any::<bool>(), any::<bool>())
            .prop_map(|(id, secret, policies, ends, create)| Step::Token { id, secret, policies, ends, create }),
        1 => (0..3u8).prop_map(|id| Step::NoToken { id }),
        1 => Just(Step::Bootstrap),
        1 => Just(Step::Wait),
    ]
}

const RULES: [&str; 3] =
    [r#"service_prefix "" { policy = "read" }"#, r#"service "web" { policy = "deny" }"#, r#"acl = "write""#];

fn command(step: &Step, now: Stamp) -> Option<AclCommand> {
    let policy_id = |id: u8| format!("p{id}");
    Some(match step {
        Step::Policy { id, name, rules, create } => {
            let spec = policy(&policy_id(*id), &format!("name{name}"), RULES[usize::from(*rules)]);
            if *create { AclCommand::CreatePolicy(spec) } else { AclCommand::UpdatePolicy(spec) }
        }
        Step::NoPolicy { id } => AclCommand::RemovePolicy { id: policy_id(*id).into() },
        Step::Token { id, secret, policies, ends, create } => {
            let policies: Vec<String> = policies.iter().map(|id| policy_id(*id)).collect();
            let policies: Vec<&str> = policies.iter().map(String::as_str).collect();
            let mut spec = token(&format!("a{id}"), &format!("s{secret}"), &policies);
            spec.created = now;
            if *create {
                spec.expires = ends.then(|| now.after(Duration::from_secs(60)));
                AclCommand::CreateToken(spec)
            } else {
                AclCommand::UpdateToken { spec, secret: None }
            }
        }
        Step::NoToken { id } => AclCommand::RemoveToken { accessor: format!("a{id}").into() },
        Step::Bootstrap => AclCommand::Bootstrap(token("boot", "boot", &[GLOBAL_MANAGEMENT])),
        Step::Wait => return None,
    })
}

/// All that can be asked, of both.
fn told(state: &State, now: Stamp) -> String {
    let tokens: Vec<_> = state.tokens(now).iter().map(|view| format!("{:?}", view.row.spec)).collect();
    let rights: Vec<_> = ["s0", "s1", "s2", "boot", "anonymous"]
        .map(|secret| state.permit(Some(&hash(secret)), now).map(|permit| (permit.accessor, permit.may)))
        .into();
    format!("{tokens:?} {:?} {rights:?}", state.policies())
}

proptest! {
    /// As rows are told, one command at a time, so they are on a disk; a state from them is the same.
    #[test]
    fn what_is_restored_is_what_was(steps in prop::collection::vec(step(), 0..40)) {
        let mut state = state();
        let mut disk: BTreeMap<RowKey, Vec<u8>> = BTreeMap::new();
        disk.extend(state.rows().into_iter().map(|(key, row)| (key, row.encode().unwrap())));
        let mut now = NOW;
        let begin = AclCommand::Start { otherwise: DefaultPolicy::Deny, datacenter: "dc1".into(), initial: None, now };
        let commands = steps.iter().map(|step| {
            if matches!(step, Step::Wait) {
                now = now.after(Duration::from_secs(61));
            }
            command(step, now)
        });
        let commands: Vec<_> = std::iter::once(Some(begin)).chain(commands).flatten().collect();
        for command in commands {
            let before = state.last_index();
            let (reply, changes) = change(&mut state, command);
            prop_assert!(reply.is_ok() || changes == Changes::default());
            prop_assert_eq!(state.last_index() > before, !changes.keys.is_empty());
            for (key, row) in changes.rows {
                match row {
                    Some(row) => disk.insert(key, row.encode().unwrap()),
                    None => disk.remove(&key),
                };
            }
        }
        let rows = state.rows().into_iter().map(|(key, row)| (key, row.encode().unwrap()));
        prop_assert_eq!(&rows.collect::<BTreeMap<_, _>>(), &disk, "all rows at once are those that were told");
        let rows = disk.iter().map(|(key, row)| (*key, Kept::decode(row).unwrap()));
        let Restored { state: mut again, misfits, .. } = State::restore(rows, state.last_index(), node("home"), start().1);
        prop_assert_eq!(misfits, vec![]);
        started(&mut again, DefaultPolicy::Deny, None);
        prop_assert_eq!(told(&again, now), told(&state, now));
        prop_assert_eq!(again.rows(), state.rows());
        let boot = || AclCommand::Bootstrap(token("boot2", "boot2", &[]));
        prop_assert_eq!(change(&mut again, boot()).0, change(&mut state, boot()).0);
    }
}
