//! What this node stores for the DHT: provider records, within bounds, and nothing else.
//!
//! libp2p's memory store counts foreign keys and our own against one limit and never sweeps expired
//! ones, so that strangers could fill it. Here own keys have room of their own, foreign ones are
//! swept when room is short, and no peer can occupy more than its share.

use std::borrow::Cow;
use std::collections::HashMap;
use std::iter;
use std::time::Instant;

use libp2p::kad::store::{Error, RecordStore, Result};
use libp2p::kad::{ProviderRecord, Record, RecordKey};
use libp2p::PeerId;

use crate::limits::{
    ADDRESSES_PER_PEER_MAX, FOREIGN_KEYS_MAX, KEYS_PER_PROVIDER_MAX, KEY_BYTES_MAX, OWN_KEYS_MAX,
    PROVIDERS_PER_KEY_MAX,
};

pub struct ProviderStore {
    local: PeerId,
    own: HashMap<RecordKey, ProviderRecord>,
    foreign: HashMap<RecordKey, Vec<ProviderRecord>>,
    /// How many keys of `foreign` each peer occupies.
    shares: HashMap<PeerId, usize>,
}

impl ProviderStore {
    pub fn new(local: PeerId) -> Self {
        Self {
            local,
            own: HashMap::new(),
            foreign: HashMap::new(),
            shares: HashMap::new(),
        }
    }

    fn unshare(shares: &mut HashMap<PeerId, usize>, peer: &PeerId) {
        if let Some(count) = shares.get_mut(peer) {
            *count -= 1;
            if *count == 0 {
                shares.remove(peer);
            }
        }
    }

    fn sweep(&mut self, now: Instant) {
        let shares = &mut self.shares;
        self.foreign.retain(|_, records| {
            records.retain(|record| {
                let keep = !record.is_expired(now);
                if !keep {
                    Self::unshare(shares, &record.provider);
                }
                keep
            });
            !records.is_empty()
        });
    }

    fn add_foreign(&mut self, mut record: ProviderRecord) -> Result<()> {
        record.addresses.truncate(ADDRESSES_PER_PEER_MAX);
        if let Some(known) = self
            .foreign
            .get_mut(&record.key)
            .and_then(|records| records.iter_mut().find(|r| r.provider == record.provider))
        {
            *known = record;
            return Ok(());
        }
        let full = |store: &Self| {
            store.shares.get(&record.provider).copied().unwrap_or(0) >= KEYS_PER_PROVIDER_MAX
                || match store.foreign.get(&record.key) {
                    Some(records) => records.len() >= PROVIDERS_PER_KEY_MAX,
                    None => store.foreign.len() >= FOREIGN_KEYS_MAX,
                }
        };
        if full(self) {
            self.sweep(Instant::now());
            if full(self) {
                return Err(Error::MaxProvidedKeys);
            }
        }
        *self.shares.entry(record.provider).or_default() += 1;
        self.foreign
            .entry(record.key.clone())
            .or_default()
            .push(record);
        Ok(())
    }
}

impl RecordStore for ProviderStore {
    type RecordsIter<'a> = iter::Empty<Cow<'a, Record>>;
    type ProvidedIter<'a> = iter::Map<
        std::collections::hash_map::Values<'a, RecordKey, ProviderRecord>,
        fn(&'a ProviderRecord) -> Cow<'a, ProviderRecord>,
    >;

    fn get(&self, _: &RecordKey) -> Option<Cow<'_, Record>> {
        None
    }

    /// Values are not kept for anybody.
    fn put(&mut self, _: Record) -> Result<()> {
        Err(Error::MaxRecords)
    }

    fn remove(&mut self, _: &RecordKey) {}

    fn records(&self) -> Self::RecordsIter<'_> {
        iter::empty()
    }

    fn add_provider(&mut self, record: ProviderRecord) -> Result<()> {
        if record.key.as_ref().len() > KEY_BYTES_MAX {
            return Err(Error::ValueTooLarge);
        }
        if record.provider != self.local {
            return self.add_foreign(record);
        }
        if self.own.len() >= OWN_KEYS_MAX && !self.own.contains_key(&record.key) {
            return Err(Error::MaxProvidedKeys);
        }
        self.own.insert(record.key.clone(), record);
        Ok(())
    }

    fn providers(&self, key: &RecordKey) -> Vec<ProviderRecord> {
        let foreign = self.foreign.get(key).into_iter().flatten();
        self.own
            .get(key)
            .into_iter()
            .chain(foreign)
            .cloned()
            .collect()
    }

    fn provided(&self) -> Self::ProvidedIter<'_> {
        self.own.values().map(Cow::Borrowed)
    }

    fn remove_provider(&mut self, key: &RecordKey, provider: &PeerId) {
        if *provider == self.local {
            self.own.remove(key);
            return;
        }
        let Some(records) = self.foreign.get_mut(key) else {
            return;
        };
        if let Some(at) = records.iter().position(|r| r.provider == *provider) {
            records.remove(at);
            Self::unshare(&mut self.shares, provider);
        }
        if self.foreign.get(key).is_some_and(Vec::is_empty) {
            self.foreign.remove(key);
        }
    }
}
