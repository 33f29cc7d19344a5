//! Changes that the person decides alone: stricter at once, looser after the cooling-off period
//! that they chose.

use jiff::ToSpan as _;
use jiff::civil::date;
use sayso::domain::agreement::proposal::{ConsentAnswer, ConsentSide, ProposalState};
use sayso::domain::agreement::{Decider, Scope, Term, TermAnswer, TermDraft};
use sayso::domain::money::limit::Limit;
use sayso::people::agreements::{HelpLevel, ProposalStage, choose_help};

use super::fixture::{
    AgreementFixture, a_session, at_a_phone_shop, cash, category, draft_of, gbp, id, is_conflict,
    is_not_allowed, term, weekly, with, without,
};
use crate::support::TestDatabase;
use crate::world::{Purchase, demo_with_manager_above, purchase};

on_both_databases!(
    the_person_tightens_alone_and_takes_it_back_alone,
    no_further_than_what_was_agreed,
    no_further_by_way_of_another_term,
    no_further_by_way_of_a_code_that_sells_more,
    what_is_loosened_indirectly_takes_the_manager_too,
    what_the_person_decides_is_loosened_by_them_alone,
    an_own_block_cools_and_nothing_starts_by_silence,
    an_own_block_cools_from_the_persons_own_wish,
    an_own_block_is_lifted_by_nobody_elses_yes,
    a_worker_cannot_shorten_the_time_that_the_person_chose,
    a_shop_inside_an_own_block_is_part_of_it,
    thinking_time_above_a_sum_is_the_persons_own,
    a_new_term_takes_no_say_from_the_worker,
    the_person_orders_the_pots,
    how_much_help_is_the_persons_to_choose,
    an_own_wish_goes_on_when_something_else_starts,
);

async fn the_person_tightens_alone_and_takes_it_back_alone(database: TestDatabase) {
    let fixture = AgreementFixture::open(database).await;
    let agreed = fixture.in_force("dee").await;
    // Cash is agreed at £20 a week; Dee sets £5.
    let alone = with(&agreed.list(), weekly(cash(), 5_00));
    assert_eq!(fixture.propose("dee", "dee", alone).await.unwrap().next, ProposalStage::Started(2));
    assert_eq!(fixture.in_force("dee").await.agreed_by, ["Dee"]);
    assert_eq!(fixture.told("dee", "worker").await.last().unwrap().0, "worker-list-started");
    // Raising it to £10, and then to what was agreed, is hers to decide.
    let less = with(&agreed.list(), weekly(cash(), 10_00));
    assert_eq!(fixture.propose("dee", "dee", less).await.unwrap().next, ProposalStage::Started(3));
    let back = fixture.propose("dee", "dee", agreed.list()).await.unwrap();
    assert_eq!(back.next, ProposalStage::Started(4));
    assert_eq!(fixture.in_force("dee").await.list(), agreed.list());
    fixture.world.check().await;
}

async fn no_further_than_what_was_agreed(database: TestDatabase) {
    let fixture = AgreementFixture::open(database).await;
    let agreed = fixture.in_force("dee").await.list();
    fixture.propose("dee", "dee", with(&agreed, weekly(cash(), 5_00))).await.unwrap();
    for looser in [with(&agreed, weekly(cash(), 20_01)), without(&agreed, &cash())] {
        let proposed = fixture.propose("dee", "dee", looser).await.unwrap();
        assert_eq!(proposed.next, ProposalStage::AwaitingConsent([ConsentSide::Worker].into()));
        fixture.withdraw("dee", "dee", proposed.proposal).await.unwrap();
    }
    // A block on a category without a term, and its removal.
    let block = TermDraft { decides: Decider::Person, ..draft_of(category("fun"), TermAnswer::No) };
    let now = fixture.in_force("dee").await.list();
    let blocked = with(&now, Term::new(block.clone()).unwrap());
    assert_eq!(
        fixture.propose("dee", "dee", blocked.clone()).await.unwrap().next,
        ProposalStage::Started(3)
    );
    // The term is hers, but must not loosen what was agreed on everything else.
    let limit = TermDraft { answer: TermAnswer::Yes, ..block };
    let free = with(&blocked, Term::new(limit).unwrap());
    assert_eq!(fixture.propose("dee", "dee", free).await.unwrap().next, ProposalStage::Started(4));
    fixture.world.check().await;
}

