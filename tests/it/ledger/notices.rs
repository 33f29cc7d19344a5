//! The notifications of a purchase after its response, and its resulting state: in order, and the
//! same in every order.

use sayso::domain::purchase::dispute::{DisputeOutcome, DisputeReport};
use sayso::domain::purchase::issuer_decline::{IssuerDecline, IssuerDeclineReason};
use sayso::domain::purchase::notice::{NoticeContext, PurchaseNotice, notices};
use sayso::domain::purchase::presentment::AuthorisationStatus;
use sayso::domain::purchase::state::{PurchaseState, RecordedAnswer, state_of};
use sayso::domain::purchase::{ApprovedIncrement, IncrementState, Purchase};

use super::{BookFixture, a_purchase, closed, open, report, word};
use crate::values::gbp;

/// One purchase, with all notifications about it so far.
struct LifeFixture {
    fixture: BookFixture,
    heard: Vec<PurchaseNotice>,
    asked: u32,
    is_card_stopped: bool,
}

const NAME: &str = "p";

impl LifeFixture {
    fn new() -> Self {
        let mut fixture = BookFixture::new(&[("week", 300_00)]);
        fixture.add(NAME);
        Self { fixture, heard: Vec::new(), asked: 0, is_card_stopped: false }
    }

    /// Applies an event in words; `second` is the issuer's timestamp.
    fn happens(&mut self, said: &str, second: i64) {
        let (verb, rest) = said.split_once(' ').unwrap_or((said, "0"));
        let minor = rest.parse::<i64>().unwrap() * 100;
        let before = self.fixture.purchase(NAME).clone();
        let answers = self.asked;
        let event = format!("evt_{second}");
        let hear = |life: &mut Self, status| {
            life.fixture.hear(NAME, word(status, second, answers, &event));
        };
        let mut refused = Vec::new();
        match verb {
            "ask" => {
                self.fixture.approve(NAME, self.asked, minor);
                self.asked += 1;
                return;
            }
            "open" => hear(self, open(gbp(minor))),
            "closed" => hear(self, closed(minor)),
            "reversed" => hear(self, AuthorisationStatus::Reversed),
            "expired" => hear(self, AuthorisationStatus::Expired),
            "declined" => {
                let was_approved_by_us = self.asked > 0;
                let why = IssuerDeclineReason::Mismatch;
                refused.push(IssuerDecline { asked: gbp(minor), why, was_approved_by_us });
                let answers = self.asked.max(1);
                self.fixture
                    .hear(NAME, word(AuthorisationStatus::Declined, second, answers, &event));
            }
            "capture" => drop(self.fixture.capture(NAME, minor)),
            "refund" => drop(self.fixture.refund(NAME, minor)),
            "disputed" => self.dispute(DisputeOutcome::Open, minor, second),
            "won" => self.dispute(DisputeOutcome::Won, minor, second),
            "lost" => self.dispute(DisputeOutcome::Lost, minor, second),
            "silence" => self.fixture.expire(40),
            "euro" => drop(self.fixture.apply_merchant_currency(NAME)),
            _ => panic!("{said}"),
        }
        let around = NoticeContext { refused: &refused, is_card_stopped: self.is_card_stopped };
        let heard = notices(&before, self.fixture.purchase(NAME), around).unwrap();
        self.heard.extend(heard);
    }

    fn dispute(&mut self, outcome: DisputeOutcome, minor: i64, second: i64) {
        let event = format!("evt_{second}");
        self.fixture.dispute(NAME, &report((outcome, None), minor, second, &event));
    }

    fn state(&self) -> PurchaseState {
        let answers = vec![RecordedAnswer::Approved; usize::try_from(self.asked).unwrap()];
        state_of(&answers, Some(self.fixture.purchase(NAME))).unwrap()
    }
}

fn lived(said: &str) -> LifeFixture {
    let mut life = LifeFixture::new();
    for (second, said) in (0..).zip(said.split(", ")) {
        life.happens(said, second);
    }
    life
}

