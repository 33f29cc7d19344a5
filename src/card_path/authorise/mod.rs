//! The path of an authorisation request: lock the budget, look for a recorded response, read the
//! facts, decide, and write the decision with its hold. Many requests share one database
//! transaction.

mod decline_message;
mod facts;
mod forecast;
mod responses;
mod withdraw;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use crate::card_path::error::CardPathError;
use crate::domain::agreement::Agreement;
use crate::domain::card::CardState;
use crate::domain::decision::authorisation::{
    Approval, AuthorisationRequest, Decision, DeclineReasons, Facts, PurchaseContinuation,
};
use crate::domain::decision::decide::decide;
use crate::domain::id::{
    BudgetId, ConnectionId, DecisionId, IssuerReference, MessageId, PermissionId, PostingId,
    ProgrammeId, PurchaseId, PurchaseReference,
};
use crate::domain::money::Money;
use crate::domain::money::limit::CountingAttributes;
use crate::domain::people::recipient::Recipient;
use crate::domain::purchase::{
    ApprovedIncrement, IncrementState, MerchantDescriptor, NewPurchase, Purchase,
};
use crate::domain::time::period::Moment;
use crate::issuers::AuthorisationResponse;
use crate::ledger::book::{Book, LedgerError, PostingCause, PurchaseKey};
use crate::ledger::posting::PostingKind;
use crate::ledger::postings::hold_transfers;
use crate::ledger::record::decision::{DecisionRow, NewDecision, content_digest};
use crate::ledger::record::row::Digest;
use crate::ledger::record::table::Record as _;
use crate::platform::ids::NewIds;
use crate::programme::directory::{Directory, Programme, SettingsInForce};
use crate::store::{
    BookRequest, Books, CardKey, ExceptionRow, NewMessage, PendingWrites, PrefetchKeys, StoreError,
    Tx, exception_id,
};

use facts::FactSources;
pub use forecast::{DeclinedForecast, Forecast, PossiblePurchase, forecast};
pub use responses::{AuthorisationKey, our_fault};
use responses::{KnownResponses, authorisation_key};
pub use withdraw::withdraw;

/// One authorisation request, and when it arrived. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ReceivedAuthorisation {
    pub request: Arc<AuthorisationRequest>,
    pub arrived_at: Timestamp,
}

impl ReceivedAuthorisation {
    /// The key under which its decision is recorded.
    pub fn key(&self) -> AuthorisationKey {
        authorisation_key(&self.request)
    }
}

/// One response, and whether the same reference came before with other content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuthorisationOutcome {
    pub response: AuthorisationResponse,
    pub is_conflict: bool,
}

