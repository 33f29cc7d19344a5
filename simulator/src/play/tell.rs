//! Messages about what happened since: made from what the issuer knows, and booked as they are sent.

use super::{Came, Player, Sent};
use crate::{
    books::When,
    client::{Door, Reply},
    issuers::{
        file::{Message, News},
        stripe::{self, Link},
    },
    report::{Answer, Kind},
    stories::{Act, Move, Planned, Share},
};

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
            let last =
                self.played.get(&planned.number).and_then(|played| played.last_event.clone());
            let Some(last) = last else { return Ok(None) };
            (Kind::DeliveredAgain, last.body, last.amount_minor)
        } else {
            let Some(message) = self.compose(planned, purchase, at) else { return Ok(None) };
            let id = self.next_id("evt");
            self.book(&message, planned.number, purchase, at);
            let Message { name, kind, amount_minor, created, object, previous, news: _ } = message;
            let version = &connection.api_version;
            let event = stripe::event(&id, name, version, created, &object, previous.as_ref());
            (kind, event.to_string(), amount_minor)
        };
        let (reply, latency) = self.client.post(connection, Door::Events, at, &body).await?;
        if let Some(played) = self.played.get_mut(&planned.number) {
            played.last_event = Some(Sent { body, amount_minor, reply: None });
        }
        let (answer, broken) = stored(reply.as_ref());
        let note = String::new();
        Ok(Some(Came { kind, amount_minor, answer, told: None, latency, note, broken }))
    }

    fn compose(&mut self, planned: &Move, purchase: &Planned, at: i64) -> Option<Message> {
        let number = planned.number;
        let id = self.next_id("ipi");
        let played = self.played(number, purchase, at);
        let file = &mut played.file;
        match planned.act {
            Act::Confirm => file.confirm(at),
            Act::Lower(less) => file.lower(less, at),
            Act::Reverse => file.reverse(at),
            Act::Close => file.close(at),
            Act::CloseAhead => {
                played.waiting = file.capture(&id, Share::All, at);
                file.close(at)
            }
            Act::Capture(share) => played.waiting.take().or_else(|| file.capture(&id, share, at)),
            Act::Force(amount_minor) => Some(file.force(&id, amount_minor, Link::Unlinked, at)),
            Act::Refund(share) => file.refund(&id, share, Link::Linked, at),
            Act::RefundUnlinked(amount_minor) => Some(file.refund_unlinked(&id, amount_minor, at)),
            Act::Ask(_) | Act::AskAgain | Act::Raise(_) | Act::Repeat | Act::Does(_) => None,
        }
    }

    /// Writes into the books what the gateway is about to be told.
    fn book(&mut self, message: &Message, number: usize, purchase: &Planned, at: i64) {
        let Some(person) = purchase.person else { return };
        let whose = (person, purchase.shop);
        let bought = self.played(number, purchase, at).file.authorisation.created;
        match message.news {
            News::Capture(_, claim) => {
                self.books.capture(number, whose, claim, When::at_once(at));
            }
            News::Refund(_, claim) => self.books.refund(number, whose, claim, When::at_once(at)),
            News::Word(word) => self.books.hear(number, whose, word, When { heard: at, bought }),
        }
    }
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
