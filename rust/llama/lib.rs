//! Empty: this crate exists for its lock file.
