//! Escalates overdue asks. Several gateways may run this at any time, because each run reads the
//! ask again under the budget's lock.

use jiff::Timestamp;

use super::LockedBudget;
use super::ask::facts_of;
use super::outbox::{OutboxWriter, recipient_of, who};
use crate::domain::ask::clock::OverdueStep;
use crate::domain::ask::{Ask, EscalationStep};
use crate::domain::id::{PermissionId, ProgrammeId};
use crate::domain::people::recipient::Recipient;
use crate::messages::words::{Notification, NotificationParameters};
use crate::people::members::{UseCaseContext, UseCaseError};
use crate::store::{DueAsk, StoreError, Tx};

/// Escalates the ask `waiting` if it is overdue at `now`. Returns the step taken; none if the ask
/// is closed or not yet due.
pub async fn escalate_overdue(
    tx: &mut Tx,
    context: UseCaseContext<'_>,
    programme: &ProgrammeId,
    waiting: &DueAsk,
    now: Timestamp,
) -> Result<Option<OverdueStep>, UseCaseError> {
    let locked = LockedBudget::lock(tx, context, programme, &waiting.budget_id).await?;
    let ask = tx.ask(programme, &locked.budget, waiting.ask_id).await?;
    let Some(ask) = ask.filter(|ask| ask.is_open() && ask.answer_by <= now) else {
        return Ok(None);
    };
    let cover = tx.cover(programme, &locked.worker, now).await?;
    let is_yes = silence_is_yes(tx, &locked, &ask, now).await?;
    let late = locked.clock().overdue_step(&ask, now, cover, is_yes);
    match late {
        OverdueStep::Escalate { step, answer_by } => {
            let after = Ask { step, answer_by, ..ask.clone() };
            tx.update_ask(programme, &ask, &after).await?;
            notify_overdue(tx, &locked, context, now, Notification::AskLate, &after).await?;
        }
        OverdueStep::Remind { answer_by } => {
            let after = Ask { answer_by, ..ask.clone() };
            tx.update_ask(programme, &ask, &after).await?;
            notify_overdue(tx, &locked, context, now, Notification::AskLateAgain, &after).await?;
        }
        OverdueStep::ApproveOnTimeout => {
            let id = PermissionId::new(context.ids.next(now));
            let (after, permission) = ask.approve_on_timeout(now, id);
            locked.grant(tx, &permission).await?;
            tx.update_ask(programme, &ask, &after).await?;
            let mut outbox = OutboxWriter::new(&locked, context, now, ask.id.to_string());
            outbox.record_system_act("answered", "yes, because nobody answered in time")?;
            let parameters = NotificationParameters {
                amount: Some(permission.cap),
                at: Some(permission.ends_at),
                ..outbox.parameters()
            };
            outbox.notify(
                Recipient::Person,
                Notification::AskYesBySilence,
                &parameters,
                facts_of(&after),
            );
            for recipient in [Recipient::Worker, Recipient::Manager] {
                outbox.notify(
                    recipient,
                    Notification::WorkerSilence,
                    &parameters,
                    facts_of(&after),
                );
            }
            outbox.write(tx).await?;
        }
    }
    Ok(Some(late))
}

/// Whether the programme approves this ask when nobody answers in time.
async fn silence_is_yes(
    tx: &mut Tx,
    locked: &LockedBudget,
    ask: &Ask,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let most = locked.programme.settings.asks.silence_up_to(locked.currency());
    let is_barred = locked.is_ask_barred(tx, ask, now).await?;
    Ok(ask.may_approve_on_timeout(most, locked.cooling_days(ask.wanted()), is_barred))
}

async fn notify_overdue(
    tx: &mut Tx,
    locked: &LockedBudget,
    context: UseCaseContext<'_>,
    now: Timestamp,
    notification: Notification,
    after: &Ask,
) -> Result<(), UseCaseError> {
    let mut outbox = OutboxWriter::new(locked, context, now, after.id.to_string());
    outbox.record_system_act("stepped_up", after.step.word())?;
    let parameters = NotificationParameters {
        assignee: Some(who(locked, after.step)),
        at: Some(after.answer_by),
        ..outbox.parameters()
    };
    outbox.notify(Recipient::Person, notification, &parameters, facts_of(after));
    outbox.notify(
        recipient_of(after.step),
        Notification::WorkerLateAsk,
        &parameters,
        facts_of(after),
    );
    if after.step != EscalationStep::Worker {
        outbox.notify(Recipient::Worker, Notification::WorkerMissed, &parameters, facts_of(after));
    }
    Ok(outbox.write(tx).await?)
}
