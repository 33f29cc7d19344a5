//! Encodes a life for issuers that send one message for each change. No such adapter exists yet, so
//! these are the values that one would produce.

use jiff::{Timestamp, ToSpan as _};
use sayso::domain::decision::authorisation::{
    AuthorisationRequest, PartialApproval, Presence, PurchaseKind,
};
use sayso::domain::money::Money;
use sayso::domain::purchase::dispute::{DisputeFunds, DisputeOutcome, DisputeReport};
use sayso::domain::purchase::position::{MessageKind, MessagePosition};
use sayso::domain::purchase::presentment::{
    EventBody, HoldAdjustment, HoldChange, IssuerEvent, Presentment, PresentmentDirection,
    PurchaseReport,
};
use sayso::domain::shop::merchant::{Mcc, Merchant};

use super::message::{
    A_MONTH_PASSES, Answer, IssuerVocabulary, MARK, Message, MessageGroups, ScriptedMessage,
};
use super::table::{Life, minor};
use super::words::MessageWords;
use crate::values::gbp;
use crate::world::CONNECTION;

pub(super) const CHANGES: IssuerVocabulary =
    IssuerVocabulary { issuer: None, title: "Changes", say };

fn say(life: &Life, card: &str, begun: Timestamp) -> Option<MessageGroups> {
    let script = life.script(CHANGES.title)?;
    let mut teller = ScriptWriter {
        purchase: format!("chain{MARK}{}", life.line),
        card: card.to_owned(),
        shop: life.setting.shop.unwrap_or("5411"),
        begun,
        said: 0,
        asked: 0,
        months: 0,
        disputed: (String::new(), 0),
    };
    let mut say_group = |group: &Vec<String>| group.iter().map(|words| teller.say(words)).collect();
    Some(script.iter().map(&mut say_group).collect())
}

const NAME: &str = "TEST GROCER 123";

fn merchant(code: &str, name: &str) -> Merchant {
    Merchant::new(Mcc::parse(code).ok(), name).in_country("GB")
}

struct ScriptWriter {
    purchase: String,
    card: String,
    shop: &'static str,
    /// Time of the first message.
    begun: Timestamp,
    said: usize,
    asked: u32,
    /// Months without messages so far.
    months: i64,
    /// The latest capture, and its disputed amount.
    disputed: (String, i64),
}

impl ScriptWriter {
    fn say(&mut self, text: &str) -> ScriptedMessage {
        if text == A_MONTH_PASSES {
            self.months += 1;
            return ScriptedMessage::month();
        }
        let words = MessageWords::read(text);
        let by = || gbp(words.amount());
        let message = match words.verb {
            "ask" => self.ask(words),
            "raised" => self.tell(words, self.change(HoldAdjustment::Raised { by: by() })),
            "lowered" => self.tell(words, self.change(HoldAdjustment::Lowered { by: by() })),
            "capture" => {
                self.disputed.0 = self.claim_name();
                self.tell(words, self.claim(words, PresentmentDirection::Capture))
            }
            "refund" => self.tell(words, self.claim(words, PresentmentDirection::Refund)),
            "dispute" => {
                let report = self.dispute(words);
                self.tell(words, EventBody::Dispute(Box::new(report)))
            }
            _ => panic!("an issuer of changes does not say {text:?}"),
        };
        self.said += 1;
        ScriptedMessage { words: text.to_owned(), body: String::new(), message }
    }

    fn merchant(&self) -> Merchant {
        merchant(self.shop, NAME)
    }

    fn kind(&self) -> PurchaseKind {
        if self.shop == "6011" { PurchaseKind::Cash } else { PurchaseKind::Purchase }
    }

