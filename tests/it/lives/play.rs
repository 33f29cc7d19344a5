//! Plays lives in every order against the gateway's core, many of them side by side, and compares
//! their final states.

use std::collections::BTreeMap;
use std::iter;
use std::sync::Arc;

use sayso::card_path::authorise::{ReceivedAuthorisation, authorise};
use sayso::card_path::lifecycle;
use sayso::domain::id::CardToken;

use super::ends::{left, moved};
use super::life_script::{LifeScript, let_a_month_pass, received, run_upkeep};
use super::message::{ANY_CARD, IssuerVocabulary, Message};
use super::orders::{Step, once, orders, twice};
use super::table::{Life, Money};
use super::town::{PLENTY, Payer, ProgrammeBuilder};
use crate::support::TestDatabase;
use crate::world::{MONDAY_MORNING, World};

/// Limit on the messages of one commit.
const TOGETHER: usize = 256;
/// Of a life with more orders than this, only every third is also played with repetitions.
const FEW: usize = 24;

/// One play of a life: its order, its purchase and its payer.
struct LifePlay {
    /// Index into [`PlayRun::life_scripts`].
    life_script: usize,
    /// The steps before a month without messages, and those after it.
    parts: Vec<Vec<Step>>,
    payer: Payer,
}

/// All plays of all lives, and the gateway that they run against.
struct PlayRun {
    world: World,
    life_scripts: Vec<LifeScript>,
    plays: Vec<LifePlay>,
}

/// Plays every life in every order, with each message once and with each one repeated. Every final
/// state must be that of the table, nothing may stay held, and the ledger must verify.
pub(super) async fn play_all_orders(
    database: TestDatabase,
    vocabulary: &IssuerVocabulary,
    lives: impl IntoIterator<Item = Life>,
) {
    let mut town = ProgrammeBuilder::new();
    let begun = MONDAY_MORNING.parse().unwrap();
    let tell = |life| LifeScript::of(life, vocabulary, ANY_CARD, begun);
    let life_scripts: Vec<_> = lives.into_iter().filter_map(tell).collect();
    let of_each = life_scripts.iter().enumerate();
    let plays = of_each.flat_map(|(number, life_script)| plays_of(number, life_script, &mut town));
    let plays: Vec<_> = plays.collect();
    let world = World::open_with(database, town.file()).await;
    let run = PlayRun { world, life_scripts, plays };
    let parts = run.plays.iter().map(|play| play.parts.len()).max().unwrap();
    let mut complaints = Vec::new();
    for part in 0..parts {
        if part > 0 {
            let_a_month_pass(&run.world).await;
            complaints.extend(run.compare(part - 1, ExpectedEnd::AfterAMonth).await);
        }
        run.play(part).await;
        run_upkeep(&run.world).await;
        complaints.extend(run.compare(part, ExpectedEnd::OfTheLine).await);
    }
    let_a_month_pass(&run.world).await;
    complaints.extend(run.compare(parts - 1, ExpectedEnd::AfterAMonth).await);
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
    run.world.check().await;
}

fn plays_of(number: usize, life_script: &LifeScript, town: &mut ProgrammeBuilder) -> Vec<LifePlay> {
    let seed = u64::try_from(life_script.life.line).unwrap();
    let shared =
        (!life_script.is_of_own_money()).then(|| town.add_payer(&life_script.life.setting));
    let mut plays = Vec::new();
    let orders = orders(&life_script.groups, seed);
    let every = if orders.len() > FEW { 3 } else { 1 };
    for (nth, order) in orders.iter().enumerate() {
        let again = (nth % every == 0).then(|| twice(order, seed));
        for mut steps in iter::once(once(order)).chain(again) {
            steps.retain(|(place, is_again)| !(*is_again && life_script.is_month(*place)));
            let parts = steps.split(|(place, _)| life_script.is_month(*place));
            let parts = parts.map(<[Step]>::to_vec).collect();
            let payer = shared.clone().unwrap_or_else(|| town.add_payer(&life_script.life.setting));
            plays.push(LifePlay { life_script: number, parts, payer });
        }
    }
    plays
}

/// The expected final state.
#[derive(Clone, Copy)]
enum ExpectedEnd {
    OfTheLine,
    /// That of the line with its holds released.
    AfterAMonth,
}

impl ExpectedEnd {
    fn of(self, life: &Life) -> Money {
        match self {
            Self::OfTheLine => life.end.money,
            Self::AfterAMonth => Money { held: 0, ..life.end.money },
        }
    }
}