#[test]
fn what_is_usual_stays_silent_and_the_rest_is_told_once() {
    use PurchaseNotice as N;
    use PurchaseState as S;
    let p = |pounds: i64| gbp(pounds * 100);
    let lives: [(&str, Vec<N>, S); 27] = [
        ("ask 20", vec![], S::Held),
        ("ask 20, open 20, capture 20, closed 20", vec![], S::Paid),
        ("ask 20, open 20, ask 5, open 25, capture 25, closed 25", vec![], S::Paid),
        ("ask 60, open 60, capture 20, capture 25, capture 15, closed 60", vec![], S::Paid),
        ("ask 60, open 60, capture 20", vec![], S::Paid),
        ("ask 20, open 12", vec![N::Lowered { keeps: p(12), freed: p(8) }], S::Lowered),
        ("ask 20, open 20, reversed", vec![N::GivenBack { freed: p(20) }], S::GivenBack),
        ("ask 20, open 20, expired", vec![N::HoldExpired { freed: p(20) }], S::Expired),
        ("ask 20, open 20, silence", vec![N::HoldExpired { freed: p(20) }], S::Expired),
        (
            "ask 50, open 50, capture 20, reversed",
            vec![N::CapturedLess { took: p(20), freed: p(30) }],
            S::Paid,
        ),
        (
            "ask 100, open 100, capture 35, closed 35",
            vec![N::CapturedLess { took: p(35), freed: p(65) }],
            S::Paid,
        ),
        (
            "ask 20, open 20, capture 24, closed 24",
            vec![N::CapturedMore { took: p(24), asked: p(20) }],
            S::Paid,
        ),
        (
            "ask 20, open 20, capture 20, closed 20, capture 20",
            vec![N::PaidAfterAll { took: p(20) }],
            S::Paid,
        ),
        (
            "ask 20, open 20, expired, capture 20",
            vec![N::HoldExpired { freed: p(20) }, N::PaidAfterAll { took: p(20) }],
            S::Paid,
        ),
        (
            "ask 20, open 20, reversed, open 18",
            vec![N::GivenBack { freed: p(20) }, N::Kept { amount: p(18) }],
            S::Lowered,
        ),
        ("open 20", vec![N::HeldWithoutApproval { amount: p(20) }], S::ApprovedWithoutUs),
        (
            "open 20, capture 12, capture 8, closed 20",
            vec![N::HeldWithoutApproval { amount: p(20) }],
            S::ApprovedWithoutUs,
        ),
        ("capture 20", vec![N::PaidAfterAll { took: p(20) }], S::ApprovedWithoutUs),
        ("ask 20, open 20, open 55", vec![N::HeldWithoutApproval { amount: p(35) }], S::Held),
        (
            "ask 20, open 20, capture 20, refund 5",
            vec![N::MoneyBack { amount: p(5) }],
            S::PartlyGivenBack,
        ),
        (
            "ask 20, open 20, capture 20, refund 5, refund 15",
            vec![N::MoneyBack { amount: p(5) }, N::MoneyBack { amount: p(15) }],
            S::GivenBack,
        ),
        ("refund 20", vec![N::RefundUnmatched { amount: p(20) }], S::RefundWithoutPurchase),
        (
            "ask 20, open 20, capture 20, disputed 20, won 20",
            vec![N::DisputeOpened { amount: p(20) }, N::DisputeWon { amount: p(20) }],
            S::Won,
        ),
        (
            "ask 20, open 20, capture 20, disputed 20, lost 20",
            vec![N::DisputeOpened { amount: p(20) }, N::DisputeLost { amount: p(20) }],
            S::Lost,
        ),
        (
            "ask 20, open 20, capture 20, disputed 20",
            vec![N::DisputeOpened { amount: p(20) }],
            S::Disputed,
        ),
        (
            "declined 20",
            vec![N::RefusedByIssuer(IssuerDecline {
                asked: p(20),
                why: IssuerDeclineReason::Mismatch,
                was_approved_by_us: false,
            })],
            S::NotPaid,
        ),
        (
            "ask 20, declined 20",
            vec![N::RefusedByIssuer(IssuerDecline {
                asked: p(20),
                why: IssuerDeclineReason::Mismatch,
                was_approved_by_us: true,
            })],
            S::NotPaid,
        ),
    ];
    for (said, heard, state) in lives {
        let life = lived(said);
        assert_eq!((life.heard.clone(), life.state()), (heard, state), "{said}");
    }
}

