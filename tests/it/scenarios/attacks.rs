//! Authentication of issuers, and messages that must be rejected.

use std::collections::BTreeSet;

use jiff::{Timestamp, ToSpan as _};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::TestDatabase;
use crate::world::{DEE, DEMO, Purchase, SECRET, TestResponse, World, purchase, sign};

on_both_databases!(
    scenario_76_what_is_not_signed_leaves_nothing_but_a_count,
    scenario_77_a_replay_gets_the_stored_answer_and_only_for_five_minutes,
    scenario_78_a_secret_counts_until_its_end_and_no_longer,
    scenario_79_how_wrong_a_signature_is_does_not_show,
    scenario_80_a_secret_opens_its_own_programme_only,
    scenario_81_bombs_of_every_kind_are_refused,
);

const ASK: &str = "/issuers/riverside-stripe/authorisations";
const TELL: &str = "/issuers/riverside-stripe/events";
const NEXT: &str = "whsec_next_0123456789abcdef0123456789";

/// Row counts of the tables that messages write to.
async fn rows(world: &World) -> Vec<i64> {
    let mut counts = Vec::new();
    for table in
        ["decision", "purchase", "issuer_event", "posting", "journal", "message", "exception"]
    {
        counts.push(world.count(table, "1 = 1").await);
    }
    counts
}

/// One metric of `/metrics`; 0 when it was never counted.
async fn metric(world: &World, name: &str) -> u64 {
    let text = world.get("/metrics").await.body;
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.map_or(0, |value| value.trim().parse().unwrap())
}

fn assert_is_not_genuine(answer: &TestResponse) {
    assert_eq!(answer.status, 401, "{answer:?}");
    assert_eq!(answer.json()["type"], "/problems/signature");
    assert_eq!(answer.json()["field"], Value::Null, "nothing was read");
}

async fn scenario_76_what_is_not_signed_leaves_nothing_but_a_count(database: TestDatabase) {
    const MISMATCH: &str = "sayso_messages_refused_total{why=\"signature_mismatch\"}";
    let world = World::open(database).await;
    let before = rows(&world).await;
    let body = purchase("Forged", 12_50).request(world.now()).to_string();
    let genuine = sign(SECRET, world.now(), &body);
    let (time, mac) = genuine.split_once(',').unwrap();
    // The same JSON in other bytes, another amount, and bodies of something else.
    let spaced = body.replacen(':', ": ", 1);
    let sorted = format!("{:#}", serde_json::from_str::<Value>(&body).unwrap());
    let dearer = body.replace("1250", "1150");
    let counted = metric(&world, MISMATCH).await;
    for other in [&spaced, &sorted, &dearer, &format!("{body} "), "", "{"] {
        for path in [ASK, TELL] {
            assert_is_not_genuine(&world.post_signed(path, other, &genuine).await);
        }
    }
    assert!(metric(&world, MISMATCH).await >= counted + 12);
    let moved = format!("t={},{mac}", world.now().as_second() + 1);
    let foreign = sign("whsec_somebody_elses_0123456789", world.now(), &body);
    let twice = format!("{time},{genuine}");
    let upper = format!("{time},v1={}", mac[3..].to_uppercase());
    let other_scheme = genuine.replace("v1=", "v0=");
    for signature in
        [&moved, &foreign, &twice, &upper, &other_scheme, time, mac, "", "v1=", "t=,v1=", "🂡"]
    {
        assert_is_not_genuine(&world.post_signed(ASK, &body, signature).await);
    }
    assert_eq!(rows(&world).await, before);
    // The genuine message is still accepted.
    assert!(world.post_signed(ASK, &body, &genuine).await.is_approved());
    let text = world.get("/metrics").await.body;
    assert_is_valid(&text);
    for told in ["riverside", DEE, "iauth_", "GROCER", "whsec"] {
        assert!(!text.contains(told), "{told} is in:\n{text}");
    }
    world.check().await;
}

