//! Applies programme files over lists that people have changed since the last application.

use std::collections::BTreeSet;

use jiff::ToSpan as _;
use sayso::domain::agreement::proposal::{ConsentAnswer, ConsentSide};
use sayso::domain::agreement::{Scope, TermAnswer};
use sayso::programme::apply::{ApplyError, ApplyReport, PendingProposal, apply};
use sayso::programme::show::show;
use serde_json::{Value, json};

use super::fixture::{
    AgreementFixture, cash, category, peopled, riverside, term, weekly, with, with_a_garden,
};
use crate::support::TestDatabase;
use crate::world::{DEE, DEMO, Purchase, RULES, patient, purchase};

on_both_databases!(
    an_unchanged_file_takes_nothing_back,
    a_file_that_changes_what_was_changed_here_is_refused,
    what_is_shown_can_be_applied,
    a_new_start_list_is_not_about_those_who_have_their_own,
    a_file_asks_for_the_yes_of_two_people,
    a_no_to_a_file_leaves_the_list_as_it_is,
    a_talk_that_a_file_tells_of_counts_when_the_person_confirms_it,
    an_own_block_outlasts_a_file,
    one_change_of_a_file_waits_at_a_time,
    a_file_that_nobody_could_agree_to_is_refused,
    a_file_neither_stops_nor_starts_somebodys_card,
    a_file_takes_back_nothing_that_was_promised,
    a_pot_comes_at_once_and_what_it_pays_for_is_agreed,
    a_pot_and_a_change_in_one_file_come_one_after_the_other,
    a_stopped_card_works_again_by_no_way_round,
    a_permission_of_a_file_waits_as_long_as_an_own_block,
    an_amount_beyond_all_reason_stops_no_later_file,
    a_file_gives_a_person_no_second_voice,
    who_a_file_lets_near_a_person_is_told_to_them,
    a_shop_of_a_file_gets_no_tills_that_change_a_list,
    where_home_is_does_not_change_under_a_list,
    a_code_leaves_no_own_block_and_is_told_of_otherwise,
);

fn twenty_five() -> String {
    patient(DEMO)
        .replace("{ per = \"week\", amount = \"20.00\" }", "{ per = \"week\", amount = \"25.00\" }")
}

fn session() -> Value {
    json!({ "how": "own_phone", "place": "at home", "minutes": 3 })
}

fn yes() -> Value {
    json!({ "say": "yes", "session": session() })
}

impl AgreementFixture {
    async fn phone_is_fine(&self) {
        let list =
            with(&self.in_force("dee").await.list(), term(category("phone"), TermAnswer::Yes));
        let proposed = self.propose("amina", "dee", list).await.unwrap();
        self.answer("dee", "dee", proposed.proposal, ConsentAnswer::Yes).await.unwrap();
    }

    async fn try_apply(&self, file: &str) -> Result<usize, String> {
        self.applied(&peopled(file)).await.map(|applied| applied.agreements)
    }

    async fn applied(&self, file: &str) -> Result<ApplyReport, String> {
        match apply(self.store(), self.world.app.ids(), self.now(), file, RULES).await {
            Ok(applied) => Ok(applied),
            Err(ApplyError::Refused(refusals)) => Err(refusals.join("\n")),
            Err(error) => panic!("{error}"),
        }
    }

    /// Applies a file that changes one list, and returns the pending proposal.
    async fn wait_for(&self, file: &str) -> PendingProposal {
        let applied = self.applied(&peopled(file)).await.unwrap();
        assert_eq!((applied.agreements, applied.changed, applied.left.len()), (0, 1, 0));
        let [waiting] = applied.waiting.as_slice() else { panic!("{applied:?}") };
        waiting.clone()
    }
}

