//! A busy day through the real code: files applied, authorisations decided, events booked, seals
//! made.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use sayso::card_path::authorise::{ReceivedAuthorisation, withdraw};
use sayso::card_path::committer::{Committer, CommitterSettings};
use sayso::domain::agreement::proposal::{ConsentAnswer, ConsentChannel, ConsentSession};
use sayso::domain::decision::authorisation::{
    AuthorisationRequest, PartialApproval, Presence, PurchaseKind,
};
use sayso::domain::id::{ProgrammeId, SealId};
use sayso::domain::money::Money;
use sayso::domain::purchase::position::{MessageKind, MessagePosition};
use sayso::domain::purchase::presentment::{
    AuthorisationSnapshot, AuthorisationStatus, EventBody, IssuerEvent, Presentment,
    PresentmentDirection, PurchaseReport,
};
use sayso::domain::shop::merchant::{Mcc, Merchant};
use sayso::finance::seal;
use sayso::ledger::record::event::ReceivedEvent;
use sayso::people::agreements::{ProposalAnswerRequest, ProposalChange, change_proposal};
use sayso::people::members::Principal;
use sayso::people::members::UseCaseContext;
use sayso::people::pots::{HoldBackRequest, NewGoal, PotChange, change, move_money, open_goal};
use sayso::platform::clock::{Clock, ClockControl};
use sayso::platform::ids::NewIds;
use sayso::programme::apply::{PendingProposal, apply};
use sayso::programme::directory::Directory;
use sayso::store::Store;

use crate::support::TestDatabase;
use crate::values::pot;

pub(super) const PROGRAMME: &str = "riverside";
const RULES: &str = include_str!("../../../merchant-rules/categories.toml");
const ANA: &str = "card_ana";
const BOB: &str = "card_bob";

pub(super) fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn file(programme: &str, most: &str, loads: &str) -> String {
    include_str!("programme.toml")
        .replace("{programme}", programme)
        .replace("{most}", most)
        .replace("{loads}", loads)
}

/// A programme after its day, with nothing running any more.
pub(super) struct Story {
    pub(super) store: Store,
    ids: NewIds,
    directory: Directory,
    clock: Clock,
    clock_control: ClockControl,
    messages: std::cell::Cell<u32>,
}

