/** What is remembered in this browser. It is sent nowhere. */
export interface Kept {
  name?: string;
  micOn?: boolean;
  cameraOn?: boolean;
  mic?: string;
  camera?: string;
  language?: string;
  theme?: Theme;
  gallery?: boolean;
  keys?: boolean;
}

/** Colours of the page. */
export type Theme = "system" | "light" | "dark";

/** Where it is kept. */
export const PREFS_KEY = "mesh.choices";

/** Reads what was kept; a browser that keeps nothing, or something else, gives nothing. */
export function readPrefs(storage: Pick<Storage, "getItem"> | undefined): Kept {
  try {
    const value: unknown = JSON.parse(storage?.getItem(PREFS_KEY) ?? "{}");
    return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Kept) : {};
  } catch {
    return {};
  }
}
