//! The texts about a declined purchase, with the parameters and the thread of the message.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::domain::card::CardState;
use crate::domain::decision::authorisation::{AuthorisationRequest, DeclineReasons, Facts};
use crate::domain::decision::largest_payment::payable_rest;
use crate::domain::decision::reason::DeclineReason;
use crate::domain::id::{DecisionId, WorkerId};
use crate::domain::purchase::decline_thread::{DeclineThread, shop_of};
use crate::domain::shop::ShopIdentity;
use crate::ledger::book::{Book, Card};
use crate::ledger::record::message_parameters::MessageParameters;
use crate::ledger::record::row::Digest;
use crate::messages::words::{Audience, PurchaseContext, Words};
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

/// A declined purchase, and everything that its texts need.
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
        self.book.card(&self.request.connection, &self.request.card)?;
        self.with_context(reasons, |context| Words::english().text_message(&reasons.first, context))
    }

    /// Why it is not paid, for a page of the person; `None` for the house budget.
    pub(super) fn page_text(&self, reasons: &DeclineReasons) -> Option<String> {
        let why = |context: &PurchaseContext<'_>| {
            Words::english().why(&reasons.first, Audience::Person, context)
        };
        self.with_context(reasons, why)
    }

    fn with_context<T>(
        &self,
        reasons: &DeclineReasons,
        say: impl FnOnce(&PurchaseContext<'_>) -> T,
    ) -> Option<T> {
        let Self { book, programme, request, facts, hides_card } = *self;
        let owner = book.owner.as_ref()?;
        let card = book.card(&request.connection, &request.card);
        let worker = owner.worker.parse::<WorkerId>().ok();
        let worker_name = worker.as_ref().map_or("", |worker| programme.worker_name(worker));
        let is_good = |c: &&Card| c.status.at(facts.moment.at) == CardState::Active;
        let is_other = |c: &&Card| card.is_none_or(|card| c.token != card.token);
        let other = owner.cards.iter().filter(is_good).find(is_other);
        let pot_names: BTreeMap<_, _> =
            owner.agreement.pots.iter().map(|pot| (pot.id.clone(), pot.name.clone())).collect();
        Some(say(&PurchaseContext {
            person_name: &owner.name,
            worker_name,
            amount: request.amount,
            so_far: facts.continues.so_far(),
            rest: payable_rest(request, facts, reasons),
            place: None,
            category_name: programme.category_name(&facts.category),
            is_sensitive: programme.rules.is_sensitive(&facts.category),
            hides_card: hides_card || card.is_none(),
            is_app_bill: programme.is_app_bill(&request.merchant),
            till: request.point_of_sale(),
            payable: reasons.payable,
            card_last_four: card.map_or("", |card| &card.last_four),
            new_card_last_four: other.map(|card| card.last_four.as_str()),
            zone: programme.zone(),
            pot_names: &pot_names,
        }))
    }
}
