//! Programme files written part by part, for tests that need people of their own.

use crate::world::{CONNECTION, DEMO, SECRET};

/// The text of a programme file. Every part has the fields that a file requires;
/// [`with`](Self::with) adds further ones to the part that was written last.
pub(crate) struct ProgrammeText(String);

impl ProgrammeText {
    /// A programme in `currency`, with long deadlines, one stream, and a start list that allows
    /// everything. `[programme]` is the last part, so that a test can add to it.
    pub(crate) fn small(currency: &str) -> Self {
        Self(format!(
            r#"
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

[programme]
id = "riverside"
name = "Riverside budgets"
time_zone = "Europe/London"
currency = "{currency}"
country = "GB"
"#
        ))
    }

    /// The settings of the demo, without its start list and without its people.
    pub(crate) fn demo_settings() -> Self {
        let (settings, _) = DEMO.split_once("\n# The list that holds").unwrap();
        Self(settings.to_owned())
    }

    /// Adds lines to the last part.
    pub(crate) fn with(&mut self, lines: &str) -> &mut Self {
        self.0.push_str(lines);
        self.0.push('\n');
        self
    }

    pub(crate) fn stream(&mut self, id: &str, name: &str, funder: &str) -> &mut Self {
        self.with(&format!("\n[[stream]]\nid = \"{id}\"\nname = \"{name}\"\nfunder = \"{funder}\""))
    }

    pub(crate) fn person(&mut self, id: &str, name: &str) -> &mut Self {
        self.with(&format!("\n[[person]]\nid = \"{id}\"\nname = \"{name}\"\nworker = \"amina\""))
    }

    /// An active card of the last person.
    pub(crate) fn card(&mut self, token: &str, last_four: &str) -> &mut Self {
        self.with(&format!(
            "\n[[person.card]]\nconnection = \"{CONNECTION}\"\ntoken = \"{token}\"\n\
             last_four = \"{last_four}\""
        ))
    }

    /// A pot of the last person, named after its id and filled with all that it may get.
    pub(crate) fn pot(&mut self, id: &str, stream: &str, amount: &str) -> &mut Self {
        self.with(&format!(
            "\n[[person.pot]]\nid = \"{id}\"\nname = \"{id}\"\nstream = \"{stream}\"\n\
             allocated = \"{amount}\"\nloads = [{{ id = \"start\", amount = \"{amount}\" }}]"
        ))
    }

    /// What the last person agreed with Amina. Its terms follow.
    pub(crate) fn agreement(&mut self) -> &mut Self {
        self.with(
            "\n[person.agreement]\nagreed_on = 2026-11-16\nagreed_by = [\"They\", \"Amina\"]\n\
             how = \"At the table.\"",
        )
    }

    /// A term of the last agreement, with the fields of `lines`.
    pub(crate) fn term(&mut self, lines: &str) -> &mut Self {
        self.with("\n[[person.agreement.term]]").with(lines)
    }

    /// The term of the last agreement that allows what no other term is about.
    pub(crate) fn yes_to_everything_else(&mut self) -> &mut Self {
        self.term("on = \"everything_else\"\nanswer = \"yes\"")
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}
