//! Rows of programmes, connections, agreements, pots, loads and permissions, most of them written
//! when a programme's file is applied.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use secrecy::SecretString;

use crate::domain::agreement::Agreement;
use crate::domain::ask::permission::Permission;
use crate::domain::id::{BudgetId, ConnectionId, LoadId, PotId, ProgrammeId};
use crate::domain::money::Money;
use crate::ledger::book::PotBalance;
use crate::ledger::record::agreement::{AGREEMENT, TERM, agreement_rows};
use crate::ledger::record::row::{Digest, RowReader, Table, Value, columns, text_value};
use crate::platform::encryption::SealingKey;
use crate::store::pot::pots::{pot_row, read_pot};
use crate::store::purchase::close::permission_row;
use crate::store::secret::sealing::connection_secret;
use crate::store::sql::batch::{BatchStatement, read_row};
use crate::store::sql::statements::{PERMISSION, POT};
use crate::store::{KeyError, Store, StoreError, Tx};

/// One version of a programme's settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProgrammeRow {
    pub version: u32,
    pub settings: String,
    /// The complete merchant rules.
    pub rules: String,
    /// The complete table of shops; `None` if the version was applied before such tables existed.
    pub shops: Option<String>,
}

/// A secret of a connection.
#[derive(Debug, Clone)]
pub struct SecretRow {
    pub programme: ProgrammeId,
    pub connection: ConnectionId,
    pub issuer: String,
    pub name: String,
    /// `None` if it cannot be opened: it was never sealed, was tampered with, or was moved from
    /// another row.
    pub secret: Option<SecretString>,
    pub live_until: Option<Timestamp>,
}

/// A secret of a connection, without the secret itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretName {
    pub name: String,
    pub live_until: Option<Timestamp>,
}

/// A load: money from a stream into a pot. Each load is posted only once.
pub const LOAD: Table = Table {
    name: "load",
    columns: columns![
        Key "programme_id", Key "budget_id", Key "pot_id", Key "load_id", Text "currency",
        Number "amount_minor", Number "loaded_at",
    ],
};
/// The plan of a pot: its columns without the balances.
pub const POT_PLAN: Table = Table {
    name: "pot",
    columns: columns![
        Key "programme_id", Key "budget_id", Key "pot_id", Text "stream_id", Text "currency",
        Number "allocated_minor", Added "own",
    ],
};

static RULES: Table = Table { name: "rules", columns: columns![Key "digest", Text "content"] };
static PROGRAMME: Table =
    Table { name: "programme", columns: columns![Key "programme_id", Number "version"] };
static PROGRAMME_VERSION: Table = Table {
    name: "programme_version",
    columns: columns![
        Key "programme_id", Number "version", Text "settings", Text "rules_digest",
        Number "applied_at", Added "shops_digest",
    ],
};
static PROGRAMME_VIEW: Table = Table {
    name: "programme_version",
    columns: columns![Number "version", Text "settings", Text "content", Text "shops"],
};
static CONNECTION: Table = Table {
    name: "connection",
    columns: columns![Key "programme_id", Key "connection_id", Text "issuer"],
};
static SECRET: Table = Table {
    name: "connection_secret",
    columns: columns![
        Key "programme_id", Key "connection_id", Key "name", Text "sealed", Number "live_until",
    ],
};
static SECRET_VIEW: Table = Table {
    name: "connection_secret",
    columns: columns![
        Key "programme_id", Key "connection_id", Text "issuer", Key "name", Text "sealed",
        Number "live_until",
    ],
};
static SECRET_NAME: Table =
    Table { name: "connection_secret", columns: columns![Key "name", Number "live_until"] };
/// A budget with the head of its chain.
pub const BUDGET: Table = Table {
    name: "budget",
    columns: columns![
        Key "programme_id", Key "budget_id", Text "currency", Number "agreement_version",
        Number "head_seq", Text "head_posting", Text "head_hash",
    ],
};
impl Store {
    /// Every secret of every connection that is live at `now`, for verifying the signatures of
    /// messages.
    pub async fn secrets(&self, now: Timestamp) -> Result<Vec<SecretRow>, StoreError> {
        let sql = "SELECT c.programme_id, c.connection_id, c.issuer, s.name, s.sealed, \
                   s.live_until FROM connection c JOIN connection_secret s \
                   ON s.programme_id = c.programme_id AND s.connection_id = c.connection_id \
                   WHERE s.live_until IS NULL OR s.live_until > $1 \
                   ORDER BY c.programme_id, c.connection_id, s.name";
        let columns = SECRET_VIEW.columns;
        let found = sqlx::query(sql).bind(now.as_microsecond()).fetch_all(&self.readers()).await?;
        let mut rows = Vec::new();
        for row in &found {
            rows.push(read_row(row, columns)?);
        }
        let key = self.opening_key(rows.iter().map(|row| SECRET_VIEW.text(row, "sealed"))).await?;
        rows.iter().map(|row| read_secret(row, &key)).collect()
    }

