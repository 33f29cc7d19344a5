//! Encodes a life as Stripe's messages, which the gateway's own adapter decodes.

use jiff::{Timestamp, ToSpan as _};
use sayso::issuers::{Issuer, Origin};
use serde_json::{Value, json};

use super::message::{
    A_MONTH_PASSES, Answer, IssuerVocabulary, MARK, Message, MessageGroups, ScriptedMessage,
};
use super::table::Life;
use super::words::MessageWords;
use crate::world::{AuthorisationState, CONNECTION, Purchase, purchase, sample};

pub(super) const STRIPE: IssuerVocabulary =
    IssuerVocabulary { issuer: Some(Issuer::Stripe), title: "Stripe", say };

fn say(life: &Life, card: &str, begun: Timestamp) -> Option<MessageGroups> {
    let script = life.script(STRIPE.title)?;
    let mut teller = ScriptWriter::new(life, card, begun);
    let mut say_group = |group: &Vec<String>| group.iter().map(|words| teller.say(words)).collect();
    Some(script.iter().map(&mut say_group).collect())
}

/// Encodes one life from its beginning, and tracks the messages so far.
struct ScriptWriter {
    about: Purchase,
    /// Time of the first message.
    begun: Timestamp,
    is_at_once: bool,
    said: usize,
    /// The authorisation requests so far: amount, and whether it is approved.
    asked: Vec<(i64, bool)>,
    /// Months without messages so far.
    months: i64,
    /// The captures and refunds so far, as an authorisation lists them.
    claims: Vec<Value>,
    /// The latest capture, and its disputed amount.
    disputed: (String, i64),
}

impl ScriptWriter {
    fn new(life: &Life, card: &str, begun: Timestamp) -> Self {
        let mut about = Purchase {
            id: format!("iauth{MARK}{}", life.line),
            card: card.to_owned(),
            ..purchase("", 0)
        };
        if let Some(code) = life.setting.shop {
            about.mcc = json!(code);
        }
        let is_at_once = life.setting.is_at_once;
        Self {
            about,
            begun,
            is_at_once,
            said: 0,
            asked: Vec::new(),
            months: 0,
            claims: Vec::new(),
            disputed: (String::new(), 0),
        }
    }

    /// Time of the message: a minute after the one before, or the same second.
    fn at(&self) -> Timestamp {
        let minutes = if self.is_at_once { 0 } else { i64::try_from(self.said).unwrap() };
        let hours = self.months * 24 * 41;
        self.begun.checked_add(hours.hours()).unwrap().checked_add(minutes.minutes()).unwrap()
    }

    fn say(&mut self, text: &str) -> ScriptedMessage {
        if text == A_MONTH_PASSES {
            self.months += 1;
            return ScriptedMessage::month();
        }
        let words = MessageWords::read(text);
        let said = match words.verb {
            "ask" => self.ask(words),
            "created" | "updated" | "closed" | "reversed" | "expired" => {
                told(text, &self.snapshot(words))
            }
            "capture" | "refund" => told(text, &self.claim(words)),
            "dispute" => told(text, &self.dispute(words)),
            _ => panic!("Stripe does not say {text:?}"),
        };
        self.said += 1;
        said
    }

    fn ask(&mut self, words: MessageWords<'_>) -> ScriptedMessage {
        let amount = words.amount();
        let about = Purchase {
            amount,
            answers: self.asked.len(),
            partial: words.says("gets"),
            cash_back: words.after("back").map(super::table::minor),
            ..self.about.clone()
        };
        self.asked.push((amount, !words.says("refused")));
        let mut body = about.request(self.at());
        if let Some((currency, amount)) = words.in_their_money() {
            let pending = &mut body["data"]["object"]["pending_request"];
            pending["merchant_currency"] = json!(currency);
            pending["merchant_amount"] = json!(amount);
        }
        let answer = match words.after("gets") {
            Some(part) => Answer::Approved(super::table::minor(part)),
            None if words.says("refused") => Answer::Refused,
            None => Answer::Approved(amount),
        };
        let body = body.to_string();
        let origin = Origin {
            programme: "riverside".parse().unwrap(),
            connection: CONNECTION.parse().unwrap(),
        };
        let request = Issuer::Stripe.decode_authorisation(&origin, body.as_bytes()).unwrap();
        ScriptedMessage {
            words: words.text.to_owned(),
            body,
            message: Message::Question { request: Box::new(request), answer },
        }
    }

