//! Who holds a place, who takes turns, and that nobody starves: with a clock of the test's own.
#![expect(clippy::arithmetic_side_effects, reason = "a test's own small numbers")]

use proptest::prelude::*;

use super::*;

const SECOND: Duration = Duration::from_secs(1);
const WAIT: Duration = Duration::from_secs(30);

fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

#[test]
fn as_many_as_there_are_places_hold_them_for_their_whole_wait() {
    let start = now();
    let mut turns = Turns::new(64, 50, start);
    for _ in 0..64 {
        let id = turns.arrive(None, WAIT);
        assert_eq!(turns.ask(id, start), Grant::Hold);
    }
    assert_eq!(turns.sharing(), 0);
}

#[test]
fn one_too_many_shares_one_place_with_the_least_used() {
    let start = now();
    let mut turns = Turns::new(4, 50, start);
    let ids: Vec<Id> = (0..4u32).map(|at| turns.arrive(Some(start + at * SECOND), WAIT)).collect();
    assert!(ids.iter().all(|id| turns.ask(*id, start) == Grant::Hold));
    // Used as lately as the others, as far as can be told.
    let fifth = turns.arrive(Some(start + 4 * SECOND), WAIT);
    assert_eq!(turns.ask(fifth, start), Grant::Wait, "no place is free yet");
    let leaves: Vec<bool> = ids.iter().map(|id| turns.must_leave(*id)).collect();
    assert_eq!(leaves, [true, false, false, false]);
    turns.done(ids[0]);
    assert!(matches!(turns.ask(fifth, start), Grant::Turn(_)));
    let again = turns.arrive(Some(start), WAIT);
    assert_eq!(turns.ask(again, start), Grant::Wait, "it comes after the fifth");
    turns.done(fifth);
    assert!(matches!(turns.ask(again, start), Grant::Turn(_)));
}

#[test]
fn who_was_used_clearly_later_takes_the_place_of_who_was_not() {
    let start = now();
    let later = |seconds: u32| {
        let mut turns = Turns::new(1, 50, start);
        let first = turns.arrive(Some(start), WAIT);
        assert_eq!(turns.ask(first, start), Grant::Hold);
        let second = turns.arrive(Some(start + seconds * SECOND), WAIT);
        let leaves = turns.must_leave(first);
        turns.done(first);
        (leaves, turns.ask(second, start))
    };
    assert_eq!(later(120), (true, Grant::Hold));
    // News of the first may be a whole wait old: it cannot be said that it was used less. It leaves all the same, since
    // one place for two has to be shared.
    assert!(matches!(later(20), (true, Grant::Turn(_))));
}

#[test]
fn who_holds_a_place_is_used_later_by_as_much_as_its_news_may_be_old() {
    let start = now();
    // Its wait, a sixteenth of that for Consul's jitter, and the margin.
    let news = WAIT + WAIT / 16 + MARGIN;
    let moment = Duration::from_nanos(1);
    let at = |after: Duration| Some(start + after);
    for (name, used, held, is_later) in [
        ("by a moment less than can be told", at(news.saturating_sub(moment)), at(Duration::ZERO), false),
        ("by as much as cannot be told", at(news), at(Duration::ZERO), false),
        ("by a moment more", at(news + moment), at(Duration::ZERO), true),
        ("than one never used", at(Duration::ZERO), None, true),
        ("never", None, at(Duration::ZERO), false),
        ("neither ever", None, None, false),
    ] {
        assert_eq!(later(used, &(0, Holder { used: held, wait: WAIT })), is_later, "{name}");
    }
}

#[test]
fn who_left_a_place_does_not_take_it_before_the_one_it_was_promised_to() {
    let start = now();
    let mut turns = Turns::new(1, 50, start);
    let first = turns.arrive(Some(start), WAIT);
    assert_eq!(turns.ask(first, start), Grant::Hold);
    let second = turns.arrive(Some(start + 120 * SECOND), WAIT);
    turns.done(first);
    // It comes back before the second has heard that the place is free.
    let again = turns.arrive(Some(start), WAIT);
    assert_eq!(turns.ask(again, start), Grant::Wait);
    assert!(
        matches!(turns.ask(second, start), Grant::Turn(_)),
        "one place for two is shared, and it comes first"
    );
}

#[test]
fn turns_are_long_for_few_and_as_short_as_the_pace_demands_for_many() {
    let start = now();
    for (sharing, places, turn_ms) in [(2, 64, 1_000), (14, 64, 1_000), (100, 64, 400), (5_000, 64, 160)] {
        let mut turns = Turns::new(places, 50, start);
        turns.line.extend(0..sharing);
        assert_eq!(turns.turn().as_millis(), turn_ms, "{sharing}");
    }
}

/// Plays views on places until `end`: each reads, again and again. Gives, for each view, how long it held a place or had
/// a turn, at most, without reading between; and the turns in all.
struct Play {
    turns: Turns,
    now: Instant,
    /// By view: its ticket, and when its read ends, if it reads.
    views: Vec<(Id, Option<Instant>)>,
    hot: usize,
    last_read: Vec<Instant>,
    longest_gap: Vec<Duration>,
    reads_in_turn: u32,
}

impl Play {
    fn new(places: usize, views: usize, hot: usize) -> Self {
        let now = now();
        let turns = Turns::new(places, 50, now);
        let last_read = vec![now; views];
        let mut play = Self {
            turns,
            now,
            views: Vec::new(),
            hot,
            last_read,
            longest_gap: vec![Duration::ZERO; views],
            reads_in_turn: 0,
        };
        // The cold come first and take all places.
        for view in (0..views).rev() {
            let id = play.arrive(view);
            play.views.push((id, None));
        }
        play.views.reverse();
        play
    }

