//! Asks the query APIs.

use super::CheckError;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::time::Duration;
use url::Url;

/// How long one answer may take.
const TIMEOUT: Duration = Duration::from_secs(120);

/// How much of an error's text is repeated, in characters.
const MAX_REASON_CHARS: usize = 200;

#[derive(Debug)]
pub(super) struct Client {
    http: reqwest::Client,
    base: Url,
}

impl Client {
    pub(super) fn new(url: &str) -> Result<Self, CheckError> {
        let wrong = |reason: String| CheckError::Url { url: url.to_owned(), reason };
        let base = Url::parse(url).map_err(|error| wrong(error.to_string()))?;
        if base.cannot_be_a_base() || base.host().is_none() {
            return Err(wrong("it has no host".to_owned()));
        }
        let http = reqwest::Client::builder().no_proxy().timeout(TIMEOUT).build()?;
        Ok(Self { http, base })
    }

    /// A JSON answer, or what went wrong in words.
    pub(super) async fn get(
        &self,
        path: &str,
        params: &[(&'static str, String)],
    ) -> Result<Value, String> {
        self.read(path, params).await
    }

    /// An answer of a known form.
    pub(super) async fn read<T: DeserializeOwned>(
        &self,
        path: &str,
        params: &[(&'static str, String)],
    ) -> Result<T, String> {
        let (status, body) = self.fetch(path, params).await?;
        let text = |body: &[u8]| -> String {
            String::from_utf8_lossy(body).chars().take(MAX_REASON_CHARS).collect()
        };
        if !status.is_success() {
            return Err(format!("{path} answers {status}: {}", text(&body)));
        }
        serde_json::from_slice(&body)
            .map_err(|error| format!("{path} answers no such JSON ({error}): {}", text(&body)))
    }

    pub(super) async fn fetch(
        &self,
        path: &str,
        params: &[(&'static str, String)],
    ) -> Result<(reqwest::StatusCode, Vec<u8>), String> {
        let mut url = self.base.clone();
        url.set_path(path);
        url.set_query(None);
        if !params.is_empty() {
            url.query_pairs_mut().extend_pairs(params);
        }
        let answer = self.http.get(url).send().await.map_err(|error| reason(path, &error))?;
        let status = answer.status();
        let body = answer.bytes().await.map_err(|error| reason(path, &error))?;
        Ok((status, body.to_vec()))
    }
}

fn reason(path: &str, error: &reqwest::Error) -> String {
    let error: &dyn std::error::Error = error;
    let cause = std::iter::successors(Some(error), |error| error.source()).last();
    format!("{path} does not answer: {}", cause.unwrap_or(error))
}
