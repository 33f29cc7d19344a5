//! Decline reasons. Their codes are stable: they are stored, counted, sent and used as catalogue
//! keys.

use jiff::Timestamp;
use jiff::civil::Date;

use crate::domain::agreement::Hours;
use crate::domain::decision::reason_code::ReasonCode;
use crate::domain::money::Money;
use crate::domain::shop::merchant::Category;
use crate::domain::stored_enum::StoredEnum;
use crate::domain::time::period::Period;

impl StoredEnum for ReasonCode {
    const ALL: &'static [Self] = Self::ALL;

    fn word(self) -> &'static str {
        self.as_str()
    }
}

/// A decline reason, with the parameters that the person's text needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeclineReason {
    UnknownCard,
    NotStarted,
    FrozenSelf,
    FrozenStaff,
    CardLost,
    OldCard,
    Expired,
    Ended,
    Paused,
    /// The purchase is not in the programme's currency.
    OtherCurrency,
    /// None of the person's funding streams may pay for the category.
    FunderRule {
        category: Category,
    },
    PlaceOff,
    CategoryOff {
        category: Category,
    },
    CategoryAsk {
        category: Category,
    },
    /// The category is unknown, and the agreement answers ask or no for unsorted shops.
    Unsorted,
    CashOff,
    CashBackOff,
    OnlineOff,
    AbroadOff,
    OutsideHours {
        hours: Hours,
    },
    /// A permission was given and has been used.
    OkUsed,
    /// A permission was given, but earlier holds leave too little of it. None of them was captured,
    /// so that amount may become available again.
    OkHeld {
        held: Money,
    },
    /// A permission was given and has expired.
    OkOver {
        ended_at: Timestamp,
    },
    /// A permission was given for a smaller amount.
    OkSmall {
        cap: Money,
    },
    OverPurchase {
        limit: Money,
    },
    OverPeriod {
        period: Period,
        limit: Money,
        left: Money,
        until: Option<Date>,
    },
    TooMany {
        period: Period,
        limit: u32,
        until: Option<Date>,
    },
    NoMoney {
        left: Money,
        gap: Money,
        /// What the person holds back. Shown to the person only.
        held_back: Money,
    },
    /// The pots hold more, but it is released later: `comes` on the local day `on`.
    NotYet {
        left: Money,
        comes: Money,
        on: Date,
    },
    /// The same idempotency key was used before with other content, or the purchase reference
    /// belongs to another person's budget.
    Conflict,
    /// We did not answer in time, or could not record the decision.
    OurFault,
}

impl DeclineReason {
    /// The stable code: used in the database, in metrics, in issuer metadata and in the catalogue.
    pub const fn code(&self) -> ReasonCode {
        match self {
            Self::UnknownCard => ReasonCode::UnknownCard,
            Self::NotStarted => ReasonCode::NotStarted,
            Self::FrozenSelf => ReasonCode::FrozenSelf,
            Self::FrozenStaff => ReasonCode::FrozenStaff,
            Self::CardLost => ReasonCode::CardLost,
            Self::OldCard => ReasonCode::OldCard,
            Self::Expired => ReasonCode::Expired,
            Self::Ended => ReasonCode::Ended,
            Self::Paused => ReasonCode::Paused,
            Self::OtherCurrency => ReasonCode::OtherCurrency,
            Self::FunderRule { .. } => ReasonCode::FunderRule,
            Self::PlaceOff => ReasonCode::PlaceOff,
            Self::CategoryOff { .. } => ReasonCode::CategoryOff,
            Self::CategoryAsk { .. } => ReasonCode::CategoryAsk,
            Self::Unsorted => ReasonCode::Unsorted,
            Self::CashOff => ReasonCode::CashOff,
            Self::CashBackOff => ReasonCode::CashBackOff,
            Self::OnlineOff => ReasonCode::OnlineOff,
            Self::AbroadOff => ReasonCode::AbroadOff,
            Self::OutsideHours { .. } => ReasonCode::Hours,
            Self::OkUsed => ReasonCode::OkUsed,
            Self::OkHeld { .. } => ReasonCode::OkHeld,
            Self::OkOver { .. } => ReasonCode::OkOver,
            Self::OkSmall { .. } => ReasonCode::OkSmall,
            Self::OverPurchase { .. } => ReasonCode::OverPurchase,
            Self::OverPeriod { .. } => ReasonCode::OverPeriod,
            Self::TooMany { .. } => ReasonCode::TooMany,
            Self::NoMoney { .. } => ReasonCode::NoMoney,
            Self::NotYet { .. } => ReasonCode::NotYet,
            Self::Conflict => ReasonCode::Conflict,
            Self::OurFault => ReasonCode::OurFault,
        }
    }
}
