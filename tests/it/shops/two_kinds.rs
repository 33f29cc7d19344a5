//! Shops that sell two kinds of things under one code.

use std::sync::Arc;

use sayso::domain::agreement::{Decider, Scope, Term, TermAnswer, TermDraft};
use sayso::domain::decision::authorisation::Facts;
use sayso::domain::decision::decide::decide;
use sayso::domain::shop::merchant::{Category, Mcc};
use sayso::merchant_rules::built_in;

use crate::support::TestDatabase;
use crate::values::{a_request, category, some_facts};
use crate::world::{Purchase, World, purchase};

on_both_databases!(money_that_never_gambles_never_pays_a_casino_hotel);

fn at_a_casino_hotel(terms: Vec<Term>) -> Facts {
    let mut facts = some_facts();
    facts.category = category("hotels");
    facts.also = vec![category("gambling")];
    let holder = facts.holder.as_mut().unwrap();
    Arc::make_mut(&mut holder.agreement).terms = terms;
    facts
}

fn about(scope: Scope, answer: TermAnswer) -> Term {
    Term::new(TermDraft {
        scope,
        answer,
        limits: Vec::new(),
        hours: None,
        decides: Decider::Together,
        reason: Some("Agreed.".to_owned()),
        review_on: Some(jiff::civil::Date::constant(2027, 2, 16)),
        cooling_days: None,
    })
    .unwrap()
}

fn answer(terms: Vec<Term>) -> String {
    use sayso::domain::decision::authorisation::Decision;
    match decide(&a_request(), &at_a_casino_hotel(terms)) {
        Decision::Approve(approval) => format!("paid under {}", approval.matched),
        Decision::Decline(reasons) => format!("{:?}", reasons.first),
    }
}

#[test]
fn the_stricter_of_two_kinds_holds_unless_the_shop_or_the_code_is_named() {
    let kind = |name: &str| Scope::Category(category(name));
    let yes = |scope| about(scope, TermAnswer::Yes);
    let no = |scope| about(scope, TermAnswer::No);
    let (hotels, gambling) = (|| kind("hotels"), || kind("gambling"));
    let off = "CategoryOff { category: Category(\"gambling\") }";
    assert_eq!(answer(vec![yes(hotels()), no(gambling())]), off);
    assert_eq!(answer(vec![yes(Scope::EverythingElse), no(gambling())]), off);
    let asks = "CategoryAsk { category: Category(\"gambling\") }";
    assert_eq!(answer(vec![about(gambling(), TermAnswer::Ask)]), asks);
    assert_eq!(
        answer(vec![no(hotels()), about(gambling(), TermAnswer::Ask)]),
        "CategoryOff { category: Category(\"hotels\") }"
    );
    // Allowing one kind does not loosen the other one, and does not count towards its limits.
    assert_eq!(answer(vec![yes(hotels()), yes(gambling())]), "paid under category:hotels");
    assert_eq!(answer(vec![yes(gambling())]), "paid under everything_else");
    let code = || Scope::Code(a_request().merchant.mcc().unwrap());
    let named = format!("paid under {}", code());
    assert_eq!(answer(vec![yes(code()), no(gambling())]), named);
    let shop = || Scope::Shop(a_request().merchant.shop_key().unwrap());
    assert!(answer(vec![yes(shop()), no(gambling())]).starts_with("paid under shop:"));
}

#[test]
fn the_kinds_of_casinos_arcades_and_duty_free_shops() {
    let also = |code: &str| -> Vec<&str> {
        let kinds = built_in().kinds_of(Mcc::parse(code).ok());
        kinds.also.iter().map(Category::as_str).collect()
    };
    for code in ["3596", "3730", "3771", "3765", "3620", "7994"] {
        assert_eq!(also(code), ["gambling"], "{code}");
    }
    assert_eq!(also("5309"), ["alcohol", "tobacco"]);
    for code in ["3504", "3640", "7011", "5411", "5813", "5994", "7995"] {
        assert_eq!(also(code), Vec::<&str>::new(), "{code}");
    }
    // Every hotel code whose name contains "Casino" is also gambling.
    for rule in built_in() {
        for (code, name) in rule.codes.iter().filter(|(_, name)| name.contains("Casino")) {
            let kinds = built_in().kinds_of(Some(*code));
            assert!(kinds.iter().any(|kind| kind.as_str() == "gambling"), "{code} {name}");
        }
    }
}

async fn money_that_never_gambles_never_pays_a_casino_hotel(database: TestDatabase) {
    let world = World::open(database).await;
    let bed = |name: &str, code: &str| Purchase {
        mcc: code.into(),
        shop: "THE RESORT".to_owned(),
        ..purchase(name, 20_00)
    };
    for (name, code) in [("A", "3596"), ("B", "3730"), ("C", "3771"), ("D", "7994")] {
        assert_eq!(world.authorise(&bed(name, code)).await.reason(), "funder_rule", "{code}");
    }
    assert_ne!(world.authorise(&bed("E", "3504")).await.reason(), "funder_rule");
    world.check().await;
}
