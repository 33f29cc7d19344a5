//! Declined, asked for, granted and paid, and everything that must not result from it.

use jiff::ToSpan as _;
use sayso::domain::agreement::Scope;
use sayso::domain::ask::{
    AskKind, AskRefusalReason, AskReply, AskState, EscalationStep, GrantScope,
};
use sayso::domain::people::role::Role;
use sayso::people::asks::{AskRequest, AskTarget};
use sayso::people::members::UseCaseError;

use super::town::{AskFixture, NOT_NOW, YES, handset, is_conflict, is_not_allowed, latest};
use crate::support::TestDatabase;
use crate::values::{category, gbp};
use crate::world::{DEMO, Purchase, patient, purchase};

on_both_databases!(
    a_yes_pays_the_next_try_at_every_gateway,
    a_yes_can_be_less_or_reach_further_or_last_longer,
    not_this_time_has_a_reason_and_a_name,
    an_idea_is_a_note_and_a_talk_has_a_time,
    nobody_answers_their_own_ask,
    own_limits_and_links_go_to_the_manager,
    the_first_answer_counts_and_the_second_is_told,
    what_no_ok_can_lift_cannot_be_asked_for,
    a_rule_of_the_funder_about_anything_that_the_shop_sells_forbids_a_yes,
    three_asks_may_wait_and_one_can_be_taken_back,
    food_at_a_fuel_station_is_ok_at_once,
    no_rule_lifts_what_the_person_set_on_themselves,
    a_block_of_ones_own_cools_first,
    somebody_who_has_left_answers_no_more,
    a_permission_that_ended_or_was_used_pays_nothing,
);

async fn a_yes_pays_the_next_try_at_every_gateway(database: TestDatabase) {
    let town = AskFixture::open(database).await;
    let other = town.world.another().await;
    let refused = town.refused("First").await;
    let ask = town.ask().await;
    assert_eq!(ask.decision.unwrap().to_string(), refused.decision());
    assert_eq!((ask.amount, ask.place.as_deref()), (gbp(79_00), Some("PHONE PLACE")));
    assert_eq!((ask.state, ask.step), (AskState::Sent, EscalationStep::Worker));
    assert_eq!(town.see("amina", ask.id).await.unwrap().state, AskState::Seen);
    let answered = town.answer("amina", ask.id, YES).await;
    assert_eq!((answered.state, answered.step), (AskState::Yes, EscalationStep::Decided));

    let paid = town.world.caller_of(&other).authorise(&handset("Second")).await;
    assert!(paid.is_approved(), "{paid:?}");
    let again = town.world.authorise(&handset("Third")).await;
    assert_eq!(again.reason(), "ok_held");
    assert_eq!(town.world.pot("dee", "moving-in", "held").await, 79_00);
    let told = town.told().await;
    let told: Vec<_> = told.iter().map(|(to, kind, _)| (to.as_str(), kind.as_str())).collect();
    assert_eq!(
        told,
        [
            ("person", "not_paid"),
            ("person", "ask-sent"),
            ("worker", "worker-waiting"),
            ("person", "ask-yes"),
            ("person", "not_paid"),
        ]
    );
    assert!(town.told().await[3].2.starts_with("Amina said yes. You can spend up to £79."));
    let acts = town.acts().await;
    let acts: Vec<_> = acts.iter().map(|(who, what)| (who.as_str(), what.as_str())).collect();
    assert_eq!(acts, [("dee", "asked"), ("amina", "saw"), ("amina", "answered")]);
    other.stop().await;
    town.world.check().await;
}

async fn a_yes_can_be_less_or_reach_further_or_last_longer(database: TestDatabase) {
    let town = AskFixture::open(database).await;
    town.refused("First").await;
    let ask = town.ask().await;
    let too_much =
        AskReply::Yes { up_to: Some(gbp(80_00)), reach: GrantScope::Place, ends_at: None };
    let refused = town.try_answer("amina", ask.id, too_much).await;
    assert!(matches!(refused, Err(UseCaseError::Invalid { field: "up_to", .. })), "{refused:?}");
    let ends_at = Some(town.world.now() + jiff::SignedDuration::from_hours(24 * 32));
    let too_long = AskReply::Yes { up_to: None, reach: GrantScope::Place, ends_at };
    assert!(town.try_answer("amina", ask.id, too_long).await.is_err());
    let ends_at = Some(town.world.now() + jiff::SignedDuration::from_hours(72));
    let less = AskReply::Yes { up_to: Some(gbp(60_00)), reach: GrantScope::Group, ends_at };
    assert_eq!(town.answer("amina", ask.id, less).await.state, AskState::YesLess);
    town.world.advance_clock(71.hours());
    let elsewhere = Purchase { shop: "ANOTHER PHONE SHOP".to_owned(), ..handset("Second") };
    assert_eq!(town.world.authorise(&elsewhere).await.reason(), "ok_small");
    let cheaper = Purchase { id: "iauth_1Third".to_owned(), amount: 60_00, ..elsewhere };
    assert!(town.world.authorise(&cheaper).await.is_approved());
    town.world.check().await;
}

