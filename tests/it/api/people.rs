//! What people, staff and finance see of a person, and the record of their looks.

use serde_json::json;

use super::town::{data, kind, money, town};
use crate::support::TestDatabase;
use crate::world::{DEE, Purchase, World, purchase};

on_both_databases!(
    a_person_sees_what_they_have_and_finance_sees_it_without_names,
    who_looks_at_purchases_says_why_and_the_person_reads_it,
    a_list_of_purchases_comes_by_the_page,
    a_helper_sees_what_is_ticked_until_they_are_taken_away,
    accounts_of_the_file_are_applied_and_helpers_survive_it,
);

async fn a_person_sees_what_they_have_and_finance_sees_it_without_names(database: TestDatabase) {
    let world = World::open_with(database, &town()).await;
    assert!(world.authorise(&purchase("Bread", 12_50)).await.is_approved());
    let dee = world.get_as("dee", "/v1/people/dee").await.json();
    assert_eq!((&dee["name"], &dee["worker"]), (&json!("Dee"), &json!("amina")));
    assert_eq!(dee["left"], money(261_40));
    let names: Vec<_> = dee["pots"].as_array().unwrap().iter().map(|pot| &pot["pot"]).collect();
    assert_eq!(names, ["pets", "moving-in", "week", "emergency"]);
    let week = &dee["pots"][2];
    assert_eq!(
        [&week["loaded"], &week["held"], &week["spent"], &week["left"]],
        [&money(63_90), &money(12_50), &money(0), &money(51_40)]
    );
    assert_eq!(dee["cards"][0], json!({"card": DEE, "last_four": "5678", "state": "active"}));
    let priya = world.get_as("priya", "/v1/people/dee").await.json();
    assert_eq!((priya.get("name"), priya.get("cards")), (None, None));
    assert_eq!(priya["left"], dee["left"]);
    assert!(!world.get_as("priya", "/v1/people").await.body.contains("Dee"));

    let whom = async |member: &str| {
        let people = data(&world.get_as(member, "/v1/people").await);
        people.iter().map(|p| p["person"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(whom("dee").await, ["dee"]);
    assert_eq!(whom("amina").await, ["dee", "femi"]);
    assert_eq!(whom("ben").await, ["ana"]);
    for all in ["dara", "ruth", "priya", "owen"] {
        assert_eq!(whom(all).await, ["ana", "dee", "femi"], "{all}");
    }
    assert_eq!((whom("sol").await.len(), whom("hugo").await.len()), (0, 0));
    let first = world.get_as("ruth", "/v1/people?limit=2").await;
    assert_eq!(data(&first).len(), 2);
    let cursor = first.json()["next_cursor"].as_str().unwrap().to_owned();
    let second = world.get_as("ruth", &format!("/v1/people?limit=2&cursor={cursor}")).await;
    assert_eq!((data(&second).len(), &second.json()["next_cursor"]), (1, &json!(null)));

    let list = world.get_as("dee", "/v1/people/dee/agreement").await.json();
    assert_eq!((&list["version"], &list["in_force"]), (&json!(1), &json!(true)));
    assert_eq!(list["terms"][0]["on"], "category:gambling");
    assert_eq!(list["terms"][0]["cooling_days"], 7);
    let one = world.get_as("dee", "/v1/people/dee/agreement?version=1").await.json();
    assert_eq!(one, list);

    let totals = world.get_as("amina", "/v1/people/dee/totals").await.json();
    assert_eq!((&totals["from"], &totals["to"]), (&json!("2026-11-01"), &json!("2026-11-23")));
    assert_eq!(totals["total"], money(12_50));
    assert_eq!(totals["categories"][0]["category"], "food");
    // The total of one day may reveal a single purchase, so an account that must give a reason
    // cannot query it.
    let day = "/v1/people/dee/totals?from=2026-11-23&to=2026-11-23";
    assert_eq!(world.get_as("amina", day).await.status, 400);
    assert_eq!(world.get_as("dee", day).await.json()["categories"][0]["purchases"], json!(1));
    assert!(totals["categories"][0].get("purchases").is_none(), "{totals}");
    let before = "/v1/people/dee/totals?from=2026-10-01&to=2026-10-31";
    assert_eq!(world.get_as("amina", before).await.json()["total"], money(0));
    world.check().await;
}

async fn who_looks_at_purchases_says_why_and_the_person_reads_it(database: TestDatabase) {
    let world = World::open_with(database, &town()).await;
    let paid = world.authorise(&purchase("Bread", 2_50)).await;
    let refused = Purchase { mcc: json!("5921"), ..purchase("Gin", 5_00) };
    let refused = world.authorise(&refused).await;
    let path = "/v1/people/dee/purchases";
    let own = data(&world.get_as("dee", path).await);
    assert_eq!(
        [&own[0]["id"], &own[1]["id"]],
        [&json!(refused.decision()), &json!(paid.decision())]
    );
    assert_eq!(
        (&own[0]["outcome"], &own[0]["reasons"][0]),
        (&json!("not_paid"), &json!("category_off"))
    );
    assert_eq!((&own[1]["outcome"], &own[1]["held"]), (&json!("paid"), &money(2_50)));
    assert_eq!(own[1]["place"], "TEST GROCER 123");
    assert_eq!(world.count("look", "1 = 1").await, 0, "the own purchases are no look");

    let bare = world.get_as("amina", path).await;
    assert_eq!((bare.status, kind(&bare)), (422, "invalid".to_owned()));
    assert_eq!(bare.json()["errors"][0]["pointer"], "/reason");
    assert_eq!(world.count("look", "1 = 1").await, 0);
    let looked = format!("{path}/{}?reason=Dee+asked+why+it+was+not+paid", refused.decision());
    let one = world.get_as("amina", &looked).await.json();
    assert_eq!(one["id"], json!(refused.decision()));
    assert!(one["words"].as_str().unwrap().contains("Dee"), "{one}");
    let own = world.get_as("dee", &format!("{path}/{}", refused.decision())).await.json();
    assert!(own["next"].as_str().unwrap().starts_with("Reply"), "{own}");
    // Dee gave the helper access, so no reason is required; the look is recorded too.
    assert_eq!(world.get_as("hal", path).await.status, 200);

    let looks = data(&world.get_as("dee", "/v1/people/dee/looks").await);
    let who: Vec<_> = looks.iter().map(|l| (&l["by"]["name"], &l["reason"])).collect();
    assert_eq!(
        who,
        [
            (&json!("Hal"), &json!("The person let them see it.")),
            (&json!("Amina"), &json!("Dee asked why it was not paid")),
        ]
    );
    assert_eq!(looks[1]["what"], json!(refused.decision()));
    // Another person's purchase is not found, even with the right id.
    let femis = format!("/v1/people/femi/purchases/{}", refused.decision());
    assert_eq!(world.get_as("femi", &femis).await.status, 404);
    // No worker was notified of this; the person can read the notification.
    let told = data(&world.get_as("dee", "/v1/people/dee/messages").await);
    assert_eq!(
        (&told[0]["kind"], &told[0]["subject"]),
        (&json!("not_paid"), &json!(refused.decision()))
    );
    assert!(data(&world.get_as("amina", "/v1/people/dee/messages").await).is_empty());
    world.check().await;
}

async fn a_list_of_purchases_comes_by_the_page(database: TestDatabase) {
    let world = World::open_with(database, &town()).await;
    for n in 0..5 {
        assert!(world.authorise(&purchase(&format!("Bread{n}"), 1_00)).await.is_approved());
    }
    // A capture without an authorisation request is listed too, once.
    let unasked = purchase("Bus", 2_00);
    for claim in ["a", "b"] {
        world.send_event(&unasked.captured(world.now(), claim, 1_00)).await;
    }
    let claimed = purchase("Bread0", 1_00);
    world.send_event(&claimed.captured(world.now(), "all", 1_00)).await;
    let mut seen = Vec::new();
    let mut path = "/v1/people/dee/purchases?limit=2".to_owned();
    loop {
        let page = world.get_as("dee", &path).await;
        seen.extend(data(&page));
        let cursor = page.json()["next_cursor"].clone();
        let Some(cursor) = cursor.as_str() else { break };
        path = format!("/v1/people/dee/purchases?limit=2&cursor={cursor}");
    }
    let ids: std::collections::BTreeSet<_> = seen.iter().map(|p| p["id"].to_string()).collect();
    assert_eq!(ids.len(), 6, "{seen:?}");
    let spent =
        |id: &str| seen.iter().filter(|p| p["id"].as_str().unwrap().starts_with(id)).count();
    assert_eq!(spent("dec_"), 5);
    let others = seen.iter().find(|p| p["id"].as_str().unwrap().starts_with("pur_")).unwrap();
    assert_eq!(others["spent"], money(2_00));
    world.check().await;
}

async fn a_helper_sees_what_is_ticked_until_they_are_taken_away(database: TestDatabase) {
    let world = World::open_with(database, &town()).await;
    let chosen = json!({"name": "Hana", "role": "helper", "sees": ["balance"]});
    let hana = world.post_as("dee", "/v1/people/dee/helpers", &chosen).await;
    assert_eq!(hana.status, 201, "{hana:?}");
    let hana = hana.json()["helper"].as_str().unwrap().to_owned();
    assert_eq!(world.get_as(&hana, "/v1/people/dee").await.status, 200);
    assert_eq!(world.get_as(&hana, "/v1/people/dee/totals").await.status, 403);
    let address = format!("/v1/people/dee/helpers/{hana}");
    assert_eq!(world.post_as("dee", &address, &json!({"sees": ["totals"]})).await.status, 200);
    assert_eq!(world.get_as(&hana, "/v1/people/dee").await.status, 403);
    assert_eq!(world.get_as(&hana, "/v1/people/dee/totals").await.status, 200);
    let token = world.token(&hana).await;
    let dee = world.token("dee").await;
    let remove = async || {
        world.call(reqwest::Method::DELETE, &address, &dee, None, None).await.json()["state"]
            .clone()
    };
    assert_eq!(remove().await, "ended");
    assert_eq!(remove().await, "ended", "done again, it comes to the same");
    let after = world.call(reqwest::Method::GET, "/v1/people/dee/totals", &token, None, None).await;
    assert_eq!((after.status, kind(&after)), (401, "not-signed-in".to_owned()));
    let done = data(&world.get_as("dee", "/v1/people/dee/timeline").await);
    let kinds: Vec<_> = done.iter().map(|act| act["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["removed_helper", "ticked_helper", "chose_helper"]);
    assert_eq!(done[0]["by"], json!({"member": "dee", "name": "Dee", "role": "person"}));
    // Neither a worker nor the planner is a helper.
    let paul = json!({"sees": ["balance"]});
    assert_eq!(world.post_as("dee", "/v1/people/dee/helpers/paul", &paul).await.status, 404);
    world.check().await;
}

async fn accounts_of_the_file_are_applied_and_helpers_survive_it(database: TestDatabase) {
    use sayso::programme::apply::apply;
    use sayso::programme::show::show;

    let world = World::open_with(database, &town()).await;
    let store = world.app.store().clone();
    let apply = async |file: &str| {
        let rules = crate::world::RULES;
        apply(&store, world.app.ids(), world.now(), file, rules).await.map(drop)
    };
    let chosen = json!({"name": "Hana", "role": "advocate", "sees": ["totals"]});
    let hana = world.post_as("dee", "/v1/people/dee/helpers", &chosen).await.json();
    let hana = hana["helper"].as_str().unwrap().to_owned();
    assert_eq!(
        world.post_as("dee", "/v1/people/dee/helpers/hal", &json!({"sees": []})).await.status,
        200
    );
    // Applying the file again keeps the helpers and capabilities that Dee chose.
    apply(&town()).await.unwrap();
    assert_eq!(world.get_as(&hana, "/v1/people/dee/totals").await.status, 200);
    assert_eq!(world.get_as("hal", "/v1/people/dee").await.status, 404);
    // The exported file is the same with Hana added, and can be applied.
    let shown = show(&store, &"riverside".parse().unwrap()).await.unwrap().unwrap();
    assert!(shown.contains(&format!("id = \"{hana}\"")), "{shown}");
    apply(&shown).await.unwrap();
    assert_eq!(show(&store, &"riverside".parse().unwrap()).await.unwrap().unwrap(), shown);

    let of_ben = "[[member]]\nid = \"ben\"\nhuman = \"ben\"";
    let without =
        town().replace("id = \"owen\"\nhuman = \"owen\"", "id = \"odd\"\nhuman = \"odd\"");
    let refused = apply(&without).await.unwrap_err().to_string();
    assert!(refused.contains("member owen: they are here, but not in the file"), "{refused}");
    let another = town().replace(of_ben, "[[member]]\nid = \"ben\"\nhuman = \"amina\"");
    let refused = apply(&another).await.unwrap_err().to_string();
    assert!(refused.contains("member ben: an account keeps its human"), "{refused}");
    assert_eq!(world.count("member", "member_id = 'odd'").await, 0, "all or nothing");
    let ended = town().replace(of_ben, &format!("{of_ben}\nstate = \"ended\""));
    let ben = world.token("ben").await;
    apply(&ended).await.unwrap();
    let after = world.call(reqwest::Method::GET, "/v1/me", &ben, None, None).await;
    assert_eq!(after.status, 401);
    world.check().await;
}
