//! What people can look up: changes in plain words, and the number of restrictions.

use jiff::ToSpan as _;
use jiff::civil::date;
use sayso::domain::agreement::proposal::ConsentAnswer;
use sayso::domain::agreement::{Scope, Term, TermAnswer, TermDraft};
use sayso::domain::money::limit::Limit;
use sayso::domain::time::period::Period;
use sayso::merchant_rules::BUILT_IN_GUIDE;
use sayso::people::agreements::{GuidePublication, difference, publish_guide};

use super::fixture::{
    AgreementFixture, cash, category, draft_of, gbp, id, is_conflict, is_invalid, is_not_allowed,
    riverside, term, weekly, with, without,
};
use crate::support::TestDatabase;

on_both_databases!(
    what_changed_is_said_line_by_line,
    a_line_says_what_decided_before,
    every_restriction_has_an_age_and_a_reason,
    a_guide_is_written_with_people_who_have_a_budget,
);

async fn what_changed_is_said_line_by_line(database: TestDatabase) {
    let fixture = AgreementFixture::open(database).await;
    let before = fixture.in_force("dee").await.list();
    let food = TermDraft {
        limits: vec![
            Limit::Amount { per: Period::Day, most: gbp(30_00) },
            Limit::Count { per: Period::Week, most: 3 },
        ],
        ..draft_of(category("food"), TermAnswer::Yes)
    };
    let mut list = with(&before, Term::new(food).unwrap());
    list = with(&list, weekly(cash(), 30_00));
    list = with(&list, term(category("driving"), TermAnswer::No));
    list = without(&list, &category("phone"));
    list.partial = true;
    list.pots.rotate_left(1);
    let proposed = fixture.propose("amina", "dee", list).await.unwrap();
    fixture.world.advance_clock((7 * 24 - 1).hours());
    fixture.answer("dee", "dee", proposed.proposal, ConsentAnswer::Yes).await.unwrap();
    let mut tx = fixture.store().snapshot().await.unwrap();
    let programme = fixture.programme().await;
    let (dee, helen, ben) = (fixture.as_("dee"), fixture.as_("helen"), fixture.as_("ben"));
    let found = difference(&mut tx, &programme, &dee, &id("dee"), 1, 2).await.unwrap();
    let lines: Vec<_> = found
        .lines
        .iter()
        .map(|line| format!("{}: {} -> {} ({})", line.about, line.now, line.new, line.way_text))
        .collect();
    assert_eq!(
        lines,
        [
            "Driving and vehicles: Ask first -> No (less)",
            "Food and corner shops: Yes -> Yes, up to £30 a day, 3 times a week (less)",
            "Phone, internet and TV: Ask first -> Yes (more)",
            "Taking out cash: Yes, up to £20 a week -> Yes, up to £30 a week (more)",
            "Paying a part when there is too little: No -> Yes (more)",
            "Which pot pays first: As it was -> As you see it (same)",
        ]
    );
    assert!(difference(&mut tx, &programme, &helen, &id("dee"), 1, 2).await.is_ok());
    for (who, from) in [(&ben, 1), (&dee, 9)] {
        assert!(difference(&mut tx, &programme, who, &id("dee"), from, 2).await.is_err());
    }
    tx.commit().await.unwrap();
    fixture.world.check().await;
}

