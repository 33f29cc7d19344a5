//! Looking at single purchases: when somebody else than the person looks, why is kept first, and the
//! person can read it.

use super::Api;
use super::asked::words;
use crate::domain::id::{LookId, PersonId};
use crate::domain::people::role::{Act, Role};
use crate::people::members::{Acting, Admitted};
use crate::store::{LookRow, Tx};
use crate::web::problem::{ApiError, FieldProblem};

/// Why a helper looks: the person has ticked it, which needs no other reason.
const AS_TICKED: &str = "The person let them see it.";

/// Begins to read purchases. The look of somebody else is kept, in a transaction of its own, before
/// anything is read: so no reader keeps a purchase at a till waiting.
pub(super) async fn look(
    api: &Api,
    acting: &Acting,
    person: &PersonId,
    what: &str,
    reason: Option<&str>,
) -> Result<(Tx, Admitted), ApiError> {
    let reason = reason.map(|reason| words("reason", reason)).transpose()?;
    let mut tx = api.store.snapshot().await?;
    let admitted = acting.see(&mut tx, Act::SeePurchase, person).await?;
    if admitted.actor.member.role == Role::Person {
        return Ok((tx, admitted));
    }
    tx.commit().await?;
    let (own, by, whose, seen) = (api.clone(), acting.clone(), person.clone(), what.to_owned());
    api.write(async move { keep_look(&own, &by, &whose, &seen, reason).await }).await?;
    let mut tx = api.store.snapshot().await?;
    let admitted = acting.see(&mut tx, Act::SeePurchase, person).await?;
    Ok((tx, admitted))
}

async fn keep_look(
    api: &Api,
    acting: &Acting,
    person: &PersonId,
    what: &str,
    reason: Option<String>,
) -> Result<(), ApiError> {
    let mut tx = api.store.begin().await?;
    let admitted = acting.admit(&mut tx, Act::SeePurchase, person).await?;
    let reason = match reason {
        Some(reason) => reason,
        None if !admitted.actor.member.role.explains_looks() => AS_TICKED.to_owned(),
        None => {
            let what = "say why you look: the person can read it";
            return Err(ApiError::Invalid(vec![FieldProblem::of("reason", what)]));
        }
    };
    let row = LookRow {
        budget: admitted.budget.clone(),
        id: LookId::new(api.ids.next(acting.at)),
        member: admitted.actor.member.id.clone(),
        what: what.to_owned(),
        reason,
        looked_at: acting.at,
    };
    tx.add_looks(&admitted.programme, &[row]).await?;
    Ok(tx.commit().await?)
}
