//! Money movements other than purchases.

use jiff::ToSpan as _;
use serde_json::{Value, json};

use super::town::{data, town};
use crate::support::TestDatabase;
use crate::world::{World, purchase};

on_both_databases!(money_that_is_added_moved_held_back_and_let_out_is_listed_once);

/// Lines such as `let_out week 3000`, with the source last, read in pages of `limit`.
async fn activity(world: &World, who: &str, limit: usize) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut lines = Vec::new();
    let mut cursor = String::new();
    loop {
        let path = format!("/v1/people/dee/activity?limit={limit}{cursor}");
        let page = world.get_as(who, &path).await;
        lines.extend(data(&page).iter().map(|line| {
            let amount = &line["amount"]["amount"];
            let line = format!(
                "{} {} {amount} {}",
                text(&line["kind"]),
                text(&line["pot"]),
                text(&line["from"])
            );
            line.trim_end().to_owned()
        }));
        match page.json()["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return lines,
        }
    }
}

async fn money_that_is_added_moved_held_back_and_let_out_is_listed_once(database: TestDatabase) {
    let week = "allocated = \"3120.00\"\n";
    let release =
        r#"release = { at_once = "30.00", amount = "20.00", every = "week", from = 2026-11-30 }"#;
    let file = town().replacen(week, &format!("{week}{release}\n"), 1);
    let world = World::open_with(database, &file).await;
    let dee = async |path: &str, body: Value| {
        let answer = world.post_as("dee", &format!("/v1/people/dee/{path}"), &body).await;
        assert!(answer.status < 300, "{path}: {answer:?}");
        world.advance_clock(1.minute());
    };
    dee("pots", json!({"of": "week", "name": "A trip"})).await;
    dee("moves", json!({"from": "week", "to": "own-1", "amount": 5_00})).await;
    dee("pots/week/held-back", json!({"amount": 2_00})).await;
    dee("pots/week/take-back", json!({})).await;
    assert!(world.authorise(&purchase("Bread", 1_00)).await.is_approved());
    world.set_time("2026-12-16T12:00:00Z");
    let all = activity(&world, "dee", 100).await;
    assert_eq!(
        all,
        [
            // Of £63.90, £30 were released at once, and the last stage releases the rest.
            "let_out week 1390",
            "let_out week 2000",
            "took_back week 200",
            "held_back week 200",
            "moved own-1 500 week",
            "added emergency 2000",
            "added week 6000",
            "added week 390",
            "added moving-in 15000",
            "added pets 4000",
        ]
    );
    for limit in [1, 2, 3] {
        assert_eq!(activity(&world, "dee", limit).await, all, "{limit} on a page");
    }
    // Money that the person holds back is visible to nobody else.
    let others = activity(&world, "amina", 100).await;
    let is_held = |line: &&String| line.contains("_back");
    assert_eq!(others, all.iter().filter(|line| !is_held(line)).cloned().collect::<Vec<_>>());
    world.check().await;
}
