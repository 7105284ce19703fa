//! What foca wants done, collected during one call of it. It does nothing itself.

use super::identity::Identity;
use foca::{Notification, Timer};
use std::time::Duration;

/// The wishes of one call.
#[derive(Debug, Default)]
pub(super) struct Effects {
    /// Packets, not sealed yet, and whom they are for.
    pub(super) sends: Vec<(Identity, Vec<u8>)>,
    /// Timers, and after how long they are due.
    pub(super) timers: Vec<(Duration, Timer<Identity>)>,
    /// Whether somebody came, went or changed.
    pub(super) changed: bool,
    /// Whether somebody went.
    pub(super) went: bool,
}

impl Effects {
    /// Whether a suspicion was raised.
    pub(super) fn suspects(&self) -> bool {
        self.timers.iter().any(|(_, timer)| matches!(timer, Timer::ChangeSuspectToDown { .. }))
    }
}

impl foca::Runtime<Identity> for Effects {
    fn notify(&mut self, notification: Notification<'_, Identity>) {
        match notification {
            Notification::MemberUp(_) | Notification::Rename(..) => self.changed = true,
            Notification::MemberDown(_) => (self.changed, self.went) = (true, true),
            Notification::Active | Notification::Idle | Notification::Defunct | Notification::Rejoin(_) => {}
        }
    }

    fn send_to(&mut self, to: Identity, data: &[u8]) {
        self.sends.push((to, data.to_vec()));
    }

    fn submit_after(&mut self, event: Timer<Identity>, after: Duration) {
        self.timers.push((after, event));
    }
}
