//! An S3 server for tests: moto, which `scripts/moto.sh` runs and ends as soon as the pipe to its
//! standard input closes.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// An S3 server; it ends with the test, or with the process.
#[derive(Debug)]
pub(crate) struct Moto {
    script: Child,
    address: String,
}

impl Moto {
    /// Starts one with a bucket; none where it cannot be had, unless `CI` is set.
    pub(crate) fn start(bucket: &str) -> Option<Self> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/moto.sh");
        let mut command = Command::new(path);
        command.args(["run", bucket]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut script = command.spawn().unwrap();
        let mut address = String::new();
        BufReader::new(script.stdout.take().unwrap()).read_line(&mut address).unwrap();
        if let Some(address) = address.strip_suffix('\n') {
            return Some(Self { script, address: address.to_owned() });
        }
        let mut said = String::new();
        script.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        script.wait().unwrap();
        assert!(std::env::var_os("CI").is_none(), "no S3 server: {said}");
        skipped(&said);
        None
    }

    /// What a client is told by its environment, and what is of no concern to it.
    pub(crate) fn environment(&self) -> impl Iterator<Item = (String, String)> {
        [
            ("AWS_ENDPOINT", self.address.as_str()),
            ("AWS_ALLOW_HTTP", "true"),
            ("AWS_REGION", "us-east-1"),
            ("AWS_ACCESS_KEY_ID", "any"),
            ("AWS_SECRET_ACCESS_KEY", "any"),
            ("AWS_PAGER", "of another tool"),
            ("HOME", "of no concern"),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into_iter()
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        drop(self.script.stdin.take());
        _ = self.script.wait();
    }
}

#[expect(clippy::print_stderr, reason = "a test that is skipped must say so")]
fn skipped(why: &str) {
    eprintln!("not tested, for there is no S3 server: {why}");
}
