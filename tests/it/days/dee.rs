//! Dee's days, from her first yes to her next list.

use serde_json::{Value, json};

use super::{Day, at_shop, money, session, term};
use crate::support::TestDatabase;
use crate::world::{DEE, Purchase};

on_both_databases!(dees_days);

/// The replacement for her lost card.
const NEW_CARD: &str = "ic_1DemoDee00000000002";

/// A purchase with Dee's first card.
fn dee(id: &str, mcc: &str, shop: &str, amount: i64) -> Purchase {
    at_shop(DEE, id, mcc, shop, amount)
}

/// What is left in her pots.
const fn pots(pets: i64, moving_in: i64, week: i64, emergency: i64) -> [(&'static str, i64); 4] {
    [("pets", pets), ("moving-in", moving_in), ("week", week), ("emergency", emergency)]
}

async fn dees_days(database: TestDatabase) {
    let mut day = Day::open(database, "2026-11-16T10:00:00Z").await;
    she_says_yes_by_her_own_phone(&day).await;
    her_card_works(&mut day).await;
    the_week_begins(&mut day).await;
    small_things_need_no_words(&day).await;
    the_vet_takes_from_two_pots(&day).await;
    the_phone_needs_amina(&day).await;
    a_rug_and_a_sandwich(&day).await;
    her_card_is_lost(&mut day).await;
    she_changes_her_list(&day).await;
    she_asks_somebody_else_to_look(&day).await;
    day.world.check().await;
}

/// A week before: Amina reads the list aloud and proposes it. It starts with Dee's own yes.
async fn she_says_yes_by_her_own_phone(day: &Day) {
    let own_no = |on: &str| {
        let mut term = term(on, "no", None, "Dee asked for this.");
        term["decides"] = json!("person");
        term["cooling_days"] = json!(7);
        term
    };
    let ask = |on: &str, reason: &str| term(on, "ask", None, reason);
    let list = json!({
        "version": 1,
        "set": [
            own_no("category:alcohol"),
            own_no("category:gambling"),
            ask("category:phone", "Phone shops are ones you decide together."),
            ask("category:gadgets", "Gadgets are ones you decide together."),
            ask("category:driving", "Dee does not have a car."),
            ask("category:eating", "You want to cook more."),
            term("gate:cash", "yes", Some(("week", 20_00)), "A little cash."),
            term("category:unsorted", "yes", Some(("purchase", 15_00)), "Above £15 we talk first."),
            term("everything_else", "yes", None, ""),
        ],
        "words": "This is what we wrote down on Monday.",
        "session": session("in_person", "the hostel office", 40),
    });
    let proposed = day.post("amina", "dee", "/proposals", list).await;
    assert_eq!((&proposed["next"], &proposed["waits_for"]), (&json!("waits"), &json!(["person"])));
    day.hears(
        "dee",
        "dee",
        "list-proposed",
        "Amina wants to change your list. Nothing changes if you do not say yes. \
         You have until Mon 23 November. Reply LIST to see it.",
    )
    .await;
    // Her worker cannot answer for her.
    let answer = format!("/proposals/{}/answer", proposed["proposal"].as_str().unwrap());
    let yes = json!({"say": "yes", "session": session("own_phone", "the hostel", 10)});
    let not_hers = day.try_post("amina", "dee", &answer, yes.clone()).await;
    assert_eq!(not_hers.status, 409, "her side has answered, and has no other: {not_hers:?}");
    assert_eq!(day.get("dee", "dee", "/agreement").await["version"], 1);
    let agreed = day.post("dee", "dee", &answer, yes).await;
    assert_eq!((&agreed["next"], &agreed["version"]), (&json!("started"), &json!(2)));
    day.hears(
        "dee",
        "dee",
        "list-started",
        "Your new list has started. You can see it at any time. Reply LIST to see it, \
         or CHANGE to change it.",
    )
    .await;
    let said = day.get("amina", "dee", "/proposals").await["data"][0]["said"].clone();
    let said: Vec<_> = said.as_array().unwrap().iter().map(|s| (&s["side"], &s["how"])).collect();
    assert_eq!(
        said,
        [(&json!("person"), &json!("own_phone")), (&json!("worker"), &json!("in_person"))]
    );
    day.has("dee", &pots(40_00, 150_00, 5_00, 20_00)).await;
}

/// Two days before: the card has arrived. It is declined before it is activated, and works
/// afterwards.
async fn her_card_works(day: &mut Day) {
    day.at("2026-11-21T11:00:00Z");
    day.refused(&dee("Early", "5499", "HOSTEL SHOP", 1_10), "not_started").await;
    day.change_file(r#"state = "not_started""#, r#"state = "active""#).await;
    day.pays(&dee("First", "5499", "HOSTEL SHOP", 1_10)).await;
    day.has("dee", &pots(40_00, 150_00, 3_90, 20_00)).await;
    assert_eq!(day.get("dee", "dee", "").await["cards"][0]["state"], "active");
}

/// Monday, 07:40: the week's money is loaded. 08:05: Dee checks her balances.
async fn the_week_begins(day: &mut Day) {
    day.at("2026-11-23T07:40:00Z");
    let starter = r#"{ id = "starter", amount = "5.00" }"#;
    let week = r#"{ id = "2026-11-23", amount = "60.00" }"#;
    day.change_file(starter, &format!("{starter}, {week}")).await;
    day.at("2026-11-23T08:05:00Z");
    day.has("dee", &pots(40_00, 150_00, 63_90, 20_00)).await;
}

/// The newsagent and the launderette are paid, and she gets no message about them.
async fn small_things_need_no_words(day: &Day) {
    let told = day.count_told("dee", "dee").await;
    day.at("2026-11-23T08:30:00Z");
    day.pays(&dee("Milk", "5994", "CORNER NEWS", 6_20)).await;
    day.has("dee", &pots(40_00, 150_00, 57_70, 20_00)).await;
    day.at("2026-11-23T09:15:00Z");
    day.pays(&dee("Washing", "7211", "WASH AND GO", 5_50)).await;
    day.has("dee", &pots(40_00, 150_00, 52_20, 20_00)).await;
    assert_eq!(day.count_told("dee", "dee").await, told);
}

/// Dee checks that the list allows the vet: a pot for pets comes first, and no term refuses it. The
/// vet costs more than the pot has, so the week's pot pays the rest.
async fn the_vet_takes_from_two_pots(day: &Day) {
    day.at("2026-11-23T10:00:00Z");
    let list = day.get("dee", "dee", "/agreement").await;
    let on = |term: &Value| term["on"].as_str().unwrap().to_owned();
    let terms = list["terms"].as_array().unwrap();
    assert!(!terms.iter().any(|term| on(term) == "category:pets"), "{list}");
    let rest = terms.iter().find(|term| on(term) == "everything_else").unwrap();
    assert_eq!((&rest["answer"], &rest["limits"]), (&json!("yes"), &json!([])));
    assert_eq!(list["pots"][0]["only"], json!(["pets"]));

    day.at("2026-11-23T11:20:00Z");
    day.pays(&dee("Vet", "0742", "CANAL VETS", 48_00)).await;
    day.has("dee", &pots(0, 150_00, 44_20, 20_00)).await;
    let newest = day.get("dee", "dee", "/purchases").await["data"][0].clone();
    let path = format!("/purchases/{}", newest["id"].as_str().unwrap());
    let bought = day.get("dee", "dee", &path).await;
    assert_eq!(bought["words"], "£48 at CANAL VETS. £40 from pets, £8 from your week.");
    assert_eq!(bought["spent"], money(48_00));
}

/// A handset is decided together: declined, asked for, granted and paid, without a "please".
async fn the_phone_needs_amina(day: &Day) {
    day.at("2026-11-23T12:05:00Z");
    let refused = day.refused(&dee("Handset", "4812", "PHONE PLACE", 79_00), "category_ask").await;
    day.hears(
        "dee",
        "dee",
        "not_paid",
        "Not paid. No money was taken. You and Amina agreed to ask first for this: \
         Phone, internet and TV. Reply ASK to ask now.",
    )
    .await;
    day.has("dee", &pots(0, 150_00, 44_20, 20_00)).await;

    day.at("2026-11-23T12:06:00Z");
    let wish = json!({"purchase": refused, "up_to": money(85_00)});
    let asked = day.post("dee", "dee", "/asks", wish).await;
    assert_eq!((&asked["state"], &asked["step"]), (&json!("sent"), &json!("worker")));
    assert_eq!(asked["urgency"], "essential");
    day.hears(
        "dee",
        "dee",
        "ask-sent",
        "We asked Amina. You will hear by 3:06pm on Mon 23 November. \
         You do not need to do anything.",
    )
    .await;
    let id = asked["ask"].as_str().unwrap();
    assert_eq!(day.get("amina", "dee", "/asks").await["data"][0]["ask"], id);
    assert_eq!(day.told("amina", "dee").await[0].0, "worker-waiting");
    assert_eq!(day.see("amina", "dee", id).await["state"], "seen");
    assert_eq!(day.get("dee", "dee", &format!("/asks/{id}")).await["state"], "seen");

    day.at("2026-11-23T12:40:00Z");
    let yes = json!({"answer": "yes", "whole_group": true, "ends_at": "2026-11-25T23:59:00Z"});
    let answered = day.post("amina", "dee", &format!("/asks/{id}/answer"), yes).await;
    assert_eq!(answered["answer"]["up_to"], money(85_00));
    day.hears(
        "dee",
        "dee",
        "ask-yes",
        "Amina said yes. You can spend up to £85. It works one time, until 11:59pm on \
         Wed 25 November. Try your card again.",
    )
    .await;

    day.at("2026-11-23T12:52:00Z");
    day.pays(&dee("HandsetAgain", "4812", "PHONE PLACE", 79_00)).await;
    day.has("dee", &pots(0, 71_00, 44_20, 20_00)).await;
    // The permission was for one purchase.
    day.refused(&dee("Case", "4812", "PHONE PLACE", 5_00), "ok_used").await;
    day.has("dee", &pots(0, 71_00, 44_20, 20_00)).await;
}

/// A rug from a stall with a vague category code. A sandwich at a fuel station, which is
/// categorised as driving: Dee reports the wrong category, and the programme's own rule answers.
async fn a_rug_and_a_sandwich(day: &Day) {
    let told = day.count_told("dee", "dee").await;
    day.at("2026-11-23T14:00:00Z");
    day.pays(&dee("Rug", "5999", "SP MARKET STALL", 12_00)).await;
    day.has("dee", &pots(0, 59_00, 44_20, 20_00)).await;
    assert_eq!(day.count_told("dee", "dee").await, told);

    day.at("2026-11-23T15:10:00Z");
    day.refused(&dee("Sandwich", "5541", "RIVER FUEL", 3_80), "category_ask").await;
    day.hears(
        "dee",
        "dee",
        "not_paid",
        "Not paid. No money was taken. You and Amina agreed to ask first for this: \
         Driving and vehicles. Reply ASK to ask now.",
    )
    .await;
    day.at("2026-11-23T15:11:00Z");
    let shop = day.post("dee", "dee", "/asks", json!({"purchase": "latest", "wrong_group": true}));
    assert_eq!(shop.await["state"], "yes");
    day.hears(
        "dee",
        "dee",
        "shop-fixed",
        "Thanks. Food there is OK up to £10 from now, until Mon 7 December. We told Amina.",
    )
    .await;
    assert_eq!(day.told("amina", "dee").await[0].0, "worker-shop-fixed");
    day.pays(&dee("SandwichAgain", "5541", "RIVER FUEL", 3_80)).await;
    day.has("dee", &pots(0, 59_00, 40_40, 20_00)).await;
}

/// The card is lost in the evening: it is blocked at once, and the money stays. In the morning she
/// has another one, with the same money, list and history.
async fn her_card_is_lost(day: &mut Day) {
    day.at("2026-11-23T20:10:00Z");
    let lost = day.post("dee", "dee", "/card-lost", json!({})).await;
    assert_eq!(lost["cards"][0]["state"], "lost");
    day.hears(
        "dee",
        "dee",
        "card-stopped",
        "Your card is stopped and your money is safe. We will help you get a new one. \
         Reply CALL to talk.",
    )
    .await;
    day.refused(&dee("Finder", "5411", "NIGHT SHOP", 9_00), "card_lost").await;
    day.has("dee", &pots(0, 59_00, 40_40, 20_00)).await;

    day.at("2026-11-24T09:05:00Z");
    let first = format!("token = \"{DEE}\"\nlast_four = \"5678\"\nstate = ");
    let second = format!(
        "{first}\"lost\"\n\n[[person.card]]\nconnection = \"riverside-stripe\"\n\
         token = \"{NEW_CARD}\"\nlast_four = \"7788\"\nstate = "
    );
    day.change_file(&first, &second).await;
    day.refused(&dee("OldCard", "5411", "HOSTEL SHOP", 1_00), "card_lost").await;
    day.pays(&at_shop(NEW_CARD, "NewCard", "5411", "HOSTEL SHOP", 2_10)).await;
    day.has("dee", &pots(0, 59_00, 38_30, 20_00)).await;
    let bought = day.get("dee", "dee", "/purchases?limit=100").await;
    let paid = bought["data"].as_array().unwrap().iter().filter(|p| p["outcome"] == "paid");
    assert_eq!(paid.count(), 8);
    assert_eq!(day.get("dee", "dee", "/agreement").await["version"], 2);
}

/// Dee wants to allow hot drinks. That loosens the list, so it needs both; afterwards nothing else
/// has changed.
async fn she_changes_her_list(day: &Day) {
    day.at("2026-11-24T10:00:00Z");
    day.refused(&at_shop(NEW_CARD, "Tea", "5814", "TEA HUT", 2_20), "category_ask").await;
    let change = json!({
        "version": 2,
        "set": [term("category:eating", "yes", None, "")],
        "words": "I want hot drinks without fuss.",
        "session": session("own_phone", "the hostel", 1),
    });
    let proposed = day.post("dee", "dee", "/proposals", change).await;
    assert_eq!(proposed["waits_for"], json!(["worker"]));
    day.refused(&at_shop(NEW_CARD, "TeaAgain", "5814", "TEA HUT", 2_20), "category_ask").await;
    let answer = format!("/proposals/{}/answer", proposed["proposal"].as_str().unwrap());
    let yes = json!({"say": "yes", "session": session("own_page", "the office", 5)});
    assert_eq!(day.post("amina", "dee", &answer, yes).await["version"], 3);
    assert_eq!(day.told("dee", "dee").await[0].0, "list-started");
    day.pays(&at_shop(NEW_CARD, "TeaPaid", "5814", "TEA HUT", 2_20)).await;
    day.has("dee", &pots(0, 59_00, 36_10, 20_00)).await;
    let changes = day.get("dee", "dee", "/agreement/changes?from=2&to=3").await;
    let lines = changes["lines"].as_array().unwrap();
    assert_eq!(lines.len(), 1, "{changes}");
    assert_eq!(
        [&lines[0]["about"], &lines[0]["now"], &lines[0]["new"]],
        ["Eating out and takeaway", "Ask first", "Yes"]
    );
}

/// Dee sees who looked at her purchases. She appeals against a refused ask, and has a small interim
/// permission until it is decided, because a phone cannot wait.
async fn she_asks_somebody_else_to_look(day: &Day) {
    day.at("2026-11-24T11:00:00Z");
    day.get("amina", "dee", "/purchases?reason=Dee+asked+about+her+phone").await;
    let looks = day.get("dee", "dee", "/looks").await;
    assert_eq!(looks["data"].as_array().unwrap().len(), 1, "{looks}");
    assert_eq!(
        (&looks["data"][0]["by"]["name"], &looks["data"][0]["reason"]),
        (&json!("Amina"), &json!("Dee asked about her phone"))
    );

    let charger = |id: &str, amount| at_shop(NEW_CARD, id, "4812", "PHONE PLACE", amount);
    day.refused(&charger("Charger", 18_00), "ok_used").await;
    let asked = day.post("dee", "dee", "/asks", json!({"purchase": "latest"})).await;
    let id = asked["ask"].as_str().unwrap();
    let no = json!({"answer": "not_this_time", "reason": "not_in_purpose"});
    day.post("amina", "dee", &format!("/asks/{id}/answer"), no).await;
    day.hears(
        "dee",
        "dee",
        "ask-not-this-time",
        "Amina said not this time. Your money here is for other things. \
         Reply LOOK to have someone else look at it.",
    )
    .await;
    let about = json!({"about": format!("ask:{id}"), "words": "I cannot ring anybody."});
    let appeal = day.post("dee", "dee", "/appeals", about).await;
    assert_eq!(appeal["interim"], "yes_for_now");
    assert_eq!(appeal["answer_by"], "2026-11-25T00:00:00Z", "the same day");
    day.hears(
        "dee",
        "dee",
        "appeal-sent-with-yes",
        "Someone else will look at it. You can spend up to £18 one time until then. \
         Try your card again.",
    )
    .await;
    day.pays(&charger("ChargerNow", 18_00)).await;
    day.has("dee", &pots(0, 41_00, 36_10, 20_00)).await;

    day.at("2026-11-24T15:00:00Z");
    let outcome = format!("/appeals/{}/outcome", appeal["appeal"].as_str().unwrap());
    let changed = json!({"outcome": "changed", "words": "A phone needs its charger."});
    let the_same = day.try_post("amina", "dee", &outcome, changed.clone()).await;
    assert_eq!(the_same.status, 403, "whoever decided does not look again: {the_same:?}");
    assert_eq!(day.post("ruth", "dee", &outcome, changed).await["state"], "changed");
    assert!(day.told("dee", "dee").await[0].0.starts_with("appeal-"));
    day.has("dee", &pots(0, 41_00, 36_10, 20_00)).await;
}
