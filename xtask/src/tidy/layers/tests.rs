//! Which arrows are refused, on the table of this project.

use super::*;
use crate::tidy::paths::named;

fn refused(file: &str, code: &str) -> Vec<String> {
    let exports = exports(&named("pub use error::{Error, Kind}; pub use resolve::Resolver;"));
    check(file, &named(code), &exports).into_iter().map(|finding| finding.what).collect()
}

#[test]
fn arrows_point_one_way() {
    let cases = [
        ("registry.rs", "use crate::{error::Error, model::Name};", true),
        ("registry.rs", "use crate::snapshot::Writer;", false),
        ("registry/consul/agent.rs", "use super::super::super::sync::step;", false),
        ("registry/consul/agent.rs", "use super::wire::Node; use super::super::memory::Memory;", true),
        ("registry/consul.rs", "use crate::registry::Block; mod sync; use self::sync::X;", true),
        ("model.rs", "use crate::registry::Block;", false),
        ("error.rs", "fn f(a: crate::duration::D) {}", true),
        ("sync.rs", "use crate::{guard::Guard, registry::Answer, snapshot::Writer};", true),
        ("sync/step.rs", "fn f(r: crate::Resolver) {}", false),
        ("sync/step.rs", "fn f(r: crate::Error) {}", true),
        ("resolve.rs", "use crate::register::Handle;", false),
        ("register.rs", "use crate::sync::View;", false),
        ("register/keeper.rs", "use super::super::guard::Guard;", true),
        ("discovery.rs", "use crate::{register, resolve, sync, cache};", true),
        ("discovery.rs", "use crate::integrate::hyper::Client;", false),
        ("integrate/hyper.rs", "use crate::{discovery::Discovery, resolve::Resolver};", true),
        ("lib.rs", "pub use discovery::Discovery;", true),
        ("shelf.rs", "", false),
    ];
    for (file, code, fine) in cases {
        let found = refused(&format!("{LIBRARY}{file}"), code);
        assert_eq!(found.is_empty(), fine, "{file}: {code}: {found:?}");
    }
}

#[test]
fn a_registry_is_reached_through_its_guard() {
    let code = "struct X { registry: Arc<dyn Registry> }";
    for (file, fine) in
        [("guard.rs", true), ("registry/memory.rs", true), ("discovery.rs", true), ("sync.rs", false)]
    {
        assert_eq!(refused(&format!("{LIBRARY}{file}"), code).is_empty(), fine, "{file}");
    }
    assert_eq!(
        refused("crates/portolan/src/sync.rs", "use crate::registry::Registry;"),
        Vec::<String>::new()
    );
}

#[test]
fn the_crates_stand_in_a_line() {
    let cases = [
        ("crates/portolan/src/sync.rs", "use portolan_server::Server;", false),
        ("crates/portolan-server/src/lib.rs", "use portolan::Instance;", true),
        ("crates/portolan-server/src/lib.rs", "portolan_cli::main()", false),
        ("crates/portolan-cli/src/main.rs", "portolan_server::run()", true),
        ("xtask/src/main.rs", "portolan_server::run()", true),
    ];
    for (file, code, fine) in cases {
        assert_eq!(refused(file, code).is_empty(), fine, "{file}: {code}");
    }
}

#[test]
fn a_manifest_may_name_only_crates_below_except_for_tests() {
    let file = "crates/portolan/Cargo.toml";
    for (text, lines) in [
        ("[dependencies]\nserde = \"1\"\nportolan-server.workspace = true\n", vec![3]),
        ("[dev-dependencies]\nportolan-server.workspace = true\n", vec![]),
        ("[dependencies.portolan-cli]\npath = \"x\"\n", vec![1]),
        ("[target.'cfg(unix)'.dependencies]\nportolan-server = { path = \"x\" }\n", vec![2]),
        ("[package]\nname = \"portolan-server\"\n", vec![]),
    ] {
        let found: Vec<usize> = check_manifest(file, text).iter().map(|finding| finding.line).collect();
        assert_eq!(found, lines, "{text}");
    }
}

#[test]
fn the_table_has_no_cycle_and_no_unknown_name() {
    for (module, stands_on) in MODULES {
        assert!(!may_use(module).unwrap().contains(module), "{module} stands on itself");
        assert!(stands_on.iter().all(|name| is_module(name)), "{module}: {stands_on:?}");
    }
}
