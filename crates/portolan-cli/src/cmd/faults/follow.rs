//! The file of rules, followed: whoever edits it changes what goes wrong, without a restart.
//!
//! In:  the flags, and the file as it changes. Out: the plan that is in force.
//!
//! Never: ends what the file said because it is wrong or gone: the last good plan stays; says the same twice in a row.

use std::{fs::File, io::Read as _, path::Path, time::Duration};

use portolan_server::faults::{Faults, Plan};
use tokio::{task::spawn_blocking, time::sleep};

use super::FaultArgs;

/// How often the file is looked at, as the library looks at an operator's files.
const LOOK: Duration = Duration::from_secs(2);
/// A longer file is none that a person keeps.
const LIMIT: u64 = 1 << 20;

/// The text of the file. It blocks.
///
/// # Errors
/// Why it cannot be read, with its name.
pub(super) fn read(path: &Path) -> Result<String, String> {
    let named = |why: String| format!("--faults {}: {why}", path.display());
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(LIMIT + 1).read_to_string(&mut text));
    read.map_err(|error| named(format!("{error}; name a file of rules that can be read")))?;
    if text.len() as u64 > LIMIT {
        return Err(named("has over 1 MiB; keep in it only rules".to_owned()));
    }
    Ok(text)
}

impl FaultArgs {
    /// Follows the file, where there is one; never returns. The plan that is in force is taken for what it says now.
    pub(crate) async fn follow(&self, faults: Option<&Faults>) {
        let (Some(path), Some(faults)) = (&self.faults, faults) else { return std::future::pending().await };
        // What is changed otherwise stays until the file says something else.
        let (mut last, mut told) = (Plan::clone(&faults.plan()), String::new());
        loop {
            sleep(LOOK).await;
            let file = path.clone();
            let found =
                spawn_blocking(move || read(&file)).await.unwrap_or_else(|failed| Err(failed.to_string()));
            match found.and_then(|text| self.with(Some(&text)).map_err(|wrong| wrong.0)) {
                Ok(plan) => {
                    told.clear();
                    if plan != last {
                        let rules = plan.rules().len();
                        tracing::warn!(rules, "the file of faults has changed: its rules count now");
                        faults.set(plan.clone());
                        last = plan;
                    }
                }
                Err(why) if why == told => {}
                Err(why) => {
                    tracing::error!(why, "the file of faults cannot be used; what it said before stays");
                    told = why;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tokio::{task::yield_now, time::timeout};

    use super::*;

    fn plan(text: &str) -> Plan {
        Plan::parse(text).unwrap()
    }

    /// Time passes until the plan is this one.
    async fn until(faults: &Faults, text: &str) {
        let wanted = async {
            while *faults.plan() != plan(text) {
                sleep(LOOK / 4).await;
                yield_now().await;
            }
        };
        timeout(LOOK * 100, wanted).await.unwrap_or_else(|_late| panic!("it is {}", faults.plan()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_file_that_is_edited_counts_and_one_that_is_wrong_or_gone_does_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("rules");
        fs::write(&path, "GET /a 500 1\n").unwrap();
        let args = FaultArgs { fault: Vec::new(), faults: Some(path.clone()), fault_seed: None };
        let faults = Faults::new(args.plan().unwrap().unwrap());
        let edited = async {
            fs::write(&path, "GET /a 429 1\n").unwrap();
            until(&faults, "GET /a 429 1").await;
            fs::write(&path, "GET /a rest 1\nGET /b rest 1\n").unwrap();
            sleep(LOOK * 10).await;
            assert_eq!(*faults.plan(), plan("GET /a 429 1"), "a wrong file");
            fs::remove_file(&path).unwrap();
            sleep(LOOK * 10).await;
            assert_eq!(*faults.plan(), plan("GET /a 429 1"), "no file");
            // What is changed otherwise stays until the file changes.
            fs::write(&path, "GET /a 503 1\n").unwrap();
            until(&faults, "GET /a 503 1").await;
            faults.clear();
            sleep(LOOK * 10).await;
            assert!(faults.plan().is_empty());
            fs::write(&path, "").unwrap();
            sleep(LOOK * 2).await;
            fs::write(&path, "GET /a reset 1\n").unwrap();
            until(&faults, "GET /a reset 1").await;
        };
        tokio::select! {
            () = args.follow(Some(&faults)) => panic!("it ends"),
            () = edited => {}
        }
    }
}
