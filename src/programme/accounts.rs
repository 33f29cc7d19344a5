//! Accounts and duties in a programme's file.
//!
//! A file that omits a stored account is refused, because the account would keep working unseen.
//! Helpers and advocates are exempt, because the person chooses them: a file can add one, but never
//! changes one that is stored, so it cannot widen what the person lets them see.

use std::collections::BTreeMap;

use super::file::{Duty, ProgrammeFile};
use crate::domain::id::{MemberId, PersonId, ProgrammeId};
use crate::domain::people::role::{Member, MemberState};
use crate::store::{DutyRow, Store, StoreError, Tx};

/// The stored accounts and duties of a programme.
pub(super) struct Accounts {
    members: BTreeMap<MemberId, Member>,
    duties: Vec<Duty>,
}

impl Accounts {
    pub(super) async fn read(store: &Store, programme: &ProgrammeId) -> Result<Self, StoreError> {
        let (members, duties) = read(store, programme).await?;
        let members = members.into_iter().map(|member| (member.id.clone(), member)).collect();
        Ok(Self { members, duties })
    }

    /// Why `file` does not fit the stored accounts, as one message per account.
    pub(super) fn refusals(&self, file: &ProgrammeFile) -> Vec<String> {
        let named: BTreeMap<_, _> =
            file.members.iter().map(|member| (&member.id, member)).collect();
        let is_lost = |known: &&Member| !known.role.is_chosen() && !named.contains_key(&known.id);
        let mut refusals: Vec<_> = self
            .members
            .values()
            .filter(is_lost)
            .map(|known| {
                format!(
                    "member {}: they are here, but not in the file; keep them in it, with \
                     state = \"ended\" if they may act no more",
                    known.id
                )
            })
            .collect();
        for member in &file.members {
            let Some(known) = self.members.get(&member.id) else { continue };
            // Otherwise one human could take over the second of the two sides that must agree.
            if (known.role, &known.human, &known.person)
                != (member.role, &member.human, &member.person)
            {
                refusals.push(format!(
                    "member {}: an account keeps its human, its role and its person; end it and \
                     add another one",
                    member.id
                ));
            }
        }
        refusals.extend(self.second_speakers(file));
        refusals
    }

    /// Refuses an account that begins to speak for a person while an account of another human being
    /// does, even if `file` ends that one: otherwise one file could replace a person's own consent.
    fn second_speakers(&self, file: &ProgrammeFile) -> Vec<String> {
        let mut refusals = Vec::new();
        for member in &file.members {
            let Some(person) = member.speaks_for() else { continue };
            let known = self.members.get(&member.id);
            if known.is_some_and(|known| known.speaks_for().is_some()) {
                continue;
            }
            let is_other =
                |known: &&Member| known.speaks_for() == Some(person) && known.human != member.human;
            if let Some(other) = self.members.values().find(is_other) {
                refusals.push(format!(
                    "member {}: account {} of {} speaks for {person}; end that account with a \
                     file of its own, then add this one",
                    member.id, other.id, other.human
                ));
            }
        }
        refusals
    }

    /// The accounts that `file` adds or changes; stored helpers and advocates are never changed.
    fn changed(&self, file: &ProgrammeFile) -> Vec<Member> {
        let is_changed = |member: &&Member| match self.members.get(&member.id) {
            Some(known) => known != *member && !member.role.is_chosen(),
            None => true,
        };
        file.members.iter().filter(is_changed).cloned().collect()
    }

    /// The accounts that `file` adds or makes active again for a person: their own, or that of
    /// somebody who helps them.
    pub(super) fn added<'f>(
        &self,
        file: &'f ProgrammeFile,
    ) -> impl Iterator<Item = (&'f PersonId, &'f Member)> {
        let is_active = |member: &Member| member.state == MemberState::Active;
        // A stored helper is never changed by a file.
        let is_new = move |member: &&Member| {
            let known = self.members.get(&member.id);
            let was = known.is_some_and(|known| is_active(known) || known.role.is_chosen());
            is_active(member) && !was
        };
        let of_person = |member: &'f Member| Some((member.person.as_ref()?, member));
        file.members.iter().filter(is_new).filter_map(of_person)
    }

    fn has_other_duties(&self, file: &ProgrammeFile) -> bool {
        let sorted = |duties: &[Duty]| {
            let mut duties = duties.to_vec();
            duties.sort_by_key(|duty| (duty.member.clone(), duty.from, duty.to));
            duties
        };
        sorted(&self.duties) != sorted(&file.duties)
    }

    pub(super) fn is_changed(&self, file: &ProgrammeFile) -> bool {
        !self.changed(file).is_empty() || self.has_other_duties(file)
    }
}

/// Writes the accounts and duties of `file` that differ from `before`.
pub(super) async fn put(
    tx: &mut Tx,
    file: &ProgrammeFile,
    before: &Accounts,
) -> Result<(), StoreError> {
    let programme = &file.settings.id;
    tx.put_members(programme, &before.changed(file)).await?;
    if before.has_other_duties(file) {
        tx.clear_duties(programme).await?;
        let duties: Vec<_> = file.duties.iter().map(|duty| duty_row(programme, duty)).collect();
        tx.put_duties(&duties).await?;
    }
    Ok(())
}

/// Reads the stored accounts and duties of `programme`.
pub(super) async fn read(
    store: &Store,
    programme: &ProgrammeId,
) -> Result<(Vec<Member>, Vec<Duty>), StoreError> {
    let members = store.members(programme).await?;
    let duties = store.every_duty(programme).await?;
    Ok((members, duties.into_iter().map(duty).collect()))
}

fn duty_row(programme: &ProgrammeId, duty: &Duty) -> DutyRow {
    DutyRow {
        programme_id: programme.clone(),
        member_id: duty.member.clone(),
        begins_at: duty.from,
        ends_at: duty.to,
        covers: duty.covers.clone(),
    }
}

fn duty(row: DutyRow) -> Duty {
    let DutyRow { programme_id: _, member_id: member, begins_at, ends_at, covers } = row;
    Duty { member, from: begins_at, to: ends_at, covers }
}
