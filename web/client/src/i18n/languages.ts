import { ar } from "./ar";
import { en, type Messages } from "./en";

/** The languages there are, by their BCP 47 tag. */
export const CATALOGUES = { en, ar } as const satisfies Record<string, Messages>;

/** A language of the page. */
export type Language = keyof typeof CATALOGUES;

/** The first of the wanted languages that there is, else English. `ar-EG` is served by `ar`. */
export function pickLanguage(wanted: readonly (string | null | undefined)[]): Language {
  for (const tag of wanted) {
    const base = tag?.toLowerCase().split("-")[0];
    if (base && base in CATALOGUES) return base as Language;
  }
  return "en";
}
