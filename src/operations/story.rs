//! A purchase in words: how it stands, for the person, their worker and finance.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::json;

use super::explain::{Explanation, explain_one};
use super::purchases::{ListError, PurchaseStory, Whose, story};
use crate::domain::id::WorkerId;
use crate::domain::money::Money;
use crate::domain::pot::PotPart;
use crate::domain::purchase::Purchase;
use crate::domain::purchase::dispute::Outcome as Found;
use crate::domain::purchase::state::{PurchaseState, came_back};
use crate::ledger::record::decision::{Outcome, RecordedDecision};
use crate::messages::words::{Audience, Situation, StoryEnd, Words};
use crate::operations::explain::ExplainError;
use crate::programme::directory::{Directory, Programme};
use crate::store::{Store, Tx};

/// How a purchase stands, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoryWords {
    /// For the person.
    pub person: String,
    /// What the person can do next, when it was not paid.
    pub next: Option<String>,
    pub worker: String,
    pub finance: String,
    /// What each pot gives, as it stands.
    pub parts: Vec<PotPart>,
}

/// A purchase with its words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToldStory {
    pub story: PurchaseStory,
    pub asked: Money,
    pub words: StoryWords,
}

/// The purchases that `id` names, by our identifier or by the issuer's, with their words.
pub async fn stories(
    store: &Store,
    directory: &Directory,
    id: &str,
) -> Result<Vec<ToldStory>, ExplainError> {
    let mut tx = store.snapshot().await?;
    let mut told = Vec::new();
    for (programme, purchase) in tx.purchases_called(id).await? {
        let settings = directory.at_hand(&programme).await?;
        let whose = Whose { programme: &settings, budget: &purchase.budget };
        let name = (programme, purchase.connection.clone(), purchase.reference.clone());
        if let Some(story) = story(&mut tx, whose, name).await.map_err(ExplainError::list)? {
            let words = words_of(&mut tx, directory, &settings, &story).await;
            let words = words.map_err(ExplainError::list)?;
            told.push(ToldStory { asked: story.asked(&settings), story, words });
        }
    }
    tx.commit().await?;
    Ok(told)
}

/// How `story` stands, in words.
pub async fn words_of(
    tx: &mut Tx,
    directory: &Directory,
    programme: &Programme,
    story: &PurchaseStory,
) -> Result<StoryWords, ListError> {
    let explained = match decisive(story) {
        Some(answer) => {
            let explained = explain_one(tx, directory, answer).await;
            Some(explained.map_err(Box::new)?)
        }
        None => None,
    };
    let ends = ends(story, programme)?;
    let owner = tx.person(&story.programme, &story.budget).await?;
    let worker = owner.as_ref().and_then(|owner| owner.worker.parse::<WorkerId>().ok());
    let place = story.place();
    let pot_names = BTreeMap::new();
    let situation = Situation {
        person_name: owner.as_ref().map_or("", |owner| &owner.name),
        worker_name: worker.as_ref().map_or("", |worker| programme.worker_name(worker)),
        place: Some(place.as_str()).filter(|place| !place.is_empty()),
        ..Situation::bare(story.asked(programme), programme.zone(), &pot_names)
    };
    let catalogue = Words::english();
    let tell = |first: Option<&String>, audience| {
        let ends = ends.iter().map(|end| catalogue.story_end(end, audience, &situation));
        first.cloned().into_iter().chain(ends).collect::<Vec<_>>().join(" ")
    };
    let explained = explained.as_ref();
    Ok(StoryWords {
        person: tell(explained.map(|e| &e.person_text), Audience::Person),
        next: next(story, explained),
        worker: tell(explained.map(|e| &e.worker_text), Audience::Worker),
        finance: tell(explained.map(|e| &e.finance_text), Audience::Finance),
        parts: parts(story, explained)?,
    })
}

