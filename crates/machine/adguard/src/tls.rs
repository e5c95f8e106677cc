//! The TLS implementation of the process.

/// Installs ring as the process's TLS implementation. sqlx brings ring already.
/// If another caller was first, it installed the same one.
pub(crate) fn install_ring() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}
