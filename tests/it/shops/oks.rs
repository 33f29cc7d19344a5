//! A permission for a shop covers every descriptor of that shop, and of no other one.

use sayso::domain::ask::GrantScope;

use crate::asks::town::{AskFixture, YES, handset, latest};
use crate::support::TestDatabase;
use crate::world::Purchase;

on_both_databases!(
    an_ok_meets_the_shop_whatever_it_prints_next,
    an_ok_for_an_unknown_shop_meets_its_name_or_its_number,
    an_ok_can_be_asked_for_at_a_shop_of_the_past,
);

fn at(name: &str, shop: &str, number: &str) -> Purchase {
    let network_id = (!number.is_empty()).then(|| number.to_owned());
    Purchase { shop: shop.to_owned(), network_id, amount: 14_00, ..handset(name) }
}

/// Declined at `first`, asked for and granted. Returns whether `next` is then approved.
async fn is_met(town: &AskFixture, number: usize, first: [&str; 2], next: [&str; 2]) -> bool {
    let [shop, id] = first;
    let refused = town.world.authorise(&at(&format!("First{number}"), shop, id)).await;
    assert!(!refused.is_approved(), "{shop}");
    let ask = town.try_authorise("dee", &latest(GrantScope::Place)).await.unwrap();
    town.answer("amina", ask.id, YES).await;
    let [shop, id] = next;
    town.world.authorise(&at(&format!("Next{number}"), shop, id)).await.is_approved()
}

async fn an_ok_meets_the_shop_whatever_it_prints_next(database: TestDatabase) {
    let town = AskFixture::open(database).await;
    let amazon = ["AMZN Mktp UK*2E5QZ9A14", "000123400"];
    assert!(is_met(&town, 1, amazon, ["AMAZON.CO.UK*R84XK2LQ4", ""]).await);
    assert!(is_met(&town, 2, ["TESCO STORES 3278", ""], ["TESCO PFS 4231", ""]).await);
    // Two sellers of one payment facilitator, with any merchant numbers.
    let argos = ["PAYPAL *ARGOS", "PP0001"];
    assert!(!is_met(&town, 3, argos, ["PAYPAL *BETFAIR", "PP0001"]).await);
    assert!(is_met(&town, 4, ["PAYPAL *JOES BIKES", "PP1"], ["SQ *JOE'S BIKES", "SQ7"]).await);
    town.world.check().await;
}

async fn an_ok_for_an_unknown_shop_meets_its_name_or_its_number(database: TestDatabase) {
    let town = AskFixture::open(database).await;
    let place = ["XQMKT*2E5QZ", "000990011"];
    assert!(is_met(&town, 1, place, ["ZZ SELLER*77ABQ", "000990011"]).await);
    assert!(!is_met(&town, 2, ["WQMKT*2E5QZ", "000990012"], ["YY SELLER*77", "000990013"]).await);
    let corner = ["CORNER GADGETS 12", "000990014"];
    assert!(is_met(&town, 3, corner, ["Corner Gadgets Ltd", "000990015"]).await);
    town.world.check().await;
}

async fn an_ok_can_be_asked_for_at_a_shop_of_the_past(database: TestDatabase) {
    let town = AskFixture::open(database).await;
    let bread = Purchase {
        shop: "QUAY BAKERY 4".to_owned(),
        network_id: Some("77001".to_owned()),
        ..crate::world::purchase("Bread", 2_00)
    };
    assert!(town.world.authorise(&bread).await.is_approved());
    let bought = town.world.get_as("dee", "/v1/people/dee/shops").await.json();
    let shop = bought["shops"][0].clone();
    assert_eq!(shop["name"], "QUAY BAKERY 4");
    let wish = serde_json::json!({
        "bought": shop["bought"], "up_to": {"amount": 14_00, "currency": "GBP"},
    });
    let ask = town.world.post_as("dee", "/v1/people/dee/asks", &wish).await;
    assert_eq!(ask.status, 201, "{ask:?}");
    assert_eq!(ask.json()["place"], "QUAY BAKERY 4");
    town.answer("amina", ask.json()["ask"].as_str().unwrap().parse().unwrap(), YES).await;
    assert!(town.world.authorise(&at("Phone", "QUAY BAKERY LTD", "")).await.is_approved());
    let of_nobody = serde_json::json!({"bought": "pur_00000000000000000000000000000001"});
    assert_eq!(town.world.post_as("dee", "/v1/people/dee/asks", &of_nobody).await.status, 404);
    town.world.check().await;
}
