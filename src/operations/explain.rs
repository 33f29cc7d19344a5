//! Explains why a purchase was decided as it was. The texts come from the recorded decision. The
//! recorded facts are also decided again, by the version of the rules that decided, and must give
//! the same result.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use serde_json::json;

use crate::domain::card::CardState;
use crate::domain::decision::authorisation::{AuthorisationRequest, Decision, Facts};
use crate::domain::decision::decide::{VERSION, decide};
use crate::domain::decision::largest_payment::payable_rest;
use crate::domain::id::{
    BudgetId, ConnectionId, DecisionId, IssuerReference, PotId, ProgrammeId, PurchaseReference,
    WorkerId,
};
use crate::domain::money::Money;
use crate::domain::pot::PotPart;
use crate::domain::shop::home::UnknownCountry;
use crate::ledger::book::{Card, LedgerError};
use crate::ledger::record::decision::{DecisionOutcome, RecordedDecision, content_digest};
use crate::ledger::record::facts::{FactsRecord, ReplayVersions, UnreadableFacts};
use crate::messages::words::{Audience, PurchaseContext, Words};
use crate::programme::directory::{Directory, DirectoryError, Programme};
use crate::store::{PersonRow, Store, StoreError, Tx};

/// Why a decision cannot be explained.
#[derive(Debug, thiserror::Error)]
pub enum ExplainError {
    #[error(
        "no decision is known by {0:?}; give a decision's id, or the issuer's reference of \
             an authorisation request or a purchase"
    )]
    NotFound(String),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    #[error("the recorded facts of decision {id} cannot be read")]
    Facts {
        id: DecisionId,
        #[source]
        error: UnreadableFacts,
    },
    #[error("the recorded authorisation request of decision {0} cannot be read")]
    Question(DecisionId),
    #[error("the purchase cannot be explained")]
    Purchase(#[source] LedgerError),
}

/// A recorded decision, its texts and its replay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    pub id: DecisionId,
    pub at: Timestamp,
    pub programme: ProgrammeId,
    pub connection: ConnectionId,
    pub reference: IssuerReference,
    pub purchase: PurchaseReference,
    /// The person who owns the budget; the house budget if the card is unknown.
    pub person: BudgetId,
    /// The shop's name as in the message; empty if it was erased or absent.
    pub place: String,
    pub asked: Money,
    /// As recorded: the held amount, or every decline reason, the one that was shown first.
    pub outcome: DecisionOutcome,
    /// How much each pot gives to an approval.
    pub parts: Vec<PotPart>,
    /// How much of `parts` is held beyond the approval, in case the exchange rate changes.
    pub margin: Option<Money>,
    /// The text for the person.
    pub person_text: String,
    /// What they can do next, if the purchase was declined.
    pub next_text: Option<String>,
    pub worker_text: String,
    pub finance_text: String,
    /// The texts of the messages about it.
    pub messages: Vec<String>,
    /// Whether the approval came too late and was withdrawn.
    pub is_withdrawn: bool,
    /// How the shop was treated because its country is unknown.
    pub unknown_country: Option<UnknownCountry>,
    /// The version of the rules that decided.
    pub rules_version: u32,
    pub replay: Replay,
}

/// Whether the recorded facts still lead to the recorded decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Replay {
    Same,
    /// They do not, because the record or the program was changed. Says how the results differ.
    Differs(String),
}

/// Explains every decision that `id` names: the id of a decision, or the issuer's reference of an
/// authorisation request or of a purchase. At least one, oldest first.
pub async fn explain(
    store: &Store,
    directory: &Directory,
    id: &str,
) -> Result<Vec<Explanation>, ExplainError> {
    let mut tx = store.snapshot().await?;
    let decisions = tx.find_decisions(id).await?;
    if decisions.is_empty() {
        return Err(ExplainError::NotFound(id.chars().take(100).collect()));
    }
    let mut explanations = Vec::new();
    for decision in &decisions {
        explanations.push(explain_one(&mut tx, directory, decision).await?);
    }
    tx.commit().await?;
    Ok(explanations)
}

