//! What is saved comes back whole, and nothing else does.

use proptest::prelude::*;

use super::*;
use crate::model::{CheckScope, CheckState, Identity, ServiceName, Status, Unreadable, Weights};

fn key(service: &str) -> CacheKey {
    CacheKey {
        registry: "Consul at http://127.0.0.1:8500".into(),
        datacenter: None,
        namespace: "".into(),
        partition: "".into(),
        scope: "".into(),
        service: ServiceName::new(service).unwrap(),
    }
}

fn signer() -> Signer {
    Signer::new(b"sixteen bytes at least").unwrap()
}

fn saved(instances: Vec<Instance>) -> Saved {
    let mut instances: Vec<Arc<Instance>> = instances.into_iter().map(Arc::new).collect();
    instances.sort_by(|one, other| one.identity.cmp(&other.identity));
    instances.dedup_by(|one, other| one.identity == other.identity);
    Saved {
        key: key("web"),
        proof: Duration::from_millis(1_700_000_000_123),
        way: vec![Source::Live],
        index: 42,
        streaming: false,
        hidden: Hidden::No,
        last_seen: Some(Duration::from_millis(1_700_000_000_000)),
        instances: instances.into(),
    }
}

fn word() -> impl Strategy<Value = String> {
    prop_oneof![3 => "[a-c]{0,2}", 1 => "\\PC{0,6}", 1 => Just("\"\\\u{0}\n😀".to_owned())]
}

prop_compose! {
    fn check()(id in word(), name in word(), output in word(), status in 0usize..4, node: bool) -> CheckState {
        let status = [Status::Passing, Status::Warning, Status::Critical, Status::Maintenance][status];
        let scope = if node { CheckScope::Node } else { CheckScope::Service };
        CheckState { status, ..CheckState::new(&id, &name, status, scope) }.output(&output)
    }
}

prop_compose! {
    fn instance()(
        names in proptest::collection::vec(word(), 8),
        port: u16,
        weights: (u16, u16),
        tags in proptest::collection::vec(word(), 0..3),
        meta in proptest::collection::btree_map(word(), word(), 0..3),
        zone in proptest::option::of(word()),
        region in proptest::option::of(word()),
        version in proptest::option::of((0u64..9, 0u64..9, 0u64..9, "(-[a-z1-9]{1,3})?(\\+[a-z]{1,2})?")),
        checks in proptest::collection::vec(check(), 0..3),
        unreadable in proptest::option::of((word(), "(meta|tag|pair):[a-z=]{1,3}")),
    ) -> Instance {
        let identity = Identity {
            datacenter: names[0].as_str().into(),
            partition: names[1].as_str().into(),
            namespace: names[2].as_str().into(),
            peer: names[3].as_str().into(),
            node: names[4].as_str().into(),
            id: names[5].as_str().into(),
        };
        let mut instance = Instance::new(identity, &names[6], &names[7], port)
            .with_tags(tags.iter().map(String::as_str))
            .with_meta(meta.iter().map(|(key, value)| (key.as_str(), value.as_str())))
            .with_checks(checks);
        instance.weights = Weights { passing: weights.0, warning: weights.1 };
        instance.zone = zone.map(Into::into);
        instance.region = region.map(Into::into);
        instance.version =
            version.map(|(a, b, c, rest)| semver::Version::parse(&format!("{a}.{b}.{c}{rest}")).unwrap());
        instance.unreadable_version =
            unreadable.map(|(text, from)| Arc::new(Unreadable::new(&text, from.parse().unwrap())));
        instance
    }
}

prop_compose! {
    fn any_saved()(
        instances in proptest::collection::vec(instance(), 0..5),
        datacenter in proptest::option::of(word()),
        words in proptest::collection::vec(word(), 4),
        proof in 0u64..u64::MAX / 2,
        last_seen in proptest::option::of(0u64..u64::MAX / 2),
        index: u64,
        streaming: bool,
        hidden in 0usize..3,
        way in proptest::collection::vec(0usize..3, 0..=LONGEST_WAY),
    ) -> Saved {
        Saved {
            key: CacheKey {
                registry: words[0].as_str().into(),
                datacenter: datacenter.map(Into::into),
                namespace: words[1].as_str().into(),
                partition: words[2].as_str().into(),
                scope: words[3].as_str().into(),
                service: ServiceName::new("wéb \"1\"").unwrap(),
            },
            proof: Duration::from_millis(proof),
            way: way.into_iter().map(|at| [Source::Live, Source::Shared, Source::Disk][at]).collect(),
            index,
            streaming,
            hidden: [Hidden::No, Hidden::Maybe, Hidden::Yes][hidden],
            last_seen: last_seen.map(Duration::from_millis),
            ..saved(instances)
        }
    }
}

