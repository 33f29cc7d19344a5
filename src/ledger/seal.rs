//! A seal: the ends of all chains of a programme at one moment, in one root.

use jiff::Timestamp;

use crate::domain::id::{BudgetId, ProgrammeId, SealId};
use crate::domain::money::{Currency, Money};
use crate::ledger::record::row::{
    CanonicalHasher, CorruptRow, Digest, RowReader, Table, Value, columns, text_value,
};

/// One row per seal.
pub const SEAL: Table = Table {
    name: "seal",
    columns: columns![
        Key "programme_id", Key "seal_id", Number "number", Number "sealed_at", Text "heads",
        Text "totals", Text "root",
    ],
};

/// Where one chain ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedHead {
    pub budget: BudgetId,
    pub seq: i64,
    pub hash: Digest,
}

/// The ends of the chains that have grown since the seal before, and the root over them and it.
///
/// Somebody outside who keeps the root can prove later that nothing sealed has changed, even
/// against whoever owns the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seal {
    pub programme: ProgrammeId,
    pub id: SealId,
    /// 1 for the first of the programme.
    pub number: i64,
    pub sealed_at: Timestamp,
    /// By budget.
    pub heads: Vec<SealedHead>,
    /// The programme's totals as `balances` writes them, in one line.
    pub totals: String,
    pub root: Digest,
}

impl Seal {
    /// The root over this seal's content behind the root before.
    pub fn root_after(&self, previous: Digest) -> Digest {
        seal_root(previous, &self.row())
    }

    /// The row to store.
    pub fn row(&self) -> Vec<Value> {
        let head = |head: &SealedHead| format!("{} {} {}", head.budget, head.seq, head.hash);
        vec![
            text_value(&self.programme),
            text_value(self.id),
            self.number.into(),
            self.sealed_at.into(),
            self.heads.iter().map(head).collect::<Vec<_>>().join("\n").into(),
            self.totals.as_str().into(),
            self.root.into(),
        ]
    }
}

/// The root of a seal, from its row as it is stored: behind the root `previous`, over everything
/// in the row but the root itself.
pub fn seal_root(previous: Digest, seal: &[Value]) -> Digest {
    let mut canonical = CanonicalHasher::new("seal");
    canonical.digest(previous);
    let (_root, content) = seal.split_last().unwrap_or((&Value::Null, &[]));
    canonical.row(&SEAL, content);
    canonical.finish()
}

/// Reads a seal back.
pub fn read_seal(row: &[Value]) -> Result<Seal, CorruptRow> {
    let mut reader = RowReader::new(&SEAL, row);
    Ok(Seal {
        programme: reader.parsed()?,
        id: reader.parsed()?,
        number: reader.number()?,
        sealed_at: reader.instant()?,
        heads: reader.word(|text| text.lines().map(sealed_head).collect())?,
        totals: reader.text()?.to_owned(),
        root: reader.parsed()?,
    })
}

fn sealed_head(line: &str) -> Option<SealedHead> {
    let mut parts = line.split(' ');
    let budget = parts.next()?.parse().ok()?;
    let seq = parts.next()?.parse().ok()?;
    let hash = parts.next()?.parse().ok()?;
    parts.next().is_none().then_some(SealedHead { budget, seq, hash })
}

/// A programme's totals in one line, from loaded, held, spent, left, exposure, suspense and disputed.
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