async fn not_this_time_has_a_reason_and_a_name(database: TestDatabase) {
    let town = AskFixture::open(database).await;
    town.refused("First").await;
    let ask = town.ask().await;
    let no = town.answer("amina", ask.id, NOT_NOW).await;
    let answer = no.answer.unwrap();
    assert_eq!(answer.reason, Some(AskRefusalReason::Purpose));
    assert_eq!(answer.by.unwrap().member.as_str(), "amina");
    let told = town.told().await;
    let (to, kind, body) = told.last().unwrap();
    assert_eq!((to.as_str(), kind.as_str()), ("person", "ask-not-this-time"));
    assert!(body.starts_with("Amina said not this time. Your money here is for other things."));
    assert_eq!(town.world.authorise(&handset("Second")).await.reason(), "category_ask");
    // The database enforces this too.
    let mut connection = town.world.database.connect().await;
    for sql in ["UPDATE ask SET reason = NULL", "UPDATE ask SET answered_by = NULL"] {
        assert!(sqlx::query(sql).execute(&mut connection).await.is_err(), "{sql}");
    }
    town.world.check().await;
}

async fn an_idea_is_a_note_and_a_talk_has_a_time(database: TestDatabase) {
    let town = AskFixture::open(database).await;
    town.refused("First").await;
    let ask = town.ask().await;
    town.suggest("amina", ask.id, "There is one second-hand for £30.").await;
    assert_eq!(town.now(ask.id).await, ask, "an idea changes nothing");
    let told = town.told().await;
    assert!(told.last().unwrap().2.contains("There is one second-hand for £30."), "{told:?}");
    let at = town.world.now() + jiff::SignedDuration::from_hours(8);
    let talk = town.answer("amina", ask.id, AskReply::TalkFirst { by: at }).await;
    assert_eq!((talk.state, talk.answer_by), (AskState::TalkFirst, at));
    let late = AskReply::TalkFirst { by: talk.decide_by + jiff::SignedDuration::from_secs(1) };
    assert!(town.try_answer("amina", ask.id, late).await.is_err());
    town.answer("amina", ask.id, YES).await;
    assert!(town.world.authorise(&handset("Second")).await.is_approved());
    town.world.check().await;
}

async fn nobody_answers_their_own_ask(database: TestDatabase) {
    let town = AskFixture::open(database).await;
    // The same human being also has a worker's account.
    town.put("deborah", Role::Worker, |member| {
        member.human = "dee".parse().unwrap();
        member.worker = Some("amina".parse().unwrap());
    })
    .await;
    town.refused("First").await;
    let ask = town.ask().await;
    for who in ["dee", "deborah"] {
        let own = town.try_answer(who, ask.id, YES).await;
        assert!(is_not_allowed(&own), "{who}: {own:?}");
    }
    assert!(
        town.try_authorise("deborah", &latest(GrantScope::Place)).await.is_err(),
        "only Dee asks"
    );
    let elsewhere = town.try_answer("ben", ask.id, YES).await;
    assert!(matches!(elsewhere, Err(UseCaseError::NotFound(_))), "{elsewhere:?}");
    assert_eq!(town.world.authorise(&handset("Second")).await.reason(), "category_ask");
    town.world.check().await;
}

async fn own_limits_and_links_go_to_the_manager(database: TestDatabase) {
    let town = AskFixture::open(database).await;
    town.put("amina", Role::Worker, |amina| amina.answer_limit_minor = Some(50_00)).await;
    town.refused("First").await;
    let ask = town.ask().await;
    assert!(is_not_allowed(&town.try_answer("amina", ask.id, YES).await));
    let passed = town.pass_on("amina", ask.id).await.unwrap();
    assert_eq!(
        (passed.step, passed.answer_by),
        (EscalationStep::Manager, ask.answer_by),
        "it runs on"
    );
    assert_eq!(town.pass_on("amina", ask.id).await.unwrap(), passed);
    town.answer("ruth", ask.id, YES).await;
    assert!(town.world.authorise(&handset("Second")).await.is_approved());

    town.put("amina", Role::Worker, |amina| amina.conflicts = vec!["dee".parse().unwrap()]).await;
    town.world.authorise(&handset("Third")).await;
    let ask = town.ask().await;
    for reply in [YES, NOT_NOW] {
        assert!(is_not_allowed(&town.try_answer("amina", ask.id, reply).await));
    }
    town.pass_on("amina", ask.id).await.unwrap();
    town.world.check().await;
}

