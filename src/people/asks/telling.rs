//! What must be told and what was done, collected and written in one go.

use jiff::Timestamp;

use super::{Desk, Room};
use crate::domain::ask::Step;
use crate::domain::id::{ActId, MemberId, MessageId};
use crate::domain::people::recipient::{AT_ONCE, Recipient};
use crate::ledger::record::particulars::Particulars;
use crate::messages::words::{News, Particular, Who, Words};
use crate::people::members::{ActError, Admitted};
use crate::store::{ActRow, NewMessage, StoreError, Tx};

/// Who acts when a clock does.
const OURSELVES: &str = "sayso";

/// The acts and messages of one move.
pub(super) struct Telling<'a> {
    room: &'a Room,
    desk: Desk<'a>,
    at: Timestamp,
    /// What it is about: an ask, an appeal.
    subject: String,
    acts: Vec<ActRow>,
    messages: Vec<NewMessage>,
}

impl<'a> Telling<'a> {
    pub(super) fn new(room: &'a Room, desk: Desk<'a>, at: Timestamp, subject: String) -> Self {
        Self { room, desk, at, subject, acts: Vec::new(), messages: Vec::new() }
    }

    /// Nothing but the programme's time zone.
    pub(super) fn particular(&self) -> Particular<'a> {
        Particular::new(self.room.programme.zone())
    }

    /// Notes what somebody did.
    pub(super) fn act(&mut self, admitted: &Admitted, kind: &str, detail: &str) {
        self.acts.push(admitted.act(self.desk.ids, kind, &self.subject, detail));
    }

    /// Notes what a clock did.
    pub(super) fn own_act(&mut self, kind: &str, detail: &str) -> Result<(), ActError> {
        let member: MemberId = OURSELVES.parse().map_err(|_| ActError::NotThere("member"))?;
        self.acts.push(ActRow {
            budget: self.room.budget.clone(),
            id: ActId::new(self.desk.ids.next(self.at)),
            member,
            kind: kind.to_owned(),
            subject: self.subject.clone(),
            detail: detail.to_owned(),
            acted_at: self.at,
        });
        Ok(())
    }

    /// Tells `news`; `more` are facts for pages, beside those that the words were made from.
    pub(super) fn tell(
        &mut self,
        recipient: Recipient,
        news: News,
        particular: &Particular<'_>,
        more: Particulars,
    ) {
        let who = particular.who.map(|who| match who {
            Who::Named(name) => name,
            Who::Duty => "duty",
            Who::Manager => "manager",
        });
        let mut facts = more
            .text("about", self.subject.as_str())
            .optional("name", particular.name)
            .optional("who", who)
            .optional("reason", particular.reason.map(crate::domain::ask::NoReason::word))
            .optional("words", particular.words)
            .optional("on", particular.on.map(|date| date.to_string()));
        if let Some(at) = particular.at {
            facts = facts.instant("at", at);
        }
        if let Some(amount) = particular.amount {
            facts = facts.money("amount", amount);
        }
        self.messages.push(NewMessage {
            id: MessageId::new(self.desk.ids.next(self.at)),
            programme: self.room.programme_id.clone(),
            budget: self.room.budget.clone(),
            kind: news.kind(),
            subject: self.subject.clone(),
            body: Words::english().news(news, particular),
            created_at: self.at,
            recipient,
            facts: facts.to_text(),
            matter: None,
            due_at: if news == News::WorkerQuietWord {
                Some(AT_ONCE)
            } else {
                particular.at.filter(|_| news.runs_out())
            },
        });
    }

    /// Writes it all.
    pub(super) async fn write(self, tx: &mut Tx) -> Result<(), StoreError> {
        tx.add_acts(&self.room.programme_id, &self.acts).await?;
        tx.add_messages(&self.messages).await
    }
}

/// Who is told that it is their turn.
pub(super) const fn recipient_of(step: Step) -> Recipient {
    match step {
        Step::Worker | Step::Decided => Recipient::Worker,
        Step::Cover => Recipient::Duty,
        Step::Manager => Recipient::Manager,
    }
}

/// Whose turn it is, in words.
pub(super) fn who(room: &Room, step: Step) -> Who<'_> {
    match step {
        Step::Worker | Step::Decided => Who::Named(room.worker_name()),
        Step::Cover => Who::Duty,
        Step::Manager => Who::Manager,
    }
}