#[test]
fn a_card_that_is_stopped_and_paid_with_is_told_as_that_unless_we_had_said_yes() {
    for (said, is_told) in [("capture 20", true), ("open 20", true), ("ask 20, capture 20", false)]
    {
        let mut life = LifeFixture::new();
        for (second, said) in (0..).zip(said.split(", ")) {
            life.is_card_stopped = said != "ask 20";
            life.happens(said, second);
        }
        let stopped = PurchaseNotice::StoppedCardPaid { amount: gbp(20_00) };
        assert_eq!(life.heard, if is_told { vec![stopped] } else { vec![] }, "{said}");
        assert!(life.heard.iter().all(PurchaseNotice::is_for_duty));
    }
}

/// The margin of 7 % explains an exchange rate change without a notification; beyond that there is
/// one.
#[test]
fn a_claim_at_another_rate_is_no_news() {
    assert_eq!(lived("ask 20, euro, open 20, capture 21, closed 21").heard, []);
    assert_eq!(lived("ask 20, euro, open 20, capture 19, closed 19").heard, []);
    assert_eq!(lived("ask 20, euro, open 20, capture 22, closed 22").heard.len(), 1);
}

/// Messages in any order, some of them twice: no notification is repeated, and the state is the
/// same.
#[test]
fn no_order_tells_anything_twice() {
    for said in [
        "open 20, capture 20, closed 20",
        "open 20, open 12, capture 12",
        "open 50, capture 20, reversed",
        "open 60, capture 20, capture 25, closed 45",
        "open 20, capture 20, refund 5",
        "open 20, capture 20, disputed 20, won 20",
        "open 20, expired, capture 20",
    ] {
        let said: Vec<_> = (1..).zip(said.split(", ")).collect();
        let mut ends = Vec::new();
        for order in orders(&said) {
            let mut life = LifeFixture::new();
            let asked = said.iter().map(|(_, said)| said).find(|said| said.starts_with("open"));
            life.happens(&asked.unwrap().replace("open", "ask"), 0);
            for (second, said) in &order {
                life.happens(said, *second);
                let is_snapshot = ["open", "closed", "reversed", "expired", "disputed", "won"];
                // A message that is not a presentment may be repeated.
                if is_snapshot.iter().any(|word| said.starts_with(word)) {
                    life.happens(said, *second);
                }
            }
            let mut told = life.heard.clone();
            told.dedup();
            for (n, one) in life.heard.iter().enumerate() {
                assert!(!life.heard[..n].contains(one), "{order:?}: {:?}", life.heard);
            }
            ends.push((life.state(), order));
        }
        assert!(ends.iter().all(|(state, _)| *state == ends[0].0), "{ends:#?}");
    }
}

fn orders<T: Clone>(items: &[T]) -> Vec<Vec<T>> {
    let Some((first, rest)) = items.split_first() else { return vec![vec![]] };
    let mut all = Vec::new();
    for order in orders(rest) {
        for at in 0..=order.len() {
            let mut order = order.clone();
            order.insert(at, first.clone());
            all.push(order);
        }
    }
    all
}

