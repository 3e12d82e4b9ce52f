import { PREFS_KEY, readPrefs, type Kept, type Theme } from "./kept";

function storageHere(): Storage | undefined {
  try {
    return localStorage;
  } catch {
    return undefined;
  }
}

/** The remembered choices. Each is written when it is changed. */
class Prefs {
  #storage = storageHere();
  #kept = $state<Kept>(readPrefs(this.#storage));

  get name(): string | undefined {
    return this.#kept.name;
  }
  set name(name: string | undefined) {
    this.#set({ name });
  }
  get language(): string | undefined {
    return this.#kept.language;
  }
  set language(language: string | undefined) {
    this.#set({ language });
  }
  get theme(): Theme {
    return this.#kept.theme ?? "system";
  }
  set theme(theme: Theme) {
    this.#set({ theme });
    applyTheme(theme);
  }
  /** The gallery instead of the speaker. */
  get gallery(): boolean {
    return this.#kept.gallery ?? false;
  }
  set gallery(gallery: boolean) {
    this.#set({ gallery });
  }
  /** Whether single keys do something. */
  get keys(): boolean {
    return this.#kept.keys ?? true;
  }
  set keys(keys: boolean) {
    this.#set({ keys });
  }

  /** How a source was left the last time. */
  source(kind: "mic" | "camera"): { on: boolean; deviceId: string | undefined } {
    return { on: this.#kept[`${kind}On`] ?? true, deviceId: this.#kept[kind] };
  }

  /** Remembers a source. */
  keepSource(kind: "mic" | "camera", on: boolean, deviceId: string | undefined): void {
    this.#set({ [`${kind}On`]: on, [kind]: deviceId });
  }

  #set(change: { [K in keyof Kept]?: Kept[K] | undefined }): void {
    Object.assign(this.#kept, change);
    try {
      this.#storage?.setItem(PREFS_KEY, JSON.stringify(this.#kept));
    } catch {
      // A full or forbidden storage: the choice holds until the page is closed.
    }
  }
}

const light = window.matchMedia("(prefers-color-scheme: light)");

function applyTheme(theme: Theme): void {
  document.documentElement.dataset["theme"] = theme === "system" ? (light.matches ? "light" : "dark") : theme;
}

/** The remembered choices. */
export const prefs = new Prefs();
applyTheme(prefs.theme);
light.addEventListener("change", () => applyTheme(prefs.theme));
