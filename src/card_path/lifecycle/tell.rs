//! What the person hears of what happened to a purchase, written with the fact itself.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::Task;
use super::change::PurchaseChange;
use super::context::LifecycleContext;
use super::shape::Shape;
use crate::card_path::issuers::Issuer;
use crate::domain::id::MessageId;
use crate::domain::money::MoneyError;
use crate::domain::people::recipient::Recipient;
use crate::domain::purchase::issuer_refusal::{IssuerRefusal, IssuerRefused};
use crate::domain::purchase::matter::{Refusal, shop_of};
use crate::domain::purchase::notice::{Around, PurchaseNotice, notices};
use crate::domain::purchase::presentment::{EventBody, StandingReport};
use crate::domain::purchase::{PromiseState, Purchase};
use crate::ledger::record::decision::Outcome;
use crate::ledger::record::particulars::Particulars;
use crate::ledger::record::row::Digest;
use crate::messages::words::{Situation, Words};
use crate::store::{Additions, Matter, NewMessage, PurchaseName, StoreError, Tx};

/// Notes in `tasks` which of the questions that an issuer says it refused we have declined ourselves:
/// of them the person has heard. Nearly always there is none to look for.
pub(super) async fn find_our_refusals(
    tx: &mut Tx,
    tasks: &mut [Task<'_>],
) -> Result<(), StoreError> {
    let is_refused = |task: &&Task<'_>| {
        let report = standing(&task.shape);
        report.is_some_and(|report| report.answers.last().is_some_and(|a| !a.is_approved))
    };
    let names: BTreeSet<_> = tasks.iter().filter(is_refused).map(name_of).collect();
    let names: Vec<_> = names.into_iter().collect();
    if names.is_empty() {
        return Ok(());
    }
    let mut declined: BTreeMap<PurchaseName, BTreeSet<u32>> = BTreeMap::new();
    for answer in tx.answers_of(&names).await? {
        let is_declined = matches!(answer.outcome, Outcome::Declined(_));
        if let Some(request) = answer.request().filter(|_| is_declined) {
            let name = (answer.programme, answer.connection, answer.purchase);
            declined.entry(name).or_default().insert(request.sequence);
        }
    }
    for task in tasks {
        if let Some(ours) = declined.get(&name_of(task)) {
            task.shape.our_refusals.clone_from(ours);
        }
    }
    Ok(())
}

fn standing<'a>(shape: &Shape<'a>) -> Option<&'a StandingReport> {
    match &shape.event.event.body {
        EventBody::Standing(report) => Some(report),
        EventBody::HoldChange(_)
        | EventBody::Presentment(_)
        | EventBody::Dispute(_)
        | EventBody::Unclear { .. }
        | EventBody::Other => None,
    }
}

fn name_of(task: &Task<'_>) -> PurchaseName {
    let event = task.shape.event;
    (event.programme.clone(), event.connection.clone(), task.shape.purchase.clone())
}

impl LifecycleContext<'_> {
    /// Writes what the owner of the budget hears of a change, with the change itself. Of a card that
    /// is nobody's, nobody hears.
    pub(super) fn tell(
        &self,
        change: &PurchaseChange<'_>,
        refused: &[IssuerRefused],
        additions: &mut Additions,
    ) -> Result<(), MoneyError> {
        let PurchaseChange { before, after, at, .. } = *change;
        let Some(owner) = self.book.owner.as_ref().filter(|_| before != after) else {
            return Ok(());
        };
        let card = self.book.card(&after.connection, &after.card);
        let is_card_stopped = card.is_some_and(|card| card.standing.at(at).is_stopped());
        let pot_names = BTreeMap::new();
        let zone = self.programme.zone();
        let situation = Situation {
            person_name: &owner.name,
            ..Situation::bare(after.captured, zone, &pot_names)
        };
        let words = Words::english();
        for notice in notices(before, after, Around { refused, is_card_stopped })? {
            let body = words.notice(&notice, &situation);
            let matter = matter(&notice, after, at);
            let told = self.message(change, &notice, (Recipient::Person, body));
            additions.messages.push(NewMessage { matter, ..told });
            if notice.is_for_duty() {
                let body = words.stopped_card_paid();
                additions.messages.push(self.message(change, &notice, (Recipient::Duty, body)));
            }
        }
        Ok(())
    }

    fn message(
        &self,
        change: &PurchaseChange<'_>,
        notice: &PurchaseNotice,
        (recipient, body): (Recipient, String),
    ) -> NewMessage {
        NewMessage {
            id: MessageId::new(self.ids.next(change.at)),
            programme: self.book.programme.clone(),
            budget: self.book.budget.clone(),
            kind: notice.kind(),
            subject: change.after.id.to_string(),
            body,
            created_at: change.at,
            recipient,
            facts: facts(notice, change.after),
            matter: None,
            due_at: None,
        }
    }

    /// What the issuer refused by itself, as far as it is news: behind everything that was approved
    /// and heard of before.
    pub(super) fn refused(&self, shape: &Shape<'_>, before: &Purchase) -> Vec<IssuerRefused> {
        let Some(report) = standing(shape) else { return Vec::new() };
        let connections = &self.programme.settings.connections;
        let known = connections.iter().find(|known| known.id == shape.event.connection);
        let Some(issuer) = known.and_then(|known| known.issuer.parse::<Issuer>().ok()) else {
            return Vec::new();
        };
        let heard = before.word.as_ref().map_or(0, |word| word.position.answers);
        let mut refused = Vec::new();
        for (sequence, answer) in (0_u32..).zip(&report.answers) {
            if answer.is_approved {
                refused.clear();
                continue;
            }
            let promise = before.promises.iter().find(|promise| promise.sequence == sequence);
            let is_withdrawn = promise.is_some_and(|p| p.state == PromiseState::Withdrawn);
            let is_ours = is_withdrawn || shape.our_refusals.contains(&sequence);
            if sequence >= heard && !is_ours {
                // A no of ours that we have no record of is one that we could not help.
                let why = issuer.refusal(answer.reason.as_deref());
                let why = why.unwrap_or(IssuerRefusal::OurFault);
                let is_after_our_yes = promise.is_some();
                refused.push(IssuerRefused { asked: answer.amount, why, is_after_our_yes });
            }
        }
        refused
    }
}

fn facts(notice: &PurchaseNotice, purchase: &Purchase) -> String {
    let (amount, other) = notice.amounts();
    let facts = Particulars::default()
        .text("purchase", purchase.id.to_string())
        .text("connection", purchase.connection.as_str())
        .text("reference", purchase.reference.as_str())
        .money("amount", amount);
    let facts = match other {
        Some(other) => facts.money("other", other),
        None => facts,
    };
    let why = notice.refused().map(|refused| refused.why.word());
    facts.optional("why", why).to_text()
}

/// A card company that refuses the same again and again is one matter, like a refusal of ours.
fn matter(notice: &PurchaseNotice, purchase: &Purchase, at: Timestamp) -> Option<Matter> {
    let refused = notice.refused()?;
    let counted = &purchase.counted;
    let refusal = Refusal {
        card: &purchase.card,
        shop: &shop_of(&counted.shop, counted.mcc),
        reason: &format!("issuer:{}", refused.why.word()),
        presence: counted.presence,
        amount: refused.asked,
    };
    let digest = Digest::of_text(&refusal.matter());
    Some(Matter { digest, since: refusal.since(at) })
}