/// Decides `authorisations` in order of arrival, and records the decisions with their holds.
///
/// A repeated reference gets its recorded response, whatever has changed since, because issuers
/// resend when a response is late and a purchase must not be held twice. Requests on one budget see
/// each other's holds. The responses may be sent only after `tx` was committed.
///
/// # Errors
///
/// Errors of the database and the ledger; [`CardPathError::BudgetNotFound`] if the budget of a
/// request cannot be opened.
pub async fn authorise(
    tx: &mut Tx,
    directory: &Directory,
    ids: &NewIds,
    authorisations: &[ReceivedAuthorisation],
) -> Result<Vec<AuthorisationOutcome>, CardPathError> {
    let budgets = budgets(tx, directory, authorisations).await?;
    let wanted = wanted(authorisations, &budgets);
    let hints = hints(directory, authorisations, &budgets);
    let prefetch = prefetch_keys(authorisations, &budgets, &hints);
    let mut books = tx.open_books_prefetching(&wanted, &prefetch, directory.agreements()).await?;
    let mut responses = KnownResponses::recorded(tx, &books.answered).await?;
    let programmes = directory.settings_of(&books).await?;
    let counted = counted(authorisations, &budgets, &programmes, &books, hints)?;
    load_counters(tx, authorisations, &budgets, &counted, &mut books).await?;

    let elsewhere = cards_elsewhere(tx, authorisations, &budgets, &books).await?;
    let mut pending_writes = PendingWrites::default();
    let mut outcomes = Vec::with_capacity(authorisations.len());
    for ((received, budget), counted) in authorisations.iter().zip(&budgets).zip(counted) {
        let request = &received.request;
        let digest = content_digest(request);
        if let Some(known) = responses.find(request, digest) {
            if known.is_conflict {
                pending_writes.new_exceptions.push(conflict_note(received, budget));
            }
            outcomes.push(known);
            continue;
        }
        let owner = books.owners.get(&purchase_name(request));
        let is_elsewhere = owner.is_some_and(|owner| owner != budget);
        let open = books.get_mut(&request.programme, budget);
        let open = open.ok_or_else(|| CardPathError::BudgetNotFound(request.programme.clone()))?;
        let Some(programme) = programmes.of(open) else {
            return Err(CardPathError::BudgetNotFound(request.programme.clone()));
        };
        let book = &mut open.book;
        let hides_card = elsewhere.iter().any(|(p, b)| (p, b) == (&request.programme, budget));
        let mut context = AuthorisationContext {
            book,
            programme,
            counted,
            ids,
            pending_writes: &mut pending_writes,
            hides_card,
        };
        let response = context.decide(received, digest, is_elsewhere)?;
        responses.remember(request, digest, response);
        outcomes.push(AuthorisationOutcome { response, is_conflict: false });
    }
    tx.suppress_repeated_messages(&mut pending_writes).await?;
    tx.close_books(&books.all(), &pending_writes).await?;
    tx.defer_drop((books, pending_writes));
    Ok(outcomes)
}

/// The budget of each request's card; the house budget for a card that no person holds.
async fn budgets(
    tx: &mut Tx,
    directory: &Directory,
    authorisations: &[ReceivedAuthorisation],
) -> Result<Vec<BudgetId>, StoreError> {
    let key = |received: &ReceivedAuthorisation| -> CardKey {
        let request = &received.request;
        (request.programme.clone(), request.connection.clone(), request.card.clone())
    };
    let owners = tx.owners(&authorisations.iter().map(key).collect(), directory.owners()).await?;
    let budget =
        |r: &ReceivedAuthorisation| owners.get(&key(r)).cloned().unwrap_or_else(BudgetId::house);
    Ok(authorisations.iter().map(budget).collect())
}

/// What a request counts as under the latest settings and agreement in memory. Only a hint, because
/// which versions are in force is known once the budget is locked.
struct PrefetchHint {
    programme_version: u32,
    agreement: Arc<Agreement>,
    counted: CountingAttributes,
}

fn hints(
    directory: &Directory,
    authorisations: &[ReceivedAuthorisation],
    budgets: &[BudgetId],
) -> Vec<Option<PrefetchHint>> {
    let hint = |(received, budget): (&ReceivedAuthorisation, &BudgetId)| {
        let request = &received.request;
        let programme = directory.latest(&request.programme)?;
        let agreement = directory.agreements().latest(&request.programme, budget)?;
        let moment = Moment::new(received.arrived_at, programme.zone());
        let counted = programme.counted(request, Some(&agreement), moment);
        Some(PrefetchHint { programme_version: programme.version, agreement, counted })
    };
    authorisations.iter().zip(budgets).map(hint).collect()
}

/// The keys to prefetch with the books. Counters that are missing here are read later.
fn prefetch_keys(
    authorisations: &[ReceivedAuthorisation],
    budgets: &[BudgetId],
    hints: &[Option<PrefetchHint>],
) -> PrefetchKeys {
    let mut keys: Vec<_> =
        authorisations.iter().map(|received| authorisation_key(&received.request)).collect();
    keys.sort();
    keys.dedup();
    let mut counters = Vec::new();
    for ((received, budget), hint) in authorisations.iter().zip(budgets).zip(hints) {
        let Some(hint) = hint else { continue };
        let programme = &received.request.programme;
        let touched = hint.counted.counters(&hint.agreement).into_iter();
        counters.extend(touched.map(|key| (programme.clone(), budget.clone(), key)));
    }
    PrefetchKeys { requests: keys, counters }
}

