//! Reads of single purchases. A read by anybody but the person is recorded first, with its reason,
//! and the person can see the record.

use super::Api;
use super::extract::check_words;
use crate::domain::id::{LookId, PersonId};
use crate::domain::people::role::{Capability, Role};
use crate::people::members::{GrantedAccess, Principal};
use crate::store::{LookRow, Tx};
use crate::web::problem::{ApiError, FieldProblem};

/// The recorded reason of a helper, who needs no other because the person allows the read.
const TICKED_REASON: &str = "The person let them see it.";

/// Starts to read purchases. A read by anybody but the person is recorded before, in a transaction
/// of its own, so that no reader holds a lock that an authorisation request waits for.
///
/// # Errors
///
/// [`ApiError::Invalid`] when `reason` is missing and the role needs one.
pub(super) async fn begin_recorded_read(
    api: &Api,
    principal: &Principal,
    person: &PersonId,
    what: &str,
    reason: Option<&str>,
) -> Result<(Tx, GrantedAccess), ApiError> {
    let reason = reason.map(|reason| check_words("reason", reason)).transpose()?;
    let (tx, access) = api.begin_read(principal, Capability::SeePurchase, person).await?;
    if access.actor.member.role == Role::Person {
        return Ok((tx, access));
    }
    tx.commit().await?;
    let (own, by, whose, what_read) =
        (api.clone(), principal.clone(), person.clone(), what.to_owned());
    api.write(async move { record_look(&own, &by, &whose, &what_read, reason).await }).await?;
    api.begin_read(principal, Capability::SeePurchase, person).await
}

async fn record_look(
    api: &Api,
    principal: &Principal,
    person: &PersonId,
    what: &str,
    reason: Option<String>,
) -> Result<(), ApiError> {
    let mut tx = api.store.begin().await?;
    let access = principal.admit(&mut tx, Capability::SeePurchase, person).await?;
    let reason = match reason {
        Some(reason) => reason,
        None if !access.actor.member.role.requires_view_reason() => TICKED_REASON.to_owned(),
        None => {
            let what = "say why you look: the person can read it";
            return Err(ApiError::Invalid(vec![FieldProblem::of("reason", what)]));
        }
    };
    let row = LookRow {
        programme_id: access.programme.clone(),
        budget_id: access.budget.clone(),
        look_id: LookId::new(api.ids.next(principal.at)),
        member_id: access.actor.member.id.clone(),
        what: what.to_owned(),
        reason,
        looked_at: principal.at,
    };
    tx.add_looks(&[row]).await?;
    Ok(tx.commit().await?)
}
