//! Plays lives against a gateway's core, very many side by side, and compares how each ended.

use std::collections::BTreeMap;
use std::iter;

use jiff::Timestamp;
use sayso::authorise::{Question, authorise};
use sayso::domain::id::CardToken;
use sayso::domain::presentment::IssuerEvent;
use sayso::lifecycle;
use sayso::record::event::ReceivedEvent;

use super::message::{Answer, MARK, Message, Said, Tongue};
use super::orders::{Step, once, orders, twice};
use super::table::{Life, Money};
use super::town::{PLENTY, Payer, Town};
use crate::support::TestDatabase;
use crate::world::{CONNECTION, World};

/// The most messages of one commit.
const TOGETHER: usize = 256;
/// Of a life with more orders than these, every third is also played with everything said twice.
const FEW: usize = 24;

/// A life as one issuer tells it, and whoever pays for it.
struct Telling {
    life: Life,
    said: Vec<Said>,
    /// How many messages stand between one ` > ` and the next.
    groups: Vec<usize>,
}

impl Telling {
    /// The life in this tongue, if it can be told in it; `card` stands in the messages.
    fn of(life: Life, tongue: &Tongue, card: &str) -> Option<Self> {
        let said = (tongue.say)(&life, card)?;
        let groups = said.iter().map(Vec::len).collect();
        Some(Self { life, said: said.concat(), groups })
    }

    fn is_of_own_money(&self) -> bool {
        self.life.setting.pots.is_some()
    }
}

/// One play of a life: an order, a purchase of its own, and whoever pays.
struct Play {
    /// The number of the telling.
    telling: usize,
    steps: Vec<Step>,
    payer: Payer,
}

impl Play {
    /// What its messages look like in words, for whoever has to mend something.
    fn told(&self, tellings: &[Telling]) -> String {
        let said = &tellings[self.telling].said;
        let step = |(place, is_again): &Step| {
            let words = &said[*place].words;
            if *is_again { format!("{words} again") } else { words.clone() }
        };
        self.steps.iter().map(step).collect::<Vec<_>>().join(", ")
    }
}

/// Plays every line in every order, once and with everything said twice; every end must be that of
/// the line, and the ledger must prove.
pub(super) async fn play_all_orders(
    database: TestDatabase,
    tongue: &Tongue,
    lives: impl IntoIterator<Item = Life>,
) {
    let mut town = Town::new();
    let tellings: Vec<_> =
        lives.into_iter().filter_map(|life| Telling::of(life, tongue, "ic_x")).collect();
    let plays: Vec<_> = tellings
        .iter()
        .enumerate()
        .flat_map(|(number, telling)| plays_of(number, telling, &mut town))
        .collect();
    let world = World::open_with(database, town.file()).await;
    let most = plays.iter().map(|play| play.steps.len()).max().unwrap();
    for number in 0..most {
        take(&world, &tellings, &plays, number).await;
    }
    compare(&world, &tellings, &plays).await;
    world.check().await;
}

fn plays_of(number: usize, telling: &Telling, town: &mut Town) -> Vec<Play> {
    let seed = u64::try_from(telling.life.line).unwrap();
    let shared = (!telling.is_of_own_money()).then(|| town.settle(&telling.life.setting));
    let mut plays = Vec::new();
    let orders = orders(&telling.groups, seed);
    let every = if orders.len() > FEW { 3 } else { 1 };
    for (nth, order) in orders.iter().enumerate() {
        let again = (nth % every == 0).then(|| twice(order, seed));
        for steps in iter::once(once(order)).chain(again) {
            let payer = shared.clone().unwrap_or_else(|| town.settle(&telling.life.setting));
            plays.push(Play { telling: number, steps, payer });
        }
    }
    plays
}