proptest! {
    #[test]
    fn what_is_saved_comes_back_whole(saved in any_saved(), signed: bool) {
        let signer = signed.then(signer);
        let bytes = saved.encode(signer.as_ref()).unwrap();
        prop_assert_eq!(Saved::decode(&bytes, &saved.key, signer.as_ref()), Ok(saved.clone()));
        prop_assert_eq!(Saved::decode(&bytes, &saved.key, None), Ok(saved), "a reader without a key reads it");
    }

    #[test]
    fn one_changed_byte_is_noticed(
        instances in proptest::collection::vec(instance(), 0..3), at: prop::sample::Index, by in 1u8.., signed: bool
    ) {
        let (saved, signer) = (saved(instances), signed.then(signer));
        let mut bytes = saved.encode(signer.as_ref()).unwrap();
        let at = at.index(bytes.len());
        bytes[at] ^= by;
        prop_assert!(Saved::decode(&bytes, &saved.key, signer.as_ref()).is_err(), "byte {}", at);
    }

    #[test]
    fn what_is_cut_or_longer_is_damaged(saved in any_saved(), cut: prop::sample::Index, more in 1usize..9) {
        let mut bytes = saved.encode(None).unwrap();
        let short = &bytes[..cut.index(bytes.len())];
        let why = Saved::decode(short, &saved.key, None).unwrap_err();
        prop_assert!(why.is_damage(), "{:?}", why);
        bytes.extend(std::iter::repeat_n(b' ', more));
        prop_assert_eq!(Saved::decode(&bytes, &saved.key, None), Err(Unusable::Damaged));
    }

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), ours: bool) {
        let bytes = if ours { with_right_checksum(&bytes) } else { bytes };
        prop_assert!(Saved::decode(&bytes, &key("web"), None).is_err());
        prop_assert!(Saved::decode(&bytes, &key("web"), Some(&signer())).is_err());
        let _any = is_newer(&bytes, &bytes, Duration::from_secs(1));
    }

    #[test]
    fn an_age_is_never_less_than_it_is(proof in 0u64..20_000, wall in 0u64..20_000, limit in 0u64..20_000) {
        let saved = Saved { proof: Duration::from_millis(proof), ..saved(Vec::new()) };
        let (wall, limit) = (Duration::from_millis(wall), Duration::from_millis(limit));
        match saved.age(wall, limit) {
            Ok(age) => prop_assert!(age >= wall.saturating_sub(saved.proof) && age <= limit),
            Err(why) => {
                prop_assert_eq!(why, Unusable::TooOld);
                prop_assert!(wall.saturating_sub(saved.proof) > limit);
            }
        }
    }

    #[test]
    fn keys_that_differ_have_texts_that_differ_and_all_are_safe(
        one in (word(), "[^/[:cntrl:]]{1,80}"), other in (word(), "[^/[:cntrl:]]{1,80}")
    ) {
        let of = |(registry, service): &(String, String)| {
            let service = ServiceName::new(service).ok()?;
            Some(CacheKey { registry: registry.as_str().into(), service, ..key("web") }.text())
        };
        let (left, right) = (of(&one), of(&other));
        prop_assert_eq!(left == right, one == other || (left.is_none() && right.is_none()));
        for text in [left, right].into_iter().flatten() {
            prop_assert!(text.len() <= 97 && !text.starts_with('.'), "{}", text);
            prop_assert!(text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c)), "{}", text);
        }
    }
}

/// `content` behind a head that is right, so that the reader goes on to it.
fn with_right_checksum(content: &[u8]) -> Vec<u8> {
    let mut bytes = saved(Vec::new()).encode(None).unwrap();
    bytes.truncate(HEAD);
    bytes.extend_from_slice(content);
    let checksum = digest::digest(&digest::SHA256, &bytes[42..]);
    bytes[10..42].copy_from_slice(checksum.as_ref());
    bytes
}

