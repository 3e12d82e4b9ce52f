/** A small typed event source. `E` maps the name of an event to its payload. */
export class Emitter<E extends object> {
  readonly #listeners = new Map<keyof E, Set<(payload: never) => void>>();

  /** Calls `listener` on every `event`. Returns a function that stops it. */
  on<K extends keyof E>(event: K, listener: (payload: E[K]) => void): () => void {
    let set = this.#listeners.get(event);
    if (!set) {
      set = new Set();
      this.#listeners.set(event, set);
    }
    set.add(listener);
    return () => void set.delete(listener);
  }

  /** Tells everybody who listens. A listener that throws is reported and does not stop the others. */
  protected emit<K extends keyof E>(event: K, payload: E[K]): void {
    for (const listener of [...(this.#listeners.get(event) ?? [])]) {
      try {
        (listener as (payload: E[K]) => void)(payload);
      } catch (cause) {
        console.error("mesh: a listener failed", event, cause);
      }
    }
  }
}
