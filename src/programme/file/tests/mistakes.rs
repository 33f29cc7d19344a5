//! Each mistake, with the line and the text of its problem.

use super::*;

/// `from`, `to`, line, place and text: the small file with `from` replaced by `to` has one problem.
/// It is on that line, and its place and its text contain the given words.
struct Case(&'static str, &'static str, usize, &'static str, &'static str);

#[rustfmt::skip]
const CASES: &[Case] = &[
    // TOML and fields.
    Case("name = \"River\"", "name = \"River", 3, "", "not TOML"),
    Case("id = \"river\"", "id = \"river\"\nid = \"two\"", 3, "", "not TOML: duplicate key"),
    Case("[[worker]]", "[[helper]]\nid = 1\n[[worker]]", 7, "", "\"helper\" is not a field"),
    Case("country = \"GB\"", "country = \"GB\"\ncolour = 1", 7, "programme", "the fields are id"),
    Case("state = \"replaced\"", "stat = \"lost\"", 39, "person \"dee\", card 1",
         "\"stat\" is not"),
    Case("\"a\", amount", "\"a\", sum = 1, amount", 46, "load \"a\"", "\"sum\" is not a field"),
    Case("name = \"Amina\"\n", "", 7, "worker \"amina\"", "name is missing"),
    Case("last_four = \"5678\"\n", "", 35, "card 1", "last_four is missing"),
    Case("agreed_on = 2026-11-16\n", "", 47, "person \"dee\", agreement", "agreed_on is missing"),
    Case("agreed_by = [\"Dee\", \"Amina\"]\n", "", 47, "agreement", "agreed_by is missing"),
    Case("[\"Dee\", \"Amina\"]", "[]", 49, "agreement", "names nobody"),
    Case("on = \"hours\"\n", "", 59, "term 2", "on is missing"),
    // Words.
    Case("id = \"river\"", "id = \"River!\"", 2, "programme", "is not a name"),
    Case("id = \"week\"", "id = \"the week\"", 41, "pot \"the week\"", "is not a name"),
    Case("name = \"one\"", "name = \"One\"", 18, "secret \"One\"", "is not a name"),
    Case("token = \"ic_1\"", "token = \"ic 1\"", 37, "card 1", "printable ASCII"),
    Case("\"5678\"", "\"567\"", 38, "card 1", "last four digits"),
    Case("\"020 7946 0000\"", "\"ask me\"", 10, "worker", "not a phone number"),
    Case("only = [\"food\"]", "only = [\"fod\"]", 45, "pot \"week\"", "no category \"fod\""),
    Case("only = [\"food\"]", "release = { amount = \"0\", every = \"week\", from = 2027-01-04 }",
         45, "pot \"week\", release", "amount is nothing"),
    Case("only = [\"food\"]", "release = { amount = \"9\", every = \"year\", from = 2027-01-04 }",
         45, "pot \"week\", release", "\"day\" or \"week\" or \"month\""),
    Case("only = [\"food\"]", "release = { amount = \"9\", every = \"week\" }", 45,
         "pot \"week\", release", "from is missing"),
    Case("only = [\"food\"]", "release = \"9\"", 45, "pot \"week\", release", "not a table"),
    Case("only = [\"food\"]", "only = []", 45, "pot \"week\"", "only is empty"),
    Case("never = [\"gambling\"]", "never = [\"Gambling\"]", 25, "stream \"homes\"", "no category"),
    Case("\"Europe/London\"", "\"Europe/Lodnon\"", 4, "programme", "no time zone"),
    Case("country = \"GB\"", "country = \"UK\"", 6, "programme", "no country \"UK\""),
    Case("country = \"GB\"", "country = \"GB\"\nhome_countries = [\"JE\", \"Jersey\"]", 7,
         "programme", "no country \"Jersey\""),
    Case("country = \"GB\"", "country = \"GB\"\nhome_countries = \"JE\"", 7, "programme",
         "[brackets]"),
    Case("country = \"GB\"", "country = \"GB\"\nunknown_country = \"away\"", 7, "programme",
         "write \"home\" or \"abroad\""),
    Case("currency = \"GBP\"", "currency = \"gbp\"", 5, "programme", "not an ISO 4217"),
    Case("issuer = \"stripe\"", "issuer = \"strip\"", 13, "connection \"link\"",
         "write \"stripe\""),
    Case("answer = \"no\"", "answer = \"never\"", 54, "term 1", "\"yes\" or \"ask\" or \"no\""),
    Case("decides = \"person\"", "decides = \"dee\"", 56, "term 1", "\"person\" or \"together\""),
    Case("per = \"purchase\"", "per = \"year\"", 68, "term 3, limit 1", "\"purchase\" or \"day\""),
    Case("on = \"hours\"", "on = \"hour\"", 60, "term 2", "\"cash_back\", \"online\""),
    Case("code = \"5541\"", "code = \"541\"", 72, "permission 1", "four digits"),
    Case("state = \"active\"", "state = \"gone\"", 34, "person \"dee\"", "\"active\" or \"ended\""),
    Case("state = \"replaced\"", "state = \"old\"", 39, "card 1", "\"not_started\""),
    // Amounts, numbers, dates.
    Case("\"10.00\"", "\"10.005\"", 68, "term 3, limit 1", "no amount of GBP"),
    Case("\"10.00\"", "\"-1\"", 68, "limit 1", "no amount of GBP"),
    Case("\"10.00\"", "10.00", 68, "limit 1", "in quotes"),
    Case("amount = \"10.00\"", "count = 2", 68, "limit 1", "one purchase has no count"),
    Case(", amount = \"10.00\"", "", 68, "limit 1", "either an amount or a count"),
    Case("amount = \"40.00\"", "amount = \"0\"", 46, "load \"a\"", "amount is nothing"),
    Case("amount = \"40.00\"", "amount = \"40.01\"", 46, "pot \"week\"",
         "GBP 60.01, above the GBP 60"),
    Case("allocated = \"60.00\"", "allocated = \"10000000000.01\"", 44, "pot \"week\"",
         "allocated is more than GBP"),
    Case("\"10.00\"", "\"10000000000.01\"", 68, "limit 1", "amount is more than GBP"),
    Case("answer_limit = \"10.00\"", "answer_limit = \"10000000000.01\"", 90, "member \"amina\"",
         "answer_limit is more than GBP"),
    Case("2000", "\"2000\"", 15, "connection", "not a whole number"),
    Case("1300", "2000", 16, "connection \"link\"", "not below the issuer's deadline_ms"),
    Case("cooling_days = 7", "cooling_days = -7", 55, "term 1, own_block", "not a whole number"),
    Case("country = \"GB\"", "country = \"GB\"\nexchange_margin_percent = 26", 7, "programme",
         "exchange_margin_percent is not a whole number from 0 to 25, without quotes"),
    Case("country = \"GB\"", "country = \"GB\"\nexchange_margin_percent = -1", 7, "programme",
         "0 to 25"),
    Case("country = \"GB\"", "country = \"GB\"\nexchange_margin_percent = 2.5", 7, "programme",
         "0 to 25"),
    Case("country = \"GB\"", "country = \"GB\"\nexchange_margin_percent = \"5\"", 7, "programme",
         "quotes"),
    Case("uses = 1", "uses = 0", 74, "permission 1", "from 1"),
    Case("uses = 1", "uses = 101", 74, "permission 1", "from 1 to 100"),
    Case("uses = 1\nfrom = 2026-11-20T09:00:00Z\nends = 2026-11-27T09:00:00Z",
         "uses = 11\nfrom = 2026-11-20T09:00:00Z\nends = 2027-11-21T09:00:01Z", 76,
         "permission 1", "lasts at most 366 days"),
    Case("up_to = \"25.00\"", "up_to = \"0.00\"", 73, "permission 1", "up_to is nothing"),
    Case("ends_on = 2027-09-30", "ends_on = \"2027-09-30\"", 26, "stream", "not a date"),
    Case("2027-01-01T00:00:00Z", "2027-01-01T00:00:00", 20, "secret \"one\"", "not a moment"),
    Case("2026-11-27T", "2026-11-17T", 76, "permission 1", "ends before it begins"),
    Case("to = \"23:00\"", "to = \"24:00\"", 61, "term 2, hours", "not a time of day"),
    Case("to = \"23:00\"", "to = \"06:00\"", 61, "term 2, hours", "end as they begin"),
    Case("partial = false", "partial = \"no\"", 51, "agreement", "neither true nor false"),
    // Terms that are invalid as a whole.
    Case("reason = \"Talk first.\"\n", "", 65, "term 3", "needs a reason"),
    Case("answer = \"ask\"\nreason = \"Dee asked.\"\nreview_on = 2027-02-16\n",
         "answer = \"ask\"\nreason = \"Dee asked.\"\n", 59, "term 2", "reviewed (review_on)"),
    Case("hours = { from = \"06:00\", to = \"23:00\" }\n", "", 59, "term 2", "needs hours"),
    Case("answer = \"no\"", "answer = \"yes\"", 52, "term 1", "block on oneself"),
    Case("on = { shop = \"Corner Shop\" }", "on = \"everything\"", 52, "term 1", "limits only"),
    Case("shop = \"Corner Shop\"", "shop = \"***\"", 53, "term 1", "neither letters nor digits"),
    Case("{ shop = \"Corner Shop\" }", "{ shop = \"A\", code = \"5541\" }", 53, "term 1",
         "exactly one"),
    // Duplicates.
    Case("[[connection]]", "[[worker]]\nid = \"amina\"\nname = \"B\"\n[[connection]]", 12,
         "worker \"amina\"", "already on line 8"),
    Case("[person.agreement]", "[[person.pot]]\nid = \"week\"\nname = \"x\"\nstream = \"homes\"\n\
          allocated = \"1\"\n[person.agreement]", 48, "pot \"week\"", "already on line 41"),
    Case("id = \"b\"", "id = \"a\"", 46, "load \"a\"", "already on line 46"),
    Case("[[person.pot]]", "[[person.card]]\nconnection = \"link\"\ntoken = \"ic_1\"\n\
          last_four = \"1111\"\n[[person.pot]]", 42, "card 2", "already on line 37"),
    Case("[[stream]]", "[[connection.secret]]\nname = \"one\"\nvalue = \"(kept)\"\n[[stream]]", 22,
         "connection \"link\", secret \"one\"", "already on line 18"),
    Case("[[stream]]", "[[connection]]\nname = \"link\"\nissuer = \"stripe\"\ndeadline_ms = 2\n\
          answer_within_ms = 1\n\
          secret = [{ name = \"one\", value = \"(kept)\" }]\n[[stream]]", 22, "connection",
         "already on line 12"),
    Case("[[start.term]]",
         "[[stream]]\nid = \"homes\"\nname = \"x\"\nfunder = \"x\"\n[[start.term]]",
         28, "stream", "already on line 22"),
    Case("on = { shop = \"Corner Shop\" }",
         "on = \"hours\"\nhours = { from = \"01:00\", to = \"02:00\" }",
         61, "term 2", "already on line 53"),
    Case("[[person]]", "[[person]]\nid = \"dee\"\nname = \"x\"\nworker = \"amina\"\n[[person]]", 35,
         "person \"dee\"", "already on line 31"),
    Case("[[person.permission]]", "[[person.permission]]\non = \"cash\"\nup_to = \"1\"\nuses = 1\n\
          id = \"okay_00000000000000000000000000000007\"\nfrom = 2026-11-20T09:00:00Z\n\
          ends = 2026-11-27T09:00:00Z\n[[person.permission]]\n\
          id = \"okay_00000000000000000000000000000007\"", 79, "permission", "already on line 75"),
    // References.
    Case("worker = \"amina\"", "worker = \"ben\"", 33, "person \"dee\"", "no worker \"ben\""),
    Case("connection = \"link\"", "connection = \"lnik\"", 36, "card 1", "in this file: \"link\""),
    Case("stream = \"homes\"", "stream = \"health\"", 43, "pot \"week\"", "no stream \"health\""),
    // Accounts and duties.
    Case("human = \"hal\"\n", "", 77, "member \"hal\"", "human is missing"),
    Case("role = \"helper\"", "role = \"friend\"", 81, "member \"hal\"",
         "\"person\" or \"helper\""),
    Case("person = \"dee\"\nsees", "sees", 77, "member \"hal\"", "person is missing"),
    Case("person = \"dee\"\nsees", "person = \"dan\"\nsees", 82, "member \"hal\"",
         "no person \"dan\""),
    Case("[\"balance\"]", "[\"all\"]", 83, "member \"hal\"", "sees has \"all\""),
    Case("worker = \"amina\"\nanswer", "answer", 84, "member \"amina\"", "worker is missing"),
    Case("worker = \"amina\"\nanswer", "worker = \"amina\"\nperson = \"dee\"\nanswer", 90,
         "member \"amina\"", "a worker has no person"),
    Case("[\"dee\"]", "[\"dan\"]", 91, "member \"amina\"", "no person \"dan\""),
    Case("[[duty]]",
         "[[member]]\nid = \"hal\"\nhuman = \"x\"\nname = \"x\"\nrole = \"auditor\"\n[[duty]]",
         94, "member \"hal\"", "already on line 78"),
    Case("[[duty]]",
         "[[member]]\nid = \"dee\"\nhuman = \"dee\"\nname = \"Dee\"\nrole = \"person\"\n\
          person = \"dee\"\n[[member]]\nid = \"two\"\nhuman = \"hal\"\nname = \"Hal\"\n\
          role = \"person\"\nperson = \"dee\"\n[[duty]]",
         101, "member \"two\"", "one human being speaks for dee"),
    Case("member = \"amina\"", "member = \"ben\"", 94, "duty 1", "no member \"ben\""),
    Case("to = 2026-11-27T09:00:00Z\ncovers", "to = 2026-11-20T09:00:00Z\ncovers", 96, "duty 1",
         "not after from"),
    Case("covers = \"amina\"", "covers = \"ben\"", 97, "duty 1", "no worker \"ben\""),
    // Texts.
    Case("[[connection.secret]]\nname = \"one\"\nvalue = \"whsec_0123456789abcdef01\"\n\
          until = 2027-01-01T00:00:00Z\n",
         "", 11, "connection \"link\"", "it has no secret"),
    Case("abcdef01", "abcdef0", 19, "secret \"one\"", "shorter than 24 characters"),
    Case("whsec_0123", "sk_live_0123", 19, "secret \"one\"", "does not begin with whsec_"),
    Case("abcdef01", "abc def0123", 19, "secret \"one\"", "such as a space"),
    Case("value = \"whsec_0123456789abcdef01\"", "value = \"\"", 19, "secret \"one\"", "is empty"),
    Case("name = \"Dee\"", "name = \"D\\u0000\"", 32, "person \"dee\"", "cannot be seen"),
    Case("\"Over tea.\"", "\"Over\\ntea.\"", 50, "agreement", "cannot be seen"),
    Case("\"Dee asked.\"\nreview_on = 2027-02-16\n[[person.agreement.term]]\non = \"hours\"",
         "\" \"\nreview_on = 2027-02-16\n[[person.agreement.term]]\non = \"hours\"", 57, "term 1",
         "reason is empty"),
    Case("name = \"Dee\"", "name = 5", 32, "person \"dee\"", "put it in \"quotes\""),
    Case("[[start.term]]", "[start.term]", 27, "start", "term is not a list"),
];

