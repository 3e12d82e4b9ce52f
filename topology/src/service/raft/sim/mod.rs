//! The log store over simulated disks that lose power, and openraft's own suite over real files.

mod dice;
mod platter;
mod storage;
