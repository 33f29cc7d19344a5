//! One message of a life, ready to be taken in: as the gateway has it once it is decoded.

use sayso::domain::authorisation::AuthorisationRequest;
use sayso::domain::id::CardToken;
use sayso::domain::presentment::{EventBody, IssuerEvent};
use sayso::issuers::{Told, Verdict};

use super::table::Life;

/// An issuer of a kind: the title of its column, and how it says what is in there.
pub(super) struct Tongue {
    pub(super) title: &'static str,
    /// The messages of a life in one card's name, group by group.
    pub(super) say: fn(&Life, &str) -> Option<Vec<Vec<Said>>>,
}

/// What is said, in the words of the table and as the gateway reads it.
#[derive(Debug, Clone)]
pub(super) struct Said {
    pub(super) words: String,
    /// What goes over the wire, if this issuer has one here.
    pub(super) body: String,
    pub(super) message: Message,
}

#[derive(Debug, Clone)]
pub(super) enum Message {
    Question { request: Box<AuthorisationRequest>, answer: Answer },
    Event(Box<IssuerEvent>),
}

/// What we must say when the life goes in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    Approved(i64),
    Refused,
}

impl Answer {
    pub(super) const fn of(told: &Told) -> Self {
        match told.verdict {
            Verdict::Approved { amount, .. } => Self::Approved(amount.minor()),
            Verdict::NotPaid { .. } => Self::Refused,
        }
    }
}

impl Message {
    /// The same message about another purchase, the one called `tag`, by another card. Told again
    /// under another name, it is another event about the same claim.
    pub(super) fn about(&self, tag: &str, card: &CardToken, is_renamed: bool) -> Self {
        let mut message = self.clone();
        match &mut message {
            Self::Question { request, .. } => {
                request.reference = named(&request.reference, tag);
                request.purchase = named(&request.purchase, tag);
                request.card = card.clone();
            }
            Self::Event(event) => {
                event.reference = named(&event.reference, tag);
                let about = match &mut event.body {
                    EventBody::Standing(report) => {
                        report.purchase = named(&report.purchase, tag);
                        report.position.reference = event.reference.clone();
                        &mut report.about
                    }
                    EventBody::HoldChange(report) => {
                        report.purchase = named(&report.purchase, tag);
                        &mut report.about
                    }
                    EventBody::Presentment(claim) => {
                        claim.reference = named(&claim.reference, tag);
                        claim.purchase = claim.purchase.as_ref().map(|known| named(known, tag));
                        if is_renamed {
                            event.reference = format!("again_{}", event.reference).parse().unwrap();
                        }
                        &mut claim.about
                    }
                    EventBody::Other => return message,
                };
                about.card = card.clone();
            }
        }
        message
    }
}

/// What stands between a name of the table's line and the name of one of its plays.
pub(super) const MARK: char = '~';

fn named<T: ToString + std::str::FromStr>(reference: &T, tag: &str) -> T {
    let named = format!("{}{MARK}{tag}", reference.to_string());
    named.parse().unwrap_or_else(|_| panic!("{named} is no reference"))
}