/// Asserts the Prometheus text format: each sample is preceded by its type and its help text.
fn assert_is_valid(metrics: &str) {
    let (mut helped, mut typed) = (BTreeSet::new(), BTreeSet::new());
    let mut samples = 0;
    for line in metrics.lines().filter(|line| !line.is_empty()) {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, words) = help.split_once(' ').unwrap();
            assert!(words.ends_with('.') && helped.insert(name), "{line}");
        } else if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').unwrap();
            assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
            assert!(typed.insert(name), "{line}");
        } else {
            let (series, value) = line.rsplit_once(' ').unwrap();
            let full = series.split('{').next().unwrap();
            let is_part = |end: &str| full.strip_suffix(end).filter(|name| typed.contains(name));
            let part = ["_bucket", "_sum", "_count"].into_iter().find_map(is_part);
            let name = part.unwrap_or(full);
            assert!(name.starts_with("sayso_"), "{line}");
            assert!(helped.contains(name) && typed.contains(name), "{line}");
            let is_number = |c: char| c.is_ascii_digit() || ".e-+".contains(c);
            assert!(!value.is_empty() && value.chars().all(is_number), "{line}");
            let labels = series.strip_prefix(full).unwrap();
            let is_closed =
                labels.is_empty() || (labels.starts_with('{') && labels.ends_with("\"}"));
            assert!(is_closed, "{line}");
            samples += 1;
        }
    }
    assert!(samples >= 5 && helped == typed, "{metrics}");
}

async fn scenario_77_a_replay_gets_the_stored_answer_and_only_for_five_minutes(
    database: TestDatabase,
) {
    let world = World::open(database).await;
    let yes = purchase("Yes", 60_00).request(world.now()).to_string();
    let no = purchase("No", 60_01).request(world.now()).to_string();
    let [yes_signed, no_signed] = [&yes, &no].map(|body| sign(SECRET, world.now(), body));
    let paid = world.post_signed(ASK, &yes, &yes_signed).await;
    assert!(paid.is_approved());
    let refused = world.post_signed(ASK, &no, &no_signed).await;
    assert_eq!(refused.reason(), "no_money");
    let capture = purchase("Yes", 60_00).captured(world.now(), "one", 60_00).to_string();
    let capture_signed = sign(SECRET, world.now(), &capture);
    let before = rows(&world).await;

    // Just within the window: the recorded responses, though the balance has changed.
    world.send_event(&purchase("Yes", 60_00).over(world.now(), "reversed")).await;
    world.advance_clock(5.minutes());
    assert_eq!(world.post_signed(ASK, &yes, &yes_signed).await, paid);
    assert_eq!(world.post_signed(ASK, &no, &no_signed).await, refused);
    let after = rows(&world).await;
    assert_eq!(after[0], before[0], "no second decision");
    assert_eq!(world.figures("dee").await[0], 0, "and no second hold");

    world.advance_clock(1.second());
    for (path, body, signature) in
        [(ASK, &yes, &yes_signed), (ASK, &no, &no_signed), (TELL, &capture, &capture_signed)]
    {
        let answer = world.post_signed(path, body, signature).await;
        assert_is_not_genuine(&answer);
        assert!(answer.body.contains("more than 5 minutes ago"), "{answer:?}");
    }
    // A signature of the future is rejected too.
    let early = sign(SECRET, world.now() + 301.seconds(), &yes);
    assert_is_not_genuine(&world.post_signed(ASK, &yes, &early).await);
    assert_eq!(rows(&world).await, after);
    world.check().await;
}

