//! Prepares signed authorisation requests: whole HTTP requests, each about a purchase of its own.

use anyhow::{Context as _, Result};
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use sha2::Sha256;

use crate::population::{CONNECTION, SECRET, card_token};

/// A whole HTTP/1.1 request.
pub(crate) type RequestBytes = Box<[u8]>;

/// Whose cards are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CardSpread {
    /// The cards of this many people, in no order.
    Over(u32),
    /// The card of one person only.
    Hot,
}

/// Prepares requests, each about a new purchase.
#[derive(Debug)]
pub(crate) struct RequestFactory {
    template: String,
    next: u64,
}

const PURCHASE: &str = "iauth_1TestAuth0000000001";
const CARD: &str = "ic_1TestCard00000000001";

impl RequestFactory {
    /// A factory whose requests are copies of the recorded one.
    pub(crate) fn new() -> Result<Self> {
        let vectors = include_str!("../../tests/fixtures/stripe/vectors.json");
        let vectors: serde_json::Value = serde_json::from_str(vectors)?;
        let body = vectors.pointer("/vectors/0/body").and_then(serde_json::Value::as_str);
        let template = body.context("the recorded question is gone")?.to_owned();
        Ok(Self { template, next: 0 })
    }

    /// `count` requests, signed at `now`. They are valid for five minutes.
    pub(crate) fn make(
        &mut self,
        count: usize,
        spread: CardSpread,
        now: Timestamp,
    ) -> Vec<RequestBytes> {
        (0..count).map(|_| self.request(spread, now)).collect()
    }

    fn request(&mut self, spread: CardSpread, now: Timestamp) -> RequestBytes {
        let number = self.next;
        self.next = number.saturating_add(1);
        let person = match spread {
            CardSpread::Hot => 0,
            CardSpread::Over(people) => scattered(number, people),
        };
        let purchase = format!("iauth_1B{number:017}");
        let body = self.template.replace(PURCHASE, &purchase).replace(CARD, &card_token(person));
        let seconds = now.as_second();
        let signature = sign(seconds, &body);
        format!(
            "POST /issuers/{CONNECTION}/authorisations HTTP/1.1\r\nhost: 127.0.0.1\r\n\
             content-type: application/json; charset=utf-8\r\n\
             stripe-signature: t={seconds},v1={signature}\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
        .into_bytes()
        .into_boxed_slice()
    }
}

/// Distributes consecutive numbers over all people in no order, as purchases arrive.
fn scattered(number: u64, people: u32) -> u32 {
    let mixed = number.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 24;
    mixed.checked_rem(u64::from(people)).and_then(|n| u32::try_from(n).ok()).unwrap_or(0)
}

fn sign(seconds: i64, body: &str) -> String {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()) else {
        return String::new();
    };
    mac.update(seconds.to_string().as_bytes());
    mac.update(b".");
    mac.update(body.as_bytes());
    hex::encode(mac.finalize().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_questions_are_about_one_purchase() {
        let mut request_factory = RequestFactory::new().unwrap();
        let now = "2026-11-23T10:00:00Z".parse().unwrap();
        let made = request_factory.make(3, CardSpread::Over(10), now);
        let texts: Vec<_> = made.iter().map(|r| str::from_utf8(r).unwrap()).collect();
        for (number, text) in texts.iter().enumerate() {
            assert!(text.contains(&format!("iauth_1B{number:017}")) && !text.contains("Test0"));
            assert!(text.contains("ic_1B0000000000000000"), "{text}");
        }
    }
}
