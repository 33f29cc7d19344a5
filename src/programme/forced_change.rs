//! Reverts a change that a law forced, after a review found that the law does not require it.

use super::directory::Programme;
use super::version::{StartVersionError, start_version};
use crate::domain::agreement::Agreement;
use crate::domain::agreement::history::without_forced;
use crate::domain::agreement::proposal::{Proposal, ProposalKind};
use crate::domain::id::ProgrammeId;
use crate::domain::time::period::Moment;
use crate::platform::ids::NewIds;
use crate::store::{AgreementCache, BookRequest, PendingWrites, Tx};

/// The change, who reviewed it, and why it is reverted, in words for the person.
#[derive(Debug, Clone, Copy)]
pub struct ForcedChangeReview<'a> {
    pub forced: &'a Proposal,
    pub by: &'a str,
    pub why: &'a str,
}

/// Starts a version without the forced change. Starts none if no part of the change is still in
/// force.
pub async fn revert_forced_change(
    tx: &mut Tx,
    id: &ProgrammeId,
    programme: &Programme,
    agreements: &AgreementCache,
    ids: &NewIds,
    moment: Moment,
    review: ForcedChangeReview<'_>,
) -> Result<(), StartVersionError> {
    let (budget, currency) = (&review.forced.budget, programme.settings.currency);
    let wanted = BookRequest::without_purchases(id, budget);
    let mut books = tx.open_books(&[wanted], agreements).await?;
    let Some(open) = books.get_mut(id, budget) else { return Ok(()) };
    let Some((now, version)) = open.book.agreement().cloned().zip(review.forced.version) else {
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
        agreed_by: vec![review.by.to_owned()],
        how: review.why.to_owned(),
        partial: list.partial,
        terms: list.terms,
        pots: list.pots,
        ..now
    };
    let (book, kind, rules) = (&mut open.book, Some(ProposalKind::Law), &programme.rules);
    start_version(tx, book, &agreement, kind, rules, ids, moment).await?;
    tx.close_books(&books.all(), &PendingWrites::default()).await?;
    Ok(())
}
