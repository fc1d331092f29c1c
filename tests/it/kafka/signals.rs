//! Signals that arrive at once: a shell that runs already sends them to one process.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// Sends signals to one process.
pub(super) struct Signals {
    process: u32,
    shell: Child,
    commands: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Signals {
    pub(super) fn new(process: u32) -> Self {
        let mut command = Command::new("sh");
        let mut shell = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let commands = shell.stdin.take();
        let answers = BufReader::new(shell.stdout.take().unwrap());
        Self { process, shell, commands, answers }
    }

    /// Sends a signal by its name, and returns when it was sent.
    #[track_caller]
    pub(super) fn send(&mut self, name: &str) {
        let command = format!("kill -{name} {} && echo sent || echo failed\n", self.process);
        self.commands.as_mut().unwrap().write_all(command.as_bytes()).unwrap();
        let mut answer = String::new();
        self.answers.read_line(&mut answer).unwrap();
        assert_eq!(answer, "sent\n", "{command}");
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        // The shell ends with its input.
        drop(self.commands.take());
        _ = self.shell.wait();
    }
}
