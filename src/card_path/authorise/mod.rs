//! The path of a question: lock the budget, look for a recorded answer, read the facts, decide,
//! and write the decision with its hold. Many questions share one database transaction.

mod answers;
mod facts;
mod situation;
mod withdraw;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use crate::card_path::issuers::Told;
use crate::domain::agreement::Agreement;
use crate::domain::card::CardState;
use crate::domain::decision::authorisation::{
    Approval, AuthorisationRequest, Continues, Decision, Facts, Reasons,
};
use crate::domain::decision::decide::decide;
use crate::domain::id::{
    BudgetId, ConnectionId, DecisionId, IssuerReference, MessageId, PermissionId, PostingId,
    ProgrammeId, PurchaseId, PurchaseReference,
};
use crate::domain::money::Money;
use crate::domain::money::limit::Counted;
use crate::domain::people::recipient::Recipient;
use crate::domain::purchase::{Beginning, Place, Promise, PromiseState, Purchase};
use crate::domain::time::period::Moment;
use crate::ledger::book::{Book, Cause, LedgerError, PurchaseKey};
use crate::ledger::posting::PostingKind;
use crate::ledger::postings::settled;
use crate::ledger::record::decision::{DECISION, NewDecision, content_digest};
use crate::ledger::record::row::Digest;
use crate::platform::ids::NewIds;
use crate::programme::directory::{Directory, DirectoryError, Programme, SettingsInForce};
use crate::store::{
    Additions, BookWanted, Books, CardKey, Expected, NewMessage, Note, StoreError, Tx, exception_id,
};

pub use answers::our_fault;
use answers::{Answers, key};
pub use withdraw::withdraw;

/// One question, and when it arrived. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Question {
    pub request: Arc<AuthorisationRequest>,
    pub arrived_at: Timestamp,
}

/// One answer, and whether the question was asked with other content before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answered {
    pub told: Told,
    pub is_conflict: bool,
}

/// Why nothing could be decided. Nothing has been written.
#[derive(Debug, thiserror::Error)]
pub enum AuthoriseError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error("programme {0} has no house budget")]
    NoHouse(ProgrammeId),
}

impl AuthoriseError {
    /// What the database had to do with it, if anything.
    pub const fn store(&self) -> Option<&StoreError> {
        match self {
            Self::Store(error) | Self::Directory(DirectoryError::Store(error)) => Some(error),
            Self::Directory(_) | Self::Ledger(_) | Self::NoHouse(_) => None,
        }
    }
}

/// Decides `questions` in the order in which they came, and records the decisions with their holds.
///
/// A repeated reference is answered from its record, whatever has changed since: issuers resend
/// when our answer was late, and a purchase must not be held twice. Questions of one budget see
/// each other. The answers may be told only after `tx` was committed.
pub async fn authorise(
    tx: &mut Tx,
    directory: &Directory,
    ids: &NewIds,
    questions: &[Question],
) -> Result<Vec<Answered>, AuthoriseError> {
    let budgets = budgets(tx, directory, questions).await?;
    let wanted = wanted(questions, &budgets);
    let guesses = guesses(directory, questions, &budgets);
    let expected = expected(questions, &budgets, &guesses);
    let mut books = tx.open_books_expecting(&wanted, &expected, directory.agreements()).await?;
    let mut answers = Answers::recorded(tx, &books.answered).await?;
    let programmes = directory.settings_of(&books).await?;
    let counted = counted(questions, &budgets, &programmes, &books, guesses)?;
    load_counters(tx, questions, &budgets, &counted, &mut books).await?;

    let elsewhere = cards_elsewhere(tx, questions, &budgets, &books).await?;
    let mut additions = Additions::default();
    let mut answered = Vec::with_capacity(questions.len());
    for ((question, budget), counted) in questions.iter().zip(&budgets).zip(counted) {
        let request = &question.request;
        let content = content_digest(request);
        if let Some(known) = answers.find(request, content) {
            if known.is_conflict {
                additions.notes.push(conflict_note(question, budget));
            }
            answered.push(known);
            continue;
        }
        let owner = books.owners.get(&purchase_place(request));
        let is_elsewhere = owner.is_some_and(|owner| owner != budget);
        let open = books.get_mut(&request.programme, budget);
        let open = open.ok_or_else(|| AuthoriseError::NoHouse(request.programme.clone()))?;
        let Some(programme) = programmes.of(open) else {
            return Err(AuthoriseError::NoHouse(request.programme.clone()));
        };
        let book = &mut open.book;
        let hides_card = elsewhere.iter().any(|(p, b)| (p, b) == (&request.programme, budget));
        let mut desk =
            Desk { book, programme, counted, ids, additions: &mut additions, hides_card };
        let told = desk.decide(question, content, is_elsewhere)?;
        answers.remember(request, content, told);
        answered.push(Answered { told, is_conflict: false });
    }
    tx.group_messages(&mut additions).await?;
    tx.close_books(&books.all(), &additions).await?;
    tx.discard((books, additions));
    Ok(answered)
}

