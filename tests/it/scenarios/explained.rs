//! Every decision can be explained afterwards, and a file with mistakes changes nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use sayso::app::demo;
use sayso::app::demo::{DemoSettings, sign_in};
use sayso::app::gateway::App;
use sayso::card_path::authorise::{ReceivedAuthorisation, authorise};
use sayso::issuers::{Origin, Verdict};
use sayso::ledger::record::decision::DecisionOutcome;
use sayso::operations::explain::{Explanation, Replay, explain};
use sayso::operations::verify;
use sayso::platform::clock::Clock;
use sayso::programme::apply::{ApplyError, ApplyReport, apply};
use sayso::programme::show::show;
use secrecy::ExposeSecret as _;
use serde_json::json;
use simulator::{MessageKind, PlayConfig, PlayStep, ResponseOutcome};
use tokio::sync::mpsc;

use crate::support::{TABLES, TestDatabase};
use crate::world::{ANA, CONNECTION, DEE, DEMO, Purchase, RULES, SECRET, World, an_hour, purchase};

on_both_databases!(
    what_was_refused_is_asked_for_answered_and_paid,
    a_whole_play_is_explained_as_it_was_answered,
    the_demo_is_clean_with_seed_1,
    the_demo_is_clean_with_seed_2,
    the_demo_is_clean_with_seed_3,
    a_file_with_ten_mistakes_lists_ten_and_changes_nothing,
    what_is_shown_applies_again_without_a_change,
    a_question_about_somebody_elses_purchase_is_explained,
    what_is_told_later_is_what_was_recorded,
    a_question_about_somebody_elses_purchase_at_the_same_time_changes_nothing,
);

/// Plays seed 7 against its own gateway, and returns the simulator's steps.
async fn played(database: &TestDatabase) -> (App, Vec<PlayStep>) {
    let (clock, clock_control) = Clock::manual("2026-11-22T12:00:00Z".parse().unwrap());
    let app = App::start(database.settings(&clock)).await.unwrap();
    apply(app.store(), app.ids(), app.clock().now(), DEMO, RULES).await.unwrap();
    app.directory().refresh(app.clock().now()).await.unwrap();
    let gateway = format!("http://{}", app.address());
    let sign_in = sign_in(&app).await.unwrap();
    let play = PlayConfig { gateway, programme: DEMO.to_owned(), seed: 7, sign_in: Some(sign_in) };
    let set_time = Box::new(move |unix| clock_control.set(Timestamp::from_second(unix).unwrap()));
    let (sender, mut receiver) = mpsc::channel(1_000);
    let playing = simulator::play(&play, simulator::ClockMode::Story(set_time), sender);
    let listening = async {
        let mut steps = Vec::new();
        while let Some(step) = receiver.recv().await {
            steps.push(step);
        }
        steps
    };
    let (outcome, steps) = tokio::join!(playing, listening);
    let outcome = outcome.unwrap();
    assert!(outcome.report().is_clean(), "{}", outcome.report().to_text());
    (app, steps)
}

/// The stories in which people act reach their outcomes.
async fn what_was_refused_is_asked_for_answered_and_paid(database: TestDatabase) {
    let (app, steps) = played(&database).await;
    let told = |story: &str| -> Vec<_> {
        let of =
            steps.iter().filter(|step| step.story == story && step.kind != MessageKind::Confirmed);
        of.map(|step| (step.kind, step.answer)).collect()
    };
    let (refused, paid) = (
        (MessageKind::Purchase, ResponseOutcome::NotPaid),
        (MessageKind::Purchase, ResponseOutcome::Approved),
    );
    let done = |kind| (kind, ResponseOutcome::Stored);
    let ends = [done(MessageKind::Captured), done(MessageKind::Closed)];
    let asked = [refused, done(MessageKind::AskedFor), done(MessageKind::SaidYes), paid];
    assert_eq!(told("refused, asked, answered, paid"), [&asked[..], &ends].concat());
    let no = [
        refused,
        done(MessageKind::AskedFor),
        done(MessageKind::SaidNo),
        done(MessageKind::Appealed),
    ];
    let after_all = [done(MessageKind::LookedAt), paid];
    let looked_at = [&no[..], &after_all, &ends].concat();
    assert_eq!(told("a no that somebody else looks at"), looked_at);
    let frozen = [paid, done(MessageKind::Frozen), refused, done(MessageKind::Unfrozen)];
    assert_eq!(told("a freeze of her own"), [&frozen[..], &ends].concat());
    app.stop().await;
}

