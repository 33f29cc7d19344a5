//! What is documented of the API: made from the code, so that it says what is routed.

use utoipa::openapi::OpenApi;
use utoipa::openapi::schema::{AdditionalProperties, Schema};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{
    ComponentsBuilder, ContactBuilder, InfoBuilder, LicenseBuilder, OpenApiBuilder, RefOr,
    SecurityRequirement,
};
use utoipa::{IntoParams, IntoResponses};

use crate::web::problem::Problem;

const BEARER: &str = "token";

/// The API as a whole.
pub(super) fn base_document() -> OpenApi {
    let info = InfoBuilder::new()
        .title("Sayso")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(
            "Spending that the person controls: what they have, what was agreed, what was bought \
             and why not, and who looked.",
        ))
        .license(Some(
            LicenseBuilder::new()
                .name("MIT OR Apache-2.0")
                .identifier(Some("MIT OR Apache-2.0"))
                .build(),
        ))
        .contact(Some(ContactBuilder::new().name(Some("Whoever runs this programme")).build()))
        .build();
    let mut scheme = Http::new(HttpAuthScheme::Bearer);
    scheme.bearer_format = Some("JWT".to_owned());
    scheme.description = Some("A token of `sayso token`; it lives ten minutes.".to_owned());
    let components =
        ComponentsBuilder::new().security_scheme(BEARER, SecurityScheme::Http(scheme)).build();
    OpenApiBuilder::new()
        .info(info)
        .components(Some(components))
        .security(Some([SecurityRequirement::new(BEARER, Vec::<String>::new())]))
        .build()
}

/// The whole document, as `GET /openapi.json` and `sayso openapi` give it.
pub fn document() -> OpenApi {
    let mut document = super::router().into_openapi();
    if let Some(components) = &mut document.components {
        components.schemas.values_mut().for_each(deny_other_fields);
    }
    document
}

/// Says that a choice between forms takes no other fields than theirs, as it does: utoipa says so of
/// structs only.
fn deny_other_fields(schema: &mut RefOr<Schema>) {
    let RefOr::T(Schema::OneOf(choice)) = schema else { return };
    for form in &mut choice.items {
        if let RefOr::T(Schema::Object(form)) = form {
            form.additional_properties = Some(Box::new(AdditionalProperties::FreeForm(false)));
        }
    }
}

/// What any address may answer instead of its own answer.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "its attributes document what the problems look like")]
pub(super) enum Problems {
    /// Not as documented: an unknown parameter, no JSON, a missing key.
    #[response(status = 400, content_type = "application/problem+json")]
    Malformed(#[to_schema] Problem),
    /// No token, or one that is not accepted.
    #[response(status = 401, content_type = "application/problem+json")]
    NotSignedIn(#[to_schema] Problem),
    /// The account sees it, and may not do that.
    #[response(status = 403, content_type = "application/problem+json")]
    NotAllowed(#[to_schema] Problem),
    /// It is not there, or is not to be known by this account.
    #[response(status = 404, content_type = "application/problem+json")]
    NotFound(#[to_schema] Problem),
    /// It has changed since, or is not in a state for this.
    #[response(status = 409, content_type = "application/problem+json")]
    Conflict(#[to_schema] Problem),
    /// The body is not JSON.
    #[response(status = 415, content_type = "application/problem+json")]
    UnsupportedMediaType(#[to_schema] Problem),
    /// What was sent cannot be done: `errors` says which fields.
    #[response(status = 422, content_type = "application/problem+json")]
    Invalid(#[to_schema] Problem),
    /// The account has done all that one account does in a day.
    #[response(status = 429, content_type = "application/problem+json")]
    DailyLimitReached(#[to_schema] Problem),
    /// Something here broke.
    #[response(status = 500, content_type = "application/problem+json")]
    Internal(#[to_schema] Problem),
    /// Not just now: send it again.
    #[response(status = 503, content_type = "application/problem+json")]
    Unavailable(#[to_schema] Problem),
}

/// The header that every POST needs.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "its attributes document the header")]
pub(super) struct IdempotencyKeyHeader {
    /// A key of the request's own, 1 to 200 characters. For seven days the same key gets the
    /// same answer, and what it asks for is done once.
    #[param(
        rename = "Idempotency-Key",
        min_length = 1,
        max_length = 200,
        pattern = r#"^("[!#-\[\]-~]{1,198}"|[!#-\[\]-~]{1,198})$"#
    )]
    key: String,
}
