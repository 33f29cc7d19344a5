//! What is told about a list: one message for each who has to know, with the words and their facts.

use std::collections::BTreeSet;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::Table;
use crate::domain::agreement::proposal::{Kind, Proposal, Side};
use crate::domain::id::{MessageId, ProgrammeId};
use crate::domain::people::recipient::Recipient;
use crate::ledger::record::particulars::Particulars;
use crate::messages::words::{ListNews, ListParticular, Words};
use crate::platform::ids::NewIds;
use crate::store::NewMessage;

impl Table<'_> {
    /// Adds a message to what is told when this table is closed.
    pub(super) fn tell(
        &mut self,
        recipient: Recipient,
        news: ListNews,
        subject: &str,
        at: Option<Timestamp>,
        words: &str,
    ) {
        let name = self.admitted.actor.member.name.as_str();
        let particular = ListParticular { zone: self.programme.zone(), name, at, words };
        let facts =
            Particulars::default().text("by", name).optional("at", at.map(|at| at.to_string()));
        let facts = if words.is_empty() { facts } else { facts.text("words", words) };
        self.additions.messages.push(NewMessage {
            id: MessageId::new(self.desk.ids.next(self.admitted.at)),
            programme: self.admitted.programme.clone(),
            budget: self.admitted.budget.clone(),
            kind: news.kind(),
            subject: subject.to_owned(),
            body: Words::english().list_news(news, &particular),
            created_at: self.admitted.at,
            recipient,
            facts: facts.to_text(),
            matter: None,
            due_at: at.filter(|_| news.runs_out()),
        });
    }

    /// Asks those sides whose yes is missing.
    pub(super) fn ask_sides(
        &mut self,
        proposal: &Proposal,
        sides: &BTreeSet<Side>,
        is_counter: bool,
    ) {
        let subject = proposal.id.to_string();
        let until = Some(proposal.open_until);
        for side in sides {
            let (person, staff) = if is_counter {
                (ListNews::ListCountered, ListNews::WorkerListCountered)
            } else {
                (ListNews::ListProposed, ListNews::WorkerListProposed)
            };
            let (recipient, news) = match side {
                Side::Person => (Recipient::Person, person),
                Side::Worker => (Recipient::Worker, staff),
                Side::Manager => (Recipient::Manager, staff),
            };
            self.tell(recipient, news, &subject, until, "");
        }
    }

    pub(super) fn tell_cooling(&mut self, proposal: &Proposal, from: Timestamp) {
        let subject = proposal.id.to_string();
        self.tell(Recipient::Person, ListNews::ListCools, &subject, Some(from), "");
        if proposal.kind == Kind::Together {
            self.tell(Recipient::Worker, ListNews::WorkerListCools, &subject, Some(from), "");
        }
    }

    /// Tells everybody whose yes it took: nobody else has heard of it.
    pub(super) fn tell_run_out(&mut self, proposal: &Proposal, sides: &BTreeSet<Side>) {
        for side in sides {
            let (person, staff) = (ListNews::ListRunOut, ListNews::WorkerListRunOut);
            self.tell_end(proposal, recipient(*side), person, staff);
        }
    }

    /// Tells the side that proposed, and the others, that somebody ended it.
    pub(super) fn tell_end(
        &mut self,
        proposal: &Proposal,
        recipient: Recipient,
        person: ListNews,
        staff: ListNews,
    ) {
        let news = if recipient == Recipient::Person { person } else { staff };
        self.tell(recipient, news, &proposal.id.to_string(), None, "");
    }
}

/// Who reads what is told to a side.
pub(super) const fn recipient(side: Side) -> Recipient {
    match side {
        Side::Person => Recipient::Person,
        Side::Worker => Recipient::Worker,
        Side::Manager => Recipient::Manager,
    }
}

/// What everybody whose yes it took is told when nobody has answered: nobody did anything, so nobody
/// is named.
pub(super) fn run_out_messages(
    ids: &NewIds,
    programme: &ProgrammeId,
    proposal: &Proposal,
    sides: &BTreeSet<Side>,
    at: Timestamp,
) -> Vec<NewMessage> {
    let message = |side: &Side| {
        let particular = ListParticular { zone: &TimeZone::UTC, name: "", at: None, words: "" };
        let news = match side {
            Side::Person => ListNews::ListRunOut,
            Side::Worker | Side::Manager => ListNews::WorkerListRunOut,
        };
        NewMessage {
            id: MessageId::new(ids.next(at)),
            programme: programme.clone(),
            budget: proposal.budget.clone(),
            kind: news.kind(),
            subject: proposal.id.to_string(),
            body: Words::english().list_news(news, &particular),
            created_at: at,
            recipient: recipient(*side),
            facts: Particulars::default().to_text(),
            matter: None,
            due_at: None,
        }
    };
    sides.iter().map(message).collect()
}
