//! What may be true of one person's money: all books that explain every answer so far.
//!
//! Messages that are sent at the same time may take effect in any order, and of a question whose
//! answer got lost nobody knows whether it took effect at all. So a person has not one book but the
//! set of those that fit. An answer that fits none of them is wrong, whatever the order was.

use crate::{
    books::{Books, Promise, When},
    issuers::file::News,
    oracle::{Question, Verdict},
    report::Answer,
};

/// More than so many explanations are no explanation; far more than any storm leads to.
const MOST: usize = 64;

/// One message, as far as the books are concerned.
#[derive(Debug, Clone)]
pub(super) enum Effect {
    Asked {
        question: Question,
        /// The number of the question: 0 for the first about its purchase.
        sequence: usize,
        /// What was answered; none when nobody knows.
        heard: Option<Heard>,
    },
    Told {
        number: usize,
        /// The number of money back that fits no purchase.
        own: usize,
        whose: (usize, &'static crate::shops::Shop),
        news: News,
        /// Unix seconds: when the issuer says that it was bought.
        bought_at: i64,
    },
}

/// An answer that arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Heard {
    pub(super) answer: Answer,
    pub(super) reason: Option<String>,
}

/// All books that explain what was answered so far. Never empty.
#[derive(Debug, Clone)]
pub(super) struct Worlds(Vec<Books>);

impl Worlds {
    pub(super) fn new(books: Books) -> Self {
        Self(vec![books])
    }

    /// Any one of them.
    pub(super) fn one(&self) -> Option<&Books> {
        self.0.first()
    }

    pub(super) fn all(&self) -> &[Books] {
        &self.0
    }

    /// The shop of this purchase prices in another currency.
    pub(super) fn price_abroad(&mut self, number: usize) {
        for books in &mut self.0 {
            books.price_abroad(number);
        }
    }

    /// A cash machine takes so much of this purchase for itself.
    pub(super) fn charge(&mut self, number: usize, fee_minor: i64) {
        for books in &mut self.0 {
            books.charge(number, fee_minor);
        }
    }

    /// Whether the gateway has heard of this purchase for certain.
    pub(super) fn know(&self, number: usize) -> bool {
        self.0.iter().all(|books| books.purchases.contains_key(&number))
    }

