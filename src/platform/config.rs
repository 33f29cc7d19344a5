//! All settings of one process, checked together before anything starts. The only reader of the
//! environment and of `sayso.toml`.
//!
//! A setting comes from its flag, else from the environment, else from the file, else from its
//! default. Each keeps its source, so that an operator can see where it comes from without seeing
//! its value, which may be secret.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::{fmt, fs, io};

use secrecy::{ExposeSecret as _, SecretString};

/// The settings file that is read if no other is named and this one exists.
pub const SETTINGS_FILE: &str = "sayso.toml";

const KEYS: [&str; 8] = [
    "listen",
    "issuer_listen",
    "operations_listen",
    "trusted_proxies",
    "database_url",
    "committers",
    "token_issuer",
    "key_file",
];
const DEFAULT_LISTEN: &str = "127.0.0.1:8080";
const DEFAULT_TOKEN_ISSUER: &str = "sayso";
const DEFAULT_COMMITTERS: usize = 2;
const COMMITTERS_MAX: usize = 64;
const SCHEMES: [&str; 3] = ["sqlite:", "postgres://", "postgresql://"];

/// The settings of one process.
#[derive(Debug, Clone)]
pub struct Config {
    /// Address to listen on. `SAYSO_LISTEN`, `listen`.
    pub listen: Setting<SocketAddr>,
    /// Separate address for issuers. `SAYSO_ISSUER_LISTEN`, `issuer_listen`.
    pub issuer_listen: Option<Setting<SocketAddr>>,
    /// Separate address for operations (`/metrics`, `/openapi.json`, `/version`).
    /// `SAYSO_OPERATIONS_LISTEN`, `operations_listen`.
    pub operations_listen: Option<Setting<SocketAddr>>,
    /// Proxies, which are exempt from the connection limit per peer. Default: the loopback
    /// addresses.
    /// `SAYSO_TRUSTED_PROXIES`, `trusted_proxies`.
    pub proxies: Setting<Vec<IpAddr>>,
    /// `sqlite:FILE` or `postgres://…`; may hold a password. `SAYSO_DATABASE_URL`,
    /// `SAYSO_DATABASE_URL_FILE`, `database_url`.
    pub database_url: Setting<SecretString>,
    /// The folder of the default database, which is created if it is missing.
    pub data_folder: Option<PathBuf>,
    /// Number of parallel committers on PostgreSQL. `SAYSO_COMMITTERS`, `committers`.
    pub committers: Setting<usize>,
    /// The `iss` claim of our tokens; with `/v1` appended, their `aud` claim. Must be the same for
    /// every process on one database. `SAYSO_TOKEN_ISSUER`, `token_issuer`.
    pub token_issuer: Setting<String>,
    /// The key that secrets in the database are sealed with. `SAYSO_KEY`, `SAYSO_KEY_FILE`,
    /// `key_file`. Default for SQLite: a file beside the database.
    pub key: Setting<KeySource>,
    /// The log filter, such as `info` or `sayso=debug`. `SAYSO_LOG`.
    pub log: Setting<String>,
}

/// The source of the key that secrets are sealed with.
#[derive(Debug, Clone)]
pub enum KeySource {
    /// The key itself.
    Given(SecretString),
    /// A file, which is created when a database gets its first key.
    File(PathBuf),
    /// The settings name no key.
    Nowhere,
}

/// A setting and its source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting<T> {
    pub value: T,
    pub source: SettingSource,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SettingSource {
    Flag(&'static str),
    Environment(String),
    File(PathBuf),
    Default,
}

impl fmt::Display for SettingSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(name) => write!(f, "the flag {name}"),
            Self::Environment(name) => write!(f, "the environment ({name})"),
            Self::File(path) => write!(f, "the file {}", path.display()),
            Self::Default => f.write_str("the default"),
        }
    }
}

/// The command line's settings, which override all others.
#[derive(Debug, Clone, Default)]
pub struct Flags {
    pub listen: Option<String>,
    pub database_url: Option<SecretString>,
}

/// Every problem with the settings at once, so that an operator can correct them in one go.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the settings are not in order:\n  {}", .0.join("\n  "))]
pub struct ConfigError(pub Vec<String>);

