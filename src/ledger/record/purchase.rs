//! Stored rows of purchases and holds.

use super::dispute::{disputes_from_text, disputes_text};
use super::purchase_extra::{add_extra, extra_text};
use super::row::{
    CanonicalHasher, CorruptRow, Digest, RowReader, Table, Value, columns, text_value,
};
use crate::domain::decision::authorisation::{Presence, PurchaseKind};
use crate::domain::id::{ProgrammeId, PurchaseId};
use crate::domain::money::limit::{Abroad, CountingAttributes};
use crate::domain::money::margin::{Margin, MarginPercent};
use crate::domain::money::{Currency, Money};
use crate::domain::purchase::hold::Hold;
use crate::domain::purchase::position::{MessageKind, MessagePosition};
use crate::domain::purchase::presentment::AuthorisationStatus;
use crate::domain::purchase::{
    ApprovedIncrement, CaptureAnomalies, IncrementState, IssuerSnapshot, MerchantDescriptor,
    Purchase,
};
use crate::domain::shop::ShopIdentity;
use crate::domain::shop::merchant::{Category, Mcc};

/// One row per purchase: its attributes, the issuer's reports and its amounts.
pub const PURCHASE: Table = Table {
    name: "purchase",
    columns: columns![
        Key "programme_id", Key "connection_id", Key "reference", Text "purchase_id",
        Text "budget_id", Text "card", Text "currency", Text "counted_on", Text "shop",
        Text "mcc", Text "category", Text "kind", Text "presence", Text "abroad",
        Number "cash_back_minor", Text "matched", Erasable "place", Text "place_digest",
        Text "promises", Text "standing", Number "standing_minor", Number "word_at",
        Number "word_answers", Number "word_over", Text "word_reference", Number "raised_minor",
        Number "lowered_minor",
        Number "captured_minor", Number "refunded_minor", Number "exposure_minor",
        Number "suspense_minor", Text "disputes", Number "disputed_minor",
        Number "recovered_minor", Number "expires_at", Added "exchange_margin",
        Added "atm_fee_minor", Added "extra",
    ],
};

/// One row per pot that a purchase draws on, in drain order.
pub const HOLD: Table = Table {
    name: "hold",
    columns: columns![
        Key "programme_id", Key "purchase_id", Key "pot_id", Number "position", Text "budget_id",
        Text "currency", Number "held_minor", Number "captured_minor", Number "refunded_minor",
    ],
};

/// The row of `purchase`.
pub fn purchase_row(programme: &ProgrammeId, purchase: &Purchase) -> Vec<Value> {
    let counted = &purchase.counted;
    let snapshot = purchase.snapshot.as_ref();
    let total = snapshot.and_then(|snapshot| snapshot.standing.total());
    vec![
        text_value(programme),
        text_value(&purchase.connection),
        text_value(&purchase.reference),
        text_value(purchase.id),
        text_value(&purchase.budget),
        text_value(&purchase.card),
        purchase.currency.code().into(),
        text_value(counted.on),
        Some(&counted.shop).filter(|shop| !shop.is_empty()).map(ToString::to_string).into(),
        counted.mcc.map(|mcc| mcc.to_string()).into(),
        counted.category.as_str().into(),
        counted.kind.word().into(),
        counted.presence.word().into(),
        abroad_word(counted.abroad).into(),
        counted.cash_back.into(),
        text_value(&counted.matched),
        purchase.place.name.clone().into(),
        purchase.place.digest.clone().into(),
        increments_text(&purchase.increments).into(),
        snapshot.map(|snapshot| snapshot.standing.word()).into(),
        total.into(),
        snapshot.map(|snapshot| snapshot.position.at).into(),
        snapshot.map(|snapshot| snapshot.position.answers).into(),
        snapshot.map(|snapshot| i64::from(snapshot.position.over)).into(),
        snapshot.map(|snapshot| snapshot.position.reference.to_string()).into(),
        purchase.raised.into(),
        purchase.lowered.into(),
        purchase.captured.into(),
        purchase.refunded.into(),
        purchase.exposure.into(),
        purchase.suspense.into(),
        disputes_text(&purchase.disputes).into(),
        purchase.disputed.into(),
        purchase.recovered.into(),
        purchase.expires_at.into(),
        margin_text(purchase.margin).into(),
        Some(counted.atm_fee)
            .filter(|fee| !fee.is_zero())
            .map(|fee| fee.minor().to_string())
            .into(),
        extra_text(purchase).into(),
    ]
}