async fn a_question_about_somebody_elses_purchase_is_explained(database: TestDatabase) {
    let world = World::open(database).await;
    let dees = purchase("Hers", 5_00);
    assert!(world.authorise(&dees).await.is_approved());
    let anas = Purchase { card: ANA.to_owned(), answers: 1, ..dees };
    let answer = world.authorise(&anas).await;
    assert_eq!(answer.reason(), "conflict");
    let explained = explain(world.app.store(), world.app.directory(), &answer.decision()).await;
    assert_eq!(explained.unwrap()[0].replay, Replay::Same);
    world.check().await;
}

/// The reason and its figures come from the record, and a replay only verifies them. Decisions from
/// before the record had them are explained by their replay.
async fn what_is_told_later_is_what_was_recorded(database: TestDatabase) {
    let world = World::open(database).await;
    let refused = world.authorise(&purchase("Dear", 999_00)).await;
    assert_eq!(refused.reason(), "no_money");
    let paid = world.authorise(&purchase("Cheap", 1_00)).await;
    let explained = async |answer: &crate::world::TestResponse| {
        let (store, directory) = (world.app.store(), world.app.directory());
        explain(store, directory, &answer.decision()).await.unwrap().remove(0)
    };
    let (before, bought) = (explained(&refused).await, explained(&paid).await);
    assert_eq!((&before.replay, &bought.replay), (&Replay::Same, &Replay::Same));
    let answers = world.database.rows("SELECT answer FROM decision ORDER BY decided_at").await;
    let answer: serde_json::Value = serde_json::from_str(&answers[0][0]).unwrap();
    let reason = answer["reasons"][0].clone();
    assert_eq!(reason["reason"], "no_money");
    let left = reason["left"]["minor"].as_i64().unwrap();
    assert_eq!(reason["gap"], json!({"minor": 999_00 - left, "currency": "GBP"}));

    let mut meddling = world.database.connect().await;
    let other = answers[0][0].replace(&format!(":{left},"), ":1234,");
    for (answer, text, replay) in [
        (
            format!("'{other}'"),
            "£12.34",
            Replay::Differs("the recorded answer carries other figures".to_owned()),
        ),
        ("NULL".to_owned(), before.person_text.as_str(), Replay::Same),
    ] {
        let sql = format!("UPDATE decision SET answer = {answer} WHERE outcome = 'declined'");
        sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&mut meddling).await.unwrap();
        let told = explained(&refused).await;
        assert!(told.person_text.contains(text), "{}", told.person_text);
        assert_eq!(told.replay, replay);
    }
    let sql = "UPDATE decision SET answer = NULL WHERE outcome = 'approved'";
    sqlx::query(sql).execute(&mut meddling).await.unwrap();
    let told = explained(&paid).await;
    assert_eq!((told.parts, told.replay), (bought.parts, Replay::Same));
    sqlx::Connection::close(meddling).await.unwrap();
    world.app.stop().await;
}

/// Both are decided in one transaction: the purchase's hold must not count twice for its owner.
async fn a_question_about_somebody_elses_purchase_at_the_same_time_changes_nothing(
    database: TestDatabase,
) {
    let (clock, _hand) = Clock::manual("2026-11-23T09:00:00Z".parse().unwrap());
    let app = App::start(database.settings(&clock)).await.unwrap();
    let now = app.clock().now();
    apply(app.store(), app.ids(), now, DEMO, RULES).await.unwrap();
    app.directory().refresh(now).await.unwrap();
    let question = |bought: &Purchase| {
        let connection = CONNECTION.parse().unwrap();
        let live = app.directory().connection(&connection).unwrap();
        let origin = Origin { programme: live.programme.clone(), connection };
        let body = bought.request(now).to_string();
        let request = live.issuer.decode_authorisation(&origin, body.as_bytes()).unwrap();
        ReceivedAuthorisation { request: Arc::new(request), arrived_at: now }
    };
    let decide = async |questions: &[ReceivedAuthorisation]| {
        let mut tx = app.store().begin().await.unwrap();
        let answers = authorise(&mut tx, app.directory(), app.ids(), questions).await.unwrap();
        tx.commit().await.unwrap();
        answers
    };
    let dees = purchase("Hers", 15_00);
    decide(&[question(&dees)]).await;
    let more = Purchase { answers: 1, amount: 5_00, ..dees };
    let anas = Purchase { card: ANA.to_owned(), answers: 2, ..more.clone() };
    let answers = decide(&[question(&more), question(&anas)]).await;
    assert!(matches!(answers[0].response.verdict, Verdict::Approved { .. }), "{answers:?}");
    assert!(matches!(answers[1].response.verdict, Verdict::Declined { .. }), "{answers:?}");
    let sql = format!("SELECT facts FROM decision WHERE reference = '{}/1'", more.id);
    let facts = database.rows(&sql).await.concat().concat();
    assert!(facts.contains("\"so_far\":[1500,"), "{facts}");
    assert!(verify(app.store(), None).await.unwrap().is_clean());
    app.stop().await;
}

