//! Who may use whom: the tables. The rules that read them are in `layers.rs`.
//!
//! DESIGN.md, "The house", says why. A new module of the library gets a row in [`MODULES`]; a new way between modules
//! is a change of the design first, and of this table then.

/// Where the library's modules are.
pub(super) const LIBRARY: &str = "crates/portolan/src/";

/// What every module may use: words and small tools that know of no other module but each other.
pub(super) const FOUNDATIONS: &[&str] =
    &["model", "check", "error", "duration", "roll", "backoff", "telemetry", "tasks"];

/// A module, and those it stands on. It may use these, and all that they may use.
pub(super) const MODULES: &[(&str, &[&str])] = &[
    ("documents", &[]),
    ("registry", &[]),
    ("snapshot", &["registry"]),
    ("cache", &["snapshot"]),
    ("guard", &["snapshot"]),
    ("sync", &["guard"]),
    ("watched", &[]),
    ("overrides", &["snapshot", "watched"]),
    ("splits", &["watched"]),
    ("resolve", &["sync", "overrides", "splits"]),
    ("depend", &["resolve", "register"]),
    ("integrate", &["discovery"]),
    ("register", &["guard"]),
    ("systemd", &[]),
    ("discovery", &["depend", "cache", "systemd"]),
];

/// A trait object that only some modules may hold, so that the others go through one of them.
pub(super) struct Door {
    /// The trait.
    pub(super) name: &'static str,
    /// Who may hold it.
    pub(super) modules: &'static [&'static str],
    /// What the others use.
    pub(super) instead: &'static str,
}

/// A registry is reached through what protects it from us.
pub(super) const DOORS: &[Door] = &[Door {
    name: "Registry",
    modules: &["registry", "guard", "discovery"],
    instead: "go through crate::guard, which protects the registry",
}];

/// The crates, and those that each may never use: they stand in a straight line.
pub(super) const CRATES: &[(&str, &[&str])] = &[
    ("crates/portolan/", &["portolan-server", "portolan-cli", "portolan-bench", "portolan-sim"]),
    ("crates/portolan-server/", &["portolan-cli", "portolan-bench", "portolan-sim"]),
    ("crates/portolan-cli/", &["portolan-bench", "portolan-sim"]),
    ("crates/portolan-sim/", &["portolan-server", "portolan-cli", "portolan-bench"]),
];
