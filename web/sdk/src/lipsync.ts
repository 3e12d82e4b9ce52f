import type { SlotRole } from "./generated/SlotRole";

/** A difference this small is left alone, ms: nobody sees 20 ms, and every change of a target stretches sound. */
export const SKEW_IGNORED_MS = 20;
/** Longest target that is asked for, ms: later than this, talking to each other ends. */
export const TARGET_MAX_MS = 400;
/** Targets are whole steps of this, ms, so that they do not change with every measurement. */
export const TARGET_STEP_MS = 10;
/** Share of a measured difference that one step corrects: single measurements scatter by a frame. */
const GAIN = 0.6;

/** What a slot plays now. */
export interface Playing {
  readonly key: string;
  readonly role: SlotRole;
  readonly participant: number | undefined;
  /** From capture to playout, ms, in a clock that all slots of the peer share; `undefined` where the browser cannot tell. */
  readonly delayMs: number | undefined;
  /** What a sample or frame waits in the jitter buffer, ms. */
  readonly bufferMs: number;
}

/** A jitter-buffer target for a slot; `null` gives the choice back to the browser. */
export interface Target {
  readonly key: string;
  readonly targetMs: number | null;
}

/**
 * Keeps a person's voice and picture together. The browser aligns only streams of one MediaStream, and people move through
 * slots, so this is done here: from the measured time between capture and playout of each, the earlier of the two is made
 * to wait. What waits already gives way first, so that nobody waits longer than needed.
 */
export class LipSync {
  #targets = new Map<string, number>();

  /** Takes a measurement of all slots; answers every slot's target. To be called about once a second. */
  update(slots: readonly Playing[]): Target[] {
    for (const voice of slots.filter((slot) => slot.role === "audio")) {
      const picture = slots.find((other) => belongsWith(voice, other));
      if (picture?.delayMs === undefined || voice.delayMs === undefined) continue;
      const late = voice.delayMs - picture.delayMs;
      if (Math.abs(late) <= SKEW_IGNORED_MS) continue;
      const [first, second] = late > 0 ? [picture, voice] : [voice, picture];
      this.#correct(first, second, Math.abs(late) * GAIN);
    }
    return slots.map(({ key }) => ({ key, targetMs: this.#step(key) }));
  }

  /** `early` is to be played `byMs` later, relative to `late`. */
  #correct(early: Playing, late: Playing, byMs: number): void {
    const waits = this.#targets.get(late.key);
    if (waits !== undefined) {
      const less = waits - byMs;
      if (less >= TARGET_STEP_MS) this.#targets.set(late.key, less);
      else this.#targets.delete(late.key);
      return;
    }
    const from = Math.max(this.#targets.get(early.key) ?? 0, early.bufferMs);
    this.#targets.set(early.key, Math.min(TARGET_MAX_MS, from + byMs));
  }

  #step(key: string): number | null {
    const target = this.#targets.get(key);
    return target === undefined ? null : Math.round(target / TARGET_STEP_MS) * TARGET_STEP_MS;
  }
}

/** Voice and picture of one person. A shared screen has no lips. */
function belongsWith(voice: Playing, other: Playing): boolean {
  if (voice.participant === undefined || voice.participant !== other.participant) return false;
  return other.role === "main" || other.role === "strip";
}

/** The part of a receiver that says when it played what. */
interface Played {
  getSynchronizationSources(): { timestamp?: number; captureTimestamp?: number }[];
}

/** From capture to playout of what a receiver plays now, by its abs-capture-time. */
export function playoutDelayMs(receiver: Played | undefined): number | undefined {
  const [source] = receiver?.getSynchronizationSources() ?? [];
  if (source?.timestamp === undefined || source.captureTimestamp === undefined) return undefined;
  return source.timestamp - source.captureTimestamp;
}
