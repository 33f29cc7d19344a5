//! Read-only reports about a list: the changes between two versions, and the restrictions in force
//! with their age and reason.

use std::sync::Arc;

use crate::domain::agreement::change::{TermChange, changes};
use crate::domain::agreement::history::{AgreementVersion, Restriction, restrictions};
use crate::domain::agreement::proposal::Proposal;
use crate::domain::agreement::{Agreement, Scope};
use crate::domain::id::{PersonId, PotId};
use crate::domain::people::role::Capability;
use crate::domain::time::period::Moment;
use crate::messages::words::{ChangeLine, DisplayNames, Words};
use crate::people::members::{GrantedAccess, Principal, UseCaseError};
use crate::programme::directory::Programme;
use crate::store::{StoreError, Tx, VersionRow};

/// The restrictions in force for one person. Reported so that the programme keeps them few.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpendingControls {
    /// Oldest first.
    pub restrictions: Vec<Restriction>,
    /// How many are past their review date. An overdue review ends no restriction.
    pub overdue: usize,
}

/// The differences between two versions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgreementDiff {
    pub changes: Vec<TermChange>,
    /// The changes in plain words, one line each.
    pub lines: Vec<ChangeLine>,
}

/// The restrictions in force for a person, with the age and the reason of each.
pub async fn controls(
    tx: &mut Tx,
    programme: &Programme,
    principal: &Principal,
    person: &PersonId,
) -> Result<SpendingControls, UseCaseError> {
    let history = history(tx, programme, principal, person).await?;
    let today = programme.zone().to_datetime(principal.at).date();
    let restrictions = restrictions(&history, today);
    let overdue = restrictions.iter().filter(|restriction| restriction.is_overdue).count();
    Ok(SpendingControls { restrictions, overdue })
}

/// Every version of the person's list. Takes no lock and no connection but `tx`, because readers
/// that hold one connection and wait for another one can exhaust the pool.
async fn history(
    tx: &mut Tx,
    programme: &Programme,
    principal: &Principal,
    person: &PersonId,
) -> Result<Vec<AgreementVersion>, UseCaseError> {
    let access = principal.admit_to_read(tx, Capability::SeeList, person).await?;
    let currency = programme.settings.currency;
    let rows = tx.versions_of(&access.programme, &access.budget, currency).await?;
    let version = |row: VersionRow| AgreementVersion {
        started_on: Moment::new(row.started_at, programme.zone()).date,
        agreement: Arc::new(row.agreement),
    };
    Ok(rows.into_iter().map(version).collect())
}

/// What changed between any two versions of a person's list, in plain words.
pub async fn difference(
    tx: &mut Tx,
    programme: &Programme,
    principal: &Principal,
    person: &PersonId,
    before: u32,
    after: u32,
) -> Result<AgreementDiff, UseCaseError> {
    let access = principal.admit_to_read(tx, Capability::SeeList, person).await?;
    let before = version(tx, &access, programme, before).await?;
    let after = version(tx, &access, programme, after).await?;
    let changes = changes(&before.list(), &after.list(), &programme.rules);
    Ok(describe_changes(changes, programme, &after))
}

/// What a proposal would change in its base version, in plain words.
pub async fn proposed(
    tx: &mut Tx,
    programme: &Programme,
    principal: &Principal,
    person: &PersonId,
    proposal: &Proposal,
) -> Result<AgreementDiff, UseCaseError> {
    let access = principal.admit_to_read(tx, Capability::SeeList, person).await?;
    let base = version(tx, &access, programme, proposal.base_version).await?;
    let changes = changes(&base.list(), &proposal.list, &programme.rules);
    Ok(describe_changes(changes, programme, &base))
}

async fn version(
    tx: &mut Tx,
    access: &GrantedAccess,
    programme: &Programme,
    version: u32,
) -> Result<Arc<Agreement>, UseCaseError> {
    let currency = programme.settings.currency;
    match tx.read_agreement(&access.programme, &access.budget, version, currency).await {
        Err(StoreError::Contended(_)) => Err(UseCaseError::NotFound("version")),
        found => Ok(found?),
    }
}

fn describe_changes(
    changes: Vec<TermChange>,
    programme: &Programme,
    agreement: &Agreement,
) -> AgreementDiff {
    let names = ProgrammeNames { programme, agreement };
    let lines = Words::english().change_lines(&changes, &names);
    AgreementDiff { changes, lines }
}

/// Display names from the programme's rules and an agreement.
struct ProgrammeNames<'a> {
    programme: &'a Programme,
    agreement: &'a Agreement,
}

impl DisplayNames for ProgrammeNames<'_> {
    fn scope(&self, scope: &Scope) -> Option<String> {
        match scope {
            Scope::Category(category) => Some(self.programme.category_name(category).to_owned()),
            Scope::Code(code) => self.programme.rules.code_name(*code).map(str::to_owned),
            Scope::Shop(key) | Scope::OneShop(key, _) => {
                let shop = self.programme.rules.shops().with_key(key);
                shop.map(|shop| shop.name.clone())
            }
            Scope::EverythingElse | Scope::Everything | Scope::Gate(_) => None,
        }
    }

    fn pot(&self, pot: &PotId) -> String {
        let plan = self.agreement.pots.iter().find(|plan| plan.id == *pot);
        plan.map_or_else(|| pot.to_string(), |plan| plan.name.clone())
    }
}
