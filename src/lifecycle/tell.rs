//! What the person hears of what happened to a purchase, written with the fact itself.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::Task;
use super::shape::Shape;

use crate::domain::card::CardState;
use crate::domain::id::MessageId;
use crate::domain::issuer_refusal::IssuerRefused;
use crate::domain::matter::Refusal;
use crate::domain::money::MoneyError;
use crate::domain::presentment::{EventBody, StandingReport};
use crate::domain::purchase::{PromiseState, Purchase};
use crate::domain::purchase_notice::{Around, PurchaseNotice, notices};
use crate::domain::recipient::Recipient;
use crate::ids::NewIds;
use crate::issuers::Issuer;
use crate::ledger::book::Book;
use crate::programme::directory::Programme;
use crate::record::decision::Outcome;
use crate::record::particulars::Particulars;
use crate::record::row::Digest;
use crate::store::{Additions, Matter, NewMessage, PurchaseName, StoreError, Tx};
use crate::words::{Situation, Words};

/// Which questions we have answered ourselves, of those that an issuer says were refused: of them the
/// person has heard.
#[derive(Debug, Default)]
pub(super) struct OurAnswers(BTreeSet<(PurchaseName, u32)>);

impl OurAnswers {
    /// Looks for our answers to the questions that `tasks` say an issuer refused by itself. Nearly
    /// always there is none to look for.
    pub(super) async fn read(tx: &mut Tx, tasks: &[Task<'_>]) -> Result<Self, StoreError> {
        let is_refused = |task: &&Task<'_>| {
            let report = standing(&task.shape);
            report.is_some_and(|report| report.answers.last().is_some_and(|a| !a.is_approved))
        };
        let names: BTreeSet<_> = tasks.iter().filter(is_refused).map(name_of).collect();
        let names: Vec<_> = names.into_iter().collect();
        if names.is_empty() {
            return Ok(Self::default());
        }
        let mut known = BTreeSet::new();
        for answer in tx.answers_of(&names).await? {
            let is_declined = matches!(answer.outcome, Outcome::Declined(_));
            if let Some(request) = answer.request().filter(|_| is_declined) {
                let name =
                    (answer.programme.clone(), answer.connection.clone(), answer.purchase.clone());
                known.insert((name, request.sequence));
            }
        }
        Ok(Self(known))
    }

    /// What the issuer refused by itself, as far as it is news: behind everything that was approved
    /// and heard of before.
    pub(super) fn refused(
        &self,
        task: &Task<'_>,
        before: &Purchase,
        programme: &Programme,
    ) -> Vec<IssuerRefused> {
        let Some(report) = standing(&task.shape) else { return Vec::new() };
        let settings = &programme.settings;
        let connection = &task.shape.event.connection;
        let issuer = settings.connections.iter().find(|known| known.id == *connection);
        let Some(issuer) = issuer.and_then(|known| known.issuer.parse::<Issuer>().ok()) else {
            return Vec::new();
        };
        let heard = before.word.as_ref().map_or(0, |word| word.position.answers);
        let name = name_of(task);
        let mut refused = Vec::new();
        for (sequence, answer) in (0_u32..).zip(&report.answers) {
            if answer.is_approved {
                refused.clear();
                continue;
            }
            let promise = before.promises.iter().find(|promise| promise.sequence == sequence);
            let is_withdrawn = promise.is_some_and(|p| p.state == PromiseState::Withdrawn);
            let is_ours = is_withdrawn || self.0.contains(&(name.clone(), sequence));
            let why = issuer.refusal(answer.reason.as_deref());
            if let Some(why) = why.filter(|_| sequence >= heard && !is_ours) {
                let is_after_our_yes = promise.is_some();
                refused.push(IssuerRefused { asked: answer.amount, why, is_after_our_yes });
            }
        }
        refused
    }
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

/// Writes what the owner of `book` hears when `before` became what is in the book now. Of a card
/// that is nobody's, nobody hears.
pub(super) fn tell(
    book: &Book,
    programme: &Programme,
    ids: &NewIds,
    (before, after): (&Purchase, &Purchase),
    (at, refused): (Timestamp, &[IssuerRefused]),
    additions: &mut Additions,
) -> Result<(), MoneyError> {
    let Some(owner) = book.owner.as_ref().filter(|_| before != after) else { return Ok(()) };
    let card = book.card(&after.connection, &after.card);
    let is_card_stopped = card.is_some_and(|card| is_stopped(card.standing.at(at)));
    let pot_names = BTreeMap::new();
    let situation = Situation {
        person_name: &owner.name,
        worker_name: "",
        amount: after.captured,
        place: None,
        category_name: "",
        is_sensitive: true,
        card_last_four: card.map_or("", |card| card.last_four.as_str()),
        new_card_last_four: None,
        zone: programme.zone(),
        pot_names: &pot_names,
    };
    let message = |kind, body, recipient, facts, matter| NewMessage {
        id: MessageId::new(ids.next(at)),
        programme: book.programme.clone(),
        budget: book.budget.clone(),
        kind,
        subject: after.id.to_string(),
        body,
        created_at: at,
        recipient,
        facts,
        matter,
    };
    for notice in notices(before, after, Around { refused, is_card_stopped })? {
        let words = Words::english();
        let body = words.notice(&notice, &situation);
        let facts = facts(&notice, after);
        let matter = matter(&notice, after, at);
        let kind = notice.kind();
        additions.messages.push(message(kind, body, Recipient::Person, facts.clone(), matter));
        if notice.is_for_duty() {
            let body = words.stopped_card_paid();
            additions.messages.push(message(kind, body, Recipient::Duty, facts, None));
        }
    }
    Ok(())
}

const fn is_stopped(state: CardState) -> bool {
    match state {
        CardState::Active | CardState::NotStarted => false,
        CardState::FrozenByPerson
        | CardState::FrozenByStaff
        | CardState::Lost
        | CardState::Replaced
        | CardState::Expired => true,
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
    match notice {
        PurchaseNotice::RefusedByIssuer(refused) => facts.text("why", refused.why.word()),
        _ => facts,
    }
    .to_text()
}

/// A card company that refuses the same again and again is one matter, like a refusal of ours.
fn matter(notice: &PurchaseNotice, purchase: &Purchase, at: Timestamp) -> Option<Matter> {
    let PurchaseNotice::RefusedByIssuer(refused) = notice else { return None };
    let counted = &purchase.counted;
    let shop = counted.shop.as_ref().map(ToString::to_string);
    let code = counted.mcc.map(|mcc| mcc.to_string());
    let refusal = Refusal {
        card: &purchase.card,
        shop: &shop.or(code).unwrap_or_default(),
        reason: &format!("issuer:{}", refused.why.word()),
        presence: counted.presence,
        amount: refused.asked,
    };
    let digest = Digest::of_text(&refusal.matter());
    Some(Matter { digest, since: refusal.since(at) })
}
