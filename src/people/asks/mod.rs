//! Use cases of asks, appeals and safety: asking for a one-time OK, answering, and appealing a no.
//!
//! Each use case runs in the caller's transaction. It locks the budget, checks access, lets the
//! domain compute the next state, and writes that with a compare-and-set, together with the act and
//! the messages. The caller commits.

mod answer;
mod appeal;
mod appealable;
mod ask;
mod change;
mod outbox;
mod overdue;
mod overturn;
mod safety;
mod signals;

use std::sync::Arc;

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};

use crate::domain::agreement::Agreement;
use crate::domain::ask::clock::AskClock;
use crate::domain::ask::permission::Permission;
use crate::domain::ask::{Ask, AskSubject, cooling_days};
use crate::domain::id::{BudgetId, ProgrammeId, WorkerId};
use crate::domain::money::Currency;
use crate::domain::shop::merchant::{Category, Mcc, ShopCategories};
use crate::domain::time::working_time::WorkingTime;
use crate::people::members::{UseCaseContext, UseCaseError};
use crate::programme::directory::Programme;
use crate::store::{BookRequest, StoreError, Tx};

pub use answer::suggest;
pub use appeal::{
    AppealAnswerRequest, answer_appeal, appeal, remind_of_overdue_appeal, take_back_appeal,
};
pub use appealable::appealable;
pub use ask::{AskRequest, AskTarget, ask};
pub use change::{AskAnswerRequest, AskChange, change};
pub use overdue::escalate_overdue;
pub use safety::{TalkNotes, choose_quiet_word, receive_text, record_custody, record_talk};
pub use signals::safety_signals;

/// The longest text with an ask or an answer, in characters.
const WORDS_CHARS_MAX: usize = 500;

/// A locked budget, with its settings and agreement in force.
#[derive(Debug)]
struct LockedBudget {
    programme_id: ProgrammeId,
    budget: BudgetId,
    programme: Arc<Programme>,
    agreement: Arc<Agreement>,
    worker: WorkerId,
    /// The permissions of the budget, including ended ones that are not yet purged.
    permissions: Vec<Permission>,
}

impl LockedBudget {
    /// Locks the budget and loads its settings, agreement and permissions.
    async fn lock(
        tx: &mut Tx,
        context: UseCaseContext<'_>,
        programme: &ProgrammeId,
        budget: &BudgetId,
    ) -> Result<Self, UseCaseError> {
        let wanted = BookRequest::without_purchases(programme, budget);
        let mut books = tx.open_books(&[wanted], context.directory.agreements()).await?;
        let version =
            books.settings_version(programme, budget).ok_or(UseCaseError::NotFound("person"))?;
        let open = books.get_mut(programme, budget).ok_or(UseCaseError::NotFound("person"))?;
        let owner = open.book.owner.take().ok_or(UseCaseError::NotFound("person"))?;
        let worker = owner.worker.parse().map_err(|_| UseCaseError::NotFound("worker"))?;
        Ok(Self {
            programme_id: programme.clone(),
            budget: budget.clone(),
            programme: context.directory.version(programme, version).await?,
            agreement: owner.agreement,
            worker,
            permissions: std::mem::take(&mut open.book.permissions),
        })
    }

    /// Stores a permission and purges those that ended by its [`Permission::retention_cutoff`].
    async fn grant(&self, tx: &mut Tx, permission: &Permission) -> Result<(), StoreError> {
        let (programme, budget) = (&self.programme_id, &self.budget);
        tx.add_permission(programme, budget, permission).await?;
        tx.purge_permissions(programme, budget, permission.retention_cutoff()).await
    }

    fn currency(&self) -> Currency {
        self.programme.settings.currency
    }

    fn worker_name(&self) -> &str {
        self.programme.worker_name(&self.worker)
    }

    fn working(&self) -> WorkingTime<'_> {
        WorkingTime { hours: &self.programme.settings.hours, zone: self.programme.zone() }
    }

    fn clock(&self) -> AskClock<'_> {
        let hours = self.programme.settings.asks.answer_hours;
        AskClock {
            working: self.working(),
            answer_within: SignedDuration::from_hours(hours.into()),
        }
    }

    fn today(&self, at: Timestamp) -> Date {
        self.programme.zone().to_datetime(at).date()
    }

    /// The days that a yes to `wanted` waits, because of a block that the person set on themselves;
    /// none without such a block.
    fn cooling_days(&self, wanted: AskSubject<'_>) -> Option<u32> {
        cooling_days(&self.agreement, &self.programme.rules, wanted)
    }

    /// Whether no stream of this person may pay for `category`, or for what else shops with the
    /// code `mcc` sell. No agreement and no permission lifts that.
    ///
    /// False without a category: that of a shop which an ask only names is unknown until the shop
    /// requests a payment.
    fn is_barred(&self, category: Option<&Category>, mcc: Option<Mcc>, at: Timestamp) -> bool {
        let also = self.programme.rules.kinds_of(mcc).also;
        let streams = &self.programme.settings.streams;
        category.is_some_and(|category| {
            let kinds = ShopCategories { category, also };
            self.agreement.barred(streams, kinds, self.today(at)).is_some()
        })
    }

    /// As [`Self::is_barred`], for what `ask` is for, with the code of its declined purchase.
    async fn is_ask_barred(
        &self,
        tx: &mut Tx,
        ask: &Ask,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        let declined = tx.decisions_by_id(&self.programme_id, ask.decision.as_slice()).await?.pop();
        let request = declined.and_then(|declined| declined.request());
        let mcc = request.and_then(|request| request.merchant.mcc());
        Ok(self.is_barred(ask.category.as_ref(), mcc, at))
    }
}

/// An optional text, trimmed; none if it is empty. At most [`WORDS_CHARS_MAX`] characters, and no
/// control characters except line feeds.
fn optional_words(words: Option<&str>) -> Result<Option<String>, UseCaseError> {
    let words = words.map(str::trim).filter(|words| !words.is_empty());
    match words {
        Some(words) if words.chars().count() > WORDS_CHARS_MAX => Err(UseCaseError::invalid(
            "words",
            format!("write {WORDS_CHARS_MAX} characters or fewer"),
        )),
        Some(words) if words.chars().any(|c| c.is_control() && c != '\n') => {
            Err(UseCaseError::invalid("words", "take out what cannot be seen"))
        }
        Some(_) | None => Ok(words.map(str::to_owned)),
    }
}
