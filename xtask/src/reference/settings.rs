//! The page of settings, from the structs that hold them. PURE.
//!
//! In:  the sources of the library and of the registry. Out: a table for each struct: its public fields, and what else its
//! setters set; and the variables of the environment.
//!
//! Never: tells a default that the code does not: it stands in the documentation of the field.

use std::collections::{BTreeMap, BTreeSet};

use syn::{Fields, ImplItem, Item, ReturnType, Visibility};

use super::{Texts, commands, item};

/// A struct of settings: how it is called, how an error names what is in it, where it is.
struct Group {
    name: &'static str,
    prefix: &'static str,
    file: &'static str,
}

const fn group(name: &'static str, prefix: &'static str, file: &'static str) -> Group {
    Group { name, prefix, file }
}

const LIBRARY: &[Group] = &[
    group("Config", "", "crates/portolan/src/discovery/config.rs"),
    group("ConsulConfig", "consul", "crates/portolan/src/registry/consul/config.rs"),
    group("ViewConfig", "view", "crates/portolan/src/discovery/config/view.rs"),
    group("CacheConfig", "cache", "crates/portolan/src/discovery/config/cache.rs"),
    group("GuardConfig", "guard", "crates/portolan/src/discovery/config/guard.rs"),
    group("Ejection", "ejection", "crates/portolan/src/resolve/outlier/settings.rs"),
    group("RetryBudget", "retry_budget", "crates/portolan/src/resolve/retry.rs"),
    group("Locality", "locality", "crates/portolan/src/resolve/prefer/locality.rs"),
    group("Select", "select", "crates/portolan/src/resolve/select.rs"),
    group("Retry", "retry", "crates/portolan/src/resolve/retry.rs"),
    group("Registration", "registration", "crates/portolan/src/register/spec.rs"),
    group("Check", "check", "crates/portolan/src/check.rs"),
    group("Drain", "drain", "crates/portolan/src/register/drain.rs"),
    group("HealthConfig", "health", "crates/portolan/src/register/health_endpoint/config.rs"),
    group("Probe", "probe", "crates/portolan/src/register/health_endpoint/probe.rs"),
    group("HealthFn", "health_fn", "crates/portolan/src/register/health_fn.rs"),
    group("ReadyConfig", "ready", "crates/portolan/src/depend/ready/config.rs"),
];

const SERVER: &[Group] = &[
    group("ServerConfig", "", "crates/portolan-server/src/config.rs"),
    group("Limits", "limits", "crates/portolan-server/src/config/limits.rs"),
    group("Https", "https", "crates/portolan-server/src/config/https.rs"),
    group("Dns", "dns", "crates/portolan-server/src/config/dns.rs"),
];

/// The variables that are read, and what they say.
const VARIABLES: &[(&str, &str)] = &[
    ("CONSUL_CACERT", "A PEM file with the authorities that the registry's certificate is checked against"),
    ("CONSUL_CAPATH", "A directory of such files"),
    ("CONSUL_CLIENT_CERT", "The certificate shown to the registry: a PEM file"),
    ("CONSUL_CLIENT_KEY", "Its key: a PEM file"),
    ("CONSUL_HTTP_ADDR", "Where the registry is; several with commas. Default `http://127.0.0.1:8500`"),
    ("CONSUL_HTTP_AUTH", "`USER:PASSWORD` for a proxy before it"),
    ("CONSUL_HTTP_SSL", "`true`: HTTPS where the address names no scheme"),
    ("CONSUL_HTTP_SSL_VERIFY", "`false`: any certificate will do"),
    ("CONSUL_HTTP_TOKEN", "The ACL token"),
    ("CONSUL_HTTP_TOKEN_FILE", "A file with it"),
    ("CONSUL_NAMESPACE", "The namespace (Consul Enterprise)"),
    ("CONSUL_PARTITION", "The partition (Consul Enterprise)"),
    ("CONSUL_TLS_SERVER_NAME", "The name that the certificate is for"),
    ("NO_COLOR", "Not empty: the command does not colour"),
    ("PORTOLAN_NODE", "The caller's node, for those who prefer what is near"),
    ("PORTOLAN_REGION", "The caller's region"),
    ("PORTOLAN_ZONE", "The caller's zone"),
    ("RUST_LOG", "What the command logs, where neither `--verbose` nor `--quiet` says so"),
    ("XDG_STATE_HOME", "Where `portolan serve` keeps its data, in `portolan`. Default `~/.local/state`"),
];

/// Where variables are read.
const READ_IN: [&str; 3] = [
    "crates/portolan/src/registry/consul/config/env.rs",
    "crates/portolan/src/resolve/prefer/locality.rs",
    "crates/portolan-cli/src/config.rs",
];

