//! Notifications about a purchase after its response, and about repeated attempts.

use jiff::ToSpan as _;
use serde_json::{Value, json};

use crate::support::TestDatabase;
use crate::world::{APPROVED, AuthorisationState, DEMO, Purchase, World, purchase};

on_both_databases!(
    what_comes_after_is_told_with_the_fact_and_once,
    what_the_card_company_refuses_is_told_unless_we_have_told_it,
    a_no_of_ours_that_nobody_recorded_is_told_as_our_fault,
    a_shop_that_tries_again_and_again_is_one_message_and_one_matter,
    a_frozen_card_that_is_paid_with_is_told_to_the_person_and_to_duty,
    money_that_is_added_is_told_of_in_one_message,
);

/// The texts of Dee's messages that `who` can read, oldest first.
async fn told(world: &World, who: &str) -> Vec<String> {
    let page = world.get_as(who, "/v1/people/dee/messages?limit=100").await.json();
    let mut texts: Vec<_> = page["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|message| message["words"].as_str().unwrap().to_owned())
        .collect();
    texts.reverse();
    texts
}

fn refused(purchase: &Purchase, world: &World, reason: &str, answers: usize) -> Value {
    let name = reason;
    let state = AuthorisationState {
        name,
        status: "closed",
        approved: false,
        reason,
        amount: 20_00,
        answers,
    };
    let mut event = purchase.snapshot("created", world.now(), &state);
    event["data"]["object"]["amount"] = json!(0);
    event
}

async fn what_comes_after_is_told_with_the_fact_and_once(database: TestDatabase) {
    let world = World::open(database).await;
    let bread = purchase("Bread", 20_00);
    assert!(world.authorise(&bread).await.is_approved());
    // The usual case: the capture equals the hold.
    for event in [bread.created(world.now(), 20_00), bread.captured(world.now(), "all", 20_00)] {
        world.send_event(&event).await;
    }
    assert_eq!(told(&world, "dee").await, Vec::<String>::new());
    let back = bread.refunded(world.now(), "back", 5_00);
    world.send_event(&back).await;
    world.send_event(&back).await;
    let pump = purchase("Pump", 30_00);
    assert!(world.authorise(&pump).await.is_approved());
    let less = AuthorisationState { name: "less", amount: 12_00, ..APPROVED };
    world.advance_clock(1.second());
    world.send_event(&pump.snapshot("updated", world.now(), &less)).await;
    world.send_event(&pump.captured(world.now(), "all", 12_00)).await;
    let gone = purchase("Gone", 8_00);
    assert!(world.authorise(&gone).await.is_approved());
    world.send_event(&gone.over(world.now(), "reversed")).await;
    let silent = purchase("Silent", 7_00);
    assert!(world.authorise(&silent).await.is_approved());
    world.advance_clock((10 * 24).hours());
    world.upkeep().await;
    world.send_event(&silent.captured(world.now(), "late", 7_00)).await;
    let wrong = silent.disputed(world.now(), "late", "submitted", "submitted", 7_00);
    world.send_event(&wrong).await;
    world.advance_clock(1.second());
    world.send_event(&silent.disputed(world.now(), "late", "closed", "won", 7_00)).await;
    let heard = told(&world, "dee").await;
    assert_eq!(
        heard,
        [
            "You got £5 back from a shop.",
            "The shop now keeps £12 aside. You can spend the other £18 again.",
            "The shop did not take £8. You can spend it again.",
            "The shop did not take £7 in time. You can spend it again.",
            "A shop took £7. We had not said yes to it. Reply CALL if this is wrong.",
            "The card company now looks at whether £7 was right. You will hear from us.",
            "The card company says that you were right. You get £7 back.",
        ]
    );
    assert!(heard.iter().all(|text| !text.contains("GROCER")));
    world.check().await;
}

async fn what_the_card_company_refuses_is_told_unless_we_have_told_it(database: TestDatabase) {
    let world = World::open(database).await;
    world.send_event(&refused(&purchase("Pin", 20_00), &world, "verification_failed", 1)).await;
    let pin = "Not paid. No money was taken. The card company said no. The PIN or a number did not \
               match. You can try again. Or reply CALL and we will help you.";
    assert_eq!(told(&world, "dee").await, [pin]);
    // Same till and amount, a minute later: no second message. Another amount gets one.
    world.advance_clock(1.minute());
    world.send_event(&refused(&purchase("Again", 20_00), &world, "verification_failed", 1)).await;
    assert_eq!(told(&world, "dee").await.len(), 1);
    // The decline was notified already, so the issuer's event about it is not.
    let gin = Purchase { mcc: json!("5921"), ..purchase("Gin", 20_00) };
    assert!(!world.authorise(&gin).await.is_approved());
    assert_eq!(told(&world, "dee").await.len(), 2);
    for reason in ["webhook_declined", "webhook_timeout"] {
        world.send_event(&refused(&gin, &world, reason, 1)).await;
    }
    assert_eq!(told(&world, "dee").await.len(), 2);
    // Approved by the gateway, and declined by the issuer.
    let bread = purchase("Bread", 20_00);
    assert!(world.authorise(&bread).await.is_approved());
    world.send_event(&refused(&bread, &world, "insufficient_funds", 1)).await;
    let heard = told(&world, "dee").await;
    assert_eq!(
        heard[2..],
        ["Not paid. No money was taken. The card company said no. It is not about you or your \
          money. Your money is safe. Reply CALL to talk."]
    );
    // No response was sent, which is our fault.
    world.send_event(&refused(&purchase("Late", 20_00), &world, "webhook_timeout", 1)).await;
    let heard = told(&world, "dee").await;
    assert!(heard[3].contains("This was our fault."), "{heard:?}");
    world.check().await;
}

async fn a_no_of_ours_that_nobody_recorded_is_told_as_our_fault(database: TestDatabase) {
    let world = World::open(database).await;
    let lost = purchase("Lost", 20_00);
    world.send_event(&refused(&lost, &world, "webhook_declined", 1)).await;
    let heard = told(&world, "dee").await;
    assert_eq!(heard.len(), 1);
    assert!(heard[0].contains("This was our fault."), "{heard:?}");
    let page = world.get_as("dee", "/v1/people/dee/purchases").await.json();
    let line = page["data"][0].to_string();
    assert!(line.contains("our_fault") && !line.contains("did not ask us"), "{line}");
    world.check().await;
}

async fn a_shop_that_tries_again_and_again_is_one_message_and_one_matter(database: TestDatabase) {
    let world = World::open(database).await;
    let stream = |n: usize| Purchase {
        mcc: json!("5921"),
        online: true,
        shop: "STREAMCO".to_owned(),
        ..purchase(&format!("Stream{n}"), 9_99)
    };
    let mut decisions = Vec::new();
    for n in 0..8 {
        let answer = world.authorise(&stream(n)).await;
        assert!(!answer.is_approved());
        decisions.push(answer.decision());
        world.advance_clock(2.hours());
    }
    assert_eq!(told(&world, "dee").await.len(), 1);
    let signals = world.get_as("dee", "/v1/people/dee/signals").await.body;
    assert!(!signals.contains("not_paid"), "{signals}");
    // Each of them is a line of the list, and can be asked about.
    let list = world.get_as("dee", "/v1/people/dee/purchases").await.json();
    assert_eq!(list["data"].as_array().unwrap().len(), 8);
    let ask = json!({"purchase": decisions[5]});
    assert_eq!(world.post_as("dee", "/v1/people/dee/asks", &ask).await.status, 201);
    let before = told(&world, "dee").await.len();
    // Another shop, another day, or another amount at a till gets its own message.
    let other = Purchase { shop: "OTHERCO".to_owned(), ..stream(20) };
    assert!(!world.authorise(&other).await.is_approved());
    world.advance_clock(20.hours());
    assert!(!world.authorise(&stream(21)).await.is_approved());
    let till = |n: usize, amount: i64| Purchase { online: false, amount, ..stream(n) };
    for (n, amount) in [(30, 5_00), (31, 5_00), (32, 6_00)] {
        assert!(!world.authorise(&till(n, amount)).await.is_approved());
    }
    world.advance_clock(10.minutes());
    assert!(!world.authorise(&till(33, 6_00)).await.is_approved());
    assert_eq!(told(&world, "dee").await.len(), before + 5);
    world.check().await;
}

async fn a_frozen_card_that_is_paid_with_is_told_to_the_person_and_to_duty(database: TestDatabase) {
    let world = World::open(database).await;
    let before = purchase("Before", 5_00);
    assert!(world.authorise(&before).await.is_approved());
    assert_eq!(world.post_as("dee", "/v1/people/dee/freeze", &json!({})).await.status, 200);
    // A capture of an approved purchase is not notified.
    world.send_event(&before.captured(world.now(), "all", 5_00)).await;
    let known = told(&world, "dee").await.len();
    let forced = purchase("Forced", 6_00);
    assert!(!world.authorise(&forced).await.is_approved());
    world.send_event(&forced.captured(world.now(), "all", 6_00)).await;
    let heard = told(&world, "dee").await;
    assert_eq!(
        heard[known + 1..],
        ["£6 was paid with a card that is stopped. We are looking into it. Reply CALL to talk."]
    );
    let duty = world.count("message", "recipient = 'duty' AND kind = 'stopped-card-paid'").await;
    assert_eq!(duty, 1);
    world.check().await;
}

async fn money_that_is_added_is_told_of_in_one_message(database: TestDatabase) {
    let world = World::open(database).await;
    assert_eq!(world.count("message", "1 = 1").await, 0, "what somebody begins with is no news");
    let first = DEMO.find("loads = [").unwrap();
    let (before, after) = DEMO.split_at(first + "loads = [".len());
    let more = r#"{ id = "gift", amount = "7.00" }, { id = "tip", amount = "0.50" }, "#;
    let file = format!("{before}{more}{after}");
    world.apply(&file).await;
    world.apply(&file).await;
    let told = world.database.rows("SELECT body FROM message").await;
    let text = "£7.50 was added to your money. Reply BAL to see what you can spend now.";
    assert_eq!(told, [[text]]);
    world.check().await;
}
