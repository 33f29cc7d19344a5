//! Safety records: card custody, talks, and the quiet word. None of them reads purchases.

use jiff::ToSpan as _;

use super::outbox::OutboxWriter;
use super::{LockedBudget, optional_words};
use crate::domain::card::safety::{CUSTODY_REVIEW_DAYS, CardCustodian, Custody, Talk};
use crate::domain::id::{BudgetId, CustodyId, PersonId, TalkId};
use crate::domain::people::recipient::Recipient;
use crate::domain::people::role::Capability;
use crate::ledger::record::message_parameters::MessageParameters;
use crate::ledger::record::row::Digest;
use crate::messages::words::{Notification, Words};
use crate::people::members::{Principal, UseCaseContext, UseCaseError};
use crate::store::Tx;

/// The fewest letters and digits of a quiet word.
const QUIET_WORD_CHARS_MIN: usize = 4;
/// The most letters and digits of a quiet word.
const QUIET_WORD_CHARS_MAX: usize = 100;

/// Records who has the person's card. Only the person can, because the card is theirs and comes
/// back when they say so. The worker is notified when the card is with somebody else, and when it
/// is back. While it is elsewhere, custody is due for review after [`CUSTODY_REVIEW_DAYS`].
pub async fn record_custody(
    tx: &mut Tx,
    context: UseCaseContext<'_>,
    principal: &Principal,
    person: &PersonId,
    holder: CardCustodian,
    name: Option<&str>,
) -> Result<Custody, UseCaseError> {
    let locked =
        LockedBudget::lock(tx, context, &principal.programme, &BudgetId::of(person)).await?;
    let access = principal.admit(tx, Capability::ChooseHelpers, person).await?;
    let own_name = (holder == CardCustodian::Person).then(|| access.actor.member.name.clone());
    let name = optional_words(name)?.or(own_name);
    let name = name.ok_or_else(|| UseCaseError::invalid("name", "say who has it"))?;
    let is_elsewhere = holder != CardCustodian::Person;
    let before = tx.custody(&locked.programme_id, &locked.budget).await?;
    let was_elsewhere = before.is_some_and(|before| before.holder != CardCustodian::Person);
    let review_on = locked.today(principal.at).checked_add(CUSTODY_REVIEW_DAYS.days()).ok();
    let custody = Custody {
        id: CustodyId::new(context.ids.next(principal.at)),
        holder,
        name,
        since: principal.at,
        review_on: review_on.filter(|_| is_elsewhere),
    };
    tx.add_custody(&locked.programme_id, &locked.budget, &custody).await?;
    let mut outbox = OutboxWriter::new(&locked, context, principal.at, custody.id.to_string());
    outbox.record_act(&access, "handed_card", holder.word());
    if is_elsewhere {
        let parameters = outbox.parameters();
        let facts = MessageParameters::default()
            .text("holder", holder.word())
            .optional("review_on", custody.review_on.map(|date| date.to_string()));
        outbox.notify(Recipient::Person, Notification::CustodyChanged, &parameters, facts.clone());
        outbox.notify(Recipient::Worker, Notification::WorkerCardElsewhere, &parameters, facts);
    } else if was_elsewhere {
        let (parameters, facts) = (outbox.parameters(), MessageParameters::default());
        outbox.notify(Recipient::Worker, Notification::WorkerCardBack, &parameters, facts);
    }
    outbox.write(tx).await?;
    Ok(custody)
}

/// The notes of a talk about safety. All fields are mandatory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TalkNotes {
    pub concern: String,
    /// What the person wants.
    pub wants: String,
    /// Whether the person understood and agreed, and how that was established.
    pub consent: String,
    /// Less restrictive options, and why each was or was not enough.
    pub options: String,
    pub next_step: String,
}

