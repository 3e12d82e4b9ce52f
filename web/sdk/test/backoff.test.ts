import { describe, expect, it } from "vitest";
import { Backoff } from "../src/backoff";

describe("backoff", () => {
  it("doubles up to its limit", () => {
    const backoff = new Backoff(100, 1_000, () => 1);
    expect([1, 2, 3, 4, 5, 6].map(() => backoff.next())).toEqual([100, 200, 400, 800, 1_000, 1_000]);
  });

  it("spreads the delays over the whole range", () => {
    const delays = Array.from({ length: 500 }, () => {
      const backoff = new Backoff(1_000, 10_000);
      return backoff.next();
    });
    expect(Math.min(...delays)).toBeLessThan(100);
    expect(Math.max(...delays)).toBeGreaterThan(900);
    expect(Math.max(...delays)).toBeLessThanOrEqual(1_000);
  });

  it("starts anew once it worked", () => {
    const backoff = new Backoff(100, 1_000, () => 1);
    backoff.next();
    backoff.next();
    backoff.reset();
    expect(backoff.next()).toBe(100);
  });

  it("never comes sooner than the server asked for", () => {
    expect(new Backoff(100, 1_000, () => 0).next(5_000)).toBeGreaterThan(5_000);
  });
});
