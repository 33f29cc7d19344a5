//! One message of a life, ready to be taken in: as the gateway has it once it is decoded.

use std::fmt::Debug;
use std::str::FromStr;

use jiff::Timestamp;
use sayso::card_path::issuers::{AuthorisationResponse, Verdict};
use sayso::domain::decision::authorisation::AuthorisationRequest;
use sayso::domain::id::CardToken;
use sayso::domain::purchase::presentment::{EventBody, IssuerEvent};

use super::table::Life;

/// An issuer of a kind: the title of its column, and how it says what is in there.
pub(super) struct IssuerVocabulary {
    pub(super) title: &'static str,
    /// The messages of a life in one card's name, begun at an instant.
    pub(super) say: fn(&Life, &str, Timestamp) -> Option<MessageGroups>,
}

/// What is said, in groups: everything of one comes before everything of the next.
pub(super) type MessageGroups = Vec<Vec<ScriptedMessage>>;

/// What is said, in the words of the table and as the gateway reads it.
#[derive(Debug, Clone)]
pub(super) struct ScriptedMessage {
    pub(super) words: String,
    /// What goes over the wire, if this issuer has one here.
    pub(super) body: String,
    pub(super) message: Message,
}

#[derive(Debug, Clone)]
pub(super) enum Message {
    Question {
        request: Box<AuthorisationRequest>,
        answer: Answer,
    },
    Event(Box<IssuerEvent>),
    /// Nobody says anything for longer than any hold lives.
    MonthPasses,
}

/// How the table says that a month passes.
pub(super) const A_MONTH_PASSES: &str = "a month passes";

/// What we must say when the life goes in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    Approved(i64),
    Refused,
}

impl Answer {
    pub(super) const fn of(told: &AuthorisationResponse) -> Self {
        match told.verdict {
            Verdict::Approved { amount, .. } => Self::Approved(amount.minor()),
            Verdict::Declined { .. } => Self::Refused,
        }
    }
}

impl ScriptedMessage {
    /// A month in which nothing is said.
    pub(super) fn month() -> Self {
        let words = A_MONTH_PASSES.to_owned();
        Self { words, body: String::new(), message: Message::MonthPasses }
    }
}

impl ScriptedMessage {
    /// The same about another purchase, the one called `tag`, by another card. Renamed, it is
    /// another event about the same claim.
    pub(super) fn about(&self, tag: &str, card: &CardToken, is_renamed: bool) -> Self {
        let mut said = self.clone();
        said.body = named(&said.body, tag).replace(ANY_CARD, card.as_str());
        match &mut said.message {
            Message::Question { request, .. } => {
                rename(&mut request.reference, tag);
                rename(&mut request.purchase, tag);
                request.card = card.clone();
            }
            Message::Event(event) => {
                rename(&mut event.reference, tag);
                rename_body(&mut event.body, tag, card);
                if is_renamed && matches!(event.body, EventBody::Presentment(_)) {
                    event.reference = format!("again_{}", event.reference).parse().unwrap();
                }
            }
            Message::MonthPasses => {}
        }
        said
    }
}

fn rename_body(body: &mut EventBody, tag: &str, card: &CardToken) {
    match body {
        EventBody::Snapshot(report) => {
            rename(&mut report.purchase, tag);
            rename(&mut report.position.reference, tag);
            report.about.card = card.clone();
        }
        EventBody::HoldChange(report) => {
            rename(&mut report.purchase, tag);
            report.about.card = card.clone();
        }
        EventBody::Presentment(claim) => {
            rename(&mut claim.reference, tag);
            if let Some(purchase) = &mut claim.purchase {
                rename(purchase, tag);
            }
            claim.about.card = card.clone();
        }
        EventBody::Dispute(report) => {
            rename(&mut report.reference, tag);
            rename(&mut report.presentment, tag);
            rename(&mut report.position.reference, tag);
        }
        EventBody::Unclear { .. } | EventBody::Other => {}
    }
}

/// Stands before the line's number in every name that a life's messages use; the number of the play
/// follows it, where a life is played more than once.
pub(super) const MARK: char = '~';

/// Stands in messages where each play has a card of its own.
pub(super) const ANY_CARD: &str = "ic_any";

fn rename<T: ToString + FromStr<Err: Debug>>(reference: &mut T, tag: &str) {
    *reference = named(&reference.to_string(), tag).parse().unwrap();
}

/// `iauth~12_3` becomes `iauth~12~tag_3`, wherever it stands in `text`.
fn named(text: &str, tag: &str) -> String {
    let mut parts = text.split(MARK);
    let mut named = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(part.len());
        let (line, rest) = part.split_at(end);
        named.extend([MARK.to_string().as_str(), line, &MARK.to_string(), tag, rest]);
    }
    named
}