/// Phone shops and gadgets are agreed as "ask first". Dee refuses everything, including those two
/// by removing their terms, and then takes the first change back.
async fn no_further_by_way_of_another_term(database: TestDatabase) {
    let fixture = AgreementFixture::open(database).await;
    let agreed = fixture.in_force("dee").await.list();
    let no = with(&agreed, term(Scope::EverythingElse, TermAnswer::No));
    let no = without(&without(&no, &category("phone")), &category("gadgets"));
    let stricter = fixture.propose("dee", "dee", no.clone()).await.unwrap();
    assert_eq!(stricter.next, ProposalStage::Started(2));
    let plain = agreed.term(&Scope::EverythingElse).unwrap().clone();
    let back = fixture.propose("dee", "dee", with(&no, plain)).await.unwrap();
    assert_eq!(
        back.next,
        ProposalStage::AwaitingConsent([ConsentSide::Worker].into()),
        "phone shops would be free"
    );
    assert!(!fixture.world.authorise(&at_a_phone_shop("A", 10_00)).await.is_approved());
    fixture.withdraw("dee", "dee", back.proposal).await.unwrap();
    let back = fixture.propose("dee", "dee", agreed).await.unwrap();
    assert_eq!(back.next, ProposalStage::Started(3), "to all that was agreed, it is hers");
    fixture.world.check().await;
}

/// Duty-free shops sell tobacco too. A term on their code is compared with what was agreed about
/// each category that they sell.
async fn no_further_by_way_of_a_code_that_sells_more(database: TestDatabase) {
    let fixture = AgreementFixture::open(database).await;
    let agreed = fixture.in_force("dee").await.list();
    let no = with(&agreed, term(category("tobacco"), TermAnswer::No));
    let both = fixture.propose("amina", "dee", no.clone()).await.unwrap();
    let both = fixture.answer("dee", "dee", both.proposal, ConsentAnswer::Yes).await.unwrap();
    assert_eq!(both.next, ProposalStage::Started(2));
    let duty_free = Scope::Code("5309".parse().unwrap());
    let free = with(&no, term(duty_free, TermAnswer::Yes));
    let proposed = fixture.propose("dee", "dee", free).await.unwrap();
    assert_eq!(proposed.next, ProposalStage::AwaitingConsent([ConsentSide::Worker].into()));
    fixture.world.check().await;
}

async fn what_is_loosened_indirectly_takes_the_manager_too(database: TestDatabase) {
    let file = demo_with_manager_above("50.00");
    let fixture = AgreementFixture::open_with(database, &file).await;
    let agreed = fixture.in_force("dee").await.list();
    let no = with(&agreed, term(Scope::EverythingElse, TermAnswer::No));
    let no = without(&without(&no, &category("phone")), &category("gadgets"));
    fixture.propose("dee", "dee", no.clone()).await.unwrap();
    let plain = agreed.term(&Scope::EverythingElse).unwrap().clone();
    let back = fixture.propose("dee", "dee", with(&no, plain)).await.unwrap();
    let sides = [ConsentSide::Worker, ConsentSide::Manager].into();
    assert_eq!(back.next, ProposalStage::AwaitingConsent(sides), "a phone may cost any sum");
    fixture.world.check().await;
}

async fn what_the_person_decides_is_loosened_by_them_alone(database: TestDatabase) {
    let fixture = AgreementFixture::open(database).await;
    // Ana and Ben agreed that Ana decides about online purchases.
    let before = fixture.in_force("ana").await.list();
    let online = before.terms.iter().find(|term| term.scope().to_string() == "gate:online");
    let free = without(&before, online.unwrap().scope());
    assert_eq!(fixture.propose("ana", "ana", free).await.unwrap().next, ProposalStage::Started(2));
    fixture.world.check().await;
}

/// Amina's proposal is a week old, but Dee's cooling-off period begins with Dee's own answer.
async fn an_own_block_cools_from_the_persons_own_wish(database: TestDatabase) {
    let fixture = AgreementFixture::open(database).await;
    let before = fixture.in_force("dee").await;
    let lifted = without(&before.list(), &category("alcohol"));
    let proposed = fixture.propose("amina", "dee", lifted).await.unwrap();
    fixture.world.advance_clock((8 * 24).hours());
    let wish = fixture.answer("dee", "dee", proposed.proposal, ConsentAnswer::Yes).await.unwrap();
    let from = fixture.now().checked_add((7 * 24).hours()).unwrap();
    assert_eq!(wish.next, ProposalStage::CoolingOff(from));
    fixture.world.advance_clock((7 * 24).hours());
    assert_eq!(fixture.in_force("dee").await, before);
    let again = fixture.answer("dee", "dee", proposed.proposal, ConsentAnswer::Yes).await.unwrap();
    assert_eq!(again.next, ProposalStage::Started(2));
    fixture.world.check().await;
}

