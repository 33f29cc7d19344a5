//! The past purchases that a term would cover are shown before anybody agrees. A term names a shop
//! by its name, or by a purchase there.

use serde_json::{Value, json};

use crate::agreements::fixture::AgreementFixture;
use crate::support::TestDatabase;
use crate::world::{Purchase, purchase};

on_both_databases!(
    shops_of_the_past_are_listed_once_each,
    what_a_term_would_meet_is_seen_before_it_is_agreed,
    a_term_names_a_shop_by_its_name_or_by_a_purchase,
);

fn at(name: &str, shop: &str, number: &str, amount: i64) -> Purchase {
    let network_id = (!number.is_empty()).then(|| number.to_owned());
    Purchase { shop: shop.to_owned(), network_id, ..purchase(name, amount) }
}

impl AgreementFixture {
    /// Five purchases at three shops.
    async fn go_shopping(&self) {
        for bought in [
            at("A", "TESCO STORES 3278", "", 3_00),
            at("B", "TESCO PFS 4231", "", 4_00),
            at("C", "QUAY BAKERY 4", "77001", 1_00),
            at("D", "ZZ QB*RX7", "77001", 2_00),
            at("E", "PAYPAL *ARGOS", "77001", 5_00),
        ] {
            assert!(self.world.authorise(&bought).await.is_approved(), "{bought:?}");
        }
    }

    async fn look(&self, who: &str, path: &str) -> Value {
        let answer = self.world.get_as(who, &format!("/v1/people/dee/{path}")).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    }
}

async fn shops_of_the_past_are_listed_once_each(database: TestDatabase) {
    let fixture = AgreementFixture::open(database).await;
    fixture.go_shopping().await;
    let shops = fixture.look("dee", "shops").await;
    let lines: Vec<_> = shops["shops"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| (line["name"].as_str().unwrap(), &line["times"], &line["sum"]["amount"]))
        .map(|(name, times, sum)| (name, times.as_i64().unwrap(), sum.as_i64().unwrap()))
        .collect();
    assert_eq!(lines, [("Argos", 1, 5_00), ("ZZ QB*RX7", 2, 3_00), ("Tesco", 2, 7_00)]);
    assert_eq!(shops["looked_at"], 5);
    fixture.world.check().await;
}

async fn what_a_term_would_meet_is_seen_before_it_is_agreed(database: TestDatabase) {
    let fixture = AgreementFixture::open(database).await;
    fixture.go_shopping().await;
    let met = fixture.look("dee", "would-meet?shop=tesco+stores").await;
    assert_eq!((&met["name"], &met["sum"]["amount"]), (&json!("Tesco"), &json!(7_00)));
    let places = |met: &Value| -> Vec<String> {
        let lines = met["purchases"].as_array().unwrap();
        lines.iter().map(|line| line["place"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(places(&met), ["TESCO PFS 4231", "TESCO STORES 3278"]);
    let shops = fixture.look("dee", "shops").await;
    let bakery = shops["shops"][1]["bought"].as_str().unwrap().to_owned();
    let met = fixture.look("dee", &format!("would-meet?bought={bakery}")).await;
    assert_eq!(places(&met), ["ZZ QB*RX7", "QUAY BAKERY 4"], "the firm's seller is none of them");
    assert_eq!(met["looked_at"], 5);
    let on = met["on"].as_str().unwrap().replace('+', "%2B");
    assert_eq!(fixture.look("dee", &format!("would-meet?on={on}")).await, met);
    let food = fixture.look("dee", "would-meet?on=category:food").await;
    assert_eq!(food["purchases"].as_array().unwrap().len(), 5);
    assert_eq!(places(&fixture.look("dee", "would-meet?shop=Asda").await), Vec::<String>::new());
    // Other accounts must give a reason, which the person can read.
    let why = "would-meet?shop=Tesco&reason=We+talk+about+it";
    assert_eq!(fixture.look("amina", why).await["purchases"].as_array().unwrap().len(), 2);
    let looks = fixture.look("dee", "looks").await;
    assert_eq!(looks["data"][0]["reason"], "We talk about it", "{looks}");
    let dee = |path: &'static str| fixture.world.get_as("dee", path);
    for path in ["would-meet", "would-meet?shop=A&on=everything", "would-meet?on=shop:tesco"] {
        let answer = fixture.world.get_as("dee", &format!("/v1/people/dee/{path}")).await;
        assert_eq!(answer.status, 400, "{path}: {answer:?}");
    }
    let missing = dee("/v1/people/dee/would-meet?bought=pur_00000000000000000000000000000001");
    assert_eq!(missing.await.status, 404);
    fixture.world.check().await;
}

async fn a_term_names_a_shop_by_its_name_or_by_a_purchase(database: TestDatabase) {
    let fixture = AgreementFixture::open(database).await;
    fixture.go_shopping().await;
    let shops = fixture.look("dee", "shops").await;
    let bakery = shops["shops"][1]["bought"].clone();
    let no = |name: &str, value: &Value| {
        json!({name: value, "answer": "no", "reason": "Dee asked for this.",
               "review_on": "2027-02-16", "cooling_days": 7})
    };
    let change = |version: u32, set: Value| {
        json!({"version": version, "set": [set], "words": "Not there.",
               "session": {"how": "own_page", "place": "home", "minutes": 5}})
    };
    let to = "/v1/people/dee/proposals";
    let start = fixture.in_force("dee").await.version;
    let answer =
        fixture.world.post_as("dee", to, &change(start, no("shop", &json!("Tesco Express")))).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    let answer = fixture.world.post_as("dee", to, &change(start + 1, no("bought", &bakery))).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    let ask = async |name: &str, shop: &str, number: &str| {
        fixture.world.authorise(&at(name, shop, number, 1_00)).await.reason()
    };
    assert_eq!(ask("F", "TESCO PFS 4231", "").await, "place_off");
    assert_eq!(ask("G", "ZZ QB*RX7", "9").await, "place_off", "by its name");
    assert_eq!(ask("H", "SOMETHING ELSE", "77001").await, "place_off", "by its number");
    assert!(fixture.world.authorise(&at("I", "ASDA 12", "", 1_00)).await.is_approved());
    let list = fixture.look("dee", "agreement").await;
    let terms = list["terms"].as_array().unwrap();
    assert!(terms.iter().any(|term| term["name"] == "Tesco"), "{list}");
    let both = json!({"shop": "Tesco", "on": "everything", "answer": "no"});
    assert_eq!(fixture.world.post_as("dee", to, &change(start + 2, both)).await.status, 422);
    let others = no("bought", &json!("pur_00000000000000000000000000000001"));
    let answer = fixture.world.post_as("dee", to, &change(start + 2, others)).await;
    assert_eq!(answer.status, 404, "{answer:?}");
    fixture.world.check().await;
}