    /// The names of a connection's secrets, in order. Needs no sealing key.
    pub async fn secret_names(
        &self,
        programme: &ProgrammeId,
        connection: &ConnectionId,
    ) -> Result<Vec<SecretName>, StoreError> {
        let sql = "SELECT name, live_until FROM connection_secret \
                   WHERE programme_id = $1 AND connection_id = $2 ORDER BY name";
        let query = sqlx::query(sql).bind(programme.to_string()).bind(connection.to_string());
        let read = |row: &sqlx::any::AnyRow| {
            let row = read_row(row, SECRET_NAME.columns)?;
            let mut reader = RowReader::new(&SECRET_NAME, &row);
            let name = reader.text()?.to_owned();
            Ok(SecretName { name, live_until: reader.optional(RowReader::instant)? })
        };
        query.fetch_all(&self.readers()).await?.iter().map(read).collect()
    }

    /// The programmes of this deployment, in order, each with the version of its settings in force.
    pub async fn programmes(&self) -> Result<Vec<(ProgrammeId, u32)>, StoreError> {
        let sql = "SELECT programme_id, version FROM programme ORDER BY programme_id";
        let rows = sqlx::query(sql).fetch_all(&self.readers()).await?;
        let read = |row: &sqlx::any::AnyRow| {
            let row = read_row(row, PROGRAMME.columns)?;
            let mut reader = RowReader::new(&PROGRAMME, &row);
            Ok((reader.parsed()?, reader.integer()?))
        };
        rows.iter().map(read).collect()
    }

    /// One version of a programme's settings; the one in force for `None`.
    pub async fn programme(
        &self,
        programme: &ProgrammeId,
        version: Option<u32>,
    ) -> Result<Option<ProgrammeRow>, StoreError> {
        let sql = "SELECT v.version, v.settings, r.content, s.content AS shops FROM programme p \
                   JOIN programme_version v ON v.programme_id = p.programme_id \
                   AND v.version = COALESCE($2, p.version) \
                   JOIN rules r ON r.digest = v.rules_digest \
                   LEFT JOIN rules s ON s.digest = v.shops_digest WHERE p.programme_id = $1";
        let row = sqlx::query(sql)
            .bind(programme.to_string())
            .bind(version.map(i64::from))
            .fetch_optional(&self.readers())
            .await?;
        let Some(row) = row else { return Ok(None) };
        let row = read_row(&row, PROGRAMME_VIEW.columns)?;
        let mut reader = RowReader::new(&PROGRAMME_VIEW, &row);
        Ok(Some(ProgrammeRow {
            version: reader.integer()?,
            settings: reader.text()?.to_owned(),
            rules: reader.text()?.to_owned(),
            shops: reader.optional(RowReader::text)?.map(str::to_owned),
        }))
    }
}

impl Tx {
    pub(in crate::store) async fn put(
        &mut self,
        table: &'static Table,
        rows: &[Vec<Value>],
        on_conflict: OnConflict,
    ) -> Result<u64, StoreError> {
        let dialect = self.statements.dialect;
        let batch = match on_conflict {
            OnConflict::Keep => BatchStatement::insert_missing(dialect, table),
            OnConflict::Replace => BatchStatement::upsert(dialect, table),
        };
        batch.execute(self.connection(), rows).await
    }

    /// Puts a version of a programme's settings in force for all its budgets, unless a newer one
    /// is.
    pub async fn activate_settings(
        &mut self,
        programme: &ProgrammeId,
        version: u32,
    ) -> Result<(), StoreError> {
        let sql = "UPDATE programme SET version = $2 WHERE programme_id = $1 AND version < $2";
        sqlx::query(sql)
            .bind(programme.to_string())
            .bind(i64::from(version))
            .execute(self.connection())
            .await?;
        Ok(())
    }

