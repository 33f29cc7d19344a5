//! Tokens that were forged, or are no longer valid. Each is made here with the key of the database,
//! and changed in one place.

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use jiff::{SignedDuration, ToSpan as _};
use jsonwebtoken::{Algorithm, EncodingKey};
use reqwest::Method;
use sayso::people::tokens::{RotateError, RotationUrgency};
use secrecy::ExposeSecret as _;
use serde_json::{Map, Value, json};

use crate::api::town::kind;
use crate::support::TestDatabase;
use crate::world::{TestResponse, World};

on_both_databases!(
    scenario_84_a_token_that_is_changed_in_any_place_is_refused,
    scenario_84_a_token_signed_in_another_way_is_refused,
    scenario_84_keys_rotate_and_a_retired_one_outlives_its_tokens,
    scenario_84_a_revoked_token_counts_no_more,
);

/// The token key in this state: its id, its private key as PEM, its public key.
async fn key(world: &World, state: &str) -> (String, String, String) {
    world.token("dee").await; // the first token creates the keys
    let keys = world.app.store().token_keys().await.unwrap();
    let key = keys.into_iter().find(|key| key.state == state).unwrap();
    (key.id, key.private_pem.unwrap().expose_secret().to_owned(), key.public_x)
}

fn header(kid: &str) -> Value {
    json!({"typ": "at+jwt", "alg": "EdDSA", "kid": kid})
}

fn claims(world: &World) -> Value {
    let now = world.now().as_second();
    json!({
        "iss": "sayso", "aud": "sayso/v1", "sub": "dee", "programme": "riverside", "jti": "t1",
        "iat": now, "nbf": now, "exp": now + 600,
    })
}

fn encoded(value: &Value) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(value.to_string())
}

/// Signs the texts unchanged, so that even invalid JSON can be signed.
fn signed(header: &str, claims: &str, pem: &str) -> String {
    let message = format!("{header}.{claims}");
    let key = EncodingKey::from_ed_pem(pem.as_bytes()).unwrap();
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, Algorithm::EdDSA);
    format!("{message}.{}", signature.unwrap())
}

async fn try_token(world: &World, token: &str) -> TestResponse {
    world.call(Method::GET, "/v1/people/dee", token, None, None).await
}

/// Asserts that each token is rejected; the name of its case says why.
async fn assert_refused(world: &World, cases: &[(String, String)]) {
    let mut taken = Vec::new();
    for (name, token) in cases {
        let answer = try_token(world, token).await;
        if (answer.status, kind(&answer)) != (401, "not-signed-in".to_owned()) {
            taken.push(format!("{name}: {answer:?}"));
        }
    }
    assert!(taken.is_empty(), "\n{}", taken.join("\n"));
}

/// `value` with `field` set, or removed.
fn with(value: &Value, field: &str, new: Option<Value>) -> Value {
    let mut fields: Map<String, Value> = value.as_object().unwrap().clone();
    fields.shift_remove(field);
    if let Some(new) = new {
        fields.insert(field.to_owned(), new);
    }
    Value::Object(fields)
}