async fn an_unchanged_file_takes_nothing_back(database: TestDatabase) {
    let fixture = AgreementFixture::open(database).await;
    fixture.phone_is_fine().await;
    let agreed = fixture.in_force("dee").await;
    fixture.world.advance_clock(1.hour());
    assert_eq!(fixture.try_apply(&patient(DEMO)).await, Ok(0));
    assert_eq!(fixture.in_force("dee").await, agreed);
    // An additional load leaves Dee's list unchanged.
    let loaded = patient(DEMO).replace(
        "{ id = \"2026-11-23\", amount = \"60.00\" }]",
        "{ id = \"2026-11-23\", amount = \"60.00\" }, { id = \"2026-11-30\", amount = \"60.00\" }]",
    );
    assert_eq!(fixture.try_apply(&loaded).await, Ok(0));
    assert_eq!(fixture.in_force("dee").await, agreed);
    fixture.world.check().await;
}

async fn a_file_that_changes_what_was_changed_here_is_refused(database: TestDatabase) {
    let fixture = AgreementFixture::open(database).await;
    // The list is unchanged since the last application: the file's change waits for Dee.
    let waiting = fixture.wait_for(&twenty_five()).await;
    fixture.world.agree(std::slice::from_ref(&waiting)).await;
    fixture.phone_is_fine().await;
    let agreed = fixture.in_force("dee").await;
    let refused = fixture.try_apply(&patient(DEMO)).await.unwrap_err();
    assert!(refused.contains("person dee") && refused.contains("version 3"), "{refused}");
    assert!(refused.contains("sayso programme show riverside"), "{refused}");
    assert_eq!(fixture.in_force("dee").await, agreed);
    fixture.world.check().await;
}

async fn what_is_shown_can_be_applied(database: TestDatabase) {
    let fixture = AgreementFixture::open(database).await;
    fixture.phone_is_fine().await;
    let mut list = fixture.in_force("dee").await.list();
    list.pots.rotate_left(1);
    fixture.propose("dee", "dee", list).await.unwrap();
    let agreed = fixture.in_force("dee").await;
    let shown = show(fixture.store(), &riverside()).await.unwrap().unwrap();
    assert!(shown.contains("agreed_by = [\"Dee\"]"), "{shown}");
    assert_eq!(fixture.try_apply(&shown).await, Ok(0));
    assert_eq!(fixture.in_force("dee").await, agreed);
    // A changed export is a change of the list in force.
    let changed =
        shown.replace("per = \"week\", amount = \"20.00\"", "per = \"week\", amount = \"15.00\"");
    assert_ne!(changed, shown);
    let waiting = fixture.wait_for(&changed).await;
    assert_eq!(fixture.in_force("dee").await, agreed);
    fixture.world.agree(std::slice::from_ref(&waiting)).await;
    let now = fixture.in_force("dee").await;
    assert_eq!((now.version, now.list().pots), (agreed.version + 1, agreed.pots));
    assert_eq!(now.list().term(&category("phone")).unwrap().answer(), TermAnswer::Yes);
    fixture.world.check().await;
}

async fn a_new_start_list_is_not_about_those_who_have_their_own(database: TestDatabase) {
    let from = DEMO.find("[person.agreement]\nagreed_on = 2026-11-02").unwrap();
    let to = DEMO[from..].find("# ----").unwrap() + from;
    let without = patient(&format!("{}{}", &DEMO[..from], &DEMO[to..]));
    let fixture = AgreementFixture::open_with(database, &without).await;
    let start = fixture.in_force("femi").await;
    assert_eq!(start.how, "The programme's start list.");
    let other = without.replace("amount = \"40.00\" }]\nreason", "amount = \"45.00\" }]\nreason");
    assert_eq!(fixture.try_apply(&other).await, Ok(1), "it is about Femi, who has none");
    let own = with(&fixture.in_force("femi").await.list(), weekly(cash(), 10_00));
    fixture.propose("femi", "femi", own).await.unwrap();
    let own = fixture.in_force("femi").await;
    assert_eq!(fixture.try_apply(&without).await, Ok(0));
    assert_eq!(fixture.in_force("femi").await, own);
    fixture.world.check().await;
}