async fn scenario_78_a_secret_counts_until_its_end_and_no_longer(database: TestDatabase) {
    let world = World::open(database).await;
    let first = "[[connection.secret]]\nname = \"realtime-1\"";
    let value = format!("value = \"{SECRET}\"");
    let end: Timestamp = "2026-11-23T09:00:00Z".parse().unwrap();
    let next =
        format!("[[connection.secret]]\nname = \"realtime-2\"\nvalue = \"{NEXT}\"\n\n{first}");
    let file = DEMO.replacen(first, &next, 1);
    let file = file.replacen(&value, &format!("{value}\nuntil = {end}"), 1);
    world.apply(&file).await;

    let ask = async |n: usize, secrets: &[&str]| {
        let body = purchase(&n.to_string(), 1_00).request(world.now()).to_string();
        let claims: Vec<_> = secrets.iter().map(|s| sign(s, world.now(), &body)).collect();
        let macs = claims.iter().map(|claim| claim.split_once(',').unwrap().1);
        let time = claims[0].split_once(',').unwrap().0;
        let signature = [time].into_iter().chain(macs).collect::<Vec<_>>().join(",");
        world.post_signed(ASK, &body, &signature).await.status
    };
    let never = "whsec_never_0123456789abcdef01234567";
    // During the rotation either secret suffices, in any position.
    assert_eq!(ask(1, &[SECRET]).await, 200);
    assert_eq!(ask(2, &[NEXT]).await, 200);
    assert_eq!(ask(3, &[SECRET, NEXT]).await, 200);
    assert_eq!(ask(4, &[never, SECRET]).await, 200);
    assert_eq!(ask(5, &[never]).await, 401);
    world.set_time("2026-11-23T08:59:59Z");
    assert_eq!(ask(6, &[SECRET]).await, 200);
    // It expires to the second, without a reload of the secrets.
    world.set_time("2026-11-23T09:00:00Z");
    assert_eq!(ask(7, &[SECRET]).await, 401);
    assert_eq!(ask(8, &[SECRET, never]).await, 401);
    assert_eq!(ask(9, &[SECRET, NEXT]).await, 200);
    assert_eq!(world.count("decision", "1 = 1").await, 6);
    // Without the new secret in the file, no valid one is left.
    let without = DEMO.replacen(&value, &format!("{value}\nuntil = {end}"), 1);
    world.apply(&without).await;
    assert_eq!(ask(10, &[NEXT]).await, 401);
    world.check().await;
}

async fn scenario_79_how_wrong_a_signature_is_does_not_show(database: TestDatabase) {
    let world = World::open(database).await;
    let body = purchase("Guess", 1_00).request(world.now()).to_string();
    let genuine = sign(SECRET, world.now(), &body);
    let flip = |at: usize| {
        let mut text = genuine.clone();
        let wrong = if &text[at..=at] == "0" { "1" } else { "0" };
        text.replace_range(at..=at, wrong);
        text
    };
    let (first, last) = (flip(genuine.len() - 64), flip(genuine.len() - 1));
    let short = &genuine[..genuine.len() - 2];
    let nothing = format!("{},v1={}", genuine.split_once(',').unwrap().0, "0".repeat(64));
    let told = world.post_signed(ASK, &body, &first).await;
    assert_is_not_genuine(&told);
    for other in [&last, short, &nothing, &format!("{genuine}00")] {
        assert_eq!(world.post_signed(ASK, &body, other).await, told);
    }
    // Of two signatures the valid one counts, in any position.
    let both = format!("{first},{}", genuine.split_once(',').unwrap().1);
    assert!(world.post_signed(ASK, &body, &both).await.is_approved());
    world.check().await;
}

async fn scenario_80_a_secret_opens_its_own_programme_only(database: TestDatabase) {
    let world = World::open(database).await;
    let lakeside = DEMO
        .replace("riverside", "lakeside")
        .replace(SECRET, NEXT)
        .replace("whsec_demo_events_8a41d7e6b95340c2", "whsec_lakeside_events_0123456789");
    world.apply(&lakeside).await;
    let there = |path: &str| path.replace("riverside", "lakeside");
    // Both programmes have a card with this token: the connection determines the programme.
    let body = purchase("Whose", 10_00).request(world.now()).to_string();
    let [ours, theirs] = [SECRET, NEXT].map(|secret| sign(secret, world.now(), &body));
    assert_is_not_genuine(&world.post_signed(&there(ASK), &body, &ours).await);
    assert_is_not_genuine(&world.post_signed(&there(TELL), &body, &ours).await);
    assert_is_not_genuine(&world.post_signed(ASK, &body, &theirs).await);
    assert_eq!(world.count("decision", "1 = 1").await, 0);
    // The response of an unknown connection does not reveal which ones exist.
    let nowhere = world.post_signed("/issuers/nobody/authorisations", &body, &ours).await;
    assert_eq!(nowhere.status, 404);

    let here = world.post_signed(ASK, &body, &ours).await;
    let elsewhere = world.post_signed(&there(ASK), &body, &theirs).await;
    assert!(here.is_approved() && elsewhere.is_approved());
    assert_ne!(here.decision(), elsewhere.decision(), "one reference in two programmes");
    let capture = purchase("Whose", 10_00).captured(world.now(), "one", 10_00).to_string();
    let theirs = sign(NEXT, world.now(), &capture);
    assert_eq!(world.post_signed(&there(TELL), &capture, &theirs).await.status, 200);
    let held = |programme| format!("programme_id = '{programme}' AND held_minor = 1000");
    let spent = |programme| format!("programme_id = '{programme}' AND spent_minor = 1000");
    assert_eq!(world.count("pot", &held("riverside")).await, 1);
    assert_eq!(world.count("pot", &held("lakeside")).await, 0);
    assert_eq!(world.count("pot", &spent("lakeside")).await, 1);
    assert_eq!(world.count("pot", &spent("riverside")).await, 0);
    world.check().await;
}

