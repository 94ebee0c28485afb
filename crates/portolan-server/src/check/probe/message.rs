//! The two messages of the gRPC health service, as bytes. PURE.
//!
//! In:  a service's name; the bytes of an answer. Out: the bytes of the question; the serving status.
//!
//! Never: believes a length that the bytes do not have.
//!
//! Source: grpc/health/v1/health.proto; protobuf.dev/programming-guides/encoding; gRPC over HTTP2
//! (Length-Prefixed-Message).
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

/// A question about a service: its name is field 1, a text.
pub(super) fn question(service: &str) -> Result<Vec<u8>, String> {
    let mut message = Vec::new();
    if !service.is_empty() {
        message.push((1 << 3) | 2);
        let mut length = service.len();
        while let (low, rest @ 1..) = (length & 0x7f, length >> 7) {
            message.push(u8::try_from(low | 0x80).unwrap_or_default());
            length = rest;
        }
        message.push(u8::try_from(length).unwrap_or_default());
        message.extend(service.as_bytes());
    }
    let length = u32::try_from(message.len()).map_err(|_long| "the name of the service is too long")?;
    let mut framed = vec![0];
    framed.extend(length.to_be_bytes());
    framed.extend(message);
    Ok(framed)
}

/// The serving status in an answer's bytes: field 1, a number, 0 where it is left out.
pub(super) fn serving(framed: &[u8]) -> Result<u64, String> {
    let (head, message) = framed.split_at_checked(5).ok_or("the answer holds no message")?;
    let &[compressed, a, b, c, d] = head else { return Err("the answer holds no message".to_owned()) };
    if compressed != 0 {
        return Err("the answer is compressed, which was not asked for".to_owned());
    }
    let length = u32::from_be_bytes([a, b, c, d]);
    if usize::try_from(length).ok() != Some(message.len()) {
        return Err("the answer's length is not that of its message".to_owned());
    }
    fields(message).ok_or_else(|| "the answer is no message of the health service".to_owned())
}

fn fields(mut bytes: &[u8]) -> Option<u64> {
    let mut status = 0;
    while !bytes.is_empty() {
        let (key, rest) = number(bytes)?;
        bytes = match (key >> 3, key & 7) {
            (1, 0) => {
                let (value, rest) = number(rest)?;
                status = value;
                rest
            }
            (_, 0) => number(rest)?.1,
            (_, 1) => rest.get(8..)?,
            (_, 2) => {
                let (length, rest) = number(rest)?;
                rest.get(usize::try_from(length).ok()?..)?
            }
            (_, 5) => rest.get(4..)?,
            _ => return None,
        };
    }
    Some(status)
}

fn number(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0u64;
    for (place, byte) in (0u32..10).zip(bytes) {
        let shift = place.checked_mul(7)?;
        value |= u64::from(byte & 0x7f).checked_shl(shift)?;
        if byte & 0x80 == 0 {
            return Some((value, bytes.get(usize::try_from(place).ok()?.checked_add(1)?..)?));
        }
    }
    None
}

/// The name of a serving status, as Go prints it.
pub(super) fn word(status: u64) -> String {
    match status {
        0 => "UNKNOWN".to_owned(),
        1 => "SERVING".to_owned(),
        2 => "NOT_SERVING".to_owned(),
        3 => "SERVICE_UNKNOWN".to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_question_holds_the_service_and_nothing_where_it_is_the_whole() {
        assert_eq!(question("").unwrap(), [0, 0, 0, 0, 0]);
        assert_eq!(question("ab").unwrap(), [0, 0, 0, 0, 4, 0x0a, 2, b'a', b'b']);
        let long = question(&"x".repeat(300)).unwrap();
        assert_eq!(long[..8], [0, 0, 0, 1, 47, 0x0a, 0xac, 0x02]);
        assert_eq!(long.len(), 8 + 300);
    }

    #[test]
    fn the_status_is_field_one_wherever_it_stands() {
        for (message, expected) in [
            (&[0x08, 1][..], Some(1)),
            (&[0x08, 2], Some(2)),
            (&[], Some(0)),
            (&[0x12, 1, b'x', 0x08, 1], Some(1)),
            (&[0x19, 1, 2, 3, 4, 5, 6, 7, 8, 0x25, 1, 2, 3, 4, 0x10, 5, 0x08, 1], Some(1)),
            // Cut, of no known kind, without an end.
            (&[0x08], None),
            (&[0x12, 9, b'x'], None),
            (&[0x0b], None),
            (&[0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1], None),
        ] {
            let mut framed = vec![0, 0, 0, 0, u8::try_from(message.len()).unwrap()];
            framed.extend(message);
            assert_eq!(serving(&framed).ok(), expected, "{message:?}");
        }
        for wrong in [&[][..], &[0, 0, 0, 0], &[1, 0, 0, 0, 0], &[0, 0, 0, 0, 9, 8, 1], &[0, 0, 0, 0, 0, 8]] {
            assert!(serving(wrong).is_err(), "{wrong:?}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let _status = serving(&bytes);
            let _status = fields(&bytes);
        }
    }
}
