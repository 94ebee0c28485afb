//! Shows the demo: a picture drawn over itself on a terminal, plain lines elsewhere.
//!
//! Never: leaves the cursor hidden; draws over more lines than it has drawn.

use std::io::Write;

use super::screen::{self, Event, Picture};
use crate::{config::Shell, output};

/// Where events and pictures go.
#[derive(Debug)]
pub(crate) struct Display {
    live: bool,
    color: bool,
    /// Lines of the picture on the screen.
    drawn: usize,
    size: (usize, usize),
}

impl Display {
    pub(crate) fn new(shell: &Shell) -> Self {
        let size = size();
        let live = shell.terminal && size.is_some_and(|(w, h)| w >= screen::LEAST.0 && h >= screen::LEAST.1);
        Self { live, color: shell.color, drawn: 0, size: size.unwrap_or(screen::LEAST) }
    }

    /// Tells an event: a line, unless the picture will show it.
    ///
    /// # Errors
    /// Stdout is gone or full.
    pub(crate) fn event(&self, event: &Event) -> anyhow::Result<()> {
        if self.live { Ok(()) } else { output::print(&format!("{}\n", event.line(self.color))) }
    }

    /// Draws the picture over the one before it.
    ///
    /// # Errors
    /// Stdout is gone or full.
    pub(crate) fn draw(&mut self, picture: &Picture) -> anyhow::Result<()> {
        if !self.live {
            return Ok(());
        }
        let resized = size().filter(|now| *now != self.size);
        let mut text = String::new();
        if let Some(now) = resized {
            // The old lines may have been folded: their number is not known any more, so start on a clear screen.
            self.size = now;
            self.drawn = 0;
            text.push_str("\x1b[2J\x1b[H");
        }
        text.push_str("\x1b[?25l");
        if self.drawn > 0 {
            text.push_str(&format!("\x1b[{}A", self.drawn));
        }
        let lines = screen::frame(picture, self.size, self.color);
        for line in &lines {
            text.push_str(&format!("\r\x1b[K{line}\n"));
        }
        text.push_str("\x1b[J");
        self.drawn = lines.len();
        output::print(&text)
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        if self.live {
            // The terminal may be gone, and then needs no cursor.
            let _gone = std::io::stdout().write_all(b"\x1b[?25h").and_then(|()| std::io::stdout().flush());
        }
    }
}

/// Columns and rows of the terminal.
fn size() -> Option<(usize, usize)> {
    terminal_size::terminal_size().map(|(width, height)| (width.0.into(), height.0.into()))
}
