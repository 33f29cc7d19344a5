use super::*;
use crate::shops;

const DEE: usize = 0;
const ANA: usize = 2;

fn demo() -> Books {
    let text = include_str!("../../../merchant-rules/demo.toml");
    Books::open(&Programme::read(text).unwrap()).unwrap()
}

/// (held, spent, left) of each of the person's pots.
fn pots(books: &Books, person: usize) -> Vec<(i64, i64, i64)> {
    let pots = &books.people[person].pots;
    pots.iter().map(|pot| (pot.held_minor, pot.spent_minor, pot.left_minor())).collect()
}

/// Short ways of saying things about a purchase that is known.
impl Books {
    pub(crate) fn hold(
        &mut self,
        number: usize,
        person: usize,
        shop: &'static Shop,
        amount_minor: i64,
        at: i64,
    ) {
        let question = self.purchases.get(&number).map_or(0, |known| known.promises.len());
        self.approve(number, (person, shop), Promise { question, amount_minor, allowed: None }, at);
    }

    /// The issuer keeps only this much aside from now on.
    pub(crate) fn lower(&mut self, number: usize, to_minor: i64) {
        let known = Arc::clone(&self.purchases[&number]);
        let word = Word {
            at: i64::MAX,
            answers: known.promises.len(),
            is_over: to_minor == 0,
            event: String::new(),
            total_minor: (to_minor > 0).then_some(to_minor + known.captured_minor),
        };
        self.hear(number, (known.person, known.shop), word, 0);
    }

    fn claim(&mut self, number: usize, amount_minor: i64) {
        let known = Arc::clone(&self.purchases[&number]);
        self.capture(number, (known.person, known.shop), amount_minor, 0);
    }

    fn pay_back(&mut self, number: usize, amount_minor: i64) {
        let known = Arc::clone(&self.purchases[&number]);
        self.refund(number, (known.person, known.shop), amount_minor, 0);
    }
}

#[test]
fn a_vet_is_paid_from_two_pots_in_order() {
    let mut books = demo();
    books.hold(1, DEE, &shops::VETS[0], 48_00, 0);
    assert_eq!(books.parts(1), [("pets".to_owned(), 40_00), ("your week".to_owned(), 8_00)]);
    books.claim(1, 48_00);
    assert_eq!(pots(&books, DEE)[0], (0, 40_00, 0));
    assert_eq!(pots(&books, DEE)[2], (0, 8_00, 55_90));
}

#[test]
fn half_a_refund_fills_the_pot_that_was_drawn_last_first() {
    let mut books = demo();
    books.hold(1, DEE, &shops::VETS[0], 48_00, 0);
    books.claim(1, 48_00);
    books.pay_back(1, 24_00);
    assert_eq!(pots(&books, DEE)[0], (0, 24_00, 16_00));
    assert_eq!(pots(&books, DEE)[2], (0, 0, 63_90));
    books.pay_back(1, 30_00);
    assert_eq!(books.suspense_minor, 6_00, "only 24.00 was left to refund");
}

#[test]
fn an_over_capture_takes_the_pot_then_exposure() {
    let mut books = demo();
    books.hold(1, ANA, &shops::CAFES[0], 44_00, 0);
    books.claim(1, 46_50);
    assert_eq!(pots(&books, ANA), [(0, 45_00, 0)]);
    assert_eq!(books.exposure_minor, 1_50);
}

#[test]
fn emergency_money_is_the_last_and_only_for_its_categories() {
    let mut books = demo();
    let date = crate::stories::STORY_DAY;
    assert_eq!(books.cover(DEE, "food", 63_90, date), [(2, 63_90)]);
    assert_eq!(books.cover(DEE, "food", 70_00, date), [(2, 63_90), (3, 6_10)]);
    assert_eq!(books.cover(DEE, "clothes", 70_00, date), [(2, 63_90)]);
    books.hold(1, DEE, &shops::NEWSAGENTS[0], 70_00, 0);
    assert_eq!(pots(&books, DEE)[3], (6_10, 0, 13_90));
}

#[test]
fn a_released_rest_stops_counting_and_a_late_capture_still_pays() {
    let mut books = demo();
    books.hold(1, DEE, &shops::NEWSAGENTS[0], 9_00, 0);
    books.claim(1, 7_00);
    books.lower(1, 0);
    assert_eq!(pots(&books, DEE)[2], (0, 7_00, 56_90));
    assert_eq!(books.purchases[&1].committed_minor(), 7_00);
    books.claim(1, 1_00);
    assert_eq!(pots(&books, DEE)[2], (0, 8_00, 55_90));
}

#[test]
fn a_charge_nobody_was_asked_about_is_paid() {
    let mut books = demo();
    books.capture(1, (ANA, &shops::BUS), 2_40, 0);
    assert_eq!(pots(&books, ANA), [(0, 2_40, 42_60)]);
}

/// The demo of a programme that keeps 5 % more aside, with one purchase priced in another currency.
fn demo_abroad() -> Books {
    let text = include_str!("../../../merchant-rules/demo.toml");
    let text = text.replacen("[programme]", "[programme]\nexchange_margin_percent = 5", 1);
    let mut books = Books::open(&Programme::read(&text).unwrap()).unwrap();
    books.price_abroad(1);
    books
}

#[test]
fn another_currency_keeps_a_margin_aside_until_all_is_claimed() {
    let mut books = demo_abroad();
    books.hold(1, ANA, &shops::CAFES[0], 20_00, 0);
    books.hold(2, ANA, &shops::CAFES[0], 1_00, 0);
    assert_eq!(pots(&books, ANA), [(22_00, 0, 23_00)]);
    assert_eq!(books.purchases[&1].committed_minor(), 20_00);
    books.claim(1, 12_00);
    assert_eq!(pots(&books, ANA), [(10_00, 12_00, 23_00)]);
    books.lower(1, 4_01);
    assert_eq!(pots(&books, ANA), [(5_82, 12_00, 27_18)], "16.01 and 81 pence, less 12.00");
    books.claim(1, 4_20);
    assert_eq!(pots(&books, ANA), [(1_00, 16_20, 27_80)]);
    assert_eq!(books.exposure_minor, 0);
}

#[test]
fn a_margin_takes_what_there_is_and_pays_for_more_of_the_same() {
    let mut books = demo_abroad();
    books.hold(1, ANA, &shops::BUS, 43_00, 0);
    assert_eq!(pots(&books, ANA), [(45_00, 0, 0)], "45.15 would be kept");
    books.hold(1, ANA, &shops::BUS, 2_00, 0);
    assert_eq!(pots(&books, ANA), [(45_00, 0, 0)]);
    assert_eq!(books.purchases[&1].margin_held_minor(), 0);
    books.lower(1, 0);
    assert_eq!(pots(&books, ANA), [(0, 0, 45_00)]);
}
