use super::*;

const DEE: &str = "ic_1DemoDee00000000001";
const GOOD: &str = "2026-11-02T09:00:00Z,DEE,12.50,GBP,5411,Grocer,approved";

fn programme() -> Programme {
    Programme::read(include_str!("../../../merchant-rules/demo.toml")).unwrap()
}

fn table(rows: &[&str]) -> String {
    let rows = rows.iter().map(|row| row.replace("DEE", DEE));
    let heading = "time,card,amount,currency,mcc,merchant,result".to_owned();
    std::iter::once(heading).chain(rows).collect::<Vec<_>>().join("\n")
}

fn past(text: &str) -> RecordedPurchases {
    read(&text.replace("DEE", DEE), Format::Csv, &programme(), false).unwrap()
}

fn error(text: &str) -> String {
    read(&text.replace("DEE", DEE), Format::Csv, &programme(), false).unwrap_err().to_string()
}

#[test]
fn rows_of_either_format_say_the_same() {
    let csv = table(&["2026-11-02T09:00:00Z,DEE,12.50,GBP,742,\"Vet, Bow\",approved"]);
    let json = format!(
        "{{\"Time\": \"2026-11-02T09:00:00Z\", \"card\": \"{DEE}\", \"amount\": 12.5, \
         \"currency\": \"gbp\", \"MCC\": 742, \"merchant\": \"Vet, Bow\", \
         \"result\": \"Approved\"}}"
    );
    for (text, format) in [(csv, Format::Csv), (json, Format::JsonLines)] {
        let past = read(&text, format, &programme(), false).unwrap();
        let row = &past.rows[0];
        assert_eq!((row.amount_minor, row.shop.code, row.shop.category), (12_50, "0742", "pets"));
        assert_eq!((row.shop.name, row.outcome), ("Vet, Bow", RecordedOutcome::Approved));
        assert_eq!(past.notes, [""; 0]);
    }
}

/// A table as office spreadsheets export it.
#[test]
fn a_spreadsheets_file_is_read_as_it_is() {
    let text = "\u{feff}Time;Card;Amount;Currency;MCC;Merchant;Result;Country;Online;Note\r\n\
                23/11/2026 08:30;DEE;\"£1.234,56\";gbp;742;Vets, Bow;Approved;\
                United Kingdom;no;x\r\n\
                04/12/2026 09:00;DEE;£10,00;GBP;5411.0;Grocer;APPROVED;uk;Yes;\r\n\
                ;;;;;;;;;\r\n\
                02/12/2026;DEE;8;Gbp;5812;Café;Declined;fr;;\r\n";
    let past = past(text);
    let seen: Vec<_> = past
        .rows
        .iter()
        .map(|row| {
            (row.line, row.at.to_string(), row.amount_minor, row.shop.code, row.shop.country)
        })
        .collect();
    let at = |text: &str| text.to_owned();
    assert_eq!(
        seen,
        [
            (2, at("2026-11-23T08:30:00Z"), 1_234_56, "0742", "GB"),
            (5, at("2026-12-02T00:00:00Z"), 8_00, "5812", "FR"),
            (3, at("2026-12-04T09:00:00Z"), 10_00, "5411", "GB"),
        ]
    );
    let tills: Vec<_> = past.rows.iter().map(|row| row.shop.channel).collect();
    assert_eq!(
        tills,
        [PurchaseChannel::Counter, PurchaseChannel::Counter, PurchaseChannel::Online]
    );
    assert_eq!(past.notes, ["3 times say no zone: read in the programme's, Europe/London"]);
}

#[test]
fn a_row_that_cannot_be_read_is_named_and_nothing_is_sent() {
    for (bad, wanted) in [
        (
            GOOD.replace("12.50", "\"12,50\""),
            "column amount: its decimals stand behind another mark",
        ),
        (GOOD.replace("12.50", "ten"), "column amount: this is no amount"),
        (GOOD.replace("12.50", "12.505"), "column amount: this is finer than the currency goes"),
        (GOOD.replace("DEE", "ic_1Other"), "column card: this is nobody's card"),
        (GOOD.replace("GBP", "EUR"), "column currency: the cards are in GBP"),
        (GOOD.replace("5411", "54"), "column mcc: this is no merchant category code"),
        (GOOD.replace("approved", "yes"), "column result: write approved or declined"),
        (
            GOOD.replace("12.50,GBP,5411,Grocer,approved", "-1,GBP,5411,Grocer,declined"),
            "never declined",
        ),
        (GOOD.replace("2026-11-02T", "yesterday "), "column time: this is no time"),
        (GOOD.replace("2026-11-02T09:00:00Z", "02/11/2026"), "column time: day and month may be"),
        (GOOD.replace("Grocer", ""), "column merchant: it is empty"),
        (GOOD.replace("Grocer", "Bottles, and more"), "(the whole row): it has more fields"),
    ] {
        let text = table(&[GOOD, &bad]);
        let error = error(&text);
        assert!(error.starts_with("1 of 2 rows cannot be read; nothing was sent:"), "{error}");
        assert!(error.contains(wanted), "{error}");
        assert!(error.contains("1 row: line 3"), "{error}");
        let past = read(&text, Format::Csv, &programme(), true).unwrap();
        assert_eq!((past.rows.len(), past.skipped, past.left_out.len()), (1, 1, 1));
        assert!(past.left_out[0].contains(wanted), "{:?}", past.left_out);
    }
}