async fn scenario_84_a_token_that_is_changed_in_any_place_is_refused(database: TestDatabase) {
    let world = World::open(database).await;
    let (kid, pem, public) = key(&world, "current").await;
    let (header, claims) = (header(&kid), claims(&world));
    let token = |header: &Value, claims: &Value| signed(&encoded(header), &encoded(claims), &pem);
    assert_eq!(try_token(&world, &token(&header, &claims)).await.status, 200);

    let now = world.now().as_second();
    let mut cases = Vec::new();
    let jwk = json!({"kty": "OKP", "crv": "Ed25519", "x": public});
    let wrong =
        |field, values: Vec<Value>| values.into_iter().map(move |value| (field, Some(value)));
    let headers = [("typ", None), ("alg", None), ("kid", None)]
        .into_iter()
        .chain(wrong(
            "typ",
            vec![json!("JWT"), json!("at+JWT "), json!("application/at+jwt"), json!(7)],
        ))
        .chain(wrong(
            "alg",
            vec![json!("none"), json!("None"), json!("HS256"), json!("ES256"), json!("Ed448")],
        ))
        .chain(wrong(
            "kid",
            vec![
                json!("../../etc/passwd"),
                json!("' OR 1=1 --"),
                json!("/dev/null"),
                json!(""),
                json!("kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"),
                json!(7),
                json!([kid]),
            ],
        ))
        .chain(wrong("jwk", vec![jwk.clone()]))
        .chain(wrong("jku", vec![json!("https://example.org/jwks.json")]))
        .chain(wrong("x5u", vec![json!("https://example.org/cert.pem")]))
        .chain(wrong("x5c", vec![json!(["MIIB"])]))
        .chain(wrong("crit", vec![json!(["exp"])]))
        .chain(wrong("b64", vec![json!(false)]))
        .chain(wrong("zip", vec![json!("DEF")]));
    for (field, value) in headers {
        let changed = with(&header, field, value);
        cases.push((changed.to_string(), token(&changed, &claims)));
    }
    let claimed = ["iss", "aud", "sub", "programme", "jti", "iat", "nbf", "exp"]
        .into_iter()
        .flat_map(|claim| [(claim, None), (claim, Some(json!(null))), (claim, Some(json!([])))])
        .chain(wrong("iss", vec![json!("other"), json!(["sayso"])]))
        .chain(wrong("aud", vec![json!("sayso"), json!("other/v1"), json!(["sayso/v1", "other"])]))
        .chain(wrong("sub", vec![json!("nobody"), json!("../dee"), json!("dee' --"), json!("")]))
        .chain(wrong("programme", vec![json!("other"), json!("' OR 1=1 --")]))
        .chain(wrong("jti", vec![json!(""), json!(7)]))
        .chain(wrong(
            "exp",
            vec![
                json!((now + 600).to_string()),
                json!(now - 31),
                json!(now + 601),
                json!(i64::MAX),
                json!(-1),
                json!(1e300),
                json!(true),
                json!(now),
            ],
        ))
        .chain(wrong("nbf", vec![json!(now.to_string()), json!(now + 31)]))
        .chain(wrong("iat", vec![json!(now.to_string()), json!(now + 31), json!(now - 1)]))
        .chain(wrong("scope", vec![json!("everything")]));
    for (field, value) in claimed {
        let changed = with(&claims, field, value);
        cases.push((changed.to_string(), token(&header, &changed)));
    }
    // Two parsers could read a duplicate claim differently.
    let text = claims.to_string().replace("\"sub\":\"dee\"", "\"sub\":\"femi\",\"sub\":\"dee\"");
    let twice = signed(&encoded(&header), &BASE64_URL_SAFE_NO_PAD.encode(text), &pem);
    cases.push(("a claim twice".to_owned(), twice));
    assert_refused(&world, &cases).await;

    // Clocks may differ by half a minute.
    for (field, value, is_good) in [
        ("nbf", now + 30, true),
        ("iat", now + 30, true),
        ("exp", now - 29, false), // its lifetime would be negative
    ] {
        let changed = with(&claims, field, Some(json!(value)));
        let answer = try_token(&world, &token(&header, &changed)).await;
        assert_eq!(answer.status == 200, is_good, "{field} {answer:?}");
    }
    let old = json!({"iat": now - 620, "nbf": now - 620, "exp": now - 20});
    let mut late = claims.as_object().unwrap().clone();
    late.extend(old.as_object().unwrap().clone());
    assert_eq!(try_token(&world, &token(&header, &Value::Object(late.clone()))).await.status, 200);
    world.advance_clock(10.seconds());
    assert_eq!(try_token(&world, &token(&header, &Value::Object(late))).await.status, 401);
    world.check().await;
}

