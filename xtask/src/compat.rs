//! `cargo xtask compat`: clients of Consul as they are, each run against a real Consul and against `portolan serve`.
//!
//! In:  names of clients, or none for all. Out: what each says, and a table: client, version, how many of its assertions held on
//! which registry; 1 when one failed.
//!
//! Never: tells a client which registry it has; lets a client run beyond its limit, or a registry outlive it; leaves out what
//! could not be shown without saying so.
//!
//! A new client is a row of `compat/clients.rs` and a program under `tests/compat/`.

mod clients;
mod known;
mod site;
mod table;

use std::path::PathBuf;

use anyhow::{Context as _, Result};

use self::{
    clients::{CLIENTS, Client},
    site::{Binaries, Site},
    table::{Ran, Row},
};
use crate::{Ending, consul, project::Project};

#[derive(Debug, Default, PartialEq, Eq)]
struct Plan {
    only: Vec<String>,
    portolan: Option<PathBuf>,
    list: bool,
    write: bool,
}

/// `cargo xtask compat`.
///
/// # Errors
/// When there is no Consul, Portolan does not build, or a registry does not start. A client that cannot be had is a failure in
/// the table.
pub(crate) fn command(project: &Project, words: &[&str]) -> Result<Ending> {
    let plan = match plan(words) {
        Ok(plan) => plan,
        Err(what) => return Ok(Ending::WrongUse(what)),
    };
    if plan.list {
        CLIENTS.iter().for_each(|client| println!("{:<12} {}", client.name, client.what));
        return Ok(Ending::Well);
    }
    let consul = consul::find(project)?;
    println!("{}: {}", consul.version, consul.path.display());
    let wanted = |client: &&Client| plan.only.is_empty() || plan.only.iter().any(|name| name == client.name);
    let clients: Vec<&Client> = CLIENTS.iter().filter(wanted).collect();
    let rows = run(project, &clients, consul, plan.portolan)?;
    let text = table::markdown(&rows);
    println!("\n{text}");
    for failure in table::failures(&rows) {
        println!("{failure}");
    }
    if plan.write {
        write(project, &text)?;
    }
    let (passed, failed) = table::count(&rows);
    println!("{passed} passed, {failed} failed");
    Ok(if failed == 0 { Ending::Well } else { Ending::Failed })
}

/// What CI runs: all clients.
///
/// # Errors
/// When one of them fails.
pub(crate) fn check(project: &Project, consul: consul::Found) -> Result<(usize, usize)> {
    let clients: Vec<&Client> = CLIENTS.iter().collect();
    let rows = run(project, &clients, consul, None)?;
    println!("\n{}", table::markdown(&rows));
    table::failures(&rows).iter().for_each(|failure| println!("{failure}"));
    Ok(table::count(&rows))
}

fn plan(words: &[&str]) -> Result<Plan, String> {
    let mut plan = Plan::default();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match *word {
            "--list" => plan.list = true,
            "--write" => plan.write = true,
            "--portolan" => {
                let path = words.next().ok_or("compat --portolan needs the path of a binary")?;
                plan.portolan = Some(PathBuf::from(path));
            }
            "--only" => {
                let name = words.next().ok_or("compat --only needs the name of a client")?;
                if !CLIENTS.iter().any(|client| client.name == *name) {
                    let known: Vec<&str> = CLIENTS.iter().map(|client| client.name).collect();
                    return Err(format!("compat has no client `{name}`; there are {}", known.join(", ")));
                }
                plan.only.push((*name).to_owned());
            }
            other => return Err(format!("compat does not take `{other}`")),
        }
    }
    if plan.write && !plan.only.is_empty() {
        return Err("compat --write takes all clients: leave out --only".to_owned());
    }
    Ok(plan)
}

fn run(
    project: &Project,
    clients: &[&Client],
    consul: consul::Found,
    portolan: Option<PathBuf>,
) -> Result<Vec<Row>> {
    let portolan = match portolan {
        Some(path) => std::path::absolute(&path).with_context(|| path.display().to_string())?,
        None => {
            project.cargo("build --release -p portolan-cli").run()?;
            project.target.join("release/portolan")
        }
    };
    let binaries = Binaries { consul, portolan };
    let mut rows = Vec::new();
    for client in clients {
        println!("\n== {}: {}", client.name, client.what);
        rows.push(row(project, client, &binaries)?);
    }
    Ok(rows)
}

/// One client against both.
fn row(project: &Project, client: &Client, binaries: &Binaries) -> Result<Row> {
    let program = match (client.get)(project, &binaries.consul) {
        Ok(program) => program,
        Err(error) => {
            return Ok(Row::not_to_be_had(client.name, binaries.names(), &format!("{error:#}")));
        }
    };
    let mut ran = Vec::new();
    for (kind, name) in site::KINDS.into_iter().zip(binaries.names()) {
        println!("\n-- {} on {name}", client.name);
        let site = Site::start(project, binaries, kind)?;
        let (said, status) = site.put_into(program.clone()).tee_within(client.limit)?;
        site.end()?;
        ran.push(Ran::read(name, &said, status.map(|status| status.success())));
    }
    Ok(Row::judged(client.name, &ran))
}

/// Where the table stands.
const PAGE: &str = "COMPATIBILITY.md";
const BEGIN: &str = "<!-- cargo xtask compat --write -->\n";
const END: &str = "<!-- to here -->\n";

fn write(project: &Project, table: &str) -> Result<()> {
    let path = project.root.join(PAGE);
    let page = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let page = replaced(&page, table).with_context(|| format!("{PAGE} has no lines {BEGIN}and {END}"))?;
    std::fs::write(&path, page).with_context(|| path.display().to_string())
}

/// The page with another table between its marks.
fn replaced(page: &str, table: &str) -> Option<String> {
    let (before, rest) = page.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n{table}\n{END}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_that_is_not_there_is_refused_with_the_names() {
        let what = plan(&["--only", "cobol"]).unwrap_err();
        assert!(what.contains("`cobol`") && what.contains("py-consul"), "{what}");
        assert!(plan(&["--only"]).is_err() && plan(&["fast"]).is_err());
        assert!(plan(&["--only", "dig", "--write"]).is_err(), "a table of one client is none");
        assert_eq!(plan(&["--only", "dig", "--only", "go"]).unwrap().only, ["dig", "go"]);
    }

    #[test]
    fn only_what_is_between_the_marks_is_replaced() {
        let page = format!("before\n{BEGIN}old\n{END}after\n");
        assert_eq!(replaced(&page, "new\n").unwrap(), format!("before\n{BEGIN}\nnew\n\n{END}after\n"));
        assert_eq!(replaced("no marks", "new"), None);
    }
}
