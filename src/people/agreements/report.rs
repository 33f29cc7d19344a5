//! What people look up about a list: what changed between two versions, and how many restrictions
//! hold, how old they are and why.

use std::sync::Arc;

use crate::domain::agreement::change::{Change, changes};
use crate::domain::agreement::history::{Restriction, Version, restrictions};
use crate::domain::agreement::proposal::Proposal;
use crate::domain::agreement::{Agreement, Scope};
use crate::domain::id::{PersonId, PotId};
use crate::domain::people::role::Act;
use crate::domain::time::period::Moment;
use crate::messages::words::{ChangeLine, Names, Words};
use crate::people::members::{ActError, Acting, Admitted};
use crate::programme::directory::Programme;
use crate::store::{StoreError, Tx, VersionRow};

/// The restrictions of one person: the fewer, the better.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Controls {
    /// The oldest first.
    pub restrictions: Vec<Restriction>,
    /// How many of them are due for a look. A late look switches nothing off.
    pub overdue: usize,
}

/// What differs between two versions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    pub changes: Vec<Change>,
    /// The same in plain words, line by line.
    pub lines: Vec<ChangeLine>,
}

/// How many restrictions a person has, how old each is and why it is there.
pub async fn controls(
    tx: &mut Tx,
    programme: &Programme,
    acting: &Acting,
    person: &PersonId,
) -> Result<Controls, ActError> {
    let history = history(tx, programme, acting, person).await?;
    let today = programme.zone().to_datetime(acting.at).date();
    let restrictions = restrictions(&history, today);
    let overdue = restrictions.iter().filter(|restriction| restriction.is_overdue).count();
    Ok(Controls { restrictions, overdue })
}

/// Every version, for somebody who may see the budget. Locks nothing, and asks for nothing but `tx`: a
/// reader that waits for another one while it holds one keeps everybody waiting.
async fn history(
    tx: &mut Tx,
    programme: &Programme,
    acting: &Acting,
    person: &PersonId,
) -> Result<Vec<Version>, ActError> {
    let admitted = acting.see(tx, Act::SeeList, person).await?;
    let currency = programme.settings.currency;
    let rows = tx.versions_of(&admitted.programme, &admitted.budget, currency).await?;
    let version = |row: VersionRow| Version {
        started_on: Moment::new(row.started_at, programme.zone()).date,
        agreement: Arc::new(row.agreement),
    };
    Ok(rows.into_iter().map(version).collect())
}

/// What changed between any two versions of a person's list, in plain words.
pub async fn difference(
    tx: &mut Tx,
    programme: &Programme,
    acting: &Acting,
    person: &PersonId,
    before: u32,
    after: u32,
) -> Result<Difference, ActError> {
    let admitted = acting.see(tx, Act::SeeList, person).await?;
    let before = version(tx, &admitted, programme, before).await?;
    let after = version(tx, &admitted, programme, after).await?;
    let changes = changes(&before.list(), &after.list(), &programme.rules);
    Ok(in_words(changes, programme, &after))
}

/// What a proposal would change in the list that it was made for, in plain words.
pub async fn proposed(
    tx: &mut Tx,
    programme: &Programme,
    acting: &Acting,
    person: &PersonId,
    proposal: &Proposal,
) -> Result<Difference, ActError> {
    let admitted = acting.see(tx, Act::SeeList, person).await?;
    let base = version(tx, &admitted, programme, proposal.base_version).await?;
    let changes = changes(&base.list(), &proposal.list, &programme.rules);
    Ok(in_words(changes, programme, &base))
}

async fn version(
    tx: &mut Tx,
    admitted: &Admitted,
    programme: &Programme,
    version: u32,
) -> Result<Arc<Agreement>, ActError> {
    let currency = programme.settings.currency;
    match tx.read_agreement(&admitted.programme, &admitted.budget, version, currency).await {
        Err(StoreError::Contended(_)) => Err(ActError::NotThere("version")),
        found => Ok(found?),
    }
}

fn in_words(changes: Vec<Change>, programme: &Programme, agreement: &Agreement) -> Difference {
    let names = ProgrammeNames { programme, agreement };
    let lines = Words::english().change_lines(&changes, &names);
    Difference { changes, lines }
}

/// What a programme calls things.
struct ProgrammeNames<'a> {
    programme: &'a Programme,
    agreement: &'a Agreement,
}

impl Names for ProgrammeNames<'_> {
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