async fn a_file_asks_for_the_yes_of_two_people(database: TestDatabase) {
    let fixture = AgreementFixture::open(database).await;
    let before = fixture.in_force("dee").await;
    let waiting = fixture.wait_for(&twenty_five()).await;
    assert_eq!(waiting.sides, BTreeSet::from([ConsentSide::Person]));
    assert_eq!(fixture.in_force("dee").await, before, "nothing has changed");
    let shown = fixture.get("dee", &format!("/proposals/{}", waiting.proposal)).await;
    assert_eq!((&shown["state"], &shown["kind"]), (&json!("open"), &json!("together")));
    let told = fixture.told("dee", "person").await;
    assert!(told.iter().any(|(kind, _)| kind == "list-proposed"), "{told:?}");
    let told = fixture.told("dee", "worker").await;
    assert!(told.iter().any(|(kind, _)| kind == "worker-list-filed"), "{told:?}");
    // It starts neither by another application nor by another account of the worker's side.
    assert_eq!(fixture.try_apply(&twenty_five()).await, Ok(0));
    let address = format!("/proposals/{}/answer", waiting.proposal);
    for other in ["amina", "ruth", "dee-works"] {
        let answer = fixture.post(other, &address, yes()).await;
        assert!(answer.status >= 400, "{other}: {answer:?}");
    }
    assert_eq!(fixture.in_force("dee").await, before);
    fixture.world.agree(std::slice::from_ref(&waiting)).await;
    let now = fixture.in_force("dee").await;
    assert_eq!((now.version, now.agreed_by), (2, vec!["Dee".to_owned(), "Amina".to_owned()]));
    assert_eq!(now.terms.iter().find(|term| *term.scope() == cash()).unwrap().limits().len(), 1);
    // From here on the same file equals the list in force.
    assert_eq!(fixture.try_apply(&twenty_five()).await, Ok(0));
    fixture.world.check().await;
}

async fn a_no_to_a_file_leaves_the_list_as_it_is(database: TestDatabase) {
    let fixture = AgreementFixture::open(database).await;
    let before = fixture.in_force("dee").await;
    let waiting = fixture.wait_for(&twenty_five()).await;
    let no = json!({ "say": "no", "session": session() });
    let answer = fixture.post("dee", &format!("/proposals/{}/answer", waiting.proposal), no).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(fixture.in_force("dee").await, before);
    assert_eq!(fixture.try_apply(&twenty_five()).await, Ok(0), "it was asked");
    // Applied again with another file in between, the refusal still holds.
    assert_eq!(fixture.try_apply(&patient(DEMO)).await, Ok(0));
    let refused = fixture.try_apply(&twenty_five()).await.unwrap_err();
    assert!(refused.contains("there was a no"), "{refused}");
    assert_eq!(fixture.in_force("dee").await, before);
    fixture.world.check().await;
}

async fn a_talk_that_a_file_tells_of_counts_when_the_person_confirms_it(database: TestDatabase) {
    let fixture = AgreementFixture::open(database).await;
    let before = fixture.in_force("dee").await;
    let talked = twenty_five()
        .replace("agreed_on = 2026-11-16", "agreed_on = 2026-11-23")
        .replace("In the hostel office, 40 minutes", "On paper, at the kitchen table, 20 minutes");
    let waiting = fixture.wait_for(&talked).await;
    assert_eq!(fixture.in_force("dee").await, before, "it does not count yet");
    let told = fixture.told("dee", "person").await;
    assert!(told.iter().any(|(kind, _)| kind == "list-written-down"), "{told:?}");
    // Nobody else can confirm it for Dee.
    let address = format!("/proposals/{}/confirm", waiting.proposal);
    for other in ["amina", "ruth", "dee-works", "helen"] {
        let answer = fixture.post(other, &address, json!({})).await;
        assert!(answer.status >= 400, "{other}: {answer:?}");
    }
    assert_eq!(fixture.in_force("dee").await, before);
    let answer = fixture.post("dee", &address, json!({})).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let now = fixture.in_force("dee").await;
    assert_eq!(now.version, 2);
    assert!(now.how.contains("at the kitchen table"), "{}", now.how);
    fixture.world.check().await;
}