/// The budget of each question's card; the house for a card that nobody has.
async fn budgets(
    tx: &mut Tx,
    directory: &Directory,
    questions: &[Question],
) -> Result<Vec<BudgetId>, StoreError> {
    let key = |q: &Question| -> CardKey {
        let request = &q.request;
        (request.programme.clone(), request.connection.clone(), request.card.clone())
    };
    let owners = tx.owners(&questions.iter().map(key).collect(), directory.owners()).await?;
    let budget = |q: &Question| owners.get(&key(q)).cloned().unwrap_or_else(BudgetId::house);
    Ok(questions.iter().map(budget).collect())
}

/// What a question counts as under the latest settings and agreement in memory. Only the locked
/// budget says which are in force.
struct Guess {
    programme: u32,
    agreement: Arc<Agreement>,
    counted: Counted,
}

fn guesses(
    directory: &Directory,
    questions: &[Question],
    budgets: &[BudgetId],
) -> Vec<Option<Guess>> {
    let guess = |(question, budget): (&Question, &BudgetId)| {
        let request = &question.request;
        let programme = directory.latest(&request.programme)?;
        let agreement = directory.agreements().latest(&request.programme, budget)?;
        let moment = Moment::new(question.arrived_at, programme.zone());
        let counted = programme.counted(request, Some(&agreement), moment);
        Some(Guess { programme: programme.version, agreement, counted })
    };
    questions.iter().zip(budgets).map(guess).collect()
}

/// What will be asked for beside the books. Counters that were not guessed are read later.
fn expected(questions: &[Question], budgets: &[BudgetId], guesses: &[Option<Guess>]) -> Expected {
    let mut keys: Vec<_> = questions.iter().map(|question| key(&question.request)).collect();
    keys.sort();
    keys.dedup();
    let mut counters = Vec::new();
    for ((question, budget), guess) in questions.iter().zip(budgets).zip(guesses) {
        let Some(guess) = guess else { continue };
        let programme = &question.request.programme;
        let touched = guess.counted.counters(&guess.agreement).into_iter();
        counters.extend(touched.map(|key| (programme.clone(), budget.clone(), key)));
    }
    Expected { questions: keys, counters }
}

/// What each question counts as, if it is about a new purchase.
fn counted(
    questions: &[Question],
    budgets: &[BudgetId],
    programmes: &SettingsInForce,
    books: &Books,
    guesses: Vec<Option<Guess>>,
) -> Result<Vec<Counted>, AuthoriseError> {
    let count = |((question, budget), guess): ((&Question, &BudgetId), Option<Guess>)| {
        let request = &question.request;
        let id = &request.programme;
        let open = books.get(id, budget).ok_or_else(|| AuthoriseError::NoHouse(id.clone()))?;
        let programme = programmes.of(open).ok_or_else(|| AuthoriseError::NoHouse(id.clone()))?;
        let agreement = open.book.owner.as_ref().map(|owner| &owner.agreement);
        match guess.zip(agreement) {
            Some((guess, agreement))
                if guess.programme == programme.version
                    && Arc::ptr_eq(&guess.agreement, agreement) =>
            {
                Ok(guess.counted)
            }
            _ => {
                let moment = Moment::new(question.arrived_at, programme.zone());
                Ok(programme.counted(request, open.book.agreement(), moment))
            }
        }
    };
    questions.iter().zip(budgets).zip(guesses).map(count).collect()
}

