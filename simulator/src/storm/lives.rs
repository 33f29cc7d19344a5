//! The lives of purchases: what tills, shops and the issuer do, one after another.

use super::plan::{Act, Amount, Teller};
use crate::{
    issuers::{file::Share, stripe::Foreign},
    programme::Card,
    shops::{self, Shop},
};

/// How many kinds of lives there are.
#[cfg(test)]
pub(super) const STORIES: usize = 29;

/// How many purchases a life took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Numbers {
    One,
    Two,
}

/// Tells one life, or, where there is a second number, two that race.
pub(super) fn tell(teller: &mut Teller<'_>, number: usize, has_second: bool) -> Numbers {
    match teller.pence(0, 139) {
        0..40 => plain(teller, number),
        40..46 => claimed_below(teller, number),
        46..52 => claimed_above(teller, number),
        52..57 => two_parcels(teller, number),
        57..62 => increments(teller, number),
        62..66 => shrinking_order(teller, number),
        66..72 => given_back(teller, number),
        72..76 => up_again(teller, number),
        76..80 => expired(teller, number),
        80..83 => charged_unasked(teller, number),
        83..89 => refunded(teller, number),
        89..91 => refunded_before_the_claim(teller, number),
        91..95 => cash(teller, number),
        95..98 => fuel(teller, number),
        98..101 => hotel(teller, number),
        101..104 => foreign(teller, number),
        104..106 => card_check(teller, number),
        106..108 => refused_by_issuer(teller, number),
        108..110 => nobodys_card(teller, number),
        110..112 => charged_although_refused(teller, number),
        112..116 => hasty(teller, number),
        132..137 if has_second => {
            tried_again(teller, number);
            return Numbers::Two;
        }
        116..119 => told_after_the_claim(teller, number),
        119..122 => refunded_at_another_rate(teller, number),
        122..125 => bought_and_brought_back(teller, number),
        125..127 => cash_with_a_fee(teller, number),
        127..132 if has_second => {
            misfit(teller, number);
            return Numbers::Two;
        }
        _ if has_second => {
            race(teller, number);
            return Numbers::Two;
        }
        _ => plain(teller, number),
    }
    Numbers::One
}