#[test]
fn each_reason_is_told() {
    let web = saved(vec![Instance::new(Identity::new("dc1", "n1", "web-1"), "web", "10.0.0.1", 80)]);
    let (plain, signed) = (web.encode(None).unwrap(), web.encode(Some(&signer())).unwrap());
    let other = Signer::new(b"another key of the same sort").unwrap();
    let mut newer = plain.clone();
    newer[9] = 2;
    let mut old = plain.clone();
    old[9] = 0;
    let json = |text: &str| with_right_checksum(text.as_bytes());
    let content = String::from_utf8(plain[HEAD..].to_vec()).unwrap();
    for (name, bytes, signer, why) in [
        ("nothing", &b""[..], None, Unusable::NotOurs),
        ("another's", b"PK\x03\x04", None, Unusable::NotOurs),
        ("newer", &newer, None, Unusable::NewerFormat),
        ("never was", &old, None, Unusable::Damaged),
        ("no json", &json("{"), None, Unusable::Damaged),
        ("a bad status", &json(&content.replace("passing\"", "odd\"")), None, Unusable::Damaged),
        (
            "a bad name",
            &json(&content.replace("\"service\":\"web\"", "\"service\":\"a/b\"")),
            None,
            Unusable::Damaged,
        ),
        ("unsigned", &plain, Some(&other), Unusable::Unsigned),
        ("signed by another", &signed, Some(&other), Unusable::BadSignature),
    ] {
        assert_eq!(Saved::decode(bytes, &web.key, signer), Err(why), "{name}");
    }
    assert_eq!(Saved::decode(&plain, &key("db"), None), Err(Unusable::OtherKey));
    assert_eq!(Saved::decode(&signed, &key("db"), Some(&signer())), Err(Unusable::OtherKey));
    assert!(Signer::new(b"short").unwrap_err().to_string().starts_with("cache.signing_key: has 5 bytes"));
}

#[test]
fn a_forged_proof_is_noticed_where_a_signature_is_wanted() {
    let web = saved(Vec::new());
    let mut bytes = web.encode(Some(&signer())).unwrap();
    bytes[49] ^= 1;
    let checksum = digest::digest(&digest::SHA256, &bytes[42..]);
    bytes[10..42].copy_from_slice(checksum.as_ref());
    assert_eq!(Saved::decode(&bytes, &web.key, Some(&signer())), Err(Unusable::BadSignature));
}

#[test]
fn a_reader_passes_over_what_it_does_not_know_and_sorts() {
    let instance = |id: &str| Instance::new(Identity::new("dc1", "n1", id), "web", "10.0.0.1", 80);
    let right = saved(vec![instance("a"), instance("b")]);
    let wrong_order = Saved { instances: right.instances.iter().rev().cloned().collect(), ..right.clone() };
    let content = String::from_utf8(wrong_order.encode(None).unwrap()[HEAD..].to_vec()).unwrap();
    let bytes = with_right_checksum(content.replacen('{', "{\"later\":[1],", 1).as_bytes());
    assert_eq!(Saved::decode(&bytes, &right.key, None), Ok(right));
}

#[test]
fn a_clock_that_went_back_makes_nothing_fresh() {
    let second = Duration::from_secs(1);
    let (limit, wall) = (second * 1000, second * 5000);
    for (name, proof, age) in [
        ("a minute ago", second * 4940, Ok(second * 60)),
        ("as old as is allowed", second * 4000, Ok(limit)),
        ("too old", second * 3999, Err(Unusable::TooOld)),
        ("now", wall, Ok(Duration::ZERO)),
        ("clocks of two machines", wall + second * 5, Ok(Duration::ZERO)),
        ("the clock went back", wall + second * 6, Ok(limit)),
        ("by years", wall * 1000, Ok(limit)),
    ] {
        let saved = Saved { proof, ..saved(Vec::new()) };
        assert_eq!(saved.age(wall, limit), age, "{name}");
    }
}

#[test]
fn a_view_comes_back_with_its_age_and_without_what_it_held() {
    let second = Duration::from_secs(1);
    let start = tokio::time::Instant::now().into_std();
    let at = |seconds: u32| start + second * seconds;
    let now = at(1000);
    let wall = second * 1_000_000;
    let instance = Arc::new(Instance::new(Identity::new("dc1", "n1", "web-1"), "web", "10.0.0.1", 80));
    let live = Snapshot {
        instances: [Arc::clone(&instance)].into(),
        held: [instance].into(),
        freshness: Arc::new(Freshness {
            source: Source::Live,
            index: 7,
            confirmed: Some(at(990)),
            admitted: second * 3,
            streaming: true,
        }),
        last_seen: Some(at(980)),
        hidden: Hidden::Maybe,
        ..Snapshot::nothing(ServiceName::new("web").unwrap())
    };
    let saved = Saved::of(&live, &key("web"), now, wall).unwrap().after(&[Source::Live, Source::Disk]);
    assert_eq!(saved.proof, second * 999_987);
    assert_eq!(saved.way, [Source::Live, Source::Disk, Source::Live]);
    // A minute later by the wall, in a process whose own clock started elsewhere.
    let later = wall + second * 60;
    let age = saved.age(later, second * 1000).unwrap();
    let back = saved.snapshot(Source::Disk, age, now, later);
    assert_eq!(back.freshness().age(now), Some(second * 73));
    assert_eq!(
        back.freshness().age(now + second),
        Some(second * 74),
        "from here by the clock that never goes back"
    );
    assert_eq!((back.freshness().source, back.freshness().index), (Source::Disk, 7));
    assert_eq!((back.instances(), back.held().len()), (live.instances(), 0));
    assert_eq!(back.last_seen(), Some(at(920)));
    assert_eq!((back.hidden(), back.failure(), back.freshness().streaming), (Hidden::Maybe, None, true));
    assert!(
        Saved::of(&Snapshot::nothing(ServiceName::new("web").unwrap()), &key("web"), now, wall).is_none()
    );
}

