//! The bytes of format 1, and what is no row.

use std::time::Duration;

use super::*;
use crate::state::rows::{Ask, CheckFacts, CheckOf, Health, NodeSpec, Origin, Pairs, Probe, ServiceSpec};

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
    };
    let row = CheckRow { key: RowKey(0), node: "".into(), facts, create: 4, modify: 5 };
    Kept::Check { node: RowKey(1), row: Arc::new(row), spec: Some(Arc::new(CheckSpec::new("c", "C", probe))) }
}

/// When this is red, rows that are on disk already can no longer be read: raise [`FORMAT`], and migrate.
#[test]
fn format_1_is_these_bytes() {
    assert_eq!(FORMAT, 1);
    for (kept, bytes) in [
        (node(), "00016e01690161000101016b017601ac0201"),
        (service(), "0101027731037765620101740050000001010000010203"),
        (
            check(),
            "0201016301430001016f037463700331307300010277310405010163014300010103683a31000a00000000000000",
        ),
    ] {
        assert_eq!(hex(&kept.encode().unwrap()), bytes);
        assert_eq!(Kept::decode(&kept.encode().unwrap()), Ok(kept));
    }
}

#[test]
fn what_is_no_row_is_refused_and_never_half_read() {
    for kept in [node(), service(), check()] {
        let bytes = kept.encode().unwrap();
        for end in 0..bytes.len() {
            assert!(Kept::decode(&bytes[..end]).is_err(), "{end} bytes of {}", kept.describe());
        }
        let longer = [&bytes[..], &[0]].concat();
        assert_eq!(Kept::decode(&longer), Err(Unreadable("1 bytes too many".to_owned())));
    }
    assert!(Kept::decode(&[9]).is_err());
}
