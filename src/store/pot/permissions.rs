//! Rows of one-time permissions.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::domain::agreement::Scope;
use crate::domain::ask::permission::{Grantor, Permission, PermissionUsage};
use crate::domain::id::{BudgetId, PermissionId, ProgrammeId};
use crate::domain::money::{Currency, Money};
use crate::ledger::record::table::record;

record! {
    /// A one-time permission. Its usage is null if it was granted before usage was recorded.
    pub(in crate::store) struct PermissionRow in "permission"
        key(programme_id, budget_id, permission_id)
    {
        pub(in crate::store) programme_id: ProgrammeId,
        pub(in crate::store) budget_id: BudgetId,
        permission_id: PermissionId,
        scope: Scope,
        currency: Currency,
        cap_minor: i64,
        uses_left: i64,
        given_at: Timestamp,
        ends_at: Timestamp,
        giver: Grantor,
        open_minor: Option<i64>,
        captured_count: Option<u32>,
        open_at: Option<BTreeMap<String, u32>>,
    }
}

record! {
    /// The usage of a permission by purchases: the columns that the ledger proof recomputes.
    pub struct PermissionUsesRow in "permission" key(programme_id, permission_id) {
        pub programme_id: ProgrammeId,
        pub budget_id: BudgetId,
        pub permission_id: PermissionId,
        pub open_minor: Option<i64>,
        pub captured_count: Option<u32>,
        pub open_at: Option<BTreeMap<String, u32>>,
    }
}

impl PermissionRow {
    pub(in crate::store) fn new(
        programme: &ProgrammeId,
        budget: &BudgetId,
        permission: &Permission,
    ) -> Self {
        let Permission { id, scope, cap, uses_left, given_at, ends_at, grantor, uses } = permission;
        Self {
            programme_id: programme.clone(),
            budget_id: budget.clone(),
            permission_id: *id,
            scope: scope.clone(),
            currency: cap.currency(),
            cap_minor: cap.minor(),
            uses_left: *uses_left,
            given_at: *given_at,
            ends_at: *ends_at,
            giver: *grantor,
            open_minor: uses.as_ref().map(|uses| uses.open.minor()),
            captured_count: uses.as_ref().map(|uses| uses.captured),
            open_at: uses.as_ref().map(|uses| uses.open_at.clone()),
        }
    }
}

impl From<PermissionRow> for Permission {
    fn from(row: PermissionRow) -> Self {
        let money = |minor| Money::from_minor(minor, row.currency);
        let uses = row.open_minor.zip(row.captured_count).zip(row.open_at);
        Self {
            id: row.permission_id,
            scope: row.scope,
            cap: money(row.cap_minor),
            uses_left: row.uses_left,
            given_at: row.given_at,
            ends_at: row.ends_at,
            grantor: row.giver,
            uses: uses.map(|((open, captured), open_at)| PermissionUsage {
                open: money(open),
                open_at,
                captured,
            }),
        }
    }
}