impl Config {
    /// Reads the settings of this process.
    ///
    /// # Errors
    ///
    /// Every problem at once. None of their texts contains a value that may be secret.
    pub fn load(flags: &Flags) -> Result<Self, ConfigError> {
        let var =
            |name: &str| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned());
        Self::read(flags, &var, &|path| fs::read_to_string(path))
    }

    /// Reads settings through `var` and `file`, so that tests can replace them.
    ///
    /// # Errors
    ///
    /// As [`Config::load`].
    pub fn read(
        flags: &Flags,
        var: &dyn Fn(&str) -> Option<String>,
        file: &dyn Fn(&Path) -> io::Result<String>,
    ) -> Result<Self, ConfigError> {
        let mut reader = SettingsReader { var, file, table: BTreeMap::new(), problems: Vec::new() };
        reader.read_table();
        let (database_url, data_folder) = reader.database_url(flags.database_url.as_ref());
        let listen = flags.listen.as_ref().map(|value| Setting::flag("--listen", value.clone()));
        let listen = reader.find(listen, "SAYSO_LISTEN", Some("listen"));
        let listen = reader.parse(listen, DEFAULT_LISTEN, address);
        let issuers = reader.own_address("SAYSO_ISSUER_LISTEN", "issuer_listen");
        let operations = reader.own_address("SAYSO_OPERATIONS_LISTEN", "operations_listen");
        let proxies = reader.find(None, "SAYSO_TRUSTED_PROXIES", Some("trusted_proxies"));
        let proxies = reader.parse(proxies, &loopback_addresses(), |text| {
            let one = |part: &str| part.trim().parse().ok();
            let all: Option<Vec<IpAddr>> = text.split(',').map(one).collect();
            all.ok_or("addresses without ports, with commas between them")
        });
        let committers = reader.find(None, "SAYSO_COMMITTERS", Some("committers"));
        let committers = reader.parse(committers, &DEFAULT_COMMITTERS.to_string(), |text| {
            let number = text.parse().ok().filter(|n| (1..=COMMITTERS_MAX).contains(n));
            number.ok_or("a whole number from 1 to 64")
        });
        let issuer = reader.find(None, "SAYSO_TOKEN_ISSUER", Some("token_issuer"));
        let issuer = reader.parse(issuer, DEFAULT_TOKEN_ISSUER, |text| {
            let is_plain =
                (1..=200).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
            is_plain.then(|| text.to_owned()).ok_or("a name or an address of 1 to 200 characters")
        });
        let key = reader.key_source(database_url.as_ref());
        let log = reader.find(None, "SAYSO_LOG", None);
        let log = log.unwrap_or_else(|| NamedSetting::default_of("SAYSO_LOG", "info"));
        match (listen, proxies, database_url, committers, issuer) {
            (
                Some(listen),
                Some(proxies),
                Some(database_url),
                Some(committers),
                Some(token_issuer),
            ) if reader.problems.is_empty() => Ok(Self {
                listen,
                issuer_listen: issuers,
                operations_listen: operations,
                proxies,
                database_url,
                data_folder,
                committers,
                token_issuer,
                key,
                log: log.setting,
            }),
            (_, _, _, _, _) => Err(ConfigError(reader.problems)),
        }
    }
}

fn address(text: &str) -> Result<SocketAddr, &'static str> {
    text.parse().map_err(|_| "an address with a port, such as 127.0.0.1:8080")
}

fn loopback_addresses() -> String {
    format!("{},{}", Ipv4Addr::LOCALHOST, Ipv6Addr::LOCALHOST)
}

impl<T> Setting<T> {
    const fn flag(name: &'static str, value: T) -> Self {
        Self { value, source: SettingSource::Flag(name) }
    }
}

/// The text of a setting, and its name for an operator.
struct NamedSetting {
    name: String,
    setting: Setting<String>,
}

impl NamedSetting {
    fn default_of(name: &str, value: &str) -> Self {
        let setting = Setting { value: value.to_owned(), source: SettingSource::Default };
        Self { name: name.to_owned(), setting }
    }
}

struct SettingsReader<'a> {
    var: &'a dyn Fn(&str) -> Option<String>,
    file: &'a dyn Fn(&Path) -> io::Result<String>,
    table: BTreeMap<String, Setting<String>>,
    problems: Vec<String>,
}

