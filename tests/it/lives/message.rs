//! A message of a life, decoded as the gateway processes it.

use std::fmt::Debug;
use std::str::FromStr;

use jiff::Timestamp;
use sayso::domain::decision::authorisation::AuthorisationRequest;
use sayso::domain::id::CardToken;
use sayso::domain::purchase::presentment::{EventBody, IssuerEvent};
use sayso::issuers::{AuthorisationResponse, Issuer, Verdict};

use super::table::Life;

/// A kind of issuer: the title of its column, and its encoder.
pub(super) struct IssuerVocabulary {
    /// `None` for a kind that no supported issuer is.
    pub(super) issuer: Option<Issuer>,
    pub(super) title: &'static str,
    /// The messages of a life about one card from an instant on; `None` if the issuer cannot
    /// express it.
    pub(super) say: fn(&Life, &str, Timestamp) -> Option<MessageGroups>,
}

/// Messages in groups: all of one group precede all of the next.
pub(super) type MessageGroups = Vec<Vec<ScriptedMessage>>;

/// A message in the words of the table, and decoded.
#[derive(Debug, Clone)]
pub(super) struct ScriptedMessage {
    pub(super) words: String,
    /// The body of the HTTP request; empty for an issuer without an adapter.
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
    /// No messages for longer than any hold lasts.
    MonthPasses,
}

/// The table's words for a month without messages.
pub(super) const A_MONTH_PASSES: &str = "a month passes";

/// The expected response when the life is played in order.
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
    /// A month without messages.
    pub(super) fn month() -> Self {
        let words = A_MONTH_PASSES.to_owned();
        Self { words, body: String::new(), message: Message::MonthPasses }
    }
}

impl ScriptedMessage {
    /// The same message about the purchase `tag` with another card. Renamed, it is another event
    /// about the same presentment.
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

/// Precedes the line number in every identifier of a life's messages. The number of the play
/// follows it where a life is played more than once.
pub(super) const MARK: char = '~';

/// Placeholder in messages for a card that each play has for itself.
pub(super) const ANY_CARD: &str = "ic_any";

fn rename<T: ToString + FromStr<Err: Debug>>(reference: &mut T, tag: &str) {
    *reference = named(&reference.to_string(), tag).parse().unwrap();
}

/// Replaces `iauth~12_3` by `iauth~12~tag_3` everywhere in `text`.
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
