//! A programme's file, and the lists that people have agreed since it was applied.

use jiff::ToSpan as _;
use sayso::domain::agreement::Answer;
use sayso::domain::proposal::Said;
use sayso::programme::apply::{ApplyError, apply};
use sayso::programme::show::show;

use super::village::{Village, cash, category, riverside, term, weekly, with};
use crate::support::TestDatabase;
use crate::world::{DEMO, RULES, patient};

on_both_databases!(
    an_unchanged_file_takes_nothing_back,
    a_file_that_changes_what_was_changed_here_is_refused,
    what_is_shown_can_be_applied,
    a_new_start_list_is_not_about_those_who_have_their_own,
);

impl Village {
    async fn phone_is_fine(&self) {
        let list = with(&self.in_force("dee").await.list(), term(category("phone"), Answer::Yes));
        let proposed = self.propose("amina", "dee", list).await.unwrap();
        self.answer("dee", "dee", proposed.proposal, Said::Yes).await.unwrap();
    }

    async fn try_apply(&self, file: &str) -> Result<usize, String> {
        let ids = self.world.app.ids();
        match apply(self.store(), ids, self.now(), file, RULES).await {
            Ok(applied) => Ok(applied.agreements),
            Err(ApplyError::Refused(refusals)) => Err(refusals.join("\n")),
            Err(error) => panic!("{error}"),
        }
    }
}

async fn an_unchanged_file_takes_nothing_back(database: TestDatabase) {
    let village = Village::open(database).await;
    village.phone_is_fine().await;
    let agreed = village.in_force("dee").await;
    village.world.pass(1.hour());
    assert_eq!(village.try_apply(&patient(DEMO)).await, Ok(0));
    assert_eq!(village.in_force("dee").await, agreed);
    // More money for Dee changes nothing about her list.
    let loaded = patient(DEMO).replace(
        "{ id = \"2026-11-23\", amount = \"60.00\" }]",
        "{ id = \"2026-11-23\", amount = \"60.00\" }, { id = \"2026-11-30\", amount = \"60.00\" }]",
    );
    assert_eq!(village.try_apply(&loaded).await, Ok(0));
    assert_eq!(village.in_force("dee").await, agreed);
    village.world.check().await;
}

async fn a_file_that_changes_what_was_changed_here_is_refused(database: TestDatabase) {
    let village = Village::open(database).await;
    // Nobody has changed anything here: the file changes the list.
    let twenty_five = patient(DEMO).replace(
        "{ per = \"week\", amount = \"20.00\" }",
        "{ per = \"week\", amount = \"25.00\" }",
    );
    assert_eq!(village.try_apply(&twenty_five).await, Ok(1));
    village.phone_is_fine().await;
    let agreed = village.in_force("dee").await;
    let refused = village.try_apply(&patient(DEMO)).await.unwrap_err();
    assert!(refused.contains("person dee") && refused.contains("version 3"), "{refused}");
    assert!(refused.contains("sayso programme show riverside"), "{refused}");
    assert_eq!(village.in_force("dee").await, agreed);
    village.world.check().await;
}

async fn what_is_shown_can_be_applied(database: TestDatabase) {
    let village = Village::open(database).await;
    village.phone_is_fine().await;
    let mut list = village.in_force("dee").await.list();
    list.pots.rotate_left(1);
    village.propose("dee", "dee", list).await.unwrap();
    let agreed = village.in_force("dee").await;
    let shown = show(village.store(), &riverside()).await.unwrap().unwrap();
    assert!(shown.contains("agreed_by = [\"Dee\"]"), "{shown}");
    assert_eq!(village.try_apply(&shown).await, Ok(0));
    assert_eq!(village.in_force("dee").await, agreed);
    // From there, a change of the file is a change of what is in force.
    let changed =
        shown.replace("per = \"week\", amount = \"20.00\"", "per = \"week\", amount = \"15.00\"");
    assert_ne!(changed, shown);
    assert_eq!(village.try_apply(&changed).await, Ok(1));
    let now = village.in_force("dee").await;
    assert_eq!((now.version, now.list().pots), (agreed.version + 1, agreed.pots));
    assert_eq!(now.list().term(&category("phone")).unwrap().answer(), Answer::Yes);
    village.world.check().await;
}

async fn a_new_start_list_is_not_about_those_who_have_their_own(database: TestDatabase) {
    let from = DEMO.find("[person.agreement]\nagreed_on = 2026-11-02").unwrap();
    let to = DEMO[from..].find("# ----").unwrap() + from;
    let without = patient(&format!("{}{}", &DEMO[..from], &DEMO[to..]));
    let village = Village::open_with(database, &without).await;
    let start = village.in_force("femi").await;
    assert_eq!(start.how, "The programme's start list.");
    let other = without.replace("amount = \"40.00\" }]\nreason", "amount = \"45.00\" }]\nreason");
    assert_eq!(village.try_apply(&other).await, Ok(1), "it is about Femi, who has none");
    let own = with(&village.in_force("femi").await.list(), weekly(cash(), 10_00));
    village.propose("femi", "femi", own).await.unwrap();
    let own = village.in_force("femi").await;
    assert_eq!(village.try_apply(&without).await, Ok(0));
    assert_eq!(village.in_force("femi").await, own);
    village.world.check().await;
}
