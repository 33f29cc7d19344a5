//! Seals: the heads of all chains of a programme at one moment, hashed into one root.

use jiff::Timestamp;

use crate::domain::id::{BudgetId, ProgrammeId, SealId};
use crate::domain::money::{Currency, Money};
use crate::ledger::record::column::ColumnValue;
use crate::ledger::record::row::{
    CanonicalHasher, ColumnKind, CorruptRow, Digest, RowReader, Value,
};
use crate::ledger::record::table::{Record as _, record};

/// The head of one chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedHead {
    pub budget: BudgetId,
    pub seq: i64,
    pub hash: Digest,
}

record! {
    /// The heads of the chains that have grown since the previous seal, and the root hash over
    /// them and the previous root.
    ///
    /// An outside party that keeps the root can later prove that nothing sealed has changed, even
    /// against the owner of the database.
    pub struct Seal in "seal" key(programme_id, seal_id) {
        pub programme_id: ProgrammeId,
        pub seal_id: SealId,
        /// Sequence number within the programme, from 1.
        pub number: i64,
        pub sealed_at: Timestamp,
        /// Ordered by budget.
        pub heads: Vec<SealedHead>,
        /// The programme's totals in one line, as the `balances` command prints them.
        pub totals: String,
        pub root: Digest,
    }
}

impl Seal {
    /// The root over this seal's content and the previous root.
    pub fn root_after(&self, previous: Digest) -> Digest {
        seal_root(previous, &self.row())
    }
}

/// One line per head.
impl ColumnValue for Vec<SealedHead> {
    const KIND: ColumnKind = ColumnKind::Text;

    fn value(&self) -> Value {
        let head = |head: &SealedHead| format!("{} {} {}", head.budget, head.seq, head.hash);
        self.iter().map(head).collect::<Vec<_>>().join("\n").into()
    }

    fn read(reader: &mut RowReader<'_>) -> Result<Self, CorruptRow> {
        reader.word(|text| text.lines().map(sealed_head).collect())
    }
}

/// The root of a seal from its stored row: it covers the `previous` root and all columns except the
/// root itself.
pub fn seal_root(previous: Digest, seal: &[Value]) -> Digest {
    let mut canonical = CanonicalHasher::new("seal");
    canonical.digest(previous);
    let (_root, content) = seal.split_last().unwrap_or((&Value::Null, &[]));
    canonical.row(Seal::TABLE, content);
    canonical.finish()
}

fn sealed_head(line: &str) -> Option<SealedHead> {
    let mut parts = line.split(' ');
    let budget = parts.next()?.parse().ok()?;
    let seq = parts.next()?.parse().ok()?;
    let hash = parts.next()?.parse().ok()?;
    parts.next().is_none().then_some(SealedHead { budget, seq, hash })
}

/// A programme's totals in one line, in the order loaded, held, spent, left, exposure, suspense,
/// disputed; minor units.
pub fn totals_line(currency: &str, totals: [i128; 7]) -> String {
    let [loaded, held, spent, left, exposure, suspense, disputed] = totals.map(|minor| {
        let known: Option<Currency> = currency.parse().ok();
        match (known, i64::try_from(minor)) {
            (Some(known), Ok(minor)) => Money::from_minor(minor, known).major().to_string(),
            (_, _) => minor.to_string(),
        }
    });
    format!(
        "{currency} loaded={loaded} held={held} spent={spent} left={left} exposure={exposure} \
         suspense={suspense} disputed={disputed}"
    )
}
