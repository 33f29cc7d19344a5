//! Descriptors, identified by the built-in table of shops.

use std::sync::Arc;

use sayso::domain::agreement::Scope;
use sayso::domain::shop::merchant::{Mcc, Merchant};
use sayso::domain::shop::table::{ShopKind, ShopTable};
use sayso::domain::shop::{ShopIdentity, ShopKey};
use sayso::merchant_rules::{built_in_shops, parse_shops};

const LINES: &str = include_str!("../../fixtures/printed.csv");

fn shops() -> &'static Arc<ShopTable> {
    built_in_shops()
}

fn shop_of(line: &str) -> Option<&'static str> {
    shops().recognise(&Merchant::new(None, line)).map(|shop| shop.name.as_str())
}

fn known_as(line: &str) -> ShopIdentity {
    shops().identify(&Merchant::new(None, line))
}

#[test]
fn every_line_of_a_councils_purchases_is_its_shop() {
    let lines: Vec<_> = LINES
        .lines()
        .filter(|line| !line.starts_with('#'))
        .skip(1)
        .map(|line| line.rsplit_once(',').unwrap())
        .collect();
    assert_eq!(lines.len(), 193);
    let mut unknown = Vec::new();
    for (line, meant) in &lines {
        match shop_of(line) {
            Some(found) => assert_eq!(found, *meant, "{line:?} is taken for another shop"),
            None => unknown.push(line),
        }
        // The plain name covers these descriptors.
        let key = shops().key_of(meant).unwrap();
        assert_eq!(known_as(line).is(&key), shop_of(line).is_some(), "{line:?}");
    }
    assert!(unknown.len() * 100 <= lines.len() * 2, "{unknown:?}");
}

#[test]
fn what_looks_like_a_shop_and_is_not_stays_apart() {
    let apart = [
        ("ICELANDAIR 108", Some("Icelandair")),
        ("ICELAND TRAVEL", None),
        ("LASDA FOODS", None),
        ("ALDIS HARDWARE", None),
        ("APPLE TREE CAFE", None),
        ("APPLEBYS", None),
        ("BOOTS OPTICIANS 12", Some("Boots Opticians")),
        ("TESCO BANK", Some("Tesco Bank")),
        ("CO-OP BANK PLC", Some("Co-op Bank")),
        ("M S BUILDERS", None),
        ("NEXT LEVEL GYM", None),
        ("THREE TUNS PUB", None),
        ("COSTA DEL SOL HOLIDAYS", None),
        ("O2 ACADEMY BRIXTON", None),
        ("GAP YEAR LTD", None),
        ("SHELL BEACH CAFE", None),
        ("SKY BLUE TAXIS", None),
        ("THE RANGER", None),
        ("JOHN LEWIS BUILDER", None),
        ("BPM RECORDS", None),
        ("EEL PIE HOUSE", None),
        ("UBER EATS", Some("Uber Eats")),
        ("UBER *TRIP", Some("Uber")),
        ("SKY BET", Some("Sky Bet")),
        ("VIRGIN ATLANTIC", None),
    ];
    for (line, shop) in apart {
        assert_eq!(shop_of(line), shop, "{line:?}");
        for (other, _) in apart.iter().filter(|(other, _)| *other != line) {
            assert!(!shops().is_same(&known_as(line), &known_as(other)), "{line:?} {other:?}");
        }
    }
    // The name of a shop in the table is never that of another one, however similar the descriptors
    // are.
    let restaurant = Merchant::new(Mcc::parse("5812").ok(), "SHELL 12");
    assert!(!shops().identify(&restaurant).is(&shops().key_of("Shell").unwrap()));
}

#[test]
fn a_code_tells_a_name_that_is_a_word() {
    let with = |line: &str, code: &str| {
        let merchant = Merchant::new(Mcc::parse(code).ok(), line);
        shops().recognise(&merchant).map(|shop| shop.name.as_str())
    };
    assert_eq!(with("BOOTS NORTHFIELD", "5912"), Some("Boots"));
    assert_eq!(with("BOOTS NORTHFIELD", "5661"), None);
    assert_eq!(with("SHELL FIVEWAYS", "5541"), Some("Shell"));
    assert_eq!(with("SHELL GARDENS", "7011"), None);
    let in_city = Merchant::new(None, "ICELAND NORTHFIELD").in_city("Northfield");
    assert_eq!(shops().recognise(&in_city).map(|shop| shop.name.as_str()), Some("Iceland"));
}

