//! A programme's file: one TOML text with its settings, its people and their agreed lists.
//!
//! [`parse`] and [`write()`] are inverses of each other, except that secrets are never written. The
//! store keeps the same text in parts: the settings by version ([`write_settings`],
//! [`parse_settings`]) and each person ([`write_person`], [`parse_person`]).

mod asks;
mod cards;
mod members;
mod people;
mod problem;
mod reader;
mod references;
mod settings;
mod shops;
mod terms;
mod write;

#[cfg(test)]
mod tests;

use std::fmt;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use secrecy::{ExposeSecret as _, SecretString};

use crate::domain::agreement::{Scope, Term};
use crate::domain::decision::authorisation::ProgrammeState;
use crate::domain::id::{ConnectionId, LoadId, PermissionId, PersonId, ProgrammeId, WorkerId};
use crate::domain::money::margin::MarginPercent;
use crate::domain::money::stream::Stream;
use crate::domain::money::{Currency, Money};
use crate::domain::people::person::PersonState;
use crate::domain::people::role::Member;
use crate::domain::pot::PotPlan;
use crate::domain::shop::home::HomeCountries;
use crate::domain::shop::merchant::{Category, MerchantRules};
use crate::domain::shop::table::{Shop, ShopTable};
use crate::domain::time::working_time::WorkingHours;
use crate::issuers::Issuer;

pub use asks::AskRules;
pub use cards::FiledCard;
pub use members::Duty;
pub use problem::{FileProblem, FileProblems};
use reader::FileReader;
pub use write::{write, write_person, write_settings};

/// Stands in a file for a stored secret that is kept.
pub const KEPT: &str = "(kept)";

/// The whole content of a programme's file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProgrammeFile {
    pub settings: Settings,
    pub people: Vec<Person>,
    pub members: Vec<Member>,
    pub duties: Vec<Duty>,
}

/// A programme without its people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    pub id: ProgrammeId,
    pub name: String,
    /// The IANA name of `zone`, such as `Europe/London`.
    pub zone_name: String,
    pub zone: TimeZone,
    pub currency: Currency,
    /// The countries in which a purchase is domestic: ISO 3166 alpha-2.
    pub home: HomeCountries,
    /// How much more than the requested amount a purchase in another currency holds.
    pub exchange_margin: MarginPercent,
    /// A change that loosens a list by more than this sum also needs a manager's consent. `None`:
    /// no change does.
    pub manager_above: Option<Money>,
    pub state: ProgrammeState,
    /// When staff are at work.
    pub hours: WorkingHours,
    pub asks: AskRules,
    pub workers: Vec<Worker>,
    pub connections: Vec<Connection>,
    pub streams: Vec<Stream>,
    /// The programme's own shops, matched before those of the table.
    pub shops: Vec<Shop>,
    /// The list in force until a person and their worker have agreed their own.
    pub start: Vec<ListedTerm>,
}

/// A worker whom people can ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Worker {
    pub id: WorkerId,
    pub name: String,
    pub phone: Option<String>,
}

/// A programme's connection to one issuer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    pub id: ConnectionId,
    pub issuer: Issuer,
    pub api_version: Option<String>,
    /// The issuer's time limit for a response, in milliseconds.
    pub deadline_ms: u32,
    /// Our own time limit, in milliseconds; below `deadline_ms`.
    pub answer_within_ms: u32,
    pub secrets: Vec<Secret>,
}

/// A secret with which an issuer signs its messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Secret {
    /// Unique in the connection; has the shape of an id.
    pub name: String,
    pub value: SecretValue,
    /// When it expires, for the rotation of secrets.
    pub until: Option<Timestamp>,
}

/// A secret's value, or the note that the stored value is kept.
#[derive(Clone)]
pub enum SecretValue {
    Kept,
    Given(SecretString),
}

impl fmt::Debug for SecretValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kept => "Kept",
            Self::Given(_) => "Given([REDACTED])",
        })
    }
}

impl PartialEq for SecretValue {
    /// Only for detecting changed settings. Signatures are never checked with this comparison.
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Kept, Self::Kept) => true,
            (Self::Given(a), Self::Given(b)) => a.expose_secret() == b.expose_secret(),
            (Self::Kept, Self::Given(_)) | (Self::Given(_), Self::Kept) => false,
        }
    }
}

impl Eq for SecretValue {}

/// A person with their cards, pots and list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    pub id: PersonId,
    pub name: String,
    pub worker: WorkerId,
    pub phone: Option<String>,
    pub state: PersonState,
    pub cards: Vec<FiledCard>,
    /// In the order in which they pay.
    pub pots: Vec<Pot>,
    /// `None` until the person and their worker have agreed a list of their own.
    pub agreement: Option<AgreementDraft>,
    pub permissions: Vec<PermissionDraft>,
}

impl Person {
    /// Whether the start list applies, because the person has no terms of their own.
    pub fn is_on_start_list(&self) -> bool {
        self.agreement.as_ref().is_none_or(|agreement| agreement.terms.is_empty())
    }

