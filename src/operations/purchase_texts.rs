//! The state of a purchase in words, for the person, their worker and finance.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::json;

use super::explain::{Explanation, explain_one};
use super::purchases::{BudgetRef, PurchaseListError, PurchaseSummary, summary};
use crate::domain::id::WorkerId;
use crate::domain::money::Money;
use crate::domain::pot::PotPart;
use crate::domain::purchase::Purchase;
use crate::domain::purchase::dispute::DisputeOutcome;
use crate::domain::purchase::state::{PurchaseState, attributed_refunds};
use crate::ledger::record::decision::{DecisionOutcome, RecordedDecision};
use crate::messages::words::{Audience, PurchaseContext, PurchaseStateDetails, Words};
use crate::operations::explain::ExplainError;
use crate::programme::directory::{Directory, Programme};
use crate::store::{Store, Tx};

/// The state of a purchase in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PurchaseTexts {
    /// For the person.
    pub person: String,
    /// What the person can do next, if it was not paid.
    pub next: Option<String>,
    pub worker: String,
    pub finance: String,
    /// How much each pot gives, in the current state.
    pub parts: Vec<PotPart>,
}

/// A purchase with its texts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PurchaseExplanation {
    pub summary: PurchaseSummary,
    pub asked: Money,
    pub words: PurchaseTexts,
}

/// The purchases that `id` names, by our identifier or by the issuer's, with their texts.
pub async fn explain_purchases(
    store: &Store,
    directory: &Directory,
    id: &str,
) -> Result<Vec<PurchaseExplanation>, ExplainError> {
    let mut tx = store.snapshot().await?;
    let mut explanations = Vec::new();
    for (programme, purchase) in tx.find_purchases(id).await? {
        let settings = directory.latest_or_load(&programme).await?;
        let budget_ref = BudgetRef { programme: &settings, budget: &purchase.budget };
        let name = (programme, purchase.connection.clone(), purchase.reference.clone());
        if let Some(summary) = summary(&mut tx, budget_ref, name).await? {
            let words = texts_of(&mut tx, directory, &settings, &summary).await?;
            explanations.push(PurchaseExplanation {
                asked: summary.asked(&settings),
                summary,
                words,
            });
        }
    }
    tx.commit().await?;
    Ok(explanations)
}

/// The state of `summary` in words.
pub async fn texts_of(
    tx: &mut Tx,
    directory: &Directory,
    programme: &Programme,
    summary: &PurchaseSummary,
) -> Result<PurchaseTexts, PurchaseListError> {
    let explained = match decisive(summary) {
        Some(answer) => {
            let explained = explain_one(tx, directory, answer).await;
            Some(explained.map_err(Box::new)?)
        }
        None => None,
    };
    let state_details = state_details(summary, programme)?;
    let owner = tx.person(&summary.programme, &summary.budget).await?;
    let worker = owner.as_ref().and_then(|owner| owner.worker_id.parse::<WorkerId>().ok());
    let place = summary.place();
    let pot_names = BTreeMap::new();
    let purchase_context = PurchaseContext {
        person_name: owner.as_ref().map_or("", |owner| &owner.name),
        worker_name: worker.as_ref().map_or("", |worker| programme.worker_name(worker)),
        place: Some(place.as_str()).filter(|place| !place.is_empty()),
        ..PurchaseContext::bare(summary.asked(programme), programme.zone(), &pot_names)
    };
    let catalogue = Words::english();
    let text_for = |first: Option<&String>, audience| {
        let state_details = state_details.iter().map(|state_detail| {
            catalogue.purchase_state(state_detail, audience, &purchase_context)
        });
        first.cloned().into_iter().chain(state_details).collect::<Vec<_>>().join(" ")
    };
    let explained = explained.as_ref();
    Ok(PurchaseTexts {
        person: text_for(explained.map(|e| &e.person_text), Audience::Person),
        next: next(summary, explained),
        worker: text_for(explained.map(|e| &e.worker_text), Audience::Worker),
        finance: text_for(explained.map(|e| &e.finance_text), Audience::Finance),
        parts: parts(summary, explained)?,
    })
}

