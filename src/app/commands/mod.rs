//! The command line. Results go to stdout, status messages to stderr.

mod demo;
mod doctor;
mod logs;
mod programme;
mod reports;
mod rules;
mod serve;
mod tokens;

use std::error::Error;
use std::fmt::{self, Write as _};
use std::io;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};
use secrecy::{ExposeSecret as _, SecretString};

use crate::platform::config::{Config, ConfigError, Flags};
use crate::store::{PoolSizes, Store, StoreError, create_private_folder};

/// A prepaid-card budget gateway for spending that the person controls.
///
/// Settings come from flags, else from SAYSO_* variables, else from sayso.toml.
#[derive(Debug, Parser)]
#[command(name = "sayso", version, arg_required_else_help = true)]
#[command(
    after_help = "Ends with 0 when done, 1 when something failed or is not in order, 2 when \
                        the command was not understood, 75 when the database could not be used, \
                        78 when the settings are not in order."
)]
pub struct Cli {
    #[command(flatten)]
    common: CommonArgs,
    #[command(subcommand)]
    command: Command,
}

/// Options of every command.
#[derive(Debug, Args)]
struct CommonArgs {
    /// The URL of the database; `sayso doctor` says where it came from
    #[arg(long, global = true, value_name = "sqlite:FILE|postgres://…")]
    database: Option<SecretString>,
    /// The format of results
    #[arg(long, global = true, value_enum, value_name = "FORM")]
    #[arg(default_value_t = OutputFormat::Text)]
    output: OutputFormat,
}

/// The format of results.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum OutputFormat {
    /// For people
    Text,
    /// For machines
    Json,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the complete system on this machine: a fresh database, three people, four days of
    /// purchases
    Demo {
        /// Ends after the proof, with 1 if anything was wrong; otherwise keeps serving
        #[arg(long)]
        exit: bool,
        /// Where to listen; port 0 takes any free port
        #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
        listen: SocketAddr,
        /// The seed of the simulator; the same seed gives the same purchases
        #[arg(long, value_name = "NUMBER", default_value_t = 1)]
        seed: u64,
    },
    /// Runs the gateway until it is stopped
    Serve {
        /// Where to listen, such as 127.0.0.1:8080
        #[arg(long, value_name = "ADDRESS")]
        listen: Option<String>,
    },
    /// Creates the database or brings it up to date
    Migrate,
    /// Checks settings, database, clock and connections; shows where settings come from
    Doctor {
        /// Accepts the loss of committed rows and approves again; for use once the loss is
        /// corrected
        #[arg(long)]
        accept_loss: bool,
    },
    /// Creates, updates and shows programmes
    Programme {
        #[command(subcommand)]
        command: ProgrammeCommand,
    },
    /// Checks merchant rules
    Rules {
        #[command(subcommand)]
        command: RulesCommand,
    },
    /// Shows the balances of every pot, and each programme's exposure, suspense and disputed money
    Balances,
    /// Explains why a purchase was decided as it was, by deciding it again from the recorded facts
    Explain {
        /// The id of a decision, or the issuer's reference of an authorisation request or of a
        /// purchase
        id: String,
    },
    /// Issues an API token for an account, or revokes a token
    Token {
        /// The programme
        #[arg(long, value_name = "ID")]
        programme: String,
        /// The account that the token is for
        #[arg(long, value_name = "ID", required_unless_present = "revoke")]
        member: Option<String>,
        /// The token to revoke: all of it, or its identifier (its claim jti). Ends with 1 if no
        /// such token was issued here
        #[arg(long, value_name = "JTI|TOKEN", conflicts_with = "member")]
        revoke: Option<String>,
    },
    /// Shows and rotates the keys that sign tokens, and seals secrets with another key
    Keys {
        #[command(subcommand)]
        command: KeysCommand,
    },
    /// Writes the description of the API, as OpenAPI 3.1
    Openapi,
    /// Lists what the ledger could not explain, with cause and age
    Exceptions,
    /// Seals the ledger as it is now, and shows the roots. A root that is kept can prove later that
    /// nothing sealed was changed. A running gateway seals at each midnight
    Seal {
        /// The programme; all of them if it is left out
        #[arg(long, value_name = "ID")]
        programme: Option<String>,
    },
    /// Verifies the ledger: chains, balances and seals; names the first row that is wrong
    Verify,
}