    /// Adds a version of a programme's settings. The first version is in force at once.
    ///
    /// # Errors
    ///
    /// [`StoreError::Contended`] when that version exists.
    pub async fn add_settings(
        &mut self,
        programme: &ProgrammeId,
        row: &ProgrammeRow,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let digest = Digest::of_text(&row.rules);
        let mut rules = vec![vec![digest.into(), row.rules.as_str().into()]];
        let shops = row.shops.as_deref().map(|text| (Digest::of_text(text), text));
        rules.extend(shops.map(|(digest, text)| vec![digest.into(), text.into()]));
        self.put(&RULES, &rules, OnConflict::Keep).await?;
        let head = vec![vec![text_value(programme), row.version.into()]];
        self.put(&PROGRAMME, &head, OnConflict::Keep).await?;
        let version = vec![vec![
            text_value(programme),
            row.version.into(),
            row.settings.as_str().into(),
            digest.into(),
            at.into(),
            shops.map(|(digest, _)| digest).map_or(Value::Null, Into::into),
        ]];
        let written = self.put(&PROGRAMME_VERSION, &version, OnConflict::Keep).await?;
        if written == 1 { Ok(()) } else { Err(StoreError::Contended("programme_version")) }
    }

    /// Adds or updates connections, and replaces all connection secrets of the programme by
    /// `secrets`. Returns false and writes nothing if a connection's identifier belongs to another
    /// programme.
    pub async fn put_connections(
        &mut self,
        programme: &ProgrammeId,
        connections: &[(ConnectionId, String)],
        secrets: &[SecretRow],
    ) -> Result<bool, StoreError> {
        for (id, _) in connections {
            let sql = "SELECT programme_id FROM connection WHERE connection_id = $1 \
                       AND programme_id <> $2";
            let row = sqlx::query(sql)
                .bind(id.to_string())
                .bind(programme.to_string())
                .fetch_optional(self.connection())
                .await?;
            if row.is_some() {
                return Ok(false);
            }
        }
        let rows: Vec<_> = connections
            .iter()
            .map(|(id, issuer)| vec![text_value(programme), text_value(id), issuer.as_str().into()])
            .collect();
        self.put(&CONNECTION, &rows, OnConflict::Replace).await?;
        let sql = "DELETE FROM connection_secret WHERE programme_id = $1";
        sqlx::query(sql).bind(programme.to_string()).execute(self.connection()).await?;
        let key = self.sealing_key().await?;
        let mut rows = Vec::new();
        for secret in secrets {
            rows.extend(sealed_row(programme, secret, &key)?);
        }
        self.put(&SECRET, &rows, OnConflict::Keep).await?;
        Ok(true)
    }

    /// Adds a version of an agreement and puts it in force.
    ///
    /// # Errors
    ///
    /// [`StoreError::Contended`] when that version exists.
    pub async fn start_agreement(
        &mut self,
        programme: &ProgrammeId,
        agreement: &Agreement,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let (row, terms) = agreement_rows(programme, agreement, at);
        let written = self.put(&AGREEMENT, &[row], OnConflict::Keep).await?;
        if written != 1 {
            return Err(StoreError::Contended("agreement"));
        }
        self.put(&TERM, &terms, OnConflict::Keep).await?;
        let sql = "UPDATE budget SET agreement_version = $3 \
                   WHERE programme_id = $1 AND budget_id = $2";
        sqlx::query(sql)
            .bind(programme.to_string())
            .bind(agreement.budget.to_string())
            .bind(i64::from(agreement.version))
            .execute(self.connection())
            .await?;
        Ok(())
    }

    /// Adds an empty pot, or updates the allocated amount of an existing one.
    pub async fn put_pot(
        &mut self,
        programme: &ProgrammeId,
        budget: &BudgetId,
        pot: &PotId,
        empty: &PotBalance,
    ) -> Result<(), StoreError> {
        let row = pot_row(programme, budget, pot, empty);
        self.put(&POT, &[row], OnConflict::Keep).await?;
        let sql = "UPDATE pot SET allocated_minor = $4 \
                   WHERE programme_id = $1 AND budget_id = $2 AND pot_id = $3";
        sqlx::query(sql)
            .bind(programme.to_string())
            .bind(budget.to_string())
            .bind(pot.to_string())
            .bind(empty.allocated.minor())
            .execute(self.connection())
            .await?;
        Ok(())
    }

    /// Adds a load.
    ///
    /// # Errors
    ///
    /// [`StoreError::Contended`] when the load exists.
    pub async fn add_load(&mut self, row: Vec<Value>) -> Result<(), StoreError> {
        let written = self.put(&LOAD, &[row], OnConflict::Keep).await?;
        if written == 1 { Ok(()) } else { Err(StoreError::Contended("load")) }
    }

