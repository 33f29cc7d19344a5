//! Recorded purchases of a programme, parsed from a file to be requested again. An unambiguous row
//! is parsed; every other one is reported before anything is sent.

mod amount;
mod countries;
mod csv;
mod problem;
mod refunds;
mod time;

use std::collections::BTreeMap;

use anyhow::{Context as _, bail};
use jiff::Timestamp;
use serde_json::Value;

use crate::{
    categories::Categories,
    currency,
    programme::{Card, Programme},
    shops::{PurchaseChannel, Shop},
};
use amount::DecimalMark;
use problem::RowProblem;
use time::DateOrder;

/// The required columns.
const REQUIRED_COLUMNS: [&str; 7] =
    ["time", "card", "amount", "currency", "mcc", "merchant", "result"];
/// The optional columns.
const OPTIONAL_COLUMNS: [&str; 3] = ["country", "online", "network_id"];
/// In place of a column name when the whole row is malformed.
const WHOLE_ROW: &str = "(the whole row)";

/// The format of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A heading with the column names, then one row a line.
    Csv,
    /// One JSON object a line.
    JsonLines,
}

/// One recorded row.
#[derive(Debug, Clone)]
pub(crate) struct RecordedPurchase {
    /// Line in the file, counted from 1.
    pub(crate) line: usize,
    pub(crate) at: Timestamp,
    /// Index into the programme's people.
    pub(crate) person: usize,
    pub(crate) card: Card,
    /// Minor units, at least zero.
    pub(crate) amount_minor: i64,
    pub(crate) shop: &'static Shop,
    pub(crate) outcome: RecordedOutcome,
}

/// The recorded outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RecordedOutcome {
    Approved,
    Declined,
    /// A refund, with the index of its purchase in [`RecordedPurchases::rows`]; `None` when no
    /// purchase matches.
    Refunded(Option<usize>),
}

/// The parsed file.
#[derive(Debug)]
pub(crate) struct RecordedPurchases {
    /// In order of time.
    pub(crate) rows: Vec<RecordedPurchase>,
    pub(crate) skipped: usize,
    /// Why rows were skipped, one text for each kind of problem.
    pub(crate) left_out: Vec<String>,
    /// Assumptions about the file.
    pub(crate) notes: Vec<String>,
}

/// Decodes a file: UTF-8 with or without a byte order mark, or UTF-16 with one.
///
/// # Errors
/// When it has another encoding, with the first line that shows it.
pub fn text(bytes: &[u8]) -> anyhow::Result<String> {
    let wide = |from: fn([u8; 2]) -> u16| {
        let units: Vec<_> =
            bytes.as_chunks::<2>().0.iter().skip(1).map(|pair| from(*pair)).collect();
        String::from_utf16(&units).context("it begins as UTF-16 does, and is not")
    };
    match bytes {
        [0xff, 0xfe, ..] => wide(u16::from_le_bytes),
        [0xfe, 0xff, ..] => wide(u16::from_be_bytes),
        _ => {
            let read = str::from_utf8(bytes).map_err(|error| {
                let before = bytes.get(..error.valid_up_to()).unwrap_or_default();
                let line = before.split(|byte| *byte == b'\n').count();
                anyhow::anyhow!("line {line} is not UTF-8: save the file as \"CSV UTF-8\"")
            });
            Ok(read?.to_owned())
        }
    }
}

