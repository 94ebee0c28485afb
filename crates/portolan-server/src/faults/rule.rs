//! What can go wrong, and the text in which a person asks for it. PURE: text in, rules out.
//!
//! In:  `METHOD PATH FAULT PROBABILITY`, as in `GET /v1/health/service/* empty-lower 0.05`. Out: a [`Rule`], or an error
//! that quotes the rule and says what to write instead.
//!
//! Never: takes a word that it does not know; takes a probability that is none.
//!
//! Proof: `faults/tests.rs`.

use std::{fmt, time::Duration};

use portolan::{Error, format_duration, parse_duration};

/// The longest that one fault holds an answer up.
const LONGEST: Duration = Duration::from_secs(600);

/// Something that goes wrong with one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// `lower-index`: the true answer, at once, with half its index.
    LowerIndex,
    /// `empty`: no entries, at the true index.
    Empty,
    /// `empty-lower`: no entries, at index 1: what a reset stream may answer.
    EmptyLower,
    /// `403`: permission denied.
    Denied,
    /// `429`: too many requests.
    TooMany,
    /// `500`: no cluster leader.
    NoLeader,
    /// `503`: try again later.
    Unavailable,
    /// `delay:TIME`: the true answer, so much later.
    Delay(Duration),
    /// `drip:TIME`: the true answer, a byte each so often.
    Drip(Duration),
    /// `reset`: the connection is reset before the answer.
    Reset,
    /// `reset-midway`: the connection is reset in the middle of the body.
    ResetMidway,
    /// `silence`: the request is taken, and never answered: a half-open connection.
    Silence,
    /// `stall-midway`: the answer stops in the middle of its body, and the connection stays.
    StallMidway,
    /// `truncate`: half the body, as if it were all.
    Truncate,
    /// `malformed`: the body is no JSON from its middle on.
    Malformed,
    /// `wrong-type`: a page of HTML, with status 200, as from a portal or a proxy in between.
    WrongType,
    /// `cut-gzip`: the body is said to be gzip, and ends in its middle.
    CutGzip,
    /// `duplicate-headers`: each header of Consul's twice, the second with another value.
    DuplicateHeaders,
    /// `garbage-headers`: each header of Consul's with a value that means nothing.
    GarbageHeaders,
}

/// Every fault but those with a time, by its word.
const WORDS: [(&str, Fault); 17] = [
    ("lower-index", Fault::LowerIndex),
    ("empty", Fault::Empty),
    ("empty-lower", Fault::EmptyLower),
    ("403", Fault::Denied),
    ("429", Fault::TooMany),
    ("500", Fault::NoLeader),
    ("503", Fault::Unavailable),
    ("reset", Fault::Reset),
    ("reset-midway", Fault::ResetMidway),
    ("silence", Fault::Silence),
    ("stall-midway", Fault::StallMidway),
    ("truncate", Fault::Truncate),
    ("malformed", Fault::Malformed),
    ("wrong-type", Fault::WrongType),
    ("cut-gzip", Fault::CutGzip),
    ("duplicate-headers", Fault::DuplicateHeaders),
    ("garbage-headers", Fault::GarbageHeaders),
];

impl Fault {
    /// Every kind of fault; those that take a time are short ones.
    pub fn all() -> impl Iterator<Item = Self> {
        let timed = [Self::Delay(Duration::from_millis(300)), Self::Drip(Duration::from_millis(1))];
        WORDS.iter().map(|(_, fault)| *fault).chain(timed)
    }

    fn parse(text: &str) -> Result<Self, String> {
        if let Some((_, fault)) = WORDS.iter().find(|(word, _)| *word == text) {
            return Ok(*fault);
        }
        let (word, time) = text.split_once(':').unwrap_or((text, ""));
        let make: fn(Duration) -> Self = match word {
            "delay" => Self::Delay,
            "drip" => Self::Drip,
            _ => {
                let words = WORDS.map(|(word, _)| word).join(", ");
                return Err(format!("{text:?} is no fault; write one of {words}, delay:300ms, drip:5ms"));
            }
        };
        let time = parse_duration(word, time)
            .map_err(|_cause| format!("{text:?} has no time; write \"{word}:300ms\""))?;
        if time > LONGEST {
            let longest = format_duration(LONGEST);
            return Err(format!("{text:?} is longer than {longest}; write a shorter time, or \"silence\""));
        }
        Ok(make(time))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Delay(time) => write!(f, "delay:{}", format_duration(*time)),
            Self::Drip(time) => write!(f, "drip:{}", format_duration(*time)),
            plain => {
                let word = WORDS.iter().find(|(_, fault)| fault == plain);
                f.write_str(word.map_or("", |(word, _)| word))
            }
        }
    }
}

/// One line of a plan: which requests, which fault, how often.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// `None`: any method.
    method: Option<String>,
    /// A path; each `*` stands for any run of characters, also for none and across `/`.
    path: String,
    fault: Fault,
    /// How often, from 0 to 1.
    probability: f64,
}

impl Rule {
    /// Reads `METHOD PATH FAULT PROBABILITY`.
    ///
    /// # Errors
    /// [`Kind::Config`](portolan::Kind::Config): the text quotes the rule, and says what is wrong and what to write.
    pub fn parse(text: &str) -> Result<Self, Error> {
        Self::read(text).map_err(|why| Error::config(format!("fault {text:?}: {why}")))
    }

    fn read(text: &str) -> Result<Self, String> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let [method, path, fault, probability] = words.as_slice() else {
            let found = words.len();
            return Err(format!(
                "{found} words, not 4; write METHOD PATH FAULT PROBABILITY, as in \"GET /v1/health/service/* empty-lower 0.05\""
            ));
        };
        if *method != "*" && !["GET", "PUT", "POST", "DELETE", "HEAD"].contains(method) {
            return Err(format!("{method:?} is no method; write GET, PUT, POST, DELETE, HEAD, or * for any"));
        }
        if !path.starts_with(['/', '*']) {
            return Err(format!("{path:?} is no path; begin it with / or *, as in /v1/health/service/*"));
        }
        let fault = Fault::parse(fault)?;
        let probability = match probability.parse::<f64>() {
            Ok(number) if (0.0..=1.0).contains(&number) => number,
            _ => {
                return Err(format!(
                    "{probability:?} is no probability; write a number from 0 to 1, as in 0.05"
                ));
            }
        };
        let method = (*method != "*").then(|| (*method).to_owned());
        Ok(Self { method, path: (*path).to_owned(), fault, probability })
    }

    /// The fault that it injects.
    #[must_use]
    pub fn fault(&self) -> Fault {
        self.fault
    }

    /// How often it hits a request that it is for.
    #[must_use]
    pub fn probability(&self) -> f64 {
        self.probability
    }

    /// Whether it is for such a request.
    #[must_use]
    pub fn is_for(&self, method: &str, path: &str) -> bool {
        self.method.as_ref().is_none_or(|only| only == method) && matches(&self.path, path)
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { method, path, fault, probability } = self;
        write!(f, "{} {path} {fault} {probability}", method.as_deref().unwrap_or("*"))
    }
}

impl std::str::FromStr for Rule {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::parse(text)
    }
}

/// Whether `pattern`, in which each `*` stands for anything, is all of `text`.
fn matches(pattern: &str, text: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut text) = text.strip_prefix(first) else { return false };
    let mut pieces = rest.split('*');
    let Some(last) = pieces.next_back() else { return true };
    for piece in pieces {
        // The earliest place leaves the most for the pieces that follow.
        let Some((_, after)) = text.split_once(piece) else { return false };
        text = after;
    }
    text.ends_with(last)
}