/// Dee proposed it, and has not confirmed: answers of others after the cooling-off period lift
/// nothing.
async fn an_own_block_is_lifted_by_nobody_elses_yes(database: TestDatabase) {
    let fixture = AgreementFixture::open(database).await;
    let before = fixture.in_force("dee").await;
    let list = with(
        &without(&before.list(), &category("alcohol")),
        term(category("phone"), TermAnswer::Yes),
    );
    let wish = fixture.propose("dee", "dee", list).await.unwrap();
    assert_eq!(wish.next, ProposalStage::AwaitingConsent([ConsentSide::Worker].into()));
    fixture.world.advance_clock((8 * 24).hours());
    let late = fixture.answer("amina", "dee", wish.proposal, ConsentAnswer::Yes).await.unwrap();
    assert!(matches!(late.next, ProposalStage::CoolingOff(_)), "{late:?}");
    assert_eq!(fixture.in_force("dee").await, before);
    assert_eq!(fixture.told("dee", "person").await.last().unwrap().0, "list-cools");
    let again = fixture.answer("dee", "dee", wish.proposal, ConsentAnswer::Yes).await.unwrap();
    assert_eq!(again.next, ProposalStage::Started(2));
    fixture.world.check().await;
}

async fn an_own_block_cools_and_nothing_starts_by_silence(database: TestDatabase) {
    let fixture = AgreementFixture::open(database).await;
    let before = fixture.in_force("dee").await;
    let at_a_bookmaker =
        |id: &str| Purchase { mcc: serde_json::json!("5921"), ..purchase(id, 5_00) };
    let lifted = without(&before.list(), &category("alcohol"));
    let wish = fixture.propose("dee", "dee", lifted).await.unwrap();
    let from = fixture.now().checked_add((7 * 24).hours()).unwrap();
    assert_eq!(wish.next, ProposalStage::CoolingOff(from));
    let told = fixture.told("dee", "person").await;
    assert_eq!(
        told.last().unwrap().1,
        "You chose to wait before this. You can say yes again from 8am on Mon 30 November. \
         Until then nothing changes."
    );
    fixture.world.advance_clock((7 * 24 - 1).hours().minutes(59).seconds(59));
    let early = fixture.answer("dee", "dee", wish.proposal, ConsentAnswer::Yes).await.unwrap();
    assert_eq!(early.next, ProposalStage::CoolingOff(from), "one second too early");
    assert!(is_not_allowed(
        &fixture.answer("amina", "dee", wish.proposal, ConsentAnswer::Yes).await
    ));
    fixture.world.advance_clock(25.hours());
    fixture.world.upkeep().await;
    assert_eq!(fixture.in_force("dee").await, before, "nothing starts by silence");
    assert!(!fixture.world.authorise(&at_a_bookmaker("A")).await.is_approved());
    let again = fixture.answer("dee", "dee", wish.proposal, ConsentAnswer::Yes).await.unwrap();
    assert_eq!(again.next, ProposalStage::Started(2));
    assert!(fixture.world.authorise(&at_a_bookmaker("B")).await.is_approved());
    fixture.world.check().await;
}

async fn a_worker_cannot_shorten_the_time_that_the_person_chose(database: TestDatabase) {
    let fixture = AgreementFixture::open(database).await;
    let before = fixture.in_force("dee").await;
    let shorter = TermDraft {
        decides: Decider::Person,
        cooling_days: Some(1),
        ..draft_of(category("alcohol"), TermAnswer::No)
    };
    let list = with(&before.list(), Term::new(shorter).unwrap());
    let proposed = fixture.propose("amina", "dee", list).await.unwrap();
    let agreed = fixture.answer("dee", "dee", proposed.proposal, ConsentAnswer::Yes).await.unwrap();
    assert!(matches!(agreed.next, ProposalStage::CoolingOff(_)), "{agreed:?}");
    assert_eq!(fixture.in_force("dee").await, before);
    fixture.world.advance_clock((7 * 24).hours());
    let agreed = fixture.answer("dee", "dee", proposed.proposal, ConsentAnswer::Yes).await.unwrap();
    assert_eq!(agreed.next, ProposalStage::Started(2));
    // She may choose a longer cooling-off period at once.
    let longer = TermDraft {
        decides: Decider::Person,
        cooling_days: Some(30),
        ..draft_of(category("alcohol"), TermAnswer::No)
    };
    let list = with(&fixture.in_force("dee").await.list(), Term::new(longer).unwrap());
    assert_eq!(fixture.propose("dee", "dee", list).await.unwrap().next, ProposalStage::Started(3));
    fixture.world.check().await;
}

