//! Parses and validates the parts of the programme file that a play needs.

mod fields;

pub use fields::unknown_fields;

use std::collections::BTreeMap;

use anyhow::{Context as _, bail};
use jiff::{
    Timestamp,
    civil::{Date, Time},
    tz::TimeZone,
};
use serde::{Deserialize, Deserializer, de};
use toml::value::Datetime;

use crate::{currency, shop_identity};

/// A programme, as its file describes it.
#[derive(Debug, Clone)]
pub struct Programme {
    pub id: String,
    pub zone: TimeZone,
    /// ISO 4217, upper case.
    pub currency: String,
    pub home: HomeCountries,
    /// Percentage of a request in another currency that is held in addition.
    pub exchange_margin_percent: i64,
    /// Whether every purchase is declined.
    pub is_paused: bool,
    pub connections: Vec<Connection>,
    pub(crate) streams: BTreeMap<String, Stream>,
    /// The terms of people without an agreement of their own.
    pub start: Vec<Term>,
    pub people: Vec<Person>,
    /// The programme's own shops, in addition to the built-in table.
    pub(crate) shops: Vec<shop_identity::KnownShop>,
    /// Fields of the file that these books do not model, as text.
    pub notes: Vec<String>,
    pub(crate) members: Vec<Member>,
}

/// The countries in which a purchase is not abroad.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HomeCountries {
    /// ISO 3166 alpha-2, upper case, the programme's own country first.
    pub countries: Vec<String>,
    /// Whether a shop without a known country counts as abroad.
    pub is_unknown_abroad: bool,
}

impl HomeCountries {
    /// The programme's own country.
    pub fn country(&self) -> &str {
        self.countries.first().map_or("", String::as_str)
    }

    /// Whether a shop in the country is abroad. A country that is not a code of two letters is
    /// unknown.
    pub(crate) fn is_abroad(&self, country: &str) -> bool {
        let is_known = country.len() == 2 && country.bytes().all(|byte| byte.is_ascii_alphabetic());
        if !is_known {
            return self.is_unknown_abroad;
        }
        !self.countries.iter().any(|home| home.eq_ignore_ascii_case(country))
    }
}

/// How a shop without a known country counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum UnknownCountry {
    #[default]
    Home,
    Abroad,
}

/// A source of money.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Stream {
    id: String,
    /// Categories that it may never pay for.
    #[serde(default)]
    pub(crate) never: Vec<String>,
    /// The last day on which it can be spent.
    #[serde(default, deserialize_with = "optional_date")]
    pub(crate) ends_on: Option<Date>,
    /// Whether it is spent before all other money.
    #[serde(default)]
    pub(crate) drains_first: bool,
}

/// An account that signs in.
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
    pub(crate) state: PersonState,
    #[serde(default)]
    pub card: Vec<Card>,
    #[serde(default)]
    pub pot: Vec<Pot>,
    pub agreement: Option<Agreement>,
    #[serde(default)]
    pub(crate) permission: Vec<Permission>,
}

/// Whether somebody takes part in the programme.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum PersonState {
    #[default]
    Active,
    Ended,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Card {
    pub connection: String,
    pub token: String,
    pub last_four: String,
    #[serde(default)]
    pub state: CardState,
}

impl Card {
    /// A card that the programme never issued.
    pub(crate) fn unissued() -> Self {
        Self {
            connection: String::new(),
            token: "ic_1SimNobodyKnows0001".to_owned(),
            last_four: "0000".to_owned(),
            state: CardState::Unknown,
        }
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CardState {
    #[default]
    Active,
    NotStarted,
    FrozenByPerson,
    FrozenByStaff,
    Lost,
    Replaced,
    Expired,
    /// A token that the programme never issued, and that is not in the file.
    #[serde(skip)]
    Unknown,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Pot {
    pub id: String,
    pub name: String,
    pub stream: String,
    #[serde(default)]
    pub allocated: MinorUnits,
    #[serde(default)]
    pub emergency: bool,
    pub only: Option<Vec<String>>,
    pub(crate) release: Option<Release>,
    #[serde(default)]
    pub loads: Vec<Load>,
}

/// Staged release: loaded money that becomes spendable in stages.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Release {
    #[serde(default)]
    pub(crate) at_once: MinorUnits,
    pub(crate) amount: MinorUnits,
    pub(crate) every: ReleaseInterval,
    /// The day on which the first stage begins.
    #[serde(deserialize_with = "date")]
    pub(crate) from: Date,
}

/// The interval between stages. Weekly stages keep the weekday of the first one; monthly ones keep
/// its day of the month, or take the last day of a shorter month.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ReleaseInterval {
    Day,
    Week,
    Month,
}

/// A one-off permission.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Permission {
    pub(crate) on: Scope,
    /// Limit on one purchase.
    pub(crate) up_to: MinorUnits,
    pub(crate) uses: usize,
    #[serde(deserialize_with = "instant")]
    pub(crate) from: Timestamp,
    #[serde(deserialize_with = "instant")]
    pub(crate) ends: Timestamp,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Load {
    pub amount: MinorUnits,
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
    pub answer: Option<TermAnswer>,
    #[serde(default)]
    pub limits: Vec<Limit>,
    pub hours: Option<Hours>,
    pub(crate) own_block: Option<OwnBlock>,
}

/// A block or a limit that people set for themselves, and the number of days for which it outlasts
/// a permission.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(crate) struct OwnBlock {
    pub(crate) cooling_days: i64,
}

