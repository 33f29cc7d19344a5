//! When several purchases that were not paid are one matter: a shop that tries the same card again
//! and again is told of once, and counts once where somebody looks for what may be worth a talk.

use jiff::{SignedDuration, Timestamp};

use crate::domain::decision::authorisation::{AuthorisationRequest, Presence};
use crate::domain::id::CardToken;
use crate::domain::money::Money;
use crate::domain::shop::ShopIdentity;
use crate::domain::shop::merchant::Mcc;

/// A shop that charges by itself tries again for days; a person who stands at a till does not.
const REMOTE_WITHIN: SignedDuration = SignedDuration::from_hours(24);
/// At a till it is another purchase when it is another sum, or some time later.
const IN_PERSON_WITHIN: SignedDuration = SignedDuration::from_mins(10);

/// What makes two refusals the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeclineThread<'a> {
    pub card: &'a CardToken,
    /// The shop by its key; by the code of its kind where it has no name.
    pub shop: &'a str,
    /// The code of the reason that was told.
    pub reason: &'a str,
    pub presence: Presence,
    pub amount: Money,
}

/// A shop as a matter knows it: by its surest key, or by the code of its kind.
pub fn shop_of(shop: &ShopIdentity, mcc: Option<Mcc>) -> String {
    let key = shop.first().map(|key| key.to_string());
    let code = || mcc.map(|mcc| mcc.to_string());
    key.or_else(code).unwrap_or_default()
}

impl<'a> DeclineThread<'a> {
    /// What `request` was refused for.
    pub const fn of(request: &'a AuthorisationRequest, shop: &'a str, reason: &'a str) -> Self {
        let AuthorisationRequest { card, presence, amount, .. } = request;
        Self { card, shop, reason, presence: *presence, amount: *amount }
    }

    /// Equal for refusals of one matter, as far as they are near enough in time.
    pub fn thread_key(&self) -> String {
        let Self { card, shop, reason, presence, amount } = self;
        match presence {
            Presence::Remote => format!("remote {card} {reason} {shop}"),
            Presence::InPerson => {
                let code = amount.currency().code();
                format!("in person {card} {reason} {} {code} {shop}", amount.minor())
            }
        }
    }

    /// How long after the first of a matter another one is still the same.
    pub const fn within(&self) -> SignedDuration {
        match self.presence {
            Presence::Remote => REMOTE_WITHIN,
            Presence::InPerson => IN_PERSON_WITHIN,
        }
    }

    /// A matter that was first told of after this is the same at `at`.
    pub fn since(&self, at: Timestamp) -> Timestamp {
        at.checked_sub(self.within()).unwrap_or(Timestamp::MIN)
    }
}