#[test]
fn payment_firms_keep_their_sellers_apart_and_marketplaces_do_not() {
    for (line, shop) in [
        ("PAYPAL *ARGOS", Some("Argos")),
        ("PAYPAL *BETFAIR", Some("Betfair")),
        ("SumUp  *TESCO EXPRESS", Some("Tesco")),
        ("SQ *JO'S CAFE", None),
        ("SP *GREGGS", Some("Greggs")),
        ("SP ENERGY NETWORKS", Some("ScottishPower")),
        ("AMZN Mktp UK*2E5QZ9A14", Some("Amazon")),
        ("AMAZON.CO.UK*R84XK2LQ4", Some("Amazon")),
        ("EBAY O*12-08123-44211", Some("eBay")),
        ("JUST EAT *GOLDEN WOK", Some("Just Eat")),
        ("GOOGLE *Duolingo", Some("Google")),
        ("APPLE.COM/BILL", Some("Apple")),
    ] {
        assert_eq!(shop_of(line), shop, "{line:?}");
    }
    let same = |one: &str, other: &str| shops().is_same(&known_as(one), &known_as(other));
    assert!(same("SQ *JO'S CAFE", "SQ *JOS CAFE 2"));
    assert!(!same("SQ *JO'S CAFE", "SQ *ANNS CAFE"));
    assert!(!same("PAYPAL *ARGOS", "PAYPAL *BETFAIR"));
    // The facilitator's merchant number does not identify the seller.
    let behind =
        |line: &str| shops().identify(&Merchant::new(None, line).with_network_id("PP0001"));
    assert!(!shops().is_same(&behind("PAYPAL *JOE"), &behind("PAYPAL *ANN")));
    let kinds = ["Amazon", "Uber", "Apple", "Tesco"]
        .map(|name| shops().with_key(&ShopKey::from_name(name).unwrap()).unwrap().kind);
    assert_eq!(kinds, [ShopKind::Marketplace, ShopKind::Taxi, ShopKind::Apps, ShopKind::Shop]);
}

#[test]
fn a_shop_that_no_table_has_is_known_by_its_name_or_its_number() {
    let at = |line: &str, number: &str| {
        let mcc = Mcc::parse("5942").ok();
        shops().identify(&Merchant::new(mcc, line).with_network_id(number))
    };
    let same = |one, other| shops().is_same(&one, &other);
    assert!(same(at("CORNER CAFE 12", "1"), at("Corner Café Ltd", "2")));
    assert!(same(at("XQMKT*2E5QZ", "000123400"), at("ZZ PLACE*77", "000123400")));
    assert!(!same(at("XQMKT*2E5QZ", "000123400"), at("ZZ PLACE*77", "000123401")));
    assert!(!same(at("XQMKT", "000000000"), at("ZZ PLACE", "000000000")), "no number at all");
    // Two shops of the table are different, even with the same merchant number.
    assert!(!same(at("TESCO STORES", "7"), at("COSTA", "7")));
    assert!(same(at("365", ""), at("365", "")) && !same(at("365", ""), at("99", "")));
    let unknown = Merchant::new(Mcc::parse("5942").ok(), "XQMKT*2E").with_network_id("0012");
    assert!(matches!(Scope::for_merchant(&unknown, shops()), Some(Scope::OneShop(..))));
    let known = Merchant::new(None, "TESCO STORES 3278").with_network_id("0012");
    assert_eq!(Scope::for_merchant(&known, shops()), shops().key_of("tesco").map(Scope::Shop));
}

#[test]
fn what_was_written_before_there_was_a_table_still_meets() {
    for line in ["TESCO STORES 3278", "CORNER SHOP LTD 5", "PAYPAL *ARGOS", "B & Q 1357"] {
        let before = ShopKey::from_name(line).unwrap();
        assert!(known_as(line).is(&before), "{line}");
        let now = shops().key_of(line).unwrap();
        assert_eq!(known_as(line).first(), Some(now), "{line}");
    }
}

#[test]
fn a_number_of_a_network_counts_before_a_name() {
    let text = "[[shop]]\nname = \"Corner\"\nprints = [\"corner *\"]\nnetwork_ids = [\"0099\"]\n\
                [[shop]]\nname = \"Other\"\nprints = [\"other *\"]\n";
    let table = parse_shops(text).unwrap();
    let at = |line: &str, number: &str| {
        let merchant = Merchant::new(None, line).with_network_id(number);
        table.recognise(&merchant).map(|shop| shop.name.clone())
    };
    assert_eq!(at("OTHER 12", "0099").as_deref(), Some("Corner"));
    assert_eq!(at("OTHER 12", "0098").as_deref(), Some("Other"));
}
