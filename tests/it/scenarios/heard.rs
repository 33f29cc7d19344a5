//! Exceptions: recorded from the gateway's own records, once for each cause, regardless of
//! repetitions and order, and settled when a later message explains them.

use jiff::ToSpan as _;
use serde_json::{Value, json};

use crate::support::TestDatabase;
use crate::world::{APPROVED, AuthorisationState, DEE, DEMO, FEMI, Purchase, World, purchase};

on_both_databases!(
    an_approval_that_was_not_ours_is_told_whatever_its_reason_is,
    each_question_that_was_answered_without_us_is_told_once,
    a_capture_on_a_stopped_card_is_told_unless_we_approved_it,
    a_capture_beyond_a_one_time_ok_is_told,
    the_same_identifier_with_other_content_is_told_once,
    what_differs_without_meaning_is_no_other_content,
    what_a_later_message_explains_is_settled,
    a_refund_gives_back_the_limit_of_the_day_on_which_it_was_bought,
    a_purchase_that_is_told_late_counts_on_its_own_day,
    a_purchase_is_named_by_the_posting_that_begins_it,
);

/// The kinds of all exceptions, settled or not.
async fn noted(world: &World) -> Vec<String> {
    let rows = world.database.rows("SELECT kind FROM exception ORDER BY kind").await;
    rows.into_iter().flatten().collect()
}

async fn an_approval_that_was_not_ours_is_told_whatever_its_reason_is(database: TestDatabase) {
    let world = World::open(database).await;
    let reasons = ["network_fallback", "card_active", "webhook_approved", "never_heard_of"];
    for (number, reason) in reasons.into_iter().enumerate() {
        let bought = purchase(&format!("Without{number}"), 5_00);
        let state = AuthorisationState { reason, amount: 5_00, ..APPROVED };
        world.send_event(&bought.snapshot("created", world.now(), &state)).await;
        let kinds = world.exceptions().await;
        assert_eq!(kinds, vec!["decided_without_us"; number + 1], "{reason}");
    }
    // An account verification needs no approval of the gateway.
    world.send_event(&purchase("Check", 0).created(world.now(), 0)).await;
    // An approval of the gateway is no exception.
    let ours = purchase("Ours", 5_00);
    assert!(world.authorise(&ours).await.is_approved());
    world.send_event(&ours.created(world.now(), 5_00)).await;
    assert_eq!(world.exceptions().await.len(), reasons.len());
    world.check().await;
}

async fn each_question_that_was_answered_without_us_is_told_once(database: TestDatabase) {
    let world = World::open(database).await;
    let bought = purchase("Raised", 10_00);
    assert!(world.authorise(&bought).await.is_approved());
    let told = |name: &'static str, amount, answers| {
        let state = AuthorisationState { name, amount, answers, ..APPROVED };
        bought.snapshot("updated", world.now(), &state)
    };
    world.send_event(&told("three", 30_00, 3)).await;
    assert_eq!(world.exceptions().await, ["decided_without_us"; 2], "two increments");
    world.send_event(&told("one", 10_00, 1)).await;
    world.send_event(&told("two", 20_00, 2)).await;
    world.send_event(&told("three", 30_00, 3)).await;
    world.send_event(&told("again", 30_00, 3)).await;
    assert_eq!(noted(&world).await, ["decided_without_us"; 2], "each once");
    world.check().await;
}

async fn a_capture_on_a_stopped_card_is_told_unless_we_approved_it(database: TestDatabase) {
    let world = World::open(database).await;
    let approved = purchase("Approved", 10_00);
    assert!(world.authorise(&approved).await.is_approved());
    let changed = DEMO.replacen(
        &format!("token = \"{DEE}\"\nlast_four = \"5678\"\nstate = \"active\""),
        &format!("token = \"{DEE}\"\nlast_four = \"5678\"\nstate = \"lost\""),
        1,
    );
    assert_ne!(changed, DEMO, "the demo's card is written otherwise");
    world.apply(&changed).await;
    world.send_event(&approved.captured(world.now(), "one", 10_00)).await;
    assert_eq!(world.exceptions().await, [""; 0], "it was approved before the card was lost");
    let refused = purchase("Refused", 10_00);
    assert_eq!(world.authorise(&refused).await.reason(), "card_lost");
    let capture = refused.captured(world.now(), "one", 10_00);
    world.send_event(&capture).await;
    world.send_event(&capture).await;
    let declined = AuthorisationState {
        status: "closed",
        approved: false,
        reason: "webhook_declined",
        ..APPROVED
    };
    world.send_event(&refused.snapshot("created", world.now(), &declined)).await;
    assert_eq!(world.exceptions().await, ["captured_on_stopped_card"]);
    world.send_event(&purchase("Unlinked", 5_00).forced(world.now(), "one", 5_00)).await;
    assert_eq!(world.exceptions().await, ["capture_without_question", "captured_on_stopped_card"]);
    world.check().await;
}

