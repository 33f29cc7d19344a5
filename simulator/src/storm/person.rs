//! One person in the storm: what happens to them, one thing after another, while all others go on.
//!
//! A person's messages follow each other, except where they are sent at once on purpose. So the
//! books can tell what every answer must be, however many people there are.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use serde_json::Value;

use super::{
    Weather,
    plan::{Act, Amount, Life, Move, Script, Way},
    post::Letter,
    worlds::{Effect, Heard, Worlds},
};
use crate::{
    answers::Told,
    books::Books,
    client::{Door, Reply},
    differences::Difference,
    issuers::{
        file::{File, Message, News, Share},
        stripe::{self, Authorisation, Link, Reached, Status},
    },
    oracle::{Question, Verdict},
    programme::{CardState, Connection},
    report::{Answer, Kind, money},
};

/// The most messages that are sent at once.
const AT_ONCE: usize = 3;
/// Purchases that no plan knows are numbered from here: claims and refunds that name none.
const NAMELESS: usize = 1 << 40;

/// A person, their purchases as the issuer knows them, and what may be true of their money.
pub(super) struct Shopper {
    weather: Arc<Weather>,
    script: Script,
    name: String,
    worlds: Worlds,
    /// By life.
    files: BTreeMap<usize, File>,
    /// Events that are told later: after which move, and how.
    drawer: Vec<(usize, Delivery)>,
    moved: usize,
    messages: usize,
    nameless: usize,
}

/// A message that is ready to be sent.
struct Ready {
    life: usize,
    kind: Kind,
    amount_minor: i64,
    way: Way,
    letter: Letter,
    effect: Option<Effect>,
}

/// An event that waits in the drawer; one without an effect was told before.
type Delivery = Ready;

/// What a message came to.
struct Came {
    answer: Answer,
    reason: Option<String>,
    /// Whether the issuer goes by the answer; if not, it decides by itself.
    is_heard: bool,
    latency: Duration,
    broken: Vec<String>,
}

impl Shopper {
    pub(super) fn new(weather: Arc<Weather>, script: Script) -> anyhow::Result<Self> {
        let programme = &weather.programme;
        let person = programme.people.get(script.person).context("a script without its person")?;
        let books = Books::open_for(programme, std::slice::from_ref(person))?;
        Ok(Self {
            name: person.id.clone(),
            worlds: Worlds::new(books),
            files: BTreeMap::new(),
            drawer: Vec::new(),
            moved: 0,
            messages: 0,
            nameless: NAMELESS,
            weather,
            script,
        })
    }

    pub(super) fn person(&self) -> usize {
        self.script.person
    }

    pub(super) fn into_worlds(self) -> Worlds {
        self.worlds
    }

    /// Does all that happens up to the moment `slot`; with the last one also what is late.
    pub(super) async fn live(&mut self, slot: usize) -> anyhow::Result<()> {
        while let Some(planned) = self.next(slot) {
            self.weather.wait_for_turn(self.turn(&planned)).await;
            self.deliver_late(false).await?;
            let mut ready = Vec::new();
            let mut lives = BTreeSet::new();
            let mut open = Some(planned);
            while let Some(planned) = open.take() {
                let is_with_next = planned.is_with_next;
                lives.insert(planned.life);
                self.moved += 1;
                ready.extend(self.make(&planned)?);
                if is_with_next && ready.len() < AT_ONCE {
                    let next = self.next(slot);
                    open = next.filter(|next| !lives.contains(&next.life));
                }
            }
            self.send(ready).await?;
        }
        if slot + 1 >= super::plan::SLOTS {
            self.deliver_late(true).await?;
        }
        Ok(())
    }

    fn next(&self, slot: usize) -> Option<Move> {
        self.script.moves.get(self.moved).filter(|planned| planned.slot <= slot).cloned()
    }

    /// The turn of the purchase that begins with this move, if one does.
    fn turn(&self, planned: &Move) -> Option<usize> {
        let is_new = !self.files.contains_key(&planned.life);
        self.script.lives.get(planned.life).filter(|_| is_new).map(|life| life.turn)
    }

