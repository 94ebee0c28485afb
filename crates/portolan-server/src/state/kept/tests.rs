//! The bytes of formats 1 to 4, and what is no row.

use std::time::Duration;

use super::*;
use crate::{
    acl::{secret::Secret, stamp::Stamp},
    state::{
        acl::rows::{NodeIdentity, PolicySpec, ServiceIdentity, TokenSpec},
        kv::rows::KvRow,
        prepared::rows::{Failover, QueryRow, QuerySpec, Template, Wanted},
        rows::{Ask, CheckFacts, CheckOf, Health, NodeSpec, Origin, Pairs, Probe, ServiceSpec},
        sessions::rows::{Behavior, ServiceCheck, SessionRow, SessionSpec},
    },
};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn node() -> Kept {
    let spec = NodeSpec {
        name: "n".into(),
        id: "i".into(),
        address: "a".into(),
        tagged: None,
        meta: Some(Pairs::from([("k".into(), "v".into())])),
    };
    Kept::Node { row: Arc::new(NodeRow { key: RowKey(0), spec, create: 1, modify: 300 }), home: true }
}

fn service() -> Kept {
    let spec = ServiceSpec { port: 80, tags: Arc::from(["t".into()]), ..ServiceSpec::new("web", "w1") };
    let row = ServiceRow { key: RowKey(0), spec, origin: Origin::Catalog, create: 2, modify: 3 };
    Kept::Service { node: RowKey(1), row: Arc::new(row) }
}

fn meshed() -> Kept {
    let mesh = Mesh {
        kind: "connect-proxy".into(),
        proxy: "{}".into(),
        destination: "web".into(),
        ..Mesh::default()
    };
    let spec = ServiceSpec::new("web-proxy", "wp");
    let row = ServiceRow { key: RowKey(0), spec, origin: Origin::Agent, create: 2, modify: 3 };
    Kept::Meshed { node: RowKey(1), row: Arc::new(row), mesh: Arc::new(mesh) }
}

fn check() -> Kept {
    let ask = Ask::Tcp { target: "h:1".into(), tls: None };
    let probe = Probe::Run { ask, interval: Duration::from_secs(10), timeout: None };
    let of = CheckOf { id: "w1".into(), name: "".into(), tags: Arc::from([]) };
    let facts = CheckFacts {
        id: "c".into(),
        name: "C".into(),
        notes: "".into(),
        status: Health::Warning,
        output: "o".into(),
        kind: "tcp".into(),
        interval: "10s".into(),
        timeout: "".into(),
        of: Some(of),
        definition: None,
    };
    let row = CheckRow { key: RowKey(0), node: "".into(), facts, create: 4, modify: 5 };
    Kept::Check { node: RowKey(1), row: Arc::new(row), spec: Some(Arc::new(CheckSpec::new("c", "C", probe))) }
}

fn policy() -> Kept {
    let spec = PolicySpec {
        id: "p".into(),
        name: "web".into(),
        description: "d".into(),
        rules: "acl = \"read\"".into(),
        datacenters: vec!["dc1".into()],
    };
    Kept::Policy(Arc::new(PolicyRow { key: RowKey(0), spec, create: 6, modify: 7 }))
}

fn token() -> Kept {
    let mut spec = TokenSpec::new(&Secret::new("s"), "a", Stamp(300));
    spec.policies = vec!["p".into()];
    spec.services = vec![ServiceIdentity { service: "web".into(), datacenters: vec!["dc1".into()] }];
    spec.nodes = vec![NodeIdentity { node: "n".into(), datacenter: "dc1".into() }];
    spec.expires = Some(Stamp(400));
    Kept::Token(Arc::new(TokenRow { key: RowKey(0), spec, create: 8, modify: 9 }))
}

fn kv() -> Kept {
    let (key, name) = (RowKey(0), "a/b".into());
    let (value, session) = (Arc::from(*b"\x00v"), Some("s".into()));
    let row = KvRow { key, name, value, flags: u64::MAX, session, lock_index: 2, create: 10, modify: 11 };
    Kept::Kv(Arc::new(row))
}

