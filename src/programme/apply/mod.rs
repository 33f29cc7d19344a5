//! Applies a programme's file: finds its differences from the stored state, and writes them.
//!
//! The stored state is read first, without a lock, and a file that does not fit it is refused
//! before anything is written. Then an application record is written, and the people whom the file
//! changes are updated in short transactions, with pauses between them on SQLite. A budget uses the
//! new settings as soon as it is updated, and every other budget uses them once all people are
//! updated, so that no decision mixes two versions. An interrupted application is finished by the
//! next process that finds its record.
//!
//! `plan` and `list` refer to each other: `list` compares a person's list with the stored state in
//! the `ApplyPlan`, and `plan` calls that comparison to refuse a file before anything is written.
//! `person` calls it again under the lock, so that one function decides both what is refused and
//! what is written.

mod list;
mod meaning;
mod pace;
mod person;
mod plan;
mod secrets;

use std::collections::BTreeSet;

use jiff::Timestamp;
use tokio::time::Instant;

use self::pace::give_way;
use self::plan::ApplyPlan;
use super::accounts;
use super::file::{self, FileProblems, ProgrammeFile};
use super::version::StartVersionError;
use crate::domain::agreement::proposal::ConsentSide;
use crate::domain::id::{BudgetId, PersonId, ProgrammeId, ProposalId};
use crate::domain::shop::merchant::{Category, MerchantRules};
use crate::ledger::book::LedgerError;
use crate::merchant_rules;
use crate::merchant_rules::{RulesError, RulesTexts};
use crate::platform::ids::NewIds;
use crate::store::{ApplicationRow, ProgrammeRow, Store, StoreError};

/// Why a file was not applied.
///
/// After [`Self::Store`] and [`Self::Ledger`] part of it may have been written; the next
/// [`apply()`] or [`finish()`] completes it. After the other errors nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    #[error("the merchant rules have mistakes:\n{0}")]
    Rules(RulesError),
    #[error("{0}")]
    File(FileProblems),
    #[error("the file does not fit what is already here:\n{}", .0.join("\n"))]
    Refused(Vec<String>),
    /// Another file of the programme is being applied.
    #[error("another file of {0} is being applied; apply this one again when it is done")]
    Another(ProgrammeId),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

impl From<StartVersionError> for ApplyError {
    fn from(error: StartVersionError) -> Self {
        match error {
            StartVersionError::Store(error) => Self::Store(error),
            StartVersionError::Ledger(error) => Self::Ledger(error),
        }
    }
}

/// What applying a file changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApplyReport {
    pub programme: ProgrammeId,
    /// The version of the settings after the file was applied.
    pub version: u32,
    pub people: usize,
    /// Number of people whom the file changed.
    pub changed: usize,
    /// Number of agreements that started a new version.
    pub agreements: usize,
    /// Number of loads that were posted now; loads posted earlier are not posted again.
    pub loads: usize,
    /// Changes of lists that wait for consent.
    pub waiting: Vec<PendingProposal>,
    /// Changes that a concurrent change prevented; apply the file again to make them.
    pub left: Vec<String>,
}

/// A proposed change of a list, with the sides that have not consented yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingProposal {
    pub person: PersonId,
    pub proposal: ProposalId,
    pub sides: BTreeSet<ConsentSide>,
}

/// A parsed file and its merchant rules.
struct ParsedFile {
    file: ProgrammeFile,
    rules: MerchantRules,
    row: ProgrammeRow,
}

impl ParsedFile {
    fn new(text: &str, texts: RulesTexts<'_>) -> Result<Self, ApplyError> {
        let rules = merchant_rules::read(texts, &[]).map_err(ApplyError::Rules)?;
        let file = file::parse(text, &rules).map_err(ApplyError::File)?;
        let rules = merchant_rules::read(texts, &file.settings.shops).map_err(ApplyError::Rules)?;
        let row = ProgrammeRow {
            version: 0,
            settings: file::write_settings(&file.settings),
            rules: texts.categories.to_owned(),
            shops: texts.shops.map(str::to_owned),
        };
        Ok(Self { file, rules, row })
    }

    /// The version of the settings that the file puts in force: the one in force if it is equal,
    /// else the next one.
    fn version_after(&self, in_force: Option<&ProgrammeRow>) -> u32 {
        let Some(row) = in_force else { return 1 };
        let is_same = row.settings == self.row.settings
            && row.rules == self.row.rules
            && row.shops == self.row.shops;
        if is_same { row.version } else { row.version.saturating_add(1) }
    }
}

