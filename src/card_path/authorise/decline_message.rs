//! The text message about a declined purchase, with its parameters and its thread.

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

/// The parameters of the message about a declined purchase. They name the decision, because an ask
/// for a one-time OK refers to it.
pub(super) fn message_parameters(
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

/// The thread of the message: a shop that retries the same card is reported only once.
pub(super) fn message_thread(
    request: &AuthorisationRequest,
    shop: &ShopIdentity,
    reason: &DeclineReason,
    at: Timestamp,
) -> MessageThread {
    let shop = shop_of(shop, request.merchant.mcc());
    let thread = DeclineThread::of(request, &shop, reason.code().as_str());
    MessageThread { digest: Digest::of_text(&thread.thread_key()), since: thread.since(at) }
}

/// A declined purchase, and everything that its text message needs.
pub(super) struct DeclineMessage<'a> {
    pub(super) book: &'a Book,
    pub(super) programme: &'a Programme,
    pub(super) request: &'a AuthorisationRequest,
    pub(super) facts: &'a Facts,
    /// Whether the text must not name a card, because a custodian other than the person has it.
    pub(super) hides_card: bool,
}

impl DeclineMessage<'_> {
    /// The text message; `None` if no person holds the card.
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
