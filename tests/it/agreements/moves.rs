//! Every move, and what comes of it.

use sayso::agreements::Next;
use sayso::domain::agreement::Answer;
use sayso::domain::proposal::{Said, Side, State};
use sayso::members::ActError;

use super::village::{Village, at_a_phone_shop, category, term, with};
use crate::support::TestDatabase;

on_both_databases!(the_second_yes_starts_the_next_version);

/// Dee has to ask for phone shops; Amina proposes that she does not; Dee says yes.
async fn the_second_yes_starts_the_next_version(database: TestDatabase) {
    let village = Village::open(database).await;
    let before = village.in_force("dee").await;
    assert!(!village.world.ask(&at_a_phone_shop("A", 10_00)).await.is_approved());

    let list = with(&before.list(), term(category("phone"), Answer::Yes));
    let proposed = village.propose("amina", "dee", list).await.unwrap();
    assert_eq!(proposed.next, Next::Waits([Side::Person].into()));
    assert_eq!(village.in_force("dee").await, before, "nothing has changed");
    assert!(!village.world.ask(&at_a_phone_shop("B", 10_00)).await.is_approved());
    let told = village.told("dee", "person").await;
    assert_eq!(told[0].0, "list-proposed");
    assert!(told[0].1.starts_with("Amina wants to change your list."), "{told:?}");

    let agreed = village.answer("dee", "dee", proposed.proposal, Said::Yes).await.unwrap();
    assert_eq!(agreed.next, Next::Started(before.version + 1));
    let now = village.in_force("dee").await;
    assert_eq!(now.agreed_by, ["Dee", "Amina"]);
    assert_eq!(
        now.how,
        "Dee, on their own page, the hostel office, 20 minutes, with a peer supporter. \
         Amina, on their own page, the hostel office, 20 minutes, with a peer supporter."
    );
    assert!(village.world.ask(&at_a_phone_shop("C", 10_00)).await.is_approved());
    assert_eq!(
        village.acts("dee").await,
        [("amina".into(), "list_proposed".into()), ("dee".into(), "list_started".into())]
    );
    let again = village.answer("dee", "dee", proposed.proposal, Said::No).await;
    assert!(matches!(again, Err(ActError::Conflict(_))), "{again:?}: {:?}", State::Agreed);
    village.world.check().await;
}
