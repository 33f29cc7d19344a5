//! Typed identifiers: one newtype per kind of thing, so that a card can never be passed as a hold.
//!
//! Things that people name in a programme's file (programmes, people, pots) carry a readable
//! [slug](ParseSlugError); things that happen (decisions, purchases, postings) carry a UUIDv7.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// A name that is not 1 to 60 of `a-z`, `0-9` and `-`, starting with a letter or digit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a name: use 1 to 60 of a-z, 0-9 and -, starting with a letter or digit")]
pub struct ParseSlugError {
    text: String,
}

/// Text that is not the identifier it should be.
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

/// Declares an identifier that people choose: a slug.
macro_rules! slug {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

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

/// Declares an identifier that we make: a UUIDv7 (time-ordered), as `prefix_<32 hex digits>`.
macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(uuid::Uuid);

        impl $name {
            /// Wraps a UUID made elsewhere; the domain never makes its own.
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
    /// One scheme run by one organisation: the tenant, and the first column of every key.
    ProgrammeId
);
slug!(
    /// One programme's link to one issuer. Unique in the deployment.
    ConnectionId
);
slug!(
    /// The person whose money it is. Unique in the programme.
    PersonId
);
slug!(
    /// A worker of the programme.
    WorkerId
);
slug!(
    /// An account of the programme: somebody who may act.
    MemberId
);
slug!(
    /// A human being. One human being may have several accounts.
    HumanId
);
slug!(
    /// A funding stream of the programme.
    StreamId
);
slug!(
    /// One person's money from one stream. Unique in the budget.
    PotId
);
slug!(
    /// One load of money into a pot, as named by whoever planned it. Unique in the pot.
    LoadId
);

/// All the pots of one person: the unit that is locked, and that has its own hash chain.
///
/// A programme also has one *house* budget, without pots, for postings that belong to nobody.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BudgetId(Arc<str>);

impl BudgetId {
    const HOUSE: &str = "_house";

    /// The budget of `person`.
    pub fn of(person: &PersonId) -> Self {
        Self(Arc::clone(&person.0))
    }

    /// The programme's own budget. No person can have its name: `_` is not in a slug.
    pub fn house() -> Self {
        Self(Arc::from(Self::HOUSE))
    }

    /// Whether this is the programme's own budget.
    pub fn is_house(&self) -> bool {
        &*self.0 == Self::HOUSE
    }

    /// The identifier as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The person whose budget this is; none for the house.
    pub fn person(&self) -> Option<PersonId> {
        (!self.is_house()).then(|| PersonId(Arc::clone(&self.0)))
    }
}

impl fmt::Display for BudgetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for BudgetId {
    type Err = ParseSlugError;

    fn from_str(text: &str) -> Result<Self, ParseSlugError> {
        if text == Self::HOUSE { Ok(Self::house()) } else { text.parse().map(|id| Self::of(&id)) }
    }
}

id!(
    /// One recorded answer to one question of an issuer.
    DecisionId, "dec"
);
id!(
    /// One purchase, from its first question to its last refund.
    PurchaseId, "pur"
);
id!(
    /// One link of a budget's chain.
    PostingId, "pst"
);
id!(
    /// A one-off OK.
    PermissionId, "okay"
);
id!(
    /// Something that must be told to somebody.
    MessageId, "msg"
);
id!(
    /// Something that the lifecycle could not explain.
    ExceptionId, "exc"
);
id!(
    /// A seal over all chains of a programme.
    SealId, "seal"
);
id!(
    /// A next version of a list that somebody proposed.
    ProposalId, "prop"
);
id!(
    /// A pause for safety.
    PauseId, "pause"
);
id!(
    /// A question for a one-time OK.
    AskId, "ask"
);
id!(
    /// A wish that somebody else looks at a no.
    AppealId, "look"
);
id!(
    /// Something that somebody did about a budget.
    ActId, "act"
);
id!(
    /// A record of who has a card.
    CustodyId, "hand"
);
id!(
    /// A record of a talk about safety.
    TalkId, "talk"
);
id!(
    /// A look of somebody at a person's single purchases.
    LookId, "seen"
);

/// The issuer's identifier of one message: our idempotency key, with programme and connection.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IssuerReference(String);

/// The issuer's identifier of one purchase, shared by all messages about it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PurchaseReference(String);

/// The issuer's token of a card. We never see a card number.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CardToken(String);

/// An identifier from outside that is empty, longer than 200 bytes, or not printable ASCII.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an identifier must be 1 to 200 printable ASCII characters without spaces")]
pub struct ParseReferenceError;

macro_rules! reference {
    ($name:ident) => {
        impl $name {
            /// The identifier as the issuer spells it.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
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
    /// Between which references its questions are, the end excluded: every adapter names a question
    /// `{purchase}/{number}`.
    pub fn questions(&self) -> (String, String) {
        // `0` follows `/` in ASCII.
        (format!("{self}/"), format!("{self}0"))
    }
}

impl IssuerReference {
    /// The identifier of one question about a purchase, 0 for the first: issuers that number none
    /// get it from the number of answers that the purchase had by then.
    pub fn of_authorisation(
        purchase: &PurchaseReference,
        sequence: u32,
    ) -> Result<Self, ParseReferenceError> {
        format!("{purchase}/{sequence}").parse()
    }

    /// Stands where no issuer said anything: our own clock did.
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
