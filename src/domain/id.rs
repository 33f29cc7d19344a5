//! Typed identifiers: one newtype per kind of entity, so that a card cannot be passed as a hold.
//!
//! Entities that are named in a programme's file (programmes, people, pots) have a readable
//! [slug](ParseSlugError). Recorded events (decisions, purchases, postings) have a UUID.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// The text is not a slug: 1 to 60 characters of `a-z`, `0-9` and `-`, the first a letter or a
/// digit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a name: use 1 to 60 of a-z, 0-9 and -, starting with a letter or digit")]
pub struct ParseSlugError {
    text: String,
}

/// The text is not the expected prefix followed by `_` and a UUID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an identifier of the form {expected}_<32 hex digits>")]
pub struct ParseIdError {
    expected: &'static str,
}

fn is_slug(text: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    (1..=60).contains(&text.len())
        && text.bytes().all(|byte| is_word(byte) || byte == b'-')
        && text.bytes().next().is_some_and(is_word)
}

/// Gives an identifier that wraps a text its `as_str` and its `Display`.
macro_rules! text_id {
    ($name:ident) => {
        impl $name {
            /// The identifier as text, unchanged.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

/// Declares an identifier that people choose: a slug.
macro_rules! slug {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Arc<str>);

        text_id!($name);

        impl FromStr for $name {
            type Err = ParseSlugError;

            fn from_str(text: &str) -> Result<Self, ParseSlugError> {
                if is_slug(text) {
                    Ok(Self(Arc::from(text)))
                } else {
                    Err(ParseSlugError { text: text.chars().take(80).collect() })
                }
            }
        }
    };
}

/// Declares a generated identifier, printed as `prefix_<32 hex digits>`: a UUID, mostly version 7
/// (time-ordered).
macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(uuid::Uuid);

        impl $name {
            /// Wraps `uuid`. The caller generates it, because the domain has neither a clock nor
            /// randomness.
            pub const fn new(uuid: uuid::Uuid) -> Self {
                Self(uuid)
            }

            /// The UUID inside.
            pub const fn uuid(self) -> uuid::Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "_{}"), self.0.simple())
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                text.strip_prefix(concat!($prefix, "_"))
                    .and_then(|hex| uuid::Uuid::try_parse(hex).ok())
                    .map(Self)
                    .ok_or(ParseIdError { expected: $prefix })
            }
        }
    };
}

slug!(
    /// A programme, run by one organisation: the tenant, and the first column of every key.
    ProgrammeId
);
slug!(
    /// A programme's connection to one issuer. Unique in the deployment.
    ConnectionId
);
slug!(
    /// The person whose money it is: the cardholder. Unique in the programme.
    PersonId
);
slug!(
    /// A worker of the programme.
    WorkerId
);
slug!(
    /// An account of the programme, with one role.
    MemberId
);
slug!(
    /// A human being, who may have several accounts.
    HumanId
);
slug!(
    /// A funding stream of the programme.
    StreamId
);
slug!(
    /// A pot: one person's money from one funding stream. Unique in the budget.
    PotId
);
slug!(
    /// A load of money into a pot, named in the programme's file. Unique in the pot.
    LoadId
);

impl ConnectionId {
    /// Stands in a request that no issuer sent, such as a forecast. Never stored: a slug does not
    /// begin with `_`.
    pub fn unsent() -> Self {
        Self(Arc::from("_unsent"))
    }
}

/// All the pots of one person: the unit of locking, with its own hash chain.
///
/// A programme also has one *house* budget without pots, for postings that belong to no person.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BudgetId(Arc<str>);

impl BudgetId {
    const HOUSE: &str = "_house";

    /// The budget of `person`.
    pub fn of(person: &PersonId) -> Self {
        Self(Arc::clone(&person.0))
    }

    /// The programme's own budget. No person can have its identifier, because a slug does not
    /// contain `_`.
    pub fn house() -> Self {
        Self(Arc::from(Self::HOUSE))
    }

    /// Whether this is the programme's own budget.
    pub fn is_house(&self) -> bool {
        &*self.0 == Self::HOUSE
    }

    /// The person whose budget this is; none for the house.
    pub fn person(&self) -> Option<PersonId> {
        (!self.is_house()).then(|| PersonId(Arc::clone(&self.0)))
    }
}

text_id!(BudgetId);

impl FromStr for BudgetId {
    type Err = ParseSlugError;

    fn from_str(text: &str) -> Result<Self, ParseSlugError> {
        if text == Self::HOUSE { Ok(Self::house()) } else { text.parse().map(|id| Self::of(&id)) }
    }
}

