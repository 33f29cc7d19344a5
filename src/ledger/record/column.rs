//! The types of columns: how each is stored as a text or a number, and read back.

use std::collections::BTreeSet;

use jiff::Timestamp;
use jiff::civil::Date;

use crate::domain::agreement::proposal::{
    ConsentAnswer, ConsentChannel, ConsentGranularity, ConsentSide, ProposalKind, ProposalState,
};
use crate::domain::agreement::{Decider, Scope, TermAnswer};
use crate::domain::ask::appeal::{AppealState, AppealSubject, InterimMeasure};
use crate::domain::ask::permission::Grantor;
use crate::domain::ask::{AskKind, AskRefusalReason, AskState, EscalationStep, Urgency};
use crate::domain::card::CardState;
use crate::domain::card::safety::CardCustodian;
use crate::domain::decision::authorisation::{Presence, PurchaseKind};
use crate::domain::decision::reason_code::ReasonCode;
use crate::domain::id::{
    ActId, AppealId, AskId, BudgetId, CardToken, ConnectionId, CustodyId, DecisionId, ExceptionId,
    HumanId, IssuerReference, LoadId, LookId, MemberId, MessageId, PauseId, PermissionId, PersonId,
    PostingId, PotId, ProgrammeId, ProposalId, PurchaseId, PurchaseReference, SealId, StreamId,
    TalkId, WorkerId,
};
use crate::domain::money::Currency;
use crate::domain::money::limit::Abroad;
use crate::domain::people::person::PersonState;
use crate::domain::people::recipient::Recipient;
use crate::domain::people::role::{Delegation, MemberState, Role};
use crate::domain::purchase::presentment::PresentmentDirection;
use crate::domain::purchase::state::{PurchaseOutcome, PurchaseState};
use crate::domain::shop::ShopIdentity;
use crate::domain::shop::merchant::{Category, Mcc};
use crate::domain::time::period::Period;
use crate::ledger::record::row::{ColumnKind, CorruptRow, Digest, RowReader, Value};

/// A type that one column can store.
pub trait ColumnValue: Sized {
    /// Never [`ColumnKind::Key`]: [`column()`](super::table::column) makes a key of a text.
    const KIND: ColumnKind;

    /// The stored value.
    fn value(&self) -> Value;

    /// As [`ColumnValue::value`]; may move a text instead of copying it.
    fn into_value(self) -> Value {
        self.value()
    }

    /// Reads a value of the column.
    fn read(reader: &mut RowReader<'_>) -> Result<Self, CorruptRow>;
}

/// Types that are stored as their `Display` text.
macro_rules! text_columns {
    ($($type:ty),+ $(,)?) => {
        $(impl $crate::ledger::record::column::ColumnValue for $type {
            const KIND: $crate::ledger::record::row::ColumnKind =
                $crate::ledger::record::row::ColumnKind::Text;

            fn value(&self) -> $crate::ledger::record::row::Value {
                $crate::ledger::record::row::text_value(self)
            }

            fn read(
                reader: &mut $crate::ledger::record::row::RowReader<'_>,
            ) -> Result<Self, $crate::ledger::record::row::CorruptRow> {
                reader.parsed()
            }
        })+
    };
}
pub(crate) use text_columns;

/// Enums that are stored as their word.
macro_rules! word_columns {
    ($($type:ty),+ $(,)?) => {
        $(impl $crate::ledger::record::column::ColumnValue for $type {
            const KIND: $crate::ledger::record::row::ColumnKind =
                $crate::ledger::record::row::ColumnKind::Text;

            fn value(&self) -> $crate::ledger::record::row::Value {
                self.word().into()
            }

            fn read(
                reader: &mut $crate::ledger::record::row::RowReader<'_>,
            ) -> Result<Self, $crate::ledger::record::row::CorruptRow> {
                reader.word(Self::from_word)
            }
        })+
    };
}
pub(crate) use word_columns;

/// Integers within the range of their type.
macro_rules! integer_columns {
    ($($type:ty),+ $(,)?) => {
        $(impl ColumnValue for $type {
            const KIND: ColumnKind = ColumnKind::Number;

            fn value(&self) -> Value {
                Value::Number(i64::from(*self))
            }

            fn read(reader: &mut RowReader<'_>) -> Result<Self, CorruptRow> {
                reader.integer()
            }
        })+
    };
}

text_columns!(
    ActId,
    AppealId,
    AppealSubject,
    AskId,
    BudgetId,
    CardToken,
    Category,
    ConnectionId,
    CustodyId,
    Date,
    DecisionId,
    Digest,
    ExceptionId,
    HumanId,
    IssuerReference,
    LoadId,
    LookId,
    Mcc,
    MemberId,
    MessageId,
    PauseId,
    PermissionId,
    PersonId,
    PostingId,
    PotId,
    ProgrammeId,
    ProposalId,
    PurchaseId,
    PurchaseReference,
    Scope,
    SealId,
    ShopIdentity,
    StreamId,
    TalkId,
    WorkerId,
);
word_columns!(
    Abroad,
    AppealState,
    AskKind,
    AskRefusalReason,
    AskState,
    CardCustodian,
    CardState,
    ConsentAnswer,
    ConsentChannel,
    ConsentGranularity,
    ConsentSide,
    Decider,
    EscalationStep,
    Grantor,
    InterimMeasure,
    MemberState,
    Period,
    PersonState,
    Presence,
    PresentmentDirection,
    ProposalKind,
    ProposalState,
    PurchaseKind,
    PurchaseOutcome,
    PurchaseState,
    Recipient,
    Role,
    TermAnswer,
    Urgency,
);
integer_columns!(i64, u8, u16, u32);

impl ColumnValue for String {
    const KIND: ColumnKind = ColumnKind::Text;