/// The decision whose own text begins the account, if any: why it was not paid, or what was paid.
fn decisive(summary: &PurchaseSummary) -> Option<&RecordedDecision> {
    let only = match summary.answers.as_slice() {
        [only] => Some(only),
        [] | [_, ..] => None,
    };
    match summary.state {
        PurchaseState::NotPaid if summary.refused.is_none() => summary.answers.last(),
        PurchaseState::Checked => {
            let is_check =
                |answer: &&RecordedDecision| matches!(answer.outcome, DecisionOutcome::Approved(_));
            summary.answers.iter().rev().find(is_check)
        }
        // Only if there is one decision, because each of several names only its own amount.
        PurchaseState::Held | PurchaseState::Paid => only,
        PurchaseState::NotPaid
        | PurchaseState::TakenBack
        | PurchaseState::Lowered
        | PurchaseState::ApprovedWithoutUs
        | PurchaseState::PartlyGivenBack
        | PurchaseState::GivenBack
        | PurchaseState::Expired
        | PurchaseState::Disputed
        | PurchaseState::Won
        | PurchaseState::Lost
        | PurchaseState::RefundWithoutPurchase => None,
    }
}

fn next(summary: &PurchaseSummary, explained: Option<&Explanation>) -> Option<String> {
    match summary.refused {
        Some(refused) => Some(Words::english().issuer_refused_next(refused.why)),
        None => explained?.next_text.clone(),
    }
}

/// What happened to the purchase after its decisive decision. Follows the text of that decision.
fn state_details(
    summary: &PurchaseSummary,
    programme: &Programme,
) -> Result<Vec<PurchaseStateDetails>, PurchaseListError> {
    let asked = summary.asked(programme);
    let Some(purchase) = &summary.purchase else { return Ok(Vec::new()) };
    let took = purchase.captured;
    let disputed = |outcome| {
        let found = purchase.disputes.iter().filter(move |dispute| dispute.outcome.0 == outcome);
        Money::sum(purchase.currency, found.map(|dispute| dispute.amount))
    };
    let state_detail = match summary.state {
        PurchaseState::NotPaid => {
            return Ok(summary
                .refused
                .map(PurchaseStateDetails::RefusedByIssuer)
                .into_iter()
                .collect());
        }
        PurchaseState::Checked => return Ok(Vec::new()),
        PurchaseState::TakenBack => PurchaseStateDetails::Withdrawn,
        PurchaseState::Held => held(purchase, programme)?,
        PurchaseState::Lowered => {
            let amount = purchase.requested_hold()?;
            PurchaseStateDetails::Lowered {
                amount,
                rest: purchase.approved_total()?.saturating_sub(amount)?,
            }
        }
        PurchaseState::Paid => return paid(summary, purchase, programme),
        PurchaseState::ApprovedWithoutUs if took.is_positive() => {
            PurchaseStateDetails::CapturedWithoutUs { amount: took }
        }
        PurchaseState::ApprovedWithoutUs => {
            PurchaseStateDetails::HeldWithoutUs { amount: purchase.requested_hold()? }
        }
        PurchaseState::PartlyGivenBack => {
            PurchaseStateDetails::Refunded { took, amount: attributed_refunds(purchase)? }
        }
        PurchaseState::GivenBack if took.is_positive() => {
            PurchaseStateDetails::Refunded { took, amount: attributed_refunds(purchase)? }
        }
        PurchaseState::GivenBack => PurchaseStateDetails::Released { amount: asked },
        PurchaseState::Expired => PurchaseStateDetails::Expired { amount: asked },
        PurchaseState::Disputed => {
            PurchaseStateDetails::Disputed { took, amount: disputed(DisputeOutcome::Open)? }
        }
        PurchaseState::Won => {
            PurchaseStateDetails::DisputeWon { took, amount: disputed(DisputeOutcome::Won)? }
        }
        PurchaseState::Lost => {
            PurchaseStateDetails::DisputeLost { took, amount: disputed(DisputeOutcome::Lost)? }
        }
        PurchaseState::RefundWithoutPurchase if purchase.suspense.is_positive() => {
            PurchaseStateDetails::InSuspense { amount: purchase.suspense }
        }
        PurchaseState::RefundWithoutPurchase => {
            PurchaseStateDetails::RefundWithoutPurchase { amount: purchase.refunded }
        }
    };
    Ok(vec![state_detail])
}

