//! What the gateway must answer, computed from the books and the agreement.

use std::collections::BTreeSet;

use jiff::{Zoned, civil::Date};

use crate::{
    books::{Books, PersonBook, Purchase},
    programme::{CardState, Limit, Narrow, Per, Scope, Term, Wide, Word},
    shops::{Shop, Till},
};

/// One question of the issuer, in our words.
#[derive(Debug, Clone)]
pub(crate) struct Question {
    /// The number of the purchase in the plan.
    pub(crate) number: usize,
    /// Index into the books' people; none for a card that nobody knows.
    pub(crate) person: Option<usize>,
    pub(crate) card: CardState,
    pub(crate) shop: &'static Shop,
    /// What is asked for now; of an increment only the increment.
    pub(crate) amount_minor: i64,
    pub(crate) is_amount_controllable: bool,
}

/// What the books say the answer must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    Approve,
    /// Less than was asked.
    Part(i64),
    /// The reasons of the first check that fails; any one of them may be told.
    Decline(BTreeSet<&'static str>),
}

impl Books {
    /// The checks in their order: card, law of the money, agreement, limits, money.
    pub(crate) fn judge(&self, question: &Question, at: i64) -> Verdict {
        let told = |reason| Verdict::Decline(BTreeSet::from([reason]));
        let known = question.person.and_then(|index| Some((index, self.people.get(index)?)));
        let (index, person) = match (question.card, known) {
            (CardState::Active, Some(known)) => known,
            (CardState::Replaced, Some(_)) => return told("old_card"),
            (CardState::Lost, Some(_)) => return told("card_lost"),
            (CardState::Unknown, _) | (_, None) => return told("unknown_card"),
        };
        if person.is_frozen {
            return told("frozen_self");
        }
        if question.amount_minor == 0 {
            return Verdict::Approve; // the shop only looks whether the card is good
        }
        let shop = question.shop;
        if is_unlawful(person, shop.category) {
            return told("funder_rule");
        }
        let now = self.local(at);
        let mut terms = Applying::of(person, shop, &self.country, &now);
        if self.is_allowed(index, shop, question.amount_minor) {
            terms.matched = None;
        }
        let mut reasons = terms.refusals(shop);
        if !reasons.is_empty() {
            if self.was_allowed(index, shop) {
                reasons.insert("ok_used");
            }
            return Verdict::Decline(reasons);
        }
        let reasons = self.limits_broken(question, index, &terms, &now);
        if !reasons.is_empty() {
            return Verdict::Decline(reasons);
        }
        let parts = self.cover(index, shop.category, question.amount_minor);
        let kept = self.purchases.get(&question.number).map_or(0, |p| p.margin_held_minor());
        let covered = parts.iter().map(|(_, part)| part).sum::<i64>() + kept;
        if covered >= question.amount_minor {
            Verdict::Approve
        } else if covered > 0 && question.is_amount_controllable && person.is_partial_agreed {
            Verdict::Part(covered)
        } else {
            told("no_money")
        }
    }

    fn limits_broken(
        &self,
        question: &Question,
        person: usize,
        terms: &Applying<'_>,
        now: &Zoned,
    ) -> BTreeSet<&'static str> {
        let open = self.purchases.get(&question.number).filter(|p| p.committed_minor() > 0);
        let already = open.map_or(0, |purchase| purchase.committed_minor());
        // All of a purchase counts on one day, increments of a later day included.
        let day = open.map_or(now.date(), |purchase| purchase.day);
        let mut reasons = BTreeSet::new();
        for term in terms.all() {
            for limit in &term.limits {
                let (amount, count) = if limit.per == Per::Purchase {
                    (already, 0)
                } else {
                    self.counted(person, term, limit, day)
                };
                if limit.amount.is_some_and(|most| amount + question.amount_minor > most.0) {
                    reasons.insert(match limit.per {
                        Per::Purchase => "over_purchase",
                        Per::Day | Per::Week | Per::Month | Per::Agreement => "over_period",
                    });
                    if question.shop.category == "unsorted" {
                        reasons.insert("unsorted_ask");
                    }
                }
                if open.is_none() && limit.count.is_some_and(|most| count + 1 > most) {
                    reasons.insert("too_many");
                }
            }
        }
        reasons
    }

    /// What has been used of a limit in its period: the amount, and how many purchases.
    fn counted(&self, person: usize, term: &Term, limit: &Limit, day: Date) -> (i64, usize) {
        let Some(book) = self.people.get(person) else { return (0, 0) };
        let (mut amount, mut count) = (0, 0);
        for purchase in self.purchases.values().filter(|p| p.person == person) {
            let committed = purchase.committed_minor();
            if committed > 0
                && is_same_period(limit.per, purchase.day, day)
                && self.covers(book, term, purchase)
            {
                amount += committed;
                count += 1;
            }
        }
        (amount, count)
    }

    fn covers(&self, person: &PersonBook, term: &Term, purchase: &Purchase) -> bool {
        let shop = purchase.shop;
        match &term.on {
            Scope::Narrow(narrow) => is_about(narrow, shop),
            Scope::Wide(Wide::Everything | Wide::Hours) => true,
            Scope::Wide(Wide::EverythingElse) => most_specific(person, shop).is_none(),
            Scope::Wide(Wide::Cash) => shop.category == "cash",
            Scope::Wide(Wide::CashBack) => false,
            Scope::Wide(Wide::Online) => purchase.till == Till::Online,
            Scope::Wide(Wide::Abroad) => shop.country != self.country,
        }
    }
}