/// The state follows from the responses alone where no message arrived.
#[test]
fn answers_alone_say_how_it_stands() {
    use PurchaseState as S;
    use RecordedAnswer as A;
    for (answers, state) in [
        (vec![A::Declined], S::NotPaid),
        (vec![A::Declined, A::Declined], S::NotPaid),
        (vec![A::Checked], S::Checked),
        (vec![A::Withdrawn], S::TakenBack),
        (vec![A::Withdrawn, A::Declined], S::NotPaid),
    ] {
        assert_eq!(state_of(&answers, None), Ok(state), "{answers:?}");
    }
    let told = |status: AuthorisationStatus, answers: &[RecordedAnswer]| {
        let purchase = Purchase { snapshot: Some(word(status, 1, 1, "evt_1")), ..a_purchase(NAME) };
        state_of(answers, Some(&purchase)).unwrap()
    };
    assert_eq!(told(AuthorisationStatus::Declined, &[A::Declined]), S::NotPaid);
    assert_eq!(told(open(gbp(0)), &[A::Checked]), S::Checked);
    assert_eq!(told(closed(0), &[A::Checked]), S::Checked);
    assert_eq!(told(closed(0), &[A::Declined]), S::NotPaid);
    let withdrawn = {
        let mut fixture = BookFixture::new(&[("week", 50_00)]);
        fixture.approve(NAME, 0, 20_00);
        fixture.withdraw(NAME, 0);
        fixture.purchase(NAME).clone()
    };
    assert_eq!(state_of(&[A::Withdrawn], Some(&withdrawn)), Ok(S::TakenBack));
    let refused =
        IssuerDecline { asked: gbp(1), why: IssuerDeclineReason::Rule, was_approved_by_us: false };
    let around = NoticeContext { refused: &[refused], is_card_stopped: false };
    let known = a_purchase(NAME);
    assert_eq!(
        notices(&known, &known, around).unwrap(),
        [PurchaseNotice::RefusedByIssuer(refused)]
    );
}

fn a_refusal(minor: i64) -> IssuerDecline {
    let why = IssuerDeclineReason::Mismatch;
    IssuerDecline { asked: gbp(minor), why, was_approved_by_us: true }
}

/// The last snapshot has this status and includes our approval of £20.00.
fn approved_and_now(status: AuthorisationStatus) -> Purchase {
    let (sequence, amount, state) = (0, gbp(20_00), IncrementState::Kept);
    Purchase {
        increments: vec![ApprovedIncrement { sequence, amount, permission: None, state }],
        snapshot: Some(word(status, 1, 1, "evt_1")),
        ..a_purchase(NAME)
    }
}

#[test]
fn what_is_held_again_up_to_our_approval_is_kept() {
    use PurchaseNotice as N;
    let before = approved_and_now(AuthorisationStatus::Reversed);
    for (minor, notice) in [
        (19_99, N::Kept { amount: gbp(19_99) }),
        (20_00, N::Kept { amount: gbp(20_00) }),
        (20_01, N::HeldWithoutApproval { amount: gbp(20_01) }),
    ] {
        let after = approved_and_now(open(gbp(minor)));
        assert_eq!(notices(&before, &after, NoticeContext::default()), Ok(vec![notice]), "{minor}");
    }
}

#[test]
fn a_decline_is_told_instead_of_the_release_that_it_explains() {
    use PurchaseNotice as N;
    let before = approved_and_now(open(gbp(20_00)));
    let [first, last] = [12_00, 20_00].map(a_refusal);
    for (status, refused, told) in [
        (AuthorisationStatus::Declined, vec![], vec![N::GivenBack { freed: gbp(20_00) }]),
        (AuthorisationStatus::Declined, vec![first, last], vec![N::RefusedByIssuer(last)]),
        (
            AuthorisationStatus::Reversed,
            vec![first],
            vec![N::RefusedByIssuer(first), N::GivenBack { freed: gbp(20_00) }],
        ),
        (
            open(gbp(12_00)),
            vec![first],
            vec![N::RefusedByIssuer(first), N::Lowered { keeps: gbp(12_00), freed: gbp(8_00) }],
        ),
        (open(gbp(20_00)), vec![first], vec![N::RefusedByIssuer(first)]),
    ] {
        let around = NoticeContext { refused: &refused, is_card_stopped: false };
        let shown = format!("{status:?} {refused:?}");
        assert_eq!(notices(&before, &approved_and_now(status), around), Ok(told), "{shown}");
    }
}

