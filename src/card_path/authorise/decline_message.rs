//! The words that belong to a decision.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::domain::card::CardState;
use crate::domain::decision::authorisation::{AuthorisationRequest, DeclineReasons, Facts};
use crate::domain::decision::reason::DeclineReason;
use crate::domain::id::{DecisionId, WorkerId};
use crate::domain::purchase::decline_thread::{DeclineThread, shop_of};
use crate::domain::shop::ShopIdentity;
use crate::ledger::book::{Book, Card};
use crate::ledger::record::message_parameters::MessageParameters;
use crate::ledger::record::row::Digest;
use crate::messages::words::{PurchaseContext, Words};
use crate::programme::directory::Programme;
use crate::store::MessageThread;

/// What the words about a purchase that is not paid were made from, and which decision it was:
/// whoever asks for a one-time OK finds it by this.
pub(super) fn particulars(
    request: &AuthorisationRequest,
    decision: DecisionId,
    reason: &DeclineReason,
) -> String {
    MessageParameters::default()
        .text("decision", decision.to_string())
        .text("connection", request.connection.as_str())
        .text("reference", request.reference.as_str())
        .money("amount", request.amount)
        .reason(reason)
        .to_text()
}

/// What the refusal is about: a shop that tries the same card again is told of once.
pub(super) fn message_thread(
    request: &AuthorisationRequest,
    shop: &ShopIdentity,
    reason: &DeclineReason,
    at: Timestamp,
) -> MessageThread {
    let shop = shop_of(shop, request.merchant.mcc());
    let refusal = DeclineThread::of(request, &shop, reason.code().as_str());
    MessageThread { digest: Digest::of_text(&refusal.thread_key()), since: refusal.since(at) }
}

/// A purchase that is not paid, and all that its words need.
pub(super) struct DeclineMessage<'a> {
    pub(super) book: &'a Book,
    pub(super) programme: &'a Programme,
    pub(super) request: &'a AuthorisationRequest,
    pub(super) facts: &'a Facts,
    pub(super) hides_card: bool,
}

impl DeclineMessage<'_> {
    /// The text message about it; none when nobody has the card.
    pub(super) fn text_message(&self, reasons: &DeclineReasons) -> Option<String> {
        let Self { book, programme, request, facts, hides_card } = *self;
        let owner = book.owner.as_ref()?;
        let card = book.card(&request.connection, &request.card)?;
        let worker = owner.worker.parse::<WorkerId>().ok();
        let worker_name = worker.as_ref().map_or("", |worker| programme.worker_name(worker));
        let is_good = |c: &&Card| c.standing.at(facts.moment.at) == CardState::Active;
        let other = owner.cards.iter().filter(is_good).find(|c| c.token != card.token);
        let pot_names: BTreeMap<_, _> =
            owner.agreement.pots.iter().map(|pot| (pot.id.clone(), pot.name.clone())).collect();
        let purchase_context = PurchaseContext {
            person_name: &owner.name,
            worker_name,
            amount: request.amount,
            so_far: facts.continues.so_far(),
            place: None,
            category_name: programme.category_name(&facts.category),
            is_sensitive: programme.rules.is_sensitive(&facts.category),
            hides_card,
            is_app_bill: programme.is_app_bill(&request.merchant),
            till: request.point_of_sale(),
            payable: reasons.payable,
            card_last_four: &card.last_four,
            new_card_last_four: other.map(|card| card.last_four.as_str()),
            zone: programme.zone(),
            pot_names: &pot_names,
        };
        Some(Words::english().text_message(&reasons.first, &purchase_context))
    }
}