impl SettingsReader<'_> {
    /// The value of a variable; an empty one counts as not set.
    fn variable(&self, name: &str) -> Option<String> {
        (self.var)(name).filter(|value| !value.is_empty())
    }

    fn problem(&mut self, text: String) {
        self.problems.push(text);
    }

    /// Reads the settings file. One that is named must exist; the default one may be missing.
    fn read_table(&mut self) {
        let named = self.variable("SAYSO_CONFIG");
        let path = PathBuf::from(named.as_deref().unwrap_or(SETTINGS_FILE));
        let text = match (self.file)(&path) {
            Ok(text) => text,
            Err(error) if named.is_none() && error.kind() == io::ErrorKind::NotFound => return,
            Err(error) => {
                return self.problem(format!("{} cannot be read: {error}", path.display()));
            }
        };
        let table: toml::Table = match text.parse() {
            Ok(table) => table,
            Err(error) => {
                let start = error.span().map_or(0, |span| span.start);
                let before = text.get(..start).unwrap_or_default();
                let line = before.matches('\n').count().saturating_add(1);
                let text = format!("{}:{line}: {}", path.display(), error.message());
                return self.problem(text);
            }
        };
        for (key, value) in table {
            let value = match value {
                toml::Value::String(text) => Some(text),
                toml::Value::Integer(number) => Some(number.to_string()),
                toml::Value::Float(_)
                | toml::Value::Boolean(_)
                | toml::Value::Datetime(_)
                | toml::Value::Array(_)
                | toml::Value::Table(_) => None,
            };
            match value {
                _ if !KEYS.contains(&key.as_str()) => {
                    let known = KEYS.join(", ");
                    self.problem(format!(
                        "{}: there is no setting {key:?}; use one of {known}",
                        path.display()
                    ));
                }
                Some(value) => {
                    let source = SettingSource::File(path.clone());
                    self.table.insert(key, Setting { value, source });
                }
                None => {
                    self.problem(format!("{}: {key} must be a text or a number", path.display()));
                }
            }
        }
    }

    fn find(
        &self,
        flag: Option<Setting<String>>,
        variable: &str,
        key: Option<&str>,
    ) -> Option<NamedSetting> {
        let named = |name: &str, setting| NamedSetting { name: name.to_owned(), setting };
        if let Some(setting) = flag {
            let name = setting.source.to_string();
            return Some(NamedSetting { name, setting });
        }
        if let Some(value) = self.variable(variable) {
            let source = SettingSource::Environment(variable.to_owned());
            return Some(named(variable, Setting { value, source }));
        }
        let key = key?;
        self.table.get(key).map(|setting| {
            let name = format!("{key} in {}", setting.source);
            NamedSetting { name, setting: setting.clone() }
        })
    }

    fn parse<T>(
        &mut self,
        found: Option<NamedSetting>,
        default: &str,
        parse: impl FnOnce(&str) -> Result<T, &'static str>,
    ) -> Option<Setting<T>> {
        let NamedSetting { name, setting } =
            found.unwrap_or_else(|| NamedSetting::default_of("", default));
        match parse(&setting.value) {
            Ok(value) => Some(Setting { value, source: setting.source }),
            Err(expected) => {
                self.problem(format!("{name} is {:?}: it must be {expected}", setting.value));
                None
            }
        }
    }

    /// An optional separate address.
    fn own_address(&mut self, variable: &str, key: &str) -> Option<Setting<SocketAddr>> {
        let found = self.find(None, variable, Some(key))?;
        self.parse(Some(found), "", address)
    }

    /// The database's address. Problems never contain it, because it may hold a password.
    fn database_url(
        &mut self,
        flag: Option<&SecretString>,
    ) -> (Option<Setting<SecretString>>, Option<PathBuf>) {
        let flag = flag.map(|url| Setting::flag("--database", url.expose_secret().to_owned()));
        let found = match (flag, self.secret_file("SAYSO_DATABASE_URL")) {
            (None, Some(from_file)) => Some(from_file),
            (flag, _) => self.find(flag, "SAYSO_DATABASE_URL", Some("database_url")),
        };
        let Some(NamedSetting { name, setting }) = found else { return self.default_database() };
        if !SCHEMES.iter().any(|scheme| setting.value.starts_with(scheme)) {
            self.problem(format!("{name} must be sqlite:FILE or postgres://USER@HOST/DATABASE"));
            return (None, None);
        }
        let value = setting.value.into();
        (Some(Setting { value, source: setting.source }), None)
    }

    /// The content of the file that `NAME_FILE` names. A file that cannot be read is reported.
    fn secret_file(&mut self, variable: &str) -> Option<NamedSetting> {
        let name = format!("{variable}_FILE");
        let path = self.variable(&name)?;
        if self.variable(variable).is_some() {
            self.problem(format!("{variable} and {name} are both set: take one of them away"));
        }
        match (self.file)(Path::new(&path)) {
            Ok(text) => {
                let value = text.trim_end_matches(['\r', '\n']).to_owned();
                let source = SettingSource::Environment(name.clone());
                Some(NamedSetting { name, setting: Setting { value, source } })
            }
            Err(error) => {
                self.problem(format!("{name}: {path} cannot be read: {error}"));
                None
            }
        }
    }

    /// The source of the key. A key file is only named: the first key of a database creates it.
    fn key_source(&mut self, url: Option<&Setting<SecretString>>) -> Setting<KeySource> {
        const NAME: &str = "SAYSO_KEY";
        let file = self.find(None, "SAYSO_KEY_FILE", Some("key_file"));
        let Some(key) = self.variable(NAME) else {
            let usual = || default_key_source(url.map_or("", |url| url.value.expose_secret()));
            return file.map_or_else(
                || Setting { value: usual(), source: SettingSource::Default },
                |NamedSetting { setting: Setting { value, source }, .. }| Setting {
                    value: KeySource::File(value.into()),
                    source,
                },
            );
        };
        if let Some(NamedSetting { name, .. }) = file {
            self.problem(format!("{NAME} and {name} are both set: take one of them away"));
        }
        let source = SettingSource::Environment(NAME.to_owned());
        Setting { value: KeySource::Given(key.into()), source }
    }

    fn default_database(&mut self) -> (Option<Setting<SecretString>>, Option<PathBuf>) {
        let absolute = |path: String| Some(PathBuf::from(path)).filter(|path| path.is_absolute());
        let data = self.variable("XDG_DATA_HOME").and_then(absolute);
        let home = || self.variable("HOME").and_then(absolute);
        let Some(data) = data.or_else(|| Some(home()?.join(".local").join("share"))) else {
            let text = "SAYSO_DATABASE_URL is not set, and neither XDG_DATA_HOME nor HOME says \
                        where data belongs: set SAYSO_DATABASE_URL";
            self.problem(text.to_owned());
            return (None, None);
        };
        let folder = data.join("sayso");
        // Escaped, because both characters have another meaning in a URL.
        let file = folder.join("sayso.db").display().to_string();
        let file = file.replace('%', "%25").replace('?', "%3F");
        let value = format!("sqlite:{file}").into();
        (Some(Setting { value, source: SettingSource::Default }), Some(folder))
    }
}

