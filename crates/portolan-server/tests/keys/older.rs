//! Where a Consul 1.8 answers otherwise than 1.21, which is followed.

pub(crate) const OLDER: &[&str] = &[
    // Another type of content, or none, beside the same text.
    "PUT /v1/kv/a?cas=1&acquire=x 1",
    "PUT /v1/kv/a?acquire=x&release=y 1",
    "PUT /v1/kv/a?cas=1&release=a%20b%26c&z=%C3%A9 1",
    "DELETE /v1/kv/?cas=1&recurse",
    "OPTIONS /v1/kv/a",
    "OPTIONS /v1/session/info/x",
    // Namespaces are refused in other words, partitions are not known.
    "GET /v1/kv/a?ns=x",
    "PUT /v1/kv/a?ns=x 1",
    "GET /v1/kv/a?partition=x",
    // A redirect is 301.
    "PUT /v1/kv//a 1",
    // Limits are told in other words; a transaction has 64 operations at most.
    "PUT /v1/kv/limit {524289}",
    "PUT /v1/txn {ops:128}",
    "PUT /v1/txn {ops:129}",
    "PUT /v1/txn {524289}",
    // The word on a session begins otherwise, and an id must have the form of one.
    "PUT /v1/kv/a?acquire=x 1",
    "PUT /v1/kv/a?acquire= 1",
    "PUT /v1/kv/a?acquire 1",
    "PUT /v1/kv/a?release= 1",
    r#"PUT /v1/session/create {"Node":"nope"}"#,
    r#"PUT /v1/session/create {"Checks":["nope"]}"#,
    r#"PUT /v1/session/create {"NodeChecks":["nope"]}"#,
    r#"PUT /v1/session/create {"ServiceChecks":[{"ID":"nope"}]}"#,
    "GET /v1/session/info/mine",
    "GET /v1/session/info/nope",
    "PUT /v1/session/renew/nope",
    "PUT /v1/session/destroy/nope",
    // A read-only transaction tells less; some operations are not known, and those that are not are told of later.
    r#"PUT /v1/txn [{"KV":{"Verb":"get","Key":"t/1"}}]"#,
    r#"PUT /v1/txn [{"KV":{"Verb":"get","Key":"t/none"}}]"#,
    r#"PUT /v1/txn [{"KV":{"Verb":"get-or-empty","Key":"t/none"}}]"#,
    r#"PUT /v1/txn [{"KV":{"Verb":"get-or-empty","Key":"t/none","Flags":4,"Session":"s","Value":"MQ=="}}]"#,
    r#"PUT /v1/txn [{"KV":{"Verb":"get-tree","Key":"none/"}}]"#,
    r#"PUT /v1/txn [{"KV":{"Verb":"get-tree","Key":""}}]"#,
    r#"PUT /v1/txn [{"KV":{"Verb":"bad","Key":"t/1"}}]"#,
    r#"PUT /v1/txn [{"KV":{"Verb":"","Key":"t/1"}}]"#,
    r#"PUT /v1/txn [{"KV":{"Verb":"lock","Key":"l","Session":"x"}}]"#,
    r#"PUT /v1/txn [{"KV":{"Verb":"lock","Key":"lock","Session":"{s1}"}},{"KV":{"Verb":"bad","Key":"x"}}]"#,
    r#"PUT /v1/txn [{"KV":{"Verb":"check-not-exists","Key":"t/9"}},{"KV":{"Verb":"check-index","Key":"t/1","Index":1}}]"#,
    r#"PUT /v1/txn [{"KV":{"Verb":"check-not-exists","Key":"t/9"}}]"#,
    r#"PUT /v1/txn [{"KV":{"Verb":"check-index","Key":"","Index":1}}]"#,
    "PUT /v1/txn []",
    "PUT /v1/txn [{}]",
    "PUT /v1/txn null",
    r#"PUT /v1/txn [{"KV":null}]"#,
    "PUT /v1/txn?stale []",
    "PUT /v1/txn?pretty []",
    // The word on the size of an event begins otherwise.
    "PUT /v1/event/fire/big {600}",
];