async fn an_own_block_outlasts_a_file(database: TestDatabase) {
    let fixture = AgreementFixture::open(database).await;
    let before = fixture.in_force("dee").await;
    let from = DEMO.find("[[person.agreement.term]]\non = { category = \"alcohol\" }").unwrap();
    let to = DEMO[from + 1..].find("[[person.agreement.term]]").unwrap() + from + 1;
    let lifted = patient(&format!("{}{}", &DEMO[..from], &DEMO[to..]));
    let waiting = fixture.wait_for(&lifted).await;
    fixture.world.agree(std::slice::from_ref(&waiting)).await;
    assert_eq!(fixture.in_force("dee").await, before, "Dee's own time to wait runs");
    fixture.world.advance_clock(169.hours());
    fixture.world.agree(std::slice::from_ref(&waiting)).await;
    assert_eq!(fixture.in_force("dee").await.version, 2);
    fixture.world.check().await;
}

async fn one_change_of_a_file_waits_at_a_time(database: TestDatabase) {
    let fixture = AgreementFixture::open(database).await;
    fixture.wait_for(&twenty_five()).await;
    let thirty = twenty_five().replace("amount = \"25.00\" }", "amount = \"30.00\" }");
    let refused = fixture.try_apply(&thirty).await.unwrap_err();
    assert!(refused.contains("is not what the file said last"), "{refused}");
    let list =
        with(&fixture.in_force("ana").await.list(), term(category("phone"), TermAnswer::Yes));
    fixture.propose("ben", "ana", list).await.unwrap();
    fixture.world.check().await;
}

async fn a_file_that_nobody_could_agree_to_is_refused(database: TestDatabase) {
    let fixture = AgreementFixture::open(database).await;
    let before = fixture.in_force("dee").await;
    let without = |id: &str| {
        let account = format!("[[member]]\nid = \"{id}\"");
        let ended = format!("[[member]]\nstate = \"ended\"\nid = \"{id}\"");
        peopled(&twenty_five()).replace(&account, &ended)
    };
    for (id, whose) in [("dee", "theirs"), ("amina", "their worker")] {
        let refused = fixture.applied(&without(id)).await;
        // Dee's other account has the worker role, but belongs to the same human being.
        let refused = refused.unwrap_err();
        assert!(refused.contains("the yes of two people"), "{whose}: {refused}");
    }
    assert_eq!(fixture.in_force("dee").await, before);
    fixture.world.check().await;
}

async fn a_file_neither_stops_nor_starts_somebodys_card(database: TestDatabase) {
    let fixture = AgreementFixture::open(database).await;
    let card = format!("token = \"{DEE}\"\nlast_four = \"5678\"\nstate = \"active\"");
    for (state, why) in [("frozen_by_staff", "by a pause"), ("frozen_by_person", "only the person")]
    {
        let stopped = patient(DEMO).replace(&card, &card.replace("active", state));
        let refused = fixture.try_apply(&stopped).await.unwrap_err();
        assert!(refused.contains("person dee") && refused.contains(why), "{refused}");
    }
    assert!(fixture.world.authorise(&purchase("Fine", 1_00)).await.is_approved());
    // She freezes the card herself. A file with the card active does not unfreeze it.
    let freeze = fixture.world.post_as("dee", "/v1/people/dee/freeze", &json!({})).await;
    assert_eq!(freeze.status, 200, "{freeze:?}");
    assert_eq!(fixture.try_apply(&patient(DEMO)).await, Ok(0));
    assert_eq!(fixture.world.authorise(&purchase("Frozen", 1_00)).await.reason(), "frozen_self");
    let frozen = patient(DEMO).replace(&card, &card.replace("active", "frozen_by_person"));
    assert_eq!(fixture.try_apply(&frozen).await, Ok(0));
    let refused = fixture.try_apply(&patient(DEMO)).await.unwrap_err();
    assert!(refused.contains("they alone start it again"), "{refused}");
    assert_eq!(fixture.world.authorise(&purchase("Still", 1_00)).await.reason(), "frozen_self");
    fixture.world.check().await;
}

