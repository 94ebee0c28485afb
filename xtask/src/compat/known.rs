//! What a registry is known not to do, by the assertion that shows it. A failure that stands here is told in the table and is none;
//! one that stands here and no longer occurs fails, so that the list stays true. PURE.

/// One such thing.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) client: &'static str,
    /// The assertion, as the program names it.
    pub(super) check: &'static str,
    /// How the registry's name begins, as in `Consul 1.8` or `Portolan`.
    pub(super) registry: &'static str,
    pub(super) why: &'static str,
}

#[rustfmt::skip]
pub(super) const KNOWN: &[Known] = &[
    lacks("go", "Catalog().Register and Deregister", "Consul 1.8", "this client sends `ExposedPort`, which came with 1.9"),
    lacks("go", "PreparedQuery() create, get, execute, delete", "Consul 1.8", "this client sends `Targets`, which came with 1.14"),
    lacks("py-consul", "a check by gRPC over TLS is taken", "Consul 1.8", "`grpc_use_tls` in the check of a service came later"),
];

const fn lacks(
    client: &'static str,
    check: &'static str,
    registry: &'static str,
    why: &'static str,
) -> Known {
    Known { client, check, registry, why }
}

/// What is known of this client on this registry.
pub(super) fn of<'a>(
    known: &'a [Known],
    client: &'a str,
    registry: &'a str,
) -> impl Iterator<Item = &'a Known> {
    known.iter().filter(move |known| known.client == client && registry.starts_with(known.registry))
}
