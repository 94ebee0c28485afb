//! Paths, queries and bodies, to a registry that runs: each gets an answer that is HTTP, and none a 5xx that Consul would not give.
//!
//! In:  the first byte chooses the method; then the path and query up to a line end; then the body.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "served.rs"]
mod served;

fuzz_target!(|data: &[u8]| {
    let Some((kind, rest)) = data.split_first() else { return };
    let method = ["GET", "PUT", "DELETE", "POST"][usize::from(kind % 4)];
    let end = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
    let (path, body) = (&rest[..end], rest.get(end + 1..).unwrap_or_default());
    // What ends a request line early is the other target's part.
    if !path.iter().all(|byte| byte.is_ascii_graphic()) {
        return;
    }
    let head = format!("Host: localhost\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len());
    let request = [method.as_bytes(), b" ", path, b" HTTP/1.1\r\n", head.as_bytes(), body].concat();
    let answer = served::asked(&request, served::WAITS);
    // Silence: a query that waits.
    assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 "), "{}", String::from_utf8_lossy(&answer));
    assert!(
        !answer.windows(15).any(|seen| seen == b"report this bug"),
        "{}",
        String::from_utf8_lossy(&answer)
    );
});