async fn a_file_takes_back_nothing_that_was_promised(database: TestDatabase) {
    let fixture = AgreementFixture::open(database).await;
    let promise = |sum: &str| {
        let week = "allocated = \"3120.00\"";
        patient(DEMO).replace(week, &format!("allocated = \"{sum}\""))
    };
    let refused = fixture.try_apply(&promise("3119.99")).await.unwrap_err();
    assert!(refused.contains("was promised to them"), "{refused}");
    assert_eq!(fixture.world.pot("dee", "week", "allocated").await, 3_120_00);
    assert_eq!(fixture.try_apply(&promise("3120.01")).await, Ok(0));
    assert_eq!(fixture.world.pot("dee", "week", "allocated").await, 3_120_01);
    fixture.world.check().await;
}

async fn a_pot_comes_at_once_and_what_it_pays_for_is_agreed(database: TestDatabase) {
    let fixture = AgreementFixture::open(database).await;
    let terms = fixture.in_force("dee").await.terms;
    let more = with_a_garden(&patient(DEMO));
    assert_eq!(fixture.try_apply(&more).await, Ok(1));
    let now = fixture.in_force("dee").await;
    assert_eq!((now.version, now.pots.len(), &now.terms), (2, 5, &terms));
    let wider = more.replace("only = [\"pets\"]", "only = [\"pets\", \"fun\"]");
    let waiting = fixture.wait_for(&wider).await;
    assert_eq!(fixture.in_force("dee").await, now, "what a pot pays for is agreed");
    fixture.world.agree(std::slice::from_ref(&waiting)).await;
    assert_eq!(fixture.in_force("dee").await.version, 3);
    fixture.world.check().await;
}

async fn a_pot_and_a_change_in_one_file_come_one_after_the_other(database: TestDatabase) {
    let fixture = AgreementFixture::open(database).await;
    let before = fixture.in_force("dee").await;
    let both = with_a_garden(&twenty_five());
    let applied = fixture.applied(&peopled(&both)).await.unwrap();
    assert_eq!((applied.agreements, applied.waiting.len(), applied.left.len()), (1, 1, 0));
    let now = fixture.in_force("dee").await;
    assert_eq!((now.version, now.pots.len(), &now.terms), (2, 5, &before.terms));
    fixture.world.agree(&applied.waiting).await;
    let agreed = fixture.in_force("dee").await;
    assert_eq!((agreed.version, &agreed.pots), (3, &now.pots));
    assert_ne!(agreed.terms, before.terms);
    assert_eq!(fixture.try_apply(&both).await, Ok(0));
    fixture.world.check().await;
}

async fn a_stopped_card_works_again_by_no_way_round(database: TestDatabase) {
    let fixture = AgreementFixture::open(database).await;
    let card = format!("token = \"{DEE}\"\nlast_four = \"5678\"\nstate = \"active\"");
    let in_state = |state: &str| patient(DEMO).replace(&card, &card.replace("active", state));
    let freeze = fixture.world.post_as("dee", "/v1/people/dee/freeze", &json!({})).await;
    assert_eq!(freeze.status, 200, "{freeze:?}");
    for (stopped, reason) in
        [("replaced", "old_card"), ("expired", "expired"), ("lost", "card_lost")]
    {
        assert_eq!(fixture.try_apply(&in_state(stopped)).await, Ok(0), "{stopped}");
        for works in ["active", "not_started"] {
            let refused = fixture.try_apply(&in_state(works)).await.unwrap_err();
            assert!(refused.contains("never works again"), "{stopped}, {works}: {refused}");
        }
        assert_eq!(fixture.world.authorise(&purchase(stopped, 1_00)).await.reason(), reason);
    }
    fixture.world.check().await;
}

