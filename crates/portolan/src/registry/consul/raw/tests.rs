//! What is recalled is what a plain decode reads, whatever came before.
#![expect(clippy::arithmetic_side_effects, reason = "small numbers, of the tests' own")]

use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::{model::Instance, roll::Rolls};

/// One entry, as far as the tests vary it.
#[derive(Clone, Debug)]
struct Made {
    node: u8,
    id: u8,
    port: i32,
    text: String,
    output: u8,
    extra: u8,
}

fn made() -> impl Strategy<Value = Made> {
    let port = prop_oneof![9 => 0i32..3, 1 => Just(70_000)];
    let text = prop_oneof![Just(String::new()), "[a-c]{1,2}", "[\"\\\\{}\\[\\],:é😀\n\u{1}/]{1,4}"];
    (0u8..3, 0u8..5, port, text, 0u8..3, 0u8..6).prop_map(|(node, id, port, text, output, extra)| Made {
        node,
        id,
        port,
        text,
        output,
        extra,
    })
}

impl Made {
    fn entry(&self) -> Value {
        let Self { node, id, port, text, output, extra } = self;
        let extra = match extra {
            0 => json!(null),
            1 => json!({"deep": [[{"\"}": ["]", {}]}], -1.5e3, true], text: text}),
            2 => json!([text, "\\\"", "}{"]),
            3 => json!(1e300),
            4 => json!(text),
            _ => json!(18_446_744_073_709_551_615_u64),
        };
        json!({
            "Node": {"Node": format!("n{node}"), "Address": "10.0.0.1", "Datacenter": "dc1", "Meta": {"zone": text}},
            "Extra": extra,
            "Service": {"ID": format!("web-{id}"), "Service": "web", "Port": port, "Tags": [text, "t"],
                        "Meta": {text: "v", "k": text}, "Weights": null},
            "Checks": [{"CheckID": "c", "Name": text, "Status": "passing", "Output": output.to_string(),
                        "ServiceID": "x"}],
        })
    }
}

/// Writes JSON as nobody would, but anybody may: spaces anywhere, any character escaped.
fn write(value: &Value, rolls: &mut Rolls, to: &mut String) {
    let space = |rolls: &mut Rolls, to: &mut String| {
        to.push_str(["", "", "", "", " ", "\n", "\t \r"][usize::try_from(rolls.next() % 7).unwrap()]);
    };
    space(rolls, to);
    match value {
        Value::String(text) => quote(text, rolls, to),
        Value::Array(list) => {
            to.push('[');
            for (at, value) in list.iter().enumerate() {
                to.push_str(if at > 0 { "," } else { "" });
                write(value, rolls, to);
            }
            space(rolls, to);
            to.push(']');
        }
        Value::Object(map) => {
            to.push('{');
            for (at, (key, value)) in map.iter().enumerate() {
                to.push_str(if at > 0 { "," } else { "" });
                space(rolls, to);
                quote(key, rolls, to);
                space(rolls, to);
                to.push(':');
                write(value, rolls, to);
            }
            to.push('}');
        }
        scalar => to.push_str(&scalar.to_string()),
    }
    space(rolls, to);
}

fn quote(text: &str, rolls: &mut Rolls, to: &mut String) {
    use std::fmt::Write as _;
    to.push('"');
    for c in text.chars() {
        if rolls.next().is_multiple_of(8) || c < ' ' {
            c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| write!(to, "\\u{unit:04x}").unwrap());
        } else if matches!(c, '"' | '\\') {
            to.extend(['\\', c]);
        } else {
            to.push(c);
        }
    }
    to.push('"');
}

/// What comes next: a change of the entries, and how they are written.
#[derive(Clone, Debug)]
enum Next {
    Change(usize, Made),
    Add(usize, Made),
    Remove(usize),
    Turn(usize),
    Twice(usize),
    Rewrite(u64),
    Same,
}

fn next() -> impl Strategy<Value = Next> {
    let at = || 0usize..40;
    prop_oneof![
        3 => (at(), made()).prop_map(|(at, made)| Next::Change(at, made)),
        3 => (at(), made()).prop_map(|(at, made)| Next::Add(at, made)),
        2 => at().prop_map(Next::Remove),
        1 => at().prop_map(Next::Turn),
        1 => at().prop_map(Next::Twice),
        1 => any::<u64>().prop_map(Next::Rewrite),
        1 => Just(Next::Same),
    ]
}

/// Damage to a body: a byte that is put in, set or taken out, or an end.
#[derive(Clone, Copy, Debug)]
enum Harm {
    None,
    Cut(usize),
    Set(usize, u8),
    Insert(usize, u8),
    Take(usize),
}

