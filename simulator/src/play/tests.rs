//! Whole plays over real HTTP, against a small gateway that knows only the contents of the
//! messages.

use std::{
    collections::BTreeSet,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
};

use serde_json::{Value, json};

use super::*;
use crate::books::{
    AuthorisationSnapshot, HoldStatus, Presentment, PurchaseReference, PurchaseTimes,
};
use crate::oracle::{AuthorisationRequest, ExpectedDecision};

const DEMO: &str = include_str!("../../../merchant-rules/demo.toml");

/// The fault of a gateway under test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    ApprovesAll,
    ForgetsItsAnswers,
    BooksEventsTwice,
    LosesRefunds,
}

/// A gateway with books of its own, updated from the message bodies only.
struct Gateway {
    fault: Fault,
    plan: StoryPlan,
    books: Books,
    answers: BTreeMap<String, String>,
    seen: BTreeSet<String>,
}

impl Gateway {
    fn answer(&mut self, path: &str, at: i64, body: &str) -> String {
        let event: Value = serde_json::from_str(body).unwrap();
        let id = event["id"].as_str().unwrap().to_owned();
        let object = &event["data"]["object"];
        if path.ends_with("/authorisations") {
            if let Some(answer) = self.answers.get(&id) {
                return answer.clone();
            }
            let answer = self.decide(&id, at, object);
            if self.fault != Fault::ForgetsItsAnswers {
                self.answers.insert(id, answer.clone());
            }
            return answer;
        }
        if self.seen.insert(id) || self.fault == Fault::BooksEventsTwice {
            self.learn(&event, at);
        }
        String::new()
    }

    fn decide(&mut self, id: &str, at: i64, object: &Value) -> String {
        let number = number(&object["id"]).unwrap();
        let planned = self.plan.purchases[number].clone();
        assert_eq!(object["merchant_data"]["category_code"], planned.shop.code);
        let asked = object["pending_request"]["amount"].as_i64().unwrap();
        let request = AuthorisationRequest {
            number,
            person: planned.person,
            card: planned.card.state,
            shop: planned.shop,
            amount_minor: asked,
            is_amount_controllable: object["pending_request"]["is_amount_controllable"] == true,
            fee_minor: 0,
            is_foreign: false,
            bought_at: object["created"].as_i64().unwrap(),
        };
        let expected = if self.fault == Fault::ApprovesAll {
            ExpectedDecision::Approve
        } else {
            self.books.decide(&request, at)
        };
        let decision = format!("{id}-{}", self.books.purchases.len());
        let (part, answer) = match expected {
            ExpectedDecision::Approve => {
                (asked, json!({ "approved": true, "metadata": { "decision": decision } }))
            }
            ExpectedDecision::Part(part) => (
                part,
                json!({ "approved": true, "amount": part, "metadata": { "decision": decision } }),
            ),
            ExpectedDecision::Decline(reasons) => (
                0,
                json!({ "approved": false, "metadata": {
                    "decision": decision, "reason": reasons.first(),
                } }),
            ),
        };
        if let Some(person) = planned.person.filter(|_| part > 0) {
            self.books.hold(number, person, planned.shop, part, at);
        }
        answer.to_string()
    }

    fn learn(&mut self, event: &Value, at: i64) {
        let object = &event["data"]["object"];
        let created = event["created"].as_i64().unwrap();
        let on = |number, whose| PurchaseReference::at_once(number, whose, at);
        if event["type"] == "issuing_transaction.created" {
            let amount = object["amount"].as_i64().unwrap();
            match number(&object["authorization"]) {
                Some(number) if amount < 0 => {
                    self.books.capture(on(number, self.whose(number)), Presentment::of(-amount));
                }
                Some(number) if self.fault != Fault::LosesRefunds => {
                    self.books.refund(on(number, self.whose(number)), Presentment::of(amount));
                }
                Some(_) => {}
                None => {
                    let card = object["card"].as_str().unwrap();
                    let planned = self.plan.purchases.iter().find(|p| p.card.token == card);
                    let whose = (planned.unwrap().person.unwrap(), &crate::shops::BUS);
                    if amount > 0 {
                        self.books.refund(on(901, whose), Presentment::of(amount));
                    } else {
                        self.books.capture(on(900, whose), Presentment::of(-amount));
                    }
                }
            }
            return;
        }
        let number = number(&object["id"]).unwrap();
        if self.plan.purchases[number].person.is_none() {
            return;
        }
        let claims = object["transactions"].as_array().unwrap().iter();
        let claimed: i64 = claims.map(|presentment| -presentment["amount"].as_i64().unwrap()).sum();
        let status = match object["status"].as_str().unwrap() {
            "pending" => HoldStatus::Open(object["amount"].as_i64().unwrap()),
            "closed" if object["approved"] == true => HoldStatus::Closed(claimed),
            "closed" => HoldStatus::Declined,
            "reversed" => HoldStatus::Reversed,
            other => panic!("no status {other}"),
        };
        let answers = object["request_history"].as_array().unwrap().len();
        let captures_listed = object["transactions"].as_array().unwrap().len();
        let is_update = event["type"] == "issuing_authorization.updated";
        let snapshot =
            AuthorisationSnapshot { at: created, is_update, answers, captures_listed, status };
        let when =
            PurchaseTimes { received_at: at, bought_at: object["created"].as_i64().unwrap() };
        let on = PurchaseReference { when, ..on(number, self.whose(number)) };
        self.books.apply_snapshot(on, snapshot);
    }

