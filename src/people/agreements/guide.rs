//! The spending guide: published in numbered versions, and written together with people who have a
//! budget.

use crate::domain::id::{ActId, BudgetId};
use crate::domain::people::role::{AccessScope, Capability, MemberState};
use crate::merchant_rules::parse_guide;
use crate::people::admitted_budget::lock_budget;
use crate::people::members::{Principal, UseCaseContext, UseCaseError};
use crate::store::{ActRow, GuideRow, Tx};

/// A guide to publish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuidePublication {
    /// The guide, in the form of `guide.toml`.
    pub text: String,
    /// The authors who have a budget, or represent somebody who does. At least one.
    pub written_with: Vec<String>,
}

/// Publishes the next version of the programme's guide and returns its number.
///
/// # Errors
///
/// [`UseCaseError::Invalid`] when the text cannot be parsed, or when `written_with` is empty or
/// names somebody who is not an author: a guide needs an author who has a budget;
/// [`UseCaseError::Conflict`] when the text has another version number than the next one.
pub async fn publish_guide(
    tx: &mut Tx,
    context: UseCaseContext<'_>,
    principal: &Principal,
    publication: &GuidePublication,
) -> Result<u32, UseCaseError> {
    let house = BudgetId::house();
    lock_budget(tx, context, &principal.programme, &house).await?;
    let actor = tx.actor(&principal.programme, &principal.member, principal.at).await?;
    let actor = actor.ok_or(UseCaseError::NotFound("guide"))?;
    let is_allowed = actor.member.role.access_scope(Capability::PublishGuide)
        == AccessScope::Programme
        && actor.member.state == MemberState::Active;
    if !is_allowed {
        return Err(UseCaseError::NotAllowed(Capability::PublishGuide.word()));
    }
    let programme = context.directory.in_force(&principal.programme).await?;
    let guide = parse_guide(&publication.text, &programme.rules)
        .map_err(|error| UseCaseError::invalid("content", error.to_string()))?;
    if publication.written_with.is_empty() {
        let what = "name those of its authors who have a budget: without them it is nobody's guide";
        return Err(UseCaseError::invalid("written_with", what));
    }
    if let Some(unknown_author) =
        publication.written_with.iter().find(|who| !guide.authors.contains(who))
    {
        let what = format!("{unknown_author:?} is not among the guide's authors");
        return Err(UseCaseError::invalid("written_with", what));
    }
    let latest = tx.guide(&principal.programme, None).await?.map_or(0, |known| known.version);
    let next = latest.saturating_add(1);
    if guide.version != next {
        let what = format!("this is version {}; the next one is {next}", guide.version);
        return Err(UseCaseError::Conflict(what));
    }
    let row = GuideRow {
        programme_id: principal.programme.clone(),
        version: next,
        content: publication.text.clone(),
        written_with: publication.written_with.join("\n"),
        published_at: principal.at,
        published_by: principal.member.clone(),
    };
    tx.add_guide(row).await?;
    let act = ActRow {
        programme_id: principal.programme.clone(),
        budget_id: house,
        act_id: ActId::new(context.ids.next(principal.at)),
        member_id: principal.member.clone(),
        kind: "guide_published".to_owned(),
        subject: next.to_string(),
        detail: publication.written_with.join(", "),
        acted_at: principal.at,
    };
    tx.add_acts(&[act]).await?;
    Ok(next)
}