#[test]
fn the_small_file_has_no_problem() {
    assert_eq!(problems(SMALL), []);
}

#[test]
fn each_mistake_is_told_once_with_its_line() {
    for Case(from, to, line, place, text) in CASES {
        assert!(SMALL.contains(from), "{from:?} is not in the small file");
        let found = problems(&SMALL.replacen(from, to, 1));
        assert_eq!(found.len(), 1, "{to:?} gave {found:#?}");
        assert_eq!(found[0].line, *line, "{to:?} gave {}", found[0]);
        assert!(found[0].place.contains(place), "{to:?} gave {}", found[0]);
        assert!(found[0].text.contains(text), "{to:?} gave {}", found[0]);
    }
}

#[test]
fn a_name_may_have_a_hundred_characters() {
    let named =
        |chars: usize| SMALL.replace("name = \"Dee\"", &format!("name = {:?}", "é".repeat(chars)));
    assert_eq!(problems(&named(100)), []);
    let found = problems(&named(101));
    assert_eq!((found.len(), found[0].line), (1, 32));
}

#[test]
fn a_list_has_bounds_that_only_what_was_taken_before_may_pass() {
    let place = "[[person.permission]]";
    let terms = (0..200).map(|number| {
        format!(
            "[[person.agreement.term]]\non = {{ code = \"{:04}\" }}\nanswer = \"yes\"\n\n",
            1_000 + number
        )
    });
    let long = SMALL.replacen(place, &format!("{}{place}", terms.collect::<String>()), 1);
    let found = problems(&long);
    assert_eq!(found.len(), 1, "{found:#?}");
    assert!(found[0].text.contains("at most 200 terms"), "{}", found[0]);
    let limit = "{ per = \"purchase\", amount = \"10.00\" }";
    assert!(SMALL.contains(limit));
    let twice = SMALL.replacen(limit, &format!("{limit}, {limit}"), 1);
    let found = problems(&twice);
    assert_eq!(found.len(), 1, "{found:#?}");
    assert!(found[0].text.contains("two limits are of the same kind"), "{}", found[0]);
    let both = SMALL.replacen(
        limit,
        &format!(
            "{limit}, {{ per = \"day\", count = 3 }}, {{ per = \"day\", amount = \"20.00\" }}"
        ),
        1,
    );
    assert_eq!(problems(&both), []);
    // The same text is accepted when it comes from the store.
    let start = |text: &str| {
        let table: toml::Table = text.parse().unwrap();
        let mut table = table;
        let person = table["person"].as_array().unwrap()[0].clone();
        table.remove("person");
        table.remove("member");
        table.remove("duty");
        table.insert(
            "start".to_owned(),
            toml::Value::Table(toml::Table::from_iter([(
                "term".to_owned(),
                person["agreement"]["term"].clone(),
            )])),
        );
        toml::to_string(&table).unwrap()
    };
    for text in [&long, &twice] {
        assert!(parse_settings(&start(text), &|_: &Category| true).is_ok());
    }
}