    /// Tells what has waited long enough, or everything.
    async fn deliver_late(&mut self, is_over: bool) -> anyhow::Result<()> {
        let moved = self.moved;
        let (due, later): (Vec<_>, Vec<_>) = std::mem::take(&mut self.drawer)
            .into_iter()
            .partition(|(at, _)| is_over || *at <= moved);
        self.drawer = later;
        for (_, delivery) in due {
            self.send(vec![delivery]).await?;
        }
        Ok(())
    }

    /// Makes the message of a move; none when it cannot happen, as a claim of what was refused.
    fn make(&mut self, planned: &Move) -> anyhow::Result<Option<Ready>> {
        let at = self.weather.now();
        self.file(planned.life, at)?;
        if let Act::Ask(amount) = planned.act {
            return self.make_question(planned, amount, at);
        }
        let id = self.next_id("ipi");
        let file = self.files.get_mut(&planned.life).context("a life without its file")?;
        let message = match planned.act {
            Act::Ask(_) => None,
            Act::Refuse(amount) => file.refuse(amount, at),
            Act::Confirm => file.confirm(at),
            Act::Lower(less) => file.lower(less, at),
            Act::Finalise(total) => file.finalise(total, at),
            Act::Reverse => file.reverse(at),
            Act::Revive(amount) => file.revive(amount, at),
            Act::Expire => file.expire(at),
            Act::Close => file.close(at),
            Act::Capture(share) => file.capture(&id, share, at),
            Act::Force(amount) => Some(file.force(&id, amount, Link::Linked, at)),
            Act::ForceUnlinked(amount) => Some(file.force(&id, amount, Link::Unlinked, at)),
            Act::Refund(share) => file.refund(&id, share, Link::Linked, at),
            Act::RefundUnlinked(amount) => Some(file.refund_unlinked(&id, amount, at)),
            Act::RefundAtAnotherRate(more) => file.refund_at_another_rate(&id, more, at),
            Act::StandIn(amount) => {
                file.stand_in(amount, at);
                return Ok(None);
            }
            Act::RefundMisfit(named) => return self.make_misfit(planned, named, &id, at),
        };
        let Some(message) = message else {
            let is_of_past = self.life(planned.life)?.past.is_some();
            if is_of_past && matches!(planned.act, Act::Refund(_)) {
                self.weather.note("money back for what was not paid this time");
            }
            return Ok(None);
        };
        let mut ready = self.event(planned.life, message, planned.way)?;
        match planned.way {
            Way::Never => {
                self.weather.note("an event that is never told");
                return Ok(None);
            }
            Way::Late(moves) => {
                self.weather.note("an event that is told late");
                ready.way = Way::Plain;
                self.drawer.push((self.moved + moves, ready));
                return Ok(None);
            }
            Way::AgainLater(moves) => {
                self.weather.note("an event that is told again later");
                let (letter, kind) = (ready.letter.clone(), Kind::DeliveredAgain);
                let again = Ready { kind, way: Way::Plain, letter, effect: None, ..ready };
                self.drawer.push((self.moved + moves, again));
            }
            Way::Again | Way::Twice => self.weather.note("an event that is told twice"),
            Way::Plain | Way::AnswerLost | Way::BrokenOff(_) => {}
        }
        Ok(Some(ready))
    }

    /// Money back for a purchase, of which the issuer guesses that it is for another one.
    fn make_misfit(
        &mut self,
        planned: &Move,
        named: usize,
        id: &str,
        at: i64,
    ) -> anyhow::Result<Option<Ready>> {
        let number = self.life(named)?.number;
        let file = self.files.get(&planned.life).context("a life without its file")?;
        let message = file.refund(id, Share::Half, Link::Linked, at);
        let theirs = self.files.get(&named).filter(|_| self.worlds.know(number));
        let Some((mut message, theirs)) = message.zip(theirs) else { return Ok(None) };
        let guessed = Value::String(theirs.authorisation.id.clone());
        if let Some(link) = message.object.get_mut("authorization") {
            *link = guessed;
        }
        self.weather.note("money back that names another purchase");
        let mut ready = self.event(planned.life, message, planned.way)?;
        if let Some(Effect::Told { number: on, .. }) = &mut ready.effect {
            *on = number;
        }
        Ok(Some(ready))
    }

