//! The version of the formats that the log is of: raised when a cluster activates one, and never lowered.
//!
//! What a version brought is written only after this, so a log that a release opens holds nothing that it does not know.

use super::Appender;
use super::error::AppendError;
#[cfg(feature = "next")]
use crate::log::Frame;
#[cfg(feature = "next")]
use std::collections::BTreeSet;
#[cfg(feature = "next")]
use std::sync::Arc;

impl Appender {
    /// The version that the log is of.
    pub fn version(&self) -> u16 {
        self.log().version()
    }

    /// Raises it to `version`, durably; lower ones and the same change nothing. Cost: one sync and one manifest then.
    ///
    /// # Errors
    ///
    /// As [`Appender::append`]; it may be raised or not, and asking again is harmless.
    pub fn raise_version(&mut self, version: u16) -> Result<(), AppendError> {
        if version <= self.version() {
            return Ok(());
        }
        // The frame first: if the manifest is lost, it alone tells.
        #[cfg(feature = "next")]
        {
            let shared = Arc::clone(self.shared());
            let mut writer = shared.writer();
            shared.must_be_ready()?;
            let now = shared.clock().last();
            self.write(&mut writer, &[Frame::Version { now, version }], &BTreeSet::new())?;
        }
        Ok(self.log().raise(version)?)
    }
}
