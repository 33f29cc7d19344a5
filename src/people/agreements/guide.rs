//! The spending guide: published by version, written together with people who have a budget.

use super::{Desk, lock};
use crate::domain::id::{ActId, BudgetId};
use crate::domain::people::role::{Act, MemberState, Reach};
use crate::people::members::{ActError, Acting};
use crate::programme::rules::parse_guide;
use crate::store::{ActRow, GuideRow, Tx};

/// A guide to be published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publication {
    /// The guide, in the form of `guide.toml`.
    pub text: String,
    /// Which of its authors are people who have a budget, or speak for them.
    pub written_with: Vec<String>,
}

/// Publishes the next version of the programme's guide; says which one it is.
///
/// A guide that nobody with a budget has written with is nobody's guide.
pub async fn publish_guide(
    tx: &mut Tx,
    desk: Desk<'_>,
    acting: &Acting,
    publication: &Publication,
) -> Result<u32, ActError> {
    let house = BudgetId::house();
    lock(tx, desk, &acting.programme, &house).await?;
    let actor = tx.actor(&acting.programme, &acting.member, acting.at).await?;
    let actor = actor.ok_or(ActError::NotThere("guide"))?;
    let may = actor.member.role.reach(Act::PublishGuide) == Reach::Programme
        && actor.member.state == MemberState::Active;
    if !may {
        return Err(ActError::NotAllowed(Act::PublishGuide.word()));
    }
    let programme = desk.directory.in_force(&acting.programme).await?;
    let guide = parse_guide(&publication.text, &programme.rules)
        .map_err(|error| ActError::invalid("content", error.to_string()))?;
    if publication.written_with.is_empty() {
        let what = "name those of its authors who have a budget: without them it is nobody's guide";
        return Err(ActError::invalid("written_with", what));
    }
    if let Some(stranger) = publication.written_with.iter().find(|who| !guide.authors.contains(who))
    {
        let what = format!("{stranger:?} is not among the guide's authors");
        return Err(ActError::invalid("written_with", what));
    }
    let latest = tx.guide(&acting.programme, None).await?.map_or(0, |known| known.version);
    let next = latest.saturating_add(1);
    if guide.version != next {
        let what = format!("this is version {}; the next one is {next}", guide.version);
        return Err(ActError::Conflict(what));
    }
    let row = GuideRow {
        version: next,
        content: publication.text.clone(),
        written_with: publication.written_with.join("\n"),
        published_at: acting.at,
        published_by: acting.member.clone(),
    };
    tx.add_guide(&acting.programme, &row).await?;
    let act = ActRow {
        budget: house,
        id: ActId::new(desk.ids.next(acting.at)),
        member: acting.member.clone(),
        kind: "guide_published".to_owned(),
        subject: next.to_string(),
        detail: publication.written_with.join(", "),
        acted_at: acting.at,
    };
    tx.add_acts(&acting.programme, &[act]).await?;
    Ok(next)
}
