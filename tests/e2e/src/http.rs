//! A small HTTP/1.1 client that shows what is on the wire: one connection,
//! kept alive when the server keeps it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};

use crate::wait::{DEADLINE, until};

/// One connection.
#[derive(Debug)]
pub struct Connection {
    stream: BufReader<TcpStream>,
    addr: SocketAddr,
}

/// A whole response.
#[derive(Clone, Debug)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// Names in lower case, in the order they came.
    pub headers: Vec<(String, String)>,
    /// The body with its chunks joined.
    pub body: Vec<u8>,
    /// Whether the server keeps the connection for another request.
    pub keep_alive: bool,
}

impl Response {
    /// The first header of that (lower case) name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl Connection {
    /// Connects.
    ///
    /// # Errors
    /// Nothing listens there.
    pub fn open(addr: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect_timeout(&addr, Duration::from_secs(10))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(DEADLINE))?;
        Ok(Self { stream: BufReader::new(stream), addr })
    }

    /// Sends one request and reads its response.
    ///
    /// # Errors
    /// The connection broke or the answer is not HTTP/1.
    pub fn send(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Response> {
        let mut request = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\n", self.addr);
        for (name, value) in headers {
            request += &format!("{name}: {value}\r\n");
        }
        if !body.is_empty() || method == "POST" {
            request += &format!("Content-Length: {}\r\n", body.len());
        }
        request += "\r\n";
        let mut bytes = request.into_bytes();
        bytes.extend_from_slice(body);
        self.stream.get_mut().write_all(&bytes)?;
        self.read(method)
    }

    fn read(&mut self, method: &str) -> Result<Response> {
        let start = self.line()?;
        let mut parts = start.split(' ');
        let version = parts.next().unwrap_or_default().to_owned();
        ensure!(version.starts_with("HTTP/1."), "not an HTTP/1 status line: {start:?}");
        let status: u16 = parts.next().context("no status")?.parse()?;
        let mut headers = Vec::new();
        loop {
            let line = self.line()?;
            if line.is_empty() {
                break;
            }
            let (name, value) = line.split_once(':').ok_or_else(|| anyhow!("header {line:?}"))?;
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let mut response = Response { status, headers, body: Vec::new(), keep_alive: true };
        let connection = response.header("connection").unwrap_or_default().to_ascii_lowercase();
        response.keep_alive =
            if version == "HTTP/1.0" { connection == "keep-alive" } else { connection != "close" };
        let chunked = response.header("transfer-encoding") == Some("chunked");
        let length = response.header("content-length").map(str::parse::<usize>).transpose()?;
        response.body = if method == "HEAD" || status == 204 || status == 304 {
            Vec::new()
        } else if chunked {
            self.chunks()?
        } else if let Some(length) = length {
            self.exactly(length)?
        } else {
            response.keep_alive = false;
            let mut body = Vec::new();
            self.stream.read_to_end(&mut body)?;
            body
        };
        Ok(response)
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        let length = self.stream.read_line(&mut line)?;
        ensure!(length > 0, "the server closed the connection");
        Ok(line.trim_end_matches(['\r', '\n']).to_owned())
    }

    fn exactly(&mut self, length: usize) -> Result<Vec<u8>> {
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body)?;
        Ok(body)
    }

    fn chunks(&mut self) -> Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let size = self.line()?;
            let size = usize::from_str_radix(size.split(';').next().unwrap_or_default(), 16)?;
            body.extend(self.exactly(size)?);
            self.line()?;
            if size == 0 {
                return Ok(body);
            }
        }
    }
}

/// One request on a connection of its own.
///
/// # Errors
/// As [`Connection::open`] and [`Connection::send`].
pub fn request(addr: SocketAddr, method: &str, path: &str, body: &[u8]) -> Result<Response> {
    let form = [
        ("Connection", "close"),
        ("Content-Type", "application/x-www-form-urlencoded"),
        ("User-Agent", "carafe-e2e"),
    ];
    Connection::open(addr)?.send(method, path, &form, body)
}

/// Sends GET requests at once, without waiting for answers, on one connection;
/// gives the answers in their order.
///
/// # Errors
/// As [`Connection::send`].
pub fn pipeline(addr: SocketAddr, paths: &[&str]) -> Result<Vec<Response>> {
    let mut connection = Connection::open(addr)?;
    let requests: String =
        paths.iter().map(|path| format!("GET {path} HTTP/1.1\r\nHost: {addr}\r\n\r\n")).collect();
    connection.stream.get_mut().write_all(requests.as_bytes())?;
    paths.iter().map(|_| connection.read("GET")).collect()
}

/// GET on a connection of its own.
///
/// # Errors
/// As [`request`].
pub fn get(addr: SocketAddr, path: &str) -> Result<Response> {
    request(addr, "GET", path, b"")
}

/// Waits until something accepts connections, without sending a request.
///
/// # Errors
/// Nothing did in time.
pub fn wait_listening(addr: SocketAddr) -> Result<()> {
    until(&format!("a listener on {addr}"), DEADLINE, || {
        Ok(TcpStream::connect_timeout(&addr, Duration::from_secs(1)).ok().map(drop))
    })
}
