//! Nothing that strangers and accounts do to the gateway delays an authorisation request.

use std::collections::VecDeque;
use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use sayso::app::gateway::{App, AppSettings};
use sayso::people::tokens::{ISSUER, TokenService};
use sayso::platform::clock::Clock;
use sayso::platform::ids::NewIds;
use sayso::store::Store;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::gateway::{GatewayProcess, prepare, prove};
use crate::caller::Caller;
use crate::support::TestDatabase;
use crate::world::{ANA, DEMO, FEMI, Purchase, World, purchase};

on_both_databases!(nobody_slows_a_till, issuers_and_operations_have_addresses_of_their_own,);

/// The number of connections that an attacker keeps idle.
const IDLE: usize = 3_000;
const QUIET_FOR: Duration = Duration::from_secs(2);
const ATTACKED_FOR: Duration = Duration::from_secs(6);
/// Always acceptable, because every issuer waits longer. A busy machine with two cores may take
/// this long for anything in an unoptimised build; before the protection, the attacks caused eight
/// seconds.
const FLOOR: Duration = Duration::from_millis(1_500);
/// Other load can only slow a round down, so one round within the limits suffices.
const ROUNDS: usize = 3;
const MEMORY_MOST_KB: u64 = 50_000;

/// Sends a request every 20 ms without waiting for responses. Returns the latencies, sorted.
async fn authorise_steadily(caller: &Caller, name: &str, time: Duration) -> Vec<Duration> {
    let mut ticks = interval(Duration::from_millis(20));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let (begun, mut asked) = (Instant::now(), JoinSet::new());
    while begun.elapsed() < time {
        ticks.tick().await;
        let (caller, number) = (caller.clone(), asked.len());
        let card = [ANA, FEMI][number % 2].to_owned();
        let bought = Purchase { card, ..purchase(&format!("{name}{number}"), 1) };
        asked.spawn(async move { caller.authorise_timed(&bought).await });
    }
    let mut took = Vec::new();
    for (answer, time) in asked.join_all().await {
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_ne!(answer.reason(), "our_fault", "{answer:?} after {time:?}");
        took.push(time);
    }
    took.sort();
    took
}

fn p99(sorted: &[Duration]) -> Duration {
    sorted[(sorted.len() * 99 / 100).min(sorted.len() - 1)]
}

/// An attacker with the accounts of the person and of the worker, on a thread of its own.
struct AttackerThread {
    is_over: Arc<AtomicBool>,
    thread: JoinHandle<()>,
    connected: Arc<AtomicUsize>,
    answered: Arc<AtomicUsize>,
}

impl AttackerThread {
    fn begin(address: SocketAddr, tokens: [String; 2]) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let (connected, answered) = (Arc::default(), Arc::default());
        let (over, counts) =
            (Arc::clone(&is_over), (Arc::clone(&connected), Arc::clone(&answered)));
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(async {
                tokio::select! {
                    () = say_nothing(address, &counts.0) => {}
                    () = take_nothing(address) => {}
                    () = send_much(address, &tokens, &counts.1) => {}
                    () = async {
                        while !over.load(Ordering::Relaxed) {
                            sleep(Duration::from_millis(20)).await;
                        }
                    } => {}
                }
            });
        });
        Self { is_over, thread, connected, answered }
    }

    fn end(self) -> (usize, usize) {
        self.is_over.store(true, Ordering::Relaxed);
        self.thread.join().unwrap();
        (self.connected.load(Ordering::Relaxed), self.answered.load(Ordering::Relaxed))
    }
}