#[test]
fn a_file_without_a_programme_is_told_so() {
    let found = problems("");
    assert_eq!(found.len(), 1);
    assert_eq!(
        found[0].to_string(),
        "line 1: the table [programme] is missing: begin the file with it"
    );
}

#[test]
fn ten_mistakes_are_told_at_once_in_the_order_of_lines() {
    let mut text = SMALL.to_owned();
    for (from, to) in [
        ("2027-02-16\n[[person.permission]]", "soon\n[[person.permission]]"),
        ("[[person.permission]]\non", "[[person.permission]]\nfor = 1\non"),
        ("country = \"GB\"", "country = \"UK\""),
        ("name = \"Amina\"", "name = 3"),
        ("answer_within_ms = 1300", "answer_within_ms = 3000"),
        ("\"whsec_0123456789abcdef01\"", "\"short\""),
        ("funder = \"Council\"", "founder = \"Council\""),
        ("worker = \"amina\"", "worker = \"nobody\""),
        ("stream = \"homes\"", "stream = \"nowhere\""),
        ("answer = \"no\"", "answer = \"maybe\""),
    ] {
        assert!(text.contains(from), "{from:?}");
        text = text.replacen(from, to, 1);
    }
    let syntax = problems(&text);
    assert!(syntax.iter().all(|problem| problem.text.contains("not TOML")), "{syntax:#?}");
    let found = problems(&text.replace("review_on = soon", "review_on = \"soon\""));
    let lines: Vec<_> = found.iter().map(|problem| problem.line).collect();
    // The misspelt funder is two problems: an unknown field, and a missing one.
    assert_eq!(lines, [6, 9, 16, 19, 21, 24, 33, 43, 54, 70, 72], "{found:#?}");
    let whole = FileProblems { problems: found }.to_string();
    assert_eq!(whole.lines().count(), 11);
    assert!(!whole.contains("short\""), "a secret is never shown: {whole}");
}