#[test]
fn all_that_is_wrong_is_named_at_once_and_each_kind_once() {
    let bad = "2026-11-02T09:00:00Z,DEE,ten,GBP,54,Grocer,approved";
    let worse = "2026-11-02T09:00:00Z,DEE,x,GBP,5411,Grocer,maybe";
    let error = error(&table(&[bad, GOOD, worse, bad]));
    assert!(error.starts_with("3 of 4 rows cannot be read"), "{error}");
    for (kind, rows) in [
        ("column amount: ", "3 rows: lines 2, 4-5; there: \"ten\", \"x\""),
        ("column mcc: ", "2 rows: lines 2, 5; there: \"54\""),
        ("column result: ", "1 row: line 4; there: \"maybe\""),
    ] {
        assert_eq!(error.matches(kind).count(), 1, "{kind} in {error}");
        assert!(error.contains(rows), "{rows} in {error}");
    }
}

#[test]
fn countries_and_ways_of_paying_are_checked() {
    let heading = "time,card,amount,currency,mcc,merchant,result,country,online";
    let row = |rest: &str| format!("{heading}\n{GOOD},{rest}");
    for (rest, country, channel) in [
        ("gb,", "GB", PurchaseChannel::Counter),
        ("UK,yes", "GB", PurchaseChannel::Online),
        (" ireland ,No", "IE", PurchaseChannel::Counter),
        (",TRUE", "GB", PurchaseChannel::Online),
        ("JE,0", "JE", PurchaseChannel::Counter),
    ] {
        let past = past(&row(rest));
        assert_eq!(
            (past.rows[0].shop.country, past.rows[0].shop.channel),
            (country, channel),
            "{rest}"
        );
    }
    for (rest, wanted) in [
        ("Atlantis,", "column country: this is no country"),
        ("GB,perhaps", "column online: write yes or no"),
    ] {
        assert!(error(&row(rest)).contains(wanted), "{rest}");
    }
}

#[test]
fn a_heading_that_is_not_one_is_named() {
    let text = table(&[GOOD]);
    let without = text.replacen("currency", "money", 1);
    assert!(error(&without).contains("the heading has no column currency; it has time, card"));
    let twice = text.replacen("time,", "time,TIME,", 1);
    assert!(error(&twice).contains("the heading has more than one column time"));
    assert!(error("").contains("the heading has no column time, card"));
    assert!(error(&table(&[])).contains("the file has no purchase that can be read"));
}

#[test]
fn money_back_belongs_to_the_nearest_purchase_that_fits() {
    let at = |day: u32, amount: &str, shop: &str, result: &str| {
        format!("2026-11-{day:02}T09:00:00Z,DEE,{amount},GBP,5411,{shop},{result}")
    };
    let rows = [
        at(1, "12.50", "GROCER 12", "approved"),
        at(2, "20.00", "Grocer", "declined"),
        at(3, "9.00", "Grocer", "approved"),
        at(4, "10.00", "Baker", "approved"),
        at(5, "-8.00", "Grocer", "approved"),
        at(6, "(2.00)", "Grocer", ""),
        at(7, "-10.00", "Grocer", "Refunded"),
        at(8, "-3.00", "Grocer", "approved"),
        at(1, "-1.00", "Baker", "approved"),
    ];
    let rows: Vec<_> = rows.iter().map(String::as_str).collect();
    let past = past(&table(&rows));
    let refunds: Vec<_> = past
        .rows
        .iter()
        .filter_map(|row| match row.outcome {
            RecordedOutcome::Refunded(of) => {
                Some((row.line, row.amount_minor, of.map(|of| past.rows[of].line)))
            }
            RecordedOutcome::Approved | RecordedOutcome::Declined => None,
        })
        .collect();
    assert_eq!(
        refunds,
        [
            (10, 1_00, None),
            (6, 8_00, Some(4)),
            (7, 2_00, Some(2)),
            (8, 10_00, Some(2)),
            (9, 3_00, None),
        ],
        "one baker's came before, and 0.50 of all is left at the last"
    );
    let told = "5 refunds: 3 of an earlier purchase at the same shop, 2 of none";
    assert_eq!(past.notes, [told]);
}

#[test]
fn a_file_is_text_in_one_of_two_encodings() {
    let words = "Café £1";
    let utf_16 = |from: fn(u16) -> [u8; 2]| -> Vec<u8> {
        "\u{feff}".encode_utf16().chain(words.encode_utf16()).flat_map(from).collect()
    };
    assert_eq!(text(&utf_16(u16::to_le_bytes)).unwrap(), words);
    assert_eq!(text(&utf_16(u16::to_be_bytes)).unwrap(), words);
    assert_eq!(text(words.as_bytes()).unwrap(), words);
    let wrong = text(b"time\nCaf\xe9,\xa31").unwrap_err().to_string();
    assert_eq!(wrong, "line 2 is not UTF-8: save the file as \"CSV UTF-8\"");
}