/// A separate term for one shop would bypass the block on its category.
async fn a_shop_inside_an_own_block_is_part_of_it(database: TestDatabase) {
    let fixture = AgreementFixture::open(database).await;
    let before = fixture.in_force("dee").await;
    let shop = Scope::Shop(sayso::domain::shop::ShopKey::from_name("Wine Corner").unwrap());
    for answer in [TermAnswer::Yes, TermAnswer::No] {
        let list = with(&before.list(), term(shop.clone(), answer));
        let proposed = fixture.propose("dee", "dee", list).await.unwrap();
        assert_eq!(
            proposed.next,
            ProposalStage::AwaitingConsent([ConsentSide::Worker].into()),
            "{answer:?}"
        );
        let agreed =
            fixture.answer("amina", "dee", proposed.proposal, ConsentAnswer::Yes).await.unwrap();
        assert!(matches!(agreed.next, ProposalStage::CoolingOff(_)), "{answer:?}: {agreed:?}");
        fixture.withdraw("dee", "dee", proposed.proposal).await.unwrap();
    }
    // A term as strict as the block on the category is hers to set at once.
    let block = TermDraft {
        decides: Decider::Person,
        cooling_days: Some(7),
        ..draft_of(shop, TermAnswer::No)
    };
    let list = with(&before.list(), Term::new(block).unwrap());
    assert_eq!(fixture.propose("dee", "dee", list).await.unwrap().next, ProposalStage::Started(2));
    fixture.world.check().await;
}

async fn thinking_time_above_a_sum_is_the_persons_own(database: TestDatabase) {
    let fixture = AgreementFixture::open(database).await;
    let before = fixture.in_force("dee").await.list();
    let thinking = TermDraft {
        decides: Decider::Person,
        limits: vec![Limit::PerPurchase(gbp(50_00))],
        cooling_days: Some(2),
        reason: Some("I want to sleep on it.".to_owned()),
        ..draft_of(Scope::Everything, TermAnswer::Yes)
    };
    let list = with(&before, Term::new(thinking).unwrap());
    assert_eq!(fixture.propose("dee", "dee", list).await.unwrap().next, ProposalStage::Started(2));
    let telly = Purchase { mcc: serde_json::json!("5712"), ..purchase("Telly", 51_00) };
    assert_eq!(fixture.world.authorise(&telly).await.reason(), "over_purchase");
    // She lifts it alone, after the two days that she chose.
    let wish = fixture.propose("dee", "dee", before).await.unwrap();
    assert!(matches!(wish.next, ProposalStage::CoolingOff(_)), "{wish:?}");
    fixture.world.advance_clock(48.hours());
    let off = fixture.answer("dee", "dee", wish.proposal, ConsentAnswer::Yes).await.unwrap();
    assert_eq!(off.next, ProposalStage::Started(3));
    let telly = Purchase { id: "iauth_1Again".to_owned(), ..telly };
    assert!(fixture.world.authorise(&telly).await.is_approved());
    fixture.world.check().await;
}

async fn a_new_term_takes_no_say_from_the_worker(database: TestDatabase) {
    let fixture = AgreementFixture::open(database).await;
    let before = fixture.in_force("femi").await.list();
    // Everything else is agreed with a limit of £60 per purchase.
    let mine = TermDraft { decides: Decider::Person, ..draft_of(category("fun"), TermAnswer::No) };
    let list = with(&before, Term::new(mine.clone()).unwrap());
    assert_eq!(
        fixture.propose("femi", "femi", list.clone()).await.unwrap().next,
        ProposalStage::Started(2)
    );
    let free = Term::new(TermDraft { answer: TermAnswer::Yes, ..mine.clone() }).unwrap();
    let proposed = fixture.propose("femi", "femi", with(&list, free)).await.unwrap();
    assert_eq!(
        proposed.next,
        ProposalStage::AwaitingConsent([ConsentSide::Worker].into()),
        "more than was ever agreed"
    );
    fixture.withdraw("femi", "femi", proposed.proposal).await.unwrap();
    fixture.world.check().await;
}

