/** Above this level somebody speaks: about -40 dBov, where comfort noise and breathing stay below. */
export const SPEAKING_LEVEL = 0.01;
/** The mark stays this long after the last loud moment, ms, so that it does not flicker between words. */
export const SPEAKING_HOLD_MS = 400;

/** Who speaks just now, from the levels of the voices. */
export class Speaking {
  readonly #loudAt = new Map<number, number>();
  #ids: readonly number[] = [];

  /** In the order of their ids. */
  get ids(): readonly number[] {
    return this.#ids;
  }

  /** Takes levels in. Returns whether the set changed. */
  update(levels: Iterable<readonly [participant: number, level: number]>, nowMs: number): boolean {
    for (const [participant, level] of levels) {
      if (level >= SPEAKING_LEVEL) this.#loudAt.set(participant, nowMs);
    }
    for (const [participant, atMs] of this.#loudAt) {
      if (nowMs - atMs > SPEAKING_HOLD_MS) this.#loudAt.delete(participant);
    }
    const before = this.#ids;
    this.#ids = [...this.#loudAt.keys()].sort((a, b) => a - b);
    return before.length !== this.#ids.length || before.some((id, i) => id !== this.#ids[i]);
  }
}
