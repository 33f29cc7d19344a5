//! A locked budget, with the access of the account that acts on it.

use std::sync::Arc;

use crate::domain::agreement::Agreement;
use crate::domain::id::{BudgetId, PersonId, ProgrammeId};
use crate::domain::people::role::{Capability, Role};
use crate::domain::time::period::Moment;
use crate::people::members::{GrantedAccess, Principal, UseCaseContext, UseCaseError};
use crate::programme::directory::Programme;
use crate::store::{BookRequest, Books, OpenBook, PendingWrites, StoreError, Tx};

/// What a use case on one budget reads and changes until [`AdmittedBudget::close`].
pub(super) struct AdmittedBudget<'d> {
    pub(super) context: UseCaseContext<'d>,
    pub(super) access: GrantedAccess,
    pub(super) books: Books,
    pub(super) programme: Arc<Programme>,
    pub(super) moment: Moment,
    /// Messages that [`AdmittedBudget::close`] writes.
    pub(super) pending_writes: PendingWrites,
}

impl<'d> AdmittedBudget<'d> {
    /// Locks the budget of `person` and checks the capability that `act` returns for the account's
    /// role.
    pub(super) async fn open(
        tx: &mut Tx,
        context: UseCaseContext<'d>,
        principal: &Principal,
        person: &PersonId,
        act: impl FnOnce(Role) -> Capability + Send,
    ) -> Result<Self, UseCaseError> {
        let books = lock_budget(tx, context, &principal.programme, &BudgetId::of(person)).await?;
        let actor = tx.actor(&principal.programme, &principal.member, principal.at).await?;
        let role = actor.ok_or(UseCaseError::NotFound("person"))?.member.role;
        let access = principal.admit(tx, act(role), person).await?;
        let version = books.settings_version(&access.programme, &access.budget);
        let version = version.ok_or(UseCaseError::NotFound("person"))?;
        let programme = context.directory.version(&access.programme, version).await?;
        let moment = Moment::new(principal.at, programme.zone());
        let pending_writes = PendingWrites::default();
        Ok(Self { context, access, books, programme, moment, pending_writes })
    }

    pub(super) fn open_book(&self) -> Result<&OpenBook, UseCaseError> {
        let open = self.books.get(&self.access.programme, &self.access.budget);
        open.ok_or(UseCaseError::NotFound("person"))
    }

    pub(super) fn open_book_mut(&mut self) -> Result<&mut OpenBook, UseCaseError> {
        let open = self.books.get_mut(&self.access.programme, &self.access.budget);
        open.ok_or(UseCaseError::NotFound("person"))
    }

    /// The version of the list in force.
    pub(super) fn agreement(&self) -> Result<Arc<Agreement>, UseCaseError> {
        let owner = self.open_book()?.book.owner.as_ref();
        Ok(Arc::clone(&owner.ok_or(UseCaseError::NotFound("list"))?.agreement))
    }

    /// Writes the act, the changed book and the pending messages.
    pub(super) async fn close(
        &self,
        tx: &mut Tx,
        kind: &str,
        subject: &str,
        detail: &str,
    ) -> Result<(), UseCaseError> {
        let act = self.access.act_row(self.context.ids, kind, subject, detail);
        tx.add_acts(&[act]).await?;
        tx.close_books(&self.books.all(), &self.pending_writes).await?;
        Ok(())
    }
}

/// Locks a budget and reads its book, without any purchases.
pub(super) async fn lock_budget(
    tx: &mut Tx,
    context: UseCaseContext<'_>,
    programme: &ProgrammeId,
    budget: &BudgetId,
) -> Result<Books, StoreError> {
    let wanted = BookRequest::without_purchases(programme, budget);
    tx.open_books(&[wanted], context.directory.agreements()).await
}
