//! Rarely used fields of a purchase, as JSON in one column. The column is null for a plain
//! approval, and rows from before the column existed keep their digest.

use serde::{Deserialize, Serialize};

use crate::domain::card::CardState;
use crate::domain::money::{Currency, Money};
use crate::domain::pot::PotPart;
use crate::domain::purchase::position::MessageKind;
use crate::domain::purchase::{CaptureAnomalies, MerchantSums, Purchase};
use crate::domain::shop::merchant::Mcc;

/// Amounts are in minor units. Field names are part of the stored form.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct PurchaseExtra {
    /// The kind of the latest snapshot, and the number of captures and refunds that it lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    word: Option<(String, u32)>,
    #[serde(skip_serializing_if = "is_zero")]
    limit_back: i64,
    #[serde(skip_serializing_if = "is_zero")]
    captured_elsewhere: i64,
    /// The pot and the amount.
    #[serde(skip_serializing_if = "Option::is_none")]
    exchange: Option<(String, i64)>,
    /// The merchant's currency, and the amounts captured and refunded in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    merchant: Option<(String, i64, i64)>,
    #[serde(skip_serializing_if = "is_zero")]
    most_held: i64,
    #[serde(skip_serializing_if = "is_false")]
    unlinked: bool,
    #[serde(skip_serializing_if = "is_false")]
    moved: bool,
    #[serde(skip_serializing_if = "is_false")]
    declined: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    stopped_card: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    other_kind: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    largest_captures: Vec<i64>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
const fn is_zero(number: &i64) -> bool {
    *number == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
const fn is_false(value: &bool) -> bool {
    !*value
}

/// The stored text; `None` if all fields have their defaults.
pub(super) fn extra_text(purchase: &Purchase) -> Option<String> {
    let anomalies = &purchase.anomalies;
    let position = purchase.snapshot.as_ref().map(|snapshot| &snapshot.position);
    let word = position.map(|position| (position.kind.word().to_owned(), position.listed));
    let merchant = purchase.merchant_sums.map(|MerchantSums { captured, refunded }| {
        (captured.currency().code().to_owned(), captured.minor(), refunded.minor())
    });
    let extra = PurchaseExtra {
        word: word.filter(|word| *word != default_position()),
        limit_back: purchase.limit_back.minor(),
        captured_elsewhere: purchase.captured_elsewhere.minor(),
        exchange: purchase.exchange.as_ref().map(|p| (p.pot.to_string(), p.amount.minor())),
        merchant,
        most_held: purchase.most_held.minor(),
        unlinked: anomalies.is_unlinked,
        moved: anomalies.is_moved,
        declined: anomalies.is_declined,
        stopped_card: anomalies.stopped_card.map(|state| state.word().to_owned()),
        other_kind: anomalies.other_kind.map(|mcc| mcc.to_string()),
        largest_captures: anomalies.largest_captures.iter().map(|c| c.minor()).collect(),
    };
    // A struct of strings and numbers always serialises.
    (extra != PurchaseExtra::default()).then(|| serde_json::to_string(&extra).unwrap_or_default())
}

/// Parses the column into `purchase`, whose other columns are already read.
pub(super) fn add_extra(purchase: &mut Purchase, text: &str) -> Option<()> {
    let extra: PurchaseExtra = serde_json::from_str(text).ok()?;
    let currency = purchase.currency;
    let money = |minor| Money::from_minor(minor, currency);
    if let Some(snapshot) = &mut purchase.snapshot {
        let (kind, listed) = extra.word.clone().unwrap_or_else(default_position);
        snapshot.position.kind = MessageKind::from_word(&kind)?;
        snapshot.position.listed = listed;
    }
    purchase.limit_back = money(extra.limit_back);
    purchase.captured_elsewhere = money(extra.captured_elsewhere);
    purchase.exchange = match extra.exchange.clone() {
        Some((pot, minor)) => Some(PotPart { pot: pot.parse().ok()?, amount: money(minor) }),
        None => None,
    };
    purchase.merchant_sums = match &extra.merchant {
        Some((currency, captured, refunded)) => {
            let currency: Currency = currency.parse().ok()?;
            let [captured, refunded] =
                [captured, refunded].map(|minor| Money::from_minor(*minor, currency));
            Some(MerchantSums { captured, refunded })
        }
        None => None,
    };
    purchase.most_held = money(extra.most_held);
    purchase.anomalies = CaptureAnomalies {
        is_unlinked: extra.unlinked,
        is_moved: extra.moved,
        is_declined: extra.declined,
        stopped_card: parse_optional(extra.stopped_card.as_deref(), CardState::from_word)?,
        other_kind: parse_optional(extra.other_kind.as_deref(), |text| Mcc::parse(text).ok())?,
        largest_captures: extra.largest_captures.iter().map(|minor| money(*minor)).collect(),
    };
    // Only the canonical text is accepted, because any other would have another digest.
    (extra_text(purchase).as_deref() == Some(text)).then_some(())
}

/// The position of rows from before these fields were stored.
fn default_position() -> (String, u32) {
    (MessageKind::Updated.word().to_owned(), 0)
}

/// `Some(None)` for an absent text; `None` for an invalid one, which makes the column invalid.
#[expect(clippy::option_option, reason = "unreadable, absent and present are three answers")]
fn parse_optional<T>(text: Option<&str>, parse: impl Fn(&str) -> Option<T>) -> Option<Option<T>> {
    match text {
        Some(text) => parse(text).map(Some),
        None => Some(None),
    }
}
