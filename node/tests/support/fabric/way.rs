//! What becomes of what one host says to another.

use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// The way from one host to another. The way back is another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// All arrives at once.
    Pass,
    /// Streams are reset, the new ones too; datagrams are lost.
    Cut,
    /// Nobody hears anything, of either side's fault: what is sent on streams is held, until the way is free again or the
    /// stream is given up; new streams come about and stay silent; datagrams are lost.
    Hole,
    /// All arrives late, and no faster than this.
    Slow {
        /// How late.
        delay: Duration,
        /// How fast, per stream, and for all datagrams together.
        bytes_per_second: u32,
    },
}

/// Waits as long as nothing gets through.
pub async fn pass(way: &mut watch::Receiver<Way>) {
    // Over some ways nobody decides, and at the end nobody over any.
    way.wait_for(|way| *way != Way::Hole).await.ok();
}

/// Waits until the way is cut, for ever if nobody decides over it.
pub async fn cut(way: &mut watch::Receiver<Way>) {
    if way.wait_for(|way| *way == Way::Cut).await.is_err() {
        std::future::pending().await
    }
}

/// When something arrives, where things go one after the other.
#[derive(Debug)]
pub struct Pipe {
    free_at: Instant,
}

impl Pipe {
    pub fn new() -> Self {
        Self { free_at: Instant::now() }
    }

    /// When so many bytes arrive that are sent now.
    pub fn arrival(&mut self, way: Way, bytes: usize) -> Instant {
        let now = Instant::now();
        match way {
            Way::Slow { delay, bytes_per_second } => {
                let takes = Duration::from_secs(1) * u32::try_from(bytes).unwrap() / bytes_per_second;
                self.free_at = self.free_at.max(now) + takes;
                self.free_at + delay
            }
            Way::Pass | Way::Cut | Way::Hole => now,
        }
    }
}