fn wanted(questions: &[Question], budgets: &[BudgetId]) -> Vec<BookWanted> {
    let mut wanted: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for (question, budget) in questions.iter().zip(budgets) {
        let request = &question.request;
        let purchases = wanted.entry((request.programme.clone(), budget.clone())).or_default();
        purchases.insert((request.connection.clone(), request.purchase.clone()));
    }
    let book = |((programme, budget), purchases)| BookWanted { programme, budget, purchases };
    wanted.into_iter().map(book).collect()
}

/// Reads the counters that the questions touch and that were not guessed.
async fn load_counters(
    tx: &mut Tx,
    questions: &[Question],
    budgets: &[BudgetId],
    counted: &[Counted],
    books: &mut Books,
) -> Result<(), StoreError> {
    let mut keys = Vec::new();
    for ((question, budget), fresh) in questions.iter().zip(budgets).zip(counted) {
        let request = &question.request;
        let Some(open) = books.get(&request.programme, budget) else { continue };
        let Some(owner) = &open.book.owner else { continue };
        let begun = open_purchase(&open.book, request).map(|purchase| &purchase.counted);
        for counted in touched(fresh, begun) {
            let touched = counted.counters(&owner.agreement).into_iter();
            keys.extend(touched.map(|key| (request.programme.clone(), budget.clone(), key)));
        }
    }
    tx.load_counters(&keys, books).await
}

/// The budgets whose card somebody else has, as far as a text may name a card: looked for only where
/// a card was lost, replaced or has expired.
async fn cards_elsewhere(
    tx: &mut Tx,
    questions: &[Question],
    budgets: &[BudgetId],
    books: &Books,
) -> Result<BTreeSet<(ProgrammeId, BudgetId)>, StoreError> {
    let mut elsewhere = BTreeSet::new();
    for (question, budget) in questions.iter().zip(budgets) {
        let request = &question.request;
        let open = books.get(&request.programme, budget);
        let card = open.and_then(|open| open.book.card(&request.connection, &request.card));
        let state = card.map(|card| card.standing.at(question.arrived_at));
        if state.is_some_and(CardState::is_told_by_ending) {
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

fn purchase_place(
    request: &AuthorisationRequest,
) -> (ProgrammeId, ConnectionId, PurchaseReference) {
    (request.programme.clone(), request.connection.clone(), request.purchase.clone())
}

/// The purchase that `request` asks more for, if anything is held or paid for it. One that was
/// undone and is asked for again begins anew: on this day, under what is agreed now.
fn open_purchase<'a>(book: &'a Book, request: &AuthorisationRequest) -> Option<&'a Purchase> {
    let known = book.purchases.get(&purchase_key(request))?;
    known.committed().is_ok_and(Money::is_positive).then_some(known)
}

/// What a question touches counters as. More of an open purchase counts as that purchase, and is
/// judged by what the shop says now too: on the day on which the purchase counts.
fn touched<'a>(fresh: &'a Counted, begun: Option<&'a Counted>) -> Vec<Cow<'a, Counted>> {
    match begun {
        None => vec![Cow::Borrowed(fresh)],
        Some(begun) => {
            let now = Counted { on: begun.on, ..fresh.clone() };
            vec![Cow::Borrowed(begun), Cow::Owned(now)]
        }
    }
}

/// Whether the question is about a purchase that counts already.
fn continues(open: Option<&Purchase>) -> Result<Continues, LedgerError> {
    let Some(purchase) = open else { return Ok(Continues::Nothing) };
    let so_far = purchase.committed()?;
    Ok(Continues::Open { so_far, counted_on: purchase.counted.on })
}

/// What is promised when this much of `request` is approved.
const fn promise(
    request: &AuthorisationRequest,
    amount: Money,
    permission: Option<PermissionId>,
) -> Promise {
    Promise { sequence: request.sequence, amount, permission, state: PromiseState::Kept }
}

fn conflict_note(question: &Question, budget: &BudgetId) -> Note {
    let request = &question.request;
    let about = reference_text(&request.connection, &request.reference);
    Note {
        id: exception_id(&request.programme, "conflict", &about),
        programme: request.programme.clone(),
        budget: budget.clone(),
        kind: "conflict",
        subject: about.clone(),
        about,
        detail: "the same reference came before with other content; it was not paid".to_owned(),
        noted_at: question.arrived_at,
    }
}

fn reference_text(connection: &ConnectionId, reference: &IssuerReference) -> String {
    format!("{connection}/{reference}")
}

/// One budget's book, and what deciding on it needs.
struct Desk<'a> {
    book: &'a mut Book,
    programme: &'a Programme,
    /// What the question counts as, if it is about a new purchase.
    counted: Counted,
    ids: &'a NewIds,
    additions: &'a mut Additions,
    /// Somebody else has the card: no text names one.
    hides_card: bool,
}