/// The messages of this number of all plays, in few commits.
async fn take(world: &World, tellings: &[Telling], plays: &[Play], number: usize) {
    let mut questions = Vec::new();
    let mut events = Vec::new();
    let now = world.now();
    for (tag, play) in plays.iter().enumerate() {
        let Some((place, is_again)) = play.steps.get(number) else { continue };
        let card: CardToken = play.payer.card.parse().unwrap();
        let is_renamed = *is_again && tag % 4 == 1;
        let said = &tellings[play.telling].said[*place];
        match said.message.about(&tag.to_string(), &card, is_renamed) {
            Message::Question { request, .. } => {
                questions.push(Question { request: *request, arrived_at: now });
            }
            Message::Event(event) => events.push(received(*event, said, now)),
        }
    }
    let (store, directory, ids) = (world.app.store(), world.app.directory(), world.app.ids());
    for some in questions.chunks(TOGETHER) {
        let mut tx = store.begin().await.unwrap();
        authorise(&mut tx, directory, ids, some).await.unwrap();
        tx.commit().await.unwrap();
    }
    for some in events.chunks(TOGETHER) {
        let mut tx = store.begin().await.unwrap();
        lifecycle::book(&mut tx, directory, ids, some).await.unwrap();
        tx.commit().await.unwrap();
    }
}

/// Plays every line as it is written, each with a person of its own: over HTTP, if this issuer's
/// messages have a form there. Answers, ends and exceptions must be those of the line.
pub(super) async fn play_as_written(
    database: TestDatabase,
    tongue: &Tongue,
    lives: impl IntoIterator<Item = Life>,
) {
    let mut town = Town::new();
    let mut told = Vec::new();
    for life in lives {
        let payer = town.settle(&life.setting);
        told.extend(Telling::of(life, tongue, &payer.card).map(|telling| (telling, payer)));
    }
    let world = World::open_with(database, town.file()).await;
    for (telling, _) in &told {
        for said in &telling.said {
            say(&world, &telling.life, said).await;
        }
    }
    let moved = moved(&world.database).await;
    let left = left(&world.database).await;
    let noted = noted(&world.database).await;
    let mut complaints = Vec::new();
    for (Telling { life, .. }, payer) in &told {
        let (tag, end) = (life.line.to_string(), &life.end);
        let mut complain = |is: String, must: String| {
            if is != must {
                complaints.push(format!("line {} ({}): {is}, not {must}", life.line, life.name));
            }
        };
        let mine = moved.get(&tag).copied().unwrap_or_default();
        complain(format!("{mine:?}"), format!("{:?}", end.money));
        if let Some(budget) = &payer.budget {
            let rest = vec![PLENTY - end.money.held - end.money.spent];
            let expected = end.left.as_ref().unwrap_or(&rest);
            complain(format!("left {:?}", left[budget]), format!("left {expected:?}"));
        }
        let noted = noted.get(&tag).cloned().unwrap_or_default();
        complain(format!("{noted:?}"), format!("{:?}", end.to_look_at(tongue.title)));
    }
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
    world.check().await;
}

async fn say(world: &World, life: &Life, said: &Said) {
    let what = || format!("{}: {}", life.name, said.words);
    let (store, directory, ids) = (world.app.store(), world.app.directory(), world.app.ids());
    match &said.message {
        Message::Question { answer, .. } if !said.body.is_empty() => {
            let heard = world.ask_body(&said.body).await;
            let part = heard.json()["amount"].as_i64();
            let is_as_asked = match *answer {
                Answer::Approved(all) => heard.is_approved() && part.is_none_or(|part| part == all),
                Answer::Refused => !heard.is_approved(),
            };
            assert!(is_as_asked, "{}: {heard:?}", what());
        }
        Message::Question { request, answer } => {
            let question = Question { request: (**request).clone(), arrived_at: world.now() };
            let mut tx = store.begin().await.unwrap();
            let answered = authorise(&mut tx, directory, ids, &[question]).await.unwrap();
            tx.commit().await.unwrap();
            assert_eq!(Answer::of(&answered[0].told), *answer, "{}", what());
        }
        Message::Event(_) if !said.body.is_empty() => {
            let heard = world.tell_body(&said.body).await;
            assert_eq!(heard.status, 200, "{}: {heard:?}", what());
        }
        Message::Event(event) => {
            let mut tx = store.begin().await.unwrap();
            let event = received((**event).clone(), said, world.now());
            lifecycle::book(&mut tx, directory, ids, &[event]).await.unwrap();
            tx.commit().await.unwrap();
        }
    }
}

fn received(event: IssuerEvent, said: &Said, received_at: Timestamp) -> ReceivedEvent {
    ReceivedEvent {
        programme: "riverside".parse().unwrap(),
        connection: CONNECTION.parse().unwrap(),
        event,
        text: said.words.clone(),
        received_at,
    }
}