id!(
    /// A recorded decision on one authorisation request.
    DecisionId, "dec"
);
id!(
    /// A purchase, from its first authorisation request or capture to its last refund.
    PurchaseId, "pur"
);
id!(
    /// A posting: one link of a budget's hash chain.
    PostingId, "pst"
);
id!(
    /// A permission: a one-off OK.
    PermissionId, "okay"
);
id!(
    /// An outbox message: a notification for somebody.
    MessageId, "msg"
);
id!(
    /// An exception: a discrepancy that the lifecycle could not explain.
    ExceptionId, "exc"
);
id!(
    /// A seal over all hash chains of a programme.
    SealId, "seal"
);
id!(
    /// A proposed next version of a list.
    ProposalId, "prop"
);
id!(
    /// A safety pause.
    PauseId, "pause"
);
id!(
    /// An ask: a request for a one-time OK.
    AskId, "ask"
);
id!(
    /// An appeal: a request that somebody else reviews a decision.
    AppealId, "look"
);
id!(
    /// A recorded action on a budget.
    ActId, "act"
);
id!(
    /// A record of who holds a card.
    CustodyId, "hand"
);
id!(
    /// A record of a safety talk.
    TalkId, "talk"
);
id!(
    /// A recorded view of a person's single purchases.
    LookId, "seen"
);

/// The issuer's identifier of one message: our idempotency key, with programme and connection.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IssuerReference(String);

/// The issuer's identifier of one purchase, shared by all messages about it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PurchaseReference(String);

/// The issuer's token of a card. We never see a card number (PAN).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CardToken(String);

/// The identifier is empty, longer than 200 bytes, or not printable ASCII without spaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an identifier must be 1 to 200 printable ASCII characters without spaces")]
pub struct ParseReferenceError;

macro_rules! reference {
    ($name:ident) => {
        text_id!($name);

        impl $name {
            /// Stands in a request that no issuer sent, such as a forecast. Never stored.
            pub fn unsent() -> Self {
                Self("-".to_owned())
            }
        }

        impl FromStr for $name {
            type Err = ParseReferenceError;

            fn from_str(text: &str) -> Result<Self, ParseReferenceError> {
                let fits = (1..=200).contains(&text.len());
                if fits && text.bytes().all(|byte| byte.is_ascii_graphic()) {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(ParseReferenceError)
                }
            }
        }
    };
}

reference!(IssuerReference);
reference!(PurchaseReference);
reference!(CardToken);

impl PurchaseReference {
    /// The reference of a presentment that is booked as a purchase of its own. References of
    /// messages and of purchases have the same format.
    pub fn of_presentment(presentment: &IssuerReference) -> Self {
        Self(presentment.0.clone())
    }

    /// The range `[first, end)` of the references of this purchase's authorisation requests, which
    /// every adapter names `{purchase}/{number}`.
    ///
    /// The range may also contain requests of another purchase whose own reference begins with
    /// `{purchase}/`.
    pub fn request_range(&self) -> (String, String) {
        // `0` follows `/` in ASCII.
        (format!("{self}/"), format!("{self}0"))
    }
}

impl IssuerReference {
    /// The reference `{purchase}/{sequence}` of one authorisation request; `sequence` is 0 for the
    /// first.
    ///
    /// For issuers that do not number requests, `sequence` is the number of answers that the
    /// purchase had before this one.
    ///
    /// # Errors
    ///
    /// [`ParseReferenceError`] when the result is longer than 200 bytes.
    pub fn of_authorisation(
        purchase: &PurchaseReference,
        sequence: u32,
    ) -> Result<Self, ParseReferenceError> {
        format!("{purchase}/{sequence}").parse()
    }

    /// The reference of an event that our own clock raised, so that no issuer message exists.
    pub fn own() -> Self {
        Self("sayso".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_are_short_plain_names() {
        for good in ["dee", "a", "2026-11-23", "riverside-stripe"] {
            assert_eq!(good.parse::<PersonId>().unwrap().as_str(), good);
        }
        for bad in ["", "Dee", "-dee", "_house", "d e", "é", &"a".repeat(61)] {
            assert!(bad.parse::<PersonId>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_house_is_nobodys_budget() {
        assert_eq!("_house".parse::<BudgetId>().unwrap(), BudgetId::house());
        assert_eq!(BudgetId::house().person(), None);
        let dee: PersonId = "dee".parse().unwrap();
        assert_eq!(BudgetId::of(&dee).person(), Some(dee));
    }

    #[test]
    fn made_identifiers_read_back() {
        let id = DecisionId::new(uuid::Uuid::from_u128(7));
        assert_eq!(id.to_string().parse(), Ok(id));
        assert!("pur_00000000000000000000000000000007".parse::<DecisionId>().is_err());
    }
}