impl Desk<'_> {
    fn decide(
        &mut self,
        question: &Question,
        content: Digest,
        is_elsewhere: bool,
    ) -> Result<Told, LedgerError> {
        let request = &question.request;
        let moment = Moment::new(question.arrived_at, self.programme.zone());
        let mut facts = self.facts(request, moment)?;
        if is_elsewhere {
            facts.continues = Continues::Anothers;
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
        let cause = Cause {
            posting: PostingId::new(self.ids.next(moment.at)),
            kind: PostingKind::Decision,
            subject: id.to_string(),
            record: Digest::of_row(&DECISION, &row),
            moment,
        };
        self.additions.decisions.push(row);
        match &decision {
            Decision::Approve(approval) if approval.amount.is_positive() => {
                self.hold(request, approval, cause)?;
            }
            Decision::Approve(_) => self.book.post(cause, Vec::new())?,
            Decision::Decline(reasons) => {
                self.book.post(cause, Vec::new())?;
                self.tell(request, &facts, id, reasons);
            }
        }
        Ok(answers::told(id, &decision, request.amount))
    }

    fn hold(
        &mut self,
        request: &AuthorisationRequest,
        approval: &Approval,
        cause: Cause,
    ) -> Result<(), LedgerError> {
        let key = purchase_key(request);
        if open_purchase(self.book, request).is_none() {
            let begun = self.new_purchase(request, cause.posting);
            let (counted, margin) = (begun.counted.clone(), begun.margin.percent());
            self.book.purchases.entry(key.clone()).or_insert(begun).begin_anew(counted, margin);
        }
        let promise = promise(request, approval.amount, approval.permission);
        self.book.change(&key, cause, |purchase, pots| {
            if request.has_foreign_price() {
                purchase.margin = purchase.margin.held();
            }
            purchase.promises.push(promise);
            settled(purchase, pots, &approval.parts)
        })
    }

    fn new_purchase(&self, request: &AuthorisationRequest, posting: PostingId) -> Purchase {
        Purchase::begin(Beginning {
            id: PurchaseId::new(posting.uuid()),
            budget: self.book.budget.clone(),
            connection: request.connection.clone(),
            reference: request.purchase.clone(),
            card: request.card.clone(),
            currency: self.book.currency,
            counted: self.counted.clone(),
            place: Place::new(request.merchant.name()),
            margin: self.programme.settings.exchange_margin,
        })
    }

    /// Writes what the person is told about a purchase that is not paid.
    fn tell(
        &mut self,
        request: &AuthorisationRequest,
        facts: &Facts,
        decision: DecisionId,
        reasons: &Reasons,
    ) {
        let Self { book, programme, counted, hides_card, .. } = self;
        let told = situation::Told { book, programme, request, facts, hides_card: *hides_card };
        let Some(body) = told.text_message(reasons) else { return };
        self.additions.messages.push(NewMessage {
            id: MessageId::new(self.ids.next(facts.moment.at)),
            programme: self.book.programme.clone(),
            budget: self.book.budget.clone(),
            kind: "not_paid",
            subject: decision.to_string(),
            body,
            created_at: facts.moment.at,
            recipient: Recipient::Person,
            facts: situation::particulars(request, decision, &reasons.first),
            matter: Some(situation::matter(
                request,
                &counted.shop,
                &reasons.first,
                facts.moment.at,
            )),
            due_at: None,
        });
    }
}
