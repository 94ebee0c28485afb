//! What the command says: its help, and its one line about wrong input. No registry is needed.
//!
//! The expected text stands in `tests/cmd/`; `TRYCMD=overwrite cargo test -p portolan-cli --test help` writes it anew.

#[test]
fn help_and_errors_read_as_written() {
    trycmd::TestCases::new().env("NO_COLOR", "1").env("COLUMNS", "120").case("tests/cmd/*.trycmd").run();
}
