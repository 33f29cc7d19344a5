//! The documentation covers exactly the routes, and malformed requests are refused as documented.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::town::{ROUTES, kind, town};
use crate::support::{TestDatabase, project};
use crate::world::World;

fn document() -> Value {
    serde_json::to_value(sayso::web::document()).unwrap()
}

/// Every documented method and path.
fn documented() -> BTreeSet<(String, String)> {
    let document = document();
    let paths = document["paths"].as_object().unwrap();
    let methods = |(path, item): (&String, &Value)| {
        let methods: Vec<_> = item.as_object().unwrap().keys().cloned().collect();
        methods
            .into_iter()
            .map(move |method| (method.to_uppercase(), path.clone()))
            .collect::<Vec<_>>()
    };
    paths.iter().flat_map(methods).collect()
}

#[test]
fn the_matrix_of_roles_names_every_documented_address() {
    let named: BTreeSet<_> =
        ROUTES.iter().map(|(route, _)| (route.method.to_owned(), route.path.to_owned())).collect();
    assert_eq!(named, documented());
}

/// utoipa-axum documents what `routes!` adds, so no route may be added in another way.
#[test]
fn nothing_is_routed_without_being_documented() {
    for entry in std::fs::read_dir(project().join("src/web/api")).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        for way in [".route(", ".route_service(", ".nest_service(", ".fallback("] {
            assert!(!text.contains(way), "{}: {way}", path.display());
        }
    }
}

#[test]
fn every_operation_documents_its_problems_and_its_key() {
    let document = document();
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(document["info"]["license"]["name"], "MIT OR Apache-2.0");
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let statuses: Vec<_> = operation["responses"].as_object().unwrap().keys().collect();
            for status in ["400", "401", "403", "404", "409", "415", "422", "500", "503"] {
                assert!(statuses.iter().any(|known| *known == status), "{method} {path} {status}");
            }
            let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
            let has_key = parameters.iter().any(|p| p["name"] == "Idempotency-Key");
            assert_eq!(has_key, method == "post", "{method} {path}");
            let is_known =
                |p: &Value| p["in"] == "path" || p["in"] == "query" || p["in"] == "header";
            assert!(parameters.iter().all(is_known), "{method} {path}: {parameters:?}");
            for parameter in parameters.iter().filter(|p| p["in"] == "query") {
                assert_eq!(parameter["required"], json!(false), "{method} {path}");
            }
        }
    }
}

