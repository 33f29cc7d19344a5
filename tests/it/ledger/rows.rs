//! What is stored of accounts, postings and seals, and read back.

use sayso::domain::id::{PostingId, PurchaseId, SealId};
use sayso::ledger::account::Account;
use sayso::ledger::posting::{
    ChainHead, JournalRow, Posting, PostingContent, PostingKind, PostingRow, Transfer,
};
use sayso::ledger::record::column::ColumnValue as _;
use sayso::ledger::record::row::{Digest, Value};
use sayso::ledger::record::table::Record as _;
use sayso::ledger::seal::{Seal, SealedHead, totals_line};

use crate::values::{gbp, monday_morning, pot};

/// [`monday_morning`] in microseconds since 1970.
const MONDAY_MORNING: i64 = 1_795_422_600_000_000;

/// The text of a digest that consists of one hex digit.
fn hex(digit: &str) -> String {
    digit.repeat(64)
}

fn digest(digit: &str) -> Digest {
    hex(digit).parse().unwrap()
}

fn posting_id(number: u128) -> PostingId {
    PostingId::new(uuid::Uuid::from_u128(number))
}

#[test]
fn an_account_is_stored_by_its_name_and_read_back() {
    for (account, name) in [
        (Account::StreamFunds("homes".parse().unwrap()), "stream:homes"),
        (Account::PotLeft(pot("week")), "pot:week:left"),
        (Account::PotHeld(pot("week")), "pot:week:held"),
        (Account::Clearing("riverside-stripe".parse().unwrap()), "clearing:riverside-stripe"),
        (Account::Exposure, "exposure"),
        (Account::Suspense, "suspense"),
        (Account::Disputed, "disputed"),
        (Account::Exchange, "exchange"),
    ] {
        assert_eq!(account.value(), name.into());
        assert_eq!(name.parse(), Ok(account));
    }
}

#[test]
fn a_text_that_names_no_account_is_refused() {
    for text in [
        "",
        "Exposure",
        "exposure:",
        "stream",
        "stream:",
        "stream:Homes",
        "clearing:a:b",
        "pot:week",
        "pot:week:spent",
        "pot:week:left:",
        "pot::held",
    ] {
        assert!(text.parse::<Account>().is_err(), "{text:?}");
    }
}

/// The seventh posting of Dee's chain: an approval that holds in two pots.
fn a_posting() -> Posting {
    let hold = |id: &str, minor| {
        let (left, held) = (Account::PotLeft(pot(id)), Account::PotHeld(pot(id)));
        Transfer::new(left, held, gbp(minor)).unwrap()
    };
    Posting {
        programme: "riverside".parse().unwrap(),
        budget: "dee".parse().unwrap(),
        seq: 7,
        previous: Some(posting_id(0x15)),
        entry: PostingContent {
            id: posting_id(0x16),
            kind: PostingKind::Decision,
            subject: "dec_1".to_owned(),
            record: digest("a"),
            purchase: Some((PurchaseId::new(uuid::Uuid::from_u128(0x17)), digest("b"))),
            at: monday_morning().at,
            transfers: vec![hold("pets", 40_00), hold("week", 8_00)],
        },
        hash: digest("c"),
    }
}

#[test]
fn a_posting_is_stored_with_everything_that_it_books() {
    let row = [
        "riverside".into(),
        "pst_00000000000000000000000000000016".into(),
        "dee".into(),
        Value::Number(7),
        "decision".into(),
        "dec_1".into(),
        hex("a").into(),
        "pur_00000000000000000000000000000017".into(),
        hex("b").into(),
        Value::Number(MONDAY_MORNING),
        "pst_00000000000000000000000000000015".into(),
        hex("c").into(),
    ];
    assert_eq!(a_posting().row(), row);
    assert_eq!(PostingRow::from_row(&row).unwrap().into_row(), row);
}

#[test]
fn the_first_posting_of_a_chain_has_none_before_it() {
    let mut entry = a_posting().entry;
    entry.purchase = None;
    let (programme, budget) = ("riverside".parse().unwrap(), "dee".parse().unwrap());
    let (posting, rows) = Posting::link_with_rows(&programme, &budget, ChainHead::START, entry);
    assert_eq!(rows.posting, posting.row());
    assert_eq!(rows.journal, posting.journal_rows());
    let row = PostingRow::from_row(&rows.posting).unwrap();
    assert_eq!((row.seq, row.previous_id), (1, None));
    assert_eq!((row.purchase_id, row.purchase_digest), (None, None));
    assert_eq!(row.hash, posting.hash_after(Digest::ZERO));
}

