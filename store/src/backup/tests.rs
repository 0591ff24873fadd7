//! Backups of simulated stores.
