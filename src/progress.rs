//! Progress of long work: a bar with rate and remaining time on a terminal, nothing elsewhere.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal as _;
use std::time::Duration;

/// How far the reading of a source has come.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// Shows the way through `bytes` of input; `None` where its size is not known.
    pub(crate) fn of_bytes(bytes: Option<u64>) -> Self {
        let (bar, template) = match bytes {
            Some(bytes) => (
                ProgressBar::with_draw_target(Some(bytes), ProgressDrawTarget::hidden()),
                "{bar:30} {percent:>3} %  {bytes_per_sec}  {msg}  {eta} left",
            ),
            None => (
                ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden()),
                "{spinner} {bytes} read  {bytes_per_sec}  {msg}",
            ),
        };
        if std::io::stderr().is_terminal() {
            bar.set_draw_target(ProgressDrawTarget::stderr());
            bar.enable_steady_tick(Duration::from_millis(200));
        }
        // The template is a constant; should it ever be wrong, the usual bar is shown.
        let style = ProgressStyle::with_template(template);
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Self { bar }
    }

    pub(crate) fn set(&self, bytes: u64, records: u64, records_per_second: Option<u64>) {
        self.bar.set_position(bytes);
        let rate = records_per_second.map_or_else(String::new, |rate| format!(", {rate}/s"));
        self.bar.set_message(format!("{records} records{rate}"));
    }

    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