    fn whose(&self, number: usize) -> (usize, &'static crate::shops::Shop) {
        let planned = &self.plan.purchases[number];
        (planned.person.unwrap(), planned.shop)
    }

    fn balances(&self) -> String {
        let sum = |pots: &[crate::books::PotBook]| {
            let of = |figure: fn(&crate::books::PotBook) -> i64| -> i64 {
                pots.iter().map(figure).sum()
            };
            json!({
                "allocated_minor": of(|pot| pot.allocated_minor),
                "loaded_minor": of(|pot| pot.loaded_minor),
                "held_minor": of(|pot| pot.held_minor),
                "spent_minor": of(|pot| pot.spent_minor),
                "left_minor": of(crate::books::PotBook::left_minor),
            })
        };
        let people = self.books.people.iter().map(|person| {
            let pots = person.pots.iter().map(|pot| {
                let mut figures = sum(std::slice::from_ref(pot));
                figures["pot"] = json!(*pot.pot);
                figures
            });
            let mut figures = sum(&person.pots);
            figures["pots"] = pots.collect();
            figures["person"] = json!(person.person);
            figures
        });
        json!({ "programmes": [{
            "programme": self.books.programme, "currency": self.books.currency,
            "exposure_minor": self.books.exposure_minor,
            "suspense_minor": self.books.suspense_minor,
            "people": people.collect::<Vec<_>>(),
        }] })
        .to_string()
    }
}

/// The purchase number at the end of the simulator's `iauth_…`.
fn number(id: &Value) -> Option<usize> {
    id.as_str()?.rsplit_once('n')?.1.parse().ok()
}

fn serve(mut stream: TcpStream, gateway: &Mutex<Gateway>) {
    stream.set_nodelay(true).unwrap();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    loop {
        let (mut path, mut length, mut at) = (String::new(), 0, 0);
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            let line = line.trim_end();
            if let Some((name, value)) = line.split_once(": ") {
                match name {
                    "content-length" => length = value.parse().unwrap(),
                    "stripe-signature" => {
                        at = value[2..].split_once(',').unwrap().0.parse().unwrap();
                    }
                    _ => {}
                }
            } else if line.is_empty() {
                break;
            } else {
                path = line.split(' ').nth(1).unwrap().to_owned();
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        let body = String::from_utf8(body).unwrap();
        let answer = gateway.lock().unwrap().answer(&path, at, &body);
        let head = "HTTP/1.1 200 OK\r\nstripe-version: 2026-10-28.endive";
        let reply = format!("{head}\r\ncontent-length: {}\r\n\r\n{answer}", answer.len());
        stream.write_all(reply.as_bytes()).unwrap();
    }
}

async fn played(seed: u64, fault: Fault) -> (PlayOutcome, Vec<PlayStep>) {
    played_by(ClockMode::Story(Box::new(|_| {})), seed, fault).await
}

async fn played_by(clock: ClockMode, seed: u64, fault: Fault) -> (PlayOutcome, Vec<PlayStep>) {
    let programme = Programme::read(DEMO).unwrap();
    let gateway = Arc::new(Mutex::new(Gateway {
        fault,
        plan: StoryPlan::new(&programme, seed, Participants::Shops).unwrap(),
        books: Books::open(&programme).unwrap(),
        answers: BTreeMap::new(),
        seen: BTreeSet::new(),
    }));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let served = Arc::clone(&gateway);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let gateway = Arc::clone(&served);
            std::thread::spawn(move || serve(stream, &gateway));
        }
    });
    let (sender, mut receiver) = mpsc::channel(1000);
    let programme = DEMO.to_owned();
    let what = PlayConfig { gateway: format!("http://{address}"), programme, seed, sign_in: None };
    let mut outcome = play(&what, clock, sender).await.unwrap();
    let balances = gateway.lock().unwrap().balances();
    outcome.compare_balances(&balances).unwrap();
    let mut steps = Vec::new();
    while let Some(mut step) = receiver.recv().await {
        step.latency = Duration::ZERO;
        steps.push(step);
    }
    (outcome, steps)
}