    fn make_question(
        &mut self,
        planned: &Move,
        amount: Amount,
        at: i64,
    ) -> anyhow::Result<Option<Ready>> {
        let life = self.life(planned.life)?.clone();
        let amount_minor = match amount {
            Amount::Exactly(amount) => amount,
            Amount::MostOfAll => self.most_of_all(&life),
        };
        let id = self.next_id("evt");
        let connection = self.connection(&life)?;
        let file = self.files.get(&planned.life).context("a life without its file")?;
        let authorisation = &file.authorisation;
        let sequence = authorisation.history.len();
        let is_first = sequence == 0;
        if !is_first && !file.is_open() && authorisation.status != Status::Reversed {
            return Ok(None);
        }
        match planned.way {
            Way::Again | Way::Twice => self.weather.note("a question that is asked twice"),
            Way::AnswerLost => self.weather.note("an answer that gets lost"),
            Way::BrokenOff(_) => self.weather.note("a connection that breaks off"),
            Way::Plain | Way::Late(_) | Way::AgainLater(_) | Way::Never => {}
        }
        let object = authorisation.request(amount_minor);
        let name = "issuing_authorization.request";
        let body = stripe::event(&id, name, &connection.api_version, at, &object, None).to_string();
        let question = Question {
            number: life.number,
            person: (life.card.state != CardState::Unknown).then_some(0),
            card: life.card.state,
            shop: life.shop,
            amount_minor,
            is_amount_controllable: life.is_amount_controllable,
            fee_minor: life.fee_minor,
            is_foreign: life.priced_in.is_some(),
            bought_at: authorisation.created,
        };
        Ok(Some(Ready {
            life: planned.life,
            kind: if is_first { Kind::Purchase } else { Kind::Raised },
            amount_minor,
            way: planned.way,
            letter: Letter { connection, door: Door::Authorisations, body },
            effect: Some(Effect::Asked { question, sequence, heard: None }),
        }))
    }

    fn event(&mut self, life: usize, message: Message, way: Way) -> anyhow::Result<Ready> {
        let id = self.next_id("evt");
        let planned = self.life(life)?;
        let (shop, state) = (planned.shop, planned.card.state);
        let connection = self.connection(planned)?;
        let number = planned.number;
        let authorised_at = self.files.get(&life).map(|file| file.authorisation.created);
        let own = self.next_nameless();
        let (number, bought_at) = match message.news {
            News::Capture(Link::Unlinked, _) | News::Refund(Link::Unlinked, _) => {
                (own, message.created)
            }
            News::Capture(Link::Linked, _) | News::Refund(Link::Linked, _) => {
                (number, message.created)
            }
            News::Word(_) => (number, authorised_at.unwrap_or(message.created)),
        };
        let Message { name, kind, amount_minor, created, object, previous, news } = message;
        let version = &connection.api_version;
        let body = stripe::event(&id, name, version, created, &object, previous.as_ref());
        let told = Effect::Told { number, own, whose: (0, shop), news, bought_at };
        Ok(Ready {
            life,
            kind,
            amount_minor,
            way,
            letter: Letter { connection, door: Door::Events, body: body.to_string() },
            effect: (state != CardState::Unknown).then_some(told),
        })
    }

