//! Two programmes on one database, and accounts that end while they act.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use sqlx::AssertSqlSafe;
use tokio::time::sleep;

use crate::api::town::{ACCOUNTS, ROUTES, another_town, data, town};
use crate::support::{DatabaseKind, TestDatabase};
use crate::world::{World, purchase};

on_both_databases!(
    scenario_53_an_account_that_ends_while_it_acts_does_nothing,
    scenario_85_no_account_reaches_another_programme_by_any_address,
);

async fn scenario_53_an_account_that_ends_while_it_acts_does_nothing(database: TestDatabase) {
    let world = World::open_with(database, &town()).await;
    let hal = world.token("hal").await;
    // Dee's budget is locked, as by a concurrent decision. Hal's freeze has passed authentication,
    // and waits for the lock.
    let mut connection = world.database.connect().await;
    let begin = match world.database.kind {
        DatabaseKind::Sqlite => "BEGIN IMMEDIATE",
        DatabaseKind::Postgres => "BEGIN",
    };
    let lock = "UPDATE budget SET currency = currency WHERE budget_id = 'dee'";
    let ends = "UPDATE member SET state = 'ended' WHERE member_id = 'hal'";
    for sql in [begin, lock] {
        sqlx::query(AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
    }
    let freeze = world.call(Method::POST, "/v1/people/dee/freeze", &hal, Some("one"), Some("{}"));
    let ended = async {
        sleep(Duration::from_millis(150)).await;
        for sql in [ends, "COMMIT"] {
            sqlx::query(AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
        }
    };
    let (freeze, ()) = tokio::join!(freeze, ended);
    assert_eq!(freeze.status, 404, "{freeze:?}");
    assert_eq!(world.count("card", "state = 'frozen_by_person'").await, 0);
    assert_eq!(world.count("act", "member_id = 'hal'").await, 0);
    // The token has not expired yet, but is not accepted any more.
    let after = world.call(Method::GET, "/v1/me", &hal, None, None).await;
    assert_eq!(after.status, 401, "{after:?}");
    world.check().await;
}

async fn scenario_85_no_account_reaches_another_programme_by_any_address(database: TestDatabase) {
    let world = World::open_with(database, &town()).await;
    world.apply(&another_town()).await;
    let bought = world.authorise(&purchase("Bread", 2_50)).await;
    assert!(bought.is_approved());
    let own = data(&world.get_as("dee", "/v1/people/dee/purchases?limit=1").await);
    assert_eq!(own.len(), 1);
    let mut reached = Vec::new();
    for account in ACCOUNTS {
        // The two people have other ids there.
        let account = account.replace("dee", "zed").replace("femi", "zoe");
        let token = world.token_of("hillside", &account).await;
        for (route, _) in ROUTES {
            if !route.path.contains("{person}") {
                continue;
            }
            // Dee, her purchase and her helper belong to the other programme, so they are not
            // found.
            let path = route.about("dee", &bought.decision(), "hal");
            let answer = route.call(&world, &path, &token).await;
            if answer.status != 404 {
                reached.push(format!("{account} {} {path}: {answer:?}", route.method));
            }
        }
    }
    assert!(reached.is_empty(), "\n{}", reached.join("\n"));

    // The person's own account with ids of the other programme: a purchase, a helper, a cursor.
    let zed = world.token_of("hillside", "zed").await;
    let get = async |path: String| world.call(Method::GET, &path, &zed, None, None).await;
    assert_eq!(get("/v1/people/zed".to_owned()).await.status, 200);
    assert_eq!(get(format!("/v1/people/zed/purchases/{}", bought.decision())).await.status, 404);
    for table in ["posting_id", "purchase_id"] {
        let sql = format!("SELECT MAX({table}) FROM posting WHERE programme_id = 'riverside'");
        let id = world.database.rows(&sql).await[0][0].clone();
        let cursor = base64::Engine::encode(&base64::prelude::BASE64_URL_SAFE_NO_PAD, &id);
        let page = get(format!("/v1/people/zed/purchases?cursor={cursor}")).await;
        let is_empty = page.status == 400 || data(&page).is_empty();
        assert!(is_empty && !page.body.contains("GROCER"), "{page:?}");
        assert_eq!(get(format!("/v1/people/zed/purchases/{id}")).await.status, 404);
    }
    let tick = json!({"sees": ["balance"]}).to_string();
    let card = json!({"card": "ic_1DemoDee00000000001"}).to_string();
    for (path, body) in [("/v1/people/zed/helpers/hana", &tick), ("/v1/people/zed/freeze", &card)] {
        let answer = world.call(Method::POST, path, &zed, Some("one"), Some(body)).await;
        assert_eq!(answer.status, 404, "{answer:?}");
    }
    // Visibility and idempotency keys are per programme.
    let ruth = world.token_of("hillside", "ruth").await;
    let people = world.call(Method::GET, "/v1/people", &ruth, None, None).await;
    let people: Vec<_> = data(&people).iter().map(|p| p["person"].to_string()).collect();
    assert_eq!(people, ["\"zed\"", "\"zia\"", "\"zoe\""]);
    let first = world.post_as("dee", "/v1/people/dee/freeze", &json!({})).await;
    assert_eq!(first.status, 200);
    let here =
        world.call(Method::POST, "/v1/people/zed/freeze", &zed, Some("one"), Some("{}")).await;
    assert_eq!(here.status, 200);
    assert!(here.body.contains("ic_1Hill") && !here.body.contains("ic_1Demo"), "{here:?}");
    let frozen = "state = 'frozen_by_person' AND programme_id = 'riverside'";
    assert_eq!(world.count("card", frozen).await, 1);
    // No account of the other programme is recorded here.
    assert_eq!(world.count("look", "programme_id = 'riverside'").await, 0);
    world.check().await;
}