async fn a_permission_of_a_file_waits_as_long_as_an_own_block(database: TestDatabase) {
    let fixture = AgreementFixture::open(database).await;
    let femi = "[[person]]\nid = \"femi\"";
    let ok = format!(
        "[[person.permission]]\non = {{ category = \"alcohol\" }}\nup_to = \"9.00\"\nuses = 2\n\
         from = 2020-01-01T00:00:00Z\nends = 2027-01-01T00:00:00Z\n\n{femi}"
    );
    let file = patient(&DEMO.replacen(femi, &ok, 1));
    let bottles = |id: &str| Purchase { mcc: json!("5921"), ..purchase(id, 1_00) };
    assert_eq!(fixture.try_apply(&file).await, Ok(0));
    let given = format!("given_at = {}", fixture.now().as_microsecond());
    assert_eq!(fixture.world.count("permission", &given).await, 1, "not in 2020");
    assert!(!fixture.world.authorise(&bottles("Now")).await.is_approved());
    fixture.world.advance_clock(167.hours());
    // Another application does not begin the time again, and does not end it.
    let renamed = file.replace("name = \"Dee\"\nworker", "name = \"Dee D\"\nworker");
    assert_eq!(fixture.try_apply(&renamed).await, Ok(0));
    assert!(!fixture.world.authorise(&bottles("Almost")).await.is_approved());
    fixture.world.advance_clock(1.hour());
    assert!(fixture.world.authorise(&bottles("After")).await.is_approved());
    fixture.world.check().await;
}

async fn an_amount_beyond_all_reason_stops_no_later_file(database: TestDatabase) {
    let fixture = AgreementFixture::open(database).await;
    let more = with_a_garden(&patient(DEMO));
    let big = more.replace("allocated = \"50.00\"", "allocated = \"10000000000.01\"");
    assert_ne!(big, more);
    let big = peopled(&big);
    let done = apply(fixture.store(), fixture.world.app.ids(), fixture.now(), &big, RULES).await;
    assert!(matches!(done, Err(ApplyError::File(_))), "{done:?}");
    assert_eq!(fixture.world.count("application", "true").await, 0);
    assert_eq!(fixture.try_apply(&more).await, Ok(1));
    fixture.world.check().await;
}

async fn a_file_gives_a_person_no_second_voice(database: TestDatabase) {
    let fixture = AgreementFixture::open(database).await;
    let file = peopled(&patient(DEMO));
    let second = "\n[[member]]\nid = \"dee-two\"\nhuman = \"mallory\"\nname = \"Dee\"\n\
                  role = \"person\"\nperson = \"dee\"\n";
    let both = format!("{file}{second}");
    let done = apply(fixture.store(), fixture.world.app.ids(), fixture.now(), &both, RULES).await;
    assert!(matches!(done, Err(ApplyError::File(_))), "{done:?}");
    let account = "[[member]]\nid = \"dee\"";
    assert!(file.contains(account));
    let ended = file.replace(account, "[[member]]\nstate = \"ended\"\nid = \"dee\"");
    let refused = fixture.applied(&format!("{ended}{second}")).await.unwrap_err();
    assert!(refused.contains("member dee-two") && refused.contains("of its own"), "{refused}");
    fixture.applied(&ended).await.unwrap();
    fixture.applied(&format!("{ended}{second}")).await.unwrap();
    fixture.world.check().await;
}

async fn who_a_file_lets_near_a_person_is_told_to_them(database: TestDatabase) {
    let fixture = AgreementFixture::open(database).await;
    assert!(fixture.told("dee", "person").await.is_empty(), "a new person is told by a human");
    let file = peopled(&patient(DEMO));
    let account = "[[member]]\nid = \"dee\"";
    let ended = file.replace(account, "[[member]]\nstate = \"ended\"\nid = \"dee\"");
    let more = "\n[[member]]\nid = \"olga\"\nhuman = \"olga\"\nname = \"Olga\"\n\
                role = \"advocate\"\nperson = \"dee\"\nsees = [\"balance\"]\n";
    let own = "\n[[member]]\nid = \"dee-new\"\nhuman = \"someone\"\nname = \"Someone\"\n\
               role = \"person\"\nperson = \"dee\"\n";
    fixture.applied(&format!("{ended}{more}")).await.unwrap();
    // Added as ended, and made active by another file: it is told all the same.
    let asleep = own.replace("role = ", "state = \"ended\"\nrole = ");
    fixture.applied(&format!("{ended}{more}{asleep}")).await.unwrap();
    fixture.applied(&format!("{ended}{more}{own}")).await.unwrap();
    assert_eq!(
        fixture.told("dee", "person").await,
        [
            (
                "helper-filed".to_owned(),
                "We wrote down that Olga helps you. They see only what was ticked. Is this not \
                 right? Tell us."
                    .to_owned()
            ),
            (
                "account-filed".to_owned(),
                "There is a new way into your account, for Someone. Is that not you? Tell us at \
                 once."
                    .to_owned()
            ),
        ]
    );
    fixture.world.check().await;
}