    /// Sends messages at once, and holds what comes back against the books.
    async fn send(&mut self, ready: Vec<Ready>) -> anyhow::Result<()> {
        if ready.is_empty() {
            return Ok(());
        }
        if ready.len() > 1 {
            self.weather.note("messages sent at once");
        }
        let before = self.weather.now();
        let weather = Arc::clone(&self.weather);
        let due = ready.iter().filter_map(|ready| {
            let is_new = ready.kind == Kind::Purchase;
            self.script.lives.get(ready.life).filter(|_| is_new).and_then(|l| weather.due(l.turn))
        });
        let due = due.min();
        let came = deliver(&weather, &ready, before, due).await?;
        let times = self.times(before, self.weather.now());
        let mut effects = Vec::new();
        for (ready, came) in ready.iter().zip(&came) {
            let heard = Heard { answer: came.answer, reason: came.reason.clone() };
            effects.extend(ready.effect.clone().map(|effect| match effect {
                Effect::Asked { question, sequence, .. } => {
                    let heard = (came.answer != Answer::Unusable).then_some(heard);
                    Effect::Asked { question, sequence, heard }
                }
                told @ Effect::Told { .. } => told,
            }));
        }
        let taken = self.worlds.take(&effects, &times);
        self.report(&ready, &came, taken.err());
        for (ready, came) in ready.into_iter().zip(came) {
            if ready.letter.door == Door::Authorisations {
                self.compare_with_past(&ready, &came);
                self.answered(&ready, &came).await?;
            }
        }
        Ok(())
    }

    /// Compares the answer with what came of the purchase in the past, if it is one of the past.
    fn compare_with_past(&self, ready: &Ready, came: &Came) {
        let Some(life) = self.script.lives.get(ready.life) else { return };
        let Some(past) = life.past else { return };
        let is_approved = came.answer.approved_minor(ready.amount_minor) > 0;
        if came.answer != Answer::Unusable && is_approved != past.was_approved {
            self.weather.differ(&Difference {
                line: past.line,
                shop: life.shop.name,
                amount_minor: ready.amount_minor,
                currency: &self.weather.programme.currency,
                was_approved: past.was_approved,
                answer: came.answer,
                reason: came.reason.as_deref(),
            });
        }
    }

    /// What the issuer makes of an answer. When it heard none it decides by itself, and tells.
    async fn answered(&mut self, ready: &Ready, came: &Came) -> anyhow::Result<()> {
        let at = self.weather.now();
        let approves = self.life(ready.life)?.approves_without_us;
        let file = self.files.get_mut(&ready.life).context("a life without its file")?;
        let asked = ready.amount_minor;
        match came.answer {
            Answer::Approved | Answer::Partial(_) if came.is_heard => {
                file.answer(asked, came.answer.approved_minor(asked), Reached::Approved, at);
                return Ok(());
            }
            Answer::NotPaid if came.is_heard && came.reason.as_deref() != Some("our_fault") => {
                file.answer(asked, 0, Reached::Declined, at);
                return Ok(());
            }
            Answer::Unusable if came.is_heard => file.answer(asked, 0, Reached::Declined, at),
            Answer::Approved
            | Answer::Partial(_)
            | Answer::NotPaid
            | Answer::Stored
            | Answer::Unusable => {
                let stood_in =
                    if approves { (asked, Reached::StoodIn) } else { (0, Reached::Timeout) };
                file.answer(asked, stood_in.0, stood_in.1, at);
            }
        }
        if let Some(message) = file.confirm(at) {
            let told = self.event(ready.life, message, Way::Plain)?;
            Box::pin(self.send(vec![told])).await?;
        }
        Ok(())
    }

    fn report(&self, ready: &[Ready], came: &[Came], expected: Option<Vec<Verdict>>) {
        let mut what = Vec::new();
        for (ready, came) in ready.iter().zip(came) {
            let reason = came.reason.as_deref();
            self.weather.count(ready.kind, came.answer, reason, came.latency);
            for broken in &came.broken {
                what.push(format!("{}: {broken}", self.describe(ready)));
            }
        }
        if let Some(expected) = expected {
            let asked: Vec<_> = ready
                .iter()
                .zip(came)
                .map(|(ready, came)| {
                    let reason = came.reason.as_deref().unwrap_or_default();
                    let answer = heard_answer(came.answer);
                    format!("{} was answered {answer} {reason}", self.describe(ready))
                })
                .collect();
            what.push(format!(
                "no order explains it: {}; expected {}",
                asked.join(", and "),
                expected.iter().map(describe).collect::<Vec<_>>().join(", and ")
            ));
        }
        for what in what {
            self.weather.break_step(format!("{}, move {}: {what}", self.name, self.moved));
        }
    }

