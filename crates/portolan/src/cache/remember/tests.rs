//! A view that ends is saved first.

use super::*;
use crate::{
    cache::{Cache, Reach, TimeOfDay},
    model::ServiceName,
    snapshot::Writer,
    testing::{Mode, Shelf},
};

fn plan(shelf: &Arc<Shelf>, writer: &Writer) -> Plan {
    let clock = TimeOfDay::new(|| std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000));
    let all = [Arc::clone(shelf) as Arc<dyn Cache>];
    let key = CacheKey {
        registry: "test".into(),
        datacenter: None,
        namespace: "".into(),
        partition: "".into(),
        scope: "".into(),
        service: ServiceName::new("web").unwrap(),
    };
    let (into, _nobody) = mpsc::channel(1);
    let caches = Arc::new(Caches::new(&all, None, Duration::from_secs(600), clock));
    Plan { caches, key, reader: writer.reader(), into, rolls: Rolls::new(1) }
}

fn known() -> Snapshot {
    let nothing = Snapshot::nothing(ServiceName::new("web").unwrap());
    let confirmed = Some(Instant::now().into_std());
    let freshness = Freshness { source: Source::Live, confirmed, ..(*nothing.freshness).clone() };
    Snapshot { freshness: Arc::new(freshness), ..nothing }
}

#[tokio::test(start_paused = true)]
async fn a_view_that_is_forgotten_or_closed_is_saved_first_and_a_cache_that_hangs_does_not_hold_it_up() {
    for (closes, mode, saves, longest) in [
        (false, Mode::Works, 1, Duration::ZERO),
        (true, Mode::Works, 1, Duration::ZERO),
        (false, Mode::Hangs, 1, LONGEST_SAVE),
        (true, Mode::Hangs, 1, Duration::from_secs(1)),
    ] {
        let shelf = Arc::new(Shelf::new(Reach::Machine));
        let writer = Writer::new(Arc::new(known()));
        let plan = plan(&shelf, &writer);
        let (caches, stop) = (Arc::clone(&plan.caches), CancellationToken::new());
        let work = remember(plan, stop.clone());
        let end = async {
            tokio::time::sleep(Duration::from_millis(1)).await;
            assert!(shelf.saves.lock().unwrap().is_empty(), "its first write is not due yet");
            shelf.set(mode);
            if closes {
                caches.close(Instant::now() + Duration::from_secs(1));
            }
            stop.cancel();
            Instant::now()
        };
        let ((), stopped) = tokio::join!(work, end);
        assert!(stopped.elapsed() <= longest, "closes {closes}, {mode:?}: {:?}", stopped.elapsed());
        assert_eq!(shelf.saves.lock().unwrap().len(), saves, "closes {closes}, {mode:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_nobody_but_the_caller_said_is_never_saved() {
    let shelf = Arc::new(Shelf::new(Reach::Machine));
    for source in [Source::Nothing, Source::Fallback, Source::Override] {
        let known = known();
        let freshness = Freshness { source, ..(*known.freshness).clone() };
        let writer = Writer::new(Arc::new(Snapshot { freshness: Arc::new(freshness), ..known }));
        let stop = CancellationToken::new();
        let end = async {
            tokio::time::sleep(Duration::from_secs(100)).await;
            stop.cancel();
        };
        tokio::join!(remember(plan(&shelf, &writer), stop.clone()), end);
        assert!(shelf.saves.lock().unwrap().is_empty(), "{source}");
    }
}
