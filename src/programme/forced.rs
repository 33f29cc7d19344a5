//! What a law forced, taken back: somebody who looked again found that none did.

use std::collections::BTreeSet;

use super::directory::Programme;
use super::version::{StartError, start_version};
use crate::domain::agreement::Agreement;
use crate::domain::agreement::history::without_forced;
use crate::domain::agreement::proposal::{Kind, Proposal};
use crate::domain::id::ProgrammeId;
use crate::domain::time::period::Moment;
use crate::platform::ids::NewIds;
use crate::store::{Additions, Agreements, BookWanted, Tx};

/// Who found it, and why, in words that the person reads.
#[derive(Debug, Clone, Copy)]
pub struct Found<'a> {
    pub forced: &'a Proposal,
    pub by: &'a str,
    pub why: &'a str,
}

/// Starts a version without what was forced. None starts when nothing of it holds any more.
pub async fn take_back_forced(
    tx: &mut Tx,
    id: &ProgrammeId,
    programme: &Programme,
    agreements: &Agreements,
    ids: &NewIds,
    moment: Moment,
    found: Found<'_>,
) -> Result<(), StartError> {
    let (budget, currency) = (&found.forced.budget, programme.settings.currency);
    let wanted =
        BookWanted { programme: id.clone(), budget: budget.clone(), purchases: BTreeSet::new() };
    let mut books = tx.open_books(&[wanted], agreements).await?;
    let Some(open) = books.get_mut(id, budget) else { return Ok(()) };
    let Some((now, version)) = open.book.agreement().cloned().zip(found.forced.version) else {
        return Ok(());
    };
    let before = tx.read_agreement(id, budget, version.saturating_sub(1), currency).await?.list();
    let after = tx.read_agreement(id, budget, version, currency).await?.list();
    let list = without_forced(&now.list(), &before, &after, &programme.rules);
    if list == now.list() {
        return Ok(());
    }
    let agreement = Agreement {
        version: now.version.saturating_add(1),
        agreed_on: moment.date,
        agreed_by: vec![found.by.to_owned()],
        how: found.why.to_owned(),
        partial: list.partial,
        terms: list.terms,
        pots: list.pots,
        ..now
    };
    let (book, kind, rules) = (&mut open.book, Some(Kind::Law), &programme.rules);
    start_version(tx, book, &agreement, kind, rules, ids, moment).await?;
    tx.close_books(&books.all(), &Additions::default()).await?;
    Ok(())
}
