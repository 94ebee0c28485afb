//! What every registry must do with declarations of needs: give them back as they were.
//!
//! In:  a registry that nobody else writes to. Out: the first declaration that was not read as it was written.

use std::{sync::Arc, time::Duration};

use portolan::{
    Config, Discovery, Registration, Registry, ServiceName,
    depend::{Graph, Lack, Need, Needs, ServiceAt, decode, encode},
    registry::{Definition, ServiceQuery},
};
use proptest::{
    prelude::*,
    strategy::{Strategy, ValueTree},
    test_runner::TestRunner,
};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// How long anything may take that should take moments.
const DEADLINE: Duration = Duration::from_secs(30);
/// How many declarations are written.
const DECLARATIONS: usize = 24;

/// Needs of names with any character that a name may have, up to some thousand bytes.
fn any_needs() -> impl Strategy<Value = Needs> {
    let name = prop_oneof!["[a-z][a-z0-9-]{0,20}", "[^/\\p{Cc}]{1,40}", "[@:?!;,%<>=^~* \"\\\\]{1,8}"];
    let name = name.prop_filter_map("a service's name", |name| ServiceName::new(name).ok());
    let version =
        proptest::option::of(prop_oneof![Just("^14"), Just(">=1.4, <2"), Just("latest"), Just("~1 +pre")]);
    let need = (name, version, 0_u16.., any::<bool>(), any::<bool>()).prop_filter_map(
        "a requirement",
        |(name, version, least, optional, at_start)| {
            let mut need = Need::new(name).at_least(least);
            if let Some(version) = version {
                need = need.version(version.parse().ok()?);
            }
            need = if optional { need.optional() } else { need };
            Some(if at_start { need.at_start() } else { need })
        },
    );
    proptest::collection::vec(need, 0..120).prop_map(|all| all.into_iter().collect())
}

/// The graph is followed: what comes is in it, what goes is missed, and it is the one that is read at once.
pub(crate) async fn the_graph_is_followed(registry: Arc<dyn Registry>) -> Result<(), Failure> {
    let discovery = Discovery::with_registry(Arc::clone(&registry), Config::default());
    let graph = discovery.dependencies().await?;
    let service = |name: &str| name.parse::<ServiceAt>();
    let (web, db) = (service("followed-web")?, service("followed-db")?);
    let definition = |at: &ServiceAt, pairs: &[(&str, &str)]| -> Result<Definition, Failure> {
        let id = format!("{at}-1").parse()?;
        let mut definition = Definition::new(id, at.service().clone(), "127.0.0.1", 8080);
        definition.meta = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Ok(definition)
    };
    let lacks =
        |graph: &Graph| graph.unmet().find(|(from, _)| **from == web).map(|(_, one)| one.lack.clone());
    registry.register(&definition(&web, &[("portolan-needs", "followed-db@^14")])?).await?;
    graph.wait_until(|graph| lacks(graph) == Some(Lack::NotRegistered), DEADLINE).await?;
    let database = definition(&db, &[("version", "14.2.0")])?;
    registry.register(&database).await?;
    let there = |graph: &Graph| !graph.edges(&web).is_empty() && lacks(graph).is_none();
    graph.wait_until(there, DEADLINE).await?;
    let read = discovery.read_dependencies(DEADLINE).await?;
    graph.wait_until(|graph| *graph == read, DEADLINE).await?;
    registry.deregister(&database.id).await?;
    graph.wait_until(|graph| lacks(graph) == Some(Lack::NotRegistered), DEADLINE).await?;
    Ok(discovery.close(DEADLINE).await?)
}

/// Any declaration survives: written by one, kept by the registry, read by another.
pub(crate) async fn any_declaration_survives(registry: Arc<dyn Registry>) -> Result<(), Failure> {
    let mut runner = TestRunner::deterministic();
    let mut longest = 0;
    for number in 0..DECLARATIONS {
        let needs = any_needs().new_tree(&mut runner).map_err(|reason| reason.to_string())?.current();
        let name: ServiceName = format!("needy-{number}").parse()?;
        let id = format!("needy-{number}-1").parse()?;
        let mut definition = Definition::new(id, name.clone(), "127.0.0.1", 8080);
        let pairs = encode(&needs);
        longest = longest.max(pairs.len());
        definition.meta = pairs.into_iter().chain([("team".to_owned(), "shop".to_owned())]).collect();
        registry.register(&definition).await?;
        let mut query = ServiceQuery::new(name.clone());
        query.consistency = portolan::registry::Consistency::Consistent;
        let mut found = registry.service(&query).await?.value;
        // The agent tells the catalogue in its own time.
        while found.is_empty() {
            tokio::task::yield_now().await;
            found = registry.service(&query).await?.value;
        }
        let [one] = &found[..] else {
            return Err(format!("{name}: {} instances, and one was registered", found.len()).into());
        };
        let declared = decode(&one.meta);
        assert_eq!(declared.needs, needs.as_slice(), "{name}");
        assert_eq!(declared.unreadable, [], "{name}");
        let at = ServiceAt::here(name);
        let graph = Graph::of(None, [(at.clone(), &found[..])]);
        let mut edges: Vec<String> = graph.edges(&at).iter().map(|edge| edge.need().to_string()).collect();
        let mut written: Vec<String> = needs.iter().map(ToString::to_string).collect();
        edges.sort();
        written.sort();
        written.dedup();
        assert_eq!(edges, written, "{}", at);
    }
    assert!(longest > 3, "no declaration was split: {longest}");
    let too_long: Needs =
        (0..64).map(|n| format!("{}{n}", "n".repeat(240)).parse::<Need>()).collect::<Result<_, _>>()?;
    let all = (0..40).fold(Registration::new("web", 80), |web, n| web.meta(format!("k{n}"), "v"));
    let refused = all.needs(too_long).validate().err().ok_or("a declaration that does not fit was taken")?;
    assert!(refused.to_string().starts_with("needs: the declaration has"), "{refused}");
    Ok(())
}
