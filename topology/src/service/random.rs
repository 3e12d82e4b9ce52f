//! Random numbers from the operating system, by way of the TLS provider.

/// There are none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no random numbers from the operating system")]
pub(super) struct NoRandom;

/// 128 unguessable bits.
pub(super) fn random_u128() -> Result<u128, NoRandom> {
    let mut bytes = [0; 16];
    let source = rustls::crypto::ring::default_provider().secure_random;
    source.fill(&mut bytes).map_err(|_| NoRandom)?;
    Ok(u128::from_be_bytes(bytes))
}

/// 64 unguessable bits.
pub(super) fn random_u64() -> Result<u64, NoRandom> {
    Ok(random_u128()? as u64)
}