/// Nothing on the list was about the code or the shop itself, but a term about their kind decided.
async fn a_line_says_what_decided_before(database: TestDatabase) {
    let fixture = AgreementFixture::open(database).await;
    let mut list = fixture.in_force("dee").await.list();
    for scope in ["code:5921", "code:4812", "category:driving"] {
        let scope: Scope = scope.parse().unwrap();
        list = with(&without(&list, &scope), term(scope, TermAnswer::Yes));
    }
    let shop = fixture.programme().await.rules.shops().key_of("Majestic Wine").unwrap();
    list = with(&list, term(Scope::Shop(shop), TermAnswer::Yes));
    let proposed = fixture.propose("amina", "dee", list).await.unwrap();
    let path = format!("/proposals/{}", proposed.proposal);
    let lines = fixture.get("dee", &path).await["lines"].as_array().unwrap().clone();
    let mut lines: Vec<_> = lines
        .iter()
        .map(|line| {
            let text = |key: &str| line[key].as_str().unwrap().to_owned();
            format!("{}: {} -> {} ({})", text("about"), text("now"), text("new"), text("way"))
        })
        .collect();
    lines.sort();
    assert_eq!(
        lines,
        [
            "Driving and vehicles: Ask first -> Yes (more)",
            "Off-licences: No -> Yes (more)",
            "One shop: As for its kind of shop -> Yes (more)",
            "Phone shops and handsets: Ask first -> Yes (more)",
        ]
    );
    fixture.world.check().await;
}

async fn every_restriction_has_an_age_and_a_reason(database: TestDatabase) {
    let fixture = AgreementFixture::open(database).await;
    fixture.world.advance_clock((10 * 24).hours());
    let list = with(&fixture.in_force("dee").await.list(), term(category("fun"), TermAnswer::Ask));
    fixture.propose("dee", "dee", list).await.unwrap();
    fixture.world.advance_clock((5 * 24).hours());
    let controls = fixture.controls("amina", "dee").await;
    let ages: Vec<_> = controls
        .restrictions
        .iter()
        .map(|r| (r.scope.to_string(), r.days, r.is_own, r.since))
        .collect();
    let fun = ages.last().unwrap();
    assert_eq!(fun, &("category:fun".to_owned(), 5, false, date(2026, 12, 3)));
    assert_eq!(ages.len(), 9, "{ages:?}");
    assert!(ages[..8].iter().all(|age| age.1 == 15), "kept by the new version: {ages:?}");
    assert_eq!(ages.iter().filter(|age| age.2).count(), 2);
    assert!(controls.restrictions.iter().all(|r| !r.reason.is_empty() && r.review_on.is_some()));
    assert_eq!(controls.overdue, 0);
    let _ = Scope::Everything;
    fixture.world.check().await;
}

async fn a_guide_is_written_with_people_who_have_a_budget(database: TestDatabase) {
    let fixture = AgreementFixture::open(database).await;
    let text = BUILT_IN_GUIDE
        .replace("authors = []", "authors = [\"People with a budget\", \"The outreach team\"]");
    let publish = async |who: &str, written_with: &[&str], text: &str| {
        let acting = fixture.as_(who);
        let publication = GuidePublication {
            text: text.to_owned(),
            written_with: written_with.iter().map(|&who| who.to_owned()).collect(),
        };
        fixture
            .run(async |tx| publish_guide(tx, fixture.context(), &acting, &publication).await)
            .await
    };
    assert!(is_invalid(&publish("ruth", &[], &text).await, "written_with"));
    assert!(is_invalid(&publish("ruth", &["Nobody"], &text).await, "written_with"));
    assert!(is_invalid(&publish("ruth", &["People with a budget"], "x = ").await, "content"));
    assert!(is_not_allowed(&publish("amina", &["People with a budget"], &text).await));
    assert_eq!(publish("ruth", &["People with a budget"], &text).await.unwrap(), 1);
    assert!(is_conflict(&publish("ruth", &["People with a budget"], &text).await));
    let second = text.replace("version = 1\n", "version = 2\n");
    assert_eq!(publish("ruth", &["People with a budget"], &second).await.unwrap(), 2);
    let mut tx = fixture.store().snapshot().await.unwrap();
    let known = tx.guide(&riverside(), None).await.unwrap().unwrap();
    assert_eq!((known.version, known.published_by.as_str()), (2, "ruth"));
    assert_eq!(tx.guide(&riverside(), Some(1)).await.unwrap().unwrap().content, text);
    tx.commit().await.unwrap();
    fixture.world.check().await;
}
