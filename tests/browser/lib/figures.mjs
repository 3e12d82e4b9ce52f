// Figures of a series, and how the tests print them.

/** The value that a share of the series does not exceed. */
export function percentile(values, share) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)];
}

export const median = (values) => percentile(values, 0.5);

/** `12 / 34 / 56` for P50, P95 and the largest, in whole milliseconds. */
export function figures(values) {
  return [median(values), percentile(values, 0.95), Math.max(...values)].map((value) => Math.round(value)).join(" / ");
}

/** A line of the test report. */
export function say(line) {
  console.log(`# ${line}`);
}