fn harm() -> impl Strategy<Value = Harm> {
    let byte = prop_oneof![prop::sample::select(b"{}[]\",:\\ 0n\xff".to_vec()), any::<u8>()];
    prop_oneof![
        6 => Just(Harm::None),
        1 => any::<usize>().prop_map(Harm::Cut),
        1 => (any::<usize>(), byte.clone()).prop_map(|(at, byte)| Harm::Set(at, byte)),
        1 => (any::<usize>(), byte).prop_map(|(at, byte)| Harm::Insert(at, byte)),
        1 => any::<usize>().prop_map(Harm::Take),
    ]
}

impl Harm {
    fn done_to(self, mut body: Vec<u8>) -> Vec<u8> {
        let len = body.len();
        match self {
            Self::None => {}
            Self::Cut(at) => body.truncate(at % len),
            Self::Set(at, byte) => body[at % len] = byte,
            Self::Insert(at, byte) => body.insert(at % len, byte),
            Self::Take(at) => drop(body.remove(at % len)),
        }
        body
    }
}

/// A written entry: the piece of a body.
fn written(made: &Made, seed: u64) -> String {
    let mut text = String::new();
    write(&made.entry(), &mut Rolls::new(seed), &mut text);
    text
}

/// The reader under test, and the list that it gave last.
struct Reader {
    recall: Recall,
    list: Vec<Arc<Instance>>,
}

impl Reader {
    fn new() -> Self {
        Self { recall: Recall::new(5), list: Vec::new() }
    }

    fn check(&mut self, body: &[u8], output: CheckOutput) -> Result<(), TestCaseError> {
        let plain = health::decode(body, output);
        prop_assert_eq!(is_split(body, output, &self.recall), plain.is_ok());
        let recalled = decode(body, output, &self.recall);
        let (Ok(plain), Ok(recalled)) = (&plain, &recalled) else {
            prop_assert_eq!(
                plain.map_err(|error| error.to_string()),
                recalled.map_err(|error| error.to_string())
            );
            return Ok(());
        };
        prop_assert_eq!(&plain.instances, &recalled.instances);
        let left_out = |decoded: &Decoded| decoded.unreadable.len() + decoded.still_unreadable;
        prop_assert_eq!(left_out(plain), left_out(recalled));
        for new in &recalled.instances {
            let old = self.list.iter().find(|old| old.identity == new.identity);
            prop_assert!(old.is_none_or(|old| Arc::ptr_eq(old, new) == (old == new)), "{new:?}");
        }
        self.list.clone_from(&recalled.instances);
        Ok(())
    }
}

/// Entries with their pieces, as a sequence of changes makes them.
fn bodies(first: Vec<Made>, changes: Vec<Next>) -> Vec<Vec<String>> {
    let mut now: Vec<(Made, String)> =
        first.into_iter().map(|made| (made.clone(), written(&made, 1))).collect();
    let mut bodies = vec![now.clone()];
    for (seed, change) in (2..).zip(changes) {
        let place = |at: usize| at.checked_rem(now.len());
        match change {
            Next::Change(at, made) => {
                if let Some(at) = place(at) {
                    now[at] = (made.clone(), written(&made, seed));
                }
            }
            Next::Add(at, made) => now.insert(at % (now.len() + 1), (made.clone(), written(&made, seed))),
            Next::Remove(at) => drop(place(at).map(|at| now.remove(at))),
            Next::Turn(at) => drop(place(at).map(|at| now.rotate_left(at))),
            Next::Twice(at) => {
                if let Some(at) = place(at) {
                    let again = now[at].clone();
                    now.push(again);
                }
            }
            Next::Rewrite(seed) => now.iter_mut().for_each(|(made, text)| *text = written(made, seed)),
            Next::Same => {}
        }
        bodies.push(now.clone());
    }
    bodies.into_iter().map(|body| body.into_iter().map(|(_, text)| text).collect()).collect()
}

proptest! {
    #[test]
    fn a_recalled_decode_is_a_plain_decode(
        first in proptest::collection::vec(made(), 0..12),
        changes in proptest::collection::vec((next(), harm()), 0..12),
        keep in any::<bool>(),
    ) {
        let output = if keep { CheckOutput::Keep } else { CheckOutput::Drop };
        let (changes, harms): (Vec<_>, Vec<_>) = changes.into_iter().unzip();
        let mut reader = Reader::new();
        for (pieces, harm) in bodies(first, changes).into_iter().zip([Harm::None].into_iter().chain(harms)) {
            reader.check(&harm.done_to(format!(" [{}]\n", pieces.join(",")).into_bytes()), output)?;
        }
    }

    #[test]
    fn no_bytes_panic_or_are_read_otherwise(bodies in proptest::collection::vec("[\\[\\]{}\",:\\\\ nul0-]{0,12}", 0..4)) {
        let mut reader = Reader::new();
        for body in bodies {
            reader.check(body.as_bytes(), CheckOutput::Drop)?;
        }
    }
}

