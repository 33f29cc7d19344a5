//! Connections: which ones are closed in favour of others, and which are closed because they are
//! too slow.

use std::net::SocketAddr;
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use sayso::web::ConnectionLimits;
use sqlx::{AnyConnection, Connection as _, Executor as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, sleep, timeout};

use super::{ASK, EdgeFixture, EndlessBody, SECRET, body, problem};
use crate::world::sign;

#[tokio::test]
async fn scenario_82_slow_bodies_and_slow_heads_are_cut() {
    let edge = EdgeFixture::sqlite().await;
    let listening = edge.listen(ConnectionLimits::default()).await;
    let address = listening.address();

    let slow_head = async {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let began = Instant::now();
        stream.write_all(b"GET /livez HTTP/1.1\r\nhost: a\r\n").await.unwrap();
        while began.elapsed() < Duration::from_secs(6) {
            sleep(Duration::from_millis(250)).await;
            if stream.write_all(b"x: y\r\n").await.is_err() {
                break;
            }
        }
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.ok();
        let took = began.elapsed();
        assert!(!answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
        assert!(took > Duration::from_millis(1900) && took < Duration::from_secs(5), "{took:?}");
    };
    let resting = async {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let mut answer = [0; 1024];
        for _ in 0..2 {
            stream.write_all(b"GET /livez HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
            let length = stream.read(&mut answer).await.unwrap();
            assert!(answer[..length].starts_with(b"HTTP/1.1 200"), "a connection may rest");
            sleep(Duration::from_millis(2500)).await;
        }
    };
    let slow_body = async {
        let stuck = Request::post(ASK).body(Body::new(EndlessBody { piece: None })).unwrap();
        let answer = timeout(Duration::from_secs(4), edge.send(stuck)).await.unwrap();
        assert_eq!(answer.problem(), problem(400, "too-slow", "body"));
    };
    tokio::join!(slow_head, resting, slow_body);
    listening.stop().await;
    assert!(TcpStream::connect(address).await.is_err(), "nothing is accepted any more");
}

/// Connects from `host`, an address of this machine.
async fn connect_from(host: [u8; 4], to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((host, 0).into()).unwrap();
    socket.connect(to).await.unwrap()
}

/// Whether the other side closes the connection within half a second.
async fn hangs_up(stream: &mut TcpStream) -> bool {
    let mut byte = [0];
    let read = timeout(Duration::from_millis(500), stream.read(&mut byte)).await;
    matches!(read, Ok(Ok(0) | Err(_)))
}

#[tokio::test]
async fn in_a_full_table_the_oldest_without_a_request_gives_way_and_a_question_never() {
    let edge = EdgeFixture::sqlite().await;
    let listening =
        edge.listen(ConnectionLimits { connections_max: 4, ..ConnectionLimits::default() }).await;
    let connect = || TcpStream::connect(listening.address());
    // A request that misses its deadline, because another transaction holds the write lock.
    let mut locked = AnyConnection::connect(&edge.database.url).await.unwrap();
    locked.execute("BEGIN IMMEDIATE").await.unwrap();
    let body = body("valid-purchase");
    let signature = sign(SECRET, edge.clock.now(), &body);
    let length = body.len();
    let head = format!("host: a\r\nstripe-signature: {signature}\r\ncontent-length: {length}");
    let question = format!("POST {ASK} HTTP/1.1\r\n{head}\r\nconnection: close\r\n\r\n{body}");
    let mut asking = connect().await.unwrap();
    asking.write_all(question.as_bytes()).await.unwrap();
    let mut half = connect().await.unwrap();
    let begun = format!("POST {ASK} HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\n1");
    half.write_all(begun.as_bytes()).await.unwrap();
    let mut rests = connect().await.unwrap();
    rests.write_all(b"GET /livez HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    let mut answer = [0; 1024];
    let length = rests.read(&mut answer).await.unwrap();
    assert!(answer[..length].starts_with(b"HTTP/1.1 200"));
    let mut idle = connect().await.unwrap();
    sleep(Duration::from_millis(100)).await;

    let mut fifth = connect().await.unwrap();
    assert!(hangs_up(&mut half).await, "the oldest whose request is not whole");
    let mut crowd = Vec::new();
    for _ in 0..20 {
        crowd.push(connect().await.unwrap());
    }
    assert!(hangs_up(&mut idle).await && hangs_up(&mut fifth).await);
    assert!(hangs_up(&mut crowd[0]).await);
    let mut last = crowd.pop().unwrap();
    assert!(!hangs_up(&mut last).await);
    assert!(!hangs_up(&mut rests).await, "who has asked goes after all who have not");
    let mut answer = String::new();
    asking.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("our_fault"), "{answer}");
    last.write_all(b"GET /livez HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    last.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    locked.close().await.unwrap();
}

#[tokio::test]
async fn a_peer_has_its_part_of_the_table_and_a_trusted_proxy_all_of_it() {
    let edge = EdgeFixture::sqlite().await;
    let limits = ConnectionLimits {
        connections_max: 8,
        connections_per_peer_max: 2,
        ..ConnectionLimits::default()
    };
    let to = edge.listen(limits).await;
    let mut proxied = Vec::new();
    for _ in 0..4 {
        proxied.push(connect_from([127, 0, 0, 1], to.address()).await);
    }
    let mut greedy = Vec::new();
    for _ in 0..3 {
        greedy.push(connect_from([127, 0, 0, 2], to.address()).await);
        sleep(Duration::from_millis(50)).await;
    }
    assert!(hangs_up(&mut greedy[0]).await, "its own oldest gives way");
    for stream in proxied.iter_mut().chain(&mut greedy[1..]) {
        assert!(!hangs_up(stream).await);
    }
}

#[tokio::test]
async fn who_does_not_take_an_answer_loses_the_connection() {
    const ASKED: usize = 200;

    let edge = EdgeFixture::sqlite().await;
    let listening = edge.listen(ConnectionLimits::default()).await;
    let mut stream = TcpStream::connect(listening.address()).await.unwrap();
    let request = "GET /openapi.json HTTP/1.1\r\nhost: a\r\n\r\n";
    stream.write_all(request.repeat(ASKED).as_bytes()).await.unwrap();
    let one = edge.get("/openapi.json").await.body.len();
    // Reads a little now and then, far less than a slow connection would.
    let began = Instant::now();
    let mut taken = 0;
    let mut some = vec![0; 4096];
    while began.elapsed() < Duration::from_secs(9) {
        sleep(Duration::from_millis(500)).await;
        match stream.read(&mut some).await {
            Ok(count @ 1..) => taken += count,
            Ok(0) | Err(_) => break,
        }
    }
    // The socket buffers hold a small part of the data only.
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.ok();
    let all = ASKED * one;
    assert!(taken + rest.len() < all / 2, "{} of {all} bytes", taken + rest.len());
    let mut other = TcpStream::connect(listening.address()).await.unwrap();
    other.write_all(b"GET /livez HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    other.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test]
async fn in_a_full_table_who_does_not_read_gives_way_at_once() {
    let edge = EdgeFixture::sqlite().await;
    let limits = ConnectionLimits { connections_max: 4, ..ConnectionLimits::default() };
    let listening = edge.listen(limits).await;
    let mut slow = Vec::new();
    for _ in 0..4 {
        let mut stream = TcpStream::connect(listening.address()).await.unwrap();
        let request = "GET /openapi.json HTTP/1.1\r\nhost: a\r\n\r\n";
        stream.write_all(request.repeat(200).as_bytes()).await.unwrap();
        slow.push(stream);
    }
    sleep(Duration::from_millis(500)).await;
    let mut other = TcpStream::connect(listening.address()).await.unwrap();
    other.write_all(b"GET /livez HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    // The slow ones time out half a second later at the earliest.
    timeout(Duration::from_secs(4), other.read_to_string(&mut answer)).await.unwrap().unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}