async fn a_capture_beyond_a_one_time_ok_is_told(database: TestDatabase) {
    let world = World::open(database).await;
    let mut connection = world.database.connect().await;
    for (number, (captured, kinds)) in [
        (20_00, vec!["captured_above_hold"]),
        (20_01, vec!["captured_above_hold", "captured_beyond_ok"]),
    ]
    .into_iter()
    .enumerate()
    {
        let ends_at = world.now().checked_add(1.hour()).unwrap().as_microsecond();
        let given_at = world.now().as_microsecond();
        let permission = format!(
            "INSERT INTO permission (programme_id, budget_id, permission_id, scope, currency, \
             cap_minor, uses_left, given_at, ends_at, giver) VALUES ('riverside', 'dee', \
             'okay_0000000000000000000000000000000{number}', 'category:phone', 'GBP', 2000, 1, \
             {given_at}, {ends_at}, 'people')"
        );
        sqlx::query(sqlx::AssertSqlSafe(permission)).execute(&mut connection).await.unwrap();
        let bought = Purchase { mcc: json!("4812"), ..purchase(&format!("Ok{number}"), 15_00) };
        let answer = world.authorise(&bought).await;
        assert!(answer.is_approved(), "{answer:?}");
        // Above the hold but within the permission, then above the permission.
        world.send_event(&bought.captured(world.now(), "one", captured)).await;
        assert_eq!(world.exceptions().await, kinds);
    }
    world.check().await;
}

async fn the_same_identifier_with_other_content_is_told_once(database: TestDatabase) {
    let world = World::open(database).await;
    let bought = purchase("Changed", 20_00);
    assert!(world.authorise(&bought).await.is_approved());
    let created = bought.created(world.now(), 20_00);
    let capture = bought.captured(world.now(), "one", 20_00);
    world.send_event(&created).await;
    world.send_event(&capture).await;
    let mut other = created.clone();
    other["data"]["object"]["amount"] = json!(25_00);
    let mut claim = capture.clone();
    claim["id"] = json!("evt_another_event_about_it");
    claim["data"]["object"]["amount"] = json!(-22_00);
    for _ in 0..2 {
        world.send_event(&other).await;
        world.send_event(&claim).await;
    }
    assert_eq!(noted(&world).await, ["same_identifier_other_content"; 2]);
    assert_eq!(world.figure("dee", "spent").await, 20_00, "what came first is booked");
    world.check().await;
}

async fn what_differs_without_meaning_is_no_other_content(database: TestDatabase) {
    let world = World::open(database).await;
    let bought = purchase("Resent", 20_00);
    assert!(world.authorise(&bought).await.is_approved());
    let created = bought.created(world.now(), 20_00);
    let capture = bought.captured(world.now(), "one", 20_00);
    let again = |message: &Value, id: Option<&str>| {
        let mut again = message.clone();
        again["pending_webhooks"] = json!(0);
        again["data"]["object"]["metadata"] = json!({"noted": "later"});
        if let Some(id) = id {
            again["id"] = json!(id);
        }
        again
    };
    for message in [&created, &capture] {
        world.send_event(message).await;
        world.send_event(&again(message, None)).await;
    }
    let mut later = again(&capture, Some("evt_the_same_claim"));
    later["data"]["object"]["created"] = json!(world.now().as_second() + 5);
    world.send_event(&later).await;
    assert_eq!(noted(&world).await, [""; 0]);
    world.check().await;
}

async fn what_a_later_message_explains_is_settled(database: TestDatabase) {
    let world = World::open(database).await;
    // A capture before anything else, which a snapshot then explains.
    let early = purchase("Early", 10_00);
    world.send_event(&early.captured(world.now(), "one", 10_00)).await;
    assert_eq!(world.exceptions().await, ["capture_before_authorisation"]);
    let declined = AuthorisationState {
        status: "closed",
        approved: false,
        reason: "webhook_declined",
        ..APPROVED
    };
    world.send_event(&early.snapshot("created", world.now(), &declined)).await;
    assert_eq!(world.exceptions().await, ["captured_though_declined"]);
    let settled = "settled_at IS NOT NULL \
                   AND settled_by = 'riverside-stripe/evt_iauth_1TestEarly_created_approved'";
    assert_eq!(world.count("exception", settled).await, 1);

    // A refund before its capture, which the capture then explains.
    let back = purchase("Back", 10_00);
    assert!(world.authorise(&back).await.is_approved());
    world.send_event(&back.refunded(world.now(), "back", 10_00)).await;
    assert_eq!(world.exceptions().await, ["captured_though_declined", "refund_without_purchase"]);
    world.send_event(&back.captured(world.now(), "one", 10_00)).await;
    assert_eq!(world.exceptions().await, ["captured_though_declined"]);

    // An unconfirmed hold and a missing capture: both messages arrive later.
    let unheard = purchase("Unheard", 10_00);
    let closed = purchase("Closed", 10_00);
    assert!(world.authorise(&unheard).await.is_approved());
    assert!(world.authorise(&closed).await.is_approved());
    let mut over = closed.snapshot(
        "updated",
        world.now(),
        &AuthorisationState { status: "closed", ..APPROVED },
    );
    over["data"]["object"]["transactions"] = json!([{"type": "capture", "amount": -10_00}]);
    world.send_event(&over).await;
    world.advance_clock((8 * 24).hours());
    world.upkeep().await;
    assert_eq!(
        world.exceptions().await,
        ["capture_never_came", "captured_though_declined", "never_confirmed"]
    );
    world.send_event(&unheard.created(world.now(), 10_00)).await;
    world.send_event(&closed.captured(world.now(), "one", 10_00)).await;
    assert_eq!(world.exceptions().await, ["captured_though_declined"]);
    world.check().await;
}