/// Parses a file of recorded purchases.
///
/// # Errors
/// When a row cannot be parsed, with every kind of problem and its rows. With `skips_bad` such rows
/// are skipped instead.
pub(crate) fn read(
    text: &str,
    format: Format,
    programme: &Programme,
    skips_bad: bool,
) -> anyhow::Result<RecordedPurchases> {
    let all = fields(text.trim_start_matches('\u{feff}'), format)?;
    let mut reader = RowReader::new(programme, &all)?;
    let mut rows = Vec::new();
    let mut problems = Vec::new();
    let mut bad = 0;
    for (line, fields) in &all {
        let mut found = Vec::new();
        let row = match fields {
            Ok(fields) => reader.read(*line, fields, &mut found),
            Err(problem) => {
                found.push(problem.clone());
                None
            }
        };
        match row.filter(|_| found.is_empty()) {
            Some(row) => rows.push(row),
            None => bad += 1,
        }
        problems.extend(found);
    }
    let left_out = problem::summaries(&problems);
    if bad > 0 && !skips_bad {
        bail!(
            "{bad} of {} rows cannot be read; nothing was sent:\n  {}\nMend them, or leave them \
             out with --skip-bad",
            all.len(),
            left_out.join("\n  ")
        );
    }
    if rows.is_empty() {
        let why = left_out.join("\n  ");
        bail!(
            "the file has no purchase that can be read{}{why}",
            if bad > 0 { ":\n  " } else { "" }
        );
    }
    let mut notes = Vec::new();
    if reader.local_times > 0 {
        let zone = programme.zone.iana_name().unwrap_or_default();
        let local = reader.local_times;
        notes.push(format!("{local} times say no zone: read in the programme's, {zone}"));
    }
    // At equal times a refund sorts after its purchase.
    rows.sort_by_key(|row| (row.at, matches!(row.outcome, RecordedOutcome::Refunded(_))));
    notes.extend(refunds::link(&mut rows));
    Ok(RecordedPurchases { rows, skipped: bad, left_out, notes })
}

type Fields = BTreeMap<String, String>;
type NumberedRow = (usize, Result<Fields, RowProblem>);

/// The fields of each row by column name, with the row's line.
fn fields(text: &str, format: Format) -> anyhow::Result<Vec<NumberedRow>> {
    match format {
        Format::Csv => {
            let known = [REQUIRED_COLUMNS.as_slice(), &OPTIONAL_COLUMNS].concat();
            let separator = csv::separator(text, &known);
            let mut rows = csv::rows(text, separator).into_iter();
            let heading = rows.next().map_or(Vec::new(), |(_, heading)| heading);
            let columns = columns(&heading)?;
            Ok(rows.map(|(line, fields)| (line, by_column(line, &columns, fields))).collect())
        }
        Format::JsonLines => {
            let lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
            Ok(lines.map(|(number, line)| (number, object(number, line))).collect())
        }
    }
}

/// The column names of the heading, normalised.
fn columns(heading: &[String]) -> anyhow::Result<Vec<String>> {
    let columns: Vec<_> = heading.iter().map(|name| folded(name)).collect();
    let count = |wanted: &str| columns.iter().filter(|name| *name == wanted).count();
    let missing: Vec<_> = REQUIRED_COLUMNS.into_iter().filter(|name| count(name) == 0).collect();
    if !missing.is_empty() {
        let has = columns.join(", ");
        bail!("line 1: the heading has no column {}; it has {has}", missing.join(", "));
    }
    let mut known = REQUIRED_COLUMNS.into_iter().chain(OPTIONAL_COLUMNS);
    if let Some(twice) = known.find(|name| count(name) > 1) {
        bail!("line 1: the heading has more than one column {twice}");
    }
    Ok(columns)
}

/// Normalises a column name for comparison.
fn folded(name: &str) -> String {
    name.trim().trim_start_matches('\u{feff}').to_lowercase().replace([' ', '-'], "_")
}

fn by_column(line: usize, columns: &[String], fields: Vec<String>) -> Result<Fields, RowProblem> {
    let beyond = fields.get(columns.len()..).unwrap_or_default();
    if beyond.iter().any(|field| !field.trim().is_empty()) {
        let what =
            "it has more fields than the heading: put quotes around text that holds separators";
        return Err(RowProblem {
            line,
            column: WHOLE_ROW,
            what: what.to_owned(),
            text: String::new(),
        });
    }
    Ok(columns.iter().cloned().zip(fields).collect())
}