/// Parses a purchase without its holds; those are read from [`HOLD`].
pub fn read_purchase(row: &[Value]) -> Result<Purchase, CorruptRow> {
    let mut reader = RowReader::new(&PURCHASE, row);
    let _programme: ProgrammeId = reader.parsed()?;
    let connection = reader.parsed()?;
    let reference = reader.parsed()?;
    let id = reader.parsed()?;
    let budget = reader.parsed()?;
    let card = reader.parsed()?;
    let currency: Currency = reader.parsed()?;
    let counted = CountingAttributes {
        on: reader.date()?,
        shop: reader
            .optional(|r| r.word(|text| text.parse::<ShopIdentity>().ok()))?
            .unwrap_or_default(),
        mcc: reader.optional(|r| r.word(|text| Mcc::parse(text).ok()))?,
        category: reader.word(|text| Category::parse(text).ok())?,
        kind: reader.word(PurchaseKind::from_word)?,
        presence: reader.word(Presence::from_word)?,
        abroad: reader.word(abroad_from_word)?,
        cash_back: reader.money(currency)?,
        atm_fee: Money::zero(currency),
        matched: reader.parsed()?,
    };
    let name = reader.optional(RowReader::text)?.map(str::to_owned);
    let place = MerchantDescriptor { name, digest: reader.text()?.to_owned() };
    let increments = reader.word(|text| increments_from_text(text, currency))?;
    let snapshot = read_snapshot(&mut reader, currency)?;
    let nothing = Money::zero(currency);
    let mut purchase = Purchase {
        id,
        budget,
        connection,
        reference,
        card,
        currency,
        counted,
        place,
        increments,
        snapshot,
        raised: reader.money(currency)?,
        lowered: reader.money(currency)?,
        captured: reader.money(currency)?,
        refunded: reader.money(currency)?,
        holds: Vec::new(),
        exposure: reader.money(currency)?,
        suspense: reader.money(currency)?,
        disputes: reader
            .optional(|r| r.word(|text| disputes_from_text(text, currency)))?
            .unwrap_or_default(),
        disputed: reader.money(currency)?,
        recovered: reader.money(currency)?,
        expires_at: reader.optional(RowReader::instant)?,
        margin: reader.optional(|r| r.word(margin_from_text))?.unwrap_or(Margin::NONE),
        limit_back: nothing,
        captured_elsewhere: nothing,
        exchange: None,
        merchant_sums: None,
        most_held: nothing,
        anomalies: CaptureAnomalies::default(),
    };
    if let Some(fee) = reader.optional(RowReader::parsed)? {
        purchase.counted.atm_fee = Money::from_minor(fee, currency);
    }
    if let Some(extra) = reader.optional(RowReader::text)? {
        add_extra(&mut purchase, extra).ok_or_else(|| reader.corrupt())?;
    }
    Ok(purchase)
}

fn read_snapshot(
    reader: &mut RowReader<'_>,
    currency: Currency,
) -> Result<Option<IssuerSnapshot>, CorruptRow> {
    let standing = reader.optional(RowReader::text)?.map(str::to_owned);
    let total = reader.optional(|r| r.money(currency))?;
    let Some(standing) = standing else {
        for _ in 0..4 {
            reader.expect_null()?;
        }
        return Ok(None);
    };
    let total = total.unwrap_or(Money::zero(currency));
    let standing =
        AuthorisationStatus::from_word(&standing, total).ok_or_else(|| reader.corrupt())?;
    let position = MessagePosition {
        at: reader.instant()?,
        kind: MessageKind::Updated,
        answers: reader.integer()?,
        listed: 0,
        over: reader.integer()?,
        reference: reader.parsed()?,
    };
    Ok(Some(IssuerSnapshot { standing, position }))
}

