//! Request bodies that change a list: its terms, and how they were agreed.

use std::collections::BTreeMap;

use jiff::civil::{Date, Time};
use serde::Deserialize;
use utoipa::ToSchema;

use super::extract::check_words;
use crate::domain::agreement::change::{List, TERMS_MAX, TermKey};
use crate::domain::agreement::proposal::{ConsentChannel, ConsentGranularity, ConsentSession};
use crate::domain::agreement::{Decider, Hours, Scope, Term, TermAnswer, TermDraft};
use crate::domain::id::PotId;
use crate::domain::money::limit::Limit;
use crate::domain::money::{Currency, Money};
use crate::domain::shop::table::ShopTable;
use crate::domain::time::period::Period;
use crate::people::agreements::ProposalRequest;
use crate::people::members::UseCaseError;
use crate::web::problem::{ApiError, FieldProblem};

/// Maximum number of limits of a term: an amount per purchase, and an amount and a count for each
/// of four periods.
const LIMITS_PER_TERM_MAX: usize = 9;

/// A change of the list in force, with its reason.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewChange {
    /// The version that it changes. If another version is in force, nothing is proposed (409).
    #[schema(minimum = 1)]
    pub(super) version: u32,
    /// Terms to add. Each replaces an existing term about the same thing.
    #[serde(default)]
    #[schema(max_items = 200)]
    set: Vec<NewTerm>,
    /// What no term is to be about any more, such as `category:phone`.
    #[serde(default)]
    #[schema(max_items = 200)]
    remove: Vec<String>,
    /// Whether purchases may be paid in part; left out: as before.
    #[schema(nullable = false)]
    partial: Option<bool>,
    /// All pots, in the order in which they pay; left out: as before.
    #[schema(nullable = false)]
    pots: Option<Vec<String>>,
    /// The reason, in words that the person reads.
    #[schema(min_length = 1, max_length = 500)]
    words: String,
    /// Whether the other side may agree to a part of it only.
    #[serde(default)]
    in_parts: bool,
    session: NewSession,
}

/// How, where and with whom somebody agreed.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewSession {
    /// `own_phone`, `own_page` or `in_person`.
    #[schema(pattern = "^(own_phone|own_page|in_person)$")]
    how: String,
    #[schema(min_length = 1, max_length = 500)]
    place: String,
    #[schema(maximum = 1440)]
    minutes: u32,
    /// Who else was present.
    #[schema(nullable = false, min_length = 1, max_length = 500)]
    present: Option<String>,
}

/// One line of a list.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewTerm {
    /// `category:food`, `code:5541`, `gate:cash`, `everything_else`, `everything`, or `shop:` and a
    /// key. A shop can be named by `shop` or `bought` instead.
    #[schema(
        nullable = false,
        pattern = "^(category:[a-z0-9-]{1,24}|shop:[0-9a-f]{64}([+][0-9a-f]{64})?|code:[0-9]{4}|\
                   gate:[a-z_]{4,9}|everything|everything_else)$"
    )]
    on: Option<String>,
    /// The name of the shop that the term is about.
    #[schema(nullable = false, min_length = 1, max_length = 500)]
    shop: Option<String>,
    /// A purchase (`pur_…` or `dec_…`) at the shop that the term is about.
    #[schema(nullable = false, min_length = 1, max_length = 200)]
    bought: Option<String>,
    /// `yes`, `ask` or `no`.
    #[schema(pattern = "^(yes|ask|no)$")]
    answer: String,
    /// At most one amount and one count for each period.
    #[serde(default)]
    #[schema(max_items = 9)]
    limits: Vec<NewLimit>,
    #[schema(nullable = false)]
    hours: Option<NewHours>,
    /// `person`, `together` or `worker`; left out: `together`.
    #[schema(nullable = false, pattern = "^(person|together|worker)$")]
    decides: Option<String>,
    #[schema(nullable = false, min_length = 1, max_length = 500)]
    reason: Option<String>,
    #[schema(nullable = false, value_type = Option<String>, format = Date)]
    review_on: Option<Date>,
    /// For how many days the person's own restriction still holds after they ask to lift it.
    #[schema(nullable = false, maximum = 366)]
    cooling_days: Option<u32>,
}

