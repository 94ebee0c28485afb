//! The set of services, watched on any registry: each service that comes, goes or changes its tags is told, once.
//!
//! In:  a registry that nobody else writes to. Out: the first thing that was not as it must be.
//!
//! Nothing sleeps: what must be told is awaited, and what must not be told would stand before it.

use std::{sync::Arc, time::Duration};

use portolan::{
    CatalogChanges, Check, Config, Discovery, Registry, Services, Status,
    registry::{CheckDefinition, Definition, Report, ServiceTags},
};
use tokio::time::timeout;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// How long anything may take that should take moments.
const DEADLINE: Duration = Duration::from_secs(30);

fn definition(name: &str, id: &str, tags: &[&str]) -> Result<Definition, Failure> {
    let mut definition = Definition::new(id.parse()?, name.parse()?, "127.0.0.1", 8080);
    definition.tags = tags.iter().map(|&tag| tag.to_owned()).collect();
    Ok(definition)
}

/// The next changes as one line: `+name tags`, `~name tags`, `-name tags`.
async fn told(services: &mut Services) -> Result<String, Failure> {
    let changes: CatalogChanges = timeout(DEADLINE, services.changed()).await??;
    assert!(changes.held.is_empty() && changes.returned.is_empty(), "{changes:?}");
    let line = |sign: &str, name: &str, tags: &[Arc<str>]| format!("{sign}{name} {}", tags.join(","));
    let all = |sign: &'static str, list: &ServiceTags| -> Vec<String> {
        list.iter().map(|(name, tags)| line(sign, name, tags)).collect()
    };
    let retagged = changes.retagged.iter().map(|one| line("~", &one.name, &one.now)).collect();
    let lines: [Vec<String>; 3] = [all("+", &changes.added), retagged, all("-", &changes.removed)];
    Ok(lines.concat().join("; "))
}

/// Two handles: one is told at each step, the other looks only at the end.
pub(crate) async fn what_comes_and_goes_is_told_once(registry: Arc<dyn Registry>) -> Result<(), Failure> {
    let discovery = Discovery::with_registry(Arc::clone(&registry), Config::default());
    let mut services = timeout(DEADLINE, discovery.services()).await??;
    // An agent lists itself, and nothing else is there yet.
    if services.current().services().is_empty() {
        assert!(services.current().is_known());
    } else {
        assert_eq!(told(&mut services).await?, "+consul ");
    }
    let mut slow = services.clone();

    let mut first = definition("told", "told-1", &["b", "a"])?;
    let check = "told:alive".parse()?;
    let ttl = Check::ttl(Duration::from_secs(1800)).deregister_after(None);
    first.checks.push(CheckDefinition::new(check, "alive", ttl));
    registry.register(&first).await?;
    assert_eq!(told(&mut services).await?, "+told a,b");
    // Health, and a second instance with no tag of its own, change instances and no service. They may be told of
    // nowhere: not here, nor before the next.
    for (status, output) in [(Status::Passing, "up"), (Status::Critical, "down"), (Status::Passing, "up")] {
        registry.report(&Report::new("told:alive".parse()?, status, output)).await?;
    }
    registry.register(&definition("told", "told-2", &["a"])?).await?;
    registry.register(&definition("told", "told-3", &["c", "a"])?).await?;
    assert_eq!(told(&mut services).await?, "~told a,b,c");
    registry.deregister(&"told-1".parse()?).await?;
    assert_eq!(told(&mut services).await?, "~told a,c");
    registry.deregister(&"told-2".parse()?).await?;
    registry.deregister(&"told-3".parse()?).await?;
    assert_eq!(told(&mut services).await?, "-told a,c");
    registry.register(&definition("other", "other-1", &[])?).await?;
    assert_eq!(told(&mut services).await?, "+other ");

    assert_eq!(told(&mut slow).await?, "+other ", "one set of changes, from what it saw to what is");
    let current = services.current();
    assert!(current.tags("other").is_some() && current.tags("told").is_none());
    assert!(current.freshness().index > 1 && current.failure().is_none());
    registry.deregister(&"other-1".parse()?).await?;
    assert_eq!(told(&mut services).await?, "-other ");
    discovery.close(DEADLINE).await?;
    assert!(timeout(DEADLINE, services.changed()).await?.is_err(), "and nothing more");
    Ok(())
}