/// The purchases that a term is about.
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
    /// A shop whose name was erased: the digests of its names.
    ShopKey(String),
    Code(String),
    Category(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TermAnswer {
    Yes,
    Ask,
    No,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Limit {
    pub per: LimitPeriod,
    pub amount: Option<MinorUnits>,
    pub count: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LimitPeriod {
    Purchase,
    Day,
    Week,
    Month,
    Agreement,
}

/// Local time: `from` is inclusive, `to` is exclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct Hours {
    #[serde(deserialize_with = "time_of_day")]
    pub from: Time,
    #[serde(deserialize_with = "time_of_day")]
    pub to: Time,
}

/// An amount in minor units of the programme's currency.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub struct MinorUnits(pub i64);

fn date<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Date, D::Error> {
    let date = Datetime::deserialize(deserializer)?.to_string();
    date.parse().map_err(de::Error::custom)
}

fn optional_date<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Date>, D::Error> {
    date(deserializer).map(Some)
}

fn instant<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    let instant = Datetime::deserialize(deserializer)?.to_string();
    instant.parse().map_err(de::Error::custom)
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
struct ProgrammeFile {
    programme: ProgrammeHeader,
    #[serde(default)]
    connection: Vec<Connection>,
    #[serde(default)]
    stream: Vec<Stream>,
    #[serde(default)]
    shop: Vec<shop_identity::KnownShop>,
    #[serde(default)]
    start: StartList,
    #[serde(default)]
    person: Vec<Person>,
    #[serde(default)]
    member: Vec<Member>,
}

#[derive(Deserialize)]
struct ProgrammeHeader {
    id: String,
    time_zone: String,
    currency: String,
    country: String,
    #[serde(default)]
    home_countries: Vec<String>,
    #[serde(default)]
    unknown_country: UnknownCountry,
    #[serde(default)]
    exchange_margin_percent: i64,
    #[serde(default)]
    paused: bool,
}

#[derive(Default, Deserialize)]
struct StartList {
    #[serde(default)]
    term: Vec<Term>,
}

impl Programme {
    /// Parses the text of a programme file.
    ///
    /// # Errors
    /// When the text is not a programme file, or its time zone is unknown.
    pub fn read(text: &str) -> anyhow::Result<Self> {
        const WHAT: &str = "the programme file cannot be read";

        let mut table: toml::Table = text.parse().context(WHAT)?;
        let notes = unknown_fields(&table);
        let code = table.get("programme").and_then(|header| header.get("currency")?.as_str());
        let code = code.unwrap_or_default().to_owned();
        for value in table.iter_mut().map(|(_, value)| value) {
            fields::in_minor_units(value, &code).context(WHAT)?;
        }
        let file: ProgrammeFile = table.try_into().context(WHAT)?;
        let header = file.programme;
        let zone = TimeZone::get(&header.time_zone)
            .with_context(|| format!("unknown time zone {}", header.time_zone))?;
        Ok(Self {
            id: header.id,
            zone,
            currency: header.currency,
            home: HomeCountries {
                countries: std::iter::once(header.country).chain(header.home_countries).collect(),
                is_unknown_abroad: header.unknown_country == UnknownCountry::Abroad,
            },
            exchange_margin_percent: header.exchange_margin_percent,
            is_paused: header.paused,
            connections: file.connection,
            streams: file.stream.into_iter().map(|stream| (stream.id.clone(), stream)).collect(),
            start: file.start.term,
            people: file.person,
            shops: file.shop,
            notes,
            members: file.member,
        })
    }

    /// Checks that the programme's currency has prices with two decimals at the issuer.
    ///
    /// # Errors
    /// When it has not.
    pub(crate) fn check_prices(&self) -> anyhow::Result<()> {
        let is_fine = currency::decimals(&self.currency) <= 2;
        if !is_fine || currency::to_stripe(1, &self.currency) != Some(1) {
            bail!("stories are priced in plain pence, and the programme uses {}", self.currency);
        }
        Ok(())
    }

    /// The connection of that name, if its issuer is one that the simulator can play.
    pub fn connection(&self, name: &str) -> Option<&Connection> {
        self.connections.iter().find(|c| c.name == name && c.issuer == "stripe")
    }

    /// The person's own account.
    pub(crate) fn own_account(&self, person: &Person) -> Option<&str> {
        self.account("person", |member| member.person.as_ref() == Some(&person.id))
    }

    /// The account of the person's worker.
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

    pub(crate) const DEMO: &str = include_str!("../../../merchant-rules/demo.toml");

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

    /// The demo with `changed` in place of `text`.
    fn demo_with(text: &str, changed: &str) -> anyhow::Result<Programme> {
        assert!(DEMO.contains(text), "{text}");
        Programme::read(&DEMO.replacen(text, changed, 1))
    }

    #[test]
    fn optional_fields_of_a_person_are_read() {
        let programme = demo_with(
            "[[person]]\n",
            "[[person]]\nid = \"all\"\nname = \"All\"\nworker = \"amina\"\nstate = \"ended\"\n\
             [[person.card]]\nconnection = \"riverside-stripe\"\ntoken = \"ic_1All\"\n\
             last_four = \"0000\"\n\
             [[person.card]]\nconnection = \"riverside-stripe\"\ntoken = \"ic_1Old\"\n\
             last_four = \"0001\"\nstate = \"frozen_by_staff\"\n\
             [[person.pot]]\nid = \"pot\"\nname = \"pot\"\nstream = \"homes\"\nallocated = \"90\"\n\
             release = { amount = \"7.5\", every = \"week\", from = 2027-01-04 }\n\
             loads = [{ id = \"start\", amount = \"90.00\" }]\n\
             [[person.permission]]\non = { category = \"food\" }\nup_to = \"20.00\"\nuses = 2\n\
             from = 2026-11-02T08:00:00Z\nends = 2026-12-02T08:00:00+01:00\n\
             [[person]]\n",
        );
        let programme = programme.unwrap();
        assert_eq!(programme.notes, [""; 0]);
        let all = &programme.people[0];
        assert_eq!((all.state, all.card[1].state), (PersonState::Ended, CardState::FrozenByStaff));
        assert_eq!(all.card[0].state, CardState::Active);
        let release = all.pot[0].release.as_ref().unwrap();
        assert_eq!(
            (release.amount, release.at_once, release.every),
            (MinorUnits(7_50), MinorUnits(0), ReleaseInterval::Week)
        );
        let permission = &all.permission[0];
        assert_eq!((permission.up_to, permission.uses), (MinorUnits(20_00), 2));
        assert_eq!(permission.ends.to_string(), "2026-12-02T07:00:00Z");
    }

    #[test]
    fn a_field_that_nobody_knows_is_named() {
        let programme = demo_with("[[person.pot]]\n", "[[person.pot]]\nshared_with = \"ana\"\n");
        let notes = programme.unwrap().notes;
        let what = "person.pot.shared_with is a field that these books do not know: what it \
                    changes is not expected";
        assert_eq!(notes, [what]);
    }

    #[test]
    fn any_currency_is_read_with_its_decimals() {
        let text = "[programme]\nid = \"p\"\ntime_zone = \"UTC\"\ncurrency = \"KWD\"\n\
                    country = \"KW\"\n[[person]]\nid = \"a\"\nname = \"A\"\n\
                    [[person.pot]]\nid = \"b\"\n\
                    name = \"b\"\nstream = \"s\"\nallocated = \"1.234\"\n";
        let programme = Programme::read(text).unwrap();
        assert_eq!(programme.people[0].pot[0].allocated, MinorUnits(1234));
        assert!(programme.check_prices().is_err());
        let yen = text.replace("KWD", "JPY").replace("1.234", "1234");
        assert!(Programme::read(&yen).unwrap().check_prices().is_ok());
        let wrong = Programme::read(&text.replace("KWD", "GBP")).unwrap_err();
        assert!(format!("{wrong:#}").contains("allocated: \"1.234\" is not an amount of GBP"));
    }
}