/// What each request counts as if it begins a purchase. A hint is used if its versions are in
/// force.
fn counted(
    authorisations: &[ReceivedAuthorisation],
    budgets: &[BudgetId],
    programmes: &SettingsInForce,
    books: &Books,
    hints: Vec<Option<PrefetchHint>>,
) -> Result<Vec<CountingAttributes>, CardPathError> {
    let count = |((received, budget), hint): (
        (&ReceivedAuthorisation, &BudgetId),
        Option<PrefetchHint>,
    )| {
        let request = &received.request;
        let id = &request.programme;
        let open =
            books.get(id, budget).ok_or_else(|| CardPathError::BudgetNotFound(id.clone()))?;
        let programme =
            programmes.of(open).ok_or_else(|| CardPathError::BudgetNotFound(id.clone()))?;
        let agreement = open.book.owner.as_ref().map(|owner| &owner.agreement);
        match hint.zip(agreement) {
            Some((hint, agreement))
                if hint.programme_version == programme.version
                    && Arc::ptr_eq(&hint.agreement, agreement) =>
            {
                Ok(hint.counted)
            }
            _ => {
                let moment = Moment::new(received.arrived_at, programme.zone());
                Ok(programme.counted(request, open.book.agreement(), moment))
            }
        }
    };
    authorisations.iter().zip(budgets).zip(hints).map(count).collect()
}

/// The books to open, each with the purchases that its requests name.
fn wanted(authorisations: &[ReceivedAuthorisation], budgets: &[BudgetId]) -> Vec<BookRequest> {
    let mut wanted: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for (received, budget) in authorisations.iter().zip(budgets) {
        let request = &received.request;
        let purchases = wanted.entry((request.programme.clone(), budget.clone())).or_default();
        purchases.insert((request.connection.clone(), request.purchase.clone()));
    }
    let book = |((programme, budget), purchases)| BookRequest { programme, budget, purchases };
    wanted.into_iter().map(book).collect()
}

/// Reads the counters that the requests touch and that were not prefetched.
async fn load_counters(
    tx: &mut Tx,
    authorisations: &[ReceivedAuthorisation],
    budgets: &[BudgetId],
    counted: &[CountingAttributes],
    books: &mut Books,
) -> Result<(), StoreError> {
    let mut keys = Vec::new();
    for ((received, budget), fresh) in authorisations.iter().zip(budgets).zip(counted) {
        let request = &received.request;
        let Some(open) = books.get(&request.programme, budget) else { continue };
        let Some(owner) = &open.book.owner else { continue };
        let original = open_purchase(&open.book, request).map(|purchase| &purchase.counted);
        for counted in touched(fresh, original) {
            let touched = counted.counters(&owner.agreement).into_iter();
            keys.extend(touched.map(|key| (request.programme.clone(), budget.clone(), key)));
        }
    }
    tx.load_counters(&keys, books).await
}

/// The budgets whose card a custodian other than the person has. Read only for a lost, replaced or
/// expired card, because only texts about such cards name a card.
async fn cards_elsewhere(
    tx: &mut Tx,
    authorisations: &[ReceivedAuthorisation],
    budgets: &[BudgetId],
    books: &Books,
) -> Result<BTreeSet<(ProgrammeId, BudgetId)>, StoreError> {
    let mut elsewhere = BTreeSet::new();
    for (received, budget) in authorisations.iter().zip(budgets) {
        let request = &received.request;
        let open = books.get(&request.programme, budget);
        let card = open.and_then(|open| open.book.card(&request.connection, &request.card));
        let state = card.map(|card| card.status.at(received.arrived_at));
        if state.is_some_and(CardState::is_identified_by_last_four) {
            let custody = tx.custody(&request.programme, budget).await?;
            if custody.is_some_and(|custody| custody.is_elsewhere()) {
                elsewhere.insert((request.programme.clone(), budget.clone()));
            }
        }
    }
    Ok(elsewhere)
}