/// Records a talk. A no for safety and a pause both require a recent talk.
pub async fn record_talk(
    tx: &mut Tx,
    context: UseCaseContext<'_>,
    principal: &Principal,
    person: &PersonId,
    talk: &TalkNotes,
) -> Result<Talk, UseCaseError> {
    let locked =
        LockedBudget::lock(tx, context, &principal.programme, &BudgetId::of(person)).await?;
    let access = principal.admit(tx, Capability::Pause, person).await?;
    let needed = |field: &'static str, text: &str| {
        let text = optional_words(Some(text))?;
        text.ok_or_else(|| UseCaseError::invalid(field, "write what was said about it"))
    };
    let talk = Talk {
        id: TalkId::new(context.ids.next(principal.at)),
        by: access.actor.member.id.clone(),
        concern: needed("concern", &talk.concern)?,
        wants: needed("wants", &talk.wants)?,
        consent: needed("consent", &talk.consent)?,
        options: needed("options", &talk.options)?,
        next_step: needed("next_step", &talk.next_step)?,
        at: principal.at,
    };
    tx.add_talk(&locked.programme_id, &locked.budget, &talk).await?;
    let mut outbox = OutboxWriter::new(&locked, context, principal.at, talk.id.to_string());
    outbox.record_act(&access, "talked", &talk.next_step);
    outbox.write(tx).await?;
    Ok(talk)
}

/// Sets the quiet word of the person: a text that they could send to anybody, and that alerts staff
/// when they send it to us ([`receive_text`]). Only its digest is stored.
///
/// # Errors
///
/// [`UseCaseError::Invalid`] unless it has 4 to 100 letters and digits.
pub async fn choose_quiet_word(
    tx: &mut Tx,
    context: UseCaseContext<'_>,
    principal: &Principal,
    person: &PersonId,
    word: &str,
) -> Result<(), UseCaseError> {
    let locked =
        LockedBudget::lock(tx, context, &principal.programme, &BudgetId::of(person)).await?;
    principal.admit(tx, Capability::ChooseHelpers, person).await?;
    let length = plain(word).chars().count();
    if !(QUIET_WORD_CHARS_MIN..=QUIET_WORD_CHARS_MAX).contains(&length) {
        let what = format!("choose {QUIET_WORD_CHARS_MIN} to {QUIET_WORD_CHARS_MAX} letters");
        return Err(UseCaseError::invalid("word", what));
    }
    let digest = digest(&locked, word);
    Ok(tx.put_quiet_word(&locked.programme_id, &locked.budget, digest).await?)
}

/// Handles a text message that is not a command, and returns the reply. The quiet word alerts the
/// staff on duty, and also the manager when nobody is on duty.
///
/// Nobody else can notice it: no act is recorded, the person gets no message, and the reply is the
/// same as to any other text. No card is stopped.
pub async fn receive_text(
    tx: &mut Tx,
    context: UseCaseContext<'_>,
    principal: &Principal,
    person: &PersonId,
    text: &str,
) -> Result<String, UseCaseError> {
    let locked =
        LockedBudget::lock(tx, context, &principal.programme, &BudgetId::of(person)).await?;
    principal.admit(tx, Capability::Ask, person).await?;
    let known = tx.quiet_word(&locked.programme_id, &locked.budget).await?;
    if known == Some(digest(&locked, text)) {
        let cover = tx.cover(&locked.programme_id, &locked.worker, principal.at).await?;
        let mut outbox =
            OutboxWriter::new(&locked, context, principal.at, locked.budget.to_string());
        let facts = MessageParameters::default().text("person", person.as_str());
        let parameters = outbox.parameters();
        outbox.notify(Recipient::Duty, Notification::WorkerQuietWord, &parameters, facts.clone());
        if !cover.has_duty_cover {
            outbox.notify(Recipient::Manager, Notification::WorkerQuietWord, &parameters, facts);
        }
        outbox.write(tx).await?;
    }
    Ok(Words::english().quiet_word_reply())
}

/// The letters and digits of `text` in lower case: case, spaces and punctuation do not matter.
fn plain(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

fn digest(locked: &LockedBudget, word: &str) -> Digest {
    Digest::of_text(&format!("{}/{}/{}", locked.programme_id, locked.budget, plain(word)))
}
