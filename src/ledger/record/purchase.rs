//! Stored rows of purchases and holds.

use jiff::Timestamp;
use jiff::civil::Date;

use super::column::{Added, Erasable};
use super::dispute::{disputes_from_text, disputes_text};
use super::purchase_extra::{add_extra, extra_text};
use super::row::{CanonicalHasher, CorruptRow, Digest, Value};
use super::table::{Record, record};
use crate::domain::agreement::Scope;
use crate::domain::decision::authorisation::{Presence, PurchaseKind};
use crate::domain::id::{
    BudgetId, CardToken, ConnectionId, IssuerReference, PotId, ProgrammeId, PurchaseId,
    PurchaseReference,
};
use crate::domain::money::limit::{Abroad, CountingAttributes};
use crate::domain::money::margin::{Margin, MarginPercent};
use crate::domain::money::{Currency, Money};
use crate::domain::purchase::dispute::Dispute;
use crate::domain::purchase::hold::Hold;
use crate::domain::purchase::position::{MessageKind, MessagePosition};
use crate::domain::purchase::presentment::AuthorisationStatus;
use crate::domain::purchase::{
    ApprovedIncrement, CaptureAnomalies, IncrementState, IssuerSnapshot, MerchantDescriptor,
    Purchase,
};
use crate::domain::shop::ShopIdentity;
use crate::domain::shop::merchant::{Category, Mcc};

record! {
    /// One row per purchase: its attributes, the issuer's reports and its amounts.
    pub struct PurchaseRow in "purchase" key(programme_id, connection_id, reference) {
        pub programme_id: ProgrammeId,
        pub connection_id: ConnectionId,
        pub reference: PurchaseReference,
        pub purchase_id: PurchaseId,
        pub budget_id: BudgetId,
        pub card: CardToken,
        pub currency: Currency,
        pub counted_on: Date,
        /// `None` if no key of the shop is known.
        pub shop: Option<ShopIdentity>,
        pub mcc: Option<Mcc>,
        pub category: Category,
        pub kind: PurchaseKind,
        pub presence: Presence,
        pub abroad: Abroad,
        pub cash_back_minor: i64,
        pub matched: Scope,
        pub place: Erasable<Option<String>>,
        pub place_digest: String,
        /// The approved increments, such as `0:1250:kept 1:500:withdrawn:okay_…`: sequence number,
        /// minor units, state, and the permission that was used.
        pub promises: String,
        /// The status in the latest snapshot; the next five columns are null without a snapshot.
        pub standing: Option<String>,
        /// The total of an open or closed authorisation.
        pub standing_minor: Option<i64>,
        pub word_at: Option<Timestamp>,
        pub word_answers: Option<u32>,
        pub word_over: Option<u8>,
        pub word_reference: Option<IssuerReference>,
        pub raised_minor: i64,
        pub lowered_minor: i64,
        pub captured_minor: i64,
        pub refunded_minor: i64,
        pub exposure_minor: i64,
        pub suspense_minor: i64,
        /// JSON; `None` without disputes.
        pub disputes: Option<String>,
        pub disputed_minor: i64,
        pub recovered_minor: i64,
        pub expires_at: Option<Timestamp>,
        /// `5:agreed`, or `5:held` once another currency is known; `None` without a margin.
        pub exchange_margin: Added<String>,
        /// The digits of the minor units; `None` without a fee.
        pub atm_fee_minor: Added<String>,
        /// Rarely used fields, as JSON; `None` if all have their defaults.
        pub extra: Added<String>,
    }
}

record! {
    /// One row per pot that a purchase draws on, in drain order.
    pub struct HoldRow in "hold" key(programme_id, purchase_id, pot_id) {
        pub programme_id: ProgrammeId,
        pub purchase_id: PurchaseId,
        pub pot_id: PotId,
        pub position: i64,
        pub budget_id: BudgetId,
        pub currency: Currency,
        pub held_minor: i64,
        pub captured_minor: i64,
        pub refunded_minor: i64,
    }
}

/// The row of `purchase`.
pub fn purchase_row(programme: &ProgrammeId, purchase: &Purchase) -> Vec<Value> {
    PurchaseRow::new(programme, purchase).into_row()
}