    fn value(&self) -> Value {
        self.as_str().into()
    }

    fn into_value(self) -> Value {
        self.into()
    }

    fn read(reader: &mut RowReader<'_>) -> Result<Self, CorruptRow> {
        reader.text().map(str::to_owned)
    }
}

impl ColumnValue for Timestamp {
    const KIND: ColumnKind = ColumnKind::Number;

    fn value(&self) -> Value {
        (*self).into()
    }

    fn read(reader: &mut RowReader<'_>) -> Result<Self, CorruptRow> {
        reader.instant()
    }
}

/// Lists of words, stored as one text with a space between two words.
macro_rules! word_list_columns {
    ($($list:ty { $write:expr, $read:expr }),+ $(,)?) => {
        $(impl ColumnValue for $list {
            const KIND: ColumnKind = ColumnKind::Text;

            fn value(&self) -> Value {
                let words: Vec<&str> = self.iter().map($write).collect();
                words.join(" ").into()
            }

            fn read(reader: &mut RowReader<'_>) -> Result<Self, CorruptRow> {
                reader.word(|words| words.split_whitespace().map($read).collect())
            }
        })+
    };
}

word_list_columns!(
    BTreeSet<HumanId> { HumanId::as_str, |id| id.parse().ok() },
    Vec<Delegation> { |tick| tick.word(), Delegation::from_word },
    Vec<PersonId> { PersonId::as_str, |id| id.parse().ok() },
);

impl ColumnValue for ReasonCode {
    const KIND: ColumnKind = ColumnKind::Text;

    fn value(&self) -> Value {
        self.as_str().into()
    }

    fn read(reader: &mut RowReader<'_>) -> Result<Self, CorruptRow> {
        reader.word(Self::from_code)
    }
}

/// A list of at least one code.
impl ColumnValue for Vec<ReasonCode> {
    const KIND: ColumnKind = ColumnKind::Text;

    fn value(&self) -> Value {
        let codes: Vec<_> = self.iter().map(|code| code.as_str()).collect();
        codes.join(" ").into()
    }

    fn read(reader: &mut RowReader<'_>) -> Result<Self, CorruptRow> {
        reader.word(|codes| codes.split(' ').map(ReasonCode::from_code).collect())
    }
}

impl ColumnValue for bool {
    const KIND: ColumnKind = ColumnKind::Number;

    fn value(&self) -> Value {
        Value::Number(i64::from(*self))
    }

    fn read(reader: &mut RowReader<'_>) -> Result<Self, CorruptRow> {
        match reader.number()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(reader.corrupt()),
        }
    }
}

impl ColumnValue for Currency {
    const KIND: ColumnKind = ColumnKind::Text;

    fn value(&self) -> Value {
        self.code().into()
    }

    fn read(reader: &mut RowReader<'_>) -> Result<Self, CorruptRow> {
        reader.parsed()
    }
}

/// A text that may be erased later, so row digests exclude it. Its own digest is in another column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Erasable<T>(pub T);

impl<T: ColumnValue> ColumnValue for Erasable<T> {
    const KIND: ColumnKind = ColumnKind::Erasable;

    fn value(&self) -> Value {
        self.0.value()
    }

    fn into_value(self) -> Value {
        self.0.into_value()
    }

    fn read(reader: &mut RowReader<'_>) -> Result<Self, CorruptRow> {
        T::read(reader).map(Self)
    }
}

/// A text in a column added by a later version, after all others. A null value is not digested, so
/// that older rows keep their digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Added<T>(pub Option<T>);

impl<T: ColumnValue> ColumnValue for Added<T> {
    const KIND: ColumnKind = ColumnKind::Added;

    fn value(&self) -> Value {
        self.0.value()
    }

    fn into_value(self) -> Value {
        self.0.into_value()
    }

    fn read(reader: &mut RowReader<'_>) -> Result<Self, CorruptRow> {
        reader.optional(T::read).map(Self)
    }
}

impl<T: ColumnValue> ColumnValue for Option<T> {
    const KIND: ColumnKind = T::KIND;

    fn value(&self) -> Value {
        self.as_ref().map_or(Value::Null, T::value)
    }

    fn into_value(self) -> Value {
        self.map_or(Value::Null, T::into_value)
    }

    fn read(reader: &mut RowReader<'_>) -> Result<Self, CorruptRow> {
        reader.optional(T::read)
    }
}
