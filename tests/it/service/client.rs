//! An HTTP client of a few lines: one connection, one request after the other.

use std::collections::BTreeMap;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Longer than anything here may take, so that a test fails rather than hangs.
const TIMEOUT: Duration = Duration::from_secs(60);

/// One connection.
pub(crate) struct Client {
    stream: BufReader<TcpStream>,
}

/// What was answered.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    /// Names are in lower case.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_write_timeout(Some(TIMEOUT))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream: BufReader::new(stream) })
    }

    /// Sends a request and reads its answer; an error is a connection that broke off.
    pub(crate) fn try_send(
        &mut self,
        line: &str,
        media_type: &str,
        body: &[u8],
    ) -> io::Result<Reply> {
        self.begin(line, media_type, &format!("content-length: {}", body.len()))?;
        self.write(body)?;
        self.reply()
    }

    /// Sends a request that must be answered.
    #[track_caller]
    pub(crate) fn send(&mut self, line: &str, media_type: &str, body: &str) -> Reply {
        self.try_send(line, media_type, body.as_bytes())
            .unwrap_or_else(|error| panic!("{line}: {error}"))
    }

    #[track_caller]
    pub(crate) fn get(&mut self, path: &str) -> Reply {
        self.send(&format!("GET {path}"), "text/plain", "")
    }

    /// Sends the head of a request only.
    pub(crate) fn begin(&mut self, line: &str, media_type: &str, more: &str) -> io::Result<()> {
        let head = format!(
            "{line} HTTP/1.1\r\nhost: test\r\ncontent-type: {media_type}\r\n{more}\r\n\r\n"
        );
        self.write(head.as_bytes())
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.get_mut().write_all(bytes)
    }

    pub(crate) fn reply(&mut self) -> io::Result<Reply> {
        let broken = |what: &str| io::Error::new(io::ErrorKind::UnexpectedEof, what.to_owned());
        let mut line = String::new();
        self.stream.read_line(&mut line)?;
        let status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status: u16 = status.ok_or_else(|| broken("no status line"))?;
        let mut headers = BTreeMap::new();
        loop {
            line.clear();
            self.stream.read_line(&mut line)?;
            let Some((name, value)) = line.trim_end().split_once(':') else { break };
            headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
        }
        let length = headers.get("content-length").and_then(|length| length.parse().ok());
        let mut body = vec![0; length.unwrap_or(0)];
        self.stream.read_exact(&mut body)?;
        let body = String::from_utf8(body).map_err(|_| broken("no UTF-8"))?;
        Ok(Reply { status, headers, body })
    }
}

impl Reply {
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    /// Checks the status, and that whatever is no success is a problem with these words.
    #[track_caller]
    pub(crate) fn expect(self, status: u16, words: &str) -> Self {
        assert_eq!(self.status, status, "{self:?}");
        assert!(self.body.contains(words), "no \"{words}\" in {self:?}");
        if status >= 400 {
            assert_eq!(self.headers["content-type"], "application/problem+json", "{self:?}");
            assert_eq!(self.json()["status"], status, "{self:?}");
        }
        if status == 429 || status == 503 {
            assert!(self.headers["retry-after"].parse::<u32>().is_ok(), "{self:?}");
        }
        self
    }

    /// The verdicts in order, a rejected one by its code.
    #[track_caller]
    pub(crate) fn verdicts(&self) -> Vec<String> {
        let results = self.json()["results"].as_array().unwrap().clone();
        let told = |one: &serde_json::Value| match one["verdict"].as_str().unwrap() {
            "rejected" => one["code"].as_str().unwrap().to_owned(),
            verdict => verdict.to_owned(),
        };
        results.iter().map(told).collect()
    }
}
