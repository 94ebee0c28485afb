//! Whether a caller's picks keep clear of what is ejected, by what the resolver says of itself in public. PURE.
//!
//! In:  who is listed as ejected, picks, successes. Out: how many picks went against it, and how many were probes.
//!
//! Never: takes an instance for one that serves because its time is over: it is tried first, with one request at a time.

/// So many successes, one after the other, and it gets its share again: `Ejection::probes`, by default.
const PROBES: u32 = 3;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Serving,
    Ejected,
    /// Tried, with so many successes yet.
    Tried(u32),
}

/// What one caller sees.
#[derive(Debug)]
pub(super) struct Watcher {
    standing: Vec<Standing>,
    pub(super) against: u64,
    pub(super) probes: u64,
}

impl Watcher {
    pub(super) fn new(instances: usize) -> Self {
        Self { standing: vec![Standing::Serving; instances], against: 0, probes: 0 }
    }

    /// These are ejected, and the others are not: before each pick, and before each success that is told.
    pub(super) fn ejected(&mut self, places: impl Iterator<Item = usize>) {
        let before: Vec<Standing> = self.standing.clone();
        for (now, before) in self.standing.iter_mut().zip(&before) {
            *now = if *before == Standing::Ejected { Standing::Tried(0) } else { *before };
        }
        for place in places {
            if let Some(now) = self.standing.get_mut(place) {
                *now = Standing::Ejected;
            }
        }
    }

    /// This one was picked; with the pick so many are under way to it.
    pub(super) fn picked(&mut self, place: usize, in_flight: u32) {
        match self.standing.get(place) {
            Some(Standing::Ejected) => self.against += 1,
            Some(Standing::Tried(_)) => {
                self.probes += 1;
                self.against += u64::from(in_flight > 1);
            }
            Some(Standing::Serving) | None => {}
        }
    }

    pub(super) fn succeeded(&mut self, place: usize) {
        if let Some(now @ Standing::Tried(_)) = self.standing.get_mut(place) {
            *now = match *now {
                Standing::Tried(successes) if successes + 1 < PROBES => Standing::Tried(successes + 1),
                _ => Standing::Serving,
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_is_ejected_may_not_be_picked_and_then_one_at_a_time_until_it_has_shown_itself() {
        let mut watcher = Watcher::new(3);
        let out = |watcher: &mut Watcher, places: &[usize]| watcher.ejected(places.iter().copied());
        watcher.picked(1, 9);
        out(&mut watcher, &[1]);
        watcher.picked(0, 9);
        assert_eq!((watcher.against, watcher.probes), (0, 0));
        watcher.picked(1, 1);
        assert_eq!((watcher.against, watcher.probes), (1, 0), "it is ejected");
        out(&mut watcher, &[]);
        watcher.picked(1, 1);
        assert_eq!((watcher.against, watcher.probes), (1, 1), "it is tried");
        watcher.picked(1, 2);
        assert_eq!((watcher.against, watcher.probes), (2, 2), "it was tried already");
        for _ in 0..3 {
            out(&mut watcher, &[]);
            watcher.succeeded(1);
        }
        watcher.picked(1, 9);
        assert_eq!((watcher.against, watcher.probes), (2, 2), "it serves");
        out(&mut watcher, &[1]);
        out(&mut watcher, &[]);
        watcher.succeeded(1);
        out(&mut watcher, &[1]);
        watcher.picked(1, 1);
        assert_eq!((watcher.against, watcher.probes), (3, 2), "its probe failed");
    }
}
