import { describe, expect, it } from "vitest";
import { ar } from "../src/i18n/ar";
import { en } from "../src/i18n/en";
import { pickLanguage } from "../src/i18n/languages";
import { PREFS_KEY, readPrefs } from "../src/kept";

const storage = (text: string | null) => ({ getItem: (key: string) => (key === PREFS_KEY ? text : null) });

describe("what is remembered", () => {
  it("is read, and nonsense is nothing", () => {
    expect(readPrefs(storage('{"name":"Ada","camera":"c1"}'))).toEqual({ name: "Ada", camera: "c1" });
    for (const text of [null, "", "{", "[1]", "null", "7"]) expect(readPrefs(storage(text))).toEqual({});
    expect(readPrefs(undefined)).toEqual({});
  });
});

describe("the language", () => {
  it("is the first that there is", () => {
    expect(pickLanguage(["xx", null, "ar-EG", "en"])).toBe("ar");
    expect(pickLanguage([undefined, "de-CH"])).toBe("en");
  });

  it("of every catalogue says everything", () => {
    const leaves = (value: unknown): unknown[] =>
      typeof value === "object" && value !== null ? Object.values(value).flatMap(leaves) : [value];
    const { errors: _, ...rest } = en;
    const names = (value: object): string[] => Object.keys(value).sort();
    expect(names(ar)).toEqual(names(en));
    expect(leaves(rest).every((text) => typeof text === "function" || (typeof text === "string" && text !== ""))).toBe(true);
    expect(leaves(ar).every((text) => typeof text === "function" || (typeof text === "string" && text !== ""))).toBe(true);
    expect(Object.keys(ar.problems.both).sort()).toEqual(Object.keys(en.problems.both).sort());
    expect([en.dir, ar.dir]).toEqual(["ltr", "rtl"]);
  });
});
