//! The code in the book that needs a registry, as tests; the other pages are in the same file of the library.

/// How to test with a registry.
#[doc = include_str!("../../../docs/howto/test.md")]
struct Test;
