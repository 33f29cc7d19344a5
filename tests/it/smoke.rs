use std::time::Duration;

use sayso::clock::Clock;
use sayso::committer::{Committer, CommitterSettings};
use sayso::ids::NewIds;
use sayso::issuers::{Issuer, Origin};
use sayso::programme::apply::{apply, show};
use sayso::programme::directory::Directory;
use sayso::record::event::ReceivedEvent;
use sayso::store::{Connections, Store};

use crate::support::TestDatabase;

on_both_databases!(the_demo_programme_applies_and_decides);

async fn the_demo_programme_applies_and_decides(database: TestDatabase) {
    let store = Store::open(&database.url, Connections::default()).await.unwrap();
    let ids = NewIds::default();
    let (clock, _hand) = Clock::story("2026-11-23T08:30:00Z".parse().unwrap());
    let file = include_str!("../../merchant-rules/demo.toml");
    let rules = include_str!("../../merchant-rules/categories.toml");
    let applied = apply(&store, &ids, clock.now(), file, rules).await.unwrap();
    let again = apply(&store, &ids, clock.now(), file, rules).await.unwrap();
    assert_eq!(again.loads + again.agreements, 0);
    let shown = show(&store, &applied.programme).await.unwrap().unwrap();
    let third = apply(&store, &ids, clock.now(), &shown, rules).await.unwrap();
    assert_eq!((third.version, third.loads, third.agreements), (1, 0, 0));

    let directory = Directory::new(store.clone());
    directory.refresh(clock.now()).await.unwrap();
    let committer =
        Committer::start(&store, &directory, &clock, &ids, CommitterSettings::default());
    let vectors: serde_json::Value =
        serde_json::from_str(include_str!("../fixtures/stripe/vectors.json")).unwrap();
    let body = vectors["vectors"][0]["body"].as_str().unwrap();
    let body = body.replace("ic_1TestCard00000000001", "ic_1DemoDee00000000001");
    let connection = directory.connection(&"riverside-stripe".parse().unwrap()).unwrap();
    let origin =
        Origin { programme: connection.programme.clone(), connection: connection.id.clone() };
    for _ in 0..2 {
        let request = Issuer::Stripe.decode_authorisation(&origin, body.as_bytes()).unwrap();
        let deadline = tokio::time::Instant::now() + Duration::from_secs(2);
        let _told = committer.authorise(request, clock.now(), deadline).await;
    }
    for vector in vectors["vectors"].as_array().unwrap() {
        let id = vector["id"].as_str().unwrap();
        if id.starts_with("evt-") {
            let body = vector["body"].as_str().unwrap();
            let body = body.replace("ic_1TestCard00000000001", "ic_1DemoDee00000000001");
            let event = ReceivedEvent {
                programme: origin.programme.clone(),
                connection: origin.connection.clone(),
                event: Issuer::Stripe.decode_event(body.as_bytes()).unwrap(),
                text: body.clone(),
                received_at: clock.now(),
            };
            committer.book(event).await.unwrap();
        }
    }
    assert!(committer.health().is_ready);
    committer.stop().await;
}