fn broken(outcome: &PlayOutcome) -> String {
    outcome.report.broken.iter().map(|broken| broken.what.as_str()).collect::<Vec<_>>().join("\n")
}

/// Each story reaches the outcome that it is about, regardless of the seed.
#[tokio::test]
async fn every_story_makes_its_point_on_every_seed() {
    for seed in 0..12 {
        let (outcome, steps) = played(seed, Fault::None).await;
        assert!(outcome.report.is_clean(), "seed {seed}: {}", broken(&outcome));
        let story = |name: &str| steps.iter().filter(|s| s.story == name).collect::<Vec<_>>();
        let all = steps.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
        let reasons: Vec<_> =
            outcome.report.reasons().iter().map(|(k, v)| (k.as_str(), *v)).collect();
        assert_eq!(
            reasons,
            [
                ("abroad_off", 1),
                ("category_ask", 2),
                ("category_off", 1),
                ("funder_rule", 1),
                ("hours", 1),
                ("no_money", 1),
                ("old_card", 1),
                ("online_off", 1),
                ("over_period", 3),
                ("over_purchase", 3),
                ("too_many", 2),
                ("unknown_card", 1),
            ],
            "seed {seed}\n{all}"
        );
        assert_eq!(outcome.report.answers()["partial"], 2, "seed {seed}\n{all}");
        for (name, pot) in [
            ("Dee's Monday", "from pets"),
            ("one purchase, two pots", "from health"),
            ("emergency money", "from emergency"),
        ] {
            let is_split = story(name).iter().any(|s| s.note.contains(pot) && s.note.contains(','));
            assert!(is_split, "seed {seed}: {name}\n{all}");
        }
        for name in ["an increment, captured late", "two parcels", "a tip on top"] {
            assert!(
                story(name).iter().any(|s| s.kind == MessageKind::Captured),
                "seed {seed}: {name}"
            );
        }
        assert!((50..=1_50).contains(&outcome.books.exposure_minor), "seed {seed}\n{all}");
        assert!((6_50..=9_50).contains(&outcome.books.suspense_minor), "seed {seed}\n{all}");
        let held: i64 = outcome.books.people[0].pots.iter().map(|pot| pot.held_minor).sum();
        assert!((2_00..=3_00).contains(&held), "seed {seed}: one hold stays open\n{all}");
    }
}

/// On the real clock all moves happen within one local day, at any hour.
#[tokio::test]
async fn on_the_real_clock_the_expectations_are_still_right() {
    let (outcome, steps) = played_by(ClockMode::Real, 1, Fault::None).await;
    assert!(outcome.report.is_clean(), "{}", broken(&outcome));
    assert!(steps.iter().any(|step| step.answer == ResponseOutcome::Approved));
}

#[tokio::test]
async fn the_same_seed_plays_the_same_steps_and_another_does_not() {
    let words =
        |steps: &[PlayStep]| steps.iter().map(|step| format!("{step:?}")).collect::<Vec<_>>();
    let (_, one) = played(7, Fault::None).await;
    let (_, again) = played(7, Fault::None).await;
    let (_, other) = played(8, Fault::None).await;
    assert_eq!(words(&one), words(&again));
    assert_ne!(words(&one), words(&other));
}

#[tokio::test]
async fn a_gateway_that_approves_everything_is_found_out() {
    let (outcome, _) = played(1, Fault::ApprovesAll).await;
    let broken = broken(&outcome);
    for reason in ["category_off", "hours", "too_many", "no_money", "old_card", "unknown_card"] {
        assert!(broken.contains(&format!("expected not paid: {reason}")), "{reason} in {broken}");
    }
}

#[tokio::test]
async fn a_gateway_that_decides_the_same_question_twice_is_found_out() {
    let (outcome, _) = played(1, Fault::ForgetsItsAnswers).await;
    assert!(broken(&outcome).contains("the same question was first answered"));
}

#[tokio::test]
async fn a_gateway_that_books_an_event_twice_or_never_has_wrong_balances() {
    for fault in [Fault::BooksEventsTwice, Fault::LosesRefunds] {
        let (outcome, _) = played(1, fault).await;
        assert!(broken(&outcome).contains("dee: spent is"), "{}", broken(&outcome));
    }
}

#[tokio::test]
async fn a_gateway_that_is_not_there_is_an_error() {
    let what = PlayConfig {
        gateway: "http://127.0.0.1:1".to_owned(),
        programme: DEMO.to_owned(),
        seed: 1,
        sign_in: None,
    };
    let (sender, _receiver) = mpsc::channel(1);
    let error = play(&what, ClockMode::Story(Box::new(|_| {})), sender).await.unwrap_err();
    assert!(format!("{error:#}").contains("cannot reach the gateway"), "{error:#}");
}