async fn the_person_orders_the_pots(database: TestDatabase) {
    let fixture = AgreementFixture::open(database).await;
    let before = fixture.in_force("dee").await.list();
    let mut ordered = before.clone();
    ordered.pots.rotate_left(2); // the week pot first
    let proposed = fixture.propose("amina", "dee", ordered.clone()).await.unwrap();
    assert_eq!(
        proposed.next,
        ProposalStage::AwaitingConsent([ConsentSide::Person].into()),
        "a worker can propose it"
    );
    fixture.withdraw("amina", "dee", proposed.proposal).await.unwrap();
    assert_eq!(
        fixture.propose("dee", "dee", ordered).await.unwrap().next,
        ProposalStage::Started(2)
    );
    let vet = Purchase { mcc: serde_json::json!("0742"), ..purchase("Vet", 48_00) };
    assert!(fixture.world.authorise(&vet).await.is_approved());
    assert_eq!(fixture.world.pot("dee", "week", "held").await, 48_00);
    let mut renamed = fixture.in_force("dee").await.list();
    renamed.pots[0].only = Some(["food".parse().unwrap()].into());
    let proposed = fixture.propose("dee", "dee", renamed).await.unwrap();
    assert_eq!(
        proposed.next,
        ProposalStage::AwaitingConsent([ConsentSide::Worker].into()),
        "what a pot pays for is agreed"
    );
    fixture.world.check().await;
}

async fn how_much_help_is_the_persons_to_choose(database: TestDatabase) {
    let fixture = AgreementFixture::open(database).await;
    // Ana and Ben agreed on £35 a day, and Ana decides about it.
    let before = fixture.in_force("ana").await.list();
    let together =
        HelpLevel::Together { above: gbp(12_00), cooling_days: 1, review_on: date(2027, 3, 1) };
    let choose = async |who: &str, help: HelpLevel| {
        let acting = fixture.as_(who);
        let (words, session) = ("I want a second look.".to_owned(), a_session());
        fixture
            .run(async |tx| {
                choose_help(tx, fixture.context(), &acting, &id("ana"), help, words, session).await
            })
            .await
    };
    assert!(is_not_allowed(&choose("ben", together).await));
    assert_eq!(choose("ana", together).await.unwrap().next, ProposalStage::Started(2));
    let dear = Purchase { card: crate::world::ANA.to_owned(), ..purchase("Dear", 13_00) };
    assert_eq!(fixture.world.authorise(&dear).await.reason(), "over_purchase");
    let now = fixture.in_force("ana").await.list();
    assert_eq!(now.term(&Scope::Everything).unwrap().limits().len(), 2, "what was agreed stays");
    let wish = choose("ana", HelpLevel::Alone).await.unwrap();
    assert!(matches!(wish.next, ProposalStage::CoolingOff(_)), "{wish:?}");
    fixture.world.advance_clock(24.hours());
    let alone = fixture.answer("ana", "ana", wish.proposal, ConsentAnswer::Yes).await.unwrap();
    assert_eq!(alone.next, ProposalStage::Started(3));
    assert_eq!(fixture.in_force("ana").await.list(), before);
    fixture.world.check().await;
}

async fn an_own_wish_goes_on_when_something_else_starts(database: TestDatabase) {
    let fixture = AgreementFixture::open(database).await;
    let before = fixture.in_force("dee").await.list();
    let wish = without(&before, &category("alcohol"));
    let wish = fixture.propose("dee", "dee", wish).await.unwrap();
    let phone = with(&before, term(category("phone"), TermAnswer::Yes));
    let phone = fixture.propose("amina", "dee", phone).await.unwrap();
    fixture.answer("dee", "dee", phone.proposal, ConsentAnswer::Yes).await.unwrap();
    assert_eq!(fixture.state("dee", wish.proposal).await, ProposalState::Open);
    fixture.world.advance_clock((7 * 24).hours());
    let again = fixture.answer("dee", "dee", wish.proposal, ConsentAnswer::Yes).await.unwrap();
    assert_eq!(again.next, ProposalStage::Started(3));
    let now = fixture.in_force("dee").await.list();
    assert_eq!(now.term(&category("alcohol")), None);
    assert_eq!(now.term(&category("phone")).unwrap().answer(), TermAnswer::Yes, "both hold");
    assert!(fixture.world.authorise(&at_a_phone_shop("P", 5_00)).await.is_approved());
    // The same answer would now be about another list.
    let gone = fixture.answer("dee", "dee", wish.proposal, ConsentAnswer::Yes).await;
    assert!(is_conflict(&gone), "{gone:?}");
    fixture.world.check().await;
}
