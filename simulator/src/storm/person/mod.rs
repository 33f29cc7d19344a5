//! Runs one person's script, concurrently with everybody else's.
//!
//! A person's messages are sent one after another, except for those that are concurrent on purpose.
//! So the expected answers are known, regardless of how many people there are.
//!
//! | Module | Holds |
//! | --- | --- |
//! | `messages` | the message of each move, made from the issuer's records |
//! | `delivery` | concurrent deliveries, and the result of each |
//! | `answers` | answers: recorded at the issuer, compared and reported |

mod answers;
mod delivery;
mod messages;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use anyhow::Context as _;

use super::{
    SharedState,
    plan::{PersonScript, PurchaseLife, StormMove},
    possible_books::{MessageEffect, PossibleBooks, ReceivedAnswer},
};
use crate::{
    books::Books,
    client::GatewayEndpoint,
    issuers::issuer_record::IssuerRecord,
    report::{MessageKind, ResponseOutcome},
};
use delivery::deliver;
use messages::OutgoingMessage;

/// Limit on the person's concurrent messages.
const AT_ONCE_MAX: usize = 3;
/// First number of the purchases made for unlinked captures and refunds, which no plan numbers.
const FIRST_UNLINKED_NUMBER: usize = 1 << 40;

/// A person's script, the issuer's records of their purchases, and their possible books.
pub(super) struct PersonRunner {
    shared: Arc<SharedState>,
    script: PersonScript,
    name: String,
    possible_books: PossibleBooks,
    /// By life.
    issuer_records: BTreeMap<usize, IssuerRecord>,
    /// Deferred events with the count of moves after which they are sent.
    deferred: Vec<(usize, DeferredMessage)>,
    moves_made: usize,
    messages: usize,
    last_unlinked_number: usize,
}

/// A deferred event. Without an effect it repeats one that was sent before.
type DeferredMessage = OutgoingMessage;

impl PersonRunner {
    pub(super) fn new(shared: Arc<SharedState>, script: PersonScript) -> anyhow::Result<Self> {
        let programme = &shared.programme;
        let person = programme.people.get(script.person).context("a script without its person")?;
        let books = Books::open_for(programme, std::slice::from_ref(person))?;
        Ok(Self {
            name: person.id.clone(),
            possible_books: PossibleBooks::new(books),
            issuer_records: BTreeMap::new(),
            deferred: Vec::new(),
            moves_made: 0,
            messages: 0,
            last_unlinked_number: FIRST_UNLINKED_NUMBER,
            shared,
            script,
        })
    }

    pub(super) fn person(&self) -> usize {
        self.script.person
    }

    pub(super) fn into_possible_books(self) -> PossibleBooks {
        self.possible_books
    }

    /// Executes all moves up to `slot`. The last slot also sends all deferred events.
    pub(super) async fn run_until(&mut self, slot: usize) -> anyhow::Result<()> {
        while let Some(planned) = self.next(slot) {
            self.shared.wait_for_turn(self.turn(&planned)).await;
            self.deliver_late(false).await?;
            let mut outgoing = Vec::new();
            let mut lives = BTreeSet::new();
            let mut open = Some(planned);
            while let Some(planned) = open.take() {
                let is_with_next = planned.is_with_next;
                lives.insert(planned.life);
                self.moves_made += 1;
                outgoing.extend(self.make(&planned)?);
                if is_with_next && outgoing.len() < AT_ONCE_MAX {
                    let next = self.next(slot);
                    open = next.filter(|next| !lives.contains(&next.life));
                }
            }
            self.send(outgoing).await?;
        }
        if slot + 1 >= super::plan::SLOTS {
            self.deliver_late(true).await?;
        }
        Ok(())
    }

    fn next(&self, slot: usize) -> Option<StormMove> {
        self.script.moves.get(self.moves_made).filter(|planned| planned.slot <= slot).cloned()
    }

    /// The turn of the purchase that begins with this move; `None` if none begins.
    fn turn(&self, planned: &StormMove) -> Option<usize> {
        let is_new = !self.issuer_records.contains_key(&planned.life);
        self.script.lives.get(planned.life).filter(|_| is_new).map(|life| life.turn)
    }

    /// Sends the deferred events that are due, or all of them if `is_over`.
    async fn deliver_late(&mut self, is_over: bool) -> anyhow::Result<()> {
        let moves_made = self.moves_made;
        let (due, later): (Vec<_>, Vec<_>) = std::mem::take(&mut self.deferred)
            .into_iter()
            .partition(|(at, _)| is_over || *at <= moves_made);
        self.deferred = later;
        for (_, delivery) in due {
            self.send(vec![delivery]).await?;
        }
        Ok(())
    }

    /// Sends messages concurrently, and checks the responses against the books.
    async fn send(&mut self, outgoing: Vec<OutgoingMessage>) -> anyhow::Result<()> {
        if outgoing.is_empty() {
            return Ok(());
        }
        if outgoing.len() > 1 {
            self.shared.note("messages sent at once");
        }
        let before = self.shared.now();
        let shared = Arc::clone(&self.shared);
        let due = outgoing.iter().filter_map(|outgoing| {
            let is_new = outgoing.kind == MessageKind::Purchase;
            self.script.lives.get(outgoing.life).filter(|_| is_new).and_then(|l| shared.due(l.turn))
        });
        let due = due.min();
        let result = deliver(&shared, &outgoing, before, due).await?;
        let times = self.times(before, self.shared.now());
        let mut effects = Vec::new();
        for (outgoing, result) in outgoing.iter().zip(&result) {
            let received = ReceivedAnswer { answer: result.answer, reason: result.reason.clone() };
            effects.extend(outgoing.effect.clone().map(|effect| match effect {
                MessageEffect::AuthorisationRequested { request, sequence, .. } => {
                    let received = (result.answer != ResponseOutcome::Unusable).then_some(received);
                    MessageEffect::AuthorisationRequested { request, sequence, received }
                }
                told @ MessageEffect::EventReported { .. } => told,
            }));
        }
        let taken = self.possible_books.take(&effects, &times);
        self.report(&outgoing, &result, taken.err());
        for (outgoing, result) in outgoing.into_iter().zip(result) {
            if outgoing.envelope.endpoint == GatewayEndpoint::Authorisations {
                self.compare_with_past(&outgoing, &result);
                self.record_answer(&outgoing, &result).await?;
            }
        }
        Ok(())
    }

    /// The times at which the gateway may have read its clock, one for each local minute.
    fn times(&self, before: i64, after: i64) -> Vec<i64> {
        let minute = |at: i64| {
            self.possible_books.one().map(|books| books.local(at).strftime("%F %H:%M").to_string())
        };
        if before == after || minute(before) == minute(after) {
            vec![before]
        } else {
            vec![before, after]
        }
    }

    fn life(&self, life: usize) -> anyhow::Result<&PurchaseLife> {
        self.script.lives.get(life).context("a move without its life")
    }
}
