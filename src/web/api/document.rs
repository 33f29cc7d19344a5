//! The API document, generated from the code, so that it documents what is routed.

use utoipa::openapi::OpenApi;
use utoipa::openapi::schema::{AdditionalProperties, Schema};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{
    ComponentsBuilder, ContactBuilder, InfoBuilder, LicenseBuilder, OpenApiBuilder, RefOr,
    SecurityRequirement,
};
use utoipa::{IntoParams, IntoResponses};

use crate::web::problem::{FieldProblem, Problem, StandingBody};

const BEARER: &str = "token";

/// The document without routes: title, licence, authentication.
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
    let components = ComponentsBuilder::new()
        .schema_from::<Problem>()
        .schema_from::<FieldProblem>()
        .schema_from::<StandingBody>()
        .security_scheme(BEARER, SecurityScheme::Http(scheme))
        .build();
    OpenApiBuilder::new()
        .info(info)
        .components(Some(components))
        .security(Some([SecurityRequirement::new(BEARER, Vec::<String>::new())]))
        .build()
}

/// The complete document, as `GET /openapi.json` and `sayso openapi` return it.
pub fn document() -> OpenApi {
    let mut document = super::router().into_openapi();
    if let Some(components) = &mut document.components {
        components.schemas.values_mut().for_each(deny_other_fields);
    }
    document
}

/// Documents that the variants of a `oneOf` accept no other fields. The handlers enforce this
/// already, but utoipa documents it for structs only.
fn deny_other_fields(schema: &mut RefOr<Schema>) {
    let RefOr::T(Schema::OneOf(choice)) = schema else { return };
    for form in &mut choice.items {
        if let RefOr::T(Schema::Object(form)) = form {
            form.additional_properties = Some(Box::new(AdditionalProperties::FreeForm(false)));
        }
    }
}

/// The error responses that any endpoint may return.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "its attributes document what the problems look like")]
pub(super) enum Problems {
    /// A malformed request: an unknown parameter, invalid JSON, or a missing idempotency key.
    #[response(status = 400, content_type = "application/problem+json")]
    Malformed(Problem),
    /// No token, or a token that is not accepted.
    #[response(status = 401, content_type = "application/problem+json")]
    NotSignedIn(Problem),
    /// The account may see this, but may not do that.
    #[response(status = 403, content_type = "application/problem+json")]
    NotAllowed(Problem),
    /// It does not exist, or the account may not know of it.
    #[response(status = 404, content_type = "application/problem+json")]
    NotFound(Problem),
    /// It has changed meanwhile, or its state does not permit this.
    #[response(status = 409, content_type = "application/problem+json")]
    Conflict(Problem),
    /// The content type of the body is not JSON.
    #[response(status = 415, content_type = "application/problem+json")]
    UnsupportedMediaType(Problem),
    /// The request cannot be carried out; `errors` names the fields.
    #[response(status = 422, content_type = "application/problem+json")]
    Invalid(Problem),
    /// The account has reached the maximum of requests for one day.
    #[response(status = 429, content_type = "application/problem+json")]
    DailyLimitReached(Problem),
    /// An internal error.
    #[response(status = 500, content_type = "application/problem+json")]
    Internal(Problem),
    /// Temporarily unavailable: send the request again.
    #[response(status = 503, content_type = "application/problem+json")]
    Unavailable(Problem),
}

/// The header that every POST requires.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "its attributes document the header")]
pub(super) struct IdempotencyKeyHeader {
    /// A unique key of this request, 1 to 200 characters. For seven days a repeat with the same key
    /// gets the same response, and the request is executed once.
    #[param(
        rename = "Idempotency-Key",
        min_length = 1,
        max_length = 200,
        pattern = r#"^("[!#-\[\]-~]{1,198}"|[!#-\[\]-~]{1,198})$"#
    )]
    key: String,
}
