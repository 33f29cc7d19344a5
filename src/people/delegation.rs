//! Helpers and advocates: chosen by the person, who ticks what they see, and takes it back.

use crate::domain::id::{BudgetId, HumanId, MemberId, MessageId, PersonId};
use crate::domain::people::recipient::Recipient;
use crate::domain::people::role::{Capability, Delegation, Member, MemberState, Role};
use crate::ledger::record::message_parameters::MessageParameters;
use crate::messages::words::{Notification, NotificationParameters, Words};
use crate::people::members::{GrantedAccess, Principal, UseCaseError};
use crate::platform::ids::NewIds;
use crate::programme::directory::Directory;
use crate::store::{NewMessage, Tx};

/// The most helpers that a person has at once.
pub const ACTIVE_HELPERS_MAX: usize = 10;
/// The most that a person ever chooses: each is read when one is chosen.
pub const HELPERS_EVER_MAX: usize = 200;
/// The longest name, in characters.
const NAME_CHARS_MAX: usize = 100;

/// Somebody whom the person wants as a helper.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HelperChoice {
    pub name: String,
    /// A helper or an advocate.
    pub role: Role,
    pub sees: Vec<Delegation>,
}

/// Chooses a helper. They have an account from then on, which is a human being of its own.
pub async fn choose(
    tx: &mut Tx,
    (directory, ids): (&Directory, &NewIds),
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
    let id = format!("helper-{}", ids.next(access.at).simple());
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
    save(tx, ids, &access, &member, "chose_helper").await?;
    notify(tx, directory, ids, &access, &member, Notification::HelperChosen).await?;
    Ok(member)
}

/// Ticks what a helper sees, and unticks the rest. It counts from now on.
pub async fn tick(
    tx: &mut Tx,
    ids: &NewIds,
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
        save(tx, ids, &access, &member, "ticked_helper").await?;
    }
    Ok(member)
}

/// Takes a helper away. They see nothing any more. Done again, it comes to the same.
pub async fn remove(
    tx: &mut Tx,
    (directory, ids): (&Directory, &NewIds),
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
    save(tx, ids, &access, &member, "removed_helper").await?;
    notify(tx, directory, ids, &access, &member, Notification::HelperGone).await?;
    Ok(member)
}

fn is_active(member: &Member) -> bool {
    member.state == MemberState::Active
}

/// What is ticked, each once, in the order of the table.
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
    ids: &NewIds,
    access: &GrantedAccess,
    member: &Member,
    kind: &str,
) -> Result<(), UseCaseError> {
    tx.put_members(&access.programme, std::slice::from_ref(member)).await?;
    let words: Vec<_> = member.sees.iter().map(|tick| tick.word()).collect();
    let detail = format!("{}: {}", member.name, words.join(", "));
    let act = access.act_row(ids, kind, member.id.as_str(), detail.trim_end_matches([':', ' ']));
    Ok(tx.add_acts(&access.programme, &[act]).await?)
}

async fn notify(
    tx: &mut Tx,
    directory: &Directory,
    ids: &NewIds,
    access: &GrantedAccess,
    member: &Member,
    notification: Notification,
) -> Result<(), UseCaseError> {
    let programme = directory.latest_or_load(&access.programme).await?;
    let parameters = NotificationParameters {
        name: Some(&member.name),
        ..NotificationParameters::new(programme.zone())
    };
    let message = NewMessage {
        id: MessageId::new(ids.next(access.at)),
        programme: access.programme.clone(),
        budget: access.budget.clone(),
        kind: notification.kind(),
        subject: member.id.to_string(),
        body: Words::english().notification(notification, &parameters),
        created_at: access.at,
        recipient: Recipient::Person,
        facts: MessageParameters::default().text("name", member.name.as_str()).to_text(),
        matter: None,
        due_at: None,
    };
    Ok(tx.add_messages(&[message]).await?)
}