/// The answer whose own words begin the story, if any do: why it was not paid, or what was paid.
fn decisive(story: &PurchaseStory) -> Option<&RecordedDecision> {
    let only = match story.answers.as_slice() {
        [only] => Some(only),
        [] | [_, ..] => None,
    };
    match story.state {
        PurchaseState::NotPaid if story.refused.is_none() => story.answers.last(),
        PurchaseState::Checked => {
            let is_check =
                |answer: &&RecordedDecision| matches!(answer.outcome, Outcome::Approved(_));
            story.answers.iter().rev().find(is_check)
        }
        // Of several, each would tell its own sum.
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

fn next(story: &PurchaseStory, explained: Option<&Explanation>) -> Option<String> {
    match story.refused {
        Some(refused) => Some(Words::english().issuer_refused_next(refused.why)),
        None => explained?.next_text.clone(),
    }
}

/// What became of it, behind the words of its decisive answer.
fn ends(story: &PurchaseStory, programme: &Programme) -> Result<Vec<StoryEnd>, ListError> {
    let asked = story.asked(programme);
    let Some(purchase) = &story.purchase else { return Ok(Vec::new()) };
    let took = purchase.captured;
    let disputed = |outcome| {
        let found = purchase.disputes.iter().filter(move |dispute| dispute.outcome.0 == outcome);
        Money::sum(purchase.currency, found.map(|dispute| dispute.amount))
    };
    let end = match story.state {
        PurchaseState::NotPaid => {
            return Ok(story.refused.map(StoryEnd::RefusedByIssuer).into_iter().collect());
        }
        PurchaseState::Checked => return Ok(Vec::new()),
        PurchaseState::TakenBack => StoryEnd::TakenBack,
        PurchaseState::Held => held(purchase, programme)?,
        PurchaseState::Lowered => {
            let amount = purchase.asked_hold()?;
            StoryEnd::Lowered { amount, rest: purchase.promised()?.saturating_sub(amount)? }
        }
        PurchaseState::Paid => return paid(story, purchase, programme),
        PurchaseState::ApprovedWithoutUs if took.is_positive() => {
            StoryEnd::TakenWithoutUs { amount: took }
        }
        PurchaseState::ApprovedWithoutUs => {
            StoryEnd::HeldWithoutUs { amount: purchase.asked_hold()? }
        }
        PurchaseState::PartlyGivenBack => StoryEnd::CameBack { took, amount: came_back(purchase)? },
        PurchaseState::GivenBack if took.is_positive() => {
            StoryEnd::CameBack { took, amount: came_back(purchase)? }
        }
        PurchaseState::GivenBack => StoryEnd::NotTaken { amount: asked },
        PurchaseState::Expired => StoryEnd::RanOut { amount: asked },
        PurchaseState::Disputed => StoryEnd::Disputed { took, amount: disputed(Found::Open)? },
        PurchaseState::Won => StoryEnd::Won { took, amount: disputed(Found::Won)? },
        PurchaseState::Lost => StoryEnd::Lost { took, amount: disputed(Found::Lost)? },
        PurchaseState::RefundWithoutPurchase if purchase.suspense.is_positive() => {
            StoryEnd::Aside { amount: purchase.suspense }
        }
        PurchaseState::RefundWithoutPurchase => StoryEnd::MoneyBack { amount: purchase.refunded },
    };
    Ok(vec![end])
}

fn held(purchase: &Purchase, programme: &Programme) -> Result<StoryEnd, ListError> {
    let until = purchase.expires_at.map(|at| programme.zone().to_datetime(at).date());
    Ok(StoryEnd::Held { amount: purchase.asked_hold()?, until })
}

/// What was taken, where the answer's own words do not say it, and what is still kept aside.
fn paid(
    story: &PurchaseStory,
    purchase: &Purchase,
    programme: &Programme,
) -> Result<Vec<StoryEnd>, ListError> {
    let is_as_answered = story.answers.len() == 1 && purchase.captured == purchase.promised()?;
    let taken = (!is_as_answered).then_some(StoryEnd::Taken { amount: purchase.captured });
    let more = purchase.asked_hold()?.is_positive();
    let held = more.then(|| held(purchase, programme)).transpose()?;
    Ok(taken.into_iter().chain(held).collect())
}

fn parts(
    story: &PurchaseStory,
    explained: Option<&Explanation>,
) -> Result<Vec<PotPart>, ListError> {
    let Some(purchase) = &story.purchase else {
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

impl ToldStory {
    /// The purchase as JSON.
    pub fn to_json(&self) -> serde_json::Value {
        let Self { story, asked, words } = self;
        let purchase = story.purchase.as_ref();
        json!({
            "purchase": purchase.map(|purchase| purchase.id.to_string()),
            "at": story.at.to_string(),
            "programme": story.programme.to_string(),
            "connection": purchase.map(|purchase| purchase.connection.to_string()),
            "reference": purchase.map(|purchase| purchase.reference.to_string()),
            "person": story.budget.person().map(|person| person.to_string()),
            "place": story.place(),
            "currency": asked.currency().code(),
            "asked_minor": asked.minor(),
            "outcome": story.state.outcome().word(),
            "state": story.state.word(),
            "reasons": story.reasons(),
            "captured_minor": purchase.map(|purchase| purchase.captured.minor()),
            "refunded_minor": purchase.map(|purchase| purchase.refunded.minor()),
            "person_text": words.person,
            "next_text": words.next,
            "worker_text": words.worker,
            "finance_text": words.finance,
        })
    }
}

impl fmt::Display for ToldStory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { story, asked, words } = self;
        let place = story.place();
        let place = if place.is_empty() { "(no name)" } else { &place };
        if let Some(purchase) = &story.purchase {
            writeln!(f, "{}  {}", purchase.id, story.at)?;
            let (reference, connection) = (&purchase.reference, &purchase.connection);
            writeln!(f, "  purchase  {reference} ({connection} of {})", story.programme)?;
        }
        let code = asked.currency().code();
        writeln!(f, "  asked     {} {code} by {place}, of {}", asked.major(), story.budget)?;
        let reasons = story.reasons().join(", ");
        let state = story.state.word();
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
