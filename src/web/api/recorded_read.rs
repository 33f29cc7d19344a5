//! Looking at single purchases: when somebody else than the person looks, why is kept first, and the
//! person can read it.

use super::Api;
use super::extract::check_words;
use crate::domain::id::{LookId, PersonId};
use crate::domain::people::role::{Capability, Role};
use crate::people::members::{GrantedAccess, Principal};
use crate::store::{LookRow, Tx};
use crate::web::problem::{ApiError, FieldProblem};

/// Why a helper looks: the person has ticked it, which needs no other reason.
const TICKED_REASON: &str = "The person let them see it.";

/// Begins to read purchases. The look of somebody else is kept, in a transaction of its own, before
/// anything is read: so no reader keeps a purchase at a till waiting.
pub(super) async fn begin_recorded_read(
    api: &Api,
    acting: &Principal,
    person: &PersonId,
    what: &str,
    reason: Option<&str>,
) -> Result<(Tx, GrantedAccess), ApiError> {
    let reason = reason.map(|reason| check_words("reason", reason)).transpose()?;
    let mut tx = api.store.snapshot().await?;
    let access = acting.admit_to_read(&mut tx, Capability::SeePurchase, person).await?;
    if access.actor.member.role == Role::Person {
        return Ok((tx, access));
    }
    tx.commit().await?;
    let (own, by, whose, what_read) =
        (api.clone(), acting.clone(), person.clone(), what.to_owned());
    api.write(async move { record_look(&own, &by, &whose, &what_read, reason).await }).await?;
    let mut tx = api.store.snapshot().await?;
    let access = acting.admit_to_read(&mut tx, Capability::SeePurchase, person).await?;
    Ok((tx, access))
}

async fn record_look(
    api: &Api,
    acting: &Principal,
    person: &PersonId,
    what: &str,
    reason: Option<String>,
) -> Result<(), ApiError> {
    let mut tx = api.store.begin().await?;
    let access = acting.admit(&mut tx, Capability::SeePurchase, person).await?;
    let reason = match reason {
        Some(reason) => reason,
        None if !access.actor.member.role.requires_view_reason() => TICKED_REASON.to_owned(),
        None => {
            let what = "say why you look: the person can read it";
            return Err(ApiError::Invalid(vec![FieldProblem::of("reason", what)]));
        }
    };
    let row = LookRow {
        budget: access.budget.clone(),
        id: LookId::new(api.ids.next(acting.at)),
        member: access.actor.member.id.clone(),
        what: what.to_owned(),
        reason,
        looked_at: acting.at,
    };
    tx.add_looks(&access.programme, &[row]).await?;
    Ok(tx.commit().await?)
}
