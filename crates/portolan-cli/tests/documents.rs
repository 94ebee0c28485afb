//! What the book shows in a terminal is what comes: each page with `console` blocks is played, in one shell, from its first
//! `$ ` to its last.
//!
//! A command that ends in `&` runs on, and what it says may be shown below any later command. `portolan serve` is given a free
//! port, and the other commands are told of it. Lines are compared word by word; a word with a digit in it (an id, a time, an
//! address) stands for any other, with its unit. Blocks of `sh` are not played: `cargo xtask tidy` looks up what they name.
#![cfg(unix)]

use std::{
    collections::VecDeque,
    error::Error,
    fs,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, sync_channel},
    thread,
    time::{Duration, Instant},
};

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// How long the lines of a command may take to come.
const DEADLINE: Duration = Duration::from_secs(30);
/// Said by the shell when a command has ended.
const DONE: &str = "@done";
/// Before each line of a command that runs on.
const JOB: &str = "@job:";

#[expect(
    clippy::disallowed_methods,
    reason = "what is waited for is said by other processes, in their own time"
)]
fn now() -> Instant {
    Instant::now()
}

/// A command of a page, with the lines that are shown below it.
#[derive(Debug, PartialEq, Eq)]
struct Step {
    line: usize,
    command: String,
    shown: Vec<String>,
}

/// The steps of a page's `console` blocks.
fn steps(text: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut inside = false;
    for (line, content) in (1..).zip(text.lines()) {
        match content.strip_prefix("```") {
            Some(language) => inside = language == "console",
            None if !inside => {}
            None => match (content.strip_prefix("$ "), steps.last_mut()) {
                (Some(command), _) => {
                    steps.push(Step { line, command: command.to_owned(), shown: Vec::new() });
                }
                (None, Some(step)) => step.shown.push(content.to_owned()),
                (None, None) => {}
            },
        }
    }
    steps
}

/// A line as it is compared: what is another each time is left out.
fn plain(line: &str) -> String {
    let words = line
        .split_whitespace()
        .map(|word| if word.contains(|c: char| c.is_ascii_digit()) { "#" } else { word });
    let mut kept: Vec<&str> = Vec::new();
    for word in words {
        let is_unit = matches!(word.trim_end_matches([',', '.']), "ms" | "s" | "min");
        if !(is_unit && kept.last() == Some(&"#")) {
            kept.push(word);
        }
    }
    kept.join(" ")
}

/// A shell with jobs, in a directory of its own, and all that it and its jobs say.
struct Terminal {
    shell: Child,
    input: ChildStdin,
    said: Receiver<String>,
    /// What jobs have said that no page has shown yet.
    aside: Vec<String>,
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // What `portolan run` runs is in a process group of its own; without it, it ends by itself.
        let _gone =
            writeln!(self.input, "for job in $(jobs -p); do pkill -9 -P $job; kill $job; done; wait; exit");
        let until = now() + DEADLINE;
        while self.next(until).is_ok() {}
        let _gone = self.shell.kill().and_then(|()| self.shell.wait());
    }
}