async fn the_first_answer_counts_and_the_second_is_told(database: TestDatabase) {
    let town = AskFixture::open(database).await;
    town.refused("First").await;
    let ask = town.ask().await;
    let first = town.answer("amina", ask.id, YES).await;
    assert_eq!(town.answer("amina", ask.id, YES).await, first, "sent twice, it is one answer");
    let second = town.try_answer("ruth", ask.id, NOT_NOW).await;
    assert!(is_conflict(&second));
    assert_eq!(second.unwrap_err().to_string(), "Amina was first: yes");
    assert_eq!(town.world.count("permission", "true").await, 1);

    // Two concurrent answers.
    town.world.authorise(&handset("Second")).await;
    town.refused_again("Third").await;
    let ask = town.ask().await;
    let answers = tokio::join!(
        town.answer_until_done("amina", ask.id, YES),
        town.answer_until_done("ruth", ask.id, NOT_NOW),
    );
    let counted = usize::from(answers.0.is_ok()) + usize::from(answers.1.is_ok());
    assert_eq!(counted, 1, "{answers:?}");
    town.world.check().await;
}

async fn what_no_ok_can_lift_cannot_be_asked_for(database: TestDatabase) {
    let town = AskFixture::open(database).await;
    let betting = Purchase { mcc: "7995".into(), shop: "BETS".to_owned(), ..purchase("B", 5_00) };
    let answer = town.world.authorise(&betting).await;
    assert_eq!(answer.reason(), "funder_rule");
    let refused = town.try_authorise("dee", &latest(GrantScope::Place)).await.unwrap_err();
    assert!(refused.to_string().contains("It is the funder's rule, not Amina's."), "{refused}");
    let group = AskRequest {
        about: AskTarget::Group { category: category("gambling") },
        up_to: Some(gbp(5_00)),
        ..latest(GrantScope::Place)
    };
    assert!(town.try_authorise("dee", &group).await.is_err());
    let much = purchase("Much", 9_000_00);
    assert_eq!(town.world.authorise(&much).await.reason(), "no_money");
    let refused = town.try_authorise("dee", &latest(GrantScope::Place)).await.unwrap_err();
    assert!(refused.to_string().contains("does not add money"), "{refused}");
    assert_eq!(town.world.count("ask", "true").await, 0);
    town.world.check().await;
}

