/** First delay: a dropped socket is mostly back at once. */
export const BACKOFF_FIRST_MS = 200;
/** Longest delay: 20,000 sockets over 10 s are 2,000 joins a second, what the edges of a region take. */
export const BACKOFF_MAX_MS = 10_000;

/**
 * Exponential backoff with full jitter: the n-th delay is uniform in (0, min(max, first * 2^n)], so that sockets which
 * dropped together do not come back together.
 */
export class Backoff {
  #attempt = 0;

  constructor(
    private readonly firstMs = BACKOFF_FIRST_MS,
    private readonly maxMs = BACKOFF_MAX_MS,
    private readonly random: () => number = Math.random,
  ) {}

  /** How many delays were given since the last {@link reset}. */
  get attempt(): number {
    return this.#attempt;
  }

  /** The next delay, ms; never shorter than what the server asked for. */
  next(atLeastMs = 0): number {
    const cap = Math.min(this.maxMs, this.firstMs * 2 ** this.#attempt);
    this.#attempt += 1;
    return atLeastMs + Math.max(1, Math.round(this.random() * cap));
  }

  /** It worked. */
  reset(): void {
    this.#attempt = 0;
  }
}
