//! Why a purchase is not paid. The names are stable: they are stored, counted, sent and worded.

use jiff::Timestamp;
use jiff::civil::Date;

use crate::domain::agreement::Hours;
use crate::domain::decision::reason_code::ReasonCode;
use crate::domain::money::Money;
use crate::domain::shop::merchant::Category;
use crate::domain::time::period::Period;

/// A reason with what a person needs to understand it.
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
    /// No stream of this person may pay for the category.
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
    /// Nobody knows what kind of shop it is, and the list says ask or no about that.
    Unsorted,
    CashOff,
    CashBackOff,
    OnlineOff,
    AbroadOff,
    OutsideHours {
        hours: Hours,
    },
    /// A permission was given, and has been used.
    OkUsed,
    /// A permission was given, and earlier holds leave too little of it. None of them was captured:
    /// it may come back.
    OkHeld {
        held: Money,
    },
    /// A permission was given, and its time has run out.
    OkOver {
        ended_at: Timestamp,
    },
    /// A permission was given for less than this.
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
        /// What the person holds back themselves. Nobody else reads of it.
        held_back: Money,
    },
    /// There is more, and it comes later: this much on this local day.
    NotYet {
        left: Money,
        comes: Money,
        on: Date,
    },
    /// The same reference came before with other content.
    Conflict,
    /// We did not answer in time, or could not record the answer.
    OurFault,
}

impl DeclineReason {
    /// The stable code: in the database, in metrics, in the issuer's metadata, in the catalogue.
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
