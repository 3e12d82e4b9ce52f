//! Round-trip times between regions, read from a CSV table.

use std::collections::BTreeMap;
use std::time::Duration;

/// What is wrong with a table.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MatrixError {
    /// There is no header, or it names no region.
    #[error("the first line must be `src,REGION,REGION,...`")]
    NoHeader,
    /// A line has too many or too few values, or one that is not a time.
    #[error("line {line}: {problem}")]
    Line {
        /// Counted from 1.
        line: usize,
        /// What it is.
        problem: String,
    },
    /// The lines do not name the regions of the header, in its order.
    #[error("the lines must name the same regions as the header, in the same order")]
    NotSquare,
}

/// A square table of round-trip times. The two directions of a pair are measured apart and differ a little; the model
/// takes their mean, so that a path is as long there as back.
#[derive(Clone, Debug, PartialEq)]
pub struct RttMatrix {
    regions: Vec<String>,
    index: BTreeMap<String, usize>,
    rtt: Vec<Duration>,
}

/// A longer round trip is a mistake in the table: half the equator and back in glass is 200 ms.
const RTT_MS_MAX: f64 = 10_000.0;

impl RttMatrix {
    /// A table of no regions.
    #[must_use]
    pub fn empty() -> Self {
        Self { regions: Vec::new(), index: BTreeMap::new(), rtt: Vec::new() }
    }

    /// Reads `src,a,b` / `a,RTT,RTT` / `b,RTT,RTT` in milliseconds.
    ///
    /// # Errors
    /// [`MatrixError`] with the line.
    pub fn parse(csv: &str) -> Result<Self, MatrixError> {
        let mut lines = csv.lines().enumerate().filter(|(_, l)| !l.trim().is_empty());
        let (_, header) = lines.next().ok_or(MatrixError::NoHeader)?;
        let regions: Vec<String> = header.split(',').skip(1).map(|r| r.trim().to_owned()).collect();
        if regions.is_empty() {
            return Err(MatrixError::NoHeader);
        }
        let (mut named, mut raw) = (Vec::new(), Vec::new());
        for (number, text) in lines {
            let bad = |problem: String| MatrixError::Line { line: number + 1, problem };
            let mut cells = text.split(',').map(str::trim);
            named.push(cells.next().unwrap_or_default().to_owned());
            let row =
                cells.map(|c| c.parse::<f64>().map_err(|_| bad(format!("{c:?} is not a time"))));
            let row = row.collect::<Result<Vec<f64>, _>>()?;
            if row.len() != regions.len() {
                return Err(bad(format!("{} times for {} regions", row.len(), regions.len())));
            }
            if let Some(t) = row.iter().find(|t| !(0.0..=RTT_MS_MAX).contains(*t)) {
                return Err(bad(format!("{t} ms is no round-trip time")));
            }
            raw.push(row);
        }
        if named != regions {
            return Err(MatrixError::NotSquare);
        }
        let n = regions.len();
        let mean = |i: usize| f64::midpoint(raw[i / n][i % n], raw[i % n][i / n]);
        let rtt =
            (0..n * n).map(|i| Duration::from_nanos((mean(i) * 1e6).round() as u64)).collect();
        let index = regions.iter().cloned().enumerate().map(|(i, r)| (r, i)).collect();
        Ok(Self { regions, index, rtt })
    }

    /// The regions, in the table's order.
    #[must_use]
    pub fn regions(&self) -> &[String] {
        &self.regions
    }

    /// A region's place in the table.
    #[must_use]
    pub fn index_of(&self, region: &str) -> Option<usize> {
        self.index.get(region).copied()
    }

    /// Round-trip time between two regions, by their places; inside a region, between two machines of it.
    #[must_use]
    pub fn rtt(&self, a: usize, b: usize) -> Option<Duration> {
        let n = self.regions.len();
        (a < n && b < n).then(|| self.rtt[a * n + b])
    }

    /// Half the round trip.
    #[must_use]
    pub fn one_way(&self, a: usize, b: usize) -> Option<Duration> {
        self.rtt(a, b).map(|rtt| rtt / 2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_reads_as_the_mean_of_both_directions() {
        let matrix = RttMatrix::parse("src,a,b\na,2.0,100.0\nb,101.0,4.0\n");
        let expected = |a, b| matrix.as_ref().ok().and_then(|m| m.rtt(a, b));
        assert_eq!(expected(0, 1), Some(Duration::from_micros(100_500)));
        assert_eq!(expected(1, 0), expected(0, 1));
        assert_eq!(expected(0, 0), Some(Duration::from_millis(2)));
        assert_eq!(expected(0, 2), None);
    }

    #[test]
    fn a_broken_table_is_refused_with_its_line() {
        let line = |line, problem: &str| MatrixError::Line { line, problem: problem.to_owned() };
        for (csv, error) in [
            ("", MatrixError::NoHeader),
            ("src\n", MatrixError::NoHeader),
            ("src,a\na,x\n", line(2, "\"x\" is not a time")),
            ("src,a\na,-1\n", line(2, "-1 ms is no round-trip time")),
            ("src,a\na,NaN\n", line(2, "NaN ms is no round-trip time")),
            ("src,a\na,1,2\n", line(2, "2 times for 1 regions")),
            ("src,a,b\na,1,2\n", MatrixError::NotSquare),
        ] {
            assert_eq!(RttMatrix::parse(csv), Err(error), "{csv:?}");
        }
    }
}