impl PlayRun {
    /// Plays one part of all plays: the n-th messages of all of them together, in few commits.
    async fn play(&self, part: usize) {
        let steps = self.plays.iter().filter_map(|play| play.parts.get(part));
        for number in 0..steps.map(Vec::len).max().unwrap() {
            self.take(part, number).await;
        }
    }

    async fn take(&self, part: usize, number: usize) {
        let mut questions = Vec::new();
        let mut events = Vec::new();
        let now = self.world.now();
        for (tag, play) in self.plays.iter().enumerate() {
            let step = play.parts.get(part).and_then(|steps| steps.get(number));
            let Some((place, is_again)) = step else { continue };
            let card: CardToken = play.payer.card.parse().unwrap();
            let is_renamed = *is_again && tag % 4 == 1;
            let said = &self.life_scripts[play.life_script].said[*place];
            let said = said.about(&tag.to_string(), &card, is_renamed);
            match said.message {
                Message::Question { request, .. } => {
                    questions.push(ReceivedAuthorisation {
                        request: Arc::new(*request),
                        arrived_at: now,
                    });
                }
                Message::Event(event) => events.push(received(*event, said.body, now)),
                Message::MonthPasses => unreachable!("it stands between the parts"),
            }
        }
        let app = &self.world.app;
        for some in questions.chunks(TOGETHER) {
            let mut tx = app.store().begin().await.unwrap();
            authorise(&mut tx, app.directory(), app.ids(), some).await.unwrap();
            tx.commit().await.unwrap();
        }
        for some in events.chunks(TOGETHER) {
            let mut tx = app.store().begin().await.unwrap();
            lifecycle::book(&mut tx, app.directory(), app.ids(), some).await.unwrap();
            tx.commit().await.unwrap();
        }
    }

    /// Compares the finished plays with their expectations, and returns the differences.
    async fn compare(&self, part: usize, end: ExpectedEnd) -> Vec<String> {
        let moved = moved(&self.world.database).await;
        let left = left(&self.world.database).await;
        let mut complaints: BTreeMap<usize, Vec<String>> = BTreeMap::new();
        let mut shared: BTreeMap<&str, (i64, usize)> = BTreeMap::new();
        let over = self.plays.iter().enumerate().filter(|(_, play)| play.parts.len() == part + 1);
        for (tag, play) in over {
            let life = &self.life_scripts[play.life_script].life;
            let must = end.of(life);
            let mut complain = |what: String| {
                let what = format!("{what}: {}", self.told(play));
                complaints.entry(play.life_script).or_default().push(what);
            };
            let mine = moved.get(&tag.to_string()).copied().unwrap_or_default();
            if mine != must {
                complain(format!("{mine:?}, not {must:?}"));
            }
            let Some(budget) = &play.payer.budget else { continue };
            let given_back = life.end.money.held - must.held;
            match &life.end.left {
                Some(expected) if given_back == 0 && left[budget] != *expected => {
                    complain(format!("{:?} left, not {expected:?}", left[budget]));
                }
                Some(expected) => {
                    let (is, was): (i64, i64) = (left[budget].iter().sum(), expected.iter().sum());
                    if is != was + given_back {
                        complain(format!("{is} left, not {was} and {given_back}"));
                    }
                }
                None => {
                    let rest = shared.entry(budget).or_insert((PLENTY, play.life_script));
                    rest.0 -= must.held + must.spent;
                }
            }
        }
        for (budget, (expected, life_script)) in shared {
            if left[budget] != [expected] {
                let what = format!("{:?} left in all, not {expected}", left[budget]);
                complaints.entry(life_script).or_default().push(what);
            }
        }
        complaints
            .iter()
            .map(|(life_script, complaints)| self.shown(*life_script, complaints))
            .collect()
    }

    /// Describes a failed life with some of its plays.
    fn shown(&self, life_script: usize, complaints: &[String]) -> String {
        let life = &self.life_scripts[life_script].life;
        let some = complaints.iter().take(2).map(String::as_str).collect::<Vec<_>>();
        let count = complaints.len();
        format!("line {} ({}), {count} times:\n  {}", life.line, life.name, some.join("\n  "))
    }

    /// The messages of a play in words, for the failure message.
    fn told(&self, play: &LifePlay) -> String {
        let said = &self.life_scripts[play.life_script].said;
        let step = |(place, is_again): &Step| {
            let words = &said[*place].words;
            if *is_again { format!("{words} again") } else { words.clone() }
        };
        let part = |steps: &Vec<Step>| steps.iter().map(step).collect::<Vec<_>>().join(", ");
        play.parts.iter().map(part).collect::<Vec<_>>().join(", a month passes, ")
    }
}