/// Creates or updates a programme from its file and its merchant rules.
///
/// Idempotent: applying the same file again changes nothing and takes no lock.
pub async fn apply(
    store: &Store,
    ids: &NewIds,
    now: Timestamp,
    text: &str,
    rules: impl Into<RulesTexts<'_>> + Send,
) -> Result<ApplyReport, ApplyError> {
    let parsed = ParsedFile::new(text, rules.into())?;
    let id = &parsed.file.settings.id;
    finish_matching(store, ids, now, |programme| programme == id).await?;
    let plan = ApplyPlan::of(store, &parsed, now).await?;
    let refusals = plan.refusals(store).await?;
    if !refusals.is_empty() {
        return Err(ApplyError::Refused(refusals));
    }
    let application = begin(store, ids, &plan).await?;
    execute(store, ids, &plan, application.as_ref()).await
}

/// Finishes the interrupted applications of every programme.
pub async fn finish(store: &Store, ids: &NewIds, now: Timestamp) -> Result<(), ApplyError> {
    finish_matching(store, ids, now, |_| true).await
}

async fn finish_matching(
    store: &Store,
    ids: &NewIds,
    now: Timestamp,
    is_wanted: impl Fn(&ProgrammeId) -> bool,
) -> Result<(), ApplyError> {
    for application in store.applications().await? {
        if !is_wanted(&application.programme_id) {
            continue;
        }
        let row = store.programme(&application.programme_id, Some(application.version)).await?;
        let row = row.ok_or(StoreError::Contended("programme_version"))?;
        let texts = RulesTexts { categories: &row.rules, shops: row.shops.as_deref() };
        let parsed = ParsedFile::new(&application.file, texts)?;
        let plan = ApplyPlan::of(store, &parsed, now).await?;
        execute(store, ids, &plan, Some(&application)).await?;
        let programme = &application.programme_id;
        tracing::info!(%programme, "a file that broke off has been applied");
    }
    Ok(())
}

/// Writes everything that is not about one person, with the application record, in one transaction.
/// Returns `None` and writes nothing if the file changes nothing.
async fn begin(
    store: &Store,
    ids: &NewIds,
    plan: &ApplyPlan<'_>,
) -> Result<Option<ApplicationRow>, ApplyError> {
    if plan.is_unchanged() {
        return Ok(None);
    }
    let parsed = plan.parsed;
    let id = &parsed.file.settings.id;
    let application = ApplicationRow {
        programme_id: id.clone(),
        application_id: ids.next(plan.now).to_string(),
        version: plan.version,
        file: file::write(&parsed.file),
        begun_at: plan.now,
    };
    let mut tx = store.begin().await?;
    let began = Instant::now();
    let is_first = plan.in_force.is_none();
    if is_first || plan.in_force.as_ref().is_some_and(|row| row.version != plan.version) {
        let row = ProgrammeRow { version: plan.version, ..parsed.row.clone() };
        tx.add_settings(id, &row, plan.now).await?;
    }
    if !tx.begin_application(&application).await? {
        return Err(ApplyError::Another(id.clone()));
    }
    if plan.secrets.is_changed && !plan.secrets.put(&mut tx, &parsed.file).await? {
        return Err(ApplyError::Refused(vec![format!(
            "programme {id}: one of its connections has the name of another programme's; names of \
             connections are unique here"
        )]));
    }
    if is_first {
        tx.add_budgets(id, &[BudgetId::house()], parsed.file.settings.currency).await?;
    }
    accounts::put(&mut tx, &parsed.file, &plan.accounts).await?;
    tx.add_messages(&plan.messages(ids)).await?;
    tx.commit().await?;
    give_way(store, began.elapsed()).await;
    Ok(Some(application))
}

/// Updates every person whom the file changes, then puts its settings in force.
async fn execute(
    store: &Store,
    ids: &NewIds,
    plan: &ApplyPlan<'_>,
    application: Option<&ApplicationRow>,
) -> Result<ApplyReport, ApplyError> {
    let id = &plan.parsed.file.settings.id;
    let mut applied = ApplyReport {
        programme: id.clone(),
        version: plan.version,
        people: plan.parsed.file.people.len(),
        changed: plan.changed.len(),
        agreements: 0,
        loads: 0,
        waiting: Vec::new(),
        left: Vec::new(),
    };
    let Some(application) = application else { return Ok(applied) };
    for people in plan.batches() {
        if !person::change(store, ids, plan, application, &people, &mut applied).await? {
            // Another process took this application for an interrupted one and has finished it.
            return Ok(applied);
        }
    }
    let mut tx = store.begin().await?;
    if tx.end_application(id, &application.application_id).await? {
        tx.activate_settings(id, application.version).await?;
        tx.commit().await?;
    }
    Ok(applied)
}

/// Accepts every category, because a stored text was checked when it was stored.
fn every(_: &Category) -> bool {
    true
}
