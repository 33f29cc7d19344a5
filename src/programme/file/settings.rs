//! Reads the programme itself: its connections, workers, streams and start list.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use secrecy::{ExposeSecret as _, SecretString};

use crate::domain::decision::authorisation::ProgrammeState;
use crate::domain::id::{ConnectionId, StreamId, WorkerId};
use crate::domain::money::margin::MarginPercent;
use crate::domain::money::stream::Stream;
use crate::domain::shop::home::{HomeCountries, UnknownCountry};
use crate::issuers::Issuer;

use super::reader::{FileEntry, NAME_CHARS_MAX, all, shortened};
use super::references::FileReferences;
use super::{
    Connection, KEPT, ListedTerm, Secret, SecretValue, Settings, Worker, asks, shops, terms,
};

/// The top-level tables of the settings.
pub(super) const FIELDS: [&str; 8] =
    ["programme", "hours", "asks", "worker", "connection", "stream", "shop", "start"];

const CONNECTION_FIELDS: [&str; 6] =
    ["name", "issuer", "api_version", "deadline_ms", "answer_within_ms", "secret"];

/// Maximum length of a secret, in characters.
const SECRET_CHARS_MAX: usize = 500;

pub(super) fn read(root: &FileEntry<'_>, known: &FileReferences<'_>) -> Option<Settings> {
    let hours = asks::hours(root);
    let rules = asks::rules(root, known.currency);
    let workers = workers(root);
    let connections = connections(root);
    let streams = streams(root, known);
    let shops = shops::read(root);
    let start = start(root, known);
    let fields = [
        "id",
        "name",
        "time_zone",
        "currency",
        "country",
        "home_countries",
        "unknown_country",
        "exchange_margin_percent",
        "manager_above",
        "paused",
    ];
    if !root.has("programme") {
        root.problem("programme", "the table [programme] is missing: begin the file with it");
    }
    let programme = root.table("programme", "programme", &fields)?;
    let id = programme.parsed("id");
    let name = programme.text("name", NAME_CHARS_MAX);
    let zone = zone(&programme);
    let currency = programme.parsed("currency");
    let home = home(&programme);
    let exchange_margin = exchange_margin(&programme);
    let manager_above = programme
        .has("manager_above")
        .then(|| programme.money("manager_above", known.currency))
        .flatten();
    let paused = programme.flag("paused");
    let (zone_name, zone) = zone?;
    Some(Settings {
        id: id?,
        name: name?,
        zone_name,
        zone,
        currency: currency?,
        home: home?,
        exchange_margin: exchange_margin?,
        manager_above,
        state: if paused { ProgrammeState::Paused } else { ProgrammeState::Running },
        hours: hours?,
        asks: rules?,
        workers: workers?,
        connections: connections?,
        streams: streams?,
        shops: shops?,
        start: start?,
    })
}

fn zone(programme: &FileEntry<'_>) -> Option<(String, TimeZone)> {
    let text = programme.text("time_zone", NAME_CHARS_MAX)?;
    let zone = TimeZone::get(&text).ok();
    // The canonical IANA name. A zone without one could not be stored by name.
    let named = zone.and_then(|zone| zone.iana_name().map(str::to_owned).map(|name| (name, zone)));
    if named.is_none() {
        let text = shortened(&text);
        programme.problem(
            "time_zone",
            format!("there is no time zone {text:?}: write its IANA name, like \"Europe/London\""),
        );
    }
    named
}

/// The countries in which a purchase is domestic.
fn home(programme: &FileEntry<'_>) -> Option<HomeCountries> {
    let text = programme.text("country", NAME_CHARS_MAX);
    let own = text.and_then(|text| country(programme, "country", text));
    let others = programme.texts("home_countries", NAME_CHARS_MAX);
    let others = all(others.into_iter().map(|text| country(programme, "home_countries", text)));
    let unknown = programme.word(
        "unknown_country",
        UnknownCountry::ALL,
        UnknownCountry::word,
        Some(UnknownCountry::Home),
    );
    Some(HomeCountries { country: own?, others: others?, unknown: unknown? })
}

fn country(programme: &FileEntry<'_>, key: &str, text: String) -> Option<String> {
    if text.len() == 2 && text.parse::<iso_currency::Country>().is_ok() {
        return Some(text);
    }
    let text = shortened(&text);
    programme.problem(
        key,
        format!("there is no country {text:?}: write its two-letter ISO code, like \"GB\""),
    );
    None
}

/// The exchange margin: zero if the field is absent, `None` if it is invalid.
fn exchange_margin(programme: &FileEntry<'_>) -> Option<MarginPercent> {
    if !programme.has("exchange_margin_percent") {
        return Some(MarginPercent::NONE);
    }
    let most = MarginPercent::MAX;
    programme.number("exchange_margin_percent", 0..=most).and_then(MarginPercent::new)
}

/// An optional phone number, as people write it.
pub(super) fn phone(entry: &FileEntry<'_>) -> Option<String> {
    let text = entry.optional_text("phone", NAME_CHARS_MAX)?;
    let is_fair = |c: char| c.is_ascii_digit() || matches!(c, '+' | ' ' | '-' | '(' | ')');
    let digits = text.chars().filter(char::is_ascii_digit).count();
    if text.chars().all(is_fair) && (3..=15).contains(&digits) {
        return Some(text);
    }
    entry.problem("phone", "phone is not a phone number: write it like \"020 7946 0000\"");
    None
}

