//! The accounts and duties of a programme's file.
//!
//! An account that is here but not in the file is refused: it would go on working unseen. Helpers
//! and advocates are another matter, because the person chooses them: a file can name one that is
//! not here yet, and says no more about it afterwards. What was ticked is never ticked again by a file.

use super::file::{Duty, ProgrammeFile};
use crate::domain::id::ProgrammeId;
use crate::domain::role::Member;
use crate::store::{DutyRow, Store, StoreError, Tx};

/// Writes the accounts and duties of `file`; says what of it is refused.
pub(super) async fn put(tx: &mut Tx, file: &ProgrammeFile) -> Result<Vec<String>, StoreError> {
    let programme = &file.settings.id;
    let known = tx.every_member(programme).await?;
    let before = |member: &Member| known.iter().find(|known| known.id == member.id);
    let mut refusals: Vec<String> = known
        .iter()
        .filter(|known| !known.role.is_chosen())
        .filter(|known| !file.members.iter().any(|member| member.id == known.id))
        .map(|known| {
            format!(
                "member {}: they are here, but not in the file; keep them in it, with \
                 state = \"ended\" if they may act no more",
                known.id
            )
        })
        .collect();
    for member in &file.members {
        let Some(known) = before(member) else { continue };
        // Otherwise somebody could become the other one of two people who must agree.
        if (known.role, &known.human, &known.person) != (member.role, &member.human, &member.person)
        {
            refusals.push(format!(
                "member {}: an account keeps its human, its role and its person; end it and add \
                 another one",
                member.id
            ));
        }
    }
    let is_theirs = |member: &&Member| !(member.role.is_chosen() && before(member).is_some());
    let members: Vec<_> = file.members.iter().filter(is_theirs).cloned().collect();
    tx.put_members(programme, &members).await?;
    tx.clear_duties(programme).await?;
    tx.put_duties(programme, &file.duties.iter().map(duty_row).collect::<Vec<_>>()).await?;
    Ok(refusals)
}

/// The accounts and duties as they stand.
pub(super) async fn read(
    store: &Store,
    programme: &ProgrammeId,
) -> Result<(Vec<Member>, Vec<Duty>), StoreError> {
    let members = store.members(programme).await?;
    let duties = store.every_duty(programme).await?;
    Ok((members, duties.into_iter().map(duty).collect()))
}

fn duty_row(duty: &Duty) -> DutyRow {
    DutyRow {
        member: duty.member.clone(),
        begins_at: duty.from,
        ends_at: duty.to,
        covers: duty.covers.clone(),
    }
}

fn duty(row: DutyRow) -> Duty {
    let DutyRow { member, begins_at, ends_at, covers } = row;
    Duty { member, from: begins_at, to: ends_at, covers }
}