async fn a_whole_play_is_explained_as_it_was_answered(database: TestDatabase) {
    let (app, steps) = played(&database).await;
    // Response by decision, as the issuer received it: the outcome, and the gateway's reason.
    let mut heard: BTreeMap<String, (ResponseOutcome, Option<String>)> = BTreeMap::new();
    for step in steps.iter().filter(|step| step.kind.is_question()) {
        let decision = step.decision.clone().unwrap();
        let told = (step.answer, step.reason.clone());
        let known = heard.entry(decision).or_insert_with(|| told.clone());
        assert_eq!(*known, told, "{step:?}");
    }
    assert!(heard.len() >= 30, "{}", heard.len());
    let recorded = database.rows("SELECT decision_id FROM decision ORDER BY 1").await.concat();
    assert_eq!(recorded, heard.keys().cloned().collect::<Vec<_>>(), "each was told, each recorded");

    let mut refused = 0;
    for (decision, told) in &heard {
        let explanations = explain(app.store(), app.directory(), decision).await.unwrap();
        let [explanation] = explanations.as_slice() else { panic!("{explanations:?}") };
        assert_eq!(explanation.replay, Replay::Same, "{explanation}");
        assert_eq!(&said(explanation), told, "{explanation}");
        let is_refusal = matches!(explanation.outcome, DecisionOutcome::Declined(_));
        let is_somebody = !explanation.person.is_house();
        let is_to_be_told = is_refusal && is_somebody;
        assert_eq!(explanation.messages.len(), usize::from(is_to_be_told), "{explanation}");
        for text in [&explanation.person_text, &explanation.worker_text, &explanation.finance_text]
        {
            assert!(!text.is_empty(), "{explanation}");
        }
        let about = format!("SELECT body FROM message WHERE subject = '{decision}'");
        assert_eq!(database.rows(&about).await.concat(), explanation.messages);
        refused += usize::from(is_to_be_told);
    }
    assert!(refused >= 10, "{refused}");
    // Each message was written together with its decline, and there are no others.
    let together = "SELECT m.message_id FROM message m \
                    JOIN decision d ON d.decision_id = m.subject \
                    AND d.programme_id = m.programme_id AND d.budget_id = m.budget_id \
                    AND d.decided_at = m.created_at AND d.outcome = 'declined'";
    assert_eq!(database.rows(together).await.len(), refused);
    assert_eq!(
        database.rows("SELECT message_id FROM message WHERE kind = 'not_paid'").await.len(),
        refused
    );
    let proof = verify(app.store(), None).await.unwrap();
    assert!(proof.is_clean(), "{}", proof.to_text());
    app.stop().await;
}

/// The response that the issuer must have received for a decision.
fn said(explanation: &Explanation) -> (ResponseOutcome, Option<String>) {
    match &explanation.outcome {
        DecisionOutcome::Approved(amount) if *amount == explanation.asked => {
            (ResponseOutcome::Approved, None)
        }
        DecisionOutcome::Approved(amount) => (ResponseOutcome::Partial(amount.minor()), None),
        DecisionOutcome::Declined(codes) => {
            (ResponseOutcome::NotPaid, Some(codes[0].as_str().to_owned()))
        }
    }
}

/// Runs the demo and returns its lines, without measurements and generated values.
async fn demo_lines(database: &TestDatabase, seed: u64) -> Vec<String> {
    let settings = DemoSettings {
        listen: "127.0.0.1:0".parse().unwrap(),
        database_url: Some(database.url.clone()),
        key: Some(database.key()),
        seed,
    };
    let mut lines = Vec::new();
    let demo = demo::run(settings, |line| lines.push(line)).await.unwrap();
    assert!(demo.is_clean, "seed {seed}:\n{}", lines.join("\n"));
    let address = demo.app.address().to_string();
    demo.app.stop().await;
    let text = lines.join("\n").replace(&database.url, "DATABASE").replace(&address, "ADDRESS");
    text.lines().map(without_measures).collect()
}

