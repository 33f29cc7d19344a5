//! Repeated messages. The same identifier with the same content changes nothing; with other content
//! it is an exception. Decoded content is compared, because issuers change insignificant bytes when
//! they resend.

use std::collections::BTreeMap;

use crate::domain::purchase::presentment::{EventBody, IssuerEvent, Presentment};
use crate::ledger::record::event::ReceivedEvent;
use crate::programme::directory::Directory;
use crate::store::{ReferenceKey, StoredPresentment};

/// Whether a repeated message has the same content as before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Repetition {
    Same,
    OtherContent,
}

/// Compares an event with the text that is stored under its identifier. An erased text, `None`,
/// counts as the same.
pub(super) fn compare(
    directory: &Directory,
    stored: Option<&str>,
    event: &ReceivedEvent,
) -> Repetition {
    let Some(stored) = stored.filter(|stored| *stored != event.text) else {
        return Repetition::Same;
    };
    match decode(directory, stored, event) {
        Some(before) if before != event.event => Repetition::OtherContent,
        Some(_) | None => Repetition::Same,
    }
}

/// Decodes a stored text; `None` if it can no longer be read.
fn decode(directory: &Directory, text: &str, event: &ReceivedEvent) -> Option<IssuerEvent> {
    let live = directory.connection(&event.connection)?;
    live.issuer.decode_event(text.as_bytes()).ok()
}

/// Presentments that are booked, or come earlier in the same transaction.
#[derive(Debug, Default)]
pub(super) struct BookedPresentments<'a> {
    pub(super) stored: BTreeMap<ReferenceKey, StoredPresentment>,
    in_batch: BTreeMap<ReferenceKey, &'a Presentment>,
}

impl<'a> BookedPresentments<'a> {
    pub(super) const fn new(stored: BTreeMap<ReferenceKey, StoredPresentment>) -> Self {
        Self { stored, in_batch: BTreeMap::new() }
    }

    /// Adds a presentment. Returns how it repeats a known one; `None` if it is new.
    pub(super) fn add(
        &mut self,
        directory: &Directory,
        event: &'a ReceivedEvent,
        presentment: &'a Presentment,
    ) -> Option<Repetition> {
        let reference = presentment.reference.to_string();
        let reference_key = (event.programme.clone(), event.connection.clone(), reference);
        let is_same = if let Some(stored) = self.stored.get(&reference_key) {
            is_as_stored(directory, stored, event, presentment)
        } else if let Some(before) = self.in_batch.get(&reference_key) {
            is_same(before, presentment)
        } else {
            self.in_batch.insert(reference_key, presentment);
            return None;
        };
        Some(if is_same { Repetition::Same } else { Repetition::OtherContent })
    }
}

/// Whether two presentments are equal but for their time, which does not matter: the first one
/// booked fixes the day that counts.
fn is_same(one: &Presentment, other: &Presentment) -> bool {
    let mut other = other.clone();
    other.about.bought_at = one.about.bought_at;
    *one == other
}

/// Compares with the event that was stored first; if its text is gone, with what was booked.
fn is_as_stored(
    directory: &Directory,
    stored: &StoredPresentment,
    event: &ReceivedEvent,
    presentment: &Presentment,
) -> bool {
    let text = stored.text.as_deref();
    let before = text.and_then(|text| decode(directory, text, event)).map(|event| event.body);
    match before {
        Some(EventBody::Presentment(before)) => is_same(&before, presentment),
        Some(_) | None => {
            stored.direction == presentment.direction.word()
                && stored.currency == presentment.amount.currency().code()
                && stored.amount_minor == presentment.amount.minor()
        }
    }
}
