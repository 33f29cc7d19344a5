//! Declines by the issuer itself, before it sent us a request or although we approved.

use crate::domain::money::Money;
use crate::domain::stored_enum::stored_enum;

stored_enum!(
    /// The issuer's reason for its own decline, mapped to our categories.
    IssuerDeclineReason {
        /// A PIN, security code or date did not match.
        Mismatch => "did_not_match",
        /// Too many wrong PINs.
        PinBlocked => "pin_blocked",
        /// The card or its account is not active at the issuer.
        CardNotActive => "card_not_active",
        /// The issuer requires another way of paying, such as PIN or chip.
        OtherWay => "other_way",
        /// Suspected fraud.
        Suspicion => "suspicion",
        /// The programme's funds at the issuer were insufficient.
        NoMoneyThere => "no_money_there",
        /// A rule at the issuer.
        Rule => "rule",
        /// We did not answer in time.
        OurFault => "our_fault",
        /// No reason, or one that is not mapped.
        Unknown => "unknown",
    }
);

/// An authorisation request that the issuer declined itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IssuerDecline {
    /// The requested amount.
    pub asked: Money,
    pub why: IssuerDeclineReason,
    /// Whether we had approved the request.
    pub was_approved_by_us: bool,
}
