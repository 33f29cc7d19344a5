//! What a one-off permission lifts, and for how often and how long.

use super::*;
use crate::{
    books::{AuthorisationApproval, Presentment, PurchaseReference},
    programme::{Narrow, OwnBlock, Scope, Term, TermAnswer},
};

/// A term that refuses everything of that kind.
fn refused(narrow: Narrow) -> Term {
    Term {
        on: Scope::Narrow(narrow),
        answer: Some(TermAnswer::No),
        limits: Vec::new(),
        hours: None,
        own_block: None,
    }
}

#[test]
fn tries_at_one_shop_of_which_nothing_was_claimed_are_one_use_of_an_ok() {
    let text = "[[person.permission]]\non = { code = \"4812\" }\nup_to = \"30.00\"\nuses = 1\n\
                from = 2026-11-23T11:00:00Z\nends = 2026-11-30T11:00:00Z\n";
    let mut books = changed("exchange_margin_percent = 10", "");
    books.people[2].terms = Arc::new(vec![refused(Narrow::Code("4812".to_owned()))]);
    assert_eq!(books.verdict(&whole(2, &shops::PHONE_SHOPS[0], 1_00), NOON), no("place_off"));
    books.allowed = changed("", text).allowed;
    let shop = |number, shop, amount_minor| AuthorisationRequest {
        number,
        ..whole(2, shop, amount_minor)
    };
    let here = |number, amount| shop(number, &shops::PHONE_SHOPS[0], amount);
    let there = |number, amount| shop(number, &shops::PHONE_SHOPS[1], amount);
    let off = |also: &'static str| ExpectedDecision::Decline(BTreeSet::from(["place_off", also]));
    let abroad = AuthorisationRequest { is_foreign: true, ..here(1, 33_00) };
    assert_eq!(books.verdict(&abroad, NOON), ExpectedDecision::Approve);
    let dearer = AuthorisationRequest { amount_minor: 33_01, ..abroad };
    assert_eq!(books.verdict(&dearer, NOON), off("ok_small"));
    assert_eq!(books.verdict(&here(1, 30_01), NOON), off("ok_small"));
    let on = |number| PurchaseReference::at_once(number, (2, &shops::PHONE_SHOPS[0]), NOON);
    let approval =
        |amount_minor| AuthorisationApproval { request_number: 0, amount_minor, allowed: Some(0) };
    books.approve(on(1), approval(20_00));
    assert_eq!(books.verdict(&here(1, 10_00), NOON), ExpectedDecision::Approve, "more of the same");
    assert_eq!(books.verdict(&here(2, 10_00), NOON), ExpectedDecision::Approve);
    assert_eq!(books.verdict(&here(2, 10_01), NOON), off("ok_held"));
    assert_eq!(books.verdict(&there(2, 1_00), NOON), off("ok_held"));
    books.approve(on(2), approval(10_00));
    books.lower(1, 0);
    assert_eq!(books.verdict(&here(3, 20_00), NOON), ExpectedDecision::Approve, "one was given up");
    books.capture(on(2), Presentment::of(10_00));
    assert_eq!(books.verdict(&here(3, 1_00), NOON), off("ok_used"));
}

#[test]
fn an_ok_of_the_file_is_for_so_many_purchases_of_so_much_until_it_ends() {
    let mut books = changed(
        "",
        "[[person.permission]]\non = { category = \"hobbies\" }\nup_to = \"9.00\"\nuses = 1\n\
         from = 2026-11-23T11:00:00Z\nends = 2026-11-23T13:00:00Z\n",
    );
    let mut terms = (*books.people[2].terms).clone();
    terms.push(refused(Narrow::Category("hobbies".to_owned())));
    books.people[2].terms = Arc::new(terms);
    let off =
        |also: &'static str| ExpectedDecision::Decline(BTreeSet::from(["category_off", also]));
    let gift =
        |number, amount| AuthorisationRequest { number, ..ask(2, &shops::GIFT_SHOP, amount) };
    assert_eq!(books.verdict(&gift(1, 9_00), NOON - 4000), no("category_off"));
    assert_eq!(books.verdict(&gift(1, 9_01), NOON), off("ok_small"));
    assert_eq!(books.verdict(&gift(1, 9_00), NOON + 3600), off("ok_over"));
    assert_eq!(books.verdict(&gift(1, 9_00), NOON), ExpectedDecision::Approve);
    let allowed = books.permission_for(&gift(1, 9_00), NOON);
    let approval = AuthorisationApproval { request_number: 0, amount_minor: 9_00, allowed };
    let gift_shop = PurchaseReference::at_once(1, (2, &shops::GIFT_SHOP), NOON);
    books.approve(gift_shop, approval);
    books.capture(gift_shop, Presentment::of(9_00));
    assert_eq!(books.verdict(&gift(2, 1_00), NOON), off("ok_used"));
    let mut own = (*books.people[2].terms).clone();
    own.last_mut().unwrap().own_block = Some(OwnBlock { cooling_days: 1 });
    books.people[2].terms = Arc::new(own);
    books.purchases.clear();
    assert_eq!(books.verdict(&gift(3, 1_00), NOON), no("category_off"), "it has not cooled");
}
