//! The wire, byte by byte. A change here needs a change of docs/relay-wire.md and of the protocol version.
