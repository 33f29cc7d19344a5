//! The stored facts of a decision as JSON: immutable data by identifier and version, mutable data
//! by value, so that the decision can be replayed at any later time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::{Date, Time};
use serde::{Deserialize, Serialize};

use crate::domain::agreement::Agreement;
use crate::domain::ask::permission::{Grantor, Permission, PermissionUsage};
use crate::domain::card::CardState;
use crate::domain::decision::authorisation::{
    CardholderFacts, Facts, KnownShop, Presence, ProgrammeFacts, ProgrammeState,
    PurchaseContinuation, PurchaseKind,
};
use crate::domain::id::{PermissionId, PotId};
use crate::domain::money::limit::{Abroad, CounterKey, CountingAttributes, LimitUsage};
use crate::domain::money::margin::MarginPercent;
use crate::domain::money::{Currency, Money};
use crate::domain::people::person::PersonState;
use crate::domain::pot::PotFunds;
use crate::domain::shop::ShopIdentity;
use crate::domain::shop::home::UnknownCountry;
use crate::domain::shop::merchant::{Category, Mcc};
use crate::domain::time::period::{Moment, Period};

/// Why stored facts cannot be parsed.
#[derive(Debug, thiserror::Error)]
pub enum UnreadableFacts {
    #[error("the facts are not JSON of the known form")]
    Json(#[from] serde_json::Error),
    #[error("{field} is {found:?}, which is nothing we ever wrote")]
    Value { field: &'static str, found: String },
}

/// The stored form of [`Facts`]. Field names are short, because a row of facts should stay below 1
/// KB.
#[derive(Debug, Serialize, Deserialize)]
pub struct FactsRecord {
    /// The version of the decision rules; version 1 if absent.
    #[serde(default = "first_rules", skip_serializing_if = "is_first_rules")]
    rules: u32,
    at: Timestamp,
    date: Date,
    time: Time,
    programme_version: u32,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    paused: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    holder: Option<HolderRecord>,
    category: String,
    /// The local day on which the purchase counts, if it differs from the day of arrival.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    counts_on: Option<Date>,
    /// How the shop was classified, if its country is unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unknown_country: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    also: Vec<String>,
    /// The version of the shop table; `shop` holds the keys that a term or a permission refers to,
    /// separated by spaces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    shops: Option<String>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    shop: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    permissions: Vec<PermissionRecord>,
    /// Scope, period, first day, amount in minor units, number of purchases.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    counters: Vec<(String, String, Date, i64, u32)>,
    /// What each pot had left for the purchase, in minor units.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    left: Vec<(String, i64)>,
    /// The total loaded into each pot with staged release, in minor units.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    loaded: Vec<(String, i64)>,
    /// The amount that the person held back in each pot, in minor units.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    held_back: Vec<(String, i64)>,
    /// The person's own pots that were to pay, each with the agreed pot that contains it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    own: Vec<(String, String)>,
    /// The margin to hold beyond the requested amount, in minor units.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    margin: Option<i64>,
    /// The exchange rate margin for a price in another currency, in percent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    exchange: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    so_far: Option<(i64, Date)>,
    /// The counting attributes that an open purchase began with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    begun_as: Option<CountedRecord>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    anothers: bool,
}

const fn first_rules() -> u32 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes what it skips by reference")]
const fn is_first_rules(rules: &u32) -> bool {
    *rules == first_rules()
}

#[derive(Debug, Serialize, Deserialize)]
struct HolderRecord {
    card: String,
    person: String,
    agreement: u32,
}

#[derive(Debug, Serialize, Deserialize)]
struct PermissionRecord {
    id: String,
    scope: String,
    cap: i64,
    uses_left: i64,
    given_at: Timestamp,
    ends_at: Timestamp,
    /// Absent if a person gave it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    giver: Option<String>,
    /// Held under this permission by purchases without a capture, in minor units; absent if usage
    /// was not recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    open: Option<i64>,
    /// The number of purchases with a capture.
    #[serde(default, skip_serializing_if = "is_none_captured")]
    captured: u32,
    /// Whether all open holds are at this shop.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    here: bool,
}

#[derive(Debug, Serialize, Deserialize)]
struct CountedRecord {
    on: Date,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    shop: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mcc: Option<String>,
    category: String,
    kind: String,
    presence: String,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    abroad: bool,
    #[serde(default, skip_serializing_if = "is_nothing")]
    cash_back: i64,
    #[serde(default, skip_serializing_if = "is_nothing")]
    atm_fee: i64,
    matched: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes what it skips by reference")]
const fn is_nothing(minor: &i64) -> bool {
    *minor == 0
}

/// The immutable versions that facts refer to, loaded for a replay.
#[derive(Debug)]
pub struct ReplayVersions {
    pub programme: ProgrammeFacts,
    pub agreement: Option<Arc<Agreement>>,
}

impl FactsRecord {
    /// The stored form of `facts`.
    pub fn new(facts: &Facts) -> Self {
        let holder = facts.holder.as_ref().map(|holder| HolderRecord {
            card: holder.card.word().to_owned(),
            person: holder.person.word().to_owned(),
            agreement: holder.agreement.version,
        });
        let counter = |(key, used): (&CounterKey, &LimitUsage)| {
            let period = key.period.word().to_owned();
            let scope = key.scope.to_string();
            (scope, period, key.first_day, used.amount.minor(), used.purchases)
        };
        Self {
            rules: facts.rules_version,
            at: facts.moment.at,
            date: facts.moment.date,
            time: facts.moment.time,
            programme_version: facts.programme.version,
            paused: facts.programme.state == ProgrammeState::Paused,
            holder,
            category: facts.category.to_string(),
            also: facts.also.iter().map(Category::to_string).collect(),
            shops: facts.shop.as_ref().map(|known| known.table.clone()),
            shop: facts.shop.as_ref().map(|known| known.identity.to_string()).unwrap_or_default(),
            counts_on: Some(facts.counts_on).filter(|day| *day != facts.moment.date),
            unknown_country: facts.unknown_country.map(|taken| taken.word().to_owned()),
            permissions: facts
                .permissions
                .iter()
                .map(|p| permission_record(p, facts.held_here.contains(&p.id)))
                .collect(),
            counters: facts.counters.iter().map(counter).collect(),
            left: facts.pots.iter().map(|(id, pot)| (id.to_string(), pot.left.minor())).collect(),
            loaded: pot_amounts(&facts.pots, |pot| pot.loaded),
            held_back: pot_amounts(&facts.pots, |pot| pot.held_back),
            own: facts.pots.iter().filter_map(part_of).collect(),
            margin: Some(facts.margin.minor()).filter(|minor| *minor != 0),
            exchange: Some(facts.exchange.number()).filter(|percent| *percent != 0),
            begun_as: facts.original_attributes.as_ref().map(counted_record),
            so_far: match facts.continues {
                PurchaseContinuation::Nothing | PurchaseContinuation::OtherPerson => None,
                PurchaseContinuation::Open { so_far, counted_on } => {
                    Some((so_far.minor(), counted_on))
                }
            },
            anothers: facts.continues == PurchaseContinuation::OtherPerson,
        }
    }

    /// Parses stored facts.
    pub fn from_text(text: &str) -> Result<Self, UnreadableFacts> {
        Ok(serde_json::from_str(text)?)
    }

    /// The facts as one line of JSON.
    pub fn to_text(&self) -> String {
        // A struct of strings and numbers always serialises.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// The version of the decision rules that applied.
    pub const fn rules_version(&self) -> u32 {
        self.rules
    }

    /// The version of the programme's settings that was in force.
    pub const fn programme_version(&self) -> u32 {
        self.programme_version
    }

    /// The agreement version that was in force; `None` for an unknown card.
    pub fn agreement_version(&self) -> Option<u32> {
        self.holder.as_ref().map(|holder| holder.agreement)
    }

    /// When the request arrived.
    pub const fn moment(&self) -> Moment {
        Moment { at: self.at, date: self.date, time: self.time }
    }

    /// What an open purchase held or had captured; `None` for a new one.
    pub fn so_far(&self, currency: Currency) -> Option<Money> {
        self.so_far.map(|(minor, _)| Money::from_minor(minor, currency))
    }

    /// Restores the facts, with the `versions` that they refer to.
    pub fn facts(&self, versions: ReplayVersions) -> Result<Facts, UnreadableFacts> {
        let ReplayVersions { mut programme, agreement } = versions;
        programme.state =
            if self.paused { ProgrammeState::Paused } else { ProgrammeState::Running };
        let currency = programme.currency;
        let holder = match (&self.holder, agreement) {
            (Some(record), Some(agreement)) => Some(CardholderFacts {
                card: parse_field("card", &record.card, CardState::from_word)?,
                person: parse_field("person", &record.person, PersonState::from_word)?,
                agreement,
            }),
            (Some(_) | None, _) => None,
        };
        let permissions = self.permissions.iter().map(|record| permission(record, currency));
        Ok(Facts {
            rules_version: self.rules,
            moment: self.moment(),
            programme,
            holder,
            category: parse_field("category", &self.category, |c| Category::parse(c).ok())?,
            also: self.also()?,
            shop: match &self.shops {
                Some(table) => Some(KnownShop {
                    identity: parse_field("shop", &self.shop, |text| text.parse().ok())?,
                    table: table.clone(),
                }),
                None => None,
            },
            counts_on: self.counts_on.unwrap_or(self.date),
            unknown_country: self.unknown_country()?,
            permissions: permissions.collect::<Result<_, _>>()?,
            held_here: self.held_here()?,
            counters: self.counters(currency)?,
            pots: self.pots(currency)?,
            margin: Money::from_minor(self.margin.unwrap_or(0), currency),
            exchange: self.exchange()?,
            original_attributes: self
                .begun_as
                .as_ref()
                .map(|original| counted(original, currency))
                .transpose()?,
            continues: match self.so_far {
                _ if self.anothers => PurchaseContinuation::OtherPerson,
                Some((minor, counted_on)) => {
                    let so_far = Money::from_minor(minor, currency);
                    PurchaseContinuation::Open { so_far, counted_on }
                }
                None => PurchaseContinuation::Nothing,
            },
        })
    }

    fn also(&self) -> Result<Vec<Category>, UnreadableFacts> {
        self.also
            .iter()
            .map(|text| parse_field("also", text, |c| Category::parse(c).ok()))
            .collect()
    }

    /// How the shop was classified, if its country was unknown.
    pub fn unknown_country(&self) -> Result<Option<UnknownCountry>, UnreadableFacts> {
        let word = self.unknown_country.as_deref();
        word.map(|word| parse_field("unknown_country", word, UnknownCountry::from_word)).transpose()
    }

    fn held_here(&self) -> Result<BTreeSet<PermissionId>, UnreadableFacts> {
        let here = self.permissions.iter().filter(|record| record.here);
        here.map(|record| parse_field("permission", &record.id, |text| text.parse().ok())).collect()
    }

    fn exchange(&self) -> Result<MarginPercent, UnreadableFacts> {
        let percent = self.exchange.unwrap_or_default();
        MarginPercent::new(percent)
            .ok_or_else(|| UnreadableFacts::Value { field: "exchange", found: percent.to_string() })
    }

    fn pots(&self, currency: Currency) -> Result<BTreeMap<PotId, PotFunds>, UnreadableFacts> {
        let pot = |(id, minor): &(String, i64)| {
            let money = |minor| Money::from_minor(minor, currency);
            let sum = |pot_amounts: &[(String, i64)]| {
                pot_amounts.iter().find(|(known, _)| known == id).map(|(_, minor)| money(*minor))
            };
            let part_of = self.own.iter().find(|(own, _)| own == id);
            let pot = PotFunds {
                left: money(*minor),
                loaded: sum(&self.loaded),
                held_back: sum(&self.held_back),
                part_of: part_of
                    .map(|(_, of)| parse_field("pot", of, |of| of.parse().ok()))
                    .transpose()?,
            };
            Ok((parse_field("pot", id, |id| id.parse().ok())?, pot))
        };
        self.left.iter().map(pot).collect()
    }

    fn counters(
        &self,
        currency: Currency,
    ) -> Result<BTreeMap<CounterKey, LimitUsage>, UnreadableFacts> {
        let counter = |record: &(String, String, Date, i64, u32)| {
            let (scope, period, first_day, minor, purchases) = record;
            let key = CounterKey {
                scope: parse_field("scope", scope, |text| text.parse().ok())?,
                period: parse_field("period", period, Period::from_word)?,
                first_day: *first_day,
            };
            let amount = Money::from_minor(*minor, currency);
            Ok((key, LimitUsage { amount, purchases: *purchases }))
        };
        self.counters.iter().map(counter).collect()
    }
}

fn pot_amounts(
    pots: &BTreeMap<PotId, PotFunds>,
    sum: impl Fn(&PotFunds) -> Option<Money>,
) -> Vec<(String, i64)> {
    pots.iter().filter_map(|(id, pot)| Some((id.to_string(), sum(pot)?.minor()))).collect()
}

fn part_of((id, pot): (&PotId, &PotFunds)) -> Option<(String, String)> {
    Some((id.to_string(), pot.part_of.as_ref()?.to_string()))
}

fn counted_record(counted: &CountingAttributes) -> CountedRecord {
    CountedRecord {
        on: counted.on,
        shop: Some(counted.shop.to_string()).filter(|keys| !keys.is_empty()),
        mcc: counted.mcc.map(|mcc| mcc.to_string()),
        category: counted.category.to_string(),
        kind: counted.kind.word().to_owned(),
        presence: counted.presence.word().to_owned(),
        abroad: counted.abroad == Abroad::Yes,
        cash_back: counted.cash_back.minor(),
        atm_fee: counted.atm_fee.minor(),
        matched: counted.matched.to_string(),
    }
}

fn counted(
    record: &CountedRecord,
    currency: Currency,
) -> Result<CountingAttributes, UnreadableFacts> {
    let shop = record.shop.as_deref().unwrap_or_default();
    let mcc = record.mcc.as_deref();
    Ok(CountingAttributes {
        on: record.on,
        shop: parse_field("shop", shop, |keys| keys.parse::<ShopIdentity>().ok())?,
        mcc: mcc.map(|mcc| parse_field("mcc", mcc, |mcc| Mcc::parse(mcc).ok())).transpose()?,
        category: parse_field("category", &record.category, |c| Category::parse(c).ok())?,
        kind: parse_field("kind", &record.kind, PurchaseKind::from_word)?,
        presence: parse_field("presence", &record.presence, Presence::from_word)?,
        abroad: if record.abroad { Abroad::Yes } else { Abroad::No },
        cash_back: Money::from_minor(record.cash_back, currency),
        atm_fee: Money::from_minor(record.atm_fee, currency),
        matched: parse_field("matched", &record.matched, |text| text.parse().ok())?,
    })
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes what it skips by reference")]
const fn is_none_captured(purchases: &u32) -> bool {
    *purchases == 0
}

fn permission_record(permission: &Permission, is_here: bool) -> PermissionRecord {
    PermissionRecord {
        id: permission.id.to_string(),
        scope: permission.scope.to_string(),
        cap: permission.cap.minor(),
        uses_left: permission.uses_left,
        given_at: permission.given_at,
        ends_at: permission.ends_at,
        giver: Some(permission.grantor)
            .filter(|grantor| *grantor != Grantor::People)
            .map(|grantor| grantor.word().to_owned()),
        open: permission.uses.as_ref().map(|uses| uses.open.minor()),
        captured: permission.uses.as_ref().map_or(0, |uses| uses.captured),
        here: is_here,
    }
}

fn permission(
    record: &PermissionRecord,
    currency: Currency,
) -> Result<Permission, UnreadableFacts> {
    Ok(Permission {
        id: parse_field("permission", &record.id, |text| text.parse().ok())?,
        scope: parse_field("scope", &record.scope, |text| text.parse().ok())?,
        cap: Money::from_minor(record.cap, currency),
        uses_left: record.uses_left,
        given_at: record.given_at,
        ends_at: record.ends_at,
        grantor: match &record.giver {
            Some(word) => parse_field("giver", word, Grantor::from_word)?,
            None => Grantor::People,
        },
        uses: record.open.map(|open| PermissionUsage {
            open: Money::from_minor(open, currency),
            open_at: BTreeMap::new(),
            captured: record.captured,
        }),
    })
}

fn parse_field<T>(
    field: &'static str,
    text: &str,
    read: impl FnOnce(&str) -> Option<T>,
) -> Result<T, UnreadableFacts> {
    read(text).ok_or_else(|| UnreadableFacts::Value { field, found: text.to_owned() })
}
