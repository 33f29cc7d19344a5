//! A life in one issuer's messages, and how they are processed.

use jiff::{Timestamp, ToSpan as _};
use sayso::domain::purchase::presentment::IssuerEvent;
use sayso::ledger::record::event::ReceivedEvent;

use super::message::{IssuerVocabulary, Message, ScriptedMessage};
use super::table::Life;
use crate::world::{CONNECTION, World};

/// A life in one issuer's messages.
pub(super) struct LifeScript {
    pub(super) life: Life,
    pub(super) said: Vec<ScriptedMessage>,
    /// The number of messages in each group, as ` > ` separates them.
    pub(super) groups: Vec<usize>,
}

impl LifeScript {
    /// The life in this vocabulary; `None` if the issuer cannot express it. Its messages are about
    /// `card`, and the first one is made at `begun`.
    pub(super) fn of(
        life: Life,
        vocabulary: &IssuerVocabulary,
        card: &str,
        begun: Timestamp,
    ) -> Option<Self> {
        let said = (vocabulary.say)(&life, card, begun)?;
        let groups = said.iter().map(Vec::len).collect();
        Some(Self { life, said: said.concat(), groups })
    }

    pub(super) fn is_of_own_money(&self) -> bool {
        self.life.setting.pots.is_some()
    }

    /// Whether this step is a month without messages.
    pub(super) fn is_month(&self, place: usize) -> bool {
        matches!(self.said[place].message, Message::MonthPasses)
    }
}

/// Advances the clock by more than a month and runs upkeep.
pub(super) async fn let_a_month_pass(world: &World) {
    world.advance_clock((40 * 24).hours());
    run_upkeep(world).await;
}

/// Runs the gateway's periodic upkeep once.
pub(super) async fn run_upkeep(world: &World) {
    world.app.upkeep().await.unwrap();
}

pub(super) fn received(event: IssuerEvent, text: String, received_at: Timestamp) -> ReceivedEvent {
    ReceivedEvent {
        programme: "riverside".parse().unwrap(),
        connection: CONNECTION.parse().unwrap(),
        event,
        text,
        received_at,
    }
}