/// A maximum: an amount, or a number of purchases.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewLimit {
    /// `purchase`, `day`, `week`, `month` or `agreement`.
    #[schema(pattern = "^(purchase|day|week|month|agreement)$")]
    per: String,
    /// In minor units.
    #[schema(nullable = false, minimum = 0)]
    amount: Option<i64>,
    #[schema(nullable = false)]
    count: Option<u32>,
}

#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewHours {
    #[schema(value_type = String, pattern = "^([01][0-9]|2[0-3]):[0-5][0-9]$")]
    from: Time,
    #[schema(value_type = String, pattern = "^([01][0-9]|2[0-3]):[0-5][0-9]$")]
    to: Time,
}

/// A 422 response about one field of the body.
pub(super) fn invalid_field(field: &str, what: impl Into<String>) -> ApiError {
    ApiError::Invalid(vec![FieldProblem::of(field, what.into())])
}

impl NewChange {
    /// Refuses more terms or limits than a list can have, before any of them is parsed.
    pub(super) fn check_bounds(&self) -> Result<(), ApiError> {
        let most = format!("at most {TERMS_MAX}: a list has no more");
        if self.set.len() > TERMS_MAX {
            return Err(invalid_field("set", most));
        }
        if self.remove.len() > TERMS_MAX {
            return Err(invalid_field("remove", most));
        }
        let has_too_many_limits =
            self.set.iter().any(|term| term.limits.len() > LIMITS_PER_TERM_MAX);
        if has_too_many_limits {
            Err(invalid_field("set/limits", format!("at most {LIMITS_PER_TERM_MAX}")))
        } else {
            Ok(())
        }
    }

    /// The reason, as written.
    pub(super) fn words(&self) -> &str {
        &self.words
    }

    /// Identifiers of purchases by which terms refer to a shop.
    pub(super) fn bought(&self) -> impl Iterator<Item = &str> {
        self.set.iter().filter_map(|term| term.bought.as_deref())
    }

    /// Parses the change and checks all that does not depend on the list in force, before anything
    /// is locked.
    pub(super) fn read(
        &self,
        currency: Currency,
        shops: &ShopTable,
        bought: &BTreeMap<String, Scope>,
    ) -> Result<ParsedChange, ApiError> {
        let term = |term: &NewTerm| term.read(currency, term.scope(shops, bought)?);
        let set = self.set.iter().map(term).collect::<Result<_, _>>()?;
        let scope = |text: &String| {
            text.parse::<Scope>().map_err(|error| invalid_field("remove", error.to_string()))
        };
        let pot = |text: &String| {
            text.parse::<PotId>().map_err(|_| invalid_field("pots", "there is no such pot"))
        };
        let pots = self.pots.as_ref().map(|pots| pots.iter().map(pot).collect());
        Ok(ParsedChange {
            version: self.version,
            set,
            remove: self.remove.iter().map(scope).collect::<Result<_, _>>()?,
            partial: self.partial,
            pots: pots.transpose()?,
            words: check_words("words", &self.words)?,
            parts: if self.in_parts {
                ConsentGranularity::Parts
            } else {
                ConsentGranularity::Whole
            },
            session: self.session.read()?,
        })
    }
}

/// A parsed change. [`ParsedChange::apply_to`] applies it to the list in force, which is known only
/// once the budget is locked.
#[derive(Debug, Clone)]
pub(super) struct ParsedChange {
    pub(super) version: u32,
    set: Vec<Term>,
    remove: Vec<Scope>,
    partial: Option<bool>,
    pots: Option<Vec<PotId>>,
    pub(super) words: String,
    pub(super) parts: ConsentGranularity,
    pub(super) session: ConsentSession,
}

impl ParsedChange {
    /// Applies the change to the list `now`.
    ///
    /// # Errors
    ///
    /// [`UseCaseError::Invalid`] when `pots` does not name every pot once.
    pub(super) fn apply_to(&self, now: &List) -> Result<List, UseCaseError> {
        let mut list = now.clone();
        for term in &self.set {
            list.terms.retain(|known| known.scope() != term.scope());
            list.terms.push(term.clone());
        }
        list.terms.retain(|term| !self.remove.contains(term.scope()));
        list.partial = self.partial.unwrap_or(list.partial);
        if let Some(order) = &self.pots {
            let is_whole = order.len() == list.pots.len()
                && list.pots.iter().all(|pot| order.contains(&pot.id));
            if !is_whole {
                return Err(UseCaseError::invalid("pots", "name every pot once"));
            }
            list.pots.sort_by_key(|pot| order.iter().position(|id| *id == pot.id));
        }
        Ok(list)
    }