/// Shops of every kind, the everyday ones more often.
fn a_shop(teller: &mut Teller<'_>) -> &'static Shop {
    let few: [&'static Shop; 13] = [
        &shops::NEXT_DOOR,
        &shops::OFF_LICENCE,
        &shops::BETTING_SHOP,
        &shops::UNSORTED,
        &shops::BUS,
        &shops::BIKE_HIRE,
        &shops::GYM,
        &shops::THEORY_TEST,
        &shops::COURSE,
        &shops::FURNITURE,
        &shops::STREAMING,
        &shops::BOOKS_ONLINE,
        &shops::DINER_ABROAD,
    ];
    let many: [&'static [Shop]; 11] = [
        &shops::NEWSAGENTS,
        &shops::SUPERMARKETS,
        &shops::SUPERMARKETS,
        &shops::LAUNDERETTES,
        &shops::VETS,
        &shops::PHONE_SHOPS,
        &shops::MARKET_STALLS,
        &shops::CAFES,
        &shops::DIY_SHOPS,
        &shops::CHEMISTS,
        &shops::SHOE_SHOPS,
    ];
    let group = if teller.chance(4) { None } else { teller.pick(&many) };
    let shop = match group {
        Some(group) => group.get(usize::try_from(teller.pence(0, 1)).unwrap_or(0)),
        None => teller.pick(&few),
    };
    shop.unwrap_or(&shops::BUS)
}

/// Somebody pays at a till: the question, and what the issuer made of the answer.
fn buy(teller: &mut Teller<'_>, number: usize, story: &'static str) -> usize {
    let shop = a_shop(teller);
    let amount =
        if teller.chance(12) { teller.pence(30_00, 90_00) } else { teller.pence(1, 18_00) };
    buy_at(teller, number, story, shop, amount)
}

fn buy_at(
    teller: &mut Teller<'_>,
    number: usize,
    story: &'static str,
    shop: &'static Shop,
    amount: i64,
) -> usize {
    let life = teller.life(number, story, shop);
    teller.ask(life, Amount::Exactly(amount));
    teller.say(life, Act::Confirm);
    life
}

fn claimed(teller: &mut Teller<'_>, life: usize, share: Share) {
    teller.wait(4);
    teller.say(life, Act::Capture(share));
    teller.say(life, Act::Close);
}

fn plain(teller: &mut Teller<'_>, number: usize) {
    let life = buy(teller, number, "plain");
    claimed(teller, life, Share::All);
}

fn claimed_below(teller: &mut Teller<'_>, number: usize) {
    let life = buy(teller, number, "claimed below");
    let less = teller.pence(1, 2_00);
    claimed(teller, life, Share::Less(less));
}

fn claimed_above(teller: &mut Teller<'_>, number: usize) {
    let life = buy(teller, number, "claimed above");
    let more = teller.pence(1, 6_00);
    claimed(teller, life, Share::More(more));
}

fn two_parcels(teller: &mut Teller<'_>, number: usize) {
    let life = buy(teller, number, "two parcels");
    teller.wait(2);
    teller.say(life, Act::Capture(Share::Half));
    claimed(teller, life, Share::All);
}

fn increments(teller: &mut Teller<'_>, number: usize) {
    let life = buy(teller, number, "increments");
    for _ in 0..teller.pence(1, 3) {
        teller.wait(2);
        let more = teller.pence(1, 6_00);
        teller.ask(life, Amount::Exactly(more));
        teller.say(life, Act::Confirm);
    }
    claimed(teller, life, Share::All);
}

fn shrinking_order(teller: &mut Teller<'_>, number: usize) {
    let life = buy(teller, number, "a shrinking order");
    teller.wait(2);
    let less = teller.pence(1, 5_00);
    teller.say(life, Act::Lower(less));
    claimed(teller, life, Share::All);
}

fn given_back(teller: &mut Teller<'_>, number: usize) {
    let life = buy(teller, number, "given back");
    teller.wait(3);
    teller.say(life, Act::Reverse);
}

/// A hold that goes to nothing, and is asked for or told of once more.
fn up_again(teller: &mut Teller<'_>, number: usize) {
    let life = buy(teller, number, "up again");
    teller.wait(2);
    teller.say(life, Act::Reverse);
    teller.wait(3);
    let amount = teller.pence(1, 9_00);
    if teller.chance(2) {
        teller.say(life, Act::Revive(amount));
    } else {
        teller.ask(life, Amount::Exactly(amount));
        teller.say(life, Act::Confirm);
    }
    claimed(teller, life, Share::All);
}

fn expired(teller: &mut Teller<'_>, number: usize) {
    let life = buy(teller, number, "expired, then claimed");
    teller.wait(6);
    teller.say(life, Act::Expire);
    if !teller.chance(3) {
        teller.wait(6);
        teller.say(life, Act::Capture(Share::All));
    }
}

fn charged_unasked(teller: &mut Teller<'_>, number: usize) {
    let shop = a_shop(teller);
    let life = teller.life(number, "charged unasked", shop);
    let amount = teller.pence(1, 12_00);
    teller.say(life, Act::ForceUnlinked(amount));
}

/// Half, all, twice, too much, or naming no purchase.
fn refunded(teller: &mut Teller<'_>, number: usize) {
    let life = buy(teller, number, "refunded");
    claimed(teller, life, Share::All);
    teller.wait(5);
    let refund = match teller.pence(0, 4) {
        0 => Act::RefundUnlinked(teller.pence(1, 9_00)),
        1 => Act::Refund(Share::More(teller.pence(1, 3_00))),
        2 => Act::Refund(Share::All),
        _ => Act::Refund(Share::Half),
    };
    teller.say(life, refund);
    if teller.chance(2) {
        teller.wait(3);
        teller.say(life, Act::Refund(Share::Half));
    }
}

/// The claim is told so late that the refund overtakes it.
fn refunded_before_the_claim(teller: &mut Teller<'_>, number: usize) {
    let life = buy(teller, number, "refunded before the claim");
    teller.say_late(life, Act::Capture(Share::All));
    teller.say(life, Act::Refund(Share::All));
    teller.say(life, Act::Close);
}

fn cash(teller: &mut Teller<'_>, number: usize) {
    let notes = teller.pence(1, 6) * 5_00;
    let life = buy_at(teller, number, "cash", &shops::CASH_MACHINE, notes);
    claimed(teller, life, Share::All);
}

/// A pound stands for a tank that nobody knows the price of.
fn fuel(teller: &mut Teller<'_>, number: usize) {
    let pump = &shops::PETROL_PUMP;
    let life = buy_at(teller, number, "fuel", pump, 1_00);
    let total = teller.pence(5_00, 40_00);
    if teller.chance(2) {
        teller.say(life, Act::Finalise(total));
        claimed(teller, life, Share::All);
    } else {
        claimed(teller, life, Share::More(total));
    }
}

/// Nights are added, and the bill comes days later, after the hold has run out or not.
fn hotel(teller: &mut Teller<'_>, number: usize) {
    let night = teller.pence(8_00, 20_00);
    let life = buy_at(teller, number, "hotel", &shops::HOTEL, night);
    for _ in 0..teller.pence(0, 3) {
        teller.wait(4);
        teller.ask(life, Amount::Exactly(night));
        teller.say(life, Act::Confirm);
    }
    teller.wait(8);
    if teller.chance(2) {
        teller.say(life, Act::Expire);
    }
    claimed(teller, life, Share::All);
}

/// The rate of the day of the claim is another one.
fn foreign(teller: &mut Teller<'_>, number: usize) {
    let life = teller.life(number, "foreign", &shops::DINER_ABROAD);
    if let Some(life) = teller.life_mut(life) {
        life.priced_in = Some(Foreign { currency: "eur", per_hundred: 117 });
    }
    let amount = teller.pence(2_00, 15_00);
    teller.ask(life, Amount::Exactly(amount));
    teller.say(life, Act::Confirm);
    if teller.chance(3) {
        let more = teller.pence(1, 4_00);
        teller.ask(life, Amount::Exactly(more));
        teller.say(life, Act::Confirm);
    }
    let difference = teller.pence(1, 60);
    let share = if teller.chance(2) { Share::More(difference) } else { Share::Less(difference) };
    claimed(teller, life, share);
}

fn card_check(teller: &mut Teller<'_>, number: usize) {
    let life = teller.life(number, "card check", &shops::STREAMING);
    teller.ask(life, Amount::Exactly(0));
    teller.say(life, Act::Confirm);
}

fn refused_by_issuer(teller: &mut Teller<'_>, number: usize) {
    let shop = a_shop(teller);
    let life = teller.life(number, "refused by the issuer", shop);
    let amount = teller.pence(1, 20_00);
    teller.say(life, Act::Refuse(amount));
}

fn nobodys_card(teller: &mut Teller<'_>, number: usize) {
    let shop = a_shop(teller);
    let life = teller.life(number, "nobody's card", shop);
    if let Some(life) = teller.life_mut(life) {
        life.card = Card { connection: life.card.connection.clone(), ..Card::of_nobody() };
        // What the issuer approves for nobody would be nobody's money.
        life.approves_without_us = false;
    }
    let amount = teller.pence(1, 20_00);
    teller.ask(life, Amount::Exactly(amount));
    teller.say(life, Act::Confirm);
}

/// Asked, and then claimed whatever the answer was.
fn charged_although_refused(teller: &mut Teller<'_>, number: usize) {
    let life = buy_at(teller, number, "charged although refused", &shops::BETTING_SHOP, 7_00);
    teller.wait(3);
    let amount = teller.pence(1, 7_00);
    teller.say(life, Act::Force(amount));
}

/// Two questions at once, with money for one.
fn race(teller: &mut Teller<'_>, number: usize) {
    let shop = &shops::BUS;
    let one = teller.life(number, "race", shop);
    let other = teller.life(number + 1, "race", shop);
    teller.race(one, other, Amount::MostOfAll);
    for life in [one, other] {
        teller.say_plainly(life, Act::Confirm);
        teller.say_plainly(life, Act::Reverse);
    }
}

/// Snapshots of one second, told in any order.
fn hasty(teller: &mut Teller<'_>, number: usize) {
    let shop = a_shop(teller);
    let life = teller.life(number, "many snapshots in one second", shop);
    if let Some(life) = teller.life_mut(life) {
        life.is_hasty = true;
    }
    let amount = teller.pence(5_00, 15_00);
    teller.ask(life, Amount::Exactly(amount));
    teller.say_late(life, Act::Confirm);
    let less = teller.pence(1, 3_00);
    teller.say(life, Act::Lower(less));
    if teller.chance(2) {
        let more = teller.pence(1, 2_00);
        teller.ask(life, Amount::Exactly(more));
        teller.say(life, Act::Confirm);
    }
    if teller.chance(3) {
        teller.say(life, Act::Reverse);
    } else {
        teller.say(life, Act::Capture(Share::All));
        teller.say(life, Act::Close);
    }
}

/// The issuer approves by itself, and its word comes after the claim.
fn told_after_the_claim(teller: &mut Teller<'_>, number: usize) {
    let shop = a_shop(teller);
    let life = teller.life(number, "told after the claim", shop);
    let amount = teller.pence(1, 15_00);
    teller.say_plainly(life, Act::StandIn(amount));
    teller.say_late(life, Act::Confirm);
    teller.wait(2);
    teller.say(life, Act::Capture(Share::All));
    teller.say(life, Act::Close);
}

/// All comes back in the shop's own currency, which is worth more by then, or less.
fn refunded_at_another_rate(teller: &mut Teller<'_>, number: usize) {
    let life = teller.life(number, "refunded at another rate", &shops::DINER_ABROAD);
    if let Some(life) = teller.life_mut(life) {
        life.priced_in = Some(Foreign { currency: "eur", per_hundred: 117 });
    }
    let amount = teller.pence(4_00, 15_00);
    teller.ask(life, Amount::Exactly(amount));
    teller.say(life, Act::Confirm);
    claimed(teller, life, Share::All);
    teller.wait(3);
    let more = teller.pence(-1_00, 1_50);
    teller.say(life, Act::RefundAtAnotherRate(more));
}

/// What comes back within the day can be spent again that day, and what comes back later cannot.
fn bought_and_brought_back(teller: &mut Teller<'_>, number: usize) {
    let shop = teller.pick(&[&shops::SUPERMARKETS[0], &shops::NEWSAGENTS[0], &shops::CAFES[0]]);
    let amount = teller.pence(6_00, 20_00);
    let shop = shop.unwrap_or(&shops::SUPERMARKETS[0]);
    let life = buy_at(teller, number, "bought and brought back", shop, amount);
    teller.say(life, Act::Capture(Share::All));
    teller.say(life, Act::Close);
    teller.wait(1);
    let share = if teller.chance(2) { Share::All } else { Share::Half };
    teller.say(life, Act::Refund(share));
}

/// The shop tries twice, and takes one of them or none.
fn tried_again(teller: &mut Teller<'_>, number: usize) {
    let shop = teller.pick(&[&shops::DIY_SHOPS[0], &shops::DIY_SHOPS[1], &shops::DINER_ABROAD]);
    let shop = shop.unwrap_or(&shops::DIY_SHOPS[0]);
    let mut tries = Vec::new();
    for number in [number, number + 1] {
        let amount = teller.pence(3_00, 14_00);
        tries.push(buy_at(teller, number, "tried twice", shop, amount));
        teller.wait(1);
    }
    for life in tries {
        teller.wait(2);
        let act = if teller.chance(2) { Act::Reverse } else { Act::Capture(Share::All) };
        teller.say(life, act);
    }
}

/// The machine's fee is no cash.
fn cash_with_a_fee(teller: &mut Teller<'_>, number: usize) {
    let fee = teller.pence(1, 3) * 50;
    let notes = teller.pence(1, 5) * 5_00;
    let life = teller.life(number, "cash with a fee", &shops::CASH_MACHINE);
    if let Some(life) = teller.life_mut(life) {
        life.fee_minor = fee;
    }
    teller.ask(life, Amount::Exactly(notes + fee));
    teller.say(life, Act::Confirm);
    claimed(teller, life, Share::All);
}

/// The issuer takes money back for one purchase for money back for another.
fn misfit(teller: &mut Teller<'_>, number: usize) {
    let named = buy(teller, number, "named by another's refund");
    claimed(teller, named, Share::All);
    let life = buy(teller, number + 1, "refunded as another");
    claimed(teller, life, Share::All);
    teller.wait(2);
    teller.say(life, Act::RefundMisfit(named));
}
