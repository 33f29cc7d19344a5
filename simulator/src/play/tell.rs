//! Messages about what happened since: made from what the issuer knows, and booked as they are sent.

use serde_json::{Value, json};

use super::{Came, File, Player, Sent};
use crate::{
    client::{Door, Reply},
    issuers::stripe::{self, Link, Moved, Reached, Status},
    report::{Answer, Kind},
    stories::{Act, Move, Planned, Share},
};

/// One event, before it has an id.
struct Message {
    name: &'static str,
    kind: Kind,
    amount_minor: i64,
    object: Value,
    previous: Option<Value>,
}

const UPDATED: &str = "issuing_authorization.updated";
const TRANSACTION: &str = "issuing_transaction.created";

impl Player<'_> {
    /// Tells what happened; none when it cannot happen, as a capture of what was refused.
    pub(super) async fn tell(
        &mut self,
        planned: &Move,
        purchase: &Planned,
        at: i64,
    ) -> anyhow::Result<Option<Came>> {
        let connection = self.connection(purchase)?;
        let (kind, body, amount_minor) = if planned.act == Act::Repeat {
            let last = self.files.get(&planned.number).and_then(|file| file.last_event.clone());
            let Some(last) = last else { return Ok(None) };
            (Kind::DeliveredAgain, last.body, last.amount_minor)
        } else {
            let Some(message) = self.compose(planned, purchase, at) else { return Ok(None) };
            let Message { name, kind, amount_minor, object, previous } = message;
            let id = self.next_id("evt");
            let version = &connection.api_version;
            let event = stripe::event(&id, name, version, at, &object, previous.as_ref());
            (kind, event.to_string(), amount_minor)
        };
        let (reply, latency) = self.client.post(connection, Door::Events, at, &body).await?;
        if let Some(file) = self.files.get_mut(&planned.number) {
            file.last_event = Some(Sent { body, amount_minor, reply: None });
        }
        let (answer, broken) = stored(reply.as_ref());
        let note = String::new();
        Ok(Some(Came { kind, amount_minor, answer, told: None, latency, note, broken }))
    }

    fn compose(&mut self, planned: &Move, purchase: &Planned, at: i64) -> Option<Message> {
        let number = planned.number;
        match planned.act {
            Act::Confirm => confirm(self.files.get_mut(&number)?),
            Act::Lower(less) => {
                let file = self.files.get_mut(&number)?;
                let message = lower(file, less)?;
                let rest = file.rest_minor();
                self.books.lower(number, rest);
                Some(message)
            }
            Act::Reverse => {
                let message = reverse(self.files.get_mut(&number)?)?;
                self.books.lower(number, 0);
                Some(message)
            }
            Act::Close => {
                let message = close(self.files.get_mut(&number)?)?;
                self.books.lower(number, 0);
                Some(message)
            }
            Act::CloseAhead => {
                self.prepare(number, Share::All, at)?;
                let message = close(self.files.get_mut(&number)?)?;
                self.books.lower(number, 0);
                Some(message)
            }
            Act::Capture(share) => self.capture(number, share, at),
            Act::Force(amount_minor) => {
                let object = self.unlinked(number, Moved::Capture, amount_minor, at)?;
                self.books.force(number, purchase.person?, purchase.shop, amount_minor);
                Some(moved(Kind::ChargedUnasked, amount_minor, object))
            }
            Act::Refund(share) => {
                let id = self.next_id("ipi");
                let file = self.files.get(&number).filter(|file| file.captured_minor > 0)?;
                let amount_minor = share.of(file.captured_minor);
                let authorisation = &file.authorisation;
                let object =
                    authorisation.transaction(&id, Moved::Refund, amount_minor, at, Link::Linked);
                self.books.refund(number, amount_minor);
                Some(moved(Kind::Refunded, amount_minor, object))
            }
            Act::RefundUnlinked(amount_minor) => {
                let object = self.unlinked(number, Moved::Refund, amount_minor, at)?;
                self.books.refund(number, amount_minor);
                Some(moved(Kind::Refunded, amount_minor, object))
            }
            Act::Ask(_) | Act::AskAgain | Act::Raise(_) | Act::Repeat => None,
        }
    }

    fn unlinked(&mut self, number: usize, kind: Moved, amount: i64, at: i64) -> Option<Value> {
        let id = self.next_id("ipi");
        let authorisation = &self.files.get(&number)?.authorisation;
        Some(authorisation.transaction(&id, kind, amount, at, Link::Unlinked))
    }

    fn capture(&mut self, number: usize, share: Share, at: i64) -> Option<Message> {
        if self.files.get(&number)?.waiting.is_none() {
            self.prepare(number, share, at)?;
        }
        let (object, amount_minor) = self.files.get_mut(&number)?.waiting.take()?;
        self.books.capture(number, amount_minor);
        Some(moved(Kind::Captured, amount_minor, object))
    }

    /// The issuer has the claim, and has not told us yet.
    fn prepare(&mut self, number: usize, share: Share, at: i64) -> Option<()> {
        let id = self.next_id("ipi");
        let file = self.files.get_mut(&number).filter(|file| file.rest_minor() > 0)?;
        let amount_minor = share.of(file.rest_minor());
        let authorisation = &mut file.authorisation;
        let object = authorisation.transaction(&id, Moved::Capture, amount_minor, at, Link::Linked);
        authorisation.transactions.push(object.clone());
        file.captured_minor += amount_minor;
        file.waiting = Some((object, amount_minor));
        Some(())
    }
}