async fn compare(world: &World, tellings: &[Telling], plays: &[Play]) {
    let moved = moved(&world.database).await;
    let left = left(&world.database).await;
    let mut complaints: BTreeMap<usize, Vec<String>> = BTreeMap::new();
    let mut ended_for: BTreeMap<&str, (i64, usize)> = BTreeMap::new();
    for (tag, play) in plays.iter().enumerate() {
        let telling = &tellings[play.telling];
        let end = &telling.life.end;
        let mine = moved.get(&tag.to_string()).copied().unwrap_or_default();
        if let Some(budget) = &play.payer.budget {
            let sums = ended_for.entry(budget).or_insert((PLENTY, play.telling));
            sums.0 -= end.money.held + end.money.spent;
            if let Some(expected) = &end.left
                && left[budget] != *expected
            {
                let text =
                    format!("{:?} left, not {expected:?}: {}", left[budget], play.told(tellings));
                complaints.entry(play.telling).or_default().push(text);
            }
        }
        if mine != end.money {
            let text = format!("{mine:?}, not {:?}: {}", end.money, play.told(tellings));
            complaints.entry(play.telling).or_default().push(text);
        }
    }
    for (budget, (expected, telling)) in ended_for {
        if !tellings[telling].is_of_own_money() && left[budget] != [expected] {
            let text = format!("{:?} left in all, not {expected}", left[budget]);
            complaints.entry(telling).or_default().push(text);
        }
    }
    let shown = complaints.iter().map(|(telling, complaints)| {
        let life = &tellings[*telling].life;
        let some = complaints.iter().take(3).map(String::as_str).collect::<Vec<_>>();
        let count = complaints.len();
        format!("line {} ({}), {count} times:\n  {}", life.line, life.name, some.join("\n  "))
    });
    assert!(complaints.is_empty(), "\n{}", shown.collect::<Vec<_>>().join("\n"));
}

/// What each play moved, by its tag.
async fn moved(database: &TestDatabase) -> BTreeMap<String, Money> {
    let purchases = "SELECT reference, CAST(exposure_minor AS TEXT), CAST(suspense_minor AS TEXT) \
                     FROM purchase";
    let holds = "SELECT reference, CAST(SUM(held_minor) AS TEXT), \
                 CAST(SUM(hold.captured_minor - hold.refunded_minor) AS TEXT) \
                 FROM hold JOIN purchase ON hold.programme_id = purchase.programme_id \
                 AND hold.purchase_id = purchase.purchase_id GROUP BY reference";
    let mut moved: BTreeMap<String, Money> = BTreeMap::new();
    for row in database.rows(purchases).await {
        let sums = moved.entry(tag_of(&row[0])).or_default();
        sums.owed += number(&row[1]);
        sums.aside += number(&row[2]);
    }
    for row in database.rows(holds).await {
        let sums = moved.entry(tag_of(&row[0])).or_default();
        sums.held += number(&row[1]);
        sums.spent += number(&row[2]);
    }
    moved
}

/// What each pot of each budget has left.
async fn left(database: &TestDatabase) -> BTreeMap<String, Vec<i64>> {
    let pots = "SELECT budget_id, CAST(left_minor AS TEXT) FROM pot ORDER BY budget_id, pot_id";
    let mut left: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    for row in database.rows(pots).await {
        left.entry(row[0].clone()).or_default().push(number(&row[1]));
    }
    left
}

/// The kinds of what somebody should look at, by tag, sorted.
async fn noted(database: &TestDatabase) -> BTreeMap<String, Vec<String>> {
    let exceptions = "SELECT subject, kind FROM exception ORDER BY kind";
    let mut noted: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for row in database.rows(exceptions).await {
        noted.entry(tag_of(&row[0])).or_default().push(row[1].clone());
    }
    noted
}

/// The line, of a life as it is written; of a play in another order, its number.
fn tag_of(reference: &str) -> String {
    let tag = reference.rsplit(MARK).next().unwrap();
    tag.split(['_', '/']).next().unwrap().to_owned()
}

fn number(text: &str) -> i64 {
    text.parse().unwrap()
}
