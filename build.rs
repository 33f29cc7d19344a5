//! Fails the build if a message catalogue lacks a text, because every purchase that is not paid
//! must have a reason that people can read. Lists the migrations, so that a new one is a pair of
//! files and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use fluent_syntax::ast::{Entry, Message};
use fluent_syntax::parser;

use phrase::{Phrase, REASON_TEXTS};
use reason_code::ReasonCode;

#[path = "src/messages/words/phrase.rs"]
mod phrase;
#[expect(dead_code, unreachable_pub, reason = "the file belongs to the library, which uses all")]
#[path = "src/domain/decision/reason_code.rs"]
mod reason_code;

const CATALOGUES: &str = "src/messages/words";
const CODES: &str = "src/domain/decision/reason_code.rs";
/// One folder per database; both have files of the same names, such as `0002_exchange_margin.sql`.
const MIGRATIONS: &str = "migrations";

fn main() -> Result<(), std::io::Error> {
    for watched in ["build.rs", CATALOGUES, CODES, MIGRATIONS] {
        println!("cargo::rerun-if-changed={watched}");
    }
    for path in catalogues()? {
        for problem in problems_of(&path, &fs::read_to_string(&path)?) {
            println!("cargo::error={problem}");
        }
    }
    let out = std::env::var_os("OUT_DIR").map(PathBuf::from).unwrap_or_default();
    fs::write(out.join("migrations.rs"), migrations()?)
}

/// The migrations as a Rust expression, sorted by version. A file without a counterpart for the
/// other database fails the build, because its text cannot be included.
fn migrations() -> Result<String, std::io::Error> {
    let mut names = BTreeSet::new();
    for database in ["sqlite", "postgres"] {
        for entry in fs::read_dir(Path::new(MIGRATIONS).join(database))? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "sql") {
                names.extend(path.file_name().map(|name| name.to_string_lossy().into_owned()));
            }
        }
    }
    let migration = |file: String| {
        let stem = file.trim_end_matches(".sql");
        let (version, name) = stem.split_once('_').unwrap_or((stem, stem));
        let (version, name) = (version.trim_start_matches('0'), name.replace('_', " "));
        let text = |database: &str| {
            let path = format!("/{MIGRATIONS}/{database}/{file}");
            format!("include_str!(concat!(env!(\"CARGO_MANIFEST_DIR\"), {path:?}))")
        };
        let (sqlite, postgres) = (text("sqlite"), text("postgres"));
        format!(
            "MigrationFile {{ version: {version}, name: {name:?}, sqlite: {sqlite}, \
             postgres: {postgres} }},\n"
        )
    };
    Ok(format!("&[\n{}]\n", names.into_iter().map(migration).collect::<String>()))
}

/// The catalogues of all languages, sorted by path.
fn catalogues() -> Result<Vec<PathBuf>, std::io::Error> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(CATALOGUES)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "ftl") {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

fn problems_of(path: &Path, text: &str) -> Vec<String> {
    let file = path.display();
    let (resource, errors) = match parser::parse(text) {
        Ok(resource) => (resource, Vec::new()),
        Err((resource, errors)) => (resource, errors),
    };
    let mut problems: Vec<String> = errors
        .iter()
        .map(|error| format!("{file}:{}: {}", line_at(text, error.pos.start), error.kind))
        .collect();
    let mut messages = BTreeMap::new();
    for entry in &resource.body {
        if let Entry::Message(message) = entry
            && messages.insert(message.id.name, message).is_some()
        {
            problems.push(format!("{file}: the message `{}` is there twice", message.id.name));
        }
    }
    let ids: Vec<String> = ReasonCode::ALL.iter().map(|c| c.as_str().replace('_', "-")).collect();
    for (code, id) in ReasonCode::ALL.iter().zip(&ids) {
        for text in missing(messages.get(id.as_str()).copied(), REASON_TEXTS) {
            problems
                .push(format!("{file}: the reason `{}` has no text `{id}.{text}`", code.as_str()));
        }
    }
    for phrase in Phrase::ALL {
        let id = phrase.id();
        let message = messages.get(id).copied();
        if phrase.texts().is_empty() && message.is_none_or(|message| message.value.is_none()) {
            problems.push(format!("{file}: there is no text `{id}`"));
        }
        for text in missing(message, phrase.texts()) {
            problems.push(format!("{file}: there is no text `{id}.{text}`"));
        }
    }
    // A message with `.next` words a reason.
    for id in messages.iter().filter(|(_, message)| has(message, "next")).map(|(id, _)| *id) {
        if !ids.iter().any(|known| known == id) {
            problems.push(format!("{file}: `{id}` words a reason, but {CODES} has no such code"));
        }
    }
    problems
}

/// Those of `texts` that the message lacks; all of them if there is no message.
fn missing<'a>(message: Option<&Message<&str>>, texts: &[&'a str]) -> Vec<&'a str> {
    texts.iter().copied().filter(|text| !message.is_some_and(|found| has(found, text))).collect()
}

fn has(message: &Message<&str>, text: &str) -> bool {
    message.attributes.iter().any(|attribute| attribute.id.name == text)
}

/// The number of the line that contains `position`, from 1.
fn line_at(text: &str, position: usize) -> usize {
    text.bytes().take(position).filter(|byte| *byte == b'\n').count() + 1
}
