//! Parses `tests/fixtures/lives.md`: one life a line.

use std::collections::BTreeMap;

/// One line of the tables.
#[derive(Debug)]
pub(super) struct Life {
    /// Line number in the file.
    pub(super) line: usize,
    pub(super) name: String,
    pub(super) setting: LifeSetting,
    /// The life in each issuer's words, by the column's title.
    told: BTreeMap<String, String>,
    pub(super) end: LifeEnd,
}

/// The payer and the shop.
#[derive(Debug, Default)]
pub(super) struct LifeSetting {
    pub(super) card: Card,
    /// What the pots have, in drain order; `None` for more than enough.
    pub(super) pots: Option<Vec<i64>>,
    /// The shop's category code, unless it is a grocer.
    pub(super) shop: Option<&'static str>,
    /// Whether all messages of the issuer have the same timestamp.
    pub(super) is_at_once: bool,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum Card {
    #[default]
    Good,
    Lost,
    Nobodys,
}

/// The expected final state, in minor units.
#[derive(Debug, Default)]
pub(super) struct LifeEnd {
    pub(super) money: Money,
    /// What each pot has left, where the setting gives its balance.
    pub(super) left: Option<Vec<i64>>,
    /// Kinds of the expected exceptions when played in order, sorted; by column title where issuers
    /// differ, and under the empty title for the others.
    to_look_at: BTreeMap<String, Vec<String>>,
}

/// What one life has moved, in minor units.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Money {
    pub(super) held: i64,
    pub(super) spent: i64,
    pub(super) owed: i64,
    pub(super) aside: i64,
    pub(super) disputed: i64,
}

/// Messages in groups: all of one group precede all of the next.
pub(super) type Script = Vec<Vec<String>>;

/// All lives of the file.
pub(super) fn lives() -> Vec<Life> {
    let text = include_str!("../../fixtures/lives.md");
    let mut lives = Vec::new();
    let mut titles: Vec<&str> = Vec::new();
    for (line, text) in (1..).zip(text.lines()) {
        let Some(row) = text.strip_prefix('|') else {
            titles.clear();
            continue;
        };
        let cells: Vec<_> = row.trim_end_matches('|').split('|').map(str::trim).collect();
        if titles.is_empty() {
            titles = cells;
        } else if titles.first() == Some(&"Life") && !row.starts_with(" ---") {
            assert_eq!(cells.len(), titles.len(), "line {line} has another number of cells");
            let cells = titles.iter().zip(cells).map(|(t, c)| ((*t).to_owned(), c.to_owned()));
            lives.push(Life::read(line, cells.collect()));
        }
    }
    lives
}

impl Life {
    fn read(line: usize, mut cells: BTreeMap<String, String>) -> Self {
        let mut cell = |title: &str| {
            cells.remove(title).unwrap_or_else(|| panic!("line {line} has no column {title}"))
        };
        let setting = LifeSetting::read(&cell("Setting"));
        let money = Money {
            held: minor(&cell("Held")),
            spent: minor(&cell("Spent")),
            owed: minor(&cell("Owed")),
            aside: minor(&cell("Aside")),
            disputed: minor(&cell("Disputed")),
        };
        let left = cell("Left");
        let end = LifeEnd {
            money,
            left: (!left.is_empty()).then(|| amounts(&left)),
            to_look_at: exceptions(&cell("To look at")),
        };
        assert_eq!(setting.pots.is_some(), end.left.is_some(), "line {line}: pots, and no end");
        Self { line, name: cell("Life"), setting, end, told: cells }
    }

    /// The life in the words of the column `title`; `None` where it has a dash.
    pub(super) fn script(&self, title: &str) -> Option<Script> {
        let told = self.told.get(title).unwrap_or_else(|| panic!("no column {title}"));
        (told != "-").then(|| told.split(" > ").map(words).collect())
    }
}

impl LifeEnd {
    /// The exceptions that are expected from the issuer of this column.
    pub(super) fn to_look_at(&self, title: &str) -> &[String] {
        self.to_look_at.get(title).unwrap_or_else(|| &self.to_look_at[""])
    }
}

impl LifeSetting {
    fn read(text: &str) -> Self {
        let mut setting = Self::default();
        for word in words(text) {
            match word.as_str() {
                "lost card" => setting.card = Card::Lost,
                "nobody's card" => setting.card = Card::Nobodys,
                "fuel" => setting.shop = Some("5542"),
                "hotel" => setting.shop = Some("7011"),
                "restaurant" => setting.shop = Some("5812"),
                "all at once" => setting.is_at_once = true,
                "cash machine" => setting.shop = Some("6011"),
                pots => setting.pots = Some(amounts(pots)),
            }
        }
        setting
    }
}

/// Parses exceptions: `capture_above_money; Changes: unknown_card`.
fn exceptions(text: &str) -> BTreeMap<String, Vec<String>> {
    let by_column = |part: &str| {
        let (title, kinds) = part.split_once(": ").unwrap_or(("", part));
        let kinds = if kinds == "nothing" { "" } else { kinds };
        (title.trim().to_owned(), words(kinds))
    };
    text.split(';').map(by_column).collect()
}

/// Parses amounts: `30 + 20`.
fn amounts(text: &str) -> Vec<i64> {
    text.split(" + ").map(minor).collect()
}

fn words(text: &str) -> Vec<String> {
    text.split(", ").filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// Parses pounds into pence: `12`, `12.50`, or nothing for zero.
pub(super) fn minor(text: &str) -> i64 {
    let (pounds, pence) = text.split_once('.').unwrap_or((text, "00"));
    assert!(pence.len() == 2, "{text:?} is no amount");
    let number = |text: &str| text.parse::<i64>().unwrap_or_else(|_| panic!("{text:?}: no amount"));
    if text.is_empty() { 0 } else { number(pounds) * 100 + number(pence) }
}
