//! Money that people manage alone: held back, in pots of their own, transferred between them.

use sayso::operations::explain::{Replay, explain};
use sayso::programme::apply::apply;
use serde_json::{Value, json};

use crate::support::TestDatabase;
use crate::world::{DEMO, RULES, TestResponse, World, purchase};

on_both_databases!(
    what_is_held_back_is_not_spent_until_its_day_and_nobody_else_sees_it,
    held_money_that_the_person_chose_to_wait_for_is_there_when_they_say_it_again,
    a_pot_of_ones_own_pays_only_when_the_person_says_so,
    no_money_moves_across_streams_or_to_other_things_or_beyond_what_can_be_spent,
    two_moves_at_once_move_the_money_once,
    a_claim_takes_own_pots_last_and_a_refund_comes_back_into_them,
    a_file_that_is_applied_again_leaves_own_pots_alone,
);

/// The demo without emergency money, so that only Dee's week pot pays for food.
fn week_only() -> String {
    let food = "only = [\"food\", \"energy\", \"health\", \"around\", \"phone\"]\n";
    let loads = "loads = [{ id = \"start\", amount = \"20.00\" }]\n";
    assert!(DEMO.contains(&format!("{food}{loads}")));
    DEMO.replacen(&format!("{food}{loads}"), food, 1)
}

async fn open(database: TestDatabase) -> World {
    World::open_with(database, &week_only()).await
}

async fn dee(world: &World, path: &str, body: Value) -> TestResponse {
    world.post_as("dee", &format!("/v1/people/dee/{path}"), &body).await
}

/// Posts as Dee, which must succeed, and returns the response.
async fn done(world: &World, path: &str, body: Value) -> Value {
    let answer = dee(world, path, body).await;
    assert!(answer.status < 300, "{path}: {answer:?}");
    answer.json()
}

async fn pot_seen_by(world: &World, member: &str, pot: &str) -> Value {
    let person = world.get_as(member, "/v1/people/dee").await.json();
    let pots = person["pots"].as_array().unwrap().clone();
    pots.into_iter().find(|known| known["pot"] == pot).unwrap_or_default()
}

fn pounds(minor: i64) -> Value {
    json!({"amount": minor, "currency": "GBP"})
}

/// The reason of the decline; empty if approved.
async fn answered(world: &World, id: &str, amount: i64) -> String {
    world.authorise(&purchase(id, amount)).await.reason()
}

async fn replays(world: &World, names: &[&str]) {
    for name in names {
        let (store, directory) = (world.app.store(), world.app.directory());
        let explained = explain(store, directory, &format!("iauth_1Test{name}")).await.unwrap();
        assert_eq!(explained[0].replay, Replay::Same, "{name}: {explained:?}");
    }
}

async fn what_is_held_back_is_not_spent_until_its_day_and_nobody_else_sees_it(
    database: TestDatabase,
) {
    let file = week_only().replace("Europe/London", "America/New_York");
    let world = World::open_with(database, &file).await;
    let wish = json!({"amount": 60_00, "until": "2026-11-25"});
    let pot = done(&world, "pots/week/held-back", wish).await;
    assert_eq!((&pot["left"], &pot["spendable"]), (&pounds(63_90), &pounds(3_90)));
    assert_eq!(answered(&world, "Over", 3_91).await, "no_money");
    assert_eq!(answered(&world, "Under", 3_90).await, "");
    let told = world.database.rows("SELECT body FROM message ORDER BY message_id").await;
    let told: Vec<_> = told.into_iter().flatten().collect();
    assert_eq!(told[0], "You hold £60 back of your week. It is there again on Wed 25 November.");
    let text = "You have £3.90 for this. You hold £60 back.";
    assert!(told[1].contains(text), "{told:?}");
    // Staff see an ordinary pot without a restriction.
    for staff in ["amina", "ruth", "priya"] {
        let pot = pot_seen_by(&world, staff, "week").await;
        assert_eq!((&pot["spendable"], pot.get("held_back")), (&pounds(60_00), None), "{staff}");
    }
    let restrictions = world.get_as("amina", "/v1/people/dee/restrictions").await;
    assert!(restrictions.status == 200 && !restrictions.body.contains("held"), "{restrictions:?}");
    let read = world.get_as("amina", "/v1/people/dee/messages").await;
    assert!(!read.body.contains("hold"), "{read:?}");
    let timeline = world.get_as("amina", "/v1/people/dee/timeline").await;
    assert!(timeline.status == 200 && !timeline.body.contains("held"), "{timeline:?}");
    assert!(world.get_as("dee", "/v1/people/dee/timeline").await.body.contains("held_back"));
    let over = world.authorise(&purchase("Again", 10_00)).await;
    for (who, is_told) in [("amina", false), ("dee", true)] {
        let path = format!("/v1/people/dee/purchases/{}?reason=Help", over.decision());
        let read = world.get_as(who, &path).await;
        assert_eq!(read.status, 200, "{read:?}");
        assert_eq!(read.body.contains("3.90") || read.body.contains("hold"), is_told, "{read:?}");
    }
    // It ends by itself at midnight of the programme's time zone.
    world.set_time("2026-11-25T04:59:59Z");
    assert_eq!(answered(&world, "TooSoon", 1).await, "no_money");
    world.set_time("2026-11-25T05:00:00Z");
    assert_eq!(answered(&world, "There", 60_00).await, "");
    assert_eq!(
        world.count("posting", "kind NOT IN ('agreement', 'pot', 'load', 'decision')").await,
        0
    );
    replays(&world, &["Over", "Under", "TooSoon", "There"]).await;
    world.check().await;
}

