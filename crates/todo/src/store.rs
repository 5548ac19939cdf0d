//! The tasks in SQLite, on a thread of their own.
//!
//! SQLite blocks, so the async threads hand it jobs through a bounded queue
//! and wait for the answer without holding a thread.

use std::io;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::{Connection, params};
use tokio::sync::{mpsc, oneshot};

use crate::TodoError;
use crate::title::Title;

/// Most tasks that the list holds; adding one more is refused with a message.
pub const MAX_TASKS: u32 = 1_000;

/// Most requests that wait for the database; further ones wait for a place.
pub const MAX_QUEUED_JOBS: usize = 256;

/// How long a statement waits for another process that writes the same file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS task (
    id    INTEGER PRIMARY KEY AUTOINCREMENT,
    title TEXT NOT NULL
) STRICT;
";

/// One line of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Task {
    pub(crate) id: i64,
    pub(crate) title: String,
}

/// What came of an attempt to add a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Added {
    Yes,
    ListFull,
}

/// Why one request got no answer from the database.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    #[error("sqlite: {0}")]
    Sqlite(#[from] rusqlite::Error),
    #[error("the database thread has ended")]
    Gone,
}

type Job = Box<dyn FnOnce(&Connection) + Send>;

/// A handle to the database; clones share its one connection.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    jobs: mpsc::Sender<Job>,
}

/// The thread that owns the connection. It ends when the last [`Store`] is
/// dropped; [`StoreThread::join`] waits for that.
#[derive(Debug)]
pub(crate) struct StoreThread(JoinHandle<()>);

impl Store {
    /// Opens or creates the database file and its schema.
    pub(crate) async fn open(path: PathBuf) -> Result<(Self, StoreThread), TodoError> {
        let (jobs, mut queue) = mpsc::channel::<Job>(MAX_QUEUED_JOBS);
        let (opened, outcome) = oneshot::channel();
        let thread_path = path.clone();
        let thread = std::thread::Builder::new()
            .name("todo-sqlite".to_owned())
            .spawn(move || match connect(&thread_path) {
                Ok(connection) => {
                    // The opener may have gone; the queue then ends at once.
                    let _ = opened.send(Ok(()));
                    while let Some(job) = queue.blocking_recv() {
                        job(&connection);
                    }
                }
                Err(source) => {
                    let _ = opened.send(Err(source));
                }
            })
            .map_err(TodoError::Thread)?;
        match outcome.await {
            Ok(Ok(())) => Ok((Self { jobs }, StoreThread(thread))),
            Ok(Err(source)) => Err(TodoError::Database { path, source }),
            Err(_) => Err(TodoError::Thread(io::Error::other("it ended while opening the file"))),
        }
    }

    /// All tasks, oldest first.
    pub(crate) async fn list(&self) -> Result<Vec<Task>, StoreError> {
        self.run(|connection| {
            let mut statement =
                connection.prepare_cached("SELECT id, title FROM task ORDER BY id")?;
            let rows =
                statement.query_map([], |row| Ok(Task { id: row.get(0)?, title: row.get(1)? }))?;
            rows.collect()
        })
        .await
    }

    pub(crate) async fn add(&self, title: Title) -> Result<Added, StoreError> {
        self.run(move |connection| {
            // One statement, so that two writers cannot pass the limit together.
            let inserted = connection
                .prepare_cached(
                    "INSERT INTO task (title) SELECT ?1 WHERE (SELECT count(*) FROM task) < ?2",
                )?
                .execute(params![title.as_str(), MAX_TASKS])?;
            Ok(if inserted == 1 { Added::Yes } else { Added::ListFull })
        })
        .await
    }

    /// Whether there was such a task.
    pub(crate) async fn delete(&self, id: i64) -> Result<bool, StoreError> {
        self.run(move |connection| {
            let deleted =
                connection.prepare_cached("DELETE FROM task WHERE id = ?1")?.execute([id])?;
            Ok(deleted == 1)
        })
        .await
    }

