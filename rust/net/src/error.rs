//! Error codes as C++ sees them, and how libp2p's errors become them.

use libp2p::swarm::DialError;

/// Values equal `phase_net_code` of the header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Code {
    Ok = 0,
    Invalid = 1,
    Malformed = 2,
    AddressTaken = 3,
    Io = 4,
    Unavailable = 5,
    TimedOut = 6,
    Unsupported = 7,
    Busy = 8,
    WrongPeer = 9,
    Internal = 10,
}

#[derive(Clone, Debug)]
pub struct Error {
    pub code: Code,
    pub text: String,
}

pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    pub fn new(code: Code, text: impl Into<String>) -> Self {
        Self {
            code,
            text: text.into(),
        }
    }
}

/// Errors of a dial carry one cause per address; this many are told.
const CAUSES_TOLD: usize = 4;

fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}

impl From<DialError> for Error {
    fn from(error: DialError) -> Self {
        match error {
            DialError::LocalPeerId { address } => {
                Error::new(Code::Invalid, format!("{address} is this node itself"))
            }
            DialError::NoAddresses => Error::new(Code::Unavailable, "no address is known"),
            DialError::WrongPeerId { obtained, address } => Error::new(
                Code::WrongPeer,
                format!("{address} was answered by {obtained}"),
            ),
            DialError::Denied { cause } => Error::new(Code::Busy, innermost(&cause)),
            DialError::Transport(causes) => {
                let told: Vec<String> = causes
                    .iter()
                    .take(CAUSES_TOLD)
                    .map(|(address, cause)| format!("{address}: {}", innermost(cause)))
                    .collect();
                Error::new(Code::Unavailable, told.join("; "))
            }
            other => Error::new(Code::Unavailable, other.to_string()),
        }
    }
}