    fn arrive(&mut self, view: usize) -> Id {
        // Hot views are used all the time, cold ones were used once.
        let used = if view < self.hot { Some(self.now) } else { None };
        self.turns.arrive(used, WAIT)
    }

    /// One moment: reads that are over end, those that may begin do.
    fn tick(&mut self, step: Duration) {
        for view in 0..self.views.len() {
            let (id, ends) = self.views[view];
            let over = ends.is_some_and(|ends| ends <= self.now) || self.turns.must_leave(id);
            if over {
                self.turns.done(id);
                self.views[view] = (self.arrive(view), None);
            }
        }
        let mut woken: Vec<Id> = self.turns.to_wake().collect();
        while let Some(id) = woken.pop() {
            let Some(view) = self.views.iter().position(|(other, ends)| *other == id && ends.is_none())
            else {
                continue;
            };
            let lasts = match self.turns.ask(id, self.now) {
                Grant::Hold => WAIT,
                Grant::Turn(turn) => {
                    self.reads_in_turn += 1;
                    turn
                }
                Grant::NotBefore(_) | Grant::Wait => continue,
            };
            self.views[view].1 = Some(self.now + lasts);
            let gap = self.now.duration_since(self.last_read[view]);
            self.longest_gap[view] = self.longest_gap[view].max(gap);
            // A read tells of the registry until it ends.
            self.last_read[view] = self.now + lasts;
            woken = self.turns.to_wake().collect();
        }
        let held = self.turns.holding.len() + self.turns.reading.len();
        assert!(held <= self.turns.places, "{held}");
        self.now += step;
    }
}

#[test]
fn five_thousand_views_on_64_places_are_each_read_within_one_turn_and_the_hot_hold_theirs() {
    let mut play = Play::new(64, 5_000, 50);
    let start = play.now;
    while play.now < start + 300 * SECOND {
        play.tick(Duration::from_millis(20));
    }
    for (view, last) in play.last_read.iter().enumerate() {
        let gap = play.longest_gap[view].max(play.now.saturating_duration_since(*last));
        // A hundred seconds for all, and some for those that held a place and had to leave it.
        assert!(gap < 110 * SECOND, "view {view} was not read for {gap:?}");
    }
    let rate = f64::from(play.reads_in_turn) / 300.0;
    assert!((45.0..=50.1).contains(&rate), "{rate} turns a second");
    // From their second read on, the hot always have a read open: they see a change at once.
    let holding = play.views[..50].iter().filter(|(id, _)| play.turns.holding.contains_key(id)).count();
    assert_eq!(holding, 50);
}

#[test]
fn when_the_others_go_the_rest_hold_places_again() {
    let mut play = Play::new(64, 100, 0);
    for _ in 0..100 {
        play.tick(Duration::from_millis(20));
    }
    assert!(play.turns.sharing() > 40);
    for (id, _) in play.views.split_off(60) {
        play.turns.done(id);
    }
    for _ in 0..500 {
        play.tick(Duration::from_millis(20));
    }
    assert_eq!(play.turns.sharing(), 0);
    assert_eq!(play.turns.holding.len(), 60);
}

#[test]
fn fewer_places_than_before_are_not_exceeded_for_longer_than_a_read() {
    let mut play = Play::new(64, 60, 0);
    for _ in 0..10 {
        play.tick(Duration::from_millis(20));
    }
    play.turns.set_places(8);
    let held = |play: &Play| play.turns.holding.len() + play.turns.reading.len();
    for (view, _) in play.views.clone().iter().enumerate().take(1) {
        // One that comes back is enough to make room.
        play.turns.done(play.views[view].0);
        play.views[view] = (play.arrive(view), None);
    }
    let leaving = play.views.iter().filter(|(id, _)| play.turns.must_leave(*id)).count();
    assert_eq!(held(&play) - leaving, 7, "and one place for those that share");
}

proptest! {
    #[test]
    fn places_are_never_exceeded_nothing_leaks_and_the_line_moves(
        places in 1..10usize,
        steps in prop::collection::vec((0..4u8, 0..50usize, 0..200u64), 1..300)
    ) {
        let start = now();
        let mut now = start;
        let mut turns = Turns::new(places, 50, start);
        let mut here: Vec<(Id, bool)> = Vec::new();
        for (what, which, time) in steps {
            now += Duration::from_millis(time);
            match what {
                0 => here.push((turns.arrive((time % 3 > 0).then_some(start + Duration::from_secs(time)), WAIT), false)),
                1 if !here.is_empty() => turns.done(here.remove(which % here.len()).0),
                _ if !here.is_empty() => {
                    let at = which % here.len();
                    let (id, reads) = here[at];
                    if !reads {
                        here[at].1 = matches!(turns.ask(id, now), Grant::Hold | Grant::Turn(_));
                    }
                }
                _ => {}
            }
            prop_assert!(here.iter().filter(|(_, reads)| *reads).count() <= places);
        }
        // Those that were told to leave, and those whose reads end, go; then all others get their turn.
        let mut left = here.len();
        for _ in 0..10_000 {
            if here.is_empty() {
                break;
            }
            now += Duration::from_millis(20);
            here.retain(|(id, reads)| {
                if *reads {
                    turns.done(*id);
                }
                !*reads
            });
            let woken: Vec<Id> = turns.to_wake().collect();
            for (id, reads) in &mut here {
                if woken.contains(id) {
                    *reads = matches!(turns.ask(*id, now), Grant::Hold | Grant::Turn(_));
                }
            }
            left = here.len();
        }
        prop_assert_eq!(left, 0, "somebody waits for ever");
        let held = turns.holding.len() + turns.promised.len() + turns.line.len() + turns.reading.len();
        prop_assert_eq!(held + turns.leaving.len(), 0, "and nothing is left behind");
    }
}
