//! Why a transaction of the card path failed.

use crate::domain::id::ProgrammeId;
use crate::domain::money::MoneyError;
use crate::ledger::book::LedgerError;
use crate::programme::directory::DirectoryError;
use crate::store::StoreError;

/// Why requests could not be decided, approvals not withdrawn, or events not booked. Nothing has
/// been written.
#[derive(Debug, thiserror::Error)]
pub enum CardPathError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error("programme {0} has no house budget")]
    BudgetNotFound(ProgrammeId),
}

impl CardPathError {
    /// The database error behind it, if there is one.
    pub const fn store(&self) -> Option<&StoreError> {
        match self {
            Self::Store(error) | Self::Directory(DirectoryError::Store(error)) => Some(error),
            Self::Directory(_) | Self::Ledger(_) | Self::BudgetNotFound(_) => None,
        }
    }
}

impl From<MoneyError> for CardPathError {
    fn from(error: MoneyError) -> Self {
        Self::Ledger(error.into())
    }
}