#[derive(Debug, Subcommand)]
enum ProgrammeCommand {
    /// Creates or updates a programme from its file. A refused file changes nothing, and neither
    /// does the same file applied again
    Apply {
        /// The programme's file; merchant-rules/demo.toml is an example
        file: PathBuf,
        /// The programme's own merchant rules, instead of the built-in ones: a folder with
        /// categories.toml, shops.toml or both, or one of these files
        #[arg(long, value_name = "FILE")]
        rules: Option<PathBuf>,
    },
    /// Writes a programme as a file, without its secrets
    Show {
        /// The programme; required if there are several
        id: Option<String>,
    },
}

#[derive(Debug, Subcommand)]
enum KeysCommand {
    /// Lists the keys with their states
    List,
    /// Signs with the next key from now on, and publishes a new next key
    Rotate {
        /// A key was compromised: removes it at once, so that every token that it signed is
        /// invalid, without waiting for verifiers that have not fetched the next key
        #[arg(long)]
        now: bool,
    },
    /// Seals every secret in the database with a new key. The current key must be configured as
    /// usual. Rewrites an SQLite file; no purchase can be decided meanwhile
    Reseal {
        /// The file of the new key, created if it is missing; by default the current key's file
        /// gets a new key
        #[arg(long, value_name = "FILE")]
        new_key_file: Option<PathBuf>,
        /// The key is lost, and with it every secret: deletes the secrets and begins with the given
        /// key
        #[arg(long, conflicts_with = "new_key_file")]
        lost: bool,
    },
}

#[derive(Debug, Subcommand)]
enum RulesCommand {
    /// Checks that every code is in one category and that every word is known
    Check {
        /// The folder; by default merchant-rules if it exists, else the built-in rules
        folder: Option<PathBuf>,
    },
}

/// The result of a command, as an exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitStatus {
    Done,
    /// It failed, or found a problem.
    NotInOrder,
    /// The database could not be used; it may work later.
    TryLater,
    /// The settings are invalid.
    Settings,
}

impl From<ExitStatus> for ExitCode {
    fn from(status: ExitStatus) -> Self {
        match status {
            ExitStatus::Done => Self::SUCCESS,
            ExitStatus::NotInOrder => Self::FAILURE,
            ExitStatus::TryLater => Self::from(75),
            ExitStatus::Settings => Self::from(78),
        }
    }
}

/// Why a command failed.
#[derive(Debug)]
struct CommandError {
    status: ExitStatus,
    text: String,
}

impl CommandError {
    fn new(text: impl Into<String>) -> Self {
        Self { status: ExitStatus::NotInOrder, text: text.into() }
    }

    /// The error with all its causes, in one line.
    fn of(error: &dyn Error) -> Self {
        Self::new(with_causes(error))
    }
}

impl From<StoreError> for CommandError {
    fn from(error: StoreError) -> Self {
        Self { status: exit_status_of(&error), text: with_causes(&error) }
    }
}

impl From<ConfigError> for CommandError {
    fn from(error: ConfigError) -> Self {
        Self { status: ExitStatus::Settings, text: error.to_string() }
    }
}

fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.ends_with(&next) {
            // Writing to a `String` cannot fail.
            write!(text, ": {next}").ok();
        }
        cause = error.source();
    }
    text
}

/// Runs the command.
pub async fn run(cli: Cli) -> ExitStatus {
    let Cli { common, command } = cli;
    let done = match command {
        Command::Demo { exit, listen, seed } => demo::demo(&common, exit, listen, seed).await,
        Command::Serve { listen } => serve::serve(&common, listen).await,
        Command::Migrate => migrate(&common).await,
        Command::Doctor { accept_loss } => doctor::doctor(&common, accept_loss).await,
        Command::Programme { command: ProgrammeCommand::Apply { file, rules } } => {
            programme::apply(&common, &file, rules.as_deref()).await
        }
        Command::Programme { command: ProgrammeCommand::Show { id } } => {
            programme::show(&common, id.as_deref()).await
        }
        Command::Rules { command: RulesCommand::Check { folder } } => {
            rules::check(folder.as_deref())
        }
        Command::Balances => reports::balances(&common).await,
        Command::Explain { id } => reports::explain(&common, &id).await,
        Command::Token { programme, member, revoke } => {
            tokens::token(&common, &programme, member.as_deref(), revoke.as_deref()).await
        }
        Command::Keys { command: KeysCommand::List } => tokens::list(&common).await,
        Command::Keys { command: KeysCommand::Rotate { now } } => {
            tokens::rotate(&common, now).await
        }
        Command::Keys { command: KeysCommand::Reseal { new_key_file, lost } } => {
            tokens::reseal(&common, new_key_file.as_deref(), lost).await
        }
        Command::Openapi => openapi(),
        Command::Exceptions => reports::exceptions(&common).await,
        Command::Seal { programme } => reports::seal(&common, programme.as_deref()).await,
        Command::Verify => reports::verify(&common).await,
    };
    match done {
        Ok(status) => status,
        Err(CommandError { status, text }) => {
            print_status(format_args!("error: {text}"));
            status
        }
    }
}