fn purchase_key(request: &AuthorisationRequest) -> PurchaseKey {
    (request.connection.clone(), request.purchase.clone())
}

fn purchase_name(request: &AuthorisationRequest) -> (ProgrammeId, ConnectionId, PurchaseReference) {
    (request.programme.clone(), request.connection.clone(), request.purchase.clone())
}

/// The purchase that `request` adds to, if anything is held or captured for it. A purchase that was
/// fully reversed begins anew: on the current day, under the current agreement.
fn open_purchase<'a>(book: &'a Book, request: &AuthorisationRequest) -> Option<&'a Purchase> {
    let known = book.purchases.get(&purchase_key(request))?;
    known.committed().is_ok_and(Money::is_positive).then_some(known)
}

/// What a request counts as. An increment of an open purchase counts with the attributes that the
/// purchase began with, and also with those that the shop reports now, on the purchase's own day.
fn touched<'a>(
    fresh: &'a CountingAttributes,
    original: Option<&'a CountingAttributes>,
) -> Vec<Cow<'a, CountingAttributes>> {
    match original {
        None => vec![Cow::Borrowed(fresh)],
        Some(original) => {
            let now = CountingAttributes { on: original.on, ..fresh.clone() };
            vec![Cow::Borrowed(original), Cow::Owned(now)]
        }
    }
}

/// Whether the request continues an open purchase, and what that has committed so far.
fn continues(open: Option<&Purchase>) -> Result<PurchaseContinuation, LedgerError> {
    let Some(purchase) = open else { return Ok(PurchaseContinuation::Nothing) };
    let so_far = purchase.committed()?;
    Ok(PurchaseContinuation::Open { so_far, counted_on: purchase.counted.on })
}

/// The increment that approving `amount` of `request` adds to its purchase.
const fn increment(
    request: &AuthorisationRequest,
    amount: Money,
    permission: Option<PermissionId>,
) -> ApprovedIncrement {
    ApprovedIncrement {
        sequence: request.sequence,
        amount,
        permission,
        state: IncrementState::Kept,
    }
}

fn conflict_note(received: &ReceivedAuthorisation, budget: &BudgetId) -> ExceptionRow {
    let request = &received.request;
    let about = reference_text(&request.connection, &request.reference);
    ExceptionRow {
        programme_id: request.programme.clone(),
        exception_id: exception_id(&request.programme, "conflict", &about),
        budget_id: budget.clone(),
        kind: "conflict".to_owned(),
        subject: about.clone(),
        detail: "the same reference came before with other content; it was not paid".to_owned(),
        noted_at: received.arrived_at,
        about: Some(about),
    }
}

fn reference_text(connection: &ConnectionId, reference: &IssuerReference) -> String {
    format!("{connection}/{reference}")
}

/// The locked book of one budget, and what a decision on it needs.
struct AuthorisationContext<'a> {
    book: &'a mut Book,
    programme: &'a Programme,
    /// What the request counts as if it begins a purchase.
    counted: CountingAttributes,
    ids: &'a NewIds,
    pending_writes: &'a mut PendingWrites,
    /// Whether no text may name a card, because a custodian other than the person has it.
    hides_card: bool,
}