fn object(line: usize, text: &str) -> Result<Fields, RowProblem> {
    let read: Result<BTreeMap<String, Value>, _> = serde_json::from_str(text);
    let object = read.map_err(|_| RowProblem {
        line,
        column: WHOLE_ROW,
        what: "this is no JSON object: write one a line".to_owned(),
        text: text.to_owned(),
    })?;
    let text = |value: Value| match value {
        Value::String(ref text) => text.clone(),
        Value::Null => String::new(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    };
    Ok(object.into_iter().map(|(name, value)| (folded(&name), text(value))).collect())
}

struct RowReader<'a> {
    programme: &'a Programme,
    categories: Categories,
    cards: BTreeMap<&'a str, (usize, &'a Card)>,
    /// Shops seen so far.
    shops: BTreeMap<ShopAttributes, &'static Shop>,
    dates: Option<DateOrder>,
    decimals: Option<DecimalMark>,
    local_times: usize,
}

/// The fields that distinguish one shop from another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct ShopAttributes {
    code: String,
    name: String,
    country: String,
    network_id: String,
    is_online: bool,
}

/// One row, and the problems found in it.
struct RowContext<'a> {
    line: usize,
    fields: &'a Fields,
    problems: &'a mut Vec<RowProblem>,
}

impl<'a> RowContext<'a> {
    /// The trimmed text of a column; `None` when it is empty.
    fn optional(&self, column: &str) -> Option<&'a str> {
        self.fields.get(column).map(|text| text.trim()).filter(|text| !text.is_empty())
    }

    /// The trimmed text of a required column. Reports an empty one.
    fn required(&mut self, column: &'static str) -> Option<&'a str> {
        let text = self.optional(column);
        if text.is_none() {
            self.report_problem(column, "it is empty, and every row needs it", "");
        }
        text
    }

    fn report_problem(&mut self, column: &'static str, what: impl Into<String>, text: &str) {
        let (line, text) = (self.line, text.to_owned());
        self.problems.push(RowProblem { line, column, what: what.into(), text });
    }

    /// Parses a required column. Reports a failure.
    fn read<T, W: Into<String>>(
        &mut self,
        column: &'static str,
        read: impl FnOnce(&str) -> Result<T, W>,
    ) -> Option<T> {
        let text = self.required(column)?;
        read(text).map_err(|what| self.report_problem(column, what, text)).ok()
    }
}