#[test]
fn the_newer_proof_stays_unless_it_lies_ahead() {
    let second = Duration::from_secs(1);
    let at = |seconds: u32| Saved { proof: second * seconds, ..saved(Vec::new()) }.encode(None).unwrap();
    let wall = second * 100;
    for (name, there, newer) in [
        ("older", at(80), false),
        ("the same", at(90), false),
        ("newer", at(95), true),
        ("ahead", at(200), false),
        ("something else", b"something else".to_vec(), false),
    ] {
        assert_eq!(is_newer(&there, &at(90), wall), newer, "{name}");
        assert_eq!(
            is_newer(&there[..there.len().min(HEAD)], &at(90), wall),
            newer,
            "{name}: its head is enough"
        );
    }
}

#[test]
fn a_proof_that_lies_ahead_counts_for_nothing() {
    let second = Duration::from_secs(1);
    let wall = second * 100;
    for (proof, believed) in [(90, 90), (100, 100), (105, 105), (106, 0)] {
        let saved = Saved { proof: second * proof, ..saved(Vec::new()) };
        assert_eq!(saved.believable_proof(wall), second * believed, "{proof}");
    }
}

#[test]
fn the_largest_value_is_taken_and_none_above() {
    assert_eq!(LARGEST, 67_108_864, "64 MiB, as of an answer of the registry");
    assert!(fits(0) && fits(LARGEST) && !fits(LARGEST + 1));
}

#[test]
fn only_what_can_never_be_read_is_set_aside() {
    let all = [
        (Unusable::NotOurs, "not_ours", true),
        (Unusable::NewerFormat, "newer_format", false),
        (Unusable::Damaged, "damaged", true),
        (Unusable::OtherKey, "other_key", false),
        (Unusable::Unsigned, "unsigned", false),
        (Unusable::BadSignature, "bad_signature", false),
        (Unusable::TooOld, "too_old", false),
    ];
    for (why, word, is_damage) in all {
        assert_eq!((why.as_str(), why.is_damage()), (word, is_damage));
    }
}

#[test]
fn a_signer_does_not_show_its_key() {
    assert_eq!(format!("{:?}", signer()), "Signer(hidden)");
}

/// Another text, and every cache would be empty after an upgrade.
#[test]
fn a_key_keeps_its_text_from_release_to_release() {
    for (service, text) in [
        ("web-a_b.c1", "web-a_b.c1-7d4f9d8197c705f9cefffc8e4034fe76"),
        (".web", "_web-00dedac80c1d123131ad7e7a58f2ad8e"),
        ("wéb of names", "w_b_of_names-e7ef034dc3805c462807f84bd593d038"),
    ] {
        assert_eq!(key(service).text(), text);
    }
    assert_eq!(scope_of("a", b"5ad3c1b2-secret"), "d46e492f4c2ee606");
}

#[test]
fn a_scope_tells_tokens_apart_and_not_what_they_are() {
    let token = b"5ad3c1b2-secret";
    assert_eq!(scope_of("a", token), scope_of("a", token));
    assert_ne!(scope_of("a", token), scope_of("a", b"other"));
    assert_ne!(scope_of("a", token), scope_of("b", token), "salted with the registry");
    assert_eq!(scope_of("a", token).len(), 16);
}

/// The bytes of a view that was confirmed so many seconds after 1970.
pub(crate) fn bytes_of(seconds: u32) -> Vec<u8> {
    let proof = Duration::from_secs(seconds.into());
    Saved { proof, ..saved(Vec::new()) }.encode(None).unwrap()
}

#[test]
fn what_is_usual_of_a_check_takes_no_room() {
    let of = |scope| {
        let checks = vec![CheckState::new("c", "c", Status::Passing, scope)];
        let web =
            Instance::new(Identity::new("dc1", "n1", "web-1"), "web", "10.0.0.1", 80).with_checks(checks);
        String::from_utf8(saved(vec![web]).encode(None).unwrap()[HEAD..].to_vec()).unwrap()
    };
    let (service, node) = (of(CheckScope::Service), of(CheckScope::Node));
    assert!(!service.contains("of_node") && !service.contains("output"), "{service}");
    assert!(node.contains("\"of_node\":true"), "{node}");
}
