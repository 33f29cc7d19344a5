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

impl PurchaseReference {
    /// A message that is received at the moment of the purchase.
    pub(crate) const fn at_once(number: usize, on: (usize, &'static Shop), at: i64) -> Self {
        Self { number, person: on.0, shop: on.1, when: PurchaseTimes::at_once(at) }
    }
}

impl Presentment {
    /// An amount in the card's own currency.
    pub(crate) const fn of(amount_minor: i64) -> Self {
        Self { amount_minor, merchant_amount: None }
    }
}

/// Shorthands for purchases that the books already know.
impl Books {
    pub(crate) fn hold(
        &mut self,
        number: usize,
        person: usize,
        shop: &'static Shop,
        amount_minor: i64,
        at: i64,
    ) {
        let question = self.purchases.get(&number).map_or(0, |known| known.approvals.len());
        let approval =
            AuthorisationApproval { request_number: question, amount_minor, allowed: None };
        self.approve(PurchaseReference::at_once(number, (person, shop), at), approval);
    }

    /// The purchase, for a message about it.
    fn known(&self, number: usize) -> PurchaseReference {
        let known = &self.purchases[&number];
        PurchaseReference::at_once(number, (known.person, known.shop), 0)
    }

    /// The issuer lowers the hold to this amount.
    pub(crate) fn lower(&mut self, number: usize, to_minor: i64) {
        let known = Arc::clone(&self.purchases[&number]);
        let total = to_minor + known.captured_minor;
        let snapshot = AuthorisationSnapshot {
            at: i64::MAX,
            is_update: true,
            answers: known.approvals.len(),
            captures_listed: 0,
            status: if to_minor == 0 { HoldStatus::Reversed } else { HoldStatus::Open(total) },
        };
        self.apply_snapshot(self.known(number), snapshot);
    }

    fn presentment(&mut self, number: usize, amount_minor: i64) {
        self.capture(self.known(number), Presentment::of(amount_minor));
    }