impl Story {
    pub(super) async fn play(database: &TestDatabase) -> Self {
        let store = database.store().await;
        let (clock, clock_control) = Clock::manual(at("2026-11-23T09:00:00Z"));
        let directory = Directory::new(store.clone());
        let messages = std::cell::Cell::new(0);
        let day = Self { store, ids: NewIds::default(), directory, clock, clock_control, messages };
        let start = r#"{ id = "start", amount = "60.00" }"#;
        day.apply(&file(PROGRAMME, "400.00", start)).await;
        let settings = CommitterSettings::default();
        let committer =
            Committer::start(&day.store, &day.directory, &day.clock, &day.ids, settings);
        day.morning(&committer).await;
        day.seal(1).await;

        day.clock_control.set(at("2026-11-24T10:00:00Z"));
        let more = format!(r#"{start}, {{ id = "second", amount = "200.00" }}"#);
        let waiting = day.apply(&file(PROGRAMME, "450.00", &more)).await;
        day.agree(&waiting[0]).await;
        day.afternoon(&committer).await;
        day.seal(2).await;
        committer.stop().await;
        day
    }

    /// Holds, partial captures and captures above the hold, refunds with and without their
    /// purchase.
    async fn morning(&self, committer: &Committer) {
        self.ask(committer, ANA, "food-1", 12_50, 0).await;
        self.snapshot(committer, ANA, "food-1", AuthorisationStatus::Open { total: pounds(12_50) })
            .await;
        self.present(committer, ANA, "food-1", PresentmentDirection::Capture, 10_00).await;
        self.snapshot(
            committer,
            ANA,
            "food-1",
            AuthorisationStatus::Closed { claimed: pounds(10_00) },
        )
        .await;
        self.ask(committer, ANA, "meal-1", 40_00, 0).await;
        self.present(committer, ANA, "meal-1", PresentmentDirection::Capture, 46_00).await;
        self.present(committer, ANA, "meal-1", PresentmentDirection::Refund, 6_50).await;
        self.ask(committer, ANA, "cash-1", 20_00, 5_00).await;
        self.present(committer, ANA, "late-1", PresentmentDirection::Refund, 7_00).await;
        self.ask(committer, ANA, "much-1", 900_00, 0).await;
        self.ask(committer, "card_nobody", "lost-1", 9_00, 0).await;
        self.present(committer, "card_nobody", "lost-2", PresentmentDirection::Capture, 9_00).await;
        self.ask(committer, BOB, "food-2", 15_00, 0).await;
        self.present(committer, BOB, "food-2", PresentmentDirection::Capture, 70_00).await;
        self.present(committer, BOB, "food-2", PresentmentDirection::Refund, 31_00).await;
        self.other(committer).await;
    }

    /// A new version of the agreement, more money, a withdrawal, and open holds.
    async fn afternoon(&self, committer: &Committer) {
        self.ask(committer, ANA, "food-3", 30_00, 0).await;
        self.withdraw("food-3").await;
        self.ask(committer, ANA, "food-4", 25_00, 3_00).await;
        self.snapshot(committer, ANA, "food-4", AuthorisationStatus::Open { total: pounds(20_00) })
            .await;
        self.present(committer, ANA, "late-1", PresentmentDirection::Capture, 4_00).await;
        self.present(committer, ANA, "cash-1", PresentmentDirection::Capture, 8_00).await;
        self.ask(committer, BOB, "food-5", 1_00, 0).await;
        self.steer().await;
        self.ask(committer, ANA, "open-1", 11_00, 0).await;
        self.snapshot(committer, ANA, "gone-1", AuthorisationStatus::Reversed).await;
    }

    /// Ana holds money back, and transfers some into a pot of her own, which then pays.
    async fn steer(&self) {
        let member = "ana".parse().unwrap();
        let programme = PROGRAMME.parse().unwrap();
        let (principal, ana) =
            (Principal { programme, member, at: self.clock.now() }, "ana".parse().unwrap());
        let context = UseCaseContext { directory: &self.directory, ids: &self.ids };
        let [week, own] = ["week", "own-1"].map(pot);
        let boots = NewGoal { of: week.clone(), name: "Boots".to_owned(), sum: Some(40_00) };
        let later = HoldBackRequest { amount: 5_00, until: None, cooling_days: 7 };
        let mut tx = self.store.begin().await.unwrap();
        open_goal(&mut tx, context, &principal, &ana, &boots).await.unwrap();
        move_money(&mut tx, context, &principal, &ana, (&week, &own), 30_00).await.unwrap();
        move_money(&mut tx, context, &principal, &ana, (&own, &week), 10_00).await.unwrap();
        for (pot, made) in [(&own, PotChange::SetPaying(true)), (&week, PotChange::HoldBack(later))]
        {
            change(&mut tx, context, &principal, &ana, pot, made).await.unwrap();
        }
        tx.commit().await.unwrap();
    }

    pub(super) async fn apply_another(&self, programme: &str) {
        self.apply(&file(programme, "400.00", "")).await;
    }

    async fn apply(&self, file: &str) -> Vec<PendingProposal> {
        let applied = apply(&self.store, &self.ids, self.clock.now(), file, RULES).await.unwrap();
        self.directory.refresh(self.clock.now()).await.unwrap();
        applied.waiting
    }

    /// Ana consents to a file's change of her list.
    async fn agree(&self, waiting: &PendingProposal) {
        let programme = PROGRAMME.parse().unwrap();
        let principal =
            Principal { programme, member: "ana".parse().unwrap(), at: self.clock.now() };
        let committer = UseCaseContext { directory: &self.directory, ids: &self.ids };
        let place = "at home".to_owned();
        let session = ConsentSession {
            how: ConsentChannel::OwnPhone,
            place,
            minutes: 3,
            present: String::new(),
        };
        let yes = ProposalAnswerRequest {
            said: ConsentAnswer::Yes,
            parts: None,
            session,
            words: String::new(),
        };
        let mut tx = self.store.begin().await.unwrap();
        let (person, answer) = (&waiting.person, ProposalChange::Answer(yes));
        change_proposal(&mut tx, committer, &principal, person, waiting.proposal, answer)
            .await
            .unwrap();
        tx.commit().await.unwrap();
    }

    async fn seal(&self, number: u128) {
        let id = SealId::new(uuid::Uuid::from_u128(number));
        let programme: ProgrammeId = PROGRAMME.parse().unwrap();
        seal(&self.store, &programme, id, self.clock.now()).await.unwrap();
    }

    async fn ask(&self, committer: &Committer, card: &str, purchase: &str, minor: i64, back: i64) {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
        let request = request(card, purchase, minor, back);
        committer.authorise(request, self.clock.now(), deadline).await;
    }

    async fn withdraw(&self, purchase: &str) {
        let request = Arc::new(request(ANA, purchase, 1, 0));
        let late = ReceivedAuthorisation { request, arrived_at: self.clock.now() };
        let mut tx = self.store.begin().await.unwrap();
        withdraw(&mut tx, &self.directory, &self.ids, self.clock.now(), &[late]).await.unwrap();
        tx.commit().await.unwrap();
    }

    async fn snapshot(
        &self,
        committer: &Committer,
        card: &str,
        purchase: &str,
        status: AuthorisationStatus,
    ) {
        let position = MessagePosition {
            at: self.clock.now(),
            kind: MessageKind::Updated,
            answers: 1,
            listed: 0,
            over: u8::from(!matches!(status, AuthorisationStatus::Open { .. })),
            reference: "evt".parse().unwrap(),
        };
        let purchase = purchase.parse().unwrap();
        let (about, answers) = (about(card), Vec::new());
        let report = AuthorisationSnapshot { purchase, about, status, position, answers };
        self.book(committer, EventBody::Snapshot(Box::new(report))).await;
    }

    async fn present(
        &self,
        committer: &Committer,
        card: &str,
        purchase: &str,
        direction: PresentmentDirection,
        minor: i64,
    ) {
        let presentment = Presentment {
            reference: format!("ipi_{}", self.messages.get()).parse().unwrap(),
            purchase: Some(purchase.parse().unwrap()),
            about: about(card),
            direction,
            amount: pounds(minor),
            releases: None,
        };
        self.book(committer, EventBody::Presentment(Box::new(presentment))).await;
    }

    async fn other(&self, committer: &Committer) {
        self.book(committer, EventBody::Other).await;
    }

    async fn book(&self, committer: &Committer, body: EventBody) {
        let number = self.messages.get();
        self.messages.set(number + 1);
        let event = IssuerEvent {
            reference: format!("evt_{number}").parse().unwrap(),
            kind: "a.kind".to_owned(),
            body,
        };
        let received = ReceivedEvent {
            programme: PROGRAMME.parse().unwrap(),
            connection: "riverside-stripe".parse().unwrap(),
            event,
            text: format!("{{\"number\":{number},\"shop\":\"Corner Café\"}}"),
            received_at: self.clock.now(),
        };
        committer.book(received).await.unwrap();
    }
}

fn about(card: &str) -> PurchaseReport {
    PurchaseReport {
        card: card.parse().unwrap(),
        kind: PurchaseKind::Purchase,
        presence: Presence::InPerson,
        cash_back: pounds(0),
        atm_fee: pounds(0),
        merchant_currency: None,
        merchant_amount: None,
        merchant: shop(),
        bought_at: None,
    }
}

fn shop() -> Merchant {
    Merchant::new(Some(Mcc::parse("5411").unwrap()), "Corner Café")
        .in_city("London")
        .in_country("GB")
}

fn pounds(minor: i64) -> Money {
    Money::from_minor(minor, "GBP".parse().unwrap())
}

fn request(card: &str, purchase: &str, minor: i64, back: i64) -> AuthorisationRequest {
    let amount = pounds(minor);
    // Purchases that stay open are priced in euros.
    let is_abroad = purchase.starts_with("open");
    let euros = Money::from_minor(minor, "EUR".parse().unwrap());
    AuthorisationRequest {
        programme: PROGRAMME.parse().unwrap(),
        connection: "riverside-stripe".parse().unwrap(),
        reference: format!("{purchase}/0").parse().unwrap(),
        purchase: purchase.parse().unwrap(),
        sequence: 0,
        card: card.parse().unwrap(),
        amount,
        bought_at: None,
        cash_back: pounds(back),
        atm_fee: pounds(0),
        has_unread_price: false,
        transaction_amount: if is_abroad { euros } else { amount },
        kind: PurchaseKind::Purchase,
        presence: Presence::InPerson,
        partial: PartialApproval::NotAllowed,
        merchant: shop(),
    }
}
