//! Reads the programme file: only what a play needs, checked as it is read.

use std::collections::BTreeMap;

use anyhow::{Context as _, bail};
use jiff::{civil::Time, tz::TimeZone};
use serde::{Deserialize, Deserializer, de};

/// One programme as its file tells it.
#[derive(Debug, Clone)]
pub struct Programme {
    pub id: String,
    pub zone: TimeZone,
    /// ISO 4217, upper case. Always a currency of two decimals.
    pub currency: String,
    /// ISO 3166 alpha-2, upper case.
    pub country: String,
    /// How many hundredths of what is asked in another currency are kept aside besides.
    pub exchange_margin_percent: i64,
    pub connections: Vec<Connection>,
    /// What each stream may never buy, as category slugs.
    pub never: BTreeMap<String, Vec<String>>,
    /// The terms of whoever has no agreement of their own.
    pub start: Vec<Term>,
    pub people: Vec<Person>,
    pub(crate) members: Vec<Member>,
}

/// An account that somebody signs in with.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Member {
    id: String,
    role: String,
    person: Option<String>,
    worker: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Connection {
    pub name: String,
    pub issuer: String,
    pub api_version: String,
    pub deadline_ms: u64,
    pub secret: Vec<Secret>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Secret {
    pub value: String,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Person {
    pub id: String,
    pub name: String,
    pub(crate) worker: Option<String>,
    #[serde(default)]
    pub card: Vec<Card>,
    #[serde(default)]
    pub pot: Vec<Pot>,
    pub agreement: Option<Agreement>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Card {
    pub connection: String,
    pub token: String,
    pub last_four: String,
    pub state: CardState,
}

impl Card {
    /// A card that the programme never gave out.
    pub(crate) fn of_nobody() -> Self {
        Self {
            connection: String::new(),
            token: "ic_1SimNobodyKnows0001".to_owned(),
            last_four: "0000".to_owned(),
            state: CardState::Unknown,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CardState {
    Active,
    Replaced,
    Lost,
    /// Not in the file at all: a token that the programme never gave out.
    #[serde(skip)]
    Unknown,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Pot {
    pub id: String,
    pub name: String,
    pub stream: String,
    #[serde(default)]
    pub allocated: Minor,
    #[serde(default)]
    pub emergency: bool,
    pub only: Option<Vec<String>>,
    #[serde(default)]
    pub loads: Vec<Load>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Load {
    pub amount: Minor,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Agreement {
    #[serde(default)]
    pub partial: bool,
    #[serde(default)]
    pub term: Vec<Term>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Term {
    pub on: Scope,
    pub answer: Option<Word>,
    #[serde(default)]
    pub limits: Vec<Limit>,
    pub hours: Option<Hours>,
}

/// What a term is about.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Scope {
    Wide(Wide),
    Narrow(Narrow),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wide {
    Everything,
    EverythingElse,
    Cash,
    CashBack,
    Online,
    Abroad,
    Hours,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Narrow {
    Shop(String),
    Code(String),
    Category(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Word {
    Yes,
    Ask,
    No,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Limit {
    pub per: Per,
    pub amount: Option<Minor>,
    pub count: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Per {
    Purchase,
    Day,
    Week,
    Month,
    Agreement,
}

/// From and until, local time; `from` is inside, `to` is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct Hours {
    #[serde(deserialize_with = "time_of_day")]
    pub from: Time,
    #[serde(deserialize_with = "time_of_day")]
    pub to: Time,
}

/// An amount in minor units, written in the file as major units with two decimals ("40.00").
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Minor(pub i64);

impl Minor {
    /// Reads an amount in major units with two decimals.
    pub(crate) fn read(text: &str) -> Option<Self> {
        minor(text).map(Self)
    }
}

impl<'de> Deserialize<'de> for Minor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::read(&text)
            .ok_or_else(|| de::Error::custom(format!("{text:?} is not an amount like \"40.00\"")))
    }
}

fn minor(text: &str) -> Option<i64> {
    let (whole, part) = text.split_once('.')?;
    let is_plain = |digits: &str| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    if !is_plain(whole) || !is_plain(part) || part.len() != 2 {
        return None;
    }
    whole.parse::<i64>().ok()?.checked_mul(100)?.checked_add(part.parse().ok()?)
}

fn time_of_day<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Time, D::Error> {
    let text = String::deserialize(deserializer)?;
    let (hour, minute) = text.split_once(':').unwrap_or((&text, ""));
    match (hour.parse(), minute.parse()) {
        (Ok(hour), Ok(minute)) => Time::new(hour, minute, 0, 0).map_err(de::Error::custom),
        _ => Err(de::Error::custom(format!("{text:?} is not a time like \"06:00\""))),
    }
}

#[derive(Deserialize)]
struct File {
    programme: Head,
    #[serde(default)]
    connection: Vec<Connection>,
    #[serde(default)]
    stream: Vec<Stream>,
    #[serde(default)]
    start: Start,
    #[serde(default)]
    person: Vec<Person>,
    #[serde(default)]
    member: Vec<Member>,
}

#[derive(Deserialize)]
struct Head {
    id: String,
    time_zone: String,
    currency: String,
    country: String,
    #[serde(default)]
    exchange_margin_percent: i64,
}

#[derive(Deserialize)]
struct Stream {
    id: String,
    #[serde(default)]
    never: Vec<String>,
}

#[derive(Default, Deserialize)]
struct Start {
    #[serde(default)]
    term: Vec<Term>,
}

impl Programme {
    /// Reads the text of a programme file.
    ///
    /// # Errors
    /// When the text is not a programme, or is one that no story can be played against.
    pub fn read(text: &str) -> anyhow::Result<Self> {
        let file: File = toml::from_str(text).context("the programme file cannot be read")?;
        let head = file.programme;
        if !["GBP", "EUR", "USD"].contains(&head.currency.as_str()) {
            bail!(
                "stories are priced in GBP, EUR or USD, and the programme uses {}",
                head.currency
            );
        }
        let zone = TimeZone::get(&head.time_zone)
            .with_context(|| format!("unknown time zone {}", head.time_zone))?;
        Ok(Self {
            id: head.id,
            zone,
            currency: head.currency,
            country: head.country,
            exchange_margin_percent: head.exchange_margin_percent,
            connections: file.connection,
            never: file.stream.into_iter().map(|stream| (stream.id, stream.never)).collect(),
            start: file.start.term,
            people: file.person,
            members: file.member,
        })
    }

    /// The connection of that name, if it is one that the stories can be told on.
    pub fn connection(&self, name: &str) -> Option<&Connection> {
        self.connections.iter().find(|c| c.name == name && c.issuer == "stripe")
    }

    /// The account of a person's own.
    pub(crate) fn own_account(&self, person: &Person) -> Option<&str> {
        self.account("person", |member| member.person.as_ref() == Some(&person.id))
    }

    /// The account of the worker who works with a person.
    pub(crate) fn worker_of(&self, person: &Person) -> Option<&str> {
        self.account("worker", |member| person.worker.is_some() && member.worker == person.worker)
    }

    /// The account of a manager.
    pub(crate) fn manager(&self) -> Option<&str> {
        self.account("manager", |_| true)
    }

    fn account(&self, role: &str, is_theirs: impl Fn(&Member) -> bool) -> Option<&str> {
        let member = self.members.iter().find(|member| member.role == role && is_theirs(member));
        member.map(|member| member.id.as_str())
    }

    pub fn person(&self, id: &str) -> Option<&Person> {
        self.people.iter().find(|person| person.id == id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(crate) const DEMO: &str = include_str!("../../merchant-rules/demo.toml");

    #[test]
    fn the_demo_programme_is_read() {
        let programme = Programme::read(DEMO).unwrap();
        let dee = programme.person("dee").unwrap();
        assert_eq!(dee.pot[2].loads.iter().map(|load| load.amount.0).sum::<i64>(), 63_90);
        assert_eq!(dee.card[1].state, CardState::Replaced);
        let terms = &programme.person("femi").unwrap().agreement.as_ref().unwrap().term;
        assert_eq!(terms[2].on, Scope::Narrow(Narrow::Shop("Theory Test Centre".to_owned())));
        assert!(programme.connection("riverside-stripe").is_some());
    }

    #[test]
    fn an_amount_needs_two_decimals_and_no_sign() {
        assert_eq!(minor("40.00"), Some(40_00));
        assert_eq!(minor("0.05"), Some(5));
        for wrong in ["40", "40.0", "-1.00", "1.-1", ".50", "1e3.00"] {
            assert_eq!(minor(wrong), None, "{wrong}");
        }
    }
}