/// Idle connections, and connections with half a request; the oldest are renewed continuously.
async fn say_nothing(address: SocketAddr, connected: &AtomicUsize) {
    let mut held = VecDeque::new();
    loop {
        for _ in 0..40 {
            let Ok(mut stream) = TcpStream::connect(address).await else { continue };
            let said: &[u8] = match connected.fetch_add(1, Ordering::Relaxed) % 3 {
                0 => b"",
                1 => b"POST /v1/people/dee/freeze HTTP/1.1\r\nhost: a\r\n",
                _ => {
                    b"POST /v1/people/dee/freeze HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\n{"
                }
            };
            stream.write_all(said).await.ok();
            held.push_back(stream);
            if held.len() > IDLE {
                held.pop_front();
            }
        }
        sleep(Duration::from_millis(60)).await;
    }
}

/// Connections that request much and read nothing.
async fn take_nothing(address: SocketAddr) {
    let mut held = Vec::new();
    for _ in 0..50 {
        if let Ok(mut stream) = TcpStream::connect(address).await {
            let ask = "GET /openapi.json HTTP/1.1\r\nhost: a\r\n\r\n".repeat(10);
            stream.write_all(ask.as_bytes()).await.ok();
            held.push(stream);
        }
    }
    std::future::pending::<()>().await;
}

/// Bodies of the maximum size, one after the other on a few connections.
async fn send_much(address: SocketAddr, tokens: &[String; 2], answered: &AtomicUsize) {
    let unknown = |count: usize, value: &Value| -> serde_json::Map<_, _> {
        (0..count).map(|number| (format!("{number:x}"), value.clone())).collect()
    };
    let unknown = [(6_550, json!(0)), (5_800, Value::Null)]
        .map(|(count, value)| Value::from(unknown(count, &value)).to_string());
    let term = |number: usize| {
        json!({"on": format!("code:{:04}", 1_000 + number), "answer": "no", "reason": "No.",
               "review_on": "2099-01-01", "decides": "person"})
    };
    let terms = |from: usize, count: usize| {
        json!({"version": 1, "set": (from..from + count).map(term).collect::<Value>(),
               "words": "Stricter.",
               "session": {"how": "own_page", "place": "here", "minutes": 1}})
    };
    // 7,000 terms in seventeen requests, and as many as a list may have.
    let large: Vec<_> = (0..17).map(|post| terms(post * 412, 412).to_string()).collect();
    let most: Vec<_> = (0..17).map(|post| terms(post * 180, 180).to_string()).collect();
    let bodies: Vec<_> = unknown.into_iter().chain(large).chain(most).collect();
    let longest = bodies.iter().map(String::len).max();
    assert!(longest < Some(65_536), "{longest:?}");
    let (client, ids, clock) = (reqwest::Client::new(), NewIds::default(), Clock::system());
    let one = async |number: usize| {
        for round in 0.. {
            let token = &tokens[number % 2];
            let path = ["proposals", "drafts"][number % 2];
            let url = format!("http://{address}/v1/people/dee/{path}");
            let request = client
                .post(url)
                .bearer_auth(token)
                .header("content-type", "application/json")
                .header("idempotency-key", ids.next(clock.now()).simple().to_string())
                .body(bodies[round % bodies.len()].clone());
            if let Ok(answer) = request.send().await {
                assert!(answer.bytes().await.unwrap_or_default().len() < 65_536);
                answered.fetch_add(1, Ordering::Relaxed);
            }
            for read in ["agreement", "activity", "timeline", "totals", "proposals"] {
                let url = format!("http://{address}/v1/people/dee/{read}");
                client.get(url).bearer_auth(token).send().await.ok();
            }
        }
    };
    tokio::join!(one(0), one(1), one(2), one(3));
}

/// Tokens of Dee and of her worker, as `sayso token` issues them.
async fn tokens_of(store: &Store) -> [String; 2] {
    let tokens = TokenService::new(store.clone(), ISSUER);
    let issue = async |member: &str| {
        let (programme, member) = ("riverside".parse().unwrap(), member.parse().unwrap());
        let now = Clock::system().now();
        tokens.issue(&NewIds::default(), &programme, &member, now).await.unwrap().text
    };
    [issue("dee").await, issue("amina").await]
}