pub async fn explain_one(
    tx: &mut Tx,
    directory: &Directory,
    recorded: &RecordedDecision,
) -> Result<Explanation, ExplainError> {
    let id = recorded.id;
    let unreadable = |error| ExplainError::Facts { id, error };
    let request = recorded.request().ok_or(ExplainError::Question(id))?;
    let record = FactsRecord::from_text(&recorded.facts).map_err(unreadable)?;
    let programme = directory.version(&recorded.programme, record.programme_version()).await?;
    let agreement = match record.agreement_version() {
        Some(version) => {
            let currency = programme.settings.currency;
            let budget = &recorded.budget;
            let agreement = tx.read_agreement(&recorded.programme, budget, version, currency);
            Some(agreement.await?)
        }
        None => None,
    };
    let versions = ReplayVersions { programme: programme.facts(), agreement };
    let facts = record.facts(versions).map_err(unreadable)?;
    let replayed = decide(&request, &facts);
    let replay = compare(recorded, &request, &facts, &replayed);
    // Early versions did not record the whole decision, so the replay replaces it.
    let decision = recorded.recorded_answer().unwrap_or(replayed);
    let owner = tx.person(&recorded.programme, &recorded.budget).await?;
    let cards = tx.cards_of(&recorded.programme, &recorded.budget).await?;
    let hides_card = hides_card(tx, recorded, &facts).await?;
    let context =
        ExplanationContext { request: &request, facts: &facts, programme: &programme, hides_card };
    let texts = context.texts(&decision, owner.as_ref(), &cards);
    let withdrawn_at = tx.withdrawn_at(recorded).await?;
    let messages = tx.messages_about(recorded, withdrawn_at).await?;
    Ok(Explanation {
        id,
        at: recorded.decided_at,
        programme: recorded.programme.clone(),
        connection: recorded.connection.clone(),
        reference: recorded.reference.clone(),
        purchase: recorded.purchase.clone(),
        person: recorded.budget.clone(),
        place: request.merchant.name().to_owned(),
        asked: recorded.asked,
        outcome: recorded.outcome.clone(),
        parts: match &decision {
            Decision::Approve(approval) => approval.parts.clone(),
            Decision::Decline(_) => Vec::new(),
        },
        margin: match &decision {
            Decision::Approve(approval) => approval.margin().ok().filter(|m| m.is_positive()),
            Decision::Decline(_) => None,
        },
        person_text: texts.person,
        next_text: texts.next,
        worker_text: texts.worker,
        finance_text: texts.finance,
        messages: messages.into_iter().map(|message| message.body).collect(),
        is_withdrawn: withdrawn_at.is_some(),
        unknown_country: facts.unknown_country,
        rules_version: facts.rules_version,
        replay,
    })
}

/// Whether texts about this decision must not identify the card, because somebody else has it.
async fn hides_card(
    tx: &mut Tx,
    recorded: &RecordedDecision,
    facts: &Facts,
) -> Result<bool, StoreError> {
    let state = facts.holder.as_ref().map(|holder| holder.card);
    if !state.is_some_and(CardState::is_identified_by_last_four) {
        return Ok(false);
    }
    let custody = tx.custody(&recorded.programme, &recorded.budget).await?;
    Ok(custody.is_some_and(|custody| custody.is_elsewhere()))
}

fn compare(
    recorded: &RecordedDecision,
    request: &AuthorisationRequest,
    facts: &Facts,
    replayed: &Decision,
) -> Replay {
    let version = facts.rules_version;
    let permission = match replayed {
        Decision::Approve(approval) => approval.permission,
        Decision::Decline(_) => None,
    };
    // The digest covers the merchant's text, so it cannot be checked after that was erased.
    let is_same_request =
        recorded.merchant.is_none() || content_digest(request) == recorded.content;
    let outcome = DecisionOutcome::of(replayed);
    let answer = recorded.recorded_answer();
    if !is_same_request {
        Replay::Differs("the recorded question is not the one that was decided".to_owned())
    } else if version > VERSION {
        Replay::Differs(format!("decided by version {version} of the rules, which is newer"))
    } else if outcome != recorded.outcome {
        let (was, now) = (describe_outcome(&recorded.outcome), describe_outcome(&outcome));
        Replay::Differs(format!("recorded as {was}, but the recorded facts lead to {now}"))
    } else if permission != recorded.permission {
        Replay::Differs("another permission would be used up".to_owned())
    } else if answer.is_some_and(|answer| answer != *replayed) {
        Replay::Differs("the recorded answer carries other figures".to_owned())
    } else {
        Replay::Same
    }
}

fn describe_outcome(outcome: &DecisionOutcome) -> String {
    match outcome {
        DecisionOutcome::Approved(amount) => format!("approved {}", format_amount(*amount)),
        DecisionOutcome::Declined(codes) => {
            let codes: Vec<_> = codes.iter().map(|code| code.as_str()).collect();
            format!("declined ({})", codes.join(", "))
        }
    }
}

fn format_amount(amount: Money) -> String {
    format!("{} {}", amount.major(), amount.currency().code())
}

/// What the texts about a decision are made of.
struct ExplanationContext<'a> {
    request: &'a AuthorisationRequest,
    facts: &'a Facts,
    programme: &'a Programme,
    hides_card: bool,
}

struct ExplanationTexts {
    person: String,
    next: Option<String>,
    worker: String,
    finance: String,
}

