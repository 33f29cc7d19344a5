//! Amina's Tuesday, with the evening before and the night after.

use serde_json::{Value, json};

use super::{Day, at_shop, money, session, term};
use crate::support::TestDatabase;
use crate::world::{ANA, FEMI};

on_both_databases!(aminas_tuesday);

const LEE: &str = "ic_1DemoLee00000000001";
const COURSE: &str = "ROAD READY COURSES";

async fn aminas_tuesday(database: TestDatabase) {
    let day = Day::open(database, "2026-08-24T10:00:00Z").await;
    lists_are_agreed(&day).await;
    femi_asks_in_the_evening(&day).await;
    femi_has_an_answer(&day).await;
    ana_and_amina_change_a_list(&day).await;
    a_late_review_stops_nothing(&day).await;
    a_shop_is_in_the_wrong_group(&day).await;
    the_night_wakes_nobody(&day).await;
    day.world.check().await;
}

/// Amina proposes changes to version `version`, and the person answers yes.
async fn agree(day: &Day, person: &str, version: u32, set: Value, words: &str) {
    let list = json!({
        "version": version,
        "set": set,
        "words": words,
        "session": session("in_person", "the office", 30),
    });
    let proposed = day.post("amina", person, "/proposals", list).await;
    assert_eq!(proposed["next"], "waits");
    let answer = format!("/proposals/{}/answer", proposed["proposal"].as_str().unwrap());
    let yes = json!({"say": "yes", "session": session("own_page", "the office", 5)});
    let agreed = day.post(person, person, &answer, yes).await;
    assert_eq!(agreed["version"], version + 1, "{agreed}");
}

/// In the summer each person agrees on a list with Amina. Lee's restrictions are due for review in
/// three months.
async fn lists_are_agreed(day: &Day) {
    let rest = || term("everything_else", "yes", None, "");
    let ask = |on: &str, reason: &str| term(on, "ask", None, reason);
    let femi = json!([ask("category:learning", "Courses are ones you decide together."), rest()]);
    agree(day, "femi", 1, femi, "What we wrote down.").await;
    let ana = json!([
        ask("category:eating", "You are saving for a new bed."),
        ask("category:giving", "You want to think first."),
        ask("category:unsorted", "We talk when nobody knows what the shop is."),
        term("gate:cash", "yes", Some(("week", 10_00)), "A little cash."),
        rest(),
    ]);
    agree(day, "ana", 1, ana, "What we wrote down.").await;
    let until = |on: &str, review_on: &str| {
        let mut term = ask(on, "You wanted a quiet start.");
        term["review_on"] = json!(review_on);
        term
    };
    let lee = json!([
        until("category:pubs", "2026-11-23"),
        until("category:fun", "2026-11-23"),
        until("category:hobbies", "2027-02-24"),
        rest(),
    ]);
    agree(day, "lee", 1, lee, "A quiet start.").await;
    for (person, left) in [("femi", 200_00), ("ana", 45_00), ("lee", 50_00)] {
        day.has(person, &[("week", left)]).await;
    }
}

/// Monday, 19:20: Femi's course is declined, and he asks. Amina is not notified at night: her
/// deadline counts from the morning.
async fn femi_asks_in_the_evening(day: &Day) {
    day.at("2026-11-23T19:20:00Z");
    let course = at_shop(FEMI, "Course", "8299", COURSE, 140_00);
    let refused = day.refused(&course, "category_ask").await;
    let wish = json!({"purchase": refused, "words": "For my driving test."});
    let asked = day.post("femi", "femi", "/asks", wish).await;
    assert_eq!((&asked["urgency"], &asked["step"]), (&json!("ordinary"), &json!("worker")));
    assert_eq!(asked["answer_by"], "2026-11-24T12:00:00Z");
    day.has("femi", &[("week", 200_00)]).await;
}

