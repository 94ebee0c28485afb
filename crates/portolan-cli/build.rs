//! How the command is linked where it is built small, for shipping (the profile `dist`; in others this does nothing).

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let is = |name, value: &str| env::var(name).is_ok_and(|found| found == value);
    if !is("OPT_LEVEL", "s") || !is("CARGO_CFG_TARGET_OS", "linux") {
        return;
    }
    // Cargo strips the command by itself, but not where a package has an optimization of its own.
    println!("cargo::rustc-link-arg-bins=-Wl,--strip-all");
    // Functions that came out the same are one. It takes lld, which is Rust's own linker for this target.
    if is("CARGO_CFG_TARGET_ARCH", "x86_64") && is("CARGO_CFG_TARGET_ENV", "gnu") {
        println!("cargo::rustc-link-arg-bins=-Wl,--icf=all");
    }
}