async fn scenario_81_bombs_of_every_kind_are_refused(database: TestDatabase) {
    let world = World::open(database).await;
    let before = rows(&world).await;
    let whole = Purchase { amount: 1_00, ..purchase("Bomb", 1_00) }.request(world.now());
    let body = whole.to_string();
    let with = |name: &str, value: &str| format!("{{\"{name}\":{value},{}", &body[1..]);
    let nested = |open: &str, close: &str, deep| open.repeat(deep) + &close.repeat(deep);
    for (bomb, field) in [
        (with("deep", &nested("[", "]", 65)), "deep"),
        (with("deep", &nested("[", "]", 30_000)), "deep"),
        (with("deep", &format!("{}1{}", "{\"a\":".repeat(70), "}".repeat(70))), ""),
        (with("data", "{}"), ""),
        (with("id", "\"evt_other\""), "id"),
        (with("big", &format!("\"{}\"", "x".repeat(64 * 1024))), "body"),
    ] {
        for path in [ASK, TELL] {
            let answer = world.post(path, &bomb).await;
            assert_eq!(answer.status, 400, "{answer:?}");
            let named = answer.json()["field"].as_str().unwrap().to_owned();
            assert!(named == field || field.is_empty(), "{answer:?}");
            assert!(answer.body.len() < 1_000, "an answer is no echo");
        }
    }
    // Signed as sent, so that only the encoding is wrong. The body is not decompressed.
    for encoding in ["gzip", "deflate", "br", "gzip, gzip"] {
        let signature = sign(SECRET, world.now(), &body);
        let head = format!("content-encoding: {encoding}\r\nstripe-signature: {signature}");
        let length = format!("content-length: {}", body.len());
        let answer = raw(&world, &format!("{head}\r\n{length}"), body.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
        assert!(answer.contains("/problems/encoded"), "{answer}");
    }
    // Chunks without a total length: rejected as soon as the limit is exceeded.
    let chunk = [b"4000\r\n".as_slice(), &[b' '; 0x4000], b"\r\n"].concat();
    let answer = raw(&world, "transfer-encoding: chunked", &chunk.repeat(5)).await;
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert!(answer.contains("/problems/too-large"), "{answer}");
    // A content length above the limit is rejected before the body is read.
    let answer = raw(&world, "content-length: 100000000", b"").await;
    assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("too-large"), "{answer}");
    // Two content lengths are ambiguous.
    let answer = raw(&world, "content-length: 5\r\ncontent-length: 6", b"hello").await;
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");

    assert_eq!(rows(&world).await, before);
    let fine = with("deep", &nested("[", "]", 60));
    assert!(world.authorise_body(&fine).await.is_approved(), "{}", json!(before));
    world.check().await;
}

/// Sends a request whose head ends with the lines of `head`. Returns the beginning of the response.
async fn raw(world: &World, head: &str, body: &[u8]) -> String {
    let mut stream = TcpStream::connect(world.app.address()).await.unwrap();
    let start = format!("POST {ASK} HTTP/1.1\r\nhost: sayso\r\n{head}\r\n\r\n");
    stream.write_all(start.as_bytes()).await.unwrap();
    // The gateway may close the connection before it has read everything.
    stream.write_all(body).await.ok();
    let mut answer = vec![0; 4096];
    let mut filled = 0;
    while let Ok(count @ 1..) = stream.read(&mut answer[filled..]).await {
        filled += count;
        if answer[..filled].ends_with(b"}") {
            break;
        }
    }
    String::from_utf8_lossy(&answer[..filled]).into_owned()
}