async fn nobody_slows_a_till(database: TestDatabase) {
    let store = prepare(&database, DEMO).await;
    let tokens = tokens_of(&store).await;
    let gateway = GatewayProcess::start(&database).await;
    let caller = gateway.caller();
    authorise_steadily(&caller, "Warm", Duration::from_millis(500)).await;
    let quiet = authorise_steadily(&caller, "Quiet", QUIET_FOR).await;
    let before = gateway.memory_kb();
    let mut rounds = 0..ROUNDS;
    let was_fine = loop {
        let Some(round) = rounds.next() else { break false };
        let attack = AttackerThread::begin(gateway.address(), tokens.clone());
        let attacked =
            authorise_steadily(&caller, &format!("Attacked{round}x"), ATTACKED_FOR).await;
        let during = gateway.memory_kb();
        let (connected, answered) = attack.end();
        let figures = format!(
            "{:?}: quiet p99 {:?}, attacked p50 {:?}, p99 {:?}, slowest {:?} of {}; \
             memory {before} KB, {during} KB under attack; \
             {connected} idle connections, {answered} large bodies",
            database.kind,
            p99(&quiet),
            attacked[attacked.len() / 2],
            p99(&attacked),
            attacked[attacked.len() - 1],
            attacked.len(),
        );
        writeln!(std::io::stderr(), "{figures}").unwrap();
        assert!(attacked.len() >= 200, "{} questions", attacked.len());
        assert!(during < before + MEMORY_MOST_KB, "{before} KB, then {during} KB");
        let was_attacked = connected > 1_024 && answered >= 10;
        if was_attacked && p99(&attacked) < (2 * p99(&quiet)).max(FLOOR) {
            break true;
        }
    };
    assert!(was_fine, "no round was an attack that nobody noticed");
    drop(gateway);
    prove(&store).await;
    store.close().await;
}

async fn issuers_and_operations_have_addresses_of_their_own(database: TestDatabase) {
    let world = World::open(database).await;
    let any = "127.0.0.1:0".parse().unwrap();
    let settings = world.database.settings(&world.clock);
    let apart = AppSettings { issuer_listen: Some(any), operations_listen: Some(any), ..settings };
    let app = App::start(apart).await.unwrap();
    let addresses = [app.address(), app.issuer_address(), app.operations_address()];
    assert!(addresses[0] != addresses[1] && addresses[1] != addresses[2]);
    let dee = world.token("dee").await;
    let client = reqwest::Client::new();
    let get = async |address: SocketAddr, path: &str| {
        let request = client.get(format!("http://{address}{path}")).bearer_auth(&dee);
        request.send().await.unwrap().status().as_u16()
    };
    for (path, statuses) in [
        ("/livez", [200, 200, 200]),
        ("/readyz", [200, 200, 200]),
        ("/v1/me", [200, 404, 404]),
        ("/.well-known/jwks.json", [200, 404, 404]),
        ("/issuers/riverside-stripe/events", [404, 405, 404]),
        ("/metrics", [404, 404, 200]),
        ("/openapi.json", [404, 404, 200]),
        ("/version", [404, 404, 200]),
    ] {
        for (address, status) in addresses.into_iter().zip(statuses) {
            assert_eq!(get(address, path).await, status, "{path}");
        }
    }
    let caller = Caller::new(app.issuer_address(), world.clock.clone());
    assert!(caller.authorise(&purchase("Apart", 1)).await.is_approved());
    // The connection limit for people does not apply to issuers.
    let mut crowd = Vec::new();
    for _ in 0..1_100 {
        crowd.push(TcpStream::connect(app.address()).await.unwrap());
    }
    let (answer, took) = caller.authorise_timed(&purchase("Still", 1)).await;
    assert!(answer.is_approved() && took < Duration::from_secs(1), "{took:?}");
    drop(crowd);
    app.stop().await;
    world.check().await;
}