/// Whether the law forbids it to every pot that was agreed for it, or to every pot when none was.
fn is_unlawful(person: &PersonBook, category: &str) -> bool {
    let agreed: Vec<_> = person.pots.iter().filter(|pot| pot.is_agreed_for(category)).collect();
    let asked = if agreed.is_empty() { person.pots.iter().collect() } else { agreed };
    !asked.is_empty() && asked.iter().all(|pot| pot.is_barred(category))
}

/// The terms that have a say in one purchase.
struct Applying<'a> {
    matched: Option<&'a Term>,
    gates: Vec<&'a Term>,
    everything: Vec<&'a Term>,
}

impl<'a> Applying<'a> {
    fn of(person: &'a PersonBook, shop: &Shop, country: &str, now: &Zoned) -> Self {
        let wide =
            |wanted: Wide| person.terms.iter().filter(move |term| term.on == Scope::Wide(wanted));
        let mut gates = Vec::new();
        if shop.category == "cash" {
            gates.extend(wide(Wide::Cash));
        }
        if shop.till == Till::Online {
            gates.extend(wide(Wide::Online));
        }
        if shop.country != country {
            gates.extend(wide(Wide::Abroad));
        }
        gates.extend(wide(Wide::Hours).filter(|term| {
            term.hours.is_some_and(|hours| now.time() < hours.from || now.time() >= hours.to)
        }));
        Self {
            matched: most_specific(person, shop).or_else(|| wide(Wide::EverythingElse).next()),
            gates,
            everything: wide(Wide::Everything).collect(),
        }
    }

    fn all(&self) -> impl Iterator<Item = &'a Term> {
        let gates = self.gates.iter().chain(&self.everything).copied();
        self.matched.into_iter().chain(gates)
    }

    fn refusals(&self, shop: &Shop) -> BTreeSet<&'static str> {
        let refused = |term: &&Term| matches!(term.answer, Some(Word::Ask | Word::No));
        let mut reasons: BTreeSet<_> = self
            .gates
            .iter()
            .copied()
            .filter(refused)
            .filter_map(|term| match term.on {
                Scope::Wide(Wide::Cash | Wide::CashBack) => Some("cash_off"),
                Scope::Wide(Wide::Online) => Some("online_off"),
                Scope::Wide(Wide::Abroad) => Some("abroad_off"),
                Scope::Wide(Wide::Hours) => Some("hours"),
                Scope::Wide(Wide::Everything | Wide::EverythingElse) | Scope::Narrow(_) => None,
            })
            .collect();
        if let Some(term) = self.matched.filter(refused) {
            reasons.insert(match (&term.on, term.answer) {
                (Scope::Narrow(Narrow::Shop(_)), _) => "place_off",
                (_, Some(Word::Ask)) if shop.category == "unsorted" => "unsorted_ask",
                (_, Some(Word::Ask)) => "category_ask",
                (_, Some(Word::Yes | Word::No) | None) => "category_off",
            });
        }
        reasons
    }
}

/// The term for this shop, else this code, else this category.
fn most_specific<'a>(person: &'a PersonBook, shop: &Shop) -> Option<&'a Term> {
    let rank = |term: &Term| match &term.on {
        Scope::Narrow(narrow) if is_about(narrow, shop) => Some(match narrow {
            Narrow::Shop(_) => 0,
            Narrow::Code(_) => 1,
            Narrow::Category(_) => 2,
        }),
        Scope::Narrow(_) | Scope::Wide(_) => None,
    };
    person
        .terms
        .iter()
        .filter_map(|term| Some((rank(term)?, term)))
        .min_by_key(|t| t.0)
        .map(|t| t.1)
}

fn is_about(narrow: &Narrow, shop: &Shop) -> bool {
    match narrow {
        Narrow::Shop(name) => name.eq_ignore_ascii_case(shop.descriptor),
        Narrow::Code(code) => code == shop.code,
        Narrow::Category(category) => category == shop.category,
    }
}

