import { untrack } from "svelte";

/** A text stays this long, ms: long enough to be read out. */
const STAYS_MS = 4_000;

/** What a screen reader is told of, one after the other. */
class Announcer {
  /** The texts that stand in the live region now. */
  texts = $state.raw<readonly { readonly id: number; readonly text: string }[]>([]);
  #id = 0;

  say(text: string): void {
    const id = (this.#id += 1);
    // Whoever says something in an effect does not depend on what was said before.
    this.texts = [...untrack(() => this.texts), { id, text }].slice(-4);
    setTimeout(() => (this.texts = this.texts.filter((entry) => entry.id !== id)), STAYS_MS);
  }
}

/** Tells what happens to people who do not see it. */
export const announcer = new Announcer();
