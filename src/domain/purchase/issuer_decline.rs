//! Why a card company refused a purchase by itself, before it asked us or although we approved.

use crate::domain::money::Money;
use crate::domain::people::role::stored_enum;

stored_enum!(
    /// What the card company says about its refusal, in our words.
    IssuerDeclineReason {
        /// A PIN, a security code or a date did not match.
        Mismatch => "did_not_match",
        /// Too many wrong PINs.
        PinBlocked => "pin_blocked",
        /// The card or its account is not active at the card company.
        CardNotActive => "card_not_active",
        /// The card company wants another way of paying: with a PIN, with the chip.
        OtherWay => "other_way",
        /// It looked like somebody else.
        Suspicion => "suspicion",
        /// The programme's money at the card company did not suffice.
        NoMoneyThere => "no_money_there",
        /// A rule at the card company.
        Rule => "rule",
        /// We did not answer in time.
        OurFault => "our_fault",
        /// It does not say why, or in a word that nobody here knows.
        Unknown => "unknown",
    }
);

/// A question that the card company refused by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IssuerDecline {
    /// What the shop asked for.
    pub asked: Money,
    pub why: IssuerDeclineReason,
    /// Whether we had approved it.
    pub is_after_our_yes: bool,
}