fn is_same_period(per: Per, then: Date, now: Date) -> bool {
    match per {
        Per::Purchase => false,
        Per::Day => then == now,
        Per::Week => {
            then.iso_week_date().first_of_week().ok() == now.iso_week_date().first_of_week().ok()
        }
        Per::Month => then.first_of_month() == now.first_of_month(),
        Per::Agreement => true,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{programme::Programme, shops};

    const NOON: i64 = 1_795_435_200; // Monday 2026-11-23 12:00 in London

    fn demo() -> Books {
        let text = include_str!("../../merchant-rules/demo.toml");
        Books::open(&Programme::read(text).unwrap()).unwrap()
    }

    fn ask(person: usize, shop: &'static Shop, amount_minor: i64) -> Question {
        Question {
            number: 99,
            person: Some(person),
            card: CardState::Active,
            shop,
            amount_minor,
            is_amount_controllable: true,
        }
    }

    fn no(reason: &'static str) -> Verdict {
        Verdict::Decline(BTreeSet::from([reason]))
    }

    #[test]
    fn noon_is_noon_on_the_story_day() {
        assert_eq!(demo().local(NOON).datetime().to_string(), "2026-11-23T12:00:00");
    }

    #[test]
    fn the_most_specific_term_answers() {
        let books = demo();
        assert_eq!(books.judge(&ask(0, &shops::PETROL_STATIONS[0], 10_00), NOON), Verdict::Approve);
        assert_eq!(
            books.judge(&ask(0, &shops::PETROL_STATIONS[0], 10_01), NOON),
            no("over_purchase")
        );
        assert_eq!(books.judge(&ask(0, &shops::PHONE_SHOPS[0], 79_00), NOON), no("category_ask"));
        assert_eq!(books.judge(&ask(1, &shops::THEORY_TEST, 11_50), NOON), Verdict::Approve);
        assert_eq!(books.judge(&ask(1, &shops::COURSE, 11_50), NOON), no("category_ask"));
    }

    #[test]
    fn a_barred_category_is_the_funders_word_and_not_the_agreements() {
        assert_eq!(demo().judge(&ask(1, &shops::BETTING_SHOP, 5_00), NOON), no("funder_rule"));
        assert_eq!(demo().judge(&ask(0, &shops::OFF_LICENCE, 5_00), NOON), no("category_off"));
    }

    #[test]
    fn a_margin_is_no_reason_and_may_pay_for_more_of_the_same() {
        let text = include_str!("../../merchant-rules/demo.toml");
        let text = text.replacen("[programme]", "[programme]\nexchange_margin_percent = 10", 1);
        let mut books = Books::open(&Programme::read(&text).unwrap()).unwrap();
        books.price_abroad(99);
        // Ana has 45.00, and here nothing but money decides.
        books.people[2].terms = Arc::default();
        let bus = |amount| ask(2, &shops::BUS, amount);
        books.hold(99, 2, &shops::BUS, 27_00, NOON);
        assert_eq!(books.people[2].pots[0].held_minor, 29_70);
        assert_eq!(books.judge(&bus(18_01), NOON), Verdict::Part(18_00));
        assert_eq!(books.judge(&bus(18_00), NOON), Verdict::Approve);
    }

    #[test]
    fn a_released_hold_gives_the_day_back() {
        let mut books = demo();
        books.hold(1, 1, &shops::SUPERMARKETS[0], 22_00, NOON);
        let again = ask(1, &shops::SUPERMARKETS[1], 21_00);
        assert_eq!(books.judge(&again, NOON + 60), no("over_period"));
        assert_eq!(books.judge(&again, NOON + 86_400), Verdict::Approve, "the next day");
        books.lower(1, 0);
        assert_eq!(books.judge(&again, NOON + 60), Verdict::Approve);
    }

    #[test]
    fn a_week_begins_on_monday() {
        let mut books = demo();
        books.hold(1, 0, &shops::CASH_MACHINE, 15_00, NOON - 86_400);
        let cash = ask(0, &shops::CASH_MACHINE, 20_00);
        assert_eq!(books.judge(&cash, NOON), Verdict::Approve);
        assert_eq!(books.judge(&cash, NOON - 3600 * 13), no("over_period"), "Sunday 23:00");
    }

    #[test]
    fn counts_gates_and_the_line_over_everything_apply_together() {
        let mut books = demo();
        for number in 1..=3 {
            books.hold(number, 2, &shops::CAFES[0], 3_00, NOON);
        }
        assert_eq!(books.judge(&ask(2, &shops::CAFES[1], 3_00), NOON), no("too_many"));
        assert_eq!(books.judge(&ask(2, &shops::CHEMISTS[0], 26_01), NOON), no("over_period"));
        assert_eq!(books.judge(&ask(2, &shops::BOOKS_ONLINE, 1_00), NOON), no("online_off"));
        let late = NOON + 11 * 3600;
        assert_eq!(books.judge(&ask(2, &shops::CHEMISTS[0], 1_00), late), no("hours"));
    }

    #[test]
    fn only_a_shortfall_of_money_is_made_partial() {
        let mut books = demo();
        books.hold(1, 1, &shops::FURNITURE, 60_00, NOON);
        assert_eq!(books.judge(&ask(1, &shops::SHOE_SHOPS[0], 38_00), NOON), Verdict::Part(20_00));
        assert_eq!(books.judge(&ask(1, &shops::SHOE_SHOPS[0], 61_00), NOON), no("over_purchase"));
        let mut fixed = ask(1, &shops::SHOE_SHOPS[0], 38_00);
        fixed.is_amount_controllable = false;
        assert_eq!(books.judge(&fixed, NOON), no("no_money"));
    }
}
