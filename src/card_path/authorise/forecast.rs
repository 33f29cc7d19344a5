//! What a shop would be paid, now or later: the same facts and the same decision as at the till,
//! from a snapshot of the books and without a trace.

use jiff::Timestamp;

use super::decline_message::DeclineMessage;
use super::facts::FactSources;
use crate::card_path::error::CardPathError;
use crate::domain::card::CardState;
use crate::domain::decision::authorisation::{
    AuthorisationRequest, CardholderFacts, Decision, DeclineReasons, Facts, PartialApproval,
    Presence, PurchaseKind,
};
use crate::domain::decision::decide::decide;
use crate::domain::decision::largest_payment::{largest_payment, with_amount};
use crate::domain::id::{
    BudgetId, CardToken, ConnectionId, IssuerReference, ProgrammeId, PurchaseReference,
};
use crate::domain::money::Money;
use crate::domain::shop::merchant::Merchant;
use crate::domain::time::period::Moment;
use crate::ledger::book::{Book, Card};
use crate::programme::directory::{Directory, Programme};
use crate::store::{BookRequest, PrefetchKeys, Tx};

/// A purchase that may come, in the programme's currency and country.
#[derive(Debug, Clone)]
pub struct PossiblePurchase {
    pub programme: ProgrammeId,
    pub budget: BudgetId,
    pub merchant: Merchant,
    pub presence: Presence,
    pub at: Timestamp,
    /// The amount that is asked about, if any. Must be above zero.
    pub amount: Option<Money>,
}

/// What a shop would be paid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forecast {
    /// The largest amount that would be approved if the card worked.
    pub most: Money,
    /// The state of the person's card, or of the best one of several; `None` if they have none.
    pub card: Option<CardState>,
    /// Why the asked amount, or else a minor unit more than `most`, would be declined; `None` if it
    /// would be approved.
    pub declined: Option<DeclinedForecast>,
}

/// Why an amount would be declined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeclinedForecast {
    pub reasons: DeclineReasons,
    /// The text for the person.
    pub text: String,
}

/// Forecasts a purchase. `tx` should be a read-only snapshot: nothing is locked or written.
///
/// `None` if there is no such person, or no agreement is in force.
///
/// # Errors
///
/// Errors of the database, the directory and the ledger.
pub async fn forecast(
    tx: &mut Tx,
    directory: &Directory,
    purchase: &PossiblePurchase,
) -> Result<Option<Forecast>, CardPathError> {
    let (programme, budget) = (&purchase.programme, &purchase.budget);
    let wanted = BookRequest::without_purchases(programme, budget);
    let prefetch = PrefetchKeys::default();
    let mut books = tx.read_books(&[wanted], &prefetch, directory.agreements()).await?;
    let settings = directory.settings_of(&books).await?;
    let Some(open) = books.get(programme, budget) else { return Ok(None) };
    let Some(in_force) = settings.of(open) else { return Ok(None) };
    let Some(agreement) = open.book.agreement() else { return Ok(None) };
    let moment = Moment::new(purchase.at, in_force.zone());
    let card = best_card(&open.book, purchase.at).cloned();
    let request = request(purchase, in_force, card.as_ref());
    let counted = in_force.counted(&request, Some(agreement), moment);
    let counters = counted.counters(agreement).into_iter();
    let keys: Vec<_> = counters.map(|key| (programme.clone(), budget.clone(), key)).collect();
    tx.load_counters(&keys, &mut books).await?;
    let Some(open) = books.get(programme, budget) else { return Ok(None) };
    let sources = FactSources {
        book: &open.book,
        programme: in_force,
        counted: &counted,
        card: Some(CardState::Active),
    };
    let facts = sources.facts(&request, moment)?;
    let most = largest_payment(&request, &facts)?;
    let state = card.map(|card| card.status.at(purchase.at));
    let asked = match purchase.amount {
        Some(amount) => amount,
        None => most.checked_add(Money::from_minor(1, most.currency()))?,
    };
    let asked = with_amount(&request, asked);
    let declined = declined(&open.book, in_force, &asked, &with_card(facts, state));
    Ok(Some(Forecast { most, card: state, declined }))
}

/// The person's card whose state comes first in [`CardState::ALL`]: one that works, if any does.
fn best_card(book: &Book, at: Timestamp) -> Option<&Card> {
    book.owner.as_ref()?.cards.iter().min_by_key(|card| card.status.at(at))
}

/// The facts with the card as it is. Without a card nothing is paid, as with one that is not
/// switched on.
fn with_card(facts: Facts, card: Option<CardState>) -> Facts {
    let card = card.unwrap_or(CardState::NotStarted);
    let holder = facts.holder.map(|holder| CardholderFacts { card, ..holder });
    Facts { holder, ..facts }
}

fn declined(
    book: &Book,
    programme: &Programme,
    request: &AuthorisationRequest,
    facts: &Facts,
) -> Option<DeclinedForecast> {
    let Decision::Decline(reasons) = decide(request, facts) else { return None };
    // No text names a card, because a custodian other than the person may have it.
    let message = DeclineMessage { book, programme, request, facts, hides_card: true };
    let text = message.page_text(&reasons)?;
    Some(DeclinedForecast { reasons, text })
}

/// The request that the shop would cause, for one minor unit.
fn request(
    purchase: &PossiblePurchase,
    programme: &Programme,
    card: Option<&Card>,
) -> AuthorisationRequest {
    let unit = Money::from_minor(1, programme.settings.currency);
    AuthorisationRequest {
        programme: purchase.programme.clone(),
        connection: card.map_or_else(ConnectionId::unsent, |card| card.connection.clone()),
        reference: IssuerReference::unsent(),
        purchase: PurchaseReference::unsent(),
        sequence: 0,
        card: card.map_or_else(CardToken::unsent, |card| card.token.clone()),
        amount: unit,
        bought_at: None,
        cash_back: Money::zero(unit.currency()),
        atm_fee: Money::zero(unit.currency()),
        transaction_amount: unit,
        has_unread_price: false,
        kind: PurchaseKind::Purchase,
        presence: purchase.presence,
        partial: PartialApproval::NotAllowed,
        merchant: purchase.merchant.clone(),
    }
}
