//! How many streams may be open, in all and with one peer. Each may
//! hold a window of the transport in memory.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use libp2p::PeerId;

use crate::error::{Code, Error, Result};

#[derive(Default)]
struct Counts {
    total: usize,
    per_peer: HashMap<PeerId, usize>,
}

pub struct Slots {
    counts: Mutex<Counts>,
    max: usize,
    per_peer_max: usize,
}

/// The right to one open stream; given back when dropped.
pub struct Slot {
    slots: Arc<Slots>,
    peer: PeerId,
}

impl Slots {
    pub fn new(max: usize, per_peer_max: usize) -> Arc<Self> {
        Arc::new(Self {
            counts: Mutex::default(),
            max,
            per_peer_max,
        })
    }

    /// Errors: `Busy`.
    pub fn take(self: &Arc<Self>, peer: PeerId) -> Result<Slot> {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.total >= self.max {
            let text = format!(
                "{} streams are open already, the limit of this node",
                self.max
            );
            return Err(Error::new(Code::Busy, text));
        }
        let with_peer = counts.per_peer.entry(peer).or_default();
        if *with_peer >= self.per_peer_max {
            let text = format!("{} streams with {peer} are open already", self.per_peer_max);
            return Err(Error::new(Code::Busy, text));
        }
        *with_peer += 1;
        counts.total += 1;
        Ok(Slot {
            slots: Arc::clone(self),
            peer,
        })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut counts = self
            .slots
            .counts
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        counts.total -= 1;
        if let Some(with_peer) = counts.per_peer.get_mut(&self.peer) {
            *with_peer -= 1;
            if *with_peer == 0 {
                counts.per_peer.remove(&self.peer);
            }
        }
    }
}
