//! Whether a change of a list can be put forward now, by an account or by a file.

use jiff::Timestamp;

use crate::domain::agreement::change::{TermChange, changes};
use crate::domain::agreement::proposal::{
    Proposal, ProposalKind, ProposalState, REFUSAL_COOLDOWN, is_same_again,
};
use crate::domain::id::{BudgetId, ProgrammeId, ProposalId};
use crate::domain::money::Currency;
use crate::domain::shop::merchant::MerchantRules;
use crate::store::{StoreError, Tx};

/// Why a change cannot be put forward now.
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

/// The locked budget whose list is to change, and when.
#[derive(Debug, Clone, Copy)]
pub struct ProposalSlot<'a> {
    pub programme: &'a ProgrammeId,
    pub budget: &'a BudgetId,
    pub currency: Currency,
    pub rules: &'a MerchantRules,
    pub at: Timestamp,
}

impl ProposalSlot<'_> {
    /// One proposal of a kind waits at a time. What was written for another version than the one
    /// `in_force` starts nothing as it is, and is in the way of the person's own wishes only.
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

    /// A no stands for a while: the same change is not put to somebody again and again.
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
            if is_same_again(&changes(&base, &refused.list, rules), proposed) {
                return Ok(Some(ProposalConflict::RecentlyRefused));
            }
        }
        Ok(None)
    }
}