#[test]
fn a_stopped_card_changes_nothing_where_we_had_approved() {
    let before = approved_and_now(open(gbp(20_00)));
    let after = Purchase { captured: gbp(25_00), ..before.clone() };
    let around = NoticeContext { refused: &[], is_card_stopped: true };
    let more = PurchaseNotice::CapturedMore { took: gbp(25_00), asked: gbp(20_00) };
    assert_eq!(notices(&before, &after, around), Ok(vec![more]));
}

/// The margin of 7 % is 1.40 of 20.00. It explains a capture, but not a change of what is held.
#[test]
fn the_rate_explains_a_capture_that_differs_by_the_margin_at_most() {
    use PurchaseNotice as N;
    let asked = gbp(20_00);
    let held = |minor| {
        let mut purchase = approved_and_now(open(gbp(minor)));
        purchase.apply_merchant_currency("EUR".parse().unwrap());
        purchase
    };
    let took = |minor| {
        let mut purchase = held(0);
        purchase.snapshot = Some(word(closed(minor), 2, 1, "evt_2"));
        Purchase { captured: gbp(minor), ..purchase }
    };
    for (after, told) in [
        (took(21_40), None),
        (took(21_41), Some(N::CapturedMore { took: gbp(21_41), asked })),
        (took(18_60), None),
        (took(18_59), Some(N::CapturedLess { took: gbp(18_59), freed: gbp(1_41) })),
        (held(19_00), Some(N::Lowered { keeps: gbp(19_00), freed: gbp(1_00) })),
        (held(21_00), Some(N::HeldWithoutApproval { amount: gbp(1_00) })),
    ] {
        let told: Vec<_> = told.into_iter().collect();
        assert_eq!(notices(&held(20_00), &after, NoticeContext::default()), Ok(told), "{after:?}");
    }
}

#[test]
fn a_refund_of_a_known_purchase_before_its_capture_is_no_news() {
    assert_eq!(lived("ask 20, open 20, refund 20").heard, []);
    assert_eq!(
        lived("ask 20, open 20, capture 20, closed 20, refund 25").heard,
        [PurchaseNotice::MoneyBack { amount: gbp(20_00) }],
        "what is beyond the capture waits for finance"
    );
}

#[test]
fn each_dispute_is_told_by_itself() {
    let first = report((DisputeOutcome::Open, None), 20_00, 1, "evt_1");
    let second = DisputeReport { reference: "idp_2".parse().unwrap(), ..first.clone() };
    let won = report((DisputeOutcome::Won, None), 20_00, 2, "evt_2");
    let mut purchase = a_purchase(NAME);
    let [opened, is_won] = [
        PurchaseNotice::DisputeOpened { amount: gbp(20_00) },
        PurchaseNotice::DisputeWon { amount: gbp(20_00) },
    ];
    for (report, told) in [
        (&first, vec![opened]),
        (&first, vec![]),
        (&second, vec![opened]),
        (&won, vec![is_won]),
        (&second, vec![]),
    ] {
        let before = purchase.clone();
        purchase.apply_dispute(report);
        let heard = notices(&before, &purchase, NoticeContext::default());
        assert_eq!(heard, Ok(told), "{report:?}");
    }
}

#[test]
fn only_a_stopped_card_is_for_duty_and_only_a_decline_is_refused() {
    use PurchaseNotice as N;
    let amount = gbp(20_00);
    let refused = a_refusal(20_00);
    for (notice, is_for_duty, decline) in [
        (N::StoppedCardPaid { amount }, true, None),
        (N::RefusedByIssuer(refused), false, Some(refused)),
        (N::Kept { amount }, false, None),
        (N::PaidAfterAll { took: amount }, false, None),
        (N::DisputeLost { amount }, false, None),
    ] {
        assert_eq!((notice.is_for_duty(), notice.refused()), (is_for_duty, decline), "{notice:?}");
    }
}
