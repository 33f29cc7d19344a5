//! A programme's own past: purchases as they were recorded, read from a file, to be asked about
//! again.

mod csv;

use std::{collections::BTreeMap, fmt};

use anyhow::bail;
use jiff::Timestamp;
use serde_json::Value;

use crate::{
    categories::Categories,
    programme::{Card, Minor, Programme},
    shops::{Shop, Till},
};

/// The columns that every row needs; `country` may stand beside them.
const COLUMNS: [&str; 7] = ["time", "card", "amount", "currency", "mcc", "merchant", "result"];
/// The most problems that are named at once.
const NAMED_MOST: usize = 20;

/// How the file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A heading with the names of the columns, then one row a line.
    Csv,
    /// One JSON object a line.
    JsonLines,
}

/// One purchase of the past.
#[derive(Debug, Clone)]
pub(crate) struct Recorded {
    /// Where it stands in the file.
    pub(crate) line: usize,
    pub(crate) at: Timestamp,
    /// Index into the programme's people.
    pub(crate) person: usize,
    pub(crate) card: Card,
    pub(crate) amount_minor: i64,
    pub(crate) shop: &'static Shop,
    pub(crate) was_approved: bool,
}

/// What was read.
#[derive(Debug)]
pub(crate) struct Past {
    /// In order of time.
    pub(crate) rows: Vec<Recorded>,
    pub(crate) skipped: usize,
}

/// What is wrong with one row, and what to do.
struct Problem {
    line: usize,
    column: &'static str,
    what: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: {}", self.line, self.column, self.what)
    }
}

/// Reads a file of recorded purchases.
///
/// # Errors
/// When a row cannot be read, naming each; unless `skips_bad`, which leaves such rows out.
pub(crate) fn read(
    text: &str,
    format: Format,
    programme: &Programme,
    skips_bad: bool,
) -> anyhow::Result<Past> {
    let mut desk = Reader::new(programme)?;
    let mut rows = Vec::new();
    let mut problems = Vec::new();
    for (line, fields) in fields(text, format) {
        match fields.and_then(|fields| desk.read(line, &fields)) {
            Ok(row) => rows.push(row),
            Err(problem) => problems.push(problem),
        }
    }
    if !problems.is_empty() && !skips_bad {
        let named = problems.iter().take(NAMED_MOST).map(ToString::to_string);
        let named = named.collect::<Vec<_>>().join("\n");
        bail!(
            "{} of {} rows cannot be read; nothing was sent:\n{named}\nMend them, or leave them out \
             with --skip-bad",
            problems.len(),
            problems.len() + rows.len()
        );
    }
    if rows.is_empty() {
        bail!("the file has no purchase that can be read");
    }
    rows.sort_by_key(|row| row.at);
    Ok(Past { rows, skipped: problems.len() })
}

type Fields = BTreeMap<String, String>;

/// The fields of each row by the name of their column, with the row's line.
fn fields(text: &str, format: Format) -> Vec<(usize, Result<Fields, Problem>)> {
    match format {
        Format::Csv => {
            let mut rows = csv::rows(text).into_iter();
            let Some((_, heading)) = rows.next() else { return Vec::new() };
            let columns: Vec<_> = heading.iter().map(|name| name.trim().to_owned()).collect();
            let by_column = |fields: Vec<String>| columns.iter().cloned().zip(fields).collect();
            rows.map(|(line, fields)| (line, Ok(by_column(fields)))).collect()
        }
        Format::JsonLines => {
            let lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
            lines.map(|(number, line)| (number, object(number, line))).collect()
        }
    }
}

fn object(line: usize, text: &str) -> Result<Fields, Problem> {
    let read: Result<BTreeMap<String, Value>, _> = serde_json::from_str(text);
    let object = read.map_err(|error| Problem {
        line,
        column: "all of them",
        what: format!("{error}: write one JSON object a line"),
    })?;
    let text = |value: Value| match value {
        Value::String(ref text) => text.clone(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            value.to_string()
        }
    };
    Ok(object.into_iter().map(|(name, value)| (name, text(value))).collect())
}

struct Reader<'a> {
    programme: &'a Programme,
    categories: Categories,
    cards: BTreeMap<&'a str, (usize, &'a Card)>,
    /// Shops that were met, by code, name and country.
    shops: BTreeMap<(String, String, String), &'static Shop>,
}

impl<'a> Reader<'a> {
    fn new(programme: &'a Programme) -> anyhow::Result<Self> {
        let people = programme.people.iter().enumerate();
        let cards = people.flat_map(|(index, person)| {
            person.card.iter().map(move |card| (card.token.as_str(), (index, card)))
        });
        let cards = cards.filter(|(_, (_, card))| programme.connection(&card.connection).is_some());
        Ok(Self {
            programme,
            categories: Categories::built_in()?,
            cards: cards.collect(),
            shops: BTreeMap::new(),
        })
    }