#[tokio::test]
async fn what_is_sent_wrongly_is_refused_as_documented() {
    let world = World::open_with(TestDatabase::sqlite(), &town()).await;
    let served = world.get("/openapi.json").await;
    assert_eq!(served.json(), document());
    let dee = world.token("dee").await;
    let call = async |method: &str, path: &str, key: Option<&str>, body: Option<&str>| {
        let answer = world.call(method.parse().unwrap(), path, &dee, key, body).await;
        let problem = answer.json();
        assert_eq!(problem["status"], answer.status, "{answer:?}");
        (answer.status, kind(&answer))
    };
    let refused = |status: u16, kind: &str| (status, kind.to_owned());
    let (freeze, key) = ("/v1/people/dee/freeze", Some("one"));
    for (method, path, key, body, expected) in [
        ("GET", "/v1/nothing", None, None, refused(404, "not-found")),
        ("GET", "/v1", None, None, refused(404, "not-found")),
        ("PUT", "/v1/me", None, None, refused(405, "wrong-method")),
        ("DELETE", freeze, None, None, refused(405, "wrong-method")),
        ("GET", "/v1/me?more=1", None, None, refused(400, "malformed")),
        ("GET", "/v1/people?limit=0", None, None, refused(400, "malformed")),
        ("GET", "/v1/people?limit=101", None, None, refused(400, "malformed")),
        ("GET", "/v1/people?limit=x", None, None, refused(400, "malformed")),
        ("GET", "/v1/people?limit=5&limit=6", None, None, refused(400, "malformed")),
        ("GET", "/v1/people?cursor=%00", None, None, refused(400, "malformed")),
        ("GET", "/v1/people?cursor=Li4", None, None, refused(400, "malformed")),
        ("GET", "/v1/people/dee/purchases?cursor=ZGVl", None, None, refused(400, "malformed")),
        ("GET", "/v1/people/dee/totals?from=yesterday", None, None, refused(400, "malformed")),
        (
            "GET",
            "/v1/people/dee/totals?from=2026-12-01&to=2026-11-01",
            None,
            None,
            refused(400, "malformed"),
        ),
        ("GET", "/v1/people/dee/agreement?version=0", None, None, refused(404, "not-found")),
        ("GET", "/v1/people/dee/agreement?version=9", None, None, refused(404, "not-found")),
        ("GET", "/v1/people/%00", None, None, refused(404, "not-found")),
        ("GET", "/v1/people/%ff", None, None, refused(404, "not-found")),
        ("GET", "/v1/people/_house", None, None, refused(404, "not-found")),
        ("GET", "/v1/people/dee/purchases/%27%20OR%201=1", None, None, refused(404, "not-found")),
        (
            "GET",
            "/v1/people/dee/purchases/dec_00000000000000000000000000000000",
            None,
            None,
            refused(404, "not-found"),
        ),
        ("POST", freeze, None, Some("{}"), refused(400, "no-key")),
        ("POST", freeze, Some("\"\""), Some("{}"), refused(400, "no-key")),
        ("POST", freeze, key, None, refused(415, "wrong-media")),
        ("POST", freeze, key, Some("{"), refused(400, "malformed")),
        ("POST", freeze, key, Some("[]"), refused(422, "invalid")),
        ("POST", freeze, key, Some("{\"more\": 1}"), refused(422, "invalid")),
        ("POST", freeze, key, Some("{\"card\": \"\\u0000\"}"), refused(422, "invalid")),
        ("POST", freeze, key, Some("{\"card\": \"a b\"}"), refused(422, "invalid")),
        ("POST", freeze, key, Some("{\"card\": \"x\", \"card\": \"y\"}"), refused(422, "invalid")),
        (
            "POST",
            "/v1/people/dee/helpers",
            key,
            Some("{\"name\": \" \", \"role\": \"helper\", \"sees\": []}"),
            refused(422, "invalid"),
        ),
        (
            "POST",
            "/v1/people/dee/helpers",
            key,
            Some("{\"name\": \"4242 4242 4242 4242\", \"role\": \"helper\", \"sees\": []}"),
            refused(422, "invalid"),
        ),
        (
            "POST",
            "/v1/people/dee/helpers",
            key,
            Some("{\"name\": \"Eve\", \"role\": \"worker\", \"sees\": []}"),
            refused(422, "invalid"),
        ),
    ] {
        assert_eq!(call(method, path, key, body).await, expected, "{method} {path} {body:?}");
    }
    let huge = format!("{{\"card\": \"{}\"}}", "x".repeat(70_000));
    assert_eq!(call("POST", freeze, key, Some(&huge)).await, refused(400, "too-large"));
    let reason = format!("/v1/people/dee/purchases?reason={}", "%00");
    let amina = world.get_as("amina", &reason).await;
    assert_eq!((amina.status, kind(&amina)), (422, "invalid".to_owned()));
    assert_eq!(world.count("look", "1 = 1").await, 0);
    world.check().await;
}

fn references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            found.extend(fields.get("$ref").and_then(Value::as_str).map(str::to_owned));
            fields.values().for_each(|value| references(value, found));
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn every_reference_leads_to_a_form() {
    let (document, mut found) = (document(), BTreeSet::new());
    references(&document, &mut found);
    let missing: Vec<_> = found
        .iter()
        .filter(|target| document.pointer(target.trim_start_matches('#')).is_none())
        .collect();
    assert!(found.len() > 50 && missing.is_empty(), "{missing:?} of {}", found.len());
}

/// A change of the contract is seen where the change is reviewed.
#[test]
fn the_committed_document_is_the_one_that_is_served() {
    let committed = std::fs::read_to_string(project().join("docs/openapi.json")).unwrap();
    let served = serde_json::to_string_pretty(&sayso::web::document()).unwrap();
    let how = "write it anew (`cargo run -- openapi > docs/openapi.json`) and look at what changed";
    assert!(committed.trim_end() == served, "docs/openapi.json is not what is served: {how}");
}

/// Of two schemas with the same name only one would be documented, for both.
#[test]
fn every_form_has_a_name_of_its_own() {
    let mut known = BTreeSet::new();
    for entry in std::fs::read_dir("src/web/api").unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        for form in text.split("ToSchema)]").skip(1) {
            let mut words = form.split_whitespace().skip_while(|w| !["struct", "enum"].contains(w));
            let own = words.nth(1).unwrap().split('<').next().unwrap().to_owned();
            let attributes = form.split(&own).next().unwrap();
            let name = attributes
                .split_once("schema(as = ")
                .map_or(own, |(_, rest)| rest.split([')', ',']).next().unwrap().to_owned());
            assert!(known.insert(name.clone()), "two forms are called {name}");
        }
    }
    assert!(known.len() > 50, "{known:?}");
}