    async fn run<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move |connection| {
            // A client that has gone away no longer waits for the answer.
            let _ = reply.send(work(connection));
        });
        self.jobs.send(job).await.map_err(|_| StoreError::Gone)?;
        Ok(answer.await.map_err(|_| StoreError::Gone)??)
    }
}

impl StoreThread {
    /// Waits until the thread has closed the database.
    pub(crate) async fn join(self) {
        let joined = tokio::task::spawn_blocking(move || self.0.join()).await;
        if !matches!(joined, Ok(Ok(()))) {
            tracing::error!("the database thread panicked");
        }
    }
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    // WAL lets other processes read while this one writes. A database in
    // memory answers "memory", so the answer is not checked.
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.execute_batch(SCHEMA)?;
    Ok(connection)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn fresh() -> (tempfile::TempDir, Store, StoreThread) {
        let dir = tempfile::tempdir().unwrap();
        let (store, thread) = Store::open(dir.path().join("todo.db")).await.unwrap();
        (dir, store, thread)
    }

    #[tokio::test]
    async fn adds_lists_and_deletes() {
        let (_dir, store, _thread) = fresh().await;
        for title in ["one", "two"] {
            assert_eq!(store.add(Title::parse(title).unwrap()).await.unwrap(), Added::Yes);
        }
        let tasks = store.list().await.unwrap();
        assert_eq!(
            tasks.iter().map(|task| task.title.as_str()).collect::<Vec<_>>(),
            ["one", "two"]
        );
        assert!(store.delete(tasks[0].id).await.unwrap());
        assert!(!store.delete(tasks[0].id).await.unwrap());
        assert_eq!(store.list().await.unwrap(), tasks[1..]);
    }

    #[tokio::test]
    async fn a_deleted_id_is_not_given_again() {
        let (_dir, store, _thread) = fresh().await;
        store.add(Title::parse("one").unwrap()).await.unwrap();
        let first = store.list().await.unwrap()[0].id;
        store.delete(first).await.unwrap();
        store.add(Title::parse("two").unwrap()).await.unwrap();
        assert_ne!(store.list().await.unwrap()[0].id, first);
    }

    #[tokio::test]
    async fn a_full_list_refuses_until_a_task_is_deleted() {
        let (_dir, store, _thread) = fresh().await;
        for number in 0..MAX_TASKS {
            let title = Title::parse(&number.to_string()).unwrap();
            assert_eq!(store.add(title).await.unwrap(), Added::Yes);
        }
        let more = Title::parse("one too many").unwrap();
        assert_eq!(store.add(more.clone()).await.unwrap(), Added::ListFull);
        let tasks = store.list().await.unwrap();
        assert_eq!(tasks.len(), MAX_TASKS as usize);
        store.delete(tasks[0].id).await.unwrap();
        assert_eq!(store.add(more).await.unwrap(), Added::Yes);
    }

    #[tokio::test]
    async fn two_stores_share_one_file() {
        let (dir, store, _thread) = fresh().await;
        let (other, _other_thread) = Store::open(dir.path().join("todo.db")).await.unwrap();
        store.add(Title::parse("seen by both").unwrap()).await.unwrap();
        assert_eq!(other.list().await.unwrap().len(), 1);
    }

    #[tokio::test]
    async fn the_thread_ends_with_the_last_handle() {
        let (_dir, store, thread) = fresh().await;
        let clone = store.clone();
        drop(store);
        assert!(clone.list().await.unwrap().is_empty());
        drop(clone);
        thread.join().await;
    }

    #[tokio::test]
    async fn a_file_that_is_no_database_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notes.txt");
        std::fs::write(&path, "this is certainly not an SQLite file".repeat(40)).unwrap();
        let message = Store::open(path).await.unwrap_err().to_string();
        assert!(message.contains("notes.txt") && message.contains("--db"), "{message}");
    }
}
