//! Runs programs, and says so first: what is printed can be pasted into a shell.
//!
//! In:  a program, its words and its environment. Out: its end, or what it said.
//!
//! Never: hides what a program said; takes a child out of the terminal's foreground group.

use std::{
    ffi::OsString,
    fmt::Write as _,
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
    sync::mpsc::{RecvTimeoutError, sync_channel},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};

/// A program to run, from the root of the checkout unless said.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    program: OsString,
    words: Vec<OsString>,
    env: Vec<(&'static str, OsString)>,
    dir: PathBuf,
}

/// What a program said, on both streams in the order it said it, and how it ended.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) text: String,
    pub(crate) status: ExitStatus,
}

impl Run {
    pub(crate) fn new(program: impl Into<OsString>, dir: &Path) -> Self {
        Self { program: program.into(), words: Vec::new(), env: Vec::new(), dir: dir.to_owned() }
    }

    /// Adds words, split at spaces.
    pub(crate) fn words(mut self, words: &str) -> Self {
        self.words.extend(words.split_whitespace().map(OsString::from));
        self
    }

    /// Adds one word as it is.
    pub(crate) fn word(mut self, word: impl Into<OsString>) -> Self {
        self.words.push(word.into());
        self
    }

    pub(crate) fn env(mut self, name: &'static str, value: impl Into<OsString>) -> Self {
        self.env.push((name, value.into()));
        self
    }

    /// The command as a person would type it from the root.
    pub(crate) fn shown(&self) -> String {
        let mut line = String::new();
        for (name, value) in &self.env {
            let _always_fits = write!(line, "{name}={} ", quoted(&value.to_string_lossy()));
        }
        line.push_str(&quoted(&self.program.to_string_lossy()));
        for word in &self.words {
            let _always_fits = write!(line, " {}", quoted(&word.to_string_lossy()));
        }
        line
    }

    /// Runs it with the terminal as its own.
    ///
    /// # Errors
    /// When it cannot be started, or ends with anything but 0.
    pub(crate) fn run(&self) -> Result<()> {
        println!("$ {}", self.shown());
        let status = self.command().status().with_context(|| self.not_started())?;
        if !status.success() {
            bail!("`{}` ended with {status}", self.shown());
        }
        Ok(())
    }

    /// Runs it, shows what it says as it comes, and keeps it.
    ///
    /// # Errors
    /// When it cannot be started. A bad end is for the caller to see in the status.
    pub(crate) fn tee(&self) -> Result<Said> {
        println!("$ {}", self.shown());
        // One pipe for both streams: cargo names a test binary on one and the binary its tests on the other, and
        // the order says which belong together.
        let (reader, writer) = std::io::pipe().context("cannot make a pipe")?;
        let mut command = self.command();
        command.stdin(Stdio::null()).stdout(writer.try_clone()?).stderr(writer);
        let mut child = command.spawn().with_context(|| self.not_started())?;
        drop(command); // it holds the writing ends
        let mut text = String::new();
        let mut reader = BufReader::new(reader);
        let mut line = Vec::new();
        let mut out = std::io::stdout().lock();
        while reader.read_until(b'\n', &mut line)? > 0 {
            out.write_all(&line)?;
            out.flush()?;
            text.push_str(&String::from_utf8_lossy(&line));
            line.clear();
        }
        Ok(Said { text, status: child.wait()? })
    }

    /// Runs it for at most `limit`, shows what it says as it comes, and keeps it. Past the limit it is ended, and None is given in
    /// place of how it ended.
    ///
    /// # Errors
    /// When it cannot be started.
    #[expect(clippy::disallowed_methods, reason = "a program that hangs is ended")]
    pub(crate) fn tee_within(&self, limit: Duration) -> Result<(String, Option<ExitStatus>)> {
        println!("$ {}", self.shown());
        let end = Instant::now().checked_add(limit).context("the limit is beyond all clocks")?;
        let (reader, writer) = std::io::pipe().context("cannot make a pipe")?;
        let mut command = self.command();
        command.stdin(Stdio::null()).stdout(writer.try_clone()?).stderr(writer);
        let mut child = command.spawn().with_context(|| self.not_started())?;
        drop(command); // it holds the writing ends
        let (sender, lines) = sync_channel(64);
        // It ends with the pipe, or at the first line that nobody takes any more.
        thread::spawn(move || {
            let whole = BufReader::new(reader).split(b'\n').map_while(Result::ok);
            whole.map(|line| sender.send(line)).all(|sent| sent.is_ok())
        });
        let mut text = String::new();
        loop {
            match lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    let line = String::from_utf8_lossy(&line);
                    println!("{line}");
                    text.push_str(&line);
                    text.push('\n');
                }
                Err(RecvTimeoutError::Disconnected) => return Ok((text, Some(child.wait()?))),
                Err(RecvTimeoutError::Timeout) => {
                    child.kill()?;
                    child.wait()?;
                    return Ok((text, None));
                }
            }
        }
    }

    /// Runs it in silence and gives what it wrote to its output.
    ///
    /// # Errors
    /// When it cannot be started or fails; the text holds what it wrote to its error stream.
    pub(crate) fn output(&self) -> Result<String> {
        let output = self.command().stdin(Stdio::null()).output().with_context(|| self.not_started())?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            bail!("`{}` ended with {}: {said}", self.shown(), output.status);
        }
        String::from_utf8(output.stdout).with_context(|| format!("`{}` did not write UTF-8", self.shown()))
    }

    /// The same for the standard library, for a child that is to run beside us.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.words).current_dir(&self.dir);
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command
    }

    fn not_started(&self) -> String {
        format!("cannot start `{}`", self.program.to_string_lossy())
    }
}

fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Run {
        Run::new("sh", Path::new("/")).word("-c").word(script)
    }

    #[test]
    fn what_is_shown_can_be_pasted_into_a_shell() {
        let run = Run::new("cargo", Path::new("/")).words("doc --no-deps").env("RUSTDOCFLAGS", "-D warnings");
        assert_eq!(run.shown(), "RUSTDOCFLAGS='-D warnings' cargo doc --no-deps");
        assert_eq!(shell("echo it's").shown(), r"sh -c 'echo it'\''s'");
    }

    #[test]
    fn both_streams_are_kept_in_the_order_they_were_written() {
        let said = shell("echo one; echo two >&2; echo three; exit 3").tee().unwrap();
        assert_eq!((said.text.as_str(), said.status.code()), ("one\ntwo\nthree\n", Some(3)));
    }

    #[test]
    fn a_program_that_goes_on_for_ever_is_ended_at_its_limit() {
        let (text, status) =
            shell("echo one; exec sleep 600").tee_within(Duration::from_millis(500)).unwrap();
        assert_eq!((text.as_str(), status), ("one\n", None));
        let (text, status) = shell("echo two >&2; exit 3").tee_within(Duration::from_secs(60)).unwrap();
        assert_eq!((text.as_str(), status.and_then(|status| status.code())), ("two\n", Some(3)));
    }

    #[test]
    fn a_program_that_fails_is_named_with_what_it_said() {
        let error = shell("echo sorry >&2; exit 4").output().unwrap_err().to_string();
        assert!(error.contains("exit status: 4") && error.contains("sorry"), "{error}");
        let error = format!("{:#}", Run::new("no-such-program", Path::new("/")).run().unwrap_err());
        assert!(error.contains("cannot start `no-such-program`"), "{error}");
    }
}
