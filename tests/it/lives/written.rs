//! Plays lives in the order of the table.

use std::sync::Arc;

use sayso::card_path::authorise::{ReceivedAuthorisation, authorise};
use sayso::card_path::lifecycle;

use super::ends::{left, moved, noted};
use super::life_script::{LifeScript, let_a_month_pass, received, run_upkeep};
use super::message::{Answer, IssuerVocabulary, Message, ScriptedMessage};
use super::table::Life;
use super::town::{PLENTY, Payer, ProgrammeBuilder};
use crate::support::TestDatabase;
use crate::world::World;

/// Plays every line as written, each with its own person, over HTTP if this issuer has an adapter.
/// Responses, final states and exceptions must be those of the line.
pub(super) async fn play_as_written(
    database: TestDatabase,
    vocabulary: &IssuerVocabulary,
    lives: impl IntoIterator<Item = Life>,
) {
    let mut town = ProgrammeBuilder::new();
    let add_payer = |life: Life| {
        let payer = town.add_payer(&life.setting);
        (life, payer)
    };
    let lives: Vec<_> = lives.into_iter().map(add_payer).collect();
    let world = World::open_with(database, town.file()).await;
    let mut complaints = Vec::new();
    for (life, payer) in lives {
        let life_script = LifeScript::of(life, vocabulary, &payer.card, world.now());
        let Some(life_script) = life_script else { continue };
        for said in &life_script.said {
            say(&world, &life_script.life, said).await;
        }
        run_upkeep(&world).await;
        // Compared right away, because the next life may advance the clock by a month.
        complaints.extend(compare(&world, vocabulary, &life_script.life, &payer).await);
    }
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
    world.check().await;
}

async fn compare(
    world: &World,
    vocabulary: &IssuerVocabulary,
    life: &Life,
    payer: &Payer,
) -> Vec<String> {
    let (tag, end) = (life.line.to_string(), &life.end);
    let moved = moved(&world.database).await.get(&tag).copied().unwrap_or_default();
    let noted = noted(&world.database).await.remove(&tag).unwrap_or_default();
    let mut pairs = vec![
        (format!("{moved:?}"), format!("{:?}", end.money)),
        (format!("{noted:?}"), format!("{:?}", end.to_look_at(vocabulary.title))),
    ];
    if let Some(budget) = &payer.budget {
        let rest = vec![PLENTY - end.money.held - end.money.spent];
        let expected = end.left.as_ref().unwrap_or(&rest);
        let left = &left(&world.database).await[budget];
        pairs.push((format!("left {left:?}"), format!("left {expected:?}")));
    }
    let wrong = pairs.into_iter().filter(|(is, must)| is != must);
    wrong
        .map(|(is, must)| format!("line {} ({}): {is}, not {must}", life.line, life.name))
        .collect()
}

async fn say(world: &World, life: &Life, said: &ScriptedMessage) {
    let what = || format!("{}: {}", life.name, said.words);
    let (store, directory, ids) = (world.app.store(), world.app.directory(), world.app.ids());
    match &said.message {
        Message::Question { answer, .. } if !said.body.is_empty() => {
            let heard = world.authorise_body(&said.body).await;
            let part = heard.json()["amount"].as_i64();
            let is_as_asked = match *answer {
                Answer::Approved(all) => heard.is_approved() && part.is_none_or(|part| part == all),
                Answer::Refused => !heard.is_approved(),
            };
            assert!(is_as_asked, "{}: {heard:?}", what());
        }
        Message::Question { request, answer } => {
            let request = Arc::new((**request).clone());
            let question = ReceivedAuthorisation { request, arrived_at: world.now() };
            let mut tx = store.begin().await.unwrap();
            let answered = authorise(&mut tx, directory, ids, &[question]).await.unwrap();
            tx.commit().await.unwrap();
            assert_eq!(Answer::of(&answered[0].response), *answer, "{}", what());
        }
        Message::Event(_) if !said.body.is_empty() => {
            let heard = world.send_event_body(&said.body).await;
            assert_eq!(heard.status, 200, "{}: {heard:?}", what());
        }
        Message::Event(event) => {
            let mut tx = store.begin().await.unwrap();
            let event = received((**event).clone(), said.words.clone(), world.now());
            lifecycle::book(&mut tx, directory, ids, &[event]).await.unwrap();
            tx.commit().await.unwrap();
        }
        Message::MonthPasses => let_a_month_pass(world).await,
    }
}
