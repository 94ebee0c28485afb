//! How readiness follows the needs, once all of them have been there. PURE.
//!
//! Never: lets a need that flaps make the service flap.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::time::Duration;

use crate::error::Error;

/// The longest of the times.
const LONGEST: Duration = Duration::from_secs(3600);

/// What a required need that is lost does to a service that has been ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum OnLoss {
    /// It stays ready, and is told to be degraded: what it can do without is for it to say, and one service that is away
    /// must not take all others with it.
    #[default]
    FailOpen,
    /// It is not ready until the need is met again.
    FailClosed,
}

/// How readiness follows the needs.
///
/// Until all required needs have been met once, whatever is seen counts at once. From then on a need is lost only once it
/// was missing for [`lost_after`](Self::lost_after) without a break, and met again only once it was there for
/// [`met_after`](Self::met_after) without a break; and between two changes of the stage lies at least
/// [`hold`](Self::hold).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReadyConfig {
    /// For how long a need must be missing before it is lost. 0 s to 1 h; default 10 s.
    pub lost_after: Duration,
    /// For how long a need must be there before it is met again. 0 s to 1 h; default 2 s.
    pub met_after: Duration,
    /// The least time between two changes of the stage. 0 s to 1 h; default 30 s.
    pub hold: Duration,
    /// What a lost need does. Default: the service stays ready.
    pub on_loss: OnLoss,
}

impl Default for ReadyConfig {
    fn default() -> Self {
        Self {
            lost_after: Duration::from_secs(10),
            met_after: Duration::from_secs(2),
            hold: Duration::from_secs(30),
            on_loss: OnLoss::default(),
        }
    }
}

impl ReadyConfig {
    /// The same with this [`lost_after`](Self::lost_after).
    #[must_use]
    pub fn lost_after(self, lost_after: Duration) -> Self {
        Self { lost_after, ..self }
    }

    /// The same with this [`met_after`](Self::met_after).
    #[must_use]
    pub fn met_after(self, met_after: Duration) -> Self {
        Self { met_after, ..self }
    }

    /// The same with this [`hold`](Self::hold).
    #[must_use]
    pub fn hold(self, hold: Duration) -> Self {
        Self { hold, ..self }
    }

    /// The same with this [`on_loss`](Self::on_loss).
    #[must_use]
    pub fn on_loss(self, on_loss: OnLoss) -> Self {
        Self { on_loss, ..self }
    }

    /// # Errors
    /// [`Kind::Config`](crate::Kind::Config), naming the setting.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let all = [("lost_after", self.lost_after), ("met_after", self.met_after), ("hold", self.hold)];
        match all.into_iter().find(|(_, time)| *time > LONGEST) {
            Some((name, time)) => Err(Error::config(format!("ready.{name}: {time:?} is over 1 h; set less"))),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_setting_leaves_the_others_as_they_were() {
        let time = Duration::from_secs;
        let config = ReadyConfig::default().lost_after(time(1)).met_after(time(3)).hold(time(4));
        let expected = ReadyConfig {
            lost_after: time(1),
            met_after: time(3),
            hold: time(4),
            on_loss: OnLoss::FailClosed,
        };
        assert_eq!(config.on_loss(OnLoss::FailClosed), expected);
    }

    #[test]
    fn times_up_to_an_hour_will_do() {
        let config = |time| ReadyConfig::default().met_after(time);
        assert!(config(LONGEST).check().is_ok());
        let error = config(Duration::from_secs(3601)).check().unwrap_err().to_string();
        assert_eq!(error, "ready.met_after: 3601s is over 1 h; set less");
    }
}
