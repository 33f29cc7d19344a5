//! Helpers and advocates: chosen by the person, who ticks what they see, and takes it back.

use crate::domain::id::{BudgetId, HumanId, MemberId, MessageId, PersonId};
use crate::domain::people::recipient::Recipient;
use crate::domain::people::role::{Act, Member, MemberState, Role, Tick};
use crate::ledger::record::particulars::Particulars;
use crate::messages::words::{News, Particular, Words};
use crate::people::members::{ActError, Acting, Admitted};
use crate::platform::ids::NewIds;
use crate::programme::directory::Directory;
use crate::store::{NewMessage, Tx};

/// The most helpers that a person has at once.
pub const HELPERS_MOST: usize = 10;
/// The most that a person ever chooses: each is read when one is chosen.
pub const HELPERS_EVER_MOST: usize = 200;
/// The longest name, in characters.
const NAME_CHARS_MAX: usize = 100;

/// Somebody whom the person wants as a helper.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    pub name: String,
    /// A helper or an advocate.
    pub role: Role,
    pub sees: Vec<Tick>,
}

/// Chooses a helper. They have an account from then on, which is a human being of its own.
pub async fn choose(
    tx: &mut Tx,
    (directory, ids): (&Directory, &NewIds),
    acting: &Acting,
    person: &PersonId,
    choice: &Choice,
) -> Result<Member, ActError> {
    let admitted = admit(tx, acting, person).await?;
    if !choice.role.is_chosen() {
        return Err(ActError::invalid("role", "choose a helper or an advocate"));
    }
    let name = choice.name.trim();
    if name.is_empty()
        || name.chars().count() > NAME_CHARS_MAX
        || name.chars().any(char::is_control)
    {
        return Err(ActError::invalid("name", "write their name, in up to 100 characters"));
    }
    let known = tx.members_about(&admitted.programme, &admitted.budget).await?;
    if known.iter().filter(|member| member.role.is_chosen()).count() >= HELPERS_EVER_MOST {
        let what = format!("{HELPERS_EVER_MOST} helpers are the most, with those of before");
        return Err(ActError::Conflict(what));
    }
    let is_helping = |member: &&Member| member.role.is_chosen() && is_active(member);
    if known.iter().filter(is_helping).count() >= HELPERS_MOST {
        return Err(ActError::Conflict(format!("{HELPERS_MOST} helpers are the most")));
    }
    let id = format!("helper-{}", ids.next(admitted.at).simple());
    let member = Member {
        id: id.parse().map_err(|_| ActError::NotThere("helper"))?,
        human: id.parse::<HumanId>().map_err(|_| ActError::NotThere("helper"))?,
        name: name.to_owned(),
        role: choice.role,
        person: Some(person.clone()),
        sees: ticked(&choice.sees),
        worker: None,
        answer_limit_minor: None,
        conflicts: Vec::new(),
        state: MemberState::Active,
    };
    put(tx, ids, &admitted, &member, "chose_helper").await?;
    tell(tx, directory, ids, &admitted, &member, News::HelperChosen).await?;
    Ok(member)
}

/// Ticks what a helper sees, and unticks the rest. It counts from now on.
pub async fn tick(
    tx: &mut Tx,
    ids: &NewIds,
    acting: &Acting,
    person: &PersonId,
    helper: &MemberId,
    sees: &[Tick],
) -> Result<Member, ActError> {
    let admitted = admit(tx, acting, person).await?;
    let known = helper_of(tx, &admitted, helper).await?;
    if !is_active(&known) {
        return Err(ActError::Conflict("they do not help any more: choose them again".to_owned()));
    }
    let member = Member { sees: ticked(sees), ..known.clone() };
    if member != known {
        put(tx, ids, &admitted, &member, "ticked_helper").await?;
    }
    Ok(member)
}

/// Takes a helper away. They see nothing any more. Done again, it comes to the same.
pub async fn remove(
    tx: &mut Tx,
    (directory, ids): (&Directory, &NewIds),
    acting: &Acting,
    person: &PersonId,
    helper: &MemberId,
) -> Result<Member, ActError> {
    let admitted = admit(tx, acting, person).await?;
    let known = helper_of(tx, &admitted, helper).await?;
    if !is_active(&known) {
        return Ok(known);
    }
    let member = Member { sees: Vec::new(), state: MemberState::Ended, ..known };
    put(tx, ids, &admitted, &member, "removed_helper").await?;
    tell(tx, directory, ids, &admitted, &member, News::HelperGone).await?;
    Ok(member)
}

fn is_active(member: &Member) -> bool {
    member.state == MemberState::Active
}

/// What is ticked, each once, in the order of the table.
fn ticked(sees: &[Tick]) -> Vec<Tick> {
    Tick::ALL.iter().copied().filter(|tick| sees.contains(tick)).collect()
}

async fn admit(tx: &mut Tx, acting: &Acting, person: &PersonId) -> Result<Admitted, ActError> {
    tx.lock_budget(&acting.programme, &BudgetId::of(person)).await?;
    acting.admit(tx, Act::ChooseHelpers, person).await
}

async fn helper_of(
    tx: &mut Tx,
    admitted: &Admitted,
    helper: &MemberId,
) -> Result<Member, ActError> {
    let known = tx.members_about(&admitted.programme, &admitted.budget).await?;
    let mut helpers = known.into_iter().filter(|member| member.role.is_chosen());
    helpers.find(|member| member.id == *helper).ok_or(ActError::NotThere("helper"))
}

async fn put(
    tx: &mut Tx,
    ids: &NewIds,
    admitted: &Admitted,
    member: &Member,
    kind: &str,
) -> Result<(), ActError> {
    tx.put_members(&admitted.programme, std::slice::from_ref(member)).await?;
    let words: Vec<_> = member.sees.iter().map(|tick| tick.word()).collect();
    let detail = format!("{}: {}", member.name, words.join(", "));
    let act = admitted.act(ids, kind, member.id.as_str(), detail.trim_end_matches([':', ' ']));
    Ok(tx.add_acts(&admitted.programme, &[act]).await?)
}

async fn tell(
    tx: &mut Tx,
    directory: &Directory,
    ids: &NewIds,
    admitted: &Admitted,
    member: &Member,
    news: News,
) -> Result<(), ActError> {
    let programme = directory.at_hand(&admitted.programme).await?;
    let particular = Particular { name: Some(&member.name), ..Particular::new(programme.zone()) };
    let message = NewMessage {
        id: MessageId::new(ids.next(admitted.at)),
        programme: admitted.programme.clone(),
        budget: admitted.budget.clone(),
        kind: news.kind(),
        subject: member.id.to_string(),
        body: Words::english().news(news, &particular),
        created_at: admitted.at,
        recipient: Recipient::Person,
        facts: Particulars::default().text("name", member.name.as_str()).to_text(),
        matter: None,
        due_at: None,
    };
    Ok(tx.add_messages(&[message]).await?)
}
