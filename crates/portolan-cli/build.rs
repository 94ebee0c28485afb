//! How the command is linked where it is built small, for shipping: the profile `dist`. In others this does nothing.

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let is = |name, value: &str| env::var_os(name).is_some_and(|found| found == value);
    // Cargo strips the command by itself, but not where its package has an optimization of its own.
    if is("OPT_LEVEL", "s") && is("CARGO_CFG_TARGET_OS", "linux") {
        println!("cargo::rustc-link-arg-bins=-Wl,--strip-all");
    }
}