/// Parses a purchase without its holds; those are read from [`HoldRow`].
pub fn read_purchase(row: &[Value]) -> Result<Purchase, CorruptRow> {
    PurchaseRow::from_row(row)?.purchase()
}

impl PurchaseRow {
    /// The row of `purchase`.
    fn new(programme: &ProgrammeId, purchase: &Purchase) -> Self {
        let counted = &purchase.counted;
        let snapshot = purchase.snapshot.as_ref();
        let position = snapshot.map(|snapshot| &snapshot.position);
        Self {
            programme_id: programme.clone(),
            connection_id: purchase.connection.clone(),
            reference: purchase.reference.clone(),
            purchase_id: purchase.id,
            budget_id: purchase.budget.clone(),
            card: purchase.card.clone(),
            currency: purchase.currency,
            counted_on: counted.on,
            shop: Some(&counted.shop).filter(|shop| !shop.is_empty()).cloned(),
            mcc: counted.mcc,
            category: counted.category.clone(),
            kind: counted.kind,
            presence: counted.presence,
            abroad: counted.abroad,
            cash_back_minor: counted.cash_back.minor(),
            matched: counted.matched.clone(),
            place: Erasable(purchase.place.name.clone()),
            place_digest: purchase.place.digest.clone(),
            promises: increments_text(&purchase.increments),
            standing: snapshot.map(|snapshot| snapshot.status.word().to_owned()),
            standing_minor: snapshot.and_then(|s| s.status.total()).map(Money::minor),
            word_at: position.map(|position| position.at),
            word_answers: position.map(|position| position.answers),
            word_over: position.map(|position| position.over),
            word_reference: position.map(|position| position.reference.clone()),
            raised_minor: purchase.raised.minor(),
            lowered_minor: purchase.lowered.minor(),
            captured_minor: purchase.captured.minor(),
            refunded_minor: purchase.refunded.minor(),
            exposure_minor: purchase.exposure.minor(),
            suspense_minor: purchase.suspense.minor(),
            disputes: disputes_text(&purchase.disputes),
            disputed_minor: purchase.disputed.minor(),
            recovered_minor: purchase.recovered.minor(),
            expires_at: purchase.expires_at,
            exchange_margin: Added(margin_text(purchase.margin)),
            atm_fee_minor: Added(atm_fee_text(counted.atm_fee)),
            extra: Added(extra_text(purchase)),
        }
    }

    /// The purchase, without its holds; those are read from [`HoldRow`].
    ///
    /// # Errors
    ///
    /// [`CorruptRow`] when a text cannot be parsed, or only a part of a snapshot is there.
    pub fn purchase(self) -> Result<Purchase, CorruptRow> {
        let money = |minor| Money::from_minor(minor, self.currency);
        let atm_fee = self.atm_fee()?;
        let increments = self.increments()?;
        let snapshot = self.snapshot()?;
        let disputes = self.disputes()?;
        let margin = self.margin()?;
        let mut purchase = Purchase {
            id: self.purchase_id,
            budget: self.budget_id,
            connection: self.connection_id,
            reference: self.reference,
            card: self.card,
            currency: self.currency,
            counted: CountingAttributes {
                on: self.counted_on,
                shop: self.shop.unwrap_or_default(),
                mcc: self.mcc,
                category: self.category,
                kind: self.kind,
                presence: self.presence,
                abroad: self.abroad,
                cash_back: money(self.cash_back_minor),
                atm_fee,
                matched: self.matched,
            },
            place: MerchantDescriptor { name: self.place.0, digest: self.place_digest },
            increments,
            snapshot,
            raised: money(self.raised_minor),
            lowered: money(self.lowered_minor),
            captured: money(self.captured_minor),
            refunded: money(self.refunded_minor),
            holds: Vec::new(),
            exposure: money(self.exposure_minor),
            suspense: money(self.suspense_minor),
            disputes,
            disputed: money(self.disputed_minor),
            recovered: money(self.recovered_minor),
            expires_at: self.expires_at,
            margin,
            limit_back: money(0),
            captured_elsewhere: money(0),
            exchange: None,
            merchant_sums: None,
            most_held: money(0),
            anomalies: CaptureAnomalies::default(),
        };
        if let Some(extra) = self.extra.0
            && add_extra(&mut purchase, &extra).is_none()
        {
            let row = Self::new(&self.programme_id, &purchase);
            return Err(Self { extra: Added(Some(extra)), ..row }.corrupt("extra"));
        }
        Ok(purchase)
    }

