//! A programme with a person for every play that needs its own money.

use super::table::{Card, LifeSetting};
use crate::programme_text::ProgrammeText;

/// The balance of a pot that must never run out.
pub(super) const PLENTY: i64 = 50_000_000_00;

/// A card that no person has.
const NOBODYS: &str = "ic_nobody_has_this";

/// Builds a programme file, person by person.
pub(super) struct ProgrammeBuilder {
    text: ProgrammeText,
    people: usize,
}

/// The payer of a play.
#[derive(Debug, Clone)]
pub(super) struct Payer {
    pub(super) card: String,
    /// The budget's id; `None` for a card that no person has.
    pub(super) budget: Option<String>,
}

impl ProgrammeBuilder {
    pub(super) fn new() -> Self {
        let mut text = ProgrammeText::small("GBP");
        text.with("exchange_margin_percent = 5");
        Self { text, people: 0 }
    }

    /// The payer for this setting: a new person, unless the card is nobody's.
    pub(super) fn add_payer(&mut self, setting: &LifeSetting) -> Payer {
        if setting.card == Card::Nobodys {
            return Payer { card: NOBODYS.to_owned(), budget: None };
        }
        let id = format!("p{}", self.people);
        self.people += 1;
        let card = format!("ic_{id}");
        let state = if setting.card == Card::Lost { "lost" } else { "active" };
        self.text.person(&id, &id).card(&card, "0001").with(&format!("state = \"{state}\""));
        let plenty = vec![PLENTY];
        for (place, minor) in setting.pots.as_ref().unwrap_or(&plenty).iter().enumerate() {
            let amount = format!("{}.{:02}", minor / 100, minor % 100);
            self.text.pot(&format!("pot-{place}"), "homes", &amount);
        }
        self.text.agreement().with("partial = true").term(LIMIT).yes_to_everything_else();
        Payer { card, budget: Some(id) }
    }

    /// The file for `sayso programme apply`.
    pub(super) fn file(&self) -> &str {
        self.text.as_str()
    }
}

/// Every purchase counts towards this limit and none can exceed it, so that `verify` checks the
/// counters.
const LIMIT: &str = r#"on = "everything"
limits = [{ per = "week", amount = "50000000.00" }]
decides = "person"
reason = "Agreed together."
review_on = 2027-02-16"#;
