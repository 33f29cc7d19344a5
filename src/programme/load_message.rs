//! The notification about added money.

use jiff::Timestamp;

use crate::domain::id::{BudgetId, MessageId, ProgrammeId};
use crate::domain::money::Money;
use crate::domain::people::recipient::Recipient;
use crate::ledger::record::message_parameters::MessageParameters;
use crate::messages::words::Words;
use crate::platform::ids::NewIds;
use crate::store::NewMessage;

/// One notification for the sum of all loads that one file brings a person.
pub(super) fn money_added(
    ids: &NewIds,
    now: Timestamp,
    programme: &ProgrammeId,
    budget: &BudgetId,
    added: Money,
) -> NewMessage {
    NewMessage {
        id: MessageId::new(ids.next(now)),
        programme: programme.clone(),
        budget: budget.clone(),
        kind: "money-added",
        subject: budget.to_string(),
        body: Words::english().money_added(added),
        created_at: now,
        recipient: Recipient::Person,
        facts: MessageParameters::default().money("amount", added).to_text(),
        matter: None,
        due_at: None,
    }
}