/// The settings of each struct, by its name and by its prefix.
pub(super) type Names = BTreeMap<String, BTreeSet<String>>;

/// All settings that there are.
pub(super) fn names(texts: &Texts) -> Result<Names, String> {
    let mut names = Names::new();
    for group in LIBRARY.iter().chain(SERVER) {
        let settings: BTreeSet<String> = rows(group, texts)?.into_iter().map(|row| row.name).collect();
        for key in [group.name, group.prefix].into_iter().filter(|key| !key.is_empty()) {
            names.entry(key.to_owned()).or_default().extend(settings.iter().cloned());
        }
    }
    match unlisted(texts) {
        Some((file, name)) => Err(format!("{file} has {name}; list it in xtask/src/reference/settings.rs")),
        None => Ok(names),
    }
}

/// A public struct of settings that is in no list here.
fn unlisted(texts: &Texts) -> Option<(&str, &str)> {
    let of_ours = |file: &str| {
        file.starts_with("crates/portolan/src/") || file.starts_with("crates/portolan-server/src/")
    };
    texts.iter().filter(|(file, _)| of_ours(file)).find_map(|(file, text)| {
        let structs = text.lines().filter_map(|line| line.strip_prefix("pub struct "));
        let names = structs.filter_map(|rest| rest.split([' ', '<', '(', ';']).next());
        let listed = |name: &str| LIBRARY.iter().chain(SERVER).any(|group| group.name == name);
        let name = names.filter(|name| name.ends_with("Config")).find(|name| !listed(name))?;
        Some((file.as_str(), name))
    })
}

/// All variables that there are.
pub(super) fn variables() -> impl Iterator<Item = &'static str> {
    VARIABLES.iter().map(|(name, _)| *name)
}

struct Row {
    name: String,
    form: String,
    what: String,
}

/// The settings of one struct: fields that all see, then setters of what is hidden.
fn rows(group: &Group, texts: &Texts) -> Result<Vec<Row>, String> {
    let text = texts.get(group.file).ok_or_else(|| format!("{} is not there", group.file))?;
    let items = item::items(group.file, text)?;
    let mut rows = Vec::new();
    for item in &items {
        let Item::Struct(found) = item else { continue };
        let (true, Fields::Named(fields)) = (found.ident == group.name, &found.fields) else { continue };
        for field in fields.named.iter().filter(|field| is_public(&field.vis)) {
            let name = field.ident.as_ref().map(ToString::to_string).unwrap_or_default();
            rows.push(Row { name, form: item::written(&field.ty), what: item::doc(&field.attrs) });
        }
    }
    for item in &items {
        let Item::Impl(block) = item else { continue };
        if block.trait_.is_none() && item::written(&*block.self_ty) == group.name {
            setters(&block.items, &mut rows);
        }
    }
    match rows.is_empty() {
        true => {
            Err(format!("{} has no settings in {}; correct reference/settings.rs", group.file, group.name))
        }
        false => Ok(rows),
    }
}

/// Methods that take a value and give it back with something set.
fn setters(items: &[ImplItem], rows: &mut Vec<Row>) {
    for item in items {
        let ImplItem::Fn(method) = item else { continue };
        let ReturnType::Type(_, gives) = &method.sig.output else { continue };
        let gives = item::written(&**gives);
        let sets = method.sig.receiver().is_some_and(|receiver| receiver.reference.is_none())
            && (gives == "Self" || gives.starts_with("Result<Self"));
        let name = method.sig.ident.to_string();
        if !sets || !is_public(&method.vis) || rows.iter().any(|row| row.name == name) {
            continue;
        }
        let args = method.sig.inputs.iter().skip(1).map(item::written).collect::<Vec<_>>().join(", ");
        rows.push(Row { name, form: format!("({args})"), what: item::doc(&method.attrs) });
    }
}

fn is_public(visibility: &Visibility) -> bool {
    matches!(visibility, Visibility::Public(_))
}

fn table(group: &Group, texts: &Texts) -> Result<String, String> {
    let mut table = format!("\n### {}\n\n| setting | form | what |\n| --- | --- | --- |\n", group.name);
    for Row { name, form, what } in rows(group, texts)? {
        let prefix = if group.prefix.is_empty() { String::new() } else { format!("{}.", group.prefix) };
        table.push_str(&format!("| `{prefix}{name}` | `{}` | {} |\n", item::cell(&form), item::cell(&what)));
    }
    Ok(table)
}