fn body(entries: &[Value]) -> Vec<u8> {
    serde_json::to_vec(entries).unwrap()
}

fn entry(id: u8) -> Value {
    Made { node: 1, id, port: 80, text: "t".to_owned(), output: 1, extra: 0 }.entry()
}

#[test]
fn other_output_of_a_check_is_no_change_unless_it_is_kept() {
    let mut other = entry(1);
    other["Checks"][0]["Output"] = json!("another word");
    for (output, changes) in [(CheckOutput::Drop, false), (CheckOutput::Keep, true)] {
        let recall = Recall::new(1);
        let read = |body: &[u8]| decode(body, output, &recall).unwrap().instances.remove(0);
        let before = read(&body(&[entry(1)]));
        let after = read(&body(std::slice::from_ref(&other)));
        assert_eq!(Arc::ptr_eq(&before, &after), !changes);
        assert_eq!(before == after, !changes);
    }
}

#[test]
fn a_recall_that_is_asked_in_another_way_gives_what_was_asked_for() {
    let (recall, body) = (Recall::new(1), body(&[entry(1)]));
    for (output, expected) in [(CheckOutput::Drop, ""), (CheckOutput::Keep, "1"), (CheckOutput::Drop, "")] {
        let instance = decode(&body, output, &recall).unwrap().instances.remove(0);
        assert_eq!(&*instance.checks[0].output, expected);
    }
}

#[test]
fn an_unreadable_entry_is_told_once_and_counted_each_time() {
    let (recall, mut bad) = (Recall::new(1), entry(1));
    bad["Service"]["Port"] = json!(70_000);
    let left_out = |entries: &[Value]| {
        let decoded = decode(&body(entries), CheckOutput::Drop, &recall).unwrap();
        (decoded.unreadable.len(), decoded.still_unreadable)
    };
    assert_eq!(left_out(&[entry(0), bad.clone()]), (1, 0));
    assert_eq!(left_out(&[entry(0), bad.clone()]), (0, 1));
    assert_eq!(left_out(&[bad.clone(), entry(2)]), (0, 1));
    assert_eq!(left_out(&[entry(0)]), (0, 0));
    assert_eq!(left_out(&[bad]), (1, 0), "nothing is kept beyond the last answer");
}

#[test]
fn a_bad_body_leaves_what_is_remembered() {
    let recall = Recall::new(1);
    let read = |body: &[u8]| decode(body, CheckOutput::Drop, &recall);
    let good = body(&[entry(1), entry(2)]);
    let before = read(&good).unwrap().instances;
    for bad in [&good[..good.len() - 1], b"", b"{}", b"[1]", b"<html>"] {
        read(bad).unwrap_err();
    }
    let after = read(&good).unwrap().instances;
    assert!(before.iter().zip(&after).all(|(one, other)| Arc::ptr_eq(one, other)));
}

#[test]
fn texts_that_repeat_are_one() {
    let instances =
        decode(&body(&[entry(1), entry(2)]), CheckOutput::Drop, &Recall::new(1)).unwrap().instances;
    let [one, other] = &instances[..] else { panic!("two") };
    for (one, other) in [
        (&one.identity.datacenter, &other.identity.datacenter),
        (&one.identity.node, &other.identity.node),
        (&one.service, &other.service),
        (one.meta.get("k").unwrap(), other.meta.get("k").unwrap()),
        (&one.checks[0].name, &other.checks[0].name),
        (one.zone.as_ref().unwrap(), other.zone.as_ref().unwrap()),
    ] {
        assert!(Arc::ptr_eq(one, other), "{one}");
    }
    assert!(Arc::ptr_eq(&one.tags, &other.tags));
}

#[test]
fn two_reads_at_once_do_not_meet() {
    let recall = Recall::new(1);
    let one = body(&[entry(1)]);
    let before = decode(&one, CheckOutput::Drop, &recall).unwrap().instances.remove(0);
    let memory = recall.take(); // as a read does, while
    let meanwhile = decode(&one, CheckOutput::Drop, &recall.clone()).unwrap().instances.remove(0);
    assert!(!Arc::ptr_eq(&before, &meanwhile) && before == meanwhile);
    recall.put(memory);
    assert!(Arc::ptr_eq(&before, &decode(&one, CheckOutput::Drop, &recall).unwrap().instances[0]));
}
