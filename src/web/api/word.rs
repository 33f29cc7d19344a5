//! Enumerations in response bodies: sent as their words, all of which the document lists.

use serde::{Serialize, Serializer};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use crate::domain::agreement::change::ChangeDirection;
use crate::domain::agreement::proposal::{
    ConsentAnswer, ConsentChannel, ConsentSide, ProposalKind, ProposalState,
};
use crate::domain::agreement::{Decider, TermAnswer};
use crate::domain::ask::appeal::{AppealState, AppealSubjectKind, InterimMeasure};
use crate::domain::ask::{AskKind, AskRefusalReason, AskState, EscalationStep, Urgency};
use crate::domain::card::CardState;
use crate::domain::card::safety::CardCustodian;
use crate::domain::decision::reason_code::ReasonCode;
use crate::domain::people::person::PersonState;
use crate::domain::people::recipient::Recipient;
use crate::domain::people::role::{Delegation, MemberState, Role};
use crate::domain::people::signal::SignalKind;
use crate::domain::pot::release::ReleaseInterval;
use crate::domain::purchase::state::{PurchaseOutcome, PurchaseState};
use crate::domain::stored_enum::StoredEnum;
use crate::operations::activity::ActivityKind;

/// Makes enumerations usable as fields of response bodies. They are documented under their own
/// names.
macro_rules! sent_as_words {
    ($($name:ty),+ $(,)?) => {$(
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.word())
            }
        }

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                schema::<Self>()
            }
        }

        impl ToSchema for $name {}
    )+};
}

sent_as_words!(
    ActivityKind,
    AppealState,
    AppealSubjectKind,
    AskKind,
    AskRefusalReason,
    AskState,
    CardCustodian,
    CardState,
    ChangeDirection,
    ConsentAnswer,
    ConsentChannel,
    ConsentSide,
    Decider,
    Delegation,
    EscalationStep,
    InterimMeasure,
    MemberState,
    PersonState,
    ProposalKind,
    ProposalState,
    PurchaseOutcome,
    PurchaseState,
    ReasonCode,
    Recipient,
    ReleaseInterval,
    Role,
    SignalKind,
    TermAnswer,
    Urgency,
);

/// A text that is one of the words of `T`.
fn schema<T: StoredEnum>() -> RefOr<Schema> {
    let words = T::ALL.iter().map(|value| value.word());
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(words)).into()
}