/// Tuesday, 09:20: the ask shows the purchase, the amount and three possible answers, none of them
/// "poor value". Two minutes later it is granted with a limit and an end, and the course is paid.
async fn femi_has_an_answer(day: &Day) {
    day.at("2026-11-24T09:20:00Z");
    let ask = day.get("amina", "femi", "/asks").await["data"][0].clone();
    assert_eq!((&ask["place"], &ask["amount"]), (&json!(COURSE), &money(140_00)));
    assert_eq!(
        (&ask["group"], &ask["words"]),
        (&json!("learning"), &json!("For my driving test."))
    );
    let id = ask["ask"].as_str().unwrap();
    day.see("amina", "femi", id).await;
    let answer = format!("/asks/{id}/answer");
    let poor_value = json!({"answer": "not_this_time", "reason": "poor_value"});
    assert_eq!(day.try_post("amina", "femi", &answer, poor_value).await.status, 422);
    let bare = json!({"answer": "not_this_time"});
    assert_eq!(day.try_post("amina", "femi", &answer, bare).await.status, 422);

    day.at("2026-11-24T09:22:00Z");
    let yes = json!({"answer": "yes", "up_to": money(140_00), "ends_at": "2026-11-27T18:00:00Z"});
    let answered = day.post("amina", "femi", &answer, yes).await;
    assert_eq!(answered["state"], "yes");
    assert_eq!(
        (&answered["asked_at"], &answered["answer"]["at"]),
        (&json!("2026-11-23T19:20:00Z"), &json!("2026-11-24T09:22:00Z"))
    );
    day.hears(
        "femi",
        "femi",
        "ask-yes",
        "Amina said yes. You can spend up to £140. It works one time, until 6pm on \
         Fri 27 November. Try your card again.",
    )
    .await;
    let done = day.get("amina", "femi", "/timeline").await["data"][0].clone();
    assert_eq!((&done["kind"], &done["by"]["name"]), (&json!("answered"), &json!("Amina")));
    day.pays(&at_shop(FEMI, "CourseAgain", "8299", COURSE, 140_00)).await;
    day.has("femi", &[("week", 60_00)]).await;
}

/// Ana wants to allow takeaways and to raise her cash limit. Both see the old and the new terms
/// side by side, and then both consent.
async fn ana_and_amina_change_a_list(day: &Day) {
    day.at("2026-11-24T10:15:00Z");
    let takeaway = |id: &str| at_shop(ANA, id, "5812", "NOODLE BAR", 8_50);
    day.refused(&takeaway("Noodles"), "category_ask").await;
    let change = json!({
        "version": 2,
        "set": [
            term("category:eating", "yes", None, ""),
            term("gate:cash", "yes", Some(("week", 20_00)), "A little cash."),
        ],
        "words": "I have my bed now.",
        "session": session("own_phone", "at home", 2),
    });
    let proposed = day.post("ana", "ana", "/proposals", change).await;
    assert_eq!(proposed["waits_for"], json!(["worker"]));
    let path = format!("/proposals/{}", proposed["proposal"].as_str().unwrap());
    let lines = day.get("amina", "ana", &path).await["lines"].clone();
    assert_eq!(lines, day.get("ana", "ana", &path).await["lines"], "both see the same");
    let lines: Vec<_> = lines.as_array().unwrap().iter().map(side_by_side).collect();
    assert_eq!(
        lines,
        [
            ["Eating out and takeaway", "Ask first", "Yes", "more"],
            ["Taking out cash", "Yes, up to £10 a week", "Yes, up to £20 a week", "more"],
        ]
    );
    day.refused(&takeaway("NoodlesEarly"), "category_ask").await;
    let yes = json!({"say": "yes", "session": session("own_page", "the office", 5)});
    let agreed = day.post("amina", "ana", &format!("{path}/answer"), yes).await;
    assert_eq!((&agreed["next"], &agreed["version"]), (&json!("started"), &json!(3)));
    day.pays(&takeaway("NoodlesPaid")).await;
    day.pays(&at_shop(ANA, "Cash", "6011", "HIGH STREET BANK", 20_00)).await;
    day.has("ana", &[("week", 16_50)]).await;
}

