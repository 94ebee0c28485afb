//! Which fault hits which request. PURE: the same plan, request and number give the same fault, on any machine.
//!
//! In:  rules and a seed; then a method, a path, and how many such requests came before. Out: a fault, or none.
//!
//! Requests are numbered path by path, so that what other paths are asked for at the same time changes nothing.
//!
//! Never: reads a clock; remembers.
//!
//! Proof: `faults/tests.rs`.

use std::fmt;

use portolan::Error;

use super::rule::{Fault, Rule};
use crate::chance::Chance;

/// Rules in their order, and the seed that chooses among requests. Default: no rules.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    seed: u64,
    rules: Vec<Rule>,
}

impl Plan {
    /// A plan of these rules. The first one that hits a request is the only one that does.
    #[must_use]
    pub fn new(seed: u64, rules: Vec<Rule>) -> Self {
        Self { seed, rules }
    }

    /// Reads a file: a rule a line, `#` before a comment, and at most one line `seed NUMBER` (0 without). Its
    /// [`Display`](fmt::Display) is such a file.
    ///
    /// # Errors
    /// [`Kind::Config`](portolan::Kind::Config): the text names each line that is wrong, and says what to write.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let mut plan = Self::default();
        let (mut seeded, mut wrong) = (false, Vec::new());
        for (number, line) in (1_usize..).zip(text.lines()) {
            let line = line.split('#').next().unwrap_or_default().trim();
            if !line.is_empty()
                && let Err(why) = plan.take(line, &mut seeded)
            {
                wrong.push(format!("faults, line {number}: {why}"));
            }
        }
        if wrong.is_empty() { Ok(plan) } else { Err(Error::config(wrong.join("; "))) }
    }

    fn take(&mut self, line: &str, seeded: &mut bool) -> Result<(), String> {
        let Some(seed) = line.strip_prefix("seed ") else {
            self.rules.push(Rule::parse(line).map_err(|error| error.to_string())?);
            return Ok(());
        };
        if std::mem::replace(seeded, true) {
            return Err("a second seed; leave one line".to_owned());
        }
        let seed = seed.trim();
        self.seed = seed.parse().map_err(|_cause| {
            format!("seed: {seed:?} is no whole number from 0; write one, as in \"seed 42\"")
        })?;
        Ok(())
    }

    /// The same rules under another seed.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// The same with one more rule, after the others.
    #[must_use]
    pub fn rule(mut self, rule: Rule) -> Self {
        self.rules.push(rule);
        self
    }

    /// The seed that it chooses by.
    #[must_use]
    pub fn chosen_seed(&self) -> u64 {
        self.seed
    }

    /// Whether it has no rules.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// The rules, in their order.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The fault of the request of this number (from 0) for this path.
    #[must_use]
    pub fn fault(&self, method: &str, path: &str, number: u64) -> Option<Fault> {
        let place = digest(path) ^ number.rotate_left(32);
        let hits = |(order, rule): (u64, &Rule)| {
            let mut chance = Chance::new(self.seed ^ order.rotate_left(48));
            let mut chance = Chance::new(chance.next() ^ place);
            (rule.is_for(method, path) && share(chance.next()) < rule.probability()).then(|| rule.fault())
        };
        (1..).zip(&self.rules).find_map(hits)
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {}", self.seed)?;
        self.rules.iter().try_for_each(|rule| writeln!(f, "{rule}"))
    }
}

/// A roll as a number from 0 to just under 1.
#[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
fn share(roll: u64) -> f64 {
    (roll >> 11) as f64 / (1_u64 << 53) as f64
}

/// A number for a path that is the same everywhere: FNV-1a.
pub(super) fn digest(path: &str) -> u64 {
    path.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |sum, byte| (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