    /// The request that proposes `list` with the words and the consent of this change.
    pub(super) fn proposing(&self, list: List) -> ProposalRequest {
        let Self { words, parts, session, .. } = self;
        ProposalRequest { list, words: words.clone(), parts: *parts, session: session.clone() }
    }
}

impl NewSession {
    pub(super) fn read(&self) -> Result<ConsentSession, ApiError> {
        let how = ConsentChannel::from_word(&self.how);
        let present = self.present.as_ref().map(|present| check_words("session/present", present));
        Ok(ConsentSession {
            how: how.ok_or_else(|| {
                invalid_field("session/how", "use own_phone, own_page or in_person")
            })?,
            place: check_words("session/place", &self.place)?,
            minutes: self.minutes,
            present: present.transpose()?.unwrap_or_default(),
        })
    }
}

impl NewTerm {
    /// What the term is about, named by exactly one of `on`, `shop` and `bought`.
    fn scope(
        &self,
        shops: &ShopTable,
        bought: &BTreeMap<String, Scope>,
    ) -> Result<Scope, ApiError> {
        let unknown = || invalid_field("set/on", "name what it is about");
        match (&self.on, &self.shop, &self.bought) {
            (Some(on), None, None) => on.parse().map_err(|_| unknown()),
            (None, Some(name), None) => {
                let key = shops.key_of(&check_words("set/shop", name)?);
                key.map(Scope::Shop)
                    .ok_or_else(|| invalid_field("set/shop", "write the name of the shop"))
            }
            (None, None, Some(purchase)) => bought.get(purchase).cloned().ok_or_else(unknown),
            (_, _, _) => Err(invalid_field("set/on", "name one of: on, shop, bought")),
        }
    }

    fn read(&self, currency: Currency, scope: Scope) -> Result<Term, ApiError> {
        let answer = TermAnswer::from_word(&self.answer);
        let decides = self.decides.as_deref().map_or(Some(Decider::Together), Decider::from_word);
        let limit = |limit: &NewLimit| limit.read(currency);
        let reason =
            self.reason.as_ref().map(|reason| check_words("set/reason", reason)).transpose()?;
        Term::new(TermDraft {
            scope,
            answer: answer.ok_or_else(|| invalid_field("set/answer", "use yes, ask or no"))?,
            limits: self.limits.iter().map(limit).collect::<Result<_, _>>()?,
            hours: self.hours.as_ref().map(|hours| Hours { from: hours.from, to: hours.to }),
            decides: decides
                .ok_or_else(|| invalid_field("set/decides", "use person, together or worker"))?,
            reason,
            review_on: self.review_on,
            cooling_days: self.cooling_days,
        })
        .map_err(|error| invalid_field("set", error.to_string()))
    }
}

impl NewLimit {
    fn read(&self, currency: Currency) -> Result<Limit, ApiError> {
        let per = Period::from_word(&self.per);
        let limit = match (per, self.amount, self.count) {
            (None, Some(minor), None) if self.per == "purchase" => {
                Limit::PerPurchase(Money::from_minor(minor, currency))
            }
            (Some(per), Some(minor), None) => {
                Limit::Amount { per, most: Money::from_minor(minor, currency) }
            }
            (Some(per), None, Some(most)) => Limit::Count { per, most },
            (_, _, _) => {
                let what = "name a period, and an amount or a count";
                return Err(invalid_field("set/limits", what));
            }
        };
        Ok(limit)
    }
}

/// Parses the parts of a list that an answer names.
pub(super) fn term_keys(
    parts: Option<&Vec<String>>,
) -> Result<Option<std::collections::BTreeSet<TermKey>>, ApiError> {
    let key =
        |text: &String| text.parse::<TermKey>().map_err(|e| invalid_field("parts", e.to_string()));
    parts.map(|parts| parts.iter().map(key).collect()).transpose()
}