async fn held_money_that_the_person_chose_to_wait_for_is_there_when_they_say_it_again(
    database: TestDatabase,
) {
    let world = open(database).await;
    done(&world, "pots/week/held-back", json!({"amount": 60_00, "cooling_days": 2})).await;
    let less = json!({"amount": 50_00, "cooling_days": 2});
    assert_eq!(dee(&world, "pots/week/held-back", less).await.status, 409);
    let asked = done(&world, "pots/week/take-back", json!({})).await;
    assert_eq!(
        (&asked["spendable"], &asked["held_back"]["asked_at"]),
        (&pounds(3_90), &json!("2026-11-23T08:00:00Z"))
    );
    world.set_time("2026-11-25T07:59:59Z");
    done(&world, "pots/week/take-back", json!({})).await;
    assert_eq!(answered(&world, "Waits", 4_00).await, "no_money");
    world.set_time("2026-11-25T08:00:00Z");
    assert_eq!(answered(&world, "Silence", 4_00).await, "no_money", "silence takes nothing back");
    // A wish that is not confirmed within a week starts its waiting period again.
    world.set_time("2026-12-02T08:00:00Z");
    let late = done(&world, "pots/week/take-back", json!({})).await;
    assert_eq!(late["held_back"]["asked_at"], "2026-12-02T08:00:00Z");
    world.set_time("2026-12-04T08:00:00Z");
    let free = done(&world, "pots/week/take-back", json!({})).await;
    assert_eq!((&free["spendable"], free.get("held_back")), (&pounds(63_90), None));
    assert_eq!(answered(&world, "Free", 63_90).await, "");
    assert_eq!(dee(&world, "pots/week/take-back", json!({})).await.status, 409);
    assert_eq!(dee(&world, "pots/nowhere/take-back", json!({})).await.status, 404);
    world.check().await;
}

async fn a_pot_of_ones_own_pays_only_when_the_person_says_so(database: TestDatabase) {
    let world = open(database).await;
    let trip = json!({"of": "week", "name": "Trip to my sister", "sum": 50_00});
    let opened = done(&world, "pots", trip).await;
    assert_eq!((&opened["pot"], &opened["name"]), (&json!("own-1"), &json!("Trip to my sister")));
    assert_eq!(
        opened["goal"],
        json!({"of": "week", "sum": pounds(50_00), "pays": false, "closed": false})
    );
    let moved =
        done(&world, "moves", json!({"from": "week", "to": "own-1", "amount": 20_00})).await;
    assert_eq!((&moved["from"]["left"], &moved["to"]["left"]), (&pounds(43_90), &pounds(20_00)));
    let seen = pot_seen_by(&world, "amina", "own-1").await;
    assert_eq!((seen.get("name"), seen["goal"].get("sum")), (None, None), "{seen}");
    assert_eq!(answered(&world, "Over", 43_91).await, "no_money");
    done(&world, "pots/own-1/pays", json!({"pays": true})).await;
    assert_eq!(answered(&world, "Train", 25_00).await, "");
    assert_eq!(world.pot("dee", "own-1", "held").await, 20_00);
    assert_eq!(world.pot("dee", "week", "held").await, 5_00);
    assert_eq!(dee(&world, "pots/own-1/close", json!({})).await.status, 409);
    world.send_event(&purchase("Train", 25_00).over(world.now(), "reversed")).await;
    let closed = done(&world, "pots/own-1/close", json!({})).await;
    assert_eq!((&closed["left"], &closed["goal"]["closed"]), (&pounds(0), &json!(true)));
    assert_eq!(world.pot("dee", "week", "left").await, 63_90);
    let into = json!({"from": "week", "to": "own-1", "amount": 1});
    assert_eq!(dee(&world, "moves", into).await.status, 409);
    assert_eq!(world.figures("dee").await, [0, 0, 273_90 - 20_00]);
    replays(&world, &["Over", "Train"]).await;
    world.check().await;
}

