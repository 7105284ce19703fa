//! How a command ends when it does not succeed: in words with the next step, and as an exit code.
//!
//! 0 is success, 1 is failed (nobody reached, or an error on the way), 2 is wrong usage, 3 is refused (the input).

use std::error::Error;
use std::io;
use std::process::ExitCode;

/// Why a command did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// It could not be done now: no node, a fault, a file that cannot be written. Trying again may help.
    #[error("{0}")]
    Failed(String),
    /// The command line or the settings are wrong.
    #[error("{0}")]
    Usage(String),
    /// The input was looked at and refused; as it is it will never be taken.
    #[error("{0}")]
    Refused(String),
    /// What was to be printed could not be.
    #[error("cannot write the output")]
    Output(#[from] io::Error),
}

impl Failure {
    /// A failure of `what` for this reason and everything behind it, in one line.
    pub fn of(what: impl std::fmt::Display, error: &dyn Error) -> Self {
        let reasons = std::iter::successors(error.source(), |reason| (*reason).source());
        Self::Failed(reasons.fold(format!("{what}: {error}"), |line, reason| format!("{line}: {reason}")))
    }

    /// The exit code; none if the reader of the output merely went away.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
            Self::Failed(_) | Self::Output(_) => ExitCode::from(1),
            Self::Usage(_) => ExitCode::from(2),
            Self::Refused(_) => ExitCode::from(3),
        }
    }

    /// Whether it is worth a message: everything but a reader of the output that went away.
    pub fn is_worth_telling(&self) -> bool {
        !matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }
}