/// A duty-free shop counts as a big shop, and also sells alcohol and tobacco.
async fn a_rule_of_the_funder_about_anything_that_the_shop_sells_forbids_a_yes(
    database: TestDatabase,
) {
    let town = AskFixture::open(database).await;
    let shop = "DUTY FREE".to_owned();
    let duty_free = Purchase { mcc: "5309".into(), shop, ..purchase("Scent", 20_00) };
    assert_eq!(town.world.authorise(&duty_free).await.reason(), "category_off");
    let asked = town.ask().await;
    let barred = r#"never = ["gambling", "tobacco"]"#;
    let file = patient(DEMO).replacen(r#"never = ["gambling"]"#, barred, 1);
    let duty = ["omar", "lena"].map(|name| {
        format!("[[member]]\nid = {name:?}\nhuman = {name:?}\nname = {name:?}\nrole = \"duty\"")
    });
    town.world.apply(&format!("{file}\n{}", duty.join("\n"))).await;
    let refused = town.try_answer("amina", asked.id, YES).await.unwrap_err();
    assert!(refused.to_string().contains("no money of this person may ever buy"), "{refused}");
    let law = AskReply::NotThisTime(AskRefusalReason::Law);
    assert_eq!(town.answer("amina", asked.id, law).await.state, AskState::NotThisTime);
    let refused = town.try_authorise("dee", &latest(GrantScope::Place)).await.unwrap_err();
    assert!(refused.to_string().contains("It is the funder's rule, not Amina's."), "{refused}");
    // What is known by its name only may be anything, so it can be asked for.
    let named = AskRequest {
        about: AskTarget::Shop { name: "Duty Free".to_owned() },
        up_to: Some(gbp(20_00)),
        ..latest(GrantScope::Place)
    };
    assert_eq!(town.try_authorise("dee", &named).await.unwrap().category, None);
    town.world.check().await;
}

async fn three_asks_may_wait_and_one_can_be_taken_back(database: TestDatabase) {
    let town = AskFixture::open(database).await;
    let wish = |name: &str| AskRequest {
        about: AskTarget::Shop { name: name.to_owned() },
        up_to: Some(gbp(20_00)),
        words: Some("For my sister.".to_owned()),
        ..latest(GrantScope::Place)
    };
    let mut asked = Vec::new();
    for name in ["One Shop", "Two Shop", "Red Shop"] {
        asked.push(town.try_authorise("dee", &wish(name)).await.unwrap());
    }
    assert_eq!(
        town.try_authorise("dee", &wish("One Shop")).await.unwrap(),
        asked[0],
        "the same ask"
    );
    let fourth = town.try_authorise("dee", &wish("Four Shop")).await;
    assert!(is_conflict(&fourth));
    for _ in 0..2 {
        assert_eq!(town.take_back(asked[0].id).await.unwrap().state, AskState::TakenBack);
    }
    assert!(is_conflict(&town.try_answer("amina", asked[0].id, YES).await));
    town.try_authorise("dee", &wish("Four Shop")).await.unwrap();
    town.answer("amina", asked[1].id, YES).await;
    assert!(is_conflict(&town.take_back(asked[1].id).await), "a yes that was told stays");
    town.world.check().await;
}

fn sandwich(name: &str, amount: i64) -> Purchase {
    Purchase { mcc: "5541".into(), shop: "PETROL".to_owned(), ..purchase(name, amount) }
}

async fn food_at_a_fuel_station_is_ok_at_once(database: TestDatabase) {
    let fixed = DEMO.find("# Dee texted SHOP once").unwrap();
    let after = DEMO.find("[[person.agreement.term]]\non = \"cash\"").unwrap();
    let file = format!("{}{}", &DEMO[..fixed], &DEMO[after..]);
    let town = AskFixture::open_with(database, &patient(&file)).await;
    assert_eq!(town.world.authorise(&sandwich("One", 3_80)).await.reason(), "category_ask");
    let shop = AskRequest { kind: AskKind::WrongGroup, ..latest(GrantScope::Place) };
    let ask = town.try_authorise("dee", &shop).await.unwrap();
    assert_eq!((ask.state, &ask.scope), (AskState::Yes, &Scope::Code("5541".parse().unwrap())));
    assert!(ask.answer.unwrap().review_on.is_some());
    for name in ["Two", "Tre"] {
        assert!(town.world.authorise(&sandwich(name, 3_80)).await.is_approved());
    }
    assert_eq!(town.world.authorise(&sandwich("Four", 10_01)).await.reason(), "ok_small");
    let more = town.try_authorise("dee", &shop).await.unwrap();
    assert_eq!(more.state, AskState::Sent, "above the sum, somebody looks");
    let told = town.told().await;
    assert!(told.iter().any(|(to, kind, _)| to == "worker" && kind == "worker-shop-fixed"));
    // The rule answers once, until two people have reviewed it.
    let small = AskRequest { up_to: Some(gbp(9_00)), ..shop };
    assert_eq!(town.try_authorise("dee", &small).await.unwrap().state, AskState::Sent);
    town.world.advance_clock((15 * 24).hours());
    let later = AskRequest { up_to: Some(gbp(8_00)), ..small };
    assert_eq!(town.try_authorise("dee", &later).await.unwrap().state, AskState::Yes);
    town.world.check().await;
}

/// The programme's rule is not a person's consent: a fuel station that the person blocked for
/// themselves stays blocked, regardless of when the rule answered.
async fn no_rule_lifts_what_the_person_set_on_themselves(database: TestDatabase) {
    let own = "[[person.agreement.term]]\non = { code = \"5541\" }\nanswer = \"no\"\n\
               decides = \"person\"\nreason = \"I do not want to.\"\nreview_on = 2027-05-01\n\
               own_block = { cooling_days = 1 }\n\n";
    let fixed = DEMO.find("# Dee texted SHOP once").unwrap();
    let after = DEMO.find("[[person.agreement.term]]\non = \"cash\"").unwrap();
    let file = format!("{}{own}{}", &DEMO[..fixed], &DEMO[after..]);
    let town = AskFixture::open_with(database, &patient(&file)).await;
    assert!(!town.world.authorise(&sandwich("One", 3_80)).await.is_approved());
    let shop = AskRequest { kind: AskKind::WrongGroup, ..latest(GrantScope::Place) };
    assert_eq!(town.try_authorise("dee", &shop).await.unwrap().state, AskState::Sent);
    // A permission that the rule gave before the block existed.
    let by_rule = sayso::domain::ask::permission::Permission {
        id: sayso::domain::id::PermissionId::new(town.world.app.ids().next(town.world.now())),
        scope: Scope::Code("5541".parse().unwrap()),
        cap: gbp(10_00),
        uses_left: 14,
        given_at: town.world.now(),
        ends_at: town.world.now().checked_add((14 * 24).hours()).unwrap(),
        grantor: sayso::domain::ask::permission::Grantor::Programme,
        uses: Some(sayso::domain::ask::permission::PermissionUsage::none(gbp(1).currency())),
    };
    let (programme, budget) = ("riverside".parse().unwrap(), "dee".parse().unwrap());
    let mut tx = town.world.app.store().begin().await.unwrap();
    tx.add_permission(&programme, &budget, &by_rule).await.unwrap();
    tx.commit().await.unwrap();
    town.world.advance_clock((3 * 24).hours());
    assert!(!town.world.authorise(&sandwich("Two", 3_80)).await.is_approved());
    town.world.check().await;
}

async fn a_block_of_ones_own_cools_first(database: TestDatabase) {
    let town = AskFixture::open(database).await;
    let beer =
        Purchase { mcc: "5921".into(), shop: "OFFLICENCE".to_owned(), ..purchase("A", 8_00) };
    assert_eq!(town.world.authorise(&beer).await.reason(), "category_off");
    let ask = town.ask().await;
    town.answer("amina", ask.id, YES).await;
    let told = town.told().await;
    assert!(told.last().unwrap().2.contains("You chose to wait first."), "{told:?}");
    let again = |id: &str| Purchase { id: format!("iauth_1{id}"), ..beer.clone() };
    assert_eq!(town.world.authorise(&again("B")).await.reason(), "category_off");
    town.world.advance_clock((7 * 24 - 1).hours());
    assert_eq!(town.world.authorise(&again("C")).await.reason(), "category_off");
    town.world.advance_clock(1.hours());
    assert!(town.world.authorise(&again("D")).await.is_approved());
    town.world.check().await;
}

async fn somebody_who_has_left_answers_no_more(database: TestDatabase) {
    let town = AskFixture::open(database).await;
    town.refused("First").await;
    let ask = town.ask().await;
    town.put("amina", Role::Worker, |amina| {
        amina.state = sayso::domain::people::role::MemberState::Ended;
    })
    .await;
    let left = town.try_answer("amina", ask.id, YES).await;
    assert!(matches!(left, Err(UseCaseError::NotFound(_))), "{left:?}");
    let not_on_duty = town.try_answer("omar", ask.id, YES).await;
    assert!(matches!(not_on_duty, Err(UseCaseError::NotFound(_))), "{not_on_duty:?}");
    assert_eq!(town.world.authorise(&handset("Second")).await.reason(), "category_ask");
    // In an emergency the account on duty answers, with a review on the next working day.
    town.on_duty("omar", 8, None).await;
    let yes = town.answer("omar", ask.id, YES).await;
    assert_eq!(yes.answer.unwrap().review_on, Some(jiff::civil::date(2026, 11, 24)));
    assert!(town.world.authorise(&handset("Third")).await.is_approved());
    town.world.check().await;
}

/// The state of the locked budget decides, whatever the committer prefetched.
async fn a_permission_that_ended_or_was_used_pays_nothing(database: TestDatabase) {
    let town = AskFixture::open(database).await;
    let other = town.world.another().await;
    town.refused("First").await;
    let ask = town.ask().await;
    town.answer("amina", ask.id, YES).await;
    // One permission and two concurrent requests at two gateways.
    let tills =
        [(town.world.caller(), handset("Here")), (town.world.caller_of(&other), handset("There"))];
    let answers = crate::caller::authorise_concurrently(tills).await;
    let paid: Vec<_> = answers.iter().map(|(answer, _)| answer.is_approved()).collect();
    assert!(paid[0] != paid[1], "{answers:?}");
    // A reversal makes the permission available again until it ends.
    let held = if paid[0] { handset("Here") } else { handset("There") };
    town.world.send_event(&held.created(town.world.now(), 79_00)).await;
    town.world.advance_clock(1.hours());
    town.world.send_event(&held.over(town.world.now(), "reversed")).await;
    town.world.advance_clock(47.hours());
    assert_eq!(town.world.authorise(&handset("Late")).await.reason(), "ok_over");
    other.stop().await;
    town.world.check().await;
}
