//! The use of permissions, recomputed from the purchases that use them.

use std::collections::BTreeMap;

use super::balances::StoredPurchase;
use super::book::BudgetVerifier;
use crate::domain::money::MoneyError;
use crate::ledger::record::purchase::PurchaseRow;
use crate::ledger::record::row::Value;
use crate::ledger::record::table::Record as _;
use crate::ledger::record::uses::open_at_text;
use crate::store::PermissionUsesRow;

/// The use of one permission.
#[derive(Debug, Default)]
struct RecordedUsage {
    open: i128,
    captured: i128,
    open_at: BTreeMap<String, u32>,
}

impl<'a> BudgetVerifier<'a> {
    /// Compares the stored use of every permission with the purchases that use it.
    pub(super) fn check_permissions(&mut self, purchases: &[StoredPurchase<'a>]) {
        let mut usage: BTreeMap<String, RecordedUsage> = BTreeMap::new();
        for read in purchases {
            if let Err(error) = add(read, &mut usage) {
                self.add_row_finding(
                    PurchaseRow::TABLE,
                    read.row,
                    format!("its permissions cannot be told: {error}"),
                );
            }
        }
        for row in self.ledger_rows.of(PermissionUsesRow::TABLE) {
            // A permission given before uses were stored has no stored use.
            if PermissionUsesRow::TABLE.value(row, "open_minor") == Some(&Value::Null) {
                continue;
            }
            let id = PermissionUsesRow::TABLE.text(row, "permission_id");
            let RecordedUsage { open, captured, open_at } = usage.remove(id).unwrap_or_default();
            self.check_number(PermissionUsesRow::TABLE, row, "open_minor", open);
            self.check_number(PermissionUsesRow::TABLE, row, "captured_count", captured);
            let stored = PermissionUsesRow::TABLE.text(row, "open_at");
            if stored != open_at_text(&open_at) {
                self.add_row_finding(
                    PermissionUsesRow::TABLE,
                    row,
                    "its open holds are at other shops",
                );
            }
        }
    }
}

fn add(
    read: &StoredPurchase<'_>,
    usage: &mut BTreeMap<String, RecordedUsage>,
) -> Result<(), MoneyError> {
    let purchase = &read.purchase;
    for permission in purchase.permissions()? {
        let usage = usage.entry(permission.to_string()).or_default();
        if purchase.captured.is_zero() {
            usage.open = usage.open.saturating_add(purchase.committed()?.minor().into());
            let at = usage.open_at.entry(purchase.counted.shop_text()).or_default();
            *at = at.saturating_add(1);
        } else {
            usage.captured = usage.captured.saturating_add(1);
        }
    }
    Ok(())
}
