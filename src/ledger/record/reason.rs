//! Decline reasons with their parameters as JSON, for recorded responses and message parameters
//! alike.

use jiff::civil::{Date, Time};
use serde_json::{Map, Value, json};

use crate::domain::agreement::Hours;
use crate::domain::decision::reason::DeclineReason;
use crate::domain::decision::reason_code::ReasonCode;
use crate::domain::money::Money;
use crate::domain::shop::merchant::Category;
use crate::domain::time::period::Period;

/// An amount as JSON: `{"minor": 1250, "currency": "GBP"}`.
pub fn money_value(money: Money) -> Value {
    json!({"minor": money.minor(), "currency": money.currency().code()})
}

/// The code of `reason` as `reason`, and each parameter under its own name.
pub fn reason_map(reason: &DeclineReason) -> Map<String, Value> {
    let mut map = Map::new();
    let mut put = |name: &str, value: Value| drop(map.insert(name.to_owned(), value));
    put("reason", reason.code().as_str().into());
    match reason {
        DeclineReason::FunderRule { category }
        | DeclineReason::CategoryOff { category }
        | DeclineReason::CategoryAsk { category } => put("category", category.as_str().into()),
        DeclineReason::OutsideHours { hours } => {
            put("from", hours.from.to_string().into());
            put("to", hours.to.to_string().into());
        }
        DeclineReason::OkOver { ended_at } => put("ended_at", ended_at.to_string().into()),
        DeclineReason::OkHeld { held } => put("held", money_value(*held)),
        DeclineReason::OkSmall { cap } => put("cap", money_value(*cap)),
        DeclineReason::OverPurchase { limit } => put("limit", money_value(*limit)),
        DeclineReason::OverPeriod { period, limit, left, until } => {
            put("period", period.word().into());
            put("limit", money_value(*limit));
            put("left", money_value(*left));
            if let Some(until) = until {
                put("until", until.to_string().into());
            }
        }
        DeclineReason::TooMany { period, limit, until } => {
            put("period", period.word().into());
            put("limit", json!(limit));
            if let Some(until) = until {
                put("until", until.to_string().into());
            }
        }
        DeclineReason::NoMoney { left, gap, held_back } => {
            put("left", money_value(*left));
            put("gap", money_value(*gap));
            if !held_back.is_zero() {
                put("held_back", money_value(*held_back));
            }
        }
        DeclineReason::NotYet { left, comes, on } => {
            put("left", money_value(*left));
            put("comes", money_value(*comes));
            put("on", on.to_string().into());
        }
        DeclineReason::UnknownCard
        | DeclineReason::NotStarted
        | DeclineReason::FrozenSelf
        | DeclineReason::FrozenStaff
        | DeclineReason::CardLost
        | DeclineReason::OldCard
        | DeclineReason::Expired
        | DeclineReason::Ended
        | DeclineReason::Paused
        | DeclineReason::OtherCurrency
        | DeclineReason::PlaceOff
        | DeclineReason::Unsorted
        | DeclineReason::CashOff
        | DeclineReason::CashBackOff
        | DeclineReason::OnlineOff
        | DeclineReason::AbroadOff
        | DeclineReason::OkUsed
        | DeclineReason::Conflict
        | DeclineReason::OurFault => {}
    }
    map
}

/// Parses the output of [`reason_map`]; `None` if the map is not in that form.
pub fn read_reason(map: &Map<String, Value>) -> Option<DeclineReason> {
    use DeclineReason as R;
    let fields = ReasonFields(map);
    Some(match ReasonCode::from_code(fields.text("reason")?)? {
        ReasonCode::UnknownCard => R::UnknownCard,
        ReasonCode::NotStarted => R::NotStarted,
        ReasonCode::FrozenSelf => R::FrozenSelf,
        ReasonCode::FrozenStaff => R::FrozenStaff,
        ReasonCode::CardLost => R::CardLost,
        ReasonCode::OldCard => R::OldCard,
        ReasonCode::Expired => R::Expired,
        ReasonCode::Ended => R::Ended,
        ReasonCode::Paused => R::Paused,
        ReasonCode::OtherCurrency => R::OtherCurrency,
        ReasonCode::FunderRule => R::FunderRule { category: fields.category()? },
        ReasonCode::PlaceOff => R::PlaceOff,
        ReasonCode::CategoryOff => R::CategoryOff { category: fields.category()? },
        ReasonCode::CategoryAsk => R::CategoryAsk { category: fields.category()? },
        ReasonCode::Unsorted => R::Unsorted,
        ReasonCode::CashOff => R::CashOff,
        ReasonCode::CashBackOff => R::CashBackOff,
        ReasonCode::OnlineOff => R::OnlineOff,
        ReasonCode::AbroadOff => R::AbroadOff,
        ReasonCode::Hours => {
            let time = |name| fields.text(name)?.parse::<Time>().ok();
            R::OutsideHours { hours: Hours { from: time("from")?, to: time("to")? } }
        }
        ReasonCode::OkUsed => R::OkUsed,
        ReasonCode::OkHeld => R::OkHeld { held: fields.money("held")? },
        ReasonCode::OkOver => R::OkOver { ended_at: fields.text("ended_at")?.parse().ok()? },
        ReasonCode::OkSmall => R::OkSmall { cap: fields.money("cap")? },
        ReasonCode::OverPurchase => R::OverPurchase { limit: fields.money("limit")? },
        ReasonCode::OverPeriod => R::OverPeriod {
            period: fields.period()?,
            limit: fields.money("limit")?,
            left: fields.money("left")?,
            until: fields.until()?,
        },
        ReasonCode::TooMany => R::TooMany {
            period: fields.period()?,
            limit: map.get("limit")?.as_u64()?.try_into().ok()?,
            until: fields.until()?,
        },
        ReasonCode::NoMoney => {
            let left = fields.money("left")?;
            let held_back = match map.get("held_back") {
                Some(_) => fields.money("held_back")?,
                None => Money::zero(left.currency()),
            };
            R::NoMoney { left, gap: fields.money("gap")?, held_back }
        }
        ReasonCode::NotYet => R::NotYet {
            left: fields.money("left")?,
            comes: fields.money("comes")?,
            on: fields.date("on")?,
        },
        ReasonCode::Conflict => R::Conflict,
        ReasonCode::OurFault => R::OurFault,
    })
}

struct ReasonFields<'a>(&'a Map<String, Value>);

impl ReasonFields<'_> {
    fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_str()
    }

    fn money(&self, name: &str) -> Option<Money> {
        let value = self.0.get(name)?;
        let currency = value.get("currency")?.as_str()?.parse().ok()?;
        Some(Money::from_minor(value.get("minor")?.as_i64()?, currency))
    }

    fn category(&self) -> Option<Category> {
        Category::parse(self.text("category")?).ok()
    }

    fn period(&self) -> Option<Period> {
        Period::from_word(self.text("period")?)
    }

    fn date(&self, name: &str) -> Option<Date> {
        self.text(name)?.parse().ok()
    }

    /// The last day of a period; `Some(None)` for the whole agreement, which has no last day.
    #[expect(clippy::option_option, reason = "absent is a value, unreadable is not")]
    fn until(&self) -> Option<Option<Date>> {
        match self.0.get("until") {
            Some(_) => self.date("until").map(Some),
            None => Some(None),
        }
    }
}