impl ExplanationContext<'_> {
    fn texts(
        &self,
        decision: &Decision,
        owner: Option<&PersonRow>,
        cards: &[Card],
    ) -> ExplanationTexts {
        let Self { request, facts, programme, hides_card } = self;
        let worker = owner.and_then(|owner| owner.worker_id.parse::<WorkerId>().ok());
        let is_used =
            |card: &&Card| card.connection == request.connection && card.token == request.card;
        let used = cards.iter().find(is_used);
        let other = cards
            .iter()
            .filter(|card| !is_used(card))
            .find(|card| card.status.at(facts.moment.at) == CardState::Active);
        let agreement = facts.holder.as_ref().map(|holder| &holder.agreement);
        let plans = agreement.iter().flat_map(|agreement| &agreement.pots);
        let pot_names: BTreeMap<PotId, String> =
            plans.map(|pot| (pot.id.clone(), pot.name.clone())).collect();
        let (payable, rest) = match decision {
            Decision::Approve(_) => (None, None),
            Decision::Decline(reasons) => (reasons.payable, payable_rest(request, facts, reasons)),
        };
        let purchase_context = PurchaseContext {
            person_name: owner.map_or("", |owner| &owner.name),
            worker_name: worker.as_ref().map_or("", |worker| programme.worker_name(worker)),
            amount: request.amount,
            so_far: facts.continues.so_far(),
            rest,
            place: Some(request.merchant.name()).filter(|name| !name.is_empty()),
            category_name: programme.category_name(&facts.category),
            is_sensitive: programme.rules.is_sensitive(&facts.category),
            hides_card: *hides_card,
            is_app_bill: programme.is_app_bill(&request.merchant),
            till: request.point_of_sale(),
            payable,
            card_last_four: used.map_or("", |card| &card.last_four),
            new_card_last_four: other.map(|card| card.last_four.as_str()),
            zone: programme.zone(),
            pot_names: &pot_names,
        };
        let words = Words::english();
        let text_for = |audience| match decision {
            Decision::Approve(approval) => words.paid(approval, audience, &purchase_context),
            Decision::Decline(reasons) => words.why(&reasons.first, audience, &purchase_context),
        };
        let next = match decision {
            Decision::Approve(_) => None,
            Decision::Decline(reasons) => Some(words.what_next(&reasons.first, &purchase_context)),
        };
        ExplanationTexts {
            person: text_for(Audience::Person),
            next,
            worker: text_for(Audience::Worker),
            finance: text_for(Audience::Finance),
        }
    }
}

impl Explanation {
    pub fn to_json(&self) -> serde_json::Value {
        let (outcome, approved, reasons) = match &self.outcome {
            DecisionOutcome::Approved(amount) => ("approved", Some(amount.minor()), Vec::new()),
            DecisionOutcome::Declined(codes) => {
                ("declined", None, codes.iter().map(|code| code.as_str()).collect())
            }
        };
        let part = |part: &PotPart| {
            let (pot, amount_minor) = (part.pot.to_string(), part.amount.minor());
            json!({ "pot": pot, "amount_minor": amount_minor })
        };
        let (replay, difference) = match &self.replay {
            Replay::Same => ("same", None),
            Replay::Differs(difference) => ("differs", Some(difference)),
        };
        json!({
            "decision": self.id.to_string(),
            "at": self.at.to_string(),
            "programme": self.programme.to_string(),
            "connection": self.connection.to_string(),
            "reference": self.reference.to_string(),
            "purchase": self.purchase.to_string(),
            "person": self.person.person().map(|person| person.to_string()),
            "place": self.place,
            "currency": self.asked.currency().code(),
            "asked_minor": self.asked.minor(),
            "outcome": outcome,
            "approved_minor": approved,
            "reasons": reasons,
            "margin_minor": self.margin.map(Money::minor),
            "pots": self.parts.iter().map(part).collect::<Vec<_>>(),
            "person_text": self.person_text,
            "next_text": self.next_text,
            "worker_text": self.worker_text,
            "finance_text": self.finance_text,
            "messages": self.messages,
            "withdrawn": self.is_withdrawn,
            "unknown_country": self.unknown_country.map(UnknownCountry::word),
            "rules_version": self.rules_version,
            "replay": replay,
            "difference": difference,
        })
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = if self.place.is_empty() { "(no name)" } else { &self.place };
        writeln!(f, "{}  {}", self.id, self.at)?;
        writeln!(f, "  asked     {} by {place}, of {}", format_amount(self.asked), self.person)?;
        writeln!(f, "  question  {} ({} of {})", self.reference, self.connection, self.programme)?;
        if let Some(taken_for) = self.unknown_country {
            let taken_for = taken_for.word();
            writeln!(f, "            the shop's country is not known: taken for {taken_for}")?;
        }
        writeln!(f, "  answer    {}", describe_outcome(&self.outcome))?;
        for part in &self.parts {
            writeln!(f, "            {} from {}", format_amount(part.amount), part.pot)?;
        }
        if let Some(margin) = self.margin {
            writeln!(
                f,
                "            {} of it in case the exchange rate changes",
                format_amount(margin)
            )?;
        }
        if self.is_withdrawn {
            writeln!(f, "            taken back, because the answer came too late")?;
        }
        writeln!(f, "  person    {}", self.person_text)?;
        if let Some(next) = &self.next_text {
            writeln!(f, "            {next}")?;
        }
        writeln!(f, "  worker    {}", self.worker_text)?;
        writeln!(f, "  finance   {}", self.finance_text)?;
        for message in &self.messages {
            writeln!(f, "  message   {message}")?;
        }
        match &self.replay {
            Replay::Same => {
                writeln!(
                    f,
                    "  replay    the same answer, by version {} of the rules",
                    self.rules_version
                )
            }
            Replay::Differs(difference) => writeln!(f, "  replay    DIFFERENT: {difference}"),
        }
    }
}
