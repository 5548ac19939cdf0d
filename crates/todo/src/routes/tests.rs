use axum::body::{Body, to_bytes};
use tower::ServiceExt;

use super::*;
use crate::store::StoreThread;
use crate::title::MAX_TITLE_CHARS;

struct App {
    router: Router,
    _dir: tempfile::TempDir,
    _thread: StoreThread,
}

struct Answer {
    status: StatusCode,
    location: Option<String>,
    body: String,
}

impl App {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (store, thread) = Store::open(dir.path().join("todo.db")).await.unwrap();
        Self { router: router(store), _dir: dir, _thread: thread }
    }

    async fn send(&self, request: Request) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status();
        let location = response
            .headers()
            .get(header::LOCATION)
            .map(|value| value.to_str().unwrap().to_owned());
        let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        Answer { status, location, body: String::from_utf8(body.to_vec()).unwrap() }
    }

    async fn get(&self, path: &str) -> Answer {
        self.send(Request::get(path).body(Body::empty()).unwrap()).await
    }

    async fn post(&self, path: &str, form: &str) -> Answer {
        let request = Request::post(path)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Body::from(form.to_owned()))
            .unwrap();
        self.send(request).await
    }
}

#[tokio::test]
async fn the_page_is_titled_and_starts_empty() {
    let answer = App::new().await.get("/").await;
    assert_eq!(answer.status, StatusCode::OK);
    assert!(answer.body.contains("<title>To-Do List</title>"), "{}", answer.body);
    assert!(answer.body.contains("Nothing to do."), "{}", answer.body);
}

#[tokio::test]
async fn adding_redirects_and_the_list_shows_it_escaped() {
    let app = App::new().await;
    let answer = app.post("/add", "title=%3Cb%3Etea+%26+cake%3C%2Fb%3E").await;
    assert_eq!((answer.status, answer.location.as_deref()), (StatusCode::FOUND, Some("/")));
    let page = app.get("/").await.body;
    assert!(page.contains("<span>&lt;b&gt;tea &amp; cake&lt;/b&gt;</span>"), "{page}");
}

#[tokio::test]
async fn deleting_redirects_and_the_second_time_says_it_is_gone() {
    let app = App::new().await;
    app.post("/add", "title=tea").await;
    let page = app.get("/").await.body;
    let action = page.split("action=\"").find(|part| part.starts_with("/delete/")).unwrap();
    let path = action.split('"').next().unwrap();
    let answer = app.post(path, "").await;
    assert_eq!((answer.status, answer.location.as_deref()), (StatusCode::FOUND, Some("/")));
    assert!(app.get("/").await.body.contains("Nothing to do."));
    let again = app.post(path, "").await;
    assert_eq!(again.status, StatusCode::NOT_FOUND);
    assert!(again.body.contains("There is no such task."), "{}", again.body);
}

#[tokio::test]
async fn bad_tasks_are_refused_with_a_message_and_kept_in_the_field() {
    let app = App::new().await;
    let long = "x".repeat(MAX_TITLE_CHARS + 1);
    for (form, message) in [
        ("title=", "Please write what there is to do."),
        ("title=++", "Please write what there is to do."),
        (&*format!("title={long}"), "That is 201 characters long; a task has at most 200."),
        ("title=a%00b", "without control characters"),
    ] {
        let answer = app.post("/add", form).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{form}");
        assert!(answer.body.contains(message), "{form}: {}", answer.body);
    }
    let refused = app.post("/add", &format!("title={long}")).await.body;
    assert!(refused.contains(&format!("value=\"{long}\"")), "{refused}");
    assert!(app.get("/").await.body.contains("Nothing to do."));
}

#[tokio::test]
async fn a_form_that_cannot_be_read_is_a_client_error_on_the_page() {
    let app = App::new().await;
    let huge = format!("title={}", "x".repeat(MAX_FORM_BYTES));
    for (form, status) in [
        ("name=tea", StatusCode::UNPROCESSABLE_ENTITY),
        ("title=a&title=b", StatusCode::UNPROCESSABLE_ENTITY),
        (huge.as_str(), StatusCode::PAYLOAD_TOO_LARGE),
    ] {
        let answer = app.post("/add", form).await;
        assert_eq!(answer.status, status, "{form:.40}");
        assert!(answer.body.contains("That form cannot be read"), "{}", answer.body);
    }
    let json = Request::post("/add")
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from(r#"{"title":"tea"}"#))
        .unwrap();
    assert_eq!(app.send(json).await.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
}

#[tokio::test]
async fn unknown_paths_ids_and_methods_answer_on_the_page() {
    let app = App::new().await;
    for path in ["/delete/99", "/delete/abc", "/delete/99999999999999999999", "/nowhere"] {
        let answer = app.post(path, "").await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
        assert!(answer.body.contains("role=\"alert\""), "{path}: {}", answer.body);
    }
    assert_eq!(app.get("/add").await.status, StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn pages_forbid_scripts() {
    let app = App::new().await;
    let request = Request::get("/").body(Body::empty()).unwrap();
    let response = app.router.clone().oneshot(request).await.unwrap();
    let policy = response.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
    assert!(policy.starts_with("default-src 'none'") && !policy.contains("script"), "{policy}");
}