/// Blanks numbers before `ms`, and every word of the shape of a digest.
fn without_measures(line: &str) -> String {
    let mut words: Vec<_> = line.split(' ').filter(|word| !word.is_empty()).collect();
    for at in 0..words.len() {
        let is_time = words.get(at + 1).is_some_and(|next| next.starts_with("ms"));
        let is_digest = words[at].len() >= 32 && words[at].chars().all(|c| c.is_ascii_hexdigit());
        if is_time || is_digest {
            words[at] = "-";
        }
    }
    words.join(" ")
}

async fn the_demo_is_clean_with_seed_1(database: TestDatabase) {
    demo_lines(&database, 1).await;
}

async fn the_demo_is_clean_with_seed_2(database: TestDatabase) {
    demo_lines(&database, 2).await;
}

async fn the_demo_is_clean_with_seed_3(database: TestDatabase) {
    demo_lines(&database, 3).await;
}

#[tokio::test]
async fn one_seed_tells_one_story() {
    let databases = [TestDatabase::sqlite(), TestDatabase::sqlite(), TestDatabase::sqlite()];
    let [one, again, other] = [(0, 7), (1, 7), (2, 8)].map(|(n, seed)| (&databases[n], seed));
    let one = demo_lines(one.0, one.1).await;
    let again = demo_lines(again.0, again.1).await;
    for (one, again) in one.iter().zip(&again) {
        assert_eq!(one, again);
    }
    assert_eq!(one.len(), again.len());
    assert_ne!(one[1..], demo_lines(other.0, other.1).await[1..], "the first line names the seed");
}

/// Row counts of [`TABLES`].
async fn all_rows(world: &World) -> Vec<(&'static str, i64)> {
    let mut counts = Vec::new();
    for table in TABLES {
        counts.push((table, world.count(table, "1 = 1").await));
    }
    counts
}

async fn try_apply(world: &World, file: &str, rules: &str) -> Result<ApplyReport, ApplyError> {
    apply(world.app.store(), world.app.ids(), world.now(), file, rules).await
}

/// The line of `text` on which `words` first occur, counted from 1.
fn line_of(text: &str, words: &str) -> usize {
    text[..text.find(words).unwrap()].matches('\n').count() + 1
}

