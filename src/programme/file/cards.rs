//! `[[person.card]]`: how a card is read from the file, written to it, and stored.

use std::collections::BTreeMap;

use super::reader::{FileEntry, NAME_CHARS_MAX};
use super::references::FileReferences;
use super::write::TomlWriter;
use crate::domain::card::{CardState, CardStatus};
use crate::domain::id::{BudgetId, CardToken, ConnectionId, ProgrammeId};
use crate::store::CardRow;

/// The fields of a card.
pub(super) const FIELDS: [&str; 4] = ["connection", "token", "last_four", "state"];

/// A card as the issuer identifies it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FiledCard {
    pub connection: ConnectionId,
    pub token: CardToken,
    /// Four digits by which the person tells their cards apart.
    pub last_four: String,
    pub state: CardState,
}

impl FiledCard {
    /// The row to store, with the status that the card has after the file is applied.
    pub(in crate::programme) fn row(
        &self,
        programme: &ProgrammeId,
        budget: &BudgetId,
        status: CardStatus,
    ) -> CardRow {
        // Every field, so that the compiler asks whether a new one is stored. The state to store is
        // that of `status`.
        let Self { connection, token, last_four, state: _ } = self;
        let (state_until, state_after) = status.then.unzip();
        CardRow {
            programme_id: programme.clone(),
            connection_id: connection.clone(),
            token: token.clone(),
            budget_id: budget.clone(),
            last_four: last_four.clone(),
            state: status.state,
            state_until,
            state_after,
        }
    }
}

pub(super) fn card(
    entry: &FileEntry<'_>,
    known: &FileReferences<'_>,
    seen: &mut BTreeMap<(ConnectionId, CardToken), usize>,
) -> Option<FiledCard> {
    let connection = entry.parsed::<ConnectionId>("connection");
    if connection.is_some() {
        known.refer_connection(entry);
    }
    let token = entry.parsed::<CardToken>("token");
    if let (Some(connection), Some(token)) = (&connection, &token) {
        entry.refuse_duplicate("token", (connection.clone(), token.clone()), seen);
    }
    let last_four = entry.text("last_four", NAME_CHARS_MAX);
    let last_four = last_four.filter(|digits| {
        let are_four = digits.len() == 4 && digits.bytes().all(|byte| byte.is_ascii_digit());
        if !are_four {
            entry.problem("last_four", "last_four is not the card's last four digits, \"1234\"");
        }
        are_four
    });
    let active = Some(CardState::Active);
    let state = entry.word("state", CardState::ALL, CardState::word, active);
    Some(FiledCard { connection: connection?, token: token?, last_four: last_four?, state: state? })
}

impl TomlWriter {
    pub(super) fn card(&mut self, card: &FiledCard) {
        self.header("[[person.card]]");
        self.text("connection", card.connection.as_str());
        self.text("token", card.token.as_str());
        self.text("last_four", &card.last_four);
        self.text("state", card.state.word());
    }
}

/// Any card of the connection `link`.
#[cfg(test)]
pub(super) fn any_card() -> impl proptest::strategy::Strategy<Value = FiledCard> {
    use proptest::strategy::Strategy as _;

    let state = proptest::sample::select(CardState::ALL.to_vec());
    ("[a-z]{1,20}", "[0-9]{4}", state).prop_map(|(token, last_four, state)| FiledCard {
        connection: "link".parse().unwrap(),
        token: token.parse().unwrap(),
        last_four,
        state,
    })
}