impl File {
    /// What was approved and is not claimed yet.
    fn rest_minor(&self) -> i64 {
        (self.authorisation.amount_minor - self.captured_minor).max(0)
    }

    fn is_pending(&self) -> bool {
        self.authorisation.status == Status::Pending && self.authorisation.amount_minor > 0
    }

    fn updated(&self, kind: Kind, amount_minor: i64, previous: Value) -> Message {
        let object = self.authorisation.snapshot();
        Message { name: UPDATED, kind, amount_minor, object, previous: Some(previous) }
    }
}

fn confirm(file: &mut File) -> Option<Message> {
    let history = &file.authorisation.history;
    let last = history.get(file.confirmed..)?.last()?.clone();
    let is_first = file.confirmed == 0;
    file.confirmed = history.len();
    if !is_first {
        let raised = if last.outcome == Reached::Approved { last.amount_minor } else { 0 };
        let previous = json!({ "amount": file.authorisation.amount_minor - raised });
        return Some(file.updated(Kind::Confirmed, last.amount_minor, previous));
    }
    if last.outcome != Reached::Approved {
        file.authorisation.status = Status::Closed;
    }
    Some(Message {
        name: "issuing_authorization.created",
        kind: Kind::Confirmed,
        amount_minor: last.amount_minor,
        object: file.authorisation.snapshot(),
        previous: None,
    })
}

fn lower(file: &mut File, less: i64) -> Option<Message> {
    let before = file.authorisation.amount_minor;
    if !file.is_pending() || less >= file.rest_minor() {
        return None;
    }
    file.authorisation.amount_minor = before - less;
    Some(file.updated(Kind::Lowered, less, json!({ "amount": before })))
}

fn reverse(file: &mut File) -> Option<Message> {
    let before = file.authorisation.amount_minor;
    if !file.is_pending() {
        return None;
    }
    file.authorisation.amount_minor = 0;
    file.authorisation.status = Status::Reversed;
    let previous = json!({ "amount": before, "status": "pending" });
    Some(file.updated(Kind::GivenBack, before, previous))
}

fn close(file: &mut File) -> Option<Message> {
    if !file.is_pending() {
        return None;
    }
    file.authorisation.status = Status::Closed;
    let captured = file.captured_minor;
    Some(file.updated(Kind::Closed, captured, json!({ "status": "pending" })))
}

fn moved(kind: Kind, amount_minor: i64, object: Value) -> Message {
    Message { name: TRANSACTION, kind, amount_minor, object, previous: None }
}

fn stored(reply: Option<&Reply>) -> (Answer, Vec<String>) {
    match reply {
        Some(reply) if reply.status == 200 => (Answer::Stored, Vec::new()),
        Some(reply) => (
            Answer::Unusable,
            vec![format!("the event was answered {}: {}", reply.status, reply.body)],
        ),
        None => (Answer::Unusable, vec!["the event was not answered".to_owned()]),
    }
}