    fn pay_back(&mut self, number: usize, amount_minor: i64) {
        self.refund(self.known(number), Presentment::of(amount_minor));
    }
}

#[test]
fn a_vet_is_paid_from_two_pots_in_order() {
    let mut books = demo();
    books.hold(1, DEE, &shops::VETS[0], 48_00, 0);
    assert_eq!(books.parts(1), [("pets".to_owned(), 40_00), ("your week".to_owned(), 8_00)]);
    books.presentment(1, 48_00);
    assert_eq!(pots(&books, DEE)[0], (0, 40_00, 0));
    assert_eq!(pots(&books, DEE)[2], (0, 8_00, 55_90));
}

#[test]
fn half_a_refund_fills_the_pot_that_was_drawn_last_first() {
    let mut books = demo();
    books.hold(1, DEE, &shops::VETS[0], 48_00, 0);
    books.presentment(1, 48_00);
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
    books.presentment(1, 46_50);
    assert_eq!(pots(&books, ANA), [(0, 45_00, 0)]);
    assert_eq!(books.exposure_minor, 1_50);
}

#[test]
fn emergency_money_is_the_last_and_only_for_its_categories() {
    let mut books = demo();
    let date = crate::stories::STORY_DAY;
    assert_eq!(books.cover(DEE, &shops::NEWSAGENTS[0], 63_90, date), [(2, 63_90)]);
    assert_eq!(books.cover(DEE, &shops::NEWSAGENTS[0], 70_00, date), [(2, 63_90), (3, 6_10)]);
    assert_eq!(books.cover(DEE, &shops::SHOE_SHOPS[0], 70_00, date), [(2, 63_90)]);
    books.hold(1, DEE, &shops::NEWSAGENTS[0], 70_00, 0);
    assert_eq!(pots(&books, DEE)[3], (6_10, 0, 13_90));
}

#[test]
fn a_released_rest_stops_counting_and_a_late_capture_still_pays() {
    let mut books = demo();
    books.hold(1, DEE, &shops::NEWSAGENTS[0], 9_00, 0);
    books.presentment(1, 7_00);
    books.lower(1, 0);
    assert_eq!(pots(&books, DEE)[2], (0, 7_00, 56_90));
    assert_eq!(books.purchases[&1].committed_minor(), 7_00);
    books.presentment(1, 1_00);
    assert_eq!(pots(&books, DEE)[2], (0, 8_00, 55_90));
}

#[test]
fn a_charge_nobody_was_asked_about_is_paid() {
    let mut books = demo();
    let bus = PurchaseReference::at_once(1, (ANA, &shops::BUS), 0);
    books.capture(bus, Presentment::of(2_40));
    assert_eq!(pots(&books, ANA), [(0, 2_40, 42_60)]);
}

/// The demo programme with a margin of 5 %, and one purchase priced in another currency.
fn demo_abroad() -> Books {
    let text = include_str!("../../../merchant-rules/demo.toml");
    let text = text.replacen("[programme]", "[programme]\nexchange_margin_percent = 5", 1);
    let mut books = Books::open(&Programme::read(&text).unwrap()).unwrap();
    books.mark_foreign(1);
    books
}

#[test]
fn another_currency_keeps_a_margin_aside_until_all_is_claimed() {
    let mut books = demo_abroad();
    books.hold(1, ANA, &shops::CAFES[0], 20_00, 0);
    books.hold(2, ANA, &shops::CAFES[0], 1_00, 0);
    assert_eq!(pots(&books, ANA), [(22_00, 0, 23_00)]);
    assert_eq!(books.purchases[&1].committed_minor(), 20_00);
    books.presentment(1, 12_00);
    assert_eq!(pots(&books, ANA), [(10_00, 12_00, 23_00)]);
    books.lower(1, 4_01);
    assert_eq!(pots(&books, ANA), [(5_82, 12_00, 27_18)], "16.01 and 81 pence, less 12.00");
    books.presentment(1, 4_20);
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

#[test]
fn a_gain_by_another_rate_goes_to_the_pot_that_paid_and_what_it_does_not_explain_waits() {
    let cafe = PurchaseReference::at_once(1, (ANA, &shops::CAFES[0]), 0);
    let of = |amount_minor, euros| Presentment { amount_minor, merchant_amount: Some(euros) };
    for (refunds, left, suspense) in [
        (vec![of(20_40, 23_40)], 45_40, 0),
        (vec![of(21_50, 23_40)], 46_00, 50),
        (vec![of(19_20, 23_40)], 44_20, 0),
        (vec![of(20_40, 23_41)], 45_00, 40),
        (vec![of(10_40, 11_70), of(10_40, 11_70)], 45_80, 0),
    ] {
        let mut books = demo_abroad();
        books.hold(1, ANA, &shops::CAFES[0], 20_00, 0);
        books.capture(cafe, of(20_00, 23_40));
        for refund in &refunds {
            books.refund(cafe, *refund);
        }
        assert_eq!(books.people[ANA].pots[0].left_minor(), left, "{refunds:?}");
        assert_eq!(books.suspense_minor, suspense, "{refunds:?}");
        // The result is the same if the capture comes last.
        let mut late = demo_abroad();
        late.hold(1, ANA, &shops::CAFES[0], 20_00, 0);
        for refund in &refunds {
            late.refund(cafe, *refund);
        }
        late.capture(cafe, of(20_00, 23_40));
        assert_eq!(late.people, books.people, "{refunds:?}");
        assert_eq!(late.suspense_minor, suspense, "{refunds:?}");
    }
}

#[test]
fn of_snapshots_of_one_second_the_one_that_knows_more_is_true() {
    let said = |is_update, answers, captures_listed, status| AuthorisationSnapshot {
        at: 5,
        is_update,
        answers,
        captures_listed,
        status,
    };
    let order = [
        said(false, 1, 0, HoldStatus::Open(10_00)),
        said(true, 1, 0, HoldStatus::Open(12_00)),
        said(true, 1, 0, HoldStatus::Open(8_00)),
        said(true, 2, 0, HoldStatus::Open(9_00)),
        said(true, 2, 1, HoldStatus::Open(9_00)),
        said(true, 2, 1, HoldStatus::Closed(9_00)),
        said(true, 2, 1, HoldStatus::Reversed),
    ];
    let bus = PurchaseReference::at_once(1, (ANA, &shops::BUS), 0);
    for turn in 0..order.len() {
        let mut books = demo();
        let mut words = order;
        words.rotate_left(turn);
        for snapshot in words {
            books.apply_snapshot(bus, snapshot);
        }
        assert_eq!(pots(&books, ANA)[0].0, 0, "reversed, whatever came last: {turn}");
        let mut books = demo();
        for snapshot in words.into_iter().filter(|snapshot| !snapshot.is_over()) {
            books.apply_snapshot(bus, snapshot);
        }
        assert_eq!(pots(&books, ANA)[0].0, 9_00, "{turn}");
    }
}

#[test]
fn money_back_that_names_another_shops_purchase_finds_the_only_one_that_fits() {
    let mut books = demo();
    for (number, shop) in [(1, &shops::BUS), (2, &shops::GYM), (3, &shops::GYM)] {
        books.hold(number, ANA, shop, 5_00, 0);
    }
    let gym = |books: &Books, amount| books.refund_target(1, 99, (ANA, &shops::GYM), amount);
    assert_eq!(books.refund_target(1, 99, (ANA, &shops::BUS), 5_00), 1);
    assert_eq!(gym(&books, 5_00), 99, "nothing was claimed");
    books.presentment(2, 5_00);
    assert_eq!(gym(&books, 5_00), 2);
    assert_eq!(gym(&books, 5_01), 99);
    books.presentment(3, 4_00);
    assert_eq!(gym(&books, 4_50), 2);
    assert_eq!(gym(&books, 4_00), 99, "either");
    books.pay_back(2, 3_00);
    assert_eq!(gym(&books, 4_00), 3);
}