    /// The terms in force: the person's own, or those of `start` if they have none.
    pub fn terms<'a>(&'a self, start: &'a [ListedTerm]) -> &'a [ListedTerm] {
        let own = self.agreement.as_ref().map(|agreement| agreement.terms.as_slice());
        own.filter(|terms| !terms.is_empty()).unwrap_or(start)
    }
}

/// A pot, its allocation and its loads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pot {
    pub plan: PotPlan,
    /// The loads never sum to more than this.
    pub allocated: Money,
    pub loads: Vec<Load>,
}

/// Money put into a pot. It is posted once, even if the file is applied again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Load {
    pub id: LoadId,
    /// Above zero.
    pub amount: Money,
}

/// An agreement in a file. It gets its version when it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgreementDraft {
    pub agreed_on: Date,
    /// The names of those who agreed.
    pub agreed_by: Vec<String>,
    /// Where it was agreed, how long the talk took, and who was present.
    pub how: String,
    pub partial: bool,
    /// No two terms have the same scope.
    pub terms: Vec<ListedTerm>,
}

/// A term, with the name of its shop as written in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedTerm {
    pub term: Term,
    /// `Some` if the term is about one shop, unless the name was erased.
    pub shop_name: Option<String>,
}

impl ListedTerm {
    /// The term, with the shop's name resolved through `shops`.
    pub fn resolved(&self, shops: &ShopTable) -> Term {
        let scope = shop_scope(self.term.scope(), self.shop_name.as_deref(), shops);
        self.term.clone().about(scope)
    }
}

impl PermissionDraft {
    /// The scope, with the shop's name resolved through `shops`.
    pub fn resolved(&self, shops: &ShopTable) -> Scope {
        shop_scope(&self.scope, self.shop_name.as_deref(), shops)
    }
}

fn shop_scope(scope: &Scope, name: Option<&str>, shops: &ShopTable) -> Scope {
    name.and_then(|name| shops.key_of(name)).map_or_else(|| scope.clone(), Scope::Shop)
}

/// A one-off permission. Without an id, it gets one when it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PermissionDraft {
    pub id: Option<PermissionId>,
    pub scope: Scope,
    /// `Some` if the scope is one shop, unless the name was erased.
    pub shop_name: Option<String>,
    pub up_to: Money,
    /// At least one.
    pub uses: u32,
    pub from: Timestamp,
    /// After `from`.
    pub ends: Timestamp,
}

/// The categories that a file may name.
pub trait KnownCategories {
    /// Whether `category` is one of them.
    fn has(&self, category: &Category) -> bool;
}

impl KnownCategories for MerchantRules {
    fn has(&self, category: &Category) -> bool {
        self.get(category).is_some()
    }
}

impl<F: Fn(&Category) -> bool> KnownCategories for F {
    fn has(&self, category: &Category) -> bool {
        self(category)
    }
}

/// Reads a programme's file.
///
/// # Errors
///
/// Every problem at once, sorted by line; only the syntax errors if the text is not TOML.
pub fn parse(text: &str, rules: &dyn KnownCategories) -> Result<ProgrammeFile, FileProblems> {
    let reader = FileReader::new(text);
    let table = reader.table();
    let file = table.as_ref().and_then(|table| {
        let fields = [settings::FIELDS.as_slice(), &["person", "member", "duty"]].concat();
        let root = reader.root(table, &fields);
        let known = references::known(&root, rules);
        let settings = settings::read(&root, &known);
        settings::refuse_without_secrets(&root);
        let people = people::read(&root, &known);
        let members = members::members(&root, &known);
        let duties = members::duties(&root);
        Some(ProgrammeFile {
            settings: settings?,
            people: people?,
            members: members?,
            duties: duties?,
        })
    });
    reader.finish(file)
}

/// Reads the output of [`write_settings`].
///
/// For a stored text, `rules` should accept every category, because the text may name one that the
/// merchant rules have dropped since.
///
/// # Errors
///
/// As [`parse`].
pub fn parse_settings(text: &str, rules: &dyn KnownCategories) -> Result<Settings, FileProblems> {
    let reader = FileReader::stored(text);
    let table = reader.table();
    let settings = table.as_ref().and_then(|table| {
        let root = reader.root(table, &settings::FIELDS);
        settings::read(&root, &references::known(&root, rules))
    });
    reader.finish(settings)
}

/// Reads the output of [`write_person`] for a person of the programme with these `settings`.
///
/// # Errors
///
/// As [`parse`]; also if the text has no person, or more than one.
pub fn parse_person(
    text: &str,
    settings: &Settings,
    rules: &dyn KnownCategories,
) -> Result<Person, FileProblems> {
    let reader = FileReader::stored(text);
    let table = reader.table();
    let person = table.as_ref().and_then(|table| {
        let root = reader.root(table, &["person"]);
        let people = people::read(&root, &references::known_of(settings, rules))?;
        let mut people = people.into_iter();
        let person = people.next();
        if person.is_none() || people.next().is_some() {
            root.problem("person", "one [[person]] is wanted here: no more and no fewer");
        }
        person
    });
    reader.finish(person)
}