async fn a_refund_gives_back_the_limit_of_the_day_on_which_it_was_bought(database: TestDatabase) {
    let world = World::open(database).await;
    // Femi agreed on 30.00 a day for food.
    let femi = |id: &str, amount| Purchase { card: FEMI.to_owned(), ..purchase(id, amount) };
    let first = femi("First", 30_00);
    assert!(world.authorise(&first).await.is_approved());
    world.send_event(&first.captured(world.now(), "one", 30_00)).await;
    assert_eq!(world.authorise(&femi("Second", 1)).await.reason(), "over_period");
    world.send_event(&first.refunded(world.now(), "back", 4_00)).await;
    assert_eq!(world.authorise(&femi("Third", 4_01)).await.reason(), "over_period");
    assert!(world.authorise(&femi("Fourth", 4_00)).await.is_approved(), "as much as came back");
    // The rest is refunded on the next day, which frees nothing of that day's limit.
    world.advance_clock(24.hours());
    assert!(world.authorise(&femi("Next", 30_00)).await.is_approved());
    world.send_event(&first.refunded(world.now(), "rest", 26_00)).await;
    assert_eq!(world.authorise(&femi("More", 1)).await.reason(), "over_period");
    // Each day still counts its purchases.
    let days = "SELECT CAST(amount_minor AS TEXT), CAST(purchases AS TEXT) FROM counter \
                ORDER BY first_day";
    assert_eq!(world.database.rows(days).await, [["400", "2"], ["3000", "1"]]);
    world.check().await;
}

async fn a_purchase_that_is_told_late_counts_on_its_own_day(database: TestDatabase) {
    let world = World::open(database).await;
    let yesterday = world.now().checked_sub(24.hours()).unwrap();
    for (name, bought_at, on) in [
        ("Yesterday", yesterday, "2026-11-22"),
        ("Today", world.now(), "2026-11-23"),
        ("LongAgo", world.now().checked_sub((8 * 24).hours()).unwrap(), "2026-11-23"),
    ] {
        let bought = purchase(name, 5_00);
        let mut created = bought.created(world.now(), 5_00);
        created["data"]["object"]["created"] = json!(bought_at.as_second());
        world.send_event(&created).await;
        let mut claim = purchase(&format!("{name}Own"), 5_00).forced(world.now(), "one", 1_00);
        claim["data"]["object"]["created"] = json!(bought_at.as_second());
        world.send_event(&claim).await;
        let counted = format!("counted_on = '{on}' AND reference LIKE '%Test{name}%'");
        assert_eq!(world.count("purchase", &counted).await, 2, "{name}");
    }
    world.check().await;
}

async fn a_purchase_is_named_by_the_posting_that_begins_it(database: TestDatabase) {
    let world = World::open(database).await;
    let asked = purchase("Asked", 5_00);
    assert!(world.authorise(&asked).await.is_approved());
    world.send_event(&purchase("Told", 5_00).created(world.now(), 5_00)).await;
    world.send_event(&purchase("Claimed", 5_00).forced(world.now(), "one", 5_00)).await;
    world
        .send_event(&purchase("Declined", 5_00).snapshot(
            "created",
            world.now(),
            &AuthorisationState {
                status: "closed",
                approved: false,
                reason: "card_inactive",
                ..APPROVED
            },
        ))
        .await;
    world.send_event(&asked.captured(world.now(), "one", 5_00)).await;
    let named = "EXISTS (SELECT 1 FROM posting WHERE posting.purchase_id = purchase.purchase_id \
                 AND SUBSTR(posting.posting_id, 5) = SUBSTR(purchase.purchase_id, 5))";
    assert_eq!(world.count("purchase", named).await, 4);
    assert_eq!(world.count("purchase", "1 = 1").await, 4);
    world.check().await;
}
