//! Whether a caller's picks keep clear of what is ejected, by what the resolver says of itself in public. PURE.
//!
//! In:  who is listed as ejected, and picks. Out: how many picks went against it, and how many were probes.
//!
//! Never: takes what is told of an instance for what is done with it.

/// What one caller sees.
#[derive(Debug)]
pub(super) struct Watcher {
    ejected: Vec<bool>,
    pub(super) against: u64,
    pub(super) probes: u64,
}

impl Watcher {
    pub(super) fn new(instances: usize) -> Self {
        Self { ejected: vec![false; instances], against: 0, probes: 0 }
    }

    /// These are ejected, and the others are not: before each pick.
    pub(super) fn ejected(&mut self, places: impl Iterator<Item = usize>) {
        self.ejected.fill(false);
        for place in places {
            if let Some(ejected) = self.ejected.get_mut(place) {
                *ejected = true;
            }
        }
    }

    /// This one was picked; with the pick so many are under way to it, and it is said to be on trial or not.
    pub(super) fn picked(&mut self, place: usize, in_flight: u32, on_trial: bool) {
        if self.ejected.get(place).is_some_and(|ejected| *ejected) {
            self.against += 1;
        } else if on_trial {
            self.probes += 1;
            self.against += u64::from(in_flight > 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_is_ejected_may_not_be_picked_and_on_trial_one_at_a_time() {
        let mut watcher = Watcher::new(3);
        let out = |watcher: &mut Watcher, places: &[usize]| watcher.ejected(places.iter().copied());
        watcher.picked(1, 9, false);
        out(&mut watcher, &[1]);
        watcher.picked(0, 9, false);
        assert_eq!((watcher.against, watcher.probes), (0, 0));
        watcher.picked(1, 1, false);
        assert_eq!((watcher.against, watcher.probes), (1, 0), "it is ejected");
        out(&mut watcher, &[]);
        watcher.picked(1, 1, true);
        assert_eq!((watcher.against, watcher.probes), (1, 1), "it is tried");
        watcher.picked(1, 2, true);
        assert_eq!((watcher.against, watcher.probes), (2, 2), "it was tried already");
        watcher.picked(1, 9, false);
        assert_eq!((watcher.against, watcher.probes), (2, 2), "it serves");
    }
}