impl Terminal {
    fn open(dir: &Path) -> Outcome<Self> {
        fs::create_dir_all(dir)?;
        let ours = PathBuf::from(env!("CARGO_BIN_EXE_portolan"));
        let path = [
            ours.parent().ok_or("it is in a directory")?.as_os_str(),
            &std::env::var_os("PATH").ok_or("PATH")?,
        ];
        let path = path.join(std::ffi::OsStr::new(":"));
        let mut shell = Command::new("bash");
        shell
            .args(["--norc", "--noprofile"])
            .current_dir(dir)
            .env("PATH", path)
            .env("HOME", dir)
            .env("COLUMNS", "200");
        let names = std::env::vars_os().map(|(name, _)| name);
        for name in names.filter(|name| name.to_string_lossy().starts_with("CONSUL_")) {
            shell.env_remove(name);
        }
        shell
            .env_remove("RUST_LOG")
            .env_remove("NOTIFY_SOCKET")
            .env_remove("XDG_STATE_HOME")
            .stdin(Stdio::piped());
        let mut shell = shell.stdout(Stdio::piped()).spawn().map_err(|error| format!("bash: {error}"))?;
        let mut input = shell.stdin.take().ok_or("stdin is piped")?;
        writeln!(input, "exec 2>&1; set -m; trap '' PIPE")?;
        let lines = BufReader::new(shell.stdout.take().ok_or("stdout is piped")?).lines();
        let (tell, said) = sync_channel(4096);
        thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| tell.send(line)));
        Ok(Self { shell, input, said, aside: Vec::new() })
    }

    /// The next line that is said until then.
    fn next(&self, until: Instant) -> Result<String, RecvTimeoutError> {
        self.said.recv_timeout(until.saturating_duration_since(now()))
    }

    fn play(&mut self, step: &Step) -> Outcome {
        let served = step.command.starts_with("portolan serve");
        match step.command.strip_suffix('&') {
            Some(command) => {
                let command =
                    if served { format!("{command} --http-addr 127.0.0.1:0") } else { command.to_owned() };
                writeln!(self.input, "{command} > >(trap '' TERM; exec sed -u 's/^/{JOB}/') 2>&1 &")?;
            }
            None => writeln!(self.input, "{}", step.command)?,
        }
        writeln!(self.input, "echo {DONE}")?;
        if served {
            return self.follow_registry();
        }
        self.expect(step.shown.iter().map(|line| plain(line)).filter(|line| !line.is_empty()).collect())
    }

    /// Waits until the registry says where it is, and tells the shell.
    fn follow_registry(&mut self) -> Outcome {
        let until = now() + DEADLINE;
        let mut done = false;
        let mut url = None;
        while !done || url.is_none() {
            let line =
                self.next(until).map_err(|error| format!("no word of where the registry is: {error}"))?;
            done |= line == DONE;
            url = url.or_else(|| {
                line.split_whitespace().find(|word| word.starts_with("http://")).map(str::to_owned)
            });
        }
        Ok(writeln!(self.input, "export CONSUL_HTTP_ADDR={}", url.ok_or("it has said so")?)?)
    }

    /// Waits until all these lines have come, and the command has ended.
    fn expect(&mut self, mut want: VecDeque<String>) -> Outcome {
        let until = now() + DEADLINE;
        let mut done = false;
        loop {
            while let Some(at) = want.front().and_then(|next| self.aside.iter().position(|line| line == next))
            {
                self.aside.remove(at);
                want.pop_front();
            }
            if done && want.is_empty() {
                return Ok(());
            }
            let missing = |_| format!("this did not come: {:?}; jobs said: {:#?}", want.front(), self.aside);
            let line = self.next(until).map_err(missing)?;
            if line == DONE {
                done = true;
            } else if let Some(line) = line.strip_prefix(JOB) {
                self.aside.push(plain(line));
            } else if !plain(&line).is_empty() && want.pop_front() != Some(plain(&line)) {
                return Err(format!("this came, and is not shown there: {line:?}").into());
            }
        }
    }
}

/// Every page of the book that shows a terminal.
fn pages(dir: &Path, found: &mut Vec<PathBuf>) -> Outcome {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            pages(&path, found)?;
        } else if path.extension().is_some_and(|kind| kind == "md") {
            found.push(path);
        }
    }
    Ok(())
}

#[test]
fn what_the_book_shows_in_a_terminal_is_what_comes() -> Outcome {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    let mut found = Vec::new();
    pages(&docs, &mut found)?;
    found.sort();
    let mut played = 0;
    for page in found {
        let steps = steps(&fs::read_to_string(&page)?);
        let Some(name) = page.file_stem().filter(|_| !steps.is_empty()) else { continue };
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("documents").join(name);
        let mut terminal = Terminal::open(&dir)?;
        for step in &steps {
            let Step { line, command, .. } = step;
            terminal
                .play(step)
                .map_err(|error| format!("{}:{line}: $ {command}: {error}", page.display()))?;
        }
        played += 1;
    }
    assert!(played >= 3, "the tutorial has pages that are played: {played}");
    Ok(())
}

#[test]
fn what_differs_each_time_is_not_compared() {
    for (line, other) in [
        ("source live, age 0 ms, index 2, from", "source live, age 1.2 s, index 40, from"),
        ("web-vm-8080-3f5r  127.0.0.1:8080  passing", "web-box-8080-a1  127.0.0.1:1  passing"),
    ] {
        assert_eq!(plain(line), plain(other));
    }
    assert_ne!(plain("a1 passing"), plain("a1 critical"));
}

#[test]
fn steps_are_the_commands_of_console_blocks() {
    let text = "# A\n```sh\n$ not this\n```\n```console\n$ one\nsays\n$ two\n```\ntext\n";
    let step = |line, command: &str, shown: &[&str]| Step {
        line,
        command: command.to_owned(),
        shown: shown.iter().map(|&line| line.to_owned()).collect(),
    };
    assert_eq!(steps(text), [step(6, "one", &["says"]), step(8, "two", &[])]);
}