    fn describe(&self, ready: &Ready) -> String {
        let life = self.script.lives.get(ready.life);
        let authorisation = self.files.get(&ready.life).map(|file| file.authorisation.id.as_str());
        let part = life.filter(|life| life.is_amount_controllable).map_or("", |_| " or part of it");
        format!(
            "{} of {}{part} at {} ({}, {})",
            ready.kind,
            money(ready.amount_minor, &self.weather.programme.currency),
            life.map_or("", |life| life.shop.name),
            life.map_or("", |life| life.story),
            authorisation.unwrap_or_default(),
        )
    }

    /// The instants at which the gateway may have looked at its clock, as far as it matters.
    fn times(&self, before: i64, after: i64) -> Vec<i64> {
        let minute = |at: i64| {
            self.worlds.one().map(|books| books.local(at).strftime("%F %H:%M").to_string())
        };
        if before == after || minute(before) == minute(after) {
            vec![before]
        } else {
            vec![before, after]
        }
    }

    fn most_of_all(&self, life: &Life) -> i64 {
        let today = |books: &Books| books.local(self.weather.now()).date();
        let parts =
            self.worlds.one().map(|books| books.cover(0, life.shop, i64::MAX, today(books)));
        let all: i64 = parts.iter().flatten().map(|(_, part)| part).sum();
        (all * 6 / 10).max(1)
    }

    fn life(&self, life: usize) -> anyhow::Result<&Life> {
        self.script.lives.get(life).context("a move without its life")
    }

    fn connection(&self, life: &Life) -> anyhow::Result<Arc<Connection>> {
        let name = &life.card.connection;
        let connection = self.weather.connections.get(name);
        connection.cloned().with_context(|| format!("no connection {name}"))
    }

    fn file(&mut self, life: usize, at: i64) -> anyhow::Result<()> {
        if self.files.contains_key(&life) {
            return Ok(());
        }
        let planned = self.life(life)?.clone();
        if planned.priced_in.is_some() {
            self.worlds.price_abroad(planned.number);
        }
        self.worlds.charge(planned.number, planned.fee_minor);
        let mut file = File::new(Authorisation {
            id: format!("iauth_1Sim{:X}n{:07}", self.weather.seed, planned.number),
            card: planned.card.token.clone(),
            last_four: planned.card.last_four.clone(),
            cardholder: planned.card.token.replacen("ic_", "ich_", 1),
            shop: planned.shop,
            currency: self.weather.programme.currency.to_ascii_lowercase(),
            created: at,
            is_amount_controllable: planned.is_amount_controllable,
            fee_minor: planned.fee_minor,
            priced_in: planned.priced_in,
            history: Vec::new(),
            amount_minor: 0,
            status: Status::Pending,
            transactions: Vec::new(),
        });
        file.is_hasty = planned.is_hasty;
        self.files.insert(life, file);
        Ok(())
    }

    fn next_id(&mut self, prefix: &str) -> String {
        self.messages += 1;
        // In no order: what an identifier says of time is nothing.
        let shuffled = self.messages * 617 % 1000;
        let (seed, person) = (self.weather.seed, self.script.person);
        format!("{prefix}_{shuffled:03}Sim{seed:X}p{person}n{:06}", self.messages)
    }

    fn next_nameless(&mut self) -> usize {
        self.nameless += 1;
        self.nameless
    }
}

/// Sends all of them at the same time.
async fn deliver(
    weather: &Weather,
    ready: &[Ready],
    at: i64,
    due: Option<Instant>,
) -> anyhow::Result<Vec<Came>> {
    match ready {
        [one] => Ok(vec![deliver_one(weather, one, at, due).await?]),
        [one, other] => {
            let (one, other) = tokio::join!(
                deliver_one(weather, one, at, due),
                deliver_one(weather, other, at, due)
            );
            Ok(vec![one?, other?])
        }
        [one, other, third] => {
            let (one, other, third) = tokio::join!(
                deliver_one(weather, one, at, due),
                deliver_one(weather, other, at, due),
                deliver_one(weather, third, at, due)
            );
            Ok(vec![one?, other?, third?])
        }
        _ => anyhow::bail!("{} messages at once", ready.len()),
    }
}

