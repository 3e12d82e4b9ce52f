//! The default table of round trips: 20 regions.

use crate::rtt_matrix::RttMatrix;
use std::sync::LazyLock;

/// Median round trips between 20 AWS regions, cloudping.co as of 2025-07-17, read from the crate `commonware-estimator`
/// 2026.10.0 (MIT OR Apache-2.0).
const REGIONS_20: &str = include_str!("../data/regions20_aws_rtt_p50.csv");

static TABLE: LazyLock<RttMatrix> =
    LazyLock::new(|| RttMatrix::parse(REGIONS_20).unwrap_or_else(|_| RttMatrix::empty()));

/// The default table.
#[must_use]
pub fn default_table() -> &'static RttMatrix {
    &TABLE
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_table_reads() {
        assert_eq!(super::default_table().regions().len(), 20);
    }
}