/// The rows of the purchase's holds, in order.
pub fn hold_rows(programme: &ProgrammeId, purchase: &Purchase) -> Vec<Vec<Value>> {
    let row = |(position, hold): (i64, &Hold)| {
        vec![
            text_value(programme),
            text_value(purchase.id),
            text_value(&hold.pot),
            position.into(),
            text_value(&purchase.budget),
            purchase.currency.code().into(),
            hold.held.into(),
            hold.captured.into(),
            hold.refunded.into(),
        ]
    };
    (0..).zip(&purchase.holds).map(row).collect()
}

/// Parses a hold, with the purchase that it belongs to.
pub fn read_hold(row: &[Value]) -> Result<(PurchaseId, Hold), CorruptRow> {
    let mut reader = RowReader::new(&HOLD, row);
    let _programme: ProgrammeId = reader.parsed()?;
    let purchase = reader.parsed()?;
    let pot = reader.parsed()?;
    let _position = reader.number()?;
    let _budget = reader.text()?;
    let currency: Currency = reader.parsed()?;
    let hold = Hold {
        pot,
        held: reader.money(currency)?,
        captured: reader.money(currency)?,
        refunded: reader.money(currency)?,
    };
    Ok((purchase, hold))
}

/// The digest that the chain records for a purchase: its row and the rows of its holds.
pub fn purchase_digest(purchase: &[Value], holds: &[Vec<Value>]) -> Digest {
    let mut canonical = CanonicalHasher::new("purchase with holds");
    canonical.row(&PURCHASE, purchase);
    for hold in holds {
        canonical.row(&HOLD, hold);
    }
    canonical.finish()
}

const fn abroad_word(abroad: Abroad) -> &'static str {
    match abroad {
        Abroad::No => "no",
        Abroad::Yes => "yes",
    }
}

fn abroad_from_word(word: &str) -> Option<Abroad> {
    [Abroad::No, Abroad::Yes].into_iter().find(|abroad| abroad_word(*abroad) == word)
}

/// The stored form: `5:agreed`, or `5:held` once another currency is known; `None` without a
/// margin.
fn margin_text(margin: Margin) -> Option<String> {
    let percent = Some(margin.percent()).filter(|percent| *percent != MarginPercent::NONE)?;
    let state = if margin.is_held() { "held" } else { "agreed" };
    Some(format!("{}:{state}", percent.number()))
}

fn margin_from_text(text: &str) -> Option<Margin> {
    let (percent, state) = text.split_once(':')?;
    let margin = Margin::agreed(MarginPercent::new(percent.parse().ok()?)?);
    let margin = match state {
        "agreed" => margin,
        "held" => margin.held(),
        _ => return None,
    };
    (margin_text(margin).as_deref() == Some(text)).then_some(margin)
}

/// The stored form, such as `0:1250:kept 1:500:withdrawn:okay_…`: sequence number, minor units,
/// state, and the permission that was used.
fn increments_text(increments: &[ApprovedIncrement]) -> String {
    let text = |increment: &ApprovedIncrement| {
        let state = match increment.state {
            IncrementState::Kept => "kept",
            IncrementState::Withdrawn => "withdrawn",
        };
        let permission = increment.permission.map(|id| format!(":{id}")).unwrap_or_default();
        format!("{}:{}:{state}{permission}", increment.sequence, increment.amount.minor())
    };
    increments.iter().map(text).collect::<Vec<_>>().join(" ")
}

fn increments_from_text(text: &str, currency: Currency) -> Option<Vec<ApprovedIncrement>> {
    let increment = |text: &str| {
        let mut parts = text.split(':');
        let sequence = parts.next()?.parse().ok()?;
        let amount = Money::from_minor(parts.next()?.parse().ok()?, currency);
        let state = match parts.next()? {
            "kept" => IncrementState::Kept,
            "withdrawn" => IncrementState::Withdrawn,
            _ => return None,
        };
        let permission = match parts.next() {
            Some(id) => Some(id.parse().ok()?),
            None => None,
        };
        parts.next().is_none().then_some(ApprovedIncrement { sequence, amount, permission, state })
    };
    text.split_ascii_whitespace().map(increment).collect()
}
