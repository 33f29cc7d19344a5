//! A life as one issuer tells it, and how its messages are taken in.

use jiff::{Timestamp, ToSpan as _};
use sayso::domain::purchase::presentment::IssuerEvent;
use sayso::ledger::record::event::ReceivedEvent;

use super::message::{IssuerVocabulary, Message, ScriptedMessage};
use super::table::Life;
use crate::world::{CONNECTION, World};

/// A life as one issuer tells it.
pub(super) struct LifeScript {
    pub(super) life: Life,
    pub(super) said: Vec<ScriptedMessage>,
    /// How many messages stand between one ` > ` and the next.
    pub(super) groups: Vec<usize>,
}

impl LifeScript {
    /// The life in this tongue, if it can be told in it; `card` stands in the messages, and the
    /// first of them is made when it has `begun`.
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

    /// Whether this is where nothing is said for a month.
    pub(super) fn is_month(&self, place: usize) -> bool {
        matches!(self.said[place].message, Message::MonthPasses)
    }
}

/// A month in which nobody says anything, and everything that our own clock then does.
pub(super) async fn let_a_month_pass(world: &World) {
    world.advance_clock((40 * 24).hours());
    run_upkeep(world).await;
}

/// What the gateway does by itself from time to time.
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