async fn deliver_one(
    weather: &Weather,
    ready: &Ready,
    at: i64,
    due: Option<Instant>,
) -> anyhow::Result<Came> {
    let mut broken = Vec::new();
    if ready.letter.door == Door::Events {
        let stored = weather.post.tell(&ready.letter, ready.way, || weather.now()).await?;
        if stored.tries > 1 {
            weather.note("an event that was sent until it was stored");
            if !weather.may_be_away {
                broken.push(format!("it was stored only when it was sent {} times", stored.tries));
            }
        }
        if let Some(Reply { status, body, .. }) = &stored.refused {
            broken.push(format!("the event was answered {status}: {body}"));
        }
        let answer = if stored.refused.is_some() { Answer::Unusable } else { Answer::Stored };
        return Ok(Came { answer, reason: None, is_heard: true, latency: stored.latency, broken });
    }
    let asked = weather.post.ask(&ready.letter, ready.way, at, due).await?;
    let connection = &ready.letter.connection;
    let is_lost = asked.reply.is_none();
    let told = match &asked.reply {
        Some(reply) => Told::read(connection, Some(reply), &mut broken),
        None => None,
    };
    let is_our_fault = told.as_ref().is_some_and(|told| told.reason() == Some("our_fault"));
    for again in asked.again.iter().flatten() {
        let first = asked.reply.as_ref().map(|reply| reply.body.as_str());
        if first.is_some_and(|first| first != again.body) && !is_our_fault && !is_fault(again) {
            broken.push(format!(
                "the same question was answered {}, and {}",
                first.unwrap_or_default(),
                again.body
            ));
        }
    }
    if is_lost && !matches!(ready.way, Way::BrokenOff(_)) {
        let what = if asked.is_unreached { "it could not be reached" } else { "no answer came" };
        weather.note(what);
        if !weather.may_be_away {
            broken.push(what.to_owned());
        }
    }
    if is_our_fault {
        weather.note("an answer of our fault");
        if !weather.may_be_away {
            broken.push("it could not decide in time".to_owned());
        }
    }
    if let Some(told) = told.as_ref().filter(|told| told.decision().is_none() && !is_our_fault) {
        broken.push(format!("the answer does not name its decision: {told:?}"));
    }
    let deadline = Duration::from_millis(connection.deadline_ms);
    let is_late = !is_lost && asked.took > deadline;
    if is_late && !weather.may_be_away {
        broken.push(format!("answered after {} ms", asked.took.as_millis()));
    }
    let answer = match &told {
        Some(told) if !is_our_fault => told.answer(ready.amount_minor, &weather.programme.currency),
        Some(_) | None => Answer::Unusable,
    };
    let reason = told.as_ref().and_then(Told::reason).map(str::to_owned);
    let is_heard = asked.is_heard && !is_late;
    Ok(Came { answer, reason, is_heard, latency: asked.latency, broken })
}

fn is_fault(reply: &Reply) -> bool {
    reply.status != 200 || reply.body.contains("our_fault")
}

/// An answer as [`describe`] writes what was expected, so that the two can be compared.
fn heard_answer(answer: Answer) -> String {
    match answer {
        Answer::Partial(part) => format!("approved for {part}"),
        Answer::Approved | Answer::NotPaid | Answer::Stored | Answer::Unusable => {
            answer.to_string()
        }
    }
}

fn describe(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Approve => "approved".to_owned(),
        Verdict::Part(part) => format!("approved for {part}"),
        Verdict::Decline(reasons) => {
            format!("not paid: {}", reasons.iter().copied().collect::<Vec<_>>().join(" or "))
        }
    }
}