    fn read(&mut self, line: usize, fields: &Fields) -> Result<Recorded, Problem> {
        let problem = |column, what: String| Problem { line, column, what };
        let mut texts = BTreeMap::new();
        for column in COLUMNS {
            let text = fields.get(column).map(|text| text.trim()).filter(|text| !text.is_empty());
            let what = || format!("it is missing: every row needs {}", COLUMNS.join(", "));
            texts.insert(column, text.ok_or_else(|| problem(column, what()))?);
        }
        let text = |column| texts.get(column).copied().unwrap_or_default();
        let at = text("time").parse::<Timestamp>().map_err(|_| {
            let what = format!("{:?} is no time: write it like 2026-11-23T08:30:00Z", text("time"));
            problem("time", what)
        })?;
        let (person, card) = self.cards.get(text("card")).copied().ok_or_else(|| {
            let what = format!("{:?} is nobody's card in the programme file", text("card"));
            problem("card", what)
        })?;
        let amount = Minor::read(text("amount")).ok_or_else(|| {
            let what = format!("{:?} is no amount: write it like 12.50", text("amount"));
            problem("amount", what)
        })?;
        if !text("currency").eq_ignore_ascii_case(&self.programme.currency) {
            let ours = &self.programme.currency;
            let what = format!("{:?}: the cards are in {ours}", text("currency"));
            return Err(problem("currency", what));
        }
        let mcc = text("mcc");
        if mcc.len() != 4 || !mcc.bytes().all(|byte| byte.is_ascii_digit()) {
            let what = format!("{mcc:?} is no merchant category code: write four digits");
            return Err(problem("mcc", what));
        }
        let was_approved = match text("result") {
            "approved" => true,
            "declined" => false,
            other => {
                let what = format!("{other:?}: write approved or declined");
                return Err(problem("result", what));
            }
        };
        let country = fields.get("country").map_or("", |country| country.trim());
        let country = if country.is_empty() { &self.programme.country } else { country }.to_owned();
        let card = card.clone();
        let shop = self.shop(mcc, text("merchant"), country);
        Ok(Recorded { line, at, person, card, amount_minor: amount.0, shop, was_approved })
    }

    /// The shop of that code and name, made when it is first met. It lives as long as the process:
    /// there are as many as the file names.
    fn shop(&mut self, code: &str, name: &str, country: String) -> &'static Shop {
        let categories = &self.categories;
        let key = (code.to_owned(), name.to_owned(), country);
        let make = |(code, name, country): &(String, String, String)| {
            let keep = |text: &str| -> &'static str { Box::leak(text.to_owned().into_boxed_str()) };
            let category = categories.of(code);
            let shop = Shop {
                name: keep(name),
                descriptor: keep(name),
                code: keep(code),
                slug: "",
                category: keep(category),
                city: "",
                country: keep(country),
                till: if category == "cash" { Till::CashMachine } else { Till::Counter },
            };
            let shop: &'static Shop = Box::leak(Box::new(shop));
            shop
        };
        if let Some(known) = self.shops.get(&key) {
            return known;
        }
        let shop = make(&key);
        self.shops.insert(key, shop);
        shop
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEE: &str = "ic_1DemoDee00000000001";

    fn programme() -> Programme {
        Programme::read(include_str!("../../../merchant-rules/demo.toml")).unwrap()
    }

    fn table(rows: &[&str]) -> String {
        let rows = rows.iter().map(|row| row.replace("DEE", DEE));
        let heading = "time,card,amount,currency,mcc,merchant,result".to_owned();
        std::iter::once(heading).chain(rows).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn rows_of_either_format_say_the_same() {
        let csv = table(&["2026-11-02T09:00:00Z,DEE,12.50,GBP,5411,\"Grocer, Bow\",approved"]);
        let json = format!(
            "{{\"time\": \"2026-11-02T09:00:00Z\", \"card\": \"{DEE}\", \"amount\": \"12.50\", \
             \"currency\": \"gbp\", \"mcc\": 5411, \"merchant\": \"Grocer, Bow\", \
             \"result\": \"approved\"}}"
        );
        for (text, format) in [(csv, Format::Csv), (json, Format::JsonLines)] {
            let past = read(&text, format, &programme(), false).unwrap();
            let row = &past.rows[0];
            assert_eq!((row.amount_minor, row.shop.category), (12_50, "food"));
            assert_eq!((row.shop.name, row.was_approved), ("Grocer, Bow", true));
        }
    }

    #[test]
    fn a_row_that_cannot_be_read_is_named_and_nothing_is_sent() {
        let good = "2026-11-02T09:00:00Z,DEE,12.50,GBP,5411,Grocer,approved";
        for (bad, wanted) in [
            (good.replace("12.50", "\"12,50\""), "line 3, column amount: \"12,50\" is no amount"),
            (good.replace("DEE", "ic_1Other"), "line 3, column card: \"ic_1Other\" is nobody's"),
            (good.replace("GBP", "EUR"), "line 3, column currency: \"EUR\""),
            (good.replace("5411", "541"), "line 3, column mcc: \"541\""),
            (good.replace("approved", "yes"), "line 3, column result: \"yes\""),
            (good.replace("2026-11-02T", "yesterday "), "line 3, column time: "),
            (good.replace("Grocer", ""), "line 3, column merchant: it is missing"),
        ] {
            let text = table(&[good, &bad]);
            let error = read(&text, Format::Csv, &programme(), false).unwrap_err().to_string();
            assert!(error.contains(wanted), "{error}");
            let past = read(&text, Format::Csv, &programme(), true).unwrap();
            assert_eq!((past.rows.len(), past.skipped), (1, 1));
        }
    }
}
