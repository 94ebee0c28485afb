use proptest::prelude::*;

use super::*;

/// A header with these flags and counts, and a question for the addresses of `a.consul`.
fn bytes(flags: u16, counts: [u16; 4]) -> Vec<u8> {
    let words = [0xabcd, flags].into_iter().chain(counts);
    let mut message: Vec<u8> = words.flat_map(u16::to_be_bytes).collect();
    message.extend(b"\x01a\x06consul\0\0\x01\0\x01");
    message
}

fn with_edns(size: u16, options: &[u8]) -> Vec<u8> {
    let mut message = bytes(0x0100, [1, 0, 0, 1]);
    message.push(0);
    let length = u16::try_from(options.len()).unwrap();
    for word in [kind::OPT, size, 0, 0, length] {
        message.extend(word.to_be_bytes());
    }
    message.extend(options);
    message
}

#[test]
fn a_question_is_read_with_what_the_answer_repeats() {
    let request = Request::read(&bytes(0x0130, [1, 0, 0, 0])).unwrap();
    assert_eq!(request.id, 0xabcd);
    assert_eq!(request.flags, flag::RECURSION_DESIRED | flag::CHECKING_DISABLED);
    let name = Name::of_text("a.consul").unwrap();
    assert_eq!(request.question, Question { name, kind: kind::A, class: 1 });
    assert_eq!(request.edns, None);
}

#[test]
fn what_is_no_question_is_rejected_in_the_librarys_way_or_left() {
    let reject = |flags, rcode| Unread::Reject { id: 0xabcd, flags, rcode, question: None };
    let question = Request::read(&bytes(0, [1, 0, 0, 0])).unwrap().question;
    let known =
        |flags, rcode| Unread::Reject { id: 0xabcd, flags, rcode, question: Some(question.clone().into()) };
    let half = bytes(0x0000, [1, 1, 0, 0]).into_iter().chain([1, b'x', 0, 0, 1]).collect();
    for (message, expected) in [
        (vec![0; 11], Unread::Ignore),
        (bytes(0x8000, [1, 0, 0, 0]), Unread::Ignore),
        (bytes(0x2900, [1, 0, 0, 0]), reject(0x2900, Rcode::NotImp)),
        (bytes(0x0100, [0, 0, 0, 0]), reject(0x0100, Rcode::FormErr)),
        (bytes(0x0000, [2, 0, 0, 0]), reject(0, Rcode::FormErr)),
        (bytes(0x0000, [1, 2, 0, 0]), reject(0, Rcode::FormErr)),
        (bytes(0x0000, [1, 0, 2, 0]), reject(0, Rcode::FormErr)),
        (bytes(0x0000, [1, 0, 0, 3]), reject(0, Rcode::FormErr)),
        (bytes(0x0000, [1, 0, 0, 0])[..12].to_vec(), reject(0, Rcode::FormErr)),
        (bytes(0x0000, [1, 0, 0, 0])[..20].to_vec(), reject(0, Rcode::FormErr)),
        (bytes(0x0000, [1, 0, 0, 0])[..23].to_vec(), reject(0, Rcode::FormErr)),
        (half, known(0, Rcode::FormErr)),
        (with_edns(1232, &[0, 8, 0, 9, 0]), known(0x0100, Rcode::FormErr)),
        (with_edns(1232, &[0, 8, 0, 4, 0, 3, 0, 0]), known(0x0100, Rcode::FormErr)),
        (with_edns(1232, &[0, 8, 0, 4, 0, 1, 33, 0]), known(0x0100, Rcode::FormErr)),
    ] {
        assert_eq!(Request::read(&message), Err(expected), "{message:?}");
    }
}

#[test]
fn what_is_announced_and_not_there_is_none() {
    let whole = bytes(0, [1, 0, 0, 0]);
    for counts in [[1, 1, 0, 0], [1, 0, 1, 0], [1, 0, 0, 2]] {
        assert_eq!(Request::read(&bytes(0, counts)), Request::read(&whole), "{counts:?}");
    }
    let without_class = Request::read(&whole[..whole.len() - 2]).unwrap().question;
    assert_eq!((without_class.kind, without_class.class), (kind::A, 0));
}

#[test]
fn edns_says_how_much_a_client_takes_and_its_subnet_is_said_back_for_everybody() {
    let plain = Request::read(&with_edns(1232, &[])).unwrap().edns;
    assert_eq!(plain, Some(Edns { size: 1232, subnet: None }));
    // An unknown option, then a subnet of 20 bits with a scope and an address that says more.
    let options = [0, 10, 0, 1, 7, 0, 8, 0, 8, 0, 1, 20, 24, 10, 1, 255, 255];
    let edns = Request::read(&with_edns(4096, &options)).unwrap().edns.unwrap();
    assert_eq!(edns.subnet.unwrap(), [0, 8, 0, 7, 0, 1, 20, 0, 10, 1, 240]);
    // A whole number of bytes, and one of no bits at all.
    for (mask, address, said) in [(16, vec![10, 1], vec![10, 1]), (0, vec![], vec![])] {
        let length = u8::try_from(4 + address.len()).unwrap();
        let option = [vec![0, 8, 0, length, 0, 1, mask, 0], address].concat();
        let edns = Request::read(&with_edns(4096, &option)).unwrap().edns.unwrap();
        assert_eq!(edns.subnet.unwrap()[8..], said);
    }
}

#[test]
fn an_answer_is_taken_from_the_same_question_and_id_only() {
    let question = Request::read(&bytes(0, [1, 0, 0, 0])).unwrap().question;
    let mut told = bytes(0x8183, [1, 1, 0, 0]);
    told.extend(b"\xc0\x0c\0\x01\0\x01\0\0\0\x07\0\x04\x0a\0\0\x01");
    let (rcode, answers) = read_answers(&told, 0xabcd, &question).unwrap();
    assert_eq!((rcode, answers.len(), answers[0].ttl, answers[0].data), (3, 1, 7, &[10, 0, 0, 1][..]));
    assert!(read_answers(&told, 1, &question).is_none(), "another id");
    let other = Question { kind: kind::AAAA, ..question.clone() };
    assert!(read_answers(&told, 0xabcd, &other).is_none(), "another question");
    assert!(response_to(&bytes(0, [1, 0, 0, 0]), 0xabcd, &question).is_none(), "a question");
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        if let Ok(request) = Request::read(&bytes) {
            prop_assert!(bytes.len() > HEADER && request.question.name.as_wire().len() <= 255);
        }
    }

    #[test]
    fn a_question_with_anything_behind_it_is_read_or_refused(
        counts in prop::array::uniform4(0_u16..3),
        tail in prop::collection::vec(any::<u8>(), 0..80),
    ) {
        let message = [bytes(0, counts), tail].concat();
        if let Ok(request) = Request::read(&message) {
            prop_assert_eq!(counts[0], 1);
            prop_assert_eq!(request.question.kind, kind::A);
        }
    }
}
