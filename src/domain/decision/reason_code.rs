//! The stable codes of decline reasons. This file uses only `std`, because the build script
//! includes it too and fails the build if a text catalogue lacks one of the texts in
//! `REASON_TEXTS` for a code.

macro_rules! reason_codes {
    ($($variant:ident => $code:literal,)+) => {
        /// The stable code of a [reason](crate::domain::decision::reason::DeclineReason).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum ReasonCode {
            $($variant,)+
        }

        impl ReasonCode {
            /// Every code.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The code as it is stored, counted and sent.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $code,)+
                }
            }

            /// Parses a stored code.
            pub fn from_code(code: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|known| known.as_str() == code)
            }
        }
    };
}

reason_codes! {
    UnknownCard => "unknown_card",
    NotStarted => "not_started",
    FrozenSelf => "frozen_self",
    FrozenStaff => "frozen_staff",
    CardLost => "card_lost",
    OldCard => "old_card",
    Expired => "expired",
    Ended => "ended",
    Paused => "paused",
    OtherCurrency => "other_currency",
    FunderRule => "funder_rule",
    PlaceOff => "place_off",
    CategoryOff => "category_off",
    CategoryAsk => "category_ask",
    Unsorted => "unsorted",
    CashOff => "cash_off",
    CashBackOff => "cash_back_off",
    OnlineOff => "online_off",
    AbroadOff => "abroad_off",
    Hours => "hours",
    OkUsed => "ok_used",
    OkHeld => "ok_held",
    OkOver => "ok_over",
    OkSmall => "ok_small",
    OverPurchase => "over_purchase",
    OverPeriod => "over_period",
    TooMany => "too_many",
    NoMoney => "no_money",
    NotYet => "not_yet",
    Conflict => "conflict",
    OurFault => "our_fault",
}