async fn no_money_moves_across_streams_or_to_other_things_or_beyond_what_can_be_spent(
    database: TestDatabase,
) {
    let world = open(database).await;
    let status = async |path: &str, from: &str, to: &str, amount: i64| {
        let body = json!({"from": from, "to": to, "amount": amount});
        let path = format!("/v1/people/{path}/moves");
        world.post_as(path.split('/').nth(3).unwrap(), &path, &body).await.status
    };
    // Femi has money of two funders.
    assert_eq!(status("femi", "week", "health", 1).await, 422);
    assert_eq!(status("dee", "week", "pets", 1).await, 422, "that was agreed for pets only");
    assert_eq!(status("dee", "pets", "week", 1).await, 422, "pets money pays for pets");
    assert_eq!(status("dee", "week", "week", 1).await, 422);
    done(&world, "pots", json!({"of": "week", "name": "Boots"})).await;
    assert_eq!(status("dee", "week", "own-1", 0).await, 422);
    assert_eq!(status("dee", "week", "own-1", -1).await, 422);
    assert_eq!(status("dee", "week", "own-1", 63_91).await, 409);
    assert_eq!(status("dee", "week", "own-2", 1).await, 404);
    done(&world, "pots/week/held-back", json!({"amount": 60_00})).await;
    assert_eq!(status("dee", "week", "own-1", 3_91).await, 409);
    assert_eq!(status("dee", "week", "own-1", 3_90).await, 200);
    let within = json!({"of": "own-1", "name": "In a pot"});
    assert_eq!(dee(&world, "pots", within).await.status, 422);
    assert_eq!(world.count("posting", "kind = 'move'").await, 1);
    world.check().await;
}

async fn two_moves_at_once_move_the_money_once(database: TestDatabase) {
    let world = open(database).await;
    let other = world.another().await;
    done(&world, "pots", json!({"of": "week", "name": "Boots"})).await;
    let token = world.token("dee").await;
    let client = reqwest::Client::new();
    let send = |address: std::net::SocketAddr, number: usize| {
        let body = json!({"from": "week", "to": "own-1", "amount": 40_00}).to_string();
        let request = client.post(format!("http://{address}/v1/people/dee/moves"));
        let request =
            request.bearer_auth(&token).header("idempotency-key", format!("\"move-{number}\""));
        let request = request.header("content-type", "application/json").body(body);
        tokio::spawn(async move { request.send().await.unwrap().status().as_u16() })
    };
    let answers: Vec<_> = (0..6)
        .map(|n| send(if n % 2 == 0 { world.app.address() } else { other.address() }, n))
        .collect();
    let mut moved = 0;
    for answer in answers {
        let status = answer.await.unwrap();
        assert!([200, 409, 503].contains(&status), "{status}");
        moved += i32::from(status == 200);
    }
    assert_eq!(moved, 1, "63.90 is 40.00 once");
    assert_eq!(world.pot("dee", "own-1", "left").await, 40_00);
    other.stop().await;
    world.check().await;
}

async fn a_claim_takes_own_pots_last_and_a_refund_comes_back_into_them(database: TestDatabase) {
    let world = open(database).await;
    done(&world, "pots", json!({"of": "week", "name": "Boots"})).await;
    done(&world, "moves", json!({"from": "week", "to": "own-1", "amount": 20_00})).await;
    let hotel = purchase("Hotel", 40_00);
    assert!(world.authorise(&hotel).await.is_approved());
    // A capture above the request and above the week pot: the person's own pot pays before there is
    // exposure.
    world.send_event(&hotel.captured(world.now(), "claim", 50_00)).await;
    assert_eq!(world.pot("dee", "week", "left").await, 0);
    assert_eq!(world.pot("dee", "own-1", "left").await, 13_90);
    assert_eq!(world.exposure_and_suspense().await, (0, 0));
    world.send_event(&hotel.refunded(world.now(), "back", 50_00)).await;
    assert_eq!(world.pot("dee", "own-1", "left").await, 20_00);
    assert_eq!(world.pot("dee", "week", "left").await, 43_90);
    world.check().await;
}

async fn a_file_that_is_applied_again_leaves_own_pots_alone(database: TestDatabase) {
    let world = open(database).await;
    done(&world, "pots", json!({"of": "week", "name": "Boots"})).await;
    done(&world, "moves", json!({"from": "week", "to": "own-1", "amount": 20_00})).await;
    done(&world, "pots/week/held-back", json!({"amount": 1_00})).await;
    world.apply(&week_only()).await;
    let (own, week) =
        (pot_seen_by(&world, "dee", "own-1").await, pot_seen_by(&world, "dee", "week").await);
    assert_eq!((&own["left"], &own["name"]), (&pounds(20_00), &json!("Boots")));
    assert_eq!(week["held_back"]["amount"], pounds(1_00));
    let (store, ids) = (world.app.store(), world.app.ids());
    let taken = week_only().replacen("id = \"pets\"", "id = \"own-1\"", 1);
    let refused = apply(store, ids, world.now(), &taken, RULES).await.unwrap_err().to_string();
    assert!(refused.contains("pot own-1: that is a pot of their own"), "{refused}");
    world.check().await;
}
