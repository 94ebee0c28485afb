//! The code in the README and in the book, as tests. What serves or calls over HTTP needs the features for it.
//!
//! `cargo xtask tidy` sees to it that each page with code is here, or in the same file of the server.

macro_rules! pages {
    ($($name:ident $page:literal)*) => {
        $(
            #[doc = include_str!(concat!("../../../", $page))]
            struct $name;
        )*
    };
}

pages! {
    Program "docs/tutorial/program.md"
    ColdStart "docs/howto/cold-start.md"
    Dependencies "docs/howto/dependencies.md"
    Health "docs/howto/health.md"
    Near "docs/howto/near.md"
    Register "docs/howto/register.md"
    Versions "docs/howto/versions.md"
    Polling "docs/migration/polling.md"
}

#[cfg(all(feature = "axum", feature = "reqwest"))]
pages! {
    Readme "README.md"
    Call "docs/howto/call.md"
    Serve "docs/howto/serve.md"
}