/// The default key source of the database at `url`: a file beside an SQLite database. Other
/// databases have none, because a file on this machine is lost with the machine, and the other
/// gateways of the database could not read it.
pub fn default_key_source(url: &str) -> KeySource {
    match database_file(url) {
        Some(mut file) => {
            file.as_mut_os_string().push(".key");
            KeySource::File(file)
        }
        None => KeySource::Nowhere,
    }
}

/// The file of the SQLite database at `url`; `None` for one in memory and for other databases.
pub fn database_file(url: &str) -> Option<PathBuf> {
    let name = url.strip_prefix("sqlite:")?;
    let name = name.strip_prefix("//").unwrap_or(name);
    let name = name.split('?').next().filter(|name| !name.is_empty() && *name != ":memory:")?;
    Some(percent_decoded(name).into())
}

/// Decodes percent escapes: `%3F` is a question mark.
fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let code = after.get(..2).filter(|_| first == b'%');
        let code = code.and_then(|code| hex::decode(code).ok()?.first().copied());
        bytes.push(code.unwrap_or(first));
        rest = if code.is_some() { after.get(2..).unwrap_or_default() } else { after };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads settings from given variables and files.
    fn read(
        flags: &Flags,
        variables: &[(&str, &str)],
        files: &[(&str, &str)],
    ) -> Result<Config, ConfigError> {
        let var = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let file = |path: &Path| {
            let found = files.iter().find(|(known, _)| Path::new(known) == path);
            found.map(|(_, text)| (*text).to_owned()).ok_or_else(|| io::ErrorKind::NotFound.into())
        };
        Config::read(flags, &var, &file)
    }

    const HOME: (&str, &str) = ("HOME", "/h");

    #[test]
    fn nothing_set_is_in_order() {
        let config = read(&Flags::default(), &[HOME], &[]).unwrap();
        assert_eq!(config.listen.value.to_string(), "127.0.0.1:8080");
        assert_eq!(
            config.database_url.value.expose_secret(),
            "sqlite:/h/.local/share/sayso/sayso.db"
        );
        assert_eq!(config.data_folder.unwrap(), Path::new("/h/.local/share/sayso"));
        assert_eq!((config.committers.value, config.log.value.as_str()), (2, "info"));
        assert_eq!(config.listen.source, SettingSource::Default);
    }

    #[test]
    fn the_data_folder_is_the_platforms() {
        let variables = [HOME, ("XDG_DATA_HOME", "/data?")];
        let config = read(&Flags::default(), &variables, &[]).unwrap();
        assert_eq!(config.database_url.value.expose_secret(), "sqlite:/data%3F/sayso/sayso.db");
        let variables = [HOME, ("XDG_DATA_HOME", "not/absolute")];
        let config = read(&Flags::default(), &variables, &[]).unwrap();
        assert_eq!(config.data_folder.unwrap(), Path::new("/h/.local/share/sayso"));
    }

    #[test]
    fn a_flag_comes_before_the_environment_and_that_before_the_file() {
        let file = "listen = \"127.0.0.1:1\"\ncommitters = 2\ndatabase_url = \"sqlite:file.db\"";
        let files = [("sayso.toml", file)];
        let flags = Flags { listen: Some("127.0.0.1:3".to_owned()), database_url: None };
        let variables = [("SAYSO_LISTEN", "127.0.0.1:2"), ("SAYSO_DATABASE_URL", "sqlite:env.db")];
        let config = read(&flags, &variables, &files).unwrap();
        assert_eq!(config.listen.value.port(), 3);
        assert_eq!(config.listen.source, SettingSource::Flag("--listen"));
        assert_eq!(config.database_url.value.expose_secret(), "sqlite:env.db");
        assert_eq!(config.database_url.source.to_string(), "the environment (SAYSO_DATABASE_URL)");
        assert_eq!(config.committers.value, 2);
        assert_eq!(config.committers.source, SettingSource::File("sayso.toml".into()));
    }

    #[test]
    fn issuers_and_operations_may_have_addresses_of_their_own() {
        let config = read(&Flags::default(), &[HOME], &[]).unwrap();
        assert_eq!((config.issuer_listen, config.operations_listen), (None, None));
        assert_eq!(config.proxies.value, [IpAddr::from([127, 0, 0, 1]), "::1".parse().unwrap()]);
        let variables = [
            HOME,
            ("SAYSO_ISSUER_LISTEN", "127.0.0.1:2"),
            ("SAYSO_TRUSTED_PROXIES", "10.0.0.7, 2001:db8::1"),
        ];
        let files = [("sayso.toml", "operations_listen = \"127.0.0.1:3\"")];
        let config = read(&Flags::default(), &variables, &files).unwrap();
        assert_eq!(config.issuer_listen.unwrap().value.port(), 2);
        assert_eq!(config.operations_listen.unwrap().value.port(), 3);
        let expected: [IpAddr; 2] = ["10.0.0.7".parse().unwrap(), "2001:db8::1".parse().unwrap()];
        assert_eq!(config.proxies.value, expected);
        let variables = [
            HOME,
            ("SAYSO_ISSUER_LISTEN", "here"),
            ("SAYSO_OPERATIONS_LISTEN", "8080"),
            ("SAYSO_TRUSTED_PROXIES", "10.0.0.0/8"),
        ];
        let ConfigError(problems) = read(&Flags::default(), &variables, &[]).unwrap_err();
        assert_eq!(problems.len(), 3, "{problems:?}");
    }

    #[test]
    fn a_secret_may_stand_in_a_file_of_its_own() {
        let variables = [("SAYSO_DATABASE_URL_FILE", "/run/url")];
        let files = [("/run/url", "postgres://u:p@h/d\n")];
        let config = read(&Flags::default(), &variables, &files).unwrap();
        assert_eq!(config.database_url.value.expose_secret(), "postgres://u:p@h/d");
        assert!(!format!("{config:?}").contains("u:p"), "{config:?}");
    }

    #[test]
    fn the_key_is_beside_an_sqlite_file_and_for_other_databases_it_must_be_named() {
        let place = |variables: &[(&str, &str)], files: &[(&str, &str)]| {
            read(&Flags::default(), variables, files).unwrap().key
        };
        let file = |setting: Setting<KeySource>| match setting.value {
            KeySource::File(path) => path.display().to_string(),
            KeySource::Given(_) | KeySource::Nowhere => panic!("no file"),
        };
        assert_eq!(file(place(&[HOME], &[])), "/h/.local/share/sayso/sayso.db.key");
        let odd = [("SAYSO_DATABASE_URL", "sqlite:///d/a%3Fb%25.db?mode=rwc")];
        assert_eq!(file(place(&odd, &[])), "/d/a?b%.db.key");
        let postgres = ("SAYSO_DATABASE_URL", "postgres://h/d");
        assert!(matches!(place(&[postgres], &[]).value, KeySource::Nowhere));
        let named = place(&[postgres], &[("sayso.toml", "key_file = \"/k\"")]);
        assert_eq!(file(named), "/k");
        assert_eq!(file(place(&[postgres, ("SAYSO_KEY_FILE", "/run/key")], &[])), "/run/key");
        let given = place(&[HOME, ("SAYSO_KEY", "hunter2")], &[]);
        assert!(matches!(given.value, KeySource::Given(_)));
        assert!(!format!("{given:?}").contains("hunter2"), "{given:?}");
        let both = [HOME, ("SAYSO_KEY", "hunter2"), ("SAYSO_KEY_FILE", "/run/key")];
        let ConfigError(problems) = read(&Flags::default(), &both, &[]).unwrap_err();
        assert_eq!(problems, ["SAYSO_KEY and SAYSO_KEY_FILE are both set: take one of them away"]);
    }

    #[test]
    fn all_problems_come_at_once_and_none_shows_a_secret() {
        let variables = [
            ("SAYSO_CONFIG", "/etc/own.toml"),
            ("SAYSO_LISTEN", "localhost"),
            ("SAYSO_DATABASE_URL", "mysql://root:hunter2@h/d"),
            ("SAYSO_COMMITTERS", "0"),
        ];
        let files = [("/etc/own.toml", "port = 1\nlisten = true")];
        let ConfigError(problems) = read(&Flags::default(), &variables, &files).unwrap_err();
        let expected = [
            "/etc/own.toml: listen must be a text or a number",
            "/etc/own.toml: there is no setting \"port\"; use one of listen, issuer_listen, \
             operations_listen, trusted_proxies, database_url, committers, token_issuer, key_file",
            "SAYSO_DATABASE_URL must be sqlite:FILE or postgres://USER@HOST/DATABASE",
            "SAYSO_LISTEN is \"localhost\": it must be an address with a port, such as \
             127.0.0.1:8080",
            "SAYSO_COMMITTERS is \"0\": it must be a whole number from 1 to 64",
        ];
        let mut problems = problems;
        problems[..2].sort();
        assert_eq!(problems, expected);
    }

    #[test]
    fn files_that_are_named_must_be_readable() {
        let variables =
            [HOME, ("SAYSO_CONFIG", "/none.toml"), ("SAYSO_DATABASE_URL_FILE", "/none")];
        let ConfigError(problems) = read(&Flags::default(), &variables, &[]).unwrap_err();
        assert_eq!(problems.len(), 2, "{problems:?}");
        let broken = [("sayso.toml", "listen = \"a\"\ncommitters =")];
        let ConfigError(problems) = read(&Flags::default(), &[HOME], &broken).unwrap_err();
        assert!(problems[0].starts_with("sayso.toml:2: "), "{problems:?}");
        let ConfigError(problems) = read(&Flags::default(), &[], &[]).unwrap_err();
        assert!(problems[0].contains("neither XDG_DATA_HOME nor HOME"), "{problems:?}");
        let variables = [("SAYSO_DATABASE_URL", "sqlite:a"), ("SAYSO_DATABASE_URL_FILE", "/url")];
        let ConfigError(problems) =
            read(&Flags::default(), &variables, &[("/url", "sqlite:b")]).unwrap_err();
        assert!(problems[0].contains("are both set"), "{problems:?}");
    }
}