async fn a_shop_of_a_file_gets_no_tills_that_change_a_list(database: TestDatabase) {
    let fixture = AgreementFixture::open(database).await;
    let shop = |name: &str, lines: &str| {
        let file = patient(DEMO);
        format!("{file}\n[[shop]]\nname = \"{name}\"\nprints = [{lines}]\n")
    };
    let stolen = shop("Theory Test Centre", "\"majestic cellar\"");
    let refused = fixture.try_apply(&stolen).await.unwrap_err();
    assert!(refused.contains("shop Theory Test Centre: femi agreed a term"), "{refused}");
    // An own shop that replaces a known one and keeps a part of its tills.
    let boots = fixture.programme().await.rules.shops().key_of("Boots").unwrap();
    let list = fixture.in_force("ana").await.list();
    let list = with(&list, term(Scope::Shop(boots), TermAnswer::Ask));
    let proposed = fixture.propose("ben", "ana", list).await.unwrap();
    fixture.answer("ana", "ana", proposed.proposal, ConsentAnswer::Yes).await.unwrap();
    let fewer = shop("Boots", "\"boots uk *\"");
    let refused = fixture.try_apply(&fewer).await.unwrap_err();
    assert!(refused.contains("shop Boots: ana agreed a term"), "{refused}");
    // Nobody agreed anything about this one.
    assert_eq!(fixture.try_apply(&shop("Corner Deli", "\"c deli lon\"")).await, Ok(0));
    fixture.world.check().await;
}

async fn where_home_is_does_not_change_under_a_list(database: TestDatabase) {
    let fixture = AgreementFixture::open(database).await;
    let abroad =
        patient(DEMO).replace("country = \"GB\"", "country = \"GB\"\nhome_countries = [\"FR\"]");
    let refused = fixture.try_apply(&abroad).await.unwrap_err();
    assert!(refused.contains("purchases abroad") && refused.contains("femi"), "{refused}");
    fixture.world.check().await;
}

async fn a_code_leaves_no_own_block_and_is_told_of_otherwise(database: TestDatabase) {
    // The cooling time makes Dee's term about alcohol an own block, whoever decides it.
    let by_both = DEMO.replace("decides = \"person\"\nown_block", "own_block");
    assert_ne!(by_both, DEMO);
    let fixture = AgreementFixture::open_with(database, &patient(&by_both)).await;
    let apply_with = async |rules: &str| {
        let file = peopled(&patient(&by_both));
        match apply(fixture.store(), fixture.world.app.ids(), fixture.now(), &file, rules).await {
            Ok(applied) => Ok(applied.changed),
            Err(ApplyError::Refused(refusals)) => Err(refusals.join("\n")),
            Err(error) => panic!("{error}"),
        }
    };
    let moved = |line: &str, to: &str| {
        let without = RULES.replace(&format!("  \"{line}\",\n"), "");
        let (before, after) = without.split_once(to).unwrap();
        format!("{before}{to}\n  \"{line}\",{after}")
    };
    let off_licence = moved("5921 Off-licences", "\ncodes = [");
    let refused = apply_with(&off_licence).await.unwrap_err();
    assert!(refused.contains("code 5921 (Off-licences) leaves alcohol, which dee"), "{refused}");
    // Dee has a term about phones, and no block of her own.
    let phones = moved("4812 Phone shops and handsets", "\ncodes = [");
    assert_ne!(phones, RULES);
    assert_eq!(apply_with(&phones).await, Ok(0));
    let told = fixture.told("dee", "person").await;
    let expected = "Phone shops and handsets: from now on this counts as another kind of shop on \
                    your list. Is that not right? Tell us.";
    assert_eq!(told, [("codes-moved".to_owned(), expected.to_owned())]);
    assert_eq!(apply_with(&phones).await, Ok(0));
    assert_eq!(fixture.told("dee", "person").await.len(), 1, "told once");
    fixture.world.check().await;
}