impl AuthorisationContext<'_> {
    fn facts(&self, request: &AuthorisationRequest, moment: Moment) -> Result<Facts, LedgerError> {
        let Self { book, programme, counted, .. } = self;
        let card = book.card(&request.connection, &request.card);
        let card = card.map(|card| card.status.at(moment.at));
        FactSources { book, programme, counted, card }.facts(request, moment)
    }

    fn decide(
        &mut self,
        received: &ReceivedAuthorisation,
        content: Digest,
        is_elsewhere: bool,
    ) -> Result<AuthorisationResponse, LedgerError> {
        let request = &received.request;
        let moment = Moment::new(received.arrived_at, self.programme.zone());
        let mut facts = self.facts(request, moment)?;
        if is_elsewhere {
            facts.continues = PurchaseContinuation::OtherPerson;
        }
        let decision = decide(request, &facts);
        let id = DecisionId::new(self.ids.next(moment.at));
        let record = NewDecision {
            id,
            content,
            budget: &self.book.budget,
            request,
            facts: &facts,
            decision: &decision,
        };
        let row = record.row();
        let cause = PostingCause {
            posting: PostingId::new(self.ids.next(moment.at)),
            kind: PostingKind::Decision,
            subject: id.to_string(),
            record: Digest::of_row(DecisionRow::TABLE, &row),
            moment,
        };
        self.pending_writes.decisions.push(row);
        match &decision {
            Decision::Approve(approval) if approval.amount.is_positive() => {
                self.hold(request, approval, cause)?;
            }
            Decision::Approve(_) => self.book.post(cause, Vec::new())?,
            Decision::Decline(reasons) => {
                self.book.post(cause, Vec::new())?;
                self.notify(request, &facts, id, reasons);
            }
        }
        Ok(responses::response_for(id, &decision, request.amount))
    }

    fn hold(
        &mut self,
        request: &AuthorisationRequest,
        approval: &Approval,
        cause: PostingCause,
    ) -> Result<(), LedgerError> {
        let key = purchase_key(request);
        if open_purchase(self.book, request).is_none() {
            let begun = self.new_purchase(request, cause.posting);
            let (counted, margin) = (begun.counted.clone(), begun.margin.percent());
            self.book.purchases.entry(key.clone()).or_insert(begun).restart(counted, margin);
        }
        let increment = increment(request, approval.amount, approval.permission);
        self.book.change(&key, cause, |purchase, pots| {
            if request.has_foreign_price() {
                purchase.margin = purchase.margin.held();
            }
            purchase.increments.push(increment);
            hold_transfers(purchase, pots, &approval.parts)
        })
    }

    fn new_purchase(&self, request: &AuthorisationRequest, posting: PostingId) -> Purchase {
        Purchase::begin(NewPurchase {
            id: PurchaseId::new(posting.uuid()),
            budget: self.book.budget.clone(),
            connection: request.connection.clone(),
            reference: request.purchase.clone(),
            card: request.card.clone(),
            currency: self.book.currency,
            counted: self.counted.clone(),
            place: MerchantDescriptor::new(request.merchant.name()),
            margin: self.programme.settings.exchange_margin,
        })
    }

    /// Adds the message to the person about a declined purchase.
    fn notify(
        &mut self,
        request: &AuthorisationRequest,
        facts: &Facts,
        decision: DecisionId,
        reasons: &DeclineReasons,
    ) {
        let Self { book, programme, counted, hides_card, .. } = self;
        let message = decline_message::DeclineMessage {
            book,
            programme,
            request,
            facts,
            hides_card: *hides_card,
        };
        let Some(body) = message.text_message(reasons) else { return };
        self.pending_writes.messages.push(NewMessage {
            id: MessageId::new(self.ids.next(facts.moment.at)),
            programme: self.book.programme.clone(),
            budget: self.book.budget.clone(),
            kind: "not_paid",
            subject: decision.to_string(),
            body,
            created_at: facts.moment.at,
            recipient: Recipient::Person,
            facts: decline_message::message_parameters(request, decision, &reasons.first),
            thread: Some(decline_message::message_thread(
                request,
                &counted.shop,
                &reasons.first,
                facts.moment.at,
            )),
            due_at: None,
        });
    }
}
