import { describe, expect, it } from "vitest";
import { Speaking, SPEAKING_HOLD_MS } from "../src/speaking";

describe("speaking", () => {
  it("marks the loud and lets go of them after a moment", () => {
    const speaking = new Speaking();
    expect(speaking.update([[1, 0.2], [2, 0.001]], 0)).toBe(true);
    expect(speaking.ids).toEqual([1]);
    expect(speaking.update([[1, 0]], SPEAKING_HOLD_MS)).toBe(false);
    expect(speaking.update([[1, 0]], SPEAKING_HOLD_MS + 1)).toBe(true);
    expect(speaking.ids).toEqual([]);
  });
});
