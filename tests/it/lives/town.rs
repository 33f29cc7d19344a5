//! A programme with a person for every play that needs its own money.

use std::fmt::Write as _;

use super::table::{Card, LifeSetting};
use crate::world::{CONNECTION, SECRET};

/// The balance of a pot that must never run out.
pub(super) const PLENTY: i64 = 50_000_000_00;

/// A card that no person has.
const NOBODYS: &str = "ic_nobody_has_this";

/// Builds a programme file, person by person.
pub(super) struct ProgrammeBuilder {
    file: String,
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
        let file = format!(
            r#"
[programme]
id = "riverside"
name = "Riverside budgets"
time_zone = "Europe/London"
currency = "GBP"
country = "GB"
exchange_margin_percent = 5

[[worker]]
id = "amina"
name = "Amina"
phone = "020 7946 0000"

[[connection]]
name = "{CONNECTION}"
issuer = "stripe"
api_version = "2026-10-28.endive"
deadline_ms = 20000
answer_within_ms = 15000

[[connection.secret]]
name = "both"
value = "{SECRET}"

[[stream]]
id = "homes"
name = "Homes grant"
funder = "Riverside Council"

[[start.term]]
on = "everything_else"
answer = "yes"
"#
        );
        Self { file, people: 0 }
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
        write!(
            self.file,
            r#"
[[person]]
id = "{id}"
name = "{id}"
worker = "amina"

[[person.card]]
connection = "{CONNECTION}"
token = "{card}"
last_four = "0001"
state = "{state}"
"#
        )
        .unwrap();
        let plenty = vec![PLENTY];
        for (place, minor) in setting.pots.as_ref().unwrap_or(&plenty).iter().enumerate() {
            let amount = format!("{}.{:02}", minor / 100, minor % 100);
            write!(
                self.file,
                r#"
[[person.pot]]
id = "pot-{place}"
name = "pot {place}"
stream = "homes"
allocated = "{amount}"
loads = [{{ id = "start", amount = "{amount}" }}]
"#
            )
            .unwrap();
        }
        self.file.push_str(AGREEMENT);
        Payer { card, budget: Some(id) }
    }

    /// The file for `sayso programme apply`.
    pub(super) fn file(&self) -> &str {
        &self.file
    }
}

/// Has a limit that every purchase counts towards and none can exceed, so that `verify` checks the
/// counters.
const AGREEMENT: &str = r#"
[person.agreement]
agreed_on = 2026-11-16
agreed_by = ["Dee", "Amina"]
how = "In the hostel office."
partial = true

[[person.agreement.term]]
on = "everything"
limits = [{ per = "week", amount = "50000000.00" }]
decides = "person"
reason = "Agreed together."
review_on = 2027-02-16

[[person.agreement.term]]
on = "everything_else"
answer = "yes"
"#;
