//! Whether a change of a list can be proposed now, by an account or by a file.

use jiff::Timestamp;

use crate::domain::agreement::change::{TermChange, changes};
use crate::domain::agreement::proposal::{
    Proposal, ProposalKind, ProposalState, REFUSAL_COOLDOWN, repeats_refusal,
};
use crate::domain::id::{BudgetId, ProgrammeId, ProposalId};
use crate::domain::money::Currency;
use crate::domain::shop::merchant::MerchantRules;
use crate::store::{StoreError, Tx};

/// Why a change cannot be proposed now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProposalConflict {
    #[error("another change waits for an answer: {0}; it must end first")]
    AnotherOpen(ProposalId),
    #[error(
        "there was a no to the same change; wait {} days after it",
        REFUSAL_COOLDOWN.as_hours().div_euclid(24)
    )]
    RecentlyRefused,
}

/// A locked budget whose list is to change at the instant `at`.
#[derive(Debug, Clone, Copy)]
pub struct ProposalSlot<'a> {
    pub programme: &'a ProgrammeId,
    pub budget: &'a BudgetId,
    pub currency: Currency,
    pub rules: &'a MerchantRules,
    pub at: Timestamp,
}

impl ProposalSlot<'_> {
    /// The open proposal that prevents another one of `kind`, because only one may be open at a
    /// time. A [`ProposalKind::Together`] proposal based on another version than `in_force` does
    /// not count, because it cannot start as it is.
    pub async fn open_conflict(
        &self,
        tx: &mut Tx,
        kind: ProposalKind,
        in_force: u32,
    ) -> Result<Option<ProposalConflict>, StoreError> {
        let open = tx.open_proposals(self.programme, self.budget, self.currency).await?;
        let is_in_the_way = |other: &&Proposal| {
            let is_stale = other.base_version != in_force && kind == ProposalKind::Together;
            other.state_at(self.at) == ProposalState::Open && other.kind == kind && !is_stale
        };
        Ok(open.iter().find(is_in_the_way).map(|other| ProposalConflict::AnotherOpen(other.id)))
    }

    /// Whether the same change was refused within [`REFUSAL_COOLDOWN`], so that nobody is asked for
    /// it again and again.
    pub async fn recent_refusal(
        &self,
        tx: &mut Tx,
        proposed: &[TermChange],
    ) -> Result<Option<ProposalConflict>, StoreError> {
        let Self { programme, budget, currency, rules, at } = *self;
        let since = at.checked_sub(REFUSAL_COOLDOWN).unwrap_or(Timestamp::MIN);
        for refused in tx.refused_proposals(programme, budget, since, currency).await? {
            let version = refused.base_version;
            let base = tx.read_agreement(programme, budget, version, currency).await?.list();
            if repeats_refusal(&changes(&base, &refused.list, rules), proposed) {
                return Ok(Some(ProposalConflict::RecentlyRefused));
            }
        }
        Ok(None)
    }
}