    fn snapshot(&self, words: MessageWords<'_>) -> Value {
        let is_declined = words.says("declined");
        let status = match words.verb {
            "created" | "updated" if is_declined => "closed",
            "created" | "updated" => "pending",
            over => over,
        };
        let reason = match words.after("by") {
            None if is_declined => "webhook_declined",
            None => "webhook_approved",
            Some("timeout") => "webhook_timeout",
            Some("error") => "webhook_error",
            Some("network") => "network_fallback",
            Some("issuer") => "insufficient_funds",
            Some(other) => panic!("nobody decides as {other}"),
        };
        let answers = words.after("after").map(|count| count.parse().unwrap());
        // The first snapshot includes only the first response, however late it arrives.
        let known = if words.verb == "created" { 1 } else { self.asked.len().max(1) };
        let state = AuthorisationState {
            name: &self.said.to_string(),
            status,
            approved: !is_declined,
            reason,
            amount: if status == "pending" { words.amount() } else { 0 },
            answers: answers.unwrap_or(known),
        };
        let kind = if words.verb == "created" { "created" } else { "updated" };
        let mut body = self.about.snapshot(kind, self.at(), &AuthorisationState { ..state });
        let object = &mut body["data"]["object"];
        if let Some((currency, _)) = words.in_their_money() {
            object["merchant_currency"] = json!(currency);
        }
        let is_told = is_declined || words.after("by").is_some();
        let history = object["request_history"].as_array_mut().unwrap();
        let last = history.len() - 1;
        for (number, (entry, (asked, is_approved))) in
            history.iter_mut().zip(&self.asked).enumerate()
        {
            entry["amount"] = json!(asked);
            // This message's own words give the last outcome, if they contain one.
            if number < last || !is_told {
                entry["approved"] = json!(is_approved);
                let word = if *is_approved { "webhook_approved" } else { "webhook_declined" };
                entry["reason"] = json!(word);
            }
        }
        object["transactions"] = match (words.verb, words.amount_if_any()) {
            ("closed", Some(amount)) => json!([{"type": "capture", "amount": -amount}]),
            _ => json!(self.claims),
        };
        body
    }

    fn claim(&mut self, words: MessageWords<'_>) -> Value {
        let (at, name, amount) = (self.at(), self.said.to_string(), words.amount());
        let about = &self.about;
        let mut body = match (words.verb, words.says("unlinked")) {
            ("capture", false) => about.captured(at, &name, amount),
            ("capture", true) => about.forced(at, &name, amount),
            (_, false) => about.refunded(at, &name, amount),
            (_, true) => about.refunded_unlinked(at, &name, amount),
        };
        let object = &mut body["data"]["object"];
        if words.verb == "capture" {
            self.disputed.0 = object["id"].as_str().unwrap().to_owned();
        }
        let own = about.mcc.as_str().unwrap();
        let (code, name) = words.other_shop(own, &about.shop);
        object["merchant_data"]["category_code"] = json!(code);
        object["merchant_data"]["name"] = json!(name);
        let sign = if words.verb == "capture" { -1 } else { 1 };
        if let Some((currency, amount)) = words.in_their_money() {
            object["merchant_currency"] = json!(currency);
            object["merchant_amount"] = json!(sign * amount);
        }
        if !words.says("unlinked") {
            self.claims.push(json!({"type": words.verb, "amount": sign * amount}));
        }
        body
    }

    /// A dispute about the preceding capture.
    fn dispute(&mut self, words: MessageWords<'_>) -> Value {
        if let Some(amount) = words.amount_if_any() {
            self.disputed.1 = amount;
        }
        let (kind, status) = match (words.says("credited"), words.says("taken")) {
            (true, _) if words.says("won") => ("funds_reinstated", "won"),
            (true, _) => ("funds_reinstated", "submitted"),
            (_, true) => ("funds_rescinded", "lost"),
            _ if words.says("won") => ("closed", "won"),
            _ if words.says("lost") => ("closed", "lost"),
            _ => ("submitted", "submitted"),
        };
        let status = if words.says("after") { "won" } else { status };
        let mut body = sample("evt-dispute-submitted");
        body["id"] = json!(format!("evt_{}_dispute_{}", self.about.id, self.said));
        body["type"] = json!(format!("issuing_dispute.{kind}"));
        body["created"] = json!(self.at().as_second());
        let object = &mut body["data"]["object"];
        object["id"] = json!(format!("idp_{}", self.about.id));
        object["status"] = json!(status);
        object["transaction"] = json!(self.disputed.0);
        object["amount"] = json!(self.disputed.1);
        body
    }
}

fn told(words: &str, body: &Value) -> ScriptedMessage {
    let body = body.to_string();
    let event = Issuer::Stripe.decode_event(body.as_bytes());
    let event = event.unwrap_or_else(|error| panic!("{words}: {error}"));
    ScriptedMessage { words: words.to_owned(), body, message: Message::Event(Box::new(event)) }
}
