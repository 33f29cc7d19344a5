//! The possible states of one person's money: all books that explain every answer so far.
//!
//! Concurrent messages may take effect in any order, and a request whose response was lost may or
//! may not have taken effect. So a person has a set of books. An answer that none of them explains
//! is wrong, whatever the order was.

use crate::{
    books::{AuthorisationApproval, Books, PurchaseReference, PurchaseTimes},
    issuers::issuer_record::MessageContent,
    oracle::{AuthorisationRequest, ExpectedDecision},
    report::ResponseOutcome,
};

/// Limit on the candidates, far above what a storm leads to. Further ones are dropped.
const CANDIDATES_MAX: usize = 64;

/// The effect of one message on the books.
#[derive(Debug, Clone)]
pub(super) enum MessageEffect {
    AuthorisationRequested {
        request: AuthorisationRequest,
        /// Index among the purchase's authorisation requests: 0 for the first.
        sequence: usize,
        /// The received answer; `None` when it is not known.
        received: Option<ReceivedAnswer>,
    },
    EventReported {
        number: usize,
        /// The number that a refund gets when it belongs to no purchase.
        own: usize,
        whose: (usize, &'static crate::shops::Shop),
        content: MessageContent,
        /// Time of the purchase by the issuer's account, in Unix seconds.
        bought_at: i64,
    },
}

/// An answer that arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ReceivedAnswer {
    pub(super) answer: ResponseOutcome,
    pub(super) reason: Option<String>,
}

/// All books that explain the answers so far. Never empty.
#[derive(Debug, Clone)]
pub(super) struct PossibleBooks(Vec<Books>);

impl PossibleBooks {
    pub(super) fn new(books: Books) -> Self {
        Self(vec![books])
    }

    /// Any one of the books.
    pub(super) fn one(&self) -> Option<&Books> {
        self.0.first()
    }

    pub(super) fn all(&self) -> &[Books] {
        &self.0
    }

    /// Marks a purchase whose shop prices in another currency.
    pub(super) fn mark_foreign(&mut self, number: usize) {
        for books in &mut self.0 {
            books.mark_foreign(number);
        }
    }

    /// Sets the fee that a cash machine adds to the purchase.
    pub(super) fn set_fee(&mut self, number: usize, fee_minor: i64) {
        for books in &mut self.0 {
            books.set_fee(number, fee_minor);
        }
    }

    /// Whether the gateway certainly knows the purchase.
    pub(super) fn know(&self, number: usize) -> bool {
        self.0.iter().all(|books| books.purchases.contains_key(&number))
    }

    /// Applies concurrent `effects` in every order that explains the received answers. `times` are
    /// the possible times of the gateway's clock in Unix seconds.
    ///
    /// # Errors
    /// The expected decisions, when no order explains the answers. The books then follow the
    /// answers.
    pub(super) fn take(
        &mut self,
        effects: &[MessageEffect],
        times: &[i64],
    ) -> Result<(), Vec<ExpectedDecision>> {
        let mut next: Vec<Books> = Vec::new();
        for books in &self.0 {
            for order in orders(effects.len()) {
                for at in times {
                    for explained in explain(books, effects, &order, *at) {
                        if next.len() < CANDIDATES_MAX
                            && !next.iter().any(|known| known.is_same(&explained))
                        {
                            next.push(explained);
                        }
                    }
                }
            }
        }
        if !next.is_empty() {
            self.0 = next;
            return Ok(());
        }
        let at = times.first().copied().unwrap_or_default();
        let Some(mut books) = self.0.first().cloned() else { return Ok(()) };
        let mut expected = Vec::new();
        for effect in effects {
            if let MessageEffect::AuthorisationRequested { request, .. } = effect {
                expected.push(books.decide(request, at));
            }
            books.apply_as_reported(effect, at);
        }
        self.0 = vec![books];
        Err(expected)
    }
}

/// All books that result from `effects` in that order and explain every answer.
fn explain(books: &Books, effects: &[MessageEffect], order: &[usize], at: i64) -> Vec<Books> {
    let mut open = vec![books.clone()];
    for effect in order.iter().filter_map(|index| effects.get(*index)) {
        let mut next = Vec::with_capacity(open.len());
        for mut books in open {
            let MessageEffect::AuthorisationRequested { request, sequence, received } = effect
            else {
                books.apply_as_reported(effect, at);
                next.push(books);
                continue;
            };
            let expected = books.decide(request, at);
            match received {
                Some(received)
                    if !expected.accepts(received.answer, received.reason.as_deref()) =>
                {
                    continue;
                }
                Some(_) => {}
                // The request may not have been processed at all.
                None => next.push(books.clone()),
            }
            books.record_approval(
                request,
                *sequence,
                expected.approved_minor(request.amount_minor),
                at,
            );
            next.push(books);
        }
        open = next;
    }
    open
}