async fn scenario_84_a_token_signed_in_another_way_is_refused(database: TestDatabase) {
    let world = World::open(database).await;
    let (kid, pem, public) = key(&world, "current").await;
    let (header, claims) = (header(&kid), claims(&world));
    let good = signed(&encoded(&header), &encoded(&claims), &pem);
    let (message, signature) = good.rsplit_once('.').unwrap();
    let mut cases = Vec::new();
    let mut add = |name: &str, token: String| cases.push((name.to_owned(), token));
    // HS256 with the public key as the secret, in each form in which it is available.
    let raw = BASE64_URL_SAFE_NO_PAD.decode(&public).unwrap();
    for secret in [raw.clone(), public.clone().into_bytes(), kid.clone().into_bytes(), Vec::new()] {
        for alg in ["HS256", "EdDSA"] {
            let head = encoded(&with(&header, "alg", Some(json!(alg))));
            let text = format!("{head}.{}", encoded(&claims));
            let key = EncodingKey::from_secret(&secret);
            let mac = jsonwebtoken::crypto::sign(text.as_bytes(), &key, Algorithm::HS256);
            add("a shared secret", format!("{text}.{}", mac.unwrap()));
        }
    }
    // The sender's own key, in the header or not.
    let mut der = BASE64_STANDARD.decode("MC4CAQAwBQYDK2VwBCIEIA==").unwrap();
    der.extend([7; 32]);
    let own = BASE64_STANDARD.encode(der);
    let own = format!("-----BEGIN PRIVATE KEY-----\n{own}\n-----END PRIVATE KEY-----\n");
    add("another key", signed(&encoded(&header), &encoded(&claims), &own));
    let none = encoded(&with(&header, "alg", Some(json!("none"))));
    add("alg none", format!("{none}.{}.", encoded(&claims)));
    add("alg none, signed", signed(&none, &encoded(&claims), &pem));
    add("no signature", format!("{message}."));
    add("half a signature", format!("{message}.{}", &signature[..43]));
    add("a signature of zeros", format!("{message}.{}", "A".repeat(86)));
    let others = encoded(&with(&claims, "sub", Some(json!("femi"))));
    add("other claims", format!("{}.{others}.{signature}", encoded(&header)));
    add("two parts", message.to_owned());
    add("four parts", format!("{good}.{signature}"));
    add("no base64", format!("!.{}.{signature}", encoded(&claims)));
    add("padded", format!("{}=.{}.{signature}", encoded(&header), encoded(&claims)));
    add("no JSON", signed(&BASE64_URL_SAFE_NO_PAD.encode("x"), &encoded(&claims), &pem));
    add("a list", signed(&encoded(&json!([header])), &encoded(&claims), &pem));
    add("claims that are a list", signed(&encoded(&header), &encoded(&json!([claims])), &pem));
    add(
        "too long",
        signed(
            &encoded(&header),
            &encoded(&with(&claims, "sub", Some(json!("d".repeat(3000))))),
            &pem,
        ),
    );
    add("not a token", "dee".to_owned());
    assert_refused(&world, &cases).await;

    let client = reqwest::Client::new();
    let ask = async |values: &[String]| {
        let request = client.get(world.url("/v1/me"));
        let request = values.iter().fold(request, |r, value| r.header("authorization", value));
        let answer = request.send().await.unwrap();
        let asks_for = answer.headers().get("www-authenticate").cloned();
        (answer.status().as_u16(), asks_for.map(|value| value.to_str().unwrap().to_owned()))
    };
    let bearer = format!("Bearer {good}");
    assert_eq!(ask(std::slice::from_ref(&bearer)).await, (200, None));
    assert_eq!(ask(&[]).await, (401, Some("Bearer realm=\"sayso\"".to_owned())));
    let refused = "Bearer realm=\"sayso\", error=\"invalid_token\"".to_owned();
    assert_eq!(ask(&["Bearer x".to_owned()]).await, (401, Some(refused)));
    for values in [vec![bearer.clone(), bearer.clone()], vec![format!("Basic {good}")], vec![good]]
    {
        assert_eq!(ask(&values).await.0, 401, "{values:?}");
    }
    world.check().await;
}