fn side_by_side(line: &Value) -> [String; 4] {
    ["about", "now", "new", "way"].map(|part| line[part].as_str().unwrap().to_owned())
}

/// Lee's review was due yesterday, and nothing is blocked. Amina sees the age of each restriction
/// and proposes to remove two; Lee's yes does it.
async fn a_late_review_stops_nothing(day: &Day) {
    day.at("2026-11-24T11:00:00Z");
    day.pays(&at_shop(LEE, "Lunch", "5411", "CORNER SHOP", 4_00)).await;
    day.has("lee", &[("week", 46_00)]).await;
    let report = day.get("amina", "lee", "/restrictions").await;
    assert_eq!((&report["count"], &report["overdue"]), (&json!(3), &json!(2)), "{report:#}");
    let pubs = &report["restrictions"][2];
    assert_eq!(
        [&pubs["on"], &pubs["since"], &pubs["days"], &pubs["reason"]],
        [
            &json!("category:pubs"),
            &json!("2026-08-24"),
            &json!(92),
            &json!("You wanted a quiet start."),
        ]
    );
    let remove = json!({
        "version": 2,
        "remove": ["category:pubs", "category:fun"],
        "words": "You have settled in.",
        "session": session("own_page", "the office", 5),
    });
    let proposed = day.post("amina", "lee", "/proposals", remove).await;
    let cinema = |id: &str| at_shop(LEE, id, "7832", "PALACE CINEMA", 9_00);
    day.refused(&cinema("Film"), "category_ask").await;
    let answer = format!("/proposals/{}/answer", proposed["proposal"].as_str().unwrap());
    let yes = json!({"say": "yes", "session": session("own_phone", "at home", 1)});
    assert_eq!(day.post("lee", "lee", &answer, yes).await["version"], 3);
    day.pays(&cinema("FilmPaid")).await;
    day.has("lee", &[("week", 37_00)]).await;
    assert_eq!(day.get("amina", "lee", "/restrictions").await["count"], 1);
}

/// The food bank's café is categorised as a charity. Ana reports it, and Amina corrects it for
/// her.
async fn a_shop_is_in_the_wrong_group(day: &Day) {
    day.at("2026-11-24T14:00:00Z");
    let cafe = |id: &str| at_shop(ANA, id, "8398", "FOOD BANK CAFE", 3_20);
    day.refused(&cafe("Soup"), "category_ask").await;
    let wish = json!({"purchase": "latest", "wrong_group": true});
    let asked = day.post("ana", "ana", "/asks", wish).await;
    assert_eq!((&asked["kind"], &asked["state"]), (&json!("wrong_group"), &json!("sent")));
    let id = asked["ask"].as_str().unwrap();
    let answer = format!("/asks/{id}/answer");
    let answered = day.post("amina", "ana", &answer, json!({"answer": "yes"})).await;
    assert_eq!(answered["state"], "yes");
    day.pays(&cafe("SoupPaid")).await;
    day.has("ana", &[("week", 13_30)]).await;
}

/// 03:07: an unknown machine declines Ana three times. She is told the reason and what she can do
/// each time; no staff is notified.
async fn the_night_wakes_nobody(day: &Day) {
    let staff = ["amina", "dara", "ruth"];
    let mut before = Vec::new();
    for who in staff {
        before.push(day.count_told(who, "ana").await);
    }
    for (minute, id) in [("07", "SnackA"), ("08", "SnackB"), ("09", "SnackC")] {
        day.at(&format!("2026-11-25T03:{minute}:00Z"));
        day.refused(&at_shop(ANA, id, "9700", "VEND 0042", 1_20), "unsorted").await;
        day.hears(
            "ana",
            "ana",
            "not_paid",
            "Not paid. No money was taken. We do not know what kind of place this is. \
             Reply ASK to ask Amina for a one-time OK.",
        )
        .await;
    }
    for (who, before) in staff.into_iter().zip(before) {
        assert_eq!(day.count_told(who, "ana").await, before, "{who} is woken");
    }
    day.has("ana", &[("week", 13_30)]).await;
}