#[test]
fn a_transfer_is_stored_as_a_line_of_its_posting_and_read_back() {
    let posting = a_posting();
    let line = |number, from: &str, to: &str, minor| {
        vec![
            "riverside".into(),
            "pst_00000000000000000000000000000016".into(),
            Value::Number(number),
            "dee".into(),
            from.into(),
            to.into(),
            "GBP".into(),
            Value::Number(minor),
        ]
    };
    let lines = [
        line(1, "pot:pets:left", "pot:pets:held", 40_00),
        line(2, "pot:week:left", "pot:week:held", 8_00),
    ];
    assert_eq!(posting.journal_rows(), lines);
    let transfers = lines.map(|line| JournalRow::from_row(&line).unwrap().transfer().unwrap());
    assert_eq!(posting.entry.transfers, transfers);
}

fn a_seal() -> Seal {
    let head = |budget: &str, seq, digit| SealedHead {
        budget: budget.parse().unwrap(),
        seq,
        hash: digest(digit),
    };
    Seal {
        programme_id: "riverside".parse().unwrap(),
        seal_id: SealId::new(uuid::Uuid::from_u128(0x18)),
        number: 3,
        sealed_at: monday_morning().at,
        heads: vec![head("_house", 2, "d"), head("dee", 7, "c")],
        totals: "GBP loaded=1.00".to_owned(),
        root: digest("e"),
    }
}

#[test]
fn a_seal_is_stored_with_one_line_for_each_chain_and_read_back() {
    let seal = a_seal();
    let row = [
        "riverside".into(),
        "seal_00000000000000000000000000000018".into(),
        Value::Number(3),
        Value::Number(MONDAY_MORNING),
        format!("_house 2 {}\ndee 7 {}", hex("d"), hex("c")).into(),
        "GBP loaded=1.00".into(),
        hex("e").into(),
    ];
    assert_eq!(seal.row(), row);
    assert_eq!(Seal::from_row(&row), Ok(seal));
}

#[test]
fn a_seal_with_a_line_that_is_no_head_of_a_chain_is_corrupt() {
    let hash = hex("c");
    for line in [
        "dee".to_owned(),
        "dee 7".to_owned(),
        format!("dee {hash}"),
        format!("Dee 7 {hash}"),
        format!("dee seven {hash}"),
        format!("dee 7 {hash}c"),
        format!("dee  7 {hash}"),
        format!("dee 7 {hash} 8"),
    ] {
        let mut row = a_seal().row();
        row[4] = format!("_house 2 {hash}\n{line}").into();
        assert_eq!(Seal::from_row(&row).unwrap_err().column, "heads", "{line}");
    }
}

#[test]
fn the_totals_of_a_seal_are_one_line_in_major_units() {
    let totals = [100_00, 5, 40_00, 59_95, 2_50, 1, -30];
    assert_eq!(
        totals_line("GBP", totals),
        "GBP loaded=100.00 held=0.05 spent=40.00 left=59.95 exposure=2.50 suspense=0.01 \
         disputed=-0.30"
    );
    assert_eq!(
        totals_line("JPY", totals),
        "JPY loaded=10000 held=5 spent=4000 left=5995 exposure=250 suspense=1 disputed=-30"
    );
}

/// An unknown currency in the database, or a sum beyond 64 bits.
#[test]
fn totals_that_are_no_money_are_printed_in_minor_units() {
    assert_eq!(
        totals_line("pounds", [100_00, 5, 40_00, 59_95, 2_50, 1, -30]),
        "pounds loaded=10000 held=5 spent=4000 left=5995 exposure=250 suspense=1 disputed=-30"
    );
    let beyond = i128::from(i64::MAX) + 1;
    assert_eq!(
        totals_line("GBP", [beyond, 0, 0, beyond, 0, 0, 0]),
        "GBP loaded=9223372036854775808 held=0.00 spent=0.00 left=9223372036854775808 \
         exposure=0.00 suspense=0.00 disputed=0.00"
    );
}