/// Every order of `count` items; above three only the given one.
fn orders(count: usize) -> Vec<Vec<usize>> {
    match count {
        2 => vec![vec![0, 1], vec![1, 0]],
        3 => vec![
            vec![0, 1, 2],
            vec![0, 2, 1],
            vec![1, 0, 2],
            vec![1, 2, 0],
            vec![2, 0, 1],
            vec![2, 1, 0],
        ],
        count => vec![(0..count).collect()],
    }
}

impl Books {
    fn record_approval(
        &mut self,
        request: &AuthorisationRequest,
        sequence: usize,
        approved_minor: i64,
        at: i64,
    ) {
        if let Some(person) = request.person.filter(|_| approved_minor > 0) {
            let allowed = self.permission_for(request, at);
            let approval = AuthorisationApproval {
                request_number: sequence,
                amount_minor: approved_minor,
                allowed,
            };
            let when = PurchaseTimes { received_at: at, bought_at: request.bought_at };
            let AuthorisationRequest { number, shop, .. } = *request;
            self.approve(PurchaseReference { number, person, shop, when }, approval);
        }
    }

    /// Applies an effect as it was reported, whether it was right or wrong.
    fn apply_as_reported(&mut self, effect: &MessageEffect, at: i64) {
        match effect {
            MessageEffect::AuthorisationRequested { request, sequence, received } => {
                let approved = received
                    .as_ref()
                    .map_or(0, |received| received.answer.approved_minor(request.amount_minor));
                self.record_approval(request, *sequence, approved, at);
            }
            MessageEffect::EventReported { number, own, whose, content, bought_at } => {
                let when = PurchaseTimes { received_at: at, bought_at: *bought_at };
                let (number, (person, shop)) = (*number, *whose);
                let on = PurchaseReference { number, person, shop, when };
                match *content {
                    MessageContent::Capture(_, presentment) => self.capture(on, presentment),
                    MessageContent::Refund(_, presentment) => {
                        let number =
                            self.refund_target(number, *own, *whose, presentment.amount_minor);
                        self.refund(PurchaseReference { number, ..on }, presentment);
                    }
                    MessageContent::AuthorisationSnapshot(snapshot) => {
                        self.apply_snapshot(on, snapshot);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        books::{AuthorisationSnapshot, HoldStatus},
        programme::{CardState, Programme},
        shops,
    };

    const ANA: usize = 2;
    const NOON: i64 = 1_795_435_200; // Monday 2026-11-23 12:00 in London

    fn possible_books() -> PossibleBooks {
        let text = include_str!("../../../merchant-rules/demo.toml");
        PossibleBooks::new(Books::open(&Programme::read(text).unwrap()).unwrap())
    }

    fn asked(number: usize, amount_minor: i64, received: Option<ResponseOutcome>) -> MessageEffect {
        let request = AuthorisationRequest {
            number,
            person: Some(ANA),
            card: CardState::Active,
            shop: &shops::BUS,
            amount_minor,
            is_amount_controllable: false,
            fee_minor: 0,
            is_foreign: false,
            bought_at: NOON,
        };
        let reason = (received == Some(ResponseOutcome::NotPaid)).then(|| "over_period".to_owned());
        let received = received.map(|answer| ReceivedAnswer { answer, reason });
        MessageEffect::AuthorisationRequested { request, sequence: 0, received }
    }

    #[test]
    fn either_of_two_may_be_paid_and_not_both() {
        let race = |one, other| {
            let effects = [asked(1, 20_00, Some(one)), asked(2, 21_00, Some(other))];
            let mut possible_books = possible_books();
            let taken = possible_books.take(&effects, &[NOON]);
            taken.map(|()| possible_books.0[0].people[ANA].pots[0].held_minor)
        };
        assert_eq!(race(ResponseOutcome::Approved, ResponseOutcome::NotPaid), Ok(20_00));
        assert_eq!(race(ResponseOutcome::NotPaid, ResponseOutcome::Approved), Ok(21_00));
        assert!(race(ResponseOutcome::Approved, ResponseOutcome::Approved).is_err());
        assert!(race(ResponseOutcome::NotPaid, ResponseOutcome::NotPaid).is_err());
    }

    #[test]
    fn a_lost_answer_is_open_until_the_issuer_tells() {
        let mut possible_books = possible_books();
        possible_books.take(&[asked(1, 20_00, None)], &[NOON]).unwrap();
        assert_eq!(possible_books.0.len(), 2);
        let told = MessageEffect::EventReported {
            number: 1,
            own: 9,
            whose: (ANA, &shops::BUS),
            content: MessageContent::AuthorisationSnapshot(AuthorisationSnapshot {
                at: NOON,
                is_update: true,
                answers: 1,
                captures_listed: 0,
                status: HoldStatus::Reversed,
            }),
            bought_at: NOON,
        };
        let mut later = possible_books.clone();
        later.take(&[told], &[NOON]).unwrap();
        assert!(later.0.iter().all(|books| books.people[ANA].pots[0].held_minor == 0));
        // The next answer can exclude a candidate as well.
        possible_books.take(&[asked(2, 20_00, Some(ResponseOutcome::NotPaid))], &[NOON]).unwrap();
        assert_eq!(possible_books.0.len(), 1);
    }
}
