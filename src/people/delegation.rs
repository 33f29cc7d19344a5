//! Helpers and advocates. The person adds them, sets what each of them may see, and removes them.

use crate::domain::id::{BudgetId, HumanId, MemberId, MessageId, PersonId};
use crate::domain::people::recipient::Recipient;
use crate::domain::people::role::{Capability, Delegation, Member, MemberState, Role};
use crate::ledger::record::message_parameters::MessageParameters;
use crate::messages::words::{Notification, NotificationParameters, Words};
use crate::people::members::{GrantedAccess, Principal, UseCaseContext, UseCaseError};
use crate::store::{NewMessage, Tx};

/// The most active helpers of one person.
pub const ACTIVE_HELPERS_MAX: usize = 10;
/// The most helpers that a person can ever add, removed ones included. Bounded because [`choose`]
/// reads all of them.
pub const HELPERS_EVER_MAX: usize = 200;
/// The longest name of a helper, in characters.
const NAME_CHARS_MAX: usize = 100;

/// A helper whom the person wants to add.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HelperChoice {
    pub name: String,
    /// [`Role::Helper`] or [`Role::Advocate`].
    pub role: Role,
    pub sees: Vec<Delegation>,
}

/// Adds a helper, with a new account and a new human id.
///
/// # Errors
///
/// [`UseCaseError::Invalid`] for another role or an invalid name; [`UseCaseError::Conflict`] at
/// [`ACTIVE_HELPERS_MAX`] or [`HELPERS_EVER_MAX`].
pub async fn choose(
    tx: &mut Tx,
    context: UseCaseContext<'_>,
    principal: &Principal,
    person: &PersonId,
    choice: &HelperChoice,
) -> Result<Member, UseCaseError> {
    let access = admit(tx, principal, person).await?;
    if !choice.role.is_chosen() {
        return Err(UseCaseError::invalid("role", "choose a helper or an advocate"));
    }
    let name = choice.name.trim();
    if name.is_empty()
        || name.chars().count() > NAME_CHARS_MAX
        || name.chars().any(char::is_control)
    {
        return Err(UseCaseError::invalid("name", "write their name, in up to 100 characters"));
    }
    let known = tx.helpers_of(&access.programme, &access.budget).await?;
    if known.iter().filter(|member| member.role.is_chosen()).count() >= HELPERS_EVER_MAX {
        let what = format!("{HELPERS_EVER_MAX} helpers are the most, with those of before");
        return Err(UseCaseError::Conflict(what));
    }
    let is_helping = |member: &&Member| member.role.is_chosen() && is_active(member);
    if known.iter().filter(is_helping).count() >= ACTIVE_HELPERS_MAX {
        return Err(UseCaseError::Conflict(format!("{ACTIVE_HELPERS_MAX} helpers are the most")));
    }
    let id = format!("helper-{}", context.ids.next(access.at).simple());
    let member = Member {
        id: id.parse().map_err(|_| UseCaseError::NotFound("helper"))?,
        human: id.parse::<HumanId>().map_err(|_| UseCaseError::NotFound("helper"))?,
        name: name.to_owned(),
        role: choice.role,
        person: Some(person.clone()),
        sees: in_table_order(&choice.sees),
        worker: None,
        answer_limit_minor: None,
        conflicts: Vec::new(),
        state: MemberState::Active,
    };
    save(tx, context, &access, &member, "chose_helper").await?;
    notify(tx, context, &access, &member, Notification::HelperChosen).await?;
    Ok(member)
}

/// Replaces what a helper may see with `sees`. Takes effect at once.
///
/// # Errors
///
/// [`UseCaseError::Conflict`] when the helper was removed.
pub async fn tick(
    tx: &mut Tx,
    context: UseCaseContext<'_>,
    principal: &Principal,
    person: &PersonId,
    helper: &MemberId,
    sees: &[Delegation],
) -> Result<Member, UseCaseError> {
    let access = admit(tx, principal, person).await?;
    let known = helper_of(tx, &access, helper).await?;
    if !is_active(&known) {
        return Err(UseCaseError::Conflict(
            "they do not help any more: choose them again".to_owned(),
        ));
    }
    let member = Member { sees: in_table_order(sees), ..known.clone() };
    if member != known {
        save(tx, context, &access, &member, "ticked_helper").await?;
    }
    Ok(member)
}

/// Removes a helper, who may see nothing from then on. Idempotent.
pub async fn remove(
    tx: &mut Tx,
    context: UseCaseContext<'_>,
    principal: &Principal,
    person: &PersonId,
    helper: &MemberId,
) -> Result<Member, UseCaseError> {
    let access = admit(tx, principal, person).await?;
    let known = helper_of(tx, &access, helper).await?;
    if !is_active(&known) {
        return Ok(known);
    }
    let member = Member { sees: Vec::new(), state: MemberState::Ended, ..known };
    save(tx, context, &access, &member, "removed_helper").await?;
    notify(tx, context, &access, &member, Notification::HelperGone).await?;
    Ok(member)
}

fn is_active(member: &Member) -> bool {
    member.state == MemberState::Active
}

/// `sees` without duplicates, in the order of [`Delegation::ALL`].
fn in_table_order(sees: &[Delegation]) -> Vec<Delegation> {
    Delegation::ALL.iter().copied().filter(|tick| sees.contains(tick)).collect()
}

async fn admit(
    tx: &mut Tx,
    principal: &Principal,
    person: &PersonId,
) -> Result<GrantedAccess, UseCaseError> {
    tx.lock_budget(&principal.programme, &BudgetId::of(person)).await?;
    principal.admit(tx, Capability::ChooseHelpers, person).await
}

async fn helper_of(
    tx: &mut Tx,
    access: &GrantedAccess,
    helper: &MemberId,
) -> Result<Member, UseCaseError> {
    let known = tx.helpers_of(&access.programme, &access.budget).await?;
    let mut helpers = known.into_iter().filter(|member| member.role.is_chosen());
    helpers.find(|member| member.id == *helper).ok_or(UseCaseError::NotFound("helper"))
}

async fn save(
    tx: &mut Tx,
    context: UseCaseContext<'_>,
    access: &GrantedAccess,
    member: &Member,
    kind: &str,
) -> Result<(), UseCaseError> {
    tx.put_members(&access.programme, std::slice::from_ref(member)).await?;
    let words: Vec<_> = member.sees.iter().map(|tick| tick.word()).collect();
    let detail = format!("{}: {}", member.name, words.join(", "));
    let act =
        access.act_row(context.ids, kind, member.id.as_str(), detail.trim_end_matches([':', ' ']));
    Ok(tx.add_acts(&[act]).await?)
}

async fn notify(
    tx: &mut Tx,
    context: UseCaseContext<'_>,
    access: &GrantedAccess,
    member: &Member,
    notification: Notification,
) -> Result<(), UseCaseError> {
    let programme = context.directory.latest_or_load(&access.programme).await?;
    let parameters = NotificationParameters {
        name: Some(&member.name),
        ..NotificationParameters::new(programme.zone())
    };
    let message = NewMessage {
        id: MessageId::new(context.ids.next(access.at)),
        programme: access.programme.clone(),
        budget: access.budget.clone(),
        kind: notification.kind(),
        subject: member.id.to_string(),
        body: Words::english().notification(notification, &parameters),
        created_at: access.at,
        recipient: Recipient::Person,
        facts: MessageParameters::default().text("name", member.name.as_str()).to_text(),
        thread: None,
        due_at: None,
    };
    Ok(tx.add_messages(&[message]).await?)
}
