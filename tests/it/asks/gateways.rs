//! A grant takes effect at once at a gateway that did not process it: 1,000 of 1,000 times.

use std::collections::BTreeMap;
use std::sync::Arc;

use sayso::domain::ask::{AskKind, GrantScope};
use sayso::domain::id::PersonId;
use sayso::domain::people::role::{Member, MemberState, Role};
use sayso::people::asks;
use sayso::people::asks::{AskAnswerRequest, AskChange, AskRequest, AskTarget};
use sayso::people::members::UseCaseContext;
use sayso::people::members::UseCaseError;
use sayso::platform::clock::Clock;
use sayso::platform::ids::NewIds;
use sayso::programme::directory::Directory;
use sayso::store::Store;
use tokio::sync::Semaphore;

use super::town::{YES, acting};
use crate::programme_text::ProgrammeText;
use crate::scenarios::gateway::{GatewayProcess, count, prepare, prove};
use crate::support::{DatabaseKind, TestDatabase};
use crate::world::{Purchase, purchase};

on_both_databases!(a_yes_works_at_once_at_the_other_gateway);

const PEOPLE: usize = 50;

/// People with "ask first" for phone shops.
fn people() -> String {
    let mut text = ProgrammeText::demo_settings();
    for number in 0..PEOPLE {
        text.person(&format!("person{number}"), &format!("Person {number}"))
            .card(&format!("ic_1Asks{number}"), "0000")
            .pot("week", "homes", "1000000.00")
            .agreement()
            .term(PHONE_SHOPS)
            .yes_to_everything_else();
    }
    text.as_str().to_owned()
}

const PHONE_SHOPS: &str = r#"on = { category = "phone" }
answer = "ask"
reason = "Agreed together."
review_on = 2027-02-16"#;

async fn accounts(store: &Store) {
    let account = |id: String, role: Role| Member {
        id: id.parse().unwrap(),
        human: id.parse().unwrap(),
        name: id.clone(),
        role,
        person: (role == Role::Person).then(|| id.parse().unwrap()),
        sees: Vec::new(),
        worker: (role == Role::Worker).then(|| id.parse().unwrap()),
        answer_limit_minor: None,
        conflicts: Vec::new(),
        state: MemberState::Active,
    };
    let people = (0..PEOPLE).map(|number| account(format!("person{number}"), Role::Person));
    let members: Vec<_> = people.chain([account("amina".to_owned(), Role::Worker)]).collect();
    let mut tx = store.begin().await.unwrap();
    tx.put_members(&"riverside".parse().unwrap(), &members).await.unwrap();
    tx.commit().await.unwrap();
}

/// Asks for the latest purchase and grants it, in this process, which is not a gateway.
async fn ask_and_answer(store: &Store, person: &str) -> Result<(), UseCaseError> {
    let (directory, ids) = (Directory::new(store.clone()), NewIds::default());
    let context = UseCaseContext { directory: &directory, ids: &ids };
    let id: PersonId = person.parse().unwrap();
    let now = Clock::system().now();
    let wish = AskRequest {
        kind: AskKind::OneTime,
        about: AskTarget::Decline { decision: None, reach: GrantScope::Place },
        up_to: None,
        words: None,
    };
    let mut tx = store.begin().await?;
    let ask = asks::ask(&mut tx, context, &acting(person, now), &id, &wish).await?;
    let answer = AskChange::Answer(AskAnswerRequest { reply: YES, words: None });
    asks::change(&mut tx, context, &acting("amina", now), &id, ask.id, &answer).await?;
    tx.commit().await?;
    Ok(())
}

async fn a_yes_works_at_once_at_the_other_gateway(database: TestDatabase) {
    // SQLite allows one gateway only, so fewer rounds suffice.
    let rounds = if database.kind == DatabaseKind::Postgres { 20 } else { 2 };
    let store = prepare(&database, &people()).await;
    accounts(&store).await;
    let mut gateways = vec![GatewayProcess::start(&database).await];
    if database.kind == DatabaseKind::Postgres {
        gateways.push(GatewayProcess::start(&database).await);
    }
    let (here, there) = (gateways[0].caller(), gateways[gateways.len() - 1].caller());
    let places = Arc::new(Semaphore::new(20));
    let mut shopping = Vec::new();
    for person in 0..PEOPLE {
        let (here, there, places) = (here.clone(), there.clone(), Arc::clone(&places));
        let store = store.clone();
        shopping.push(tokio::spawn(async move {
            let _place = places.acquire().await.unwrap();
            let mut seen = BTreeMap::new();
            for round in 0..rounds {
                let buy = |side: &str| Purchase {
                    card: format!("ic_1Asks{person}"),
                    mcc: "4812".into(),
                    shop: "PHONE PLACE".to_owned(),
                    ..purchase(&format!("P{person}R{round}{side}"), 79_00)
                };
                let refused = here.authorise(&buy("Refused")).await;
                *seen.entry(refused.reason()).or_insert(0) += 1;
                loop {
                    match ask_and_answer(&store, &format!("person{person}")).await {
                        Ok(()) => break,
                        Err(UseCaseError::Store(error)) if error.is_transient() => {}
                        Err(error) => panic!("{error}"),
                    }
                }
                let paid = there.authorise(&buy("Paid")).await;
                assert!(paid.is_approved(), "person {person}, round {round}: {paid:?}");
            }
            seen
        }));
    }
    let mut refused = 0;
    for person in shopping {
        let seen = person.await.unwrap();
        assert!(seen.keys().all(|why| ["category_ask", "ok_held"].contains(&why.as_str())));
        refused += seen.values().sum::<i64>();
    }
    let all = i64::try_from(PEOPLE * rounds).unwrap();
    assert_eq!(refused, all);
    assert_eq!(count(&database, "decision WHERE outcome = 'approved'").await, all);
    assert_eq!(count(&database, "permission WHERE uses_left = 0").await, all);
    drop(gateways);
    prove(&store).await;
    store.close().await;
}