async fn migrate(common: &CommonArgs) -> Result<ExitStatus, CommandError> {
    common.store().await?.close().await;
    print_status(format_args!("the database is up to date"));
    Ok(ExitStatus::Done)
}

fn openapi() -> Result<ExitStatus, CommandError> {
    let document = serde_json::to_value(crate::web::document());
    json(&document.map_err(|error| CommandError::of(&error))?)?;
    Ok(ExitStatus::Done)
}

impl CommonArgs {
    fn config(&self, listen: Option<String>) -> Result<Config, CommandError> {
        let flags = Flags { listen, database_url: self.database.clone() };
        Ok(Config::load(&flags)?)
    }

    /// Opens an existing database. A new one is refused, because a report on it would find no
    /// problem.
    async fn existing_store(&self) -> Result<Store, CommandError> {
        let config = self.config(None)?;
        let url = config.database_url.value.expose_secret();
        if let Some(file) = url.strip_prefix("sqlite:") {
            let file = file.split('?').next().unwrap_or_default();
            if !Path::new(file).is_file() {
                let text = format!("there is no database at {file}; check --database");
                return Err(CommandError { status: ExitStatus::TryLater, text });
            }
        }
        self.store().await
    }

    /// Opens the database and applies missing migrations. Its secrets cannot be read or written
    /// yet.
    async fn store(&self) -> Result<Store, CommandError> {
        let config = self.config(None)?;
        prepare_folder(&config)?;
        let url = config.database_url.value.expose_secret();
        Ok(Store::open(url, PoolSizes::default()).await?)
    }

    /// Loads the key for the secrets of `store`. Closes the store if that fails.
    async fn with_key(&self, store: Store) -> Result<Store, CommandError> {
        match store.use_key(&self.config(None)?.key.value).await {
            Ok(()) => Ok(store),
            Err(error) => {
                store.close().await;
                Err(error.into())
            }
        }
    }
}

/// The exit code for a database that could not be used. Waiting does not help if the file is not a
/// database, or if the key is missing.
const fn exit_status_of(error: &StoreError) -> ExitStatus {
    let is_for_good = matches!(error, StoreError::NotSqlite(_) | StoreError::Key(_));
    if is_for_good { ExitStatus::Settings } else { ExitStatus::TryLater }
}

/// Creates the folder of the default database.
fn prepare_folder(config: &Config) -> Result<(), CommandError> {
    let Some(folder) = &config.data_folder else { return Ok(()) };
    create_private_folder(folder).map_err(|error| {
        let text = format!("the folder {} cannot be made: {error}", folder.display());
        CommandError { status: ExitStatus::Settings, text }
    })
}

/// Writes a result to stdout.
fn result(text: impl fmt::Display) -> Result<(), CommandError> {
    let mut stdout = io::stdout().lock();
    let written = write!(stdout, "{text}").and_then(|()| stdout.flush());
    match written {
        // The reader has closed the pipe because it has read enough, as `head` does.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(CommandError::new(format!("the result could not be written: {error}"))),
        Ok(()) => Ok(()),
    }
}

/// Writes a result as JSON.
fn json(value: &serde_json::Value) -> Result<(), CommandError> {
    result(format_args!("{value:#}\n"))
}

/// Writes a status message to stderr.
fn print_status(text: fmt::Arguments<'_>) {
    // An error here cannot be reported anywhere.
    writeln!(io::stderr().lock(), "{text}").ok();
}