    /// Lets `effects`, sent at the same time, take effect in every order that explains what was
    /// heard. `times` are the instants at which the gateway may have looked at its clock.
    ///
    /// # Errors
    /// When no order explains it: what was expected instead. The books then go by what was heard.
    pub(super) fn take(&mut self, effects: &[Effect], times: &[i64]) -> Result<(), Vec<Verdict>> {
        let mut next: Vec<Books> = Vec::new();
        for books in &self.0 {
            for order in orders(effects.len()) {
                for at in times {
                    for explained in explain(books, effects, &order, *at) {
                        if next.len() < MOST && !next.iter().any(|known| known.is_same(&explained))
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
            if let Effect::Asked { question, .. } = effect {
                expected.push(books.judge(question, at));
            }
            books.obey(effect, at);
        }
        self.0 = vec![books];
        Err(expected)
    }
}

/// All books that `effects` may lead to in that order, so that every answer is explained.
fn explain(books: &Books, effects: &[Effect], order: &[usize], at: i64) -> Vec<Books> {
    let mut open = vec![books.clone()];
    for effect in order.iter().filter_map(|index| effects.get(*index)) {
        let mut next = Vec::with_capacity(open.len());
        for mut books in open {
            let Effect::Asked { question, sequence, heard } = effect else {
                books.obey(effect, at);
                next.push(books);
                continue;
            };
            let verdict = books.judge(question, at);
            match heard {
                Some(heard) if !verdict.allows(heard.answer, heard.reason.as_deref()) => continue,
                Some(_) => {}
                // It may never have been looked at.
                None => next.push(books.clone()),
            }
            books.promise(question, *sequence, verdict.approved_minor(question.amount_minor), at);
            next.push(books);
        }
        open = next;
    }
    open
}

/// Every order of so many things; of more than three only the given one.
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
    fn promise(&mut self, question: &Question, sequence: usize, approved_minor: i64, at: i64) {
        if let Some(person) = question.person.filter(|_| approved_minor > 0) {
            let allowed = self.allowed_for(question, at);
            let promise = Promise { question: sequence, amount_minor: approved_minor, allowed };
            let when = When { heard: at, bought: question.bought_at };
            self.approve(question.number, (person, question.shop), promise, when);
        }
    }

    /// Takes an effect over as it was told, right or wrong.
    fn obey(&mut self, effect: &Effect, at: i64) {
        match effect {
            Effect::Asked { question, sequence, heard } => {
                let approved = heard
                    .as_ref()
                    .map_or(0, |heard| heard.answer.approved_minor(question.amount_minor));
                self.promise(question, *sequence, approved, at);
            }
            Effect::Told { number, own, whose, news, bought_at } => {
                let when = When { heard: at, bought: *bought_at };
                match *news {
                    News::Capture(_, claim) => self.capture(*number, *whose, claim, when),
                    News::Refund(_, claim) => {
                        let on = self.refunded_on(*number, *own, *whose, claim.amount_minor);
                        self.refund(on, *whose, claim, when);
                    }
                    News::Word(word) => self.hear(*number, *whose, word, when),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        books::{Stands, Word},
        programme::{CardState, Programme},
        shops,
    };

    const ANA: usize = 2;
    const NOON: i64 = 1_795_435_200; // Monday 2026-11-23 12:00 in London

    fn worlds() -> Worlds {
        let text = include_str!("../../../merchant-rules/demo.toml");
        Worlds::new(Books::open(&Programme::read(text).unwrap()).unwrap())
    }

    fn asked(number: usize, amount_minor: i64, heard: Option<Answer>) -> Effect {
        let question = Question {
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
        let reason = (heard == Some(Answer::NotPaid)).then(|| "over_period".to_owned());
        let heard = heard.map(|answer| Heard { answer, reason });
        Effect::Asked { question, sequence: 0, heard }
    }

    #[test]
    fn either_of_two_may_be_paid_and_not_both() {
        let race = |one, other| {
            let effects = [asked(1, 20_00, Some(one)), asked(2, 21_00, Some(other))];
            let mut worlds = worlds();
            let taken = worlds.take(&effects, &[NOON]);
            taken.map(|()| worlds.0[0].people[ANA].pots[0].held_minor)
        };
        assert_eq!(race(Answer::Approved, Answer::NotPaid), Ok(20_00));
        assert_eq!(race(Answer::NotPaid, Answer::Approved), Ok(21_00));
        assert!(race(Answer::Approved, Answer::Approved).is_err());
        assert!(race(Answer::NotPaid, Answer::NotPaid).is_err());
    }

    #[test]
    fn a_lost_answer_is_open_until_the_issuer_tells() {
        let mut worlds = worlds();
        worlds.take(&[asked(1, 20_00, None)], &[NOON]).unwrap();
        assert_eq!(worlds.0.len(), 2);
        let told = Effect::Told {
            number: 1,
            own: 9,
            whose: (ANA, &shops::BUS),
            news: News::Word(Word {
                at: NOON,
                is_update: true,
                answers: 1,
                listed: 0,
                stands: Stands::Reversed,
            }),
            bought_at: NOON,
        };
        let mut later = worlds.clone();
        later.take(&[told], &[NOON]).unwrap();
        assert!(later.0.iter().all(|books| books.people[ANA].pots[0].held_minor == 0));
        // A next answer can tell it as well.
        worlds.take(&[asked(2, 20_00, Some(Answer::NotPaid))], &[NOON]).unwrap();
        assert_eq!(worlds.0.len(), 1);
    }
}