impl<'a> RowReader<'a> {
    fn new(programme: &'a Programme, rows: &[NumberedRow]) -> anyhow::Result<Self> {
        let people = programme.people.iter().enumerate();
        let cards = people.flat_map(|(index, person)| {
            person.card.iter().map(move |card| (card.token.as_str(), (index, card)))
        });
        let cards = cards.filter(|(_, (_, card))| programme.connection(&card.connection).is_some());
        let column = |name: &'static str| {
            let fields = rows.iter().filter_map(|(_, fields)| fields.as_ref().ok());
            fields.filter_map(move |fields| fields.get(name)).map(|text| text.trim())
        };
        Ok(Self {
            programme,
            categories: Categories::built_in()?,
            cards: cards.collect(),
            shops: BTreeMap::new(),
            dates: DateOrder::of_column(column("time")),
            decimals: DecimalMark::of_column(column("amount")),
            local_times: 0,
        })
    }

    fn read(
        &mut self,
        line: usize,
        fields: &Fields,
        problems: &mut Vec<RowProblem>,
    ) -> Option<RecordedPurchase> {
        let mut row_context = RowContext { line, fields, problems };
        let programme = self.programme;
        let code = programme.currency.as_str();
        let time = row_context.read("time", |text| time::read(text, self.dates, &programme.zone));
        let card = row_context.read("card", |text| {
            self.cards.get(text).copied().ok_or("this is nobody's card in the programme file")
        });
        let amount = row_context.read("amount", |text| {
            let amount = amount::read(text, code, self.decimals)?;
            let is_representable = currency::to_stripe(amount, code).is_some();
            if is_representable { Ok(amount) } else { Err("this is finer than the issuer can say") }
        });
        row_context.read("currency", |text| {
            let is_ours = amount::is_unit(text, code);
            if is_ours { Ok(()) } else { Err(format!("the cards are in {code}")) }
        });
        let mcc = row_context.read("mcc", mcc);
        let merchant = row_context.required("merchant");
        let country =
            match row_context.optional("country").map(|text| (text, countries::code(text))) {
                None => Some(programme.home.country()),
                Some((text, None)) => {
                    row_context.report_problem(
                        "country",
                        "this is no country: write its code, as GB",
                        text,
                    );
                    None
                }
                Some((_, code)) => code,
            };
        let online = match row_context.optional("online").map(|text| (text, is_yes(text))) {
            None => Some(false),
            Some((text, None)) => {
                row_context.report_problem("online", "write yes or no", text);
                None
            }
            Some((_, is_online)) => is_online,
        };
        let outcome = outcome(&mut row_context, amount);
        let attributes = ShopAttributes {
            code: mcc?,
            name: merchant?.to_owned(),
            country: country?.to_owned(),
            network_id: row_context.optional("network_id").unwrap_or_default().to_owned(),
            is_online: online?,
        };
        let ((person, card), time) = (card?, time?);
        self.local_times += usize::from(time.is_local);
        Some(RecordedPurchase {
            line,
            at: time.at,
            person,
            card: card.clone(),
            amount_minor: amount?.abs(),
            shop: self.shop(attributes),
            outcome: outcome?,
        })
    }

    /// The shop with these attributes. It is leaked, because there are only as many as the file
    /// names.
    fn shop(&mut self, attributes: ShopAttributes) -> &'static Shop {
        if let Some(known) = self.shops.get(&attributes) {
            return known;
        }
        let keep = |text: &str| -> &'static str { Box::leak(text.to_owned().into_boxed_str()) };
        let category = self.categories.of(&attributes.code);
        let shop = Shop {
            name: keep(&attributes.name),
            descriptor: keep(&attributes.name),
            code: keep(&attributes.code),
            slug: "",
            category: keep(category),
            also: Box::leak(self.categories.also(&attributes.code).into_iter().map(keep).collect()),
            city: "",
            country: keep(&attributes.country),
            network_id: keep(&attributes.network_id),
            channel: match (category, attributes.is_online) {
                ("cash", _) => PurchaseChannel::CashMachine,
                (_, true) => PurchaseChannel::Online,
                (_, false) => PurchaseChannel::Counter,
            },
        };
        let shop: &'static Shop = Box::leak(Box::new(shop));
        self.shops.insert(attributes, shop);
        shop
    }
}

/// Parses a category code. Spreadsheets drop a leading zero and append a decimal: 742, 5411.0.
fn mcc(text: &str) -> Result<String, &'static str> {
    let digits = text.strip_suffix(".0").unwrap_or(text);
    let is_code =
        [3, 4].contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    let what = "this is no merchant category code: write four digits";
    is_code.then(|| format!("{digits:0>4}")).ok_or(what)
}

fn is_yes(text: &str) -> Option<bool> {
    match text.to_lowercase().as_str() {
        "yes" | "y" | "true" | "1" | "online" => Some(true),
        "no" | "n" | "false" | "0" | "in person" | "in_person" => Some(false),
        _ => None,
    }
}

/// The outcome of the row. A negative amount is a refund, which cannot have been declined.
fn outcome(row_context: &mut RowContext<'_>, amount: Option<i64>) -> Option<RecordedOutcome> {
    let is_back = amount.is_some_and(|amount| amount < 0);
    if is_back && row_context.optional("result").is_none() {
        return Some(RecordedOutcome::Refunded(None));
    }
    row_context.read("result", |text| match text.to_lowercase().as_str() {
        "refunded" | "refund" | "approved" | "authorised" | "authorized" if is_back => {
            Ok(RecordedOutcome::Refunded(None))
        }
        "approved" | "authorised" | "authorized" => Ok(RecordedOutcome::Approved),
        "declined" | "refused" if is_back => Err("money back is never declined: leave the row out"),
        "declined" | "refused" => Ok(RecordedOutcome::Declined),
        _ => Err("write approved or declined"),
    })
}

#[cfg(test)]
mod tests;