    fn money(&self, minor: i64) -> Money {
        Money::from_minor(minor, self.currency)
    }

    fn atm_fee(&self) -> Result<Money, CorruptRow> {
        let Some(minor) = &self.atm_fee_minor.0 else { return Ok(self.money(0)) };
        let minor = minor.parse().map_err(|_| self.corrupt("atm_fee_minor"))?;
        Ok(self.money(minor))
    }

    fn increments(&self) -> Result<Vec<ApprovedIncrement>, CorruptRow> {
        increments_from_text(&self.promises, self.currency).ok_or_else(|| self.corrupt("promises"))
    }

    fn snapshot(&self) -> Result<Option<IssuerSnapshot>, CorruptRow> {
        let (word, at, answers, over, reference) = match (
            &self.standing,
            self.word_at,
            self.word_answers,
            self.word_over,
            &self.word_reference,
        ) {
            (None, None, None, None, None) => return Ok(None),
            (Some(word), Some(at), Some(answers), Some(over), Some(reference)) => {
                (word, at, answers, over, reference.clone())
            }
            (_, _, _, _, _) => return Err(self.corrupt("standing")),
        };
        let total = self.money(self.standing_minor.unwrap_or_default());
        let status =
            AuthorisationStatus::from_word(word, total).ok_or_else(|| self.corrupt("standing"))?;
        let kind = MessageKind::Updated;
        let position = MessagePosition { at, kind, answers, listed: 0, over, reference };
        Ok(Some(IssuerSnapshot { status, position }))
    }

    fn disputes(&self) -> Result<Vec<Dispute>, CorruptRow> {
        let Some(text) = &self.disputes else { return Ok(Vec::new()) };
        disputes_from_text(text, self.currency).ok_or_else(|| self.corrupt("disputes"))
    }

    fn margin(&self) -> Result<Margin, CorruptRow> {
        let Some(text) = &self.exchange_margin.0 else { return Ok(Margin::NONE) };
        margin_from_text(text).ok_or_else(|| self.corrupt("exchange_margin"))
    }
}

/// The rows of the purchase's holds, in order.
pub fn hold_rows(programme: &ProgrammeId, purchase: &Purchase) -> Vec<Vec<Value>> {
    let row = |(position, hold): (i64, &Hold)| {
        let row = HoldRow {
            programme_id: programme.clone(),
            purchase_id: purchase.id,
            pot_id: hold.pot.clone(),
            position,
            budget_id: purchase.budget.clone(),
            currency: purchase.currency,
            held_minor: hold.held.minor(),
            captured_minor: hold.captured.minor(),
            refunded_minor: hold.refunded.minor(),
        };
        row.into_row()
    };
    (0..).zip(&purchase.holds).map(row).collect()
}

impl From<HoldRow> for Hold {
    fn from(row: HoldRow) -> Self {
        let money = |minor| Money::from_minor(minor, row.currency);
        Self {
            held: money(row.held_minor),
            captured: money(row.captured_minor),
            refunded: money(row.refunded_minor),
            pot: row.pot_id,
        }
    }
}

/// The digest that the chain records for a purchase: its row and the rows of its holds.
pub fn purchase_digest(purchase: &[Value], holds: &[Vec<Value>]) -> Digest {
    let mut canonical = CanonicalHasher::new("purchase with holds");
    canonical.row(PurchaseRow::TABLE, purchase);
    for hold in holds {
        canonical.row(HoldRow::TABLE, hold);
    }
    canonical.finish()
}

/// The digits of the minor units; `None` without a fee.
fn atm_fee_text(fee: Money) -> Option<String> {
    (!fee.is_zero()).then(|| fee.minor().to_string())
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