    /// The amount of a load in minor units, if it has been posted.
    pub async fn load_amount(
        &mut self,
        programme: &ProgrammeId,
        budget: &BudgetId,
        pot: &PotId,
        load: &LoadId,
    ) -> Result<Option<i64>, StoreError> {
        let sql = "SELECT amount_minor FROM load WHERE programme_id = $1 AND budget_id = $2 \
                   AND pot_id = $3 AND load_id = $4";
        let row = sqlx::query(sql)
            .bind(programme.to_string())
            .bind(budget.to_string())
            .bind(pot.to_string())
            .bind(load.to_string())
            .fetch_optional(self.connection())
            .await?;
        let Some(row) = row else { return Ok(None) };
        let row = read_row(&row, columns![Number "amount_minor"])?;
        Ok(Some(RowReader::new(&LOAD, &row).number()?))
    }

    /// Adds a permission; an existing one is left unchanged.
    pub async fn add_permission(
        &mut self,
        programme: &ProgrammeId,
        budget: &BudgetId,
        permission: &Permission,
    ) -> Result<(), StoreError> {
        let row = permission_row(programme, budget, permission);
        self.put(&PERMISSION, &[row], OnConflict::Keep).await?;
        Ok(())
    }

    /// Deletes the permissions of a locked budget that ended at `ended_at` or before, because every
    /// decision reads all permissions of its budget.
    pub async fn purge_permissions(
        &mut self,
        programme: &ProgrammeId,
        budget: &BudgetId,
        ended_at: Timestamp,
    ) -> Result<(), StoreError> {
        let sql = "DELETE FROM permission WHERE programme_id = $1 AND budget_id = $2 \
                   AND ends_at <= $3";
        sqlx::query(sql)
            .bind(programme.to_string())
            .bind(budget.to_string())
            .bind(ended_at.as_microsecond())
            .execute(self.connection())
            .await?;
        Ok(())
    }

    /// The pots of a budget.
    pub async fn pots_of(
        &mut self,
        programme: &ProgrammeId,
        budget: &BudgetId,
    ) -> Result<BTreeMap<PotId, PotBalance>, StoreError> {
        let statements = Arc::clone(&self.statements);
        let key = vec![vec![text_value(programme), text_value(budget)]];
        let rows = statements.pots.fetch(self.connection(), &key, POT.columns).await?;
        rows.iter().map(|row| read_pot(row).map(|(_, pot, balance)| (pot, balance))).collect()
    }
}

fn read_secret(row: &[Value], key: &SealingKey) -> Result<SecretRow, StoreError> {
    let mut reader = RowReader::new(&SECRET_VIEW, row);
    let (programme, connection): (ProgrammeId, ConnectionId) = (reader.parsed()?, reader.parsed()?);
    let (issuer, name) = (reader.text()?.to_owned(), reader.text()?.to_owned());
    let place = [programme.as_str(), connection.as_str(), name.as_str()];
    let secret = key.open(reader.text()?, connection_secret(&place)).ok();
    let live_until = reader.optional(RowReader::instant)?;
    Ok(SecretRow { programme, connection, issuer, name, secret, live_until })
}

/// Builds the row of a secret, sealed with `key`; `None` if the secret could not be opened.
fn sealed_row(
    programme: &ProgrammeId,
    row: &SecretRow,
    key: &SealingKey,
) -> Result<Option<Vec<Value>>, StoreError> {
    let Some(secret) = &row.secret else { return Ok(None) };
    let place = [programme.as_str(), row.connection.as_str(), row.name.as_str()];
    let sealed = key.seal(secret, connection_secret(&place)).map_err(KeyError::Random)?;
    Ok(Some(vec![
        text_value(programme),
        text_value(&row.connection),
        row.name.as_str().into(),
        sealed.into(),
        row.live_until.into(),
    ]))
}

/// The digest of a pot's plan and its personal settings, without its balances.
pub fn pot_plan_digest(
    programme: &ProgrammeId,
    budget: &BudgetId,
    pot: &PotId,
    stream: &str,
    allocated: Money,
    own: Option<String>,
) -> Digest {
    let row = vec![
        text_value(programme),
        text_value(budget),
        text_value(pot),
        stream.into(),
        allocated.currency().code().into(),
        allocated.into(),
        own.into(),
    ];
    Digest::of_row(&POT_PLAN, &row)
}

/// How [`Tx::put`] treats a row with an existing key.
#[derive(Debug, Clone, Copy)]
pub(in crate::store) enum OnConflict {
    /// Leaves the existing row unchanged.
    Keep,
    /// Overwrites the existing row.
    Replace,
}