/// The file of settings of the command, where it has one: a flag is a setting of the same name.
fn file(texts: &Texts) -> Result<String, String> {
    let commands = commands::read(texts)?;
    let (Some(serve), true) = (commands.get("serve"), commands.contains_key("config")) else {
        return Ok(String::new());
    };
    let rows = serve.own_flags().map(|(flag, takes)| {
        let variable = flag.to_uppercase().replace('-', "_");
        let form = if takes { "text, number or list" } else { "true or false" };
        format!("| `{flag}` | {form} | `PORTOLAN_SERVE_{variable}` |\n")
    });
    Ok(format!(
        "\n## The file of the command\n\n\
         `portolan.toml`: the file of `--config`, else of `PORTOLAN_CONFIG`, else `portolan/portolan.toml` in `$XDG_CONFIG_HOME` or in\n\
         `~/.config`. `portolan config check` tells all that is wrong with it, `portolan config show` what holds. A flag stands over the\n\
         environment, which stands over the file. `[global]` has the flags of every command, `[client]` has `registry`, `token` and\n\
         `token-file`, and `[serve]` the flags of `portolan serve`, which [Commands](commands.md#portolan-serve) explains:\n\n\
         | in `[serve]` | form | variable |\n| --- | --- | --- |\n{}",
        rows.collect::<String>()
    ))
}

fn environment(texts: &Texts) -> Result<String, String> {
    for file in READ_IN {
        let text = texts.get(file).ok_or_else(|| format!("{file} is not there"))?;
        for word in text.split('"').skip(1).step_by(2) {
            let is_variable = word.starts_with("CONSUL_") || word.starts_with("PORTOLAN_");
            let is_name = word.chars().all(|c| c.is_ascii_uppercase() || c == '_') && !word.ends_with('_');
            let of_the_file = word == "PORTOLAN_CONFIG";
            if is_variable && is_name && !of_the_file && !variables().any(|known| known == word) {
                return Err(format!(
                    "{file} reads {word}; tell what it is in xtask/src/reference/settings.rs"
                ));
            }
        }
    }
    let rows = VARIABLES.iter().map(|(name, what)| format!("| `{name}` | {what} |\n"));
    Ok(format!("\n## Environment\n\n| variable | what |\n| --- | --- |\n{}", rows.collect::<String>()))
}

/// The page.
pub(super) fn page(texts: &Texts) -> Result<String, String> {
    let mut page = "# Settings\n\n\
        A flag stands above the environment, and that above the default. The flags of each command are in\n\
        [Commands](commands.md). What is out of range is refused at the start, by the name that stands here, with what is allowed.\n\n\
        ## The library\n\n\
        Fields of the structs, and setters of the same names; a form in brackets is a setter alone. `Config` holds those whose\n\
        prefix is `consul`, `view`, `cache`, `guard`, `ejection`, `retry_budget` and `locality`; `Select` goes to\n\
        `Discovery::service_with`, `Registration` to `Discovery::register`.\n"
        .to_owned();
    for group in LIBRARY {
        page.push_str(&table(group, texts)?);
    }
    page.push_str(
        "\n## The embedded registry\n\n\
         For a program that carries one (`portolan_server`). `portolan serve` has flags for them, and `--limit NAME=VALUE` for the\n\
         limits; the two files of the operator are [overrides and splits](../howto/operators-files.md).\n",
    );
    for group in SERVER {
        page.push_str(&table(group, texts)?);
    }
    page.push_str(&file(texts)?);
    page.push_str(&environment(texts)?);
    Ok(page)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_struct_of_settings_that_is_not_listed_is_named() {
        let texts: Texts =
            [("crates/portolan/src/a.rs".to_owned(), "pub struct NewConfig {\n".to_owned())].into();
        assert_eq!(unlisted(&texts), Some(("crates/portolan/src/a.rs", "NewConfig")));
        let texts: Texts =
            [("crates/portolan/src/a.rs".to_owned(), "pub struct ViewConfig {\n".to_owned())].into();
        assert_eq!(unlisted(&texts), None);
    }

    #[test]
    fn fields_and_setters_of_what_is_hidden_are_settings() {
        let text = "pub struct A {\n    /// How long. Default 5 s.\n    pub wait: Option<Duration>,\n    hidden: u8,\n}\n\
                    impl A {\n    /// Again.\n    pub fn wait(mut self, wait: Duration) -> Self { self }\n\
                        /// A key.\n    pub fn key(mut self, key: &str) -> Result<Self, Error> { Ok(self) }\n\
                        pub fn shown(&self) -> Self { todo!() }\n    fn own(self) -> Self { self }\n}\n";
        let texts = [("a.rs".to_owned(), text.to_owned())].into();
        let rows = rows(&group("A", "a", "a.rs"), &texts).unwrap();
        let rows: Vec<(&str, &str, &str)> =
            rows.iter().map(|row| (row.name.as_str(), row.form.as_str(), row.what.as_str())).collect();
        let expected =
            [("wait", "Option<Duration>", "How long. Default 5 s."), ("key", "(key: &str)", "A key.")];
        assert_eq!(rows, expected);
    }
}
