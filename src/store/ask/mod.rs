//! Rows of asks and appeals, which staff answer by a deadline.

use jiff::Timestamp;

use crate::domain::ask::ActorIdentity;
use crate::domain::id::{HumanId, MemberId, ProgrammeId};
use crate::ledger::record::table::Record;
use crate::store::{Store, StoreError};

pub(super) mod appeals;
pub(super) mod asks;

impl Store {
    /// Up to `most` rows of a programme that are `open` and whose deadline is `until` or before, in
    /// order of deadline, after the cursor `after`. `id` is the column of the identifiers.
    async fn due<R: Record>(
        &self,
        programme: &ProgrammeId,
        until: Timestamp,
        (id, open): (&str, &str),
        after: Option<(Timestamp, String)>,
        most: u32,
    ) -> Result<Vec<R>, StoreError> {
        let sql = format!(
            "WHERE programme_id = $1 AND answer_by <= $2 AND {open} \
             AND (answer_by, {id}) > ($3, $4) ORDER BY answer_by, {id} LIMIT $5"
        );
        let (answer_by, id) = match after {
            Some((answer_by, id)) => (answer_by.as_microsecond(), id),
            None => (i64::MIN, String::new()),
        };
        self.fetch_all(sql, &[programme, &until, &answer_by, &id, &most]).await
    }
}

/// The condition and order of a page about the budget `$2` of the programme `$1`: up to `$4` rows,
/// the newest first, with an identifier below `$3`; if that is null, below `end`, which is above
/// every identifier. `id` is the column of the identifiers.
pub(in crate::store) fn page_of_budget(id: &str, end: &str) -> String {
    format!(
        "programme_id = $1 AND budget_id = $2 AND {id} < COALESCE($3, '{end}') \
         ORDER BY {id} DESC LIMIT $4"
    )
}

/// The two columns of who acted, which are null if nobody did.
fn columns_of(actor: Option<&ActorIdentity>) -> (Option<MemberId>, Option<HumanId>) {
    actor.map(|actor| (actor.member.clone(), actor.human.clone())).unzip()
}

/// Who acted, from the two columns of [`columns_of`].
fn actor_of(member: Option<MemberId>, human: Option<HumanId>) -> Option<ActorIdentity> {
    member.zip(human).map(|(member, human)| ActorIdentity { member, human })
}
