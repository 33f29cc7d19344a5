//! The JSON API: one file per resource. Each route is documented where it is defined.
//!
//! The extractors of a handler come in this order: `State(api)`, [`Principal`] (401 before any
//! other error), [`ApiPath`](extract::ApiPath), [`ApiQuery`](extract::ApiQuery),
//! [`ApiJson`](extract::ApiJson) (which also reads the idempotency key). An
//! [`ApiPost`](action::ApiPost) is all of them at once. A read uses a snapshot of the store; a
//! write is an [`ApiAction`](action::ApiAction).

mod action;
mod activity;
mod agreement;
mod appeals;
mod ask_views;
mod asks;
mod authentication;
mod cards;
mod change_request;
mod could_pay;
mod delegation;
mod document;
mod extract;
mod guide;
mod help;
mod me;
mod pauses;
mod people;
mod pots;
mod proposal_views;
mod proposals;
mod purchases;
mod queries;
mod queues;
mod recorded_read;
mod representation;
mod safety;
mod shops;
mod timeline;
mod totals;
mod word;

use std::sync::Arc;

use axum::extract::FromRef;
use tokio::runtime::Handle;
use utoipa_axum::router::OpenApiRouter;

use super::AppState;
use super::problem::ApiError;
use crate::domain::id::{PersonId, ProgrammeId};
use crate::domain::people::role::Capability;
use crate::people::members::{GrantedAccess, Principal, UseCaseContext, UseCaseError};
use crate::people::tokens::TokenService;
use crate::platform::clock::Clock;
use crate::platform::ids::NewIds;
use crate::programme::directory::{Directory, Programme};
use crate::store::{Store, Tx};

pub use document::document;

/// State of the API handlers.
#[derive(Debug, Clone)]
pub(super) struct Api {
    pub(super) store: Store,
    pub(super) directory: Directory,
    pub(super) clock: Clock,
    pub(super) ids: NewIds,
    pub(super) tokens: TokenService,
    write_handle: Handle,
}

impl FromRef<AppState> for Api {
    fn from_ref(state: &AppState) -> Self {
        Self {
            store: state.store.for_api(),
            directory: state.directory.for_api(),
            clock: state.clock.clone(),
            ids: state.ids.clone(),
            tokens: state.tokens.clone(),
            write_handle: state.api_runtime.write_handle().clone(),
        }
    }
}

impl Api {
    /// What every use case needs besides its transaction.
    pub(super) const fn context(&self) -> UseCaseContext<'_> {
        UseCaseContext { directory: &self.directory, ids: &self.ids }
    }

    /// Begins to read what is stored about a person, if the account has the capability `act`.
    async fn begin_read(
        &self,
        principal: &Principal,
        act: Capability,
        person: &PersonId,
    ) -> Result<(Tx, GrantedAccess), ApiError> {
        let mut tx = self.store.snapshot().await?;
        let access = principal.admit_to_read(&mut tx, act, person).await?;
        Ok((tx, access))
    }

    /// Runs a writing transaction on the threads for writes, so that heavy reads do not delay it
    /// while it holds locks.
    async fn write<T: Send + 'static>(
        &self,
        transaction: impl Future<Output = Result<T, ApiError>> + Send + 'static,
    ) -> Result<T, ApiError> {
        self.write_handle.spawn(transaction).await.map_err(|_| ApiError::Panicked)?
    }

    /// The settings of a programme from memory, which may be slightly out of date.
    async fn programme(&self, id: &ProgrammeId) -> Result<Arc<Programme>, ApiError> {
        Ok(self.directory.latest_or_load(id).await.map_err(UseCaseError::from)?)
    }
}

/// All routes of the API, with their documentation.
pub(super) fn router() -> OpenApiRouter<AppState> {
    let v1 = OpenApiRouter::default()
        .merge(me::router())
        .merge(asks::router())
        .merge(appeals::router())
        .merge(queues::router())
        .merge(safety::router())
        .merge(people::router())
        .merge(activity::router())
        .merge(pots::router())
        .merge(could_pay::router())
        .merge(agreement::router())
        .merge(guide::router())
        .merge(help::router())
        .merge(cards::router())
        .merge(delegation::router())
        .merge(purchases::router())
        .merge(totals::router())
        .merge(shops::router())
        .merge(timeline::router())
        .merge(proposals::router())
        .merge(pauses::router());
    OpenApiRouter::with_openapi(document::base_document()).nest("/v1", v1)
}