fn held(
    purchase: &Purchase,
    programme: &Programme,
) -> Result<PurchaseStateDetails, PurchaseListError> {
    let until = purchase.expires_at.map(|at| programme.zone().to_datetime(at).date());
    Ok(PurchaseStateDetails::Held { amount: purchase.requested_hold()?, until })
}

/// The captured amount, if the decision's own text does not name it, and the amount that is still
/// held.
fn paid(
    summary: &PurchaseSummary,
    purchase: &Purchase,
    programme: &Programme,
) -> Result<Vec<PurchaseStateDetails>, PurchaseListError> {
    let is_as_answered =
        summary.answers.len() == 1 && purchase.captured == purchase.approved_total()?;
    let taken =
        (!is_as_answered).then_some(PurchaseStateDetails::Captured { amount: purchase.captured });
    let more = purchase.requested_hold()?.is_positive();
    let held = more.then(|| held(purchase, programme)).transpose()?;
    Ok(taken.into_iter().chain(held).collect())
}

fn parts(
    summary: &PurchaseSummary,
    explained: Option<&Explanation>,
) -> Result<Vec<PotPart>, PurchaseListError> {
    let Some(purchase) = &summary.purchase else {
        return Ok(explained.map(|explained| explained.parts.clone()).unwrap_or_default());
    };
    let mut parts = Vec::new();
    for hold in &purchase.holds {
        let amount = hold.spent()?.checked_add(hold.held)?;
        if amount.is_positive() {
            parts.push(PotPart { pot: hold.pot.clone(), amount });
        }
    }
    Ok(parts)
}

impl PurchaseExplanation {
    pub fn to_json(&self) -> serde_json::Value {
        let Self { summary, asked, words } = self;
        let purchase = summary.purchase.as_ref();
        json!({
            "purchase": purchase.map(|purchase| purchase.id.to_string()),
            "at": summary.at.to_string(),
            "programme": summary.programme.to_string(),
            "connection": purchase.map(|purchase| purchase.connection.to_string()),
            "reference": purchase.map(|purchase| purchase.reference.to_string()),
            "person": summary.budget.person().map(|person| person.to_string()),
            "place": summary.place(),
            "currency": asked.currency().code(),
            "asked_minor": asked.minor(),
            "outcome": summary.state.outcome().word(),
            "state": summary.state.word(),
            "reasons": summary.reasons(),
            "captured_minor": purchase.map(|purchase| purchase.captured.minor()),
            "refunded_minor": purchase.map(|purchase| purchase.refunded.minor()),
            "person_text": words.person,
            "next_text": words.next,
            "worker_text": words.worker,
            "finance_text": words.finance,
        })
    }
}

impl fmt::Display for PurchaseExplanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { summary, asked, words } = self;
        let place = summary.place();
        let place = if place.is_empty() { "(no name)" } else { &place };
        if let Some(purchase) = &summary.purchase {
            writeln!(f, "{}  {}", purchase.id, summary.at)?;
            let (reference, connection) = (&purchase.reference, &purchase.connection);
            writeln!(f, "  purchase  {reference} ({connection} of {})", summary.programme)?;
        }
        let code = asked.currency().code();
        writeln!(f, "  asked     {} {code} by {place}, of {}", asked.major(), summary.budget)?;
        let reasons = summary.reasons().join(", ");
        let state = summary.state.word();
        if reasons.is_empty() {
            writeln!(f, "  stands    {state}")?;
        } else {
            writeln!(f, "  stands    {state} ({reasons})")?;
        }
        writeln!(f, "  person    {}", words.person)?;
        if let Some(next) = &words.next {
            writeln!(f, "            {next}")?;
        }
        writeln!(f, "  worker    {}", words.worker)?;
        writeln!(f, "  finance   {}", words.finance)
    }
}
