//! Each kind of rule, with each access, on names that the requests are about and on others; generated.

/// A set of rules, and what they are called here.
pub(crate) struct Set {
    pub(crate) rules: String,
}

/// Names that something is asked of, and beginnings of them.
const NAMES: [(&str, &[&str], &[&str]); 8] = [
    ("service", &["web", "db"], &["", "we", "x"]),
    ("node", &["n1", "far", "far2"], &["", "f", "x"]),
    ("agent", &["n1"], &["", "x"]),
    ("key", &["web"], &[""]),
    ("session", &["n1"], &[""]),
    ("event", &["web"], &[""]),
    ("query", &["web"], &[""]),
    ("identity", &["web"], &[""]),
];

const SWITCHES: [&str; 5] = ["acl", "operator", "keyring", "mesh", "peering"];

fn block(word: &str, name: &str, access: &str) -> String {
    format!("{word} {name:?} {{ policy = {access:?} }}")
}

/// All sets. Those before 1.21 have no rules for identities.
pub(crate) fn sets(minor: u32) -> Vec<Set> {
    let mut all = vec![String::new()];
    for (word, names, beginnings) in NAMES {
        let accesses: &[&str] = match word {
            "key" => &["deny", "read", "list", "write"],
            _ => &["deny", "read", "write"],
        };
        for access in accesses {
            all.extend(names.iter().map(|name| block(word, name, access)));
            all.extend(beginnings.iter().map(|name| block(&format!("{word}_prefix"), name, access)));
        }
    }
    for word in SWITCHES {
        all.extend(["deny", "read", "write"].map(|access| format!("{word} = {access:?}")));
    }
    // What is seen needs the node and the service; what is exact counts before its beginning.
    for service in ["deny", "read", "write"] {
        for node in ["deny", "read", "write"] {
            all.push(format!(
                "{} {} {} {}",
                block("service", "web", service),
                block("service_prefix", "", "read"),
                block("node", "far", node),
                block("node_prefix", "", "read"),
            ));
        }
        all.push(format!("{} {}", block("service", "web", service), block("node_prefix", "", "read")));
        all.push(format!("{} {}", block("service_prefix", "", service), block("node_prefix", "", "write")));
    }
    if minor < 21 {
        all.retain(|rules| !["identity", "mesh", "peering"].iter().any(|word| rules.starts_with(word)));
    }
    all.into_iter().map(|rules| Set { rules }).collect()
}
