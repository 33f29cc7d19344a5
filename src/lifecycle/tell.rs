//! What the person hears of what happened to a purchase, written with the fact itself.

use jiff::Timestamp;

use crate::domain::card::CardState;
use crate::domain::id::MessageId;
use crate::domain::issuer_refusal::IssuerRefused;
use crate::domain::matter::Refusal;
use crate::domain::money::MoneyError;
use crate::domain::purchase::Purchase;
use crate::domain::purchase_notice::{Around, PurchaseNotice, notices};
use crate::domain::recipient::Recipient;
use crate::ids::NewIds;
use crate::ledger::book::Book;
use crate::programme::directory::Programme;
use crate::record::particulars::Particulars;
use crate::record::row::Digest;
use crate::store::{Additions, Matter, NewMessage};
use crate::words::{Situation, Words};

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
    let Some(owner) = &book.owner else { return Ok(()) };
    let card = book.card(&after.connection, &after.card);
    let is_card_stopped = card.is_some_and(|card| is_stopped(card.standing.at(at)));
    let pot_names = std::collections::BTreeMap::new();
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
