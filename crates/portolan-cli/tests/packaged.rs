//! What a package installs beside the command: completions and manual pages. No registry is needed.

use std::{collections::BTreeSet, fs, process::Output};

use tokio::{process::Command, time::timeout};

#[expect(dead_code, reason = "no registry is needed here")]
#[path = "registries/both.rs"]
mod both;

use both::{DEADLINE, Outcome, portolan};

async fn run(words: &[&str]) -> Outcome<Output> {
    // So that no line of the help is broken.
    Ok(timeout(DEADLINE, portolan(words).env("COLUMNS", "1000").output()).await??)
}

async fn printed(words: &[&str]) -> Outcome<String> {
    let ran = run(words).await?;
    assert!(ran.status.success(), "{words:?}: {}", String::from_utf8_lossy(&ran.stderr));
    Ok(String::from_utf8(ran.stdout)?)
}

/// The commands that the help shows.
async fn commands() -> Outcome<Vec<String>> {
    let help = printed(&["--help"]).await?;
    let listed =
        help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let names =
        listed.filter_map(|line| line.strip_prefix("  ")?.split_whitespace().next()).map(str::to_owned);
    Ok(names.filter(|name| name != "help").collect())
}

#[tokio::test]
async fn every_shell_completes_every_command_and_no_hidden_one() -> Outcome {
    let commands = commands().await?;
    assert!(commands.len() > 20, "{commands:?}");
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = printed(&["completions", shell]).await?;
        let words: BTreeSet<&str> = script.split(|c: char| !c.is_alphanumeric() && c != '-').collect();
        let flag = |name: &str| words.contains(name) || words.contains(format!("--{name}").as_str());
        for command in &commands {
            assert!(words.contains(command.as_str()), "{shell}: {command}");
        }
        assert!(flag("version"), "{shell}: a flag of the command itself");
        assert!(flag("log-format"), "{shell}: a flag of every command");
        assert!(flag("data-dir"), "{shell}: a flag of `serve`");
        assert!(!script.contains("demo-instance"), "{shell}: a hidden command");
    }
    Ok(())
}

#[tokio::test]
async fn bash_completes_with_what_is_printed() -> Outcome {
    let dir = tempfile::tempdir()?;
    let script = dir.path().join("portolan");
    fs::write(&script, printed(&["completions", "bash"]).await?)?;
    let complete = r#"
        . "$1"
        COMP_WORDS=(portolan ser) COMP_CWORD=1
        _portolan portolan ser portolan
        echo "${COMPREPLY[@]}"
        COMP_WORDS=(portolan --ver) COMP_CWORD=1
        _portolan portolan --ver portolan
        echo "${COMPREPLY[@]}"
        COMP_WORDS=(portolan serve --data) COMP_CWORD=2
        _portolan portolan --data serve
        echo "${COMPREPLY[@]}"
    "#;
    let mut bash = Command::new("bash");
    bash.args(["--norc", "-c", complete, "bash"]).arg(&script).kill_on_drop(true);
    let said = timeout(DEADLINE, bash.output()).await??;
    let said = String::from_utf8(said.stdout)?;
    let expected = ["serve services", "--verbose --version", "--data-dir --datacenter"];
    assert_eq!(said.lines().collect::<Vec<_>>(), expected);
    Ok(())
}

#[tokio::test]
async fn every_command_has_a_manual_page_with_its_flags_and_examples() -> Outcome {
    let dir = tempfile::tempdir()?;
    let into = dir.path().join("man1");
    let dir_flag = into.display().to_string();
    // The second time it finds what the first one wrote.
    for _ in 0..2 {
        printed(&["man", "--dir", &dir_flag]).await?;
    }
    for command in commands().await? {
        let page = fs::read_to_string(into.join(format!("portolan-{command}.1")))?;
        assert!(page.contains(&format!(".TH portolan-{command} 1")), "{command}: {page}");
        let help = printed(&[&command, "--help"]).await?;
        let flags = help.lines().filter_map(|line| {
            let flag = line.trim_start().split_once("--")?.1.split([' ', ',', '.', '[']).next()?;
            line.trim_start().starts_with('-').then_some(flag)
        });
        for flag in flags {
            assert!(page.contains(&format!("--{flag}").replace('-', r"\-")), "{command}: --{flag}");
        }
        // Line by line as the help has them.
        let unquoted = |line: &str| line.replace(r"\*(Aq", "'").replace('\\', "");
        let page: BTreeSet<String> = page.lines().map(unquoted).collect();
        for line in help.lines().skip_while(|line| *line != "Examples:").filter(|line| !line.is_empty()) {
            assert!(page.contains(line), "{command}: {line:?} of {page:#?}");
        }
    }
    assert!(!into.join("portolan-demo-instance.1").exists());
    let main = printed(&["man"]).await?;
    assert_eq!(main, fs::read_to_string(into.join("portolan.1"))?);
    Ok(())
}

#[tokio::test]
async fn a_place_that_cannot_be_written_to_is_named() -> Outcome {
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("file");
    fs::write(&file, "mine")?;
    let ran = run(&["man", "--dir", &file.display().to_string()]).await?;
    let said = String::from_utf8(ran.stderr)?;
    assert_eq!(ran.status.code(), Some(1), "{said}");
    assert!(said.contains(&format!("--dir {}: cannot be written to", file.display())), "{said}");
    assert_eq!(fs::read_to_string(&file)?, "mine");
    Ok(())
}
