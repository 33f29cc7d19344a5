//! The final state of lives, read from the database.

use std::collections::BTreeMap;

use super::message::MARK;
use super::table::Money;
use crate::support::TestDatabase;

/// What each play has moved, by its tag.
pub(super) async fn moved(database: &TestDatabase) -> BTreeMap<String, Money> {
    let purchases = "SELECT reference, CAST(exposure_minor AS TEXT), \
                     CAST(suspense_minor AS TEXT), CAST(disputed_minor AS TEXT) FROM purchase";
    let holds = "SELECT reference, CAST(SUM(held_minor) AS TEXT), \
                 CAST(SUM(hold.captured_minor - hold.refunded_minor) AS TEXT) \
                 FROM hold JOIN purchase ON hold.programme_id = purchase.programme_id \
                 AND hold.purchase_id = purchase.purchase_id GROUP BY reference";
    let mut moved: BTreeMap<String, Money> = BTreeMap::new();
    for row in database.rows(purchases).await {
        let sums = moved.entry(tag_of(&row[0])).or_default();
        sums.owed += number(&row[1]);
        sums.aside += number(&row[2]);
        sums.disputed += number(&row[3]);
    }
    for row in database.rows(holds).await {
        let sums = moved.entry(tag_of(&row[0])).or_default();
        sums.held += number(&row[1]);
        sums.spent += number(&row[2]);
    }
    moved
}

/// What is left in each pot, by budget.
pub(super) async fn left(database: &TestDatabase) -> BTreeMap<String, Vec<i64>> {
    let pots = "SELECT budget_id, CAST(left_minor AS TEXT) FROM pot ORDER BY budget_id, pot_id";
    let mut left: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    for row in database.rows(pots).await {
        left.entry(row[0].clone()).or_default().push(number(&row[1]));
    }
    left
}

/// Kinds of the open exceptions by tag, sorted.
pub(super) async fn noted(database: &TestDatabase) -> BTreeMap<String, Vec<String>> {
    let exceptions = "SELECT subject, kind FROM exception WHERE settled_at IS NULL ORDER BY kind";
    let mut noted: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for row in database.rows(exceptions).await {
        noted.entry(tag_of(&row[0])).or_default().push(row[1].clone());
    }
    noted
}

/// The tag of a reference: the line of a life, or the number of a play in another order.
fn tag_of(reference: &str) -> String {
    let tag = reference.rsplit(MARK).next().unwrap();
    tag.split(['_', '/']).next().unwrap().to_owned()
}

fn number(text: &str) -> i64 {
    text.parse().unwrap()
}
