//! The app over a real socket: start, restart, stop.
#![expect(clippy::unwrap_used, reason = "in a test, and in what helps it, a panic is the report")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use carafe_todo::{Options, Server, TodoError};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

struct Running {
    addr: SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<(), TodoError>>,
}

async fn start(db: &Path) -> Running {
    let options = Options { db: db.to_owned(), listen: "127.0.0.1:0".parse().unwrap() };
    let server = Server::bind(options).await.unwrap();
    let addr = server.local_addr();
    let (stop, stopped) = oneshot::channel::<()>();
    let task = tokio::spawn(server.serve(async {
        let _ = stopped.await;
    }));
    Running { addr, stop, task }
}

impl Running {
    async fn stop(self) {
        self.stop.send(()).unwrap();
        tokio::time::timeout(Duration::from_secs(30), self.task).await.unwrap().unwrap().unwrap();
    }

    async fn exchange(&self, request: String) -> String {
        let addr = self.addr;
        tokio::task::spawn_blocking(move || {
            let mut stream = TcpStream::connect(addr).unwrap();
            stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
            stream.write_all(request.as_bytes()).unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            answer
        })
        .await
        .unwrap()
    }

    async fn page(&self) -> String {
        self.exchange("GET / HTTP/1.1\r\nhost: todo\r\nconnection: close\r\n\r\n".to_owned()).await
    }

    async fn add(&self, form: &str) -> String {
        self.exchange(format!(
            "POST /add HTTP/1.1\r\nhost: todo\r\nconnection: close\r\n\
             content-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n{form}",
            form.len()
        ))
        .await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tasks_survive_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let db = dir.path().join("todo.db");
    let first = start(&db).await;
    let answer = first.add("title=water+the+plants").await;
    assert!(answer.starts_with("HTTP/1.1 302 "), "{answer}");
    first.stop().await;
    let second = start(&db).await;
    let page = second.page().await;
    assert!(page.contains("water the plants"), "{page}");
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stops_while_a_client_keeps_its_connection_open() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(&dir.path().join("todo.db")).await;
    let mut idle = TcpStream::connect(running.addr).unwrap();
    idle.write_all(b"GET / HTTP/1.1\r\nhost: todo\r\n\r\n").unwrap();
    let mut first_byte = [0; 1];
    idle.read_exact(&mut first_byte).unwrap();
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taken_port_is_named_with_a_hint() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(&dir.path().join("todo.db")).await;
    let db = dir.path().join("other.db");
    let options = Options { db: db.clone(), listen: running.addr };
    let error = Server::bind(options).await.unwrap_err();
    assert!(matches!(error, TodoError::AddressInUse { .. }), "{error:?}");
    let message = error.to_string();
    assert!(message.contains(&running.addr.to_string()), "{message}");
    assert!(message.contains("--listen"), "{message}");
    assert!(!db.exists(), "a start that fails leaves no file behind");
    running.stop().await;
}