fn session() -> Kept {
    let spec = SessionSpec {
        id: "s".into(),
        name: "n".into(),
        node: "".into(),
        lock_delay: Duration::from_secs(15),
        behavior: Behavior::Delete,
        ttl_text: "10s".into(),
        ttl: Some(Duration::from_secs(10)),
        node_checks: Some(vec!["serfHealth".into()]),
        service_checks: Some(vec![ServiceCheck { id: "c".into(), namespace: "".into() }]),
        checks: vec!["x".into()],
    };
    Kept::Session {
        node: RowKey(1),
        row: Arc::new(SessionRow { key: RowKey(0), spec, create: 12, modify: 13 }),
    }
}

fn query() -> Kept {
    let wanted = Wanted {
        service: "web".into(),
        failover: Failover { skip_local: true, nearest: 2, datacenters: Some(vec!["dc2".into()]) },
        only_passing: true,
        ignore_checks: Some(vec!["c".into()]),
        near: "_agent".into(),
        tags: Some(vec!["!t".into()]),
        node_meta: None,
        service_meta: Some(Pairs::from([("k".into(), "v".into())])),
        connect: false,
    };
    let spec = QuerySpec {
        id: "q".into(),
        name: "n".into(),
        session: "s".into(),
        token: Some(Secret::new("s").hash()),
        template: Some(Template { regexp: "^".into(), remove_empty_tags: true }),
        wanted,
        ttl: "10s".into(),
    };
    Kept::Query(Arc::new(QueryRow { key: RowKey(0), spec, create: 14, modify: 15 }))
}

fn defined() -> Kept {
    let Kept::Check { node, row, .. } = check() else { panic!("it is a check") };
    Kept::Defined { node, row, definition: r#"{"TCP":"h:1"}"#.into() }
}

/// When this is red, rows that are on disk already can no longer be read: raise [`FORMAT`], and migrate. Format 2 began
/// with policies and tokens; the rows of format 1 are the first three. Format 3 began with keys, format 4 with the last two.
#[test]
fn format_4_is_these_bytes() {
    assert_eq!(FORMAT, 4);
    for (kept, bytes) in [
        (node(), "00016e01690161000101016b017601ac0201"),
        (service(), "0101027731037765620101740050000001010000010203"),
        (
            check(),
            "0201016301430001016f037463700331307300010277310405010163014300010103683a31000a00000000000000",
        ),
        (policy(), "0301700377656201640c61636c203d2022726561642201036463310607"),
        (
            token(),
            concat!(
                "040161043a718774c572bd8a25adbeb1bfcd5c0256ae11cecf9f9c3f925d0e52beaf89",
                "000101700103776562010364633101016e0364633100ac020190030809"
            ),
        ),
        (Kept::Bootstrapped { at: 300 }, "05ac02"),
        (kv(), "0603612f62020076ffffffffffffffffff01010173020a0b"),
        (session(), "07010173016e0f000103313073010a0001010a736572664865616c746801010163000101780c0d"),
        (
            meshed(),
            "0801027770097765622d70726f78790000000000010100000002030d636f6e6e6563742d70726f78790000027b7d0377656200",
        ),
        (
            query(),
            concat!(
                "090171016e017301043a718774c572bd8a25adbeb1bfcd5c0256ae11cecf9f9c3f925d0e52beaf8901015e01",
                "0377656201020101036463320101010163065f6167656e740101022174000101016b017600033130730e0f"
            ),
        ),
        (defined(), "0a01016301430001016f0374637003313073000102773104050d7b22544350223a22683a31227d"),
    ] {
        assert_eq!(hex(&kept.encode().unwrap()), bytes);
        assert_eq!(Kept::decode(&kept.encode().unwrap()), Ok(kept));
    }
}

#[test]
fn what_is_no_row_is_refused_and_never_half_read() {
    let rules = [policy(), token(), Kept::Bootstrapped { at: 300 }];
    for kept in
        [node(), service(), check(), kv(), session(), meshed(), query(), defined()].into_iter().chain(rules)
    {
        let bytes = kept.encode().unwrap();
        for end in 0..bytes.len() {
            assert!(Kept::decode(&bytes[..end]).is_err(), "{end} bytes of {}", kept.describe());
        }
        let longer = [&bytes[..], &[0]].concat();
        assert_eq!(Kept::decode(&longer), Err(Unreadable("1 bytes too many".to_owned())));
    }
    assert!(Kept::decode(&[11]).is_err());
}