async fn scenario_84_keys_rotate_and_a_retired_one_outlives_its_tokens(database: TestDatabase) {
    let world = World::open(database).await;
    let (kid, pem, _) = key(&world, "current").await;
    let (next, ..) = key(&world, "next").await;
    let tokens = world.app.tokens();
    let published = async || {
        let keys = world.get("/.well-known/jwks.json").await.json()["keys"].clone();
        let keys = keys.as_array().unwrap().clone();
        assert!(keys.iter().all(|key| key["kty"] == "OKP" && key.get("d").is_none()), "{keys:?}");
        keys.iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let mut both = [kid.clone(), next.clone()];
    both.sort();
    assert_eq!(published().await, both);
    let early = tokens.rotate(world.now(), RotationUrgency::None).await;
    assert!(matches!(early, Err(RotateError::TooSoon(_))), "{early:?}");
    world.advance_clock(24.hours());
    tokens.rotate(world.now(), RotationUrgency::None).await.unwrap();
    let (current, ..) = key(&world, "current").await;
    assert_eq!(current, next, "the next one was shown before it signs");
    assert_eq!(published().await.len(), 3);
    let by_new = world.token("dee").await;
    assert_eq!(try_token(&world, &by_new).await.status, 200);

    // Another gateway has read the keys before, and reloads them by itself.
    let other = world.another().await;
    let elsewhere = world.caller_of(&other);
    assert!(elsewhere.is_ready().await);
    let by_retired = || signed(&encoded(&header(&kid)), &encoded(&claims(&world)), &pem);
    let last = by_retired();
    world.clock_control().set(world.now().checked_add(SignedDuration::from_secs(31)).unwrap());
    assert_eq!(try_token(&world, &by_retired()).await.status, 401, "it signs nothing new");
    world.clock_control().set(world.now().checked_add(SignedDuration::from_secs(598)).unwrap());
    assert_eq!(try_token(&world, &last).await.status, 200, "what it signed lives on");
    world.advance_clock(1.seconds());
    assert_eq!(try_token(&world, &last).await.status, 401);
    assert!(!published().await.contains(&kid), "nobody needs it any more");
    // A compromised key is removed at once, with every token that it signed.
    let (stolen, stolen_pem, _) = key(&world, "current").await;
    let forged = signed(&encoded(&header(&stolen)), &encoded(&claims(&world)), &stolen_pem);
    assert_eq!(try_token(&world, &forged).await.status, 200);
    tokens.rotate(world.now(), RotationUrgency::Now).await.unwrap();
    assert_eq!(world.count("token_key", &format!("key_id IN ('{kid}', '{stolen}')")).await, 0);
    assert_eq!(world.count("token_key", "state = 'current'").await, 1);
    assert_eq!(try_token(&world, &forged).await.status, 401);
    other.stop().await;
    world.check().await;
}

async fn scenario_84_a_revoked_token_counts_no_more(database: TestDatabase) {
    let world = World::open(database).await;
    let programme = "riverside".parse().unwrap();
    let (ids, dee) = (world.app.ids(), "dee".parse().unwrap());
    let issued = world.app.tokens().issue(ids, &programme, &dee, world.now()).await.unwrap();
    let other = world.token("dee").await;
    assert_eq!(try_token(&world, &issued.text).await.status, 200);
    let revoke = async |token: &str| {
        let mut tx = world.app.store().begin().await.unwrap();
        let until = world.now().checked_add(11.minutes()).unwrap();
        tx.revoke_token(&programme, token, until, world.now()).await.unwrap();
        tx.commit().await.unwrap();
    };
    revoke(&issued.token).await;
    let answer = try_token(&world, &issued.text).await;
    assert_eq!((answer.status, kind(&answer)), (401, "not-signed-in".to_owned()));
    assert_eq!(try_token(&world, &other).await.status, 200, "only this one");
    world.advance_clock(12.minutes());
    revoke("another").await;
    assert_eq!(world.count("revoked_token", "1 = 1").await, 1, "the dead are forgotten");
    world.check().await;
}
