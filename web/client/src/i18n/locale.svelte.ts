import { prefs } from "../prefs.svelte";
import type { Messages } from "./en";
import { CATALOGUES, pickLanguage, type Language } from "./languages";

/** The language of the page: what the address says, else what was chosen, else what the browser prefers. */
class Locale {
  language = $state<Language>("en");
  readonly t: Messages = $derived(CATALOGUES[this.language]);

  constructor() {
    const asked = new URLSearchParams(location.search).get("lang");
    this.#apply(pickLanguage([asked, prefs.language, ...navigator.languages]));
  }

  /** Takes a language and remembers it. */
  choose(language: Language): void {
    prefs.language = language;
    this.#apply(language);
  }

  #apply(language: Language): void {
    this.language = language;
    document.documentElement.lang = language;
    document.documentElement.dir = CATALOGUES[language].dir;
    document.title = CATALOGUES[language].title;
  }
}

/** What the page says: `locale.t`. */
export const locale = new Locale();
