//! Groups repeated declines into threads, so that a shop that retries a card causes one
//! notification, and counts once in the signals that a worker looks at.

use jiff::{SignedDuration, Timestamp};

use crate::domain::decision::authorisation::{AuthorisationRequest, Presence};
use crate::domain::id::CardToken;
use crate::domain::money::Money;
use crate::domain::shop::ShopIdentity;
use crate::domain::shop::merchant::Mcc;

/// A shop that charges automatically retries for days.
const REMOTE_WITHIN: SignedDuration = SignedDuration::from_hours(24);
/// At a till, another amount or a longer gap means another purchase.
const IN_PERSON_WITHIN: SignedDuration = SignedDuration::from_mins(10);

/// The attributes that declines of one thread have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeclineThread<'a> {
    pub card: &'a CardToken,
    /// The key of the shop, or its MCC if it has none; see [`shop_of`].
    pub shop: &'a str,
    /// The code of the primary reason.
    pub reason: &'a str,
    pub presence: Presence,
    pub amount: Money,
}

/// Identifies a shop within a thread: its most reliable key, or its MCC if it has none.
pub fn shop_of(shop: &ShopIdentity, mcc: Option<Mcc>) -> String {
    let key = shop.first().map(|key| key.to_string());
    let code = || mcc.map(|mcc| mcc.to_string());
    key.or_else(code).unwrap_or_default()
}

impl<'a> DeclineThread<'a> {
    /// The thread of the decline of `request`.
    pub const fn of(request: &'a AuthorisationRequest, shop: &'a str, reason: &'a str) -> Self {
        let AuthorisationRequest { card, presence, amount, .. } = request;
        Self { card, shop, reason, presence: *presence, amount: *amount }
    }

    /// Equal for declines of one thread, if they are within [`Self::within`] of its first.
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

    /// How long after the first decline of a thread another one belongs to it.
    pub const fn within(&self) -> SignedDuration {
        match self.presence {
            Presence::Remote => REMOTE_WITHIN,
            Presence::InPerson => IN_PERSON_WITHIN,
        }
    }

    /// A decline at `at` belongs to a thread that started after this time.
    pub fn since(&self, at: Timestamp) -> Timestamp {
        at.checked_sub(self.within()).unwrap_or(Timestamp::MIN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::shop::merchant::Merchant;

    fn thread(card: &CardToken, presence: Presence, minor: i64) -> DeclineThread<'_> {
        let amount = Money::from_minor(minor, "GBP".parse().unwrap());
        DeclineThread { card, shop: "shop", reason: "no_money", presence, amount }
    }

    #[test]
    fn a_shop_is_its_first_key_or_else_its_code() {
        let mcc = Mcc::parse("5411").ok();
        let key = Merchant::new(mcc, "TESCO").shop_key().unwrap();
        assert_eq!(shop_of(&ShopIdentity::of([Some(key)]), mcc), key.to_string());
        assert_eq!(shop_of(&ShopIdentity::default(), mcc), "5411");
        assert_eq!(shop_of(&ShopIdentity::default(), None), "");
    }

    /// Online a retry may ask for another amount, for a day. At a till another amount is another
    /// purchase, and so is the same one ten minutes later.
    #[test]
    fn a_retry_belongs_to_the_thread_of_the_first_decline() {
        let card: CardToken = "ic_1".parse().unwrap();
        let key = |presence, minor| thread(&card, presence, minor).thread_key();
        assert_eq!(key(Presence::Remote, 5_00), key(Presence::Remote, 4_00));
        assert_ne!(key(Presence::InPerson, 5_00), key(Presence::InPerson, 4_00));
        assert_ne!(key(Presence::InPerson, 5_00), key(Presence::Remote, 5_00));
        let other: CardToken = "ic_2".parse().unwrap();
        assert_ne!(
            key(Presence::Remote, 5_00),
            thread(&other, Presence::Remote, 5_00).thread_key()
        );
        let at: Timestamp = "2026-11-23T10:00:00Z".parse().unwrap();
        let since = |presence| thread(&card, presence, 5_00).since(at).to_string();
        assert_eq!(since(Presence::Remote), "2026-11-22T10:00:00Z");
        assert_eq!(since(Presence::InPerson), "2026-11-23T09:50:00Z");
    }
}