    fn ask(&mut self, words: MessageWords<'_>) -> Message {
        let amount = gbp(words.amount());
        let sequence = self.asked;
        self.asked += 1;
        let theirs = words.in_their_money().map(|(currency, minor)| {
            Money::from_minor(minor, currency.to_uppercase().parse().unwrap())
        });
        let request = AuthorisationRequest {
            programme: "riverside".parse().unwrap(),
            connection: CONNECTION.parse().unwrap(),
            reference: format!("{}/{sequence}", self.purchase).parse().unwrap(),
            purchase: self.purchase.parse().unwrap(),
            sequence,
            card: self.card.parse().unwrap(),
            amount,
            bought_at: None,
            cash_back: gbp(words.after("back").map_or(0, minor)),
            atm_fee: gbp(0),
            has_unread_price: false,
            transaction_amount: theirs.unwrap_or(amount),
            kind: if amount.is_zero() { PurchaseKind::Verification } else { self.kind() },
            presence: Presence::InPerson,
            partial: if words.says("gets") {
                PartialApproval::Allowed
            } else {
                PartialApproval::NotAllowed
            },
            merchant: self.merchant(),
        };
        let answer = match words.after("gets") {
            Some(part) => Answer::Approved(minor(part)),
            None if words.says("refused") => Answer::Refused,
            None => Answer::Approved(amount.minor()),
        };
        Message::Question { request: Box::new(request), answer }
    }

    fn tell(&self, words: MessageWords<'_>, body: EventBody) -> Message {
        let reference = format!("{}_{}", self.purchase, self.said).parse().unwrap();
        Message::Event(Box::new(IssuerEvent { reference, kind: words.verb.to_owned(), body }))
    }

    fn about(&self) -> PurchaseReport {
        PurchaseReport {
            card: self.card.parse().unwrap(),
            kind: self.kind(),
            presence: Presence::InPerson,
            cash_back: gbp(0),
            atm_fee: gbp(0),
            merchant_currency: None,
            merchant_amount: None,
            merchant: self.merchant(),
            bought_at: None,
        }
    }

    fn change(&self, change: HoldAdjustment) -> EventBody {
        let purchase = self.purchase.parse().unwrap();
        EventBody::HoldChange(Box::new(HoldChange { purchase, about: self.about(), change }))
    }

    fn claim(&self, words: MessageWords<'_>, direction: PresentmentDirection) -> EventBody {
        let purchase = (!words.says("unlinked")).then(|| self.purchase.parse().unwrap());
        let (code, name) = words.other_shop(self.shop, NAME);
        let about = PurchaseReport { merchant: merchant(code, name), ..self.about() };
        EventBody::Presentment(Box::new(Presentment {
            reference: self.claim_name().parse().unwrap(),
            purchase,
            about,
            direction,
            amount: gbp(words.amount()),
            releases: words.after("releases").map(|rest| gbp(minor(rest))),
        }))
    }

    fn claim_name(&self) -> String {
        format!("claim_{}_{}", self.purchase, self.said)
    }

    /// A dispute about the preceding capture.
    fn dispute(&mut self, words: MessageWords<'_>) -> DisputeReport {
        if let Some(amount) = words.amount_if_any() {
            self.disputed.1 = amount;
        }
        let outcome = if words.says("won") {
            DisputeOutcome::Won
        } else if words.says("lost") || words.says("taken") {
            DisputeOutcome::Lost
        } else {
            DisputeOutcome::Open
        };
        let funds = if words.says("credited") {
            Some(DisputeFunds::Credited)
        } else {
            words.says("taken").then_some(DisputeFunds::TakenAgain)
        };
        let minutes = i64::try_from(self.said).unwrap() + self.months * 41 * 24 * 60;
        DisputeReport {
            reference: format!("dispute_{}", self.purchase).parse().unwrap(),
            presentment: self.disputed.0.parse().unwrap(),
            amount: gbp(self.disputed.1),
            outcome,
            funds,
            position: MessagePosition {
                at: self.begun.checked_add(minutes.minutes()).unwrap(),
                kind: MessageKind::Updated,
                answers: 0,
                listed: 0,
                over: u8::from(outcome != DisputeOutcome::Open),
                reference: format!("{}_{}", self.purchase, self.said).parse().unwrap(),
            },
        }
    }
}
