use crate::program::{carafe, http, kill, wait};
use std::io::{BufRead, BufReader};
use std::process::Stdio;

#[test]
fn serves_the_app_and_ends_on_a_signal() {
    let dir = tempfile::tempdir().unwrap();
    let db = dir.path().join("todo.db");
    let mut child = carafe(&["todo", "--listen", "127.0.0.1:0", "--db"])
        .arg(&db)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    let addr = lines
        .find_map(|line| Some(line.split_once("listening on http://")?.1.trim().to_owned()))
        .expect("it says where it listens");
    std::thread::spawn(move || lines.for_each(drop));
    let (status, page) = http("GET", &addr, "/", "", b"");
    assert_eq!(status, 200);
    assert!(page.contains("To-Do List"), "{page}");
    kill(child.id(), "TERM");
    assert!(wait(&mut child).success());
    assert!(db.exists());
}
