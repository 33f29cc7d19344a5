//! A life as issuers tell it that send one message for each change. None of them has an adapter yet,
//! so these are the values that one would make.

use sayso::domain::authorisation::{AuthorisationRequest, PartialAmounts, Presence, PurchaseKind};
use sayso::domain::merchant::{Mcc, Merchant};
use sayso::domain::money::Money;
use sayso::domain::presentment::{
    Change, Direction, EventBody, HoldChange, IssuerEvent, Presentment, PurchaseReport,
};

use super::message::{Answer, MARK, Message, Said, Tongue};
use super::table::{Life, minor};
use super::words::Words;
use crate::values::gbp;
use crate::world::CONNECTION;

pub(super) const CHANGES: Tongue = Tongue { title: "Changes", say };

fn say(life: &Life, card: &str) -> Option<Vec<Vec<Said>>> {
    let script = life.script(CHANGES.title)?;
    let mut teller = Teller {
        purchase: format!("chain{MARK}{}", life.line),
        card: card.to_owned(),
        shop: life.setting.shop.unwrap_or("5411"),
        said: 0,
        asked: 0,
    };
    let mut say_group = |group: &Vec<String>| group.iter().map(|words| teller.say(words)).collect();
    Some(script.iter().map(&mut say_group).collect())
}

struct Teller {
    purchase: String,
    card: String,
    shop: &'static str,
    said: usize,
    asked: u32,
}

impl Teller {
    fn say(&mut self, text: &str) -> Said {
        let words = Words::read(text);
        let by = || gbp(words.amount());
        let message = match words.verb {
            "ask" => self.ask(words),
            "raised" => self.tell(words, self.change(Change::Raised { by: by() })),
            "lowered" => self.tell(words, self.change(Change::Lowered { by: by() })),
            "capture" => self.tell(words, self.claim(words, Direction::Capture)),
            "refund" => self.tell(words, self.claim(words, Direction::Refund)),
            _ => panic!("an issuer of changes does not say {text:?}"),
        };
        self.said += 1;
        Said { words: text.to_owned(), body: String::new(), message }
    }

    fn merchant(&self) -> Merchant {
        Merchant::new(Mcc::parse(self.shop).ok(), "TEST GROCER 123").in_country("GB")
    }

    fn kind(&self) -> PurchaseKind {
        if self.shop == "6011" { PurchaseKind::Cash } else { PurchaseKind::Purchase }
    }

    fn ask(&mut self, words: Words<'_>) -> Message {
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
            cash_back: gbp(words.after("back").map_or(0, minor)),
            transaction_amount: theirs.unwrap_or(amount),
            kind: if amount.is_zero() { PurchaseKind::Verification } else { self.kind() },
            presence: Presence::InPerson,
            partial: if words.says("gets") {
                PartialAmounts::Allowed
            } else {
                PartialAmounts::NotAllowed
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

    fn tell(&self, words: Words<'_>, body: EventBody) -> Message {
        let reference = format!("{}_{}", self.purchase, self.said).parse().unwrap();
        Message::Event(Box::new(IssuerEvent { reference, kind: words.verb.to_owned(), body }))
    }

    fn about(&self) -> PurchaseReport {
        PurchaseReport {
            card: self.card.parse().unwrap(),
            kind: self.kind(),
            presence: Presence::InPerson,
            cash_back: gbp(0),
            merchant: self.merchant(),
        }
    }

    fn change(&self, change: Change) -> EventBody {
        let purchase = self.purchase.parse().unwrap();
        EventBody::HoldChange(Box::new(HoldChange { purchase, about: self.about(), change }))
    }

    fn claim(&self, words: Words<'_>, direction: Direction) -> EventBody {
        let purchase = (!words.says("unlinked")).then(|| self.purchase.parse().unwrap());
        EventBody::Presentment(Box::new(Presentment {
            reference: format!("claim_{}_{}", self.purchase, self.said).parse().unwrap(),
            purchase,
            about: self.about(),
            direction,
            amount: gbp(words.amount()),
        }))
    }
}