async fn a_file_with_ten_mistakes_lists_ten_and_changes_nothing(database: TestDatabase) {
    let world = World::open(database).await;
    assert!(world.authorise(&purchase("Before", 1_00)).await.is_approved());
    let before = all_rows(&world).await;
    let mistakes = [
        ("time_zone = \"Europe/London\"", "time_zone = \"Europe/Londom\""),
        ("country = \"GB\"", "country = \"UK\""),
        ("phone = \"020 7946 0001\"", "phone = \"call me\""),
        ("answer_within_ms = 1300", "answer_within_ms = 2300"),
        ("value = \"whsec_demo_events_8a41d7e6b95340c2\"", "value = \"short\""),
        ("never = [\"gambling\"]", "never = [\"gambing\"]"),
        ("state = \"replaced\"", "state = \"sold\""),
        ("{ id = \"start\", amount = \"150.00\" }", "{ id = \"start\", amount = \"150.001\" }"),
        ("agreed_on = 2026-11-02", "agreed_on = \"some day\""),
        ("reason = \"Ana does not shop online.\"\n", "raeson = \"Ana does not shop online.\"\n"),
    ];
    let mut file = DEMO.to_owned();
    for (right, wrong) in mistakes {
        assert!(file.contains(right), "{right}");
        file = file.replacen(right, wrong, 1);
    }
    let ApplyError::File(problems) = try_apply(&world, &file, RULES).await.unwrap_err() else {
        panic!("applied")
    };
    let lines: Vec<_> = problems.problems.iter().map(|problem| problem.line).collect();
    for (_, wrong) in mistakes {
        assert!(lines.contains(&line_of(&file, wrong)), "{wrong} is not in:\n{problems}");
    }
    assert!(lines.is_sorted(), "{problems}");
    assert_eq!(all_rows(&world).await, before);

    let mistakes = [
        ("slug = \"eating\"", "slug = \"Eating out\""),
        ("\"5411 Supermarkets and grocers\"", "\"541 Supermarkets and grocers\""),
        ("\"5441 Sweet and chocolate shops\"", "\"5422 Sweet and chocolate shops\""),
        (
            "start = \"talk\"\nsensitive = true\nnote = \"\"\"\nMany pubs",
            "start = \"never\"\nsensitive = true\nnote = \"\"\"\nMany pubs",
        ),
        ("\"5814 Fast food and takeaways\"", "\"5812 Fast food and takeaways\""),
    ];
    let mut rules = RULES.to_owned();
    for (right, wrong) in mistakes {
        assert!(rules.contains(right), "{right}");
        rules = rules.replacen(right, wrong, 1);
    }
    let error = try_apply(&world, DEMO, &rules).await.unwrap_err();
    assert!(matches!(error, ApplyError::Rules(_)), "{error}");
    let told = error.to_string();
    for (_, wrong) in mistakes {
        let line = line_of(&rules, wrong);
        assert!(
            told.contains(&format!("categories.toml:{line}: ")),
            "line {line}, {wrong}:\n{told}"
        );
    }
    assert_eq!(all_rows(&world).await, before);

    // A file that is valid by itself but conflicts with the database is rejected completely.
    let taken = DEMO.replacen("id = \"riverside\"", "id = \"another\"", 1);
    let refused = try_apply(&world, &taken, RULES).await;
    assert!(matches!(refused, Err(ApplyError::Refused(_))), "{refused:?}");
    assert_eq!(all_rows(&world).await, before);
    assert_eq!(world.figure("dee", "held").await, 1_00);
    world.check().await;
}

async fn what_is_shown_applies_again_without_a_change(database: TestDatabase) {
    let world = World::open(database).await;
    // A more complex programme than the demo: an expiring secret, a permission, a lost card.
    let secret = format!("value = \"{SECRET}\"");
    let ends = format!("{secret}\nuntil = 2027-01-01T00:00:00Z");
    let femi = "[[person]]\nid = \"femi\"";
    let permission = format!(
        "[[person.permission]]\non = {{ category = \"phone\" }}\nup_to = \"30.00\"\nuses = 2\n\
         from = 2026-11-23T07:00:00Z\nends = 2026-11-30T00:00:00Z\n\
         id = \"okay_00000000000000000000000000000007\"\n\n{femi}"
    );
    let file = DEMO.replacen(&secret, &ends, 1).replacen(femi, &permission, 1);
    let file = file.replacen("\"replaced\"", "\"lost\"", 1);
    world.apply(&file).await;
    let phone = Purchase { mcc: json!("4812"), ..purchase("Phone", 20_00) };
    assert!(world.authorise(&phone).await.is_approved());
    assert_eq!(world.count("permission", "uses_left = 1").await, 1);
    let bought = purchase("Before", 12_50);
    assert!(world.authorise(&bought).await.is_approved());
    let (before, left) = (all_rows(&world).await, world.figures("dee").await);

    let riverside = "riverside".parse().unwrap();
    let shown = show(world.app.store(), &riverside).await.unwrap().unwrap();
    assert!(!shown.contains(SECRET), "secrets are not shown");
    world.advance_clock(an_hour());
    let applied = try_apply(&world, &shown, RULES).await.unwrap();
    assert_eq!((applied.loads, applied.agreements), (0, 0), "{applied:?}");
    assert_eq!(all_rows(&world).await, before);
    assert_eq!(world.figures("dee").await, left);
    assert_eq!(show(world.app.store(), &riverside).await.unwrap().unwrap(), shown);
    assert_eq!(world.count("permission", "uses_left = 1").await, 1, "what is used stays used");
    // The secrets are not exported, but still valid.
    world.app.directory().refresh(world.now()).await.unwrap();
    world.send_event(&bought.captured(world.now(), "one", 12_50)).await;
    let secrets = world.app.store().secrets(Timestamp::MIN).await.unwrap();
    let stored = secrets.iter().filter_map(|row| row.secret.as_ref());
    assert_eq!(stored.filter(|secret| secret.expose_secret() == SECRET).count(), 1);
    assert_eq!(world.count("card", &format!("token = '{DEE}'")).await, 1);
    world.check().await;
}
