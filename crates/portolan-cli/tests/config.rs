//! `portolan.toml` from end to end: flags over environment over file, every problem at once, and no secret shown.

use std::{fs, process::Stdio};

use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::Command,
    time::timeout,
};

#[expect(dead_code, reason = "one registry is enough here")]
#[path = "registries/both.rs"]
mod both;

use both::{DEADLINE, Outcome, Ran, Running, portolan};

/// A directory with a file of settings.
struct Settings {
    dir: TempDir,
}

impl Settings {
    fn new(text: &str) -> Outcome<Self> {
        let dir = TempDir::new()?;
        fs::write(dir.path().join("portolan.toml"), text)?;
        Ok(Self { dir })
    }

    fn path(&self) -> String {
        self.dir.path().join("portolan.toml").display().to_string()
    }

    /// A command that reads this file, and nothing of the user's own.
    fn command(&self, words: &[&str]) -> Command {
        let mut command = portolan(words);
        command.env("PORTOLAN_CONFIG", self.path()).env_remove("CONSUL_HTTP_TOKEN_FILE").env("NO_COLOR", "1");
        command
    }

    async fn run(&self, words: &[&str]) -> Outcome<Ran> {
        Ok(Ran::from(timeout(DEADLINE, self.command(words).output()).await??))
    }
}

/// The first line that a registry says.
async fn first_line(mut command: Command) -> Outcome<String> {
    let mut child = command.stdin(Stdio::null()).spawn()?;
    let stdout = child.stdout.take().ok_or("stdout is piped")?;
    let line = timeout(DEADLINE, BufReader::new(stdout).lines().next_line()).await??;
    Ok(line.ok_or("it serves")?)
}

#[tokio::test]
async fn serve_takes_its_settings_from_a_flag_over_the_environment_over_the_file() -> Outcome {
    let text = "[serve]\nephemeral = true\nhttp-addr = \"127.0.0.1:0\"\nnode = \"by-file\"\ndatacenter = \"by-file\"\n";
    let settings = Settings::new(text)?;
    let line = first_line(settings.command(&["serve"])).await?;
    assert!(line.ends_with("(datacenter by-file, node by-file)"), "{line}");
    let mut command = settings.command(&["serve", "--node", "by-flag"]);
    command.env("PORTOLAN_SERVE_NODE", "by-env").env("PORTOLAN_SERVE_DATACENTER", "by-env");
    let line = first_line(command).await?;
    assert!(line.ends_with("(datacenter by-env, node by-flag)"), "{line}");
    let named = ["--config", &settings.path(), "serve", "--dev"];
    let line = first_line(portolan(&named)).await?;
    assert!(line.ends_with("(datacenter by-file, node by-file)"), "{line}");
    Ok(())
}

#[tokio::test]
async fn a_client_asks_the_registry_of_its_file_unless_the_environment_or_a_flag_names_another() -> Outcome {
    let registry = Running::ours().await?;
    let settings = Settings::new(&format!("[client]\nregistry = \"{}\"\n", registry.url))?;
    let ran = settings.run(&["services", "--json"]).await?;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let nowhere = "http://127.0.0.1:1";
    let mut command = settings.command(&["services"]);
    let ran = Ran::from(timeout(DEADLINE, command.env("CONSUL_HTTP_ADDR", nowhere).output()).await??);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    let ran = settings.run(&["services", "--registry", nowhere]).await?;
    assert_eq!(ran.code, Some(3), "{ran:?}");
    Ok(())
}

#[tokio::test]
async fn check_tells_every_problem_with_its_line_and_another_command_the_first() -> Outcome {
    let text = "[serv]\n[serve]\nhttp-adr = \"x\"\nlimit = [\"max_bodi=1\"]\n[client]\nregistry = 7\ntoken = \"hunter2\"\n";
    let settings = Settings::new(text)?;
    let path = settings.path();
    let ran = settings.run(&["config", "check"]).await?;
    assert_eq!(ran.code, Some(2), "{ran:?}");
    let lines: Vec<&str> = ran.out.lines().collect();
    assert_eq!(
        lines,
        [
            format!("{path}:1: serv: there is no such section; did you mean [serve]?"),
            format!("{path}:3: serve.http-adr: there is no such setting; did you mean http-addr?"),
        ]
    );
    let ran = settings.run(&["services"]).await?;
    assert!(
        ran.code == Some(2) && ran.err.contains(":1: serv: ") && ran.err.contains("and 1 more"),
        "{ran:?}"
    );
    assert_eq!(ran.err.lines().count(), 1, "{ran:?}");

    let wrong = Settings::new("[client]\n\nregistry = \"ftp://x\"\n[serve]\nlimit = [\"max_bodi=1\"]\n")?;
    let ran = settings.run(&["config", "check", &wrong.path()]).await?;
    assert!(
        ran.out.contains(":3: client: --registry: ") && ran.out.contains("\"ftp\" is not a scheme"),
        "{ran:?}"
    );
    assert!(ran.out.contains(":5: serve: --limit max_bodi=1: there is no such limit"), "{ran:?}");

    let fine = Settings::new("[serve]\nephemeral = true\n")?;
    let ran = fine.run(&["config", "check"]).await?;
    assert!(
        ran.code == Some(0) && ran.out.is_empty() && ran.err.contains("1 settings, nothing wrong"),
        "{ran:?}"
    );
    let ran = fine.run(&["config", "check", "/does/not/exist.toml"]).await?;
    assert_eq!(ran.code, Some(2), "{ran:?}");
    Ok(())
}

#[tokio::test]
async fn show_prints_what_holds_with_its_origin_and_no_secret() -> Outcome {
    let settings =
        Settings::new("[client]\ntoken = \"hunter2\"\n[serve]\nlimit = [\"max_body=4096\"]\nnode = \"a\"\n")?;
    let path = settings.path();
    let mut command =
        settings.command(&["config", "show", "--origin", "serve", "--http-addr", "127.0.0.1:9", "--dev"]);
    command.env("PORTOLAN_SERVE_NODE", "b");
    let ran = Ran::from(timeout(DEADLINE, command.output()).await??);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    for line in [
        "[global]".to_owned(),
        "color = \"auto\"  # default".to_owned(),
        format!("token = \"(hidden)\"  # {path}:2"),
        "http-addr = \"127.0.0.1:9\"  # flag --http-addr".to_owned(),
        "dev = true  # flag --dev".to_owned(),
        "node = \"b\"  # environment PORTOLAN_SERVE_NODE".to_owned(),
        format!("limit = [\"max_body=4096\"]  # {path}:4"),
        "domain = \"consul\"  # default".to_owned(),
        "# data-dir is not set".to_owned(),
    ] {
        assert!(ran.out.lines().any(|shown| shown == line), "{line}\n{}", ran.out);
    }
    assert!(!ran.out.contains("hunter2"), "{ran:?}");
    // What is shown is a file of settings again.
    let shown = settings.run(&["config", "show"]).await?;
    let again = Settings::new(&shown.out.replace("token = \"(hidden)\"\n", ""))?;
    let ran = again.run(&["config", "check"]).await?;
    assert_eq!((ran.code, &*ran.out), (Some(0), ""), "{ran:?}\n{}", shown.out);
    Ok(())
}