fn workers(root: &FileEntry<'_>) -> Option<Vec<Worker>> {
    let mut seen = BTreeMap::new();
    let worker = |entry: FileEntry<'_>| {
        let id = entry.parsed::<WorkerId>("id");
        if let Some(id) = &id {
            entry.refuse_duplicate("id", id.clone(), &mut seen);
        }
        let name = entry.text("name", NAME_CHARS_MAX);
        let phone = phone(&entry);
        Some(Worker { id: id?, name: name?, phone })
    };
    let entries = root.tables("worker", "worker", &["id", "name", "phone"]);
    all(entries.into_iter().map(worker))
}

fn connections(root: &FileEntry<'_>) -> Option<Vec<Connection>> {
    let mut seen = BTreeMap::new();
    let connection = |entry: FileEntry<'_>| {
        let id = entry.parsed::<ConnectionId>("name");
        if let Some(id) = &id {
            entry.refuse_duplicate("name", id.clone(), &mut seen);
        }
        let issuer = entry.word("issuer", Issuer::ALL, Issuer::word, None);
        let api_version = entry.optional_text("api_version", NAME_CHARS_MAX);
        let deadline_ms = entry.number("deadline_ms", 1..=u32::MAX);
        let answer_within_ms = entry.number("answer_within_ms", 1..=u32::MAX);
        if let (Some(deadline), Some(answer_within)) = (deadline_ms, answer_within_ms)
            && answer_within >= deadline
        {
            let text = format!(
                "answer_within_ms is {answer_within}, not below the issuer's deadline_ms of \
                 {deadline}: leave time for the way back"
            );
            entry.problem("answer_within_ms", text);
        }
        let secrets = secrets(&entry, issuer);
        Some(Connection {
            id: id?,
            issuer: issuer?,
            api_version,
            deadline_ms: deadline_ms?,
            answer_within_ms: answer_within_ms?,
            secrets: secrets?,
        })
    };
    let entries = root.tables("connection", "connection", &CONNECTION_FIELDS);
    all(entries.into_iter().map(connection))
}

fn secrets(connection: &FileEntry<'_>, issuer: Option<Issuer>) -> Option<Vec<Secret>> {
    let mut seen = BTreeMap::new();
    let secret = |entry: FileEntry<'_>| {
        // A secret's name has the shape of an id.
        let name = entry.parsed::<ConnectionId>("name").map(|name| name.to_string());
        if let Some(name) = &name {
            entry.refuse_duplicate("name", name.clone(), &mut seen);
        }
        let value = entry.text("value", SECRET_CHARS_MAX);
        let value = value.and_then(|value| secret_value(&entry, value.into(), issuer));
        let until = entry.optional_instant("until");
        Some(Secret { name: name?, value: value?, until })
    };
    let entries = connection.tables("secret", "secret", &["name", "value", "until"]);
    all(entries.into_iter().map(secret))
}

/// Reads a secret's value. A problem never contains the secret, because it ends up on screens and
/// in logs.
fn secret_value(
    entry: &FileEntry<'_>,
    value: SecretString,
    issuer: Option<Issuer>,
) -> Option<SecretValue> {
    if value.expose_secret() == KEPT {
        return Some(SecretValue::Kept);
    }
    match issuer.map(|issuer| issuer.check_secret(&value)) {
        Some(Err(error)) => {
            let text = format!("value: {error}, or write \"{KEPT}\" to keep the stored one");
            entry.problem("value", text);
            None
        }
        Some(Ok(())) | None => Some(SecretValue::Given(value)),
    }
}

/// Refuses a connection without a secret, because none of its messages could be authenticated. For
/// files only, because stored settings have no secrets.
pub(super) fn refuse_without_secrets(root: &FileEntry<'_>) {
    for entry in root.tables("connection", "connection", &CONNECTION_FIELDS) {
        if !entry.has("secret") || entry.is_empty_list("secret") {
            let text = "it has no secret, so every message of it would be refused: give it a \
                        [[connection.secret]]";
            entry.problem("secret", text);
        }
    }
}

fn streams(root: &FileEntry<'_>, known: &FileReferences<'_>) -> Option<Vec<Stream>> {
    let mut seen = BTreeMap::new();
    let stream = |entry: FileEntry<'_>| {
        let id = entry.parsed::<StreamId>("id");
        if let Some(id) = &id {
            entry.refuse_duplicate("id", id.clone(), &mut seen);
        }
        let name = entry.text("name", NAME_CHARS_MAX);
        let funder = entry.text("funder", NAME_CHARS_MAX);
        let never = known.categories(&entry, "never");
        let ends_on = entry.optional_date("ends_on");
        let drains_first = entry.flag("drains_first");
        Some(Stream { id: id?, name: name?, funder: funder?, never, ends_on, drains_first })
    };
    let fields = ["id", "name", "funder", "never", "ends_on", "drains_first"];
    let entries = root.tables("stream", "stream", &fields);
    all(entries.into_iter().map(stream))
}

fn start(root: &FileEntry<'_>, known: &FileReferences<'_>) -> Option<Vec<ListedTerm>> {
    if !root.has("start") {
        return Some(Vec::new());
    }
    let start = root.table("start", "start", &["term"])?;
    terms::read(&start, known)
}
